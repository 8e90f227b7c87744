//! Each figure moves with its fault, and no other does.

use super::*;
use crate::command::{Watch, WindowId};
use crate::core::Loss;
use crate::evidence::Evidence;

const WINDOW: WindowId = WindowId(7);

/// Silence in µ-law, as a talker who does not speak sends it.
const QUIET: [u8; 2] = [0xff, 0xff];

fn watched(legs: &[LegSpec], first_word_of: Option<LegId>) -> SessionSpec {
    SessionSpec {
        watch: Some(Watch {
            window: WINDOW,
            first_word_of,
        }),
        ..spec(legs)
    }
}

fn evidence(rig: &Rig, leg: LegId) -> Evidence {
    let mut closed = rig.events.iter().filter_map(|(_, event)| match event {
        Event::Evidence {
            window: WINDOW,
            listeners,
            ..
        } => Some(listeners),
        _ => None,
    });
    let listeners = closed.next().expect("no evidence came");
    assert!(closed.next().is_none(), "the window closed twice");
    listeners
        .iter()
        .find(|(id, _)| *id == leg)
        .expect("the leg has no evidence")
        .1
}

fn ms(ms: u64) -> Option<Duration> {
    Some(Duration::from_millis(ms))
}

/// The caller hears the AI; a second of it is watched, and the fault comes in its middle, 10 ms before a packet.
fn with(fault: impl FnOnce(&mut Rig)) -> Evidence {
    let mut rig = Rig::new();
    let legs = [leg(CALLER, hears(AI)), leg(AI, nobody()), leg(HUMAN, nobody())];
    rig.set(spec(&legs));
    rig.talk(AI, 0, LOUD);
    rig.run(110);
    rig.set(watched(&legs, None));
    rig.run(400);
    fault(&mut rig);
    let end = 1_110 * MS - rig.now;
    rig.run_ns(end);
    rig.set(spec(&legs));
    assert_conserved(&mut rig);
    evidence(&rig, CALLER)
}

fn clean() -> Evidence {
    Evidence {
        sent: 50,
        longest_gap: ms(20),
        dead_air: ms(0),
        concealed: ms(0),
        ..Evidence::default()
    }
}

#[test]
fn a_clean_window() {
    assert_eq!(with(|_| ()), clean());
}

#[test]
fn upstream_lost() {
    let lost = with(|rig| rig.talker(AI).header.sequence = rig.talkers[0].header.sequence.plus(3));
    assert_eq!(
        lost,
        Evidence {
            upstream_lost: 3,
            ..clean()
        }
    );
}

#[test]
fn upstream_reordered() {
    let swapped = with(|rig| {
        let (first, payload) = (rig.talkers[0].header, rig.talkers[0].payload.clone());
        let second = Header {
            sequence: first.sequence.next(),
            timestamp: first.timestamp + 160,
            ..first
        };
        rig.run(10);
        rig.talker(AI).next += 40 * MS;
        rig.talker(AI).header.sequence = second.sequence.next();
        rig.talker(AI).header.timestamp = second.timestamp + 160;
        rig.packet(AI, &second, &payload);
        rig.run(20);
        rig.packet(AI, &first, &payload);
    });
    assert_eq!(
        swapped,
        Evidence {
            upstream_reordered: 1,
            ..clean()
        }
    );
}

#[test]
fn upstream_duplicated() {
    let doubled = with(|rig| {
        rig.run(15);
        let mut again = rig.talkers[0].header;
        again.sequence = again.sequence.plus(u16::MAX);
        again.timestamp -= 160;
        let payload = rig.talkers[0].payload.clone();
        rig.packet(AI, &again, &payload);
    });
    assert_eq!(
        doubled,
        Evidence {
            upstream_duplicated: 1,
            sent: 51,
            ..clean()
        }
    );
}

#[test]
fn lost_on_the_way_in_is_ours_and_not_upstreams() {
    let lost = with(|rig| {
        rig.talker(AI).header.sequence = rig.talkers[0].header.sequence.plus(2);
        let now = rig.instant();
        rig.core.handle_loss(now, Loss::Received(port(AI), 2));
        rig.core.handle_loss(now, Loss::Received(port(HUMAN), 5));
    });
    assert_eq!(lost, Evidence { lost: 2, ..clean() });
}

#[test]
fn lost_on_the_way_out() {
    let lost = with(|rig| {
        let now = rig.instant();
        rig.core.handle_loss(now, Loss::Sent(port(CALLER), 1));
        rig.core.handle_loss(now, Loss::Sent(port(AI), 1));
        assert_eq!(rig.core.counters().lost, 2);
    });
    assert_eq!(lost, Evidence { lost: 1, ..clean() });
}

#[test]
fn lost_for_want_of_a_buffer() {
    let mut config = config();
    config.pending = 0;
    let mut rig = Rig::with(config);
    let legs = [leg(CALLER, nobody()), leg(AI, hears(CALLER)), leg(HUMAN, hears(CALLER))];
    rig.set(watched(&legs, None));
    rig.talk(CALLER, 0, LOUD);
    rig.run(200);
    rig.set(spec(&legs));
    let (ai, human) = (evidence(&rig, AI), evidence(&rig, HUMAN));
    assert_eq!((ai.sent, ai.lost, ai.sequence_breaks), (0, 10, 0));
    assert_eq!((human.sent, human.lost), (10, 0));
    assert_eq!(rig.core.counters().lost, 10);
}

#[test]
fn longest_gap() {
    let late = with(|rig| {
        rig.talker(AI).next += 15 * MS;
        rig.run(26);
        rig.talker(AI).next -= 15 * MS;
    });
    assert_eq!(
        late,
        Evidence {
            longest_gap: ms(35),
            ..clean()
        }
    );
}

#[test]
fn dead_air_is_what_lasts_300_ms_and_is_below_minus_50() {
    let quiet = |packets: u64, bytes: [u8; 2]| {
        with(|rig| {
            let speech = rig.talkers[0].payload.clone();
            rig.talker(AI).payload = bytes.iter().copied().cycle().take(160).collect();
            rig.run(packets * 20);
            rig.talker(AI).payload = speech;
        })
    };
    assert_eq!(quiet(14, QUIET), clean());
    assert_eq!(
        quiet(15, QUIET),
        Evidence {
            dead_air: ms(300),
            ..clean()
        }
    );
    assert_eq!(
        quiet(20, QUIET),
        Evidence {
            dead_air: ms(400),
            ..clean()
        }
    );
    // ±48 is −51 dBm0, ±56 is −49.6.
    let codes = |sample| {
        [
            crate::codec::g711::encode_ulaw(sample),
            crate::codec::g711::encode_ulaw(-sample),
        ]
    };
    assert_eq!(
        quiet(20, codes(48)),
        Evidence {
            dead_air: ms(400),
            ..clean()
        }
    );
    assert_eq!(quiet(20, codes(56)), clean());
}

#[test]
fn concealed_and_the_gap_before_it() {
    let silent = with(|rig| {
        rig.talker(AI).next += 100 * MS;
        rig.talker(AI).header.timestamp += 800;
        rig.run(130);
    });
    // The last packet was 10 ms before the fault: noise at 60, 80, 100 ms after it, speech again at 120.
    assert_eq!(silent.concealed, ms(60));
    assert_eq!(
        silent,
        Evidence {
            concealed: ms(60),
            longest_gap: ms(60),
            sent: 48,
            ..clean()
        }
    );
}

#[test]
fn superseded_and_the_cut() {
    let mut rig = Rig::new();
    let before = [leg(CALLER, hears(AI)), leg(AI, nobody()), leg(HUMAN, nobody())];
    let after = [leg(CALLER, hears(HUMAN)), leg(AI, nobody()), leg(HUMAN, nobody())];
    rig.set(watched(&before, None));
    rig.talk(AI, 0, LOUD);
    rig.talk(HUMAN, 13, LOUD);
    rig.run(105);
    rig.set(watched(&after, None));
    rig.run(50);
    let mut late = rig.talkers[0].header;
    late.sequence = late.sequence.plus(0u16.wrapping_sub(5));
    assert_eq!(rig.packet(AI, &late, &[0; 160]), Verdict::Drop(Reason::Superseded));
    // A new packet of it is just not heard.
    let new = rig.talkers[0].header;
    assert_eq!(rig.packet(AI, &new, &[0; 160]), Verdict::Drop(Reason::Unheard));
    rig.run(45);
    rig.set(spec(&after));
    let caller = evidence(&rig, CALLER);
    let expected = Evidence {
        sent: 11,
        superseded: 1,
        longest_cut: ms(13),
        longest_gap: ms(20),
        dead_air: ms(0),
        concealed: ms(0),
        ..Evidence::default()
    };
    assert_eq!(caller, expected);
    assert_eq!(rig.dropped(Reason::Superseded), 1);
}

#[test]
fn a_whole_handoff_is_clean_and_the_first_word_closes_it() {
    let mut rig = Rig::new();
    let human = leg(HUMAN, nobody());
    let talk = [leg(CALLER, hears(AI)), leg(AI, hears(CALLER))];
    let hold = [leg(CALLER, plays(1, &[HOLD], true)), leg(AI, nobody()), human];
    let join = [leg(CALLER, hears(HUMAN)), leg(AI, nobody()), leg(HUMAN, hears(CALLER))];
    let done = [leg(CALLER, hears(HUMAN)), leg(HUMAN, hears(CALLER))];
    rig.set(spec(&talk));
    rig.talk(AI, 0, LOUD);
    rig.talk(CALLER, 11, LOUD);
    rig.run(500);
    rig.set(watched(&hold, None));
    rig.run(500);
    rig.talk(HUMAN, 7, QUIET);
    rig.run(500);
    rig.set(watched(&join, Some(HUMAN)));
    rig.run(100);
    rig.set(watched(&done, Some(HUMAN)));
    rig.run(300);
    // One loud packet is a click, three are a word.
    rig.talker(HUMAN).payload = LOUD.iter().copied().cycle().take(160).collect();
    rig.run(20);
    rig.talker(HUMAN).payload = QUIET.iter().copied().cycle().take(160).collect();
    rig.run(100);
    rig.talker(HUMAN).payload = LOUD.iter().copied().cycle().take(160).collect();
    rig.run(200);
    let word = rig.start + Duration::from_millis(2_027);
    assert!(rig.events.contains(&(
        2_067 * MS,
        Event::FirstWord {
            session: CALL,
            window: WINDOW,
            at: word
        }
    )));
    let caller = evidence(&rig, CALLER);
    // The last hold music ends at 1,520 ms; the click is at 1,907 to 1,927; the word comes 100 ms later.
    assert_eq!(caller.dead_air, ms(387));
    assert_eq!((caller.longest_cut, caller.longest_gap), (ms(20), ms(20)));
    assert_eq!(
        (
            caller.sequence_breaks,
            caller.timestamp_breaks,
            caller.lost,
            caller.superseded
        ),
        (0, 0, 0, 0)
    );
    // The AI left before the window closed; it has its evidence all the same.
    let ai = evidence(&rig, AI);
    assert!(ai.sent > 50 && ai.sequence_breaks == 0 && ai.timestamp_breaks == 0);
    // The Set that still carries the window does not open it again.
    rig.forget();
    rig.set(watched(&done, Some(HUMAN)));
    rig.run(11_000);
    assert!(
        !rig.events
            .iter()
            .any(|(_, event)| matches!(event, Event::Evidence { .. } | Event::FirstWord { .. }))
    );
    assert_conserved(&mut rig);
}

#[test]
fn a_window_without_a_word_closes_after_10_s_and_at_the_end() {
    let mut rig = Rig::new();
    let legs = [leg(CALLER, hears(HUMAN)), leg(HUMAN, hears(CALLER))];
    rig.set(watched(&legs, Some(HUMAN)));
    rig.run(9_999);
    assert!(
        !rig.events
            .iter()
            .any(|(_, event)| matches!(event, Event::Evidence { .. }))
    );
    rig.run(2);
    assert_eq!(evidence(&rig, CALLER).dead_air, ms(10_000));
    rig.forget();
    let watch = Some(Watch {
        window: WindowId(8),
        first_word_of: None,
    });
    rig.set(SessionSpec { watch, ..spec(&legs) });
    rig.end();
    let kinds: Vec<_> = rig
        .events
        .iter()
        .map(|(_, event)| std::mem::discriminant(event))
        .collect();
    assert_eq!(kinds.len(), 3);
    assert!(matches!(
        rig.events[1].1,
        Event::Evidence {
            window: WindowId(8),
            ..
        }
    ));
    assert_eq!(rig.events[2].1, Event::Ended { session: CALL });
    assert_conserved(&mut rig);
}

#[test]
fn who_is_there_at_the_end_has_its_evidence_however_many_left() {
    let mut rig = Rig::new();
    let caller = || leg(CALLER, plays(1, &[HOLD], true));
    for human in 1..=6 {
        rig.set(watched(&[caller(), leg(LegId(human), nobody())], None));
        rig.run(100);
    }
    rig.end();
    assert!(evidence(&rig, CALLER).sent >= 30);
    // Four have room: those that are there, then those that left last.
    for human in [4, 5, 6] {
        assert!(evidence(&rig, LegId(human)).sent > 0);
    }
}

#[test]
fn a_hold_is_neither_a_gap_nor_dead_air() {
    for ends_held in [false, true] {
        let mut rig = Rig::new();
        let legs = |send: bool| {
            let caller = LegSpec {
                send,
                ..leg(CALLER, hears(AI))
            };
            [caller, leg(AI, nobody())]
        };
        rig.set(watched(&legs(true), None));
        rig.talk(AI, 0, LOUD);
        rig.run(210);
        rig.set(watched(&legs(false), None));
        rig.run(1_000);
        if !ends_held {
            rig.set(watched(&legs(true), None));
            rig.run(200);
        }
        rig.end();
        let sent = if ends_held { 11 } else { 21 };
        assert_eq!(evidence(&rig, CALLER), Evidence { sent, ..clean() });
        assert_unbroken(&rig.heard(CALLER), 1_020 * MS);
    }
}

#[test]
fn what_found_no_buffer_before_the_window_is_no_break_in_it() {
    let mut config = config();
    config.pending = 1;
    let mut rig = Rig::with(config);
    let legs = [leg(CALLER, nobody()), leg(AI, hears(CALLER)), leg(HUMAN, hears(CALLER))];
    rig.set(spec(&legs));
    rig.talk(CALLER, 0, LOUD);
    rig.run(90);
    // Two packets before anybody fetches: the second copy finds no room.
    for _ in 0..2 {
        let header = rig.talkers[0].header;
        rig.talker(CALLER).header = Header {
            sequence: header.sequence.next(),
            timestamp: header.timestamp + 160,
            ..header
        };
        let mut buffer = [0; 2048];
        header.write(&mut buffer);
        let now = rig.instant();
        rig.core
            .handle_packet(now, port(CALLER), remote(CALLER), &mut buffer, 172);
    }
    assert_eq!(rig.core.counters().lost, 1);
    rig.drain();
    rig.set(watched(&legs, None));
    rig.run(100);
    rig.end();
    let ai = evidence(&rig, AI);
    assert_eq!((ai.lost, ai.sequence_breaks, ai.timestamp_breaks), (0, 0, 0), "{ai:?}");
}

#[test]
fn the_last_packet_before_the_window_counts_for_gap_and_doubles() {
    let mut rig = Rig::new();
    let legs = [leg(CALLER, hears(AI)), leg(AI, nobody())];
    rig.set(spec(&legs));
    rig.talk(AI, 0, LOUD);
    rig.run(110);
    let mut again = rig.talkers[0].header;
    again.sequence = again.sequence.plus(u16::MAX);
    again.timestamp -= 160;
    rig.set(watched(&legs, None));
    rig.talker(AI).next += 15 * MS;
    rig.run(100);
    rig.end();
    assert_eq!(evidence(&rig, CALLER).longest_gap, ms(35));

    let mut rig = Rig::new();
    rig.set(spec(&legs));
    rig.talk(AI, 0, LOUD);
    rig.run(110);
    rig.set(watched(&legs, None));
    rig.packet(AI, &again, &[0x10; 160]);
    rig.run(100);
    rig.end();
    let caller = evidence(&rig, CALLER);
    assert_eq!((caller.upstream_duplicated, caller.upstream_reordered), (1, 0));
}

#[test]
fn dead_air_before_a_hold_and_of_a_leg_that_leaves_counts() {
    let mut rig = Rig::new();
    let caller = |send: bool| LegSpec {
        send,
        ..leg(CALLER, nobody())
    };
    // Both are sent comfort noise and nothing else.
    rig.set(watched(&[caller(true), leg(AI, nobody())], None));
    rig.run(400);
    rig.set(watched(&[caller(false), leg(AI, nobody())], None));
    rig.run(100);
    rig.set(watched(&[caller(false)], None));
    rig.run(1_000);
    rig.end();
    assert_eq!(evidence(&rig, CALLER).dead_air, ms(400));
    assert_eq!(evidence(&rig, AI).dead_air, ms(500));
}

#[test]
fn a_relayed_key_is_no_dead_air() {
    let pressed = with(|rig| {
        let key = rig.talkers[0].header;
        let payload = std::mem::replace(&mut rig.talker(AI).payload, vec![5, 10, 0, 160]);
        rig.talker(AI).header.payload_type = 101;
        for packet in 1..=20u16 {
            let duration = (160 * packet).to_be_bytes();
            rig.talker(AI).payload[2..].copy_from_slice(&duration);
            rig.talker(AI).header.timestamp = key.timestamp;
            rig.run(20);
        }
        let talker = rig.talker(AI);
        talker.payload = payload;
        talker.header.payload_type = 0;
        talker.header.timestamp = key.timestamp + 20 * 160;
    });
    assert_eq!(pressed, clean());
}

#[test]
fn what_is_dropped_at_a_leg_that_a_row_only_waits_for_is_not_its_loss() {
    let mut rig = Rig::new();
    let legs = |row: Hears| [leg(CALLER, row), leg(AI, nobody()), leg(HUMAN, nobody())];
    rig.set(watched(&legs(hears(AI)), None));
    rig.talk(AI, 0, LOUD);
    rig.talk(HUMAN, 15, LOUD);
    rig.run(105);
    rig.set(watched(&legs(hears(HUMAN)), None));
    let now = rig.instant();
    rig.core.handle_loss(now, Loss::Received(port(HUMAN), 3));
    rig.core.handle_loss(now, Loss::Received(port(AI), 1));
    rig.run(50);
    rig.end();
    assert_eq!(evidence(&rig, CALLER).lost, 1);
}
