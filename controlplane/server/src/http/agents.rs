//! `/v1/agents` and `/v1/queues`: the human agents whom queues may call.

use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::IntoResponse as _;
use calls::request::{AgentView, Request as Ask, Response as Answer};
use serde_json::{Value, json};

use super::auth::Principal;
use super::bodies;
use super::guard::Parameters;
use super::problem::Problem;
use super::{Answered, Context, Named, document, refusal, unexpected};
use crate::agents::Failed;

/// The longest id.
const LONGEST: usize = 128;

/// All, by pages in the order of their ids.
pub(super) async fn list(State(shared): Context, parameters: Parameters) -> Answered {
    let limit = parameters.limit()?;
    let after = parameters.get("after").unwrap_or_default().to_owned();
    // One more, to know whether there are more.
    let asked = shared.ask(Ask::Agents { after, most: limit + 1 }).await?;
    let Answer::Agents(agents) = asked else {
        return Err(unexpected());
    };
    let next = agents.get(limit).and_then(|_| agents.get(limit - 1));
    let next = next.map(|agent| agent.profile.id.clone());
    let page: Vec<_> = agents.iter().take(limit).map(view).collect();
    let answer = json!({ "schema": "baton.agents/1", "agents": page, "next": next });
    Ok(document(StatusCode::OK, &answer))
}

/// One of them.
pub(super) async fn one(State(shared): Context, name: Named) -> Answered {
    let Answer::Agent(agent) = shared.ask(Ask::Agent(known(name)?)).await? else {
        return Err(unexpected());
    };
    Ok(document(StatusCode::OK, &view(&agent)))
}

/// Another one, or another description of one that there is. Answered once it is on the disk.
pub(super) async fn put(
    State(shared): Context,
    principal: Principal,
    headers: HeaderMap,
    name: Named,
    body: Body,
) -> Answered {
    let id = name.map(|Path(id)| id).ok().filter(|id| is_id(id));
    let id = id.ok_or_else(|| {
        Problem::invalid(format!(
            "the id of an agent has 1 to {LONGEST} letters, digits, \"-\", \"_\", \".\", \"@\", \"+\" and \":\""
        ))
    })?;
    let said = bodies::agent(&id, shared.json(&headers, body).await?).map_err(Problem::invalid)?;
    let put = shared
        .agents
        .put(said, principal.name(), shared.settings().commit)
        .await;
    Ok(document(StatusCode::OK, &view(&put.map_err(refused)?)))
}

/// It is there, or it is not.
pub(super) async fn presence(
    State(shared): Context,
    principal: Principal,
    headers: HeaderMap,
    name: Named,
    body: Body,
) -> Answered {
    let id = known(name)?;
    let presence = bodies::presence(shared.json(&headers, body).await?).map_err(Problem::invalid)?;
    let commit = shared.settings().commit;
    let agent = shared.agents.present(&id, presence, principal.name(), commit).await;
    Ok(document(StatusCode::OK, &view(&agent.map_err(refused)?)))
}

/// It is an agent no more.
pub(super) async fn remove(State(shared): Context, principal: Principal, name: Named) -> Answered {
    let id = known(name)?;
    let removed = shared.agents.remove(&id, principal.name(), shared.settings().commit);
    removed.await.map_err(refused)?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// The queues, who waits in them and what their agents do.
pub(super) async fn queues(State(shared): Context) -> Answered {
    let queues = shared.node.queues().await;
    let queues = queues.map_err(|_| refused(Failed::Stopping))?;
    let answer = json!({ "schema": "baton.queues/1", "queues": queues });
    Ok(document(StatusCode::OK, &answer))
}

/// One that may be somebody's.
fn known(name: Named) -> Result<String, Problem> {
    let name = name.map(|Path(name)| name).ok();
    name.ok_or_else(|| Problem::not_found("no human agent has this id"))
}

/// What is written in a path, and in logs, without a second thought.
fn is_id(id: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_.@+:".contains(c);
    (1..=LONGEST).contains(&id.len()) && id.chars().all(plain)
}

fn view(agent: &AgentView) -> Value {
    let mut view = serde_json::to_value(agent).unwrap_or(Value::Null);
    view["schema"] = "baton.agent/1".into();
    view
}

fn refused(why: Failed) -> Problem {
    match why {
        Failed::Refused(error) => refusal(error),
        Failed::Store => Problem::unavailable(
            "the store does not answer: nothing has changed, but what was asked for may count from the next start on",
        ),
        Failed::Stopping => Problem::unavailable("the server is stopping"),
    }
}
