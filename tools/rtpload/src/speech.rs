//! What is said in calls that are transcoded: real speech, coded once. What an encoder spends depends on what it hears.

use std::sync::Arc;

use media::codec::opus::{Band, Settings};
use media::command::Codec;
use media::resample::Upsampler;
use parties::codec::{self, Encoder};

/// Of every packet, ms.
const PTIME_MS: u32 = 20;

/// 2.5 s of a caller, 8 kHz.
const SAID: &[u8] = include_bytes!("../../parties/prompts/caller-2.wav");

/// Payloads of 20 ms each, one after the other.
pub(crate) type Speech = Arc<[Box<[u8]>]>;

/// In the codec as the parties speak it, which is none of the data plane's; in Opus in the `band` of the other side, as Baton's offers ask for
/// (`maxplaybackrate`).
///
/// # Errors
/// Where the recording is none.
pub(crate) fn speech(codec: Codec, band: Band) -> Result<Speech, String> {
    let samples = hound::WavReader::new(SAID).and_then(|mut reader| reader.samples().collect::<Result<Vec<i16>, _>>());
    let samples = samples.map_err(|error| format!("the recording of a caller: {error}"))?;
    let codec = match codec {
        Codec::Pcmu => codec::Codec::Pcmu,
        Codec::Pcma => codec::Codec::Pcma,
        Codec::G722 => codec::Codec::G722,
        Codec::L16 => codec::Codec::L16,
        Codec::L16Wide => codec::Codec::L16Wide,
        Codec::Opus => return opus(&in_band(samples, band), band),
    };
    let band = if codec.rate() == 8_000 {
        Band::Narrow
    } else {
        Band::Wide
    };
    let samples = in_band(samples, band);
    let mut encoder = Encoder::new(codec);
    let packets = samples.chunks_exact(codec.samples(PTIME_MS));
    Ok(packets
        .map(|samples| encoder.encode(samples).into_boxed_slice())
        .collect())
}

fn in_band(samples: Vec<i16>, band: Band) -> Vec<i16> {
    match band {
        Band::Narrow => samples,
        Band::Wide => {
            let mut doubled = vec![0; 2 * samples.len()];
            Upsampler::new().process(&samples, &mut doubled);
            doubled
        }
    }
}

fn opus(samples: &[i16], band: Band) -> Result<Speech, String> {
    let encoder = media::codec::opus::Encoder::new(band, &Settings::default());
    let mut encoder = encoder.map_err(|error| format!("an encoder of Opus: {error}"))?;
    let packets = samples.chunks_exact((band.hz() * PTIME_MS / 1000) as usize);
    let coded = packets.map(|samples| {
        let mut packet = [0; 1_275];
        let len = encoder.encode(samples, &mut packet).unwrap_or(0);
        Box::from(&packet[..len])
    });
    Ok(coded.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn speech_is_whole_packets_in_every_codec_and_differs_from_packet_to_packet() {
        for (codec, band) in Codec::ALL
            .into_iter()
            .flat_map(|codec| [(codec, Band::Narrow), (codec, Band::Wide)])
        {
            let speech = speech(codec, band).unwrap();
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
