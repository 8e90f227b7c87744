//! A REFER with its implicit subscription (RFC 3515, RFC 6665), in either role: what the endpoint keeps of it and for how long.
//!
//! A subscription is a second usage of the dialog (RFC 5057): it may go on after the BYE, and what ends it does not end the call.

use std::time::{Duration, Instant};

use super::received::Request;
use super::session::{Owner, TransactionId};
use super::{DialogId, Endpoint, Refer, ReferId};
use crate::dialog::Dialog;

/// Subscriptions that a dialog may have at the most, in each direction.
pub(super) const PER_DIALOG: usize = 4;
/// A subscription that nobody ends lives so long.
pub(super) const SUBSCRIPTION: Duration = Duration::from_secs(180);

/// A REFER and its subscription.
#[derive(Clone, Debug)]
pub(super) struct Referral {
    pub(super) dialog: DialogId,
    /// CSeq number of the REFER: the subscription's name.
    pub(super) cseq: u32,
    /// NOTIFYs name it: ours must where it is not the first one of the dialog, theirs have done so.
    pub(super) named: bool,
    pub(super) phase: Phase,
    /// Ours, and our user wants to hear no more of it. It is kept, so that its late NOTIFYs are not taken for another REFER's.
    pub(super) forgotten: bool,
    pub(super) deadline: Instant,
}

/// How far it is.
#[derive(Clone, Debug)]
pub(super) enum Phase {
    /// Our REFER waits until no INVITE is under way in the dialog.
    Wanted { refer: Box<Refer> },
    /// Our REFER has no answer.
    Asked {
        /// It asks for no NOTIFY (RFC 4488).
        silent: bool,
    },
    /// It was accepted; NOTIFYs are to come.
    Subscribed,
    /// A final status came; only the end of the subscription is missing.
    Told,
    /// Their REFER waits for our user.
    Offered {
        transaction: TransactionId,
        request: Box<Request>,
    },
    /// We accepted it. One NOTIFY at a time is under way.
    Notifying {
        sent: Option<Notice>,
        waiting: Option<Notice>,
    },
    /// We accepted it, and they want no NOTIFY (RFC 4488).
    Silent,
}

/// A NOTIFY of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Notice {
    pub(super) status: u16,
    pub(super) end: Option<Ending>,
}

/// The reason in a last NOTIFY (RFC 3515 §2.4.7, RFC 6665 §4.1.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    /// All is told.
    NoResource,
    /// The subscription's time is over.
    Timeout,
}

impl Phase {
    /// Our REFER, so that NOTIFYs come to us.
    pub(super) fn is_ours(&self) -> bool {
        matches!(
            self,
            Phase::Wanted { .. } | Phase::Asked { .. } | Phase::Subscribed | Phase::Told
        )
    }

    /// Our REFER has left, and its subscription is not over.
    pub(super) fn is_notified(&self) -> bool {
        self.is_ours() && !matches!(self, Phase::Wanted { .. })
    }

    /// A NOTIFY of ours is not answered, or waits.
    pub(super) fn is_notifying(&self) -> bool {
        matches!(self, Phase::Notifying { sent, waiting } if sent.is_some() || waiting.is_some())
    }

    /// A last NOTIFY of ours is under way: all is said.
    pub(super) fn is_said(&self) -> bool {
        let last = |notice: &Option<Notice>| notice.is_some_and(|notice| notice.end.is_some());
        matches!(self, Phase::Notifying { sent, waiting } if last(sent) || last(waiting))
    }
}

impl Endpoint {
    pub(super) fn add_referral(&mut self, referral: Referral) -> ReferId {
        let id = ReferId(self.next_id());
        self.referrals.insert(referral.dialog, id);
        self.queue.insert((referral.deadline, Owner::Refer(id)));
        self.refers.insert(id, referral);
        id
    }

    /// Forgets a REFER, with its dialog where nothing else is left of that; a BYE that waited for it goes.
    pub(super) fn drop_referral(&mut self, now: Instant, id: ReferId) {
        let Some(referral) = self.refers.remove(&id) else {
            return;
        };
        self.queue.remove(&(referral.deadline, Owner::Refer(id)));
        self.referrals.remove(&referral.dialog, &id);
        self.release(referral.dialog);
        self.end_if_due(now, referral.dialog);
    }

    /// Lets a dialog go that neither a session nor a subscription needs.
    pub(super) fn release(&mut self, id: DialogId) {
        if !self.is_subscribed(id)
            && let Some(dialog) = self.outlived.remove(&id)
        {
            self.forget_dialog(id, dialog);
        }
    }

    /// Gives it a new deadline.
    pub(super) fn prolong(&mut self, id: ReferId, deadline: Instant) {
        if let Some(referral) = self.refers.get_mut(&id) {
            self.queue.remove(&(referral.deadline, Owner::Refer(id)));
            referral.deadline = deadline;
            self.queue.insert((deadline, Owner::Refer(id)));
        }
    }

    /// The REFERs of a dialog, oldest first.
    pub(super) fn referrals(&self, dialog: DialogId) -> impl Iterator<Item = (ReferId, &Referral)> {
        self.referrals
            .of(&dialog)
            .filter_map(|id| Some((id, self.refers.get(&id)?)))
    }

    /// Whether the dialog is needed for more than its INVITE session.
    pub(super) fn is_subscribed(&self, dialog: DialogId) -> bool {
        self.referrals(dialog)
            .any(|(_, it)| !it.forgotten && !matches!(it.phase, Phase::Wanted { .. } | Phase::Silent))
    }

    /// A dialog, whether its INVITE session is over or not.
    pub(super) fn dialog_mut(&mut self, id: DialogId) -> Option<&mut Dialog> {
        match self.sessions.get_mut(&id) {
            Some(session) => Some(&mut session.dialog),
            None => self.outlived.get_mut(&id),
        }
    }

    pub(super) fn referral_timeout(&mut self, now: Instant, id: ReferId) {
        let Some(referral) = self.refers.get(&id) else { return };
        let (dialog, refer) = (referral.dialog, id);
        match &referral.phase {
            _ if referral.forgotten => self.drop_referral(now, id),
            Phase::Wanted { .. } | Phase::Asked { .. } => {
                self.drop_referral(now, id);
                self.tell_answer(dialog, refer, 408);
            }
            Phase::Subscribed => {
                self.drop_referral(now, id);
                self.tell_progress(dialog, refer, 408, true);
            }
            Phase::Told | Phase::Silent => self.drop_referral(now, id),
            // Their transaction has timed out by now.
            Phase::Offered { .. } => drop(self.reject_refer(now, id, 500)),
            Phase::Notifying { .. } => self.subscription_over(now, id),
        }
    }
}
