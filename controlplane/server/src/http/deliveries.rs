//! `/v1/deliveries`: what webhooks were told and are to be told; those that were given up are dead letters, to be replayed.

use axum::extract::{Path, State};
use axum::http::StatusCode;
use serde_json::{Value, json};

use super::guard::Parameters;
use super::handoffs::unreadable;
use super::problem::Problem;
use super::{Answered, Context, Named, Shared, document};
use crate::records::deliveries::view;
use crate::store::{DeliveryId, DeliveryRow, DeliveryStatus, Write};

impl Shared {
    async fn delivery(&self, name: Named) -> Result<(DeliveryId, DeliveryRow), Problem> {
        let missing = || Problem::not_found("there is no such delivery");
        let Path(name) = name.map_err(|_| missing())?;
        let id: DeliveryId = name.parse().map_err(|()| missing())?;
        let found = self.journal.store.read().delivery(&id).await;
        let row = found.map_err(|error| unreadable(&error))?.ok_or_else(missing)?;
        Ok((id, row))
    }
}

/// By pages, the oldest first; `?status=failed`: the dead letters.
pub(super) async fn list(State(shared): Context, parameters: Parameters) -> Answered {
    let limit = parameters.limit()?;
    let status = match parameters.get("status") {
        None => None,
        Some(name) => Some(
            DeliveryStatus::named(name)
                .ok_or_else(|| Problem::bad_request("status must be one of pending, delivered and failed"))?,
        ),
    };
    let after = match parameters.get("after") {
        None => None,
        Some(after) => {
            let wrong = |()| Problem::bad_request("after is not a delivery's id");
            Some(after.parse::<DeliveryId>().map_err(wrong)?)
        }
    };
    shared.committed().await?;
    // One more tells whether there are more.
    let found = shared
        .journal
        .store
        .read()
        .all_deliveries(after.as_ref(), status, limit as u32 + 1)
        .await;
    let mut rows = found
        .map_err(|error| unreadable(&error))?
        .ok_or_else(|| Problem::bad_request("after names no delivery that is still kept"))?;
    let more = rows.len() > limit;
    rows.truncate(limit);
    let page: Vec<Value> = rows.iter().map(view).collect();
    let next = match more {
        true => page.last().map(|row| row["id"].clone()),
        false => None,
    };
    let page = json!({ "schema": "baton.deliveries/1", "deliveries": page, "next": next });
    Ok(document(StatusCode::OK, &page))
}

/// As a document of its own.
fn alone(row: &DeliveryRow) -> Value {
    let mut document = view(row);
    document["schema"] = "baton.delivery/1".into();
    document
}

/// One of them.
pub(super) async fn one(State(shared): Context, name: Named) -> Answered {
    let (_, row) = shared.delivery(name).await?;
    Ok(document(StatusCode::OK, &alone(&row)))
}

/// Tells a dead letter again, as if it had just happened; with the same id, so that who has it after all knows it.
pub(super) async fn replay(State(shared): Context, name: Named) -> Answered {
    let (id, row) = shared.delivery(name).await?;
    if row.status == DeliveryStatus::Pending.name() {
        return Err(Problem::new(
            StatusCode::CONFLICT,
            "conflict",
            "it waits already, or is being tried",
        ));
    }
    let endpoint = shared.journal.teller.endpoint(&id.endpoint);
    let endpoint = endpoint.ok_or_else(|| {
        Problem::new(
            StatusCode::CONFLICT,
            "conflict",
            "no entry of [[webhooks]] has this name any more",
        )
    })?;
    endpoint.replayed();
    let at_ms = jiff::Timestamp::now().as_millisecond();
    shared.journal.store.write(Write::Replay { id: id.clone(), at_ms });
    shared.committed().await?;
    let found = shared.journal.store.read().delivery(&id).await;
    let row = found.map_err(|error| unreadable(&error))?.unwrap_or(row);
    Ok(document(StatusCode::ACCEPTED, &alone(&row)))
}
