//! Several sources for one listener: each through a jitter buffer and a gain of its own, summed without clipping.
//!
//! The listener has his own buffers even where another one hears the same source: so each hears what he hears at his own time, and
//! nothing of one listener's row touches another's.

use crate::clock::Clock;
use crate::codec::mean_square;
use crate::codec::opus::Band;
use crate::coders::Lendable;
use crate::command::{Codec, LEGS_MAX};
use crate::conceal::Concealer;
use crate::dtmf::Tone;
use crate::jitter::{Incoming, Jitter, Next, Put, STEP, Wish};
use crate::leg::Slot;
use crate::stretch::{Need, lengthen, shorten};
use crate::voice::{SAMPLES_MAX, Standing, Voice};

mod limiter;

use limiter::Limiter;

/// Sources that one listener can hear at a time, himself not among them.
pub(crate) const EARS: usize = LEGS_MAX - 1;

/// Samples of a source that are decoded and not played: what was left of a packet, the longest packet, and a period more.
const READY: usize = SAMPLES_MAX + SAMPLES_MAX / 2;

/// [`STEP`] of a tone, samples of 8 kHz.
const TONE_STEP: u16 = 80;

/// The longest frame of a mix, samples: 60 ms of 16 kHz.
pub(crate) const FRAME_MAX: usize = 960;

/// Mixes for one listener.
pub(crate) struct Mixer {
    ears: [Ear; EARS],
    limiter: Limiter,
    band: Band,
    /// The most that a packet may wait, ns.
    limit: u64,
    followed: Followed,
}

/// What one source gave to the last frame, before its gain.
struct Followed {
    source: Option<Slot>,
    samples: [i16; FRAME_MAX],
    /// None where it was not there.
    len: usize,
}

/// How one source is heard.
pub(crate) struct Ear {
    source: Option<Slot>,
    /// It is in the row that is wanted; the row may still be served by something else.
    wanted: bool,
    /// It is heard.
    on: bool,
    /// Times 4096.
    gain: i32,
    /// The gain at the end of the last frame: a change of it goes over one frame, so that it makes no click.
    gain_before: i32,
    band: Band,
    voice: Voice,
    jitter: Jitter,
    concealer: Concealer,
    ready: [i16; READY],
    len: usize,
    /// Mean square of what it gave to the last frame.
    level: u32,
    /// What the last packet was coded in.
    codec: Option<Codec>,
    /// The last key of it that was heard: SSRC, timestamp, and how many samples of 8 kHz of its tone.
    pub(crate) key: Option<(u32, u32, u16)>,
    /// The tone of a key that is still to be played: from which sample of 8 kHz, and to which.
    tone: Option<(Tone, u16, u16)>,
}

/// What a frame was made of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Mixed {
    /// Any source was there.
    pub(crate) sounds: bool,
    /// The most that was made up for of one source, ns.
    pub(crate) concealed: u64,
    /// The deepest buffer, ns.
    pub(crate) depth: Option<u64>,
    /// Drift of the source that drifts most.
    pub(crate) drift_ppm: Option<i32>,
}

impl Mixer {
    pub(crate) fn new() -> Mixer {
        Mixer {
            ears: std::array::from_fn(|_| Ear::new()),
            limiter: Limiter::default(),
            band: Band::Narrow,
            limit: 0,
            followed: Followed {
                source: None,
                samples: [0; FRAME_MAX],
                len: 0,
            },
        }
    }

    /// Who is heard.
    pub(crate) fn sources(&self) -> impl Iterator<Item = Slot> {
        self.ears.iter().filter(|ear| ear.on).filter_map(|ear| ear.source)
    }

    /// How a source is heard.
    pub(crate) fn ear(&mut self, source: Slot) -> Option<&mut Ear> {
        self.ears.iter_mut().find(|ear| ear.on && ear.source == Some(source))
    }

    /// What is lent for a source, whether it is heard yet or not.
    pub(crate) fn voice(&self, source: Slot) -> Option<&Voice> {
        let ear = self.ears.iter().find(|ear| ear.source == Some(source))?;
        Some(&ear.voice)
    }

    /// How many sources it has no place for beside those that it has.
    pub(crate) fn lacks(&self, sources: impl Iterator<Item = Slot>) -> bool {
        let free = self.ears.iter().filter(|ear| ear.source.is_none()).count();
        sources.filter(|&source| self.voice(source).is_none()).count() > free
    }

    /// A place for a source, with what it lacks.
    pub(crate) fn lend(&mut self, source: Slot, voice: Voice) {
        let known = self.ears.iter().position(|ear| ear.source == Some(source));
        let at = known.or_else(|| self.ears.iter().position(|ear| ear.source.is_none()));
        if let Some(ear) = at.and_then(|at| self.ears.get_mut(at)) {
            ear.source = Some(source);
            ear.voice.take(voice);
        }
    }

    /// What is to be heard, each with its gain in dB. `limit`: the most that a packet may wait, ns.
    pub(crate) fn want(&mut self, row: &[(Slot, i8)], band: Band, limit: u64) {
        (self.band, self.limit) = (band, limit);
        for ear in &mut self.ears {
            let wanted = row.iter().find(|&&(source, _)| ear.source == Some(source));
            ear.wanted = wanted.is_some();
            if let Some(&(_, gain_db)) = wanted {
                ear.gain = (10f32.powf(f32::from(gain_db) / 20.0) * 4096.0) as i32;
            }
        }
    }

    /// Hears what is wanted; what it hears already goes on.
    pub(crate) fn start(&mut self) {
        for ear in &mut self.ears {
            if ear.wanted && (!ear.on || ear.band != self.band) {
                ear.begin(self.band, self.limit);
            }
            ear.on = ear.wanted;
        }
    }

    /// Hears nobody.
    pub(crate) fn stop(&mut self) {
        self.ears.iter_mut().for_each(|ear| ear.on = false);
        self.limiter = Limiter::default();
    }

    /// What was queued is over: what it hears begins anew.
    pub(crate) fn restart(&mut self) {
        self.stop();
        self.start();
    }

    /// The band in which it mixes.
    pub(crate) fn band(&self) -> Band {
        self.band
    }

    /// Gives back what is not wanted.
    pub(crate) fn settle(&mut self) {
        self.ears
            .iter_mut()
            .filter(|ear| !ear.wanted && !ear.on)
            .for_each(Ear::forget);
    }

    /// What comes next of all, summed.
    pub(crate) fn fill(&mut self, now: u64, samples: &mut [i16]) -> Mixed {
        let mut sum = [0; FRAME_MAX];
        let sum = &mut sum[..samples.len().min(FRAME_MAX)];
        let mut mixed = Mixed::default();
        self.followed.len = 0;
        for ear in self.ears.iter_mut().filter(|ear| ear.on) {
            let mut heard = [0; FRAME_MAX];
            let heard = &mut heard[..sum.len()];
            let (sounds, concealed) = ear.pull(now, heard);
            mixed.sounds |= sounds;
            if sounds && ear.source == self.followed.source {
                self.followed.len = heard.len();
                self.followed.samples[..heard.len()].copy_from_slice(heard);
            }
            mixed.concealed = mixed.concealed.max(concealed);
            mixed.depth = mixed.depth.max(ear.jitter.depth());
            let drifts = |ppm: &i32| mixed.drift_ppm.is_none_or(|most| ppm.abs() > most.abs());
            mixed.drift_ppm = ear.jitter.drift_ppm(now).filter(drifts).or(mixed.drift_ppm);
            let before = std::mem::replace(&mut ear.gain_before, ear.gain);
            let step = ((ear.gain - before) << 8) / heard.len().max(1) as i32;
            // Where it ends evenly, it ends at what is wanted.
            let mut gain = (ear.gain << 8) - step * heard.len() as i32;
            for (sum, &sample) in sum.iter_mut().zip(&*heard) {
                gain += step;
                *sum += (i32::from(sample) * (gain >> 8)) >> 12;
            }
        }
        self.limiter.limit(sum, samples);
        mixed
    }

    /// Mean square of what a source gave to the last frame, before its gain.
    pub(crate) fn level(&self, source: Slot) -> Option<u32> {
        let ear = self.ears.iter().find(|ear| ear.on && ear.source == Some(source))?;
        Some(ear.level)
    }

    /// From now on it is known what this source gives.
    pub(crate) fn follow(&mut self, source: Slot) {
        self.followed.source = Some(source);
        self.followed.len = 0;
    }

    /// What a source that is followed gave to the last frame, before its gain.
    pub(crate) fn followed(&self, source: Slot) -> Option<&[i16]> {
        let Followed { samples, len, .. } = &self.followed;
        let is_there = self.followed.source == Some(source) && *len > 0;
        is_there.then_some(&samples[..*len])
    }
}

impl Lendable for Mixer {
    fn come_back(&mut self) {
        self.ears.iter_mut().for_each(Ear::forget);
        self.limiter = Limiter::default();
        self.followed.source = None;
    }
}

impl std::fmt::Debug for Mixer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.sources()).finish()
    }
}

impl Ear {
    fn new() -> Ear {
        Ear {
            source: None,
            wanted: false,
            on: false,
            gain: 4096,
            gain_before: 4096,
            band: Band::Narrow,
            voice: Voice::default(),
            jitter: Jitter::new(),
            concealer: Concealer::new(Band::Narrow),
            ready: [0; READY],
            len: 0,
            level: 0,
            codec: None,
            key: None,
            tone: None,
        }
    }

    fn begin(&mut self, band: Band, limit: u64) {
        self.gain_before = self.gain;
        self.band = band;
        self.jitter.begin(limit);
        self.concealer = Concealer::new(band);
        self.len = 0;
        self.level = 0;
        self.codec = None;
        self.key = None;
        self.tone = None;
    }

    fn forget(&mut self) {
        (self.wanted, self.on) = (false, false);
        self.source = None;
        self.voice = Voice::default();
    }

    /// A packet comes.
    pub(crate) fn put(&mut self, now: u64, packet: &Incoming<'_>, at_once: bool) -> Put {
        self.jitter.put(now, packet, at_once)
    }

    /// A stretch of a key's tone, which the source says by other means than its voice: it is heard after what is queued, where the source leaves
    /// time out for it.
    pub(crate) fn sound(&mut self, tone: Tone, offset: u16, until: u16) {
        let from = match self.tone {
            Some((_, from, before)) if before == offset => from,
            _ => offset,
        };
        self.tone = Some((tone, from, until));
    }

    /// What is held of it and not played, ns.
    pub(crate) fn held(&self) -> u64 {
        self.jitter.held() + self.ns(self.len)
    }

    /// Fills a frame; whether the source was there, and how much was made up for, ns.
    fn pull(&mut self, now: u64, samples: &mut [i16]) -> (bool, u64) {
        let mut concealed = 0;
        let mut sounds = self.len > 0;
        while self.len < samples.len() {
            let before = self.len;
            match self.produce(now, self.ns(samples.len())) {
                Produced::Sound => sounds = true,
                Produced::MadeUp => {
                    sounds = true;
                    concealed += self.ns(self.len.saturating_sub(before));
                }
                Produced::Nothing => {
                    self.ready[self.len..samples.len()].fill(0);
                    self.len = samples.len();
                }
            }
        }
        samples.copy_from_slice(&self.ready[..samples.len()]);
        self.ready.copy_within(samples.len()..self.len, 0);
        self.len -= samples.len();
        self.level = mean_square(samples);
        (sounds, concealed)
    }

    /// Adds what comes next to what is ready. `frame`: how much is played at a time, ns.
    fn produce(&mut self, now: u64, frame: u64) -> Produced {
        let Ear {
            band,
            voice,
            jitter,
            concealer,
            ready,
            len,
            codec: last,
            tone,
            ..
        } = self;
        let to_ns = |samples: usize| samples as u64 * 1_000_000_000 / u64::from(band.hz());
        let to_samples = |ns: u64| (ns * u64::from(band.hz()) / 1_000_000_000) as usize;
        let room = &mut ready[*len..];
        match jitter.next(now, to_ns(*len), frame) {
            Next::Packet {
                codec,
                payload,
                wish,
                first,
            } => {
                let mut samples = [0; SAMPLES_MAX];
                let first = first || *last != Some(codec);
                *tone = None;
                *last = Some(codec);
                let standing = Standing { first, lost: 0 };
                let (count, made_up) = match voice.hear(codec, standing, payload, *band, &mut samples) {
                    Ok((count, _)) => (count, false),
                    // What is broken is as good as lost.
                    Err(_) => (
                        to_samples(Clock::of(codec).ns(codec.duration(payload).unwrap_or(0).into())),
                        true,
                    ),
                };
                let count = count.min(room.len()).min(SAMPLES_MAX);
                match (made_up, codec) {
                    (true, _) => concealer.conceal(&mut samples[..count]),
                    // Its decoder blends by itself.
                    (false, Codec::Opus) => {}
                    (false, _) => concealer.heard(&mut samples[..count]),
                }
                room[..count].copy_from_slice(&samples[..count]);
                *len += fit(room, count, *band, wish);
                if made_up { Produced::MadeUp } else { Produced::Sound }
            }
            Next::Lost { ns, after } => {
                let count = to_samples(ns).min(room.len()).min(SAMPLES_MAX);
                let after = after
                    .filter(|(codec, _)| *codec == Codec::Opus)
                    .map(|(_, payload)| payload);
                let samples = &mut room[..count];
                if *last != Some(Codec::Opus) || !voice.make_up(after, *band, samples) {
                    concealer.conceal(samples);
                }
                *len += count;
                Produced::MadeUp
            }
            Next::Missing | Next::Pause | Next::Quiet if let Some((key, from, until)) = *tone => {
                let ticks = (until - from).min(TONE_STEP);
                let count = usize::from(ticks) * (band.hz() / 8_000) as usize;
                let count = count.min(room.len());
                key.fill(*band, from.into(), &mut room[..count]);
                *len += count;
                *tone = (from + ticks < until).then_some((key, from + ticks, until));
                Produced::Sound
            }
            next @ (Next::Missing | Next::Pause) => {
                let count = to_samples(STEP).min(room.len());
                let samples = &mut room[..count];
                // What a source in Opus leaves out (DTX) its decoder fills with the noise that was there before.
                if *last != Some(Codec::Opus) || !voice.make_up(None, *band, samples) {
                    concealer.conceal(samples);
                }
                *len += count;
                match next {
                    Next::Missing => Produced::MadeUp,
                    _ => Produced::Sound,
                }
            }
            Next::Quiet => {
                concealer.reset();
                Produced::Nothing
            }
        }
    }

    fn ns(&self, samples: usize) -> u64 {
        samples as u64 * 1_000_000_000 / u64::from(self.band.hz())
    }
}

/// What was added to what is ready.
enum Produced {
    Sound,
    MadeUp,
    Nothing,
}

/// Plays the first `count` samples a little faster or slower, where that is wished; returns how many they are then.
fn fit(room: &mut [i16], count: usize, band: Band, wish: Wish) -> usize {
    match wish {
        Wish::Nothing => count,
        Wish::Longer => lengthen(room, count, band, Need::Unheard),
        Wish::Shorter => shorten(&mut room[..count], band, Need::Unheard),
        Wish::MuchShorter => shorten(&mut room[..count], band, Need::Anyhow),
    }
}

#[cfg(test)]
mod tests;
