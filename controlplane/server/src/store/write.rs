//! What is written, as rows.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Instant;

use super::DeliveryStatus;
use crate::webhook::less;

/// One change. Each may be repeated: the second time it changes nothing.
#[derive(Clone, Debug)]
pub(crate) enum Write {
    /// A live call began, or something about it changed.
    Call(CallRow),
    /// It is over.
    CallOver(String),
    /// Its AI told what was said.
    Turns(TurnsRow),
    /// What is known of it beside its turns has changed.
    Context(ContextRow),
    /// A handoff began, or something about it changed.
    Handoff(HandoffRow),
    /// Something happened that webhooks are told of.
    Event(EventRow),
    /// What a human thought of a handoff, in place of what was said before.
    Feedback {
        /// Of which.
        handoff: String,
        /// JSON.
        body: String,
    },
    /// An attempt to tell one was made.
    Attempt(AttemptRow),
    /// One that was done with waits again.
    Replay {
        /// Which.
        id: DeliveryId,
        /// Since when it waits.
        at_ms: i64,
    },
    /// Some of what was kept long enough goes.
    Prune(Prune),
    /// Nothing: whoever looks after a commit what there is to do looks now.
    Nothing,
    /// One that no database takes.
    #[cfg(test)]
    Impossible,
}

impl Write {
    /// It is never written: nobody waits for it any more.
    pub(super) fn give_up(&self) {
        if let Write::Event(row) = self {
            row.give_up();
        }
    }

    /// What it is and what it is about, for the log: not what was said, and no token.
    pub(super) fn about(&self) -> (&'static str, &str) {
        match self {
            Write::Call(row) => ("call", &row.id),
            Write::CallOver(call) => ("end of a call", call),
            Write::Turns(row) => ("turns", &row.call),
            Write::Context(row) => ("context", &row.call),
            Write::Handoff(row) => ("handoff", &row.id),
            Write::Event(row) => ("event", &row.id),
            Write::Attempt(row) => ("attempt", &row.event),
            Write::Feedback { .. } => ("feedback", ""),
            Write::Replay { .. } => ("replay", ""),
            Write::Prune(_) => ("prune", ""),
            Write::Nothing => ("nothing", ""),
            #[cfg(test)]
            Write::Impossible => ("impossible", ""),
        }
    }
}

/// A live call.
#[derive(Clone, Debug)]
pub(crate) struct CallRow {
    pub(crate) id: String,
    /// Its caller's, in E.164; empty where it is not known.
    pub(crate) number: String,
    pub(crate) body: String,
}

/// Turns of a call that follow each other.
#[derive(Clone, Debug)]
pub(crate) struct TurnsRow {
    pub(crate) call: String,
    /// The number of the first one in the call, from 0.
    pub(crate) first: i64,
    pub(crate) at_ms: i64,
    /// Each as the API takes it.
    pub(crate) bodies: Vec<String>,
}

/// What is known of a call beside its turns.
#[derive(Clone, Debug)]
pub(crate) struct ContextRow {
    pub(crate) call: String,
    pub(crate) at_ms: i64,
    pub(crate) body: String,
}

/// A handoff.
#[derive(Clone, Debug)]
pub(crate) struct HandoffRow {
    pub(crate) id: String,
    pub(crate) call: String,
    pub(crate) agent: String,
    pub(crate) requested_ms: i64,
    /// `None`: it is open.
    pub(crate) closed_ms: Option<i64>,
    /// The digest of what opens its context; empty where nothing does.
    pub(crate) token: String,
    /// So many turns of the call are its transcript.
    pub(crate) turns: i64,
    /// The record as users see it, without deliveries and transcript.
    pub(crate) body: String,
    /// What stands for the request that began it, with its first form.
    pub(crate) key: Option<Box<Key>>,
    /// Since when it waits for the disk; the queue notes it.
    pub(crate) queued: Option<Instant>,
}

/// An `Idempotency-Key` of whoever asked in that call, and what was asked for; each as a digest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Key {
    pub(crate) id: String,
    pub(crate) request: String,
}

/// What is kept no longer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Prune {
    /// What was done with before.
    pub(crate) before_ms: i64,
    /// Keys from before.
    pub(crate) keys_before_ms: i64,
    /// So many rows of each kind at the most.
    pub(crate) most: u32,
}

/// An event, and who is to be told.
#[derive(Clone, Debug)]
pub(crate) struct EventRow {
    pub(crate) id: String,
    pub(crate) subject: String,
    pub(crate) sequence: i64,
    pub(crate) kind: &'static str,
    pub(crate) at_ms: i64,
    /// Of the call.
    pub(crate) agent: String,
    /// The CloudEvent.
    pub(crate) body: Arc<str>,
    pub(crate) endpoints: Vec<String>,
    pub(crate) waits: Waits,
}

impl EventRow {
    /// It is told to nobody.
    pub(crate) fn give_up(&self) {
        self.waits.0.iter().for_each(|waiting| less(waiting));
    }
}

/// Counters of those that are to be told, each of which has counted the event as one that waits.
#[derive(Clone, Debug, Default)]
pub(crate) struct Waits(pub(crate) Vec<Arc<AtomicU64>>);

/// What came of an attempt.
#[derive(Clone, Debug)]
pub(crate) struct AttemptRow {
    pub(crate) event: String,
    pub(crate) subject: String,
    pub(crate) endpoint: String,
    pub(crate) status: DeliveryStatus,
    /// Up to now.
    pub(crate) attempts: u32,
    /// The HTTP status or the error.
    pub(crate) answer: String,
    /// When the next one is due.
    pub(crate) due_ms: i64,
    pub(crate) at_ms: i64,
}

/// What became of one event at one endpoint, as it is read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct DeliveryRow {
    pub(crate) event: String,
    pub(crate) endpoint: String,
    pub(crate) kind: String,
    pub(crate) status: String,
    pub(crate) attempts: u32,
    pub(crate) answer: Option<String>,
    pub(crate) queued_ms: i64,
    pub(crate) due_ms: i64,
    pub(crate) finished_ms: Option<i64>,
}

impl DeliveryRow {
    /// What the API calls it.
    pub(crate) fn id(&self) -> DeliveryId {
        DeliveryId {
            event: self.event.clone(),
            endpoint: self.endpoint.clone(),
        }
    }
}

/// An event at an endpoint. It is printed as both with a colon between: an event's id has none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct DeliveryId {
    pub(crate) event: String,
    pub(crate) endpoint: String,
}

impl std::fmt::Display for DeliveryId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}", self.event, self.endpoint)
    }
}

impl std::str::FromStr for DeliveryId {
    type Err = ();

    fn from_str(text: &str) -> Result<DeliveryId, ()> {
        let (event, endpoint) = text.split_once(':').ok_or(())?;
        // PostgreSQL takes no such byte in a text.
        if text.contains('\0') {
            return Err(());
        }
        Ok(DeliveryId {
            event: event.to_owned(),
            endpoint: endpoint.to_owned(),
        })
    }
}
