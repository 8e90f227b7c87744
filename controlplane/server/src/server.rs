//! A running server: the parts put together, and taken apart again.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use calls::node::Node;
use calls::request::{Request, Response};
use engine::{Engine, EngineConfig, TaskRun, WorkerConfig};
use media::command::PromptId;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::config::{Config, Sip};
use crate::event::Teller;
use crate::http;
use crate::ids::{self, Clock};
use crate::journal::{Journal, lock};
use crate::otlp::export::Exporter;
use crate::otlp::{self, Otlp};
use crate::prompts::Prompt;
use crate::run::{Datagrams, NodeHandle, Run, Sockets};
use crate::sip_transport::tcp::{self, Tcp};
use crate::sip_transport::udp::Udp;
use crate::store::recovery::Recovery;
use crate::store::{Database, Life, Place, Store, prune};
use crate::tap::collector::Collector;
use crate::tap::hep::Agent;
use crate::tap::traces::Traces;
use crate::tap::{Capture, Tap};
use crate::webhook;

/// How often a stop looks whether the calls are over.
const LOOK: Duration = Duration::from_millis(50);

/// A running server: engine, node, SIP, HTTP and webhooks. Stop it with [`Server::stop`].
#[derive(Debug)]
pub struct Server {
    sip: SocketAddr,
    http: SocketAddr,
    drain: Duration,
    stop: Duration,
    draining: Arc<AtomicBool>,
    node: NodeHandle,
    closing: watch::Sender<bool>,
    run: JoinHandle<()>,
    http_task: JoinHandle<()>,
    life: Life,
    recovery: JoinHandle<()>,
    pruning: JoinHandle<()>,
    store: Store,
    store_task: JoinHandle<()>,
    told: watch::Sender<bool>,
    webhooks: Vec<JoinHandle<()>>,
    /// Sends traces of handoffs.
    otlp: Option<JoinHandle<()>>,
}

/// Why a server cannot start: what to do about it is in the text.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The data plane does not start.
    #[error(transparent)]
    Engine(#[from] engine::StartError),
    /// An address cannot be bound.
    #[error("{key} = {address} cannot be bound ({source}): stop whoever has it, or change {key} in the configuration")]
    Bind {
        /// The key that names it.
        key: &'static str,
        /// The address.
        address: SocketAddr,
        /// The system's answer.
        source: std::io::Error,
    },
    /// SIP would come by nothing.
    #[error("sip.listen names no address: set it, or leave it out")]
    NoAddress,
    /// The store cannot be used.
    #[error("store.url: {place} cannot be used ({source}): {remedy}")]
    Store {
        /// What it names, without a password.
        place: String,
        /// The database's answer.
        source: Box<dyn std::error::Error + Send + Sync>,
        /// What to do.
        remedy: &'static str,
    },
    /// The API cannot be served with TLS.
    #[error("http.tls: {0}: both must be PEM files of one certificate, ours to read")]
    Tls(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// A prompt cannot be played.
    #[error("the prompt {0} cannot be loaded: it is empty, or there are more than 65535")]
    Prompt(String),
    /// Something else that the system refuses.
    #[error("{what} failed: {source}")]
    System {
        /// What.
        what: &'static str,
        /// The system's answer.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

impl Server {
    /// Starts everything that the configuration names, inside the current tokio runtime. Port 0 in `sip.listen` and
    /// `http.listen` takes a free one.
    ///
    /// # Errors
    /// [`StartError`] where a socket, a file or the data plane is not to be had.
    pub async fn start(config: Config) -> Result<Server, StartError> {
        let system = |what| move |source| StartError::System { what, source };
        let (sockets, listening) = listen(&config.sip).await?;
        let sip = listening[0];
        let certificate = config.http.tls.as_ref().map(http::Certificate::load);
        let certificate = certificate.transpose().map_err(|error| StartError::Tls(error.into()))?;
        let listener = bind(
            "http.listen",
            config.http.listen,
            TcpListener::bind(config.http.listen).await,
        )?;
        let http = listener
            .local_addr()
            .map_err(|error| system("getsockname")(error.into()))?;
        let database = Database::open(&config.store.place).await;
        let database = database.map_err(|error| unusable(&config.store.place, error))?;
        let seed = ids::random_seed().map_err(|error| system("/dev/urandom")(error.into()))?;

        let library = Library::load(&config)?;
        let engine = tokio::task::spawn_blocking({
            let config = engine_config(&config, library.prompts, seed);
            move || Engine::start(config)
        })
        .await
        .map_err(|error| system("the start of the engine")(error.into()))??;
        let engine = Arc::new(engine);
        let ports = (0..engine.workers())
            .map(|worker| engine.ports(worker).to_vec())
            .collect();
        let node_config = node_config(&config, &listening, http, ports, library.ids, library.briefings, seed);

        // Where others see whether we live.
        let reached = node_config.sip.advertise;
        let clock = Clock::new();
        let instance = ids::instance(ids::random_seed().map_err(|error| system("/dev/urandom")(error.into()))?);
        let place = &config.store.place;
        let life = Life::begin(place, &instance)
            .await
            .map_err(|error| unusable(place, error))?;
        let entered = database
            .enter(
                &instance,
                &config.node.name,
                &reached.to_string(),
                clock.ms(Instant::now()),
            )
            .await;
        entered.map_err(|error| unusable(place, error))?;
        let (store, store_task) = Store::start(database, instance, config.store.queue);
        let clients = webhook::Clients::new().map_err(|error| system("the HTTP client")(error.into()))?;
        let (told, telling) = watch::channel(false);
        let (endpoints, webhooks) = config
            .webhooks
            .iter()
            .map(|webhook| webhook::Endpoint::start(webhook.clone(), &clients, store.clone(), telling.clone()))
            .unzip();
        let teller = Teller::new(&config.node.name, endpoints);
        let recovery = Recovery::new(store.clone(), place.clone(), teller.clone(), reached);
        let left = recovery.run().await.map_err(|error| unusable(place, error))?;
        let pruning = tokio::spawn(prune::repeat(store.clone(), config.store.keep));
        let journal = Arc::new(Journal::new(teller, clock, store.clone()));

        let node = Node::new(node_config, Instant::now());
        *lock(&journal.traces) = Traces::new(config.sip.trace, config.sip.trace_keep);
        let otlp_client = otlp::export::client().map_err(|error| system("the HTTP client")(error.into()))?;
        let exporting = export_traces(&config, &journal, otlp_client);
        let advertised = advertised(&config.sip, &listening);
        let capture = capture(&config, &journal);
        let tap = Tap::new(Arc::clone(&journal), trunk_addresses(&config), advertised, capture);
        let (run, node) = Run::new(node, Arc::clone(&engine), sockets, Arc::clone(&journal), tap)
            .map_err(|error| system("epoll")(error.into()))?;
        let run = tokio::spawn(run.run());
        let recovery = tokio::spawn(recovery.repeat(left, node.clone(), Arc::clone(&journal)));

        let draining = Arc::<AtomicBool>::default();
        let (closing, closed) = watch::channel(false);
        let shared = http::Shared::new(
            &config,
            node.clone(),
            Arc::clone(&journal),
            engine,
            Arc::clone(&draining),
            closed.clone(),
        );
        let http_task = tokio::spawn(http::serve(listener, shared, certificate, closed));
        if !http.ip().is_loopback() && config.http.tls.is_none() {
            tracing::warn!(%http, "the API is served in plain text, keys and all: set http.tls, or have a proxy with TLS before it");
        }
        tracing::info!(sip = ?listening, %http, "listening");
        Ok(Server {
            sip,
            http,
            drain: config.node.drain,
            stop: config.node.stop,
            draining,
            node,
            closing,
            run,
            http_task,
            life,
            recovery,
            pruning,
            store,
            store_task,
            told,
            webhooks,
            otlp: exporting,
        })
    }

    /// Where SIP is received.
    pub fn sip(&self) -> SocketAddr {
        self.sip
    }

    /// Where HTTP is served.
    pub fn http(&self) -> SocketAddr {
        self.http
    }

    /// Calls that are alive.
    pub async fn calls(&self) -> usize {
        self.node.alive().await.map_or(0, |alive| alive.calls)
    }

    /// What the node holds, for conservation checks.
    pub async fn alive(&self) -> calls::node::Alive {
        self.node.alive().await.unwrap_or_default()
    }

    /// Waits for a part that ended by itself: a bug, after which nothing of the server can be relied on.
    pub async fn failed(&mut self) {
        tokio::select! {
            _ = &mut self.run => {}
            _ = &mut self.http_task => {}
        }
    }

    /// Refuses new calls, waits at most `node.drain_s` for the running ones, hangs up the rest, and ends. What is left
    /// then has `node.stop_s` for each step.
    pub async fn stop(self) {
        self.draining.store(true, Ordering::Relaxed);
        self.node.drain().await;
        let idle = async {
            while self.calls().await > 0 {
                tokio::time::sleep(LOOK).await;
            }
        };
        if timeout(self.drain, idle).await.is_err() {
            self.hang_up().await;
        }
        self.end().await;
    }

    async fn hang_up(&self) {
        let Ok(Ok(Response::Calls(calls))) = self.node.request(Request::Calls).await else {
            return;
        };
        tracing::warn!(calls = calls.len(), "hanging up the calls that are left");
        for call in calls {
            if let Some(id) = ids::parse_call(&call.id) {
                let _ = self.node.request(Request::HangUp(id)).await;
            }
        }
        let gone = async {
            while self
                .node
                .alive()
                .await
                .is_ok_and(|alive| alive.sip.dialogs > 0 || alive.calls > 0)
            {
                tokio::time::sleep(LOOK).await;
            }
        };
        let _ = timeout(self.stop, gone).await;
    }

    /// Everything holds a part of what it uses: it ends in the order of that.
    async fn end(self) {
        let _ = self.closing.send(true);
        // One that has ended may have been asked already, by `failed`.
        if !self.http_task.is_finished() {
            let _ = timeout(self.stop, self.http_task).await;
        }
        self.recovery.abort();
        drop(self.node);
        // Connections that outlived their time hold the node's handle: it must not wait for them.
        let mut run = self.run;
        if !run.is_finished() && timeout(self.stop, &mut run).await.is_err() {
            run.abort();
            let _ = run.await;
        }
        // Whoever has spans is gone, and so what waits is the last of it.
        if let Some(mut otlp) = self.otlp
            && timeout(self.stop, &mut otlp).await.is_err()
        {
            otlp.abort();
        }
        // What is due is told; the rest waits in the store for the next start.
        let _ = timeout(self.stop, self.store.settled(self.store.ticket())).await;
        let _ = self.told.send(true);
        for mut webhook in self.webhooks {
            if timeout(self.stop, &mut webhook).await.is_err() {
                webhook.abort();
            }
        }
        self.pruning.abort();
        self.store.close();
        let mut store = self.store_task;
        if timeout(self.stop, &mut store).await.is_err() {
            tracing::error!(
                waiting = self.store.condition().waiting,
                "the store takes nothing: what waits is lost"
            );
            store.abort();
        }
        // What is left to tell, somebody else may tell now.
        self.life.end();
    }
}

/// What peers are told to reach us by: each family's own, and where none is told, where we listen.
fn advertised(config: &Sip, listening: &[SocketAddr]) -> Vec<SocketAddr> {
    let told = |listening: &SocketAddr| {
        let of_family = |told: &&SocketAddr| told.is_ipv4() == listening.is_ipv4();
        config.advertise.iter().find(of_family).copied().unwrap_or(*listening)
    };
    listening.iter().map(told).collect()
}

/// A collector for copies of SIP messages, where one is wanted.
fn capture(config: &Config, journal: &Journal) -> Option<Capture> {
    let hep = &config.hep;
    let agent = Agent {
        id: hep.capture_id,
        node: hep.node.clone().unwrap_or_else(|| config.node.name.clone()),
        password: hep.password.as_ref().map(|password| password.reveal().to_owned()),
    };
    let collector = Collector::start(hep.collector.clone()?, agent);
    // It is set once: a server has one tap.
    let _ = journal.captured.set(Arc::clone(&collector.counters));
    Some(Capture {
        collector,
        with_credentials: hep.with_credentials,
    })
}

/// Traces of handoffs, where they are wanted; the task that sends them.
fn export_traces(config: &Config, journal: &Journal, client: reqwest::Client) -> Option<JoinHandle<()>> {
    let endpoint = config.otlp.endpoint.as_deref()?;
    let headers = config.otlp.headers.clone();
    let (exporter, task) = Exporter::start(endpoint, headers, &config.node.name, client);
    let ratio = f64::from(config.otlp.percent) / 100.0;
    let _ = journal.otlp.set(Otlp::new(journal.clock, ratio, exporter));
    Some(task)
}

/// Who may call.
fn trunk_addresses(config: &Config) -> impl Iterator<Item = IpAddr> + '_ {
    config.trunks.iter().flat_map(|trunk| trunk.addresses.iter().copied())
}

fn unusable(place: &Place, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> StartError {
    let (place, remedy) = match place {
        Place::Sqlite(path) => (
            path.display().to_string(),
            "its folder must exist and be ours to write, the disk have room, and the file be one of Baton",
        ),
        Place::Postgres(_) => (
            "PostgreSQL".to_owned(),
            "the server must run, know the user and the password, and have the database with the right to make tables",
        ),
    };
    StartError::Store {
        place,
        source: source.into(),
        remedy,
    }
}

/// How often a free port is looked for that is free for UDP and TCP.
const PORT_TRIES: usize = 20;

/// Opens everything that SIP comes by; where that is, in the order of the configuration.
async fn listen(config: &Sip) -> Result<(Sockets, Vec<SocketAddr>), StartError> {
    let mut tcp = Tcp::new(tcp::Bounds {
        connect: config.flows.connect,
        stall: config.tcp_stall,
        queue: config.tcp_queue,
    });
    let mut udps = Vec::new();
    let mut listening = Vec::new();
    for &address in &config.listen {
        let mut tries = if address.port() == 0 { PORT_TRIES } else { 1 };
        let (udp, local) = loop {
            tries -= 1;
            let udp = bind("sip.listen", address, Udp::bind(address).await)?;
            let local = bind("sip.listen", address, udp.local())?;
            match if config.tcp { tcp.listen(local) } else { Ok(()) } {
                Ok(()) => break (udp, local),
                Err(_) if tries > 0 => {}
                failed => bind("sip.listen", local, failed)?,
            }
        };
        udps.push(udp);
        listening.push(local);
    }
    let mut udps = udps.into_iter();
    // The configuration has one at the least.
    let udp = udps.next().ok_or(StartError::NoAddress)?;
    let also = udps.next();
    let datagrams = Datagrams { udp, also };
    Ok((Sockets { datagrams, tcp }, listening))
}

fn bind<T>(key: &'static str, address: SocketAddr, bound: std::io::Result<T>) -> Result<T, StartError> {
    bound.map_err(|source| StartError::Bind { key, address, source })
}

/// The prompts as the data plane has them.
struct Library {
    prompts: Arc<media::prompt::Prompts>,
    ids: calls::config::Prompts,
    /// Of each target.
    briefings: Vec<Option<PromptId>>,
}

impl Library {
    fn load(config: &Config) -> Result<Library, StartError> {
        let mut prompts = media::prompt::Prompts::new();
        let mut add = |name: &str, prompt: &Prompt| {
            prompts
                .add(name, &prompt.samples)
                .ok_or_else(|| StartError::Prompt(format!("{name} ({})", prompt.source)))
        };
        let named = &config.prompts;
        let ids = calls::config::Prompts {
            announcement: add("announcement", &named.announcement)?,
            hold: add("hold", &named.hold)?,
            briefing: add("briefing", &named.briefing)?,
            busy: add("busy", &named.busy)?,
            no_answer: add("no_answer", &named.no_answer)?,
            failed: add("failed", &named.failed)?,
            goodbye: add("goodbye", &named.goodbye)?,
        };
        let briefings = config
            .targets
            .iter()
            .map(|target| {
                let briefing = target.briefing.as_ref();
                briefing
                    .map(|prompt| add(&format!("briefing of {}", target.name), prompt))
                    .transpose()
            })
            .collect::<Result<_, _>>()?;
        Ok(Library {
            prompts: Arc::new(prompts),
            ids,
            briefings,
        })
    }
}

/// The data plane's part of the configuration.
pub(crate) fn engine_config(config: &Config, prompts: Arc<media::prompt::Prompts>, seed: u64) -> EngineConfig {
    let media = &config.media;
    let workers = (0..media.workers)
        .map(|worker| WorkerConfig {
            core: media.cores.get(usize::from(worker)).copied(),
            address: media.listen,
            first_port: media.first_port + worker * media.ports_per_worker * 2,
            pairs: media.ports_per_worker,
        })
        .collect();
    EngineConfig {
        workers,
        sessions_per_worker: media.sessions_per_worker,
        buffers: media.buffers_per_worker,
        prompts,
        cname: config.node.name.clone(),
        silence: media.silence,
        // Numbers that peers see must not tell them those of the node.
        seed: seed.rotate_left(32) ^ 0x9e37_79b9_7f4a_7c15,
        mode: TaskRun::Auto,
        ..EngineConfig::default()
    }
}

fn node_config(
    config: &Config,
    sip: &[SocketAddr],
    http: SocketAddr,
    workers: Vec<Vec<u16>>,
    prompts: calls::config::Prompts,
    briefings: Vec<Option<PromptId>>,
    seed: u64,
) -> calls::config::Config {
    let targets = config
        .targets
        .iter()
        .zip(briefings)
        .map(|(target, briefing)| calls::config::Target {
            name: target.name.clone(),
            uri: target.uri.clone(),
            next_hop: target.next_hop,
            transport: target.transport,
            ring: target.ring,
            patterns: target.patterns.clone(),
            briefing,
            auth: target.auth.clone(),
        })
        .collect();
    // Each family's own, and where none is told, where we listen.
    let mut advertised = sip.iter().map(|listening| {
        let of_family = |told: &&SocketAddr| told.is_ipv4() == listening.is_ipv4();
        config
            .sip
            .advertise
            .iter()
            .find(of_family)
            .copied()
            .unwrap_or(*listening)
    });
    let advertise = advertised
        .next()
        .unwrap_or(SocketAddr::from((Ipv4Addr::LOCALHOST, 5060)));
    calls::config::Config {
        sip: sip::endpoint::Config {
            advertise,
            also: advertised.next(),
            flows: config.sip.tcp.then_some(config.sip.flows),
            agent: config.sip.user_agent.clone(),
            t1: config.sip.t1,
            t2: config.sip.t2,
            t4: config.sip.t4,
            seed: seed.wrapping_mul(0xd134_2543_de82_ef95).rotate_left(17),
            transactions: config.sip.transactions,
        },
        media_address: config.media.advertise.0,
        media_also: config.media.advertise.1,
        workers,
        latch: config.media.latch,
        trunks: config.trunks.clone(),
        ai_agents: config.ai_agents.clone(),
        targets,
        playbook: config.playbook.clone(),
        prompts,
        deadlines: config.deadlines,
        public_url: config
            .http
            .public_url
            .clone()
            .unwrap_or_else(|| match &config.http.tls {
                None => format!("http://{http}"),
                Some(_) => format!("https://{http}"),
            }),
        seed,
    }
}
