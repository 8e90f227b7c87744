//! Parties that fall silent: hold audio for who hears them, and the question whether they are there.

use std::time::{Duration, Instant};

use media::command::LegId;

use crate::leg::{Comes, Leg, LegState};
use crate::node::{Live, Node};
use crate::timer::Timer;

impl Node {
    /// A leg has fallen silent, or sounds again.
    pub(super) fn sounds(&mut self, now: Instant, live: &mut Live, leg: LegId, quiet: Option<Instant>) {
        let Some(leg) = live.legs.find(leg) else { return };
        (leg.quiet, leg.probed) = (quiet, None);
        self.arm_probe(live);
        self.stand_in(now, live);
    }

    /// Another row for who hears a party that holds us, where it has changed.
    pub(super) fn stand_in(&mut self, now: Instant, live: &mut Live) {
        if self.spec(live) != *live.desired.spec() {
            self.refresh(now, live);
        }
    }

    /// Whose hold is over sends nothing: it has nothing to say, and hold audio is no part of a conversation.
    pub(super) fn resumed_silently(&mut self, now: Instant, mut live: Box<Live>) {
        live.legs.iter_mut().for_each(|leg| leg.resumes = false);
        self.refresh(now, &mut live);
        self.put_back(now, live);
    }

    /// Silence alone ends no call: who is silent is asked.
    pub(super) fn probe(&mut self, now: Instant, mut live: Box<Live>) {
        let wait = live.config.deadlines.silence_probe;
        for leg in live.legs.iter_mut() {
            if due(leg, wait).is_some_and(|at| at <= now) {
                leg.probed = Some(now);
                // Refused where the dialog is ending, or the last question has no answer yet.
                let _ = self.endpoint.probe(now, leg.dialog);
            }
        }
        self.arm_probe(&mut live);
        self.put_back(now, live);
    }

    /// The timer follows the legs.
    pub(crate) fn arm_probe(&self, live: &mut Live) {
        let wait = live.config.deadlines.silence_probe;
        let next = live.legs.iter().filter_map(|leg| due(leg, wait)).min();
        match next.filter(|_| !live.desired.ending()) {
            Some(at) => live.timers.arm(Timer::Probe, at),
            None => live.timers.disarm(Timer::Probe),
        }
    }
}

/// When a leg is to be asked: it is silent, and does not hold us.
fn due(leg: &Leg, wait: Duration) -> Option<Instant> {
    let expected = leg.state == LegState::Up && leg.comes() == Comes::Speech;
    let since = leg.quiet.filter(|_| expected)?;
    Some(leg.probed.unwrap_or(since) + wait)
}
