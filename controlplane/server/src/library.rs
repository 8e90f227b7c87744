//! The prompts as the data plane has them.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use media::command::PromptId;
use media::prompt::Prompts;

use crate::config::Config;
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
}

impl Library {
    /// Empty, with room for what this configuration has and for what comes later.
    pub(crate) fn new(config: &Config) -> Library {
        let mut prompts = Prompts::new();
        // Seven of `[prompts]`, and two of each target.
        prompts.reserve(7 + 2 * config.targets.len() + LATER);
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
        let uploaded = |prompt: &Prompt| uploads.get(prompt.uploaded.as_ref()?).cloned();
        let chosen = |prompt: &Prompt| uploaded(prompt).unwrap_or_else(|| prompt.clone());
        let named = &config.prompts;
        let prompts = calls::config::Prompts {
            announcement: self.id("announcement", &chosen(&named.announcement))?,
            hold: self.id("hold", &chosen(&named.hold))?,
            briefing: self.id("briefing", &chosen(&named.briefing))?,
            busy: self.id("busy", &chosen(&named.busy))?,
            no_answer: self.id("no_answer", &chosen(&named.no_answer))?,
            failed: self.id("failed", &chosen(&named.failed))?,
            goodbye: self.id("goodbye", &chosen(&named.goodbye))?,
        };
        let mut targets = Vec::new();
        for target in &config.targets {
            let mut own = |role: &str, prompt: &Option<Prompt>| {
                // One that is not there yet: the one of all targets.
                let prompt = prompt
                    .as_ref()
                    .filter(|prompt| prompt.uploaded.is_none() || uploaded(prompt).is_some());
                prompt
                    .map(|prompt| self.id(&format!("{role} of {}", target.name), &chosen(prompt)))
                    .transpose()
            };
            targets.push([own("briefing", &target.briefing)?, own("hold", &target.hold)?]);
        }
        Ok(Ids { prompts, targets })
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
