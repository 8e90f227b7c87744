//! What is spoken: WAV files, and the ones that come with the program.

mod wav;
pub(crate) mod words;

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use std::sync::Arc;

use media::codec::opus::Band;
use media::prompt::Sound;
pub(crate) use wav::decode;

/// Linear samples, mono, 16 bit.
#[derive(Clone, PartialEq, Eq)]
pub struct Prompt {
    /// Where it came from: a path, or `built in`.
    pub source: String,
    /// The samples; never empty.
    pub samples: Arc<[i16]>,
    /// Their rate.
    pub band: Band,
    /// The name under which it may have been uploaded; then this is what stands in for it until it is.
    pub uploaded: Option<String>,
}

impl Prompt {
    /// As the data plane takes it. `softly`: it begins in the middle of something.
    pub(crate) fn sound(&self, softly: bool) -> Sound<'_> {
        let (samples, band) = (&*self.samples, self.band);
        Sound { samples, band, softly }
    }
}

impl fmt::Debug for Prompt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "Prompt({}, {} samples of {} Hz)",
            self.source,
            self.samples.len(),
            self.band.hz()
        )
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
    /// To the caller: nobody is there at this time.
    AfterHours,
    /// To the caller where the AI is gone.
    Goodbye,
    /// To the caller who is called back.
    CalledBack,
    /// To the caller whom the answering machine has: leave a message. Its key is in `[voicemail]`.
    Voicemail,
    /// To the caller who is promised a callback: its first words. Keys of all of them are in `[callback.prompts]`.
    Callback,
    /// To the caller while waiting: it takes less than a minute.
    EstimateSoon,
    /// … it takes about so many minutes: the number follows.
    EstimateIntro,
    /// To the caller who waits in a queue: its place in line, the number follows.
    PlaceIntro,
}

macro_rules! file {
    ($name:literal) => {
        ($name, include_bytes!(concat!("../prompts/", $name, ".wav")))
    };
}

impl BuiltIn {
    /// Its key in `[prompts]`.
    pub fn name(self) -> &'static str {
        self.file().0
    }

    /// The one that comes with the program.
    pub fn prompt(self) -> Prompt {
        built_in(self.file().1)
    }

    fn file(self) -> (&'static str, &'static [u8]) {
        match self {
            BuiltIn::Announcement => file!("announcement"),
            BuiltIn::Hold => file!("hold"),
            BuiltIn::Briefing => file!("briefing"),
            BuiltIn::Busy => file!("busy"),
            BuiltIn::NoAnswer => file!("no_answer"),
            BuiltIn::Failed => file!("failed"),
            BuiltIn::AfterHours => file!("after_hours"),
            BuiltIn::Goodbye => file!("goodbye"),
            BuiltIn::CalledBack => file!("called_back"),
            BuiltIn::Voicemail => file!("voicemail"),
            BuiltIn::Callback => file!("callback_offer"),
            BuiltIn::EstimateSoon => file!("estimate_soon"),
            BuiltIn::EstimateIntro => file!("estimate_intro"),
            BuiltIn::PlaceIntro => file!("place_intro"),
        }
    }
}

/// The minutes that come with the program, each said with its unit.
const MINUTES: [(u8, (&str, &[u8])); 8] = [
    (1, file!("minutes_1")),
    (2, file!("minutes_2")),
    (3, file!("minutes_3")),
    (5, file!("minutes_5")),
    (10, file!("minutes_10")),
    (15, file!("minutes_15")),
    (20, file!("minutes_20")),
    (30, file!("minutes_30")),
];

/// Places in a line, likewise.
const PLACES: [(u8, (&str, &[u8])); 10] = [
    (1, file!("place_1")),
    (2, file!("place_2")),
    (3, file!("place_3")),
    (4, file!("place_4")),
    (5, file!("place_5")),
    (6, file!("place_6")),
    (7, file!("place_7")),
    (8, file!("place_8")),
    (9, file!("place_9")),
    (10, file!("place_10")),
];

/// The minutes, to be played.
pub(crate) fn minutes() -> BTreeMap<u8, Prompt> {
    MINUTES.map(|(number, (_, wav))| (number, built_in(wav))).into()
}

/// The places, to be played.
pub(crate) fn places() -> BTreeMap<u8, Prompt> {
    PLACES.map(|(number, (_, wav))| (number, built_in(wav))).into()
}

fn built_in(wav: &[u8]) -> Prompt {
    let (samples, band) = decode(wav).expect("the prompts in the program are what they must be");
    Prompt {
        source: "built in".to_owned(),
        samples,
        band,
        uploaded: None,
    }
}

/// Reads a WAV file.
///
/// # Errors
/// Names the file, what is wrong with it and what it must be.
pub fn read(path: &Path) -> Result<Prompt, String> {
    let file = std::fs::File::open(path).map_err(|error| format!("{} cannot be read: {error}", path.display()))?;
    let (samples, band) =
        decode(std::io::BufReader::new(file)).map_err(|why| format!("{}: {why}; {}", path.display(), wav::WANTED))?;
    Ok(Prompt {
        source: path.display().to_string(),
        samples,
        band,
        uploaded: None,
    })
}

/// Reads one that was sent to us, of that name.
///
/// # Errors
/// What is wrong with it and what it must be.
pub(crate) fn uploaded(name: &str, wav: &[u8]) -> Result<Prompt, String> {
    let (samples, band) = decode(wav).map_err(|why| format!("{why}; {}", wav::WANTED))?;
    Ok(Prompt {
        source: format!("uploaded as {name:?}"),
        samples,
        band,
        uploaded: Some(name.to_owned()),
    })
}

/// Whether prompts may be uploaded under a name: 1 to 64 of `a-z`, `0-9`, `-`, `_` and `.`, the first no sign.
pub(crate) fn is_name(name: &str) -> bool {
    let plain = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit();
    name.len() <= 64 && name.bytes().next().is_some_and(plain) && name.bytes().all(|c| plain(c) || b"-_.".contains(&c))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_prompt_of_the_program_can_be_played() {
        for prompt in [
            BuiltIn::Announcement,
            BuiltIn::Hold,
            BuiltIn::Briefing,
            BuiltIn::Busy,
            BuiltIn::NoAnswer,
            BuiltIn::Failed,
            BuiltIn::AfterHours,
            BuiltIn::Goodbye,
            BuiltIn::CalledBack,
            BuiltIn::Voicemail,
            BuiltIn::Callback,
            BuiltIn::EstimateSoon,
            BuiltIn::EstimateIntro,
            BuiltIn::PlaceIntro,
        ] {
            assert!(
                prompt.prompt().samples.len() > 8000,
                "{prompt:?} lasts more than a second"
            );
        }
        let minutes = minutes();
        assert_eq!(
            minutes.keys().copied().collect::<Vec<_>>(),
            [1, 2, 3, 5, 10, 15, 20, 30]
        );
        let places = places();
        assert_eq!(places.keys().copied().collect::<Vec<_>>(), (1..=10).collect::<Vec<_>>());
        for (number, prompt) in minutes.into_iter().chain(places) {
            assert!((4_000..8_000).contains(&prompt.samples.len()), "{number}: {prompt:?}");
        }
    }
}
