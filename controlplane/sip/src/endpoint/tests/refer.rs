//! REFER and NOTIFY between two endpoints (RFC 3515, 4488, 5057, 6665).

use super::network::{A, B, Network};
use crate::endpoint::{DialogId, Refer, ReferId, WrongState};

fn to(uri: &str) -> Refer {
    Refer {
        to: uri.to_owned(),
        ..Refer::default()
    }
}

/// A call in which A has referred B, and B has not answered yet.
fn referred(net: &mut Network) -> (DialogId, DialogId, ReferId, ReferId) {
    let (a, b) = net.connect();
    let ours = net.ends[A].refer(net.now, a, to("sip:carol@c.example")).expect("refer");
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
fn the_bye_waits_for_the_answer_to_the_last_notify() {
    let mut net = Network::new();
    let (_, b, _, theirs) = referred(&mut net);
    net.ends[B].accept_refer(net.now, theirs).expect("accept");
    net.ends[B].notify(net.now, theirs, 200, true).expect("notify");
    net.ends[B].end(net.now, b, None).expect("end");
    assert_eq!(net.ends[B].end(net.now, b, None), Err(WrongState));
    net.finish();
    let trace: Vec<_> = net
        .trace()
        .iter()
        .map(|line| line.split_once(' ').expect("time").1.to_owned())
        .collect();
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
fn the_subscription_outlives_the_call() {
    let mut net = Network::new();
    let (a, _, _, theirs) = referred(&mut net);
    net.ends[B].accept_refer(net.now, theirs).expect("accept");
    net.run(12);
    // The transferor hangs up right after the 202.
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
fn a_probe_is_answered_in_the_dialog() {
    let mut net = Network::new();
    let (a, _) = net.connect();
    net.ends[A].probe(net.now, a).expect("probe");
    assert_eq!(net.ends[A].probe(net.now, a), Err(WrongState));
    net.run(50);
    assert_eq!(net.times(B, "200 OPTIONS").len(), 1);
    net.ends[A].probe(net.now, a).expect("again");
    net.run(50);
    assert_eq!((net.said(A), net.said(B)), (vec![], vec![]));
    net.ends[A].end(net.now, a, None).expect("end");
    net.finish();
}
