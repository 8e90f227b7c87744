//! A sprayer of valid-looking RTP on all ports gets nothing and changes nothing.

use super::*;
use crate::command::{Watch, WindowId};

/// RTP with every payload type that is mapped, and valid RTCP, on every port, from strangers.
fn spray(rig: &mut Rig) {
    for pair in 0..8u16 {
        for (n, odd) in [(0, 0), (1, 0), (2, 1)] {
            let from = SocketAddr::from(([198, 51, 100, 7], 4_000 + n));
            for payload_type in [0, 101, 72] {
                let header = Header {
                    marker: payload_type == 72,
                    payload_type,
                    sequence: Seq(u16::from(payload_type)),
                    timestamp: 5,
                    ssrc: 0xa000 + u32::from(pair),
                };
                let payload = if payload_type == 101 {
                    vec![1, 10, 0, 160]
                } else {
                    vec![0x10; 160]
                };
                let verdict = rig.packet_from(Port(10_000 + 2 * pair + odd), from, &header, &payload);
                assert!(matches!(verdict, Verdict::Drop(_)), "{verdict:?}");
            }
        }
    }
}

/// A call from before the answer to after it, with or without a sprayer.
fn call(mode: Latch, sprayed: bool) -> Rig {
    let mut rig = Rig::new();
    let noise = |rig: &mut Rig| {
        if sprayed {
            spray(rig);
        }
    };
    let with = |leg: LegSpec| LegSpec {
        latch: mode,
        dtmf: Dtmf::Take,
        ..leg
    };
    let window = |spec: SessionSpec| SessionSpec {
        watch: Some(Watch {
            window: WindowId(1),
            first_word_of: None,
        }),
        ..spec
    };
    noise(&mut rig);
    let mut early = with(leg(HUMAN, nobody()));
    early.remote = None;
    early.exchange = 0;
    let base = [with(leg(CALLER, hears(AI))), with(leg(AI, hears(CALLER)))];
    rig.talk(CALLER, 0, LOUD);
    rig.talk(AI, 5, LOUD);
    rig.set(window(spec(&[base[0].clone(), base[1].clone(), early])));
    rig.run(103);
    noise(&mut rig);
    rig.run(200);
    rig.talk(HUMAN, 2, LOUD);
    let joined = [with(leg(CALLER, hears(HUMAN))), with(leg(HUMAN, hears(CALLER)))];
    rig.set(window(spec(&joined)));
    rig.run(53);
    noise(&mut rig);
    rig.run(4_000);
    noise(&mut rig);
    rig.run(50);
    noise(&mut rig);
    rig.end();
    rig
}

#[test]
fn a_sprayer_before_during_and_after_the_answer_gets_nothing_and_changes_nothing() {
    for mode in [Latch::SignalledIp, Latch::Nat, Latch::Off] {
        let (clean, sprayed) = (call(mode, false), call(mode, true));
        assert_eq!(clean.events, shift(&sprayed, &clean), "{mode:?}");
        let bytes = |rig: &Rig| {
            rig.sent
                .iter()
                .map(|sent| (sent.at, sent.to, sent.bytes.clone()))
                .collect::<Vec<_>>()
        };
        assert_eq!(bytes(&clean), bytes(&sprayed), "{mode:?}");
        assert!(clean.sent.len() > 400);
        assert_eq!(sprayed.core.alive(), Alive::default());
        assert!(sprayed.dropped(Reason::Stranger) > 0);
        assert_eq!(clean.dropped(Reason::Stranger), 0);
    }
}

/// The events of one run on the clock of another, which started at another instant.
fn shift(rig: &Rig, other: &Rig) -> Vec<(u64, Event)> {
    let mut events = rig.events.clone();
    for (_, event) in &mut events {
        match event {
            Event::Applied { at, .. }
            | Event::Played { at, .. }
            | Event::Digit { at, .. }
            | Event::FirstWord { at, .. }
            | Event::Silent { at, .. }
            | Event::Sounding { at, .. } => *at = other.start + at.duration_since(rig.start),
            Event::Waiting { .. }
            | Event::Refused { .. }
            | Event::Evidence { .. }
            | Event::Ended { .. }
            | Event::Moved { .. } => {}
        }
    }
    events
}

#[test]
fn in_nat_mode_what_we_send_goes_where_the_peer_really_is() {
    let mut rig = Rig::new();
    let mut caller = leg(CALLER, hears(AI));
    caller.latch = Latch::Nat;
    rig.set(spec(&[caller, leg(AI, nobody())]));
    rig.talk(AI, 0, LOUD);
    rig.run(45);
    let behind_nat = SocketAddr::from(([203, 0, 113, 9], 61_000));
    let header = Header {
        marker: true,
        payload_type: 0,
        sequence: Seq(1),
        timestamp: 1,
        ssrc: 1,
    };
    rig.packet_from(port(CALLER), behind_nat, &header, &[0x10; 160]);
    rig.run(40);
    let to: Vec<_> = rig.heard(CALLER).iter().map(|sent| sent.to).collect();
    assert_eq!(
        to,
        [remote(CALLER), remote(CALLER), remote(CALLER), behind_nat, behind_nat]
    );
}

#[test]
fn garbage_is_malformed_and_a_port_without_a_leg_says_so() {
    let mut rig = Rig::new();
    rig.set(spec(&[leg(CALLER, nobody())]));
    for bytes in [
        &[][..],
        &[0x80],
        &[0x80; 11],
        &[0x00; 40],
        &[0xff; 40],
        &[0xbf; 40],
        &[0x81, 0xc8, 0xff, 0xff],
    ] {
        let verdict = rig.datagram(port(CALLER), remote(CALLER), bytes);
        assert_eq!(verdict, Verdict::Drop(Reason::Malformed), "{bytes:?}");
    }
    assert_eq!(
        rig.datagram(port(AI), remote(AI), &[0x80; 40]),
        Verdict::Drop(Reason::NoLeg)
    );
    let now = rig.instant();
    for port in [Port(9_999), Port(10_016), Port(0), Port(u16::MAX)] {
        let verdict = rig.core.handle_packet(now, port, remote(AI), &mut [0x80; 40], 40);
        assert_eq!(verdict, Verdict::Drop(Reason::NoLeg));
    }
    assert_eq!(
        rig.core
            .handle_packet(now, port(CALLER), remote(CALLER), &mut [0x80; 40], 41),
        Verdict::Drop(Reason::Malformed)
    );
    assert_eq!(rig.dropped(Reason::Malformed), 8);
}

#[test]
fn an_unmapped_payload_type_is_dropped_and_leaves_no_hole() {
    let mut rig = Rig::new();
    rig.set(spec(&[leg(CALLER, hears(AI)), leg(AI, nobody())]));
    rig.talk(AI, 0, LOUD);
    rig.run(45);
    let unmapped = Header {
        payload_type: 34,
        ..rig.talkers[0].header
    };
    assert_eq!(
        rig.packet(AI, &unmapped, &[0; 160]),
        Verdict::Drop(Reason::UnmappedPayload)
    );
    rig.talker(AI).header.sequence = unmapped.sequence.next();
    rig.run(60);
    assert_unbroken(&rig.heard(CALLER), 20 * MS);
}

/// The far side's music passes, and strangers' packets do not.
#[test]
fn who_is_held_without_an_address_hears_the_music() {
    for mode in [Latch::SignalledIp, Latch::Nat, Latch::Off] {
        let mut rig = Rig::new();
        let with = |leg: LegSpec| LegSpec { latch: mode, ..leg };
        let talking = spec(&[with(leg(CALLER, hears(HUMAN))), with(leg(HUMAN, hears(CALLER)))]);
        rig.set(talking.clone());
        rig.talk(CALLER, 0, LOUD);
        rig.talk(HUMAN, 5, LOUD);
        rig.run(500);
        let mut held = talking;
        held.legs[1].remote = None;
        held.legs[1].remote_rtcp = None;
        held.legs[1].exchange += 1;
        held.legs[1].send = false;
        rig.set(held);
        let music = [0x92, 0x12];
        rig.talker(HUMAN).payload = music.repeat(80);
        rig.sent.clear();
        rig.run(53);
        spray(&mut rig);
        rig.run(950);
        let heard = rig.heard(CALLER);
        assert!(heard.len() >= 49, "{mode:?}: {}", heard.len());
        let payload = |sent: &&Sent| sent.payload().iter().all(|byte| music.contains(byte));
        assert!(heard[1..].iter().all(|sent| payload(&sent)), "{mode:?}");
        assert_eq!(
            rig.heard(HUMAN).len(),
            0,
            "{mode:?}: nothing is sent to who has no address"
        );
        // And where the music is over, that is said.
        rig.hush(HUMAN);
        rig.run(1_100);
        let silent = |(_, event): &(u64, Event)| matches!(event, Event::Silent { leg, .. } if *leg == HUMAN);
        assert!(rig.events.iter().any(silent), "{mode:?}");
    }
}
