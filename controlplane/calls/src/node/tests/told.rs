//! The caller is told of each failure at once: the data plane has the command before any time has passed.

use super::*;

/// Which prompt the data plane plays to the caller.
fn played_to_the_caller(world: &World) -> Option<PromptId> {
    let play = world.leg(0)?.hears.play.as_ref()?;
    play.queue.first().copied()
}

#[test]
fn the_caller_is_told_of_every_failure_at_once() {
    let prompts = config().prompts;
    type Way = (&'static str, PromptId, fn(&mut World));
    let ways: [Way; 12] = [
        ("busy", prompts.busy, |world| world.reject(SALES, 486)),
        ("rejected", prompts.failed, |world| world.reject(SALES, 603)),
        ("unreachable", prompts.failed, |world| world.reject(SALES, 404)),
        ("an answer that cannot be used", prompts.failed, |world| {
            world.answer_strangely(SALES)
        }),
        ("rings for too long", prompts.no_answer, |world| {
            world.ring(SALES);
            world.pass(Duration::from_secs(20));
        }),
        ("does not accept", prompts.no_answer, |world| {
            world.answer(SALES);
            world.pass(Duration::from_secs(30));
        }),
        ("declines", prompts.failed, |world| {
            world.answer(SALES);
            world.digit(2, '2');
        }),
        ("hangs up while it is briefed", prompts.failed, |world| {
            world.answer(SALES);
            world.hang_up(SALES);
        }),
        ("hangs up before the join", prompts.failed, |world| {
            world.answer(SALES);
            world.answers = false;
            world.digit(2, '1');
            world.answers = true;
            world.hang_up(SALES);
        }),
        ("the briefing is refused", prompts.failed, |world| {
            world.answers = false;
            world.answer(SALES);
            world.answers = true;
            world.refuse_media(Refusal::UnknownPrompt);
        }),
        ("the join is refused", prompts.failed, |world| {
            world.answer(SALES);
            world.answers = false;
            world.digit(2, '1');
            world.answers = true;
            world.refuse_media(Refusal::UnknownPrompt);
        }),
        ("nobody is left", prompts.goodbye, |world| {
            world.hang_up(AI);
            world.reject(SALES, 486);
        }),
    ];
    for (name, prompt, fails) in ways {
        let mut world = World::with_one_target(Accept::Key);
        world.ask(Mode::Warm);
        let before = world.now;
        fails(&mut world);
        let waited = world.now - before;
        // Nothing was waited for but the deadline that is the failure.
        assert!(
            [Duration::ZERO, Duration::from_secs(20), Duration::from_secs(30)].contains(&waited),
            "{name}: {waited:?}"
        );
        assert_eq!(played_to_the_caller(&world), Some(prompt), "{name}");
        world.hang_up(CALLER);
        world.conserve();
    }
}

#[test]
fn the_caller_is_told_when_nobody_was_reached_in_time() {
    let mut config = config();
    config.deadlines.reach = Duration::from_secs(15);
    let mut world = World::new(config);
    world.talk();
    world.ask(Mode::Warm);
    world.ring(SALES);
    world.pass(Duration::from_millis(14_999));
    assert_eq!(world.hears("caller"), "play(announcement)");
    world.pass(Duration::from_millis(1));
    assert_eq!(world.hears("caller"), "play(no_answer)");
    assert!(world.peers[SUPPORT].log.is_empty(), "no time is left for another one");
    world.hang_up(CALLER);
    world.conserve();
}

#[test]
fn a_carrier_that_fails_is_made_up_for_at_once_challenged_or_not() {
    // Nobody has credentials for a challenge here: it is a refusal like any other.
    for (status, challenge) in [
        (401, Some("WWW-Authenticate")),
        (407, Some("Proxy-Authenticate")),
        (401, None),
        (407, None),
        (603, None),
    ] {
        let mut config = config();
        config.trunks[0].refer = true;
        let mut world = World::new(config);
        world.talk();
        world.ask(Mode::Cold);
        let peer = &mut world.peers[CALLER];
        let (refer, _) = peer.asked.clone().expect("a REFER");
        peer.endpoint.reject_refer(world.now, refer, status).unwrap();
        let answer = peer.endpoint.poll_transmit().expect("the answer").bytes;
        let mut answer = String::from_utf8(answer.to_vec()).unwrap();
        if let Some(name) = challenge {
            let at = answer.find("\r\n").unwrap();
            let line = format!("\r\n{name}: Digest realm=\"carrier\", nonce=\"n\", algorithm=MD5, qop=\"auth\"");
            answer.insert_str(at, &line);
        }
        world.node.handle_datagram(world.now, address(CALLER), answer.into());
        world.settle();
        assert_eq!(world.peers[SALES].log, ["invite"], "{status}");
        assert_eq!(world.failed(), Some((Reason::ReferRefused, Some(status))));
        assert_eq!(world.hears("caller"), "play(announcement)");
        world.answer(SALES);
        assert_eq!(world.hears("caller"), "relay(human)");
        world.hang_up(CALLER);
        world.conserve();
    }
}
