//! `[prompts]`.

use super::reader::Table;
use super::values::prompt;
use crate::prompts::{BuiltIn, Prompt};

/// `[prompts]`
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "they are those of `BuiltIn`")]
pub struct Prompts {
    pub announcement: Prompt,
    pub hold: Prompt,
    pub briefing: Prompt,
    pub busy: Prompt,
    pub no_answer: Prompt,
    pub failed: Prompt,
    pub goodbye: Prompt,
}

pub(super) fn read(table: Table<'_, '_>) -> Prompts {
    let one = |key, built_in: BuiltIn| prompt(&table, key).unwrap_or_else(|| built_in.prompt());
    let prompts = Prompts {
        announcement: one("announcement", BuiltIn::Announcement),
        hold: one("hold", BuiltIn::Hold),
        briefing: one("briefing", BuiltIn::Briefing),
        busy: one("busy", BuiltIn::Busy),
        no_answer: one("no_answer", BuiltIn::NoAnswer),
        failed: one("failed", BuiltIn::Failed),
        goodbye: one("goodbye", BuiltIn::Goodbye),
    };
    table.finish();
    prompts
}
