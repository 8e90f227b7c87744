//! Transactions (RFC 3261 §17, RFC 6026): four machines of pure state, and what tells one transaction from another.

mod client_invite;
mod client_other;
mod server_invite;
mod server_other;
#[cfg(test)]
mod tests;

use std::time::Instant;

pub(crate) use client_invite::ClientInvite;
pub(crate) use client_other::ClientOther;
pub(crate) use server_invite::ServerInvite;
pub(crate) use server_other::ServerOther;

use crate::timer::{Timer, Timers, Times};

/// What happens to a client transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ClientInput {
    /// An answer with this status.
    Status(u16),
    /// A timer of its own.
    Timer(Timer),
    /// The request could not be delivered.
    Unreachable,
    /// Its connection is gone, and no other is to be had.
    Disconnected,
    /// Nobody wants the answer any more: cancelled, or its dialog is gone.
    GiveUp,
}

/// What happens to a server transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ServerInput {
    /// The request again.
    Request,
    /// Its ACK.
    Ack,
    /// The TU answers with this status; the answer is the message to send.
    Respond(u16),
    /// A timer of its own.
    Timer(Timer),
}

/// What is to be done after an input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Act {
    /// Nothing.
    Nothing,
    /// Send the message: a client's request, a server's last answer.
    Send,
    /// Pass the input to the transaction's user.
    Pass,
    /// Acknowledge a refusal.
    Ack,
    /// Acknowledge a refusal and pass it to the user.
    AckAndPass,
    /// Tell the user that the peer did not answer, or did not acknowledge.
    TimedOut,
    /// Tell the user that the request could not be delivered.
    Failed,
}

/// Any of the four.
#[derive(Clone, Debug)]
pub(crate) enum Machine {
    ClientInvite(ClientInvite),
    ClientOther(ClientOther),
    ServerInvite(ServerInvite),
    ServerOther(ServerOther),
}

impl Machine {
    /// A step of a client; a server ignores it.
    pub(crate) fn client(&mut self, now: Instant, times: &Times, input: ClientInput) -> Act {
        match self {
            Machine::ClientInvite(machine) => machine.handle(now, times, input),
            Machine::ClientOther(machine) => machine.handle(now, times, input),
            Machine::ServerInvite(_) | Machine::ServerOther(_) => Act::Nothing,
        }
    }

    /// A step of a server; a client ignores it.
    pub(crate) fn server(&mut self, now: Instant, times: &Times, input: ServerInput) -> Act {
        match self {
            Machine::ServerInvite(machine) => machine.handle(now, times, input),
            Machine::ServerOther(machine) => machine.handle(now, times, input),
            Machine::ClientInvite(_) | Machine::ClientOther(_) => Act::Nothing,
        }
    }

    /// A timer of its own fired.
    pub(crate) fn timer(&mut self, now: Instant, times: &Times, timer: Timer) -> Act {
        match self {
            Machine::ClientInvite(_) | Machine::ClientOther(_) => self.client(now, times, ClientInput::Timer(timer)),
            Machine::ServerInvite(_) | Machine::ServerOther(_) => self.server(now, times, ServerInput::Timer(timer)),
        }
    }

    pub(crate) fn timers(&mut self) -> &mut Timers {
        match self {
            Machine::ClientInvite(machine) => &mut machine.timers,
            Machine::ClientOther(machine) => &mut machine.timers,
            Machine::ServerInvite(machine) => &mut machine.timers,
            Machine::ServerOther(machine) => &mut machine.timers,
        }
    }

    pub(crate) fn is_terminated(&self) -> bool {
        match self {
            Machine::ClientInvite(machine) => machine.is_terminated(),
            Machine::ClientOther(machine) => machine.is_terminated(),
            Machine::ServerInvite(machine) => machine.is_terminated(),
            Machine::ServerOther(machine) => machine.is_terminated(),
        }
    }

    /// A request of ours without a final answer.
    pub(crate) fn is_unanswered(&self) -> bool {
        match self {
            Machine::ClientInvite(machine) => machine.is_pending(),
            Machine::ClientOther(machine) => machine.is_pending(),
            Machine::ServerInvite(_) | Machine::ServerOther(_) => false,
        }
    }

    /// It ends where what it sent last cannot be delivered.
    pub(crate) fn fails_undelivered(&self) -> bool {
        match self {
            Machine::ClientInvite(machine) => machine.fails_undelivered(),
            Machine::ClientOther(machine) => machine.is_pending(),
            Machine::ServerInvite(_) | Machine::ServerOther(_) => false,
        }
    }

    /// An INVITE of theirs that we refused, and whose ACK did not come.
    pub(crate) fn is_unacknowledged(&self) -> bool {
        matches!(self, Machine::ServerInvite(machine) if machine.is_completed())
    }

    /// The request of a client goes over a transport that repeats by itself: no timer A or E.
    pub(crate) fn stop_repeating(&mut self) {
        match self {
            Machine::ClientInvite(machine) => machine.timers.stop(Timer::A),
            Machine::ClientOther(machine) => machine.timers.stop(Timer::E),
            Machine::ServerInvite(_) | Machine::ServerOther(_) => {}
        }
    }

    /// The request of a client has just been sent over one that does not, after all.
    pub(crate) fn repeat(&mut self, now: Instant, times: &Times) {
        match self {
            Machine::ClientInvite(machine) => machine.repeat(now, times),
            Machine::ClientOther(machine) => machine.repeat(now, times),
            Machine::ServerInvite(_) | Machine::ServerOther(_) => {}
        }
    }

    /// An INVITE, of ours or of the peer, without a final answer.
    pub(crate) fn is_pending_invite(&self) -> bool {
        match self {
            Machine::ClientInvite(machine) => machine.is_pending(),
            Machine::ServerInvite(machine) => machine.is_pending(),
            Machine::ClientOther(_) | Machine::ServerOther(_) => false,
        }
    }

    /// An INVITE of ours that got a provisional answer and no final one.
    pub(crate) fn is_proceeding_invite(&self) -> bool {
        matches!(self, Machine::ClientInvite(machine) if machine.is_proceeding())
    }

    /// The same, and it is cancelled.
    pub(crate) fn is_given_up_invite(&self) -> bool {
        matches!(self, Machine::ClientInvite(machine) if machine.is_given_up())
    }
}

/// The start of every branch since RFC 3261 (§8.1.1.7).
pub(crate) const MAGIC_COOKIE: &str = "z9hG4bK";

/// What tells a transaction from every other.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Key {
    /// §17.1.3: "the same value of the branch parameter in the top Via header field as the branch parameter in the top Via of the
    /// request that created the transaction", and the method of CSeq.
    Client {
        /// Our branch.
        branch: String,
        /// INVITE, BYE, CANCEL.
        method: String,
    },
    /// §17.2.3: branch, sent-by and method; an ACK has its INVITE's.
    Server {
        /// Their branch.
        branch: String,
        /// Host and port of the top Via, in lower case.
        sent_by: String,
        /// Method, INVITE for an ACK.
        method: String,
    },
    /// §17.2.3, for a branch without the magic cookie (RFC 2543). The To tag is compared apart: an INVITE's with the request's,
    /// an ACK's with the answer's.
    Old {
        /// Request-URI.
        uri: String,
        /// From tag.
        from_tag: String,
        /// Call-ID.
        call_id: String,
        /// CSeq number.
        cseq: u32,
        /// The top Via as it came.
        via: String,
        /// Method, INVITE for an ACK.
        method: String,
    },
}
