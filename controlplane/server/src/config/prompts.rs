//! `[prompts]`.

use std::collections::BTreeMap;

use super::Config;
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

impl Prompts {
    /// Each with its key.
    pub(crate) fn each(&self) -> [(&'static str, &Prompt); 7] {
        [
            ("announcement", &self.announcement),
            ("hold", &self.hold),
            ("briefing", &self.briefing),
            ("busy", &self.busy),
            ("no_answer", &self.no_answer),
            ("failed", &self.failed),
            ("goodbye", &self.goodbye),
        ]
    }
}

impl Config {
    /// Names of uploads that it wants, each with the keys that do.
    pub(crate) fn uploads(&self) -> BTreeMap<String, Vec<String>> {
        let own = self.targets.iter().flat_map(|target| {
            let key = |key: &str| format!("targets.{}.{key}", target.name);
            [(key("briefing"), &target.briefing), (key("hold"), &target.hold)]
        });
        let own = own.filter_map(|(key, prompt)| Some((key, prompt.as_ref()?)));
        let ours = self.prompts.each().into_iter();
        let mut uploads: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for (key, prompt) in ours.map(|(key, prompt)| (format!("prompts.{key}"), prompt)).chain(own) {
            if let Some(name) = &prompt.uploaded {
                uploads.entry(name.clone()).or_default().push(key);
            }
        }
        uploads
    }
}

pub(super) fn read(table: Table<'_, '_>) -> Prompts {
    let one = |built_in: BuiltIn| prompt(&table, built_in.name(), built_in).unwrap_or_else(|| built_in.prompt());
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
