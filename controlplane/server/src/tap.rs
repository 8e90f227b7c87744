//! Listens to the SIP messages that pass the sockets: for the log, metrics, the trace of a call, and a collector. It changes none of
//! them, waits for nobody, and what it keeps is bounded.

pub(crate) mod collector;
pub(crate) mod head;
pub(crate) mod hep;
mod limit;
pub(crate) mod redact;
pub(crate) mod traces;

use std::collections::{BTreeSet, HashMap};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use calls::config::Trunk;
use calls::notice::{CallId, Party};
use sip::endpoint::FlowId;
use sip::framing::{Frame, Framer};
use sip::message::Limits;

use crate::ids;
use crate::journal::{Journal, lock};
use crate::metrics::sip::Repeats;
use crate::records::party_name;
use collector::Collector;
pub(crate) use head::{Head, Start};
use hep::Captured;
use limit::Limit;
use redact::redacted;
use traces::Entry;

/// Legs of callers that the node is asked for in a second: it looks through all calls.
const LOOKS: u32 = 500;

/// How often traces are swept, seconds.
const SWEEP_S: u64 = 5;

/// Which way a message goes, seen from us.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Direction {
    In,
    Out,
}

impl Direction {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Direction::In => "in",
            Direction::Out => "out",
        }
    }
}

/// What a message goes by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Transport {
    Udp,
    Tcp,
}

impl Transport {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Transport::Udp => "udp",
            Transport::Tcp => "tcp",
        }
    }
}

/// The way of a message.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Way {
    pub(crate) direction: Direction,
    pub(crate) transport: Transport,
    pub(crate) peer: SocketAddr,
}

/// Whoever listens to the messages.
pub(crate) struct Tap {
    journal: Arc<Journal>,
    /// Addresses that may call.
    trunks: BTreeSet<IpAddr>,
    /// What peers are told to reach us by, of each family.
    ours: Vec<SocketAddr>,
    collector: Option<Capture>,
    repeats: Repeats,
    flows: HashMap<FlowId, Flow>,
    /// What came and was not told of yet: whose it is, the node may only know when it has seen it.
    held: Vec<Held>,
    /// Since when so many legs were looked for.
    looks: (Instant, u32),
    swept: Instant,
    /// Of lines about messages that belong to no call.
    limit: Limit,
}

/// A collector, and whether it gets messages as they are.
pub(crate) struct Capture {
    pub(crate) collector: Collector,
    pub(crate) with_credentials: bool,
}

/// A connection, cut into messages a second time: what the endpoint makes of it is its own affair.
struct Flow {
    peer: SocketAddr,
    framer: Framer,
}

/// A message that came.
struct Held {
    at: Instant,
    way: Way,
    message: Bytes,
}

fn addresses(trunks: &[Trunk]) -> BTreeSet<IpAddr> {
    trunks
        .iter()
        .flat_map(|trunk| trunk.addresses.iter().copied())
        .collect()
}

/// Whose message it is.
type Leg = Option<(CallId, Party)>;

impl Tap {
    pub(crate) fn new(
        journal: Arc<Journal>,
        trunks: &[Trunk],
        ours: Vec<SocketAddr>,
        collector: Option<Capture>,
    ) -> Tap {
        let now = Instant::now();
        Tap {
            journal,
            trunks: addresses(trunks),
            ours,
            collector,
            repeats: Repeats::default(),
            flows: HashMap::new(),
            held: Vec::new(),
            looks: (now, 0),
            swept: now,
            limit: Limit::new(now),
        }
    }

    /// From now on these may call.
    pub(crate) fn reload(&mut self, trunks: &[Trunk]) {
        self.trunks = addresses(trunks);
    }

    /// A datagram came; [`Tap::settle`] is to follow.
    pub(crate) fn datagram_came(&mut self, now: Instant, from: SocketAddr, datagram: &Bytes) {
        self.hold(now, Transport::Udp, from, datagram.clone());
    }

    /// A datagram goes.
    pub(crate) fn datagram_goes(&mut self, now: Instant, to: SocketAddr, datagram: &[u8]) {
        self.goes(now, Transport::Udp, to, datagram);
    }

    /// A connection is there, or is being opened.
    pub(crate) fn flow_opens(&mut self, flow: FlowId, peer: SocketAddr) {
        let framer = Framer::new(Limits::default());
        self.flows.insert(flow, Flow { peer, framer });
    }

    /// Bytes came on a connection; [`Tap::settle`] is to follow.
    pub(crate) fn bytes_came(&mut self, now: Instant, flow: FlowId, bytes: &[u8]) {
        let Some(mut connection) = self.flows.remove(&flow) else {
            return;
        };
        connection.framer.handle_bytes(now, bytes);
        while let Some(frame) = connection.framer.poll_frame() {
            match frame {
                Frame::Message(message) | Frame::Refused { head: message, .. } | Frame::Lost { head: message, .. } => {
                    self.hold(now, Transport::Tcp, connection.peer, message);
                }
                Frame::Ping => {}
            }
        }
        self.flows.insert(flow, connection);
    }

    /// A message goes on a connection.
    pub(crate) fn message_goes(&mut self, now: Instant, flow: FlowId, message: &Bytes) {
        if let Some(peer) = self.flows.get(&flow).map(|flow| flow.peer) {
            self.goes(now, Transport::Tcp, peer, message);
        }
    }

    /// A connection is gone.
    pub(crate) fn flow_closes(&mut self, flow: FlowId) {
        self.flows.remove(&flow);
    }

    /// Something could not be sent.
    pub(crate) fn not_sent(&mut self) {
        lock(&self.journal.metrics).sip.send_error();
    }

    /// The call is over.
    pub(crate) fn call_ends(&self, now: Instant, call: CallId) {
        lock(&self.journal.traces).end(now, call);
    }

    /// Whether it is time for [`Tap::sweep`].
    pub(crate) fn is_dusty(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.swept).as_secs() >= SWEEP_S
    }

    /// Forgets what is old; `lives`: whether there is such a call.
    pub(crate) fn sweep(&mut self, now: Instant, lives: impl FnMut(CallId) -> bool) {
        self.swept = now;
        lock(&self.journal.traces).sweep(now, lives);
    }

    fn hold(&mut self, at: Instant, transport: Transport, peer: SocketAddr, message: Bytes) {
        let direction = Direction::In;
        let way = Way {
            direction,
            transport,
            peer,
        };
        self.held.push(Held { at, way, message });
    }

    /// Tells of what came. The node has seen it: `find` asks it whose leg has a Call-ID.
    pub(crate) fn settle(&mut self, mut find: impl FnMut(&str) -> Option<CallId>) {
        for held in std::mem::take(&mut self.held) {
            self.came(&held, &mut find);
        }
    }

    fn came(&mut self, held: &Held, find: &mut impl FnMut(&str) -> Option<CallId>) {
        let Held { at, way, message } = held;
        // A keep-alive (RFC 5626 §3.5.1, or an empty datagram).
        if message.trim_ascii().is_empty() {
            return;
        }
        let Some(head) = Head::scan(message) else {
            lock(&self.journal.metrics).sip.malformed();
            if self.logs(*at, None) {
                tracing::debug!(target: "baton_server::sip", peer = %way.peer, transport = way.transport.name(), len = message.len(), "no SIP message received");
            }
            return;
        };
        self.count(*way, &head, message);
        let mut leg = lock(&self.journal.traces).leg(&head.call_id);
        if head.opens() && leg.is_none() {
            if !self.trunks.contains(&way.peer.ip().to_canonical()) {
                lock(&self.journal.metrics).sip.stranger();
            } else if self.may_look(*at)
                && let Some(call) = find(&head.call_id)
            {
                leg = self.bind(*at, &head, call, Party::Caller);
            }
        }
        self.tell(*at, *way, &head, message, leg);
    }

    fn goes(&mut self, at: Instant, transport: Transport, peer: SocketAddr, message: &[u8]) {
        let direction = Direction::Out;
        let way = Way {
            direction,
            transport,
            peer,
        };
        // The answer to a keep-alive.
        let Some(head) = Head::scan(message) else { return };
        self.count(way, &head, message);
        let mut leg = lock(&self.journal.traces).leg(&head.call_id);
        // An INVITE of ours says whose it is, and that of a handoff's target has the handoff, too.
        if leg.is_none()
            && head.opens()
            && let Some(call) = head.call.and_then(ids::parse_call)
        {
            let party = match (head.handoff, head.role) {
                (Some(_), _) => Party::Human,
                (None, Some(_)) => Party::Supervisor,
                (None, None) => Party::Ai,
            };
            leg = self.bind(at, &head, call, party);
        }
        self.tell(at, way, &head, message, leg);
    }

    fn bind(&self, at: Instant, head: &Head<'_>, call: CallId, party: Party) -> Leg {
        lock(&self.journal.traces).bind(at, &head.call_id, call, party);
        Some((call, party))
    }

    fn may_look(&mut self, now: Instant) -> bool {
        let (since, looks) = &mut self.looks;
        if now.saturating_duration_since(*since).as_secs() >= 1 {
            (*since, *looks) = (now, 0);
        }
        *looks += 1;
        *looks <= LOOKS
    }

    /// Tells everybody who listens.
    fn tell(&mut self, at: Instant, way: Way, head: &Head<'_>, message: &[u8], leg: Leg) {
        let logged = self.logs(at, leg);
        let traced = leg.filter(|_| lock(&self.journal.traces).keeps());
        let captured = self.collector.as_ref();
        let masked = logged || traced.is_some() || captured.is_some_and(|capture| !capture.with_credentials);
        let text = if masked { redacted(message) } else { String::new() };
        if logged {
            log(way, head, &text, leg);
        }
        if let Some(capture) = captured {
            let bytes = if capture.with_credentials {
                message
            } else {
                text.as_bytes()
            };
            self.capture(&capture.collector, at, way, head, bytes, leg);
        }
        if let Some((call, party)) = traced {
            let entry = Entry {
                at,
                direction: way.direction,
                transport: way.transport,
                peer: way.peer,
                party,
                title: head.title(),
                sip_call_id: head.call_id.clone().into_owned(),
                text: text.into(),
            };
            lock(&self.journal.traces).add(at, call, entry);
        }
    }

    /// Whether a message is to be logged. Of those of no call only so many are: strangers can send them.
    fn logs(&mut self, at: Instant, leg: Leg) -> bool {
        if !tracing::enabled!(target: "baton_server::sip", tracing::Level::DEBUG) {
            return false;
        }
        if leg.is_some() {
            return true;
        }
        let verdict = self.limit.line(at);
        if verdict.left_out > 0 {
            tracing::debug!(target: "baton_server::sip", count = verdict.left_out, "messages of no call were not logged");
        }
        verdict.written
    }

    fn capture(&self, collector: &Collector, at: Instant, way: Way, head: &Head<'_>, message: &[u8], leg: Leg) {
        let of_family = |ours: &&SocketAddr| ours.is_ipv4() == way.peer.is_ipv4();
        let ours = self.ours.iter().find(of_family).or(self.ours.first()).copied();
        let ours = ours.unwrap_or(SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)));
        let (from, to) = match way.direction {
            Direction::In => (way.peer, ours),
            Direction::Out => (ours, way.peer),
        };
        // Without a call, the Call-ID is what other systems have for it.
        let call = leg.map(|(call, _)| ids::call(call));
        let micros = self.journal.clock.time(at).as_microsecond();
        collector.take(&Captured {
            from,
            to,
            transport: way.transport,
            at: Duration::from_micros(u64::try_from(micros).unwrap_or_default()),
            correlation: call.as_deref().unwrap_or(&head.call_id),
            message,
        });
    }

    fn count(&mut self, way: Way, head: &Head<'_>, message: &[u8]) {
        // A connection repeats nothing.
        let again = way.transport == Transport::Udp && self.repeats.again(way.direction, way.peer, message);
        lock(&self.journal.metrics)
            .sip
            .message(way.direction, &head.start, again);
    }
}

/// One line, with the message as it is without its credentials.
fn log(way: Way, head: &Head<'_>, sip: &str, leg: Leg) {
    let (peer, transport) = (way.peer, way.transport.name());
    let (title, sip_call_id) = (head.title(), &*head.call_id);
    let (call, party) = (
        leg.map(|(call, _)| ids::call(call)),
        leg.map(|(_, party)| party_name(party)),
    );
    match way.direction {
        Direction::In => {
            tracing::debug!(target: "baton_server::sip", call, party, %peer, transport, sip_call_id, title, sip, "SIP received");
        }
        Direction::Out => {
            tracing::debug!(target: "baton_server::sip", call, party, %peer, transport, sip_call_id, title, sip, "SIP sent");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::{Mutex, PoisonError};

    use sip::digest::Credentials;
    use sip::endpoint::{Endpoint, Invite};
    use sip::message::Message;
    use tracing_subscriber::fmt::MakeWriter;

    use super::*;
    use crate::event::Teller;
    use crate::ids::Clock;
    use crate::sip_transport::udp::{Received, Udp};
    use crate::store::tests::Home;

    /// What was logged.
    #[derive(Clone, Default)]
    struct Log(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Log {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap_or_else(PoisonError::into_inner).write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl<'a> MakeWriter<'a> for Log {
        type Writer = Log;

        fn make_writer(&'a self) -> Log {
            self.clone()
        }
    }

    async fn next(udp: &mut Udp) -> Received {
        loop {
            udp.ready().await.expect("a socket");
            match udp.receive() {
                Received::Nothing => {}
                received => return received,
            }
        }
    }

    #[tokio::test]
    async fn a_log_of_everything_has_no_credentials() {
        let log = Log::default();
        let subscriber = tracing_subscriber::fmt()
            .with_max_level(tracing::Level::TRACE)
            .with_writer(log.clone());
        let _guard = tracing::subscriber::set_default(subscriber.finish());

        let loopback = SocketAddr::from(([127, 0, 0, 1], 0));
        let home = Home::sqlite();
        let (store, _task) = home.store(100).await;
        let journal = Arc::new(Journal::new(Teller::new("test", Vec::new()), Clock::new(), store));
        let mut tap = Tap::new(Arc::clone(&journal), &[], vec![loopback], None);
        let mut udp = Udp::bind(loopback).await.expect("a socket");
        let peer = std::net::UdpSocket::bind(loopback).expect("a socket");
        let to = peer.local_addr().expect("bound");
        let now = Instant::now();
        let config = sip::endpoint::Config::new(udp.local().expect("bound"), 1);
        let mut endpoint = Endpoint::new(config);
        let credentials = Credentials {
            realm: None,
            username: "oona-for-us".to_owned(),
            password: "s3cret".to_owned(),
        };
        let invite = Invite {
            to: format!("sip:a:passw0rd@{to}"),
            from: "<sip:us@127.0.0.1>".to_owned(),
            next_hop: Some(to),
            credentials: vec![credentials],
            ..Invite::default()
        };
        endpoint.invite(now, invite);

        let mut buffer = [0; 2_000];
        let mut asked = |endpoint: &mut Endpoint, tap: &mut Tap, udp: &Udp| {
            while let Some(transmit) = endpoint.poll_transmit() {
                tap.datagram_goes(Instant::now(), transmit.to, &transmit.bytes);
                udp.send(transmit.to, &transmit.bytes).expect("sent");
            }
            loop {
                let len = peer.recv(&mut buffer).expect("received");
                let message = Message::parse(Bytes::copy_from_slice(&buffer[..len])).expect("SIP");
                if message.method().is_some_and(|method| method.as_str() == "INVITE") {
                    return message;
                }
            }
        };
        let first = asked(&mut endpoint, &mut tap, &udp);
        let header = |name| first.header(name).expect("a header").into_owned();
        let challenge = format!(
            "SIP/2.0 401 Unauthorized\r\nVia: {}\r\nFrom: {}\r\nTo: {};tag=t\r\nCall-ID: {}\r\nCSeq: {}\r\n\
             WWW-Authenticate: Digest realm=\"pbx\", nonce=\"n0nce\",\r\n qop=\"auth\"\r\nContent-Length: 0\r\n\r\n",
            header("Via"),
            header("From"),
            header("To"),
            header("Call-ID"),
            header("CSeq")
        );
        peer.send_to(challenge.as_bytes(), udp.local().expect("bound"))
            .expect("sent");
        let Received::Datagram(_, datagram) = next(&mut udp).await else {
            panic!("the challenge");
        };
        tap.datagram_came(now, to, &datagram);
        tap.settle(|_| None);
        endpoint.handle_datagram(now, to, datagram);
        let second = asked(&mut endpoint, &mut tap, &udp);
        let shown = second.header("Authorization").expect("credentials").into_owned();
        assert!(shown.contains("oona-for-us") && shown.contains("n0nce"), "{shown}");

        // Of no trunk; and what is no message.
        tap.datagram_came(now, to, &first.to_bytes());
        tap.datagram_came(now, to, &Bytes::from_static(b"\x80\x00hello"));
        tap.datagram_came(now, to, &Bytes::from_static(b"\r\n\r\n"));
        tap.settle(|_| None);
        let metrics = lock(&journal.metrics).clone();
        assert_eq!(metrics.sip.strange(), (1, 1));

        let text = String::from_utf8(log.0.lock().expect("the log").clone()).expect("text");
        assert!(text.matches("SIP sent").count() >= 3, "INVITE, ACK, INVITE: {text}");
        assert!(
            text.contains("SIP received") && text.contains("authorization: (cut out)"),
            "{text}"
        );
        assert!(
            text.lines()
                .filter(|line| line.contains("SIP sent") || line.contains("SIP received"))
                .all(|line| line.contains("sip_call_id")),
            "{text}"
        );
        for secret in ["s3cret", "passw0rd", "oona-for-us", "n0nce", "response=", "Digest"] {
            assert!(!text.contains(secret), "{secret}: {text}");
        }
    }
}
