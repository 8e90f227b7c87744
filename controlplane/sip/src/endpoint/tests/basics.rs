//! A call over a network that loses nothing, down to the bytes.

use super::network::{A, B, Network, sdp};

#[test]
fn a_call_from_invite_to_bye() {
    let mut net = Network::new();
    let (a, b) = net.invite();
    net.ends[B].ring(net.now, b, 180, None).expect("ring");
    net.run(20);
    net.ends[B]
        .answer(net.now, b, sdp("answer"), &[("X-Baton-Call".into(), "call_1".into())])
        .expect("answer");
    net.run(30);
    assert_eq!(net.said(A), ["progress 180", "answered answer"]);
    assert_eq!(net.said(B), ["invite", "acked"]);
    assert_eq!(net.ends[A].call_id(a), net.ends[B].call_id(b));
    net.ends[B].end(net.now, b, Some("SIP;cause=200")).expect("end");
    net.finish();
    assert_eq!(net.said(A), ["bye Peer"]);
    assert_eq!(net.said(B), ["ended"]);
    assert_eq!(
        net.trace(),
        [
            "0 A INVITE",
            "10 B 100 INVITE",
            "20 B 180 INVITE",
            "40 B 200 INVITE",
            "50 A ACK",
            "70 B BYE",
            "80 A 200 BYE"
        ]
    );

    let invite = net.sent(A, "INVITE");
    let ok = net.sent(B, "200 INVITE");
    let ack = net.sent(A, "ACK");
    let bye = net.sent(B, "BYE");
    assert_eq!(invite.header("Contact").as_deref(), Some("<sip:192.0.2.1:5060>"));
    assert_eq!(invite.header("Max-Forwards").as_deref(), Some("70"));
    assert_eq!(invite.header("To").as_deref(), Some("<sip:bob@192.0.2.2:5070>"));
    assert_eq!(invite.header("CSeq").as_deref(), Some("1 INVITE"));
    let branch = invite.via().and_then(|via| via.branch()).expect("branch");
    assert!(branch.starts_with("z9hG4bK") && branch.len() >= 7 + 16, "{branch}");
    assert_eq!(
        invite.header("Via").as_deref(),
        Some(&*format!("SIP/2.0/UDP 192.0.2.1:5060;branch={branch};rport"))
    );
    // RFC 3581 §4: the answer says where the request came from.
    let via = ok.header("Via").expect("Via").into_owned();
    assert!(
        via.contains(&branch) && via.contains("rport=5060") && via.contains("received=192.0.2.1"),
        "{via}"
    );
    assert_eq!(ok.header("X-Baton-Call").as_deref(), Some("call_1"));
    assert_eq!(ok.header("From"), invite.header("From"));
    assert_eq!(ok.sdp(), Some(sdp("answer")));
    // RFC 3261 §13.2.2.4: the ACK of a 2xx is a new transaction with the INVITE's CSeq number.
    assert_ne!(ack.via().and_then(|via| via.branch()), Some(branch));
    assert_eq!(ack.header("CSeq").as_deref(), Some("1 ACK"));
    assert_eq!(ack.header("To"), ok.header("To"));
    assert_eq!(ack.uri().expect("request").expect("URI").as_str(), "sip:192.0.2.2:5070");
    assert_eq!(bye.header("From"), ok.header("To"));
    assert_eq!(bye.header("To"), ok.header("From"));
    assert_eq!(bye.header("Reason").as_deref(), Some("SIP;cause=200"));
    assert_eq!(bye.uri().expect("request").expect("URI").as_str(), "sip:192.0.2.1:5060");
}

#[test]
fn the_caller_hangs_up() {
    let mut net = Network::new();
    let (a, _) = net.connect();
    net.ends[A].end(net.now, a, None).expect("end");
    net.finish();
    assert_eq!(
        (net.said(A), net.said(B)),
        (vec!["ended".to_owned()], vec!["bye Peer".to_owned()])
    );
    assert_eq!(net.sent(A, "BYE").header("CSeq").as_deref(), Some("2 BYE"));
}

#[test]
fn cancelled_before_the_answer() {
    let mut net = Network::new();
    let (a, _) = net.invite();
    net.ends[A].end(net.now, a, Some("SIP;cause=487")).expect("end");
    net.finish();
    assert_eq!(net.said(A), ["refused 487"]);
    assert_eq!(net.said(B), ["invite", "cancelled"]);
    assert_eq!(
        net.trace(),
        [
            "0 A INVITE",
            "10 B 100 INVITE",
            "20 A CANCEL",
            "30 B 200 CANCEL",
            "30 B 487 INVITE",
            "40 A ACK"
        ]
    );
    let (invite, cancel, ack) = (net.sent(A, "INVITE"), net.sent(A, "CANCEL"), net.sent(A, "ACK"));
    // RFC 3261 §9.1 and §17.1.1.3.
    for same in [&cancel, &ack] {
        assert_eq!(same.header("Via"), invite.header("Via"));
        assert_eq!(same.header("From"), invite.header("From"));
        assert_eq!(
            same.uri().expect("request").expect("URI"),
            invite.uri().expect("request").expect("URI")
        );
    }
    assert_eq!(cancel.header("To"), invite.header("To"));
    assert_eq!(cancel.header("CSeq").as_deref(), Some("1 CANCEL"));
    assert_eq!(cancel.header("Reason").as_deref(), Some("SIP;cause=487"));
    assert_eq!(ack.header("To"), net.sent(B, "487 INVITE").header("To"));
    assert_eq!(ack.header("CSeq").as_deref(), Some("1 ACK"));
    assert_eq!(
        net.sent(B, "200 CANCEL").header("To"),
        net.sent(B, "487 INVITE").header("To")
    );
}

#[test]
fn refused() {
    let mut net = Network::new();
    let (_, b) = net.invite();
    net.ends[B]
        .reject(net.now, b, 486, &[("Retry-After".into(), "7".into())])
        .expect("reject");
    net.finish();
    match &net.events[A][..] {
        [
            crate::endpoint::Event::Refused {
                status: 486,
                reason,
                retry_after: Some(7),
                ..
            },
        ] => assert_eq!(reason, "Busy Here"),
        other => panic!("{other:?}"),
    }
    assert_eq!(net.said(B), ["invite", "ended"]);
}
