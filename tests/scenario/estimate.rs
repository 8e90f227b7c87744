//! How long it will take, judged by what the caller heard.

use std::time::Duration;

use calls::notice::{End, Outcome, Party};
use sim::scenario::Behaviour;
use sim::ua::Answering;
use sim::world::Who;
use sim::{Scenario, Sound, World};

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// Three handoffs took 95 s each; of this one at 3 s the phone rings for 70. It is said every 20 s.
fn scenario(seed: u64) -> Scenario {
    Scenario {
        estimate: Some(seconds(20)),
        took: vec![seconds(95); 3],
        humans: vec![Behaviour {
            answering: Answering::After(seconds(70)),
            ..Behaviour::GOOD
        }],
        ring: seconds(80),
        reach: seconds(100),
        end: seconds(90),
        ..Scenario::warm(seed)
    }
}

#[test]
fn a_caller_hears_how_long_it_will_take_and_again_and_then_the_human() {
    let world = World::run(scenario(700));
    world.assert_no_faults();
    assert_eq!(world.closed(), Some((End::Completed, Outcome::Joined, None)));
    use Sound::{About, Ai, Announcement, Briefing, Caller, Hold, Human, Minutes, Soon};
    let waiting = [
        &[Announcement, About, Minutes(2), Hold][..],
        &[About, Minutes(2), Hold],
        &[About, Minutes(1), Hold],
        &[Soon, Hold],
    ];
    let heard = [&[Ai][..], &waiting.concat(), &[Human(0)]].concat();
    assert_eq!(world.heard(Who::Caller), heard);
    assert_eq!(world.heard(Who::Ai), [Caller]);
    assert_eq!(world.heard(Who::Human(0)), [Briefing, Caller]);
    // Each begins when it is due, and is heard to its end: a second of each.
    let since = world.step_at("requested").expect("a handoff");
    let mut spoken = world.sent.iter().filter(|sent| sent.to == Who::Caller);
    for (due, sounds) in [(20, [About, Minutes(2)]), (40, [About, Minutes(1)]), (60, [Soon, Hold])] {
        let due = since + seconds(due);
        for (at, sound) in (0..).zip(sounds) {
            let due = due + seconds(at);
            let first = spoken
                .find(|sent| sent.at >= due && sent.sound == Some(sound))
                .expect("it is said");
            assert!(
                first.at - due <= Duration::from_millis(60),
                "{sound:?} at {:?}",
                first.at - since
            );
        }
    }
    // In one line without a hole or a seam.
    let line = world.line(Who::Caller, seconds(1), seconds(76));
    assert!(line.longest_gap <= Duration::from_millis(41), "{line:?}");
    assert_eq!(
        (
            line.ssrcs,
            line.sequence_breaks,
            line.timestamp_breaks,
            line.timestamp_jumps
        ),
        (1, 0, 0, 0),
        "{line:?}"
    );
    let evidence = world.evidence(Party::Caller).expect("evidence of the caller's line");
    assert_eq!((evidence.lost, evidence.dead_air), (0, Some(Duration::ZERO)));
    assert_eq!(world.steps().iter().filter(|step| **step == "announced").count(), 1);
}

#[test]
fn who_is_called_when_it_is_due_hears_the_human_and_not_the_time() {
    use Sound::{About, Ai, Announcement, Hold, Human, Minutes};
    let heard = |seed, answer: u64, key: u64| {
        let world = World::run(Scenario {
            humans: vec![Behaviour {
                answering: Answering::After(Duration::from_millis(answer)),
                key: Some((Duration::from_millis(key), '1')),
                hang_up: None,
            }],
            end: seconds(30),
            ..scenario(seed)
        });
        world.assert_no_faults();
        world.heard(Who::Caller)
    };
    let before = [Ai, Announcement, About, Minutes(2), Hold];
    // The human is briefed when it is due.
    assert_eq!(heard(701, 19_500, 1_000), [&before[..], &[Human(0)]].concat());
    // The human takes the call while it is being said.
    assert_eq!(heard(702, 20_200, 300), [&before[..], &[About, Human(0)]].concat());
}
