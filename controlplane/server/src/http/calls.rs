//! `/v1/calls`.

use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::IntoResponse;
use calls::notice::CallId;
use calls::request::{CallView, Request as Ask, Response as Answer};
use playbook::context::TurnDecision;
use serde_json::{Map, Value, json};

use super::auth::Principal;
use super::bodies;
use super::guard::Parameters;
use super::problem::Problem;
use super::{Answered, Context, Named, Shared, document, unexpected};
use crate::ids;
use crate::journal::lock;

impl Shared {
    /// The call of the path, where it exists for whoever asks.
    pub(super) async fn call(&self, principal: &Principal, name: Named) -> Result<(CallId, CallView), Problem> {
        let missing = || Problem::not_found("there is no such live call");
        let Path(name) = name.map_err(|_| missing())?;
        let id = ids::parse_call(&name).ok_or_else(missing)?;
        match self.ask(Ask::Call(id)).await? {
            Answer::Call(view) if principal.sees(&view.ai_agent) => Ok((id, *view)),
            Answer::Call(_) => Err(missing()),
            _ => Err(unexpected()),
        }
    }
}

fn view(call: &CallView) -> Value {
    let mut view = serde_json::to_value(call).unwrap_or(Value::Null);
    if let Value::Object(map) = &mut view {
        map.insert("schema".to_owned(), json!("baton.call/1"));
        map.insert("sip_trace".to_owned(), json!(format!("/v1/calls/{}/trace", call.id)));
    }
    view
}

/// Live calls, by `?sip_call_id=` or by pages.
pub(super) async fn list(State(shared): Context, principal: Principal, parameters: Parameters) -> Answered {
    let limit = parameters.limit()?;
    let mut calls = match parameters.get("sip_call_id") {
        Some(sip_call_id) => match shared.node.request(Ask::FindCall(sip_call_id.to_owned())).await {
            Ok(Ok(Answer::Call(call))) => vec![*call],
            Ok(Ok(Answer::Calls(calls))) => calls,
            Ok(_) => Vec::new(),
            Err(_) => return Err(Problem::unavailable("the server is stopping")),
        },
        None => match shared.ask(Ask::Calls).await? {
            Answer::Calls(calls) => calls,
            _ => return Err(unexpected()),
        },
    };
    calls.retain(|call| principal.sees(&call.ai_agent));
    calls.sort_by(|a, b| a.id.cmp(&b.id));
    if let Some(after) = parameters.get("after") {
        calls.retain(|call| *call.id > *after);
    }
    let next = match calls.get(limit) {
        Some(_) => calls.get(limit - 1).map(|call| call.id.clone()),
        None => None,
    };
    let page: Vec<_> = calls.iter().take(limit).map(view).collect();
    Ok(document(
        StatusCode::OK,
        &json!({ "schema": "baton.calls/1", "calls": page, "next": next }),
    ))
}

/// One live call, with what its listeners got in its last handoff.
pub(super) async fn one(State(shared): Context, principal: Principal, name: Named) -> Answered {
    let (id, call) = shared.call(&principal, name).await?;
    let mut view = view(&call);
    view["quality"] = lock(&shared.journal.records).quality(id);
    Ok(document(StatusCode::OK, &view))
}

/// Hangs up.
pub(super) async fn hang_up(State(shared): Context, principal: Principal, name: Named) -> Answered {
    let (id, _) = shared.call(&principal, name).await?;
    shared.ask(Ask::HangUp(id)).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// Appends one turn or a list of them; the playbook decides.
pub(super) async fn turns(
    State(shared): Context,
    principal: Principal,
    headers: HeaderMap,
    name: Named,
    body: Body,
) -> Answered {
    let (id, _) = shared.call(&principal, name).await?;
    let turns = bodies::turns(shared.json(&headers, body).await?).map_err(Problem::invalid)?;
    let Answer::Turns(decision, handoff) = shared.ask(Ask::Turns(id, turns)).await? else {
        return Err(unexpected());
    };
    let decided = decided(decision, handoff.map(ids::handoff));
    // What was decided holds, whatever the store does. But what is said to be kept must outlive us.
    match shared.committed().await {
        Ok(()) => {
            let mut answer = Map::from_iter([("schema".to_owned(), json!("baton.decision/1"))]);
            answer.extend(decided);
            Ok(document(StatusCode::OK, &Value::Object(answer)))
        }
        Err(problem) => Err(decided
            .into_iter()
            .fold(problem, |problem, (name, value)| problem.with(&name, value))),
    }
}

fn decided(decision: TurnDecision, handoff: Option<String>) -> Map<String, Value> {
    let mut answer = Map::new();
    match decision {
        TurnDecision::Continue => {
            answer.insert("decision".to_owned(), json!("continue"));
        }
        TurnDecision::Handoff { rule, because } => {
            answer.insert("decision".to_owned(), json!("handoff"));
            answer.insert("rule".to_owned(), json!(rule));
            answer.insert("because".to_owned(), json!(because));
        }
    }
    if let Some(handoff) = handoff {
        answer.insert("handoff".to_owned(), json!(handoff));
    }
    answer
}

/// JSON merge patch (RFC 7396) of the context.
pub(super) async fn context(
    State(shared): Context,
    principal: Principal,
    headers: HeaderMap,
    name: Named,
    body: Body,
) -> Answered {
    let (id, call) = shared.call(&principal, name).await?;
    let mut patch = shared.json(&headers, body).await?;
    bodies::date_disclosure(&mut patch);
    if !patch.is_object() {
        return Err(Problem::invalid("the patch must be an object"));
    }
    let Answer::Context(context) = shared.ask(Ask::Context(id, patch)).await? else {
        return Err(unexpected());
    };
    shared.committed().await?;
    let answer = json!({ "schema": "baton.context/1", "call": call.id, "context": context });
    Ok(document(StatusCode::OK, &answer))
}
