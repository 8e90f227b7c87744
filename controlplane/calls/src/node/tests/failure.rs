//! Targets that are not reached, do not take the call or leave; a caller who leaves.

use super::*;

#[test]
fn every_refusal_tries_the_next_target_and_then_gives_the_caller_back() {
    for (status, reason, prompt) in [
        (486, Reason::Busy, "play(busy)"),
        (600, Reason::Busy, "play(busy)"),
        (480, Reason::NoAnswer, "play(no_answer)"),
        (403, Reason::Rejected, "play(failed)"),
        (603, Reason::Rejected, "play(failed)"),
        (404, Reason::Unreachable, "play(failed)"),
        (410, Reason::Unreachable, "play(failed)"),
        (500, Reason::Unreachable, "play(failed)"),
    ] {
        let mut world = World::talking();
        world.ask(Mode::Warm);
        world.reject(SALES, status);
        assert_eq!(world.hears("caller"), "play(announcement)", "{status}");
        world.ring(SUPPORT);
        world.reject(SUPPORT, status);
        assert_eq!(
            (world.hears("caller"), world.hears("ai")),
            (prompt.into(), "relay(caller)".into())
        );
        assert_eq!(world.closed(), Some((End::Failed, Outcome::ReturnedToAi, Some(reason))));
        world.played(0, 0);
        assert_eq!(world.hears("caller"), "relay(ai)");
        // Another one may be asked for.
        world.ask(Mode::Cold);
        world.answer(SALES);
        assert_eq!(world.hears("caller"), "relay(human)");
        world.hang_up(CALLER);
        world.conserve();
    }
}

#[test]
fn nobody_answers_and_no_phone_rings_on() {
    let mut world = World::talking();
    world.ask(Mode::Warm);
    world.ring(SALES);
    world.pass(Duration::from_millis(20_000));
    assert_eq!(world.peers[SALES].log, ["invite", "cancelled"]);
    world.ring(SUPPORT);
    world.pass(Duration::from_millis(20_000));
    assert_eq!(world.peers[SUPPORT].log, ["invite", "cancelled"]);
    assert_eq!(world.hears("caller"), "play(no_answer)");
    assert_eq!(
        world.closed(),
        Some((End::Failed, Outcome::ReturnedToAi, Some(Reason::NoAnswer)))
    );
    world.hang_up(AI);
    assert_eq!(world.peers[CALLER].log.last(), Some(&"bye"));
    world.conserve();
}

#[test]
fn a_briefed_human_can_decline_hang_up_or_do_nothing() {
    for way in ["key", "api", "hang up", "nothing"] {
        let mut config = config();
        config.playbook.usual.accept = Accept::Key;
        config.playbook.usual.targets = vec!["sales".to_owned()];
        let mut world = World::new(config);
        world.talk();
        let handoff = world.ask(Mode::Warm);
        world.answer(SALES);
        world.played(2, 0);
        world.digit(2, '5');
        assert_eq!(
            world.hears("caller"),
            "play(announcement)",
            "neither the briefing nor another key joins"
        );
        let reason = match way {
            "key" => {
                world.digit(2, '2');
                Reason::Declined
            }
            "api" => {
                world.request(Request::Decline(handoff)).unwrap();
                Reason::Declined
            }
            "hang up" => {
                world.hang_up(SALES);
                Reason::HumanHangup
            }
            _ => {
                world.pass(Duration::from_secs(31));
                Reason::Machine
            }
        };
        assert_eq!(
            world.closed(),
            Some((End::Failed, Outcome::ReturnedToAi, Some(reason))),
            "{way}"
        );
        assert_eq!(world.hears("ai"), "relay(caller)");
        assert_eq!(world.leg(2), None);
        world.hang_up(CALLER);
        world.conserve();
    }
}

#[test]
fn without_an_ai_the_caller_is_told_goodbye() {
    let mut world = World::talking();
    world.ask(Mode::Warm);
    world.hang_up(AI);
    assert_eq!(
        world.hears("caller"),
        "play(announcement)",
        "nothing changes for the caller"
    );
    world.reject(SALES, 486);
    world.reject(SUPPORT, 486);
    assert_eq!(world.hears("caller"), "play(goodbye)");
    assert!(!world.peers[CALLER].log.contains(&"bye"));
    world.played(0, 0);
    assert_eq!(world.peers[CALLER].log.last(), Some(&"bye"));
    assert_eq!(
        world.closed(),
        Some((End::Failed, Outcome::Failed, Some(Reason::AiGone)))
    );
    world.conserve();
}

#[test]
fn the_human_s_phone_is_gone() {
    let mut world = World::talking();
    let id = world.id();
    let wish = HandoffRequest {
        mode: None,
        target: None,
        reason: String::new(),
        context: None,
        by_ai: false,
    };
    world
        .node
        .handle_request(world.now, Request::Handoff(id, wish))
        .unwrap();
    // Before anything comes back: the INVITEs bounce.
    world.node.handle_unreachable(world.now, address(SALES));
    world.node.handle_unreachable(world.now, address(SUPPORT));
    world.settle();
    let failed = world
        .notices
        .iter()
        .filter(|what| name(what) == "target_failed")
        .count();
    assert_eq!(failed, 2, "both are tried");
    assert_eq!(
        world.closed(),
        Some((End::Failed, Outcome::ReturnedToAi, Some(Reason::Unreachable)))
    );
    world.hang_up(CALLER);
    world.peers[SALES].endpoint = Endpoint::new(endpoint(address(SALES)));
    world.peers[SUPPORT].endpoint = Endpoint::new(endpoint(address(SUPPORT)));
    world.conserve();
}

#[test]
fn an_answer_that_cannot_be_used_is_a_failure() {
    let mut world = World::talking();
    world.ask(Mode::Warm);
    world.answer_strangely(SALES);
    assert_eq!(world.peers[SALES].log.last(), Some(&"bye"));
    assert_eq!(world.peers[SUPPORT].log, ["invite"], "the next target is tried");
    assert_eq!(world.hears("caller"), "play(announcement)");
    world.hang_up(CALLER);
    world.conserve();
}

#[test]
fn an_answer_that_crosses_our_cancel_is_ended_and_the_next_target_rings() {
    let mut world = World::talking();
    world.ask(Mode::Warm);
    world.ring(SALES);
    world.now += Duration::from_secs(20);
    world.node.handle_timeout(world.now);
    // The CANCEL is on its way; the human answers.
    world.answer(SALES);
    assert_eq!(world.peers[SALES].log.last(), Some(&"bye"));
    assert_eq!(world.peers[SUPPORT].log, ["invite"]);
    assert!(world.hears("caller").starts_with("play("));
    world.answer(SUPPORT);
    world.played(3, 0);
    assert_eq!(world.hears("caller"), "relay(human)");
    world.hang_up(CALLER);
    world.conserve();
}

#[test]
fn a_human_who_hangs_up_before_the_join_is_in_force_does_not_take_the_ai_along() {
    let mut world = World::talking();
    world.ask(Mode::Warm);
    world.played(0, 0);
    world.answer(SALES);
    world.answers = false;
    world.played(2, 0);
    let join = world.last.clone().unwrap();
    world.hang_up(SALES);
    // Too late: the caller's row has moved on.
    world.answer_media(join);
    world.settle();
    assert!(!world.story().contains(&"joined"));
    assert!(!world.peers[AI].log.contains(&"bye"));
    world.answers = true;
    let hold = world.last.clone().unwrap();
    world.answer_media(hold);
    world.settle();
    assert_eq!(
        (world.hears("caller"), world.leg(2)),
        ("play(hold)".into(), None),
        "no second announcement"
    );
    world.reject(SUPPORT, 486);
    assert_eq!(world.hears("ai"), "relay(caller)");
    world.hang_up(CALLER);
    world.conserve();
}

#[test]
fn a_human_who_accepts_and_sends_nothing_is_let_go_and_the_next_one_is_tried() {
    let mut world = World::talking();
    world.ask(Mode::Cold);
    world.played(0, 0);
    (world.answers, world.waits) = (false, true);
    world.answer(SALES);
    let Some(Command::Set {
        session,
        generation,
        spec,
    }) = world.last.clone()
    else {
        panic!("no set")
    };
    let patience = spec.legs.iter().map(|leg| leg.hears.patience);
    assert_eq!(patience.max(), Some(Duration::from_secs(5)));
    // It is asked again and again whether it still waits, for the same.
    world.commands.clear();
    world.pass(Duration::from_secs(5));
    assert_eq!(world.commands.len(), 10);
    let same = Command::Set {
        session,
        generation,
        spec,
    };
    assert!(world.commands.iter().all(|command| *command == same));
    assert_eq!(world.story().last(), Some(&"accepted"));
    world.commands.truncate(1);
    world.answers = true;
    world.refuse_media(Refusal::Silent);
    assert_eq!(world.peers[SALES].log.last(), Some(&"bye"));
    assert_eq!(world.failed().map(|(reason, _)| reason), Some(Reason::Unreachable));
    assert_eq!(world.peers[SUPPORT].log, ["invite"]);
    assert!(!world.peers[AI].log.contains(&"bye"));
    assert_eq!(world.hears("caller"), "play(hold)");
    world.hang_up(CALLER);
    world.conserve();
}

#[test]
fn the_caller_hangs_up_in_each_state_of_a_handoff() {
    for state in ["inviting", "ringing", "briefing", "joining"] {
        let mut world = World::talking();
        world.ask(Mode::Warm);
        if state != "inviting" {
            world.ring(SALES);
        }
        if matches!(state, "briefing" | "joining") {
            world.answer(SALES);
        }
        if state == "joining" {
            world.answers = false;
            world.played(2, 0);
        }
        world.hang_up(CALLER);
        world.answers = true;
        world.pass(Duration::from_secs(2));
        let end = world.peers[SALES].log.last().copied();
        assert_eq!(
            end,
            Some(if matches!(state, "inviting" | "ringing") {
                "cancelled"
            } else {
                "bye"
            }),
            "{state}"
        );
        assert_eq!(world.peers[AI].log.last(), Some(&"bye"));
        assert_eq!(
            world.closed(),
            Some((End::Failed, Outcome::Abandoned, Some(Reason::CallerHangup)))
        );
        world.conserve();
    }
}
