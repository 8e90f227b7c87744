//! The configuration file: text in, checked values or all its problems out.
//!
//! The file is read key by key (`config/reader.rs`); every key that is read is known, and any other is a problem. Each section
//! has one function below, and one struct of checked values.

mod reader;
mod secret;

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;
use std::time::Duration;

use calls::config::{AiAgent, Deadlines, Trunk};
use media::command::Latch;
use playbook::{Accept, Mode, Playbook};
use toml::de::DeTable;

pub use reader::Problem;
pub use secret::Secret;

use crate::prompts::{self, BuiltIn, Prompt};
use reader::{Reader, Table};

/// A checked configuration. `Debug` never prints a secret.
#[derive(Clone, Debug)]
pub struct Config {
    /// `[node]`
    pub node: Node,
    /// `[sip]`
    pub sip: Sip,
    /// `[media]`
    pub media: Media,
    /// `[http]`
    pub http: Http,
    /// `[[trunks]]`
    pub trunks: Vec<Trunk>,
    /// `[[ai_agents]]`
    pub ai_agents: Vec<AiAgent>,
    /// `[[targets]]`
    pub targets: Vec<Target>,
    /// `[playbook]`
    pub playbook: Playbook,
    /// The times of `[playbook]`, and `media.applied_ms`.
    pub deadlines: Deadlines,
    /// `[prompts]`
    pub prompts: Prompts,
    /// `[[webhooks]]`
    pub webhooks: Vec<Webhook>,
}

/// `[node]`
#[derive(Clone, Debug)]
pub struct Node {
    /// In the `source` of events and in RTCP's CNAME.
    pub name: String,
    /// How long a stop waits for running calls.
    pub drain: Duration,
    /// Handoff records that are kept; the oldest closed ones go first.
    pub handoff_records: usize,
    /// What is logged, as in `RUST_LOG`.
    pub log: String,
    /// One JSON object a line instead of text.
    pub log_json: bool,
}

/// `[sip]`
#[derive(Clone, Debug)]
pub struct Sip {
    /// UDP. Port 0 takes a free one.
    pub listen: SocketAddr,
    /// What peers are told, where it differs.
    pub advertise: Option<SocketAddr>,
    /// `User-Agent` and `Server`.
    pub user_agent: String,
    /// Round-trip estimate (RFC 3261 §17.1.1.1).
    pub t1: Duration,
    /// Longest retransmission interval.
    pub t2: Duration,
    /// Longest that a message stays in the network.
    pub t4: Duration,
    /// Transactions alive at the most.
    pub transactions: usize,
}

/// `[media]`
#[derive(Clone, Debug)]
pub struct Media {
    /// The address of the RTP sockets.
    pub listen: IpAddr,
    /// The address in SDP, where it differs.
    pub advertise: Option<IpAddr>,
    /// Lowest RTP port, even.
    pub first_port: u16,
    /// Pairs of ports of each worker.
    pub ports_per_worker: u16,
    /// Threads.
    pub workers: u16,
    /// The core of each worker; empty: none is pinned.
    pub cores: Vec<usize>,
    /// Calls that each worker can hold.
    pub sessions_per_worker: usize,
    /// Packet buffers of each worker.
    pub buffers_per_worker: u16,
    /// Who may send to a leg's port.
    pub latch: Latch,
}

/// `[http]`
#[derive(Clone, Debug)]
pub struct Http {
    /// Port 0 takes a free one.
    pub listen: SocketAddr,
    /// How others reach it; from `listen` where absent. Without a slash at the end.
    pub public_url: Option<String>,
    /// The largest body, bytes.
    pub body_limit: usize,
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

/// `[[targets]]`
#[derive(Clone, Debug)]
pub struct Target {
    /// Its name.
    pub name: String,
    /// `sip:…`
    pub uri: String,
    /// Where its INVITE is sent.
    pub next_hop: SocketAddr,
    /// How long it may ring.
    pub ring: Duration,
    /// In place of the default briefing.
    pub briefing: Option<Prompt>,
}

/// `[prompts]`
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "they are those of `BuiltIn`")]
pub struct Prompts {
    pub announcement: Prompt,
    pub hold: Prompt,
    pub briefing: Prompt,
    pub busy: Prompt,
    pub no_answer: Prompt,
    pub failed: Prompt,
    pub goodbye: Prompt,
}

/// `[[webhooks]]`
#[derive(Clone, Debug)]
pub struct Webhook {
    /// For records and metrics.
    pub name: String,
    /// Where events are posted.
    pub url: String,
    /// Each signs; several while one is being replaced.
    pub secrets: Vec<Secret>,
    /// Types of events that are sent; empty: all.
    pub types: Vec<String>,
    /// Of one attempt.
    pub timeout: Duration,
    /// Attempts before an event is given up.
    pub attempts: u32,
    /// Pause after the first failure; doubled each time.
    pub retry: Duration,
    /// The longest pause.
    pub retry_max: Duration,
    /// Events that may wait; further ones are dropped and counted.
    pub queue: usize,
}

/// Types of events that a webhook can ask for.
pub const EVENT_TYPES: [&str; 11] = [
    "baton.call.started",
    "baton.call.ended",
    "baton.handoff.requested",
    "baton.handoff.ringing",
    "baton.handoff.answered",
    "baton.handoff.accepted",
    "baton.handoff.joined",
    "baton.handoff.completed",
    "baton.handoff.failed",
    "baton.handoff.returned",
    "baton.context.updated",
];

/// Sections of the contract that this version does not have.
const NOT_BUILT: [&str; 4] = ["budget", "store", "recording", "hours"];

impl Config {
    /// Checks the text of a file. `folder` is what relative paths in it start from.
    ///
    /// # Errors
    /// All problems of the file, in its order.
    pub fn from_toml(text: &str, folder: &Path) -> Result<Config, Vec<Problem>> {
        let (config, problems, _) = check(text, folder);
        match config {
            Some(config) if problems.is_empty() => Ok(config),
            _ => Err(problems),
        }
    }

    /// Reads and checks a file.
    ///
    /// # Errors
    /// All problems of the file, in its order; one of line 0 where it cannot be read.
    pub fn from_file(path: &Path) -> Result<Config, Vec<Problem>> {
        let text = std::fs::read_to_string(path).map_err(|error| {
            vec![Problem {
                line: 0,
                key: String::new(),
                message: format!("cannot be read: {error}"),
            }]
        })?;
        Config::from_toml(&text, path.parent().unwrap_or(Path::new("")))
    }
}

/// The configuration (`None` where it is not even TOML), all problems, and all keys that were asked for.
fn check(text: &str, folder: &Path) -> (Option<Config>, Vec<Problem>, Vec<String>) {
    let reader = Reader::new(text, folder);
    let (document, errors) = DeTable::parse_recoverable(text);
    if !errors.is_empty() {
        for error in errors {
            let line = error.span().map_or(0, |span| reader.line(span.start));
            reader.problem(line, "", format!("not TOML: {}", error.message()));
        }
        let (problems, known) = reader.finish();
        return (None, problems, known);
    }
    let root = Table::root(&reader, document.get_ref());

    let node = node(root.table("node"));
    let sip = sip(root.table("sip"));
    let (media, applied) = media(root.table("media"));
    let ai_agents = ai_agents(&root);
    let http = http(root.table("http"), &ai_agents);
    let trunks = trunks(&root, &ai_agents);
    let targets = targets(&root);
    let (playbook, deadlines) = playbook(root.table("playbook"), &targets, applied);
    let prompts = prompts(root.table("prompts"));
    let webhooks = webhooks(&root);
    for section in NOT_BUILT {
        root.not_built(section);
    }
    root.finish();

    let config = Config {
        node,
        sip,
        media,
        http,
        trunks,
        ai_agents,
        targets,
        playbook,
        deadlines,
        prompts,
        webhooks,
    };
    let (problems, known) = reader.finish();
    (Some(config), problems, known)
}

fn node(table: Table<'_, '_>) -> Node {
    let node = Node {
        name: text(&table, "name", "baton"),
        drain: seconds(&table, "drain_s", 0..=3600, 30),
        handoff_records: count(&table, "handoff_records", 1..=1_000_000, 10_000),
        log: text(&table, "log", "info"),
        log_json: table.boolean("log_json").unwrap_or(false),
    };
    table.finish();
    node
}

fn sip(table: Table<'_, '_>) -> Sip {
    const ADDRESS: &str = "an address and a port, as 192.0.2.1:5060 or [2001:db8::1]:5060";
    let listen = table.parsed::<SocketAddr>("listen", ADDRESS);
    let advertise = table.parsed::<SocketAddr>("advertise", ADDRESS);
    if let (Some(listen), None) = (&listen, &advertise)
        && listen.value.ip().is_unspecified()
    {
        let message = "names no address that peers could reach: set sip.advertise to the one that they reach";
        table.problem(listen.line, "listen", message);
    }
    if let Some(advertise) = &advertise
        && (advertise.value.ip().is_unspecified() || advertise.value.port() == 0)
    {
        table.problem(
            advertise.line,
            "advertise",
            "must be an address and a port that peers can reach",
        );
    }
    let sip = Sip {
        listen: listen.map_or(SocketAddr::from((Ipv4Addr::LOCALHOST, 5060)), |found| found.value),
        advertise: advertise.map(|found| found.value),
        user_agent: text(&table, "user_agent", concat!("Baton/", env!("CARGO_PKG_VERSION"))),
        t1: milliseconds(&table, "t1_ms", 10..=10_000, 500),
        t2: milliseconds(&table, "t2_ms", 10..=60_000, 4_000),
        t4: milliseconds(&table, "t4_ms", 10..=60_000, 5_000),
        transactions: count(&table, "transactions", 16..=10_000_000, 20_000),
    };
    table.finish();
    sip
}

fn media(table: Table<'_, '_>) -> (Media, Duration) {
    const ADDRESS: &str = "an address, as 192.0.2.1 or 2001:db8::1";
    let listen = table.parsed::<IpAddr>("listen", ADDRESS);
    let advertise = table.parsed::<IpAddr>("advertise", ADDRESS);
    if let (Some(listen), None) = (&listen, &advertise)
        && listen.value.is_unspecified()
    {
        let message = "names no address that peers could reach: set media.advertise to the one that they reach";
        table.problem(listen.line, "listen", message);
    }
    if let Some(advertise) = &advertise
        && advertise.value.is_unspecified()
    {
        table.problem(advertise.line, "advertise", "must be an address that peers can reach");
    }
    let first_port = table.integer("first_port", 1024..=65_534);
    if let Some(first_port) = &first_port
        && !first_port.value.is_multiple_of(2)
    {
        table.problem(
            first_port.line,
            "first_port",
            "must be even: RTCP is on the odd port above (RFC 3550 §11)",
        );
    }
    let cores = table.integers("cores", 0..=4095);
    let buffers = table.integer("buffers_per_worker", 64..=32_768);
    if let Some(buffers) = &buffers
        && !buffers.value.is_power_of_two()
    {
        table.problem(buffers.line, "buffers_per_worker", "must be a power of two");
    }
    let media = Media {
        listen: listen.map_or(IpAddr::V4(Ipv4Addr::LOCALHOST), |found| found.value),
        advertise: advertise.map(|found| found.value),
        first_port: first_port.as_ref().map_or(20_000, |found| found.value as u16),
        ports_per_worker: count(&table, "ports_per_worker", 1..=32_000, 500) as u16,
        workers: count(&table, "workers", 1..=256, 1) as u16,
        cores: cores
            .as_ref()
            .map(|found| found.value.iter().map(|&core| core as usize).collect())
            .unwrap_or_default(),
        sessions_per_worker: count(&table, "sessions_per_worker", 1..=100_000, 1024),
        buffers_per_worker: buffers.map_or(4096, |found| found.value as u16),
        latch: table
            .choice(
                "latch",
                &[
                    ("signalled-ip", Latch::SignalledIp),
                    ("nat", Latch::Nat),
                    ("off", Latch::Off),
                ],
            )
            .unwrap_or(Latch::SignalledIp),
    };
    if let Some(cores) = cores
        && !media.cores.is_empty()
        && media.cores.len() != usize::from(media.workers)
    {
        let message = format!("must name one core for each of the {} workers, or none", media.workers);
        table.problem(cores.line, "cores", message);
    }
    let last = u32::from(media.first_port) + 2 * u32::from(media.workers) * u32::from(media.ports_per_worker);
    if last > 65_536 {
        let message = format!(
            "{} workers with {} pairs of ports from {} on go beyond port 65535",
            media.workers, media.ports_per_worker, media.first_port
        );
        let line = first_port.map_or(table.line, |found| found.line);
        table.problem(line, "first_port", message);
    }
    let applied = milliseconds(&table, "applied_ms", 20..=10_000, 500);
    table.finish();
    (media, applied)
}

fn http(table: Table<'_, '_>, agents: &[AiAgent]) -> Http {
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
        keys,
    };
    table.finish();
    http
}

fn ai_agents(root: &Table<'_, '_>) -> Vec<AiAgent> {
    let mut names = BTreeMap::new();
    let mut agents = Vec::new();
    for entry in root.tables("ai_agents") {
        let name = unique(&entry, "name", &mut names);
        if let (Some(name), Some((uri, next_hop))) = (name, sip_peer(&entry)) {
            agents.push(AiAgent { name, uri, next_hop });
        }
        entry.finish();
    }
    agents
}

fn trunks(root: &Table<'_, '_>, agents: &[AiAgent]) -> Vec<Trunk> {
    let mut names = BTreeMap::new();
    let mut trunks = Vec::new();
    for entry in root.tables("trunks") {
        let name = unique(&entry, "name", &mut names);
        let addresses = match entry.strings("addresses") {
            None => vec![IpAddr::V4(Ipv4Addr::LOCALHOST)],
            Some(found) => {
                let mut addresses = Vec::new();
                for item in found.value {
                    match item.value.parse() {
                        Ok(address) => addresses.push(address),
                        Err(_) => {
                            let message =
                                format!("must be a list of addresses, as 192.0.2.1; {:?} is none", item.value);
                            entry.problem(item.line, "addresses", message);
                        }
                    }
                }
                addresses
            }
        };
        let ai_agent = entry.string("ai_agent");
        if let Some(agent) = &ai_agent {
            reference(
                &entry,
                "ai_agent",
                agent,
                "ai_agents",
                agents.iter().map(|agent| &*agent.name),
            );
        } else if agents.is_empty() {
            entry.problem(
                entry.line,
                "ai_agent",
                "nobody would answer: there are no [[ai_agents]]",
            );
        }
        if let Some(name) = name {
            trunks.push(Trunk {
                name,
                addresses,
                ai_agent: ai_agent.map(|agent| agent.value),
            });
        }
        entry.finish();
    }
    trunks
}

fn targets(root: &Table<'_, '_>) -> Vec<Target> {
    let mut names = BTreeMap::new();
    let mut targets = Vec::new();
    for entry in root.tables("targets") {
        let name = unique(&entry, "name", &mut names);
        let peer = sip_peer(&entry);
        let ring = seconds(&entry, "ring_s", 1..=600, 20);
        let briefing = prompt(&entry, "briefing");
        if let (Some(name), Some((uri, next_hop))) = (name, peer) {
            targets.push(Target {
                name,
                uri,
                next_hop,
                ring,
                briefing,
            });
        }
        entry.finish();
    }
    targets
}

fn playbook(table: Table<'_, '_>, targets: &[Target], applied: Duration) -> (Playbook, Deadlines) {
    let names = || targets.iter().map(|target| &*target.name);
    let order = match table.strings("targets") {
        None => names().map(str::to_owned).collect(),
        Some(found) => {
            for name in &found.value {
                reference(&table, "targets", name, "targets", names());
            }
            found.value.into_iter().map(|name| name.value).collect()
        }
    };
    let phrases = table.strings("request_phrases").map_or_else(
        || DEFAULT_PHRASES.iter().map(|&phrase| phrase.to_owned()).collect(),
        |found| found.value.into_iter().map(|phrase| phrase.value).collect(),
    );
    let required = table.strings("required").map_or_else(
        || DEFAULT_REQUIRED.iter().map(|&element| element.to_owned()).collect(),
        |found| found.value.into_iter().map(|element| element.value).collect(),
    );
    let playbook = Playbook {
        mode: table
            .choice("mode", &[("warm", Mode::Warm), ("cold", Mode::Cold)])
            .unwrap_or(Mode::Warm),
        accept: table
            .choice(
                "accept",
                &[("answer", Accept::Answer), ("key", Accept::Key), ("api", Accept::Api)],
            )
            .unwrap_or(Accept::Answer),
        targets: order,
        request_phrases: phrases,
        required,
    };
    let deadlines = Deadlines {
        ai_answer: seconds(&table, "ai_answer_s", 1..=120, 10),
        accept: seconds(&table, "accept_s", 1..=600, 30),
        reach: seconds(&table, "reach_s", 1..=3600, 90),
        applied,
    };
    if let Some(rules) = table.tables("rules").first() {
        table.problem(rules.line, "rules", "is not built yet: remove it");
    }
    table.finish();
    (playbook, deadlines)
}

const DEFAULT_PHRASES: [&str; 6] = [
    "speak to a human",
    "talk to a human",
    "speak to a person",
    "talk to a person",
    "real person",
    "human agent",
];

const DEFAULT_REQUIRED: [&str; 2] = ["summary", "intent"];

fn prompts(table: Table<'_, '_>) -> Prompts {
    let one = |key, built_in: BuiltIn| prompt(&table, key).unwrap_or_else(|| built_in.prompt());
    let prompts = Prompts {
        announcement: one("announcement", BuiltIn::Announcement),
        hold: one("hold", BuiltIn::Hold),
        briefing: one("briefing", BuiltIn::Briefing),
        busy: one("busy", BuiltIn::Busy),
        no_answer: one("no_answer", BuiltIn::NoAnswer),
        failed: one("failed", BuiltIn::Failed),
        goodbye: one("goodbye", BuiltIn::Goodbye),
    };
    table.finish();
    prompts
}

fn webhooks(root: &Table<'_, '_>) -> Vec<Webhook> {
    let mut names = BTreeMap::new();
    let mut webhooks = Vec::new();
    for entry in root.tables("webhooks") {
        let name = unique(&entry, "name", &mut names);
        let url = entry.required("url");
        if let Some(url) = &url
            && !is_http_url(&url.value)
        {
            entry.problem(url.line, "url", "must be http://… or https://…");
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
            Some(found) => entry.problem(found.line, "secrets", "is empty: an event must be signed"),
            None if !entry.has("secrets") => entry.problem(entry.line, "secrets", "is missing: it has no default"),
            None => {}
        }
        let types = entry.strings("types").map(|found| found.value).unwrap_or_default();
        for kind in &types {
            if !EVENT_TYPES.contains(&&*kind.value) {
                let hint = reader::nearest(&kind.value, EVENT_TYPES.into_iter());
                entry.problem(kind.line, "types", format!("there is no event {:?}{hint}", kind.value));
            }
        }
        let webhook = Webhook {
            name: name.unwrap_or_default(),
            url: url.map(|url| url.value).unwrap_or_default(),
            secrets: secrets
                .map(|found| found.value.into_iter().map(|secret| secret.value).collect())
                .unwrap_or_default(),
            types: types.into_iter().map(|kind| kind.value).collect(),
            timeout: milliseconds(&entry, "timeout_ms", 10..=120_000, 10_000),
            attempts: count(&entry, "attempts", 1..=100, 12) as u32,
            retry: milliseconds(&entry, "retry_ms", 1..=3_600_000, 1_000),
            retry_max: milliseconds(&entry, "retry_max_ms", 1..=86_400_000, 300_000),
            queue: count(&entry, "queue", 1..=1_000_000, 10_000),
        };
        webhooks.push(webhook);
        entry.finish();
    }
    webhooks
}

fn text(table: &Table<'_, '_>, key: &'static str, default: &str) -> String {
    match table.string(key) {
        Some(found) if found.value.is_empty() || found.value.contains(char::is_control) => {
            table.problem(found.line, key, "must be some text without control characters");
            default.to_owned()
        }
        Some(found) => found.value,
        None => default.to_owned(),
    }
}

fn count(table: &Table<'_, '_>, key: &'static str, range: std::ops::RangeInclusive<u64>, default: usize) -> usize {
    table.integer(key, range).map_or(default, |found| found.value as usize)
}

fn seconds(table: &Table<'_, '_>, key: &'static str, range: std::ops::RangeInclusive<u64>, default: u64) -> Duration {
    Duration::from_secs(table.integer(key, range).map_or(default, |found| found.value))
}

fn milliseconds(
    table: &Table<'_, '_>,
    key: &'static str,
    range: std::ops::RangeInclusive<u64>,
    default: u64,
) -> Duration {
    Duration::from_millis(table.integer(key, range).map_or(default, |found| found.value))
}

fn prompt(table: &Table<'_, '_>, key: &'static str) -> Option<Prompt> {
    let path = table.string(key)?;
    match prompts::read(&table.reader.folder.join(&path.value)) {
        Ok(prompt) => Some(prompt),
        Err(message) => {
            table.problem(path.line, key, message);
            None
        }
    }
}

/// A name that no other entry of the list has.
fn unique(table: &Table<'_, '_>, key: &'static str, names: &mut BTreeMap<String, usize>) -> Option<String> {
    let name = table.required(key)?;
    if let Some(line) = names.insert(name.value.clone(), name.line) {
        table.problem(
            name.line,
            key,
            format!("{:?} is already the name in line {line}", name.value),
        );
    }
    Some(name.value)
}

fn reference<'n>(
    table: &Table<'_, '_>,
    key: &'static str,
    name: &reader::At<String>,
    list: &str,
    names: impl Iterator<Item = &'n str> + Clone,
) {
    if !names.clone().any(|known| known == name.value) {
        let hint = reader::nearest(&name.value, names);
        table.problem(
            name.line,
            key,
            format!("no entry of [[{list}]] has the name {:?}{hint}", name.value),
        );
    }
}

/// `uri` and `next_hop`: the latter from the former where its host is an address.
fn sip_peer(table: &Table<'_, '_>) -> Option<(String, SocketAddr)> {
    let uri = table.required("uri");
    let next_hop = table.parsed::<SocketAddr>("next_hop", "an address and a port, as 192.0.2.1:5060");
    let uri = uri?;
    let Some(host) = uri.value.strip_prefix("sip:").filter(|rest| !rest.is_empty()) else {
        table.problem(
            uri.line,
            "uri",
            "must be sip:user@host (sips: and tel: are not built yet)",
        );
        return None;
    };
    if uri
        .value
        .contains(|c: char| c.is_whitespace() || c.is_control() || "<>\"".contains(c))
    {
        table.problem(uri.line, "uri", "must be a bare URI: no blank, quote or angle bracket");
        return None;
    }
    if let Some(next_hop) = next_hop {
        return Some((uri.value, next_hop.value));
    }
    let host = host.rsplit_once('@').map_or(host, |(_, host)| host);
    let host = host.split([';', '?']).next().unwrap_or(host);
    let address = host.parse::<SocketAddr>().ok().or_else(|| {
        let bare = host
            .strip_prefix('[')
            .and_then(|host| host.strip_suffix(']'))
            .unwrap_or(host);
        bare.parse::<IpAddr>().ok().map(|ip| SocketAddr::from((ip, 5060)))
    });
    match address {
        Some(address) => Some((uri.value, address)),
        None => {
            let message = format!("{host:?} is not an address, and names are not looked up yet: set next_hop");
            table.problem(uri.line, "uri", message);
            None
        }
    }
}

fn is_http_url(text: &str) -> bool {
    reqwest::Url::parse(text).is_ok_and(|url| matches!(url.scheme(), "http" | "https") && url.has_host())
}

#[cfg(test)]
mod tests;
