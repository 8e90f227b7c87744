//! Agents of a queue are called while they are there, and none of them twice for the same handoff.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use calls::notice::{Step, What};
use playbook::routing::Presence;

use crate::scenario::Also;
use crate::world::{Who, Wire, World};

/// Longer than a session takes to another worker.
const MOMENT: Duration = Duration::from_millis(100);

impl World {
    /// Which agent of the queue an INVITE is for.
    pub(super) fn agent_of(&self, wire: &Wire) -> Option<usize> {
        let line = self.scenario.line.as_ref()?;
        let user = wire.uri.strip_prefix("sip:agent-")?.split('@').next()?;
        let agent = user.parse().ok()?;
        (self.scenario.phone(agent) == Some(wire.party) && agent < line.agents.len()).then_some(agent)
    }

    /// Whether both are phones of the queue.
    pub(super) fn are_of_the_queue(&self, one: Who, other: Who) -> bool {
        let Some(line) = &self.scenario.line else { return false };
        let is = |who| (0..line.agents.len()).any(|agent| self.scenario.phone(agent) == Some(who));
        is(one) && is(other)
    }

    pub(super) fn agents(&self, faults: &mut Vec<String>) {
        let mut called = BTreeSet::new();
        for notice in &self.notices {
            match &notice.what {
                What::Handoff(_, Step::Requested { .. }) => called.clear(),
                What::Handoff(_, Step::Invited { agent: Some(agent), .. }) => {
                    if !called.insert(agent) {
                        faults.push(format!("{agent} was called twice for the same caller"));
                    }
                    let number = agent.strip_prefix("agent-").and_then(|number| number.parse().ok());
                    // One who comes or goes in this very instant is either.
                    let is_there = |n| self.presences(n, notice.at).contains(&Presence::Available);
                    if !number.is_some_and(is_there) {
                        let at = notice.at - self.start;
                        faults.push(format!("{agent} was called at {at:?}, and is not there"));
                    }
                }
                _ => {}
            }
        }
    }

    /// What it said last, and what it said a moment ago: a call may have to move for a port before its agent is called.
    fn presences(&self, agent: usize, at: Instant) -> Vec<Presence> {
        let first = self.scenario.line.as_ref().map(|line| line.agents[agent]);
        let said = self.done.iter().filter_map(|(when, what)| match what {
            Also::Presence(n, presence) if *n == agent && *when <= at => Some((*when, *presence)),
            _ => None,
        });
        let mut presences: Vec<Presence> = first.into_iter().collect();
        for (when, presence) in said {
            if when + MOMENT < at {
                presences.clear();
            }
            presences.push(presence);
        }
        presences
    }
}
