//! Prompts: encoded once per codec at load, so that a thousand callers on hold cost no codec.

use std::sync::OnceLock;
use std::time::Duration;

use crate::codec::g711;
use crate::command::{Codec, PromptId};

/// Everything that can be played.
#[derive(Clone, Debug, Default)]
pub struct Prompts {
    prompts: Vec<Prompt>,
    /// Places for those that come while workers run. What is in one stays: a call may be playing it.
    later: Vec<OnceLock<Prompt>>,
}

#[derive(Clone, Debug)]
struct Prompt {
    name: String,
    pcmu: Box<[u8]>,
    pcma: Box<[u8]>,
}

impl Prompt {
    fn new(name: &str, samples: &[i16]) -> Prompt {
        Prompt {
            name: name.to_owned(),
            pcmu: samples.iter().map(|&sample| g711::encode_ulaw(sample)).collect(),
            pcma: samples.iter().map(|&sample| g711::encode_alaw(sample)).collect(),
        }
    }
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
        if samples.is_empty() || !self.later.is_empty() {
            return None;
        }
        self.prompts.push(Prompt::new(name, samples));
        Some(id)
    }

    /// Makes room for so many that come later; after this nothing is added but by [`Prompts::add_later`].
    pub fn reserve(&mut self, count: usize) {
        let most = usize::from(u16::MAX).saturating_sub(self.prompts.len());
        self.later.resize_with(count.min(most), OnceLock::new);
    }

    /// As [`Prompts::add`], while workers have the library. `None` where there is no room left, too.
    pub fn add_later(&self, name: &str, samples: &[i16]) -> Option<PromptId> {
        if samples.is_empty() {
            return None;
        }
        let mut prompt = Prompt::new(name, samples);
        for (at, place) in self.later.iter().enumerate() {
            match place.set(prompt) {
                Ok(()) => return u16::try_from(self.prompts.len() + at).ok().map(PromptId),
                Err(back) => prompt = back,
            }
        }
        None
    }

    fn get(&self, id: PromptId) -> Option<&Prompt> {
        let at = usize::from(id.0);
        match at.checked_sub(self.prompts.len()) {
            None => self.prompts.get(at),
            Some(at) => self.later.get(at)?.get(),
        }
    }

    /// By its name.
    pub fn find(&self, name: &str) -> Option<PromptId> {
        let at = self.prompts.iter().position(|prompt| prompt.name == name)?;
        u16::try_from(at).ok().map(PromptId)
    }

    /// How long it plays.
    pub fn duration(&self, id: PromptId) -> Option<Duration> {
        let prompt = self.get(id)?;
        Some(Duration::from_micros(prompt.pcmu.len() as u64 * 125))
    }

    /// The whole prompt in a codec: one byte a sample at 8000 Hz.
    pub fn encoded(&self, id: PromptId, codec: Codec) -> Option<&[u8]> {
        let prompt = self.get(id)?;
        Some(match codec {
            Codec::Pcmu => &prompt.pcmu,
            Codec::Pcma => &prompt.pcma,
        })
    }

    /// Fills a payload from the `offset`th byte of the prompt on. Without `repeat` it stops at the prompt's end and leaves the
    /// rest of the payload as it was, for the next prompt or for comfort noise; with it, the beginning follows the end without a gap.
    /// `None` where there is no such prompt.
    pub fn fill(
        &self,
        id: PromptId,
        codec: Codec,
        offset: usize,
        repeat: bool,
        payload: &mut [u8],
    ) -> Option<Progress> {
        let prompt = self.encoded(id, codec)?;
        let mut at = offset.min(prompt.len());
        let mut filled = 0;
        let mut ended = at == prompt.len();
        while filled < payload.len() {
            if at == prompt.len() {
                if !repeat {
                    break;
                }
                at = 0;
            }
            let length = (payload.len() - filled).min(prompt.len() - at);
            payload[filled..filled + length].copy_from_slice(&prompt[at..at + length]);
            filled += length;
            at += length;
            ended |= at == prompt.len();
        }
        Some(Progress {
            filled,
            offset: at,
            ended,
        })
    }
}

/// How far [`Prompts::fill`] came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Bytes of the payload that were filled.
    pub filled: usize,
    /// Where to go on.
    pub offset: usize,
    /// Whether the end of the prompt was reached: its last byte is in this payload, or was in an earlier one.
    pub ended: bool,
}

#[cfg(test)]
mod tests;
