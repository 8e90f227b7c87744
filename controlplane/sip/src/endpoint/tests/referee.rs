//! We are referred, and the peer is written out by hand (RFC 3515 §2.4, RFC 6665 §4.2).

use super::network::sdp;
use super::peer::{REFER_TO, Script, answer_to, call, carol, request, whats};
use crate::endpoint::{Alive, Event, ReferId, WrongState};
use crate::message::Message;

fn refer(cseq: u32, tag: &str, more: &str) -> String {
    request("REFER", &format!("r{cseq}"), &cseq.to_string(), tag, more)
}

/// A call whose REFER we have accepted; our tag, and the NOTIFY.
fn accepted(script: &mut Script) -> (crate::endpoint::DialogId, String, ReferId, Message) {
    let (dialog, tag) = script.connect();
    assert!(script.send(&refer(2, &tag, REFER_TO)).is_empty());
    let (refer, _) = script.referred();
    script.end.accept_refer(script.now, refer).expect("accept");
    let mut sent = script.sent();
    assert_eq!(whats(&sent), ["202 REFER", "NOTIFY"]);
    (dialog, tag, refer, sent.remove(1))
}

#[test]
fn a_refer_has_exactly_one_refer_to() {
    let mut script = Script::new();
    let (_, tag) = script.connect();
    for (at, (more, status)) in [
        ("", 400),
        ("Refer-To: \n", 400),
        ("Refer-To: carol\n", 400),
        ("Refer-To: <carol>\n", 400),
        ("Refer-To: <sip:carol@c.example\n", 400),
        ("Refer-To: <sip:a@h.example>, <sip:b@h.example>\n", 400),
        ("Refer-To: sip:a@h.example, sip:b@h.example\n", 400),
        ("Refer-To: <sip:a@h.example>\nRefer-To: <sip:b@h.example>\n", 400),
        ("Refer-To: <sip:a@h.example>\nr: <sip:a@h.example>\n", 400),
        ("Refer-To: <sip:a@h.example>\nRequire: foo\n", 420),
    ]
    .into_iter()
    .enumerate()
    {
        let answer = script.ask(&refer(2 + at as u32, &tag, more));
        assert_eq!(answer.status(), Some(status), "{more:?}");
        assert!(script.event().is_none());
    }
    for (at, (more, uri)) in [
        ("Refer-To: <sip:carol@c.example>\n", "sip:carol@c.example"),
        ("r: sip:carol@c.example;x=y\n", "sip:carol@c.example"),
        (
            "R : \"Smith, Carol\" <sip:a,b@c.example>;x=\"1,2\"\nRequire: norefersub\n",
            "sip:a,b@c.example",
        ),
        ("Refer-To: <tel:+4930123456>\n", "tel:+4930123456"),
    ]
    .into_iter()
    .enumerate()
    {
        assert!(script.send(&refer(20 + at as u32, &tag, more)).is_empty(), "{more:?}");
        let (refer, message) = script.referred();
        assert_eq!(message.refer_to().expect("Refer-To").uri.as_str(), uri);
        script.end.reject_refer(script.now, refer, 403).expect("reject");
        assert_eq!(whats(&script.sent()), ["403 REFER"]);
    }
}

#[test]
fn headers_in_a_refer_to_are_unescaped_once() {
    let mut script = Script::new();
    let (_, tag) = script.connect();
    let more = "Refer-To: <sip:carol@c.example?Replaces=12%2540h%3Bto-tag%3D7%3Bfrom-tag%3Da%2Bb&Require=replaces>\n\
                b: <sip:agent@a.example>;cid=\"20398823.2UWQFN309shb3@a.example\"\n";
    script.send(&refer(2, &tag, more));
    let (_, message) = script.referred();
    let to = message.refer_to().expect("Refer-To");
    assert_eq!(
        to.uri.header("replaces").as_deref(),
        Some("12%40h;to-tag=7;from-tag=a+b")
    );
    assert_eq!(to.uri.header("Require").as_deref(), Some("replaces"));
    assert_eq!(to.uri.header("Accept-Contact"), None);
    let by = message.referred_by().expect("Referred-By");
    assert_eq!(by.uri.as_str(), "sip:agent@a.example");
    assert!(by.params.get("cid").is_some());
}

#[test]
fn a_refer_before_the_call_is_answered_gets_481() {
    // Theirs, ringing.
    let mut script = Script::new();
    script.send(&request("INVITE", "1", "1", "", ""));
    let dialog = script.invited();
    script.end.ring(script.now, dialog, 180, None).expect("ring");
    let tag = script.sent()[0].to().and_then(|to| to.tag()).expect("tag");
    assert_eq!(script.ask(&refer(2, &tag, REFER_TO)).status(), Some(481));
    // Ours, ringing.
    let (_, invite) = call(&mut script);
    let ours = invite.from().and_then(|from| from.tag()).expect("tag");
    script.send(&answer_to(
        &invite,
        "180 Ringing",
        "pt",
        "Contact: <sip:peer@192.0.2.9:5099>\n",
    ));
    assert!(matches!(script.event(), Some(Event::Progress { .. })));
    let call_id = invite.call_id().expect("Call-ID").into_owned();
    let early = refer(1, &ours, REFER_TO).replace("Call-ID: c1", &format!("Call-ID: {call_id}"));
    assert_eq!(script.ask(&early).status(), Some(481));
    assert!(script.event().is_none());
    assert_eq!(script.end.alive().refers, 0);
}

#[test]
fn a_refer_after_the_end_gets_481() {
    let mut script = Script::new();
    let (dialog, tag) = script.connect();
    script.end.end(script.now, dialog, None).expect("end");
    script.sent();
    assert_eq!(script.ask(&refer(2, &tag, REFER_TO)).status(), Some(481));
    assert!(script.event().is_none());
}

#[test]
fn a_refer_of_a_stranger_is_never_an_event() {
    let mut script = Script::new();
    let (_, tag) = script.connect();
    for (text, status) in [
        (refer(2, "", REFER_TO), 403),
        (refer(3, "", ""), 403),
        (refer(4, "nobody", REFER_TO), 481),
        (refer(5, &tag, REFER_TO).replace("tag=pt", "tag=other"), 481),
        (refer(6, &tag, REFER_TO).replace("Call-ID: c1", "Call-ID: c2"), 481),
    ] {
        assert_eq!(script.ask(&text).status(), Some(status), "{text}");
    }
    assert!(script.event().is_none());
    assert_eq!(script.end.alive().refers, 0);
}

#[test]
fn a_repeated_refer_gets_the_same_answer_and_makes_no_second_transfer() {
    let mut script = Script::new();
    let (_, tag) = script.connect();
    let text = refer(2, &tag, REFER_TO);
    assert!(script.send(&text).is_empty());
    assert!(script.send(&text).is_empty(), "absorbed while our user thinks");
    let (refer, _) = script.referred();
    script.end.accept_refer(script.now, refer).expect("accept");
    let sent = script.sent();
    assert_eq!(whats(&sent), ["202 REFER", "NOTIFY"]);
    assert_eq!(script.ask(&text).to_bytes(), sent[0].to_bytes());
    // The same one on another way.
    let merged = text.replace("z9hG4bKr2", "z9hG4bKother");
    assert_eq!(script.ask(&merged).status(), Some(482));
    assert!(script.event().is_none());
    assert_eq!(script.end.accept_refer(script.now, refer), Err(WrongState));
}

#[test]
fn a_failed_notify_ends_the_subscription_and_not_the_call() {
    for status in [
        "405 Method Not Allowed",
        "481 Nothing",
        "408 Timeout",
        "500 Oops",
        "489 Bad Event",
    ] {
        let mut script = Script::new();
        let (dialog, _, refer, notify) = accepted(&mut script);
        script.end.notify(script.now, refer, 180, false).expect("notify");
        assert!(script.answer(&notify, status).is_empty(), "no further NOTIFY");
        assert_eq!(script.end.notify(script.now, refer, 200, true), Err(WrongState));
        assert!(script.event().is_none(), "{status}");
        assert_eq!(script.end.alive().refers, 0);
        script.end.end(script.now, dialog, None).expect("a call");
        assert_eq!(whats(&script.sent()), ["BYE"], "{status}");
    }
}

#[test]
fn the_end_of_the_time_does_not_replace_the_last_word() {
    let mut script = Script::new();
    let (dialog, _, refer, first) = accepted(&mut script);
    script.answer(&first, "200 OK");
    script.wait(170_000);
    script.end.end(script.now, dialog, None).expect("end");
    let bye = script.sent().remove(0);
    script.end.notify(script.now, refer, 200, true).expect("notify");
    // The subscription's time ends while the NOTIFY waits for the answer to our BYE.
    script.wait(20_000);
    assert!(whats(&script.sent()).iter().all(|what| what == "BYE"));
    let told = script.answer(&bye, "200 OK");
    assert_eq!(whats(&told), ["NOTIFY"]);
    assert_eq!(told[0].sipfrag(), Some(200));
    assert_eq!(
        told[0].header("Subscription-State").as_deref(),
        Some("terminated;reason=noresource")
    );
}

#[test]
fn a_provisional_answer_to_a_notify_is_no_answer() {
    let mut script = Script::new();
    let (dialog, _, refer, first) = accepted(&mut script);
    assert!(script.answer(&first, "200 OK").is_empty());
    script.end.notify(script.now, refer, 200, true).expect("notify");
    let last = script.sent().remove(0);
    script.end.end(script.now, dialog, None).expect("end");
    assert!(script.answer(&last, "100 Trying").is_empty());
    assert_eq!(whats(&script.answer(&last, "200 OK")), ["BYE"]);
}

#[test]
fn an_end_before_the_ack_and_with_a_notify_waits_for_both() {
    for ack_first in [true, false] {
        let mut script = Script::new();
        script.send(&request("INVITE", "1", "1", "", ""));
        let dialog = script.invited();
        script
            .end
            .answer(script.now, dialog, sdp("answer"), &[])
            .expect("answer");
        let tag = script.sent()[0].to().and_then(|to| to.tag()).expect("tag");
        // The REFER overtakes the ACK: the 200 has arrived, and the call is there.
        script.send(&refer(2, &tag, REFER_TO));
        let (refer, _) = script.referred();
        script.end.accept_refer(script.now, refer).expect("accept");
        let first = script.sent().remove(1);
        script.answer(&first, "200 OK");
        script.end.notify(script.now, refer, 200, true).expect("notify");
        let last = script.sent().remove(0);
        script.end.end(script.now, dialog, None).expect("end");
        let ack = request("ACK", "1a", "1", &tag, "");
        let sent = if ack_first {
            assert!(script.send(&ack).is_empty());
            script.answer(&last, "200 OK")
        } else {
            assert!(script.answer(&last, "200 OK").is_empty());
            script.send(&ack)
        };
        assert_eq!(whats(&sent), ["BYE"]);
    }
}

#[test]
fn a_fifth_refer_is_refused() {
    let mut script = Script::new();
    let (_, tag) = script.connect();
    for cseq in 2..6 {
        assert!(script.send(&refer(cseq, &tag, REFER_TO)).is_empty());
        let (refer, _) = script.referred();
        script.end.accept_refer(script.now, refer).expect("accept");
        script.sent();
    }
    let answer = script.ask(&refer(6, &tag, REFER_TO));
    assert_eq!(answer.status(), Some(503));
    assert!(answer.header("Retry-After").is_some());
    assert!(script.event().is_none());
    assert_eq!(script.end.alive().refers, 4);
    // Ours do not count among them.
    match script.end.call_id(crate::endpoint::DialogId(1)) {
        Some(_) => assert!(
            script
                .end
                .refer(script.now, crate::endpoint::DialogId(1), carol())
                .is_ok()
        ),
        None => panic!("the first dialog"),
    }
    script.sent();
    script.ask(&request("BYE", "bye", "20", &tag, ""));
    script.wait(400_000);
    assert_eq!(script.end.alive(), Alive::default());
}

#[test]
fn the_contact_of_a_refer_moves_the_target() {
    let mut script = Script::new();
    let (_, tag) = script.connect();
    let moved = refer(2, &tag, REFER_TO).replace("Contact: <sip:peer@192.0.2.9:5099>", "m: <sip:moved@192.0.2.10>");
    script.send(&moved);
    let (refer, _) = script.referred();
    script.end.accept_refer(script.now, refer).expect("accept");
    let notify = script.sent().remove(1);
    assert_eq!(
        notify.uri().expect("request").expect("URI").as_str(),
        "sip:moved@192.0.2.10"
    );
}

#[test]
fn what_may_be_said_and_when() {
    let mut script = Script::new();
    let (_, tag) = script.connect();
    script.send(&refer(2, &tag, REFER_TO));
    let (refer, _) = script.referred();
    assert_eq!(
        script.end.notify(script.now, refer, 180, false),
        Err(WrongState),
        "not accepted"
    );
    assert_eq!(script.end.forget_refer(script.now, refer), Err(WrongState), "theirs");
    for status in [0, 202, 299, 700] {
        assert_eq!(
            script.end.reject_refer(script.now, refer, status),
            Err(WrongState),
            "{status}"
        );
    }
    script.end.accept_refer(script.now, refer).expect("accept");
    for status in [0, 99, 700] {
        assert_eq!(
            script.end.notify(script.now, refer, status, true),
            Err(WrongState),
            "{status}"
        );
    }
    assert_eq!(script.end.accept_refer(script.now, ReferId(999)), Err(WrongState));
}
