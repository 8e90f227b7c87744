//! The tasks of all endpoints, as the configuration has them: at the start, and after each reload.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout_at};

use super::{Clients, Counters, Endpoint};
use crate::config::{self, Secret};
use crate::event::Teller;
use crate::store::Store;

/// The tasks, and what they are started with.
#[derive(Debug)]
pub(crate) struct Couriers {
    clients: Clients,
    store: Store,
    taken: mpsc::UnboundedSender<String>,
    /// Set when what is due is to be told, and nothing more.
    telling: watch::Sender<bool>,
    running: Vec<Running>,
}

#[derive(Debug)]
struct Running {
    config: config::Webhook,
    endpoint: Endpoint,
    task: JoinHandle<()>,
}

impl Couriers {
    /// `taken` is told the events that were answered 2xx.
    pub(crate) fn new(clients: Clients, store: Store, taken: mpsc::UnboundedSender<String>) -> Couriers {
        Couriers {
            clients,
            store,
            taken,
            telling: watch::Sender::new(false),
            running: Vec::new(),
        }
    }

    /// Starts what is new, ends what is gone, and begins anew what is another than it was; the rest goes on. What waits for one that is
    /// gone stays in the store, and is told when it is back.
    pub(crate) async fn set(&mut self, webhooks: &[config::Webhook], teller: &Teller) {
        let mut before = std::mem::take(&mut self.running);
        for webhook in webhooks {
            let known = before.iter().position(|it| it.config.name == webhook.name);
            let running = match known.map(|at| before.swap_remove(at)) {
                Some(running) if is_same(&running.config, webhook) => running,
                Some(running) => {
                    // An attempt that is broken off is made again: at least once, with the same id.
                    running.task.abort();
                    self.start(webhook, running.endpoint.counters)
                }
                None => {
                    let counters = self.counters(&webhook.name).await;
                    self.start(webhook, counters)
                }
            };
            self.running.push(running);
        }
        teller.set(self.running.iter().map(|it| it.endpoint.clone()).collect());
        for gone in before {
            gone.task.abort();
            let waiting = gone.endpoint.counters.waiting.load(Ordering::Relaxed);
            tracing::warn!(
                webhook = gone.config.name,
                waiting,
                "the webhook is no more; what waits for it stays in the store"
            );
        }
    }

    /// Of one that comes, or comes back: from before some may wait for it.
    async fn counters(&self, name: &str) -> Arc<Counters> {
        let waiting = self.store.read().waiting(self.store.instance(), name).await;
        let counters = Counters::default();
        match waiting {
            Ok(waiting) => counters.waiting.store(waiting, Ordering::Relaxed),
            Err(error) => tracing::warn!(webhook = name, %error, "nobody knows how many events wait for it"),
        }
        Arc::new(counters)
    }

    fn start(&self, webhook: &config::Webhook, counters: Arc<Counters>) -> Running {
        let (clients, store) = (&self.clients, self.store.clone());
        let (telling, taken) = (self.telling.subscribe(), self.taken.clone());
        let (endpoint, task) = Endpoint::start(webhook.clone(), clients, store, telling, taken, counters);
        Running {
            config: webhook.clone(),
            endpoint,
            task,
        }
    }

    /// Tells what is due, all at one time and for as long as this.
    pub(crate) async fn end(self, step: Duration) {
        let _ = self.telling.send(true);
        let end = Instant::now() + step;
        for mut running in self.running {
            if timeout_at(end, &mut running.task).await.is_err() {
                running.task.abort();
            }
        }
    }
}

/// `Debug` shows all but secrets.
fn is_same(one: &config::Webhook, other: &config::Webhook) -> bool {
    let secrets = |webhook: &config::Webhook| {
        webhook
            .to
            .secrets
            .iter()
            .map(Secret::reveal)
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    format!("{one:?}") == format!("{other:?}") && secrets(one) == secrets(other)
}
