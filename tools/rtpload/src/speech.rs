//! What is said in calls that are transcoded: real speech, coded once. What an encoder spends depends on what it hears.

use std::sync::Arc;

use media::command::Codec;
use media::resample::Upsampler;
use parties::codec::{self, Encoder};

/// Of every packet, ms.
const PTIME_MS: u32 = 20;

/// 2.5 s of a caller, 8 kHz.
const SAID: &[u8] = include_bytes!("../../parties/prompts/caller-2.wav");

/// Payloads of 20 ms each, one after the other.
pub(crate) type Speech = Arc<[Box<[u8]>]>;

/// In the codec as the parties speak it, which is none of the data plane's.
///
/// # Errors
/// Where the recording is none.
pub(crate) fn speech(codec: Codec) -> Result<Speech, String> {
    let samples = hound::WavReader::new(SAID).and_then(|mut reader| reader.samples().collect::<Result<Vec<i16>, _>>());
    let samples = samples.map_err(|error| format!("the recording of a caller: {error}"))?;
    let codec = match codec {
        Codec::Pcmu => codec::Codec::Pcmu,
        Codec::Pcma => codec::Codec::Pcma,
        Codec::G722 => codec::Codec::G722,
        Codec::L16 => codec::Codec::L16,
        Codec::L16Wide => codec::Codec::L16Wide,
        Codec::Opus => codec::Codec::Opus,
    };
    let samples = match codec.rate() {
        8_000 => samples,
        _ => {
            let mut doubled = vec![0; 2 * samples.len()];
            Upsampler::new().process(&samples, &mut doubled);
            doubled
        }
    };
    let mut encoder = Encoder::new(codec);
    let packets = samples.chunks_exact(codec.samples(PTIME_MS));
    Ok(packets
        .map(|samples| encoder.encode(samples).into_boxed_slice())
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn speech_is_whole_packets_in_every_codec_and_differs_from_packet_to_packet() {
        for codec in Codec::ALL {
            let speech = speech(codec).unwrap();
            assert!(speech.len() > 100, "{codec:?}: {}", speech.len());
            for payload in speech.iter() {
                assert_eq!(codec.duration(payload), Some(codec.ticks(20)), "{codec:?}");
            }
            assert!(
                speech.windows(2).filter(|pair| pair[0] == pair[1]).count() < 10,
                "{codec:?}"
            );
        }
    }
}
