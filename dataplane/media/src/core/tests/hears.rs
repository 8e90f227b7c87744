//! Every row of the table.

use super::*;
use crate::codec::g711::Law;

#[test]
fn one_leg_is_relayed_in_the_same_packet_and_keeps_its_own_sequence() {
    let mut rig = Rig::new();
    rig.set(spec(&[leg(CALLER, hears(AI)), leg(AI, hears(CALLER))]));
    rig.talk(AI, 0, LOUD);
    rig.talk(CALLER, 7, [0x55, 0xd5]);
    rig.run(1_000);
    let caller = rig.heard(CALLER);
    assert_eq!(caller.len(), 50);
    assert_unbroken(&caller, 20 * MS);
    assert!(caller[0].header().marker && caller[1..].iter().all(|sent| !sent.header().marker));
    assert!(
        caller
            .iter()
            .all(|sent| sent.to == remote(CALLER) && sent.payload() == rig.talkers[0].payload)
    );
    let ai = rig.heard(AI);
    assert_eq!(ai.len(), 50);
    assert!(
        ai.iter()
            .all(|sent| sent.to == remote(AI) && sent.payload() == rig.talkers[1].payload)
    );
    assert_ne!(ai[0].header().ssrc, caller[0].header().ssrc);
    assert!(
        rig.verdicts
            .iter()
            .all(|(_, _, verdict)| matches!(verdict, Verdict::Send { .. }))
    );
    assert_eq!(rig.core.counters().forwarded, 100);
    assert_conserved(&mut rig);
}

#[test]
fn another_codec_is_transcoded_on_arrival() {
    let mut rig = Rig::new();
    let mut caller = leg(CALLER, hears(AI));
    caller.format = Format {
        codec: Codec::Pcma,
        send: 8,
        receive: 8,
        events: None,
        comfort_noise: None,
    };
    rig.set(spec(&[caller, leg(AI, nobody())]));
    rig.talk(AI, 0, LOUD);
    rig.run(200);
    let mut expected = rig.talkers[0].payload.clone();
    Law::Mu.transcode(Law::A, &mut expected);
    let heard = rig.heard(CALLER);
    assert_eq!(heard.len(), 10);
    assert!(
        heard
            .iter()
            .all(|sent| sent.header().payload_type == 8 && sent.payload() == expected)
    );
    assert_eq!(rig.core.counters().transcoded, 10);
}

#[test]
fn prompts_are_played_in_order_then_comfort_noise_follows() {
    let mut rig = Rig::new();
    rig.set(spec(&[leg(CALLER, plays(1, &[SHORT, BRIEF], false))]));
    rig.run(1_000);
    let heard = rig.heard(CALLER);
    assert_eq!(heard.len(), 50);
    assert_unbroken(&heard, 20 * MS);
    let audio: Vec<u8> = heard.iter().flat_map(|sent| sent.payload().to_vec()).collect();
    let library = prompts();
    let expected = [SHORT, BRIEF].map(|id| library.encoded(id, Law::Mu).unwrap()).concat();
    assert_eq!(audio[..expected.len()], expected);
    assert!(Law::Mu.mean_square(&audio[expected.len()..]) < crate::codec::g711::BELOW_50_DBM0);
    let played = rig.events.iter().filter_map(|(at, event)| match event {
        Event::Played {
            leg: CALLER,
            play: PlayId(1),
            item,
            ..
        } => Some((*item, *at / MS)),
        _ => None,
    });
    let played: Vec<_> = played.collect();
    // 240 samples end in the second packet, 4,240 in the 27th.
    assert_eq!(played, [(0, 20), (1, 520)]);
    assert_conserved(&mut rig);
}

#[test]
fn the_last_prompt_is_repeated_without_a_seam_and_its_end_is_told_once() {
    let mut rig = Rig::new();
    rig.set(spec(&[leg(CALLER, plays(1, &[SHORT], true))]));
    rig.run(600);
    let audio: Vec<u8> = rig
        .heard(CALLER)
        .iter()
        .flat_map(|sent| sent.payload().to_vec())
        .collect();
    let library = prompts();
    let short = library.encoded(SHORT, Law::Mu).unwrap();
    assert_eq!(audio.len(), 4_800);
    assert!(audio.chunks(240).all(|chunk| chunk == short));
    assert_eq!(
        rig.events
            .iter()
            .filter(|(_, event)| matches!(event, Event::Played { .. }))
            .count(),
        1
    );
}

#[test]
fn the_same_play_keeps_its_position_through_later_sets() {
    let mut rig = Rig::new();
    rig.set(spec(&[leg(CALLER, plays(1, &[HOLD], false)), leg(AI, nobody())]));
    rig.run(300);
    rig.set(spec(&[leg(CALLER, plays(1, &[HOLD], false))]));
    rig.run(300);
    let mut both = plays(1, &[HOLD], false);
    both.legs.push(HUMAN.into());
    rig.set(spec(&[leg(CALLER, both), leg(HUMAN, nobody())]));
    rig.run(400);
    let heard = rig.heard(CALLER);
    assert_unbroken(&heard, 20 * MS);
    let audio: Vec<u8> = heard.iter().flat_map(|sent| sent.payload().to_vec()).collect();
    assert_eq!(audio, prompts().encoded(HOLD, Law::Mu).unwrap());
}

/// What each packet's timestamp is ahead of the one before, and whether it has the marker.
fn steps(heard: &[Sent]) -> Vec<(i32, bool)> {
    let step = |pair: &[Sent]| {
        let (before, header) = (pair[0].header(), pair[1].header());
        (timestamp_distance(header.timestamp, before.timestamp), header.marker)
    };
    heard.windows(2).map(step).collect()
}

#[test]
fn a_set_that_comes_before_a_late_tick_does_not_shift_the_clock_of_what_is_played() {
    for row in [plays(1, &[HOLD], true), nobody(), hears(AI)] {
        let mut rig = Rig::new();
        rig.set(spec(&[leg(CALLER, row.clone()), leg(AI, nobody())]));
        for _ in 0..20 {
            rig.run(100);
            // One frame is due since 27 ms, another since 7; the command comes first.
            rig.now += 27 * MS;
            rig.set(spec(&[leg(CALLER, row.clone()), leg(AI, nobody())]));
            rig.run(33);
        }
        let heard = rig.heard(CALLER);
        assert_eq!(heard.len(), if row == hears(AI) { 157 } else { 160 });
        assert!(
            steps(&heard).iter().all(|step| *step == (160, false)),
            "{:?}",
            steps(&heard)
        );
        assert_unbroken(&heard, 47 * MS);
    }
}

#[test]
fn a_stall_of_the_host_is_a_pause_with_a_marker_and_what_is_played_goes_on() {
    let mut rig = Rig::new();
    rig.set(spec(&[leg(CALLER, plays(1, &[HOLD], false))]));
    rig.run(110);
    rig.now += 75 * MS;
    rig.run(815);
    let heard = rig.heard(CALLER);
    let steps = steps(&heard);
    // The packet of 120 ms is late by 65 ms.
    assert_eq!((heard[5].at, heard[6].at), (100 * MS, 185 * MS));
    assert_eq!((steps[5], steps[6]), ((85 * 8, true), (160, false)));
    assert_eq!(
        steps.iter().filter(|step| **step == (160, false)).count(),
        steps.len() - 1
    );
    let audio: Vec<u8> = heard.iter().flat_map(|sent| sent.payload().to_vec()).collect();
    let library = prompts();
    assert_eq!(audio, library.encoded(HOLD, Law::Mu).unwrap()[..audio.len()]);
}

#[test]
fn a_play_that_was_heard_to_its_end_does_not_start_again() {
    let mut rig = Rig::new();
    rig.set(spec(&[leg(CALLER, plays(1, &[SHORT], false))]));
    rig.run(100);
    rig.set(spec(&[leg(CALLER, plays(1, &[SHORT], false))]));
    rig.forget();
    rig.run(100);
    assert!(
        rig.heard(CALLER)
            .iter()
            .all(|sent| Law::Mu.mean_square(sent.payload()) < 2_604)
    );
    assert!(rig.events.is_empty());
}

#[test]
fn after_the_prompts_the_leg_of_the_row_is_heard_from_its_next_packet_on() {
    for phase in 0..20 {
        let mut rig = Rig::new();
        let mut row = plays(1, &[BRIEF], false);
        row.legs.push(AI.into());
        rig.set(spec(&[leg(CALLER, row), leg(AI, nobody())]));
        rig.talk(AI, phase, LOUD);
        rig.run(1_000);
        let heard = rig.heard(CALLER);
        assert_unbroken(&heard, 40 * MS);
        let first = heard
            .iter()
            .position(|sent| sent.payload() == rig.talkers[0].payload)
            .unwrap();
        assert_eq!(first, 25, "the prompt is 25 packets long");
        assert!(heard[first].header().marker);
        assert!(heard[first].at - heard[first - 1].at <= 20 * MS);
        assert!(
            heard[first..]
                .iter()
                .all(|sent| sent.payload() == rig.talkers[0].payload)
        );
    }
}

#[test]
fn an_empty_row_gets_comfort_noise_on_its_own_tick() {
    let mut rig = Rig::new();
    let mut ai = leg(AI, nobody());
    ai.ptime_ms = 30;
    rig.set(spec(&[leg(CALLER, hears(AI)), ai]));
    rig.run(300);
    let heard = rig.heard(AI);
    assert_eq!(heard.len(), 10);
    assert_unbroken(&heard, 30 * MS);
    assert!(heard.iter().all(|sent| sent.payload().len() == 240));
    let audio: Vec<u8> = heard.iter().flat_map(|sent| sent.payload().to_vec()).collect();
    let level = Law::Mu.mean_square(&audio);
    assert!(level > 50 && level < crate::codec::g711::BELOW_50_DBM0, "{level}");
}

#[test]
fn comfort_noise_stands_in_for_a_source_that_is_silent_for_60_ms_until_it_resumes() {
    let mut rig = Rig::new();
    rig.set(spec(&[leg(CALLER, hears(AI)), leg(AI, nobody())]));
    rig.talk(AI, 0, LOUD);
    rig.run(101);
    rig.hush(AI);
    rig.run(199);
    rig.talker(AI).until = u64::MAX;
    rig.talker(AI).next = 310 * MS;
    // Its timestamps went on while it was silent, its sequence did not (RFC 3551 §4.1).
    rig.talker(AI).header.timestamp += 190 * 8;
    rig.run(200);
    let heard = rig.heard(CALLER);
    let at: Vec<u64> = heard.iter().map(|sent| sent.at / MS).take(18).collect();
    assert_eq!(at[..6], [0, 20, 40, 60, 80, 100]);
    assert_eq!(at[6..14], [160, 180, 200, 220, 240, 260, 280, 300]);
    assert_eq!(at[14..17], [310, 330, 350]);
    assert_unbroken(&heard, 60 * MS);
    assert!(heard[14].header().marker);
    // On the line 300 ms were 310 − 10 of overlap.
    assert_eq!(
        timestamp_distance(heard[13].header().timestamp, heard[5].header().timestamp),
        1_600
    );
    assert_eq!(
        timestamp_distance(heard[14].header().timestamp, heard[13].header().timestamp),
        160
    );
}

#[test]
fn who_is_not_known_yet_or_holds_us_is_sent_nothing() {
    let mut rig = Rig::new();
    let mut caller = leg(CALLER, hears(AI));
    caller.send = false;
    let mut human = leg(HUMAN, plays(1, &[HOLD], true));
    human.remote = None;
    rig.set(spec(&[caller, leg(AI, nobody()), human]));
    rig.talk(AI, 0, LOUD);
    rig.run(200);
    assert!(rig.heard(CALLER).is_empty() && rig.heard(HUMAN).is_empty());
    assert_eq!(rig.dropped(Reason::NotSending), 10);
    rig.set(spec(&[
        leg(CALLER, hears(AI)),
        leg(AI, nobody()),
        leg(HUMAN, plays(1, &[HOLD], true)),
    ]));
    rig.run(200);
    assert_eq!((rig.heard(CALLER).len(), rig.heard(HUMAN).len()), (10, 10));
    assert_conserved(&mut rig);
}

#[test]
fn two_listeners_of_one_source_get_one_packet_each() {
    let mut rig = Rig::new();
    rig.set(spec(&[
        leg(CALLER, nobody()),
        leg(AI, hears(CALLER)),
        leg(HUMAN, hears(CALLER)),
    ]));
    rig.talk(CALLER, 0, LOUD);
    rig.run(200);
    for listener in [AI, HUMAN] {
        let heard = rig.heard(listener);
        assert_eq!(heard.len(), 10);
        assert_unbroken(&heard, 20 * MS);
        assert!(
            heard
                .iter()
                .all(|sent| sent.payload() == rig.talkers[0].payload && sent.to == remote(listener))
        );
    }
    assert_conserved(&mut rig);
}

#[test]
fn contributing_sources_extension_and_padding_are_taken_out() {
    let mut rig = Rig::new();
    let mut caller = leg(CALLER, hears(AI));
    caller.format.send = 96;
    rig.set(spec(&[caller, leg(AI, nobody())]));
    let mut bytes = vec![0xb1, 0x00, 0, 9, 0, 0, 0, 9, 0, 0, 0, 9];
    bytes.extend([1, 2, 3, 4]);
    bytes.extend([0xbe, 0xde, 0, 1, 5, 6, 7, 8]);
    bytes.extend([0x2a; 80]);
    bytes.extend([0, 0, 0, 4]);
    assert!(matches!(
        rig.datagram(port(AI), remote(AI), &bytes),
        Verdict::Send { len: 92, .. }
    ));
    let heard = rig.heard(CALLER);
    assert_eq!((heard[0].bytes[0], heard[0].header().payload_type), (0x80, 96));
    assert_eq!(heard[0].payload(), [0x2a; 80]);
}

#[test]
fn a_second_listener_with_another_codec_and_no_events_gets_its_own_copy() {
    let mut rig = Rig::new();
    let mut ai = leg(AI, hears(CALLER));
    ai.format = Format {
        codec: Codec::Pcma,
        send: 8,
        receive: 8,
        events: None,
        comfort_noise: None,
    };
    rig.set(spec(&[leg(CALLER, nobody()), ai, leg(HUMAN, hears(CALLER))]));
    rig.talk(CALLER, 0, LOUD);
    rig.run(95);
    let digit = Header {
        payload_type: 101,
        ..rig.talkers[0].header
    };
    rig.packet(CALLER, &digit, &[5, 10, 0, 160]);
    let (ai, human) = (rig.heard(AI), rig.heard(HUMAN));
    assert_eq!((ai.len(), human.len()), (6, 6));
    assert_eq!((ai[5].header().payload_type, ai[5].payload().len()), (8, 160));
    assert_eq!(
        (human[5].header().payload_type, human[5].payload()),
        (101, &[5, 10, 0, 160][..])
    );
    assert_unbroken(&ai, 20 * MS);
}

#[test]
fn a_play_that_was_about_to_give_way_and_did_not_is_the_same_play() {
    let mut rig = Rig::new();
    let state = |row: Hears| spec(&[leg(CALLER, row), leg(AI, nobody())]);
    rig.talk(AI, 15, LOUD);
    rig.set(state(plays(1, &[BRIEF], false)));
    rig.run(101);
    rig.set(state(hears(AI)));
    rig.set(state(plays(1, &[BRIEF], false)));
    rig.run(600);
    // Heard to its end: the same id does not begin again.
    let generation = rig.set(state(plays(1, &[BRIEF], false)));
    rig.forget();
    rig.run(100);
    let heard = rig.heard(CALLER);
    assert!(
        heard
            .iter()
            .all(|sent| Law::Mu.mean_square(sent.payload()) < crate::codec::g711::BELOW_50_DBM0)
    );
    assert_eq!(rig.applied(generation), None, "said before, and once");
}

#[test]
fn applied_is_said_once_also_when_the_prompts_end_later() {
    let mut rig = Rig::new();
    let mut row = plays(1, &[SHORT], false);
    row.legs.push(AI.into());
    let generation = rig.set(spec(&[leg(CALLER, row), leg(AI, nobody())]));
    rig.talk(AI, 0, LOUD);
    rig.run(200);
    let said = rig
        .events
        .iter()
        .filter(|(_, event)| matches!(event, Event::Applied { .. }))
        .count();
    assert_eq!((said, rig.applied(generation)), (1, Some(0)));
}
