//! Connections between the node and the parties: what arrives on them, and what the node wants of them.

use std::net::IpAddr;

use sip::endpoint::Stream;

use crate::tcp::Arrival;
use crate::ua::as_read;
use crate::world::{NODE, World};

impl World {
    pub(super) fn deliver_streams(&mut self) {
        let now = self.now;
        while let Some((host, arrival)) = self.tcp.arrived(now) {
            let ours = host == IpAddr::from(NODE);
            if let Arrival::Connect { pipe, from, .. } = arrival {
                let flow = match self.party(host) {
                    Some(ua) if ua.is_deaf() => continue,
                    Some(ua) => ua.accept(now, from),
                    None if ours => self.node.accept_flow(now, from),
                    None => None,
                };
                self.tcp.accept(now, pipe, flow);
            } else if ours {
                self.node_stream(arrival);
            } else if let Some(ua) = self.party(host) {
                ua.receive_stream(now, &arrival);
            }
        }
    }

    fn node_stream(&mut self, arrival: Arrival) {
        let now = self.now;
        match arrival {
            Arrival::Connect { .. } => {}
            Arrival::Connected(flow) => self.node.handle_connected(now, flow),
            Arrival::Bytes(flow, bytes, messages) => {
                if let Some(peer) = self.tcp.peer(IpAddr::from(NODE), flow) {
                    messages.iter().for_each(|message| self.log(peer, false, true, message));
                }
                self.node.handle_stream(now, flow, &bytes);
            }
            Arrival::Closed(flow) => self.node.handle_closed(now, flow),
        }
    }

    /// What the node wants of a connection.
    pub(super) fn node_wants(&mut self, stream: Stream) {
        let node = IpAddr::from(NODE);
        let stream = match stream {
            Stream::Send { flow, bytes } => {
                if let Some(peer) = self.tcp.peer(node, flow) {
                    self.log(peer, true, true, &bytes);
                }
                let bytes = as_read(bytes.to_vec()).into();
                Stream::Send { flow, bytes }
            }
            other => other,
        };
        self.tcp.handle(self.now, node, stream);
    }
}
