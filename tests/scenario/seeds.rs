//! Many calls from many seeds: whatever is drawn, what must be true of every call is true.

use sim::soak::{Plan, Progress, run};
use sim::{coverage, rare};

/// How many seeds the ordinary tests play: what fits into two minutes of two cores.
const SEEDS: u64 = 40_000;

/// `BATON_SEEDS` (count) and `BATON_SEED` (first) change what is played.
fn plan() -> Plan {
    let number = |name: &str| {
        let text = std::env::var(name).ok()?;
        Some(text.parse().unwrap_or_else(|_| panic!("{name}={text} is not a number")))
    };
    Plan {
        first: number("BATON_SEED").unwrap_or(1),
        seeds: number("BATON_SEEDS").unwrap_or(SEEDS),
    }
}

#[test]
fn whatever_happens() {
    let plan = plan();
    let report = run(plan, &Progress::default());
    let violations: Vec<String> = report.violations.iter().map(ToString::to_string).collect();
    assert!(violations.is_empty(), "\n{}", violations.join("\n"));
    assert_eq!(report.played, plan.seeds);
    let mut visited = report.visited;
    let faults = match plan.first == 1 && plan.seeds >= SEEDS {
        true => {
            for call in rare::calls() {
                rare::play(call.call)
                    .1
                    .into_iter()
                    .for_each(|pair| *visited.entry(pair).or_default() += 1);
            }
            [coverage::faults(&visited), coverage::missing(&report.below)].concat()
        }
        // Some of the seeds need not visit all.
        false => coverage::impossible(&visited).collect(),
    };
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

/// Each call that is written for some pairs of state and input visits them, and keeps every promise.
#[test]
fn what_chance_seldom_brings() {
    let mut wrong = Vec::new();
    for call in rare::calls() {
        let seed = call.call.seed;
        let (faults, visited) = rare::play(call.call);
        wrong.extend(faults.into_iter().map(|fault| format!("call {seed}: {fault}")));
        let missing = call.pairs.into_iter().filter(|pair| !visited.contains(pair));
        wrong.extend(missing.map(|(state, input)| format!("call {seed}: never visited: {state}, {input}")));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
