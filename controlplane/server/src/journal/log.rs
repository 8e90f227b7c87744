//! What the log says of calls and handoffs.

use calls::notice::{Notice, Step, What};

use crate::ids;

/// INFO once for each event of a call; contexts and tokens are not logged.
pub(super) fn log(notice: &Notice) {
    let call = ids::call(notice.call);
    match &notice.what {
        What::CallStarted { trunk, ai_agent, .. } => tracing::info!(call, trunk, ai_agent, "call started"),
        What::NotReached { status } => {
            tracing::info!(call, status, "a caller who was to be called back was not reached")
        }
        What::CallEnded { by } => tracing::info!(call, by, "call ended"),
        What::Turns { turns, .. } => tracing::debug!(call, count = turns.len(), "turns"),
        What::Context(_) => tracing::info!(call, "context updated"),
        What::ContextUpdated(_) | What::Legs(_) => {}
        What::Spoken { handoff, .. } => tracing::info!(call, handoff = ids::handoff(*handoff), "a transcode is spared"),
        What::Hears { by, rows } => tracing::info!(call, by, hears = %ids::hears(rows), "who hears whom"),
        What::Supervisor { name, by, how } => tracing::info!(call, by, supervisor = name, ?how, "supervisor"),
        What::Handoff(id, step) => {
            let handoff = ids::handoff(*id);
            match step {
                Step::Requested {
                    mode, target, decision, ..
                } => {
                    tracing::info!(call, handoff, ?mode, target, decision, "handoff requested")
                }
                Step::Asked { .. } => tracing::debug!(call, handoff, "asked where the caller goes"),
                Step::Routed { targets, unchanged } => {
                    tracing::info!(call, handoff, ?targets, ?unchanged, "it is known where the caller goes");
                }
                Step::Queued { target, place } => tracing::info!(call, handoff, target, place, "caller waits in line"),
                Step::Invited { target, agent, .. } => tracing::info!(call, handoff, target, agent, "human invited"),
                Step::Disclosed => tracing::info!(call, handoff, "disclosed"),
                Step::Gate { gate, opened } => {
                    tracing::info!(call, handoff, ?gate, ?opened, "the join does not wait for it")
                }
                Step::Announced => tracing::info!(call, handoff, "announced"),
                Step::Ringing => tracing::info!(call, handoff, "human rings"),
                Step::Answered { agent } => tracing::info!(call, handoff, agent, "human answered"),
                Step::Accepted => tracing::info!(call, handoff, "human accepted"),
                Step::Joined { .. } => tracing::info!(call, handoff, "joined"),
                Step::Machine { machine, .. } => {
                    tracing::info!(
                        call,
                        handoff,
                        machine = machine.name(),
                        "a machine of our own has the caller"
                    );
                }
                Step::FirstHumanWord => tracing::info!(call, handoff, "first human word"),
                Step::TargetFailed { target, reason, status } => {
                    tracing::info!(call, handoff, target, ?reason, status, "target failed");
                }
                Step::Returned => tracing::info!(call, handoff, "caller is given back"),
                Step::Evidence(_) => tracing::info!(call, handoff, "evidence is in"),
                Step::Closed { end, result, reason } => {
                    tracing::info!(call, handoff, ?end, ?result, ?reason, "handoff closed");
                }
            }
        }
    }
}
