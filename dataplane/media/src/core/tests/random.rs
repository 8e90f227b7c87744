//! Whatever comes, the core does not panic, every listener's line stays one line, and nothing is left over.

use super::*;
use crate::codec::opus::Settings;
use crate::coders::{Coders, Sizes};
use crate::command::{Watch, WindowId};
use crate::seed::Seed;

fn one_in(seed: &mut Seed, n: u64) -> bool {
    seed.next().is_multiple_of(n)
}

fn row(seed: &mut Seed, own: LegId) -> Hears {
    let mut row = match seed.next() % 4 {
        0 => nobody(),
        1 => plays(
            seed.next() % 3,
            &[SHORT, BRIEF][..(seed.next() % 3) as usize],
            one_in(seed, 2),
        ),
        _ => Hears::default(),
    };
    if !one_in(seed, 3) {
        row.legs.push(LegId((seed.next() % 4) as u16).into());
        while one_in(seed, 3) && !row.legs.is_full() {
            let leg = LegId((seed.next() % 4) as u16);
            if row.sources().all(|heard| heard != leg) {
                row.legs.push(leg.into());
            }
        }
        if one_in(seed, 6) {
            row.legs[0].gain_db = (seed.next() % 20) as i8 - 10;
        }
        if !one_in(seed, 8) {
            row.legs.retain(|heard| heard.leg != own);
        }
    }
    if one_in(seed, 6) {
        row.patience = Duration::from_millis(seed.next() % 400);
    }
    row
}

/// What each leg speaks: G.711 in half of the runs, anything in the others; and now and then something else for a while.
type Spoken = [Codec; 4];

fn spoken(seed: &mut Seed) -> Spoken {
    if one_in(seed, 2) {
        return [Codec::Pcmu, Codec::Pcma, Codec::Pcmu, Codec::Pcmu];
    }
    std::array::from_fn(|_| any(seed))
}

fn any(seed: &mut Seed) -> Codec {
    Codec::ALL[(seed.next() % Codec::ALL.len() as u64) as usize]
}

fn random_leg(seed: &mut Seed, id: LegId, spoken: Spoken) -> LegSpec {
    let codec = match one_in(seed, 12) {
        true => any(seed),
        false => spoken[usize::from(id.0)],
    };
    let mut leg = leg_in(id, codec, row(seed, id));
    if one_in(seed, 8) {
        leg.send = false;
    }
    if one_in(seed, 8) {
        leg.remote = None;
    }
    if one_in(seed, 2) {
        leg.remote_rtcp = Some(remote(id));
    }
    if id == AI {
        leg.format.events = None;
    }
    leg.format.comfort_noise = Some(13).filter(|_| id == HUMAN && codec.clock_hz() == 8_000);
    leg.receive = !one_in(seed, 8);
    leg.dtmf = [Dtmf::Relay, Dtmf::Relay, Dtmf::Take, Dtmf::Drop][(seed.next() % 4) as usize];
    leg.ptime_ms = [20, 20, 30, 10, 40, 50, 60][(seed.next() % 7) as usize];
    leg
}

fn random_spec(seed: &mut Seed, spoken: Spoken) -> SessionSpec {
    let legs = (0..4).map(LegId).filter(|_| !one_in(seed, 8));
    let legs: Vec<_> = legs.collect();
    let legs = legs.into_iter().map(|id| random_leg(seed, id, spoken)).collect();
    let first_word_of = Some(HUMAN).filter(|_| one_in(seed, 2));
    let watch = Watch {
        window: WindowId(seed.next() % 3),
        first_word_of,
    };
    SessionSpec {
        legs,
        watch: Some(watch).filter(|_| !one_in(seed, 3)),
    }
}

fn random_datagram(rig: &mut Rig, seed: &mut Seed) {
    let mut bytes = vec![0; (seed.next() % 400) as usize];
    for byte in &mut bytes {
        *byte = seed.next() as u8;
    }
    if let [first, second, ..] = &mut bytes[..] {
        *first = [0x80, 0x80, 0x90, 0xa0, 0x8f, *first][(seed.next() % 6) as usize];
        *second = [0, 8, 13, 101, 200, 201, *second][(seed.next() % 7) as usize];
    }
    let from = remote(LegId((seed.next() % 4) as u16));
    rig.datagram(Port(10_000 + (seed.next() % 10) as u16), from, &bytes);
}

fn run(number: u64) {
    let mut seed = Seed::new(number);
    let spoken = spoken(&mut seed);
    // Now and then there are too few.
    let sizes = Sizes {
        wide: 1 + (seed.next() % 8) as usize,
        opus_narrow: (seed.next() % 5) as usize,
        opus_wide: (seed.next() % 5) as usize,
        mixers: (seed.next() % 5) as usize,
        ears: number as usize % 3,
        keys: number as usize % 2,
        listeners: number as usize % 5,
    };
    let coders = Arc::new(Coders::new(sizes, &Settings::default()).unwrap());
    let mut rig = Rig::with(Config {
        coders: coders.clone(),
        ..config()
    });
    for (id, codec) in spoken.into_iter().enumerate() {
        rig.talk_in(LegId(id as u16), seed.next() % 20, codec);
    }
    for _ in 0..60 {
        match seed.next() % 10 {
            0..5 => {
                let spec = random_spec(&mut seed, spoken);
                rig.set(spec);
            }
            5 => {
                for _ in 0..20 {
                    random_datagram(&mut rig, &mut seed);
                }
            }
            6 => {
                let talker = &mut rig.talkers[(seed.next() % 4) as usize];
                talker.header.sequence = talker.header.sequence.plus((seed.next() % 5) as u16);
                talker.next += seed.next() % (200 * MS);
            }
            7 => {
                let talker = &mut rig.talkers[(seed.next() % 4) as usize];
                talker.header.payload_type =
                    [super::number(talker.codec), super::number(talker.codec), 0, 13, 101][(seed.next() % 5) as usize];
            }
            8 => rig.now += seed.next() % (300 * MS),
            _ if one_in(&mut seed, 4) => rig.end(),
            _ => {}
        }
        rig.run(seed.next() % 150);
        let alive = rig.core.alive();
        assert!(
            alive.sessions <= 1 && alive.legs <= 4 && alive.pending == 0 && alive.ready == 0,
            "{alive:?}"
        );
    }
    assert_conserved(&mut rig);
    assert_eq!(coders.free(), sizes);
    assert_eq!(rig.core.counters().lost, 0);
    // Of rubbish some is in a length that the listener's codec has not.
    let unfit = rig.dropped(Reason::Untranscodable);
    for (at, event) in &rig.events {
        if let Event::Evidence { listeners, .. } = event {
            for (leg, e) in listeners {
                let ours = (
                    e.lost > unfit,
                    e.reordered,
                    e.duplicated,
                    e.sequence_breaks,
                    e.timestamp_breaks,
                );
                assert_eq!(ours, (false, 0, 0, 0, 0), "{leg:?} at {} ms of seed {number}", at / MS);
            }
        }
    }
}

#[test]
fn random_packets_commands_and_stalls_leave_nothing_behind() {
    for seed in 0..300 {
        run(seed);
    }
}
