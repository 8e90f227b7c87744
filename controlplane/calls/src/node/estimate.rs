//! How long it will take, said to who waits.

use std::time::{Duration, Instant};

use crate::call::Input;
use crate::config::Prompts;
use crate::estimate::{Left, Said};
use crate::handoff::State;
use crate::node::{Live, Node};
use crate::timer::Timer;

impl Node {
    /// A handoff to this target took so long, from its INVITE to the join: as a node saw it that was here before, or another one. Callers
    /// are told by it how long it will take.
    pub fn learn(&mut self, target: &str, took: Duration) {
        // Calls keep the configuration that they began with: its target may be gone.
        if self.config.targets.iter().any(|known| known.name == target) {
            self.estimates.learn(target, took);
        }
    }

    /// The join of this call is in force.
    pub(super) fn learn_from(&mut self, live: &Live) {
        if let Some(human) = &live.legs.target {
            self.learn(&human.name, live.at.saturating_duration_since(human.invited));
        }
    }

    /// What can be said to who has waited so long for a target.
    pub(super) fn expected(&self, live: &Live, target: &str, waited: Duration) -> Option<Left> {
        let estimate = live.config.prompts.estimate.as_ref()?;
        let numbers = estimate.minutes.iter().map(|(number, _)| *number);
        self.estimates.said(target, waited, numbers)
    }

    /// Again: of the line that the caller stands in, or of the target that is called now.
    pub(super) fn estimate(&mut self, now: Instant, mut live: Box<Live>) {
        if let Some(every) = every(&live.config.prompts) {
            live.timers.arm(Timer::Estimate, now + every);
        }
        match self.can_be_said(now, &live) {
            said if said == Said::default() => self.put_back(now, live),
            said => self.drive(now, now, live, Input::Estimate(said)),
        }
    }

    /// What can be said of a wait now.
    pub(super) fn can_be_said(&self, now: Instant, live: &Live) -> Said {
        let state = live.call.handoff().map(|handoff| handoff.state());
        match (state, live.lined, &live.legs.target) {
            (Some(State::Queued), Some((_, ticket)), _) => self.said_in_line(live, ticket),
            (Some(State::Inviting | State::Ringing), _, Some(human)) => {
                let waited = now.saturating_duration_since(human.invited);
                let left = self.expected(live, &human.name, waited);
                Said { place: None, left }
            }
            _ => Said::default(),
        }
    }
}

/// How often it is said.
pub(super) fn every(prompts: &Prompts) -> Option<Duration> {
    let place = prompts.place.as_ref().map(|place| place.every);
    let estimate = prompts.estimate.as_ref().map(|estimate| estimate.every);
    place.into_iter().chain(estimate).min()
}
