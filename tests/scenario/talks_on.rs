//! Cold handoffs with `cold_hears = "ai"`: caller and AI talk on until the human is heard. Judged by what everybody heard.

use std::time::{Duration, Instant};

use calls::notice::{End, Outcome, Reason};
use playbook::{ColdHears, Mode};
use sim::scenario::{Aim, Also, Behaviour, When};
use sim::ua::{Afterwards, Answering, Referred, State};
use sim::world::Who;
use sim::{Scenario, Sound, World};

const SECOND: Duration = Duration::from_secs(1);

/// A packet, and what it may be late.
const SOON: Duration = Duration::from_millis(45);

/// A cold handoff at 3 s; the human's phone rings for two seconds.
fn cold(seed: u64) -> Scenario {
    Scenario {
        cold_hears: ColdHears::Ai,
        humans: vec![Behaviour::not(Answering::After(2 * SECOND))],
        end: Duration::from_secs(40),
        ..Scenario::cold(seed)
    }
}

/// What a party heard, each sound once while it lasts, without noise.
fn heard(world: &World, who: Who) -> Vec<Sound> {
    let mut heard = world.heard(who);
    heard.retain(|sound| *sound != Sound::Comfort);
    heard.dedup();
    heard
}

fn run(scenario: Scenario) -> World {
    let world = World::run(scenario);
    assert_eq!(world.faults(), Vec::<String>::new(), "{}", world.ladder().join("\n"));
    world
}

fn times<'a>(world: &'a World, who: Who, wanted: Sound) -> impl DoubleEndedIterator<Item = Instant> + 'a {
    let sent = world.sent.iter();
    sent.filter(move |sent| sent.to == who && sent.sound == Some(wanted))
        .map(|sent| sent.at)
}

/// The caller's line has no hole and no seam from the trigger to three seconds after the human was reached.
#[track_caller]
fn assert_unbroken(world: &World) {
    let line = world.line(Who::Caller, SECOND, 10 * SECOND);
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
    assert!(line.longest_gap <= SOON, "{line:?}");
}

#[test]
fn on_a_cold_transfer_the_ai_talks_on_until_the_human_is_heard() {
    use Sound::{Ai, Caller, Human};
    // The human is heard at once, or says nothing for a while.
    for silent in [Duration::ZERO, 2 * SECOND] {
        let mut scenario = cold(700);
        if !silent.is_zero() {
            let human = Who::Human(0);
            scenario.also = vec![
                (When::After("answered", Duration::ZERO), Also::Mute(human)),
                (When::After("answered", silent), Also::Unmute(human)),
            ];
        }
        let world = run(scenario);
        assert_eq!(world.closed(), Some((End::Completed, Outcome::Joined, None)));
        assert_eq!(heard(&world, Who::Caller), [Ai, Human(0)], "nothing else between");
        assert_eq!(heard(&world, Who::Ai), [Caller]);
        assert_eq!(heard(&world, Who::Human(0)), [Caller]);
        assert_unbroken(&world);
        let human = times(&world, Who::Caller, Human(0)).next().expect("the human");
        let ai = times(&world, Who::Caller, Ai).next_back().expect("the AI");
        assert!(ai <= human && human - ai <= SOON, "{:?}", human - ai);
        // And the AI hears the caller until then, and not afterwards.
        let caller = times(&world, Who::Ai, Caller).next_back().expect("the caller");
        assert!(caller <= human + SOON && human <= caller + SOON, "{silent:?}");
        assert!(human >= world.step_at("answered").expect("answered") + silent);
        assert!(!world.steps().contains(&"announced"));
        assert_eq!(world.ai.state, State::Gone);
    }
}

#[test]
fn while_the_carrier_is_asked_the_ai_talks_on() {
    use Sound::{Ai, Caller, Human};
    for carrier in [
        Referred::SaysNothing,
        Referred::Refuses(603),
        Referred::Reports(486, SECOND),
    ] {
        let world = run(Scenario {
            refer: true,
            carrier,
            end: Duration::from_secs(60),
            ..cold(710)
        });
        assert_eq!(heard(&world, Who::Caller), [Ai, Human(0)], "{carrier:?}");
        assert_eq!(heard(&world, Who::Ai), [Caller], "{carrier:?}");
        assert_unbroken(&world);
    }
    let world = run(Scenario {
        refer: true,
        carrier: Referred::Reports(200, 2 * SECOND),
        ..cold(711)
    });
    assert_eq!(world.closed(), Some((End::Completed, Outcome::Transferred, None)));
    assert_eq!(heard(&world, Who::Caller), [Ai]);
}

#[test]
fn an_ai_that_leaves_early_leaves_the_caller_to_hold_audio_at_once() {
    use Sound::{Ai, Hold, Human};
    let mute = (When::After("answered", Duration::ZERO), Also::Mute(Who::Human(0)));
    let unmute = (When::After("answered", 2 * SECOND), Also::Unmute(Who::Human(0)));
    for (step, late, more) in [
        ("requested", 20, vec![]),
        ("ringing", 500, vec![]),
        // The human has answered, and the join waits for a first packet.
        ("answered", 500, vec![mute, unmute]),
    ] {
        let leaves = (When::After(step, Duration::from_millis(late)), Also::HangUp(Who::Ai));
        let also = [vec![leaves], more].concat();
        let world = run(Scenario { also, ..cold(720) });
        assert_eq!(world.closed(), Some((End::Completed, Outcome::Joined, None)), "{step}");
        assert_eq!(heard(&world, Who::Caller), [Ai, Hold, Human(0)], "{step}");
        assert_unbroken(&world);
        let hold = times(&world, Who::Caller, Hold).next().expect("hold audio");
        let left = world.ai.ended.expect("the AI left");
        assert!(hold <= left + 2 * SOON, "{step}: {:?} after the AI", hold - left);
    }
}

#[test]
fn a_failure_is_said_and_the_ai_has_never_been_away() {
    use Sound::{Ai, Busy, Caller, Failed};
    let busy = Behaviour::not(Answering::Refuse(486));
    let world = run(Scenario {
        humans: vec![busy, busy],
        ..cold(730)
    });
    assert_eq!(heard(&world, Who::Caller), [Ai, Busy, Ai]);
    assert_eq!(heard(&world, Who::Ai), [Caller]);
    let line = world.line(Who::Ai, SECOND, 10 * SECOND);
    assert!(line.longest_gap <= SOON, "{line:?}");
    // A human who answers and says nothing: the AI is heard all the while.
    let world = run(Scenario {
        also: vec![(When::After("answered", Duration::ZERO), Also::Mute(Who::Human(0)))],
        ..cold(731)
    });
    let closed = world.closed();
    assert_eq!(
        closed,
        Some((End::Failed, Outcome::ReturnedToAi, Some(Reason::Unreachable)))
    );
    assert_eq!(heard(&world, Who::Caller), [Ai, Failed, Ai]);
    assert_eq!(heard(&world, Who::Ai), [Caller]);
}

#[test]
fn without_an_ai_a_failure_is_a_goodbye() {
    use Sound::{Ai, Goodbye, Hold};
    let world = run(Scenario {
        humans: vec![Behaviour::not(Answering::RingOn)],
        also: vec![(When::After("ringing", SECOND), Also::HangUp(Who::Ai))],
        ..cold(740)
    });
    assert_eq!(heard(&world, Who::Caller), [Ai, Hold, Goodbye]);
    let closed = world.closed();
    assert_eq!(closed, Some((End::Failed, Outcome::Failed, Some(Reason::AiGone))));
}

/// An AI that holds the caller meanwhile is no reason for silence.
#[test]
fn an_ai_that_holds_while_it_talks_on_leaves_the_caller_to_hold_audio() {
    use Sound::{Ai, Hold, Human};
    use sim::scenario::Offer;
    let hold = Offer::Direction(sip::sdp::Direction::Inactive);
    let world = run(Scenario {
        also: vec![(
            When::After("ringing", Duration::from_millis(300)),
            Also::Reinvite(Who::Ai, hold),
        )],
        ..cold(745)
    });
    assert_eq!(heard(&world, Who::Caller), [Ai, Hold, Human(0)]);
    assert_eq!(world.closed(), Some((End::Completed, Outcome::Joined, None)));
}

#[test]
fn warm_handoffs_and_humans_who_hand_on_are_as_ever() {
    use Sound::{Ai, Announcement, Hold, Human};
    let world = run(Scenario {
        cold_hears: ColdHears::Ai,
        ..Scenario::warm(750)
    });
    assert_eq!(heard(&world, Who::Caller), [Ai, Announcement, Hold, Human(0)]);
    let refer = Also::Refer(Who::Human(0), Aim::Target(1), Afterwards::Stays);
    let human = Behaviour::not(Answering::After(2 * SECOND));
    let world = run(Scenario {
        mode: Some(Mode::Cold),
        accept: playbook::Accept::Answer,
        humans: vec![human, human],
        also: vec![(When::After("joined", 3 * SECOND), refer)],
        ..cold(751)
    });
    let caller = heard(&world, Who::Caller);
    assert_eq!(caller[..2], [Ai, Human(0)], "{caller:?}");
    assert_eq!(caller[2..], [Announcement, Hold, Human(1)], "{caller:?}");
}
