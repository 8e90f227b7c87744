//! What rules look at.

use std::time::Duration;

use serde_json::{Map, Value};

use crate::context::{Role, Sentiment, Turn};
use crate::expression::Is;

/// What is known of a call when it is judged.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'a> {
    /// The turn, where one is the occasion, with its number from 1.
    pub turn: Option<(&'a Turn, u32)>,
    /// Since the call began.
    pub elapsed: Duration,
    /// The caller's URI.
    pub caller: &'a str,
    /// How long before this call earlier ones of the same caller began.
    pub earlier: &'a [Duration],
    /// Turns so far.
    pub turns: u32,
    /// The context but its turns.
    pub members: &'a Map<String, Value>,
    /// Of the latest turn that has one.
    pub intent: Option<&'a str>,
    /// Of the latest turn that has one.
    pub sentiment: Option<&'a Sentiment>,
}

impl<'a> Facts<'a> {
    /// What a path of an expression names.
    pub(crate) fn get(&self, path: &[String]) -> Option<Is<'a>> {
        let (first, rest) = path.split_first()?;
        let rest = |at: usize| rest.get(at).map(String::as_str);
        match (first.as_str(), rest(0), rest(1), rest(2)) {
            ("turn", Some(name), None, _) => self.of_turn(name),
            ("turn", Some("sentiment"), Some(name), None) => of_sentiment(self.turn?.0.sentiment.as_ref()?, name),
            ("call", Some(name), None, _) => match name {
                "seconds" => Some(Is::Int(self.elapsed.as_secs() as i64)),
                "turns" => Some(Is::Int(self.turns.into())),
                "caller" => Some(Is::Text(self.caller)),
                "earlier" => Some(Is::Int(self.earlier.len() as i64)),
                _ => None,
            },
            ("turn" | "call", ..) => None,
            _ => self.of_context(path),
        }
    }

    fn of_turn(&self, name: &str) -> Option<Is<'a>> {
        let (turn, number) = self.turn?;
        match name {
            "number" => Some(Is::Int(number.into())),
            "role" => Some(Is::Text(match turn.role {
                Role::Caller => "caller",
                Role::Ai => "ai",
            })),
            "text" => Some(Is::Text(&turn.text)),
            "confidence" => turn.confidence.map(Is::Double),
            "intent" => turn.intent.as_deref().map(Is::Text),
            "topic" => turn.topic.as_deref().map(Is::Text),
            "flags" => Some(Is::Texts(&turn.flags)),
            _ => None,
        }
    }

    /// A member of the context, else of its `fields`.
    fn of_context(&self, path: &[String]) -> Option<Is<'a>> {
        let down = |from: &'a Map<String, Value>| {
            let (first, rest) = path.split_first()?;
            let mut at = from.get(first)?;
            for name in rest {
                at = at.get(name)?;
            }
            Some(Is::from(at))
        };
        let fields = || self.members.get("fields").and_then(Value::as_object).and_then(down);
        let turns = || match path {
            [name] if name == "intent" => self.intent.map(Is::Text),
            [name, part] if name == "sentiment" => of_sentiment(self.sentiment?, part),
            _ => None,
        };
        down(self.members).or_else(turns).or_else(fields)
    }
}

fn of_sentiment<'a>(sentiment: &'a Sentiment, name: &str) -> Option<Is<'a>> {
    match name {
        "label" => Some(Is::Text(&sentiment.label)),
        "score" => sentiment.score.map(Is::Double),
        _ => None,
    }
}
