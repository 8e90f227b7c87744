//! Many calls from many seeds, on every core. What comes out does not depend on how many cores there are.

use std::collections::BTreeMap;
use std::fmt;
use std::num::NonZeroUsize;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use calls::node::Pair;

use crate::draw::draw;
use crate::{World, coverage};

/// Violations after which no more seeds are begun: the first ones say enough.
const ENOUGH: usize = 5;

/// What is to be played.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Plan {
    /// The first seed.
    pub first: u64,
    /// How many.
    pub seeds: u64,
}

/// A seed that broke a promise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// Which.
    pub seed: u64,
    /// What was wrong, in words.
    pub faults: Vec<String>,
    /// The steps of the handoffs, by name.
    pub steps: Vec<&'static str>,
    /// All that happened, where only this seed was asked for.
    pub ladder: Vec<String>,
}

impl Violation {
    /// The commands that play this seed again: as a test, and as a soak of one seed.
    pub fn again(&self) -> [String; 2] {
        let seed = self.seed;
        [
            format!("BATON_SEED={seed} BATON_SEEDS=1 cargo test -p baton-tests --test seeds"),
            format!("cargo xtask soak --from {seed} --seeds 1"),
        ]
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for line in &self.ladder {
            writeln!(f, "{line}")?;
        }
        writeln!(f, "seed {}:", self.seed)?;
        for fault in &self.faults {
            writeln!(f, "  {fault}")?;
        }
        writeln!(f, "  steps: {}", self.steps.join(", "))?;
        let [test, soak] = self.again();
        write!(f, "  again: {test}\n     or: {soak}")
    }
}

/// What came of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Seeds that were played.
    pub played: u64,
    /// The first violations, by seed.
    pub violations: Vec<Violation>,
    /// Which pairs of state and input came up, in how many seeds.
    pub visited: BTreeMap<Pair, u64>,
    /// What came up below the machines ([`coverage::below`]), in how many seeds.
    pub below: BTreeMap<&'static str, u64>,
}

/// In how many seeds something came up.
#[derive(Default)]
struct Counts {
    visited: BTreeMap<Pair, u64>,
    below: BTreeMap<&'static str, u64>,
}

/// What came of one seed.
#[derive(Default)]
struct Played {
    violation: Option<Violation>,
    visited: Vec<Pair>,
    below: Vec<&'static str>,
}

/// How far it is, for whoever watches.
#[derive(Debug, Default)]
pub struct Progress {
    /// Seeds that are done.
    pub done: AtomicU64,
    /// Seeds that broke a promise.
    pub violations: AtomicUsize,
}

/// One seed. A panic is a violation like any other.
fn play(seed: u64, tell: bool) -> Played {
    let played = catch_unwind(AssertUnwindSafe(|| {
        let mut world = World::new(draw(seed));
        world.node.observe();
        world.run_to_the_end();
        let faults = world.faults();
        let violation = (!faults.is_empty()).then(|| Violation {
            seed,
            faults,
            steps: world.steps(),
            ladder: match tell {
                true => [vec![format!("{:#?}", world.scenario)], world.ladder()].concat(),
                false => Vec::new(),
            },
        });
        let (visited, below) = (world.node.observed(), coverage::below(&world));
        Played {
            violation,
            visited,
            below,
        }
    }));
    played.unwrap_or_else(|panic| {
        let text = panic
            .downcast_ref::<String>()
            .map(String::as_str)
            .or_else(|| panic.downcast_ref::<&str>().copied())
            .unwrap_or("of an unknown kind");
        let violation = Some(Violation {
            seed,
            faults: vec![format!("panic: {text}")],
            steps: Vec::new(),
            ladder: Vec::new(),
        });
        Played {
            violation,
            ..Played::default()
        }
    })
}

/// Plays them all, on every core, unless there were violations enough.
///
/// Seeds are begun in order and what was begun is finished, so the violations reported are the lowest of all.
pub fn run(plan: Plan, progress: &Progress) -> Report {
    let next = AtomicU64::new(0);
    let found = Mutex::new(BTreeMap::new());
    let counts: Mutex<Counts> = Mutex::default();
    let threads = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while progress.violations.load(Ordering::Relaxed) < ENOUGH {
                    let n = next.fetch_add(1, Ordering::Relaxed);
                    if n >= plan.seeds {
                        break;
                    }
                    let played = play(plan.first.wrapping_add(n), plan.seeds == 1);
                    if let Some(violation) = played.violation {
                        progress.violations.fetch_add(1, Ordering::Relaxed);
                        let mut found = found.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
                        found.insert(n, violation);
                    }
                    let mut counts = counts.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
                    let Counts { visited, below } = &mut *counts;
                    let pairs = played.visited.into_iter();
                    pairs.for_each(|pair| *visited.entry(pair).or_default() += 1);
                    let came = played.below.into_iter();
                    came.for_each(|what| *below.entry(what).or_default() += 1);
                    drop(counts);
                    progress.done.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
    });
    let found = found.into_inner().unwrap_or_else(|poisoned| poisoned.into_inner());
    let counts = counts.into_inner().unwrap_or_else(|poisoned| poisoned.into_inner());
    Report {
        played: progress.done.load(Ordering::Relaxed),
        violations: found.into_values().take(ENOUGH).collect(),
        visited: counts.visited,
        below: counts.below,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_violation_names_the_commands_that_repeat_it() {
        let violation = Violation {
            seed: 4711,
            faults: vec!["the caller heard nothing".into()],
            steps: vec!["requested", "closed"],
            ladder: Vec::new(),
        };
        let text = violation.to_string();
        for part in [
            "seed 4711:",
            "the caller heard nothing",
            "requested, closed",
            "BATON_SEED=4711 BATON_SEEDS=1 cargo test -p baton-tests --test seeds",
            "cargo xtask soak --from 4711 --seeds 1",
        ] {
            assert!(text.contains(part), "{part} is not in {text}");
        }
    }

    #[test]
    fn every_seed_of_the_plan_is_played_once() {
        let progress = Progress::default();
        let report = run(Plan { first: 7, seeds: 9 }, &progress);
        assert_eq!((report.played, report.violations), (9, vec![]));
    }
}
