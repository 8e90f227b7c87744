//! `/openapi.json`: OpenAPI 3.1, made of the table of operations. It is committed as `openapi.json`, for who has no server at hand.

use std::sync::LazyLock;

use axum::http::StatusCode;
use serde_json::{Map, Value, json};

use super::routes::{Access, Answer, Content, Kind, Operation, Parameter, operations};
use super::{Answered, schemas};

/// The document.
pub(super) static DOCUMENT: LazyLock<Value> = LazyLock::new(document);

/// The document itself, to everybody.
pub(super) async fn serve() -> Answered {
    Ok(super::document(StatusCode::OK, &DOCUMENT))
}

fn document() -> Value {
    let mut paths = Map::new();
    for operation in operations() {
        let path = paths.entry(operation.path).or_insert_with(|| json!({}));
        path[operation.method.as_str().to_ascii_lowercase()] = describe(operation);
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Baton",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "Live calls, handoffs and their records. Errors are problem documents (RFC 9457), times are RFC 3339 with \
                            milliseconds in UTC, lists come by pages: `after` is the `next` of the page before. A request that is not \
                            even HTTP, or whose header is too long (431, 414), is answered without a body. Without [[http.keys]] no \
                            key is needed, and only programs on the same host are served.",
            "license": { "name": "MIT OR Apache-2.0", "identifier": "MIT OR Apache-2.0" },
        },
        "servers": [{ "url": "/" }],
        "paths": paths,
        "components": {
            "schemas": schemas::all(),
            "securitySchemes": {
                "key": { "type": "http", "scheme": "bearer", "description": "A key of [[http.keys]]." },
                "token": { "type": "apiKey", "in": "query", "name": "token", "description": "That of one handoff." },
            },
        },
    })
}

fn describe(operation: &Operation) -> Value {
    let mut parameters: Vec<Value> = Vec::new();
    for name in names(operation.path) {
        parameters.push(json!({ "name": name, "in": "path", "required": true, "schema": { "type": "string" } }));
    }
    // The token is a way to authenticate.
    for parameter in operation.query.iter().filter(|parameter| parameter.name != "token") {
        parameters.push(describe_parameter(parameter, "query"));
    }
    for parameter in operation.headers {
        parameters.push(describe_parameter(parameter, "header"));
    }
    let mut answers: Vec<(u16, Value)> = Vec::new();
    for answer in operation.answers.iter().chain(&implied(operation)) {
        if answers.iter().all(|(status, _)| *status != answer.status) {
            answers.push((answer.status, describe_answer(answer)));
        }
    }
    answers.sort_by_key(|(status, _)| *status);
    let answers: Map<String, Value> = answers
        .into_iter()
        .map(|(status, answer)| (status.to_string(), answer))
        .collect();
    let mut described = json!({
        "operationId": operation.id,
        "summary": operation.summary,
        "parameters": parameters,
        "responses": answers,
    });
    if let Some(body) = &operation.body {
        let media = json!({ "schema": body.schema.reference() });
        let content: Map<String, Value> = body
            .media_types
            .iter()
            .map(|&name| (name.to_owned(), media.clone()))
            .collect();
        described["requestBody"] = json!({ "required": true, "content": content });
    }
    described["security"] = match operation.access {
        Access::Open => json!([]),
        Access::Key => json!([{ "key": [] }]),
        Access::KeyOrToken => json!([{ "key": [] }, { "token": [] }]),
        // OpenAPI 3.1 §4.8.30: of other schemes than OAuth 2 the list "MAY contain a list of role names".
        scoped => json!([{ "key": scoped.scopes() }]),
    };
    described
}

fn names(path: &str) -> impl Iterator<Item = &str> {
    path.split('/')
        .filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'))
}

fn describe_parameter(parameter: &Parameter, place: &str) -> Value {
    let schema = match &parameter.kind {
        Kind::Text => json!({ "type": "string" }),
        Kind::Integer(least, most) => json!({ "type": "integer", "minimum": least, "maximum": most }),
        Kind::Time => json!({ "type": "string", "format": "date-time" }),
        Kind::OneOf(values) => json!({ "type": "string", "enum": values }),
    };
    json!({ "name": parameter.name, "in": place, "description": parameter.what, "schema": schema })
}

fn describe_answer(answer: &Answer) -> Value {
    let content = match &answer.content {
        Content::Nothing => return json!({ "description": answer.what }),
        Content::Json(schema) => json!({ "application/json": { "schema": schema.reference() } }),
        Content::JsonOrText(schema) => json!({
            "application/json": { "schema": schema.reference() },
            "text/plain": { "schema": { "type": "string" } },
        }),
        Content::As(media_type, schema) => json!({ *media_type: { "schema": schema.reference() } }),
        Content::Text(media_type) => json!({ *media_type: { "schema": { "type": "string" } } }),
        Content::Problem => {
            json!({ "application/problem+json": { "schema": { "$ref": "#/components/schemas/Problem" } } })
        }
    };
    let mut described = json!({ "description": answer.what, "content": content });
    let header = match answer.status {
        401 => Some(("WWW-Authenticate", json!({ "type": "string" }))),
        429 => Some(("Retry-After", json!({ "type": "integer", "minimum": 1 }))),
        _ => None,
    };
    if let Some((name, schema)) = header {
        described["headers"] = json!({ name: { "required": true, "schema": schema } });
    }
    described
}

/// What the checks before an operation may answer.
fn implied(operation: &Operation) -> Vec<Answer> {
    let problem = |status, what| Answer {
        status,
        what,
        content: Content::Problem,
    };
    let mut answers = vec![problem(
        400,
        "A parameter is unknown, given twice or wrong, or the body is cut off or not JSON.",
    )];
    if operation.access != Access::Open {
        answers.push(problem(401, "There is no key, or a wrong one."));
        answers.push(problem(
            403,
            "The key's scope may not do this; or there are no keys, and a browser's page asks.",
        ));
        answers.push(problem(
            429,
            "The key asks too often, or too many wrong keys came from the same address.",
        ));
    }
    if operation.body.is_some() {
        answers.push(problem(408, "The body did not come in time."));
        answers.push(problem(413, "The body is larger than http.body_limit."));
        answers.push(problem(415, "The body is not called JSON."));
    }
    answers
}

#[cfg(test)]
mod tests {
    use super::*;

    const COMMITTED: &str = include_str!("../../openapi.json");

    #[test]
    fn the_committed_document_is_what_the_code_says() {
        let text = serde_json::to_string_pretty(&*DOCUMENT).expect("JSON") + "\n";
        if std::env::var_os("BATON_WRITE").is_some() {
            let path = concat!(env!("CARGO_MANIFEST_DIR"), "/openapi.json");
            std::fs::write(path, &text).expect("written");
            return;
        }
        assert!(
            text == COMMITTED,
            "openapi.json is old: BATON_WRITE=1 cargo test -p baton-server the_committed_document_is_what_the_code_says"
        );
    }

    #[test]
    fn every_reference_and_every_name_is_right() {
        let mut waiting = vec![&*DOCUMENT];
        let mut used = Vec::new();
        while let Some(value) = waiting.pop() {
            if let Some(reference) = value.get("$ref").and_then(Value::as_str) {
                let pointer = reference.strip_prefix('#').expect("of this document");
                assert!(DOCUMENT.pointer(pointer).is_some(), "{reference}");
                used.push(reference.rsplit('/').next().expect("a name"));
            }
            match value {
                Value::Array(items) => waiting.extend(items),
                Value::Object(members) => waiting.extend(members.values()),
                _ => {}
            }
        }
        for name in schemas::all().keys() {
            assert!(used.contains(&name.as_str()), "nothing has the schema {name}");
        }
        let mut ids: Vec<_> = operations().map(|operation| operation.id).collect();
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), operations().count());
    }
}
