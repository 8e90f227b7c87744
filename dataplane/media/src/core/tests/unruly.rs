//! Mixes whose sources do not keep to the rules, and states that change under them.

use super::dtmf::Press;
use super::mixing::{all, assert_returned, count, evidence, level, rig, samples, sing, watched};
use super::*;
use crate::dtmf::Event as Digit;
use crate::evidence::Evidence;

/// The caller hears the AI and the human, in a codec; nobody else hears anybody.
fn room(codec: Codec) -> [LegSpec; 3] {
    [
        leg_in(CALLER, codec, all(&[AI, HUMAN])),
        leg_in(AI, codec, nobody()),
        leg_in(HUMAN, codec, nobody()),
    ]
}

/// So many packets of a talker never come, as if it had not said them.
fn skip(rig: &mut Rig, leg: LegId, packets: u16, ticks: u32) {
    let talker = rig.talker(leg);
    talker.header.sequence = talker.header.sequence.plus(packets);
    talker.header.timestamp = talker.header.timestamp.wrapping_add(ticks);
}

/// Keys on somebody's line: the timestamp of each, and whether it has the marker and the end.
fn keys(sent: &[Sent]) -> Vec<(u32, Digit)> {
    let keys = sent.iter().filter(|sent| sent.header().payload_type == 101);
    keys.map(|sent| (sent.header().timestamp, Digit::parse(sent.payload()).unwrap()))
        .collect()
}

fn distinct(keys: &[(u32, Digit)]) -> Vec<u8> {
    let mut seen: Vec<(u32, u8)> = Vec::new();
    for &(timestamp, event) in keys {
        if seen.iter().all(|&(at, _)| at != timestamp) {
            seen.push((timestamp, event.code));
        }
    }
    seen.into_iter().map(|(_, code)| code).collect()
}

/// A line's sound goes forward in time, and keys between do not take it back.
fn assert_forward(sent: &[Sent]) {
    for pair in sent.windows(2) {
        let (a, b) = (pair[0].header(), pair[1].header());
        assert_eq!(b.sequence, a.sequence.next());
        let step = timestamp_distance(b.timestamp, a.timestamp);
        assert!(step >= 0, "back by {step} at {} ms", pair[1].at / MS);
    }
}

/// What was measured while something happened in the room.
fn measured(rig: &mut Rig, legs: &[LegSpec], happens: impl FnOnce(&mut Rig)) -> Evidence {
    rig.set(watched(legs, None));
    happens(rig);
    rig.set(spec(legs));
    evidence(rig, legs[0].leg)
}

fn pressed() -> (Rig, [LegSpec; 3]) {
    let mut rig = rig();
    let legs = room(Codec::Pcmu);
    rig.set(spec(&legs));
    rig.talk(AI, 0, LOUD);
    rig.talk(HUMAN, 7, LOUD);
    rig.run(300);
    (rig, legs)
}

#[test]
fn two_keys_that_are_down_at_once_are_two() {
    let (mut rig, legs) = pressed();
    rig.hush(AI);
    rig.hush(HUMAN);
    let (mut one, mut two) = (Press::new(&mut rig, AI, 5), Press::new(&mut rig, HUMAN, 9));
    let figures = measured(&mut rig, &legs, |rig| {
        for _ in 0..6 {
            one.packet(rig, AI, false);
            rig.run(10);
            two.packet(rig, HUMAN, false);
            rig.run(10);
        }
        for _ in 0..3 {
            one.packet(rig, AI, true);
            rig.run(10);
            two.packet(rig, HUMAN, true);
            rig.run(10);
        }
        rig.run(100);
    });
    let sent = rig.heard(CALLER);
    assert_eq!(distinct(&keys(&sent)), [5, 9]);
    assert_forward(&sent);
    assert_eq!((figures.timestamp_breaks, figures.sequence_breaks), (0, 0));
}

/// Some send a key's packets 50 ms apart (RFC 4733 §2.5.1.2): where one of them is lost the mix has gone on.
#[test]
fn a_key_of_which_a_packet_is_lost_does_not_take_the_line_back() {
    let (mut rig, legs) = pressed();
    rig.hush(AI);
    let mut press = Press::new(&mut rig, AI, 5);
    let figures = measured(&mut rig, &legs, |rig| {
        press.packet(rig, AI, false);
        rig.run(100);
        press.packet(rig, AI, false);
        rig.run(50);
        for _ in 0..3 {
            press.packet(rig, AI, true);
            rig.run(20);
        }
        rig.run(100);
    });
    let sent = rig.heard(CALLER);
    assert_eq!(distinct(&keys(&sent)), [5]);
    assert_forward(&sent);
    assert_eq!((figures.timestamp_breaks, figures.sequence_breaks), (0, 0));
}

#[test]
fn a_key_whose_end_comes_three_times_20_ms_apart_does_not_take_the_line_back() {
    let (mut rig, legs) = pressed();
    rig.hush(AI);
    let mut press = Press::new(&mut rig, AI, 5);
    let figures = measured(&mut rig, &legs, |rig| {
        for _ in 0..5 {
            press.packet(rig, AI, false);
            rig.run(20);
        }
        for _ in 0..3 {
            press.packet(rig, AI, true);
            rig.run(20);
        }
        rig.run(100);
    });
    let sent = rig.heard(CALLER);
    let keys = keys(&sent);
    assert_eq!(distinct(&keys), [5]);
    assert!(keys.iter().filter(|(_, event)| event.end).count() >= 1);
    assert_forward(&sent);
    assert_eq!((figures.timestamp_breaks, figures.sequence_breaks), (0, 0));
}

/// A key that is held for longer than its field can say goes on in segments (RFC 4733 §2.5.1.3).
#[test]
fn a_key_in_segments_is_one_key() {
    let (mut rig, legs) = pressed();
    rig.hush(AI);
    let header = Header {
        payload_type: 101,
        marker: true,
        ..rig.talker(AI).header
    };
    measured(&mut rig, &legs, |rig| {
        let mut header = header;
        let began = header.timestamp;
        for held in (1..450u32).map(|n| n * 160) {
            let (segment, within) = match held.checked_sub(411 * 160) {
                None => (0, held.min(65_535)),
                Some(_) => (65_535, held - 65_535),
            };
            header.timestamp = began + segment;
            let event = Digit {
                code: 5,
                end: false,
                volume: 10,
                duration: within as u16,
            };
            rig.packet(AI, &header, &event.write());
            header.sequence = header.sequence.next();
            header.marker = false;
            rig.run(20);
        }
    });
    let keys = keys(&rig.heard(CALLER));
    let last = keys.iter().rposition(|(_, event)| !event.end).unwrap();
    assert!(keys[..last].iter().all(|(_, event)| !event.end), "it ended between");
}

/// The listener has no telephone-event: after the tone the source is heard when it speaks.
#[test]
fn what_follows_a_tone_is_not_held_up_by_it() {
    let mut rig = rig();
    let mut legs = room(Codec::Pcmu);
    legs[0].format.events = None;
    rig.set(spec(&legs));
    rig.talk(AI, 0, LOUD);
    rig.run(300);
    let figures = measured(&mut rig, &legs, |rig| {
        Press::whole(rig, AI, 5, 10);
        rig.run(1_000);
    });
    assert_eq!(figures.skipped, Some(Duration::ZERO));
    assert!(figures.buffered.unwrap() < Duration::from_millis(80), "{figures:?}");
}

/// A sequence number comes again after 65,536 packets: that is no packet of before the mix.
#[test]
fn long_after_the_relay_every_number_is_heard() {
    let mut rig = rig();
    let [caller, ai, human] = room(Codec::Pcmu);
    let relayed = LegSpec {
        hears: hears(AI),
        ..caller.clone()
    };
    rig.set(spec(&[relayed, ai.clone(), human.clone()]));
    rig.talk(AI, 3, LOUD);
    rig.run(500);
    let legs = [caller, ai, human];
    rig.set(spec(&legs));
    rig.run(1_308_000);
    rig.forget();
    let figures = measured(&mut rig, &legs, |rig| rig.run(5_000));
    assert_eq!((figures.superseded, figures.concealed), (0, Some(Duration::ZERO)));
}

/// However late it comes.
#[test]
fn a_packet_that_is_long_late_is_late_and_no_more() {
    for packets in [10, 31, 40, 90, 120] {
        let mut rig = rig();
        let legs = room(Codec::L16);
        rig.set(spec(&legs));
        count(&mut rig, AI, 3);
        rig.run(500);
        let late = rig.talker(AI).header;
        skip(&mut rig, AI, 1, 160);
        rig.run(20 * packets);
        let figures = measured(&mut rig, &legs, |rig| {
            rig.packet(AI, &late, &[20; 320]);
            rig.run(500);
        });
        assert_eq!(
            (figures.skipped, figures.concealed),
            (Some(Duration::ZERO), Some(Duration::ZERO)),
            "{packets}"
        );
        assert_eq!(figures.late + figures.superseded, 1, "{packets}");
    }
}

#[test]
fn a_stray_number_breaks_nothing() {
    let mut rig = rig();
    let legs = room(Codec::L16);
    rig.set(spec(&legs));
    count(&mut rig, AI, 3);
    rig.run(500);
    let figures = measured(&mut rig, &legs, |rig| {
        let mut stray = rig.talker(AI).header;
        stray.sequence = stray.sequence.plus(30_000);
        rig.packet(AI, &stray, &[20; 320]);
        rig.run(500);
    });
    assert_eq!(
        (figures.skipped, figures.concealed),
        (Some(Duration::ZERO), Some(Duration::ZERO))
    );
}

/// A source stops; then comes what was lost before.
#[test]
fn what_comes_after_its_time_is_not_heard_in_a_pause() {
    let mut rig = rig();
    let legs = room(Codec::L16);
    rig.set(spec(&legs));
    count(&mut rig, AI, 3);
    rig.run(500);
    let late = rig.talker(AI).header;
    skip(&mut rig, AI, 1, 160);
    rig.run(60);
    rig.hush(AI);
    rig.run(150);
    rig.forget();
    let figures = measured(&mut rig, &legs, |rig| {
        rig.packet(AI, &late, &[20; 320]);
        rig.run(300);
    });
    assert_eq!(figures.late, 1);
    assert!(samples(&rig.heard(CALLER)).iter().all(|sample| sample.abs() < 1_000));
}

/// Its clock does not say how long it stopped, or it steps: what it says then is heard as it is.
#[test]
fn a_source_that_steps_in_time_is_heard_whole() {
    for (what, pause_ms, ticks) in [
        ("a pause that its clock does not count", 1_000, 0),
        ("a short one", 200, 0),
        ("a step back", 0, -8_000),
        ("a small step back", 0, -1_600),
        ("a step ahead", 0, 80_000),
        ("half of all", 0, i32::MAX),
        ("half of all back", 0, i32::MIN),
    ] {
        let mut rig = rig();
        let legs = room(Codec::Pcmu);
        rig.set(spec(&legs));
        sing(&mut rig, AI, 3, Codec::Pcmu, 600.0);
        rig.run(3_000);
        rig.talker(AI).next += pause_ms * MS;
        skip(&mut rig, AI, 0, ticks as u32);
        rig.run(pause_ms + 400);
        rig.forget();
        let figures = measured(&mut rig, &legs, |rig| rig.run(1_000));
        assert_eq!(figures.concealed, Some(Duration::ZERO), "{what}");
        assert!(
            figures.buffered.unwrap() < Duration::from_millis(80),
            "{what}: {figures:?}"
        );
        let level = level(&rig.heard(CALLER), Codec::Pcmu, 600.0);
        assert!(level.abs() < 1.0, "{what}: {level} dB");
        assert_returned(&mut rig);
    }
}

/// The way from the source is longer from now on.
#[test]
fn a_longer_way_is_followed() {
    let mut rig = rig();
    let legs = room(Codec::Pcmu);
    rig.set(spec(&legs));
    sing(&mut rig, AI, 3, Codec::Pcmu, 600.0);
    rig.run(3_000);
    rig.talker(AI).next += 300 * MS;
    rig.run(700);
    let figures = measured(&mut rig, &legs, |rig| rig.run(1_000));
    assert_eq!(figures.concealed, Some(Duration::ZERO));
}

#[test]
fn timestamps_that_jump_with_each_packet_break_nothing() {
    let mut rig = rig();
    rig.set(spec(&room(Codec::Pcmu)));
    rig.talk(AI, 0, LOUD);
    for n in 0..20_000u32 {
        skip(
            &mut rig,
            AI,
            0,
            if n < 10_000 { i32::MAX as u32 } else { i32::MIN as u32 },
        );
        rig.run(20);
    }
    assert_returned(&mut rig);
}

#[test]
fn a_source_of_very_short_packets_is_heard_by_whoever_has_long_ones() {
    for (codec, bytes) in [(Codec::Pcmu, 40), (Codec::Pcmu, 32)] {
        let mut rig = rig();
        let mut legs = room(codec);
        legs[0].ptime_ms = 60;
        rig.set(spec(&legs));
        rig.talk(AI, 0, LOUD);
        let mut header = rig.talker(AI).header;
        rig.hush(AI);
        let mut run = |rig: &mut Rig, packets: usize| {
            for _ in 0..packets {
                rig.packet(AI, &header, &vec![0x90; bytes]);
                header.sequence = header.sequence.next();
                header.timestamp += bytes as u32;
                rig.run_ns(bytes as u64 * 125_000);
            }
        };
        run(&mut rig, 200);
        rig.forget();
        run(&mut rig, 200);
        let heard = rig.heard(CALLER);
        let loud = |sent: &&Sent| crate::codec::g711::Law::Mu.mean_square(sent.payload()) > 1_000_000;
        assert!(heard.iter().filter(loud).count() + 1 >= heard.len(), "{bytes}");
    }
}

/// What was queued when a listener was held is not what he hears when he comes back.
#[test]
fn nothing_of_before_a_hold_is_heard_after_it() {
    let mut rig = rig();
    let legs = room(Codec::L16);
    rig.set(spec(&legs));
    count(&mut rig, AI, 3);
    rig.run(500);
    let mut held = legs.clone();
    held[0].send = false;
    rig.set(spec(&held));
    rig.hush(AI);
    rig.run(1_000);
    rig.forget();
    rig.set(spec(&legs));
    rig.run(300);
    assert!(samples(&rig.heard(CALLER)).iter().all(|sample| sample.abs() < 1_000));
    assert_returned(&mut rig);
}

/// While a state waits, the mix goes on: at its pitch and speed, in whatever the listener's line is coded by then.
#[test]
fn a_mix_sounds_the_same_while_a_state_waits() {
    for (before, after, human) in [
        (Codec::Opus, Codec::Opus, Codec::L16Wide),
        (Codec::Pcmu, Codec::G722, Codec::Pcmu),
        (Codec::Pcmu, Codec::Opus, Codec::L16Wide),
        (Codec::G722, Codec::Pcmu, Codec::Pcmu),
        (Codec::L16Wide, Codec::L16, Codec::Opus),
    ] {
        let mut rig = rig();
        let third = LegId(3);
        let others = [
            leg_in(AI, Codec::Pcmu, nobody()),
            leg_in(HUMAN, Codec::Pcma, nobody()),
            leg_in(third, human, nobody()),
        ];
        let state = |caller: LegSpec| {
            let [ai, human, third] = others.clone();
            spec(&[caller, ai, human, third])
        };
        rig.set(state(leg_in(CALLER, before, all(&[AI, HUMAN]))));
        sing(&mut rig, AI, 3, Codec::Pcmu, 600.0);
        rig.run(1_000);
        rig.set(state(leg_in(CALLER, after, awaits(third, 5_000))));
        rig.run(200);
        rig.forget();
        rig.run(2_000);
        let level = level(&rig.heard(CALLER), after, 600.0);
        assert!(level.abs() < 4.0, "{before:?} {after:?}: {level} dB");
        assert_returned(&mut rig);
    }
}

/// The listener's codec, and so the band of the mix, changes under it; and so does a source's.
#[test]
fn codecs_change_in_the_middle_of_a_mix() {
    for (listener, source) in [
        ([Codec::Pcmu, Codec::G722], [Codec::L16Wide; 2]),
        ([Codec::G722, Codec::Pcmu], [Codec::Opus; 2]),
        ([Codec::Opus, Codec::L16], [Codec::Pcmu; 2]),
        ([Codec::L16Wide; 2], [Codec::Pcmu, Codec::G722]),
        ([Codec::Pcmu; 2], [Codec::Opus, Codec::L16Wide]),
    ] {
        let mut rig = rig();
        let state = |at: usize| {
            spec(&[
                leg_in(CALLER, listener[at], all(&[AI, HUMAN])),
                leg_in(AI, source[at], nobody()),
                leg_in(HUMAN, Codec::Pcmu, nobody()),
            ])
        };
        rig.set(state(0));
        sing(&mut rig, AI, 3, source[0], 600.0);
        rig.run(1_000);
        rig.set(state(1));
        if source[0] != source[1] {
            let Header { sequence, ssrc, .. } = rig.talker(AI).header;
            rig.talkers.clear();
            sing(&mut rig, AI, 3, source[1], 600.0);
            rig.talker(AI).header.sequence = sequence;
            rig.talker(AI).header.ssrc = ssrc;
        }
        rig.run(300);
        rig.forget();
        rig.run(1_500);
        let level = level(&rig.heard(CALLER), listener[1], 600.0);
        assert!(level.abs() < 2.0, "{listener:?} {source:?}: {level} dB");
        assert_returned(&mut rig);
    }
}

/// Where his packets are longer, the first one of the mix waits until there is enough of the leg that was relayed.
#[test]
fn a_mix_of_longer_packets_takes_over_without_a_hole() {
    let mut rig = rig();
    let mut legs = room(Codec::L16);
    legs[0].ptime_ms = 60;
    let relayed = LegSpec {
        hears: hears(AI),
        ..legs[0].clone()
    };
    rig.set(spec(&[relayed, legs[1].clone(), legs[2].clone()]));
    count(&mut rig, AI, 3);
    rig.run(500);
    let figures = measured(&mut rig, &legs, |rig| rig.run(1_000));
    assert_eq!(figures.concealed, Some(Duration::ZERO));
    let heard = samples(&rig.heard(CALLER));
    assert!(heard.windows(2).all(|pair| (0..=10).contains(&(pair[1] - pair[0]))));
}
