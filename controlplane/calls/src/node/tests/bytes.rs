//! Callers that are bytes: what no endpoint of ours would send.

use super::world::*;
use super::*;

/// What an old private exchange sends: no `Local`, no endpoint of ours, bytes.
pub(super) fn by_hand(world: &mut World, text: &[u8]) -> Vec<sip::message::Message> {
    world
        .node
        .handle_datagram(world.now, address(CALLER), text.to_vec().into());
    let mut to_caller = Vec::new();
    while let Some(output) = world.node.poll_output() {
        match output {
            Output::Datagram(datagram) if datagram.to == address(CALLER) => {
                to_caller.push(sip::message::Message::parse(datagram.bytes).expect("our own messages can be read"));
            }
            Output::Datagram(datagram) => {
                let peer = (0..world.peers.len())
                    .find(|host| address(*host) == datagram.to)
                    .expect("a peer");
                let peer = &mut world.peers[peer];
                peer.endpoint.handle_datagram(world.now, us(), datagram.bytes);
                while let Some(event) = peer.endpoint.poll_event() {
                    peer.handle(event);
                }
            }
            Output::Stream(stream) => panic!("TCP, which nobody has here: {stream:?}"),
            Output::Move { .. } => panic!("there is one worker"),
            Output::Answer(..) => panic!("nobody asked"),
            Output::Media { command, .. } => {
                world.commands.push(command.clone());
                world.answer_media(command);
            }
            Output::Notice(notice) => world.notices.push(notice.what),
        }
    }
    to_caller
}

pub(super) fn invite_by_hand(headers: &[u8]) -> Vec<u8> {
    let mut text = b"INVITE sip:line@10.0.0.1 SIP/2.0\r\nVia: SIP/2.0/UDP 10.0.0.10:5060;branch=z9hG4bKhand\r\n\
        Max-Forwards: 70\r\nTo: <sip:line@10.0.0.1>\r\nCall-ID: by-hand\r\nCSeq: 1 INVITE\r\n\
        Contact: <sip:bob@10.0.0.10:5060>\r\n"
        .to_vec();
    text.extend_from_slice(headers);
    text.extend_from_slice(b"Content-Length: 0\r\n\r\n");
    text
}

#[test]
fn nothing_that_a_caller_writes_reaches_another_leg_but_its_name_and_address() {
    let mut world = World::new(config());
    let invite = invite_by_hand(
        b"From: \"J\xf6rg \\\"X\\\" \x01\" <sip:+4930@carrier.example>;tag=a;x-baton=1\r\n\
          X-Baton-Call: call_forged\r\nx-baton-handoff : hand_forged\r\nX-BATON-Anything: forged\r\n\
          User-to-User: forged;encoding=hex\r\nCall-Info: <http://forged.example>;purpose=info\r\n\
          Route: <sip:forged.example;lr>\r\nP-Asserted-Identity: <sip:forged@carrier.example>\r\n\
          Reason: SIP;cause=200;text=\"forged\"\r\n",
    );
    by_hand(&mut world, &invite);
    world.answer(AI);
    let wish = HandoffRequest {
        mode: None,
        target: None,
        reason: "bored\r\nX-Evil: 1\r\n\r\nINVITE sip:evil SIP/2.0".to_owned(),
        context: None,
        by_ai: false,
    };
    let id = world.id();
    world
        .node
        .handle_request(world.now, Request::Handoff(id, wish))
        .unwrap();
    by_hand(&mut world, b"");
    for host in [AI, SALES] {
        let request = world.peers[host].request.clone().expect("an INVITE");
        let printed = String::from_utf8_lossy(&request.to_bytes()).into_owned();
        assert!(!printed.contains("forged"), "{printed}");
        assert!(!printed.contains("X-Evil") && !printed.contains("bored"), "{printed}");
        assert_eq!(request.headers("X-Baton-Call").count(), 1);
        let from = request.from().expect("a From");
        assert_eq!(from.uri.as_str(), "sip:+4930@carrier.example");
        assert_eq!(from.params.get("x-baton"), None);
        assert!(from.display.expect("a name").contains("\"X\""), "{printed}");
    }
    let bad = HandoffRequest {
        mode: None,
        target: Some("sales>\r\nX-Evil: 1".to_owned()),
        reason: String::new(),
        context: None,
        by_ai: false,
    };
    world.request(Request::HangUp(id)).unwrap_or(Response::Done);
    assert!(world.node.handle_request(world.now, Request::Handoff(id, bad)).is_err());
}

#[test]
fn a_call_without_an_offer_is_heard_once_its_ack_brings_the_answer() {
    let mut world = World::new(config());
    let from: &[u8] = b"From: <sip:bob@carrier.example>;tag=a\r\n";
    by_hand(&mut world, &invite_by_hand(from));
    // The AI answers; what goes to the caller is read from the bytes.
    let peer = &mut world.peers[AI];
    let offer = peer.request.as_ref().and_then(|request| request.sdp()).unwrap();
    let (answer, _) = peer.local.answer(&offer).unwrap();
    peer.endpoint
        .answer(world.now, peer.dialog.unwrap(), answer.into(), &[])
        .unwrap();
    let mut ok = None;
    while let Some(datagram) = world.peers[AI].endpoint.poll_transmit() {
        world.node.handle_datagram(world.now, address(AI), datagram.bytes);
        ok = by_hand(&mut world, b"")
            .into_iter()
            .find(|message| message.status() == Some(200))
            .or(ok);
    }
    let ok = ok.expect("200 to the caller");
    let sdp = String::from_utf8_lossy(&ok.sdp().expect("our offer")).into_owned();
    assert!(sdp.contains("RTP/AVP 0 8"), "{sdp}");
    assert_eq!(world.leg(0).unwrap().remote, None, "nobody knows where the caller is");

    let answer = "v=0\r\no=- 5 5 IN IP4 10.0.0.10\r\ns=-\r\nc=IN IP4 10.0.0.10\r\nt=0 0\r\nm=audio 43000 RTP/AVP 8\r\n";
    let tag = ok.to().unwrap().tag().unwrap();
    let ack = format!(
        "ACK sip:10.0.0.1:5060 SIP/2.0\r\nVia: SIP/2.0/UDP 10.0.0.10:5060;branch=z9hG4bKack\r\nMax-Forwards: 70\r\n\
         From: <sip:bob@carrier.example>;tag=a\r\nTo: <sip:line@10.0.0.1>;tag={tag}\r\nCall-ID: by-hand\r\n\
         CSeq: 1 ACK\r\nContent-Type: application/sdp\r\nContent-Length: {}\r\n\r\n{answer}",
        answer.len()
    );
    by_hand(&mut world, ack.as_bytes());
    assert_eq!(
        world.leg(0).unwrap().remote,
        Some(SocketAddr::new(address(CALLER).ip(), 43_000))
    );
    assert_eq!(
        (world.hears("caller"), world.hears("ai")),
        ("transcode(ai)".into(), "transcode(caller)".into())
    );
    // The same ACK again changes nothing.
    let sets = world.sets;
    by_hand(&mut world, ack.as_bytes());
    assert_eq!((world.sets, world.node.registry.calls().len()), (sets, 1));
}
