//! A change of the table: no hole in any line, whatever the phases.

use super::*;
use crate::codec::g711::Law;
use crate::command::{Watch, WindowId};

/// What the caller hears before and after a `Set`.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Row {
    Ai,
    Human,
    Hold,
}

impl Row {
    fn hears(self) -> Hears {
        match self {
            Row::Ai => hears(AI),
            Row::Human => hears(HUMAN),
            Row::Hold => plays(9, &[HOLD], true),
        }
    }

    fn is(self, sent: &Sent) -> bool {
        match self {
            Row::Ai => sent.payload()[..2] == [0x91, 0x11],
            Row::Human => sent.payload()[..2] == [0x92, 0x12],
            Row::Hold => !Row::Ai.is(sent) && !Row::Human.is(sent),
        }
    }
}

/// Hands the caller over, with both legs sending every 20 ms, each in its own phase to the `Set`.
fn hand_over(old: Row, new: Row, ai: u64, human: u64, patience_ms: u64) {
    let mut rig = Rig::new();
    let legs = |row: Row| spec(&[leg(CALLER, row.hears()), leg(AI, nobody()), leg(HUMAN, nobody())]);
    rig.set(legs(old));
    rig.talk(AI, ai, [0x91, 0x11]);
    rig.talk(HUMAN, human, [0x92, 0x12]);
    rig.run(200);
    let set_at = rig.now;
    let watch = Some(Watch {
        window: WindowId(1),
        first_word_of: None,
    });
    let mut asked = SessionSpec { watch, ..legs(new) };
    rig.set(SessionSpec { watch, ..legs(old) });
    asked.legs[0].hears.patience = Duration::from_millis(patience_ms);
    let generation = rig.set(asked);
    rig.run(200);
    rig.set(legs(new));
    let heard = rig.heard(CALLER);
    let what = format!("{old:?} to {new:?}, phases {ai} {human}");
    let first = heard
        .iter()
        .position(|sent| sent.at >= set_at && new.is(sent))
        .expect(&what);
    let cut = heard[first].at - heard[first - 1].at;
    assert!(cut <= 22 * MS, "{what}: a cut of {} ms", cut / MS);
    assert!(heard[first].header().marker, "{what}");
    assert!(
        heard[first..].iter().all(|sent| new.is(sent)),
        "{what}: the old source came back"
    );
    assert!(heard[..first].iter().all(|sent| old.is(sent)), "{what}");
    assert_unbroken(&heard, 40 * MS);
    assert!(heard[first].at - set_at <= 20 * MS, "{what}");
    let applied = rig.applied(generation).expect(&what);
    let evidence = rig.events.iter().find_map(|(_, event)| match event {
        Event::Evidence { listeners, .. } => Some(listeners[0].1),
        _ => None,
    });
    let evidence = evidence.expect(&what);
    assert_eq!(evidence.longest_cut, Some(Duration::from_nanos(cut)), "{what}");
    assert_eq!(evidence.longest_gap, Some(Duration::from_millis(20)), "{what}");
    assert_eq!(
        (evidence.sequence_breaks, evidence.timestamp_breaks, evidence.lost),
        (0, 0, 0),
        "{what}"
    );
    // To a leg: with its first packet. To a prompt: at once.
    assert_eq!(
        applied,
        if new == Row::Hold { set_at } else { heard[first].at },
        "{what}"
    );
}

#[test]
fn the_cut_is_one_packet_time_in_every_phase() {
    for (old, new) in [
        (Row::Ai, Row::Hold),
        (Row::Hold, Row::Human),
        (Row::Ai, Row::Human),
        (Row::Hold, Row::Ai),
    ] {
        for ai in 0..20 {
            for human in 0..20 {
                hand_over(old, new, ai, human, 0);
                hand_over(old, new, ai, human, 5_000);
            }
        }
    }
}

#[test]
fn the_old_source_goes_on_for_60_ms_at_the_most_then_noise_stands_in() {
    let mut rig = Rig::new();
    rig.set(spec(&[leg(CALLER, hears(AI)), leg(AI, nobody()), leg(HUMAN, nobody())]));
    rig.talk(AI, 0, [0x91, 0x11]);
    rig.talk(HUMAN, 5, [0x92, 0x12]);
    rig.run(210);
    rig.hush(HUMAN);
    let generation = rig.set(spec(&[
        leg(CALLER, hears(HUMAN)),
        leg(AI, nobody()),
        leg(HUMAN, nobody()),
    ]));
    assert_eq!(rig.applied(generation), None);
    rig.run(200);
    let heard = rig.heard(CALLER);
    let last = heard.iter().rposition(|sent| Row::Ai.is(sent)).unwrap();
    assert_eq!(heard[last].at, 260 * MS);
    assert_eq!(rig.applied(generation), Some(270 * MS));
    assert_unbroken(&heard, 20 * MS);
    assert!(
        heard[last + 1..]
            .iter()
            .all(|sent| Law::Mu.mean_square(sent.payload()) < 2_604)
    );
}

#[test]
fn a_leg_that_leaves_is_not_heard_any_more() {
    let mut rig = Rig::new();
    rig.set(spec(&[
        leg(CALLER, hears(AI)),
        leg(AI, hears(CALLER)),
        leg(HUMAN, nobody()),
    ]));
    rig.talk(AI, 0, [0x91, 0x11]);
    rig.talk(HUMAN, 19, [0x92, 0x12]);
    rig.run(205);
    rig.forget();
    let generation = rig.set(spec(&[leg(CALLER, hears(HUMAN)), leg(HUMAN, hears(CALLER))]));
    assert_eq!(rig.applied(generation), Some(205 * MS));
    rig.run(100);
    let heard = rig.heard(CALLER);
    assert!(heard.iter().all(|sent| Row::Human.is(sent)));
    assert_unbroken(&heard, 20 * MS);
    assert!(rig.dropped(Reason::NoLeg) > 0);
}

#[test]
fn a_row_that_is_emptied_is_emptied_at_once() {
    let mut rig = Rig::new();
    rig.set(spec(&[leg(CALLER, hears(AI)), leg(AI, nobody())]));
    rig.talk(AI, 0, [0x91, 0x11]);
    rig.run(205);
    let generation = rig.set(spec(&[leg(CALLER, nobody()), leg(AI, nobody())]));
    assert_eq!(rig.applied(generation), Some(205 * MS));
    rig.run(100);
    let heard = rig.heard(CALLER);
    assert!(
        heard
            .iter()
            .filter(|sent| sent.at > 205 * MS)
            .all(|sent| !Row::Ai.is(sent))
    );
    assert_unbroken(&heard, 20 * MS);
}

#[test]
fn only_the_newest_of_two_states_that_wait_is_applied() {
    let mut rig = Rig::new();
    let legs = |row: Row| spec(&[leg(CALLER, row.hears()), leg(AI, nobody()), leg(HUMAN, nobody())]);
    rig.set(legs(Row::Ai));
    rig.talk(AI, 0, [0x91, 0x11]);
    rig.talk(HUMAN, 15, [0x92, 0x12]);
    rig.run(205);
    let waiting = rig.set(legs(Row::Human));
    rig.run(2);
    let newest = rig.set(legs(Row::Hold));
    rig.run(100);
    assert_eq!((rig.applied(waiting), rig.applied(newest)), (None, Some(207 * MS)));
    assert!(rig.heard(CALLER).iter().all(|sent| !Row::Human.is(sent)));
    // And back before the human was heard: nothing changes.
    let waiting = rig.set(legs(Row::Human));
    let newest = rig.set(legs(Row::Hold));
    rig.run(100);
    assert_eq!((rig.applied(waiting), rig.applied(newest)), (None, Some(307 * MS)));
    assert_unbroken(&rig.heard(CALLER), 20 * MS);
    assert!(rig.heard(CALLER).iter().all(|sent| !Row::Human.is(sent)));
}

#[test]
fn a_source_that_is_silent_already_is_not_waited_for() {
    let mut rig = Rig::new();
    rig.set(spec(&[leg(CALLER, hears(AI)), leg(AI, nobody()), leg(HUMAN, nobody())]));
    rig.talk(AI, 0, [0x91, 0x11]);
    rig.talk(HUMAN, 5, [0x92, 0x12]);
    rig.run(110);
    rig.hush(HUMAN);
    rig.run(100);
    let generation = rig.set(spec(&[
        leg(CALLER, hears(HUMAN)),
        leg(AI, nobody()),
        leg(HUMAN, nobody()),
    ]));
    assert_eq!(rig.applied(generation), Some(210 * MS));
    rig.run(100);
    let heard = rig.heard(CALLER);
    assert!(
        heard
            .iter()
            .filter(|sent| sent.at > 210 * MS)
            .all(|sent| !Row::Ai.is(sent))
    );
    assert_unbroken(&heard, 20 * MS);
}

#[test]
fn a_listener_that_is_not_sent_to_waits_for_nobody() {
    let mut rig = Rig::new();
    let held = |row: Hears| LegSpec {
        send: false,
        ..leg(CALLER, row)
    };
    rig.set(spec(&[held(hears(AI)), leg(AI, nobody()), leg(HUMAN, nobody())]));
    rig.talk(AI, 0, [0x91, 0x11]);
    rig.talk(HUMAN, 5, [0x92, 0x12]);
    rig.run(110);
    let generation = rig.set(spec(&[held(hears(HUMAN)), leg(AI, nobody()), leg(HUMAN, nobody())]));
    assert_eq!(rig.applied(generation), Some(110 * MS));
}

#[test]
fn a_late_packet_from_before_the_silence_does_not_come_back_as_new() {
    let mut rig = Rig::new();
    rig.set(spec(&[leg(CALLER, hears(AI)), leg(AI, nobody())]));
    rig.talk(AI, 0, [0x91, 0x11]);
    rig.run(105);
    let mut late = rig.talkers[0].header;
    late.sequence = late.sequence.plus(0u16.wrapping_sub(2));
    late.timestamp -= 320;
    rig.hush(AI);
    rig.run(200);
    assert_eq!(rig.packet(AI, &late, &[0x10; 160]), Verdict::Drop(Reason::Superseded));
    rig.talker(AI).until = u64::MAX;
    rig.talker(AI).next = rig.now;
    rig.run(50);
    assert_eq!(rig.packet(AI, &late, &[0x10; 160]), Verdict::Drop(Reason::Superseded));
    assert_unbroken(&rig.heard(CALLER), 60 * MS);
}
