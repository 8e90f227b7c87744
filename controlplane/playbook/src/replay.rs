//! A recorded conversation, judged by other rules than those that it was judged by.

use std::time::Duration;

use serde_json::Value;

use crate::context::{Context, Turn};
use crate::memory::Memory;
use crate::rules::{Fired, Occasion, Rules, Scene};

/// What happened in a call before it was handed off, or until its end.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Conversation {
    /// The caller's URI.
    pub caller: String,
    /// How long before this call earlier ones of the same caller began.
    pub earlier: Vec<Duration>,
    /// In order, each with the time since the call began.
    pub steps: Vec<(Duration, Step)>,
}

/// What happened.
#[derive(Clone, Debug, PartialEq)]
pub enum Step {
    /// A turn was told.
    Turn(Turn),
    /// The context was patched (RFC 7396).
    Context(Value),
    /// The caller pressed a key.
    Key(char),
}

/// The first time that rules would hand off.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// By which rule, and why.
    pub fired: Fired,
    /// Since the call began.
    pub after: Duration,
    /// Turns until then.
    pub turns: u32,
}

/// Judges a conversation as a call would be, its time included; up to its last step. What a call would have refused (a patch that is none)
/// changes nothing here either.
pub fn replay(rules: &Rules, conversation: &Conversation) -> Option<Found> {
    let (mut memory, mut context) = (Memory::default(), Context::new());
    let mut now = Duration::ZERO;
    let judge = |memory: &mut Memory, context: &Context, elapsed, occasion: Occasion<'_>| {
        let scene = Scene {
            elapsed,
            caller: &conversation.caller,
            earlier: &conversation.earlier,
            members: context.members(),
        };
        let fired = rules.judge(memory, &scene, occasion, true)?;
        let turns = memory.turns;
        Some(Found {
            fired,
            after: elapsed,
            turns,
        })
    };
    for (after, step) in &conversation.steps {
        let after = now.max(*after);
        while let Some(due) = rules.due(&memory, now).filter(|due| *due < after) {
            now = due;
            if let Some(found) = judge(&mut memory, &context, now, Occasion::Clock) {
                return Some(found);
            }
        }
        now = after;
        let occasion = match step {
            Step::Turn(turn) => Occasion::Turn(turn),
            Step::Context(patch) => match context.merge(patch) {
                Ok(()) => Occasion::Context,
                Err(_) => continue,
            },
            Step::Key(key) => Occasion::Key(*key),
        };
        if let Some(found) = judge(&mut memory, &context, now, occasion) {
            return Some(found);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::context::Role;
    use crate::expression::Expression;
    use crate::rules::{Requests, Rule, Trigger};

    fn at(seconds: u64, step: Step) -> (Duration, Step) {
        (Duration::from_secs(seconds), step)
    }

    fn says(text: &str) -> Step {
        Step::Turn(Turn::new(Role::Caller, text))
    }

    fn rules() -> Rules {
        let requests = Requests {
            phrases: vec!["a human".to_owned()],
            intents: Vec::new(),
        };
        let rule = |name: &str, triggers: Vec<Trigger>, condition: Option<&str>| Rule {
            name: name.to_owned(),
            triggers,
            condition: condition.map(|source| Expression::new(source).expect("a condition")),
        };
        let (keys, after) = (vec!['0'], Duration::from_secs(60));
        let rules = vec![
            rule("zero", vec![Trigger::Key { keys }], None),
            rule("slow", vec![Trigger::Elapsed { after }], None),
            rule("gold", Vec::new(), Some("tier == 'gold' && call.seconds >= 20")),
        ];
        Rules::new(requests, rules).expect("no rule twice")
    }

    #[test]
    fn the_first_time_counts_and_time_passes_between_the_steps() {
        let gold = || Step::Context(json!({"tier": "gold"}));
        for (steps, found) in [
            (vec![at(1, says("hello")), at(59, says("well"))], None),
            (
                vec![at(1, says("hello")), at(61, says("a human"))],
                Some(("slow", 60, 1)),
            ),
            (
                vec![at(1, says("hello")), at(60, says("a human"))],
                Some(("explicit-request", 60, 2)),
            ),
            (
                vec![at(1, says("a human")), at(2, Step::Key('0'))],
                Some(("explicit-request", 1, 1)),
            ),
            (vec![at(1, Step::Key('1')), at(2, Step::Key('0'))], Some(("zero", 2, 0))),
            (vec![at(1, gold()), at(30, says("hello"))], Some(("gold", 20, 0))),
            (vec![at(25, gold())], Some(("gold", 25, 0))),
            (vec![at(1, Step::Context(json!([]))), at(30, says("hello"))], None),
            // Times that go back are those before.
            (vec![at(30, says("hello")), at(3, gold())], Some(("gold", 30, 1))),
            (vec![], None),
        ] {
            let conversation = Conversation {
                steps,
                ..Conversation::default()
            };
            let replayed = replay(&rules(), &conversation);
            let seen = replayed
                .as_ref()
                .map(|found| (found.fired.rule.as_str(), found.after.as_secs(), found.turns));
            assert_eq!(seen, found, "{conversation:?}");
        }
    }
}
