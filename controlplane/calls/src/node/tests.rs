//! A node among peers that speak SIP by endpoints of their own, with a data plane that only says yes.

mod auth;
mod bytes;
mod crossing;
mod exchange;
mod families;
mod refer;
mod second;
mod talks_on;
mod told;
mod transfer;
mod world;

use super::*;
use crate::notice::{End, HandoffId, Outcome, Step, What};
use crate::request::HandoffRequest;
use media::command::{Command, Dtmf, Event as Media, LegId, PlayId};
use playbook::context::{Role, Turn, TurnDecision};
use playbook::{Accept, Mode, Playbook};
use serde_json::json;
use sip::endpoint::Invite;
use sip::sdp::{Encoding, Local};
use std::time::Duration;
use world::*;

#[test]
fn a_warm_handoff_joins_caller_and_human_and_only_then_lets_the_ai_go() {
    let mut world = World::talking();
    let handoff = world.ask(Mode::Warm);
    assert_eq!(world.hears("caller"), "play(announcement)");
    assert_eq!(world.hears("ai"), "comfort");
    world.played(0, 0);
    assert_eq!(world.hears("caller"), "play(hold)");
    let invite = world.peers[SALES].request.clone().unwrap();
    assert_eq!(invite.header("X-Baton-Call").unwrap(), world.id().to_string());
    assert_eq!(invite.header("X-Baton-Handoff").unwrap(), handoff.to_string());
    assert_eq!(invite.from().unwrap().uri.as_str(), "sip:+4930123@carrier.example");
    let hex: String = handoff.to_string().bytes().map(|b| format!("{b:02x}")).collect();
    assert_eq!(invite.header("User-to-User").unwrap(), format!("{hex};encoding=hex"));
    let token = world.notices.iter().find_map(|what| match what {
        What::Handoff(_, Step::Invited { token, .. }) => Some(token.clone()),
        _ => None,
    });
    let url = format!(
        "<http://127.0.0.1:8080/v1/handoffs/{handoff}/context?token={}>;purpose=info",
        token.unwrap()
    );
    assert_eq!(invite.header("Call-Info").unwrap(), url);

    world.ring(SALES);
    world.answer(SALES);
    assert_eq!(
        (world.hears("caller"), world.hears("human")),
        ("play(hold)".into(), "play(briefing)".into())
    );
    assert_eq!(world.leg(2).unwrap().dtmf, Dtmf::Take);

    // The data plane has not answered yet: the AI stays.
    world.answers = false;
    world.played(2, 0);
    assert!(!world.peers[AI].log.contains(&"bye"));
    world.answers = true;
    let join = world.last.clone().unwrap();
    world.answer_media(join);
    world.settle();
    assert_eq!(world.peers[AI].log.last(), Some(&"bye"));
    assert_eq!(
        (world.hears("caller"), world.hears("human")),
        ("relay(human)".into(), "relay(caller)".into())
    );
    assert_eq!(world.leg(1), None);
    assert_eq!(world.leg(2).unwrap().dtmf, Dtmf::Relay);
    assert_eq!(world.spec.watch.unwrap().first_word_of, Some(LegId(2)));

    let (session, window) = (SessionId(world.id().0), world.spec.watch.unwrap().window);
    world.node.handle_media(
        world.now,
        0,
        Media::FirstWord {
            session,
            window,
            at: world.now,
        },
    );
    let listeners = [(LegId(0), Default::default()), (LegId(2), Default::default())]
        .into_iter()
        .collect();
    world.node.handle_media(
        world.now,
        0,
        Media::Evidence {
            session,
            window,
            listeners,
        },
    );
    world.settle();
    world.spec.watch = None;
    assert_eq!(world.closed(), Some((End::Completed, Outcome::Joined, None)));
    world.hang_up(CALLER);
    assert_eq!(world.peers[SALES].log.last(), Some(&"bye"));
    assert_eq!(
        world.story(),
        [
            "started",
            "requested",
            "invited",
            "announced",
            "ringing",
            "answered",
            "accepted",
            "joined",
            "first_human_word",
            "evidence",
            "closed",
            "ended"
        ]
    );
    world.conserve();
}

#[test]
fn a_cold_handoff_joins_at_the_answer() {
    let mut world = World::talking();
    world.ask(Mode::Cold);
    world.ring(SALES);
    assert_eq!(world.hears("caller"), "play(announcement)");
    world.answer(SALES);
    assert_eq!(
        (world.hears("caller"), world.hears("human")),
        ("relay(human)".into(), "relay(caller)".into())
    );
    world.hang_up(SALES);
    assert_eq!(world.peers[CALLER].log.last(), Some(&"bye"));
    assert_eq!(world.closed(), Some((End::Completed, Outcome::Joined, None)));
    world.conserve();
}

#[test]
fn a_caller_who_asks_for_a_human_is_handed_off_at_once() {
    let mut world = World::talking();
    let says = |text: &str| {
        vec![Turn {
            role: Role::Caller,
            text: text.into(),
            at: None,
            confidence: None,
            intent: None,
            sentiment: None,
        }]
    };
    let id = world.id();
    let answer = world.request(Request::Turns(id, says("hello"))).unwrap();
    assert!(matches!(answer, Response::Turns(TurnDecision::Continue, None)));
    let answer = world.request(Request::Turns(id, says("A human, please"))).unwrap();
    let Response::Turns(TurnDecision::Handoff { rule }, Some(handoff)) = answer else {
        panic!("no handoff")
    };
    assert_eq!(rule, "explicit-request");
    assert_eq!(world.peers[SALES].log, ["invite"]);
    let again = HandoffRequest {
        mode: None,
        target: None,
        reason: String::new(),
        context: None,
        by_ai: false,
    };
    let running = world.request(Request::Handoff(id, again)).unwrap_err();
    assert_eq!(running, RequestError::Running(handoff));
    world
        .request(Request::Context(id, json!({"goal": "a refund"})))
        .unwrap();
    assert_eq!(world.story().last(), Some(&"context"));
    world.hang_up(CALLER);
    assert_eq!(world.peers[SALES].log.last(), Some(&"cancelled"));
    assert_eq!(world.peers[AI].log.last(), Some(&"bye"));
    assert_eq!(
        world.closed(),
        Some((End::Failed, Outcome::Abandoned, Some(Reason::CallerHangup)))
    );
    world.conserve();
}

#[test]
fn every_refusal_tries_the_next_target_and_then_gives_the_caller_back() {
    for (status, reason, prompt) in [
        (486, Reason::Busy, "play(busy)"),
        (600, Reason::Busy, "play(busy)"),
        (480, Reason::NoAnswer, "play(no_answer)"),
        (403, Reason::Rejected, "play(failed)"),
        (603, Reason::Rejected, "play(failed)"),
        (404, Reason::Unreachable, "play(failed)"),
        (410, Reason::Unreachable, "play(failed)"),
        (500, Reason::Unreachable, "play(failed)"),
    ] {
        let mut world = World::talking();
        world.ask(Mode::Warm);
        world.reject(SALES, status);
        assert_eq!(world.hears("caller"), "play(announcement)", "{status}");
        world.ring(SUPPORT);
        world.reject(SUPPORT, status);
        assert_eq!(
            (world.hears("caller"), world.hears("ai")),
            (prompt.into(), "relay(caller)".into())
        );
        assert_eq!(world.closed(), Some((End::Failed, Outcome::ReturnedToAi, Some(reason))));
        world.played(0, 0);
        assert_eq!(world.hears("caller"), "relay(ai)");
        // Another one may be asked for.
        world.ask(Mode::Cold);
        world.answer(SALES);
        assert_eq!(world.hears("caller"), "relay(human)");
        world.hang_up(CALLER);
        world.conserve();
    }
}

#[test]
fn nobody_answers_and_no_phone_rings_on() {
    let mut world = World::talking();
    world.ask(Mode::Warm);
    world.ring(SALES);
    world.pass(Duration::from_millis(20_000));
    assert_eq!(world.peers[SALES].log, ["invite", "cancelled"]);
    world.ring(SUPPORT);
    world.pass(Duration::from_millis(20_000));
    assert_eq!(world.peers[SUPPORT].log, ["invite", "cancelled"]);
    assert_eq!(world.hears("caller"), "play(no_answer)");
    assert_eq!(
        world.closed(),
        Some((End::Failed, Outcome::ReturnedToAi, Some(Reason::NoAnswer)))
    );
    world.hang_up(AI);
    assert_eq!(world.peers[CALLER].log.last(), Some(&"bye"));
    world.conserve();
}

#[test]
fn a_briefed_human_can_decline_hang_up_or_do_nothing() {
    for way in ["key", "api", "hang up", "nothing"] {
        let mut world = World::new(Config {
            playbook: Playbook {
                accept: Accept::Key,
                targets: vec!["sales".to_owned()],
                ..config().playbook
            },
            ..config()
        });
        world.talk();
        let handoff = world.ask(Mode::Warm);
        world.answer(SALES);
        world.played(2, 0);
        world.digit(2, '5');
        assert_eq!(
            world.hears("caller"),
            "play(announcement)",
            "neither the briefing nor another key joins"
        );
        let reason = match way {
            "key" => {
                world.digit(2, '2');
                Reason::Declined
            }
            "api" => {
                world.request(Request::Decline(handoff)).unwrap();
                Reason::Declined
            }
            "hang up" => {
                world.hang_up(SALES);
                Reason::HumanHangup
            }
            _ => {
                world.pass(Duration::from_secs(31));
                Reason::NoAnswer
            }
        };
        assert_eq!(
            world.closed(),
            Some((End::Failed, Outcome::ReturnedToAi, Some(reason))),
            "{way}"
        );
        assert_eq!(world.hears("ai"), "relay(caller)");
        assert_eq!(world.leg(2), None);
        world.hang_up(CALLER);
        world.conserve();
    }
}

#[test]
fn a_human_accepts_by_key_or_api() {
    for key in [true, false] {
        let mut world = World::new(Config {
            playbook: Playbook {
                accept: Accept::Api,
                ..config().playbook
            },
            ..config()
        });
        world.talk();
        let handoff = world.ask(Mode::Warm);
        assert!(matches!(
            world.request(Request::Accept(handoff)),
            Err(RequestError::WrongState(_))
        ));
        world.answer(SALES);
        if key {
            world.digit(2, '1');
        } else {
            world.request(Request::Accept(handoff)).unwrap();
        }
        assert_eq!(world.hears("caller"), "relay(human)");
        world.hang_up(SALES);
        assert_eq!(
            world.request(Request::Accept(handoff)).unwrap_err(),
            RequestError::NoHandoff
        );
        world.conserve();
    }
}

#[test]
fn without_an_ai_the_caller_is_told_goodbye() {
    let mut world = World::talking();
    world.ask(Mode::Warm);
    world.hang_up(AI);
    assert_eq!(
        world.hears("caller"),
        "play(announcement)",
        "nothing changes for the caller"
    );
    world.reject(SALES, 486);
    world.reject(SUPPORT, 486);
    assert_eq!(world.hears("caller"), "play(goodbye)");
    assert!(!world.peers[CALLER].log.contains(&"bye"));
    world.played(0, 0);
    assert_eq!(world.peers[CALLER].log.last(), Some(&"bye"));
    assert_eq!(
        world.closed(),
        Some((End::Failed, Outcome::Failed, Some(Reason::AiGone)))
    );
    world.conserve();
}

#[test]
fn a_cancelled_handoff_gives_the_caller_back_without_a_word() {
    let mut world = World::talking();
    let handoff = world.ask(Mode::Warm);
    world.ring(SALES);
    world.request(Request::Cancel(handoff)).unwrap();
    assert_eq!(world.peers[SALES].log.last(), Some(&"cancelled"));
    assert_eq!(
        (world.hears("caller"), world.hears("ai")),
        ("relay(ai)".into(), "relay(caller)".into())
    );
    assert_eq!(world.closed(), Some((End::Cancelled, Outcome::ReturnedToAi, None)));
    world.hang_up(CALLER);
    world.conserve();
}

#[test]
fn a_stranger_is_refused_and_a_caller_waits_for_no_agent_in_vain() {
    let mut world = World::new(config());
    world.call(STRANGER);
    assert_eq!(world.peers[STRANGER].log, ["403"]);
    assert!(world.peers[AI].log.is_empty());
    world.call(CALLER);
    let invite = world.peers[AI].request.clone().unwrap();
    assert_eq!(
        invite.header("X-Baton-Call").unwrap(),
        world.id().to_string(),
        "the caller's own is not passed on"
    );
    world.reject(AI, 486);
    assert_eq!(world.peers[CALLER].log, ["480"]);
    assert!(world.notices.is_empty());
    world.conserve();

    world.call(CALLER);
    world.ring(AI);
    world.hang_up(CALLER);
    assert_eq!(world.peers[AI].log.last(), Some(&"cancelled"));
    world.conserve();
}

#[test]
fn a_full_house_is_refused_and_leaves_nothing() {
    let mut world = World::new(Config {
        workers: vec![vec![20_000]],
        ..config()
    });
    world.call(CALLER);
    assert_eq!(world.peers[CALLER].log, ["503"]);
    world.conserve();

    // No port for the human.
    let mut world = World::new(Config {
        workers: vec![vec![20_000, 20_002]],
        ..config()
    });
    world.talk();
    world.ask(Mode::Warm);
    assert!(world.peers[SALES].log.is_empty());
    assert_eq!(
        world.closed(),
        Some((End::Failed, Outcome::ReturnedToAi, Some(Reason::NoCapacity)))
    );
    assert_eq!(world.hears("caller"), "play(failed)");
    world.hang_up(CALLER);
    world.conserve();
}

#[test]
fn a_silent_data_plane_ends_the_call_in_bounded_time() {
    let mut world = World::talking();
    world.answers = false;
    world.ask(Mode::Warm);
    let sets = |world: &World| world.order.iter().filter(|what| *what == "Set").count();
    let before = sets(&world);
    world.pass(Duration::from_millis(1_900));
    assert_eq!(sets(&world) - before, 3, "repeated three times");
    world.pass(Duration::from_secs(10));
    assert_eq!(world.peers[SALES].log.last(), Some(&"cancelled"));
    assert_eq!(world.peers[CALLER].log.last(), Some(&"bye"));
    assert_eq!(world.peers[AI].log.last(), Some(&"bye"));
    assert_eq!(
        world.closed(),
        Some((End::Failed, Outcome::Failed, Some(Reason::Error)))
    );
    world.conserve();
}

#[test]
fn hold_by_the_caller_disturbs_no_other_leg() {
    let mut world = World::talking();
    let before = world.leg(1).cloned();
    for (direction, send) in [
        ("sendonly", false),
        ("sendrecv", true),
        ("inactive", false),
        ("recvonly", true),
    ] {
        let exchange = world.leg(0).unwrap().exchange;
        let peer = &mut world.peers[CALLER];
        let offer = peer.local.offer().replace("a=sendrecv", &format!("a={direction}"));
        peer.endpoint
            .reinvite(world.now, peer.dialog.unwrap(), offer.into())
            .unwrap();
        world.settle();
        assert_eq!(world.peers[CALLER].log.last(), Some(&"reinvite answered"));
        assert_eq!(
            (world.leg(0).unwrap().send, world.leg(0).unwrap().exchange),
            (send, exchange + 1),
            "{direction}"
        );
        let mut after = before.clone();
        if direction != "sendrecv" {
            // An AI does not hear the music of a caller who holds it, nor waits for what does not come.
            after.as_mut().unwrap().hears.legs.clear();
        }
        assert_eq!(world.leg(1).cloned(), after, "{direction}");
    }
    assert_eq!(world.peers[AI].log, ["invite", "acked"]);
    world.hang_up(CALLER);
    world.conserve();
}

#[test]
fn the_caller_hangs_up_in_each_state_of_a_handoff() {
    for state in ["inviting", "ringing", "briefing", "joining"] {
        let mut world = World::talking();
        world.ask(Mode::Warm);
        if state != "inviting" {
            world.ring(SALES);
        }
        if matches!(state, "briefing" | "joining") {
            world.answer(SALES);
        }
        if state == "joining" {
            world.answers = false;
            world.played(2, 0);
        }
        world.hang_up(CALLER);
        world.answers = true;
        world.pass(Duration::from_secs(2));
        let end = world.peers[SALES].log.last().copied();
        assert_eq!(
            end,
            Some(if matches!(state, "inviting" | "ringing") {
                "cancelled"
            } else {
                "bye"
            }),
            "{state}"
        );
        assert_eq!(world.peers[AI].log.last(), Some(&"bye"));
        assert_eq!(
            world.closed(),
            Some((End::Failed, Outcome::Abandoned, Some(Reason::CallerHangup)))
        );
        world.conserve();
    }
}

#[test]
fn the_same_seed_and_inputs_give_the_same_outputs() {
    let run = || {
        let mut world = World::talking();
        world.ask(Mode::Warm);
        world.reject(SALES, 486);
        world.answer(SUPPORT);
        world.hang_up(CALLER);
        (world.order.clone(), world.notices.len())
    };
    assert_eq!(run(), run());
}

#[test]
fn what_belongs_to_no_call_changes_nothing() {
    let mut world = World::talking();
    let session = SessionId(world.id().0);
    let sets = world.sets;
    for event in [
        Media::Ended { session: SessionId(1) },
        Media::Ended { session },
        Media::Played {
            session,
            leg: LegId(0),
            play: PlayId(77),
            item: 0,
            at: world.now,
        },
        Media::Digit {
            session,
            leg: LegId(0),
            digit: '1',
            at: world.now,
        },
        Media::Refused {
            session,
            generation: media::command::Generation(1),
            reason: Refusal::Port,
        },
    ] {
        world.node.handle_media(world.now, 0, event);
    }
    world.settle();
    assert_eq!((world.sets, world.hears("caller")), (sets, "relay(ai)".into()));
    assert_eq!(
        world.request(Request::Cancel(HandoffId(1))).unwrap_err(),
        RequestError::NoHandoff
    );
    assert_eq!(
        world.request(Request::HangUp(CallId(1))).unwrap_err(),
        RequestError::NoCall
    );
    let id = world.id();
    world.request(Request::HangUp(id)).unwrap();
    assert_eq!(
        (world.peers[CALLER].log.last(), world.peers[AI].log.last()),
        (Some(&"bye"), Some(&"bye"))
    );
    world.conserve();
}

#[test]
fn a_caller_changes_its_codec_and_the_others_do_not_hear_of_it() {
    let mut world = World::talking();
    let moved = |world: &mut World, encodings: &[Encoding], port| {
        let mut local = Local::new(address(CALLER).ip(), port, encodings, 77);
        let peer = &mut world.peers[CALLER];
        peer.endpoint
            .reinvite(world.now, peer.dialog.unwrap(), local.offer().into())
            .unwrap();
        world.settle();
    };
    moved(&mut world, &[Encoding::Pcma], 41_000);
    assert_eq!(
        (world.hears("caller"), world.hears("ai")),
        ("transcode(ai)".into(), "transcode(caller)".into())
    );
    assert_eq!(world.leg(0).unwrap().remote.unwrap().port(), 41_000);
    assert_eq!(world.peers[AI].log, ["invite", "acked"]);

    // While the human is briefed: hold audio goes on where it is, with the window and the same plays.
    world.ask(Mode::Warm);
    let offered = world.peers[SALES].request.as_ref().unwrap().sdp().unwrap();
    let offered = String::from_utf8_lossy(&offered).into_owned();
    assert!(
        offered.contains("RTP/AVP 8 0"),
        "the caller's codec is offered first: {offered}"
    );
    world.answer(SALES);
    let before = world.spec.clone();
    moved(&mut world, &[Encoding::Pcmu], 42_000);
    assert_eq!(world.leg(0).unwrap().hears, before.legs[0].hears);
    assert_eq!((world.leg(2), world.spec.watch), (Some(&before.legs[2]), before.watch));
    world.played(2, 0);
    // The human took what the caller spoke when it was invited.
    assert_eq!(world.hears("caller"), "transcode(human)");
    world.hang_up(CALLER);
    world.conserve();
}

#[test]
fn an_offer_that_does_not_fit_is_refused_and_changes_nothing() {
    let mut world = World::new(config());
    let strange = "v=0\r\no=- 1 1 IN IP4 10.0.0.10\r\ns=-\r\nc=IN IP4 10.0.0.10\r\nt=0 0\r\nm=audio 4000 RTP/AVP 3\r\n";
    let peer = &mut world.peers[CALLER];
    let invite = Invite {
        to: format!("sip:line@{}", us()),
        from: "<sip:bob@carrier.example>".to_owned(),
        next_hop: Some(us()),
        headers: Vec::new(),
        offer: Some(strange.into()),
        ..Invite::default()
    };
    peer.endpoint.invite(world.now, invite);
    world.settle();
    assert_eq!(world.peers[CALLER].log, ["488"]);
    world.conserve();

    world.peers[CALLER].log.clear();
    world.talk();
    let before = world.spec.clone();
    let peer = &mut world.peers[CALLER];
    peer.endpoint
        .reinvite(world.now, peer.dialog.unwrap(), strange.into())
        .unwrap();
    world.settle();
    assert_eq!(world.peers[CALLER].log.last(), Some(&"reinvite refused"));
    assert_eq!(world.spec, before);
    world.hang_up(AI);
    assert_eq!(world.peers[CALLER].log.last(), Some(&"bye"));
    world.conserve();
}

#[test]
fn a_call_without_an_offer_is_offered_ours_and_ended_where_no_answer_comes() {
    let mut world = World::new(config());
    let peer = &mut world.peers[CALLER];
    let invite = Invite {
        to: format!("sip:line@{}", us()),
        from: "<sip:bob@carrier.example>".to_owned(),
        next_hop: Some(us()),
        headers: Vec::new(),
        offer: None,
        ..Invite::default()
    };
    peer.dialog = Some(peer.endpoint.invite(world.now, invite));
    world.settle();
    world.answer(AI);
    // The peer's endpoint acknowledges without an answer.
    assert_eq!(world.peers[CALLER].log, ["answered", "bye"]);
    assert_eq!(world.peers[AI].log.last(), Some(&"bye"));
    world.conserve();
}

#[test]
fn a_node_that_drains_takes_no_new_call_and_ends_none() {
    let mut world = World::talking();
    world.node.drain();
    let first = world.peers[CALLER].dialog;
    world.call(CALLER);
    assert_eq!(world.peers[CALLER].log.last(), Some(&"503"));
    assert_eq!(world.hears("caller"), "relay(ai)");
    world.peers[CALLER].dialog = first;
    world.hang_up(CALLER);
    world.conserve();
}

#[test]
fn the_human_s_phone_is_gone() {
    let mut world = World::talking();
    let id = world.id();
    let wish = HandoffRequest {
        mode: None,
        target: None,
        reason: String::new(),
        context: None,
        by_ai: false,
    };
    world
        .node
        .handle_request(world.now, Request::Handoff(id, wish))
        .unwrap();
    // Before anything comes back: the INVITEs bounce.
    world.node.handle_unreachable(world.now, address(SALES));
    world.node.handle_unreachable(world.now, address(SUPPORT));
    world.settle();
    let failed = world
        .notices
        .iter()
        .filter(|what| name(what) == "target_failed")
        .count();
    assert_eq!(failed, 2, "both are tried");
    assert_eq!(
        world.closed(),
        Some((End::Failed, Outcome::ReturnedToAi, Some(Reason::Unreachable)))
    );
    world.hang_up(CALLER);
    world.peers[SALES].endpoint = Endpoint::new(endpoint(address(SALES)));
    world.peers[SUPPORT].endpoint = Endpoint::new(endpoint(address(SUPPORT)));
    world.conserve();
}

#[test]
fn an_answer_that_crosses_our_cancel_is_ended_and_the_next_target_rings() {
    let mut world = World::talking();
    world.ask(Mode::Warm);
    world.ring(SALES);
    world.now += Duration::from_secs(20);
    world.node.handle_timeout(world.now);
    // The CANCEL is on its way; the human answers.
    world.answer(SALES);
    assert_eq!(world.peers[SALES].log.last(), Some(&"bye"));
    assert_eq!(world.peers[SUPPORT].log, ["invite"]);
    assert!(world.hears("caller").starts_with("play("));
    world.answer(SUPPORT);
    world.played(3, 0);
    assert_eq!(world.hears("caller"), "relay(human)");
    world.hang_up(CALLER);
    world.conserve();
}

#[test]
fn a_human_who_hangs_up_before_the_join_is_in_force_does_not_take_the_ai_along() {
    let mut world = World::talking();
    world.ask(Mode::Warm);
    world.answer(SALES);
    world.answers = false;
    world.played(2, 0);
    let join = world.last.clone().unwrap();
    world.hang_up(SALES);
    // Too late: the caller's row has moved on.
    world.answer_media(join);
    world.settle();
    assert!(!world.story().contains(&"joined"));
    assert!(!world.peers[AI].log.contains(&"bye"));
    world.answers = true;
    let hold = world.last.clone().unwrap();
    world.answer_media(hold);
    world.settle();
    assert_eq!(
        (world.hears("caller"), world.leg(2)),
        ("play(hold)".into(), None),
        "no second announcement"
    );
    world.reject(SUPPORT, 486);
    assert_eq!(world.hears("ai"), "relay(caller)");
    world.hang_up(CALLER);
    world.conserve();
}

#[test]
fn an_ai_that_hangs_up_during_the_join_is_not_missed() {
    let mut world = World::talking();
    world.ask(Mode::Cold);
    world.answers = false;
    world.answer(SALES);
    let join = world.last.clone().unwrap();
    world.hang_up(AI);
    world.answers = true;
    world.answer_media(join);
    world.settle();
    assert!(world.story().contains(&"joined"));
    assert_eq!((world.hears("caller"), world.leg(1)), ("relay(human)".into(), None));
    world.hang_up(CALLER);
    assert_eq!(world.closed(), Some((End::Completed, Outcome::Joined, None)));
    world.conserve();
}

#[test]
fn what_the_data_plane_refuses_fails_in_the_caller_s_favour() {
    // No session: the caller is told so before anybody answers.
    let mut world = World::new(config());
    world.answers = false;
    world.call(CALLER);
    let refuse = |world: &mut World, reason| {
        let Some(Command::Set {
            session, generation, ..
        }) = world.last.clone()
        else {
            panic!("no set")
        };
        world.node.handle_media(
            world.now,
            0,
            Media::Refused {
                session,
                generation,
                reason,
            },
        );
        world.answers = true;
        world.settle();
    };
    refuse(&mut world, Refusal::NoSession);
    assert_eq!(world.peers[CALLER].log, ["503"]);
    assert_eq!(world.peers[AI].log, ["invite", "cancelled"]);
    world.conserve();

    // No briefing: the human is let go, the caller goes back.
    let mut world = World::talking();
    world.ask(Mode::Warm);
    world.answers = false;
    world.answer(SALES);
    refuse(&mut world, Refusal::UnknownPrompt);
    assert_eq!(world.peers[SALES].log.last(), Some(&"bye"));
    assert_eq!(
        (world.hears("caller"), world.hears("ai")),
        ("play(failed)".into(), "relay(caller)".into())
    );
    assert_eq!(
        world.closed(),
        Some((End::Failed, Outcome::ReturnedToAi, Some(Reason::Error)))
    );
    world.hang_up(CALLER);
    world.conserve();
}
