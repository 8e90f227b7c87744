//! Listens to the SIP messages that pass the sockets: for the log, metrics, the trace of a call, and a collector. It changes none of
//! them, waits for nobody, and what it keeps is bounded.

pub(crate) mod head;
pub(crate) mod redact;

use std::collections::{BTreeSet, HashMap};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use sip::endpoint::FlowId;
use sip::framing::{Frame, Framer};
use sip::message::Limits;

use crate::journal::{Journal, lock};
use crate::metrics::sip::Repeats;
pub(crate) use head::{Head, Start};
use redact::redacted;

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
    repeats: Repeats,
    flows: HashMap<FlowId, Flow>,
}

/// A connection, cut into messages a second time: what the endpoint makes of it is its own affair.
struct Flow {
    peer: SocketAddr,
    framer: Framer,
}

impl Tap {
    pub(crate) fn new(journal: Arc<Journal>, trunks: impl IntoIterator<Item = IpAddr>) -> Tap {
        Tap {
            journal,
            trunks: trunks.into_iter().collect(),
            repeats: Repeats::default(),
            flows: HashMap::new(),
        }
    }

    /// A datagram came.
    pub(crate) fn datagram_came(&mut self, from: SocketAddr, datagram: &[u8]) {
        self.came(Transport::Udp, from, datagram);
    }

    /// A datagram goes.
    pub(crate) fn datagram_goes(&mut self, to: SocketAddr, datagram: &[u8]) {
        self.goes(Transport::Udp, to, datagram);
    }

    /// A connection is there, or is being opened.
    pub(crate) fn flow_opens(&mut self, flow: FlowId, peer: SocketAddr) {
        let framer = Framer::new(Limits::default());
        self.flows.insert(flow, Flow { peer, framer });
    }

    /// Bytes came on a connection.
    pub(crate) fn bytes_came(&mut self, now: Instant, flow: FlowId, bytes: &[u8]) {
        let Some(mut connection) = self.flows.remove(&flow) else {
            return;
        };
        connection.framer.handle_bytes(now, bytes);
        while let Some(frame) = connection.framer.poll_frame() {
            match frame {
                Frame::Message(message) | Frame::Refused { head: message, .. } | Frame::Lost { head: message, .. } => {
                    self.came(Transport::Tcp, connection.peer, &message);
                }
                Frame::Ping => {}
            }
        }
        self.flows.insert(flow, connection);
    }

    /// A message goes on a connection.
    pub(crate) fn message_goes(&mut self, flow: FlowId, message: &Bytes) {
        if let Some(peer) = self.flows.get(&flow).map(|flow| flow.peer) {
            self.goes(Transport::Tcp, peer, message);
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

    fn came(&mut self, transport: Transport, peer: SocketAddr, message: &[u8]) {
        let direction = Direction::In;
        let way = Way {
            direction,
            transport,
            peer,
        };
        // A keep-alive (RFC 5626 §3.5.1, or an empty datagram).
        if message.trim_ascii().is_empty() {
            return;
        }
        let Some(head) = Head::scan(message) else {
            lock(&self.journal.metrics).sip.malformed();
            tracing::debug!(target: "baton_server::sip", %peer, transport = transport.name(), len = message.len(), "no SIP message received");
            return;
        };
        self.count(way, &head, message);
        if head.opens() && !self.trunks.contains(&peer.ip().to_canonical()) {
            lock(&self.journal.metrics).sip.stranger();
        }
        log(way, &head, message);
    }

    fn goes(&mut self, transport: Transport, peer: SocketAddr, message: &[u8]) {
        let direction = Direction::Out;
        let way = Way {
            direction,
            transport,
            peer,
        };
        // The answer to a keep-alive.
        let Some(head) = Head::scan(message) else { return };
        self.count(way, &head, message);
        log(way, &head, message);
    }

    fn count(&mut self, way: Way, head: &Head<'_>, message: &[u8]) {
        // A connection repeats nothing.
        let again = way.transport == Transport::Udp && self.repeats.again(way.direction, way.peer, message);
        lock(&self.journal.metrics)
            .sip
            .message(way.direction, &head.start, again);
    }
}

/// One line, credentials cut out.
fn log(way: Way, head: &Head<'_>, message: &[u8]) {
    if !tracing::enabled!(target: "baton_server::sip", tracing::Level::DEBUG) {
        return;
    }
    let (peer, transport, text) = (way.peer, way.transport.name(), redacted(message));
    let (title, sip_call_id) = (head.title(), &*head.call_id);
    match way.direction {
        Direction::In => {
            tracing::debug!(target: "baton_server::sip", %peer, transport, sip_call_id, title, sip = text, "SIP received");
        }
        Direction::Out => {
            tracing::debug!(target: "baton_server::sip", %peer, transport, sip_call_id, title, sip = text, "SIP sent");
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
        let mut tap = Tap::new(Arc::clone(&journal), ["192.0.2.1".parse().expect("an address")]);
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
                tap.datagram_goes(transmit.to, &transmit.bytes);
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
        tap.datagram_came(to, &datagram);
        endpoint.handle_datagram(now, to, datagram);
        let second = asked(&mut endpoint, &mut tap, &udp);
        let shown = second.header("Authorization").expect("credentials").into_owned();
        assert!(shown.contains("oona-for-us") && shown.contains("n0nce"), "{shown}");

        // Of no trunk; and what is no message.
        tap.datagram_came(to, &first.to_bytes());
        tap.datagram_came(to, b"\x80\x00hello");
        tap.datagram_came(to, b"\r\n\r\n");
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
