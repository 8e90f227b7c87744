use super::*;
use crate::codec::g711;

#[test]
fn is_dead_air_but_not_digital_silence_at_every_packet_time() {
    let comfort = Comfort::new(1);
    for law in Law::ALL {
        for ptime in [10, 20, 30, 40, 50, 60] {
            let length = 8 * ptime;
            let mut payload = vec![0; length];
            let mut sum = 0.0;
            for frame in 0..1000u32 {
                comfort.fill(law, frame * length as u32, &mut payload);
                let mean_square = law.mean_square(&payload);
                let level = g711::dbm0(mean_square);
                assert!((-64.0..-55.0).contains(&level), "{law:?} {ptime} ms: {level}");
                assert!(mean_square < g711::BELOW_50_DBM0);
                sum += level;
            }
            assert!((sum / 1000.0 + 60.0).abs() < 1.5, "{law:?}: {}", sum / 1000.0);
        }
    }
}

#[test]
fn pieces_join_without_a_seam_over_the_end() {
    let comfort = Comfort::new(1);
    for law in Law::ALL {
        let mut whole = vec![0; 2 * LENGTH + 500];
        comfort.fill(law, 0, &mut whole);
        assert_eq!(whole[..LENGTH + 500], whole[LENGTH..]);
        let mut frame = [0; 240];
        for at in (0..2 * LENGTH).step_by(240) {
            comfort.fill(law, at as u32, &mut frame);
            assert_eq!(frame, whole[at..at + 240]);
        }
    }
}

#[test]
fn the_seed_decides() {
    let noise = |seed| {
        let mut payload = [0; 160];
        Comfort::new(seed).fill(Law::Mu, 0, &mut payload);
        payload
    };
    assert_eq!(noise(1), noise(1));
    assert_ne!(noise(1), noise(2));
}

/// A peak in the autocorrelation would be heard as a pitch or a beat.
#[test]
fn is_white_within_its_length() {
    let comfort = Comfort::new(1);
    let mut payload = vec![0; LENGTH];
    comfort.fill(Law::Mu, 0, &mut payload);
    let mut samples = vec![0; LENGTH];
    Law::Mu.decode(&payload, &mut samples);
    let at = |lag: usize| -> f64 {
        samples
            .iter()
            .zip(&samples[lag..])
            .map(|(&a, &b)| f64::from(a) * f64::from(b))
            .sum()
    };
    let power = at(0);
    for lag in 1..400 {
        assert!(at(lag).abs() < 0.06 * power, "lag {lag}");
    }
}

/// One frame over and over would be a hum.
#[test]
fn in_opus_it_goes_on_as_time_does() {
    let comfort = Comfort::new(1);
    let frames: Vec<_> = (0..4).map(|n| comfort.opus(160 * n).unwrap().to_vec()).collect();
    assert!(frames.windows(2).all(|pair| pair[0] != pair[1]));
    assert_eq!(comfort.opus(0), comfort.opus(80 * 160), "and then from the beginning");
}
