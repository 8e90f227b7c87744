//! Events as webhooks get them: CloudEvents 1.0.

use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError, RwLock};

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::ids::rfc3339;
use crate::store::{EventRow, Waits};
use crate::webhook::Endpoint;

/// Version of the data of our events.
const SCHEMA: &str = "baton.event/1";

/// The same as a URI (CloudEvents 1.0.2 §3.1); a URN's namespace has no dot (RFC 8141 §2).
const DATASCHEMA: &str = "urn:baton:event:1";

/// Makes events, and knows who wants them.
#[derive(Clone, Debug)]
pub(crate) struct Teller {
    /// CloudEvents' `source`.
    source: String,
    /// They change with a reload.
    endpoints: Arc<RwLock<Arc<[Endpoint]>>>,
}

impl Teller {
    pub(crate) fn new(node: &str, endpoints: Vec<Endpoint>) -> Teller {
        Teller {
            source: source(node),
            endpoints: Arc::new(RwLock::new(endpoints.into())),
        }
    }

    /// Those who are told, as they are now.
    pub(crate) fn endpoints(&self) -> Arc<[Endpoint]> {
        let endpoints = self.endpoints.read().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(&endpoints)
    }

    /// Others from now on.
    pub(crate) fn set(&self, endpoints: Vec<Endpoint>) {
        *self.endpoints.write().unwrap_or_else(PoisonError::into_inner) = endpoints.into();
    }

    /// The endpoint of this name.
    pub(crate) fn endpoint(&self, name: &str) -> Option<Endpoint> {
        self.endpoints().iter().find(|endpoint| endpoint.name == name).cloned()
    }

    /// An event for the outbox.
    pub(crate) fn event(
        &self,
        kind: &'static str,
        subject: &str,
        agent: &str,
        sequence: i64,
        at: Timestamp,
        data: &Value,
    ) -> EventRow {
        let (id, body) = cloud_event(&self.source, kind, subject, sequence, at, data);
        let known = self.endpoints();
        let (mut endpoints, mut waits) = (Vec::new(), Waits::default());
        for endpoint in known.iter().filter(|endpoint| endpoint.wants(kind)) {
            let counters = &endpoint.counters;
            counters.waiting.fetch_add(1, Ordering::Relaxed);
            endpoints.push(endpoint.name.clone());
            waits.0.push(Arc::clone(&counters.waiting));
        }
        EventRow {
            endpoints,
            waits,
            id,
            subject: subject.to_owned(),
            sequence,
            kind,
            at_ms: at.as_millisecond(),
            agent: agent.to_owned(),
            body: body.into(),
        }
    }
}

/// CloudEvents' `source` of a node's events.
pub(crate) fn source(node: &str) -> String {
    format!("/baton/{node}")
}

/// The id of an event, and its JSON.
pub(crate) fn cloud_event(
    source: &str,
    kind: &str,
    subject: &str,
    sequence: i64,
    at: Timestamp,
    data: &Value,
) -> (String, String) {
    // Unique for ever: ids are random, and a sequence number is used once.
    let id = format!("evt_{subject}_{sequence:08}");
    // CloudEvents 1.0.2 §3.1; `sequence` is the extension of that name, compared as a string.
    let body = json!({
        "specversion": "1.0",
        "id": id,
        "source": source,
        "type": kind,
        "subject": subject,
        "time": rfc3339(at),
        "datacontenttype": "application/json",
        "dataschema": DATASCHEMA,
        "sequence": format!("{sequence:08}"),
        "schema": SCHEMA,
        "data": data,
    });
    (id, body.to_string())
}
