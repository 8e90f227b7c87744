//! The HTTP API (contract: `/v1/calls`, `/v1/handoffs`, health, metrics).
//!
//! Without `[[http.keys]]` the API is open, and the configuration lets it listen on loopback only; then a request that a
//! browser made for some web page (`Origin`, or a `Host` that is not loopback) is refused, because such a page must not
//! reach what only this host should. With keys every request needs one, but for `/healthz` and `/readyz`.

mod auth;
pub mod bodies;
mod body;
mod calls;
mod connections;
mod deliveries;
mod handoffs;
mod idempotency;
mod problem;
mod status;
mod trace;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use ::calls::request::{Request as Ask, RequestError, Response as Answer};
use axum::Router;
use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{MatchedPath, Path, Query, Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, patch, post};
use engine::Engine;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::sync::watch;

use crate::config;
use crate::ids;
use crate::journal::{Journal, lock};
use crate::run::{NodeHandle, Stopped};
use idempotency::Idempotency;
use problem::Problem;

/// What all requests share.
#[derive(Debug)]
pub(crate) struct Shared {
    config: config::Http,
    /// How long a request waits for the disk.
    commit: Duration,
    node: NodeHandle,
    journal: Arc<Journal>,
    engine: Arc<Engine>,
    draining: Arc<AtomicBool>,
    idempotency: Idempotency,
}

type Context = State<Arc<Shared>>;
type Named = Result<Path<String>, PathRejection>;
type Asked = Result<Query<HashMap<String, String>>, QueryRejection>;
type Answered = Result<Response, Problem>;

impl Shared {
    pub(crate) fn new(
        config: config::Http,
        commit: Duration,
        node: NodeHandle,
        journal: Arc<Journal>,
        engine: Arc<Engine>,
        draining: Arc<AtomicBool>,
    ) -> Shared {
        Shared {
            config,
            commit,
            node,
            journal,
            engine,
            draining,
            idempotency: Idempotency::default(),
        }
    }

    async fn ask(&self, request: Ask) -> Result<Answer, Problem> {
        answered(self.node.request(request).await)
    }
}

fn answered(asked: Result<Result<Answer, RequestError>, Stopped>) -> Result<Answer, Problem> {
    match asked {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(error)) => Err(refusal(error)),
        Err(Stopped) => Err(Problem::unavailable("the server is stopping")),
    }
}

/// Serves until `closing` says otherwise; then requests under way are finished.
pub(crate) async fn serve(listener: TcpListener, shared: Shared, closing: watch::Receiver<bool>) {
    let header = shared.config.request;
    connections::serve(listener, router(Arc::new(shared)), closing, header).await;
}

fn router(shared: Arc<Shared>) -> Router {
    Router::new()
        .route("/healthz", get(status::health))
        .route("/readyz", get(status::ready))
        .route("/metrics", get(status::metrics))
        .route("/v1/calls", get(calls::list))
        .route("/v1/calls/{call}", get(calls::one).delete(calls::hang_up))
        .route("/v1/calls/{call}/trace", get(trace::one))
        .route("/v1/calls/{call}/turns", post(calls::turns))
        .route("/v1/calls/{call}/context", patch(calls::context))
        .route("/v1/calls/{call}/handoffs", post(handoffs::create))
        .route("/v1/handoffs", get(handoffs::list))
        .route("/v1/handoffs/{id}", get(handoffs::one))
        .route("/v1/handoffs/{id}/context", get(handoffs::context))
        .route("/v1/handoffs/{id}/accept", post(handoffs::accept))
        .route("/v1/handoffs/{id}/decline", post(handoffs::decline))
        .route("/v1/handoffs/{id}/cancel", post(handoffs::cancel))
        .route("/v1/deliveries", get(deliveries::list))
        .route("/v1/deliveries/{id}", get(deliveries::one))
        .route("/v1/deliveries/{id}/replay", post(deliveries::replay))
        .fallback(async || Problem::not_found("there is no such path"))
        .method_not_allowed_fallback(async || {
            Problem::new(
                StatusCode::METHOD_NOT_ALLOWED,
                "method-not-allowed",
                "this path has no such method",
            )
        })
        .layer(from_fn_with_state(Arc::clone(&shared), count))
        .with_state(shared)
}

/// Counts a request when its answer begins.
async fn count(State(shared): Context, request: Request, next: Next) -> Response {
    let began = Instant::now();
    let method = request.method().clone();
    let route = request.extensions().get::<MatchedPath>().cloned();
    let response = next.run(request).await;
    let route = route.as_ref().map(MatchedPath::as_str);
    lock(&shared.journal.metrics)
        .http
        .request(method.as_str(), route, response.status().as_u16(), began.elapsed());
    response
}

/// A JSON document that nobody caches: it shows a live call.
fn document(status: StatusCode, value: &Value) -> Response {
    let mut response = (status, value.to_string()).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// What the node refuses, as the API says it.
fn refusal(error: RequestError) -> Problem {
    match error {
        RequestError::NoCall => Problem::not_found("there is no such live call"),
        RequestError::NoHandoff => Problem::not_found("there is no such running handoff"),
        RequestError::Running(id) => {
            let detail = "a handoff of this call is running already";
            Problem::new(StatusCode::CONFLICT, "handoff-running", detail).with("handoff", ids::handoff(id))
        }
        RequestError::WrongState(why) => Problem::new(StatusCode::CONFLICT, "wrong-state", why),
        RequestError::NoTarget(name) => Problem::invalid(format!("no target has the name {name:?}")),
        RequestError::Invalid(why) => Problem::invalid(why),
    }
}

/// An answer of a kind that the request cannot have: our bug.
fn unexpected() -> Problem {
    tracing::error!("the node gave an answer of another kind than was asked for");
    Problem::new(
        StatusCode::INTERNAL_SERVER_ERROR,
        "internal",
        "the request was not answered as it must be",
    )
}

/// `?after=&limit=` and the parameters that a list has beside them; any other is refused.
fn parameters(asked: Asked, known: &[&str]) -> Result<HashMap<String, String>, Problem> {
    let Query(asked) = asked.map_err(|_| Problem::bad_request("the query cannot be read"))?;
    match asked.keys().find(|key| !known.contains(&key.as_str())) {
        Some(key) => {
            let detail = format!("there is no parameter {key:?}; there are {}", known.join(", "));
            Err(Problem::bad_request(detail))
        }
        None => Ok(asked),
    }
}

fn limit(parameters: &HashMap<String, String>) -> Result<usize, Problem> {
    match parameters.get("limit") {
        None => Ok(50),
        Some(text) => text
            .parse()
            .ok()
            .filter(|limit| (1..=500).contains(limit))
            .ok_or_else(|| Problem::bad_request("limit must be from 1 to 500")),
    }
}
