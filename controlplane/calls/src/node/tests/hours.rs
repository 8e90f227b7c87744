//! Targets that are closed.

use std::time::SystemTime;

use playbook::hours::Calendar;

use super::*;

/// 2026-11-23, a Monday, at 12:00 UTC.
fn noon() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_795_435_200)
}

fn from(text: &str) -> Arc<Calendar> {
    let mut calendar = Calendar::new("UTC").expect("a zone");
    calendar.open(text).expect("hours");
    Arc::new(calendar)
}

/// At noon, with these hours of sales and support.
fn world(sales: &str, support: &str, change: impl FnOnce(&mut Config)) -> World {
    let mut config = config();
    config.targets[0].hours = from(sales);
    config.targets[1].hours = from(support);
    change(&mut config);
    let mut world = World::new(config);
    world.node.handle_wall(world.now, noon());
    world.talk();
    world
}

#[test]
fn a_target_that_is_closed_is_passed_over_and_not_called() {
    let mut world = world("Mon 13:00-14:00", "Mon 12:00-13:00", |_| {});
    world.ask(Mode::Warm);
    assert_eq!(world.peers[SALES].log, [""; 0]);
    assert_eq!(world.peers[SUPPORT].log, ["invite"]);
    assert_eq!(world.hears("caller"), "play(announcement)");
    assert_eq!(world.failed(), Some((Reason::AfterHours, None)));
    world.answer(SUPPORT);
    world.played(2, 0);
    assert_eq!(world.hears("caller"), "relay(human)");
    world.hang_up(CALLER);
    world.conserve();
}

#[test]
fn where_all_are_closed_the_caller_is_told_so_and_not_to_wait() {
    for mode in [Mode::Warm, Mode::Cold] {
        // The carrier is not asked to connect the caller with a target that is closed, either.
        let mut world = world("Mon 13:00-14:00", "Tue 00:00-24:00", |config| {
            config.trunks[0].refer = true
        });
        world.ask(mode);
        assert_eq!(world.hears("caller"), "play(after_hours)");
        assert_eq!(world.hears("ai"), "relay(caller)");
        let announced = world.commands.iter().filter(|command| match command {
            Command::Set { spec, .. } => spec.legs.iter().any(|row| {
                let play = row.hears.play.as_ref();
                play.is_some_and(|play| play.queue.contains(&PromptId(0)))
            }),
            Command::End { .. } => false,
        });
        assert_eq!(announced.count(), 0, "nobody was announced");
        assert_eq!(
            world.closed(),
            Some((End::Failed, Outcome::ReturnedToAi, Some(Reason::AfterHours)))
        );
        assert!(!world.peers[CALLER].log.contains(&"refer"));
        world.played(0, 0);
        assert_eq!(world.hears("caller"), "relay(ai)");
        assert_eq!([SALES, SUPPORT].map(|host| world.peers[host].log.len()), [0, 0]);
        world.hang_up(CALLER);
        world.conserve();
    }
}

#[test]
fn who_failed_before_the_closed_ones_says_why_it_did_not_join() {
    let mut world = world("Mon 12:00-13:00", "Mon 13:00-14:00", |_| {});
    world.ask(Mode::Warm);
    world.reject(SALES, 486);
    assert_eq!(world.hears("caller"), "play(busy)");
    assert_eq!(
        world.closed(),
        Some((End::Failed, Outcome::ReturnedToAi, Some(Reason::Busy)))
    );
    world.hang_up(CALLER);
    world.conserve();
}

#[test]
fn a_refer_to_a_target_that_is_closed_is_told_so() {
    let mut world = world("Mon 13:00-14:00", "Mon 12:00-13:00", |_| {});
    world.refer(AI, "sip:sales", &[]);
    assert_eq!(world.hears("caller"), "play(after_hours)");
    world.played(0, 0);
    assert_eq!(world.told(AI).last().map(String::as_str), Some("480."));
    world.hang_up(CALLER);
    world.conserve();
}

#[test]
fn the_clock_goes_on_between_two_looks_at_it_and_without_one_all_are_open() {
    let mut world = world("Mon 12:01-13:00", "Mon 12:01-13:00", |_| {});
    world.pass(Duration::from_secs(60));
    world.ask(Mode::Cold);
    assert_eq!(world.peers[SALES].log, ["invite"]);
    world.hang_up(CALLER);
    world.conserve();

    let mut config = config();
    config.targets[0].hours = from("Tue 00:00-00:01");
    let mut world = World::new(config);
    world.talk();
    world.ask(Mode::Cold);
    assert_eq!(world.peers[SALES].log, ["invite"]);
    world.hang_up(CALLER);
    world.conserve();
}
