//! `[opus]`.

use ::media::codec::opus::{Effort, Settings};

use super::reader::Table;
use super::values::count;

/// How Opus is encoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Opus {
    /// Where the complexity goes by how much there is to do, it is the best.
    pub settings: Settings,
    /// Whether it does, at 8 and at 16 kHz.
    pub auto: [bool; 2],
}

impl Default for Opus {
    /// Narrowband gains nothing by complexity that bits would not bring for less.
    fn default() -> Opus {
        Opus {
            settings: Settings::default(),
            auto: [false, true],
        }
    }
}

/// The complexity where there is little to do. What is above it nobody hears for what it costs.
const BEST: u8 = 5;

pub(super) fn read(table: Table<'_, '_>) -> Opus {
    let default = Opus::default();
    let mut auto = default.auto;
    let usual = default.settings;
    let mut effort = |band: usize, kbits, complexity, usual: Effort| {
        let set = table.integer_or(complexity, "auto", 0..=10);
        let complexity = match set {
            None => usual.complexity,
            Some(set) => {
                auto[band] = set.is_none();
                set.map_or(BEST, |set| set as u8)
            }
        };
        Effort {
            bitrate: count(&table, kbits, 6..=128, usual.bitrate as usize / 1000) as u32 * 1000,
            complexity,
        }
    };
    let settings = Settings {
        narrow: effort(0, "narrow_kbits", "narrow_complexity", usual.narrow),
        wide: effort(1, "wide_kbits", "wide_complexity", usual.wide),
        fec: table.boolean("fec").unwrap_or(usual.fec),
        expected_loss: count(&table, "expected_loss", 0..=100, usual.expected_loss.into()) as u8,
        dtx: table.boolean("dtx").unwrap_or(usual.dtx),
    };
    table.finish();
    Opus { settings, auto }
}
