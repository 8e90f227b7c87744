//! Their INVITEs, from the first answer to the last ACK (RFC 3261 §9.2, §13.3, §14.2).

use std::time::{Duration, Instant};

use bytes::Bytes;

use super::hop::{Hop, Source};
use super::print::Answer;
use super::received::{Request, contact};
use super::session::{Invitation, Ours, Role, Session, State, TransactionId, Unacked};
use super::transactions::server_key;
use super::uas::BUSY_SECONDS;
use super::{ByeCause, DialogId, Endpoint, Event, WrongState};
use crate::dialog::Dialog;
use crate::header::NameAddr;
use crate::method::Method;
use crate::timer::Timer;
use crate::transaction::{Act, Key, MAGIC_COOKIE, Machine, ServerInput, ServerInvite};

/// §13.3.1.1: a provisional answer is repeated "at every minute".
const RINGING: Duration = Duration::from_secs(60);

impl Endpoint {
    pub(super) fn invitation_came(&mut self, now: Instant, source: Source, request: Request) {
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
    pub(super) fn ack(&mut self, now: Instant, request: &Request) {
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
    pub(super) fn cancel(&mut self, now: Instant, request: &Request) {
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

    pub(super) fn reinvite_came(&mut self, now: Instant, id: DialogId, request: Request) {
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
            // One that had no answer at all ends by its own timer.
            Some(Timer::Unanswered) => {
                if let Ours::Pending { transaction, .. } = session.ours
                    && (self.transactions.get(transaction)).is_some_and(|it| it.machine.is_proceeding_invite())
                {
                    self.send_cancel(now, id, transaction);
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
