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
pub(super) const ALL: [Speech; 15] = [
    Speech::Announcement,
    Speech::Hold,
    Speech::Briefing,
    Speech::Busy,
    Speech::NoAnswer,
    Speech::Failed,
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

impl Speech {
    /// As the parties call it, and the files.
    pub(super) fn name(self) -> &'static str {
        match self {
            Speech::Announcement => "announcement",
            Speech::Hold => "hold",
            Speech::Briefing => "briefing",
            Speech::Busy => "busy",
            Speech::NoAnswer => "no_answer",
            Speech::Failed => "failed",
            Speech::Caller1 => "caller-1",
            Speech::Caller2 => "caller-2",
            Speech::Caller3 => "caller-3",
            Speech::Caller4 => "caller-4",
            Speech::Ai1 => "ai-1",
            Speech::Ai2 => "ai-2",
            Speech::AiBack => "ai-back",
            Speech::HumanHello => "human-hello",
            Speech::Human2 => "human-2",
        }
    }

    /// Its samples, mono, 8000 Hz.
    pub(super) fn samples(self) -> Arc<[i16]> {
        macro_rules! party {
            ($name:literal) => {
                decode(&include_bytes!(concat!("../../../../tools/parties/prompts/", $name, ".wav"))[..])
                    .expect("the parties' prompts are what they must be")
            };
        }
        match self {
            Speech::Announcement => BuiltIn::Announcement.prompt().samples,
            Speech::Hold => BuiltIn::Hold.prompt().samples,
            Speech::Briefing => BuiltIn::Briefing.prompt().samples,
            Speech::Busy => BuiltIn::Busy.prompt().samples,
            Speech::NoAnswer => BuiltIn::NoAnswer.prompt().samples,
            Speech::Failed => BuiltIn::Failed.prompt().samples,
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
