//! A target that is a queue: the caller waits in line until one of its agents is free.

use crate::action::Action;
use crate::call::Parties;
use crate::estimate::Said;
use crate::handoff::{Handoff, Next, State};
use crate::notice::{Reason, Step};
use crate::timer::Timer;

impl Handoff {
    /// The place of the target in the order whose line the caller stands in, or whose agent it is that is reached for.
    pub(crate) fn line(&self) -> Option<usize> {
        use State::*;
        let is_open = matches!(
            self.state,
            Queued | Inviting | Ringing | Briefing { .. } | Gated { .. } | Joining
        );
        (is_open && self.target().queued).then_some(self.at)
    }

    /// The caller's turn in line begins.
    pub(super) fn line_up(&mut self, out: &mut Vec<Action>) {
        self.refused = None;
        out.push(Action::Arm(Timer::Queue));
        self.wait_in_line(out);
    }

    /// This agent did not take it: another one of the same queue, which the caller is told of if it must wait.
    pub(super) fn next_agent(&mut self, reason: Reason, out: &mut Vec<Action>) {
        self.refused = Some(reason);
        self.wait_in_line(out);
    }

    fn wait_in_line(&mut self, out: &mut Vec<Action>) {
        self.state = State::Queued;
        out.extend([Action::Disarm(Timer::Reach), Action::LineUp]);
    }

    /// Nobody is free: the caller is told so, unless something is being said.
    pub(super) fn in_line(&mut self, place: usize, said: Said, parties: &mut Parties, out: &mut Vec<Action>) {
        let target = self.target().name.clone();
        self.tell(Step::Queued { target, place }, out);
        self.say(said, parties, out);
    }

    /// Nobody of this queue will take it: the next target. `why`: where it is not what the last agent said.
    pub(super) fn next_line(&mut self, why: Option<Reason>, parties: &mut Parties, out: &mut Vec<Action>) -> Next {
        let reason = why.or(self.refused).unwrap_or(Reason::NoAnswer);
        self.tell_failed(reason, None, out);
        self.pass_on(reason, parties, out)
    }
}
