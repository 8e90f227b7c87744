//! Rows with several legs: each is heard, nobody else is, and the line of the listener stays one line.

use super::coders::assert_line;
use super::dtmf::Press;
use super::*;
use crate::codec::g711::Law;
use crate::coders::{Coders, Sizes};
use crate::command::{Heard, Watch, WindowId};
use crate::evidence::Evidence;
use crate::voice::tests::{coders, heard};

const LEAD: LegId = LegId(3);

pub(super) fn rig() -> Rig {
    let sizes = Sizes {
        wide: 12,
        opus_narrow: 4,
        opus_wide: 8,
        mixers: 4,
        listeners: 8,
        ..Sizes::default()
    };
    Rig::with(Config {
        coders: Arc::new(Coders::new(sizes, &Default::default()).unwrap()),
        ..config()
    })
}

/// Says a tone for ever, 20 ms at a time; its level is 5,000.
pub(super) fn sing(rig: &mut Rig, leg: LegId, phase_ms: u64, codec: Codec, hz: f64) {
    rig.talk_in(leg, phase_ms, codec);
    let (samples, linear) = match codec {
        Codec::L16 | Codec::Pcmu | Codec::Pcma => (sine(hz, 8_000.0), Codec::L16),
        _ => (sine(hz, 16_000.0), Codec::L16Wide),
    };
    let packets = samples.chunks_exact(samples.len() / 50).map(|samples| {
        let mut payload = vec![0; 4_000];
        crate::codec::l16::encode(samples, &mut payload);
        payload.truncate(2 * samples.len());
        payload
    });
    let mut said: Vec<Vec<u8>> = packets.collect();
    if codec != linear {
        let coders = coders();
        let needs = crate::voice::Needs::of(codec, Some(linear));
        let mut voice = crate::voice::Voice::default().lacking(needs, coders.lines()).unwrap();
        for payload in &mut said {
            let len = payload.len();
            payload.resize(4_000, 0);
            let standing = crate::voice::Standing { first: false, lost: 0 };
            let coded = voice
                .transcode(linear, codec, standing, payload, len, |_, _| ())
                .unwrap();
            payload.truncate(coded.len);
        }
    }
    rig.talker(leg).packets = (said, 0);
}

fn sine(hz: f64, rate: f64) -> Vec<i16> {
    let at = |at: usize| (5_000.0 * (at as f64 * hz * std::f64::consts::TAU / rate).sin()) as i16;
    (0..rate as usize).map(at).collect()
}

/// How loud a tone is in what somebody was sent, against the 5,000 that it had, dB. A tone that is played a little slower now and then
/// has its phase elsewhere each time, so it is looked for in short stretches.
pub(super) fn level(sent: &[Sent], codec: Codec, hz: f64) -> f64 {
    let samples = heard(codec, sent.iter().map(Sent::payload));
    let loudest = samples.chunks_exact(1_600).map(|samples| {
        let (mut re, mut im, mut sum) = (0.0, 0.0, 0.0);
        for (n, &sample) in samples.iter().enumerate() {
            // Hann's window: a tone beside it is not seen here.
            let window = 1.0 - (n as f64 * std::f64::consts::TAU / samples.len() as f64).cos();
            let turn = n as f64 * hz * std::f64::consts::TAU / 16_000.0;
            re += window * f64::from(sample) * turn.cos();
            im += window * f64::from(sample) * turn.sin();
            sum += window;
        }
        20.0 * (2.0 * f64::hypot(re, im) / sum / 5_000.0).max(1e-9).log10()
    });
    let mut levels: Vec<f64> = loudest.collect();
    levels.sort_by(f64::total_cmp);
    levels[levels.len() / 2]
}

fn among(leg: LegId, gain_db: i8) -> Heard {
    Heard { leg, gain_db }
}

fn mix(legs: &[Heard]) -> Hears {
    Hears {
        legs: legs.iter().copied().collect(),
        ..Hears::default()
    }
}

pub(super) fn all(legs: &[LegId]) -> Hears {
    Hears::legs(legs.iter().copied())
}

pub(super) fn watched(legs: &[LegSpec], first_word_of: Option<LegId>) -> SessionSpec {
    SessionSpec {
        watch: Some(Watch {
            window: WindowId(1),
            first_word_of,
        }),
        ..spec(legs)
    }
}

pub(super) fn evidence(rig: &Rig, leg: LegId) -> Evidence {
    let listeners = rig.events.iter().find_map(|(_, event)| match event {
        Event::Evidence { listeners, .. } => Some(listeners),
        _ => None,
    });
    listeners.unwrap().iter().find(|(id, _)| *id == leg).unwrap().1
}

pub(super) fn assert_returned(rig: &mut Rig) {
    let coders = rig.core.coders.clone();
    assert_conserved(rig);
    assert_eq!(coders.free(), coders.sizes());
}

/// Three parties, each in any codec: each hears the two others as loud as they are, and not himself.
#[test]
fn each_of_three_hears_the_other_two_in_every_codec() {
    let spoken = [
        [Codec::Pcmu, Codec::Opus, Codec::G722],
        [Codec::G722, Codec::Pcma, Codec::L16Wide],
        [Codec::Opus, Codec::L16, Codec::Pcmu],
        [Codec::L16Wide, Codec::G722, Codec::Opus],
    ];
    for codecs in spoken {
        let mut rig = rig();
        let legs = [CALLER, AI, HUMAN];
        let hz = [600.0, 1_000.0, 1_700.0];
        let others = |leg: LegId| all(&legs.into_iter().filter(|&other| other != leg).collect::<Vec<_>>());
        let legs_of: Vec<LegSpec> = (0..3).map(|n| leg_in(legs[n], codecs[n], others(legs[n]))).collect();
        rig.set(spec(&legs_of));
        for n in 0..3 {
            sing(&mut rig, legs[n], 3 + 5 * n as u64, codecs[n], hz[n]);
        }
        rig.run(3_000);
        for n in 0..3 {
            let sent: Vec<Sent> = rig
                .heard(legs[n])
                .into_iter()
                .filter(|sent| sent.at > 1_000 * MS)
                .collect();
            for (m, hz) in hz.into_iter().enumerate() {
                let level = level(&sent, codecs[n], hz);
                match n == m {
                    true => assert!(level < -30.0, "{codecs:?}: {n} hears himself at {level} dB"),
                    // Opus is made for voices.
                    false => assert!(
                        level.abs() < if codecs[n] == Codec::Opus { 4.0 } else { 2.0 },
                        "{codecs:?}: {n} hears {m} at {level} dB"
                    ),
                }
            }
            let steps = sent
                .windows(2)
                .map(|pair| pair[1].header().sequence.0.wrapping_sub(pair[0].header().sequence.0));
            assert!(steps.into_iter().all(|step| step == 1));
        }
        assert!(rig.core.counters().mixed > 400);
        assert_eq!(rig.core.counters().lost, 0);
        assert_returned(&mut rig);
    }
}

#[test]
fn each_source_has_the_gain_that_the_row_says() {
    let mut rig = rig();
    let caller = mix(&[among(AI, -12), among(HUMAN, 6)]);
    rig.set(spec(&[
        leg(CALLER, caller),
        leg(AI, nobody()),
        leg(HUMAN, mix(&[among(CALLER, -20)])),
    ]));
    sing(&mut rig, CALLER, 1, Codec::Pcmu, 1_000.0);
    sing(&mut rig, AI, 4, Codec::Pcmu, 600.0);
    sing(&mut rig, HUMAN, 9, Codec::Pcmu, 1_700.0);
    rig.run(2_000);
    let late = |leg| -> Vec<Sent> { rig.heard(leg).into_iter().filter(|sent| sent.at > 500 * MS).collect() };
    for (leg, hz, gain) in [(CALLER, 600.0, -12.0), (CALLER, 1_700.0, 6.0), (HUMAN, 1_000.0, -20.0)] {
        let level = level(&late(leg), Codec::Pcmu, hz);
        assert!((level - gain).abs() < 1.0, "{leg:?} {hz}: {level} dB");
    }
    assert_returned(&mut rig);
}

/// A supervisor whispers to the human: the caller, who hears the human through the same core at the same time, has nothing of it.
#[test]
fn a_whisper_is_not_heard_by_the_caller() {
    let mut rig = rig();
    let legs = [
        leg_in(CALLER, Codec::L16, mix(&[among(HUMAN, 3)])),
        leg_in(HUMAN, Codec::L16, all(&[CALLER, LEAD])),
        leg_in(LEAD, Codec::L16, all(&[CALLER, HUMAN])),
    ];
    rig.set(spec(&legs));
    sing(&mut rig, CALLER, 2, Codec::L16, 600.0);
    sing(&mut rig, HUMAN, 7, Codec::L16, 1_000.0);
    sing(&mut rig, LEAD, 13, Codec::L16, 1_700.0);
    rig.run(3_000);
    let late = |leg| -> Vec<Sent> { rig.heard(leg).into_iter().filter(|sent| sent.at > 500 * MS).collect() };
    assert!(level(&late(HUMAN), Codec::L16, 1_700.0).abs() < 1.0);
    let caller = level(&late(CALLER), Codec::L16, 1_700.0);
    assert!(caller < -60.0, "{caller} dB");
    assert!((level(&late(CALLER), Codec::L16, 1_000.0) - 3.0).abs() < 1.0);
    assert_returned(&mut rig);
}

/// Says who he is by his level, packet by packet: 10 more each.
pub(super) fn count(rig: &mut Rig, leg: LegId, phase_ms: u64) {
    rig.talk_in(leg, phase_ms, Codec::L16);
    let packet = |n: i16| [(n * 10 + 2_000).to_be_bytes(); 160].concat();
    rig.talker(leg).packets = ((0..400).map(packet).collect(), 0);
}

pub(super) fn samples(sent: &[Sent]) -> Vec<i16> {
    let bytes = sent.iter().flat_map(|sent| sent.payload().to_vec());
    let bytes: Vec<u8> = bytes.collect();
    bytes
        .chunks_exact(2)
        .map(|two| i16::from_be_bytes([two[0], two[1]]))
        .collect()
}

/// Relay, mix and relay again of one source: nothing of it is heard twice or in another order, nothing is missing on the way in, and what is
/// skipped on the way out is told.
#[test]
fn between_relay_and_mix_no_packet_is_heard_twice() {
    for phase in [0, 3, 9, 15, 19] {
        let mut rig = rig();
        let state = |row: Hears| {
            [
                leg_in(CALLER, Codec::L16, row),
                leg_in(AI, Codec::L16, nobody()),
                leg_in(HUMAN, Codec::L16, nobody()),
            ]
        };
        rig.set(spec(&state(hears(AI))));
        count(&mut rig, AI, phase);
        rig.run(510);
        let mixed = rig.set(watched(&state(all(&[AI, HUMAN])), None));
        rig.run(2_000);
        assert!(rig.applied(mixed).is_some());
        rig.set(watched(&state(hears(AI)), None));
        rig.run(500);
        rig.set(spec(&state(hears(AI))));

        let sent = rig.heard(CALLER);
        assert_line(&sent, Codec::L16);
        let heard = samples(&sent);
        assert!(heard.is_sorted(), "phase {phase}");
        // Each packet is heard: on the way in too.
        let evidence = evidence(&rig, CALLER);
        let skipped = evidence.skipped.unwrap().as_millis() as i16;
        let missing = heard
            .windows(2)
            .map(|pair| (pair[1] - pair[0]).max(10) - 10)
            .sum::<i16>()
            / 10;
        assert!(
            missing * 20 <= skipped && skipped <= missing * 20 + 40,
            "phase {phase}: {missing} {skipped}"
        );
        assert!(skipped <= 80, "phase {phase}: {skipped}");
        let into = sent.iter().position(|sent| sent.at > 500 * MS).unwrap();
        let into = samples(&sent[into..into + 50]);
        assert!(into.windows(2).all(|pair| pair[1] - pair[0] <= 10), "phase {phase}");
        let ours = (
            evidence.lost,
            evidence.reordered,
            evidence.duplicated,
            evidence.sequence_breaks,
            evidence.timestamp_breaks,
        );
        assert_eq!(ours, (0, 0, 0, 0, 0));
        assert_eq!(evidence.concealed, Some(Duration::ZERO), "phase {phase}");
        assert_returned(&mut rig);
    }
}

/// What is lost, late and drifts is told, each by its own figure.
#[test]
fn what_the_buffer_had_to_do_is_in_the_evidence() {
    let watch = |fault: &dyn Fn(&mut Rig, u64)| {
        let mut rig = rig();
        let legs = [leg(CALLER, all(&[AI, HUMAN])), leg(AI, nobody()), leg(HUMAN, nobody())];
        rig.set(spec(&legs));
        rig.talk(AI, 5, LOUD);
        rig.run(100);
        rig.set(watched(&legs, None));
        for n in 0..600 {
            fault(&mut rig, n);
            rig.run(20);
        }
        rig.set(spec(&legs));
        evidence(&rig, CALLER)
    };
    let clean = watch(&|_, _| ());
    assert_eq!(
        (clean.concealed, clean.late, clean.upstream_lost),
        (Some(Duration::ZERO), 0, 0)
    );
    assert_eq!((clean.drift_ppm, clean.skipped), (Some(0), Some(Duration::ZERO)));
    let buffered = clean.buffered.unwrap();
    assert!(
        buffered > Duration::from_millis(10) && buffered < Duration::from_millis(50),
        "{buffered:?}"
    );

    let lost = watch(&|rig, n| {
        if n % 50 == 49 {
            let next = rig.talker(AI).header.sequence.next();
            rig.talker(AI).header.sequence = next;
            rig.talker(AI).header.timestamp += 160;
            rig.talker(AI).next += 20 * MS;
        }
    });
    assert_eq!((lost.upstream_lost, lost.late), (11, 0));
    let concealed = lost.concealed.unwrap().as_millis();
    assert!((11 * 20..=11 * 20 + 100).contains(&concealed), "{concealed}");

    let late = watch(&|rig, n| {
        if n == 300 {
            // One packet comes 200 ms after its time.
            let header = rig.talker(AI).header;
            rig.talker(AI).header.sequence = header.sequence.next();
            rig.talker(AI).header.timestamp += 160;
            rig.talker(AI).next += 20 * MS;
            rig.run(200);
            rig.packet(AI, &header, &[0xff; 160]);
        }
    });
    assert_eq!(late.late, 1);

    let drifts = watch(&|rig, _| rig.talker(AI).next += 4_000);
    let ppm = drifts.drift_ppm.unwrap();
    assert!((ppm - 200).abs() < 40, "{ppm}");
}

/// A key of one leg goes to a listener who hears several, as events on his one line, and the mix goes on after it.
#[test]
fn a_key_is_heard_through_a_mix() {
    let mut rig = rig();
    let legs = [
        leg(CALLER, nobody()),
        leg(AI, all(&[CALLER, HUMAN])),
        leg(HUMAN, nobody()),
    ];
    rig.set(watched(&legs, None));
    rig.talk(CALLER, 0, LOUD);
    rig.talk(HUMAN, 7, LOUD);
    rig.run(500);
    rig.hush(CALLER);
    let mut press = Press::new(&mut rig, CALLER, 5);
    for _ in 0..8 {
        press.packet(&mut rig, CALLER, false);
        rig.run(20);
    }
    for _ in 0..3 {
        press.packet(&mut rig, CALLER, true);
    }
    press.release(&mut rig, CALLER);
    rig.run(500);
    rig.set(spec(&legs));
    let sent = rig.heard(AI);
    let keys: Vec<_> = sent.iter().filter(|sent| sent.header().payload_type == 101).collect();
    assert_eq!(keys.len(), 11);
    assert!(
        keys.iter()
            .all(|key| key.header().timestamp == keys[0].header().timestamp)
    );
    assert_eq!(keys.iter().filter(|key| key.header().marker).count(), 1);
    assert_eq!(keys.iter().filter(|key| key.payload()[1] & 0x80 != 0).count(), 3);
    assert!(
        sent.windows(2)
            .all(|pair| pair[1].header().sequence == pair[0].header().sequence.next())
    );
    let evidence = evidence(&rig, AI);
    assert_eq!(
        (evidence.sequence_breaks, evidence.timestamp_breaks, evidence.reordered),
        (0, 0, 0)
    );
    // The mix comes back.
    assert!(sent.last().unwrap().header().payload_type == 0);
    assert_returned(&mut rig);
}

#[test]
fn a_key_that_nobody_ends_does_not_hold_up_the_mix() {
    let mut rig = rig();
    let legs = [
        leg(CALLER, nobody()),
        leg(AI, all(&[CALLER, HUMAN])),
        leg(HUMAN, nobody()),
    ];
    rig.set(spec(&legs));
    rig.talk(CALLER, 0, LOUD);
    rig.talk(HUMAN, 7, LOUD);
    rig.run(200);
    rig.hush(CALLER);
    let mut press = Press::new(&mut rig, CALLER, 5);
    press.packet(&mut rig, CALLER, false);
    rig.run(400);
    let sent = rig.heard(AI);
    let keys: Vec<_> = sent.iter().filter(|sent| sent.header().payload_type == 101).collect();
    assert_eq!(keys.iter().filter(|key| key.payload()[1] & 0x80 != 0).count(), 3);
    let after = sent
        .iter()
        .filter(|sent| sent.header().payload_type == 0 && sent.at > 300 * MS);
    assert!(after.count() > 10);
}

#[test]
fn a_key_that_is_taken_is_not_heard_in_a_mix() {
    let mut rig = rig();
    let mut human = leg(HUMAN, nobody());
    human.dtmf = Dtmf::Take;
    let mut plain = leg(CALLER, all(&[AI, HUMAN]));
    plain.format.events = None;
    rig.set(spec(&[plain, leg(AI, nobody()), human]));
    rig.talk(HUMAN, 0, [0xff, 0xff]);
    rig.run(300);
    rig.hush(HUMAN);
    rig.forget();
    let mut press = Press::new(&mut rig, HUMAN, 1);
    for _ in 0..8 {
        press.packet(&mut rig, HUMAN, false);
        rig.run(20);
    }
    let loud = |sent: &&Sent| Law::Mu.mean_square(sent.payload()) > 100_000;
    assert_eq!(rig.heard(CALLER).iter().filter(loud).count(), 0);
    assert!(
        rig.events
            .iter()
            .any(|(_, event)| matches!(event, Event::Digit { digit: '1', .. }))
    );
}

/// Who has no telephone-event hears the key itself, among the others.
#[test]
fn a_key_is_a_tone_in_the_mix_of_who_has_no_events() {
    let mut rig = rig();
    let mut ai = leg(AI, all(&[CALLER, HUMAN]));
    ai.format.events = None;
    rig.set(spec(&[leg(CALLER, nobody()), ai, leg(HUMAN, nobody())]));
    rig.talk(CALLER, 0, [0xff, 0xff]);
    rig.run(300);
    rig.hush(CALLER);
    rig.forget();
    let mut press = Press::new(&mut rig, CALLER, 5);
    for _ in 0..10 {
        press.packet(&mut rig, CALLER, false);
        rig.run(20);
    }
    press.packet(&mut rig, CALLER, true);
    let sent = rig.heard(AI);
    assert!(sent.iter().all(|sent| sent.header().payload_type == 0));
    // 770 and 1336 Hz, −11 and −9 dBm0.
    for hz in [770.0, 1_336.0] {
        let level = level(&sent, Codec::Pcmu, hz);
        assert!(level > -1.0 && level < 5.0, "{hz}: {level}");
    }
}

#[test]
fn without_a_mixer_the_state_is_refused_and_what_was_heard_goes_on() {
    let sizes = Sizes {
        wide: 9,
        opus_narrow: 4,
        opus_wide: 4,
        mixers: 1,
        listeners: 4,
        ..Sizes::default()
    };
    let mut rig = Rig::with(Config {
        coders: Arc::new(Coders::new(sizes, &Default::default()).unwrap()),
        ..config()
    });
    let state = |caller, ai| spec(&[leg(CALLER, caller), leg(AI, ai), leg(HUMAN, nobody())]);
    rig.set(state(all(&[AI, HUMAN]), hears(CALLER)));
    rig.talk(AI, 0, LOUD);
    rig.talk(CALLER, 3, LOUD);
    rig.run(200);
    let refused = rig.set(state(hears(AI), all(&[CALLER, HUMAN])));
    assert!(rig.events.iter().any(|(_, event)| matches!(
        event,
        Event::Refused { generation, reason: Refusal::Mix, .. } if *generation == refused
    )));
    rig.forget();
    rig.run(200);
    assert!((9..=11).contains(&rig.heard(CALLER).len()) && (9..=11).contains(&rig.heard(AI).len()));
    // Once it is free it is lent to the other.
    rig.set(state(hears(AI), hears(CALLER)));
    rig.run(100);
    let taken = rig.set(state(hears(AI), all(&[CALLER, HUMAN])));
    rig.run(100);
    assert!(rig.applied(taken).is_some());
    assert_returned(&mut rig);
}

/// Phones are ringing whose first line is promised what there is.
#[test]
fn what_is_listened_to_takes_nothing_of_what_lines_have() {
    let sizes = |listeners| Sizes {
        wide: 1,
        opus_narrow: 1,
        opus_wide: 1,
        mixers: 1,
        ears: 1,
        keys: 1,
        listeners,
    };
    let in_a_mix: fn(&mut Rig) -> Generation = |rig| {
        let others = [leg_in(AI, Codec::Opus, nobody()), leg_in(HUMAN, Codec::G722, nobody())];
        let [ai, human] = others;
        rig.set(spec(&[leg(CALLER, all(&[AI, HUMAN])), ai, human]))
    };
    let relayed: fn(&mut Rig) -> Generation = |rig| {
        let human = leg_in(HUMAN, Codec::Opus, nobody());
        rig.set(watched(
            &[leg_in(CALLER, Codec::Opus, hears(HUMAN)), human],
            Some(HUMAN),
        ))
    };
    for (change, wide) in [(in_a_mix, 0), (relayed, 1)] {
        let mut rig = Rig::with(Config {
            coders: Arc::new(Coders::new(sizes(2), &Default::default()).unwrap()),
            ..config()
        });
        let set = change(&mut rig);
        rig.run(100);
        assert!(rig.applied(set).is_some());
        let free = rig.core.coders.free();
        assert_eq!(free.listeners, 1);
        // The human's own line of G.722 has one.
        assert_eq!((free.opus_narrow, free.opus_wide, free.wide), (1, 1, wide));
        assert_returned(&mut rig);
    }
    let mut rig = Rig::with(Config {
        coders: Arc::new(Coders::new(sizes(0), &Default::default()).unwrap()),
        ..config()
    });
    let set = in_a_mix(&mut rig);
    assert!(rig.events.iter().any(|(_, event)| matches!(
        event,
        Event::Refused { generation, reason: Refusal::Coders, .. } if *generation == set
    )));
}

/// The join to a human while the AI stays in the room waits for the human, and its first word is told.
#[test]
fn a_mix_waits_for_its_first_leg_and_tells_its_first_word() {
    let mut rig = rig();
    let hold = leg(CALLER, plays(1, &[HOLD], true));
    rig.set(watched(&[hold, leg(AI, nobody()), leg(HUMAN, nobody())], None));
    rig.talk(AI, 0, [0xff, 0xff]);
    rig.run(100);
    let row = Hears {
        patience: Duration::from_secs(2),
        ..all(&[HUMAN, AI])
    };
    let joined = rig.set(watched(
        &[leg(CALLER, row), leg(AI, nobody()), leg(HUMAN, hears(CALLER))],
        Some(HUMAN),
    ));
    rig.run(300);
    assert_eq!(rig.applied(joined), None);
    let began = rig.now;
    rig.talk(HUMAN, 0, LOUD);
    rig.run(300);
    assert!(rig.applied(joined).is_some_and(|at| at - began < 2 * MS));
    let word = rig.events.iter().find_map(|(_, event)| match event {
        Event::FirstWord { at, .. } => Some(at.duration_since(rig.start).as_nanos() as u64),
        _ => None,
    });
    assert!(word.is_some_and(|at| at - began < 60 * MS), "{word:?}");
}

/// Prompts in a row come before what is mixed.
#[test]
fn what_is_played_comes_before_the_mix() {
    let mut rig = rig();
    let row = Hears {
        legs: all(&[AI, HUMAN]).legs,
        ..plays(1, &[BRIEF], false)
    };
    rig.set(spec(&[leg(CALLER, row), leg(AI, nobody()), leg(HUMAN, nobody())]));
    sing(&mut rig, AI, 3, Codec::Pcmu, 600.0);
    rig.run(2_000);
    let sent = rig.heard(CALLER);
    assert_unbroken(&sent, 30 * MS);
    let at = |from: u64, to: u64| -> Vec<Sent> {
        let there = |sent: &&Sent| (from * MS..to * MS).contains(&sent.at);
        sent.iter().filter(there).cloned().collect()
    };
    assert!(level(&at(0, 490), Codec::Pcmu, 600.0) < -40.0);
    assert!(level(&at(700, 2_000), Codec::Pcmu, 600.0).abs() < 1.0);
    assert_returned(&mut rig);
}

/// The listener's packets have his own length, whatever that of his sources.
#[test]
fn sources_of_other_packet_times_are_heard_in_the_listeners() {
    for ptime in [10, 20, 30, 40, 60] {
        let mut rig = rig();
        let mut caller = leg(CALLER, mix(&[among(AI, 1)]));
        caller.ptime_ms = ptime;
        let legs = [caller, leg(AI, nobody()), leg(HUMAN, nobody())];
        rig.set(spec(&legs));
        sing(&mut rig, AI, 3, Codec::Pcmu, 600.0);
        rig.run(200);
        rig.set(watched(&legs, None));
        rig.run(3_000);
        rig.set(spec(&[]));
        let sent = rig.heard(CALLER);
        assert!(sent.iter().all(|sent| sent.payload().len() == 8 * usize::from(ptime)));
        assert_unbroken(&sent, u64::from(ptime) * MS);
        let late: Vec<Sent> = sent.into_iter().filter(|sent| sent.at > 500 * MS).collect();
        let level = level(&late, Codec::Pcmu, 600.0);
        assert!((level - 1.0).abs() < 1.0, "{ptime}: {level}");
        let evidence = evidence(&rig, CALLER);
        assert!(
            evidence.concealed.unwrap() <= Duration::from_millis(40),
            "{ptime}: {evidence:?}"
        );
    }
}

/// A session that goes to another core takes its buffers along.
#[test]
fn a_mix_goes_on_on_another_core() {
    let mut rig = rig();
    let legs = [leg(CALLER, all(&[AI, HUMAN])), leg(AI, nobody()), leg(HUMAN, nobody())];
    rig.set(spec(&legs));
    sing(&mut rig, AI, 3, Codec::Pcmu, 600.0);
    rig.run(100);
    rig.set(watched(&legs, None));
    for _ in 0..20 {
        rig.run(95);
        rig.hop();
    }
    rig.set(spec(&[]));
    let evidence = evidence(&rig, CALLER);
    assert_eq!(
        (evidence.concealed, evidence.late, evidence.sequence_breaks),
        (Some(Duration::ZERO), 0, 0)
    );
    let sent = rig.heard(CALLER);
    assert_unbroken(&sent, 20 * MS);
    assert!(level(&sent[20..], Codec::Pcmu, 600.0).abs() < 1.0);
    assert_returned(&mut rig);
}
