//! When to hand off: rules, and what triggers them.
//!
//! All are deterministic: the same turns at the same times lead to the same decision, which says by which rule and why.

use std::collections::HashMap;
use std::fmt;
use std::time::Duration;

use serde_json::{Map, Value};

use crate::context::{Role, Turn};
use crate::expression::Expression;
use crate::facts::Facts;
use crate::memory::{Memory, WINDOW};
use crate::words::{Phrases, normal};

/// The name of the rule that hands off at once where a caller asks for a human. It is always there, and always first.
pub const EXPLICIT_REQUEST: &str = "explicit-request";

/// Rules that a playbook can have.
pub const RULES_MAX: usize = 1_000;

/// A rule. Of several that would hand off, flags come first, then the order in which they are.
#[derive(Clone, Debug, PartialEq)]
pub struct Rule {
    /// Its name, in the record and in answers.
    pub name: String,
    /// What it waits for: all of these at once.
    pub triggers: Vec<Trigger>,
    /// What must hold besides.
    pub condition: Option<Expression>,
}

/// What a rule waits for.
#[derive(Clone, Debug, PartialEq)]
pub enum Trigger {
    /// The last so many turns that have a confidence have all less than this.
    Confidence {
        /// 0–1.
        below: f64,
        /// 1–[`WINDOW`].
        turns: usize,
    },
    /// The caller's last so many turns that have a sentiment are all of this kind.
    Sentiment {
        /// One of these labels, without case.
        labels: Vec<String>,
        /// Or a score below this, −1 to 1.
        below: Option<f64>,
        /// 1–[`WINDOW`].
        turns: usize,
    },
    /// The caller's sentiment is lower by this than it was at its best of the last [`WINDOW`] scores.
    Falling {
        /// More than 0, at most 2.
        by: f64,
    },
    /// The caller wants something that the AI is not to do alone, or not for long.
    Intent {
        /// One of these, without case.
        intents: Vec<String>,
        /// For so many turns of the caller, from the one that has it; 1: at once.
        turns: u32,
    },
    /// It is about this: by the turn's `topic`, the context's, or by what the caller says.
    Topic {
        /// One of these, without case.
        topics: Vec<String>,
        /// Or one of these phrases, by the caller.
        phrases: Vec<String>,
    },
    /// What the law or the house wants a human for: in the turn's `flags` or the context's, or said by the caller. Before all other rules.
    Flag {
        /// One of these, without case.
        flags: Vec<String>,
        /// Or one of these phrases, by the caller.
        phrases: Vec<String>,
    },
    /// Somebody says the same again and again.
    Loop {
        /// Who.
        who: Role,
        /// So often, 2–[`WINDOW`], of its last [`WINDOW`] turns.
        times: usize,
    },
    /// The caller called before.
    Repeat {
        /// So often, 1–16.
        calls: usize,
        /// Within this, before this call.
        within: Duration,
    },
    /// The AI has had the call for so long.
    Elapsed {
        /// Since it began.
        after: Duration,
    },
    /// So many attempts failed: entries of `actions_tried` with `"ok": false`, or `fields.failed_attempts`.
    Failed {
        /// 1 or more.
        attempts: u64,
    },
    /// The caller presses one of these keys.
    Key {
        /// `0`–`9`, `*`, `#`, `A`–`D`.
        keys: Vec<char>,
    },
}

/// Why a call is handed off.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fired {
    /// The rule's name.
    pub rule: String,
    /// In words: `topic billing, turn 6`.
    pub because: String,
    /// The rule's place; `None`: the request.
    pub(crate) at: Option<usize>,
}

/// Why rules cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NoRules {
    /// More than [`RULES_MAX`].
    TooMany,
    /// Two have this name, or one has that of the explicit request.
    Twice(String),
    /// More phrases than can be looked for.
    Phrases(String),
}

impl fmt::Display for NoRules {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            NoRules::TooMany => write!(f, "a playbook can have {RULES_MAX} rules"),
            NoRules::Twice(name) => write!(f, "two rules are called {name:?}"),
            NoRules::Phrases(why) => write!(f, "the phrases cannot be looked for: {why}"),
        }
    }
}

impl std::error::Error for NoRules {}

/// How a caller asks for a human.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Requests {
    /// Phrases, in any language, matched as whole words, without case.
    pub phrases: Vec<String>,
    /// Intents of a turn of the caller's, without case.
    pub intents: Vec<String>,
}

/// What a call is judged at.
#[derive(Clone, Copy, Debug)]
pub enum Occasion<'a> {
    /// A turn was told.
    Turn(&'a Turn),
    /// The context changed.
    Context,
    /// Time passed.
    Clock,
    /// The caller pressed a key.
    Key(char),
}

/// What the caller's call is, apart from what its turns said.
#[derive(Clone, Copy, Debug)]
pub struct Scene<'a> {
    /// Since the call began.
    pub elapsed: Duration,
    /// The caller's URI.
    pub caller: &'a str,
    /// How long before this call earlier ones of the same caller began.
    pub earlier: &'a [Duration],
    /// The context but its turns.
    pub members: &'a Map<String, Value>,
}

/// Rules, ready to be asked.
#[derive(Clone, Default)]
pub struct Rules {
    requests: Requests,
    /// Those with flags first.
    rules: Vec<Rule>,
    /// Groups: 0 the requests, then one for each rule.
    phrases: Phrases,
}

impl fmt::Debug for Rules {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Rules({:?}, {:?})", self.requests, self.rules)
    }
}

/// By what they were made of.
impl PartialEq for Rules {
    fn eq(&self, other: &Rules) -> bool {
        (&self.requests, &self.rules) == (&other.requests, &other.rules)
    }
}

impl Rules {
    /// Rules in the order in which they are asked.
    ///
    /// # Errors
    /// Where there are too many, or two of one name.
    pub fn new(requests: Requests, mut rules: Vec<Rule>) -> Result<Rules, NoRules> {
        if rules.len() > RULES_MAX {
            return Err(NoRules::TooMany);
        }
        let mut names = HashMap::from([(EXPLICIT_REQUEST, ())]);
        if let Some(twice) = rules.iter().find(|rule| names.insert(&rule.name, ()).is_some()) {
            return Err(NoRules::Twice(twice.name.clone()));
        }
        rules.sort_by_key(|rule| {
            !rule
                .triggers
                .iter()
                .any(|trigger| matches!(trigger, Trigger::Flag { .. }))
        });
        let of_rules = rules.iter().zip(1..).flat_map(|(rule, group)| {
            let phrases = rule.triggers.iter().filter_map(|trigger| match trigger {
                Trigger::Topic { phrases, .. } | Trigger::Flag { phrases, .. } => Some(phrases),
                _ => None,
            });
            phrases.flatten().map(move |phrase| (group, phrase.clone()))
        });
        let of_requests = requests.phrases.iter().map(|phrase| (0, phrase.clone()));
        let phrases = Phrases::new(of_requests.chain(of_rules)).map_err(|error| NoRules::Phrases(error.to_string()))?;
        Ok(Rules {
            requests,
            rules,
            phrases,
        })
    }

    /// The rules, in the order in which they are asked.
    pub fn iter(&self) -> impl Iterator<Item = &Rule> + Clone {
        self.rules.iter()
    }

    /// How a caller asks for a human.
    pub fn requests(&self) -> &Requests {
        &self.requests
    }

    /// Judges a call. A rule that has handed off ([`Memory::handed_off`]) does not do so again in the call, but for the request of a caller and for
    /// a flag or a key that comes again. `may`: whether a handoff may begin; what is told while it may not is remembered all the same, and a
    /// caller who asks is heard all the same.
    pub fn judge(&self, memory: &mut Memory, scene: &Scene<'_>, occasion: Occasion<'_>, may: bool) -> Option<Fired> {
        let turn = match occasion {
            Occasion::Turn(turn) => Some(turn),
            Occasion::Context | Occasion::Clock | Occasion::Key(_) => None,
        };
        let mut said = String::new();
        if let Some(turn) = turn {
            normal(&turn.text, &mut said);
        }
        memory.take(turn.map(|turn| (turn, &*said)), scene.members);
        let of_caller = turn.filter(|turn| turn.role == Role::Caller);
        if let Some(because) = of_caller.and_then(|turn| self.asks(turn, &said, memory.turns)) {
            let rule = EXPLICIT_REQUEST.to_owned();
            return Some(Fired {
                rule,
                because,
                at: None,
            });
        }
        if !may {
            return None;
        }
        // The first phrase of each rule that was said.
        let mut heard: Vec<(usize, &str)> = match of_caller {
            Some(_) => self.phrases.heard(&said).filter(|(group, _)| *group > 0).collect(),
            None => Vec::new(),
        };
        heard.sort_by_key(|(group, _)| *group);
        heard.dedup_by_key(|(group, _)| *group);
        let facts = Facts {
            turn: turn.map(|turn| (turn, memory.turns)),
            elapsed: scene.elapsed,
            caller: scene.caller,
            earlier: scene.earlier,
            turns: memory.turns,
            members: scene.members,
            intent: memory.intent.as_ref().map(|(intent, _)| intent.as_str()),
            sentiment: memory.sentiment.as_ref(),
        };
        let asked = Asked {
            facts,
            memory,
            occasion,
        };
        self.rules.iter().enumerate().find_map(|(at, rule)| {
            let said = heard.binary_search_by_key(&(at + 1), |(group, _)| *group).ok();
            let said = said.and_then(|at| heard.get(at)).map(|(_, phrase)| *phrase);
            let because = asked.holds(rule, said, memory.has_fired(at))?;
            Some(Fired {
                rule: rule.name.clone(),
                because,
                at: Some(at),
            })
        })
    }

    /// When the passing of time alone may hand off, since the call began; `None`: never any more.
    pub fn due(&self, memory: &Memory, elapsed: Duration) -> Option<Duration> {
        let left = self.rules.iter().enumerate().filter(|(at, _)| !memory.has_fired(*at));
        let at = left.filter_map(|(_, rule)| {
            let after = rule.triggers.iter().find_map(|trigger| match trigger {
                Trigger::Elapsed { after } => Some(*after).filter(|after| *after > elapsed),
                _ => None,
            });
            // Whole seconds are what it can see.
            let next = || Duration::from_secs(elapsed.as_secs() + 1);
            after.or_else(|| rule.condition.as_ref().filter(|it| it.sees_time()).map(|_| next()))
        });
        at.min()
    }

    /// Whether one looks at how often somebody called.
    pub fn looks_back_at_calls(&self) -> bool {
        let looks = |rule: &Rule| {
            let repeat = rule
                .triggers
                .iter()
                .any(|trigger| matches!(trigger, Trigger::Repeat { .. }));
            repeat || rule.condition.as_ref().is_some_and(Expression::sees_calls)
        };
        self.rules.iter().any(looks)
    }

    /// Whether a key of the caller's may hand off.
    pub fn wants_keys(&self) -> bool {
        let mut triggers = self.rules.iter().flat_map(|rule| &rule.triggers);
        triggers.any(|trigger| matches!(trigger, Trigger::Key { .. }))
    }

    fn asks(&self, turn: &Turn, said: &str, number: u32) -> Option<String> {
        let phrase = self.phrases.heard(said).find(|(group, _)| *group == 0);
        if let Some((_, phrase)) = phrase {
            return Some(format!("\"{phrase}\", turn {number}"));
        }
        let intent = turn.intent.as_deref()?;
        is_of(&self.requests.intents, intent).map(|intent| format!("intent {intent}, turn {number}"))
    }
}

/// One occasion, asked of each rule.
struct Asked<'a> {
    facts: Facts<'a>,
    memory: &'a Memory,
    occasion: Occasion<'a>,
}

impl Asked<'_> {
    /// Why a rule hands off now, if it does. `said`: a phrase of it was.
    fn holds(&self, rule: &Rule, said: Option<&str>, fired: bool) -> Option<String> {
        if fired && !rule.triggers.iter().any(|trigger| self.is_new(trigger, said)) {
            return None;
        }
        let why: Option<Vec<_>> = rule.triggers.iter().map(|trigger| self.why(trigger, said)).collect();
        let mut why = why?;
        if let Some(condition) = &rule.condition {
            if !condition.holds(&self.facts) {
                return None;
            }
            why.push(condition.source().to_owned());
        }
        let why = Some(why.join(" and ")).filter(|why| !why.is_empty())?;
        Some(match self.facts.turn {
            Some((_, number)) => format!("{why}, turn {number}"),
            None => why,
        })
    }

    /// Whether a trigger of a rule that has handed off comes again: not one that has been there all the while.
    fn is_new(&self, trigger: &Trigger, said: Option<&str>) -> bool {
        match (trigger, self.occasion) {
            (Trigger::Key { .. }, Occasion::Key(_)) => true,
            (Trigger::Flag { flags, .. }, Occasion::Turn(turn)) => {
                said.is_some() || turn.flags.iter().any(|flag| is_of(flags, flag).is_some())
            }
            _ => false,
        }
    }

    /// Why a trigger does, if it does.
    fn why(&self, trigger: &Trigger, said: Option<&str>) -> Option<String> {
        let (memory, turn) = (self.memory, self.facts.turn.map(|(turn, _)| turn));
        let phrase = || said.map(|phrase| format!("\"{phrase}\""));
        Some(match trigger {
            Trigger::Confidence { below, turns } => {
                turn?.confidence?;
                let last = memory.confidences.last(*turns)?;
                let unsure = last.iter().all(|confidence| *confidence < *below);
                unsure.then(|| format!("confidence {} below {below}", list(last)))?
            }
            Trigger::Sentiment { labels, below, turns } => {
                let last = memory.moods.last(*turns).filter(|_| memory.felt)?;
                let is = |(label, score): &(String, Option<f64>)| {
                    is_of(labels, label).is_some() || score.zip(*below).is_some_and(|(score, below)| score < below)
                };
                let (label, score) = last.iter().all(is).then(|| last.last())??;
                let score = score.map(|score| format!(" ({score})")).unwrap_or_default();
                match turns {
                    1 => format!("sentiment {label}{score}"),
                    _ => format!("sentiment {label}{score}, {turns} times"),
                }
            }
            Trigger::Falling { by } => {
                let now = memory.moods.all().last().filter(|_| memory.felt)?.1?;
                let best = memory
                    .moods
                    .all()
                    .iter()
                    .filter_map(|(_, score)| *score)
                    .fold(now, f64::max);
                (best - now >= *by).then(|| format!("sentiment fell from {best} to {now}"))?
            }
            Trigger::Intent { intents, turns } => {
                let (intent, for_turns) = memory.intent.as_ref()?;
                let intent = is_of(intents, intent).filter(|_| *turns == 1 || for_turns >= turns)?;
                match turns {
                    1 => format!("intent {intent}"),
                    _ => format!("intent {intent} for {for_turns} turns of the caller"),
                }
            }
            Trigger::Topic { topics, .. } => {
                let told = turn
                    .and_then(|turn| turn.topic.as_deref())
                    .or_else(|| self.member("topic"));
                let topic = told.and_then(|told| is_of(topics, told)).map(str::to_owned);
                format!("topic {}", topic.or_else(phrase)?)
            }
            Trigger::Flag { flags, .. } => {
                let of_turn = turn.iter().flat_map(|turn| &turn.flags).map(String::as_str);
                let of_context = self.facts.members.get("flags").and_then(Value::as_array);
                let of_context = of_context.into_iter().flatten().filter_map(Value::as_str);
                let flag = of_turn
                    .chain(of_context)
                    .find_map(|flag| is_of(flags, flag))
                    .map(str::to_owned);
                format!("flag {}", flag.or_else(phrase)?)
            }
            Trigger::Loop { who, times } => {
                turn.filter(|turn| turn.role == *who)?;
                let said = memory.repeats;
                let name = match who {
                    Role::Caller => "caller",
                    Role::Ai => "AI",
                };
                (said >= *times).then(|| format!("the {name} said the same {said} times"))?
            }
            Trigger::Repeat { calls, within } => {
                let known = self.facts.earlier.iter().filter(|ago| *ago <= within).count();
                (known >= *calls).then(|| format!("called {known} times in the last {}", span(*within)))?
            }
            Trigger::Elapsed { after } => {
                (self.facts.elapsed >= *after).then(|| format!("{} of the call are over", span(*after)))?
            }
            Trigger::Failed { attempts } => {
                let failed = self.failed();
                (failed >= *attempts).then(|| format!("{failed} attempts failed"))?
            }
            Trigger::Key { keys } => match self.occasion {
                Occasion::Key(key) if keys.contains(&key) => format!("key {key}"),
                _ => return None,
            },
        })
    }

    fn member(&self, name: &str) -> Option<&str> {
        self.facts.members.get(name)?.as_str()
    }

    fn failed(&self) -> u64 {
        let members = self.facts.members;
        let counted = members.get("fields").and_then(|fields| fields.get("failed_attempts"));
        let tried = members.get("actions_tried").and_then(Value::as_array);
        let tried = tried
            .into_iter()
            .flatten()
            .filter(|action| action.get("ok") == Some(&Value::Bool(false)));
        counted
            .and_then(Value::as_u64)
            .unwrap_or_default()
            .max(tried.count() as u64)
    }
}

/// The name of a list that this is, without case.
pub(crate) fn is_of<'a>(names: &'a [String], name: &str) -> Option<&'a str> {
    let same = |known: &&String| {
        known.eq_ignore_ascii_case(name) || !name.is_ascii() && known.to_lowercase() == name.to_lowercase()
    };
    names.iter().find(same).map(String::as_str)
}

fn list(numbers: &[f64]) -> String {
    let numbers: Vec<_> = numbers.iter().map(f64::to_string).collect();
    numbers.join(", ")
}

fn span(time: Duration) -> String {
    match time.as_secs() {
        seconds if seconds >= 7_200 && seconds % 3_600 == 0 => format!("{} h", seconds / 3_600),
        seconds if seconds >= 120 && seconds % 60 == 0 => format!("{} min", seconds / 60),
        seconds => format!("{seconds} s"),
    }
}

const _: () = assert!(WINDOW >= 2);

#[cfg(test)]
mod tests;
