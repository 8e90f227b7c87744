//! Calls over TCP, and what becomes of them when their connections are cut.

use serde_json::json;

use crate::families::a_whole_call;
use crate::party::{Manner, Signal, Voice, Wish};
use crate::way::{FOUR, SIX, Way, has_ipv6};
use crate::world::{Plan, World, assert_evidence, warm};

#[tokio::test(flavor = "multi_thread")]
async fn a_call_and_its_handoff_run_over_tcp() {
    a_whole_call(Plan::all(Way::tcp(FOUR))).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn each_party_has_its_own_transport_and_family() {
    if has_ipv6() {
        a_whole_call(Plan {
            caller: Way::tcp(SIX),
            ai: Way::udp(FOUR),
            human: Way::tcp(FOUR),
            ..Plan::all(Way::udp(FOUR))
        })
        .await;
    }
}

/// When the parties drop their connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Moment {
    /// Caller and AI talk.
    Conversation,
    /// The human's phone rings.
    Ringing,
    /// The human has just answered: what it said may be on its way, or not.
    Answer,
    /// The human is briefed.
    Briefing,
    /// The human has just been accepted: the join is under way.
    Acceptance,
    /// Caller and human talk.
    Joined,
}

use Moment::{Acceptance, Answer, Briefing, Conversation, Joined, Ringing};

/// A call over TCP with its handoff, whose connections are all dropped at these moments; a call that nothing happens to but that.
async fn with_cuts_in(moments: &[Moment]) -> World {
    let manner = Manner::Rings;
    let plan = Plan::all(Way::tcp(FOUR));
    let mut world = World::with(Plan { manner, ..plan }).await;
    let cut = async |world: &World, moment| {
        if moments.contains(&moment) {
            let cut = [world.caller.cut().await, world.ai.cut().await, world.human.cut().await];
            let is_there = moments.len() > 1 || cut.iter().sum::<usize>() > 0;
            assert!(is_there, "no connection is there at {moment:?}");
        }
    };
    cut(&world, Conversation).await;
    world.caller.hears(Voice::Ai).await;
    world.ai.hears(Voice::Caller).await;

    let handoff = world.ask_for_a_human(warm()).await;
    let invited = Signal::Invited(Some(world.call.clone()), Some(handoff.clone()));
    assert_eq!(world.human.next().await, invited);
    world.events(&handoff, "baton.handoff.ringing").await;
    cut(&world, Ringing).await;
    world.caller.forget();
    world.caller.hears_a_prompt().await;
    world.human.wish(Wish::Answer);
    cut(&world, Answer).await;
    world.is_briefed(&handoff).await;
    cut(&world, Briefing).await;
    world.caller.forget();
    world.caller.hears_a_prompt().await;
    world.accept(&handoff).await;
    cut(&world, Acceptance).await;
    world.is_joined().await;
    cut(&world, Joined).await;
    world.caller.hears(Voice::Human).await;
    world.human.hears(Voice::Caller).await;

    world.events(&handoff, "baton.handoff.completed").await;
    let record = world.record(&handoff).await;
    assert_eq!(
        (&record["result"], &record["failed_targets"]),
        (&json!("joined"), &json!([]))
    );
    assert_evidence(&record, "caller");
    assert_evidence(&record, "human");
    world
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_cut_in_the_conversation_disturb_no_handoff() {
    with_cuts_in(&[Conversation]).await.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_cut_while_the_phone_rings_disturb_no_handoff() {
    with_cuts_in(&[Ringing]).await.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_cut_as_the_human_answers_disturb_no_handoff() {
    with_cuts_in(&[Answer]).await.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_cut_in_the_briefing_disturb_no_handoff() {
    with_cuts_in(&[Briefing]).await.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_cut_at_the_join_disturb_no_handoff() {
    with_cuts_in(&[Acceptance]).await.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_cut_again_and_again_disturb_no_handoff() {
    let every = [Conversation, Ringing, Answer, Briefing, Acceptance, Joined];
    with_cuts_in(&every).await.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_has_no_connection_any_more_is_told_of_the_end_on_a_new_one() {
    let mut world = with_cuts_in(&[Joined]).await;
    world.hang_up_by_the_api().await;
    world.caller.until(&Signal::Bye).await;
    world.human.until(&Signal::Bye).await;
    world.nothing_is_left().await;
}
