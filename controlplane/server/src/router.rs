//! Who is asked where a caller goes: posts the question, and tells the node the answer.
//!
//! A caller waits meanwhile, so nothing is tried twice and nothing waits for another question; the node has the last word on time.

use std::sync::Arc;

use calls::handoff::Unrouted;
use calls::notice::HandoffId;
use calls::request::Request;
use reqwest::StatusCode;
use serde::Deserialize;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

use crate::config;
use crate::ids;
use crate::run::NodeHandle;
use crate::webhook::{Clients, Poster};

/// The schema of the question.
pub(crate) const SCHEMA: &str = "baton.route/1";

/// Bytes of an answer.
const ANSWER: usize = 16 << 10;

/// A handoff whose way is asked for.
#[derive(Debug)]
pub(crate) struct Question {
    pub(crate) handoff: HandoffId,
    pub(crate) body: String,
}

/// Whom to ask, until the configuration is read anew.
#[derive(Debug)]
pub(crate) struct Settings(Option<Arc<Poster>>);

impl Settings {
    pub(crate) fn of(router: Option<&config::Router>, clients: &Clients) -> Settings {
        Settings(router.map(|router| Arc::new(Poster::new(router.to.clone(), router.timeout, clients))))
    }
}

/// Asks until nobody has questions any more.
pub(crate) async fn run(
    mut questions: mpsc::UnboundedReceiver<Question>,
    settings: watch::Receiver<Settings>,
    node: NodeHandle,
) {
    let mut asked = JoinSet::new();
    loop {
        tokio::select! {
            question = questions.recv() => {
                let Some(question) = question else { return };
                let (poster, node) = (settings.borrow().0.clone(), node.clone());
                asked.spawn(async move {
                    let said = match poster {
                        Some(poster) => ask(&poster, &question).await,
                        None => Err(Unrouted::Useless),
                    };
                    // It may be late, or the caller gone: the node has told so.
                    let _ = node.request(Request::Route(question.handoff, said)).await;
                });
            }
            Some(_) = asked.join_next() => {}
        }
    }
}

/// What a router answers.
#[derive(Deserialize)]
struct Answer {
    /// Names of targets, in order; none: as the playbook says.
    #[serde(default)]
    targets: Vec<String>,
}

async fn ask(poster: &Poster, question: &Question) -> Result<Vec<String>, Unrouted> {
    let handoff = ids::handoff(question.handoff);
    let useless = |why: &str| {
        tracing::warn!(handoff, why, "who is asked where callers go gave no answer of use");
        Unrouted::Useless
    };
    let id = format!("route_{handoff}");
    let posted = poster.post(&id, "application/json", &question.body).await;
    let mut answer = posted.map_err(|why| match &*why {
        "timeout" => Unrouted::Late,
        why => useless(why),
    })?;
    match answer.status() {
        StatusCode::NO_CONTENT => return Err(Unrouted::Said),
        status if !status.is_success() => return Err(useless(status.as_str())),
        _ => {}
    }
    let mut body = Vec::new();
    while let Some(chunk) = answer.chunk().await.map_err(|error| match error.is_timeout() {
        true => Unrouted::Late,
        false => useless("the answer broke off"),
    })? {
        body.extend(chunk);
        if body.len() > ANSWER {
            return Err(useless("the answer is too long"));
        }
    }
    let answer: Answer = serde_json::from_slice(&body).map_err(|error| useless(&error.to_string()))?;
    match answer.targets.is_empty() {
        true => Err(Unrouted::Said),
        false => Ok(answer.targets),
    }
}
