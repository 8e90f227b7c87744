//! What the parties speak: names and numbers of each codec in SDP, its clocks, and the way from samples to payloads and back.

use std::fmt;

use crate::g711::G711;
use crate::g722;

/// A codec that the parties speak.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Codec {
    /// G.711 µ-law.
    Pcmu,
    /// G.711 A-law.
    Pcma,
    /// G.722 at 64 kbit/s.
    G722,
    /// Opus (RFC 7587), mono, at 16 kHz: what a phone sends that has no more than a voice to say.
    Opus,
    /// Samples of 16 bit at 8 kHz, the high byte first (RFC 3551 §4.5.11).
    L16,
    /// The same at 16 kHz.
    L16Wide,
}

/// All of them.
pub const ALL: [Codec; 6] = [
    Codec::Pcmu,
    Codec::Pcma,
    Codec::G722,
    Codec::Opus,
    Codec::L16,
    Codec::L16Wide,
];

/// Packet times that are spoken, ms.
pub const PTIMES: [u32; 5] = [10, 20, 30, 40, 60];

/// What fits into a datagram on Ethernet, without IP, UDP and RTP headers, and with some room for SRTP.
const PAYLOAD_MAX: usize = 1400;

/// Opus at its rate for wideband speech, bit/s: what is judged is the way, not the codec.
const OPUS_RATE: i32 = 32_000;

/// The longest that a packet of Opus can be, samples at 16 kHz: 120 ms (RFC 6716 §3.2.5).
const OPUS_SAMPLES_MAX: usize = 1920;

impl Codec {
    /// By the name on the command line.
    pub fn from_name(name: &str) -> Option<Codec> {
        ALL.into_iter().find(|codec| codec.name() == name)
    }

    /// The name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Codec::Pcmu => "pcmu",
            Codec::Pcma => "pcma",
            Codec::G722 => "g722",
            Codec::Opus => "opus",
            Codec::L16 => "l16",
            Codec::L16Wide => "l16-16000",
        }
    }

    /// The encoding name in SDP.
    pub fn sdp_name(self) -> &'static str {
        match self {
            Codec::Pcmu => "PCMU",
            Codec::Pcma => "PCMA",
            Codec::G722 => "G722",
            Codec::Opus => "opus",
            Codec::L16 | Codec::L16Wide => "L16",
        }
    }

    /// Encoding name, clock and channels, as `a=rtpmap` has them.
    pub fn rtpmap(self) -> String {
        let channels = if self == Codec::Opus { "/2" } else { "" };
        format!("{}/{}{channels}", self.sdp_name(), self.clock())
    }

    /// The payload type in an offer of ours. Up to 95 it is static (RFC 3551 §6).
    pub fn payload_type(self) -> u8 {
        match self {
            Codec::Pcmu => 0,
            Codec::Pcma => 8,
            Codec::G722 => 9,
            Codec::L16 => 97,
            Codec::L16Wide => 98,
            Codec::Opus => 111,
        }
    }

    /// RTP's clock, Hz. Of G.722 it is half of what it should be (RFC 3551 §4.5.2), of Opus always the highest (RFC 7587 §4.1).
    pub fn clock(self) -> u32 {
        match self {
            Codec::Pcmu | Codec::Pcma | Codec::G722 | Codec::L16 => 8000,
            Codec::L16Wide => 16_000,
            Codec::Opus => 48_000,
        }
    }

    /// Samples of sound per second, as they are said and heard.
    pub fn rate(self) -> u32 {
        match self {
            Codec::Pcmu | Codec::Pcma | Codec::L16 => 8000,
            Codec::G722 | Codec::Opus | Codec::L16Wide => 16_000,
        }
    }

    /// Samples of sound in a packet time.
    pub fn samples(self, ptime_ms: u32) -> usize {
        (self.rate() * ptime_ms / 1000) as usize
    }

    /// What the timestamp advances by in a packet time.
    pub fn ticks(self, ptime_ms: u32) -> u32 {
        self.clock() * ptime_ms / 1000
    }

    /// Whether a packet can have this time.
    ///
    /// # Errors
    /// Why not, and what can be.
    pub fn check_ptime(self, ptime_ms: u32) -> Result<(), String> {
        if !PTIMES.contains(&ptime_ms) {
            return Err(format!("a packet time of {ptime_ms} ms: 10, 20, 30, 40 or 60"));
        }
        match self {
            // RFC 6716 §2.1.4: 2.5, 5, 10, 20, 40 or 60 ms.
            Codec::Opus if ptime_ms == 30 => Err("a frame of Opus has no 30 ms: 10, 20, 40 or 60".to_owned()),
            Codec::L16 | Codec::L16Wide if 2 * self.samples(ptime_ms) > PAYLOAD_MAX => {
                Err(format!("{ptime_ms} ms of {} do not fit into a packet", self.rtpmap()))
            }
            _ => Ok(()),
        }
    }

    fn g711(self) -> Option<G711> {
        match self {
            Codec::Pcmu => Some(G711::Pcmu),
            Codec::Pcma => Some(G711::Pcma),
            Codec::G722 | Codec::Opus | Codec::L16 | Codec::L16Wide => None,
        }
    }
}

impl From<G711> for Codec {
    fn from(law: G711) -> Codec {
        match law {
            G711::Pcmu => Codec::Pcmu,
            G711::Pcma => Codec::Pcma,
        }
    }
}

/// Makes the payloads of one line.
pub struct Encoder(Encoding);

#[expect(clippy::large_enum_variant, reason = "a party has one")]
enum Encoding {
    G711(G711),
    G722(g722::Encoder),
    Opus(opus::Encoder),
    L16,
}

impl Encoder {
    /// For a new line.
    pub fn new(codec: Codec) -> Encoder {
        Encoder(match (codec.g711(), codec) {
            (Some(law), _) => Encoding::G711(law),
            (None, Codec::G722) => Encoding::G722(g722::Encoder::default()),
            (None, Codec::Opus) => Encoding::Opus(opus_encoder().expect("libopus takes its own settings")),
            (None, _) => Encoding::L16,
        })
    }

    /// One packet time of sound, at the codec's rate.
    pub fn encode(&mut self, samples: &[i16]) -> Vec<u8> {
        match &mut self.0 {
            Encoding::G711(law) => samples.iter().map(|sample| law.encode(*sample)).collect(),
            Encoding::G722(encoder) => encoder.encode(samples),
            Encoding::Opus(encoder) => encoder
                .encode_vec(samples, PAYLOAD_MAX)
                .expect("a packet time that Opus has"),
            Encoding::L16 => samples.iter().flat_map(|sample| sample.to_be_bytes()).collect(),
        }
    }
}

fn opus_encoder() -> opus::Result<opus::Encoder> {
    let mut encoder = opus::Encoder::new(Codec::Opus.rate(), opus::Channels::Mono, opus::Application::Voip)?;
    encoder.set_bitrate(opus::Bitrate::Bits(OPUS_RATE))?;
    Ok(encoder)
}

/// Hears the payloads of one line.
pub struct Decoder(Decoding);

#[expect(clippy::large_enum_variant, reason = "a party has one")]
enum Decoding {
    G711(G711),
    G722(g722::Decoder),
    Opus(opus::Decoder),
    L16,
}

/// A payload that is none of its codec.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Undecodable;

impl fmt::Display for Undecodable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the payload is none of its codec")
    }
}

impl Decoder {
    /// For a new line.
    pub fn new(codec: Codec) -> Decoder {
        Decoder(match (codec.g711(), codec) {
            (Some(law), _) => Decoding::G711(law),
            (None, Codec::G722) => Decoding::G722(g722::Decoder::default()),
            (None, Codec::Opus) => Decoding::Opus(
                opus::Decoder::new(codec.rate(), opus::Channels::Mono).expect("libopus takes its own settings"),
            ),
            (None, _) => Decoding::L16,
        })
    }

    /// The sound of one packet, at the codec's rate.
    ///
    /// # Errors
    /// Where the payload is none of the codec.
    pub fn decode(&mut self, payload: &[u8]) -> Result<Vec<i16>, Undecodable> {
        match &mut self.0 {
            Decoding::G711(law) => Ok(payload.iter().map(|byte| law.decode(*byte)).collect()),
            Decoding::G722(decoder) => Ok(decoder.decode(payload)),
            // Without a payload libopus would make up what is lost.
            Decoding::Opus(_) if payload.is_empty() => Err(Undecodable),
            Decoding::Opus(decoder) => {
                let mut samples = vec![0; OPUS_SAMPLES_MAX];
                let length = decoder.decode(payload, &mut samples, false).map_err(|_| Undecodable)?;
                samples.truncate(length);
                Ok(samples)
            }
            Decoding::L16 => {
                let (pairs, rest) = payload.as_chunks::<2>();
                if rest.is_empty() {
                    Ok(pairs.iter().map(|pair| i16::from_be_bytes(*pair)).collect())
                } else {
                    Err(Undecodable)
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 300 ms of two tones that every codec carries, at this rate.
    fn tones(rate: u32, samples: usize) -> Vec<i16> {
        (0..samples)
            .map(|n| {
                let t = std::f64::consts::TAU * n as f64 / f64::from(rate);
                (4000.0 * (500.0 * t).sin() + 2000.0 * (1700.0 * t).sin()) as i16
            })
            .collect()
    }

    /// Signal to noise, dB, at the best delay below 30 ms.
    fn fidelity(said: &[i16], heard: &[i16]) -> f64 {
        let power = |samples: &mut dyn Iterator<Item = f64>| samples.map(|s| s * s).sum::<f64>();
        let half = said.len() / 2;
        (0..half / 2)
            .map(|delay| {
                let pairs = said[half / 2..].iter().zip(&heard[half / 2 + delay..]);
                let signal = power(&mut pairs.clone().map(|(a, _)| f64::from(*a)));
                let noise = power(&mut pairs.map(|(a, b)| f64::from(*a) - f64::from(*b)));
                10.0 * (signal / noise.max(1e-9)).log10()
            })
            .fold(f64::NEG_INFINITY, f64::max)
    }

    #[test]
    fn every_codec_carries_sound_in_every_packet_time() {
        for codec in ALL {
            for ptime in PTIMES.into_iter().filter(|ptime| codec.check_ptime(*ptime).is_ok()) {
                let length = codec.samples(ptime);
                let said = tones(codec.rate(), length * (300 / ptime as usize));
                let (mut encoder, mut decoder) = (Encoder::new(codec), Decoder::new(codec));
                let mut heard = Vec::new();
                for frame in said.chunks(length) {
                    let samples = decoder.decode(&encoder.encode(frame)).unwrap();
                    assert_eq!(samples.len(), length, "{codec:?} {ptime}");
                    heard.extend(samples);
                }
                let least = if codec == Codec::Opus { 12.0 } else { 25.0 };
                let fidelity = fidelity(&said, &heard);
                assert!(fidelity > least, "{codec:?} {ptime} ms: {fidelity:.1} dB");
            }
        }
    }

    #[test]
    fn l16_has_its_high_byte_first() {
        assert_eq!(Encoder::new(Codec::L16).encode(&[0x0102, -2]), [1, 2, 0xff, 0xfe]);
        assert_eq!(Decoder::new(Codec::L16Wide).decode(&[1, 2]).unwrap(), [0x0102]);
    }

    #[test]
    fn names_and_clocks_are_those_of_the_rfcs() {
        let maps = ALL.map(Codec::rtpmap);
        assert_eq!(
            maps,
            [
                "PCMU/8000",
                "PCMA/8000",
                "G722/8000",
                "opus/48000/2",
                "L16/8000",
                "L16/16000"
            ]
        );
        for codec in ALL {
            assert_eq!(Codec::from_name(codec.name()), Some(codec));
        }
        assert_eq!(Codec::from_name("g729"), None);
        assert_eq!((Codec::G722.ticks(20), Codec::G722.samples(20)), (160, 320));
        assert_eq!((Codec::Opus.ticks(20), Codec::Opus.samples(20)), (960, 320));
    }

    #[test]
    fn what_no_packet_has_is_refused_with_what_can_be() {
        assert!(Codec::Opus.check_ptime(30).unwrap_err().contains("40"));
        assert!(Codec::Pcmu.check_ptime(50).unwrap_err().contains("60"));
        assert!(Codec::L16Wide.check_ptime(60).unwrap_err().contains("packet"));
        assert_eq!(Codec::Pcma.check_ptime(30), Ok(()));
    }

    #[test]
    fn what_is_no_payload_is_no_sound() {
        assert_eq!(Decoder::new(Codec::L16).decode(&[1, 2, 3]), Err(Undecodable));
        assert_eq!(Decoder::new(Codec::Opus).decode(&[]), Err(Undecodable));
        // RFC 6716 §3.4: a code 3 packet without its count of frames.
        assert_eq!(Decoder::new(Codec::Opus).decode(&[0xff]), Err(Undecodable));
    }
}
