//! A call in each of its states.

use super::*;

/// A call in each state with a live dialog of the caller.
pub(super) fn each_state() -> Vec<(&'static str, World)> {
    let names = [
        "talking",
        "referring",
        "inviting",
        "ringing",
        "briefing",
        "joining",
        "handed off",
        "returned",
        "goodbye",
    ];
    names.map(|name| (name, in_state(name))).into()
}

fn in_state(name: &str) -> World {
    let mut config = config();
    config.trunks[0].refer = name == "referring";
    let mut world = World::new(config);
    world.talk();
    match name {
        "talking" => return world,
        "referring" => world.ask(Mode::Cold),
        _ => world.ask(Mode::Warm),
    };
    match name {
        "referring" | "inviting" => {}
        "ringing" => world.ring(SALES),
        "returned" => {
            world.reject(SALES, 486);
            world.reject(SUPPORT, 486);
        }
        "goodbye" => {
            world.hang_up(AI);
            world.reject(SALES, 486);
            world.reject(SUPPORT, 486);
        }
        _ => world.answer(SALES),
    }
    if name == "joining" {
        (world.answers, world.waits) = (false, true);
    }
    if matches!(name, "joining" | "handed off") {
        world.played(2, 0);
    }
    world
}

/// Who has a dialog with us in a state: as a host and as a leg. The caller always.
pub(super) fn parties(state: &str) -> &'static [(usize, u16)] {
    match state {
        "talking" | "referring" | "inviting" | "ringing" | "returned" => &[(CALLER, 0), (AI, 1)],
        "briefing" | "joining" => &[(CALLER, 0), (AI, 1), (SALES, 2)],
        "handed off" => &[(CALLER, 0), (SALES, 2)],
        _ => &[(CALLER, 0)],
    }
}

/// What everybody hears; whether it has to be transcoded is another matter.
pub(super) fn rows(world: &World) -> Vec<String> {
    ["caller", "ai", "human"]
        .map(|party| world.hears(party).replace("transcode", "relay"))
        .into()
}
