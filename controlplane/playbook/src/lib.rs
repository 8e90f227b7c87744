//! When to hand off, to whom, with what: pure.
#![forbid(unsafe_code)]

pub mod context;

use serde::{Deserialize, Serialize};

use crate::context::{Role, Turn, TurnDecision};

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

/// The judgement around a transfer. (Rules, routing and fallbacks grow here.)
#[derive(Clone, Debug, PartialEq)]
pub struct Playbook {
    /// Where a request says `auto`.
    pub mode: Mode,
    /// How a human takes a warm call.
    pub accept: Accept,
    /// What the caller hears on a cold handoff until the human is heard.
    pub cold_hears: ColdHears,
    /// Target names in the order in which they are tried.
    pub targets: Vec<String>,
    /// Phrases by which a caller asks for a human, matched as whole words, without case.
    pub request_phrases: Vec<String>,
    /// Elements of the context that must be there for it to be complete.
    pub required: Vec<String>,
}

/// The name of the rule that hands off at once where a caller asks for a human.
pub const EXPLICIT_REQUEST: &str = "explicit-request";

impl Playbook {
    /// What a turn means. Only the caller's own words can ask for a human: an AI that says "human agent" asks for nothing.
    pub fn decide(&self, turn: &Turn) -> TurnDecision {
        if turn.role != Role::Caller {
            return TurnDecision::Continue;
        }
        let said = words(&turn.text);
        if self
            .request_phrases
            .iter()
            .any(|phrase| contains(&said, &words(phrase)))
        {
            return TurnDecision::Handoff {
                rule: EXPLICIT_REQUEST.to_owned(),
            };
        }
        TurnDecision::Continue
    }

    /// The targets to try, in order: the one that is wished for, else all.
    pub fn order<'a>(&'a self, wish: Option<&'a str>) -> Vec<&'a str> {
        match wish {
            Some(target) => vec![target],
            None => self.targets.iter().map(String::as_str).collect(),
        }
    }

    /// The mode of a request: its own wish, else the playbook's.
    pub fn resolve(&self, wish: Option<Mode>) -> Mode {
        wish.unwrap_or(self.mode)
    }
}

/// Words in lower case. An apostrophe belongs to its word, and the typographic one is the plain one.
fn words(text: &str) -> Vec<String> {
    let text = text.replace('’', "'").to_lowercase();
    text.split(|c: char| !c.is_alphanumeric() && c != '\'')
        .map(|word| word.trim_matches('\''))
        .filter(|word| !word.is_empty())
        .map(str::to_owned)
        .collect()
}

/// Whether the phrase stands in what was said, word for word. An empty phrase stands nowhere.
fn contains(said: &[String], phrase: &[String]) -> bool {
    !phrase.is_empty() && said.windows(phrase.len()).any(|window| window == phrase)
}

#[cfg(test)]
mod tests;
