use super::*;
use crate::codec::mean_square;
use crate::codec::opus::Decoder;
use crate::command::{Play, PlayId};
use crate::playing::Playing;

fn library() -> (Prompts, PromptId) {
    let mut prompts = Prompts::new();
    let samples: Vec<i16> = (0..1000).map(|at| (at * 31) as i16).collect();
    let id = prompts.add("hold", &samples).unwrap();
    (prompts, id)
}

fn cue(offset: usize, repeat: bool) -> Cue {
    let again = false;
    Cue { offset, repeat, again }
}

fn narrow(samples: &[i16]) -> Sound<'_> {
    let (band, softly) = (Band::Narrow, false);
    Sound { samples, band, softly }
}

fn wide(samples: &[i16]) -> Sound<'_> {
    let (band, softly) = (Band::Wide, false);
    Sound { samples, band, softly }
}

/// A tone of 10,000, from samples of so many a second.
fn tone(hz: f64, rate: f64, length: usize) -> Vec<i16> {
    let phase = std::f64::consts::TAU * hz / rate;
    (0..length)
        .map(|at| (10_000.0 * (phase * at as f64).sin()).round() as i16)
        .collect()
}

/// What a tone of this frequency has in samples, of 10,000; dB.
fn level(samples: &[i16], hz: f64, rate: f64) -> f64 {
    let (mut re, mut im) = (0.0, 0.0);
    for (at, sample) in samples.iter().enumerate() {
        let phase = std::f64::consts::TAU * hz / rate * at as f64;
        re += f64::from(*sample) * phase.cos();
        im += f64::from(*sample) * phase.sin();
    }
    let amplitude = 2.0 * re.hypot(im) / samples.len() as f64;
    20.0 * (amplitude.max(1e-3) / 10_000.0).log10()
}

/// The whole of it.
fn samples(prompts: &Prompts, id: PromptId, band: Band) -> Vec<i16> {
    let ticks = (prompts.duration(id).unwrap().as_micros() / 125) as usize;
    let mut samples = vec![0; ticks * (band.hz() / 8_000) as usize];
    prompts.linear(id, band, cue(0, false), &mut samples).unwrap();
    samples
}

#[test]
fn is_encoded_for_each_codec_at_load() {
    let (prompts, id) = library();
    for law in Law::ALL {
        let mut samples = [0; 1000];
        law.decode(prompts.encoded(id, law).unwrap(), &mut samples);
        for (at, sample) in samples.into_iter().enumerate() {
            let original = at as i32 * 31;
            assert!(
                (i32::from(sample) - original).abs() <= original / 16 + 8,
                "{law:?} {at}"
            );
        }
    }
    assert_eq!(prompts.duration(id), Some(Duration::from_millis(125)));
    assert_eq!(prompts.find("hold"), Some(id));
    assert_eq!(prompts.find("other"), None);
}

#[test]
fn an_empty_prompt_is_refused() {
    assert_eq!(Prompts::new().add("nothing", &[]), None);
}

#[test]
fn any_packet_time_plays_the_whole_prompt_once() {
    let (prompts, id) = library();
    let whole = prompts.encoded(id, Law::A).unwrap();
    for ptime in [10, 20, 30, 40] {
        let mut payload = vec![0; 8 * ptime];
        let (mut played, mut offset) = (Vec::new(), 0);
        loop {
            payload.fill(0xee);
            let progress = prompts.fill(id, Law::A, cue(offset, false), &mut payload).unwrap();
            played.extend_from_slice(&payload[..progress.filled]);
            // The rest is left to whoever comes next.
            assert!(payload[progress.filled..].iter().all(|&byte| byte == 0xee));
            assert_eq!(progress.offset, offset + progress.filled);
            assert_eq!(progress.ended, progress.offset == whole.len());
            offset = progress.offset;
            if progress.ended {
                break;
            }
        }
        assert_eq!(played, whole, "{ptime} ms");
    }
}

#[test]
fn a_repeated_prompt_has_no_gap() {
    let (prompts, id) = library();
    let whole = prompts.encoded(id, Law::Mu).unwrap();
    let mut payload = [0; 160];
    let (mut played, mut offset, mut ends) = (Vec::new(), 0, 0);
    for _ in 0..25 {
        let progress = prompts.fill(id, Law::Mu, cue(offset, true), &mut payload).unwrap();
        assert_eq!(progress.filled, payload.len());
        played.extend_from_slice(&payload);
        ends += u32::from(progress.ended);
        offset = progress.offset;
    }
    assert_eq!(played, whole.repeat(4));
    assert_eq!(ends, 4);
}

#[test]
fn a_prompt_shorter_than_a_packet_is_repeated_within_it() {
    let mut prompts = Prompts::new();
    let id = prompts.add("click", &[0, 8000, -8000]).unwrap();
    let mut payload = [0; 160];
    let progress = prompts.fill(id, Law::Mu, cue(0, true), &mut payload).unwrap();
    assert_eq!(
        progress,
        Progress {
            filled: 160,
            offset: 1,
            ended: true
        }
    );
    let click = prompts.encoded(id, Law::Mu).unwrap();
    assert!(payload.iter().enumerate().all(|(at, &byte)| byte == click[at % 3]));
}

#[test]
fn past_the_end_or_unknown_fills_nothing() {
    let (prompts, id) = library();
    let mut payload = [7; 160];
    let progress = prompts.fill(id, Law::Mu, cue(5000, false), &mut payload).unwrap();
    assert_eq!(
        progress,
        Progress {
            filled: 0,
            offset: 1000,
            ended: true
        }
    );
    assert_eq!(prompts.fill(PromptId(1), Law::Mu, cue(0, false), &mut payload), None);
    assert_eq!(payload, [7; 160]);
}

#[test]
fn what_comes_later_is_played_and_what_was_there_stays() {
    let mut prompts = Prompts::new();
    let first = prompts.add("first", &[1; 160]).expect("room");
    prompts.reserve(1);
    assert_eq!(prompts.add("too late", &[1; 160]), None);
    let second = prompts.add_later("second", narrow(&[2000; 320])).expect("room");
    assert_ne!(first, second);
    assert_eq!(prompts.duration(first), Some(Duration::from_millis(20)));
    assert_eq!(prompts.duration(second), Some(Duration::from_millis(40)));
    assert_eq!(prompts.add_later("no room", narrow(&[3; 160])), None);
    assert_eq!(prompts.add_later("empty", narrow(&[])), None);
    assert_eq!(prompts.duration(PromptId(second.0 + 1)), None);
}

#[test]
fn a_wide_prompt_is_heard_whole_by_who_can_and_its_lower_half_by_all() {
    let mut prompts = Prompts::new();
    prompts.reserve(4);
    for (hz, narrow) in [(3_600.0, Some(0.0)), (4_200.0, None), (5_000.0, None), (6_500.0, None)] {
        // Whole periods: a loop without a seam.
        let id = prompts.add_later("tone", wide(&tone(hz, 16_000.0, 16_000))).unwrap();
        let in_16 = samples(&prompts, id, Band::Wide);
        assert_eq!(in_16, tone(hz, 16_000.0, 16_000));
        let in_8 = samples(&prompts, id, Band::Narrow);
        match narrow {
            Some(whole) => assert!((level(&in_8, hz, 8_000.0) - whole).abs() < 0.1, "{hz}"),
            // Not as what it would be folded to, either.
            None => assert!(mean_square(&in_8) <= 2, "{hz}: {}", mean_square(&in_8)),
        }
        let mut law = vec![0; in_8.len()];
        Law::Mu.encode(&in_8, &mut law);
        assert_eq!(prompts.encoded(id, Law::Mu).unwrap(), law);
    }
}

#[test]
fn either_band_is_made_from_the_other_at_the_same_time_and_without_a_seam() {
    let mut prompts = Prompts::new();
    prompts.reserve(2);
    let (in_8, in_16) = (tone(1_000.0, 8_000.0, 4_000), tone(1_000.0, 16_000.0, 8_000));
    let of_8 = prompts.add_later("8", narrow(&in_8)).unwrap();
    let of_16 = prompts.add_later("16", wide(&in_16)).unwrap();
    let off = |one: &[i16], other: &[i16]| {
        let off = one.iter().zip(other).map(|(one, other)| one.abs_diff(*other)).max();
        off.unwrap()
    };
    assert!(off(&samples(&prompts, of_16, Band::Narrow), &in_8) < 20);
    // Half a sample lies between: 0.2 of a radian of it.
    let made = samples(&prompts, of_8, Band::Wide);
    assert!(off(&made, &in_16) < 2_200);
    let steps = |samples: &[i16]| {
        let round = samples.iter().chain(samples.first());
        let step = round.clone().zip(round.skip(1)).map(|(one, next)| one.abs_diff(*next));
        step.max().unwrap()
    };
    assert!(steps(&made) < 4_100, "{}", steps(&made));
}

#[test]
fn an_odd_number_of_samples_of_16_khz_is_made_even() {
    let mut prompts = Prompts::new();
    prompts.reserve(2);
    let near = |samples: &[i16]| samples.iter().all(|sample| sample.abs_diff(4_000) <= 8);
    let id = prompts.add_later("odd", wide(&[4_000; 641])).unwrap();
    assert_eq!(prompts.duration(id), Some(Duration::from_micros(321 * 125)));
    let (in_8, in_16) = (samples(&prompts, id, Band::Narrow), samples(&prompts, id, Band::Wide));
    assert_eq!((in_8.len(), in_16.len()), (321, 642));
    assert!(near(&in_8) && near(&in_16), "{in_16:?}");
    let id = prompts.add_later("one", wide(&[4_000])).unwrap();
    let mut long = [0; 320];
    let progress = prompts.linear(id, Band::Wide, cue(0, true), &mut long).unwrap();
    assert_eq!(progress.filled, 320);
    assert!(near(&long), "{long:?}");
}

/// A loop in Opus as a listener of 16 kHz hears it for so many packets, and where its end was passed, samples.
fn looped(prompts: &Prompts, id: PromptId, packets: usize) -> (Vec<i16>, Vec<usize>) {
    let mut playing = Playing::new(&Play {
        id: PlayId(1),
        queue: [id].into_iter().collect(),
        repeat_last: true,
    });
    let mut decoder = Decoder::new(Band::Wide).unwrap();
    let (mut heard, mut seams) = (vec![0; 320 * packets], Vec::new());
    for (at, samples) in heard.chunks_mut(320).enumerate() {
        let (frame, _) = playing.opus(prompts);
        assert_eq!(decoder.decode(frame.unwrap().packet, samples), Some(320));
        if frame.unwrap().ended {
            seams.push(320 * (at + 1));
        }
    }
    (heard, seams)
}

/// What is left of each 10 ms after the tone of 10,000 is taken out, of the tone, dB.
fn unlike_a_tone(samples: &[i16], hz: f64) -> Vec<f64> {
    let left = |samples: &[i16]| {
        // Least squares by sine and cosine.
        let phase = |at: usize| std::f64::consts::TAU * hz / 16_000.0 * at as f64;
        let (mut cc, mut cs, mut ss, mut xc, mut xs, mut xx) = (0.0, 0.0, 0.0, 0.0, 0.0, 0.0);
        for (at, sample) in samples.iter().enumerate() {
            let (sin, cos) = phase(at).sin_cos();
            let x = f64::from(*sample);
            (cc, cs, ss) = (cc + cos * cos, cs + cos * sin, ss + sin * sin);
            (xc, xs, xx) = (xc + x * cos, xs + x * sin, xx + x * x);
        }
        let det = cc * ss - cs * cs;
        let (a, b) = ((xc * ss - xs * cs) / det, (xs * cc - xc * cs) / det);
        let left = (xx - a * xc - b * xs).max(1.0);
        10.0 * (left / (samples.len() as f64 * 5e7)).log10()
    };
    samples.chunks_exact(160).map(left).collect()
}

#[test]
fn what_begins_softly_does_so_once_and_in_every_codec() {
    let mut prompts = Prompts::new();
    prompts.reserve(1);
    let music = tone(1_000.0, 8_000.0, 8_000);
    let sound = Sound {
        softly: true,
        ..narrow(&music)
    };
    let id = prompts.add_later("music", sound).unwrap();
    let mut law = vec![0; 24_000];
    prompts.fill(id, Law::Mu, cue(0, true), &mut law).unwrap();
    let mut in_law = vec![0; 24_000];
    Law::Mu.decode(&law, &mut in_law);
    let mut in_8 = vec![0; 24_000];
    prompts.linear(id, Band::Narrow, cue(0, true), &mut in_8).unwrap();
    let mut in_16 = vec![0; 48_000];
    prompts.linear(id, Band::Wide, cue(0, true), &mut in_16).unwrap();
    let (in_opus, _) = looped(&prompts, id, 150);
    for (heard, ticks) in [(in_law, 80), (in_8, 80), (in_16, 160), (in_opus, 160)] {
        let levels: Vec<f64> = heard
            .chunks_exact(ticks)
            .map(|heard| f64::from(mean_square(heard)).sqrt() / 7_071.0)
            .collect();
        assert!(levels[0] < 0.02, "{ticks}: {:?}", &levels[..24]);
        // By half a wave of a cosine, which Opus brings 6.5 ms later.
        for (at, level) in levels.iter().enumerate().take(20).skip(2) {
            let [now, late] = [0.5, -0.15].map(|by| risen((at as f32 + by) / 20.0) as f64);
            assert!((late - 0.06..now + 0.06).contains(level), "{ticks}: {level} at {at}");
        }
        // And it is whole from then on, round after round.
        for level in &levels[22..] {
            assert!((level - 1.0).abs() < 0.06, "{ticks}: {level}");
        }
    }
}

/// Near a seam, or where a second round goes on with the packets of the first.
fn loudest_near(left: &[f64], seams: &[usize]) -> f64 {
    let near = |at: usize| {
        seams.iter().any(|seam| {
            let behind = (160 * at + 160).checked_sub(*seam);
            behind.is_some_and(|behind| behind < 320 * 110)
        })
    };
    let near = left.iter().enumerate().filter(|(at, _)| near(*at));
    near.map(|(_, left)| *left).fold(f64::MIN, f64::max)
}

#[test]
fn a_loop_in_opus_has_no_seam() {
    let mut prompts = Prompts::new();
    prompts.reserve(8);
    // Of whole packets and not, with whole periods of the tone in each.
    for (length, periods) in [
        (64_000, 2_800),
        (64_000, 2_803),
        (66_000, 2_900),
        (64_161, 2_806),
        (4_001, 180),
        (100, 5),
    ] {
        let hz = 16_000.0 * f64::from(periods) / length as f64;
        let id = prompts.add_later("tone", wide(&tone(hz, 16_000.0, length))).unwrap();
        let (heard, seams) = looped(&prompts, id, 1_000);
        assert!(seams.len() > 3);
        // It may be a little faster or slower.
        let packets = (seams[1] - seams[0]) as f64;
        let rounds = (packets / length as f64).round();
        let played = 16_000.0 * f64::from(periods) * rounds / packets;
        assert!((played / hz - 1.0).abs() < 0.005, "{hz} Hz as {played} Hz");
        let left = loudest_near(&unlike_a_tone(&heard, played), &seams);
        assert!(left < -30.0, "{length} samples: {left} dB");
    }
}

/// A chord whose notes swell and fade, and sound on from the end into the beginning.
#[test]
fn music_in_opus_goes_round_as_it_does_in_samples() {
    for length in [48_000, 48_100] {
        let notes = [
            (130.8, 0),
            (329.6, 7_000),
            (523.3, 21_000),
            (392.0, 40_000),
            (659.3, 46_000),
        ];
        let music: Vec<i16> = (0..length)
            .map(|at| {
                let note = |&(hz, begin): &(f64, usize)| {
                    let since = ((at + length - begin) % length) as f64 / 16_000.0;
                    let swell = (since / 0.2).min(1.0) * (-since * 1.5).exp();
                    4_000.0 * swell * (std::f64::consts::TAU * hz * since).sin()
                };
                notes.iter().map(note).sum::<f64>() as i16
            })
            .collect();
        let mut prompts = Prompts::new();
        prompts.reserve(1);
        let id = prompts.add_later("music", wide(&music)).unwrap();
        let (heard, seams) = looped(&prompts, id, 700);
        let levels: Vec<f64> = heard
            .chunks_exact(160)
            .map(|heard| 10.0 * f64::from(mean_square(heard).max(1)).log10())
            .collect();
        // What a decoder lags: 6.5 ms.
        let round = seams[1] - seams[0];
        for (at, &level) in levels.iter().enumerate().skip(50) {
            let from = (160 * at + 10 * round - 104) % round * length / round;
            let wanted: Vec<i16> = (from..from + 160).map(|at| music[at % length]).collect();
            let wanted = 10.0 * f64::from(mean_square(&wanted).max(1)).log10();
            assert!(
                (level - wanted).abs() < 1.5,
                "{length}: {level} for {wanted} dB at {at}"
            );
        }
        // No step that is larger than those within.
        let step = |at: usize| heard[at].abs_diff(heard[at - 1]);
        let most = music.windows(2).map(|pair| pair[1].abs_diff(pair[0])).max().unwrap();
        let steps = seams[..seams.len() - 1].iter().flat_map(|seam| seam - 320..seam + 960);
        let largest = steps.map(step).max().unwrap();
        assert!(largest < most + most / 4, "{length}: {largest} for {most}");
    }
}
