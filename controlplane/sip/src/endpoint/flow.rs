//! Flows: the TCP connections that messages come and go by, and what each of them may cost us.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use bytes::Bytes;

use crate::framing::Framer;
use crate::message::Limits;

/// A TCP connection, theirs or ours. Never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FlowId(pub u64);

/// Bounds on connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FlowBounds {
    /// Connections at the most, theirs and ours. A quarter of these is kept for ours, another one for those who may call
    /// ([`Endpoint::admit`](super::Endpoint::admit)).
    pub connections: usize,
    /// Of these, with one address; of IPv6, with one network of 64 bits, for whoever has one has all of its addresses.
    pub per_peer: usize,
    /// A connection on which nothing comes for so long, and which no dialog and no transaction uses, is closed.
    pub idle: Duration,
    /// How long a peer may take to take a connection of ours. Whoever owns the sockets gives up no later.
    pub connect: Duration,
    /// How long a message may take from its first byte to its last, and a new connection to its first message.
    pub unfinished: Duration,
}

impl Default for FlowBounds {
    fn default() -> FlowBounds {
        FlowBounds {
            connections: 1000,
            per_peer: 100,
            idle: Duration::from_secs(180),
            connect: Duration::from_secs(2),
            unfinished: Duration::from_secs(10),
        }
    }
}

/// What is to be done on connections, in this order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stream {
    /// Open one. `handle_connected` or `handle_closed` follows; where neither does within [`FlowBounds::connect`], `Close`
    /// comes. What is to be sent meanwhile waits.
    Connect {
        /// Its name from now on.
        flow: FlowId,
        /// Where to.
        to: SocketAddr,
    },
    /// Write.
    Send {
        /// Where.
        flow: FlowId,
        /// What.
        bytes: Bytes,
    },
    /// Close it, once what was to be sent is written. `handle_closed` does not follow.
    Close {
        /// Which.
        flow: FlowId,
    },
}

/// One connection.
#[derive(Debug)]
pub(super) struct Flow {
    pub(super) peer: SocketAddr,
    /// A message came on it, or it is ours.
    pub(super) proven: bool,
    /// When it came; of ours, when we wanted it.
    began: Instant,
    /// When something came last, itself included.
    heard: Instant,
    pub(super) connected: bool,
    pub(super) framer: Framer,
    pub(super) scheduled: Option<Instant>,
}

impl Flow {
    /// When it is closed, if nothing comes any more.
    pub(super) fn deadline(&self, bounds: &FlowBounds) -> Instant {
        let quiet = match (self.connected, self.proven) {
            (false, _) => self.began + bounds.connect,
            // Keep-alives do not count: they would cost a byte every ten seconds.
            (true, false) => self.began + bounds.unfinished,
            (true, true) => self.heard + bounds.idle,
        };
        let unfinished = self.framer.unfinished_since().map(|since| since + bounds.unfinished);
        unfinished.map_or(quiet, |unfinished| unfinished.min(quiet))
    }
}

/// All connections.
#[derive(Debug)]
pub(super) struct Flows {
    /// `None`: there is no TCP.
    pub(super) bounds: Option<FlowBounds>,
    last: u64,
    flows: BTreeMap<FlowId, Flow>,
    /// Those that we opened, by where they lead.
    ours: BTreeMap<SocketAddr, FlowId>,
    peers: BTreeMap<IpAddr, usize>,
    /// Where no connection was to be had lately: what is only too long for a datagram need not wait for another try.
    refusals: BTreeSet<SocketAddr>,
    pub(super) streams: VecDeque<Stream>,
    /// Connections that there was no room for; their messages fail as if the peer had refused.
    pub(super) unborn: Vec<FlowId>,
}

impl Flows {
    pub(super) fn new(bounds: Option<FlowBounds>) -> Flows {
        Flows {
            bounds,
            last: 0,
            flows: BTreeMap::new(),
            ours: BTreeMap::new(),
            peers: BTreeMap::new(),
            refusals: BTreeSet::new(),
            streams: VecDeque::new(),
            unborn: Vec::new(),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.flows.len()
    }

    pub(super) fn get_mut(&mut self, id: FlowId) -> Option<&mut Flow> {
        self.flows.get_mut(&id)
    }

    pub(super) fn contains(&self, id: FlowId) -> bool {
        self.flows.contains_key(&id)
    }

    /// A connection of theirs, if there is room for it. `known`: the peer may call.
    pub(super) fn accept(&mut self, now: Instant, peer: SocketAddr, known: bool) -> Option<FlowId> {
        let kept = self.bounds?.connections.div_ceil(if known { 4 } else { 2 });
        if !self.room(peer, kept) {
            return None;
        }
        let id = self.next();
        self.add(id, peer, now, true);
        Some(id)
    }

    /// The connection that a message to `to` takes: `flow` as long as it is there, else the one that we have opened there, else a
    /// new one.
    pub(super) fn find(&mut self, now: Instant, to: SocketAddr, flow: Option<FlowId>) -> FlowId {
        if let Some(id) = flow.filter(|id| self.contains(*id)) {
            return id;
        }
        if let Some(id) = self.ours.get(&to) {
            return *id;
        }
        let id = self.next();
        if self.room(to, 0) {
            self.add(id, to, now, false);
            self.ours.insert(to, id);
            self.streams.push_back(Stream::Connect { flow: id, to });
        } else {
            self.unborn.push(id);
        }
        id
    }

    /// One of ours is there.
    pub(super) fn connected(&mut self, now: Instant, id: FlowId) {
        if let Some(flow) = self.flows.get_mut(&id) {
            flow.heard = now;
            flow.connected = true;
        }
    }

    /// Something came.
    pub(super) fn hear(&mut self, now: Instant, id: FlowId, bytes: &[u8]) {
        if let Some(flow) = self.flows.get_mut(&id) {
            flow.heard = now;
            flow.framer.handle_bytes(now, bytes);
        }
    }

    /// It lives on for another idle time, though nothing came.
    pub(super) fn keep(&mut self, now: Instant, id: FlowId) {
        if let Some(flow) = self.flows.get_mut(&id) {
            flow.heard = now;
        }
    }

    pub(super) fn remove(&mut self, id: FlowId) -> Option<Flow> {
        let flow = self.flows.remove(&id)?;
        if self.ours.get(&flow.peer) == Some(&id) {
            self.ours.remove(&flow.peer);
        }
        let ip = network(flow.peer.ip());
        if let Some(count) = self.peers.get_mut(&ip) {
            *count -= 1;
            if *count == 0 {
                self.peers.remove(&ip);
            }
        }
        Some(flow)
    }

    /// What was to be sent on a connection, and is not.
    pub(super) fn unsent(&mut self, id: FlowId) -> Vec<Bytes> {
        let mut unsent = Vec::new();
        self.streams.retain(|stream| match stream {
            Stream::Send { flow, bytes } if *flow == id => {
                unsent.push(bytes.clone());
                false
            }
            Stream::Connect { flow, .. } => *flow != id,
            _ => true,
        });
        unsent
    }

    /// Remembers that no connection is to be had there; whether that is news.
    pub(super) fn refused(&mut self, peer: SocketAddr) -> bool {
        let bound = self.bounds.map_or(0, |bounds| bounds.connections);
        self.refusals.len() < bound && self.refusals.insert(peer)
    }

    pub(super) fn forgive(&mut self, peer: SocketAddr) {
        self.refusals.remove(&peer);
    }

    pub(super) fn refuses(&self, peer: SocketAddr) -> bool {
        self.refusals.contains(&peer)
    }

    fn next(&mut self) -> FlowId {
        self.last += 1;
        FlowId(self.last)
    }

    /// Whether there is room for one more, with so many places kept free.
    fn room(&self, peer: SocketAddr, kept: usize) -> bool {
        let Some(bounds) = &self.bounds else { return false };
        let of_peer = self.peers.get(&network(peer.ip())).copied().unwrap_or(0);
        self.flows.len() + kept < bounds.connections && of_peer < bounds.per_peer
    }

    /// `theirs`: it is there; one of ours is still to be opened.
    fn add(&mut self, id: FlowId, peer: SocketAddr, now: Instant, theirs: bool) {
        *self.peers.entry(network(peer.ip())).or_default() += 1;
        let flow = Flow {
            peer,
            proven: !theirs,
            began: now,
            heard: now,
            connected: theirs,
            framer: Framer::new(Limits::default()),
            scheduled: None,
        };
        self.flows.insert(id, flow);
    }

    /// Entries of all tables, indexes and queues.
    pub(super) fn held(&self) -> usize {
        let tables = [self.flows.len(), self.ours.len(), self.peers.len(), self.refusals.len()];
        tables.into_iter().sum::<usize>() + self.streams.len() + self.unborn.len()
    }
}

/// What connections are counted by.
fn network(ip: IpAddr) -> IpAddr {
    match ip {
        IpAddr::V4(_) => ip,
        IpAddr::V6(v6) => IpAddr::V6((u128::from(v6) & !u128::from(u64::MAX)).into()),
    }
}
