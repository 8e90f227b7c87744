//! What came up: pairs of a call's state and an input, against the table that the machines give; and things that go on below it, of
//! which the machines hear nothing.

use std::collections::BTreeMap;

use calls::node::Pair;
use calls::table::{cannot_come, reachable};

use crate::scenario::Carriage;
use crate::world::{Who, Wire, World};

/// Its name, and whether it came up in a call.
type Below = (&'static str, fn(&World) -> bool);

/// What must come up below the machines in a run that is to show everything.
const BELOW: [Below; 16] = [
    ("a human joined a call that had to move for a port", |world| {
        is_joined(world) && world.scenario.pairs == 2 && world.node.moves().moved > 0
    }),
    ("a call moved from a worker that was too busy", |world| {
        world.scenario.pairs > 2 && world.node.moves().moved > 0
    }),
    ("a call moved twice", |world| world.node.moves().moved > 1),
    ("offers crossed with the caller", |world| {
        world.crossings().contains(&Who::Caller)
    }),
    ("offers crossed with the AI", |world| {
        world.crossings().contains(&Who::Ai)
    }),
    ("offers crossed with a human", |world| {
        let mut crossings = world.crossings().into_iter();
        crossings.any(|who| matches!(who, Who::Human(_)))
    }),
    ("a carrier took a REFER for our credentials", |world| {
        world.caller.credentials.contains(&true)
    }),
    ("a carrier did not take them, and we bridged", |world| {
        world.caller.credentials.contains(&false) && is_joined(world)
    }),
    ("a handoff over TCP alone", |world| {
        is_joined(world) && world.wire.iter().all(|wire| wire.tcp)
    }),
    ("a handoff over TCP and UDP", |world| {
        is_joined(world) && is_mixed(world)
    }),
    ("a handoff whose connections broke", |world| {
        is_joined(world) && world.tcp.broken > 0
    }),
    ("a message in pieces", |world| world.tcp.cut > 0),
    ("several messages at once", |world| world.tcp.joined > 0),
    ("a long message by TCP to who else has UDP", |world| {
        let long = |wire: &Wire| wire.tcp && wire.ours && wire.is("INVITE");
        !speaks_tcp(world) && world.wire.iter().any(long)
    }),
    ("a long message by UDP to who refuses TCP", |world| {
        world.scenario.carriages.long
            && world.scenario.carriages.of[2] == Carriage::Udp
            && world.humans.iter().any(|human| human.calls > 0)
    }),
    ("nobody there takes a connection", |world| {
        world.scenario.carriages.of.contains(&Carriage::Refused) && !world.wire.is_empty()
    }),
];

fn is_joined(world: &World) -> bool {
    world.step_at("joined").is_some()
}

fn is_mixed(world: &World) -> bool {
    let by = |tcp: bool| world.wire.iter().any(|wire| wire.tcp == tcp);
    by(true) && by(false)
}

fn speaks_tcp(world: &World) -> bool {
    let of = world.scenario.carriages.of;
    of.iter().any(|by| matches!(by, Carriage::Tcp | Carriage::Refused))
}

/// What of these came up in a call, each once.
pub fn below(world: &World) -> Vec<&'static str> {
    let came = BELOW.iter().filter(|(_, so)| so(world));
    came.map(|(what, _)| *what).collect()
}

/// What of these never came up.
pub fn missing(below: &BTreeMap<&'static str, u64>) -> Vec<String> {
    let never = BELOW.iter().filter(|(what, _)| !below.contains_key(what));
    never.map(|(what, _)| format!("never came up: {what}")).collect()
}

/// What is wrong with what came up in a run that is to visit every pair: each pair that the table calls reachable and that
/// never came, and each that came although the table says that it cannot.
pub fn faults(visited: &BTreeMap<Pair, u64>) -> Vec<String> {
    let never = reachable().into_iter().filter(|pair| !visited.contains_key(pair));
    let never = never.map(|(state, input)| format!("never visited: {state}, {input}"));
    never.chain(impossible(visited)).collect()
}

/// Pairs that came up although the table says that they cannot.
pub fn impossible(visited: &BTreeMap<Pair, u64>) -> impl Iterator<Item = String> {
    visited.keys().filter_map(|(state, input)| {
        let why = cannot_come(state, input)?;
        Some(format!("visited, though it cannot come ({why}): {state}, {input}"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_never_came_up_below_the_machines_is_named() {
        let mut below: BTreeMap<&str, u64> = BELOW.iter().map(|(what, _)| (*what, 1)).collect();
        assert_eq!(missing(&below), Vec::<String>::new());
        below.remove("a message in pieces");
        assert_eq!(missing(&below), ["never came up: a message in pieces"]);
    }

    #[test]
    fn a_pair_that_never_came_is_named_and_one_that_cannot_come_too() {
        let mut visited: BTreeMap<Pair, u64> = reachable().into_iter().map(|pair| (pair, 1)).collect();
        assert_eq!(faults(&visited), Vec::<String>::new());
        visited.remove(&("talking", "caller gone"));
        assert_eq!(faults(&visited), ["never visited: talking, caller gone"]);
        visited.insert(("talking", "caller gone"), 1);
        visited.insert(("connecting", "peer gone"), 1);
        let faults = faults(&visited);
        assert!(
            faults.len() == 1 && faults[0].starts_with("visited, though it cannot come ("),
            "{faults:?}"
        );
    }
}
