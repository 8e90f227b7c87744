//! Later exchanges: from each party in each state, with an offer and without.

use super::*;

/// A leg as the data plane was last asked to have it, in force or not.
fn wanted(world: &World, leg: u16) -> LegSpec {
    let Some(Command::Set { spec, .. }) = &world.last else {
        panic!("no set")
    };
    let found = spec.legs.iter().find(|row| row.leg == LegId(leg));
    found.expect("a leg that is up").clone()
}

/// The same description with another direction.
fn directed(offer: &str, direction: &str) -> String {
    assert!(offer.contains("a=sendrecv"), "{offer}");
    offer.replace("a=sendrecv", &format!("a={direction}"))
}

/// Another address, and another codec.
fn moved(host: usize) -> String {
    Local::new(address(host).ip(), 41_000, &[Encoding::Pcma], 77).offer()
}

#[test]
fn reinvites_of_every_party_are_answered_in_every_state_and_change_nobody_s_row() {
    let mut asked = 0;
    for (name, mut world) in each_state() {
        let before = rows(&world);
        for &(host, leg) in parties(name) {
            for (offer, answer) in [
                (moved(host).as_str(), "reinvite answered"),
                (STRANGE, "reinvite refused"),
                (moved(host).as_str(), "reinvite answered"),
            ] {
                world.reinvite(host, offer.to_owned());
                assert_eq!(world.peers[host].log.last(), Some(&answer), "{name}: {host}");
            }
            let leg = wanted(&world, leg);
            assert_eq!(leg.remote.unwrap().port(), 41_000, "{name}: {host}");
            assert_eq!(leg.format.codec, Codec::Pcma, "{name}: {host}");
            assert_eq!(rows(&world), before, "{name}: {host}");
            asked += 1;
        }
        for host in [CALLER, AI, SALES] {
            let others = world.peers[host].log.contains(&"reinvite");
            assert!(!others, "{name}: no other leg hears of it");
        }
        world.hang_up(CALLER);
        world.conserve();
    }
    assert_eq!(asked, 19);
}

#[test]
fn hold_by_the_caller_disturbs_no_other_leg() {
    let mut world = World::talking();
    let before = world.leg(1).cloned();
    for (direction, send) in [
        ("sendonly", false),
        ("sendrecv", true),
        ("inactive", false),
        ("recvonly", true),
    ] {
        let exchange = world.leg(0).unwrap().exchange;
        let offer = world.peers[CALLER].local.offer();
        world.reinvite(CALLER, directed(&offer, direction));
        assert_eq!(world.peers[CALLER].log.last(), Some(&"reinvite answered"));
        assert_eq!(
            (world.leg(0).unwrap().send, world.leg(0).unwrap().exchange),
            (send, exchange + 1),
            "{direction}"
        );
        let mut after = before.clone();
        if direction != "sendrecv" {
            // An AI does not hear the music of a caller who holds it, nor waits for what does not come.
            after.as_mut().unwrap().hears.legs.clear();
        }
        assert_eq!(world.leg(1).cloned(), after, "{direction}");
    }
    assert_eq!(world.peers[AI].log, ["invite", "acked"]);
    world.hang_up(CALLER);
    world.conserve();
}

#[test]
fn who_holds_resumes_as_before_in_every_state() {
    for (name, mut world) in each_state() {
        let before = rows(&world);
        for &(host, leg) in parties(name) {
            for (direction, send) in [("sendonly", false), ("inactive", false), ("sendrecv", true)] {
                let offer = world.peers[host].local.offer();
                world.reinvite(host, directed(&offer, direction));
                assert_eq!(
                    world.peers[host].log.last(),
                    Some(&"reinvite answered"),
                    "{name}: {direction}"
                );
                assert_eq!(wanted(&world, leg).send, send, "{name}: {direction}");
                let caller = wanted(&world, 0).hears;
                assert!(
                    caller.play.is_some() || !caller.legs.is_empty(),
                    "{name}: the caller is not left in silence"
                );
            }
            // Hold audio stays until the party that is back is heard, or a second has passed.
            world.pass(Duration::from_millis(1_100));
            assert_eq!(rows(&world), before, "{name}: {host}");
        }
        world.hang_up(CALLER);
        // A real data plane would wait for the first packet of who is back, and here is no RTP: `tests/scenario` has it.
        world.commands.clear();
        world.conserve();
    }
}

#[test]
fn a_hold_that_changes_the_codec_too_is_answered_as_both_and_the_codec_stays() {
    for (name, mut world) in each_state() {
        let before = rows(&world);
        for &(host, leg) in parties(name) {
            for (direction, send, receive) in [
                ("sendonly", false, true),
                ("inactive", false, false),
                ("recvonly", true, false),
                ("sendrecv", true, true),
            ] {
                let what = format!("{name}: {host} {direction}");
                world.reinvite(host, directed(&moved(host), direction));
                assert_eq!(world.peers[host].log.last(), Some(&"reinvite answered"), "{what}");
                let leg = wanted(&world, leg);
                assert_eq!((leg.send, leg.receive), (send, receive), "{what}");
                assert_eq!(leg.format.codec, Codec::Pcma, "{what}");
                assert_eq!(leg.remote.unwrap().port(), 41_000, "{what}");
            }
            world.pass(Duration::from_millis(1_100));
            assert_eq!(rows(&world), before, "{name}: {host}");
        }
        world.hang_up(CALLER);
        world.commands.clear();
        world.conserve();
    }
}

#[test]
fn a_caller_changes_its_codec_and_the_others_do_not_hear_of_it() {
    let mut world = World::talking();
    let moved = |world: &mut World, encodings: &[Encoding], port| {
        let mut local = Local::new(address(CALLER).ip(), port, encodings, 77);
        world.reinvite(CALLER, local.offer());
    };
    moved(&mut world, &[Encoding::Pcma], 41_000);
    assert_eq!(
        (world.hears("caller"), world.hears("ai")),
        ("transcode(ai)".into(), "transcode(caller)".into())
    );
    assert_eq!(world.leg(0).unwrap().remote.unwrap().port(), 41_000);
    assert_eq!(world.peers[AI].log, ["invite", "acked"]);

    // While the human is briefed: hold audio goes on where it is, with the window and the same plays.
    world.ask(Mode::Warm);
    let offered = world.peers[SALES].request.as_ref().unwrap().sdp().unwrap();
    let offered = String::from_utf8_lossy(&offered).into_owned();
    assert!(
        offered.contains("RTP/AVP 8 0"),
        "the caller's codec is offered first: {offered}"
    );
    world.answer(SALES);
    let before = world.spec.clone();
    moved(&mut world, &[Encoding::Pcmu], 42_000);
    assert_eq!(world.leg(0).unwrap().hears, before.legs[0].hears);
    assert_eq!((world.leg(2), world.spec.watch), (Some(&before.legs[2]), before.watch));
    world.played(2, 0);
    // The human took what the caller spoke when it was invited.
    assert_eq!(world.hears("caller"), "transcode(human)");
    world.hang_up(CALLER);
    world.conserve();
}

#[test]
fn who_takes_shorter_packets_than_are_sent_to_it_is_shown_to_hear_a_mix() {
    let mut world = World::talking();
    for (most, path) in [("10", "mix(ai)"), ("20", "relay(ai)")] {
        let offer = Local::new(address(CALLER).ip(), 41_000, &[Encoding::Pcmu], 77).offer();
        world.reinvite(CALLER, format!("{offer}a=maxptime:{most}\r\n"));
        assert_eq!(
            (world.hears("caller"), world.hears("ai")),
            (path.into(), "relay(caller)".into())
        );
    }
    world.hang_up(CALLER);
    world.conserve();
}

/// A message with this body instead of its own, or with none.
fn with_body(message: &[u8], body: Option<&str>) -> Bytes {
    let text = String::from_utf8(message.to_vec()).unwrap();
    let (head, _) = text.split_once("\r\n\r\n").unwrap();
    let ours = |line: &&str| !line.starts_with("Content-");
    let mut lines: Vec<_> = head.split("\r\n").filter(ours).map(str::to_owned).collect();
    if body.is_some() {
        lines.push("Content-Type: application/sdp".to_owned());
    }
    let body = body.unwrap_or_default();
    lines.push(format!("Content-Length: {}", body.len()));
    format!("{}\r\n\r\n{body}", lines.join("\r\n")).into()
}

/// What the node sends to this party now. The data plane says yes to the rest.
fn sent_to(world: &mut World, host: usize) -> Vec<sip::message::Message> {
    let mut messages = Vec::new();
    while let Some(output) = world.node.poll_output() {
        match output {
            Output::Datagram(datagram) if datagram.to == address(host) => {
                messages.push(sip::message::Message::parse(datagram.bytes.clone()).unwrap());
                world.peers[host]
                    .endpoint
                    .handle_datagram(world.now, us(), datagram.bytes);
            }
            Output::Datagram(datagram) => panic!("to another party: {datagram:?}"),
            Output::Stream(stream) => panic!("TCP, which nobody has here: {stream:?}"),
            Output::Move { .. } => panic!("there is one worker"),
            Output::Answer(..) => panic!("nobody asked"),
            Output::Media { command, .. } => world.take_command(command),
            Output::Notice(notice) => world.notices.push(notice.what),
        }
    }
    messages
}

/// A re-INVITE without an offer, whose ACK has an answer from port 45000, or none. Returns our offer.
fn late_offer(world: &mut World, host: usize, answers: bool) -> String {
    let peer = &mut world.peers[host];
    let unused = peer.local.offer().into();
    peer.endpoint.reinvite(world.now, peer.dialog.unwrap(), unused).unwrap();
    let invite = peer.endpoint.poll_transmit().expect("the re-INVITE").bytes;
    world
        .node
        .handle_datagram(world.now, address(host), with_body(&invite, None));
    let sent = sent_to(world, host);
    let ok = sent
        .iter()
        .find(|message| message.status() == Some(200))
        .expect("a 200");
    let offer = ok.sdp().expect("our offer");
    let mut local = Local::new(address(host).ip(), 45_000, &[Encoding::Pcmu, Encoding::Pcma], 99);
    let (answer, _) = local.answer(&offer).expect("an offer that fits");
    let ack = world.peers[host].endpoint.poll_transmit().expect("the ACK").bytes;
    let ack = with_body(&ack, answers.then_some(answer.as_str()));
    world.node.handle_datagram(world.now, address(host), ack);
    world.settle();
    String::from_utf8(offer.to_vec()).unwrap()
}

#[test]
fn a_reinvite_without_an_offer_gets_ours_and_the_ack_s_answer_counts() {
    for (name, mut world) in each_state() {
        let before = rows(&world);
        for &(host, leg) in parties(name) {
            let offer = late_offer(&mut world, host, true);
            assert!(
                offer.contains("RTP/AVP") && offer.contains("a=sendrecv"),
                "{name}: {offer}"
            );
            assert_eq!(wanted(&world, leg).remote.unwrap().port(), 45_000, "{name}: {host}");
            assert_eq!(rows(&world), before, "{name}: {host}");
            // An ACK without an answer: the session stays as it was (RFC 3261 §14.2), and so does the call.
            let last = world.last.clone();
            late_offer(&mut world, host, false);
            assert_eq!(world.last, last, "{name}: {host}");
            for host in [CALLER, AI, SALES] {
                let ended = world.peers[host].log.last() == Some(&"bye");
                let may = matches!((name, host), ("goodbye" | "handed off", AI));
                assert!(!ended || may, "{name}: {host}");
            }
        }
        world.hang_up(CALLER);
        world.conserve();
    }
}

/// Answers the re-INVITE that came to this peer, from this port.
fn answer_from(world: &mut World, host: usize, port: u16) {
    let answer = Local::new(address(host).ip(), port, &[Encoding::Pcmu], 88).offer();
    let peer = &mut world.peers[host];
    let dialog = peer.dialog.unwrap();
    peer.endpoint.answer_reinvite(world.now, dialog, answer.into()).unwrap();
    world.settle();
}

#[test]
fn what_we_offer_again_is_what_it_was_and_its_answer_holds_in_every_state() {
    for (name, mut world) in each_state() {
        let before = rows(&world);
        let (now, id) = (world.now, world.id());
        let legs = parties(name);
        assert_eq!(world.node.offer_again(now, id), legs.len(), "{name}");
        world.settle();
        for &(host, leg) in legs {
            assert_eq!(world.peers[host].log.last(), Some(&"reinvite"), "{name}: {host}");
            let offer = String::from_utf8(world.peers[host].bodies[0].to_vec()).unwrap();
            let ours = wanted(&world, leg).port;
            assert!(
                offer.contains(&format!("m=audio {} RTP/AVP", ours.0)),
                "{name}: {offer}"
            );
            answer_from(&mut world, host, 42_000);
            assert_eq!(wanted(&world, leg).remote.unwrap().port(), 42_000, "{name}: {host}");
        }
        assert_eq!(rows(&world), before, "{name}");
        // One that is refused leaves everything as it is.
        let last = world.last.clone();
        assert_eq!(world.node.offer_again(now, id), legs.len(), "{name}");
        world.settle();
        for &(host, _) in legs {
            let peer = &mut world.peers[host];
            assert_eq!(peer.bodies[1], peer.bodies[0], "{name}: {host}");
            peer.endpoint
                .reject_reinvite(world.now, peer.dialog.unwrap(), 488)
                .unwrap();
        }
        world.settle();
        assert_eq!(world.last, last, "{name}");
        world.hang_up(CALLER);
        world.conserve();
    }
}

#[test]
fn an_offer_that_crossed_theirs_says_what_was_answered_meanwhile() {
    let mut world = World::talking();
    let (now, id) = (world.now, world.id());
    assert_eq!(world.node.offer_again(now, id), 2);
    let hold = directed(&world.peers[AI].local.offer(), "sendonly");
    world.reinvite(AI, hold);
    assert!(!world.peers[AI].log.contains(&"reinvite"), "each side has answered 491");
    answer_from(&mut world, CALLER, 42_000);
    // The AI does not own the Call-ID and comes first, in 0 to 2 s; we in 2.1 to 4 s.
    world.pass(Duration::from_millis(2050));
    assert_eq!(world.peers[AI].log.last(), Some(&"reinvite answered"));
    assert!(!world.leg(1).unwrap().send);
    world.pass(Duration::from_secs(2));
    assert_eq!(world.peers[AI].log.last(), Some(&"reinvite"));
    let bodies = &world.peers[AI].bodies;
    assert_eq!(bodies.len(), 2);
    let answer = String::from_utf8(bodies[0].to_vec()).unwrap();
    assert!(answer.contains("a=recvonly"), "{answer}");
    assert_eq!(
        bodies[1], bodies[0],
        "the same text with the same version (RFC 3264 §8)"
    );
    let offer = bodies[1].clone();
    let peer = &mut world.peers[AI];
    peer.local.direction = Direction::SendOnly;
    let (answer, _) = peer.local.answer(&offer).unwrap();
    let dialog = peer.dialog.unwrap();
    peer.endpoint.answer_reinvite(world.now, dialog, answer.into()).unwrap();
    world.settle();
    assert!(!world.leg(1).unwrap().send, "it still holds");
    world.hang_up(CALLER);
    world.commands.clear();
    world.conserve();
}
