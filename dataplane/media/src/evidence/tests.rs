//! Faults of our own, which the core does not make: the meter sees them in the packets.

use super::*;
use crate::command::PlayId;
use crate::leg::Slot;

const STEP: u64 = 20_000_000;

fn relayed(n: u16) -> Outgoing {
    Outgoing {
        ssrc: 1,
        sequence: Seq(65_530).plus(n),
        timestamp: 4_294_967_000u32.wrapping_add(160 * u32::from(n)),
        clock: crate::clock::Clock::hz(8000),
        duration: 160,
        sound: Sound::Audio,
        origin: Origin::Leg(Slot(1)),
        missing: 0,
        ticks: Some(160),
        rounded: false,
        arrival: Some(Arrival::Ahead { missing: 0 }),
        level: None,
    }
}

/// Ten packets, 20 ms apart, after `fault` has changed them.
fn measured(fault: impl FnOnce(&mut Vec<Outgoing>)) -> Evidence {
    let mut packets: Vec<_> = (0..10).map(relayed).collect();
    fault(&mut packets);
    let mut meter = Meter::default();
    meter.open(0);
    for (n, packet) in packets.iter().enumerate() {
        meter.sent(n as u64 * STEP, packet, Word::Another, By::Level, || Some(u32::MAX));
    }
    meter.close(9 * STEP).unwrap()
}

fn clean() -> Evidence {
    Evidence {
        sent: 10,
        longest_gap: Some(Duration::from_millis(20)),
        dead_air: Some(Duration::ZERO),
        concealed: Some(Duration::ZERO),
        ..Evidence::default()
    }
}

#[test]
fn nothing_moves_without_a_fault() {
    assert_eq!(measured(|_| ()), clean());
}

#[test]
fn reordered() {
    assert_eq!(
        measured(|packets| packets.swap(4, 5)),
        Evidence {
            reordered: 1,
            ..clean()
        }
    );
}

#[test]
fn duplicated() {
    let doubled = measured(|packets| packets.insert(4, packets[3]));
    assert_eq!(
        doubled,
        Evidence {
            duplicated: 1,
            sent: 11,
            ..clean()
        }
    );
}

#[test]
fn sequence_breaks() {
    let jump = |packets: &mut Vec<Outgoing>| {
        for packet in &mut packets[5..] {
            packet.sequence = packet.sequence.plus(7);
        }
    };
    assert_eq!(
        measured(jump),
        Evidence {
            sequence_breaks: 1,
            ..clean()
        }
    );
    // What upstream passed over explains it, and nothing else does.
    let explained = |missing| {
        move |packets: &mut Vec<Outgoing>| {
            jump(packets);
            packets[5].missing = missing;
        }
    };
    assert_eq!(measured(explained(7)), clean());
    assert_eq!(
        measured(explained(6)),
        Evidence {
            sequence_breaks: 1,
            ..clean()
        }
    );
}

#[test]
fn timestamp_breaks() {
    let jump = |ticks: u32| {
        move |packets: &mut Vec<Outgoing>| {
            for packet in &mut packets[5..] {
                packet.timestamp = packet.timestamp.wrapping_add(ticks);
            }
        }
    };
    for ticks in [8_000, 1_000, 0u32.wrapping_sub(1), 0u32.wrapping_sub(8_000)] {
        assert_eq!(
            measured(jump(ticks)),
            Evidence {
                timestamp_breaks: 1,
                ..clean()
            },
            "{ticks}"
        );
    }
    let explained = measured(|packets| {
        jump(8_000)(packets);
        packets[5].ticks = Some(8_160);
    });
    assert_eq!(explained, clean());
}

/// The end of a key that we tell in three packets at once says 100 ms, 20 ms after it began: by so much the line is ahead, and a packet
/// may come later than time.
#[test]
fn a_key_of_ours_that_is_longer_than_the_time_it_took_puts_the_line_ahead() {
    let event = |duration| Outgoing {
        sound: Sound::Event,
        duration,
        origin: Origin::StandIn,
        ticks: None,
        arrival: None,
        ..relayed(0)
    };
    let audio = |after: u32| Outgoing {
        timestamp: relayed(0).timestamp.wrapping_add(after),
        ticks: None,
        arrival: None,
        origin: Origin::StandIn,
        ..relayed(0)
    };
    let breaks = |ends: u32, late_ms: u64| {
        let mut meter = Meter::default();
        meter.open(0);
        let packets = [
            (0, event(160)),
            (20, event(ends)),
            (20, event(ends)),
            (20, event(ends)),
            (20, audio(ends)),
            (40 + late_ms, audio(ends + 160)),
        ];
        for (n, (at, packet)) in packets.into_iter().enumerate() {
            let sequence = packet.sequence.plus(n as u16);
            let packet = Outgoing { sequence, ..packet };
            meter.sent(at * 1_000_000, &packet, Word::Another, By::Level, || Some(u32::MAX));
        }
        meter.close(500_000_000).unwrap().timestamp_breaks
    };
    assert_eq!((breaks(800, 59), breaks(800, 119), breaks(800, 121)), (0, 0, 1));
    assert_eq!((breaks(320, 59), breaks(320, 61)), (0, 1));
}

#[test]
fn a_timestamp_that_stands_still_over_a_pause_is_a_break() {
    let mut meter = Meter::default();
    meter.open(0);
    let play = |n| Outgoing {
        origin: Origin::Play(PlayId(1)),
        ticks: None,
        arrival: None,
        ..relayed(n)
    };
    meter.sent(0, &play(0), Word::Another, By::Level, || Some(u32::MAX));
    meter.sent(1_000_000_000, &play(1), Word::Another, By::Level, || Some(u32::MAX));
    assert_eq!(meter.close(1_000_000_000).unwrap().timestamp_breaks, 1);
}

#[test]
fn what_was_not_measured_is_none() {
    let mut meter = Meter::default();
    assert_eq!(meter.close(5), None);
    meter.sent(0, &relayed(0), Word::Another, By::Level, || Some(u32::MAX));
    meter.open(STEP);
    assert_eq!(
        meter
            .close(2 * STEP)
            .map(|e| (e.sent, e.longest_gap, e.longest_cut, e.skipped)),
        Some((0, None, None, None))
    );
}

#[test]
fn a_single_number_that_is_passed_over_is_a_break() {
    let jump = |packets: &mut Vec<Outgoing>| {
        packets.remove(5);
        packets.push(relayed(10));
    };
    assert_eq!(
        Evidence {
            timestamp_breaks: 0,
            ..measured(jump)
        },
        Evidence {
            sequence_breaks: 1,
            ..clean()
        }
    );
}

#[test]
fn beside_an_ear_the_level_finds_what_lasts_a_second() {
    for (by, packets) in [(By::Level, 3), (By::Ear, 50)] {
        let mut meter = Meter::default();
        meter.open(0);
        for n in 0..packets {
            let at = u64::from(n) * STEP;
            let began = meter.sent(at, &relayed(n), Word::Of, by, || Some(u32::MAX));
            assert_eq!(began, (n + 1 == packets).then_some(0), "{by:?} {n}");
        }
    }
}

#[test]
fn a_word_has_no_pause_of_60_ms_in_it() {
    for (step, is_one) in [(79, true), (81, false)] {
        let mut meter = Meter::default();
        meter.open(0);
        let mut began = None;
        for n in 0..2 {
            began = began.or(meter.sent(
                u64::from(n) * step * 1_000_000,
                &relayed(n),
                Word::Of,
                By::Level,
                || Some(u32::MAX),
            ));
        }
        assert_eq!(began.is_some(), is_one, "{step} ms");
    }
}
