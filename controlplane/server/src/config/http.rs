//! `[http]` and `[[http.keys]]`.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use calls::config::AiAgent;

use super::Secret;
use super::reader::Table;
use super::values::{count, is_http_url, reference, seconds, unique};

/// `[http]`
#[derive(Clone, Debug)]
pub struct Http {
    /// Port 0 takes a free one.
    pub listen: SocketAddr,
    /// How others reach it; from `listen` where absent. Without a slash at the end.
    pub public_url: Option<String>,
    /// The largest body, bytes.
    pub body_limit: usize,
    /// A request's header must be there within, and then its body; a connection without a request is closed after it, as is one
    /// whose client does not read its answer for so long.
    pub request: Duration,
    /// How long after its end the context of a handoff can be read with the URL that the human's phone got.
    pub context: Duration,
    /// `[http.tls]`; `None`: in plain text.
    pub tls: Option<Tls>,
    /// Readers of events at one time.
    pub event_readers: usize,
    /// A reader of events to whom nothing was said for so long is told that we are still there.
    pub heartbeat: Duration,
    /// `[[http.keys]]`
    pub keys: Vec<Key>,
}

/// `[http.tls]`: PEM files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tls {
    /// The certificate, and after it those that signed it.
    pub cert: PathBuf,
    /// Its private key.
    pub key: PathBuf,
}

/// `[[http.keys]]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Key {
    /// For logs.
    pub name: String,
    /// What the client sends.
    pub key: Secret,
    /// What it may do.
    pub scope: Scope,
    /// How often it may ask.
    pub rate: Rate,
}

/// How often something may be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// In the long run.
    pub per_second: u32,
    /// At once, after a pause.
    pub burst: u32,
}

impl Rate {
    /// Of a key that says nothing else: twice what an AI platform of 1,000 turns a second needs with its contexts.
    pub const DEFAULT: Rate = Rate {
        per_second: 2_000,
        burst: 4_000,
    };
}

/// What a key may do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scope {
    /// Turns, context and handoffs of the calls of this agent; others do not exist for it.
    Ai(String),
    /// See all; accept, decline, cancel.
    Desk,
    /// Everything.
    Admin,
}

pub(super) fn read(table: Table<'_, '_>, agents: &[AiAgent]) -> Http {
    let listen = table.parsed::<SocketAddr>("listen", "an address and a port, as 127.0.0.1:8080");
    let public_url = table.string("public_url");
    if let Some(url) = &public_url
        && !is_http_url(&url.value)
    {
        table.problem(
            url.line,
            "public_url",
            "must be http://host or https://host, with a port where needed",
        );
    }
    let mut names = BTreeMap::new();
    let mut keys: Vec<Key> = Vec::new();
    for entry in table.tables("keys") {
        let name = unique(&entry, "name", &mut names);
        let secret = entry.secret("key");
        if !entry.has("key") {
            entry.problem(entry.line, "key", "is missing: it has no default");
        }
        let agent = entry.string("agent");
        let scope = entry.choice("scope", &[("ai", 0), ("desk", 1), ("admin", 2)]);
        let scope = match (scope, &agent) {
            (Some(0), Some(agent)) => {
                reference(
                    &entry,
                    "agent",
                    agent,
                    "ai_agents",
                    agents.iter().map(|agent| &*agent.name),
                );
                Some(Scope::Ai(agent.value.clone()))
            }
            (Some(0), None) => {
                entry.problem(
                    entry.line,
                    "agent",
                    "is missing: a key of scope \"ai\" belongs to one agent",
                );
                None
            }
            (scope, agent) => {
                if let Some(agent) = agent {
                    entry.problem(agent.line, "agent", "is only for keys of scope \"ai\"");
                }
                scope.map(|scope| if scope == 1 { Scope::Desk } else { Scope::Admin })
            }
        };
        let rate = Rate {
            per_second: count(&entry, "per_second", 1..=1_000_000, Rate::DEFAULT.per_second as usize) as u32,
            burst: count(&entry, "burst", 1..=1_000_000, Rate::DEFAULT.burst as usize) as u32,
        };
        if let Some(secret) = &secret
            && keys.iter().any(|key| key.key == secret.value)
        {
            entry.problem(secret.line, "key", "is the same as another key's");
        }
        if !entry.has("scope") {
            entry.problem(entry.line, "scope", "is missing: \"ai\", \"desk\" or \"admin\"");
        }
        if let (Some(name), Some(key), Some(scope)) = (name, secret, scope) {
            keys.push(Key {
                name,
                key: key.value,
                scope,
                rate,
            });
        }
        entry.finish();
    }
    if let Some(listen) = &listen
        && !listen.value.ip().is_loopback()
        && keys.is_empty()
    {
        let message = "is not loopback, and without [[http.keys]] everybody there could take over calls: \
                       add a key, or listen on 127.0.0.1";
        table.problem(listen.line, "listen", message);
    }
    let http = Http {
        listen: listen.map_or(SocketAddr::from((Ipv4Addr::LOCALHOST, 8080)), |found| found.value),
        public_url: public_url.map(|url| url.value.trim_end_matches('/').to_owned()),
        body_limit: count(&table, "body_limit", 1024..=64 << 20, 256 << 10),
        request: seconds(&table, "request_s", 1..=300, 15),
        context: seconds(&table, "context_s", 0..=86_400, 300),
        tls: tls(table.table("tls")),
        event_readers: count(&table, "event_readers", 0..=10_000, 64),
        heartbeat: seconds(&table, "heartbeat_s", 1..=300, 15),
        keys,
    };
    table.finish();
    http
}

fn tls(table: Table<'_, '_>) -> Option<Tls> {
    let (cert, key) = (table.string("cert"), table.string("key"));
    for (this, other, name) in [(&cert, &key, "key"), (&key, &cert, "cert")] {
        if let (Some(this), None) = (this, other) {
            table.problem(this.line, name, "is missing: TLS needs a certificate and its key");
        }
    }
    let tls = cert.zip(key).map(|(cert, key)| Tls {
        cert: table.path(&cert.value),
        key: table.path(&key.value),
    });
    table.finish();
    tls
}
