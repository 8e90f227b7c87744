//! The user agent core: bytes, commands and time go in; bytes and events come out.
//!
//! It owns the guard, the transactions (RFC 3261 §17, RFC 6026) and the dialogs. Its user sees INVITE sessions under
//! a [`DialogId`]; retransmissions, ACKs, 200s to BYE and CANCEL, answers to OPTIONS and the refusals of the guard
//! are the endpoint's own work.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use bytes::Bytes;

/// An INVITE session of ours, from its first INVITE to its end. Never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DialogId(pub u64);

/// What an endpoint is made with.
#[derive(Clone, Debug)]
pub struct Config {
    /// The address that Via and Contact name: where peers reach us.
    pub advertise: SocketAddr,
    /// `User-Agent` and `Server`.
    pub agent: String,
    /// Round-trip estimate (RFC 3261 §17.1.1.1), 500 ms.
    pub t1: Duration,
    /// Longest retransmission interval, 4 s.
    pub t2: Duration,
    /// Longest that a message stays in the network, 5 s.
    pub t4: Duration,
    /// Tags, branches, Call-IDs and identifiers come from it.
    pub seed: u64,
    /// Transactions alive at the most; above it new requests get 503 with Retry-After.
    pub transactions: usize,
}

/// A new INVITE of ours.
#[derive(Clone, Debug, Default)]
pub struct Invite {
    /// Request-URI and To, `sip:…`.
    pub to: String,
    /// From: an optional display name and a URI, as it goes into the header (`"Bob" <sip:bob@host>`), without a tag.
    pub from: String,
    /// Where it is sent.
    pub next_hop: Option<SocketAddr>,
    /// More headers, in order.
    pub headers: Vec<(String, String)>,
    /// The offer (application/sdp).
    pub offer: Option<Bytes>,
}

/// What the endpoint tells its user.
#[derive(Clone, Debug)]
pub enum Event {
    /// A new INVITE outside any dialog came. 100 has been sent. To be answered with `ring`, `answer` or `reject`.
    Invite {
        /// The session it would become.
        dialog: DialogId,
        /// The datagram's source.
        from: SocketAddr,
        /// The request as it came.
        request: Box<crate::message::Message>,
    },
    /// The caller cancelled before we answered (487 and 200 are sent), or our INVITE's transaction died unanswered by us.
    /// The dialog is gone.
    Cancelled {
        /// Which session.
        dialog: DialogId,
    },
    /// A provisional answer (101–199) to our INVITE.
    Progress {
        /// Which session.
        dialog: DialogId,
        /// 180, 183, …
        status: u16,
        /// Early media, if it carries SDP.
        body: Option<Bytes>,
    },
    /// 2xx to our INVITE. The ACK has been sent. Where we had cancelled, this does not come: the endpoint sends ACK and BYE.
    Answered {
        /// Which session.
        dialog: DialogId,
        /// The answer (SDP).
        body: Option<Bytes>,
    },
    /// Our INVITE failed for good; the dialog is gone.
    Refused {
        /// Which session.
        dialog: DialogId,
        /// The final status; 408 where nothing came (timer B, or the silence after a CANCEL), 503 on a transport error.
        status: u16,
        /// Its reason phrase.
        reason: String,
        /// Retry-After in seconds, if any.
        retry_after: Option<u32>,
    },
    /// The ACK for our 2xx came (to INVITE or re-INVITE).
    Acked {
        /// Which session.
        dialog: DialogId,
        /// The answer, where our 2xx carried the offer.
        body: Option<Bytes>,
    },
    /// The peer sent BYE (200 is sent), or the dialog died: no ACK within 64·T1, or 481/408 to a request of ours.
    /// The dialog is gone.
    Bye {
        /// Which session.
        dialog: DialogId,
        /// What ended it.
        cause: ByeCause,
    },
    /// A re-INVITE came; to be answered with `answer_reinvite` or `reject_reinvite`.
    Reinvite {
        /// Which session.
        dialog: DialogId,
        /// The offer; `None`: the peer wants ours (late offer).
        body: Option<Bytes>,
    },
    /// 2xx to our re-INVITE; the ACK is sent.
    ReinviteAnswered {
        /// Which session.
        dialog: DialogId,
        /// The answer.
        body: Option<Bytes>,
    },
    /// Our re-INVITE was refused; the session goes on as it was. 491 is repeated by the endpoint itself first (RFC 3261 §14.1).
    ReinviteRefused {
        /// Which session.
        dialog: DialogId,
        /// The status.
        status: u16,
    },
    /// Our BYE was answered or timed out, or our `reject` was acknowledged or given up: nothing of the dialog is left.
    Ended {
        /// Which session.
        dialog: DialogId,
    },
}

/// Why a dialog ended without us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ByeCause {
    /// The peer's BYE.
    Peer,
    /// Our 2xx was never acknowledged; the endpoint has sent BYE (RFC 3261 §13.3.1.4).
    NoAck,
    /// The peer does not know the dialog (481), or did not answer a request in it (408).
    Lost,
}

/// A datagram to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transmit {
    /// Where to.
    pub to: SocketAddr,
    /// What.
    pub bytes: Bytes,
}

/// A command that does not fit the dialog's state: our bug, or a crossing that the user did not see yet. Harmless.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WrongState;

/// The user agent core.
#[derive(Debug)]
pub struct Endpoint {}

#[expect(unused_variables, reason = "bodies follow")]
impl Endpoint {
    /// An endpoint without a dialog.
    pub fn new(config: Config) -> Endpoint {
        Endpoint {}
    }
    /// One datagram.
    pub fn handle_datagram(&mut self, now: Instant, from: SocketAddr, datagram: Bytes) {}
    /// A datagram to `to` could not be sent (ICMP unreachable): its transactions fail with 503.
    pub fn handle_unreachable(&mut self, now: Instant, to: SocketAddr) {}
    /// Time has passed.
    pub fn handle_timeout(&mut self, now: Instant) {}
    /// When `handle_timeout` wants to be called next.
    pub fn poll_timeout(&self) -> Option<Instant> {
        None
    }
    /// The next datagram to send.
    pub fn poll_transmit(&mut self) -> Option<Transmit> {
        None
    }
    /// The next event.
    pub fn poll_event(&mut self) -> Option<Event> {
        None
    }
    /// Calls somebody.
    pub fn invite(&mut self, now: Instant, invite: Invite) -> DialogId {
        DialogId(0)
    }
    /// Provisional answer (101–199) to an INVITE that came.
    pub fn ring(&mut self, now: Instant, dialog: DialogId, status: u16, body: Option<Bytes>) -> Result<(), WrongState> {
        Ok(())
    }
    /// 200 to an INVITE that came; repeated until its ACK.
    pub fn answer(
        &mut self,
        now: Instant,
        dialog: DialogId,
        body: Bytes,
        headers: &[(String, String)],
    ) -> Result<(), WrongState> {
        Ok(())
    }
    /// Final refusal of an INVITE that came.
    pub fn reject(
        &mut self,
        now: Instant,
        dialog: DialogId,
        status: u16,
        headers: &[(String, String)],
    ) -> Result<(), WrongState> {
        Ok(())
    }
    /// Ends a dialog in whatever state it is: CANCEL before the answer (also where no provisional came yet: then as soon as
    /// one does, RFC 3261 §9.1), BYE after it, ACK and BYE where the 200 crosses. `reason` becomes a Reason header (RFC 3326).
    /// `Ended` or `Refused` follows.
    pub fn end(&mut self, now: Instant, dialog: DialogId, reason: Option<&str>) -> Result<(), WrongState> {
        Ok(())
    }
    /// A new offer in the dialog.
    pub fn reinvite(&mut self, now: Instant, dialog: DialogId, offer: Bytes) -> Result<(), WrongState> {
        Ok(())
    }
    /// 200 to a re-INVITE that came.
    pub fn answer_reinvite(&mut self, now: Instant, dialog: DialogId, body: Bytes) -> Result<(), WrongState> {
        Ok(())
    }
    /// Refusal of a re-INVITE that came (488, 491).
    pub fn reject_reinvite(&mut self, now: Instant, dialog: DialogId, status: u16) -> Result<(), WrongState> {
        Ok(())
    }
    /// The Call-ID of a dialog.
    pub fn call_id(&self, dialog: DialogId) -> Option<&str> {
        None
    }
    /// From now on new INVITEs get 503 with Retry-After (in seconds), and OPTIONS says so; `None` ends it.
    pub fn refuse_new(&mut self, retry_after: Option<u32>) {}
    /// What is alive, for the conservation checks: all zero once all dialogs ended and timers ran out.
    pub fn alive(&self) -> Alive {
        Alive::default()
    }
}

/// Counts of what an endpoint holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Alive {
    /// Dialogs, early ones included.
    pub dialogs: usize,
    /// Transactions, finished ones that still absorb retransmissions included.
    pub transactions: usize,
}
