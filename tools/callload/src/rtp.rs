//! The way of the parties' packets: one port for each role, on sockets of loopback or on the lab's link.

use std::collections::BTreeSet;
use std::io::ErrorKind;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::time::Instant;

use baton_lab::lab::Lab;
use baton_lab::udp::{self, End, HEADERS};
use baton_lab::wire::Wire;

use crate::line::Role;
use crate::post::{dropped, give_room};

/// In the lab, what goes to this port and to higher ones comes beside the kernel's stack; the roles' ports are this one and those two and
/// four above.
const FIRST_PORT: u16 = 20_000;

/// In the lab nobody else has ports.
const SERVERS_FIRST_PORT: u16 = 10_000;

/// All roles.
const ROLES: [Role; 3] = [Role::Caller, Role::Ai, Role::Human];

/// Longest packet that is looked at.
pub(crate) const PACKET: usize = 2048;

/// How the packets go.
pub(crate) enum Rtp {
    Loopback(Sockets),
    Lab(Box<Link>),
}

/// A packet that came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Came {
    pub(crate) to: Role,
    /// The server's port.
    pub(crate) from: u16,
    /// Through the lab: when it left the link, however long it waited for this tool then.
    pub(crate) at: Instant,
    pub(crate) length: usize,
}

/// By role: RTP, and RTCP so that reports of quality have somewhere to go.
pub(crate) struct Sockets {
    rtp: [UdpSocket; 3],
    _rtcp: [UdpSocket; 3],
    ports: [u16; 3],
    /// Whose turn is next.
    next: usize,
}

/// The tool's end of the link.
pub(crate) struct Link {
    wire: Wire,
    pub(crate) lab: Lab,
    ours: End,
    theirs: End,
}

impl Rtp {
    pub(crate) fn over_loopback() -> std::io::Result<Rtp> {
        let (one, two, three) = (pair()?, pair()?, pair()?);
        let rtp = [one.0, two.0, three.0];
        let mut ports = [0; 3];
        for (port, socket) in ports.iter_mut().zip(&rtp) {
            *port = socket.local_addr()?.port();
        }
        Ok(Rtp::Loopback(Sockets {
            rtp,
            _rtcp: [one.1, two.1, three.1],
            ports,
            next: 0,
        }))
    }

    /// # Errors
    /// Where the kernel refuses.
    pub(crate) fn through(lab: Lab) -> Result<Rtp, String> {
        let wire = Wire::open(&lab, FIRST_PORT)?;
        let (ours, theirs) = (lab.ours()?, lab.theirs()?);
        Ok(Rtp::Lab(Box::new(Link {
            wire,
            lab,
            ours,
            theirs,
        })))
    }

    pub(crate) fn lab(&self) -> Option<&Lab> {
        match self {
            Rtp::Loopback(_) => None,
            Rtp::Lab(link) => Some(&link.lab),
        }
    }

    /// Where the parties are.
    pub(crate) fn address(&self) -> Ipv4Addr {
        match self {
            Rtp::Loopback(_) => Ipv4Addr::LOCALHOST,
            Rtp::Lab(link) => link.ours.ip,
        }
    }

    /// Where a role receives.
    pub(crate) fn port(&self, role: Role) -> u16 {
        match self {
            Rtp::Loopback(sockets) => sockets.ports[role as usize],
            Rtp::Lab(_) => FIRST_PORT + 2 * role as u16,
        }
    }

    /// Where the server's media ports can begin, for so many.
    pub(crate) fn servers_ports(&self, ports: u32) -> Option<u16> {
        match self {
            Rtp::Loopback(_) => free_range(ports),
            Rtp::Lab(_) => (u32::from(SERVERS_FIRST_PORT) + ports <= 1 << 16).then_some(SERVERS_FIRST_PORT),
        }
    }

    /// Sends, or queues until [`Rtp::push`].
    pub(crate) fn send(&mut self, role: Role, to: SocketAddr, packet: &[u8]) {
        let from = self.port(role);
        match self {
            Rtp::Loopback(sockets) => {
                let _ = sockets.rtp[role as usize].send_to(packet, to);
            }
            Rtp::Lab(link) => {
                let (ours, theirs) = (link.ours, link.theirs);
                let write = |frame: &mut [u8]| {
                    udp::write(frame, (ours, from), (theirs, to.port()), packet.len());
                    frame[HEADERS..HEADERS + packet.len()].copy_from_slice(packet);
                    HEADERS + packet.len()
                };
                // Where thousands of packets wait for the server's end, this one is lost, and missed.
                link.wire.send(write);
            }
        }
    }

    /// What is queued goes, as far as the server's end of the link has room for it.
    pub(crate) fn push(&mut self) {
        if let Rtp::Lab(link) = self {
            // An interface that is gone is told by what does not come.
            let _ = link.wire.push();
        }
    }

    /// The next packet that came.
    pub(crate) fn receive(&mut self, buffer: &mut [u8; PACKET]) -> Option<Came> {
        match self {
            Rtp::Loopback(sockets) => sockets.receive(buffer),
            Rtp::Lab(link) => link.receive(buffer),
        }
    }

    /// Packets that came and found no room: this tool was too late for them.
    pub(crate) fn dropped(&self) -> u64 {
        match self {
            Rtp::Loopback(sockets) => dropped(&sockets.ports),
            Rtp::Lab(link) => link.wire.overruns() + link.lab.overruns().0,
        }
    }

    /// Packets for which the queue of the server's end of the link had no room: its core had no time to receive them.
    pub(crate) fn server_overruns(&self) -> u64 {
        self.lab().map_or(0, |lab| lab.overruns().1)
    }
}

impl Sockets {
    fn receive(&mut self, buffer: &mut [u8]) -> Option<Came> {
        let mut empty = 0;
        while empty < ROLES.len() {
            let role = ROLES[self.next];
            match self.rtp[self.next].recv_from(buffer) {
                Ok((length, from)) => {
                    return Some(Came {
                        to: role,
                        from: from.port(),
                        at: Instant::now(),
                        length,
                    });
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    self.next = (self.next + 1) % ROLES.len();
                    empty += 1;
                }
                Err(_) => {}
            }
        }
        None
    }
}

impl Link {
    fn receive(&mut self, buffer: &mut [u8]) -> Option<Came> {
        loop {
            let mut found = None;
            let came = self.wire.receive(1, |at, frame| {
                // The program on the interface lets nothing through that is no UDP of IPv4.
                let port = |at: usize| u16::from_be_bytes([frame[at], frame[at + 1]]);
                let (from, to, packet) = (port(34), port(36), &frame[HEADERS..]);
                let role = ROLES.into_iter().find(|role| to == FIRST_PORT + 2 * *role as u16);
                if let Some(role) = role.filter(|_| packet.len() <= buffer.len()) {
                    buffer[..packet.len()].copy_from_slice(packet);
                    found = Some(Came {
                        to: role,
                        from,
                        at,
                        length: packet.len(),
                    });
                }
            });
            // Others are reports of quality.
            if came == 0 || found.is_some() {
                return found;
            }
        }
    }
}

fn pair() -> std::io::Result<(UdpSocket, UdpSocket)> {
    loop {
        let rtp = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
        let port = rtp.local_addr()?.port();
        if port % 2 == 0
            && let Ok(rtcp) = UdpSocket::bind((Ipv4Addr::LOCALHOST, port + 1))
        {
            rtp.set_nonblocking(true)?;
            give_room(&rtp);
            return Ok((rtp, rtcp));
        }
    }
}

/// Where the server's media ports begin: the first even port of so many that nobody has, below those that the kernel gives away. Small
/// ranges begin at different places for different processes, so that tests beside each other do not meet.
fn free_range(ports: u32) -> Option<u16> {
    let read = |name: &str| std::fs::read_to_string(format!("/proc/net/{name}")).unwrap_or_default();
    let taken: BTreeSet<u32> = local_ports(&read("udp")).chain(local_ports(&read("udp6"))).collect();
    let low = LOW + std::process::id() % 16 * 256;
    let starts = (low..=HIGH.saturating_sub(ports)).chain(HIGH..=(1 << 16) - ports.min(1 << 16));
    let mut starts = starts.step_by(2);
    let free = starts.find(|start| taken.range(start..&(start + ports)).next().is_none());
    free.and_then(|start| u16::try_from(start).ok())
}

/// The bounds of small ranges; others begin at the second.
const LOW: u32 = 2048;
const HIGH: u32 = 10_000;

fn local_ports(table: &str) -> impl Iterator<Item = u32> + '_ {
    let of_line = |line: &str| {
        let (_, port) = line.split_whitespace().nth(1)?.rsplit_once(':')?;
        u32::from_str_radix(port, 16).ok()
    };
    table.lines().skip(1).filter_map(of_line)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_is_free_and_fits() {
        for ports in [200, 9000] {
            let first = free_range(ports).unwrap();
            assert!(
                first.is_multiple_of(2) && (ports < 1000) == (u32::from(first) < HIGH),
                "{first}"
            );
            let _one = UdpSocket::bind((Ipv4Addr::LOCALHOST, first + 3)).unwrap();
            // Others come and go meanwhile.
            let other = u32::from(free_range(ports).unwrap());
            assert!(!(other..other + ports).contains(&u32::from(first + 3)), "{other}");
        }
        assert_eq!(free_range(70_000), None);
    }

    #[test]
    fn each_role_receives_at_its_own_port_and_nobody_waits_for_another() {
        let mut rtp = Rtp::over_loopback().unwrap();
        let sender = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let mut buffer = [0; PACKET];
        assert_eq!(rtp.receive(&mut buffer), None);
        for role in ROLES {
            sender.send_to(&[7; 5], (Ipv4Addr::LOCALHOST, rtp.port(role))).unwrap();
            let came = rtp.receive(&mut buffer).unwrap();
            assert_eq!(
                (came.to, came.from, came.length),
                (role, sender.local_addr().unwrap().port(), 5)
            );
        }
        rtp.send(Role::Human, sender.local_addr().unwrap(), &[3; 9]);
        assert_eq!(
            sender.recv_from(&mut buffer).unwrap(),
            (9, (Ipv4Addr::LOCALHOST, rtp.port(Role::Human)).into())
        );
        assert_eq!((rtp.dropped(), rtp.server_overruns()), (0, 0));
    }
}
