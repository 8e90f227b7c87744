//! A running server.

use std::net::SocketAddr;

use crate::config::Config;

/// A running server: engine, node, SIP, HTTP and webhooks. Stop it with [`Server::stop`].
#[derive(Debug)]
pub struct Server {
    sip: SocketAddr,
    http: SocketAddr,
}

/// Why a server cannot start: what to do about it is in the text.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Something could not be bound or opened.
    #[error("{0}")]
    Resource(String),
}

impl Server {
    /// Starts everything that the configuration names, inside the current tokio runtime. Port 0 in `sip.listen` and
    /// `http.listen` takes a free one.
    ///
    /// # Errors
    /// [`StartError`] where a socket, a file or the data plane is not to be had.
    pub async fn start(_config: Config) -> Result<Server, StartError> {
        Err(StartError::Resource("not built yet".into()))
    }

    /// Where SIP is received.
    pub fn sip(&self) -> SocketAddr {
        self.sip
    }

    /// Where HTTP is served.
    pub fn http(&self) -> SocketAddr {
        self.http
    }

    /// Refuses new calls, waits at most `node.drain_s` for the running ones, hangs up the rest, and ends.
    pub async fn stop(self) {}
}
