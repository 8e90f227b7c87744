//! Dialogs that outlive who made them: another endpoint ends them.

use std::net::SocketAddr;

use bytes::Bytes;

use super::network::{A, B, Network, config};
use super::peer::{Script, request};
use crate::digest::Credentials;
use crate::endpoint::{Alive, Config, Endpoint, Event, FlowBounds, NotForeign, Standing, Stream, Transport};
use crate::message::Message;

/// One that knows nothing of what was before it.
fn newborn(address: SocketAddr) -> Endpoint {
    Endpoint::new(config(address, 4711))
}

#[test]
fn who_comes_after_ends_what_was_called_and_what_came() {
    for (end, other) in [(A, B), (B, A)] {
        let mut net = Network::new();
        let (a, b) = net.connect();
        let standing = net.ends[end].standing([a, b][end]).expect("confirmed");
        net.ends[end] = newborn(net.addresses[end]);
        net.ends[end]
            .end_foreign(net.now, standing, Vec::new(), Some("SIP;cause=503"))
            .expect("a dialog");
        net.run(100);
        assert_eq!(net.said(other), ["bye Peer"], "{:#?}", net.trace());
        assert_eq!(net.said(end), ["ended"]);
        assert_eq!(net.sent(end, "BYE").header("Reason").as_deref(), Some("SIP;cause=503"));
        net.finish();
    }
}

/// All that a peer could look at.
fn seen(message: &Message) -> Vec<Option<String>> {
    let uri = message.uri().and_then(Result::ok).map(|uri| uri.as_str().to_owned());
    let headers = ["Route", "From", "To", "Call-ID", "Max-Forwards", "User-Agent"];
    let header = |name| message.header(name).map(|value| value.into_owned());
    [uri].into_iter().chain(headers.into_iter().map(header)).collect()
}

#[test]
fn a_foreign_bye_is_that_of_the_dialog_but_for_its_number() {
    let route = "Record-Route: <sip:192.0.2.20:5070;lr>\nRecord-Route: <sip:p.example;lr>\n";
    let mut script = Script::new();
    script.send(&request("INVITE", "1", "1", "", route));
    let dialog = script.invited();
    assert_eq!(script.end.standing(dialog), None, "not confirmed yet");
    script
        .end
        .answer(script.now, dialog, Bytes::from_static(b"v=0\r\n"), &[])
        .expect("answer");
    let ok = script.sent().remove(0);
    let tag = ok.to().and_then(|to| to.tag()).expect("tag");
    script.send(&request("ACK", "1a", "1", &tag, ""));
    let standing = script.end.standing(dialog).expect("confirmed");
    let mut after = newborn("192.0.2.1:5060".parse().expect("address"));
    after
        .end_foreign(script.now, standing.clone(), Vec::new(), None)
        .expect("a dialog");
    let foreign = after.poll_transmit().expect("a BYE");
    script.end.end(script.now, dialog, None).expect("end");
    assert_eq!(script.end.standing(dialog), None, "it is being ended");
    let own = script.end.poll_transmit().expect("a BYE");
    assert_eq!(foreign.to, own.to);
    let [foreign, own] = [foreign, own].map(|sent| Message::parse(sent.bytes).expect("readable"));
    assert_eq!(seen(&foreign), seen(&own));
    assert_eq!(
        foreign.header("Route").as_deref(),
        Some("<sip:192.0.2.20:5070;lr>"),
        "the topmost of two"
    );
    let number = |message: &Message| message.cseq().expect("CSeq").number;
    assert_eq!(number(&foreign), number(&own) + 65_536);
    assert_ne!(
        foreign.via().and_then(|via| via.branch()),
        own.via().and_then(|via| via.branch())
    );
}

#[test]
fn the_number_is_above_all_that_were_used_since_it_was_written() {
    let mut net = Network::new();
    let (a, _) = net.connect();
    let standing = net.ends[A].standing(a).expect("confirmed");
    for _ in 0..100 {
        net.ends[A].probe(net.now, a).expect("probe");
        net.run(50);
    }
    assert!(net.ends[A].stands(a, &standing), "a number alone is no news");
    let last = net.log.iter().rev().find(|sent| sent.what() == "OPTIONS").expect("one");
    let last = last.message().cseq().expect("CSeq").number;
    net.ends[A] = newborn(net.addresses[A]);
    net.ends[A]
        .end_foreign(net.now, standing.clone(), Vec::new(), None)
        .expect("a dialog");
    net.run(100);
    assert!(net.sent(A, "BYE").cseq().expect("CSeq").number > last);
    assert_eq!(net.said(B), ["bye Peer"]);

    let mut end = newborn(net.addresses[A]);
    let late = Standing {
        local_cseq: u32::MAX,
        ..standing
    };
    end.end_foreign(net.now, late, Vec::new(), None).expect("a dialog");
    let bye = Message::parse(end.poll_transmit().expect("a BYE").bytes).expect("readable");
    assert_eq!(bye.cseq().expect("CSeq").number, (1 << 31) - 1);
}

/// A dialog as somebody wrote it down.
fn standing() -> Standing {
    Standing {
        call_id: "c1".into(),
        local: "<sip:us@192.0.2.1>;tag=ours".into(),
        local_tag: "ours".into(),
        remote: "<sip:peer@p.example>;tag=pt".into(),
        remote_tag: "pt".into(),
        local_cseq: 7,
        routes: Vec::new(),
        target: "sip:peer@192.0.2.9:5099".into(),
        peer: "192.0.2.9:5099".parse().expect("address"),
        transport: Transport::Udp,
    }
}

#[test]
fn every_answer_ends_it_and_none_does() {
    for answer in [
        "200 OK",
        "481 Gone",
        "500 No",
        "404 Not Found",
        "403 Forbidden",
        "401 Unauthorized",
    ] {
        let mut script = Script::new();
        let dialog = script
            .end
            .end_foreign(script.now, standing(), Vec::new(), None)
            .expect("a dialog");
        let bye = script.sent().remove(0);
        assert!(script.answer(&bye, answer).is_empty());
        assert!(
            matches!(script.event(), Some(Event::Ended { dialog: it }) if it == dialog),
            "{answer}"
        );
        script.wait(40_000);
        assert_eq!(script.end.alive(), Alive::default());
        assert_eq!(script.end.held(), 0);
    }
    let mut script = Script::new();
    script
        .end
        .end_foreign(script.now, standing(), Vec::new(), None)
        .expect("a dialog");
    script.wait(31_900);
    assert!(script.event().is_none());
    script.wait(200);
    assert!(matches!(script.event(), Some(Event::Ended { .. })));
    assert_eq!(script.sent().len(), 11, "timer E repeats it");
    assert_eq!(script.end.held(), 0);
}

#[test]
fn a_challenged_foreign_bye_shows_the_credentials() {
    let mut script = Script::new();
    let credentials = Credentials {
        realm: None,
        username: "us".into(),
        password: "s3cret".into(),
    };
    script
        .end
        .end_foreign(script.now, standing(), vec![credentials], None)
        .expect("a dialog");
    let first = script.sent().remove(0);
    let challenge = "WWW-Authenticate: Digest realm=\"pbx\", nonce=\"n1\", qop=\"auth\"\n";
    let answer = super::peer::answer_to(&first, "401 Unauthorized", "pt", challenge);
    let again = script.send(&answer).remove(0);
    assert!(
        again
            .header("Authorization")
            .is_some_and(|value| value.contains("username=\"us\""))
    );
    assert_eq!(
        again.cseq().expect("CSeq").number,
        first.cseq().expect("CSeq").number + 1
    );
    assert!(script.event().is_none(), "it goes on");
    script.answer(&again, "200 OK");
    assert!(matches!(script.event(), Some(Event::Ended { .. })));
}

#[test]
fn a_bye_of_the_peer_that_crosses_is_answered() {
    let mut script = Script::new();
    script
        .end
        .end_foreign(script.now, standing(), Vec::new(), None)
        .expect("a dialog");
    let ours = script.sent().remove(0);
    assert_eq!(script.ask(&request("BYE", "b", "3", "ours", "")).status(), Some(200));
    script.answer(&ours, "481 Gone");
    assert!(matches!(script.event(), Some(Event::Ended { .. })));
    assert!(script.event().is_none());
}

#[test]
fn what_was_never_a_dialog_is_refused() {
    let mut script = Script::new();
    let wrong = [
        Standing {
            call_id: "c1\r\nX: y".into(),
            ..standing()
        },
        Standing {
            target: "sip:a@b\n".into(),
            ..standing()
        },
        Standing {
            routes: vec!["<sip:p;lr>\0".into()],
            ..standing()
        },
        Standing {
            local_tag: String::new(),
            ..standing()
        },
    ];
    for wrong in wrong {
        let refused = script.end.end_foreign(script.now, wrong, Vec::new(), None);
        assert_eq!(refused, Err(NotForeign));
    }
    // Nor is one that lives here.
    let (dialog, _) = script.connect();
    let ours = script.end.standing(dialog).expect("confirmed");
    assert_eq!(
        script.end.end_foreign(script.now, ours, Vec::new(), None),
        Err(NotForeign)
    );
    assert!(script.sent().is_empty());
}

#[test]
fn what_a_peer_changes_is_news() {
    let mut script = Script::new();
    let (dialog, tag) = script.connect();
    let before = script.end.standing(dialog).expect("confirmed");
    assert!(script.end.stands(dialog, &before));
    let moved = request("INVITE", "2", "2", &tag, "").replace("192.0.2.9:5099>", "192.0.2.10:5099>");
    script.send(&moved);
    assert!(matches!(script.event(), Some(Event::Reinvite { .. })));
    assert!(script.end.stands(dialog, &before), "not before we have taken it");
    let answer = Bytes::from_static(b"v=0\r\n");
    script
        .end
        .answer_reinvite(script.now, dialog, answer)
        .expect("a re-INVITE");
    assert!(!script.end.stands(dialog, &before));
    let after = script.end.standing(dialog).expect("confirmed");
    assert_eq!(after.target, "sip:peer@192.0.2.10:5099");
}

#[test]
fn a_connection_that_died_with_its_process_is_opened_anew_to_the_contact() {
    let address = "192.0.2.1:5060".parse().expect("address");
    let mut end = Endpoint::new(Config {
        flows: Some(FlowBounds::default()),
        ..config(address, 5)
    });
    let standing = Standing {
        // From where it had connected to us.
        peer: "192.0.2.9:49152".parse().expect("address"),
        target: "sip:peer@192.0.2.9:5099;transport=tcp".into(),
        transport: Transport::Tcp,
        ..standing()
    };
    let now = std::time::Instant::now();
    end.end_foreign(now, standing, Vec::new(), None).expect("a dialog");
    let Some(Stream::Connect { flow, to }) = end.poll_stream() else {
        panic!("no connection")
    };
    assert_eq!(to.to_string(), "192.0.2.9:5099");
    end.handle_connected(now, flow);
    let Some(Stream::Send { bytes, .. }) = end.poll_stream() else {
        panic!("nothing is written")
    };
    let bye = Message::parse(bytes).expect("readable");
    assert_eq!(bye.method().map(ToString::to_string).as_deref(), Some("BYE"));
    assert!(bye.header("Via").is_some_and(|via| via.starts_with("SIP/2.0/TCP ")));
}
