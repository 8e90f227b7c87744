//! `[opus]`.

use ::media::codec::opus::{Effort, Settings};

use super::reader::Table;
use super::values::count;

pub(super) fn read(table: Table<'_, '_>) -> Settings {
    let default = Settings::default();
    let effort = |kbits, complexity, default: Effort| Effort {
        bitrate: count(&table, kbits, 6..=128, default.bitrate as usize / 1000) as u32 * 1000,
        complexity: count(&table, complexity, 0..=10, default.complexity.into()) as u8,
    };
    let settings = Settings {
        narrow: effort("narrow_kbits", "narrow_complexity", default.narrow),
        wide: effort("wide_kbits", "wide_complexity", default.wide),
        fec: table.boolean("fec").unwrap_or(default.fec),
        expected_loss: count(&table, "expected_loss", 0..=100, default.expected_loss.into()) as u8,
        dtx: table.boolean("dtx").unwrap_or(default.dtx),
    };
    table.finish();
    settings
}
