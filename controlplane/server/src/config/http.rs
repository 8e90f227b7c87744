//! `[http]` and `[[http.keys]]`.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
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
    /// `[[http.keys]]`
    pub keys: Vec<Key>,
}

/// `[[http.keys]]`
#[derive(Clone, Debug)]
pub struct Key {
    /// For logs.
    pub name: String,
    /// What the client sends.
    pub key: Secret,
    /// What it may do.
    pub scope: Scope,
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
        keys,
    };
    table.finish();
    http
}
