//! An endpoint and a peer on connections that a test opens, cuts and closes.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use bytes::Bytes;

use super::network::{nothing_left, sdp, what};
use crate::endpoint::{Alive, Config, DialogId, Endpoint, Event, FlowBounds, FlowId, Invite, Stream};
use crate::message::Message;

struct Line {
    now: Instant,
    end: Endpoint,
}

fn us() -> SocketAddr {
    "192.0.2.1:5060".parse().expect("address")
}

/// Where connections of the peer come from.
fn client() -> SocketAddr {
    "192.0.2.9:43210".parse().expect("address")
}

/// Where the peer listens.
fn peer() -> SocketAddr {
    "192.0.2.9:5099".parse().expect("address")
}

impl Line {
    fn new() -> Line {
        Line::bounded(FlowBounds::default())
    }

    fn bounded(bounds: FlowBounds) -> Line {
        let config = Config {
            flows: Some(bounds),
            also: Some("[2001:db8::1]:5060".parse().expect("address")),
            ..Config::new(us(), 7)
        };
        Line {
            now: Instant::now(),
            end: Endpoint::new(config),
        }
    }

    fn accept(&mut self) -> FlowId {
        self.end.accept_flow(self.now, client()).expect("room")
    }

    /// Text with `\n` for CRLF comes on a connection; what follows.
    fn send(&mut self, flow: FlowId, text: &str) -> Vec<Stream> {
        self.end
            .handle_stream(self.now, flow, text.replace('\n', "\r\n").as_bytes());
        self.streams()
    }

    fn streams(&mut self) -> Vec<Stream> {
        std::iter::from_fn(|| self.end.poll_stream()).collect()
    }

    /// In short: `connect 1 192.0.2.9:5099`, `1: 200 INVITE`, `close 1`, and `udp: INVITE`.
    fn does(&mut self) -> Vec<String> {
        let mut does: Vec<String> = self.streams().iter().map(brief).collect();
        while let Some(transmit) = self.end.poll_transmit() {
            does.push(format!("udp {}: {}", transmit.to, what(&transmit.bytes)));
        }
        does
    }

    fn call(&mut self, to: &str) -> DialogId {
        let invite = Invite {
            to: to.into(),
            from: "<sip:us@h>".into(),
            offer: Some(sdp("offer")),
            ..Invite::default()
        };
        self.end.invite(self.now, invite)
    }

    fn wait(&mut self, ms: u64) {
        let end = self.now + Duration::from_millis(ms);
        while let Some(at) = self.end.poll_timeout().filter(|at| *at <= end) {
            self.now = at.max(self.now);
            self.end.handle_timeout(self.now);
        }
        self.now = end;
    }

    fn event(&mut self) -> Option<Event> {
        self.end.poll_event()
    }

    /// The dialog of an INVITE that came on a connection, answered and acknowledged; our tag.
    fn connect(&mut self, flow: FlowId, contact: &str) -> (DialogId, String) {
        self.send(flow, &request("INVITE", 1, "", contact));
        let Some(Event::Invite { dialog, from, .. }) = self.event() else {
            panic!("no INVITE")
        };
        assert_eq!(from, client());
        self.end.answer(self.now, dialog, sdp("answer"), &[]).expect("answer");
        let ok = message(&self.streams()[0]);
        let tag = ok.to().and_then(|to| to.tag()).expect("tag");
        assert!(self.send(flow, &request("ACK", 1, &tag, contact)).is_empty());
        assert!(matches!(self.event(), Some(Event::Acked { .. })));
        (dialog, tag)
    }

    /// Nothing is left once the last connection is closed and every timer has run out.
    fn finish(mut self) {
        // What is still to be opened nobody opens: that is for the sockets' owner to say.
        for flow in 1..20 {
            self.end.handle_closed(self.now, FlowId(flow));
        }
        self.wait(400_000);
        self.streams();
        assert_eq!(self.end.alive(), Alive::default());
        assert_eq!(self.end.flows(), 0);
        assert!(nothing_left(&self.end), "{:#?}", self.end);
    }
}

fn brief(stream: &Stream) -> String {
    match stream {
        Stream::Connect { flow, to } => format!("connect {} {to}", flow.0),
        Stream::Send { flow, bytes } if *bytes == "\r\n" => format!("{}: pong", flow.0),
        Stream::Send { flow, bytes } => format!("{}: {}", flow.0, what(bytes)),
        Stream::Close { flow } => format!("close {}", flow.0),
    }
}

fn message(stream: &Stream) -> Message {
    match stream {
        Stream::Send { bytes, .. } => Message::parse(bytes.clone()).expect("our own messages can be read"),
        other => panic!("{other:?}"),
    }
}

fn request(method: &str, cseq: u32, to_tag: &str, contact: &str) -> String {
    let tag = if to_tag.is_empty() {
        String::new()
    } else {
        format!(";tag={to_tag}")
    };
    format!(
        "{method} sip:us@192.0.2.1 SIP/2.0\nVia: SIP/2.0/TCP 192.0.2.9:5099;branch=z9hG4bK{method}{cseq}\n\
         From: <sip:peer@p.example>;tag=pt\nTo: <sip:us@192.0.2.1>{tag}\nCall-ID: c1\nCSeq: {cseq} {method}\n\
         Max-Forwards: 70\nContact: {contact}\nContent-Length: 0\n\n"
    )
}

/// The peer's answer to a request of ours.
fn answer(request: &Message, status: u16, contact: &str) -> String {
    let mut answer = Message::response(request, status, "x");
    answer.set_to_tag("theirs");
    answer.push("Contact", contact);
    if status == 200 {
        answer.set_body("application/sdp", sdp("answer"));
    }
    String::from_utf8(answer.to_bytes().to_vec())
        .expect("text")
        .replace("\r\n", "\n")
}

const CONTACT: &str = "<sip:peer@192.0.2.9:5099;transport=tcp>";

#[test]
fn answers_and_requests_of_a_dialog_take_its_connection() {
    let mut line = Line::new();
    let flow = line.accept();
    let (dialog, _) = line.connect(flow, CONTACT);
    line.end.reinvite(line.now, dialog, sdp("again")).expect("reinvite");
    let sent = line.streams();
    assert_eq!(sent.len(), 1, "{sent:?}");
    assert!(matches!(sent[0], Stream::Send { flow: took, .. } if took == flow));
    let invite = message(&sent[0]);
    let via = invite.via().expect("Via");
    assert_eq!((&*via.transport, via.port), ("TCP", Some(5060)));
    assert_eq!(
        invite.header("Contact").as_deref(),
        Some("<sip:192.0.2.1:5060;transport=tcp>")
    );
    // What runs over TCP is not repeated by us.
    line.wait(20_000);
    assert!(line.does().is_empty());
    line.send(flow, &answer(&invite, 200, CONTACT));
    line.end.end(line.now, dialog, None).expect("end");
    assert_eq!(line.does(), ["1: BYE"]);
    line.end.handle_closed(line.now, flow);
    // The BYE is sent again, on a new connection to where the peer listens.
    assert_eq!(line.does(), ["connect 2 192.0.2.9:5099", "2: BYE"]);
    line.end.handle_closed(line.now, FlowId(2));
    assert!(line.does().is_empty());
    let events: Vec<_> = std::iter::from_fn(|| line.event()).collect();
    assert!(matches!(events.last(), Some(Event::Ended { .. })), "{events:?}");
    line.finish();
}

#[test]
fn an_answer_whose_connection_is_closed_opens_a_new_one() {
    let mut line = Line::new();
    let flow = line.accept();
    assert_eq!(line.send(flow, &request("INVITE", 1, "", CONTACT)).len(), 1);
    let Some(Event::Invite { dialog, .. }) = line.event() else {
        panic!("no INVITE")
    };
    line.end.handle_closed(line.now, flow);
    assert!(line.does().is_empty());
    // RFC 3261 §18.2.2: the address that it came from, the port of sent-by.
    line.end.reject(line.now, dialog, 486, &[]).expect("reject");
    assert_eq!(line.does(), ["connect 2 192.0.2.9:5099", "2: 486 INVITE"]);
    line.end.handle_connected(line.now, FlowId(2));
    // It is not acknowledged, and that connection goes, too.
    line.end.handle_closed(line.now, FlowId(2));
    assert_eq!(line.does(), ["connect 3 192.0.2.9:5099", "3: 486 INVITE"]);
    // The client asks again from elsewhere: there it is answered.
    line.end.handle_closed(line.now, FlowId(3));
    let again = line.accept();
    let answers = line.send(again, &request("INVITE", 1, "", CONTACT));
    assert_eq!(answers.iter().map(brief).collect::<Vec<_>>(), ["4: 486 INVITE"]);
    line.finish();
}

#[test]
fn an_answer_that_was_not_written_is_written_on_a_new_connection() {
    let mut line = Line::new();
    let flow = line.accept();
    let (_, tag) = line.connect(flow, CONTACT);
    line.end.handle_stream(
        line.now,
        flow,
        request("BYE", 2, &tag, CONTACT).replace('\n', "\r\n").as_bytes(),
    );
    line.end.handle_closed(line.now, flow);
    assert_eq!(line.does(), ["connect 2 192.0.2.9:5099", "2: 200 BYE"]);
    line.finish();
}

/// Its Contact is written for the way that it takes: it must be known again all the same.
#[test]
fn a_202_that_was_not_written_is_written_on_a_new_connection() {
    let mut line = Line::new();
    let flow = line.accept();
    let (dialog, tag) = line.connect(flow, CONTACT);
    let refer = request("REFER", 2, &tag, CONTACT).replace("Contact", "Refer-To: <sip:carol@c.example>\nContact");
    assert!(line.send(flow, &refer).is_empty());
    let Some(Event::Refer { refer, .. }) = line.event() else {
        panic!("no REFER")
    };
    line.end.accept_refer(line.now, refer).expect("accept");
    line.end.handle_closed(line.now, flow);
    let mut does = line.does();
    does.sort();
    assert_eq!(does, ["2: 202 REFER", "2: NOTIFY", "connect 2 192.0.2.9:5099"]);
    line.end.end(line.now, dialog, None).expect("end");
    line.finish();
}

#[test]
fn a_request_survives_its_connection_at_every_point() {
    for provisional in [None, Some(100), Some(180)] {
        let mut line = Line::new();
        let dialog = line.call("sip:peer@192.0.2.9:5099;transport=tcp");
        let sent = line.streams();
        assert_eq!(
            sent.iter().map(brief).collect::<Vec<_>>(),
            ["connect 1 192.0.2.9:5099", "1: INVITE"]
        );
        let invite = message(&sent[1]);
        line.end.handle_connected(line.now, FlowId(1));
        if let Some(status) = provisional {
            line.send(FlowId(1), &answer(&invite, status, CONTACT));
        }
        line.end.handle_closed(line.now, FlowId(1));
        let again = line.streams();
        assert_eq!(
            again.iter().map(brief).collect::<Vec<_>>(),
            ["connect 2 192.0.2.9:5099", "2: INVITE"]
        );
        assert_eq!(message(&again[1]).to_bytes(), invite.to_bytes(), "the same transaction");
        line.end.handle_connected(line.now, FlowId(2));
        let ack = line.send(FlowId(2), &answer(&invite, 200, CONTACT));
        assert_eq!(ack.iter().map(brief).collect::<Vec<_>>(), ["2: ACK"]);
        while let Some(event) = line.event() {
            assert!(!matches!(event, Event::Refused { .. }), "{event:?}");
        }
        // A 2xx that comes again, on a third connection that the peer opened, is acknowledged again.
        line.end.handle_closed(line.now, FlowId(2));
        let third = line.accept();
        let acks = line.send(third, &answer(&invite, 200, CONTACT));
        assert_eq!(acks.len(), 2, "{acks:?}");
        assert_eq!(what_of(&acks), ["ACK"]);
        line.end.end(line.now, dialog, None).expect("end");
        line.finish();
    }
}

/// The peer may have refused it already, and be done with it: then it would ring for nobody.
#[test]
fn an_invite_that_was_cancelled_is_not_sent_again() {
    for cancelled in [false, true] {
        let mut line = Line::new();
        let dialog = line.call("sip:peer@192.0.2.9:5099;transport=tcp");
        let invite = message(&line.streams()[1]);
        line.end.handle_connected(line.now, FlowId(1));
        line.send(FlowId(1), &answer(&invite, 180, CONTACT));
        line.end.end(line.now, dialog, None).expect("end");
        let cancel = line.streams();
        assert_eq!(what_of(&cancel), ["CANCEL"]);
        if cancelled {
            line.send(FlowId(1), &answer(&message(&cancel[0]), 200, CONTACT));
        }
        line.end.handle_closed(line.now, FlowId(1));
        let again = line.streams();
        assert_eq!(what_of(&again), if cancelled { vec![] } else { vec!["CANCEL"] });
        let flow = line.accept();
        if !cancelled {
            line.send(flow, &answer(&message(&cancel[0]), 200, CONTACT));
        }
        let acks = line.send(flow, &answer(&invite, 487, CONTACT));
        assert_eq!(what_of(&acks), ["ACK"]);
        line.finish();
    }
}

fn what_of(streams: &[Stream]) -> Vec<String> {
    let sends = streams.iter().filter_map(|stream| match stream {
        Stream::Send { bytes, .. } => Some(what(bytes)),
        _ => None,
    });
    sends.collect()
}

#[test]
fn a_request_that_no_connection_takes_fails_with_503() {
    let mut line = Line::new();
    line.call("sip:peer@192.0.2.9:5099;transport=tcp");
    assert_eq!(line.does(), ["connect 1 192.0.2.9:5099", "1: INVITE"]);
    line.end.handle_closed(line.now, FlowId(1));
    assert!(matches!(line.event(), Some(Event::Refused { status: 503, .. })));
    assert!(line.does().is_empty());
    line.finish();

    // One that takes it and closes, again and again, is no better.
    let mut line = Line::new();
    line.call("sip:peer@192.0.2.9:5099;transport=tcp");
    let mut connections = 0;
    while let Some(Stream::Connect { flow, .. }) = line.streams().first() {
        connections += 1;
        line.end.handle_connected(line.now, *flow);
        line.end.handle_closed(line.now, *flow);
    }
    assert_eq!(connections, 4);
    assert!(matches!(line.event(), Some(Event::Refused { status: 503, .. })));
    line.finish();
}

#[test]
fn a_peer_that_answers_a_little_and_closes_does_not_keep_us_busy() {
    let mut line = Line::new();
    line.call("sip:peer@192.0.2.9:5099;transport=tcp");
    let mut connections = 0;
    let mut sent = line.streams();
    while let [Stream::Connect { flow, .. }, invite, ..] = &sent[..] {
        connections += 1;
        assert!(connections < 100);
        line.end.handle_connected(line.now, *flow);
        line.send(*flow, &answer(&message(invite), 180, CONTACT));
        line.end.handle_closed(line.now, *flow);
        sent = line.streams();
    }
    assert_eq!(connections, 17);
    let told: Vec<_> = std::iter::from_fn(|| line.event()).collect();
    assert!(
        matches!(told.last(), Some(Event::Refused { status: 503, .. })),
        "{told:?}"
    );
    line.finish();
}

#[test]
fn without_tcp_nothing_goes_by_it() {
    let mut end = Endpoint::new(Config::new(us(), 7));
    let now = Instant::now();
    let invite = |to: String| Invite {
        to,
        ..Invite::default()
    };
    end.invite(now, invite("sip:peer@192.0.2.9;transport=tcp".into()));
    assert!(matches!(end.poll_event(), Some(Event::Refused { status: 503, .. })));
    end.invite(now, invite(format!("sip:{}@192.0.2.9", "a".repeat(1300))));
    assert!(end.poll_transmit().is_some_and(|transmit| transmit.bytes.len() > 1300));
    assert_eq!((end.poll_stream(), end.accept_flow(now, peer())), (None, None));
}

#[test]
fn a_connection_that_never_opens_is_given_up() {
    let mut line = Line::new();
    line.call("sip:peer@192.0.2.9:5099;transport=tcp");
    let long = format!("sip:{}@192.0.2.9:5098", "a".repeat(600));
    line.call(&long);
    line.does();
    line.wait(1_999);
    assert!(line.does().is_empty());
    line.wait(1);
    let mut does = line.does();
    does.sort();
    assert_eq!(does, ["close 1", "close 2", "udp 192.0.2.9:5098: INVITE"]);
    assert!(matches!(line.event(), Some(Event::Refused { status: 503, .. })));
    assert!(line.event().is_none());
    line.finish();
}

#[test]
fn what_is_too_long_for_a_datagram_goes_by_tcp_and_by_udp_where_that_is_refused() {
    let length = |user: usize| {
        let mut line = Line::new();
        line.call(&format!("sip:{}@192.0.2.9:5099", "a".repeat(user)));
        match line.end.poll_transmit() {
            Some(transmit) => Ok(transmit.bytes.len()),
            None => Err(line.does()),
        }
    };
    // The name stands in Request-URI and To.
    let short = length(10).expect("a datagram");
    let exact = 10 + (1300 - short) / 2;
    assert!(matches!(length(exact), Ok(1299 | 1300)));
    assert_eq!(
        length(exact + 1),
        Err(vec!["connect 1 192.0.2.9:5099".into(), "1: INVITE".into()])
    );

    let mut line = Line::new();
    line.call(&format!("sip:{}@192.0.2.9:5099", "a".repeat(exact + 1)));
    line.streams();
    line.end.handle_closed(line.now, FlowId(1));
    let datagram = line.end.poll_transmit().expect("a datagram");
    let invite = Message::parse(datagram.bytes).expect("a message");
    assert_eq!(invite.via().expect("Via").transport, "UDP");
    assert_eq!(invite.header("Contact").as_deref(), Some("<sip:192.0.2.1:5060>"));
    // From now on it is a datagram like every other: repeated by us.
    line.wait(500);
    assert_eq!(line.does(), ["udp 192.0.2.9:5099: INVITE"]);
    // The next one need not try.
    let long = format!("sip:{}@192.0.2.9:5099", "a".repeat(exact + 1));
    let next = line.call(&long);
    assert_eq!(line.does(), ["udp 192.0.2.9:5099: INVITE"]);
    line.end.end(line.now, next, None).expect("end");
    line.wait(299_000);
    line.does();
    let last = line.call(&long);
    assert_eq!(line.does(), ["udp 192.0.2.9:5099: INVITE"]);
    line.end.end(line.now, last, None).expect("end");
    line.wait(1_000);
    line.does();
    line.call(&long);
    assert_eq!(
        line.does(),
        ["connect 2 192.0.2.9:5099", "2: INVITE"],
        "it may have changed its mind"
    );
    assert!(matches!(line.event(), Some(Event::Refused { status: 408, .. })));
    line.does();
    line.finish();
}

#[test]
fn a_dialog_says_where_it_goes_on() {
    // Contact without a transport: the dialog's own, as long as its connection is there, and after it.
    for (contact, after) in [
        ("<sip:peer@192.0.2.9:5099>", "connect 2 192.0.2.9:5099"),
        ("<sip:peer@192.0.2.9:5070;transport=tcp>", "connect 2 192.0.2.9:5070"),
        ("<sip:peer@192.0.2.10;transport=tcp>", "connect 2 192.0.2.10:5060"),
        (
            "<sip:peer@[2001:db8::9]:5070;transport=tcp>",
            "connect 2 [2001:db8::9]:5070",
        ),
        ("<sip:peer@192.0.2.9:5099;transport=udp>", "udp 192.0.2.9:5099: BYE"),
    ] {
        let mut line = Line::new();
        let flow = line.accept();
        let (dialog, _) = line.connect(flow, contact);
        line.end.handle_closed(line.now, flow);
        line.end.end(line.now, dialog, None).expect("end");
        assert_eq!(line.does()[0], after, "{contact}");
    }
}

#[test]
fn who_is_behind_a_nat_is_called_on_its_connection() {
    let mut line = Line::new();
    let flow = line.accept();
    let (dialog, _) = line.connect(flow, "<sip:peer@192.168.1.9:5099;transport=tcp>");
    line.end.end(line.now, dialog, None).expect("end");
    assert_eq!(line.does(), [format!("{}: BYE", flow.0)]);
}

#[test]
fn the_peer_comes_back_on_another_connection() {
    let mut line = Line::new();
    let flow = line.accept();
    let (dialog, tag) = line.connect(flow, CONTACT);
    line.end.handle_closed(line.now, flow);
    let second = line.accept();
    line.send(second, &request("OPTIONS", 2, &tag, CONTACT));
    line.end.end(line.now, dialog, None).expect("end");
    assert_eq!(line.does(), [format!("{}: BYE", second.0)]);
}

#[test]
fn ipv6_peers_see_our_ipv6_address() {
    let mut line = Line::new();
    line.call("sip:peer@[2001:db8::9]");
    let transmit = line.end.poll_transmit().expect("a datagram");
    assert_eq!(transmit.to, "[2001:db8::9]:5060".parse().expect("address"));
    let invite = Message::parse(transmit.bytes).expect("a message");
    assert_eq!(invite.via().expect("Via").host, "[2001:db8::1]");
    assert_eq!(invite.header("Contact").as_deref(), Some("<sip:[2001:db8::1]:5060>"));
    // Via with received and rport on IPv6 (RFC 5118 §4.5): the answer goes to where the request came from.
    let text = request("OPTIONS", 1, "", "<sip:p@[2001:db8::9]>")
        .replace("SIP/2.0/TCP 192.0.2.9:5099;", "SIP/2.0/UDP [2001:db8::99]:5070;rport;")
        .replace('\n', "\r\n");
    let from: SocketAddr = "[2001:db8::9]:40000".parse().expect("address");
    line.end.handle_datagram(line.now, from, Bytes::from(text));
    let answer = line.end.poll_transmit().expect("an answer");
    assert_eq!(answer.to, from);
    let via = Message::parse(answer.bytes).expect("a message").via().expect("Via");
    assert_eq!((via.received(), via.rport()), (Some(from.ip()), Some(Some(40000))));
}

#[test]
fn idle_connections_are_closed_and_those_of_calls_are_not() {
    let mut line = Line::new();
    let silent = line.accept();
    let idle = line.accept();
    line.send(idle, &request("OPTIONS", 1, "", CONTACT));
    let busy = line.accept();
    let (dialog, _) = line.connect(busy, CONTACT);
    // No message at all within `unfinished`.
    line.wait(10_000);
    assert_eq!(line.does(), [format!("close {}", silent.0)]);
    line.wait(100_000);
    assert_eq!(
        line.send(idle, "\n\n").iter().map(brief).collect::<Vec<_>>(),
        [format!("{}: pong", idle.0)]
    );
    line.wait(179_000);
    assert!(line.does().is_empty(), "a keep-alive keeps alive");
    line.wait(1_000);
    assert_eq!(line.does(), [format!("close {}", idle.0)]);
    line.wait(1_000_000);
    assert!(line.does().is_empty());
    line.end.end(line.now, dialog, None).expect("end");
    line.finish();
}

#[test]
fn keep_alives_alone_do_not_keep_a_connection() {
    let mut line = Line::new();
    let flow = line.accept();
    for _ in 0..9 {
        line.wait(1_000);
        let pongs = line.send(flow, "\n\n");
        assert_eq!(pongs.iter().map(brief).collect::<Vec<_>>(), ["1: pong"]);
    }
    line.wait(1_000);
    assert_eq!(line.does(), ["close 1"]);
    line.finish();
}

#[test]
fn a_message_that_does_not_end_ends_its_connection() {
    let mut line = Line::new();
    let flow = line.accept();
    line.send(flow, &request("OPTIONS", 1, "", CONTACT));
    for byte in request("OPTIONS", 2, "", CONTACT).bytes().take(9) {
        line.send(flow, &String::from(char::from(byte)));
        line.wait(1_000);
    }
    assert!(line.does().is_empty());
    line.wait(1_000);
    assert_eq!(line.does(), ["close 1"]);
    line.finish();
}

#[test]
fn connections_are_bounded_and_some_are_kept_for_ours() {
    let bounds = FlowBounds {
        connections: 8,
        per_peer: 3,
        ..FlowBounds::default()
    };
    let mut line = Line::bounded(bounds);
    let from = |host: u8| SocketAddr::from(([198, 51, 100, host], 4000));
    for host in [1, 1, 1, 2, 2, 2] {
        assert!(line.end.accept_flow(line.now, from(host)).is_some());
    }
    assert_eq!(line.end.accept_flow(line.now, from(1)), None, "three with one address");
    assert_eq!(line.end.accept_flow(line.now, from(3)), None, "two are kept for ours");
    for host in 1..=3 {
        line.call(&format!("sip:peer@203.0.113.{host};transport=tcp"));
    }
    assert_eq!(line.end.flows(), 8);
    assert_eq!(line.does().len(), 4, "two connections with one INVITE each");
    assert!(matches!(line.event(), Some(Event::Refused { status: 503, .. })));
    assert!(line.event().is_none());
    // One that is gone makes room.
    line.end.handle_closed(line.now, FlowId(1));
    assert!(line.end.accept_flow(line.now, from(1)).is_none(), "still kept");
}

#[test]
fn strangers_do_not_take_the_connections_of_those_who_may_call() {
    let bounds = FlowBounds {
        connections: 8,
        per_peer: 3,
        ..FlowBounds::default()
    };
    let mut line = Line::bounded(bounds);
    let from = |host: u8| SocketAddr::from(([198, 51, 100, host], 4000));
    line.end.admit([from(1).ip()]);
    let taken = (10..30)
        .filter(|host| line.end.accept_flow(line.now, from(*host)).is_some())
        .count();
    assert_eq!(taken, 4, "half of them");
    assert!(line.end.accept_flow(line.now, from(1)).is_some());
    assert!(line.end.accept_flow(line.now, from(1)).is_some());
    assert_eq!(line.end.accept_flow(line.now, from(1)), None, "two are kept for ours");
}

#[test]
fn connections_from_one_ipv6_network_are_counted_together() {
    let bounds = FlowBounds {
        per_peer: 3,
        ..FlowBounds::default()
    };
    let mut line = Line::bounded(bounds);
    let from = |text: &str| SocketAddr::new(text.parse().expect("address"), 4000);
    for host in ["2001:db8::1", "2001:db8::2", "2001:db8::ffff:0:0:1"] {
        assert!(line.end.accept_flow(line.now, from(host)).is_some(), "{host}");
    }
    assert_eq!(line.end.accept_flow(line.now, from("2001:db8::9:9:9:9")), None);
    assert!(line.end.accept_flow(line.now, from("2001:db8:0:1::1")).is_some());
    for flow in 1..=4 {
        line.end.handle_closed(line.now, FlowId(flow));
    }
    assert!(line.end.accept_flow(line.now, from("2001:db8::9:9:9:9")).is_some());
    line.finish();
}
