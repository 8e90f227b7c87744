//! RTP ports of the workers: taken, given back, and left alone for a while.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

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

/// The ports of all workers.
#[derive(Debug)]
pub(crate) struct Ports {
    workers: Vec<Worker>,
}

#[derive(Debug)]
struct Worker {
    /// Longest unused first.
    free: VecDeque<u16>,
    /// In the order of release, which is that of their times.
    resting: VecDeque<(Instant, u16)>,
    taken: usize,
    sessions: usize,
}

impl Ports {
    /// All free.
    pub(crate) fn new(workers: &[Vec<u16>]) -> Ports {
        let worker = |ports: &Vec<u16>| Worker {
            free: ports.iter().copied().collect(),
            resting: VecDeque::with_capacity(ports.len()),
            taken: 0,
            sessions: 0,
        };
        Ports {
            workers: workers.iter().map(worker).collect(),
        }
    }

    /// The worker with the fewest sessions among those that have `ports` free ports; the first of equals. It has one more
    /// session now.
    pub(crate) fn open(&mut self, ports: usize) -> Option<usize> {
        let workers = self.workers.iter().enumerate();
        let (index, _) = workers
            .filter(|(_, w)| w.free.len() >= ports)
            .min_by_key(|(_, w)| w.sessions)?;
        self.workers[index].sessions += 1;
        Some(index)
    }

    /// A session of this worker is over.
    pub(crate) fn close(&mut self, worker: usize) {
        if let Some(worker) = self.workers.get_mut(worker) {
            worker.sessions = worker.sessions.saturating_sub(1);
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
        let mut ports = Ports::new(&[vec![10_000, 10_002]]);
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
        let mut ports = Ports::new(&[vec![2, 4, 6]]);
        let first = ports.take(0).unwrap();
        ports.release(start, first);
        ports.handle_timeout(start + QUARANTINE);
        let order: Vec<u16> = std::iter::from_fn(|| ports.take(0)).map(|taken| taken.port).collect();
        assert_eq!(order, [4, 6, 2]);
    }

    #[test]
    fn a_session_goes_to_the_worker_with_the_fewest() {
        let mut ports = Ports::new(&[vec![2, 4], vec![6, 8], vec![10]]);
        assert_eq!(
            [ports.open(2), ports.open(2), ports.open(2)],
            [Some(0), Some(1), Some(0)]
        );
        ports.close(0);
        ports.close(0);
        assert_eq!(ports.open(2), Some(0));
        assert_eq!(ports.open(3), None);
        assert_eq!(Ports::new(&[]).open(0), None);
    }
}
