//! Another version of this server on the same sockets: the new one takes what comes, the old one finishes its calls.
//!
//! The old one passes its sockets on (SCM_RIGHTS), and from then on only the new one reads by them. What it does not know and may
//! belong to a call of the old one, it shows to that one, which deals with it, or gives it back. Both answer by their own copy of
//! the socket. Connections stay with who has them; a message on one of them that is the other's goes over, and its answer comes back.

pub(crate) mod gate;
pub(crate) mod link;
pub(crate) mod wire;

use std::collections::{HashMap, HashSet};
use std::net::SocketAddr;
use std::time::Instant;

use calls::node::Node;
use sip::endpoint::{FlowId, Share, Stray};

use crate::tap::redact::redacted;
use link::Link;
use wire::Word;

/// Which of two we are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    /// There is no other.
    Alone,
    /// The new one: what comes is ours, but for what belongs to calls of the old one.
    Front,
    /// The old one.
    Back,
}

/// The other server, from our side of the link.
#[derive(Debug)]
pub(crate) struct Sibling {
    pub(crate) link: Link,
    pub(crate) side: Side,
    /// Its connections, as ours: by its name of each, and by ours.
    theirs: HashMap<u64, FlowId>,
    borrowed: HashMap<FlowId, u64>,
    /// Connections of ours that it knows of.
    lent: HashSet<FlowId>,
}

impl Sibling {
    pub(crate) fn new(link: Link, side: Side) -> Sibling {
        Sibling {
            link,
            side,
            theirs: HashMap::new(),
            borrowed: HashMap::new(),
            lent: HashSet::new(),
        }
    }

    /// Shows a message that is not ours; or takes it, where it came from there.
    pub(crate) fn show(&mut self, now: Instant, node: &mut Node, stray: Stray) {
        match stray.flow {
            Some(flow) if self.borrowed.contains_key(&flow) => node.handle_own(now, stray),
            flow => {
                self.lent.extend(flow);
                let word = match self.side {
                    Side::Back => Word::Give,
                    Side::Front | Side::Alone => Word::Ask,
                };
                tracing::debug!(from = %stray.from, message = redacted(&stray.bytes), "SIP passed on to the other version");
                self.link
                    .send(&word(flow.map(|flow| flow.0), stray.from, stray.bytes), None);
            }
        }
    }

    /// A message of the other's. `None` where there is no room for another connection of its.
    fn stray(
        &mut self,
        now: Instant,
        node: &mut Node,
        flow: Option<u64>,
        from: SocketAddr,
        bytes: bytes::Bytes,
    ) -> Option<Stray> {
        let flow = match flow {
            None => None,
            Some(name) => Some(match self.theirs.get(&name) {
                Some(flow) => *flow,
                None => {
                    let flow = node.accept_flow(now, from)?;
                    self.theirs.insert(name, flow);
                    self.borrowed.insert(flow, name);
                    flow
                }
            }),
        };
        Some(Stray { from, flow, bytes })
    }

    /// The other asks whether a message is ours.
    pub(crate) fn asked(
        &mut self,
        now: Instant,
        node: &mut Node,
        flow: Option<u64>,
        from: SocketAddr,
        bytes: bytes::Bytes,
    ) {
        let known = self
            .stray(now, node, flow, from, bytes.clone())
            .is_some_and(|stray| node.handle_known(now, stray));
        if !known {
            self.link.send(&Word::Back(flow, from, bytes), None);
        }
    }

    /// The other gives us a message.
    pub(crate) fn given(
        &mut self,
        now: Instant,
        node: &mut Node,
        flow: Option<u64>,
        from: SocketAddr,
        bytes: bytes::Bytes,
    ) {
        if let Some(stray) = self.stray(now, node, flow, from, bytes) {
            node.handle_own(now, stray);
        }
    }

    /// A message of ours that the other does not know either.
    pub(crate) fn back(
        &mut self,
        now: Instant,
        node: &mut Node,
        flow: Option<u64>,
        from: SocketAddr,
        bytes: bytes::Bytes,
    ) {
        let flow = flow.map(FlowId);
        node.handle_own(now, Stray { from, flow, bytes });
    }

    /// Whether a connection is the other's; then what is to be written on it goes there.
    pub(crate) fn write(&mut self, flow: FlowId, bytes: &bytes::Bytes) -> bool {
        let Some(name) = self.borrowed.get(&flow) else {
            return false;
        };
        self.link.send(&Word::Write(*name, bytes.clone()), None);
        true
    }

    /// We need a connection no more. Whether it was the other's: then that goes on.
    pub(crate) fn close(&mut self, flow: FlowId) -> bool {
        let name = self.borrowed.remove(&flow);
        if let Some(name) = name {
            self.theirs.remove(&name);
        }
        name.is_some()
    }

    /// A connection of ours is gone.
    pub(crate) fn gone(&mut self, flow: FlowId) {
        if self.lent.remove(&flow) {
            self.link.send(&Word::Closed(flow.0), None);
        }
    }

    /// A connection of the other's is gone.
    pub(crate) fn closed(&mut self, now: Instant, node: &mut Node, name: u64) {
        if let Some(flow) = self.theirs.remove(&name) {
            self.borrowed.remove(&flow);
            node.handle_closed(now, flow);
        }
    }

    /// The other is gone, and its connections with it.
    pub(crate) fn end(self, now: Instant, node: &mut Node) {
        node.share(None);
        for flow in self.borrowed.into_keys() {
            node.handle_closed(now, flow);
        }
    }
}

/// How a node is told of the other, by its side.
pub(crate) fn share(side: Side, calls: std::collections::BTreeSet<String>) -> Option<Share> {
    match side {
        Side::Alone => None,
        Side::Front => Some(Share::Takes(calls)),
        Side::Back => Some(Share::Leaves),
    }
}
