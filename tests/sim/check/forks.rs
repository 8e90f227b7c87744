//! Agents who are called at a time: the first answer has the caller, and the others are left as if they had never been called.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use calls::notice::{Step, What};

use crate::world::{Wire, World};

/// What a phone may show: no call that was missed (RFC 3326 §2).
const ELSEWHERE: &str = "text=\"Call completed elsewhere\"";

/// From the first answer to the CANCEL: the same instant.
const AT_ONCE: Duration = Duration::from_millis(1);

/// More than any wrap-up or time aside of these calls.
const LATER: Duration = Duration::from_secs(60);

impl World {
    /// INVITEs to agents, by the instant in which they left.
    pub(crate) fn groups(&self) -> BTreeMap<Instant, Vec<&Wire>> {
        let mut known = BTreeSet::new();
        let mut groups: BTreeMap<Instant, Vec<&Wire>> = BTreeMap::new();
        for wire in self.wire.iter().filter(|wire| wire.ours && wire.is("INVITE")) {
            if self.is_first(wire) && self.agent_of(wire).is_some() && known.insert(&wire.call_id) {
                groups.entry(wire.at).or_default().push(wire);
            }
        }
        groups
    }

    /// The first 200 of those that were called at a time, of one that had not been let go.
    pub(crate) fn first_answer(&self, group: &[&Wire]) -> Option<&Wire> {
        let is_open = |wire: &Wire| {
            !self
                .of_call(wire)
                .any(|other| self.lets_go(other) && other.at <= wire.at)
        };
        let mut answers = self.wire.iter().filter(|wire| is_answer(wire));
        answers.find(|wire| group.iter().any(|invite| invite.call_id == wire.call_id) && is_open(wire))
    }

    /// Whether another of those that were called with this one had answered before.
    pub(super) fn another_was_faster(&self, wire: &Wire) -> bool {
        let is_of = |group: &&Vec<&Wire>| group.iter().any(|invite| invite.call_id == wire.call_id);
        let groups = self.groups();
        let answer = groups.values().find(is_of).and_then(|group| self.first_answer(group));
        answer.is_some_and(|answer| answer.call_id != wire.call_id && answer.at <= wire.at)
    }

    fn of_call<'a>(&'a self, wire: &'a Wire) -> impl Iterator<Item = &'a Wire> {
        self.wire.iter().filter(|other| other.call_id == wire.call_id)
    }

    fn lets_go(&self, wire: &Wire) -> bool {
        wire.ours && (wire.is("CANCEL") || wire.is("BYE"))
    }

    pub(super) fn forks(&self, faults: &mut Vec<String>) {
        let Some(line) = &self.scenario.line else { return };
        for (since, group) in self.groups() {
            let at = since - self.start;
            let agents: BTreeSet<_> = group.iter().filter_map(|invite| self.agent_of(invite)).collect();
            if agents.len() < group.len() || group.len() > line.at_once {
                faults.push(format!("{} agents are called at {at:?}: {agents:?}", group.len()));
            }
            if let Some(answer) = self.first_answer(&group).filter(|_| group.len() > 1) {
                self.first_answer_has_the_caller(answer, &group, faults);
                for other in group.iter().filter(|invite| invite.call_id != answer.call_id) {
                    self.is_let_go(answer.at, other, faults);
                }
            }
        }
        let busy = ["ringing", "talking", "wrap_up"];
        for queue in self.node.queues(self.now + LATER) {
            for (doing, agents) in queue.agents.iter().filter(|(doing, _)| busy.contains(*doing)) {
                faults.push(format!("{agents} agents are still {doing}"));
            }
        }
    }

    fn first_answer_has_the_caller(&self, answer: &Wire, group: &[&Wire], faults: &mut Vec<String>) {
        let invite = group.iter().find(|invite| invite.call_id == answer.call_id);
        let agent = invite.and_then(|invite| self.agent_of(invite));
        let told = self.notices.iter().find_map(|notice| match &notice.what {
            What::Handoff(_, Step::Answered { agent }) if notice.at == answer.at => agent.clone(),
            _ => None,
        });
        if told.is_none() || told != agent.map(|agent| format!("agent-{agent}")) {
            let at = answer.at - self.start;
            faults.push(format!(
                "{agent:?} answered first, at {at:?}, and {told:?} has the caller"
            ));
        }
    }

    /// One whose phone another was faster to answer: no call that was missed, no word, and nothing of it is left.
    fn is_let_go(&self, first: Instant, invite: &Wire, faults: &mut Vec<String>) {
        let all = || self.of_call(invite).filter(|wire| wire.number == invite.number);
        let at = first - self.start;
        let final_answer = all().find(|wire| !wire.ours && wire.answers("INVITE") && wire.status >= Some(200));
        if final_answer.is_some_and(|answer| answer.at < first) {
            return;
        }
        if let Some(answer) = final_answer.filter(|answer| is_answer(answer)) {
            // It crossed the CANCEL, or came in the same instant.
            let acked = all().any(|wire| wire.ours && wire.is("ACK") && wire.at >= answer.at);
            let ended = self.of_call(invite).any(|wire| wire.is("BYE"));
            if !acked || !ended {
                faults.push(format!("{:?} answered too late, and is on the line", invite.party));
            }
        }
        let rings = all()
            .find(|wire| !wire.ours && wire.answers("INVITE"))
            .map(|wire| wire.at);
        // RFC 3261 §9.1: no CANCEL before a provisional answer, nor after a final one.
        let due = rings.map(|rings| rings.max(first));
        let due = due.filter(|due| final_answer.is_none_or(|answer| answer.at > *due));
        let cancelled = all().find(|wire| wire.ours && wire.is("CANCEL"));
        if due.is_some_and(|due| cancelled.is_none_or(|cancel| cancel.at > due + AT_ONCE)) {
            faults.push(format!(
                "{:?} is not cancelled, and another answered at {at:?}",
                invite.party
            ));
        }
        let let_go = self.of_call(invite).filter(|wire| self.lets_go(wire));
        for wire in let_go.filter(|wire| wire.reason.as_ref().is_none_or(|reason| !reason.contains(ELSEWHERE))) {
            faults.push(format!(
                "{:?} has missed a call at {at:?}: {:?}",
                invite.party, wire.reason
            ));
        }
    }
}

fn is_answer(wire: &Wire) -> bool {
    !wire.ours && wire.answers("INVITE") && wire.status == Some(200)
}
