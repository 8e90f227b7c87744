use std::time::Duration;

use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::*;
use crate::context::{Role, Sentiment, Turn};

fn turn() -> Turn {
    Turn {
        role: Role::Caller,
        text: "cancel my order".into(),
        at: None,
        confidence: Some(0.5),
        intent: Some("refund".into()),
        sentiment: Some(Sentiment {
            label: "negative".into(),
            score: Some(-0.6),
        }),
        topic: None,
        language: None,
        flags: vec!["gdpr".into()],
    }
}

fn members() -> Map<String, Value> {
    let members = json!({
        "goal": "cancel it", "actions_tried": ["looked it up", 2], "authentication": {"level": null},
        "a": 1, "b": 1.5, "c": "text", "d": true, "e": null, "f": {"g": 7, "h": {"i": "deep"}}, "l": [1, "text", null, 2.5], "z": 9007199254740993i64,
        "fields": {"customer": {"tier": "gold"}, "order id": 4417, "goal": "of the fields"},
    });
    match members {
        Value::Object(members) => members,
        _ => unreachable!(),
    }
}

fn with<T>(ask: impl FnOnce(&Facts<'_>) -> T) -> T {
    let (turn, members) = (turn(), members());
    ask(&Facts {
        turn: Some((&turn, 7)),
        elapsed: Duration::from_millis(61_900),
        caller: "sip:+4930123@192.0.2.1",
        earlier: &[Duration::from_secs(5)],
        turns: 7,
        members: &members,
        intent: Some("refund"),
        sentiment: turn.sentiment.as_ref(),
    })
}

fn holds(source: &str) -> bool {
    let expression = Expression::new(source).unwrap_or_else(|why| panic!("{source}: {why}"));
    with(|facts| expression.holds(facts))
}

#[test]
fn a_condition_sees_the_turn_the_call_and_the_context() {
    for source in [
        "turn.number == 7 && turn.role == 'caller' && turn.text.contains('cancel') && turn.confidence < 0.6",
        "turn.intent == 'refund' && 'gdpr' in turn.flags && size(turn.flags) == 1 && !has(turn.topic)",
        "turn.sentiment.label == 'negative' && turn.sentiment.score <= -0.6",
        "call.seconds == 61 && call.turns == 7 && call.earlier >= 1 && call.caller.startsWith('sip:+49')",
        "customer.tier == \"gold\" && b > 1",
        "intent in ['claim', 'refund'] && sentiment.score < 0",
        "fields['order id'] == 4417",
        "goal.endsWith('it')",
        "size(actions_tried) >= 2 && 'looked it up' in actions_tried && actions_tried.size() < 3",
        "has(customer.tier) && !has(customer.age) && has(f.h.i)",
        "e == null && authentication.level == null",
        "1 < 2.5 && 2.0 == 2 && 'a' < 'b' && -3 < -2.5",
    ] {
        assert!(holds(source), "{source}");
    }
}

#[test]
fn what_has_no_value_decides_nothing() {
    for source in [
        "nobody.there == 1",
        "!(nobody == 1)",
        "a < 'text'",
        "a",
        "c && d",
        "size(a) == 1",
        "turn.topic == null",
        "call.x == 1",
        "1 in c",
    ] {
        assert!(!holds(source), "{source}");
    }
    // One side that decides is enough, whichever it is.
    assert!(holds("nobody == 1 || d"));
    assert!(holds("d || nobody == 1"));
    assert!(holds("!(nobody == 1 && !d)"));
    assert!(holds("!(!d && nobody == 1)"));
    assert!(!holds("nobody == 1 || !d"));
}

#[test]
fn what_is_not_taken_is_said_with_what_is() {
    for (source, why) in [
        ("a +", "cannot be read at character 4"),
        ("a + 1 > 2", "+ is not taken; && ||"),
        ("l.all(x, x == 1)", "all, exists, map and filter are not taken"),
        ("{'a': 1} == f", "{…} is not taken"),
        ("c.matches('.*')", "matches is not taken"),
        ("d ? a : b", "?_: is not taken"),
        ("l[0] == 1", "[…] is taken with a name in quotes"),
        ("size(f).g", "only a name has members: .g"),
        ("-a == 1", "- is taken before a number only"),
        ("b'x' == c", "bytes are not taken"),
        ("", "cannot be read"),
    ] {
        let told = Expression::new(source).expect_err(source).to_string();
        assert!(told.contains(why), "{source}: {told}");
    }
    let long = format!("a == {}", "1".repeat(EXPRESSION_MAX));
    assert_eq!(
        Expression::new(&long).expect_err("long").to_string(),
        "has more than 1000 bytes"
    );
}

#[test]
fn nesting_ends_in_an_answer() {
    for (open, close) in [("(", ")"), ("!", ""), ("[", "]"), ("size(", ")")] {
        let levels = (EXPRESSION_MAX - 10) / (open.len() + close.len());
        let source = format!("{}d{}", open.repeat(levels), close.repeat(levels));
        let _ = Expression::new(&source).map(|expression| with(|facts| expression.holds(facts)));
    }
}

/// Conditions of what both we and the oracle take.
fn condition() -> impl Strategy<Value = String> {
    let operand = prop_oneof![
        Just("a"),
        Just("b"),
        Just("c"),
        Just("d"),
        Just("e"),
        Just("f"),
        Just("f.g"),
        Just("f.h.i"),
        Just("l"),
        Just("z"),
        Just("nobody"),
        Just("f.nobody"),
        Just("1"),
        Just("1.5"),
        Just("-1"),
        Just("2.5"),
        Just("'text'"),
        Just("'t'"),
        Just("null"),
        Just("true"),
        Just("[1, 'text']"),
        Just("['g']"),
        Just("9007199254740993"),
        Just("7"),
        Just("size(l)"),
        Just("size(c)"),
        Just("size(f)"),
    ];
    let two = (
        operand.clone(),
        operand.clone(),
        prop_oneof![
            Just("=="),
            Just("!="),
            Just("<"),
            Just("<="),
            Just(">"),
            Just(">="),
            Just("in")
        ],
    );
    let leaf = prop_oneof![
        two.prop_map(|(left, right, operator)| format!("{left} {operator} {right}")),
        (
            operand.clone(),
            operand.clone(),
            prop_oneof![Just("contains"), Just("startsWith"), Just("endsWith")]
        )
            .prop_map(|(text, part, function)| format!("({text}).{function}({part})")),
        prop_oneof![
            Just("has(f.g)"),
            Just("has(f.x)"),
            Just("has(f.h.i)"),
            Just("d"),
            Just("a")
        ]
        .prop_map(str::to_owned),
    ];
    leaf.prop_recursive(4, 24, 2, |inner| {
        prop_oneof![
            (inner.clone(), inner.clone()).prop_map(|(left, right)| format!("({left}) && ({right})")),
            (inner.clone(), inner.clone()).prop_map(|(left, right)| format!("({left}) || ({right})")),
            inner.prop_map(|of| format!("!({of})")),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn conditions_mean_what_they_mean_in_cel(source in condition()) {
        let mut context = cel::Context::default();
        for (name, value) in members() {
            context.add_variable_from_value(name, cel::to_value(value).expect("JSON"));
        }
        let program = cel::Program::compile(&source).expect("CEL");
        let meant = matches!(program.execute(&context), Ok(cel::Value::Bool(true)));
        prop_assert_eq!(holds(&source), meant);
    }
}
