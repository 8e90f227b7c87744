//! Agents of a queue who are called at a time.

use super::lines::{agent, queued, seconds, world};
use super::*;
use playbook::routing::Profile;

const ALL: [&str; 3] = ["ann", "bob", "cid"];

/// Three agents, of whom so many are called at a time.
fn ringing(at_once: usize) -> World {
    let mut config = queued();
    config.targets[0].queue.as_mut().expect("a queue").at_once = at_once;
    let mut world = world(config, &ALL);
    world.ask(Mode::Warm);
    world
}

impl World {
    /// The phone of this agent, by the order in which they were called.
    fn phone(&mut self, n: usize) {
        let peer = &mut self.peers[SALES];
        let (dialog, request) = peer.invites[n].clone();
        (peer.dialog, peer.request) = (Some(dialog), Some(request));
    }

    fn phones(&self) -> Vec<String> {
        let uri = |request: &sip::message::Message| request.uri().unwrap().unwrap().as_str().to_owned();
        self.peers[SALES]
            .invites
            .iter()
            .map(|(_, request)| uri(request))
            .collect()
    }

    fn doings(&mut self) -> [&'static str; 3] {
        ALL.map(|id| self.doing(id))
    }

    fn times(&self, step: &str) -> usize {
        self.story().into_iter().filter(|name| *name == step).count()
    }

    fn taken_by(&self) -> Option<String> {
        self.notices.iter().find_map(|what| match what {
            What::Handoff(_, Step::Answered { agent }) => agent.clone(),
            _ => None,
        })
    }
}

#[test]
fn who_answers_first_has_the_caller_and_nobody_else_is_to_blame() {
    let mut world = ringing(3);
    assert_eq!(world.phones(), [1, 2, 3].map(|n| agent("", n).uri));
    assert_eq!(world.doings(), ["ringing"; 3]);
    assert_eq!(
        world.invited(),
        [("sales".to_owned(), None)],
        "one invitation, of nobody alone"
    );
    for n in [2, 0, 1] {
        world.phone(n);
        world.ring(SALES);
    }
    assert_eq!(world.times("ringing"), 1);
    world.phone(1);
    world.answer(SALES);
    assert_eq!(world.taken_by().as_deref(), Some("bob"));
    assert_eq!(world.doings(), ["available", "talking", "available"]);
    let cancels = world.order.iter().filter(|line| line.starts_with("CANCEL")).count();
    assert_eq!(cancels, 2);
    world.played(3, 0);
    assert_eq!(world.hears("caller"), "relay(human)");
    assert_eq!(world.hears("human"), "relay(caller)");
    world.hang_up(CALLER);
    world.conserve();
}

#[test]
fn as_long_as_a_phone_rings_nobody_has_failed() {
    let mut world = ringing(3);
    for n in [1, 0] {
        world.phone(n);
        world.reject(SALES, if n == 1 { 486 } else { 603 });
        assert_eq!(world.times("target_failed"), 0);
    }
    assert_eq!(
        world.doings(),
        ["available", "set_aside", "ringing"],
        "who says no is there"
    );
    world.phone(2);
    world.reject(SALES, 480);
    assert_eq!(world.failed(), Some((Reason::NoAnswer, Some(480))));
    assert_eq!(
        world.times("target_failed"),
        2,
        "the last one, and the queue of which nobody is left"
    );
    assert_eq!(world.peers[SUPPORT].log, ["invite"]);
    world.hang_up(CALLER);
    world.pass(seconds(301));
    assert_eq!(world.doings(), ["available"; 3]);
    world.conserve();
}

#[test]
fn an_answer_that_cannot_be_used_leaves_the_caller_to_the_others() {
    let mut world = ringing(2);
    world.phone(1);
    world.answer_strangely(SALES);
    assert_eq!(world.times("answered"), 0);
    world.phone(0);
    world.answer(SALES);
    assert_eq!(world.taken_by().as_deref(), Some("ann"));
    world.hang_up(CALLER);
    world.pass(seconds(301));
    world.conserve();
}

#[test]
fn who_lets_it_ring_is_set_aside_and_whoever_is_left_is_called_next() {
    let mut world = ringing(2);
    assert_eq!(world.doings(), ["ringing", "ringing", "available"]);
    world.pass(seconds(21));
    assert_eq!(world.doings(), ["set_aside", "set_aside", "ringing"]);
    assert_eq!(world.invited().last().unwrap().1.as_deref(), Some("cid"), "alone");
    world.phone(2);
    world.answer(SALES);
    assert_eq!(world.taken_by().as_deref(), Some("cid"));
    world.hang_up(CALLER);
    world.pass(seconds(301));
    world.conserve();
}

#[test]
fn where_the_caller_is_gone_every_phone_is_silent() {
    for how in ["caller", "cancel", "api"] {
        let mut world = ringing(3);
        for n in 0..3 {
            world.phone(n);
            world.ring(SALES);
        }
        let (call, handoff) = (world.id(), HandoffId(world.spec.watch.expect("a window").window.0));
        match how {
            "caller" => world.hang_up(CALLER),
            "cancel" => assert!(world.request(Request::Cancel(handoff)).is_ok()),
            _ => assert!(world.request(Request::HangUp(call)).is_ok()),
        }
        let cancelled = world.peers[SALES].log.iter().filter(|event| **event == "cancelled");
        assert_eq!(cancelled.count(), 3, "{how}");
        assert_eq!(world.doings(), ["available"; 3], "{how}");
        if how == "cancel" {
            world.hang_up(CALLER);
        }
        world.conserve();
    }
}

/// Two pick up in the same moment: the second 200 crosses our CANCEL (RFC 3261 §9.1), and gets ACK and BYE.
#[test]
fn who_picks_up_a_moment_too_late_is_let_go_at_once() {
    let mut world = ringing(2);
    world.phone(1);
    let peer = &mut world.peers[SALES];
    let offer = peer
        .request
        .as_ref()
        .and_then(|request| request.sdp())
        .expect("an offer");
    let (answer, _) = peer.local.answer(&offer).unwrap();
    let (late, now) = (peer.dialog.unwrap(), world.now);
    peer.endpoint.answer(now, late, answer.into(), &[]).unwrap();
    world.phone(0);
    // Both go out before we have seen one of them.
    world.answer(SALES);
    let talking = world.doings().iter().filter(|doing| **doing == "talking").count();
    assert_eq!(talking, 1);
    assert_eq!(
        world.peers[SALES].log.iter().filter(|event| **event == "bye").count(),
        1
    );
    world.hang_up(CALLER);
    world.pass(seconds(11));
    world.conserve();
}

/// A phone that takes two calls rings once for one caller, and where there is no port left, fewer ring.
#[test]
fn nobody_is_called_twice_and_only_as_many_as_there_are_ports() {
    let mut config = queued();
    config.targets[0].queue.as_mut().expect("a queue").at_once = 3;
    let mut two = world(config.clone(), &[]);
    let profile = Profile {
        calls: 2,
        ..agent("ann", 1)
    };
    assert!(two.request(Request::PutAgent(profile)).is_ok());
    two.ask(Mode::Warm);
    assert_eq!(two.phones().len(), 1);
    two.hang_up(CALLER);
    two.conserve();

    config.workers = vec![vec![20_000, 20_002, 20_004, 20_006]];
    let mut few = world(config, &ALL);
    few.ask(Mode::Warm);
    assert_eq!(few.phones().len(), 2, "four ports: the caller's, the AI's and two more");
    assert_eq!(few.doings(), ["ringing", "ringing", "available"]);
    few.hang_up(CALLER);
    few.conserve();
}
