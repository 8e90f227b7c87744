//! A prompt that is interrupted fades out, and nothing of the line's time changes for it.

use super::*;
use crate::codec::g711::Law;
use crate::codec::mean_square;
use crate::voice::tests::{coders, heard};

/// Two tones that have nothing in common, a second each.
const LOW: PromptId = PromptId(0);
const HIGH: PromptId = PromptId(1);

fn rig() -> Rig {
    let tone = |hz: f64| -> Vec<i16> {
        let phase = std::f64::consts::TAU * hz / 8_000.0;
        (0..8_000)
            .map(|at| (8_000.0 * (phase * at as f64).cos()) as i16)
            .collect()
    };
    let mut prompts = Prompts::new();
    prompts.add("low", &tone(210.0)).unwrap();
    prompts.add("high", &tone(1_310.0)).unwrap();
    Rig::with(Config {
        coders: Arc::new(coders()),
        prompts: Arc::new(prompts),
        ..config()
    })
}

/// How loud a frequency is in each packet of 20 ms, of 8,000.
fn levels(samples: &[i16], hz: f64, rate: usize) -> Vec<f64> {
    let level = |packet: &[i16]| {
        let (mut re, mut im) = (0.0, 0.0);
        for (at, sample) in packet.iter().enumerate() {
            let phase = std::f64::consts::TAU * hz * at as f64 / rate as f64;
            re += f64::from(*sample) * phase.cos();
            im += f64::from(*sample) * phase.sin();
        }
        2.0 * f64::hypot(re, im) / packet.len() as f64 / 8_000.0
    };
    samples.chunks_exact(rate / 50).map(level).collect()
}

/// The line is what it would be without a change: a packet each 20 ms, none more or less.
fn assert_steady(rig: &Rig, packets: usize) {
    let heard = rig.heard(CALLER);
    assert_eq!(heard.len(), packets);
    assert!(heard.windows(2).all(|pair| pair[1].at - pair[0].at == 20 * MS));
    assert_unbroken(&heard, 20 * MS);
}

/// At 16 kHz, whatever the codec.
fn samples(rig: &Rig, codec: Codec) -> (Vec<i16>, usize) {
    let sent = rig.heard(CALLER);
    (heard(codec, sent.iter().map(Sent::payload)), 16_000)
}

#[test]
fn another_play_comes_at_once_and_the_old_one_fades_out_behind_it() {
    for codec in [Codec::Pcmu, Codec::Pcma, Codec::L16, Codec::L16Wide] {
        let mut rig = rig();
        let row = |id, prompt| spec(&[leg_in(CALLER, codec, plays(id, &[prompt], true))]);
        rig.set(row(1, LOW));
        rig.run(190);
        rig.set(row(2, HIGH));
        rig.run(210);
        let sent = rig.heard(CALLER);
        assert_eq!(sent.len(), 20, "{codec:?}");
        assert!(sent.windows(2).all(|pair| pair[1].at - pair[0].at == 20 * MS));
        let (samples, rate) = samples(&rig, codec);
        let (low, high) = (levels(&samples, 210.0, rate), levels(&samples, 1_310.0, rate));
        assert!(low[..10].iter().all(|level| *level > 0.8), "{codec:?} {low:?}");
        assert!((0.2..0.75).contains(&low[10]), "{codec:?} {low:?}");
        assert!(low[11..].iter().all(|level| *level < 0.15), "{codec:?} {low:?}");
        // The new one is whole from its first packet on.
        assert!(high[10..].iter().all(|level| *level > 0.8), "{codec:?} {high:?}");
        // Where the one ends in the middle of a wave, no step is larger than those of both together.
        let seam = rate / 5;
        let step = |at: usize| samples[at].abs_diff(samples[at - 1]);
        // At its first sample the new one begins with its crest: that step is its own.
        let after = (seam + 1..seam + rate / 40).map(step).max().unwrap();
        let within = (seam + rate / 40..samples.len()).map(step).max().unwrap();
        assert!(after < within + 1_600, "{codec:?}: {after} for {within}");
    }
}

#[test]
fn what_is_interrupted_by_nothing_has_no_click_at_its_end() {
    for codec in [Codec::Pcmu, Codec::L16Wide, Codec::G722] {
        let mut rig = rig();
        rig.set(spec(&[leg_in(CALLER, codec, plays(1, &[LOW], true))]));
        rig.run(190);
        rig.set(spec(&[leg_in(CALLER, codec, nobody())]));
        rig.run(210);
        let (samples, rate) = samples(&rig, codec);
        let step = |at: usize| samples[at].abs_diff(samples[at - 1]);
        let within = (rate / 50..rate / 6).map(step).max().unwrap();
        let after = (rate / 6..samples.len()).map(step).max().unwrap();
        assert!(after <= within + within / 8, "{codec:?}: {after} for {within}");
        let late = mean_square(&samples[rate / 4..]);
        assert!(late < crate::codec::g711::BELOW_50_DBM0, "{codec:?}");
    }
}

#[test]
fn what_waits_in_vain_to_give_way_to_a_leg_is_whole_until_noise_takes_its_place() {
    let mut rig = rig();
    let state = |row| spec(&[leg(CALLER, row), leg(AI, nobody())]);
    rig.talk(AI, 0, LOUD);
    rig.set(state(plays(1, &[LOW], true)));
    rig.run(185);
    rig.talker(AI).until = rig.now;
    rig.set(state(hears(AI)));
    rig.run(215);
    assert_steady(&rig, 20);
    let (samples, rate) = samples(&rig, Codec::Pcmu);
    let low = levels(&samples, 210.0, rate);
    // The leg has 60 ms.
    assert!(low[..13].iter().all(|level| *level > 0.8), "{low:?}");
    assert!((0.2..0.75).contains(&low[13]), "{low:?}");
    assert!(low[14..].iter().all(|level| *level < 0.01), "{low:?}");
}

#[test]
fn the_voice_of_a_leg_that_takes_over_is_its_own_from_its_first_packet_on() {
    let mut rig = rig();
    let state = |row| spec(&[leg(CALLER, row), leg(AI, nobody())]);
    rig.set(state(plays(1, &[LOW], true)));
    rig.run(185);
    rig.talk(AI, 3, LOUD);
    rig.set(state(hears(AI)));
    rig.run(100);
    let sent = rig.heard(CALLER);
    let first = sent
        .iter()
        .position(|sent| sent.payload() == rig.talkers[0].payload)
        .unwrap();
    assert!(
        sent[first..]
            .iter()
            .all(|sent| sent.payload() == rig.talkers[0].payload)
    );
    // And what is played after it is nothing of what was interrupted.
    rig.set(state(plays(2, &[HIGH], true)));
    rig.run(100);
    let library = rig.core.prompts.clone();
    let high = library.encoded(HIGH, Law::Mu).unwrap();
    let sent = rig.heard(CALLER);
    let begins = sent.iter().position(|sent| sent.payload() == &high[..160]).unwrap();
    assert_eq!(sent[begins + 1].payload(), &high[160..320]);
}
