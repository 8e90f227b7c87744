//! We refer: REFERs of ours and the NOTIFYs that come for them (RFC 3515 §2.4, RFC 6665 §4.1).

use std::time::Instant;

use super::print::ALLOW_EVENTS;
use super::received::{Request, contact};
use super::referral::{PER_DIALOG, Phase, Referral, SUBSCRIPTION};
use super::request::Parts;
use super::session::{Ours, Role, State};
use super::{DialogId, Endpoint, Event, ReferId, WrongState};
use crate::header::{self, Header, ReferSub, SubscriptionState};
use crate::message::Message;
use crate::method::Method;
use crate::uri::digits;

/// A REFER of ours: the peer shall call somebody else.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Refer {
    /// Refer-To: a URI, or an address with a name (`"Bob" <sip:bob@host>`).
    pub to: String,
    /// Referred-By (RFC 3892), in the same form.
    pub by: Option<String>,
    /// More headers, in order. `Refer-Sub: false` asks for no NOTIFYs (RFC 4488).
    pub headers: Vec<(String, String)>,
}

impl Endpoint {
    /// Asks the peer of a confirmed dialog to call somebody else. `ReferAnswered` follows in any case; after a 2xx `ReferProgress` until
    /// one is the last, unless both sides said `Refer-Sub: false`. It waits while an INVITE or another REFER of ours is under way in the
    /// dialog, at most 64·T1; where the call ends before, its answer is 481. Four at a time in one dialog.
    pub fn refer(&mut self, now: Instant, dialog: DialogId, refer: Refer) -> Result<ReferId, WrongState> {
        let ours = self.referrals(dialog).filter(|(_, it)| it.phase.is_ours()).count();
        let session = self.sessions.get(&dialog).ok_or(WrongState)?;
        if session.state != State::Confirmed || session.end.is_some() || ours >= PER_DIALOG {
            return Err(WrongState);
        }
        let id = self.add_referral(Referral {
            dialog,
            cseq: 0,
            named: false,
            phase: Phase::Wanted { refer: Box::new(refer) },
            forgotten: false,
            deadline: now + self.times.timeout(),
        });
        self.start_refer(now, dialog);
        Ok(id)
    }

    /// Sends the REFER that waits longest, if no INVITE is under way: peers answer it with 491 else, as they should (RFC 3261 §21.4.27).
    /// One after the other: they must not overtake each other, for the peer names only the later ones in its NOTIFYs.
    pub(super) fn start_refer(&mut self, now: Instant, dialog: DialogId) {
        let Some(session) = self.sessions.get(&dialog) else {
            return;
        };
        let inviting =
            session.theirs.is_some() || session.unacked.is_some() || matches!(session.ours, Ours::Pending { .. });
        let asking = self
            .referrals(dialog)
            .any(|(_, it)| matches!(it.phase, Phase::Asked { .. }));
        if inviting || asking || session.state != State::Confirmed || session.end.is_some() {
            return;
        }
        if let Some(&refer) = self.wanted(dialog).first() {
            self.send_refer(now, refer);
        }
    }

    /// The session is over before they could go.
    pub(super) fn abandon_refers(&mut self, now: Instant, dialog: DialogId) {
        for id in self.wanted(dialog) {
            self.drop_referral(now, id);
            self.tell_answer(dialog, id, 481);
        }
    }

    fn wanted(&self, dialog: DialogId) -> Vec<ReferId> {
        self.referrals(dialog)
            .filter(|(_, it)| matches!(it.phase, Phase::Wanted { .. }))
            .map(|(id, _)| id)
            .collect()
    }

    fn send_refer(&mut self, now: Instant, id: ReferId) {
        let Some(referral) = self.refers.get_mut(&id) else {
            return;
        };
        let Some(session) = self.sessions.get_mut(&referral.dialog) else {
            return;
        };
        let Phase::Wanted { refer } = &referral.phase else {
            return;
        };
        let refer = refer.as_ref().clone();
        let mut headers = vec![("Refer-To".to_owned(), bracketed(refer.to))];
        headers.extend(refer.by.map(|by| ("Referred-By".to_owned(), bracketed(by))));
        headers.extend(refer.headers);
        let silent = headers.iter().any(|(name, value)| {
            name.eq_ignore_ascii_case(ReferSub::NAME) && ReferSub::parse(value) == Ok(ReferSub(false))
        });
        session.dialog.local_cseq += 1;
        let dialog = session.dialog.clone();
        referral.cseq = dialog.local_cseq;
        referral.phase = Phase::Asked { silent };
        let session = referral.dialog;
        // Its transaction ends long before.
        self.prolong(id, now + SUBSCRIPTION.max(2 * self.times.timeout()));
        let parts = Parts {
            method: Method::Refer,
            headers,
            body: None,
        };
        self.start_request(now, &dialog, Some(session), parts, Role::Refer(id));
    }

    /// Nothing more is told of a REFER of ours. The next NOTIFY for it gets 481, which ends the subscription at the peer (RFC 6665 §4.2.2).
    pub fn forget_refer(&mut self, now: Instant, refer: ReferId) -> Result<(), WrongState> {
        let referral = self.refers.get_mut(&refer).ok_or(WrongState)?;
        if !referral.phase.is_ours() || referral.forgotten {
            return Err(WrongState);
        }
        referral.forgotten = true;
        let dialog = referral.dialog;
        if matches!(referral.phase, Phase::Wanted { .. } | Phase::Told) {
            self.drop_referral(now, refer);
        }
        self.release(dialog);
        Ok(())
    }

    /// A final answer to our REFER. Without a response `status` stands for its absence.
    pub(super) fn refer_answered(&mut self, now: Instant, refer: ReferId, status: u16, response: Option<&Message>) {
        let Some(referral) = self.refers.get_mut(&refer) else {
            return;
        };
        let (dialog, forgotten) = (referral.dialog, referral.forgotten);
        let silent = matches!(referral.phase, Phase::Asked { silent: true });
        match (&referral.phase, status) {
            (Phase::Asked { .. }, 200..=299) if !silent || !response.is_some_and(wants_silence) => {
                referral.phase = Phase::Subscribed;
                self.prolong(refer, now + SUBSCRIPTION);
                if !forgotten {
                    self.tell_answer(dialog, refer, status);
                }
            }
            // A refusal; or (RFC 4488 §4) both sides want no subscription.
            (Phase::Asked { .. }, _) => {
                self.drop_referral(now, refer);
                if !forgotten {
                    self.tell_answer(dialog, refer, status);
                }
            }
            // A NOTIFY has told before that the REFER was accepted. A refusal still is one; a 2xx, or none, changes nothing.
            (Phase::Subscribed, 300..) if response.is_some() => {
                self.drop_referral(now, refer);
                if !forgotten {
                    self.tell_progress(dialog, refer, status, true);
                }
            }
            _ => {}
        }
        match response {
            Some(response) if status < 300 => {
                if let Some(dialog) = self.dialog_mut(dialog) {
                    dialog.refresh(contact(response).as_deref());
                }
            }
            // RFC 5057 §5.1: a 481 ends the usage that the request belongs to, which for a REFER is the subscription that it would
            // have made; there are peers that say so to every REFER which they do not like. A caller may be on the line: whether
            // the call is gone, too, is asked for.
            Some(_) if status == 481 => drop(self.probe(now, dialog)),
            _ => {}
        }
        self.start_refer(now, dialog);
    }

    /// A NOTIFY came, in a dialog of ours or in none.
    pub(super) fn notify_came(&mut self, now: Instant, dialog: Option<DialogId>, request: Request) {
        let message = &request.message;
        let id = match message.typed::<header::Event>() {
            Some(Ok(event)) if event.package.eq_ignore_ascii_case("refer") => event.id,
            // RFC 6665 §8.3.2 and §4.1.3: another package, and which one is ours.
            Some(Ok(_)) => return self.stateless(now, &request, 489, &[("Allow-Events", ALLOW_EVENTS)]),
            Some(Err(_)) | None => return self.stateless(now, &request, 400, &[]),
        };
        // RFC 3515 §2.4.6: NOTIFYs for the first REFER of a dialog may go without an id, those for the others must have one.
        let found = dialog.and_then(|dialog| {
            let mut ours = self.referrals(dialog).filter(|(_, it)| it.phase.is_notified());
            match &id {
                Some(id) => ours.find(|(_, it)| digits(id) == Some(it.cseq)),
                None => ours
                    .filter(|(_, it)| !it.named)
                    .min_by_key(|(id, it)| (matches!(it.phase, Phase::Told), *id)),
            }
        });
        let Some((refer, referral)) = found else {
            // RFC 6665 §4.1.3: a NOTIFY that matches no subscription.
            return self.stateless(now, &request, 481, &[]);
        };
        if referral.forgotten {
            // With a transaction: the same NOTIFY again must not find another REFER.
            let dialog = referral.dialog;
            self.drop_referral(now, refer);
            return self.answer_once(now, dialog, &request, 481);
        }
        let (dialog, asked, told) = (
            referral.dialog,
            matches!(referral.phase, Phase::Asked { .. }),
            matches!(referral.phase, Phase::Told),
        );
        let terminated = matches!(message.typed::<SubscriptionState>(), Some(Ok(state)) if state.is_terminated());
        // A body that tells nothing is answered with 200 all the same: a refusal would end the subscription (RFC 6665 §4.2.2), and with
        // it the hope for a NOTIFY that tells how the transfer went.
        let status = message.sipfrag();
        if let Some(dialog) = self.dialog_mut(dialog) {
            dialog.refresh(contact(message).as_deref());
        }
        self.answer_once(now, dialog, &request, 200);
        let last = terminated || status.is_some_and(|status| status >= 200);
        if asked {
            // It has overtaken the answer to the REFER (RFC 6665 §4.1.2.4).
            self.tell_answer(dialog, refer, 202);
        }
        if let Some(status) = status.or(terminated.then_some(100)).filter(|_| !told) {
            self.tell_progress(dialog, refer, status, last);
        }
        if terminated {
            self.drop_referral(now, refer);
        } else if let Some(referral) = self.refers.get_mut(&refer) {
            referral.named |= id.is_some();
            referral.phase = match last || told {
                true => Phase::Told,
                false => Phase::Subscribed,
            };
        }
        self.start_refer(now, dialog);
    }

    pub(super) fn tell_answer(&mut self, dialog: DialogId, refer: ReferId, status: u16) {
        self.events.push_back(Event::ReferAnswered { dialog, refer, status });
    }

    pub(super) fn tell_progress(&mut self, dialog: DialogId, refer: ReferId, status: u16, last: bool) {
        self.events.push_back(Event::ReferProgress {
            dialog,
            refer,
            status,
            last,
        });
    }
}

/// Whether a message says `Refer-Sub: false`.
pub(super) fn wants_silence(message: &Message) -> bool {
    matches!(message.typed::<ReferSub>(), Some(Ok(ReferSub(false))))
}

/// §20.10: without angle brackets the parameters of the URI would be taken for parameters of the header.
fn bracketed(address: String) -> String {
    if address.contains('<') {
        address
    } else {
        format!("<{address}>")
    }
}
