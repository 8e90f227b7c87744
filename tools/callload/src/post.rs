//! The sockets of a role.

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};

/// Bytes that the kernel may keep for an RTP socket: where this tool is late for some ms, nothing is to be dropped.
const ROOM: usize = 16 << 20;

/// The sockets of one role.
pub(crate) struct Post {
    pub(crate) sip: UdpSocket,
    pub(crate) rtp: UdpSocket,
    /// Taken, so that reports of quality have somewhere to go.
    _rtcp: UdpSocket,
    pub(crate) at: SocketAddr,
    pub(crate) rtp_port: u16,
}

impl Post {
    pub(crate) fn open() -> std::io::Result<Post> {
        let sip = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
        sip.set_nonblocking(true)?;
        give_room(&sip);
        let (rtp, rtcp) = loop {
            let rtp = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
            let port = rtp.local_addr()?.port();
            if port % 2 == 0
                && let Ok(rtcp) = UdpSocket::bind((Ipv4Addr::LOCALHOST, port + 1))
            {
                break (rtp, rtcp);
            }
        };
        rtp.set_nonblocking(true)?;
        give_room(&rtp);
        Ok(Post {
            at: sip.local_addr()?,
            rtp_port: rtp.local_addr()?.port(),
            sip,
            rtp,
            _rtcp: rtcp,
        })
    }

    /// Packets that were dropped at its sockets, by proc_net_udp(5): this tool was too late for them.
    pub(crate) fn dropped(&self) -> u64 {
        let table = std::fs::read_to_string("/proc/net/udp").unwrap_or_default();
        dropped(&table, &[self.at.port(), self.rtp_port])
    }
}

/// As much as the kernel gives: root may have more than `net.core.rmem_max`.
fn give_room(socket: &UdpSocket) {
    use rustix::net::sockopt::{set_socket_recv_buffer_size, set_socket_recv_buffer_size_force};
    if set_socket_recv_buffer_size_force(socket, ROOM).is_err() {
        let _ = set_socket_recv_buffer_size(socket, ROOM);
    }
}

/// The last word of each line of these local ports.
fn dropped(table: &str, ports: &[u16]) -> u64 {
    let of_line = |line: &str| {
        let (_, port) = line.split_whitespace().nth(1)?.rsplit_once(':')?;
        let port = u16::from_str_radix(port, 16).ok()?;
        let count = line.split_whitespace().last()?.parse::<u64>().ok()?;
        ports.contains(&port).then_some(count)
    };
    table.lines().skip(1).filter_map(of_line).sum()
}

/// Where the server's media ports begin: the first even port of so many that nobody has, below those that the kernel gives away. Small
/// ranges begin at different places for different processes, so that tests beside each other do not meet.
pub(crate) fn free_range(ports: u32) -> Option<u16> {
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
            let other = free_range(ports).unwrap();
            assert!(other > first + 3, "{other}");
        }
        assert_eq!(free_range(70_000), None);
    }

    #[test]
    fn drops_are_counted_at_the_own_ports() {
        let line = |port: &str, drops: u32| {
            format!(
                " 1: 0100007F:{port} 00000000:0000 07 00000000:00000000 00:00000000 00000000 0 0 77 2 ffff {drops}\n"
            )
        };
        let table = format!(
            "  sl  local_address drops\n{}{}{}",
            line("1F90", 3),
            line("1F91", 5),
            line("1F92", 7)
        );
        assert_eq!(dropped(&table, &[0x1f90, 0x1f92]), 10);
        assert_eq!(dropped("", &[1]), 0);
        let post = Post::open().unwrap();
        assert_eq!(post.dropped(), 0);
        let name = format!(":{:04X} ", post.rtp_port);
        assert!(std::fs::read_to_string("/proc/net/udp").unwrap().contains(&name));
    }
}
