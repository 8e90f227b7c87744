//! How long it will take, as callers are told.

use super::*;
use crate::config::Estimate;

const ANNOUNCEMENT: u64 = 0;
const HOLD: u64 = 1;
const SOON: u64 = 7;
const INTRO: u64 = 8;
const TWO: u64 = 10;
const FIVE: u64 = 11;

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// It is said every 30 s; phones may ring for long.
fn told() -> Config {
    let mut config = config();
    config.prompts.estimate = Some(Estimate {
        every: seconds(30),
        soon: PromptId(7),
        intro: PromptId(8),
        minutes: vec![(1, PromptId(9)), (2, PromptId(10)), (5, PromptId(11))],
    });
    for target in &mut config.targets {
        target.ring = seconds(600);
    }
    config.deadlines.reach = seconds(1200);
    config
}

/// Handoffs to sales took so long, and another caller talks with the AI.
fn world(config: Config, took: u64) -> World {
    let mut world = World::new(config);
    (0..3).for_each(|_| world.node.learn("sales", seconds(took)));
    world.talk();
    world
}

impl World {
    /// What the caller's row plays, in order.
    fn queue(&self) -> Vec<u64> {
        let play = self.leg(0).and_then(|row| row.hears.play.as_ref());
        play.map(|play| play.queue.iter().map(|prompt| u64::from(prompt.0)).collect())
            .unwrap_or_default()
    }

    /// Everything is said that comes before the hold audio.
    fn hear_out(&mut self) {
        let items = self.queue().len() - 1;
        (0..items).for_each(|item| self.played(0, item as u8));
        assert_eq!(self.hears("caller"), "play(hold)");
    }

    /// A call and its handoff, which is joined after so long, and the end of both. What the caller was told.
    fn hand_off(&mut self, after: u64) -> Vec<u64> {
        self.peers.iter_mut().for_each(|peer| peer.log.clear());
        self.talk();
        self.ask(Mode::Cold);
        let told = self.queue();
        self.pass(seconds(after));
        self.answer(SALES);
        assert_eq!(self.hears("caller"), "relay(human)");
        self.hang_up(CALLER);
        self.pass(seconds(60));
        told
    }
}

#[test]
fn the_first_three_say_nothing_and_the_fourth_is_told_what_they_took() {
    let mut world = World::new(told());
    for after in [20, 100, 110] {
        assert_eq!(world.hand_off(after), [ANNOUNCEMENT, HOLD]);
    }
    assert_eq!(world.hand_off(30), [ANNOUNCEMENT, INTRO, TWO, HOLD]);
    assert_eq!(world.hand_off(30), [ANNOUNCEMENT, INTRO, TWO, HOLD], "20, 30, 100, 110");
    assert_eq!(world.hand_off(30), [ANNOUNCEMENT, SOON, HOLD], "20, 30, 30, 100, 110");
    world.conserve();
}

#[test]
fn only_what_joined_counts() {
    let mut world = World::new(told());
    for _ in 0..4 {
        world.peers.iter_mut().for_each(|peer| peer.log.clear());
        world.talk();
        world.ask(Mode::Cold);
        assert_eq!(world.queue(), [ANNOUNCEMENT, HOLD]);
        world.pass(seconds(20));
        world.reject(SALES, 486);
        world.reject(SUPPORT, 486);
        world.hang_up(CALLER);
        world.pass(seconds(60));
    }
    world.conserve();
}

#[test]
fn who_does_not_want_it_said_hears_what_was_heard_before() {
    let mut config = told();
    config.prompts.estimate = None;
    let mut world = world(config, 100);
    world.ask(Mode::Cold);
    let sets = world.sets;
    world.pass(seconds(300));
    assert_eq!((world.queue(), world.sets), (vec![ANNOUNCEMENT, HOLD], sets));
    world.hang_up(CALLER);
    world.conserve();
}

#[test]
fn it_is_said_again_with_hold_audio_between_until_its_time_is_over() {
    let mut world = world(told(), 100);
    world.ask(Mode::Warm);
    assert_eq!(world.hears("caller"), "play(announcement)");
    world.played(0, 0);
    assert_eq!(world.hears("caller"), "play(estimate_intro)");
    world.played(0, 1);
    assert_eq!(world.hears("caller"), "play(estimate_minutes)");
    world.played(0, 2);
    assert_eq!(world.hears("caller"), "play(hold)");
    let window = world.spec.watch.expect("the handoff's window").window;
    let sets = world.sets;
    for (at, queue) in [
        (30, vec![INTRO, TWO, HOLD]),
        (60, vec![SOON, HOLD]),
        (90, vec![SOON, HOLD]),
    ] {
        world.pass(seconds(29));
        let play = world.leg(0).unwrap().hears.play.clone();
        world.pass(seconds(1));
        assert_eq!(world.queue(), queue, "{at}");
        assert!(world.leg(0).unwrap().hears.play != play, "{at}: from its beginning");
        world.hear_out();
    }
    assert_eq!(world.sets, sets + 3);
    world.pass(seconds(300));
    assert_eq!(world.sets, sets + 3, "what is not true is not said");
    assert_eq!(world.spec.watch.expect("it still is").window, window);
    let announced = world.story().iter().filter(|step| **step == "announced").count();
    assert_eq!(announced, 1);
    world.hang_up(CALLER);
    world.conserve();
}

#[test]
fn what_is_being_said_is_said_to_its_end() {
    let mut world = world(told(), 250);
    world.ask(Mode::Warm);
    let sets = world.sets;
    for item in 0..3 {
        world.pass(seconds(30));
        assert_eq!(world.sets, sets);
        world.played(0, item);
    }
    world.pass(seconds(30));
    assert_eq!(world.queue(), [INTRO, FIVE, HOLD]);
    world.pass(seconds(30));
    assert_eq!(world.sets, sets + 1, "nor is one estimate cut off by the next");
    world.hang_up(CALLER);
    world.conserve();
}

#[test]
fn of_the_next_target_it_is_said_what_that_takes() {
    let mut world = world(told(), 20);
    (0..3).for_each(|_| world.node.learn("support", seconds(200)));
    world.ask(Mode::Cold);
    assert_eq!(world.queue(), [ANNOUNCEMENT, SOON, HOLD]);
    world.hear_out();
    world.pass(seconds(25));
    world.reject(SALES, 486);
    world.ring(SUPPORT);
    world.pass(seconds(5));
    assert_eq!(world.queue(), [INTRO, FIVE, HOLD]);
    world.hear_out();
    world.pass(seconds(30));
    assert_eq!(
        world.queue(),
        [INTRO, FIVE, HOLD],
        "165 s are left: counted from the INVITE of this one"
    );
    world.hear_out();
    world.pass(seconds(30));
    world.hear_out();
    world.pass(seconds(30));
    assert_eq!(world.queue(), [INTRO, TWO, HOLD]);
    world.hang_up(CALLER);
    world.conserve();
}

#[test]
fn it_disturbs_neither_a_briefing_nor_a_join() {
    let mut config = told();
    config.prompts.estimate.as_mut().unwrap().every = seconds(10);
    config.deadlines.first_packet = seconds(60);
    let mut world = world(config, 250);
    world.ask(Mode::Warm);
    world.hear_out();
    world.answer(SALES);
    assert_eq!(world.hears("human"), "play(briefing)");
    let (sets, queue) = (world.sets, world.queue());
    world.pass(seconds(25));
    assert_eq!((world.sets, world.queue()), (sets, queue));
    (world.answers, world.waits) = (false, true);
    world.played(2, 0);
    let join = world.last.clone().expect("the join");
    world.pass(seconds(25));
    assert_eq!(world.last, Some(join.clone()), "the join, again and again");
    world.answers = true;
    world.answer_media(join);
    world.settle();
    assert_eq!(world.hears("caller"), "relay(human)");
    let sets = world.sets;
    world.pass(seconds(60));
    assert_eq!(world.sets, sets);
    world.hang_up(CALLER);
    world.conserve();
}

#[test]
fn with_the_handoff_it_is_over() {
    let is_quiet = |world: &mut World, hears: &str| {
        world.pass(seconds(240));
        assert_eq!(
            (world.hears("caller").as_str(), world.node.poll_timeout()),
            (hears, None)
        );
        world.hang_up(CALLER);
        world.conserve();
    };
    let mut joined = world(told(), 100);
    joined.ask(Mode::Cold);
    joined.answer(SALES);
    is_quiet(&mut joined, "relay(human)");
    let mut returned = world(told(), 100);
    returned.ask(Mode::Cold);
    returned.reject(SALES, 486);
    returned.reject(SUPPORT, 486);
    returned.played(0, 0);
    is_quiet(&mut returned, "relay(ai)");
}

#[test]
fn who_declines_at_the_last_moment_leaves_hold_audio_and_then_the_next_one_s_time() {
    let mut world = world(told(), 100);
    (0..3).for_each(|_| world.node.learn("support", seconds(110)));
    world.ask(Mode::Warm);
    world.hear_out();
    world.answer(SALES);
    (world.answers, world.waits) = (false, true);
    world.played(2, 0);
    world.answers = true;
    world.hang_up(SALES);
    assert_eq!(world.queue(), [HOLD]);
    world.pass(seconds(30));
    assert_eq!(world.queue(), [INTRO, TWO, HOLD]);
    world.hang_up(CALLER);
    world.conserve();
}

#[test]
fn an_ai_that_talks_on_is_not_interrupted_and_where_it_leaves_it_is_said() {
    let mut config = told();
    config.playbook.cold_hears = playbook::ColdHears::Ai;
    let mut world = world(config, 100);
    world.ask(Mode::Cold);
    let sets = world.sets;
    world.pass(seconds(30));
    assert_eq!((world.hears("caller").as_str(), world.sets), ("relay(ai)", sets));
    world.hang_up(AI);
    assert_eq!(world.queue(), [HOLD]);
    world.pass(seconds(30));
    assert_eq!(world.queue(), [SOON, HOLD]);
    world.hang_up(CALLER);
    world.conserve();
}

#[test]
fn where_the_ai_leaves_who_waits_it_goes_on_being_said() {
    let mut world = world(told(), 100);
    world.ask(Mode::Warm);
    world.hear_out();
    world.hang_up(AI);
    world.pass(seconds(30));
    assert_eq!(world.queue(), [INTRO, TWO, HOLD]);
    world.answer(SALES);
    world.played(2, 0);
    assert_eq!(world.hears("caller"), "relay(human)");
    world.hang_up(CALLER);
    world.conserve();
}

#[test]
fn the_hold_audio_of_a_human_who_hands_on_goes_on_where_it_is() {
    let mut world = world(told(), 100);
    world.ask(Mode::Cold);
    world.answer(SALES);
    (0..3).for_each(|_| world.node.learn("support", seconds(100)));
    world.refer(SALES, "sip:support", &[]);
    assert_eq!(world.queue(), [ANNOUNCEMENT, INTRO, TWO, HOLD]);
    world.hear_out();
    let own = world.leg(2).expect("the first human").hears.clone();
    assert!(own.play.as_ref().is_some_and(|play| play.repeat_last));
    world.pass(seconds(30));
    assert_eq!(world.queue(), [INTRO, TWO, HOLD]);
    assert_eq!(world.leg(2).expect("the first human").hears, own);
    world.hang_up(CALLER);
    world.conserve();
}

#[test]
fn while_the_carrier_is_asked_nothing_is_said_and_then_by_us() {
    let mut config = told();
    config.trunks[0].refer = true;
    config.deadlines.refer = seconds(45);
    let mut world = world(config, 100);
    world.ask(Mode::Cold);
    assert_eq!(world.queue(), [ANNOUNCEMENT, HOLD]);
    world.hear_out();
    world.take_refer(CALLER);
    world.pass(seconds(40));
    assert_eq!(world.queue(), [ANNOUNCEMENT, HOLD]);
    world.pass(seconds(20));
    assert_eq!(world.queue(), [INTRO, TWO, HOLD], "15 s after our INVITE");
    world.hang_up(CALLER);
    world.conserve();
}

#[test]
fn where_the_data_plane_cannot_say_it_the_handoff_goes_on() {
    let mut world = world(told(), 100);
    world.ask(Mode::Warm);
    world.hear_out();
    world.answers = false;
    world.pass(seconds(30));
    world.refuse_media(Refusal::Coders);
    assert_eq!(world.closed(), None);
    world.answers = true;
    world.pass(seconds(1));
    assert_eq!(world.queue(), [INTRO, TWO, HOLD], "it is asked for again");
    world.answer(SALES);
    world.played(2, 0);
    assert_eq!(world.hears("caller"), "relay(human)");
    world.hang_up(CALLER);
    world.conserve();
}

#[test]
fn a_reload_keeps_what_is_known_of_targets_that_stay() {
    let first = |world: &mut World| {
        world.peers.iter_mut().for_each(|peer| peer.log.clear());
        world.talk();
        world.ask(Mode::Cold);
        let queue = world.queue();
        world.hang_up(CALLER);
        world.pass(seconds(60));
        queue
    };
    let mut world = world(told(), 100);
    let mut config = told();
    config.targets.reverse();
    world.node.reload(world.now, load::peers(&config));
    world.hang_up(CALLER);
    world.pass(seconds(60));
    assert_eq!(first(&mut world), [ANNOUNCEMENT, INTRO, TWO, HOLD]);
    config.targets.retain(|target| target.name != "sales");
    world.node.reload(world.now, load::peers(&config));
    // Of a call that has the target still.
    (0..3).for_each(|_| world.node.learn("sales", seconds(100)));
    world.node.reload(world.now, load::peers(&told()));
    assert_eq!(first(&mut world), [ANNOUNCEMENT, HOLD]);
    world.conserve();
}
