//! Where a target does not take the call: the next one, or back to whom the caller was with, with a word.

use crate::action::{Action, Apology, Scene, cause};
use crate::call::{Parties, Peer};
use crate::handoff::{Handoff, Next, State};
use crate::notice::{End, Outcome, Reason, Step};
use crate::timer::Timer;
use crate::watched::Verdict;

impl Handoff {
    pub(super) fn decline(&mut self, parties: &mut Parties, out: &mut Vec<Action>) -> Next {
        parties.end_target(cause::NOT_ACCEPTED, out);
        self.next_target(Reason::Declined, None, parties, out)
    }

    /// The carrier does not do it: we call the same target.
    pub(super) fn bridge(&mut self, reason: Reason, status: Option<u16>, parties: &mut Parties, out: &mut Vec<Action>) {
        self.tell_failed(reason, status, out);
        out.push(Action::Disarm(Timer::Refer));
        self.invite(parties, out);
    }

    pub(super) fn tell_failed(&self, reason: Reason, status: Option<u16>, out: &mut Vec<Action>) {
        let target = self.target().name.clone();
        self.tell(Step::TargetFailed { target, reason, status }, out);
    }

    /// A failure of ours: no other target will do better.
    pub(super) fn fault(&mut self, reason: Reason, parties: &mut Parties, out: &mut Vec<Action>) -> Next {
        parties.end_target(cause::FAULT, out);
        self.late = true;
        self.next_target(reason, None, parties, out)
    }

    /// The human of this target is gone: the next one, or back.
    pub(super) fn next_target(
        &mut self,
        reason: Reason,
        status: Option<u16>,
        parties: &mut Parties,
        out: &mut Vec<Action>,
    ) -> Next {
        self.tell_failed(reason, status, out);
        out.extend([Timer::Ring, Timer::Accept, Timer::Required, Timer::Acknowledge].map(Action::Disarm));
        if self.late {
            return self.turn_back(reason, parties, out);
        }
        if self.target().queued && !self.waited {
            self.wait_on(parties, out);
            self.next_agent(reason, out);
            return Next::Same;
        }
        self.pass_on(reason, parties, out)
    }

    /// This target is done with: the next one, or back.
    pub(super) fn pass_on(&mut self, reason: Reason, parties: &mut Parties, out: &mut Vec<Action>) -> Next {
        if self.target().queued {
            out.extend([Action::Disarm(Timer::Queue), Action::Arm(Timer::Reach)]);
        }
        (self.at, self.waited) = (self.at + 1, false);
        if !self.pass_closed(out) {
            return self.turn_back(reason, parties, out);
        }
        self.wait_on(parties, out);
        self.invite(parties, out);
        Next::Same
    }

    /// Targets that are closed are not called. Whether there is another one.
    pub(super) fn pass_closed(&mut self, out: &mut Vec<Action>) -> bool {
        while self.order.targets.get(self.at).is_some_and(|choice| choice.closed) {
            self.tell_failed(Reason::AfterHours, None, out);
            self.at += 1;
        }
        let is_there = self.at < self.order.targets.len();
        self.at = self.at.min(self.order.targets.len() - 1);
        is_there
    }

    /// Nobody was reached: back, with a word.
    pub(super) fn turn_back(&mut self, reason: Reason, parties: &mut Parties, out: &mut Vec<Action>) -> Next {
        let verdict = Verdict {
            end: End::Failed,
            result: self.returned(),
            reason: Some(reason),
        };
        let apology = match reason {
            Reason::Busy => Apology::Busy,
            Reason::NoAnswer | Reason::Machine => Apology::NoAnswer,
            Reason::AfterHours => Apology::AfterHours,
            _ => Apology::Failed,
        };
        self.give_back(verdict, Some(apology), parties, out)
    }

    pub(super) fn give_back(
        &mut self,
        verdict: Verdict,
        apology: Option<Apology>,
        parties: &mut Parties,
        out: &mut Vec<Action>,
    ) -> Next {
        if matches!(self.state, State::Referring { .. }) {
            out.extend([Action::ForgetRefer, Action::Disarm(Timer::Refer)]);
        }
        let waits = [
            Timer::Route,
            Timer::Ring,
            Timer::Reach,
            Timer::Queue,
            Timer::Accept,
            Timer::Required,
            Timer::Acknowledge,
            Timer::Estimate,
        ];
        out.extend(waits.map(Action::Disarm));
        if parties.peer.is_none() {
            return Next::Goodbye(self.without_peer(verdict));
        }
        let scene = match apology {
            Some(apology) => Scene::Returned {
                play: parties.play(),
                apology,
            },
            None => Scene::Conversation,
        };
        self.state = State::Returning {
            verdict,
            spoken: apology.is_some(),
        };
        out.push(Action::Show(scene, Some(self.window())));
        Next::Same
    }

    /// What a caller who was given back is told of.
    pub(super) fn returned(&self) -> Outcome {
        match self.from {
            Some(Peer::Ai) => Outcome::ReturnedToAi,
            Some(Peer::Human) => Outcome::ReturnedToHuman,
            None => Outcome::Failed,
        }
    }

    /// Nobody is left whom the caller could be given back to.
    pub(super) fn without_peer(&self, verdict: Verdict) -> Verdict {
        let gone = self.from.map(|from| match from {
            Peer::Ai => Reason::AiGone,
            Peer::Human => Reason::HumanHangup,
        });
        Verdict {
            result: Outcome::Failed,
            reason: gone.or(verdict.reason),
            ..verdict
        }
    }
}

/// What a final status of the target's INVITE means. `rang`: a provisional answer had come.
pub(super) fn reason(status: u16, rang: bool) -> Reason {
    match status {
        486 | 600 => Reason::Busy,
        408 if !rang => Reason::Unreachable,
        408 | 480 | 487 => Reason::NoAnswer,
        404 | 410 | 604 | 500..=599 => Reason::Unreachable,
        _ => Reason::Rejected,
    }
}
