//! Keys that a listener is told and that did not come in the audio of whom it hears (SIP INFO): packet for packet in place of that audio, so
//! that the line has neither a hole nor a packet more.

use arrayvec::ArrayVec;

use crate::clock::Clock;
use crate::codec::mean_square;
use crate::command::Pressed;
use crate::dtmf::{EVENT, Event, Tone};
use crate::leg::{Leg, Sound};
use crate::route::Part;
use crate::rtp::HEADER;
use crate::voice::SAMPLES_MAX;

/// How long each key is: what RFC 4733 §2.5.1.1 calls for at least is 40 ms, and telephones send 100.
const KEY_MS: u32 = 100;

/// The end is said so often (RFC 4733 §2.5.1.4).
const ENDS: u8 = 3;

/// A peer that tells a key in its audio and in INFO, too, has told one key, if both came within this, ns.
const TWICE: u64 = 1_000_000_000;

/// Volume of our events, −dBm0.
const VOLUME: u8 = 10;

/// Keys that wait at the most.
const QUEUE: usize = 8;

/// The keys of one listener.
#[derive(Clone, Debug, Default)]
pub(crate) struct Presses {
    /// Of the last one that was taken.
    number: u32,
    queue: ArrayVec<u8, QUEUE>,
    now: Option<Press>,
    /// Where the key began that was the last thing on the line.
    last: Option<u32>,
    /// The last key that came in the audio, and the last of these, with their times, ns.
    heard: Option<(u8, u64)>,
    told: Option<(u8, u64)>,
}

/// The key that is being told.
#[derive(Clone, Copy, Debug)]
struct Press {
    code: u8,
    /// Its timestamp, once it is on the line.
    began: Option<u32>,
    /// How long it has lasted, ticks of the line.
    lasted: u32,
    /// How often its end was said.
    ends: u8,
}

/// A packet of a key.
pub(crate) struct Told {
    pub(crate) payload_type: u8,
    pub(crate) timestamp: u32,
    pub(crate) marker: bool,
    pub(crate) part: Part,
}

impl Presses {
    /// Those of a state; each is told once. Of more than have room the newest are not told.
    pub(crate) fn take(&mut self, keys: &[Pressed]) {
        for key in keys.iter().filter(|key| key.number > self.number) {
            let _ = self.queue.try_push(key.code);
        }
        self.number = keys.iter().map(|key| key.number).fold(self.number, u32::max);
    }

    /// A key comes in the audio. Whether it is to be heard: it is not while another is told, nor where it was told already.
    pub(crate) fn hears(&mut self, now: u64, code: u8) -> bool {
        if self.has_begun() || is_again(self.told, now, code) {
            return false;
        }
        self.heard = Some((code, now));
        true
    }

    /// Whether a part of a key is on the line, and its end is not.
    pub(crate) fn has_begun(&self) -> bool {
        self.now.is_some_and(|press| press.began.is_some())
    }

    /// The step of the timestamp from a key that was the last thing on the line.
    pub(crate) fn stepped(&mut self, timestamp: u32) -> Option<u32> {
        let goes_on = self.has_begun();
        let began = self.last.take_if(|_| !goes_on)?;
        Some(timestamp.wrapping_sub(began))
    }

    /// The key that is told is cut short: its timestamp, and its code.
    pub(crate) fn cut(&mut self) -> Option<(u32, u8)> {
        let press = self.now.take_if(|press| press.began.is_some())?;
        Some((press.began?, press.code))
    }

    /// What is on the line of a key is told no further: the line, or how keys are told on it, is another one.
    pub(crate) fn forget(&mut self) {
        self.now.take_if(|press| press.began.is_some());
    }

    fn next(&mut self, now: u64) -> Option<u8> {
        while let Some(code) = self.queue.pop_at(0) {
            if !is_again(self.heard, now, code) {
                self.told = Some((code, now));
                return Some(code);
            }
        }
        None
    }
}

fn is_again(told: Option<(u8, u64)>, now: u64, code: u8) -> bool {
    told.is_some_and(|(known, at)| known == code && now.saturating_sub(at) < TWICE)
}

impl Leg {
    /// Whether the next packet of audio gives way to a part of a key: of the one that is told, or of the next. None is told to who has no
    /// telephone-event in Opus, of which there may be no coder.
    pub(crate) fn tells_key(&mut self, now: u64) -> bool {
        if self.presses.now.is_none() {
            self.presses.now = self.presses.next(now).map(|code| Press {
                code,
                began: None,
                lasted: 0,
                ends: 0,
            });
        }
        let can = self.format.events.is_some() || self.format.codec.band().is_some();
        self.presses.now.take_if(|_| !can);
        self.presses.now.is_some()
    }

    /// What goes in place of a packet of audio with this timestamp and so many ticks of the line.
    pub(crate) fn tell_key(&mut self, timestamp: u32, duration: u32, buffer: &mut [u8]) -> Option<Told> {
        let mut press = self.presses.now.take()?;
        let first = press.began.is_none();
        let began = *press.began.get_or_insert(timestamp);
        let clock = self.line.clock;
        let lasted = timestamp.wrapping_sub(began).wrapping_add(duration);
        let over = lasted >= clock.ticks_of_ms(KEY_MS);
        if press.ends == 0 {
            press.lasted = lasted;
        }
        let Some(events) = self.format.events else {
            let told = self.tell_tone(press.code, began, timestamp, duration, buffer)?;
            self.presses.now = Some(press).filter(|_| !over);
            return Some(Told { marker: first, ..told });
        };
        press.ends += u8::from(over);
        let ticks = clock.to(Clock::hz(events.clock_hz), press.lasted);
        let event = Event {
            code: press.code,
            end: over,
            volume: VOLUME,
            duration: ticks.min(u16::MAX.into()) as u16,
        };
        buffer.get_mut(HEADER..HEADER + EVENT)?.copy_from_slice(&event.write());
        self.presses.last = Some(began);
        self.presses.now = Some(press).filter(|press| press.ends < ENDS);
        Some(Told {
            payload_type: events.send,
            timestamp: began,
            marker: first,
            part: Part {
                len: EVENT,
                sound: Sound::Event,
                duration: press.lasted,
                level: None,
            },
        })
    }

    fn tell_tone(&mut self, code: u8, began: u32, timestamp: u32, duration: u32, buffer: &mut [u8]) -> Option<Told> {
        let (codec, narrow) = (self.format.codec, Clock::hz(8_000));
        let (tone, band) = (Tone::of(code)?, codec.band()?);
        let from = self.line.clock.to(narrow, timestamp.wrapping_sub(began));
        let count = self.line.clock.to(narrow, duration) * (band.hz() / 8_000);
        let mut samples = [0; SAMPLES_MAX];
        let samples = samples.get_mut(..count as usize)?;
        tone.fill(band, from, samples);
        let len = self.voice.encode(codec, samples, buffer.get_mut(HEADER..)?)?;
        Some(Told {
            payload_type: self.format.send,
            timestamp,
            marker: false,
            part: Part {
                len,
                sound: Sound::Audio,
                duration,
                level: Some(mean_square(samples)),
            },
        })
    }

    /// The end of a key that is cut short, as if it had been whole: whoever takes keys takes none that is too short.
    pub(crate) fn cut_key(&mut self) -> Option<(u32, Event)> {
        let (began, code) = self.presses.cut()?;
        let clock = Clock::hz(self.format.events?.clock_hz);
        let event = Event {
            code,
            end: true,
            volume: VOLUME,
            duration: clock.ticks_of_ms(KEY_MS) as u16,
        };
        Some((began, event))
    }
}
