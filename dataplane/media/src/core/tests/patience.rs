//! A state that waits for a leg's first packet: all of it is in force with that packet, or none of it.

use super::*;
use crate::codec::g711::Law;
use crate::command::{Watch, WindowId};

const AI_SAYS: [u8; 2] = [0x91, 0x11];
const HUMAN_SAYS: [u8; 2] = [0x92, 0x12];
const CALLER_SAYS: [u8; 2] = [0x93, 0x13];

/// Two bytes that alternate, from either of them on.
fn is(sent: &Sent, says: [u8; 2]) -> bool {
    sent.payload().starts_with(&says)
}

/// Before the join: the caller hears hold audio, the human the briefing, whose digits are taken; the AI listens.
fn briefing() -> SessionSpec {
    let human = LegSpec {
        dtmf: Dtmf::Take,
        ..leg(HUMAN, plays(2, &[BRIEF], true))
    };
    spec(&[leg(CALLER, plays(1, &[HOLD], true)), leg(AI, hears(CALLER)), human])
}

fn joined(ms: u64) -> SessionSpec {
    let watch = Some(Watch {
        window: WindowId(1),
        first_word_of: Some(HUMAN),
    });
    SessionSpec {
        watch,
        ..spec(&[
            leg(CALLER, awaits(HUMAN, ms)),
            leg(AI, nobody()),
            leg(HUMAN, hears(CALLER)),
        ])
    }
}

/// A briefing for `ms`, with a human who does not speak yet.
fn briefed(ms: u64) -> Rig {
    let mut rig = Rig::new();
    rig.set(briefing());
    rig.talk(CALLER, 3, CALLER_SAYS);
    rig.talk(AI, 7, AI_SAYS);
    rig.talk(HUMAN, 0, HUMAN_SAYS);
    rig.hush(HUMAN);
    rig.run(ms);
    rig
}

/// When it was said that a state waits, and which.
fn waiting(rig: &Rig) -> Vec<(u64, Generation)> {
    let said = rig.events.iter().filter_map(|(at, event)| match event {
        Event::Waiting { generation, .. } => Some((*at, *generation)),
        _ => None,
    });
    said.collect()
}

/// The human speaks from `ms` on.
fn speaks(rig: &mut Rig, ms: u64) {
    let now = rig.now;
    let talker = rig.talker(HUMAN);
    (talker.next, talker.until) = (now + ms * MS, u64::MAX);
}

/// Where a prompt that is repeated has got to: its payloads one after the other, without a seam.
fn assert_plays_on(heard: &[Sent], prompt: PromptId) {
    let audio: Vec<u8> = heard.iter().flat_map(|sent| sent.payload().to_vec()).collect();
    let library = prompts();
    let encoded = library.encoded(prompt, Law::Mu).unwrap();
    let expected: Vec<u8> = encoded.iter().copied().cycle().take(audio.len()).collect();
    assert_eq!(audio, expected, "the prompt was not played from its beginning on");
}

#[test]
fn everything_is_in_force_with_the_first_packet_in_every_phase() {
    for phase in 0..20 {
        for silent_for in [0, 40, 300, 4_900] {
            let mut rig = briefed(200 + phase);
            let generation = rig.set(joined(5_000));
            let set_at = rig.now;
            rig.run(1);
            assert_eq!(rig.applied(generation), None);
            speaks(&mut rig, silent_for);
            let first = rig.talker(HUMAN).next;
            rig.run(silent_for + 100);
            // The human's row has the caller's next packet.
            let applied = rig.applied(generation).unwrap();
            assert!(
                (first..=first + 20 * MS).contains(&applied),
                "phase {phase}, silent for {silent_for}: {applied}"
            );
            let (caller, human, ai) = (rig.heard(CALLER), rig.heard(HUMAN), rig.heard(AI));
            let split = caller.iter().position(|sent| is(sent, HUMAN_SAYS)).unwrap();
            assert_eq!(caller[split].at, first, "the very first packet is heard");
            assert_eq!(caller[split].payload(), rig.talker(HUMAN).payload);
            assert!(caller[split].header().marker);
            assert_plays_on(&caller[..split], HOLD);
            assert!(caller[split..].iter().all(|sent| is(sent, HUMAN_SAYS)));
            assert!(caller[split].at - caller[split - 1].at <= 22 * MS);
            for heard in [&caller, &human, &ai] {
                assert_unbroken(heard, 40 * MS);
            }
            // The others change with it, not before.
            let before = |sent: &&Sent| sent.at < first;
            let briefing: Vec<_> = human.iter().filter(before).cloned().collect();
            assert_plays_on(&briefing, BRIEF);
            assert!(human.iter().any(|sent| is(sent, CALLER_SAYS)));
            let to_ai = ai.iter().filter(|sent| is(sent, CALLER_SAYS));
            assert!(to_ai.map(|sent| sent.at).max().unwrap() + 22 * MS > first);
            assert!(ai.iter().all(|sent| sent.at <= first || !is(sent, CALLER_SAYS)));
            assert!(first >= set_at);
            assert_conserved(&mut rig);
        }
    }
}

#[test]
fn without_a_packet_all_rows_are_as_before_and_go_on() {
    let mut rig = briefed(205);
    let generation = rig.set(joined(500));
    assert_eq!(waiting(&rig), [(205 * MS, generation)]);
    rig.run(200);
    // Who asks again is told again that it waits; the answer comes later, once.
    rig.command(Command::Set {
        session: CALL,
        generation,
        spec: SessionSpec::default(),
    });
    assert_eq!(waiting(&rig), [(205 * MS, generation), (405 * MS, generation)]);
    assert!(
        rig.events
            .iter()
            .all(|(_, event)| !matches!(event, Event::Refused { .. }))
    );
    rig.run(500);
    assert_eq!(rig.refused_silent(generation), Some(705 * MS));
    rig.run(1_000);
    speaks(&mut rig, 5);
    rig.run(500);
    assert_eq!(rig.applied(generation), None);
    let (caller, human, ai) = (rig.heard(CALLER), rig.heard(HUMAN), rig.heard(AI));
    assert_plays_on(&caller, HOLD);
    assert_plays_on(&human, BRIEF);
    assert!(ai[1..].iter().all(|sent| is(sent, CALLER_SAYS)));
    for heard in [&caller, &human, &ai] {
        assert_unbroken(heard, 20 * MS);
    }
    // The window belonged to the state that was refused.
    assert!(
        rig.events
            .iter()
            .all(|(_, event)| !matches!(event, Event::Evidence { .. }))
    );
    rig.events.clear();
    rig.command(Command::Set {
        session: CALL,
        generation,
        spec: SessionSpec::default(),
    });
    assert!(
        rig.refused_silent(generation).is_some(),
        "an equal generation is answered again"
    );
    // And the next join does.
    let generation = rig.set(joined(500));
    rig.run(50);
    assert!(rig.applied(generation).is_some());
    assert_conserved(&mut rig);
}

#[test]
fn the_briefings_key_is_still_taken_while_the_join_waits_and_is_no_first_packet() {
    let mut rig = briefed(205);
    let generation = rig.set(joined(500));
    let event = Header {
        payload_type: 101,
        ..rig.talker(HUMAN).header
    };
    rig.packet(HUMAN, &event, &[2, 10, 0, 160]);
    let digit = |(_, event): &(u64, Event)| matches!(event, Event::Digit { digit: '2', .. });
    assert!(rig.events.iter().any(digit));
    rig.run(600);
    assert_eq!(rig.refused_silent(generation), Some(705 * MS));
}

#[test]
fn comfort_noise_of_the_human_is_a_first_packet() {
    let mut rig = briefed(205);
    let mut join = joined(500);
    join.legs[2].format.comfort_noise = Some(13);
    let generation = rig.set(join);
    let noise = Header {
        payload_type: 13,
        ..rig.talker(HUMAN).header
    };
    rig.packet(HUMAN, &noise, &[60]);
    rig.run(200);
    assert!(rig.applied(generation).is_some_and(|at| at <= 265 * MS));
    assert_unbroken(&rig.heard(CALLER), 40 * MS);
}

#[test]
fn what_comes_late_doubled_or_from_a_stranger_begins_nothing() {
    let mut rig = Rig::new();
    rig.set(briefing());
    rig.talk(HUMAN, 0, HUMAN_SAYS);
    rig.run(101);
    rig.hush(HUMAN);
    let generation = rig.set(joined(500));
    let last = rig.talker(HUMAN).header;
    let again = Header {
        sequence: last.sequence.plus(u16::MAX),
        timestamp: last.timestamp.wrapping_sub(160),
        ..last
    };
    rig.packet(HUMAN, &again, &[0x92; 160]);
    rig.packet_from(
        port(HUMAN),
        SocketAddr::from(([198, 51, 100, 7], 4_000)),
        &last,
        &[0x92; 160],
    );
    let unmapped = Header {
        payload_type: 34,
        ..last
    };
    rig.packet(HUMAN, &unmapped, &[0x92; 160]);
    assert_eq!(rig.applied(generation), None);
    rig.run(600);
    assert_eq!(rig.refused_silent(generation), Some(601 * MS));
    assert_plays_on(&rig.heard(CALLER), HOLD);
}

#[test]
fn a_newer_state_takes_the_place_of_one_that_waits() {
    let mut rig = briefed(205);
    let waits = rig.set(joined(500));
    rig.run(100);
    let newer = rig.set(spec(&[leg(CALLER, hears(AI)), leg(AI, hears(CALLER))]));
    rig.run(600);
    assert_eq!((rig.applied(waits), rig.refused_silent(waits)), (None, None));
    assert!(rig.applied(newer).is_some_and(|at| at <= 325 * MS));
    assert_eq!(rig.core.alive().legs, 2, "the human was released");
    assert!(rig.heard(CALLER).iter().all(|sent| !is(sent, HUMAN_SAYS)));
    assert_conserved(&mut rig);
}

#[test]
fn the_same_wait_is_not_longer_for_a_change_meanwhile() {
    let mut rig = briefed(205);
    let first = rig.set(joined(500));
    rig.run(300);
    // The caller's codec changes: a fact that does not wait.
    let mut moved = joined(500);
    moved.legs[0].format = Format {
        codec: Codec::Pcma,
        send: 8,
        receive: 8,
        ..pcmu()
    };
    let second = rig.set(moved);
    rig.forget();
    rig.run(50);
    assert!(rig.heard(CALLER).iter().all(|sent| sent.header().payload_type == 8));
    rig.run(500);
    assert_eq!(
        (rig.refused_silent(first), rig.refused_silent(second)),
        (None, Some(705 * MS))
    );
}

#[test]
fn an_impossible_newer_state_leaves_the_wait_alone() {
    let mut rig = briefed(205);
    let waits = rig.set(joined(500));
    let mut wrong = joined(500);
    wrong.legs[0].ptime_ms = 7;
    let wrong = rig.set(wrong);
    let refused = |rig: &Rig, g| {
        rig.events
            .iter()
            .any(|(_, event)| matches!(event, Event::Refused { generation, .. } if *generation == g))
    };
    assert!(refused(&rig, wrong) && !refused(&rig, waits));
    speaks(&mut rig, 40);
    rig.run(100);
    assert_eq!(rig.applied(waits), Some(263 * MS), "with the caller's next packet");
    assert_eq!(
        rig.heard(CALLER)
            .iter()
            .find(|sent| is(sent, HUMAN_SAYS))
            .map(|sent| sent.at),
        Some(245 * MS)
    );
}

#[test]
fn the_end_while_one_waits_leaves_nothing() {
    let mut rig = briefed(205);
    let waits = rig.set(joined(500));
    rig.run(100);
    assert_conserved(&mut rig);
    rig.run(1_000);
    assert_eq!((rig.applied(waits), rig.refused_silent(waits)), (None, None));
}

#[test]
fn who_is_not_sent_to_waits_for_nobody_and_who_is_put_on_hold_stops_waiting() {
    let held = || {
        let mut join = joined(500);
        join.legs[0].send = false;
        join
    };
    let mut rig = briefed(205);
    let generation = rig.set(held());
    rig.run(20);
    assert_eq!(rig.applied(generation), Some(223 * MS), "with the caller's next packet");
    let mut rig = briefed(205);
    rig.set(joined(500));
    rig.run(100);
    let generation = rig.set(held());
    rig.run(100);
    assert_eq!(rig.applied(generation), Some(323 * MS));
    assert!(rig.heard(CALLER).iter().all(|sent| sent.at <= 305 * MS));
}

#[test]
fn a_leg_that_is_new_has_its_place_and_is_heard_from_its_first_packet_on() {
    let mut rig = Rig::new();
    rig.set(spec(&[leg(CALLER, plays(1, &[HOLD], true)), leg(AI, nobody())]));
    rig.talk(CALLER, 3, CALLER_SAYS);
    rig.run(205);
    // Cold: answered and joined in one; the AI's leg is gone already.
    let join = || spec(&[leg(CALLER, awaits(HUMAN, 500)), leg(HUMAN, hears(CALLER))]);
    let generation = rig.set(join());
    assert_eq!(rig.core.alive().legs, 3);
    rig.talk(HUMAN, 300, HUMAN_SAYS);
    rig.run(400);
    assert_eq!(rig.applied(generation), Some(505 * MS));
    assert_eq!(rig.core.alive().legs, 2);
    let (caller, human) = (rig.heard(CALLER), rig.heard(HUMAN));
    assert_unbroken(&caller, 22 * MS);
    assert_unbroken(&human, 40 * MS);
    let (noise, speech): (Vec<_>, Vec<_>) = human.iter().partition(|sent| sent.at <= 505 * MS);
    assert!(noise.len() == 16 && noise.iter().all(|sent| !is(sent, CALLER_SAYS)));
    assert!(speech.len() >= 4 && speech.iter().all(|sent| is(sent, CALLER_SAYS)));
    let unheard = rig
        .verdicts
        .iter()
        .filter(|(_, leg, verdict)| *leg == HUMAN && matches!(verdict, Verdict::Drop(_)));
    assert_eq!(unheard.count(), 0, "none of the human's packets was thrown away");
    assert_conserved(&mut rig);
}

#[test]
fn a_leg_of_a_state_that_was_overtaken_while_it_waited_is_released() {
    let mut rig = Rig::new();
    let hold = || leg(CALLER, plays(1, &[HOLD], true));
    rig.set(spec(&[hold(), leg(AI, nobody())]));
    rig.run(100);
    for n in 0..6 {
        let human = LegId(2 + n);
        rig.set(spec(&[leg(CALLER, awaits(human, 500)), leg(human, hears(CALLER))]));
        rig.run(10);
        assert_eq!(
            rig.core.alive().legs,
            3,
            "the two in force, and the one that is waited for"
        );
    }
    rig.set(spec(&[hold(), leg(AI, nobody())]));
    assert_eq!(rig.core.alive().legs, 2);
    rig.run(1_000);
    assert_plays_on(&rig.heard(CALLER), HOLD);
    assert_conserved(&mut rig);
}

#[test]
fn two_rows_wait_for_two_legs_and_both_must_come() {
    let swap = |ms| {
        spec(&[
            leg(CALLER, awaits(HUMAN, ms)),
            leg(AI, awaits(CALLER, ms)),
            leg(HUMAN, nobody()),
        ])
    };
    let mut rig = Rig::new();
    rig.set(spec(&[
        leg(CALLER, plays(1, &[HOLD], true)),
        leg(AI, plays(2, &[HOLD], true)),
        leg(HUMAN, nobody()),
    ]));
    rig.run(105);
    let generation = rig.set(swap(500));
    rig.talk(HUMAN, 0, HUMAN_SAYS);
    rig.run(100);
    assert_eq!(rig.applied(generation), None);
    rig.talk(CALLER, 10, CALLER_SAYS);
    rig.run(100);
    // The last row changes with the packet of its own source.
    let applied = rig.applied(generation).unwrap();
    assert!((215 * MS..=235 * MS).contains(&applied), "{applied}");
    assert_unbroken(&rig.heard(CALLER), 22 * MS);
    assert_unbroken(&rig.heard(AI), 22 * MS);
    // One of them alone is not enough.
    let mut rig = Rig::new();
    rig.set(spec(&[
        leg(CALLER, plays(1, &[HOLD], true)),
        leg(AI, plays(2, &[HOLD], true)),
        leg(HUMAN, nobody()),
    ]));
    rig.talk(HUMAN, 0, HUMAN_SAYS);
    rig.run(105);
    let generation = rig.set(swap(500));
    rig.run(600);
    assert_eq!(rig.refused_silent(generation), Some(605 * MS));
    assert!(rig.heard(CALLER).iter().all(|sent| !is(sent, HUMAN_SAYS)));
}
