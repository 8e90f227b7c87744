//! The HTTP API (contract: `/v1/calls`, `/v1/handoffs`, health, metrics).
//!
//! Without `[[http.keys]]` the API is open, and the configuration lets it listen on loopback only; then a request that a
//! browser made for some web page (`Origin`, or a `Host` that is not loopback) is refused, because such a page must not
//! reach what only this host should. With keys every request needs one, but for `/healthz` and `/readyz`.

mod agents;
mod auth;
pub mod bodies;
mod body;
mod callbacks;
mod calls;
mod connections;
mod deliveries;
mod door;
mod events;
mod guard;
mod handoffs;
mod hears;
mod idempotency;
mod kpi;
mod openapi;
mod problem;
mod prompts;
mod rate;
mod reload;
mod routes;
mod schemas;
mod sibling;
mod status;
mod targets;
mod tls;
mod trace;
mod vcon;
mod voicemails;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex as StdMutex};
use std::time::{Duration, Instant};

use ::calls::request::{Request as Ask, RequestError, Response as Answer};
use axum::extract::rejection::PathRejection;
use axum::extract::{MatchedPath, Path, Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use media::command::Refusal;
use playbook::redact::Redact;
use playbook::routing::{AGENTS, Full, NAMES};
use serde_json::Value;
use tokio::sync::{Semaphore, watch};

use crate::agents::Agents;
use crate::callbacks::Callbacks;
use crate::config;
use crate::ids;
use crate::journal::{Journal, lock};
use crate::reload::Reloads;
use crate::run::{NodeHandle, Stopped};
use crate::vitals::Vitals;
pub(crate) use door::Door;
use idempotency::Idempotency;
use problem::Problem;
use rate::Rates;
pub(crate) use tls::Certificate;

/// What all requests share.
#[derive(Debug)]
pub(crate) struct Shared {
    settings: watch::Receiver<Arc<Settings>>,
    node: NodeHandle,
    journal: Arc<Journal>,
    vitals: Arc<Vitals>,
    draining: Arc<AtomicBool>,
    idempotency: Idempotency,
    reloads: Reloads,
    agents: Arc<Agents>,
    callbacks: Callbacks,
    rates: StdMutex<Rates>,
    /// Places for readers of events.
    readers: Arc<Semaphore>,
    /// Set when no answer may take longer any more.
    closing: watch::Receiver<bool>,
}

/// What the API goes by, until the configuration is read anew.
#[derive(Debug)]
pub(crate) struct Settings {
    config: config::Http,
    /// How long a request waits for the disk.
    commit: Duration,
    /// Whom calls can be handed to.
    targets: Vec<config::Target>,
    /// Uploads that the configuration names, and the keys that do.
    uploads: BTreeMap<String, Vec<String>>,
    /// Where the answering machine keeps messages.
    voicemails: PathBuf,
    /// What is cut out of what is told; a call goes by what it began with.
    redact: Redact,
}

impl Settings {
    pub(crate) fn of(config: &config::Config) -> Arc<Settings> {
        Arc::new(Settings {
            config: config.http.clone(),
            commit: config.store.commit,
            targets: config.targets.clone(),
            uploads: config.uploads(),
            voicemails: config.voicemail.folder.clone(),
            redact: config.playbook.redact.clone(),
        })
    }

    /// A wish for a handoff as far as it is kept: what is cut out could be guessed from a digest of it.
    fn kept(&self, wish: &Value) -> String {
        let mut wish = wish.clone();
        if let Some(context) = wish.get_mut("context") {
            self.redact.members(context);
        }
        self.redact.words(&mut wish);
        wish.to_string()
    }
}

type Context = State<Arc<Shared>>;
type Named = Result<Path<String>, PathRejection>;
type Answered = Result<Response, Problem>;

impl Shared {
    #[expect(clippy::too_many_arguments, reason = "each is a part of the server")]
    pub(crate) fn new(
        settings: watch::Receiver<Arc<Settings>>,
        reloads: Reloads,
        agents: Arc<Agents>,
        callbacks: Callbacks,
        journal: Arc<Journal>,
        vitals: Arc<Vitals>,
        draining: Arc<AtomicBool>,
        closing: watch::Receiver<bool>,
    ) -> Shared {
        let readers = Arc::new(Semaphore::new(settings.borrow().config.event_readers));
        Shared {
            readers,
            settings,
            node: agents.node.clone(),
            journal,
            vitals,
            draining,
            idempotency: Idempotency::default(),
            reloads,
            agents,
            callbacks,
            rates: StdMutex::default(),
            closing,
        }
    }

    /// What counts now.
    fn settings(&self) -> Arc<Settings> {
        Arc::clone(&self.settings.borrow())
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
        RequestError::NoAgent => Problem::not_found("no human agent has this id"),
        RequestError::Full(of) => {
            let detail = match of {
                Full::Agents => format!("there are {AGENTS} human agents, and no room for more"),
                Full::Names => format!("there are {NAMES} names of skills, languages and queues, and no room for more"),
            };
            Problem::new(StatusCode::CONFLICT, "full", detail)
        }
        RequestError::NoSupervisor => Problem::not_found("this call has no supervisor"),
        RequestError::NoCapacity => {
            let detail = "there is no port or no coder for another leg at the moment";
            Problem::new(StatusCode::SERVICE_UNAVAILABLE, "no-capacity", detail)
        }
        RequestError::Refused(why) => {
            let detail = "the data plane cannot do it; everybody hears whom they heard";
            Problem::new(StatusCode::CONFLICT, "refused", detail).with("refusal", refused(why))
        }
    }
}

/// Why the data plane refuses, in a word.
fn refused(why: Refusal) -> &'static str {
    match why {
        Refusal::Coders => "coders",
        Refusal::NoSession => "session",
        Refusal::Mix => "mix",
        Refusal::Gain => "gain",
        Refusal::UnknownLeg | Refusal::DoubleLeg => "leg",
        Refusal::Port => "port",
        Refusal::UnknownPrompt => "prompt",
        Refusal::PacketTime => "packet_time",
        Refusal::Silent => "silent",
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
