//! Whether a voice has kept its pitch.

use crate::align::{Track, fits, median, peak_offset};

/// A frame of 64 ms at 8000 Hz.
const FRAME: usize = 512;

/// The next one 32 ms later.
const NEXT: usize = 256;

/// Periods that a voice has, samples: 57 to 400 Hz.
const PERIODS: std::ops::RangeInclusive<usize> = 20..=140;

/// A frame that is less like itself a period later is no voice.
const VOICED: f32 = 0.75;

/// The other's period is looked for that far around ours.
const AROUND: f64 = 0.18;

/// Frames that it takes to be sure.
const FRAMES_MIN: usize = 8;

/// How many times as high the heard voice is: the median of all voiced frames; `None` where there are too few.
pub(crate) fn ratio(said: &[f32], heard: &[f32], track: &Track) -> Option<f64> {
    let longest = *PERIODS.end() + *PERIODS.end() / 5;
    let mut ratios = Vec::new();
    for at in (0..said.len().saturating_sub(FRAME + longest)).step_by(NEXT) {
        let Some(theirs) = track.cut(heard, 8000, at, FRAME + longest) else {
            continue;
        };
        let Some(ours) = period(
            &said[at..at + FRAME + longest],
            *PERIODS.start() as f64,
            *PERIODS.end() as f64,
        ) else {
            continue;
        };
        if let Some(theirs) = period(theirs, ours * (1.0 - AROUND), ours * (1.0 + AROUND)) {
            ratios.push(ours / theirs);
        }
    }
    (ratios.len() >= FRAMES_MIN).then(|| median(ratios.into_iter()))
}

/// The period of a voiced frame, from its likeness to itself.
fn period(samples: &[f32], from: f64, to: f64) -> Option<f64> {
    let likeness = fits(&samples[..FRAME], samples);
    let (from, to) = (
        from.floor() as usize,
        (to.ceil() as usize).min(likeness.len().saturating_sub(2)),
    );
    if from >= to {
        return None;
    }
    let best = (from..=to).max_by(|a, b| likeness[*a].total_cmp(&likeness[*b]))?;
    // An end of the range is no peak.
    let is_peak = likeness[best - 1] <= likeness[best] && likeness[best + 1] <= likeness[best];
    if likeness[best] < VOICED || !is_peak {
        return None;
    }
    // Two periods are as alike as one: the shortest of them is the voice's own.
    let shorter = (2..=4).rev().map(|part| best / part).find_map(|near| {
        let range = near.saturating_sub(2).max(from)..=near + 2;
        let peak = range.max_by(|a, b| likeness[*a].total_cmp(&likeness[*b]))?;
        (likeness[peak] > 0.93 * likeness[best]).then_some(peak)
    });
    let best = shorter.unwrap_or(best);
    Some(best as f64 + peak_offset(&likeness, best))
}
