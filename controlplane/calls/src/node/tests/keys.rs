//! Keys in INFO, in and out.

use super::*;
use crate::config::Keys;

/// Caller, AI and human, told keys in this way.
fn world(ways: [Keys; 3], accept: Accept) -> World {
    let mut config = config();
    config.trunks[0].dtmf = ways[0];
    config.ai_agents[0].dtmf = ways[1];
    config.targets[0].dtmf = ways[2];
    config.playbook.accept = accept;
    let mut world = World::new(config);
    world.talk();
    world
}

fn briefed(world: &mut World) {
    world.ask(Mode::Warm);
    world.ring(SALES);
    world.answer(SALES);
    assert_eq!(world.hears("human"), "play(briefing)");
}

#[test]
fn a_human_takes_or_declines_the_call_by_a_key_in_info() {
    for (key, hears) in [
        ('1', "relay(human)"),
        ('2', "play(announcement)"),
        ('7', "play(announcement)"),
    ] {
        let mut world = world([Keys::Rtp; 3], Accept::Key);
        briefed(&mut world);
        world.press(SALES, key);
        assert_eq!(world.hears("caller"), hears, "{key}");
        let failed = world.failed().map(|(reason, _)| reason);
        assert_eq!(failed, (key == '2').then_some(Reason::Declined), "{key}");
    }
}

#[test]
fn a_key_in_info_of_somebody_else_does_not_take_the_call() {
    let mut world = world([Keys::Rtp; 3], Accept::Key);
    briefed(&mut world);
    world.press(CALLER, '1');
    world.press(AI, '1');
    assert_eq!(world.hears("human"), "play(briefing)");
}

#[test]
fn who_wants_keys_in_info_is_told_those_of_whom_it_hears_and_the_audio_has_none() {
    let mut world = world([Keys::Info, Keys::Info, Keys::Rtp], Accept::Key);
    assert_eq!([0, 1].map(|leg| world.leg(leg).unwrap().dtmf), [Dtmf::Take; 2]);
    // In the audio, and in INFO.
    world.digit(0, '5');
    world.press(CALLER, '#');
    world.digit(1, '9');
    assert_eq!((world.keys(AI), world.keys(CALLER)), ("5#".to_owned(), "9".to_owned()));

    // Nobody hears the caller, and the consultation is nobody's to hear.
    briefed(&mut world);
    world.digit(0, '4');
    world.press(CALLER, '4');
    world.digit(2, '7');
    world.press(SALES, '8');
    world.digit(2, '1');
    assert_eq!(world.hears("caller"), "relay(human)");
    assert_eq!(
        (world.keys(AI), world.keys(CALLER), world.keys(SALES)),
        Default::default()
    );

    // The human has telephone-event: the caller's keys stay in its audio, and its own go out in INFO.
    assert_eq!(
        [0, 2].map(|leg| world.leg(leg).unwrap().dtmf),
        [Dtmf::Relay, Dtmf::Take]
    );
    world.digit(2, '3');
    world.press(SALES, '6');
    assert_eq!(
        (world.keys(AI), world.keys(CALLER), world.keys(SALES)),
        (String::new(), "36".into(), String::new())
    );
}

#[test]
fn a_key_of_the_consultation_reaches_nobody_while_the_join_is_waited_for() {
    let mut world = world([Keys::Info; 3], Accept::Key);
    briefed(&mut world);
    world.answers = false;
    world.digit(2, '1');
    world.digit(2, '1');
    world.press(SALES, '5');
    world.answers = true;
    let join = world.last.clone().unwrap();
    world.answer_media(join);
    world.settle();
    assert_eq!(world.hears("caller"), "relay(human)");
    assert_eq!(world.keys(CALLER), "");
    world.digit(2, '6');
    assert_eq!(world.keys(CALLER), "6");
}

#[test]
fn who_holds_us_is_told_no_keys() {
    let mut world = world([Keys::Rtp, Keys::Info, Keys::Rtp], Accept::Key);
    let offer = |direction| {
        move |world: &mut World| {
            let local = &mut world.peers[AI].local;
            local.direction = direction;
            let offer = local.offer();
            world.reinvite(AI, offer);
        }
    };
    offer(Direction::SendOnly)(&mut world);
    world.digit(0, '5');
    assert_eq!(world.keys(AI), "");
    offer(Direction::SendRecv)(&mut world);
    world.digit(0, '6');
    assert_eq!(world.keys(AI), "6");
}
