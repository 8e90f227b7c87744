//! Keys that a listener is told and that did not come in the audio of whom it hears.

use super::coders::assert_line;
use super::dtmf::Press;
use super::mixing::rig;
use super::*;
use crate::command::{Heard, Pressed};
use crate::dtmf::detect::{Detector, Key};
use crate::dtmf::{Event as Digit, code_of};
use crate::voice::tests::heard;

fn keys(keys: &str) -> ArrayVec<Pressed, 4> {
    let codes = keys.chars().map(|key| code_of(key).unwrap());
    (1..)
        .zip(codes)
        .map(|(number, code)| Pressed { number, code })
        .collect()
}

/// The AI hears the caller in this codec, with keys at this clock, and is told these.
fn told(codec: Codec, clock_hz: u32, row: Hears, pressed: &str) -> LegSpec {
    let mut ai = leg_in(AI, codec, row);
    ai.format.events = ai.format.events.map(|events| EventFormat { clock_hz, ..events });
    LegSpec {
        pressed: keys(pressed),
        ..ai
    }
}

/// Of what was sent, the keys: each with its timestamp, and its packets by marker and what they say.
fn events(sent: &[Sent]) -> Vec<(u32, Vec<(bool, Digit)>)> {
    let mut keys: Vec<(u32, Vec<(bool, Digit)>)> = Vec::new();
    for sent in sent.iter().filter(|sent| sent.header().payload_type == 101) {
        let header = sent.header();
        let said = (header.marker, Digit::parse(sent.payload()).unwrap());
        match keys.last_mut().filter(|(timestamp, _)| *timestamp == header.timestamp) {
            Some((_, packets)) => packets.push(said),
            None => keys.push((header.timestamp, vec![said])),
        }
    }
    keys
}

/// One key as RFC 4733 wants it: the marker on its first packet, durations that grow by a packet time up to 100 ms, the end three times.
fn assert_key(packets: &[(bool, Digit)], code: u8, clock_hz: u32) {
    let ms = |n: u32| (clock_hz / 1_000 * n) as u16;
    let said: Vec<_> = packets
        .iter()
        .map(|(marker, digit)| (*marker, digit.end, digit.duration))
        .collect();
    let ends = (false, true, ms(100));
    let grows = [20, 40, 60, 80].map(|n| (n == 20, false, ms(n)));
    assert_eq!(said, [&grows[..], &[ends; 3]].concat());
    assert!(
        packets
            .iter()
            .all(|(_, digit)| digit.code == code && digit.volume == 10)
    );
}

/// Sequence numbers have no break, and audio goes on where it would have been without the key.
fn assert_goes_on(sent: &[Sent], codec: Codec) {
    let mut audio: Option<Sent> = None;
    for pair in sent.windows(2) {
        assert_eq!(pair[1].header().sequence, pair[0].header().sequence.next());
        assert!(pair[1].at - pair[0].at <= 40 * MS, "a gap at {} ms", pair[1].at / MS);
    }
    for sent in sent.iter().filter(|sent| sent.header().payload_type == number(codec)) {
        if let Some(last) = audio.replace(sent.clone()) {
            let step = timestamp_distance(sent.header().timestamp, last.header().timestamp);
            let passed = ((sent.at - last.at + 10 * MS) / (20 * MS)) as i32;
            assert_eq!(step, passed * codec.ticks(20) as i32, "at {} ms", sent.at / MS);
        }
    }
}

#[test]
fn a_key_is_told_in_place_of_audio_whatever_is_heard_and_in_whatever_codec() {
    for codec in Codec::ALL {
        for clock_hz in [codec.clock_hz(), 8_000] {
            // Who is relayed or transcoded; who is silent; who is mixed.
            for how in 0..3 {
                let mut rig = rig();
                let row = match how {
                    2 => Hears {
                        legs: [Heard {
                            leg: CALLER,
                            gain_db: -6,
                        }]
                        .into_iter()
                        .collect(),
                        ..Hears::default()
                    },
                    _ => hears(CALLER),
                };
                let set = |pressed| spec(&[leg(CALLER, nobody()), told(codec, clock_hz, row.clone(), pressed)]);
                rig.set(set(""));
                if how != 1 {
                    rig.talk_in(CALLER, 3, Codec::Pcmu);
                }
                rig.run(500);
                rig.forget();
                rig.set(set("5"));
                rig.run(300);
                // The same again is none.
                rig.set(set("5"));
                rig.run(300);
                rig.set(set("5*"));
                rig.run(300);
                let sent = rig.heard(AI);
                assert_goes_on(&sent, codec);
                let keys = events(&sent);
                assert_eq!(keys.len(), 2, "{codec:?} {clock_hz} {how}");
                assert_key(&keys[0].1, 5, clock_hz);
                assert_key(&keys[1].1, 10, clock_hz);
                if how == 0 {
                    assert_eq!(
                        rig.core.counters().forwarded,
                        rig.talked,
                        "{codec:?}: no packet more, and none less"
                    );
                }
                assert_conserved(&mut rig);
            }
        }
    }
}

#[test]
fn who_has_no_telephone_event_hears_the_tone() {
    for (codec, says) in [
        (Codec::Pcmu, Codec::Pcmu),
        (Codec::Pcma, Codec::Pcmu),
        (Codec::L16Wide, Codec::Pcmu),
        (Codec::G722, Codec::Pcmu),
    ] {
        for talks in [true, false] {
            let mut rig = rig();
            let set = |pressed| {
                let mut ai = told(codec, 8_000, hears(CALLER), pressed);
                ai.format.events = None;
                spec(&[leg_in(CALLER, says, nobody()), ai])
            };
            rig.set(set(""));
            if talks {
                rig.talk(CALLER, 3, [0xff, 0xff]);
            }
            rig.run(200);
            rig.forget();
            rig.set(set("7"));
            rig.run(300);
            let sent = rig.heard(AI);
            assert_line(&sent, codec);
            let (mut detector, mut found) = (Detector::new(), String::new());
            let samples = heard(codec, sent.iter().map(Sent::payload));
            // Of 16 kHz.
            let narrow: Vec<i16> = samples.iter().step_by(2).copied().collect();
            for samples in narrow.chunks(160) {
                detector.heard(samples, |key| {
                    if let Key::Began(key) = key {
                        found.push(key);
                    }
                });
            }
            assert_eq!(found, "7", "{codec:?} {talks}");
            assert_conserved(&mut rig);
        }
    }
}

#[test]
fn keys_that_come_together_are_told_one_after_the_other() {
    let mut rig = rig();
    let set = |pressed| spec(&[leg(CALLER, nobody()), told(Codec::Pcmu, 8_000, hears(CALLER), pressed)]);
    rig.set(set(""));
    rig.talk_in(CALLER, 3, Codec::Pcmu);
    rig.run(100);
    rig.forget();
    rig.set(set("123#"));
    rig.run(1_000);
    let sent = rig.heard(AI);
    assert_goes_on(&sent, Codec::Pcmu);
    let codes: Vec<u8> = events(&sent).iter().map(|(_, packets)| packets[0].1.code).collect();
    assert_eq!(codes, [1, 2, 3, 11]);
    events(&sent)
        .iter()
        .for_each(|(_, packets)| assert_key(packets, packets[0].1.code, 8_000));
    assert_conserved(&mut rig);
}

/// Another source is heard while the key lasts: it ends with three packets, and none takes it for one that is too short.
#[test]
fn a_key_that_is_cut_short_ends() {
    let mut rig = rig();
    let set = |row, pressed| spec(&[leg(CALLER, nobody()), told(Codec::Pcmu, 8_000, row, pressed)]);
    rig.set(set(hears(CALLER), ""));
    rig.talk_in(CALLER, 3, Codec::Pcmu);
    rig.run(100);
    rig.forget();
    rig.set(set(hears(CALLER), "9"));
    rig.run(45);
    rig.set(set(plays(1, &[HOLD], true), "9"));
    rig.run(200);
    let sent = rig.heard(AI);
    assert_unbroken_numbers(&sent);
    let [(began, packets)] = &events(&sent)[..] else {
        panic!("one key")
    };
    let said: Vec<_> = packets.iter().map(|(_, digit)| (digit.end, digit.duration)).collect();
    assert_eq!(said[said.len() - 3..], [(true, 800); 3]);
    assert!(
        said.len() < 7 && said[..said.len() - 3].iter().all(|(end, _)| !end),
        "{said:?}"
    );
    let after = sent
        .iter()
        .find(|sent| sent.header().payload_type == 0 && sent.at > packets.len() as u64);
    let after = sent
        .iter()
        .rposition(|sent| sent.header().payload_type == 101)
        .map(|last| &sent[last + 1])
        .or(after);
    assert!(timestamp_distance(after.unwrap().header().timestamp, *began) >= 800);
    assert_conserved(&mut rig);
}

fn assert_unbroken_numbers(sent: &[Sent]) {
    for pair in sent.windows(2) {
        assert_eq!(pair[1].header().sequence, pair[0].header().sequence.next());
    }
}

/// There are telephones that tell a key in their audio and in INFO, too.
#[test]
fn a_key_that_came_in_the_audio_as_well_is_one_key() {
    for (audio, after) in [("5", true), ("5", false), ("6", true)] {
        let mut rig = rig();
        let set = |pressed| spec(&[leg(CALLER, nobody()), told(Codec::Pcmu, 8_000, hears(CALLER), pressed)]);
        rig.set(set(""));
        rig.talk_in(CALLER, 0, Codec::Pcmu);
        rig.run(100);
        rig.forget();
        let code = code_of(audio.chars().next().unwrap()).unwrap();
        if after {
            Press::whole(&mut rig, CALLER, code, 5);
            rig.set(set("5"));
        } else {
            rig.set(set("5"));
            rig.run(200);
            Press::whole(&mut rig, CALLER, code, 5);
        }
        rig.run(400);
        let sent = rig.heard(AI);
        assert_unbroken_numbers(&sent);
        let keys = events(&sent);
        assert_eq!(keys.len(), 1 + usize::from(audio != "5"), "{audio} {after}");
        assert_conserved(&mut rig);
    }
}
