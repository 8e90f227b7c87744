//! `/v1/handoffs`, and `POST /v1/calls/{call}/handoffs`.

use std::sync::Arc;
use std::time::Instant;

use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::IntoResponse as _;
use calls::notice::{CallId, HandoffId};
use calls::request::{HandoffRequest, Request as Ask, RequestError, Response as Answer};
use serde_json::{Value, json};
use subtle::ConstantTimeEq as _;
use tokio::time::timeout;

use super::auth::Principal;
use super::bodies;
use super::guard::{Guest, Parameters};
use super::idempotency::{self, Known};
use super::problem::Problem;
use super::{Answered, Context, Named, Shared, answered, document, refusal, unexpected, vcon};
use crate::ids::{self, rfc3339};
use crate::journal::lock;
use crate::records::deliveries;
use crate::store::{Found, Key, Late, Page, Write};

impl Shared {
    /// The handoff of the path, where it exists for whoever asks.
    async fn handoff(&self, principal: &Principal, name: Named) -> Result<HandoffId, Problem> {
        let missing = || Problem::not_found("there is no such handoff");
        let Path(name) = name.map_err(|_| missing())?;
        let id = ids::parse_handoff(&name).ok_or_else(missing)?;
        let live = lock(&self.journal.records)
            .get(id)
            .map(|record| record.facts.ai_agent.clone());
        let agent = match live {
            Some(agent) => agent,
            None => self.stored(id).await?.agent,
        };
        match principal.sees(&agent) {
            true => Ok(id),
            false => Err(missing()),
        }
    }

    /// A handoff that is over, and maybe of an earlier run of this server.
    async fn stored(&self, id: HandoffId) -> Result<Found, Problem> {
        let found = self.journal.store.read().handoff(&ids::handoff(id)).await;
        found
            .map_err(|error| unreadable(&error))?
            .ok_or_else(|| Problem::not_found("there is no such handoff"))
    }

    /// Of what opens the context of a handoff now.
    async fn digest_of_token(&self, id: HandoffId) -> Result<Option<String>, Problem> {
        let (now, after) = (Instant::now(), self.settings().config.context);
        let live = {
            let records = lock(&self.journal.records);
            records
                .get(id)
                .map(|record| record.token(now, after).map(|token| ids::digest([token])))
        };
        if let Some(live) = live {
            return Ok(live);
        }
        let found = self.journal.store.read().handoff(&ids::handoff(id)).await;
        let found = found.map_err(|error| unreadable(&error))?;
        let now_ms = self.journal.clock.ms(now);
        let opens = |closed_ms: i64| now_ms < closed_ms.saturating_add_unsigned(ids::ms(after));
        Ok(found
            .filter(|found| found.closed_ms.is_none_or(opens))
            .map(|found| found.token)
            .filter(|token| !token.is_empty()))
    }

    /// The handoff of the path, by a key or by the token of the context's URL.
    async fn opened(
        &self,
        principal: Option<Principal>,
        name: Named,
        parameters: &Parameters,
    ) -> Result<HandoffId, Problem> {
        let token = parameters.get("token");
        if let (Some(principal), None) = (principal, token) {
            return self.handoff(&principal, name).await;
        }
        // Whether the handoff exists is not told to who has no token for it.
        let wrong = || Problem::unauthorized("this token is wrong, or its handoff has been over for too long");
        let token = token.ok_or_else(wrong)?;
        let Path(name) = name.map_err(|_| wrong())?;
        let id = ids::parse_handoff(&name).ok_or_else(wrong)?;
        let known = self.digest_of_token(id).await?.ok_or_else(wrong)?;
        match bool::from(known.as_bytes().ct_eq(ids::digest([token]).as_bytes())) {
            true => Ok(id),
            false => Err(wrong()),
        }
    }

    /// The body of a handoff: of a running one as it is now, of others as it was stored.
    async fn body(&self, id: HandoffId) -> Result<Value, Problem> {
        let live = {
            let records = lock(&self.journal.records);
            records.get(id).map(|record| records.body(record))
        };
        match live {
            Some(body) => Ok(body),
            None => Ok(self.stored(id).await?.body),
        }
    }

    async fn shown(&self, id: HandoffId) -> Result<Value, Problem> {
        let body = self.body(id).await?;
        Ok(self.with_aftermath(body).await)
    }

    /// With what became of its events and what humans thought of it. What the store does not say is `null`, and it is not waited for
    /// long: it hides no record of a running call.
    async fn with_aftermath(&self, mut body: Value) -> Value {
        let subject = body["id"].as_str().unwrap_or_default();
        let database = self.journal.store.read();
        let asked = async {
            let deliveries = database.deliveries(subject, deliveries::SHOWN).await?;
            let feedback = database.feedback(subject).await?;
            Ok((deliveries, (database.lateness(subject).await?, feedback)))
        };
        let found = timeout(self.settings().commit, asked).await;
        let found = found.unwrap_or(Err(sqlx::Error::PoolTimedOut));
        if let Err(error) = &found {
            tracing::warn!(%error, "the store cannot be read");
        }
        let (deliveries, more) = found.ok().unzip();
        let (late_ms, feedback) = more.unwrap_or_default();
        let feedback = feedback.and_then(|text| serde_json::from_str(&text).ok());
        body["feedback"] = feedback.unwrap_or(Value::Null);
        body["stored_late_ms"] = late_ms.into();
        deliveries::with(body, deliveries.as_deref())
    }

    /// Waits until all that was done until now is on the disk.
    pub(super) async fn committed(&self) -> Result<(), Problem> {
        let store = &self.journal.store;
        store.committed(store.ticket(), self.settings().commit).await.map_err(|Late| {
            Problem::unavailable(
                "the store takes no writes at the moment; what was asked for is done all the same, and is written as soon as \
                 it does: do not ask again",
            )
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
pub(super) async fn create(
    State(shared): Context,
    principal: Principal,
    headers: HeaderMap,
    name: Named,
    body: Body,
) -> Answered {
    let wish = shared.json(&headers, body).await?;
    let named = name.as_ref().ok().and_then(|Path(name)| ids::parse_call(name));
    let key = idempotency::key(&headers, principal.name(), named, &shared.settings().kept(&wish))?;
    // Before the call is looked for: the answer to a repeated request is the same when the call is over.
    let known = match &key {
        Some(key) => shared.idempotency.recall(key, &shared.journal.store).await?,
        None => Known::Nothing,
    };
    if let Known::Handoff(id) = known {
        return shared.accepted(id).await;
    }
    let (call, _) = match shared.call(&principal, name).await {
        // For a call that is live here, this run has its keys.
        Err(_) if matches!(known, Known::Unknown) => {
            let detail = "the store cannot be read at the moment, so nobody knows what this Idempotency-Key stands for";
            return Err(Problem::unavailable(detail));
        }
        found => found?,
    };
    let mut request = bodies::handoff(wish).map_err(Problem::invalid)?;
    request.by_ai = principal.is_ai();
    // In a task of its own: a client that hangs up in the middle must find its handoff when it asks again.
    let asking = tokio::spawn(begin(Arc::clone(&shared), call, request, key));
    let id = asking.await.map_err(|_| unexpected())??;
    shared.accepted(id).await
}

/// The handoff that the key stands for, or a new one.
async fn begin(
    shared: Arc<Shared>,
    call: CallId,
    request: HandoffRequest,
    key: Option<Key>,
) -> Result<HandoffId, Problem> {
    // Held until the node has answered.
    let mut newest = shared.idempotency.0.lock().await;
    if let Some(key) = &key
        && let Some(id) = newest.find(key)?
    {
        return Ok(id);
    }
    let asked = shared.node.request_with(Ask::Handoff(call, request), key.clone()).await;
    let Answer::Handoff(id) = answered(asked)? else {
        return Err(unexpected());
    };
    if let Some(key) = key {
        newest.keep(key, id);
    }
    Ok(id)
}

/// Records, the oldest first, by pages.
pub(super) async fn list(State(shared): Context, principal: Principal, parameters: Parameters) -> Answered {
    let limit = parameters.limit()?;
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
    let store = &shared.journal.store;
    if store.committed(store.ticket(), shared.settings().commit).await.is_err() {
        let detail = "the store takes no writes at the moment, so it does not have all records yet";
        return Err(Problem::unavailable(detail));
    }
    let wanted = Page {
        after: after.map(ids::handoff),
        call: call.map(ids::call),
        agent: principal.agent().map(str::to_owned),
        // One more tells whether there are more.
        limit: limit as u32 + 1,
    };
    let found = store.read().handoffs(&wanted).await;
    let mut found = found
        .map_err(|error| unreadable(&error))?
        .ok_or_else(|| Problem::bad_request("after names no record that is still kept"))?;
    let more = found.len() > limit;
    found.truncate(limit);
    let mut page = Vec::new();
    for found in found {
        page.push(shared.with_aftermath(found.body).await);
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
pub(super) async fn one(State(shared): Context, principal: Principal, name: Named) -> Answered {
    let id = shared.handoff(&principal, name).await?;
    Ok(document(StatusCode::OK, &shared.shown(id).await?))
}

/// The context package: with a key, or with the token of the URL in the INVITE's Call-Info while the handoff runs, and
/// for a while after.
pub(super) async fn context(
    State(shared): Context,
    Guest(principal): Guest,
    name: Named,
    parameters: Parameters,
) -> Answered {
    let id = shared.opened(principal, name, &parameters).await?;
    match shared.body(id).await?.get_mut("context").map(Value::take) {
        Some(context) if !context.is_null() => Ok(document(StatusCode::OK, &context)),
        _ => Err(Problem::not_found(
            "nobody was invited yet: there is no context package",
        )),
    }
}

/// Who was sent the context has it: a join may wait for that.
pub(super) async fn acknowledge(
    State(shared): Context,
    Guest(principal): Guest,
    name: Named,
    parameters: Parameters,
) -> Answered {
    let id = shared.opened(principal, name, &parameters).await?;
    ask(&shared, Ask::Acknowledge(id)).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// The human takes the call.
pub(super) async fn accept(State(shared): Context, principal: Principal, name: Named) -> Answered {
    let id = shared.handoff(&principal, name).await?;
    act(&shared, id, Ask::Accept(id)).await
}

/// The human does not.
pub(super) async fn decline(State(shared): Context, principal: Principal, name: Named) -> Answered {
    let id = shared.handoff(&principal, name).await?;
    act(&shared, id, Ask::Decline(id)).await
}

/// Whoever asked takes it back.
pub(super) async fn cancel(State(shared): Context, principal: Principal, name: Named) -> Answered {
    let id = shared.handoff(&principal, name).await?;
    act(&shared, id, Ask::Cancel(id)).await
}

/// What the human thought of it, in place of what was said before.
pub(super) async fn feedback(
    State(shared): Context,
    principal: Principal,
    headers: HeaderMap,
    name: Named,
    body: Body,
) -> Answered {
    let id = shared.handoff(&principal, name).await?;
    let mut said = bodies::feedback(shared.json(&headers, body).await?).map_err(Problem::invalid)?;
    if let Some(note) = said.get_mut("note") {
        shared.settings().redact.words(note);
    }
    said["at"] = rfc3339(jiff::Timestamp::now()).into();
    said["by"] = principal.name().into();
    shared.journal.store.write(Write::Feedback {
        handoff: ids::handoff(id),
        body: said.to_string(),
    });
    shared.committed().await?;
    Ok(document(StatusCode::OK, &shared.shown(id).await?))
}

/// The record as a vCon.
pub(super) async fn vcon(State(shared): Context, principal: Principal, name: Named) -> Answered {
    let id = shared.handoff(&principal, name).await?;
    let record = shared.shown(id).await?;
    let mut response = document(StatusCode::OK, &vcon::of(&record));
    let content_type = HeaderValue::from_static(vcon::MEDIA_TYPE);
    response.headers_mut().insert(header::CONTENT_TYPE, content_type);
    Ok(response)
}

async fn act(shared: &Shared, id: HandoffId, request: Ask) -> Answered {
    ask(shared, request).await?;
    Ok(document(StatusCode::OK, &shared.shown(id).await?))
}

/// Asks something about a handoff that was found.
async fn ask(shared: &Shared, request: Ask) -> Result<(), Problem> {
    match shared.node.request(request).await {
        Ok(Ok(_)) => Ok(()),
        // It was found in the records, so it is over.
        Ok(Err(RequestError::NoHandoff)) => Err(refusal(RequestError::WrongState("the handoff is over".to_owned()))),
        Ok(Err(error)) => Err(refusal(error)),
        Err(_) => Err(Problem::unavailable("the server is stopping")),
    }
}
