//! How a handoff goes: lines of the playbook's matrix, gates before the join, an AI that stays after it.

use playbook::decisions::{Change, Decision, When};

use super::*;
use crate::config::Sounds;
use crate::notice::{Gate, Opened};

/// Caller and AI talk; whoever takes the call does so by key.
fn talking(change: impl FnOnce(&mut Config)) -> World {
    let mut config = config();
    config.playbook.usual.accept = Accept::Key;
    change(&mut config);
    let mut world = World::new(config);
    world.talk();
    world
}

fn line(name: &str, when: When, change: Change) -> Decision {
    let name = name.to_owned();
    Decision { name, when, change }
}

/// Gates, and why they opened, in order.
fn gates(world: &World) -> Vec<(Gate, Opened)> {
    let gates = world.notices.iter().filter_map(|what| match what {
        What::Handoff(_, Step::Gate { gate, opened }) => Some((*gate, *opened)),
        _ => None,
    });
    gates.collect()
}

fn patch(world: &mut World, patch: serde_json::Value) {
    let id = world.id();
    world.request(Request::Context(id, patch)).expect("a context");
}

#[test]
fn the_line_that_counts_decides_mode_target_acceptance_and_what_is_heard() {
    let angry = When {
        intents: vec!["billing".to_owned()],
        sentiments: vec!["angry".to_owned()],
        ..When::default()
    };
    let change = Change {
        accept: Some(Accept::Answer),
        targets: Some(vec!["support".to_owned()]),
        ..Change::default()
    };
    let mut world = talking(|config| {
        let other = line(
            "never",
            When {
                rules: vec!["no such".to_owned()],
                ..When::default()
            },
            Change::default(),
        );
        config.playbook.decisions = vec![other, line("angry", angry, change)];
        let own = Sounds {
            announcement: Some(PromptId(13)),
            hold: Some(PromptId(14)),
            disclosure: Some(PromptId(12)),
        };
        config.sounds = vec![Sounds::default(), own];
    });
    patch(
        &mut world,
        json!({"intent": "billing", "sentiment": {"label": "angry"}}),
    );
    world.ask(Mode::Warm);
    let decided = world.notices.iter().find_map(|what| match what {
        What::Handoff(_, Step::Requested { decision, target, .. }) => Some((decision.clone(), target.clone())),
        _ => None,
    });
    assert_eq!(decided, Some((Some("angry".to_owned()), "support".to_owned())));
    let queue = |world: &World| {
        let play = world.leg(0).and_then(|row| row.hears.play.as_ref()).expect("is played");
        play.queue.iter().map(|prompt| prompt.0).collect::<Vec<_>>()
    };
    assert_eq!(queue(&world), [12, 13, 14]);
    assert_eq!(world.hears("caller"), "play(disclosure)");
    world.played(0, 0);
    assert_eq!(world.hears("caller"), "play(announcement)");
    world.played(0, 1);
    assert_eq!(world.hears("caller"), "play(hold)");
    let told = |name: &str| world.story().iter().filter(|step| **step == name).count();
    assert_eq!((told("disclosed"), told("announced")), (1, 1));
    assert!(world.peers[SALES].log.is_empty());
    world.answer(SUPPORT);
    world.played(2, 0);
    assert_eq!(
        world.hears("caller"),
        "relay(human)",
        "by answering, as the line has it"
    );
    world.hang_up(CALLER);
    world.conserve();

    // Who was told already is not told again.
    let mut world = talking(|config| config.prompts.disclosure = Some(PromptId(12)));
    patch(&mut world, json!({"disclosure": {"told": true}}));
    world.ask(Mode::Warm);
    assert_eq!(queue(&world), [0, 1]);
    world.hang_up(CALLER);
    world.conserve();
}

#[test]
fn what_was_disclosed_stands_in_the_context_that_the_human_gets() {
    let mut world = talking(|config| config.prompts.disclosure = Some(PromptId(12)));
    world.ask(Mode::Warm);
    world.reject(SALES, 486);
    world.played(0, 0);
    world.reject(SUPPORT, 486);
    let told = world.notices.iter().rev().find_map(|what| match what {
        What::Context(context) => Some(context["disclosure"].clone()),
        _ => None,
    });
    assert_eq!(told, Some(json!({"told": true, "by": "baton"})));
    world.hang_up(CALLER);
    world.conserve();
}

#[test]
fn a_join_waits_for_what_is_required_and_for_who_acknowledges_and_not_longer_than_its_bounds() {
    let gated = || {
        talking(|config| {
            config.playbook.usual.required_wait = Duration::from_secs(5);
            config.playbook.usual.acknowledged = true;
            config.playbook.usual.acknowledge = Duration::from_secs(8);
        })
    };
    let there = [(Gate::Elements, Opened::There), (Gate::Acknowledged, Opened::There)];
    // Both come before the human takes the call: nothing waits.
    let mut world = gated();
    let handoff = world.ask(Mode::Warm);
    patch(&mut world, json!({"goal": "a refund"}));
    assert!(world.request(Request::Acknowledge(handoff)).is_ok());
    world.answer(SALES);
    world.digit(2, '1');
    assert_eq!(world.hears("caller"), "relay(human)");
    assert_eq!(gates(&world), there);
    world.hang_up(CALLER);
    world.conserve();

    // They come later: the human holds, and so does the caller.
    let mut world = gated();
    let handoff = world.ask(Mode::Warm);
    world.played(0, 0);
    world.answer(SALES);
    world.digit(2, '1');
    assert_eq!(
        (world.hears("caller"), world.hears("human")),
        ("play(hold)".to_owned(), "play(hold)".to_owned())
    );
    patch(&mut world, json!({"intent": "billing"}));
    assert!(gates(&world).is_empty(), "the goal is still missing");
    patch(&mut world, json!({"goal": "a refund"}));
    assert_eq!(gates(&world), there[..1]);
    assert_eq!(world.hears("human"), "play(hold)");
    assert!(world.request(Request::Acknowledge(handoff)).is_ok());
    assert_eq!(gates(&world), there);
    assert_eq!(
        (world.hears("caller"), world.hears("human")),
        ("relay(human)".to_owned(), "relay(caller)".to_owned())
    );
    assert!(matches!(
        world.request(Request::Acknowledge(handoff)),
        Err(RequestError::WrongState(_))
    ));
    world.hang_up(CALLER);
    world.conserve();

    // Nothing comes: each bound passes, and the record says so.
    let mut world = gated();
    world.ask(Mode::Warm);
    world.answer(SALES);
    world.digit(2, '1');
    world.pass(Duration::from_millis(5_100));
    assert_eq!(gates(&world), [(Gate::Elements, Opened::Bound)]);
    assert_ne!(world.hears("caller"), "relay(human)");
    world.pass(Duration::from_millis(3_000));
    assert_eq!(gates(&world)[1..], [(Gate::Acknowledged, Opened::Bound)]);
    assert_eq!(world.hears("caller"), "relay(human)");
    world.hang_up(CALLER);
    world.conserve();
}

/// Nobody else could tell it: a join that is to wait for it waits for our own voice.
#[test]
fn a_join_waits_for_what_is_to_be_disclosed_until_it_was_heard_and_not_longer() {
    let mut world = talking(|config| {
        config.prompts.disclosure = Some(PromptId(12));
        config.playbook.usual.required = vec!["disclosure".to_owned()];
        config.playbook.usual.required_wait = Duration::from_secs(5);
    });
    world.ask(Mode::Warm);
    world.answer(SALES);
    world.digit(2, '1');
    assert_eq!(world.hears("caller"), "play(disclosure)");
    assert!(gates(&world).is_empty());
    world.played(0, 0);
    assert_eq!(gates(&world), [(Gate::Elements, Opened::There)]);
    assert_eq!(world.hears("caller"), "relay(human)");
    let package = world.notices.iter().rev().find_map(|what| match what {
        What::ContextUpdated(package) => Some(package),
        _ => None,
    });
    let disclosure = package.and_then(|package| package.disclosure.as_ref());
    assert!(disclosure.is_some_and(|disclosure| disclosure.told), "{disclosure:?}");
    world.hang_up(CALLER);
    world.conserve();
}

/// The human was there before it had been heard, and was not heard.
#[test]
fn what_a_join_that_failed_cut_off_is_told_again_and_what_was_heard_is_not() {
    for (heard, hears) in [(0, "play(disclosure)"), (1, "play(announcement)"), (2, "play(hold)")] {
        let mut world = talking(|config| config.prompts.disclosure = Some(PromptId(12)));
        world.ask(Mode::Cold);
        (0..heard).for_each(|item| world.played(0, item));
        world.answers = false;
        world.answer(SALES);
        world.answers = true;
        world.refuse_media(Refusal::Silent);
        assert_eq!(world.hears("caller"), hears);
        let queue = world
            .leg(0)
            .and_then(|row| row.hears.play.as_ref())
            .map(|play| play.queue.len());
        assert_eq!(queue, Some(3 - heard as usize));
        world.hang_up(CALLER);
        world.conserve();
    }
}

#[test]
fn a_human_who_waits_at_a_gate_may_leave_and_the_next_one_s_desk_is_to_acknowledge_anew() {
    let mut world = talking(|config| config.playbook.usual.acknowledged = true);
    let handoff = world.ask(Mode::Warm);
    assert!(world.request(Request::Acknowledge(handoff)).is_ok());
    world.reject(SALES, 486);
    world.answer(SUPPORT);
    let human = world.spec.legs.last().expect("a leg").leg.0;
    world.digit(human, '1');
    assert!(gates(&world).is_empty(), "that was the other desk");
    world.hang_up(SUPPORT);
    world.played(0, 0);
    assert_eq!(world.hears("caller"), "relay(ai)");
    world.hang_up(CALLER);
    world.conserve();
    assert_eq!(
        world.closed(),
        Some((End::Failed, Outcome::ReturnedToAi, Some(Reason::HumanHangup)))
    );
}

/// A human is briefed; the AI is to stay.
fn staying() -> World {
    let mut world = talking(|config| config.playbook.usual.ai_stays = Duration::from_secs(20));
    world.ask(Mode::Warm);
    world.answer(SALES);
    world
}

/// Joined, and the AI has stayed.
fn introduced() -> World {
    let mut world = staying();
    world.digit(2, '1');
    assert_eq!(world.hears("caller"), "mix(human, ai)");
    assert_eq!(world.hears("ai"), "mix(caller, human)");
    assert_eq!(world.hears("human"), "mix(caller, ai)");
    assert!(world.story().contains(&"joined"));
    assert_ne!(world.peers[AI].log.last(), Some(&"bye"));
    world
}

#[test]
fn an_ai_that_stays_introduces_the_human_and_leaves_by_itself_or_when_its_time_is_over() {
    let two = |world: &World| {
        assert_eq!(world.hears("caller"), "relay(human)");
        assert_eq!(world.hears("human"), "relay(caller)");
        assert_eq!(world.hears("ai"), "");
    };
    let joined = Some((End::Completed, Outcome::Joined, None));
    for hangs_up in [true, false] {
        let mut world = introduced();
        match hangs_up {
            true => world.hang_up(AI),
            false => world.pass(Duration::from_millis(20_100)),
        }
        two(&world);
        world.hang_up(CALLER);
        world.conserve();
        assert_eq!(world.closed(), joined, "{hangs_up}");
    }
    // The three cannot be mixed.
    let mut world = staying();
    world.answers = false;
    world.digit(2, '1');
    let join = world.last.clone().expect("the join");
    world.answer_media(join);
    world.settle();
    world.answers = true;
    world.refuse_media(Refusal::Coders);
    two(&world);
    assert_eq!(world.peers[AI].log.last(), Some(&"bye"));
    world.hang_up(CALLER);
    world.conserve();
    assert_eq!(world.closed(), joined);
    // They cannot be mixed any more, now that the caller is on another line.
    let mut world = introduced();
    world.answers = false;
    let mut local = world.peers[CALLER].local.clone();
    local.port += 2;
    world.reinvite(CALLER, local.offer());
    world.answers = true;
    world.refuse_media(Refusal::Coders);
    two(&world);
    world.hang_up(CALLER);
    world.conserve();
    assert_eq!(world.closed(), joined);
    // The caller hangs up while all three are there: it was joined.
    let mut world = introduced();
    world.hang_up(CALLER);
    world.conserve();
    assert_eq!(world.closed(), joined);
}

#[test]
fn a_human_who_leaves_while_the_ai_is_there_leaves_the_caller_with_the_ai() {
    let mut world = introduced();
    world.hang_up(SALES);
    assert_eq!(
        (world.hears("caller"), world.hears("ai")),
        ("relay(ai)".to_owned(), "relay(caller)".to_owned())
    );
    // And a caller who asks again is heard.
    let id = world.id();
    let turn = Turn::new(Role::Caller, "a human please");
    let Ok(Response::Turns(decision, Some(_))) = world.request(Request::Turns(id, vec![turn])) else {
        panic!("no handoff")
    };
    assert!(matches!(decision, TurnDecision::Handoff { .. }));
    world.hang_up(CALLER);
    world.conserve();
}
