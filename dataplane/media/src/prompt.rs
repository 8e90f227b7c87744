//! Prompts: encoded once at load, so that a thousand callers on hold cost no codec. Only G.722 is coded on the line itself: its
//! decoder at the far end remembers what came before, and would make a noise at each seam.

mod band;
mod frames;

use std::sync::OnceLock;
use std::time::Duration;

use crate::codec::g711::Law;
use crate::codec::opus::Band;
use crate::command::PromptId;
pub(crate) use frames::{Frames, TICKS_A_FRAME};

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
    /// What is played in Opus over and over, where that is not the same.
    opus_loop: Option<Frames>,
}

/// What a prompt is made of.
#[derive(Clone, Copy, Debug)]
pub struct Sound<'a> {
    /// Mono, 16 bit.
    pub samples: &'a [i16],
    /// Their rate. What has 16 kHz is heard so by listeners with G.722, Opus and L16 of 16 kHz.
    pub band: Band,
}

impl Prompt {
    fn new(name: &str, sound: Sound<'_>) -> Prompt {
        let (narrow, wide) = match sound.band {
            Band::Narrow => (sound.samples.to_vec(), band::doubled(sound.samples)),
            Band::Wide => {
                // Two for each of 8 kHz.
                let wide = match sound.samples.len() % 2 {
                    0 => sound.samples.to_vec(),
                    _ => band::stretched(sound.samples, sound.samples.len() + 1),
                };
                (band::halved(&wide), wide)
            }
        };
        let coded = |law: Law| {
            let mut coded = vec![0; narrow.len()].into_boxed_slice();
            law.encode(&narrow, &mut coded);
            coded
        };
        Prompt {
            name: name.to_owned(),
            pcmu: coded(Law::Mu),
            pcma: coded(Law::A),
            narrow: narrow.into(),
            opus: Frames::new(&wide),
            opus_loop: frames::fitted(&wide).map(|wide| Frames::new(&wide)),
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
        let band = Band::Narrow;
        self.prompts.push(Prompt::new(name, Sound { samples, band }));
        Some(id)
    }

    /// Makes room for so many that come later; after this nothing is added but by [`Prompts::add_later`].
    pub fn reserve(&mut self, count: usize) {
        let most = usize::from(u16::MAX).saturating_sub(self.prompts.len());
        self.later.resize_with(count.min(most), OnceLock::new);
    }

    /// As [`Prompts::add`], in either band, while workers have the library. `None` where there is no room left, too.
    pub fn add_later(&self, name: &str, sound: Sound<'_>) -> Option<PromptId> {
        if sound.samples.is_empty() {
            return None;
        }
        let mut prompt = Prompt::new(name, sound);
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

    /// The packet of Opus, 20 ms, in which the `offset`th sample of 8 kHz lies. The last one is filled up with silence; not so with `repeat`,
    /// where the first one follows. `again`: it has been played to its end before.
    pub(crate) fn opus(&self, id: PromptId, offset: usize, repeat: bool, again: bool) -> Option<Frame<'_>> {
        let prompt = self.get(id)?;
        let frames = match &prompt.opus_loop {
            Some(frames) if repeat => frames,
            _ => &prompt.opus,
        };
        let last = frames.len().checked_sub(1)?;
        let at = (offset / TICKS_A_FRAME).min(last);
        let (packet, level) = frames.get(if again { frames.again(at) } else { at })?;
        Some(Frame {
            packet,
            level,
            offset: (at + 1) * TICKS_A_FRAME,
            ended: at == last,
        })
    }
}

/// A packet of Opus.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Frame<'a> {
    pub(crate) packet: &'a [u8],
    /// Mean square of its samples.
    pub(crate) level: u32,
    /// Where the next one begins, samples of 8 kHz.
    pub(crate) offset: usize,
    /// Whether it is the last one.
    pub(crate) ended: bool,
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
