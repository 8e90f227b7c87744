//! `[prompts]`.

use std::collections::BTreeMap;
use std::time::Duration;

use super::Config;
use super::reader::Table;
use super::values::{numbered, prompt};
use crate::prompts::{BuiltIn, Prompt, minutes, places};

/// `[prompts]`
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "they are those of `BuiltIn`")]
pub struct Prompts {
    pub announcement: Prompt,
    /// Before it: what is to be disclosed.
    pub disclosure: Option<Prompt>,
    pub hold: Prompt,
    pub briefing: Prompt,
    pub busy: Prompt,
    pub no_answer: Prompt,
    pub failed: Prompt,
    pub after_hours: Prompt,
    pub goodbye: Prompt,
    pub called_back: Prompt,
    /// How often who waits is told how long it will take; zero: never.
    pub estimate_every: Duration,
    pub estimate_soon: Prompt,
    pub estimate_intro: Prompt,
    /// Each says so many minutes, with the unit.
    pub estimate_minutes: BTreeMap<u8, Prompt>,
    /// How often who waits in a queue is told its place; zero: never.
    pub place_every: Duration,
    pub place_intro: Prompt,
    /// Each says this number.
    pub place_numbers: BTreeMap<u8, Prompt>,
}

/// What an estimate or a place may be said again after, in seconds: in less, one would be said into the other.
const EVERY: std::ops::RangeInclusive<u64> = 10..=600;

/// Minutes of which there may be a prompt.
const MINUTES: std::ops::RangeInclusive<u8> = 1..=120;

/// Places of which there may be a prompt.
const PLACES: std::ops::RangeInclusive<u8> = 1..=100;

impl Prompts {
    /// Each with its key.
    pub(crate) fn each(&self) -> impl Iterator<Item = (String, &Prompt)> {
        let named = [
            ("announcement", &self.announcement),
            ("hold", &self.hold),
            ("briefing", &self.briefing),
            ("busy", &self.busy),
            ("no_answer", &self.no_answer),
            ("failed", &self.failed),
            ("after_hours", &self.after_hours),
            ("goodbye", &self.goodbye),
            ("called_back", &self.called_back),
            ("estimate_soon", &self.estimate_soon),
            ("estimate_intro", &self.estimate_intro),
            ("place_intro", &self.place_intro),
        ];
        let named = named.into_iter().map(|(key, prompt)| (key.to_owned(), prompt));
        let disclosure = self.disclosure.iter().map(|prompt| ("disclosure".to_owned(), prompt));
        let minutes = self.estimate_minutes.iter();
        let places = self.place_numbers.iter();
        named
            .chain(disclosure)
            .chain(minutes.map(|(number, prompt)| (format!("estimate_minutes.{number}"), prompt)))
            .chain(places.map(|(number, prompt)| (format!("place_numbers.{number}"), prompt)))
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
        let of_lines = self
            .playbook
            .decisions
            .iter()
            .zip(&self.sounds)
            .flat_map(|(line, sounds)| {
                let key = |key: &str| format!("playbook.decisions.{}.{key}", line.name);
                sounds.each().map(move |(name, prompt)| (key(name), prompt))
            });
        let ours = self.prompts.each();
        let mut uploads: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for (key, prompt) in ours
            .map(|(key, prompt)| (format!("prompts.{key}"), prompt))
            .chain(own)
            .chain(of_lines)
        {
            if let Some(name) = &prompt.uploaded {
                uploads.entry(name.clone()).or_default().push(key);
            }
        }
        uploads
    }
}

fn every(table: &Table<'_, '_>, key: &'static str, default: u64) -> Duration {
    let Some(found) = table.integer(key, 0..=*EVERY.end()) else {
        return Duration::from_secs(default);
    };
    if found.value != 0 && !EVERY.contains(&found.value) {
        let message = format!("must be 0 (not said), or from {} to {}", EVERY.start(), EVERY.end());
        table.problem(found.line, key, message);
    }
    Duration::from_secs(found.value)
}

pub(super) fn read(table: Table<'_, '_>) -> Prompts {
    let one = |built_in: BuiltIn| prompt(&table, built_in.name(), built_in).unwrap_or_else(|| built_in.prompt());
    let prompts = Prompts {
        announcement: one(BuiltIn::Announcement),
        disclosure: prompt(&table, "disclosure", BuiltIn::Announcement),
        hold: one(BuiltIn::Hold),
        briefing: one(BuiltIn::Briefing),
        busy: one(BuiltIn::Busy),
        no_answer: one(BuiltIn::NoAnswer),
        failed: one(BuiltIn::Failed),
        after_hours: one(BuiltIn::AfterHours),
        goodbye: one(BuiltIn::Goodbye),
        called_back: one(BuiltIn::CalledBack),
        estimate_every: every(&table, "estimate_every_s", 0),
        estimate_soon: one(BuiltIn::EstimateSoon),
        estimate_intro: one(BuiltIn::EstimateIntro),
        estimate_minutes: numbered(&table, "estimate_minutes", MINUTES, BuiltIn::EstimateIntro).unwrap_or_else(minutes),
        place_every: every(&table, "place_every_s", 30),
        place_intro: one(BuiltIn::PlaceIntro),
        place_numbers: numbered(&table, "place_numbers", PLACES, BuiltIn::PlaceIntro).unwrap_or_else(places),
    };
    table.finish();
    prompts
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::tests::problems;
    use super::*;

    #[test]
    fn how_long_it_will_take_is_said_in_numbers_of_the_program_or_in_one_s_own() {
        let config = |text: &str| {
            Config::from_toml(text, Path::new(env!("CARGO_MANIFEST_DIR")))
                .expect("right")
                .prompts
        };
        let numbers = |prompts: &Prompts| prompts.estimate_minutes.keys().copied().collect::<Vec<_>>();
        let usual = config("");
        assert_eq!(
            usual.estimate_every,
            Duration::ZERO,
            "whoever has other announcements hears no voice of ours"
        );
        assert_eq!(numbers(&usual), [1, 2, 3, 5, 10, 15, 20, 30]);
        let own = config(
            "[prompts]\nestimate_every_s = 30\n[prompts.estimate_minutes]\n2 = \"prompts/busy.wav\"\n7 = { uploaded = \"seven\" }\n",
        );
        assert_eq!(
            (own.estimate_every, numbers(&own)),
            (Duration::from_secs(30), vec![2, 7])
        );
        assert_eq!(own.estimate_minutes[&2].samples, BuiltIn::Busy.prompt().samples);
        let text = "[prompts]\nestimate_minutes = { 7 = { uploaded = \"seven\" } }\n";
        let uploads = Config::from_toml(text, Path::new("")).expect("right").uploads();
        assert_eq!(uploads["seven"], ["prompts.estimate_minutes.7"]);
        assert_eq!(
            numbers(&config("[prompts]\nestimate_minutes = {}\n")),
            [0; 0],
            "less than a minute, or nothing"
        );
    }

    #[test]
    fn a_place_in_line_is_said_in_numbers_of_the_program_or_in_one_s_own() {
        let config = |text: &str| {
            Config::from_toml(text, Path::new(env!("CARGO_MANIFEST_DIR")))
                .expect("right")
                .prompts
        };
        let numbers = |prompts: &Prompts| prompts.place_numbers.keys().copied().collect::<Vec<_>>();
        let usual = config("");
        assert_eq!(
            usual.place_every,
            Duration::from_secs(30),
            "a queue is new to whoever has one"
        );
        assert_eq!(numbers(&usual), (1..=10).collect::<Vec<_>>());
        let own = config(
            "[prompts]\nplace_intro = \"prompts/busy.wav\"\n[prompts.place_numbers]\n1 = \"prompts/failed.wav\"\n100 = { uploaded = \"many\" }\n",
        );
        assert_eq!(numbers(&own), [1, 100]);
        assert_eq!(own.place_intro.samples, BuiltIn::Busy.prompt().samples);
        assert_eq!(own.place_numbers[&1].samples, BuiltIn::Failed.prompt().samples);
        assert!(config("[prompts]\nplace_every_s = 0\n").place_every.is_zero());
        let found = problems("[prompts]\nplace_every_s = 9\n");
        assert!(
            matches!(&found[..], [one] if one.contains("place_every_s: must be 0 (not said), or from 10 to 600")),
            "{found:?}"
        );
        let text = "[prompts]\nplace_numbers = { 7 = { uploaded = \"seven\" } }\n";
        let uploads = Config::from_toml(text, Path::new("")).expect("right").uploads();
        assert_eq!(uploads["seven"], ["prompts.place_numbers.7"]);
        let found = problems("[prompts]\nplace_numbers = { 0 = \"a.wav\", 101 = \"a.wav\" }\n");
        assert_eq!(found.len(), 2, "{found:#?}");
        for (said, number) in found.iter().zip(["0", "101"]) {
            let named = format!("line 2: prompts.place_numbers: {number:?} is no number from 1 to 100");
            assert!(said.contains(&named), "{found:#?}");
        }
    }

    #[test]
    fn what_is_wrong_with_numbers_of_minutes_is_named() {
        let found = problems(
            "[prompts]\nestimate_every_s = 9\nestimate_minutes = { two = \"a.wav\", 0 = \"a.wav\", 121 = \"a.wav\", 02 = \"a.wav\", \
             3 = 3, 4 = \"nowhere.wav\", 5 = { uploaded = \"No\" } }\n",
        );
        let says = |what: &[&str]| found.iter().any(|found| what.iter().all(|what| found.contains(what)));
        assert!(
            says(&["line 2: prompts.estimate_every_s: must be 0 (not said), or from 10 to 600"]),
            "{found:#?}"
        );
        for key in ["two", "0", "121", "02"] {
            let named = format!("prompts.estimate_minutes: {key:?} is no number from 1 to 120");
            assert!(says(&["line 3", &named]), "{key}: {found:#?}");
        }
        assert!(
            says(&[
                "prompts.estimate_minutes.3: must be the path of a WAV file",
                "an integer"
            ]),
            "{found:#?}"
        );
        assert!(
            says(&["prompts.estimate_minutes.4: ", "nowhere.wav cannot be read"]),
            "{found:#?}"
        );
        assert!(
            says(&["prompts.estimate_minutes.5: \"No\" is no name of an upload"]),
            "{found:#?}"
        );
        assert_eq!(found.len(), 8, "{found:#?}");
        for (wrong, why) in [
            ("estimate_every_s = 601", "must be from 0 to 600"),
            ("estimate_minutes = \"two.wav\"", "must be a table"),
            ("estimate_minutes = [\"two.wav\"]", "must be a table"),
            ("estimate_intro = \"nowhere.wav\"", "nowhere.wav cannot be read"),
            ("estimate_minute = {}", "did you mean \"estimate_minutes\"?"),
        ] {
            let found = problems(&format!("[prompts]\n{wrong}\n"));
            assert!(matches!(&found[..], [one] if one.contains(why)), "{wrong}: {found:?}");
        }
    }
}
