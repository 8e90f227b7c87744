//! What users ask of a node, and what they are answered.

use playbook::Mode;
use playbook::context::{Turn, TurnDecision};
use serde_json::Value;

use crate::notice::{CallId, HandoffId};

/// What an API user asks for.
#[derive(Clone, Debug)]
pub enum Request {
    /// All live calls.
    Calls,
    /// One live call.
    Call(CallId),
    /// The live call that has a leg with this SIP Call-ID.
    FindCall(String),
    /// Hang up.
    HangUp(CallId),
    /// Append turns; the playbook decides.
    Turns(CallId, Vec<Turn>),
    /// Merge into the context (RFC 7396).
    Context(CallId, Value),
    /// Hand off.
    Handoff(CallId, HandoffRequest),
    /// The human takes the call.
    Accept(HandoffId),
    /// The human does not.
    Decline(HandoffId),
    /// The AI or a supervisor takes the request back.
    Cancel(HandoffId),
}

/// The wish for a handoff.
#[derive(Clone, Debug)]
pub struct HandoffRequest {
    /// Warm, cold, or as the playbook says.
    pub mode: Option<Mode>,
    /// A target's name; the targets in order where absent.
    pub target: Option<String>,
    /// Why, in the words of whoever asks.
    pub reason: String,
    /// Merged into the context first.
    pub context: Option<Value>,
    /// The AI asks, which may hand off only what it has.
    pub by_ai: bool,
}

/// What a request is answered.
#[derive(Clone, Debug)]
pub enum Response {
    /// Live calls.
    Calls(Vec<CallView>),
    /// One live call.
    Call(Box<CallView>),
    /// What the playbook decided on each of the turns.
    Turns(TurnDecision, Option<HandoffId>),
    /// The context after the merge.
    Context(Value),
    /// The handoff that was started or acted on.
    Handoff(HandoffId),
    /// Done, nothing to show.
    Done,
}

/// Why a request is refused.
#[derive(Clone, Debug, PartialEq)]
pub enum RequestError {
    /// No such live call.
    NoCall,
    /// No such live handoff.
    NoHandoff,
    /// One is running already.
    Running(HandoffId),
    /// The call is not in a state for it; says which.
    WrongState(String),
    /// No target has this name.
    NoTarget(String),
    /// What was sent cannot be used; says why.
    Invalid(String),
}

/// A live call as the API shows it.
#[derive(Clone, Debug, serde::Serialize)]
pub struct CallView {
    /// Its id.
    pub id: String,
    /// State of the call.
    pub state: String,
    /// The trunk that it came by.
    pub trunk: String,
    /// The AI agent.
    pub ai_agent: String,
    /// The caller's From.
    pub caller: String,
    /// The running handoff, if any.
    pub handoff: Option<String>,
    /// Its legs.
    pub legs: Vec<LegView>,
}

/// A leg as the API shows it.
#[derive(Clone, Debug, serde::Serialize)]
pub struct LegView {
    /// `caller`, `ai`, `human`.
    pub party: String,
    /// State of the leg.
    pub state: String,
    /// SIP Call-ID.
    pub sip_call_id: String,
    /// Codec, once agreed.
    pub codec: Option<String>,
    /// Why this one, in a few words.
    pub codec_reason: Option<String>,
    /// What it hears and by which path: `relay(ai)`, `transcode(human)`, `play(hold)`, `comfort`,
    /// `nothing` where we may not send or do not know where to.
    pub hears: String,
}
