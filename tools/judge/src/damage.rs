//! Level, holes and clipping.

use crate::Sound;
use crate::align::{Track, median};
use crate::loudness::{HOP, Loudness};
use crate::spectrum::STRONG_DB;

/// So much softer than it should be is a hole, dB.
const HOLE_DB: f32 = 20.0;

/// What was heard that long before or after counts as heard here, in steps of loudness: 10 ms, as a window and the delay are not exact.
const NEAR: usize = 2;

/// Samples from this part of the highest on are at the top.
const TOP: f32 = 0.985;

/// The loudness of what was said and heard, side by side: only where something strong was said.
fn side_by_side(said: &[f32], heard: &[f32], loudness: &Loudness, track: &Track) -> Vec<(usize, f32, f32)> {
    let strong = loudness.loud_db() - STRONG_DB;
    let theirs = Loudness::of(heard);
    (0..said.len() / HOP)
        .map(|n| (n, n * HOP + HOP / 2))
        .filter(|(_, sample)| loudness.at(*sample) >= strong)
        .map(|(n, sample)| {
            let at = sample as f64 + track.delay_at(sample as f64);
            let db = if at < 0.0 { -100.0 } else { theirs.at(at as usize) };
            (n, loudness.at(sample), db)
        })
        .collect()
}

/// By how much it is louder, dB.
pub(crate) fn gain_db(said: &[f32], heard: &[f32], loudness: &Loudness, track: &Track) -> f32 {
    let both = side_by_side(said, heard, loudness, track);
    median(both.iter().map(|(_, ours, theirs)| f64::from(theirs - ours))) as f32
}

/// The longest hole, ms, and where it begins in what was said.
pub(crate) fn longest_hole(
    said: &[f32],
    heard: &[f32],
    loudness: &Loudness,
    track: &Track,
    gain_db: f32,
) -> (f64, f64) {
    let strong = loudness.loud_db() - STRONG_DB;
    // Without windows: the power of each 5 ms.
    let powers = |samples: &[f32]| -> Vec<f32> {
        let chunks = samples.chunks_exact(HOP);
        let db = |chunk: &[f32]| 10.0 * (chunk.iter().map(|s| s * s).sum::<f32>() / HOP as f32 + 1e-10).log10();
        chunks.map(db).collect()
    };
    let (ours, theirs) = (powers(said), powers(heard));
    let (mut longest, mut run) = ((0, 0), 0);
    for (n, db) in ours.iter().enumerate() {
        let sample = (n * HOP + HOP / 2) as f64;
        let at = ((sample + track.delay_at(sample)) / HOP as f64).floor();
        let around = (at as usize).saturating_sub(NEAR)..(at as usize + NEAR + 1).min(theirs.len());
        let loudest = if at < 0.0 {
            -100.0
        } else {
            theirs
                .get(around)
                .unwrap_or_default()
                .iter()
                .copied()
                .fold(-100.0, f32::max)
        };
        // A pause of what was said neither ends a hole nor begins one.
        let said = loudness.at(n * HOP) >= strong && *db >= strong - 10.0;
        let gone = loudest < db + gain_db - HOLE_DB && loudest < loudness.at(n * HOP) + gain_db - HOLE_DB;
        run = match (said, gone) {
            (true, true) => run + 1,
            (true, false) => 0,
            (false, _) => run,
        };
        if run > longest.0 {
            longest = (run, n + 1 - run);
        }
    }
    match longest {
        (0, _) => (0.0, 0.0),
        (run, at) => ((run + 2 * NEAR) as f64 * 5.0, at.saturating_sub(NEAR) as f64 * 5.0),
    }
}

/// How many of the samples are at the very top, above what was so when it was said.
pub(crate) fn clipped(said: Sound<'_>, heard: Sound<'_>, track: &Track) -> f32 {
    let factor = f64::from(heard.rate) / 8000.0;
    let from = (track.delay_at(0.0).max(0.0) * factor) as usize;
    let length = (said.samples.len() as f64 * f64::from(heard.rate) / f64::from(said.rate)) as usize;
    let end = (from + length).min(heard.samples.len());
    let theirs = heard.samples.get(from..end).unwrap_or_default();
    (at_top(theirs) - at_top(said.samples)).max(0.0)
}

fn at_top(samples: &[i16]) -> f32 {
    let top = samples.iter().map(|sample| sample.unsigned_abs()).max().unwrap_or(0);
    let high = (f32::from(top) * TOP) as u16;
    let count = samples
        .iter()
        .filter(|sample| sample.unsigned_abs() >= high.max(1))
        .count();
    count as f32 / samples.len().max(1) as f32
}
