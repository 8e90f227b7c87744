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
use crate::store::callbacks::Taken;

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

    pub(super) fn calls_out(&self, trunk: &str, caller: &str) -> bool {
        self.trunks.get(trunk).is_some_and(|way| way.to(caller).is_some())
    }

    pub(super) fn is_human(&self, target: &str) -> bool {
        self.humans.iter().any(|human| human.name == target)
    }

    /// Who of them is to have a caller of this target; of none, or of one that is no more: those of the playbook.
    fn humans(&self, target: &str) -> impl Iterator<Item = &Human> {
        let is_there = self.is_human(target);
        let has = move |human: &&Human| if is_there { human.name == target } else { human.is_usual };
        self.humans.iter().filter(has)
    }

    /// How many humans are free for a caller of this target now; `None`: it is no time for callbacks, or nobody is there.
    pub(super) fn free(&self, machine: &str, target: &str, queues: &[QueueView], now: SystemTime) -> Option<usize> {
        if self.machines.get(machine).is_some_and(|hours| !hours.is_open(now)) {
            return None;
        }
        let there: Vec<_> = self.humans(target).filter(|human| human.hours.is_open(now)).collect();
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
    pub(super) fn plan(&self, machine: &str, target: &str, agents: &[AgentView]) -> Option<Plan> {
        let first = self.humans(target).next()?;
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
        let team = |human: &Human| Team {
            hours: Arc::clone(&human.hours),
            members: members(human),
        };
        Some(Plan {
            hours,
            teams: self.humans(target).map(team).collect(),
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
    /// The first slot that is free, ms since 1970. What is promised of anybody takes room of each, and the other way round: it is not known
    /// who will have that caller.
    pub(super) fn choose(
        &self,
        now: SystemTime,
        not_before: SystemTime,
        target: &str,
        taken: &[Taken],
    ) -> Option<(i64, i64)> {
        let shared = |other: &&Taken| other.target == target || other.target.is_empty() || target.is_empty();
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
