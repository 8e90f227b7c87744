//! sipp: one process is one party of one call.
//!
//! Its scenario writes facts into its log (`<log message="up …"/>`), one a line, and goes on at our word where it waits
//! for one: [`Sipp::tell`] sends it a request with the Call-ID of its call, which is all by which sipp knows whose a
//! message is. So a scenario needs no pause that hopes to be long enough.

use std::io::Write as _;
use std::net::{IpAddr, SocketAddr, TcpStream, UdpSocket};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::PATIENCE;
use crate::child::{Program, tail};

/// What carries its SIP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Transport {
    Udp,
    Tcp,
}

impl Transport {
    /// What a URI ends with where it says so.
    pub(crate) fn parameter(self) -> &'static str {
        match self {
            Transport::Udp => "",
            Transport::Tcp => ";transport=tcp",
        }
    }
}

/// A running sipp.
pub(crate) struct Sipp {
    program: Program,
    name: &'static str,
    folder: PathBuf,
    transport: Transport,
    /// Where it receives SIP.
    pub(crate) at: SocketAddr,
    /// Of its call, once it is known.
    call_id: String,
    facts_read: usize,
    told: u32,
    cues: Option<TcpStream>,
}

/// What a sipp is started with.
pub(crate) struct Start<'a> {
    /// The party's name.
    pub(crate) name: &'static str,
    /// The file in `scenarios/`, without its ending.
    pub(crate) scenario: &'a str,
    /// Where it calls, if it is the one who calls.
    pub(crate) calls: Option<SocketAddr>,
    pub(crate) at: SocketAddr,
    /// Of its own, for commands that we do not use; it would else search one among those of other tests.
    pub(crate) control_port: u16,
    /// The first of four, for audio and video of its own, which we do not use either. It insists on them, and all that run on a
    /// host would look for theirs among the same hundred.
    pub(crate) echo_port: u16,
    /// Where its audio is received.
    pub(crate) audio: SocketAddr,
    pub(crate) transport: Transport,
    /// What the scenario calls `@name@`. sipp has keywords for that too, but none may be a response's status.
    pub(crate) values: &'a [(&'static str, &'a str)],
}

impl Sipp {
    pub(crate) fn start(folder: &Path, start: &Start<'_>) -> Sipp {
        let scenario = folder.join(format!("{}.xml", start.name));
        let mut text = read(&format!("{}.xml", start.scenario));
        for (name, value) in start.values {
            text = text.replace(&format!("@{name}@"), value);
        }
        assert!(
            !text.contains("<include"),
            "{}: what it includes is not understood",
            start.scenario
        );
        std::fs::write(&scenario, text).expect("a file in our folder");
        let file = |kind: &str| folder.join(format!("{}.{kind}", start.name)).display().to_string();
        let call_id = format!("{}-{}", start.name, start.at.port());
        let mut words: Vec<String> = Vec::new();
        let mut add = |more: &[&str]| words.extend(more.iter().map(|word| (*word).to_owned()));
        if let Some(to) = start.calls {
            add(&[&to.to_string(), "-cid_str", &call_id]);
        }
        add(&["-sf", &scenario.display().to_string()]);
        add(&[
            "-t",
            match start.transport {
                Transport::Udp => "u1",
                Transport::Tcp => "t1",
            },
        ]);
        add(&["-i", &start.at.ip().to_string(), "-bind_local"]);
        add(&["-p", &start.at.port().to_string()]);
        add(&["-cp", &start.control_port.to_string()]);
        add(&["-mp", &start.echo_port.to_string()]);
        add(&["-key", "audio_ip", &start.audio.ip().to_string()]);
        add(&["-key", "audio_port", &start.audio.port().to_string()]);
        add(&["-m", "1", "-nostdin", "-deadcall_wait", "0"]);
        // The last resort, should the test itself be stuck.
        add(&["-timeout", "100s", "-timeout_error"]);
        add(&["-trace_logs", "-log_file", &file("facts")]);
        add(&["-trace_err", "-error_file", &file("errors")]);
        add(&["-trace_msg", "-message_file", &file("messages")]);
        let mut sipp = Sipp {
            program: Program::start(start.name, "sipp", words, folder),
            name: start.name,
            folder: folder.to_owned(),
            transport: start.transport,
            at: start.at,
            call_id,
            facts_read: 0,
            told: 0,
            cues: None,
        };
        if start.calls.is_none() {
            sipp.listens();
        }
        sipp
    }

    /// Waits until it can be called.
    fn listens(&mut self) {
        let table = match self.transport {
            Transport::Udp => "/proc/net/udp",
            Transport::Tcp => "/proc/net/tcp",
        };
        // proc_net(5): address and port in hexadecimal, the address in the host's order.
        let IpAddr::V4(ip) = self.at.ip() else {
            panic!("{} is no IPv4 address", self.at)
        };
        let entry = format!(": {:08X}:{:04X} ", u32::from_le_bytes(ip.octets()), self.at.port());
        let end = Instant::now() + PATIENCE;
        while !std::fs::read_to_string(table).is_ok_and(|text| text.contains(&entry)) {
            self.program.assert_running();
            assert!(
                Instant::now() < end,
                "{} does not listen: {}",
                self.name,
                self.program.said()
            );
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Waits for the next fact that begins so, past others; its words after that.
    pub(crate) fn until(&mut self, wanted: &str) -> Vec<String> {
        let end = Instant::now() + PATIENCE;
        loop {
            let facts = self.facts();
            while let Some(fact) = facts.get(self.facts_read) {
                self.facts_read += 1;
                let mut words = fact.split_whitespace().map(str::to_owned);
                if words.next().as_deref() == Some(wanted) {
                    let words: Vec<String> = words.collect();
                    if wanted == "invited" {
                        self.call_id.clone_from(&words[0]);
                    }
                    return words;
                }
            }
            assert!(Instant::now() < end, "{}: never {wanted:?}, only {facts:?}", self.name);
            if !facts.iter().any(|fact| fact.starts_with(wanted)) {
                self.program.assert_running();
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// All facts so far. A line that is not whole yet is none.
    pub(crate) fn facts(&self) -> Vec<String> {
        let text = std::fs::read_to_string(self.file("facts")).unwrap_or_default();
        let whole = text.rfind('\n').map_or("", |end| &text[..end]);
        whole.lines().map(str::to_owned).collect()
    }

    /// Gives the scenario its cue: a request with this method, that nobody answers.
    pub(crate) fn tell(&mut self, method: &str) {
        self.told += 1;
        let message = format!(
            "{method} sip:{at} SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1:9;branch=z9hG4bKcue{n}\r\n\
             From: <sip:test@127.0.0.1>;tag=test\r\nTo: <sip:{at}>\r\nCall-ID: {call}\r\nCSeq: {n} {method}\r\n\
             Content-Length: 0\r\n\r\n",
            at = self.at,
            call = self.call_id,
            n = self.told,
        );
        match self.transport {
            Transport::Udp => {
                let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
                socket.send_to(message.as_bytes(), self.at).expect("sent");
            }
            Transport::Tcp => {
                // One connection for all cues: sipp ends the calls of one that is closed.
                let at = self.at;
                let cues = self
                    .cues
                    .get_or_insert_with(|| TcpStream::connect(at).expect("sipp listens"));
                cues.write_all(message.as_bytes()).expect("sent");
            }
        }
    }

    /// Waits for its end: its scenario must have gone to its last line.
    pub(crate) fn finish(&mut self) {
        let status = self.program.wait(PATIENCE);
        assert!(
            status.success(),
            "{} did not end as its scenario says ({status}): {}",
            self.name,
            self.complaints()
        );
    }

    fn file(&self, kind: &str) -> PathBuf {
        self.folder.join(format!("{}.{kind}", self.name))
    }

    /// What it says about itself, and its messages.
    pub(crate) fn complaints(&self) -> String {
        ["facts", "errors", "messages"]
            .map(|kind| format!("--- {}: {kind}\n{}\n", self.name, tail(&self.file(kind))))
            .concat()
    }
}

/// A scenario, with `<include file="…" name="value"/>` replaced by that file, where `@name@` is replaced by the value: sipp
/// has no such thing, and its scenarios repeat themselves.
fn read(name: &str) -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/interop/scenarios");
    let text = std::fs::read_to_string(folder.join(name)).unwrap_or_else(|error| panic!("{name}: {error}"));
    let included = |line: &str| {
        let attributes = line.trim().strip_prefix("<include file=\"")?.strip_suffix("\"/>")?;
        let mut attributes = attributes.split("\" ");
        let mut text = read(attributes.next()?);
        for attribute in attributes {
            let (name, value) = attribute.split_once("=\"")?;
            text = text.replace(&format!("@{name}@"), value);
        }
        Some(text)
    };
    text.lines()
        .map(|line| included(line).unwrap_or_else(|| format!("{line}\n")))
        .collect()
}
