//! Connections of the API: a bounded number, each with a bounded time for a request's header.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service as _, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use hyper_util::service::TowerToHyperService;
use nix::sys::socket::{setsockopt, sockopt};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, watch};
use tokio::time::timeout;

use super::guard::Peer;
use super::tls::Certificate;

/// Connections at one time; further ones wait in the kernel's backlog.
const CONNECTIONS: usize = 1024;

/// The longest header of a request, bytes; also what is buffered of a body. A longer one gets 431, or 414 where its path is that long.
const HEADER: usize = 16 << 10;

/// How long to leave an `accept` alone that failed: most likely there is no descriptor left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// How connections are served.
#[derive(Clone, Debug)]
pub(super) struct Manner {
    /// A request's header must be there within, as must a TLS handshake; an idle connection is closed after it, as is one whose
    /// client reads nothing for so long.
    pub(super) header: Duration,
    /// `None`: in plain text.
    pub(super) certificate: Option<Arc<Certificate>>,
}

/// Serves until `closing` says otherwise; then requests under way are finished.
pub(super) async fn serve(listener: TcpListener, router: Router, closing: watch::Receiver<bool>, manner: Manner) {
    serve_with(listener, router, closing, CONNECTIONS, manner).await;
}

async fn serve_with(
    listener: TcpListener,
    router: Router,
    mut closing: watch::Receiver<bool>,
    connections: usize,
    manner: Manner,
) {
    let places = Arc::new(Semaphore::new(connections));
    let graceful = GracefulShutdown::new();
    loop {
        let accepted = async {
            let place = Arc::clone(&places).acquire_owned().await.map_err(io::Error::other)?;
            listener.accept().await.map(|(stream, peer)| (place, stream, peer))
        };
        let (place, stream, peer) = tokio::select! {
            () = closed(&mut closing) => break,
            accepted = accepted => match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    tracing::debug!(%error, "HTTP connection not accepted");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                    continue;
                }
            },
        };
        // An answer in two pieces would wait for the client's delayed acknowledgement of the first: 40 ms.
        let _ = stream.set_nodelay(true);
        // Who does not read its answer is no better than who does not finish its request. The kernel sees it: tcp(7), "or
        // buffered data may remain untransmitted (due to zero window size)".
        let reads_within = u32::try_from(manner.header.as_millis()).unwrap_or(u32::MAX);
        if let Err(error) = setsockopt(&stream, sockopt::TcpUserTimeout, &reads_within) {
            tracing::debug!(%error, "HTTP connection gone at once");
            continue;
        }
        let (router, manner, watcher) = (router.clone(), manner.clone(), graceful.watcher());
        tokio::spawn(async move {
            let header = manner.header;
            match manner.certificate {
                None => converse(stream, peer, router, header, watcher).await,
                Some(certificate) => match timeout(header, certificate.acceptor().accept(stream)).await {
                    Ok(Ok(stream)) => converse(stream, peer, router, header, watcher).await,
                    Ok(Err(error)) => tracing::debug!(%error, "TLS handshake failed"),
                    Err(_) => tracing::debug!("TLS handshake not finished in time"),
                },
            }
            drop(place);
        });
    }
    drop(listener);
    graceful.shutdown().await;
}

/// All requests of one connection.
async fn converse(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    peer: SocketAddr,
    router: Router,
    header: Duration,
    watcher: Watcher,
) {
    let router = TowerToHyperService::new(router);
    let service = service_fn(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(Peer(peer.ip()));
        router.call(request)
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(header)
        .max_buf_size(HEADER)
        .serve_connection(TokioIo::new(stream), service);
    if let Err(error) = watcher.watch(connection).await {
        tracing::debug!(%error, "HTTP connection ended");
    }
}

async fn closed(closing: &mut watch::Receiver<bool>) {
    // An error means that the server itself is gone.
    let _ = closing.wait_for(|closing| *closing).await;
}

#[cfg(test)]
mod tests {
    use axum::routing::get;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpStream;

    use super::*;

    const HASTY: Manner = Manner {
        header: Duration::from_millis(200),
        certificate: None,
    };

    /// A wait that is not over by then fails the test; nothing depends on how long it takes.
    const PATIENCE: Duration = Duration::from_secs(30);

    #[tokio::test]
    async fn who_is_slow_with_a_header_is_closed_and_makes_room() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("bound");
        let (close, closing) = watch::channel(false);
        let router = Router::new().route("/", get(async || "here"));
        let served = tokio::spawn(serve_with(listener, router, closing, 1, HASTY));

        let mut slow = TcpStream::connect(address).await.expect("connected");
        slow.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n").await.expect("sent");
        // The only place is taken: this one is answered when the slow one has lost it.
        let mut next = TcpStream::connect(address).await.expect("connected");
        next.write_all(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
            .await
            .expect("sent");
        let mut answer = String::new();
        next.read_to_string(&mut answer).await.expect("an answer");
        assert!(
            answer.starts_with("HTTP/1.1 200 OK") && answer.ends_with("here"),
            "{answer}"
        );
        let mut rest = Vec::new();
        slow.read_to_end(&mut rest).await.expect("closed");
        assert!(!rest.starts_with(b"HTTP/1.1 200"), "{rest:?}");

        close.send(true).expect("served");
        served.await.expect("ended");
    }

    #[tokio::test]
    async fn who_does_not_read_its_answer_is_closed_and_makes_room() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("bound");
        let (close, closing) = watch::channel(false);
        // More than both ends of a connection hold.
        let router = Router::new()
            .route("/", get(async || "here"))
            .route("/much", get(async || vec![0_u8; 64 << 20]));
        let served = tokio::spawn(serve_with(listener, router, closing, 1, HASTY));

        let mut deaf = TcpStream::connect(address).await.expect("connected");
        deaf.write_all(b"GET /much HTTP/1.1\r\nHost: a\r\n\r\n")
            .await
            .expect("sent");
        let mut next = TcpStream::connect(address).await.expect("connected");
        next.write_all(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
            .await
            .expect("sent");
        let mut answer = String::new();
        let answered = timeout(PATIENCE, next.read_to_string(&mut answer)).await;
        answered.expect("the deaf one has lost its place").expect("an answer");
        assert!(answer.ends_with("here"), "{answer}");

        close.send(true).expect("served");
        served.await.expect("ended");
    }
}
