//! Digits: telephone-event payloads (RFC 4733 §2.3) and the tones themselves (ITU-T Q.23).

use crate::clock::Clock;
use crate::codec::g711::Law;
use crate::codec::opus::Band;

pub mod detect;

/// Length of a telephone-event payload.
pub const EVENT: usize = 4;

/// A telephone-event payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Event {
    /// Event code: 0 to 15 are the digits.
    pub code: u8,
    /// Whether the event is over.
    pub end: bool,
    /// Power level of the tone, 0 to 63, without its sign: −dBm0.
    pub volume: u8,
    /// How long the event has lasted, in timestamp units.
    pub duration: u16,
}

impl Event {
    /// Reads a payload. What follows the first four bytes is not looked at; `None` where there are fewer.
    pub fn parse(payload: &[u8]) -> Option<Event> {
        let &[code, flags, high, low] = payload.first_chunk::<EVENT>()?;
        Some(Event {
            code,
            end: flags & 0x80 != 0,
            volume: flags & 0x3f,
            duration: u16::from_be_bytes([high, low]),
        })
    }

    /// Writes the payload.
    pub fn write(&self) -> [u8; EVENT] {
        let [high, low] = self.duration.to_be_bytes();
        [self.code, u8::from(self.end) << 7 | self.volume & 0x3f, high, low]
    }

    /// Its duration in another clock, as far as the field goes (1.36 s of 48,000 Hz), with what it was `held` before.
    pub(crate) fn counted(self, from: Clock, to: Clock, held: u32) -> Event {
        let duration = from.to(to, held.saturating_add(self.duration.into()));
        Event {
            duration: duration.min(u16::MAX.into()) as u16,
            ..self
        }
    }

    /// The key of the event, if it is one.
    pub fn digit(&self) -> Option<char> {
        DIGITS.get(usize::from(self.code)).map(|&digit| char::from(digit))
    }
}

/// The event code of a key `0`–`9`, `*`, `#`, `A`–`D` (RFC 4733 §3.2).
pub fn code_of(digit: char) -> Option<u8> {
    DIGITS
        .iter()
        .position(|&known| char::from(known) == digit)
        .map(|at| at as u8)
}

/// A two-frequency tone without state: any stretch of it can be made from its offset alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tone {
    /// Turns per sample, as a fraction of 2³².
    low: u32,
    high: u32,
}

impl Tone {
    /// The tone of an event code 0 to 15.
    pub fn of(code: u8) -> Option<Tone> {
        let at = usize::from(code);
        let &digit = DIGITS.get(at)?;
        let key = KEYPAD.iter().position(|&known| known == digit)?;
        Some(Tone {
            low: step(LOW_HZ[key / 4]),
            high: step(HIGH_HZ[key % 4]),
        })
    }

    /// Writes linear samples, from the `offset`th of 8 kHz on. −11 dBm0 in the low group, −9 in the high one (ITU-T Q.23 wants it
    /// 2 dB stronger against the line's slope): −7 dBm0 together.
    pub fn fill(&self, band: Band, offset: u32, samples: &mut [i16]) {
        let parts = match band {
            Band::Narrow => 1,
            Band::Wide => 2,
        };
        let tone = Tone {
            low: self.low / parts,
            high: self.high / parts,
        };
        let mut at = offset.wrapping_mul(parts);
        for sample in samples {
            *sample = tone.sample(at);
            at = at.wrapping_add(1);
        }
    }

    /// The same of 8 kHz, encoded.
    pub fn encode(&self, law: Law, offset: u32, payload: &mut [u8]) {
        let mut at = offset;
        for byte in payload {
            law.encode(&[self.sample(at)], std::slice::from_mut(byte));
            at = at.wrapping_add(1);
        }
    }

    fn sample(&self, at: u32) -> i16 {
        let low = sine(self.low.wrapping_mul(at)) * LOW_PEAK;
        let high = sine(self.high.wrapping_mul(at)) * HIGH_PEAK;
        ((low + high) >> 15) as i16
    }
}

/// By event code.
const DIGITS: [u8; 16] = *b"0123456789*#ABCD";
/// By row and column: [`LOW_HZ`] and [`HIGH_HZ`].
const KEYPAD: [u8; 16] = *b"123A456B789C*0#D";
const LOW_HZ: [u32; 4] = [697, 770, 852, 941];
const HIGH_HZ: [u32; 4] = [1209, 1336, 1477, 1633];

/// Amplitudes of −11 and −9 dBm0, where 32,768 is +3.14 dBm0.
const LOW_PEAK: i32 = 6433;
const HIGH_PEAK: i32 = 8099;

fn step(hz: u32) -> u32 {
    ((u64::from(hz) << 32) / 8000) as u32
}

/// Sine of a phase of 2³² to the turn, times 32,767.
fn sine(phase: u32) -> i32 {
    i32::from(SINE[(phase >> 22) as usize])
}

/// One turn in 1024 steps: the error of the phase is below 50 dB under the tone, less than what G.711 adds.
static SINE: [i16; 1024] = sine_table();

const fn sine_table() -> [i16; 1024] {
    let mut table = [0; 1024];
    let mut at = 0;
    while at < 1024 {
        let turn = match at {
            0..256 => at as f64,
            256..768 => 512.0 - at as f64,
            _ => at as f64 - 1024.0,
        };
        let scaled = sine_of(turn * std::f64::consts::TAU / 1024.0) * 32767.0;
        table[at] = (scaled + if scaled < 0.0 { -0.5 } else { 0.5 }) as i16;
        at += 1;
    }
    table
}

/// Sine of −π/2 to π/2, where seven terms of the series are exact to 28 bits.
const fn sine_of(x: f64) -> f64 {
    let mut term = x;
    let mut sum = x;
    let mut n = 2.0;
    while n < 14.0 {
        term *= -x * x / (n * (n + 1.0));
        sum += term;
        n += 2.0;
    }
    sum
}

#[cfg(test)]
mod tests;
