use serde_json::json;

use super::*;
use crate::ColdHears;
use crate::context::{Role, Sentiment, Turn};
use crate::rules::{Occasion, Rules};

fn usual() -> Manner {
    Manner {
        targets: vec!["sales".into(), "support".into()],
        required: vec!["summary".into()],
        ..Manner::default()
    }
}

fn line(name: &str, when: When, change: Change) -> Decision {
    Decision {
        name: name.to_owned(),
        when,
        change,
    }
}

fn names(names: &[&str]) -> Vec<String> {
    names.iter().map(|&name| name.to_owned()).collect()
}

/// Which line decides, by its name.
fn by(decisions: &[Decision], rule: Option<&str>, memory: &Memory, context: Value) -> Option<String> {
    let playbook = Playbook {
        usual: usual(),
        decisions: decisions.to_vec(),
        cold_hears: ColdHears::Hold,
        ai_gone: crate::AiGone::End,
        rules: Rules::default(),
        redact: crate::redact::Redact::default(),
        caller_id_field: None,
    };
    let members = context.as_object().expect("an object");
    let scene = Scene {
        elapsed: Duration::from_secs(90),
        caller: "sip:+4930123@example.com",
        earlier: &[],
        members,
    };
    let decided = playbook.decide(rule, memory, &scene);
    decided.at.map(|at| decisions[at].name.clone())
}

fn heard(turns: &[Turn]) -> Memory {
    let (mut memory, rules) = (Memory::default(), Rules::default());
    for turn in turns {
        let scene = Scene {
            elapsed: Duration::ZERO,
            caller: "",
            earlier: &[],
            members: &Map::new(),
        };
        rules.judge(&mut memory, &scene, Occasion::Turn(turn), true);
    }
    memory
}

#[test]
fn targets_come_in_order_and_a_wish_stands_alone() {
    assert_eq!(usual().order(None), ["sales", "support"]);
    assert_eq!(usual().order(Some("billing")), ["billing"]);
}

#[test]
fn the_first_line_of_which_all_holds_decides() {
    let billing = || names(&["Billing", "refund"]);
    let lines = [
        line(
            "angry about money",
            When {
                intents: billing(),
                sentiments: names(&["angry"]),
                ..When::default()
            },
            Change::default(),
        ),
        line(
            "flagged",
            When {
                rules: names(&["law", EXPLICIT_REQUEST]),
                ..When::default()
            },
            Change::default(),
        ),
        line(
            "gold",
            When {
                condition: Some(Expression::new("customer.tier == \"gold\"").expect("a condition")),
                ..When::default()
            },
            Change::default(),
        ),
        line(
            "the AI asks for money",
            When {
                intents: billing(),
                rules: names(&[ASKED_FOR]),
                ..When::default()
            },
            Change::default(),
        ),
    ];
    let nothing = Memory::default();
    let by = |rule, memory: &Memory, context| by(&lines, rule, memory, context);
    assert_eq!(by(None, &nothing, json!({})), None);
    let angry = json!({"intent": "billing", "sentiment": {"label": "Angry", "score": -0.8}});
    assert_eq!(by(Some("law"), &nothing, angry).as_deref(), Some("angry about money"));
    assert_eq!(
        by(Some("law"), &nothing, json!({"intent": "billing"})).as_deref(),
        Some("flagged")
    );
    assert_eq!(by(Some("other"), &nothing, json!({"intent": "billing"})), None);
    assert_eq!(
        by(None, &nothing, json!({"intent": "REFUND"})).as_deref(),
        Some("the AI asks for money")
    );
    let gold = json!({"intent": "billing", "fields": {"customer": {"tier": "gold"}}});
    assert_eq!(by(None, &nothing, gold).as_deref(), Some("gold"));
}

#[test]
fn what_turns_said_counts_where_the_context_says_nothing() {
    let when = When {
        intents: names(&["billing"]),
        sentiments: names(&["angry"]),
        ..When::default()
    };
    let lines = [line("angry", when, Change::default())];
    let mut turn = Turn::new(Role::Caller, "my invoice is wrong");
    turn.intent = Some("billing".to_owned());
    turn.sentiment = Some(Sentiment {
        label: "angry".to_owned(),
        score: None,
    });
    let memory = heard(&[turn]);
    assert_eq!(by(&lines, None, &memory, json!({})).as_deref(), Some("angry"));
    // What came with the request is newer.
    assert_eq!(by(&lines, None, &memory, json!({"intent": "delivery"})), None);
    assert_eq!(by(&lines, None, &memory, json!({"sentiment": "calm"})), None);
}

#[test]
fn a_line_changes_what_it_names_and_nothing_else() {
    let change = Change {
        mode: Some(Mode::Cold),
        targets: Some(names(&["billing"])),
        acknowledged: Some(true),
        ..Change::default()
    };
    let changed = usual().changed(&change);
    let wanted = Manner {
        mode: Mode::Cold,
        targets: names(&["billing"]),
        acknowledged: true,
        ..usual()
    };
    assert_eq!(changed, wanted);
    let all = Change {
        accept: Some(Accept::Key),
        priority: Some(7),
        required: Some(vec![]),
        required_wait: Some(Duration::from_secs(1)),
        acknowledge: Some(Duration::from_secs(3)),
        ai_stays: Some(Duration::from_secs(20)),
        ..change
    };
    let back = Change {
        acknowledged: Some(false),
        ai_stays: Some(Duration::ZERO),
        ..Change::default()
    };
    let changed = usual().changed(&all);
    assert_eq!(
        (changed.priority, changed.accept, changed.required.len()),
        (7, Accept::Key, 0)
    );
    let times = [changed.required_wait, changed.acknowledge, changed.ai_stays].map(|time| time.as_secs());
    assert_eq!((changed.acknowledged, times), (true, [1, 3, 20]));
    let back = changed.changed(&back);
    assert_eq!(
        (back.acknowledged, back.ai_stays.is_zero()),
        (false, true),
        "a line can take back what is usual"
    );
}
