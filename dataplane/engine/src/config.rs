//! What an engine is started with, and why a start can fail.

use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use media::coders::Coders;
use media::command::SILENT_AFTER;
use media::core::{ADDED_LATENCY, SILENCE};
use media::prompt::Prompts;

/// What [`Engine::start`](crate::Engine::start) is given.
#[derive(Clone, Debug)]
pub struct EngineConfig {
    /// One thread each. Their ranges of ports must not overlap on one address.
    pub workers: Vec<WorkerConfig>,
    /// Sessions that each worker can hold at the most.
    pub sessions_per_worker: usize,
    /// Receive buffers of each worker: a power of two, 2 to 32,768, of [`BUFFER_BYTES`] each. epoll needs none of them: it has
    /// 256 in all.
    pub buffers: u16,
    /// Commands that may wait for a worker before [`Engine::send`](crate::Engine::send) answers [`Full`](crate::Full).
    pub commands: usize,
    /// Events of one worker that may wait to be read. When they are full, further ones wait in the core's mailboxes.
    pub events: usize,
    /// `SO_RCVBUF` of each socket, bytes. The kernel doubles it for its bookkeeping and caps it at
    /// `net.core.rmem_max`; 256 KiB hold more than 300 packets, 6 s of one call.
    pub receive_buffer: usize,
    /// `SO_SNDBUF` of each socket, bytes, with the same doubling and `net.core.wmem_max`.
    pub send_buffer: usize,
    /// Everything that can be played.
    pub prompts: Arc<Prompts>,
    /// States for codecs with a memory, for all workers.
    pub coders: Arc<Coders>,
    /// Canonical name in RTCP SDES (RFC 3550 §6.5.1).
    pub cname: String,
    /// SSRCs, first sequence numbers and timestamps come from it. Each worker derives its own.
    pub seed: u64,
    /// A leg that should send and has not for so long is told to be silent.
    pub silence: Duration,
    /// The most that a packet may wait in the jitter buffer of a mix.
    pub added_latency: Duration,
    /// A row whose leg has been silent for so long gets comfort noise.
    pub comfort_after: Duration,
    /// Where RTCP is received.
    pub rtcp: Rtcp,
    /// How long a start waits for a port that somebody has: the kernel takes 30 to 60 ms from the end of a killed process that used
    /// io_uring until its sockets are closed.
    pub port_patience: Duration,
    /// The way into the kernel.
    pub backend: Backend,
    /// How completions of io_uring reach the worker.
    pub mode: TaskRun,
}

/// Bytes of one packet buffer: the kernel's header of a received message, then the packet with room to grow.
pub const BUFFER_BYTES: usize = 2048;

impl Default for EngineConfig {
    /// No worker yet; everything else as it should be for a node of some thousand calls.
    fn default() -> EngineConfig {
        EngineConfig {
            workers: Vec::new(),
            sessions_per_worker: 1024,
            buffers: 1024,
            commands: 1024,
            events: 1024,
            receive_buffer: 256 * 1024,
            send_buffer: 256 * 1024,
            prompts: Arc::default(),
            cname: "baton".to_owned(),
            coders: Arc::default(),
            seed: 0,
            silence: SILENCE,
            added_latency: ADDED_LATENCY,
            comfort_after: SILENT_AFTER,
            rtcp: Rtcp::Pair,
            port_patience: Duration::ZERO,
            backend: Backend::Auto,
            mode: TaskRun::Auto,
        }
    }
}

/// One worker: a thread, its core and its ports.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WorkerConfig {
    /// The core that it is pinned to, as the kernel numbers them; `None`: not pinned.
    pub core: Option<usize>,
    /// The address that its sockets are bound to. `::` is every address of both families; any other one serves its own
    /// family only.
    pub address: IpAddr,
    /// The lowest RTP port: even, and not 0.
    pub first_port: u16,
    /// How many pairs of ports: RTP on the even port, RTCP on the odd one above ([`Rtcp`]).
    pub pairs: u16,
}

impl WorkerConfig {
    /// How many ports that takes.
    fn ports(&self) -> usize {
        usize::from(self.pairs) * 2
    }

    /// How many sockets that makes.
    pub(crate) fn sockets(&self, rtcp: Rtcp) -> usize {
        usize::from(self.pairs) * rtcp.sockets()
    }
}

/// Where a leg's RTCP is received.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Rtcp {
    /// On the odd port above that of its RTP (RFC 3550 §11), and on the same port from a peer that does so (RFC 5761): two sockets for each leg.
    #[default]
    Pair,
    /// On the port of its RTP only (RFC 5761): one socket for each leg. The odd ports are not bound, and RTCP that would leave from one is not sent.
    Mux,
}

impl Rtcp {
    /// Sockets of a leg.
    pub fn sockets(self) -> usize {
        match self {
            Rtcp::Pair => 2,
            Rtcp::Mux => 1,
        }
    }
}

/// The way of packets into the kernel and out of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Backend {
    /// `Uring`, and where io_uring is forbidden, too old or has no memory, `Epoll` with a warning that says why.
    #[default]
    Auto,
    /// io_uring, or no start.
    Uring,
    /// epoll, with a system call for each packet that comes and for each that goes.
    Epoll,
}

/// How completions reach the worker. Both need no interrupt of the worker by the kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum TaskRun {
    /// `Defer` where the kernel has it (6.1), otherwise `Coop`.
    #[default]
    Auto,
    /// `IORING_SETUP_DEFER_TASKRUN`: completions are made only while the worker waits in the kernel.
    Defer,
    /// `IORING_SETUP_COOP_TASKRUN`: completions are made at any return from the kernel.
    Coop,
}

/// Why an engine does not start. Each says what to do about it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The configuration contradicts itself.
    #[error("the engine's configuration is wrong: {0}")]
    Config(String),
    /// io_uring is there but forbidden to us.
    #[error("io_uring is forbidden here ({found}): {remedy}")]
    Forbidden {
        /// What forbids it.
        found: String,
        /// What to do.
        remedy: &'static str,
    },
    /// The kernel is too old.
    #[error("the kernel {found} cannot {missing}: for io_uring Baton needs Linux 6.1 or newer")]
    Kernel {
        /// Its release.
        found: String,
        /// What it lacks.
        missing: &'static str,
    },
    /// Not enough file descriptors for the sockets.
    #[error(
        "{needed} file descriptors are needed (one for each media socket), the hard limit is {limit}: raise it \
         (LimitNOFILE={needed} in the systemd unit, or `ulimit -Hn {needed}` as root), or configure fewer ports, or media.rtcp = \"mux\""
    )]
    FileLimit {
        /// How many.
        needed: u64,
        /// `RLIMIT_NOFILE`, hard.
        limit: u64,
    },
    /// Somebody has the port.
    #[error(
        "UDP port {port} of {address} is taken (`ss -ulpn sport = :{port}` says by whom): stop that, or choose \
         another range of media ports, outside net.ipv4.ip_local_port_range"
    )]
    PortTaken {
        /// The address.
        address: IpAddr,
        /// The port.
        port: u16,
    },
    /// The port is a privileged one.
    #[error("UDP port {port} may not be bound: choose ports from 1024 up, or give CAP_NET_BIND_SERVICE to the process")]
    PortForbidden {
        /// The port.
        port: u16,
    },
    /// The address is not one of this host.
    #[error("{address} is not an address of this host (`ip address` lists them)")]
    Address {
        /// The address.
        address: IpAddr,
    },
    /// A socket could not be made or set up.
    #[error("{what} failed for UDP port {port}: {source}")]
    Socket {
        /// Which call.
        what: &'static str,
        /// The port.
        port: u16,
        /// The kernel's answer.
        source: io::Error,
    },
    /// The kernel has no memory for the ring.
    #[error(
        "no memory for the ring ({bytes} bytes are locked): raise RLIMIT_MEMLOCK (LimitMEMLOCK= in the systemd unit, \
         `ulimit -l`), give CAP_IPC_LOCK, or configure fewer buffers"
    )]
    Memory {
        /// What was asked for.
        bytes: usize,
    },
    /// The core cannot be used.
    #[error("core {core} cannot be used by this process; it may use {available:?} (taskset, cpuset of the container)")]
    Core {
        /// Which one.
        core: usize,
        /// Those that can be used.
        available: Vec<usize>,
    },
    /// Another call to the kernel failed.
    #[error("{what} failed: {source}")]
    System {
        /// Which call.
        what: &'static str,
        /// The kernel's answer.
        source: io::Error,
    },
    /// A worker ended before it was ready: a bug of ours, its message is on standard error.
    #[error("worker {worker} ended while it started")]
    Worker {
        /// Which one.
        worker: usize,
    },
}

impl EngineConfig {
    /// Everything that can be said without the kernel.
    pub(crate) fn check(&self) -> Result<(), StartError> {
        let wrong = |why: String| Err(StartError::Config(why));
        if self.workers.is_empty() {
            return wrong("no worker".to_owned());
        }
        if !self.buffers.is_power_of_two() || !(2..=32_768).contains(&self.buffers) {
            return wrong(format!("{} buffers: not a power of two from 2 to 32768", self.buffers));
        }
        if self.sessions_per_worker == 0 || self.commands == 0 || self.events == 0 {
            return wrong("sessions_per_worker, commands and events must be at least 1".to_owned());
        }
        for (at, worker) in self.workers.iter().enumerate() {
            if worker.first_port == 0 || !worker.first_port.is_multiple_of(2) {
                return wrong(format!(
                    "worker {at}: first_port {} is not an even port",
                    worker.first_port
                ));
            }
            if worker.pairs == 0 {
                return wrong(format!("worker {at} has no ports"));
            }
            if usize::from(worker.first_port) + worker.ports() > 65_536 {
                return wrong(format!("worker {at}: its ports go beyond 65535"));
            }
            let range = |worker: &WorkerConfig| {
                let first = usize::from(worker.first_port);
                first..first + worker.ports()
            };
            let mine = range(worker);
            let clash = self.workers[..at].iter().position(|other| {
                let theirs = range(other);
                other.address == worker.address && mine.start < theirs.end && theirs.start < mine.end
            });
            if let Some(other) = clash {
                return wrong(format!("the ports of workers {other} and {at} overlap"));
            }
        }
        Ok(())
    }
}
