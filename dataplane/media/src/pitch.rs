//! How far back a signal was last as it is now: the period of a voice, for who makes up, leaves out or adds one.

use std::ops::RangeInclusive;

use crate::codec::opus::Band;

/// The rate of the coarse search, as in ITU-T G.711 Appendix I: of a voice, what is above 2 kHz does not decide.
const COARSE_HZ: u32 = 4_000;

/// Where two stretches of a signal are most alike.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Match {
    /// How far apart they are, samples.
    pub(crate) lag: usize,
    /// Normalised correlation: 1 is the same but for its level, 0 nothing in common. 0 where either is silence.
    pub(crate) alike: f32,
}

/// At which lag the last `window` samples are most like as many that came before. `None` where there is no lag for which there are
/// enough. Window and lag are 40 ms together at the most.
pub(crate) fn find(samples: &[i16], window: usize, lags: RangeInclusive<usize>, band: Band) -> Option<Match> {
    let start = samples.len().checked_sub(window)?;
    let lags = *lags.start().max(&1)..=start.min(*lags.end());
    if lags.is_empty() || window == 0 {
        return None;
    }
    // Of equal ones the longest, as in the Appendix: in silence all are equal.
    let best = |one: Match, other: Match| if other.alike >= one.alike { other } else { one };

    let step = (band.hz() / COARSE_HZ) as usize;
    let (first, last) = (lags.start().div_ceil(step), lags.end() / step);
    let coarse_window = window.div_ceil(step);
    let mut thinned = [0; THINNED];
    let thinned = &mut thinned[..last + coarse_window];
    for (to, &sample) in thinned
        .iter_mut()
        .zip(samples[start - last * step..].iter().step_by(step))
    {
        *to = sample;
    }
    let coarse = (first..=last).map(|lag| Match {
        lag: lag * step,
        alike: alike(thinned, coarse_window, lag),
    });
    let coarse = coarse.reduce(best).map_or(*lags.start(), |found| found.lag);

    let near = (coarse + 1).saturating_sub(step).max(*lags.start())..=(coarse + step - 1).min(*lags.end());
    let near = near.map(|lag| Match {
        lag,
        alike: alike(samples, window, lag),
    });
    near.reduce(best)
}

/// Normalised correlation of the last `window` samples with those `lag` before.
pub(crate) fn alike(samples: &[i16], window: usize, lag: usize) -> f32 {
    let start = samples.len() - window;
    let now = &samples[start..];
    let before = &samples[start - lag..][..window];
    // Several sums at once, since the order of additions of one is bound.
    let mut sums = [[0.0f32; LANES]; 3];
    let (now, now_rest) = now.as_chunks::<LANES>();
    let (before, before_rest) = before.as_chunks::<LANES>();
    for (now, before) in now.iter().zip(before) {
        for lane in 0..LANES {
            add(&mut sums, lane, now[lane], before[lane]);
        }
    }
    for (&now, &before) in now_rest.iter().zip(before_rest) {
        add(&mut sums, 0, now, before);
    }
    let [both, one, other] = sums.map(|lanes| lanes.iter().sum::<f32>());
    if one == 0.0 || other == 0.0 {
        return 0.0;
    }
    both / (one.sqrt() * other.sqrt())
}

#[inline]
fn add(sums: &mut [[f32; LANES]; 3], lane: usize, now: i16, before: i16) {
    let (now, before) = (f32::from(now), f32::from(before));
    sums[0][lane] += now * before;
    sums[1][lane] += now * now;
    sums[2][lane] += before * before;
}

const LANES: usize = 8;

/// 40 ms of the coarse search.
const THINNED: usize = COARSE_HZ as usize / 25;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seed::Seed;

    #[test]
    fn a_period_is_found_to_the_sample_whatever_it_is() {
        let mut seed = Seed::new(1);
        for band in [Band::Narrow, Band::Wide] {
            let ms = band.hz() as usize / 1000;
            for period in 5 * ms..10 * ms {
                // Each period the same noise: nothing else is alike.
                let one: Vec<i16> = (0..period).map(|_| seed.next() as i16 / 2).collect();
                let samples: Vec<i16> = one.iter().copied().cycle().take(40 * ms).collect();
                // A lag that the coarse search does not meet is found where its neighbours are like it, as in speech.
                let smooth: Vec<i16> = samples
                    .windows(16)
                    .map(|w| (w.iter().map(|&s| i32::from(s)).sum::<i32>() / 16) as i16)
                    .collect();
                let found = find(&smooth, 15 * ms, 5 * ms..=10 * ms - 1, band).expect("lags");
                assert_eq!(found.lag, period, "{band:?}");
                assert!(found.alike > 0.999, "{found:?}");
            }
        }
    }

    #[test]
    fn silence_is_like_nothing_and_full_scale_does_not_overflow() {
        assert_eq!(find(&[0; 320], 160, 40..=120, Band::Narrow).expect("lags").alike, 0.0);
        let loud = find(&[i16::MIN; 640], 320, 80..=240, Band::Wide).expect("lags");
        assert!((loud.alike - 1.0).abs() < 1e-3, "{loud:?}");
    }

    #[test]
    fn where_there_is_too_little_nothing_is_found() {
        assert_eq!(find(&[1; 100], 100, 40..=120, Band::Narrow), None);
        assert_eq!(find(&[1; 139], 100, 40..=120, Band::Narrow), None);
        assert_eq!(find(&[1; 100], 101, 1..=2, Band::Narrow), None);
        assert_eq!(find(&[], 0, 1..=2, Band::Narrow), None);
        assert_eq!(
            find(&[1; 140], 100, 40..=120, Band::Narrow).map(|found| found.lag),
            Some(40)
        );
    }
}
