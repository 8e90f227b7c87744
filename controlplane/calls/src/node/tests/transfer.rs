//! Cold handoffs by REFER to the caller's carrier.

use super::*;

/// The caller's carrier was asked.
fn asked() -> World {
    let mut config = config();
    config.trunks[0].refer = true;
    let mut world = World::new(config);
    world.talk();
    world.ask(Mode::Cold);
    assert_eq!(world.hears("caller"), "play(announcement)");
    let (_, request) = world.peers[CALLER].asked.clone().expect("a REFER");
    let to = request.header("Refer-To").unwrap();
    assert!(to.starts_with("<sip:sales@10.0.0.12:5060?"), "{to}");
    assert!(world.peers[SALES].log.is_empty());
    world
}

/// The same target is reached by us, and the caller has not been left alone.
fn bridged(mut world: World, reason: Reason) {
    assert_eq!(world.failed().map(|(reason, _)| reason), Some(reason));
    assert_eq!(world.hears("caller"), "play(announcement)");
    world.answer(SALES);
    assert_eq!(world.hears("caller"), "relay(human)");
    assert_eq!(world.peers[AI].log.last(), Some(&"bye"));
    world.hang_up(CALLER);
    assert_eq!(world.closed(), Some((End::Completed, Outcome::Joined, None)));
    world.conserve();
}

#[test]
fn the_carrier_connects_the_caller_and_everybody_is_let_go() {
    let mut world = asked();
    world.take_refer(CALLER);
    world.notify(CALLER, 180, false);
    assert_eq!(world.story().last(), Some(&"ringing"));
    assert!(!world.peers[AI].log.contains(&"bye"));
    world.notify(CALLER, 200, true);
    assert_eq!(world.peers[CALLER].log.last(), Some(&"bye"));
    assert_eq!(world.peers[AI].log.last(), Some(&"bye"));
    assert_eq!(world.closed(), Some((End::Completed, Outcome::Transferred, None)));
    let ended = world.notices.iter().find_map(|what| match what {
        What::CallEnded { by } => Some(by.clone()),
        _ => None,
    });
    assert_eq!(ended.as_deref(), Some("transfer"));
    assert!(world.peers[SALES].log.is_empty(), "we call nobody");
    world.conserve();
}

#[test]
fn refused_or_failed_we_do_it_ourselves() {
    for status in [403, 405, 603, 500] {
        let mut world = asked();
        let peer = &mut world.peers[CALLER];
        let (refer, _) = peer.asked.clone().unwrap();
        peer.endpoint.reject_refer(world.now, refer, status).unwrap();
        world.settle();
        bridged(world, Reason::ReferRefused);
    }
    for status in [404, 486, 603] {
        let mut world = asked();
        world.take_refer(CALLER);
        world.notify(CALLER, status, true);
        assert!(!world.peers[CALLER].log.contains(&"bye"), "the original call lives");
        bridged(world, Reason::ReferRefused);
    }
}

#[test]
fn silence_is_bounded_before_and_after_the_202() {
    let mut world = asked();
    world.pass(Duration::from_secs(31));
    bridged(world, Reason::ReferTimeout);
    let mut world = asked();
    world.take_refer(CALLER);
    world.pass(Duration::from_secs(20));
    world.notify(CALLER, 180, false);
    world.pass(Duration::from_secs(29));
    assert!(world.peers[SALES].log.is_empty(), "a sign of life counts");
    world.pass(Duration::from_secs(2));
    bridged(world, Reason::ReferTimeout);
}

#[test]
fn a_caller_who_leaves_was_transferred_where_the_carrier_says_so() {
    use Outcome::{Abandoned, Transferred};
    // BYE right after the 202, and the NOTIFY after the BYE; or never.
    for (says, closed) in [
        (Some(200), (End::Completed, Transferred, None)),
        (Some(486), (End::Failed, Abandoned, Some(Reason::ReferRefused))),
        (None, (End::Failed, Abandoned, Some(Reason::ReferTimeout))),
    ] {
        let mut world = asked();
        world.take_refer(CALLER);
        world.hang_up(CALLER);
        assert_eq!(world.peers[AI].log.last(), Some(&"bye"));
        assert_eq!(world.closed(), None, "the outcome is the sipfrag's");
        match says {
            Some(status) => world.notify(CALLER, status, true),
            None => world.pass(Duration::from_secs(31)),
        }
        assert_eq!(world.closed(), Some(closed));
        assert!(
            world.peers[SALES].log.is_empty(),
            "nobody is there for whom a human could be called"
        );
        world.conserve();
    }
    // BYE before any answer.
    let mut world = asked();
    world.hang_up(CALLER);
    world.pass(Duration::from_secs(40));
    assert_eq!(
        world.closed(),
        Some((End::Failed, Abandoned, Some(Reason::CallerHangup)))
    );
    world.conserve();
}

#[test]
fn an_ai_that_leaves_meanwhile_is_not_missed_and_a_cancel_gives_back() {
    let mut world = asked();
    world.take_refer(CALLER);
    world.hang_up(AI);
    world.notify(CALLER, 486, true);
    world.answer(SALES);
    assert_eq!(world.hears("caller"), "relay(human)");
    world.hang_up(CALLER);
    world.conserve();

    let mut world = asked();
    world.take_refer(CALLER);
    let handoff = world.notices.iter().find_map(|what| match what {
        What::Handoff(id, _) => Some(*id),
        _ => None,
    });
    world.request(Request::Cancel(handoff.unwrap())).unwrap();
    assert_eq!(world.hears("caller"), "relay(ai)");
    world.hang_up(CALLER);
    world.conserve();
}

/// The package and the token of each invitation, in order.
fn invitations(world: &World) -> Vec<(String, String)> {
    let invited = world.notices.iter().filter_map(|what| match what {
        What::Handoff(
            _,
            Step::Invited {
                target, package, token, ..
            },
        ) => {
            assert_eq!(target, "sales");
            Some((package.fields["goal"].to_string(), token.clone()))
        }
        _ => None,
    });
    invited.collect()
}

#[test]
fn the_context_goes_out_with_the_refer_and_again_where_we_call_the_target_ourselves() {
    use sip::header::{Header as _, ReferTo};

    let mut config = config();
    config.trunks[0].refer = true;
    let mut world = World::new(config);
    world.talk();
    let id = world.id();
    world
        .request(Request::Context(id, json!({"goal": "a refund"})))
        .unwrap();
    let handoff = world.ask(Mode::Cold);
    // Before anybody has answered anything.
    assert_eq!(world.story(), ["started", "patch", "requested", "invited"]);
    let (goal, token) = invitations(&world).pop().unwrap();
    assert_eq!(goal, "\"a refund\"");

    // The human's phone is to be called with what our own INVITE would carry; the carrier itself gets the ids alone.
    let (_, request) = world.peers[CALLER].asked.clone().unwrap();
    let ReferTo(to) = ReferTo::parse(&request.header("Refer-To").unwrap()).unwrap();
    let url = |token: &str| format!("<http://127.0.0.1:8080/v1/handoffs/{handoff}/context?token={token}>;purpose=info");
    assert_eq!(to.uri.header("Call-Info"), Some(url(&token)));
    for (name, id) in [
        ("X-Baton-Call", id.to_string()),
        ("X-Baton-Handoff", handoff.to_string()),
    ] {
        assert_eq!(to.uri.header(name).as_deref(), Some(id.as_str()));
        assert_eq!(request.header(name).unwrap(), id);
    }
    let hex: String = handoff.to_string().bytes().map(|b| format!("{b:02x}")).collect();
    assert_eq!(to.uri.header("User-to-User"), Some(format!("{hex};encoding=hex")));
    assert_eq!(request.header("Call-Info"), None);

    // What changes while the carrier is asked is told, too.
    let changed = Request::Context(id, json!({"goal": "two refunds"}));
    world.request(changed).unwrap();
    assert_eq!(world.story().last(), Some(&"context"));

    let peer = &mut world.peers[CALLER];
    let (refer, _) = peer.asked.clone().unwrap();
    peer.endpoint.reject_refer(world.now, refer, 603).unwrap();
    world.settle();
    let invited = invitations(&world);
    assert_eq!(invited.len(), 2, "{invited:?}");
    assert_eq!(invited[1].0, "\"two refunds\"");
    assert_ne!(invited[1].1, token, "who has refused cannot look any more");
    let invite = world.peers[SALES].request.clone().unwrap();
    assert_eq!(invite.header("Call-Info").unwrap(), url(&invited[1].1));
    bridged(world, Reason::ReferRefused);
}
