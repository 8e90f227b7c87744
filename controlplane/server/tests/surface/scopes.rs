//! Every operation of the document by everybody: none, wrong, and each scope of key.

use super::*;
use crate::contract::DOCUMENT;

/// Every operation: method, path, and what it says of itself. What ends the call comes last.
fn operations() -> Vec<(Method, &'static str, &'static Value)> {
    let paths = DOCUMENT["paths"].as_object().expect("paths");
    let mut all = Vec::new();
    for (path, operations) in paths {
        for (method, operation) in operations.as_object().expect("operations") {
            let method = Method::from_bytes(method.to_ascii_uppercase().as_bytes()).expect("a method");
            all.push((method, path.as_str(), operation));
        }
    }
    all.sort_by_key(|(method, ..)| *method == Method::DELETE);
    all
}

#[tokio::test(flavor = "multi_thread")]
async fn every_operation_answers_everybody_as_its_scopes_say() {
    let ai = UdpSocket::bind("127.0.0.1:0").await.expect("a socket");
    let config = with_keys(ai.local_addr().expect("bound"), "");
    let server = start(&mut Ports::claim(), &config).await;
    let (_call, call) = Call::new(&server, ai).await;
    let admin = Api::of(&server, Some("admin-key"));
    let handoff = closed_handoff(&admin, &call).await["id"]
        .as_str()
        .expect("an id")
        .to_owned();

    let everybody = [
        (None, "none"),
        (Some("wrong-key"), "wrong"),
        (Some("other-key"), "other"),
        (Some("desk-key"), "desk"),
        (Some("own-key"), "ai"),
        (Some("admin-key"), "admin"),
    ];
    let mut count = 0;
    for (method, template, operation) in operations() {
        let path = template.replace("{call}", &call);
        let path = match template.contains("deliveries") {
            true => path.replace("{id}", "evt_none_1:crm"),
            false => path.replace("{id}", &handoff),
        };
        let security = operation["security"].as_array().expect("security");
        let scopes: Vec<&str> = security
            .iter()
            .filter_map(|one| one["key"].as_array())
            .flatten()
            .filter_map(Value::as_str)
            .collect();
        for (key, who) in everybody {
            let mut request = admin.client.request(method.clone(), format!("{}{path}", admin.base));
            if let Some(key) = key {
                request = request.bearer_auth(key);
            }
            if !operation["requestBody"].is_null() {
                request = request.header("content-type", "application/json").body("{}");
            }
            // Not its body: that of events does not end.
            let answer = request.send().await.expect("an answer");
            let status = answer.status().as_u16();
            let said = &operation["responses"][status.to_string()];
            assert!(
                !said.is_null(),
                "{who}: {method} {path}: {status} is not in the document"
            );
            let of_call = path.contains(&call) || path.contains(&handoff);
            let scope = if who == "other" { "ai" } else { who };
            let expected = match who {
                _ if security.is_empty() => None,
                "none" => Some(401),
                // One who has shown too many of them.
                "wrong" if status == 429 && count > 20 * everybody.len() => Some(429),
                "wrong" => Some(401),
                _ if !scopes.is_empty() && !scopes.contains(&scope) => Some(403),
                "other" if of_call => Some(404),
                _ => None,
            };
            match expected {
                Some(expected) => {
                    assert_eq!(status, expected, "{who}: {method} {path}");
                    assert_eq!(answer.headers()["content-type"], "application/problem+json");
                }
                None => assert!(
                    !matches!(status, 401 | 403 | 429 | 500..),
                    "{who}: {method} {path}: {status}"
                ),
            }
            count += 1;
        }
    }
    assert_eq!(count, operations().len() * everybody.len());
    server.stop().await;
}

/// A method that a path does not have, for every path; and paths that there are not.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_there_says_so_and_what_is_there_instead() {
    let ai = UdpSocket::bind("127.0.0.1:0").await.expect("a socket");
    let config = with_keys(ai.local_addr().expect("bound"), "");
    let server = start(&mut Ports::claim(), &config).await;
    let api = Api::of(&server, Some("admin-key"));
    for (path, operations) in DOCUMENT["paths"].as_object().expect("paths") {
        let answer = api.send(Method::TRACE, &path.replace(['{', '}'], ""), &[], None).await;
        assert_eq!(answer.status, StatusCode::METHOD_NOT_ALLOWED, "{path}");
        assert_eq!(answer.body["type"], "urn:baton:problem:method-not-allowed");
        let mut allowed: Vec<_> = answer.headers["allow"].to_str().expect("text").split(',').collect();
        allowed.retain(|method| *method != "HEAD");
        allowed.sort_unstable();
        let mut expected: Vec<_> = operations.as_object().expect("operations").keys().collect();
        expected.sort();
        assert!(
            expected.iter().map(|method| method.to_ascii_uppercase()).eq(allowed),
            "{path}"
        );
    }
    let answer = api.json(Method::PUT, "/v1/calls/a/recording", json!({})).await;
    assert_eq!(
        (answer.status.as_u16(), &answer.body["type"]),
        (404, &json!("urn:baton:problem:not-built"))
    );
    for path in ["/", "/v1", "/v1/calls/", "/v1/calls/a/b", "//v1/calls", "/V1/calls"] {
        let answer = api.get(path).await;
        assert_eq!(
            (answer.status.as_u16(), &answer.body["type"]),
            (404, &json!("urn:baton:problem:not-found")),
            "{path}"
        );
    }
    let served = Api::of(&server, None).get("/openapi.json").await;
    assert_eq!(served.body["paths"], DOCUMENT["paths"]);
    server.stop().await;
}
