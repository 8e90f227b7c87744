//! What came up: pairs of a call's state and an input, against the table that the machines give; and things that go on below it, of
//! which the machines hear nothing.

use std::collections::BTreeMap;

use calls::node::Pair;
use calls::notice::{Step, What};
use calls::table::{cannot_come, reachable};

use crate::scenario::Carriage;
use crate::world::{Who, Wire, World};

/// Its name, and whether it came up in a call.
type Below = (&'static str, fn(&World) -> bool);

/// What must come up below the machines in a run that is to show everything.
const BELOW: [Below; 23] = [
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
    ("a caller was with the answering machine", |world| {
        world.step_at("voicemail").is_some()
    }),
    ("a caller was told when it will be called back", |world| {
        world.step_at("callback").is_some()
    }),
    ("a human joined behind a machine that failed", |world| {
        failed_before(world, true)
    }),
    ("a machine had a caller behind a human who failed", |world| {
        failed_before(world, false)
    }),
    ("a human joined and the caller had been told all", |world| {
        let told = world.step_at("disclosed").zip(world.step_at("joined"));
        told.is_some_and(|(disclosed, joined)| disclosed <= joined)
    }),
    ("the first of several agents had the caller", |world| {
        answered_of_several(world).is_some()
    }),
    ("another agent's answer came too late", |world| {
        answered_of_several(world).is_some_and(|answers| answers > 1)
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

/// Whether whoever failed before a join was a machine and who joined a human, or the other way round.
fn failed_before(world: &World, machine: bool) -> bool {
    let is = |target: &str| (0..3).any(|n| target == format!("human-{n}") && world.scenario.machines[n].is_some());
    let mut failed = false;
    world.notices.iter().any(|notice| {
        let What::Handoff(_, step) = &notice.what else {
            return false;
        };
        match step {
            Step::Requested { .. } => failed = false,
            Step::TargetFailed { target, .. } => failed |= is(target) == machine,
            Step::Joined { .. } => return failed && machine,
            Step::Machine { .. } => return failed && !machine,
            _ => {}
        }
        false
    })
}

/// How many of those answered who were called at a time.
fn answered_of_several(world: &World) -> Option<usize> {
    let groups = world.groups();
    let group = groups
        .values()
        .find(|group| group.len() > 1 && world.first_answer(group).is_some())?;
    let answered = |call_id: &str| {
        let mut answers = world.wire.iter().filter(|wire| !wire.ours && wire.call_id == call_id);
        answers.any(|wire| wire.answers("INVITE") && wire.status == Some(200))
    };
    Some(group.iter().filter(|invite| answered(&invite.call_id)).count())
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
