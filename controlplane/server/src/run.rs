//! The only place where inputs meet the node and its outputs are done: one task, one loop, no lock around the node.

use std::collections::HashMap;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::time::{Duration, Instant};

use calls::node::{Alive, Node, Output};
use calls::notice::{Notice, StandingLeg, Step, What};
use calls::request::{Request, RequestError, Response};
use engine::{Engine, Full};
use media::command::{Command, SessionId};
use sip::endpoint::Stream;
use tokio::io::unix::AsyncFd;
use tokio::sync::{mpsc, oneshot};

use crate::ids;
use crate::journal::{Journal, lock};
use crate::metrics::Trigger;
use crate::metrics::turns::{Queued, Turns};
use crate::sip_transport::tcp::{self, Tcp};
use crate::sip_transport::udp::{Received, Udp};
use crate::store::Key;
use crate::tap::Tap;

/// Datagrams, and events, that are taken in at one turn before everything else has its turn again.
const BATCH: usize = 64;

/// Requests that may wait for the loop.
const REQUESTS: usize = 1024;

/// How soon a command is offered again to a worker whose queue was full.
const RETRY: Duration = Duration::from_millis(2);

/// The node, from the side of whoever wants something of it.
#[derive(Clone, Debug)]
pub(crate) struct NodeHandle {
    asks: mpsc::Sender<Ask>,
    /// What the loop says of itself.
    pub(crate) turns: Arc<Turns>,
}

/// What the node holds at a moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Holds {
    pub(crate) alive: Alive,
    /// SIP connections over TCP.
    pub(crate) connections: usize,
}

/// The loop has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stopped;

enum Ask {
    Request(Request, Option<Key>, oneshot::Sender<Result<Response, RequestError>>),
    EndForeign(StandingLeg, oneshot::Sender<bool>),
    Holds(oneshot::Sender<Holds>),
    Drain,
}

impl NodeHandle {
    /// Asks the node. What follows from the request is in the records before this returns.
    pub(crate) async fn request(&self, request: Request) -> Result<Result<Response, RequestError>, Stopped> {
        self.request_with(request, None).await
    }

    /// The same; the handoff that follows is stored with the key.
    pub(crate) async fn request_with(
        &self,
        request: Request,
        key: Option<Key>,
    ) -> Result<Result<Response, RequestError>, Stopped> {
        let (reply, answer) = oneshot::channel();
        self.asks
            .send(Ask::Request(request, key, reply))
            .await
            .map_err(|_| Stopped)?;
        answer.await.map_err(|_| Stopped)
    }

    /// What the node holds.
    pub(crate) async fn alive(&self) -> Result<Alive, Stopped> {
        self.holds().await.map(|holds| holds.alive)
    }

    /// The same, and what its calls are not counted for.
    pub(crate) async fn holds(&self) -> Result<Holds, Stopped> {
        let (reply, answer) = oneshot::channel();
        self.asks.send(Ask::Holds(reply)).await.map_err(|_| Stopped)?;
        answer.await.map_err(|_| Stopped)
    }

    /// Sends BYE to a leg of a server that is gone; whether there is one to send.
    pub(crate) async fn end_foreign(&self, leg: StandingLeg) -> Result<bool, Stopped> {
        let (reply, answer) = oneshot::channel();
        self.asks.send(Ask::EndForeign(leg, reply)).await.map_err(|_| Stopped)?;
        answer.await.map_err(|_| Stopped)
    }

    /// No new calls from now on.
    pub(crate) async fn drain(&self) {
        // Where the loop has ended, there are none anyway.
        let _ = self.asks.send(Ask::Drain).await;
    }
}

/// Where SIP comes and goes.
#[derive(Debug)]
pub(crate) struct Sockets {
    pub(crate) datagrams: Datagrams,
    pub(crate) tcp: Tcp,
}

/// One socket, or one of each address family.
#[derive(Debug)]
pub(crate) struct Datagrams {
    pub(crate) udp: Udp,
    pub(crate) also: Option<Udp>,
}

impl Datagrams {
    /// Waits until there are datagrams.
    async fn ready(&self) -> std::io::Result<()> {
        match &self.also {
            None => self.udp.ready().await,
            Some(also) => tokio::select! {
                ready = self.udp.ready() => ready,
                ready = also.ready() => ready,
            },
        }
    }

    /// The next datagram or error, without waiting.
    fn receive(&mut self) -> Received {
        match (self.udp.receive(), &mut self.also) {
            (Received::Nothing, Some(also)) => also.receive(),
            (received, _) => received,
        }
    }

    fn send(&self, to: std::net::SocketAddr, datagram: &[u8]) -> std::io::Result<()> {
        match &self.also {
            Some(also) if also.is_ipv4() == to.is_ipv4() => also.send(to, datagram),
            _ => self.udp.send(to, datagram),
        }
    }
}

/// What the loop owns.
pub(crate) struct Run {
    node: Node,
    engine: Arc<Engine>,
    events: AsyncFd<OwnedFd>,
    sockets: Sockets,
    journal: Arc<Journal>,
    tap: Tap,
    turns: Arc<Turns>,
    /// What the node is doing now, should it begin a handoff.
    trigger: Trigger,
    asks: mpsc::Receiver<Ask>,
    /// Commands that a worker's full queue sent back: the newest of each session, which says all that an older one did.
    waiting: HashMap<(usize, SessionId), Command>,
}

impl Run {
    /// # Errors
    /// Where the engine's descriptor cannot be watched.
    pub(crate) fn new(
        node: Node,
        engine: Arc<Engine>,
        sockets: Sockets,
        journal: Arc<Journal>,
        tap: Tap,
    ) -> std::io::Result<(Run, NodeHandle)> {
        #[expect(
            deprecated,
            reason = "its successor is unsafe; an OwnedFd of our own is open as long as it is watched"
        )]
        let events = AsyncFd::new(engine.events().as_fd().try_clone_to_owned()?)?;
        let (sender, asks) = mpsc::channel(REQUESTS);
        let turns = Arc::new(Turns::new(Instant::now()));
        let run = Run {
            node,
            engine,
            events,
            sockets,
            journal,
            tap,
            turns: Arc::clone(&turns),
            trigger: Trigger::default(),
            asks,
            waiting: HashMap::new(),
        };
        Ok((run, NodeHandle { asks: sender, turns }))
    }

    /// Runs until every [`NodeHandle`] is gone.
    pub(crate) async fn run(mut self) {
        // Set where a batch ended before its source was empty: then nothing will say again that there is more.
        let mut more_events = false;
        loop {
            let timer = self.next_wake();
            let began;
            tokio::select! {
                ask = self.asks.recv() => match ask {
                    Some(ask) => {
                        began = Instant::now();
                        self.take_ask(ask);
                    }
                    None => return,
                },
                event = self.sockets.tcp.next() => {
                    began = Instant::now();
                    self.take_stream(event);
                }
                ready = self.sockets.datagrams.ready() => {
                    began = Instant::now();
                    if let Err(error) = ready {
                        tracing::error!(%error, "the SIP socket is gone");
                        return;
                    }
                    self.take_datagrams();
                }
                ready = self.events.readable(), if !more_events => {
                    began = Instant::now();
                    match ready {
                        // First the descriptor, then the queue: an event that comes in between is announced again.
                        Ok(mut guard) => guard.clear_ready(),
                        Err(error) => {
                            tracing::error!(%error, "the engine's events are gone");
                            return;
                        }
                    }
                    self.engine.events().clear();
                    more_events = self.take_events();
                }
                () = std::future::ready(()), if more_events => {
                    began = Instant::now();
                    more_events = self.take_events();
                }
                () = sleep_until(timer), if timer.is_some() => began = Instant::now(),
            }
            let now = Instant::now();
            if self.node.poll_timeout().is_some_and(|at| at <= now) {
                self.node.handle_timeout(now);
            }
            self.resend();
            self.do_outputs();
            let queued = Queued {
                requests: self.asks.len(),
                connection_events: self.sockets.tcp.waiting(),
                worker_commands: self.waiting.len(),
            };
            if self.tap.is_dusty(now) {
                let node = &mut self.node;
                self.tap
                    .sweep(now, |call| node.handle_request(now, Request::Call(call)).is_ok());
            }
            self.turns.turned(began, Instant::now(), queued);
        }
    }

    fn next_wake(&self) -> Option<Instant> {
        let retry = (!self.waiting.is_empty()).then(|| Instant::now() + RETRY);
        [self.node.poll_timeout(), retry].into_iter().flatten().min()
    }

    fn take_ask(&mut self, ask: Ask) {
        match ask {
            Ask::Request(request, key, reply) => {
                self.trigger = match &request {
                    Request::Turns(..) => Trigger::Rule,
                    _ => Trigger::Api,
                };
                let response = self.node.handle_request(Instant::now(), request);
                if let (Some(key), Ok(Response::Handoff(id))) = (key, &response) {
                    self.journal.remember(*id, key);
                }
                // The records must know of it before the user does.
                self.do_outputs();
                self.trigger = Trigger::default();
                let _ = reply.send(response);
            }
            Ask::Holds(reply) => {
                let holds = Holds {
                    alive: self.node.alive(),
                    connections: self.node.flows(),
                };
                let _ = reply.send(holds);
            }
            Ask::EndForeign(leg, reply) => {
                let _ = reply.send(self.node.end_foreign(Instant::now(), leg));
            }
            Ask::Drain => self.node.drain(),
        }
    }

    fn take_datagrams(&mut self) {
        for _ in 0..BATCH {
            match self.sockets.datagrams.receive() {
                Received::Datagram(from, datagram) => {
                    let now = Instant::now();
                    self.tap.datagram_came(now, from, &datagram);
                    self.node.handle_datagram(now, from, datagram);
                    self.settle();
                }
                Received::Unreachable(to) => self.node.handle_unreachable(Instant::now(), to),
                Received::Nothing => return,
            }
            self.do_outputs();
        }
    }

    fn take_stream(&mut self, event: tcp::Event) {
        let mut event = event;
        for _ in 1..BATCH {
            self.take_stream_event(event);
            match self.sockets.tcp.try_next() {
                Some(next) => event = next,
                None => return,
            }
        }
        self.take_stream_event(event);
    }

    fn take_stream_event(&mut self, event: tcp::Event) {
        let now = Instant::now();
        match event {
            tcp::Event::Accepted(stream, peer) => match self.node.accept_flow(now, peer) {
                Some(flow) => {
                    self.tap.flow_opens(flow, peer);
                    self.sockets.tcp.take(flow, stream);
                }
                None => tracing::debug!(%peer, "SIP connection refused: there are too many"),
            },
            tcp::Event::Connected(flow) => self.node.handle_connected(now, flow),
            tcp::Event::Bytes(flow, bytes) => {
                self.tap.bytes_came(now, flow, &bytes);
                self.node.handle_stream(now, flow, &bytes);
                self.settle();
            }
            tcp::Event::Closed(flow) => {
                self.tap.flow_closes(flow);
                self.sockets.tcp.forget(flow);
                self.node.handle_closed(now, flow);
            }
        }
        self.do_outputs();
    }

    /// Whether there may be more.
    fn take_events(&mut self) -> bool {
        for _ in 0..BATCH {
            let Some((worker, event)) = self.engine.events().try_recv() else {
                return false;
            };
            self.node.handle_media(Instant::now(), worker, event);
            self.do_outputs();
        }
        true
    }

    fn do_outputs(&mut self) {
        while let Some(output) = self.node.poll_output() {
            match output {
                Output::Datagram(transmit) => {
                    self.tap.datagram_goes(Instant::now(), transmit.to, &transmit.bytes);
                    if let Err(error) = self.sockets.datagrams.send(transmit.to, &transmit.bytes) {
                        tracing::debug!(to = %transmit.to, %error, "SIP not sent");
                        self.tap.not_sent();
                        self.node.handle_unreachable(Instant::now(), transmit.to);
                    }
                }
                Output::Stream(stream) => {
                    match &stream {
                        Stream::Connect { flow, to } => self.tap.flow_opens(*flow, *to),
                        Stream::Send { flow, bytes } => self.tap.message_goes(Instant::now(), *flow, bytes),
                        Stream::Close { flow } => self.tap.flow_closes(*flow),
                    }
                    if let Err(flow) = self.sockets.tcp.handle(stream) {
                        self.tap.flow_closes(flow);
                        self.node.handle_closed(Instant::now(), flow);
                    }
                }
                Output::Media { worker, command } => self.command(worker, command),
                Output::Notice(notice) => self.tell(&notice),
            }
        }
    }

    fn tell(&mut self, notice: &Notice) {
        if let What::Handoff(_, Step::Requested { mode, target, .. }) = &notice.what {
            lock(&self.journal.metrics).requested(self.trigger, *mode, target);
        }
        self.journal.handle(notice);
        if matches!(notice.what, What::CallEnded { .. }) {
            self.tap.call_ends(Instant::now(), notice.call);
        }
    }

    /// Lets the tap tell of what the node has seen.
    fn settle(&mut self) {
        let node = &mut self.node;
        self.tap.settle(|sip_call_id| {
            let found = node.handle_request(Instant::now(), Request::FindCall(sip_call_id.to_owned()));
            match found {
                Ok(Response::Call(call)) => ids::parse_call(&call.id),
                _ => None,
            }
        });
    }

    fn command(&mut self, worker: usize, command: Command) {
        let key = (worker, session(&command));
        if let Some(older) = self.waiting.get_mut(&key) {
            supersede(older, command);
            return;
        }
        if let Err(Full(command)) = self.engine.send(worker, command) {
            self.waiting.insert(key, command);
        }
    }

    fn resend(&mut self) {
        if self.waiting.is_empty() {
            return;
        }
        for ((worker, session), command) in std::mem::take(&mut self.waiting) {
            if let Err(Full(command)) = self.engine.send(worker, command) {
                self.waiting.insert((worker, session), command);
            }
        }
    }
}

/// The newest `Set` says all that an older one did; after an `End` nothing more is said.
fn supersede(older: &mut Command, newer: Command) {
    if !matches!(older, Command::End { .. }) {
        *older = newer;
    }
}

fn session(command: &Command) -> SessionId {
    match command {
        Command::Set { session, .. } | Command::End { session } => *session,
    }
}

async fn sleep_until(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at.into()).await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests {
    use media::command::{Generation, SessionSpec};

    use super::*;

    fn set(generation: u64) -> Command {
        Command::Set {
            session: SessionId(1),
            generation: Generation(generation),
            spec: SessionSpec::default(),
        }
    }

    #[test]
    fn of_what_waits_the_newest_set_stays_and_an_end_always() {
        let end = Command::End { session: SessionId(1) };
        let mut waiting = set(1);
        supersede(&mut waiting, set(2));
        assert!(matches!(
            &waiting,
            Command::Set {
                generation: Generation(2),
                ..
            }
        ));
        supersede(&mut waiting, end);
        supersede(&mut waiting, set(3));
        assert!(matches!(waiting, Command::End { .. }));
    }
}
