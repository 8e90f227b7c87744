//! `PUT /v1/calls/{call}/hears` and `/v1/calls/{call}/supervisors`.

use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::IntoResponse as _;
use calls::request::{Request as Ask, Response as Answer};
use serde_json::json;

use super::auth::Principal;
use super::bodies;
use super::problem::Problem;
use super::{Answered, Context, Named, document, unexpected};
use crate::ids;

/// Other rows of the table of who hears whom. Answered once they are in force.
pub(super) async fn put(
    State(shared): Context,
    principal: Principal,
    headers: HeaderMap,
    name: Named,
    body: Body,
) -> Answered {
    let (id, call) = shared.call(&principal, name).await?;
    let wish = bodies::hears(shared.json(&headers, body).await?).map_err(Problem::invalid)?;
    let Answer::Hears(rows) = shared.ask(Ask::Hears(id, wish, by(&principal))).await? else {
        return Err(unexpected());
    };
    // Who may listen in, and since when, is to be found later: the event must outlive us.
    shared.committed().await?;
    let answer = json!({ "schema": "baton.hears/1", "call": call.id, "hears": ids::hears(&rows) });
    Ok(document(StatusCode::OK, &answer))
}

/// Invites a supervisor.
pub(super) async fn supervise(
    State(shared): Context,
    principal: Principal,
    headers: HeaderMap,
    name: Named,
    body: Body,
) -> Answered {
    let (id, call) = shared.call(&principal, name).await?;
    let whom = bodies::supervisor(shared.json(&headers, body).await?).map_err(Problem::invalid)?;
    shared.ask(Ask::Supervise(id, whom, by(&principal))).await?;
    shared.committed().await?;
    let answer = json!({ "schema": "baton.supervisor/1", "call": call.id, "state": "invited" });
    Ok(document(StatusCode::ACCEPTED, &answer))
}

/// Lets the supervisor go.
pub(super) async fn dismiss(State(shared): Context, principal: Principal, name: Named) -> Answered {
    let (id, _) = shared.call(&principal, name).await?;
    shared.ask(Ask::Dismiss(id, by(&principal))).await?;
    shared.committed().await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

fn by(principal: &Principal) -> String {
    principal.name().to_owned()
}
