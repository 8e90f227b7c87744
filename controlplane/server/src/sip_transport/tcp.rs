//! SIP over TCP: sockets, and nothing that knows what a message is. What a connection may cost, the endpoint says; here are only
//! the bounds that need a socket: a peer that does not read, and one that does not answer a connection.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use nix::sys::socket::{self, AddressFamily, Backlog, SockFlag, SockType, SockaddrStorage, setsockopt, sockopt};
use sip::endpoint::{FlowId, Stream};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::timeout;

/// Read at one go.
const READ: usize = 16 * 1024;
/// Events that may wait for the loop: readers wait when it is full, and so do their peers.
const EVENTS: usize = 256;
/// Connections that wait to be accepted.
const BACKLOG: i32 = 1024;
/// How long a connection that we close still listens: closed at once it would take our last answer with it.
const LINGER: Duration = Duration::from_secs(1);
/// Connections that we have closed and that still write or listen, at the most; one more is cut off at once. The endpoint counts them no
/// more, and whoever opens connections to have them closed would take all our descriptors.
const CLOSING: usize = 256;
/// How long nothing is accepted after the system had no descriptor for it.
const RELIEF: Duration = Duration::from_millis(100);

/// Bounds that need a socket.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    /// How long a peer may take to answer a connection of ours.
    pub(crate) connect: Duration,
    /// How long a peer may read nothing while we have something for it.
    pub(crate) stall: Duration,
    /// Bytes that may wait for a peer to read them.
    pub(crate) queue: usize,
}

/// What came of the connections.
#[derive(Debug)]
pub(crate) enum Event {
    /// A peer opened one.
    Accepted(TcpStream, SocketAddr),
    /// One of ours is there.
    Connected(FlowId),
    /// Something came.
    Bytes(FlowId, Bytes),
    /// One is gone.
    Closed(FlowId),
}

/// All connections and their listeners.
#[derive(Debug)]
pub(crate) struct Tcp {
    bounds: Bounds,
    /// Where we listen: connections of ours come from the same address.
    locals: Vec<SocketAddr>,
    sender: mpsc::Sender<Event>,
    events: mpsc::Receiver<Event>,
    connections: HashMap<FlowId, Connection>,
    /// Each task of a connection has one.
    tasks: Arc<()>,
    listeners: Vec<JoinHandle<()>>,
}

#[derive(Debug)]
struct Connection {
    outgoing: mpsc::UnboundedSender<Bytes>,
    /// Bytes in it.
    queued: Arc<AtomicUsize>,
    task: JoinHandle<()>,
}

impl Drop for Tcp {
    fn drop(&mut self) {
        self.listeners.iter().for_each(JoinHandle::abort);
        self.connections.values().for_each(|it| it.task.abort());
    }
}

impl Tcp {
    pub(crate) fn new(bounds: Bounds) -> Tcp {
        let (sender, events) = mpsc::channel(EVENTS);
        Tcp {
            bounds,
            locals: Vec::new(),
            sender,
            events,
            connections: HashMap::new(),
            tasks: Arc::default(),
            listeners: Vec::new(),
        }
    }

    /// Takes connections by a listening socket: [`bind`].
    ///
    /// # Errors
    /// Where it cannot be watched.
    pub(crate) fn listen(&mut self, listener: std::net::TcpListener) -> io::Result<()> {
        let local = listener.local_addr()?;
        let listener = TcpListener::from_std(listener)?;
        if !self.locals.contains(&local) {
            self.locals.push(local);
        }
        self.listeners.push(tokio::spawn(accept(listener, self.sender.clone())));
        Ok(())
    }

    /// No new connections from others; those that are there go on.
    pub(crate) fn stop_listening(&mut self) {
        self.listeners.drain(..).for_each(|listener| listener.abort());
    }

    /// The next event.
    pub(crate) async fn next(&mut self) -> Event {
        match self.events.recv().await {
            Some(event) => event,
            // We hold a sender ourselves.
            None => std::future::pending().await,
        }
    }

    /// One more, without waiting.
    pub(crate) fn try_next(&mut self) -> Option<Event> {
        self.events.try_recv().ok()
    }

    /// Events that wait.
    pub(crate) fn waiting(&self) -> usize {
        self.events.len()
    }

    /// Takes a connection that was accepted.
    pub(crate) fn take(&mut self, flow: FlowId, stream: TcpStream) {
        self.spawn(flow, async move { Ok(stream) });
    }

    /// Forgets a connection that is gone; what it still has to write is written, if it can be.
    pub(crate) fn forget(&mut self, flow: FlowId) {
        if let Some(gone) = self.connections.remove(&flow)
            && self.closing() > CLOSING
        {
            gone.task.abort();
        }
    }

    /// Connections that are forgotten and not gone yet.
    fn closing(&self) -> usize {
        (Arc::strong_count(&self.tasks) - 1).saturating_sub(self.connections.len())
    }

    /// Does what the endpoint wants; `Err`: the connection is gone by that.
    pub(crate) fn handle(&mut self, stream: Stream) -> Result<(), FlowId> {
        match stream {
            Stream::Connect { flow, to } => {
                let local = self.locals.iter().find(|local| local.is_ipv4() == to.is_ipv4());
                let from = local.map(|local| local.ip()).filter(|ip| !ip.is_unspecified());
                let (connect, sender) = (self.bounds.connect, self.sender.clone());
                self.spawn(flow, async move {
                    let stream = timeout(connect, open(from, to)).await??;
                    let _ = sender.send(Event::Connected(flow)).await;
                    Ok(stream)
                });
            }
            Stream::Send { flow, bytes } => {
                let Some(connection) = self.connections.get(&flow) else {
                    return Err(flow);
                };
                let queued = connection.queued.fetch_add(bytes.len(), Ordering::Relaxed) + bytes.len();
                if queued > self.bounds.queue || connection.outgoing.send(bytes).is_err() {
                    tracing::debug!(?flow, queued, "SIP peer does not read");
                    connection.task.abort();
                    self.connections.remove(&flow);
                    return Err(flow);
                }
            }
            Stream::Close { flow } => self.forget(flow),
        }
        Ok(())
    }

    fn spawn(&mut self, flow: FlowId, stream: impl Future<Output = io::Result<TcpStream>> + Send + 'static) {
        let (outgoing, messages) = mpsc::unbounded_channel();
        let queued = Arc::<AtomicUsize>::default();
        let task = tokio::spawn({
            let (sender, queued, stall) = (self.sender.clone(), Arc::clone(&queued), self.bounds.stall);
            let task = Arc::clone(&self.tasks);
            async move {
                let _task = task;
                match stream.await {
                    Ok(stream) => serve(flow, stream, messages, &queued, stall, &sender).await,
                    Err(error) => {
                        tracing::debug!(?flow, %error, "SIP connection not opened");
                        let _ = sender.send(Event::Closed(flow)).await;
                    }
                }
            }
        });
        let connection = Connection { outgoing, queued, task };
        self.connections.insert(flow, connection);
    }
}

/// A listening socket.
///
/// # Errors
/// Where the address is taken or is not ours.
pub(crate) fn bind(address: SocketAddr) -> io::Result<std::net::TcpListener> {
    let (family, name) = match address {
        SocketAddr::V4(_) => (AddressFamily::Inet, SockaddrStorage::from(address)),
        SocketAddr::V6(_) => (AddressFamily::Inet6, SockaddrStorage::from(address)),
    };
    let flags = SockFlag::SOCK_NONBLOCK | SockFlag::SOCK_CLOEXEC;
    let socket = socket::socket(family, SockType::Stream, flags, None)?;
    if address.is_ipv6() {
        // IPv4 has a socket of its own.
        setsockopt(&socket, sockopt::Ipv6V6Only, &true)?;
    }
    setsockopt(&socket, sockopt::ReuseAddr, &true)?;
    socket::bind(socket.as_raw_fd(), &name)?;
    socket::listen(&socket, Backlog::new(BACKLOG)?)?;
    Ok(socket.into())
}

fn socket(address: SocketAddr) -> io::Result<TcpSocket> {
    if address.is_ipv4() {
        return TcpSocket::new_v4();
    }
    let socket = TcpSocket::new_v6()?;
    // IPv4 has a socket of its own.
    setsockopt(&socket, sockopt::Ipv6V6Only, &true)?;
    Ok(socket)
}

/// Accepts for ever: no error of one connection is the end of the others.
async fn accept(listener: TcpListener, events: mpsc::Sender<Event>) {
    // Said once until one is accepted again.
    let mut said = false;
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => {
                said = false;
                if events.send(Event::Accepted(stream, peer)).await.is_err() {
                    return;
                }
            }
            Err(error) => {
                if !std::mem::replace(&mut said, true) {
                    tracing::warn!(%error, "SIP connections cannot be accepted");
                }
                tokio::time::sleep(RELIEF).await;
            }
        }
    }
}

async fn open(from: Option<IpAddr>, to: SocketAddr) -> io::Result<TcpStream> {
    let socket = socket(to)?;
    if let Some(from) = from {
        socket.bind(SocketAddr::new(from, 0))?;
    }
    other_end(socket.connect(to).await?)
}

/// Where nobody listens on a port of this host from which the system takes those of outgoing connections, it may take just that one, and a
/// connection to itself is open: every request would come back.
fn other_end(stream: TcpStream) -> io::Result<TcpStream> {
    match stream.local_addr()? == stream.peer_addr()? {
        true => Err(io::ErrorKind::ConnectionRefused.into()),
        false => Ok(stream),
    }
}

/// One connection, until it is gone or its [`Connection`] is dropped and everything is written.
async fn serve(
    flow: FlowId,
    stream: TcpStream,
    messages: mpsc::UnboundedReceiver<Bytes>,
    queued: &AtomicUsize,
    stall: Duration,
    events: &mpsc::Sender<Event>,
) {
    // A message is written whole: there is nothing to wait for. A peer that has vanished is found by the kernel's probes.
    let _ = stream.set_nodelay(true);
    let _ = setsockopt(&stream, sockopt::KeepAlive, &true);
    let (incoming, outgoing) = stream.into_split();
    let mut reading = std::pin::pin!(read(flow, incoming, events));
    let mut writing = std::pin::pin!(write(outgoing, messages, queued, stall));
    tokio::select! {
        () = &mut reading => {
            let _ = events.send(Event::Closed(flow)).await;
            // What was said before it closed may still be read: RFC 793 lets one side close alone.
            let _ = writing.await;
        }
        written = &mut writing => match written {
            // We close it.
            Ok(()) => drop(timeout(LINGER, reading).await),
            Err(error) => {
                tracing::debug!(?flow, %error, "SIP connection broken");
                let _ = events.send(Event::Closed(flow)).await;
            }
        }
    }
}

async fn read(flow: FlowId, mut stream: OwnedReadHalf, events: &mpsc::Sender<Event>) {
    let mut buffer = vec![0; READ];
    while let Ok(len @ 1..) = stream.read(&mut buffer).await {
        let bytes = Bytes::copy_from_slice(&buffer[..len]);
        if events.send(Event::Bytes(flow, bytes)).await.is_err() {
            return;
        }
    }
}

async fn write(
    mut stream: OwnedWriteHalf,
    mut messages: mpsc::UnboundedReceiver<Bytes>,
    queued: &AtomicUsize,
    stall: Duration,
) -> io::Result<()> {
    while let Some(bytes) = messages.recv().await {
        timeout(stall, stream.write_all(&bytes)).await??;
        queued.fetch_sub(bytes.len(), Ordering::Relaxed);
    }
    stream.shutdown().await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_connection_to_itself_is_refused() {
        let socket = TcpSocket::new_v4().expect("a socket");
        socket.bind("127.0.0.1:0".parse().unwrap()).expect("bound");
        let itself = socket.local_addr().expect("bound");
        let stream = socket.connect(itself).await.expect("connected with itself");
        let refused = other_end(stream).map_err(|error| error.kind());
        assert_eq!(refused.err(), Some(io::ErrorKind::ConnectionRefused));
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a socket");
        let stream = TcpStream::connect(listener.local_addr().expect("bound")).await;
        assert!(other_end(stream.expect("connected")).is_ok());
    }

    #[tokio::test]
    async fn connections_that_we_close_do_not_pile_up() {
        let mut tcp = Tcp::new(Bounds {
            connect: Duration::from_secs(2),
            stall: Duration::from_secs(10),
            queue: 1 << 20,
        });
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a socket");
        let address = listener.local_addr().expect("bound");
        let mut peers = Vec::new();
        // They neither read nor close.
        for flow in 0..CLOSING as u64 + 50 {
            peers.push(TcpStream::connect(address).await.expect("connected"));
            let (stream, _) = listener.accept().await.expect("accepted");
            tcp.take(FlowId(flow), stream);
            let bytes = Bytes::from_static(b"SIP/2.0 400 Bad Request\r\n\r\n");
            tcp.handle(Stream::Send {
                flow: FlowId(flow),
                bytes,
            })
            .expect("there");
            tcp.handle(Stream::Close { flow: FlowId(flow) }).expect("there");
            // Whoever was cut off is gone as soon as it had its turn.
            tokio::task::yield_now().await;
            tokio::task::yield_now().await;
            assert!(tcp.closing() <= CLOSING + 1, "{} of {flow}", tcp.closing());
        }
        // The others have their answer.
        let mut first = [0; 8];
        peers[0].read_exact(&mut first).await.expect("an answer");
        assert_eq!(&first, b"SIP/2.0 ");
    }
}
