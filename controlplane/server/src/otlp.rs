//! Traces in the form of OpenTelemetry: one for each handoff, with its legs and stages as spans. Off unless `[otlp]` names an endpoint.
//!
//! A listener to notices: it notes the times of a handoff's steps, and makes the spans when the handoff is closed. They go to the
//! collector from a task of its own (`otlp/export.rs`), by OTLP over HTTP with JSON.

pub(crate) mod export;
mod spans;

use std::collections::HashMap;
use std::sync::Mutex;

use calls::notice::{CallId, HandoffId, Notice, Step, What};

use crate::ids::Clock;
use crate::journal::lock;
use crate::records::Record;
use export::Exporter;
use spans::Steps;

/// Whoever wants spans of handoffs.
#[derive(Debug)]
pub(crate) struct Otlp {
    clock: Clock,
    /// Of each handoff so many in 2^64.
    share: u64,
    pub(crate) exporter: Exporter,
    /// Of handoffs that are not closed: bounded by the node's calls.
    open: Mutex<HashMap<HandoffId, Steps>>,
}

impl Otlp {
    /// `ratio`: which part of the handoffs is told of, 0 to 1.
    pub(crate) fn new(clock: Clock, ratio: f64, exporter: Exporter) -> Otlp {
        Otlp {
            clock,
            // Saturates at the ends.
            share: (ratio * 2_f64.powi(64)) as u64,
            exporter,
            open: Mutex::default(),
        }
    }

    /// Takes a notice; `record` is that of its handoff, after it. Never waits.
    pub(crate) fn handle(&self, notice: &Notice, record: Option<&Record>) {
        let What::Handoff(id, step) = &notice.what else { return };
        let mut open = lock(&self.open);
        if matches!(step, Step::Requested { .. }) && self.samples(*id) {
            open.insert(*id, Steps::default());
        }
        let Some(steps) = open.get_mut(id) else { return };
        steps.handle(notice.at, step);
        if matches!(step, Step::Closed { .. })
            && let Some(steps) = open.remove(id)
            && let Some(record) = record
        {
            drop(open);
            self.exporter.take(steps.spans(notice.call, *id, &self.clock, record));
        }
    }

    /// Ids are random: which handoffs are told of is the same on every host that sees them.
    fn samples(&self, id: HandoffId) -> bool {
        self.share == u64::MAX || id.0 < self.share
    }
}

/// The trace of a handoff (W3C Trace Context §3.2.2.3: 16 bytes, not all 0): the numbers of its call and its own.
pub(crate) fn trace_id(call: CallId, handoff: HandoffId) -> String {
    format!("{:016x}{:016x}", call.0, handoff.0)
}
