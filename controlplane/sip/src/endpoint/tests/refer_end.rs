//! How transfers and the ends of calls meet: a subscription is a usage of its own (RFC 5057), and the BYE comes last.

use super::network::{A, B, Network, sdp};
use super::peer::carol;
use super::refer::referred;
use super::timers::CAPPED;
use crate::endpoint::{Event, WrongState};

#[test]
fn the_bye_waits_for_the_answer_to_the_last_notify() {
    let mut net = Network::new();
    let (_, b, _, theirs) = referred(&mut net);
    net.ends[B].accept_refer(net.now, theirs).expect("accept");
    net.ends[B].notify(net.now, theirs, 200, true).expect("notify");
    net.ends[B].end(net.now, b, None).expect("end");
    assert_eq!(net.ends[B].end(net.now, b, None), Err(WrongState));
    net.finish();
    let trace = net.order();
    assert_eq!(
        trace,
        [
            "A REFER",
            "B 202 REFER",
            "B NOTIFY",
            "A 200 NOTIFY",
            "B NOTIFY",
            "A 200 NOTIFY",
            "B BYE",
            "A 200 BYE"
        ]
    );
    assert_eq!(
        net.said(A),
        [
            "refer answered 202",
            "refer progress 100",
            "refer progress 200 last",
            "bye Peer"
        ]
    );
    assert_eq!(net.said(B), ["ended"]);
}

#[test]
fn the_transferor_hangs_up_right_after_the_202() {
    let mut net = Network::new();
    let (a, _, _, theirs) = referred(&mut net);
    net.ends[B].accept_refer(net.now, theirs).expect("accept");
    net.run(12);
    net.ends[A].end(net.now, a, None).expect("end");
    net.run(100);
    assert_eq!(net.said(B), ["bye Peer"]);
    net.ends[B].notify(net.now, theirs, 200, true).expect("notify");
    net.finish();
    assert_eq!(
        net.said(A),
        [
            "refer answered 202",
            "refer progress 100",
            "ended",
            "refer progress 200 last"
        ]
    );
    assert_eq!(net.times(A, "200 NOTIFY").len(), 2);
}

#[test]
fn the_transferor_hangs_up_before_we_have_answered() {
    let mut net = Network::new();
    let (a, _, _, theirs) = referred(&mut net);
    net.ends[A].end(net.now, a, None).expect("end");
    net.run(50);
    assert_eq!(net.said(B), ["bye Peer"]);
    net.ends[B].accept_refer(net.now, theirs).expect("accept");
    net.run(50);
    net.ends[B].notify(net.now, theirs, 200, true).expect("notify");
    net.finish();
    assert_eq!(
        net.said(A),
        [
            "ended",
            "refer answered 202",
            "refer progress 100",
            "refer progress 200 last"
        ]
    );
}

#[test]
fn the_referee_hangs_up_right_after_its_202() {
    let mut net = Network::new();
    let (_, b, _, theirs) = referred(&mut net);
    net.ends[B].accept_refer(net.now, theirs).expect("accept");
    net.ends[B].end(net.now, b, None).expect("end");
    net.run(100);
    assert_eq!(net.said(A), ["refer answered 202", "refer progress 100", "bye Peer"]);
    assert_eq!(net.said(B), ["ended"]);
    assert_eq!(net.ends[A].alive().dialogs, 0);
    net.ends[B]
        .notify(net.now, theirs, 180, false)
        .expect("the subscription goes on");
    net.run(100);
    net.ends[B].notify(net.now, theirs, 503, true).expect("notify");
    net.finish();
    assert_eq!(net.said(A), ["refer progress 180", "refer progress 503 last"]);
    let cseqs: Vec<_> = net
        .log
        .iter()
        .filter(|sent| sent.from == net.addresses[B] && matches!(&*sent.what(), "NOTIFY" | "BYE"))
        .map(|sent| sent.message().cseq().expect("CSeq").number)
        .collect();
    assert_eq!(cseqs, [1, 2, 3, 4], "one count for the whole dialog");
}

#[test]
fn the_bye_waits_for_a_lost_notify_no_longer_than_timer_f() {
    let mut net = Network::new();
    let (_, b, _, theirs) = referred(&mut net);
    net.ends[B].accept_refer(net.now, theirs).expect("accept");
    net.run(50);
    net.lose(|_, what| what == "NOTIFY");
    let start = net.ms();
    net.ends[B].notify(net.now, theirs, 200, true).expect("notify");
    net.ends[B].end(net.now, b, None).expect("end");
    net.finish();
    let notifies: Vec<_> = net.times(B, "NOTIFY").into_iter().filter(|at| *at >= start).collect();
    assert_eq!(notifies, CAPPED.map(|ms| start + ms));
    assert_eq!(net.times(B, "BYE"), [start + 32_000]);
    assert_eq!(net.said(B), ["ended"]);
}

#[test]
fn a_notify_waits_for_the_answer_to_our_bye() {
    let mut net = Network::new();
    let (_, b, _, theirs) = referred(&mut net);
    net.ends[B].accept_refer(net.now, theirs).expect("accept");
    net.run(50);
    let mut lost = false;
    net.lose(move |_, what| what == "BYE" && !std::mem::replace(&mut lost, true));
    net.said(A);
    let start = net.ms();
    net.ends[B].end(net.now, b, None).expect("end");
    net.ends[B].notify(net.now, theirs, 180, false).expect("notify");
    net.ends[B].notify(net.now, theirs, 200, true).expect("notify");
    assert_eq!(net.ends[B].notify(net.now, theirs, 200, true), Err(WrongState));
    net.finish();
    assert_eq!(net.times(B, "BYE"), [start, start + 500]);
    assert_eq!(net.times(B, "NOTIFY").last(), Some(&(start + 520)));
    assert_eq!(net.said(A), ["bye Peer", "refer progress 200 last"]);
    assert_eq!(net.said(B), ["ended"]);
}

#[test]
fn a_bye_of_theirs_while_our_bye_waits_is_answered_at_once() {
    let mut net = Network::new();
    let (a, b, _, theirs) = referred(&mut net);
    net.ends[B].accept_refer(net.now, theirs).expect("accept");
    net.run(50);
    let mut lost = false;
    net.lose(move |_, what| what == "NOTIFY" && !std::mem::replace(&mut lost, true));
    net.said(A);
    net.ends[B].notify(net.now, theirs, 200, true).expect("notify");
    net.ends[B].end(net.now, b, None).expect("end");
    net.ends[A].end(net.now, a, None).expect("end");
    let start = net.ms();
    net.finish();
    assert_eq!(net.times(B, "200 BYE"), [start + 10]);
    assert_eq!(net.times(B, "BYE"), [0; 0]);
    assert_eq!(net.said(B), ["ended"]);
    assert_eq!(
        net.said(A),
        ["ended", "refer progress 200 last"],
        "the NOTIFY is repeated all the same"
    );
}

#[test]
fn a_481_to_a_notify_ends_the_subscription_and_not_the_call() {
    let mut net = Network::new();
    let (a, b, ours, theirs) = referred(&mut net);
    net.ends[B].accept_refer(net.now, theirs).expect("accept");
    net.run(50);
    net.ends[A].forget_refer(net.now, ours).expect("forget");
    net.said(A);
    net.ends[B].notify(net.now, theirs, 180, false).expect("notify");
    net.run(50);
    assert_eq!(net.times(A, "481 NOTIFY").len(), 1);
    assert_eq!(net.ends[B].notify(net.now, theirs, 200, true), Err(WrongState));
    assert_eq!((net.said(A), net.said(B)), (vec![], vec![]));
    net.ends[A].probe(net.now, a).expect("a call");
    net.run(50);
    net.ends[B].end(net.now, b, None).expect("a call");
    net.finish();
    assert_eq!(net.said(A), ["bye Peer"]);
}

#[test]
fn a_481_to_the_last_notify_lets_the_bye_go() {
    let mut net = Network::new();
    let (_, b, ours, theirs) = referred(&mut net);
    net.ends[B].accept_refer(net.now, theirs).expect("accept");
    net.run(50);
    net.ends[A].forget_refer(net.now, ours).expect("forget");
    net.ends[B].notify(net.now, theirs, 200, true).expect("notify");
    net.ends[B].end(net.now, b, None).expect("end");
    let start = net.ms();
    net.finish();
    assert_eq!(net.times(B, "BYE"), [start + 20]);
}

#[test]
fn a_refer_that_waits_is_answered_when_the_call_ends() {
    for end in [A, B] {
        let mut net = Network::new();
        let (a, b) = net.connect();
        net.ends[A].reinvite(net.now, a, sdp("hold")).expect("reinvite");
        let refer = net.ends[A].refer(net.now, a, carol()).expect("refer");
        net.run(15);
        let dialog = if end == A { a } else { b };
        net.ends[end].end(net.now, dialog, None).expect("end");
        net.run(50);
        let answered = net.events[A]
            .iter()
            .any(|event| matches!(event, Event::ReferAnswered { refer: it, status: 481, .. } if *it == refer));
        assert!(answered, "{:?}", net.events[A]);
        assert_eq!(net.times(A, "REFER"), [0; 0]);
        net.finish();
    }
}

#[test]
fn accepted_and_never_notified_ends_after_180_s() {
    let mut net = Network::new();
    let (a, _, _, theirs) = referred(&mut net);
    net.lose(|_, what| what == "NOTIFY");
    net.ends[B].accept_refer(net.now, theirs).expect("accept");
    net.run(10);
    let accepted = net.ms();
    assert_eq!(net.said(A), ["refer answered 202"]);
    net.run(179_999);
    assert_eq!(net.said(A), [""; 0]);
    net.run(1);
    assert_eq!(net.said(A), ["refer progress 408 last"]);
    assert_eq!(net.ms(), accepted + 180_000);
    net.ends[A].end(net.now, a, None).expect("the call goes on");
    net.finish();
}

#[test]
fn a_subscription_that_nobody_ends_is_closed_with_timeout() {
    let mut net = Network::new();
    let (a, _, _, theirs) = referred(&mut net);
    net.run(20_000);
    net.ends[B].accept_refer(net.now, theirs).expect("accept");
    net.run(200_000);
    let last = net
        .log
        .iter()
        .rfind(|sent| sent.what() == "NOTIFY")
        .expect("a NOTIFY")
        .message();
    assert_eq!(
        last.header("Subscription-State").as_deref(),
        Some("terminated;reason=timeout")
    );
    assert_eq!(last.sipfrag(), Some(100), "nothing about the outcome");
    assert_eq!((net.ends[A].alive().refers, net.ends[B].alive().refers), (0, 0));
    let said = net.said(A);
    assert_eq!(said.len(), 3, "{said:?}");
    assert!(said[2].ends_with("last"), "{said:?}");
    net.ends[A].end(net.now, a, None).expect("end");
    net.finish();
}
