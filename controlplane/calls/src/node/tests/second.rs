//! A second handoff: the human hands on.

use super::*;

/// Caller and the human of sales, with the window still open.
fn with_sales() -> World {
    let mut world = World::talking();
    world.ask(Mode::Cold);
    world.answer(SALES);
    assert_eq!(
        (world.hears("caller"), world.hears("human")),
        ("relay(human)".into(), "relay(caller)".into())
    );
    world
}

/// What each of two humans hears: who hands on, and who is reached.
fn humans(world: &World) -> Vec<String> {
    let (_, live) = world.node.registry.calls().next().expect("a call");
    let view = world.node.view(live);
    let humans = view.legs.into_iter().filter(|leg| leg.party == "human");
    humans.map(|leg| leg.hears).collect()
}

fn wish(by_ai: bool) -> HandoffRequest {
    HandoffRequest {
        mode: Some(Mode::Warm),
        target: Some("support".to_owned()),
        reason: String::new(),
        context: None,
        by_ai,
    }
}

fn last_closed(world: &World) -> (End, Outcome, Option<Reason>) {
    let mut closed = world.notices.iter().filter_map(|what| match what {
        What::Handoff(_, Step::Closed { end, result, reason }) => Some((*end, *result, *reason)),
        _ => None,
    });
    closed.next_back().expect("a closed handoff")
}

#[test]
fn a_human_hands_on_to_another_by_api_and_hears_hold_audio_meanwhile() {
    let mut world = with_sales();
    let first = world.notices.iter().find_map(|what| match what {
        What::Handoff(id, Step::Requested { .. }) => Some(*id),
        _ => None,
    });
    let (id, first) = (world.id(), first.unwrap());
    let taken = world.request(Request::Cancel(first)).unwrap_err();
    assert_eq!(taken, RequestError::WrongState("the human has taken the call".into()));
    world.request(Request::Handoff(id, wish(false))).unwrap();
    // The window of the first closes early, with its evidence; its handoff is complete.
    assert_eq!(world.closed(), Some((End::Completed, Outcome::Joined, None)));
    assert_eq!(
        world.request(Request::Accept(first)).unwrap_err(),
        RequestError::NoHandoff
    );
    assert_eq!(humans(&world)[0], "play(hold)");
    assert_eq!(world.hears("caller"), "play(announcement)");
    world.ring(SUPPORT);
    world.answer(SUPPORT);
    assert_eq!(humans(&world), ["play(hold)", "play(briefing)"]);
    world.answers = false;
    world.played(3, 0);
    assert!(!world.peers[SALES].log.contains(&"bye"));
    world.answers = true;
    let join = world.last.clone().unwrap();
    world.answer_media(join);
    world.settle();
    assert_eq!(world.peers[SALES].log.last(), Some(&"bye"));
    assert_eq!(
        (world.hears("caller"), humans(&world)),
        ("relay(human)".into(), vec!["relay(caller)".into()])
    );
    world.hang_up(CALLER);
    assert_eq!(world.peers[SUPPORT].log.last(), Some(&"bye"));
    let story = world.story();
    for step in ["requested", "joined", "evidence", "closed"] {
        assert_eq!(story.iter().filter(|name| **name == step).count(), 2, "{step}");
    }
    world.conserve();
}

#[test]
fn a_human_hands_on_by_refer() {
    let mut world = with_sales();
    world.refer(SALES, "sip:support", &[("X-Baton-Mode", "cold")]);
    world.ring(SUPPORT);
    assert_eq!(humans(&world)[0], "play(hold)");
    world.answer(SUPPORT);
    assert_eq!(world.told(SALES), ["202", "100", "180", "200."]);
    assert_eq!(world.peers[SALES].log.last(), Some(&"bye"));
    assert_eq!(world.hears("caller"), "relay(human)");
    world.hang_up(SUPPORT);
    assert_eq!(world.peers[CALLER].log.last(), Some(&"bye"));
    world.conserve();
}

#[test]
fn the_caller_goes_back_to_the_human_who_handed_on_or_is_told_goodbye() {
    for leaves in [false, true] {
        let mut world = with_sales();
        world.refer(SALES, "sip:support", &[]);
        world.ring(SUPPORT);
        if leaves {
            world.hang_up(SALES);
            assert_eq!(world.hears("caller"), "play(announcement)");
        }
        world.reject(SUPPORT, 486);
        if leaves {
            assert_eq!(world.hears("caller"), "play(goodbye)");
            world.played(0, 0);
            assert_eq!(world.peers[CALLER].log.last(), Some(&"bye"));
            let expected = (End::Failed, Outcome::Failed, Some(Reason::HumanHangup));
            assert_eq!(last_closed(&world), expected);
        } else {
            assert_eq!(
                (world.hears("caller"), humans(&world)),
                ("play(busy)".into(), vec!["relay(caller)".into()])
            );
            let expected = (End::Failed, Outcome::ReturnedToHuman, Some(Reason::Busy));
            assert_eq!(last_closed(&world), expected);
            world.played(0, 0);
            assert_eq!(world.hears("caller"), "relay(human)");
            world.hang_up(SALES);
            assert_eq!(world.peers[CALLER].log.last(), Some(&"bye"));
        }
        assert_eq!(world.told(SALES).last().map(String::as_str), Some("486."));
        world.conserve();
    }
}

#[test]
fn an_ai_that_has_left_triggers_nothing() {
    let mut world = with_sales();
    let id = world.id();
    let turn = Turn::new(Role::Caller, "A human, please");
    let answer = world.request(Request::Turns(id, vec![turn])).unwrap();
    assert!(matches!(answer, Response::Turns(TurnDecision::Continue, None)));
    let refused = world.request(Request::Handoff(id, wish(true))).unwrap_err();
    assert_eq!(refused, RequestError::WrongState("the call is with a human".into()));
    assert_eq!(
        (world.hears("caller"), world.peers[SUPPORT].log.len()),
        ("relay(human)".into(), 0)
    );
    world.hang_up(CALLER);
    world.conserve();
}
