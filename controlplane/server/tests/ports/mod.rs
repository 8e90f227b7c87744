//! Ports of loopback that only one test uses, though others run beside it, in this process or in another.

use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicU16, Ordering};

/// Ports of one block; the last of them is its guard.
const BLOCK: u16 = 96;

/// The first port of the first block. All blocks are below those that the kernel hands out (from 32768 on).
const FIRST: u16 = 10_048;

const BLOCKS: u16 = 233;

/// A block of ports. Whoever holds the socket on its last port has it; a process that ends gives it back.
pub(crate) struct Ports {
    first: u16,
    used: u16,
    _guard: UdpSocket,
}

impl Ports {
    /// A block in which every port is free.
    pub(crate) fn claim() -> Ports {
        static NEXT: AtomicU16 = AtomicU16::new(0);
        // Processes begin at different places, so that they seldom look at each other's blocks.
        let start = (std::process::id().wrapping_mul(37) % u32::from(BLOCKS)) as u16;
        (0..BLOCKS)
            .find_map(|_| {
                let block = (start + NEXT.fetch_add(1, Ordering::Relaxed)) % BLOCKS;
                let first = FIRST + block * BLOCK;
                let guard = bind(first + BLOCK - 1)?;
                let free = !taken().any(|port| (first..first + BLOCK - 1).contains(&port));
                free.then_some(Ports {
                    first,
                    used: 0,
                    _guard: guard,
                })
            })
            .expect("a block of free ports")
    }

    /// The first of `count` ports that follow each other; it is even.
    pub(crate) fn take(&mut self, count: u16) -> u16 {
        let first = self.first + self.used;
        self.used += count.next_multiple_of(2);
        assert!(self.used < BLOCK, "a test needs more than {BLOCK} ports");
        first
    }
}

fn bind(port: u16) -> Option<UdpSocket> {
    UdpSocket::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, port))).ok()
}

/// The ports that some socket of this host has, read rather than tried: a socket that only tries would be copied into
/// a child that another test starts at that moment, and outlive the trial there.
fn taken() -> impl Iterator<Item = u16> {
    ["udp", "udp6", "tcp", "tcp6"].into_iter().flat_map(|table| {
        let text = std::fs::read_to_string(format!("/proc/net/{table}")).unwrap_or_default();
        let ports: Vec<_> = text.lines().skip(1).filter_map(local_port).collect();
        ports
    })
}

/// Of a line of `/proc/net/udp` and its like (proc_net(5)): the second word is the local address and port in hexadecimal.
fn local_port(line: &str) -> Option<u16> {
    let (_, port) = line.split_whitespace().nth(1)?.rsplit_once(':')?;
    u16::from_str_radix(port, 16).ok()
}
