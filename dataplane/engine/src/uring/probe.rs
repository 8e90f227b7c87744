//! What the kernel can do for us, and what to do where it cannot.

use std::net::{Ipv4Addr, UdpSocket};
use std::sync::Arc;
use std::time::Duration;
use std::{fs, io, mem, panic, thread};

use io_uring::opcode;

use crate::channel::{self, Wake};
use crate::config::{Backend, EngineConfig, Rtcp, StartError, TaskRun};
use crate::net::{Completion, Net};
use crate::uring::ring::Ring;
use crate::{affinity, clock};

/// The oldest kernel with multishot `recvmsg` (6.0), and with `send` to an address.
const OLDEST: (u32, u32) = (6, 1);

/// What says which way packets take.
const WAY: &str = "way of packets";

/// Descriptors beside the media sockets: rings, eventfds, signalling, HTTP, store.
const OTHER_FILES: u64 = 256;

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// What was looked at.
    pub what: &'static str,
    /// Whether an engine can start with it.
    pub ok: bool,
    /// What was found.
    pub found: String,
    /// What to do where it is not ok; advice where it is.
    pub remedy: Option<String>,
}

/// Everything that was looked at.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Probe {
    /// Each with its remedy.
    pub findings: Vec<Finding>,
}

impl Probe {
    /// Whether an engine can start.
    pub fn ok(&self) -> bool {
        self.findings.iter().all(|finding| finding.ok)
    }
}

/// Asks the kernel, for a node of this many pairs of ports (one pair for each leg), RTCP and the way that is wished for its packets. It
/// binds one port of loopback for a moment and leaves nothing behind.
pub fn probe(pairs: usize, rtcp: Rtcp, backend: Backend) -> Probe {
    aside(|| {
        let mut findings = way(backend);
        if backend != Backend::Epoll {
            findings.push(locked());
        }
        findings.extend([files(pairs, rtcp), queues(), cores()]);
        Probe { findings }
    })
}

/// Which way packets will take. Where there is no io_uring and it need not be, the first reason is enough, and no error.
fn way(backend: Backend) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut found = "as is wished";
    if backend != Backend::Epoll {
        findings = vec![
            kernel(),
            permission(),
            operations(),
            task_run(),
            receive(Backend::Uring),
        ];
        let missing = findings.iter().position(|finding| !finding.ok);
        match missing.filter(|_| backend == Backend::Auto) {
            Some(missing) => {
                let first = findings.swap_remove(missing);
                findings = vec![Finding { ok: true, ..first }];
                found = "as there is no io_uring: near full load it takes more of a core";
            }
            None => {
                findings.push(Finding {
                    what: WAY,
                    ok: missing.is_none(),
                    found: "io_uring".to_owned(),
                    remedy: None,
                });
                return findings;
            }
        }
    }
    let works = receive(Backend::Epoll);
    findings.push(Finding {
        what: WAY,
        found: format!("epoll, {found}"),
        ..works
    });
    findings
}

/// Does it in a thread of its own. A thread that has made a ring is interrupted once more when the kernel clears the ring
/// away, some time after it was closed: a call that it then waits in may end with EINTR. That must not be the caller's.
fn aside<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    let done = thread::scope(|scope| scope.spawn(work).join());
    done.unwrap_or_else(|panic| panic::resume_unwind(panic))
}

fn finding(what: &'static str, result: Result<String, StartError>) -> Finding {
    match result {
        Ok(found) => Finding {
            what,
            ok: true,
            found,
            remedy: None,
        },
        Err(error) => Finding {
            what,
            ok: false,
            found: "no".to_owned(),
            remedy: Some(error.to_string()),
        },
    }
}

fn kernel() -> Finding {
    let result = require_version().map(|()| release());
    Finding {
        found: release(),
        ..finding("kernel", result)
    }
}

fn permission() -> Finding {
    finding(
        "io_uring",
        Ring::new(8, 16, TaskRun::Coop).map(|_| format!("allowed ({})", sysctl())),
    )
}

fn operations() -> Finding {
    finding(
        "io_uring operations",
        require_operations().map(|()| "all that are needed".to_owned()),
    )
}

fn task_run() -> Finding {
    let result = Ring::new(8, 16, TaskRun::Auto).map(|ring| match ring.mode() {
        TaskRun::Defer => "SINGLE_ISSUER and DEFER_TASKRUN".to_owned(),
        _ => "COOP_TASKRUN (DEFER_TASKRUN needs Linux 6.1)".to_owned(),
    });
    finding("io_uring task run", result)
}

fn receive(backend: Backend) -> Finding {
    let result = trial(backend).map(|()| "a packet came through it".to_owned());
    finding("multishot receive into provided buffers", result)
}

fn files(pairs: usize, rtcp: Rtcp) -> Finding {
    let (soft, hard) = limit(libc::RLIMIT_NOFILE);
    let each = rtcp.sockets() as u64;
    let needed = pairs as u64 * each + OTHER_FILES;
    let legs = hard.saturating_sub(OTHER_FILES) / each;
    let sockets = if each == 1 { "1 socket" } else { "2 sockets" };
    let ok = needed <= hard;
    let remedy = StartError::FileLimit { needed, limit: hard };
    Finding {
        what: "file descriptors",
        ok,
        found: format!(
            "{soft} (can be raised to {hard}): enough for {legs} legs of {sockets} each; {pairs} are configured"
        ),
        remedy: (!ok).then(|| remedy.to_string()),
    }
}

fn locked() -> Finding {
    let (soft, _) = limit(libc::RLIMIT_MEMLOCK);
    // Newer kernels (6.14) count a ring's own memory again: about 1 MiB for 10,000 sockets.
    let low = soft < 8 << 20;
    Finding {
        what: "locked memory",
        ok: true,
        found: if soft == libc::RLIM_INFINITY {
            "unlimited".to_owned()
        } else {
            format!("{soft} bytes")
        },
        remedy: low
            .then(|| "8 MiB or more are safe on every kernel: LimitMEMLOCK=infinity in the systemd unit".to_owned()),
    }
}

fn queues() -> Finding {
    let wanted = EngineConfig::default().receive_buffer;
    let max = |name: &str| {
        let text = fs::read_to_string(format!("/proc/sys/net/core/{name}")).unwrap_or_default();
        text.trim().parse::<usize>().ok()
    };
    let (receive, send) = (max("rmem_max"), max("wmem_max"));
    let text = |value: Option<usize>| value.map_or("unknown".to_owned(), |value| value.to_string());
    let low = [receive, send].into_iter().flatten().any(|max| max < wanted);
    Finding {
        what: "socket buffers",
        ok: true,
        found: format!(
            "net.core.rmem_max = {}, net.core.wmem_max = {}",
            text(receive),
            text(send)
        ),
        remedy: low.then(|| {
            format!(
                "sysctl -w net.core.rmem_max={wanted} net.core.wmem_max={wanted}: a stall of the host then loses less"
            )
        }),
    }
}

fn cores() -> Finding {
    let available = affinity::available();
    Finding {
        what: "cores",
        ok: !available.is_empty(),
        found: format!("{available:?}"),
        remedy: available
            .is_empty()
            .then(|| "the affinity of the process could not be read (sched_getaffinity)".to_owned()),
    }
}

/// What must be there before anything is bound.
pub(crate) fn require() -> Result<(), StartError> {
    require_version()?;
    aside(require_operations)
}

/// Makes room for this many sockets and rings: raises the soft limit of file descriptors where the hard one allows it.
pub(crate) fn require_files(needed: usize) -> Result<(), StartError> {
    let open = fs::read_dir("/proc/self/fd").map_or(0, Iterator::count);
    let needed = (needed + open) as u64;
    let (soft, hard) = limit(libc::RLIMIT_NOFILE);
    if needed + OTHER_FILES <= soft {
        return Ok(());
    }
    if needed > hard {
        return Err(StartError::FileLimit { needed, limit: hard });
    }
    let raised = libc::rlimit {
        rlim_cur: hard,
        rlim_max: hard,
    };
    // SAFETY: `raised` is readable for the length of the call.
    if unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raised) } < 0 {
        return Err(StartError::System {
            what: "setrlimit(RLIMIT_NOFILE)",
            source: io::Error::last_os_error(),
        });
    }
    tracing::info!(from = soft, to = hard, "raised the limit of file descriptors");
    Ok(())
}

/// Says why io_uring_setup(2) failed.
pub(crate) fn explain_setup(error: io::Error, bytes: usize) -> StartError {
    match error.raw_os_error() {
        Some(libc::EPERM | libc::EACCES) => StartError::Forbidden {
            found: sysctl(),
            remedy: "set the sysctl kernel.io_uring_disabled=0 (or 1, with the process in the group of \
                     kernel.io_uring_group); in a container allow io_uring_setup, io_uring_enter and io_uring_register \
                     in the seccomp profile",
        },
        Some(libc::ENOSYS) => StartError::Forbidden {
            found: format!("kernel {} does not know the call", release()),
            remedy: "in a container allow io_uring_setup, io_uring_enter and io_uring_register in the seccomp profile; \
                     on a kernel of your own set CONFIG_IO_URING",
        },
        Some(libc::ENOMEM) => StartError::Memory { bytes },
        Some(libc::EINVAL) => StartError::Kernel {
            found: release(),
            missing: "run completions in this mode",
        },
        _ => StartError::System {
            what: "io_uring_setup",
            source: error,
        },
    }
}

/// Says why the ring of buffers could not be registered.
pub(crate) fn explain_buffers(error: io::Error, bytes: usize) -> StartError {
    match error.raw_os_error() {
        Some(libc::ENOMEM) => StartError::Memory { bytes },
        Some(libc::EINVAL) => StartError::Kernel {
            found: release(),
            missing: "take a ring of provided buffers",
        },
        _ => StartError::System {
            what: "io_uring_register of the buffers",
            source: error,
        },
    }
}

fn require_version() -> Result<(), StartError> {
    let found = release();
    // A release that cannot be read is no reason to refuse: the trial says more.
    if version(&found).is_some_and(|version| version < OLDEST) {
        let missing = "receive many packets with one request";
        return Err(StartError::Kernel { found, missing });
    }
    Ok(())
}

fn require_operations() -> Result<(), StartError> {
    let ring = Ring::new(8, 16, TaskRun::Coop)?;
    let missing = |missing: &'static str| {
        let found = release();
        Err(StartError::Kernel { found, missing })
    };
    let features = ring.features();
    if !features.is_feature_nodrop() {
        return missing("keep completions that find their queue full");
    }
    if !features.is_feature_ext_arg() {
        return missing("wait for completions with a time-out");
    }
    let mut operations = io_uring::Probe::new();
    let registered = ring.submitter().register_probe(&mut operations);
    registered.map_err(|source| StartError::System {
        what: "io_uring_register of a probe",
        source,
    })?;
    for (code, what) in [
        (opcode::RecvMsgMulti::CODE, "recvmsg through io_uring"),
        (opcode::Recv::CODE, "recv through io_uring"),
        (opcode::Send::CODE, "send through io_uring"),
        (opcode::Read::CODE, "read through io_uring"),
        (opcode::AsyncCancel2::CODE, "cancel requests of io_uring"),
    ] {
        if !operations.is_supported(code) {
            return missing(what);
        }
    }
    Ok(())
}

/// Sends a packet to ourselves over loopback through everything that a worker uses.
fn trial(backend: Backend) -> Result<(), StartError> {
    let system = |what: &'static str| move |source: io::Error| StartError::System { what, source };
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).map_err(system("bind"))?;
    let to = socket.local_addr().map_err(system("getsockname"))?;
    let wake = Arc::new(Wake::new(false).map_err(system("eventfd"))?);
    let (channel, _) = channel::channel(1, 1, wake).map_err(system("eventfd"))?;
    let mut net = Net::new(vec![socket.into()], 1, backend, 2, TaskRun::Auto, channel.shared())?;
    let start = clock::now();
    let mut now = start;
    let spare = net.take_spare();
    if let Some(buffer) = spare {
        net.send(0, to, buffer, 12);
    }
    while now.duration_since(start) < Duration::from_secs(1) {
        net.enter(now, Some(Duration::from_millis(100)))
            .map_err(system("a wait for packets"))?;
        now = clock::now();
        while let Some(completion) = net.next(now) {
            if let Completion::Received(packet) = completion {
                let came = packet.len == 12 && packet.from == to;
                net.recycle(packet.buffer);
                if came {
                    return Ok(());
                }
            }
        }
    }
    Err(StartError::Kernel {
        found: release(),
        missing: "receive a packet of loopback",
    })
}

fn release() -> String {
    let text = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    text.trim().to_owned()
}

fn version(release: &str) -> Option<(u32, u32)> {
    let mut numbers = release.split(|c: char| !c.is_ascii_digit());
    let mut number = || numbers.next()?.parse().ok();
    Some((number()?, number()?))
}

fn sysctl() -> String {
    match fs::read_to_string("/proc/sys/kernel/io_uring_disabled") {
        Ok(value) => format!("kernel.io_uring_disabled = {}", value.trim()),
        Err(_) => "no sysctl kernel.io_uring_disabled".to_owned(),
    }
}

/// Soft and hard.
fn limit(resource: libc::__rlimit_resource_t) -> (u64, u64) {
    // SAFETY: all bits zero is a valid `rlimit`.
    let mut limit: libc::rlimit = unsafe { mem::zeroed() };
    // SAFETY: `limit` is writable for the length of the call.
    if unsafe { libc::getrlimit(resource, &mut limit) } < 0 {
        return (u64::MAX, u64::MAX);
    }
    (limit.rlim_cur, limit.rlim_max)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn releases_are_compared_as_numbers() {
        assert_eq!(version("6.1.0-44-amd64"), Some((6, 1)));
        assert_eq!(version("5.19.17"), Some((5, 19)));
        assert_eq!(version("6.18.44-fc"), Some((6, 18)));
        assert!(version("5.19.17") < Some(OLDEST));
        assert!(version("6.0.1") < Some(OLDEST));
        assert!(version("6.1.0") >= Some(OLDEST));
        assert_eq!(version("unknown"), None);
    }

    #[test]
    fn too_few_descriptors_are_found_with_their_remedy() {
        let found = files(usize::MAX / 4, Rtcp::Pair);
        assert!(!found.ok);
        assert!(found.remedy.is_some_and(|remedy| remedy.contains("LimitNOFILE=")));
        assert!(files(1, Rtcp::Pair).ok);
        let (_, hard) = limit(libc::RLIMIT_NOFILE);
        let legs = (hard - OTHER_FILES) as usize;
        assert!(!files(legs, Rtcp::Pair).ok && files(legs, Rtcp::Mux).ok);
    }

    #[test]
    fn each_refusal_of_the_kernel_has_its_remedy() {
        let explain = |code| explain_setup(io::Error::from_raw_os_error(code), 1).to_string();
        assert!(explain(libc::EPERM).contains("kernel.io_uring_disabled=0"));
        assert!(explain(libc::ENOSYS).contains("seccomp"));
        assert!(explain(libc::ENOMEM).contains("LimitMEMLOCK="));
        assert!(explain(libc::EINVAL).contains("Linux 6.1"));
    }
}
