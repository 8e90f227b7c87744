//! Where users of the API come in: by the listening socket, or by the other version of this server.

use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, UnixStream};
use tokio::sync::{mpsc, watch};

use super::connections::{self, Manner};
use super::routes::router;
use super::{Certificate, Shared, sibling};
use crate::sibling::Side;

/// Where they come in.
#[derive(Debug)]
pub(crate) struct Door {
    pub(crate) listener: std::net::TcpListener,
    /// Connections that the other version has for us.
    pub(crate) from_sibling: mpsc::Receiver<OwnedFd>,
    pub(crate) side: watch::Receiver<Side>,
    pub(crate) closing: watch::Receiver<bool>,
    pub(crate) certificate: Option<Certificate>,
}

impl Door {
    /// Serves until `closing` says otherwise; then requests under way are finished. While a new version has the listening socket,
    /// connections end with their next answer, and who comes again comes to that.
    pub(crate) async fn serve(mut self, shared: Shared) {
        let header = shared.settings().config.request;
        let manner = Manner {
            header,
            certificate: self.certificate.take().map(Arc::new),
        };
        if let Some(certificate) = &manner.certificate {
            tokio::spawn(Arc::clone(certificate).watch(self.closing.clone()));
        }
        let shared = Arc::new(shared);
        let router = router(Arc::clone(&shared));
        let own = sibling::own_only(router.clone(), shared);
        let others = tokio::spawn(serve_others(self.from_sibling, own, header));
        let mut serving = Vec::new();
        loop {
            let (stop, stopped) = watch::channel(false);
            match self.listener.try_clone().and_then(TcpListener::from_std) {
                Ok(listener) => serving.push(tokio::spawn(connections::serve(
                    listener,
                    router.clone(),
                    stopped,
                    manner.clone(),
                ))),
                Err(error) => tracing::error!(%error, "HTTP cannot be served"),
            }
            // An error means that whoever could say more is gone.
            let closes = tokio::select! {
                _ = self.closing.wait_for(|closing| *closing) => true,
                gone = self.side.wait_for(|side| *side == Side::Back) => gone.is_err(),
            };
            stop.send_replace(true);
            if closes {
                break;
            }
            let closes = tokio::select! {
                _ = self.closing.wait_for(|closing| *closing) => true,
                back = self.side.wait_for(|side| *side != Side::Back) => back.is_err(),
            };
            if closes {
                break;
            }
        }
        drop(router);
        for serving in serving {
            let _ = serving.await;
        }
        others.abort();
        let _ = others.await;
    }
}

/// Serves each connection that comes over.
async fn serve_others(mut connections: mpsc::Receiver<OwnedFd>, router: Router, header: Duration) {
    let mut tasks = tokio::task::JoinSet::new();
    while let Some(connection) = connections.recv().await {
        while tasks.try_join_next().is_some() {}
        let stream = std::os::unix::net::UnixStream::from(connection);
        let stream = stream.set_nonblocking(true).and_then(|()| UnixStream::from_std(stream));
        let Ok(stream) = stream else { continue };
        let served = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(header)
            .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router.clone()));
        tasks.spawn(async move {
            if let Err(error) = served.await {
                tracing::debug!(%error, "a connection of the other version ended");
            }
        });
    }
}
