//! A conversation that says of each of its steps what is to come of it, and a walk through it.

use std::fmt;
use std::time::{Duration, SystemTime};

use jiff::Timestamp;
use playbook::caller::Caller;
use playbook::context::Turn;
use playbook::replay::{Conversation, Found, Step, Walk};
use playbook::{Accept, Mode};
use serde::Deserialize;
use serde_json::{Value, json};

use super::recorded::{Recorded, Was, time};
use crate::config::Config;

/// A conversation and what is expected of it.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Script {
    #[serde(default)]
    #[expect(dead_code, reason = "it is for who reads the file")]
    about: Value,
    #[serde(default)]
    id: Option<String>,
    #[serde(default)]
    caller: String,
    /// Whether the carrier vouches for the caller's number.
    #[serde(default)]
    verified: Option<bool>,
    /// RFC 3339: for the opening hours. Without it every target is open.
    #[serde(default)]
    started: Option<String>,
    /// How long before it other calls of this caller began, seconds.
    #[serde(default)]
    earlier_s: Vec<u64>,
    pub(crate) steps: Vec<Entry>,
}

/// A turn, a patch of the context, a key, or, with none of them, time that passes.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Entry {
    /// Since the call began.
    after_s: f64,
    #[serde(default)]
    turn: Option<Turn>,
    #[serde(default)]
    context: Option<Value>,
    #[serde(default)]
    key: Option<char>,
    /// What is kept of it: the text of a turn, members of the context.
    #[serde(default)]
    kept: Option<Value>,
    /// [`NOTHING`], or members of [`outcome`].
    pub(crate) then: Value,
}

/// It is not handed off.
const NOTHING: &str = "nothing";

/// A step that went otherwise than was expected.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Surprise {
    /// Of the steps, from 1.
    pub(crate) step: usize,
    /// Turns until then, its own included.
    pub(crate) turn: usize,
    /// Since the call began.
    pub(crate) after: Duration,
    pub(crate) expected: Value,
    pub(crate) is: Value,
}

impl fmt::Display for Surprise {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (step, turn, after) = (self.step, self.turn, self.after.as_secs_f64());
        let (expected, is) = (&self.expected, &self.is);
        write!(
            f,
            "turn {turn} (step {step}, {after} s): expected {expected}, and it is {is}"
        )
    }
}

impl Entry {
    fn step(&self) -> Result<Step, String> {
        match (&self.turn, &self.context, self.key) {
            (Some(turn), None, None) => turn
                .check()
                .map(|()| Step::Turn(turn.clone()))
                .map_err(|why| why.to_string()),
            (None, Some(patch), None) => Ok(Step::Context(patch.clone())),
            (None, None, Some(key)) => Ok(Step::Key(key)),
            (None, None, None) => Ok(Step::Time),
            _ => Err("a step has a turn, a context or a key, and only one of them".to_owned()),
        }
    }
}

impl Script {
    /// Reads one.
    ///
    /// # Errors
    /// What is wrong with it, in words.
    pub(crate) fn read(entry: &Value) -> Result<Script, String> {
        let script = Script::deserialize(entry).map_err(|error| error.to_string())?;
        script.started.as_deref().map(time).transpose()?;
        let mut last = 0.0;
        for (entry, number) in script.steps.iter().zip(1..) {
            entry.step().map_err(|why| format!("step {number}: {why}"))?;
            // As long as a rule may wait, and no NaN.
            if !(last..=86_400.0).contains(&entry.after_s) {
                return Err(format!("step {number}: after_s goes back, or beyond a day"));
            }
            last = entry.after_s;
            if entry.then != NOTHING && !entry.then.is_object() {
                return Err(format!("step {number}: then must be \"{NOTHING}\" or an object"));
            }
        }
        Ok(script)
    }

    /// The same without expectations but the first handoff.
    pub(super) fn recorded(&self) -> Recorded {
        let text = |value: &Value| value.as_str().map(str::to_owned);
        let first = self.steps.iter().find(|entry| entry.then.is_object());
        Recorded {
            id: self.id.clone(),
            conversation: self.conversation(),
            was: first.map(|entry| Was {
                rule: text(&entry.then["rule"]),
                why: text(&entry.then["because"]).unwrap_or_default(),
            }),
            right: None,
        }
    }

    fn conversation(&self) -> Conversation {
        let steps = self.steps.iter().filter_map(|entry| {
            let step = entry.step().ok()?;
            Some((Duration::from_secs_f64(entry.after_s), step))
        });
        Conversation {
            caller: self.caller.clone(),
            earlier: self.earlier_s.iter().copied().map(Duration::from_secs).collect(),
            steps: steps.collect(),
        }
    }

    /// Walks through it, and says which steps go otherwise than is expected. What stands after a handoff is what follows where the caller is
    /// back with the AI.
    pub(crate) fn walk(&self, config: &Config) -> Vec<Surprise> {
        let conversation = self.conversation();
        let mut walk = Walk::new(&config.playbook, &conversation);
        let mut surprises = Vec::new();
        for (number, (entry, (after, step))) in (1..).zip(self.steps.iter().zip(&conversation.steps)) {
            let mut outcome = None;
            let mut begins = |walk: &mut Walk<'_>, found: Option<Found>| {
                // While one runs no other begins.
                if let Some(found) = found.filter(|_| outcome.is_none()) {
                    outcome = Some(self.outcome(config, walk, &found));
                    walk.handed_off(&found);
                }
                outcome.is_some()
            };
            let mut runs = false;
            while let Some(found) = walk.wait(*after) {
                runs = begins(&mut walk, Some(found));
            }
            let found = walk.step(step, !runs);
            begins(&mut walk, found);

            let mut surprise = |expected: &Value, is: Value| {
                surprises.push(Surprise {
                    step: number,
                    turn: walk.context().turns().len(),
                    after: *after,
                    expected: expected.clone(),
                    is,
                });
            };
            match (entry.then.as_object(), outcome) {
                (None, None) => {}
                (Some(expected), Some(is)) if expected.iter().all(|(name, value)| is.get(name) == Some(value)) => {}
                (_, is) => surprise(&entry.then, is.unwrap_or_else(|| NOTHING.into())),
            }
            if let Some(kept) = &entry.kept {
                let is = match step {
                    Step::Turn(_) => walk.context().turns().last().map(|turn| Value::from(&*turn.text)),
                    _ => Some(walk.context().value()),
                };
                let is = is.unwrap_or_default();
                if !has(&is, kept) {
                    surprise(kept, is);
                }
            }
        }
        surprises
    }

    /// What a handoff is that begins now.
    fn outcome(&self, config: &Config, walk: &Walk<'_>, found: &Found) -> Value {
        let playbook = &config.playbook;
        let decided = walk.decide(&found.fired.rule);
        let (line, manner) = (decided.at.and_then(|at| playbook.decisions.get(at)), decided.manner);
        let caller = Caller {
            uri: &self.caller,
            verified: self.verified,
            on_file: playbook.caller_id_field.as_deref(),
        };
        let package = walk.context().package(&caller, &manner.required);
        let began = self.started.as_deref().and_then(|at| at.parse::<Timestamp>().ok());
        let now = began.map(|began| SystemTime::from(began) + found.after);
        let is_open = |name: &&str| {
            let target = config.targets.iter().find(|target| target.name == **name);
            // A machine of our own answers at every hour: its hours say when somebody follows it up.
            target
                .zip(now)
                .is_none_or(|(target, now)| target.is_machine() || target.hours.is_open(now))
        };
        let (open, closed): (Vec<_>, Vec<_>) = manner.order(None).into_iter().partition(is_open);
        let own = decided.at.and_then(|at| config.sounds.get(at)?.disclosure.as_ref());
        let discloses = own.or(config.prompts.disclosure.as_ref()).is_some();
        json!({
            "rule": found.fired.rule,
            "because": playbook.redact.text(&found.fired.because),
            "decision": line.map(|line| &line.name),
            "mode": match manner.mode { Mode::Warm => "warm", Mode::Cold => "cold" },
            "accept": match manner.accept { Accept::Answer => "answer", Accept::Key => "key", Accept::Api => "api" },
            "targets": open,
            "closed": closed,
            "priority": manner.priority,
            "required": manner.required,
            "missing": package.completeness.missing,
            "required_wait_s": manner.required_wait.as_secs(),
            "acknowledge_s": manner.acknowledged.then_some(manner.acknowledge.as_secs()),
            "ai_stays_s": manner.ai_stays.as_secs(),
            "disclosure": discloses && !open.is_empty() && !walk.context().disclosed(),
        })
    }
}

/// Whether all of this is there; what is there may have more members.
fn has(is: &Value, part: &Value) -> bool {
    match (is, part) {
        (Value::Object(is), Value::Object(part)) => {
            let mut members = part.iter();
            members.all(|(name, part)| is.get(name).is_some_and(|is| has(is, part)))
        }
        (is, part) => is == part,
    }
}
