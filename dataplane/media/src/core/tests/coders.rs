//! Codecs with a memory: every pair is heard, on one unbroken line, and what was lent comes back.

use super::*;
use crate::coders::{Coders, Sizes};
use crate::command::{Watch, WindowId};
use crate::dtmf::Event as Digit;
use crate::evidence::Evidence;
use crate::voice::tests::{coders, heard, tone};

fn rig() -> Rig {
    rig_with(coders())
}

fn rig_with(coders: Coders) -> Rig {
    Rig::with(Config {
        coders: Arc::new(coders),
        ..config()
    })
}

/// Everything is back.
fn assert_returned(rig: &mut Rig) {
    let coders = rig.core.coders.clone();
    assert_conserved(rig);
    assert_eq!(coders.free(), self::coders().free());
}

/// As [`super::assert_unbroken`], whatever the codec; each packet sounds 20 ms.
pub(super) fn assert_line(heard: &[Sent], codec: Codec) {
    for pair in heard.windows(2) {
        let (a, b) = (pair[0].header(), pair[1].header());
        assert_eq!((a.ssrc, a.payload_type), (b.ssrc, b.payload_type));
        assert_eq!(b.sequence, a.sequence.next(), "{codec:?} at {} ms", pair[1].at / MS);
        assert_eq!(codec.duration(pair[0].payload()), Some(codec.ticks(20)));
        let step = timestamp_distance(b.timestamp, a.timestamp);
        assert!(
            step >= codec.ticks(20) as i32,
            "{codec:?}: overlap by {step} at {} ms",
            pair[1].at / MS
        );
        let passed = (pair[1].at - pair[0].at) / MS;
        assert!(
            passed <= 40,
            "{codec:?}: a gap of {passed} ms at {} ms",
            pair[1].at / MS
        );
    }
}

/// The share that the tone has in what was sent, and its level there.
fn heard_tone(sent: &[Sent], codec: Codec) -> (f64, f64) {
    let heard = heard(codec, sent.iter().map(Sent::payload));
    tone(&heard[heard.len() / 2..])
}

/// AI and then human talk in one codec, the caller hears them in another, with hold audio between; he is heard by both.
#[test]
fn every_pair_of_codecs_is_heard_through_a_handoff_on_one_line() {
    for from in Codec::ALL {
        for to in Codec::ALL {
            let mut rig = rig();
            let caller = |hears| leg_in(CALLER, to, hears);
            rig.set(spec(&[caller(hears(AI)), leg_in(AI, from, hears(CALLER))]));
            rig.talk_in(AI, 3, from);
            rig.talk_in(CALLER, 11, to);
            rig.run(500);
            let others = |ai, human| [leg_in(AI, from, ai), leg_in(HUMAN, from, human)];
            let [ai, human] = others(nobody(), plays(2, &[BRIEF], true));
            rig.set(spec(&[caller(plays(1, &[HOLD], true)), ai, human]));
            rig.run(300);
            rig.talk_in(HUMAN, 7, from);
            let [ai, human] = others(nobody(), hears(CALLER));
            let joined = rig.set(spec(&[caller(hears(HUMAN)), ai, human]));
            rig.run(600);
            assert!(rig.applied(joined).is_some());

            let pair = format!("{from:?} to {to:?}");
            let sent = rig.heard(CALLER);
            assert_line(&sent, to);
            assert_line(&rig.heard(HUMAN), from);
            let late: Vec<_> = sent.iter().filter(|sent| sent.at >= 850 * MS).cloned().collect();
            let (share, level) = heard_tone(&late, to);
            assert!(
                share > 0.97 && (level - 6_000.0).abs() < 1_500.0,
                "{pair}: {share} {level}"
            );
            let (share, level) = heard_tone(&rig.heard(AI)[..20], from);
            assert!(
                share > 0.97 && (level - 6_000.0).abs() < 1_500.0,
                "{pair}, AI: {share} {level}"
            );
            let counters = rig.core.counters();
            assert_eq!(counters.dropped[Reason::Untranscodable as usize], 0);
            assert_eq!(counters.transcoded > 80, from != to, "{pair}");
            assert_eq!(counters.transcoded == 0, from == to, "{pair}");
            assert_returned(&mut rig);
        }
    }
}

#[test]
fn what_is_played_sounds_the_same_in_every_codec() {
    for codec in Codec::ALL {
        let mut rig = rig();
        rig.set(spec(&[leg_in(CALLER, codec, plays(1, &[BRIEF], false))]));
        rig.run(700);
        let sent = rig.heard(CALLER);
        assert_line(&sent, codec);
        let heard = heard(codec, sent.iter().map(Sent::payload));
        // A square wave of 1 kHz and of 8,000: its first harmonic has 4/π of that.
        let (_, level) = tone(&heard[1_600..6_400]);
        assert!((level - 10_186.0).abs() < 1_200.0, "{codec:?}: {level}");
        // Then noise that can just be heard.
        let (_, level) = tone(&heard[9_600..]);
        assert!(level < 60.0, "{codec:?}: {level}");
        let after = crate::codec::mean_square(&heard[9_600..]);
        assert!((20..2_586).contains(&after), "{codec:?}: {after}");
        assert_returned(&mut rig);
    }
}

/// Packet times of a caller from 10 to 60 ms are carried as they are.
#[test]
fn other_packet_times_pass_through_a_codec_with_a_memory() {
    for ptime in [10, 20, 30, 40, 50, 60] {
        let mut rig = rig();
        rig.set(spec(&[leg(CALLER, nobody()), leg_in(AI, Codec::Opus, hears(CALLER))]));
        let mut header = Header {
            marker: false,
            payload_type: 0,
            sequence: Seq(9),
            timestamp: 77,
            ssrc: 5,
        };
        for payload in said(Codec::Pcmu, 10, ptime) {
            rig.packet(CALLER, &header, &payload);
            header.sequence = header.sequence.next();
            header.timestamp += 8 * ptime as u32;
            rig.run(ptime as u64);
        }
        let sent = rig.heard(AI);
        assert_eq!(sent.len(), 10, "{ptime} ms");
        for pair in sent.windows(2) {
            let step = timestamp_distance(pair[1].header().timestamp, pair[0].header().timestamp);
            assert_eq!(step, 48 * ptime as i32);
        }
    }
}

#[test]
fn a_state_without_coders_for_it_is_refused_and_touches_nothing() {
    let sizes = Sizes {
        wide: 1,
        ..Sizes::default()
    };
    let mut rig = rig_with(Coders::new(sizes, &Default::default()).unwrap());
    rig.set(spec(&[leg(CALLER, hears(AI)), leg(AI, hears(CALLER))]));
    rig.talk(AI, 0, LOUD);
    rig.run(100);
    // The human's line has one, and then there is none for the caller's.
    let wide = [leg(CALLER, hears(HUMAN)), leg_in(HUMAN, Codec::G722, hears(CALLER))];
    let opus = [leg(CALLER, hears(HUMAN)), leg_in(HUMAN, Codec::Opus, hears(CALLER))];
    for legs in [&wide, &opus] {
        let refused = rig.set(spec(legs));
        assert!(rig.events.iter().any(|(_, event)| matches!(
            event,
            Event::Refused { generation, reason: Refusal::Coders, .. } if *generation == refused
        )));
        assert_eq!(rig.core.coders.free(), sizes);
    }
    rig.run(100);
    assert_unbroken(&rig.heard(CALLER), 20 * MS);
    // With nobody to put it into another codec for, there is.
    let alone = rig.set(spec(&[
        leg(CALLER, hears(AI)),
        leg(AI, nobody()),
        leg_in(HUMAN, Codec::G722, nobody()),
    ]));
    assert!(rig.applied(alone).is_some());
    assert_eq!(rig.core.coders.free(), Sizes::default());
    assert_conserved(&mut rig);
}

#[test]
fn coders_go_back_when_the_join_needs_them_no_more() {
    let mut rig = rig();
    let full = rig.core.coders.free();
    rig.set(spec(&[leg(CALLER, hears(AI)), leg_in(AI, Codec::Opus, hears(CALLER))]));
    rig.talk_in(AI, 0, Codec::Opus);
    rig.run(100);
    assert_eq!(rig.core.coders.free().opus_narrow, full.opus_narrow - 1);
    let joined = [leg(CALLER, hears(HUMAN)), leg(HUMAN, hears(CALLER))];
    rig.set(spec(&joined));
    // The AI is gone, so nothing is put into another codec any more.
    rig.talk(HUMAN, 0, LOUD);
    rig.run(100);
    assert_eq!(rig.core.coders.free(), full);
    assert_unbroken(&rig.heard(CALLER), 40 * MS);
    assert_returned(&mut rig);
}

/// A human of another band takes over: until his first packet the old source is heard, through what it needs.
#[test]
fn a_source_gives_way_to_one_of_another_band_without_a_hole() {
    for (from, to) in [
        (Codec::Pcmu, Codec::G722),
        (Codec::G722, Codec::Pcmu),
        (Codec::L16Wide, Codec::Opus),
    ] {
        for listener in [Codec::Opus, Codec::G722, Codec::Pcma]
            .into_iter()
            .filter(|&codec| codec != to && codec != from)
        {
            let mut rig = rig();
            let caller = |hears| leg_in(CALLER, listener, hears);
            rig.set(spec(&[caller(hears(AI)), leg_in(AI, from, nobody())]));
            rig.talk_in(AI, 0, from);
            rig.run(200);
            rig.set(spec(&[
                caller(hears(HUMAN)),
                leg_in(AI, from, nobody()),
                leg_in(HUMAN, to, nobody()),
            ]));
            rig.talk_in(HUMAN, 35, to);
            rig.run(400);
            let sent = rig.heard(CALLER);
            assert_line(&sent, listener);
            let (share, _) = heard_tone(&sent, listener);
            assert!(share > 0.97, "{from:?}, {to:?} to {listener:?}: {share}");
            assert_eq!(rig.dropped(Reason::Untranscodable), 0);
            assert_returned(&mut rig);
        }
    }
}

#[test]
fn what_upstream_lost_stays_a_hole_and_what_came_twice_goes_once() {
    let mut rig = rig();
    let legs = [leg(CALLER, hears(AI)), leg_in(AI, Codec::Opus, nobody())];
    let watch = Watch {
        window: WindowId(1),
        first_word_of: None,
    };
    rig.set(SessionSpec {
        watch: Some(watch),
        ..spec(&legs)
    });
    rig.talk_in(AI, 0, Codec::Opus);
    rig.run(205);
    let last = rig.talker(AI).header;
    let again = Header {
        sequence: Seq(last.sequence.0.wrapping_sub(1)),
        timestamp: last.timestamp.wrapping_sub(960),
        ..last
    };
    let payload = rig.talker(AI).packets.0[0].clone();
    assert_eq!(rig.packet(AI, &again, &payload), Verdict::Drop(Reason::Repeated));
    let talker = rig.talker(AI);
    talker.header.sequence = last.sequence.plus(2);
    talker.header.timestamp = last.timestamp.wrapping_add(2 * 960);
    talker.next += 40 * MS;
    rig.run(200);
    // A broken packet is as good as lost.
    let broken = rig.talker(AI).header;
    assert_eq!(
        rig.packet(AI, &broken, &[0xff; 30]),
        Verdict::Drop(Reason::Untranscodable)
    );
    let talker = rig.talker(AI);
    talker.header.sequence = broken.sequence.next();
    talker.header.timestamp = broken.timestamp.wrapping_add(960);
    rig.run(200);
    let sent = rig.heard(CALLER);
    let steps: Vec<_> = sent
        .windows(2)
        .map(|pair| {
            let (a, b) = (pair[0].header(), pair[1].header());
            let numbers = b.sequence.distance_from(a.sequence);
            (numbers, timestamp_distance(b.timestamp, a.timestamp))
        })
        .filter(|&step| step != (1, 160))
        .collect();
    assert_eq!(steps, [(3, 480), (2, 320)]);
    rig.set(spec(&legs));
    let evidence = evidence(&rig, CALLER);
    let ours = (evidence.lost, evidence.reordered, evidence.duplicated);
    assert_eq!(
        (ours, evidence.sequence_breaks, evidence.timestamp_breaks),
        ((0, 0, 0), 0, 0)
    );
    assert_eq!(evidence.upstream_lost, 2);
    assert_returned(&mut rig);
}

fn watched(legs: &[LegSpec]) -> SessionSpec {
    SessionSpec {
        watch: Some(Watch {
            window: WindowId(1),
            first_word_of: Some(AI),
        }),
        ..spec(legs)
    }
}

fn evidence(rig: &Rig, leg: LegId) -> Evidence {
    let mut closed = rig.events.iter().filter_map(|(_, event)| match event {
        Event::Evidence { listeners, .. } => Some(listeners),
        _ => None,
    });
    let listeners = closed.next().expect("no evidence came");
    listeners
        .iter()
        .find(|(id, _)| *id == leg)
        .expect("the leg has evidence")
        .1
}

/// Whether it is relayed or put into another codec: the first word is heard, and the silence before it.
#[test]
fn silence_and_the_first_word_are_measured_in_every_codec() {
    for listener in Codec::ALL {
        for codec in Codec::ALL {
            let mut rig = rig();
            let legs = [leg_in(CALLER, listener, hears(AI)), leg_in(AI, codec, nobody())];
            rig.talk_in(AI, 0, codec);
            let loud = std::mem::take(&mut rig.talker(AI).packets);
            let quiet = quiet(codec);
            rig.talker(AI).packets.0 = quiet;
            rig.set(watched(&legs));
            rig.run(600);
            rig.talker(AI).packets = loud;
            rig.run(600);
            let evidence = evidence(&rig, CALLER);
            let dead = evidence.dead_air.expect("it was measured").as_millis();
            assert!((580..=640).contains(&dead), "{codec:?} to {listener:?}: {dead} ms");
            let word = rig
                .events
                .iter()
                .find(|(_, event)| matches!(event, Event::FirstWord { .. }));
            let at = word.expect("a word").0 / MS;
            assert!((640..=720).contains(&at), "{codec:?} to {listener:?}: {at} ms");
            assert_returned(&mut rig);
        }
    }
}

/// Silence in a codec.
fn quiet(codec: Codec) -> Vec<Vec<u8>> {
    let coders = coders();
    let mut ear = crate::voice::Voice::default();
    let source = if codec == Codec::Pcmu { Codec::Pcma } else { Codec::Pcmu };
    let needs = crate::voice::Needs::of(codec, Some(source));
    ear.take(ear.lacking(needs, coders.lines()).unwrap());
    let samples = vec![
        0;
        if codec.band() == Some(crate::codec::opus::Band::Wide) {
            320
        } else {
            160
        }
    ];
    (0..50)
        .map(|_| {
            let mut payload = vec![0; 1_400];
            let len = ear.encode(codec, &samples, &mut payload).unwrap();
            payload.truncate(len);
            payload
        })
        .collect()
}

#[test]
fn without_a_decoder_to_spare_what_opus_says_is_not_measured_and_said_to_be_so() {
    let mut rig = rig_with(Coders::default());
    let legs = [
        leg_in(CALLER, Codec::Opus, hears(AI)),
        leg_in(AI, Codec::Opus, nobody()),
    ];
    rig.talk_in(AI, 0, Codec::Opus);
    rig.set(watched(&legs));
    rig.run(500);
    rig.set(spec(&legs));
    let evidence = evidence(&rig, CALLER);
    assert_eq!((evidence.dead_air, evidence.sent > 20), (None, true));
    assert!(
        !rig.events
            .iter()
            .any(|(_, event)| matches!(event, Event::FirstWord { .. }))
    );
    assert_conserved(&mut rig);
}

/// A key pressed for 100 ms in one clock has 100 ms in the other.
#[test]
fn digits_are_counted_in_the_clock_of_whoever_hears_them() {
    for (from, to) in [
        (Codec::Pcmu, Codec::Opus),
        (Codec::Opus, Codec::Pcmu),
        (Codec::L16Wide, Codec::G722),
    ] {
        let mut rig = rig();
        rig.set(spec(&[leg_in(CALLER, from, nobody()), leg_in(AI, to, hears(CALLER))]));
        rig.talk_in(CALLER, 0, from);
        rig.run(105);
        rig.hush(CALLER);
        let mut header = Header {
            payload_type: 101,
            marker: true,
            ..rig.talker(CALLER).header
        };
        for packet in 1..=7u16 {
            let digit = Digit {
                code: 7,
                end: packet > 5,
                volume: 10,
                duration: from.ticks(20) as u16 * packet.min(5),
            };
            rig.packet(CALLER, &header, &digit.write());
            header.sequence = header.sequence.next();
            header.marker = false;
            rig.run(20);
        }
        let sent = rig.heard(AI);
        let digits: Vec<_> = sent.iter().filter(|sent| sent.header().payload_type == 101).collect();
        let durations: Vec<u32> = digits
            .iter()
            .map(|sent| Digit::parse(sent.payload()).unwrap().duration.into())
            .collect();
        let expected: Vec<u32> = [1, 2, 3, 4, 5, 5, 5].iter().map(|n| n * to.ticks(20)).collect();
        assert_eq!(durations, expected, "{from:?} to {to:?}");
        assert!(
            digits
                .iter()
                .all(|sent| sent.header().timestamp == digits[0].header().timestamp)
        );
    }
}

/// A key that is held for 3 s: in 48,000 Hz it comes in segments (RFC 4733, section 2.5.1.3), and is one key.
#[test]
fn a_long_key_is_one_key() {
    let mut rig = rig();
    let mut human = leg_in(HUMAN, Codec::Opus, nobody());
    human.dtmf = Dtmf::Take;
    rig.set(spec(&[leg(CALLER, nobody()), human]));
    let mut header = Header {
        payload_type: 101,
        marker: true,
        sequence: Seq(1),
        timestamp: 4_000,
        ssrc: 9,
    };
    let mut held = 0u32;
    for packet in 1..=150 {
        held += 960;
        if held > 65_535 {
            // The rest of the last segment, then the next one begins where it ended.
            let full = Digit {
                code: 1,
                end: false,
                volume: 10,
                duration: u16::MAX,
            };
            rig.packet(HUMAN, &header, &full.write());
            header.sequence = header.sequence.next();
            header.timestamp = header.timestamp.wrapping_add(65_535);
            held -= 65_535;
        }
        let digit = Digit {
            code: 1,
            end: packet == 150,
            volume: 10,
            duration: held as u16,
        };
        rig.packet(HUMAN, &header, &digit.write());
        header.sequence = header.sequence.next();
        rig.run(20);
    }
    let keys = rig
        .events
        .iter()
        .filter(|(_, event)| matches!(event, Event::Digit { .. }))
        .count();
    assert_eq!(keys, 1);
}

/// A listener without telephone-event hears the tone itself, in his codec.
#[test]
fn a_digit_sounds_where_there_is_no_telephone_event() {
    for codec in [Codec::G722, Codec::L16, Codec::L16Wide] {
        let mut rig = rig();
        let mut ai = leg_in(AI, codec, hears(CALLER));
        ai.format.events = None;
        rig.set(spec(&[leg(CALLER, nobody()), ai]));
        let mut header = Header {
            payload_type: 101,
            marker: true,
            sequence: Seq(1),
            timestamp: 4_000,
            ssrc: 9,
        };
        for packet in 1..=10 {
            let digit = Digit {
                code: 5,
                end: false,
                volume: 10,
                duration: 160 * packet,
            };
            rig.packet(CALLER, &header, &digit.write());
            header.sequence = header.sequence.next();
            rig.run(20);
        }
        let sent = rig.heard(AI);
        assert_line(&sent[..10], codec);
        let heard = heard(codec, sent[..10].iter().map(Sent::payload));
        let level = |hz: f64| {
            let step = hz * std::f64::consts::TAU / 16_000.0;
            let (mut re, mut im) = (0.0, 0.0);
            for (at, &sample) in heard[640..].iter().enumerate() {
                re += f64::from(sample) * (at as f64 * step).cos();
                im += f64::from(sample) * (at as f64 * step).sin();
            }
            2.0 * f64::hypot(re, im) / (heard.len() - 640) as f64
        };
        // The 5: 770 and 1336 Hz, of amplitudes 6433 and 8099; and nothing at 941 Hz.
        assert!((level(770.0) - 6_433.0).abs() < 700.0, "{codec:?} {}", level(770.0));
        assert!((level(1_336.0) - 8_099.0).abs() < 800.0, "{codec:?} {}", level(1_336.0));
        assert!(level(941.0) < 400.0, "{codec:?} {}", level(941.0));
    }
}

/// The peer wants another clock: the line begins anew, and nothing of ours is said to be broken (RFC 7160).
#[test]
fn with_another_clock_the_line_has_another_source() {
    let mut rig = rig();
    let caller = |codec| leg_in(CALLER, codec, hears(AI));
    let ai = leg(AI, nobody());
    rig.set(watched(&[caller(Codec::Pcmu), ai.clone()]));
    rig.talk(AI, 0, LOUD);
    rig.run(40);
    rig.hush(AI);
    rig.run(100);
    rig.set(watched(&[caller(Codec::Opus), ai.clone()]));
    let talker = rig.talker(AI);
    talker.until = u64::MAX;
    talker.header.timestamp += 960;
    rig.run(300);
    rig.set(spec(&[caller(Codec::Opus), ai]));
    let sent = rig.heard(CALLER);
    let (before, after): (Vec<_>, Vec<_>) = sent.into_iter().partition(|sent| sent.header().payload_type == 0);
    assert!(!before.is_empty() && after.len() > 10);
    assert_ne!(before[0].header().ssrc, after[0].header().ssrc);
    assert!(after[0].header().marker);
    assert_line(&after, Codec::Opus);
    let evidence = evidence(&rig, CALLER);
    assert_eq!(
        (evidence.lost, evidence.sequence_breaks, evidence.timestamp_breaks),
        (0, 0, 0)
    );
    assert_returned(&mut rig);
}

#[test]
fn a_session_takes_its_coders_to_another_core() {
    let mut rig = rig();
    rig.set(spec(&[leg(CALLER, hears(AI)), leg_in(AI, Codec::Opus, hears(CALLER))]));
    rig.talk_in(AI, 0, Codec::Opus);
    rig.run(400);
    rig.hop();
    rig.run(400);
    let sent = rig.heard(CALLER);
    assert_line(&sent, Codec::Pcmu);
    let (share, _) = heard_tone(&sent, Codec::Pcmu);
    assert!(share > 0.97, "{share}");
    assert_returned(&mut rig);
}
