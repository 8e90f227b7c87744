//! Targets that are our own answering machine.

use super::*;

/// Sales is one; a human would be waited for here in every way that there is.
fn world() -> World {
    let mut config = config();
    config.targets[0].machine = true;
    config.trunks[0].refer = true;
    config.prompts.disclosure = Some(PromptId(9));
    let usual = &mut config.playbook.usual;
    usual.accept = Accept::Key;
    (usual.acknowledged, usual.required_wait) = (true, Duration::from_secs(30));
    usual.ai_stays = Duration::from_secs(60);
    let mut world = World::new(config);
    world.talk();
    world
}

#[test]
fn a_machine_is_joined_at_its_answer_whatever_the_mode_and_is_no_human() {
    for mode in [Mode::Warm, Mode::Cold] {
        let mut world = world();
        world.ask(mode);
        // Nobody is announced who is not there, and no carrier is asked to reach what is ours.
        assert_eq!(world.hears("caller"), "play(hold)");
        assert!(!world.peers[CALLER].log.contains(&"refer"));
        world.answer(SALES);
        assert_eq!(
            (world.hears("caller"), world.hears("human")),
            ("relay(human)".into(), "relay(caller)".into())
        );
        assert_eq!(world.peers[AI].log.last(), Some(&"bye"));
        let (session, window) = (SessionId(world.id().0), world.spec.watch.unwrap().window);
        let at = world.now;
        world.node.handle_media(at, Media::FirstWord { session, window, at });
        world.settle();
        // The message is over.
        world.hang_up(SALES);
        assert_eq!(world.peers[CALLER].log.last(), Some(&"bye"));
        assert_eq!(world.closed(), Some((End::Completed, Outcome::Voicemail, None)));
        let by = world.notices.iter().find_map(|what| match what {
            What::CallEnded { by } => Some(by.as_str()),
            _ => None,
        });
        assert_eq!(by, Some("voicemail"));
        assert_eq!(
            world.story(),
            [
                "started",
                "requested",
                "invited",
                "answered",
                "accepted",
                "voicemail",
                "evidence",
                "closed",
                "ended"
            ]
        );
        world.conserve();
    }
}

#[test]
fn where_a_machine_takes_no_message_the_next_target_is_called_and_briefed() {
    let mut world = world();
    world.ask(Mode::Warm);
    world.reject(SALES, 480);
    assert_eq!(world.failed(), Some((Reason::NoAnswer, Some(480))));
    world.answer(SUPPORT);
    assert_eq!(world.hears("human"), "play(briefing)");
    world.hang_up(CALLER);
    world.conserve();
}
