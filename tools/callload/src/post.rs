//! The socket by which a role speaks SIP.

use std::net::{SocketAddr, UdpSocket};

/// Bytes that the kernel may keep for a socket: where this tool is late for some ms, nothing is to be dropped.
const ROOM: usize = 16 << 20;

/// The socket of one role.
pub(crate) struct Post {
    pub(crate) sip: UdpSocket,
    pub(crate) at: SocketAddr,
}

impl Post {
    pub(crate) fn open(at: SocketAddr) -> std::io::Result<Post> {
        let sip = UdpSocket::bind(at)?;
        sip.set_nonblocking(true)?;
        give_room(&sip);
        Ok(Post {
            at: sip.local_addr()?,
            sip,
        })
    }

    /// Messages that were dropped at it: this tool was too late for them.
    pub(crate) fn dropped(&self) -> u64 {
        dropped(&[self.at.port()])
    }
}

/// As much as the kernel gives: root may have more than `net.core.rmem_max`.
pub(crate) fn give_room(socket: &UdpSocket) {
    use rustix::net::sockopt::{set_socket_recv_buffer_size, set_socket_recv_buffer_size_force};
    if set_socket_recv_buffer_size_force(socket, ROOM).is_err() {
        let _ = set_socket_recv_buffer_size(socket, ROOM);
    }
}

/// What was dropped at the sockets of these local ports, by proc_net_udp(5).
pub(crate) fn dropped(ports: &[u16]) -> u64 {
    let table = std::fs::read_to_string("/proc/thread-self/net/udp").unwrap_or_default();
    dropped_in(&table, ports)
}

/// The last word of each line of these local ports.
fn dropped_in(table: &str, ports: &[u16]) -> u64 {
    let of_line = |line: &str| {
        let (_, port) = line.split_whitespace().nth(1)?.rsplit_once(':')?;
        let port = u16::from_str_radix(port, 16).ok()?;
        let count = line.split_whitespace().last()?.parse::<u64>().ok()?;
        ports.contains(&port).then_some(count)
    };
    table.lines().skip(1).filter_map(of_line).sum()
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

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
        assert_eq!(dropped_in(&table, &[0x1f90, 0x1f92]), 10);
        assert_eq!(dropped_in("", &[1]), 0);
        let post = Post::open((Ipv4Addr::LOCALHOST, 0).into()).unwrap();
        assert_eq!(post.dropped(), 0);
        let name = format!(":{:04X} ", post.at.port());
        assert!(std::fs::read_to_string("/proc/net/udp").unwrap().contains(&name));
    }
}
