//! Whom the load goes through.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::SocketAddr;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};
use std::{fs, thread};

use baton_lab::bpf::Attached;
use baton_lab::cpu::Watched;
use baton_lab::lab::{Lab, OURS, THEIRS};
use serde_json::Value;

use crate::calls::Calls;
use crate::frame;
use crate::ng::{Leg, Rtpengine};
use crate::relay;

/// Where rtpengine listens, and where it is asked from.
const NG: (u16, u16) = (2223, 2222);

/// How long a subject may take to be there.
const START: Duration = Duration::from_secs(10);

/// How long Baton may take to end.
const END: Duration = Duration::from_secs(3);

/// Their names are those on the command line and in the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Subject {
    /// Debian's, in user space: its module of the kernel is not asked for.
    Rtpengine,
    /// Baton's workers on io_uring.
    BatonUring,
    /// The same on epoll.
    BatonEpoll,
    /// Sends back what comes, in the driver: the least that a packet can cost. It shows the load's own limit.
    Reflector,
}

pub(crate) const ALL: [Subject; 4] = [
    Subject::Rtpengine,
    Subject::BatonUring,
    Subject::BatonEpoll,
    Subject::Reflector,
];

impl Subject {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Subject::Rtpengine => "rtpengine",
            Subject::BatonUring => "baton-uring",
            Subject::BatonEpoll => "baton-epoll",
            Subject::Reflector => "reflector",
        }
    }

    pub(crate) fn read(name: &str) -> Result<Subject, String> {
        let found = ALL.into_iter().find(|subject| subject.name() == name);
        found.ok_or_else(|| format!("{name}: {}", ALL.map(Subject::name).join(", ")))
    }
}

/// One that runs. It ends with this value.
#[derive(Debug)]
pub(crate) struct Running {
    process: Option<Process>,
    _reflector: Option<Attached>,
    /// By the number of the stream: the port that its packets go to.
    pub(crate) ports: Vec<u16>,
}

#[derive(Debug)]
struct Process {
    child: Child,
    /// Of Baton: what it is asked by, and what it answers with.
    talk: Option<(ChildStdin, BufReader<ChildStdout>)>,
}

impl Running {
    /// Starts it with these calls. `options`: more words for Baton.
    ///
    /// # Errors
    /// Where it does not start.
    pub(crate) fn start(lab: &Lab, subject: Subject, calls: &Calls, options: &[String]) -> Result<Running, String> {
        match subject {
            Subject::Reflector => reflector(lab, calls),
            Subject::Rtpengine => rtpengine(lab, calls),
            Subject::BatonUring => baton(lab, "io_uring", calls, options),
            Subject::BatonEpoll => baton(lab, "epoll", calls, options),
        }
    }

    pub(crate) fn watched(&self, lab: &Lab) -> Watched {
        Watched {
            process: self.process.as_ref().map(|process| process.child.id()),
            receive: lab.receive_threads(),
        }
    }

    /// Memory of the process, without what it shares, KiB.
    pub(crate) fn memory_kib(&self) -> Option<u64> {
        let id = self.process.as_ref()?.child.id();
        let status = fs::read_to_string(format!("/proc/{id}/status")).ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:"))?;
        line.split_whitespace().next()?.parse().ok()
    }

    /// What Baton's worker has counted.
    pub(crate) fn counted(&mut self) -> Option<Value> {
        let (ask, answers) = self.process.as_mut()?.talk.as_mut()?;
        ask.write_all(b"\n").ok()?;
        answer(answers)
    }
}

fn answer(answers: &mut BufReader<ChildStdout>) -> Option<Value> {
    let mut line = String::new();
    answers.read_line(&mut line).ok()?;
    serde_json::from_str(&line).ok()
}

fn reflector(lab: &Lab, calls: &Calls) -> Result<Running, String> {
    let interface = lab.other_interface()?;
    let attached = lab
        .there(|| Attached::reflect(interface, frame::FIRST_PORT))
        .and_then(|attached| attached);
    let reflector = attached.map_err(|error| format!("the reflector: {error}"))?;
    lab.pin_receive_paths();
    Ok(Running {
        process: None,
        _reflector: Some(reflector),
        ports: (0..2 * calls.all()).map(relay::port).collect(),
    })
}

fn baton(lab: &Lab, io: &str, calls: &Calls, options: &[String]) -> Result<Running, String> {
    let program = std::env::current_exe().map_err(|error| format!("this program: {error}"))?;
    let mut command = Command::new(program);
    command
        .args(["relay", "--io", io])
        .args(calls.words())
        .args(["--core", &lab.subject_core().to_string()])
        .args(options)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped());
    let mut child = spawn(lab, &mut command, "relay")?;
    let talk = child.stdin.take().zip(child.stdout.take().map(BufReader::new));
    let mut process = Process { child, talk };
    let ready = process.talk.as_mut().and_then(|(_, answers)| answer(answers));
    if ready.is_none() {
        return Err("Baton's data plane did not start; what it said is above".to_owned());
    }
    Ok(Running {
        process: Some(process),
        _reflector: None,
        ports: (0..2 * calls.all()).map(relay::port).collect(),
    })
}

fn rtpengine(lab: &Lab, calls: &Calls) -> Result<Running, String> {
    let (theirs, ours) = NG;
    let mut command = Command::new("rtpengine");
    command
        .args(["--config-file=none", "--foreground", "--table=-1", "--num-threads=1"])
        .args(["--log-stderr", "--log-level=3", "--port-min=10000", "--port-max=60000"])
        .arg(format!("--interface={THEIRS}"))
        .arg(format!("--listen-ng={THEIRS}:{theirs}"))
        .stdin(Stdio::null())
        .stdout(Stdio::null());
    let child = spawn(
        lab,
        &mut command,
        "rtpengine: `cargo xtask compare rtpengine` installs it",
    )?;
    let process = Process { child, talk: None };
    let mut engine = Rtpengine::new(SocketAddr::from((OURS, ours)), SocketAddr::from((THEIRS, theirs)))?;
    let begin = Instant::now();
    while !engine.is_there() {
        if begin.elapsed() > START {
            return Err("rtpengine does not answer; what it said is above".to_owned());
        }
        thread::sleep(Duration::from_millis(20));
    }
    let mut ports = Vec::with_capacity(2 * calls.all());
    for call in 0..calls.all() {
        let legs = [0, 1].map(|leg| Leg {
            ip: OURS,
            port: frame::port(2 * call + leg),
            codec: calls.codecs(call)[leg],
        });
        ports.extend(engine.bridge(call, legs, calls.effort())?);
    }
    Ok(Running {
        process: Some(process),
        _reflector: None,
        ports,
    })
}

fn spawn(lab: &Lab, command: &mut Command, what: &str) -> Result<Child, String> {
    lab.place(command)
        .and_then(|()| command.spawn())
        .map_err(|error| format!("{what}: {error}"))
}

impl Drop for Process {
    fn drop(&mut self) {
        // Baton ends with its standard input, in good order: its ports are free then.
        if self.talk.take().is_some() {
            let begin = Instant::now();
            while begin.elapsed() < END && matches!(self.child.try_wait(), Ok(None)) {
                thread::sleep(Duration::from_millis(2));
            }
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
