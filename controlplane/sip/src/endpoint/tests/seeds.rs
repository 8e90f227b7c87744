//! Many calls over a network that loses, doubles and reorders.

use super::network::{A, B, Fate, Network, sdp};
use crate::endpoint::{DialogId, Event};
use crate::random::Random;

/// How a side stands after everything it was told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Side {
    Nothing,
    Early(DialogId),
    Talking(DialogId),
    Gone,
}

struct Run {
    net: Network,
    random: Random,
    sides: [Side; 2],
    asked: [Option<DialogId>; 2],
    ended: [bool; 2],
}

impl Run {
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
            net,
            random,
            sides: [Side::Nothing; 2],
            asked: [None; 2],
            ended: [false; 2],
        }
    }

    /// Takes the events of both ends, and checks that each may come now.
    fn listen(&mut self, seed: u64) {
        self.net.pump();
        for end in [A, B] {
            for event in std::mem::take(&mut self.net.events[end]) {
                let side = &mut self.sides[end];
                assert_ne!(*side, Side::Gone, "seed {seed}: {event:?} after the end");
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
                    Event::Refer { .. } | Event::ReferAnswered { .. } | Event::ReferProgress { .. } => {}
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
            (Side::Early(dialog) | Side::Talking(dialog), 98..) => {
                self.ended[end] |= endpoint.end(now, dialog, None).is_ok()
            }
            _ => {
                if let Some(dialog) = self.asked[end].take() {
                    let _ = match wish {
                        41..50 => endpoint.reject_reinvite(now, dialog, 488),
                        _ => endpoint.answer_reinvite(now, dialog, sdp("answer")),
                    };
                }
            }
        }
    }
}

#[test]
fn both_sides_agree_or_both_are_gone() {
    let (mut talked, mut never, mut reinvited) = (0, 0, 0);
    for seed in 0..500 {
        let mut run = Run::new(seed);
        let dialog = run.net.call();
        run.sides[A] = Side::Early(dialog);
        for _ in 0..60 {
            let pause = run.random.below(700);
            run.net.run(pause);
            run.listen(seed);
            run.wish();
            run.listen(seed);
        }
        talked += u32::from(matches!(run.sides, [Side::Talking(_), Side::Talking(_)]));
        // Now nobody wants anything more; every transaction comes to its end, and both sides are of one mind.
        for _ in 0..40 {
            run.net.run(5_000);
            run.listen(seed);
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
}
