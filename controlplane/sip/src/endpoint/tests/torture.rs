//! Points of RFC 4475 that take more than one message.

use super::network::sdp;
use super::peer::{Script, answer_to, request, whats};
use crate::endpoint::{Event, Invite};

#[test]
fn a_response_with_two_vias_is_not_for_us() {
    let mut script = Script::new();
    let invite = Invite {
        to: "sip:peer@p.example".into(),
        from: "<sip:us@192.0.2.1>".into(),
        next_hop: Some(script.peer),
        offer: Some(sdp("offer")),
        ..Invite::default()
    };
    script.end.invite(script.now, invite);
    let invite = script.sent().remove(0);
    let ok = answer_to(&invite, "200 OK", "far", "Contact: <sip:peer@192.0.2.9>\n");
    for second in [
        "\nVia: SIP/2.0/UDP 255.255.255.255;branch=z9hG4bKb\nFrom:",
        ", SIP/2.0/UDP 255.255.255.255;branch=z9hG4bKb\nFrom:",
    ] {
        let two = ok.replacen("\nFrom:", second, 1);
        assert!(script.send(&two).is_empty(), "{two}");
        assert!(script.event().is_none());
    }
    // §3.1.1.12 and §3.1.1.13: any reason phrase, or none.
    script.send(&answer_to(&invite, "183 ", "far", ""));
    assert!(matches!(script.event(), Some(Event::Progress { status: 183, .. })));
    let ok = ok.replace("200 OK", "200 = 2**3 \u{43d}\u{43e}");
    assert_eq!(whats(&script.send(&ok)), ["ACK"]);
    assert!(matches!(script.event(), Some(Event::Answered { .. })));
}

#[test]
fn a_caller_of_rfc_2543_is_served_to_the_end() {
    let mut script = Script::new();
    let invite = "INVITE sip:us@192.0.2.1 SIP/2.0\nVia: SIP/2.0/UDP 192.0.2.9:5099\nFrom: <sip:+1@gw.example>\n\
                  To: sip:us@192.0.2.1\nCall-ID: old\nCSeq: 56 INVITE\n\n";
    assert_eq!(whats(&script.send(invite)), ["100 INVITE"]);
    assert!(
        script.send(invite).iter().all(|it| it.status() == Some(100)),
        "the same call"
    );
    let dialog = script.invited();
    script
        .end
        .answer(script.now, dialog, sdp("answer"), &[])
        .expect("answer");
    let ok = script.sent().remove(0);
    let tag = ok.to().and_then(|to| to.tag()).expect("tag");
    let ack = invite
        .replace("INVITE", "ACK")
        .replace("To: sip:us@192.0.2.1", &format!("To: <sip:us@192.0.2.1>;tag={tag}"));
    assert!(script.send(&ack).is_empty());
    assert!(matches!(script.event(), Some(Event::Acked { .. })));
    script.end.end(script.now, dialog, None).expect("end");
    let bye = script.end.poll_transmit().expect("BYE");
    assert_eq!(bye.to, script.peer, "to where it came from");
    assert!(bye.bytes.starts_with(b"BYE sip:+1@gw.example SIP/2.0\r\n"));
    // One that knows branches knows Contact, too.
    let without = request("INVITE", "n", "1", "", "").replace("Contact: <sip:peer@192.0.2.9:5099>\n", "");
    assert_eq!(script.ask(&without).status(), Some(400));
}

#[test]
fn what_a_caller_accepts() {
    for (accept, served) in [
        ("", true),
        ("Accept: application/sdp\n", true),
        ("Accept: text/plain;q=0.1 , Application / SDP;level=1\n", true),
        ("Accept: text/plain\nAccept: */*\n", true),
        ("Accept: application/*\n", true),
        ("Accept:\n", false),
        ("Accept: text/*, application/sdpx\n", false),
    ] {
        let mut script = Script::new();
        let sent = whats(&script.send(&request("INVITE", "a", "1", "", accept)));
        let expected = if served { "100 INVITE" } else { "406 INVITE" };
        assert_eq!(sent, [expected], "{accept}");
        // Others have no body in their answers.
        let options = script.ask(&request("OPTIONS", "b", "2", "", accept).replace("c1", "c2"));
        assert_eq!(options.status(), Some(200), "{accept}");
    }
}

#[test]
fn schemes_that_are_served() {
    for (uri, status) in [
        ("sip:us@192.0.2.1", 200),
        ("SIPS:us@192.0.2.1", 200),
        ("tel:+493012345", 200),
        ("http://192.0.2.1/", 416),
        ("urn:service:sos", 416),
    ] {
        let mut script = Script::new();
        let text = request("OPTIONS", "u", "1", "", "").replacen("sip:us@192.0.2.1", uri, 1);
        assert_eq!(script.ask(&text).status(), Some(status), "{uri}");
    }
}
