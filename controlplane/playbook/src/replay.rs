//! A conversation that goes its way again: judged by other rules than those that it was judged by, or walked through step by step.

use std::time::Duration;

use serde_json::Value;

use crate::Playbook;
use crate::context::{Context, Turn};
use crate::decisions::Decided;
use crate::memory::Memory;
use crate::rules::{Fired, Occasion, Scene};

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
    /// Time passed, and nothing else.
    Time,
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
pub fn replay(playbook: &Playbook, conversation: &Conversation) -> Option<Found> {
    let mut walk = Walk::new(playbook, conversation);
    let mut steps = conversation.steps.iter();
    steps.find_map(|(after, step)| walk.wait(*after).or_else(|| walk.step(step, true)))
}

/// A conversation that goes its way again, step by step.
#[derive(Clone, Debug)]
pub struct Walk<'a> {
    playbook: &'a Playbook,
    caller: &'a str,
    earlier: &'a [Duration],
    memory: Memory,
    context: Context,
    /// Since the call began.
    now: Duration,
}

impl<'a> Walk<'a> {
    /// Of this conversation's caller; nothing has happened.
    pub fn new(playbook: &'a Playbook, conversation: &'a Conversation) -> Walk<'a> {
        Walk {
            playbook,
            caller: &conversation.caller,
            earlier: &conversation.earlier,
            memory: Memory::default(),
            context: Context::new(),
            now: Duration::ZERO,
        }
    }

    /// Time passes, until this at the most: it stands still where that alone hands off. Times that go back are those before.
    pub fn wait(&mut self, after: Duration) -> Option<Found> {
        while let Some(due) = self
            .playbook
            .rules
            .due(&self.memory, self.now)
            .filter(|due| *due < after)
        {
            self.now = due;
            if let Some(found) = self.judge(Occasion::Clock, true) {
                return Some(found);
            }
        }
        self.now = self.now.max(after);
        None
    }

    /// Something happens, and hands off or does not. `may`: whether a handoff may begin, as in [`Rules::judge`](crate::rules::Rules::judge).
    /// As in a call, rules judge a turn as it was said, and the context as it is kept.
    pub fn step(&mut self, step: &Step, may: bool) -> Option<Found> {
        match step {
            Step::Turn(turn) => {
                let mut kept = turn.clone();
                self.playbook.redact.turn(&mut kept);
                // One that a call would refuse is judged all the same: it was said.
                let _ = self.context.append(vec![kept]);
                self.judge(Occasion::Turn(turn), may)
            }
            Step::Context(patch) => {
                let mut patch = patch.clone();
                self.playbook.redact.members(&mut patch);
                self.context.merge(&patch).ok()?;
                self.judge(Occasion::Context, may)
            }
            Step::Key(key) => self.judge(Occasion::Key(*key), may),
            Step::Time => self.judge(Occasion::Clock, may),
        }
    }

    /// The handoff began: its rule does not hand off again.
    pub fn handed_off(&mut self, found: &Found) {
        self.memory.handed_off(&found.fired);
    }

    /// How it goes where this rule hands off now.
    pub fn decide(&self, rule: &str) -> Decided {
        self.playbook.decide(Some(rule), &self.memory, &self.scene())
    }

    /// What is kept of what was told.
    pub fn context(&self) -> &Context {
        &self.context
    }

    /// Since the call began.
    pub fn now(&self) -> Duration {
        self.now
    }

    fn scene(&self) -> Scene<'_> {
        Scene {
            elapsed: self.now,
            caller: self.caller,
            earlier: self.earlier,
            members: self.context.members(),
        }
    }

    fn judge(&mut self, occasion: Occasion<'_>, may: bool) -> Option<Found> {
        // What it looks at is borrowed of the walk, and the memory is not.
        let mut memory = std::mem::take(&mut self.memory);
        let fired = self.playbook.rules.judge(&mut memory, &self.scene(), occasion, may);
        self.memory = memory;
        Some(Found {
            fired: fired?,
            after: self.now,
            turns: self.memory.turns,
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::ColdHears;
    use crate::context::Role;
    use crate::decisions::Manner;
    use crate::expression::Expression;
    use crate::redact::Redact;
    use crate::rules::{Requests, Rule, Rules, Trigger};

    fn at(seconds: u64, step: Step) -> (Duration, Step) {
        (Duration::from_secs(seconds), step)
    }

    fn says(text: &str) -> Step {
        Step::Turn(Turn::new(Role::Caller, text))
    }

    fn playbook() -> Playbook {
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
        Playbook {
            usual: Manner::default(),
            decisions: Vec::new(),
            cold_hears: ColdHears::Hold,
            ai_gone: crate::AiGone::End,
            rules: Rules::new(requests, rules).expect("no rule twice"),
            redact: Redact::cards(true),
            caller_id_field: None,
        }
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
            let replayed = replay(&playbook(), &conversation);
            let seen = replayed
                .as_ref()
                .map(|found| (found.fired.rule.as_str(), found.after.as_secs(), found.turns));
            assert_eq!(seen, found, "{conversation:?}");
        }
    }

    #[test]
    fn a_walk_goes_on_after_a_handoff_by_what_has_not_handed_off_yet() {
        let (playbook, conversation) = (playbook(), Conversation::default());
        let mut walk = Walk::new(&playbook, &conversation);
        let seconds = Duration::from_secs;
        assert_eq!(walk.wait(seconds(60)), None);
        let slow = walk.step(&Step::Time, true).expect("a handoff");
        assert_eq!((&*slow.fired.rule, slow.after), ("slow", seconds(60)));
        walk.handed_off(&slow);
        assert_eq!(walk.step(&says("I pay by 4111111111111111"), true), None);
        let told = Step::Context(json!({ "tier": "gold" }));
        assert_eq!(walk.step(&told, false), None, "a handoff runs");
        assert_eq!(walk.wait(seconds(60)), None);
        // The clock stands still where it hands off.
        let gold = walk.wait(seconds(90)).expect("a handoff");
        assert_eq!(
            (&*gold.fired.rule, gold.after, walk.now()),
            ("gold", seconds(61), seconds(61))
        );
        walk.handed_off(&gold);
        assert_eq!((walk.wait(seconds(90)), walk.now()), (None, seconds(90)));
        assert_eq!(walk.context().turns()[0].text, "I pay by ************1111");
        assert_eq!(walk.context().members()["tier"], "gold");
    }
}
