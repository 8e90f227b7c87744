//! A handoff whose outcome is decided and whose evidence is awaited. It stands aside: the next one may begin at once.

use media::evidence::Evidence;

use crate::action::Action;
use crate::notice::{End, HandoffId, Outcome, Party, Reason, Step};

/// How a handoff ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// The last state.
    pub end: End,
    /// What became of the caller.
    pub result: Outcome,
    /// Why it did not join.
    pub reason: Option<Reason>,
}

/// One that is only to be closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Watched {
    /// Which.
    pub id: HandoffId,
    /// How it ended.
    pub verdict: Verdict,
}

impl Watched {
    /// The last steps.
    pub(crate) fn close(self, evidence: Option<Vec<(Party, Evidence)>>, out: &mut Vec<Action>) {
        if let Some(listeners) = evidence {
            out.push(Action::Tell(self.id, Step::Evidence(listeners)));
        }
        let Verdict { end, result, reason } = self.verdict;
        out.push(Action::Tell(self.id, Step::Closed { end, result, reason }));
    }

    /// The caller, or an operator (`None`), ended the call before its goodbye was over.
    pub(crate) fn cut_short(&mut self, reason: Option<Reason>) {
        if self.verdict.result == Outcome::Failed {
            self.verdict = cut_short(reason);
        }
    }
}

/// The carrier connected the caller with the target.
pub(crate) const TRANSFERRED: Verdict = Verdict {
    end: End::Completed,
    result: Outcome::Transferred,
    reason: None,
};

/// The call ended before the handoff had. `reason` is `None` where an operator ended it.
pub(crate) fn cut_short(reason: Option<Reason>) -> Verdict {
    Verdict {
        end: if reason.is_some() { End::Failed } else { End::Cancelled },
        result: Outcome::Abandoned,
        reason,
    }
}
