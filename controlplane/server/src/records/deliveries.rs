//! What became of the events about a handoff, as its record shows it.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::REQUESTED;
use crate::ids::rfc3339;
use crate::store::DeliveryRow;

/// Those that a record shows. A chatty context makes more: each change of it is an event.
pub(crate) const SHOWN: u32 = 1000;

/// The record's body with what is known of its deliveries; `None` where the store does not say.
pub(crate) fn with(mut body: Value, deliveries: Option<&[DeliveryRow]>) -> Value {
    let Value::Object(map) = &mut body else { return body };
    if let Some(Value::Object(context)) = map.get_mut("context_delivery") {
        let (status, delivered_ms) = match deliveries {
            None => ("unknown", None),
            Some(deliveries) => context_delivery(deliveries),
        };
        context.insert("status".into(), status.into());
        context.insert("delivered_at".into(), delivered_ms.and_then(time).into());
    }
    let deliveries: Option<Vec<_>> = deliveries.map(|deliveries| deliveries.iter().map(view).collect());
    map.insert("deliveries".into(), deliveries.into());
    body
}

/// Whether the context went out, and when it first arrived.
fn context_delivery(deliveries: &[DeliveryRow]) -> (&'static str, Option<i64>) {
    let sent = || deliveries.iter().filter(|delivery| delivery.kind == REQUESTED);
    let any = |status: &str| sent().any(|delivery| delivery.status == status);
    let status = match () {
        () if sent().next().is_none() => "no_webhook",
        () if any("delivered") => "delivered",
        () if any("pending") => "pending",
        () => "undelivered",
    };
    let arrived = sent().filter(|delivery| delivery.status == "delivered");
    (status, arrived.filter_map(|delivery| delivery.finished_ms).min())
}

/// One of them, also as `GET /v1/deliveries` lists it.
pub(crate) fn view(delivery: &DeliveryRow) -> Value {
    json!({
        "id": delivery.id().to_string(),
        "webhook": delivery.endpoint,
        "event": delivery.event,
        "type": delivery.kind,
        "status": delivery.status,
        "attempts": delivery.attempts,
        "answer": delivery.answer,
        "queued_at": time(delivery.queued_ms),
        "finished_at": delivery.finished_ms.and_then(time),
    })
}

fn time(ms: i64) -> Option<String> {
    Timestamp::from_millisecond(ms).ok().map(rfc3339)
}
