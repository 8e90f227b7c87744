//! Targets that are machines of our own.

use super::*;
use crate::config::{Machine, Target};

/// Sales is one; a human would be waited for here in every way that there is.
fn world(machine: Machine) -> World {
    let mut config = config();
    config.targets[0].machine = Some(machine);
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
        let mut world = world(Machine::Voicemail);
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
    let mut world = world(Machine::Voicemail);
    world.ask(Mode::Warm);
    world.reject(SALES, 480);
    assert_eq!(world.failed(), Some((Reason::NoAnswer, Some(480))));
    world.answer(SUPPORT);
    assert_eq!(world.hears("human"), "play(briefing)");
    world.hang_up(CALLER);
    world.conserve();
}

/// It refuses, does not answer, or is joined and says nothing.
#[test]
fn behind_a_machine_that_failed_the_caller_is_told_all_that_it_is_told_before_a_human() {
    type Way = fn(&mut World);
    let ways: [Way; 3] = [
        |world| world.reject(SALES, 480),
        |world| world.pass(Duration::from_secs(20)),
        |world| {
            world.answers = false;
            world.answer(SALES);
            world.answers = true;
            world.refuse_media(Refusal::Silent);
        },
    ];
    for way in ways {
        let mut world = world(Machine::Voicemail);
        world.ask(Mode::Warm);
        assert_eq!(world.hears("caller"), "play(hold)");
        way(&mut world);
        assert_eq!(world.hears("caller"), "play(disclosure)");
        world.played(0, 0);
        assert_eq!(world.hears("caller"), "play(announcement)");
        world.played(0, 1);
        assert_eq!(world.hears("caller"), "play(hold)");
        let told = |name: &str| world.story().iter().filter(|step| **step == name).count();
        assert_eq!((told("disclosed"), told("announced")), (1, 1));
        assert_eq!(world.peers[SUPPORT].log, ["invite"]);
        world.hang_up(CALLER);
        world.conserve();
    }
}

/// What was begun before one is said to its end, and not again behind it.
#[test]
fn a_machine_between_two_humans_changes_nothing_of_what_is_said() {
    let mut config = config();
    config.targets[1].machine = Some(Machine::Voicemail);
    let third = Target {
        name: "third".to_owned(),
        machine: None,
        ..config.targets[0].clone()
    };
    config.targets.push(third);
    config.playbook.usual.targets.push("third".to_owned());
    config.prompts.disclosure = Some(PromptId(9));
    let mut world = World::new(config);
    world.talk();
    world.ask(Mode::Warm);
    world.reject(SALES, 486);
    assert_eq!(world.hears("caller"), "play(disclosure)");
    world.played(0, 0);
    world.reject(SUPPORT, 480);
    assert_eq!(world.hears("caller"), "play(announcement)");
    world.hang_up(CALLER);
    world.conserve();
}

/// Each of the two is told by the name of its own machine, also where the evidence of the first comes when the second has the caller.
#[test]
fn a_machine_whose_caller_goes_on_to_another_is_no_human_either() {
    let mut config = config();
    config.targets[0].machine = Some(Machine::Callback);
    config.targets[1].machine = Some(Machine::Voicemail);
    let mut world = World::new(config);
    world.talk();
    world.ask(Mode::Warm);
    world.answer(SALES);
    // Its evidence does not come: it is closed when all is over.
    world.spec.watch = None;
    world.ask(Mode::Warm);
    world.reject(SALES, 486);
    world.answer(SUPPORT);
    world.hang_up(SUPPORT);
    let closed = world.notices.iter().filter_map(|what| match what {
        What::Handoff(_, Step::Closed { result, .. }) => Some(*result),
        _ => None,
    });
    let closed: Vec<_> = closed.collect();
    assert_eq!(closed, [Outcome::Voicemail, Outcome::CallbackScheduled]);
    world.conserve();
}

#[test]
fn what_became_of_a_caller_who_is_told_when_it_will_be_called_back_is_told_when_it_has_left() {
    let mut world = world(Machine::Callback);
    world.ask(Mode::Warm);
    world.answer(SALES);
    let (session, window) = (SessionId(world.id().0), world.spec.watch.unwrap().window);
    let listeners = Default::default();
    world.spec.watch = None;
    let evidence = Media::Evidence {
        session,
        window,
        listeners,
    };
    world.node.handle_media(world.now, evidence);
    world.settle();
    // From now on it may say that it wants no call.
    assert_eq!(
        (&world.story()[5..], world.node.alive().handoffs),
        (&["callback", "evidence"][..], 1)
    );
    world.hang_up(SALES);
    assert_eq!(world.closed(), Some((End::Completed, Outcome::CallbackScheduled, None)));
    assert_eq!(world.story()[5..], ["callback", "evidence", "closed", "ended"]);
    assert!(matches!(world.notices.last(), Some(What::CallEnded { by }) if by == "callback"));
    world.conserve();
}
