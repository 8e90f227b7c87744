//! Legs of different address families: each is told our address of its own.

use std::net::IpAddr;

use super::*;

/// Our other address.
fn six() -> IpAddr {
    "2001:db8::1".parse().unwrap()
}

/// A party whose media is at an IPv6 address.
fn moves_to_six(world: &mut World, host: usize) {
    let address = IpAddr::from([0x2001, 0xdb8, 0, 0, 0, 0, 0, 0x10 + host as u16]);
    world.peers[host].local = Local::new(address, 40_000, &[Encoding::Pcmu, Encoding::Pcma], 90 + host as u64);
}

fn both() -> Config {
    Config {
        media_also: Some(six()),
        ..config()
    }
}

fn only_six() -> Config {
    Config {
        media_address: six(),
        ..config()
    }
}

/// The `c=` line of the offer that a peer got.
fn offered(world: &World, host: usize) -> String {
    let offer = world.peers[host].request.as_ref().unwrap().sdp().unwrap();
    let offer = String::from_utf8_lossy(&offer).into_owned();
    offer.lines().find(|line| line.starts_with("c=")).unwrap().to_owned()
}

fn remote(world: &World, leg: u16) -> String {
    world.leg(leg).unwrap().remote.unwrap().to_string()
}

#[test]
fn a_caller_of_the_other_family_is_handed_off() {
    let mut world = World::new(both());
    moves_to_six(&mut world, CALLER);
    world.talk();
    assert_eq!(offered(&world, AI), "c=IN IP4 10.0.0.1", "the family of its next hop");
    assert_eq!(
        (remote(&world, 0), remote(&world, 1)),
        ("[2001:db8::10]:40000".into(), "10.0.0.11:40000".into())
    );
    world.ask(Mode::Cold);
    world.answer(SALES);
    assert_eq!(
        (world.hears("caller"), world.hears("human")),
        ("relay(human)".into(), "relay(caller)".into())
    );
    assert_eq!(
        (remote(&world, 0), remote(&world, 2)),
        ("[2001:db8::10]:40000".into(), "10.0.0.12:40000".into())
    );
    world.hang_up(CALLER);
    world.conserve();
}

#[test]
fn a_caller_moves_between_the_families_by_re_invite() {
    let mut world = World::new(both());
    world.talk();
    for (address, port) in [("2001:db8::10", 41_000), ("10.0.0.10", 42_000)] {
        let mut local = Local::new(address.parse().unwrap(), port, &[Encoding::Pcmu], 77);
        let offer = local.offer();
        world.reinvite(CALLER, offer);
        assert_eq!(world.peers[CALLER].log.last(), Some(&"reinvite answered"));
        let there = SocketAddr::new(address.parse().unwrap(), port);
        assert_eq!(remote(&world, 0), there.to_string());
        assert_eq!(world.hears("ai"), "relay(caller)");
    }
    world.hang_up(CALLER);
    world.conserve();
}

#[test]
fn a_caller_of_a_family_that_we_have_not_is_refused_with_the_reason() {
    for (config, ours, six) in [(config(), "IP4", true), (only_six(), "IP6", false)] {
        let mut world = World::new(config);
        if six {
            moves_to_six(&mut world, CALLER);
        }
        world.call(CALLER);
        assert_eq!(world.peers[CALLER].log, ["488"], "{ours} only");
        assert!(world.peers[AI].log.is_empty());
        world.conserve();
        assert!(world.commands.is_empty() && world.notices.is_empty());
    }
    let world = World::new(config());
    assert_eq!(
        world.node.warning(sip::sdp::Incompatible::NoAddress, &[]),
        [(
            "Warning".to_owned(),
            "301 10.0.0.1:5060 \"No media address of that family here\"".to_owned()
        )]
    );
}

#[test]
fn a_re_invite_to_a_family_that_we_have_not_leaves_everything_as_it_was() {
    let mut world = World::talking();
    let before = world.spec.clone();
    let mut local = Local::new("2001:db8::10".parse().unwrap(), 41_000, &[Encoding::Pcmu], 77);
    let offer = local.offer();
    world.reinvite(CALLER, offer);
    assert_eq!(world.peers[CALLER].log.last(), Some(&"reinvite refused"));
    assert_eq!(world.spec, before);
    world.hang_up(CALLER);
    world.conserve();
}

#[test]
fn a_caller_without_an_offer_is_refused_where_ours_would_be_of_no_use() {
    let mut world = World::new(only_six());
    let peer = &mut world.peers[CALLER];
    let invite = Invite {
        to: format!("sip:line@{}", us()),
        from: "<sip:bob@carrier.example>".to_owned(),
        next_hop: Some(us()),
        ..Invite::default()
    };
    peer.endpoint.invite(world.now, invite);
    world.settle();
    assert_eq!(world.peers[CALLER].log, ["488"]);
    world.conserve();
}

#[test]
fn an_ai_that_could_not_be_told_where_to_send_is_not_called() {
    let mut world = World::new(only_six());
    moves_to_six(&mut world, CALLER);
    world.call(CALLER);
    assert_eq!(world.peers[CALLER].log, ["503"]);
    assert!(world.peers[AI].log.is_empty());
    world.conserve();
}

#[test]
fn a_target_that_could_not_be_told_where_to_send_makes_way_for_the_next() {
    let mut config = config();
    config.targets[0].next_hop = "[2001:db8::5]:5060".parse().unwrap();
    let mut world = World::new(config);
    world.talk();
    world.ask(Mode::Cold);
    let failed = world.notices.iter().find_map(|what| match what {
        What::Handoff(_, Step::TargetFailed { target, reason, status }) => Some((target.clone(), *reason, *status)),
        _ => None,
    });
    assert_eq!(failed, Some(("sales".to_owned(), Reason::Unreachable, Some(503))));
    world.answer(SUPPORT);
    assert_eq!(world.hears("caller"), "relay(human)");
    world.hang_up(CALLER);
    world.conserve();
}

#[test]
fn an_answer_of_a_family_that_we_have_not_is_ended_and_the_next_target_rings() {
    let mut world = World::talking();
    world.ask(Mode::Cold);
    // Our offer was IPv4.
    world.peers[SALES].local.also = Some(six());
    let mut local = world.peers[SALES].local.clone();
    local.face(six()).unwrap();
    let answer = local.offer();
    let peer = &mut world.peers[SALES];
    peer.endpoint
        .answer(world.now, peer.dialog.unwrap(), answer.into(), &[])
        .unwrap();
    world.settle();
    assert_eq!(world.peers[SALES].log.last(), Some(&"bye"));
    world.answer(SUPPORT);
    assert_eq!(world.hears("caller"), "relay(human)");
    world.hang_up(CALLER);
    world.conserve();
}
