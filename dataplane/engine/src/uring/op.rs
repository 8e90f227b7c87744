//! What a request is, packed into the 64 bits that come back with its completion.

/// A request in the kernel's hands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Op {
    /// The multishot receive of this socket.
    Receive { socket: u16 },
    /// A send of this buffer from this socket.
    Send { socket: u16, buffer: u16 },
    /// The read of the eventfd that wakes the worker.
    Wake,
    /// The cancellation of everything else.
    Cancel,
}

impl Op {
    pub(crate) fn pack(self) -> u64 {
        let (kind, socket, buffer) = match self {
            Op::Receive { socket } => (0, socket, 0),
            Op::Send { socket, buffer } => (1, socket, buffer),
            Op::Wake => (2, 0, 0),
            Op::Cancel => (3, 0, 0),
        };
        kind << 32 | u64::from(socket) << 16 | u64::from(buffer)
    }

    pub(crate) fn unpack(data: u64) -> Op {
        let (socket, buffer) = ((data >> 16) as u16, data as u16);
        match data >> 32 {
            0 => Op::Receive { socket },
            1 => Op::Send { socket, buffer },
            2 => Op::Wake,
            _ => Op::Cancel,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_request_survives_the_round_trip() {
        for op in [
            Op::Receive { socket: 0 },
            Op::Receive { socket: u16::MAX },
            Op::Send {
                socket: 1,
                buffer: u16::MAX,
            },
            Op::Send {
                socket: u16::MAX,
                buffer: 0,
            },
            Op::Wake,
            Op::Cancel,
        ] {
            assert_eq!(Op::unpack(op.pack()), op);
        }
    }
}
