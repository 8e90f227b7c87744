//! `[[playbook.decisions]]`, and what it shares with `[playbook]`: how a handoff goes.

use std::collections::BTreeMap;
use std::time::Duration;

use ::playbook::decisions::{Change, DECISIONS_MAX, Decision, Manner, PRIORITY_MAX, When};
use ::playbook::{Accept, Mode, Playbook};

use super::Target;
use super::reader::Table;
use super::rules::condition;
use super::values::{prompt, reference, unique};
use crate::prompts::{BuiltIn, Prompt};

/// What the caller of a handoff hears in place of what is usual.
#[derive(Clone, Debug, Default)]
pub struct Sounds {
    /// You are being connected, and why.
    pub announcement: Option<Prompt>,
    /// While waiting.
    pub hold: Option<Prompt>,
    /// What is to be disclosed.
    pub disclosure: Option<Prompt>,
}

impl Sounds {
    /// Each with its key, where there is one.
    pub(crate) fn each(&self) -> impl Iterator<Item = (&'static str, &Prompt)> {
        let all = [
            ("announcement", &self.announcement),
            ("hold", &self.hold),
            ("disclosure", &self.disclosure),
        ];
        all.into_iter()
            .filter_map(|(key, prompt)| Some((key, prompt.as_ref()?)))
    }
}

/// What a table says of how a handoff goes.
pub(super) fn change(table: &Table<'_, '_>, targets: &[Target]) -> Change {
    let names = || targets.iter().map(|target| &*target.name);
    let order = table.strings("targets").map(|found| {
        for name in &found.value {
            reference(table, "targets", name, "targets", names());
        }
        found.value.into_iter().map(|name| name.value).collect()
    });
    let list = |key| {
        let found = table.strings(key)?;
        Some(found.value.into_iter().map(|item| item.value).collect())
    };
    let seconds = |key, range| {
        let found = table.integer(key, range)?;
        Some(Duration::from_secs(found.value))
    };
    Change {
        mode: table.choice("mode", &[("warm", Mode::Warm), ("cold", Mode::Cold)]),
        accept: table.choice(
            "accept",
            &[("answer", Accept::Answer), ("key", Accept::Key), ("api", Accept::Api)],
        ),
        targets: order,
        priority: table
            .integer("priority", 0..=PRIORITY_MAX.into())
            .and_then(|found| u8::try_from(found.value).ok()),
        required: list("required"),
        required_wait: seconds("required_wait_s", 0..=60),
        acknowledged: table.choice("context", &[("sent", false), ("acknowledged", true)]),
        acknowledge: seconds("acknowledge_s", 1..=60),
        ai_stays: seconds("ai_stays_s", 0..=600),
    }
}

/// What is usual, where `[playbook]` says nothing else.
pub(super) fn usual(change: &Change, targets: &[Target]) -> Manner {
    let usual = Manner {
        targets: targets.iter().map(|target| target.name.clone()).collect(),
        required: DEFAULT_REQUIRED.map(str::to_owned).into(),
        ..Manner::default()
    };
    usual.changed(change)
}

const DEFAULT_REQUIRED: [&str; 2] = ["summary", "intent"];

/// The lines of the matrix, and what is heard by each.
pub(super) fn read(table: &Table<'_, '_>, playbook: &mut Playbook, targets: &[Target]) -> Vec<Sounds> {
    let mut names = BTreeMap::new();
    let (mut decisions, mut sounds) = (Vec::new(), Vec::new());
    for entry in table.tables("decisions") {
        let list = |key| -> Vec<String> {
            let found = entry.strings(key).map(|found| found.value).unwrap_or_default();
            found.into_iter().map(|item| item.value).collect()
        };
        let name = unique(&entry, "name", &mut names);
        let rules = entry.strings("rules").map(|found| found.value).unwrap_or_default();
        for rule in &rules {
            reference(&entry, "rules", rule, "playbook.rules", playbook.rule_names());
        }
        let when = When {
            intents: list("intents"),
            sentiments: list("sentiments"),
            rules: rules.into_iter().map(|rule| rule.value).collect(),
            condition: condition(&entry),
        };
        let own = |key, built_in| prompt(&entry, key, built_in);
        let heard = Sounds {
            announcement: own("announcement", BuiltIn::Announcement),
            hold: own("hold", BuiltIn::Hold),
            disclosure: own("disclosure", BuiltIn::Announcement),
        };
        let change = change(&entry, targets);
        if decisions.len() == DECISIONS_MAX {
            entry.problem(
                entry.line,
                "name",
                format!("a playbook can have {DECISIONS_MAX} decisions"),
            );
        }
        if let Some(name) = name.filter(|_| decisions.len() < DECISIONS_MAX) {
            decisions.push(Decision { name, when, change });
            sounds.push(heard);
        }
        entry.finish();
    }
    playbook.decisions = decisions;
    sounds
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::tests::problems;
    use super::*;
    use crate::config::Config;

    #[test]
    fn a_line_changes_what_it_names() {
        let text = "[[targets]]\nname = \"billing\"\nuri = \"sip:b@127.0.0.1:5090\"\n\
                    [playbook]\ncontext = \"acknowledged\"\nrequired_wait_s = 3\npriority = 2\n\
                    [[playbook.rules]]\nname = \"dispute\"\ntopics = [\"billing\"]\n\
                    [[playbook.decisions]]\nname = \"angry\"\nintents = [\"billing\"]\nsentiments = [\"angry\"]\n\
                    rules = [\"dispute\", \"explicit-request\", \"asked-for\"]\nif = \"call.turns > 2\"\nmode = \"cold\"\naccept = \"key\"\n\
                    targets = [\"billing\"]\npriority = 9\nrequired = []\nrequired_wait_s = 0\ncontext = \"sent\"\n\
                    acknowledge_s = 9\nai_stays_s = 20\nannouncement = \"prompts/busy.wav\"\ndisclosure = { uploaded = \"law\" }\n";
        let config = Config::from_toml(text, Path::new(env!("CARGO_MANIFEST_DIR"))).expect("right");
        let usual = &config.playbook.usual;
        let waits = (usual.acknowledged, usual.acknowledge, usual.required_wait);
        assert_eq!(waits, (true, Duration::from_secs(5), Duration::from_secs(3)));
        assert_eq!((usual.priority, &usual.targets[..]), (2, &["billing".to_owned()][..]));
        let [line] = &config.playbook.decisions[..] else {
            panic!("one line")
        };
        let wanted = Change {
            mode: Some(Mode::Cold),
            accept: Some(Accept::Key),
            targets: Some(vec!["billing".to_owned()]),
            priority: Some(9),
            required: Some(Vec::new()),
            required_wait: Some(Duration::ZERO),
            acknowledged: Some(false),
            acknowledge: Some(Duration::from_secs(9)),
            ai_stays: Some(Duration::from_secs(20)),
        };
        assert_eq!((line.name.as_str(), &line.change), ("angry", &wanted));
        assert_eq!(line.when.rules.len(), 3);
        assert_eq!(
            line.when.condition.as_ref().map(|it| it.source()),
            Some("call.turns > 2")
        );
        let heard: Vec<_> = config.sounds[0].each().map(|(key, _)| key).collect();
        assert_eq!(heard, ["announcement", "disclosure"]);
        assert_eq!(config.uploads()["law"], ["playbook.decisions.angry.disclosure"]);
    }

    #[test]
    fn what_is_wrong_with_a_line_is_said_where_it_is() {
        for (text, problem) in [
            (
                "name = \"a\"\nrules = [\"no\"]\n",
                "line 3: playbook.decisions[0].rules: no entry of [[playbook.rules]] has the name \"no\"",
            ),
            (
                "name = \"a\"\ntargets = [\"no\"]\n",
                "line 3: playbook.decisions[0].targets: no entry of [[targets]] has the name \"no\"",
            ),
            (
                "intents = [\"a\"]\n",
                "line 1: playbook.decisions[0].name: is missing: it has no default",
            ),
            (
                "name = \"a\"\npriority = 10\n",
                "line 3: playbook.decisions[0].priority: must be from 0 to 9",
            ),
            (
                "name = \"a\"\nif = \"a +\"\n",
                "line 3: playbook.decisions[0].if: cannot be read",
            ),
            (
                "name = \"a\"\nmood = \"a\"\n",
                "line 3: playbook.decisions[0].mood: there is no such key",
            ),
        ] {
            let found = problems(&format!("[[playbook.decisions]]\n{text}"));
            assert!(
                matches!(&found[..], [one] if one.starts_with(problem)),
                "{problem}: {found:?}"
            );
        }
    }
}
