//! Speech through codecs of other hands passes; each fault that a path can have is found, and called by its name.

use std::f64::consts::PI;
use std::path::Path;

use judge::{Fault, Sound, Verdict, judge};
use parties::codec::{Codec, Decoder, Encoder};

/// A prompt of the demo's parties, mono, 8000 Hz.
fn prompt(name: &str) -> Vec<i16> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../parties/prompts/{name}.wav"));
    let mut reader = hound::WavReader::open(path).expect("a prompt");
    reader.samples().map(|sample| sample.expect("a sample")).collect()
}

/// Four to five seconds of one voice.
fn speech() -> Vec<i16> {
    [prompt("caller-1"), vec![0; 2400], prompt("caller-2")].concat()
}

/// Every voice that there is.
const VOICES: [&str; 9] = [
    "caller-1",
    "caller-2",
    "caller-3",
    "caller-4",
    "ai-1",
    "ai-2",
    "ai-back",
    "human-hello",
    "human-2",
];

/// Noise as a quiet line has it, between −level and level.
fn noise(samples: usize, level: i32, mut seed: u32) -> Vec<i16> {
    let mut next = || {
        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        ((seed >> 16) as i32 % (2 * level + 1) - level) as i16
    };
    (0..samples).map(|_| next()).collect()
}

/// 700 ms of a quiet line before, 500 ms after.
fn on_a_line(samples: &[i16], rate: u32) -> Vec<i16> {
    let ms = |ms: u32| noise((rate * ms / 1000) as usize, 20, 7);
    [ms(700), samples.to_vec(), ms(500)].concat()
}

/// By cubic interpolation, good enough to make faults with: `ratio` times as fast.
fn faster(samples: &[i16], ratio: f64) -> Vec<i16> {
    let at = |n: isize| {
        f64::from(
            usize::try_from(n)
                .ok()
                .and_then(|n| samples.get(n))
                .copied()
                .unwrap_or(0),
        )
    };
    (0..(samples.len() as f64 / ratio) as usize)
        .map(|n| {
            let (place, t) = ((n as f64 * ratio).floor(), (n as f64 * ratio).fract());
            let [a, b, c, d] = [-1, 0, 1, 2].map(|k| at(place as isize + k));
            // Catmull and Rom.
            let (cubic, square) = (3.0 * (b - c) + d - a, 2.0 * a - 5.0 * b + 4.0 * c - d);
            (b + 0.5 * t * (c - a + t * (square + t * cubic))).clamp(-32_768.0, 32_767.0) as i16
        })
        .collect()
}

/// Longer by `ratio` at the same pitch: frames of 30 ms, each put where it goes on best from what is there.
fn longer(samples: &[i16], ratio: f64) -> Vec<i16> {
    const FRAME: usize = 240;
    const HALF: usize = FRAME / 2;
    let mut out: Vec<f64> = samples[..HALF].iter().map(|s| f64::from(*s)).collect();
    let mut next = HALF;
    loop {
        let wanted = (out.len() as f64 / ratio) as usize;
        let from = wanted.saturating_sub(80);
        if wanted + 80 + FRAME >= samples.len() {
            break;
        }
        // What would have followed is what the new frame must be like.
        let follows = &samples[next.min(samples.len() - HALF)..][..HALF];
        let like = |at: usize| -> i64 {
            let pairs = samples[at..at + HALF].iter().zip(follows);
            pairs.map(|(a, b)| i64::from(*a) * i64::from(*b)).sum()
        };
        let at = (from..=wanted + 80).max_by_key(|at| like(*at)).expect("a place");
        let tail = out.len() - HALF;
        let fade: Vec<f64> = out[tail..]
            .iter()
            .zip(&samples[at..])
            .enumerate()
            .map(|(n, (old, new))| {
                let part = n as f64 / HALF as f64;
                old * (1.0 - part) + f64::from(*new) * part
            })
            .collect();
        out.truncate(tail);
        out.extend(fade);
        out.extend(samples[at + HALF..at + FRAME].iter().map(|s| f64::from(*s)));
        next = at + FRAME - HALF;
    }
    out.iter().map(|s| *s as i16).collect()
}

/// Another pitch, at the same speed.
fn higher(samples: &[i16], ratio: f64) -> Vec<i16> {
    faster(&longer(samples, ratio), ratio)
}

/// Twice the rate: zeros between, so the spectrum is there twice, and the upper half of it half as loud.
fn wide(samples: &[i16]) -> Vec<i16> {
    let at = |n: usize| samples.get(n).copied().unwrap_or(0);
    (0..samples.len() * 2)
        .map(|n| {
            if n % 2 == 0 {
                at(n / 2)
            } else {
                (i32::from(at(n / 2)) / 3 + i32::from(at(n / 2 + 1)) / 3) as i16
            }
        })
        .collect()
}

/// Twice the rate, and nothing above 4 kHz: by a sinc under a Hann window.
fn doubled(samples: &[i16]) -> Vec<i16> {
    let at = |n: isize| {
        f64::from(
            usize::try_from(n)
                .ok()
                .and_then(|n| samples.get(n))
                .copied()
                .unwrap_or(0),
        )
    };
    let weight = |x: f64| (PI * x).sin() / (PI * x) * (0.5 + 0.5 * (PI * x / 32.0).cos());
    let between = |n: isize| (-31..=32).map(|k| at(n + k) * weight(k as f64 - 0.5)).sum::<f64>() as i16;
    (0..samples.len())
        .flat_map(|n| [samples[n], between(n as isize)])
        .collect()
}

fn through(codec: Codec, samples: &[i16]) -> Vec<i16> {
    let (mut encoder, mut decoder) = (Encoder::new(codec), Decoder::new(codec));
    let frames = samples.chunks_exact(codec.samples(20));
    frames
        .flat_map(|frame| decoder.decode(&encoder.encode(frame)).expect("our own"))
        .collect()
}

/// Opus at 16 kbit/s, both sides at this rate.
fn through_opus(samples: &[i16], rate: u32) -> Vec<i16> {
    let mut encoder = opus::Encoder::new(rate, opus::Channels::Mono, opus::Application::Voip).expect("an encoder");
    encoder.set_bitrate(opus::Bitrate::Bits(16_000)).expect("a rate");
    let mut decoder = opus::Decoder::new(rate, opus::Channels::Mono).expect("a decoder");
    let frame = (rate / 50) as usize;
    let mut heard = Vec::new();
    for samples in samples.chunks_exact(frame) {
        let packet = encoder.encode_vec(samples, 1500).expect("a packet");
        let mut sound = vec![0; frame];
        decoder.decode(&packet, &mut sound, false).expect("a sound");
        heard.extend(sound);
    }
    heard
}

fn verdict(said: &[i16], heard: &[i16]) -> Verdict {
    judge(Sound::new(said, 8000), Sound::new(heard, 8000))
}

#[track_caller]
fn assert_passes(what: &str, verdict: &Verdict, delay_ms: f64) {
    assert!(verdict.passes(), "{what}: {verdict}");
    assert!((verdict.delay_ms - delay_ms).abs() < 7.0, "{what}: {verdict}");
}

#[test]
fn every_voice_passes_through_every_codec() {
    for name in VOICES {
        let narrow = prompt(name);
        for codec in parties::codec::ALL {
            let said = if codec.rate() == 8000 {
                narrow.clone()
            } else {
                wide(&narrow)
            };
            let heard = through(codec, &on_a_line(&said, codec.rate()));
            let (said, heard) = (Sound::new(&said, codec.rate()), Sound::new(&heard, codec.rate()));
            assert_passes(&format!("{name} in {codec:?}"), &judge(said, heard), 700.0);
        }
        for rate in [8000, 16_000, 48_000] {
            let said = match rate {
                8000 => narrow.clone(),
                16_000 => wide(&narrow),
                _ => faster(&narrow, 1.0 / 6.0),
            };
            let heard = through_opus(&on_a_line(&said, rate), rate);
            let verdict = judge(Sound::new(&narrow, 8000), Sound::new(&heard, rate));
            assert_passes(&format!("{name} in Opus at {rate}"), &verdict, 700.0);
        }
    }
}

#[test]
fn one_codec_after_another_passes() {
    let said = speech();
    let first = through_opus(&on_a_line(&said, 8000), 8000);
    let second = through(Codec::Pcma, &through(Codec::Pcmu, &first));
    assert_passes("Opus and both laws", &verdict(&said, &second), 700.0);
    let wideband = through(Codec::G722, &wide(&second));
    let third = through_opus(&wideband, 16_000);
    // Twice 6.5 ms of Opus, and 1.4 ms of G.722.
    let verdict = judge(Sound::new(&said, 8000), Sound::new(&third, 16_000));
    assert_passes("Opus, both laws, G.722 and Opus", &verdict, 714.4);
}

/// What a fault makes of speech, and whether a verdict calls it so.
type Case = (&'static str, fn(&[i16]) -> Vec<i16>, fn(&Fault) -> bool);

const CASES: &[Case] = &[
    ("silence", |said| vec![0; said.len()], |fault| *fault == Fault::Silence),
    (
        "a quiet line",
        |said| noise(said.len(), 20, 3),
        |fault| *fault == Fault::Silence,
    ),
    (
        "white noise",
        |said| noise(said.len(), 8000, 3),
        |fault| *fault == Fault::NothingAlike,
    ),
    (
        "another sentence",
        |_| on_a_line(&prompt("caller-3"), 8000),
        |fault| *fault == Fault::NothingAlike,
    ),
    (
        "the same voice saying another thing",
        |_| on_a_line(&prompt("caller-4"), 8000),
        |fault| *fault == Fault::NothingAlike,
    ),
    (
        "bytes of L16 swapped",
        |said| said.iter().map(|s| s.swap_bytes()).collect(),
        |fault| *fault == Fault::BytesSwapped,
    ),
    (
        "8000 played as 16,000",
        |said| faster(said, 2.0),
        |fault| speed(fault, 2.0),
    ),
    (
        "16,000 played as 8000",
        |said| faster(said, 0.5),
        |fault| speed(fault, 0.5),
    ),
    ("10 % too fast", |said| faster(said, 1.1), |fault| speed(fault, 1.1)),
    ("2 % too fast", |said| faster(said, 1.02), |fault| speed(fault, 1.02)),
    ("2 % too slow", |said| faster(said, 0.98), |fault| speed(fault, 0.98)),
    ("1 % too fast", |said| faster(said, 1.01), |fault| speed(fault, 1.01)),
    ("1 % too slow", |said| faster(said, 0.99), |fault| speed(fault, 0.99)),
    ("3 % too high", |said| higher(said, 1.03), |fault| pitch(fault, 1.03)),
    (
        "1.5 % too low",
        |said| higher(said, 1.0 / 1.015),
        |fault| pitch(fault, 1.0 / 1.015),
    ),
    (
        "noise as loud as the voice",
        |said| mixed(said, 4500),
        |fault| matches!(fault, Fault::Distorted(_)),
    ),
    (
        "heavy clipping",
        |said| said.iter().map(|s| s.saturating_mul(20)).collect(),
        |fault| matches!(fault, Fault::Clipped(_)),
    ),
    (
        "a hole of 60 ms",
        |said| holed(said, 480),
        |fault| matches!(fault, Fault::Hole { ms, .. } if (45.0..75.0).contains(ms)),
    ),
    (
        "a slip of 20 ms",
        |said| slipped(said, 160),
        |fault| matches!(fault, Fault::Slip { ms, .. } if (ms - 20.0).abs() < 2.0),
    ),
    (
        "60 ms are missing",
        |said| cut(said, 480),
        |fault| matches!(fault, Fault::Slip { ms, .. } if (ms + 60.0).abs() < 3.0),
    ),
    (
        "a tenth of its loudness",
        |said| said.iter().map(|s| s / 10).collect(),
        |fault| matches!(fault, Fault::Level(db) if (db + 20.0).abs() < 1.0),
    ),
    ("without its high tones", lowpassed, |fault| {
        matches!(fault, Fault::Spectrum(_))
    }),
];

fn speed(fault: &Fault, wanted: f64) -> bool {
    matches!(fault, Fault::Speed(is) if (is / wanted - 1.0).abs() < 0.004)
}

fn pitch(fault: &Fault, wanted: f64) -> bool {
    // Joined frames are no whole periods, so the voice that is made here is not exact either.
    matches!(fault, Fault::Pitch(is) if (is / wanted - 1.0).abs() < 0.008)
}

/// Where the voice is loudest.
fn loudest(said: &[i16], length: usize) -> usize {
    let energy = |at: usize| said[at..at + length].iter().map(|s| i64::from(*s).pow(2)).sum::<i64>();
    let middle = said.len() / 4..said.len() * 3 / 4;
    middle.step_by(80).max_by_key(|at| energy(*at)).expect("a place")
}

fn holed(said: &[i16], length: usize) -> Vec<i16> {
    let at = loudest(said, length);
    let mut heard = said.to_vec();
    heard[at..at + length].fill(0);
    heard
}

fn slipped(said: &[i16], length: usize) -> Vec<i16> {
    let at = loudest(said, length);
    [&said[..at], &vec![0; length], &said[at..]].concat()
}

fn cut(said: &[i16], length: usize) -> Vec<i16> {
    let at = loudest(said, length);
    [&said[..at], &said[at + length..]].concat()
}

fn mixed(said: &[i16], level: i32) -> Vec<i16> {
    let noise = noise(said.len(), level, 9);
    said.iter().zip(noise).map(|(a, b)| a.saturating_add(b)).collect()
}

fn lowpassed(said: &[i16]) -> Vec<i16> {
    let mut heard: Vec<f32> = said.iter().map(|s| f32::from(*s)).collect();
    for _ in 0..6 {
        let mut last = 0.0;
        for sample in &mut heard {
            last += 0.55 * (*sample - last);
            *sample = last;
        }
    }
    heard.iter().map(|s| *s as i16).collect()
}

#[test]
fn each_fault_has_its_name() {
    let said = speech();
    let mut wrong = Vec::new();
    for (what, make, is_named) in CASES {
        let heard = on_a_line(&make(&said), 8000);
        let heard = if *what == "silence" { make(&said) } else { heard };
        let verdict = verdict(&said, &heard);
        if verdict.passes() || !verdict.faults.iter().any(is_named) {
            wrong.push(format!("{what}: {verdict}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn each_fault_has_its_name_behind_codecs() {
    let said = speech();
    let mut wrong = Vec::new();
    for (what, make, is_named) in CASES {
        // Where bytes are swapped nothing is behind it that could swap them back.
        if *what == "bytes of L16 swapped" {
            continue;
        }
        let heard = through(Codec::Pcmu, &through_opus(&on_a_line(&make(&said), 8000), 8000));
        let verdict = verdict(&said, &heard);
        if verdict.passes() || !verdict.faults.iter().any(is_named) {
            wrong.push(format!("{what}: {verdict}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn what_is_said_among_other_things_is_found_there() {
    let all: Vec<i16> = VOICES.iter().flat_map(|name| on_a_line(&prompt(name), 8000)).collect();
    let heard = through(Codec::Pcmu, &all);
    let mut at = 0.0;
    for name in VOICES {
        let said = prompt(name);
        assert_passes(name, &verdict(&said, &heard), at + 700.0);
        at += said.len() as f64 / 8.0 + 1200.0;
    }
}

#[test]
fn above_telephone_speech_it_is_judged_where_something_is_said_there() {
    let narrow = speech();
    let said = wide(&narrow);
    let sound = Sound::new(&said, 16_000);
    let db = judge(sound, Sound::new(&through(Codec::G722, &said), 16_000))
        .wide_db
        .expect("a distance");
    assert!(db < 3.0, "{db}");
    // Through something narrower nothing is left of it.
    let without = doubled(&narrow);
    let verdict = judge(sound, Sound::new(&without, 16_000));
    assert!(matches!(verdict.faults[..], [Fault::WideSpectrum(_)]), "{verdict}");
    // What was said at 8000 Hz has nothing there.
    assert_eq!(judge(Sound::new(&narrow, 8000), sound).wide_db, None);
    assert_eq!(
        judge(Sound::new(&without, 16_000), Sound::new(&without, 16_000)).wide_db,
        None
    );
}

#[test]
fn nothing_is_no_ground_for_a_verdict() {
    assert_eq!(verdict(&[], &speech()).faults, [Fault::NothingSaid]);
    assert_eq!(verdict(&noise(8000, 10, 1), &speech()).faults, [Fault::NothingSaid]);
    assert_eq!(verdict(&speech(), &[]).faults, [Fault::Silence]);
    // A second of it is not all of it.
    assert!(!verdict(&speech(), &speech()[..8000]).passes());
}

#[test]
fn a_sound_at_another_rate_is_the_same_sound() {
    let said = speech();
    assert_eq!(judge::resampled(Sound::new(&said, 8000), 8000), said);
    let higher = judge::resampled(Sound::new(&said, 8000), 48_000);
    assert_eq!(higher.len(), 6 * said.len());
    let verdict = judge(Sound::new(&said, 8000), Sound::new(&higher, 48_000));
    assert!(verdict.passes() && verdict.waveform > 0.99, "{verdict}");
}
