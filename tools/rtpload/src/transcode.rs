//! Calls whose legs speak different codecs: how many of them each subject does with a given part of its core, interleaved in one run.

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::time::Duration;

use media::command::Codec;
use serde_json::json;

use crate::calls::{Calls, pair};
use crate::compare::{careful, middle, tell_step};
use crate::measure::{Row, round};
use crate::open;
use crate::options::{Compare, Place};
use crate::subject::Subject;

/// What is measured.
const PAIRS: [[Codec; 2]; 2] = [[Codec::Pcmu, Codec::Opus], [Codec::Pcmu, Codec::G722]];

/// The part of the core that the calls are to take, with the receive path.
const SHARE: f64 = 0.7;

/// So far from it is near enough.
const NEAR: f64 = 0.02;

/// Numbers of calls that are tried for it in each round, at the most.
const STEPS: usize = 4;

/// The first that is tried: where subjects of today are not yet full.
const FIRST: [(Subject, usize); 3] = [
    (Subject::Rtpengine, 30),
    (Subject::BatonUring, 200),
    (Subject::BatonEpoll, 200),
];

/// No subject of today gets so far.
const CALLS_MAX: usize = 3000;

/// The last measurements of each round.
type Found = BTreeMap<(usize, Subject), Vec<Row>>;

pub(crate) fn print(place: Place, compare: Compare) -> Result<ExitCode, String> {
    let (lab, mut wire) = open(place)?;
    let rounds = if compare.quick { 1 } else { compare.rounds };
    let time = Duration::from_secs(u64::from(compare.seconds));
    let mut found = Found::new();
    for number in 1..=rounds {
        for (at, codecs) in PAIRS.into_iter().enumerate() {
            for (subject, first) in FIRST {
                let rows = found.entry((at, subject)).or_default();
                // Where the round before ended.
                let first = rows.last().map_or(first, |row| row.calls.count);
                let row = fill(first, |count| {
                    let calls = Calls {
                        codecs,
                        opus: compare.opus,
                        ..Calls::plain(count)
                    };
                    let row = careful(&lab, &mut wire, subject, calls, time)?;
                    tell_step(number, rounds, &row);
                    Ok(row)
                })?;
                rows.push(row);
            }
        }
    }
    match place.json {
        true => println!(
            "{}",
            json!(found.values().map(|rows| figures(rows)).collect::<Vec<_>>())
        ),
        false => tell(&found, compare),
    }
    Ok(ExitCode::SUCCESS)
}

/// The last of the measurements, from so many calls on to those that take about [`SHARE`] of the core.
fn fill(first: usize, mut measure: impl FnMut(usize) -> Result<Row, String>) -> Result<Row, String> {
    let mut row = measure(first)?;
    for _ in 1..STEPS {
        let next = next(row.calls.count, row.shares.1);
        let Some(next) = next else { break };
        row = measure(next)?;
    }
    Ok(row)
}

/// How many calls to try next; `None`: these take as much of the core as they should.
fn next(calls: usize, share: f64) -> Option<usize> {
    // Not too far at once: a few calls say little of many.
    let times = (SHARE / share.max(0.01)).clamp(0.25, 6.0);
    let next = ((calls as f64 * times).round() as usize).clamp(1, CALLS_MAX);
    Some(next).filter(|next| (share - SHARE).abs() > NEAR && *next != calls)
}

/// Medians of what one subject did with one pair.
fn figures(rows: &[Row]) -> serde_json::Value {
    let median = |of: &dyn Fn(&Row) -> f64| middle(rows.iter().map(of).collect()).unwrap_or(f64::NAN);
    json!({
        "subject": rows[0].subject.name(),
        "codecs": pair(rows[0].calls.codecs),
        "calls_at_share": median(&calls_at_share).round(),
        "core_share_process": round(median(&|row| row.shares.0), 3),
        "core_share_sum": round(median(&|row| row.shares.1), 3),
        "us_per_packet_sum": round(median(&|row| row.sum_us), 3),
        "p50_us": median(&|row| row.p50_us).round(),
        "p99_us": median(&|row| row.p99_us).round(),
        "lost": rows.iter().map(|row| row.lost).sum::<u64>(),
        "broken": rows.iter().map(|row| row.broken).sum::<u64>(),
        "strange": rows.iter().map(|row| row.strange).sum::<u64>(),
        "measurements": rows.len(),
        "load_limit": rows.iter().filter(|row| row.ours).count(),
    })
}

/// It was near enough that what is left is in proportion.
fn calls_at_share(row: &Row) -> f64 {
    row.calls.count as f64 * SHARE / row.shares.1.max(0.01)
}

fn tell(found: &Found, compare: Compare) {
    let opus = Calls {
        opus: compare.opus,
        ..Calls::plain(0)
    };
    let effort = opus.effort();
    println!(
        "Calls that take {:.0} % of one core with its receive path; Opus at {} bit/s, complexity {}.\n",
        100.0 * SHARE,
        effort.bitrate,
        effort.complexity
    );
    println!(
        "                            calls    times    us for each packet   latency, us: p50      p99    lost   broken  strange"
    );
    for (at, codecs) in PAIRS.into_iter().enumerate() {
        let peer = figures(&found[&(at, FIRST[0].0)])["calls_at_share"].as_f64();
        for (subject, _) in FIRST {
            let figures = figures(&found[&(at, subject)]);
            let figure = |name: &str| figures[name].as_f64().unwrap_or(f64::NAN);
            println!(
                "{:<10} {:<12} {:>9.0} {:>8.2} {:>21.2} {:>18.0} {:>8.0} {:>7.0} {:>8.0} {:>8.0}",
                pair(codecs),
                subject.name(),
                figure("calls_at_share"),
                figure("calls_at_share") / peer.unwrap_or(f64::NAN),
                figure("us_per_packet_sum"),
                figure("p50_us"),
                figure("p99_us"),
                figure("lost"),
                figure("broken"),
                figure("strange"),
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_are_sought_until_they_fill_their_share() {
        assert_eq!(next(100, 0.35), Some(200));
        assert_eq!(next(100, 0.875), Some(80));
        assert_eq!((next(100, 0.69), next(100, 0.715)), (None, None));
        // Not more than six times as many, nor fewer than one, nor beyond what is tried.
        assert_eq!(next(100, 0.001), Some(600));
        assert_eq!(next(2000, 0.1), Some(CALLS_MAX));
        assert_eq!((next(CALLS_MAX, 0.1), next(1, 1.0)), (None, None));
    }
}
