//! Callbacks, counted for the metrics.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::store::callbacks::CallbackState;

/// Why no human had a caller who was called back: the caller was not reached, no human was found for it, or it was not called at all, as
/// its trunk calls nobody out any more, or no target is a human.
pub(crate) const CAUSES: [&str; 3] = ["not_reached", "no_human", "not_called"];

/// What became of callbacks, for the metrics.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) scheduled: AtomicU64,
    pub(crate) refused: AtomicU64,
    pub(crate) cancelled: AtomicU64,
    pub(crate) done: AtomicU64,
    /// By [`CAUSES`].
    pub(crate) missed: [AtomicU64; 3],
    /// By which first attempts came after the end of their slots.
    pub(crate) late_ms: AtomicU64,
    /// Not over yet, of all servers on this store.
    pub(crate) open: AtomicU64,
}

impl Counters {
    pub(super) fn ended(&self, state: CallbackState, cause: Option<&str>) {
        match state {
            CallbackState::Done => _ = self.done.fetch_add(1, Ordering::Relaxed),
            CallbackState::Missed => {
                let causes = CAUSES.into_iter().zip(&self.missed);
                for (_, counter) in causes.filter(|(name, _)| Some(*name) == cause) {
                    counter.fetch_add(1, Ordering::Relaxed);
                }
            }
            CallbackState::Cancelled => _ = self.cancelled.fetch_add(1, Ordering::Relaxed),
            CallbackState::Scheduled | CallbackState::Calling => {}
        }
    }

    /// For the metrics.
    pub(crate) fn read(&self) -> Counted {
        let [scheduled, refused, cancelled, done, late_ms, open] = [
            &self.scheduled,
            &self.refused,
            &self.cancelled,
            &self.done,
            &self.late_ms,
            &self.open,
        ]
        .map(|counter| counter.load(Ordering::Relaxed));
        let missed = self.missed.each_ref().map(|counter| counter.load(Ordering::Relaxed));
        let results = [scheduled, refused, cancelled, done, missed.iter().sum()];
        let late = Duration::from_millis(late_ms);
        Counted {
            results,
            missed,
            late,
            open,
        }
    }
}

/// What the metrics say of them.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Counted {
    /// By [`RESULTS`].
    pub(crate) results: [u64; 5],
    /// By [`CAUSES`].
    pub(crate) missed: [u64; 3],
    pub(crate) late: Duration,
    pub(crate) open: u64,
}

/// What becomes of them, for the metrics.
pub(crate) const RESULTS: [&str; 5] = ["scheduled", "refused", "cancelled", "done", "missed"];
