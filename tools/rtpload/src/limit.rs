//! How much the load can send and judge itself: against a program in the other end's driver that sends everything back.

use std::process::ExitCode;
use std::time::Duration;

use baton_lab::lab::Lab;
use baton_lab::wire::Wire;
use media::command::Codec;
use serde_json::json;

use crate::calls::Calls;
use crate::measure::{Ask, Row, measure};
use crate::open;
use crate::options::Place;
use crate::subject::Subject;

/// Numbers of calls that are tried, one after the other until one does not hold: 100 packets a second each.
const STEPS: [usize; 8] = [1000, 2000, 3000, 4000, 5000, 6000, 7000, 8000];

/// Of each.
const TIME: Duration = Duration::from_secs(2);

/// The rows up to the first that does not hold.
///
/// # Errors
/// Where the kernel refuses.
pub(crate) fn limit(
    lab: &Lab,
    wire: &mut Wire,
    steps: &[usize],
    codecs: [Codec; 2],
    mut told: impl FnMut(&Row),
) -> Result<Vec<Row>, String> {
    let mut rows = Vec::new();
    for &calls in steps {
        let ask = Ask {
            subject: Subject::Reflector,
            calls: Calls {
                codecs,
                ..Calls::plain(calls)
            },
            time: TIME,
            flood: 0,
            rate: None,
            relay: &[],
        };
        let row = measure(lab, wire, ask)?;
        told(&row);
        let holds = holds(&row);
        rows.push(row);
        if !holds {
            break;
        }
    }
    Ok(rows)
}

/// Whether the load sent, and judged, all of it in time.
pub(crate) fn holds(row: &Row) -> bool {
    row.holds() && !row.ours
}

pub(crate) fn print(place: Place, codecs: [Codec; 2]) -> Result<ExitCode, String> {
    let (lab, mut wire) = open(place)?;
    let rows = limit(&lab, &mut wire, &STEPS, codecs, |row| {
        if !place.json {
            println!(
                "{:>4.0} thousand packets a second: lost {:>4}, latency p50 {:>3.0}, p99 {:>4.0}, max {:>5.0} us{}",
                row.rate / 1000.0,
                row.lost,
                row.p50_us,
                row.p99_us,
                row.max_us,
                if holds(row) { "" } else { "  too much" },
            );
        }
    })?;
    if place.json {
        let held = rows
            .iter()
            .filter(|row| holds(row))
            .map(|row| row.calls.count * 100)
            .max();
        let rows: Vec<_> = rows.iter().map(Row::json).collect();
        println!("{}", json!({ "packets_per_s": held.unwrap_or(0), "rows": rows }));
    }
    Ok(ExitCode::SUCCESS)
}
