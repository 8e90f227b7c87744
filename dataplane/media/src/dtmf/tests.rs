use proptest::prelude::*;

use super::*;
use crate::codec::g711;

#[test]
fn reads_the_payload_of_rfc_4733() {
    let event = Event {
        code: 11,
        end: true,
        volume: 10,
        duration: 0x0320,
    };
    assert_eq!(Event::parse(&[11, 0x8a, 0x03, 0x20]), Some(event));
    assert_eq!(event.write(), [11, 0x8a, 0x03, 0x20]);
    // The reserved bit is ignored (§2.3.3), and so is what follows.
    assert_eq!(Event::parse(&[11, 0xca, 0x03, 0x20, 9, 9]), Some(event));
    assert_eq!(Event::parse(&[11, 0x8a, 0x03]), None);
}

#[test]
fn codes_and_keys_agree() {
    for (code, digit) in "0123456789*#ABCD".chars().enumerate() {
        let code = code as u8;
        assert_eq!(code_of(digit), Some(code));
        assert_eq!(
            Event {
                code,
                end: false,
                volume: 0,
                duration: 0
            }
            .digit(),
            Some(digit)
        );
    }
    for stranger in ['a', 'E', ' ', '٣'] {
        assert_eq!(code_of(stranger), None);
    }
    // 16 is a flash hook.
    assert_eq!(
        Event {
            code: 16,
            end: false,
            volume: 0,
            duration: 0
        }
        .digit(),
        None
    );
    assert_eq!(Tone::of(16), None);
}

/// Power of one frequency, as the mean square of a sine that would have it (Goertzel).
fn power(samples: &[i16], hz: f64) -> f64 {
    let w = std::f64::consts::TAU * hz / 8000.0;
    let (mut a, mut b) = (0.0, 0.0);
    for &sample in samples {
        (a, b) = (f64::from(sample) + 2.0 * w.cos() * a - b, a);
    }
    2.0 * (a * a + b * b - 2.0 * w.cos() * a * b) / (samples.len() as f64).powi(2)
}

fn level(samples: &[i16], hz: f64) -> f64 {
    g711::dbm0(power(samples, hz) as u32)
}

const ALL: [f64; 8] = [697.0, 770.0, 852.0, 941.0, 1209.0, 1336.0, 1477.0, 1633.0];

/// ITU-T Q.23: rows 697, 770, 852, 941 Hz, columns 1209, 1336, 1477, 1633 Hz.
fn frequencies(digit: char) -> (f64, f64) {
    let rows = ["123A", "456B", "789C", "*0#D"];
    let row = rows.iter().position(|row| row.contains(digit)).unwrap();
    (ALL[row], ALL[4 + rows[row].find(digit).unwrap()])
}

#[test]
fn each_key_sounds_with_its_two_frequencies_and_no_other() {
    for digit in "0123456789*#ABCD".chars() {
        let tone = Tone::of(code_of(digit).unwrap()).unwrap();
        let mut samples = [0; 1600];
        tone.fill(Band::Narrow, 0, &mut samples);
        let (low, high) = frequencies(digit);
        for hz in ALL {
            let level = level(&samples, hz);
            if hz == low {
                assert!((level + 11.0).abs() < 0.1, "{digit}: {hz} Hz at {level}");
            } else if hz == high {
                assert!((level + 9.0).abs() < 0.1, "{digit}: {hz} Hz at {level}");
            } else {
                assert!(level < -30.0, "{digit}: {hz} Hz at {level}");
            }
        }
    }
}

#[test]
fn the_encoded_tone_has_both_frequencies_at_minus_seven_together() {
    for law in Law::ALL {
        let mut payload = [0; 800];
        Tone::of(5).unwrap().encode(law, 12_345, &mut payload);
        assert!((g711::dbm0(law.mean_square(&payload)) + 6.9).abs() < 0.2);
        let mut samples = [0; 800];
        law.decode(&payload, &mut samples);
        assert!((level(&samples, 770.0) + 11.0).abs() < 0.2);
        assert!((level(&samples, 1336.0) + 9.0).abs() < 0.2);
        assert!(level(&samples, 941.0) < -30.0);
    }
}

proptest! {
    #[test]
    fn pieces_join_without_a_seam(code in 0u8..16, offset: u32, cut in 0usize..400) {
        let tone = Tone::of(code).unwrap();
        let mut whole = [0; 400];
        tone.fill(Band::Narrow, offset, &mut whole);
        let mut pieces = [0; 400];
        let (first, second) = pieces.split_at_mut(cut);
        tone.fill(Band::Narrow, offset, first);
        tone.fill(Band::Narrow, offset.wrapping_add(cut as u32), second);
        prop_assert_eq!(whole, pieces);
    }

    #[test]
    fn reads_what_it_writes(code: u8, end: bool, volume in 0u8..64, duration: u16) {
        let event = Event { code, end, volume, duration };
        prop_assert_eq!(Event::parse(&event.write()), Some(event));
    }

    #[test]
    fn never_panics(payload in proptest::collection::vec(any::<u8>(), 0..12)) {
        prop_assert_eq!(Event::parse(&payload).is_some(), payload.len() >= EVENT);
    }
}
