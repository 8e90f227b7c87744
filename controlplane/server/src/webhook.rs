//! Delivery of events: signed after Standard Webhooks, retried for a day, in order for each subject, and never in a call's way.
//!
//! Each endpoint has a task of its own, which asks the store's outbox what is due. Events of one subject wait for each other, so
//! that `joined` never overtakes `requested`; subjects do not wait for each other. An event is told again where we cannot know
//! whether it arrived: at least once, always with the same id.

mod address;
pub(crate) mod couriers;
pub(crate) mod sample;
mod schedule;
mod sender;

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::{Semaphore, mpsc, watch};
use tokio::task::{JoinError, JoinHandle, JoinSet};

pub(crate) use address::problem as address_problem;
pub(crate) use sender::{Clients, Poster};

use crate::config;
use crate::store::{AttemptRow, DeliveryStatus, Due, Store, Write};
use sender::{Means, Sender};

/// Attempts of one endpoint at one time.
const CONCURRENT: usize = 16;

/// Events that are taken from the outbox at one time: those that wait for their attempt, and those that wait for the commit after it.
const AHEAD: usize = 16 * CONCURRENT;

/// How soon the outbox is asked again where it could not be read.
const AGAIN: Duration = Duration::from_secs(1);

/// One endpoint, from the side of whoever has events.
#[derive(Clone, Debug)]
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
    /// Events that wait or are being tried; each knows it, and takes itself off where it is given up before it was stored.
    pub(crate) waiting: Arc<AtomicU64>,
}

impl Endpoint {
    /// Starts the endpoint's task, which counts on. Once `closing` says so it ends when nothing is due any more.
    pub(crate) fn start(
        config: config::Webhook,
        clients: &Clients,
        store: Store,
        closing: watch::Receiver<bool>,
        taken: mpsc::UnboundedSender<String>,
        counters: Arc<Counters>,
    ) -> (Endpoint, JoinHandle<()>) {
        let endpoint = Endpoint {
            name: config.name.clone(),
            types: config.types.clone(),
            counters: Arc::clone(&counters),
        };
        let taken = config.acknowledges.then_some(taken);
        let courier = Arc::new(Courier {
            sender: Sender::new(config, clients),
            store,
            counters,
            taken,
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
        self.types.is_empty() || self.types.iter().any(|wanted| config::is_type(wanted, kind))
    }
}

/// What every delivery of one endpoint needs.
struct Courier {
    sender: Sender,
    store: Store,
    counters: Arc<Counters>,
    /// Ids of events that were answered 2xx, where that is an acknowledgement.
    taken: Option<mpsc::UnboundedSender<String>>,
    permits: Semaphore,
}

async fn dispatch(courier: Arc<Courier>, mut closing: watch::Receiver<bool>) {
    // Subjects of which an event is being tried, or was and the store does not know yet.
    let mut flying = HashSet::new();
    let mut attempts = JoinSet::new();
    let mut readable = true;
    loop {
        // Before it is read what is due: what is committed meanwhile wakes us again.
        let seen = courier.store.last_commit();
        let room = flying.len() <= AHEAD / 2;
        let mut wake = None;
        if room {
            let now = now_ms();
            match courier.due(now, flying.len()).await {
                Ok((due, next)) => {
                    for due in due {
                        if flying.insert(due.subject.clone()) {
                            attempts.spawn(Arc::clone(&courier).deliver(due));
                        }
                    }
                    wake = next.map(|next| Duration::from_millis(next.abs_diff(now)));
                    if !std::mem::replace(&mut readable, true) {
                        tracing::info!(webhook = courier.sender.config().name, "the outbox can be read again");
                    }
                }
                Err(error) => {
                    // Once, however long it lasts.
                    if std::mem::replace(&mut readable, false) {
                        let webhook = &courier.sender.config().name;
                        tracing::error!(webhook, %error, "the outbox cannot be read; it is tried again until it can");
                    }
                    wake = Some(AGAIN);
                }
            }
        }
        if attempts.is_empty() && *closing.borrow() {
            return;
        }
        tokio::select! {
            _ = courier.store.next_commit(seen), if room => {}
            Some(done) = attempts.join_next(), if !attempts.is_empty() => landed(&mut flying, done),
            () = sleep(wake) => {}
            changed = closing.changed(), if !*closing.borrow() => {
                if changed.is_err() {
                    return;
                }
            }
        }
        while let Some(done) = attempts.try_join_next() {
            landed(&mut flying, done);
        }
    }
}

fn landed(flying: &mut HashSet<String>, done: Result<String, JoinError>) {
    match done {
        Ok(subject) => {
            flying.remove(&subject);
        }
        Err(error) => tracing::error!(%error, "a delivery ended by itself"),
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
    /// What is due; and, where that is all, when the next one will be.
    async fn due(&self, now: i64, flying: usize) -> Result<(Vec<Due>, Option<i64>), sqlx::Error> {
        let (database, instance, name) = (self.store.read(), self.store.instance(), &self.sender.config().name);
        let most = AHEAD + flying;
        let due = database.due(instance, name, now, most as u32).await?;
        let next = match due.len() < most {
            true => database.next_due(instance, name, now).await?,
            false => None,
        };
        Ok((due, next))
    }

    /// Makes one attempt, and waits until the store knows of it; returns the subject.
    async fn deliver(self: Arc<Courier>, event: Due) -> String {
        let outcome = match self.permits.acquire().await {
            Ok(_permit) => self.sender.post(&event.event, &event.body).await,
            // Nobody closes them.
            Err(_) => return event.subject,
        };
        self.counters.attempts.fetch_add(1, Ordering::Relaxed);
        let (webhook, now) = (self.sender.config(), now_ms());
        if let Some(taken) = self.taken.as_ref().filter(|_| outcome.means == Means::Taken) {
            // Nobody asks for it where the server ends.
            let _ = taken.send(event.event.clone());
        }
        let (status, due_ms) = schedule::next(webhook, &event, outcome.means, now);
        let total = match status {
            DeliveryStatus::Pending => None,
            DeliveryStatus::Delivered => Some(&self.counters.delivered),
            DeliveryStatus::Failed => {
                let (webhook, answer) = (&webhook.name, &outcome.answer);
                let (call, handoff) = about(&event.subject, &event.body);
                tracing::warn!(
                    webhook,
                    call,
                    handoff,
                    event = event.event,
                    answer,
                    "webhook given up: a dead letter"
                );
                if outcome.means == Means::Gone {
                    tracing::warn!(webhook, "it says that it is gone for good: remove it from [[webhooks]]");
                }
                Some(&self.counters.failed)
            }
        };
        if let Some(total) = total {
            less(&self.counters.waiting);
            total.fetch_add(1, Ordering::Relaxed);
        }
        self.store.write(Write::Attempt(AttemptRow {
            event: event.event,
            subject: event.subject.clone(),
            endpoint: webhook.name.clone(),
            status,
            attempts: event.attempts + 1,
            answer: outcome.answer,
            due_ms,
            at_ms: now,
        }));
        self.store.settled(self.store.ticket()).await;
        event.subject
    }
}

/// One fewer waits. It is a figure for people: one that is off by some must not become one of twenty digits.
pub(crate) fn less(waiting: &AtomicU64) {
    let _ = waiting.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |count| count.checked_sub(1));
}

/// The call and the handoff of an event, for the log.
fn about(subject: &str, body: &str) -> (Option<String>, Option<String>) {
    if subject.starts_with("call_") {
        return (Some(subject.to_owned()), None);
    }
    let event: serde_json::Value = serde_json::from_str(body).unwrap_or_default();
    let member = |name: &str| event["data"][name].as_str().map(str::to_owned);
    let handoff = match subject.starts_with("ho_") {
        true => Some(subject.to_owned()),
        // Of a callback: that in which it was promised.
        false => member("handoff"),
    };
    (member("call"), handoff)
}

#[cfg(test)]
mod tests;
