//! The agents as the search sees them: one place in each column for each agent.

use std::collections::HashMap;
use std::time::Duration;

use super::agent::{Agent, Strategy};
use super::{AGENTS, NAMES};

#[derive(Clone, Debug, Default)]
pub(super) struct Columns {
    names: HashMap<String, usize>,
    /// Of each name: the level that each agent has; 0: it has it not.
    levels: Vec<Vec<u8>>,
    /// Names that no agent has.
    unused: Vec<usize>,
    /// How many agents have a name.
    users: Vec<u32>,
    /// 1: it can be called.
    free: Vec<u8>,
    /// ms; `u32::MAX`: unknown.
    handle: Vec<u32>,
    /// The best is the least; `u32::MAX`: unknown.
    csat: Vec<u32>,
    order: Vec<u32>,
    /// Of equals the least is the first: since when it is idle, in µs, then its place by id. No two have the same.
    turn: Vec<u64>,
    /// Since when it is idle, in µs.
    idle: Vec<u64>,
    /// Place by id.
    rank: Vec<u32>,
    /// The places by id are right.
    pub(super) ranked: bool,
    /// Of the present search: who fits, and what it goes by.
    fit: Vec<u8>,
    by: Vec<u32>,
}

/// Bits of a place by id.
const RANK: u32 = 14;
const _: () = assert!(AGENTS <= 1 << RANK);

/// Columns, each with the level that is needed.
pub(super) struct Wanted {
    queue: usize,
    skills: Vec<(usize, u8)>,
}

impl Columns {
    /// Whether there is room for these names.
    pub(super) fn has_room<'n>(&self, names: impl Iterator<Item = &'n str>) -> bool {
        let new = names.filter(|name| !self.names.contains_key(*name)).count();
        self.names.len() + new <= NAMES
    }

    /// Room for so many agents.
    pub(super) fn grow(&mut self, agents: usize) {
        self.levels.iter_mut().for_each(|column| column.resize(agents, 0));
        self.free.resize(agents, 0);
        self.handle.resize(agents, u32::MAX);
        self.csat.resize(agents, u32::MAX);
        self.order.resize(agents, 0);
        self.turn.resize(agents, 0);
        self.idle.resize(agents, 0);
        self.rank.resize(agents, 0);
    }

    /// What an agent can do.
    pub(super) fn describe(&mut self, slot: usize, names: &[(String, u8)]) {
        let new: Vec<_> = names.iter().map(|(name, level)| (self.column(name), *level)).collect();
        for (column, level) in new {
            let place = &mut self.levels[column][slot];
            self.users[column] += u32::from(*place == 0);
            *place = level.max(1);
        }
        // What it could, and cannot any more.
        let lost: Vec<_> = self
            .names
            .iter()
            .filter(|(name, column)| self.levels[**column][slot] > 0 && !names.iter().any(|(kept, _)| kept == *name))
            .map(|(_, column)| *column)
            .collect();
        self.forget(slot, &lost);
    }

    /// Nobody is in this place.
    pub(super) fn clear(&mut self, slot: usize) {
        let all: Vec<_> = (0..self.levels.len())
            .filter(|column| self.levels[*column][slot] > 0)
            .collect();
        self.forget(slot, &all);
        self.free[slot] = 0;
    }

    fn forget(&mut self, slot: usize, columns: &[usize]) {
        for &column in columns {
            self.levels[column][slot] = 0;
            self.users[column] -= 1;
            if self.users[column] == 0 {
                self.names.retain(|_, known| *known != column);
                self.unused.push(column);
            }
        }
    }

    fn column(&mut self, name: &str) -> usize {
        if let Some(column) = self.names.get(name) {
            return *column;
        }
        let column = self.unused.pop().unwrap_or_else(|| {
            self.levels.push(vec![0; self.free.len()]);
            self.users.push(0);
            self.levels.len() - 1
        });
        self.names.insert(name.to_owned(), column);
        column
    }

    /// What is new of an agent.
    pub(super) fn refresh(&mut self, slot: usize, agent: &Agent) {
        self.free[slot] = u8::from(agent.is_free());
        let handle = agent.figures.handle();
        let ms = |time: Duration| u32::try_from(time.as_millis()).unwrap_or(u32::MAX - 1);
        self.handle[slot] = handle.map_or(u32::MAX, ms);
        // In thousandths, from five downwards.
        let csat = agent
            .figures
            .csat()
            .map(|csat| ((5.0 - csat).max(0.0) * 1_000.0) as u32);
        self.csat[slot] = csat.unwrap_or(u32::MAX);
        self.order[slot] = u32::from(agent.profile.order);
        self.idle[slot] = agent.idle;
        self.turn[slot] = turn(agent.idle, self.rank[slot]);
    }

    /// The places by id.
    pub(super) fn rank(&mut self, slots: impl Iterator<Item = usize>) {
        for (rank, slot) in (0..).zip(slots) {
            self.rank[slot] = rank;
            self.turn[slot] = turn(self.idle[slot], rank);
        }
        self.ranked = true;
    }

    pub(super) fn is_free(&self, slot: usize) -> bool {
        self.free[slot] == 1
    }

    /// Places of those who have this name.
    pub(super) fn having(&self, name: String) -> impl Iterator<Item = usize> {
        let levels = self.names.get(&name).map_or(&[][..], |column| &self.levels[*column]);
        (0..).zip(levels).filter(|(_, level)| **level > 0).map(|(slot, _)| slot)
    }

    /// The columns of these names; `None`: one of them nobody has.
    pub(super) fn wanted(&self, queue: String, skills: impl Iterator<Item = (String, u8)>) -> Option<Wanted> {
        let column = |name: &str| self.names.get(name).copied();
        let skills = skills.map(|(name, level)| Some((column(&name)?, level.max(1))));
        Some(Wanted {
            queue: column(&queue)?,
            skills: skills.collect::<Option<_>>()?,
        })
    }

    /// Whether this one can serve.
    pub(super) fn fits(&self, slot: usize, wanted: &Wanted) -> bool {
        self.levels[wanted.queue][slot] > 0
            && wanted
                .skills
                .iter()
                .all(|(column, level)| self.levels[*column][slot] >= *level)
    }

    /// The best of those that are free and can serve, but for these. One pass over each column that matters, without a branch.
    pub(super) fn best(&mut self, wanted: &Wanted, strategy: Strategy, not: &[usize]) -> Option<usize> {
        let (mut fit, mut by) = (std::mem::take(&mut self.fit), std::mem::take(&mut self.by));
        fit.clone_from(&self.free);
        for (column, least) in wanted.skills.iter().chain([&(wanted.queue, 1)]) {
            for (fit, level) in fit.iter_mut().zip(&self.levels[*column]) {
                *fit &= u8::from(level >= least);
            }
        }
        for slot in not {
            fit[*slot] = 0;
        }
        let by_column = match strategy {
            Strategy::LongestIdle => None,
            Strategy::InOrder => Some(&self.order),
            Strategy::LowestHandleTime => Some(&self.handle),
            Strategy::HighestCsat => Some(&self.csat),
            Strategy::BestSkill => {
                by.clear();
                by.resize(fit.len(), u32::MAX);
                for (column, _) in &wanted.skills {
                    for (by, level) in by.iter_mut().zip(&self.levels[*column]) {
                        *by -= u32::from(*level);
                    }
                }
                Some(&by)
            }
        };
        let first = match by_column {
            None => least(fit.iter().zip(&self.turn).map(|(fit, turn)| pick(*fit == 1, *turn))),
            Some(by) => {
                let of_fit = fit
                    .iter()
                    .zip(by)
                    .map(|(fit, by)| if *fit == 1 { *by } else { u32::MAX });
                let best = of_fit.fold(u32::MAX, u32::min);
                let of_best = fit.iter().zip(by).zip(&self.turn);
                least(of_best.map(|((fit, by), turn)| pick((*fit == 1) & (*by == best), *turn)))
            }
        };
        (self.fit, self.by) = (fit, by);
        let first = first?;
        self.turn
            .iter()
            .zip(&self.fit)
            .position(|(turn, fit)| *turn == first && *fit == 1)
    }
}

/// The key of who comes first of equals: µs of 35 years, and a place by id.
fn turn(idle: u64, rank: u32) -> u64 {
    idle.min((1 << (64 - RANK)) - 2) << RANK | u64::from(rank)
}

fn pick(is: bool, turn: u64) -> u64 {
    if is { turn } else { u64::MAX }
}

fn least(turns: impl Iterator<Item = u64>) -> Option<u64> {
    Some(turns.fold(u64::MAX, u64::min)).filter(|turn| *turn != u64::MAX)
}
