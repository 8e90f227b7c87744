//! How long it will take, said to who waits.

use std::time::{Duration, Instant};

use crate::call::Input;
use crate::estimate::Said;
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
    pub(super) fn expected(&self, live: &Live, target: &str, waited: Duration) -> Option<Said> {
        let estimate = live.config.prompts.estimate.as_ref()?;
        let numbers = estimate.minutes.iter().map(|(number, _)| *number);
        self.estimates.said(target, waited, numbers)
    }

    /// Again: of the target that is called now.
    pub(super) fn estimate(&mut self, now: Instant, mut live: Box<Live>) {
        if let Some(estimate) = &live.config.prompts.estimate {
            live.timers.arm(Timer::Estimate, now + estimate.every);
        }
        let is_called = |state: State| matches!(state, State::Inviting | State::Ringing);
        let human = live.legs.target.as_ref();
        let human = human.filter(|_| live.call.handoff().is_some_and(|handoff| is_called(handoff.state())));
        let said = human.and_then(|human| {
            let waited = now.saturating_duration_since(human.invited);
            self.expected(&live, &human.name, waited)
        });
        match said {
            Some(said) => self.drive(now, now, live, Input::Estimate(said)),
            None => self.put_back(now, live),
        }
    }
}
