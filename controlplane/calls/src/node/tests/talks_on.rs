//! Cold handoffs in which the AI talks on.

use super::*;
use playbook::ColdHears;

fn talking() -> World {
    let mut config = config();
    config.playbook.cold_hears = ColdHears::Ai;
    let mut world = World::new(config);
    world.talk();
    world
}

#[test]
fn caller_and_ai_hear_each_other_until_the_join() {
    let mut world = talking();
    world.ask(Mode::Cold);
    world.ring(SALES);
    let both = ("relay(ai)".to_owned(), "relay(caller)".to_owned());
    assert_eq!((world.hears("caller"), world.hears("ai")), both);
    let window = world.spec.watch.expect("the handoff's window is open").window;
    world.reject(SALES, 404);
    assert_eq!(
        (world.hears("caller"), world.hears("ai")),
        both,
        "the next target rings"
    );
    world.answer(SUPPORT);
    assert_eq!(world.hears("caller"), "relay(human)");
    assert_eq!(world.peers[AI].log.last(), Some(&"bye"));
    assert_eq!(world.spec.watch.expect("it still is").window, window);
    let talks_on = world.notices.iter().find_map(|what| match what {
        What::Handoff(_, Step::Requested { talks_on, .. }) => Some(*talks_on),
        _ => None,
    });
    assert_eq!(talks_on, Some(true));
    world.hang_up(CALLER);
    world.conserve();
}

#[test]
fn without_the_ai_there_is_hold_audio_and_a_join_that_waits_goes_on_waiting() {
    let mut world = talking();
    world.ask(Mode::Cold);
    world.ring(SALES);
    world.hang_up(AI);
    assert_eq!(world.hears("caller"), "play(hold)");
    world.answer(SALES);
    assert_eq!(world.hears("caller"), "relay(human)");
    world.hang_up(CALLER);
    world.conserve();

    let mut world = talking();
    world.ask(Mode::Cold);
    world.answers = false;
    world.answer(SALES);
    let join = world.last.clone().unwrap();
    world.commands.clear();
    world.hang_up(AI);
    let plays = |command: &Command| match command {
        Command::Set { spec, .. } => spec.legs[0].hears.play.clone(),
        Command::End { .. } => None,
    };
    let shown: Vec<_> = world.commands.iter().map(plays).collect();
    assert!(
        matches!(&shown[..], [Some(hold), None] if hold.repeat_last),
        "{shown:?}"
    );
    // The first join is not in force any more, whatever the data plane had to say of it.
    world.answer_media(join);
    world.settle();
    assert!(!world.story().contains(&"joined"));
    world.answers = true;
    for command in world.commands.clone() {
        world.answer_media(command);
    }
    world.settle();
    assert!(world.story().contains(&"joined"));
    assert_eq!((world.hears("caller"), world.leg(1)), ("relay(human)".into(), None));
    world.hang_up(CALLER);
    world.conserve();
}

#[test]
fn a_human_s_cold_handoff_and_a_warm_one_are_announced() {
    let mut world = talking();
    world.ask(Mode::Cold);
    world.answer(SALES);
    world.refer(SALES, "sip:support", &[("X-Baton-Mode", "cold")]);
    assert_eq!(world.hears("caller"), "play(announcement)");
    world.hang_up(CALLER);
    world.conserve();

    let mut world = talking();
    world.ask(Mode::Warm);
    assert_eq!(world.hears("caller"), "play(announcement)");
    world.hang_up(CALLER);
    world.conserve();
}
