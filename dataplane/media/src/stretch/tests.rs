use std::f64::consts::TAU;

use super::*;
use crate::seed::Seed;
use crate::speech::{VOICES, noise, prompt};

const BANDS: [Band; 2] = [Band::Narrow, Band::Wide];

fn ms(band: Band) -> usize {
    band.hz() as usize / 1000
}

/// A tone with three harmonics.
fn tone(hz: f64, band: Band, samples: usize) -> Vec<i16> {
    let turn = |at: usize| TAU * hz * at as f64 / f64::from(band.hz());
    (0..samples)
        .map(|at| 6_000.0 * turn(at).sin() + 4_000.0 * (2.0 * turn(at) + 1.0).sin() + 2_000.0 * (3.0 * turn(at)).cos())
        .map(|sample| sample.round() as i16)
        .collect()
}

/// Shortens each stretch of so many milliseconds; how often it could.
fn all_shortened(samples: &[i16], length: usize, band: Band, need: Need) -> (Vec<i16>, usize) {
    let (mut all, mut times) = (Vec::new(), 0);
    for stretch in samples.chunks_exact(length * ms(band)) {
        let mut stretch = stretch.to_vec();
        let len = shorten(&mut stretch, band, need);
        times += usize::from(len < stretch.len());
        all.extend_from_slice(&stretch[..len]);
    }
    (all, times)
}

fn all_lengthened(samples: &[i16], length: usize, band: Band, need: Need) -> (Vec<i16>, usize) {
    let (mut all, mut times) = (Vec::new(), 0);
    for stretch in samples.chunks_exact(length * ms(band)) {
        let mut longer = stretch.to_vec();
        longer.resize(stretch.len() + 13 * ms(band), 0x5555);
        let len = lengthen(&mut longer, stretch.len(), band, need);
        times += usize::from(len > stretch.len());
        all.extend_from_slice(&longer[..len]);
    }
    (all, times)
}

/// How loud a frequency is, as an amplitude, at the loudest of ±`within` of it; and which that is.
fn loudest(samples: &[i16], hz: f64, within: f64, band: Band) -> (f64, f64) {
    let amplitude = |hz: f64| {
        let (mut real, mut imaginary) = (0.0, 0.0);
        for (at, &sample) in samples.iter().enumerate() {
            let angle = TAU * hz * at as f64 / f64::from(band.hz());
            real += f64::from(sample) * angle.cos();
            imaginary += f64::from(sample) * angle.sin();
        }
        2.0 * (real * real + imaginary * imaginary).sqrt() / samples.len() as f64
    };
    (-40..=40)
        .map(|part| hz * (1.0 + within * f64::from(part) / 40.0))
        .map(|hz| (amplitude(hz), hz))
        .max_by(|one, other| one.0.total_cmp(&other.0))
        .expect("frequencies")
}

#[test]
fn a_tone_keeps_its_pitch_through_a_hundred_changes() {
    for band in BANDS {
        for (hz, length) in [(220.0, 20), (220.0, 30), (131.3, 20), (97.7, 30), (353.1, 20)] {
            let said = tone(hz, band, 100 * length * ms(band));
            for (changed, times) in [
                all_shortened(&said, length, band, Need::Unheard),
                all_lengthened(&said, length, band, Need::Unheard),
            ] {
                assert_eq!(times, 100, "{hz} Hz, {length} ms, {band:?}");
                assert!(changed.len().abs_diff(said.len()) >= 250 * ms(band));
                let (amplitude, found) = loudest(&changed, hz, 0.02, band);
                assert!(
                    (found / hz - 1.0).abs() <= 0.005,
                    "{hz} Hz, {length} ms, {band:?}: {found} Hz"
                );
                assert!(
                    (5_000.0..6_100.0).contains(&amplitude),
                    "{hz} Hz, {length} ms, {band:?}: {amplitude}"
                );
            }
        }
    }
}

#[test]
fn of_a_voice_of_a_fixed_period_whole_periods_are_left_out_and_said_twice() {
    for band in BANDS {
        for period in (3 * ms(band)..12 * ms(band)).step_by(7) {
            let said = tone(f64::from(band.hz()) / period as f64, band, 60 * ms(band));
            let mut stretch = said[..30 * ms(band)].to_vec();
            let len = shorten(&mut stretch, band, Need::Unheard);
            assert!(
                len < stretch.len() && (stretch.len() - len).is_multiple_of(period),
                "{band:?}, {period}: {len}"
            );
            assert!(near(&stretch[..len], &said));

            let mut longer = said[..30 * ms(band)].to_vec();
            longer.resize(43 * ms(band), 0);
            let len = lengthen(&mut longer, 30 * ms(band), band, Need::Unheard);
            assert!(
                len > 30 * ms(band) && (len - 30 * ms(band)).is_multiple_of(period),
                "{band:?}, {period}: {len}"
            );
            assert!(near(&longer[..len], &said));
        }
    }
}

fn near(samples: &[i16], said: &[i16]) -> bool {
    samples.iter().zip(said).all(|(&one, &other)| one.abs_diff(other) <= 1)
}

#[test]
fn the_ends_stay_as_they_were_and_lengths_are_those_of_one_period() {
    let mut seed = Seed::new(5);
    let mut changed = [0; 2];
    for band in BANDS {
        let (ms, said) = (ms(band), prompt("ai-1", band));
        for _ in 0..2_000 {
            let start = seed.next() as usize % (said.len() - 60 * ms);
            let length = seed.next() as usize % (60 * ms);
            let room = seed.next() as usize % (20 * ms);
            let stretch = &said[start..start + length];
            for need in [Need::Unheard, Need::Anyhow] {
                let mut shorter = stretch.to_vec();
                let len = shorten(&mut shorter, band, need);
                let mut longer = stretch.to_vec();
                longer.resize(length + room, 0);
                let more = lengthen(&mut longer, length, band, need);
                for (which, (samples, len)) in [(&shorter, len), (&longer, more)].into_iter().enumerate() {
                    if len == length {
                        assert_eq!(samples[..length], *stretch);
                        continue;
                    }
                    changed[which] += 1;
                    let by = len.abs_diff(length);
                    assert!((5 * ms / 2..=25 * ms / 2).contains(&by), "{by} of {length}");
                    assert_eq!(samples[..ms], stretch[..ms]);
                    assert_eq!(samples[len - ms..len], stretch[length - ms..]);
                }
                assert!(more <= length + room && more >= length && len <= length);
                if need == Need::Anyhow {
                    assert_eq!(len < length, length >= 5 * ms, "{length}");
                    assert_eq!(
                        more > length,
                        length >= 5 * ms && room >= 5 * ms / 2,
                        "{length}, {room}"
                    );
                }
            }
        }
    }
    assert!(changed.iter().all(|&times| times > 1_000), "{changed:?}");
}

/// In speech, where most of what is voiced can be changed.
#[test]
#[expect(clippy::print_stdout, reason = "what was measured")]
fn no_joint_clicks() {
    for band in BANDS {
        let ms = ms(band);
        let said: Vec<i16> = VOICES.iter().flat_map(|name| prompt(name, band)).collect();
        let step = |samples: &[i16]| samples.array_windows().map(|&[one, next]| one.abs_diff(next)).max();
        let (mut times, mut loud, mut of) = ([0; 2], 0, 0);
        for number in 1..said.len() / (20 * ms) - 1 {
            let place = number * 20 * ms..(number + 1) * 20 * ms;
            let around = step(&said[place.start - 1..=place.end]).expect("samples").max(20);
            of += 1;
            loud += usize::from(mean_square(&said[place.clone()]) >= BELOW_50_DBM0);
            let (shorter, shortened) = all_shortened(&said[place.clone()], 20, band, Need::Unheard);
            let (longer, lengthened) = all_lengthened(&said[place.clone()], 20, band, Need::Unheard);
            times = [times[0] + shortened, times[1] + lengthened];
            for changed in [shorter, longer] {
                let joined = [
                    &said[place.start - 1..place.start],
                    &changed,
                    &said[place.end..=place.end],
                ]
                .concat();
                let worst = step(&joined).expect("samples");
                // Of cross-fading itself 5 %.
                assert!(
                    u32::from(worst) * 100 <= u32::from(around) * 105,
                    "{band:?}, {number}: {worst} of {around}"
                );
            }
        }
        println!("{band:?}: {times:?} of {of} could be changed, {loud} are loud");
        assert!(times.iter().all(|&times| times > of / 2));
    }
}

#[test]
fn noise_is_left_alone_unless_it_must_not_be_or_nobody_hears_it() {
    let mut seed = Seed::new(9);
    for band in BANDS {
        let loud = noise(&mut seed, 3_000.0, 2_000 * ms(band));
        for all in [all_shortened, all_lengthened] {
            assert_eq!(all(&loud, 20, band, Need::Unheard), (loud.clone(), 0));
            assert_eq!(all(&loud, 20, band, Need::Anyhow).1, 100);
            for quiet in [noise(&mut seed, 80.0, 2_000 * ms(band)), vec![0; 2_000 * ms(band)]] {
                let (changed, times) = all(&quiet, 20, band, Need::Unheard);
                assert_eq!(times, 100);
                assert!(mean_square(&changed) <= mean_square(&quiet));
            }
            let louder = noise(&mut seed, 120.0, 2_000 * ms(band));
            assert!(all(&louder, 20, band, Need::Unheard).1 < 10, "−49 dBm0 is not quiet");
        }
    }
}

#[test]
fn a_length_that_is_longer_than_the_slice_is_none() {
    let mut samples = tone(200.0, Band::Narrow, 160);
    assert_eq!(lengthen(&mut samples, 400, Band::Narrow, Need::Anyhow), 160);
    let mut extreme = [[i16::MIN; 80], [i16::MAX; 80]].concat();
    assert_eq!(shorten(&mut [], Band::Wide, Need::Anyhow), 0);
    assert!(shorten(&mut extreme, Band::Narrow, Need::Anyhow) < 160);
}
