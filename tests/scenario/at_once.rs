//! Agents of a queue who are called at a time, each at a phone of its own.

use std::time::Duration;

use calls::notice::{End, Outcome, Step, What};
use playbook::routing::Presence;
use sim::scenario::{Behaviour, Line};
use sim::ua::{Answering, State};
use sim::world::Who;
use sim::{Scenario, Sound, World};

/// The first agent is at the phone of the target.
const FIRST: Who = Who::Human(0);
const OTHERS: [Who; 2] = [Who::Human(1), Who::Human(2)];

fn answers(ms: u64) -> Behaviour {
    Behaviour {
        answering: Answering::After(Duration::from_millis(ms)),
        ..Behaviour::GOOD
    }
}

/// Three agents behave so.
fn run(agents: [Behaviour; 3]) -> World {
    let [first, others @ ..] = agents;
    let world = World::run(Scenario {
        humans: vec![first],
        line: Some(Line {
            target: 0,
            agents: vec![Presence::Available; 3],
            phones: others.to_vec(),
            at_once: 3,
            max_wait: Duration::from_secs(20),
            wrap_up: Duration::from_secs(1),
            set_aside: Duration::from_secs(30),
        }),
        ..Scenario::warm(910)
    });
    world.assert_no_faults();
    world
}

fn who_answered(world: &World) -> Option<&str> {
    world.notices.iter().find_map(|notice| match &notice.what {
        What::Handoff(_, Step::Answered { agent }) => agent.as_deref(),
        _ => None,
    })
}

/// How many messages of ours with this method, and the text in their Reason, a party got.
fn sent<'w>(world: &'w World, who: Who, method: &str) -> Vec<Option<&'w str>> {
    let ours = world.wire.iter().filter(|wire| wire.ours && wire.party == who);
    ours.filter(|wire| wire.is(method))
        .map(|wire| wire.reason.as_deref())
        .collect()
}

const ELSEWHERE: Option<&str> = Some("SIP;cause=200;text=\"Call completed elsewhere\"");

#[test]
fn whoever_answers_first_has_the_caller_and_nobody_else_has_missed_a_call() {
    for fastest in 0..3 {
        let mut agents = [Behaviour::not(Answering::RingOn); 3];
        agents[fastest] = answers(1000);
        let world = run(agents);
        let has = Who::Human(fastest);
        assert_eq!(who_answered(&world), Some(&*format!("agent-{fastest}")));
        assert_eq!(world.closed(), Some((End::Completed, Outcome::Joined, None)));
        assert_eq!(world.heard(Who::Caller).last(), Some(&Sound::Human(fastest as u8)));
        assert!(world.heard(has).contains(&Sound::Caller));
        for who in [FIRST, OTHERS[0], OTHERS[1]].into_iter().filter(|who| *who != has) {
            assert_eq!(sent(&world, who, "INVITE"), [None]);
            assert_eq!(sent(&world, who, "CANCEL"), [ELSEWHERE], "{who:?}");
            assert!(world.heard(who).is_empty(), "{who:?}");
        }
    }
}

/// The network takes 1 ms: the CANCEL and the second 200 pass each other.
#[test]
fn an_answer_that_crosses_the_first_one_is_acknowledged_and_ended_and_hears_nothing() {
    for later in [0, 500, 1500] {
        let crossing = Behaviour {
            answering: Answering::After(Duration::from_micros(1_000_000 + later)),
            ..Behaviour::GOOD
        };
        let world = run([answers(1000), crossing, Behaviour::not(Answering::Dead)]);
        assert_eq!(who_answered(&world), Some("agent-0"));
        let other = OTHERS[0];
        assert!(world.ua(other).answered.is_some());
        assert_eq!(sent(&world, other, "ACK").len(), 1, "{later}");
        assert_eq!(sent(&world, other, "BYE"), [ELSEWHERE], "{later}");
        assert!(world.heard(other).is_empty(), "{:?}", world.heard(other));
        assert_eq!(world.ua(other).state, State::Gone);
    }
}

#[test]
fn where_all_but_one_refuse_the_last_one_is_waited_for() {
    let busy = Behaviour::not(Answering::Refuse(486));
    let world = run([busy, answers(4000), busy]);
    assert_eq!(who_answered(&world), Some("agent-1"));
    assert_eq!(world.closed(), Some((End::Completed, Outcome::Joined, None)));
    assert!(!world.steps().contains(&"target_failed"));
}
