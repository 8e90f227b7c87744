//! A server whose workers are as busy as its budget allows.

use std::time::Duration;

use reqwest::StatusCode;
use tokio::time::{sleep, timeout};

use crate::PATIENCE;
use crate::drain::ask;
use crate::party::{Carrier, Signal, Voice, Wish};
use crate::way::{FOUR, Way};
use crate::world::{Plan, World, assert_evidence, warm};

/// A running call uses more of its core, an idle worker nothing.
const LOW: &str = "[budget]\ncore_share = 0.0003\nus_per_packet = 1\n";

async fn until_it_is(world: &World, full: bool) {
    let line = format!("baton_worker_full{{worker=\"0\"}} {}", u8::from(full));
    let is = async {
        while !world.get("/metrics").await.lines().any(|one| one == line) {
            sleep(Duration::from_millis(50)).await;
        }
    };
    timeout(PATIENCE, is).await.unwrap_or_else(|_| panic!("never {line}"));
}

#[tokio::test(flavor = "multi_thread")]
async fn above_its_budget_callers_are_refused_and_a_running_call_with_its_handoff_does_not_notice() {
    let plan = Plan::all(Way::udp(FOUR));
    let mut world = World::with(Plan { more: LOW, ..plan }).await;
    until_it_is(&world, true).await;
    for method in ["INVITE", "OPTIONS"] {
        let answer = ask(world.sip, method).await;
        assert!(answer.starts_with("SIP/2.0 503 "), "{answer}");
        assert!(answer.contains("\r\nRetry-After: 5\r\n"), "{answer}");
    }
    let ready = world.without_a_key("/readyz").await;
    assert_eq!(ready.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert!(ready.text().await.expect("a body").contains("budget.core_share"));
    assert_eq!(world.without_a_key("/healthz").await.status(), StatusCode::OK);
    world
        .metrics_say(&[
            "baton_calls_refused_total{reason=\"load\"} 1",
            "baton_worker_budget_ratio{worker=\"0\"} 0.0003",
            "baton_calls 1",
        ])
        .await;

    // Each party's line is one, packet by packet: it fails where one is missing.
    world.caller.hears(Voice::Ai).await;
    world.ai.hears(Voice::Caller).await;
    let handoff = world.ask_for_a_human(warm()).await;
    world.is_taken(&handoff).await;
    world.events(&handoff, "baton.handoff.completed").await;
    let record = world.record(&handoff).await;
    assert_evidence(&record, "caller");
    assert_evidence(&record, "human");
    until_it_is(&world, true).await;

    world.hang_up().await;
    until_it_is(&world, false).await;
    let ready = world.without_a_key("/readyz").await;
    assert_eq!(ready.status(), StatusCode::OK);
    world.caller.wish(Wish::Call(world.sip, Carrier::Refuses));
    world.ai.until(&Signal::Up).await;
    world.caller.hears(Voice::Ai).await;
    world.caller.wish(Wish::HangUp);
    world.caller.until(&Signal::Over).await;
    world.ai.until(&Signal::Bye).await;
    world.nothing_is_left().await;
}
