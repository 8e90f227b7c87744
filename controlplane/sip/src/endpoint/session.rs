//! What the endpoint keeps of a session and of a transaction.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use bytes::Bytes;

use super::auth::Keyring;
use super::flow::FlowId;
use super::hop::Hop;
use super::info::Keys;
use super::received::Request;
use super::{DialogId, ReferId};
use crate::dialog::Dialog;
use crate::timer::Timers;

/// Names a transaction; never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct TransactionId(pub(super) u64);

/// Who has timers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Owner {
    Transaction(TransactionId),
    Session(DialogId),
    Refer(ReferId),
    Flow(FlowId),
    /// That this peer refuses TCP is remembered for a while.
    Refusal(SocketAddr),
}

/// How far a session is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// Our INVITE has no final answer.
    Calling { invite: TransactionId, cancel: Cancel },
    /// Their INVITE has no final answer.
    Incoming { invite: TransactionId },
    /// We refused their INVITE and wait for the ACK.
    Rejecting { invite: TransactionId },
    /// A 2xx was sent or came.
    Confirmed,
    /// Our BYE is not answered.
    Ending,
}

/// What became of the wish to cancel our INVITE.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cancel {
    /// There is none.
    No,
    /// It waits for a provisional answer (RFC 3261 §9.1).
    Wanted,
    /// CANCEL is sent.
    Sent,
}

/// A re-INVITE of ours.
#[derive(Clone, Debug)]
pub(super) enum Ours {
    /// None.
    No,
    /// It waits until the dialog is free: for an ACK, or for the answer to theirs.
    Wanted { offer: Bytes, tries: u8 },
    /// It has no final answer.
    Pending {
        offer: Bytes,
        tries: u8,
        transaction: TransactionId,
    },
    /// It got a 491 and waits for its timer.
    BackingOff { offer: Bytes, tries: u8 },
}

/// A 2xx of ours that waits for its ACK.
#[derive(Clone, Debug)]
pub(super) struct Unacked {
    pub(super) cseq: u32,
    pub(super) to: Hop,
    pub(super) bytes: Bytes,
    pub(super) interval: Duration,
    /// It carries the offer, so that the ACK carries the answer.
    pub(super) offers: bool,
    /// To the INVITE that made the dialog.
    pub(super) initial: bool,
}

/// An INVITE session.
#[derive(Clone, Debug)]
pub(super) struct Session {
    pub(super) dialog: Dialog,
    /// We made the Call-ID.
    pub(super) owns_call_id: bool,
    pub(super) state: State,
    pub(super) ours: Ours,
    /// The session goes on as well where that is not answered at all.
    pub(super) proposes: bool,
    /// A re-INVITE of theirs that our user is to answer.
    pub(super) theirs: Option<TransactionId>,
    pub(super) unacked: Option<Unacked>,
    /// A REFER came before: the next ones are told apart by their CSeq numbers (RFC 3515 §2.4.6).
    pub(super) referred: bool,
    /// An OPTIONS of ours is not answered.
    pub(super) probed: bool,
    /// Keys that the peer is to be told.
    pub(super) keys: Keys,
    /// The user's wish to end what must first be acknowledged (RFC 3261 §15), or where a NOTIFY is not answered; with its Reason.
    pub(super) end: Option<Option<String>>,
    /// Reason of a CANCEL that waits.
    pub(super) cancel_reason: Option<String>,
    /// What we may show where a request of ours is challenged.
    pub(super) keyring: Keyring,
    pub(super) timers: Timers,
    pub(super) scheduled: Option<Instant>,
}

impl Session {
    pub(super) fn new(dialog: Dialog, owns_call_id: bool, state: State) -> Session {
        Session {
            dialog,
            owns_call_id,
            state,
            ours: Ours::No,
            proposes: false,
            theirs: None,
            unacked: None,
            referred: false,
            probed: false,
            keys: Keys::default(),
            end: None,
            cancel_reason: None,
            keyring: Keyring::default(),
            timers: Timers::default(),
            scheduled: None,
        }
    }
}

/// What a transaction is for.
#[derive(Clone, Debug)]
pub(super) enum Role {
    /// An INVITE of ours.
    Invite(Box<Invited>),
    /// A BYE of ours.
    Bye,
    /// A CANCEL of ours.
    Cancel,
    /// An INVITE of theirs.
    Invitation(Box<Invitation>),
    /// A REFER of ours.
    Refer(ReferId),
    /// A NOTIFY of ours for a REFER of theirs.
    Notify(ReferId),
    /// An OPTIONS of ours: is the peer still there?
    Probe,
    /// An INFO of ours: a key.
    Key,
    /// Another request of theirs.
    Request,
    /// A request of ours that was challenged and sent again.
    Settled,
}

/// What an INVITE of ours keeps: it must acknowledge answers even where its session is gone.
#[derive(Clone, Debug)]
pub(super) struct Invited {
    /// The dialog as it was when the INVITE left; `local_cseq` is the INVITE's.
    pub(super) dialog: Dialog,
    pub(super) branch: String,
    /// It makes a dialog.
    pub(super) initial: bool,
    /// The ACK of the refusal.
    pub(super) refusal: Option<Bytes>,
    /// To tag and ACK of each 2xx.
    pub(super) acks: Vec<(String, Bytes, Hop)>,
}

/// What an INVITE of theirs keeps.
#[derive(Clone, Debug)]
pub(super) struct Invitation {
    pub(super) request: Request,
    /// Our tag in the answers.
    pub(super) tag: String,
    pub(super) initial: bool,
}
