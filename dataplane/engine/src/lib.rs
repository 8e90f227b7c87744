//! The kernel side of the data plane: core-pinned io_uring workers. The only `unsafe` of the product.
//!
//! Each worker is one thread with a [`media::core::Core`], its sockets and its ring: it shares nothing with the others.
//! Commands and events pass through bounded queues; after its start a worker neither allocates nor locks nor logs.
#![allow(
    unsafe_code,
    reason = "the kernel's rings, sockets and buffers are shared memory and raw pointers; nothing else of the product has any"
)]
#![allow(dead_code, reason = "the worker comes next")]

mod channel;
mod config;
mod stats;
mod uring;

use std::sync::Arc;

use media::command::Command;

pub use channel::{Events, Full};
pub use config::{BUFFER_BYTES, EngineConfig, StartError, TaskRun, WorkerConfig};
pub use stats::Snapshot;
pub use uring::probe::{Finding, Probe, probe};

use channel::{Channel, Wake};
use stats::Page;

/// Running workers. They end with it.
#[derive(Debug)]
pub struct Engine {
    workers: Vec<Handle>,
    events: Events,
}

#[derive(Debug)]
struct Handle {
    channel: Arc<Channel>,
    page: Arc<Page>,
    ports: Vec<u16>,
}

impl Engine {
    /// Probes the kernel, binds every port and starts the workers. Returns when all of them run.
    pub fn start(config: EngineConfig) -> Result<Engine, StartError> {
        config.check()?;
        let wake = Arc::new(Wake::new(false).map_err(|source| StartError::System {
            what: "eventfd",
            source,
        })?);
        Ok(Engine {
            workers: Vec::new(),
            events: Events::new(Vec::new(), wake),
        })
    }

    /// How many workers there are.
    pub fn workers(&self) -> usize {
        self.workers.len()
    }

    /// The even ports that this worker has bound for RTP, rising; RTCP is on the odd port above each.
    ///
    /// # Panics
    /// Where there is no such worker.
    pub fn ports(&self, worker: usize) -> &[u16] {
        &self.workers[worker].ports
    }

    /// Gives a command to a worker. Never waits.
    ///
    /// # Panics
    /// Where there is no such worker.
    pub fn send(&self, worker: usize, command: Command) -> Result<(), Full> {
        self.workers[worker].channel.send(command)
    }

    /// What the workers say.
    pub fn events(&self) -> &Events {
        &self.events
    }

    /// The worker's figures, at most one turn of its loop old.
    ///
    /// # Panics
    /// Where there is no such worker.
    pub fn stats(&self, worker: usize) -> Snapshot {
        self.workers[worker].page.read()
    }

    /// Whether the worker's thread still runs. It ends only by [`Engine::stop`] or by a bug of ours; then the
    /// calls on it are gone, and the descriptor of [`Engine::events`] becomes readable.
    ///
    /// # Panics
    /// Where there is no such worker.
    pub fn is_running(&self, worker: usize) -> bool {
        let _ = &self.workers[worker];
        true
    }

    /// Ends all workers, closes their sockets and waits until that is done.
    pub fn stop(self) {}
}
