//! We are referred: REFERs of theirs and the NOTIFYs that we send for them (RFC 3515 §2.4, RFC 6665 §4.2).

use std::time::Instant;

use bytes::Bytes;

use super::print::{Answer, reason};
use super::received::{Request, contact};
use super::referral::{Ending, Notice, PER_DIALOG, Phase, Referral, SUBSCRIPTION};
use super::referrer::wants_silence;
use super::request::Parts;
use super::session::{Role, State, TransactionId};
use super::transactions::server_key;
use super::uas::BUSY_SECONDS;
use super::{DialogId, Endpoint, Event, ReferId, WrongState};
use crate::method::Method;
use crate::transaction::{Machine, ServerOther};

/// The body of a NOTIFY (RFC 3515 §2.4.5).
const SIPFRAG: &str = "message/sipfrag;version=2.0";

impl Endpoint {
    /// 202 to a REFER that came, and at once a NOTIFY that says 100. Where the peer wants no NOTIFY (`Refer-Sub: false`, RFC 4488), the 202
    /// says so too and `notify` sends nothing.
    pub fn accept_refer(&mut self, now: Instant, refer: ReferId) -> Result<(), WrongState> {
        let referral = self.refers.get_mut(&refer).ok_or(WrongState)?;
        let Phase::Offered { transaction, request } = &referral.phase else {
            return Err(WrongState);
        };
        let (transaction, request) = (*transaction, request.clone());
        let silent = wants_silence(&request.message);
        referral.phase = match silent {
            true => Phase::Silent,
            false => Phase::Notifying {
                sent: None,
                waiting: None,
            },
        };
        let headers = match silent {
            true => vec![("Refer-Sub".to_owned(), "false".to_owned())],
            false => Vec::new(),
        };
        self.prolong(refer, now + SUBSCRIPTION);
        self.answer_refer(now, transaction, &request, 202, &headers);
        // RFC 3515 §2.4.4, RFC 6665 §4.2.1.2: at once, whatever is known.
        self.notify(now, refer, 100, false)
    }

    /// Final refusal (300–699) of a REFER that came.
    pub fn reject_refer(&mut self, now: Instant, refer: ReferId, status: u16) -> Result<(), WrongState> {
        let referral = self.refers.get(&refer).ok_or(WrongState)?;
        let Phase::Offered { transaction, request } = &referral.phase else {
            return Err(WrongState);
        };
        if !(300..700).contains(&status) {
            return Err(WrongState);
        }
        let (transaction, request) = (*transaction, request.clone());
        self.drop_referral(now, refer);
        self.answer_refer(now, transaction, &request, status, &[]);
        Ok(())
    }

    /// Tells the peer how the INVITE stands that its REFER asked for: NOTIFY with `SIP/2.0 <status>`. One at a time: one that waits is
    /// replaced by a newer one, for each tells all. After the `last` nothing more is sent. The subscription may be gone already, where
    /// the peer refused a NOTIFY or did not answer it: `WrongState`, and harmless.
    pub fn notify(&mut self, now: Instant, refer: ReferId, status: u16, last: bool) -> Result<(), WrongState> {
        let referral = self.refers.get_mut(&refer).ok_or(WrongState)?;
        if !(100..700).contains(&status) || referral.phase.is_said() {
            return Err(WrongState);
        }
        let end = last.then_some(Ending::NoResource);
        match &mut referral.phase {
            Phase::Notifying { sent: Some(_), waiting } => *waiting = Some(Notice { status, end }),
            Phase::Notifying { sent: None, .. } => self.send_notify(now, refer, Notice { status, end }),
            Phase::Silent if last => self.drop_referral(now, refer),
            Phase::Silent => {}
            _ => return Err(WrongState),
        }
        Ok(())
    }

    /// Nobody has said the last word in time: `timeout`, and nothing about the outcome.
    pub(super) fn subscription_over(&mut self, now: Instant, refer: ReferId) {
        let Some(referral) = self.refers.get_mut(&refer) else {
            return;
        };
        let mut notice = Notice {
            status: 100,
            end: Some(Ending::Timeout),
        };
        match &mut referral.phase {
            Phase::Notifying { sent: None, waiting } => {
                // What waits behind our BYE is the last word, if it is one.
                if let Some(said) = waiting.filter(|said| said.end.is_some()) {
                    notice = said;
                }
                let deadline = now + 2 * self.times.timeout();
                self.prolong(refer, deadline);
                self.send_notify(now, refer, notice);
            }
            _ => self.drop_referral(now, refer),
        }
    }

    /// The session is over: sends the NOTIFYs that waited for the answer to our BYE.
    pub(super) fn send_waiting(&mut self, now: Instant, dialog: DialogId) {
        let ids: Vec<_> = self.referrals(dialog).map(|(id, _)| id).collect();
        for id in ids {
            if let Some(referral) = self.refers.get_mut(&id)
                && let Phase::Notifying { sent: None, waiting } = &mut referral.phase
                && let Some(notice) = waiting.take()
            {
                self.send_notify(now, id, notice);
            }
        }
    }

    fn send_notify(&mut self, now: Instant, refer: ReferId, notice: Notice) {
        let Some(referral) = self.refers.get_mut(&refer) else {
            return;
        };
        let Phase::Notifying { sent, waiting } = &mut referral.phase else {
            return;
        };
        // Behind our BYE it could overtake that, and a BYE that comes too late is refused (RFC 3261 §12.2.2).
        let session = self.sessions.get(&referral.dialog);
        if session.is_some_and(|session| session.state == State::Ending) {
            *waiting = Some(notice);
            return;
        }
        *sent = Some(notice);
        let event = match referral.named {
            true => format!("refer;id={}", referral.cseq),
            false => "refer".to_owned(),
        };
        let state = match notice.end {
            None => {
                let left = referral.deadline.saturating_duration_since(now).as_secs();
                format!("active;expires={left}")
            }
            Some(Ending::NoResource) => "terminated;reason=noresource".to_owned(),
            Some(Ending::Timeout) => "terminated;reason=timeout".to_owned(),
        };
        let id = referral.dialog;
        let body = format!("SIP/2.0 {} {}\r\n", notice.status, reason(notice.status));
        let parts = Parts {
            method: Method::Notify,
            headers: vec![("Event".to_owned(), event), ("Subscription-State".to_owned(), state)],
            body: Some((SIPFRAG, Bytes::from(body))),
        };
        let Some(dialog) = self.dialog_mut(id) else { return };
        dialog.local_cseq += 1;
        let dialog = dialog.clone();
        self.start_request(now, &dialog, Some(id), parts, Role::Notify(refer));
    }

    /// A final answer to a NOTIFY, or 408 or 503 for none. RFC 6665 §4.2.2: a NOTIFY that fails ends its subscription, and (RFC 5057 §5.1)
    /// nothing else: whoever has hung up does not care any more.
    pub(super) fn notify_answered(&mut self, now: Instant, refer: ReferId, status: u16) {
        let Some(referral) = self.refers.get_mut(&refer) else {
            return;
        };
        let Phase::Notifying { sent, waiting } = &mut referral.phase else {
            return;
        };
        let last = sent.take().is_some_and(|notice| notice.end.is_some());
        match waiting.take() {
            _ if last || status >= 300 => self.drop_referral(now, refer),
            Some(next) => self.send_notify(now, refer, next),
            None => {
                let dialog = referral.dialog;
                self.end_if_due(now, dialog);
            }
        }
    }

    /// A REFER came in a dialog.
    pub(super) fn refer_came(&mut self, now: Instant, id: DialogId, request: Request) {
        let theirs = self.referrals(id).filter(|(_, it)| !it.phase.is_ours()).count();
        let timeout = self.times.timeout();
        let Some(session) = self
            .sessions
            .get_mut(&id)
            .filter(|session| session.state == State::Confirmed && session.end.is_none())
        else {
            return self.stateless(now, &request, 481, &[]);
        };
        let named = std::mem::replace(&mut session.referred, true);
        // RFC 3515 §2.4.2: 400 "if the request contained zero or more than one Refer-To header field values."
        if request.message.refer_to().is_none() {
            return self.stateless(now, &request, 400, &[]);
        }
        if theirs >= PER_DIALOG {
            return self.try_later(now, &request, 503, BUSY_SECONDS);
        }
        session.dialog.refresh(contact(&request.message).as_deref());
        let key = server_key(&request, Method::Refer.as_str());
        let machine = Machine::ServerOther(ServerOther::new());
        let transaction = self.start(
            now,
            machine,
            key,
            request.answer_to,
            Bytes::new(),
            Some(id),
            Role::Request,
        );
        let message = Box::new(request.message.clone());
        let refer = self.add_referral(Referral {
            dialog: id,
            cseq: request.cseq,
            named,
            phase: Phase::Offered {
                transaction,
                request: Box::new(request),
            },
            forgotten: false,
            deadline: now + timeout,
        });
        self.events.push_back(Event::Refer {
            dialog: id,
            refer,
            request: message,
        });
    }

    fn answer_refer(
        &mut self,
        now: Instant,
        transaction: TransactionId,
        request: &Request,
        status: u16,
        headers: &[(String, String)],
    ) {
        let answer = Answer {
            status,
            tag: None,
            headers,
            body: None,
        };
        let bytes = answer.print(request, &self.config);
        self.respond(now, transaction, status, bytes);
    }
}
