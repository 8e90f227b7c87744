//! Delivery of events: signed after Standard Webhooks, retried for a day, in order for each subject, and never in a call's way.
//!
//! Each endpoint has a task of its own, which asks the store's outbox what is due. Events of one subject wait for each other, so
//! that `joined` never overtakes `requested`; subjects do not wait for each other. An event is told again where we cannot know
//! whether it arrived: at least once, always with the same id.

use std::collections::HashSet;
use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::{Semaphore, watch};
use tokio::task::{JoinHandle, JoinSet};

use crate::config;
use crate::store::{AttemptRow, DeliveryStatus, Due, Store, Write};

/// Attempts of one endpoint at one time.
const CONCURRENT: usize = 16;

/// Events that are taken from the outbox ahead of their attempt.
const AHEAD: usize = 4 * CONCURRENT;

/// How soon the outbox is asked again where it could not be read.
const AGAIN: Duration = Duration::from_secs(1);

/// One endpoint, from the side of whoever has events.
#[derive(Debug)]
pub(crate) struct Endpoint {
    pub(crate) name: String,
    types: Vec<String>,
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
    /// Events that wait or are being tried.
    pub(crate) waiting: AtomicU64,
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
    /// Starts the endpoint's task. Once `closing` says so it ends when nothing is due any more.
    pub(crate) fn start(
        config: config::Webhook,
        client: reqwest::Client,
        store: Store,
        closing: watch::Receiver<bool>,
    ) -> (Endpoint, JoinHandle<()>) {
        let counters = Arc::<Counters>::default();
        let endpoint = Endpoint {
            name: config.name.clone(),
            types: config.types.clone(),
            counters: Arc::clone(&counters),
        };
        let courier = Arc::new(Courier {
            config,
            client,
            store,
            counters,
            permits: Semaphore::new(CONCURRENT),
        });
        (endpoint, tokio::spawn(dispatch(courier, closing)))
    }

    /// One that nobody serves.
    #[cfg(test)]
    pub(crate) fn of(name: &str, types: &[&str]) -> Endpoint {
        Endpoint {
            name: name.to_owned(),
            types: types.iter().map(|&kind| kind.to_owned()).collect(),
            counters: Arc::default(),
        }
    }

    /// An event waits again.
    pub(crate) fn replayed(&self) {
        self.counters.waiting.fetch_add(1, Ordering::Relaxed);
    }

    /// Whether it asked for such events.
    pub(crate) fn wants(&self, kind: &str) -> bool {
        self.types.is_empty() || self.types.iter().any(|wanted| wanted == kind)
    }
}

/// What every delivery of one endpoint needs.
struct Courier {
    config: config::Webhook,
    client: reqwest::Client,
    store: Store,
    counters: Arc<Counters>,
    permits: Semaphore,
}

async fn dispatch(courier: Arc<Courier>, mut closing: watch::Receiver<bool>) {
    // Subjects of which an event is being tried, or was and the store does not know yet.
    let mut flying = HashSet::new();
    let mut attempts = JoinSet::new();
    loop {
        // Before it is read what is due: what is committed meanwhile wakes us again.
        let seen = courier.store.last_commit();
        let now = now_ms();
        let (wake, new) = match courier.due(now, flying.len()).await {
            Ok((due, next)) => {
                let new: Vec<_> = due.into_iter().filter(|due| !flying.contains(&due.subject)).collect();
                (next.map(|next| Duration::from_millis(next.abs_diff(now))), new)
            }
            Err(error) => {
                tracing::error!(webhook = courier.config.name, %error, "the outbox cannot be read");
                (Some(AGAIN), Vec::new())
            }
        };
        let idle = new.is_empty() && attempts.is_empty();
        for due in new {
            flying.insert(due.subject.clone());
            attempts.spawn(Arc::clone(&courier).deliver(due));
        }
        if idle && *closing.borrow() {
            return;
        }
        tokio::select! {
            _ = courier.store.next_commit(seen) => {}
            Some(done) = attempts.join_next(), if !attempts.is_empty() => match done {
                Ok(subject) => {
                    flying.remove(&subject);
                }
                Err(error) => tracing::error!(%error, "a delivery ended by itself"),
            },
            () = sleep(wake) => {}
            changed = closing.changed(), if !*closing.borrow() => {
                if changed.is_err() {
                    return;
                }
            }
        }
    }
}

async fn sleep(wake: Option<Duration>) {
    match wake {
        Some(wake) => tokio::time::sleep(wake).await,
        None => std::future::pending().await,
    }
}

fn now_ms() -> i64 {
    Timestamp::now().as_millisecond()
}

impl Courier {
    /// What is due, and when the next one will be.
    async fn due(&self, now: i64, flying: usize) -> Result<(Vec<Due>, Option<i64>), sqlx::Error> {
        let name = &self.config.name;
        let due = self
            .store
            .read()
            .due(self.store.instance(), name, now, (AHEAD + flying) as u32)
            .await?;
        Ok((due, self.store.read().next_due(self.store.instance(), name, now).await?))
    }

    /// Makes one attempt, and waits until the store knows of it; returns the subject.
    async fn deliver(self: Arc<Courier>, event: Due) -> String {
        let (answer, retry_after) = self.attempt(&event).await;
        self.counters.attempts.fetch_add(1, Ordering::Relaxed);
        let attempts = event.attempts + 1;
        let now = now_ms();
        let pause = pause(self.config.retry, self.config.retry_max, event.attempts);
        let pause = wait(
            jittered(pause, &event.event, attempts),
            retry_after,
            self.config.retry_max,
        );
        let due_ms = now.saturating_add_unsigned(crate::ids::ms(pause));
        let last = event
            .queued_ms
            .saturating_add_unsigned(crate::ids::ms(self.config.give_up));
        let status = match answer {
            Ok(_) => DeliveryStatus::Delivered,
            Err(_) if due_ms > last => DeliveryStatus::Failed,
            Err(_) => DeliveryStatus::Pending,
        };
        let total = match status {
            DeliveryStatus::Pending => None,
            DeliveryStatus::Delivered => Some(&self.counters.delivered),
            DeliveryStatus::Failed => {
                tracing::warn!(
                    webhook = self.config.name,
                    event = event.event,
                    "webhook given up: a dead letter"
                );
                Some(&self.counters.failed)
            }
        };
        if let Some(total) = total {
            self.counters.waiting.fetch_sub(1, Ordering::Relaxed);
            total.fetch_add(1, Ordering::Relaxed);
        }
        let (Ok(answer) | Err(answer)) = answer;
        self.store.write(Write::Attempt(AttemptRow {
            event: event.event,
            subject: event.subject.clone(),
            endpoint: self.config.name.clone(),
            status,
            attempts,
            answer,
            due_ms,
            at_ms: now,
        }));
        self.store.settled(self.store.ticket()).await;
        event.subject
    }

    /// One attempt: the HTTP status, or why there is none or it is not 2xx; and how long the endpoint wants us to wait.
    async fn attempt(&self, event: &Due) -> (Result<String, String>, Option<Duration>) {
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

    async fn post(&self, event: &Due) -> Result<reqwest::Response, String> {
        let _permit = self.permits.acquire().await.map_err(|_| "stopped".to_owned())?;
        let now = Timestamp::now().as_second();
        let mut signatures = Vec::new();
        for secret in &self.config.secrets {
            let signer = standardwebhooks::Webhook::new(secret.reveal()).map_err(|error| error.to_string())?;
            signatures.push(
                signer
                    .sign(&event.event, now, event.body.as_bytes())
                    .map_err(|error| error.to_string())?,
            );
        }
        let answer = self
            .client
            .post(&self.config.url)
            .timeout(self.config.timeout)
            .header("content-type", "application/cloudevents+json")
            .header(standardwebhooks::HEADER_WEBHOOK_ID, &event.event)
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
}

/// Before the attempt after this many: doubled each time, up to the longest.
fn pause(first: Duration, most: Duration, attempts: u32) -> Duration {
    first
        .saturating_mul(1_u32.checked_shl(attempts).unwrap_or(u32::MAX))
        .min(most)
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
