//! When to hand off, to whom, with what: pure.
#![forbid(unsafe_code)]

pub mod caller;
pub mod context;
pub mod decisions;
pub mod expression;
pub mod facts;
pub mod hours;
pub mod memory;
pub mod redact;
pub mod replay;
pub mod routing;
pub mod rules;
pub mod slots;
mod words;

use serde::{Deserialize, Serialize};

use crate::decisions::{Decision, Manner};
use crate::redact::Redact;
use crate::rules::Rules;

/// How a call is handed over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// The human is briefed alone, then joined.
    Warm,
    /// The human is joined at the answer.
    Cold,
}

/// How a human takes a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Accept {
    /// By answering: joined when the briefing is over.
    Answer,
    /// By pressing 1, also while the briefing plays. Any other key but 2 (declines) is ignored.
    Key,
    /// By `POST /v1/handoffs/{id}/accept`, or the key.
    Api,
}

/// What the caller hears on a cold handoff until the human is heard.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ColdHears {
    /// The announcement, then hold audio.
    Hold,
    /// The AI, which hears the caller, too: the two talk on. Without an AI, hold audio.
    Ai,
}

/// What becomes of a caller whose AI is gone: it is called and not reached, or does not answer the question whether it is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AiGone {
    /// The call is refused, or ends.
    End,
    /// It is handed to a human, as by a rule of the name [`decisions::AI_GONE`].
    Human,
}

/// The judgement around a transfer.
#[derive(Clone, Debug, PartialEq)]
pub struct Playbook {
    /// How a handoff goes, where no decision says otherwise.
    pub usual: Manner,
    /// How it goes otherwise: the first that counts.
    pub decisions: Vec<Decision>,
    /// What the caller hears on a cold handoff until the human is heard.
    pub cold_hears: ColdHears,
    /// What becomes of a caller whose AI is gone.
    pub ai_gone: AiGone,
    /// When to hand off.
    pub rules: Rules,
    /// What is cut out of all that is told, before it is kept or leaves.
    pub redact: Redact,
    /// Where the context has the number that the AI has on file, a path with dots.
    pub caller_id_field: Option<String>,
}
