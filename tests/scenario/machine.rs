//! Targets that are machines of our own, alone, before humans and behind them.

use std::time::Duration;

use calls::config::Machine;
use calls::notice::{End, Outcome, Reason, What};
use sim::scenario::Behaviour;
use sim::ua::Answering;
use sim::world::Who;
use sim::{Scenario, Sound, World};

/// It answers at once, and hangs up when it has said all.
const ANSWERS: Behaviour = Behaviour {
    answering: Answering::After(Duration::from_millis(50)),
    key: None,
    hang_up: Some(Duration::from_secs(4)),
};

/// It has no room.
const REFUSES: Behaviour = Behaviour::not(Answering::Refuse(480));

const VOICEMAIL: [Option<Machine>; 3] = [Some(Machine::Voicemail), None, None];

/// What the caller is told, in order.
const TOLD: [Sound; 4] = [Sound::Ai, Sound::Disclosure, Sound::Announcement, Sound::Hold];

fn run(humans: &[Behaviour], machines: [Option<Machine>; 3]) -> World {
    let world = World::run(Scenario {
        humans: humans.to_vec(),
        machines,
        discloses: true,
        ..Scenario::warm(900)
    });
    world.assert_no_faults();
    world
}

fn ended_by(world: &World) -> Option<&str> {
    world.notices.iter().find_map(|notice| match &notice.what {
        What::CallEnded { by } => Some(by.as_str()),
        _ => None,
    })
}

#[test]
fn a_machine_says_itself_what_it_is_and_the_record_names_it() {
    let kinds = [
        (Machine::Voicemail, Outcome::Voicemail, "voicemail"),
        (Machine::Callback, Outcome::CallbackScheduled, "callback"),
    ];
    for (machine, outcome, by) in kinds {
        let world = run(&[ANSWERS], [Some(machine), None, None]);
        let heard = world.heard(Who::Caller);
        assert_eq!(heard.first(), Some(&Sound::Ai));
        assert_eq!(heard.last(), Some(&Sound::Human(0)));
        let told = [Sound::Disclosure, Sound::Announcement, Sound::Briefing];
        assert!(!heard.iter().any(|sound| told.contains(sound)), "{heard:?}");
        assert!(!world.heard(Who::Human(0)).contains(&Sound::Briefing));
        assert_eq!(world.closed(), Some((End::Completed, outcome, None)));
        assert_eq!(ended_by(&world), Some(by));
    }
}

#[test]
fn behind_a_machine_without_room_a_human_gets_a_caller_who_was_told_all() {
    let slow = Behaviour {
        answering: Answering::After(Duration::from_secs(4)),
        ..Behaviour::GOOD
    };
    let world = run(&[REFUSES, slow], VOICEMAIL);
    let heard = world.heard(Who::Caller);
    // The machine has refused before anything could be heard.
    assert_eq!(heard, [&TOLD[..], &[Sound::Human(1)]].concat());
    assert_eq!(world.closed(), Some((End::Completed, Outcome::Joined, None)));
}

#[test]
fn behind_a_human_who_is_busy_the_machine_has_the_caller() {
    let busy = Behaviour::not(Answering::Refuse(486));
    let world = run(&[busy, ANSWERS], [None, Some(Machine::Voicemail), None]);
    assert_eq!(world.closed(), Some((End::Completed, Outcome::Voicemail, None)));
    assert_eq!(ended_by(&world), Some("voicemail"));
}

#[test]
fn where_no_machine_has_room_the_caller_is_back_with_a_word() {
    let world = run(&[REFUSES], VOICEMAIL);
    assert_eq!(
        world.closed(),
        Some((End::Failed, Outcome::ReturnedToAi, Some(Reason::NoAnswer)))
    );
    assert!(world.heard(Who::Caller).contains(&Sound::NoAnswer));
}

#[test]
fn who_is_called_back_is_handed_to_the_human_among_machines_and_told_all() {
    let world = World::run(Scenario {
        called_back: Some(Answering::After(Duration::from_secs(1))),
        handoff_at: None,
        humans: vec![ANSWERS, Behaviour::GOOD],
        machines: VOICEMAIL,
        discloses: true,
        ..Scenario::warm(901)
    });
    world.assert_no_faults();
    assert_eq!(world.humans[0].calls, 0);
    assert_eq!(world.heard(Who::Caller).first(), Some(&Sound::Disclosure));
    assert_eq!(world.closed(), Some((End::Completed, Outcome::Joined, None)));
}
