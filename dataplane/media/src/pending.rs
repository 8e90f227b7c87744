//! Packets that wait for a buffer to leave in: copies for second listeners, ends of digits, goodbyes.

use std::net::SocketAddr;

use crate::command::Port;
use crate::leg::{Outgoing, Slot};

/// The longest packet that can wait: as much as a buffer of the engine holds, and 60 ms of 16 kHz unpacked.
pub(crate) const PACKET_MAX: usize = 1944;

/// A fixed queue of packets.
#[derive(Debug)]
pub(crate) struct Pending {
    packets: Box<[Packet]>,
    first: usize,
    len: usize,
}

/// A packet that waits.
#[derive(Clone, Debug)]
pub(crate) struct Packet {
    pub(crate) from: Port,
    pub(crate) to: SocketAddr,
    pub(crate) bytes: [u8; PACKET_MAX],
    pub(crate) len: usize,
    /// For RTP: whose line it is on and what it is there, so that it is measured when it really leaves.
    pub(crate) on: Option<(Slot, Outgoing)>,
}

impl Pending {
    pub(crate) fn new(capacity: usize) -> Pending {
        let empty = Packet {
            from: Port(0),
            to: SocketAddr::from(([0, 0, 0, 0], 0)),
            bytes: [0; PACKET_MAX],
            len: 0,
            on: None,
        };
        Pending {
            packets: vec![empty; capacity].into(),
            first: 0,
            len: 0,
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// The next free packet, to be filled and then kept by [`Pending::commit`]; `None` where none is free.
    pub(crate) fn claim(&mut self) -> Option<&mut Packet> {
        if self.len == self.packets.len() {
            return None;
        }
        let at = (self.first + self.len) % self.packets.len();
        Some(&mut self.packets[at])
    }

    /// Queues the packet that was claimed last.
    pub(crate) fn commit(&mut self) {
        debug_assert!(self.len < self.packets.len());
        self.len += 1;
    }

    /// The oldest packet.
    pub(crate) fn pop(&mut self) -> Option<&Packet> {
        if self.len == 0 {
            return None;
        }
        let at = self.first;
        self.first = (self.first + 1) % self.packets.len();
        self.len -= 1;
        Some(&self.packets[at])
    }
}
