//! Many calls from many seeds: whatever is drawn, what must be true of every call is true.

use sim::soak::{Plan, Progress, run};

/// How many seeds the ordinary tests play: what fits into two minutes of two cores, with room to spare.
const SEEDS: u64 = 2000;

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
}
