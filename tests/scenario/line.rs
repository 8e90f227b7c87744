//! The line never breaks: measured packet by packet as they leave, on virtual time.

use std::time::Duration;

use playbook::Mode;
use sim::net::Profile;
use sim::scenario::Behaviour;
use sim::ua::Answering;
use sim::world::Who;
use sim::{Scenario, Sound, World};

const PACKET: Duration = Duration::from_millis(20);

/// Whatever the phases of the parties and the delay of commands: a gap of 40 ms and a cut of 22 ms at the most.
#[test]
fn gap_and_cut_are_bounded_in_every_phase() {
    let mut worst = (Duration::ZERO, Duration::ZERO);
    for seed in 0..60 {
        let mode = if seed % 2 == 0 { Mode::Warm } else { Mode::Cold };
        let hop = Duration::from_micros(100 + seed * 40);
        let world = World::run(Scenario {
            mode: Some(mode),
            hop,
            ..Scenario::warm(1000 + seed)
        });
        world.assert_no_faults();
        let from = world.step_at("requested").unwrap() - world.start - PACKET;
        let line = world.line(Who::Caller, from, world.scenario.end);
        assert!(
            line.longest_gap <= 2 * PACKET,
            "seed {}: gap {:?}",
            1000 + seed,
            line.longest_gap
        );
        assert!(
            line.longest_cut <= Duration::from_millis(22),
            "seed {}: cut {:?}",
            1000 + seed,
            line.longest_cut
        );
        assert_eq!(
            line.unmarked,
            0,
            "seed {}: the first packet of a new source has the marker",
            1000 + seed
        );
        worst = (worst.0.max(line.longest_gap), worst.1.max(line.longest_cut));
    }
    assert!(worst.0 >= PACKET, "the worst gap {worst:?} is too good to be measured");
}

#[test]
fn one_ssrc_and_no_break_over_failure_and_second_handoff() {
    let humans = vec![Behaviour::not(Answering::Refuse(486))];
    let mut world = World::new(Scenario {
        humans,
        end: Duration::from_secs(40),
        ..Scenario::warm(20)
    });
    world.run_until(Duration::from_secs(15));
    world.ask_for_handoff();
    world.run_until(Duration::from_secs(170));
    world.assert_no_faults();
    let line = world.line(Who::Caller, Duration::ZERO, Duration::from_secs(60));
    assert_eq!(
        (
            line.ssrcs,
            line.sequence_breaks,
            line.timestamp_breaks,
            line.timestamp_jumps
        ),
        (1, 0, 0, 0)
    );
    assert_eq!(world.steps().iter().filter(|step| **step == "closed").count(), 2);
}

/// Nothing that reached us is lost: what a party sent and we held arrives in full.
#[test]
fn every_packet_of_the_human_after_the_join_reaches_the_caller() {
    let world = World::run(Scenario::warm(21));
    world.assert_no_faults();
    let human: Vec<_> = world
        .sent
        .iter()
        .filter(|s| s.to == Who::Caller && s.sound == Some(Sound::Human(0)))
        .collect();
    let (first, last) = (human.first().unwrap(), human.last().unwrap());
    let expected = (last.at - first.at).as_millis() / 20 + 1;
    assert_eq!(
        human.len() as u128,
        expected,
        "a packet every 20 ms from the first to the last"
    );
}

/// Loss, reordering and doubling upstream pass through as they are, and are counted as upstream's.
#[test]
fn upstream_faults_are_upstream_s() {
    let rtp = Profile {
        delay: Duration::from_millis(5),
        jitter: Duration::from_millis(25),
        loss: 30,
        duplicate: 10,
    };
    let (mut lost, mut reordered, mut duplicated) = (0, 0, 0);
    for seed in 30..36 {
        let world = World::run(Scenario {
            net: [Profile::PERFECT, rtp],
            quiet_humans: true,
            ..Scenario::warm(seed)
        });
        assert!(world.evidence(calls::notice::Party::Caller).is_some(), "seed {seed}");
        for party in [calls::notice::Party::Caller, calls::notice::Party::Human] {
            let Some(evidence) = world.evidence(party) else {
                continue;
            };
            assert_eq!(
                (evidence.lost, evidence.reordered, evidence.duplicated),
                (0, 0, 0),
                "seed {seed} {party:?}"
            );
            assert_eq!(evidence.sequence_breaks, 0, "seed {seed} {party:?}");
            lost += evidence.upstream_lost;
            reordered += evidence.upstream_reordered;
            duplicated += evidence.upstream_duplicated;
        }
    }
    assert!(
        lost > 0 && reordered > 0 && duplicated > 0,
        "{lost} {reordered} {duplicated}"
    );
}

/// What the caller presses reaches the AI, each digit once with its end, however the network treats it.
#[test]
fn digits_are_relayed_whole() {
    for seed in 50..56 {
        let keys: Vec<(Duration, char)> = "159#0"
            .chars()
            .enumerate()
            .map(|(n, key)| (Duration::from_millis(1000 + 350 * n as u64), key))
            .collect();
        let lossless = Profile {
            delay: Duration::from_millis(5),
            jitter: Duration::from_millis(15),
            loss: 0,
            duplicate: 0,
        };
        let net = [
            Profile::PERFECT,
            if seed % 2 == 0 { Profile::PERFECT } else { lossless },
        ];
        let world = World::run(Scenario {
            caller_keys: keys,
            net,
            ..Scenario::warm(seed)
        });
        world.assert_no_faults();
        let mut pressed: Vec<(u32, u8, bool)> = world
            .sent
            .iter()
            .filter(|s| s.to == Who::Ai && s.sound.is_none())
            .map(|s| (s.packet.timestamp, s.packet.payload[0], s.packet.payload[1] & 0x80 != 0))
            .collect();
        pressed.sort_unstable();
        pressed.dedup();
        let ends: Vec<u8> = pressed
            .iter()
            .filter(|(_, _, end)| *end)
            .map(|(_, event, _)| *event)
            .collect();
        assert_eq!(
            ends,
            [1, 5, 9, 11, 0],
            "seed {seed}: each digit has its end once, in order"
        );
        let line = world.line(Who::Ai, Duration::ZERO, Duration::from_secs(3));
        if seed % 2 == 0 {
            assert_eq!(
                (line.ssrcs, line.sequence_breaks, line.timestamp_breaks),
                (1, 0, 0),
                "seed {seed}"
            );
        }
    }
}

/// Strangers that send valid-looking RTP to all ports, all the time, get nothing and change nothing.
#[test]
fn a_sprayer_changes_nothing() {
    let quiet = World::run(Scenario::warm(40));
    let sprayed = World::run(Scenario {
        spray: Some(Duration::from_millis(7)),
        ..Scenario::warm(40)
    });
    sprayed.assert_no_faults();
    let heard = |world: &World| -> Vec<_> {
        world
            .sent
            .iter()
            .map(|s| (s.at - world.start, s.to, s.packet.clone()))
            .collect()
    };
    assert_eq!(
        heard(&quiet),
        heard(&sprayed),
        "every packet to every party is the same to the bit"
    );
}
