//! REFER on a leg of ours: the AI, or a human, asks Baton to put somebody else in its place.

use sim::Sound::{self, Ai, Announcement, Briefing, Caller, Hold};

use crate::sipp::Transport;
use crate::world::{Human, Plan, World};

/// A target by its name, at our own address.
const SUPPORT: &[(&str, &str)] = &[("refer_to", "<sip:support@@baton@>")];

/// The AI has asked, and the human's phone rings.
fn referred(plan: Plan) -> World {
    let mut world = World::start(Plan {
        ai_values: SUPPORT,
        ..plan
    });
    world.call();
    world.ai().sipp.tell("INFO");
    world.ai().sipp.until("accepted");
    world.human().sipp.until("invited");
    world.caller().party.hears(Hold);
    world
}

/// The human answers; caller and human are joined.
fn answered(world: &mut World) {
    world.human().sipp.tell("INFO");
    world.human().is_up();
    world.human().party.hears(Briefing);
    world.caller().party.hears(Sound::Human(0));
    world.human().party.hears(Caller);
}

fn joined(mut world: World) {
    let handoff = world.newest_handoff();
    assert_eq!(world.outcome(&handoff)["result"], "joined");
    world.caller().sipp.tell("INFO");
    world.human().sipp.until("bye");
    assert_eq!(world.caller().party.story(), [Ai, Announcement, Hold, Sound::Human(0)]);
    assert_eq!(world.human().party.story(), [Briefing, Caller]);
    world.assert_lines();
    world.end(&["caller", "ai", "human"]);
}

/// What it was told, in order, and its BYE.
fn told(world: &mut World) -> Vec<String> {
    let facts = world.ai().sipp.facts();
    let after = facts.iter().position(|fact| fact == "accepted").expect("accepted") + 1;
    facts[after..].to_vec()
}

fn refers(transport: Transport) {
    let mut world = referred(Plan {
        transport,
        ai: "answers_then_refers",
        ..Plan::default()
    });
    assert_eq!(world.ai().sipp.until("notified"), ["100", "active"]);
    assert_eq!(world.ai().sipp.until("notified"), ["180", "active"]);
    answered(&mut world);
    world.ai().sipp.until("bye");
    let told = told(&mut world);
    assert_eq!(told[2..], ["notified 200 terminated", "bye"], "{told:?}");
    joined(world);
}

#[test]
fn an_ai_that_refers_is_told_100_180_200_and_only_then_let_go() {
    refers(Transport::Udp);
}

#[test]
fn an_ai_that_refers_over_tcp_is_told_100_180_200_and_only_then_let_go() {
    refers(Transport::Tcp);
}

#[test]
fn an_ai_that_answers_the_last_notify_late_gets_no_bye_before() {
    let mut world = referred(Plan {
        ai: "answers_then_refers_and_waits",
        t1_ms: 500,
        ..Plan::default()
    });
    answered(&mut world);
    while world.ai().sipp.until("notified")[1] != "terminated" {}
    // Time for a BYE that came too early: then its scenario fails.
    for _ in 0..3 {
        world.caller().party.hears(Sound::Human(0));
    }
    world.ai().sipp.tell("INFO");
    world.ai().sipp.until("bye");
    joined(world);
}

#[test]
fn an_ai_that_hangs_up_as_soon_as_its_refer_is_accepted_changes_nothing_for_the_caller() {
    let mut world = referred(Plan {
        ai: "answers_then_refers_and_leaves",
        ..Plan::default()
    });
    answered(&mut world);
    while world.ai().sipp.until("notified") != ["200", "terminated"] {}
    joined(world);
}

#[test]
fn a_busy_human_is_told_to_the_ai_that_referred_and_the_caller_comes_back_to_it() {
    let mut world = World::start(Plan {
        ai: "answers_then_refers",
        ai_values: SUPPORT,
        human: Human::Sipp("refuses"),
        human_values: &[("status", "486 Busy Here")],
        ..Plan::default()
    });
    world.call();
    world.ai().sipp.tell("INFO");
    world.ai().sipp.until("accepted");
    while world.ai().sipp.until("notified") != ["486", "terminated"] {}
    let handoff = world.newest_handoff();
    assert_eq!(world.outcome(&handoff)["reason"], "busy");
    world.caller().party.hears(Ai);
    world.ai().party.hears(Caller);
    world.hang_up();
    world.ai().sipp.until("bye");
    let story = world.caller().party.story();
    assert!(story.contains(&Sound::Busy) && story.last() == Some(&Ai), "{story:?}");
    world.assert_lines();
    world.end(&["caller", "ai", "human"]);
}

#[test]
fn a_refer_to_anybody_else_is_refused_and_the_call_goes_on() {
    let mut world = World::start(Plan {
        ai: "answers_then_refers_in_vain",
        ai_values: &[("refer_to", "<sip:+4990012345@toll.example>"), ("status", "403")],
        ..Plan::default()
    });
    world.call();
    world.ai().sipp.tell("INFO");
    world.ai().sipp.until("refused");
    world.caller().party.hears(Ai);
    world.ai().party.hears(Caller);
    world.caller().sipp.tell("INFO");
    world.ai().sipp.until("bye");
    assert_eq!(world.caller().party.story(), [Ai]);
    assert_eq!(world.human().sipp.facts(), [""; 0]);
    world.assert_lines();
    world.end(&["caller", "ai"]);
}

#[test]
fn a_human_hands_the_caller_on_to_another_human_by_refer() {
    let mut world = World::start(Plan {
        human: Human::Sipp("answers_then_refers"),
        human_values: &[("refer_to", "<sip:colleague@@baton@>")],
        colleague: Some("rings_until_told"),
        ..Plan::default()
    });
    world.call();
    let first = world.hand_off("cold");
    world.human().sipp.until("invited");
    world.human().is_up();
    world.caller().party.hears(Sound::Human(0));
    world.human().party.hears(Caller);
    assert_eq!(world.outcome(&first)["result"], "joined");
    world.ai().sipp.until("bye");

    world.human().sipp.tell("INFO");
    world.human().sipp.until("accepted");
    world.colleague().sipp.until("invited");
    world.caller().party.hears(Hold);
    world.colleague().sipp.tell("INFO");
    world.colleague().is_up();
    world.colleague().party.hears(Briefing);
    world.caller().party.hears(Sound::Human(1));
    world.colleague().party.hears(Caller);
    while world.human().sipp.until("notified") != ["200", "terminated"] {}
    world.human().sipp.until("bye");

    world.caller().sipp.tell("INFO");
    world.colleague().sipp.until("bye");
    let story = world.caller().party.story();
    assert_eq!((story[0], story[story.len() - 1]), (Ai, Sound::Human(1)), "{story:?}");
    assert_eq!(world.colleague().party.story(), [Briefing, Caller]);
    world.assert_lines();
    world.end(&["caller", "ai", "human", "colleague"]);
}
