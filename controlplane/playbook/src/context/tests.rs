use super::*;

fn says(role: Role, text: &str) -> Turn {
    Turn::new(role, text)
}

/// The examples of RFC 7396 appendix A whose target and patch are objects.
#[test]
fn rfc_7396_appendix_a() {
    for (target, patch, result) in [
        (r#"{"a":"b"}"#, r#"{"a":"c"}"#, r#"{"a":"c"}"#),
        (r#"{"a":"b"}"#, r#"{"b":"c"}"#, r#"{"a":"b","b":"c"}"#),
        (r#"{"a":"b"}"#, r#"{"a":null}"#, r#"{}"#),
        (r#"{"a":"b","b":"c"}"#, r#"{"a":null}"#, r#"{"b":"c"}"#),
        (r#"{"a":["b"]}"#, r#"{"a":"c"}"#, r#"{"a":"c"}"#),
        (r#"{"a":"c"}"#, r#"{"a":["b"]}"#, r#"{"a":["b"]}"#),
        (
            r#"{"a":{"b":"c"}}"#,
            r#"{"a":{"b":"d","c":null}}"#,
            r#"{"a":{"b":"d"}}"#,
        ),
        (r#"{"a":[{"b":"c"}]}"#, r#"{"a":[1]}"#, r#"{"a":[1]}"#),
        (r#"{"e":null}"#, r#"{"a":1}"#, r#"{"a":1}"#),
        (r#"{}"#, r#"{"a":{"bb":{"ccc":null}}}"#, r#"{"a":{"bb":{}}}"#),
    ] {
        let mut context = Context::new();
        context.merge(&serde_json::from_str(target).unwrap()).unwrap();
        context.merge(&serde_json::from_str(patch).unwrap()).unwrap();
        assert_eq!(
            context.value(),
            serde_json::from_str::<Value>(result).unwrap(),
            "{target} + {patch}"
        );
    }
    for patch in [json!(["c"]), json!("bar"), json!(null)] {
        assert_eq!(Context::new().merge(&patch), Err(ContextError::NotAnObject));
    }
}

#[test]
fn a_refused_patch_changes_nothing() {
    let mut context = Context::new();
    context.merge(&json!({"goal": "refund"})).unwrap();
    let before = context.clone();
    let mut deep = json!(1);
    for _ in 0..DEPTH_MAX {
        deep = json!({ "a": deep });
    }
    for (patch, error) in [
        (
            json!({"goal": "x", "fields": 7}),
            ContextError::WrongType {
                member: "fields",
                expected: "an object",
            },
        ),
        (
            json!({"actions_tried": "all"}),
            ContextError::WrongType {
                member: "actions_tried",
                expected: "a list",
            },
        ),
        (json!({"fields": {"a": "x".repeat(FIELDS_MAX)}}), ContextError::TooLarge),
        (json!({ "a": deep }), ContextError::TooDeep),
    ] {
        assert_eq!(context.merge(&patch), Err(error));
        assert_eq!(context, before);
    }
}

#[test]
fn the_whole_context_is_bounded_not_the_single_patch() {
    let mut context = Context::new();
    let piece = "x".repeat(FIELDS_MAX / 2);
    context.merge(&json!({"fields": {"a": piece}})).unwrap();
    assert_eq!(
        context.merge(&json!({"fields": {"b": piece}})),
        Err(ContextError::TooLarge)
    );
    context.merge(&json!({"fields": {"a": null, "b": piece}})).unwrap();
}

#[test]
fn turns_are_taken_all_or_none() {
    let good = says(Role::Caller, "hello");
    let label = "x".repeat(LABEL_MAX + 1);
    let feels = |label: &str, score| {
        Some(Sentiment {
            label: label.into(),
            score,
        })
    };
    for (bad, error) in [
        (
            Turn {
                text: "x".repeat(TEXT_MAX + 1),
                ..good.clone()
            },
            ContextError::TooLong("text"),
        ),
        (
            Turn {
                at: Some(label.clone()),
                ..good.clone()
            },
            ContextError::TooLong("at"),
        ),
        (
            Turn {
                intent: Some(label.clone()),
                ..good.clone()
            },
            ContextError::TooLong("intent"),
        ),
        (
            Turn {
                sentiment: feels(&label, None),
                ..good.clone()
            },
            ContextError::TooLong("sentiment"),
        ),
        (
            Turn {
                confidence: Some(1.5),
                ..good.clone()
            },
            ContextError::OutOfRange("confidence"),
        ),
        (
            Turn {
                confidence: Some(f64::NAN),
                ..good.clone()
            },
            ContextError::OutOfRange("confidence"),
        ),
        (
            Turn {
                sentiment: feels("sad", Some(-2.0)),
                ..good.clone()
            },
            ContextError::OutOfRange("sentiment score"),
        ),
    ] {
        let mut context = Context::new();
        assert_eq!(context.append(vec![good.clone(), bad]), Err(error));
        assert!(context.turns().is_empty());
    }
    let mut context = Context::new();
    context.append(vec![good.clone(); TURNS_MAX]).unwrap();
    assert_eq!(context.append(vec![good]), Err(ContextError::TooManyTurns));
    assert_eq!(context.turns().len(), TURNS_MAX);
}

#[test]
fn the_package_has_three_tiers_and_says_what_is_missing() {
    let mut context = Context::new();
    let mut angry = says(Role::Caller, "I want my money back");
    angry.intent = Some("refund".into());
    angry.sentiment = Some(Sentiment {
        label: "negative".into(),
        score: Some(-0.5),
    });
    context.append(vec![angry, says(Role::Ai, "One moment.")]).unwrap();
    context
        .merge(&json!({
            "goal": "a refund for order 17",
            "actions_tried": ["looked up the order", "offered a voucher"],
            "next_actions": ["approve the refund"],
            "fields": {"order": 17, "note": ""},
            "own": {"word": true}
        }))
        .unwrap();
    let required: Vec<String> = [
        "caller",
        "intent",
        "sentiment.score",
        "fields.order",
        "fields.note",
        "summary",
        "transcript",
        "authentication",
    ]
    .map(String::from)
    .into();
    let package = context.package(&Caller::new("sip:+4912345@carrier.example"), &required);
    assert_eq!(
        package.brief,
        "The caller wants: a refund for order 17. Tried: looked up the order, offered a voucher. Needed next: approve the refund."
    );
    assert_eq!(package.fields["caller"], "sip:+4912345@carrier.example");
    assert_eq!(package.fields["intent"], "refund");
    assert_eq!(package.fields["sentiment"], json!({"label": "negative", "score": -0.5}));
    assert_eq!(package.fields["own"]["word"], true);
    assert_eq!(package.transcript.len(), 2);
    assert_eq!(
        package.completeness.present,
        ["caller", "intent", "sentiment.score", "fields.order", "transcript"]
    );
    assert_eq!(
        package.completeness.missing,
        ["fields.note", "summary", "authentication"]
    );
    assert!(!package.completeness.complete);
    assert!(
        context
            .package(&Caller::new(""), &["goal".into()])
            .completeness
            .complete
    );
}

#[test]
fn the_brief_is_never_longer_than_three_sentences() {
    let mut context = Context::new();
    assert_eq!(context.package(&Caller::new(""), &[]).brief, "");
    context.append(vec![says(Role::Caller, "hello?")]).unwrap();
    assert_eq!(
        context.package(&Caller::new(""), &[]).brief,
        "The caller last said: “hello?”."
    );
    context
        .merge(&json!({"summary": "Wants X. Got 3.5 percent. Is cross", "next_actions": ["call back"]}))
        .unwrap();
    assert_eq!(
        context.package(&Caller::new(""), &[]).brief,
        "Wants X. Got 3.5 percent. Is cross."
    );
    context.merge(&json!({"summary": "Wants X"})).unwrap();
    assert_eq!(
        context.package(&Caller::new(""), &[]).brief,
        "Wants X. Needed next: call back."
    );
}

#[test]
fn the_language_is_the_context_s_or_else_that_of_the_latest_turn_that_has_one() {
    let mut context = Context::new();
    let said = |language: Option<&str>| Turn {
        language: language.map(str::to_owned),
        ..Turn::new(Role::Caller, "hello")
    };
    let language = |context: &Context| context.package(&Caller::new(""), &["language".into()]);
    assert_eq!(language(&context).language, None);
    assert_eq!(language(&context).completeness.missing, ["language"]);
    context
        .append(vec![said(Some("de-CH")), said(Some("en")), said(None)])
        .expect("taken");
    let package = language(&context);
    assert_eq!(package.language.as_deref(), Some("en"));
    assert_eq!(
        (package.fields["language"].as_str(), package.completeness.complete),
        (Some("en"), true)
    );
    context.merge(&json!({ "language": "zh-Hant-TW" })).expect("taken");
    assert_eq!(language(&context).language.as_deref(), Some("zh-Hant-TW"));
    for wrong in ["", "d", "de_CH", "de-", "1e", "de-abcdefghi", "-de"] {
        assert_eq!(
            context.append(vec![said(Some(wrong))]),
            Err(ContextError::OutOfRange("language")),
            "{wrong}"
        );
        assert!(context.merge(&json!({ "language": wrong })).is_err(), "{wrong}");
    }
}

#[test]
fn a_disclosure_is_there_only_where_the_caller_was_told() {
    let mut context = Context::new();
    let package = |context: &Context| context.package(&Caller::new(""), &["disclosure".into()]);
    assert_eq!(
        (package(&context).disclosure, package(&context).completeness.complete),
        (None, false)
    );
    for (said, disclosure, there) in [
        (json!({ "recording": true }), None, false),
        (json!({ "told": false }), Some((false, None)), false),
        (json!({ "told": true }), Some((true, None)), true),
        (
            json!({ "told": true, "at": "2026-01-02T03:04:05.123+01:00" }),
            Some((true, Some("2026-01-02T03:04:05.123+01:00"))),
            true,
        ),
    ] {
        context.merge(&json!({ "disclosure": null })).expect("taken");
        context.merge(&json!({ "disclosure": said })).expect("taken");
        let package = package(&context);
        let shown = disclosure.map(|(told, at): (bool, Option<&str>)| Disclosure {
            told,
            at: at.map(str::to_owned),
        });
        assert_eq!(
            (package.disclosure, package.completeness.complete),
            (shown, there),
            "{said}"
        );
    }
    for wrong in [
        json!({ "told": "yes" }),
        json!({ "told": true, "at": 5 }),
        json!({ "told": true, "at": "yesterday" }),
        json!({ "at": "2026-01-02T03:04:05" }),
        json!({ "at": "2026-01-02T03:04:05.Z9" }),
        json!(true),
    ] {
        let merged = context.merge(&json!({ "disclosure": wrong }));
        assert!(matches!(merged, Err(ContextError::WrongType { .. })), "{wrong}");
    }
}

#[test]
fn the_caller_s_number_may_be_demanded_and_that_it_is_the_one_on_file() {
    let mut context = Context::new();
    context
        .merge(&json!({ "fields": { "customer": { "phone": "030 123456" } } }))
        .expect("taken");
    let caller = Caller {
        uri: "sip:+4930123456@carrier.example",
        verified: Some(false),
        on_file: Some("fields.customer.phone"),
    };
    let required = ["caller_id", "caller_id.matches", "caller_id.verified"].map(str::to_owned);
    let package = context.package(&caller, &required);
    assert_eq!(
        serde_json::to_value(&package.caller_id).expect("JSON"),
        json!({ "number": "+4930123456", "matches": true, "verified": false })
    );
    assert_eq!(package.completeness.missing, ["caller_id.verified"]);
    let unknown = context.package(&Caller::new("sip:alice@192.0.2.1"), &required);
    assert_eq!(unknown.completeness.missing, required);
}
