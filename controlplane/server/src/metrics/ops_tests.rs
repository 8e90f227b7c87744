//! The board and the alerts of `tools/ops` use metrics and labels that there are.

use std::collections::BTreeSet;
use std::path::PathBuf;

use serde_json::Value;

use super::list;

/// Words of PromQL between which metrics stand, and labels that Prometheus itself gives.
const GIVEN: [&str; 2] = ["instance", "job"];

fn read(name: &str) -> String {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("../../tools/ops")
        .join(name);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn is_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}

/// What an expression names: each series, and each label of a selector or a grouping.
fn named(expression: &str) -> (BTreeSet<String>, BTreeSet<String>) {
    let (mut series, mut labels) = (BTreeSet::new(), BTreeSet::new());
    // Strings hold values: nothing in them is a name.
    let bare: String = expression.split('"').step_by(2).collect();
    let words = bare
        .split(|c| !is_word(c))
        .filter(|word| word.starts_with("baton_") || word.starts_with("process_"));
    series.extend(words.map(str::to_owned));
    for (open, close) in [('{', '}'), ('(', ')')] {
        for (at, _) in bare.match_indices(open) {
            let before = bare[..at].trim_end();
            let groups = ["by", "without", "ignoring", "on"]
                .iter()
                .any(|word| before.strip_suffix(word).is_some_and(|rest| !rest.ends_with(is_word)));
            let inside = bare[at + 1..].split(close).next().expect("some text");
            if open == '{' || groups {
                let names = inside
                    .split(',')
                    .map(|one| one.split(['=', '!']).next().unwrap_or("").trim());
                labels.extend(names.filter(|name| !name.is_empty()).map(str::to_owned));
            }
        }
    }
    (series, labels)
}

/// Fails where an expression names something that there is not.
fn check(whose: &str, expression: &str) -> BTreeSet<String> {
    let known = list::series();
    let (series, labels) = named(expression);
    assert!(
        !series.is_empty() || expression.starts_with("up{"),
        "{whose}: {expression}"
    );
    for name in &series {
        assert!(known.contains_key(name), "{whose}: there is no metric {name}");
    }
    for label in labels {
        let of_one = series.iter().any(|name| known[name].contains(&&*label));
        assert!(
            of_one || GIVEN.contains(&&*label),
            "{whose}: none of {series:?} has the label {label}"
        );
    }
    series
}

fn expressions(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Object(map) => {
            for (key, value) in map {
                match value {
                    Value::String(text) if key == "expr" => found.push(text.clone()),
                    value => expressions(value, found),
                }
            }
        }
        Value::Array(items) => items.iter().for_each(|item| expressions(item, found)),
        _ => {}
    }
}

/// The rules of the file: a name, an expression, and the rest. Of YAML just what the file has: two spaces a level, `>-` for long texts.
fn rules(text: &str) -> Vec<(String, String, String)> {
    let mut rules = Vec::new();
    for rule in text.split("      - alert: ").skip(1) {
        let (name, rest) = rule.split_once('\n').expect("a name");
        let after = rest.split_once("expr: ").expect("an expression").1;
        let lines: Vec<&str> = after.lines().collect();
        let expression = match lines[0] {
            ">-" => {
                let long = lines[1..].iter().take_while(|line| line.starts_with("          "));
                long.map(|line| line.trim()).collect::<Vec<_>>().join(" ")
            }
            line => line.to_owned(),
        };
        rules.push((name.to_owned(), expression, rest.to_owned()));
    }
    rules
}

#[test]
fn board_and_alerts_use_metrics_that_there_are() {
    let board: Value = serde_json::from_str(&read("board.json")).expect("JSON");
    let mut found = Vec::new();
    expressions(&board["panels"], &mut found);
    assert!(found.len() > 20, "{found:?}");
    let mut shown = BTreeSet::new();
    for expression in &found {
        // Variables of Grafana.
        let expression = expression.replace("$__rate_interval", "5m").replace("$instance", ".*");
        shown.extend(check("board.json", &expression));
    }
    for name in [
        "baton_calls",
        "baton_handoffs_total",
        "baton_worker_lost_packets_total",
        "baton_store_trouble_seconds",
    ] {
        assert!(shown.contains(name), "the board does not show {name}");
    }

    let text = read("alerts.yml");
    let rules = rules(&text);
    assert_eq!(rules.len(), text.matches("- alert:").count());
    assert!(rules.len() > 10, "{rules:?}");
    let mut names = BTreeSet::new();
    for (name, expression, rest) in &rules {
        check(name, expression);
        assert!(names.insert(name), "{name} is there twice");
        assert!(
            rest.contains("severity: page") || rest.contains("severity: ticket"),
            "{name}"
        );
        let runbook = rest
            .split_once("runbook: >-")
            .unwrap_or_else(|| panic!("{name} has no runbook"))
            .1;
        assert!(rest.contains("summary: \""), "{name} has no summary");
        assert!(
            runbook.split_whitespace().count() > 20,
            "{name}: the runbook says nothing"
        );
    }
}

#[test]
fn what_there_is_not_is_found() {
    let names = |expression: &str| named(expression);
    let (series, labels) = names("sum by (a, b) (rate(baton_x_total{c=\"d{e}\",f!~\"g\"}[5m])) / on (h) process_y");
    assert_eq!(series.into_iter().collect::<Vec<_>>(), ["baton_x_total", "process_y"]);
    assert_eq!(labels.into_iter().collect::<Vec<_>>(), ["a", "b", "c", "f", "h"]);
    for wrong in [
        "baton_no_such_total",
        "baton_calls{worker=\"0\"}",
        "sum by (codec) (baton_calls)",
    ] {
        assert!(std::panic::catch_unwind(|| check("test", wrong)).is_err(), "{wrong}");
    }
}

#[test]
fn a_queue_that_nobody_serves_while_it_is_open_and_a_long_line_are_alerted() {
    let text = read("alerts.yml");
    let rules = rules(&text);
    for (name, series) in [
        ("BatonQueueUnstaffed", &["baton_queue_agents", "baton_queue_open"][..]),
        ("BatonQueueLong", &["baton_queue_longest_wait_seconds"][..]),
    ] {
        let found = rules.iter().find(|(alert, ..)| alert == name);
        let (_, expression, _) = found.unwrap_or_else(|| panic!("there is no {name}"));
        let seen = check(name, expression);
        assert!(series.iter().all(|one| seen.contains(*one)), "{name}: {expression}");
    }
    let (_, unstaffed, _) = rules
        .iter()
        .find(|(name, ..)| name == "BatonQueueUnstaffed")
        .expect("there");
    let states = unstaffed
        .split("state=~\"")
        .nth(1)
        .and_then(|rest| rest.split('"').next());
    for state in states.expect("states").split('|') {
        assert!(list::AGENT_STATES.contains(&state), "{state}");
    }
}

/// Nobody is refused a human for the sake of a rate: it is watched instead.
#[test]
fn the_transfer_rate_is_watched_in_both_directions_each_rule_too_and_who_asked_and_got_nobody() {
    let text = read("alerts.yml");
    let rules = rules(&text);
    for (name, series) in [
        (
            "BatonTransfersMore",
            ["baton_calls_handed_off_total", "baton_calls_ended_total"],
        ),
        (
            "BatonTransfersLess",
            ["baton_calls_handed_off_total", "baton_calls_ended_total"],
        ),
        (
            "BatonRuleFiresOnEverything",
            ["baton_rule_handoffs_requested_total", "baton_calls_ended_total"],
        ),
        ("BatonAskedAndNotJoined", ["baton_rule_handoffs_total"; 2]),
    ] {
        let found = rules.iter().find(|(alert, ..)| alert == name);
        let (_, expression, _) = found.unwrap_or_else(|| panic!("there is no {name}"));
        let seen = check(name, expression);
        assert!(series.iter().all(|one| seen.contains(*one)), "{name}: {expression}");
    }
    let (_, asked, _) = rules
        .iter()
        .find(|(name, ..)| name == "BatonAskedAndNotJoined")
        .expect("there");
    let rule = format!("rule=\"{}\"", playbook::rules::EXPLICIT_REQUEST);
    assert!(asked.contains(&rule), "{asked}");
}
