//! What `Idempotency-Key`s were answered: the newest here, all of them in the store.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use axum::http::{HeaderMap, HeaderValue};
use calls::notice::{CallId, HandoffId};
use tokio::sync::Mutex;
use tokio::time::timeout;

use super::problem::Problem;
use crate::ids;
use crate::store::{Key, Store};

/// Answers that are remembered without the store.
const KEEP: usize = 10_000;

/// The longest `Idempotency-Key`.
const KEY_MAX: usize = 255;

/// How long the store is asked about a key: a caller waits for a human meanwhile.
const RECALL: Duration = Duration::from_millis(500);

/// What is known of a key.
pub(super) enum Known {
    /// It stands for this handoff.
    Handoff(HandoffId),
    /// It is new.
    Nothing,
    /// The store does not say.
    Unknown,
}

/// The request's key, with what it asks for.
///
/// # Errors
/// Where the header is none.
pub(super) fn key(
    headers: &HeaderMap,
    principal: &str,
    call: Option<CallId>,
    request: &str,
) -> Result<Option<Key>, Problem> {
    let key = match headers.get("idempotency-key").map(HeaderValue::as_bytes) {
        None => return Ok(None),
        Some(key) if key.is_empty() || key.len() > KEY_MAX => {
            return Err(Problem::bad_request(format!(
                "Idempotency-Key must have 1 to {KEY_MAX} characters"
            )));
        }
        Some(key) => key,
    };
    let call = call.map(ids::call).unwrap_or_default();
    // The principal is a part of it: nobody finds what another one asked for.
    Ok(Some(Key {
        id: ids::digest([principal.as_bytes(), call.as_bytes(), key]),
        request: ids::digest([request]),
    }))
}

/// The newest keys. Its lock is held while a handoff is begun: two requests with one key at one time make one handoff.
#[derive(Debug, Default)]
pub(super) struct Idempotency(pub(super) Mutex<Newest>);

impl Idempotency {
    /// # Errors
    /// Where the key was used for something else.
    pub(super) async fn recall(&self, key: &Key, store: &Store) -> Result<Known, Problem> {
        if let Some(id) = self.0.lock().await.find(key)? {
            return Ok(Known::Handoff(id));
        }
        match timeout(RECALL, store.read().recall(&key.id)).await {
            Ok(Ok(None)) => Ok(Known::Nothing),
            Ok(Ok(Some((request, handoff)))) => {
                let id = ids::parse_handoff(&handoff).map_or(Known::Unknown, Known::Handoff);
                same(&request, key).map(|()| id)
            }
            Ok(Err(_)) | Err(_) => Ok(Known::Unknown),
        }
    }
}

#[derive(Debug, Default)]
pub(super) struct Newest {
    answers: HashMap<String, (String, HandoffId)>,
    order: VecDeque<String>,
}

impl Newest {
    /// # Errors
    /// Where the key was used for something else.
    pub(super) fn find(&self, key: &Key) -> Result<Option<HandoffId>, Problem> {
        match self.answers.get(&key.id) {
            None => Ok(None),
            Some((request, id)) => same(request, key).map(|()| Some(*id)),
        }
    }

    /// The oldest is forgotten first.
    pub(super) fn keep(&mut self, key: Key, id: HandoffId) {
        if self.answers.insert(key.id.clone(), (key.request, id)).is_none() {
            self.order.push_back(key.id);
        }
        while self.order.len() > KEEP {
            if let Some(oldest) = self.order.pop_front() {
                self.answers.remove(&oldest);
            }
        }
    }
}

fn same(request: &str, key: &Key) -> Result<(), Problem> {
    match request == key.request {
        true => Ok(()),
        false => Err(Problem::invalid("this Idempotency-Key was used with another body")),
    }
}
