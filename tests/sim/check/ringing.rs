//! No phone rings on for a caller who is gone.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use crate::world::{Who, Wire, World};

/// From the caller's end, or the first sign of life of the phone, to the CANCEL: the same instant.
const AT_ONCE: Duration = Duration::from_millis(1);

impl World {
    pub(super) fn ringing(&self, faults: &mut Vec<String>) {
        let of_caller = |wire: &&Wire| wire.party == Who::Caller;
        let answered = |wire: &Wire| wire.ours && wire.answers("INVITE") && wire.status == Some(200);
        let answered = self
            .wire
            .iter()
            .filter(of_caller)
            .find(|wire| answered(wire))
            .map(|wire| wire.at);
        // A CANCEL that crosses our 200 ends nothing.
        let cancels = |wire: &Wire| !wire.ours && wire.is("CANCEL") && answered.is_none_or(|at| at > wire.at);
        let end = |wire: &&Wire| wire.party == Who::Caller && (wire.is("BYE") || cancels(wire));
        let Some(gone) = self.wire.iter().find(end).map(|wire| wire.at) else {
            return;
        };
        let invites = self
            .wire
            .iter()
            .filter(|wire| wire.ours && wire.is("INVITE") && wire.at <= gone && self.is_first(wire));
        let invites: BTreeSet<(&str, u32, Who)> = invites
            .map(|wire| (wire.call_id.as_str(), wire.number, wire.party))
            .collect();
        for (call_id, number, party) in invites {
            let of_it = |wire: &&Wire| wire.call_id == call_id && wire.number == number;
            let answers = || {
                let answers = self.wire.iter().filter(of_it).filter(|wire| wire.answers("INVITE"));
                answers.filter(|wire| !wire.ours)
            };
            let answered = answers().find(|wire| wire.status >= Some(200)).map(|wire| wire.at);
            let alive = answers().map(|wire| wire.at).min();
            let cancel = self
                .wire
                .iter()
                .filter(of_it)
                .find(|wire| wire.ours && wire.is("CANCEL"));
            let cancel = cancel.map(|wire| wire.at);
            // RFC 3261 §9.1: no CANCEL before a provisional answer, nor after a final one. A CANCEL may be older than this end.
            let Some(due) = alive.map(|alive: Instant| alive.max(gone)) else {
                continue;
            };
            if answered.is_some_and(|answered| answered <= due) || cancel.is_some_and(|cancel| cancel <= due + AT_ONCE)
            {
                continue;
            }
            let due = due - self.start;
            faults.push(format!("{party:?} is not cancelled at {due:?}, and the caller is gone"));
        }
    }
}
