//! The calls of a measurement: how many, and what their legs speak.

use media::codec::opus::{Band, Effort, Settings};
use media::coders::Sizes;
use media::command::Codec;

/// What a leg can speak, by its name on the command line.
pub(crate) const CODECS: [(&str, Codec); 4] = [
    ("pcmu", Codec::Pcmu),
    ("pcma", Codec::Pcma),
    ("g722", Codec::G722),
    ("opus", Codec::Opus),
];

/// Each is two streams.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Calls {
    /// Of the first and the second leg of each call …
    pub(crate) codecs: [Codec; 2],
    /// … of which there are so many.
    pub(crate) count: usize,
    /// After them so many with PCMU on both sides.
    pub(crate) relayed: usize,
    /// Of whoever encodes Opus; `None`: as the data plane does it by default.
    pub(crate) opus: Option<Effort>,
}

impl Calls {
    /// With PCMU on both sides.
    pub(crate) fn plain(count: usize) -> Calls {
        Calls {
            codecs: [Codec::Pcmu; 2],
            count,
            relayed: 0,
            opus: None,
        }
    }

    /// All of them.
    pub(crate) fn all(&self) -> usize {
        self.count + self.relayed
    }

    /// Of the legs of one of them.
    pub(crate) fn codecs(&self, call: usize) -> [Codec; 2] {
        if call < self.count {
            self.codecs
        } else {
            [Codec::Pcmu; 2]
        }
    }

    /// Whether what a packet says of itself in samples of G.711 would not arrive.
    pub(crate) fn is_recoded(&self, call: usize) -> bool {
        self.codecs(call).iter().any(|codec| codec.law().is_none())
    }

    /// The words of a command line that mean the same.
    pub(crate) fn words(&self) -> Vec<String> {
        let [one, other] = self.codecs.map(name);
        let mut words = vec!["--calls".to_owned(), self.count.to_string()];
        words.extend(["--codecs".to_owned(), format!("{one},{other}")]);
        if self.relayed > 0 {
            words.extend(["--relayed".to_owned(), self.relayed.to_string()]);
        }
        if let Some(Effort { bitrate, complexity }) = self.opus {
            words.extend(["--opus".to_owned(), format!("{bitrate},{complexity}")]);
        }
        words
    }

    /// Of Baton's encoders of Opus.
    pub(crate) fn settings(&self) -> Settings {
        let usual = Settings::default();
        Settings {
            narrow: self.opus.unwrap_or(usual.narrow),
            wide: self.opus.unwrap_or(usual.wide),
            ..usual
        }
    }

    /// What an encoder of Opus spends in these calls.
    pub(crate) fn effort(&self) -> Effort {
        match self.band() {
            Band::Narrow => self.settings().narrow,
            Band::Wide => self.settings().wide,
        }
    }

    /// The coder states that they take: two lines a call.
    pub(crate) fn sizes(&self) -> Sizes {
        let [one, other] = self.codecs;
        let recoded = if one == other { 0 } else { self.count };
        let opus = if self.codecs.contains(&Codec::Opus) { recoded } else { 0 };
        match self.band() {
            Band::Narrow => Sizes {
                opus_narrow: opus,
                ..Sizes::default()
            },
            Band::Wide => Sizes {
                wide: 2 * recoded,
                opus_wide: opus,
                ..Sizes::default()
            },
        }
    }

    /// Of what is between two codecs.
    pub(crate) fn band(&self) -> Band {
        match self.codecs.contains(&Codec::G722) {
            true => Band::Wide,
            false => Band::Narrow,
        }
    }
}

/// On the command line.
fn name(codec: Codec) -> &'static str {
    let found = CODECS.into_iter().find(|(_, other)| *other == codec);
    found.map_or("?", |(name, _)| name)
}

/// As a table says them.
pub(crate) fn pair(codecs: [Codec; 2]) -> String {
    codecs.map(name).join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_take_the_coder_states_of_their_two_lines() {
        let sizes = |one, other| {
            let calls = Calls {
                codecs: [one, other],
                relayed: 5,
                ..Calls::plain(7)
            };
            let sizes = calls.sizes();
            (sizes.wide, sizes.opus_narrow, sizes.opus_wide)
        };
        assert_eq!(sizes(Codec::Pcmu, Codec::Pcma), (0, 0, 0));
        assert_eq!(sizes(Codec::Opus, Codec::Opus), (0, 0, 0));
        assert_eq!(sizes(Codec::Pcmu, Codec::Opus), (0, 7, 0));
        assert_eq!(sizes(Codec::G722, Codec::Pcmu), (14, 0, 0));
        assert_eq!(sizes(Codec::Opus, Codec::G722), (14, 0, 7));
    }

    #[test]
    fn the_last_calls_are_relayed() {
        let calls = Calls {
            codecs: [Codec::Pcmu, Codec::Opus],
            relayed: 2,
            ..Calls::plain(1)
        };
        assert_eq!(calls.all(), 3);
        assert_eq!([0, 1, 2].map(|call| calls.is_recoded(call)), [true, false, false]);
        assert_eq!(calls.codecs(2), [Codec::Pcmu; 2]);
    }
}
