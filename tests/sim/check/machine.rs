//! Targets that are machines of our own: the record names them, once, and takes none of them for a human.

use std::collections::BTreeMap;

use calls::config::Machine;
use calls::notice::{HandoffId, Outcome, Step, What};
use playbook::decisions::CALLBACK;

use crate::world::{Who, World};

/// What was told of one handoff.
#[derive(Default)]
struct Told {
    /// Who was called last.
    target: Option<Who>,
    machine: Option<Machine>,
    joined: bool,
    results: Vec<Outcome>,
}

impl World {
    pub(super) fn machines(&self, faults: &mut Vec<String>) {
        self.outcomes(faults);
        self.ends(faults);
        self.calls_back(faults);
    }

    /// A machine is nobody who calls back. What follows in that call is a handoff like any other.
    fn calls_back(&self, faults: &mut Vec<String>) {
        let mut is_back = false;
        for notice in &self.notices {
            match &notice.what {
                What::Handoff(_, Step::Requested { trigger, .. }) => {
                    is_back = trigger.as_ref().is_some_and(|by| by.rule == CALLBACK);
                }
                What::Handoff(_, Step::Invited { target, .. })
                    if is_back && human(target).and_then(|who| self.scenario.machine(who)).is_some() =>
                {
                    let at = notice.at - self.start;
                    faults.push(format!("{target}, a machine, was to call back at {at:?}"));
                }
                _ => {}
            }
        }
    }

    /// What became of each handoff is told once, and by its name.
    fn outcomes(&self, faults: &mut Vec<String>) {
        let mut handoffs: BTreeMap<HandoffId, Told> = BTreeMap::new();
        for notice in &self.notices {
            let What::Handoff(id, step) = &notice.what else {
                continue;
            };
            let told = handoffs.entry(*id).or_default();
            match step {
                Step::Invited { target, .. } => {
                    told.target = human(target);
                }
                Step::Joined { .. } => told.joined = true,
                Step::Machine { machine, .. } => told.machine = Some(*machine),
                Step::Closed { result, .. } => told.results.push(*result),
                _ => {}
            }
        }
        for (id, told) in handoffs {
            let is = told.target.and_then(|who| self.scenario.machine(who));
            if told.machine.is_some() && told.machine != is || told.joined && is.is_some() {
                faults.push(format!(
                    "{:?} is {is:?}, and was told to be {:?}",
                    told.target, told.machine
                ));
            }
            let whose = |result: &Outcome| match result {
                Outcome::Voicemail => Some(Machine::Voicemail),
                Outcome::CallbackScheduled => Some(Machine::Callback),
                _ => None,
            };
            match &told.results[..] {
                [result] if whose(result) == told.machine => {
                    if told.joined != (*result == Outcome::Joined) {
                        faults.push(format!(
                            "a handoff that ended as {result:?} was joined: {}",
                            told.joined
                        ));
                    }
                }
                results => faults.push(format!(
                    "{id}, which had {:?}, was told to have ended as {results:?}",
                    told.machine
                )),
            }
        }
    }

    /// The call ends by the machine's name where it hung up, and by no machine's where none had the caller.
    fn ends(&self, faults: &mut Vec<String>) {
        let by = self.notices.iter().find_map(|notice| match &notice.what {
            What::CallEnded { by } => Some(by.as_str()),
            _ => None,
        });
        let had = self.notices.iter().rev().find_map(|notice| match &notice.what {
            What::Handoff(_, Step::Machine { machine, .. }) => Some(Some(machine.name())),
            What::Handoff(_, Step::Joined { .. }) => Some(None),
            _ => None,
        });
        let (Some(by), had) = (by, had.flatten()) else {
            return;
        };
        let is_a_machines = [Machine::Voicemail, Machine::Callback].map(Machine::name).contains(&by);
        if is_a_machines && had != Some(by) || by == "human" && had.is_some() {
            faults.push(format!("the call ended by {by}, and was with {had:?}"));
        }
    }
}

/// Which target has this name.
fn human(target: &str) -> Option<Who> {
    target.strip_prefix("human-")?.parse().ok().map(Who::Human)
}
