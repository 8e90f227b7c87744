use std::path::Path;
use std::time::Duration;

use playbook::replay::Step;

use super::*;

fn rules(text: &str) -> Config {
    Config::from_toml(text, Path::new("")).expect("right")
}

fn report(rules: &Config, file: &str) -> Report {
    let mut report = Report::default();
    report.read(rules, file.as_bytes()).expect("JSON");
    report
}

const RULES: &str = "[[playbook.rules]]\nname = \"billing\"\nphrases = [\"invoice\"]\n\
                     [[playbook.rules]]\nname = \"slow\"\nafter_s = 60\n";

fn turn(second: u32, text: &str) -> Value {
    json!({ "role": "caller", "text": text, "at": format!("2026-11-02T10:00:{second:02}.500Z") })
}

#[test]
fn what_would_differ_is_counted_rule_by_rule_and_named() {
    let lines = [
        json!({ "id": "same", "turns": [turn(1, "my invoice")], "handed_off": { "rule": "billing", "why": "x" }, "right_call": true }),
        json!({ "id": "new", "turns": [turn(1, "hello"), turn(9, "the invoice")] }),
        json!({ "id": "gone", "turns": [turn(1, "hello")], "handed_off": { "rule": "old", "why": "y" }, "right_call": false }),
        json!({ "id": "other", "turns": [turn(1, "a real person")], "handed_off": {} }),
        json!({ "id": "none", "turns": [] }),
    ];
    let file: String = lines.iter().map(|line| format!("{line}\n")).collect();
    let report = report(&rules(RULES), &file);
    let document = report.document();
    let tally = |rule: &str, [recorded, now, new, gone, right, wrong]: [u8; 6]| json!({ "rule": rule, "recorded": recorded, "now": now, "new": new, "gone": gone, "right": right, "wrong": wrong });
    assert_eq!(document["conversations"], 5);
    assert_eq!(
        document["rules"],
        json!([
            tally("(asked for)", [1, 0, 0, 1, 0, 0]),
            tally("billing", [1, 2, 1, 0, 1, 0]),
            tally("explicit-request", [0, 1, 1, 0, 0, 0]),
            tally("old", [1, 0, 0, 1, 0, 1]),
        ])
    );
    let because = "topic \"invoice\", turn 2";
    assert_eq!(
        document["differences"][0],
        json!({ "entry": 2, "id": "new", "recorded": null,
                "now": { "rule": "billing", "because": because, "turns": 2, "after_s": 8.0 } })
    );
    let ids: Vec<_> = report
        .differences
        .iter()
        .map(|difference| difference["id"].clone())
        .collect();
    assert_eq!(ids, ["new", "gone", "other"]);
    let text = report.text().join("\n");
    assert!(text.starts_with("5 conversations, 3 differ\n"), "{text}");
    for line in [
        "new\n  then  not handed off\n  now   billing: topic \"invoice\", turn 2",
        "gone\n  then  old: y\n  now   not handed off",
    ] {
        assert!(text.contains(line), "{text}");
    }
}

#[test]
fn a_record_is_judged_by_its_turns_up_to_the_request_and_by_what_its_context_knew() {
    let record = json!({
        "schema": "baton.handoff/1", "id": "ho_1", "caller": "sip:+49@192.0.2.1",
        "requested_reason": "rule billing: topic \"invoice\", turn 1", "requested_at": "2026-11-02T10:00:05.000Z",
        "context": {
            "fields": { "caller": "sip:+49@192.0.2.1", "intent": "order", "tier": "gold" },
            "transcript": [
                { "role": "caller", "text": "my invoice", "at": "2026-11-02T10:00:01.000Z", "intent": "order" },
                { "role": "ai", "text": "so", "at": "2026-11-02T10:00:04.000Z" },
                { "role": "caller", "text": "a real person", "at": "2026-11-02T10:00:09.000Z" },
            ],
        },
        "feedback": { "right_call": true },
    });
    let read = recorded::read(&record).expect("a record");
    assert_eq!((read.id.as_deref(), read.right), (Some("ho_1"), Some(true)));
    let was = Was {
        rule: Some("billing".into()),
        why: "topic \"invoice\", turn 1".into(),
    };
    assert_eq!(read.was, Some(was));
    let steps = &read.conversation.steps;
    assert_eq!(steps[0], (Duration::ZERO, Step::Context(json!({ "tier": "gold" }))));
    let turns: Vec<_> = steps[1..]
        .iter()
        .map(|(at, step)| (at.as_secs(), matches!(step, Step::Turn(_))))
        .collect();
    assert_eq!(turns, [(0, true), (3, true)]);
    // By its own member, where it has one, and not by words that anybody may write.
    let mut told = record.clone();
    told["trigger"] = json!({ "rule": "other", "because": "topic x: y, turn 1" });
    let was = recorded::read(&told).ok().and_then(|read| read.was);
    let other = Was {
        rule: Some("other".into()),
        why: "topic x: y, turn 1".into(),
    };
    assert_eq!(was, Some(other));
    told["trigger"] = Value::Null;
    let was = recorded::read(&told).ok().and_then(|read| read.was);
    assert_eq!(was.and_then(|was| was.rule), None);
    // A page of them, and a list.
    let mut asked = record.clone();
    asked["requested_reason"] = "because I say so".into();
    for file in [json!({ "handoffs": [record, asked] }), json!([record, asked])] {
        let report = report(&rules(RULES), &file.to_string());
        assert_eq!(report.judged, 2);
        assert_eq!(
            report.by_rule["billing"],
            Tally {
                recorded: 1,
                now: 2,
                new: 1,
                right: 1,
                ..Tally::default()
            }
        );
        assert_eq!(
            report.by_rule[ASKED],
            Tally {
                recorded: 1,
                gone: 1,
                right: 1,
                ..Tally::default()
            }
        );
    }
}

#[test]
fn time_patches_and_keys_count() {
    let line = json!({
        "started": "2026-11-02T10:00:00Z", "caller": "tel:1", "earlier_s": [5],
        "turns": [{ "role": "caller", "text": "hello", "at": "2026-11-02T10:00:50Z" }, { "role": "ai", "text": "yes" }],
        "context": { "a": 1 },
        "patches": [{ "at": "2026-11-02T10:00:40Z", "context": { "b": 2 } }],
        "keys": [{ "at": "2026-11-02T10:01:10Z", "key": "0" }],
    });
    let read = recorded::read(&line).expect("a conversation");
    let seconds: Vec<_> = read.conversation.steps.iter().map(|(at, _)| at.as_secs()).collect();
    assert_eq!(seconds, [0, 40, 50, 50, 70]);
    let found = judge(&rules(RULES).playbook, &read.conversation).expect("by time");
    assert_eq!(
        (found.fired.rule.as_str(), found.after),
        ("slow", Duration::from_secs(60))
    );
}

#[test]
fn what_cannot_be_judged_is_named_and_the_rest_is_judged() {
    let file = "{\"turns\": []}\n{\"turn\": []}\n{\"turns\": [{\"role\": \"caller\", \"text\": \"x\", \"at\": \"yesterday\"}]}\n\
                {\"requested_reason\": \"x\"}\n3\n";
    let report = report(&rules(""), file);
    assert_eq!(report.judged, 1);
    let whys: Vec<_> = report
        .skipped
        .iter()
        .map(|(place, why)| format!("{place}: {why}"))
        .collect();
    assert_eq!(whys.len(), 4);
    for (why, part) in whys.iter().zip([
        "2: unknown field `turn`",
        "3: \"yesterday\" is no time of RFC 3339",
        "4: it has no transcript",
        "5: invalid type: integer `3`",
    ]) {
        assert!(why.starts_with(part), "{why}");
    }
    let mut broken = Report::default();
    assert!(broken.read(&rules(""), "{\"turns\": []} {".as_bytes()).is_err());
    assert_eq!(broken.judged, 1);
}
