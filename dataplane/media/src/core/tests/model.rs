//! Random rows and a random network, judged from outside: by what went in, what came out and what was asked for.
//! Every payload carries who said it and when, so that the judge needs to know nothing of epochs.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::*;
use crate::command::{Watch, WindowId};
use crate::evidence::Evidence;
use crate::seed::Seed;

/// What a payload is tagged with: no prompt and no noise begins so.
const TAG: [u8; 6] = [0x01, 0xfe, 0x02, 0xfd, 0x03, 0xfc];

fn one_in(seed: &mut Seed, n: u64) -> bool {
    seed.next().is_multiple_of(n)
}

/// A packet on its way to us.
#[derive(Clone, Debug)]
struct Packet {
    at: u64,
    leg: LegId,
    header: Header,
    payload: Vec<u8>,
}

/// The source that a sent packet says it is of.
fn tagged(sent: &Sent) -> Option<LegId> {
    let payload = sent.payload();
    let tag = match sent.header().payload_type {
        101 => payload.get(4..)?,
        _ => payload,
    };
    let rest = tag.strip_prefix(&TAG)?;
    Some(LegId(rest[0].into()))
}

/// What a leg sends in `ms`, through a network that is clean or not, in the order in which it comes.
fn upstream(seed: &mut Seed, leg: LegId, ms: u64, clean: bool) -> Vec<Packet> {
    let ptime = [20, 20, 10, 30, 40][(seed.next() % 5) as usize];
    let mut at = (seed.next() % 20_000) * 1_000;
    // Both wrap within the run.
    let mut header = Header {
        marker: true,
        payload_type: 0,
        sequence: Seq(65_536u32.wrapping_sub(seed.next() as u32 % 60) as u16),
        timestamp: 0u32.wrapping_sub(seed.next() as u32 % 20_000),
        ssrc: 0xb000 + u32::from(leg.0),
    };
    let mut packets = Vec::new();
    let mut number = 0u16;
    while at < ms * MS {
        let mut tag = TAG.to_vec();
        tag.push(leg.0 as u8);
        tag.extend(number.to_be_bytes());
        let event = one_in(seed, 20);
        let mut payload = if event {
            [&[5, 10], &(ptime as u16 * 8).to_be_bytes()[..], &tag].concat()
        } else {
            tag
        };
        if !event {
            payload.resize(ptime as usize * 8, 0x10);
        }
        header.payload_type = if event { 101 } else { 0 };
        let copies = match seed.next() % 40 {
            0..3 if !clean => 0,
            3 if !clean => 2,
            _ => 1,
        };
        for _ in 0..copies {
            let late = match seed.next() % 30 {
                0 if !clean => seed.next() % (90 * MS),
                1 if !clean => 2_000 * MS,
                _ => 0,
            };
            packets.push(Packet {
                at: at + late,
                leg,
                header,
                payload: payload.clone(),
            });
        }
        header.marker = false;
        header.sequence = header.sequence.next();
        header.timestamp = header.timestamp.wrapping_add(ptime as u32 * 8);
        at += ptime * MS;
        number += 1;
        if one_in(seed, 60) {
            // A pause: time goes on, numbers do not.
            let pause = seed.next() % 15 * 20;
            at += pause * MS;
            header.timestamp = header.timestamp.wrapping_add(pause as u32 * 8);
        }
        if !clean && one_in(seed, 150) {
            header.ssrc += 0x100;
        }
    }
    packets
}

fn random_spec(seed: &mut Seed, plays_made: &mut u64) -> SessionSpec {
    let ids: Vec<_> = (0..4)
        .map(LegId)
        .filter(|id| *id == CALLER || !one_in(seed, 6))
        .collect();
    let legs = ids.iter().map(|&id| {
        let mut row = Hears::default();
        if one_in(seed, 4) {
            *plays_made += u64::from(one_in(seed, 2));
            row = plays(
                *plays_made,
                &[SHORT, BRIEF][..1 + (seed.next() % 2) as usize],
                one_in(seed, 3),
            );
        }
        let heard = ids[(seed.next() % ids.len() as u64) as usize];
        if heard != id && !one_in(seed, 5) {
            row.legs.push(heard.into());
        }
        if one_in(seed, 10) {
            row.patience = Duration::from_millis(seed.next() % 200);
        }
        LegSpec {
            send: !one_in(seed, 12),
            dtmf: [Dtmf::Relay, Dtmf::Take, Dtmf::Drop][(seed.next() % 3) as usize],
            ..leg(id, row)
        }
    });
    let legs = legs.collect();
    let watch = Watch {
        window: WindowId(0),
        first_word_of: None,
    };
    SessionSpec {
        legs,
        watch: Some(watch),
    }
}

/// What was asked for, when, and which line of its port each leg had then.
struct Asked {
    at: u64,
    generation: Generation,
    spec: SessionSpec,
    lives: BTreeMap<LegId, u32>,
}

impl Asked {
    /// It may wait as a whole.
    fn is_patient(&self) -> bool {
        self.spec.legs.iter().any(|leg| !leg.hears.patience.is_zero())
    }
}

/// What the judge sees of a run.
struct Story {
    rig: Rig,
    clean: bool,
    asked: Vec<Asked>,
    /// Input packets with the number of `Set`s before them.
    verdicts: Vec<(u64, LegId, Verdict, usize)>,
    /// How many `Set`s there were before each sent packet.
    sets_before: Vec<usize>,
}

impl Story {
    /// `hops`: before one of so many packets the session goes to another core; 0: never.
    fn tell(number: u64, clean: bool, hops: u64) -> Story {
        let mut seed = Seed::new(number);
        let mut hop = Seed::new(!number);
        let mut rig = Rig::with(Config {
            seed: number,
            pending: 64,
            ..config()
        });
        let mut packets: Vec<_> = (0..4)
            .flat_map(|id| upstream(&mut seed, LegId(id), 4_000, clean))
            .collect();
        packets.sort_by_key(|packet| packet.at);
        let mut packets = VecDeque::from(packets);
        let mut story_asked: Vec<Asked> = Vec::new();
        let (mut verdicts, mut sets_before) = (Vec::new(), Vec::new());
        let (mut plays_made, mut next_set) = (0, 0);
        while let Some(packet) = packets.front() {
            if next_set <= packet.at {
                rig.run_ns(next_set.max(rig.now) - rig.now);
                sets_before.resize(rig.sent.len(), story_asked.len());
                let mut spec = random_spec(&mut seed, &mut plays_made);
                spec.watch = spec.watch.map(|watch| Watch {
                    window: WindowId(rig.now / (700 * MS)),
                    ..watch
                });
                // So that a window closes when it is asked for.
                let window = |spec: &SessionSpec| spec.watch.map(|watch| watch.window);
                if story_asked.last().map(|asked| window(&asked.spec)) != Some(window(&spec)) {
                    spec.legs.iter_mut().for_each(|leg| leg.hears.patience = Duration::ZERO);
                }
                let lives = lives(story_asked.last(), &spec);
                let generation = rig.set(spec.clone());
                story_asked.push(Asked {
                    at: rig.now,
                    generation,
                    spec,
                    lives,
                });
                if story_asked.len() == 1 {
                    // Every line wraps soon.
                    for leg in (0..4).map(LegId) {
                        let slot = crate::leg::Slot(port(leg).0 / 2);
                        if let Some(leg) = rig.core.table.leg_mut(slot) {
                            leg.line.start_at(Seq(65_500), u32::MAX - 9_000);
                        }
                    }
                }
                next_set += seed.next() % (150 * MS);
                continue;
            }
            let packet = packet.clone();
            packets.pop_front();
            rig.run_ns(packet.at.max(rig.now) - rig.now);
            sets_before.resize(rig.sent.len(), story_asked.len());
            if hops > 0 && one_in(&mut hop, hops) {
                rig.hop();
            }
            let verdict = rig.packet(packet.leg, &packet.header, &packet.payload);
            verdicts.push((rig.now, packet.leg, verdict, story_asked.len()));
            sets_before.resize(rig.sent.len(), story_asked.len());
        }
        rig.end();
        sets_before.resize(rig.sent.len(), story_asked.len());
        Story {
            rig,
            clean,
            asked: story_asked,
            verdicts,
            sets_before,
        }
    }

    /// The state before which every older one is over at `at`, where `sets` were asked for.
    fn in_force(&self, at: u64, sets: usize) -> usize {
        let applied = |asked: &Asked| self.rig.applied(asked.generation).is_some_and(|applied| applied <= at);
        self.asked[..sets].iter().rposition(applied).unwrap_or(0)
    }

    /// A state that may wait is in force, refused, or overtaken by a newer one; how many were in force and refused.
    fn judge_patience(&self) -> (usize, usize) {
        let (mut applied, mut refused) = (0, 0);
        for (n, asked) in self.asked.iter().enumerate().filter(|(_, asked)| asked.is_patient()) {
            let outcomes = (
                self.rig.applied(asked.generation),
                self.rig.refused_silent(asked.generation),
            );
            let overtaken = self.asked.get(n + 1).map_or(self.rig.now, |next| next.at);
            let longest = asked.spec.legs.iter().map(|leg| leg.hears.patience).max();
            let longest = longest.unwrap_or_default().as_nanos() as u64;
            match outcomes {
                (Some(_), None) => applied += 1,
                (None, Some(at)) => {
                    refused += 1;
                    assert!(at <= asked.at + longest, "refused at {} ms", at / MS);
                }
                // Other rows may wait for 60 ms after the first packet, and for a second where only digits come.
                (None, None) => assert!(overtaken <= asked.at + longest + 1_060 * MS, "no answer"),
                (Some(_), Some(_)) => panic!("two answers"),
            }
        }
        (applied, refused)
    }

    /// What the judge says of each line.
    fn judge_lines(&self) {
        let mut lines: BTreeMap<(LegId, u32), Vec<&Sent>> = BTreeMap::new();
        for (sent, &sets) in self.rig.sent.iter().zip(&self.sets_before) {
            if (192..=223).contains(&sent.bytes[1]) {
                continue;
            }
            let listener = LegId((sent.from.0 - 10_000) / 2);
            // A packet of a `Set` that is being carried out counts for the state that it ends.
            let life = self.asked[sets.max(1) - 1].lives[&listener];
            lines.entry((listener, life)).or_default().push(sent);
            self.judge_source(listener, sent, sets);
        }
        for ((listener, _), line) in &lines {
            let ssrcs: BTreeSet<_> = line.iter().map(|sent| sent.header().ssrc).collect();
            assert_eq!(ssrcs.len(), 1, "{listener:?} has one SSRC for its life");
            self.judge_line(*listener, line);
        }
    }

    /// Whoever is heard, the row, or one that was not over yet, has it.
    fn judge_source(&self, listener: LegId, sent: &Sent, sets: usize) {
        let Some(source) = tagged(sent) else { return };
        assert_eq!(sent.to, remote(listener));
        let row = |asked: &Asked| {
            asked
                .spec
                .legs
                .iter()
                .find(|leg| leg.leg == listener)
                .map(|leg| leg.hears.clone())
        };
        let newest = &self.asked[sets - 1];
        if !newest.is_patient() {
            let newest = row(newest).expect("a leg that is there");
            assert!(!newest.legs.is_empty(), "a row without legs is in force at once");
        }
        // What was refused was never in force.
        let taken = |asked: &&Asked| self.rig.refused_silent(asked.generation).is_none();
        let mut rows = self.asked[self.in_force(sent.at, sets)..sets]
            .iter()
            .filter(taken)
            .filter_map(row);
        assert!(
            rows.any(|row| row.sources().any(|id| id == source)),
            "{listener:?} heard {source:?} at {} ms",
            sent.at / MS
        );
    }

    fn judge_line(&self, listener: LegId, line: &[&Sent]) {
        let mut numbers: BTreeMap<i64, &Sent> = BTreeMap::new();
        let mut highest: Option<i64> = None;
        for sent in line {
            let header = sent.header();
            let number = match highest {
                Some(highest) => highest + i64::from(header.sequence.distance_from(Seq(highest as u16))),
                None => i64::from(header.sequence.0),
            };
            if self.clean {
                assert!(
                    highest.is_none_or(|highest| number == highest + 1),
                    "{listener:?} at {}",
                    sent.at / MS
                );
            }
            if let Some(twin) = numbers.insert(number, sent) {
                let (a, b) = (twin.header(), header);
                assert_eq!(
                    (a.timestamp, a.payload_type, twin.payload()),
                    (b.timestamp, b.payload_type, sent.payload()),
                    "two packets with one number"
                );
            }
            highest = highest.max(Some(number));
        }
        let order: Vec<_> = numbers.into_iter().collect();
        for pair in order.windows(2) {
            let ((_, a), (_, b)) = (pair[0], pair[1]);
            let step = timestamp_distance(b.header().timestamp, a.header().timestamp);
            let least = if a.header().payload_type == 0 {
                a.payload().len() as i32
            } else {
                0
            };
            assert!(step >= least, "{listener:?}: a step of {step} at {} ms", b.at / MS);
            let passed = b.at.abs_diff(a.at) / 125_000;
            assert!(
                u64::from(step.unsigned_abs()) <= passed + 60_000,
                "{listener:?}: a step of {step}"
            );
        }
        for pair in line.windows(2) {
            let held = |asked: &Asked| asked.spec.legs.iter().any(|leg| leg.leg == listener && !leg.send);
            let from = self.asked.iter().rposition(|asked| asked.at <= pair[0].at).unwrap_or(0);
            let held = self.asked[from..]
                .iter()
                .filter(|asked| asked.at <= pair[1].at)
                .any(held);
            let gap = pair[1].at - pair[0].at;
            assert!(
                held || gap <= 60 * MS,
                "{listener:?}: {} ms at {}",
                gap / MS,
                pair[1].at / MS
            );
        }
    }

    /// Each packet of a source that a settled row holds is sent, or is a digit that is not relayed, or is superseded.
    fn judge_inputs(&self) {
        for &(at, source, verdict, sets) in &self.verdicts {
            let newest = &self.asked[sets - 1];
            let heard = newest.spec.legs.iter().any(|leg| {
                leg.hears.sources().any(|id| id == source)
                    && leg.hears.play.is_none()
                    && leg.send
                    && leg.remote.is_some()
            });
            let settled = self.rig.applied(newest.generation).is_some_and(|applied| applied < at);
            if !(heard && settled && newest.at < at) {
                continue;
            }
            match verdict {
                Verdict::Send { .. } | Verdict::Consumed => {}
                Verdict::Drop(Reason::Digit) => {}
                // The last listener's; what became of the copies of the others is not told.
                Verdict::Drop(Reason::NotSending) if newest.spec.legs.iter().any(|leg| !leg.send) => {}
                // Of an SSRC that the source has given up already.
                Verdict::Drop(Reason::Superseded | Reason::StrangeSource) if !self.clean => {}
                Verdict::Drop(reason) => panic!("{source:?} at {} ms: {reason:?}", at / MS),
            }
        }
    }

    /// What the core says of itself is what the judge saw.
    fn judge_evidence(&self) {
        let mut opened = 0;
        let mut windows = 0;
        for (_, event) in &self.rig.events {
            let Event::Evidence { window, listeners, .. } = event else {
                continue;
            };
            let ends =
                |asked: &&Asked| asked.at >= opened && asked.spec.watch.is_some_and(|watch| watch.window != *window);
            let closed = self.asked.iter().find(ends).map_or(u64::MAX, |asked| asked.at);
            for (listener, evidence) in listeners {
                self.judge_figures(*listener, evidence, opened, closed);
            }
            (opened, windows) = (closed, windows + 1);
        }
        assert!(windows >= 5, "{windows} windows");
    }

    fn judge_figures(&self, listener: LegId, evidence: &Evidence, opened: u64, closed: u64) {
        let ours = [
            evidence.lost,
            evidence.reordered,
            evidence.duplicated,
            evidence.sequence_breaks,
            evidence.timestamp_breaks,
        ];
        assert_eq!(
            ours,
            [0; 5],
            "{listener:?} from {} to {} ms: {evidence:?}",
            opened / MS,
            closed / MS
        );
        if self.clean {
            let upstream = [
                evidence.upstream_lost,
                evidence.upstream_reordered,
                evidence.upstream_duplicated,
                evidence.superseded,
            ];
            assert_eq!(upstream, [0; 4], "{listener:?}: {evidence:?}");
        }
        let mut lives = self.asked.iter().filter(|asked| (opened..=closed).contains(&asked.at));
        if lives.all(|asked| asked.lives.get(&listener) == Some(&1)) {
            let heard = self.rig.heard(listener);
            let sent = heard.iter().filter(|sent| (opened..closed).contains(&sent.at)).count() as u64;
            // At the very moment of the `Set` the judge cannot tell.
            let at_edges = heard
                .iter()
                .filter(|sent| sent.at == opened || sent.at == closed)
                .count() as u64;
            assert!(
                evidence.sent.abs_diff(sent) <= at_edges,
                "{listener:?}: {sent} sent, not {}",
                evidence.sent
            );
        }
    }
}

fn lives(last: Option<&Asked>, spec: &SessionSpec) -> BTreeMap<LegId, u32> {
    let mut lives = last.map(|asked| asked.lives.clone()).unwrap_or_default();
    for leg in &spec.legs {
        let was = last.is_some_and(|asked| asked.spec.legs.iter().any(|before| before.leg == leg.leg));
        if !was {
            *lives.entry(leg.leg).or_default() += 1;
        }
    }
    lives
}

#[expect(
    clippy::print_stdout,
    reason = "a failing test shows the seed that failed, the last one"
)]
fn judge(number: u64, clean: bool, hops: u64) -> (usize, usize) {
    println!("seed {number}");
    let mut story = Story::tell(number, clean, hops);
    story.judge_lines();
    story.judge_inputs();
    story.judge_evidence();
    let outcomes = story.judge_patience();
    assert_conserved(&mut story.rig);
    assert_eq!(story.rig.away.alive(), Alive::default());
    assert_eq!(story.rig.away.counters().sessions, 0);
    assert_eq!(story.rig.core.counters().lost + story.rig.away.counters().lost, 0);
    outcomes
}

fn judge_all(numbers: std::ops::Range<u64>, clean: bool, hops: u64) {
    let least = (numbers.end - numbers.start) as usize;
    let outcomes = numbers.map(|number| judge(number, clean, hops));
    let (applied, refused) = outcomes.fold((0, 0), |sum, one| (sum.0 + one.0, sum.1 + one.1));
    assert!(
        applied > 6 * least && refused >= 3 * least / 8,
        "{applied} applied, {refused} refused"
    );
}

#[test]
fn every_line_of_a_random_call_over_a_clean_network_is_without_fault() {
    judge_all(0..80, true, 0);
}

#[test]
fn every_line_of_a_random_call_over_a_bad_network_keeps_its_promises() {
    judge_all(1_000..1_120, false, 0);
}

#[test]
fn no_line_shows_that_its_session_goes_from_core_to_core() {
    judge_all(2_000..2_040, true, 25);
    judge_all(3_000..3_040, false, 25);
    // With almost every packet.
    judge_all(4_000..4_010, true, 2);
}
