//! Peers that challenge us.

use super::bytes::{by_hand, invite_by_hand};
use super::world::*;
use super::*;
use sip::digest::Credentials;

fn auth(username: &str) -> Option<Credentials> {
    Some(Credentials {
        realm: Some("pbx".to_owned()),
        username: username.to_owned(),
        password: "s3cret".to_owned(),
    })
}

const ASKS: &str = "Digest realm=\"pbx\", nonce=\"n\", qop=\"auth\", algorithm=SHA-256";

impl World {
    /// Refuses the INVITE that a peer has, and takes the next one, whose credentials it gives.
    fn challenge(&mut self, host: usize) -> Option<String> {
        let peer = &mut self.peers[host];
        peer.request = None;
        let headers = [("WWW-Authenticate".to_owned(), ASKS.to_owned())];
        peer.endpoint
            .reject(self.now, peer.dialog.unwrap(), 401, &headers)
            .unwrap();
        self.settle();
        let again = self.peers[host].request.as_ref()?;
        Some(again.header("Authorization").expect("credentials").into_owned())
    }

    /// The carrier is asked, by REFER, to call the target.
    fn asked(auth: Option<Credentials>) -> World {
        let mut config = config();
        (config.trunks[0].refer, config.trunks[0].auth) = (true, auth);
        let mut world = World::new(config);
        world.talk();
        world.ask(Mode::Cold);
        assert!(world.peers[CALLER].asked.is_some());
        world
    }

    /// Answers the REFER that the caller's side has with a challenge, and takes the next one, whose credentials it gives.
    fn challenge_refer(&mut self, by: Challenge) -> Option<String> {
        let (refer, request) = self.peers[CALLER].asked.take().expect("a REFER");
        let challenge = challenge_by_hand(by, &request);
        self.node
            .handle_datagram(self.now, address(CALLER), challenge.into_bytes().into());
        // For its own endpoint it is answered too. That answer comes late and says nothing new.
        let endpoint = &mut self.peers[CALLER].endpoint;
        endpoint.reject_refer(self.now, refer, by.status).unwrap();
        self.settle();
        let (_, again) = self.peers[CALLER].asked.as_ref()?;
        assert_eq!(again.header("Refer-To"), request.header("Refer-To"));
        Some(again.header(by.answered).expect("credentials").into_owned())
    }

    /// We have called the target ourselves, and the caller was not left alone.
    fn bridged(mut self) {
        assert_eq!(self.failed().map(|(reason, _)| reason), Some(Reason::ReferRefused));
        assert_eq!(self.hears("caller"), "play(announcement)");
        assert!(!self.peers[CALLER].log.contains(&"bye"));
        self.answer(SALES);
        assert_eq!(self.hears("caller"), "relay(human)");
        self.hang_up(CALLER);
        self.conserve();
    }
}

/// A way to challenge (RFC 3261 §22.2, §22.3): its status, its header and that of the answer.
#[derive(Clone, Copy)]
struct Challenge {
    status: u16,
    asks: &'static str,
    answered: &'static str,
}

const CHALLENGES: [Challenge; 2] = [
    Challenge {
        status: 401,
        asks: "WWW-Authenticate",
        answered: "Authorization",
    },
    Challenge {
        status: 407,
        asks: "Proxy-Authenticate",
        answered: "Proxy-Authorization",
    },
];

/// A challenge to a request of ours.
fn challenge_by_hand(by: Challenge, request: &sip::message::Message) -> String {
    let header = |name| request.header(name).unwrap().into_owned();
    format!(
        "SIP/2.0 {} Who are you\r\nVia: {}\r\nFrom: {}\r\nTo: {}\r\nCall-ID: {}\r\nCSeq: {}\r\n\
         {}: {ASKS}\r\n\r\n",
        by.status,
        header("Via"),
        header("From"),
        header("To"),
        header("Call-ID"),
        header("CSeq"),
        by.asks,
    )
}

#[test]
fn an_agent_and_a_human_that_challenge_get_their_calls() {
    let mut config = config();
    config.ai_agents[0].auth = auth("anna-for-us");
    config.targets[0].auth = auth("sales-for-us");
    let mut world = World::new(config);
    world.call(CALLER);
    let first = world.peers[AI].request.clone().unwrap();
    let shown = world.challenge(AI).expect("another INVITE");
    assert!(shown.contains("username=\"anna-for-us\", realm=\"pbx\""), "{shown}");
    let second = world.peers[AI].request.clone().unwrap();
    for same in ["Call-ID", "X-Baton-Call", "From"] {
        assert_eq!(second.header(same), first.header(same));
    }
    world.ring(AI);
    world.answer(AI);
    assert_eq!(world.peers[CALLER].log, ["progress", "answered"]);
    assert_eq!(world.hears("caller"), "relay(ai)");

    world.ask(Mode::Cold);
    world.played(0, 0);
    let shown = world.challenge(SALES).expect("another INVITE");
    assert!(shown.contains("username=\"sales-for-us\""), "{shown}");
    world.answer(SALES);
    assert_eq!(world.hears("caller"), "relay(human)");
}

#[test]
fn a_human_whose_realm_nobody_knows_is_passed_over() {
    let mut world = World::talking();
    world.ask(Mode::Cold);
    world.played(0, 0);
    assert_eq!(world.challenge(SALES), None, "no credentials are configured");
    assert!(world.peers[SUPPORT].request.is_some(), "the next target");
}

#[test]
fn a_trunk_that_challenges_our_bye_gets_its_credentials() {
    let mut config = config();
    config.trunks[0].auth = auth("trunk-for-us");
    let mut world = World::new(config);
    by_hand(
        &mut world,
        &invite_by_hand(b"From: <sip:bob@carrier.example>;tag=a\r\n"),
    );
    let peer = &mut world.peers[AI];
    let offer = peer.request.as_ref().and_then(|request| request.sdp()).unwrap();
    let (answer, _) = peer.local.answer(&offer).unwrap();
    peer.endpoint
        .answer(world.now, peer.dialog.unwrap(), answer.into(), &[])
        .unwrap();
    let mut ok = None;
    while let Some(datagram) = world.peers[AI].endpoint.poll_transmit() {
        world.node.handle_datagram(world.now, address(AI), datagram.bytes);
        let answers = by_hand(&mut world, b"").into_iter();
        ok = answers.filter(|it| it.status() == Some(200)).last().or(ok);
    }
    let ok = ok.expect("200 to the caller");
    let tag = ok.to().unwrap().tag().unwrap();
    let ack = format!(
        "ACK sip:10.0.0.1 SIP/2.0\r\nVia: SIP/2.0/UDP 10.0.0.10:5060;branch=z9hG4bKack\r\nFrom: <sip:bob@carrier.example>;tag=a\r\n\
         To: <sip:line@10.0.0.1>;tag={tag}\r\nCall-ID: by-hand\r\nCSeq: 1 ACK\r\n\r\n"
    );
    // It has no answer to our offer: we end the call.
    let bye = by_hand(&mut world, ack.as_bytes()).pop().expect("BYE");
    assert_eq!(bye.method().map(|method| method.as_str()), Some("BYE"));
    let again = by_hand(&mut world, challenge_by_hand(CHALLENGES[1], &bye).as_bytes())
        .pop()
        .expect("BYE again");
    let shown = again.header("Proxy-Authorization").expect("credentials");
    assert!(shown.contains("username=\"trunk-for-us\""), "{shown}");
}

/// The BYE for another node's leg, as the configuration has its party now.
#[test]
fn a_leg_of_a_node_that_is_gone_gets_its_partys_credentials() {
    let mut config = config();
    config.trunks[0].auth = auth("trunk-for-us");
    config.ai_agents[0].auth = auth("anna-for-us");
    config.targets[0].auth = auth("sales-for-us");
    let mut world = World::new(config.clone());
    world.talk();
    world.ask(Mode::Warm);
    world.ring(SALES);
    world.answer(SALES);
    let legs = std::mem::take(&mut world.legs);
    assert_eq!(legs.len(), 3);
    config.sip.seed ^= 1;
    for (leg, (host, name)) in legs
        .into_iter()
        .zip([(CALLER, "trunk"), (AI, "anna"), (SALES, "sales")])
    {
        let mut node = Node::new(config.clone(), world.now);
        assert!(node.end_foreign(world.now, leg));
        let bye = |node: &mut Node| match node.poll_output() {
            Some(Output::Datagram(sent)) => sip::message::Message::parse(sent.bytes).unwrap(),
            other => panic!("no BYE: {other:?}"),
        };
        let challenge = challenge_by_hand(CHALLENGES[0], &bye(&mut node));
        node.handle_datagram(world.now, address(host), challenge.into_bytes().into());
        let again = bye(&mut node);
        let shown = again.header("Authorization").expect("credentials").into_owned();
        assert!(shown.contains(&format!("username=\"{name}-for-us\"")), "{shown}");
    }
}

#[test]
fn a_carrier_that_challenges_a_refer_gets_its_credentials() {
    for by in CHALLENGES {
        let mut world = World::asked(auth("trunk-for-us"));
        let shown = world.challenge_refer(by).expect("another REFER");
        assert!(shown.contains("username=\"trunk-for-us\", realm=\"pbx\""), "{shown}");
        assert!(world.peers[SALES].log.is_empty(), "a challenge is no refusal");
        assert_eq!(world.hears("caller"), "play(announcement)");
        world.take_refer(CALLER);
        world.notify(CALLER, 200, true);
        assert_eq!(world.closed(), Some((End::Completed, Outcome::Transferred, None)));
        assert!(world.peers[SALES].log.is_empty(), "we call nobody");
        let invited = world.story().iter().filter(|step| **step == "invited").count();
        assert_eq!(invited, 1, "the context goes out once");
        world.conserve();
    }
}

#[test]
fn a_challenged_refer_without_credentials_that_do_is_bridged() {
    // None, and for another realm.
    let other = auth("trunk-for-us").map(|it| Credentials {
        realm: Some("elsewhere".to_owned()),
        ..it
    });
    for by in CHALLENGES {
        for auth in [None, other.clone()] {
            let mut world = World::asked(auth);
            assert_eq!(world.challenge_refer(by), None);
            world.bridged();
        }
        // Those that are not good enough are not shown twice.
        let mut world = World::asked(auth("trunk-for-us"));
        assert!(world.challenge_refer(by).is_some());
        assert_eq!(world.challenge_refer(by), None);
        world.bridged();
    }
}

#[test]
fn a_uri_that_a_refer_named_is_called_with_its_target_s_credentials() {
    let mut config = config();
    config.targets[0].auth = auth("sales-for-us");
    let mut world = World::new(config);
    world.talk();
    world.refer(AI, "sip:+4930123@10.0.0.12:5060", &[("X-Baton-Mode", "cold")]);
    let shown = world.challenge(SALES).expect("another INVITE");
    assert!(shown.contains("username=\"sales-for-us\""), "{shown}");
    assert!(shown.contains("uri=\"sip:+4930123@10.0.0.12:5060\""), "{shown}");
    world.answer(SALES);
    assert_eq!(world.hears("caller"), "relay(human)");
    assert_eq!(world.told(AI).last().map(String::as_str), Some("200."));
    world.hang_up(CALLER);
    world.conserve();
}
