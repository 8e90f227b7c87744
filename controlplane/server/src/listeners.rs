//! The sockets that others reach us by: opened before anything else, while there is still the right to, or taken over from the
//! server that had them before.

use std::io;
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use crate::config::Config;
use crate::server::StartError;
use crate::sip_transport::{tcp, udp};

/// How often a free port is looked for that is free for UDP and TCP.
const PORT_TRIES: usize = 20;

/// Open sockets. What comes by them waits until a server is started with them.
#[derive(Debug)]
pub struct Listeners {
    /// In the order of `sip.listen`.
    pub(crate) udp: Vec<UdpSocket>,
    /// The same; none where there is no TCP.
    pub(crate) tcp: Vec<TcpListener>,
    pub(crate) http: TcpListener,
}

impl Listeners {
    /// Opens what the configuration names.
    ///
    /// # Errors
    /// Where an address is taken, is not ours, or needs a right that we do not have.
    pub fn open(config: &Config) -> Result<Listeners, StartError> {
        let (mut udp, mut tcp) = (Vec::new(), Vec::new());
        for &address in &config.sip.listen {
            let mut tries = if address.port() == 0 { PORT_TRIES } else { 1 };
            loop {
                tries -= 1;
                let datagrams = bind("sip.listen", address, udp::open(address))?;
                let local = bind("sip.listen", address, datagrams.local_addr())?;
                if !config.sip.tcp {
                    udp.push(datagrams);
                    break;
                }
                match tcp::bind(local) {
                    Ok(streams) => {
                        udp.push(datagrams);
                        tcp.push(streams);
                        break;
                    }
                    Err(_) if tries > 0 => {}
                    failed => drop(bind("sip.listen", local, failed)?),
                }
            }
        }
        let http = bind("http.listen", config.http.listen, TcpListener::bind(config.http.listen))?;
        bind("http.listen", config.http.listen, http.set_nonblocking(true))?;
        Ok(Listeners { udp, tcp, http })
    }

    /// Where SIP is received, in the order of the configuration.
    pub(crate) fn sip(&self) -> io::Result<Vec<SocketAddr>> {
        self.udp.iter().map(UdpSocket::local_addr).collect()
    }

    /// Copies, for the next server.
    pub(crate) fn try_clone(&self) -> io::Result<Listeners> {
        Ok(Listeners {
            udp: self.udp.iter().map(UdpSocket::try_clone).collect::<io::Result<_>>()?,
            tcp: self.tcp.iter().map(TcpListener::try_clone).collect::<io::Result<_>>()?,
            http: self.http.try_clone()?,
        })
    }

    /// UDP, then TCP, then HTTP.
    pub(crate) fn descriptors(&self) -> Vec<BorrowedFd<'_>> {
        let udp = self.udp.iter().map(AsFd::as_fd);
        let tcp = self.tcp.iter().map(AsFd::as_fd);
        udp.chain(tcp).chain([self.http.as_fd()]).collect()
    }

    /// What another server has handed over, in the order of [`Listeners::descriptors`].
    ///
    /// # Errors
    /// Where it is not what this configuration would have opened: with the key that differs.
    pub(crate) fn taken(descriptors: Vec<OwnedFd>, config: &Config) -> Result<Listeners, String> {
        let count = config.sip.listen.len();
        let tcp_count = if config.sip.tcp { count } else { 0 };
        if descriptors.len() != count + tcp_count + 1 {
            return Err("sip.listen or sip.tcp is not as in the running server".to_owned());
        }
        let mut descriptors = descriptors.into_iter();
        let udp: Vec<UdpSocket> = descriptors.by_ref().take(count).map(UdpSocket::from).collect();
        let mut tcp: Vec<TcpListener> = descriptors.map(TcpListener::from).collect();
        let http = tcp.pop().ok_or("no HTTP socket")?;
        let listeners = Listeners { udp, tcp, http };
        let same = |wanted: SocketAddr, found: io::Result<SocketAddr>| {
            found.is_ok_and(|found| found.ip() == wanted.ip() && (wanted.port() == 0 || wanted.port() == found.port()))
        };
        let sip = |at: usize, found| same(config.sip.listen[at], found);
        let udp_same = listeners
            .udp
            .iter()
            .enumerate()
            .all(|(at, it)| sip(at, it.local_addr()));
        let tcp_same = listeners
            .tcp
            .iter()
            .enumerate()
            .all(|(at, it)| sip(at, it.local_addr()));
        if !udp_same || !tcp_same {
            return Err("sip.listen is not as in the running server".to_owned());
        }
        if !same(config.http.listen, listeners.http.local_addr()) {
            return Err("http.listen is not as in the running server".to_owned());
        }
        Ok(listeners)
    }
}

fn bind<T>(key: &'static str, address: SocketAddr, bound: io::Result<T>) -> Result<T, StartError> {
    bound.map_err(|source| StartError::Bind { key, address, source })
}
