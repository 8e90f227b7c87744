//! Many calls over a network that loses, doubles and reorders.

use std::collections::{BTreeMap, VecDeque};

use super::network::{A, B, Fate, Network, sdp};
use crate::endpoint::{DialogId, Event, Refer, ReferId};
use crate::random::Random;

/// How a side stands after everything it was told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Side {
    Nothing,
    Early(DialogId),
    Talking(DialogId),
    Gone,
}

/// What a side was told of a REFER of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Told {
    Nothing,
    Accepted,
    /// Refused, its outcome told, or forgotten by its user.
    All,
}

struct Run {
    seed: u64,
    net: Network,
    random: Random,
    sides: [Side; 2],
    asked: [Option<DialogId>; 2],
    ended: [bool; 2],
    /// Each REFER, and the number in its Refer-To.
    ours: [BTreeMap<ReferId, (u64, Told)>; 2],
    /// REFERs that came and are not answered; that are accepted and not told all.
    offered: [Vec<(ReferId, u64)>; 2],
    serving: [Vec<(ReferId, u64)>; 2],
    /// What the last NOTIFY says for each Refer-To.
    outcomes: BTreeMap<u64, u16>,
    /// How many outcomes arrived.
    arrived: u32,
    /// Keys that an end pressed and the other has not been told, and how many were told.
    keys: [VecDeque<char>; 2],
    told: u32,
}

impl Run {
    fn over_tcp(seed: u64) -> Run {
        Run {
            net: Network::over_tcp(seed),
            ..Run::new(seed)
        }
    }

    fn new(seed: u64) -> Run {
        let mut net = Network::seeded(seed);
        let mut fates = Random::new(seed ^ 0x5eed);
        net.judge = Box::new(move |_, _| match fates.below(100) {
            0..20 => Fate::Lost,
            20..30 => Fate::After(vec![10, 10 + fates.below(600)]),
            30..50 => Fate::After(vec![10 + fates.below(900)]),
            _ => Fate::normal(),
        });
        let random = Random::new(seed);
        Run {
            seed,
            net,
            random,
            sides: [Side::Nothing; 2],
            asked: [None; 2],
            ended: [false; 2],
            ours: Default::default(),
            offered: Default::default(),
            serving: Default::default(),
            outcomes: BTreeMap::new(),
            arrived: 0,
            keys: Default::default(),
            told: 0,
        }
    }

    /// Takes the events of both ends, and checks that each may come now.
    fn listen(&mut self) {
        let seed = self.seed;
        self.net.pump();
        for end in [A, B] {
            for event in std::mem::take(&mut self.net.events[end]) {
                let side = &mut self.sides[end];
                let refers = matches!(event, Event::ReferAnswered { .. } | Event::ReferProgress { .. });
                assert!(refers || *side != Side::Gone, "seed {seed}: {event:?} after the end");
                match event {
                    Event::Invite { dialog, .. } => {
                        assert_eq!(*side, Side::Nothing, "seed {seed}: a second dialog");
                        *side = Side::Early(dialog);
                    }
                    Event::Progress { dialog, .. } => assert_eq!(*side, Side::Early(dialog), "seed {seed}"),
                    Event::Answered { dialog, .. } => {
                        assert_eq!(*side, Side::Early(dialog), "seed {seed}");
                        *side = Side::Talking(dialog);
                    }
                    Event::Acked { dialog, .. } | Event::ReinviteAnswered { dialog, .. } => {
                        assert_eq!(*side, Side::Talking(dialog), "seed {seed}");
                    }
                    Event::Reinvite { dialog, .. } => {
                        assert_eq!(*side, Side::Talking(dialog), "seed {seed}");
                        self.asked[end] = Some(dialog);
                    }
                    Event::ReinviteRefused { .. } => {}
                    Event::Key { dialog, key } => {
                        assert_eq!(*side, Side::Talking(dialog), "seed {seed}");
                        // Some are lost, with an INFO that was overtaken; no other than the next one may come.
                        let pressed = &mut self.keys[1 - end];
                        let at = pressed.iter().position(|it| *it == key);
                        pressed.drain(..=at.unwrap_or_else(|| panic!("seed {seed}: {key} again, or out of turn")));
                        self.told += 1;
                    }
                    Event::Refer { dialog, refer, request } => {
                        assert_eq!(*side, Side::Talking(dialog), "seed {seed}");
                        let to = request.refer_to().expect("Refer-To").uri;
                        let number = to.user().and_then(|user| user.parse().ok()).expect("a number");
                        self.offered[end].push((refer, number));
                    }
                    Event::ReferAnswered { refer, status, .. } => {
                        let (_, told) = self.ours[end].get_mut(&refer).expect("a REFER of ours");
                        assert_eq!(*told, Told::Nothing, "seed {seed}: answered twice");
                        *told = if status < 300 { Told::Accepted } else { Told::All };
                    }
                    Event::ReferProgress {
                        refer, status, last, ..
                    } => {
                        let (number, told) = self.ours[end].get_mut(&refer).expect("a REFER of ours");
                        assert_eq!(*told, Told::Accepted, "seed {seed}: {status} after the outcome");
                        if last {
                            *told = Told::All;
                        }
                        if status >= 200 && status != 408 {
                            assert_eq!(self.outcomes.get(number), Some(&status), "seed {seed}");
                            self.arrived += 1;
                        }
                    }
                    Event::Cancelled { .. } | Event::Refused { .. } | Event::Bye { .. } | Event::Ended { .. } => {
                        *side = Side::Gone
                    }
                }
            }
        }
    }

    /// Something that a user may want, or nothing.
    fn wish(&mut self) {
        let end = self.random.below(2) as usize;
        let now = self.net.now;
        let wish = self.random.below(100);
        let endpoint = &mut self.net.ends[end];
        match (self.sides[end], wish) {
            (Side::Early(dialog), 0..10) if end == B => drop(endpoint.ring(now, dialog, 180, None)),
            (Side::Early(dialog), 10..40) if end == B => {
                if endpoint.answer(now, dialog, sdp("answer"), &[]).is_ok() {
                    self.sides[end] = Side::Talking(dialog);
                }
            }
            (Side::Early(dialog), 40) if end == B => drop(endpoint.reject(now, dialog, 486, &[])),
            (Side::Talking(dialog), 0..15) => drop(endpoint.reinvite(now, dialog, sdp("offer"))),
            (Side::Talking(dialog), 15..22) => self.refer(end, dialog),
            (Side::Talking(dialog), 22..25) => drop(endpoint.probe(now, dialog)),
            (Side::Talking(dialog), 60..70) => {
                let key = char::from(b"0123456789*#ABCD"[self.random.below(16) as usize]);
                // One that is under way is not pressed again, so that each can be told from the others.
                if !self.keys[end].contains(&key) && endpoint.press(now, dialog, key).is_ok() {
                    self.keys[end].push_back(key);
                }
            }
            (_, 25..50) => self.serve(end, wish),
            (_, 50) => self.forget(end),
            (Side::Early(dialog) | Side::Talking(dialog), 98..) => {
                self.ended[end] |= endpoint.end(now, dialog, None).is_ok()
            }
            _ => {
                if let Some(dialog) = self.asked[end].take() {
                    let _ = match wish {
                        51..60 => endpoint.reject_reinvite(now, dialog, 488),
                        _ => endpoint.answer_reinvite(now, dialog, sdp("answer")),
                    };
                }
            }
        }
    }

    fn refer(&mut self, end: usize, dialog: DialogId) {
        let number = self.random.next() >> 1;
        let refer = Refer {
            to: format!("sip:{number}@c.example"),
            ..Refer::default()
        };
        if let Ok(id) = self.net.ends[end].refer(self.net.now, dialog, refer) {
            self.ours[end].insert(id, (number, Told::Nothing));
        }
    }

    /// Answers a REFER that came, or tells how it goes.
    fn serve(&mut self, end: usize, wish: u64) {
        let now = self.net.now;
        if let Some((refer, number)) = self.offered[end].pop() {
            let _ = match wish {
                25..30 => self.net.ends[end].reject_refer(now, refer, 603),
                _ => {
                    self.serving[end].push((refer, number));
                    self.net.ends[end].accept_refer(now, refer)
                }
            };
        } else if let Some((refer, number)) = self.serving[end].pop() {
            let status = 100 + self.random.below(600) as u16;
            if self.net.ends[end].notify(now, refer, status, status >= 200).is_ok() {
                if status >= 200 {
                    self.outcomes.insert(number, status);
                } else {
                    self.serving[end].push((refer, number));
                }
            }
            // In one breath with the outcome.
            if let (0..10, Side::Talking(dialog)) = (self.random.below(100), self.sides[end]) {
                self.ended[end] |= self.net.ends[end].end(now, dialog, None).is_ok();
            }
        }
    }

    fn forget(&mut self, end: usize) {
        let now = self.net.now;
        if let Some((refer, (_, told))) = self.ours[end].iter_mut().find(|(_, (_, told))| *told != Told::All) {
            self.net.ends[end].forget_refer(now, *refer).expect("it is there");
            *told = Told::All;
        }
    }
}

#[test]
fn both_sides_agree_or_both_are_gone() {
    play(Run::new);
}

#[test]
fn both_sides_agree_or_both_are_gone_over_connections_that_close_at_random() {
    play(Run::over_tcp);
}

fn play(start: fn(u64) -> Run) {
    let (mut talked, mut never, mut reinvited, mut outcomes, mut keys) = (0, 0, 0, 0, 0);
    for seed in 0..600 {
        let mut run = start(seed);
        let dialog = run.net.call();
        run.sides[A] = Side::Early(dialog);
        for _ in 0..60 {
            let pause = run.random.below(700);
            run.net.run(pause);
            run.listen();
            run.wish();
            run.listen();
        }
        talked += u32::from(matches!(run.sides, [Side::Talking(_), Side::Talking(_)]));
        // Now nobody wants anything more; every transaction comes to its end, and both sides are of one mind.
        for _ in 0..40 {
            run.net.run(5_000);
            run.listen();
            for end in [A, B] {
                if let Some(dialog) = run.asked[end].take() {
                    let _ = run.net.ends[end].answer_reinvite(run.net.now, dialog, sdp("answer"));
                }
                if let Side::Early(dialog) = run.sides[end]
                    && run.net.ends[end].end(run.net.now, dialog, None).is_ok()
                {
                    run.ended[end] = true;
                }
            }
        }
        for told in run.ours.iter().flat_map(BTreeMap::values) {
            assert_eq!(
                told.1,
                Told::All,
                "seed {seed}: a REFER without an end: {:#?}",
                run.net.trace()
            );
        }
        (outcomes, keys) = (outcomes + run.arrived, keys + run.told);
        match run.sides {
            [Side::Talking(a), Side::Talking(b)] => {
                assert_eq!(run.net.ends[A].call_id(a), run.net.ends[B].call_id(b), "seed {seed}");
                assert!(run.net.ends[A].call_id(a).is_some(), "seed {seed}");
                assert!(!run.ended[A] && !run.ended[B], "seed {seed}: ended, and still there");
                run.net.ends[A].end(run.net.now, a, None).expect("end");
            }
            [Side::Gone, Side::Gone] => {}
            // The INVITE never arrived.
            [Side::Gone, Side::Nothing] => never += 1,
            other => panic!("seed {seed}: {other:?}\n{:#?}", run.net.trace()),
        }
        run.net.finish();
        reinvited += run.net.times(A, "200 INVITE").len();
    }
    assert!(reinvited > 500, "re-INVITEs must happen: {reinvited}");
    assert!(talked > 100, "the runs must reach calls: {talked}");
    assert!(never < 5, "nearly every INVITE arrives in the end: {never}");
    assert!(keys > 500, "keys must arrive: {keys}");
    assert!(outcomes > 100, "outcomes must arrive: {outcomes}");
}
