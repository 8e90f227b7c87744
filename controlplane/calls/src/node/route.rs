//! Where a caller goes, by the word of somebody outside.

use std::time::Instant;

use playbook::Mode;

use crate::call::Input;
use crate::config::Config;
use crate::handoff::{Choice, Handoff, Routed, Unrouted};
use crate::node::users::{is_closed, known};
use crate::node::{Live, Node};
use crate::notice::{HandoffId, Step, What};
use crate::request::{RequestError, Response};

impl Node {
    /// Whoever is to say where the caller goes is told what it needs for that.
    pub(super) fn ask_route(&mut self, now: Instant, live: &mut Live) {
        let Some(handoff) = live.call.handoff() else { return };
        let step = Step::Asked {
            package: Box::new(live.package()),
            targets: handoff.targets().map(|choice| choice.name.clone()).collect(),
            priority: handoff.manner().priority,
        };
        let id = handoff.id();
        self.tell(now, live, What::Handoff(id, step));
    }

    /// The answer. Targets that there are not are left out; where none is left, nothing is changed.
    pub(super) fn route(
        &mut self,
        now: Instant,
        id: HandoffId,
        said: Result<Vec<String>, Unrouted>,
    ) -> Result<Response, RequestError> {
        let call = self.registry.handoff(id).ok_or(RequestError::NoHandoff)?;
        let live = self.registry.call(call).ok_or(RequestError::NoCall)?;
        let routed = match said {
            Ok(names) => self.to(now, live, &names),
            Err(why) => Routed::Unchanged(why),
        };
        self.wish_of(now, id, Input::Routed(routed))
    }

    fn to(&self, now: Instant, live: &Live, names: &[String]) -> Routed {
        let mut targets: Vec<Choice> = names.iter().filter_map(|name| known(&live.config, name)).collect();
        self.look_at(now, live, &mut targets);
        if live.call.handoff().is_some_and(Handoff::is_back) {
            // A machine is nobody who calls back.
            targets.retain(|choice| !choice.machine);
        }
        let cold = live.manner.mode == Mode::Cold;
        match targets.is_empty() {
            true => Routed::Unchanged(Unrouted::Useless),
            false => Routed::To {
                // Whom nobody answers for is sent nowhere else.
                refer: cold && live.call.with_ai() && takes_refer(live) && may_be_the_carriers(&targets),
                targets,
            },
        }
    }

    /// What is so of targets at this time.
    pub(super) fn look_at(&self, now: Instant, live: &Live, targets: &mut [Choice]) {
        let wall = self.wall(now);
        for choice in targets {
            choice.closed = is_closed(&live.config, choice.target, wall);
            choice.machine = is_machine(&live.config, choice);
        }
    }
}

fn is_machine(config: &Config, choice: &Choice) -> bool {
    let target = config.targets.get(choice.target);
    target.is_some_and(|target| target.machine.is_some())
}

/// Whether the caller's carrier takes REFER.
pub(super) fn takes_refer(live: &Live) -> bool {
    let trunk = live.config.trunks.iter().find(|trunk| trunk.name == live.trunk);
    trunk.is_some_and(|trunk| trunk.refer)
}

/// Who of a queue is free we know, and the carrier does not; nor does any reach our own machine.
pub(super) fn may_be_the_carriers(targets: &[Choice]) -> bool {
    let first = targets.iter().find(|target| !target.closed);
    !first.is_some_and(|first| first.queued || first.machine)
}
