//! Keys in INFO.

use super::network::{A, B, Network, sdp};
use super::peer::{Script, request};
use crate::endpoint::{Event, WrongState};
use crate::message::Message;

/// An INFO with a body.
fn info(n: u32, tag: &str, more: &str, body: &str) -> String {
    let body = body.replace('\n', "\r\n");
    let empty = request("INFO", &format!("i{n}"), &n.to_string(), tag, more);
    let head = empty.replace("Content-Length: 0\n\n", &format!("Content-Length: {}\n\n", body.len()));
    head + &body.replace("\r\n", "\n")
}

fn key(script: &mut Script) -> Option<char> {
    match script.event() {
        Some(Event::Key { key, .. }) => Some(key),
        None => None,
        other => panic!("{other:?}"),
    }
}

fn body(message: &Message) -> String {
    String::from_utf8_lossy(message.body()).into_owned()
}

#[test]
fn a_key_in_an_info_is_told_in_each_form_that_people_send() {
    const RELAY: &str = "Content-Type: application/dtmf-relay\n";
    const PLAIN: &str = "c: Application/DTMF; charset=utf-8\n";
    let mut script = Script::new();
    let (_, tag) = script.connect();
    let cases = [
        (RELAY, "Signal=5\nDuration=160\n", 200, Some('5')),
        (RELAY, "Signal= *\nDuration= 250\n", 200, Some('*')),
        (RELAY, "signal = #", 200, Some('#')),
        (RELAY, "Duration=160\nSignal=d\n", 200, Some('D')),
        (RELAY, "Signal=10\n", 200, Some('*')),
        (RELAY, "Signal=11\n", 200, Some('#')),
        (RELAY, "Signal=15\n", 200, Some('D')),
        (RELAY, "Signal=16\n", 200, None),
        (PLAIN, "5", 200, Some('5')),
        (PLAIN, " 0\n", 200, Some('0')),
        (PLAIN, "Signal=7\nDuration=100\n", 200, Some('7')),
        ("", "", 200, None),
        (RELAY, "", 200, None),
        (RELAY, "5", 400, None),
        (RELAY, "Signal=\n", 400, None),
        (RELAY, "Signal=55\n", 400, None),
        (RELAY, "Signal=05\n", 400, None),
        (RELAY, "Signal=+5\n", 400, None),
        (RELAY, "Signal=E\n", 400, None),
        (RELAY, "Duration=160\n", 400, None),
        (PLAIN, "123", 400, None),
        (PLAIN, "ü", 400, None),
        ("", "5", 415, None),
        ("Content-Type: text/plain\n", "5", 415, None),
        (
            "Content-Type: application/media_control+xml\n",
            "<media_control/>",
            415,
            None,
        ),
        (
            "Content-Type: application/dtmf\nContent-Encoding: gzip\n",
            "5",
            415,
            None,
        ),
        ("Content-Type: application/dtmf\nInfo-Package: keys\n", "5", 469, None),
    ];
    for (n, (kind, text, status, pressed)) in (2..).zip(cases) {
        let answer = script.ask(&info(n, &tag, kind, text));
        assert_eq!(answer.status(), Some(status), "{kind}{text:?}");
        assert_eq!(key(&mut script), pressed, "{kind}{text:?}");
        match status {
            415 => assert_eq!(
                answer.header("Accept").as_deref(),
                Some("application/dtmf-relay, application/dtmf")
            ),
            469 => assert_eq!(answer.header("Recv-Info").as_deref(), Some("")),
            _ => {}
        }
    }
}

#[test]
fn a_key_in_a_repeated_info_is_told_once() {
    let mut script = Script::new();
    let (_, tag) = script.connect();
    let five = info(2, &tag, "Content-Type: application/dtmf\n", "5");
    let first = script.ask(&five);
    assert_eq!(key(&mut script), Some('5'));
    assert_eq!(script.ask(&five).to_bytes(), first.to_bytes());
    assert_eq!(key(&mut script), None);
    // Another one with the same key is another press.
    script.ask(&info(3, &tag, "Content-Type: application/dtmf\n", "5"));
    assert_eq!(key(&mut script), Some('5'));
}

#[test]
fn an_info_outside_a_call_gets_481_and_one_that_is_overtaken_500() {
    let mut script = Script::new();
    let (dialog, tag) = script.connect();
    let kind = "Content-Type: application/dtmf\n";
    for wrong in ["", "another"] {
        assert_eq!(script.ask(&info(2, wrong, kind, "5")).status(), Some(481), "{wrong}");
    }
    assert_eq!(script.ask(&info(9, &tag, kind, "5")).status(), Some(200));
    assert_eq!(key(&mut script), Some('5'));
    assert_eq!(script.ask(&info(8, &tag, kind, "6")).status(), Some(500));
    script.end.end(script.now, dialog, None).expect("end");
    script.sent();
    assert_eq!(
        script.ask(&info(10, &tag, kind, "7")).status(),
        Some(481),
        "we have hung up"
    );
    assert_eq!(key(&mut script), None);
}

#[test]
fn keys_go_out_one_after_the_other() {
    let mut net = Network::new();
    let (a, b) = net.connect();
    for key in ['1', '*', '1', 'D'] {
        net.ends[A].press(net.now, a, key).expect("press");
    }
    net.pump();
    assert_eq!(net.times(A, "INFO").len(), 1);
    net.run(200);
    assert_eq!(net.said(B), ["key 1", "key *", "key 1", "key D"]);
    assert_eq!((net.times(A, "INFO").len(), net.times(B, "200 INFO").len()), (4, 4));
    let first = net.sent(A, "INFO");
    assert_eq!(first.content_type().as_deref(), Some("application/dtmf-relay"));
    assert_eq!(body(&first), "Signal=1\r\nDuration=160\r\n");
    // The other way, at the same time.
    net.ends[B].press(net.now, b, '#').expect("press");
    net.ends[A].press(net.now, a, '0').expect("press");
    net.run(50);
    assert_eq!(
        (net.said(A), net.said(B)),
        (vec!["key #".to_owned()], vec!["key 0".to_owned()])
    );
    assert_eq!(net.ends[A].press(net.now, a, 'E'), Err(WrongState), "no key");
    net.ends[A].end(net.now, a, None).expect("end");
    assert_eq!(net.ends[A].press(net.now, a, '1'), Err(WrongState));
    net.finish();
}

#[test]
fn keys_arrive_once_and_in_order_though_the_network_loses_some() {
    let mut net = Network::new();
    let (a, _) = net.connect();
    let mut count = 0;
    net.lose(move |_, what| {
        count += usize::from(what.ends_with("INFO"));
        what.ends_with("INFO") && count % 3 == 0
    });
    for key in "0123456789".chars() {
        net.ends[A].press(net.now, a, key).expect("press");
    }
    net.run(30_000);
    let told: String = net
        .said(B)
        .iter()
        .filter_map(|said| said.strip_prefix("key ").map(str::to_owned))
        .collect();
    assert_eq!(told, "0123456789");
    net.ends[A].end(net.now, a, None).expect("end");
    net.finish();
}

#[test]
fn a_key_waits_until_our_200_is_acknowledged() {
    let mut net = Network::new();
    let (_, b) = net.invite();
    net.lose(|end, what| end == B && what == "200 INVITE");
    net.ends[B].answer(net.now, b, sdp("answer"), &[]).expect("answer");
    net.ends[B].press(net.now, b, '1').expect("press");
    net.run(50);
    // The caller would say 481: it does not know of the answer yet.
    assert_eq!(net.times(B, "INFO").len(), 0);
    net.lose(|_, _| false);
    net.run(1_000);
    assert_eq!(net.said(A), ["answered answer", "key 1"]);
    net.ends[B].end(net.now, b, None).expect("end");
    net.finish();
}

#[test]
fn no_answer_to_an_info_ends_the_call_and_the_next_key_is_tried_all_the_same() {
    for status in [
        "400 Bad",
        "405 Method Not Allowed",
        "415 Type",
        "500 Oops",
        "501 Not Implemented",
        "503 Later",
    ] {
        let mut script = Script::new();
        let (dialog, _) = script.connect();
        script.end.press(script.now, dialog, '1').expect("press");
        script.end.press(script.now, dialog, '2').expect("press");
        let first = script.sent().remove(0);
        let next = script.answer(&first, status);
        assert_eq!(body(&next[0]), "Signal=2\r\nDuration=160\r\n", "{status}");
        assert!(script.answer(&next[0], status).is_empty());
        assert!(script.event().is_none(), "{status}");
        script.end.end(script.now, dialog, None).expect("a call");
    }
}

#[test]
fn who_does_not_answer_an_info_is_asked_whether_it_is_there() {
    // It knows OPTIONS, and not INFO.
    let mut net = Network::new();
    let (a, _) = net.connect();
    net.lose(|_, what| what == "INFO");
    for key in ['1', '2'] {
        net.ends[A].press(net.now, a, key).expect("press");
    }
    net.run(33_000);
    assert_eq!(net.times(A, "OPTIONS").len(), 1);
    assert_eq!(
        (net.said(A), net.said(B)),
        (vec![], vec![]),
        "nobody hears a key of half a minute ago"
    );
    net.lose(|_, _| false);
    net.ends[A].press(net.now, a, '3').expect("a call");
    net.run(50);
    assert_eq!(net.said(B), ["key 3"]);
    net.ends[A].end(net.now, a, None).expect("a call");
    net.finish();
}

#[test]
fn who_has_lost_the_call_is_found_out_by_a_key() {
    let mut script = Script::new();
    let (dialog, _) = script.connect();
    script.end.press(script.now, dialog, '1').expect("press");
    let info = script.sent().remove(0);
    let options = script.answer(&info, "481 Gone").remove(0);
    assert!(script.event().is_none());
    script.answer(&options, "481 Gone");
    assert!(matches!(script.event(), Some(Event::Bye { .. })));
}

#[test]
fn a_peer_that_answers_nothing_makes_us_keep_no_more_than_32_keys() {
    let mut net = Network::new();
    let (a, _) = net.connect();
    net.lose(|end, _| end == B);
    let taken = (0..100).filter(|_| net.ends[A].press(net.now, a, '1').is_ok()).count();
    assert_eq!(taken, 33, "one is under way");
}
