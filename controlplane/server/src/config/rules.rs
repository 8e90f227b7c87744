//! `[[playbook.rules]]`: when to hand off.

use std::collections::BTreeMap;
use std::time::Duration;

use ::playbook::context::Role;
use ::playbook::decisions::{AI_GONE, CALLBACK};
use ::playbook::expression::Expression;
use ::playbook::memory::WINDOW;
use ::playbook::rules::{EXPLICIT_REQUEST, NoRules, Requests, Rule, Rules, Trigger};

use super::reader::Table;
use super::values::unique;

/// The rules, and how a caller asks for a human.
pub(super) fn read(table: &Table<'_, '_>, requests: Requests) -> Rules {
    let mut names = BTreeMap::new();
    let mut rules = Vec::new();
    let mut last = table.line;
    for entry in table.tables("rules") {
        last = entry.line;
        let name = unique(&entry, "name", &mut names);
        if name.as_deref() == Some(EXPLICIT_REQUEST) {
            let message = "is the one by which a caller asks for a human: its phrases are request_phrases";
            entry.problem(entry.line, "name", message);
        }
        if name.as_deref() == Some(AI_GONE) {
            let message = "is the one by which a caller whose AI is gone is handed off: see ai_gone";
            entry.problem(entry.line, "name", message);
        }
        if name.as_deref() == Some(CALLBACK) {
            let message = "is the one by which a caller who is called back is handed off";
            entry.problem(entry.line, "name", message);
        }
        let (triggers, condition) = (triggers(&entry), condition(&entry));
        if triggers.is_empty() && condition.is_none() {
            entry.problem(
                entry.line,
                "name",
                "a rule needs something to wait for, as topics = [\"billing\"]",
            );
        }
        if let Some(name) = name {
            rules.push(Rule {
                name,
                triggers,
                condition,
            });
        }
        entry.finish();
    }
    Rules::new(requests, rules).unwrap_or_else(|why| {
        // Two of one name were told where they are.
        if !matches!(why, NoRules::Twice(_)) {
            table.problem(last, "rules", why.to_string());
        }
        Rules::default()
    })
}

/// All of them must be there at once.
fn triggers(entry: &Table<'_, '_>) -> Vec<Trigger> {
    let names = |key| -> Vec<String> {
        let found = entry.strings(key).map(|found| found.value).unwrap_or_default();
        found.into_iter().map(|name| name.value).collect()
    };
    let whole = |key, range| entry.integer(key, range).map(|found| found.value);
    let window = |key, least: usize| whole(key, least as u64..=WINDOW as u64).map(|turns| turns as usize);
    let number = |key, range| entry.number(key, range).map(|found| found.value);

    let mut triggers = Vec::new();
    let (flags, topics, phrases) = (names("flags"), names("topics"), names("phrases"));
    match (flags.is_empty(), topics.is_empty(), phrases.is_empty()) {
        (false, topicless, _) => {
            if !topicless {
                // A phrase would stand for both.
                entry.problem(entry.line, "topics", "a rule has flags or topics: make two of it");
            }
            triggers.push(Trigger::Flag { flags, phrases });
        }
        (true, true, true) => {}
        (true, ..) => triggers.push(Trigger::Topic { topics, phrases }),
    }
    let turns = window("confidence_turns", 1);
    if let Some(below) = number("confidence_below", 0.0..=1.0) {
        let turns = turns.unwrap_or(2);
        triggers.push(Trigger::Confidence { below, turns });
    }
    let (labels, below) = (names("sentiments"), number("score_below", -1.0..=1.0));
    let turns = window("sentiment_turns", 1);
    if !labels.is_empty() || below.is_some() {
        let turns = turns.unwrap_or(1);
        triggers.push(Trigger::Sentiment { labels, below, turns });
    }
    if let Some(by) = number("score_falls", 0.01..=2.0) {
        triggers.push(Trigger::Falling { by });
    }
    let (intents, turns) = (names("intents"), whole("intent_turns", 1..=1_000));
    if !intents.is_empty() {
        let turns = turns.unwrap_or(1) as u32;
        triggers.push(Trigger::Intent { intents, turns });
    }
    for (key, who) in [("caller_repeats", Role::Caller), ("ai_repeats", Role::Ai)] {
        if let Some(times) = window(key, 2) {
            triggers.push(Trigger::Loop { who, times });
        }
    }
    let within = whole("within_h", 1..=720);
    if let Some(calls) = whole("calls", 1..=16) {
        triggers.push(Trigger::Repeat {
            calls: calls as usize,
            within: Duration::from_secs(within.unwrap_or(24) * 3_600),
        });
    }
    if let Some(after) = whole("after_s", 1..=86_400) {
        let after = Duration::from_secs(after);
        triggers.push(Trigger::Elapsed { after });
    }
    if let Some(attempts) = whole("failed_attempts", 1..=1_000) {
        triggers.push(Trigger::Failed { attempts });
    }
    if let Some(found) = entry.strings("keys") {
        let mut keys = Vec::new();
        for key in found.value {
            match key
                .value
                .chars()
                .next()
                .filter(|c| key.value.len() == 1 && "0123456789*#ABCD".contains(*c))
            {
                Some(key) => keys.push(key),
                None => entry.problem(key.line, "keys", "must be keys of a telephone: 0 to 9, *, #, A to D"),
            }
        }
        triggers.push(Trigger::Key { keys });
    }
    triggers
}

pub(super) fn condition(entry: &Table<'_, '_>) -> Option<Expression> {
    let source = entry.string("if")?;
    match Expression::new(&source.value) {
        Ok(condition) => Some(condition),
        Err(why) => {
            entry.problem(source.line, "if", why.to_string());
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config::Config;

    fn rules(text: &str) -> Vec<Rule> {
        let config = Config::from_toml(text, Path::new("")).expect("right");
        config.playbook.rules.iter().cloned().collect()
    }

    fn problems(text: &str) -> Vec<String> {
        let text = format!("[[playbook.rules]]\n{text}");
        Config::from_toml(&text, Path::new(""))
            .expect_err("wrong")
            .iter()
            .map(ToString::to_string)
            .collect()
    }

    #[test]
    fn a_rule_has_what_is_named_and_the_usual_for_what_is_not() {
        let read = rules(
            "[[playbook.rules]]\nname = \"unsure\"\nconfidence_below = 0.55\n\
             [[playbook.rules]]\nname = \"angry\"\nsentiments = [\"angry\"]\nscore_below = -0.5\nsentiment_turns = 3\n\
             [[playbook.rules]]\nname = \"law\"\nflags = [\"gdpr\"]\nphrases = [\"delete my data\"]\n\
             [[playbook.rules]]\nname = \"round\"\nai_repeats = 3\ncalls = 2\nintents = [\"refund\"]\nif = \"call.turns > 4\"\n",
        );
        let names = |names: &[&str]| -> Vec<String> { names.iter().map(|&name| name.to_owned()).collect() };
        let of = |name: &str, triggers: &[Trigger], condition: Option<&str>| Rule {
            name: name.to_owned(),
            triggers: triggers.to_vec(),
            condition: condition.map(|source| Expression::new(source).expect("a condition")),
        };
        let (labels, intents) = (names(&["angry"]), names(&["refund"]));
        let law = Trigger::Flag {
            flags: names(&["gdpr"]),
            phrases: names(&["delete my data"]),
        };
        let angry = Trigger::Sentiment {
            labels,
            below: Some(-0.5),
            turns: 3,
        };
        let round = [
            Trigger::Intent { intents, turns: 1 },
            Trigger::Loop {
                who: Role::Ai,
                times: 3,
            },
            Trigger::Repeat {
                calls: 2,
                within: Duration::from_secs(86_400),
            },
        ];
        let unsure = Trigger::Confidence { below: 0.55, turns: 2 };
        // Those with flags come first.
        let wanted = [
            of("law", &[law], None),
            of("unsure", &[unsure], None),
            of("angry", &[angry], None),
            of("round", &round, Some("call.turns > 4")),
        ];
        assert_eq!(read, wanted);
    }

    #[test]
    fn what_is_wrong_with_a_rule_is_said_where_it_is() {
        for (text, problem) in [
            (
                "name = \"a\"\n",
                "line 1: playbook.rules[0].name: a rule needs something to wait for, as topics = [\"billing\"]",
            ),
            (
                "after_s = 5\n",
                "line 1: playbook.rules[0].name: is missing: it has no default",
            ),
            (
                "name = \"explicit-request\"\nafter_s = 5\n",
                "line 1: playbook.rules[0].name: is the one by which a caller asks for a human: its phrases are request_phrases",
            ),
            (
                "name = \"a\"\nafter_s = 0\n",
                "line 3: playbook.rules[0].after_s: must be from 1 to 86400",
            ),
            (
                "name = \"a\"\ntopics = [\"b\"]\nflags = [\"c\"]\n",
                "line 1: playbook.rules[0].topics: a rule has flags or topics: make two of it",
            ),
            (
                "name = \"a\"\nkeys = [\"10\"]\n",
                "line 3: playbook.rules[0].keys: must be keys of a telephone: 0 to 9, *, #, A to D",
            ),
            (
                "name = \"a\"\nif = \"order.value > \"\n",
                "line 3: playbook.rules[0].if: cannot be read at character",
            ),
            (
                "name = \"a\"\nif = \"order.value + 1 > 2\"\n",
                "line 3: playbook.rules[0].if: + is not taken; && ||",
            ),
            (
                "name = \"a\"\nafter = 5\n",
                "line 3: playbook.rules[0].after: there is no such key",
            ),
        ] {
            let found = problems(text);
            assert!(
                found.iter().any(|found| found.starts_with(problem)),
                "{problem}: {found:?}"
            );
        }
        let twice = "name = \"a\"\nafter_s = 5\n[[playbook.rules]]\nname = \"a\"\nafter_s = 6\n";
        assert_eq!(
            problems(twice),
            ["line 5: playbook.rules[1].name: \"a\" is already the name in line 2"]
        );
    }
}
