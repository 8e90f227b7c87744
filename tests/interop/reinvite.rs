//! Re-INVITEs from a sipp: hold and its end, another codec, another address, no offer.

use std::time::{Duration, Instant};

use sim::Sound::{self, Ai, Caller};

use crate::PATIENCE;
use crate::party::{Law, Party};
use crate::world::{Human, Plan, World};

const ANY: &str = "c=IN IP4 [audio_ip]\nt=0 0\nm=audio [audio_port] RTP/AVP 0 101\n\
                   a=rtpmap:101 telephone-event/8000\na=sendrecv";
const SENDONLY: &str = "c=IN IP4 [audio_ip]\nt=0 0\nm=audio [audio_port] RTP/AVP 0 101\n\
                        a=rtpmap:101 telephone-event/8000\na=sendonly";
const INACTIVE: &str = "c=IN IP4 [audio_ip]\nt=0 0\nm=audio [audio_port] RTP/AVP 0 101\n\
                        a=rtpmap:101 telephone-event/8000\na=inactive";
/// As before there were directions (RFC 2543 §B.5).
const NOWHERE: &str = "c=IN IP4 0.0.0.0\nt=0 0\nm=audio [audio_port] RTP/AVP 0 101\n\
                       a=rtpmap:101 telephone-event/8000\na=sendrecv";
const PCMA: &str = "c=IN IP4 [audio_ip]\nt=0 0\nm=audio [audio_port] RTP/AVP 8 101\n\
                    a=rtpmap:101 telephone-event/8000\na=sendrecv";

/// Waits until no packet has come for 300 ms.
fn is_quiet(party: &Party) {
    let end = Instant::now() + PATIENCE;
    let (mut count, mut since) = (party.now(), Instant::now());
    while since.elapsed() < Duration::from_millis(300) {
        assert!(Instant::now() < end, "it goes on");
        std::thread::sleep(Duration::from_millis(20));
        if party.now() != count {
            (count, since) = (party.now(), Instant::now());
        }
    }
}

/// The caller hangs up; each of the two has heard the other, and nobody else.
fn ends(mut world: World) {
    world.caller().sipp.tell("INFO");
    world.ai().sipp.until("bye");
    assert_eq!(world.caller().party.story(), [Ai]);
    assert_eq!(world.ai().party.story(), [Caller]);
    world.assert_lines();
    world.end(&["caller", "ai"]);
}

/// The caller holds by the one offer, and takes the call back by the next. Its music is not for the AI,
/// which would answer it.
fn hold(offer: &str, answered: &str) {
    let mut world = World::start(Plan::default());
    world.call_with("calls_then_offers_twice", &[("first", offer), ("second", ANY)]);
    let since = Instant::now();
    assert_eq!(world.caller().offers(), answered);
    is_quiet(&world.caller().party);
    world.ai().party.hears(Sound::Comfort);
    assert_eq!(world.caller().offers(), "sendrecv");
    world.caller().party.hears(Ai);
    world.caller().party.excuse_since(since);
    world.ai().party.hears(Caller);
    ends(world);
}

#[test]
fn a_caller_who_holds_with_music_is_sent_nothing_and_comes_back() {
    hold(SENDONLY, "recvonly");
}

#[test]
fn a_caller_who_holds_without_audio_is_sent_nothing_and_comes_back() {
    hold(INACTIVE, "inactive");
}

#[test]
fn a_caller_who_holds_by_the_address_of_nowhere_is_sent_nothing_and_comes_back() {
    hold(NOWHERE, "recvonly");
}

#[test]
fn a_caller_who_offers_only_pcma_is_answered_with_it_and_heard_in_it() {
    let mut world = World::start(Plan::default());
    world.call_with("calls_then_offers", &[("first", PCMA)]);
    assert_eq!(world.caller().party.payload_type(), 0);
    assert_eq!(world.caller().offers(), "sendrecv");
    world.caller().party.hears(Ai);
    world.ai().party.hears(Caller);
    assert_eq!(
        (world.caller().party.payload_type(), world.ai().party.payload_type()),
        (8, 0)
    );
    ends(world);
}

#[test]
fn a_caller_who_moves_is_heard_and_hears_at_its_new_address_on_the_same_line() {
    let mut world = World::start(Plan::default());
    let moved = world.another_party(Caller);
    let offer = ANY.replace("[audio_port]", &moved.at.port().to_string());
    world.call_with("calls_then_offers", &[("first", &offer)]);
    world.caller().sipp.tell("INFO");
    let words = world.caller().sipp.until("reinvited");
    let old = &world.caller().party;
    old.fall_silent();
    let to = format!("{}:{}", words[0], words[1]).parse().expect("an address");
    moved.speak_to(to, Law::Mu);
    moved.hears(Ai);
    world.ai().party.hears(Caller);
    is_quiet(&world.caller().party);
    assert_eq!(moved.ssrc(), world.caller().party.ssrc());
    let stall = world.longest_stall();
    moved.assert_one_line(stall);
    ends(world);
}

#[test]
fn a_re_invite_without_an_offer_changes_nothing_that_is_heard() {
    let mut world = World::start(Plan::default());
    world.call_with("calls_then_asks_for_an_offer", &[]);
    world.caller().sipp.tell("INFO");
    let words = world.caller().sipp.until("reinvited");
    world.caller().speaks_as(&words);
    world.caller().party.hears(Ai);
    world.ai().party.hears(Caller);
    ends(world);
}

#[test]
fn a_human_who_holds_the_caller_after_the_join_and_comes_back_is_heard_again() {
    let mut world = World::start(Plan {
        human: Human::Sipp("answers_then_offers_twice"),
        human_values: &[("first", SENDONLY), ("second", ANY)],
        ..Plan::default()
    });
    world.call();
    let handoff = world.hand_off("cold");
    world.human().sipp.until("invited");
    world.human().is_up();
    world.caller().party.hears(Sound::Human(0));
    assert_eq!(world.outcome(&handoff)["result"], "joined");
    let since = Instant::now();
    assert_eq!(world.human().offers(), "recvonly");
    is_quiet(&world.human().party);
    // The human's music on hold passes to the caller.
    world.caller().party.hears(Sound::Human(0));
    assert_eq!(world.human().offers(), "sendrecv");
    world.human().party.hears(Caller);
    world.human().party.excuse_since(since);
    world.caller().party.hears(Sound::Human(0));
    world.human().sipp.tell("INFO");
    world.caller().sipp.until("bye");
    assert_eq!(world.human().party.story(), [Caller]);
    world.assert_lines();
    world.end(&["caller", "ai", "human"]);
}
