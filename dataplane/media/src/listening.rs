//! Listens for the first word of a leg, in what a listener is sent of it.

use std::time::Duration;

use crate::codec::opus::Band;
use crate::coders::Lent;
use crate::leg::Slot;
use crate::vad::Ear;

/// An ear at a listener's line, as long as a window waits.
#[derive(Debug)]
pub(crate) struct Listening {
    /// Whose word it is.
    pub(crate) of: Slot,
    ear: Lent<Ear>,
    /// When the first packet of the leg was sent, and until when what was sent of it sounds.
    heard: Option<(u64, u64)>,
    began: Option<u64>,
}

impl Listening {
    pub(crate) fn new(of: Slot, ear: Lent<Ear>) -> Listening {
        Listening {
            of,
            ear,
            heard: None,
            began: None,
        }
    }

    /// So much of the leg is sent now.
    pub(crate) fn heard(&mut self, now: u64, samples: &[i16], band: Band) {
        self.ear.tune(band);
        let (first, until) = self.heard.unwrap_or((now, now));
        let pause = now.saturating_sub(until);
        if pause > PAUSE {
            let quiet = pause.min(QUIET_MAX) * u64::from(band.hz()) / 1_000_000_000;
            let quiet = [0; QUIET].get(..quiet as usize & !1).map(|quiet| self.ear.heard(quiet));
            debug_assert!(quiet.is_some());
        }
        let samples = &samples[..samples.len() & !1];
        let ends = now + samples.len() as u64 * 1_000_000_000 / u64::from(band.hz());
        self.heard = Some((first, ends));
        if let Some(ago) = self.ear.heard(samples) {
            self.began = Some(ends.saturating_sub(nanos(ago)).max(first));
        }
    }

    /// When the word began, once.
    pub(crate) fn began(&mut self) -> Option<u64> {
        self.began.take()
    }
}

fn nanos(duration: Duration) -> u64 {
    duration.as_nanos() as u64
}

/// What comes later than this is no part of what was before, ns: nothing is sent while nobody speaks, or it got lost. The ear hears
/// silence in between, for so long at the most.
const PAUSE: u64 = 40_000_000;
const QUIET_MAX: u64 = 100_000_000;
/// Of 16 kHz.
const QUIET: usize = 1_600;
