//! REFERs that peers send.

use super::*;

const SALES_URI: &str = "sip:sales@10.0.0.12:5060";

#[test]
fn an_ai_s_refer_is_a_handoff_and_its_notifys_tell_the_truth() {
    let mut world = World::talking();
    let by = "<sip:anna@ai.example>;x=\"y\"";
    world.refer(
        AI,
        SALES_URI,
        &[
            ("X-Baton-Mode", "warm"),
            ("X-Baton-Reason", "wants a refund"),
            ("Referred-By", by),
        ],
    );
    assert_eq!(world.told(AI), ["202", "100"]);
    assert_eq!(world.hears("caller"), "play(announcement)");
    let asked = world.notices.iter().find_map(|what| match what {
        What::Handoff(_, Step::Requested { mode, target, why, .. }) => Some((*mode, target.clone(), why.clone())),
        _ => None,
    });
    assert_eq!(asked, Some((Mode::Warm, "sales".into(), "wants a refund".into())));
    let invite = world.peers[SALES].request.clone().unwrap();
    assert_eq!(invite.header("Referred-By").unwrap(), by);
    world.ring(SALES);
    assert_eq!(world.told(AI), ["180"]);
    world.answer(SALES);
    assert_eq!(world.told(AI), [""; 0], "answered is not joined");
    world.answers = false;
    world.played(2, 0);
    assert_eq!(world.told(AI), [""; 0], "accepted is not joined");
    world.answers = true;
    let join = world.last.clone().unwrap();
    world.order.clear();
    world.answer_media(join);
    world.settle();
    assert_eq!(world.told(AI), ["200."]);
    let sent = |word: &str| world.order.iter().position(|line| line.starts_with(word));
    assert!(sent("NOTIFY").unwrap() < sent("BYE").unwrap(), "{:?}", world.order);
    assert_eq!(world.peers[AI].log.last(), Some(&"bye"));
    assert_eq!(world.hears("caller"), "relay(human)");
    world.hang_up(CALLER);
    world.conserve();
}

#[test]
fn a_transferor_who_hangs_up_early_or_never_changes_nothing_for_the_caller() {
    for way in ["bye at once", "bye while it rings", "bye while briefed", "never"] {
        let mut world = World::talking();
        world.refer(AI, SALES_URI, &[]);
        if way == "bye at once" {
            world.hang_up(AI);
        }
        world.ring(SALES);
        if way == "bye while it rings" {
            world.hang_up(AI);
        }
        world.answer(SALES);
        if way == "bye while briefed" {
            world.hang_up(AI);
        }
        assert_eq!(world.hears("caller"), "play(announcement)", "{way}");
        world.played(2, 0);
        assert_eq!(world.hears("caller"), "relay(human)", "{way}");
        // The subscription outlives the call (RFC 5057).
        assert_eq!(world.told(AI).last().map(String::as_str), Some("200."), "{way}");
        world.hang_up(CALLER);
        assert_eq!(world.closed(), Some((End::Completed, Outcome::Joined, None)));
        world.conserve();
    }
}

#[test]
fn a_target_s_failure_is_told_when_the_caller_is_back() {
    let mut world = World::talking();
    world.refer(AI, SALES_URI, &[]);
    world.answers = false;
    world.reject(SALES, 486);
    assert_eq!(world.told(AI), ["202", "100"], "not before the caller is back");
    world.answers = true;
    let back = world.last.clone().unwrap();
    world.answer_media(back);
    world.settle();
    assert_eq!(world.told(AI), ["486."]);
    assert_eq!(
        (world.hears("caller"), world.hears("ai")),
        ("play(busy)".into(), "relay(caller)".into())
    );
    assert!(!world.peers[AI].log.contains(&"bye"), "the original call lives");
    // And again.
    world.refer(AI, "sip:support", &[("X-Baton-Mode", "cold")]);
    world.ring(SUPPORT);
    world.hang_up(CALLER);
    assert_eq!(world.told(AI), ["202", "100", "180", "487."]);
    world.conserve();
}

#[test]
fn what_a_refer_may_not_is_refused_and_changes_nothing() {
    let mut world = World::talking();
    let sets = world.sets;
    world.refer(AI, "sip:mallory@evil.example", &[]);
    world.refer(AI, "sip:+4930123@10.0.0.12:5060;maddr=198.51.100.1", &[]);
    world.refer(AI, &format!("{SALES_URI}?Replaces=a%3Bto-tag%3Db%3Bfrom-tag%3Dc"), &[]);
    world.refer(AI, SALES_URI, &[("X-Baton-Mode", "blind")]);
    assert_eq!(world.told(AI), ["403", "403", "501", "400"]);
    world.refer(CALLER, SALES_URI, &[]);
    assert_eq!(world.told(CALLER), ["403"]);
    assert_eq!((world.sets, world.peers[SALES].log.len()), (sets, 0));

    world.refer(AI, "sip:+4930123@10.0.0.12:5060", &[]);
    let invite = world.peers[SALES].request.clone().unwrap();
    assert_eq!(invite.uri().unwrap().unwrap().as_str(), "sip:+4930123@10.0.0.12:5060");
    assert_eq!(world.told(AI), ["202", "100"]);
    world.refer(AI, SALES_URI, &[]);
    assert_eq!(world.told(AI), ["491"], "one runs");
    world.answer(SALES);
    world.refer(SALES, SALES_URI, &[]);
    assert_eq!(world.told(SALES), ["491"], "it is not the target's call yet");
    world.hang_up(CALLER);
    world.conserve();
}

#[test]
fn a_transferor_who_wants_no_notify_gets_none() {
    let mut world = World::talking();
    world.refer(AI, SALES_URI, &[("Refer-Sub", "false"), ("X-Baton-Mode", "cold")]);
    world.answer(SALES);
    assert_eq!(world.told(AI).first().map(String::as_str), Some("202"));
    assert!(!world.order.iter().any(|line| line.starts_with("NOTIFY")));
    assert_eq!(world.hears("caller"), "relay(human)");
    world.hang_up(CALLER);
    world.conserve();
}
