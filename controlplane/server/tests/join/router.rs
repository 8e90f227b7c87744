//! Somebody outside says where callers go.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use reqwest::StatusCode;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::party::Manner;
use crate::way::{FOUR, Way};
use crate::world::{OWN, Plan, World};

const SECRET: &str = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";

/// What it answers next, and what it was asked last.
#[derive(Default)]
struct Desk {
    answer: Value,
    asked: Option<(HeaderMap, Bytes)>,
}

async fn answer(State(desk): State<Arc<Mutex<Desk>>>, headers: HeaderMap, body: Bytes) -> Response {
    let said = {
        let mut desk = desk.lock().expect("no panic");
        desk.asked = Some((headers, body));
        desk.answer.clone()
    };
    match said {
        Value::Null => StatusCode::NO_CONTENT.into_response(),
        Value::Number(status) => {
            let status = status.as_u64().and_then(|status| u16::try_from(status).ok());
            let status = status.and_then(|status| StatusCode::from_u16(status).ok());
            status.expect("a status").into_response()
        }
        // It never answers.
        Value::Bool(_) => std::future::pending().await,
        Value::String(text) => text.into_response(),
        said => axum::Json(said).into_response(),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_goes_where_the_router_says_or_as_the_playbook_does_and_the_record_has_which_and_why() {
    let desk = Arc::<Mutex<Desk>>::default();
    let app = Router::new().route("/", post(answer)).with_state(Arc::clone(&desk));
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}/", listener.local_addr().expect("bound"));
    tokio::spawn(async move { axum::serve(listener, app).await });
    let router =
        format!("[router]\nurl = \"{url}\"\nallow_private = true\nsecrets = [\"{SECRET}\"]\ntimeout_ms = 5000\n");
    let mut plan = Plan::all(Way::udp(FOUR));
    plan.manner = Manner::IsBusy;
    plan.more = router.leak();
    let mut world = World::with(plan).await;
    let told = json!({ "summary": "wants a refund" });
    assert_eq!(world.patch(OWN, told).await, StatusCode::OK);

    let usual = json!(["support"]);
    let long = "x".repeat(20_000);
    let rows = [
        (
            json!({ "targets": ["nobody", "sales"] }),
            json!(["sales"]),
            "router",
            Value::Null,
        ),
        (Value::Null, usual.clone(), "playbook", json!("said")),
        (json!({}), usual.clone(), "playbook", json!("said")),
        (
            json!({ "targets": ["nobody"] }),
            usual.clone(),
            "playbook",
            json!("useless"),
        ),
        (json!(500), usual.clone(), "playbook", json!("useless")),
        (json!(302), usual.clone(), "playbook", json!("useless")),
        (
            json!("to the sales team, please"),
            usual.clone(),
            "playbook",
            json!("useless"),
        ),
        (json!(long), usual, "playbook", json!("useless")),
    ];
    for (said, targets, by, why) in rows {
        desk.lock().expect("no panic").answer = said.clone();
        let handoff = world
            .ask_for_a_human(json!({ "mode": "warm", "reason": "a refund" }))
            .await;
        world.events(&handoff, "baton.handoff.failed").await;
        let record = world.record(&handoff).await;
        let route = &record["route"];
        assert_eq!(
            (&route["targets"], &route["by"], &route["why"]),
            (&targets, &json!(by), &why),
            "{said}"
        );
        let tried = record["failed_targets"].as_array().expect("targets");
        let tried: Vec<_> = tried.iter().map(|failed| &failed["target"]).collect();
        assert_eq!(json!(tried), targets, "{said}");

        let (headers, body) = desk.lock().expect("no panic").asked.take().expect("it was asked");
        let verifier = standardwebhooks::Webhook::new(SECRET).expect("a secret");
        verifier.verify(&body, &headers).expect("signed");
        let asked: Value = serde_json::from_slice(&body).expect("JSON");
        assert_eq!(asked["schema"], "baton.route/1");
        assert_eq!(
            (&asked["handoff"], &asked["call"]),
            (&json!(handoff), &json!(world.call))
        );
        assert_eq!(
            (&asked["requested_reason"], &asked["mode"]),
            (&json!("a refund"), &json!("warm"))
        );
        assert_eq!(asked["context"]["brief"], "wants a refund.");
    }
    // One that never answers: the caller goes on after the bound.
    desk.lock().expect("no panic").answer = json!(true);
    let handoff = world
        .ask_for_a_human(json!({ "mode": "warm", "reason": "a refund" }))
        .await;
    world.events(&handoff, "baton.handoff.failed").await;
    let record = world.record(&handoff).await;
    assert_eq!(record["route"]["why"], "late");
    let at = Duration::from_millis(record["route"]["at_ms"].as_f64().expect("when") as u64);
    assert!(at >= Duration::from_secs(5), "{at:?}");
    // Whoever says where to is not overruled.
    let handoff = world
        .ask_for_a_human(json!({ "mode": "warm", "target": "sales", "reason": "a refund" }))
        .await;
    world.events(&handoff, "baton.handoff.failed").await;
    assert_eq!(world.record(&handoff).await["route"], Value::Null);
    world
        .metrics_say(&[
            "baton_routes_total{result=\"routed\"} 1",
            "baton_routes_total{result=\"said\"} 2",
            "baton_routes_total{result=\"late\"} 1",
            "baton_routes_total{result=\"useless\"} 5",
        ])
        .await;
    world.stop().await;
}
