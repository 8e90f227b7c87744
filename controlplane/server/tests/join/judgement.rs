//! Handoffs that nobody asks for but the playbook.

use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::party::{Manner, Signal};
use crate::way::{FOUR, Way};
use crate::world::{OWN, Plan, World};

#[tokio::test(flavor = "multi_thread")]
async fn a_turn_with_a_topic_hands_off_and_answer_record_webhook_and_stream_say_by_which_rule_and_why() {
    let mut plan = Plan::all(Way::udp(FOUR));
    plan.manner = Manner::IsBusy;
    plan.more = "[[playbook.rules]]\nname = \"money\"\ntopics = [\"billing\"]\nif = 'order.value > 500'\n";
    let mut world = World::with(plan).await;
    let turns = format!("/v1/calls/{}/turns", world.call);
    let said = json!([
        { "role": "caller", "text": "it is about my invoice", "topic": "billing" },
        { "role": "ai", "text": "let me see" },
    ]);
    let (status, decided) = world.post(OWN, &turns, said).await;
    assert_eq!((status, &decided["decision"]), (StatusCode::OK, &json!("continue")));
    let order = json!({ "fields": { "order": { "value": 800 } } });
    assert_eq!(world.patch(OWN, order).await, StatusCode::OK);

    let turn = json!({ "role": "caller", "text": "and what about the invoice?", "topic": "Billing" });
    let (status, decided) = world.post(OWN, &turns, turn).await;
    let because = "topic billing and order.value > 500, turn 3";
    assert_eq!(
        (status, &decided["decision"], &decided["rule"], &decided["because"]),
        (StatusCode::OK, &json!("handoff"), &json!("money"), &json!(because))
    );
    let handoff = decided["handoff"].as_str().expect("an id").to_owned();
    assert!(matches!(world.human.next().await, Signal::Invited(Some(_), Some(_))));

    let trigger = json!({ "rule": "money", "because": because });
    world.events(&handoff, "baton.handoff.requested").await;
    assert_eq!(world.data["trigger"], trigger, "the webhook");
    let stream = world.streamed("", "baton.handoff.requested").await;
    assert_eq!(stream["data"]["trigger"], trigger, "the stream");
    world.events(&handoff, "baton.handoff.failed").await;
    let record = world.record(&handoff).await;
    assert_eq!(
        (&record["trigger"], &record["requested_reason"]),
        (&trigger, &Value::from(format!("rule money: {because}")))
    );
    world
        .metrics_say(&["baton_handoffs_requested_total{trigger=\"rule\",mode=\"warm\",target=\"support\"} 1"])
        .await;
    world.stop().await;
}
