//! How busy a worker of the data plane is, and whether it takes another session.
//!
//! Its load is measured outside and told here some times a second. A measurement says nothing of a session that was admitted a moment
//! ago, so each one counts with what it is expected to cost until a measurement has the whole of it: a burst cannot overshoot, however
//! late its agents answer.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// Packets a second of a session: two legs of 20 ms, each heard by the other.
const PACKETS: f64 = 100.0;

/// With fewer sessions than these, much of the share is the worker's own turning: what a session costs is then at most [`DEAR`] times what
/// the budget says.
const FEW: usize = 50;
const DEAR: f64 = 4.0;

/// A worker that was full takes sessions again below this part of its budget.
const RECOVERY: f64 = 0.9;

/// How much of a worker's core new sessions may use.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Budget {
    /// Of the core, above 0 and up to 1: no new session where that would be exceeded. What is above it is left to running calls: to the human's
    /// leg of their handoffs, and to whatever else the core has to do.
    pub core_share: f64,
    /// The least that a packet is expected to cost, all its way.
    pub packet: Duration,
}

impl Default for Budget {
    fn default() -> Budget {
        Budget {
            core_share: 0.7,
            packet: Duration::from_micros(5),
        }
    }
}

impl Budget {
    /// The least share that a session is expected to cost.
    pub fn session(&self) -> f64 {
        PACKETS * self.packet.as_secs_f64()
    }
}

/// A measurement of one worker.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Measure {
    /// When it began; it ends when it is told.
    pub since: Instant,
    /// The share of a core that the worker used meanwhile: its processor time by the time that passed.
    pub share: f64,
}

/// One worker, as it counts for the next call.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct WorkerLoad {
    /// The last measured share of its core; `None` where it could not be measured.
    pub measured: Option<f64>,
    /// The same, with what was admitted and is not in it yet.
    pub expected: f64,
    /// What new sessions may use.
    pub budget: f64,
    /// It takes no new session.
    pub full: bool,
}

/// What is known of one worker.
#[derive(Debug, Default)]
pub(crate) struct Load {
    measured: Option<Measure>,
    /// Admitted, and without packets yet.
    opening: usize,
    /// When those began to have packets that no measurement has in full, in order.
    fresh: VecDeque<Instant>,
    /// Sessions that the measurement has in full.
    settled: usize,
    /// Sessions that are on their way to another worker.
    going: usize,
    /// When sessions went to another worker that the measurement has in part, in order.
    left: VecDeque<Instant>,
    full: bool,
}

impl Load {
    /// Sessions alive.
    pub(crate) fn sessions(&self) -> usize {
        self.opening + self.fresh.len() + self.settled
    }

    /// A session was admitted.
    pub(crate) fn open(&mut self) {
        self.opening += 1;
    }

    /// It begins to have packets.
    pub(crate) fn begin(&mut self, now: Instant) {
        self.opening = self.opening.saturating_sub(1);
        self.fresh.push_back(now);
    }

    /// It is over; it had packets since `began`, where it had any.
    pub(crate) fn close(&mut self, began: Option<Instant>) {
        let Some(began) = began else {
            self.opening = self.opening.saturating_sub(1);
            return;
        };
        match self.fresh.binary_search(&began) {
            Ok(place) => drop(self.fresh.remove(place)),
            Err(_) => self.settled = self.settled.saturating_sub(1),
        }
    }

    /// A session is on its way to another worker.
    pub(crate) fn goes(&mut self) {
        self.going += 1;
    }

    /// It is there, or stays.
    pub(crate) fn stays(&mut self) {
        self.going = self.going.saturating_sub(1);
    }

    /// A session has gone to another worker.
    pub(crate) fn left(&mut self, now: Instant) {
        self.left.push_back(now);
    }

    /// The last measured share.
    pub(crate) fn measured(&self) -> Option<f64> {
        self.measured.map(|measure| measure.share)
    }

    /// A measurement; `None`: there is none.
    pub(crate) fn measure(&mut self, measure: Option<Measure>) {
        self.measured = measure;
        let Some(Measure { since, .. }) = measure else { return };
        while self.fresh.front().is_some_and(|began| *began <= since) {
            self.fresh.pop_front();
            self.settled += 1;
        }
        while self.left.front().is_some_and(|left| *left <= since) {
            self.left.pop_front();
        }
    }

    /// What one more session is expected to cost: what those of the measurement cost, and never less than the budget says.
    fn session(&self, budget: &Budget) -> f64 {
        let least = budget.session();
        let measured = self.settled + self.left.len();
        let (Some(measure), 1..) = (self.measured, measured) else {
            return least;
        };
        let learned = measure.share / measured as f64;
        let most = if measured < FEW { DEAR * least } else { f64::INFINITY };
        learned.min(most).max(least)
    }

    /// What each of the sessions of the measurement costs, the worker's own turning included.
    pub(crate) fn each(&self, budget: &Budget) -> f64 {
        let share = self.measured().unwrap_or_default();
        match self.settled + self.left.len() {
            0 => budget.session(),
            measured => (share / measured as f64).max(budget.session()),
        }
    }

    /// The share that it is expected to use with what was admitted. Without a measurement every session counts as the budget says.
    pub(crate) fn expected(&self, budget: &Budget) -> f64 {
        match self.measured {
            Some(measure) => {
                let (came, went) = (self.opening + self.fresh.len(), self.left.len() + self.going);
                let change = (came as f64 - went as f64) * self.session(budget);
                (measure.share + change).max(0.0)
            }
            None => self.sessions() as f64 * budget.session(),
        }
    }

    /// Sees whether it takes another session.
    pub(crate) fn look(&mut self, budget: &Budget) {
        let expected = self.expected(budget);
        let recovered = !self.full || expected <= RECOVERY * budget.core_share;
        self.full = !recovered || expected + self.session(budget) > budget.core_share;
    }

    /// It takes none.
    pub(crate) fn is_full(&self) -> bool {
        self.full
    }

    pub(crate) fn view(&self, budget: &Budget) -> WorkerLoad {
        WorkerLoad {
            measured: self.measured(),
            expected: self.expected(budget),
            budget: budget.core_share,
            full: self.full,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A session costs a hundredth of a core.
    const BUDGET: Budget = Budget {
        core_share: 0.705,
        packet: Duration::from_micros(100),
    };

    fn near(found: f64, wanted: f64) {
        assert!((found - wanted).abs() < 1e-9, "{found}, not {wanted}");
    }

    /// So many sessions, all in a measurement of this share.
    fn settled(start: Instant, sessions: usize, share: f64) -> Load {
        let mut load = Load::default();
        for _ in 0..sessions {
            load.open();
            load.begin(start);
        }
        load.measure(Some(Measure { since: start, share }));
        load.look(&BUDGET);
        load
    }

    fn opens(load: &mut Load) -> usize {
        let mut opened = 0;
        while !load.is_full() {
            load.open();
            load.look(&BUDGET);
            opened += 1;
        }
        opened
    }

    #[test]
    fn a_session_counts_as_expected_until_a_measurement_has_the_whole_of_it() {
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let mut load = settled(start, 0, 0.1);
        load.open();
        near(load.expected(&BUDGET), 0.11);
        // Its agent lets it ring: no measurement has it.
        load.measure(Some(Measure {
            since: at(9000),
            share: 0.1,
        }));
        near(load.expected(&BUDGET), 0.11);
        load.begin(at(10_000));
        // This one has half of it.
        load.measure(Some(Measure {
            since: at(9500),
            share: 0.105,
        }));
        near(load.expected(&BUDGET), 0.115);
        load.measure(Some(Measure {
            since: at(10_000),
            share: 0.11,
        }));
        near(load.expected(&BUDGET), 0.11);
        assert_eq!(load.sessions(), 1);
        load.close(Some(at(10_000)));
        assert_eq!(load.sessions(), 0);
    }

    #[test]
    fn a_session_is_expected_to_cost_what_the_measured_ones_do_and_no_less_than_the_budget_says() {
        let start = Instant::now();
        near(settled(start, 0, 0.3).session(&BUDGET), 0.01);
        near(settled(start, 100, 0.3).session(&BUDGET), 0.01);
        near(settled(start, 100, 0.6).session(&BUDGET), 0.01);
        near(settled(start, 60, 0.9).session(&BUDGET), 0.015);
        // Of few, the worker's own share is not theirs.
        near(settled(start, 2, 0.06).session(&BUDGET), 0.03);
        near(settled(start, 2, 0.5).session(&BUDGET), 0.04);
    }

    #[test]
    fn a_burst_between_two_measurements_does_not_overshoot() {
        let start = Instant::now();
        assert_eq!(opens(&mut settled(start, 0, 0.0)), 70);
        assert_eq!(opens(&mut settled(start, 60, 0.6)), 10);
        assert_eq!(opens(&mut settled(start, 60, 0.7)), 0, "0.7 + 0.0117");
        // Never measured: by number.
        assert_eq!(opens(&mut Load::default()), 70);
    }

    #[test]
    fn who_was_full_takes_sessions_again_only_well_below_the_budget() {
        let start = Instant::now();
        let mut load = settled(start, 71, 0.71);
        assert!(load.is_full());
        for (share, full) in [
            (0.69, true),
            (0.64, true),
            (0.63, false),
            (0.68, false),
            (0.7, true),
            (0.65, true),
        ] {
            load.measure(Some(Measure { since: start, share }));
            load.look(&BUDGET);
            assert_eq!(load.is_full(), full, "{share}");
        }
    }

    #[test]
    fn where_the_measurement_is_missing_every_session_counts() {
        let start = Instant::now();
        let mut load = settled(start, 30, 0.05);
        near(load.expected(&BUDGET), 0.05);
        load.measure(None);
        near(load.expected(&BUDGET), 0.3);
        assert_eq!(load.view(&BUDGET).measured, None);
        assert_eq!(opens(&mut load), 40);
    }

    #[test]
    fn sessions_that_end_leave_nothing() {
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let mut load = settled(start, 2, 0.1);
        load.open();
        load.open();
        load.begin(at(5));
        load.begin(at(5));
        load.open();
        for began in [Some(at(5)), None, Some(start), Some(at(5)), Some(start)] {
            load.close(began);
        }
        assert_eq!(load.sessions(), 0);
    }
}
