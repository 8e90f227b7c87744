//! Callers who are called back: by their trunk, and to a human at once when they answer.

use super::*;
use crate::config::Machine;
use crate::request::CallBack;
use playbook::decisions::{Change, Decision, PRIORITY_MAX, When};

/// Who called, and what was known, as the record of the first call has it.
fn promised(target: Option<&str>) -> CallBack {
    CallBack {
        trunk: "carrier".to_owned(),
        caller: "sip:+4930123@carrier.example".to_owned(),
        target: target.map(str::to_owned),
        humans: Vec::new(),
        reason: "wants a refund".to_owned(),
        context: json!({
            "schema": "baton.context/1",
            "fields": { "caller": "sip:+4930123@carrier.example", "goal": "a refund", "fields": { "order": 7 } },
            "transcript": [{ "role": "caller", "text": "I want my money back" }],
        }),
    }
}

impl World {
    fn call_back(&mut self, back: CallBack) -> Result<CallId, RequestError> {
        match self.request(Request::CallBack(Box::new(back)))? {
            Response::Calling(call) => Ok(call),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn a_caller_is_called_by_its_trunk_and_a_human_is_called_when_it_answers() {
    let mut world = World::new(config());
    let call = world.call_back(promised(None)).unwrap();
    let invite = world.peers[CALLER].request.clone().expect("an INVITE");
    assert_eq!(
        invite.uri().unwrap().unwrap().as_str(),
        format!("sip:+4930123@{}", address(CALLER))
    );
    assert_eq!(invite.from().unwrap().uri.as_str(), "sip:+4930111@baton.example");
    assert_eq!(invite.header("X-Baton-Call").unwrap(), call.to_string());
    world.ring(CALLER);
    world.pass(Duration::from_secs(20));
    assert!(
        world.peers[SALES].log.is_empty(),
        "nobody waits for a caller who does not answer"
    );
    assert!(world.story().is_empty());
    world.answer(CALLER);
    assert_eq!(world.hears("caller"), "play(called_back)");
    assert!(world.leg(0).unwrap().remote.is_some());
    let human = world.peers[SALES].request.clone().expect("an INVITE");
    assert_eq!(human.from().unwrap().uri.as_str(), "sip:+4930123@carrier.example");
    world.answer(SALES);
    assert_eq!(world.hears("caller"), "play(called_back)");
    world.played(1, 0);
    assert_eq!(world.hears("caller"), "relay(human)");
    assert_eq!(world.hears("human"), "relay(caller)");
    let started = world.notices.iter().find_map(|what| match what {
        What::CallStarted {
            trunk,
            ai_agent,
            caller,
        } => Some((trunk.clone(), ai_agent.clone(), caller.clone())),
        _ => None,
    });
    let caller = "sip:+4930123@carrier.example".to_owned();
    assert_eq!(started, Some(("carrier".to_owned(), String::new(), caller)));
    let package = world.notices.iter().find_map(|what| match what {
        What::Handoff(_, Step::Invited { package, .. }) => Some(package.clone()),
        _ => None,
    });
    let package = package.expect("a package");
    assert_eq!(package.fields["fields"]["order"], 7);
    assert_eq!(package.transcript[0].text, "I want my money back");
    assert!(package.completeness.complete, "{:?}", package.completeness);
    world.hang_up(CALLER);
    assert_eq!(world.peers[SALES].log.last(), Some(&"bye"));
    world.conserve();
}

/// Each way in which a caller is not there: no call has started, and nobody else was called.
#[test]
fn who_is_not_reached_is_told_once_with_its_status_and_nothing_is_left() {
    type Way = fn(&mut World);
    let ways: [(u16, Way); 5] = [
        (486, |world| world.reject(CALLER, 486)),
        (408, |world| {
            world.ring(CALLER);
            world.pass(Duration::from_secs(46));
            assert_eq!(world.peers[CALLER].log, ["invite", "cancelled"]);
        }),
        (488, |world| world.answer_strangely(CALLER)),
        (487, |world| {
            world.ring(CALLER);
            let call = world.id();
            world.request(Request::HangUp(call)).unwrap();
            assert_eq!(world.peers[CALLER].log, ["invite", "cancelled"]);
        }),
        (503, |world| world.pass(Duration::from_secs(5))),
    ];
    for (status, way) in ways {
        let mut world = World::new(config());
        world.answers = status != 503;
        world.call_back(promised(None)).unwrap();
        way(&mut world);
        let told: Vec<_> = world.notices.iter().collect();
        assert_eq!(told, [&What::NotReached { status }], "{status}");
        assert!(world.peers[SALES].log.is_empty());
        world.answers = true;
        world.conserve();
    }
}

#[test]
fn where_no_human_is_reached_the_caller_hears_goodbye_and_why_is_told() {
    let mut world = World::new(config());
    world.call_back(promised(Some("support"))).unwrap();
    world.answer(CALLER);
    assert!(world.peers[SALES].log.is_empty(), "it was promised to another");
    world.reject(SUPPORT, 486);
    assert_eq!(world.hears("caller"), "play(goodbye)");
    world.played(0, 0);
    assert_eq!(world.peers[CALLER].log.last(), Some(&"bye"));
    assert_eq!(world.closed(), Some((End::Failed, Outcome::Failed, Some(Reason::Busy))));
    let by = world.notices.iter().find_map(|what| match what {
        What::CallEnded { by } => Some(by.as_str()),
        _ => None,
    });
    assert_eq!(by, Some("baton"));
    world.conserve();
}

#[test]
fn decisions_may_name_it_and_it_comes_first_in_line_where_none_does() {
    let manner = |world: &World| {
        let (_, live) = world.node.registry.calls().next().expect("a call");
        (
            live.manner.priority,
            live.call.handoff().map(|handoff| handoff.target().name.clone()),
        )
    };
    let mut world = World::new(config());
    world.call_back(promised(None)).unwrap();
    world.answer(CALLER);
    assert_eq!(manner(&world), (PRIORITY_MAX, Some("sales".to_owned())));
    let because = world.notices.iter().find_map(|what| match what {
        What::Handoff(_, Step::Requested { trigger, why, .. }) => Some((trigger.clone()?.rule, why.clone())),
        _ => None,
    });
    assert_eq!(because, Some(("callback".to_owned(), "wants a refund".to_owned())));

    let mut world = World::new(about_callbacks());
    world.call_back(promised(None)).unwrap();
    world.answer(CALLER);
    assert_eq!(manner(&world), (3, Some("support".to_owned())));
}

/// A line of the matrix gives those who are called back to support.
fn about_callbacks() -> Config {
    let mut config = config();
    config.playbook.decisions = vec![Decision {
        name: "promised".to_owned(),
        when: When {
            rules: vec!["callback".to_owned()],
            ..When::default()
        },
        change: Change {
            targets: Some(vec!["support".to_owned()]),
            priority: Some(3),
            ..Change::default()
        },
    }];
    config.sounds = vec![Default::default()];
    config
}

#[test]
fn who_was_to_have_the_caller_when_it_was_promised_has_it_but_for_a_line_about_callbacks() {
    // Whether sales is called, and support.
    let called = |config: Config, humans: &[&str]| {
        let mut world = World::new(config);
        let humans = humans.iter().map(|name| (*name).to_owned()).collect();
        let back = CallBack {
            humans,
            ..promised(None)
        };
        world.call_back(back).unwrap();
        world.answer(CALLER);
        let called = [SALES, SUPPORT].map(|peer| !world.peers[peer].log.is_empty());
        world.hang_up(CALLER);
        world.conserve();
        called
    };
    assert_eq!(called(config(), &[]), [true, false]);
    assert_eq!(called(config(), &["support", "sales"]), [false, true]);
    assert_eq!(called(config(), &["gone", "support"]), [false, true]);
    assert_eq!(called(config(), &["gone"]), [true, false], "as the playbook says");
    // Whom the playbook does not name of itself is as good.
    let mut machines = config();
    machines.targets.push(machines.targets[0].clone());
    machines.targets[2].name = "line".to_owned();
    machines.targets[2].machine = Some(Machine::Callback);
    machines.playbook.usual.targets = vec!["line".to_owned()];
    assert_eq!(called(machines.clone(), &["support"]), [false, true]);
    // Who is for something else is not called for want of others.
    let mut world = World::new(machines);
    let refused = world.call_back(CallBack {
        humans: vec!["gone".to_owned()],
        ..promised(None)
    });
    assert!(matches!(refused, Err(RequestError::Invalid(_))), "{refused:?}");
    assert_eq!(called(about_callbacks(), &["sales"]), [false, true]);
    let mut silent = about_callbacks();
    silent.playbook.decisions[0].change.targets = None;
    assert_eq!(called(silent, &["support"]), [false, true], "it says nothing of who");
}

#[test]
fn whom_a_caller_would_have_is_who_its_handoff_tries_or_who_is_named_for_callbacks() {
    let humans = |mut config: Config, target: Option<&str>| {
        config.targets.push(config.targets[1].clone());
        config.targets[2].name = "line".to_owned();
        config.targets[2].machine = Some(Machine::Callback);
        config.playbook.usual.targets.push("line".to_owned());
        let mut world = World::new(config);
        world.talk();
        let call = world.id();
        if let Some(target) = target {
            let request = HandoffRequest {
                mode: Some(Mode::Warm),
                target: Some(target.to_owned()),
                reason: String::new(),
                context: None,
                by_ai: false,
            };
            world.request(Request::Handoff(call, request)).unwrap();
        }
        let humans = match world.request(Request::Humans(call)) {
            Ok(Response::Humans(humans)) => humans,
            other => panic!("{other:?}"),
        };
        world.hang_up(CALLER);
        let gone = world.request(Request::Humans(call));
        assert!(matches!(gone, Err(RequestError::NoCall)), "{gone:?}");
        humans
    };
    assert_eq!(humans(config(), None), ["sales", "support"]);
    assert_eq!(humans(config(), Some("support")), ["support"]);
    let usual = humans(config(), Some("line"));
    assert_eq!(usual, ["sales", "support"], "a machine is nobody who calls back");
    assert_eq!(humans(about_callbacks(), None), ["support"]);
    assert_eq!(humans(about_callbacks(), Some("sales")), ["support"]);
}

/// A machine of ours would ask who was called to leave a message.
#[test]
fn nobody_is_called_back_by_a_machine() {
    let mut own = config();
    own.targets[0].machine = Some(Machine::Voicemail);
    let mut world = World::new(own.clone());
    world.call_back(promised(None)).unwrap();
    world.answer(CALLER);
    assert!(world.peers[SALES].log.is_empty());
    assert_eq!(world.peers[SUPPORT].log, ["invite"]);
    own.targets[1].machine = Some(Machine::Callback);
    let mut world = World::new(own);
    let refused = world.call_back(promised(None));
    assert!(matches!(refused, Err(RequestError::Invalid(_))), "{refused:?}");
    world.conserve();
}

/// A line of the playbook that leads callers of this intent to a machine is not meant for those who are called back.
#[test]
fn where_the_playbook_names_only_machines_the_usual_humans_are_called() {
    let mut config = config();
    config.targets[1].machine = Some(Machine::Callback);
    config.playbook.decisions = vec![Decision {
        name: "later".to_owned(),
        when: When::default(),
        change: Change {
            targets: Some(vec!["support".to_owned()]),
            ..Change::default()
        },
    }];
    config.sounds = vec![Default::default()];
    let mut world = World::new(config);
    world.call_back(promised(None)).unwrap();
    world.answer(CALLER);
    assert!(world.peers[SUPPORT].log.is_empty());
    assert_eq!(world.peers[SALES].log, ["invite"]);
    world.hang_up(CALLER);
    world.conserve();
}

/// Who picks up may be another than who was told in the first call. Where nobody can tell it now, the human knows when it was.
#[test]
fn who_is_called_back_is_told_what_is_to_be_disclosed_in_this_call() {
    for prompt in [Some(PromptId(12)), None] {
        let mut config = config();
        config.prompts.disclosure = prompt;
        let mut back = promised(None);
        back.context["fields"]["disclosure"] = json!({ "told": true, "at": "2026-01-02T03:04:05Z" });
        let mut world = World::new(config);
        world.call_back(back).unwrap();
        world.answer(CALLER);
        let known = |world: &World| {
            let package = world.notices.iter().rev().find_map(|what| match what {
                What::Handoff(_, Step::Invited { package, .. }) | What::ContextUpdated(package) => Some(package),
                _ => None,
            });
            let disclosure = package.and_then(|package| package.disclosure.clone());
            disclosure.map(|disclosure| (disclosure.told, disclosure.at))
        };
        match prompt {
            Some(_) => {
                assert_eq!(world.hears("caller"), "play(disclosure)");
                assert_eq!(known(&world), None, "nobody has told it in this call");
                world.played(0, 0);
                assert_eq!(known(&world), Some((true, None)));
            }
            None => assert_eq!(known(&world), Some((true, Some("2026-01-02T03:04:05Z".to_owned())))),
        }
        assert_eq!(world.hears("caller"), "play(called_back)");
        world.hang_up(CALLER);
        world.conserve();
    }
}

/// Toll fraud: only what the trunk's configuration makes of a caller's own number is called.
#[test]
fn only_a_number_is_called_and_only_where_the_trunk_says_how() {
    let mut world = World::new(config());
    let strange = |caller: &str| CallBack {
        caller: caller.to_owned(),
        ..promised(None)
    };
    for caller in [
        "sip:anonymous@anonymous.invalid",
        "sip:17@pbx.example",
        "sip:@carrier.example",
        "sip:+49%2030@carrier.example",
        "",
    ] {
        let refused = world.call_back(strange(caller));
        assert!(
            matches!(refused, Err(RequestError::Invalid(_))),
            "{caller}: {refused:?}"
        );
    }
    let elsewhere = CallBack {
        trunk: "other".to_owned(),
        ..promised(None)
    };
    assert!(matches!(world.call_back(elsewhere), Err(RequestError::Invalid(_))));
    let broken = CallBack {
        context: json!({ "fields": { "summary": 5 } }),
        ..promised(None)
    };
    assert!(matches!(world.call_back(broken), Err(RequestError::Invalid(_))));
    world.node.drain();
    assert!(matches!(
        world.call_back(promised(None)),
        Err(RequestError::WrongState(_))
    ));
    world.node.resume();
    let mut config = config();
    config.trunks[0].outbound = None;
    let mut without = World::new(config);
    assert!(matches!(
        without.call_back(promised(None)),
        Err(RequestError::Invalid(_))
    ));
    assert!(world.peers[CALLER].log.is_empty() && without.peers[CALLER].log.is_empty());
    world.conserve();
}

#[test]
fn where_there_is_no_port_nobody_is_called_and_all_is_as_it_was() {
    let mut config = config();
    config.workers = vec![vec![20_000]];
    let mut world = World::new(config);
    assert_eq!(world.call_back(promised(None)), Err(RequestError::NoCapacity));
    assert!(world.peers[CALLER].log.is_empty());
    world.conserve();
}

#[test]
fn while_it_rings_the_api_shows_it_and_refuses_what_does_not_fit() {
    let mut world = World::new(config());
    let call = world.call_back(promised(None)).unwrap();
    world.ring(CALLER);
    let Ok(Response::Call(view)) = world.request(Request::Call(call)) else {
        panic!("no call");
    };
    assert_eq!(
        (view.state.as_str(), view.caller.as_str()),
        ("calling", "sip:+4930123@carrier.example")
    );
    assert_eq!(view.legs.len(), 1);
    let handoff = HandoffRequest {
        mode: None,
        target: None,
        reason: String::new(),
        context: None,
        by_ai: true,
    };
    let refused = world.request(Request::Handoff(call, handoff));
    assert!(matches!(refused, Err(RequestError::WrongState(_))), "{refused:?}");
    world.answer(CALLER);
    world.hang_up(CALLER);
    assert_eq!(
        world.closed(),
        Some((End::Failed, Outcome::Abandoned, Some(Reason::CallerHangup)))
    );
    world.conserve();
}
