//! Sends spans to a collector: OTLP over HTTP, in JSON (opentelemetry.io, OTLP specification, "Binary and JSON Protobuf encoding").
//!
//! In batches, from a bounded queue; what the collector does not take in a few tries is dropped, and counted.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::config::Secret;

/// Handoffs that may wait.
const WAITING: usize = 2048;

/// Handoffs of one request.
const BATCH: usize = 128;

/// How often a batch is tried.
const TRIES: u32 = 4;

/// Of one request; before the next try of a batch.
const PATIENCE: Duration = Duration::from_secs(5);
const AGAIN: Duration = Duration::from_secs(1);

/// Spans, by what became of them.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) sent: AtomicU64,
    pub(crate) dropped: AtomicU64,
}

impl Counters {
    pub(crate) fn read(&self) -> [u64; 2] {
        [&self.sent, &self.dropped].map(|count| count.load(Ordering::Relaxed))
    }
}

/// The HTTP client: a redirect is not followed, for the headers are for this address.
///
/// # Errors
/// Where TLS cannot be set up.
pub(crate) fn client() -> Result<reqwest::Client, reqwest::Error> {
    let client = reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy();
    client.user_agent(concat!("Baton/", env!("CARGO_PKG_VERSION"))).build()
}

/// The collector, from the side of who has spans. The task ends when this is dropped and what waits was sent or dropped.
#[derive(Debug)]
pub(crate) struct Exporter {
    waiting: mpsc::Sender<Vec<Value>>,
    pub(crate) counters: Arc<Counters>,
}

impl Exporter {
    pub(crate) fn start(
        endpoint: &str,
        headers: Vec<(String, Secret)>,
        node: &str,
        client: reqwest::Client,
    ) -> (Exporter, JoinHandle<()>) {
        let (waiting, batches) = mpsc::channel(WAITING);
        let counters = Arc::<Counters>::default();
        let courier = Courier {
            url: format!("{}/v1/traces", endpoint.trim_end_matches('/')),
            headers,
            node: node.to_owned(),
            client,
            counters: Arc::clone(&counters),
            said: false,
        };
        (Exporter { waiting, counters }, tokio::spawn(courier.run(batches)))
    }

    /// Never waits.
    pub(super) fn take(&self, spans: Vec<Value>) {
        let count = spans.len() as u64;
        if self.waiting.try_send(spans).is_err() {
            self.counters.dropped.fetch_add(count, Ordering::Relaxed);
        }
    }
}

struct Courier {
    url: String,
    headers: Vec<(String, Secret)>,
    node: String,
    client: reqwest::Client,
    counters: Arc<Counters>,
    /// That the collector takes nothing, until it does.
    said: bool,
}

impl Courier {
    async fn run(mut self, mut waiting: mpsc::Receiver<Vec<Value>>) {
        let mut handoffs = Vec::new();
        while waiting.recv_many(&mut handoffs, BATCH).await > 0 {
            let spans: Vec<Value> = handoffs.drain(..).flatten().collect();
            let count = spans.len() as u64;
            let total = match self.send(&spans).await {
                true => &self.counters.sent,
                false => &self.counters.dropped,
            };
            total.fetch_add(count, Ordering::Relaxed);
        }
    }

    async fn send(&mut self, spans: &[Value]) -> bool {
        let body = request(&self.node, spans).to_string();
        for number in 1..=TRIES {
            match self.post(body.clone()).await {
                Ok(()) => {
                    if std::mem::take(&mut self.said) {
                        tracing::info!("the OTLP collector takes traces again");
                    }
                    return true;
                }
                Err((why, again)) => {
                    if !std::mem::replace(&mut self.said, true) {
                        tracing::warn!(
                            url = self.url,
                            why,
                            "the OTLP collector takes no traces; they are dropped and counted until it does"
                        );
                    }
                    if !again {
                        return false;
                    }
                }
            }
            if number < TRIES {
                tokio::time::sleep(AGAIN).await;
            }
        }
        false
    }

    /// Why not, and whether another try may help: the specification names 429, 502, 503 and 504.
    async fn post(&self, body: String) -> Result<(), (String, bool)> {
        let mut request = self
            .client
            .post(&self.url)
            .timeout(PATIENCE)
            .header("content-type", "application/json");
        for (name, value) in &self.headers {
            request = request.header(name, value.reveal());
        }
        let answer = request.body(body).send().await;
        let answer = answer.map_err(|error| (error.without_url().to_string(), true))?;
        match answer.status().as_u16() {
            200..300 => Ok(()),
            status => Err((status.to_string(), matches!(status, 429 | 502 | 503 | 504))),
        }
    }
}

/// `ExportTraceServiceRequest`.
fn request(node: &str, spans: &[Value]) -> Value {
    let attribute = |key: &str, value: &str| json!({ "key": key, "value": { "stringValue": value } });
    json!({
        "resourceSpans": [{
            "resource": { "attributes": [
                attribute("service.name", "baton"),
                attribute("service.version", env!("CARGO_PKG_VERSION")),
                attribute("service.instance.id", node),
            ]},
            "scopeSpans": [{
                "scope": { "name": "baton", "version": env!("CARGO_PKG_VERSION") },
                "spans": spans,
            }],
        }],
    })
}

#[cfg(test)]
mod tests {
    use axum::http::StatusCode;
    use axum::routing::post;

    use super::*;

    /// A wait that is not over by then fails the test; nothing depends on how long it takes.
    const PATIENCE_OF_TEST: Duration = Duration::from_secs(30);

    #[tokio::test]
    async fn what_a_collector_refuses_is_dropped_and_counted() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("bound");
        let refuse = async || StatusCode::BAD_REQUEST;
        let router = axum::Router::new().route("/v1/traces", post(refuse));
        tokio::spawn(async move { axum::serve(listener, router).await });
        let endpoint = format!("http://{address}");
        let (exporter, task) = Exporter::start(&endpoint, Vec::new(), "test", client().expect("a client"));
        let counters = Arc::clone(&exporter.counters);
        exporter.take(vec![json!({}), json!({})]);
        exporter.take(vec![json!({})]);
        // The task ends when nobody has spans any more, and what waited was tried.
        drop(exporter);
        tokio::time::timeout(PATIENCE_OF_TEST, task)
            .await
            .expect("in time")
            .expect("ended");
        assert_eq!(counters.read(), [0, 3]);
    }

    #[tokio::test]
    async fn a_collector_that_does_not_answer_holds_nobody_up() {
        // It accepts, and says nothing.
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let endpoint = format!("http://{}", listener.local_addr().expect("bound"));
        let (exporter, task) = Exporter::start(&endpoint, Vec::new(), "test", client().expect("a client"));
        let many = WAITING + BATCH + 10;
        for _ in 0..many {
            exporter.take(vec![json!({})]);
        }
        let [sent, dropped] = exporter.counters.read();
        assert!(sent == 0 && dropped >= 10 && dropped < many as u64, "{dropped}");
        task.abort();
    }
}
