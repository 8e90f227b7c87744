//! The user agent core: bytes, commands and time go in; bytes and events come out.
//!
//! It owns the guard, the transactions (RFC 3261 §17, RFC 6026) and the dialogs. Its user sees INVITE sessions under
//! a [`DialogId`]; retransmissions, ACKs, 200s to BYE and CANCEL, answers to OPTIONS and the refusals of the guard
//! are the endpoint's own work.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::time::Instant;

use bytes::Bytes;

mod auth;
mod config;
mod event;
pub(crate) mod flow;
mod foreign;
pub(crate) mod hop;
mod info;
mod invitation;
mod print;
mod received;
mod referee;
mod referral;
mod referrer;
mod registry;
mod request;
mod session;
mod share;
mod strangers;
mod streams;
mod table;
mod transactions;
mod uac;
mod uas;

use crate::dialog::Dialog;
use crate::digest::Credentials;
use crate::message::Message;
use crate::random::Random;
use crate::timer::Times;
use crate::transaction::ClientInput;
use auth::Keyring;
pub use config::{Config, Invite};
pub use event::{ByeCause, Event};
pub use flow::{FlowBounds, FlowId, Stream};
pub use foreign::{NotForeign, Standing};
pub use hop::Transport;
use referral::Referral;
pub use referrer::Refer;
pub use share::{Share, Stray};

use flow::Flows;
use hop::Source;
use registry::Transactions;
use session::{Cancel, Ours, Owner, Session, State};
use strangers::Strangers;
use table::{Index, Table};

/// An INVITE session of ours, from its first INVITE to its end. Never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DialogId(pub u64);

/// One REFER with its implicit subscription (RFC 3515 §2.4.4), in either direction. Never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ReferId(pub u64);

/// A datagram to be sent. `Debug` shows no credentials.
#[derive(Clone, PartialEq, Eq)]
pub struct Transmit {
    /// Where to.
    pub to: SocketAddr,
    /// What.
    pub bytes: Bytes,
}

impl fmt::Debug for Transmit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let message = Message::parse(self.bytes.clone()).ok();
        f.debug_struct("Transmit")
            .field("to", &self.to)
            .field("message", &message)
            .finish()
    }
}

/// A command that does not fit the dialog's state: our bug, or a crossing that the user did not see yet. Harmless.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WrongState;

/// The user agent core.
pub struct Endpoint {
    config: Config,
    times: Times,
    random: Random,
    last_id: u64,
    sessions: Table<DialogId, Session>,
    /// Dialogs whose INVITE session is over, and in which a subscription goes on (RFC 5057 §4.1).
    outlived: Table<DialogId, Dialog>,
    refers: Table<ReferId, Referral>,
    /// Whose they are.
    referrals: Index<DialogId, ReferId>,
    /// Call-ID and our tag.
    dialogs: BTreeMap<(String, String), DialogId>,
    /// The dialogs that run over a connection, whether it is still there or not.
    riders: Index<FlowId, DialogId>,
    transactions: Transactions,
    /// Every owner's next timer.
    queue: BTreeSet<(Instant, Owner)>,
    transmits: VecDeque<Transmit>,
    flows: Flows,
    events: VecDeque<Event>,
    refusing: Option<u32>,
    turned_away: u64,
    strangers: Strangers,
    share: Option<Share>,
    strays: VecDeque<Stray>,
}

/// What is alive, not what is in it: requests have credentials.
impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Endpoint").field(&self.alive()).finish()
    }
}

impl Endpoint {
    /// An endpoint without a dialog.
    pub fn new(config: Config) -> Endpoint {
        let times = Times {
            t1: config.t1,
            t2: config.t2,
            t4: config.t4,
            reliable: false,
        };
        Endpoint {
            times,
            random: Random::new(config.seed),
            flows: Flows::new(config.flows),
            config,
            last_id: 0,
            sessions: Table::default(),
            outlived: Table::default(),
            refers: Table::default(),
            referrals: Index::default(),
            dialogs: BTreeMap::new(),
            riders: Index::default(),
            transactions: Transactions::default(),
            queue: BTreeSet::new(),
            transmits: VecDeque::new(),
            events: VecDeque::new(),
            refusing: None,
            turned_away: 0,
            strangers: Strangers::default(),
            share: None,
            strays: VecDeque::new(),
        }
    }

    /// One datagram.
    pub fn handle_datagram(&mut self, now: Instant, from: SocketAddr, datagram: Bytes) {
        self.strangers.refill(now);
        let source = Source {
            address: from,
            flow: None,
        };
        self.message(now, source, datagram);
        self.settle_unborn(now);
    }

    /// A datagram to `to` could not be sent (ICMP unreachable): its transactions fail with 503.
    pub fn handle_unreachable(&mut self, now: Instant, to: SocketAddr) {
        for id in self.transactions.undelivered(to) {
            self.client_step(now, id, ClientInput::Unreachable);
        }
    }

    /// Time has passed.
    pub fn handle_timeout(&mut self, now: Instant) {
        while self.queue.first().is_some_and(|(at, _)| *at <= now) {
            let Some((_, owner)) = self.queue.pop_first() else {
                return;
            };
            // What is popped is scheduled no more, also where another timer of its owner fires at the same instant.
            match owner {
                Owner::Transaction(id) => {
                    if let Some(transaction) = self.transactions.get_mut(id) {
                        transaction.scheduled = None;
                    }
                    self.transaction_timeout(now, id);
                }
                Owner::Session(id) => {
                    if let Some(session) = self.sessions.get_mut(&id) {
                        session.scheduled = None;
                    }
                    self.session_timeout(now, id);
                }
                Owner::Refer(id) => self.referral_timeout(now, id),
                Owner::Flow(id) => self.flow_timeout(now, id),
                Owner::Refusal(peer) => self.flows.forgive(peer),
            }
        }
        self.settle_unborn(now);
    }

    /// When `handle_timeout` wants to be called next.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.queue.first().map(|(at, _)| *at)
    }

    /// The next datagram to send.
    pub fn poll_transmit(&mut self) -> Option<Transmit> {
        self.transmits.pop_front()
    }

    /// The next event.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// Calls somebody. Without `next_hop` the host of `to` must be an address, else `Refused` with 503 follows.
    pub fn invite(&mut self, now: Instant, invite: Invite) -> DialogId {
        let dialog = self.call(now, invite);
        self.settle_unborn(now);
        dialog
    }

    /// Provisional answer (101–199) to an INVITE that came. Repeated every minute (RFC 3261 §13.3.1.1).
    pub fn ring(&mut self, now: Instant, dialog: DialogId, status: u16, body: Option<Bytes>) -> Result<(), WrongState> {
        self.provisional(now, dialog, status, body)
    }

    /// 200 to an INVITE that came; repeated until its ACK.
    pub fn answer(
        &mut self,
        now: Instant,
        dialog: DialogId,
        body: Bytes,
        headers: &[(String, String)],
    ) -> Result<(), WrongState> {
        let State::Incoming { invite } = self.state(dialog)? else {
            return Err(WrongState);
        };
        self.accept(now, dialog, invite, body, headers)
    }

    /// Final refusal (300–699) of an INVITE that came. `Ended` follows.
    pub fn reject(
        &mut self,
        now: Instant,
        dialog: DialogId,
        status: u16,
        headers: &[(String, String)],
    ) -> Result<(), WrongState> {
        let State::Incoming { invite } = self.state(dialog)? else {
            return Err(WrongState);
        };
        self.refuse(now, dialog, invite, status, headers)
    }

    /// Ends a dialog in whatever state it is: CANCEL before the answer (also where no provisional came yet: then as soon as
    /// one does, RFC 3261 §9.1), BYE after it, ACK and BYE where the 200 crosses, 480 to an INVITE that was not answered. After our
    /// 2xx the BYE waits for the ACK, at most 64·T1 (§15); after a NOTIFY for its answer. `reason` becomes a Reason header (RFC 3326).
    /// `Ended` or `Refused` follows.
    pub fn end(&mut self, now: Instant, dialog: DialogId, reason: Option<&str>) -> Result<(), WrongState> {
        match self.state(dialog)? {
            State::Calling {
                invite,
                cancel: Cancel::No,
            } => self.want_cancel(now, dialog, invite, reason),
            State::Incoming { invite } => return self.refuse(now, dialog, invite, 480, &reason_header(reason)),
            State::Confirmed => return self.want_bye(now, dialog, reason),
            State::Calling { .. } | State::Rejecting { .. } | State::Ending => return Err(WrongState),
        }
        Ok(())
    }

    /// A new offer in the dialog. It waits while our 2xx is not acknowledged or a re-INVITE of the peer is not answered; while it
    /// waits, or backs off after a 491, a newer offer takes its place.
    pub fn reinvite(&mut self, now: Instant, dialog: DialogId, offer: Bytes) -> Result<(), WrongState> {
        self.offer_anew(now, dialog, offer, false)
    }

    /// The same with a change that nobody needs: where it is not answered at all, or with 408, it is refused, and the session goes on; one
    /// with a provisional answer alone is taken back after 64·T1 (CANCEL). That departs from RFC 3261 §14.1, which ends the dialog: a carrier that drops re-INVITEs would else drop the calls of whoever tries one.
    /// Whether the peer is still there, [`Endpoint::probe`] asks.
    pub fn propose(&mut self, now: Instant, dialog: DialogId, offer: Bytes) -> Result<(), WrongState> {
        self.offer_anew(now, dialog, offer, true)
    }

    fn offer_anew(&mut self, now: Instant, dialog: DialogId, offer: Bytes, proposes: bool) -> Result<(), WrongState> {
        let session = self.sessions.get_mut(&dialog).ok_or(WrongState)?;
        if session.state != State::Confirmed || session.end.is_some() {
            return Err(WrongState);
        }
        match &mut session.ours {
            Ours::Pending { .. } => return Err(WrongState),
            Ours::Wanted { offer: old, .. } | Ours::BackingOff { offer: old, .. } => *old = offer,
            Ours::No => session.ours = Ours::Wanted { offer, tries: 0 },
        }
        session.proposes = proposes;
        self.start_reinvite(now, dialog);
        Ok(())
    }

    /// 200 to a re-INVITE that came.
    pub fn answer_reinvite(&mut self, now: Instant, dialog: DialogId, body: Bytes) -> Result<(), WrongState> {
        let session = self.sessions.get_mut(&dialog).ok_or(WrongState)?;
        let invite = session.theirs.take().ok_or(WrongState)?;
        self.accept(now, dialog, invite, body, &[])
    }

    /// Refusal of a re-INVITE that came (488, 491).
    pub fn reject_reinvite(&mut self, now: Instant, dialog: DialogId, status: u16) -> Result<(), WrongState> {
        if !(300..700).contains(&status) {
            return Err(WrongState);
        }
        let session = self.sessions.get_mut(&dialog).ok_or(WrongState)?;
        let invite = session.theirs.take().ok_or(WrongState)?;
        self.answer_invitation(now, invite, status, &[], None);
        self.go_on(now, dialog);
        Ok(())
    }

    /// What is shown where a request of ours in a dialog is challenged: for dialogs that came in. It replaces what was there, and forgets
    /// what the dialog was asked for.
    pub fn set_credentials(&mut self, dialog: DialogId, credentials: Vec<Credentials>) -> Result<(), WrongState> {
        let session = self.sessions.get_mut(&dialog).ok_or(WrongState)?;
        session.keyring = Keyring::new(credentials);
        Ok(())
    }

    /// The Call-ID of a dialog.
    pub fn call_id(&self, dialog: DialogId) -> Option<&str> {
        self.sessions
            .get(&dialog)
            .map(|session| session.dialog.call_id.as_str())
    }

    /// From now on new INVITEs get 503 with Retry-After (in seconds), and OPTIONS says so; `None` ends it.
    pub fn refuse_new(&mut self, retry_after: Option<u32>) {
        self.refusing = retry_after;
    }

    /// INVITEs that were refused because of [`Endpoint::refuse_new`], since the start.
    pub fn turned_away(&self) -> u64 {
        self.turned_away
    }

    /// Who may call. An INVITE outside any dialog that comes from another address gets 403 without any state, and refusals of any kind
    /// to other addresses are limited to 100 a second, answers to their OPTIONS to 1000: more would make us a tool against whoever's
    /// address a sender borrows.
    /// Until this is called everybody may call.
    pub fn admit(&mut self, callers: impl IntoIterator<Item = IpAddr>) {
        self.strangers.admit(callers);
    }

    /// Entries of all tables and queues: 0 once nothing is alive and everything was polled. Tests see by it that nothing is forgotten.
    #[doc(hidden)]
    pub fn held(&self) -> usize {
        let tables = [
            self.sessions.len(),
            self.outlived.len(),
            self.dialogs.len(),
            self.transactions.held(),
            self.flows.held(),
        ];
        let indexes = [self.refers.len(), self.referrals.len(), self.riders.len()];
        let queues = [
            self.queue.len(),
            self.transmits.len(),
            self.events.len(),
            self.strays.len(),
        ];
        [&tables[..], &indexes, &queues].concat().into_iter().sum()
    }

    /// What is alive, for the conservation checks: all zero once all dialogs ended and timers ran out.
    pub fn alive(&self) -> Alive {
        Alive {
            dialogs: self.sessions.len(),
            transactions: self.transactions.len(),
            refers: self.refers.len(),
        }
    }

    /// Connections that are there or being opened: they outlive what they were opened for by [`FlowBounds::idle`].
    pub fn flows(&self) -> usize {
        self.flows.len()
    }

    fn state(&self, dialog: DialogId) -> Result<State, WrongState> {
        self.sessions
            .get(&dialog)
            .map(|session| session.state)
            .ok_or(WrongState)
    }

    fn next_id(&mut self) -> u64 {
        self.last_id += 1;
        self.last_id
    }

    fn add_session(&mut self, id: DialogId, session: Session) {
        let key = (session.dialog.call_id.clone(), session.dialog.local_tag.clone());
        self.dialogs.insert(key, id);
        self.riders.change(None, session.dialog.peer.flow, id);
        self.sessions.insert(id, session);
    }

    /// Drops a session with its timers. What it had under way ends by itself: an INVITE of ours is given up, one of theirs gets 487
    /// (RFC 3261 §15.1.2).
    fn forget(&mut self, now: Instant, id: DialogId) {
        let Some(session) = self.sessions.remove(&id) else {
            return;
        };
        if let Some(at) = session.scheduled {
            self.queue.remove(&(at, Owner::Session(id)));
        }
        self.abandon_refers(now, id);
        let dialog = session.dialog;
        if self.is_subscribed(id) {
            self.outlived.insert(id, dialog);
        } else {
            self.forget_dialog(id, dialog);
        }
        match session.state {
            State::Calling { invite, .. } => self.client_step(now, invite, ClientInput::GiveUp),
            State::Incoming { invite } => self.answer_invitation(now, invite, 487, &[], None),
            State::Rejecting { .. } | State::Confirmed | State::Ending => {}
        }
        if let Ours::Pending { transaction, .. } = session.ours {
            self.client_step(now, transaction, ClientInput::GiveUp);
        }
        if let Some(theirs) = session.theirs {
            self.answer_invitation(now, theirs, 487, &[], None);
        }
        self.send_waiting(now, id);
    }

    /// Nothing is left of a dialog.
    fn forget_dialog(&mut self, id: DialogId, dialog: Dialog) {
        self.riders.change(dialog.peer.flow, None, id);
        self.dialogs.remove(&(dialog.call_id, dialog.local_tag));
    }
}

/// RFC 3326.
fn reason_header(reason: Option<&str>) -> Vec<(String, String)> {
    reason
        .map(|reason| ("Reason".to_owned(), reason.to_owned()))
        .into_iter()
        .collect()
}

/// Counts of what an endpoint holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Alive {
    /// Dialogs, early ones included.
    pub dialogs: usize,
    /// Transactions, finished ones that still absorb retransmissions included.
    pub transactions: usize,
    /// REFERs with their subscriptions, in both directions.
    pub refers: usize,
}

#[cfg(test)]
mod tests;
