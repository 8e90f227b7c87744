//! `[playbook]`.

use std::collections::BTreeMap;

use ::playbook::redact::Redact;
use ::playbook::rules::Requests;
use ::playbook::{AiGone, ColdHears, Playbook};
use calls::config::Deadlines;

use super::decisions::Sounds;
use super::media::MediaTimes;
use super::reader::Table;
use super::values::{seconds, unique};
use super::{Target, decisions, rules};

pub(super) fn read(table: Table<'_, '_>, targets: &[Target], media: &MediaTimes) -> (Playbook, Vec<Sounds>, Deadlines) {
    let list = |key, default: &[&str]| {
        table.strings(key).map_or_else(
            || default.iter().map(|&item| item.to_owned()).collect(),
            |found| found.value.into_iter().map(|item| item.value).collect(),
        )
    };
    let requests = Requests {
        phrases: list("request_phrases", &DEFAULT_PHRASES),
        intents: list("request_intents", &[]),
    };
    let mut playbook = Playbook {
        usual: decisions::usual(&decisions::change(&table, targets), targets),
        decisions: Vec::new(),
        cold_hears: table
            .choice("cold_hears", &[("hold", ColdHears::Hold), ("ai", ColdHears::Ai)])
            .unwrap_or(ColdHears::Hold),
        ai_gone: table
            .choice("ai_gone", &[("end", AiGone::End), ("human", AiGone::Human)])
            .unwrap_or(AiGone::End),
        rules: rules::read(&table, requests),
        redact: redact(table.table("redact")),
        caller_id_field: table.string("caller_id_field").map(|found| found.value),
    };
    let sounds = decisions::read(&table, &mut playbook, targets);
    let deadlines = Deadlines {
        ai_answer: seconds(&table, "ai_answer_s", 1..=120, 10),
        caller_answer: seconds(&table, "caller_answer_s", 5..=120, 45),
        accept: seconds(&table, "accept_s", 1..=600, 30),
        first_packet: seconds(&table, "first_packet_s", 1..=60, 5),
        applied: media.applied,
        silence_probe: media.silence_probe,
        reach: seconds(&table, "reach_s", 1..=3600, 120),
        refer: seconds(&table, "refer_s", 1..=300, 30),
        evidence: seconds(&table, "evidence_s", 11..=60, 15),
        goodbye: seconds(&table, "goodbye_s", 1..=120, 30),
    };
    table.finish();
    (playbook, sounds, deadlines)
}

/// `[playbook.redact]`
fn redact(table: Table<'_, '_>) -> Redact {
    let mut redact = Redact::cards(table.boolean("cards").unwrap_or(true));
    let mut names = BTreeMap::new();
    for entry in table.tables("patterns") {
        let name = unique(&entry, "name", &mut names);
        let pattern = entry.required("pattern");
        if let (Some(name), Some(pattern)) = (name, pattern)
            && let Err(why) = redact.pattern(&name, &pattern.value)
        {
            entry.problem(pattern.line, "pattern", why.to_string());
        }
        entry.finish();
    }
    for path in table.strings("secret").map(|found| found.value).unwrap_or_default() {
        if let Err(why) = redact.secret(&path.value) {
            table.problem(path.line, "secret", why.to_string());
        }
    }
    for path in table.strings("masked").map(|found| found.value).unwrap_or_default() {
        if let Err(why) = redact.masked(&path.value) {
            table.problem(path.line, "masked", why.to_string());
        }
    }
    table.finish();
    redact
}

const DEFAULT_PHRASES: [&str; 6] = [
    "speak to a human",
    "talk to a human",
    "speak to a person",
    "talk to a person",
    "real person",
    "human agent",
];

#[cfg(test)]
mod tests {
    use super::super::tests::{good, problems};

    #[test]
    fn what_is_cut_out_is_read_and_what_is_no_pattern_or_path_is_told_at_its_line() {
        let text = "[playbook.redact]\nmasked = [\"fields.account\"]\n[[playbook.redact.patterns]]\nname = \"kd\"\npattern = 'KD-\\d+'\n";
        let redact = good(text).playbook.redact;
        assert_eq!(
            redact.text("KD-5 pays by 4111111111111111"),
            "[kd] pays by ************1111"
        );
        let off = good("[playbook.redact]\ncards = false\n").playbook.redact;
        assert_eq!(off.text("4111111111111111"), "4111111111111111");
        let text = "[playbook.redact]\nsecret = [\"a\",\n\"b..c\"]\n[[playbook.redact.patterns]]\nname = \"x\"\npattern = \"(\"\n\
                    [[playbook.redact.patterns]]\nname = \"y\"\npattern = \"y*\"\n";
        let told = problems(text);
        for (line, part) in [
            (3, "\"b..c\" is no path"),
            (6, "unclosed group"),
            (9, "it is found where nothing is"),
        ] {
            let found = told
                .iter()
                .any(|one| one.contains(&format!("line {line}")) && one.contains(part));
            assert!(found, "{line}: {part} in {told:#?}");
        }
    }
}
