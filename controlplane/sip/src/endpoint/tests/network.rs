//! Two endpoints, or one and a script, over a network that does what a test tells it.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use bytes::Bytes;

use crate::endpoint::{Config, DialogId, Endpoint, Event, FlowBounds, FlowId, Invite, ReferId, Stream, Transmit};
use crate::message::Message;
use crate::random::Random;

/// What the network does with a datagram.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// Arrives after these many milliseconds, once for each.
    After(Vec<u64>),
    Lost,
}

impl Fate {
    pub(super) fn normal() -> Fate {
        Fate::After(vec![10])
    }
}

/// One datagram as it left.
#[derive(Clone, Debug)]
pub(super) struct Sent {
    /// Milliseconds since the start.
    pub(super) at: u64,
    pub(super) from: SocketAddr,
    pub(super) to: SocketAddr,
    pub(super) bytes: Bytes,
    pub(super) lost: bool,
}

impl Sent {
    pub(super) fn message(&self) -> Message {
        Message::parse(self.bytes.clone()).expect("our own messages can be read")
    }

    /// `INVITE`, or `200 INVITE`.
    pub(super) fn what(&self) -> String {
        what(&self.bytes)
    }
}

pub(super) fn what(bytes: &Bytes) -> String {
    let message = Message::parse(bytes.clone()).expect("our own messages can be read");
    match (message.method(), message.status(), message.cseq()) {
        (Some(method), ..) => method.to_string(),
        (None, Some(status), Some(cseq)) => format!("{status} {}", cseq.method),
        _ => unreachable!("a request or a response"),
    }
}

/// What is under way.
#[derive(Clone, Debug)]
enum Flight {
    Datagram(Bytes),
    Connect(usize),
    Connected(usize),
    Bytes(usize, Bytes),
    Closed(usize),
}

/// A connection: its name at each end, as long as that end has it.
#[derive(Debug)]
struct Pipe {
    flows: [Option<FlowId>; 2],
    /// What is written now arrives nowhere.
    broken: bool,
}

type Judge = Box<dyn FnMut(usize, &str) -> Fate>;

pub(super) struct Network {
    pub(super) start: Instant,
    pub(super) now: Instant,
    pub(super) ends: [Endpoint; 2],
    pub(super) addresses: [SocketAddr; 2],
    pub(super) log: Vec<Sent>,
    pub(super) events: [Vec<Event>; 2],
    /// Which end sends, and what (`Sent::what`).
    pub(super) judge: Judge,
    flying: Vec<(Instant, u64, usize, Flight)>,
    /// Connections that break at random; `None`: there is no TCP.
    pub(super) breaks: Option<Random>,
    pipes: Vec<Pipe>,
    count: u64,
}

pub(super) const A: usize = 0;
pub(super) const B: usize = 1;

pub(super) fn config(address: SocketAddr, seed: u64) -> Config {
    Config {
        transactions: 100,
        ..Config::new(address, seed)
    }
}

pub(super) fn sdp(name: &str) -> Bytes {
    Bytes::from(format!("v=0\r\ns={name}\r\n"))
}

impl Network {
    pub(super) fn new() -> Network {
        Network::seeded(1)
    }

    pub(super) fn seeded(seed: u64) -> Network {
        let addresses = ["192.0.2.1:5060", "192.0.2.2:5070"].map(|text| text.parse().expect("address"));
        let now = Instant::now();
        Network {
            start: now,
            now,
            ends: [0, 1].map(|end| Endpoint::new(config(addresses[end], seed * 2 + end as u64))),
            addresses,
            log: Vec::new(),
            events: [Vec::new(), Vec::new()],
            judge: Box::new(|_, _| Fate::normal()),
            flying: Vec::new(),
            breaks: None,
            pipes: Vec::new(),
            count: 0,
        }
    }

    pub(super) fn lose(&mut self, mut lost: impl FnMut(usize, &str) -> bool + 'static) {
        self.judge = Box::new(move |end, what| if lost(end, what) { Fate::Lost } else { Fate::normal() });
    }

    pub(super) fn ms(&self) -> u64 {
        (self.now - self.start).as_millis() as u64
    }

    /// Takes what both ends want to send and say.
    pub(super) fn pump(&mut self) {
        for end in [A, B] {
            while let Some(Transmit { to, bytes }) = self.ends[end].poll_transmit() {
                let fate = (self.judge)(end, &what(&bytes));
                let at = self.ms();
                let from = self.addresses[end];
                self.log.push(Sent {
                    at,
                    from,
                    to,
                    bytes: bytes.clone(),
                    lost: fate == Fate::Lost,
                });
                let Some(target) = self.addresses.iter().position(|&address| address == to) else {
                    continue;
                };
                if let Fate::After(times) = fate {
                    for ms in times {
                        self.count += 1;
                        let at = self.now + Duration::from_millis(ms);
                        self.flying
                            .push((at, self.count, target, Flight::Datagram(bytes.clone())));
                    }
                }
            }
            while let Some(stream) = self.ends[end].poll_stream() {
                self.stream(end, stream);
            }
            while let Some(event) = self.ends[end].poll_event() {
                self.events[end].push(event);
            }
        }
    }

    /// Two ends with TCP, whose connections break now and then.
    pub(super) fn over_tcp(seed: u64) -> Network {
        let mut net = Network::seeded(seed);
        for end in [A, B] {
            let config = Config {
                flows: Some(FlowBounds::default()),
                ..config(net.addresses[end], seed * 2 + end as u64)
            };
            net.ends[end] = Endpoint::new(config);
        }
        net.breaks = Some(Random::new(seed ^ 0xb4ea));
        net
    }

    fn fly(&mut self, ms: u64, target: usize, flight: Flight) {
        self.count += 1;
        let at = self.now + Duration::from_millis(ms);
        self.flying.push((at, self.count, target, flight));
    }

    /// What an end wants of its connections. All delays are alike, so that a connection keeps its order, and it is open before
    /// anything comes on it or it breaks.
    fn stream(&mut self, end: usize, stream: Stream) {
        let pipe_of = |pipes: &[Pipe], flow| pipes.iter().position(|pipe| pipe.flows[end] == Some(flow));
        match stream {
            Stream::Connect { flow, to } => {
                let mut flows = [None; 2];
                flows[end] = Some(flow);
                self.pipes.push(Pipe { flows, broken: false });
                let pipe = self.pipes.len() - 1;
                match self.addresses[1 - end] == to {
                    true => self.fly(4, 1 - end, Flight::Connect(pipe)),
                    false => self.fly(10, end, Flight::Closed(pipe)),
                }
            }
            Stream::Send { flow, bytes } => {
                let Some(pipe) = pipe_of(&self.pipes, flow).filter(|&pipe| !self.pipes[pipe].broken) else {
                    return;
                };
                let luck = self.breaks.as_mut().map_or(100, |breaks| breaks.below(100));
                if luck >= 5 {
                    self.log.push(Sent {
                        at: self.ms(),
                        from: self.addresses[end],
                        to: self.addresses[1 - end],
                        bytes: bytes.clone(),
                        lost: false,
                    });
                    let cut = self
                        .breaks
                        .as_mut()
                        .map_or(0, |breaks| breaks.below(bytes.len() as u64)) as usize;
                    self.fly(10, 1 - end, Flight::Bytes(pipe, bytes.slice(..cut)));
                    self.fly(10, 1 - end, Flight::Bytes(pipe, bytes.slice(cut..)));
                }
                if luck < 10 {
                    self.pipes[pipe].broken = true;
                    self.fly(10, end, Flight::Closed(pipe));
                    self.fly(10, 1 - end, Flight::Closed(pipe));
                }
            }
            Stream::Close { flow } => {
                if let Some(pipe) = pipe_of(&self.pipes, flow) {
                    self.pipes[pipe].flows[end] = None;
                    self.fly(10, 1 - end, Flight::Closed(pipe));
                }
            }
        }
    }

    fn land(&mut self, target: usize, flight: Flight) {
        let now = self.now;
        let end = &mut self.ends[target];
        match flight {
            Flight::Datagram(bytes) => end.handle_datagram(now, self.addresses[1 - target], bytes),
            Flight::Connect(pipe) => {
                let from = SocketAddr::new(self.addresses[1 - target].ip(), 40_000 + pipe as u16);
                self.pipes[pipe].flows[target] = end.accept_flow(now, from);
                let answer = match self.pipes[pipe].flows[target] {
                    Some(_) => Flight::Connected(pipe),
                    None => Flight::Closed(pipe),
                };
                self.fly(4, 1 - target, answer);
            }
            Flight::Connected(pipe) => {
                if let Some(flow) = self.pipes[pipe].flows[target] {
                    end.handle_connected(now, flow);
                }
            }
            Flight::Bytes(pipe, bytes) => {
                if let Some(flow) = self.pipes[pipe].flows[target] {
                    end.handle_stream(now, flow, &bytes);
                }
            }
            Flight::Closed(pipe) => {
                if let Some(flow) = self.pipes[pipe].flows[target].take() {
                    end.handle_closed(now, flow);
                }
            }
        }
    }

    fn next(&self) -> Option<Instant> {
        let flying = self.flying.iter().map(|(at, ..)| *at);
        flying.chain(self.ends.iter().filter_map(Endpoint::poll_timeout)).min()
    }

    /// One instant at which something happens.
    pub(super) fn step(&mut self) -> bool {
        self.pump();
        let Some(at) = self.next() else { return false };
        self.now = at.max(self.now);
        let now = self.now;
        let due = self
            .flying
            .iter()
            .filter(|(at, ..)| *at <= now)
            .min_by_key(|(at, count, ..)| (*at, *count))
            .cloned();
        match due {
            Some(datagram) => {
                self.flying.retain(|(_, count, ..)| *count != datagram.1);
                let (_, _, target, flight) = datagram;
                self.land(target, flight);
            }
            None => self.ends.iter_mut().for_each(|end| end.handle_timeout(now)),
        }
        self.ends.iter().for_each(check);
        self.pump();
        true
    }

    /// Runs for so long.
    pub(super) fn run(&mut self, ms: u64) {
        let end = self.now + Duration::from_millis(ms);
        self.pump();
        while self.next().is_some_and(|at| at <= end) {
            self.step();
        }
        self.now = end;
    }

    /// Runs until every timer has run out; both ends must be empty then.
    pub(super) fn finish(&mut self) {
        for _ in 0..100_000 {
            if !self.step() {
                for end in &self.ends {
                    assert_eq!(end.alive(), crate::endpoint::Alive::default(), "{:#?}", self.trace());
                    assert!(nothing_left(end), "an index outlives what it points to: {end:#?}");
                }
                return;
            }
        }
        panic!("it never ends: {:#?}", self.trace());
    }

    /// A calls B; B's event is taken.
    pub(super) fn invite(&mut self) -> (DialogId, DialogId) {
        let a = self.call();
        self.run(20);
        (a, self.invited(B))
    }

    pub(super) fn call(&mut self) -> DialogId {
        let transport = if self.breaks.is_some() { ";transport=tcp" } else { "" };
        let to = format!("sip:bob@{}{transport}", self.addresses[B]);
        let invite = Invite {
            to,
            from: "\"Alice\" <sip:alice@a.example>".into(),
            offer: Some(sdp("offer")),
            ..Invite::default()
        };
        self.ends[A].invite(self.now, invite)
    }

    /// The dialog of the only INVITE that came to an end.
    pub(super) fn invited(&self, end: usize) -> DialogId {
        let dialogs: Vec<_> = self.events[end]
            .iter()
            .filter_map(|event| match event {
                Event::Invite { dialog, .. } => Some(*dialog),
                _ => None,
            })
            .collect();
        assert_eq!(dialogs.len(), 1, "{:?}", self.trace());
        dialogs[0]
    }

    /// The only REFER that came to an end; its event is taken.
    pub(super) fn referred(&mut self, end: usize) -> ReferId {
        let at = self.events[end]
            .iter()
            .position(|event| matches!(event, Event::Refer { .. }))
            .unwrap_or_else(|| panic!("no REFER: {:#?}", self.trace()));
        match self.events[end].remove(at) {
            Event::Refer { refer, .. } => refer,
            _ => unreachable!("just found"),
        }
    }

    /// A call that both sides have.
    pub(super) fn connect(&mut self) -> (DialogId, DialogId) {
        let (a, b) = self.invite();
        self.ends[B].answer(self.now, b, sdp("answer"), &[]).expect("answer");
        self.run(50);
        self.events = [Vec::new(), Vec::new()];
        self.log.clear();
        (a, b)
    }

    /// Everything that was sent: time, sender, what.
    pub(super) fn trace(&self) -> Vec<String> {
        self.log
            .iter()
            .map(|sent| {
                let end = if sent.from == self.addresses[A] { 'A' } else { 'B' };
                format!(
                    "{} {end} {}{}",
                    sent.at,
                    sent.what(),
                    if sent.lost { " lost" } else { "" }
                )
            })
            .collect()
    }

    /// The same without the times.
    pub(super) fn order(&self) -> Vec<String> {
        let trace = self.trace();
        trace
            .iter()
            .map(|line| line.split_once(' ').expect("time").1.to_owned())
            .collect()
    }

    /// When an end sent it.
    pub(super) fn times(&self, end: usize, what: &str) -> Vec<u64> {
        let from = self.addresses[end];
        self.log
            .iter()
            .filter(|sent| sent.from == from && sent.what() == what)
            .map(|sent| sent.at)
            .collect()
    }

    pub(super) fn sent(&self, end: usize, what: &str) -> Message {
        let from = self.addresses[end];
        let found = self.log.iter().find(|sent| sent.from == from && sent.what() == what);
        found
            .unwrap_or_else(|| panic!("no {what} in {:#?}", self.trace()))
            .message()
    }

    /// The events of an end, in short, and forgets them.
    pub(super) fn said(&mut self, end: usize) -> Vec<String> {
        let brief = |event: &Event| match event {
            Event::Invite { .. } => "invite".to_owned(),
            Event::Cancelled { .. } => "cancelled".to_owned(),
            Event::Progress { status, body, .. } => format!("progress {status}{}", text(body)),
            Event::Answered { body, .. } => format!("answered{}", text(body)),
            Event::Refused { status, .. } => format!("refused {status}"),
            Event::Acked { body, .. } => format!("acked{}", text(body)),
            Event::Bye { cause, .. } => format!("bye {cause:?}"),
            Event::Reinvite { body, .. } => format!("reinvite{}", text(body)),
            Event::ReinviteAnswered { body, .. } => format!("reinvite answered{}", text(body)),
            Event::ReinviteRefused { status, .. } => format!("reinvite refused {status}"),
            Event::Key { key, .. } => format!("key {key}"),
            Event::Ended { .. } => "ended".to_owned(),
            Event::Refer { request, .. } => match request.refer_to() {
                Some(to) => format!("refer {}", to.uri),
                None => "refer".to_owned(),
            },
            Event::ReferAnswered { status, .. } => format!("refer answered {status}"),
            Event::ReferProgress { status, last, .. } => {
                format!("refer progress {status}{}", if *last { " last" } else { "" })
            }
        };
        std::mem::take(&mut self.events[end]).iter().map(brief).collect()
    }
}

/// The name that `sdp` gave it.
fn text(body: &Option<Bytes>) -> String {
    let Some(body) = body else { return String::new() };
    let text = String::from_utf8_lossy(body);
    format!(" {}", text.trim_end().rsplit('=').next().unwrap_or(""))
}

/// Whether the indexes agree with what they point to.
pub(super) fn check(end: &Endpoint) {
    end.transactions.check();
    let sessions = end.sessions.iter().map(|(id, session)| (id, &session.dialog));
    let dialogs: Vec<_> = sessions.chain(end.outlived.iter()).collect();
    assert_eq!(dialogs.len(), end.dialogs.len());
    let mut riders = 0;
    for (id, dialog) in dialogs {
        let name = (dialog.call_id.clone(), dialog.local_tag.clone());
        assert_eq!(end.dialogs.get(&name), Some(id));
        if let Some(flow) = dialog.peer.flow {
            riders += 1;
            assert!(end.riders.of(&flow).any(|rider| rider == *id), "{dialog:?}");
        }
    }
    assert_eq!(riders, end.riders.len());
    assert_eq!(end.refers.len(), end.referrals.len());
}

/// Whether no index holds anything either: what `alive` does not count must not leak.
pub(super) fn nothing_left(end: &Endpoint) -> bool {
    check(end);
    end.held() == end.transmits.len() + end.flows.streams.len() + end.events.len()
}
