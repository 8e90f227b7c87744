//! Keys in INFO, from and to sipp.

use sim::Sound::{self, Ai, Announcement, Briefing, Caller, Hold};

use crate::world::{Human, Plan, World};

#[test]
fn a_key_in_info_takes_the_call_and_another_one_reaches_a_caller_who_wants_it_so() {
    let mut world = World::start(Plan {
        human: Human::Sipp("answers_then_presses_keys"),
        trunk: "dtmf = \"info\"",
        playbook: "accept = \"key\"",
        ..Plan::default()
    });
    world.call_with("calls_then_is_told_a_key", &[]);
    let handoff = world.hand_off("warm");
    world.human().sipp.until("invited");
    world.human().is_up();
    world.human().party.hears(Briefing);
    world.caller().party.hears(Hold);
    world.human().sipp.tell("INFO");
    world.caller().party.hears(Sound::Human(0));
    world.human().party.hears(Caller);
    world.ai().sipp.until("bye");
    assert_eq!(world.outcome(&handoff)["result"], "joined");

    // Of the key that took the call the caller knows nothing: the first one that it is told is this.
    world.human().sipp.tell("INFO");
    assert_eq!(world.caller().sipp.until("key"), ["Signal=#"]);
    world.caller().sipp.tell("INFO");
    world.human().sipp.until("bye");
    assert_eq!(world.caller().party.story(), [Ai, Announcement, Hold, Sound::Human(0)]);
    world.assert_lines();
    world.end(&["caller", "ai", "human"]);
}
