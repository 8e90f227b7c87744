//! A worker by one way into the kernel, and the calls on it.

use std::time::{Duration, Instant};

use engine::{Backend, Engine, EngineConfig, Snapshot, StartError};
use media::command::{Command, LegSpec, SessionId};

use crate::tune::paths::set;

pub(super) struct Worker {
    engine: Engine,
    /// Those that had a session already: no number is used twice.
    used: u64,
    calls: u32,
}

/// The worker at a moment.
pub(super) struct Moment {
    pub(super) time: Duration,
    pub(super) figures: Snapshot,
}

impl Worker {
    pub(super) fn start(config: EngineConfig) -> Result<Worker, StartError> {
        Ok(Worker {
            engine: Engine::start(config)?,
            used: 0,
            calls: 0,
        })
    }

    /// The way that its packets take, as `[media] io` names it.
    pub(super) fn io(&self) -> &'static str {
        match self.engine.backend(0) {
            Backend::Epoll => "epoll",
            Backend::Uring | Backend::Auto => "io_uring",
        }
    }

    pub(super) fn ports(&self) -> &[u16] {
        self.engine.ports(0)
    }

    /// Makes so many calls, of these legs each, given the two ports.
    pub(super) fn begin<const LEGS: usize>(
        &mut self,
        calls: u32,
        legs: impl Fn(u16, u16) -> [LegSpec; LEGS],
    ) -> Result<(), String> {
        for call in 0..calls {
            let at = 2 * call as usize;
            let (first, second) = (self.ports()[at], self.ports()[at + 1]);
            self.send(set(self.used + u64::from(call), 1, legs(first, second)))?;
        }
        self.calls = calls;
        self.wait_for(u64::from(calls))
    }

    /// Ends them all: a worker whose turn it is not has nothing to do.
    pub(super) fn end(&mut self) -> Result<(), String> {
        let ended = self.used + u64::from(self.calls);
        for session in self.used..ended {
            self.send(Command::End {
                session: SessionId(session),
            })?;
        }
        (self.used, self.calls) = (ended, 0);
        self.wait_for(0)
    }

    pub(super) fn now(&self) -> Result<Moment, String> {
        let time = self.engine.processor_time(0);
        Ok(Moment {
            time: time.ok_or("the worker has ended: a bug")?,
            figures: self.engine.stats(0),
        })
    }

    fn send(&self, command: Command) -> Result<(), String> {
        let (mut command, began) = (command, Instant::now());
        while let Err(engine::Full(again)) = self.engine.send(0, command) {
            self.lives(began)?;
            command = again;
            std::thread::yield_now();
        }
        Ok(())
    }

    /// Until it has so many sessions.
    fn wait_for(&self, sessions: u64) -> Result<(), String> {
        let began = Instant::now();
        while self.engine.stats(0).sessions != sessions {
            self.lives(began)?;
            // Nobody else wants to know.
            while self.engine.events().try_recv().is_some() {}
            std::thread::yield_now();
        }
        Ok(())
    }

    fn lives(&self, began: Instant) -> Result<(), String> {
        match self.engine.is_running(0) && began.elapsed().as_secs() < 10 {
            true => Ok(()),
            false => Err("the worker does not do what it is told: a bug; the log says more".to_owned()),
        }
    }
}
