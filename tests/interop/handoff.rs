//! Handoffs that join, with sipp as caller, AI and human.

use sim::Sound::{self, Ai, Announcement, Briefing, Caller, Hold};

use crate::sipp::Transport;
use crate::world::{Plan, World};

/// A warm handoff: who hears what, from the first word to the last.
fn warm(plan: Plan) {
    let mut world = World::start(plan);
    world.call();
    let handoff = world.hand_off("warm");
    world.human().sipp.until("invited");
    world.caller().party.hears(Hold);
    world.until_state(&handoff, "ringing");

    world.human().sipp.tell("INFO");
    world.human().is_up();
    world.human().party.hears(Briefing);
    world.caller().party.hears(Sound::Human(0));
    world.human().party.hears(Caller);
    world.ai().sipp.until("bye");
    let record = world.outcome(&handoff);
    assert_eq!(record["result"], "joined");

    world.caller().sipp.tell("INFO");
    world.human().sipp.until("bye");
    assert_eq!(world.caller().party.story(), [Ai, Announcement, Hold, Sound::Human(0)]);
    assert_eq!(world.ai().party.story(), [Caller]);
    assert_eq!(world.human().party.story(), [Briefing, Caller]);
    world.assert_lines();
    world.end(&["caller", "ai", "human"]);
}

#[test]
fn a_warm_handoff_between_sipps_is_heard_by_all_as_it_should() {
    warm(Plan::default());
}

#[test]
fn a_warm_handoff_over_tcp_is_heard_by_all_as_it_should() {
    warm(Plan {
        transport: Transport::Tcp,
        ..Plan::default()
    });
}

#[test]
fn a_cold_handoff_between_sipps_joins_at_the_answer_without_a_briefing() {
    let mut world = World::start(Plan::default());
    world.call();
    let handoff = world.hand_off("cold");
    world.human().sipp.until("invited");
    world.caller().party.hears(Hold);
    world.human().sipp.tell("INFO");
    world.human().is_up();
    world.caller().party.hears(Sound::Human(0));
    world.human().party.hears(Caller);
    world.ai().sipp.until("bye");
    assert_eq!(world.outcome(&handoff)["result"], "joined");

    // This time the human hangs up.
    world.human().sipp.tell("INFO");
    world.caller().sipp.until("bye");
    assert_eq!(world.caller().party.story(), [Ai, Announcement, Hold, Sound::Human(0)]);
    assert_eq!(world.human().party.story(), [Caller]);
    world.assert_lines();
    world.end(&["caller", "ai", "human"]);
}

#[test]
fn an_ai_that_hangs_up_while_the_human_rings_changes_nothing_for_the_caller() {
    let mut world = World::start(Plan::default());
    world.call();
    let handoff = world.hand_off("warm");
    world.human().sipp.until("invited");
    world.caller().party.hears(Hold);
    world.ai().sipp.tell("INFO");
    world.ai().sipp.finish();
    world.caller().party.hears(Hold);
    world.human().sipp.tell("INFO");
    world.human().is_up();
    world.caller().party.hears(Sound::Human(0));
    world.human().party.hears(Caller);
    assert_eq!(world.outcome(&handoff)["result"], "joined");
    world.hang_up();
    assert_eq!(world.caller().party.story(), [Ai, Announcement, Hold, Sound::Human(0)]);
    world.assert_lines();
    world.end(&["caller", "human"]);
}
