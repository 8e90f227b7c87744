//! A running server: the parts put together, and taken apart again.

mod error;
mod parts;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use calls::node::Node;
use calls::request::{Request, Response};
use engine::Engine;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::agents::Agents;
use crate::callbacks::{self, Callbacks, Caller};
use crate::coders::coders;
use crate::config::Config;
use crate::event::Teller;
use crate::http;
use crate::ids::{self, Clock};
use crate::journal::{Journal, lock};
use crate::library::Library;
use crate::listeners::Listeners;
use crate::machine::{self, Machines};
use crate::otlp;
use crate::reload::{Reload, ReloadError, Reloaded, Reloads};
use crate::router;
use crate::run::{NodeHandle, Outside, Run};
use crate::sibling::Side;
use crate::sibling::gate;
pub use crate::sibling::gate::Offer;
use crate::sibling::link::Link;
use crate::sibling::wire::Word;
use crate::store::recovery::Recovery;
use crate::store::{Database, Life, Store, prune};
use crate::tap::Tap;
use crate::tap::traces::Traces;
use crate::uploads;
use crate::vitals::Vitals;
use crate::webhook;
use crate::webhook::couriers::Couriers;
pub use error::StartError;
use error::{system, unusable};
use parts::{advertised, capture, export_traces, learn_agents, learn_callers, node_config, sockets};
pub(crate) use parts::{engine_config, peers};

/// How often a stop looks whether the calls are over.
const LOOK: Duration = Duration::from_millis(50);

/// Connections of users of the API that the other version has for us and that wait to be served.
const CONNECTIONS: usize = 256;

/// How often it says how many are left.
const SAY: Duration = Duration::from_secs(10);

/// A running server: engine, node, SIP, HTTP and webhooks. Stop it with [`Server::stop`].
#[derive(Debug)]
pub struct Server {
    sip: SocketAddr,
    http: SocketAddr,
    listeners: Listeners,
    first_port: u16,
    times: watch::Receiver<Times>,
    reloads: Reloads,
    /// Ends when nobody can ask any more, or it is told to.
    reload: JoinHandle<Couriers>,
    reloading: watch::Sender<bool>,
    /// Set where the version that has taken over says that our calls have had their time.
    hurried: watch::Receiver<bool>,
    draining: Arc<AtomicBool>,
    node: NodeHandle,
    vitals: Arc<Vitals>,
    closing: watch::Sender<bool>,
    run: JoinHandle<()>,
    http_task: JoinHandle<()>,
    /// They change when the two have ended.
    run_lives: watch::Receiver<()>,
    http_lives: watch::Receiver<()>,
    life: Life,
    recovery: JoinHandle<()>,
    /// Calls callers back.
    calling_back: JoinHandle<()>,
    acknowledging: JoinHandle<()>,
    routing: JoinHandle<()>,
    pruning: JoinHandle<()>,
    store: Store,
    store_task: JoinHandle<()>,
    /// Sends traces of handoffs.
    otlp: Option<JoinHandle<()>>,
    machines: Machines,
}

/// How long the steps to an end may take.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Times {
    drain: Duration,
    stop: Duration,
    hand_over: Duration,
}

impl Times {
    pub(crate) fn of(config: &Config) -> Times {
        Times {
            drain: config.node.drain,
            stop: config.node.stop,
            hand_over: config.node.hand_over,
        }
    }
}

/// What a stop still waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Left {
    /// Running calls.
    pub calls: usize,
    /// Handoffs in them.
    pub handoffs: usize,
    /// Whether the version that we have taken over from has calls, too.
    pub older: bool,
    /// How long these are waited for at the most.
    pub wait: Duration,
}

/// Where a server is after [`Server::hand_over`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rest {
    /// Its last call is over, or has had its time.
    Over,
    /// The new version is gone, though it should not be, and what comes is ours again.
    Alone,
}

impl Server {
    /// Starts everything that the configuration names, inside the current tokio runtime. Port 0 in `sip.listen` and
    /// `http.listen` takes a free one.
    ///
    /// # Errors
    /// [`StartError`] where a socket, a file or the data plane is not to be had.
    pub async fn start(config: Config) -> Result<Server, StartError> {
        let listeners = Listeners::open(&config)?;
        Server::start_on(config, listeners).await
    }

    /// The same with sockets that are open already.
    ///
    /// # Errors
    /// [`StartError`] where a file or the data plane is not to be had.
    pub async fn start_on(config: Config, listeners: Listeners) -> Result<Server, StartError> {
        Server::start_from(config, listeners, None).await
    }

    /// Takes over from a running server: its sockets, and all calls that come from now on. Until this returns it goes on as if nothing
    /// had happened, and if it fails, for ever.
    ///
    /// # Errors
    /// [`StartError`] as at every other start; and where the other one does not hand over in the end.
    pub async fn take_over(mut config: Config, offer: Offer) -> Result<Server, StartError> {
        let listeners = offer
            .listeners
            .try_clone()
            .map_err(|error| system("dup")(error.into()))?;
        // Each version has the ports of the other range.
        if offer.first_port == config.media.first_port {
            config.media.first_port = config.media.other_first_port.ok_or(StartError::NoPorts)?;
        }
        Server::start_from(config, listeners, Some(offer)).await
    }

    async fn start_from(config: Config, listeners: Listeners, offer: Option<Offer>) -> Result<Server, StartError> {
        let certificate = config.http.tls.as_ref().map(http::Certificate::load);
        let certificate = certificate.transpose().map_err(|error| StartError::Tls(error.into()))?;
        let (mut sockets, listening) = sockets(&config.sip, &listeners)
            .await
            .map_err(|error| system("the set-up of a socket")(error.into()))?;
        let sip = *listening.first().ok_or(StartError::NoAddress)?;
        let http = listeners
            .http
            .local_addr()
            .map_err(|error| system("getsockname")(error.into()))?;
        let database = Database::open(&config.store.place).await;
        let database = database.map_err(|error| unusable(&config.store.place, error))?;
        let seed = ids::random_seed().map_err(|error| system("/dev/urandom")(error.into()))?;

        let mut library = Library::new(&config);
        let uploads = uploads::load(&config, &database).await;
        let uploads = uploads.map_err(|error| unusable(&config.store.place, error))?;
        let ids = library.ids(&config, &uploads).map_err(StartError::Prompt)?;
        let engine = tokio::task::spawn_blocking({
            let mut engine = engine_config(&config, Arc::clone(&library.prompts), seed);
            engine.coders = coders(&config).map_err(StartError::Coders)?;
            move || Engine::start(engine)
        })
        .await
        .map_err(|error| system("the start of the engine")(error.into()))??;
        let engine = Arc::new(engine);
        // Whoever holds the engine keeps its threads alive: these must end with the loop.
        let vitals = Arc::new(Vitals::new(Arc::downgrade(&engine)));
        let ports = (0..engine.workers())
            .map(|worker| engine.ports(worker).to_vec())
            .collect();
        // Where others see whether we live.
        let reached = advertised(&config.sip, &listening).first().copied().unwrap_or(sip);
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
        let teller = Teller::new(&config.node.name, Vec::new());
        let (taken, acknowledged) = mpsc::unbounded_channel();
        let mut couriers = Couriers::new(clients.clone(), store.clone(), taken);
        couriers.set(&config.webhooks, &teller).await;
        let told = teller.clone();
        // Whoever offers us its sockets lives, whatever the store says.
        let side = watch::Sender::new(if offer.is_some() { Side::Front } else { Side::Alone });
        let recovery = Recovery::new(store.clone(), place.clone(), teller.clone(), reached, side.subscribe());
        let left = recovery.run().await.map_err(|error| unusable(place, error))?;
        let pruning = tokio::spawn(prune::repeat(store.clone(), teller.clone(), config.store.keep));
        let journal = Arc::new(Journal::new(teller, clock, store.clone()));

        let (own, own_settings) = watch::channel(machine::Settings::of(&config));
        let machines = Machines::start(own_settings, Arc::clone(&journal), listening.clone());
        let machines = machines.map_err(|error| system("the start of our own machines")(error.into()))?;
        let peers = peers(&config, http, machines.at(), ids);
        let mut node = Node::new(node_config(&config, &listening, ports, peers, seed), Instant::now());
        if config.playbook.rules.looks_back_at_calls() {
            learn_callers(&mut node, &store, &journal.clock).await;
        }
        let learnt = learn_agents(&mut node, &store).await;
        learnt.map_err(|error| unusable(place, error))?;
        let (connections, from_sibling) = mpsc::channel(CONNECTIONS);
        let (hang_up, hurried) = watch::channel(false);
        let draining = Arc::<AtomicBool>::default();
        let outside = Outside {
            side,
            http: connections,
            hang_up,
            draining: Arc::clone(&draining),
        };
        let listened = sockets.listen_again();
        listened.map_err(|error| system("epoll")(error.into()))?;
        *lock(&journal.traces) = Traces::new(config.sip.trace, config.sip.trace_keep);
        let otlp_client = otlp::export::client().map_err(|error| system("the HTTP client")(error.into()))?;
        let exporting = export_traces(&config, &journal, otlp_client);
        let advertised = advertised(&config.sip, &listening);
        let capture = capture(&config, &journal);
        let tap = Tap::new(Arc::clone(&journal), &config.trunks, advertised, capture);
        let (mut run, node) = Run::new(node, engine, sockets, Arc::clone(&journal), tap, outside)
            .map_err(|error| system("epoll")(error.into()))?;
        // Here everything is ready. From now on nothing can fail but the one that we take over from.
        let takes_over = offer.is_some();
        if let Some(offer) = offer {
            let (link, calls) = offer.accept().await.map_err(StartError::TakeOver)?;
            run.take_over(link, calls);
        }
        let (run, run_lives) = watched(run.run());
        let agents = Arc::new(Agents::new(node.clone(), store.clone()));
        if takes_over {
            // The other one may have changed them until a moment ago.
            agents.refresh().await;
        }
        let (promising, promised_by) = watch::channel(callbacks::Settings::of(&config));
        let callbacks = Callbacks::new(promised_by, node.clone(), Arc::clone(&journal));
        // Whoever asks before it is there is told that nothing is promised.
        let _ = journal.promises.set(callbacks.downgrade());
        let (tell, told_calls) = mpsc::unbounded_channel();
        let _ = journal.caller.set(tell);
        let caller = Caller::new(&callbacks, told_calls, Arc::clone(&draining));
        let calling_back = tokio::spawn(caller.run());
        let (routes, asked_by) = watch::channel(router::Settings::of(config.router.as_ref(), &clients));
        let (questions, asked) = mpsc::unbounded_channel();
        let _ = journal.questions.set(questions);
        let routing = tokio::spawn(router::run(asked, asked_by, node.clone()));
        let acknowledging = tokio::spawn(acknowledge(acknowledged, node.clone(), Arc::clone(&journal)));
        let recovery = tokio::spawn(recovery.repeat(left, node.clone(), Arc::clone(&journal)));

        let (closing, closed) = watch::channel(false);
        let (times, timed) = watch::channel(Times::of(&config));
        let (api, settings) = watch::channel(http::Settings::of(&config));
        let (reloads, asked) = Reloads::new();
        let reload = Reload {
            config: config.clone(),
            http,
            machine: machines.at(),
            machines: own,
            callbacks: promising,
            routes,
            clients,
            node: node.clone(),
            library,
            uploads,
            agents: Arc::clone(&agents),
            store: store.clone(),
            times,
            couriers,
            teller: told,
            api,
        };
        let (reloading, reloads_on) = watch::channel(true);
        let reload = tokio::spawn(reload.run(asked, reloads_on));
        let shared = http::Shared::new(
            settings,
            reloads.clone(),
            agents,
            callbacks,
            Arc::clone(&journal),
            Arc::clone(&vitals),
            Arc::clone(&draining),
            closed.clone(),
        );
        let door = http::Door {
            listener: listeners
                .http
                .try_clone()
                .map_err(|error| system("dup")(error.into()))?,
            from_sibling,
            side: node.side(),
            closing: closed,
            certificate,
        };
        let (http_task, http_lives) = watched(door.serve(shared));
        if !http.ip().is_loopback() && config.http.tls.is_none() {
            tracing::warn!(%http, "the API is served in plain text, keys and all: set http.tls, or have a proxy with TLS before it");
        }
        tracing::info!(sip = ?listening, %http, "listening");
        Ok(Server {
            sip,
            http,
            listeners,
            first_port: config.media.first_port,
            times: timed,
            reloads,
            reload,
            reloading,
            hurried,
            draining,
            node,
            vitals,
            closing,
            run,
            http_task,
            run_lives,
            http_lives,
            life,
            recovery,
            calling_back,
            acknowledging,
            routing,
            pruning,
            store,
            store_task,
            otlp: exporting,
            machines,
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
    pub async fn failed(&self) {
        let (mut run, mut http) = (self.run_lives.clone(), self.http_lives.clone());
        tokio::select! {
            _ = run.changed() => {}
            _ = http.changed() => {}
        }
    }

    /// Reads the file anew that the configuration came from. What can change counts for the next call; running ones keep what they have.
    ///
    /// # Errors
    /// Why nothing has changed.
    pub async fn reload(&self) -> Result<Reloaded, ReloadError> {
        self.reloads.ask().await
    }

    fn times(&self) -> Times {
        *self.times.borrow()
    }

    /// How long each step of a stop may take after the wait for running calls.
    pub(crate) fn step(&self) -> Duration {
        self.times().stop
    }

    /// Whether it takes no new calls any more.
    pub(crate) fn drains(&self) -> bool {
        self.draining.load(Ordering::Relaxed)
    }

    /// Whether the control plane answers and every worker of the data plane turns.
    pub async fn lives(&self) -> bool {
        match self.vitals.check(&self.node).await {
            Ok(()) => true,
            Err(why) => {
                tracing::error!(why, "the server does not do its work");
                false
            }
        }
    }

    /// No new calls from now on: INVITE and OPTIONS outside a dialog get 503 with Retry-After, `/readyz` says so. Running calls go on,
    /// and so do handoffs, also those that begin in them.
    pub async fn drain(&self) {
        self.draining.store(true, Ordering::Relaxed);
        self.node.drain().await;
    }

    /// Refuses new calls, waits at most `node.drain_s` for the running ones, hangs up the rest, and ends. What is left
    /// then has `node.stop_s` for each step.
    pub async fn stop(self) {
        self.stop_unless(std::future::pending(), |_| {}).await;
    }

    /// As [`Server::stop`], but without waiting for the running calls any longer once `hurry` is over. `told` is called with what is
    /// left, at the beginning and every ten seconds.
    pub async fn stop_unless(self, hurry: impl Future<Output = ()>, told: impl Fn(Left)) {
        self.drain().await;
        let drain = self.times().drain;
        let mut hurried = self.hurried.clone();
        tokio::select! {
            () = self.idle(drain, told) => {}
            Ok(_) = hurried.wait_for(|hurried| *hurried) => tracing::warn!("the new version waits for our calls no longer"),
            () = tokio::time::sleep(drain) => tracing::warn!("the running calls have had their time (node.drain_s)"),
            () = hurry => tracing::warn!("the running calls are not waited for any longer"),
        }
        self.hang_up().await;
        self.end().await;
    }

    /// A new version knocks: shows it our sockets, and waits until it is ready. `None`: it did not come up, and nothing has happened.
    pub(crate) fn show(&self, link: Link) -> impl Future<Output = Option<Link>> + Send + use<> {
        let busy = *self.node.side().borrow() != Side::Alone;
        let (listeners, first_port) = (self.listeners.try_clone(), self.first_port);
        async move {
            match listeners {
                Ok(listeners) => gate::show(link, &listeners, first_port, busy).await,
                Err(error) => {
                    tracing::error!(%error, "our sockets cannot be handed over");
                    None
                }
            }
        }
    }

    /// Leaves all that comes from now on to the new version behind this link.
    pub(crate) async fn hand_over(&self, link: Link) {
        self.node.hand_over(link).await;
        let _ = self.node.side().wait_for(|side| *side == Side::Back).await;
    }

    /// After [`Server::hand_over`]: waits for what comes of it.
    pub(crate) async fn outlast(&self) -> Rest {
        let (mut hurried, mut side) = (self.hurried.clone(), self.node.side());
        let most = self.times().hand_over;
        tokio::select! {
            // Whoever told us to hurry may be gone a moment later.
            biased;
            Ok(_) = hurried.wait_for(|hurried| *hurried) => tracing::warn!("the new version waits for our calls no longer"),
            _ = side.wait_for(|side| *side == Side::Alone) => return Rest::Alone,
            () = self.idle(most, |_| {}) => {}
            () = tokio::time::sleep(most) => tracing::warn!("the running calls have had their time (node.hand_over_s)"),
        }
        Rest::Over
    }

    /// Hangs up what is left, and ends.
    pub(crate) async fn stop_now(self) {
        self.hang_up().await;
        self.end().await;
    }

    /// Until the last call is over, also of the version that we have taken over from.
    async fn idle(&self, most: Duration, told: impl Fn(Left)) {
        let began = Instant::now();
        let mut say = began;
        let side = self.node.side();
        loop {
            let alive = self.alive().await;
            let older = *side.borrow() == Side::Front;
            if alive.calls == 0 && !older {
                return;
            }
            let now = Instant::now();
            if now >= say {
                let left = Left {
                    calls: alive.calls,
                    handoffs: alive.handoffs,
                    older,
                    wait: most.saturating_sub(now - began),
                };
                let wait_s = left.wait.as_secs();
                tracing::info!(
                    calls = left.calls,
                    handoffs = left.handoffs,
                    older,
                    wait_s,
                    "draining: calls are left"
                );
                told(left);
                say = now + SAY;
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    async fn hang_up(&self) {
        if *self.node.side().borrow() == Side::Front {
            self.node.tell(Word::HangUp, None).await;
        }
        if let Ok(Ok(Response::Calls(calls))) = self.node.request(Request::Calls).await
            && !calls.is_empty()
        {
            tracing::warn!(calls = calls.len(), "hanging up the calls that are left");
            for call in calls {
                if let Some(id) = ids::parse_call(&call.id) {
                    let _ = self.node.request(Request::HangUp(id)).await;
                }
            }
        }
        let side = self.node.side();
        let gone = async {
            while *side.borrow() == Side::Front
                || self
                    .node
                    .alive()
                    .await
                    .is_ok_and(|alive| alive.sip.dialogs > 0 || alive.calls > 0)
            {
                tokio::time::sleep(LOOK).await;
            }
        };
        // The older version has steps of its own.
        let most = if *side.borrow() == Side::Front { 4 } else { 1 } * self.times().stop;
        let _ = timeout(most, gone).await;
    }

    /// Everything holds a part of what it uses: it ends in the order of that.
    async fn end(self) {
        let _ = self.closing.send(true);
        let step = self.times().stop;
        self.reloading.send_replace(false);
        let couriers = self.reload.await.ok();
        self.recovery.abort();
        // Whom it was calling waits in the store for the next start.
        self.calling_back.abort();
        // It would hold the node as long as there are couriers.
        self.acknowledging.abort();
        self.routing.abort();
        let _ = timeout(step, self.http_task).await;
        drop(self.node);
        // Connections that outlived their time hold the node's handle: it must not wait for them.
        let mut run = self.run;
        if timeout(step, &mut run).await.is_err() {
            tracing::error!("the control plane does not end: it is broken off");
            run.abort();
            let _ = run.await;
        }
        // It has nobody left to listen to; what it tells is in the store before that ends.
        let _ = timeout(step, self.machines.end()).await;
        // Whoever has spans is gone, and so what waits is the last of it.
        if let Some(mut otlp) = self.otlp
            && timeout(step, &mut otlp).await.is_err()
        {
            otlp.abort();
        }
        // What is due is told; the rest waits in the store for the next start.
        let _ = timeout(step, self.store.settled(self.store.ticket())).await;
        if let Some(couriers) = couriers {
            couriers.end(step).await;
        }
        self.pruning.abort();
        self.store.close();
        let mut store = self.store_task;
        if timeout(step, &mut store).await.is_err() {
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

/// Tells the node that who was sent a context has it: a join may wait for that.
async fn acknowledge(mut taken: mpsc::UnboundedReceiver<String>, node: NodeHandle, journal: Arc<Journal>) {
    while let Some(event) = taken.recv().await {
        if let Some(handoff) = journal.invitation(&event)
            && node.request(Request::Acknowledge(handoff)).await.is_err()
        {
            return;
        }
    }
}

/// Starts it, with what changes when it has ended, however that was.
fn watched(task: impl Future<Output = ()> + Send + 'static) -> (JoinHandle<()>, watch::Receiver<()>) {
    let (life, lives) = watch::channel(());
    let task = async move {
        task.await;
        drop(life);
    };
    (tokio::spawn(task), lives)
}
