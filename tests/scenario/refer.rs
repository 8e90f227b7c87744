//! Transfers by REFER: from the AI, from a human, and to the caller's carrier. Judged by what everybody heard.

use std::time::{Duration, Instant};

use calls::notice::{End, Outcome};
use playbook::Mode;
use sim::scenario::{Aim, Also, Behaviour, Trust, When};
use sim::ua::{Afterwards, Answering, Referred, State, Told};
use sim::world::{Who, Wire};
use sim::{Scenario, Sound, World};

const SECOND: Duration = Duration::from_secs(1);

/// The AI sends REFER after three seconds and does this once it is accepted.
fn by_ai(seed: u64, aim: Aim, afterwards: Afterwards) -> Scenario {
    Scenario {
        handoff_at: None,
        also: vec![(When::At(3 * SECOND), Also::Refer(Who::Ai, aim, afterwards))],
        ..Scenario::warm(seed)
    }
}

fn notified(told: &[Told]) -> Vec<(u16, bool)> {
    let notified = told.iter().filter(|told| told.notified);
    notified.map(|told| (told.status, told.last)).collect()
}

fn first(world: &World, who: Who, wanted: Sound) -> Option<Instant> {
    let found = world.sent.iter().find(|s| s.to == who && s.sound == Some(wanted));
    found.map(|sent| sent.at)
}

fn wire<'a>(world: &'a World, so: impl Fn(&Wire) -> bool + 'a) -> Option<&'a Wire> {
    world.wire.iter().find(move |wire| so(wire))
}

/// 202, NOTIFY 100 and 180 as it happens, 200 after the human's first packet went to the caller, BYE after its answer.
#[test]
fn the_ai_refers_and_is_told_as_it_happens() {
    let world = World::run(by_ai(300, Aim::Target(0), Afterwards::Stays));
    world.assert_no_faults();
    assert_eq!(world.closed(), Some((End::Completed, Outcome::Joined, None)));
    use Sound::{Ai, Announcement, Briefing, Caller, Hold, Human};
    assert_eq!(world.heard(Who::Caller), [Ai, Announcement, Hold, Human(0)]);
    assert_eq!(world.heard(Who::Ai), [Caller]);
    assert_eq!(world.heard(Who::Human(0)), [Briefing, Caller]);

    assert_eq!((world.ai.told[0].status, world.ai.told[0].notified), (202, false));
    assert_eq!(notified(&world.ai.told), [(100, false), (180, false), (200, true)]);
    let done = wire(&world, |wire| wire.ours && wire.reported == Some(200)).expect("NOTIFY 200");
    let voice = first(&world, Who::Caller, Human(0)).expect("the human was heard");
    assert!(
        done.at >= voice,
        "told {:?} before the human was heard",
        voice - done.at
    );
    let ack = wire(&world, |wire| {
        wire.ours && wire.party == Who::Human(0) && wire.is("ACK")
    })
    .expect("ACK");
    assert!(done.at >= ack.at);
    let answered = wire(&world, |wire| {
        !wire.ours && wire.answers("NOTIFY") && wire.number == done.number
    });
    let bye = wire(&world, |wire| wire.ours && wire.party == Who::Ai && wire.is("BYE")).expect("BYE");
    assert!(bye.at >= answered.expect("the AI answered").at);
}

/// The AI that hangs up right after the 202, before any NOTIFY, early, never, falls silent or is gone changes nothing for the caller.
#[test]
fn whatever_the_ai_does_afterwards_changes_nothing_for_the_caller() {
    let cases = [
        Afterwards::Stays,
        Afterwards::HangsUp,
        Afterwards::HangsUpAfter(Duration::from_millis(3)),
        Afterwards::HangsUpAfter(2 * SECOND),
        Afterwards::FallsSilent,
        Afterwards::Vanishes,
    ];
    for mode in [Mode::Warm, Mode::Cold] {
        for afterwards in cases {
            let accept = playbook::Accept::Key;
            let world = World::run(Scenario {
                mode: Some(mode),
                accept,
                end: Duration::from_secs(60),
                ..by_ai(310, Aim::Target(0), afterwards)
            });
            world.assert_no_faults();
            assert_eq!(
                world.closed(),
                Some((End::Completed, Outcome::Joined, None)),
                "{afterwards:?}"
            );
            use Sound::{Ai, Announcement, Hold, Human};
            assert_eq!(
                world.heard(Who::Caller),
                [Ai, Announcement, Hold, Human(0)],
                "{afterwards:?}"
            );
            let line = world.line(Who::Caller, SECOND, Duration::from_secs(30));
            let broken = line.sequence_breaks + line.timestamp_breaks + line.timestamp_jumps;
            assert_eq!((line.ssrcs, broken), (1, 0), "{afterwards:?}: {line:?}");
            assert!(
                line.longest_gap <= Duration::from_millis(40),
                "{afterwards:?}: {line:?}"
            );
        }
    }
}

/// A target that is busy, silent or unwilling: the AI is told so, and has the caller again, who was told why.
#[test]
fn a_failure_is_told_and_gives_the_caller_back() {
    for (answering, status, said) in [
        (Answering::Refuse(486), 486, Sound::Busy),
        (Answering::Refuse(603), 603, Sound::Failed),
        (Answering::RingOn, 480, Sound::NoAnswer),
    ] {
        let world = World::run(Scenario {
            humans: vec![Behaviour::not(answering)],
            end: Duration::from_secs(30),
            ..by_ai(320, Aim::Target(0), Afterwards::Stays)
        });
        world.assert_no_faults();
        assert!(
            matches!(world.closed(), Some((End::Failed, Outcome::ReturnedToAi, Some(_)))),
            "{:?}",
            world.closed()
        );
        let last = notified(&world.ai.told).pop().expect("told");
        assert_eq!(last, (status, true));
        let caller = world.heard(Who::Caller);
        assert_eq!(caller[caller.len() - 2..], [said, Sound::Ai], "{caller:?}");
        assert_eq!(world.heard(Who::Ai), [Sound::Caller]);
        assert!(world.ai.ended >= world.caller.ended, "the AI kept its call to the end");
    }
}

/// Toll fraud: 403, nobody is called, and the caller notices nothing.
#[test]
fn only_targets_can_be_named() {
    for aim in [Aim::Stranger, Aim::StrangeUser] {
        let world = World::run(by_ai(330, aim, Afterwards::Stays));
        world.assert_no_faults();
        assert_eq!(world.ai.told.iter().map(|told| told.status).collect::<Vec<_>>(), [403]);
        assert_eq!((world.astray.len(), world.humans[0].calls), (0, 0));
        assert_eq!(world.heard(Who::Caller), [Sound::Ai]);
        assert!(world.steps().is_empty());
    }
}

/// A human hands on to another human: the caller hears hold audio, then the second; the first hears hold audio, never silence.
#[test]
fn a_human_refers_to_another_human() {
    for afterwards in [Afterwards::Stays, Afterwards::HangsUp, Afterwards::Vanishes] {
        let world = World::run(Scenario {
            humans: vec![Behaviour::GOOD, Behaviour::GOOD],
            also: vec![(
                When::After("joined", 3 * SECOND),
                Also::Refer(Who::Human(0), Aim::Target(1), afterwards),
            )],
            end: Duration::from_secs(60),
            ..Scenario::warm(340)
        });
        world.assert_no_faults();
        use Sound::{Ai, Announcement, Briefing, Caller, Hold, Human};
        assert_eq!(
            world.heard(Who::Caller),
            [Ai, Announcement, Hold, Human(0), Announcement, Hold, Human(1)],
            "{afterwards:?}"
        );
        assert_eq!(world.heard(Who::Human(1)), [Briefing, Caller], "{afterwards:?}");
        assert_eq!(world.closed(), Some((End::Completed, Outcome::Joined, None)));
        if afterwards == Afterwards::Stays {
            assert_eq!(world.heard(Who::Human(0)), [Briefing, Caller, Hold]);
            assert_eq!(notified(&world.humans[0].told).pop(), Some((200, true)));
            assert!(world.humans[0].ended < world.caller.ended, "let go after the join");
        }
    }
}

/// A human whose colleague is busy has the caller again.
#[test]
fn a_human_whose_colleague_is_busy_has_the_caller_again() {
    let world = World::run(Scenario {
        humans: vec![Behaviour::GOOD, Behaviour::not(Answering::Refuse(486))],
        also: vec![(
            When::After("joined", 3 * SECOND),
            Also::Refer(Who::Human(0), Aim::Target(1), Afterwards::Stays),
        )],
        end: Duration::from_secs(30),
        ..Scenario::warm(350)
    });
    world.assert_no_faults();
    let caller = world.heard(Who::Caller);
    assert_eq!(caller[caller.len() - 2..], [Sound::Busy, Sound::Human(0)], "{caller:?}");
    assert_eq!(world.heard(Who::Human(0)).last(), Some(&Sound::Caller));
    assert_eq!(notified(&world.humans[0].told).pop(), Some((486, true)));
    assert!(matches!(
        world.closed(),
        Some((End::Failed, Outcome::ReturnedToHuman, _))
    ));
}

/// A cold handoff on a trunk that takes REFER, with a carrier that does this.
fn by_carrier(seed: u64, carrier: Referred) -> World {
    by_trusted_carrier(seed, carrier, Trust::Nothing)
}

fn by_trusted_carrier(seed: u64, carrier: Referred, trust: Trust) -> World {
    World::run(Scenario {
        refer: true,
        carrier,
        trust,
        end: Duration::from_secs(60),
        ..Scenario::cold(seed)
    })
}

/// The carrier connects the caller with the target: nobody is bridged by us, the outcome is the sipfrag's.
#[test]
fn the_carrier_transfers() {
    for carrier in [
        Referred::Reports(200, Duration::ZERO),
        Referred::Reports(200, 5 * SECOND),
        Referred::HangsUpAndReports(200, Duration::from_millis(20)),
        Referred::HangsUpAndReports(200, 2 * SECOND),
    ] {
        let world = by_carrier(360, carrier);
        world.assert_no_faults();
        assert_eq!(
            world.closed(),
            Some((End::Completed, Outcome::Transferred, None)),
            "{carrier:?}"
        );
        assert_eq!(world.humans[0].calls, 0, "{carrier:?}: it is the carrier who calls");
        let said = wire(&world, |wire| !wire.ours && wire.reported == Some(200)).expect("NOTIFY 200");
        let closed = world.step_at("closed").expect("closed");
        assert!(closed >= said.at, "{carrier:?}: not by the 202");
        assert_eq!((world.caller.state, world.ai.state), (State::Gone, State::Gone));
    }
}

/// Whatever else the carrier does while the caller is there: the same target is bridged by us.
#[test]
fn where_the_carrier_does_not_transfer_we_bridge() {
    for carrier in [
        Referred::Refuses(403),
        Referred::Refuses(405),
        Referred::Refuses(503),
        Referred::Refuses(603),
        Referred::Challenges(401),
        Referred::Challenges(407),
        Referred::Ignores,
        Referred::SaysNothing,
        Referred::Reports(486, SECOND),
        Referred::Reports(603, Duration::ZERO),
        Referred::Babbles(SECOND),
    ] {
        let world = by_carrier(370, carrier);
        world.assert_no_faults();
        // We have no credentials for this trunk, so a challenge is a refusal.
        assert_eq!(
            world.closed(),
            Some((End::Completed, Outcome::Joined, None)),
            "{carrier:?}"
        );
        let caller = world.heard(Who::Caller);
        assert_eq!(caller.last(), Some(&Sound::Human(0)), "{carrier:?}: {caller:?}");
        assert_eq!(world.heard(Who::Human(0)), [Sound::Caller], "{carrier:?}");
        assert_eq!(caller[..2], [Sound::Ai, Sound::Announcement], "{carrier:?}: {caller:?}");
        let line = world.line(Who::Caller, SECOND, Duration::from_secs(60));
        let broken = line.sequence_breaks + line.timestamp_breaks + line.timestamp_jumps;
        assert_eq!((line.ssrcs, broken), (1, 0), "{carrier:?}: {line:?}");
    }
}

/// A carrier that wants to know who asks. Right credentials: it transfers, and the caller heard the AI and the announcement until it
/// was moved. Wrong ones are shown once, and the caller has the human by us.
#[test]
fn a_carrier_that_challenges_transfers_for_right_credentials_and_for_wrong_ones_we_bridge() {
    use Sound::{Ai, Announcement, Caller, Human};
    for status in [401, 407] {
        let right = by_trusted_carrier(385, Referred::Challenges(status), Trust::Right);
        right.assert_no_faults();
        assert_eq!(
            right.closed(),
            Some((End::Completed, Outcome::Transferred, None)),
            "{status}"
        );
        assert_eq!(right.caller.credentials, [true], "{status}");
        assert_eq!(right.humans[0].calls, 0, "{status}: it is the carrier who calls");
        assert_eq!(right.heard(Who::Caller), [Ai, Announcement], "{status}");

        let wrong = by_trusted_carrier(386, Referred::Challenges(status), Trust::Wrong);
        wrong.assert_no_faults();
        assert_eq!(
            wrong.closed(),
            Some((End::Completed, Outcome::Joined, None)),
            "{status}"
        );
        assert_eq!(wrong.caller.credentials, [false], "{status}");
        let caller = wrong.heard(Who::Caller);
        assert_eq!(caller.first(), Some(&Ai), "{status}");
        assert_eq!(caller.last(), Some(&Human(0)), "{status}: {caller:?}");
        assert_eq!(wrong.heard(Who::Human(0)), [Caller], "{status}");
        let line = wrong.line(Who::Caller, SECOND, Duration::from_secs(60));
        let broken = line.sequence_breaks + line.timestamp_breaks + line.timestamp_jumps;
        assert_eq!((line.ssrcs, broken), (1, 0), "{status}: {line:?}");
    }
}

/// BYE right after the 202, and then nothing good: the caller is gone, the outcome is not a success, nothing is left.
#[test]
fn a_carrier_that_hangs_up_and_does_not_transfer() {
    for carrier in [
        Referred::HangsUp,
        Referred::HangsUpAndReports(486, SECOND),
        Referred::HangsUpAndReports(603, Duration::from_millis(20)),
    ] {
        let world = by_carrier(380, carrier);
        world.assert_no_faults();
        let (end, outcome, _) = world.closed().expect("closed");
        assert_eq!(
            end,
            End::Failed,
            "{carrier:?} {outcome:?}\n{}",
            world.ladder().join("\n")
        );
        assert!(
            !matches!(outcome, Outcome::Joined | Outcome::Transferred),
            "{carrier:?}: {outcome:?}"
        );
        let accepted = wire(&world, |wire| wire.status == Some(202)).expect("202").at;
        let bye = wire(&world, |wire| wire.party == Who::Caller && wire.is("BYE"))
            .expect("BYE")
            .at;
        assert!(
            bye - accepted < Duration::from_millis(1),
            "{carrier:?}: the BYE is on the heels of the 202"
        );
        assert_eq!(world.ai.state, State::Gone, "{carrier:?}: the AI was let go");
        assert_eq!(
            world.humans[0].state,
            State::Idle,
            "{carrier:?}: nobody is called for a caller who is gone"
        );
    }
}

/// A caller who hangs up while the AI's REFER is obeyed: the phone stops ringing, and the AI is told.
#[test]
fn a_caller_who_hangs_up_meanwhile() {
    let world = World::run(Scenario {
        humans: vec![Behaviour::not(Answering::RingOn)],
        caller_hangs_up: Some(5 * SECOND),
        ..by_ai(390, Aim::Target(0), Afterwards::Stays)
    });
    world.assert_no_faults();
    assert_eq!(notified(&world.ai.told).pop(), Some((487, true)));
    assert_eq!(world.humans[0].state, State::Gone);
}
