//! The human agents, as users see them, and the queues that may call them.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use playbook::routing::{Full, Presence, Profile, View};

use crate::config::Config;
use crate::node::Node;
use crate::pattern::Plain;
use crate::request::{AgentView, QueueView, RequestError, Response};

/// The longest id, name and URI of an agent, in bytes.
const LONGEST: usize = 256;

/// Skills or languages that an agent can have.
const SKILLS: usize = 64;

impl Node {
    /// All queues.
    pub fn queues(&self, now: Instant) -> Vec<QueueView> {
        let queues = self.config.targets.iter().filter(|target| target.queue.is_some());
        let view = |name: &str| {
            let (waiting, since) = self.pool.waiting(name);
            let mut agents = BTreeMap::new();
            for doing in self.pool.doings(name) {
                *agents.entry(doing.name()).or_default() += 1;
            }
            QueueView {
                name: name.to_owned(),
                waiting,
                longest_wait_s: since.map_or(0, |since| now.saturating_duration_since(since).as_secs()),
                agents,
            }
        };
        queues.map(|target| view(&target.name)).collect()
    }

    /// These are the human agents that there are: as a node knew them that was here before, or another one. One whom no queue may call
    /// any more is known all the same. Those that there is no room for, and why.
    pub fn know_agents(&mut self, now: Instant, profiles: Vec<Profile>) -> Vec<(String, Full)> {
        let ids: BTreeSet<_> = profiles.iter().map(|profile| profile.id.as_str()).collect();
        let known = self.pool.agents(now).map(|view| view.profile.id.clone());
        let gone: Vec<_> = known.filter(|id| !ids.contains(id.as_str())).collect();
        for id in gone {
            self.pool.remove(&id);
        }
        let mut left = Vec::new();
        for profile in profiles {
            // Who says again that it is available says that it is there: nobody has said so.
            if self
                .pool
                .agent(now, &profile.id)
                .is_some_and(|view| *view.profile == profile)
            {
                continue;
            }
            let id = profile.id.clone();
            if let Err(full) = self.take_agent(now, profile) {
                left.push((id, full));
            }
        }
        left
    }

    fn take_agent(&mut self, now: Instant, profile: Profile) -> Result<(), Full> {
        let queues = queues_of(&self.config, &profile.uri);
        self.pool.put(now, profile, &queues)?;
        // Somebody may have waited for it.
        self.offer(now);
        Ok(())
    }

    /// A page of them: nobody's call waits until all are told.
    pub(super) fn agents(&self, now: Instant, after: &str, most: usize) -> Vec<AgentView> {
        let views = self.pool.agents_after(now, after).take(most);
        views.map(|view| agent_view(&self.config, &view)).collect()
    }

    pub(super) fn agent(&self, now: Instant, id: &str) -> Result<Response, RequestError> {
        let view = self.pool.agent(now, id).ok_or(RequestError::NoAgent)?;
        Ok(Response::Agent(Box::new(agent_view(&self.config, &view))))
    }

    /// Only whom a queue may call: a key of the API is no leave to call anybody.
    pub(super) fn put_agent(&mut self, now: Instant, profile: Profile) -> Result<Response, RequestError> {
        check(&profile).map_err(RequestError::Invalid)?;
        let queues = queues_of(&self.config, &profile.uri);
        if queues.is_empty() {
            let why = format!(
                "no queue may call {:?}: none of their `patterns` allows it",
                profile.uri
            );
            return Err(RequestError::Invalid(why));
        }
        let id = profile.id.clone();
        self.take_agent(now, profile).map_err(RequestError::Full)?;
        self.agent(now, &id)
    }

    /// Also of one whom no queue may call: it may not be so for ever.
    pub(super) fn present(&mut self, now: Instant, id: &str, presence: Presence) -> Result<Response, RequestError> {
        let view = self.pool.agent(now, id).ok_or(RequestError::NoAgent)?;
        let profile = Profile {
            presence,
            ..view.profile.clone()
        };
        self.take_agent(now, profile).map_err(RequestError::Full)?;
        self.agent(now, id)
    }

    pub(super) fn remove_agent(&mut self, id: &str) -> Result<Response, RequestError> {
        match self.pool.remove(id) {
            true => Ok(Response::Done),
            false => Err(RequestError::NoAgent),
        }
    }
}

/// The queues that may call this URI.
pub(super) fn queues_of<'c>(config: &'c Config, uri: &str) -> Vec<&'c str> {
    let Some(uri) = Plain::parse(uri) else {
        return Vec::new();
    };
    let targets = config.targets.iter().filter(|target| target.queue.is_some());
    let allow = targets.filter(|target| target.patterns.iter().any(|pattern| pattern.allows(&uri)));
    allow.map(|target| target.name.as_str()).collect()
}

fn agent_view(config: &Config, view: &View<'_>) -> AgentView {
    let queues = queues_of(config, &view.profile.uri);
    AgentView {
        profile: view.profile.clone(),
        queues: queues.into_iter().map(str::to_owned).collect(),
        state: view.doing.name(),
        idle_s: view.idle.map(|idle| idle.as_secs()),
        set_aside_s: view.set_aside.map(|left| left.as_secs()),
        handle_s: view.handle.map(|handle| handle.as_secs()),
        csat: view.csat,
    }
}

/// What is wrong with it.
fn check(profile: &Profile) -> Result<(), String> {
    let texts = [("id", &profile.id), ("name", &profile.name), ("uri", &profile.uri)];
    for (member, text) in texts {
        if text.len() > LONGEST || member != "name" && text.is_empty() {
            return Err(format!("{member} must have 1 to {LONGEST} bytes"));
        }
    }
    let names = profile.skills.keys().chain(&profile.languages);
    if profile.skills.len() > SKILLS || profile.languages.len() > SKILLS {
        return Err(format!("skills and languages can be {SKILLS} each"));
    }
    if names.into_iter().any(|name| name.is_empty() || name.len() > LONGEST) {
        return Err(format!("a skill or language must have 1 to {LONGEST} bytes"));
    }
    match profile.skills.iter().find(|(_, level)| !(1..=10).contains(*level)) {
        Some((name, _)) => Err(format!("the level of skill {name:?} must be from 1 to 10")),
        None if profile.calls == 0 => Err("calls must be at least 1".to_owned()),
        None => Ok(()),
    }
}
