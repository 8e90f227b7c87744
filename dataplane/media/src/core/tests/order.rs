//! Packets out of their order at the edges of a row: where an epoch begins, and what belongs to none.

use super::*;
use crate::command::{Watch, WindowId};
use crate::evidence::Evidence;

/// The nth packet of a run.
fn nth(rig: &Rig, leg: LegId, n: i16) -> Header {
    let header = rig.talkers.iter().find(|talker| talker.leg == leg).unwrap().header;
    Header {
        sequence: header.sequence.plus(n as u16),
        timestamp: header.timestamp.wrapping_add((160 * i32::from(n)) as u32),
        ..header
    }
}

/// Goes on `packets` later than it would have.
fn skip(rig: &mut Rig, leg: LegId, packets: u16) {
    let next = nth(rig, leg, packets as i16);
    let talker = rig.talker(leg);
    talker.header = next;
    talker.next += u64::from(packets) * 20 * MS;
}

fn rows(caller: Hears) -> SessionSpec {
    let watch = Some(Watch {
        window: WindowId(1),
        first_word_of: None,
    });
    SessionSpec {
        watch,
        ..spec(&[leg(CALLER, caller), leg(AI, nobody()), leg(HUMAN, nobody())])
    }
}

/// Ends the window, and says what the caller got; its own line must be whole in any case.
fn finish(rig: &mut Rig) -> Evidence {
    rig.run(200);
    rig.end();
    let caller = rig.events.iter().find_map(|(_, event)| match event {
        Event::Evidence { listeners, .. } => Some(listeners[0].1),
        _ => None,
    });
    let caller = caller.expect("no evidence came");
    let ours = (caller.lost, caller.sequence_breaks, caller.timestamp_breaks);
    assert_eq!(ours, (0, 0, 0), "{caller:?}");
    assert_eq!(caller.duplicated + caller.reordered, 0, "{caller:?}");
    caller
}

#[test]
fn a_late_or_doubled_packet_does_not_take_over_a_row() {
    // Sent before the `Set`, and by how much the one after it is older.
    for late in [-1, -2] {
        for wait_from_play in [false, true] {
            let mut rig = Rig::new();
            let old = if wait_from_play {
                plays(1, &[HOLD], true)
            } else {
                hears(AI)
            };
            rig.set(rows(old));
            rig.talk(AI, 0, [0x91, 0x11]);
            rig.talk(HUMAN, 5, [0x92, 0x12]);
            rig.run(101);
            // The second next is here already, the next is late.
            let (first, second) = (nth(&rig, HUMAN, 0), nth(&rig, HUMAN, 1));
            rig.packet(HUMAN, &second, &[0x92; 160]);
            skip(&mut rig, HUMAN, 2);
            let generation = rig.set(rows(hears(HUMAN)));
            let again = if late == -1 { first } else { nth(&rig, HUMAN, -4) };
            assert_eq!(rig.packet(HUMAN, &again, &[0x92; 160]), Verdict::Drop(Reason::Unheard));
            assert_eq!(rig.applied(generation), None);
            rig.run(100);
            assert_eq!(rig.applied(generation), Some(145 * MS));
            assert_unbroken(&rig.heard(CALLER), 40 * MS);
            finish(&mut rig);
        }
    }
}

#[test]
fn a_late_packet_does_not_begin_after_a_hold() {
    let mut rig = Rig::new();
    let held = |send: bool| {
        let mut spec = rows(hears(AI));
        spec.legs[0].send = send;
        spec
    };
    rig.set(held(true));
    rig.talk(AI, 0, LOUD);
    rig.run(101);
    rig.set(held(false));
    let (first, second) = (nth(&rig, AI, 0), nth(&rig, AI, 1));
    assert_eq!(rig.packet(AI, &second, &[0x10; 160]), Verdict::Drop(Reason::NotSending));
    skip(&mut rig, AI, 2);
    rig.set(held(true));
    assert_eq!(rig.packet(AI, &first, &[0x10; 160]), Verdict::Drop(Reason::Superseded));
    rig.run(100);
    assert_unbroken(&rig.heard(CALLER), 60 * MS);
    assert_eq!(finish(&mut rig).superseded, 1);
}

#[test]
fn a_packet_that_was_two_seconds_on_its_way_is_superseded() {
    let mut rig = Rig::new();
    rig.set(rows(hears(AI)));
    rig.talk(AI, 0, LOUD);
    rig.run(4_001);
    let late = nth(&rig, AI, -150);
    assert_eq!(rig.packet(AI, &late, &[0x10; 160]), Verdict::Drop(Reason::Superseded));
    rig.run(100);
    assert_unbroken(&rig.heard(CALLER), 20 * MS);
    assert_eq!(finish(&mut rig).superseded, 1);
}

#[test]
fn a_single_packet_far_from_its_run_makes_no_jump() {
    for far in [-150, -2_990, -3_100, 3_000, 3_050, 20_000] {
        let mut rig = Rig::new();
        rig.set(rows(hears(AI)));
        rig.talk(AI, 0, LOUD);
        rig.run(101);
        // Of the present time, so that only its number is wrong.
        let stray = Header {
            timestamp: nth(&rig, AI, 0).timestamp,
            ..nth(&rig, AI, far)
        };
        rig.packet(AI, &stray, &[0x10; 160]);
        rig.run(200);
        assert_unbroken(&rig.heard(CALLER), 20 * MS);
        finish(&mut rig);
    }
}

#[test]
fn a_run_that_starts_anew_with_the_same_ssrc_is_followed_at_once() {
    for (sequence, timestamp) in [(5, 0xffff_ff00), (60_000, 5)] {
        let mut rig = Rig::new();
        rig.set(rows(hears(AI)));
        rig.talk(AI, 0, LOUD);
        rig.run(101);
        let header = &mut rig.talker(AI).header;
        (header.sequence, header.timestamp) = (Seq(sequence), timestamp);
        rig.run(200);
        assert_unbroken(&rig.heard(CALLER), 20 * MS);
        let caller = finish(&mut rig);
        assert_eq!(
            (caller.superseded, caller.longest_gap),
            (0, Some(Duration::from_millis(20)))
        );
    }
}

#[test]
fn a_packet_that_only_taken_digits_overtook_is_no_break() {
    // `lost` numbers, a late one, two that are taken, another lost, and speech goes on.
    for lost in [0, 2] {
        let mut rig = Rig::new();
        let mut state = rows(hears(AI));
        state.legs[1].dtmf = Dtmf::Take;
        rig.set(state);
        rig.talk(AI, 0, LOUD);
        rig.run(101);
        rig.hush(AI);
        let late = nth(&rig, AI, lost);
        for n in 1..3 {
            let event = Header {
                payload_type: 101,
                timestamp: nth(&rig, AI, lost + 1).timestamp,
                ..nth(&rig, AI, lost + n)
            };
            rig.run(10);
            assert_eq!(rig.packet(AI, &event, &[5, 10, 0, 160]), Verdict::Drop(Reason::Digit));
        }
        rig.run(20);
        assert!(matches!(rig.packet(AI, &late, &[0x10; 160]), Verdict::Send { .. }));
        let now = rig.now;
        let header = nth(&rig, AI, lost + 4);
        let talker = rig.talker(AI);
        (talker.header, talker.next, talker.until) = (header, now + 10 * MS, u64::MAX);
        rig.run(50);
        let caller = finish(&mut rig);
        assert_eq!((caller.upstream_lost, caller.upstream_reordered), (lost as u64 + 1, 0));
    }
}
