//! `/v1/handoffs`, and `POST /v1/calls/{call}/handoffs`.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use calls::notice::{CallId, HandoffId};
use calls::request::{HandoffRequest, Request as Ask, RequestError, Response as Answer};
use serde_json::{Value, json};
use subtle::ConstantTimeEq as _;

use super::auth::Principal;
use super::bodies;
use super::problem::Problem;
use super::{Answered, Asked, Context, Idempotency, Named, Shared, document, limit, parameters, refusal, unexpected};
use crate::ids;
use crate::journal::lock;
use crate::records::deliveries;
use crate::store::{Late, Page};

/// The longest `Idempotency-Key`.
const KEY_MAX: usize = 255;

impl Shared {
    /// The handoff of the path, where it exists for whoever asks.
    async fn handoff(&self, principal: &Principal<'_>, name: Named) -> Result<HandoffId, Problem> {
        let missing = || Problem::not_found("there is no such handoff");
        let Path(name) = name.map_err(|_| missing())?;
        let id = ids::parse_handoff(&name).ok_or_else(missing)?;
        let live = lock(&self.journal.records)
            .get(id)
            .map(|record| record.facts.ai_agent.clone());
        let agent = match live {
            Some(agent) => agent,
            None => self.stored(id).await?.0,
        };
        match principal.sees(&agent) {
            true => Ok(id),
            false => Err(missing()),
        }
    }

    /// The agent and the body of a handoff that is over, and maybe of an earlier run of this server.
    async fn stored(&self, id: HandoffId) -> Result<(String, Value), Problem> {
        let found = self.journal.store.read().handoff(&ids::handoff(id)).await;
        let (agent, body) = found
            .map_err(|error| unreadable(&error))?
            .ok_or_else(|| Problem::not_found("there is no such handoff"))?;
        Ok((agent, serde_json::from_str(&body).map_err(|_| unexpected())?))
    }

    /// The body of a handoff: of a running one as it is now, of others as it was stored.
    async fn body(&self, id: HandoffId) -> Result<Value, Problem> {
        let live = {
            let records = lock(&self.journal.records);
            records.get(id).map(|record| records.body(record))
        };
        match live {
            Some(body) => Ok(body),
            None => Ok(self.stored(id).await?.1),
        }
    }

    async fn shown(&self, id: HandoffId) -> Result<Value, Problem> {
        let body = self.body(id).await?;
        Ok(self.with_deliveries(body).await)
    }

    /// What the store does not say is `null`: it hides no record of a running call.
    async fn with_deliveries(&self, body: Value) -> Value {
        let subject = body["id"].as_str().unwrap_or_default();
        let found = self.journal.store.read().deliveries(subject, deliveries::SHOWN).await;
        if let Err(error) = &found {
            tracing::error!(%error, "the store cannot be read");
        }
        deliveries::with(body, found.ok().as_deref())
    }

    /// Waits until all that was done until now is on the disk.
    pub(super) async fn committed(&self) -> Result<(), Problem> {
        let store = &self.journal.store;
        store.committed(store.ticket(), self.commit).await.map_err(|Late| {
            Problem::unavailable("the store takes no writes at the moment; what was done is kept until it does")
        })
    }

    /// 202, and where to look.
    async fn accepted(&self, id: HandoffId) -> Answered {
        // It runs, whatever the store does. But what is promised here must outlive us.
        self.committed()
            .await
            .map_err(|problem| problem.with("handoff", ids::handoff(id)))?;
        let mut response = document(StatusCode::ACCEPTED, &self.shown(id).await?);
        if let Ok(location) = HeaderValue::from_str(&format!("/v1/handoffs/{}", ids::handoff(id))) {
            response.headers_mut().insert(header::LOCATION, location);
        }
        Ok(response)
    }
}

pub(super) fn unreadable(error: &sqlx::Error) -> Problem {
    tracing::error!(%error, "the store cannot be read");
    Problem::unavailable("the store cannot be read at the moment")
}

/// Asks for a handoff.
pub(super) async fn create(State(shared): Context, headers: HeaderMap, name: Named, body: Body) -> Answered {
    let principal = shared.principal(&headers)?;
    let key = match headers.get("idempotency-key") {
        Some(key) if key.is_empty() || key.len() > KEY_MAX => {
            return Err(Problem::bad_request(format!(
                "Idempotency-Key must have 1 to {KEY_MAX} characters"
            )));
        }
        key => key.map(HeaderValue::as_bytes),
    };
    let wish = shared.json(&headers, body).await?;
    let body_hash = Idempotency::hash(wish.to_string());
    let named = name.as_ref().ok().and_then(|Path(name)| ids::parse_call(name));
    // The principal is a part of it: nobody finds what another one asked for.
    let key = key.map(|key| Idempotency::hash((principal.name, named, key)));
    // Before the call is looked for: the answer to a repeated request is the same when the call is over.
    if let Some(key) = key
        && let Some(id) = shared.idempotency.lock().await.find(key, body_hash)?
    {
        return shared.accepted(id).await;
    }
    let (call, _) = shared.call(&principal, name).await?;
    let mut request = bodies::handoff(wish).map_err(Problem::invalid)?;
    request.by_ai = principal.is_ai();
    // In a task of its own: a client that hangs up in the middle must find its handoff when it asks again.
    let asking = tokio::spawn(begin(Arc::clone(&shared), call, request, key, body_hash));
    let id = asking.await.map_err(|_| unexpected())??;
    shared.accepted(id).await
}

/// The handoff that the key stands for, or a new one.
async fn begin(
    shared: Arc<Shared>,
    call: CallId,
    request: HandoffRequest,
    key: Option<u64>,
    body: u64,
) -> Result<HandoffId, Problem> {
    // Held until the node has answered: two requests with one key at one time make one handoff.
    let mut idempotency = shared.idempotency.lock().await;
    if let Some(key) = key
        && let Some(id) = idempotency.find(key, body)?
    {
        return Ok(id);
    }
    let Answer::Handoff(id) = shared.ask(Ask::Handoff(call, request)).await? else {
        return Err(unexpected());
    };
    if let Some(key) = key {
        idempotency.keep(key, body, id);
    }
    Ok(id)
}

/// Records, the oldest first, by pages.
pub(super) async fn list(State(shared): Context, headers: HeaderMap, asked: Asked) -> Answered {
    let principal = shared.principal(&headers)?;
    let parameters = parameters(asked, &["after", "limit", "call"])?;
    let limit = limit(&parameters)?;
    let after = match parameters.get("after") {
        None => None,
        Some(after) => {
            Some(ids::parse_handoff(after).ok_or_else(|| Problem::bad_request("after is not a handoff's id"))?)
        }
    };
    let call = match parameters.get("call") {
        None => None,
        Some(call) => Some(ids::parse_call(call).ok_or_else(|| Problem::bad_request("call is not a call's id"))?),
    };
    // Who has asked for a handoff finds it here.
    shared.committed().await?;
    let wanted = Page {
        after: after.map(ids::handoff),
        call: call.map(ids::call),
        agent: principal.agent().map(str::to_owned),
        // One more tells whether there are more.
        limit: limit as u32 + 1,
    };
    let found = shared.journal.store.read().handoffs(&wanted).await;
    let mut bodies = found
        .map_err(|error| unreadable(&error))?
        .ok_or_else(|| Problem::bad_request("after names no record that is still kept"))?;
    let more = bodies.len() > limit;
    bodies.truncate(limit);
    let mut page = Vec::new();
    for body in bodies {
        let body = serde_json::from_str(&body).map_err(|_| unexpected())?;
        page.push(shared.with_deliveries(body).await);
    }
    let next = match more {
        true => page.last().map(|record| record["id"].clone()),
        false => None,
    };
    Ok(document(
        StatusCode::OK,
        &json!({ "schema": "baton.handoffs/1", "handoffs": page, "next": next }),
    ))
}

/// One record.
pub(super) async fn one(State(shared): Context, headers: HeaderMap, name: Named) -> Answered {
    let principal = shared.principal(&headers)?;
    let id = shared.handoff(&principal, name).await?;
    Ok(document(StatusCode::OK, &shared.shown(id).await?))
}

/// The context package: with a key, or with the token of the URL in the INVITE's Call-Info while the handoff runs.
pub(super) async fn context(State(shared): Context, headers: HeaderMap, name: Named, asked: Asked) -> Answered {
    let parameters = parameters(asked, &["token"])?;
    let id = match parameters.get("token") {
        None => {
            let principal = shared.principal(&headers)?;
            shared.handoff(&principal, name).await?
        }
        Some(token) => {
            // Whether the handoff exists is not told to who has no token for it.
            let wrong = || Problem::unauthorized("this token is wrong, or its handoff is over");
            let Path(name) = name.map_err(|_| wrong())?;
            let id = ids::parse_handoff(&name).ok_or_else(wrong)?;
            let records = lock(&shared.journal.records);
            let known = records.get(id).and_then(|record| record.token()).ok_or_else(wrong)?;
            if !bool::from(known.as_bytes().ct_eq(token.as_bytes())) {
                return Err(wrong());
            }
            id
        }
    };
    match shared.body(id).await?.get_mut("context").map(Value::take) {
        Some(context) if !context.is_null() => Ok(document(StatusCode::OK, &context)),
        _ => Err(Problem::not_found(
            "nobody was invited yet: there is no context package",
        )),
    }
}

/// The human takes the call.
pub(super) async fn accept(State(shared): Context, headers: HeaderMap, name: Named) -> Answered {
    let principal = shared.principal(&headers)?;
    let id = shared.handoff(&principal, name).await?;
    principal.must_be_desk()?;
    act(&shared, id, Ask::Accept(id)).await
}

/// The human does not.
pub(super) async fn decline(State(shared): Context, headers: HeaderMap, name: Named) -> Answered {
    let principal = shared.principal(&headers)?;
    let id = shared.handoff(&principal, name).await?;
    principal.must_be_desk()?;
    act(&shared, id, Ask::Decline(id)).await
}

/// Whoever asked takes it back.
pub(super) async fn cancel(State(shared): Context, headers: HeaderMap, name: Named) -> Answered {
    let principal = shared.principal(&headers)?;
    let id = shared.handoff(&principal, name).await?;
    act(&shared, id, Ask::Cancel(id)).await
}

async fn act(shared: &Shared, id: HandoffId, request: Ask) -> Answered {
    match shared.node.request(request).await {
        Ok(Ok(_)) => Ok(document(StatusCode::OK, &shared.shown(id).await?)),
        // It was found in the records, so it is over.
        Ok(Err(RequestError::NoHandoff)) => Err(refusal(RequestError::WrongState("the handoff is over".to_owned()))),
        Ok(Err(error)) => Err(refusal(error)),
        Err(_) => Err(Problem::unavailable("the server is stopping")),
    }
}
