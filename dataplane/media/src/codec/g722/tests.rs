use std::f64::consts::TAU;

use super::*;
use crate::codec::vectors::{digest, first_difference, vector};

const MODES: [Mode; 3] = [Mode::Kbit64, Mode::Kbit56, Mode::Kbit48];

fn encode(samples: &[i16]) -> Vec<u8> {
    let mut payload = vec![0; samples.len() / 2];
    assert_eq!(Encoder::new().encode(samples, &mut payload), payload.len());
    payload
}

fn decode(mode: Mode, payload: &[u8]) -> Vec<i16> {
    let mut samples = vec![0; payload.len() * 2];
    assert_eq!(Decoder::new().decode(mode, payload, &mut samples), samples.len());
    samples
}

/// Two codes a word, the earlier in the higher byte.
fn unpacked(words: &[i16]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_be_bytes()).collect()
}

#[test]
fn the_encoder_is_bit_exact_to_the_vectors() {
    let (Some(source), Some(wide), Some(packed)) = (vector("inpsp.bin"), vector("codspw.cod"), vector("codsp.cod"))
    else {
        return;
    };
    assert_eq!(source.len(), 97_536);
    let ours = encode(&source);
    let wide: Vec<u8> = wide.iter().map(|&word| word as u8).collect();
    assert_eq!(first_difference(&ours, &wide), None);
    assert_eq!(first_difference(&ours, &unpacked(&packed)), None);
}

#[test]
fn the_decoder_is_bit_exact_to_the_vectors_in_all_modes() {
    let Some(packed) = vector("codsp.cod") else {
        return;
    };
    for (mode, name) in MODES.into_iter().zip(["outsp1.bin", "outsp2.bin", "outsp3.bin"]) {
        let Some(expected) = vector(name) else {
            return;
        };
        let ours = decode(mode, &unpacked(&packed));
        assert_eq!(first_difference(&ours, &expected), None, "{name}");
    }
}

/// Whole numbers only, so that every machine makes the same.
struct Random(u32);

impl Random {
    fn next(&mut self) -> u32 {
        self.0 = self.0.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        self.0 >> 16
    }
}

/// Four seconds that meet every part of the codec: silence, a rising triangle, noise from soft to the loudest, squares
/// of full scale.
fn everything() -> Vec<i16> {
    let mut random = Random(7);
    let silence = [0; 1600];
    let triangle = (0..30_000i64).map(|at| {
        let phase = at * at / 90 % 40_000;
        ((phase - 20_000).abs() - 10_000) as i16
    });
    let noise: Vec<i16> = (0..16_000)
        .map(|at| (random.next() as i16) >> (15 - at / 1000))
        .collect();
    let squares = (0..16_000).map(|at| if at * at / 20_000 % 2 == 0 { i16::MAX } else { i16::MIN });
    silence
        .into_iter()
        .chain(triangle)
        .chain(noise)
        .chain(squares)
        .collect()
}

/// Digests of what we make of that and of bytes that no encoder would send, taken in a run in which the vectors passed.
#[test]
fn codes_and_samples_as_when_the_vectors_passed() {
    let codes = encode(&everything());
    let mut random = Random(9);
    let any: Vec<u8> = (0..20_000).map(|_| random.next() as u8).collect();
    let decoded = |codes: &[u8]| MODES.map(|mode| digest(decode(mode, codes).into_iter().flat_map(i16::to_le_bytes)));
    assert_eq!(digest(codes.iter().copied()), 0xaa40_02e4_5a4d_ba3e);
    assert_eq!(
        decoded(&codes),
        [0x5445_e472_5ad9_d304, 0x2ccb_deb5_373f_c15b, 0x07de_c7b7_f685_11b4]
    );
    assert_eq!(
        decoded(&any),
        [0x0013_2d19_21dc_84c5, 0xbbee_3161_5067_9cfa, 0x1cdd_6750_de00_1516]
    );
}

/// Signal to noise, dB, once the codec has settled and with its delay of 22 samples taken out.
fn quality(mode: Mode, signal: &[i16]) -> f64 {
    let heard = decode(mode, &encode(signal));
    let (mut power, mut noise) = (0.0, 0.0);
    for (&said, &heard) in signal.iter().zip(&heard[22..]).skip(800) {
        power += f64::from(said).powi(2);
        noise += (f64::from(said) - f64::from(heard)).powi(2);
    }
    10.0 * (power / noise).log10()
}

#[test]
fn tones_and_a_chirp_come_out_as_they_went_in() {
    let wave = |phase: &dyn Fn(f64) -> f64| -> Vec<i16> {
        (0..32_000)
            .map(|at| (8000.0 * (TAU * phase(f64::from(at) / 16_000.0)).sin()).round() as i16)
            .collect()
    };
    // In dB, by mode. The higher band has the same two bits in all of them.
    for (hz, least) in [
        (300.0, [60.0, 56.0, 50.0]),
        (1000.0, [46.0, 40.0, 34.0]),
        (3000.0, [40.0, 37.0, 33.0]),
        (6000.0, [26.0; 3]),
    ] {
        for (mode, least) in MODES.into_iter().zip(least) {
            let quality = quality(mode, &wave(&|time| hz * time));
            assert!(quality > least, "{hz} Hz, {mode:?}: {quality} dB");
        }
    }
    // From 100 to 7000 Hz within two seconds.
    let chirp = wave(&|time| 100.0 * time + 1725.0 * time * time);
    for mode in MODES {
        let quality = quality(mode, &chirp);
        assert!(quality > 26.0, "{mode:?}: {quality} dB");
    }
}

#[test]
fn any_split_of_the_input_gives_the_same() {
    let input = everything();
    let codes = encode(&input);
    for mode in MODES {
        let samples = decode(mode, &codes);
        for most in [1, 2, 3, 31, 32, 33, 160, 161, 333] {
            let mut buffer = vec![0; 2 * most + 1];
            let (mut decoder, mut ours, mut rest) = (Decoder::new(), Vec::new(), codes.as_slice());
            while !rest.is_empty() {
                let written = decoder.decode(mode, &rest[..most.min(rest.len())], &mut buffer);
                ours.extend_from_slice(&buffer[..written]);
                rest = &rest[written / 2..];
            }
            assert_eq!(ours, samples, "{mode:?} by {most}");
        }
    }
    for most in [2, 3, 4, 63, 64, 65, 320, 321, 333] {
        let mut buffer = vec![0; most];
        let (mut encoder, mut ours, mut rest) = (Encoder::new(), Vec::new(), input.as_slice());
        while !rest.is_empty() {
            // What is left over of an odd number comes again.
            let written = encoder.encode(&rest[..most.min(rest.len())], &mut buffer);
            ours.extend_from_slice(&buffer[..written]);
            rest = &rest[written * 2..];
        }
        assert_eq!(ours, codes, "by {most}");
    }
}

#[test]
fn the_smaller_slice_decides() {
    let input = everything();
    let codes = encode(&input[1600..1800]);
    let mut payload = [7; 100];
    assert_eq!(Encoder::new().encode(&input[1600..1605], &mut payload), 2);
    assert_eq!((&payload[..2], payload[2]), (&codes[..2], 7));
    assert_eq!(Encoder::new().encode(&input[1600..], &mut payload[..41]), 41);
    assert_eq!((&payload[..41], payload[41]), (&codes[..41], 7));
    assert_eq!(Encoder::new().encode(&input[..1], &mut payload), 0);
    assert_eq!(Encoder::new().encode(&[], &mut payload), 0);
    assert_eq!(Encoder::new().encode(&input, &mut []), 0);

    let decoded = decode(Mode::Kbit64, &codes);
    let mut samples = [7; 100];
    assert_eq!(Decoder::new().decode(Mode::Kbit64, &codes, &mut samples[..81]), 80);
    assert_eq!((&samples[..80], samples[80]), (&decoded[..80], 7));
    assert_eq!(Decoder::new().decode(Mode::Kbit64, &codes[..20], &mut samples), 40);
    assert_eq!((&samples[..40], samples[80]), (&decoded[..40], 7));
    assert_eq!(Decoder::new().decode(Mode::Kbit64, &codes, &mut samples[..1]), 0);
    assert_eq!(Decoder::new().decode(Mode::Kbit64, &[], &mut samples), 0);
    assert_eq!(Decoder::new().decode(Mode::Kbit64, &codes, &mut []), 0);
}
