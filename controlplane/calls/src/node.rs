//! The control plane of one host, without its sockets.

use std::collections::{BTreeSet, VecDeque};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Instant, SystemTime};

use bytes::Bytes;
use media::coders::Sizes;
use media::command::SessionId;
use playbook::routing::Pool;
use playbook::rules::Occasion;
use sip::endpoint::{Endpoint, FlowId, Share, Stray};

use crate::call::{Action, Input, State};
use crate::coders::Coders;
use crate::config::{Config, Peers};
use crate::contacts::Contacts;
use crate::estimate::Estimates;
use crate::load::{Measure, WorkerLoad};
use crate::notice::Notice;
use crate::observe::Observed;
pub use crate::observe::Pair;
use crate::ports::Ports;
use crate::random::Random;
use crate::refusal::{self, Refusals};
use crate::registry::Registry;
use crate::request::{Request, RequestError, Response, Ticket};
use crate::timer::Timer;

mod act;
mod agents;
mod callback;
mod estimate;
mod events;
mod forks;
mod hold;
mod judge;
mod keys;
mod lines;
mod live;
mod moving;
mod plane;
mod refer;
mod route;
mod standing;
mod supervise;
mod users;
mod view;

pub(crate) use live::{Arrival, Live};
pub use moving::Moves;
pub(crate) use moving::Way;
pub(crate) use supervise::Asked;

/// What a node wants to be done.
#[derive(Clone, Debug)]
#[expect(clippy::large_enum_variant, reason = "an output is moved once and dropped")]
pub enum Output {
    /// Send a SIP datagram.
    Datagram(sip::endpoint::Transmit),
    /// Do something on a TCP connection; only where [`sip::endpoint::Config::flows`] says that there is TCP.
    Stream(sip::endpoint::Stream),
    /// Give a command to a worker of the data plane.
    Media {
        /// Index into [`Config::workers`].
        worker: usize,
        /// The command.
        command: media::command::Command,
    },
    /// Have a session go to another worker; what comes of it is told by [`Moved`](media::command::Event::Moved), and until then there is no command about it.
    Move {
        /// Which session.
        session: SessionId,
        /// Where it is: an index into [`Config::workers`].
        from: usize,
        /// Where it is to go.
        to: usize,
    },
    /// Tell whoever listens.
    Notice(Notice),
    /// The answer to a request that was to be answered later.
    Answer(Ticket, Result<Response, RequestError>),
}

/// What refused callers are told to wait, in seconds.
pub(crate) const RETRY_AFTER: u32 = 5;

/// The control plane of one host.
#[derive(Debug)]
pub struct Node {
    /// Of the next call.
    pub(crate) config: Arc<Config>,
    pub(crate) endpoint: Endpoint,
    pub(crate) ports: Ports,
    pub(crate) registry: Registry<Box<Live>>,
    pub(crate) random: Random,
    pub(crate) outputs: VecDeque<Output>,
    refers: refer::Refers,
    observed: Observed,
    draining: bool,
    pub(crate) refusals: Refusals,
    moves: Moves,
    pub(crate) coders: Coders,
    estimates: Estimates,
    pub(crate) contacts: Contacts,
    /// The human agents, and who waits for them.
    pub(crate) pool: Pool,
    /// Callers who wait for one of them.
    lines: lines::Lines,
    /// What time it was when it was last said.
    wall: Option<(Instant, SystemTime)>,
    /// Requests that are or were answered later.
    tickets: u64,
    /// What the endpoint had refused when that was last counted.
    turned_away: u64,
}

impl Node {
    /// A node without a call.
    pub fn new(config: Config, now: Instant) -> Node {
        let mut endpoint = Endpoint::new(config.sip.clone());
        endpoint.admit(config.trunks.iter().flat_map(|trunk| trunk.addresses.iter().copied()));
        Node {
            endpoint,
            ports: Ports::new(&config.workers, config.budget),
            registry: Registry::default(),
            random: Random::new(config.seed),
            outputs: VecDeque::new(),
            refers: refer::Refers::default(),
            observed: Observed::default(),
            draining: false,
            refusals: Refusals::default(),
            moves: Moves::default(),
            coders: Coders::default(),
            estimates: Estimates::default(),
            contacts: Contacts::default(),
            pool: Pool::new(now),
            lines: lines::Lines::default(),
            wall: None,
            tickets: 0,
            turned_away: 0,
            config: Arc::new(config),
        }
    }

    /// A SIP datagram came.
    pub fn handle_datagram(&mut self, now: Instant, from: SocketAddr, datagram: Bytes) {
        self.endpoint.handle_datagram(now, from, datagram);
        self.handle_sip(now);
    }

    /// A SIP datagram could not be sent.
    pub fn handle_unreachable(&mut self, now: Instant, to: SocketAddr) {
        self.endpoint.handle_unreachable(now, to);
        self.handle_sip(now);
    }

    /// A peer opened a TCP connection. `None`: there is no room for it.
    pub fn accept_flow(&mut self, now: Instant, peer: SocketAddr) -> Option<FlowId> {
        self.endpoint.accept_flow(now, peer)
    }

    /// The connection that [`Stream::Connect`](sip::endpoint::Stream::Connect) wanted is there.
    pub fn handle_connected(&mut self, now: Instant, flow: FlowId) {
        self.endpoint.handle_connected(now, flow);
        self.handle_sip(now);
    }

    /// Bytes came on a connection.
    pub fn handle_stream(&mut self, now: Instant, flow: FlowId, bytes: &[u8]) {
        self.endpoint.handle_stream(now, flow, bytes);
        self.handle_sip(now);
    }

    /// A connection is gone, or could not be opened.
    pub fn handle_closed(&mut self, now: Instant, flow: FlowId) {
        self.endpoint.handle_closed(now, flow);
        self.handle_sip(now);
    }

    /// A user asks for something; answered at once.
    pub fn handle_request(&mut self, now: Instant, request: Request) -> Result<Response, RequestError> {
        let response = self.request(now, request);
        self.handle_sip(now);
        response
    }

    /// Time has passed.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.endpoint.handle_timeout(now);
        self.handle_sip(now);
        self.ports.handle_timeout(now);
        self.pool.handle_timeout(now);
        self.offer(now);
        while let Some((at, id)) = self.registry.next()
            && at <= now
        {
            let Some(mut live) = self.registry.take(id) else {
                self.registry.schedule(id, Some(at), None);
                continue;
            };
            match live.timers.due(now) {
                Some(Timer::Media) => self.media_silent(now, live),
                Some(Timer::Probe) => self.probe(now, live),
                Some(Timer::Supervisor) => self.supervisor_rang_out(now, live),
                Some(Timer::Estimate) => self.estimate(now, live),
                Some(Timer::Playbook) => self.judge(now, live, Occasion::Clock),
                Some(Timer::AiAnswer) => {
                    let order = self.without_ai(now, &mut live, "no AI agent answered");
                    let input = match order {
                        Some(order) => Input::AiLost(Box::new(order)),
                        None => Input::Timer(Timer::AiAnswer),
                    };
                    self.drive(now, now, live, input);
                }
                Some(timer) => self.drive(now, now, live, Input::Timer(timer)),
                None => self.put_back(now, live),
            }
        }
        self.handle_sip(now);
    }

    /// When `handle_timeout` wants to be called next.
    pub fn poll_timeout(&self) -> Option<Instant> {
        let calls = self.registry.next().map(|(at, _)| at);
        let parts = [
            self.endpoint.poll_timeout(),
            self.ports.poll_timeout(),
            self.pool.poll_timeout(),
            calls,
        ];
        parts.into_iter().flatten().min()
    }

    /// What is to be done next.
    pub fn poll_output(&mut self) -> Option<Output> {
        if let Some(output) = self.outputs.pop_front() {
            return Some(output);
        }
        let datagram = self.endpoint.poll_transmit().map(Output::Datagram);
        datagram.or_else(|| self.endpoint.poll_stream().map(Output::Stream))
    }

    /// No new calls; running ones end as they like.
    pub fn drain(&mut self) {
        self.count_refused();
        self.draining = true;
        self.refuse_or_not();
    }

    /// New calls again.
    pub fn resume(&mut self) {
        self.count_refused();
        self.draining = false;
        self.refuse_or_not();
    }

    /// How busy the workers were, in the order of [`Config::workers`]; one that is not named, or `None`, could not be measured. To be told
    /// some times a second. New calls go to the least busy worker, and while all are as busy as [`Config::budget`] allows there are none.
    /// Of running calls nothing is refused for that: neither a request in a dialog nor a handoff, nor the leg of its human.
    /// Where one is above that and another below, sessions go from the one to the other.
    pub fn handle_load(&mut self, now: Instant, measures: &[Option<Measure>]) {
        self.ports.measure(measures);
        self.balance(now);
        self.refuse_or_not();
    }

    /// What time it is, by the clock on the wall: for opening hours. To be told some times a second; before the first word every target is
    /// open.
    pub fn handle_wall(&mut self, now: Instant, wall: SystemTime) {
        self.wall = Some((now, wall));
    }

    /// The same, now.
    pub(crate) fn wall(&self, now: Instant) -> Option<SystemTime> {
        let (at, wall) = self.wall?;
        wall.checked_add(now.saturating_duration_since(at))
    }

    /// Coder states that no line of the data plane has: who is called from now on is offered what they can carry, and nobody is called for whom
    /// that is nothing. Before the first word there is enough.
    pub fn handle_coders(&mut self, free: Sizes) {
        self.coders.set_free(free);
    }

    /// How busy each worker is, as the next call finds it.
    pub fn loads(&self) -> Vec<WorkerLoad> {
        self.ports.loads()
    }

    /// Callers that were not taken.
    pub fn refusals(&self) -> Refusals {
        let mut refusals = self.refusals;
        refusals.count(self.refuses_for(), self.endpoint.turned_away() - self.turned_away);
        refusals
    }

    /// What the endpoint refuses callers for, where it does.
    fn refuses_for(&self) -> refusal::Refusal {
        match self.draining {
            true => refusal::Refusal::Draining,
            false => refusal::Refusal::Load,
        }
    }

    /// Before the reason changes.
    fn count_refused(&mut self) {
        self.refusals = self.refusals();
        self.turned_away = self.endpoint.turned_away();
    }

    /// While it takes no calls the endpoint itself refuses them, at the least cost, and says so to trunks that ask (OPTIONS).
    pub(crate) fn refuse_or_not(&mut self) {
        let refuses = self.draining || self.ports.are_full();
        self.endpoint.refuse_new(refuses.then_some(RETRY_AFTER));
    }

    /// Other peers, and another way with them, for the calls that come from now on. Those that are there keep what they began with.
    pub fn reload(&mut self, now: Instant, peers: Peers) {
        let admitted = peers.trunks.iter().flat_map(|trunk| trunk.addresses.iter().copied());
        self.endpoint.admit(admitted);
        self.ports.set_budget(peers.budget);
        self.estimates
            .retain(peers.targets.iter().map(|target| target.name.as_str()));
        self.refuse_or_not();
        let config = Config::clone(&self.config).with(peers);
        self.config = Arc::new(config);
        self.allow_agents(now);
    }

    /// From now on another node receives by our sockets, too; `None`: no more.
    pub fn share(&mut self, share: Option<Share>) {
        self.endpoint.share(share);
    }

    /// Call-IDs of INVITEs that came and may still be repeated or cancelled: for the other node's [`Share::Takes`].
    pub fn invitations(&self) -> BTreeSet<String> {
        self.endpoint.invitations()
    }

    /// The next message that is to be shown to the other node.
    pub fn poll_stray(&mut self) -> Option<Stray> {
        self.endpoint.poll_stray()
    }

    /// A message that the other node has received for us.
    pub fn handle_own(&mut self, now: Instant, stray: Stray) {
        self.endpoint.handle_own(now, stray);
        self.handle_sip(now);
    }

    /// A message that the other node has received and does not know. `false`: nor do we, and it is the other's affair.
    pub fn handle_known(&mut self, now: Instant, stray: Stray) -> bool {
        let known = self.endpoint.handle_known(now, stray);
        self.handle_sip(now);
        known
    }

    /// What is alive, for the conservation checks: all zero once every call has ended and every timer ran out.
    pub fn alive(&self) -> Alive {
        Alive {
            calls: self.registry.calls().len(),
            handoffs: self.registry.handoffs(),
            ports: self.ports.alive(),
            lines: self.pool.alive(),
            sip: self.endpoint.alive(),
        }
    }

    /// TCP connections that are there or being opened: they outlive the calls that they were opened for.
    pub fn flows(&self) -> usize {
        self.endpoint.flows()
    }

    /// From now on, notes which pairs of a call's state and an input come up, by their names.
    pub fn observe(&mut self) {
        self.observed.start();
    }

    /// The pairs since the last time, each once; none before [`Node::observe`].
    pub fn observed(&mut self) -> Vec<Pair> {
        self.observed.take()
    }

    /// Gives an input to the call, and carries out what follows. `at` is when it happened.
    pub(crate) fn drive(&mut self, now: Instant, at: Instant, mut live: Box<Live>, input: Input) {
        live.at = at;
        let actions = self.handle_input(&mut live, input);
        self.carry_out(now, live, actions);
    }

    fn handle_input(&mut self, live: &mut Live, input: Input) -> Vec<Action> {
        self.observed.see(&live.call, &input);
        live.call.handle(input)
    }

    /// Carries out actions, and the actions that their failures lead to.
    pub(crate) fn carry_out(&mut self, now: Instant, mut live: Box<Live>, actions: Vec<Action>) {
        let mut inputs = VecDeque::new();
        let mut actions = actions;
        loop {
            for action in actions {
                inputs.extend(self.act(now, &mut live, action));
            }
            let Some(input) = inputs.pop_front() else { break };
            actions = self.handle_input(&mut live, input);
        }
        self.put_back(now, live);
    }

    /// The call as it is now; one that is over is taken apart.
    pub(crate) fn put_back(&mut self, now: Instant, live: Box<Live>) {
        self.put_in(now, live);
        self.offer(now);
    }

    fn put_in(&mut self, now: Instant, mut live: Box<Live>) {
        self.out_of_line(now, &mut live);
        if *live.call.state() == State::Over {
            for dialog in live.legs.iter().map(|leg| leg.dialog) {
                self.registry.unbind(dialog);
            }
            for taken in live.ports() {
                self.ports.release(now, taken);
            }
            for seat in live.legs.iter().filter_map(|leg| leg.seat) {
                self.pool.over(now, seat);
            }
            self.forget_refer(now, &mut live);
            self.ports.close(live.worker, live.began);
            self.refuse_or_not();
            self.registry.schedule(live.id, live.scheduled, None);
            return;
        }
        self.tell_legs(now, &mut live);
        let next = live.timers.next();
        self.registry.schedule(live.id, live.scheduled, next);
        live.scheduled = next;
        self.registry.insert(live.id, live);
    }
}

/// Counts of what a node holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Alive {
    /// Calls.
    pub calls: usize,
    /// Handoffs that are not closed.
    pub handoffs: usize,
    /// Ports in use or in quarantine.
    pub ports: usize,
    /// Callers of queues, and agents who are kept for one or have their wrap-up.
    pub lines: (usize, usize),
    /// Of the SIP endpoint.
    pub sip: sip::endpoint::Alive,
}

#[cfg(test)]
mod tests;
