//! A live endpoint with calls and REFER subscriptions over connections: what its peer says is mutated, cut into pieces and interleaved,
//! connections close in the middle of anything, and time passes. A bystander has a connection of its own and must not notice.
//!
//! The input is that of the target `endpoint`; `{S}` besides is our tag in a call in which either side has referred the other.
//! Everything else is drawn from the input.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use bytes::Bytes;
use sip::endpoint::{Alive, Config, DialogId, Endpoint, Event, FlowBounds, FlowId, Invite, Refer, Stream};
use sip::message::Message;

use crate::peer::{Names, SDP, bystander, hostile, parts, request, tag_of, us};
use crate::random::Random;
use crate::rtp::START;
use crate::sip::well_formed;
use crate::user::User;

const BOUNDS: FlowBounds = FlowBounds {
    connections: 12,
    per_peer: 8,
    idle: Duration::from_secs(180),
    connect: Duration::from_secs(2),
    unfinished: Duration::from_secs(10),
};

/// Call-ID of the bystander's call.
const CALM: &str = "5b1d0c";

/// Transactions that the endpoint may have; twice as many in its dialogs.
const TRANSACTIONS: usize = 200;

/// What is kept may grow so much by one message or one connection: a dialog, its transactions, and every index's entry for each.
const KEPT_EACH: usize = 40;

/// A connection as its peer sees it.
#[derive(Default)]
struct Line {
    /// Ours, and not open yet.
    opening: bool,
    /// What the peer has written and we have not read.
    backlog: Vec<u8>,
}

struct World {
    end: Endpoint,
    now: Instant,
    random: Random,
    user: User,
    calm: FlowId,
    calm_tag: String,
    names: Names,
    lines: BTreeMap<FlowId, Line>,
    /// Every connection that there was.
    known: BTreeSet<FlowId>,
    /// Those that the peer has closed: we may have meant to do so at the same time.
    vanished: BTreeSet<FlowId>,
    /// What was written to the bystander.
    told: Vec<Message>,
    came: usize,
    before: usize,
}

pub(crate) fn target(data: &[u8]) {
    let mut world = World::new(data);
    for part in parts(data) {
        world.message(part);
    }
    world.finish();
}

impl World {
    fn new(data: &[u8]) -> World {
        let config = Config {
            flows: Some(BOUNDS),
            transactions: TRANSACTIONS,
            ..Config::new(us(), 11)
        };
        let mut end = Endpoint::new(config);
        let now = *START;
        let flow = end.accept_flow(now, hostile()).expect("room");
        let calm_flow = end.accept_flow(now, bystander()).expect("room");
        let (a, a_tag) = connect(&mut end, now, flow, "call-a");
        let (s, s_tag) = connect(&mut end, now, flow, "call-s");
        let (calm, calm_tag) = connect(&mut end, now, calm_flow, CALM);
        say(
            &mut end,
            now,
            flow,
            "REFER",
            "call-s",
            2,
            &s_tag,
            "Refer-To: <sip:support@192.0.2.9>\r\n",
        );
        let Some(Event::Refer { refer, .. }) = end.poll_event() else {
            panic!("no REFER")
        };
        end.accept_refer(now, refer).expect("it came");
        let ours = Refer {
            to: "sip:human@192.0.2.9".into(),
            ..Refer::default()
        };
        end.refer(now, s, ours).expect("a call");
        say(&mut end, now, flow, "INVITE", "call-r", 1, "", "");
        let ringing = invited(&mut end);
        end.ring(now, ringing, 180, None).expect("it came");
        let ringing_tag = tag_of(&last_sent(&mut end));
        let invite = Invite {
            to: format!("sip:peer@{};transport=tcp", hostile()),
            from: "<sip:us@192.0.2.1>".into(),
            offer: Some(Bytes::from_static(SDP.as_bytes())),
            ..Invite::default()
        };
        let called = end.invite(now, invite);
        let Some(Stream::Connect { flow: own, .. }) = end.poll_stream() else {
            panic!("no connection")
        };
        let sent = last_sent(&mut end);
        let names = vec![
            ("{A}", a_tag),
            ("{S}", s_tag),
            ("{R}", ringing_tag),
            ("{C}", sent.from().and_then(|from| from.tag()).expect("our tag")),
            ("{I}", sent.call_id().expect("our Call-ID").into_owned()),
            ("{B}", sent.via().and_then(|via| via.branch()).expect("our branch")),
        ];
        let opening = Line {
            opening: true,
            ..Line::default()
        };
        let lines: BTreeMap<_, _> = [(flow, Line::default()), (calm_flow, Line::default()), (own, opening)].into();
        World {
            before: end.held(),
            end,
            now,
            random: Random::from(data),
            user: User {
                live: vec![a, s, ringing, called],
                calm,
            },
            calm: calm_flow,
            calm_tag,
            names: Names(names),
            known: lines.keys().copied().collect(),
            lines,
            vanished: BTreeSet::new(),
            told: Vec::new(),
            came: 0,
        }
    }

    /// The peer writes a message somewhere, and some of what is written is read.
    fn message(&mut self, part: &[u8]) {
        let bytes = self.names.put_into(part);
        self.came += 1;
        let Some(flow) = self.some_line() else { return };
        if let Some(line) = self.lines.get_mut(&flow) {
            line.backlog.extend_from_slice(&bytes);
        }
        for _ in 0..1 + self.random.below(6) {
            self.read();
            self.disturb();
        }
        if self.random.one_in(2) {
            self.drain();
        }
        self.judge();
    }

    /// A connection of the hostile peer's that is open; mostly the one that there is.
    fn some_line(&mut self) -> Option<FlowId> {
        let open: Vec<_> = self
            .lines
            .iter()
            .filter(|(flow, line)| **flow != self.calm && !line.opening)
            .map(|(flow, _)| *flow)
            .collect();
        if open.is_empty() || self.random.one_in(6) {
            let flow = self.end.accept_flow(self.now, hostile())?;
            assert!(self.known.insert(flow), "a connection's name was used twice");
            self.lines.insert(flow, Line::default());
            return Some(flow);
        }
        Some(open[self.random.below(open.len())])
    }

    /// We read a piece of what one connection brings.
    fn read(&mut self) {
        let waiting: Vec<_> = self
            .lines
            .iter()
            .filter(|(_, line)| !line.opening && !line.backlog.is_empty())
            .map(|(flow, _)| *flow)
            .collect();
        let Some(&flow) = waiting.get(self.random.below(waiting.len())) else {
            return;
        };
        let length = match self.random.below(4) {
            0 => 1 + self.random.below(8),
            1 => 1 + self.random.below(300),
            _ => usize::MAX,
        };
        let Some(line) = self.lines.get_mut(&flow) else { return };
        let length = length.min(line.backlog.len());
        let piece: Vec<u8> = line.backlog.drain(..length).collect();
        self.end.handle_stream(self.now, flow, &piece);
        if flow != self.calm && self.random.one_in(24) {
            // It is gone before anything that this has led to is written.
            let hash = self.random.next() as u32;
            self.user.events(&mut self.end, self.now, hash);
            self.close(flow);
        }
        self.settle();
    }

    fn close(&mut self, flow: FlowId) {
        self.lines.remove(&flow);
        self.vanished.insert(flow);
        self.end.handle_closed(self.now, flow);
    }

    /// Everything that is written is read.
    fn drain(&mut self) {
        let mut steps = 0;
        while self
            .lines
            .values()
            .any(|line| !line.opening && !line.backlog.is_empty())
        {
            steps += 1;
            assert!(steps < 10_000, "answers to answers without end");
            self.read();
        }
    }

    /// Something else happens.
    fn disturb(&mut self) {
        match self.random.below(20) {
            0 => {
                let lines: Vec<_> = self.lines.keys().copied().filter(|flow| *flow != self.calm).collect();
                if let Some(&flow) = lines.get(self.random.below(lines.len())) {
                    self.close(flow);
                }
            }
            1 | 2 => {
                let opening: Vec<_> = self
                    .lines
                    .iter()
                    .filter(|(_, line)| line.opening)
                    .map(|(flow, _)| *flow)
                    .collect();
                if let Some(&flow) = opening.get(self.random.below(opening.len())) {
                    self.open(flow);
                }
            }
            3 => self.pass(3_000),
            4 => self.pass(40_000),
            5 => self.end.handle_unreachable(self.now, hostile()),
            // Something of which nobody knows any more.
            6 => {
                let gone = FlowId(self.random.next() % 40);
                if !self.lines.contains_key(&gone) {
                    self.end
                        .handle_stream(self.now, gone, b"OPTIONS sip:us@192.0.2.1 SIP/2.0\r\n\r\n");
                    self.end.handle_connected(self.now, gone);
                    self.end.handle_closed(self.now, gone);
                }
            }
            _ => {}
        }
        self.settle();
    }

    /// The peer takes a connection of ours, or does not.
    fn open(&mut self, flow: FlowId) {
        if self.random.one_in(4) {
            self.close(flow);
        } else {
            if let Some(line) = self.lines.get_mut(&flow) {
                line.opening = false;
            }
            self.end.handle_connected(self.now, flow);
        }
    }

    /// Time passes, so many milliseconds at the most.
    fn pass(&mut self, most: u64) {
        let until = self.now + Duration::from_millis(self.random.next() % most);
        let mut steps = 0;
        while let Some(at) = self.end.poll_timeout().filter(|at| *at <= until) {
            steps += 1;
            assert!(steps < 100_000, "timers without end");
            self.now = self.now.max(at);
            self.end.handle_timeout(self.now);
            self.settle();
        }
        self.now = until;
    }

    /// Takes what the endpoint tells and wants.
    fn settle(&mut self) {
        let hash = self.random.next() as u32;
        self.user.events(&mut self.end, self.now, hash);
        self.outputs();
    }

    fn outputs(&mut self) {
        let mut sent = 0;
        while let Some(transmit) = self.end.poll_transmit() {
            sent += 1;
            well_formed(&transmit.bytes);
        }
        while let Some(stream) = self.end.poll_stream() {
            sent += 1;
            match stream {
                Stream::Connect { flow, .. } => {
                    assert!(self.known.insert(flow), "a connection's name was used twice");
                    let line = Line {
                        opening: true,
                        ..Line::default()
                    };
                    self.lines.insert(flow, line);
                }
                Stream::Send { flow, bytes } => self.sent(flow, &bytes),
                Stream::Close { flow } => {
                    assert_ne!(flow, self.calm, "the bystander's connection is closed");
                    let there = self.lines.remove(&flow).is_some();
                    assert!(there || self.vanished.contains(&flow), "{flow:?} is closed twice");
                }
            }
        }
        assert!(sent <= 4 * TRANSACTIONS, "{sent} messages at once");
    }

    /// The peer answers some of our requests.
    fn sent(&mut self, flow: FlowId, bytes: &Bytes) {
        let line = self.lines.get_mut(&flow).expect("written on a connection that is gone");
        if *bytes == "\r\n" {
            return;
        }
        let message = well_formed(bytes);
        if flow == self.calm {
            self.told.push(message);
            return;
        }
        let answered = message.method().is_some_and(|method| method.as_str() != "ACK");
        if answered && self.random.one_in(2) {
            assert_eq!(message.check(), Ok(()), "{message}");
            let status = [200, 202, 100, 481, 401, 491, 503][self.random.below(12).min(6)];
            let mut answer = Message::response(&message, status, "x");
            answer.set_to_tag("far");
            line.backlog.extend_from_slice(&answer.to_bytes());
        }
    }

    /// What is kept is bounded by what came.
    fn judge(&self) {
        let held = self.end.held();
        let most = self.before + KEPT_EACH * (self.came + self.known.len());
        assert!(held <= most, "{held} entries after {} messages", self.came);
        assert!(self.end.flows() <= BOUNDS.connections);
        assert!(self.end.alive().transactions <= 2 * TRANSACTIONS + self.came);
        assert_eq!(
            self.end.flows(),
            self.lines.len(),
            "connections that one side alone knows of"
        );
    }

    fn finish(mut self) {
        self.drain();
        self.judge();
        // The bystander is still there, on its connection, and its hanging up is told.
        for (method, cseq) in [("OPTIONS", 2), ("BYE", 3)] {
            self.told.clear();
            let (now, tag) = (self.now, self.calm_tag.clone());
            say(&mut self.end, now, self.calm, method, CALM, cseq, &tag, "");
            self.outputs();
            let told: Vec<_> = self.told.iter().map(Message::status).collect();
            assert_eq!(told, [Some(200)], "{method}");
        }
        let ended = |event: &Event| matches!(event, Event::Bye { dialog, .. } if *dialog == self.user.calm);
        let events: Vec<_> = std::iter::from_fn(|| self.end.poll_event()).collect();
        assert!(events.iter().any(ended), "{events:?}");
        // Whatever the others did, everything ends, connections that nobody closes too.
        for dialog in std::mem::take(&mut self.user.live) {
            let _ = self.end.end(self.now, dialog, None);
        }
        self.calm = FlowId(u64::MAX);
        self.outputs();
        let mut steps = 0;
        while let Some(at) = self.end.poll_timeout() {
            steps += 1;
            assert!(steps < 100_000, "timers without end");
            self.now = self.now.max(at);
            self.end.handle_timeout(self.now);
            while let Some(event) = self.end.poll_event() {
                if let Event::Acked { dialog, .. } | Event::Answered { dialog, .. } = event {
                    let _ = self.end.end(self.now, dialog, None);
                }
            }
            self.outputs();
        }
        assert_eq!(self.end.alive(), Alive::default(), "something is left");
        assert_eq!((self.end.flows(), self.lines.len()), (0, 0), "connections are left");
        assert_eq!(self.end.held(), 0, "something is forgotten in a table");
    }
}

/// A request on a connection.
#[expect(clippy::too_many_arguments, reason = "all that tells one request from another")]
fn say(end: &mut Endpoint, now: Instant, flow: FlowId, method: &str, call: &str, cseq: u32, tag: &str, more: &str) {
    let peer = if call == CALM { bystander() } else { hostile() };
    let text = request(method, peer, call, cseq, tag, more);
    end.handle_stream(now, flow, &text);
}

fn invited(end: &mut Endpoint) -> DialogId {
    match end.poll_event() {
        Some(Event::Invite { dialog, .. }) => dialog,
        other => panic!("{other:?}"),
    }
}

fn last_sent(end: &mut Endpoint) -> Message {
    let sent = std::iter::from_fn(|| end.poll_stream())
        .filter_map(|stream| match stream {
            Stream::Send { bytes, .. } => Some(bytes),
            _ => None,
        })
        .last();
    well_formed(&sent.expect("something was sent"))
}

/// A call that came, was answered and acknowledged.
fn connect(end: &mut Endpoint, now: Instant, flow: FlowId, call: &str) -> (DialogId, String) {
    say(end, now, flow, "INVITE", call, 1, "", "");
    let dialog = invited(end);
    end.answer(now, dialog, Bytes::from_static(SDP.as_bytes()), &[])
        .expect("it came");
    let tag = tag_of(&last_sent(end));
    say(end, now, flow, "ACK", call, 1, &tag, "");
    assert!(matches!(end.poll_event(), Some(Event::Acked { .. })));
    (dialog, tag)
}
