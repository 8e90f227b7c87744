//! A turn against 200 rules, early in a call and late; recorded conversations against them; and what is cut out of a turn.
//!
//! `cargo bench -p baton-benches --bench playbook`

use std::hint::black_box;
use std::time::Duration;

use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use playbook::context::{Context, Role, Sentiment, Turn};
use playbook::decisions::Manner;
use playbook::expression::Expression;
use playbook::memory::Memory;
use playbook::redact::Redact;
use playbook::replay::{Conversation, Step, replay};
use playbook::rules::{Occasion, Requests, Rule, Rules, Scene, Trigger};
use playbook::{ColdHears, Playbook};
use serde_json::json;

/// None of them hands off: the dearest case. A fifth are conditions.
fn rules() -> Rules {
    let words = |what: &str, at: usize| (0..5).map(|n| format!("{what} {at} {n}")).collect::<Vec<_>>();
    let rules = (0..200).map(|at| {
        let trigger = match at % 5 {
            0 => Trigger::Topic {
                topics: words("topic", at),
                phrases: words("phrase of three", at),
            },
            1 => Trigger::Flag {
                flags: words("flag", at),
                phrases: words("a flag's phrase", at),
            },
            2 => Trigger::Intent {
                intents: words("intent", at),
                turns: 1,
            },
            3 => Trigger::Sentiment {
                labels: words("label", at),
                below: Some(-0.9),
                turns: 1,
            },
            _ => Trigger::Loop {
                who: Role::Caller,
                times: 16,
            },
        };
        let condition = format!("customer.tier == \"gold {at}\" && order.value > 500 || turn.confidence < 0.0");
        let (triggers, condition) = match at % 5 {
            4 => (Vec::new(), Some(Expression::new(&condition).expect("a condition"))),
            _ => (vec![trigger], None),
        };
        let name = format!("rule {at}");
        Rule {
            name,
            triggers,
            condition,
        }
    });
    let requests = Requests {
        phrases: words("talk to a human", 0),
        intents: words("human", 0),
    };
    Rules::new(requests, rules.collect()).expect("no rule twice")
}

fn turn(number: usize) -> Turn {
    let label = "neutral".to_owned();
    Turn {
        confidence: Some(0.9),
        intent: Some("order status".to_owned()),
        sentiment: Some(Sentiment {
            label,
            score: Some(0.1),
        }),
        topic: Some("delivery".to_owned()),
        ..Turn::new(
            Role::Caller,
            format!(
                "My parcel with the number {number} has not arrived yet, and I was told that it would be here on Monday morning."
            ),
        )
    }
}

fn known() -> serde_json::Value {
    json!({"customer": {"tier": "silver"}, "fields": {"order": {"value": 501}}})
}

fn judging(criterion: &mut Criterion) {
    let rules = rules();
    let mut context = Context::new();
    context.merge(&known()).expect("a context");
    let scene = Scene {
        elapsed: Duration::from_secs(60),
        caller: "sip:+4930123@192.0.2.1",
        earlier: &[],
        members: context.members(),
    };
    for (name, before) in [("early", 2), ("late", 2_000)] {
        let mut memory = Memory::default();
        for number in 0..before {
            assert_eq!(
                rules.judge(&mut memory, &scene, Occasion::Turn(&turn(number)), true),
                None
            );
        }
        let turn = turn(before);
        criterion.bench_function(&format!("a turn against 200 rules, {name} in the call"), |bencher| {
            bencher.iter_batched_ref(
                || memory.clone(),
                |memory| black_box(rules.judge(memory, &scene, Occasion::Turn(black_box(&turn)), true)),
                BatchSize::SmallInput,
            );
        });
    }
    let steps = (0..20).map(|number| (Duration::from_secs(5 * number as u64), Step::Turn(turn(number))));
    let conversation = Conversation {
        steps: [(Duration::ZERO, Step::Context(known()))]
            .into_iter()
            .chain(steps)
            .collect(),
        ..Conversation::default()
    };
    let playbook = Playbook {
        usual: Manner::default(),
        decisions: Vec::new(),
        cold_hears: ColdHears::Hold,
        ai_gone: playbook::AiGone::End,
        rules,
        redact: Redact::cards(true),
        caller_id_field: None,
    };
    assert_eq!(replay(&playbook, &conversation), None);
    criterion.bench_function("a conversation of 20 turns against 200 rules", |bencher| {
        bencher.iter(|| black_box(replay(&playbook, black_box(&conversation))));
    });
}

/// A turn of 200 characters, with the patterns that an example has, and without.
fn redacting(criterion: &mut Criterion) {
    let plain =
        "I moved last month and since then the invoices go to my old flat, although I have told you twice about it. "
            .repeat(2);
    let card = format!("{}and my card is 4111 1111 1111 1111, ok?", &plain[..160]);
    let mut patterns = Redact::default();
    for (name, pattern) in [
        ("iban", r"\b[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){3,7}(?: ?[A-Z0-9]{1,3})?\b"),
        ("ssn", r"\b\d{3}-\d{2}-\d{4}\b"),
        ("email", r"[\w.+-]+@[\w-]+\.[\w.-]+"),
    ] {
        patterns.pattern(name, pattern).expect("a pattern");
    }
    for (name, redact) in [("cards", Redact::default()), ("cards and three patterns", patterns)] {
        for (what, text) in [("nothing in it", &plain[..200]), ("a card in it", &card)] {
            criterion.bench_function(&format!("{name} cut out of 200 characters, {what}"), |bencher| {
                bencher.iter(|| black_box(redact.text(black_box(text)).len()));
            });
        }
    }
}

criterion_group!(benches, judging, redacting);
criterion_main!(benches);
