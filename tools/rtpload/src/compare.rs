//! The subjects beside each other: interleaved in one run, for the machine is another one from minute to minute.

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use baton_lab::lab::Lab;
use baton_lab::wire::Wire;
use media::command::Codec;
use serde_json::{Map, Value, json};

use crate::calls::Calls;
use crate::limit;
use crate::measure::{Ask, P99_MAX, Row, measure, round};
use crate::open;
use crate::options::{Compare, Place};
use crate::subject::Subject;

/// The first is whom the others are compared with.
const SUBJECTS: [Subject; 3] = [Subject::Rtpengine, Subject::BatonUring, Subject::BatonEpoll];

/// Where the processor time is compared.
const CALLS: usize = 1400;

/// What the load must be able to send and judge, in calls.
const LOAD: usize = 5000;

/// A measurement in which the load was at its limit is done again, so many times.
const TRIES: usize = 3;

/// No subject of today gets so far.
const CALLS_MAX: usize = 8000;

/// What is measured.
struct Plan {
    rounds: u32,
    time: Duration,
    /// Numbers of calls at which every subject is measured; [`CALLS`] is the last.
    costs: &'static [usize],
    /// From there up, or down, until a subject breaks, or holds.
    step: usize,
    /// No more steps after it.
    until: Option<Instant>,
}

impl Plan {
    fn new(compare: Compare) -> Plan {
        match compare.quick {
            true => Plan {
                rounds: 1,
                time: Duration::from_millis(1500),
                costs: &[350, CALLS],
                step: 400,
                until: Some(Instant::now() + Duration::from_secs(45)),
            },
            false => Plan {
                rounds: compare.rounds,
                time: Duration::from_secs(u64::from(compare.seconds)),
                costs: &[100, 350, 700, CALLS],
                step: 100,
                until: None,
            },
        }
    }
}

/// All that was found, by subject and calls, and the most calls that each held in each round.
#[derive(Debug, Default)]
struct Found {
    rows: BTreeMap<(Subject, usize), Vec<Row>>,
    held: BTreeMap<Subject, Vec<usize>>,
}

pub(crate) fn print(place: Place, compare: Compare) -> Result<ExitCode, String> {
    let (lab, mut wire) = open(place)?;
    let begin = Instant::now();
    let own = limit::limit(&lab, &mut wire, &[LOAD], [Codec::Pcmu; 2], |_| ())?;
    if let Some(row) = own.last() {
        eprintln!(
            "load: {:.0} thousand packets a second sent and judged; lost {}, p99 {:.0} us{}",
            row.rate / 1000.0,
            row.lost,
            row.p99_us,
            if limit::holds(row) {
                ""
            } else {
                ": NOT sound, rows near that say nothing"
            },
        );
    }
    let plan = Plan::new(compare);
    let mut found = Found::default();
    for number in 1..=plan.rounds {
        round_of(&lab, &mut wire, &plan, number, &mut found)?;
    }
    match place.json {
        true => println!("{}", found.json()),
        false => found.tell(&plan),
    }
    eprintln!("took {:.0} s", begin.elapsed().as_secs_f64());
    Ok(ExitCode::SUCCESS)
}

fn round_of(lab: &Lab, wire: &mut Wire, plan: &Plan, number: u32, found: &mut Found) -> Result<(), String> {
    let mut climbs: Vec<Climb> = SUBJECTS.iter().map(|_| Climb::default()).collect();
    let mut one = |subject: Subject, calls: usize| -> Result<bool, String> {
        let row = careful(lab, wire, subject, Calls::plain(calls), plan.time)?;
        tell_step(number, plan.rounds, &row);
        let holds = row.holds();
        found.rows.entry((subject, calls)).or_default().push(row);
        Ok(holds)
    };
    for &calls in plan.costs {
        for (subject, climb) in SUBJECTS.into_iter().zip(&mut climbs) {
            let holds = one(subject, calls)?;
            climb.saw(calls, holds);
        }
    }
    // One step of each after the other, until none has one left.
    loop {
        let mut stepped = false;
        for (subject, climb) in SUBJECTS.into_iter().zip(&mut climbs) {
            if plan.until.is_some_and(|until| Instant::now() > until) {
                break;
            }
            if let Some(calls) = climb.next(CALLS, plan.step) {
                let holds = one(subject, calls)?;
                climb.saw(calls, holds);
                stepped = true;
            }
        }
        if !stepped {
            break;
        }
    }
    for (subject, climb) in SUBJECTS.into_iter().zip(&climbs) {
        found.held.entry(subject).or_default().push(climb.held);
    }
    Ok(())
}

/// Until the load was not at its own limit; the last one counts.
pub(crate) fn careful(
    lab: &Lab,
    wire: &mut Wire,
    subject: Subject,
    calls: Calls,
    time: Duration,
) -> Result<Row, String> {
    let ask = Ask {
        subject,
        calls,
        time,
        flood: 0,
        rate: None,
        relay: &[],
    };
    let mut row = measure(lab, wire, ask)?;
    for _ in 1..TRIES {
        if !row.ours {
            break;
        }
        row = measure(lab, wire, ask)?;
    }
    Ok(row)
}

/// The search for the most calls that a subject holds.
#[derive(Debug, Default)]
struct Climb {
    held: usize,
    /// The fewest that it did not hold.
    broke: Option<usize>,
}

impl Climb {
    fn saw(&mut self, calls: usize, holds: bool) {
        match holds {
            true => self.held = self.held.max(calls),
            false => self.broke = Some(self.broke.map_or(calls, |broke| broke.min(calls))),
        }
        // What holds above what broke was luck.
        if let Some(broke) = self.broke
            && self.held > broke
        {
            self.held = broke.saturating_sub(1);
        }
    }

    /// What is to be tried; `None`: it is known.
    fn next(&self, from: usize, step: usize) -> Option<usize> {
        let next = match self.broke {
            None => self.held.max(from) + step,
            Some(broke) => broke.checked_sub(step).filter(|next| *next > self.held)?,
        };
        (next <= CALLS_MAX).then_some(next)
    }
}

pub(crate) fn tell_step(round: u32, rounds: u32, row: &Row) {
    eprintln!(
        "{round}/{rounds} {:>11} {:>5} calls: {:>5.2} us, p50 {:>6.0}, p99 {:>6.0} us, lost {}{}{}",
        row.subject.name(),
        row.calls.count,
        row.sum_us,
        row.p50_us,
        row.p99_us,
        row.lost,
        if row.holds() { "" } else { "  does not hold" },
        if row.ours { "  (the load's limit)" } else { "" },
    );
}

impl Found {
    fn median(&self, subject: Subject, calls: usize, of: impl Fn(&Row) -> f64) -> Option<f64> {
        middle(self.rows.get(&(subject, calls))?.iter().map(of).collect())
    }

    fn held(&self, subject: Subject) -> Option<f64> {
        middle(self.held.get(&subject)?.iter().map(|calls| *calls as f64).collect())
    }

    /// Between the first and the last of the numbers that all have in common, of something that grows with the calls.
    fn slope(&self, subject: Subject, of: impl Fn(&Row) -> f64, by: impl Fn(&Row) -> f64) -> Option<f64> {
        let (least, _) = self.rows.keys().map(|(_, calls)| (*calls, ())).min()?;
        let between = |value: &dyn Fn(&Row) -> f64| {
            Some(self.median(subject, CALLS, value)? - self.median(subject, least, value)?)
        };
        Some(between(&of)? / between(&by)?)
    }

    /// µs for each packet more.
    fn marginal(&self, subject: Subject) -> Option<f64> {
        self.slope(subject, |row| row.sum_us * row.rate, |row| row.rate)
    }

    /// KiB for each call more: of the process, and of the kernel.
    fn memory(&self, subject: Subject) -> Option<(f64, f64)> {
        let calls = |row: &Row| row.calls.count as f64;
        let process = self.slope(subject, |row| row.memory_kib.unwrap_or(0) as f64, calls)?;
        Some((process, self.slope(subject, |row| row.kernel_kib as f64, calls)?))
    }

    /// How many times better than the first.
    fn ratios(&self, subject: Subject) -> [(&'static str, Option<f64>); 3] {
        let first = SUBJECTS[0];
        let times = |theirs: Option<f64>, ours: Option<f64>| Some(theirs? / ours?).filter(|times| times.is_finite());
        let sum = |subject| self.median(subject, CALLS, |row| row.sum_us);
        [
            ("cpu_sum", times(sum(first), sum(subject))),
            ("cpu_marginal", times(self.marginal(first), self.marginal(subject))),
            ("calls_per_core", times(self.held(subject), self.held(first))),
        ]
    }

    fn json(&self) -> Value {
        let rows = self.rows.iter().map(|(&(subject, calls), rows)| {
            let median = |of: &dyn Fn(&Row) -> f64| middle(rows.iter().map(of).collect());
            let us = |of: &dyn Fn(&Row) -> f64| median(of).map(|us| round(us, 3));
            json!({
                "subject": subject.name(),
                "calls": calls,
                "us_per_packet_process": us(&|row| row.process_us),
                "us_per_packet_sum": us(&|row| row.sum_us),
                "p50_us": us(&|row| row.p50_us),
                "p99_us": us(&|row| row.p99_us),
                "p999_us": us(&|row| row.p999_us),
                "lost": median(&|row| row.lost as f64),
                "system_calls_per_packet": rows[0].calls_of_kernel.and(us(&|row| row.calls_of_kernel.unwrap_or(0.0))),
                "measurements": rows.len(),
                "load_limit": rows.iter().filter(|row| row.ours).count(),
            })
        });
        let mut ratios = Map::new();
        for subject in &SUBJECTS[1..] {
            let times = self
                .ratios(*subject)
                .map(|(name, times)| (name.to_owned(), json!(times.map(|times| round(times, 3)))));
            ratios.insert(subject.name().to_owned(), Value::Object(times.into_iter().collect()));
        }
        let subjects = SUBJECTS.map(|subject| {
            let memory = self.memory(subject);
            json!({
                "subject": subject.name(),
                "calls_per_core": self.held(subject),
                "us_per_packet_marginal": self.marginal(subject).map(|us| round(us, 3)),
                "kib_per_call_process": memory.map(|(process, _)| round(process, 2)),
                "kib_per_call_kernel": memory.map(|(_, kernel)| round(kernel, 2)),
            })
        });
        json!({ "rows": rows.collect::<Vec<_>>(), "ratios": ratios, "subjects": subjects })
    }

    fn tell(&self, plan: &Plan) {
        let at = |subject, of: &dyn Fn(&Row) -> f64| self.median(subject, CALLS, of).unwrap_or(f64::NAN);
        println!(
            "One core with its receive path; medians of {} round{}. At {CALLS} calls: {} thousand packets a second.\n",
            plan.rounds,
            if plan.rounds == 1 { "" } else { "s" },
            CALLS / 10
        );
        println!(
            "                 most calls    us for each packet, at {CALLS} calls   latency at {CALLS} calls, us   KiB for each call"
        );
        println!(
            "               a core holds    process     sum   marginal           p50     p99   p99.9     process   kernel"
        );
        for subject in SUBJECTS {
            let (process, kernel) = self.memory(subject).unwrap_or((f64::NAN, f64::NAN));
            println!(
                "{:<14} {:>12.0} {:>10.2} {:>7.2} {:>10.2} {:>13.0} {:>7.0} {:>7.0} {:>11.1} {:>8.1}",
                subject.name(),
                self.held(subject).unwrap_or(0.0),
                at(subject, &|row| row.process_us),
                at(subject, &|row| row.sum_us),
                self.marginal(subject).unwrap_or(f64::NAN),
                at(subject, &|row| row.p50_us),
                at(subject, &|row| row.p99_us),
                at(subject, &|row| row.p999_us),
                process,
                kernel,
            );
        }
        println!(
            "\nA core holds calls while no packet is lost and p99 is below {} ms.",
            P99_MAX.as_millis()
        );
        println!("Times better than {}:", SUBJECTS[0].name());
        for subject in &SUBJECTS[1..] {
            let [sum, marginal, calls] = self.ratios(*subject).map(|(_, times)| times.unwrap_or(f64::NAN));
            println!(
                "  {:<12} processor time {sum:.2}, of each packet more {marginal:.2}; calls on a core {calls:.2}",
                subject.name()
            );
        }
    }
}

pub(crate) fn middle(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    let at = values.len().checked_sub(1)? / 2;
    // Of an even number, between the two.
    Some(f64::midpoint(values[at], values[values.len() / 2]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_lies_in_the_middle() {
        assert_eq!(middle(vec![]), None);
        assert_eq!(middle(vec![3.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(middle(vec![4.0, 1.0, 2.0, 3.0]), Some(2.5));
    }

    /// The numbers that are tried where a subject holds so many.
    fn climbed(holds: usize) -> (Vec<usize>, usize) {
        let (mut climb, mut tried) = (Climb::default(), Vec::new());
        for calls in [700, CALLS] {
            climb.saw(calls, calls <= holds);
        }
        while let Some(calls) = climb.next(CALLS, 100) {
            tried.push(calls);
            climb.saw(calls, calls <= holds);
        }
        (tried, climb.held)
    }

    #[test]
    fn the_most_calls_are_found_upwards_and_downwards() {
        assert_eq!(climbed(1650), (vec![1500, 1600, 1700], 1600));
        assert_eq!(climbed(1150), (vec![1300, 1200, 1100], 1100));
        assert_eq!(climbed(1400), (vec![1500], 1400));
        assert_eq!(climbed(0).1, 0);
        assert_eq!(climbed(100_000).1, CALLS_MAX);
    }

    #[test]
    fn what_holds_above_what_broke_does_not_count() {
        let mut climb = Climb::default();
        climb.saw(350, false);
        climb.saw(700, true);
        assert!(climb.held < 350);
    }
}
