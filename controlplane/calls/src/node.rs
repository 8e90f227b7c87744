//! The control plane of one host, without its sockets.

use std::net::SocketAddr;
use std::time::Instant;

use bytes::Bytes;

use crate::config::Config;
use crate::notice::Notice;
use crate::request::{Request, RequestError, Response};

/// What a node wants to be done.
#[derive(Clone, Debug)]
#[expect(clippy::large_enum_variant, reason = "an output is moved once and dropped")]
pub enum Output {
    /// Send a SIP datagram.
    Datagram(sip::endpoint::Transmit),
    /// Give a command to a worker of the data plane.
    Media {
        /// Index into [`Config::workers`].
        worker: usize,
        /// The command.
        command: media::command::Command,
    },
    /// Tell whoever listens.
    Notice(Notice),
}

/// The control plane of one host.
#[derive(Debug)]
pub struct Node {}

#[expect(unused_variables, reason = "bodies follow")]
impl Node {
    /// A node without a call.
    pub fn new(config: Config, now: Instant) -> Node {
        Node {}
    }
    /// A SIP datagram came.
    pub fn handle_datagram(&mut self, now: Instant, from: SocketAddr, datagram: Bytes) {}
    /// A SIP datagram could not be sent.
    pub fn handle_unreachable(&mut self, now: Instant, to: SocketAddr) {}
    /// A worker said something.
    pub fn handle_media(&mut self, now: Instant, worker: usize, event: media::command::Event) {}
    /// A user asks for something; answered at once.
    pub fn handle_request(&mut self, now: Instant, request: Request) -> Result<Response, RequestError> {
        Err(RequestError::NoCall)
    }
    /// Time has passed.
    pub fn handle_timeout(&mut self, now: Instant) {}
    /// When `handle_timeout` wants to be called next.
    pub fn poll_timeout(&self) -> Option<Instant> {
        None
    }
    /// What is to be done next.
    pub fn poll_output(&mut self) -> Option<Output> {
        None
    }
    /// No new calls; running ones end as they like.
    pub fn drain(&mut self) {}
    /// What is alive, for the conservation checks: all zero once every call has ended and every timer ran out.
    pub fn alive(&self) -> Alive {
        Alive::default()
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
    /// Of the SIP endpoint.
    pub sip: sip::endpoint::Alive,
}
