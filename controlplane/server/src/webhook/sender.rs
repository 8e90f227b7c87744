//! One attempt to tell an event: signed, posted, and what the answer means.

use std::error::Error as _;
use std::time::Duration;

use jiff::Timestamp;
use reqwest::StatusCode;

use super::address::{PublicOnly, Refused, problem};
use crate::config;

/// Bytes of an answer that are read, so that its connection can be used again: nobody needs them.
const READ: usize = 16 << 10;

/// How long they may take. A connection that is slower is closed.
const EMPTY: Duration = Duration::from_millis(100);

/// The HTTP clients of all endpoints.
#[derive(Clone, Debug)]
pub(crate) struct Clients {
    public: reqwest::Client,
    any: reqwest::Client,
}

impl Clients {
    /// # Errors
    /// Where TLS cannot be set up.
    pub(crate) fn new() -> Result<Clients, reqwest::Error> {
        Clients::over(PublicOnly::new())
    }

    pub(super) fn over(resolver: PublicOnly) -> Result<Clients, reqwest::Error> {
        let builder = || {
            reqwest::Client::builder()
                // Who answers with a redirect gets nothing there: the signature is for this address.
                .redirect(reqwest::redirect::Policy::none())
                .no_proxy()
                .user_agent(concat!("Baton/", env!("CARGO_PKG_VERSION")))
        };
        Ok(Clients {
            public: builder().dns_resolver(resolver).build()?,
            any: builder().build()?,
        })
    }

    fn of(&self, to: &config::Address) -> reqwest::Client {
        match to.allow_private {
            true => self.any.clone(),
            false => self.public.clone(),
        }
    }
}

/// Posts to one endpoint.
#[derive(Debug)]
pub(crate) struct Sender {
    config: config::Webhook,
    poster: Poster,
}

/// Posts to one address, signed after Standard Webhooks.
#[derive(Debug)]
pub(crate) struct Poster {
    client: reqwest::Client,
    to: config::Address,
    timeout: Duration,
    /// Why nothing is posted at all: an address in the URL is looked up by nobody.
    refused: Option<String>,
}

/// What came of an attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Outcome {
    /// The HTTP status, or why there is none.
    pub(crate) answer: String,
    pub(crate) means: Means,
}

/// What that means for the event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Means {
    /// 2xx: the endpoint has it.
    Taken,
    /// 410: it will never take any.
    Gone,
    /// Everything else: once more, and not before the time that the endpoint asks for.
    Later(Option<Duration>),
}

impl Sender {
    pub(crate) fn new(config: config::Webhook, clients: &Clients) -> Sender {
        let poster = Poster::new(config.to.clone(), config.timeout, clients);
        Sender { config, poster }
    }

    pub(crate) fn config(&self) -> &config::Webhook {
        &self.config
    }

    /// Makes one attempt.
    pub(crate) async fn post(&self, id: &str, body: &str) -> Outcome {
        match self.poster.post(id, "application/cloudevents+json", body).await {
            Err(why) => Outcome {
                answer: why,
                means: Means::Later(None),
            },
            Ok(mut answer) => {
                let status = answer.status();
                let means = match status {
                    StatusCode::GONE => Means::Gone,
                    status if status.is_success() => Means::Taken,
                    _ => Means::Later(retry_after(answer.headers(), Timestamp::now())),
                };
                let _ = tokio::time::timeout(EMPTY, empty(&mut answer)).await;
                Outcome {
                    answer: status.as_u16().to_string(),
                    means,
                }
            }
        }
    }
}

impl Poster {
    pub(crate) fn new(to: config::Address, timeout: Duration, clients: &Clients) -> Poster {
        let url = reqwest::Url::parse(&to.url).ok();
        let refused = url.filter(|_| !to.allow_private).and_then(|url| problem(&url));
        Poster {
            client: clients.of(&to),
            to,
            timeout,
            refused: refused.map(|problem| format!("refused: {problem}; allow_private takes it")),
        }
    }

    /// Posts once. An error is in words: `timeout`, `no connection`.
    pub(crate) async fn post(&self, id: &str, kind: &str, body: &str) -> Result<reqwest::Response, String> {
        if let Some(refused) = &self.refused {
            return Err(refused.clone());
        }
        let now = Timestamp::now().as_second();
        let answer = self
            .client
            .post(&self.to.url)
            .timeout(self.timeout)
            .header("content-type", kind)
            .header(standardwebhooks::HEADER_WEBHOOK_ID, id)
            .header(standardwebhooks::HEADER_WEBHOOK_TIMESTAMP, now)
            .header(
                standardwebhooks::HEADER_WEBHOOK_SIGNATURE,
                self.signatures(id, now, body)?,
            )
            .body(body.to_owned())
            .send()
            .await;
        answer.map_err(|error| match error {
            error if error.is_timeout() => "timeout".to_owned(),
            error => match refused(&error) {
                Some(refused) => refused.to_string(),
                None if error.is_connect() => "no connection".to_owned(),
                None => error.without_url().to_string(),
            },
        })
    }

    /// One of each secret, with a blank between.
    fn signatures(&self, id: &str, now: i64, body: &str) -> Result<String, String> {
        let mut signatures = Vec::new();
        for secret in &self.to.secrets {
            let signer = standardwebhooks::Webhook::new(secret.reveal());
            let signature = signer.and_then(|signer| signer.sign(id, now, body.as_bytes()));
            signatures.push(signature.map_err(|error| error.to_string())?);
        }
        Ok(signatures.join(" "))
    }
}

/// Reads a body up to its bound. What is longer, or never ends, is left, and its connection with it.
async fn empty(answer: &mut reqwest::Response) {
    let mut read = 0;
    while let Ok(Some(chunk)) = answer.chunk().await {
        read += chunk.len();
        if read > READ {
            return;
        }
    }
}

/// Whether the address was the reason.
fn refused(error: &reqwest::Error) -> Option<&Refused> {
    let mut cause = error.source();
    while let Some(error) = cause {
        if let Some(refused) = error.downcast_ref() {
            return Some(refused);
        }
        cause = error.source();
    }
    None
}

/// `Retry-After`: seconds, or a date (RFC 9110 §10.2.3). `None` where it is absent, past or neither.
pub(super) fn retry_after(headers: &reqwest::header::HeaderMap, now: Timestamp) -> Option<Duration> {
    let text = headers.get(reqwest::header::RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let at = jiff::fmt::rfc2822::parse(text).ok()?.timestamp();
    Duration::try_from(at.duration_since(now)).ok()
}
