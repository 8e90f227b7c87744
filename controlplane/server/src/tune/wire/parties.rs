//! The parties of all calls: two sockets, and the packets that this thread sends and takes in.

use std::io::ErrorKind;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

/// RTP's header and 20 ms of G.711.
const BYTES: usize = 172;

/// Marks our packets.
const MARK: [u8; 4] = *b"tune";

/// How long what is under way may take to arrive, ms.
const LATE_MS: u64 = 200;

/// Two sockets at which everybody is: the callers, and whom they talk with.
pub(super) struct Parties {
    at: IpAddr,
    sides: [UdpSocket; 2],
    base: Instant,
    packet: [u8; BYTES],
    own: Vec<u32>,
    latencies: Vec<u32>,
}

impl Parties {
    pub(super) fn new(at: IpAddr) -> Result<Parties, String> {
        let side = || -> std::io::Result<UdpSocket> {
            let socket = UdpSocket::bind((at, 0))?;
            socket.set_nonblocking(true)?;
            // The kernel gives what it allows.
            let _ = rustix::net::sockopt::set_socket_recv_buffer_size(&socket, 4 << 20);
            Ok(socket)
        };
        let socket = |error: std::io::Error| format!("a socket on {at}: {error}");
        Ok(Parties {
            at,
            sides: [side().map_err(socket)?, side().map_err(socket)?],
            base: Instant::now(),
            packet: [0xff; BYTES],
            own: Vec::new(),
            latencies: Vec::new(),
        })
    }

    /// Where the parties of this side are.
    pub(super) fn remote(&self, side: usize) -> Result<SocketAddr, String> {
        self.sides[side].local_addr().map_err(|error| error.to_string())
    }

    /// Sends so many packets a second, evenly, and receives what comes; how many were sent.
    pub(super) fn run(&mut self, streams: &mut Streams<'_>, rate: u32, time: Duration) -> Result<u64, String> {
        let (began, mut sent, mut last) = (Instant::now(), 0_u64, Instant::now());
        loop {
            let now = Instant::now();
            self.own.push(micros(now - last));
            last = now;
            let passed = now - began;
            if passed >= time {
                return Ok(sent);
            }
            let due = (passed.as_secs_f64() * f64::from(rate)) as u64;
            // Few at a time: who sends does not receive.
            for _ in 0..(due.saturating_sub(sent)).min(16) {
                self.send_next(streams)?;
                sent += 1;
            }
            if !self.receive() && due <= sent {
                std::thread::yield_now();
            }
        }
    }

    fn send_next(&mut self, streams: &mut Streams<'_>) -> Result<(), String> {
        let (stream, side, sequence) = streams.next();
        let ns = self.base.elapsed().as_nanos() as u64;
        let packet = &mut self.packet;
        packet[..2].copy_from_slice(&[0x80, 0]);
        packet[2..4].copy_from_slice(&(sequence as u16).to_be_bytes());
        packet[4..8].copy_from_slice(&sequence.wrapping_mul(160).to_be_bytes());
        packet[8..12].copy_from_slice(&(stream as u32 + 1).to_be_bytes());
        packet[12..16].copy_from_slice(&MARK);
        packet[16..24].copy_from_slice(&ns.to_be_bytes());
        let to = SocketAddr::new(self.at, streams.ports[stream]);
        match self.sides[side].send_to(&self.packet, to) {
            Ok(_) => Ok(()),
            Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(()),
            Err(error) => Err(format!("a packet to {to}: {error}")),
        }
    }

    /// Takes in what there is, some of it at the most; whether there was any.
    fn receive(&mut self) -> bool {
        let mut any = false;
        let mut buffer = [0_u8; 256];
        for side in &self.sides {
            for _ in 0..32 {
                let Ok(length) = side.recv(&mut buffer) else { break };
                any = true;
                // Hold audio and comfort noise are not judged.
                if length == BYTES && buffer[12..16] == MARK {
                    let now = self.base.elapsed().as_nanos() as u64;
                    let sent = buffer[16..24].try_into().map_or(now, u64::from_be_bytes);
                    self.latencies
                        .push(u32::try_from(now.saturating_sub(sent) / 1000).unwrap_or(u32::MAX));
                }
            }
        }
        any
    }

    /// Until nothing comes any more that was under way; what came so far is forgotten.
    pub(super) fn settle(&mut self) {
        let began = Instant::now();
        while self.receive() && began.elapsed().as_millis() < u128::from(LATE_MS) {}
        (self.own, self.latencies) = (Vec::new(), Vec::new());
    }

    /// Until as many have come as were sent, or what has not come yet is lost. What came since [`Parties::settle`].
    pub(super) fn heard(&mut self, sent: u64) -> Heard {
        let late = Instant::now();
        while (self.latencies.len() as u64) < sent && late.elapsed().as_millis() < u128::from(LATE_MS) {
            self.receive();
        }
        self.latencies.sort_unstable();
        self.own.sort_unstable();
        Heard {
            packets: self.latencies.len() as u64,
            latencies: [0.5, 0.99, 1.0].map(|part| share(&self.latencies, part)),
            own: share(&self.own, 0.99),
        }
    }
}

/// What came of a rate.
pub(super) struct Heard {
    pub(super) packets: u64,
    /// Half of the packets, 99 of 100, and all of them took so long at the most, µs.
    pub(super) latencies: [u32; 3],
    /// How late this thread itself was, 99 of 100 times at the most, µs.
    pub(super) own: u32,
}

/// All lines to the worker, one after the other.
pub(super) struct Streams<'a> {
    ports: &'a [u16],
    sequences: Vec<u32>,
    next: usize,
    sides: usize,
}

impl Streams<'_> {
    /// To these ports of the worker, two of each call one after the other; so many parties of each speak.
    pub(super) fn new(ports: &[u16], sides: usize) -> Streams<'_> {
        Streams {
            ports,
            sequences: vec![0; ports.len()],
            next: 0,
            sides,
        }
    }

    /// The place of the next one's port, its side, and its sequence number.
    fn next(&mut self) -> (usize, usize, u32) {
        let stream = self.next;
        // Where only callers speak, every second one.
        self.next = (self.next + 3 - self.sides) % self.sequences.len();
        self.sequences[stream] += 1;
        (stream, stream % 2, self.sequences[stream])
    }
}

fn micros(time: Duration) -> u32 {
    u32::try_from(time.as_micros()).unwrap_or(u32::MAX)
}

/// The value that this share of the sorted ones does not exceed.
fn share(sorted: &[u32], share: f64) -> u32 {
    let rank = (share * sorted.len() as f64).ceil() as usize;
    sorted.get(rank.max(1) - 1).copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_take_turns_and_count_each_for_itself() {
        let ports = [0; 4];
        let mut both = Streams::new(&ports, 2);
        let order: Vec<_> = (0..5).map(|_| both.next()).collect();
        assert_eq!(order, [(0, 0, 1), (1, 1, 1), (2, 0, 1), (3, 1, 1), (0, 0, 2)]);
        let mut callers = Streams::new(&ports, 1);
        let order: Vec<_> = (0..3).map(|_| callers.next()).collect();
        assert_eq!(order, [(0, 0, 1), (2, 0, 1), (0, 0, 2)]);
    }

    #[test]
    fn shares_are_by_rank() {
        let sorted: Vec<u32> = (1..=200).collect();
        assert_eq!([0.5, 0.99, 1.0].map(|part| share(&sorted, part)), [100, 198, 200]);
        assert_eq!(share(&[], 0.5), 0);
    }
}
