//! What happened: facts that records, webhooks and metrics listen to.

use std::time::Instant;

use media::evidence::Evidence;
use playbook::Mode;
use playbook::context::Package;

/// A call. Printed as every leg carries it in `X-Baton-Call`: `call_` and 16 hex digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CallId(pub u64);

/// A handoff. Printed `ho_` and 16 hex digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct HandoffId(pub u64);

/// A party of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Party {
    /// Who called.
    Caller,
    /// The voice AI.
    Ai,
    /// The human that the call is handed to.
    Human,
}

/// Something that happened.
#[derive(Clone, Debug)]
pub struct Notice {
    /// Of which call.
    pub call: CallId,
    /// When.
    pub at: Instant,
    /// What.
    pub what: What,
}

/// What happened.
#[derive(Clone, Debug)]
#[expect(clippy::large_enum_variant, reason = "a notice is rare, and moved once")]
pub enum What {
    /// A caller came, and the AI answered: the two are connected.
    CallStarted {
        /// The trunk's name.
        trunk: String,
        /// The agent's name.
        ai_agent: String,
        /// The caller's From URI.
        caller: String,
    },
    /// Everything of the call is over.
    CallEnded {
        /// Who ended it, or why: `caller`, `ai`, `human`, `api`, `error`.
        by: String,
    },
    /// The context changed while a handoff was running.
    ContextUpdated(Box<Package>),
    /// A step of a handoff.
    Handoff(HandoffId, Step),
}

/// A step of a handoff, in the order in which they can come.
#[derive(Clone, Debug)]
pub enum Step {
    /// It was asked for.
    Requested {
        /// Resolved: never auto.
        mode: Mode,
        /// The first target.
        target: String,
        /// Why, in the words of whoever asked.
        why: String,
    },
    /// The human is invited; the context goes out with it.
    Invited {
        /// The target.
        target: String,
        /// What the human gets to know.
        package: Box<Package>,
        /// Opens the context's URL that stands in the INVITE's Call-Info, for this target and as long as the handoff runs.
        token: String,
    },
    /// The caller has heard the announcement to its end.
    Announced,
    /// The human's phone rings.
    Ringing,
    /// The human answered.
    Answered,
    /// The human took the call.
    Accepted,
    /// Caller and human hear each other.
    Joined {
        /// Codec names of caller, AI (where it is still there) and human.
        codecs: Vec<(Party, String)>,
    },
    /// The human's first audible word went to the caller.
    FirstHumanWord,
    /// This target did not work out; the next one, if any, is tried.
    TargetFailed {
        /// The target.
        target: String,
        /// Why.
        reason: Reason,
    },
    /// The caller is with the AI again: the `Set` was applied.
    Returned,
    /// What each listener got.
    Evidence(Vec<(Party, Evidence)>),
    /// It is over, well or not. Always the last step.
    Closed {
        /// `completed`, `failed` or `cancelled`.
        end: End,
        /// What became of the caller.
        result: Outcome,
        /// Why it did not join.
        reason: Option<Reason>,
    },
}

/// The last state of a handoff.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// Joined, and the evidence is in.
    Completed,
    /// Not joined.
    Failed,
    /// Taken back.
    Cancelled,
}

/// What became of the caller. Names as in the contract.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// With the human.
    Joined,
    /// With the AI again.
    ReturnedToAi,
    /// Hung up, or the call ended otherwise.
    Abandoned,
    /// Told goodbye: the AI was gone.
    Failed,
}

/// Why a handoff did not join. Names as in the contract.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reason {
    /// 486, 600.
    Busy,
    /// 408, 480, the ring time-out, or nobody accepted in time.
    NoAnswer,
    /// 403, 603 and every other refusal.
    Rejected,
    /// No answer to the INVITE at all, 404, 410, 5xx, transport errors.
    Unreachable,
    /// The caller hung up.
    CallerHangup,
    /// The human hung up before the join.
    HumanHangup,
    /// The AI hung up, and no human was reached.
    AiGone,
    /// The human declined, by key or API.
    Declined,
    /// No port or session left.
    NoCapacity,
    /// Anything that is our fault.
    Error,
}
