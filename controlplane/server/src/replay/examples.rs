//! The worked examples: a playbook each, and the conversations that walk through it.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::slice;
use std::sync::Arc;
use std::time::SystemTime;

use jiff::Timestamp;
use playbook::slots::{self, Slot, Team};
use serde_json::{Value, json};

use super::Report;
use super::script::Script;
use crate::config::Config;

/// What is said of every handoff of an example.
const SAID: [&str; 7] = ["rule", "because", "decision", "mode", "targets", "priority", "missing"];

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../playbook/examples")
}

fn example(name: &str) -> (Config, Vec<Value>) {
    let config = Config::from_file(&folder().join(name).with_extension("toml"));
    let config = config.unwrap_or_else(|problems| panic!("{name}: {problems:#?}"));
    let text = std::fs::read_to_string(folder().join(name).with_extension("json")).expect("its conversations");
    let conversations = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{name}: {error}"));
    (config, conversations)
}

fn script(name: &str, conversation: &Value) -> Script {
    Script::read(conversation).unwrap_or_else(|why| panic!("{name}, {}: {why}", conversation["id"]))
}

fn names() -> BTreeSet<String> {
    let files = std::fs::read_dir(folder()).expect("the folder");
    let names = files.map(|file| {
        let path = file.expect("a file").path();
        path.file_stem().expect("a name").to_string_lossy().into_owned()
    });
    names.collect()
}

#[test]
fn each_worked_example_is_walked_turn_by_turn_and_each_turn_goes_as_its_file_says() {
    let readme = std::fs::read_to_string(folder().join("../../README.md")).expect("the README");
    assert_eq!(names().len(), 4, "{:?}", names());
    for name in names() {
        let (config, conversations) = example(&name);
        let (mut rules, mut lines) = (BTreeSet::new(), BTreeSet::new());
        for conversation in &conversations {
            let script = script(&name, conversation);
            let wrong: Vec<_> = script.walk(&config).iter().map(ToString::to_string).collect();
            assert!(
                wrong.is_empty(),
                "{name}, {}:\n{}",
                conversation["id"],
                wrong.join("\n")
            );
            for then in script.steps.iter().filter_map(|entry| entry.then.as_object()) {
                for said in SAID {
                    assert!(
                        then.contains_key(said),
                        "{name}, {}: no {said} in {then:?}",
                        conversation["id"]
                    );
                }
                rules.extend(then["rule"].as_str().map(str::to_owned));
                lines.extend(then["decision"].as_str().map(str::to_owned));
            }
        }
        for line in &config.playbook.decisions {
            assert!(
                lines.contains(&line.name),
                "{name}: no conversation shows {:?}",
                line.name
            );
        }
        assert!(rules.len() > 2, "{name}: {rules:?}");
        let link = format!("(playbook/examples/{name}.toml)");
        assert!(readme.contains(&link), "{link} is not in the README");
        let text = std::fs::read_to_string(folder().join(&name).with_extension("toml")).expect("text");
        let long = text.lines().find(|line| line.chars().count() > 150);
        assert_eq!(long, None, "{name} has a line that is too long");
        assert!(text.contains(&format!("baton replay --config {name}.toml --calls {name}.json")));
    }
}

/// What is said in it of Monday evening and of Saturday afternoon is what a caller would be promised then.
#[test]
fn the_example_of_the_night_promises_a_call_back_within_a_day_and_leaves_the_rest_to_the_mailbox() {
    let (config, conversations) = example("after-hours");
    let hours = |name: &str| {
        let target = config.targets.iter().find(|target| target.name == name);
        Arc::clone(&target.expect("a target").hours)
    };
    let callback = &config.callback;
    let team = Team {
        hours: hours(callback.target.as_deref().expect("a target")),
        members: vec![(String::new(), None)],
    };
    let promised = |id: &str, taken: &[Slot]| {
        let called = conversations.iter().find(|conversation| conversation["id"] == id);
        let started = called.and_then(|called| called["started"].as_str()).expect("a time");
        let now = SystemTime::from(started.parse::<Timestamp>().expect("RFC 3339"));
        let (grid, effort, teams) = (&callback.grid, &callback.effort, slice::from_ref(&team));
        slots::first_free(now, now, &hours("call-back"), teams, grid, effort, taken)
    };
    let at = |text: &str| SystemTime::from(text.parse::<Timestamp>().expect("RFC 3339"));
    let first = promised("zero at night", &[]).expect("tomorrow");
    assert_eq!(
        (first.from, first.until),
        (at("2026-11-24T10:00:00-05:00"), at("2026-11-24T10:15:00-05:00"))
    );
    // One caller to a slot.
    let second = promised("zero at night", &[first]).expect("tomorrow");
    assert_eq!(second.from, first.until);
    assert_eq!(promised("zero on Saturday", &[]), None);
}

/// Each of them in turn expects something else: the walk says so, and at which turn.
#[test]
fn an_expectation_that_is_wrong_fails_with_the_number_of_its_turn() {
    for name in names() {
        let (config, conversations) = example(&name);
        for conversation in conversations {
            let steps = conversation["steps"].as_array().expect("steps").len();
            let mut turns = 0;
            for at in 0..steps {
                let step = &conversation["steps"][at];
                turns += usize::from(step["turn"].is_object());
                let mut others = vec![match step["then"].is_object() {
                    true => json!("nothing"),
                    false => json!({ "rule": "another" }),
                }];
                for (member, _) in step["then"].as_object().into_iter().flatten() {
                    let mut other = step["then"].clone();
                    other[member] = json!("another");
                    others.push(other);
                }
                for other in others {
                    let mut changed = conversation.clone();
                    changed["steps"][at]["then"] = other;
                    let surprises = script(&name, &changed).walk(&config);
                    let told: Vec<_> = surprises.iter().map(ToString::to_string).collect();
                    let begins = format!("turn {turns} (step {}, ", at + 1);
                    assert!(
                        matches!(&told[..], [one] if one.starts_with(&begins)),
                        "{name}: {begins}: {told:#?}"
                    );
                }
            }
        }
    }
}

#[test]
fn a_replay_says_what_is_not_as_expected_and_fails() {
    let (config, mut conversations) = example("billing");
    let mut report = Report::default();
    report
        .read(&config, json!(conversations).to_string().as_bytes())
        .expect("JSON");
    assert_eq!(
        (report.judged, &report.surprises[..], &report.differences[..]),
        (6, &[][..], &[][..])
    );
    assert!(report.succeeds());
    // What is kept is compared, too.
    conversations[0]["steps"][3]["kept"] = "From DE89".into();
    conversations[4]["steps"][0]["then"] = json!({ "rule": "dispute" });
    let mut report = Report::default();
    report
        .read(&config, json!(conversations).to_string().as_bytes())
        .expect("JSON");
    assert!(!report.succeeds());
    let unexpected = &report.document()["unexpected"];
    assert_eq!(
        (&unexpected[0]["conversation"], &unexpected[0]["turn"]),
        (&json!("a dispute"), &json!(4))
    );
    let text = report.text().join("\n");
    let told = "a circle, turn 1 (step 1, 4 s): expected {\"rule\":\"dispute\"}, and it is \"nothing\"";
    assert!(text.contains(told), "{text}");
}

#[test]
fn what_is_no_script_says_which_step_it_is() {
    let step = |step: Value| Script::read(&json!({ "steps": [{ "after_s": 1, "then": "nothing" }, step] }));
    for (wrong, why) in [
        (
            json!({ "after_s": 0.5, "then": "nothing" }),
            "step 2: after_s goes back",
        ),
        (
            json!({ "after_s": 90_000, "then": "nothing" }),
            "step 2: after_s goes back, or beyond a day",
        ),
        (
            json!({ "after_s": 2, "then": "handoff" }),
            "step 2: then must be \"nothing\" or an object",
        ),
        (
            json!({ "after_s": 2, "key": "0", "context": {}, "then": "nothing" }),
            "step 2: a step has a turn, a context or a key",
        ),
        (
            json!({ "after_s": 2, "turn": { "role": "ai", "text": "x", "confidence": 2 }, "then": "nothing" }),
            "step 2: confidence is out of range",
        ),
        (json!({ "after_s": 2 }), "missing field `then`"),
        (json!({ "after_s": 2, "than": "nothing" }), "unknown field `than`"),
    ] {
        let told = step(wrong).expect_err("wrong");
        assert!(told.starts_with(why), "{why}: {told}");
    }
}
