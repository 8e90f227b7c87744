//! `openapi.json`, and whether an answer is as it says.

use std::collections::HashMap;
use std::sync::{LazyLock, Mutex};

use jsonschema::Validator;
use serde_json::{Value, json};

/// The document as it is committed.
pub(crate) static DOCUMENT: LazyLock<Value> =
    LazyLock::new(|| serde_json::from_str(include_str!("../../openapi.json")).expect("JSON"));

/// What one answer was.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Seen<'a> {
    pub(crate) method: &'a str,
    /// With the query.
    pub(crate) path: &'a str,
    pub(crate) status: u16,
    pub(crate) content_type: &'a str,
    pub(crate) body: &'a str,
}

/// Panics where the document says something else.
pub(crate) fn check(seen: Seen<'_>) {
    let path = seen.path.split('?').next().unwrap_or_default();
    let operation = template(path).map(|template| &DOCUMENT["paths"][template][seen.method.to_ascii_lowercase()]);
    let problem = json!({ "application/problem+json": { "schema": { "$ref": "#/components/schemas/Problem" } } });
    let content = match operation {
        Some(operation) if !operation.is_null() => {
            let answer = &operation["responses"][seen.status.to_string()];
            assert!(!answer.is_null(), "a status that the document does not have: {seen:?}");
            &answer["content"]
        }
        // No such path, or no such method of it.
        _ => {
            assert!(matches!(seen.status, 404 | 405), "{seen:?}");
            &problem
        }
    };
    let Value::Object(content) = content else {
        assert!(seen.body.is_empty(), "a body that the document does not have: {seen:?}");
        return;
    };
    let media_type = seen.content_type.split(';').next().unwrap_or_default();
    let media = content.get(media_type);
    let media = media.unwrap_or_else(|| panic!("a media type that the document does not have: {seen:?}"));
    if media_type.contains("json") || media_type == "application/vcon" {
        let body: Value = serde_json::from_str(seen.body).unwrap_or_else(|error| panic!("{error}: {seen:?}"));
        assert_valid(&media["schema"], &body, &seen);
    }
}

fn assert_valid(schema: &Value, body: &Value, seen: &Seen<'_>) {
    static VALIDATORS: LazyLock<Mutex<HashMap<String, Validator>>> = LazyLock::new(Mutex::default);
    let mut validators = VALIDATORS.lock().expect("whole");
    let validator = validators.entry(schema.to_string()).or_insert_with(|| {
        let mut whole = schema.clone();
        whole["components"] = DOCUMENT["components"].clone();
        jsonschema::validator_for(&whole).expect("a schema")
    });
    let errors: Vec<_> = validator
        .iter_errors(body)
        .map(|error| format!("{}: {error}", error.instance_path()))
        .collect();
    assert!(errors.is_empty(), "{errors:#?}\nin {seen:?}");
}

/// The path of the document that this one is of; a literal one before one with names.
fn template(path: &str) -> Option<&'static str> {
    let paths = DOCUMENT["paths"].as_object().expect("paths");
    let fits = |template: &&String| {
        let (mut parts, mut names) = (path.split('/'), template.split('/'));
        let same = names.by_ref().all(|name| match parts.next() {
            Some(part) => name == part || (name.starts_with('{') && !part.is_empty()),
            None => false,
        });
        same && parts.next().is_none()
    };
    let found = paths
        .keys()
        .filter(fits)
        .min_by_key(|template| template.matches('{').count());
    found.map(String::as_str)
}
