//! Whatever comes, the core does not panic, every listener's line stays one line, and nothing is left over.

use super::dtmf::Press;
use super::*;
use crate::codec::opus::{Settings, Wishes};
use crate::coders::{Coders, Sizes};
use crate::command::{Heard, PRESSED_MAX, Pressed, Watch, WindowId};
use crate::seed::Seed;

fn one_in(seed: &mut Seed, n: u64) -> bool {
    seed.next().is_multiple_of(n)
}

fn row(seed: &mut Seed, own: LegId) -> Hears {
    let mut row = match seed.next() % 4 {
        0 => nobody(),
        1 => plays(
            seed.next() % 3,
            &[SHORT, BRIEF][..(seed.next() % 3) as usize],
            one_in(seed, 2),
        ),
        _ => Hears::default(),
    };
    if !one_in(seed, 3) {
        row.legs.push(LegId((seed.next() % 4) as u16).into());
        while one_in(seed, 3) && !row.legs.is_full() {
            let leg = LegId((seed.next() % 4) as u16);
            if row.sources().all(|heard| heard != leg) {
                row.legs.push(leg.into());
            }
        }
        if one_in(seed, 6) {
            row.legs[0].gain_db = (seed.next() % 20) as i8 - 10;
        }
        if !one_in(seed, 8) {
            row.legs.retain(|heard| heard.leg != own);
        }
    }
    if one_in(seed, 6) {
        row.patience = Duration::from_millis(seed.next() % 400);
    }
    row
}

/// What each leg speaks: G.711 in half of the runs, anything in the others; and now and then something else for a while.
type Spoken = [Codec; 4];

fn spoken(seed: &mut Seed) -> Spoken {
    if one_in(seed, 2) {
        return [Codec::Pcmu, Codec::Pcma, Codec::Pcmu, Codec::Pcmu];
    }
    std::array::from_fn(|_| any(seed))
}

fn any(seed: &mut Seed) -> Codec {
    Codec::ALL[(seed.next() % Codec::ALL.len() as u64) as usize]
}

fn random_leg(seed: &mut Seed, id: LegId, spoken: Spoken) -> LegSpec {
    let codec = match one_in(seed, 12) {
        true => any(seed),
        false => spoken[usize::from(id.0)],
    };
    let mut leg = leg_in(id, codec, row(seed, id));
    if one_in(seed, 8) {
        leg.send = false;
    }
    if one_in(seed, 8) {
        leg.remote = None;
    }
    if one_in(seed, 2) {
        leg.remote_rtcp = Some(remote(id));
    }
    if id == AI {
        leg.format.events = None;
    }
    leg.format.comfort_noise = Some(13).filter(|_| id == HUMAN && codec.clock_hz() == 8_000);
    leg.receive = !one_in(seed, 8);
    leg.dtmf = [Dtmf::Relay, Dtmf::Relay, Dtmf::Take, Dtmf::Drop][(seed.next() % 4) as usize];
    leg.ptime_ms = [20, 20, 30, 10, 40, 50, 60][(seed.next() % 7) as usize];
    leg
}

fn random_spec(seed: &mut Seed, spoken: Spoken) -> SessionSpec {
    let legs = (0..4).map(LegId).filter(|_| !one_in(seed, 8));
    let legs: Vec<_> = legs.collect();
    let legs = legs.into_iter().map(|id| random_leg(seed, id, spoken)).collect();
    let first_word_of = Some(HUMAN).filter(|_| one_in(seed, 2));
    let watch = Watch {
        window: WindowId(seed.next() % 3),
        first_word_of,
    };
    SessionSpec {
        legs,
        watch: Some(watch).filter(|_| !one_in(seed, 3)),
    }
}

fn random_datagram(rig: &mut Rig, seed: &mut Seed) {
    let mut bytes = vec![0; (seed.next() % 400) as usize];
    for byte in &mut bytes {
        *byte = seed.next() as u8;
    }
    if let [first, second, ..] = &mut bytes[..] {
        *first = [0x80, 0x80, 0x90, 0xa0, 0x8f, *first][(seed.next() % 6) as usize];
        *second = [0, 8, 13, 101, 200, 201, *second][(seed.next() % 7) as usize];
    }
    let from = remote(LegId((seed.next() % 4) as u16));
    rig.datagram(Port(10_000 + (seed.next() % 10) as u16), from, &bytes);
}

/// What parties agree on besides their codecs, and what they change of it, from a seed of its own.
struct Besides {
    seed: Seed,
    /// Nobody changes his codec, and nobody sends what he did not agree to: then nothing is lost.
    tidy: bool,
    spoken: Spoken,
    /// What each was offered and has not answered.
    offered: [Option<Codec>; 4],
    pressed: [ArrayVec<Pressed, PRESSED_MAX>; 4],
    numbers: u32,
}

impl Besides {
    fn new(number: u64, spoken: Spoken) -> Besides {
        Besides {
            seed: Seed::new(!number),
            tidy: number.is_multiple_of(3),
            spoken,
            offered: [None; 4],
            pressed: Default::default(),
            numbers: 0,
        }
    }

    fn leg(&mut self) -> LegId {
        LegId((self.seed.next() % 4) as u16)
    }

    /// An offer, its answer or its refusal, and what the party does of its own accord before or after it.
    fn change(&mut self, rig: &mut Rig) {
        let leg = self.leg();
        let at = usize::from(leg.0);
        match (self.seed.next() % 6, self.offered[at]) {
            (0, _) if self.tidy => {}
            (0, None) => self.offered[at] = Some(any(&mut self.seed)),
            (0, Some(codec)) => (self.spoken[at], self.offered[at]) = (codec, None),
            (1, _) => self.offered[at] = None,
            (2 | 3, offered) => {
                let ms = [10, 20, 20, 30, 40, 60][(self.seed.next() % 6) as usize];
                talk_on(rig, leg, offered.unwrap_or(self.spoken[at]), ms);
            }
            (4, _) => {
                self.numbers += 1;
                if self.pressed[at].is_full() {
                    self.pressed[at].remove(0);
                }
                self.pressed[at].push(Pressed {
                    number: self.numbers,
                    code: (self.seed.next() % 16) as u8,
                });
            }
            _ => {
                let (code, packets) = ((self.seed.next() % 16) as u8, 1 + (self.seed.next() % 12) as u16);
                Press::whole(rig, leg, code, packets);
            }
        }
    }

    fn agree(&mut self, spec: &mut SessionSpec) {
        let there: Vec<LegId> = spec.legs.iter().map(|leg| leg.leg).collect();
        for leg in &mut spec.legs {
            let at = usize::from(leg.leg.0);
            let seed = &mut self.seed;
            if one_in(seed, 2) || self.tidy {
                let Format {
                    codec, send, receive, ..
                } = leg_in(leg.leg, self.spoken[at], nobody()).format;
                leg.format = Format {
                    codec,
                    send,
                    receive,
                    comfort_noise: None,
                    ..leg.format
                };
            }
            if let Some(events) = &mut leg.format.events {
                events.clock_hz = [8_000, leg.format.codec.clock_hz()][(seed.next() % 2) as usize];
            }
            if one_in(seed, 6) {
                leg.format.events = None;
            }
            leg.also = self.offered[at].map(|codec| leg_in(leg.leg, codec, nobody()).format);
            leg.pressed = self.pressed[at].clone();
            if one_in(seed, 3) {
                leg.opus = Wishes {
                    fec: one_in(seed, 2),
                    dtx: one_in(seed, 2),
                    cbr: one_in(seed, 2),
                    bitrate_max: [None, Some(6_000), Some(24_000)][(seed.next() % 3) as usize],
                    playback_hz_max: [8_000, 16_000, 48_000][(seed.next() % 3) as usize],
                };
            }
            if one_in(seed, 2) {
                // Of Opus we make nothing shorter.
                let most = [20, 20, 30, 40, 60][(seed.next() % 5) as usize];
                leg.maxptime_ms = Some(most);
                leg.ptime_ms = leg.ptime_ms.min(most);
            }
            // Who supervises hears two, or is heard beside another.
            if one_in(seed, 4) {
                let gain_db = [0, -6, 3][(seed.next() % 3) as usize];
                let others = there.iter().filter(|id| **id != leg.leg).take(2);
                leg.hears.legs = others.map(|&leg| Heard { leg, gain_db }).collect();
            }
        }
    }
}

/// The party goes on in a codec, in packets of so many ms.
fn talk_on(rig: &mut Rig, leg: LegId, codec: Codec, ms: u64) {
    static SAID: LazyLock<Vec<[Vec<Vec<u8>>; 6]>> = LazyLock::new(|| {
        let packets = |codec| std::array::from_fn(|at| said(codec, 20, 10 * (at + 1)));
        Codec::ALL.into_iter().map(packets).collect()
    });
    let talker = rig.talker(leg);
    talker.codec = codec;
    talker.every = ms * MS;
    talker.header.payload_type = number(codec);
    talker.packets = (SAID[codec as usize][ms as usize / 10 - 1].clone(), 0);
}

/// What was agreed of each line, and whether nothing may come to it in longer packets than that.
struct Agreed {
    generation: Generation,
    legs: Vec<(LegSpec, bool)>,
}

impl Agreed {
    /// Of a state, unless it was refused. `lengths`: of the legs' last packets, ms; `enough`: whoever needs a mixer gets one.
    fn of(
        rig: &Rig,
        generation: Generation,
        spec: &SessionSpec,
        lengths: [Option<u8>; 4],
        enough: bool,
    ) -> Option<Agreed> {
        let refused =
            |(_, event): &(u64, Event)| matches!(event, Event::Refused { generation: of, .. } if *of == generation);
        if rig.events.iter().rev().take(20).any(refused) {
            return None;
        }
        let length = |id: LegId| {
            let agreed = spec.legs.iter().find(|leg| leg.leg == id).map(|leg| leg.ptime_ms);
            lengths[usize::from(id.0)].or(agreed)
        };
        let held = |leg: &LegSpec| {
            let takes = leg.maxptime_ms.unwrap_or(u8::MAX);
            let long = leg.hears.sources().any(|id| length(id).is_some_and(|ms| ms > takes));
            leg.hears.is_mixed() || leg.hears.legs.is_empty() || long && enough
        };
        let legs = spec.legs.iter().map(|leg| (leg.clone(), held(leg))).collect();
        Some(Agreed { generation, legs })
    }

    /// What was sent since the packet of this index.
    fn judge(&self, rig: &Rig, from: usize, number: u64) {
        let applied = rig.applied(self.generation);
        for sent in &rig.sent[from..] {
            let id = LegId((sent.from.0 - 10_000) / 2);
            if !sent.from.0.is_multiple_of(2) || (192..=223).contains(&sent.bytes[1]) {
                continue;
            }
            // One of the state before, while this one waits.
            let Some((leg, held)) = self.legs.iter().find(|(leg, _)| leg.leg == id) else {
                continue;
            };
            let format = &leg.format;
            let payload_type = sent.header().payload_type;
            let events = format.events.map(|events| events.send);
            assert!(
                payload_type == format.send
                    || Some(payload_type) == events
                    || Some(payload_type) == format.comfort_noise,
                "{id:?} is sent {payload_type} at {} ms of seed {number}",
                sent.at / MS
            );
            if payload_type == format.send && *held && applied.is_some_and(|at| at < sent.at) {
                let ticks = format
                    .codec
                    .duration(sent.payload())
                    .expect("what we send is of the codec");
                let takes = leg.maxptime_ms.unwrap_or(120).max(leg.ptime_ms);
                assert!(
                    ticks <= format.codec.ticks(takes),
                    "{id:?} is sent {ticks} ticks at {} ms of seed {number}",
                    sent.at / MS
                );
            }
        }
    }
}

/// `besides`: with all that parties agree on besides their codecs.
fn run(number: u64, besides: bool) {
    let mut seed = Seed::new(number);
    let spoken = spoken(&mut seed);
    // Now and then there are too few.
    let sizes = Sizes {
        wide: 1 + (seed.next() % 8) as usize,
        opus_narrow: (seed.next() % 5) as usize,
        opus_wide: (seed.next() % 5) as usize,
        mixers: (seed.next() % 5) as usize,
        ears: number as usize % 3,
        keys: number as usize % 2,
        listeners: number as usize % 5,
    };
    let enough = Sizes {
        wide: 40,
        opus_narrow: 16,
        opus_wide: 16,
        mixers: 8,
        listeners: 40,
        ..sizes
    };
    let plenty = besides && !number.is_multiple_of(7);
    let sizes = if plenty { enough } else { sizes };
    let coders = Arc::new(Coders::new(sizes, &Settings::default()).unwrap());
    let mut rig = Rig::with(Config {
        coders: coders.clone(),
        pending: if besides { 64 } else { 16 },
        ..config()
    });
    for (id, codec) in spoken.into_iter().enumerate() {
        rig.talk_in(LegId(id as u16), seed.next() % 20, codec);
    }
    let mut besides = besides.then(|| Besides::new(number, spoken));
    let tidy = besides.as_ref().is_some_and(|besides| besides.tidy);
    let mut agreed: Option<Agreed> = None;
    let mut judged = 0;
    for _ in 0..60 {
        match seed.next() % 10 {
            0..5 => {
                let mut spec = random_spec(&mut seed, spoken);
                if let Some(besides) = &mut besides {
                    besides.agree(&mut spec);
                }
                let lengths = std::array::from_fn(|leg| {
                    let slot = rig.core.table.slot(port(LegId(leg as u16)))?;
                    rig.core.table.leg(slot)?.source.packet_ms
                });
                let generation = rig.set(spec.clone());
                if let Some(new) = Agreed::of(&rig, generation, &spec, lengths, plenty) {
                    // What ends with the old state was sent as the new one has it.
                    judged = rig.sent.len();
                    agreed = Some(new);
                }
            }
            5 | 7 if tidy => {}
            5 => {
                for _ in 0..20 {
                    random_datagram(&mut rig, &mut seed);
                }
            }
            6 => {
                let talker = &mut rig.talkers[(seed.next() % 4) as usize];
                talker.header.sequence = talker.header.sequence.plus((seed.next() % 5) as u16);
                talker.next += seed.next() % (200 * MS);
            }
            7 => {
                let talker = &mut rig.talkers[(seed.next() % 4) as usize];
                talker.header.payload_type =
                    [super::number(talker.codec), super::number(talker.codec), 0, 13, 101][(seed.next() % 5) as usize];
            }
            8 => rig.now += seed.next() % (300 * MS),
            _ if one_in(&mut seed, 4) => rig.end(),
            _ => {}
        }
        if let Some(besides) = &mut besides
            && one_in(&mut besides.seed, 2)
        {
            besides.change(&mut rig);
        }
        rig.run(seed.next() % 150);
        if let Some(agreed) = &agreed {
            agreed.judge(&rig, judged, number);
        }
        judged = rig.sent.len();
        let alive = rig.core.alive();
        assert!(
            alive.sessions <= 1 && alive.legs <= 4 && alive.pending == 0 && alive.ready == 0,
            "{alive:?}"
        );
    }
    assert_conserved(&mut rig);
    assert_eq!(coders.free(), sizes);
    assert_eq!(rig.core.counters().lost, 0);
    // Of rubbish some is in a length that the listener's codec has not, and for a codec that is spoken on there may be no coder to spare. What one
    // listener gets and another does not is consumed.
    let consumed = rig
        .verdicts
        .iter()
        .filter(|(_, _, verdict)| *verdict == Verdict::Consumed);
    let consumed = if besides.is_none() { consumed.count() as u64 } else { 0 };
    let unfit = rig.dropped(Reason::Untranscodable) + consumed;
    for (at, event) in &rig.events {
        if let Event::Evidence { listeners, .. } = event {
            for (leg, e) in listeners {
                let ours = (
                    e.lost > unfit && (tidy || besides.is_none()),
                    e.reordered,
                    e.duplicated,
                    e.sequence_breaks,
                    e.timestamp_breaks,
                );
                assert_eq!(ours, (false, 0, 0, 0, 0), "{leg:?} at {} ms of seed {number}", at / MS);
            }
        }
    }
}

/// After the first ones, those that once found something.
#[test]
fn random_packets_commands_and_stalls_leave_nothing_behind() {
    for seed in (0..300).chain([1_357, 1_368, 1_645, 1_699, 1_896, 3_085]) {
        run(seed, false);
    }
}

#[test]
fn parties_that_change_their_minds_are_sent_nothing_that_they_did_not_agree_to() {
    for seed in (0..200).chain([1_011, 2_059, 5_184]) {
        run(seed, true);
    }
}
