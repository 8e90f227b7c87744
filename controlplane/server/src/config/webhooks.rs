//! `[[webhooks]]`.

use std::collections::BTreeMap;
use std::time::Duration;

use super::Secret;
use super::reader::{self, Table};
use super::values::{is_http_url, milliseconds, seconds, unique};
use crate::webhook;

/// Somebody to whom something is posted.
#[derive(Clone, Debug)]
pub struct Address {
    /// Where.
    pub url: String,
    /// Whether that may be an address that is not public: loopback, a private network.
    pub allow_private: bool,
    /// Each signs; several while one is being replaced.
    pub secrets: Vec<Secret>,
}

/// `[[webhooks]]`
#[derive(Clone, Debug)]
pub struct Webhook {
    /// For records and metrics.
    pub name: String,
    /// Where events are posted.
    pub to: Address,
    /// Its 2xx to the event with a context is an acknowledgement.
    pub acknowledges: bool,
    /// Types of events that are sent, or what they begin with and a `*`; empty: all.
    pub types: Vec<String>,
    /// Of one attempt.
    pub timeout: Duration,
    /// Pause after the first failure; doubled each time.
    pub retry: Duration,
    /// The longest pause.
    pub retry_max: Duration,
    /// An event that could not be delivered for so long is given up.
    pub give_up: Duration,
}

/// Types of events that a webhook can ask for.
pub const EVENT_TYPES: [&str; 19] = [
    "baton.call.started",
    "baton.call.ended",
    "baton.call.hears",
    "baton.call.supervisor",
    "baton.handoff.requested",
    "baton.handoff.queued",
    "baton.handoff.ringing",
    "baton.handoff.answered",
    "baton.handoff.accepted",
    "baton.handoff.joined",
    "baton.handoff.completed",
    "baton.handoff.failed",
    "baton.handoff.returned",
    "baton.handoff.voicemail_left",
    "baton.handoff.callback_scheduled",
    "baton.context.updated",
    "baton.callback.done",
    "baton.callback.missed",
    "baton.callback.cancelled",
];

pub(super) fn read(root: &Table<'_, '_>) -> Vec<Webhook> {
    let mut names = BTreeMap::new();
    let mut webhooks = Vec::new();
    for entry in root.tables("webhooks") {
        let name = unique(&entry, "name", &mut names);
        let to = addressed(&entry);
        let types = entry.strings("types").map(|found| found.value).unwrap_or_default();
        for kind in &types {
            if !EVENT_TYPES.into_iter().any(|known| is_type(&kind.value, known)) {
                let groups = [
                    "baton.*",
                    "baton.call.*",
                    "baton.handoff.*",
                    "baton.context.*",
                    "baton.callback.*",
                ];
                let hint = reader::nearest(&kind.value, EVENT_TYPES.into_iter().chain(groups));
                entry.problem(kind.line, "types", format!("there is no event {:?}{hint}", kind.value));
            }
        }
        let webhook = Webhook {
            name: name.unwrap_or_default(),
            to,
            acknowledges: entry.boolean("acknowledges").unwrap_or(true),
            types: types.into_iter().map(|kind| kind.value).collect(),
            timeout: milliseconds(&entry, "timeout_ms", 10..=120_000, 10_000),
            retry: milliseconds(&entry, "retry_ms", 1..=3_600_000, 1_000),
            retry_max: milliseconds(&entry, "retry_max_ms", 1..=86_400_000, 3_600_000),
            give_up: seconds(&entry, "give_up_s", 0..=2_592_000, 86_400),
        };
        webhooks.push(webhook);
        entry.finish();
    }
    webhooks
}

/// Where something is posted to, and how it is signed.
pub(super) fn addressed(entry: &Table<'_, '_>) -> Address {
    let url = entry.required("url");
    let allow_private = entry.boolean("allow_private").unwrap_or(false);
    if let Some(url) = &url
        && let Some(message) = url_problem(&url.value, allow_private)
    {
        entry.problem(url.line, "url", message);
    }
    let secrets = entry.secrets("secrets");
    match &secrets {
        Some(found) if !found.value.is_empty() => {
            for secret in &found.value {
                let text = secret.value.reveal();
                if !text.starts_with("whsec_") || standardwebhooks::Webhook::new(text).is_err() {
                    let message = "must be whsec_ and base64, as the Standard Webhooks specification has it \
                                   (`echo whsec_$(head -c 32 /dev/urandom | base64)` makes one)";
                    entry.problem(secret.line, "secrets", message);
                }
            }
        }
        // Where none could be read, each has said why.
        Some(found) if found.value.is_empty() && entry.is_empty_list("secrets") => {
            entry.problem(found.line, "secrets", "is empty: an event must be signed");
        }
        Some(_) => {}
        None if !entry.has("secrets") => entry.problem(entry.line, "secrets", "is missing: it has no default"),
        None => {}
    }
    Address {
        url: url.map(|url| url.value).unwrap_or_default(),
        allow_private,
        secrets: secrets
            .map(|found| found.value.into_iter().map(|secret| secret.value).collect())
            .unwrap_or_default(),
    }
}

/// Whether an event of this type is meant: by its name, or by what it begins with up to a dot and a `*`.
pub(crate) fn is_type(wanted: &str, kind: &str) -> bool {
    match wanted.strip_suffix('*') {
        None => wanted == kind,
        Some(group) => (group.is_empty() || group.ends_with('.')) && kind.starts_with(group),
    }
}

fn url_problem(text: &str, allow_private: bool) -> Option<String> {
    let url = reqwest::Url::parse(text).ok().filter(|_| is_http_url(text));
    let Some(url) = url else {
        return Some("must be http://… or https://…".to_owned());
    };
    if !url.username().is_empty() || url.password().is_some() {
        return Some("has a user or a password in it: leave them out, events are signed".to_owned());
    }
    let special = webhook::address_problem(&url).filter(|_| !allow_private)?;
    Some(format!(
        "{special}: events go to public addresses only; where this one is meant, set allow_private = true beside it"
    ))
}
