//! Our requests and what becomes of them (RFC 3261 §8.1, §9.1, §13.2, §14.1, §15.1.1).

use std::time::{Duration, Instant};

use bytes::Bytes;

use super::auth::Keyring;
use super::hop::{Hop, Source, Transport};
use super::print::{Outgoing, SDP, reason};
use super::received::{contact, vias};
use super::registry::Transaction;
use super::request::Parts;
use super::session::{Cancel, Invited, Ours, Role, Session, State, TransactionId};
use super::{ByeCause, DialogId, Endpoint, Event, Invite, WrongState, reason_header};
use crate::dialog::Dialog;
use crate::header::NameAddr;
use crate::message::Message;
use crate::method::Method;
use crate::timer::Timer;
use crate::transaction::{Act, ClientInput, ClientInvite, ClientOther, Key, Machine};
use crate::uri::Uri;

/// Answers of one INVITE that we acknowledge at the most: more forks than that are an attack.
const FORKS: usize = 8;
/// A re-INVITE that meets 491 so often is reported as refused.
const GLARES: u8 = 8;

impl Endpoint {
    pub(super) fn call(&mut self, now: Instant, invite: Invite) -> DialogId {
        let id = DialogId(self.next_id());
        let uri = Uri::parse(&invite.to).ok();
        let peer = invite.next_hop.or_else(|| uri.as_ref()?.socket_addr());
        let peer = peer.map(|address| match invite.transport {
            Some(Transport::Udp) => Hop::udp(address),
            Some(Transport::Tcp) => Hop::tcp(address, None),
            None => Hop::of(address, uri.as_ref()),
        });
        let without = |hop: &Hop| hop.transport == Transport::Tcp && self.flows.bounds.is_none();
        let Some(peer) = peer.filter(|hop| !without(hop)) else {
            self.refused(id, 503, "No Address", None);
            return id;
        };
        let local_tag = self.random.token();
        // §20.10: without angle brackets the parameters of the URI would be taken for parameters of the header.
        let from = if invite.from.contains('<') {
            invite.from
        } else {
            format!("<{}>", invite.from)
        };
        let dialog = Dialog {
            call_id: format!("{}@{}", self.random.token(), self.config.advertise.ip()),
            local: format!("{from};tag={local_tag}"),
            local_tag,
            remote: format!("<{}>", invite.to),
            remote_tag: None,
            local_cseq: 1,
            remote_cseq: None,
            routes: Vec::new(),
            target: invite.to,
            peer,
        };
        // The session is there before the INVITE: a transaction never answers to nobody.
        let state = State::Calling {
            invite: TransactionId(0),
            cancel: Cancel::No,
        };
        let mut session = Session::new(dialog.clone(), true, state);
        session.keyring = Keyring::new(invite.credentials);
        self.add_session(id, session);
        let transaction = self.send_invite(now, id, dialog, peer, true, &invite.headers, invite.offer.as_ref());
        if let Some(session) = self.sessions.get_mut(&id) {
            session.state = State::Calling {
                invite: transaction,
                cancel: Cancel::No,
            };
        }
        id
    }

    #[expect(clippy::too_many_arguments, reason = "one place prints every INVITE of ours")]
    fn send_invite(
        &mut self,
        now: Instant,
        session: DialogId,
        dialog: Dialog,
        to: Hop,
        initial: bool,
        headers: &[(String, String)],
        offer: Option<&Bytes>,
    ) -> TransactionId {
        let branch = self.branch();
        let message = Outgoing {
            method: Method::Invite,
            dialog: &dialog,
            to: &dialog.remote,
            cseq: dialog.local_cseq,
            branch: &branch,
            headers,
            body: offer.map(|offer| (SDP, offer)),
        }
        .print(&self.config);
        let key = Key::Client {
            branch: branch.clone(),
            method: Method::Invite.to_string(),
        };
        let machine = Machine::ClientInvite(ClientInvite::new(now, &self.times));
        let invited = Invited {
            dialog,
            branch,
            initial,
            refusal: None,
            acks: Vec::new(),
        };
        self.start(
            now,
            machine,
            key,
            to,
            message,
            Some(session),
            Role::Invite(Box::new(invited)),
        )
    }

    /// A response came.
    pub(super) fn response(&mut self, now: Instant, source: Source, response: &Message) {
        let (Some(via), Some(cseq), Some(status)) = (response.via(), response.cseq(), response.status()) else {
            return;
        };
        // §8.1.3.3: "If more than one Via header field value is present in a response, the UAC SHOULD discard the message."
        if vias(response) > 1 {
            return;
        }
        let key = Key::Client {
            branch: via.branch().unwrap_or_default(),
            method: cseq.method.to_string(),
        };
        let Some(id) = self.transactions.find(&key) else { return };
        let times = self.times;
        // It went over TCP, and the peer answers on another connection than ours: that is the one which is there.
        if source.flow.is_some()
            && let Some(to) = self.transactions.get(id).map(Transaction::to)
            && to.transport == Transport::Tcp
        {
            let flow = source.flow;
            self.transactions.set_hop(id, Hop { flow, ..to });
        }
        let Some(transaction) = self.transactions.get_mut(id) else {
            return;
        };
        transaction.reconnects = 0;
        let times = transaction.times(&times);
        let act = transaction.machine.client(now, &times, ClientInput::Status(status));
        match act {
            Act::Pass | Act::AckAndPass => {
                if act == Act::AckAndPass {
                    self.acknowledge_refusal(now, id, response);
                }
                if !(matches!(status, 401 | 407) && self.try_again(now, id, response)) {
                    self.deliver(now, id, status, response);
                }
            }
            Act::Ack => self.acknowledge_refusal(now, id, response),
            Act::Nothing | Act::Send | Act::TimedOut | Act::Failed => {}
        }
        self.settle(id);
    }

    /// §17.1.1.3: the ACK of a refusal has the INVITE's branch, Request-URI and Route, and the To of the answer.
    fn acknowledge_refusal(&mut self, now: Instant, id: TransactionId, response: &Message) {
        let config = &self.config;
        let Some(transaction) = self.transactions.get_mut(id) else {
            return;
        };
        let to = transaction.to();
        let Role::Invite(invited) = &mut transaction.role else {
            return;
        };
        let ack = invited.refusal.get_or_insert_with(|| {
            Outgoing {
                method: Method::Ack,
                dialog: &invited.dialog,
                to: &response.header("To").unwrap_or_default(),
                cseq: invited.dialog.local_cseq,
                branch: &invited.branch,
                headers: &transaction.attempt.headers,
                body: None,
            }
            .print(config)
        });
        let ack = ack.clone();
        self.send(now, to, ack);
    }

    fn deliver(&mut self, now: Instant, id: TransactionId, status: u16, response: &Message) {
        let Some(transaction) = self.transactions.get(id) else {
            return;
        };
        let (session, to) = (transaction.session, transaction.to());
        match &transaction.role {
            Role::Invite(invited) if (200..300).contains(&status) => {
                let invited = invited.clone();
                self.accepted(now, id, session, *invited, to, response);
            }
            Role::Invite(invited) if invited.initial => self.invite_answer(now, id, session, status, response),
            Role::Invite(_) => self.reinvite_answer(now, session, id, status),
            Role::Bye if status >= 200 => self.ended(now, session),
            &Role::Refer(refer) if status >= 200 => self.refer_answered(now, refer, status, Some(response)),
            &Role::Notify(refer) if status >= 200 => self.notify_answered(now, refer, status),
            Role::Probe if status >= 200 => self.probe_answered(now, session, status),
            Role::Key if status >= 200 => self.key_answered(now, session, status),
            Role::Bye | Role::Refer(_) | Role::Notify(_) | Role::Probe | Role::Key => {}
            Role::Cancel | Role::Invitation(_) | Role::Request | Role::Settled => {}
        }
    }

    /// A provisional answer or a refusal of the INVITE that would make the dialog.
    fn invite_answer(
        &mut self,
        now: Instant,
        id: TransactionId,
        session: Option<DialogId>,
        status: u16,
        response: &Message,
    ) {
        let Some((dialog, session)) = session.and_then(|id| Some((id, self.sessions.get(&id)?))) else {
            return;
        };
        match status {
            100..=199 => match session.state {
                // §9.1: "If no provisional response has been received, the CANCEL request MUST NOT be sent; rather, the client
                // MUST wait for the arrival of a provisional response before sending the request."
                State::Calling {
                    cancel: Cancel::Wanted, ..
                } => self.send_cancel(now, dialog, id),
                State::Calling { cancel: Cancel::No, .. } if status > 100 => {
                    self.events.push_back(Event::Progress {
                        dialog,
                        status,
                        body: response.sdp(),
                    });
                }
                _ => {}
            },
            _ => {
                let cancelled = matches!(session.state, State::Calling { cancel, .. } if cancel != Cancel::No);
                let text = response.reason().map(|text| text.into_owned()).unwrap_or_default();
                self.forget(now, dialog);
                match status {
                    // Credentials might have fitted, but nobody wants the call any more.
                    401 | 407 if cancelled => self.refused(dialog, 487, reason(487), None),
                    _ => self.refused(dialog, status, &text, response.retry_after()),
                }
            }
        }
    }

    /// A 2xx to an INVITE of ours. §13.2.2.4: "The UAC core MUST generate an ACK request for each 2xx received".
    fn accepted(
        &mut self,
        now: Instant,
        id: TransactionId,
        session: Option<DialogId>,
        invited: Invited,
        peer: Hop,
        response: &Message,
    ) {
        let Some(to) = response.header("To") else { return };
        let tag = response.to().and_then(|to| to.tag()).unwrap_or_default();
        if let Some((_, ack, at)) = invited.acks.iter().find(|(known, ..)| *known == tag) {
            self.send(now, *at, ack.clone());
            return;
        }
        let first = invited.acks.is_empty();
        if invited.acks.len() >= FORKS || (!invited.initial && !first) {
            return;
        }
        let mut dialog = invited.dialog;
        if invited.initial {
            // §12.1.2: the route set is the Record-Route of the response in reverse order.
            dialog.remote = to.into_owned();
            dialog.remote_tag = Some(tag.clone());
            dialog.routes = response.record_route().iter().rev().map(NameAddr::to_string).collect();
            dialog.peer = peer;
        }
        dialog.refresh(contact(response).as_deref());
        let branch = self.branch();
        // §22.1: the ACK has the credentials of its INVITE, since it cannot be challenged.
        let transaction = self.transactions.get(id);
        let ack = Outgoing {
            method: Method::Ack,
            dialog: &dialog,
            to: &dialog.remote,
            cseq: dialog.local_cseq,
            branch: &branch,
            headers: transaction.map_or(&[], |transaction| &transaction.attempt.headers),
            body: None,
        }
        .print(&self.config);
        let at = dialog.destination();
        self.send(now, at, ack.clone());
        if let Some(Role::Invite(invited)) = self.transactions.get_mut(id).map(|transaction| &mut transaction.role) {
            invited.acks.push((tag, ack, at));
        }
        let live = session.and_then(|id| Some((id, self.sessions.get_mut(&id)?)));
        match live {
            Some((id, live)) if invited.initial && first => {
                let State::Calling { cancel, .. } = live.state else {
                    return;
                };
                self.riders.change(live.dialog.peer.flow, dialog.peer.flow, id);
                live.dialog = dialog;
                live.state = State::Confirmed;
                if cancel == Cancel::No {
                    self.events.push_back(Event::Answered {
                        dialog: id,
                        body: response.sdp(),
                    });
                } else {
                    // The 200 crossed our CANCEL: the dialog is there, and nobody wants it.
                    let reason = live.cancel_reason.take();
                    self.send_bye(now, id, reason.as_deref());
                }
            }
            Some((id, live)) if !invited.initial => {
                live.dialog.target = dialog.target;
                if matches!(live.ours, Ours::Pending { .. }) {
                    live.ours = Ours::No;
                    live.timers.stop(Timer::Unanswered);
                    self.events.push_back(Event::ReinviteAnswered {
                        dialog: id,
                        body: response.sdp(),
                    });
                    self.go_on(now, id);
                }
            }
            // Another branch of a fork answered, or nobody waits for the answer any more.
            _ if invited.initial => self.send_stray_bye(now, dialog, None),
            _ => {}
        }
    }

    /// A provisional answer or a refusal of a re-INVITE.
    fn reinvite_answer(&mut self, now: Instant, session: Option<DialogId>, id: TransactionId, status: u16) {
        let Some((dialog, session)) = session.and_then(|id| Some((id, self.sessions.get_mut(&id)?))) else {
            return;
        };
        let Ours::Pending {
            offer,
            tries,
            transaction,
        } = &session.ours
        else {
            return;
        };
        if *transaction != id || status < 200 || session.state != State::Confirmed {
            return;
        }
        session.timers.stop(Timer::Unanswered);
        match status {
            491 if *tries < GLARES => {
                session.ours = Ours::BackingOff {
                    offer: offer.clone(),
                    tries: tries + 1,
                };
                // §14.1: 2.1 to 4 s where we own the Call-ID, else 0 to 2 s, "in units of 10 ms".
                let delay = if session.owns_call_id {
                    2100 + 10 * self.random.below(191)
                } else {
                    10 * self.random.below(201)
                };
                session.timers.set(Timer::Glare, now + Duration::from_millis(delay));
                self.settle_session(dialog);
                self.start_refer(now, dialog);
            }
            // §12.2.1.2: "If the response for a request within a dialog is a 481 […] or a 408 […], the UAC SHOULD terminate the dialog."
            481 => self.lost(now, dialog, ByeCause::Lost),
            408 if !session.proposes => self.lost(now, dialog, ByeCause::Lost),
            _ => {
                session.ours = Ours::No;
                self.events.push_back(Event::ReinviteRefused { dialog, status });
                self.go_on(now, dialog);
            }
        }
    }

    /// A transaction ended without an answer; `status` stands for it.
    pub(super) fn silence(
        &mut self,
        now: Instant,
        id: TransactionId,
        session: Option<DialogId>,
        role: &Role,
        status: u16,
    ) {
        match role {
            Role::Invite(invited) if invited.initial => {
                let Some(dialog) = session.filter(|id| self.sessions.contains_key(id)) else {
                    return;
                };
                self.forget(now, dialog);
                self.refused(dialog, status, reason(status), None);
            }
            Role::Invite(_) => self.reinvite_answer(now, session, id, status),
            Role::Bye => self.ended(now, session),
            Role::Invitation(_) => self.never_acknowledged(now, id, session),
            &Role::Refer(refer) => self.refer_answered(now, refer, status, None),
            &Role::Notify(refer) => self.notify_answered(now, refer, status),
            Role::Probe => self.probe_answered(now, session, status),
            Role::Key => self.key_answered(now, session, status),
            Role::Cancel | Role::Request | Role::Settled => {}
        }
    }

    fn refused(&mut self, dialog: DialogId, status: u16, reason: &str, retry_after: Option<u32>) {
        self.events.push_back(Event::Refused {
            dialog,
            status,
            reason: reason.to_owned(),
            retry_after,
        });
    }

    fn ended(&mut self, now: Instant, session: Option<DialogId>) {
        let Some(dialog) = session.filter(|id| self.sessions.contains_key(id)) else {
            return;
        };
        self.forget(now, dialog);
        self.events.push_back(Event::Ended { dialog });
    }

    pub(super) fn want_cancel(&mut self, now: Instant, dialog: DialogId, invite: TransactionId, reason: Option<&str>) {
        let Some(session) = self.sessions.get_mut(&dialog) else {
            return;
        };
        session.cancel_reason = reason.map(str::to_owned);
        session.state = State::Calling {
            invite,
            cancel: Cancel::Wanted,
        };
        if self
            .transactions
            .get(invite)
            .is_some_and(|it| it.machine.is_proceeding_invite())
        {
            self.send_cancel(now, dialog, invite);
        }
    }

    /// §9.1: Request-URI, Call-ID, To, From, Route, the number of CSeq and the top Via are those of the INVITE.
    pub(super) fn send_cancel(&mut self, now: Instant, dialog: DialogId, invite: TransactionId) {
        let Some(session) = self.sessions.get_mut(&dialog) else {
            return;
        };
        let Some(transaction) = self.transactions.get(invite) else {
            return;
        };
        let Role::Invite(invited) = &transaction.role else {
            return;
        };
        if invited.initial {
            session.state = State::Calling {
                invite,
                cancel: Cancel::Sent,
            };
        }
        let message = Outgoing {
            method: Method::Cancel,
            dialog: &invited.dialog,
            to: &invited.dialog.remote,
            cseq: invited.dialog.local_cseq,
            branch: &invited.branch,
            headers: &reason_header(session.cancel_reason.as_deref()),
            body: None,
        }
        .print(&self.config);
        let key = Key::Client {
            branch: invited.branch.clone(),
            method: Method::Cancel.to_string(),
        };
        let to = transaction.to();
        let machine = Machine::ClientOther(ClientOther::new(now, &self.times));
        self.start(now, machine, key, to, message, Some(dialog), Role::Cancel);
        self.client_step(now, invite, ClientInput::GiveUp);
    }

    pub(super) fn want_bye(&mut self, now: Instant, dialog: DialogId, reason: Option<&str>) -> Result<(), WrongState> {
        let session = self.sessions.get_mut(&dialog).ok_or(WrongState)?;
        if session.end.is_some() {
            return Err(WrongState);
        }
        session.end = Some(reason.map(str::to_owned));
        self.end_if_due(now, dialog);
        Ok(())
    }

    /// Sends the BYE that the user wants, if nothing must come before it.
    pub(super) fn end_if_due(&mut self, now: Instant, dialog: DialogId) {
        let notifying = self.referrals(dialog).any(|(_, it)| it.phase.is_notifying());
        let Some(session) = self.sessions.get_mut(&dialog) else {
            return;
        };
        // §15: "the callee's UA MUST NOT send a BYE on a confirmed dialog until it has received an ACK for its 2xx response or until
        // the server transaction times out." A peer that gets the BYE before it has dealt with our NOTIFYs may answer those with
        // 481, and takes the transfer for failed.
        let unacked = session.unacked.as_ref().is_some_and(|unacked| unacked.initial);
        if !unacked
            && !notifying
            && session.state == State::Confirmed
            && let Some(reason) = session.end.take()
        {
            self.send_bye(now, dialog, reason.as_deref());
        }
    }

    /// BYE for a session; `Ended` comes with its answer.
    pub(super) fn send_bye(&mut self, now: Instant, dialog: DialogId, reason: Option<&str>) {
        let Some(session) = self.sessions.get_mut(&dialog) else {
            return;
        };
        session.state = State::Ending;
        session.timers.stop_all();
        session.unacked = None;
        let theirs = session.theirs.take();
        let ours = std::mem::replace(&mut session.ours, Ours::No);
        session.dialog.local_cseq += 1;
        let copy = session.dialog.clone();
        self.settle_session(dialog);
        self.abandon_refers(now, dialog);
        self.bye(now, &copy, reason, Some(dialog));
        if let Some(theirs) = theirs {
            self.answer_invitation(now, theirs, 487, &[], None);
        }
        if let Ours::Pending { transaction, .. } = ours {
            self.client_step(now, transaction, ClientInput::GiveUp);
        }
    }

    /// BYE for a dialog that has no session, or none any more.
    pub(super) fn send_stray_bye(&mut self, now: Instant, mut dialog: Dialog, reason: Option<&str>) {
        dialog.local_cseq += 1;
        self.bye(now, &dialog, reason, None);
    }

    fn bye(&mut self, now: Instant, dialog: &Dialog, reason: Option<&str>, session: Option<DialogId>) {
        let parts = Parts {
            method: Method::Bye,
            headers: reason_header(reason),
            body: None,
        };
        self.start_request(now, dialog, session, parts, Role::Bye);
    }

    /// The dialog is dead, though the peer may not know: BYE, and the session is gone.
    pub(super) fn lost(&mut self, now: Instant, dialog: DialogId, cause: ByeCause) {
        let Some(session) = self.sessions.get_mut(&dialog) else {
            return;
        };
        session.dialog.local_cseq += 1;
        let copy = session.dialog.clone();
        self.forget(now, dialog);
        self.bye(now, &copy, None, None);
        self.events.push_back(Event::Bye { dialog, cause });
    }

    /// An INVITE in the dialog is over: what waited for that goes.
    pub(super) fn go_on(&mut self, now: Instant, dialog: DialogId) {
        self.start_reinvite(now, dialog);
        self.start_refer(now, dialog);
        self.send_key(now, dialog);
        self.settle_session(dialog);
    }

    /// Sends the re-INVITE that waits, if the dialog is free for it: §14.1: "a UAC MUST NOT initiate a new INVITE transaction within a
    /// dialog while another INVITE transaction is in progress in either direction."
    pub(super) fn start_reinvite(&mut self, now: Instant, id: DialogId) {
        let Some(session) = self.sessions.get_mut(&id) else {
            return;
        };
        if session.state != State::Confirmed || session.theirs.is_some() || session.unacked.is_some() {
            return;
        }
        let Ours::Wanted { offer, tries } = session.ours.clone() else {
            return;
        };
        session.dialog.local_cseq += 1;
        let dialog = session.dialog.clone();
        let to = dialog.destination();
        let transaction = self.send_invite(now, id, dialog, to, false, &[], Some(&offer));
        if let Some(session) = self.sessions.get_mut(&id) {
            session.ours = Ours::Pending {
                offer,
                tries,
                transaction,
            };
            if session.proposes {
                session.timers.set(Timer::Unanswered, now + self.times.timeout());
            }
        }
        self.settle_session(id);
    }
}
