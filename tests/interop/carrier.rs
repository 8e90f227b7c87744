//! Cold transfer by REFER to the caller's carrier; where that does not succeed, Baton bridges by itself, and the caller
//! hears the human all the same.

use sim::Sound::{self, Ai, Caller};

use crate::sipp::Transport;
use crate::world::{Plan, World};

/// A trunk that takes REFER.
fn plan() -> Plan {
    Plan {
        trunk: "refer = true",
        playbook: "refer_s = 2",
        ..Plan::default()
    }
}

/// The carrier has the REFER; the handoff's id.
fn referred(plan: Plan, scenario: &str, values: &[(&'static str, &str)]) -> (World, String) {
    let mut world = World::start(plan);
    world.call_with(scenario, values);
    let handoff = world.hand_off("cold");
    let refer_to = world.caller().sipp.until("referred").join(" ");
    let human = world.human().sipp.at;
    assert!(refer_to.contains(&format!("sip:support@{human}")), "{refer_to}");
    (world, handoff)
}

/// The carrier connects the caller with the human: both legs of ours end, and the human is not invited by us.
fn transferred(mut world: World, handoff: &str) {
    assert_eq!(world.outcome(handoff)["result"], "transferred");
    world.ai().sipp.until("bye");
    assert_eq!(world.human().sipp.facts(), [""; 0]);
    world.assert_lines();
    world.end(&["caller", "ai"]);
}

/// Baton reaches the same human itself; the two hear each other.
fn bridged(mut world: World, handoff: &str, reason: &str) {
    world.human().sipp.until("invited");
    world.human().sipp.tell("INFO");
    world.human().is_up();
    world.caller().party.hears(Sound::Human(0));
    world.human().party.hears(Caller);
    let record = world.outcome(handoff);
    assert_eq!(record["result"], "joined");
    let failed = record["failed_targets"].as_array().expect("a list");
    assert_eq!(failed.len(), 1, "{record}");
    assert_eq!(
        (&failed[0]["target"], &failed[0]["reason"]),
        (&"support".into(), &reason.into())
    );
    world.ai().sipp.until("bye");
    world.caller().sipp.tell("INFO");
    world.human().sipp.until("bye");
    let story = world.caller().party.story();
    assert_eq!((story[0], story[story.len() - 1]), (Ai, Sound::Human(0)), "{story:?}");
    assert_eq!(world.human().party.story(), [Caller]);
    world.assert_lines();
    world.end(&["caller", "ai", "human"]);
}

fn accepts(transport: Transport) {
    let plan = Plan { transport, ..plan() };
    let (mut world, handoff) = referred(plan, "calls_then_is_referred", &[("fragment", "200 OK")]);
    world.caller().sipp.until("told");
    world.caller().sipp.tell("INFO");
    world.caller().sipp.until("bye");
    transferred(world, &handoff);
}

#[test]
fn a_carrier_that_takes_the_refer_ends_the_call_with_its_last_notify() {
    accepts(Transport::Udp);
}

#[test]
fn a_carrier_that_takes_the_refer_over_tcp_ends_the_call_with_its_last_notify() {
    accepts(Transport::Tcp);
}

#[test]
fn a_carrier_that_hangs_up_before_its_last_notify_has_transferred() {
    let (world, handoff) = referred(plan(), "calls_then_is_referred_and_leaves", &[]);
    transferred(world, &handoff);
}

#[test]
fn a_carrier_that_reaches_nobody_is_followed_by_a_bridge() {
    let (mut world, handoff) = referred(plan(), "calls_then_is_referred", &[("fragment", "486 Busy Here")]);
    world.caller().sipp.until("told");
    world.caller().sipp.tell("INFO");
    bridged(world, &handoff, "refer_refused");
}

fn refuses(status: &str, transport: Transport) {
    let plan = Plan { transport, ..plan() };
    let (world, handoff) = referred(plan, "calls_then_refuses_refer", &[("status", status)]);
    bridged(world, &handoff, "refer_refused");
}

#[test]
fn a_carrier_that_forbids_the_refer_is_followed_by_a_bridge() {
    refuses("403 Forbidden", Transport::Udp);
}

#[test]
fn a_carrier_that_knows_no_refer_is_followed_by_a_bridge() {
    refuses("405 Method Not Allowed", Transport::Udp);
}

#[test]
fn a_carrier_that_declines_the_refer_over_tcp_is_followed_by_a_bridge() {
    refuses("603 Decline", Transport::Tcp);
}

#[test]
fn a_carrier_that_does_not_answer_the_refer_is_followed_by_a_bridge() {
    let plan = Plan {
        // Timer F is 64 times T1 (RFC 3261 §17.1.2.2).
        t1_ms: 30,
        ..plan()
    };
    let (world, handoff) = referred(plan, "calls_then_ignores_refer", &[]);
    bridged(world, &handoff, "refer_timeout");
}

#[test]
fn a_carrier_that_says_202_and_no_more_is_followed_by_a_bridge() {
    let (world, handoff) = referred(plan(), "calls_then_refuses_refer", &[("status", "202 Accepted")]);
    bridged(world, &handoff, "refer_timeout");
}

const VERIFIED: &str = r#"<verifyauth assign_to="authorized" username="baton" password="secret"/>"#;

/// sipp 3.6.1 looks for Authorization only where it verifies, so what answers a 407 is seen but not verified.
const SEEN: &str = r#"<ereg regexp="username=.baton.*response=" search_in="hdr" header="Proxy-Authorization:" assign_to="authorized"/>"#;

/// The carrier asks who we are.
fn challenged(trunk: &'static str, status: &str, challenge: &str, check: &str) -> (World, String) {
    let values = [("status", status), ("challenge", challenge), ("check", check)];
    referred(Plan { trunk, ..plan() }, "calls_then_challenges_refer", &values)
}

const KNOWN: &str = "refer = true\n[trunks.auth]\nusername = \"baton\"\npassword = \"secret\"\n";
const WRONG: &str = "refer = true\n[trunks.auth]\nusername = \"baton\"\npassword = \"wrong\"\n";

#[test]
fn a_carrier_that_challenges_the_refer_is_answered() {
    for (status, challenge, check) in [
        (
            "401 Unauthorized",
            r#"WWW-Authenticate: Digest realm="carrier", nonce="4711", algorithm=MD5"#,
            VERIFIED,
        ),
        (
            "407 Proxy Authentication Required",
            r#"Proxy-Authenticate: Digest realm="carrier", nonce="0815", algorithm=MD5, qop="auth""#,
            SEEN,
        ),
    ] {
        let (mut world, handoff) = challenged(KNOWN, status, challenge, check);
        world.caller().sipp.until("bye");
        transferred(world, &handoff);
    }
}

#[test]
fn a_carrier_to_whom_our_password_is_wrong_is_followed_by_a_bridge() {
    let challenge = r#"WWW-Authenticate: Digest realm="carrier", nonce="4711", algorithm=MD5"#;
    let (world, handoff) = challenged(WRONG, "401 Unauthorized", challenge, VERIFIED);
    bridged(world, &handoff, "refer_refused");
}
