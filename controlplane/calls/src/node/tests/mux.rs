//! A data plane without ports for RTCP.

use super::*;

fn rtcp(world: &World, leg: u16) -> (Option<SocketAddr>, Option<SocketAddr>) {
    let leg = world.leg(leg).unwrap();
    (leg.remote, leg.remote_rtcp)
}

#[test]
fn a_peer_that_does_not_mux_keeps_its_media_and_has_no_rtcp() {
    let mut world = World::new(Config {
        rtcp_mux_only: true,
        ..config()
    });
    world.talk();
    let offer = world.peers[AI].request.as_ref().unwrap().sdp().unwrap();
    let offer = String::from_utf8_lossy(&offer).into_owned();
    assert!(
        offer.contains("a=rtcp-mux\r\n") && !offer.contains("a=rtcp:"),
        "{offer}"
    );
    for leg in [0, 1] {
        let (rtp, rtcp) = rtcp(&world, leg);
        assert!(rtp.is_some() && rtcp == rtp, "both mux");
    }
    let mut local = Local::new("10.0.0.10".parse().unwrap(), 42_000, &[Encoding::Pcmu], 77);
    let offer = local.offer().replace("a=rtcp-mux\r\n", "");
    assert!(offer.contains("a=rtcp:42001\r\n"));
    world.reinvite(CALLER, offer);
    assert_eq!(rtcp(&world, 0), (Some("10.0.0.10:42000".parse().unwrap()), None));
    assert_eq!(
        (world.hears("ai"), world.hears("caller")),
        ("relay(caller)".into(), "relay(ai)".into())
    );
    world.hang_up(CALLER);
    world.conserve();
}

#[test]
fn with_ports_for_rtcp_a_peer_that_does_not_mux_has_it_there() {
    let mut world = World::new(config());
    world.talk();
    let mut local = Local::new("10.0.0.10".parse().unwrap(), 42_000, &[Encoding::Pcmu], 77);
    world.reinvite(CALLER, local.offer().replace("a=rtcp-mux\r\n", ""));
    let beside = ["10.0.0.10:42000", "10.0.0.10:42001"].map(|address| Some(address.parse().unwrap()));
    assert_eq!(rtcp(&world, 0), beside.into());
    world.hang_up(CALLER);
    world.conserve();
}
