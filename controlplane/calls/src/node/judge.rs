//! What the playbook says of a call, whenever something happens that it looks at.

use std::time::{Duration, Instant};

use playbook::context::{Context, Turn};
use playbook::rules::{Fired, Occasion, Scene};

use crate::call::State;
use crate::node::{Live, Node};
use crate::notice::{CallId, HandoffId, Trigger};
use crate::request::{HandoffRequest, RequestError};
use crate::timer::Timer;

impl Node {
    /// The caller was answered: from now on time passes for it.
    pub(super) fn begin_judging(&mut self, now: Instant, live: &mut Live) {
        if live.config.playbook.rules.looks_back_at_calls() {
            live.earlier = self.contacts.called(now, &live.caller);
        }
        look_again(now, live);
    }

    /// Somebody called so long ago: as a node saw it that was here before, or another one. To be told in the order in which they called, before
    /// the first call.
    pub fn learn_call(&mut self, now: Instant, caller: &str, ago: Duration) {
        if let Some(at) = now.checked_sub(ago) {
            self.contacts.learn(caller, at);
        }
    }

    /// Turns were told; the first that hands off decides. The handoff that runs because of it, if one does.
    pub(super) fn judge_turns(&mut self, now: Instant, id: CallId, turns: &[Turn]) -> Option<(Fired, HandoffId)> {
        let mut live = self.registry.take(id)?;
        let mut fired = None;
        for turn in turns {
            let may = fired.is_none() && may(&live);
            let now_fired = judge(now, &mut live, Occasion::Turn(turn), may);
            fired = fired.or(now_fired);
        }
        self.put_back(now, live);
        self.hand_off_by(now, id, fired?)
    }

    /// Something else happened.
    pub(super) fn judge(&mut self, now: Instant, mut live: Box<Live>, occasion: Occasion<'_>) {
        let (id, may) = (live.id, may(&live));
        let fired = judge(now, &mut live, occasion, may);
        self.put_back(now, live);
        if let Some(fired) = fired {
            let _ = self.hand_off_by(now, id, fired);
        }
    }

    /// What cannot be handed off goes on: the rule is asked again.
    fn hand_off_by(&mut self, now: Instant, id: CallId, mut fired: Fired) -> Option<(Fired, HandoffId)> {
        // It may have words of the AI's: those of a sentiment.
        let redact = &self.registry.call(id)?.config.playbook.redact;
        fired.because = redact.text(&fired.because).into_owned();
        let request = HandoffRequest {
            mode: None,
            target: None,
            reason: format!("rule {}: {}", fired.rule, fired.because),
            context: None,
            by_ai: true,
        };
        let trigger = Trigger {
            rule: fired.rule.clone(),
            because: fired.because.clone(),
        };
        match self.handoff(now, id, request, Some(trigger)) {
            Ok(handoff) => {
                if let Some(mut live) = self.registry.take(id) {
                    live.memory.handed_off(&fired);
                    look_again(now, &mut live);
                    self.put_back(now, live);
                }
                Some((fired, handoff))
            }
            Err(RequestError::Running(handoff)) => Some((fired, handoff)),
            Err(_) => None,
        }
    }
}

/// Whether a handoff may begin: the AI has the call, and none runs.
fn may(live: &Live) -> bool {
    live.call.with_ai() && matches!(live.call.state(), State::Talking)
}

fn judge(now: Instant, live: &mut Live, occasion: Occasion<'_>, may: bool) -> Option<Fired> {
    // It borrows of the call what the memory is not.
    let mut memory = std::mem::take(&mut live.memory);
    let scene = scene(now, live, &live.context);
    let fired = live.config.playbook.rules.judge(&mut memory, &scene, occasion, may);
    live.memory = memory;
    look_again(now, live);
    fired
}

/// What the call is now.
pub(super) fn scene<'a>(now: Instant, live: &'a Live, context: &'a Context) -> Scene<'a> {
    let began = live.began.map(|began| now.saturating_duration_since(began));
    Scene {
        elapsed: began.unwrap_or_default(),
        caller: &live.caller,
        earlier: &live.earlier,
        members: context.members(),
    }
}

/// When time alone may hand off.
fn look_again(now: Instant, live: &mut Live) {
    let due = live.began.filter(|_| live.call.with_ai()).and_then(|began| {
        let elapsed = now.saturating_duration_since(began);
        Some(began + live.config.playbook.rules.due(&live.memory, elapsed)?)
    });
    match due {
        Some(at) => live.timers.arm(Timer::Playbook, at),
        None => live.timers.disarm(Timer::Playbook),
    }
}
