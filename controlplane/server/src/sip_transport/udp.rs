//! SIP over UDP.

use std::io;
use std::net::SocketAddr;
use std::os::fd::AsRawFd;

use bytes::Bytes;
use nix::errno::Errno;
use nix::sys::socket::{
    self, AddressFamily, ControlMessageOwned, MsgFlags, SockFlag, SockType, SockaddrStorage, sockopt,
};
use tokio::io::Interest;
use tokio::net::UdpSocket;

/// The largest datagram that UDP can carry.
const DATAGRAM_MAX: usize = 65_535;

/// What the kernel keeps for us while we do something else, bytes.
pub(crate) const RECEIVE_BUFFER: usize = 8 << 20;

/// One socket for everything.
#[derive(Debug)]
pub(crate) struct Udp {
    socket: UdpSocket,
    ipv4: bool,
    buffer: Box<[u8]>,
}

/// What came of asking the socket.
#[derive(Debug)]
pub(crate) enum Received {
    /// A datagram.
    Datagram(SocketAddr, Bytes),
    /// An ICMP error said that what we sent there cannot be delivered.
    Unreachable(SocketAddr),
    /// Nothing more for now.
    Nothing,
}

impl Udp {
    /// # Errors
    /// Where the address is taken or is not ours.
    #[cfg(test)]
    pub(crate) async fn bind(listen: SocketAddr) -> io::Result<Udp> {
        Udp::new(open(listen)?).await
    }

    /// From an open socket: [`open`].
    ///
    /// # Errors
    /// Where it cannot be watched.
    pub(crate) async fn new(socket: std::net::UdpSocket) -> io::Result<Udp> {
        let socket = UdpSocket::from_std(socket)?;
        // Until it was seen writable once, `try_send_to` would not even ask the kernel.
        socket.writable().await?;
        Ok(Udp {
            ipv4: socket.local_addr()?.is_ipv4(),
            socket,
            buffer: vec![0; DATAGRAM_MAX].into(),
        })
    }

    #[cfg(test)]
    pub(crate) fn local(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }

    pub(crate) fn is_ipv4(&self) -> bool {
        self.ipv4
    }

    /// Waits until there is something to read.
    pub(crate) async fn ready(&self) -> io::Result<()> {
        self.socket.ready(Interest::READABLE | Interest::ERROR).await.map(drop)
    }

    /// The next datagram or error, without waiting.
    pub(crate) fn receive(&mut self) -> Received {
        if let Ok((len, from)) = self.socket.try_recv_from(&mut self.buffer) {
            let datagram = Bytes::copy_from_slice(&self.buffer[..len]);
            return Received::Datagram(from, datagram);
        }
        let socket = self.socket.as_raw_fd();
        match self.socket.try_io(Interest::ERROR, || unreachable_peer(socket)) {
            Ok(to) => {
                tracing::debug!(%to, "SIP peer is unreachable");
                Received::Unreachable(to)
            }
            Err(_) => Received::Nothing,
        }
    }

    /// Sends without waiting. A full socket buffer is loss, as on any network: SIP repeats itself.
    ///
    /// # Errors
    /// Where the kernel knows that the peer cannot be reached.
    pub(crate) fn send(&self, to: SocketAddr, datagram: &[u8]) -> Result<(), io::Error> {
        // The first failure may be an ICMP error about another peer, which waits in the error queue for `receive`.
        let sent = self.try_send(to, datagram).or_else(|_| self.try_send(to, datagram));
        sent.map(drop)
    }

    fn try_send(&self, to: SocketAddr, datagram: &[u8]) -> io::Result<usize> {
        match self.socket.try_send_to(datagram, to) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                tracing::debug!(%to, "SIP socket is full");
                Ok(0)
            }
            other => other,
        }
    }
}

/// A socket as it is to be.
///
/// # Errors
/// Where the address is taken or is not ours.
pub(crate) fn open(listen: SocketAddr) -> io::Result<std::net::UdpSocket> {
    let socket = unconnected(listen)?;
    // RFC 3261 §18.4: an ICMP error is a transport error. One socket that is not connected learns only so which
    // peer an error is about (ip(7), IP_RECVERR).
    if listen.is_ipv4() {
        socket::setsockopt(&socket, sockopt::Ipv4RecvErr, &true)?;
    } else {
        socket::setsockopt(&socket, sockopt::Ipv6RecvErr, &true)?;
    }
    // The kernel's default holds some 200 messages, which is 20 ms of a flood: whoever is not a part of it would be lost in it.
    // Beyond the system's own limit (net.core.rmem_max) only root may go.
    if socket::setsockopt(&socket, sockopt::RcvBufForce, &RECEIVE_BUFFER).is_err() {
        socket::setsockopt(&socket, sockopt::RcvBuf, &RECEIVE_BUFFER)?;
    }
    Ok(socket)
}

/// IPv4 has a socket of its own: what comes to an IPv6 one is IPv6.
fn unconnected(listen: SocketAddr) -> io::Result<std::net::UdpSocket> {
    let (family, address) = match listen {
        SocketAddr::V4(_) => (AddressFamily::Inet, SockaddrStorage::from(listen)),
        SocketAddr::V6(_) => (AddressFamily::Inet6, SockaddrStorage::from(listen)),
    };
    let flags = SockFlag::SOCK_NONBLOCK | SockFlag::SOCK_CLOEXEC;
    let socket = socket::socket(family, SockType::Datagram, flags, None)?;
    if listen.is_ipv6() {
        socket::setsockopt(&socket, sockopt::Ipv6V6Only, &true)?;
    }
    socket::bind(socket.as_raw_fd(), &address)?;
    Ok(socket.into())
}

/// The next peer in the socket's error queue that cannot be reached; `WouldBlock` where there is none.
fn unreachable_peer(socket: i32) -> io::Result<SocketAddr> {
    loop {
        let mut sent = [0; 64];
        let mut iov = [io::IoSliceMut::new(&mut sent)];
        let mut control = nix::cmsg_space!([u8; 128]);
        let flags = MsgFlags::MSG_ERRQUEUE | MsgFlags::MSG_DONTWAIT;
        let message = socket::recvmsg::<SockaddrStorage>(socket, &mut iov, Some(&mut control), flags)?;
        let errno = message.cmsgs()?.find_map(|control| match control {
            ControlMessageOwned::Ipv4RecvErr(error, _) | ControlMessageOwned::Ipv6RecvErr(error, _) => {
                Some(Errno::from_raw(error.ee_errno as i32))
            }
            _ => None,
        });
        // EMSGSIZE and the like say nothing about the peer.
        if !matches!(
            errno,
            Some(Errno::ECONNREFUSED | Errno::EHOSTUNREACH | Errno::ENETUNREACH)
        ) {
            continue;
        }
        let address = message.address.as_ref();
        let v4 = address
            .and_then(SockaddrStorage::as_sockaddr_in)
            .map(|v4| SocketAddr::V4((*v4).into()));
        let v6 = address
            .and_then(SockaddrStorage::as_sockaddr_in6)
            .map(|v6| SocketAddr::V6((*v6).into()));
        if let Some(to) = v4.or(v6) {
            return Ok(to);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn next(udp: &mut Udp) -> Received {
        loop {
            udp.ready().await.expect("a socket");
            match udp.receive() {
                Received::Nothing => {}
                received => return received,
            }
        }
    }

    #[tokio::test]
    async fn an_icmp_error_names_its_peer_and_datagrams_still_come() {
        let loopback = SocketAddr::from(([127, 0, 0, 1], 0));
        let mut udp = Udp::bind(loopback).await.expect("a socket");
        let closed = {
            let gone = std::net::UdpSocket::bind(loopback).expect("a socket");
            gone.local_addr().expect("bound")
        };
        udp.send(closed, b"INVITE sip:a@b SIP/2.0\r\n").expect("sent");
        match next(&mut udp).await {
            Received::Unreachable(to) => assert_eq!(to, closed),
            other => panic!("{other:?}"),
        }
        let peer = std::net::UdpSocket::bind(loopback).expect("a socket");
        udp.send(closed, b"again").expect("sent");
        // The error about `closed` does not fail what goes to others.
        let to = peer.local_addr().expect("bound");
        udp.send(to, b"hello").expect("sent");
        let mut buffer = [0; 16];
        assert_eq!(peer.recv(&mut buffer).expect("received"), 5);
        peer.send_to(b"back", udp.local().expect("bound")).expect("sent");
        let mut seen = Vec::new();
        while seen.len() < 2 {
            match next(&mut udp).await {
                Received::Datagram(from, datagram) => seen.push((from, datagram)),
                Received::Unreachable(to) => seen.push((to, Bytes::new())),
                Received::Nothing => {}
            }
        }
        seen.sort_by_key(|(_, datagram)| datagram.len());
        assert_eq!(seen, [(closed, Bytes::new()), (to, Bytes::from_static(b"back"))]);
    }
}
