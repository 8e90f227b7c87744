//! The decision matrix: how a handoff goes, by what the caller wants, how it feels, and by which rule it is handed off.

use std::time::Duration;

use serde_json::{Map, Value};

use crate::expression::Expression;
use crate::facts::Facts;
use crate::memory::Memory;
use crate::rules::{EXPLICIT_REQUEST, Scene, is_of};
use crate::{Accept, Mode, Playbook};

/// In place of a rule's name where the AI, a desk or a REFER asked.
pub const ASKED_FOR: &str = "asked-for";

/// The rule of a handoff that begins because the AI is gone.
pub const AI_GONE: &str = "ai-gone";

/// The rule of the handoff of a caller who is called back.
pub const CALLBACK: &str = "callback";

/// Decisions that a playbook can have.
pub const DECISIONS_MAX: usize = 200;

/// The highest priority.
pub const PRIORITY_MAX: u8 = 9;

/// How a handoff goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Manner {
    /// Where a request says `auto`.
    pub mode: Mode,
    /// How a human takes a warm call.
    pub accept: Accept,
    /// Target names in the order in which they are tried.
    pub targets: Vec<String>,
    /// Of who waits, the higher comes first: 0–[`PRIORITY_MAX`].
    pub priority: u8,
    /// Elements of the context that must be there for it to be complete.
    pub required: Vec<String>,
    /// How long a human who took the call waits for what is [`required`](Self::required) and not there; zero: not at all.
    pub required_wait: Duration,
    /// A human who took the call waits until somebody has acknowledged the context …
    pub acknowledged: bool,
    /// … and so long at the most.
    pub acknowledge: Duration,
    /// How long the AI stays with caller and human after the join of a warm handoff; zero: it leaves at once.
    pub ai_stays: Duration,
}

/// A line of the matrix.
#[derive(Clone, Debug, PartialEq)]
pub struct Decision {
    /// Its name, in the record.
    pub name: String,
    /// When it counts.
    pub when: When,
    /// What it changes.
    pub change: Change,
}

/// All that is named must hold; a line that names nothing always counts.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct When {
    /// What the caller wants is one of these, without case.
    pub intents: Vec<String>,
    /// How the caller feels is one of these labels, without case.
    pub sentiments: Vec<String>,
    /// One of these rules handed off, [`EXPLICIT_REQUEST`], [`ASKED_FOR`], [`AI_GONE`] and [`CALLBACK`] among them.
    pub rules: Vec<String>,
    /// And this.
    pub condition: Option<Expression>,
}

/// What is not there stays as it is.
#[derive(Clone, Debug, Default, PartialEq)]
#[expect(missing_docs, reason = "they are those of `Manner`")]
pub struct Change {
    pub mode: Option<Mode>,
    pub accept: Option<Accept>,
    pub targets: Option<Vec<String>>,
    pub priority: Option<u8>,
    pub required: Option<Vec<String>>,
    pub required_wait: Option<Duration>,
    pub acknowledged: Option<bool>,
    pub acknowledge: Option<Duration>,
    pub ai_stays: Option<Duration>,
}

/// What was decided.
#[derive(Clone, Debug, PartialEq)]
pub struct Decided {
    /// By which line: its place; `None`: by none, as the playbook does.
    pub at: Option<usize>,
    /// How the handoff goes.
    pub manner: Manner,
}

impl Playbook {
    /// How a handoff goes that is begun now, by this rule; by the first line that counts.
    pub fn decide(&self, rule: Option<&str>, memory: &Memory, scene: &Scene<'_>) -> Decided {
        let told = Told::of(memory, scene.members);
        let facts = Facts {
            turn: None,
            elapsed: scene.elapsed,
            caller: scene.caller,
            earlier: scene.earlier,
            turns: memory.turns,
            members: scene.members,
            intent: told.intent,
            sentiment: told.sentiment.as_ref(),
        };
        let rule = rule.unwrap_or(ASKED_FOR);
        let at = self.decisions.iter().position(|line| line.when.holds(rule, &facts));
        let manner = match at.and_then(|at| self.decisions.get(at)) {
            Some(line) => self.usual.changed(&line.change),
            None => self.usual.clone(),
        };
        Decided { at, manner }
    }

    /// Names of rules that a line may have.
    pub fn rule_names(&self) -> impl Iterator<Item = &str> + Clone {
        let own = self.rules.iter().map(|rule| rule.name.as_str());
        own.chain([EXPLICIT_REQUEST, ASKED_FOR, AI_GONE, CALLBACK])
    }
}

impl When {
    fn holds(&self, rule: &str, facts: &Facts<'_>) -> bool {
        let among = |names: &[String], name: Option<&str>| {
            names.is_empty() || name.is_some_and(|name| is_of(names, name).is_some())
        };
        let label = facts.sentiment.map(|sentiment| sentiment.label.as_str());
        among(&self.intents, facts.intent)
            && among(&self.sentiments, label)
            && (self.rules.is_empty() || self.rules.iter().any(|name| name == rule))
            && self.condition.as_ref().is_none_or(|condition| condition.holds(facts))
    }
}

/// Warm, taken by answering, to nobody, waiting for nothing.
impl Default for Manner {
    fn default() -> Manner {
        Manner {
            mode: Mode::Warm,
            accept: Accept::Answer,
            targets: Vec::new(),
            priority: 0,
            required: Vec::new(),
            required_wait: Duration::ZERO,
            acknowledged: false,
            acknowledge: Duration::from_secs(5),
            ai_stays: Duration::ZERO,
        }
    }
}

impl Manner {
    /// The same with a change.
    pub fn changed(&self, change: &Change) -> Manner {
        let usual = self.clone();
        Manner {
            mode: change.mode.unwrap_or(usual.mode),
            accept: change.accept.unwrap_or(usual.accept),
            targets: change.targets.clone().unwrap_or(usual.targets),
            priority: change.priority.unwrap_or(usual.priority),
            required: change.required.clone().unwrap_or(usual.required),
            required_wait: change.required_wait.unwrap_or(usual.required_wait),
            acknowledged: change.acknowledged.unwrap_or(usual.acknowledged),
            acknowledge: change.acknowledge.unwrap_or(usual.acknowledge),
            ai_stays: change.ai_stays.unwrap_or(usual.ai_stays),
        }
    }

    /// The targets to try, in order: the one that is wished for, else all.
    pub fn order<'a>(&'a self, wish: Option<&'a str>) -> Vec<&'a str> {
        match wish {
            Some(target) => vec![target],
            None => self.targets.iter().map(String::as_str).collect(),
        }
    }
}

/// What is known of the caller when a handoff is begun: the context may have come with the request for it.
struct Told<'a> {
    intent: Option<&'a str>,
    sentiment: Option<crate::context::Sentiment>,
}

impl<'a> Told<'a> {
    fn of(memory: &'a Memory, members: &'a Map<String, Value>) -> Told<'a> {
        let turns = || memory.intent.as_ref().map(|(intent, _)| intent.as_str());
        Told {
            intent: members.get("intent").and_then(Value::as_str).or_else(turns),
            sentiment: memory.sentiment_with(members),
        }
    }
}

#[cfg(test)]
mod tests;
