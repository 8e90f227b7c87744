//! A call goes to another media worker, with its parties.

use crate::party::Voice;
use crate::way::{FOUR, Way};
use crate::world::{Plan, World, assert_evidence, warm};

/// Each of two workers has ports for a call, and none for its human.
const TWO: &str = "workers = 2\n";

#[tokio::test(flavor = "multi_thread")]
async fn a_human_is_reached_by_a_port_of_another_worker_and_nobody_misses_a_packet() {
    let plan = Plan::all(Way::udp(FOUR));
    let mut world = World::with(Plan {
        media: TWO,
        pairs: 2,
        ..plan
    })
    .await;
    // Each party's line is one, packet by packet: it fails where one is missing.
    world.caller.hears(Voice::Ai).await;
    world.ai.hears(Voice::Caller).await;
    let handoff = world.ask_for_a_human(warm()).await;
    world.is_taken(&handoff).await;
    world
        .metrics_say(&[
            "baton_calls_moved_total{result=\"moved\"} 1",
            "baton_calls_moved_total{result=\"stayed\"} 0",
            "baton_worker_sessions{worker=\"0\"} 0",
            "baton_worker_sessions{worker=\"1\"} 1",
        ])
        .await;
    world.caller.hears(Voice::Human).await;
    world.human.hears(Voice::Caller).await;
    world.events(&handoff, "baton.handoff.completed").await;
    let record = world.record(&handoff).await;
    assert_evidence(&record, "caller");
    assert_evidence(&record, "human");
    world.end().await;
}
