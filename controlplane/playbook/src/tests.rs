use super::*;

fn playbook() -> Playbook {
    Playbook {
        mode: Mode::Warm,
        accept: Accept::Answer,
        cold_hears: ColdHears::Hold,
        targets: vec!["sales".into(), "support".into()],
        request_phrases: vec![
            "real person".into(),
            "human".into(),
            "I don't want a bot".into(),
            "".into(),
            "!?".into(),
        ],
        required: vec![],
    }
}

fn says(role: Role, text: &str) -> Turn {
    Turn {
        role,
        text: text.into(),
        at: None,
        confidence: None,
        intent: None,
        sentiment: None,
    }
}

#[test]
fn a_caller_who_asks_for_a_human_is_heard() {
    let asked = TurnDecision::Handoff {
        rule: "explicit-request".into(),
    };
    for (text, decision) in [
        ("Give me a HUMAN, now!", asked.clone()),
        ("a real,  person please", asked.clone()),
        ("human", asked.clone()),
        ("I don’t want a bot.", asked),
        ("I am inhuman", TurnDecision::Continue),
        ("humane treatment", TurnDecision::Continue),
        ("a real nice person", TurnDecision::Continue),
        ("a person, real", TurnDecision::Continue),
        ("", TurnDecision::Continue),
        ("!? …", TurnDecision::Continue),
    ] {
        assert_eq!(playbook().decide(&says(Role::Caller, text)), decision, "{text}");
    }
}

#[test]
fn the_ai_does_not_ask_for_a_human_by_speaking_of_one() {
    assert_eq!(
        playbook().decide(&says(Role::Ai, "Do you want a human?")),
        TurnDecision::Continue
    );
}

#[test]
fn words_beyond_ascii_match_without_case() {
    let playbook = Playbook {
        request_phrases: vec!["ÜBER einen menschen".into()],
        ..playbook()
    };
    assert_ne!(
        playbook.decide(&says(Role::Caller, "über einen Menschen")),
        TurnDecision::Continue
    );
}

#[test]
fn targets_come_in_order_and_a_wish_stands_alone() {
    assert_eq!(playbook().order(None), ["sales", "support"]);
    assert_eq!(playbook().order(Some("support")), ["support"]);
    assert_eq!(playbook().resolve(None), Mode::Warm);
    assert_eq!(playbook().resolve(Some(Mode::Cold)), Mode::Cold);
}
