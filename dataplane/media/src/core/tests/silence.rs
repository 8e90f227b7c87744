//! Legs that should send and do not are told, once, and once when they do again.

use super::*;

fn told(rig: &Rig) -> Vec<(u64, LegId, bool)> {
    let of = |(_, event): &(u64, Event)| match event {
        Event::Silent { leg, at, .. } => Some((at.duration_since(rig.start).as_millis() as u64, *leg, true)),
        Event::Sounding { leg, at, .. } => Some((at.duration_since(rig.start).as_millis() as u64, *leg, false)),
        _ => None,
    };
    rig.events.iter().filter_map(of).collect()
}

fn only_caller(receive: bool) -> SessionSpec {
    let caller = LegSpec {
        receive,
        ..leg(CALLER, nobody())
    };
    let mut ai = leg(AI, nobody());
    ai.receive = false;
    spec(&[caller, ai])
}

#[test]
fn silence_and_its_end_are_said_once_each() {
    let mut rig = Rig::new();
    rig.set(only_caller(true));
    rig.talk(CALLER, 0, LOUD);
    rig.run(3_010);
    assert_eq!(told(&rig), []);
    rig.hush(CALLER);
    rig.run(5_000);
    assert_eq!(told(&rig), [(4_000, CALLER, true)]);
    let now = rig.now;
    let talker = rig.talker(CALLER);
    (talker.next, talker.until) = (now, u64::MAX);
    rig.run(500);
    rig.hush(CALLER);
    rig.run(2_000);
    let expected = [(4_000, CALLER, true), (8_010, CALLER, false), (9_490, CALLER, true)];
    assert_eq!(told(&rig), expected);
    assert_conserved(&mut rig);
}

#[test]
fn who_never_sent_is_silent_from_its_answer_on_and_who_may_not_send_is_not() {
    let mut rig = Rig::new();
    let mut unknown = only_caller(false);
    unknown.legs[0].remote = None;
    rig.set(unknown);
    rig.run(2_000);
    assert_eq!(told(&rig), []);
    rig.set(only_caller(true));
    rig.run(999);
    assert_eq!(told(&rig), []);
    rig.run(2);
    assert_eq!(told(&rig), [(3_000, CALLER, true)]);
    // A hold that ends is a new beginning, but not of a silence that was told.
    rig.set(only_caller(false));
    rig.run(2_000);
    rig.set(only_caller(true));
    rig.run(2_000);
    assert_eq!(told(&rig).len(), 1);
    assert_conserved(&mut rig);
}

#[test]
fn a_hold_is_no_silence_and_the_time_begins_at_its_end() {
    let mut rig = Rig::new();
    rig.set(only_caller(true));
    rig.talk(CALLER, 0, LOUD);
    rig.run(505);
    rig.hush(CALLER);
    rig.set(only_caller(false));
    rig.run(5_000);
    rig.set(only_caller(true));
    rig.run(995);
    assert_eq!(told(&rig), []);
    rig.run(10);
    assert_eq!(told(&rig), [(6_505, CALLER, true)]);
}

#[test]
fn digits_sound_and_what_was_not_negotiated_does_not() {
    let mut rig = Rig::new();
    rig.set(only_caller(true));
    rig.talk(CALLER, 0, LOUD);
    rig.run(1_005);
    for n in 0..40u16 {
        let header = rig.talker(CALLER).header;
        rig.talker(CALLER).next = u64::MAX;
        let digit = Header {
            payload_type: 101,
            sequence: header.sequence.plus(n),
            ..header
        };
        rig.packet(CALLER, &digit, &[1, 10, 0, 160]);
        rig.run(50);
    }
    assert_eq!(told(&rig), []);
    for n in 40..80u16 {
        let header = rig.talker(CALLER).header;
        let unmapped = Header {
            payload_type: 34,
            sequence: header.sequence.plus(n),
            ..header
        };
        rig.packet(CALLER, &unmapped, &[1; 160]);
        rig.run(50);
    }
    assert_eq!(told(&rig), [(3_955, CALLER, true)]);
}

#[test]
fn nobody_fetches_and_the_mailbox_does_not_grow() {
    let mut rig = Rig::new();
    rig.set(spec(&[leg(CALLER, nobody()), leg(AI, nobody())]));
    rig.drain();
    let mut now = rig.start;
    let mut header = Header {
        marker: false,
        payload_type: 0,
        sequence: Seq(1),
        timestamp: 1,
        ssrc: 1,
    };
    // Silent, sounding, silent …: what the reader does not know of takes back itself.
    for _ in 0..1_001 {
        now += Duration::from_secs(2);
        rig.core.handle_timeout(now);
        let mut bytes = [0; 172];
        header.write(&mut bytes).unwrap();
        rig.core
            .handle_packet(now, port(CALLER), remote(CALLER), &mut bytes, 172);
        header.sequence = header.sequence.next();
        header.timestamp += 16_000;
    }
    now += Duration::from_secs(2);
    rig.core.handle_timeout(now);
    let mut events = Vec::new();
    while let Some(event) = rig.core.poll_event() {
        events.push(event);
    }
    let silent = |id| {
        events
            .iter()
            .filter(|event| matches!(event, Event::Silent { leg, .. } if *leg == id))
            .count()
    };
    assert_eq!((events.len(), silent(CALLER), silent(AI)), (2, 1, 1), "{events:?}");
    assert_eq!(rig.core.counters().overflowed, 0);
}

#[test]
fn of_a_leg_that_is_gone_nothing_is_said() {
    let mut rig = Rig::new();
    rig.set(spec(&[leg(CALLER, nobody()), leg(AI, nobody())]));
    let now = rig.start + Duration::from_secs(2);
    rig.core.handle_timeout(now);
    rig.core.handle_command(
        now,
        Command::Set {
            session: CALL,
            generation: Generation(9),
            spec: spec(&[leg(CALLER, nobody())]),
        },
    );
    rig.drain();
    assert_eq!(told(&rig), [(2_000, CALLER, true)]);
}
