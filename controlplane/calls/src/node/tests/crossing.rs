//! What the machines never see: the node decides it alone.

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

#[test]
fn reinvites_of_every_kind_are_answered_in_every_state() {
    for (name, mut world) in each_state() {
        let before = world.hears("caller");
        let mut local = Local::new(address(CALLER).ip(), 41_000, &[Encoding::Pcma], 77);
        let moved: Bytes = local.offer().into();
        let strange =
            "v=0\r\no=- 1 1 IN IP4 10.0.0.10\r\ns=-\r\nc=IN IP4 10.0.0.10\r\nt=0 0\r\nm=audio 4000 RTP/AVP 3\r\n";
        for (offer, answer) in [
            (moved.clone(), "reinvite answered"),
            (strange.into(), "reinvite refused"),
            (moved, "reinvite answered"),
        ] {
            let peer = &mut world.peers[CALLER];
            peer.endpoint.reinvite(world.now, peer.dialog.unwrap(), offer).unwrap();
            world.settle();
            assert_eq!(world.peers[CALLER].log.last(), Some(&answer), "{name}");
        }
        assert_eq!(world.leg(0).unwrap().remote.unwrap().port(), 41_000, "{name}");
        let after = world.hears("caller").replace("transcode", "relay");
        assert_eq!(after, before.replace("transcode", "relay"), "{name}");
        world.hang_up(CALLER);
        world.conserve();
    }
}

#[test]
fn a_refused_change_of_a_leg_keeps_the_rows_and_the_call() {
    let mut world = World::talking();
    world.answers = false;
    let mut local = Local::new(address(CALLER).ip(), 41_000, &[Encoding::Pcma], 77);
    let peer = &mut world.peers[CALLER];
    let offer = local.offer().into();
    peer.endpoint.reinvite(world.now, peer.dialog.unwrap(), offer).unwrap();
    world.settle();
    let Some(Command::Set {
        session, generation, ..
    }) = world.last.clone()
    else {
        panic!("no set")
    };
    let refused = Media::Refused {
        session,
        generation,
        reason: Refusal::PacketTime,
    };
    world.node.handle_media(world.now, 0, refused);
    world.answers = true;
    world.pass(Duration::from_secs(10));
    for host in [CALLER, AI] {
        assert!(!world.peers[host].log.contains(&"bye"), "{:?}", world.peers[host].log);
    }
    // The call is as able as before.
    world.ask(Mode::Cold);
    world.answer(SALES);
    assert_eq!(world.leg(0).unwrap().hears.legs[..], [LegId(2)]);
    world.hang_up(CALLER);
    world.conserve();
}

#[test]
fn a_human_who_accepts_and_sends_nothing_is_let_go_and_the_next_one_is_tried() {
    let mut world = World::talking();
    world.ask(Mode::Cold);
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
    let refused = Media::Refused {
        session,
        generation,
        reason: Refusal::Silent,
    };
    world.node.handle_media(world.now, 0, refused);
    world.settle();
    assert_eq!(world.peers[SALES].log.last(), Some(&"bye"));
    let failed = world.notices.iter().find_map(|what| match what {
        What::Handoff(_, Step::TargetFailed { reason, .. }) => Some(*reason),
        _ => None,
    });
    assert_eq!(failed, Some(Reason::Unreachable));
    assert_eq!(world.peers[SUPPORT].log, ["invite"]);
    assert!(!world.peers[AI].log.contains(&"bye"));
    assert_eq!(world.hears("caller"), "play(hold)");
    world.hang_up(CALLER);
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
        let failed = world.notices.iter().find_map(|what| match what {
            What::Handoff(_, Step::TargetFailed { reason, .. }) => Some(*reason),
            _ => None,
        });
        assert_eq!(failed, Some(Reason::Error), "{waited}");
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
fn an_answer_that_cannot_be_used_is_a_failure() {
    let mut world = World::talking();
    world.ask(Mode::Warm);
    let peer = &mut world.peers[SALES];
    let strange = "v=0\r\no=- 1 1 IN IP4 10.0.0.12\r\ns=-\r\nc=IN IP4 10.0.0.12\r\nt=0 0\r\nm=audio 4000 RTP/AVP 3\r\n";
    peer.endpoint
        .answer(world.now, peer.dialog.unwrap(), strange.into(), &[])
        .unwrap();
    world.settle();
    assert_eq!(world.peers[SALES].log.last(), Some(&"bye"));
    assert_eq!(world.peers[SUPPORT].log, ["invite"], "the next target is tried");
    assert_eq!(world.hears("caller"), "play(announcement)");
    world.hang_up(CALLER);
    world.conserve();
}
