//! The kernel side of the data plane: core-pinned workers on io_uring, or on epoll where that is forbidden. The only `unsafe` of
//! the product.
//!
//! Each worker is one thread with a [`media::core::Core`], its sockets and its buffers: it shares nothing with the others.
//! Commands and events pass through bounded queues; after its start a worker neither allocates nor locks nor logs.
#![allow(
    unsafe_code,
    reason = "the kernel's rings, sockets and buffers are shared memory and raw pointers; nothing else of the product has any"
)]
mod affinity;
mod buffers;
mod channel;
mod clock;
mod config;
mod epoll;
mod moving;
mod net;
mod priority;
mod socket;
mod stats;
mod uring;
mod worker;

use std::os::fd::OwnedFd;
use std::sync::{Arc, mpsc};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use media::coders::Coders;
use media::command::{Command, Port, SessionId};
use media::core::{Config, Core, LEGS_PLACED_MAX};

pub use channel::{Events, Full};
pub use config::{BUFFER_BYTES, Backend, EngineConfig, Rtcp, StartError, TaskRun, WorkerConfig};
pub use moving::MoveError;
pub use stats::{BATCH_BOUNDS, BATCHES, Histogram, Snapshot, TIME_BOUNDS_US, TIMES};
pub use uring::probe::{Finding, Probe, probe};

use channel::{Channel, Wake, WorkerSide};
use net::Net;
use socket::{Queues, Setup};
use stats::Page;
use uring::probe as kernel;
use worker::{Moves, Sockets, Worker};

/// Packets of the core's own that wait for a transmit buffer at the most.
const PENDING: usize = 1024;

/// Descriptors of a worker beside its sockets: its ring, or its epoll, and its eventfd.
const FILES_PER_WORKER: usize = 2;

/// Running workers. They end with it.
#[derive(Debug)]
pub struct Engine {
    workers: Vec<Handle>,
    events: Events,
    coders: Arc<Coders>,
}

#[derive(Debug)]
struct Handle {
    channel: Arc<Channel>,
    page: Arc<Page>,
    ports: Vec<u16>,
    backend: Backend,
    thread: Option<JoinHandle<()>>,
}

/// What a worker's thread says once it runs: the way that it takes.
type Ready = Result<(Backend, TaskRun), StartError>;

impl Engine {
    /// Probes the kernel, binds every port and starts the workers. Returns when all of them run.
    pub fn start(config: EngineConfig) -> Result<Engine, StartError> {
        config.check()?;
        let backend = net::choose(config.backend)?;
        let files = |worker: &WorkerConfig| worker.sockets(config.rtcp) + FILES_PER_WORKER;
        kernel::require_files(config.workers.iter().map(files).sum())?;

        let system = |what: &'static str| move |source: std::io::Error| StartError::System { what, source };
        let wake = Arc::new(Wake::new(false).map_err(system("eventfd"))?);
        // Everything is bound before the first thread starts: no worker takes calls while another cannot.
        let setups: Vec<Setup> = config.workers.iter().map(|worker| setup(&config, worker)).collect();
        let until = Instant::now() + config.port_patience;
        let sockets = setups.iter().map(|setup| setup.bind(until));
        let sockets = sockets.collect::<Result<Vec<_>, _>>()?;

        let mut engine = Engine {
            workers: Vec::new(),
            events: Events::new(Vec::new(), wake.clone()),
            coders: config.coders.clone(),
        };
        let sides = |_: &WorkerConfig| channel::channel(config.commands, config.events, wake.clone());
        let sides = config.workers.iter().map(sides).collect::<Result<Vec<_>, _>>();
        let (ours, theirs): (Vec<_>, Vec<_>) = sides.map_err(system("eventfd"))?.into_iter().unzip();
        let channels: Arc<[Arc<Channel>]> = ours.iter().map(WorkerSide::shared).collect();
        // One moment for all: a session that moves keeps its times.
        let started = clock::now();
        let (ready, came) = mpsc::channel::<(usize, Ready)>();
        for (at, (sockets, channel)) in sockets.into_iter().zip(ours).enumerate() {
            let worker = &config.workers[at];
            let page = Arc::new(Page::default());
            let start = Start {
                core: core_config(&config, at),
                comfort_after: config.comfort_after,
                ports: setups[at].ports().collect(),
                started,
                peers: channels.clone(),
                pin: worker.core,
                buffers: config.buffers,
                backend,
                mode: config.mode,
                channel,
                page: page.clone(),
            };
            let ready = ready.clone();
            let thread = thread::Builder::new()
                .name(format!("baton-media-{at}"))
                .spawn(move || start.run(at, sockets, ready))
                .map_err(system("clone of a thread"))?;
            engine.workers.push(Handle {
                channel: channels[at].clone(),
                page,
                ports: (0..worker.pairs).map(|pair| worker.first_port + 2 * pair).collect(),
                backend,
                thread: Some(thread),
            });
        }
        drop(ready);
        let mut waiting: Vec<usize> = (0..engine.workers.len()).collect();
        while let Some(&first) = waiting.first() {
            // All senders gone: a thread has ended without a word.
            let (worker, result) = came.recv().map_err(|_| StartError::Worker { worker: first })?;
            let (backend, mode) = result?;
            engine.workers[worker].backend = backend;
            tracing::info!(
                worker,
                ?backend,
                ?mode,
                ports = engine.workers[worker].ports.len(),
                "media worker runs"
            );
            waiting.retain(|other| *other != worker);
        }
        engine.events = Events::new(theirs, wake);
        Ok(engine)
    }

    /// The coder states that all workers share.
    pub fn coders(&self) -> &Coders {
        &self.coders
    }

    /// How many workers there are.
    pub fn workers(&self) -> usize {
        self.workers.len()
    }

    /// The even ports that this worker has bound for RTP, rising; RTCP is on the odd port above each ([`Rtcp`]).
    ///
    /// # Panics
    /// Where there is no such worker.
    pub fn ports(&self, worker: usize) -> &[u16] {
        &self.workers[worker].ports
    }

    /// The way that this worker's packets take: [`Backend::Uring`] or [`Backend::Epoll`].
    ///
    /// # Panics
    /// Where there is no such worker.
    pub fn backend(&self, worker: usize) -> Backend {
        self.workers[worker].backend
    }

    /// Gives a command to a worker. Never waits for it.
    ///
    /// # Panics
    /// Where there is no such worker.
    #[expect(
        clippy::result_large_err,
        reason = "the command comes back as it was; a box would make each refusal allocate"
    )]
    pub fn send(&self, worker: usize, command: Command) -> Result<(), Full> {
        self.workers[worker].channel.send(command)
    }

    /// Has a session go to another worker, as it is, with its ports: nothing is lost, and no line shows it. Never waits; what comes of it is said by
    /// [`Event::Moved`](media::command::Event::Moved) of the worker `to`, and until then nobody may give either worker a command about the session.
    /// Then the worker `to` has it and its ports, and keeps the ports when it has ended. A worker has room for half as many legs as it has
    /// pairs of ports, and for eight at the least, beside its own.
    ///
    /// # Panics
    /// Where there is no such worker.
    pub fn move_session(&self, session: SessionId, from: usize, to: usize) -> Result<(), MoveError> {
        assert!(from < self.workers.len(), "there is no worker {from}");
        self.events.begin(session, from, to)
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
        let handle = &self.workers[worker];
        Snapshot {
            backend: handle.backend,
            commands_waiting: handle.channel.commands_waiting() as u64,
            events_waiting: self.events.waiting(worker) as u64,
            cpu_ns: self.processor_time(worker).map_or(0, |time| time.as_nanos() as u64),
            ..handle.page.read()
        }
    }

    /// How long the worker's thread was on a processor since its start: measured by the kernel, at no cost of the worker's. `None`: it has
    /// ended.
    ///
    /// # Panics
    /// Where there is no such worker.
    pub fn processor_time(&self, worker: usize) -> Option<Duration> {
        self.workers[worker].thread.as_ref().and_then(clock::processor_time)
    }

    /// Whether the worker's thread still runs. It ends only by [`Engine::stop`] or by a bug of ours; then the
    /// calls on it are gone, and the descriptor of [`Engine::events`] becomes readable.
    ///
    /// # Panics
    /// Where there is no such worker.
    pub fn is_running(&self, worker: usize) -> bool {
        !self.workers[worker].channel.has_ended()
    }

    /// Makes a worker that has nothing to do turn its loop once: one that does not count [`Snapshot::loops`] on soon after that is stuck.
    /// Never waits.
    ///
    /// # Panics
    /// Where there is no such worker.
    pub fn nudge(&self, worker: usize) {
        self.workers[worker].channel.nudge();
    }

    /// Ends all workers, closes their sockets and waits until that is done. Calls on them end without a word.
    pub fn stop(self) {
        drop(self);
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        for worker in &self.workers {
            worker.channel.stop();
        }
        for thread in self.workers.iter_mut().filter_map(|worker| worker.thread.take()) {
            // A worker that panicked has told so itself.
            let _ = thread.join();
        }
    }
}

fn setup(config: &EngineConfig, worker: &WorkerConfig) -> Setup {
    Setup {
        address: worker.address,
        first_port: worker.first_port,
        pairs: worker.pairs,
        rtcp: config.rtcp,
        queues: Queues {
            receive: config.receive_buffer,
            send: config.send_buffer,
        },
    }
}

/// Legs that a worker can have beside those of its own ports.
fn guests(config: &EngineConfig, worker: &WorkerConfig) -> u16 {
    match config.workers.len() {
        1 => 0,
        _ => (worker.pairs / 2).max(LEGS_PLACED_MAX as u16),
    }
}

fn core_config(config: &EngineConfig, at: usize) -> Config {
    let worker = &config.workers[at];
    Config {
        first_port: Port(worker.first_port),
        pairs: worker.pairs,
        guests: guests(config, worker),
        sessions: config.sessions_per_worker,
        pending: PENDING,
        prompts: config.prompts.clone(),
        coders: config.coders.clone(),
        cname: config.cname.clone(),
        // The golden ratio's bits keep the workers' seeds apart.
        seed: config.seed ^ (at as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15),
        silence: config.silence,
        added_latency: config.added_latency,
    }
}

/// What a worker's thread starts with.
struct Start {
    core: Config,
    comfort_after: Duration,
    ports: Vec<u16>,
    started: Instant,
    peers: Arc<[Arc<Channel>]>,
    pin: Option<usize>,
    buffers: u16,
    backend: Backend,
    mode: TaskRun,
    channel: WorkerSide,
    page: Arc<Page>,
}

impl Start {
    /// The whole life of the thread.
    fn run(self, at: usize, sockets: Vec<OwnedFd>, ready: mpsc::Sender<(usize, Ready)>) {
        // However the thread ends, the reader of the events learns of it.
        let _leaving = Leaving(self.channel.shared());
        let made = self.make(sockets);
        let mut worker = match made {
            Ok((worker, way)) => {
                let _ = ready.send((at, Ok(way)));
                worker
            }
            Err(error) => {
                let _ = ready.send((at, Err(error)));
                return;
            }
        };
        drop(ready);
        if let Err(error) = worker.run() {
            tracing::error!(worker = at, %error, "media worker ended: its way into the kernel failed; its calls are lost");
        }
    }

    fn make(self, sockets: Vec<OwnedFd>) -> Result<(Worker, (Backend, TaskRun)), StartError> {
        // Before any memory is taken: it then lies near the core.
        if let Some(core) = self.pin {
            affinity::pin(core)?;
        }
        priority::hurry();
        let (count, guests) = (sockets.len(), usize::from(self.core.guests) * 2);
        let table = Sockets::new(self.ports, guests);
        let room = count + guests;
        let net = Net::new(
            sockets,
            room,
            self.backend,
            self.buffers,
            self.mode,
            self.channel.shared(),
        )?;
        let way = (net.backend(), net.mode());
        let core = Core::new(self.core, self.started).with_comfort_after(self.comfort_after);
        Ok((
            Worker::new(core, net, self.channel, self.page, table, Moves::new(self.peers)),
            way,
        ))
    }
}

struct Leaving(Arc<Channel>);

impl Drop for Leaving {
    fn drop(&mut self) {
        self.0.end();
    }
}

#[cfg(test)]
#[path = "../tests/common/mod.rs"]
mod common;
#[cfg(test)]
mod tests;
