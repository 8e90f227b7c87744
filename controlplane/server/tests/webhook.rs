//! `baton webhook test`, as a program.

mod folder;
mod ports;

use std::path::Path;
use std::process::Output;

use axum::Router;
use axum::body::Bytes;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use ports::Ports;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::process::Command;
use tokio::sync::mpsc;

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

/// An endpoint that answers so, and what came to it.
async fn endpoint(status: StatusCode) -> (String, mpsc::UnboundedReceiver<(HeaderMap, Bytes)>) {
    let (sender, came) = mpsc::unbounded_channel();
    let router = Router::new().route(
        "/",
        post(async move |headers: HeaderMap, body: Bytes| {
            let _ = sender.send((headers, body));
            status
        }),
    );
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("bound");
    tokio::spawn(async move { axum::serve(listener, router).await });
    (format!("http://{address}/"), came)
}

async fn baton(file: &Path, more: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_baton"));
    command.args(["webhook", "test", "--config"]).arg(file).args(more);
    command.output().await.expect("it runs")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[tokio::test]
async fn each_endpoint_is_sent_a_signed_sample_and_what_it_answers_is_told() {
    let (good, mut came) = endpoint(StatusCode::NO_CONTENT).await;
    let (bad, mut came_bad) = endpoint(StatusCode::INTERNAL_SERVER_ERROR).await;
    let mut ports = Ports::claim();
    let folder = folder::of(ports.take(2));
    let file = folder.join("baton.toml");
    let entry = |name: &str, url: &str| {
        format!(
            "[[webhooks]]\nname = \"{name}\"\nurl = \"{url}\"\nallow_private = true\nsecrets = [\"{SECRET}\"]\n\
             types = [\"baton.call.ended\"]\n"
        )
    };
    std::fs::write(&file, entry("good", &good) + &entry("bad", &bad)).expect("a file");

    let output = baton(&file, &["good"]).await;
    assert!(output.status.success(), "{}", text(&output.stderr));
    let told = text(&output.stdout);
    assert!(
        told.starts_with("ok    good: 204 in ") && told.lines().count() == 1,
        "{told}"
    );
    let (headers, body) = came.recv().await.expect("the sample");
    let verifier = standardwebhooks::Webhook::new(SECRET).expect("a secret");
    verifier.verify(&body, &headers).expect("verified");
    let event: Value = serde_json::from_slice(&body).expect("JSON");
    assert_eq!(event["type"], "baton.webhook.test");
    assert_eq!(event["data"]["webhook"], "good");
    assert_eq!(headers["webhook-id"].to_str().ok(), event["id"].as_str());
    assert!(came_bad.try_recv().is_err(), "only the one that was named");

    let output = baton(&file, &["--json"]).await;
    assert_eq!(output.status.code(), Some(1), "one did not take it");
    let report: Value = serde_json::from_slice(&output.stdout).expect("one JSON object");
    assert_eq!(
        (&report["schema"], &report["ok"]),
        (&"baton.webhook_test/1".into(), &false.into())
    );
    let webhooks = report["webhooks"].as_array().expect("a list");
    let told: Vec<_> = webhooks
        .iter()
        .map(|one| (&one["name"], &one["ok"], &one["answer"]))
        .collect();
    let (yes, no) = (Value::from(true), Value::from(false));
    assert_eq!(
        told,
        [
            (&"good".into(), &yes, &"204".into()),
            (&"bad".into(), &no, &"500".into())
        ]
    );
    let (_, body) = came.recv().await.expect("the sample");
    let again: Value = serde_json::from_slice(&body).expect("JSON");
    assert_eq!(webhooks[0]["event"], again["id"]);
    assert_ne!(again["id"], event["id"], "no id is used twice");

    let output = baton(&file, &["god"]).await;
    assert_eq!(output.status.code(), Some(1));
    let why = text(&output.stderr);
    assert!(
        why.contains("no entry of [[webhooks]] has the name \"god\"; did you mean \"good\"?"),
        "{why}"
    );
}

#[tokio::test]
async fn an_address_that_is_not_public_gets_no_sample() {
    let (url, mut came) = endpoint(StatusCode::OK).await;
    let port = url.trim_end_matches('/').rsplit(':').next().expect("a port");
    let mut ports = Ports::claim();
    let file = folder::of(ports.take(2)).join("baton.toml");
    for host in ["127.0.0.1", "2130706433", "[::ffff:127.0.0.1]", "localhost"] {
        let text_of_file =
            format!("[[webhooks]]\nname = \"a\"\nurl = \"http://{host}:{port}/\"\nsecrets = [\"{SECRET}\"]\n");
        std::fs::write(&file, text_of_file).expect("a file");
        let output = baton(&file, &[]).await;
        assert_eq!(output.status.code(), Some(1), "{host}");
        let why = text(&output.stderr);
        assert!(
            why.contains(":3: webhooks[0].url:") && why.contains("allow_private = true"),
            "{why}"
        );
    }
    assert!(came.try_recv().is_err());
}
