//! REFER and NOTIFY between two endpoints (RFC 3515, 4488, 5057, 6665).

use super::network::{A, B, Fate, Network, sdp};
use super::peer::carol;
use super::timers::CAPPED;
use crate::endpoint::{DialogId, Event, Refer, ReferId, WrongState};

pub(super) fn to(uri: &str) -> Refer {
    Refer {
        to: uri.to_owned(),
        ..Refer::default()
    }
}

/// A call in which A has referred B, and B has not answered yet.
pub(super) fn referred(net: &mut Network) -> (DialogId, DialogId, ReferId, ReferId) {
    let (a, b) = net.connect();
    let ours = net.ends[A].refer(net.now, a, carol()).expect("refer");
    net.run(15);
    let theirs = net.referred(B);
    (a, b, ours, theirs)
}

#[test]
fn a_transfer_from_refer_to_the_last_notify() {
    let mut net = Network::new();
    let (a, _) = net.connect();
    let refer = Refer {
        to: "sip:carol@c.example".into(),
        by: Some("\"Alice\" <sip:alice@a.example>".into()),
        headers: vec![("X-Case".into(), "42".into())],
    };
    net.ends[A].refer(net.now, a, refer).expect("refer");
    net.run(15);
    assert_eq!(net.ends[B].alive().refers, 1);
    let theirs = net.referred(B);
    net.ends[B].accept_refer(net.now, theirs).expect("accept");
    net.run(30);
    net.ends[B].notify(net.now, theirs, 180, false).expect("notify");
    net.run(30);
    net.ends[B].notify(net.now, theirs, 200, true).expect("notify");
    assert_eq!(net.ends[B].notify(net.now, theirs, 200, true), Err(WrongState));
    net.run(30);
    assert_eq!(
        net.said(A),
        [
            "refer answered 202",
            "refer progress 100",
            "refer progress 180",
            "refer progress 200 last"
        ]
    );
    assert_eq!(net.said(B), [""; 0]);
    assert_eq!((net.ends[A].alive().refers, net.ends[B].alive().refers), (0, 0));
    net.ends[A].end(net.now, a, None).expect("the call was not touched");
    net.finish();

    let (refer, accepted, notify) = (net.sent(A, "REFER"), net.sent(B, "202 REFER"), net.sent(B, "NOTIFY"));
    assert_eq!(refer.header("Refer-To").as_deref(), Some("<sip:carol@c.example>"));
    assert_eq!(
        refer.referred_by().expect("Referred-By").uri.as_str(),
        "sip:alice@a.example"
    );
    assert_eq!(refer.header("X-Case").as_deref(), Some("42"));
    assert_eq!(refer.header("CSeq").as_deref(), Some("2 REFER"));
    assert_eq!(refer.header("Contact").as_deref(), Some("<sip:192.0.2.1:5060>"));
    assert_eq!(accepted.header("Contact").as_deref(), Some("<sip:192.0.2.2:5070>"));
    assert_eq!(notify.header("Event").as_deref(), Some("refer"));
    assert_eq!(
        notify.header("Subscription-State").as_deref(),
        Some("active;expires=180")
    );
    assert_eq!(notify.content_type().as_deref(), Some("message/sipfrag;version=2.0"));
    assert_eq!(&notify.body()[..], b"SIP/2.0 100 Trying\r\n");
    assert_eq!(notify.header("Contact").as_deref(), Some("<sip:192.0.2.2:5070>"));
    assert_eq!(notify.header("To"), refer.header("From"));
    let states: Vec<_> = net
        .log
        .iter()
        .filter(|sent| sent.what() == "NOTIFY")
        .map(|sent| {
            let message = sent.message();
            let header = |name| message.header(name).expect("header").into_owned();
            (
                header("CSeq"),
                header("Subscription-State").split(';').next() == Some("terminated"),
            )
        })
        .collect();
    assert_eq!(
        states,
        [
            ("1 NOTIFY".to_owned(), false),
            ("2 NOTIFY".to_owned(), false),
            ("3 NOTIFY".to_owned(), true)
        ]
    );
}

#[test]
fn a_refused_refer_leaves_the_call_alone() {
    let mut net = Network::new();
    let (_, b, ours, theirs) = referred(&mut net);
    net.ends[B].reject_refer(net.now, theirs, 603).expect("reject");
    assert_eq!(net.ends[B].reject_refer(net.now, theirs, 603), Err(WrongState));
    assert_eq!(net.ends[B].accept_refer(net.now, theirs), Err(WrongState));
    assert_eq!(net.ends[B].notify(net.now, theirs, 200, true), Err(WrongState));
    net.run(30);
    assert_eq!(net.said(A), ["refer answered 603"]);
    assert_eq!(net.ends[A].forget_refer(net.now, ours), Err(WrongState));
    net.ends[B].end(net.now, b, None).expect("end");
    net.finish();
    assert_eq!(net.said(A), ["bye Peer"]);
    assert_eq!(net.said(B), ["ended"]);
}

#[test]
fn a_refer_that_nobody_answers_leaves_the_call_alone() {
    let mut net = Network::new();
    let (a, b) = net.connect();
    net.lose(|end, _| end == B);
    let start = net.ms();
    net.ends[A].refer(net.now, a, carol()).expect("refer");
    net.run(31_999);
    assert_eq!(net.said(A), [""; 0]);
    net.run(1);
    assert_eq!(net.said(A), ["refer answered 408"]);
    assert_eq!(net.times(A, "REFER"), CAPPED.map(|ms| start + ms));
    // Their user never answered either. The call is still there.
    net.lose(|_, _| false);
    net.run(30_000);
    assert_eq!((net.ends[A].alive().refers, net.ends[B].alive().refers), (0, 0));
    net.ends[A].probe(net.now, a).expect("a call");
    net.run(50);
    net.ends[B].end(net.now, b, None).expect("end");
    net.finish();
    assert_eq!(net.said(A), ["bye Peer"]);
}

#[test]
fn a_refer_whose_user_never_answers_is_given_up() {
    let mut net = Network::new();
    let (a, _, _, theirs) = referred(&mut net);
    net.run(33_000);
    assert_eq!(net.said(A), ["refer answered 408"]);
    assert_eq!(net.ends[B].accept_refer(net.now, theirs), Err(WrongState));
    net.ends[A].end(net.now, a, None).expect("end");
    net.finish();
}

#[test]
fn a_refer_to_an_unreachable_peer_leaves_the_call_alone() {
    let mut net = Network::new();
    let (a, _) = net.connect();
    net.lose(|_, _| true);
    net.ends[A].refer(net.now, a, carol()).expect("refer");
    net.pump();
    let peer = net.addresses[B];
    net.ends[A].handle_unreachable(net.now, peer);
    net.pump();
    assert_eq!(net.said(A), ["refer answered 503"]);
    net.lose(|_, _| false);
    net.ends[A].end(net.now, a, None).expect("a call");
    net.finish();
}

#[test]
fn the_first_notify_overtakes_the_202() {
    let mut net = Network::new();
    let (a, _, _, theirs) = referred(&mut net);
    net.judge = Box::new(|_, what| match what {
        "202 REFER" => Fate::After(vec![300]),
        _ => Fate::normal(),
    });
    net.ends[B].accept_refer(net.now, theirs).expect("accept");
    net.run(20);
    assert_eq!(net.said(A), ["refer answered 202", "refer progress 100"]);
    net.ends[B].notify(net.now, theirs, 486, true).expect("notify");
    net.run(2_000);
    assert_eq!(net.said(A), ["refer progress 486 last"], "the 202 says nothing new");
    net.ends[A].end(net.now, a, None).expect("end");
    net.finish();
}

#[test]
fn the_202_never_arrives_and_notifies_do() {
    let mut net = Network::new();
    let (a, _, _, theirs) = referred(&mut net);
    net.lose(|_, what| what == "202 REFER");
    net.ends[B].accept_refer(net.now, theirs).expect("accept");
    net.run(40_000);
    assert_eq!(
        net.said(A),
        ["refer answered 202", "refer progress 100"],
        "no 408: it was accepted"
    );
    net.ends[B].notify(net.now, theirs, 200, true).expect("notify");
    net.run(50);
    assert_eq!(net.said(A), ["refer progress 200 last"]);
    net.ends[A].end(net.now, a, None).expect("end");
    net.finish();
}

#[test]
fn of_several_notifies_that_wait_the_newest_goes() {
    let mut net = Network::new();
    let (a, _, _, theirs) = referred(&mut net);
    net.ends[B].accept_refer(net.now, theirs).expect("accept");
    for status in [180, 183, 181] {
        net.ends[B].notify(net.now, theirs, status, false).expect("notify");
    }
    assert_eq!(net.ends[B].notify(net.now, theirs, 99, false), Err(WrongState));
    net.run(100);
    for (status, last) in [(182, false), (180, false), (200, true)] {
        net.ends[B].notify(net.now, theirs, status, last).expect("notify");
    }
    assert_eq!(net.ends[B].notify(net.now, theirs, 180, false), Err(WrongState));
    net.run(100);
    assert_eq!(
        net.said(A),
        [
            "refer answered 202",
            "refer progress 100",
            "refer progress 181",
            "refer progress 182",
            "refer progress 200 last"
        ]
    );
    net.ends[A].end(net.now, a, None).expect("end");
    net.finish();
}

#[test]
fn refer_sub_false_makes_no_subscription() {
    let mut net = Network::new();
    let (a, _) = net.connect();
    let refer = Refer {
        headers: vec![("Refer-Sub".into(), "false".into())],
        ..carol()
    };
    net.ends[A].refer(net.now, a, refer).expect("refer");
    net.run(15);
    let theirs = net.referred(B);
    net.ends[B].accept_refer(net.now, theirs).expect("accept");
    net.ends[B]
        .notify(net.now, theirs, 180, false)
        .expect("taken, and not sent");
    net.run(50);
    assert_eq!(net.sent(B, "202 REFER").header("Refer-Sub").as_deref(), Some("false"));
    assert_eq!(net.ends[A].alive().refers, 0);
    net.ends[B]
        .notify(net.now, theirs, 200, true)
        .expect("taken, and not sent");
    assert_eq!(net.ends[B].notify(net.now, theirs, 200, true), Err(WrongState));
    net.ends[A].end(net.now, a, None).expect("end");
    net.finish();
    assert_eq!(net.said(A), ["refer answered 202", "ended"]);
    assert_eq!(net.times(B, "NOTIFY"), [0; 0]);
}

#[test]
fn several_refers_are_told_apart_by_id() {
    let mut net = Network::new();
    let (a, _) = net.connect();
    let mut theirs = Vec::new();
    let mut ours = Vec::new();
    for at in 0..5 {
        let uri = format!("sip:target{at}@c.example");
        ours.push(net.ends[A].refer(net.now, a, to(&uri)).expect("refer"));
        net.run(15);
        theirs.push(net.referred(B));
        // The first one is refused: the second is still not the first of the dialog.
        match at {
            0 => net.ends[B].reject_refer(net.now, theirs[at], 403),
            _ => net.ends[B].accept_refer(net.now, theirs[at]),
        }
        .expect("answer");
        net.run(50);
    }
    assert_eq!(
        net.ends[A].refer(net.now, a, to("sip:fifth@c.example")),
        Err(WrongState)
    );
    for at in [2, 1, 3, 4] {
        net.ends[B]
            .notify(net.now, theirs[at], 480 + at as u16, true)
            .expect("notify");
        net.run(50);
    }
    let outcomes: Vec<_> = net.events[A]
        .iter()
        .filter_map(|event| match event {
            Event::ReferProgress {
                refer,
                status,
                last: true,
                ..
            } => Some((*refer, *status)),
            _ => None,
        })
        .collect();
    assert_eq!(
        outcomes,
        [(ours[2], 482), (ours[1], 481), (ours[3], 483), (ours[4], 484)]
    );
    let ids: Vec<_> = net
        .log
        .iter()
        .filter(|sent| sent.what() == "NOTIFY")
        .map(|sent| sent.message().header("Event").expect("Event").into_owned())
        .collect();
    let id = |cseq| format!("refer;id={cseq}");
    assert_eq!(ids, [3, 4, 5, 6, 4, 3, 5, 6].map(id));
    net.ends[A].end(net.now, a, None).expect("end");
    net.finish();
}

#[test]
fn a_refer_waits_until_the_one_before_is_answered() {
    let mut net = Network::new();
    let (a, _, _, first) = referred(&mut net);
    let second = net.ends[A].refer(net.now, a, to("sip:dave@d.example")).expect("refer");
    net.run(100);
    assert_eq!(net.times(A, "REFER").len(), 1);
    net.ends[B].accept_refer(net.now, first).expect("accept");
    net.run(50);
    let theirs = net.referred(B);
    net.ends[B].reject_refer(net.now, theirs, 603).expect("reject");
    net.run(50);
    let refused = net.events[A]
        .iter()
        .any(|event| matches!(event, Event::ReferAnswered { refer, status: 603, .. } if *refer == second));
    assert!(refused, "{:?}", net.events[A]);
    net.ends[A].end(net.now, a, None).expect("end");
    net.finish();
}

#[test]
fn a_late_notify_of_a_forgotten_refer_is_not_taken_for_the_next() {
    let mut net = Network::new();
    let (a, _, forgotten, first) = referred(&mut net);
    net.ends[B].accept_refer(net.now, first).expect("accept");
    net.run(50);
    net.ends[A].forget_refer(net.now, forgotten).expect("forget");
    assert_eq!(net.ends[A].forget_refer(net.now, forgotten), Err(WrongState));
    net.said(A);
    net.ends[A].refer(net.now, a, to("sip:dave@d.example")).expect("refer");
    net.run(15);
    let second = net.referred(B);
    net.ends[B].accept_refer(net.now, second).expect("accept");
    net.run(50);
    net.ends[B].notify(net.now, first, 200, true).expect("notify");
    net.run(50);
    assert_eq!(net.sent(A, "481 NOTIFY").header("CSeq").as_deref(), Some("3 NOTIFY"));
    let late = net
        .log
        .iter()
        .rfind(|sent| sent.what() == "NOTIFY")
        .map(|sent| sent.bytes.clone())
        .expect("a NOTIFY");
    let peer = net.addresses[B];
    net.ends[A].handle_datagram(net.now, peer, late);
    net.pump();
    assert_eq!(net.times(A, "481 NOTIFY").len(), 2, "nor when it comes twice");
    assert_eq!(net.said(A), ["refer answered 202", "refer progress 100"]);
    net.ends[B].notify(net.now, second, 486, true).expect("notify");
    net.run(50);
    assert_eq!(net.said(A), ["refer progress 486 last"]);
    net.ends[A].end(net.now, a, None).expect("end");
    net.finish();
}

#[test]
fn a_refer_waits_until_the_hold_is_acknowledged() {
    let mut net = Network::new();
    let (a, b) = net.connect();
    net.ends[A].reinvite(net.now, a, sdp("hold")).expect("reinvite");
    net.ends[A].refer(net.now, a, carol()).expect("refer");
    net.run(50);
    assert_eq!(net.times(A, "REFER"), [0; 0]);
    net.ends[B].answer_reinvite(net.now, b, sdp("held")).expect("answer");
    net.run(50);
    let theirs = net.referred(B);
    net.ends[B].reject_refer(net.now, theirs, 603).expect("reject");
    net.run(50);
    // The same where the peer puts us on hold.
    net.ends[B].reinvite(net.now, b, sdp("hold")).expect("reinvite");
    net.run(15);
    net.ends[A].refer(net.now, a, carol()).expect("refer");
    net.ends[A].answer_reinvite(net.now, a, sdp("held")).expect("answer");
    net.run(50);
    let order: Vec<_> = net
        .trace()
        .iter()
        .map(|line| line.split_once(' ').expect("time").1.to_owned())
        .filter(|what| !what.contains("100"))
        .collect();
    assert_eq!(
        order,
        [
            "A INVITE",
            "B 200 INVITE",
            "A ACK",
            "A REFER",
            "B 603 REFER",
            "B INVITE",
            "A 200 INVITE",
            "B ACK",
            "A REFER"
        ]
    );
    net.ends[A].end(net.now, a, None).expect("end");
    net.finish();
}

#[test]
fn a_refer_waits_for_an_answer_of_our_own_no_longer_than_timer_f() {
    let mut net = Network::new();
    let (a, b) = net.connect();
    net.ends[B].reinvite(net.now, b, sdp("hold")).expect("reinvite");
    net.run(15);
    net.ends[A].refer(net.now, a, carol()).expect("refer");
    // Our user does not answer their re-INVITE.
    net.run(31_999);
    assert_eq!(net.said(A), ["reinvite hold"]);
    net.run(1);
    assert_eq!(net.said(A), ["refer answered 408"]);
    net.ends[A].answer_reinvite(net.now, a, sdp("held")).expect("answer");
    net.run(100);
    assert_eq!(net.times(A, "REFER"), [0; 0], "nobody wants it any more");
    net.ends[A].end(net.now, a, None).expect("end");
    net.finish();
}

#[test]
fn a_refused_hold_lets_the_refer_go() {
    for status in [488, 491] {
        let mut net = Network::new();
        let (a, b) = net.connect();
        net.ends[A].reinvite(net.now, a, sdp("hold")).expect("reinvite");
        net.ends[A].refer(net.now, a, carol()).expect("refer");
        net.run(15);
        net.ends[B].reject_reinvite(net.now, b, status).expect("reject");
        net.run(25);
        assert_eq!(net.times(A, "REFER").len(), 1, "{status}");
        net.ends[A].end(net.now, a, None).expect("end");
        net.finish();
    }
}

#[test]
fn only_a_confirmed_call_can_be_referred_or_probed() {
    let mut net = Network::new();
    let (a, b) = net.invite();
    for (end, dialog) in [(A, a), (B, b), (A, DialogId(999))] {
        assert_eq!(
            net.ends[end].refer(net.now, dialog, to("sip:c@c.example")),
            Err(WrongState)
        );
        assert_eq!(net.ends[end].probe(net.now, dialog), Err(WrongState));
    }
    net.ends[B].answer(net.now, b, sdp("answer"), &[]).expect("answer");
    net.run(50);
    net.ends[B].end(net.now, b, None).expect("end");
    assert_eq!(net.ends[B].refer(net.now, b, to("sip:c@c.example")), Err(WrongState));
    assert_eq!(net.ends[B].probe(net.now, b), Err(WrongState));
    net.finish();
}

#[test]
fn each_message_of_a_transfer_lost_once() {
    for victim in ["REFER", "202 REFER", "NOTIFY", "200 NOTIFY", "BYE", "200 BYE"] {
        for nth in 0..3 {
            let mut net = Network::new();
            let (a, _) = net.connect();
            let mut count = 0;
            net.lose(move |_, what| {
                count += u32::from(what == victim);
                what == victim && count == nth + 1
            });
            net.ends[A].refer(net.now, a, carol()).expect("refer");
            net.run(1_000);
            let theirs = net.referred(B);
            net.ends[B].accept_refer(net.now, theirs).expect("accept");
            net.run(1_000);
            net.ends[B].notify(net.now, theirs, 180, false).expect("notify");
            net.run(1_000);
            net.ends[B].notify(net.now, theirs, 200, true).expect("notify");
            net.run(1_000);
            net.ends[A].end(net.now, a, None).expect("end");
            net.finish();
            assert_eq!(
                net.said(A),
                [
                    "refer answered 202",
                    "refer progress 100",
                    "refer progress 180",
                    "refer progress 200 last",
                    "ended"
                ],
                "without {victim} {nth}"
            );
            assert_eq!(net.said(B), ["bye Peer"], "without {victim} {nth}");
        }
    }
}

#[test]
fn the_called_side_refers_the_calling_one() {
    let mut net = Network::new();
    let (_, b) = net.connect();
    net.ends[B].refer(net.now, b, carol()).expect("refer");
    net.run(15);
    let theirs = net.referred(A);
    net.ends[A].accept_refer(net.now, theirs).expect("accept");
    net.run(50);
    net.ends[A].notify(net.now, theirs, 200, true).expect("notify");
    net.run(50);
    assert_eq!(
        net.said(B),
        ["refer answered 202", "refer progress 100", "refer progress 200 last"]
    );
    assert_eq!(net.sent(B, "REFER").header("To"), net.sent(A, "NOTIFY").header("From"));
    net.ends[B].end(net.now, b, None).expect("end");
    net.finish();
}

#[test]
fn a_refused_target_leaves_the_call_alone() {
    for status in [400, 404, 486, 487, 503, 603] {
        let mut net = Network::new();
        let (a, b, _, theirs) = referred(&mut net);
        net.ends[B].accept_refer(net.now, theirs).expect("accept");
        net.run(50);
        net.ends[B].notify(net.now, theirs, status, true).expect("notify");
        net.run(50);
        assert_eq!(
            net.said(A),
            [
                "refer answered 202".to_owned(),
                "refer progress 100".to_owned(),
                format!("refer progress {status} last")
            ]
        );
        // Both can still talk about it.
        net.ends[A].reinvite(net.now, a, sdp("unhold")).expect("reinvite");
        net.run(15);
        net.ends[B].answer_reinvite(net.now, b, sdp("fine")).expect("answer");
        net.run(50);
        assert_eq!(net.said(A), ["reinvite answered fine"]);
        assert_eq!(net.said(B), ["reinvite unhold", "acked"]);
        net.ends[A].end(net.now, a, None).expect("end");
        net.finish();
    }
}

#[test]
fn a_refer_is_told_for_its_own_call_though_both_come_from_one_address() {
    let mut net = Network::new();
    let mut calls = Vec::new();
    for _ in 0..2 {
        let a = net.call();
        net.run(20);
        let b = net.invited(B);
        net.ends[B].answer(net.now, b, sdp("answer"), &[]).expect("answer");
        net.run(50);
        net.events = [Vec::new(), Vec::new()];
        calls.push((a, b));
    }
    for (at, &(a, b)) in calls.iter().enumerate().rev() {
        let uri = format!("sip:target{at}@c.example");
        let ours = net.ends[A].refer(net.now, a, to(&uri)).expect("refer");
        net.run(15);
        let (dialog, theirs) = match &net.events[B][..] {
            [Event::Refer { dialog, refer, request }] => {
                assert_eq!(request.refer_to().expect("Refer-To").uri.as_str(), uri);
                (*dialog, *refer)
            }
            other => panic!("{other:?}"),
        };
        assert_eq!(dialog, b);
        net.ends[B].accept_refer(net.now, theirs).expect("accept");
        net.run(50);
        for event in &net.events[A] {
            match event {
                Event::ReferAnswered { dialog, refer, .. } | Event::ReferProgress { dialog, refer, .. } => {
                    assert_eq!((*dialog, *refer), (a, ours));
                }
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(net.events[A].len(), 2);
        net.events = [Vec::new(), Vec::new()];
    }
    for (a, _) in calls {
        net.ends[A].end(net.now, a, None).expect("end");
    }
    net.finish();
}
