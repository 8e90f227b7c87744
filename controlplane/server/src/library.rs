//! The prompts as the data plane has them.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use calls::config::{Estimate, Place, Sounds};
use media::command::PromptId;
use media::prompt::Prompts;

use crate::config::{self, Config};
use crate::prompts::Prompt;

/// Those that were uploaded and that the configuration wants, by their names.
pub(crate) type Uploads = HashMap<String, Prompt>;

/// Prompts that reloads may bring. What was loaded stays: a call may be playing it.
const LATER: usize = 256;

/// Everything that was loaded, each once.
#[derive(Clone, Debug)]
pub(crate) struct Library {
    pub(crate) prompts: Arc<Prompts>,
    /// By what is heard.
    known: HashMap<u64, PromptId>,
}

/// The prompts of a configuration.
pub(crate) struct Ids {
    pub(crate) prompts: calls::config::Prompts,
    /// Of each target: its briefing, and the hold audio of who waits for it.
    pub(crate) targets: Vec<[Option<PromptId>; 2]>,
    /// Of each line of the playbook's matrix.
    pub(crate) sounds: Vec<Sounds>,
}

impl Library {
    /// Empty, with room for what this configuration has and for what comes later.
    pub(crate) fn new(config: &Config) -> Library {
        let mut prompts = Prompts::new();
        // Nine of `[prompts]`, what is to be disclosed, how long it will take and the place in line where these are said, two of each
        // target, those of each decision.
        let estimate = match config.prompts.estimate_every.is_zero() {
            true => 0,
            false => 2 + config.prompts.estimate_minutes.len(),
        };
        let place = match says_places(config) {
            true => 1 + config.prompts.place_numbers.len(),
            false => 0,
        };
        let disclosure = config.prompts.disclosure.iter().count();
        let own: usize = config.sounds.iter().map(|sounds| sounds.each().count()).sum();
        prompts.reserve(9 + disclosure + estimate + place + 2 * config.targets.len() + own + LATER);
        Library {
            prompts: Arc::new(prompts),
            known: HashMap::new(),
        }
    }

    /// The prompts of a configuration; those that are new are loaded.
    ///
    /// # Errors
    /// The one that there is no room for, or that is empty.
    pub(crate) fn ids(&mut self, config: &Config, uploads: &Uploads) -> Result<Ids, String> {
        let chosen = |prompt: &Prompt| chosen(prompt, uploads);
        let named = &config.prompts;
        let prompts = calls::config::Prompts {
            announcement: self.id("announcement", &chosen(&named.announcement))?,
            disclosure: self.own("disclosure", &named.disclosure, uploads)?,
            hold: self.id("hold", &chosen(&named.hold))?,
            briefing: self.id("briefing", &chosen(&named.briefing))?,
            busy: self.id("busy", &chosen(&named.busy))?,
            no_answer: self.id("no_answer", &chosen(&named.no_answer))?,
            failed: self.id("failed", &chosen(&named.failed))?,
            after_hours: self.id("after_hours", &chosen(&named.after_hours))?,
            goodbye: self.id("goodbye", &chosen(&named.goodbye))?,
            called_back: self.id("called_back", &chosen(&named.called_back))?,
            estimate: self.estimate(named, uploads)?,
            place: self.place(config, uploads)?,
        };
        let mut targets = Vec::new();
        for target in &config.targets {
            let name = &target.name;
            let briefing = self.own(&format!("briefing of {name}"), &target.briefing, uploads)?;
            targets.push([briefing, self.own(&format!("hold of {name}"), &target.hold, uploads)?]);
        }
        let mut sounds = Vec::new();
        for (line, own) in config.playbook.decisions.iter().zip(&config.sounds) {
            let mut id = |role: &str, prompt| self.own(&format!("{role} of {}", line.name), prompt, uploads);
            sounds.push(Sounds {
                announcement: id("announcement", &own.announcement)?,
                hold: id("hold", &own.hold)?,
                disclosure: id("disclosure", &own.disclosure)?,
            });
        }
        Ok(Ids {
            prompts,
            targets,
            sounds,
        })
    }

    /// One that need not be: where it is not there yet, what is usual is heard.
    fn own(&mut self, name: &str, prompt: &Option<Prompt>, uploads: &Uploads) -> Result<Option<PromptId>, String> {
        let prompt = prompt.as_ref().filter(|prompt| is_there(prompt, uploads));
        prompt.map(|prompt| self.id(name, &chosen(prompt, uploads))).transpose()
    }

    /// What is said of how long it will take, where that is said.
    fn estimate(&mut self, named: &config::Prompts, uploads: &Uploads) -> Result<Option<Estimate>, String> {
        if named.estimate_every.is_zero() {
            return Ok(None);
        }
        let chosen = |prompt: &Prompt| chosen(prompt, uploads);
        let mut minutes = Vec::new();
        for (number, prompt) in &named.estimate_minutes {
            // One that is not there yet: the next one that is.
            if is_there(prompt, uploads) {
                minutes.push((
                    *number,
                    self.id(&format!("estimate_minutes.{number}"), &chosen(prompt))?,
                ));
            }
        }
        Ok(Some(Estimate {
            every: named.estimate_every,
            soon: self.id("estimate_soon", &chosen(&named.estimate_soon))?,
            intro: self.id("estimate_intro", &chosen(&named.estimate_intro))?,
            minutes,
        }))
    }

    /// What is said of a place in line, where that is said.
    fn place(&mut self, config: &Config, uploads: &Uploads) -> Result<Option<Place>, String> {
        if !says_places(config) {
            return Ok(None);
        }
        let named = &config.prompts;
        let mut numbers = Vec::new();
        for (number, prompt) in &named.place_numbers {
            // One that is not there yet is not said.
            if is_there(prompt, uploads) {
                numbers.push((
                    *number,
                    self.id(&format!("place_numbers.{number}"), &chosen(prompt, uploads))?,
                ));
            }
        }
        Ok(Some(Place {
            every: named.place_every,
            intro: self.id("place_intro", &chosen(&named.place_intro, uploads))?,
            numbers,
        }))
    }

    fn id(&mut self, name: &str, prompt: &Prompt) -> Result<PromptId, String> {
        let mut hasher = DefaultHasher::new();
        // Two roles with one sound keep their names apart: the API shows them.
        (name, prompt.band, &prompt.samples).hash(&mut hasher);
        let key = hasher.finish();
        if let Some(id) = self.known.get(&key) {
            return Ok(*id);
        }
        // Music, as a rule.
        let id = self.prompts.add_later(name, prompt.sound(name.starts_with("hold")));
        let id = id.ok_or_else(|| format!("{name} ({})", prompt.source))?;
        self.known.insert(key, id);
        Ok(id)
    }
}

/// Whether a place in line is ever said.
fn says_places(config: &Config) -> bool {
    !config.prompts.place_every.is_zero() && config.targets.iter().any(|target| target.queue.is_some())
}

/// What was uploaded, or what stands in for it.
fn chosen(prompt: &Prompt, uploads: &Uploads) -> Prompt {
    let uploaded = prompt.uploaded.as_ref().and_then(|name| uploads.get(name));
    uploaded.unwrap_or(prompt).clone()
}

/// Nothing need stand in for it.
fn is_there(prompt: &Prompt, uploads: &Uploads) -> bool {
    prompt.uploaded.as_ref().is_none_or(|name| uploads.contains_key(name))
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::sync::Arc;

    use media::codec::opus::Band;

    use super::*;

    fn upload(level: i16) -> Uploads {
        let prompt = Prompt {
            source: String::new(),
            samples: Arc::new([level; 800]),
            band: Band::Narrow,
            uploaded: Some("music".to_owned()),
        };
        [("music".to_owned(), prompt)].into()
    }

    #[test]
    fn one_sound_takes_its_room_once_and_where_there_is_none_left_that_is_said() {
        let text = "[prompts]\nhold = { uploaded = \"music\" }\n";
        let config = Config::from_toml(text, Path::new("")).expect("right");
        let mut library = Library::new(&config);
        let mut hold = |level: i16| library.ids(&config, &upload(level)).map(|ids| ids.prompts.hold);
        let first = hold(1);
        assert!(first.is_ok());
        for _ in 0..LATER + 10 {
            assert_eq!(hold(1), first);
        }
        // All but the first of them are later ones.
        for level in 2..=LATER as i16 + 1 {
            assert!(hold(level).is_ok_and(|hold| Ok(hold) != first), "{level}");
        }
        let full = hold(i16::MAX);
        assert!(full.as_ref().is_err_and(|why| why.starts_with("hold")), "{full:?}");
        assert_eq!(hold(1), first, "what is there can be had");
    }

    #[test]
    fn how_long_it_will_take_is_loaded_where_it_is_said_and_a_number_is_left_out_until_it_is_uploaded() {
        let minutes = |every: u64, uploads: &Uploads| {
            let text = format!(
                "[prompts]\nestimate_every_s = {every}\nestimate_minutes = {{ 7 = {{ uploaded = \"music\" }} }}\n"
            );
            let config = Config::from_toml(&text, Path::new("")).expect("right");
            let mut library = Library::new(&config);
            let estimate = library.ids(&config, uploads).expect("room").prompts.estimate;
            estimate.map(|estimate| {
                let numbers = estimate.minutes.iter().map(|(number, _)| *number);
                (estimate.every.as_secs(), numbers.collect::<Vec<_>>())
            })
        };
        assert_eq!(minutes(0, &upload(1)), None);
        assert_eq!(minutes(30, &Uploads::new()), Some((30, vec![])));
        assert_eq!(minutes(30, &upload(1)), Some((30, vec![7])));
    }

    #[test]
    fn a_place_in_line_is_loaded_where_there_is_a_queue_and_it_is_said() {
        let places = |every: u64, queue: &str, uploads: &Uploads| {
            let text = format!(
                "[prompts]\nplace_every_s = {every}\nplace_numbers = {{ 2 = {{ uploaded = \"music\" }} }}\n\
                 [[targets]]\nname = \"a\"\nuri = \"sip:a@192.0.2.1\"\npatterns = [\"sip:*@192.0.2.1\"]\n{queue}\n"
            );
            let config = Config::from_toml(&text, Path::new("")).expect("right");
            let mut library = Library::new(&config);
            let place = library.ids(&config, uploads).expect("room").prompts.place;
            place.map(|place| {
                let numbers = place.numbers.iter().map(|(number, _)| *number);
                (place.every.as_secs(), numbers.collect::<Vec<_>>())
            })
        };
        assert_eq!(places(30, "", &upload(1)), None);
        assert_eq!(places(0, "[targets.queue]", &upload(1)), None);
        assert_eq!(places(30, "[targets.queue]", &Uploads::new()), Some((30, vec![])));
        assert_eq!(places(30, "[targets.queue]", &upload(1)), Some((30, vec![2])));
    }

    #[test]
    fn until_it_is_uploaded_something_else_is_played() {
        let text = "[prompts]\nbusy = { uploaded = \"busy\" }\n[[targets]]\nname = \"a\"\nuri = \"sip:a@192.0.2.1\"\n\
                    hold = { uploaded = \"music\" }\n";
        let config = Config::from_toml(text, Path::new("")).expect("right");
        let mut library = Library::new(&config);
        let ids = library.ids(&config, &Uploads::new()).expect("room");
        assert_eq!(ids.targets, [[None, None]]);
        let ids = library.ids(&config, &upload(1)).expect("room");
        assert!(matches!(ids.targets[..], [[None, Some(own)]] if own != ids.prompts.hold));
    }
}
