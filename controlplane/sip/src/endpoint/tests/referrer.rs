//! We refer, and the peer is written out by hand: what it may send back (RFC 3515 §2.4, RFC 6665 §4.1).

use super::peer::{Script, answer_to, carol, request, whats};
use crate::endpoint::{Alive, Config, DialogId, Endpoint, Event, FlowBounds, Refer, ReferId};
use crate::message::Message;

/// A call in which we have referred the peer; our tag and the REFER.
fn refer(script: &mut Script) -> (DialogId, String, ReferId, Message) {
    let (dialog, tag) = script.connect();
    let (refer, sent) = again(script, dialog);
    (dialog, tag, refer, sent)
}

fn again(script: &mut Script, dialog: DialogId) -> (ReferId, Message) {
    let refer = script.end.refer(script.now, dialog, carol()).expect("refer");
    (refer, script.sent().remove(0))
}

/// The peer's answer to our REFER.
fn answer(script: &mut Script, refer: &Message, status: &str) {
    let text = answer_to(refer, status, "pt", "Contact: <sip:peer@192.0.2.9:5099>\n");
    script.send(&text);
}

/// A NOTIFY with these headers and this body.
fn notify(cseq: u32, tag: &str, headers: &str, body: &str) -> String {
    request("NOTIFY", &format!("n{cseq}"), &cseq.to_string(), tag, headers).replace(
        "Content-Length: 0\n\n",
        &format!("Content-Length: {}\n\n{body}", body.replace('\n', "\r\n").len()),
    )
}

const ACTIVE: &str = "Event: refer\nSubscription-State: active;expires=60\nContent-Type: message/sipfrag;version=2.0\n";
const TERMINATED: &str =
    "Event: refer\nSubscription-State: terminated;reason=noresource\nContent-Type: message/sipfrag;version=2.0\n";

/// What the endpoint says, in short.
fn said(script: &mut Script) -> Vec<String> {
    std::iter::from_fn(|| script.event())
        .map(|event| match event {
            Event::ReferAnswered { status, .. } => format!("answered {status}"),
            Event::ReferProgress { status, last, .. } => {
                format!("progress {status}{}", if last { " last" } else { "" })
            }
            Event::Bye { cause, .. } => format!("bye {cause:?}"),
            Event::Ended { .. } => "ended".to_owned(),
            other => panic!("{other:?}"),
        })
        .collect()
}

#[test]
fn a_notify_matches_with_the_id_and_for_the_first_refer_without() {
    let mut script = Script::new();
    let (dialog, tag, first, sent) = refer(&mut script);
    answer(&mut script, &sent, "202 Accepted");
    let (second, sent) = again(&mut script, dialog);
    answer(&mut script, &sent, "200 OK");
    assert_eq!(said(&mut script), ["answered 202", "answered 200"]);
    let id = |id: &str| ACTIVE.replace("refer\n", &format!("refer;id={id}\n"));
    let cases = [
        (ACTIVE.to_owned(), 200, Some(first)),
        (id("1"), 200, Some(first)),
        (id("2"), 200, Some(second)),
        (ACTIVE.replace("Event: refer\n", "o: REFER ;id=2\n"), 200, Some(second)),
        (id("3"), 481, None),
        (id("x"), 481, None),
        (id("+2"), 481, None),
        (ACTIVE.replace("Event: refer", "Event: presence"), 489, None),
        (ACTIVE.replace("Event: refer", "Event: refer.winfo"), 489, None),
        (ACTIVE.replace("Event: refer\n", ""), 400, None),
        (ACTIVE.replace("Event: refer", "Event: ;id=1"), 400, None),
    ];
    for (at, (headers, status, refer)) in cases.into_iter().enumerate() {
        let answer = script.ask(&notify(10 + at as u32, &tag, &headers, "SIP/2.0 180 Ringing\n"));
        assert_eq!(answer.status(), Some(status), "{headers}");
        if status == 489 {
            assert_eq!(answer.header("Allow-Events").as_deref(), Some("refer"));
        }
        let told = match script.event() {
            Some(Event::ReferProgress {
                refer,
                status: 180,
                last: false,
                dialog: about,
            }) => {
                assert_eq!(about, dialog);
                Some(refer)
            }
            None => None,
            other => panic!("{other:?}"),
        };
        assert_eq!(told, refer, "{headers}");
    }
}

#[test]
fn a_body_that_tells_nothing_is_answered_and_takes_no_outcome() {
    let mut script = Script::new();
    let (_, tag, _, sent) = refer(&mut script);
    answer(&mut script, &sent, "202 Accepted");
    assert_eq!(said(&mut script), ["answered 202"]);
    let bodies = [
        "",
        "x",
        "SIP/2.0",
        "SIP/2.0 ",
        "SIP/2.0 20",
        "SIP/2.0 2000 OK\n",
        "SIP/2.0 099 Low\n",
        "SIP/2.0 700 High\n",
        "SIP/2.0 +20 OK\n",
        "SIP/3.0 200 OK\n",
        " SIP/2.0 200 OK\n",
        "HTTP/1.1 200 OK\n",
        "INVITE sip:carol@c.example SIP/2.0\n",
        "From: <sip:carol@c.example>\n",
        "SIP/2.0 \u{b2}00 OK\n",
        "\u{0}\u{0}\u{0}\u{0}\u{0}\u{0}\u{0}\u{0}\u{0}\u{0}\u{0}\u{0}",
    ];
    let mut cseq = 10;
    let mut ask = |script: &mut Script, headers: &str, body: &str| {
        cseq += 1;
        script.ask(&notify(cseq, &tag, headers, body)).status()
    };
    for body in bodies {
        assert_eq!(ask(&mut script, ACTIVE, body), Some(200), "{body:?}");
        assert_eq!(said(&mut script), [""; 0], "{body:?}");
    }
    for kind in ["text/plain", "application/sdp", "message/sip", ""] {
        let headers = ACTIVE.replace("message/sipfrag;version=2.0", kind);
        assert_eq!(ask(&mut script, &headers, "SIP/2.0 200 OK\n"), Some(200), "{kind}");
        assert_eq!(said(&mut script), [""; 0], "{kind}");
    }
    // The outcome can still come.
    assert_eq!(ask(&mut script, TERMINATED, "SIP/2.0 200 OK\n"), Some(200));
    assert_eq!(said(&mut script), ["progress 200 last"]);
}

#[test]
fn a_sipfrag_is_read_as_the_field_writes_it() {
    for (kind, body, status) in [
        ("message/sipfrag", "SIP/2.0 180 Ringing\n", 180),
        ("message/sipfrag;version=2.0", "SIP/2.0 100 Trying", 100),
        ("Message/SIPFrag ; Version=2.0", "sip/2.0 183\n", 183),
        ("message/sipfrag", "SIP/2.0 181\nTo: <sip:c@c.example>\n", 181),
        ("message/sipfrag", "SIP/2.0 699 ", 699),
        ("message/sipfrag", "SIP/2.0 200 OK\nv: x\n\nbody", 200),
    ] {
        let mut script = Script::new();
        let (_, tag, ..) = refer(&mut script);
        let headers = ACTIVE.replace("message/sipfrag;version=2.0", kind);
        script.ask(&notify(10, &tag, &headers, body));
        let last = if status >= 200 { " last" } else { "" };
        assert_eq!(
            said(&mut script),
            ["answered 202".to_owned(), format!("progress {status}{last}")],
            "{body:?}"
        );
    }
}

#[test]
fn terminated_without_a_body_ends_without_an_outcome() {
    let mut script = Script::new();
    let (_, tag, _, sent) = refer(&mut script);
    answer(&mut script, &sent, "202 Accepted");
    let headers = "Event: refer\nSubscription-State: Terminated ;reason=rejected\n";
    assert_eq!(script.ask(&notify(10, &tag, headers, "")).status(), Some(200));
    assert_eq!(said(&mut script), ["answered 202", "progress 100 last"]);
    assert_eq!(script.end.alive().refers, 0);
    assert_eq!(
        script.ask(&notify(11, &tag, TERMINATED, "SIP/2.0 200 OK\n")).status(),
        Some(481)
    );
    assert_eq!(said(&mut script), [""; 0]);
}

#[test]
fn of_two_final_notifies_the_first_counts() {
    let mut script = Script::new();
    let (_, tag, _, sent) = refer(&mut script);
    answer(&mut script, &sent, "202 Accepted");
    for (cseq, headers, body, status) in [
        (10, ACTIVE, "SIP/2.0 486 Busy Here\n", 200),
        (11, ACTIVE, "SIP/2.0 180 Ringing\n", 200),
        (12, TERMINATED, "SIP/2.0 200 OK\n", 200),
        (13, TERMINATED, "SIP/2.0 200 OK\n", 481),
    ] {
        assert_eq!(
            script.ask(&notify(cseq, &tag, headers, body)).status(),
            Some(status),
            "{cseq}"
        );
    }
    assert_eq!(said(&mut script), ["answered 202", "progress 486 last"]);
    assert_eq!(script.end.alive().refers, 0);
}

#[test]
fn a_notify_out_of_order_gets_500_and_a_repeated_one_the_same_200() {
    let mut script = Script::new();
    let (_, tag, _, sent) = refer(&mut script);
    answer(&mut script, &sent, "202 Accepted");
    let ringing = notify(12, &tag, ACTIVE, "SIP/2.0 180 Ringing\n");
    let first = script.ask(&ringing);
    assert_eq!(first.status(), Some(200));
    assert_eq!(
        script.ask(&notify(11, &tag, ACTIVE, "SIP/2.0 100 Trying\n")).status(),
        Some(500)
    );
    assert_eq!(script.ask(&ringing).to_bytes(), first.to_bytes());
    assert_eq!(said(&mut script), ["answered 202", "progress 180"]);
    let last = notify(13, &tag, TERMINATED, "SIP/2.0 200 OK\n");
    assert_eq!(script.ask(&last).status(), Some(200));
    assert_eq!(
        script.ask(&last).status(),
        Some(200),
        "not 481: the transaction is known"
    );
    assert_eq!(said(&mut script), ["progress 200 last"]);
}

#[test]
fn a_notify_after_the_bye_is_matched() {
    for ours in [true, false] {
        let mut script = Script::new();
        let (dialog, tag, _, sent) = refer(&mut script);
        answer(&mut script, &sent, "202 Accepted");
        if ours {
            script.end.end(script.now, dialog, None).expect("end");
            let bye = script.sent().remove(0);
            answer(&mut script, &bye, "200 OK");
            assert_eq!(said(&mut script), ["answered 202", "ended"]);
        } else {
            assert_eq!(script.ask(&request("BYE", "b", "10", &tag, "")).status(), Some(200));
            assert_eq!(said(&mut script), ["answered 202", "bye Peer"]);
        }
        assert_eq!((script.end.alive().dialogs, script.end.alive().refers), (0, 1));
        // Nothing but the subscription is left.
        for (at, method) in ["INVITE", "BYE", "OPTIONS", "REFER"].into_iter().enumerate() {
            let text = request(
                method,
                &format!("x{at}"),
                &(11 + at).to_string(),
                &tag,
                "Refer-To: <sip:x@y.example>\n",
            );
            assert_eq!(script.ask(&text).status(), Some(481), "{method}");
        }
        let stranger = notify(18, &tag, TERMINATED, "SIP/2.0 200 OK\n").replace("tag=pt", "tag=other");
        assert_eq!(script.ask(&stranger).status(), Some(481));
        assert_eq!(
            script.ask(&notify(9, &tag, ACTIVE, "SIP/2.0 100 Trying\n")).status(),
            Some(500)
        );
        assert_eq!(said(&mut script), [""; 0]);
        assert_eq!(
            script.ask(&notify(20, &tag, TERMINATED, "SIP/2.0 200 OK\n")).status(),
            Some(200)
        );
        assert_eq!(said(&mut script), ["progress 200 last"]);
        assert_eq!(
            script.ask(&notify(21, &tag, TERMINATED, "SIP/2.0 200 OK\n")).status(),
            Some(481)
        );
        script.wait(40_000);
        assert_eq!(script.end.alive(), Alive::default());
    }
}

#[test]
fn a_subscription_after_the_bye_does_not_live_for_ever() {
    let mut script = Script::new();
    let (_, tag, _, sent) = refer(&mut script);
    answer(&mut script, &sent, "202 Accepted");
    script.ask(&request("BYE", "b", "10", &tag, ""));
    said(&mut script);
    // NOTIFYs do not prolong it.
    for at in 0..4 {
        script.wait(44_000);
        script.ask(&notify(11 + at, &tag, ACTIVE, "SIP/2.0 180 Ringing\n"));
    }
    script.wait(4_000);
    assert_eq!(said(&mut script).last().map(String::as_str), Some("progress 408 last"));
    script.wait(40_000);
    assert_eq!(script.end.alive(), Alive::default());
}

#[test]
fn no_refusal_of_a_refer_ends_the_call() {
    for status in [
        "403 Forbidden",
        "404 Not Found",
        "408 Request Timeout",
        "480 Gone",
        "491 Request Pending",
        "503 Busy",
        "603 No",
    ] {
        let mut script = Script::new();
        let (dialog, _, _, sent) = refer(&mut script);
        answer(&mut script, &sent, status);
        assert_eq!(said(&mut script), [format!("answered {}", &status[..3])]);
        assert_eq!(script.end.alive().refers, 0);
        script.end.end(script.now, dialog, None).expect("a call");
        assert_eq!(whats(&script.sent()), ["BYE"]);
    }
}

#[test]
fn after_a_481_to_a_refer_we_ask_whether_the_call_is_there() {
    for (status, told) in [
        ("200 OK", vec![]),
        ("501 Not Implemented", vec![]),
        ("481 Call Does Not Exist", vec!["bye Lost"]),
    ] {
        let mut script = Script::new();
        let (dialog, _, _, sent) = refer(&mut script);
        let text = answer_to(&sent, "481 Call Does Not Exist", "pt", "");
        let asked = script.send(&text);
        assert_eq!(whats(&asked), ["OPTIONS"]);
        assert_eq!(said(&mut script), ["answered 481"]);
        answer(&mut script, &asked[0], status);
        assert_eq!(said(&mut script), told, "{status}");
        assert_eq!(script.end.end(script.now, dialog, None).is_ok(), told.is_empty());
    }
}

#[test]
fn provisional_answers_to_a_refer_say_nothing() {
    let mut script = Script::new();
    let (_, _, _, sent) = refer(&mut script);
    answer(&mut script, &sent, "100 Trying");
    answer(&mut script, &sent, "182 Queued");
    assert_eq!(said(&mut script), [""; 0]);
    answer(&mut script, &sent, "202 Accepted");
    answer(&mut script, &sent, "603 Decline");
    assert_eq!(said(&mut script), ["answered 202"], "the first final answer counts");
}

#[test]
fn a_refusal_after_a_notify_is_the_outcome() {
    let mut script = Script::new();
    let (_, tag, _, sent) = refer(&mut script);
    script.ask(&notify(10, &tag, ACTIVE, "SIP/2.0 100 Trying\n"));
    answer(&mut script, &sent, "603 Decline");
    assert_eq!(said(&mut script), ["answered 202", "progress 100", "progress 603 last"]);
    assert_eq!(script.end.alive().refers, 0);
}

#[test]
fn refer_sub_false_counts_only_where_both_say_so() {
    for (ours, theirs, refers) in [
        ("false", "false", 0),
        ("false", "true", 1),
        ("false", "", 1),
        ("", "false", 1),
    ] {
        let mut script = Script::new();
        let (dialog, tag) = script.connect();
        let header = |value: &str| format!("Refer-Sub: {value}\n");
        let refer = Refer {
            to: "sip:carol@c.example".into(),
            by: None,
            headers: vec![("Refer-Sub".to_owned(), ours.to_owned())],
        };
        script.end.refer(script.now, dialog, refer).expect("refer");
        let sent = script.sent().remove(0);
        let text = answer_to(&sent, "200 OK", "pt", &header(theirs));
        script.send(&text);
        assert_eq!(script.end.alive().refers, refers, "{ours} {theirs}");
        let status = script.ask(&notify(10, &tag, TERMINATED, "SIP/2.0 200 OK\n")).status();
        assert_eq!(status, Some(if refers == 1 { 200 } else { 481 }), "{ours} {theirs}");
    }
}

#[test]
fn refer_and_notify_go_by_the_route_set_and_move_the_target() {
    let mut script = Script::new();
    script.send(&request(
        "INVITE",
        "1",
        "1",
        "",
        "Record-Route: <sip:192.0.2.51;lr>, <sip:192.0.2.52;lr>\n",
    ));
    let dialog = script.invited();
    let answered = super::network::sdp("answer");
    script.end.answer(script.now, dialog, answered, &[]).expect("answer");
    let tag = script.sent()[0].to().and_then(|to| to.tag()).expect("tag");
    script.send(&request("ACK", "1a", "1", &tag, ""));
    script.event();
    script
        .end
        .refer(
            script.now,
            dialog,
            Refer {
                to: "\"Carol\" <sip:carol@c.example;transport=tcp?Replaces=1%40h%3Bto-tag%3Da>".into(),
                by: Some("sip:us@192.0.2.1".into()),
                headers: vec![("X-Evil".into(), "a\r\nInjected: yes".into())],
            },
        )
        .expect("refer");
    let sent = script.end.poll_transmit().expect("REFER");
    assert_eq!(sent.to.to_string(), "192.0.2.51:5060");
    let sent = Message::parse(sent.bytes).expect("readable");
    let routes: Vec<_> = sent.headers("Route").map(|route| route.into_owned()).collect();
    assert_eq!(routes, ["<sip:192.0.2.51;lr>", "<sip:192.0.2.52;lr>"]);
    assert_eq!(
        sent.uri().expect("request").expect("URI").as_str(),
        "sip:peer@192.0.2.9:5099"
    );
    assert_eq!(
        sent.header("Refer-To").as_deref(),
        Some("\"Carol\" <sip:carol@c.example;transport=tcp?Replaces=1%40h%3Bto-tag%3Da>"),
        "never escaped again"
    );
    assert_eq!(sent.header("Referred-By").as_deref(), Some("<sip:us@192.0.2.1>"));
    assert!(sent.header("Injected").is_none());
    // A NOTIFY is a target refresh request (RFC 6665 §4.4.1).
    let moved = notify(10, &tag, ACTIVE, "SIP/2.0 100 Trying\n").replace(
        "Contact: <sip:peer@192.0.2.9:5099>",
        "Contact: <sip:moved@192.0.2.9:5099>",
    );
    script.ask(&moved);
    script.end.end(script.now, dialog, None).expect("end");
    let bye = script.sent().remove(0);
    assert_eq!(
        bye.uri().expect("request").expect("URI").as_str(),
        "sip:moved@192.0.2.9:5099"
    );
}

#[test]
fn a_late_refusal_of_what_is_forgotten_is_not_told() {
    let mut script = Script::new();
    let (_, tag, refer, sent) = refer(&mut script);
    // A NOTIFY overtakes the answer, and our user has heard enough.
    script.ask(&notify(10, &tag, ACTIVE, "SIP/2.0 100 Trying\n"));
    assert_eq!(said(&mut script), ["answered 202", "progress 100"]);
    script.end.forget_refer(script.now, refer).expect("forget");
    answer(&mut script, &sent, "603 Decline");
    assert_eq!(said(&mut script), [""; 0]);
    assert_eq!(script.end.alive().refers, 0);
}

#[test]
fn what_is_forgotten_is_told_no_more() {
    let mut script = Script::new();
    let (_, tag, refer, sent) = refer(&mut script);
    script.end.forget_refer(script.now, refer).expect("forget");
    assert!(script.end.forget_refer(script.now, refer).is_err());
    answer(&mut script, &sent, "202 Accepted");
    assert_eq!(
        script.ask(&notify(10, &tag, ACTIVE, "SIP/2.0 100 Trying\n")).status(),
        Some(481)
    );
    assert_eq!(said(&mut script), [""; 0]);
    assert_eq!(script.end.alive().refers, 0);
}

#[test]
fn a_long_refer_goes_by_udp_at_once_where_no_connection_is_to_be_had() {
    let mut script = Script::new();
    let address = "192.0.2.1:5060".parse().expect("address");
    let none = FlowBounds {
        connections: 0,
        ..FlowBounds::default()
    };
    script.end = Endpoint::new(Config {
        flows: Some(none),
        ..Config::new(address, 7)
    });
    let (dialog, _) = script.connect();
    let refer = Refer {
        to: "sip:carol@c.example".into(),
        by: None,
        headers: vec![("X-Long".into(), "x".repeat(1500))],
    };
    script.end.refer(script.now, dialog, refer).expect("refer");
    assert_eq!(whats(&script.sent()), ["REFER"]);
    assert_eq!(script.end.poll_stream(), None);
}
