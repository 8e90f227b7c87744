//! What each part of a server is made of: the configuration, put into its own terms.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use calls::config::Peers;
use calls::node::Node;
use engine::{EngineConfig, Rtcp, WorkerConfig};
use playbook::hours::Calendar;
use tokio::task::JoinHandle;

use crate::config::{Config, Sip};
use crate::ids::Clock;
use crate::journal::Journal;
use crate::library::Ids;
use crate::listeners::Listeners;
use crate::machine;
use crate::otlp::Otlp;
use crate::otlp::export::Exporter;
use crate::run::{Datagrams, Sockets, know_agents};
use crate::sip_transport::tcp::{self, Tcp};
use crate::sip_transport::udp::Udp;
use crate::store::{LOOK_BACK_MS, Store};
use crate::tap::Capture;
use crate::tap::collector::Collector;
use crate::tap::hep::Agent;

/// What peers are told to reach us by: each family's own, and where none is told, where we listen.
pub(super) fn advertised(config: &Sip, listening: &[SocketAddr]) -> Vec<SocketAddr> {
    let told = |listening: &SocketAddr| {
        let of_family = |told: &&SocketAddr| told.is_ipv4() == listening.is_ipv4();
        config.advertise.iter().find(of_family).copied().unwrap_or(*listening)
    };
    listening.iter().map(told).collect()
}

/// A collector for copies of SIP messages, where one is wanted.
pub(super) fn capture(config: &Config, journal: &Journal) -> Option<Capture> {
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
pub(super) fn export_traces(config: &Config, journal: &Journal, client: reqwest::Client) -> Option<JoinHandle<()>> {
    let endpoint = config.otlp.endpoint.as_deref()?;
    let headers = config.otlp.headers.clone();
    let (exporter, task) = Exporter::start(endpoint, headers, &config.node.name, client);
    let ratio = f64::from(config.otlp.percent) / 100.0;
    let _ = journal.otlp.set(Otlp::new(journal.clock, ratio, exporter));
    Some(task)
}

/// What SIP comes by; where that is, in the order of the configuration.
pub(super) async fn sockets(config: &Sip, listeners: &Listeners) -> std::io::Result<(Sockets, Vec<SocketAddr>)> {
    let copies = listeners.try_clone()?;
    let listening = copies.sip()?;
    let mut udps = Vec::new();
    for udp in copies.udp {
        udps.push(Udp::new(udp).await?);
    }
    let mut udps = udps.into_iter();
    // The configuration has one at the least.
    let udp = udps.next().ok_or(std::io::ErrorKind::AddrNotAvailable)?;
    let also = udps.next();
    let datagrams = Datagrams { udp, also };
    let bounds = tcp::Bounds {
        connect: config.flows.connect,
        stall: config.tcp_stall,
        queue: config.tcp_queue,
    };
    let sockets = Sockets {
        datagrams,
        tcp: Tcp::new(bounds),
        listeners: copies.tcp,
    };
    Ok((sockets, listening))
}

/// How long a start waits for a media port: a server that was killed a moment ago may still have it.
const PORTS: Duration = Duration::from_secs(5);

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
        added_latency: config.share.added_latency,
        // Numbers that peers see must not tell them those of the node.
        seed: seed.rotate_left(32) ^ 0x9e37_79b9_7f4a_7c15,
        port_patience: PORTS,
        backend: media.io,
        rtcp: media.rtcp,
        ..EngineConfig::default()
    }
}

/// What may change while calls are running.
pub(crate) fn peers(config: &Config, http: SocketAddr, machines: SocketAddr, ids: Ids) -> Peers {
    let targets = config
        .targets
        .iter()
        .zip(ids.targets)
        .map(|(target, [briefing, hold])| calls::config::Target {
            name: target.name.clone(),
            uri: match target.machine {
                Some(_) => format!("sip:{}@{machines}", machine::user(&target.name)),
                None => target.uri.clone(),
            },
            next_hop: target.machine.map_or(target.next_hop, |_| machines),
            transport: target.transport,
            ring: target.ring,
            hours: match target.machine {
                // Its hours say when somebody hears its messages, or calls back.
                Some(_) => Arc::new(Calendar::always()),
                None => Arc::clone(&target.hours),
            },
            patterns: target.patterns.clone(),
            briefing,
            hold,
            codecs: target.codecs.clone(),
            auth: target.auth.clone(),
            dtmf: target.dtmf,
            reinvite: target.reinvite,
            queue: target.queue.clone(),
            machine: target.machine,
        })
        .collect();
    Peers {
        budget: config.budget,
        latch: config.media.latch,
        codecs: config.media.codecs.clone(),
        prefer: config.media.prefer,
        trunks: config.trunks.clone(),
        ai_agents: config.ai_agents.clone(),
        targets,
        playbook: config.playbook.clone(),
        sounds: ids.sounds,
        prompts: ids.prompts,
        router: config.router.as_ref().map(|router| router.timeout),
        deadlines: config.deadlines,
        public_url: config
            .http
            .public_url
            .clone()
            .unwrap_or_else(|| match &config.http.tls {
                None => format!("http://{http}"),
                Some(_) => format!("https://{http}"),
            }),
    }
}

pub(super) fn node_config(
    config: &Config,
    sip: &[SocketAddr],
    workers: Vec<Vec<u16>>,
    peers: Peers,
    seed: u64,
) -> calls::config::Config {
    let mut advertised = advertised(&config.sip, sip).into_iter();
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
        rtcp_mux_only: config.media.rtcp == Rtcp::Mux,
        workers,
        budget: peers.budget,
        latch: peers.latch,
        codecs: peers.codecs,
        prefer: peers.prefer,
        trunks: peers.trunks,
        ai_agents: peers.ai_agents,
        targets: peers.targets,
        playbook: peers.playbook,
        sounds: peers.sounds,
        prompts: peers.prompts,
        router: peers.router,
        deadlines: peers.deadlines,
        public_url: peers.public_url,
        seed,
    }
}

/// The human agents that the store has.
pub(super) async fn learn_agents(node: &mut Node, store: &Store) -> Result<(), sqlx::Error> {
    know_agents(node, store.read().agents().await?);
    Ok(())
}

/// Who called before this server started, as far as the store has it: a rule may look at that.
pub(super) async fn learn_callers(node: &mut Node, store: &Store, clock: &Clock) {
    let now = Instant::now();
    let now_ms = clock.ms(now);
    match store.read().callers(now_ms - LOOK_BACK_MS).await {
        Ok(callers) => {
            for (at_ms, caller) in callers {
                let ago = Duration::from_millis(u64::try_from(now_ms - at_ms).unwrap_or_default());
                node.learn_call(now, &caller, ago);
            }
        }
        // Calls are worth more than that.
        Err(error) => tracing::warn!(%error, "who called before is not known: the store cannot be read"),
    }
}
