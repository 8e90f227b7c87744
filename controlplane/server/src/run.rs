//! The only place where inputs meet the node and its outputs are done: one task, one loop, no lock around the node.

mod effort;
mod handle;
mod load;
mod sockets;

use std::collections::{BTreeSet, HashMap};
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use calls::node::{Node, Output};
use calls::notice::{CallId, Notice, Step, What};
use calls::request::{Request, RequestError, Response, Ticket};
use engine::{Engine, Full};
use media::command::{Command, Event, SessionId};
use playbook::routing::Profile;
use sip::endpoint::{FlowId, Stream};
use tokio::io::unix::AsyncFd;
use tokio::sync::{mpsc, oneshot, watch};

use crate::ids;
use crate::journal::{Journal, lock};
use crate::metrics::Trigger;
use crate::metrics::turns::{Queued, Turns};
use crate::sibling::link::{Heard, Link};
use crate::sibling::wire::Word;
use crate::sibling::{self, Sibling, Side};
use crate::sip_transport::tcp;
use crate::sip_transport::udp::Received;
use crate::tap::Tap;
use effort::Effort;
use handle::Ask;
pub(crate) use handle::{Holds, NodeHandle, Stopped};
use load::Meter;
pub(crate) use sockets::{Datagrams, Sockets};

/// Datagrams, and events, that are taken in at one turn before everything else has its turn again.
const BATCH: usize = 64;

/// Call-IDs in one message to the other version: what fits into a packet, whoever chose them.
const CALLS: usize = 64;

/// Requests that may wait for the loop.
const REQUESTS: usize = 1024;

/// How soon a command is offered again to a worker whose queue was full.
const RETRY: Duration = Duration::from_millis(2);

/// Whom the loop tells of the other version of the server.
#[derive(Debug)]
pub(crate) struct Outside {
    /// Which of two we are.
    pub(crate) side: watch::Sender<Side>,
    /// Connections of users of the API that the other has for us.
    pub(crate) http: mpsc::Sender<OwnedFd>,
    /// Set where the other says that our calls have had their time.
    pub(crate) hang_up: watch::Sender<bool>,
    /// We were told to take no new calls, by whomever.
    pub(crate) draining: Arc<AtomicBool>,
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
    meter: Meter,
    effort: Effort,
    /// Who waits for answers that come later.
    later: HashMap<Ticket, oneshot::Sender<Result<Response, RequestError>>>,
    /// What the node is doing now, should it begin a handoff.
    trigger: Trigger,
    asks: mpsc::Receiver<Ask>,
    /// Commands that a worker's full queue sent back: the newest of each session, which says all that an older one did.
    waiting: HashMap<(usize, SessionId), Command>,
    /// The other version of this server, while there is one.
    sibling: Option<Sibling>,
    outside: Outside,
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
        outside: Outside,
    ) -> std::io::Result<(Run, NodeHandle)> {
        #[expect(
            deprecated,
            reason = "its successor is unsafe; an OwnedFd of our own is open as long as it is watched"
        )]
        let events = AsyncFd::new(engine.events().as_fd().try_clone_to_owned()?)?;
        let (sender, asks) = mpsc::channel(REQUESTS);
        let turns = Arc::new(Turns::new(Instant::now()));
        let side = outside.side.subscribe();
        let effort = Effort::new(engine.coders().complexity());
        let run = Run {
            node,
            engine,
            events,
            sockets,
            journal,
            tap,
            turns: Arc::clone(&turns),
            meter: Meter::new(Instant::now()),
            effort,
            later: HashMap::new(),
            trigger: Trigger::default(),
            asks,
            waiting: HashMap::new(),
            sibling: None,
            outside,
        };
        Ok((
            run,
            NodeHandle {
                asks: sender,
                turns,
                side,
            },
        ))
    }

    /// What comes is ours, but for what belongs to calls of the old version behind this link. It has INVITEs of these Call-IDs.
    pub(crate) fn take_over(&mut self, link: Link, calls: BTreeSet<String>) {
        self.pair(link, Side::Front, calls);
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
                ready = self.sockets.datagrams.ready(), if self.reads() => {
                    began = Instant::now();
                    if let Err(error) = ready {
                        tracing::error!(%error, "the SIP socket is gone");
                        return;
                    }
                    self.take_datagrams();
                }
                () = heard(self.sibling.as_ref()) => {
                    began = Instant::now();
                    self.take_words();
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
                () = tokio::time::sleep_until(timer.into()) => began = Instant::now(),
            }
            let now = Instant::now();
            self.node.handle_coders(self.engine.coders().free());
            if self.meter.next() <= now {
                let times = (0..self.engine.workers()).map(|worker| self.engine.processor_time(worker));
                let measures = self.meter.read(now, times);
                self.node.handle_load(now, &measures);
                self.node.handle_wall(now, std::time::SystemTime::now());
                self.effort.tell(self.engine.coders().complexity());
            }
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

    fn next_wake(&self) -> Instant {
        let retry = (!self.waiting.is_empty()).then(|| Instant::now() + RETRY);
        let wakes = [self.node.poll_timeout(), retry].into_iter().flatten();
        wakes.fold(self.meter.next(), Instant::min)
    }

    fn take_ask(&mut self, ask: Ask) {
        match ask {
            Ask::Request(request, key, reply) => {
                self.trigger = Trigger::Api;
                let response = self.node.handle_request(Instant::now(), request);
                if let (Some(key), Ok(Response::Handoff(id))) = (key, &response) {
                    self.journal.remember(*id, key);
                }
                if let Ok(Response::Later(ticket)) = response {
                    self.later.insert(ticket, reply);
                    self.do_outputs();
                } else {
                    // The records must know of it before the user does.
                    self.do_outputs();
                    let _ = reply.send(response);
                }
                self.trigger = Trigger::default();
            }
            Ask::Holds(reply) => {
                let holds = Holds {
                    alive: self.node.alive(),
                    connections: self.node.flows(),
                    loads: self.node.loads(),
                    refusals: self.node.refusals(),
                    moves: self.node.moves(),
                };
                let _ = reply.send(holds);
            }
            Ask::Queues(reply) => {
                let _ = reply.send(self.node.queues(Instant::now()));
            }
            Ask::KnowAgents(agents, reply) => {
                know_agents(&mut self.node, agents);
                self.do_outputs();
                let _ = reply.send(());
            }
            Ask::EndForeign(leg, reply) => {
                let _ = reply.send(self.node.end_foreign(Instant::now(), leg));
            }
            Ask::Drain => {
                self.outside.draining.store(true, Ordering::Relaxed);
                self.node.drain();
                if self.reads() {
                    self.say(&Word::Stopping, None);
                }
            }
            Ask::HandOver(link) => self.hand_over(*link),
            Ask::Tell(word, descriptor) => self.say(&word, descriptor),
            Ask::Reload(peers) => {
                self.tap.reload(&peers.trunks);
                self.node.reload(Instant::now(), *peers);
            }
        }
    }

    /// Whether datagrams are ours to read: of two versions the new one reads.
    fn reads(&self) -> bool {
        self.sibling.as_ref().is_none_or(|sibling| sibling.side != Side::Back)
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
                Received::Unreachable(to) => {
                    // Nobody can tell which of two versions has sent what did not arrive.
                    self.say(&Word::Unreachable(to), None);
                    self.node.handle_unreachable(Instant::now(), to);
                }
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
                if let Some(sibling) = &mut self.sibling {
                    sibling.gone(flow);
                }
                self.node.handle_closed(now, flow);
            }
        }
        self.do_outputs();
    }

    /// Whether there may be more.
    fn take_events(&mut self) -> bool {
        for _ in 0..BATCH {
            let Some((_, event)) = self.engine.events().try_recv() else {
                return false;
            };
            self.node.handle_media(Instant::now(), event);
            self.do_outputs();
        }
        true
    }

    fn do_outputs(&mut self) {
        loop {
            while let Some(output) = self.node.poll_output() {
                self.do_output(output);
            }
            let Some(stray) = self.node.poll_stray() else { return };
            match &mut self.sibling {
                Some(sibling) => sibling.show(Instant::now(), &mut self.node, stray),
                None => self.node.handle_own(Instant::now(), stray),
            }
        }
    }

    fn notice(&mut self, notice: &Notice) {
        let requested = match &notice.what {
            What::Handoff(
                _,
                Step::Requested {
                    mode, target, trigger, ..
                },
            ) => Some((mode, target, trigger)),
            _ => None,
        };
        if let Some((mode, target, rule)) = requested {
            let trigger = rule.as_ref().map_or(self.trigger, |_| Trigger::Rule);
            lock(&self.journal.metrics).requested(trigger, *mode, target);
        }
        self.journal.handle(notice);
        if matches!(notice.what, What::CallEnded { .. } | What::NotReached { .. }) {
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

    fn do_output(&mut self, output: Output) {
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
                if !self.is_the_others(&stream)
                    && let Err(flow) = self.sockets.tcp.handle(stream)
                {
                    self.tap.flow_closes(flow);
                    self.node.handle_closed(Instant::now(), flow);
                }
            }
            Output::Media { worker, command } => self.command(worker, command),
            Output::Move { session, from, to } => {
                if let Err(error) = self.engine.move_session(session, from, to) {
                    tracing::debug!(call = %ids::call(CallId(session.0)), %error, "a session stays where it is");
                    let moved = false;
                    self.node.handle_media(Instant::now(), Event::Moved { session, moved });
                }
            }
            Output::Notice(notice) => self.notice(&notice),
            Output::Answer(ticket, answer) => {
                // Who asked may have given up by now.
                let _ = self.later.remove(&ticket).map(|reply| reply.send(answer));
            }
        }
    }

    /// Whether it is done on a connection of the other version.
    fn is_the_others(&mut self, stream: &Stream) -> bool {
        let Some(sibling) = &mut self.sibling else { return false };
        match stream {
            Stream::Connect { .. } => false,
            Stream::Send { flow, bytes } => sibling.write(*flow, bytes),
            Stream::Close { flow } => {
                let others = sibling.close(*flow);
                if !others {
                    sibling.gone(*flow);
                }
                others
            }
        }
    }

    fn say(&mut self, word: &Word, descriptor: Option<OwnedFd>) {
        if let Some(sibling) = &mut self.sibling {
            sibling.link.send(word, descriptor);
        }
    }

    fn pair(&mut self, link: Link, side: Side, calls: BTreeSet<String>) {
        self.node.share(sibling::share(side, calls));
        self.sibling = Some(Sibling::new(link, side));
        self.outside.side.send_replace(side);
    }

    /// What has come until now is ours; all that comes is the new version's.
    fn hand_over(&mut self, mut link: Link) {
        let calls: Vec<_> = self.node.invitations().into_iter().collect();
        for some in calls.chunks(CALLS) {
            link.send(&Word::Calls(some.to_vec()), None);
        }
        link.send(&Word::Yours, None);
        self.sockets.tcp.stop_listening();
        self.pair(link, Side::Back, BTreeSet::new());
        tracing::info!("a new version has taken over; our calls go on to their end");
    }

    /// What the other version says.
    fn take_words(&mut self) {
        for _ in 0..BATCH {
            let Some(sibling) = &mut self.sibling else { return };
            let now = Instant::now();
            let node = &mut self.node;
            match sibling.link.receive() {
                Heard::Nothing => return sibling.link.flush(),
                Heard::End => self.is_alone(),
                Heard::Word(word, descriptors) => match word {
                    Word::Ask(None, from, bytes) => {
                        self.tap.datagram_came(now, from, &bytes);
                        sibling.asked(now, node, None, from, bytes);
                    }
                    Word::Ask(flow, from, bytes) => sibling.asked(now, node, flow, from, bytes),
                    Word::Back(flow, from, bytes) => sibling.back(now, node, flow, from, bytes),
                    Word::Give(flow, from, bytes) => sibling.given(now, node, flow, from, bytes),
                    Word::Closed(flow) => sibling.closed(now, node, flow),
                    Word::Unreachable(to) => node.handle_unreachable(now, to),
                    Word::Write(flow, bytes) => {
                        let flow = FlowId(flow);
                        if let Err(flow) = self.sockets.tcp.handle(Stream::Send { flow, bytes }) {
                            sibling.gone(flow);
                            node.handle_closed(now, flow);
                        }
                    }
                    Word::Http => {
                        for descriptor in descriptors {
                            // Where there are too many the user is told so by the end of the connection.
                            let _ = self.outside.http.try_send(descriptor);
                        }
                    }
                    Word::Stopping => {
                        self.outside.draining.store(true, Ordering::Relaxed);
                        node.drain();
                    }
                    Word::HangUp => drop(self.outside.hang_up.send_replace(true)),
                    Word::Hello(_) | Word::Sockets(_) | Word::No(_) | Word::Ready | Word::Calls(_) | Word::Yours => {
                        tracing::warn!(?word, "the other version says what is not its turn")
                    }
                },
            }
            self.settle();
            self.do_outputs();
        }
    }

    /// The other version is gone: the old one has finished, or the new one has failed, and what comes is ours again.
    fn is_alone(&mut self) {
        let Some(sibling) = self.sibling.take() else { return };
        match sibling.side {
            Side::Front | Side::Alone => tracing::info!("the old version has ended"),
            Side::Back => {
                tracing::warn!(
                    draining = self.outside.draining.load(Ordering::Relaxed),
                    "the new version is gone: what comes is ours again"
                );
                if let Err(error) = self.sockets.listen_again() {
                    tracing::error!(%error, "SIP connections cannot be accepted again");
                }
            }
        }
        sibling.end(Instant::now(), &mut self.node);
        self.outside.side.send_replace(Side::Alone);
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

/// Waits until the other version says something.
async fn heard(sibling: Option<&Sibling>) {
    match sibling {
        // A broken link says so when it is read.
        Some(sibling) => drop(sibling.link.ready().await),
        None => std::future::pending().await,
    }
}

/// These are the human agents that there are; who has no room is said.
pub(crate) fn know_agents(node: &mut Node, agents: Vec<Profile>) {
    for (agent, full) in node.know_agents(Instant::now(), agents) {
        tracing::error!(agent, ?full, "there is no room for a human agent");
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
