//! The UDP sockets, and addresses as the kernel writes them.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::time::{Duration, Instant};
use std::{io, mem, thread};

use crate::buffers::CONTROL_BYTES;
use crate::config::{Rtcp, StartError};

/// Sizes of a socket's queues in the kernel, bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Queues {
    pub(crate) receive: usize,
    pub(crate) send: usize,
}

/// The kernel stamps the packets of one port of so many: every sixteenth one for RTP.
const STAMPED_EACH: u16 = 32;

/// How soon a port that was taken is tried again.
const AGAIN: Duration = Duration::from_millis(10);

/// The sockets of one worker.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Setup {
    pub(crate) address: IpAddr,
    /// That of the first pair of ports; the others follow without a gap.
    pub(crate) first_port: u16,
    pub(crate) pairs: u16,
    pub(crate) rtcp: Rtcp,
    pub(crate) queues: Queues,
}

impl Setup {
    /// Binds all sockets. Ports that somebody has are waited for, until then.
    pub(crate) fn bind(&self, until: Instant) -> Result<Vec<OwnedFd>, StartError> {
        let stamped = |port: u16| (port - self.first_port).is_multiple_of(STAMPED_EACH);
        self.ports()
            .map(|port| self.bind_one(port, stamped(port), until))
            .collect()
    }

    /// Their ports.
    pub(crate) fn ports(&self) -> impl Iterator<Item = u16> {
        // `EngineConfig::check` has seen to it that they stay below 65,536.
        let Setup { first_port, rtcp, .. } = *self;
        (0..self.pairs).flat_map(move |pair| (0..rtcp.sockets() as u16).map(move |at| first_port + 2 * pair + at))
    }

    fn bind_one(&self, port: u16, stamped: bool, until: Instant) -> Result<OwnedFd, StartError> {
        let mut told = false;
        loop {
            match bind(self.address, port, self.queues, stamped) {
                Err(StartError::PortTaken { .. }) if Instant::now() < until => {}
                result => return result,
            }
            if !told {
                tracing::info!(port, address = %self.address, "a UDP port is taken: it is waited for");
                told = true;
            }
            thread::sleep(AGAIN);
        }
    }
}

/// A bound socket.
#[derive(Debug)]
pub(crate) struct Socket {
    fd: OwnedFd,
    /// It takes IPv4 addresses as v4-mapped ones.
    mapped: bool,
    /// Its packets come with the time of their arrival.
    stamped: bool,
    /// The kernel's count of drops when it told us last.
    drops: u32,
    /// It has an address of its own: connected, it still has it. On a wildcard connect(2) chooses one, by the way to the peer, and what comes to
    /// another one is lost.
    connectable: bool,
    /// The only one who can send to it.
    peer: Option<SocketAddr>,
    /// Nothing is left in its queue of before it was connected.
    clean: bool,
}

impl Socket {
    pub(crate) fn new(fd: OwnedFd) -> io::Result<Socket> {
        let mapped = option(&fd, libc::SO_DOMAIN)? == libc::AF_INET6;
        let stamped = option(&fd, libc::SO_TIMESTAMPNS)? != 0;
        let connectable = own_address(&fd)?.is_some_and(|address| !address.ip().is_unspecified());
        Ok(Socket {
            fd,
            mapped,
            stamped,
            drops: 0,
            connectable,
            peer: None,
            clean: false,
        })
    }

    pub(crate) fn is_connectable(&self) -> bool {
        self.connectable
    }

    pub(crate) fn peer(&self) -> Option<SocketAddr> {
        self.peer
    }

    /// From now on packets get in from this peer only, or from everybody again: one system call. What lies in the queue stays there.
    /// `false` where the kernel refused; then everybody can send to it.
    pub(crate) fn connect(&mut self, peer: Option<SocketAddr>) -> bool {
        let connected = peer.is_some_and(|peer| connect(&self.fd, peer));
        if !connected {
            disconnect(&self.fd);
        }
        self.peer = peer.filter(|_| connected);
        self.clean = false;
        connected == peer.is_some()
    }

    /// Whether all that can be received is the peer's, and nothing comes beside it, as [`Socket::look`] has found.
    pub(crate) fn is_plain(&self) -> bool {
        self.clean
    }

    /// Whether it could be so.
    pub(crate) fn may_be_plain(&self) -> bool {
        self.peer.is_some() && !self.stamped
    }

    /// Looks whether its queue is empty: then what comes from now on is the peer's. A system call, until it is so.
    pub(crate) fn look(&mut self) {
        if self.may_be_plain() && !self.clean {
            self.clean = is_drained(&self.fd);
        }
    }

    /// Whether a packet to this address needs none.
    pub(crate) fn is_to_peer(&self, to: SocketAddr) -> bool {
        self.peer
            .is_some_and(|peer| peer.port() == to.port() && peer.ip() == to.ip())
    }

    pub(crate) fn is_stamped(&self) -> bool {
        self.stamped
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
/// be an error. `stamped`: the kernel stamps its packets as they arrive.
pub(crate) fn bind(address: IpAddr, port: u16, queues: Queues, stamped: bool) -> Result<OwnedFd, StartError> {
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
    // Never in fragments, and without asking what the path takes: a packet of audio is shorter than any path's limit. A packet that is
    // never cut needs no number that its pieces would have in common (RFC 6864), and making one up costs 2 % of sending.
    let whole = libc::IP_PMTUDISC_PROBE;
    set(
        libc::IPPROTO_IP,
        libc::IP_MTU_DISCOVER,
        whole,
        "setsockopt(IP_MTU_DISCOVER)",
    )?;
    if stamped {
        set(libc::SOL_SOCKET, libc::SO_TIMESTAMPNS, 1, "setsockopt(SO_TIMESTAMPNS)")?;
    }
    if address.is_ipv6() {
        // Whatever net.ipv6.bindv6only says. Not on `::`: an IPv4 socket may have the same port.
        let only = libc::c_int::from(!address.is_unspecified());
        set(libc::IPPROTO_IPV6, libc::IPV6_V6ONLY, only, "setsockopt(IPV6_V6ONLY)")?;
    }
    let (name, len) = write_address(SocketAddr::new(address, port));
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

/// Receives one packet without waiting, and without asking who sent it: how long it was.
pub(crate) fn receive_plain(socket: RawFd, place: &mut [u8]) -> io::Result<usize> {
    let flags = libc::MSG_DONTWAIT | libc::MSG_TRUNC;
    // SAFETY: `place` is writable for as long as it is said to be, for the length of the call.
    let result = unsafe { libc::recv(socket, place.as_mut_ptr().cast(), place.len(), flags) };
    usize::try_from(result).map_err(|_| io::Error::last_os_error())
}

/// What came beside a packet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Beside {
    /// Packets that this socket has dropped since it was made, where the kernel says so.
    pub(crate) drops: Option<u32>,
    /// When the kernel took it from the device ([`crate::clock::wall`]), where it was asked.
    pub(crate) arrival: Option<u64>,
}

/// As [`receive`], with what came beside it.
pub(crate) fn receive_stamped(socket: RawFd, place: &mut [u8]) -> io::Result<(Option<SocketAddr>, usize, Beside)> {
    // SAFETY: all bits zero is valid for both structures.
    let (mut name, mut message): (libc::sockaddr_storage, libc::msghdr) = unsafe { mem::zeroed() };
    // As aligned as a `cmsghdr`.
    let mut control = [0u64; CONTROL_BYTES.div_ceil(8)];
    let mut vector = libc::iovec {
        iov_base: place.as_mut_ptr().cast(),
        iov_len: place.len(),
    };
    message.msg_name = (&raw mut name).cast();
    message.msg_namelen = size_of_val(&name) as libc::socklen_t;
    message.msg_iov = &raw mut vector;
    message.msg_iovlen = 1;
    message.msg_control = control.as_mut_ptr().cast();
    message.msg_controllen = CONTROL_BYTES as _;
    // SAFETY: all that `message` points to is writable for as long as it is said to be, for the length of the call.
    let result = unsafe { libc::recvmsg(socket, &raw mut message, libc::MSG_DONTWAIT | libc::MSG_TRUNC) };
    let received = usize::try_from(result).map_err(|_| io::Error::last_os_error())?;
    let len = (message.msg_namelen as usize).min(size_of_val(&name));
    // SAFETY: `name` is at least `len` bytes, all initialised.
    let name = unsafe { std::slice::from_raw_parts((&raw const name).cast::<u8>(), len) };
    let len = message.msg_controllen.min(CONTROL_BYTES);
    // SAFETY: as above.
    let control = unsafe { std::slice::from_raw_parts(control.as_ptr().cast::<u8>(), len) };
    Ok((read_address(name), received, read_control(control)))
}

/// Reads the control messages of a received packet: those that we asked for. They may lie unaligned.
pub(crate) fn read_control(mut control: &[u8]) -> Beside {
    const HEADER: usize = size_of::<libc::cmsghdr>();
    let mut beside = Beside::default();
    while control.len() >= HEADER {
        // SAFETY: there are enough bytes, and all bit patterns are valid for integers.
        let header = unsafe { control.as_ptr().cast::<libc::cmsghdr>().read_unaligned() };
        let len = header.cmsg_len;
        let Some(value) = control.get(HEADER..len) else { break };
        let word = |at: usize| value.get(at..at + 8)?.try_into().ok().map(u64::from_ne_bytes);
        match (header.cmsg_level, header.cmsg_type) {
            (libc::SOL_SOCKET, libc::SO_RXQ_OVFL) => {
                beside.drops = value
                    .get(..4)
                    .and_then(|value| value.try_into().ok())
                    .map(u32::from_ne_bytes);
            }
            (libc::SOL_SOCKET, libc::SCM_TIMESTAMPNS) => {
                let time = word(0).zip(word(8));
                beside.arrival = time.map(|(seconds, ns)| seconds.wrapping_mul(1_000_000_000).wrapping_add(ns));
            }
            _ => {}
        }
        control = control.get(len.next_multiple_of(8)..).unwrap_or_default();
    }
    beside
}

/// Sends one packet to the peer that the socket is connected to, without waiting. `false` where the kernel did not take it.
pub(crate) fn send_plain(socket: RawFd, packet: &[u8]) -> bool {
    let flags = libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL;
    // SAFETY: `packet` is readable for as long as it is said to be, for the length of the call.
    unsafe { libc::send(socket, packet.as_ptr().cast(), packet.len(), flags) >= 0 }
}

/// Sends one packet without waiting. `false` where the kernel did not take it.
pub(crate) fn send(socket: RawFd, to: SocketAddr, packet: &[u8]) -> bool {
    let (name, len) = write_address(to);
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

fn connect(socket: &OwnedFd, to: SocketAddr) -> bool {
    let (name, len) = write_address(to);
    // SAFETY: `name` is readable for `len` bytes for the length of the call.
    unsafe { libc::connect(socket.as_raw_fd(), (&raw const name).cast(), len) >= 0 }
}

/// connect(2): "dissolve the association by connecting to an address with the `sa_family` member set to AF_UNSPEC". Address and port stay bound, for they
/// were asked for.
fn disconnect(socket: &OwnedFd) {
    let name = libc::sockaddr {
        sa_family: libc::AF_UNSPEC as libc::sa_family_t,
        sa_data: [0; 14],
    };
    // SAFETY: `name` is readable for its length for the length of the call.
    unsafe {
        libc::connect(
            socket.as_raw_fd(),
            &raw const name,
            size_of_val(&name) as libc::socklen_t,
        )
    };
}

/// Whether nothing waits in its queue, not even a packet without a byte.
fn is_drained(socket: &OwnedFd) -> bool {
    let mut byte = 0_u8;
    let flags = libc::MSG_DONTWAIT | libc::MSG_PEEK;
    // SAFETY: `byte` is writable for the length of the call.
    let result = unsafe { libc::recv(socket.as_raw_fd(), (&raw mut byte).cast(), 1, flags) };
    result < 0 && io::Error::last_os_error().kind() == io::ErrorKind::WouldBlock
}

fn own_address(socket: &OwnedFd) -> io::Result<Option<SocketAddr>> {
    // SAFETY: all bits zero is a valid `sockaddr_storage`.
    let mut name: libc::sockaddr_storage = unsafe { mem::zeroed() };
    let mut len = size_of_val(&name) as libc::socklen_t;
    // SAFETY: `name` is writable for `len` bytes for the length of the call.
    if unsafe { libc::getsockname(socket.as_raw_fd(), (&raw mut name).cast(), &raw mut len) } < 0 {
        return Err(io::Error::last_os_error());
    }
    let len = (len as usize).min(size_of_val(&name));
    // SAFETY: `name` is at least `len` bytes, all initialised.
    let bytes = unsafe { std::slice::from_raw_parts((&raw const name).cast::<u8>(), len) };
    Ok(read_address(bytes))
}

/// An option of the socket that is one number.
fn option(socket: &OwnedFd, name: libc::c_int) -> io::Result<libc::c_int> {
    let mut value: libc::c_int = 0;
    let mut len = size_of_val(&value) as libc::socklen_t;
    // SAFETY: `value` is writable for `len` bytes for the length of the call.
    let result = unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            name,
            (&raw mut value).cast(),
            &raw mut len,
        )
    };
    if result < 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(value)
    }
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

/// An address as the kernel takes it, and how many of its bytes count.
pub(crate) fn write_address(address: SocketAddr) -> (libc::sockaddr_in6, libc::socklen_t) {
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
            // SAFETY: all bits zero is a valid `sockaddr_in6`.
            let mut place: libc::sockaddr_in6 = unsafe { mem::zeroed() };
            // SAFETY: `sockaddr_in6` is longer, and as aligned; its fields are integers, for which all bits are valid.
            unsafe { (&raw mut place).cast::<libc::sockaddr_in>().write(name) };
            (place, size_of::<libc::sockaddr_in>() as libc::socklen_t)
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
            (name, size_of::<libc::sockaddr_in6>() as libc::socklen_t)
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
        let (name, len) = write_address(address);
        let len = len as usize;
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
    fn what_comes_beside_a_packet_is_read_and_nothing_else() {
        let message = |kind: libc::c_int, value: &[u8]| {
            let mut bytes = (16 + value.len()).to_ne_bytes().to_vec();
            bytes.extend(libc::SOL_SOCKET.to_ne_bytes());
            bytes.extend(kind.to_ne_bytes());
            bytes.extend(value);
            bytes.resize(bytes.len().next_multiple_of(8), 0);
            bytes
        };
        let time = [7u64.to_ne_bytes(), 9u64.to_ne_bytes()].concat();
        let all = [
            message(libc::SO_RXQ_OVFL, &5u32.to_ne_bytes()),
            message(libc::SCM_RIGHTS, &[0xff; 4]),
            message(libc::SCM_TIMESTAMPNS, &time),
        ]
        .concat();
        let beside = Beside {
            drops: Some(5),
            arrival: Some(7_000_000_009),
        };
        assert_eq!(read_control(&all), beside);
        // Cut, or with a length that is none.
        for len in 0..all.len() {
            assert!(read_control(&all[..len]).arrival.is_none());
        }
        assert_eq!(read_control(&[0; 64]), Beside::default());
        assert_eq!(read_control(&[0xff; 64]), Beside::default());
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
