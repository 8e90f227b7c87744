//! A node above its budget: who is refused, who is not, and when callers are taken again.

use super::*;
use crate::config::Budget;
use crate::load::Measure;
use crate::refusal::Refusal as Why;

/// A call costs a tenth of a core.
const BUDGET: Budget = Budget {
    core_share: 0.72,
    packet: Duration::from_millis(1),
};

fn with(workers: usize) -> World {
    let ports = |worker: u16| (0..20).map(|n| 20_000 + 1000 * worker + 2 * n).collect();
    World::new(Config {
        workers: (0..workers as u16).map(ports).collect(),
        budget: BUDGET,
        ..config()
    })
}

impl World {
    /// The last second of each worker.
    pub(super) fn measured(&mut self, shares: &[Option<f64>]) {
        let since = self.now.checked_sub(Duration::from_secs(1)).unwrap_or(self.now);
        let measure = |share: &Option<f64>| share.map(|share| Measure { since, share });
        let measures: Vec<_> = shares.iter().map(measure).collect();
        self.node.handle_load(self.now, &measures);
    }

    /// Calls once more; whether it was taken, and by which worker.
    fn calls(&mut self) -> Option<usize> {
        let before = self.node.loads();
        self.peers[CALLER].log.clear();
        self.call(CALLER);
        let refused = self.peers[CALLER].log.last() == Some(&"503");
        let after = self.node.loads();
        let grown = (0..after.len()).find(|at| after[*at].expected > before[*at].expected);
        assert_eq!(grown.is_none(), refused);
        grown
    }

    fn refused_for(&self, why: Why) -> u64 {
        self.node.refusals().of(why)
    }
}

#[test]
fn callers_go_to_the_worker_with_the_least_measured_load() {
    let mut world = with(3);
    world.measured(&[Some(0.5), Some(0.1), Some(0.32)]);
    let placed: Vec<_> = (0..6).map(|_| world.calls()).collect();
    // Each counts a tenth at once: three times up to 0.4, which is more than 0.32.
    assert_eq!(placed, [Some(1), Some(1), Some(1), Some(2), Some(1), Some(2)]);
    // One that cannot be measured counts by its sessions, of which it has none.
    world.measured(&[None, Some(0.6), Some(0.6)]);
    assert_eq!(world.calls(), Some(0));
}

#[test]
fn a_burst_fills_the_budget_and_no_more_and_is_told_when_to_come_back() {
    let mut world = with(2);
    world.measured(&[Some(0.0), Some(0.25)]);
    let taken = (0..30).filter(|_| world.calls().is_some()).count();
    assert_eq!(taken, 7 + 4);
    assert_eq!((world.refused_for(Why::Load), world.refused_for(Why::Ports)), (19, 0));
    // No measurement has them, for their agents let them ring; so nothing changes.
    world.pass(Duration::from_secs(3));
    world.measured(&[Some(0.0), Some(0.25)]);
    assert_eq!(world.calls(), None);
    assert!(world.node.loads().iter().all(|load| load.full));
}

#[test]
fn a_trunk_that_asks_is_told_so_and_told_when_it_is_over() {
    let mut world = World::new(Config {
        budget: BUDGET,
        ..config()
    });
    world.talk();
    // One call, above the budget.
    world.measured(&[Some(0.75)]);
    assert_eq!(world.calls(), None);
    // Below the budget, and not yet below nine tenths of it.
    world.measured(&[Some(0.65)]);
    assert_eq!(world.calls(), None);
    world.measured(&[Some(0.4)]);
    assert_eq!(world.calls(), Some(0));
    assert_eq!(world.refused_for(Why::Load), 2);
}

#[test]
fn what_was_refused_is_counted_by_its_reason() {
    let mut world = with(1);
    world.measured(&[Some(0.9)]);
    world.call(CALLER);
    world.node.drain();
    world.call(CALLER);
    world.call(CALLER);
    world.node.resume();
    assert_eq!(world.calls(), None, "it is still above its budget");
    world.measured(&[Some(0.0)]);
    world.call_offering(CALLER, Some(STRANGE.into()));
    let counts = Why::ALL.map(|why| world.refused_for(why));
    assert_eq!(counts, [2, 2, 0, 0, 1, 0], "{:?}", Why::ALL);
    world.conserve();
}

#[test]
fn another_budget_counts_for_the_next_caller() {
    let mut world = World::new(Config {
        budget: BUDGET,
        ..config()
    });
    world.measured(&[Some(0.5)]);
    let mut peers = peers(&config());
    peers.budget = Budget {
        core_share: 0.3,
        ..BUDGET
    };
    world.node.reload(world.now, peers.clone());
    assert_eq!(world.calls(), None);
    peers.budget = BUDGET;
    world.node.reload(world.now, peers);
    assert_eq!(world.calls(), Some(0));
}

pub(super) fn peers(config: &Config) -> Peers {
    let config = config.clone();
    Peers {
        budget: config.budget,
        latch: config.latch,
        codecs: config.codecs,
        prefer: config.prefer,
        trunks: config.trunks,
        ai_agents: config.ai_agents,
        targets: config.targets,
        playbook: config.playbook,
        sounds: config.sounds,
        prompts: config.prompts,
        router: config.router,
        deadlines: config.deadlines,
        public_url: config.public_url,
    }
}
