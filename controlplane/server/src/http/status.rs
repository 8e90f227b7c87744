//! Health and metrics.

use std::sync::atomic::Ordering;
use std::time::SystemTime;

use axum::extract::State;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::IntoResponse;
use calls::request::QueueView;
use serde_json::json;

use super::problem::Problem;
use super::{Answered, Context, Shared, document};
use crate::journal::lock;
use crate::metrics::Now;

impl Shared {
    async fn check(&self) -> Result<(), Problem> {
        self.vitals.check(&self.node).await.map_err(Problem::unavailable)
    }
}

/// Whether the process does its work.
pub(super) async fn health(State(shared): Context) -> Answered {
    shared.check().await?;
    Ok(document(
        StatusCode::OK,
        &json!({ "schema": "baton.health/1", "status": "ok" }),
    ))
}

/// Whether new calls may be sent here.
pub(super) async fn ready(State(shared): Context) -> Answered {
    shared.check().await?;
    if shared.draining.load(Ordering::Relaxed) {
        return Err(Problem::unavailable("draining: no new calls"));
    }
    if shared.node.holds().await.is_ok_and(|holds| holds.is_full()) {
        return Err(Problem::unavailable(
            "every worker is as busy as the budget allows (budget.core_share): no new calls until calls end",
        ));
    }
    let condition = shared.journal.store.condition();
    if let Some((since, why)) = condition.trouble {
        let seconds = since.as_secs();
        let detail = format!("the store has taken no writes for {seconds} s: {why}");
        return Err(Problem::unavailable(detail).with("waiting", condition.waiting));
    }
    Ok(document(
        StatusCode::OK,
        &json!({ "schema": "baton.health/1", "status": "ready" }),
    ))
}

/// Prometheus text.
pub(super) async fn metrics(State(shared): Context) -> Answered {
    let holds = shared.node.holds().await.unwrap_or_default();
    let settings = shared.settings();
    let is_open = |name: &str| {
        let target = settings.targets.iter().find(|target| target.name == name);
        target.is_some_and(|target| target.hours.is_open(SystemTime::now()))
    };
    let queues = shared.node.queues().await.unwrap_or_default().into_iter();
    let with_hours = |queue: QueueView| {
        let open = is_open(&queue.name);
        (queue, open)
    };
    let queues: Vec<_> = queues.map(with_hours).collect();
    let workers = shared.vitals.workers();
    let records = lock(&shared.journal.records).len();
    // A copy: who counts something must not wait for the text.
    let metrics = lock(&shared.journal.metrics).clone();
    let text = metrics.print(&Now {
        draining: shared.draining.load(Ordering::Relaxed),
        alive: holds.alive,
        connections: holds.connections,
        workers: &workers,
        loads: &holds.loads,
        coders: shared.vitals.coders(),
        refusals: &holds.refusals,
        moves: holds.moves,
        queues: &queues,
        endpoints: &shared.journal.teller.endpoints(),
        records,
        store: &shared.journal.store.condition(),
        turns: &shared.node.turns,
        trace_bytes: lock(&shared.journal.traces).bytes(),
        hep: shared.journal.captured.get().map_or([0; 2], |counters| counters.read()),
        voicemails: shared.journal.voicemails.all(),
        callbacks: shared.journal.callbacks.read(),
        otlp: shared
            .journal
            .otlp
            .get()
            .map_or([0; 2], |otlp| otlp.exporter.counters.read()),
    });
    let mut response = text.into_response();
    let content_type = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
    response.headers_mut().insert(header::CONTENT_TYPE, content_type);
    Ok(response)
}
