//! A call in each of its states.

use super::*;

/// A call in each state with a live dialog of the caller.
pub(super) fn each_state() -> Vec<(&'static str, World)> {
    let state = |name: &'static str| {
        let mut world = World::talking();
        if name == "talking" {
            return (name, world);
        }
        world.ask(Mode::Warm);
        match name {
            "inviting" => {}
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
        if name == "handed off" {
            world.played(2, 0);
        }
        (name, world)
    };
    let names = [
        "talking",
        "inviting",
        "ringing",
        "briefing",
        "handed off",
        "returned",
        "goodbye",
    ];
    names.map(state).into()
}

/// Who has a dialog with us in a state, besides the caller: as a host and as a leg.
pub(super) fn others(state: &str) -> &'static [(usize, u16)] {
    match state {
        "talking" | "inviting" | "ringing" | "returned" => &[(AI, 1)],
        "briefing" => &[(AI, 1), (SALES, 2)],
        "handed off" => &[(SALES, 2)],
        _ => &[],
    }
}

/// What everybody hears; whether it has to be transcoded is another matter.
pub(super) fn rows(world: &World) -> Vec<String> {
    ["caller", "ai", "human"]
        .map(|party| world.hears(party).replace("transcode", "relay"))
        .into()
}
