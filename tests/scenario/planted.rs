//! Each promise that is checked after every random call bites: the same call with one fault planted in what was recorded
//! breaks exactly that promise.

use std::time::{Duration, Instant};

use calls::config::Machine;
use calls::notice::{Notice, Outcome, Step, Trigger, What};
use playbook::decisions::CALLBACK;
use playbook::routing::Presence;
use sim::scenario::{Also, Behaviour, Carriages, Line, Offer, Trust, When};
use sim::ua::{Answering, Referred, State};
use sim::world::{Who, Wire};
use sim::{Scenario, Sound, World};

/// A warm handoff that went well.
fn good() -> World {
    let world = World::run(Scenario::warm(1));
    world.assert_no_faults();
    world
}

/// One of a busy human.
fn busy() -> World {
    let world = World::run(Scenario::failing(2, Behaviour::not(Answering::Refuse(486))));
    world.assert_no_faults();
    world
}

#[track_caller]
fn bites(world: &World, words: &str) {
    let faults = world.faults();
    assert!(
        faults.iter().any(|fault| fault.contains(words)),
        "{words} is not in {faults:?}"
    );
}

fn at(world: &World, ms: u64) -> Instant {
    world.start + Duration::from_millis(ms)
}

/// From now on this party was sent this.
fn replace(world: &mut World, who: Who, from: Instant, to: Instant, sound: Sound) {
    let mut count = 0;
    for sent in world
        .sent
        .iter_mut()
        .filter(|s| s.to == who && (from..to).contains(&s.at))
    {
        sent.sound = Some(sound);
        count += 1;
    }
    assert!(count > 0, "nothing was sent to {who:?} then");
}

/// One packet is enough, and what is right in one scene is wrong in another.
#[test]
fn a_sound_that_the_row_does_not_have() {
    for (who, ms, sound) in [
        (Who::Caller, 2000, Sound::Human(0)),
        (Who::Caller, 2000, Sound::Hold),
        (Who::Caller, 6000, Sound::Briefing),
        (Who::Caller, 5500, Sound::Ai),
        (Who::Caller, 5500, Sound::Human(0)),
        (Who::Caller, 8000, Sound::Ai),
        (Who::Caller, 8000, Sound::Caller),
        (Who::Caller, 8000, Sound::Goodbye),
        (Who::Ai, 5000, Sound::Caller),
        (Who::Ai, 5000, Sound::Hold),
        (Who::Ai, 2000, Sound::Human(0)),
        (Who::Human(0), 5000, Sound::Caller),
        (Who::Human(0), 8000, Sound::Briefing),
        (Who::Human(0), 8000, Sound::Ai),
    ] {
        let mut world = good();
        let from = at(&world, ms);
        replace(&mut world, who, from, from + Duration::from_millis(25), sound);
        bites(&world, &format!("{who:?} heard {sound:?} at "));
    }
}

#[test]
fn silence() {
    for (who, ms) in [
        (Who::Caller, 1000),
        (Who::Caller, 4200),
        (Who::Caller, 9000),
        (Who::Ai, 1000),
        (Who::Human(0), 9000),
    ] {
        let mut world = good();
        let from = at(&world, ms);
        replace(
            &mut world,
            who,
            from,
            from + Duration::from_millis(1100),
            Sound::Comfort,
        );
        bites(&world, &format!("{who:?} heard nothing from "));
    }
}

/// A mute party excuses that it is not heard, not that it does not hear.
#[test]
fn a_mute_party_excuses_its_own_listener_alone() {
    let mute = || {
        let world = World::run(Scenario {
            also: vec![(When::At(Duration::from_secs(10)), Also::Mute(Who::Human(0)))],
            ..Scenario::warm(3)
        });
        world.assert_no_faults();
        world
    };
    let mut world = mute();
    let (from, to) = (at(&world, 12_000), at(&world, 13_200));
    replace(&mut world, Who::Human(0), from, to, Sound::Comfort);
    bites(&world, "Human(0) heard nothing");

    let mut world = mute();
    let (from, to) = (at(&world, 8_000), at(&world, 9_200));
    replace(&mut world, Who::Caller, from, to, Sound::Comfort);
    bites(&world, "Caller heard nothing");
}

#[test]
fn a_call_that_is_not_over() {
    let mut world = World::new(Scenario::warm(4));
    world.run_until(Duration::from_secs(5));
    for words in ["the node still holds", "a core still holds", "Caller is still Up"] {
        bites(&world, words);
    }

    let mut world = World::new(Scenario {
        carriages: Carriages::TCP,
        ..Scenario::warm(4)
    });
    // Every dialog is over, and the connections are still there.
    world.run_until(Duration::from_secs(100));
    for words in [
        "the node still has 3 connections",
        "Human(0) still has 1 connections",
        "6 ends of connections are open",
        "the node still waits for a timer",
    ] {
        bites(&world, words);
    }
}

#[test]
fn a_phone_that_rings_on() {
    let mut world = good();
    world.humans[0].state = State::Early;
    bites(&world, "Human(0) is still Early");

    let hangs_up = || {
        let world = World::run(Scenario {
            caller_hangs_up: Some(Duration::from_millis(3500)),
            ..Scenario::warm(5)
        });
        world.assert_no_faults();
        world
    };
    let mut world = hangs_up();
    world.wire.retain(|wire| !wire.is("CANCEL"));
    bites(&world, "Human(0) is not cancelled");

    let mut world = hangs_up();
    for wire in world.wire.iter_mut().filter(|wire| wire.is("CANCEL")) {
        wire.at += Duration::from_millis(2);
    }
    bites(&world, "Human(0) is not cancelled");
}

#[test]
fn a_caller_who_is_not_told() {
    let mut world = busy();
    let reason = |sound: Option<Sound>| sound == Some(Sound::Busy);
    world
        .sent
        .iter_mut()
        .filter(|s| reason(s.sound))
        .for_each(|s| s.sound = Some(Sound::Ai));
    bites(&world, "the caller was not told Busy");

    let mut world = busy();
    let failed = |what: &What| matches!(what, What::Handoff(_, Step::TargetFailed { .. } | Step::Closed { .. }));
    for notice in world.notices.iter_mut().filter(|notice| failed(&notice.what)) {
        notice.at += Duration::from_millis(1100);
    }
    bites(&world, "and nobody was told");
}

#[test]
fn an_ai_that_does_not_hear_the_caller_given_back() {
    let mut world = busy();
    let back = world.step_at("returned").expect("given back");
    world
        .sent
        .retain(|s| s.to != Who::Ai || s.at < back || s.at > back + Duration::from_millis(100));
    bites(&world, "Ai does not hear the caller given back");
}

#[test]
fn a_line_that_breaks() {
    let mut world = good();
    world
        .sent
        .iter_mut()
        .rfind(|s| s.to == Who::Caller)
        .expect("sent")
        .packet
        .ssrc ^= 1;
    bites(&world, "Caller got 2 SSRCs");

    let mut world = good();
    let place = world.sent.iter().rposition(|s| s.to == Who::Human(0)).expect("sent");
    let before = world.sent[..place]
        .iter()
        .rposition(|s| s.to == Who::Human(0))
        .expect("sent");
    world.sent.remove(before);
    bites(&world, "the line to Human(0) broke");
}

#[test]
fn a_story_that_is_not_whole() {
    let closed = |notice: &Notice| matches!(notice.what, What::Handoff(_, Step::Closed { .. }));
    let mut world = good();
    world.notices.retain(|notice| !closed(notice));
    bites(&world, "requested 1 times, closed 0 times");

    let mut world = good();
    let again = world
        .notices
        .iter()
        .find(|notice| closed(notice))
        .cloned()
        .expect("closed");
    world.notices.push(again);
    bites(&world, "requested 1 times, closed 2 times");

    let mut world = good();
    let last = world.notices.iter().position(closed).expect("closed");
    let end = world.notices.remove(last);
    world.notices.insert(last - 1, end);
    bites(&world, "the last step is");
}

#[test]
fn a_joined_handoff_without_a_voice() {
    let mut world = good();
    world
        .sent
        .retain(|s| s.to != Who::Human(0) || s.sound != Some(Sound::Caller));
    bites(&world, "but Human(0) did not hear Caller");

    let mut world = good();
    let joined = world.step_at("joined").expect("joined");
    let (from, to) = (
        joined - Duration::from_millis(100),
        joined + Duration::from_millis(1100),
    );
    replace(&mut world, Who::Caller, from, to, Sound::Comfort);
    bites(&world, "but Caller did not hear Human(0)");
}

#[test]
fn a_datagram_to_nobody() {
    let mut world = good();
    world.astray.push(sim::net::Datagram {
        from: world.caller.sip,
        to: "203.0.113.9:5060".parse().expect("an address"),
        bytes: Vec::new(),
    });
    bites(&world, "sent to nobody");
}

#[test]
fn a_number_that_is_no_target() {
    let mut world = good();
    let invite = |wire: &&mut Wire| wire.party == Who::Human(0) && wire.is("INVITE");
    world.wire.iter_mut().find(invite).expect("invited").uri = "sip:+900123456789@198.51.100.30".into();
    bites(&world, "sip:+900123456789@198.51.100.30 was called");
}

/// A REFER from the AI that was accepted, told of and ended, as it would be on the wire.
fn told_of(world: &mut World, joined: Instant) {
    let bye = world
        .wire
        .iter()
        .position(|wire| wire.party == Who::Ai && wire.is("BYE"))
        .expect("BYE");
    let ours = world.wire[bye].clone();
    let shape = |at, ours, method: &str, number| Wire {
        at,
        ours,
        method: method.into(),
        number,
        ..world.wire[bye].clone()
    };
    let (asked, answered) = (at(world, 2990), joined + Duration::from_millis(3));
    let accepted = Wire {
        status: Some(202),
        ..shape(asked, true, "REFER", 1)
    };
    let notify = Wire {
        reported: Some(200),
        terminated: true,
        ..shape(joined + Duration::from_millis(1), true, "NOTIFY", 7)
    };
    let answer = Wire {
        status: Some(200),
        ..shape(answered, false, "NOTIFY", 7)
    };
    world.wire[bye] = Wire { at: answered, ..ours };
    world.wire.extend([accepted, notify, answer]);
    world.wire.sort_by_key(|wire| wire.at);
}

#[test]
fn a_transferor_who_is_told_wrong() {
    let refer = || {
        let mut world = good();
        let joined = world.step_at("first_human_word").expect("joined");
        told_of(&mut world, joined);
        world.assert_no_faults();
        world
    };
    let mut world = refer();
    let accepted = world.step_at("accepted").expect("accepted");
    world
        .wire
        .iter_mut()
        .filter(|wire| wire.is("NOTIFY"))
        .for_each(|wire| wire.at = accepted);
    bites(&world, "before the caller heard the human");

    let mut world = refer();
    world.wire.retain(|wire| !wire.answers("NOTIFY"));
    bites(&world, "before its last NOTIFY was answered");

    let mut world = refer();
    world.wire.retain(|wire| !wire.is("NOTIFY"));
    bites(&world, "told the end of 0 of its 1 REFERs");
}

/// Offers of Baton and of a party that crossed.
fn crossed(who: Who) -> World {
    let at = When::At(Duration::from_secs(12));
    let offer = Offer::Direction(sip::sdp::Direction::SendRecv);
    let world = World::run(Scenario {
        also: vec![(at, Also::OfferAgain), (at, Also::Reinvite(who, offer))],
        ..Scenario::warm(6)
    });
    world.assert_no_faults();
    assert_eq!(world.crossings(), [who]);
    world
}

/// Baton owns the Call-ID of the human's dialog and not that of the caller's.
#[test]
fn a_wrong_back_off_after_491() {
    // What of the INVITE that follows Baton's own 491 leaves at another time.
    let moved = |who: Who, wait: u64| {
        let mut world = crossed(who);
        let ours = world.glares().into_iter().find(|glare| glare.ours).expect("a glare");
        let again = ours.again.expect("again");
        let wire = |wire: &&mut Wire| wire.ours && wire.is("INVITE") && wire.party == who && wire.at == again;
        world.wire.iter_mut().find(wire).expect("the INVITE").at = ours.at + Duration::from_millis(wait);
        world
    };
    bites(&moved(Who::Human(0), 0), "Baton's re-INVITE that met 491 at 12.0");
    bites(&moved(Who::Human(0), 2099), "came again too soon");
    bites(&moved(Who::Human(0), 4011), "came again too late");
    bites(&moved(Who::Caller, 2011), "came again too late");
    assert_eq!(moved(Who::Human(0), 2100).faults(), Vec::<String>::new());
    assert_eq!(moved(Who::Caller, 0).faults(), Vec::<String>::new());
    assert_eq!(moved(Who::Caller, 2000).faults(), Vec::<String>::new());

    for (ours, words) in [(true, "Baton's re-INVITE"), (false, "its re-INVITE")] {
        let mut world = crossed(Who::Human(0));
        let last = |wire: &Wire| wire.ours != ours && wire.answers("INVITE") && wire.status == Some(200);
        let from = at(&world, 12_000);
        world.wire.retain(|wire| wire.at < from || !last(wire));
        bites(&world, &format!("{words} that met 491 at 12.0"));
        bites(&world, "never got through");
    }
}

#[test]
fn a_carrier_that_is_not_told_who_asks() {
    for status in [401, 407] {
        let mut world = World::run(Scenario {
            refer: true,
            carrier: Referred::Challenges(status),
            trust: Trust::Right,
            ..Scenario::cold(7)
        });
        world.assert_no_faults();
        world.caller.credentials = vec![false];
        world.caller.ended = None;
        bites(&world, "who we are, and was not told");
    }
}

/// A machine that has no room, or has the caller, before a human; whatever is owed to the caller is told.
fn machine(answering: Answering) -> World {
    let machine = Behaviour {
        answering,
        key: None,
        hang_up: Some(Duration::from_secs(4)),
    };
    let slow = Behaviour {
        answering: Answering::After(Duration::from_secs(4)),
        ..Behaviour::GOOD
    };
    let world = World::run(Scenario {
        humans: vec![machine, slow],
        machines: [Some(Machine::Voicemail), None, None],
        discloses: true,
        gates: [Duration::from_secs(1), Duration::ZERO],
        also: vec![(When::After("requested", Duration::ZERO), Also::Summary)],
        ..Scenario::warm(8)
    });
    world.assert_no_faults();
    world
}

#[test]
fn a_machine_that_is_told_to_be_somebody_else() {
    let machine = || machine(Answering::After(Duration::from_millis(50)));
    let told = |step: fn(&mut Step)| {
        let mut world = machine();
        let steps = world.notices.iter_mut().filter_map(|notice| match &mut notice.what {
            What::Handoff(_, step) => Some(step),
            _ => None,
        });
        steps.for_each(step);
        world
    };
    let world = told(|step| {
        if let Step::Machine { codecs, .. } = step {
            *step = Step::Joined { codecs: codecs.clone() };
        }
    });
    bites(&world, "is Some(Voicemail), and was told to be None");
    let world = told(|step| {
        if let Step::Machine { machine, .. } = step {
            *machine = Machine::Callback;
        }
    });
    bites(&world, "and was told to be Some(Callback)");
    let world = told(|step| {
        if let Step::Closed { result, .. } = step {
            *result = Outcome::Joined;
        }
    });
    bites(&world, "was told to have ended as [Joined]");

    let mut world = machine();
    let closed = |notice: &&Notice| matches!(notice.what, What::Handoff(_, Step::Closed { .. }));
    let closed = world.notices.iter().find(closed).expect("closed").clone();
    world.notices.push(closed);
    bites(&world, "was told to have ended as [Voicemail, Voicemail]");

    let mut world = machine();
    for notice in &mut world.notices {
        if let What::CallEnded { by } = &mut notice.what {
            *by = "human".into();
        }
    }
    bites(&world, "the call ended by human, and was with Some(");

    let world = told(|step| {
        if let Step::Requested { trigger, .. } = step {
            let (rule, because) = (CALLBACK.to_owned(), String::new());
            *trigger = Some(Trigger { rule, because });
        }
    });
    bites(&world, "human-0, a machine, was to call back");
}

#[test]
fn a_caller_who_is_not_told_what_it_is_owed() {
    for (sound, words) in [
        (Sound::Disclosure, "was not told what is to be disclosed"),
        (Sound::Announcement, "was not told what it waits for"),
    ] {
        let mut world = machine(Answering::Refuse(480));
        let said = |sent: &&mut sim::world::Sent| sent.to == Who::Caller && sent.sound == Some(sound);
        let said = world.sent.iter_mut().filter(said);
        said.for_each(|sent| sent.sound = Some(Sound::Other));
        bites(&world, words);
    }
    let mut world = machine(Answering::Refuse(480));
    let disclosed = |what: &What| matches!(what, What::Handoff(_, Step::Disclosed));
    world.notices.retain(|notice| !disclosed(&notice.what));
    bites(&world, "and nothing was disclosed");
}

/// Two agents, each at a phone of its own; both answer in the same instant.
fn both_answer() -> World {
    let world = World::run(Scenario {
        line: Some(Line {
            target: 0,
            agents: vec![Presence::Available; 2],
            phones: vec![Behaviour::GOOD],
            at_once: 2,
            max_wait: Duration::from_secs(20),
            wrap_up: Duration::ZERO,
            set_aside: Duration::ZERO,
        }),
        ..Scenario::warm(9)
    });
    world.assert_no_faults();
    world
}

#[test]
fn an_agent_who_was_too_slow_and_is_not_let_go() {
    let other = Who::Human(1);
    let without = |method: &str| {
        let mut world = both_answer();
        let gone = |wire: &Wire| wire.party == other && wire.ours && wire.is(method);
        world.wire.retain(|wire| !gone(wire));
        world
    };
    bites(&without("ACK"), "Human(1) answered too late, and is on the line");
    bites(&without("BYE"), "Human(1) answered too late, and is on the line");

    let mut world = both_answer();
    let bye = |wire: &&mut Wire| wire.party == other && wire.ours && wire.is("BYE");
    world.wire.iter_mut().find(bye).expect("BYE").reason = Some("SIP;cause=487".into());
    bites(&world, "Human(1) has missed a call");

    let mut world = both_answer();
    let gone = |wire: &Wire| wire.party == other && (wire.status == Some(200) || wire.is("CANCEL"));
    world.wire.retain(|wire| !gone(wire));
    bites(&world, "Human(1) is not cancelled, and another answered");

    let mut world = both_answer();
    for notice in &mut world.notices {
        if let What::Handoff(_, Step::Answered { agent }) = &mut notice.what {
            *agent = Some("agent-1".into());
        }
    }
    bites(&world, "Some(0) answered first");

    let mut world = both_answer();
    world.scenario.line.as_mut().expect("a queue").at_once = 1;
    bites(&world, "2 agents are called at");
}
