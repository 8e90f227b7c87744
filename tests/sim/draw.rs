//! From a seed to what happens in a call.
//!
//! Chance alone seldom brings two things together, so much is drawn *after a step* of the handoff rather than at a time:
//! in the same instant, within one packet, within a round trip; and whoever waits for a deadline often acts just then.

use std::time::Duration;

use calls::config::Machine;
use calls::supervisor::Mode as Supervision;
use playbook::routing::Presence;
use playbook::{Accept, AiGone, ColdHears, Mode};
use sip::sdp::{Direction, Encoding};

use crate::net::Profile;
use crate::random::Random;
use crate::scenario::{Aim, Also, Asked, Behaviour, Carriage, Carriages, Line, Offer, Router, Scenario, Trust, When};
use crate::steer::steer;
use crate::ua::{Afterwards, Answering, Referred};
use crate::world::Who;

/// Steps after which something may happen.
const STEPS: [&str; 10] = [
    "started",
    "requested",
    "ringing",
    "answered",
    "accepted",
    "joined",
    "first_human_word",
    "target_failed",
    "returned",
    "closed",
];

fn ms(random: &mut Random, least: u64, most: u64) -> Duration {
    Duration::from_millis(least + random.below(most - least))
}

/// The call of this seed.
pub fn draw(seed: u64) -> Scenario {
    let mut random = Random::new(seed ^ 0x5eed);
    let random = &mut random;
    let mut scenario = match random.chance(400) {
        true => steer(seed, random),
        false => free(seed, random),
    };
    if random.chance(120) {
        cross(random, &mut scenario);
    }
    scenario.trust = *random.pick(&[Trust::Nothing, Trust::Right, Trust::Right, Trust::Wrong]);
    if random.chance(300) {
        scenario.carriages = carriages(random);
    }
    scenario.cold_hears = *random.pick(&[ColdHears::Hold, ColdHears::Ai]);
    if random.chance(200) {
        two_workers(random, &mut scenario);
    }
    if random.chance(200) {
        scenario.info = [(); 3].map(|()| random.chance(500));
        for _ in 0..random.below(4) {
            let (when, who) = (when(random), who(random));
            let press = Also::PressInfo(who, *random.pick(&['1', '2', '5', '*']));
            scenario.also.push((when, press));
        }
    }
    if random.chance(300) {
        manner(random, &mut scenario);
    }
    scenario.list_all = random.chance(300);
    let reluctant = [Asked::Refuses(488), Asked::Refuses(603), Asked::Ponders];
    if random.chance(150) {
        scenario.asked = *random.pick(&reluctant);
    }
    if scenario.humans.len() < 3 && random.chance(150) {
        supervised(random, &mut scenario);
    }
    if random.chance(250) {
        line(random, &mut scenario);
    }
    if random.chance(120) {
        without_ai(random, &mut scenario);
    }
    if random.chance(100) {
        called_back(random, &mut scenario);
    }
    if random.chance(120) {
        router(random, &mut scenario);
    }
    scenario.discloses = random.chance(300);
    if random.chance(250) {
        phones(random, &mut scenario);
    }
    if random.chance(200) {
        machines(random, &mut scenario);
    }
    scenario
}

/// Some of the targets are machines of our own: before humans, behind them, between them, or alone. A machine answers at once, or has no
/// room; it presses no key, and hangs up when it has said all.
fn machines(random: &mut Random, scenario: &mut Scenario) {
    if scenario.humans.len() < 3 && !scenario.supervised && random.chance(500) {
        scenario.humans.push(Behaviour::GOOD);
    }
    let line = scenario.line.as_ref().map(|line| line.target);
    for n in 0..scenario.targets() {
        if Some(n) == line || !random.chance(600) {
            continue;
        }
        scenario.machines[n] = Some(*random.pick(&[Machine::Voicemail, Machine::Callback]));
        scenario.humans[n] = Behaviour {
            answering: match random.below(10) {
                0..3 => Answering::Refuse(480),
                3 => Answering::Refuse(*random.pick(&[486, 503])),
                4 => *random.pick(&[Answering::RingOn, Answering::Dead]),
                _ => Answering::After(ms(random, 0, 300)),
            },
            key: None,
            hang_up: random.chance(700).then(|| ms(random, 50, 9000)),
        };
    }
    for _ in 0..random.below(3) {
        let (step, what) = (*random.pick(&["voicemail", "callback", "target_failed"]), also(random));
        scenario.also.push((When::After(step, ms(random, 0, 3000)), what));
    }
}

/// The agents of a queue have phones of their own, and are called at a time; some answer in the same instant, or while the CANCEL is under
/// way to them.
fn phones(random: &mut Random, scenario: &mut Scenario) {
    let (ring, accept_within) = (scenario.ring, scenario.accept_within);
    if scenario.line.is_none() {
        line(random, scenario);
    }
    let Some(line) = &mut scenario.line else { return };
    if line.agents.len() < 2 {
        line.agents.push(Presence::Available);
    }
    line.at_once = 2 + random.below(2) as usize;
    line.agents[..2].fill(Presence::Available);
    let first = scenario.humans[line.target].answering;
    let phones = 1..line.agents.len();
    line.phones = phones.map(|_| human(random, ring, accept_within)).collect();
    for phone in &mut line.phones {
        if let Answering::After(after) = first
            && random.chance(400)
        {
            phone.answering = Answering::After(after + Duration::from_micros(random.below(4000)));
        }
    }
    // What leads to several phones at one address is no connection to one of them.
    scenario.carriages.of[2] = Carriage::Udp;
}

/// An AI that is not there, or dies: its silence is noticed after 30 s, and that it is gone after as long again.
fn without_ai(random: &mut Random, scenario: &mut Scenario) {
    scenario.ai_gone = AiGone::Human;
    // That an AI is lost which stayed after a join is nothing that anybody is told of.
    if random.chance(500) || !scenario.ai_stays.is_zero() {
        scenario.ai = *random.pick(&[
            Answering::Refuse(486),
            Answering::Refuse(503),
            Answering::RingOn,
            Answering::Dead,
        ]);
        for _ in 0..random.below(3) {
            let what = also(random);
            scenario
                .also
                .push((When::After("requested", ms(random, 0, 8000)), what));
        }
    } else {
        let when = match random.below(3) {
            0 => When::After("requested", ms(random, 0, 8000)),
            _ => When::After("started", ms(random, 0, 4000)),
        };
        scenario.also.push((when, Also::Vanish(Who::Ai)));
        scenario.end = Duration::from_secs(100);
        if random.chance(500) {
            scenario.handoff_at = None;
        }
    }
}

/// Somebody is asked where the caller goes, and answers in time or not; things happen meanwhile.
fn router(random: &mut Random, scenario: &mut Scenario) {
    scenario.router = Some(Router {
        bound: *random.pick(&[200, 800, 3000].map(Duration::from_millis)),
        after: ms(random, 0, 3500),
        turns: random.chance(700),
    });
    for _ in 0..random.below(3) {
        let what = also(random);
        scenario.also.push((When::After("asked", ms(random, 0, 2000)), what));
    }
}

/// A caller who is called back, and answers or does not.
fn called_back(random: &mut Random, scenario: &mut Scenario) {
    scenario.called_back = Some(match random.below(10) {
        0 => Answering::Refuse(*random.pick(&[486, 480, 404, 503, 603])),
        1 => Answering::RingOn,
        2 => Answering::Dead,
        3 => Answering::After(about(random, Duration::from_secs(15))),
        _ => Answering::After(ms(random, 0, 4000)),
    });
    scenario.handoff_at = None;
    scenario.ai_gone = AiGone::End;
    for _ in 0..random.below(3) {
        let what = also(random);
        scenario
            .also
            .push((When::After("requested", ms(random, 0, 8000)), what));
    }
}

/// One of the targets is a queue, whose agents come and go.
fn line(random: &mut Random, scenario: &mut Scenario) {
    use Presence::{Available, Away, Busy, Offline};
    let presence = |random: &mut Random| *random.pick(&[Available, Available, Available, Busy, Busy, Away, Offline]);
    let agents: Vec<_> = (0..1 + random.below(3)).map(|_| presence(random)).collect();
    for _ in 0..random.below(5) {
        let when = match random.below(3) {
            0 => when(random),
            1 => When::After("requested", ms(random, 0, 8000)),
            _ => When::After("queued", ms(random, 0, 6000)),
        };
        let agent = random.below(agents.len() as u64) as usize;
        scenario.also.push((when, Also::Presence(agent, presence(random))));
    }
    for _ in 0..random.below(3) {
        let what = also(random);
        scenario.also.push((When::After("queued", ms(random, 0, 4000)), what));
    }
    if random.chance(500) {
        scenario.estimate = Some(*random.pick(&[1, 2, 5].map(Duration::from_secs)));
    }
    let seconds = |random: &mut Random, of: &[u64]| Duration::from_secs(*random.pick(of));
    scenario.line = Some(Line {
        target: random.below(scenario.targets() as u64) as usize,
        agents,
        phones: Vec::new(),
        at_once: *random.pick(&[1, 1, 2, 3]),
        max_wait: seconds(random, &[2, 6, 20]),
        wrap_up: seconds(random, &[0, 1, 5]),
        set_aside: seconds(random, &[0, 1, 30]),
    });
}

/// A supervisor who comes, does this and that, and goes, whatever the call is doing.
fn supervised(random: &mut Random, scenario: &mut Scenario) {
    let answering = match random.below(8) {
        0 => Answering::Refuse(*random.pick(&[486, 603])),
        1 => Answering::RingOn,
        _ => Answering::After(ms(random, 0, 1500)),
    };
    let hang_up = random.chance(300).then(|| ms(random, 50, 12_000));
    scenario.humans.push(Behaviour {
        answering,
        key: None,
        hang_up,
    });
    scenario.supervised = true;
    scenario.mixers = *random.pick(&[0, 1, 4, 4]);
    let comes = match random.below(3) {
        0 => when(random),
        _ => When::After("started", ms(random, 0, 3000)),
    };
    scenario.also.push((comes, Also::Supervise));
    for _ in 0..1 + random.below(5) {
        let mode = *random.pick(&[
            Supervision::Listen,
            Supervision::Whisper,
            Supervision::Whisper,
            Supervision::Barge,
            Supervision::Barge,
            Supervision::Mute,
        ]);
        let at = match random.below(2) {
            0 => when(random),
            _ => later(comes, ms(random, 0, 8000)),
        };
        scenario.also.push((at, Also::Supervision(mode)));
    }
    if random.chance(400) {
        scenario.also.push((when(random), Also::Dismiss));
    }
    if random.chance(200) {
        scenario.also.push((when(random), Also::Supervise));
    }
}

/// A join that waits for the context, and an AI that stays after it.
fn manner(random: &mut Random, scenario: &mut Scenario) {
    for gate in &mut scenario.gates {
        *gate = *random.pick(&[0, 1, 1, 4].map(Duration::from_secs));
    }
    if scenario.gates.iter().any(|gate| !gate.is_zero()) {
        for what in [Also::Summary, Also::Acknowledge] {
            if random.chance(600) {
                let when = match random.below(3) {
                    0 => when(random),
                    _ => When::After("accepted", ms(random, 0, 3000)),
                };
                scenario.also.push((when, what));
            }
        }
        for _ in 0..random.below(3) {
            let what = also(random);
            scenario.also.push((When::After("accepted", ms(random, 0, 2000)), what));
        }
    }
    if random.chance(600) {
        scenario.ai_stays = *random.pick(&[1, 4, 12].map(Duration::from_secs));
        scenario.mode = *random.pick(&[None, Some(Mode::Warm)]);
        scenario.mixers = *random.pick(&[0, 2, 4, 4]);
        for _ in 0..random.below(3) {
            let what = also(random);
            scenario.also.push((When::After("joined", ms(random, 0, 4000)), what));
        }
    }
}

/// Another worker beside the first: for a port that this one has not, and for when it is too busy.
fn two_workers(random: &mut Random, scenario: &mut Scenario) {
    scenario.second = 1 + random.below(8) as u16;
    if random.chance(500) {
        scenario.pairs = 2;
    }
    for _ in 0..random.below(4) {
        let when = when(random);
        scenario.also.push((when, Also::Busy(random.below(2) as usize)));
    }
}

fn carriages(random: &mut Random) -> Carriages {
    let by = |random: &mut Random| *random.pick(&[Carriage::Udp, Carriage::Both, Carriage::Tcp, Carriage::Tcp]);
    let mut of = [by(random), by(random), by(random)];
    if random.chance(60) {
        of[1 + random.below(2) as usize] = Carriage::Refused;
    }
    Carriages {
        of,
        breaks: *random.pick(&[0, 0, 150, 500]),
        long: random.chance(300),
    }
}

/// Offers from both sides at once, of one or two parties.
fn cross(random: &mut Random, scenario: &mut Scenario) {
    let when = match random.below(6) {
        0 => When::At(ms(random, 500, 20_000)),
        1 => When::After("started", ms(random, 50, 3000)),
        2 => When::After("ringing", ms(random, 0, 1000)),
        3 => When::After("answered", ms(random, 0, 3000)),
        4 => When::After("joined", ms(random, 0, 3000)),
        _ => When::After("joined", ms(random, 0, 100)),
    };
    scenario.also.push((when, Also::OfferAgain));
    for _ in 0..1 + random.below(2) {
        let (who, offer) = (who(random), offer(random));
        scenario
            .also
            .push((later(when, ms(random, 0, 2)), Also::Reinvite(who, offer)));
        if random.chance(700) {
            let wait = *random.pick(&[25, 2500, 8000].map(Duration::from_millis));
            let back = Also::Reinvite(who, Offer::Direction(Direction::SendRecv));
            scenario.also.push((later(when, wait), back));
        }
    }
}

fn later(when: When, wait: Duration) -> When {
    match when {
        When::At(at) => When::At(at + wait),
        When::After(step, after) => When::After(step, after + wait),
    }
}

/// A call that goes as chance has it.
fn free(seed: u64, random: &mut Random) -> Scenario {
    let ring = ms(random, 2000, 9000);
    let accept_within = *random.pick(&[3, 6, 10].map(Duration::from_secs));
    let reach = *random.pick(&[5, 12, 60, 60].map(Duration::from_secs));
    let sip = *random.pick(&[Profile::PERFECT, Profile::BAD]);
    let rtp = *random.pick(&[
        Profile::PERFECT,
        Profile::PERFECT,
        Profile {
            loss: 10,
            ..Profile::BAD
        },
    ]);
    let end = *random.pick(&[20, 30, 50].map(Duration::from_secs));
    let mut scenario = Scenario {
        mode: *random.pick(&[None, Some(Mode::Warm), Some(Mode::Cold)]),
        accept: *random.pick(&[Accept::Key, Accept::Answer, Accept::Api]),
        encodings: [codecs(random), codecs(random), codecs(random)],
        humans: (0..1 + random.below(3))
            .map(|_| human(random, ring, accept_within))
            .collect(),
        ai: Answering::After(ms(random, 0, 500)),
        refer: random.chance(300),
        carrier: carrier(random),
        handoff_at: Some(ms(random, 2000, 6000)),
        caller_hangs_up: random.chance(200).then(|| ms(random, 100, 30_000)),
        ai_hangs_up: random.chance(120).then(|| ms(random, 2000, 20_000)),
        cancel_at: random.chance(80).then(|| ms(random, 2000, 15_000)),
        ring,
        accept_within,
        reach,
        net: [sip, rtp],
        hop: ms(random, 1, 15),
        caller_keys: (0..random.below(4))
            .map(|_| (ms(random, 500, 20_000), *random.pick(&['1', '5', '#'])))
            .collect(),
        spray: random.chance(100).then(|| Duration::from_millis(200)),
        end,
        ..Scenario::warm(seed)
    };
    if random.chance(30) {
        scenario.pairs = 1 + random.below(2) as u16;
    }
    bad_start(random, &mut scenario);
    for _ in 0..random.below(4) {
        let (when, what) = (when(random), also(random));
        scenario.also.push((when, what));
        // Who holds, mostly resumes.
        if let Also::Reinvite(who, _) | Also::Mute(who) = what
            && random.chance(700)
        {
            let again = match what {
                Also::Mute(_) => Also::Unmute(who),
                _ => Also::Reinvite(who, Offer::Direction(Direction::SendRecv)),
            };
            let wait = *random.pick(&[3, 25, 300, 2500, 8000].map(Duration::from_millis));
            scenario.also.push((later(when, wait), again));
        }
    }
    scenario
}

fn codecs(random: &mut Random) -> Vec<Encoding> {
    let both = [Encoding::Pcmu, Encoding::Pcma];
    match random.below(4) {
        0 => vec![both[0]],
        1 => vec![both[1]],
        2 => vec![both[0], both[1]],
        _ => vec![both[1], both[0]],
    }
}

/// One of three acts in the very moment that a deadline ends: a packet's way takes 1 ms each way.
fn about(random: &mut Random, deadline: Duration) -> Duration {
    let shift = random.below(5) + 1;
    deadline.saturating_sub(Duration::from_millis(shift))
}

fn human(random: &mut Random, ring: Duration, accept_within: Duration) -> Behaviour {
    let answering = match random.below(12) {
        0 => Answering::Refuse(*random.pick(&[486, 600, 603, 480, 404, 503])),
        1 => Answering::RingOn,
        2 => Answering::Dead,
        3 => Answering::After(about(random, ring)),
        _ => Answering::After(ms(random, 0, 7000)),
    };
    let key = (!random.chance(200)).then(|| {
        let after = match random.below(8) {
            0 => about(random, accept_within),
            _ => ms(random, 100, 8000),
        };
        (after, *random.pick(&['1', '1', '1', '1', '2', '5']))
    });
    let hang_up = random.chance(150).then(|| match random.below(4) {
        0 => key.map_or(Duration::from_secs(1), |(after, _)| after + ms(random, 0, 150)),
        _ => ms(random, 50, 9000),
    });
    Behaviour {
        answering,
        key,
        hang_up,
    }
}

fn carrier(random: &mut Random) -> Referred {
    let wait = *random.pick(&[0, 50, 3000].map(Duration::from_millis));
    *random.pick(&[
        Referred::Refuses(403),
        Referred::Refuses(503),
        Referred::Refuses(603),
        Referred::Challenges(401),
        Referred::Challenges(407),
        Referred::Ignores,
        Referred::SaysNothing,
        Referred::Reports(200, wait),
        Referred::Reports(200, wait),
        Referred::Reports(486, wait),
        Referred::Reports(603, wait),
        Referred::Babbles(wait),
        Referred::HangsUp,
        Referred::HangsUpAndReports(200, wait),
        Referred::HangsUpAndReports(486, wait),
    ])
}

fn when(random: &mut Random) -> When {
    if random.chance(300) {
        return When::At(ms(random, 500, 25_000));
    }
    if random.chance(80) {
        return When::At(ms(random, 0, 500));
    }
    let step = *random.pick(&STEPS);
    let wait = *random.pick(&[0, 0, 1, 2, 3, 5, 10, 20, 40, 100, 500, 1500, 4000]);
    When::After(step, Duration::from_millis(wait))
}

fn who(random: &mut Random) -> Who {
    *random.pick(&[
        Who::Caller,
        Who::Caller,
        Who::Ai,
        Who::Ai,
        Who::Human(0),
        Who::Human(0),
        Who::Human(1),
    ])
}

fn also(random: &mut Random) -> Also {
    let who = who(random);
    match random.below(100) {
        0..22 => Also::Reinvite(who, offer(random)),
        22..27 => Also::Mute(who),
        27..34 => Also::Press(who, *random.pick(&['1', '2', '5', '*'])),
        34..43 => Also::HangUp(who),
        43..54 => Also::Handoff,
        54..60 => Also::Accept,
        60..66 => Also::Decline,
        66..71 => Also::Cancel,
        71..76 => Also::EndCall,
        76..78 => Also::Drain,
        78..84 => Also::Stall(*random.pick(&[100, 700, 3000, 3000].map(Duration::from_millis))),
        84..90 => Also::MediaRefuses,
        _ => Also::Refer(*random.pick(&[Who::Ai, Who::Human(0)]), aim(random), afterwards(random)),
    }
}

fn offer(random: &mut Random) -> Offer {
    match random.below(10) {
        0 | 1 => Offer::Direction(Direction::SendOnly),
        2 => Offer::Direction(Direction::RecvOnly),
        3 | 4 => Offer::Direction(Direction::Inactive),
        5 => Offer::Direction(Direction::SendRecv),
        6 => Offer::NoAddress,
        7 => Offer::Late,
        8 => Offer::Codec(*random.pick(&[Encoding::Pcmu, Encoding::Pcma])),
        _ => Offer::Moved,
    }
}

fn aim(random: &mut Random) -> Aim {
    match random.below(6) {
        0 => Aim::Stranger,
        1 => Aim::StrangeUser,
        n => Aim::Target(n as usize % 3),
    }
}

fn afterwards(random: &mut Random) -> Afterwards {
    *random.pick(&[
        Afterwards::Stays,
        Afterwards::Stays,
        Afterwards::HangsUp,
        Afterwards::HangsUpAfter(Duration::from_millis(2)),
        Afterwards::HangsUpAfter(Duration::from_millis(1500)),
        Afterwards::FallsSilent,
        Afterwards::Vanishes,
    ])
}

/// An AI that does not come, and a caller that does not wait for it.
fn bad_start(random: &mut Random, scenario: &mut Scenario) {
    if random.chance(40) {
        scenario.ai = *random.pick(&[
            Answering::Refuse(486),
            Answering::Refuse(503),
            Answering::RingOn,
            Answering::Dead,
        ]);
    }
    if random.chance(40) {
        scenario.ai = Answering::After(ms(random, 500, 3000));
        scenario.caller_hangs_up = Some(ms(random, 0, 3000));
    }
}
