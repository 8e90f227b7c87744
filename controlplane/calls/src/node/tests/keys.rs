//! Keys in INFO, in and out.

use super::*;
use crate::config::Keys;

/// Caller, AI and human, told keys in this way.
fn world(ways: [Keys; 3], accept: Accept) -> World {
    let mut config = config();
    config.trunks[0].dtmf = ways[0];
    config.ai_agents[0].dtmf = ways[1];
    config.targets[0].dtmf = ways[2];
    config.playbook.usual.accept = accept;
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

/// What the data plane is to tell a leg: numbers and codes.
fn told(world: &World, leg: u16) -> Vec<(u32, u8)> {
    let row = world.leg(leg).expect("it is up");
    row.pressed.iter().map(|key| (key.number, key.code)).collect()
}

#[test]
fn a_key_in_info_goes_on_in_the_audio_of_who_hears_the_leg_and_has_telephone_event() {
    let mut world = world([Keys::Rtp; 3], Accept::Key);
    world.press(CALLER, '5');
    world.press(AI, '#');
    assert_eq!((told(&world, 0), told(&world, 1)), (vec![(1, 11)], vec![(1, 5)]));
    // One that is in the audio goes on there by itself.
    world.digit(0, '7');
    for key in ['1', '2', '3', 'D'] {
        world.press(CALLER, key);
    }
    assert_eq!(told(&world, 1), [(2, 1), (3, 2), (4, 3), (5, 15)]);

    // The consultation is nobody's to hear, and nobody hears the caller.
    briefed(&mut world);
    world.press(SALES, '8');
    world.press(CALLER, '8');
    world.press(AI, '8');
    assert_eq!((told(&world, 0), told(&world, 1).len()), (vec![(1, 11)], 4));
    assert_eq!(told(&world, 2), []);
    world.press(SALES, '1');
    assert_eq!(world.hears("caller"), "relay(human)");
    assert_eq!((told(&world, 0), told(&world, 2)), (vec![(1, 11)], vec![]));
    world.press(SALES, '6');
    world.press(CALLER, '9');
    assert_eq!(
        (told(&world, 0), told(&world, 2)),
        (vec![(1, 11), (2, 6)], vec![(1, 9)])
    );
    assert_eq!(
        (world.keys(CALLER), world.keys(SALES), world.keys(AI)),
        Default::default(),
        "nobody is told in INFO"
    );
    world.hang_up(CALLER);
    world.conserve();
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
