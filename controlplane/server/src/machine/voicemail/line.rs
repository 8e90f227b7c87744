//! What the machine says on a line, and what it keeps of what it hears. Pure: time is passed in, and there is no socket and no file.

use std::sync::Arc;
use std::time::Duration;

use media::codec::g711::{BELOW_50_DBM0, Law};
use media::codec::opus::Band;
use media::vad::Ear;

use crate::machine::PACKET;

/// Of the tone, and how long it lasts.
const TONE_HZ: f64 = 440.0;
const TONE: usize = 30 * PACKET;

/// Silence before the greeting.
const BEFORE: usize = 15 * PACKET;

/// With less than this that can be heard (−50 dBm0) it is no message.
pub(super) const SPEECH_MIN: Duration = Duration::from_secs(1);

/// The greeting and the tone, as they are sent (µ-law). What is said while it is heard is not kept.
pub(super) fn greeting(samples: &[i16]) -> Arc<[u8]> {
    // The caller may hear nothing of the first packets: the join waits for them.
    let (before, pause) = ([0; BEFORE], [0; 10 * PACKET]);
    // −10 dBm0, without a click at either end.
    let tone = (0..TONE).map(|at| {
        let edge = (at.min(TONE - at) as f64 / PACKET as f64).min(1.0);
        let angle = at as f64 * TONE_HZ / 8_000.0 * std::f64::consts::TAU;
        (angle.sin() * edge * 7_200.0) as i16
    });
    let mut all: Vec<i16> = before.iter().chain(samples).copied().chain(pause).chain(tone).collect();
    all.resize(all.len().next_multiple_of(PACKET), 0);
    let mut coded = vec![0; all.len()];
    Law::Mu.encode(&all, &mut coded);
    coded.into()
}

/// Bounds of a message.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    /// Of a message.
    pub(super) max: Duration,
    /// Without speech.
    pub(super) silence: Duration,
}

/// Why a message is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Over {
    /// The caller pressed `#`.
    Key,
    /// Nothing was said for a while.
    Silence,
    /// It is as long as it may be.
    Full,
}

/// One call of the machine.
pub(super) struct Line {
    says: Arc<[u8]>,
    /// How much of it was said.
    said: usize,
    bounds: Bounds,
    ear: Ear,
    /// When the tone was over, and when speech was heard last; since the answer.
    began: Option<Duration>,
    spoke: Duration,
    speech: usize,
    /// The RTP timestamp after the last sample that was kept.
    next: Option<u32>,
    kept: usize,
    pressed: bool,
}

impl Line {
    pub(super) fn new(says: Arc<[u8]>, bounds: Bounds) -> Line {
        Line {
            says,
            said: 0,
            bounds,
            ear: Ear::new(Band::Narrow),
            began: None,
            spoke: Duration::ZERO,
            speech: 0,
            next: None,
            kept: 0,
            pressed: false,
        }
    }

    /// The next 20 ms, µ-law; or why it is over. `now`: since the answer.
    pub(super) fn tick(&mut self, now: Duration, payload: &mut [u8; PACKET]) -> Option<Over> {
        let says = self.says.get(self.said..self.said + PACKET);
        match says {
            Some(says) => payload.copy_from_slice(says),
            // Silence: the caller's line goes on.
            None => payload.fill(0xff),
        }
        if says.is_some() {
            self.said += PACKET;
            return None;
        }
        let began = *self.began.get_or_insert(now);
        if self.ear.is_speech() {
            self.spoke = now;
        }
        match () {
            () if self.pressed => Some(Over::Key),
            () if now.saturating_sub(began) >= self.bounds.max => Some(Over::Full),
            () if now.saturating_sub(began.max(self.spoke)) >= self.bounds.silence => Some(Over::Silence),
            () => None,
        }
    }

    /// A key. `#` ends the message; while the greeting is said it goes on to the tone.
    pub(super) fn press(&mut self, key: char) {
        match (key, self.began) {
            ('#', Some(_)) => self.pressed = true,
            ('#', None) => self.said = self.said.max(self.says.len().saturating_sub(TONE)),
            _ => {}
        }
    }

    /// A packet of the caller's; what of it is to be kept is added to `keep`, with the silence that is missing before it, so that a message
    /// lasts as long as it took. What comes late is left out.
    pub(super) fn hear(&mut self, timestamp: u32, payload: &[u8], keep: &mut Vec<i16>) {
        if self.began.is_none() {
            return;
        }
        let room = (self.bounds.max.as_millis() as usize * 8).saturating_sub(self.kept);
        let missing = match self.next {
            None => 0,
            Some(next) => match timestamp.wrapping_sub(next).cast_signed() {
                late if late < 0 && late > -8_000 => return,
                // Another source, or another clock: it follows at once.
                other if other < 0 || other as usize > room => 0,
                missing => missing as usize,
            },
        };
        let (from, heard) = (keep.len(), payload.len().min(room.saturating_sub(missing)));
        keep.resize(from + missing + heard, 0);
        Law::Mu.decode(&payload[..heard], &mut keep[from + missing..]);
        self.ear.heard(&keep[from..]);
        // By its level: whatever can be heard is not thrown away because a detector takes it for no speech.
        if Law::Mu.mean_square(&payload[..heard]) > BELOW_50_DBM0 {
            self.speech += heard;
        }
        self.kept += missing + heard;
        self.next = Some(timestamp.wrapping_add(heard as u32));
    }

    /// How long something was to be heard.
    pub(super) fn speech(&self) -> Duration {
        Duration::from_micros(self.speech as u64 * 125)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOUNDS: Bounds = Bounds {
        max: Duration::from_secs(10),
        silence: Duration::from_secs(3),
    };

    /// 20 ms of a voice that is none, but loud: the ear takes a tone that lasts for speech.
    fn voice(at: usize) -> [u8; PACKET] {
        let samples: Vec<i16> = (0..PACKET)
            .map(|n| {
                let seconds = (at * PACKET + n) as f64 / 8_000.0;
                ((seconds * 300.0 * std::f64::consts::TAU).sin() * 6_000.0) as i16
            })
            .collect();
        let mut payload = [0; PACKET];
        Law::Mu.encode(&samples, &mut payload);
        payload
    }

    struct Call {
        line: Line,
        ticks: usize,
        kept: Vec<i16>,
        sent: Vec<u8>,
    }

    impl Call {
        fn new() -> Call {
            let line = Line::new(greeting(&[1_000; 8 * PACKET]), BOUNDS);
            let (kept, sent) = (Vec::new(), Vec::new());
            Call {
                line,
                ticks: 0,
                kept,
                sent,
            }
        }

        /// The caller speaks, or does not, for so many packets.
        fn goes_on(&mut self, packets: usize, speaks: bool) -> Option<Over> {
            for _ in 0..packets {
                let payload = if speaks { voice(self.ticks) } else { [0xff; PACKET] };
                let timestamp = (self.ticks * PACKET) as u32;
                self.line.hear(timestamp, &payload, &mut self.kept);
                let mut payload = [0; PACKET];
                let over = self
                    .line
                    .tick(Duration::from_millis(20 * self.ticks as u64), &mut payload);
                self.sent.extend(payload);
                self.ticks += 1;
                if over.is_some() {
                    return over;
                }
            }
            None
        }
    }

    #[test]
    fn it_greets_says_the_tone_and_keeps_only_what_comes_after_it() {
        let mut call = Call::new();
        let says = call.line.says.clone();
        assert_eq!(says.len(), (15 + 8 + 10 + 30) * PACKET);
        assert_eq!(call.goes_on(64, true), None);
        assert_eq!(call.sent[..says.len()], says[..]);
        assert_eq!(call.sent[says.len()..], [0xff; PACKET], "then it is silent");
        assert_eq!(call.kept.len(), 0);
        assert_eq!(call.goes_on(100, true), None);
        assert_eq!(call.kept.len(), 100 * PACKET);
        let mut first = [0; PACKET];
        Law::Mu.decode(&voice(64), &mut first);
        assert_eq!(call.kept[..PACKET], first);
        assert!(call.line.speech() >= SPEECH_MIN);
    }

    #[test]
    fn a_message_ends_at_its_key_after_silence_or_when_it_is_full() {
        let mut call = Call::new();
        assert_eq!(call.goes_on(3, false), None);
        // It is impatient: the tone at once.
        call.line.press('#');
        assert_eq!(call.goes_on(30, false), None);
        assert_eq!((call.goes_on(100, true), call.kept.len() / PACKET), (None, 99));
        call.line.press('1');
        assert_eq!(call.goes_on(1, true), None);
        call.line.press('#');
        assert_eq!(call.goes_on(1, true), Some(Over::Key));

        let mut call = Call::new();
        assert_eq!(call.goes_on(64 + 149, false), None, "just under three seconds");
        assert_eq!(call.goes_on(2, false), Some(Over::Silence));
        assert_eq!(call.line.speech(), Duration::ZERO);

        let mut call = Call::new();
        assert_eq!(call.goes_on(64 + 200, true), None);
        assert_eq!(call.goes_on(140, false), None, "he thinks");
        assert_eq!(call.goes_on(1_000, true), Some(Over::Full));
        assert_eq!(call.kept.len(), 10 * 8_000);
    }

    #[test]
    fn what_is_missing_becomes_silence_what_is_late_is_left_out_and_another_source_follows_at_once() {
        let mut call = Call::new();
        assert_eq!(call.goes_on(64, false), None);
        let (mut line, mut kept) = (call.line, Vec::new());
        let payload = voice(0);
        line.hear(u32::MAX - 159, &payload, &mut kept);
        line.hear(320, &payload, &mut kept);
        assert_eq!(kept.len(), 4 * PACKET, "the clock went over its end, and two were lost");
        assert_eq!(kept[PACKET..3 * PACKET], [0; 2 * PACKET]);
        line.hear(160, &payload, &mut kept);
        assert_eq!(kept.len(), 4 * PACKET, "late");
        line.hear(3_000_000_000, &payload, &mut kept);
        assert_eq!(kept.len(), 5 * PACKET);
    }
}
