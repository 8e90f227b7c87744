//! Generations, refusals, ends.

use super::*;

fn refusals(rig: &Rig) -> Vec<(Generation, Refusal)> {
    let refused = |(_, event): &(u64, Event)| match event {
        Event::Refused { generation, reason, .. } => Some((*generation, *reason)),
        _ => None,
    };
    rig.events.iter().filter_map(refused).collect()
}

#[test]
fn a_smaller_generation_is_ignored_and_an_equal_one_answered_again() {
    let mut rig = Rig::new();
    let set = |generation, legs: &[LegSpec]| Command::Set {
        session: CALL,
        generation: Generation(generation),
        spec: spec(legs),
    };
    rig.command(set(5, &[leg(CALLER, plays(1, &[HOLD], true))]));
    rig.run(50);
    rig.command(set(4, &[]));
    assert_eq!(rig.core.alive().legs, 1);
    assert_eq!(rig.events.len(), 1);
    rig.command(set(5, &[]));
    assert_eq!(rig.events.len(), 2);
    assert_eq!(rig.events[0].1, rig.events[1].1);
    assert_eq!(rig.applied(Generation(5)), Some(0));
    assert_eq!(rig.core.alive().legs, 1);
}

#[test]
fn an_impossible_state_is_refused_and_touches_nothing() {
    let double = |mut a: LegSpec, id| {
        a.leg = id;
        a
    };
    let at = |mut a: LegSpec, port| {
        a.port = Port(port);
        a
    };
    let timed = |mut a: LegSpec, ptime_ms| {
        a.ptime_ms = ptime_ms;
        a
    };
    let mut mixed = hears(AI);
    mixed.legs.push(HUMAN.into());
    let loud = |gain_db| {
        let mut row = hears(AI);
        row.legs[0].gain_db = gain_db;
        row
    };
    let caller = || leg(CALLER, hears(AI));
    let ai = || leg(AI, nobody());
    let cases = [
        (
            vec![caller(), ai(), double(leg(HUMAN, nobody()), AI)],
            Refusal::DoubleLeg,
        ),
        (vec![caller(), ai(), at(leg(HUMAN, nobody()), 10_002)], Refusal::Port),
        (vec![caller(), ai(), at(leg(HUMAN, nobody()), 10_005)], Refusal::Port),
        (vec![caller(), ai(), at(leg(HUMAN, nobody()), 10_016)], Refusal::Port),
        (vec![caller(), ai(), at(leg(HUMAN, nobody()), 9_998)], Refusal::Port),
        (vec![caller(), ai(), at(leg(HUMAN, nobody()), 10_014)], Refusal::Port),
        (vec![at(caller(), 10_008), ai()], Refusal::Port),
        (vec![caller()], Refusal::UnknownLeg),
        (vec![leg(CALLER, hears(CALLER)), ai()], Refusal::UnknownLeg),
        (vec![leg(CALLER, mixed), ai(), leg(HUMAN, nobody())], Refusal::Mix),
        (vec![leg(CALLER, loud(13)), ai()], Refusal::Gain),
        (vec![leg(CALLER, loud(-41)), ai()], Refusal::Gain),
        (
            vec![leg(CALLER, plays(1, &[HOLD, PromptId(3)], false)), ai()],
            Refusal::UnknownPrompt,
        ),
        (vec![caller(), timed(ai(), 25)], Refusal::PacketTime),
        (vec![caller(), timed(ai(), 0)], Refusal::PacketTime),
    ];
    let mut rig = Rig::new();
    let other = at(leg(LegId(7), nobody()), 10_014);
    rig.command(Command::Set {
        session: SessionId(2),
        generation: Generation(1),
        spec: spec(&[other]),
    });
    rig.set(spec(&[caller(), ai()]));
    rig.talk(AI, 0, LOUD);
    rig.run(100);
    for (legs, reason) in cases {
        rig.events.clear();
        let generation = rig.set(spec(&legs));
        assert_eq!(refusals(&rig), [(generation, reason)]);
        rig.command(Command::Set {
            session: CALL,
            generation,
            spec: SessionSpec::default(),
        });
        assert_eq!(
            refusals(&rig),
            [(generation, reason); 2],
            "an equal generation is answered again"
        );
        rig.run(40);
    }
    assert_unbroken(&rig.heard(CALLER), 20 * MS);
    assert_eq!(rig.core.alive().legs, 3);
}

#[test]
fn a_core_without_room_refuses_and_has_room_again_after_an_end() {
    let mut rig = Rig::new();
    let set = |n: u16| {
        let mut leg = leg(LegId(n), nobody());
        leg.remote_rtcp = None;
        Command::Set {
            session: SessionId(n.into()),
            generation: Generation(1),
            spec: spec(&[leg]),
        }
    };
    for n in 0..5 {
        rig.command(set(n));
    }
    assert_eq!(refusals(&rig), [(Generation(1), Refusal::NoSession)]);
    assert_eq!(rig.core.counters().sessions, 4);
    rig.command(Command::End { session: SessionId(2) });
    rig.command(set(4));
    assert_eq!(refusals(&rig).len(), 1);
    for n in [0, 1, 3, 4] {
        rig.command(Command::End { session: SessionId(n) });
    }
    assert_eq!(rig.core.alive(), Alive::default());
}

#[test]
fn the_end_of_an_unknown_session_is_answered() {
    let mut rig = Rig::new();
    for n in 0..200 {
        rig.command(Command::End { session: SessionId(n) });
    }
    assert_eq!(rig.events.len(), 200);
    // Who does not fetch the answers loses the oldest, not memory.
    let now = rig.instant();
    for n in 0..200 {
        rig.core.handle_command(now, Command::End { session: SessionId(n) });
    }
    let mut count = 0;
    while rig.core.poll_event().is_some() {
        count += 1;
    }
    assert_eq!(count, 64);
}

#[test]
fn one_call_of_the_timer_makes_a_bounded_number_of_frames() {
    let mut config = config();
    (config.pairs, config.sessions) = (200, 200);
    let mut rig = Rig::with(config);
    for n in 0..150 {
        let leg = leg(LegId(n), plays(1, &[HOLD], true));
        rig.command(Command::Set {
            session: SessionId(n.into()),
            generation: Generation(1),
            spec: spec(&[leg]),
        });
    }
    let count = |rig: &mut Rig| {
        let now = rig.instant();
        let before = rig.sent.len();
        rig.core.handle_timeout(now);
        rig.drain();
        rig.sent.len() - before
    };
    assert_eq!(
        [count(&mut rig), count(&mut rig), count(&mut rig), count(&mut rig)],
        [64, 64, 22, 0]
    );
    rig.run(10);
    assert_eq!(rig.core.poll_timeout(), Some(rig.start + Duration::from_millis(20)));
}

#[test]
fn a_stall_of_the_host_does_not_make_prompts_hurry() {
    let mut rig = Rig::new();
    rig.set(spec(&[leg(CALLER, plays(1, &[HOLD], true))]));
    rig.run(101);
    rig.now += 500 * MS;
    rig.run(100);
    let heard = rig.heard(CALLER);
    assert_eq!(heard.len(), 6 + 5);
    let (before, after) = (heard[5].header(), heard[6].header());
    assert_eq!(after.sequence, before.sequence.next());
    assert_eq!(timestamp_distance(after.timestamp, before.timestamp), (601 - 100) * 8);
}

#[test]
fn a_source_that_starts_anew_does_not_break_the_line() {
    let mut rig = Rig::new();
    rig.set(spec(&[leg(CALLER, hears(AI)), leg(AI, nobody())]));
    rig.talk(AI, 0, LOUD);
    let faults: [fn(&mut Header); 5] = [
        |header| header.ssrc = 0xb000,
        |header| header.sequence = header.sequence.plus(20_000),
        |header| header.sequence = header.sequence.plus(0u16.wrapping_sub(500)),
        |header| header.timestamp = header.timestamp.wrapping_add(1 << 30),
        |header| header.timestamp = header.timestamp.wrapping_sub(1 << 20),
    ];
    for fault in faults {
        rig.run(205);
        fault(&mut rig.talker(AI).header);
    }
    rig.run(195);
    let heard = rig.heard(CALLER);
    assert_eq!(heard.len(), 61);
    assert_unbroken(&heard, 20 * MS);
    assert_eq!(heard.iter().filter(|sent| sent.header().marker).count(), 6);
}

#[test]
fn one_sessions_events_do_not_hold_up_anothers() {
    let mut rig = Rig::new();
    let now = rig.instant();
    for n in 0..2u16 {
        let set = Command::Set {
            session: SessionId(n.into()),
            generation: Generation(1),
            spec: spec(&[leg(LegId(n), nobody())]),
        };
        rig.core.handle_command(now, set);
    }
    for n in 0..2u64 {
        rig.core.handle_command(now, Command::End { session: SessionId(n) });
    }
    let session = |event| match event {
        Event::Applied { session, .. } | Event::Ended { session } => session.0,
        event => panic!("{event:?}"),
    };
    let order: Vec<_> = std::iter::from_fn(|| rig.core.poll_event().map(session)).collect();
    assert_eq!(order, [0, 1, 0, 1]);
    rig.drain();
    assert_eq!(rig.core.alive(), Alive::default());
}

#[test]
fn a_port_that_is_used_again_starts_with_nothing_of_the_leg_before() {
    let mut rig = Rig::new();
    let now = rig.instant();
    for generation in 1..100 {
        let legs = [leg(LegId(0), plays(generation, &[HOLD], true))];
        let legs = if generation % 2 == 0 { &legs[..0] } else { &legs[..] };
        let set = Command::Set {
            session: CALL,
            generation: Generation(generation),
            spec: spec(legs),
        };
        rig.core.handle_command(now, set);
        rig.core.handle_timeout(now);
        let legs = legs.len();
        assert_eq!((rig.core.alive().legs, rig.core.alive().ready), (legs, legs));
    }
    rig.drain();
    assert_eq!(rig.sent.len(), 1);
    assert_conserved(&mut rig);
}
