//! One worker: its loop, and the thread around it.

mod moves;
mod sockets;

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use media::command::{Command, Port, SessionId};
use media::core::{Core, Loss};
use media::verdict::Verdict;

use crate::channel::{Said, WorkerSide};
use crate::clock;
use crate::config::Backend;
use crate::net::{Completion, Net, Received};
use crate::stats::{Page, Snapshot};

pub(crate) use moves::Moves;
pub(crate) use sockets::Sockets;

/// Completions that are walked before time and commands get their turn.
const COMPLETIONS_PER_TURN: usize = 256;

/// Commands that are handled before packets get their turn.
const COMMANDS_PER_TURN: usize = 16;

/// Events that are handed out before packets get their turn.
const EVENTS_PER_TURN: usize = 64;

/// Nobody is woken for a deadline sooner than this after the last turn: those that come meanwhile are met together, and where packets come no
/// timer of the processor has to be set at all. Thousands of legs that are looked at for silence each 60 ms have a deadline every 20 µs.
const DEADLINES_GATHER: Duration = Duration::from_micros(500);

/// A longer time in the host is none: the host's clock has stepped.
const LATENCY_MAX: Duration = Duration::from_secs(10);

/// Everything that one thread works with.
pub(crate) struct Worker {
    core: Core,
    net: Net,
    channel: WorkerSide,
    page: Arc<Page>,
    sockets: Sockets,
    moves: Moves,
    snapshot: Snapshot,
    /// The time of this turn: read once, after the kernel came back.
    now: Instant,
    /// When the last turn was done.
    done: Instant,
    /// The core had more packets to send than there were buffers.
    unsent: bool,
    /// When packets arrived that io_uring is given for sending at the end of this turn, where that is known.
    queued: Vec<u64>,
    /// The core may have more events than one turn hands out.
    untold: bool,
}

impl Worker {
    pub(crate) fn new(
        core: Core,
        net: Net,
        channel: WorkerSide,
        page: Arc<Page>,
        sockets: Sockets,
        moves: Moves,
    ) -> Worker {
        let now = clock::now();
        let mut worker = Worker {
            core,
            net,
            channel,
            page,
            sockets,
            moves,
            snapshot: Snapshot::default(),
            now,
            done: now,
            unsent: false,
            queued: Vec::with_capacity(COMPLETIONS_PER_TURN),
            untold: false,
        };
        worker.publish();
        worker
    }

    /// Works until it is told to stop, or the kernel fails it.
    pub(crate) fn run(&mut self) -> io::Result<()> {
        while !self.channel.stopping() {
            #[cfg(test)]
            assert!(
                !self.channel.fails.load(std::sync::atomic::Ordering::Relaxed),
                "as the test wants"
            );
            self.turn()?;
        }
        Ok(())
    }

    /// Waits until there is something to do, and does a bounded part of it.
    pub(crate) fn turn(&mut self) -> io::Result<()> {
        let timeout = self.timeout();
        self.net.enter(self.done, timeout)?;
        self.channel.awake();
        self.now = clock::now();
        self.packets();
        self.time();
        self.commands();
        self.transmits();
        self.moves();
        self.events();
        self.publish();
        Ok(())
    }

    /// How long there is nothing to do, but for packets and commands. `None`: for ever.
    fn timeout(&mut self) -> Option<Duration> {
        if self.unsent || self.untold || self.is_leaving() || !self.channel.may_sleep() {
            return Some(Duration::ZERO);
        }
        let at = self.core.poll_timeout()?;
        // Not from `now`: the turn has taken its time.
        let until = at.saturating_duration_since(self.done);
        Some(if until.is_zero() {
            until
        } else {
            until.max(DEADLINES_GATHER)
        })
    }

    fn packets(&mut self) {
        let mut received = 0;
        for _ in 0..COMPLETIONS_PER_TURN {
            match self.net.next(self.now) {
                Some(Completion::Received(packet)) => {
                    received += 1;
                    self.packet(packet);
                }
                Some(Completion::SendFailed { socket }) => self.send_failed(socket),
                Some(Completion::Done) => {}
                None => break,
            }
        }
        if received > 0 {
            self.page.batch.came(received);
        }
    }

    fn packet(&mut self, packet: Received) {
        let port = self.sockets.port(packet.socket);
        if packet.lost > 0 {
            self.core.handle_loss(self.now, Loss::Received(port, packet.lost));
        }
        let place = self.net.packet_mut(&packet.buffer);
        match self.core.handle_packet(self.now, port, packet.from, place, packet.len) {
            Verdict::Send { from, to, len } => {
                let socket = self.sockets.index(from);
                if !self.net.send(socket, to, packet.buffer, len) {
                    self.core.handle_loss(self.now, Loss::Sent(from, 1));
                } else if let Some(arrival) = packet.arrival {
                    self.handed_over(arrival);
                }
            }
            Verdict::Consumed | Verdict::Drop(_) => self.net.recycle(packet.buffer),
        }
        // Its leg's latch may have closed with this one.
        if self.net.is_open(packet.socket)
            && let Some(peer) = self.core.peer(port)
        {
            self.net.follow(packet.socket, Some(peer));
        }
    }

    /// A forwarded packet whose time of arrival is known is sent, or queued for that: one for each completion at the most.
    fn handed_over(&mut self, arrival: u64) {
        match self.net.backend() {
            Backend::Epoll => self.was_here(clock::wall(), arrival),
            _ => self.queued.push(arrival),
        }
    }

    fn was_here(&self, now: u64, arrival: u64) {
        let time = now.checked_sub(arrival).map(Duration::from_nanos);
        if let Some(time) = time.filter(|time| *time <= LATENCY_MAX) {
            self.page.latency.passed(time);
        }
    }

    fn send_failed(&mut self, socket: u16) {
        let port = self.sockets.port(socket);
        self.core.handle_loss(self.now, Loss::Sent(port, 1));
        self.lost_on_the_way(port);
    }

    fn time(&mut self) {
        // The core asks that what the last call made is fetched first.
        if !self.unsent && self.core.poll_timeout().is_some_and(|at| at <= self.now) {
            self.core.handle_timeout(self.now);
        }
    }

    fn commands(&mut self) {
        for _ in 0..COMMANDS_PER_TURN {
            match self.channel.command() {
                Some(command) => {
                    let (Command::Set { session, .. } | Command::End { session }) = command;
                    // It may close a window of evidence or release a leg: what was dropped at the end of a burst belongs to it, though no packet has
                    // come since to tell of it.
                    self.ask_drops(session);
                    let before = self.core.ports(session);
                    self.core.handle_command(self.now, command);
                    self.follow(&before);
                    self.follow(&self.core.ports(session));
                }
                None => break,
            }
        }
    }

    /// The sockets of these ports let in whom the latches of their legs let in.
    fn follow(&mut self, ports: &[Port]) {
        for &port in ports {
            let peer = self.core.peer(port);
            self.net.follow(self.sockets.index(port), peer);
        }
    }

    fn ask_drops(&mut self, session: SessionId) {
        for port in self.core.ports(session) {
            let lost = self.net.ask_drops(self.sockets.index(port));
            if lost > 0 {
                self.core.handle_loss(self.now, Loss::Received(port, lost));
            }
        }
    }

    /// The number of transmit buffers is the bound of a turn.
    fn transmits(&mut self) {
        loop {
            let Some(buffer) = self.net.take_spare() else {
                self.unsent = true;
                self.snapshot.transmit_waits += 1;
                return;
            };
            let place = self.net.packet_mut(&buffer);
            let Some(transmit) = self.core.poll_transmit(self.now, place) else {
                self.net.recycle(buffer);
                self.unsent = false;
                return;
            };
            if !self.sockets.has(transmit.from) {
                // RTCP where there is none beside RTP: nobody gets it.
                self.net.recycle(buffer);
                continue;
            }
            let socket = self.sockets.index(transmit.from);
            if !self.net.send(socket, transmit.to, buffer, transmit.len) {
                self.core.handle_loss(self.now, Loss::Sent(transmit.from, 1));
            }
        }
    }

    fn events(&mut self) {
        let mut pushed = self.tell_moves();
        while pushed < EVENTS_PER_TURN {
            if !self.channel.room_for_event() {
                // The reader wakes us when it has made room.
                self.snapshot.event_waits += 1;
                break;
            }
            let Some(event) = self.core.poll_event() else { break };
            self.channel.push_event(Said::Event(event));
            pushed += 1;
        }
        self.untold = pushed >= EVENTS_PER_TURN;
        if pushed > 0 {
            self.channel.wake_reader();
        }
    }

    fn publish(&mut self) {
        let totals = self.net.totals();
        let snapshot = &mut self.snapshot;
        snapshot.take_core(self.core.counters());
        snapshot.loops += 1;
        snapshot.enters = self.net.enters();
        snapshot.completions = totals.completions;
        snapshot.receive_rearms = totals.receive_rearms;
        snapshot.receive_errors = totals.receive_errors;
        snapshot.receive_rests = totals.receive_rests;
        snapshot.truncated = totals.truncated;
        snapshot.sent = totals.sent;
        snapshot.send_errors = totals.send_errors;
        snapshot.kernel_drops = totals.kernel_drops;
        snapshot.completion_overflows = u64::from(self.net.overflows());
        snapshot.buffers_free = self.net.buffers_free() as u64;
        snapshot.transmit_buffers_free = self.net.spares_free() as u64;
        self.done = clock::now();
        let took = self.done.saturating_duration_since(self.now);
        snapshot.loop_us_max = snapshot.loop_us_max.max(took.as_micros() as u64);
        self.page.loop_time.passed(took);
        self.page.write(snapshot);
        if !self.queued.is_empty() {
            let now = clock::wall();
            self.queued.iter().for_each(|&arrival| self.was_here(now, arrival));
            self.queued.clear();
        }
    }
}

#[cfg(test)]
mod tests;
