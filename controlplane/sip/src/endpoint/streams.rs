//! Messages and transactions on flows: every message is sent here, and a connection that is gone takes none of them with it.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use bytes::Bytes;

use super::flow::{FlowId, Stream};
use super::hop::{Hop, Source, Transport};
use super::received::Request;
use super::session::Owner;
use super::{Endpoint, Stray, Transmit, print};
use crate::framing::{Fault, Frame};
use crate::guard::{Guarded, guard, refuse_head};
use crate::message::Limits;
use crate::transaction::ClientInput;

/// A request whose connections are closed so often, one after the other without an answer, has failed; a refusal that nobody
/// acknowledges is sent no more.
const RECONNECTS: u8 = 3;
/// The same in all: a peer that answers a little each time and closes does not keep us busy as long as it likes.
const MOVES: u8 = 16;
/// How long a peer that refused a connection gets long requests by UDP at once.
const REFUSAL: Duration = Duration::from_secs(300);

impl Endpoint {
    /// They opened a connection. `None`: there is no room for it, and it is to be closed at once.
    pub fn accept_flow(&mut self, now: Instant, peer: SocketAddr) -> Option<FlowId> {
        let known = self.strangers.may_call(peer.ip());
        let flow = self.flows.accept(now, peer, known)?;
        self.settle_flow(flow);
        Some(flow)
    }

    /// The connection that [`Stream::Connect`] wanted is there.
    pub fn handle_connected(&mut self, now: Instant, flow: FlowId) {
        self.flows.connected(now, flow);
        self.settle_flow(flow);
    }

    /// Bytes that came on a connection, cut however they like.
    pub fn handle_stream(&mut self, now: Instant, flow: FlowId, bytes: &[u8]) {
        let mut pinged = false;
        self.flows.hear(now, flow, bytes);
        while let Some(found) = self.flows.get_mut(flow) {
            let source = Source {
                address: found.peer,
                flow: Some(flow),
            };
            let Some(frame) = found.framer.poll_frame() else { break };
            match frame {
                Frame::Message(message) => {
                    found.proven = true;
                    self.message(now, source, message);
                }
                // RFC 5626 §3.5.1. Once for all that came together: who sends nothing else gets no more out of us than that.
                Frame::Ping => pinged = true,
                Frame::Refused { head, fault } => self.refuse_frame(now, source, head, fault),
                Frame::Lost { head, fault } => {
                    self.refuse_frame(now, source, head, fault);
                    self.close_flow(now, flow);
                }
            }
        }
        if pinged && self.flows.contains(flow) {
            let bytes = Bytes::from_static(b"\r\n");
            self.flows.streams.push_back(Stream::Send { flow, bytes });
        }
        self.settle_flow(flow);
        self.settle_unborn(now);
    }

    /// A connection is gone, or one of ours could not be opened.
    pub fn handle_closed(&mut self, now: Instant, flow: FlowId) {
        self.lose_flow(now, flow);
        self.settle_unborn(now);
    }

    /// What is to be done next on connections.
    pub fn poll_stream(&mut self) -> Option<Stream> {
        self.flows.streams.pop_front()
    }

    /// Sends a message; where it went, its connection included.
    pub(super) fn send(&mut self, now: Instant, to: Hop, message: Bytes) -> Hop {
        let bytes = self.config.stamp(&to, message);
        match to.transport {
            Transport::Udp => {
                let to = to.address;
                self.transmits.push_back(Transmit { to, bytes });
            }
            Transport::Tcp => {
                let flow = self.flows.find(now, to.address, to.flow);
                // One that was not born has no way; `settle_unborn` tells.
                if self.flows.contains(flow) {
                    self.settle_flow(flow);
                    self.flows.streams.push_back(Stream::Send { flow, bytes });
                }
                return Hop { flow: Some(flow), ..to };
            }
        }
        to
    }

    /// A message that came.
    pub(super) fn message(&mut self, now: Instant, source: Source, bytes: Bytes) {
        match guard(bytes.clone(), source.address, &Limits::default(), &print::ALLOWED) {
            Guarded::Answer(bytes) => self.answer_source(now, source, bytes),
            Guarded::Drop(_) => {}
            Guarded::Message(message) if self.is_stray(&message, source) => self.strays.push_back(Stray {
                from: source.address,
                flow: source.flow,
                bytes,
            }),
            Guarded::Message(message) if message.status().is_some() => self.response(now, source, &message),
            Guarded::Message(message) => {
                if let Some(request) = Request::new(*message, source) {
                    self.request(now, source, request);
                }
            }
        }
    }

    /// Answers what is no request to us.
    fn answer_source(&mut self, now: Instant, source: Source, bytes: Bytes) {
        match source.flow {
            None if self.strangers.may_refuse(source.address.ip()) => {
                let _ = self.send(now, Hop::udp(source.address), bytes);
            }
            None => {}
            Some(flow) if self.flows.contains(flow) => self.flows.streams.push_back(Stream::Send { flow, bytes }),
            Some(_) => {}
        }
    }

    /// A message came by a connection that somebody else reads for us; whether it is there.
    pub(super) fn prove(&mut self, now: Instant, flow: FlowId) -> bool {
        self.flows.hear(now, flow, b"");
        let Some(found) = self.flows.get_mut(flow) else {
            return false;
        };
        found.proven = true;
        self.settle_flow(flow);
        true
    }

    fn refuse_frame(&mut self, now: Instant, source: Source, head: Bytes, fault: Fault) {
        let (status, reason) = fault.answer();
        if let Guarded::Answer(bytes) = refuse_head(head, source.address, &Limits::default(), status, reason) {
            self.answer_source(now, source, bytes);
        }
    }

    /// We give a connection up.
    fn close_flow(&mut self, now: Instant, flow: FlowId) {
        self.flows.streams.push_back(Stream::Close { flow });
        self.forget_flow(now, flow);
    }

    /// A connection is gone with what was still to be sent on it. Requests that wait for their answer are sent again, as are our
    /// refusals that wait for their ACK; answers that did not leave take another connection.
    fn lose_flow(&mut self, now: Instant, flow: FlowId) {
        let unsent = self.flows.unsent(flow);
        let answers = match unsent.is_empty() {
            true => Vec::new(),
            false => self.answers_on(flow),
        };
        self.forget_flow(now, flow);
        for (to, written, message) in answers {
            if unsent.contains(&written) {
                self.send(now, Hop { flow: None, ..to }, message);
            }
        }
    }

    /// The last answers of the server transactions on a connection, as they were written and as they are kept. A refusal of an INVITE
    /// is sent again anyway.
    fn answers_on(&self, flow: FlowId) -> Vec<(Hop, Bytes, Bytes)> {
        let transactions = self.transactions.on_flow(flow);
        transactions
            .into_iter()
            .filter_map(|id| self.transactions.get(id))
            .filter(|it| !it.machine.is_unanswered() && !it.machine.is_unacknowledged())
            .map(|it| {
                (
                    it.to(),
                    self.config.stamp(&it.to(), it.message.clone()),
                    it.message.clone(),
                )
            })
            .collect()
    }

    fn forget_flow(&mut self, now: Instant, flow: FlowId) {
        let Some(gone) = self.flows.remove(flow) else { return };
        if let Some(at) = gone.scheduled {
            self.queue.remove(&(at, Owner::Flow(flow)));
        }
        if !gone.connected {
            self.remember_refusal(now, gone.peer);
        }
        self.move_transactions(now, flow, gone.connected);
    }

    fn remember_refusal(&mut self, now: Instant, peer: SocketAddr) {
        if self.flows.refused(peer) {
            self.queue.insert((now + REFUSAL, Owner::Refusal(peer)));
        }
    }

    /// `connected`: it was there once. Where it never was, the peer does not want TCP, and a second try would end as the first.
    fn move_transactions(&mut self, now: Instant, flow: FlowId, connected: bool) {
        for id in self.transactions.on_flow(flow) {
            let Some(transaction) = self.transactions.get_mut(id) else {
                continue;
            };
            let to = Hop {
                flow: None,
                ..transaction.to()
            };
            let again = connected && transaction.reconnects < RECONNECTS && transaction.moves < MOVES;
            if transaction.machine.is_unacknowledged() {
                let message = transaction.message.clone();
                if again {
                    transaction.reconnects += 1;
                    transaction.moves += 1;
                    let to = self.send(now, to, message);
                    self.transactions.set_hop(id, to);
                }
            } else if !transaction.machine.is_unanswered() {
                self.transactions.set_hop(id, to);
            } else if transaction.machine.is_given_up_invite() {
                // The peer has had it, and its CANCEL. Once it has refused it over a connection, it may take it for another one, and ring.
                self.transactions.set_hop(id, to);
            } else if again {
                transaction.reconnects += 1;
                transaction.moves += 1;
                self.send_request(now, id, to);
            } else if to.or_udp {
                // §18.1.1: "If this causes a change in the transport protocol from the one indicated in the top Via, […] the client
                // SHOULD retry the request, using the transport protocol that it would have used".
                let times = self.times;
                transaction.machine.repeat(now, &times);
                self.send_request(
                    now,
                    id,
                    Hop {
                        transport: Transport::Udp,
                        ..to
                    },
                );
                self.settle(id);
                if connected {
                    self.remember_refusal(now, to.address);
                }
            } else {
                self.client_step(now, id, ClientInput::Disconnected);
            }
        }
    }

    /// Messages that no connection was to be had for fail as if the peer had refused it.
    pub(super) fn settle_unborn(&mut self, now: Instant) {
        while let Some(flow) = self.flows.unborn.pop() {
            self.move_transactions(now, flow, false);
        }
    }

    /// Nothing came for too long.
    pub(super) fn flow_timeout(&mut self, now: Instant, id: FlowId) {
        let Some(bounds) = self.flows.bounds else { return };
        let Some(flow) = self.flows.get_mut(id) else { return };
        flow.scheduled = None;
        let idle = flow.framer.unfinished_since().is_none();
        if flow.deadline(&bounds) > now {
            self.settle_flow(id);
        } else if !flow.connected {
            // What waits for it fails, or goes elsewhere.
            self.flows.streams.push_back(Stream::Close { flow: id });
            self.lose_flow(now, id);
        } else if idle && self.is_used(id) {
            self.flows.keep(now, id);
            self.settle_flow(id);
        } else {
            self.close_flow(now, id);
        }
        self.settle_unborn(now);
    }

    /// Whether a dialog or a transaction would miss a connection.
    fn is_used(&self, flow: FlowId) -> bool {
        self.riders.count(&flow) > 0 || self.transactions.is_used(flow)
    }

    /// After every step: puts the next timer of a connection into the queue.
    fn settle_flow(&mut self, id: FlowId) {
        let Some(bounds) = self.flows.bounds else { return };
        let Some(flow) = self.flows.get_mut(id) else { return };
        let next = flow.deadline(&bounds);
        let before = flow.scheduled.replace(next);
        if before != Some(next) {
            if let Some(at) = before {
                self.queue.remove(&(at, Owner::Flow(id)));
            }
            self.queue.insert((next, Owner::Flow(id)));
        }
    }
}
