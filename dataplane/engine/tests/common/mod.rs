//! Sessions, packets and peers on loopback.

use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::time::Duration;

use media::command::{
    Codec, Command, Dtmf, Format, Generation, Hears, Latch, LegId, LegSpec, Port, SessionId, SessionSpec,
};

pub(crate) const LOCALHOST: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// No test waits longer than this for anything.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

/// Bytes of RTP's fixed header (RFC 3550 §5.1).
pub(crate) const HEADER: usize = 12;

/// A party's end: a socket and its own line of RTP.
pub(crate) struct Peer {
    pub(crate) socket: UdpSocket,
    ssrc: u32,
    sequence: u16,
    codec: Codec,
}

impl Peer {
    pub(crate) fn new(ssrc: u32, codec: Codec) -> Peer {
        Peer::at(LOCALHOST, ssrc, codec)
    }

    /// A peer on another address of loopback; it sends to that address too.
    pub(crate) fn at(ip: IpAddr, ssrc: u32, codec: Codec) -> Peer {
        let socket = UdpSocket::bind((ip, 0)).expect("a port for the peer");
        socket.set_read_timeout(Some(PATIENCE)).expect("a time-out");
        Peer {
            socket,
            ssrc,
            sequence: 100,
            codec,
        }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.socket.local_addr().expect("a name")
    }

    /// Sends the next packet, 20 ms of these bytes, without allocating.
    pub(crate) fn say(&mut self, to: u16, payload: &[u8; 160]) {
        let mut packet = [0; HEADER + 160];
        packet[0] = 0x80;
        packet[1] = payload_type(self.codec);
        packet[2..4].copy_from_slice(&self.sequence.to_be_bytes());
        packet[4..8].copy_from_slice(&(u32::from(self.sequence) * 160).to_be_bytes());
        packet[8..12].copy_from_slice(&self.ssrc.to_be_bytes());
        packet[HEADER..].copy_from_slice(payload);
        self.sequence = self.sequence.wrapping_add(1);
        let sent = self.socket.send_to(&packet, (self.address().ip(), to)).expect("sent");
        assert_eq!(sent, packet.len());
    }

    /// The next packet with this payload type, and where it came from.
    pub(crate) fn hear(&self, payload_type: u8, packet: &mut [u8; 1500]) -> (usize, SocketAddr) {
        loop {
            let (len, from) = match self.socket.recv_from(packet) {
                // A thread that has closed a ring is interrupted once.
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                result => result.expect("a packet in time"),
            };
            if len > HEADER && packet[1] & 0x7f == payload_type {
                return (len, from);
            }
        }
    }
}

pub(crate) fn payload_type(codec: Codec) -> u8 {
    match codec {
        Codec::Pcmu => 0,
        Codec::Pcma => 8,
        Codec::G722 => 9,
        Codec::L16 => 96,
        Codec::L16Wide => 97,
        Codec::Opus => 98,
    }
}

pub(crate) fn leg(id: u16, port: u16, peer: &Peer, hears: Hears) -> LegSpec {
    LegSpec {
        leg: LegId(id),
        port: Port(port),
        remote: Some(peer.address()),
        remote_rtcp: None,
        exchange: 1,
        format: Format {
            codec: peer.codec,
            send: payload_type(peer.codec),
            receive: payload_type(peer.codec),
            events: None,
            comfort_noise: None,
        },
        also: None,
        opus: Default::default(),
        pressed: Default::default(),
        ptime_ms: 20,
        maxptime_ms: None,
        latch: Latch::SignalledIp,
        dtmf: Dtmf::Relay,
        send: true,
        receive: true,
        hears,
    }
}

pub(crate) fn hears(legs: &[u16]) -> Hears {
    Hears::legs(legs.iter().copied().map(LegId))
}

pub(crate) fn set(session: u64, generation: u64, legs: impl IntoIterator<Item = LegSpec>) -> Command {
    Command::Set {
        session: SessionId(session),
        generation: Generation(generation),
        spec: SessionSpec {
            legs: legs.into_iter().collect(),
            watch: None,
        },
    }
}

/// Whether there is a loopback of IPv6. Where not, the test has to say what it does not show.
#[expect(
    clippy::print_stderr,
    reason = "whoever reads the test's output must see that it was skipped"
)]
pub(crate) fn has_ipv6() -> bool {
    let has = UdpSocket::bind((Ipv6Addr::LOCALHOST, 0)).is_ok();
    if !has {
        eprintln!("skipped: this machine has no IPv6 loopback");
    }
    has
}

/// The first of `count` ports that nobody has now. Ranges do not overlap between the tests of one process.
pub(crate) fn free_ports(count: u16) -> u16 {
    use std::sync::atomic::{AtomicU16, Ordering};
    static NEXT: AtomicU16 = AtomicU16::new(0);
    // Below the ports that the kernel gives away by itself. Processes that start one after the other begin far apart.
    let start = 20_000 + (std::process::id() % 125) as u16 * 64;
    loop {
        let first = start + NEXT.fetch_add(count.next_multiple_of(2), Ordering::Relaxed) % 4_000;
        let mut ports = first..first + count;
        if ports.all(|port| UdpSocket::bind((LOCALHOST, port)).is_ok()) {
            return first;
        }
    }
}
