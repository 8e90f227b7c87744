//! OPTIONS in a dialog: is the peer still there?

use super::network::{A, B, Network};
use super::peer::Script;
use crate::endpoint::{Event, WrongState};

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

#[test]
fn a_probe_finds_out_that_the_peer_has_lost_the_call() {
    let mut net = Network::new();
    let (a, b) = net.connect();
    net.lose(|end, what| end == B && what == "BYE");
    net.ends[B].end(net.now, b, None).expect("end");
    net.run(33_000);
    net.ends[A].probe(net.now, a).expect("probe");
    net.finish();
    assert_eq!(net.times(B, "481 OPTIONS").len(), 1);
    assert_eq!(net.said(A), ["bye Lost"]);
}

#[test]
fn a_probe_that_nobody_answers_ends_the_call() {
    let mut net = Network::new();
    let (a, _) = net.connect();
    net.lose(|end, _| end == B);
    let start = net.ms();
    net.ends[A].probe(net.now, a).expect("probe");
    net.run(31_999);
    assert_eq!(net.said(A), [""; 0]);
    net.run(1);
    assert_eq!(net.said(A), ["bye Lost"]);
    assert_eq!(net.times(A, "BYE")[0], start + 32_000);
    net.finish();
}

#[test]
fn a_probe_says_nothing_where_the_network_failed() {
    let mut net = Network::new();
    let (a, _) = net.connect();
    net.lose(|_, _| true);
    net.ends[A].probe(net.now, a).expect("probe");
    net.pump();
    let peer = net.addresses[B];
    net.ends[A].handle_unreachable(net.now, peer);
    net.pump();
    assert_eq!(net.said(A), [""; 0]);
    net.lose(|_, _| false);
    net.ends[A].end(net.now, a, None).expect("a call");
    net.finish();
}

#[test]
fn only_481_and_408_end_the_call() {
    for (status, ends) in [
        ("200 OK", false),
        ("405 Method Not Allowed", false),
        ("486 Busy Here", false),
        ("500 Oops", false),
        ("501 Not Implemented", false),
        ("503 Later", false),
        ("408 Timeout", true),
        ("481 Gone", true),
    ] {
        let mut script = Script::new();
        let (dialog, _) = script.connect();
        script.end.probe(script.now, dialog).expect("probe");
        let options = script.sent().remove(0);
        assert_eq!(options.header("Accept").as_deref(), Some("application/sdp"));
        script.answer(&options, status);
        assert_eq!(matches!(script.event(), Some(Event::Bye { .. })), ends, "{status}");
        assert_eq!(script.end.end(script.now, dialog, None).is_err(), ends, "{status}");
    }
}

#[test]
fn a_call_is_not_probed_before_our_200_is_acknowledged() {
    let mut net = Network::new();
    let (_, b) = net.invite();
    net.lose(|end, what| end == B && what == "200 INVITE");
    net.ends[B]
        .answer(net.now, b, super::network::sdp("answer"), &[])
        .expect("answer");
    net.run(50);
    // The caller would say 481: it does not know of the answer yet.
    assert_eq!(net.ends[B].probe(net.now, b), Err(WrongState));
    net.lose(|_, _| false);
    net.run(1_000);
    net.ends[B].probe(net.now, b).expect("acknowledged");
    net.run(50);
    assert_eq!(net.said(B), ["invite", "acked"]);
    net.ends[B].end(net.now, b, None).expect("end");
    net.finish();
}
