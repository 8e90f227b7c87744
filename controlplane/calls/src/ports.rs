//! The workers: who gets the next session, and their RTP ports, which are taken, given back, and left alone for a while.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use crate::load::{Budget, Load, Measure, WorkerLoad};

/// How long a released port is not given out: packets of its last peer may still be under way.
pub(crate) const QUARANTINE: Duration = Duration::from_secs(2);

/// A port of a worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Taken {
    /// Index into [`Config::workers`](crate::config::Config::workers).
    pub(crate) worker: usize,
    /// The even RTP port.
    pub(crate) port: u16,
}

/// Why no worker takes a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NoRoom {
    /// All that have ports are as busy as they may be.
    Load,
    /// None has ports.
    Ports,
}

/// Sessions that had better be elsewhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Imbalance {
    pub(crate) from: usize,
    pub(crate) to: usize,
    pub(crate) sessions: usize,
}

/// So many sessions go from one worker to another between two measurements: half of what the data plane moves at one time.
const AT_ONCE: usize = 16;

/// One of so many ports of a worker is kept for legs of running calls: a handoff must find one, however many calls there are.
const KEPT: usize = 16;

/// The ports of all workers.
#[derive(Debug)]
pub(crate) struct Ports {
    workers: Vec<Worker>,
    budget: Budget,
}

#[derive(Debug)]
struct Worker {
    /// Longest unused first.
    free: VecDeque<u16>,
    /// In the order of release, which is that of their times.
    resting: VecDeque<(Instant, u16)>,
    taken: usize,
    /// Ports that no new call may take.
    kept: usize,
    load: Load,
}

impl Ports {
    /// All free.
    pub(crate) fn new(workers: &[Vec<u16>], budget: Budget) -> Ports {
        let worker = |ports: &Vec<u16>| Worker {
            free: ports.iter().copied().collect(),
            resting: VecDeque::with_capacity(ports.len()),
            taken: 0,
            kept: ports.len() / KEPT,
            load: Load::default(),
        };
        Ports {
            workers: workers.iter().map(worker).collect(),
            budget,
        }
    }

    /// Another budget, for the sessions that come from now on.
    pub(crate) fn set_budget(&mut self, budget: Budget) {
        self.budget = budget;
        self.look();
    }

    /// How busy each worker is, in their order. One that is not named could not be measured.
    pub(crate) fn measure(&mut self, measures: &[Option<Measure>]) {
        for (at, worker) in self.workers.iter_mut().enumerate() {
            worker.load.measure(measures.get(at).copied().flatten());
        }
        self.look();
    }

    fn look(&mut self) {
        for worker in &mut self.workers {
            worker.load.look(&self.budget);
        }
    }

    /// Whether every worker is as busy as it may be.
    pub(crate) fn are_full(&self) -> bool {
        !self.workers.is_empty() && self.workers.iter().all(|worker| worker.load.is_full())
    }

    /// How busy each worker is.
    pub(crate) fn loads(&self) -> Vec<WorkerLoad> {
        let loads = self.workers.iter().map(|worker| worker.load.view(&self.budget));
        loads.collect()
    }

    /// The least busy worker among those that may have another session and have `ports` free ports beside those that are kept for running
    /// calls; of equals the one with the fewest sessions, then the first. It has one more session now.
    pub(crate) fn open(&mut self, ports: usize) -> Result<usize, NoRoom> {
        let budget = self.budget;
        let has_ports = |worker: &Worker| worker.free.len() >= ports + worker.kept;
        let workers = self.workers.iter().enumerate();
        let fit = workers.filter(|(_, worker)| has_ports(worker) && !worker.load.is_full());
        let least = fit.min_by(|(_, a), (_, b)| {
            let (one, other) = (a.load.expected(&budget), b.load.expected(&budget));
            one.total_cmp(&other).then(a.load.sessions().cmp(&b.load.sessions()))
        });
        let Some((index, _)) = least else {
            return Err(match self.workers.iter().any(has_ports) {
                true => NoRoom::Load,
                false => NoRoom::Ports,
            });
        };
        let load = &mut self.workers[index].load;
        load.open();
        load.look(&budget);
        Ok(index)
    }

    /// Where a session of this worker had better go for one more port: the least busy one that has any.
    pub(crate) fn elsewhere(&self, worker: usize) -> Option<usize> {
        let workers = self.workers.iter().enumerate();
        let fit = workers.filter(|(at, other)| *at != worker && !other.free.is_empty());
        let least = fit.min_by(|(_, a), (_, b)| {
            let (one, other) = (a.load.expected(&self.budget), b.load.expected(&self.budget));
            one.total_cmp(&other)
        });
        least.map(|(index, _)| index)
    }

    /// What should go from the busiest worker, where it is above its budget, to the least busy one: until both are equally busy, and never
    /// so many that the other is above its own.
    pub(crate) fn imbalance(&self) -> Option<Imbalance> {
        let budget = &self.budget;
        let expected = |worker: &Worker| worker.load.measured().map(|_| worker.load.expected(budget));
        let measured = || {
            let workers = self.workers.iter().enumerate();
            workers.filter_map(|(at, worker)| Some((at, expected(worker)?)))
        };
        let (from, most) = measured().max_by(|(_, a), (_, b)| a.total_cmp(b))?;
        let (to, least) = measured().min_by(|(_, a), (_, b)| a.total_cmp(b))?;
        let each = self.workers[from].load.each(budget);
        if from == to || most <= budget.core_share || each <= 0.0 {
            return None;
        }
        let apart = ((most - least) / 2.0).min(budget.core_share - least);
        let sessions = ((apart / each) as usize).min(AT_ONCE);
        (sessions > 0).then_some(Imbalance { from, to, sessions })
    }

    /// A session is to go from one worker to another, as busy as that may be.
    pub(crate) fn goes(&mut self, from: usize, to: usize) {
        if let Some(worker) = self.workers.get_mut(from) {
            worker.load.goes();
        }
        if let Some(worker) = self.workers.get_mut(to) {
            worker.load.open();
            worker.load.look(&self.budget);
        }
    }

    /// It is there. It had packets since `began`.
    pub(crate) fn gone(&mut self, now: Instant, (from, to): (usize, usize), began: Option<Instant>) {
        if let Some(worker) = self.workers.get_mut(from) {
            worker.load.stays();
            worker.load.left(now);
        }
        self.close(from, began);
        self.begin(now, to);
    }

    /// It stays where it was.
    pub(crate) fn stays(&mut self, from: usize, to: usize) {
        if let Some(worker) = self.workers.get_mut(from) {
            worker.load.stays();
        }
        self.close(to, None);
    }

    /// The port has gone to another worker.
    pub(crate) fn follow(&mut self, taken: &mut Taken, to: usize) {
        if let Some(pool) = self.workers.get_mut(taken.worker) {
            pool.taken = pool.taken.saturating_sub(1);
        }
        if let Some(pool) = self.workers.get_mut(to) {
            pool.taken += 1;
        }
        taken.worker = to;
    }

    /// A session of this worker begins to have packets.
    pub(crate) fn begin(&mut self, now: Instant, worker: usize) {
        if let Some(worker) = self.workers.get_mut(worker) {
            worker.load.begin(now);
        }
    }

    /// A session of this worker is over. It had packets since `began`, where it had any.
    pub(crate) fn close(&mut self, worker: usize, began: Option<Instant>) {
        if let Some(worker) = self.workers.get_mut(worker) {
            worker.load.close(began);
            worker.load.look(&self.budget);
        }
    }

    /// Takes a port, in constant time.
    pub(crate) fn take(&mut self, worker: usize) -> Option<Taken> {
        let pool = self.workers.get_mut(worker)?;
        let port = pool.free.pop_front()?;
        pool.taken += 1;
        Some(Taken { worker, port })
    }

    /// Gives a port back; it rests until `now` + [`QUARANTINE`].
    pub(crate) fn release(&mut self, now: Instant, taken: Taken) {
        if let Some(pool) = self.workers.get_mut(taken.worker) {
            pool.taken = pool.taken.saturating_sub(1);
            pool.resting.push_back((now + QUARANTINE, taken.port));
        }
    }

    /// Frees what has rested long enough.
    pub(crate) fn handle_timeout(&mut self, now: Instant) {
        for pool in &mut self.workers {
            while let Some(&(until, port)) = pool.resting.front()
                && until <= now
            {
                pool.resting.pop_front();
                pool.free.push_back(port);
            }
        }
    }

    /// When the next port has rested long enough.
    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        self.workers
            .iter()
            .filter_map(|pool| pool.resting.front())
            .map(|(until, _)| *until)
            .min()
    }

    /// Ports that are taken or at rest.
    pub(crate) fn alive(&self) -> usize {
        self.workers.iter().map(|pool| pool.taken + pool.resting.len()).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_port_is_given_out_once_and_comes_back_after_its_rest() {
        let start = Instant::now();
        let mut ports = Ports::new(&[vec![10_000, 10_002]], Budget::default());
        let a = ports.take(0).unwrap();
        let b = ports.take(0).unwrap();
        assert_eq!((a.port, b.port, ports.take(0)), (10_000, 10_002, None));
        ports.release(start, b);
        assert_eq!(
            (ports.take(0), ports.alive(), ports.poll_timeout()),
            (None, 2, Some(start + QUARANTINE))
        );
        ports.handle_timeout(start + QUARANTINE - Duration::from_millis(1));
        assert_eq!(ports.take(0), None);
        ports.handle_timeout(start + QUARANTINE);
        assert_eq!((ports.take(0), ports.alive()), (Some(b), 2));
        ports.release(start, a);
        ports.release(start, b);
        ports.handle_timeout(start + QUARANTINE);
        assert_eq!((ports.alive(), ports.poll_timeout()), (0, None));
    }

    #[test]
    fn the_longest_unused_port_is_taken_first() {
        let start = Instant::now();
        let mut ports = Ports::new(&[vec![2, 4, 6]], Budget::default());
        let first = ports.take(0).unwrap();
        ports.release(start, first);
        ports.handle_timeout(start + QUARANTINE);
        let order: Vec<u16> = std::iter::from_fn(|| ports.take(0)).map(|taken| taken.port).collect();
        assert_eq!(order, [4, 6, 2]);
    }

    #[test]
    fn some_ports_are_kept_for_legs_of_running_calls() {
        let mut ports = Ports::new(&[(0..32).collect()], BUDGET);
        let mut calls = 0;
        while let Ok(worker) = ports.open(2) {
            assert!(ports.take(worker).is_some() && ports.take(worker).is_some());
            calls += 1;
        }
        assert_eq!(calls, 15, "two of 32 are left");
        assert!(ports.take(0).is_some() && ports.take(0).is_some());
        assert_eq!(ports.take(0), None);
    }

    /// A session costs a hundredth of a core.
    const BUDGET: Budget = Budget {
        core_share: 0.7,
        packet: Duration::from_micros(100),
    };

    #[test]
    fn without_measurements_a_session_goes_to_the_worker_with_the_fewest() {
        let mut ports = Ports::new(&[vec![2, 4], vec![6, 8], vec![10]], BUDGET);
        assert_eq!([ports.open(2), ports.open(2), ports.open(2)], [Ok(0), Ok(1), Ok(0)]);
        ports.close(0, None);
        ports.close(0, None);
        assert_eq!(ports.open(2), Ok(0));
        assert_eq!(ports.open(3), Err(NoRoom::Ports));
        let mut none = Ports::new(&[], BUDGET);
        assert_eq!((none.open(0), none.are_full()), (Err(NoRoom::Ports), false));
    }

    /// Two workers with ports for all, the first of which has 20 sessions and the second 2.
    fn two(start: Instant) -> Ports {
        let mut ports = Ports::new(&[(0..100).collect(), (100..200).collect()], BUDGET);
        for (worker, sessions) in [(0, 20), (1, 2)] {
            for _ in 0..sessions {
                ports.workers[worker].load.open();
                ports.begin(start, worker);
            }
        }
        ports
    }

    fn shares(since: Instant, shares: [f64; 2]) -> [Option<Measure>; 2] {
        shares.map(|share| Some(Measure { since, share }))
    }

    fn placed(ports: &mut Ports, sessions: usize) -> [usize; 2] {
        let mut placed = [0; 2];
        for _ in 0..sessions {
            placed[ports.open(1).expect("room")] += 1;
        }
        placed
    }

    #[test]
    fn a_session_goes_where_the_measured_load_is_least_whatever_the_number_there() {
        let start = Instant::now();
        let mut ports = two(start);
        ports.measure(&shares(start, [0.2, 0.505]));
        assert_eq!(placed(&mut ports, 10), [10, 0]);
        // What was placed since the measurement counts, so that not all of a burst go the same way: 0.300 and 0.505 become 0.530 and 0.545.
        assert_eq!(placed(&mut ports, 24), [23, 1]);
    }

    #[test]
    fn a_worker_that_is_full_or_has_no_ports_is_passed_over() {
        let start = Instant::now();
        let mut ports = two(start);
        ports.measure(&shares(start, [0.71, 0.6]));
        assert_eq!(ports.open(1), Ok(1));
        while ports.take(1).is_some() {}
        assert_eq!(
            ports.open(1),
            Err(NoRoom::Load),
            "there are ports, at the worker that is full"
        );
        while ports.take(0).is_some() {}
        assert_eq!(ports.open(1), Err(NoRoom::Ports));
        assert!(!ports.are_full());
        ports.measure(&shares(start, [0.8, 0.9]));
        assert!(ports.are_full());
    }

    #[test]
    fn a_worker_without_a_measurement_counts_by_its_sessions() {
        let start = Instant::now();
        let mut ports = two(start);
        // 0.20 by number, 0.10 measured; then the other way round.
        ports.measure(&[None, shares(start, [0.0, 0.1])[1]]);
        assert_eq!(ports.open(1), Ok(1));
        ports.measure(&[None, shares(start, [0.0, 0.3])[1]]);
        assert_eq!(ports.open(1), Ok(0));
        // Nobody could be measured: the list is empty.
        ports.measure(&[]);
        assert_eq!(ports.open(1), Ok(1));
        assert!(ports.loads().iter().all(|load| load.measured.is_none()));
    }

    #[test]
    fn another_budget_counts_at_once() {
        let start = Instant::now();
        let mut ports = two(start);
        ports.measure(&shares(start, [0.5, 0.6]));
        assert!(!ports.are_full());
        ports.set_budget(Budget {
            core_share: 0.4,
            ..BUDGET
        });
        assert_eq!((ports.are_full(), ports.open(1)), (true, Err(NoRoom::Load)));
        ports.set_budget(BUDGET);
        assert_eq!((ports.are_full(), ports.open(1)), (false, Ok(0)));
    }
}
