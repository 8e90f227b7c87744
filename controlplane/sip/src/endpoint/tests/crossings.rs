//! Messages that meet on the way.

use super::network::{A, B, Fate, Network, sdp};

#[test]
fn cancel_crosses_the_200() {
    let mut net = Network::new();
    let (a, b) = net.invite();
    net.ends[B].answer(net.now, b, sdp("answer"), &[]).expect("answer");
    net.ends[A].end(net.now, a, Some("SIP;cause=487")).expect("end");
    net.finish();
    assert_eq!(net.said(A), ["ended"], "no Answered: nobody wants it any more");
    assert_eq!(net.said(B), ["invite", "acked", "bye Peer"]);
    let sent = [
        "A INVITE",
        "B 100 INVITE",
        "B 200 INVITE",
        "A CANCEL",
        "A ACK",
        "A BYE",
        "B 200 CANCEL",
        "B 200 BYE",
    ];
    let trace = net.order();
    let mut sorted = trace.clone();
    sorted.sort();
    let mut expected = sent.to_vec();
    expected.sort_unstable();
    assert_eq!(sorted, expected);
    assert_eq!(net.sent(A, "BYE").header("Reason").as_deref(), Some("SIP;cause=487"));
    assert_eq!(net.sent(A, "BYE").header("To"), net.sent(B, "200 INVITE").header("To"));
}

#[test]
fn bye_crosses_bye() {
    let mut net = Network::new();
    let (a, b) = net.connect();
    net.ends[A].end(net.now, a, None).expect("end");
    net.ends[B].end(net.now, b, None).expect("end");
    net.finish();
    assert_eq!(net.said(A), ["ended"]);
    assert_eq!(net.said(B), ["ended"]);
    assert_eq!(net.times(A, "200 BYE").len() + net.times(B, "200 BYE").len(), 2);
}

#[test]
fn reinvite_glare_is_settled_by_the_endpoints() {
    for seed in 0..30 {
        let mut net = Network::seeded(seed);
        let (a, b) = net.connect();
        let start = net.ms();
        net.ends[A].reinvite(net.now, a, sdp("from a")).expect("reinvite");
        net.ends[B].reinvite(net.now, b, sdp("from b")).expect("reinvite");
        net.run(30);
        assert_eq!(
            (net.times(A, "491 INVITE").len(), net.times(B, "491 INVITE").len()),
            (1, 1)
        );
        for _ in 0..500 {
            net.run(10);
            for (end, dialog) in [(A, a), (B, b)] {
                let _ = net.ends[end].answer_reinvite(net.now, dialog, sdp("yes"));
            }
        }
        assert_eq!(
            net.said(A),
            ["reinvite from b", "acked", "reinvite answered yes"],
            "seed {seed}"
        );
        assert_eq!(
            net.said(B),
            ["reinvite answered yes", "reinvite from a", "acked"],
            "seed {seed}"
        );
        // §14.1: the owner of the Call-ID waits 2.1 to 4 s, the other 0 to 2 s, both in steps of 10 ms, from the 491 on.
        let arrived = start + 20;
        let (ours, theirs) = (net.times(A, "INVITE"), net.times(B, "INVITE"));
        assert_eq!((ours.len(), theirs.len()), (2, 2));
        assert!(
            (2100..=4000).contains(&(ours[1] - arrived)) && (ours[1] - arrived).is_multiple_of(10),
            "{ours:?}"
        );
        assert!(
            (0..=2000).contains(&(theirs[1] - arrived)) && (theirs[1] - arrived).is_multiple_of(10),
            "{theirs:?}"
        );
        net.ends[A].end(net.now, a, None).expect("end");
        net.finish();
    }
}

#[test]
fn a_peer_that_always_says_491_is_reported() {
    let mut net = Network::new();
    let (a, b) = net.connect();
    net.ends[A].reinvite(net.now, a, sdp("offer")).expect("reinvite");
    for _ in 0..6000 {
        net.run(10);
        let _ = net.ends[B].reject_reinvite(net.now, b, 491);
    }
    assert_eq!(net.said(A), ["reinvite refused 491"]);
    assert_eq!(net.times(A, "INVITE").len(), 9);
    net.ends[A]
        .reinvite(net.now, a, sdp("again"))
        .expect("the dialog is free again");
    net.ends[A].end(net.now, a, None).expect("end");
    net.finish();
}

#[test]
fn bye_crosses_a_reinvite() {
    let mut net = Network::new();
    let (a, b) = net.connect();
    net.ends[A].reinvite(net.now, a, sdp("offer")).expect("reinvite");
    net.ends[B].end(net.now, b, None).expect("end");
    net.finish();
    assert_eq!(net.said(A), ["bye Peer"]);
    assert_eq!(net.said(B), ["ended"]);
    assert_eq!(net.times(B, "481 INVITE").len(), 1);
}

#[test]
fn bye_overtakes_the_answer_to_a_reinvite() {
    let mut net = Network::new();
    let (a, b) = net.connect();
    net.ends[A].reinvite(net.now, a, sdp("offer")).expect("reinvite");
    net.run(15);
    assert_eq!(net.said(B), ["reinvite offer"]);
    net.ends[A].end(net.now, a, None).expect("end");
    net.run(30);
    // §15.1.2: pending requests get 487.
    assert_eq!(net.times(B, "487 INVITE").len(), 1);
    assert!(net.ends[B].answer_reinvite(net.now, b, sdp("late")).is_err());
    net.finish();
    assert_eq!(net.said(A), ["ended"]);
    assert_eq!(net.said(B), ["bye Peer"]);
}

#[test]
fn the_200_of_a_reinvite_is_acknowledged_after_our_bye() {
    let mut net = Network::new();
    let (a, b) = net.connect();
    net.ends[A].reinvite(net.now, a, sdp("offer")).expect("reinvite");
    net.run(15);
    net.ends[B].answer_reinvite(net.now, b, sdp("answer")).expect("answer");
    net.ends[A].end(net.now, a, None).expect("end");
    net.finish();
    assert_eq!(net.times(A, "ACK").len(), 1);
    assert_eq!(net.said(A), ["ended"]);
    assert_eq!(
        net.said(B),
        ["reinvite offer", "bye Peer"],
        "the BYE came before the ACK"
    );
}

#[test]
fn the_called_side_ends_before_the_ack() {
    let mut net = Network::new();
    let (_, b) = net.invite();
    net.ends[B].answer(net.now, b, sdp("answer"), &[]).expect("answer");
    net.ends[B].end(net.now, b, None).expect("end");
    assert!(net.ends[B].end(net.now, b, None).is_err());
    net.finish();
    // §15: BYE only after the ACK.
    let trace = net.order();
    assert_eq!(
        trace,
        [
            "A INVITE",
            "B 100 INVITE",
            "B 200 INVITE",
            "A ACK",
            "B BYE",
            "A 200 BYE"
        ]
    );
    assert_eq!(net.said(A), ["answered answer", "bye Peer"]);
    assert_eq!(net.said(B), ["invite", "ended"]);
}

#[test]
fn the_called_side_ends_and_the_ack_never_comes() {
    let mut net = Network::new();
    let (_, b) = net.invite();
    net.lose(|_, what| what == "ACK");
    net.ends[B].answer(net.now, b, sdp("answer"), &[]).expect("answer");
    net.ends[B].end(net.now, b, None).expect("end");
    let start = net.ms();
    net.finish();
    assert_eq!(net.times(B, "BYE"), [start + 32_000]);
    assert_eq!(net.said(B), ["invite", "ended"]);
}

#[test]
fn ending_an_unanswered_invite_of_theirs_refuses_it() {
    let mut net = Network::new();
    let (_, b) = net.invite();
    net.ends[B].end(net.now, b, None).expect("end");
    assert!(net.ends[B].answer(net.now, b, sdp("late"), &[]).is_err());
    net.finish();
    assert_eq!(net.said(A), ["refused 480"]);
    assert_eq!(net.said(B), ["invite", "ended"]);
}

#[test]
fn bye_overtakes_the_ack() {
    let mut net = Network::new();
    let (a, b) = net.invite();
    net.judge = Box::new(|_, what| {
        if what == "ACK" {
            Fate::After(vec![300])
        } else {
            Fate::normal()
        }
    });
    net.ends[B].answer(net.now, b, sdp("answer"), &[]).expect("answer");
    net.run(15);
    net.ends[A].end(net.now, a, None).expect("end");
    net.finish();
    assert_eq!(net.said(A), ["answered answer", "ended"]);
    assert_eq!(net.said(B), ["invite", "bye Peer"]);
    assert_eq!(net.times(B, "200 INVITE").len(), 1, "the BYE stops the retransmissions");
}

#[test]
fn the_200_overtakes_the_180() {
    let mut net = Network::new();
    let (_, b) = net.invite();
    net.judge = Box::new(|_, what| {
        if what == "180 INVITE" {
            Fate::After(vec![50])
        } else {
            Fate::normal()
        }
    });
    net.ends[B].ring(net.now, b, 180, None).expect("ring");
    net.ends[B].answer(net.now, b, sdp("answer"), &[]).expect("answer");
    net.run(200);
    assert_eq!(net.said(A), ["answered answer"]);
    net.ends[B].end(net.now, b, None).expect("end");
    net.finish();
}
