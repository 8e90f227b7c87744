//! Their requests (RFC 3261 §8.2, §9.2, §11, §12.2.2, §13.3, §14.2, §15.1.2).

use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::{Duration, Instant};

use bytes::Bytes;

use super::hop::{Hop, Source, Transport};
use super::print::{Answer, SDP, SUPPORTED};
use super::received::{Request, accepts_sdp, contact, tokens};
use super::registry::merge_key;
use super::session::{Invitation, Ours, Role, Session, State, TransactionId, Unacked};
use super::transactions::server_key;
use super::{ByeCause, DialogId, Endpoint, Event, WrongState};
use crate::dialog::Dialog;
use crate::header::NameAddr;
use crate::method::Method;
use crate::timer::Timer;
use crate::transaction::{Act, Key, MAGIC_COOKIE, Machine, ServerInput, ServerInvite, ServerOther};
use crate::uri::Scheme;

/// Retry-After where transactions have run out, seconds.
pub(super) const BUSY_SECONDS: u32 = 5;
/// Requests of its peer's that a dialog may make us keep: each for 64·T1.
const PER_DIALOG: usize = 64;
/// §13.3.1.1: a provisional answer is repeated "at every minute".
const RINGING: Duration = Duration::from_secs(60);

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
            Method::Refer | Method::Notify => {}
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
            (Method::Invite | Method::Options, Some(seconds)) => self.try_later(now, &request, 503, seconds),
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

    fn invitation_came(&mut self, now: Instant, source: Source, request: Request) {
        // We are the end of the request's way, but what we make of it is a new call: a loop through us must end.
        if request.message.max_forwards() == Some(0) {
            return self.stateless(now, &request, 483, &[]);
        }
        if self.transactions.len() >= self.config.transactions {
            return self.try_later(now, &request, 503, BUSY_SECONDS);
        }
        // §8.1.1.8: "The Contact header field MUST be present" in an INVITE. RFC 2543 did without: there From is where they are.
        let old = !request.branch.starts_with(MAGIC_COOKIE);
        let from_uri = || Some(request.message.from()?.uri.as_str().to_owned());
        let Some(target) = contact(&request.message).or_else(|| from_uri().filter(|_| old)) else {
            return self.stateless(now, &request, 400, &[]);
        };
        let tag = self.random.token();
        let header = |name| {
            request
                .message
                .header(name)
                .map(|value| value.into_owned())
                .unwrap_or_default()
        };
        let peer = match source.flow {
            None => Hop::udp(source.address),
            Some(_) => request.answer_to,
        };
        let dialog = Dialog {
            call_id: request.call_id.clone(),
            local: format!("{};tag={tag}", header("To")),
            local_tag: tag.clone(),
            remote: header("From"),
            remote_tag: Some(request.from_tag.clone()),
            local_cseq: 0,
            remote_cseq: Some(request.cseq),
            // §12.1.1: the route set is the Record-Route of the request in its order.
            routes: request.message.record_route().iter().map(NameAddr::to_string).collect(),
            target,
            peer,
        };
        let id = DialogId(self.next_id());
        let message = Box::new(request.message.clone());
        let invite = self.start_invitation(now, id, request, tag, true);
        self.add_session(id, Session::new(dialog, false, State::Incoming { invite }));
        self.events.push_back(Event::Invite {
            dialog: id,
            from: source.address,
            request: message,
        });
    }

    fn start_invitation(
        &mut self,
        now: Instant,
        session: DialogId,
        request: Request,
        tag: String,
        initial: bool,
    ) -> TransactionId {
        let key = server_key(&request, Method::Invite.as_str());
        let machine = Machine::ServerInvite(ServerInvite::new(&self.times));
        let to = request.answer_to;
        let trying = Answer {
            status: 100,
            tag: None,
            headers: &[],
            body: None,
        }
        .print(&request, &self.config);
        let role = Role::Invitation(Box::new(Invitation { request, tag, initial }));
        let id = self.start(now, machine, key, to, trying.clone(), Some(session), role);
        self.respond(now, id, 100, trying);
        id
    }

    /// Answers an INVITE of theirs, if it still waits for an answer.
    pub(super) fn answer_invitation(
        &mut self,
        now: Instant,
        id: TransactionId,
        status: u16,
        headers: &[(String, String)],
        body: Option<&Bytes>,
    ) {
        let Some(transaction) = self.transactions.get(id) else {
            return;
        };
        let Role::Invitation(invitation) = &transaction.role else {
            return;
        };
        if !transaction.machine.is_pending_invite() {
            return;
        }
        let answer = Answer {
            status,
            tag: Some(&invitation.tag),
            headers,
            body,
        };
        let bytes = answer.print(&invitation.request, &self.config);
        self.respond(now, id, status, bytes);
    }

    pub(super) fn provisional(
        &mut self,
        now: Instant,
        dialog: DialogId,
        status: u16,
        body: Option<Bytes>,
    ) -> Result<(), WrongState> {
        let session = self.sessions.get_mut(&dialog).ok_or(WrongState)?;
        let State::Incoming { invite } = session.state else {
            return Err(WrongState);
        };
        if !(101..200).contains(&status) {
            return Err(WrongState);
        }
        session.timers.set(Timer::Ringing, now + RINGING);
        self.settle_session(dialog);
        self.answer_invitation(now, invite, status, &[], body.as_ref());
        Ok(())
    }

    /// 200 to an INVITE or re-INVITE.
    pub(super) fn accept(
        &mut self,
        now: Instant,
        dialog: DialogId,
        invite: TransactionId,
        body: Bytes,
        headers: &[(String, String)],
    ) -> Result<(), WrongState> {
        self.answer_invitation(now, invite, 200, headers, Some(&body));
        let transaction = self.transactions.get(invite).ok_or(WrongState)?;
        let Role::Invitation(invitation) = &transaction.role else {
            return Err(WrongState);
        };
        let unacked = Unacked {
            cseq: invitation.request.cseq,
            to: transaction.to(),
            bytes: transaction.message.clone(),
            interval: self.times.t1,
            offers: invitation.request.message.body().is_empty(),
            initial: invitation.initial,
        };
        let target = contact(&invitation.request.message);
        let session = self.sessions.get_mut(&dialog).ok_or(WrongState)?;
        session.dialog.refresh(target.as_deref());
        session.unacked = Some(unacked);
        session.state = State::Confirmed;
        session.timers.stop(Timer::Ringing);
        // §13.3.1.4: "The 2xx response is passed to the transport with an interval that starts at T1 seconds and doubles for each
        // retransmission until it reaches T2 seconds", whatever the transport.
        session.timers.set(Timer::Repeat2xx, now + self.times.t1);
        session.timers.set(Timer::NoAck, now + self.times.timeout());
        self.settle_session(dialog);
        Ok(())
    }

    /// Final refusal of the INVITE that would make the dialog.
    pub(super) fn refuse(
        &mut self,
        now: Instant,
        dialog: DialogId,
        invite: TransactionId,
        status: u16,
        headers: &[(String, String)],
    ) -> Result<(), WrongState> {
        if !(300..700).contains(&status) {
            return Err(WrongState);
        }
        let session = self.sessions.get_mut(&dialog).ok_or(WrongState)?;
        session.state = State::Rejecting { invite };
        session.timers.stop_all();
        self.settle_session(dialog);
        self.answer_invitation(now, invite, status, headers, None);
        Ok(())
    }

    /// An ACK is never answered.
    fn ack(&mut self, now: Instant, request: &Request) {
        let times = self.times;
        if let Some(id) = self.transactions.find(&server_key(request, Method::Invite.as_str()))
            && let Some(transaction) = self.transactions.get_mut(id)
        {
            // §17.2.3: an RFC 2543 ACK belongs to the transaction only with the To tag of its answer.
            let ours = match (&transaction.key, &transaction.role) {
                (Key::Old { .. }, Role::Invitation(invitation)) => request.to_tag.as_ref() == Some(&invitation.tag),
                _ => true,
            };
            if ours
                && transaction
                    .machine
                    .server(now, &transaction.times(&times), ServerInput::Ack)
                    == Act::Pass
            {
                let session = transaction.session;
                self.settle(id);
                self.refusal_acknowledged(now, id, session);
            }
        }
        let Some(tag) = &request.to_tag else { return };
        let Some(&id) = self.dialogs.get(&(request.call_id.clone(), tag.clone())) else {
            return;
        };
        let Some(session) = self.sessions.get_mut(&id) else {
            return;
        };
        let awaited = session
            .unacked
            .as_ref()
            .is_some_and(|unacked| unacked.cseq == request.cseq);
        if awaited && session.dialog.remote_tag.as_ref() == Some(&request.from_tag) {
            self.acknowledged(now, id, request.message.sdp());
        }
    }

    /// Our 2xx is acknowledged.
    fn acknowledged(&mut self, now: Instant, id: DialogId, body: Option<Bytes>) {
        let Some(session) = self.sessions.get_mut(&id) else {
            return;
        };
        session.unacked = None;
        session.timers.stop(Timer::Repeat2xx);
        session.timers.stop(Timer::NoAck);
        let ends = session.end.is_some();
        self.settle_session(id);
        if ends {
            self.end_if_due(now, id);
        } else {
            self.events.push_back(Event::Acked { dialog: id, body });
            self.go_on(now, id);
        }
    }

    fn refusal_acknowledged(&mut self, now: Instant, id: TransactionId, session: Option<DialogId>) {
        let Some(dialog) = session else { return };
        if self
            .sessions
            .get(&dialog)
            .is_some_and(|session| session.state == State::Rejecting { invite: id })
        {
            self.forget(now, dialog);
            self.events.push_back(Event::Ended { dialog });
        }
    }

    /// Our refusal was given up (timer H).
    pub(super) fn never_acknowledged(&mut self, now: Instant, id: TransactionId, session: Option<DialogId>) {
        self.refusal_acknowledged(now, id, session);
    }

    /// §9.2.
    fn cancel(&mut self, now: Instant, request: &Request) {
        let id = self.transactions.find(&server_key(request, Method::Invite.as_str()));
        let Some((id, invitation)) = id.and_then(|id| Some((id, self.invitation(id)?))) else {
            return self.stateless(now, request, 481, &[]);
        };
        // "the To tag of the response to the CANCEL and the To tag in the response to the original request SHOULD be the same."
        let (tag, initial) = (invitation.tag.clone(), invitation.initial);
        let answer = Answer {
            status: 200,
            tag: Some(&tag),
            headers: &[],
            body: None,
        };
        let bytes = answer.print(request, &self.config);
        self.send(now, request.answer_to, bytes);
        let Some(transaction) = self.transactions.get(id) else {
            return;
        };
        let Some(dialog) = transaction.session.filter(|_| transaction.machine.is_pending_invite()) else {
            return;
        };
        if initial {
            self.forget(now, dialog);
            self.events.push_back(Event::Cancelled { dialog });
        } else {
            self.answer_invitation(now, id, 487, &[], None);
            if let Some(session) = self
                .sessions
                .get_mut(&dialog)
                .filter(|session| session.theirs == Some(id))
            {
                session.theirs = None;
            }
            self.go_on(now, dialog);
        }
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

    fn reinvite_came(&mut self, now: Instant, id: DialogId, request: Request) {
        let Some(session) = self.sessions.get(&id) else { return };
        let tag = session.dialog.local_tag.clone();
        let late = session.unacked.as_ref().is_some_and(|unacked| unacked.offers);
        let refusal = match session.state {
            State::Calling { .. } | State::Rejecting { .. } | State::Ending => Some(481),
            State::Confirmed if session.end.is_some() => Some(481),
            // §14.2: "A UAS that receives a second INVITE before it sends the final response to a first INVITE with a lower CSeq sequence
            // number on the same dialog MUST return a 500 […] and MUST include a Retry-After header field with a randomly chosen
            // value of between 0 and 10 seconds."
            State::Incoming { .. } => Some(500),
            State::Confirmed if session.theirs.is_some() => Some(500),
            // §14.2: "A UAS that receives an INVITE on a dialog while an INVITE it had sent on that dialog is in progress MUST return
            // a 491". The same while the answer to our offer is missing (RFC 5407 §3.1.5).
            State::Confirmed if late || matches!(session.ours, Ours::Pending { .. }) => Some(491),
            State::Confirmed => None,
        };
        // A peer that starts anew has seen our 2xx: only its ACK was lost.
        let acknowledges = refusal.is_none() && session.unacked.is_some();
        let offer = request.message.sdp();
        let transaction = self.start_invitation(now, id, request, tag, false);
        if let Some(status) = refusal {
            let headers = match status {
                500 => vec![("Retry-After".to_owned(), self.random.below(11).to_string())],
                _ => Vec::new(),
            };
            return self.answer_invitation(now, transaction, status, &headers, None);
        }
        if let Some(session) = self.sessions.get_mut(&id) {
            session.theirs = Some(transaction);
        }
        if acknowledges {
            self.acknowledged(now, id, None);
        }
        self.events.push_back(Event::Reinvite {
            dialog: id,
            body: offer,
        });
    }

    pub(super) fn session_timeout(&mut self, now: Instant, id: DialogId) {
        let Some(session) = self.sessions.get_mut(&id) else {
            return;
        };
        match session.timers.expired(now) {
            Some(Timer::Repeat2xx) => {
                if let Some(unacked) = &mut session.unacked {
                    unacked.interval = (unacked.interval * 2).min(self.times.t2);
                    session.timers.set(Timer::Repeat2xx, now + unacked.interval);
                    let (to, bytes) = (unacked.to, unacked.bytes.clone());
                    self.send(now, to, bytes);
                }
            }
            // §13.3.1.4: "If the server retransmits the 2xx response for 64*T1 seconds without receiving an ACK, the dialog is
            // confirmed, but the session SHOULD be terminated. This is accomplished with a BYE".
            Some(Timer::NoAck) => match session.end.take() {
                Some(reason) => self.send_bye(now, id, reason.as_deref()),
                None => self.lost(now, id, ByeCause::NoAck),
            },
            Some(Timer::Glare) => {
                if let Ours::BackingOff { offer, tries } = &session.ours {
                    session.ours = Ours::Wanted {
                        offer: offer.clone(),
                        tries: *tries,
                    };
                    self.start_reinvite(now, id);
                }
            }
            Some(Timer::Ringing) => {
                session.timers.set(Timer::Ringing, now + RINGING);
                if let State::Incoming { invite } = session.state
                    && let Some(transaction) = self.transactions.get(invite)
                {
                    let (to, bytes) = (transaction.to(), transaction.message.clone());
                    self.send(now, to, bytes);
                }
            }
            _ => {}
        }
        self.settle_session(id);
    }
}
