use super::*;
use crate::codec::opus::Settings;
use crate::coders::{Coders, Sizes};

pub(crate) fn coders() -> Coders {
    let sizes = Sizes {
        wide: 4,
        opus_narrow: 4,
        opus_wide: 4,
        mixers: 4,
        listeners: 4,
        ..Sizes::default()
    };
    Coders::new(sizes, &Settings::default()).unwrap()
}

fn voice(coders: &Coders, line: Codec, source: Codec) -> Voice {
    let needs = Needs::of(line, Some(source));
    Voice::default().lacking(needs, coders.lines()).unwrap()
}

const NEXT: Standing = Standing { first: false, lost: 0 };

fn ms(codec: Codec, ms: usize) -> usize {
    let band = codec.band().unwrap_or(Band::Wide);
    band.hz() as usize / 1000 * ms
}

/// Packets of a sine of 1 kHz in a codec, 150 ms on and 100 ms off: what goes on without end a codec for voices takes for noise.
pub(crate) fn said(codec: Codec, packets: usize, ptime: usize) -> Vec<Vec<u8>> {
    let coders = coders();
    let mut talker = voice(
        &coders,
        codec,
        if codec == Codec::L16Wide {
            Codec::G722
        } else {
            Codec::L16Wide
        },
    );
    let step = std::f64::consts::TAU * 1_000.0 / if ms(codec, 1) == 8 { 8_000.0 } else { 16_000.0 };
    let sine: Vec<i16> = (0..ms(codec, packets * ptime))
        .map(|at| match at % ms(codec, 250) < ms(codec, 150) {
            true => (6_000.0 * (at as f64 * step).sin()) as i16,
            false => 0,
        })
        .collect();
    sine.chunks_exact(ms(codec, ptime))
        .map(|samples| {
            let mut payload = vec![0; 2_000];
            let len = talker.encode(codec, samples, &mut payload).unwrap();
            payload.truncate(len);
            payload
        })
        .collect()
}

#[test]
fn a_line_needs_no_more_than_its_codecs() {
    let none = Needs::default();
    let wide = Needs { wide: true, ..none };
    let encoder = |band| Needs {
        encoder: Some(band),
        ..none
    };
    let decoder = |band| Needs {
        decoder: Some(band),
        ..none
    };
    use Codec::{G722, L16, L16Wide, Opus, Pcma, Pcmu};
    let table = [
        (Pcmu, None, none),
        (Pcmu, Some(Pcma), none),
        (Pcmu, Some(L16), none),
        (Pcmu, Some(L16Wide), wide),
        (Pcmu, Some(G722), wide),
        (Pcmu, Some(Opus), decoder(Band::Narrow)),
        (L16, Some(Opus), decoder(Band::Narrow)),
        (L16Wide, None, none),
        (L16Wide, Some(Pcmu), wide),
        (L16Wide, Some(Opus), decoder(Band::Wide)),
        (G722, None, wide),
        (G722, Some(G722), wide),
        (
            G722,
            Some(Opus),
            Needs {
                wide: true,
                ..decoder(Band::Wide)
            },
        ),
        (Opus, None, none),
        (Opus, Some(Opus), none),
        (Opus, Some(Pcma), encoder(Band::Narrow)),
        (Opus, Some(L16Wide), encoder(Band::Wide)),
        (
            Opus,
            Some(G722),
            Needs {
                wide: true,
                ..encoder(Band::Wide)
            },
        ),
    ];
    for (line, source, needs) in table {
        assert_eq!(Needs::of(line, source), needs, "{line:?} hears {source:?}");
    }
    // While one source gives way to another of the other band, both are carried.
    assert_eq!(
        encoder(Band::Narrow).and(encoder(Band::Wide)),
        Needs {
            wide: true,
            ..encoder(Band::Wide)
        }
    );
    assert_eq!(none.and(decoder(Band::Narrow)), decoder(Band::Narrow));
}

#[test]
fn an_empty_pool_lends_nothing_and_what_is_settled_comes_back() {
    let coders = Coders::new(
        Sizes {
            opus_narrow: 1,
            ..Sizes::default()
        },
        &Settings::default(),
    )
    .unwrap();
    let needs = Needs::of(Codec::Opus, Some(Codec::Pcmu));
    let mut line = Voice::default();
    line.take(line.lacking(needs, coders.lines()).unwrap());
    assert!(
        Voice::default().lacking(needs, coders.lines()).is_none(),
        "the only one is taken"
    );
    assert!(line.lacking(needs, coders.lines()).is_some(), "the line has it already");
    assert!(
        Voice::default()
            .lacking(Needs::of(Codec::G722, None), coders.lines())
            .is_none()
    );
    line.settle(Needs::of(Codec::Opus, Some(Codec::Opus)), false, coders.lines());
    assert_eq!(coders.free().opus_narrow, 1);
}

/// What is heard of packets in a codec, at 16 kHz.
pub(crate) fn heard<'a>(codec: Codec, packets: impl IntoIterator<Item = &'a [u8]>) -> Vec<i16> {
    let coders = coders();
    let mut ear = voice(&coders, Codec::L16Wide, codec);
    let mut heard = Vec::new();
    for (n, packet) in packets.into_iter().enumerate() {
        let mut payload = [0; 4_000];
        payload[..packet.len()].copy_from_slice(packet);
        let standing = Standing { first: n == 0, lost: 0 };
        let len = match codec {
            Codec::L16Wide => packet.len(),
            _ => {
                ear.transcode(codec, Codec::L16Wide, standing, &mut payload, packet.len(), |_, _| ())
                    .unwrap()
                    .len
            }
        };
        let mut linear = [0; SAMPLES_MAX];
        let count = l16::decode(&payload[..len], &mut linear);
        heard.extend_from_slice(&linear[..count]);
    }
    heard
}

/// Each pair, at each packet time that both have: the tone of 1 kHz comes out with its level, and has no seams.
#[test]
fn a_tone_keeps_pitch_and_level_through_every_pair() {
    for from in Codec::ALL {
        for to in Codec::ALL.into_iter().filter(|&to| to != from) {
            for ptime in [10, 20, 30, 40, 50, 60] {
                let coders = coders();
                let mut line = voice(&coders, to, from);
                let mut packets = Vec::new();
                for (n, packet) in said(from, 600 / ptime, ptime).into_iter().enumerate() {
                    let len = packet.len();
                    let mut payload = packet;
                    payload.resize(2_000, 0);
                    let standing = Standing { first: n == 0, lost: 0 };
                    let coded = line.transcode(from, to, standing, &mut payload, len, |_, _| ());
                    let coded = coded.unwrap_or_else(|_| panic!("{from:?} to {to:?}, {ptime} ms"));
                    payload.truncate(coded.len);
                    assert_eq!(
                        to.duration(&payload),
                        Some(to.ticks(ptime as u8)),
                        "{from:?} to {to:?}, {ptime} ms"
                    );
                    packets.push(payload);
                }
                let heard = heard(to, packets.iter().map(Vec::as_slice));
                let (share, level) = tone(&heard[heard.len() / 2..]);
                assert!(share > 0.97, "{from:?} to {to:?}, {ptime} ms: {share}");
                assert!(
                    (level - 6_000.0).abs() < 1_200.0,
                    "{from:?} to {to:?}, {ptime} ms: {level}"
                );
            }
        }
    }
}

/// Of a signal of 16 kHz, where it is loud: the share of its power at 1 kHz, and the amplitude there. Of 40 ms each, since Opus turns the
/// phase of a tone now and then.
pub(crate) fn tone(samples: &[i16]) -> (f64, f64) {
    let mut tones: Vec<_> = samples.chunks_exact(640).map(tone_of).collect();
    tones.sort_by(|a, b| a.1.total_cmp(&b.1));
    tones[tones.len() * 4 / 5]
}

fn tone_of(samples: &[i16]) -> (f64, f64) {
    let step = std::f64::consts::TAU / 16.0;
    let (mut re, mut im) = (0.0, 0.0);
    for (at, &sample) in samples.iter().enumerate() {
        re += f64::from(sample) * (at as f64 * step).cos();
        im += f64::from(sample) * (at as f64 * step).sin();
    }
    let amplitude = 2.0 * f64::hypot(re, im) / samples.len() as f64;
    let power = f64::from(mean_square(samples)).max(1.0);
    (amplitude * amplitude / 2.0 / power, amplitude)
}

#[test]
fn what_cannot_be_put_into_the_other_codec_is_refused_whole() {
    let coders = coders();
    let mut line = voice(&coders, Codec::Opus, Codec::Pcmu);
    let mut payload = [0xff; 2_000];
    // 161 samples are no frame; 200 ms are too long.
    let ours = Err(Untranscodable::Ours);
    assert_eq!(
        line.transcode(Codec::Pcmu, Codec::Opus, NEXT, &mut payload, 161, |_, _| ()),
        ours
    );
    assert_eq!(
        line.transcode(Codec::Pcmu, Codec::Opus, NEXT, &mut payload, 1_600, |_, _| ()),
        ours
    );
    let mut line = voice(&coders, Codec::Pcmu, Codec::Opus);
    let broken = line.transcode(Codec::Opus, Codec::Pcmu, NEXT, &mut [0xff; 40], 40, |_, _| ());
    assert_eq!(broken, Err(Untranscodable::Theirs));
    // No room: 20 ms have 640 bytes.
    let mut line = voice(&coders, Codec::L16Wide, Codec::Pcmu);
    let mut short = [0xff; 400];
    assert_eq!(
        line.transcode(Codec::Pcmu, Codec::L16Wide, NEXT, &mut short, 160, |_, _| ()),
        ours
    );
}

/// The first packet of a source is decoded as if nothing had been heard before, so that nothing of the old one is in it.
#[test]
fn a_new_source_is_heard_with_a_decoder_that_has_heard_nothing() {
    for (from, to) in [
        (Codec::G722, Codec::L16),
        (Codec::G722, Codec::L16Wide),
        (Codec::Opus, Codec::L16),
    ] {
        let coders = coders();
        let packets = said(from, 10, 20);
        let (old, new) = packets.split_at(5);
        let hear = |line: &mut Voice, packets: &[Vec<u8>]| -> Vec<Vec<u8>> {
            let heard = packets.iter().enumerate().map(|(n, packet)| {
                let mut payload = packet.clone();
                payload.resize(2_000, 0);
                let standing = Standing { first: n == 0, lost: 0 };
                let coded = line
                    .transcode(from, to, standing, &mut payload, packet.len(), |_, _| ())
                    .unwrap();
                payload[..coded.len].to_vec()
            });
            heard.collect()
        };
        let mut line = voice(&coders, to, from);
        hear(&mut line, old);
        let after_another = hear(&mut line, new);
        let alone = hear(&mut voice(&coders, to, from), new);
        assert_eq!(after_another, alone, "{from:?} to {to:?}");
    }
}

/// What comes after a loss is nearer to what was said where the decoder was told of it.
#[test]
fn after_a_loss_the_decoder_goes_on_in_the_right_place() {
    let mut state = 1u32;
    let voice: Vec<i16> = (0..16_000)
        .map(|at| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let time = f64::from(at) / 8_000.0;
            let pitch = (time * 140.0).fract() * 8_000.0 - 4_000.0;
            ((pitch + f64::from((state >> 16) as i16) / 16.0) * (0.6 + 0.4 * (time * 25.0).sin())) as i16
        })
        .collect();
    let coders = coders();
    let mut talker = self::voice(&coders, Codec::Opus, Codec::Pcmu);
    let packets: Vec<Vec<u8>> = voice
        .chunks_exact(160)
        .map(|samples| {
            let mut payload = vec![0; 1_400];
            let len = talker.encode(Codec::Opus, samples, &mut payload).unwrap();
            payload.truncate(len);
            payload
        })
        .collect();
    let heard = |lost: Option<usize>, told: bool| {
        let mut line = self::voice(&coders, Codec::L16, Codec::Opus);
        let mut heard = Vec::new();
        for (n, packet) in packets.iter().enumerate() {
            if Some(n) == lost {
                continue;
            }
            let mut payload = packet.clone();
            payload.resize(2_000, 0);
            let standing = Standing {
                first: n == 0,
                lost: u16::from(told && lost == Some(n.wrapping_sub(1))),
            };
            let coded = line
                .transcode(Codec::Opus, Codec::L16, standing, &mut payload, packet.len(), |_, _| ())
                .unwrap();
            heard.push(payload[..coded.len].to_vec());
        }
        heard
    };
    let samples = |payload: &[u8]| {
        let mut samples = [0; 160];
        l16::decode(payload, &mut samples);
        samples
    };
    let all = heard(None, false);
    let (mut with, mut without) = (0.0, 0.0);
    for lost in (10..90).step_by(7) {
        for (told, error) in [(true, &mut with), (false, &mut without)] {
            let partly = heard(Some(lost), told);
            for n in lost..lost + 2 {
                let (a, b) = (samples(&all[n + 1]), samples(&partly[n]));
                *error += a.iter().zip(b).map(|(&a, b)| f64::from(a - b).powi(2)).sum::<f64>();
            }
        }
    }
    assert!(with < 0.7 * without, "{with} {without}");
}
