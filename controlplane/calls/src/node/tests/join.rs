//! Handoffs that go well, and those that are taken back.

use super::*;

#[test]
fn a_warm_handoff_joins_caller_and_human_and_only_then_lets_the_ai_go() {
    let mut world = World::talking();
    let handoff = world.ask(Mode::Warm);
    assert_eq!(world.hears("caller"), "play(announcement)");
    assert_eq!(world.hears("ai"), "comfort");
    world.played(0, 0);
    assert_eq!(world.hears("caller"), "play(hold)");
    let invite = world.peers[SALES].request.clone().unwrap();
    assert_eq!(invite.header("X-Baton-Call").unwrap(), world.id().to_string());
    assert_eq!(invite.header("X-Baton-Handoff").unwrap(), handoff.to_string());
    assert_eq!(invite.from().unwrap().uri.as_str(), "sip:+4930123@carrier.example");
    let hex: String = handoff.to_string().bytes().map(|b| format!("{b:02x}")).collect();
    assert_eq!(invite.header("User-to-User").unwrap(), format!("{hex};encoding=hex"));
    let token = world.notices.iter().find_map(|what| match what {
        What::Handoff(_, Step::Invited { token, .. }) => Some(token.clone()),
        _ => None,
    });
    let url = format!(
        "<http://127.0.0.1:8080/v1/handoffs/{handoff}/context?token={}>;purpose=info",
        token.unwrap()
    );
    assert_eq!(invite.header("Call-Info").unwrap(), url);

    world.ring(SALES);
    world.answer(SALES);
    assert_eq!(
        (world.hears("caller"), world.hears("human")),
        ("play(hold)".into(), "play(briefing)".into())
    );
    assert_eq!(world.leg(2).unwrap().dtmf, Dtmf::Take);

    // The data plane has not answered yet: the AI stays.
    world.answers = false;
    world.played(2, 0);
    assert!(!world.peers[AI].log.contains(&"bye"));
    world.answers = true;
    let join = world.last.clone().unwrap();
    world.answer_media(join);
    world.settle();
    assert_eq!(world.peers[AI].log.last(), Some(&"bye"));
    assert_eq!(
        (world.hears("caller"), world.hears("human")),
        ("relay(human)".into(), "relay(caller)".into())
    );
    assert_eq!(world.leg(1), None);
    assert_eq!(world.leg(2).unwrap().dtmf, Dtmf::Relay);
    assert_eq!(world.spec.watch.unwrap().first_word_of, Some(LegId(2)));

    let (session, window) = (SessionId(world.id().0), world.spec.watch.unwrap().window);
    world.node.handle_media(
        world.now,
        Media::FirstWord {
            session,
            window,
            at: world.now,
        },
    );
    let listeners = [(LegId(0), Default::default()), (LegId(2), Default::default())]
        .into_iter()
        .collect();
    world.node.handle_media(
        world.now,
        Media::Evidence {
            session,
            window,
            listeners,
        },
    );
    world.settle();
    world.spec.watch = None;
    assert_eq!(world.closed(), Some((End::Completed, Outcome::Joined, None)));
    world.hang_up(CALLER);
    assert_eq!(world.peers[SALES].log.last(), Some(&"bye"));
    assert_eq!(
        world.story(),
        [
            "started",
            "requested",
            "invited",
            "announced",
            "ringing",
            "answered",
            "accepted",
            "joined",
            "first_human_word",
            "evidence",
            "closed",
            "ended"
        ]
    );
    world.conserve();
}

#[test]
fn a_cold_handoff_joins_at_the_answer() {
    let mut world = World::talking();
    world.ask(Mode::Cold);
    world.ring(SALES);
    assert_eq!(world.hears("caller"), "play(announcement)");
    world.answer(SALES);
    assert_eq!(
        (world.hears("caller"), world.hears("human")),
        ("relay(human)".into(), "relay(caller)".into())
    );
    world.hang_up(SALES);
    assert_eq!(world.peers[CALLER].log.last(), Some(&"bye"));
    assert_eq!(world.closed(), Some((End::Completed, Outcome::Joined, None)));
    world.conserve();
}

#[test]
fn a_caller_who_asks_for_a_human_is_handed_off_at_once() {
    let mut world = World::talking();
    let says = |text: &str| vec![Turn::new(Role::Caller, text)];
    let id = world.id();
    let answer = world.request(Request::Turns(id, says("hello"))).unwrap();
    assert!(matches!(answer, Response::Turns(TurnDecision::Continue, None)));
    let answer = world.request(Request::Turns(id, says("A human, please"))).unwrap();
    let Response::Turns(TurnDecision::Handoff { rule, because }, Some(handoff)) = answer else {
        panic!("no handoff")
    };
    assert_eq!((&*rule, &*because), ("explicit-request", "\"human\", turn 2"));
    assert_eq!(world.peers[SALES].log, ["invite"]);
    let again = HandoffRequest {
        mode: None,
        target: None,
        reason: String::new(),
        context: None,
        by_ai: false,
    };
    let running = world.request(Request::Handoff(id, again)).unwrap_err();
    assert_eq!(running, RequestError::Running(handoff));
    world
        .request(Request::Context(id, json!({"goal": "a refund"})))
        .unwrap();
    assert_eq!(world.story().last(), Some(&"context"));
    world.hang_up(CALLER);
    assert_eq!(world.peers[SALES].log.last(), Some(&"cancelled"));
    assert_eq!(world.peers[AI].log.last(), Some(&"bye"));
    assert_eq!(
        world.closed(),
        Some((End::Failed, Outcome::Abandoned, Some(Reason::CallerHangup)))
    );
    world.conserve();
}

#[test]
fn what_is_said_and_known_is_told_as_it_is_kept() {
    let mut world = World::talking();
    let id = world.id();
    let says = |text: &str| Turn::new(Role::Caller, text);
    let told = |world: &World| world.notices.last().expect("a notice").clone();
    for (first, words) in [(0, &["hello", "my order"][..]), (2, &["is late"])] {
        let turns: Vec<_> = words.iter().map(|text| says(text)).collect();
        world.request(Request::Turns(id, turns.clone())).unwrap();
        assert_eq!(told(&world), What::Turns { first, turns });
    }
    // Of what is refused nothing is kept, so nothing is told.
    let before = world.notices.len();
    let long = says(&"x".repeat(5000));
    world.request(Request::Turns(id, vec![says("so"), long])).unwrap_err();
    world.request(Request::Context(id, json!({"summary": 1}))).unwrap_err();
    assert_eq!(world.notices.len(), before);

    let patch = |patch| Request::Context(id, patch);
    world.request(patch(json!({"goal": "a refund"}))).unwrap();
    world.request(patch(json!({"intent": "refund"}))).unwrap();
    assert_eq!(
        told(&world),
        What::Context(json!({"goal": "a refund", "intent": "refund"}))
    );
    // So is what a wish for a handoff brings with it, before anything follows from it.
    let wish = HandoffRequest {
        mode: None,
        target: None,
        reason: String::new(),
        context: Some(json!({"goal": null})),
        by_ai: true,
    };
    let before = world.notices.len();
    world.request(Request::Handoff(id, wish)).unwrap();
    assert_eq!(world.notices[before], What::Context(json!({"intent": "refund"})));
    world.hang_up(CALLER);
    world.conserve();
}

#[test]
fn a_human_accepts_by_key_or_api() {
    for key in [true, false] {
        let mut config = config();
        config.playbook.usual.accept = Accept::Api;
        let mut world = World::new(config);
        world.talk();
        let handoff = world.ask(Mode::Warm);
        assert!(matches!(
            world.request(Request::Accept(handoff)),
            Err(RequestError::WrongState(_))
        ));
        world.answer(SALES);
        if key {
            world.digit(2, '1');
        } else {
            world.request(Request::Accept(handoff)).unwrap();
        }
        assert_eq!(world.hears("caller"), "relay(human)");
        world.hang_up(SALES);
        assert_eq!(
            world.request(Request::Accept(handoff)).unwrap_err(),
            RequestError::NoHandoff
        );
        world.conserve();
    }
}

#[test]
fn a_cancelled_handoff_gives_the_caller_back_without_a_word() {
    let mut world = World::talking();
    let handoff = world.ask(Mode::Warm);
    world.ring(SALES);
    world.request(Request::Cancel(handoff)).unwrap();
    assert_eq!(world.peers[SALES].log.last(), Some(&"cancelled"));
    assert_eq!(
        (world.hears("caller"), world.hears("ai")),
        ("relay(ai)".into(), "relay(caller)".into())
    );
    assert_eq!(world.closed(), Some((End::Cancelled, Outcome::ReturnedToAi, None)));
    world.hang_up(CALLER);
    world.conserve();
}

#[test]
fn an_ai_that_hangs_up_during_the_join_is_not_missed() {
    let mut world = World::talking();
    world.ask(Mode::Cold);
    world.answers = false;
    world.answer(SALES);
    let join = world.last.clone().unwrap();
    world.hang_up(AI);
    world.answers = true;
    world.answer_media(join);
    world.settle();
    assert!(world.story().contains(&"joined"));
    assert_eq!((world.hears("caller"), world.leg(1)), ("relay(human)".into(), None));
    world.hang_up(CALLER);
    assert_eq!(world.closed(), Some((End::Completed, Outcome::Joined, None)));
    world.conserve();
}

#[test]
fn the_same_seed_and_inputs_give_the_same_outputs() {
    let run = || {
        let mut world = World::talking();
        world.ask(Mode::Warm);
        world.reject(SALES, 486);
        world.answer(SUPPORT);
        world.hang_up(CALLER);
        (world.order.clone(), world.notices.len())
    };
    assert_eq!(run(), run());
}
