//! Handoffs as the API asks for them.

use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::party::{Manner, Signal, Voice};
use crate::world::{ADMIN, OWN, World, assert_evidence, warm};

#[tokio::test(flavor = "multi_thread")]
async fn a_warm_handoff_joins_caller_and_human_and_the_record_says_how() {
    let mut world = World::start(Manner::Answers).await;
    let handoff = world.ask_for_a_human(warm()).await;
    let invited = world.human.next().await;
    assert_eq!(
        invited,
        Signal::Invited(Some(world.call.clone()), Some(handoff.clone()))
    );
    world.human.until(&Signal::Up).await;
    let mut types = world.events(&handoff, "baton.handoff.answered").await;
    let (status, body) = world
        .post(ADMIN, &format!("/v1/handoffs/{handoff}/accept"), Value::Null)
        .await;
    assert_eq!(status, StatusCode::OK, "{body}");

    world.caller.hears(Voice::Human).await;
    world.human.hears(Voice::Caller).await;
    world.ai.until(&Signal::Bye).await;
    types.extend(world.events(&handoff, "baton.handoff.completed").await);
    assert_eq!(
        types,
        ["requested", "ringing", "answered", "accepted", "joined", "completed"]
            .map(|name| format!("baton.handoff.{name}"))
    );

    let record = world.record(&handoff).await;
    assert_eq!(
        (&record["state"], &record["result"], &record["reason"]),
        (&json!("completed"), &json!("joined"), &Value::Null)
    );
    let timeline = &record["timeline"];
    let times: Vec<f64> = [
        "triggered",
        "ringing",
        "answered",
        "accepted",
        "joined",
        "first_human_word",
    ]
    .map(|step| timeline[step].as_f64().unwrap_or_else(|| panic!("{step}: {timeline}")))
    .into();
    assert!(times.is_sorted(), "{timeline}");
    assert_evidence(&record, "caller");
    assert_evidence(&record, "human");
    assert_eq!(
        (&record["codecs"]["caller"], &record["codecs"]["human"]),
        (&json!("PCMU"), &json!("PCMU"))
    );
    world
        .metrics_say(&[
            "baton_calls 1",
            "baton_calls_started_total 1",
            "baton_handoffs_requested_total{trigger=\"api\",mode=\"warm\",target=\"support\"} 1",
            "baton_handoffs_total{result=\"joined\",reason=\"\"} 1",
            "baton_handoff_step_seconds_count{step=\"joined\"} 1",
        ])
        .await;
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_human_who_is_busy_leaves_the_caller_with_the_ai() {
    let mut world = World::start(Manner::IsBusy).await;
    world.caller.forget();
    let handoff = world.ask_for_a_human(warm()).await;
    assert!(matches!(world.human.next().await, Signal::Invited(Some(_), Some(_))));
    world.caller.hears_a_prompt().await;
    let types = world.events(&handoff, "baton.handoff.failed").await;
    assert_eq!(
        types,
        ["requested", "returned", "failed"].map(|name| format!("baton.handoff.{name}"))
    );
    let record = world.record(&handoff).await;
    assert_eq!(
        (&record["state"], &record["result"], &record["reason"]),
        (&json!("failed"), &json!("returned_to_ai"), &json!("busy"))
    );
    assert_eq!(
        record["failed_targets"],
        json!([{ "target": "support", "agent": null, "reason": "busy", "status": 486 }])
    );
    world.caller.hears(Voice::Ai).await;
    world.ai.hears(Voice::Caller).await;
    world
        .metrics_say(&["baton_handoffs_total{result=\"returned_to_ai\",reason=\"busy\"} 1"])
        .await;
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_ai_that_has_left_may_not_hand_off_and_a_human_who_tries_gets_the_caller_back() {
    let mut world = World::start(Manner::Answers).await;
    let handoff = world.ask_for_a_human(warm()).await;
    world.is_taken(&handoff).await;

    let path = format!("/v1/calls/{}/handoffs", world.call);
    let (status, problem) = world.post(OWN, &path, warm()).await;
    assert_eq!(status, StatusCode::CONFLICT, "{problem}");
    assert_eq!(problem["detail"], "the call is with a human");
    // What a caller says asks the AI for a human: it is kept, and begins nothing.
    let turn = json!({ "role": "caller", "text": "I want to speak to a human" });
    let turns = format!("/v1/calls/{}/turns", world.call);
    let (status, decided) = world.post(OWN, &turns, turn).await;
    assert_eq!((status, &decided["decision"]), (StatusCode::OK, &json!("continue")));

    world.caller.forget();
    let on = json!({ "mode": "warm", "reason": "a matter of sales", "target": "sales" });
    let second = world.ask_for_a_human(on).await;
    world.caller.hears_a_prompt().await;
    world.events(&second, "baton.handoff.returned").await;
    world.events(&second, "baton.handoff.failed").await;
    assert_eq!(
        (&world.data["result"], &world.data["reason"]),
        (&json!("returned_to_human"), &json!("busy"))
    );
    let record = world.record(&second).await;
    assert_eq!(
        (&record["state"], &record["result"], &record["reason"]),
        (&json!("failed"), &json!("returned_to_human"), &json!("busy"))
    );
    assert_eq!(world.record(&handoff).await["result"], "joined");
    world
        .metrics_say(&[
            "baton_handoffs_total{result=\"joined\",reason=\"\"} 1",
            "baton_handoffs_total{result=\"returned_to_human\",reason=\"busy\"} 1",
        ])
        .await;
    world.caller.hears(Voice::Human).await;
    world.human.hears(Voice::Caller).await;
    world.end().await;
}
