//! `[playbook]`.

use ::playbook::rules::Requests;
use ::playbook::{Accept, ColdHears, Mode, Playbook};
use calls::config::Deadlines;

use super::Target;
use super::media::MediaTimes;
use super::reader::Table;
use super::rules;
use super::values::{reference, seconds};

pub(super) fn read(table: Table<'_, '_>, targets: &[Target], media: &MediaTimes) -> (Playbook, Deadlines) {
    let names = || targets.iter().map(|target| &*target.name);
    let order = match table.strings("targets") {
        None => names().map(str::to_owned).collect(),
        Some(found) => {
            for name in &found.value {
                reference(&table, "targets", name, "targets", names());
            }
            found.value.into_iter().map(|name| name.value).collect()
        }
    };
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
    let required = list("required", &DEFAULT_REQUIRED);
    let playbook = Playbook {
        mode: table
            .choice("mode", &[("warm", Mode::Warm), ("cold", Mode::Cold)])
            .unwrap_or(Mode::Warm),
        accept: table
            .choice(
                "accept",
                &[("answer", Accept::Answer), ("key", Accept::Key), ("api", Accept::Api)],
            )
            .unwrap_or(Accept::Answer),
        cold_hears: table
            .choice("cold_hears", &[("hold", ColdHears::Hold), ("ai", ColdHears::Ai)])
            .unwrap_or(ColdHears::Hold),
        targets: order,
        rules: rules::read(&table, requests),
        required,
    };
    let deadlines = Deadlines {
        ai_answer: seconds(&table, "ai_answer_s", 1..=120, 10),
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
    (playbook, deadlines)
}

const DEFAULT_PHRASES: [&str; 6] = [
    "speak to a human",
    "talk to a human",
    "speak to a person",
    "talk to a person",
    "real person",
    "human agent",
];

const DEFAULT_REQUIRED: [&str; 2] = ["summary", "intent"];
