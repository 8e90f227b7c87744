//! Which keys can change while a server runs, and which of them have.

use std::fmt;

use super::Config;
use super::keys::fixed;
use super::reader::Values;

/// What each key had, as a hash. `Debug` shows nothing of it.
#[derive(Clone, Default, PartialEq, Eq)]
pub(crate) struct Keys(pub(super) Values);

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Keys")
    }
}

/// What two configurations differ in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Difference {
    /// Keys that the next call, request or stop goes by.
    pub(crate) changed: Vec<String>,
    /// Keys that stay as they are until a restart or a take-over, and why.
    pub(crate) needs_restart: Vec<(String, &'static str)>,
}

/// Whether nobody would need a key any more where others than this host reach the API. The new file was checked with the address in
/// it, but it is the old one where we go on to listen.
fn opens(old: &Config, new: &Config) -> bool {
    new.http.keys.is_empty() && !old.http.listen.ip().is_loopback()
}

/// Why a key of these two stays as it is; `None`: it changes.
fn stays(key: &str, old: &Config, new: &Config) -> Option<&'static str> {
    if key.starts_with("http.keys.") && opens(old, new) {
        return Some(
            "others than this host reach the API until a restart, and without keys all of them could take over calls",
        );
    }
    fixed(key)
}

impl Difference {
    /// From one to the other.
    pub(crate) fn of(old: &Config, new: &Config) -> Difference {
        let mut difference = Difference::default();
        let keys = old
            .keys
            .0
            .keys()
            .chain(new.keys.0.keys().filter(|key| !old.keys.0.contains_key(*key)));
        for key in keys {
            if old.keys.0.get(key) == new.keys.0.get(key) || !seen(key, old, new) {
                continue;
            }
            match stays(key, old, new) {
                None => difference.changed.push(key.clone()),
                Some(why) => difference.needs_restart.push((key.clone(), why)),
            }
        }
        difference.changed.sort();
        difference.needs_restart.sort();
        difference
    }
}

/// Whether a change in the text changes anything: a default that is now written out does not. What `Debug` does not show always does.
fn seen(key: &str, old: &Config, new: &Config) -> bool {
    let hidden = [
        "key",
        "secrets",
        "password",
        "username",
        "url",
        "briefing",
        "hold",
        "announcement",
        "disclosure",
        "value",
    ];
    let (section, name) = key.split_once('.').unwrap_or((key, ""));
    let last = name.rsplit('.').next().unwrap_or(name);
    if section == "prompts" || hidden.contains(&last) {
        return true;
    }
    let shown = |config: &Config| match section {
        "node" => format!("{:?}", config.node),
        "sip" => format!("{:?}", config.sip),
        "media" => format!("{:?}{:?}", config.media, config.deadlines),
        "budget" => format!("{:?}{:?}", config.budget, config.share),
        "opus" => format!("{:?}", config.opus),
        "http" => format!("{:?}", config.http),
        "store" => format!("{:?}", config.store),
        "trunks" => format!("{:?}", config.trunks),
        "ai_agents" => format!("{:?}", config.ai_agents),
        "hours" => format!("{:?}", config.hours),
        "targets" => format!("{:?}", config.targets),
        "playbook" => format!("{:?}{:?}", config.playbook, config.deadlines),
        "voicemail" => format!("{:?}", config.voicemail),
        "callback" => format!("{:?}", config.callback),
        "router" => format!("{:?}", config.router),
        "hep" => format!("{:?}", config.hep),
        "otlp" => format!("{:?}", config.otlp),
        _ => format!("{:?}", config.webhooks),
    };
    shown(old) != shown(new)
}

impl Config {
    /// What a running server goes by after a reload: of the new one what can change, of this one all else.
    pub(crate) fn reloaded(&self, new: Config) -> Config {
        // What stays as it was is said again the next time.
        let mut keys = new.keys.clone();
        keys.0.retain(|key, _| stays(key, self, &new).is_none());
        let old = self.keys.0.iter().filter(|(key, _)| stays(key, self, &new).is_some());
        keys.0.extend(old.map(|(key, value)| (key.clone(), value.clone())));
        let mut config = self.clone();
        if !opens(self, &new) {
            config.http.keys = new.http.keys;
        }
        config.http.public_url = new.http.public_url;
        config.http.body_limit = new.http.body_limit;
        config.http.context = new.http.context;
        config.http.heartbeat = new.http.heartbeat;
        config.keys = keys;
        config.node.drain = new.node.drain;
        config.node.hand_over = new.node.hand_over;
        config.node.stop = new.node.stop;
        config.node.log = new.node.log;
        config.media.latch = new.media.latch;
        config.media.codecs = new.media.codecs;
        config.media.prefer = new.media.prefer;
        config.budget = new.budget;
        config.deadlines = new.deadlines;
        config.trunks = new.trunks;
        config.ai_agents = new.ai_agents;
        config.hours = new.hours;
        config.targets = new.targets;
        config.playbook = new.playbook;
        config.sounds = new.sounds;
        config.prompts = new.prompts;
        config.voicemail = new.voicemail;
        config.callback = new.callback;
        config.router = new.router;
        config.webhooks = new.webhooks;
        config
    }
}
