//! What an endpoint answers to requests and responses of every kind.

use std::net::SocketAddr;

use bytes::Bytes;

use super::network::sdp;
use super::peer::{REFER_TO, Script, answer_to, call, request, whats};
use crate::endpoint::{Alive, Event, Invite};
use crate::message::Message;

/// What we serve.
const ALLOW: &str = "INVITE, ACK, BYE, CANCEL, OPTIONS, REFER, NOTIFY, INFO";

#[test]
fn retransmissions_make_no_second_dialog() {
    let mut script = Script::new();
    let invite = request("INVITE", "1", "1", "", "");
    assert_eq!(whats(&script.send(&invite)), ["100 INVITE"]);
    let dialog = script.invited();
    assert_eq!(whats(&script.send(&invite)), ["100 INVITE"]);
    script
        .end
        .ring(script.now, dialog, 183, Some(sdp("early")))
        .expect("ring");
    let early = script.sent().remove(0);
    assert_eq!((early.status(), early.sdp()), (Some(183), Some(sdp("early"))));
    assert_eq!(whats(&script.send(&invite)), ["183 INVITE"]);
    script
        .end
        .answer(script.now, dialog, sdp("answer"), &[])
        .expect("answer");
    assert_eq!(whats(&script.sent()), ["200 INVITE"]);
    assert!(script.send(&invite).is_empty(), "absorbed (RFC 6026)");
    assert!(script.event().is_none());
    assert_eq!(
        script.end.alive(),
        Alive {
            dialogs: 1,
            transactions: 1,
            ..Alive::default()
        }
    );
}

#[test]
fn merged_requests_are_refused() {
    let mut script = Script::new();
    script.send(&request("INVITE", "1", "1", "", ""));
    script.invited();
    let merged = request("INVITE", "other", "1", "", "");
    let first = script.ask(&merged);
    assert_eq!(first.status(), Some(482));
    assert!(script.event().is_none());
    // RFC 3261 §8.2.7: a stateless answer is the same every time.
    assert_eq!(script.ask(&merged).to_bytes(), first.to_bytes());
    assert_eq!(script.end.alive().transactions, 1);
}

#[test]
fn requests_that_are_not_served() {
    let mut script = Script::new();
    let cases = [
        ("BYE", "tag", "", 481),
        ("INVITE", "tag", "", 481),
        ("OPTIONS", "tag", "", 481),
        ("CANCEL", "", "", 481),
        ("INFO", "", "", 481),
        ("UPDATE", "", "", 405),
        ("NOTIFY", "", "", 400),
        ("NOTIFY", "", "Event: refer\n", 481),
        ("NOTIFY", "", "Event: message-summary\n", 489),
        ("NOTIFY", "tag", "Event: refer\n", 481),
        ("MESSAGE", "", "", 405),
        ("REGISTER", "", "", 405),
        ("FROBNICATE", "", "", 405),
        ("REFER", "", "Refer-To: <sip:x@y.example>\n", 403),
        ("REFER", "tag", "Refer-To: <sip:x@y.example>\n", 481),
        ("INVITE", "", "Require: foo, bar\n", 420),
        ("OPTIONS", "", "Require: foo\n", 420),
        ("INVITE", "", "Max-Forwards: 0\n", 483),
        ("BYE", "", "", 481),
    ];
    for (at, (method, tag, more, status)) in cases.into_iter().enumerate() {
        let mut text = request(method, &format!("r{at}"), "1", tag, more);
        if more.starts_with("Max") {
            text = text.replace("Max-Forwards: 70\n", "");
        }
        let answer = script.ask(&text);
        assert_eq!(answer.status(), Some(status), "{method} {more}");
        assert!(answer.to().and_then(|to| to.tag()).is_some(), "{method}");
        if status == 420 && method == "INVITE" {
            assert_eq!(answer.header("Unsupported").as_deref(), Some("foo, bar"));
        }
        if status == 405 {
            assert_eq!(answer.header("Allow").as_deref(), Some(ALLOW), "{method}");
        }
        if status == 489 {
            assert_eq!(answer.header("Allow-Events").as_deref(), Some("refer"));
        }
    }
    assert!(
        script.send(&request("ACK", "x", "1", "tag", "")).is_empty(),
        "an ACK is never answered"
    );
    assert_eq!(script.end.alive(), Alive::default());
    assert!(script.event().is_none());
}

#[test]
fn methods_inside_a_dialog() {
    let mut script = Script::new();
    let (_, tag) = script.connect();
    for (cseq, (method, status)) in [
        ("OPTIONS", 200),
        ("INFO", 200),
        ("NOTIFY", 400),
        ("MESSAGE", 405),
        ("UPDATE", 405),
        ("REFER", 400),
    ]
    .into_iter()
    .enumerate()
    {
        let answer = script.ask(&request(method, method, &(cseq + 2).to_string(), &tag, ""));
        assert_eq!(answer.status(), Some(status), "{method}");
        assert_eq!(answer.to().and_then(|to| to.tag()).as_deref(), Some(&*tag));
    }
    // §12.2.2: lower than the last one.
    assert_eq!(
        script.ask(&request("OPTIONS", "low", "3", &tag, "")).status(),
        Some(500)
    );
    assert!(script.event().is_none());
    let bye = request("BYE", "bye", "20", &tag, "");
    assert_eq!(script.ask(&bye).status(), Some(200));
    assert!(matches!(script.event(), Some(Event::Bye { .. })));
    assert_eq!(script.ask(&bye).status(), Some(200), "the transaction absorbs it");
    assert_eq!(script.ask(&request("BYE", "bye2", "21", &tag, "")).status(), Some(481));
    script.wait(40_000);
    assert_eq!(script.end.alive(), Alive::default());
}

#[test]
fn a_bye_that_was_overtaken_ends_the_call_all_the_same() {
    let mut script = Script::new();
    let (_, tag) = script.connect();
    assert_eq!(script.ask(&request("OPTIONS", "o", "9", &tag, "")).status(), Some(200));
    assert_eq!(script.ask(&request("BYE", "b", "8", &tag, "")).status(), Some(200));
    assert!(matches!(script.event(), Some(Event::Bye { .. })));
    assert_eq!(script.end.alive().dialogs, 0);
}

#[test]
fn a_stranger_with_our_tag_is_not_in_the_dialog() {
    let mut script = Script::new();
    let (_, tag) = script.connect();
    let bye = request("BYE", "x", "9", &tag, "").replace("tag=pt", "tag=other");
    assert_eq!(script.ask(&bye).status(), Some(481));
    assert!(script.event().is_none());
}

#[test]
fn options_and_draining() {
    let mut script = Script::new();
    let answer = script.ask(&request("OPTIONS", "o", "1", "", ""));
    assert_eq!(answer.status(), Some(200));
    assert_eq!(answer.header("Accept").as_deref(), Some("application/sdp"));
    assert_eq!(answer.header("Allow").as_deref(), Some(ALLOW));
    assert_eq!(answer.header("Allow-Events").as_deref(), Some("refer"));
    assert_eq!(answer.header("Supported").as_deref(), Some("norefersub"));
    let (_, tag) = script.connect();
    script.end.refuse_new(Some(30));
    for method in ["INVITE", "OPTIONS"] {
        let answer = script.ask(&request(method, &format!("d{method}"), "5", "", ""));
        assert_eq!(answer.status(), Some(503), "{method}");
        assert_eq!(answer.header("Retry-After").as_deref(), Some("30"));
    }
    assert_eq!(
        script.ask(&request("OPTIONS", "in", "6", &tag, "")).status(),
        Some(200),
        "calls go on"
    );
    assert_eq!(script.end.turned_away(), 1, "the INVITE");
    script.end.refuse_new(None);
    assert_eq!(script.ask(&request("OPTIONS", "o3", "1", "", "")).status(), Some(200));
}

#[test]
fn a_flood_of_invites_meets_the_limit() {
    let mut script = Script::new();
    let mut counts = [0, 0];
    for at in 0..1000 {
        let text = request("INVITE", &format!("f{at}"), "1", "", "").replace("Call-ID: c1", &format!("Call-ID: f{at}"));
        let answer = script.ask(&text);
        match answer.status() {
            Some(100) => counts[0] += 1,
            Some(503) => {
                assert!(answer.header("Retry-After").is_some());
                counts[1] += 1;
            }
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(counts, [100, 900]);
    assert_eq!(
        script.end.alive(),
        Alive {
            dialogs: 100,
            transactions: 100,
            ..Alive::default()
        }
    );
    // What is there can still be cancelled.
    let cancel = request("CANCEL", "f3", "1", "", "").replace("Call-ID: c1", "Call-ID: f3");
    assert_eq!(whats(&script.send(&cancel)), ["200 CANCEL", "487 INVITE"]);
}

#[test]
fn a_flood_inside_a_dialog_meets_twice_the_limit() {
    let mut script = Script::new();
    let of = |call: usize, text: String| text.replace("Call-ID: c1", &format!("Call-ID: flood{call}"));
    let mut tags = Vec::new();
    for call in 0..5 {
        script.send(&of(call, request("INVITE", &format!("f{call}"), "1", "", "")));
        let dialog = script.invited();
        script
            .end
            .answer(script.now, dialog, sdp("answer"), &[])
            .expect("answer");
        tags.push(script.sent()[0].to().and_then(|to| to.tag()).expect("tag"));
    }
    let mut refused = 0;
    for (call, tag) in tags.iter().enumerate() {
        for cseq in 2..52 {
            let text = request("INVITE", &format!("f{call}x{cseq}"), &cseq.to_string(), tag, "");
            let answers = script.send(&of(call, text));
            refused += u32::from(answers[0].status() == Some(503));
        }
    }
    assert_eq!(refused, 5 * 51 - 200);
    let alive = script.end.alive();
    assert_eq!((alive.dialogs, alive.transactions), (5, 200));
}

#[test]
fn one_dialog_cannot_take_the_room_of_all() {
    let mut script = Script::new();
    let (_, tag) = script.connect();
    let methods = [("INVITE", ""), ("REFER", REFER_TO)];
    let mut refused = 0;
    for cseq in 2..1002 {
        let (method, more) = methods[cseq % 2];
        let answers = script.send(&request(method, &format!("f{cseq}"), &cseq.to_string(), &tag, more));
        refused += u32::from(answers.first().and_then(Message::status) == Some(503));
        if let Some(Event::Refer { refer, .. }) = script.event() {
            script.end.reject_refer(script.now, refer, 403).expect("reject");
            script.sent();
        }
    }
    assert_eq!(refused, 1000 - 63);
    assert_eq!(script.end.alive().transactions, 64);
    // There is room for others, and it can end.
    let other = request("INVITE", "other", "1", "", "").replace("Call-ID: c1", "Call-ID: c2");
    assert_eq!(whats(&script.send(&other)), ["100 INVITE"]);
    let bye = script.send(&request("BYE", "bye", "2000", &tag, ""));
    assert_eq!(whats(&bye), ["200 BYE", "487 INVITE"]);
    script.wait(70_000);
    assert_eq!(script.end.alive().transactions, 1, "the other's INVITE");
}

#[test]
fn answers_go_where_via_and_rport_say() {
    let from: SocketAddr = "198.51.100.7:33333".parse().expect("address");
    for (via, to, contains) in [
        (
            "192.0.2.9:5099;branch=z9hG4bK1;rport",
            "198.51.100.7:33333",
            "rport=33333",
        ),
        (
            "192.0.2.9:5099;branch=z9hG4bK2",
            "198.51.100.7:5099",
            "received=198.51.100.7",
        ),
        (
            "phone.example;branch=z9hG4bK3",
            "198.51.100.7:5060",
            "received=198.51.100.7",
        ),
        (
            "192.0.2.9:5099;branch=z9hG4bK4;maddr=203.0.113.1",
            "198.51.100.7:5099",
            "received=198.51.100.7",
        ),
    ] {
        let mut script = Script::new();
        let text = request("OPTIONS", "x", "1", "", "").replace("192.0.2.9:5099;branch=z9hG4bKx", via);
        script
            .end
            .handle_datagram(script.now, from, Bytes::from(text.replace('\n', "\r\n")));
        let transmit = script.end.poll_transmit().expect("an answer");
        assert_eq!(transmit.to.to_string(), to, "{via}");
        let answer = Message::parse(transmit.bytes).expect("readable");
        assert!(answer.header("Via").is_some_and(|via| via.contains(contains)), "{via}");
    }
}

#[test]
fn all_vias_come_back_in_order() {
    let mut script = Script::new();
    let answer = script.ask(&request(
        "OPTIONS",
        "x",
        "1",
        "",
        "Via: SIP/2.0/TCP a.example;branch=z9hG4bKa, SIP/2.0/UDP b.example;branch=z9hG4bKb\n",
    ));
    let vias: Vec<_> = answer.headers("Via").map(|via| via.into_owned()).collect();
    assert_eq!(vias.len(), 2);
    assert!(vias[0].contains("z9hG4bKx"));
    assert_eq!(
        vias[1],
        "SIP/2.0/TCP a.example;branch=z9hG4bKa, SIP/2.0/UDP b.example;branch=z9hG4bKb"
    );
}

#[test]
fn the_route_set_of_an_invite_that_came() {
    let mut script = Script::new();
    let route = "Record-Route: <sip:192.0.2.51;lr>, <sip:192.0.2.52;lr>\n";
    script.send(&request("INVITE", "1", "1", "", route));
    let dialog = script.invited();
    script
        .end
        .answer(script.now, dialog, sdp("answer"), &[])
        .expect("answer");
    let ok = script.sent().remove(0);
    assert_eq!(
        ok.header("Record-Route").as_deref(),
        Some("<sip:192.0.2.51;lr>, <sip:192.0.2.52;lr>")
    );
    let tag = ok.to().and_then(|to| to.tag()).expect("tag");
    script.send(&request("ACK", "1a", "1", &tag, ""));
    script.end.end(script.now, dialog, None).expect("end");
    let bye = script.end.poll_transmit().expect("BYE");
    assert_eq!(bye.to.to_string(), "192.0.2.51:5060", "to the first route");
    let bye = Message::parse(bye.bytes).expect("readable");
    let routes: Vec<_> = bye.headers("Route").map(|route| route.into_owned()).collect();
    assert_eq!(routes, ["<sip:192.0.2.51;lr>", "<sip:192.0.2.52;lr>"]);
    assert_eq!(
        bye.uri().expect("request").expect("URI").as_str(),
        "sip:peer@192.0.2.9:5099"
    );
    assert_eq!(bye.header("To").as_deref(), Some("<sip:peer@p.example>;tag=pt"));
    assert_eq!(
        bye.header("From").map(|from| from.into_owned()),
        Some(format!("<sip:us@192.0.2.1>;tag={tag}"))
    );
}

#[test]
fn the_route_set_of_our_invite_is_reversed() {
    let mut script = Script::new();
    let (dialog, invite) = call(&mut script);
    assert!(invite.header("Injected").is_none());
    let more =
        "Contact: <sip:peer@192.0.2.9:5099>\nRecord-Route: <sip:p1.example;lr>\nRecord-Route: <sip:192.0.2.52;lr>\n";
    script.end.handle_datagram(
        script.now,
        script.peer,
        answer_to(&invite, "200 OK", "t1", more).replace('\n', "\r\n").into(),
    );
    let ack = script.end.poll_transmit().expect("ACK");
    assert_eq!(ack.to.to_string(), "192.0.2.52:5060");
    let ack = Message::parse(ack.bytes).expect("readable");
    let routes: Vec<_> = ack.headers("Route").map(|route| route.into_owned()).collect();
    assert_eq!(routes, ["<sip:192.0.2.52;lr>", "<sip:p1.example;lr>"]);
    assert!(matches!(script.event(), Some(Event::Answered { .. })));
    // A re-INVITE of theirs moves the target.
    let tag = invite.from().and_then(|from| from.tag()).expect("tag");
    let call_id = invite.call_id().expect("Call-ID").into_owned();
    let theirs = request("INVITE", "re", "1", &tag, "")
        .replace("tag=pt", "tag=t1")
        .replace("Call-ID: c1", &format!("Call-ID: {call_id}"))
        .replace("Contact: <sip:peer@192.0.2.9:5099>", "Contact: <sip:moved@192.0.2.10>");
    assert_eq!(whats(&script.send(&theirs)), ["100 INVITE"]);
    script
        .end
        .answer_reinvite(script.now, dialog, sdp("answer"))
        .expect("answer");
    script.sent();
    script.end.end(script.now, dialog, None).expect("end");
    assert_eq!(
        script.sent()[0].uri().expect("request").expect("URI").as_str(),
        "sip:moved@192.0.2.10"
    );
}

#[test]
fn a_second_2xx_of_a_fork_gets_ack_and_bye() {
    let mut script = Script::new();
    let (dialog, invite) = call(&mut script);
    let one = answer_to(&invite, "200 OK", "one", "Contact: <sip:one@192.0.2.9:5099>\n");
    let two = answer_to(&invite, "200 OK", "two", "Contact: <sip:two@192.0.2.9:5098>\n");
    let first = script.send(&one);
    assert_eq!(whats(&first), ["ACK"]);
    let second = script.send(&two);
    assert_eq!(whats(&second), ["ACK", "BYE"]);
    for message in &second {
        assert_eq!(message.to().and_then(|to| to.tag()).as_deref(), Some("two"));
        assert_eq!(
            message.uri().expect("request").expect("URI").as_str(),
            "sip:two@192.0.2.9:5098"
        );
    }
    assert_eq!(second[0].header("CSeq").as_deref(), Some("1 ACK"));
    assert_eq!(second[1].header("CSeq").as_deref(), Some("2 BYE"));
    let again = script.send(&two);
    assert_eq!(
        again.iter().map(Message::to_bytes).collect::<Vec<_>>(),
        [second[0].to_bytes()],
        "the same ACK, no second BYE"
    );
    assert_eq!(script.send(&one)[0].to_bytes(), first[0].to_bytes());
    assert!(matches!(script.event(), Some(Event::Answered { dialog: answered, .. }) if answered == dialog));
    assert!(script.event().is_none());
    // An attacker's forks are not remembered without end.
    for at in 0..100 {
        script.send(&answer_to(&invite, "200 OK", &format!("f{at}"), ""));
    }
    assert!(script.end.alive().transactions < 10);
    script.end.end(script.now, dialog, None).expect("end");
    script.wait(70_000);
    assert_eq!(script.end.alive(), Alive::default());
}

#[test]
fn a_second_reinvite_before_the_first_is_answered() {
    let mut script = Script::new();
    let (dialog, tag) = script.connect();
    script.send(&request("INVITE", "2", "2", &tag, ""));
    assert!(matches!(script.event(), Some(Event::Reinvite { body: None, .. })));
    let answers = script.send(&request("INVITE", "3", "3", &tag, ""));
    assert_eq!(whats(&answers), ["100 INVITE", "500 INVITE"]);
    assert_eq!(
        whats(&script.send(&request("INVITE", "3b", "3", &tag, ""))),
        ["482 INVITE"],
        "the same CSeq on another way"
    );
    let seconds: u32 = answers[1].retry_after().expect("Retry-After");
    assert!(seconds <= 10);
    assert!(script.event().is_none());
    // The first one carried no offer: our 2xx does, and the ACK brings the answer.
    script
        .end
        .answer_reinvite(script.now, dialog, sdp("our offer"))
        .expect("answer");
    assert_eq!(script.sent()[0].sdp(), Some(sdp("our offer")));
    // Until then nothing else can be negotiated.
    assert_eq!(
        whats(&script.send(&request("INVITE", "4", "4", &tag, ""))),
        ["100 INVITE", "491 INVITE"]
    );
    let ack = request("ACK", "2a", "2", &tag, "Content-Type: application/sdp\n")
        .replace("Content-Length: 0\n\n", "Content-Length: 15\n\nv=0\ns=answer\n");
    script.send(&ack);
    match script.event() {
        Some(Event::Acked { body: Some(body), .. }) => assert!(body.starts_with(b"v=0\r\ns=")),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_reinvite_is_cancelled() {
    let mut script = Script::new();
    let (dialog, tag) = script.connect();
    script.send(&request("INVITE", "2", "2", &tag, ""));
    let answers = script.send(&request("CANCEL", "2", "2", &tag, ""));
    assert_eq!(whats(&answers), ["200 CANCEL", "487 INVITE"]);
    assert!(script.end.answer_reinvite(script.now, dialog, sdp("late")).is_err());
    assert!(script.end.call_id(dialog).is_some(), "the dialog goes on");
    script
        .end
        .reinvite(script.now, dialog, sdp("ours"))
        .expect("free again");
}

#[test]
fn a_reinvite_with_a_new_cseq_acknowledges_our_2xx() {
    let mut script = Script::new();
    let with_offer = |branch: &str, cseq: &str, tag: &str| {
        request("INVITE", branch, cseq, tag, "Content-Type: application/sdp\n")
            .replace("Content-Length: 0\n\n", "Content-Length: 5\n\nv=0\n")
    };
    script.send(&with_offer("1", "1", ""));
    let dialog = script.invited();
    script
        .end
        .answer(script.now, dialog, sdp("answer"), &[])
        .expect("answer");
    let tag = script.sent()[0].to().and_then(|to| to.tag()).expect("tag");
    script.send(&with_offer("2", "2", &tag));
    assert!(matches!(script.event(), Some(Event::Acked { body: None, .. })));
    assert!(matches!(script.event(), Some(Event::Reinvite { .. })));
    script.wait(3_000);
    assert!(script.sent().is_empty(), "the first 200 is not repeated any more");
}

#[test]
fn rfc_2543_requests_match_without_the_magic_cookie() {
    let mut script = Script::new();
    let old = |method: &str, tag: &str| request(method, "x", "1", tag, "").replace(";branch=z9hG4bKx", "");
    assert_eq!(whats(&script.send(&old("INVITE", ""))), ["100 INVITE"]);
    let dialog = script.invited();
    assert_eq!(whats(&script.send(&old("INVITE", ""))), ["100 INVITE"]);
    assert!(script.event().is_none());
    script.end.reject(script.now, dialog, 486, &[]).expect("reject");
    let tag = script.sent()[0].to().and_then(|to| to.tag()).expect("tag");
    script.send(&old("ACK", "someone-else"));
    assert!(script.event().is_none(), "an ACK for another answer");
    script.send(&old("ACK", &tag));
    assert!(matches!(script.event(), Some(Event::Ended { .. })));
    script.wait(5_000);
    assert_eq!(script.end.alive(), Alive::default());
}

#[test]
fn rfc_2543_cancel() {
    let mut script = Script::new();
    let old = |method: &str| request(method, "x", "1", "", "").replace("branch=z9hG4bKx", "branch=7");
    script.send(&old("INVITE"));
    script.invited();
    assert_eq!(whats(&script.send(&old("CANCEL"))), ["200 CANCEL", "487 INVITE"]);
    assert!(matches!(script.event(), Some(Event::Cancelled { .. })));
}

#[test]
fn a_body_that_is_no_sdp() {
    let mut script = Script::new();
    let text = request("INVITE", "1", "1", "", "Content-Type: text/plain\n")
        .replace("Content-Length: 0\n\n", "Content-Length: 2\n\nhi");
    let answer = script.ask(&text);
    assert_eq!(answer.status(), Some(415));
    assert_eq!(answer.header("Accept").as_deref(), Some("application/sdp"));
}

#[test]
fn an_invite_without_an_address_to_send_it_to() {
    let mut script = Script::new();
    let dialog = script.end.invite(
        script.now,
        Invite {
            to: "sip:x@name.example".into(),
            ..Invite::default()
        },
    );
    assert!(matches!(script.event(), Some(Event::Refused { dialog: refused, status: 503, .. }) if refused == dialog));
    assert_eq!(script.end.alive(), Alive::default());
}

#[test]
fn noise_and_answers_to_nobody() {
    let mut script = Script::new();
    for text in ["", "\n\n", "hello", "SIP/2.0 200 OK\n\n", "ACK sip:x SIP/2.0\n\n"] {
        assert!(script.send(text).is_empty(), "{text:?}");
    }
    let (_, invite) = call(&mut script);
    let stray = answer_to(&invite, "200 OK", "t", "").replace("z9hG4bK", "z9hG4bKother");
    assert!(script.send(&stray).is_empty());
    assert!(script.event().is_none());
}

#[test]
fn a_stranger_gets_one_small_refusal_and_leaves_nothing() {
    let mut script = Script::new();
    let (_, tag) = script.connect();
    let before = script.end.alive();
    script.end.admit(["192.0.2.50".parse().expect("address")]);
    let invite = request("INVITE", "s1", "1", "", "").replace("Call-ID: c1", "Call-ID: s1");
    let first = script.ask(&invite);
    assert_eq!(first.status(), Some(403));
    assert!(first.to().and_then(|to| to.tag()).is_some());
    assert!(first.to_bytes().len() <= invite.len() + 100, "no more comes than went");
    assert_eq!(
        script.ask(&invite).to_bytes(),
        first.to_bytes(),
        "the same every time (§8.2.7)"
    );
    let ack = request("ACK", "s1", "1", "x", "").replace("Call-ID: c1", "Call-ID: s1");
    assert!(script.send(&ack).is_empty());
    assert!(script.event().is_none());
    assert_eq!(script.end.alive(), before);
    script.wait(40_000);
    assert!(script.sent().is_empty(), "nothing is repeated");

    // Refusals are limited, whatever they are about; OPTIONS is answered.
    let kinds = [
        request("INVITE", "s2", "1", "", ""),
        request("BYE", "s3", "1", "nobody", ""),
        request("SUBSCRIBE", "s4", "1", "", ""),
        request("BYE", "s5", "1", "", "").replace("CSeq: 1 BYE", "CSeq: x"),
    ];
    let answers: usize = (0..1000).map(|n| script.send(&kinds[n % kinds.len()]).len()).sum();
    assert_eq!(answers, 100);
    let options = request("OPTIONS", "o", "1", "", "");
    let sizes: Vec<_> = (0..2000)
        .flat_map(|_| script.send(&options))
        .map(|answer| answer.to_bytes().len())
        .collect();
    assert_eq!(sizes.len(), 1000, "OPTIONS has a count of its own, a larger one");
    assert!(sizes.iter().all(|size| *size <= options.len() + 150), "{sizes:?}");
    // A dialog that is there does not suffer.
    assert_eq!(script.ask(&request("BYE", "b", "2", &tag, "")).status(), Some(200));

    // Who may call is answered always.
    script.peer = "192.0.2.50:5060".parse().expect("address");
    assert_eq!(script.ask(&request("BYE", "s6", "1", "nobody", "")).status(), Some(481));
    assert_eq!(script.ask(&request("OPTIONS", "o", "1", "", "")).status(), Some(200));
    assert_eq!(
        whats(&script.send(&request("INVITE", "k", "1", "", ""))),
        ["100 INVITE"]
    );
}
