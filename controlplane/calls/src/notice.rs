//! What happened: facts that records, webhooks and metrics listen to.

use std::fmt;
use std::str::FromStr;
use std::time::Instant;

use media::command::Refusal;
use media::evidence::Evidence;
use playbook::Mode;
use playbook::context::{Package, Turn};
use serde_json::Value;
use sip::endpoint::Standing;

use crate::config::Machine;
use crate::handoff::Unrouted;
use crate::supervisor::Row;
use crate::timer::Timer;

/// A call. Printed as every leg carries it in `X-Baton-Call`: `call_` and 16 hex digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CallId(pub u64);

impl fmt::Display for CallId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "call_{:016x}", self.0)
    }
}

impl FromStr for CallId {
    type Err = NotAnId;
    fn from_str(text: &str) -> Result<CallId, NotAnId> {
        number(text, "call_").map(CallId)
    }
}

/// A handoff. Printed `ho_` and 16 hex digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct HandoffId(pub u64);

impl fmt::Display for HandoffId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ho_{:016x}", self.0)
    }
}

impl FromStr for HandoffId {
    type Err = NotAnId;
    fn from_str(text: &str) -> Result<HandoffId, NotAnId> {
        number(text, "ho_").map(HandoffId)
    }
}

/// A text that is no id of that kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotAnId;

fn number(text: &str, prefix: &str) -> Result<u64, NotAnId> {
    let digits = text.strip_prefix(prefix).ok_or(NotAnId)?;
    // Exactly what we print: `from_str_radix` alone would take a sign, upper case and any length.
    if digits.len() != 16 || !digits.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')) {
        return Err(NotAnId);
    }
    u64::from_str_radix(digits, 16).map_err(|_| NotAnId)
}

/// A party of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Party {
    /// Who called.
    Caller,
    /// The voice AI.
    Ai,
    /// The human that the call is handed to.
    Human,
    /// Who listens in, and may speak.
    Supervisor,
}

impl Party {
    /// As the API shows it.
    pub fn name(self) -> &'static str {
        match self {
            Party::Caller => "caller",
            Party::Ai => "ai",
            Party::Human => "human",
            Party::Supervisor => "supervisor",
        }
    }
}

/// Something that happened.
#[derive(Clone, Debug, PartialEq)]
pub struct Notice {
    /// Of which call.
    pub call: CallId,
    /// When.
    pub at: Instant,
    /// What.
    pub what: What,
}

/// What happened.
#[derive(Clone, Debug, PartialEq)]
pub enum What {
    /// A caller came and is answered, mostly by the AI; or one who was called back has answered.
    CallStarted {
        /// The trunk's name.
        trunk: String,
        /// The agent's name; empty where the caller was called back.
        ai_agent: String,
        /// The caller's From URI.
        caller: String,
    },
    /// Who was to be called back was not reached. Neither a start nor an end is told of that call.
    NotReached {
        /// The final status of its INVITE: 408 where it rang out, 487 where it was taken back, 503 where the data plane failed.
        status: u16,
    },
    /// Everything of the call is over.
    CallEnded {
        /// Who ended it, or why: `caller`, `ai`, `human`, `api`, `error`; `baton` where nobody was there for a caller who was called back.
        by: String,
    },
    /// The AI told what was said.
    Turns {
        /// The number of the first of them in the call, from 0.
        first: usize,
        /// They follow each other.
        turns: Vec<Turn>,
    },
    /// The context changed, by a patch: all of it but the turns, as it is now.
    Context(Value),
    /// The context changed, by turns or a patch, while a handoff was running: what the human gets to know now.
    ContextUpdated(Box<Package>),
    /// Somebody wished otherwise who hears whom, and it is so.
    Hears {
        /// Who wished it: a key's name, empty where the API is open; `baton` where the data plane could not keep it up.
        by: String,
        /// The whole table, by names: whom each party hears, and how much louder, dB.
        rows: Vec<Row>,
    },
    /// Something became of a supervisor.
    Supervisor {
        /// The target's name.
        name: String,
        /// Who wished for it, or for its end: a key's name, empty where the API is open.
        by: String,
        /// What.
        how: Supervised,
    },
    /// Which legs are up: all of them, as they are now.
    Legs(Vec<StandingLeg>),
    /// A party has changed its codec since the join: what all speak now.
    Spoken {
        /// The join's handoff, whose record says so.
        handoff: HandoffId,
        /// As in [`Step::Joined`].
        codecs: Vec<Spoken>,
    },
    /// A step of a handoff.
    Handoff(HandoffId, Step),
}

/// What became of a supervisor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Supervised {
    /// It is invited.
    Invited,
    /// It has answered, and listens.
    Joined,
    /// It was not reached: its status, 408 where it rang out.
    Unreached(u16),
    /// It hung up.
    HungUp,
    /// It was let go by API, or the call is over.
    Dismissed,
    /// It was let go: the data plane cannot do what it would hear.
    Refused(Refusal),
    /// It was let go before it answered, for a port that a handoff needed.
    NoPort,
}

impl Supervised {
    /// As the API shows it.
    pub fn name(self) -> &'static str {
        match self {
            Supervised::Invited => "invited",
            Supervised::Joined => "joined",
            Supervised::Unreached(_) => "unreached",
            Supervised::HungUp | Supervised::Dismissed => "left",
            Supervised::Refused(_) | Supervised::NoPort => "no_capacity",
        }
    }
}

/// A leg that is up, as plain data: what [`end_foreign`](crate::node::Node::end_foreign) of another node needs to end it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StandingLeg {
    /// Who is at its end.
    pub party: Party,
    /// What the configuration calls that one: the trunk, the agent or the target.
    pub name: String,
    /// Its dialog.
    pub dialog: Standing,
}

/// What a party speaks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spoken {
    /// Who.
    pub party: Party,
    /// The codec's name: `PCMU`, `PCMA`, `G722`, `L16`, `L16-16000`, `opus`.
    pub codec: &'static str,
    /// Why this one, in a few words.
    pub why: &'static str,
}

/// What the playbook handed off by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trigger {
    /// The rule's name.
    pub rule: String,
    /// Why, in words: `topic billing, turn 6`.
    pub because: String,
}

/// A step of a handoff, in the order in which they can come.
#[derive(Clone, Debug, PartialEq)]
pub enum Step {
    /// It was asked for.
    Requested {
        /// Resolved: never auto.
        mode: Mode,
        /// The line of the playbook's matrix that decided how it goes, where one did.
        decision: Option<String>,
        /// The first target.
        target: String,
        /// Why, in the words of whoever asked.
        why: String,
        /// The rule of the playbook that asked, where one did.
        trigger: Option<Trigger>,
        /// Caller and AI talk on until the human is heard: nobody is announced.
        talks_on: bool,
    },
    /// Somebody is asked where the caller goes.
    Asked {
        /// What the human would get to know.
        package: Box<Package>,
        /// Where it goes unless something else is said: names of targets.
        targets: Vec<String>,
        /// Of who waits, the higher comes first.
        priority: u8,
    },
    /// Where it goes is known.
    Routed {
        /// Names of targets, in order.
        targets: Vec<String>,
        /// Nothing was changed, and why.
        unchanged: Option<Unrouted>,
    },
    /// No agent of the queue is free: the caller waits in line. Again where one did not take the call.
    Queued {
        /// The queue.
        target: String,
        /// The place in line, from 1.
        place: usize,
    },
    /// The human is invited, or the caller's carrier is asked to do it; the context goes out with it.
    Invited {
        /// The target.
        target: String,
        /// Which agent, by id, where the target is a queue and one alone is called.
        agent: Option<String>,
        /// What the human gets to know.
        package: Box<Package>,
        /// Opens the context's URL that stands in the INVITE's Call-Info (or in the Refer-To, as a header of the URI), for this
        /// invitation and as long as the handoff runs.
        token: String,
    },
    /// The caller has heard what is to be disclosed to its end.
    Disclosed,
    /// The caller has heard the announcement to its end.
    Announced,
    /// The human's phone rings.
    Ringing,
    /// The human answered.
    Answered {
        /// Which agent, by id, where the target is a queue.
        agent: Option<String>,
    },
    /// The human took the call.
    Accepted,
    /// The join does not wait for this any more.
    Gate {
        /// What it waited for.
        gate: Gate,
        /// Why it does not.
        opened: Opened,
    },
    /// Caller and human hear each other.
    Joined {
        /// What caller, AI (where it is still there) and human speak.
        codecs: Vec<Spoken>,
    },
    /// In place of it: a machine of our own has the caller, and no human.
    Machine {
        /// Which.
        machine: Machine,
        /// As in [`Step::Joined`].
        codecs: Vec<Spoken>,
    },
    /// The human's first audible word went to the caller.
    FirstHumanWord,
    /// This target did not work out; the next one, if any, is tried.
    TargetFailed {
        /// The target.
        target: String,
        /// Why.
        reason: Reason,
        /// The final SIP status that said so, where one did.
        status: Option<u16>,
    },
    /// The caller is with the AI again, or the human who handed on: the `Set` was applied.
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

impl Step {
    /// Its name: that of the time it has in a handoff's timeline, where it has one.
    pub fn name(&self) -> &'static str {
        match self {
            Step::Requested { .. } => "requested",
            Step::Asked { .. } => "asked",
            Step::Routed { .. } => "routed",
            Step::Queued { .. } => "queued",
            Step::Invited { .. } => "invited",
            Step::Disclosed => "disclosed",
            Step::Announced => "announced",
            Step::Ringing => "ringing",
            Step::Answered { .. } => "answered",
            Step::Accepted => "accepted",
            Step::Gate { .. } => "gate",
            Step::Joined { .. } => "joined",
            Step::Machine { machine, .. } => machine.name(),
            Step::FirstHumanWord => "first_human_word",
            Step::TargetFailed { .. } => "target_failed",
            Step::Returned => "returned",
            Step::Evidence(_) => "evidence",
            Step::Closed { .. } => "closed",
        }
    }
}

/// What the join of a human who took the call may wait for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Gate {
    /// All of the context that the playbook requires.
    Elements,
    /// A 2xx of a desk or CRM for the context.
    Acknowledged,
}

impl Gate {
    /// As the record shows it.
    pub fn name(self) -> &'static str {
        match self {
            Gate::Elements => "elements",
            Gate::Acknowledged => "acknowledged",
        }
    }

    pub(crate) fn timer(self) -> Timer {
        match self {
            Gate::Elements => Timer::Required,
            Gate::Acknowledged => Timer::Acknowledge,
        }
    }
}

/// Why a join does not wait any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Opened {
    /// What it waited for is there.
    There,
    /// It was waited for as long as the playbook allows.
    Bound,
}

impl Opened {
    /// As the record shows it.
    pub fn name(self) -> &'static str {
        match self {
            Opened::There => "there",
            Opened::Bound => "bound",
        }
    }
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
    /// Connected with the human by its own carrier, after our REFER.
    Transferred,
    /// With our answering machine.
    Voicemail,
    /// Told when it will be called back. At its call's end, until which it may say that it does not want that.
    CallbackScheduled,
    /// With the AI again.
    ReturnedToAi,
    /// With the human again who had handed on.
    ReturnedToHuman,
    /// Hung up, or the call ended otherwise.
    Abandoned,
    /// Told goodbye: whom it could have gone back to was gone.
    Failed,
}

/// Why a handoff did not join. Names as in the contract.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reason {
    /// 486, 600.
    Busy,
    /// 408, 480, the ring time-out, or nobody accepted in time.
    NoAnswer,
    /// What answered did not press the key in time by which a call is taken: a machine, as far as can be known.
    Machine,
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
    /// The carrier refused our REFER, or could not connect the target. We tried to reach the target ourselves.
    ReferRefused,
    /// The carrier did not answer our REFER, or did not say in time what became of it. Likewise.
    ReferTimeout,
    /// No port or session left.
    NoCapacity,
    /// Every target that was left is closed at this time.
    AfterHours,
    /// Anything that is our fault.
    Error,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_read_as_they_are_printed_and_not_otherwise() {
        assert_eq!(CallId(0xab).to_string(), "call_00000000000000ab");
        assert_eq!("call_00000000000000ab".parse(), Ok(CallId(0xab)));
        assert_eq!(HandoffId(u64::MAX).to_string().parse(), Ok(HandoffId(u64::MAX)));
        for bad in [
            "call_ab",
            "ho_00000000000000ab",
            "call_00000000000000AB",
            "call_+0000000000000ab",
            "",
        ] {
            assert_eq!(bad.parse::<CallId>(), Err(NotAnId), "{bad}");
        }
    }
}
