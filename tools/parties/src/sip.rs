//! A user agent of one call (RFC 3261 over UDP), without its socket: time and datagrams in, datagrams and events out.

mod message;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::events;
use crate::rng::Rng;
use crate::sdp::{Description, Local, Numbers};
use message::{Message, Start};

/// RFC 3261 §17.1.1.1: the estimate of a round trip.
const T1: Duration = Duration::from_millis(500);

/// RFC 3261 §17.1.2.2: the longest interval of repetition.
const T2: Duration = Duration::from_secs(4);

/// 64 × T1: then a transaction has failed.
const GIVE_UP: Duration = Duration::from_secs(32);

/// Answers that are kept for repeated requests.
const ANSWERS_KEPT: usize = 16;

/// What the script of a party wants to know.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// An INVITE came: `X-Baton-Call`, and what it offers. It waits for [`Ua::ring`] and [`Ua::accept`] or [`Ua::reject`].
    Invited {
        /// `X-Baton-Call`.
        call: Option<String>,
        /// Its description, where it has one.
        offer: Option<Description>,
    },
    /// The other side answered our INVITE.
    Answered(Description),
    /// The other side refused our INVITE.
    Refused(u16),
    /// The other side's ACK came: the call that we accepted is up. With the answer, where our 200 had the offer.
    Up(Option<Description>),
    /// A re-INVITE changed the stream.
    Changed(Description),
    /// The other side hung up, or cancelled its INVITE.
    Ended,
    /// Our BYE or CANCEL is answered, or will never be.
    Over,
    /// Nobody answered a message of ours.
    TimedOut,
}

/// A user agent.
pub struct Ua {
    local: SocketAddr,
    user: String,
    media: Local,
    /// What the newest description of ours numbers.
    numbers: Numbers,
    rng: Rng,
    call: Option<Call>,
    repeated: Vec<Repeated>,
    answers: VecDeque<(String, Vec<u8>)>,
    events: VecDeque<Event>,
    out: VecDeque<(SocketAddr, Vec<u8>)>,
}

/// One dialog.
struct Call {
    state: State,
    id: String,
    local_uri: String,
    local_tag: String,
    remote_uri: String,
    remote_tag: Option<String>,
    /// Where requests of the dialog go: the other's Contact.
    target: String,
    peer: SocketAddr,
    cseq: u32,
    remote_cseq: u32,
    /// The INVITE that is being answered, or that we sent.
    invite: Message,
    /// The ACK of the 2xx, for its repetitions.
    ack: Option<Vec<u8>>,
    /// The 2xx answered had our offer: the ACK has the answer.
    offered: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Our INVITE is out; `CANCEL` may have to wait for the first provisional answer (RFC 3261 §9.1).
    Calling {
        provisional: bool,
        cancel: bool,
    },
    /// Their INVITE is here.
    Ringing,
    /// Our 200 is out.
    Accepted,
    Up,
    /// Our BYE is out, or our refusal waits for its ACK.
    Ending,
    Over,
}

/// A message that is sent again until something comes.
struct Repeated {
    /// Branch and method of our request; `ACK` for an answer of ours that waits for its ACK.
    key: String,
    to: SocketAddr,
    bytes: Vec<u8>,
    next: Instant,
    interval: Duration,
    /// An INVITE doubles without limit, all else up to T2.
    longest: Duration,
    until: Instant,
}

impl Ua {
    /// `local` is the socket's address, `user` the part before the @ of our URI.
    pub fn new(local: SocketAddr, user: &str, media: Local) -> Ua {
        Ua {
            local,
            user: user.to_owned(),
            media,
            numbers: Numbers::offered(media.codec),
            rng: Rng::new(),
            call: None,
            repeated: Vec::new(),
            answers: VecDeque::new(),
            events: VecDeque::new(),
            out: VecDeque::new(),
        }
    }

    /// Calls a URI by way of `peer`.
    pub fn invite(&mut self, now: Instant, uri: &str, peer: SocketAddr) {
        let local_uri = format!("sip:{}@{}", self.user, self.local);
        let mut call = Call {
            state: State::Calling {
                provisional: false,
                cancel: false,
            },
            id: format!("{}@{}", self.rng.token(), self.local.ip()),
            local_uri,
            local_tag: self.rng.token(),
            remote_uri: uri.to_owned(),
            remote_tag: None,
            target: uri.to_owned(),
            peer,
            cseq: 1,
            remote_cseq: 0,
            invite: Message::request("INVITE", uri),
            ack: None,
            offered: true,
        };
        let branch = self.branch();
        call.invite = self.request(&call, "INVITE", 1, &branch, Some(&self.media.offer()));
        let bytes = call.invite.print();
        self.repeat(now, format!("{branch} INVITE"), peer, bytes, GIVE_UP);
        self.call = Some(call);
    }

    /// Says 180 to their INVITE.
    pub fn ring(&mut self, now: Instant) {
        if let Some(call) = self.call.take_if(|call| call.state == State::Ringing) {
            self.answer(now, &call, 180, "Ringing", None);
            self.call = Some(call);
        }
    }

    /// Takes their call. `false` where there is none, or where it offers nothing that we speak: that is refused with 488.
    pub fn accept(&mut self, now: Instant) -> bool {
        let Some(mut call) = self.call.take_if(|call| call.state == State::Ringing) else {
            return false;
        };
        let accepted = match self.describe(&call.invite) {
            Some(sdp) => {
                call.offered = call.invite.body.is_empty();
                self.answer(now, &call, 200, "OK", Some(&sdp));
                call.state = State::Accepted;
                true
            }
            None => {
                self.answer(now, &call, 488, "Not Acceptable Here", None);
                call.state = State::Ending;
                false
            }
        };
        self.call = Some(call);
        accepted
    }

    /// Refuses their call.
    pub fn reject(&mut self, now: Instant, code: u16, reason: &str) {
        if let Some(mut call) = self.call.take_if(|call| call.state == State::Ringing) {
            self.answer(now, &call, code, reason, None);
            call.state = State::Ending;
            self.call = Some(call);
        }
    }

    /// BYE, or CANCEL of an INVITE that is not answered yet. [`Event::Over`] follows, at once where there is no call.
    pub fn hang_up(&mut self, now: Instant) {
        let Some(mut call) = self.call.take() else {
            self.events.push_back(Event::Over);
            return;
        };
        match call.state {
            State::Calling { provisional, .. } => {
                call.state = State::Calling {
                    provisional,
                    cancel: true,
                };
                if provisional {
                    self.cancel(now, &call);
                }
            }
            State::Up | State::Accepted => {
                call.cseq += 1;
                let branch = self.branch();
                let bye = self.request(&call, "BYE", call.cseq, &branch, None).print();
                self.repeat(now, format!("{branch} BYE"), call.peer, bye, T2);
                call.state = State::Ending;
            }
            State::Ringing => {
                self.answer(now, &call, 480, "Temporarily Unavailable", None);
                call.state = State::Ending;
            }
            State::Over => self.events.push_back(Event::Over),
            State::Ending => {}
        }
        self.call = Some(call);
    }

    /// The payload types that we receive by: each side's own description says them (RFC 3264 §5.1).
    pub fn numbers(&self) -> Numbers {
        self.numbers
    }

    /// Nothing waits for an answer any more.
    pub fn is_quiet(&self) -> bool {
        self.repeated.is_empty()
    }

    /// What is to be sent next.
    pub fn poll_transmit(&mut self) -> Option<(SocketAddr, Vec<u8>)> {
        self.out.pop_front()
    }

    /// What happened next.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// Time has passed.
    pub fn handle_timeout(&mut self, now: Instant) {
        let mut repeated = std::mem::take(&mut self.repeated);
        repeated.retain_mut(|message| {
            if now >= message.until {
                self.given_up(&message.key);
                return false;
            }
            if now >= message.next {
                self.out.push_back((message.to, message.bytes.clone()));
                message.interval = (message.interval * 2).min(message.longest);
                message.next = now + message.interval;
            }
            true
        });
        self.repeated.append(&mut repeated);
    }

    fn given_up(&mut self, key: &str) {
        let over = self
            .call
            .as_mut()
            .map(|call| std::mem::replace(&mut call.state, State::Over));
        self.events.push_back(match over {
            Some(State::Ending) if !key.ends_with("INVITE") => Event::Over,
            _ => Event::TimedOut,
        });
    }

    /// A datagram came. What is no SIP, or not of our call, is answered as RFC 3261 demands, or dropped.
    pub fn handle(&mut self, now: Instant, from: SocketAddr, bytes: &[u8]) {
        let Some(message) = Message::parse(bytes) else { return };
        events::emit(now, "sip", json!({ "in": message.title() }));
        match message.start.clone() {
            Start::Request { method, .. } => self.handle_request(now, from, message, &method),
            Start::Response { code, .. } => self.handle_response(now, &message, code),
        }
    }

    fn handle_request(&mut self, now: Instant, from: SocketAddr, request: Message, method: &str) {
        let key = request.transaction();
        if method == "ACK" {
            return self.handle_ack(&request);
        }
        if let Some((_, answer)) = self.answers.iter().rev().find(|(known, _)| *known == key) {
            self.out.push_back((from, answer.clone()));
            return;
        }
        let ours = self
            .call
            .as_ref()
            .is_some_and(|call| call.id == request.header("Call-ID").unwrap_or_default() && call.state != State::Over);
        let Some(mut call) = self.call.take_if(|_| ours) else {
            return match method {
                "INVITE" if self.call.as_ref().is_none_or(|call| call.state == State::Over) => {
                    self.handle_invite(now, from, request);
                }
                "INVITE" => self.respond(now, from, &request, 486, "Busy Here", None, None),
                "OPTIONS" => self.respond(now, from, &request, 200, "OK", None, None),
                _ => self.respond(now, from, &request, 481, "Call/Transaction Does Not Exist", None, None),
            };
        };
        let cseq = request.cseq();
        let tag = Some(call.local_tag.clone());
        match method {
            "CANCEL" => {
                self.respond(now, from, &request, 200, "OK", None, tag);
                if call.state == State::Ringing {
                    self.answer(now, &call, 487, "Request Terminated", None);
                    call.state = State::Ending;
                    self.events.push_back(Event::Ended);
                }
            }
            // RFC 3261 §12.2.2: a number that is not higher is out of order.
            _ if cseq <= call.remote_cseq => {
                self.respond(now, from, &request, 500, "Server Internal Error", None, tag);
            }
            "BYE" => {
                call.remote_cseq = cseq;
                self.respond(now, from, &request, 200, "OK", None, tag);
                call.state = State::Over;
                self.repeated.clear();
                self.events.push_back(Event::Ended);
            }
            "INVITE" if call.state == State::Up => {
                call.remote_cseq = cseq;
                self.media.version += 1;
                match self.describe(&request) {
                    Some(sdp) => {
                        call.offered = request.body.is_empty();
                        if let Some(offer) = Description::parse(&request.body) {
                            self.events.push_back(Event::Changed(offer));
                        }
                        if let Some(contact) = request.contact() {
                            call.target = contact;
                        }
                        call.invite = request;
                        self.answer(now, &call, 200, "OK", Some(&sdp));
                    }
                    None => {
                        call.invite = request;
                        self.answer(now, &call, 488, "Not Acceptable Here", None);
                    }
                }
            }
            // RFC 3261 §14.2.
            "INVITE" => self.respond(now, from, &request, 491, "Request Pending", None, tag),
            "OPTIONS" => {
                call.remote_cseq = cseq;
                self.respond(now, from, &request, 200, "OK", None, tag);
            }
            _ => {
                call.remote_cseq = cseq;
                self.respond(now, from, &request, 501, "Not Implemented", None, tag);
            }
        }
        self.call = Some(call);
    }

    fn handle_invite(&mut self, now: Instant, from: SocketAddr, request: Message) {
        let (Some(target), Some(from_header), Some(id)) =
            (request.contact(), request.header("From"), request.header("Call-ID"))
        else {
            return self.respond(now, from, &request, 400, "Bad Request", None, None);
        };
        self.events.push_back(Event::Invited {
            call: request.header("X-Baton-Call").map(str::to_owned),
            offer: Description::parse(&request.body),
        });
        self.call = Some(Call {
            state: State::Ringing,
            id: id.to_owned(),
            local_uri: message::uri(request.header("To").unwrap_or_default()).to_owned(),
            local_tag: self.rng.token(),
            remote_uri: message::uri(from_header).to_owned(),
            remote_tag: message::tag(from_header),
            target,
            peer: from,
            cseq: 0,
            remote_cseq: request.cseq(),
            invite: request,
            ack: None,
            offered: false,
        });
    }

    fn handle_ack(&mut self, ack: &Message) {
        let Some(call) = &mut self.call else { return };
        if ack.header("Call-ID") != Some(call.id.as_str()) || ack.cseq() != call.invite.cseq() {
            return;
        }
        self.repeated.retain(|message| message.key != "ACK");
        match call.state {
            State::Accepted => {
                call.state = State::Up;
                let answer = Description::parse(&ack.body).filter(|_| call.offered);
                self.events.push_back(Event::Up(answer));
            }
            State::Up if call.offered => {
                call.offered = false;
                self.events.extend(Description::parse(&ack.body).map(Event::Changed));
            }
            State::Ending => {
                call.state = State::Over;
                self.events.push_back(Event::Over);
            }
            _ => {}
        }
    }

    fn handle_response(&mut self, now: Instant, response: &Message, code: u16) {
        let key = response.transaction();
        let Some(mut call) = self.call.take() else { return };
        if response.header("Call-ID") == Some(call.id.as_str()) {
            match (response.cseq_method(), code) {
                ("INVITE", 100..=199) => {
                    self.repeated.retain(|message| message.key != key);
                    if let State::Calling {
                        provisional: false,
                        cancel,
                    } = call.state
                    {
                        call.state = State::Calling {
                            provisional: true,
                            cancel,
                        };
                        if cancel {
                            self.cancel(now, &call);
                        }
                    }
                }
                ("INVITE", 200..=299) => self.handle_accepted(now, &mut call, response, &key),
                ("INVITE", _) => {
                    self.repeated.retain(|message| message.key != key);
                    // RFC 3261 §17.1.1.3: in the transaction of the INVITE, with the To of the answer.
                    let branch = key.split(' ').next().unwrap_or_default().to_owned();
                    let mut ack = self.request(&call, "ACK", call.invite.cseq(), &branch, None);
                    ack.set("To", response.header("To").unwrap_or_default());
                    self.transmit(now, call.peer, &ack);
                    if let State::Calling { cancel, .. } = call.state {
                        call.state = State::Over;
                        self.events
                            .push_back(if cancel { Event::Over } else { Event::Refused(code) });
                    }
                }
                ("BYE", 200..) => {
                    self.repeated.retain(|message| message.key != key);
                    if call.state == State::Ending {
                        call.state = State::Over;
                        self.events.push_back(Event::Over);
                    }
                }
                (_, 200..) => self.repeated.retain(|message| message.key != key),
                _ => {}
            }
        }
        self.call = Some(call);
    }

    /// A 2xx to our INVITE: the first makes the dialog, each is acknowledged (RFC 3261 §13.2.2.4).
    fn handle_accepted(&mut self, now: Instant, call: &mut Call, response: &Message, key: &str) {
        self.repeated.retain(|message| message.key != key);
        if let Some(ack) = &call.ack {
            self.out.push_back((call.peer, ack.clone()));
            return;
        }
        let State::Calling { cancel, .. } = call.state else {
            return;
        };
        call.remote_tag = message::tag(response.header("To").unwrap_or_default());
        if let Some(contact) = response.contact() {
            call.target = contact;
        }
        let branch = self.branch();
        let ack = self.request(call, "ACK", call.invite.cseq(), &branch, None);
        self.transmit(now, call.peer, &ack);
        call.ack = Some(ack.print());
        call.state = State::Up;
        let answer = Description::parse(&response.body).filter(|answer| answer.number(self.media.codec).is_some());
        match answer {
            Some(answer) if !cancel => self.events.push_back(Event::Answered(answer)),
            // It crossed our CANCEL, or is no answer to our offer.
            _ => {
                call.cseq += 1;
                let branch = self.branch();
                let bye = self.request(call, "BYE", call.cseq, &branch, None).print();
                self.repeat(now, format!("{branch} BYE"), call.peer, bye, T2);
                call.state = State::Ending;
                if !cancel {
                    self.events.push_back(Event::Refused(488));
                }
            }
        }
    }

    /// RFC 3261 §9.1: with the Request-URI, Via and CSeq number of the INVITE.
    fn cancel(&mut self, now: Instant, call: &Call) {
        let key = call.invite.transaction();
        let branch = key.split(' ').next().unwrap_or_default();
        let cancel = self.request(call, "CANCEL", call.invite.cseq(), branch, None).print();
        self.repeat(now, format!("{branch} CANCEL"), call.peer, cancel, T2);
    }

    /// Our description for a request with an offer, or without one. `None` where the offer lacks our codec.
    fn describe(&mut self, request: &Message) -> Option<String> {
        if request.body.is_empty() {
            self.numbers = Numbers::offered(self.media.codec);
            return Some(self.media.offer());
        }
        let offer = Description::parse(&request.body)?;
        self.numbers = self.media.answered(&offer)?;
        self.media.answer(&offer)
    }

    /// Answers the INVITE of the call. A final answer is sent until its ACK comes.
    fn answer(&mut self, now: Instant, call: &Call, code: u16, reason: &str, sdp: Option<&str>) {
        let tag = Some(call.local_tag.clone());
        let response = self.response(&call.invite, code, reason, sdp, tag);
        self.keep(call.invite.transaction(), response.print());
        if code < 200 {
            self.transmit(now, call.peer, &response);
        } else {
            self.repeated.retain(|message| message.key != "ACK");
            self.repeat(now, "ACK".to_owned(), call.peer, response.print(), T2);
        }
    }

    #[expect(clippy::too_many_arguments, reason = "the parts of a response")]
    fn respond(
        &mut self,
        now: Instant,
        to: SocketAddr,
        request: &Message,
        code: u16,
        reason: &str,
        sdp: Option<&str>,
        tag: Option<String>,
    ) {
        let tag = tag.or_else(|| Some(self.rng.token()));
        let response = self.response(request, code, reason, sdp, tag);
        self.keep(request.transaction(), response.print());
        self.transmit(now, to, &response);
    }

    fn keep(&mut self, transaction: String, bytes: Vec<u8>) {
        if self.answers.len() == ANSWERS_KEPT {
            self.answers.pop_front();
        }
        self.answers.push_back((transaction, bytes));
    }

    fn transmit(&mut self, now: Instant, to: SocketAddr, message: &Message) {
        events::emit(now, "sip", json!({ "out": message.title() }));
        self.out.push_back((to, message.print()));
    }

    fn repeat(&mut self, now: Instant, key: String, to: SocketAddr, bytes: Vec<u8>, longest: Duration) {
        if let Some(message) = Message::parse(&bytes) {
            events::emit(now, "sip", json!({ "out": message.title() }));
        }
        self.out.push_back((to, bytes.clone()));
        self.repeated.push(Repeated {
            key,
            to,
            bytes,
            next: now + T1,
            interval: T1,
            longest,
            until: now + GIVE_UP,
        });
    }

    fn branch(&mut self) -> String {
        // RFC 3261 §8.1.1.7: the cookie.
        format!("z9hG4bK{}", self.rng.token())
    }

    fn request(&self, call: &Call, method: &str, cseq: u32, branch: &str, sdp: Option<&str>) -> Message {
        let mut request = Message::request(method, &call.target);
        request.add("Via", &format!("SIP/2.0/UDP {};branch={branch};rport", self.local));
        request.add("Max-Forwards", "70");
        request.add("From", &format!("<{}>;tag={}", call.local_uri, call.local_tag));
        let tag = call
            .remote_tag
            .as_ref()
            .map(|tag| format!(";tag={tag}"))
            .unwrap_or_default();
        request.add("To", &format!("<{}>{tag}", call.remote_uri));
        request.add("Call-ID", &call.id);
        request.add("CSeq", &format!("{cseq} {method}"));
        request.add("Contact", &format!("<sip:{}@{}>", self.user, self.local));
        request.add("User-Agent", "baton-party");
        request.describe(sdp);
        request
    }

    fn response(&self, request: &Message, code: u16, reason: &str, sdp: Option<&str>, tag: Option<String>) -> Message {
        let mut response = Message::response(code, reason);
        for (name, value) in &request.headers {
            if ["Via", "From", "Call-ID", "CSeq"].contains(&name.as_str()) {
                response.add(name, value);
            }
        }
        let to = request.header("To").unwrap_or_default();
        match (message::tag(to), tag) {
            (None, Some(tag)) => response.add("To", &format!("{to};tag={tag}")),
            _ => response.add("To", to),
        }
        response.add("Contact", &format!("<sip:{}@{}>", self.user, self.local));
        response.add("Allow", "INVITE, ACK, CANCEL, BYE, OPTIONS");
        response.describe(sdp);
        response
    }
}
