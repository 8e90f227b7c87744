//! Both families of addresses: on one socket, and each alone.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use media::command::LegSpec;
use media::rtcp::{Compound, Packet, Report, SenderInfo};

use super::*;
use crate::common::has_ipv6;

const FOUR: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const SIX: IpAddr = IpAddr::V6(Ipv6Addr::LOCALHOST);
const ANY: IpAddr = IpAddr::V6(Ipv6Addr::UNSPECIFIED);

fn start(backend: Backend, address: IpAddr, first: u16, pairs: u16) -> Engine {
    let mut config = config(backend, &[(first, pairs)]);
    config.workers[0].address = address;
    Engine::start(config).expect("it starts")
}

/// A party with a socket for RTCP of its own.
struct Party {
    peer: Peer,
    rtcp: UdpSocket,
    ssrc: u32,
}

impl Party {
    fn new(ip: IpAddr, ssrc: u32) -> Party {
        let rtcp = UdpSocket::bind((ip, 0)).expect("a port for RTCP");
        rtcp.set_read_timeout(Some(PATIENCE)).expect("a time-out");
        let peer = Peer::at(ip, ssrc, Codec::Pcmu);
        Party { peer, rtcp, ssrc }
    }

    fn leg(&self, id: u16, port: u16, hears: &[u16], latch: media::command::Latch) -> LegSpec {
        LegSpec {
            remote_rtcp: Some(self.rtcp.local_addr().expect("a name")),
            latch,
            ..leg(id, port, &self.peer, super::hears(hears))
        }
    }

    fn report(&self, to: u16) {
        let report = Report {
            ssrc: self.ssrc,
            sender: Some(SenderInfo {
                ntp: media::rtcp::Ntp(0x1234_5678_0000_0000),
                ..SenderInfo::default()
            }),
            blocks: &[],
            cname: "party",
            bye: false,
        };
        let mut packet = [0; 256];
        let len = report.write(&mut packet).expect("there is room");
        let to = SocketAddr::new(self.peer.address().ip(), to);
        self.rtcp.send_to(&packet[..len], to).expect("sent");
    }

    /// The last report of our line: where it came from, and whether it answers ours.
    fn goodbye(&self) -> (SocketAddr, bool) {
        let mut packet = [0; 1500];
        loop {
            let (len, from) = self.rtcp.recv_from(&mut packet).expect("RTCP in time");
            let compound = Compound::parse(&packet[..len]).expect("RTCP");
            if compound.packets().any(|packet| matches!(packet, Packet::Bye { .. })) {
                let answers = compound.packets().any(|packet| match packet {
                    Packet::SenderReport { blocks, .. } | Packet::ReceiverReport { blocks, .. } => blocks
                        .iter()
                        .any(|block| block.ssrc == self.ssrc && block.last_sr == 0x5678_0000),
                    _ => false,
                });
                return (from, answers);
            }
        }
    }
}

/// RTP both ways and RTCP both ways, and the end of the session.
fn relays(backend: Backend, address: IpAddr, caller: IpAddr, ai: IpAddr, latch: media::command::Latch) {
    let first = free_ports(4);
    let engine = start(backend, address, first, 2);
    let ports = [first, first + 2];
    let (mut caller, mut ai) = (Party::new(caller, 0x11), Party::new(ai, 0x22));
    let legs = [caller.leg(1, ports[0], &[2], latch), ai.leg(2, ports[1], &[1], latch)];
    engine.send(0, set(5, 1, legs)).expect("there is room");
    let (_, applied) = event(&engine);
    assert!(matches!(applied, Event::Applied { .. }), "{applied:?}");
    let mut packet = [0; 1500];
    for round in 0..50u8 {
        caller.peer.say(ports[0], &[round; 160]);
        let (len, from) = ai.peer.hear(0, &mut packet);
        assert_eq!(packet[HEADER..len], [round; 160]);
        // The party sees its own family, as it was told by SDP.
        assert_eq!(from, SocketAddr::new(ai.peer.address().ip(), ports[1]));

        ai.peer.say(ports[1], &[!round; 160]);
        let (len, from) = caller.peer.hear(0, &mut packet);
        assert_eq!(packet[HEADER..len], [!round; 160]);
        assert_eq!(from, SocketAddr::new(caller.peer.address().ip(), ports[0]));
    }
    caller.report(ports[0] + 1);
    ai.report(ports[1] + 1);
    let start = Instant::now();
    while engine.stats(0).rtcp < 2 {
        assert!(
            start.elapsed() < PATIENCE,
            "both reports are taken: {:?}",
            engine.stats(0)
        );
        thread::yield_now();
    }
    let session = SessionId(5);
    engine.send(0, Command::End { session }).expect("there is room");
    while event(&engine).1 != (Event::Ended { session }) {}
    let to = |party: &Party, port: u16| SocketAddr::new(party.peer.address().ip(), port);
    assert_eq!(caller.goodbye(), (to(&caller, ports[0] + 1), true));
    assert_eq!(ai.goodbye(), (to(&ai, ports[1] + 1), true));
    let stats = published(&engine, 0, |stats| stats.sessions == 0);
    assert_eq!((stats.forwarded, stats.send_errors), (100, 0), "{stats:?}");
    assert!(stats.dropped.iter().all(|dropped| *dropped == 0), "{stats:?}");
}

/// All at one time, on each way into the kernel: what takes time is the wait for RTCP.
fn relay_all(ways: &[(IpAddr, IpAddr, IpAddr, media::command::Latch)]) {
    thread::scope(|scope| {
        for backend in BOTH {
            for &(address, caller, ai, latch) in ways {
                scope.spawn(move || relays(backend, address, caller, ai, latch));
            }
        }
    });
}

#[test]
fn one_socket_serves_both_families() {
    use media::command::Latch::{Nat, Off, SignalledIp};
    if !has_ipv6() {
        return;
    }
    let mut ways = vec![(ANY, FOUR, FOUR, Off), (ANY, SIX, SIX, Off)];
    for latch in [SignalledIp, Nat, Off] {
        ways.extend([(ANY, FOUR, SIX, latch), (ANY, SIX, FOUR, latch)]);
    }
    relay_all(&ways);
}

#[test]
fn each_family_alone() {
    use media::command::Latch::Off;
    let mut ways = vec![(FOUR, FOUR, FOUR, Off)];
    if has_ipv6() {
        ways.push((SIX, SIX, SIX, Off));
    }
    relay_all(&ways);
}

#[test]
fn a_leg_moves_to_the_other_family_in_the_middle_of_a_call() {
    for backend in BOTH {
        use media::command::Latch::SignalledIp;
        if !has_ipv6() {
            return;
        }
        let first = free_ports(4);
        let engine = start(backend, ANY, first, 2);
        let ports = [first, first + 2];
        let mut ai = Party::new(FOUR, 0x22);
        let mut packet = [0; 1500];
        for (generation, ip) in [(1, FOUR), (2, SIX), (3, FOUR)] {
            let mut caller = Party::new(ip, 0x11);
            let spec = LegSpec {
                exchange: generation as u32,
                ..caller.leg(1, ports[0], &[2], SignalledIp)
            };
            let legs = [spec, ai.leg(2, ports[1], &[1], SignalledIp)];
            engine.send(0, set(5, generation, legs)).expect("there is room");
            // Said again until it is heard: the first one may be there before the command is.
            let mut from_caller = false;
            while !from_caller {
                caller.peer.say(ports[0], &[generation as u8; 160]);
                from_caller = ai.peer.hear(0, &mut packet).0 == HEADER + 160 && packet[HEADER] == generation as u8;
            }
            let mut from_ai = false;
            while !from_ai {
                ai.peer.say(ports[1], &[0x40 | generation as u8; 160]);
                from_ai =
                    caller.peer.hear(0, &mut packet).0 == HEADER + 160 && packet[HEADER] == 0x40 | generation as u8;
            }
        }
    }
}

#[test]
fn an_address_of_one_family_leaves_the_port_of_the_other_free() {
    if !has_ipv6() {
        return;
    }
    let first = free_ports(2);
    let _six = start(Backend::Auto, SIX, first, 1);
    let _four = start(Backend::Auto, FOUR, first, 1);
    let error = Engine::start({
        let mut config = config(Backend::Auto, &[(first, 1)]);
        config.workers[0].address = ANY;
        config
    })
    .expect_err("both families of the port are taken");
    assert!(matches!(error, StartError::PortTaken { .. }), "{error}");
}

#[test]
fn a_peer_of_the_family_that_is_not_there_is_a_failed_send_and_no_more() {
    for backend in BOTH {
        if !has_ipv6() {
            return;
        }
        for (ours, theirs) in [(FOUR, SIX), (SIX, FOUR)] {
            let first = free_ports(4);
            let engine = start(backend, ours, first, 2);
            let (mut here, there) = (Peer::at(ours, 1, Codec::Pcmu), Peer::at(theirs, 2, Codec::Pcmu));
            let legs = [
                leg(1, first, &here, hears(&[2])),
                leg(2, first + 2, &there, hears(&[1])),
            ];
            engine.send(0, set(5, 1, legs)).expect("there is room");
            let start = Instant::now();
            while engine.stats(0).send_errors == 0 {
                assert!(start.elapsed() < PATIENCE, "{:?}", engine.stats(0));
                here.say(first, &[1; 160]);
            }
            assert!(engine.is_running(0));
        }
    }
}
