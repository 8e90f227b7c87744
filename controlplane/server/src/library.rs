//! The prompts as the data plane has them.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use media::command::PromptId;
use media::prompt::Prompts;

use crate::config::Config;
use crate::prompts::Prompt;

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
    pub(crate) fn ids(&mut self, config: &Config) -> Result<Ids, String> {
        let named = &config.prompts;
        let prompts = calls::config::Prompts {
            announcement: self.id("announcement", &named.announcement)?,
            hold: self.id("hold", &named.hold)?,
            briefing: self.id("briefing", &named.briefing)?,
            busy: self.id("busy", &named.busy)?,
            no_answer: self.id("no_answer", &named.no_answer)?,
            failed: self.id("failed", &named.failed)?,
            goodbye: self.id("goodbye", &named.goodbye)?,
        };
        let mut targets = Vec::new();
        for target in &config.targets {
            let mut own = |role: &str, prompt: &Option<Prompt>| {
                let prompt = prompt.as_ref();
                prompt
                    .map(|prompt| self.id(&format!("{role} of {}", target.name), prompt))
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
