//! Callers that come: who is refused, and what a first exchange may be. A node that takes no more of them.

use super::*;

#[test]
fn a_stranger_is_refused_and_a_caller_waits_for_no_agent_in_vain() {
    let mut world = World::new(config());
    world.call(STRANGER);
    assert_eq!(world.peers[STRANGER].log, ["403"]);
    assert!(world.peers[AI].log.is_empty());
    world.call(CALLER);
    let invite = world.peers[AI].request.clone().unwrap();
    assert_eq!(
        invite.header("X-Baton-Call").unwrap(),
        world.id().to_string(),
        "the caller's own is not passed on"
    );
    world.reject(AI, 486);
    assert_eq!(world.peers[CALLER].log, ["480"]);
    assert!(world.notices.is_empty());
    world.conserve();

    world.call(CALLER);
    world.ring(AI);
    world.hang_up(CALLER);
    assert_eq!(world.peers[AI].log.last(), Some(&"cancelled"));
    world.conserve();
}

#[test]
fn a_full_house_is_refused_and_leaves_nothing() {
    let mut world = World::new(Config {
        workers: vec![vec![20_000]],
        ..config()
    });
    world.call(CALLER);
    assert_eq!(world.peers[CALLER].log, ["503"]);
    world.conserve();

    // No port for the human.
    let mut world = World::new(Config {
        workers: vec![vec![20_000, 20_002]],
        ..config()
    });
    world.talk();
    world.ask(Mode::Warm);
    assert!(world.peers[SALES].log.is_empty());
    assert_eq!(
        world.closed(),
        Some((End::Failed, Outcome::ReturnedToAi, Some(Reason::NoCapacity)))
    );
    assert_eq!(world.hears("caller"), "play(failed)");
    world.hang_up(CALLER);
    world.conserve();
}

#[test]
fn an_offer_that_does_not_fit_is_refused_and_changes_nothing() {
    let mut world = World::new(config());
    world.call_offering(CALLER, Some(STRANGE.into()));
    assert_eq!(world.peers[CALLER].log, ["488"]);
    world.conserve();

    world.peers[CALLER].log.clear();
    world.talk();
    let before = world.spec.clone();
    world.reinvite(CALLER, STRANGE);
    assert_eq!(world.peers[CALLER].log.last(), Some(&"reinvite refused"));
    assert_eq!(world.spec, before);
    world.hang_up(AI);
    assert_eq!(world.peers[CALLER].log.last(), Some(&"bye"));
    world.conserve();
}

#[test]
fn a_call_without_an_offer_is_offered_ours_and_ended_where_no_answer_comes() {
    let mut world = World::new(config());
    world.call_offering(CALLER, None);
    world.answer(AI);
    // The peer's endpoint acknowledges without an answer.
    assert_eq!(world.peers[CALLER].log, ["answered", "bye"]);
    assert_eq!(world.peers[AI].log.last(), Some(&"bye"));
    world.conserve();
}

#[test]
fn a_node_that_drains_takes_no_new_call_and_ends_none() {
    takes_no_new_call_and_ends_none(|world| world.node.drain());
}

#[test]
fn a_node_above_its_budget_takes_no_new_call_and_ends_none() {
    takes_no_new_call_and_ends_none(|world| world.measured(&[Some(0.9)]));
}

fn takes_no_new_call_and_ends_none(stop: fn(&mut World)) {
    let mut world = World::talking();
    stop(&mut world);
    let first = world.peers[CALLER].dialog;
    world.call(CALLER);
    assert_eq!(world.peers[CALLER].log.last(), Some(&"503"));
    assert_eq!(world.hears("caller"), "relay(ai)");
    world.peers[CALLER].dialog = first;
    world.hang_up(CALLER);
    world.conserve();
}

#[test]
fn a_node_that_drains_goes_on_with_its_calls_in_every_state() {
    goes_on_with_its_calls_in_every_state(|world| world.node.drain());
}

/// The human's leg of a handoff, of one that begins now as well, is part of a running call: it is admitted.
#[test]
fn a_node_above_its_budget_goes_on_with_its_calls_and_their_handoffs_in_every_state() {
    goes_on_with_its_calls_in_every_state(|world| world.measured(&[Some(0.9)]));
}

fn goes_on_with_its_calls_in_every_state(stop: fn(&mut World)) {
    for (name, mut world) in each_state() {
        let before = rows(&world);
        let dialog = world.peers[CALLER].dialog;
        stop(&mut world);
        world.call(CALLER);
        assert_eq!(world.peers[CALLER].log.last(), Some(&"503"), "{name}");
        world.peers[CALLER].dialog = dialog;
        assert_eq!(rows(&world), before, "{name}");
        assert_eq!(world.node.alive().calls, 1, "{name}");
        // What was begun comes to its end, with INVITEs of ours.
        match name {
            "talking" | "returned" => {
                world.ask(Mode::Cold);
                world.answer(SALES);
                assert_eq!(world.hears("caller"), "relay(human)", "{name}");
            }
            "inviting" | "ringing" => {
                world.reject(SALES, 486);
                world.answer(SUPPORT);
                world.played(3, 0);
                assert_eq!(world.hears("caller"), "relay(human)", "{name}");
            }
            "briefing" => {
                world.played(2, 0);
                assert_eq!(world.hears("caller"), "relay(human)", "{name}");
            }
            "referring" => {
                world.take_refer(CALLER);
                world.notify(CALLER, 486, true);
                world.answer(SALES);
                assert_eq!(world.hears("caller"), "relay(human)", "{name}");
            }
            "joining" => {
                world.answers = true;
                let join = world.last.clone().unwrap();
                world.answer_media(join);
                world.settle();
                assert_eq!(world.story().last(), Some(&"joined"), "{name}");
            }
            _ => {}
        }
        world.hang_up(CALLER);
        world.conserve();
    }
}
