//! `/v1/callbacks`: callers who were promised to be called back; and `POST /v1/calls/{call}/callback`, by which an AI promises it.

use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::IntoResponse as _;
use serde_json::{Value, json};

use super::auth::Principal;
use super::bodies;
use super::guard::Parameters;
use super::handoffs::unreadable;
use super::problem::Problem;
use super::{Answered, Context, Named, Shared, document};
use crate::callbacks::{NoSlot, SCHEMA, Wish, view};
use crate::records::callback_view;
use crate::store::callbacks::{CallbackPage, CallbackRow, CallbackState};

impl Shared {
    /// The callback of the path, where it exists for whoever asks.
    async fn callback(&self, principal: &Principal, name: Named) -> Result<CallbackRow, Problem> {
        let missing = || Problem::not_found("there is no such callback");
        let Path(id) = name.map_err(|_| missing())?;
        let found = self.journal.store.read().callback(&id).await;
        let found = found.map_err(|error| unreadable(&error))?;
        found.filter(|row| principal.sees(&row.agent)).ok_or_else(missing)
    }
}

/// By pages, those that were promised first come first.
pub(super) async fn list(State(shared): Context, principal: Principal, parameters: Parameters) -> Answered {
    let limit = parameters.limit()?;
    let state = parameters.get("state").map(str::to_owned);
    if let Some(state) = &state
        && !CallbackState::NAMES.contains(&state.as_str())
    {
        let names = CallbackState::NAMES.join(", ");
        return Err(Problem::bad_request(format!("state must be one of {names}")));
    }
    let page = CallbackPage {
        after: parameters.get("after").map(str::to_owned),
        state,
        agent: principal.agent().map(str::to_owned),
        // One more tells whether there are more.
        limit: limit as u32 + 1,
    };
    let found = shared.journal.store.read().callbacks(&page).await;
    let mut rows = found
        .map_err(|error| unreadable(&error))?
        .ok_or_else(|| Problem::bad_request("after names no callback that is still kept"))?;
    let more = rows.len() > limit;
    rows.truncate(limit);
    let next = rows.last().filter(|_| more).map(|row| row.id.clone());
    let page: Vec<_> = rows.iter().map(view).collect();
    let answer = json!({ "schema": "baton.callbacks/1", "callbacks": page, "next": next });
    Ok(document(StatusCode::OK, &answer))
}

/// One of them, with what the human will get to know.
pub(super) async fn one(State(shared): Context, principal: Principal, name: Named) -> Answered {
    let row = shared.callback(&principal, name).await?;
    let mut view = view(&row);
    view["schema"] = SCHEMA.into();
    view["context"] = serde_json::from_str(&row.context).unwrap_or(Value::Null);
    Ok(document(StatusCode::OK, &view))
}

/// Nobody wants it any more.
pub(super) async fn cancel(State(shared): Context, principal: Principal, name: Named) -> Answered {
    let row = shared.callback(&principal, name).await?;
    let cancelled = shared.callbacks.decline(&row.id).await;
    cancelled.map_err(refused)?;
    tracing::info!(
        callback = row.id,
        by = principal.name(),
        "a callback is cancelled by the API"
    );
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// The caller of a live call is promised to be called back: the first slot that is free. Answered once it is on the disk.
pub(super) async fn promise(
    State(shared): Context,
    principal: Principal,
    headers: HeaderMap,
    name: Named,
    body: Body,
) -> Answered {
    let (call, _) = shared.call(&principal, name).await?;
    let wished = bodies::callback(shared.json(&headers, body).await?).map_err(Problem::invalid)?;
    let wish = Wish {
        call,
        handoff: None,
        machine: None,
        target: wished.target,
        reason: shared.settings().redact.text(&wished.reason).into_owned(),
        not_before: wished.not_before,
    };
    let booked = shared.callbacks.promise(wish).await.map_err(refused)?;
    let mut answer = callback_view(&booked);
    answer["schema"] = "baton.promise/1".into();
    Ok(document(StatusCode::CREATED, &answer))
}

fn refused(why: NoSlot) -> Problem {
    let conflict = |kind| Problem::new(StatusCode::CONFLICT, kind, why.to_string());
    match why {
        NoSlot::NoNumber => conflict("no-number"),
        NoSlot::NoTrunk => conflict("no-way-out"),
        NoSlot::Full => conflict("no-slot"),
        NoSlot::Over => conflict("wrong-state"),
        NoSlot::NoCall => Problem::not_found(why.to_string()),
        NoSlot::NoTarget => Problem::invalid(why.to_string()),
        NoSlot::Store | NoSlot::Stopping => Problem::unavailable(why.to_string()),
    }
}
