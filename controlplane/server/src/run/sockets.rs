//! Where SIP comes and goes.

use std::net::TcpListener;

use crate::sip_transport::tcp::Tcp;
use crate::sip_transport::udp::{Received, Udp};

/// Where SIP comes and goes.
#[derive(Debug)]
pub(crate) struct Sockets {
    pub(crate) datagrams: Datagrams,
    pub(crate) tcp: Tcp,
    /// What `tcp` accepts connections by.
    pub(crate) listeners: Vec<TcpListener>,
}

impl Sockets {
    /// Connections are accepted: at the start, and again where a new version did not last.
    pub(crate) fn listen_again(&mut self) -> std::io::Result<()> {
        for listener in &self.listeners {
            self.tcp.listen(listener.try_clone()?)?;
        }
        Ok(())
    }
}

/// One socket, or one of each address family.
#[derive(Debug)]
pub(crate) struct Datagrams {
    pub(crate) udp: Udp,
    pub(crate) also: Option<Udp>,
}

impl Datagrams {
    /// Waits until there are datagrams.
    pub(super) async fn ready(&self) -> std::io::Result<()> {
        match &self.also {
            None => self.udp.ready().await,
            Some(also) => tokio::select! {
                ready = self.udp.ready() => ready,
                ready = also.ready() => ready,
            },
        }
    }

    /// The next datagram or error, without waiting.
    pub(super) fn receive(&mut self) -> Received {
        match (self.udp.receive(), &mut self.also) {
            (Received::Nothing, Some(also)) => also.receive(),
            (received, _) => received,
        }
    }

    pub(super) fn send(&self, to: std::net::SocketAddr, datagram: &[u8]) -> std::io::Result<()> {
        match &self.also {
            Some(also) if also.is_ipv4() == to.is_ipv4() => also.send(to, datagram),
            _ => self.udp.send(to, datagram),
        }
    }
}
