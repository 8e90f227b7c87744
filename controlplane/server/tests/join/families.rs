//! Parties at addresses of both families: what they send each other passes through us, so nobody needs to know.

use serde_json::{Value, json};

use crate::party::Signal;
use crate::way::{FOUR, SIX, Way, has_ipv6};
use crate::world::{Plan, World, assert_evidence, warm};

/// A call and its warm handoff, from the first word to the last, by what each party hears.
/// The record of its handoff.
pub(crate) async fn a_whole_call(plan: Plan) -> Value {
    goes_on(World::with(plan).await).await
}

async fn goes_on(mut world: World) -> Value {
    let handoff = world.ask_for_a_human(warm()).await;
    let invited = Signal::Invited(Some(world.call.clone()), Some(handoff.clone()));
    assert_eq!(world.human.next().await, invited);
    world.is_taken(&handoff).await;
    world.events(&handoff, "baton.handoff.completed").await;
    assert_eq!(world.data["result"], "joined");
    let record = world.record(&handoff).await;
    assert_eq!(
        (&record["result"], &record["failed_targets"]),
        (&json!("joined"), &json!([]))
    );
    assert_evidence(&record, "caller");
    assert_evidence(&record, "human");
    world.end().await;
    record
}

/// As where a container forbids io_uring.
#[tokio::test(flavor = "multi_thread")]
async fn a_call_and_its_handoff_run_on_plain_epoll() {
    let media = "io = \"epoll\"";
    let plan = Plan {
        media,
        ..Plan::all(Way::udp(FOUR))
    };
    let world = World::with(plan).await;
    world
        .metrics_say(&["baton_worker_info{worker=\"0\",io=\"epoll\"} 1"])
        .await;
    goes_on(world).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_and_its_handoff_run_over_ipv6_alone() {
    if has_ipv6() {
        a_whole_call(Plan::all(Way::udp(SIX))).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn caller_and_human_over_ipv4_and_the_ai_over_ipv6_hear_each_other() {
    if has_ipv6() {
        let ai = Way::udp(SIX);
        a_whole_call(Plan {
            ai,
            ..Plan::all(Way::udp(FOUR))
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn caller_and_human_over_ipv6_and_the_ai_over_ipv4_hear_each_other() {
    if has_ipv6() {
        let ai = Way::udp(FOUR);
        a_whole_call(Plan {
            ai,
            ..Plan::all(Way::udp(SIX))
        })
        .await;
    }
}
