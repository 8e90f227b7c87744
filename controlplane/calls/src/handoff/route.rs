//! A handoff whose way is asked for: somebody outside may know better than the playbook to whom the caller goes.
//!
//! The caller waits meanwhile as for a human, and never long: without an answer in time it goes as the playbook says.

use crate::action::Action;
use crate::call::Parties;
use crate::handoff::{Handoff, Next, Routed, State, Unrouted};
use crate::notice::Step;
use crate::timer::Timer;

impl Handoff {
    pub(super) fn ask(&mut self, out: &mut Vec<Action>) {
        self.state = State::Routing;
        out.extend([Action::AskRoute, Action::Arm(Timer::Route)]);
    }

    /// The answer, or its absence.
    pub(super) fn routed(&mut self, routed: Routed, parties: &mut Parties, out: &mut Vec<Action>) -> Next {
        out.push(Action::Disarm(Timer::Route));
        let unchanged = match routed {
            Routed::To { targets, refer } => {
                (self.order.targets, self.order.refer) = (targets, refer);
                None
            }
            Routed::Unchanged(why) => Some(why),
        };
        let targets = self.order.targets.iter().map(|choice| choice.name.clone()).collect();
        self.tell(Step::Routed { targets, unchanged }, out);
        self.set_out(parties, out)
    }

    pub(super) fn unrouted(&mut self, parties: &mut Parties, out: &mut Vec<Action>) -> Next {
        self.routed(Routed::Unchanged(Unrouted::Late), parties, out)
    }
}
