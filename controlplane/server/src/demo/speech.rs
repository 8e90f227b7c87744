//! Everything that is said in the demo.

use std::sync::Arc;

use crate::prompts::{BuiltIn, decode};

/// A prompt of the server or of a party.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Speech {
    Announcement,
    Hold,
    Briefing,
    Busy,
    NoAnswer,
    Failed,
    AfterHours,
    Caller1,
    Caller2,
    Caller3,
    Caller4,
    Ai1,
    Ai2,
    AiBack,
    HumanHello,
    Human2,
}

/// All of them.
#[cfg(test)]
pub(super) const ALL: [Speech; 16] = [
    Speech::Announcement,
    Speech::Hold,
    Speech::Briefing,
    Speech::Busy,
    Speech::NoAnswer,
    Speech::Failed,
    Speech::AfterHours,
    Speech::Caller1,
    Speech::Caller2,
    Speech::Caller3,
    Speech::Caller4,
    Speech::Ai1,
    Speech::Ai2,
    Speech::AiBack,
    Speech::HumanHello,
    Speech::Human2,
];

/// Where it comes from.
enum Source {
    Server(BuiltIn),
    /// Its name, and the WAV file.
    Party(&'static str, &'static [u8]),
}

impl Speech {
    /// As the parties call it, and the files.
    pub(super) fn name(self) -> &'static str {
        match self.source() {
            Source::Server(prompt) => prompt.name(),
            Source::Party(name, _) => name,
        }
    }

    /// Its samples, mono, 8000 Hz.
    pub(super) fn samples(self) -> Arc<[i16]> {
        match self.source() {
            Source::Server(prompt) => prompt.prompt().samples,
            Source::Party(_, wav) => decode(wav).expect("the parties' prompts are what they must be").0,
        }
    }

    fn source(self) -> Source {
        macro_rules! party {
            ($name:literal) => {
                Source::Party(
                    $name,
                    include_bytes!(concat!("../../../../tools/parties/prompts/", $name, ".wav")),
                )
            };
        }
        match self {
            Speech::Announcement => Source::Server(BuiltIn::Announcement),
            Speech::Hold => Source::Server(BuiltIn::Hold),
            Speech::Briefing => Source::Server(BuiltIn::Briefing),
            Speech::Busy => Source::Server(BuiltIn::Busy),
            Speech::NoAnswer => Source::Server(BuiltIn::NoAnswer),
            Speech::Failed => Source::Server(BuiltIn::Failed),
            Speech::AfterHours => Source::Server(BuiltIn::AfterHours),
            Speech::Caller1 => party!("caller-1"),
            Speech::Caller2 => party!("caller-2"),
            Speech::Caller3 => party!("caller-3"),
            Speech::Caller4 => party!("caller-4"),
            Speech::Ai1 => party!("ai-1"),
            Speech::Ai2 => party!("ai-2"),
            Speech::AiBack => party!("ai-back"),
            Speech::HumanHello => party!("human-hello"),
            Speech::Human2 => party!("human-2"),
        }
    }
}
