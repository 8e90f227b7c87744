//! Whether a server does its work: not only that its threads are there, but that they turn.

use std::sync::{Arc, Mutex, Weak};
use std::time::{Duration, Instant};

use engine::{Engine, Snapshot};
use media::coders::Sizes;

use crate::journal::lock;

/// What the data plane has of coder states.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct CoderStates {
    pub(crate) all: Sizes,
    pub(crate) free: Sizes,
    /// Of Opus, at 8 and at 16 kHz.
    pub(crate) complexity: [u8; 2],
}
use crate::run::NodeHandle;

/// How long a worker that was nudged may take to turn its loop. It turns it for every packet, within microseconds.
const STUCK: Duration = Duration::from_secs(2);

/// Who looks, for as long as it likes: it keeps nothing alive.
#[derive(Debug)]
pub(crate) struct Vitals {
    engine: Weak<Engine>,
    turns: Mutex<Turns>,
}

impl Vitals {
    pub(crate) fn new(engine: Weak<Engine>) -> Vitals {
        Vitals {
            engine,
            turns: Mutex::default(),
        }
    }

    /// # Errors
    /// What does not work.
    pub(crate) async fn check(&self, node: &NodeHandle) -> Result<(), String> {
        self.check_workers()?;
        match node.alive().await {
            Ok(_) => Ok(()),
            Err(_) => Err("the control plane has ended".to_owned()),
        }
    }

    /// The figures of each worker; none where the engine has ended.
    pub(crate) fn workers(&self) -> Vec<Snapshot> {
        let stats = |engine: Arc<Engine>| (0..engine.workers()).map(|worker| engine.stats(worker)).collect();
        self.engine.upgrade().map(stats).unwrap_or_default()
    }

    /// Coder states, and how hard they work.
    pub(crate) fn coders(&self) -> CoderStates {
        let states = |engine: Arc<Engine>| CoderStates {
            all: engine.coders().sizes(),
            free: engine.coders().free(),
            complexity: engine.coders().complexity(),
        };
        self.engine.upgrade().map(states).unwrap_or_default()
    }

    fn check_workers(&self) -> Result<(), String> {
        let Some(engine) = self.engine.upgrade() else {
            return Err("the data plane has ended".to_owned());
        };
        let (now, mut turns) = (Instant::now(), lock(&self.turns));
        for worker in 0..engine.workers() {
            if !engine.is_running(worker) {
                return Err(format!("worker {worker} of the data plane has ended"));
            }
            if let Some(since) = turns.stuck(now, worker, engine.stats(worker).loops) {
                let seconds = since.as_secs();
                return Err(format!(
                    "worker {worker} of the data plane has not turned for {seconds} s"
                ));
            }
            // It has until the next look to show that it turns.
            engine.nudge(worker);
        }
        Ok(())
    }
}

/// What each worker's loop had counted when it was nudged, and when that was.
#[derive(Debug, Default)]
struct Turns(Vec<Option<(Instant, u64)>>);

impl Turns {
    /// For how long a worker has not turned, though it was nudged, where that is too long. Where it has turned it is to be nudged again.
    fn stuck(&mut self, now: Instant, worker: usize, loops: u64) -> Option<Duration> {
        if self.0.len() <= worker {
            self.0.resize(worker + 1, None);
        }
        match &mut self.0[worker] {
            Some((nudged, before)) if *before == loops => {
                Some(now.saturating_duration_since(*nudged)).filter(|since| *since > STUCK)
            }
            seen => {
                *seen = Some((now, loops));
                None
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_does_not_turn_though_it_was_nudged_is_stuck_until_it_turns() {
        let (start, mut turns) = (Instant::now(), Turns::default());
        let after = |s: u64| start + Duration::from_secs(s);
        assert_eq!(turns.stuck(start, 1, 7), None);
        assert_eq!(turns.stuck(after(1), 1, 7), None, "it may be slow");
        assert_eq!(turns.stuck(after(3), 1, 7), Some(Duration::from_secs(3)));
        assert_eq!(turns.stuck(after(3), 0, 7), None, "another one");
        assert_eq!(turns.stuck(after(9), 1, 8), None, "it turned in the end");
        // However long nobody looks: each look nudges, and one that has turned since then lives.
        assert_eq!(turns.stuck(after(900), 1, 9), None);
        assert_eq!(turns.stuck(after(901), 1, 9), None);
        assert_eq!(turns.stuck(after(1800), 1, 10), None);
        assert_eq!(turns.stuck(after(1803), 1, 10), Some(Duration::from_secs(3)));
    }
}
