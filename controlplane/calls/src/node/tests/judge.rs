//! Rules of the playbook, asked by what happens in a call.

use playbook::expression::Expression;
use playbook::rules::{Requests, Rule, Rules, Trigger};

use super::*;

fn talking(rules: Vec<Rule>) -> World {
    let mut config = config();
    config.playbook.rules = Rules::new(Requests::default(), rules).expect("no rule twice");
    let mut world = World::new(config);
    world.talk();
    world
}

fn rule(name: &str, triggers: Vec<Trigger>, condition: Option<&str>) -> Rule {
    let condition = condition.map(|source| Expression::new(source).expect("a condition"));
    let name = name.to_owned();
    Rule {
        name,
        triggers,
        condition,
    }
}

/// Why a handoff was asked for, if one was. It is said in words and by its parts.
fn why(world: &World) -> Option<&str> {
    world.notices.iter().rev().find_map(|what| match what {
        What::Handoff(_, Step::Requested { why, trigger, .. }) => {
            let parts = trigger
                .as_ref()
                .map(|trigger| format!("rule {}: {}", trigger.rule, trigger.because));
            assert_eq!(parts.as_deref(), Some(why.as_str()));
            Some(why.as_str())
        }
        _ => None,
    })
}

#[test]
fn a_change_of_the_context_hands_off_once() {
    let gold = rule("gold", Vec::new(), Some("customer.tier == 'gold' && order.value > 500"));
    let mut world = talking(vec![gold]);
    let id = world.id();
    let patch = |world: &mut World, patch| world.request(Request::Context(id, patch)).map(|_| ());
    assert_eq!(patch(&mut world, json!({"customer": {"tier": "gold"}})), Ok(()));
    assert_eq!(why(&world), None);
    assert_eq!(patch(&mut world, json!({"fields": {"order": {"value": 501}}})), Ok(()));
    assert_eq!(
        why(&world),
        Some("rule gold: customer.tier == 'gold' && order.value > 500")
    );
    assert_eq!(world.peers[SALES].log, ["invite"]);
    // Back with the AI it stays there.
    world.reject(SALES, 486);
    world.reject(SUPPORT, 486);
    world.played(0, 0);
    assert_eq!(world.hears("caller"), "relay(ai)");
    assert_eq!(patch(&mut world, json!({"goal": "anything"})), Ok(()));
    assert_eq!(
        world.peers[SALES].log.iter().filter(|what| **what == "invite").count(),
        1
    );
}

#[test]
fn time_hands_off_when_it_has_come_and_not_a_call_that_a_human_has() {
    let slow = |after| {
        let after = Duration::from_secs(after);
        rule("slow", vec![Trigger::Elapsed { after }], None)
    };
    let mut world = talking(vec![slow(90)]);
    world.pass(Duration::from_millis(89_900));
    assert_eq!(why(&world), None);
    world.pass(Duration::from_millis(200));
    assert_eq!(why(&world), Some("rule slow: 90 s of the call are over"));
    world.hang_up(CALLER);
    world.conserve();

    let mut world = talking(vec![slow(90)]);
    world.ask(Mode::Cold);
    world.ring(SALES);
    world.answer(SALES);
    let asked = world.story().iter().filter(|what| **what == "requested").count();
    world.pass(Duration::from_secs(100));
    assert_eq!(world.story().iter().filter(|what| **what == "requested").count(), asked);
}

#[test]
fn a_key_of_the_caller_hands_off_and_the_ai_hears_it_all_the_same() {
    let mut world = talking(vec![rule("zero", vec![Trigger::Key { keys: vec!['0'] }], None)]);
    assert_eq!(world.leg(0).expect("the caller").dtmf, Dtmf::Tell);
    assert_eq!(world.leg(1).expect("the AI").dtmf, Dtmf::Relay);
    world.digit(1, '0');
    world.digit(0, '1');
    assert_eq!(why(&world), None);
    world.digit(0, '0');
    assert_eq!(why(&world), Some("rule zero: key 0"));
    assert_eq!(world.leg(0).expect("the caller").dtmf, Dtmf::Relay, "while it waits");
    // In INFO as well.
    let mut world = talking(vec![rule("zero", vec![Trigger::Key { keys: vec!['0'] }], None)]);
    world.press(CALLER, '0');
    assert_eq!(why(&world), Some("rule zero: key 0"));
    // Where no rule waits for one nothing is said of them.
    assert_eq!(World::talking().leg(0).expect("the caller").dtmf, Dtmf::Relay);
}

#[test]
fn who_calls_again_is_known() {
    let within = Duration::from_secs(3_600);
    let again = rule("again", vec![Trigger::Repeat { calls: 1, within }], None);
    let mut world = talking(vec![again]);
    let say = |world: &mut World| {
        let id = world.id();
        let turn = Turn::new(Role::Caller, "It is me again.");
        world.request(Request::Turns(id, vec![turn])).expect("a turn")
    };
    assert!(matches!(say(&mut world), Response::Turns(TurnDecision::Continue, None)));
    world.hang_up(CALLER);
    world.pass(Duration::from_secs(60));
    world.call(CALLER);
    world.ring(AI);
    world.answer(AI);
    let Response::Turns(TurnDecision::Handoff { rule, because }, Some(_)) = say(&mut world) else {
        panic!("no handoff")
    };
    assert_eq!(
        (&*rule, &*because),
        ("again", "called 1 times in the last 60 min, turn 1")
    );
}
