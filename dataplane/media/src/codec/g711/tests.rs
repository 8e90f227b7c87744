use super::*;
use crate::codec::vectors::{digest, first_difference, vector};

fn check(law: Law, coded: &str, decoded: &str, tandem: &str) {
    let (Some(source), Some(coded), Some(decoded), Some(tandem)) =
        (vector("sweep.src"), vector(coded), vector(decoded), vector(tandem))
    else {
        return;
    };
    assert_eq!(source.len(), 65_536);
    let mut codes = vec![0; source.len()];
    assert_eq!(law.encode(&source, &mut codes), source.len());
    let expected: Vec<u8> = coded.iter().map(|&word| word as u8).collect();
    assert_eq!(first_difference(&codes, &expected), None);

    let mut samples = vec![0; codes.len()];
    assert_eq!(law.decode(&codes, &mut samples), codes.len());
    assert_eq!(first_difference(&samples, &decoded), None);

    // The tandem vector: what was decoded, coded and decoded once more.
    law.encode(&samples, &mut codes);
    law.decode(&codes, &mut samples);
    assert_eq!(first_difference(&samples, &tandem), None);
}

#[test]
fn mu_law_is_bit_exact_to_the_vectors() {
    check(Law::Mu, "sweep-r.u", "sweep-r.reu", "sweep-r.u-u");
}

#[test]
fn a_law_is_bit_exact_to_the_vectors() {
    check(Law::A, "sweep-r.a", "sweep-r.rea", "sweep-r.a-a");
}

/// Digests of what we make of every sample and every code, taken in a run in which the vectors passed.
#[test]
fn every_sample_and_every_code_as_when_the_vectors_passed() {
    let encoded = |encode: fn(i16) -> u8| digest((i16::MIN..=i16::MAX).map(encode));
    let decoded = |decode: fn(u8) -> i16| digest((0..=u8::MAX).flat_map(|code| decode(code).to_le_bytes()));
    assert_eq!(
        [
            encoded(encode_ulaw),
            encoded(encode_alaw),
            decoded(decode_ulaw),
            decoded(decode_alaw)
        ],
        [
            0x04ec_1f08_3fd7_8c2d,
            0xf030_666e_b780_cf25,
            0xb91e_65d6_8481_a1a8,
            0x693a_40ca_62a3_d2a5
        ]
    );
    assert_eq!(
        [digest(ULAW_TO_ALAW), digest(ALAW_TO_ULAW)],
        [0x6af1_43f5_90f3_15c1, 0x3727_785c_912e_af25]
    );
}

/// The decoder output value number of a µ-law code, 0 to 127, as Tables 2 to 4 count.
fn ulaw_number(code: u8) -> u8 {
    !code & 0x7f
}

/// The decoder output value number of an A-law code, 1 to 128.
fn alaw_number(code: u8) -> u8 {
    ((code ^ 0x55) & 0x7f) + 1
}

/// What Note 3 to Tables 3 and 4 promises, and how far the tables are from a conversion through linear samples.
#[test]
fn direct_conversion_has_the_properties_of_tables_3_and_4() {
    let mut differ = (0, 0);
    for code in 0..=u8::MAX {
        let alaw = ULAW_TO_ALAW[usize::from(code)];
        let ulaw = ALAW_TO_ULAW[usize::from(code)];
        assert_eq!((alaw & 0x80, ulaw & 0x80), (code & 0x80, code & 0x80), "the sign stays");
        differ.0 += u32::from(alaw != encode_alaw(decode_ulaw(code)));
        differ.1 += u32::from(ulaw != encode_ulaw(decode_alaw(code)));
        // A–µ–A keeps bits 1 to 7: only the last may change.
        let again = ULAW_TO_ALAW[usize::from(ulaw)];
        assert_eq!(again >> 1, code >> 1, "A-law {code:#04x}");
        // No value strays further than a step of the coarser law, which is under 1/8.
        let (from, to) = (i32::from(decode_ulaw(code)), i32::from(decode_alaw(alaw)));
        assert!((from - to).abs() <= (from.abs() / 8).max(12), "{from} became {to}");
        let (from, to) = (i32::from(decode_alaw(code)), i32::from(decode_ulaw(ulaw)));
        assert!((from - to).abs() <= (from.abs() / 16).max(8), "{from} became {to}");
    }
    assert_eq!(differ, (46, 34));

    // The two values that Note 3 names.
    let ulaw_80 = (0..=u8::MAX).find(|&code| ulaw_number(code) == 80);
    assert_eq!(
        ulaw_80.map(|code| alaw_number(ULAW_TO_ALAW[usize::from(code)])),
        Some(81)
    );
    let alaw_80 = (0..=u8::MAX).find(|&code| alaw_number(code) == 80);
    assert_eq!(
        alaw_80.map(|code| ulaw_number(ALAW_TO_ULAW[usize::from(code)])),
        Some(79)
    );
}

#[test]
fn conversion_rises_with_the_value() {
    let mut alaw: Vec<u8> = (0..128)
        .map(|number: u8| ULAW_TO_ALAW[usize::from(!number & 0x7f)])
        .collect();
    alaw.iter_mut().for_each(|code| *code = alaw_number(*code));
    assert!(alaw.is_sorted());
    assert_eq!((alaw[0], alaw[127]), (1, 128));
    let ulaw: Vec<u8> = (0..128)
        .map(|number: u8| ulaw_number(ALAW_TO_ULAW[usize::from(number ^ 0x55)]))
        .collect();
    assert!(ulaw.is_sorted());
    assert_eq!((ulaw[0], ulaw[127]), (1, 127));
}

#[test]
fn transcodes_in_place() {
    let mut payload: Vec<u8> = (0..=u8::MAX).collect();
    Law::Mu.transcode(Law::A, &mut payload);
    assert_eq!(payload, ULAW_TO_ALAW);
    let mut payload: Vec<u8> = (0..=u8::MAX).collect();
    Law::A.transcode(Law::Mu, &mut payload);
    assert_eq!(payload, ALAW_TO_ULAW);
    Law::Mu.transcode(Law::Mu, &mut payload);
    assert_eq!(payload, ALAW_TO_ULAW);
}

/// Tables 5 and 6 of the Recommendation: a sine of 1 kHz at 0 dBm0, in codes.
#[test]
fn the_reference_tone_has_zero_dbm0() {
    let ulaw = [0x1e, 0x0b, 0x0b, 0x1e, 0x9e, 0x8b, 0x8b, 0x9e].repeat(20);
    let alaw = [0x34, 0x21, 0x21, 0x34, 0xb4, 0xa1, 0xa1, 0xb4].repeat(20);
    assert!(dbm0(Law::Mu.mean_square(&ulaw)).abs() < 0.1);
    assert!(dbm0(Law::A.mean_square(&alaw)).abs() < 0.1);
}

#[test]
fn levels_of_sines_are_measured() {
    for law in Law::ALL {
        for level in [-3.0, -20.0, -35.0, -39.0, -41.0, -45.0] {
            let peak = 10f64.powf(level / 20.0) * (2.0 * f64::from(ZERO_DBM0)).sqrt();
            let samples: Vec<i16> = (0..800)
                .map(|at| (peak * (f64::from(at) * 0.801).sin()).round() as i16)
                .collect();
            let mut payload = [0; 800];
            law.encode(&samples, &mut payload);
            let mean_square = law.mean_square(&payload);
            assert!(
                (dbm0(mean_square) - level).abs() < 0.6,
                "{law:?} {level} {}",
                dbm0(mean_square)
            );
            assert_eq!(mean_square < BELOW_40_DBM0, level < -40.0, "{law:?} {level}");
            assert!(mean_square >= BELOW_50_DBM0);
        }
        assert!(law.mean_square(&[law.silence(); 160]) < BELOW_50_DBM0);
        assert_eq!(law.mean_square(&[]), 0);
    }
}
