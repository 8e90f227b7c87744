//! Offers inside a dialog (RFC 3261 §14).

use super::network::{A, B, Network, sdp};
use super::peer::{Script, answer_to, request, whats};
use crate::endpoint::Event;

#[test]
fn offered_by_the_caller_and_by_the_called() {
    let mut net = Network::new();
    let (a, b) = net.connect();
    for (from, to, sender, receiver) in [(A, B, a, b), (B, A, b, a)] {
        net.ends[from].reinvite(net.now, sender, sdp("hold")).expect("reinvite");
        net.run(15);
        assert_eq!(net.said(to), ["reinvite hold"]);
        net.ends[to]
            .answer_reinvite(net.now, receiver, sdp("held"))
            .expect("answer");
        net.run(30);
        assert_eq!(net.said(from), ["reinvite answered held"]);
        assert_eq!(net.said(to), ["acked"]);
    }
    assert_eq!(net.sent(A, "INVITE").header("CSeq").as_deref(), Some("2 INVITE"));
    assert_eq!(net.sent(A, "ACK").header("CSeq").as_deref(), Some("2 ACK"));
    assert_eq!(
        net.sent(B, "INVITE").header("CSeq").as_deref(),
        Some("1 INVITE"),
        "each side counts for itself"
    );
    assert_eq!(
        net.sent(B, "INVITE").header("Contact").as_deref(),
        Some("<sip:192.0.2.2:5070>")
    );
    assert_eq!(net.sent(B, "INVITE").header("From"), net.sent(A, "INVITE").header("To"));
    net.ends[A].end(net.now, a, None).expect("end");
    net.finish();
    assert_eq!(net.sent(A, "BYE").header("CSeq").as_deref(), Some("3 BYE"));
}

#[test]
fn refused_and_the_session_goes_on() {
    let mut net = Network::new();
    let (a, b) = net.connect();
    net.ends[A].reinvite(net.now, a, sdp("video")).expect("reinvite");
    net.run(15);
    net.ends[B].reject_reinvite(net.now, b, 488).expect("reject");
    net.run(30);
    assert_eq!(net.said(A), ["reinvite refused 488"]);
    assert_eq!(net.said(B), ["reinvite video"]);
    assert!(net.ends[B].reject_reinvite(net.now, b, 488).is_err());
    net.ends[A].reinvite(net.now, a, sdp("audio")).expect("again");
    net.run(15);
    net.ends[B].answer_reinvite(net.now, b, sdp("audio")).expect("answer");
    net.run(30);
    assert_eq!(net.said(A), ["reinvite answered audio"]);
    net.ends[B].end(net.now, b, None).expect("end");
    net.finish();
}

#[test]
fn one_at_a_time() {
    let mut net = Network::new();
    let (a, b) = net.connect();
    net.ends[A].reinvite(net.now, a, sdp("one")).expect("reinvite");
    assert!(net.ends[A].reinvite(net.now, a, sdp("two")).is_err());
    net.run(15);
    // Theirs is not answered yet: ours waits, and starts when theirs is acknowledged.
    net.ends[B].reinvite(net.now, b, sdp("waits")).expect("reinvite");
    net.run(15);
    assert_eq!(net.times(B, "INVITE"), [0; 0]);
    net.ends[B].answer_reinvite(net.now, b, sdp("yes")).expect("answer");
    net.run(50);
    assert_eq!(net.said(A), ["reinvite answered yes", "reinvite waits"]);
    net.ends[A].answer_reinvite(net.now, a, sdp("fine")).expect("answer");
    net.run(50);
    assert_eq!(net.said(B), ["reinvite one", "acked", "reinvite answered fine"]);
    net.ends[B].end(net.now, b, None).expect("end");
    net.finish();
}

#[test]
fn asked_for_before_the_ack_it_waits() {
    let mut net = Network::new();
    let (_, b) = net.invite();
    net.ends[B].answer(net.now, b, sdp("answer"), &[]).expect("answer");
    net.ends[B].reinvite(net.now, b, sdp("more")).expect("reinvite");
    net.run(100);
    let trace = net.order();
    assert_eq!(trace[2..5], ["B 200 INVITE", "A ACK", "B INVITE"]);
    net.ends[B].end(net.now, b, None).expect("end");
    net.finish();
}

#[test]
fn lost_ack_of_a_reinvite() {
    let mut net = Network::new();
    let (a, b) = net.connect();
    let mut lost = 0;
    net.lose(move |_, what| {
        let hit = what == "ACK" && lost < 2;
        lost += u8::from(hit);
        hit
    });
    net.ends[A].reinvite(net.now, a, sdp("hold")).expect("reinvite");
    net.run(15);
    net.ends[B].answer_reinvite(net.now, b, sdp("held")).expect("answer");
    net.run(3_000);
    assert_eq!(net.times(A, "ACK").len(), 3);
    assert_eq!(net.said(A), ["reinvite answered held"]);
    assert_eq!(net.said(B), ["reinvite hold", "acked"]);
    net.ends[A].end(net.now, a, None).expect("end");
    net.finish();
}

#[test]
fn never_acknowledged_ends_the_dialog() {
    let mut net = Network::new();
    let (a, b) = net.connect();
    net.lose(|_, what| what == "ACK");
    net.ends[A].reinvite(net.now, a, sdp("hold")).expect("reinvite");
    net.run(15);
    net.ends[B].answer_reinvite(net.now, b, sdp("held")).expect("answer");
    net.finish();
    assert_eq!(net.said(A), ["reinvite answered held", "bye Peer"]);
    assert_eq!(net.said(B), ["reinvite hold", "bye NoAck"]);
}

#[test]
fn nobody_answers_a_reinvite() {
    let mut net = Network::new();
    let (a, _) = net.connect();
    net.lose(|end, _| end == B);
    net.ends[A].reinvite(net.now, a, sdp("hold")).expect("reinvite");
    net.run(33_000);
    assert_eq!(net.said(A), ["bye Lost"]);
    assert_eq!(net.times(A, "BYE")[0], net.times(A, "INVITE")[0] + 32_000);
    assert_eq!(net.said(B), ["reinvite hold", "bye Peer"]);
    net.finish();
}

#[test]
fn a_change_that_nobody_needs_ends_no_call_where_it_is_not_answered() {
    let mut net = Network::new();
    let (a, b) = net.connect();
    net.lose(|end, what| end == B && what.ends_with(" INVITE"));
    net.ends[A].propose(net.now, a, sdp("other")).expect("propose");
    net.run(33_000);
    assert_eq!(net.said(A), ["reinvite refused 408"]);
    net.lose(|_, _| false);
    assert_eq!(net.said(B), ["reinvite other"]);
    net.ends[B].reject_reinvite(net.now, b, 488).expect("reject");
    net.run(100);
    // The dialog goes on.
    net.ends[A].reinvite(net.now, a, sdp("hold")).expect("reinvite");
    net.run(15);
    net.ends[B].answer_reinvite(net.now, b, sdp("held")).expect("answer");
    net.run(15);
    assert_eq!(net.said(A), ["reinvite answered held"]);
    net.ends[B].end(net.now, b, None).expect("end");
    net.finish();
}

#[test]
fn a_change_that_nobody_needs_is_taken_back_where_the_peer_only_ponders_it() {
    for (answer, said) in [
        ("487 Request Terminated", "487"),
        ("408 Request Timeout", "408"),
        ("", "408"),
    ] {
        let mut script = Script::new();
        let (dialog, tag) = script.connect();
        script.end.propose(script.now, dialog, sdp("other")).expect("propose");
        let invite = script.sent().remove(0);
        script.send(&answer_to(&invite, "183 Session Progress", &tag, ""));
        script.wait(31_999);
        assert!(script.sent().is_empty(), "{said}");
        script.wait(1);
        let cancel = script.sent().remove(0);
        assert_eq!(whats(std::slice::from_ref(&cancel)), ["CANCEL"]);
        assert_eq!(cancel.via().unwrap().branch(), invite.via().unwrap().branch());
        script.send(&answer_to(&cancel, "200 OK", &tag, ""));
        if answer.is_empty() {
            script.wait(32_000);
        } else {
            let ack = script.send(&answer_to(&invite, answer, &tag, ""));
            assert_eq!(whats(&ack), ["ACK"]);
        }
        let refused = script.event();
        assert!(
            matches!(&refused, Some(Event::ReinviteRefused { status, .. }) if status.to_string() == said),
            "{answer}: {refused:?}"
        );
        script
            .end
            .reinvite(script.now, dialog, sdp("again"))
            .expect("it goes on");
        assert_eq!(whats(&script.sent()), ["INVITE"]);
    }
}

#[test]
fn a_peer_that_lost_the_dialog() {
    let mut net = Network::new();
    let (a, b) = net.connect();
    // B hangs up and its BYE gets lost for good.
    net.lose(|end, what| end == B && what == "BYE");
    net.ends[B].end(net.now, b, None).expect("end");
    net.run(40_000);
    assert_eq!(net.said(B), ["ended"]);
    net.ends[A].reinvite(net.now, a, sdp("hold")).expect("reinvite");
    net.finish();
    assert_eq!(net.said(A), ["bye Lost"]);
    assert_eq!(net.times(B, "481 INVITE").len(), 1);
}

#[test]
fn a_newer_offer_takes_the_place_of_one_that_backs_off() {
    let mut net = Network::new();
    let (a, b) = net.connect();
    net.ends[A].reinvite(net.now, a, sdp("old")).expect("reinvite");
    net.run(15);
    net.ends[B].reject_reinvite(net.now, b, 491).expect("reject");
    net.run(15);
    net.ends[A].reinvite(net.now, a, sdp("new")).expect("replaces");
    let waiting = net.times(A, "INVITE").len();
    assert_eq!(waiting, 1, "it still backs off");
    net.run(5_000);
    assert_eq!(net.said(B), ["reinvite old", "reinvite new"]);
    net.ends[B].answer_reinvite(net.now, b, sdp("fine")).expect("answer");
    net.run(50);
    assert_eq!(net.said(A), ["reinvite answered fine"]);
    net.ends[A].end(net.now, a, None).expect("end");
    net.finish();
}

#[test]
fn a_reinvite_without_an_offer_gets_ours_and_its_ack_brings_the_answer() {
    let mut script = Script::new();
    let (dialog, tag) = script.connect();
    assert_eq!(
        whats(&script.send(&request("INVITE", "2", "2", &tag, ""))),
        ["100 INVITE"]
    );
    assert!(matches!(script.event(), Some(Event::Reinvite { body: None, .. })));
    script
        .end
        .answer_reinvite(script.now, dialog, sdp("offer"))
        .expect("answer");
    assert_eq!(script.sent()[0].sdp(), Some(sdp("offer")));
    let body = sdp("answer");
    let ack = request("ACK", "2a", "2", &tag, "Content-Type: application/sdp\n").replace(
        "Content-Length: 0\n\n",
        &format!("Content-Length: {}\n\nv=0\ns=answer\n", body.len()),
    );
    script.send(&ack);
    assert!(matches!(script.event(), Some(Event::Acked { body: Some(answer), .. }) if answer == body));
    script.wait(5_000);
    assert!(script.sent().is_empty());
}
