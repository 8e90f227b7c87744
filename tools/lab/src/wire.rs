//! The tool's end of the link, for packets.

use std::io;

use crate::bpf::{Attached, Map};
use crate::lab::Lab;
use crate::xsk::Socket;

/// The socket with its program. What goes to lower ports than its own is the kernel's.
#[derive(Debug)]
pub struct Wire {
    socket: Socket,
    _map: Map,
    _program: Attached,
}

impl Wire {
    /// Takes what goes to this port of our end and to higher ones.
    ///
    /// # Errors
    /// Where the kernel refuses.
    pub fn open(lab: &Lab, first_port: u16) -> Result<Wire, String> {
        let interface = lab.interface()?;
        let open = || -> io::Result<Wire> {
            let map = Map::new()?;
            let program = Attached::to_socket(interface, first_port, &map)?;
            let socket = Socket::open(interface)?;
            map.set(socket.descriptor())?;
            Ok(Wire {
                socket,
                _map: map,
                _program: program,
            })
        };
        let wire = open()
            .map_err(|error| format!("AF_XDP: {error} (Linux 5.9 or newer, CAP_BPF and CAP_NET_RAW are wanted)"))?;
        lab.pin_receive_paths();
        Ok(wire)
    }

    /// Queues a frame that `write` writes, whose length it gives; `false`: there is no room left.
    pub fn send(&mut self, write: impl FnOnce(&mut [u8]) -> usize) -> bool {
        self.socket.send(write)
    }

    /// Lets the kernel send what is queued, until it has taken all of it.
    ///
    /// # Errors
    /// Where the kernel fails.
    pub fn flush(&mut self) -> io::Result<()> {
        self.socket.flush()
    }

    /// Lets the kernel send what it has room for: it has none where the other end does not take what was sent before.
    ///
    /// # Errors
    /// Where the kernel fails.
    pub fn push(&mut self) -> io::Result<()> {
        self.socket.push()
    }

    /// Calls `take` with each frame that has come, `most` at the most; how many these were.
    pub fn receive(&mut self, most: usize, take: impl FnMut(&[u8])) -> usize {
        self.socket.receive(most, take)
    }

    /// Packets that came and found no place with us.
    pub fn overruns(&self) -> u64 {
        self.socket.overruns()
    }
}
