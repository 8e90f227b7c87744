//! Humans that do not take the call, or leave it: the caller hears why, and has the AI again.

use std::time::{Duration, Instant};

use sim::Sound::{self, Ai, Announcement, Briefing, Busy, Caller, Failed, Hold, NoAnswer};

use crate::world::{Human, Plan, World};

/// The human fails in some way; the caller is told so in speech, and talks with the AI again.
fn comes_back(mut world: World, handoff: &str, reason: &str, said: Sound) -> World {
    let record = world.outcome(handoff);
    assert_eq!(
        (&record["result"], &record["reason"]),
        (&"returned_to_ai".into(), &reason.into())
    );
    world.caller().party.hears(Ai);
    world.ai().party.hears(Caller);
    world.hang_up();
    world.caller().sipp.until("bye");
    world.ai().sipp.until("bye");

    let story = world.caller().party.story();
    // A refusal that comes at once leaves no time for the announcement.
    let middle: Vec<Sound> = story[1..story.len() - 1]
        .iter()
        .copied()
        .filter(|sound| ![Announcement, Hold].contains(sound))
        .collect();
    assert_eq!(
        (story[0], &middle[..], story[story.len() - 1]),
        (Ai, &[said][..], Ai),
        "{story:?}"
    );
    assert_eq!(world.ai().party.story(), [Caller]);
    world.assert_lines();
    world
}

fn refused(human_values: &'static [(&'static str, &'static str)], reason: &str, said: Sound) {
    let mut world = World::start(Plan {
        human: Human::Sipp("refuses"),
        human_values,
        ..Plan::default()
    });
    world.call();
    let handoff = world.hand_off("warm");
    let mut world = comes_back(world, &handoff, reason, said);
    assert_eq!(world.human().party.story(), []);
    world.end(&["caller", "ai", "human"]);
}

#[test]
fn a_human_who_is_busy_gives_the_caller_back_to_the_ai() {
    refused(&[("status", "486 Busy Here")], "busy", Busy);
}

#[test]
fn a_human_who_declines_gives_the_caller_back_to_the_ai() {
    refused(&[("status", "603 Decline")], "rejected", Failed);
}

#[test]
fn a_human_who_is_not_there_gives_the_caller_back_to_the_ai() {
    refused(&[("status", "480 Temporarily Unavailable")], "no_answer", NoAnswer);
}

#[test]
fn a_phone_that_rings_out_is_cancelled_and_the_caller_hears_hold_audio_until_then() {
    let mut world = World::start(Plan {
        ring_s: 2,
        ..Plan::default()
    });
    world.call();
    let handoff = world.hand_off("warm");
    world.human().sipp.until("invited");
    world.caller().party.hears(Hold);
    world.human().sipp.until("cancelled");
    let mut world = comes_back(world, &handoff, "no_answer", NoAnswer);
    assert_eq!(world.human().party.story(), []);
    world.end(&["caller", "ai", "human"]);
}

#[test]
fn a_human_who_says_nothing_at_all_is_unreachable() {
    let mut world = World::start(Plan {
        human: Human::Sipp("says_nothing"),
        // Timer B is 64 times T1 (RFC 3261 §17.1.1.2).
        t1_ms: 30,
        ..Plan::default()
    });
    world.call();
    let handoff = world.hand_off("warm");
    world.human().sipp.until("invited");
    world.caller().party.hears(Hold);
    let mut world = comes_back(world, &handoff, "unreachable", Failed);
    world.human().sipp.tell("INFO");
    world.end(&["caller", "ai", "human"]);
}

#[test]
fn a_human_who_hangs_up_in_the_briefing_gives_the_caller_back_to_the_ai() {
    let mut world = World::start(Plan {
        playbook: "accept = \"api\"",
        ..Plan::default()
    });
    world.call();
    let handoff = world.hand_off("warm");
    world.human().sipp.until("invited");
    world.human().sipp.tell("INFO");
    world.human().is_up();
    world.human().party.hears(Briefing);
    world.human().sipp.tell("INFO");
    let mut world = comes_back(world, &handoff, "human_hangup", Failed);
    assert_eq!(world.human().party.story(), [Briefing]);
    world.end(&["caller", "ai", "human"]);
}

#[test]
fn the_humans_phone_stops_ringing_when_the_caller_hangs_up() {
    let mut world = World::start(Plan::default());
    world.call();
    let handoff = world.hand_off("warm");
    world.human().sipp.until("invited");
    world.caller().party.hears(Hold);
    let before = Instant::now();
    world.caller().sipp.tell("INFO");
    world.human().sipp.until("cancelled");
    assert!(before.elapsed() < Duration::from_secs(1) + 2 * world.longest_stall());
    world.ai().sipp.until("bye");
    let record = world.outcome(&handoff);
    assert_eq!(
        (&record["result"], &record["reason"]),
        (&"abandoned".into(), &"caller_hangup".into())
    );
    world.end(&["caller", "ai", "human"]);
}
