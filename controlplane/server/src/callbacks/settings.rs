//! What promises go by, until the configuration is read anew.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use calls::config::Outbound;
use calls::request::{AgentView, QueueView};
use jiff::Timestamp;
use playbook::hours::Calendar;
use playbook::routing::Presence;
use playbook::slots::{Effort, Grid, Slot, Team, first_free};

use super::time;
use crate::config::{Callback, Config};
use crate::store::callbacks::{Shared, Taken};

#[derive(Debug)]
pub(crate) struct Settings {
    pub(super) rules: Callback,
    /// How long the store may take.
    pub(super) commit: Duration,
    /// Targets that are humans, in order.
    humans: Vec<Human>,
    /// When each machine's callbacks are made.
    machines: HashMap<String, Arc<Calendar>>,
    /// Ways out, by the trunk.
    trunks: HashMap<String, Outbound>,
}

#[derive(Debug)]
struct Human {
    name: String,
    hours: Arc<Calendar>,
    is_queue: bool,
    /// It is among those of the playbook, or there are none.
    is_usual: bool,
}

/// Who could be there for a caller, and when.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) hours: Arc<Calendar>,
    teams: Vec<Team>,
    grid: Grid,
    effort: Effort,
}

impl Settings {
    pub(crate) fn of(config: &Config) -> Arc<Settings> {
        let (machines, humans): (Vec<_>, Vec<_>) = config.targets.iter().partition(|target| target.is_machine());
        let hours = machines
            .iter()
            .map(|target| (target.name.clone(), Arc::clone(&target.hours)));
        let usual = &config.playbook.usual.targets;
        let has_usual = humans.iter().any(|target| usual.contains(&target.name));
        let human = |target: &&crate::config::Target| Human {
            is_usual: !has_usual || usual.contains(&target.name),
            name: target.name.clone(),
            hours: Arc::clone(&target.hours),
            is_queue: target.queue.is_some(),
        };
        Arc::new(Settings {
            rules: config.callback.clone(),
            commit: config.store.commit,
            humans: humans.iter().map(human).collect(),
            machines: hours.collect(),
            trunks: config
                .trunks
                .iter()
                .filter_map(|trunk| Some((trunk.name.clone(), trunk.outbound.clone()?)))
                .collect(),
        })
    }

    pub(super) fn shared(&self) -> Shared {
        match self.rules.shared_numbers {
            true => Shared::Yes,
            false => Shared::No,
        }
    }

    pub(super) fn calls_out(&self, trunk: &str, caller: &str) -> bool {
        self.trunks.get(trunk).is_some_and(|way| way.to(caller).is_some())
    }

    pub(super) fn is_human(&self, target: &str) -> bool {
        self.humans.iter().any(|human| human.name == target)
    }

    /// Of these targets those that are humans, in this order; where there is none, those of the playbook.
    fn humans(&self, names: &[String]) -> Vec<&Human> {
        let named = |name: &String| self.humans.iter().find(|human| human.name == *name);
        let named: Vec<_> = names.iter().filter_map(named).collect();
        match named.is_empty() {
            true => self.humans.iter().filter(|human| human.is_usual).collect(),
            false => named,
        }
    }

    /// Their names.
    pub(super) fn names_of(&self, names: &[String]) -> Vec<String> {
        self.humans(names).into_iter().map(|human| human.name.clone()).collect()
    }

    /// How many humans are free for a caller of these now; `None`: it is no time for callbacks, or nobody is there.
    pub(super) fn free(
        &self,
        machine: &str,
        humans: &[String],
        queues: &[QueueView],
        now: SystemTime,
    ) -> Option<usize> {
        if self.machines.get(machine).is_some_and(|hours| !hours.is_open(now)) {
            return None;
        }
        let mut there = self.humans(humans);
        there.retain(|human| human.hours.is_open(now));
        let free = |human: &&Human| match queues.iter().find(|queue| queue.name == human.name) {
            Some(queue) => queue
                .agents
                .get(Presence::Available.name())
                .copied()
                .unwrap_or_default(),
            None => 1,
        };
        (!there.is_empty()).then(|| there.iter().map(free).sum())
    }

    /// `None`: nobody.
    pub(super) fn plan(&self, machine: &str, humans: &[String], agents: &[AgentView]) -> Option<Plan> {
        let humans = self.humans(humans);
        let first = humans.first()?;
        let hours = match self.machines.get(machine) {
            Some(hours) => Arc::clone(hours),
            // At any time that somebody is there, by the clock of who comes first.
            None => Arc::new(always(first.hours.zone())),
        };
        let members = |human: &Human| match human.is_queue {
            true => {
                let allowed = agents.iter().filter(|agent| agent.queues.contains(&human.name));
                let member = |agent: &AgentView| (agent.profile.id.clone(), agent.handle_s.map(Duration::from_secs));
                allowed.map(member).collect()
            }
            // No agent has an id with a blank in it.
            false => vec![(format!("target {}", human.name), None)],
        };
        let team = |human: &&Human| Team {
            hours: Arc::clone(&human.hours),
            members: members(human),
        };
        Some(Plan {
            hours,
            teams: humans.iter().map(team).collect(),
            grid: self.rules.grid,
            effort: self.rules.effort,
        })
    }
}

fn always(zone: &str) -> Calendar {
    let mut calendar = Calendar::new(zone).unwrap_or_else(|_| Calendar::always());
    // It is a text that can be read.
    let _ = calendar.open("Mon-Sun 00:00-24:00");
    calendar
}

impl Plan {
    /// The first slot that is free, ms since 1970. What is promised of several takes room of each: it is not known who will have that caller.
    pub(super) fn choose(
        &self,
        now: SystemTime,
        not_before: SystemTime,
        humans: &[String],
        taken: &[Taken],
    ) -> Option<(i64, i64)> {
        let shared = |other: &&Taken| share(&other.humans, humans);
        let slot = |taken: &Taken| Slot {
            from: time(taken.from_ms),
            until: time(taken.until_ms),
        };
        let taken: Vec<_> = taken.iter().filter(shared).map(slot).collect();
        let (hours, teams) = (&self.hours, &self.teams);
        let slot = first_free(now, not_before, hours, teams, &self.grid, &self.effort, &taken)?;
        let ms = |at: SystemTime| Timestamp::try_from(at).ok().map(Timestamp::as_millisecond);
        Some((ms(slot.from)?, ms(slot.until)?))
    }
}

/// Whether somebody may be called for both; of nobody in particular it may be anybody.
pub(super) fn share(some: &[String], others: &[String]) -> bool {
    some.is_empty() || others.is_empty() || some.iter().any(|name| others.contains(name))
}
