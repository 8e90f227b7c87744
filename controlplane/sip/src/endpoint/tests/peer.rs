//! One endpoint, and a peer that is written out by hand.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use bytes::Bytes;

use super::network::{config, sdp, what};
use crate::endpoint::{DialogId, Endpoint, Event, Invite, Refer, ReferId};
use crate::message::Message;

/// Whom a REFER names.
pub(super) const REFER_TO: &str = "Refer-To: <sip:carol@c.example>\n";

/// A REFER of ours that names the same.
pub(super) fn carol() -> Refer {
    Refer {
        to: "sip:carol@c.example".into(),
        ..Refer::default()
    }
}

pub(super) struct Script {
    pub(super) now: Instant,
    pub(super) end: Endpoint,
    pub(super) peer: SocketAddr,
}

impl Script {
    pub(super) fn new() -> Script {
        let address = "192.0.2.1:5060".parse().expect("address");
        Script {
            now: Instant::now(),
            end: Endpoint::new(config(address, 7)),
            peer: "192.0.2.9:5099".parse().expect("address"),
        }
    }

    /// Sends text, `\n` for CRLF, and takes what comes back.
    pub(super) fn send(&mut self, text: &str) -> Vec<Message> {
        self.end
            .handle_datagram(self.now, self.peer, Bytes::from(text.replace('\n', "\r\n")));
        self.sent()
    }

    pub(super) fn sent(&mut self) -> Vec<Message> {
        std::iter::from_fn(|| self.end.poll_transmit())
            .map(|transmit| Message::parse(transmit.bytes).expect("our own messages can be read"))
            .collect()
    }

    /// The one answer to a request.
    pub(super) fn ask(&mut self, text: &str) -> Message {
        let mut answers = self.send(text);
        assert_eq!(answers.len(), 1, "{answers:?}");
        answers.remove(0)
    }

    pub(super) fn event(&mut self) -> Option<Event> {
        self.end.poll_event()
    }

    /// The dialog of an INVITE that just came.
    pub(super) fn invited(&mut self) -> DialogId {
        match self.event() {
            Some(Event::Invite { dialog, .. }) => dialog,
            other => panic!("{other:?}"),
        }
    }

    /// The REFER that just came.
    pub(super) fn referred(&mut self) -> (ReferId, Box<Message>) {
        match self.event() {
            Some(Event::Refer { refer, request, .. }) => (refer, request),
            other => panic!("{other:?}"),
        }
    }

    /// The peer answers a request of ours; what comes back.
    pub(super) fn answer(&mut self, request: &Message, status: &str) -> Vec<Message> {
        self.send(&answer_to(request, status, "pt", ""))
    }

    /// Advances to every timer for so long.
    pub(super) fn wait(&mut self, ms: u64) {
        let end = self.now + Duration::from_millis(ms);
        while let Some(at) = self.end.poll_timeout().filter(|at| *at <= end) {
            self.now = at;
            self.end.handle_timeout(at);
        }
        self.now = end;
    }

    /// A call that came, was answered and acknowledged; our tag.
    pub(super) fn connect(&mut self) -> (DialogId, String) {
        self.send(&request("INVITE", "1", "1", "", ""));
        let dialog = self.invited();
        self.end.answer(self.now, dialog, sdp("answer"), &[]).expect("answer");
        let ok = self.sent().remove(0);
        let tag = ok.to().and_then(|to| to.tag()).expect("tag");
        assert!(self.send(&request("ACK", "1a", "1", &tag, "")).is_empty());
        assert!(matches!(self.event(), Some(Event::Acked { .. })));
        (dialog, tag)
    }
}

/// A request of the peer. A header in `more` ends with `\n`.
pub(super) fn request(method: &str, branch: &str, cseq: &str, to_tag: &str, more: &str) -> String {
    let tag = if to_tag.is_empty() {
        String::new()
    } else {
        format!(";tag={to_tag}")
    };
    format!(
        "{method} sip:us@192.0.2.1 SIP/2.0\nVia: SIP/2.0/UDP 192.0.2.9:5099;branch=z9hG4bK{branch}\nFrom: <sip:peer@p.example>;tag=pt\n\
         To: <sip:us@192.0.2.1>{tag}\nCall-ID: c1\nCSeq: {cseq} {method}\nMax-Forwards: 70\nContact: <sip:peer@192.0.2.9:5099>\n{more}\
         Content-Length: 0\n\n"
    )
}

pub(super) fn whats(messages: &[Message]) -> Vec<String> {
    messages.iter().map(|message| what(&message.to_bytes())).collect()
}

/// What a peer answers to a request of ours. `tag` is its own, where To has none yet.
pub(super) fn answer_to(request: &Message, status: &str, tag: &str, more: &str) -> String {
    let header = |name| request.header(name).expect("header").into_owned();
    let (via, from, to, call_id, cseq) = (
        header("Via"),
        header("From"),
        header("To"),
        header("Call-ID"),
        header("CSeq"),
    );
    let to = match to.contains(";tag=") {
        true => to,
        false => format!("{to};tag={tag}"),
    };
    format!(
        "SIP/2.0 {status}\nVia: {via}\nFrom: {from}\nTo: {to}\nCall-ID: {call_id}\nCSeq: {cseq}\n{more}Content-Length: 0\n\n"
    )
}

pub(super) fn call(script: &mut Script) -> (DialogId, Message) {
    let invite = Invite {
        to: "sip:peer@p.example".into(),
        from: "<sip:us@192.0.2.1>".into(),
        next_hop: Some(script.peer),
        headers: vec![("X-Evil".into(), "a\r\nInjected: yes".into())],
        offer: Some(sdp("offer")),
        ..Invite::default()
    };
    let dialog = script.end.invite(script.now, invite);
    (dialog, script.sent().remove(0))
}
