use super::Admission::{Accept, StrangeSource, Stranger};
use super::*;

const MODES: [Latch; 3] = [Latch::SignalledIp, Latch::Nat, Latch::Off];

fn at(address: &str) -> SocketAddr {
    address.parse().unwrap()
}

struct Scene {
    start: Instant,
    latch: Latched,
    mode: Latch,
    signalled: SocketAddr,
    exchanges: u32,
}

impl Scene {
    /// An offer/answer at 0 ms.
    fn new(mode: Latch, signalled: &str) -> Scene {
        let mut scene = Scene {
            start: Instant::now(),
            latch: Latched::new(mode),
            mode,
            signalled: at(signalled),
            exchanges: 0,
        };
        scene.exchange(0, signalled);
        scene
    }

    fn exchange(&mut self, ms: u64, signalled: &str) {
        self.signalled = at(signalled);
        self.exchanges += 1;
        self.repeat(ms);
    }

    /// The same `Set` once more.
    fn repeat(&mut self, ms: u64) {
        let now = self.start + Duration::from_millis(ms);
        self.latch.set(now, self.mode, Some(self.signalled), self.exchanges);
    }

    fn packet(&mut self, ms: u64, from: &str, ssrc: u32) -> Admission {
        self.latch
            .accept(self.start + Duration::from_millis(ms), at(from), ssrc, true)
    }

    /// The peer speaks every 20 ms while the sprayer fires from each of its addresses right before each of its packets.
    fn under_fire(&mut self, ms: std::ops::Range<u64>, peer: &str, ssrc: u32, sprayer: &[&str]) {
        for now in ms.step_by(20) {
            for (n, from) in sprayer.iter().enumerate() {
                // Its own SSRC, and the peer's.
                for guess in [0xbad + n as u32, ssrc] {
                    assert_eq!(
                        self.packet(now, from, guess),
                        Stranger,
                        "{:?} {now} ms {from}",
                        self.mode
                    );
                }
            }
            assert_eq!(self.packet(now, peer, ssrc), Accept, "{:?} {now} ms", self.mode);
            assert_eq!(self.latch.holder(), Some((at(peer), ssrc)));
        }
    }
}

const SPRAYER: [&str; 4] = [
    "198.51.100.9:4000",
    "203.0.113.7:6000",
    "[2001:db8:bad::1]:4000",
    "192.0.2.99:5000",
];

#[test]
fn everybody_is_a_stranger_before_the_sdp() {
    for mode in MODES {
        let mut latch = Latched::new(mode);
        let now = Instant::now();
        assert_eq!(latch.accept(now, at("192.0.2.1:4000"), 1, true), Stranger);
        latch.set(now, mode, None, 1);
        assert_eq!(latch.accept(now, at("192.0.2.1:4000"), 1, true), Stranger);
        assert_eq!((latch.destination(), latch.holder()), (None, None));
    }
}

#[test]
fn a_sprayer_gets_nothing_before_during_and_after_the_answer() {
    for mode in MODES {
        let mut scene = Scene {
            start: Instant::now(),
            latch: Latched::new(mode),
            mode,
            signalled: at("192.0.2.1:4000"),
            exchanges: 0,
        };
        for now in (0..2000).step_by(20) {
            for from in SPRAYER {
                assert_eq!(scene.packet(now, from, 1), Stranger);
            }
        }
        scene.exchange(2000, "192.0.2.1:4000");
        if mode == Latch::Nat {
            // What latching to an unknown address cannot avoid: the peer must be the first. Then it is held.
            assert_eq!(scene.packet(2000, "192.0.2.1:4000", 7), Accept);
        }
        scene.under_fire(2000..12_000, "192.0.2.1:4000", 7, &SPRAYER);
        // Session refreshes give it no chance either.
        scene.exchange(12_000, "192.0.2.1:4000");
        scene.under_fire(12_000..16_000, "192.0.2.1:4000", 7, &SPRAYER);
        assert_eq!(scene.latch.destination(), Some(at("192.0.2.1:4000")));
    }
}

#[test]
fn signalled_ip_locks_the_first_port_of_the_address() {
    let mut scene = Scene::new(Latch::SignalledIp, "192.0.2.1:4000");
    assert_eq!(scene.packet(0, "192.0.2.2:4000", 7), Stranger);
    // The signalled port has the first word for 200 ms.
    for now in [0, 100, 199] {
        assert_eq!(scene.packet(now, "192.0.2.1:5000", 7), Stranger);
    }
    assert_eq!(scene.packet(200, "192.0.2.1:5000", 7), Accept);
    assert_eq!(scene.latch.holder(), Some((at("192.0.2.1:5000"), 7)));
    // Another port of the same host, with whatever SSRC, even after a long silence.
    for now in [220, 6000, 60_000] {
        assert_eq!(scene.packet(now, "192.0.2.1:5002", 7), Stranger);
        assert_eq!(scene.packet(now, "192.0.2.1:5002", 8), Stranger);
    }
    // We send where the SDP says.
    assert_eq!(scene.latch.destination(), Some(at("192.0.2.1:4000")));
}

#[test]
fn the_signalled_port_beats_a_faster_one_of_the_same_host() {
    let mut scene = Scene::new(Latch::SignalledIp, "192.0.2.1:4000");
    assert_eq!(scene.packet(250, "192.0.2.1:6666", 1), Accept);
    assert_eq!(scene.packet(260, "192.0.2.1:4000", 7), Accept);
    scene.under_fire(260..8000, "192.0.2.1:4000", 7, &["192.0.2.1:6666", "192.0.2.1:4002"]);
    // A re-INVITE does not change that while the peer speaks.
    scene.exchange(8000, "192.0.2.1:4000");
    scene.under_fire(8000..9000, "192.0.2.1:4000", 7, &["192.0.2.1:6666"]);
}

#[test]
fn a_new_ssrc_of_the_same_peer_is_accepted() {
    for mode in MODES {
        let mut scene = Scene::new(mode, "192.0.2.1:4000");
        assert_eq!(scene.packet(0, "192.0.2.1:4000", 7), Accept);
        // A transfer on the far side, without any signalling.
        assert_eq!(scene.packet(20, "192.0.2.1:4000", 8), Accept);
        // Late packets of the old source do not swing the line back.
        assert_eq!(scene.packet(25, "192.0.2.1:4000", 7), StrangeSource);
        assert_eq!(scene.packet(40, "192.0.2.1:4000", 8), Accept);
        // But a transfer back does, once the second one is silent.
        assert_eq!(scene.packet(60, "192.0.2.1:4000", 7), StrangeSource);
        assert_eq!(scene.packet(140, "192.0.2.1:4000", 7), Accept);
        assert_eq!(scene.latch.holder(), Some((at("192.0.2.1:4000"), 7)));
        // Nor does a re-INVITE make it wait.
        scene.exchange(150, "192.0.2.1:4000");
        assert_eq!(scene.packet(151, "192.0.2.1:4000", 9), Accept);
    }
}

#[test]
fn off_takes_the_exact_address_and_port_alone() {
    let mut scene = Scene::new(Latch::Off, "192.0.2.1:4000");
    for now in [0, 3000, 60_000] {
        assert_eq!(scene.packet(now, "192.0.2.1:4002", 7), Stranger);
        assert_eq!(scene.packet(now, "192.0.2.2:4000", 7), Stranger);
    }
    assert_eq!(scene.packet(60_000, "192.0.2.1:4000", 7), Accept);
    scene.exchange(60_020, "192.0.2.1:4100");
    assert_eq!(scene.packet(60_020, "192.0.2.1:4000", 7), Stranger);
    assert_eq!(scene.packet(60_040, "192.0.2.1:4100", 9), Accept);
}

#[test]
fn nat_locks_address_and_port_follows_the_ssrc_and_sends_there() {
    let mut scene = Scene::new(Latch::Nat, "10.0.0.5:4000");
    assert_eq!(scene.latch.destination(), Some(at("10.0.0.5:4000")));
    assert_eq!(scene.packet(2900, "192.0.2.1:31000", 7), Accept);
    assert_eq!(scene.latch.destination(), Some(at("192.0.2.1:31000")));
    assert_eq!(scene.packet(2920, "192.0.2.1:31001", 7), Stranger);
    assert_eq!(scene.packet(2940, "192.0.2.1:31000", 7), Accept);
    // Transferred behind its NAT, long after the window.
    assert_eq!(scene.packet(60_000, "192.0.2.1:31000", 8), Accept);
    assert_eq!(scene.latch.holder(), Some((at("192.0.2.1:31000"), 8)));
}

#[test]
fn nat_is_closed_three_seconds_after_the_exchange() {
    let mut scene = Scene::new(Latch::Nat, "10.0.0.5:4000");
    assert_eq!(scene.packet(3000, "192.0.2.1:31000", 7), Stranger);
    // The same Set again does not open it.
    scene.repeat(3010);
    assert_eq!(scene.packet(3020, "192.0.2.1:31000", 7), Stranger);
    scene.exchange(4000, "10.0.0.5:4000");
    assert_eq!(scene.packet(4020, "192.0.2.1:31000", 7), Accept);
}

#[test]
fn nat_takes_a_late_peer_only_where_its_sdp_says() {
    let mut scene = Scene::new(Latch::Nat, "192.0.2.1:4000");
    assert_eq!(scene.packet(9000, "192.0.2.1:4001", 7), Stranger);
    assert_eq!(scene.packet(9000, "192.0.2.1:4000", 7), Accept);
}

#[test]
fn nat_prefers_the_signalled_address_to_a_faster_one() {
    let mut scene = Scene::new(Latch::Nat, "192.0.2.1:4000");
    assert_eq!(scene.packet(0, "198.51.100.9:4000", 1), Accept);
    assert_eq!(scene.packet(20, "192.0.2.1:4000", 7), Accept);
    scene.under_fire(20..8000, "192.0.2.1:4000", 7, &SPRAYER);
}

#[test]
fn nat_follows_a_neighbour_after_five_seconds_of_silence() {
    let mut scene = Scene::new(Latch::Nat, "10.0.0.5:4000");
    assert_eq!(scene.packet(0, "192.0.2.1:31000", 7), Accept);
    assert_eq!(scene.packet(4999, "192.0.2.77:32000", 8), Stranger);
    assert_eq!(scene.packet(9000, "192.0.3.1:31000", 7), Stranger);
    assert_eq!(scene.packet(9000, "192.0.2.77:32000", 8), Accept);
    assert_eq!(scene.latch.destination(), Some(at("192.0.2.77:32000")));
    // The silence counts from the new holder's packets.
    assert_eq!(scene.packet(9020, "192.0.2.1:31000", 7), Stranger);
}

#[test]
fn nat_follows_the_peer_of_a_re_invite_when_the_old_one_is_silent() {
    let mut scene = Scene::new(Latch::Nat, "10.0.0.5:4000");
    assert_eq!(scene.packet(0, "192.0.2.1:31000", 7), Accept);
    scene.exchange(10_000, "10.9.0.5:4000");
    assert_eq!(scene.packet(10_000, "192.0.2.1:31000", 7), Accept);
    scene.exchange(10_010, "10.9.0.5:4000");
    assert_eq!(scene.packet(10_050, "203.0.113.5:20000", 8), Stranger);
    assert_eq!(scene.packet(10_100, "203.0.113.5:20000", 8), Accept);
    assert_eq!(scene.packet(10_120, "192.0.2.1:31000", 7), Stranger);
    // A re-INVITE may bring a new SSRC at once.
    scene.exchange(11_000, "10.9.0.5:4000");
    assert_eq!(scene.packet(11_000, "203.0.113.5:20000", 9), Accept);
}

#[test]
fn a_re_invite_to_another_address_takes_effect_at_once() {
    for mode in MODES {
        let mut scene = Scene::new(mode, "192.0.2.1:4000");
        assert_eq!(scene.packet(0, "192.0.2.1:4000", 7), Accept);
        scene.exchange(1000, "203.0.113.5:6000");
        assert_eq!(scene.packet(1000, "203.0.113.5:6000", 8), Accept);
        assert_eq!(scene.packet(1010, "192.0.2.1:4000", 7), Stranger);
        assert_eq!(scene.latch.destination(), Some(at("203.0.113.5:6000")));
    }
}

#[test]
fn an_unmapped_payload_type_locks_nothing_and_keeps_nothing_alive() {
    for mode in MODES {
        let mut scene = Scene::new(mode, "192.0.2.1:4000");
        let start = scene.start;
        assert_eq!(scene.latch.accept(start, at("192.0.2.1:4000"), 1, false), Accept);
        assert_eq!(scene.latch.holder(), None);
        assert_eq!(scene.packet(20, "192.0.2.1:4000", 7), Accept);
        assert_eq!(scene.latch.accept(start, at("192.0.2.1:4000"), 99, false), Accept);
        assert_eq!(scene.latch.holder(), Some((at("192.0.2.1:4000"), 7)));
    }
}

#[test]
fn works_over_ipv6_and_a_dual_stack_socket() {
    let mut scene = Scene::new(Latch::SignalledIp, "[2001:db8:1::5]:4000");
    assert_eq!(scene.packet(0, "[2001:db8:1::6]:4000", 7), Stranger);
    assert_eq!(scene.packet(300, "[2001:db8:1::5]:5000", 7), Accept);

    let mut scene = Scene::new(Latch::Nat, "[fd00::5]:4000");
    assert_eq!(scene.packet(0, "[2001:db8:1::5]:5000", 7), Accept);
    assert_eq!(scene.packet(6000, "[2001:db8:1:1::5]:5000", 8), Stranger);
    assert_eq!(scene.packet(6000, "[2001:db8:1::9]:5000", 8), Accept);

    let mut scene = Scene::new(Latch::Off, "192.0.2.1:4000");
    assert_eq!(scene.packet(0, "[::ffff:192.0.2.1]:4000", 7), Accept);
    assert_eq!(scene.packet(0, "[::ffff:192.0.2.2]:4000", 7), Stranger);
}

/// `c=0.0.0.0`: who was heard goes on, and a sprayer is as far away as before.
#[test]
fn who_holds_without_an_address_is_heard_and_nobody_else() {
    for mode in MODES {
        let mut scene = Scene::new(mode, "192.0.2.1:4000");
        assert_eq!(scene.packet(0, "192.0.2.1:4000", 7), Accept);
        scene.under_fire(20..1_000, "192.0.2.1:4000", 7, &SPRAYER);
        let hold = |scene: &mut Scene, ms: u64| {
            scene.exchanges += 1;
            let now = scene.start + Duration::from_millis(ms);
            scene.latch.set(now, mode, None, scene.exchanges);
            assert_eq!(scene.latch.destination(), None, "{mode:?}");
        };
        hold(&mut scene, 1_000);
        scene.under_fire(1_000..2_000, "192.0.2.1:4000", 7, &SPRAYER);
        assert_eq!(
            scene.latch.destination(),
            None,
            "{mode:?}: it is heard, and not spoken to"
        );
        // Even where the holder pauses, as between speech and music, nobody takes its place.
        for ms in (2_000..4_500).step_by(20) {
            for from in SPRAYER {
                assert_eq!(scene.packet(ms, from, 9), Stranger, "{mode:?} {ms} {from}");
            }
        }
        // Another stream from the same place: the music.
        assert_eq!(scene.packet(4_500, "192.0.2.1:4000", 8), Accept);
        // Held once more, and then back, elsewhere: that is an exchange as any other.
        hold(&mut scene, 5_000);
        scene.under_fire(5_000..6_000, "192.0.2.1:4000", 8, &SPRAYER);
        scene.exchange(6_000, "192.0.2.2:4002");
        scene.under_fire(6_000..7_000, "192.0.2.2:4002", 7, &SPRAYER);
        assert_eq!(scene.latch.destination(), Some(at("192.0.2.2:4002")), "{mode:?}");
    }
}

#[test]
fn only_a_holder_that_nobody_can_follow_is_the_sole_one() {
    for mode in MODES {
        let mut scene = Scene::new(mode, "192.0.2.1:4000");
        assert_eq!(scene.latch.sole(), None, "nobody has spoken");
        assert_eq!(scene.packet(1_000, "192.0.2.1:4000", 1), Accept);
        let sole = (mode != Latch::Nat).then(|| at("192.0.2.1:4000"));
        assert_eq!(scene.latch.sole(), sole);
        scene.repeat(1_100);
        assert_eq!(scene.latch.sole(), sole);
        // A new description: somebody else may speak first.
        scene.exchange(2_000, "192.0.2.1:4000");
        assert_eq!(scene.latch.sole(), None);
        assert_eq!(scene.packet(2_020, "192.0.2.1:4000", 1), Accept);
        assert_eq!(scene.latch.sole(), sole);
        scene.exchange(3_000, "192.0.2.1:5000");
        assert_eq!(scene.latch.sole(), None);
    }
    // From another port than it receives on: the one that it has named can still take its place.
    let mut scene = Scene::new(Latch::SignalledIp, "192.0.2.1:4000");
    assert_eq!(scene.packet(1_000, "192.0.2.1:4444", 1), Accept);
    assert_eq!(scene.latch.sole(), None);
    assert_eq!(scene.packet(1_020, "192.0.2.1:4000", 2), Accept);
    assert_eq!(scene.latch.sole(), Some(at("192.0.2.1:4000")));
}
