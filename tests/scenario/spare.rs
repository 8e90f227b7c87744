//! Re-INVITEs that spare a transcode. Judged by what everybody hears: every packet, on lines without a break.

use std::time::Duration;

use calls::notice::{Party, Step, What};
use calls::request::{Request, Response};
use playbook::{Accept, Mode};
use sim::net::Profile;
use sim::scenario::{Also, Asked, Behaviour, When};
use sim::ua::{Answering, State};
use sim::world::Who;
use sim::{Scenario, Sound, World};
use sip::sdp::Encoding::{self, Pcma, Pcmu};

const HUMAN: Who = Who::Human(0);
const WHY: &str = "re-INVITEd to spare a transcode";

fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

/// A warm handoff; what caller and human speak, best first. The human answers with all that it speaks.
fn scenario(seed: u64, caller: &[Encoding], human: &[Encoding]) -> Scenario {
    Scenario {
        encodings: [caller.to_vec(), vec![Pcmu], human.to_vec()],
        list_all: true,
        ..Scenario::warm(seed)
    }
}

/// The codec of a party and why it has it, as the record says in the end.
fn record(world: &World, party: Party) -> (&'static str, &'static str) {
    let codecs = world.notices.iter().rev().find_map(|notice| match &notice.what {
        What::Spoken { codecs, .. } | What::Handoff(_, Step::Joined { codecs }) => Some(codecs),
        _ => None,
    });
    let spoken = codecs.expect("joined").iter().find(|spoken| spoken.party == party);
    spoken.map(|spoken| (spoken.codec, spoken.why)).expect("it is there")
}

/// What serves a party's row now, as the API shows it.
fn path(world: &mut World, party: &str) -> String {
    let call = world.call.expect("a call");
    let Some(Response::Call(view)) = world.request(Request::Call(call)) else {
        panic!("no call");
    };
    let leg = view.legs.into_iter().find(|leg| leg.party == party);
    leg.expect("it is there").hears
}

/// Every 20 ms from its first packet on the listener was sent one of this voice, on a line without a break.
fn assert_whole(world: &World, listener: Who, voice: Sound) {
    let all = world.sent.iter();
    let of: Vec<_> = all.filter(|s| s.to == listener && s.sound == Some(voice)).collect();
    let (first, last) = (of.first().expect("it is heard"), of.last().expect("it is heard"));
    let expected = (last.at - first.at).as_millis() / 20 + 1;
    assert_eq!(of.len() as u128, expected, "{listener:?} hears all of {voice:?}");
    let line = world.line(listener, Duration::ZERO, Duration::from_secs(3600));
    assert_eq!(
        (
            line.ssrcs,
            line.sequence_breaks,
            line.timestamp_breaks,
            line.timestamp_jumps
        ),
        (1, 0, 0, 0),
        "{listener:?}"
    );
}

/// The changed leg and its time: of each, once in the briefing and once after the join.
#[test]
fn a_leg_that_is_asked_changes_and_both_hear_every_packet() {
    let slow = Profile {
        delay: ms(150),
        ..Profile::PERFECT
    };
    for (seed, caller, human, changed) in [
        (1300, &[Pcmu][..], &[Pcma, Pcmu][..], Party::Human),
        (1310, &[Pcma], &[Pcmu, Pcma], Party::Human),
        (1320, &[Pcmu, Pcma], &[Pcma], Party::Caller),
        (1330, &[Pcma, Pcmu], &[Pcmu], Party::Caller),
    ] {
        // It answers in a moment; or the human takes the call first, and the answer comes long after packets in the other codec.
        for (n, (accept, sip)) in [(Accept::Key, Profile::PERFECT), (Accept::Api, slow)]
            .into_iter()
            .enumerate()
        {
            let mut world = World::new(Scenario {
                accept,
                humans: vec![Behaviour {
                    key: Behaviour::GOOD.key.filter(|_| accept == Accept::Key),
                    ..Behaviour::GOOD
                }],
                net: [sip, Profile::PERFECT],
                also: match accept {
                    Accept::Api => vec![(When::After("answered", ms(20)), Also::Accept)],
                    _ => Vec::new(),
                },
                ..scenario(seed + n as u64, caller, human)
            });
            world.run_until(ms(15_000));
            for (party, path_is) in [("caller", "relay(human)"), ("human", "relay(caller)")] {
                assert_eq!(path(&mut world, party), path_is, "{seed} {n}");
            }
            world.run_to_the_end();
            world.assert_no_faults();
            assert_eq!(record(&world, changed).1, WHY, "{seed} {n}");
            let (caller, human) = (record(&world, Party::Caller).0, record(&world, Party::Human).0);
            assert_eq!(caller, human, "{seed} {n}");
            assert_whole(&world, Who::Caller, Sound::Human(0));
            assert_whole(&world, HUMAN, Sound::Caller);
        }
    }
}

/// The human changes in the moment of its 200, which is lost until it is repeated: nothing of what it says meanwhile is.
#[test]
fn an_answer_that_is_late_by_seconds_costs_no_packet() {
    let late = Profile {
        delay: ms(1_500),
        ..Profile::PERFECT
    };
    let world = World::run(Scenario {
        accept: Accept::Api,
        mode: Some(Mode::Cold),
        net: [late, Profile::PERFECT],
        humans: vec![Behaviour {
            key: None,
            ..Behaviour::GOOD
        }],
        handoff_at: Some(ms(12_000)),
        ring: ms(20_000),
        end: ms(40_000),
        ..scenario(1340, &[Pcmu], &[Pcma, Pcmu])
    });
    world.assert_no_faults();
    let changed = world
        .notices
        .iter()
        .find(|notice| matches!(notice.what, What::Spoken { .. }));
    let joined = world.step_at("joined").expect("joined");
    assert!(changed.expect("it changed").at > joined + ms(1_000));
    assert_eq!(record(&world, Party::Human), ("PCMU", WHY));
    assert_whole(&world, Who::Caller, Sound::Human(0));
    assert_whole(&world, HUMAN, Sound::Caller);
}

/// Who does not want to is heard through a transcode, and the call lives on, also where there is never an answer.
#[test]
fn who_refuses_or_never_answers_is_heard_all_the_same() {
    for (n, asked) in [Asked::Refuses(488), Asked::Refuses(408), Asked::Ponders]
        .into_iter()
        .enumerate()
    {
        for (seed, caller, human) in [(1350, &[Pcmu][..], &[Pcma, Pcmu][..]), (1360, &[Pcmu, Pcma], &[Pcma])] {
            let mut world = World::new(Scenario {
                asked,
                end: ms(60_000),
                ..scenario(seed + n as u64, caller, human)
            });
            world.run_until(ms(55_000));
            assert_eq!(path(&mut world, "caller"), "transcode(human)", "{asked:?}");
            for who in [Who::Caller, HUMAN] {
                assert_eq!(world.ua(who).state, State::Up, "{asked:?}");
            }
            world.run_to_the_end();
            world.assert_no_faults();
            assert_eq!(
                (record(&world, Party::Caller).0, record(&world, Party::Human).0),
                ("PCMU", "PCMA")
            );
            assert_whole(&world, Who::Caller, Sound::Human(0));
            assert_whole(&world, HUMAN, Sound::Caller);
        }
    }
}

/// A caller is not disturbed for a human who does not come.
#[test]
fn a_handoff_that_fails_has_asked_the_caller_for_nothing() {
    let declines = Behaviour {
        key: Some((ms(2_000), '2')),
        answering: Answering::After(ms(1_000)),
        hang_up: None,
    };
    let world = World::run(Scenario {
        humans: vec![declines],
        ..scenario(1370, &[Pcmu, Pcma], &[Pcma])
    });
    world.assert_no_faults();
    let invites = |wire: &&sim::world::Wire| wire.ours && wire.party == Who::Caller && wire.is("INVITE");
    assert_eq!(world.wire.iter().filter(invites).count(), 0);
    assert_eq!(world.steps().last(), Some(&"closed"));
    assert!(world.step_at("returned").is_some());
}

/// The calls that chance makes have it, on either leg, and refusals too.
#[test]
fn calls_that_are_drawn_have_re_invites_of_each_kind() {
    let (mut human, mut caller, mut refused) = (0, 0, 0);
    for seed in 0..700 {
        let scenario = sim::draw::draw(seed);
        let [of_caller, _, of_human] = &scenario.encodings;
        // Only those that can come to it are played.
        let may = scenario.list_all && of_human.len() > 1 || of_caller.len() > 1 && of_human.len() == 1;
        if !may {
            continue;
        }
        let asked = scenario.asked;
        let world = World::run(scenario);
        let alone = |wire: &&sim::world::Wire| wire.ours && wire.is("INVITE") && wire.number > 1;
        let again: Vec<Who> = world.wire.iter().filter(alone).map(|wire| wire.party).collect();
        let spoken = world.notices.iter().filter_map(|notice| match &notice.what {
            What::Spoken { codecs, .. } | What::Handoff(_, Step::Joined { codecs }) => Some(codecs),
            _ => None,
        });
        let mut changed = spoken
            .flatten()
            .filter(|spoken| spoken.why == WHY)
            .map(|spoken| spoken.party);
        match changed.next() {
            Some(Party::Human) => human += 1,
            Some(Party::Caller) => caller += 1,
            _ => refused += usize::from(asked != Asked::Changes && !again.is_empty()),
        }
    }
    assert!(human > 2 && caller > 2 && refused > 0, "{human} {caller} {refused}");
}
