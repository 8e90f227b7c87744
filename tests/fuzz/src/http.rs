//! Bodies of the API: turns, context patches, requests for a handoff.

use baton_server::bodies;
use playbook::context::{Context, FIELDS_MAX};
use serde_json::Value;

pub(crate) const WORDS: &[&str] = &[
    "{\"role\":\"caller\",\"text\":\"I want a human\"}",
    "\"sentiment\":{\"label\":\"angry\",\"score\":-1}",
    "\"confidence\":1.0000001",
    "\"at\":\"2026-02-30T25:61:61.999Z\"",
    "\"at\":\"-9999-01-01T00:00:00Z\"",
    "\"summary\":null",
    "\"fields\":{\"a\":{\"a\":{\"a\":null}}}",
    "\"mode\":\"warm\"",
    "\"target\":\"support\"",
    "\"reason\":\"\\ud800\"",
    "[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[",
    "{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":",
    "1e999",
    "\\u0000",
    ",",
];

pub(crate) fn target(data: &[u8]) {
    let Ok(value) = serde_json::from_slice::<Value>(data) else {
        return;
    };
    let mut context = Context::new();
    if let Ok(turns) = bodies::turns(value.clone()) {
        assert!(!turns.is_empty());
        for turn in &turns {
            assert!(turn.at.is_some(), "every turn has a time");
            assert!(
                turn.confidence
                    .is_none_or(|confidence| (0.0..=1.0).contains(&confidence))
            );
        }
        let count = turns.len();
        match context.append(turns) {
            Ok(()) => assert_eq!(context.turns().len(), count),
            Err(_) => assert_eq!(context, Context::new(), "all turns or none"),
        }
    }
    if let Ok(request) = bodies::handoff(value.clone()) {
        assert!(request.context.is_none_or(|context| context.is_object()));
    }
    let before = context.clone();
    match context.merge(&value) {
        Err(_) => assert_eq!(context, before, "after an error nothing has changed"),
        Ok(()) => {
            let merged = context.value();
            let text = merged.to_string();
            assert!(text.len() <= FIELDS_MAX);
            // Read by serde_json, a number of many digits may come out as its neighbour: only the shape is compared.
            let again = serde_json::from_str::<Value>(&text).expect("JSON");
            assert_eq!(shape(&again), shape(&merged));
            context.merge(&value).expect("the same patch again");
            assert_eq!(context.value(), merged, "the same patch changes nothing (RFC 7396)");
        }
    }
    let required = ["summary", "fields.a.b", "transcript", "brief", "caller"].map(str::to_owned);
    let package = context.package(&playbook::caller::Caller::new("a caller"), &required);
    let told = package.completeness.present.len() + package.completeness.missing.len();
    assert_eq!(told, required.len());
    serde_json::to_string(&package).expect("a package can be sent");
}

/// Members and types, without what numbers say.
fn shape(value: &Value) -> Value {
    match value {
        Value::Number(_) => Value::from(0),
        Value::Array(items) => items.iter().map(shape).collect(),
        Value::Object(members) => members
            .iter()
            .map(|(name, value)| (name.clone(), shape(value)))
            .collect(),
        other => other.clone(),
    }
}
