//! The UDP sockets, and addresses as the kernel writes them.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::{io, mem};

use crate::config::StartError;

/// Sizes of a socket's queues in the kernel, bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Queues {
    pub(crate) receive: usize,
    pub(crate) send: usize,
}

/// The sockets of one worker.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Setup {
    pub(crate) address: IpAddr,
    /// The port of the first socket; the others follow without a gap.
    pub(crate) first_port: u16,
    pub(crate) sockets: usize,
    pub(crate) queues: Queues,
}

impl Setup {
    /// Binds all sockets.
    pub(crate) fn bind(&self) -> Result<Vec<OwnedFd>, StartError> {
        // `EngineConfig::check` has seen to it that they stay below 65,536.
        let ports = (self.first_port..=u16::MAX).take(self.sockets);
        ports.map(|port| bind(self.address, port, self.queues)).collect()
    }
}

/// A bound socket.
#[derive(Debug)]
pub(crate) struct Socket {
    fd: OwnedFd,
    /// It takes IPv4 addresses as v4-mapped ones.
    mapped: bool,
    /// The kernel's count of drops when it told us last.
    drops: u32,
}

impl Socket {
    pub(crate) fn new(fd: OwnedFd) -> io::Result<Socket> {
        let mapped = takes_mapped(&fd)?;
        Ok(Socket { fd, mapped, drops: 0 })
    }

    pub(crate) fn fd(&self) -> RawFd {
        self.fd.as_raw_fd()
    }

    /// The address in the form that this socket takes.
    pub(crate) fn as_it_takes(&self, address: SocketAddr) -> SocketAddr {
        if self.mapped { mapped(address) } else { address }
    }

    /// What is new in the kernel's count. Packets that were queued before it was asked have an older one.
    pub(crate) fn newly_lost(&mut self, drops: u32) -> u32 {
        let lost = u32::try_from(drops.wrapping_sub(self.drops).cast_signed()).unwrap_or(0);
        self.drops = self.drops.wrapping_add(lost);
        lost
    }

    /// Packets that the kernel dropped here and has not told of: one system call.
    pub(crate) fn ask_drops(&mut self) -> u32 {
        drops(&self.fd).map_or(0, |drops| self.newly_lost(drops))
    }
}

/// Makes and binds a socket; on `::` it serves both families. `SO_REUSEADDR` is not set: a port that somebody else has must
/// be an error.
pub(crate) fn bind(address: IpAddr, port: u16, queues: Queues) -> Result<OwnedFd, StartError> {
    let failed = |what: &'static str| {
        let source = io::Error::last_os_error();
        StartError::Socket { what, port, source }
    };
    let family = if address.is_ipv4() {
        libc::AF_INET
    } else {
        libc::AF_INET6
    };
    // SAFETY: no pointer is passed.
    let fd = unsafe { libc::socket(family, libc::SOCK_DGRAM | libc::SOCK_CLOEXEC, libc::IPPROTO_UDP) };
    if fd < 0 {
        return Err(failed("socket"));
    }
    // SAFETY: the descriptor was made just now and nobody else has it.
    let socket = unsafe { OwnedFd::from_raw_fd(fd) };
    let set = |level: libc::c_int, option: libc::c_int, value: libc::c_int, what: &'static str| {
        // SAFETY: `value` is a readable `c_int` for the length of the call, as all these options are.
        let result = unsafe {
            libc::setsockopt(
                socket.as_raw_fd(),
                level,
                option,
                (&raw const value).cast(),
                size_of::<libc::c_int>() as libc::socklen_t,
            )
        };
        if result < 0 { Err(failed(what)) } else { Ok(()) }
    };
    let bytes = |count: usize| libc::c_int::try_from(count).unwrap_or(libc::c_int::MAX);
    set(
        libc::SOL_SOCKET,
        libc::SO_RCVBUF,
        bytes(queues.receive),
        "setsockopt(SO_RCVBUF)",
    )?;
    set(
        libc::SOL_SOCKET,
        libc::SO_SNDBUF,
        bytes(queues.send),
        "setsockopt(SO_SNDBUF)",
    )?;
    set(libc::SOL_SOCKET, libc::SO_RXQ_OVFL, 1, "setsockopt(SO_RXQ_OVFL)")?;
    if address.is_ipv6() {
        // Whatever net.ipv6.bindv6only says. Not on `::`: an IPv4 socket may have the same port.
        let only = libc::c_int::from(!address.is_unspecified());
        set(libc::IPPROTO_IPV6, libc::IPV6_V6ONLY, only, "setsockopt(IPV6_V6ONLY)")?;
    }
    // SAFETY: all bits zero is a valid `sockaddr_storage`.
    let mut name: libc::sockaddr_storage = unsafe { mem::zeroed() };
    let len = write_address(SocketAddr::new(address, port), &mut name);
    // SAFETY: `name` is readable for `len` bytes for the length of the call.
    if unsafe { libc::bind(socket.as_raw_fd(), (&raw const name).cast(), len) } < 0 {
        let source = io::Error::last_os_error();
        return Err(match source.raw_os_error() {
            Some(libc::EADDRINUSE) => StartError::PortTaken { address, port },
            Some(libc::EACCES) => StartError::PortForbidden { port },
            Some(libc::EADDRNOTAVAIL) => StartError::Address { address },
            _ => StartError::Socket {
                what: "bind",
                port,
                source,
            },
        });
    }
    Ok(socket)
}

/// Receives one packet without waiting: who sent it (`None`: not an address of IP), and how long it was; longer than `place` where it
/// was cut.
pub(crate) fn receive(socket: RawFd, place: &mut [u8]) -> io::Result<(Option<SocketAddr>, usize)> {
    // SAFETY: all bits zero is a valid `sockaddr_storage`.
    let mut name: libc::sockaddr_storage = unsafe { mem::zeroed() };
    let mut len = size_of_val(&name) as libc::socklen_t;
    // SAFETY: `place` and `name` are writable for as long as they are said to be, for the length of the call.
    let result = unsafe {
        libc::recvfrom(
            socket,
            place.as_mut_ptr().cast(),
            place.len(),
            libc::MSG_DONTWAIT | libc::MSG_TRUNC,
            (&raw mut name).cast(),
            &raw mut len,
        )
    };
    let received = usize::try_from(result).map_err(|_| io::Error::last_os_error())?;
    let len = (len as usize).min(size_of_val(&name));
    // SAFETY: `name` is at least `len` bytes, all initialised.
    let name = unsafe { std::slice::from_raw_parts((&raw const name).cast::<u8>(), len) };
    Ok((read_address(name), received))
}

/// Sends one packet without waiting. `false` where the kernel did not take it.
pub(crate) fn send(socket: RawFd, to: SocketAddr, packet: &[u8]) -> bool {
    // SAFETY: all bits zero is a valid `sockaddr_storage`.
    let mut name: libc::sockaddr_storage = unsafe { mem::zeroed() };
    let len = write_address(to, &mut name);
    // SAFETY: `packet` and `name` are readable for as long as they are said to be, for the length of the call.
    let result = unsafe {
        libc::sendto(
            socket,
            packet.as_ptr().cast(),
            packet.len(),
            libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL,
            (&raw const name).cast(),
            len,
        )
    };
    result >= 0
}

/// Whether the socket wants IPv4 addresses as v4-mapped ones: it is one of IPv6.
fn takes_mapped(socket: &OwnedFd) -> io::Result<bool> {
    let mut family: libc::c_int = 0;
    let mut len = size_of_val(&family) as libc::socklen_t;
    // SAFETY: `family` is writable for `len` bytes for the length of the call.
    let result = unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_DOMAIN,
            (&raw mut family).cast(),
            &raw mut len,
        )
    };
    if result < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(family == libc::AF_INET6)
}

/// An IPv4 address as a socket of both families takes it (RFC 4291 §2.5.5.2).
fn mapped(address: SocketAddr) -> SocketAddr {
    match address {
        SocketAddr::V4(v4) => SocketAddrV6::new(v4.ip().to_ipv6_mapped(), v4.port(), 0, 0).into(),
        SocketAddr::V6(_) => address,
    }
}

/// How many packets the kernel has dropped at this socket, from its start (sock_diag(7), `SK_MEMINFO_DROPS`). `None` where
/// the kernel does not say.
fn drops(socket: &OwnedFd) -> Option<u32> {
    const DROPS: usize = 8;
    let mut figures = [0u32; DROPS + 1];
    let mut len = size_of_val(&figures) as libc::socklen_t;
    // SAFETY: `figures` is writable for `len` bytes for the length of the call.
    let result = unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_MEMINFO,
            figures.as_mut_ptr().cast(),
            &raw mut len,
        )
    };
    (result == 0 && len as usize == size_of_val(&figures)).then_some(figures[DROPS])
}

/// Writes an address and says how long it is.
pub(crate) fn write_address(address: SocketAddr, into: &mut libc::sockaddr_storage) -> libc::socklen_t {
    let start = &raw mut *into;
    match address {
        SocketAddr::V4(address) => {
            let name = libc::sockaddr_in {
                sin_family: libc::AF_INET as libc::sa_family_t,
                sin_port: address.port().to_be(),
                sin_addr: libc::in_addr {
                    s_addr: u32::from_ne_bytes(address.ip().octets()),
                },
                sin_zero: [0; 8],
            };
            // SAFETY: `sockaddr_storage` is large enough and aligned for every address of a socket.
            unsafe { start.cast::<libc::sockaddr_in>().write(name) };
            size_of::<libc::sockaddr_in>() as libc::socklen_t
        }
        SocketAddr::V6(address) => {
            let name = libc::sockaddr_in6 {
                sin6_family: libc::AF_INET6 as libc::sa_family_t,
                sin6_port: address.port().to_be(),
                sin6_flowinfo: address.flowinfo(),
                sin6_addr: libc::in6_addr {
                    s6_addr: address.ip().octets(),
                },
                sin6_scope_id: address.scope_id(),
            };
            // SAFETY: as above.
            unsafe { start.cast::<libc::sockaddr_in6>().write(name) };
            size_of::<libc::sockaddr_in6>() as libc::socklen_t
        }
    }
}

/// Reads an address that the kernel wrote; the bytes may lie unaligned. `None`: not an address of IP.
///
/// A v4-mapped one is given as IPv4: whoever compares addresses sees one form, whichever socket the packet came to.
pub(crate) fn read_address(bytes: &[u8]) -> Option<SocketAddr> {
    let family = libc::c_int::from(u16::from_ne_bytes([*bytes.first()?, *bytes.get(1)?]));
    if family == libc::AF_INET && bytes.len() >= size_of::<libc::sockaddr_in>() {
        // SAFETY: there are enough bytes, and all bit patterns are valid for integers.
        let name = unsafe { bytes.as_ptr().cast::<libc::sockaddr_in>().read_unaligned() };
        let ip = Ipv4Addr::from(name.sin_addr.s_addr.to_ne_bytes());
        return Some(SocketAddrV4::new(ip, u16::from_be(name.sin_port)).into());
    }
    if family == libc::AF_INET6 && bytes.len() >= size_of::<libc::sockaddr_in6>() {
        // SAFETY: as above.
        let name = unsafe { bytes.as_ptr().cast::<libc::sockaddr_in6>().read_unaligned() };
        let ip = Ipv6Addr::from(name.sin6_addr.s6_addr);
        let port = u16::from_be(name.sin6_port);
        if let Some(ip) = ip.to_ipv4_mapped() {
            return Some(SocketAddrV4::new(ip, port).into());
        }
        return Some(SocketAddrV6::new(ip, port, name.sin6_flowinfo, name.sin6_scope_id).into());
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn round_trip(address: SocketAddr) -> Option<SocketAddr> {
        // SAFETY: all bits zero is a valid `sockaddr_storage`.
        let mut name: libc::sockaddr_storage = unsafe { mem::zeroed() };
        let len = write_address(address, &mut name) as usize;
        // SAFETY: `name` is at least `len` bytes, all initialised.
        let bytes = unsafe { std::slice::from_raw_parts((&raw const name).cast::<u8>(), len) };
        assert_eq!(read_address(&bytes[..len - 1]), None, "a cut address is none");
        read_address(bytes)
    }

    #[test]
    fn addresses_survive_the_round_trip() {
        for address in ["127.0.0.1:5004", "203.0.113.7:65535", "[2001:db8::7]:4000", "[::1]:1"] {
            let address: SocketAddr = address.parse().expect("an address");
            assert_eq!(round_trip(address), Some(address));
        }
        assert_eq!(read_address(&[]), None);
    }

    #[test]
    fn ipv4_goes_mapped_and_comes_back_plain() {
        let plain: SocketAddr = "203.0.113.7:4000".parse().expect("an address");
        let six: SocketAddr = "[2001:db8::7]:4000".parse().expect("an address");
        assert_eq!(mapped(plain).to_string(), "[::ffff:203.0.113.7]:4000");
        assert_eq!(round_trip(mapped(plain)), Some(plain));
        assert_eq!(mapped(six), six);
    }
}
