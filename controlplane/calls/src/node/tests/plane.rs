//! A data plane that refuses, is silent, or says what nobody asked for.

use media::command::Heard;

use super::*;

#[test]
fn a_silent_data_plane_ends_the_call_in_bounded_time() {
    let mut world = World::talking();
    world.answers = false;
    world.ask(Mode::Warm);
    let sets = |world: &World| world.order.iter().filter(|what| *what == "Set").count();
    let before = sets(&world);
    world.pass(Duration::from_millis(1_900));
    assert_eq!(sets(&world) - before, 3, "repeated three times");
    world.pass(Duration::from_secs(10));
    assert_eq!(world.peers[SALES].log.last(), Some(&"cancelled"));
    assert_eq!(world.peers[CALLER].log.last(), Some(&"bye"));
    assert_eq!(world.peers[AI].log.last(), Some(&"bye"));
    assert_eq!(
        world.closed(),
        Some((End::Failed, Outcome::Failed, Some(Reason::Error)))
    );
    world.conserve();
}

#[test]
fn a_worker_that_dies_in_a_join_is_missed_as_soon_as_in_any_other_scene() {
    for waited in [0, 3_000] {
        let mut world = World::talking();
        world.ask(Mode::Cold);
        (world.answers, world.waits) = (false, waited > 0);
        world.answer(SALES);
        world.pass(Duration::from_millis(waited));
        world.waits = false;
        world.pass(Duration::from_millis(1_999));
        assert_eq!(world.story().last(), Some(&"accepted"), "{waited}");
        world.pass(Duration::from_millis(1));
        assert_eq!(
            world.failed().map(|(reason, _)| reason),
            Some(Reason::Error),
            "{waited}"
        );
        assert_eq!(world.peers[SALES].log.last(), Some(&"bye"));
        // Neither the reason nor the AI can be given: the caller is let go.
        world.pass(Duration::from_secs(4));
        assert_eq!(world.peers[CALLER].log.last(), Some(&"bye"), "{waited}");
        assert_eq!(world.peers[AI].log.last(), Some(&"bye"), "{waited}");
        world.conserve();
        let closed = world.closed();
        assert_eq!(
            closed,
            Some((End::Failed, Outcome::Failed, Some(Reason::Error))),
            "{waited}"
        );
    }
}

#[test]
fn what_belongs_to_no_call_changes_nothing() {
    let mut world = World::talking();
    let session = SessionId(world.id().0);
    let sets = world.sets;
    for event in [
        Media::Ended { session: SessionId(1) },
        Media::Ended { session },
        Media::Played {
            session,
            leg: LegId(0),
            play: PlayId(77),
            item: 0,
            at: world.now,
        },
        Media::Digit {
            session,
            leg: LegId(0),
            digit: '1',
            at: world.now,
        },
        Media::Refused {
            session,
            generation: media::command::Generation(1),
            reason: Refusal::Port,
        },
    ] {
        world.node.handle_media(world.now, event);
    }
    world.settle();
    assert_eq!((world.sets, world.hears("caller")), (sets, "relay(ai)".into()));
    assert_eq!(
        world.request(Request::Cancel(HandoffId(1))).unwrap_err(),
        RequestError::NoHandoff
    );
    assert_eq!(
        world.request(Request::HangUp(CallId(1))).unwrap_err(),
        RequestError::NoCall
    );
    let id = world.id();
    world.request(Request::HangUp(id)).unwrap();
    assert_eq!(
        (world.peers[CALLER].log.last(), world.peers[AI].log.last()),
        (Some(&"bye"), Some(&"bye"))
    );
    world.conserve();
}

#[test]
fn what_the_data_plane_refuses_fails_in_the_caller_s_favour() {
    // No session: the caller is told so before anybody answers.
    let mut world = World::new(config());
    world.answers = false;
    world.call(CALLER);
    world.answers = true;
    world.refuse_media(Refusal::NoSession);
    assert_eq!(world.peers[CALLER].log, ["503"]);
    assert_eq!(world.peers[AI].log, ["invite", "cancelled"]);
    world.conserve();

    // No briefing: the human is let go, the caller goes back.
    let mut world = World::talking();
    world.ask(Mode::Warm);
    world.answers = false;
    world.answer(SALES);
    world.answers = true;
    world.refuse_media(Refusal::UnknownPrompt);
    assert_eq!(world.peers[SALES].log.last(), Some(&"bye"));
    assert_eq!(
        (world.hears("caller"), world.hears("ai")),
        ("play(failed)".into(), "relay(caller)".into())
    );
    assert_eq!(
        world.closed(),
        Some((End::Failed, Outcome::ReturnedToAi, Some(Reason::Error)))
    );
    world.hang_up(CALLER);
    world.conserve();
}

#[test]
fn a_refused_change_of_a_leg_keeps_the_rows_and_the_call_and_is_asked_for_again() {
    let mut world = World::talking();
    world.answers = false;
    let mut local = Local::new(address(CALLER).ip(), 41_000, &[Encoding::Pcma], 77);
    world.reinvite(CALLER, local.offer());
    let asked = |world: &World| match world.last {
        Some(Command::Set { generation, .. }) => generation.0,
        _ => panic!("no set"),
    };
    let first = asked(&world);
    let applied = world.node.config.deadlines.applied;
    for again in 1..=5 {
        world.refuse_media(Refusal::PacketTime);
        world.pass(applied);
        assert_eq!(asked(&world), first + again, "anew, not repeated");
    }
    world.answers = true;
    world.refuse_media(Refusal::PacketTime);
    world.pass(Duration::from_secs(10));
    assert_eq!(asked(&world), first + 6, "until it is in force");
    assert_eq!(world.leg(0).unwrap().format.codec, Codec::Pcma);
    for host in [CALLER, AI] {
        assert!(!world.peers[host].log.contains(&"bye"), "{:?}", world.peers[host].log);
    }
    // The call is as able as before.
    world.ask(Mode::Cold);
    world.answer(SALES);
    assert_eq!(world.leg(0).unwrap().hears.legs[..], [Heard::from(LegId(2))]);
    world.hang_up(CALLER);
    world.conserve();
}

#[test]
fn a_reason_that_cannot_be_played_is_left_out() {
    let mut world = World::with_one_target(Accept::Answer);
    world.ask(Mode::Warm);
    world.answers = false;
    world.reject(SALES, 486);
    world.answers = true;
    world.refuse_media(Refusal::UnknownPrompt);
    assert_eq!(
        (world.hears("caller"), world.hears("ai")),
        ("relay(ai)".into(), "relay(caller)".into())
    );
    assert_eq!(
        world.closed(),
        Some((End::Failed, Outcome::ReturnedToAi, Some(Reason::Busy)))
    );
    world.hang_up(CALLER);
    world.conserve();
}

#[test]
fn a_caller_who_can_be_given_nothing_is_let_go() {
    // Neither the reason nor the AI.
    let mut world = World::with_one_target(Accept::Answer);
    world.ask(Mode::Warm);
    world.answers = false;
    world.reject(SALES, 486);
    world.refuse_media(Refusal::UnknownPrompt);
    world.answers = true;
    world.refuse_media(Refusal::UnknownPrompt);
    assert_eq!(world.peers[CALLER].log.last(), Some(&"bye"));
    assert_eq!(world.peers[AI].log.last(), Some(&"bye"));
    let closed = world.closed();
    assert_eq!(closed, Some((End::Failed, Outcome::Failed, Some(Reason::Busy))));
    world.conserve();
}

#[test]
fn a_joined_call_goes_on_where_the_table_without_the_ai_is_refused() {
    let mut world = World::with_one_target(Accept::Answer);
    world.ask(Mode::Cold);
    world.answers = false;
    world.answer(SALES);
    let join = world.last.clone().unwrap();
    world.answer_media(join);
    world.settle();
    assert!(world.story().contains(&"joined"));
    world.answers = true;
    world.refuse_media(Refusal::UnknownPrompt);
    for host in [CALLER, SALES] {
        assert!(!world.peers[host].log.contains(&"bye"), "{host}");
    }
    // The rows of the join are in force still.
    assert_eq!(world.leg(0).unwrap().hears.legs[..], [Heard::from(LegId(2))]);
    assert_eq!(world.leg(2).unwrap().hears.legs[..], [Heard::from(LegId(0))]);
    world.hang_up(CALLER);
    assert_eq!(world.peers[SALES].log.last(), Some(&"bye"));
    assert_eq!(world.closed(), Some((End::Completed, Outcome::Joined, None)));
    world.conserve();
}

/// The hold audio is that of the target that was asked for; it does not begin anew when another one is tried.
#[test]
fn who_waits_for_a_target_hears_its_hold_audio() {
    for (own, heard) in [(Some(PromptId(6)), PromptId(6)), (None, PromptId(1))] {
        let mut config = config();
        config.targets[0].hold = own;
        config.targets[1].hold = Some(PromptId(5));
        let mut world = World::new(config);
        world.call(CALLER);
        world.answer(AI);
        world.ask(Mode::Warm);
        let plays = |world: &World| world.leg(0).unwrap().hears.play.clone().unwrap();
        let waits = plays(&world);
        assert_eq!((waits.queue.last(), waits.repeat_last), (Some(&heard), true));
        world.reject(SALES, 486);
        world.ring(SUPPORT);
        assert_eq!(plays(&world), waits);
        let (_, live) = world.node.registry.calls().next().expect("a call");
        let view = world.node.view(live);
        assert_eq!(view.legs[0].hears, "play(announcement)");
        world.hang_up(CALLER);
        world.conserve();
    }
}
