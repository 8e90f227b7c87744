//! The context of a call: what reaches the human with it.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Who spoke.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// The caller.
    Caller,
    /// The AI.
    Ai,
}

/// One turn of the conversation, as the AI reports it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Turn {
    /// Who spoke.
    pub role: Role,
    /// What was said.
    pub text: String,
    /// When, RFC 3339; the server fills it in where it is absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<String>,
    /// Of the recognition, 0–1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confidence: Option<f64>,
    /// What the caller wants.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub intent: Option<String>,
    /// How the caller feels.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sentiment: Option<Sentiment>,
}

/// How the caller feels.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sentiment {
    /// `positive`, `neutral`, `negative`, or the platform's own word.
    pub label: String,
    /// −1 to 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub score: Option<f64>,
}

/// What the playbook decided on a turn.
#[derive(Clone, Debug, PartialEq)]
pub enum TurnDecision {
    /// Go on.
    Continue,
    /// Hand off, because of this rule.
    Handoff {
        /// The rule's name: `explicit-request`.
        rule: String,
    },
}

/// The context package: three tiers and what is missing of what the playbook demands.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Package {
    /// Version of this schema.
    pub schema: String,
    /// Two or three sentences: goal, what was tried, what is likely needed next.
    pub brief: String,
    /// Structured, for a CRM.
    pub fields: Value,
    /// All turns.
    pub transcript: Vec<Turn>,
    /// Which of the demanded elements are there.
    pub completeness: Completeness,
}

/// Which of the demanded elements are there.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Completeness {
    /// All of them.
    pub complete: bool,
    /// There.
    pub present: Vec<String>,
    /// Not there.
    pub missing: Vec<String>,
}
