//! Which socket has which port: two tables, and no hash.

use media::command::Port;

/// No socket.
const NONE: u16 = u16::MAX;

/// The indices that the backend knows a worker's sockets by, and their ports.
pub(crate) struct Sockets {
    /// By port.
    indices: Box<[u16]>,
    /// By index.
    ports: Vec<u16>,
    /// Indices of no socket.
    free: Vec<u16>,
    /// How many of these are kept for sockets that will come.
    kept: usize,
}

impl Sockets {
    /// Ports whose indices begin at 0, and room for `guests` more.
    pub(crate) fn new(mut ports: Vec<u16>, guests: usize) -> Sockets {
        let mut indices = vec![NONE; 1 << 16].into_boxed_slice();
        let count = ports.len();
        for (index, port) in ports.iter().enumerate() {
            indices[usize::from(*port)] = index as u16;
        }
        let all = (count + guests).min(usize::from(NONE));
        ports.resize(all.max(count), 0);
        Sockets {
            indices,
            ports,
            free: (count as u16..all as u16).rev().collect(),
            kept: 0,
        }
    }

    pub(crate) fn port(&self, index: u16) -> Port {
        Port(self.ports[usize::from(index)])
    }

    /// One that no socket has, where the port is not ours.
    pub(crate) fn index(&self, port: Port) -> u16 {
        self.indices[usize::from(port.0)]
    }

    /// Whether a port has a socket here: that of RTCP may have none anywhere.
    pub(crate) fn has(&self, port: Port) -> bool {
        self.index(port) != NONE
    }

    /// The sockets of a leg: RTP, and where there is one RTCP.
    pub(crate) fn of(&self, port: Port) -> impl Iterator<Item = (Port, u16)> {
        let both = [port, Port(port.0 + 1)].into_iter();
        both.filter(|&port| self.has(port)).map(|port| (port, self.index(port)))
    }

    /// Keeps room for so many; `false` where there is none.
    pub(crate) fn keep(&mut self, count: usize) -> bool {
        let room = self.free.len() >= self.kept + count;
        self.kept += if room { count } else { 0 };
        room
    }

    /// They come now, or not at all.
    pub(crate) fn keep_no_more(&mut self, count: usize) {
        self.kept -= count;
    }

    /// An index for a socket that has come.
    pub(crate) fn add(&mut self, port: u16) -> Option<u16> {
        let index = self.free.pop()?;
        self.ports[usize::from(index)] = port;
        self.indices[usize::from(port)] = index;
        Some(index)
    }

    /// The socket of this port has gone.
    pub(crate) fn remove(&mut self, port: u16) {
        let index = std::mem::replace(&mut self.indices[usize::from(port)], NONE);
        if index != NONE {
            self.free.push(index);
        }
    }
}
