//! Two endpoints on one address: each message finds the one that it is for.

use std::collections::BTreeSet;

use bytes::Bytes;

use super::network::sdp;
use super::peer::{Script, request, whats};
use crate::endpoint::{Share, Stray};

/// The old one has a call that rings and one that talks; the new one reads.
struct Two {
    old: Script,
    new: Script,
}

impl Two {
    fn new() -> Two {
        let mut old = Script::new();
        old.send(&request("INVITE", "1", "1", "", ""));
        old.invited();
        let mut new = Script::new();
        let calls = old.end.invitations();
        assert_eq!(calls.len(), 1);
        new.end.share(Some(Share::Takes(calls)));
        old.end.share(Some(Share::Leaves));
        Two { old, new }
    }

    /// The new one gets a message; what it answers, or what it would show to the old one.
    fn send(&mut self, text: &str) -> Result<Vec<String>, Stray> {
        let answers = whats(&self.new.send(text));
        match self.new.end.poll_stray() {
            Some(stray) => {
                assert!(answers.is_empty(), "{answers:?}");
                Err(stray)
            }
            None => Ok(answers),
        }
    }
}

#[test]
fn an_invite_that_is_repeated_and_its_cancel_go_to_who_has_it() {
    let mut two = Two::new();
    let stray = two
        .send(&request("INVITE", "1", "1", "", ""))
        .expect_err("the old one's");
    assert!(two.old.end.handle_known(two.old.now, stray));
    assert_eq!(whats(&two.old.sent()), ["100 INVITE"]);
    let stray = two
        .send(&request("CANCEL", "1", "1", "", ""))
        .expect_err("the old one's");
    assert!(two.old.end.handle_known(two.old.now, stray));
    assert_eq!(whats(&two.old.sent()), ["200 CANCEL", "487 INVITE"]);
    // Its ACK has a tag of the old one.
    let stray = two
        .send(&request("ACK", "1", "1", "tag", ""))
        .expect_err("the old one's");
    assert!(two.old.end.handle_known(two.old.now, stray));
}

#[test]
fn a_new_call_is_the_new_ones_and_so_is_what_nobody_knows() {
    let mut two = Two::new();
    let other = request("INVITE", "9", "1", "", "").replace("Call-ID: ", "Call-ID: other-");
    assert_eq!(two.send(&other), Ok(vec!["100 INVITE".to_owned()]));
    // The old one would not know it.
    let stray = Stray {
        from: "192.0.2.9:5060".parse().expect("an address"),
        flow: None,
        bytes: Bytes::from(other.replace('\n', "\r\n")),
    };
    assert!(!two.old.end.handle_known(two.old.now, stray));
    assert!(two.old.sent().is_empty());
    let unknown = request("BYE", "8", "7", "nobody", "");
    let stray = two.send(&unknown).expect_err("it may be the old one's");
    assert!(!two.old.end.handle_known(two.old.now, stray.clone()));
    two.new.end.handle_own(two.new.now, stray);
    assert_eq!(whats(&two.new.sent()), ["481 BYE"]);
    // Without another one nobody is asked.
    two.new.end.share(None);
    assert_eq!(two.send(&unknown), Ok(vec!["481 BYE".to_owned()]));
}

#[test]
fn what_comes_to_the_old_one_for_the_new_one_is_passed_on() {
    let mut two = Two::new();
    two.old.send(&request("OPTIONS", "5", "1", "", ""));
    let stray = two.old.end.poll_stray().expect("the new one's");
    assert!(two.old.sent().is_empty());
    two.new.end.handle_own(two.new.now, stray);
    assert_eq!(whats(&two.new.sent()), ["200 OPTIONS"]);
}

#[test]
fn an_answer_goes_to_who_has_asked() {
    let mut two = Two::new();
    let from = "192.0.2.9:5060".parse().expect("an address");
    let invite = crate::endpoint::Invite {
        to: "sip:b@192.0.2.9".to_owned(),
        from: "<sip:us@192.0.2.1>".to_owned(),
        next_hop: Some(from),
        offer: Some(sdp("offer")),
        ..crate::endpoint::Invite::default()
    };
    two.old.end.invite(two.old.now, invite);
    let sent = two.old.sent().remove(0);
    let header = |name| sent.header(name).expect("a header").into_owned();
    let ringing = format!(
        "SIP/2.0 180 Ringing\nVia: {}\nFrom: {}\nTo: {};tag=b\nCall-ID: {}\nCSeq: {}\nContent-Length: 0\n\n",
        header("Via"),
        header("From"),
        header("To"),
        header("Call-ID"),
        header("CSeq")
    );
    let stray = two.send(&ringing).expect_err("the old one's");
    assert!(two.old.end.handle_known(two.old.now, stray));
    assert!(two.old.event().is_some());
    assert_eq!(two.new.end.invitations(), BTreeSet::new());
}
