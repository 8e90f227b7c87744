use std::f64::consts::TAU;

use super::*;

/// A tone of `hz` at a rate, with an amplitude of 10,000.
fn tone(hz: f64, rate: f64, length: usize) -> Vec<i16> {
    (0..length)
        .map(|at| (10_000.0 * (TAU * hz * at as f64 / rate).cos()).round() as i16)
        .collect()
}

fn double(samples: &[i16]) -> Vec<i16> {
    let mut doubled = vec![0; samples.len() * 2];
    assert_eq!(Upsampler::new().process(samples, &mut doubled), doubled.len());
    doubled
}

fn halve(samples: &[i16]) -> Vec<i16> {
    let mut halved = vec![0; samples.len() / 2];
    assert_eq!(Downsampler::new().process(samples, &mut halved), halved.len());
    halved
}

/// What there is of `hz`: level against the tone's, dB, and how late it is, in samples of the rate (between −½ and ½
/// period). The length counted is a whole second, so every whole frequency fits in.
fn found(samples: &[i16], hz: f64, rate: f64) -> (f64, f64) {
    let counted = &samples[samples.len() - rate as usize..];
    let first = samples.len() - counted.len();
    let (mut real, mut imaginary) = (0.0, 0.0);
    for (at, &sample) in counted.iter().enumerate() {
        let angle = TAU * hz * (first + at) as f64 / rate;
        real += f64::from(sample) * angle.cos();
        imaginary += f64::from(sample) * angle.sin();
    }
    let amplitude = real.hypot(imaginary) * 2.0 / rate;
    (
        20.0 * (amplitude / 10_000.0).max(1e-9).log10(),
        imaginary.atan2(real) / TAU * rate / hz,
    )
}

/// `late` is known to a period, `delay` tells which.
fn off(late: f64, delay: f64, hz: f64, rate: f64) -> f64 {
    let periods = (late - delay) * hz / rate;
    (periods - periods.round()) * rate / hz
}

#[test]
fn the_pass_band_is_flat_and_of_one_delay() {
    for hz in (100..=3400).step_by(100).map(f64::from) {
        let (level, late) = found(&double(&tone(hz, 8000.0, 8400)), hz, 16_000.0);
        assert!(level.abs() < 0.15, "{hz} Hz doubled: {level} dB");
        let delay = Upsampler::DELAY.as_secs_f64() * 16_000.0;
        assert!(
            off(late, delay, hz, 16_000.0).abs() < 0.02,
            "{hz} Hz doubled: {late} samples"
        );

        let (level, late) = found(&halve(&tone(hz, 16_000.0, 16_800)), hz, 8000.0);
        assert!(level.abs() < 0.15, "{hz} Hz halved: {level} dB");
        let delay = Downsampler::DELAY.as_secs_f64() * 8000.0;
        assert!(
            off(late, delay, hz, 8000.0).abs() < 0.02,
            "{hz} Hz halved: {late} samples"
        );
    }
}

#[test]
fn images_and_aliases_are_rejected() {
    for hz in (100..=3400).step_by(100).map(f64::from) {
        let (image, _) = found(&double(&tone(hz, 8000.0, 8400)), 8000.0 - hz, 16_000.0);
        assert!(image < -52.0, "{hz} Hz doubled: image {image} dB");
        let (alias, _) = found(&halve(&tone(8000.0 - hz, 16_000.0, 16_800)), hz, 8000.0);
        assert!(alias < -52.0, "{} Hz halved: alias {alias} dB", 8000.0 - hz);
    }
}

/// The loudest sample, and how far it spreads: the delay is what is documented, not a period off.
#[test]
fn an_impulse_comes_out_around_the_delay() {
    let mut impulse = [0; 64];
    impulse[8] = 20_000;
    let doubled = double(&impulse);
    let loudest = (0..doubled.len()).max_by_key(|&at| doubled[at]);
    // Twice 8 and 15.5 are 31.5: as high on both sides.
    assert_eq!(loudest, Some(32));
    assert_eq!(doubled[31], doubled[32]);
    assert!(doubled[..16].iter().chain(&doubled[48..]).all(|&sample| sample == 0));

    // From sample 16 of 16 kHz and the one after it: 16 and 14.5 are 30.5, and 17 and 14.5 are 31.5, so 15 and 16 of 8
    // kHz.
    let mut impulse = [0; 64];
    impulse[17] = 20_000;
    let halved = halve(&impulse);
    let loudest = (0..halved.len()).max_by_key(|&at| halved[at]);
    assert_eq!(loudest, Some(16));
    assert!(halved[..8].iter().chain(&halved[24..]).all(|&sample| sample == 0));
}

/// Noise that needs no crate: every call gives the same.
fn noise(length: usize) -> Vec<i16> {
    let mut state = 1u32;
    std::iter::repeat_with(|| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 16) as i16
    })
    .take(length)
    .collect()
}

#[test]
fn any_split_of_the_input_gives_the_same() {
    let input = noise(4000);
    let (doubled, halved) = (double(&input), halve(&input));
    for most in [1, 2, 3, 31, 32, 33, 160, 161, 333] {
        let (mut upsampler, mut downsampler) = (Upsampler::new(), Downsampler::new());
        let (mut ours, mut rest) = (Vec::new(), input.as_slice());
        let mut buffer = vec![0; 2 * most + 1];
        while !rest.is_empty() {
            let written = upsampler.process(&rest[..most.min(rest.len())], &mut buffer);
            ours.extend_from_slice(&buffer[..written]);
            rest = &rest[written / 2..];
        }
        assert_eq!(ours, doubled, "by {most}");

        let (mut ours, mut rest) = (Vec::new(), input.as_slice());
        while !rest.is_empty() {
            // What is left over of an odd number comes again.
            let written = downsampler.process(&rest[..(most + 1).min(rest.len())], &mut buffer);
            ours.extend_from_slice(&buffer[..written]);
            rest = &rest[written * 2..];
        }
        assert_eq!(ours, halved, "by {}", most + 1);
    }
}

#[test]
fn the_smaller_slice_decides() {
    let input = noise(100);
    let mut buffer = [7; 100];
    assert_eq!(Upsampler::new().process(&input, &mut buffer[..51]), 50);
    assert_eq!(buffer[..50], double(&input[..25]));
    assert_eq!(buffer[50], 7);
    assert_eq!(Upsampler::new().process(&input[..3], &mut buffer), 6);
    assert_eq!(Upsampler::new().process(&[], &mut buffer), 0);
    assert_eq!(Upsampler::new().process(&input, &mut []), 0);

    let mut buffer = [7; 100];
    assert_eq!(Downsampler::new().process(&input[..7], &mut buffer), 3);
    assert_eq!(buffer[..3], halve(&input[..6]));
    assert_eq!(buffer[3], 7);
    assert_eq!(Downsampler::new().process(&input, &mut buffer[..2]), 2);
    assert_eq!(Downsampler::new().process(&input[..1], &mut buffer), 0);
    assert_eq!(Downsampler::new().process(&[], &mut buffer), 0);
    assert_eq!(Downsampler::new().process(&input, &mut []), 0);
}

/// The loudest that can come: the input whose signs are those of the taps would reach nearly twice full scale.
#[test]
fn too_loud_saturates() {
    for sign in [1i16, -1] {
        let loud = |tap: i16| if (tap < 0) == (sign < 0) { i16::MAX } else { i16::MIN };
        let limit = if sign > 0 { i16::MAX } else { i16::MIN };

        // The last tap meets the first sample; the taps are symmetric, so the order does not matter.
        let worst: Vec<i16> = ALL.as_flattened().iter().map(|&tap| loud(tap)).collect();
        assert_eq!(halve(&worst).last(), Some(&limit));

        let worst: Vec<i16> = EVEN.iter().map(|&tap| loud(tap)).collect();
        assert_eq!(double(&worst).last(), Some(&limit));
    }
}
