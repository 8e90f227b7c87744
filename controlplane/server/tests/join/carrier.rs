//! Cold handoffs that the carrier is asked for by REFER.

use reqwest::StatusCode;
use serde_json::{Value, json};
use sip::header::{Header as _, ReferTo};

use crate::party::{Carrier, Signal, Wish};
use crate::way::{FOUR, Way};
use crate::world::{OWN, Plan, World};

async fn a_world_where(carrier: Carrier) -> World {
    let plan = Plan::all(Way::udp(FOUR));
    World::with(Plan {
        carrier: Some(carrier),
        ..plan
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_carrier_that_connects_the_caller_ends_the_call_as_transferred() {
    let (mut world, handoff, info) = referring(Carrier::Connects).await;
    world.caller.until(&Signal::Bye).await;
    world.ai.until(&Signal::Bye).await;
    let types = world.events(&handoff, "baton.handoff.completed").await;
    assert!(types.contains(&"baton.handoff.requested".to_owned()), "{types:?}");
    assert!(!types.contains(&"baton.handoff.joined".to_owned()), "{types:?}");
    assert_eq!(world.data["result"], "transferred");
    let record = world.record(&handoff).await;
    assert_eq!(
        (&record["state"], &record["result"], &record["reason"]),
        (&json!("completed"), &json!("transferred"), &Value::Null)
    );
    world
        .metrics_say(&[
            "baton_handoffs_total{result=\"transferred\",reason=\"\"} 1",
            "baton_calls_ended_total{by=\"transfer\"} 1",
        ])
        .await;
    assert!(world.human.signals.try_recv().is_err(), "we call nobody");
    // Now the human answers, and looks at what its phone was given.
    let path = context_path(&handoff, &info);
    let asked = world.without_a_key(&path).await;
    assert_eq!(asked.status(), StatusCode::OK);
    let shown: Value = serde_json::from_str(&asked.text().await.expect("a body")).expect("JSON");
    assert_eq!(shown["transcript"][0]["text"], "my order is late");
    let guessed = world.without_a_key(&format!("{path}0")).await;
    assert_eq!(guessed.status(), StatusCode::UNAUTHORIZED);
    world.nothing_is_left().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn where_the_carrier_does_not_connect_the_caller_we_do_and_the_record_says_why() {
    for (carrier, failed) in [
        (Carrier::Refuses, json!({ "reason": "refer_refused", "status": 603 })),
        (
            Carrier::SaysNothingMore,
            json!({ "reason": "refer_timeout", "status": null }),
        ),
    ] {
        let mut world = a_world_where(carrier).await;
        let handoff = world
            .ask_for_a_human(json!({ "mode": "cold", "reason": "asked for a human" }))
            .await;
        world.is_joined().await;
        world.events(&handoff, "baton.handoff.completed").await;
        assert_eq!(world.data["result"], "joined");
        let record = world.record(&handoff).await;
        assert_eq!((&record["result"], &record["reason"]), (&json!("joined"), &Value::Null));
        let tried = &record["failed_targets"][0];
        assert_eq!(
            (&tried["target"], &tried["reason"], &tried["status"]),
            (&json!("support"), &failed["reason"], &failed["status"]),
            "{carrier:?}"
        );
        // A REFER of which nothing more is heard is remembered for longer than a test wants to wait.
        world.hang_up().await;
        world.stop().await;
    }
}

/// The caller's carrier has taken our REFER. Says for which handoff, and what its Refer-To has for Call-Info.
async fn referring(carrier: Carrier) -> (World, String, String) {
    let mut world = a_world_where(carrier).await;
    let path = format!("/v1/calls/{}/turns", world.call);
    let turn = json!({ "role": "caller", "text": "my order is late" });
    assert_eq!(world.post(OWN, &path, turn).await.0, StatusCode::OK);
    let handoff = world
        .ask_for_a_human(json!({ "mode": "cold", "reason": "asked for a human" }))
        .await;
    let Signal::Referred(to) = world.caller.next().await else {
        panic!("no REFER came")
    };
    let ReferTo(to) = ReferTo::parse(&to).expect("an address");
    let info = to.uri.header("Call-Info").expect("a Call-Info");
    (world, handoff, info)
}

/// Where the Call-Info leads.
fn context_path(handoff: &str, info: &str) -> String {
    let url = info.strip_prefix('<').and_then(|info| info.split_once('>'));
    let (_, query) = url.and_then(|(url, _)| url.split_once('?')).expect("a token");
    format!("/v1/handoffs/{handoff}/context?{query}")
}

#[tokio::test(flavor = "multi_thread")]
async fn the_context_goes_out_with_the_refer_and_is_asked_for_with_its_token() {
    let (mut world, handoff, info) = referring(Carrier::Waits).await;
    let types = world.events(&handoff, "baton.handoff.requested").await;
    assert_eq!(types.len(), 1);
    let context = world.data["context"].clone();
    assert_eq!(context["transcript"][0]["text"], "my order is late");
    assert_eq!(world.record(&handoff).await["context"], context);

    // Without a key: the token opens it, as long as the carrier is at it.
    let path = context_path(&handoff, &info);
    let asked = world.without_a_key(&path).await;
    assert_eq!(asked.status(), StatusCode::OK);
    let shown: Value = serde_json::from_str(&asked.text().await.expect("a body")).expect("JSON");
    assert_eq!(shown, context);

    // We call the target ourselves: that is no second request, and the carrier has nothing to look for any more.
    world.caller.wish(Wish::Report(486));
    world.is_joined().await;
    let types = world.events(&handoff, "baton.handoff.completed").await;
    assert_eq!(
        types.first().map(String::as_str),
        Some("baton.context.updated"),
        "{types:?}"
    );
    assert!(!types.contains(&"baton.handoff.requested".to_owned()), "{types:?}");
    assert_eq!(
        world.data["failed_targets"],
        json!([{ "target": "support", "agent": null, "reason": "refer_refused", "status": 486 }])
    );
    // The human's own URL has another token.
    let late = world.without_a_key(&path).await;
    assert_eq!(late.status(), StatusCode::UNAUTHORIZED);
    world.end().await;
}

/// Whether a caller who leaves was transferred, only the carrier can say.
#[tokio::test(flavor = "multi_thread")]
async fn a_caller_who_left_and_was_not_transferred_is_told_of_by_webhook_record_and_metrics() {
    for (carrier, reason) in [
        (Carrier::Waits, "refer_refused"),
        (Carrier::SaysNothingMore, "refer_timeout"),
    ] {
        let (mut world, handoff, _) = referring(carrier).await;
        world.events(&handoff, "baton.handoff.requested").await;
        world.caller.wish(Wish::HangUp);
        world.caller.until(&Signal::Over).await;
        world.ai.until(&Signal::Bye).await;
        if matches!(carrier, Carrier::Waits) {
            world.caller.wish(Wish::Report(486));
        }
        world.events(&handoff, "baton.handoff.failed").await;
        assert_eq!(
            (&world.data["result"], &world.data["reason"]),
            (&json!("abandoned"), &json!(reason))
        );
        let record = world.record(&handoff).await;
        assert_eq!(
            (&record["state"], &record["result"], &record["reason"]),
            (&json!("failed"), &json!("abandoned"), &json!(reason))
        );
        let line = format!("baton_handoffs_total{{result=\"abandoned\",reason=\"{reason}\"}} 1");
        world.metrics_say(&[&line]).await;
        assert!(
            world.human.signals.try_recv().is_err(),
            "we call nobody for who is gone"
        );
        world.stop().await;
    }
}
