//! Their requests: which of them are served, and by what (RFC 3261 §8.2, §11, §12.2.2, §15.1.2).

use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Instant;

use super::hop::{Source, Transport};
use super::print::{Answer, SDP, SUPPORTED};
use super::received::{Request, accepts_sdp, tokens};
use super::registry::merge_key;
use super::session::{Role, State};
use super::transactions::server_key;
use super::{ByeCause, DialogId, Endpoint, Event};
use crate::method::Method;
use crate::transaction::{Act, Machine, ServerInput, ServerOther};
use crate::uri::Scheme;

/// Retry-After where transactions have run out, seconds.
pub(super) const BUSY_SECONDS: u32 = 5;
/// Requests of its peer's that a dialog may make us keep: each for 64·T1.
const PER_DIALOG: usize = 64;

impl Endpoint {
    pub(super) fn request(&mut self, now: Instant, source: Source, request: Request) {
        if request.method == Method::Ack {
            self.ack(now, &request);
        } else if !self.retransmission(now, &request) {
            match (&request.method, request.to_tag.clone()) {
                (Method::Cancel, _) => self.cancel(now, &request),
                (_, Some(tag)) => self.in_dialog(now, request, tag),
                (_, None) => self.out_of_dialog(now, source, request),
            }
        }
    }

    /// Whether a transaction knows the request and has dealt with it.
    fn retransmission(&mut self, now: Instant, request: &Request) -> bool {
        let Some(id) = self.transactions.find(&server_key(request, request.method.as_str())) else {
            return false;
        };
        let times = self.times;
        let Some(transaction) = self.transactions.get_mut(id) else {
            return false;
        };
        // The client's connection was closed, and it asks again on a new one.
        if request.answer_to.flow.is_some() {
            transaction.reconnects = 0;
            let session = transaction.session.and_then(|id| self.sessions.get_mut(&id));
            if let Some(unacked) = session.and_then(|session| session.unacked.as_mut()) {
                unacked.to = request.answer_to;
            }
            self.transactions.set_hop(id, request.answer_to);
        }
        let Some(transaction) = self.transactions.get_mut(id) else {
            return false;
        };
        if transaction
            .machine
            .server(now, &transaction.times(&times), ServerInput::Request)
            == Act::Send
        {
            let (to, message) = (transaction.to(), transaction.message.clone());
            self.send(now, to, message);
        }
        true
    }

    /// Answers without a transaction (§8.2.7): the same request gets the same answer, its To tag included.
    pub(super) fn stateless(&mut self, now: Instant, request: &Request, status: u16, headers: &[(&str, &str)]) {
        // On a connection nobody writes an address that is not his.
        let to = request.answer_to;
        if status >= 300 && to.flow.is_none() && !self.strangers.may_refuse(to.address.ip()) {
            return;
        }
        let mut hash = DefaultHasher::new();
        (self.config.seed, &request.branch, &request.call_id, &request.from_tag).hash(&mut hash);
        let tag = format!("{:016x}", hash.finish());
        let headers: Vec<_> = headers
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        let answer = Answer {
            status,
            tag: Some(&tag),
            headers: &headers,
            body: None,
        };
        let bytes = answer.print(request, &self.config);
        self.send(now, request.answer_to, bytes);
    }

    pub(super) fn try_later(&mut self, now: Instant, request: &Request, status: u16, seconds: u32) {
        self.stateless(now, request, status, &[("Retry-After", &seconds.to_string())]);
    }

    /// §8.2.1 and §8.2.2.3; `true` where the request was answered.
    fn unserved(&mut self, now: Instant, request: &Request) -> bool {
        match request.method {
            Method::Invite | Method::Bye | Method::Options | Method::Cancel | Method::Ack => {}
            Method::Refer | Method::Notify | Method::Info => {}
            _ => {
                self.stateless(now, request, 405, &[]);
                return true;
            }
        }
        // §8.2.2.1: "If the Request-URI uses a scheme not supported by the UAS, it SHOULD reject the request with a 416".
        let uri = request.message.uri().and_then(Result::ok);
        if uri.is_some_and(|uri| matches!(uri.scheme(), Scheme::Other(_))) {
            self.stateless(now, request, 416, &[]);
            return true;
        }
        let mut unknown = tokens(&request.message, "Require");
        unknown.retain(|option| option != SUPPORTED);
        if !unknown.is_empty() {
            self.stateless(now, request, 420, &[("Unsupported", &unknown.join(", "))]);
            return true;
        }
        // §8.2.3. A BYE's body does not matter.
        let bodied = request.method == Method::Invite && !request.message.body().is_empty();
        if bodied && request.message.sdp().is_none() {
            self.stateless(now, request, 415, &[("Accept", SDP)]);
            return true;
        }
        // §20.1 and §21.4.7: an INVITE is answered with SDP or not at all.
        if request.method == Method::Invite && !accepts_sdp(&request.message) {
            self.stateless(now, request, 406, &[]);
            return true;
        }
        false
    }

    fn out_of_dialog(&mut self, now: Instant, source: Source, request: Request) {
        // No transaction, no 100, no repetitions until an ACK: a borrowed address would get eleven datagrams for one.
        if request.method == Method::Invite && !self.strangers.may_call(source.address.ip()) {
            return self.stateless(now, &request, 403, &[]);
        }
        // §8.2.2.2: "the same request has arrived at the UAS more than once, following different paths".
        if request.method == Method::Invite && self.transactions.has_merged(&merge_key(&request)) {
            return self.stateless(now, &request, 482, &[]);
        }
        if self.unserved(now, &request) {
            return;
        }
        match (&request.method, self.refusing) {
            (Method::Invite | Method::Options, Some(seconds)) => {
                self.turned_away += u64::from(request.method == Method::Invite);
                self.try_later(now, &request, 503, seconds);
            }
            // On a connection nobody writes an address that is not his.
            (Method::Options, None) if source.flow.is_some() || self.strangers.may_ask(source.address.ip()) => {
                self.options(now, &request)
            }
            (Method::Options, None) => {}
            (Method::Invite, None) => self.invitation_came(now, source, request),
            // We are nobody's errand boy: who wants a transfer is in a call with us.
            (Method::Refer, _) => self.stateless(now, &request, 403, &[]),
            (Method::Notify, _) => self.notify_came(now, None, request),
            // §15.1.2: a BYE that matches no dialog.
            _ => self.stateless(now, &request, 481, &[]),
        }
    }

    /// §11.2.
    fn options(&mut self, now: Instant, request: &Request) {
        self.stateless(now, request, 200, &[("Accept", SDP)]);
    }

    fn in_dialog(&mut self, now: Instant, request: Request, tag: String) {
        let found = self.dialogs.get(&(request.call_id.clone(), tag)).copied();
        let Some((id, dialog)) = found.and_then(|id| Some((id, self.dialog_mut(id)?))) else {
            return self.stateless(now, &request, 481, &[]);
        };
        match &dialog.remote_tag {
            Some(tag) if *tag == request.from_tag => {}
            // The peer answered us, got no ACK and ends what we never knew of.
            None if request.method == Method::Bye => {}
            _ => return self.stateless(now, &request, 481, &[]),
        }
        if dialog.remote_tag.is_some() {
            // §12.2.2: "If the remote sequence number was not empty, but the sequence number of the request is lower than the remote
            // sequence number, the request is out of order and MUST be rejected with a 500".
            let last = dialog.remote_cseq.unwrap_or(0);
            // A BYE is obeyed all the same: whoever has sent it is gone, and what has overtaken it was not the end.
            if request.cseq < last && request.method != Method::Bye {
                return self.stateless(now, &request, 500, &[]);
            }
            if request.cseq == last && matches!(request.method, Method::Invite | Method::Refer) {
                return self.stateless(now, &request, 482, &[]);
            }
            dialog.remote_cseq = Some(last.max(request.cseq));
            if request.answer_to.flow.is_some() && dialog.peer.transport == Transport::Tcp {
                let old = std::mem::replace(&mut dialog.peer.flow, request.answer_to.flow);
                self.riders.change(old, request.answer_to.flow, id);
            }
        }
        if self.unserved(now, &request) {
            return;
        }
        // Twice the limit: a dialog that is there can end, and its peer still cannot fill our memory. Nor can one dialog take what is
        // there for all, but a BYE makes no more of them.
        let full = self.transactions.len() >= self.config.transactions.saturating_mul(2);
        let greedy = self.transactions.asked(id) >= PER_DIALOG && request.method != Method::Bye;
        if (full || greedy) && request.method != Method::Options {
            return self.try_later(now, &request, 503, BUSY_SECONDS);
        }
        match request.method {
            Method::Notify => self.notify_came(now, Some(id), request),
            // Of the dialog only a subscription is left (RFC 5057): the call is over.
            _ if !self.sessions.contains_key(&id) => self.stateless(now, &request, 481, &[]),
            Method::Bye => self.bye_came(now, id, request),
            Method::Invite => self.reinvite_came(now, id, request),
            Method::Refer => self.refer_came(now, id, request),
            Method::Info => self.info_came(now, id, request),
            _ => self.options(now, &request),
        }
    }

    /// Answers a request other than INVITE with a transaction, so that a repetition gets the same answer and no second effect.
    pub(super) fn answer_once(&mut self, now: Instant, dialog: DialogId, request: &Request, status: u16) {
        let machine = Machine::ServerOther(ServerOther::new());
        let key = server_key(request, request.method.as_str());
        let answer = Answer {
            status,
            tag: None,
            headers: &[],
            body: None,
        };
        let bytes = answer.print(request, &self.config);
        let transaction = self.start(
            now,
            machine,
            key,
            request.answer_to,
            bytes.clone(),
            Some(dialog),
            Role::Request,
        );
        self.respond(now, transaction, status, bytes);
    }

    fn bye_came(&mut self, now: Instant, id: DialogId, request: Request) {
        self.answer_once(now, id, &request, 200);
        let Some(session) = self.sessions.get(&id) else { return };
        let event = match session.state {
            // Their BYE crossed ours; ours will be answered too.
            State::Ending => return,
            State::Calling { .. } => Event::Refused {
                dialog: id,
                status: 487,
                reason: "Request Terminated".to_owned(),
                retry_after: None,
            },
            State::Incoming { .. } => Event::Cancelled { dialog: id },
            State::Rejecting { .. } => Event::Ended { dialog: id },
            State::Confirmed if session.end.is_some() => Event::Ended { dialog: id },
            State::Confirmed => Event::Bye {
                dialog: id,
                cause: ByeCause::Peer,
            },
        };
        self.forget(now, id);
        self.events.push_back(event);
    }
}
