use super::*;
use crate::seed::Seed;
use crate::speech::{VOICES, babble, noise, prompt};

const BANDS: [Band; 2] = [Band::Narrow, Band::Wide];

/// Goes through a signal in stretches of 20 ms, of which some are lost.
fn received(samples: &[i16], band: Band, mut lost: impl FnMut(usize) -> bool, how: How) -> Vec<i16> {
    let stretch = band.hz() as usize / 50;
    let mut heard = samples.to_vec();
    let mut concealer = Concealer::new(band);
    for number in 0..heard.len() / stretch {
        let (before, now) = heard.split_at_mut(number * stretch);
        let now = &mut now[..stretch];
        match (lost(number), how) {
            (true, How::Concealed) => concealer.conceal(now),
            (true, How::Silence) => now.fill(0),
            (true, How::Repeated) if number > 0 => now.copy_from_slice(&before[before.len() - stretch..]),
            (true, How::Repeated) => now.fill(0),
            (false, How::Concealed) => concealer.heard(now),
            (false, _) => {}
        }
    }
    heard
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum How {
    Concealed,
    Silence,
    Repeated,
}

/// Mean over the stretches in which something was lost of the signal to noise ratio there, −10 to 35 dB each, as is usual.
fn segmental_snr(said: &[i16], heard: &[i16], band: Band, lost: impl Fn(usize) -> bool) -> f64 {
    let stretch = band.hz() as usize / 50;
    let mut sum = (0.0, 0);
    for (number, (said, heard)) in said.chunks_exact(stretch).zip(heard.chunks_exact(stretch)).enumerate() {
        let signal: f64 = said.iter().map(|&s| f64::from(s).powi(2)).sum();
        if !lost(number) || signal / (stretch as f64) < 300_000.0 {
            continue;
        }
        let noise: f64 = said
            .iter()
            .zip(heard)
            .map(|(&s, &h)| (f64::from(s) - f64::from(h)).powi(2))
            .sum();
        sum.0 += (10.0 * (signal / noise.max(1.0)).log10()).clamp(-10.0, 35.0);
        sum.1 += 1;
    }
    sum.0 / f64::from(sum.1)
}

/// How far the spectrum of the lost stretches (with 5 ms on both sides) is from what was said: dB, the root of the mean square of the difference in bands of 100 Hz
/// up to 3400.
fn spectral_distance(said: &[i16], heard: &[i16], band: Band, lost: impl Fn(usize) -> bool) -> f64 {
    let hz = f64::from(band.hz());
    let stretch = band.hz() as usize / 50;
    let margin = stretch / 4;
    let spectrum = |samples: &[i16]| -> Vec<f64> {
        (1..34)
            .map(|number| {
                let (mut real, mut imaginary) = (0.0, 0.0);
                for (at, &sample) in samples.iter().enumerate() {
                    let angle = std::f64::consts::TAU * 100.0 * f64::from(number) * at as f64 / hz;
                    let window = (std::f64::consts::PI * at as f64 / samples.len() as f64).sin();
                    real += window * f64::from(sample) * angle.cos();
                    imaginary += window * f64::from(sample) * angle.sin();
                }
                10.0 * ((real * real + imaginary * imaginary) / samples.len() as f64 + 1_000.0).log10()
            })
            .collect()
    };
    let (mut sum, mut counted) = (0.0, 0);
    for number in 1..said.len() / stretch - 1 {
        let place = number * stretch - margin..(number + 1) * stretch + margin;
        let loud =
            said[place.clone()].iter().map(|&s| f64::from(s).powi(2)).sum::<f64>() / place.len() as f64 > 300_000.0;
        if !lost(number) || !loud {
            continue;
        }
        let (said, heard) = (spectrum(&said[place.clone()]), spectrum(&heard[place]));
        let squares: f64 = said.iter().zip(&heard).map(|(s, h)| (s - h).powi(2)).sum();
        sum += (squares / 33.0).sqrt();
        counted += 1;
    }
    sum / f64::from(counted)
}

#[test]
#[expect(clippy::print_stdout, reason = "what was measured")]
fn it_beats_silence_and_repetition_of_the_last_packet() {
    for band in BANDS {
        let voices: Vec<i16> = VOICES.iter().flat_map(|name| prompt(name, band)).collect();
        let (made, _) = babble(3, band, 25);
        for (what, said) in [("voices", voices), ("babble", made)] {
            for one_of in [10, 20] {
                let mut seed = Seed::new(one_of);
                // The same speech four times over, each time with other losses.
                let said = said.repeat(4);
                let lost: Vec<bool> = (0..said.len()).map(|_| seed.next().is_multiple_of(one_of)).collect();
                let lost = |number: usize| lost[number];
                let [concealed, silence, repeated] = [How::Concealed, How::Silence, How::Repeated].map(|how| {
                    let heard = received(&said, band, lost, how);
                    let snr = segmental_snr(&said, &heard, band, lost);
                    (snr, spectral_distance(&said, &heard, band, lost))
                });
                println!(
                    "{what} {band:?} 1 of {one_of}: {concealed:.1?} dB, silence {silence:.1?}, repeated {repeated:.1?}"
                );
                for other in [silence, repeated] {
                    assert!(
                        concealed.0 > other.0 + 0.1,
                        "{what} {band:?} 1 of {one_of}: signal to noise"
                    );
                    assert!(concealed.1 < other.1 - 0.3, "{what} {band:?} 1 of {one_of}: spectrum");
                }
            }
        }
    }
}

/// Where an erasure begins and where it ends, nothing steps further than the voice around it does.
#[test]
#[expect(clippy::print_stdout, reason = "what was measured")]
fn no_seam_clicks() {
    for band in BANDS {
        let ms = band.hz() as usize / 1000;
        let said: Vec<i16> = VOICES.iter().flat_map(|name| prompt(name, band)).collect();
        let step = |samples: &[i16]| samples.array_windows().map(|&[one, next]| one.abs_diff(next)).max();
        for length in [10, 20, 50, 90] {
            let (mut worst, mut cut) = (0.0f64, 0.0f64);
            for start in (60 * ms..said.len() - 200 * ms).step_by(61 * ms) {
                let mut heard = said.clone();
                let mut concealer = Concealer::new(band);
                concealer.heard(&mut heard[start - 60 * ms..start]);
                let end = start + length * ms;
                concealer.conceal(&mut heard[start..end]);
                concealer.heard(&mut heard[end..end + 40 * ms]);
                // What is made up is made of the 49 ms before.
                let around = step(&said[start - 49 * ms..end + 20 * ms]).expect("samples").max(100);
                let of = |heard: &[i16]| {
                    let at = |at: usize| f64::from(step(&heard[at - 2..at + 2]).expect("samples")) / f64::from(around);
                    at(start).max(at(end))
                };
                worst = worst.max(of(&heard));
                let mut silenced = said.clone();
                silenced[start..end].fill(0);
                cut = cut.max(of(&silenced));
            }
            println!("{band:?} {length} ms: {worst:.2} of the largest step around, with silence {cut:.2}");
            assert!(worst <= 1.0, "{band:?} {length} ms: {worst}");
            assert!(cut > 1.0, "the test would hear a click");
        }
    }
}

/// A voice of a fixed period: after `from` on it goes on for `length` samples.
fn periodic(period: usize, from: usize, length: usize) -> Vec<i16> {
    let shape = |at: usize| {
        let turn = std::f64::consts::TAU * at as f64 / period as f64;
        6_000.0 * turn.sin() + 3_000.0 * (2.0 * turn + 1.0).sin() + 1_000.0 * (5.0 * turn).cos()
    };
    (from..from + length)
        .map(|at| shape(at % period).round() as i16)
        .collect()
}

#[test]
fn a_steady_voice_goes_on_and_fades_from_10_ms_on_to_silence_at_60() {
    for band in BANDS {
        let ms = band.hz() as usize / 1000;
        for period in [5 * ms, 5 * ms + 3, 8 * ms + 1, 15 * ms] {
            let mut concealer = Concealer::new(band);
            concealer.heard(&mut periodic(period, 0, 60 * ms));
            let mut made_up = vec![1; 80 * ms];
            concealer.conceal(&mut made_up);
            for (at, (&made_up, said)) in made_up.iter().zip(periodic(period, 60 * ms, 80 * ms)).enumerate() {
                let time = at as f64 / ms as f64;
                let level = (1.0 - 0.02 * (time - 10.0).max(0.0)).max(0.0);
                assert!(
                    (f64::from(made_up) - level * f64::from(said)).abs() <= 1.0,
                    "{band:?}, period {period}, {time} ms: {made_up} for {said}"
                );
            }
            assert!(made_up[60 * ms..].iter().all(|&sample| sample == 0));
        }
    }
}

/// Three periods that differ in the middle: their mark tells which of them is heard.
#[test]
fn the_cycle_grows_from_one_period_to_two_and_three() {
    let (ms, period) = (8, 80);
    let mut said = periodic(period, 0, 60 * ms);
    let end = said.len();
    for back in 1..=3 {
        said[end - back * period + 40] += 200 * back as i16;
    }
    let unmarked = periodic(period, 0, period);
    let mut concealer = Concealer::new(Band::Narrow);
    concealer.heard(&mut said);
    let mut made_up = [0; 400];
    concealer.conceal(&mut made_up);
    let marks: Vec<i64> = (0..5)
        .map(|number| {
            let at = number * period + 40;
            let level = (1.0 - 0.02 * (at as f64 / ms as f64 - 10.0).max(0.0)).max(0.0);
            ((f64::from(made_up[at]) / level - f64::from(unmarked[40])) / 200.0).round() as i64
        })
        .collect();
    assert_eq!(marks, [1, 2, 3, 2, 1]);
}

#[test]
fn the_blend_afterwards_is_longer_after_a_longer_erasure() {
    for band in BANDS {
        let ms = band.hz() as usize / 1000;
        let period = 8 * ms;
        for (lost, blended) in [
            (5 * ms, 2 * ms),
            (10 * ms, 2 * ms),
            (20 * ms, 6 * ms),
            (30 * ms, 10 * ms),
            (90 * ms, 10 * ms),
        ] {
            let mut concealer = Concealer::new(band);
            concealer.heard(&mut periodic(period, 0, 60 * ms));
            concealer.conceal(&mut vec![0; lost]);
            // In several stretches it is the same as in one.
            let mut again = concealer.clone();
            let came = vec![-20_000; 40 * ms];
            let mut heard = came.clone();
            concealer.heard(&mut heard);
            let changed = heard
                .iter()
                .zip(&came)
                .rposition(|(one, other)| one != other)
                .map(|at| at + 1);
            assert!(
                changed.is_some_and(|at| (blended - 1..=blended).contains(&at)),
                "{band:?}, {lost}: {changed:?}"
            );
            let mut pieces = came.clone();
            for piece in pieces.chunks_mut(5 * ms / 2) {
                again.heard(piece);
            }
            assert_eq!(pieces, heard);
            // From what was made up to what came, without a step.
            let step = 30_000 / blended as i32 + 6_000;
            assert!(
                heard
                    .array_windows()
                    .all(|&[one, next]| i32::from(next) - i32::from(one) < step)
            );
        }
    }
}

#[test]
fn it_does_not_matter_in_what_pieces_an_erasure_comes() {
    for band in BANDS {
        let said = prompt("caller-1", band);
        let ms = band.hz() as usize / 1000;
        let mut concealer = Concealer::new(band);
        concealer.heard(&mut said[300 * ms..400 * ms].to_vec());
        let mut whole = vec![0; 80 * ms];
        concealer.clone().conceal(&mut whole);
        for piece in [5 * ms / 2, 7 * ms + 1, 20 * ms, 60 * ms] {
            let mut pieces = vec![0; 80 * ms];
            let mut concealer = concealer.clone();
            pieces.chunks_mut(piece).for_each(|piece| concealer.conceal(piece));
            assert!(pieces == whole, "{band:?}, pieces of {piece}");
        }
    }
}

#[test]
fn who_has_heard_too_little_makes_up_silence_without_a_click() {
    for band in BANDS {
        let ms = band.hz() as usize / 1000;
        let mut concealer = Concealer::new(band);
        let mut stretch = vec![7; 20 * ms];
        concealer.conceal(&mut stretch);
        assert!(stretch.iter().all(|&sample| sample == 0));

        concealer.reset();
        concealer.heard(&mut vec![4_000; 18 * ms]);
        concealer.conceal(&mut stretch);
        assert!(stretch[0] > 3_500 && stretch[4 * ms..].iter().all(|&sample| sample == 0));

        // What was heard before a reset is never heard again, nor what was before an erasure that had gone silent.
        let mut forgetful = Concealer::new(band);
        forgetful.heard(&mut periodic(8 * ms, 0, 60 * ms));
        let mut silent = forgetful.clone();
        forgetful.reset();
        forgetful.conceal(&mut stretch);
        assert!(stretch.iter().all(|&sample| sample == 0));
        silent.conceal(&mut vec![0; 60 * ms]);
        silent.heard(&mut vec![0; 5 * ms]);
        silent.conceal(&mut stretch);
        assert!(stretch.iter().all(|&sample| sample == 0));
    }
}

#[test]
fn any_order_of_any_lengths_is_carried_out() {
    let mut seed = Seed::new(11);
    for band in BANDS {
        let mut concealer = Concealer::new(band);
        for _ in 0..4_000 {
            let loud = [0.0, 300.0, 70_000.0][seed.next() as usize % 3];
            let length = [seed.next() as usize % 40, seed.next() as usize % 2_000][seed.next() as usize % 2];
            let mut samples = noise(&mut seed, loud, length);
            match seed.next() % 8 {
                0 => concealer.reset(),
                1..=4 => concealer.heard(&mut samples),
                _ => concealer.conceal(&mut samples),
            }
        }
    }
}
