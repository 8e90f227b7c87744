//! `baton webhook test`: a signed sample to each endpoint, and what it answers.

use std::time::{Duration, Instant};

use jiff::Timestamp;
use serde_json::{Value, json};

use super::sender::{Clients, Means, Sender};
use crate::config::{Config, Webhook, nearest};
use crate::event;
use crate::ids;

/// Type of the sample. No filter keeps it back, and nothing else has it.
const KIND: &str = "baton.webhook.test";

/// What an endpoint made of the sample.
#[derive(Clone, Debug)]
pub(crate) struct Answered {
    pub(crate) name: String,
    pub(crate) event: String,
    /// The HTTP status, or why there is none.
    pub(crate) answer: String,
    pub(crate) ok: bool,
    pub(crate) took: Duration,
}

impl Answered {
    pub(crate) fn view(&self) -> Value {
        json!({
            "name": self.name,
            "ok": self.ok,
            "answer": self.answer,
            "took_ms": ids::ms(self.took),
            "event": self.event,
        })
    }
}

/// Tells all endpoints the sample at once, or the one of this name; in the order of the configuration.
///
/// # Errors
/// Where there is none, or nothing could be sent at all: what to say of it.
pub(crate) async fn send_to(config: &Config, name: Option<&str>) -> Result<Vec<Answered>, String> {
    let names = || config.webhooks.iter().map(|webhook| &*webhook.name);
    let wanted = |webhook: &&Webhook| name.is_none_or(|name| name == webhook.name);
    let wanted: Vec<_> = config.webhooks.iter().filter(wanted).collect();
    match (name, wanted.is_empty()) {
        (None, true) => return Err("the configuration has no [[webhooks]]".to_owned()),
        (Some(name), true) => {
            let hint = nearest(name, names());
            return Err(format!("no entry of [[webhooks]] has the name {name:?}{hint}"));
        }
        (_, false) => {}
    }
    let clients = Clients::new().map_err(|error| format!("the HTTP client cannot be set up: {error}"))?;
    let mut samples = Vec::new();
    for webhook in wanted {
        let unique = ids::random_seed().map_err(|error| format!("/dev/urandom failed: {error}"))?;
        let (webhook, clients, node) = (webhook.clone(), clients.clone(), config.node.name.clone());
        samples.push(tokio::spawn(
            async move { send(&webhook, &clients, &node, unique).await },
        ));
    }
    let mut answered = Vec::new();
    for sample in samples {
        answered.push(sample.await.map_err(|error| error.to_string())?);
    }
    Ok(answered)
}

async fn send(webhook: &Webhook, clients: &Clients, node: &str, unique: u64) -> Answered {
    let subject = format!("test_{unique:016x}");
    let data = json!({ "schema": "baton.webhook_sample/1", "webhook": webhook.name });
    let source = event::source(node);
    let (event, body) = event::cloud_event(&source, KIND, &subject, 1, Timestamp::now(), &data);
    let began = Instant::now();
    let outcome = Sender::new(webhook.clone(), clients).post(&event, &body).await;
    Answered {
        name: webhook.name.clone(),
        event,
        answer: outcome.answer,
        ok: outcome.means == Means::Taken,
        took: began.elapsed(),
    }
}
