//! The story that the notices tell: whole, and true.

use std::time::Instant;

use calls::notice::{End, Outcome, Reason, Step, What};

use crate::tone::Sound;
use crate::ua::State;
use crate::world::{Who, World};

impl World {
    /// The steps of the handoff, by name.
    pub fn steps(&self) -> Vec<&'static str> {
        self.notices
            .iter()
            .filter_map(|notice| match &notice.what {
                What::Handoff(_, step) => Some(step_name(step)),
                _ => None,
            })
            .collect()
    }

    /// When a step first came.
    pub fn step_at(&self, wanted: &str) -> Option<Instant> {
        self.notices.iter().find_map(|notice| match &notice.what {
            What::Handoff(_, step) if step_name(step) == wanted => Some(notice.at),
            _ => None,
        })
    }

    /// How the (last) handoff closed.
    pub fn closed(&self) -> Option<(End, Outcome, Option<Reason>)> {
        self.notices.iter().rev().find_map(|notice| match &notice.what {
            What::Handoff(_, Step::Closed { end, result, reason }) => Some((*end, *result, *reason)),
            _ => None,
        })
    }

    /// A handoff that began was closed, once, and truthfully.
    pub(super) fn story(&self, faults: &mut Vec<String>) {
        let steps = self.steps();
        let count = |wanted: &str| steps.iter().filter(|step| **step == wanted).count();
        if count("requested") != count("closed") {
            faults.push(format!(
                "requested {} times, closed {} times",
                count("requested"),
                count("closed")
            ));
        }
        if steps.last().is_some_and(|last| *last != "closed") {
            faults.push(format!("the last step is {:?}", steps.last()));
        }
        if let Some((End::Completed, _, _)) = self.closed() {
            let human_heard = self.everyone().into_iter().any(|who| {
                matches!(who, Who::Human(_)) && self.sent.iter().any(|s| s.to == who && s.sound == Some(Sound::Caller))
            });
            let human_gone_at_once = self.humans.iter().any(|ua| ua.state == State::Gone);
            if !human_heard && !human_gone_at_once && self.undisturbed() {
                faults.push("completed, but no human ever heard the caller".into());
            }
        }
    }
}

/// The name of a step.
pub fn step_name(step: &Step) -> &'static str {
    match step {
        Step::Requested { .. } => "requested",
        Step::Invited { .. } => "invited",
        Step::Announced => "announced",
        Step::Ringing => "ringing",
        Step::Answered => "answered",
        Step::Accepted => "accepted",
        Step::Joined { .. } => "joined",
        Step::FirstHumanWord => "first_human_word",
        Step::TargetFailed { .. } => "target_failed",
        Step::Returned => "returned",
        Step::Evidence(_) => "evidence",
        Step::Closed { .. } => "closed",
    }
}
