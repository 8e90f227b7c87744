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
    whole: Samples,
    /// Its beginning in the first round, where it begins softly.
    beginning: Option<Samples>,
    opus: Frames,
    /// What is played in Opus over and over, where that is not the same.
    opus_loop: Option<Frames>,
}

/// The same in each of the codecs that need no more than this.
#[derive(Clone, Debug)]
struct Samples {
    pcmu: Box<[u8]>,
    pcma: Box<[u8]>,
    /// Samples of 8 kHz.
    narrow: Box<[i16]>,
    /// Samples of 16 kHz, two for each of those.
    wide: Box<[i16]>,
}

impl Samples {
    fn new(narrow: Vec<i16>, wide: Vec<i16>) -> Samples {
        let coded = |law: Law| {
            let mut coded = vec![0; narrow.len()].into_boxed_slice();
            law.encode(&narrow, &mut coded);
            coded
        };
        Samples {
            pcmu: coded(Law::Mu),
            pcma: coded(Law::A),
            narrow: narrow.into(),
            wide: wide.into(),
        }
    }

    fn law(&self, law: Law) -> &[u8] {
        match law {
            Law::Mu => &self.pcmu,
            Law::A => &self.pcma,
        }
    }
}

/// Where a prompt is to be played from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cue {
    /// Samples of 8 kHz.
    pub offset: usize,
    /// The beginning follows the end.
    pub repeat: bool,
    /// It did so before: what begins softly does not do so again.
    pub again: bool,
}

/// What a prompt is made of.
#[derive(Clone, Copy, Debug)]
pub struct Sound<'a> {
    /// Mono, 16 bit.
    pub samples: &'a [i16],
    /// Their rate. What has 16 kHz is heard so by listeners with G.722, Opus and L16 of 16 kHz.
    pub band: Band,
    /// It begins in the middle of something, as music does: 200 ms of its first round are louder and louder.
    pub softly: bool,
}

/// How long what begins softly takes, samples of 8 kHz: 200 ms.
const SOFTLY: usize = 1_600;

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
        let length = if sound.softly { SOFTLY.min(narrow.len()) } else { 0 };
        let opus = |wide: &[i16]| {
            let mut first = wide.to_vec();
            rise(&mut first[..2 * length]);
            Frames::new(&first, wide)
        };
        Prompt {
            name: name.to_owned(),
            opus: opus(&wide),
            opus_loop: frames::fitted(&wide).map(|wide| opus(&wide)),
            beginning: sound.softly.then(|| {
                let (mut narrow, mut wide) = (narrow[..length].to_vec(), wide[..2 * length].to_vec());
                rise(&mut narrow);
                rise(&mut wide);
                Samples::new(narrow, wide)
            }),
            whole: Samples::new(narrow, wide),
        }
    }
}

impl Prompt {
    /// The whole, and the beginning of the first round where that is another.
    fn parts<'a, T>(&'a self, of: impl Fn(&'a Samples) -> &'a [T]) -> [&'a [T]; 2] {
        [of(&self.whole), self.beginning.as_ref().map_or(&[], of)]
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
        let (band, softly) = (Band::Narrow, false);
        self.prompts.push(Prompt::new(name, Sound { samples, band, softly }));
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
        Some(Duration::from_micros(prompt.whole.narrow.len() as u64 * 125))
    }

    /// The whole prompt in G.711, as it is where it is repeated.
    pub fn encoded(&self, id: PromptId, law: Law) -> Option<&[u8]> {
        Some(self.get(id)?.whole.law(law))
    }

    /// Fills a payload of G.711 from a place of the prompt on. Where it is not repeated it stops at the prompt's end and leaves
    /// the rest of the payload as it was, for the next prompt or for comfort noise; else the beginning follows the end without a
    /// gap. `None` where there is no such prompt.
    pub fn fill(&self, id: PromptId, law: Law, cue: Cue, payload: &mut [u8]) -> Option<Progress> {
        let prompt = self.get(id)?;
        Some(copy(prompt.parts(|samples| samples.law(law)), 1, cue, payload))
    }

    /// The same in linear samples.
    pub fn linear(&self, id: PromptId, band: Band, cue: Cue, samples: &mut [i16]) -> Option<Progress> {
        let prompt = self.get(id)?;
        Some(match band {
            Band::Narrow => copy(prompt.parts(|samples| &samples.narrow), 1, cue, samples),
            Band::Wide => copy(prompt.parts(|samples| &samples.wide), 2, cue, samples),
        })
    }

    /// The packet of Opus, 20 ms, in which that place lies. The last one is filled up with silence, unless the first one follows.
    pub(crate) fn opus(&self, id: PromptId, cue: Cue) -> Option<Frame<'_>> {
        let prompt = self.get(id)?;
        let frames = match &prompt.opus_loop {
            Some(frames) if cue.repeat => frames,
            _ => &prompt.opus,
        };
        let last = frames.len().checked_sub(1)?;
        let at = (cue.offset / TICKS_A_FRAME).min(last);
        let (packet, level) = frames.get(if cue.again { frames.again(at) } else { at })?;
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

/// Copies what lies from there on, of which each unit has `unit` elements: of the prompt, and of its beginning in the first round.
fn copy<T: Copy>([prompt, beginning]: [&[T]; 2], unit: usize, cue: Cue, to: &mut [T]) -> Progress {
    let mut again = cue.again;
    let mut at = (cue.offset * unit).min(prompt.len());
    let mut filled = 0;
    let mut ended = at == prompt.len();
    while filled < to.len() {
        if at == prompt.len() {
            if !cue.repeat {
                break;
            }
            (at, again) = (0, true);
        }
        let from = if again || at >= beginning.len() {
            prompt
        } else {
            beginning
        };
        let length = (to.len() - filled).min(from.len() - at);
        to[filled..filled + length].copy_from_slice(&from[at..at + length]);
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

/// Becomes louder and louder, by half a wave of a cosine, from nothing to what it is.
fn rise(samples: &mut [i16]) {
    let length = samples.len() as f32;
    for (at, sample) in samples.iter_mut().enumerate() {
        *sample = (f32::from(*sample) * risen(at as f32 / length)) as i16;
    }
}

/// The gain at a place from 0 to 1.
pub(crate) fn risen(at: f32) -> f32 {
    0.5 - 0.5 * (std::f32::consts::PI * at).cos()
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
