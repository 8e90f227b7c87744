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
    let one = |built_in: BuiltIn| prompt(&table, built_in.name()).unwrap_or_else(|| built_in.prompt());
    let prompts = Prompts {
        announcement: one(BuiltIn::Announcement),
        hold: one(BuiltIn::Hold),
        briefing: one(BuiltIn::Briefing),
        busy: one(BuiltIn::Busy),
        no_answer: one(BuiltIn::NoAnswer),
        failed: one(BuiltIn::Failed),
        goodbye: one(BuiltIn::Goodbye),
    };
    table.finish();
    prompts
}
