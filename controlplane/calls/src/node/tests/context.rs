//! What the human gets to know, and what nobody does.

use playbook::context::{Package, Sentiment};
use playbook::redact::Redact;
use playbook::rules::{Requests, Rule, Rules, Trigger};

use super::bytes::{by_hand, invite_by_hand};
use super::*;

/// What the human who was invited last got to know.
fn package(world: &World) -> &Package {
    let mut packages = world.notices.iter().rev().filter_map(|what| match what {
        What::Handoff(_, Step::Invited { package, .. }) => Some(&**package),
        _ => None,
    });
    packages.next().expect("somebody was invited")
}

fn wish(reason: &str, context: Option<serde_json::Value>) -> HandoffRequest {
    HandoffRequest {
        mode: None,
        target: None,
        reason: reason.to_owned(),
        context,
        by_ai: true,
    }
}

#[test]
fn rules_judge_what_was_said_and_nothing_keeps_the_card_the_secret_or_what_a_pattern_finds() {
    let mut config = config();
    let mut redact = Redact::default();
    redact.pattern("customer", r"KD-\d+").expect("a pattern");
    redact.secret("authentication.pin").expect("a path");
    config.playbook.redact = redact;
    let rule = |name: &str, trigger: Trigger| Rule {
        name: name.to_owned(),
        triggers: vec![trigger],
        condition: None,
    };
    // A phrase that is cut out, and a label that is said in the reason.
    let phrase = Trigger::Topic {
        topics: Vec::new(),
        phrases: vec!["KD 99812".to_owned()],
    };
    let mood = Trigger::Sentiment {
        labels: Vec::new(),
        below: Some(-0.5),
        turns: 1,
    };
    let rules = vec![rule("known", phrase), rule("mood", mood)];
    config.playbook.rules = Rules::new(Requests::default(), rules).expect("no rule twice");
    let mut world = World::new(config);
    world.talk();
    let id = world.id();
    let patch = json!({
        "fields": { "card": 5_105_105_105_105_100_u64 },
        "authentication": { "pin": 4711 },
        "summary": "KD-99812 calls",
    });
    let shown = world.request(Request::Context(id, patch)).expect("taken");
    let card = "my card is 5105 1051 0510 5100";
    let turns = |world: &mut World, turn| world.request(Request::Turns(id, vec![turn])).expect("taken");
    let first = turns(&mut world, Turn::new(Role::Caller, card));
    assert!(
        matches!(first, Response::Turns(TurnDecision::Continue, None)),
        "{first:?}"
    );
    let angry = Turn {
        sentiment: Some(Sentiment {
            label: "5105105105105100".to_owned(),
            score: Some(-0.9),
        }),
        ..Turn::new(Role::Caller, "so")
    };
    let Response::Turns(TurnDecision::Handoff { rule, because }, Some(handoff)) = turns(&mut world, angry) else {
        panic!("a mood hands off");
    };
    assert_eq!(
        (&*rule, &*because),
        ("mood", "sentiment ************5100 (-0.9), turn 2")
    );
    assert_eq!(package(&world).transcript[0].text, "my card is **** **** **** 5100");
    world.request(Request::Cancel(handoff)).expect("taken back");
    let second = turns(&mut world, Turn::new(Role::Caller, "I am KD-99812"));
    let Response::Turns(TurnDecision::Handoff { rule, .. }, Some(handoff)) = second else {
        panic!("{second:?}");
    };
    assert_eq!(rule, "known", "it was said, though it is not kept");
    world.request(Request::Cancel(handoff)).expect("taken back");
    let asked = wish(
        "pays with 5105-1051-0510-5100",
        Some(json!({ "goal": "KD-99812 pays" })),
    );
    world.request(Request::Handoff(id, asked)).expect("taken");
    let told = format!("{shown:?}{:?}", world.notices);
    for hidden in ["5105 1051 0510 5100", "5105105105", "5105-1051", "4711", "KD-99812"] {
        assert!(!told.contains(hidden), "{hidden} is in {told}");
    }
    assert!(
        told.contains("[customer] pays") && told.contains("****-****-****-5100"),
        "{told}"
    );
}

#[test]
fn a_turn_that_is_too_long_is_not_made_to_fit_by_what_is_cut_out_of_it() {
    let mut world = World::new(config());
    world.talk();
    let turn = Turn::new(Role::Ai, format!("{}5105105105105100", "a".repeat(4096)));
    let id = world.id();
    let answer = world.request(Request::Turns(id, vec![turn]));
    assert!(matches!(answer, Err(RequestError::Invalid(_))), "{answer:?}");
}

#[test]
fn the_carrier_s_word_on_a_number_counts_only_where_it_is_believed() {
    let vouched = "P-Asserted-Identity: <sip:+4930123456;verstat=TN-Validation-Passed@carrier.example>\r\n";
    let refused = "P-Asserted-Identity: <sip:+4930123456;verstat=TN-Validation-Failed@carrier.example>\r\n";
    for (believed, header, verified) in [
        (true, vouched, Some(true)),
        (true, refused, Some(false)),
        (true, "", None),
        (false, vouched, None),
    ] {
        let mut config = config();
        config.trunks[0].verstat = believed;
        config.playbook.caller_id_field = Some("fields.phone".to_owned());
        let mut world = World::new(config);
        let from = "From: <sip:+4930123456@carrier.example>;tag=a\r\n";
        by_hand(&mut world, &invite_by_hand(format!("{from}{header}").as_bytes()));
        world.answer(AI);
        let id = world.id();
        let asked = wish("bored", Some(json!({ "fields": { "phone": "030 123456" } })));
        world
            .node
            .handle_request(world.now, Request::Handoff(id, asked))
            .expect("taken");
        by_hand(&mut world, b"");
        let caller = &package(&world).caller_id;
        assert_eq!(
            (caller.number.as_deref(), caller.matches, caller.verified),
            (Some("+4930123456"), Some(true), verified),
            "{header}"
        );
    }
}
