//! What is spoken: WAV files, and the ones that come with the program.

use std::fmt;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;

/// Linear samples, mono, 8000 Hz, 16 bit.
#[derive(Clone, PartialEq, Eq)]
pub struct Prompt {
    /// Where it came from: a path, or `built in`.
    pub source: String,
    /// The samples; never empty.
    pub samples: Arc<[i16]>,
}

impl fmt::Debug for Prompt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Prompt({}, {} samples)", self.source, self.samples.len())
    }
}

/// A prompt that the program needs. The names are those of the keys in `[prompts]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BuiltIn {
    /// To the caller: you are being connected.
    Announcement,
    /// To the caller while waiting.
    Hold,
    /// To the human before the join.
    Briefing,
    /// To the caller: everybody is busy.
    Busy,
    /// To the caller: nobody answered.
    NoAnswer,
    /// To the caller: it did not work.
    Failed,
    /// To the caller where the AI is gone.
    Goodbye,
}

impl BuiltIn {
    /// Its key in `[prompts]`.
    pub fn name(self) -> &'static str {
        self.file().0
    }

    /// The one that comes with the program.
    pub fn prompt(self) -> Prompt {
        let samples = decode(self.file().1).expect("the prompts in the program are what they must be");
        Prompt {
            source: "built in".to_owned(),
            samples,
        }
    }

    fn file(self) -> (&'static str, &'static [u8]) {
        macro_rules! file {
            ($name:literal) => {
                ($name, include_bytes!(concat!("../prompts/", $name, ".wav")))
            };
        }
        match self {
            BuiltIn::Announcement => file!("announcement"),
            BuiltIn::Hold => file!("hold"),
            BuiltIn::Briefing => file!("briefing"),
            BuiltIn::Busy => file!("busy"),
            BuiltIn::NoAnswer => file!("no_answer"),
            BuiltIn::Failed => file!("failed"),
            BuiltIn::Goodbye => file!("goodbye"),
        }
    }
}

/// The longest prompt, 10 minutes: it is held in memory once per codec.
const SAMPLES_MAX: u32 = 8000 * 600;

/// Reads a WAV file.
///
/// # Errors
/// Names the file, what is wrong with it and what it must be.
pub fn read(path: &Path) -> Result<Prompt, String> {
    let file = std::fs::File::open(path).map_err(|error| format!("{} cannot be read: {error}", path.display()))?;
    let samples = decode(std::io::BufReader::new(file)).map_err(|why| {
        format!(
            "{}: {why}; it must be a WAV file, mono, 8000 Hz, 16 bit PCM \
             (`sox IN -r 8000 -c 1 -b 16 OUT.wav` makes one)",
            path.display()
        )
    })?;
    Ok(Prompt {
        source: path.display().to_string(),
        samples,
    })
}

/// Reads a WAV file: its samples, or what is wrong with it.
pub(crate) fn decode(bytes: impl Read) -> Result<Arc<[i16]>, String> {
    let mut reader =
        hound::WavReader::new(bytes).map_err(|error| format!("not a WAV file that can be read ({error})"))?;
    let spec = reader.spec();
    if spec.sample_format != hound::SampleFormat::Int || spec.bits_per_sample != 16 {
        return Err(format!("{} bits a sample", spec.bits_per_sample));
    }
    if spec.channels != 1 {
        return Err(format!("{} channels", spec.channels));
    }
    if spec.sample_rate != 8000 {
        return Err(format!("{} Hz", spec.sample_rate));
    }
    if reader.duration() > SAMPLES_MAX {
        return Err("longer than 10 minutes".to_owned());
    }
    let samples: Result<Vec<i16>, _> = reader.samples::<i16>().collect();
    let samples = samples.map_err(|error| format!("cut off ({error})"))?;
    if samples.is_empty() {
        return Err("no sample in it".to_owned());
    }
    Ok(samples.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wav(channels: u16, rate: u32, bits: u16, samples: usize) -> Vec<u8> {
        let mut bytes = std::io::Cursor::new(Vec::new());
        let spec = hound::WavSpec {
            channels,
            sample_rate: rate,
            bits_per_sample: bits,
            sample_format: hound::SampleFormat::Int,
        };
        let mut writer = hound::WavWriter::new(&mut bytes, spec).expect("a writer");
        for at in 0..samples * usize::from(channels) {
            writer.write_sample((at % 100) as i8).expect("a sample");
        }
        writer.finalize().expect("a header");
        bytes.into_inner()
    }

    #[test]
    fn a_right_file_gives_its_samples() {
        let samples = decode(&wav(1, 8000, 16, 250)[..]).expect("right");
        assert_eq!(samples.len(), 250);
        assert_eq!(samples[107], 7);
    }

    #[test]
    fn what_is_wrong_is_named() {
        assert_eq!(decode(&wav(2, 8000, 16, 10)[..]), Err("2 channels".to_owned()));
        assert_eq!(decode(&wav(1, 16000, 16, 10)[..]), Err("16000 Hz".to_owned()));
        assert_eq!(decode(&wav(1, 8000, 8, 10)[..]), Err("8 bits a sample".to_owned()));
        assert_eq!(decode(&wav(1, 8000, 16, 0)[..]), Err("no sample in it".to_owned()));
        assert!(decode(&b"RIFF"[..]).unwrap_err().starts_with("not a WAV file"));
        let cut = wav(1, 8000, 16, 100);
        assert!(decode(&cut[..cut.len() - 50]).is_err());
    }

    #[test]
    fn every_prompt_of_the_program_can_be_played() {
        for prompt in [
            BuiltIn::Announcement,
            BuiltIn::Hold,
            BuiltIn::Briefing,
            BuiltIn::Busy,
            BuiltIn::NoAnswer,
            BuiltIn::Failed,
            BuiltIn::Goodbye,
        ] {
            assert!(
                prompt.prompt().samples.len() > 8000,
                "{prompt:?} lasts more than a second"
            );
        }
    }
}
