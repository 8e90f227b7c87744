//! What users ask of a node, and what they are answered.

use std::collections::BTreeMap;

use media::command::Refusal;
use playbook::Mode;
use playbook::context::{Turn, TurnDecision};
use playbook::routing::{Full, Presence, Profile};
use serde_json::Value;

use crate::handoff::Unrouted;
use crate::notice::{CallId, HandoffId};
use crate::supervisor::{Row, Wish};

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
    /// Who hears whom, otherwise than the call has it; who wishes it.
    Hears(CallId, Wish, String),
    /// A supervisor is to come on the call; who wishes it.
    Supervise(CallId, Whom, String),
    /// It is to leave; who wishes it.
    Dismiss(CallId, String),
    /// Append turns; the playbook decides.
    Turns(CallId, Vec<Turn>),
    /// Merge into the context (RFC 7396).
    Context(CallId, Value),
    /// Hand off.
    Handoff(CallId, HandoffRequest),
    /// Who was asked where the caller of a handoff goes says so: names of targets, in order; or that nothing is changed, and why.
    Route(HandoffId, Result<Vec<String>, Unrouted>),
    /// Who was sent the context of a handoff has it.
    Acknowledge(HandoffId),
    /// Call somebody back who was promised it.
    CallBack(Box<CallBack>),
    /// Who would be called for the caller of this live call, if it were called back.
    Humans(CallId),
    /// The human takes the call.
    Accept(HandoffId),
    /// The human does not.
    Decline(HandoffId),
    /// The AI or a supervisor takes the request back.
    Cancel(HandoffId),
    /// Human agents, by id: so many at most whose ids come after this one (`""`: from the first).
    Agents {
        /// Of the last one that is known.
        after: String,
        /// A node stands still for as long as it tells of them.
        most: usize,
    },
    /// One of them.
    Agent(String),
    /// A human agent, new or changed.
    PutAgent(Profile),
    /// A human agent is there, or is not.
    Presence(String, Presence),
    /// A human agent is one no more.
    RemoveAgent(String),
}

/// A caller who is to be called back, and handed to a human when it answers.
#[derive(Clone, Debug)]
pub struct CallBack {
    /// The trunk that it came by, by its name: it goes by the same.
    pub trunk: String,
    /// Its URI, as the first call had it.
    pub caller: String,
    /// Who is wished for, by its name: nobody else is asked where the caller goes.
    pub target: Option<String>,
    /// Who was to have the caller when it was promised, in order ([`Request::Humans`]): these have it, but for a line of the playbook's matrix
    /// that names the rule and whom to call. Where none is there any more, as the playbook says.
    pub humans: Vec<String>,
    /// Why, in the words of the first call.
    pub reason: String,
    /// What was known of it: a context package as a record has it.
    pub context: Value,
}

/// Whom to invite as a supervisor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Whom {
    /// A target, by its name.
    Target(String),
    /// A URI that is a target's, or that one of its patterns allows.
    Uri(String),
}

/// What a request that is answered later is known by. Never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Ticket(pub u64);

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
    /// The call by which somebody is called back.
    Calling(CallId),
    /// Targets, in order.
    Humans(Vec<String>),
    /// The handoff that was started or acted on.
    Handoff(HandoffId),
    /// Who hears whom now.
    Hears(Vec<Row>),
    /// The answer follows, as [`Output::Answer`](crate::node::Output::Answer), once the data plane has said whether it can be.
    Later(Ticket),
    /// Human agents, by id.
    Agents(Vec<AgentView>),
    /// One of them.
    Agent(Box<AgentView>),
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
    /// No human agent has this id.
    NoAgent,
    /// There are as many human agents as there can be, or as many names of skills, languages and queues.
    Full(Full),
    /// There is no supervisor.
    NoSupervisor,
    /// There is no port, or no coder state, for another leg now.
    NoCapacity,
    /// The data plane cannot do it. All is as it was.
    Refused(Refusal),
    /// What was sent cannot be used; says why.
    Invalid(String),
}

/// A human agent as the API shows it.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct AgentView {
    /// What is said of it.
    #[serde(flatten)]
    pub profile: Profile,
    /// The queues that may call it, by name.
    pub queues: Vec<String>,
    /// What it does now: `talking`, `ringing`, `wrap_up`, `set_aside`, or its presence.
    pub state: &'static str,
    /// Seconds since it has had nothing to do, where it is available.
    pub idle_s: Option<u64>,
    /// Seconds for which it is called for nobody, as it did not answer.
    pub set_aside_s: Option<u64>,
    /// Seconds that a talk and what follows it took, on the average of the last ones.
    pub handle_s: Option<u64>,
    /// How callers liked it, from 1 to 5, likewise.
    pub csat: Option<f32>,
}

/// A queue, as metrics and the API show it.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct QueueView {
    /// The target's name.
    pub name: String,
    /// Callers who wait.
    pub waiting: usize,
    /// Seconds for which the one has waited who waits longest.
    pub longest_wait_s: u64,
    /// Agents that it may call, by what they do.
    pub agents: BTreeMap<&'static str, usize>,
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
    /// `caller`, `ai`, `human`, `supervisor`.
    pub party: String,
    /// State of the leg.
    pub state: String,
    /// SIP Call-ID.
    pub sip_call_id: String,
    /// Codec, once agreed.
    pub codec: Option<String>,
    /// Why this one, in a few words.
    pub codec_reason: Option<String>,
    /// What it hears and by which path: `relay(ai)`, `transcode(human)`, `mix(caller, human -6 dB)`, also of one alone whose
    /// packets are longer, as was agreed, than it takes; `play(hold)`, `comfort`, `nothing` where we may not send or do not know where to.
    pub hears: String,
}
