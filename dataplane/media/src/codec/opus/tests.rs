use super::*;
use crate::codec::mean_square;

/// A tone, quiet and loud by turns.
fn tone(band: Band, hz: f64, ms: usize) -> Vec<i16> {
    let rate = f64::from(band.hz());
    (0..ms * band.hz() as usize / 1000)
        .map(|at| {
            let time = at as f64 / rate;
            let loud = 5_000.0 + 3_000.0 * (time * 20.0).sin();
            (loud * (time * hz * std::f64::consts::TAU).sin()) as i16
        })
        .collect()
}

/// The share of a signal's power that a frequency has.
fn purity(samples: &[i16], band: Band, hz: f64) -> f64 {
    let step = hz * std::f64::consts::TAU / f64::from(band.hz());
    let (mut re, mut im) = (0.0, 0.0);
    for (at, &sample) in samples.iter().enumerate() {
        re += f64::from(sample) * (at as f64 * step).cos();
        im += f64::from(sample) * (at as f64 * step).sin();
    }
    let count = samples.len() as f64;
    2.0 * (re * re + im * im) / (count * count) / f64::from(mean_square(samples)).max(1.0)
}

fn coders(band: Band) -> (Encoder, Decoder) {
    let encoder = Encoder::new(band, &Settings::default()).unwrap();
    (encoder, Decoder::new(band).unwrap())
}

#[test]
fn packets_of_every_length_say_how_long_they_sound_and_are_heard() {
    for band in [Band::Narrow, Band::Wide] {
        for (quarters, lengths) in [
            (10, 40),
            (20, 20),
            (40, 10),
            (80, 5),
            (120, 4),
            (160, 3),
            (200, 2),
            (240, 2),
            (480, 1),
        ] {
            let (mut encoder, mut decoder) = coders(band);
            let ms = quarters / 4;
            let said = tone(band, 440.0, ms.max(1) * lengths * 10);
            let frame = quarters * band.hz() as usize / 4000;
            let mut heard = Vec::new();
            for samples in said.chunks_exact(frame) {
                let mut packet = [0; 1_400];
                let len = encoder.encode(samples, &mut packet).unwrap();
                assert_eq!(duration(&packet[..len]), Some((quarters * 12) as u32), "{quarters}");
                let mut decoded = [0; 1_920];
                assert_eq!(decoder.decode(&packet[..len], &mut decoded), Some(frame));
                heard.extend_from_slice(&decoded[..frame]);
            }
            let half = &heard[heard.len() / 2..];
            let purity = purity(half, band, 440.0);
            assert!(purity > 0.7, "{band:?} {} ms: {purity}", quarters as f64 / 4.0);
        }
    }
}

#[test]
fn what_is_no_packet_has_no_duration() {
    assert_eq!(duration(&[]), None);
    // No number of frames, none, and more than 120 ms.
    assert_eq!(duration(&[3]), None);
    assert_eq!(duration(&[3, 0]), None);
    assert_eq!(duration(&[0xfb, 7]), None);
    assert_eq!(duration(&[0xfb, 6]), Some(5_760));
    // By the table of RFC 6716, section 3.1.
    let durations = [0, 1, 2, 3, 12, 13, 16, 17, 18, 19].map(|config: u8| duration(&[config << 3]).unwrap());
    assert_eq!(durations, [480, 960, 1_920, 2_880, 480, 960, 120, 240, 480, 960]);
}

#[test]
fn what_is_no_length_or_has_no_room_is_refused() {
    let (mut encoder, mut decoder) = coders(Band::Narrow);
    let mut packet = [0; 1_400];
    for samples in [0, 1, 19, 21, 161, 1_000 - 1, 1_920, 980] {
        let encoded = encoder.encode(&tone(Band::Narrow, 440.0, 300)[..samples], &mut packet);
        assert_eq!(encoded, None, "{samples}");
    }
    assert_eq!(encoder.encode(&[0; 240], &mut [0; 2]), None);
    assert_eq!(decoder.decode(&[], &mut [0; 160]), None);
    assert_eq!(decoder.decode(&[0xff, 0xff, 0xff], &mut [0; 160]), None);
}

#[test]
fn noise_of_a_peer_never_panics() {
    let mut decoder = Decoder::new(Band::Wide).unwrap();
    let mut state = 1u64;
    for len in (0..300).chain([1_400]) {
        let packet: Vec<u8> = (0..len)
            .map(|_| {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                (state >> 56) as u8
            })
            .collect();
        let mut samples = [0; 1_920];
        decoder.conceal(3, &packet, &mut samples);
        let decoded = decoder.decode(&packet, &mut samples);
        assert!(decoded.is_none() || duration(&packet).is_some_and(|ticks| decoded == Some(ticks as usize / 3)));
    }
}

/// Every fourth packet is lost. With FEC the decoder knows of most of it what was said.
#[test]
fn a_lost_packet_is_made_up_for_and_better_where_the_next_one_says_what_it_was() {
    let band = Band::Wide;
    let said = tone(band, 300.0, 2_000);
    let heard = |fec: bool| {
        let settings = Settings {
            fec,
            expected_loss: 25,
            ..Settings::default()
        };
        let mut encoder = Encoder::new(band, &settings).unwrap();
        let mut decoder = Decoder::new(band).unwrap();
        let mut made_up = Vec::new();
        for (n, samples) in said.chunks_exact(320).enumerate() {
            let mut packet = [0; 1_400];
            let len = encoder.encode(samples, &mut packet).unwrap();
            let mut decoded = [0; 1_920];
            match n % 4 {
                2 => continue,
                3 => {
                    assert_eq!(decoder.conceal(1, &packet[..len], &mut decoded), 320);
                    made_up.extend_from_slice(&decoded[..320]);
                }
                _ => {}
            }
            decoder.decode(&packet[..len], &mut decoded).unwrap();
        }
        made_up
    };
    let (with, without) = (heard(true), heard(false));
    assert!(mean_square(&with) > mean_square(&said) / 4, "{}", mean_square(&with));
    assert!(mean_square(&without) > mean_square(&said) / 40);
}

#[test]
fn silence_under_dtx_has_one_byte() {
    let settings = Settings {
        dtx: true,
        ..Settings::default()
    };
    let mut encoder = Encoder::new(Band::Wide, &settings).unwrap();
    let lengths: Vec<usize> = (0..50)
        .map(|_| encoder.encode(&[0; 320], &mut [0; 1_400]).unwrap())
        .collect();
    assert!(
        lengths[40..].iter().filter(|&&len| len == 1).count() >= 8,
        "{lengths:?}"
    );
}

/// What an encoder makes of two seconds that go loud and silent by turns.
fn made(mut encoder: Encoder) -> Vec<Vec<u8>> {
    let mut said = tone(encoder.band(), 300.0, 1_000);
    said.extend(vec![0; said.len()]);
    said.chunks_exact(encoder.band().hz() as usize / 50)
        .map(|samples| {
            let mut packet = vec![0; 1_400];
            let len = encoder.encode(samples, &mut packet).unwrap();
            packet.truncate(len);
            packet
        })
        .collect()
}

/// Wishes bound what we are set to: the same packets come out as where we had been set so. The next peer has none of them.
#[test]
fn an_encoder_heeds_what_its_peer_says_and_widens_nothing() {
    let effort = |bitrate| Effort { bitrate, complexity: 5 };
    let set = |bitrate, fec, dtx| Settings {
        narrow: effort(bitrate),
        wide: effort(bitrate),
        fec,
        expected_loss: 20,
        dtx,
    };
    let all = Wishes::default();
    let rows = [
        (set(30_000, true, true), all, set(30_000, true, true)),
        (
            set(30_000, true, true),
            Wishes { fec: false, ..all },
            set(30_000, false, true),
        ),
        (
            set(30_000, true, true),
            Wishes { dtx: false, ..all },
            set(30_000, true, false),
        ),
        (set(30_000, false, false), all, set(30_000, false, false)),
        (
            set(30_000, false, false),
            Wishes {
                bitrate_max: Some(12_000),
                ..all
            },
            set(12_000, false, false),
        ),
        (
            set(30_000, false, false),
            Wishes {
                bitrate_max: Some(64_000),
                ..all
            },
            set(30_000, false, false),
        ),
    ];
    for band in [Band::Narrow, Band::Wide] {
        for (settings, wishes, like) in rows {
            let like = made(Encoder::new(band, &like).unwrap());
            let mut encoder = Encoder::new(band, &settings).unwrap();
            encoder.heed(wishes);
            assert_eq!(made(encoder), like, "{band:?} {wishes:?}");
        }
        // A constant rate.
        let mut encoder = Encoder::new(band, &set(24_000, false, false)).unwrap();
        encoder.heed(Wishes { cbr: true, ..all });
        assert!(made(encoder).iter().all(|packet| packet.len() == 60));
        // Lent to another.
        let mut encoder = Encoder::new(band, &set(24_000, true, true)).unwrap();
        encoder.heed(Wishes {
            fec: false,
            dtx: false,
            cbr: true,
            bitrate_max: Some(8_000),
            playback_hz_max: 8_000,
        });
        encoder.reset();
        assert_eq!(
            made(encoder),
            made(Encoder::new(band, &set(24_000, true, true)).unwrap())
        );
    }
}

/// Of SILK the narrow band is configurations 0 to 3, of CELT 16 to 19 (RFC 6716, section 3.1).
#[test]
fn what_a_peer_cannot_play_is_not_encoded() {
    for (hz, narrow) in [(8_000, true), (16_000, false), (48_000, false)] {
        let mut encoder = Encoder::new(Band::Wide, &Settings::default()).unwrap();
        encoder.heed(Wishes {
            playback_hz_max: hz,
            ..Wishes::default()
        });
        let packets = made(encoder);
        let is_narrow = |packet: &Vec<u8>| matches!(packet[0] >> 3, 0..=3 | 16..=19);
        let count = packets[10..50].iter().filter(|packet| is_narrow(packet)).count();
        assert_eq!(count == 40, narrow, "{hz}: {count}");
        assert_eq!(count == 0, !narrow, "{hz}: {count}");
    }
}

/// A length that no frame has is made of several frames, also for who wants each packet as long as the other.
#[test]
fn packets_of_thirty_and_fifty_ms_are_whole_whatever_the_peer_wants() {
    for band in [Band::Narrow, Band::Wide] {
        for (cbr, dtx, most) in [
            (true, true, Some(6_000)),
            (true, false, Some(24_000)),
            (true, false, None),
            (false, true, Some(6_000)),
        ] {
            for ms in [30, 50] {
                let mut encoder = Encoder::new(band, &Settings::default()).unwrap();
                encoder.heed(Wishes {
                    cbr,
                    dtx,
                    bitrate_max: most,
                    ..Wishes::default()
                });
                let samples = vec![0; band.hz() as usize / 1_000 * ms];
                let noise = |at: usize| (at as u32).wrapping_mul(2_654_435_761) as i32 >> 19;
                for n in 0..60 {
                    // Speech-like: half a second of sound, half a second of none.
                    let sounds = n * ms % 1_000 < 500;
                    let said: Vec<i16> = (0..samples.len())
                        .map(|at| {
                            if sounds {
                                noise(n * samples.len() + at) as i16
                            } else {
                                0
                            }
                        })
                        .collect();
                    let mut packet = [0; 1_500];
                    let what = format!("{band:?} {cbr} {dtx} {most:?}: {ms} ms, packet {n}");
                    let len = encoder.encode(&said, &mut packet).expect(&what);
                    assert_eq!(duration(&packet[..len]), Some(48 * ms as u32), "{what}");
                }
            }
        }
    }
}
