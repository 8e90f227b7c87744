//! How hard Opus is encoded: less so, the more lines there are, so that none is refused for work that could be spared.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};

use super::Lendable;
use crate::codec::opus::{Band, Encoder, Settings, Wishes};

/// Complexities, the best first, and what they may cost in all.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Ladder {
    /// The last one goes on where even that costs more.
    pub rungs: Vec<Rung>,
    /// What all lines together may cost for 20 ms, ns.
    pub budget: u64,
}

impl Ladder {
    /// One rung: the complexity that is set.
    pub fn fixed(settings: &Settings) -> Ladder {
        let complexity = [settings.narrow.complexity, settings.wide.complexity];
        Ladder {
            rungs: vec![Rung {
                complexity,
                cost: [0; 2],
            }],
            budget: 0,
        }
    }
}

/// How one step works.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rung {
    /// At 8 and at 16 kHz, as libopus has it: 0 to 10.
    pub complexity: [u8; 2],
    /// What a line costs then for 20 ms in both directions, ns.
    pub cost: [u64; 2],
}

/// The step in force, for all cores.
#[derive(Debug, Default)]
pub(crate) struct Efforts {
    ladder: Ladder,
    lent: [AtomicU32; 2],
    rung: AtomicUsize,
}

impl Efforts {
    pub(super) fn new(ladder: Ladder) -> Efforts {
        Efforts {
            ladder,
            ..Efforts::default()
        }
    }

    /// At 8 and at 16 kHz. Nothing where nothing is encoded.
    pub(super) fn complexity(&self) -> [u8; 2] {
        let rung = self.ladder.rungs.get(self.rung.load(Ordering::Relaxed));
        rung.map_or([0; 2], |rung| rung.complexity)
    }

    fn changed(&self, band: Band, change: impl FnOnce(&AtomicU32) -> u32) {
        change(&self.lent[band as usize]);
        // Who comes last has seen what all others did.
        loop {
            let lent = self.lent();
            self.rung
                .store(self.step(self.rung.load(Ordering::SeqCst), lent), Ordering::SeqCst);
            if self.lent() == lent {
                break;
            }
        }
    }

    fn lent(&self) -> [u32; 2] {
        self.lent.each_ref().map(|lent| lent.load(Ordering::SeqCst))
    }

    /// Down at once, up only with a tenth to spare: it is not to go to and fro with each call.
    fn step(&self, now: usize, lent: [u32; 2]) -> usize {
        let Ladder { rungs, budget } = &self.ladder;
        let fits = |(at, rung): (usize, &Rung)| {
            let cost: u64 = lent
                .iter()
                .zip(rung.cost)
                .map(|(&lent, cost)| u64::from(lent) * cost)
                .sum();
            cost <= if at < now { budget / 10 * 9 } else { *budget }
        };
        let last = rungs.len().saturating_sub(1);
        rungs.iter().enumerate().position(fits).unwrap_or(last)
    }
}

/// An encoder that works as hard as there is time for.
#[derive(Debug)]
pub(crate) struct LineEncoder {
    encoder: Encoder,
    /// What it has been told.
    complexity: Option<u8>,
    efforts: Arc<Efforts>,
}

impl LineEncoder {
    pub(super) fn new(encoder: Encoder, efforts: &Arc<Efforts>) -> LineEncoder {
        LineEncoder {
            encoder,
            complexity: None,
            efforts: Arc::clone(efforts),
        }
    }

    /// For another line.
    pub(super) fn begin(&mut self) {
        self.encoder.reset();
        self.efforts
            .changed(self.band(), |lent| lent.fetch_add(1, Ordering::SeqCst));
    }

    pub(crate) fn band(&self) -> Band {
        self.encoder.band()
    }

    /// As [`Encoder::heed`].
    pub(crate) fn heed(&mut self, wishes: Wishes) {
        self.encoder.heed(wishes);
    }

    /// As [`Encoder::encode`].
    pub(crate) fn encode(&mut self, samples: &[i16], packet: &mut [u8]) -> Option<usize> {
        let complexity = self.efforts.complexity()[self.band() as usize];
        if self.complexity != Some(complexity) {
            self.encoder.set_complexity(complexity);
            self.complexity = Some(complexity);
        }
        self.encoder.encode(samples, packet)
    }
}

impl Lendable for LineEncoder {
    fn come_back(&mut self) {
        self.efforts
            .changed(self.band(), |lent| lent.fetch_sub(1, Ordering::SeqCst));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::coders::{Coders, Lent, Sizes};

    fn ladder() -> Ladder {
        let rung = |complexity, narrow, wide| Rung {
            complexity,
            cost: [narrow, wide],
        };
        Ladder {
            rungs: vec![rung([5, 5], 50, 100), rung([3, 3], 40, 80), rung([0, 0], 20, 40)],
            budget: 400,
        }
    }

    fn coders(ladder: Ladder) -> Coders {
        let sizes = Sizes {
            opus_narrow: 20,
            opus_wide: 10,
            ..Sizes::default()
        };
        Coders::with_ladder(sizes, &Settings::default(), ladder).unwrap()
    }

    fn lend(coders: &Coders, band: Band) -> Lent<LineEncoder> {
        coders.lines().encoder(band).expect("there are enough")
    }

    #[test]
    fn complexity_falls_with_what_is_lent_and_rises_with_a_tenth_to_spare() {
        let coders = coders(ladder());
        let narrow = |count: usize| -> Vec<_> { (0..count).map(|_| lend(&coders, Band::Narrow)).collect() };
        let mut lent = Vec::new();
        assert_eq!(coders.complexity(), [5, 5]);
        for (at, complexity) in [(8, 5), (10, 3), (11, 0), (20, 0)] {
            lent.extend(narrow(at - lent.len()));
            assert_eq!(coders.complexity(), [complexity; 2], "{at}");
        }
        for (at, complexity) in [(10, 0), (9, 3), (8, 3), (7, 5), (0, 5)] {
            lent.truncate(at);
            assert_eq!(coders.complexity(), [complexity; 2], "{at}");
        }
        // Both bands share it.
        let wide = [lend(&coders, Band::Wide), lend(&coders, Band::Wide)];
        lent.extend(narrow(4));
        assert_eq!(coders.complexity(), [5, 5]);
        lent.extend(narrow(1));
        assert_eq!(coders.complexity(), [3, 3]);
        drop(wide);
        assert_eq!(coders.complexity(), [5, 5]);
    }

    #[test]
    fn a_line_that_goes_on_is_encoded_with_what_is_in_force() {
        let frame = |at: usize| -> Vec<i16> {
            (0..320)
                .map(|n| (6_000.0 * ((at * 320 + n) as f64 * 0.11).sin() * (at as f64 * 0.7).cos()) as i16)
                .collect()
        };
        // Ten at the lowest step from the sixth packet on.
        let run = |ladder: Ladder| {
            let coders = coders(ladder);
            let mut encoder = lend(&coders, Band::Wide);
            let mut others = Vec::new();
            let mut packet = |at: usize| {
                if at == 6 {
                    others.extend((0..18).map(|_| lend(&coders, Band::Narrow)));
                }
                let mut packet = [0; 500];
                let len = encoder.encode(&frame(at), &mut packet).unwrap();
                packet[..len].to_vec()
            };
            (0..12).map(&mut packet).collect::<Vec<_>>()
        };
        let fixed = |complexity| {
            let mut effort = Settings::default();
            effort.wide.complexity = complexity;
            let mut encoder = Encoder::new(Band::Wide, &effort).unwrap();
            let mut packet = |at: usize| {
                if at == 6 && complexity == 5 {
                    encoder.set_complexity(0);
                }
                let mut packet = [0; 500];
                let len = encoder.encode(&frame(at), &mut packet).unwrap();
                packet[..len].to_vec()
            };
            (0..12).map(&mut packet).collect::<Vec<_>>()
        };
        let changed = run(ladder());
        assert_eq!(changed, fixed(5));
        assert_ne!(changed, fixed(4), "complexity is heard in this sound");
        assert_eq!(
            run(Ladder::fixed(&Settings::default()))[..6],
            changed[..6],
            "what it was made with"
        );
        assert_ne!(run(Ladder::fixed(&Settings::default()))[6..], changed[6..]);
    }
}
