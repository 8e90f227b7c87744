//! Prompts: encoded once at load, so that a thousand callers on hold cost no codec. Only G.722 is coded on the line itself: its
//! decoder at the far end remembers what came before, and would make a noise at each seam.

use std::sync::OnceLock;
use std::time::Duration;

use crate::codec::g711::Law;
use crate::codec::mean_square;
use crate::codec::opus::{Band, Effort, Encoder, Settings};
use crate::command::PromptId;
use crate::resample::Upsampler;

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
    /// Samples of 8 kHz.
    narrow: Box<[i16]>,
    /// Samples of 16 kHz, two for each of those.
    wide: Box<[i16]>,
    opus: Frames,
}

impl Prompt {
    fn new(name: &str, narrow: &[i16]) -> Prompt {
        let coded = |law: Law| {
            let mut coded = vec![0; narrow.len()].into_boxed_slice();
            law.encode(narrow, &mut coded);
            coded
        };
        let mut wide = vec![0; 2 * narrow.len()];
        Upsampler::new().process(narrow, &mut wide);
        Prompt {
            name: name.to_owned(),
            pcmu: coded(Law::Mu),
            pcma: coded(Law::A),
            narrow: narrow.into(),
            opus: Frames::new(&wide),
            wide: wide.into(),
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
        Some(Duration::from_micros(prompt.narrow.len() as u64 * 125))
    }

    /// The whole prompt in G.711.
    pub fn encoded(&self, id: PromptId, law: Law) -> Option<&[u8]> {
        let prompt = self.get(id)?;
        Some(match law {
            Law::Mu => &prompt.pcmu,
            Law::A => &prompt.pcma,
        })
    }

    /// Fills a payload of G.711 from the `offset`th sample of the prompt on. Without `repeat` it stops at the prompt's end and leaves
    /// the rest of the payload as it was, for the next prompt or for comfort noise; with it, the beginning follows the end without a
    /// gap. `None` where there is no such prompt.
    pub fn fill(&self, id: PromptId, law: Law, offset: usize, repeat: bool, payload: &mut [u8]) -> Option<Progress> {
        Some(copy(self.encoded(id, law)?, 1, offset, repeat, payload))
    }

    /// The same in linear samples. The offset counts samples of 8 kHz, whatever the band.
    pub fn linear(
        &self,
        id: PromptId,
        band: Band,
        offset: usize,
        repeat: bool,
        samples: &mut [i16],
    ) -> Option<Progress> {
        let prompt = self.get(id)?;
        Some(match band {
            Band::Narrow => copy(&prompt.narrow, 1, offset, repeat, samples),
            Band::Wide => copy(&prompt.wide, 2, offset, repeat, samples),
        })
    }

    /// The packet of Opus, 20 ms, in which the `offset`th sample of 8 kHz lies, and its mean square. The last one is filled up with
    /// silence.
    pub fn opus(&self, id: PromptId, offset: usize) -> Option<(&[u8], u32)> {
        self.get(id)?.opus.get(offset / TICKS_A_FRAME)
    }
}

/// Copies what lies from `offset` on, of which each unit has `unit` elements.
fn copy<T: Copy>(prompt: &[T], unit: usize, offset: usize, repeat: bool, to: &mut [T]) -> Progress {
    let mut at = (offset * unit).min(prompt.len());
    let mut filled = 0;
    let mut ended = at == prompt.len();
    while filled < to.len() {
        if at == prompt.len() {
            if !repeat {
                break;
            }
            at = 0;
        }
        let length = (to.len() - filled).min(prompt.len() - at);
        to[filled..filled + length].copy_from_slice(&prompt[at..at + length]);
        filled += length;
        at += length;
        ended |= at == prompt.len();
    }
    Progress {
        filled,
        offset: at / unit,
        ended,
    }
}

/// Packets of Opus, 20 ms each.
#[derive(Clone, Debug)]
pub(crate) struct Frames {
    bytes: Box<[u8]>,
    /// Where each ends, and the mean square of its samples.
    ends: Box<[(u32, u32)]>,
}

/// Samples of 8 kHz in a packet of Opus that we make.
pub(crate) const TICKS_A_FRAME: usize = 160;

impl Frames {
    /// Of samples of 16 kHz. Coded with as much care as there is: it is done once.
    pub(crate) fn new(samples: &[i16]) -> Frames {
        let settings = Settings {
            wide: Effort {
                bitrate: 32_000,
                complexity: 10,
            },
            ..Settings::default()
        };
        let (mut bytes, mut ends) = (Vec::new(), Vec::new());
        // Without memory for an encoder there is none for anything else.
        if let Ok(mut encoder) = Encoder::new(Band::Wide, &settings) {
            for samples in samples.chunks(2 * TICKS_A_FRAME) {
                let mut frame = [0; 2 * TICKS_A_FRAME];
                frame[..samples.len()].copy_from_slice(samples);
                let mut packet = [0; 500];
                let len = encoder.encode(&frame, &mut packet).unwrap_or(0);
                bytes.extend_from_slice(&packet[..len]);
                ends.push((bytes.len() as u32, mean_square(&frame)));
            }
        }
        Frames {
            bytes: bytes.into(),
            ends: ends.into(),
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.ends.len()
    }

    /// A packet, and the mean square of its samples.
    pub(crate) fn get(&self, at: usize) -> Option<(&[u8], u32)> {
        let &(end, level) = self.ends.get(at)?;
        let start = at.checked_sub(1).map_or(0, |before| self.ends[before].0);
        Some((&self.bytes[start as usize..end as usize], level))
    }
}

/// How far [`Prompts::fill`] came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Bytes of the payload, or samples, that were filled.
    pub filled: usize,
    /// Where to go on, samples of 8 kHz.
    pub offset: usize,
    /// Whether the end of the prompt was reached: its last sample is in this payload, or was in an earlier one.
    pub ended: bool,
}

#[cfg(test)]
mod tests;
