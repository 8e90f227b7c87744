//! `baton replay`: recorded conversations through a changed playbook.

mod recorded;
pub(crate) mod script;

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufReader, Read};
use std::process::ExitCode;

use playbook::replay::{Found, replay as judge};
use serde_json::{Value, json};

use self::recorded::{Recorded, Was};
use self::script::{Script, Surprise};
use crate::cli::ReplayArgs;
use crate::config::Config;
use crate::serve::{load, print, say, say_problems};

/// Differences that are printed one by one; the document has all.
const SHOWN: usize = 20;

/// Judges what was recorded by the configured rules.
pub(crate) fn replay(args: &ReplayArgs) -> ExitCode {
    let config = match load(args.config.as_deref()) {
        Ok(config) => config,
        Err(problems) => {
            say_problems(args.config.as_deref(), &problems);
            return ExitCode::FAILURE;
        }
    };
    let name = args.calls.display();
    let file = match File::open(&args.calls) {
        Ok(file) => BufReader::new(file),
        Err(error) => {
            say(&format!("{name} cannot be read: {error}"));
            return ExitCode::FAILURE;
        }
    };
    let mut report = Report::default();
    let end = report.read(&config, file);
    match args.json {
        true => print(&report.document().to_string()),
        false => report.text().iter().for_each(|line| print(line)),
    }
    for (place, why) in &report.skipped {
        say(&format!("{name}: entry {place} is left out: {why}"));
    }
    match (end, report.judged) {
        (Err(error), _) => {
            say(&format!("{name} is no JSON from here on: {error}"));
            ExitCode::FAILURE
        }
        (Ok(()), 0) => {
            say(&format!(
                "{name} has no conversation that can be judged; {}",
                recorded::WANTED
            ));
            ExitCode::FAILURE
        }
        (Ok(()), _) if !report.succeeds() => ExitCode::FAILURE,
        (Ok(()), _) => ExitCode::SUCCESS,
    }
}

/// What became of the conversations.
#[derive(Debug, Default)]
struct Report {
    /// Entries of the file.
    entries: usize,
    judged: usize,
    by_rule: BTreeMap<String, Tally>,
    differences: Vec<Value>,
    /// Entries that cannot be judged, from 1, and why.
    skipped: Vec<(usize, String)>,
    /// Steps that went otherwise than their conversation expects.
    surprises: Vec<(Name, Surprise)>,
}

/// What an entry is called: by its id, else by its place.
type Name = String;

/// Of one rule; of handoffs that no rule asked for, as one.
#[derive(Debug, Default, PartialEq, Eq)]
struct Tally {
    recorded: usize,
    now: usize,
    /// Conversations that it hands off now and did not then, and the other way round.
    new: usize,
    gone: usize,
    /// What humans said of those that it handed off then.
    right: usize,
    wrong: usize,
}

/// The name of handoffs that were asked for by API or REFER.
const ASKED: &str = "(asked for)";

impl Report {
    /// One document after the other: conversations, records, lists and pages of them.
    fn read(&mut self, config: &Config, file: impl Read) -> Result<(), serde_json::Error> {
        for document in serde_json::Deserializer::from_reader(file).into_iter() {
            match document? {
                Value::Array(entries) => entries.iter().for_each(|entry| self.entry(config, entry)),
                document => match document.get("handoffs").and_then(Value::as_array) {
                    Some(entries) => entries.iter().for_each(|entry| self.entry(config, entry)),
                    None => self.entry(config, &document),
                },
            }
        }
        Ok(())
    }

    fn entry(&mut self, config: &Config, entry: &Value) {
        self.entries += 1;
        let script = entry.get("steps").map(|_| Script::read(entry)).transpose();
        let read = script.and_then(|script| match script {
            Some(script) => Ok((script.recorded(), script.walk(config))),
            None => Ok((recorded::read(entry)?, Vec::new())),
        });
        match read {
            Ok((recorded, surprises)) => {
                self.judged += 1;
                let name = || recorded.id.clone().unwrap_or_else(|| format!("entry {}", self.entries));
                self.surprises
                    .extend(surprises.into_iter().map(|surprise| (name(), surprise)));
                let found = judge(&config.playbook, &recorded.conversation);
                self.compare(&recorded, found);
            }
            Err(why) => self.skipped.push((self.entries, why)),
        }
    }

    fn compare(&mut self, recorded: &Recorded, found: Option<Found>) {
        let was = recorded.was.as_ref().map(|was| was.rule.as_deref().unwrap_or(ASKED));
        let is = found.as_ref().map(|found| found.fired.rule.as_str());
        if let Some(was) = was {
            let tally = self.by_rule.entry(was.to_owned()).or_default();
            tally.recorded += 1;
            tally.right += usize::from(recorded.right == Some(true));
            tally.wrong += usize::from(recorded.right == Some(false));
            tally.gone += usize::from(is != Some(was));
        }
        if let Some(is) = is {
            let tally = self.by_rule.entry(is.to_owned()).or_default();
            tally.now += 1;
            tally.new += usize::from(was != Some(is));
        }
        if was == is {
            return;
        }
        self.differences.push(json!({
            "entry": self.entries,
            "id": recorded.id,
            "recorded": recorded.was.as_ref().map(|Was { rule, why }| json!({ "rule": rule, "why": why })),
            "now": found.map(|Found { fired, after, turns }| json!({
                "rule": fired.rule, "because": fired.because, "turns": turns, "after_s": after.as_secs_f64(),
            })),
        }));
    }

    /// All went as the conversations expect.
    fn succeeds(&self) -> bool {
        self.surprises.is_empty()
    }

    fn document(&self) -> Value {
        let rules = self.by_rule.iter().map(|(rule, tally)| {
            json!({
                "rule": rule, "recorded": tally.recorded, "now": tally.now, "new": tally.new, "gone": tally.gone,
                "right": tally.right, "wrong": tally.wrong,
            })
        });
        let skipped = self
            .skipped
            .iter()
            .map(|(entry, why)| json!({ "entry": entry, "why": why }));
        let unexpected = self.surprises.iter().map(|(name, surprise)| {
            let Surprise { step, turn, after, expected, is } = surprise;
            json!({ "conversation": name, "step": step, "turn": turn, "after_s": after.as_secs_f64(), "expected": expected, "is": is })
        });
        json!({
            "schema": "baton.replay/1",
            "conversations": self.judged,
            "rules": rules.collect::<Vec<_>>(),
            "differences": self.differences,
            "skipped": skipped.collect::<Vec<_>>(),
            "unexpected": unexpected.collect::<Vec<_>>(),
        })
    }

    fn text(&self) -> Vec<String> {
        let width = self
            .by_rule
            .keys()
            .map(|rule| rule.chars().count())
            .max()
            .unwrap_or_default()
            .max(4);
        let mut lines = vec![
            format!("{} conversations, {} differ", self.judged, self.differences.len()),
            String::new(),
            format!(
                "{:width$} {:>8} {:>8} {:>8} {:>8} {:>8} {:>8}",
                "rule", "recorded", "now", "new", "gone", "right", "wrong"
            ),
        ];
        lines.extend(self.by_rule.iter().map(|(rule, tally)| {
            format!(
                "{rule:width$} {:>8} {:>8} {:>8} {:>8} {:>8} {:>8}",
                tally.recorded, tally.now, tally.new, tally.gone, tally.right, tally.wrong
            )
        }));
        if !self.surprises.is_empty() {
            lines.push(String::new());
            lines.extend(
                self.surprises
                    .iter()
                    .map(|(name, surprise)| format!("{name}, {surprise}")),
            );
        }
        if !self.differences.is_empty() {
            lines.push(String::new());
        }
        let word = |of: &Value, why: &str| match of.is_null() {
            true => "not handed off".to_owned(),
            false => {
                let rule = of["rule"].as_str().unwrap_or(ASKED);
                let why = of[why].as_str().unwrap_or_default();
                format!("{rule}: {why}")
            }
        };
        for difference in self.differences.iter().take(SHOWN) {
            let id = difference["id"]
                .as_str()
                .map_or_else(|| format!("entry {}", difference["entry"]), str::to_owned);
            lines.push(id);
            lines.push(format!("  then  {}", word(&difference["recorded"], "why")));
            lines.push(format!("  now   {}", word(&difference["now"], "because")));
        }
        if self.differences.len() > SHOWN {
            lines.push(format!("… and {} more: --json has all", self.differences.len() - SHOWN));
        }
        lines
    }
}

#[cfg(test)]
mod examples;
#[cfg(test)]
mod tests;
