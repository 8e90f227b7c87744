//! The happy paths, judged by what everybody heard.

use std::time::Duration;

use calls::notice::{End, Outcome, Party};
use playbook::{Accept, Mode};
use sim::scenario::Behaviour;
use sim::ua::{Answering, State};
use sim::world::Who;
use sim::{Scenario, Sound, World};
use sip::sdp::Encoding;

#[track_caller]
fn assert_good(world: &World) {
    world.assert_no_faults();
    assert_eq!(world.closed(), Some((End::Completed, Outcome::Joined, None)));
}

#[test]
fn warm_with_the_key() {
    let world = World::run(Scenario::warm(1));
    assert_good(&world);
    use Sound::{Ai, Announcement, Briefing, Caller, Hold, Human};
    assert_eq!(world.heard(Who::Caller), [Ai, Announcement, Hold, Human(0)]);
    assert_eq!(world.heard(Who::Ai), [Caller]);
    assert_eq!(world.heard(Who::Human(0)), [Briefing, Caller]);
    let mut steps = world.steps();
    let announced = steps
        .iter()
        .position(|step| *step == "announced")
        .expect("the announcement was played");
    steps.remove(announced);
    assert_eq!(
        steps,
        [
            "requested",
            "invited",
            "ringing",
            "answered",
            "accepted",
            "joined",
            "first_human_word",
            "evidence",
            "closed"
        ]
    );
}

#[test]
fn warm_by_answering() {
    let world = World::run(Scenario {
        accept: Accept::Answer,
        humans: vec![Behaviour {
            key: None,
            ..Behaviour::GOOD
        }],
        ..Scenario::warm(2)
    });
    assert_good(&world);
    let (answered, joined) = (world.step_at("answered").unwrap(), world.step_at("joined").unwrap());
    assert!(
        joined - answered >= Duration::from_millis(2960),
        "joined before the briefing of 3 s was over"
    );
    assert_eq!(world.heard(Who::Human(0)), [Sound::Briefing, Sound::Caller]);
}

#[test]
fn warm_by_api() {
    let mut world = World::new(Scenario {
        accept: Accept::Api,
        humans: vec![Behaviour {
            key: None,
            ..Behaviour::GOOD
        }],
        ..Scenario::warm(3)
    });
    world.run_until(Duration::from_secs(6));
    assert!(world.step_at("answered").is_some() && world.step_at("accepted").is_none());
    let handoff = world.handoff.expect("a handoff runs");
    assert!(world.request(calls::request::Request::Accept(handoff)).is_some());
    world.run_until(Duration::from_secs(150));
    assert_good(&world);
}

#[test]
fn cold_joins_at_the_answer() {
    let world = World::run(Scenario::cold(4));
    assert_good(&world);
    use Sound::{Ai, Announcement, Caller, Hold, Human};
    assert_eq!(world.heard(Who::Human(0)), [Caller], "no briefing on a cold transfer");
    let caller = world.heard(Who::Caller);
    assert!(
        caller == [Ai, Announcement, Human(0)] || caller == [Ai, Announcement, Hold, Human(0)],
        "{caller:?}"
    );
}

#[test]
fn auto_is_what_the_playbook_says() {
    let world = World::run(Scenario {
        mode: None,
        ..Scenario::warm(5)
    });
    assert_good(&world);
    assert!(world.heard(Who::Human(0)).contains(&Sound::Briefing));
}

#[test]
fn a_caller_who_says_so_is_handed_over() {
    let mut world = World::new(Scenario {
        handoff_at: None,
        ..Scenario::warm(6)
    });
    world.run_until(Duration::from_secs(3));
    let turn = playbook::context::Turn::new(playbook::context::Role::Caller, "No. Let me SPEAK to a human, please!");
    let call = world.call.expect("a call is up");
    world.request(calls::request::Request::Turns(call, vec![turn]));
    world.run_until(Duration::from_secs(150));
    assert_good(&world);
}

#[test]
fn the_ai_gets_its_bye_after_the_join_and_not_before() {
    let world = World::run(Scenario::warm(7));
    assert_good(&world);
    let gone = world.ai.ended.expect("the AI was released");
    assert!(gone >= world.step_at("joined").unwrap());
    let first = world
        .sent
        .iter()
        .find(|s| s.to == Who::Caller && s.sound == Some(Sound::Human(0)))
        .unwrap();
    assert!(gone >= first.at, "BYE to the AI before the human was audible");
}

#[test]
fn codecs_differ_on_every_leg() {
    for (seed, [caller, ai, human]) in [
        (10, [Encoding::Pcmu, Encoding::Pcma, Encoding::Pcma]),
        (11, [Encoding::Pcma, Encoding::Pcmu, Encoding::Pcmu]),
        (12, [Encoding::Pcma, Encoding::Pcma, Encoding::Pcmu]),
        (13, [Encoding::Pcmu, Encoding::Pcmu, Encoding::Pcma]),
    ] {
        let world = World::run(Scenario {
            encodings: [vec![caller], vec![ai], vec![human]],
            ..Scenario::warm(seed)
        });
        assert_good(&world);
        use Sound::{Ai, Announcement, Hold, Human};
        assert_eq!(world.heard(Who::Caller), [Ai, Announcement, Hold, Human(0)]);
    }
}

#[test]
fn where_all_speak_both_codecs_nothing_is_transcoded() {
    let both = || vec![Encoding::Pcma, Encoding::Pcmu];
    let world = World::run(Scenario {
        encodings: [both(), both(), both()],
        ..Scenario::warm(14)
    });
    assert_good(&world);
    assert_eq!(world.plane.transcoded(), 0);
}

#[test]
fn the_digit_that_accepts_is_heard_by_nobody() {
    let world = World::run(Scenario::warm(15));
    assert_good(&world);
    let digits = world.sent.iter().filter(|s| s.sound.is_none()).count();
    assert_eq!(digits, 0, "telephone-events reached a party");
}

#[test]
fn the_second_request_names_the_running_one() {
    let mut world = World::new(Scenario::warm(16));
    world.run_until(Duration::from_secs(4));
    let running = world.handoff.expect("it runs");
    world.ask_for_handoff();
    assert_eq!(world.refusals, [calls::request::RequestError::Running(running)]);
}

#[test]
fn the_next_target_is_tried_in_order() {
    let humans = vec![
        Behaviour::not(Answering::Refuse(486)),
        Behaviour::not(Answering::RingOn),
        Behaviour::GOOD,
    ];
    let world = World::run(Scenario {
        humans,
        end: Duration::from_secs(40),
        ..Scenario::warm(17)
    });
    assert_good(&world);
    assert!(world.heard(Who::Caller).contains(&Sound::Human(2)));
    assert_eq!(
        world.humans[1].state,
        State::Gone,
        "the phone that was not answered has stopped ringing"
    );
    let failed = world.steps().iter().filter(|step| **step == "target_failed").count();
    assert_eq!(failed, 2);
}

#[test]
fn the_evidence_is_clean_and_agrees_with_the_wire() {
    for mode in [Mode::Warm, Mode::Cold] {
        let world = World::run(Scenario {
            mode: Some(mode),
            ..Scenario::warm(18)
        });
        assert_good(&world);
        for (party, who) in [(Party::Caller, Who::Caller), (Party::Human, Who::Human(0))] {
            let evidence = world.evidence(party).expect("evidence of every listener");
            assert_eq!(
                (evidence.lost, evidence.reordered, evidence.duplicated),
                (0, 0, 0),
                "{party:?}"
            );
            assert_eq!(
                (evidence.sequence_breaks, evidence.timestamp_breaks),
                (0, 0),
                "{party:?}"
            );
            assert_eq!(
                evidence.upstream_lost + evidence.upstream_reordered + evidence.upstream_duplicated,
                0
            );
            assert!(
                evidence.sent > if party == Party::Caller { 50 } else { 0 },
                "{party:?} {evidence:?}"
            );
            let from = world.step_at("requested").unwrap() - world.start;
            let to = world.step_at("evidence").unwrap() - world.start;
            let line = world.line(who, from, to + Duration::from_millis(1));
            let ours = evidence.longest_gap.expect("measured");
            let apart = ours.abs_diff(line.longest_gap);
            assert!(
                apart <= Duration::from_millis(5),
                "{party:?}: {ours:?} against {:?} on the wire",
                line.longest_gap
            );
        }
    }
}
