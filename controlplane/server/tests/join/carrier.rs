//! Cold handoffs that the carrier is asked for by REFER.

use serde_json::{Value, json};

use crate::party::{Carrier, Signal};
use crate::way::{FOUR, Way};
use crate::world::{Plan, World};

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
    let mut world = a_world_where(Carrier::Connects).await;
    let handoff = world
        .ask_for_a_human(json!({ "mode": "cold", "reason": "asked for a human" }))
        .await;
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
        world.server.stop().await;
    }
}
