//! A supervisor on a call, and who hears whom by API: judged by what every party was sent.

use std::time::Duration;

use calls::notice::{End, Outcome, Party};
use calls::request::{Request, Response, Whom};
use calls::supervisor::{Mode, Wish};
use sim::scenario::Behaviour;
use sim::ua::{Answering, State};
use sim::world::Who;
use sim::{Scenario, Sound, World};
use sip::sdp::Encoding;

const SUPERVISOR: Who = Who::Human(1);
/// Of what is heard as it is: a coder and a limiter may take some.
const HEARD: f64 = 0.5;
/// −40 dB: what G.711 itself makes of two tones at the places of others is less.
const NOTHING: f64 = 0.01;

fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

/// A call between caller and AI, whose human-1 can be invited to listen in; the handoff goes to human-0 after 6 s.
fn world(codecs: [Encoding; 3]) -> World {
    let supervisor = Behaviour {
        answering: Answering::After(ms(200)),
        key: None,
        hang_up: None,
    };
    World::new(Scenario {
        encodings: codecs.map(|codec| vec![codec]),
        humans: vec![Behaviour::GOOD, supervisor],
        handoff_at: Some(ms(6_000)),
        mixers: 4,
        end: ms(20_000),
        ..Scenario::warm(811)
    })
}

fn supervise(world: &mut World) {
    let call = world.call.expect("a call");
    let whom = Whom::Target("human-1".into());
    world
        .request(Request::Supervise(call, whom, "desk".into()))
        .expect("invited");
}

fn does(world: &mut World, mode: Mode) {
    let wish = Wish {
        mode: Some(mode),
        rows: Vec::new(),
    };
    put(world, wish);
}

fn put(world: &mut World, wish: Wish) {
    let call = world.call.expect("a call");
    let answer = world.request(Request::Hears(call, wish, "desk".into()));
    assert!(matches!(answer, Some(Response::Later(_))), "{answer:?}");
}

/// How loud each of these sounds was to a party in this time: the least and the most of any packet.
fn levels(world: &World, who: Who, from: u64, to: u64, sounds: &[Sound]) -> Vec<(f64, f64)> {
    let (from, to) = (world.start + ms(from), world.start + ms(to));
    let alaw = |payload_type: u8| payload_type == 8;
    let sent: Vec<_> = world
        .sent
        .iter()
        .filter(|sent| sent.to == who && (from..to).contains(&sent.at) && sent.sound.is_some())
        .collect();
    assert!(sent.len() > 10, "{who:?} was sent {} packets", sent.len());
    let level = |sound: &Sound| {
        let levels = sent
            .iter()
            .map(|sent| sound.level(&sent.packet.payload, alaw(sent.packet.payload_type)));
        levels.fold((f64::MAX, 0.0_f64), |(least, most), level| {
            (least.min(level), most.max(level))
        })
    };
    sounds.iter().map(level).collect()
}

/// In this time a party heard these sounds all the time, and of all others nothing.
#[track_caller]
fn assert_hears(world: &World, who: Who, from: u64, to: u64, heard: &[Sound]) {
    const VOICES: [Sound; 4] = [Sound::Caller, Sound::Ai, Sound::Human(0), Sound::Human(1)];
    for (sound, (least, most)) in VOICES.iter().zip(levels(world, who, from, to, &VOICES)) {
        match heard.contains(sound) {
            true => assert!(
                least > HEARD,
                "{who:?} hears {sound:?} at {least} to {most} from {from} ms on"
            ),
            false => assert!(most < NOTHING, "{who:?} hears {sound:?} at {most} from {from} ms on"),
        }
    }
}

#[test]
fn a_supervisor_listens_barges_in_whispers_and_is_heard_by_whom_it_may_be() {
    use Sound::{Ai, Caller, Human};
    for codecs in [[Encoding::Pcmu; 3], [Encoding::Pcma, Encoding::Pcmu, Encoding::Pcma]] {
        let mut world = world(codecs);
        world.run_until(ms(1_000));
        supervise(&mut world);
        world.run_until(ms(2_500));
        does(&mut world, Mode::Barge);
        world.run_until(ms(3_500));
        does(&mut world, Mode::Whisper);
        world.run_until(ms(4_500));
        does(&mut world, Mode::Mute);
        world.run_to_the_end();

        assert_hears(&world, SUPERVISOR, 1_700, 2_500, &[Caller, Ai]);
        assert_hears(&world, Who::Caller, 1_000, 2_500, &[Ai]);
        assert_hears(&world, Who::Ai, 1_000, 2_500, &[Caller]);
        // Barge.
        assert_hears(&world, Who::Caller, 2_800, 3_500, &[Ai, Human(1)]);
        assert_hears(&world, Who::Ai, 2_800, 3_500, &[Caller, Human(1)]);
        assert_hears(&world, SUPERVISOR, 2_800, 3_500, &[Caller, Ai]);
        // Whisper.
        assert_hears(&world, Who::Caller, 3_800, 4_500, &[Ai]);
        assert_hears(&world, Who::Ai, 3_800, 4_500, &[Caller, Human(1)]);
        // Mute.
        assert_hears(&world, Who::Caller, 4_800, 6_000, &[Ai]);
        assert_hears(&world, Who::Ai, 4_800, 6_000, &[Caller]);
        assert_hears(&world, SUPERVISOR, 4_800, 6_000, &[Caller, Ai]);

        // The handoff has every row: it rings from 6 s, and the human is briefed from 7 s and takes the call at 9 s.
        let told = [Sound::Briefing, Human(0), Human(1)];
        for (sound, (_, most)) in told.iter().zip(levels(&world, Who::Caller, 6_000, 8_900, &told)) {
            assert!(most < NOTHING, "the caller hears {sound:?} at {most}");
        }
        assert_hears(&world, SUPERVISOR, 6_200, 8_900, &[]);
        assert_hears(&world, Who::Caller, 9_500, 15_000, &[Human(0)]);
        assert_hears(&world, Who::Human(0), 9_500, 15_000, &[Caller]);
        assert_hears(&world, SUPERVISOR, 9_500, 15_000, &[Caller, Human(0)]);

        assert_eq!(world.closed(), Some((End::Completed, Outcome::Joined, None)));
        let evidence = world.evidence(Party::Caller).expect("evidence");
        assert_eq!(
            (evidence.lost, evidence.sequence_breaks, evidence.timestamp_breaks),
            (0, 0, 0)
        );
        assert!(
            world.evidence(Party::Supervisor).is_none(),
            "it has no part in a handoff"
        );
        assert_eq!(world.ua(SUPERVISOR).state, State::Gone);
    }
}

#[test]
fn a_party_is_muted_and_made_softer_and_the_line_goes_on() {
    let mut world = world([Encoding::Pcmu; 3]);
    let row = |listener, heard: &[(Party, i8)]| Wish {
        mode: None,
        rows: vec![(listener, heard.to_vec())],
    };
    world.run_until(ms(1_500));
    put(&mut world, row(Party::Ai, &[]));
    world.run_until(ms(3_000));
    put(&mut world, row(Party::Ai, &[(Party::Caller, -12)]));
    world.run_until(ms(4_500));
    put(&mut world, row(Party::Ai, &[(Party::Caller, 0)]));
    world.run_to_the_end();
    use Sound::{Ai, Caller};
    assert_hears(&world, Who::Ai, 500, 1_500, &[Caller]);
    assert_hears(&world, Who::Ai, 1_600, 3_000, &[]);
    let softer = levels(&world, Who::Ai, 3_300, 4_500, &[Caller])[0];
    assert!(softer.0 > 0.2 && softer.1 < 0.3, "−12 dB is a quarter: {softer:?}");
    assert_hears(&world, Who::Ai, 4_800, 6_000, &[Caller]);
    assert_hears(&world, Who::Caller, 500, 6_000, &[Ai]);
    assert_eq!(world.closed(), Some((End::Completed, Outcome::Joined, None)));
}

#[test]
fn a_supervisor_that_vanishes_or_hangs_up_is_missed_by_nobody() {
    for vanishes in [false, true] {
        let mut world = world([Encoding::Pcmu; 3]);
        world.scenario.handoff_at = None;
        world.run_until(ms(1_000));
        supervise(&mut world);
        world.run_until(ms(2_000));
        does(&mut world, Mode::Barge);
        world.run_until(ms(3_000));
        match vanishes {
            true => world.humans[1].vanish(),
            false => world.humans[1].hang_up(world.now),
        }
        world.run_until(ms(5_900));
        use Sound::{Ai, Caller};
        assert_hears(&world, Who::Caller, 3_300, 5_900, &[Ai]);
        assert_hears(&world, Who::Ai, 3_300, 5_900, &[Caller]);
        world.run_to_the_end();
    }
}
