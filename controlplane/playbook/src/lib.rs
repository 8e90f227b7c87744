//! When to hand off, to whom, with what: pure.
#![forbid(unsafe_code)]

pub mod context;

use serde::{Deserialize, Serialize};

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

/// The judgement around a transfer. (Rules, routing and fallbacks grow here.)
#[derive(Clone, Debug, PartialEq)]
pub struct Playbook {
    /// Where a request says `auto`.
    pub mode: Mode,
    /// How a human takes a warm call.
    pub accept: Accept,
    /// Target names in the order in which they are tried.
    pub targets: Vec<String>,
    /// Phrases by which a caller asks for a human, matched as whole words, without case.
    pub request_phrases: Vec<String>,
    /// Elements of the context that must be there for it to be complete.
    pub required: Vec<String>,
}
