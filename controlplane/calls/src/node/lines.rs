//! Callers in line: from the pool of agents to the call that waits, and back.

use std::collections::BTreeMap;
use std::time::Instant;

use playbook::routing::{Need, Ticket};

use crate::call::Input;
use crate::config::Queue;
use crate::estimate::{self, Said};
use crate::handoff::{Handoff, State};
use crate::node::{Live, Node, agents};
use crate::notice::CallId;

/// Who waits in which call.
#[derive(Debug, Default)]
pub(super) struct Lines {
    calls: BTreeMap<Ticket, CallId>,
    /// Offers are being told: whoever is freed meanwhile is offered by the same loop.
    offering: bool,
}

impl Node {
    /// An agent for this caller, or a place in line.
    pub(super) fn line_up(&mut self, now: Instant, live: &mut Live) -> Option<Input> {
        let place = live.call.handoff()?.line()?;
        // One who could not even be called.
        if let Some(seat) = live.seat.take() {
            self.pool.missed(now, seat, false);
        }
        let ticket = match live.lined {
            Some((at, ticket)) if at == place => ticket,
            _ => {
                self.out_of_line(now, live);
                let ticket = self.pool.enter(now, need(live)?);
                self.lines.calls.insert(ticket, live.id);
                live.lined = Some((place, ticket));
                ticket
            }
        };
        if let Some(seat) = self.pool.call(now, ticket) {
            live.seat = Some(seat);
            return Some(Input::AgentFree);
        }
        if !self.pool.is_served(ticket) {
            return Some(Input::NobodyThere);
        }
        Some(Input::InLine {
            place: self.pool.place(ticket)?,
            said: self.said_in_line(live, ticket),
        })
    }

    /// What can be said to who stands in line.
    pub(super) fn said_in_line(&self, live: &Live, ticket: Ticket) -> Said {
        let prompts = &live.config.prompts;
        let can_be_said = |place: &u8| {
            let numbers = prompts.place.as_ref().map(|place| &place.numbers);
            numbers.is_some_and(|numbers| numbers.iter().any(|(number, _)| number == place))
        };
        let place = self.pool.place(ticket).and_then(|place| u8::try_from(place).ok());
        let left = prompts.estimate.as_ref().zip(self.pool.expected(ticket));
        let left = left.and_then(|(estimate, left)| {
            let numbers = estimate.minutes.iter().map(|(number, _)| *number);
            estimate::left(left, numbers)
        });
        Said {
            place: place.filter(can_be_said),
            left,
        }
    }

    /// Who does not wait for an agent any more leaves the line, and who was kept for it is free.
    pub(super) fn out_of_line(&mut self, now: Instant, live: &mut Live) {
        let handoff = live.call.handoff();
        let is_to_be_called = handoff.is_some_and(|handoff| handoff.state() == State::Inviting);
        let line = handoff.and_then(Handoff::line);
        if let Some(seat) = live.seat.take_if(|_| !is_to_be_called) {
            self.pool.missed(now, seat, false);
        }
        if let Some((_, ticket)) = live.lined.take_if(|(at, _)| Some(*at) != line) {
            self.pool.leave(now, ticket);
            self.lines.calls.remove(&ticket);
        }
    }

    /// Tells callers of the agents who were freed for them.
    pub(super) fn offer(&mut self, now: Instant) {
        if self.lines.offering {
            return;
        }
        self.lines.offering = true;
        while let Some((ticket, seat)) = self.pool.poll_offer() {
            let call = self.lines.calls.get(&ticket).copied();
            let Some(mut live) = call.and_then(|call| self.registry.take(call)) else {
                self.pool.missed(now, seat, false);
                continue;
            };
            live.seat = Some(seat);
            self.drive(now, now, live, Input::AgentFree);
        }
        self.lines.offering = false;
    }

    /// Queues may call others than before.
    pub(super) fn allow_agents(&mut self, now: Instant) {
        let known: Vec<(String, String)> = self
            .pool
            .agents(now)
            .map(|agent| (agent.profile.id.clone(), agent.profile.uri.clone()))
            .collect();
        for (id, uri) in known {
            self.pool.allow(&id, &agents::queues_of(&self.config, &uri));
        }
        self.offer(now);
    }
}

/// The queue that is tried.
pub(super) fn queue_of(live: &Live) -> Option<&Queue> {
    let target = live.call.handoff()?.target().target;
    live.config.targets.get(target)?.queue.as_ref()
}

fn need(live: &Live) -> Option<Need> {
    let handoff = live.call.handoff()?;
    let queue = queue_of(live)?;
    Some(Need {
        queue: handoff.target().name.clone(),
        skills: queue.skills.clone(),
        strategy: queue.strategy,
        priority: handoff.manner().priority,
        wrap_up: queue.wrap_up,
        set_aside: queue.set_aside,
    })
}
