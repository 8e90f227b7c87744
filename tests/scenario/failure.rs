//! Every way in which a handoff fails ends in speech, and leaves nothing behind.

use std::time::Duration;

use calls::notice::{End, Outcome, Reason};
use sim::scenario::{Also, Behaviour, When};
use sim::ua::{Answering, State};
use sim::world::Who;
use sim::{Scenario, Sound, World};

fn seconds(n: u64) -> Duration {
    Duration::from_secs(n)
}

/// The caller hears the reason, then the AI within one packet of the reason's end; the AI hears the caller at once.
#[track_caller]
fn assert_returned(world: &World, spoken: Sound, reason: Reason) {
    world.assert_no_faults();
    assert_eq!(world.closed(), Some((End::Failed, Outcome::ReturnedToAi, Some(reason))));
    let heard = world.heard(Who::Caller);
    assert_eq!(heard.first(), Some(&Sound::Ai));
    assert_eq!(
        heard.last(),
        Some(&Sound::Ai),
        "the caller is with the AI again: {heard:?}"
    );
    assert_eq!(heard[heard.len() - 2], spoken, "{heard:?}");
    let to_caller: Vec<_> = world.sent.iter().filter(|s| s.to == Who::Caller).collect();
    let last_spoken = to_caller.iter().rposition(|s| s.sound == Some(spoken)).unwrap();
    let back = to_caller[last_spoken + 1..]
        .iter()
        .find(|s| s.sound == Some(Sound::Ai))
        .unwrap();
    assert!(
        back.at - to_caller[last_spoken].at <= Duration::from_millis(22),
        "the AI came late"
    );
    let first_spoken = to_caller.iter().find(|s| s.sound == Some(spoken)).unwrap();
    let ai_hears = world
        .sent
        .iter()
        .find(|s| s.to == Who::Ai && s.sound == Some(Sound::Caller) && s.at > first_spoken.at);
    let ai_hears = ai_hears.expect("the AI hears the caller again");
    assert!(
        ai_hears.at - first_spoken.at <= Duration::from_millis(60),
        "the AI was deaf while the reason was spoken"
    );
}

#[test]
fn busy() {
    for status in [486, 600] {
        let world = World::run(Scenario::failing(100, Behaviour::not(Answering::Refuse(status))));
        assert_returned(&world, Sound::Busy, Reason::Busy);
    }
}

#[test]
fn rejected() {
    for status in [603, 403] {
        let world = World::run(Scenario::failing(101, Behaviour::not(Answering::Refuse(status))));
        assert_returned(&world, Sound::Failed, Reason::Rejected);
    }
}

#[test]
fn not_available_is_no_answer() {
    let world = World::run(Scenario::failing(102, Behaviour::not(Answering::Refuse(480))));
    assert_returned(&world, Sound::NoAnswer, Reason::NoAnswer);
}

#[test]
fn rings_on() {
    let world = World::run(Scenario::failing(103, Behaviour::not(Answering::RingOn)));
    assert_returned(&world, Sound::NoAnswer, Reason::NoAnswer);
}

#[test]
fn unreachable() {
    for answering in [Answering::Dead, Answering::Refuse(404), Answering::Refuse(503)] {
        let world = World::run(Scenario::failing(104, Behaviour::not(answering)));
        assert_returned(&world, Sound::Failed, Reason::Unreachable);
    }
}

#[test]
fn declined_by_key() {
    let human = Behaviour {
        key: Some((seconds(2), '2')),
        ..Behaviour::GOOD
    };
    let world = World::run(Scenario::failing(105, human));
    assert_returned(&world, Sound::Failed, Reason::Declined);
}

#[test]
fn never_accepts() {
    let world = World::run(Scenario::failing(
        106,
        Behaviour {
            key: None,
            ..Behaviour::GOOD
        },
    ));
    assert_returned(&world, Sound::NoAnswer, Reason::Machine);
}

#[test]
fn hangs_up_while_briefed() {
    let human = Behaviour {
        key: None,
        hang_up: Some(seconds(1)),
        ..Behaviour::GOOD
    };
    let world = World::run(Scenario::failing(107, human));
    assert_returned(&world, Sound::Failed, Reason::HumanHangup);
}

#[test]
fn cancelled_by_api() {
    for at in [3500, 5500] {
        let cancel_at = Some(Duration::from_millis(at));
        let world = World::run(Scenario {
            cancel_at,
            ..Scenario::failing(
                108,
                Behaviour {
                    key: None,
                    ..Behaviour::GOOD
                },
            )
        });
        world.assert_no_faults();
        assert!(
            matches!(world.closed(), Some((End::Cancelled, Outcome::ReturnedToAi, _))),
            "{:?}",
            world.closed()
        );
    }
}

/// In every state of the handoff, every 50 ms of it.
#[test]
fn the_caller_hangs_up() {
    for step in 0..140 {
        let at = seconds(3) + Duration::from_millis(50) * step;
        let world = World::run(Scenario {
            caller_hangs_up: Some(at),
            ..Scenario::warm(200 + u64::from(step))
        });
        world.assert_no_faults();
        match world.closed() {
            None => assert_eq!(step, 0, "at {at:?} the handoff did not begin"),
            Some((End::Failed, Outcome::Abandoned, Some(Reason::CallerHangup))) => {
                assert!(world.step_at("joined").is_none(), "at {at:?}");
            }
            Some((End::Completed, Outcome::Joined, None)) => assert!(world.step_at("joined").is_some(), "at {at:?}"),
            other => panic!("at {at:?}: {other:?}"),
        }
    }
}

/// The AI hangs up in the middle: nothing changes for the caller.
#[test]
fn the_ai_hangs_up_and_the_human_comes() {
    for at in [3100, 3900, 4500, 6000] {
        let ai_hangs_up = Some(Duration::from_millis(at));
        let world = World::run(Scenario {
            ai_hangs_up,
            ..Scenario::warm(110 + at)
        });
        world.assert_no_faults();
        assert_eq!(world.closed(), Some((End::Completed, Outcome::Joined, None)), "at {at}");
    }
}

#[test]
fn the_ai_is_gone_and_nobody_comes() {
    for answering in [Answering::Refuse(486), Answering::RingOn] {
        let human = Behaviour::not(answering);
        let at = if answering == Answering::RingOn { 5000 } else { 3001 };
        let ai_hangs_up = Some(Duration::from_millis(at));
        let world = World::run(Scenario {
            ai_hangs_up,
            ..Scenario::failing(120, human)
        });
        world.assert_no_faults();
        if let Some((End::Failed, Outcome::Failed, _)) = world.closed() {
            let heard = world.heard(Who::Caller);
            assert_eq!(heard.last(), Some(&Sound::Goodbye), "{heard:?}");
        } else {
            assert_eq!(answering, Answering::Refuse(486), "{:?}", world.closed());
        }
        assert!(
            world.caller.ended.unwrap() < world.start + seconds(29),
            "the caller was left alone"
        );
    }
}

/// A cold handoff in whose join this happens, by the time since the answer.
fn joining(seed: u64, happens: &[(u64, Also)]) -> World {
    let when = |after: u64| When::After("answered", Duration::from_millis(after));
    World::run(Scenario {
        also: happens.iter().map(|(after, what)| (when(*after), *what)).collect(),
        end: seconds(40),
        ..Scenario::cold(seed)
    })
}

/// It plays on what it plays, and takes no command: in a join as anywhere it is missed within seconds, and nobody is kept waiting.
#[test]
fn a_worker_that_dies_in_a_join_is_missed_within_seconds() {
    let dies = Also::Stall(seconds(30));
    for (died, happens) in [
        (0, vec![(0, dies)]),
        // It has said that the join waits for the human, who says nothing yet.
        (1_500, vec![(0, Also::Mute(Who::Human(0))), (1_500, dies)]),
    ] {
        let world = joining(120, &happens);
        assert_eq!(world.faults(), Vec::<String>::new());
        assert_eq!(
            world.closed(),
            Some((End::Failed, Outcome::Failed, Some(Reason::Error)))
        );
        let died = world.step_at("answered").unwrap() + Duration::from_millis(died);
        let missed = world.step_at("target_failed").unwrap() - died;
        assert!(
            (seconds(1)..=Duration::from_millis(2_600)).contains(&missed),
            "{missed:?}"
        );
        let ended = world.caller.ended.expect("the caller is let go") - died;
        assert!(ended <= Duration::from_millis(6_700), "{ended:?}");
        assert_eq!((world.ai.state, world.humans[0].state), (State::Gone, State::Gone));
        // Until then there is speech or hold audio, never nothing.
        let mut heard = world.heard(Who::Caller);
        heard.retain(|sound| *sound != Sound::Comfort);
        heard.dedup();
        assert_eq!(heard, [Sound::Ai, Sound::Announcement, Sound::Hold]);
        let line = world.line(Who::Caller, seconds(1), ended + (died - world.start));
        assert!(line.longest_gap <= Duration::from_millis(40), "{line:?}");
    }
}

#[test]
fn a_worker_that_is_late_in_a_join_and_a_human_who_is_late_are_not_missed() {
    for happens in [
        vec![(0, Also::Stall(Duration::from_millis(1_800)))],
        vec![(0, Also::Mute(Who::Human(0))), (4_700, Also::Unmute(Who::Human(0)))],
    ] {
        let world = joining(121, &happens);
        assert_eq!(world.faults(), Vec::<String>::new());
        assert_eq!(
            world.closed(),
            Some((End::Completed, Outcome::Joined, None)),
            "{happens:?}"
        );
        let heard = world.heard(Who::Caller);
        assert_eq!(heard.last(), Some(&Sound::Human(0)), "{happens:?}");
        assert_eq!(world.heard(Who::Human(0)).last(), Some(&Sound::Caller), "{happens:?}");
    }
}
