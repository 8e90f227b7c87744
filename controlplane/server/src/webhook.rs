//! Delivery of events: signed after Standard Webhooks, retried, in order for each subject, and never in a call's way.
//!
//! Each endpoint has a task of its own. Events of one subject wait for each other, so that `joined` never overtakes
//! `requested`; subjects do not wait for each other. What waits is bounded by `webhooks.queue` and lies in memory.

use std::collections::hash_map::{DefaultHasher, Entry};
use std::collections::{HashMap, VecDeque};
use std::hash::{Hash, Hasher};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use calls::notice::HandoffId;
use jiff::Timestamp;
use tokio::sync::{Semaphore, mpsc};
use tokio::task::{JoinHandle, JoinSet};

use crate::config;
use crate::ids::rfc3339;
use crate::journal::lock;
use crate::records::{DeliveryStatus, Records};

/// Attempts of one endpoint at one time.
const CONCURRENT: usize = 16;

/// Something that happened, ready to be sent.
#[derive(Clone, Debug)]
pub(crate) struct Event {
    /// `webhook-id`, the same in every attempt.
    pub(crate) id: String,
    pub(crate) kind: &'static str,
    /// The handoff or call that it is about: events of one subject keep their order.
    pub(crate) subject: String,
    /// Whose record is told of its delivery.
    pub(crate) handoff: Option<HandoffId>,
    /// The CloudEvent.
    pub(crate) body: Bytes,
}

/// One endpoint, from the side of whoever has events.
#[derive(Debug)]
pub(crate) struct Endpoint {
    pub(crate) name: String,
    types: Vec<String>,
    queue: usize,
    sender: mpsc::UnboundedSender<Event>,
    pub(crate) counters: Arc<Counters>,
}

/// Running totals of one endpoint.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    /// Attempts made.
    pub(crate) attempts: AtomicU64,
    /// Events answered with 2xx.
    pub(crate) delivered: AtomicU64,
    /// Events given up.
    pub(crate) failed: AtomicU64,
    /// Events that found the queue full.
    pub(crate) dropped: AtomicU64,
    /// Events that wait or are being tried.
    pub(crate) waiting: AtomicUsize,
}

/// The HTTP client of all endpoints.
///
/// # Errors
/// Where TLS cannot be set up.
pub(crate) fn client() -> Result<reqwest::Client, reqwest::Error> {
    reqwest::Client::builder()
        // Who answers with a redirect gets nothing there: the signature is for this address.
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .user_agent(concat!("Baton/", env!("CARGO_PKG_VERSION")))
        .build()
}

impl Endpoint {
    /// Starts the endpoint's task, which ends when the endpoint is dropped and its queue is empty.
    pub(crate) fn start(
        config: config::Webhook,
        client: reqwest::Client,
        records: Arc<Mutex<Records>>,
    ) -> (Endpoint, JoinHandle<()>) {
        let (sender, receiver) = mpsc::unbounded_channel();
        let counters = Arc::<Counters>::default();
        let endpoint = Endpoint {
            name: config.name.clone(),
            types: config.types.clone(),
            queue: config.queue,
            sender,
            counters: Arc::clone(&counters),
        };
        let courier = Arc::new(Courier {
            config,
            client,
            records,
            counters,
            permits: Semaphore::new(CONCURRENT),
        });
        (endpoint, tokio::spawn(dispatch(courier, receiver)))
    }

    /// Whether it asked for such events.
    pub(crate) fn wants(&self, kind: &str) -> bool {
        self.types.is_empty() || self.types.iter().any(|wanted| wanted == kind)
    }

    /// Queues an event; `false` where the queue is full. Never waits.
    pub(crate) fn offer(&self, event: Event) -> bool {
        // The channel itself is not bounded: this count is, and it goes down only when an event is done with.
        if self.counters.waiting.fetch_add(1, Ordering::Relaxed) >= self.queue || self.sender.send(event).is_err() {
            self.counters.waiting.fetch_sub(1, Ordering::Relaxed);
            self.counters.dropped.fetch_add(1, Ordering::Relaxed);
            return false;
        }
        true
    }
}

/// What every delivery of one endpoint needs.
struct Courier {
    config: config::Webhook,
    client: reqwest::Client,
    records: Arc<Mutex<Records>>,
    counters: Arc<Counters>,
    permits: Semaphore,
}

async fn dispatch(courier: Arc<Courier>, mut events: mpsc::UnboundedReceiver<Event>) {
    // A subject is here while one of its events is being delivered; its further ones wait in the queue.
    let mut subjects: HashMap<String, VecDeque<Event>> = HashMap::new();
    let mut deliveries = JoinSet::new();
    let mut open = true;
    while open || !deliveries.is_empty() {
        tokio::select! {
            event = events.recv(), if open => match event {
                None => open = false,
                Some(event) => match subjects.entry(event.subject.clone()) {
                    Entry::Occupied(mut waiting) => waiting.get_mut().push_back(event),
                    Entry::Vacant(place) => {
                        place.insert(VecDeque::new());
                        deliveries.spawn(Arc::clone(&courier).deliver(event));
                    }
                },
            },
            Some(done) = deliveries.join_next(), if !deliveries.is_empty() => {
                let Ok(subject) = done else { continue };
                match subjects.get_mut(&subject).and_then(VecDeque::pop_front) {
                    Some(next) => {
                        deliveries.spawn(Arc::clone(&courier).deliver(next));
                    }
                    None => {
                        subjects.remove(&subject);
                    }
                }
            }
        }
    }
}

impl Courier {
    /// Tries until it is delivered or given up; returns the subject.
    async fn deliver(self: Arc<Courier>, event: Event) -> String {
        let mut pause = self.config.retry;
        let mut attempt = 0;
        let status = loop {
            attempt += 1;
            let (answer, retry_after) = self.attempt(&event).await;
            self.counters.attempts.fetch_add(1, Ordering::Relaxed);
            let status = match answer {
                Ok(_) => DeliveryStatus::Delivered,
                Err(_) if attempt >= self.config.attempts => DeliveryStatus::Failed,
                Err(_) => DeliveryStatus::Pending,
            };
            let (Ok(answer) | Err(answer)) = answer;
            self.note(&event, attempt, status, answer);
            if status != DeliveryStatus::Pending {
                break status;
            }
            let pause_now = jittered(pause, &event.id, attempt);
            tokio::time::sleep(wait(pause_now, retry_after, self.config.retry_max)).await;
            pause = (pause * 2).min(self.config.retry_max);
        };
        self.counters.waiting.fetch_sub(1, Ordering::Relaxed);
        let total = match status {
            DeliveryStatus::Delivered => &self.counters.delivered,
            _ => {
                tracing::warn!(webhook = self.config.name, event = event.id, "webhook given up");
                &self.counters.failed
            }
        };
        total.fetch_add(1, Ordering::Relaxed);
        event.subject
    }

    /// One attempt: the HTTP status, or why there is none or it is not 2xx; and how long the endpoint wants us to wait.
    async fn attempt(&self, event: &Event) -> (Result<String, String>, Option<Duration>) {
        match self.post(event).await {
            Ok(answer) => {
                let status = answer.status();
                let text = status.as_u16().to_string();
                match status.is_success() {
                    true => (Ok(text), None),
                    false => (Err(text), retry_after(answer.headers(), Timestamp::now())),
                }
            }
            Err(why) => (Err(why), None),
        }
    }

    async fn post(&self, event: &Event) -> Result<reqwest::Response, String> {
        let _permit = self.permits.acquire().await.map_err(|_| "stopped".to_owned())?;
        let now = Timestamp::now().as_second();
        let mut signatures = Vec::new();
        for secret in &self.config.secrets {
            let signer = standardwebhooks::Webhook::new(secret.reveal()).map_err(|error| error.to_string())?;
            signatures.push(
                signer
                    .sign(&event.id, now, &event.body)
                    .map_err(|error| error.to_string())?,
            );
        }
        let answer = self
            .client
            .post(&self.config.url)
            .timeout(self.config.timeout)
            .header("content-type", "application/cloudevents+json")
            .header(standardwebhooks::HEADER_WEBHOOK_ID, &event.id)
            .header(standardwebhooks::HEADER_WEBHOOK_TIMESTAMP, now)
            .header(standardwebhooks::HEADER_WEBHOOK_SIGNATURE, signatures.join(" "))
            .body(event.body.clone())
            .send()
            .await;
        answer.map_err(|error| match error {
            error if error.is_timeout() => "timeout".to_owned(),
            error if error.is_connect() => "no connection".to_owned(),
            error => error.without_url().to_string(),
        })
    }

    fn note(&self, event: &Event, attempt: u32, status: DeliveryStatus, answer: String) {
        let Some(handoff) = event.handoff else { return };
        let mut records = lock(&self.records);
        let record = records.get_mut(handoff);
        if let Some(delivery) = record.and_then(|record| record.delivery_mut(&self.config.name, &event.id)) {
            delivery.attempts = attempt;
            delivery.status = status;
            delivery.answer = Some(answer);
            if status != DeliveryStatus::Pending {
                delivery.finished_at = Some(rfc3339(Timestamp::now()));
            }
        }
    }
}

/// How long until the next attempt. The endpoint knows best when it can take more (RFC 9110 §10.2.3); but it cannot hold
/// events for ever.
fn wait(pause: Duration, retry_after: Option<Duration>, most: Duration) -> Duration {
    pause.max(retry_after.unwrap_or_default().min(most))
}

/// `Retry-After`: seconds, or a date (RFC 9110 §10.2.3). `None` where it is absent, past or neither.
fn retry_after(headers: &reqwest::header::HeaderMap, now: Timestamp) -> Option<Duration> {
    let text = headers.get(reqwest::header::RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let at = jiff::fmt::rfc2822::parse(text).ok()?.timestamp();
    Duration::try_from(at.duration_since(now)).ok()
}

/// Half to the whole of the pause, so that endpoints that were down are not hit by all at once.
fn jittered(pause: Duration, id: &str, attempt: u32) -> Duration {
    let mut hasher = DefaultHasher::new();
    (id, attempt).hash(&mut hasher);
    let share = (hasher.finish() % 1000) as u32;
    pause / 2 + pause / 2 * share / 1000
}

#[cfg(test)]
mod tests;
