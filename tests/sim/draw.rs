//! From a seed to what happens in a call.

use std::time::Duration;

use playbook::{Accept, Mode};
use sip::sdp::{Direction, Encoding};

use crate::net::Profile;
use crate::random::Random;
use crate::scenario::{Also, Behaviour, Offer, Scenario};
use crate::ua::{Answering, Referred};
use crate::world::Who;

/// The call of this seed.
pub fn draw(seed: u64) -> Scenario {
    let mut random = Random::new(seed ^ 0x5eed);
    let ms = |random: &mut Random, least: u64, most: u64| Duration::from_millis(least + random.below(most - least));
    let human = |random: &mut Random| {
        let answering = match random.below(8) {
            0 => Answering::Refuse(*random.pick(&[486, 600, 603, 480, 404, 503])),
            1 => Answering::RingOn,
            2 => Answering::Dead,
            _ => Answering::After(ms(random, 0, 9000)),
        };
        let key = (!random.chance(200)).then(|| (ms(random, 100, 12_000), *random.pick(&['1', '1', '1', '2', '5'])));
        let hang_up = random.chance(200).then(|| ms(random, 50, 9000));
        Behaviour {
            answering,
            key,
            hang_up,
        }
    };
    let codecs = |random: &mut Random| {
        let both = [Encoding::Pcmu, Encoding::Pcma];
        match random.below(4) {
            0 => vec![both[0]],
            1 => vec![both[1]],
            2 => vec![both[0], both[1]],
            _ => vec![both[1], both[0]],
        }
    };
    let sip = *random.pick(&[Profile::PERFECT, Profile::BAD]);
    let rtp = *random.pick(&[
        Profile::PERFECT,
        Profile::PERFECT,
        Profile {
            loss: 10,
            ..Profile::BAD
        },
    ]);
    let mut scenario = Scenario {
        seed,
        mode: *random.pick(&[None, Some(Mode::Warm), Some(Mode::Cold)]),
        accept: *random.pick(&[Accept::Key, Accept::Answer, Accept::Api]),
        encodings: [codecs(&mut random), codecs(&mut random), codecs(&mut random)],
        humans: (0..1 + random.below(3)).map(|_| human(&mut random)).collect(),
        ai: Answering::After(ms(&mut random, 0, 500)),
        carrier: Referred::Refuses(405),
        handoff_at: Some(ms(&mut random, 2000, 6000)),
        caller_hangs_up: random.chance(250).then(|| ms(&mut random, 100, 30_000)),
        ai_hangs_up: random.chance(200).then(|| ms(&mut random, 2000, 20_000)),
        cancel_at: random.chance(150).then(|| ms(&mut random, 2000, 15_000)),
        ring: ms(&mut random, 2000, 9000),
        net: [sip, rtp],
        hop: ms(&mut random, 1, 15),
        quiet_humans: false,
        caller_keys: (0..random.below(4))
            .map(|_| (ms(&mut random, 500, 20_000), *random.pick(&['1', '5', '#'])))
            .collect(),
        also: Vec::new(),
        spray: random.chance(100).then(|| Duration::from_millis(200)),
        end: Duration::from_secs(50),
    };
    disturb(&mut random, &mut scenario);
    scenario
}

/// What disturbs a call: holds, mute parties, wishes at any time, an AI that does not come, a caller that does not wait.
fn disturb(random: &mut Random, scenario: &mut Scenario) {
    let ms = |random: &mut Random, least: u64, most: u64| Duration::from_millis(least + random.below(most - least));
    let who = |random: &mut Random| *random.pick(&[Who::Caller, Who::Caller, Who::Ai, Who::Human(0)]);
    if random.chance(300) {
        for _ in 0..1 + random.below(3) {
            let (who, at) = (who(random), ms(random, 500, 20_000));
            let direction = *random.pick(&[
                Direction::SendOnly,
                Direction::RecvOnly,
                Direction::Inactive,
                Direction::SendRecv,
            ]);
            let again = at + ms(random, 20, 8000);
            scenario
                .also
                .push((at.into(), Also::Reinvite(who, Offer::Direction(direction))));
            let resume = Offer::Direction(Direction::SendRecv);
            scenario.also.push((again.into(), Also::Reinvite(who, resume)));
        }
    }
    if random.chance(80) {
        let mute = Also::Mute(who(random));
        scenario.also.push((ms(random, 500, 20_000).into(), mute));
    }
    for (wish, chance) in [(Also::Handoff, 250), (Also::Accept, 250), (Also::Decline, 120)] {
        if random.chance(chance) {
            scenario.also.push((ms(random, 2000, 25_000).into(), wish));
        }
    }
    if random.chance(60) {
        scenario.ai = *random.pick(&[
            Answering::Refuse(486),
            Answering::Refuse(503),
            Answering::RingOn,
            Answering::Dead,
        ]);
    }
    if random.chance(60) {
        scenario.ai = Answering::After(ms(random, 500, 3000));
        scenario.caller_hangs_up = Some(ms(random, 0, 3000));
    }
}
