//! Whole handoffs over TCP: alone, beside UDP, over connections that break, and where nobody takes them. Judged by what was heard.

use std::time::Duration;

use calls::notice::{End, Outcome};
use sim::scenario::{Aim, Also, Behaviour, Carriage, Carriages, Trust, When};
use sim::ua::{Afterwards, Answering, Referred};
use sim::world::Who;
use sim::{Scenario, Sound, World};

const SECOND: Duration = Duration::from_secs(1);
const JOINED: Option<(End, Outcome, Option<calls::notice::Reason>)> = Some((End::Completed, Outcome::Joined, None));

fn by(carriages: Carriages, scenario: Scenario) -> World {
    World::run(Scenario { carriages, ..scenario })
}

/// What everybody hears in a warm handoff.
#[track_caller]
fn is_warm(world: &World, what: &str) {
    use Sound::{Ai, Announcement, Briefing, Caller, Hold, Human};
    world.assert_no_faults();
    assert_eq!(world.closed(), JOINED, "{what}");
    assert_eq!(world.heard(Who::Caller), [Ai, Announcement, Hold, Human(0)], "{what}");
    assert_eq!(world.heard(Who::Ai), [Caller], "{what}");
    assert_eq!(world.heard(Who::Human(0)), [Briefing, Caller], "{what}");
}

#[test]
fn a_handoff_over_tcp_alone_is_one_over_udp() {
    let world = by(Carriages::TCP, Scenario::warm(1300));
    is_warm(&world, "by key");
    assert!(world.wire.iter().all(|wire| wire.tcp));

    let refer = Also::Refer(Who::Ai, Aim::Target(0), Afterwards::HangsUp);
    let by_ai = Scenario {
        handoff_at: None,
        also: vec![(When::At(3 * SECOND), refer)],
        ..Scenario::warm(1301)
    };
    let world = by(Carriages::TCP, by_ai);
    is_warm(&world, "by REFER of the AI");
    assert!(world.wire.iter().all(|wire| wire.tcp));

    let carrier = Scenario {
        refer: true,
        carrier: Referred::Challenges(401),
        trust: Trust::Right,
        ..Scenario::cold(1302)
    };
    let world = by(Carriages::TCP, carrier);
    world.assert_no_faults();
    assert_eq!(world.closed(), Some((End::Completed, Outcome::Transferred, None)));
    assert!(world.wire.iter().all(|wire| wire.tcp));
}

#[test]
fn parties_with_tcp_and_with_udp_are_one_call() {
    for n in 0..8_u64 {
        let of = [0, 1, 2].map(|bit| match n >> bit & 1 {
            0 => Carriage::Udp,
            _ => Carriage::Tcp,
        });
        let world = by(Carriages { of, ..Carriages::UDP }, Scenario::warm(1310 + n));
        is_warm(&world, &format!("{of:?}"));
        for (who, carriage) in [Who::Caller, Who::Ai, Who::Human(0)].into_iter().zip(of) {
            let mut of_it = world.wire.iter().filter(|wire| wire.party == who);
            assert!(of_it.all(|wire| wire.tcp == (carriage == Carriage::Tcp)), "{of:?}");
        }
    }
}

/// Connections break in the middle of messages and between them: the handoff comes about all the same, and nobody is in silence.
#[test]
fn connections_that_break_take_no_handoff_with_them() {
    let mut broken = 0;
    for seed in 1320..1420 {
        let carriages = Carriages {
            breaks: 1000,
            ..Carriages::TCP
        };
        let world = by(carriages, Scenario::warm(seed));
        world.assert_no_faults();
        assert_eq!(world.closed(), JOINED, "{seed}\n{}", world.ladder().join("\n"));
        assert_eq!(world.heard(Who::Human(0)).last(), Some(&Sound::Caller), "{seed}");
        assert_eq!(world.heard(Who::Caller).last(), Some(&Sound::Human(0)), "{seed}");
        broken += world.tcp.broken;
    }
    assert!(broken >= 100, "only {broken} of them broke");
}

/// RFC 3261 §18.1.1: what is too long for a datagram goes by TCP, and by UDP to who refuses it.
#[test]
fn a_long_message_goes_by_tcp_to_who_takes_it_and_else_by_udp() {
    for carriage in [Carriage::Both, Carriage::Udp] {
        let of = [Carriage::Both, carriage, carriage];
        let carriages = Carriages {
            of,
            long: true,
            ..Carriages::UDP
        };
        let world = by(carriages, Scenario::warm(1430));
        is_warm(&world, &format!("{carriage:?}"));
        for who in [Who::Ai, Who::Human(0)] {
            let invite = |wire: &&sim::world::Wire| wire.party == who && wire.ours && wire.is("INVITE");
            let invites: Vec<bool> = world.wire.iter().filter(invite).map(|wire| wire.tcp).collect();
            match carriage {
                Carriage::Both => assert!(invites.iter().all(|tcp| *tcp), "{who:?}"),
                _ => assert_eq!(invites.last(), Some(&false), "{who:?}"),
            }
        }
    }
}

/// Where nobody takes connections: the AI is not there, which the caller is told by 503; a human is not, and the AI has the caller.
#[test]
fn a_connection_that_is_refused_is_a_party_that_is_not_there() {
    let mut of = [Carriage::Udp, Carriage::Refused, Carriage::Udp];
    let world = by(Carriages { of, ..Carriages::UDP }, Scenario::warm(1440));
    world.assert_no_faults();
    let refused = |wire: &&sim::world::Wire| wire.ours && wire.answers("INVITE") && wire.status == Some(503);
    assert_eq!(world.wire.iter().filter(refused).count(), 1);

    of = [Carriage::Udp, Carriage::Udp, Carriage::Refused];
    let human = Scenario::failing(1441, Behaviour::not(Answering::RingOn));
    let world = by(Carriages { of, ..Carriages::UDP }, human);
    world.assert_no_faults();
    let caller = world.heard(Who::Caller);
    assert_eq!(caller[caller.len() - 2..], [Sound::Failed, Sound::Ai], "{caller:?}");
    assert_eq!(world.humans[0].calls, 0);
}
