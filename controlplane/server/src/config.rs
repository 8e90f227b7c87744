//! The configuration file: text in, checked values or all its problems out.
//!
//! The file is read key by key (`config/reader.rs`); every key that is read is known, and any other is a problem. Each section
//! has a file below with one struct of checked values and one function that reads them.

mod budget;
mod callback;
mod decisions;
mod hep;
mod hours;
mod http;
mod keys;
mod media;
mod node;
mod opus;
mod otlp;
mod outbound;
mod peers;
mod playbook;
mod prompts;
mod queue;
mod reader;
mod reload;
mod router;
mod rules;
mod secret;
mod sip;
mod store;
mod values;
mod voicemail;
mod webhooks;
mod words;

use std::path::{Path, PathBuf};

use ::playbook::Playbook;
use calls::config::{AiAgent, Budget, Deadlines, Trunk};
use toml::de::DeTable;

pub use budget::Share;
pub use callback::Callback;
pub use decisions::Sounds;
pub use hep::Hep;
pub use hours::Hours;
pub use http::{Http, Key, Rate, Scope, Tls};
pub use keys::example;
pub use media::Media;
pub use node::Node;
pub use opus::Opus;
pub use otlp::Otlp;
pub use peers::Target;
pub use prompts::Prompts;
pub use reader::Problem;
pub(crate) use reload::{Difference, Keys};
pub use router::Router;
pub use secret::Secret;
pub use sip::Sip;
pub use store::Store;
pub use voicemail::Voicemail;
pub(crate) use webhooks::is_type;
pub use webhooks::{Address, EVENT_TYPES, Webhook};

pub(crate) use reader::nearest;
use reader::{Reader, Table};

/// A checked configuration. `Debug` never prints a secret.
#[derive(Clone, Debug)]
pub struct Config {
    /// `[node]`
    pub node: Node,
    /// `[sip]`
    pub sip: Sip,
    /// `[media]`
    pub media: Media,
    /// `[budget]`
    pub budget: Budget,
    /// The rest of it.
    pub share: Share,
    /// `[opus]`
    pub opus: Opus,
    /// `[http]`
    pub http: Http,
    /// `[store]`
    pub store: Store,
    /// `[[trunks]]`
    pub trunks: Vec<Trunk>,
    /// `[[ai_agents]]`
    pub ai_agents: Vec<AiAgent>,
    /// `[hours]`
    pub hours: Hours,
    /// `[[targets]]`
    pub targets: Vec<Target>,
    /// `[playbook]`
    pub playbook: Playbook,
    /// What is heard by each line of its matrix.
    pub sounds: Vec<Sounds>,
    /// The times of `[playbook]`, `media.applied_ms` and `media.silence_probe_s`.
    pub deadlines: Deadlines,
    /// `[prompts]`
    pub prompts: Prompts,
    /// `[voicemail]`
    pub voicemail: Voicemail,
    /// `[router]`
    pub router: Option<Router>,
    /// `[callback]`
    pub callback: Callback,
    /// `[[webhooks]]`
    pub webhooks: Vec<Webhook>,
    /// `[hep]`
    pub hep: Hep,
    /// `[otlp]`
    pub otlp: Otlp,
    /// What each key had.
    pub(crate) keys: Keys,
    /// Where all this was read.
    pub(crate) file: Option<PathBuf>,
}

/// Sections of the contract that this version does not have.
const NOT_BUILT: [&str; 1] = ["recording"];

impl Config {
    /// Checks the text of a file. `folder` is what relative paths in it start from.
    ///
    /// # Errors
    /// All problems of the file, in its order.
    pub fn from_toml(text: &str, folder: &Path) -> Result<Config, Vec<Problem>> {
        let (config, problems, _) = check(text, folder);
        match config {
            Some(config) if problems.is_empty() => Ok(config),
            _ => Err(problems),
        }
    }

    /// Reads and checks a file.
    ///
    /// # Errors
    /// All problems of the file, in its order; one of line 0 where it cannot be read.
    pub fn from_file(path: &Path) -> Result<Config, Vec<Problem>> {
        let text = std::fs::read_to_string(path).map_err(|error| {
            vec![Problem {
                line: 0,
                key: String::new(),
                message: format!("cannot be read: {error}"),
            }]
        })?;
        let config = Config::from_toml(&text, path.parent().unwrap_or(Path::new("")))?;
        Ok(Config {
            file: Some(path.to_owned()),
            ..config
        })
    }
}

/// The configuration (`None` where it is not even TOML), all problems, and all keys that were asked for.
fn check(text: &str, folder: &Path) -> (Option<Config>, Vec<Problem>, Vec<String>) {
    let reader = Reader::new(text, folder);
    let (document, errors) = DeTable::parse_recoverable(text);
    if !errors.is_empty() {
        for error in errors {
            let line = error.span().map_or(0, |span| reader.line(span.start));
            reader.problem(line, "", format!("not TOML: {}", error.message()));
        }
        let (problems, known) = reader.finish();
        return (None, problems, known);
    }
    let root = Table::root(&reader, document.get_ref());

    let node = node::read(root.table("node"));
    let sip = sip::read(root.table("sip"));
    let (media, media_times) = media::read(root.table("media"));
    let (budget, share) = budget::read(root.table("budget"));
    let opus = opus::read(root.table("opus"));
    let ai_agents = peers::ai_agents(&root, &media.codecs);
    let http = http::read(root.table("http"), &ai_agents);
    let store = store::read(root.table("store"));
    let trunks = peers::trunks(&root, &ai_agents, &media.codecs);
    let hours = hours::read(root.table("hours"));
    let targets = peers::targets(&root, &media.codecs, &hours);
    let (playbook, sounds, deadlines) = playbook::read(root.table("playbook"), &targets, &media_times);
    let prompts = prompts::read(root.table("prompts"));
    let voicemail = voicemail::read(root.table("voicemail"));
    let callback = callback::read(root.table("callback"), &targets);
    let router = router::read(&root);
    let hep = hep::read(root.table("hep"));
    let otlp = otlp::read(root.table("otlp"));
    let webhooks = webhooks::read(&root);
    for section in NOT_BUILT {
        root.not_built(section);
    }
    root.finish();
    let agents = ai_agents.iter().map(|agent| ("ai_agents", &agent.name, agent.next_hop));
    // A machine of our own is where our media are.
    let humans = targets.iter().filter(|target| !target.is_machine());
    let called = agents.chain(humans.map(|target| ("targets", &target.name, target.next_hop)));
    for (list, name, next_hop) in called {
        if !media.reaches(next_hop.ip()) {
            let family = media::family(next_hop.ip().to_canonical());
            let message =
                format!("{name:?} is called at {next_hop}, and there is no {family} address in media.advertise");
            reader.problem(0, list, message);
        }
    }

    let config = Config {
        node,
        sip,
        media,
        budget,
        share,
        opus,
        http,
        store,
        trunks,
        ai_agents,
        hours,
        targets,
        playbook,
        sounds,
        deadlines,
        prompts,
        voicemail,
        callback,
        router,
        webhooks,
        hep,
        otlp,
        keys: Keys(reader.values()),
        file: None,
    };
    let (problems, known) = reader.finish();
    (Some(config), problems, known)
}

#[cfg(test)]
mod deadlines;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod used;
