//! `[callback.prompts]`: what callers hear who are promised a callback.

use std::collections::BTreeMap;

use super::reader::Table;
use super::values::{numbered, prompt};
use crate::prompts::words::{WORDS, Word};
use crate::prompts::{BuiltIn, Prompt};

/// One's own. What is not there is said as the program says it: half a time would be a wrong one.
pub(super) fn read(table: Table<'_, '_>) -> BTreeMap<Word, Prompt> {
    let mut voice: BTreeMap<Word, Prompt> = BTreeMap::new();
    for (word, key, _) in WORDS {
        voice.extend(prompt(&table, key, BuiltIn::Callback).map(|prompt| (word, prompt)));
    }
    let numbers = numbered(&table, "numbers", 1..=59, BuiltIn::Callback).unwrap_or_default();
    let dates = numbered(&table, "dates", 1..=31, BuiltIn::Callback).unwrap_or_default();
    voice.extend(
        numbers
            .into_iter()
            .map(|(number, prompt)| (Word::Number(number), prompt)),
    );
    voice.extend(dates.into_iter().map(|(day, prompt)| (Word::Date(day), prompt)));
    if let Some((word, _)) = voice.iter().find(|(_, prompt)| prompt.uploaded.is_some()) {
        let message = format!("{word:?} must be a WAV file: one that is uploaded is not played here");
        table.problem(table.line, "prompts", message);
    }
    table.finish();
    voice
}

#[cfg(test)]
mod tests {
    use super::super::tests::{good, problems};
    use super::*;

    #[test]
    fn each_word_of_the_callback_line_can_be_one_s_own_and_what_is_not_is_that_of_the_program() {
        let own = good(
            "[callback.prompts]\ntoday = \"prompts/busy.wav\"\nnumbers = { 9 = \"prompts/failed.wav\" }\ndates = { 31 = \"prompts/failed.wav\" }\n",
        );
        assert!(
            good("").callback.voice.is_empty(),
            "nothing of ours is read for nothing"
        );
        let changed: Vec<Word> = own.callback.voice.into_keys().collect();
        assert_eq!(changed, [Word::Today, Word::Date(31), Word::Number(9)]);
        for wrong in [
            "numbers = { 60 = \"prompts/busy.wav\" }",
            "dates = { 0 = \"prompts/busy.wav\" }",
        ] {
            let found = problems(&format!("[callback.prompts]\n{wrong}\n"));
            assert!(
                matches!(&found[..], [one] if one.contains("is no number from 1 to")),
                "{found:?}"
            );
        }
        let found = problems("[callback.prompts]\nevening = { uploaded = \"late\" }\n");
        assert!(
            matches!(&found[..], [one] if one.contains("Evening must be a WAV file")),
            "{found:?}"
        );
    }
}
