//! Calls that are steered: into a state, and there something happens. Chance finds the rest.

use std::time::Duration;

use playbook::{Accept, Mode};
use sip::sdp::Direction;

use crate::net::Profile;
use crate::random::Random;
use crate::scenario::{Aim, Also, Behaviour, Offer, Scenario, When};
use crate::ua::{Afterwards, Answering, Referred};
use crate::world::Who;

/// Where a call is steered to.
#[derive(Clone, Copy, Debug)]
enum Place {
    Connecting,
    Talking,
    Inviting,
    Ringing,
    Briefing,
    Joining,
    Joined,
    HandedOff,
    /// The next handoff, from human to human.
    Second,
    Returning,
    Returned,
    Goodbye,
    Referring,
    Ending,
}

const PLACES: [Place; 14] = [
    Place::Connecting,
    Place::Talking,
    Place::Inviting,
    Place::Ringing,
    Place::Briefing,
    Place::Joining,
    Place::Joined,
    Place::HandedOff,
    Place::Second,
    Place::Returning,
    Place::Returned,
    Place::Goodbye,
    Place::Referring,
    Place::Ending,
];

const SECOND: Duration = Duration::from_secs(1);

/// A call that is steered to a place of chance's choice, and what happens there.
pub(crate) fn steer(seed: u64, random: &mut Random) -> Scenario {
    let place = *random.pick(&PLACES);
    let mut scenario = Scenario {
        end: Duration::from_secs(20),
        hop: Duration::from_millis(1 + random.below(15)),
        carrier: carrier(random),
        ..Scenario::warm(seed)
    };
    if random.chance(150) {
        scenario.net[0] = Profile::BAD;
    }
    scenario.waits = [2000, *random.pick(&[1000, 15_000]), 1200].map(Duration::from_millis);
    scenario.quiet_humans = random.chance(120);
    // Handoffs on a trunk that takes REFER, and a carrier that does not help.
    if random.chance(150) {
        (scenario.mode, scenario.refer) = (Some(Mode::Cold), true);
        scenario.carrier = *random.pick(&[Referred::SaysNothing, Referred::Ignores, Referred::Reports(486, SECOND)]);
    }
    scenario.accept = *random.pick(&[Accept::Key, Accept::Key, Accept::Api, Accept::Answer]);
    scenario.accept_within = Duration::from_secs(3);
    let step = to(place, random, &mut scenario);
    let wait = Duration::from_millis(*random.pick(&[0, 0, 1, 1, 2, 3, 5, 8, 13, 40, 200, 700, 1500]));
    let when = |extra: Duration| match step {
        Ok(step) => When::After(step, wait + extra),
        Err(at) => When::At(at + wait + extra),
    };
    // A worker that is slow makes states of a moment last.
    if random.chance(250) {
        let stall = *random.pick(&[20, 100, 700, 3000].map(Duration::from_millis));
        let at = match step {
            Ok(step) => When::After(step, Duration::ZERO),
            Err(at) => When::At(at),
        };
        scenario.also.push((at, Also::Stall(stall)));
    }
    // What the worker says comes late, or never.
    if random.chance(200) {
        let hush = *random.pick(&[20, 300, 1500, 1500].map(Duration::from_millis));
        scenario.also.push((when(Duration::ZERO), Also::Hush(hush)));
    }
    if random.chance(150) {
        scenario.also.push((When::At(Duration::ZERO), Also::LoseEvidence));
    }
    // The next handoff at once, and something in it.
    if random.chance(150) {
        scenario.also.push((
            When::After("joined", Duration::from_millis(random.below(20))),
            Also::Handoff,
        ));
    }
    for what in happens(random) {
        scenario.also.push((when(Duration::ZERO), what));
    }
    scenario
}

/// Makes the call get there; the step that tells of it, or a time.
fn to(place: Place, random: &mut Random, scenario: &mut Scenario) -> Result<&'static str, Duration> {
    let bad = [Answering::Refuse(486), Answering::Refuse(503), Answering::RingOn];
    let slow = Behaviour {
        answering: Answering::After(3 * SECOND),
        ..Behaviour::GOOD
    };
    let undecided = Behaviour {
        key: None,
        ..Behaviour::GOOD
    };
    match place {
        Place::Connecting => {
            scenario.ai = Answering::After(2 * SECOND);
            return Err(Duration::ZERO);
        }
        Place::Talking => return Ok("started"),
        Place::Inviting => {
            scenario.humans = vec![Behaviour::not(Answering::Dead), slow];
            scenario.ring = 3 * SECOND;
            return Ok("requested");
        }
        Place::Ringing => {
            scenario.humans = vec![slow, slow];
            return Ok("ringing");
        }
        Place::Briefing => {
            scenario.humans = vec![undecided, Behaviour::GOOD];
            return Ok("answered");
        }
        Place::Joining => scenario.mode = *random.pick(&[Some(Mode::Warm), Some(Mode::Cold)]),
        Place::Joined => return Ok("joined"),
        Place::HandedOff => return Ok("closed"),
        Place::Second => {
            scenario.humans = vec![
                Behaviour::GOOD,
                *random.pick(&[slow, undecided, Behaviour::not(bad[0])]),
            ];
            let refer = Also::Refer(Who::Human(0), Aim::Target(1), Afterwards::Stays);
            scenario.also.push((When::After("joined", 3 * SECOND), refer));
            // From the human's REFER to the end of its handoff.
            return Err(10 * SECOND + Duration::from_millis(random.below(5000)));
        }
        Place::Returning | Place::Returned => {
            scenario.humans = vec![Behaviour::not(*random.pick(&bad))];
            scenario.ring = 2 * SECOND;
            return Ok(if matches!(place, Place::Returned) {
                "returned"
            } else {
                "target_failed"
            });
        }
        Place::Goodbye => {
            scenario.humans = vec![Behaviour::not(Answering::RingOn)];
            scenario.ring = 2 * SECOND;
            scenario
                .also
                .push((When::After("ringing", SECOND), Also::HangUp(Who::Ai)));
            return Ok("target_failed");
        }
        Place::Referring => {
            (scenario.mode, scenario.refer) = (Some(Mode::Cold), true);
            return Ok("requested");
        }
        Place::Ending => {
            scenario.caller_hangs_up = Some(Duration::from_millis(3000 + random.below(4000)));
            return Err(scenario.caller_hangs_up.unwrap_or_default());
        }
    }
    Ok("accepted")
}

/// What happens there. A refused or delayed table needs a table: a party that moves makes one.
fn happens(random: &mut Random) -> Vec<Also> {
    let mover = *random.pick(&[Who::Caller, Who::Caller, Who::Ai]);
    let moves = Also::Reinvite(mover, Offer::Moved);
    match random.below(20) {
        0 => vec![Also::HangUp(Who::Caller)],
        1 => vec![Also::HangUp(Who::Ai)],
        2 => vec![Also::HangUp(Who::Human(0))],
        3 => vec![Also::HangUp(Who::Human(1))],
        4 => vec![Also::EndCall],
        5 => vec![Also::MediaRefuses, moves],
        6 => vec![Also::Stall(3 * SECOND), moves],
        7 => vec![moves],
        8 => vec![Also::Press(Who::Human(0), *random.pick(&['1', '2', '7']))],
        9 => vec![Also::Accept],
        10 => vec![Also::Decline],
        11 => vec![Also::Cancel],
        12 => vec![Also::Handoff],
        13 => vec![Also::Refer(Who::Ai, Aim::Target(0), Afterwards::Stays)],
        14 => vec![Also::Refer(Who::Human(0), Aim::Target(1), Afterwards::HangsUp)],
        15 => vec![Also::Reinvite(mover, Offer::Direction(Direction::Inactive))],
        16 => vec![Also::Mute(*random.pick(&[Who::Caller, Who::Ai, Who::Human(0)]))],
        17 => vec![
            Also::HangUp(Who::Caller),
            Also::HangUp(Who::Ai),
            Also::HangUp(Who::Human(0)),
        ],
        18 => {
            let key = Also::Press(Who::Human(0), *random.pick(&['1', '2', '7']));
            vec![Also::Stall(Duration::from_millis(700)), Also::Accept, key]
        }
        _ => vec![Also::HangUp(Who::Ai), Also::HangUp(Who::Human(0))],
    }
}

fn carrier(random: &mut Random) -> Referred {
    let wait = Duration::from_millis(*random.pick(&[0, 100, 2000]));
    let challenge = *random.pick(&[401, 407]);
    *random.pick(&[
        Referred::Refuses(403),
        Referred::Challenges(challenge),
        Referred::Ignores,
        Referred::SaysNothing,
        Referred::Reports(200, wait),
        Referred::Reports(486, wait),
        Referred::HangsUp,
        Referred::HangsUpAndReports(200, wait),
        Referred::HangsUpAndReports(486, wait),
    ])
}
