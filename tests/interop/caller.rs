//! What a caller's side may do besides talking.

use sim::Sound::Caller;

use crate::world::{Plan, World};

#[test]
fn a_caller_who_gives_up_while_the_ai_rings_leaves_no_phone_ringing() {
    let mut world = World::start(Plan {
        ai: "rings_until_told",
        ..Plan::default()
    });
    world.dial("calls_then_cancels", &[]);
    world.ai().sipp.until("invited");
    world.caller().sipp.until("ringing");
    world.caller().sipp.tell("INFO");
    world.ai().sipp.until("cancelled");
    world.end(&["caller", "ai"]);
}

#[test]
fn options_are_answered() {
    let mut world = World::start(Plan::default());
    world.dial("pings", &[]);
    world.caller().sipp.until("pong");
    world.end(&["caller"]);
}

#[test]
fn what_is_in_a_dialog_goes_by_the_proxy_that_recorded_its_route() {
    let mut world = World::start(Plan {
        proxy: true,
        ..Plan::default()
    });
    world.call();
    world.ai().party.hears(Caller);
    world.caller().sipp.tell("INFO");
    world.ai().sipp.until("bye");
    let seen = world.proxy.as_ref().expect("it is there").seen();
    assert_eq!(seen, ["INVITE", "ACK routed", "BYE routed"]);
    world.end(&["caller", "ai"]);
}
