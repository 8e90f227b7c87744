//! What a party's voice is in the codec of its leg.

use media::codec::g722::{self, Mode};
use media::codec::opus::{self, Band, Settings};
use media::codec::{g711::Law, l16};
use sip::sdp::Encoding;

use crate::party::Voice;
use crate::way::Way;

/// Samples of 20 ms at 8000 Hz.
const FRAME: usize = 160;

/// One codec, with what both directions of a leg remember.
pub(crate) enum Speech {
    /// … by ear.
    Pcmu(bool),
    L16,
    L16Wide,
    G722(Box<(g722::Encoder, g722::Decoder)>),
    Opus(Box<(opus::Encoder, opus::Decoder)>),
}

impl Speech {
    pub(crate) fn of(way: Way) -> Speech {
        match way.speaks {
            Encoding::Pcmu => Speech::Pcmu(way.by_ear),
            Encoding::L16 => Speech::L16,
            Encoding::L16Wide => Speech::L16Wide,
            Encoding::G722 => Speech::G722(Box::default()),
            Encoding::Opus => {
                let encoder = opus::Encoder::new(Band::Narrow, &Settings::default());
                let decoder = opus::Decoder::new(Band::Narrow);
                Speech::Opus(Box::new((encoder.expect("an encoder"), decoder.expect("a decoder"))))
            }
            Encoding::Pcma => panic!("no party speaks it"),
        }
    }

    /// 20 ms of it.
    pub(crate) fn say(&mut self, voice: Voice) -> Vec<u8> {
        let mut narrow = [0; FRAME];
        Law::Mu.decode(&voice.payload(), &mut narrow);
        let wide: Vec<i16> = narrow.iter().flat_map(|sample| [*sample; 2]).collect();
        let mut payload = vec![0; 1_000];
        let len = match self {
            Speech::Pcmu(_) => return voice.payload(),
            Speech::L16 => l16::encode(&narrow, &mut payload),
            Speech::L16Wide => l16::encode(&wide, &mut payload),
            Speech::G722(both) => both.0.encode(&wide, &mut payload),
            Speech::Opus(both) => both.0.encode(&narrow, &mut payload).expect("a packet"),
        };
        payload.truncate(len);
        payload
    }

    /// What a packet sounds like, as µ-law: that of a voice where it has its pitch and its loudness.
    pub(crate) fn hear(&mut self, payload: &[u8]) -> Vec<u8> {
        let mut samples = vec![0; 6_000];
        let (len, hz) = match self {
            Speech::Pcmu(false) => return payload.to_vec(),
            Speech::Pcmu(true) => (Law::Mu.decode(payload, &mut samples), 8_000.0),
            Speech::L16 => (l16::decode(payload, &mut samples), 8_000.0),
            Speech::L16Wide => (l16::decode(payload, &mut samples), 16_000.0),
            Speech::G722(both) => (both.1.decode(Mode::Kbit64, payload, &mut samples), 16_000.0),
            Speech::Opus(both) => (both.1.decode(payload, &mut samples).expect("a packet of Opus"), 8_000.0),
        };
        samples.truncate(len);
        let voices = [Voice::Caller, Voice::Ai, Voice::Human];
        match voices.into_iter().find(|voice| sounds_like(*voice, &samples, hz)) {
            Some(voice) => voice.payload(),
            None => {
                let mut codes = vec![0; samples.len()];
                Law::Mu.encode(&samples, &mut codes);
                codes
            }
        }
    }
}

/// Whether most of it is a tone of 1000 Hz, as loud as the voice.
fn sounds_like(voice: Voice, samples: &[i16], hz: f64) -> bool {
    let (mut cosine, mut sine, mut power) = (0.0, 0.0, 0.0);
    for (at, sample) in samples.iter().enumerate() {
        let sample = f64::from(*sample);
        let angle = std::f64::consts::TAU * 1000.0 * at as f64 / hz;
        cosine += sample * angle.cos();
        sine += sample * angle.sin();
        power += sample * sample;
    }
    let count = samples.len().max(1) as f64;
    let tone = 2.0 * (cosine * cosine + sine * sine) / (count * count);
    let wanted = f64::from(media::codec::g711::decode_ulaw(voice as u8)).powi(2);
    let off = 10.0 * (power / count / wanted).log10();
    tone > 0.7 * power / count && off.abs() < 1.2
}
