//! The ways that signalling goes: datagrams or connections, over IPv4 or IPv6.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use axum::body::Bytes;
use sip::endpoint::{FlowId, Stream, Transmit, Transport};
use sip::sdp::Encoding;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::sync::mpsc::{self, UnboundedReceiver, UnboundedSender};
use tokio::task::JoinHandle;

pub(crate) const FOUR: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
pub(crate) const SIX: IpAddr = IpAddr::V6(Ipv6Addr::LOCALHOST);

/// How a party signals. Its audio is at the same address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Way {
    pub(crate) ip: IpAddr,
    pub(crate) transport: Transport,
    /// In which codec it speaks, the only one that it has.
    pub(crate) speaks: Encoding,
    /// In µ-law it takes for a voice what sounds like it; else only that voice's very codes.
    pub(crate) by_ear: bool,
}

impl Way {
    pub(crate) fn udp(ip: IpAddr) -> Way {
        Way {
            ip,
            transport: Transport::Udp,
            speaks: Encoding::Pcmu,
            by_ear: false,
        }
    }

    pub(crate) fn tcp(ip: IpAddr) -> Way {
        Way {
            transport: Transport::Tcp,
            ..Way::udp(ip)
        }
    }

    /// At the end of a URI.
    pub(crate) fn parameter(self) -> &'static str {
        match self.transport {
            Transport::Udp => "",
            Transport::Tcp => ";transport=tcp",
        }
    }
}

/// Whether there is a loopback of IPv6. Where not, the test has to say what it does not show.
#[expect(
    clippy::print_stderr,
    reason = "whoever reads the test's output must see that it was skipped"
)]
pub(crate) fn has_ipv6() -> bool {
    let has = std::net::UdpSocket::bind((Ipv6Addr::LOCALHOST, 0)).is_ok();
    if !has {
        eprintln!("skipped: this machine has no IPv6 loopback");
    }
    has
}

/// What comes.
pub(crate) enum Came {
    Datagram(SocketAddr, Bytes),
    Accepted(TcpStream, SocketAddr),
    Connected(FlowId),
    Bytes(FlowId, Bytes),
    Closed(FlowId),
}

/// The sockets of one party. Whoever signals over TCP has no socket for datagrams.
pub(crate) enum Wire {
    Udp(UdpSocket, Vec<u8>),
    Tcp(Connections),
}

impl Wire {
    pub(crate) async fn open(way: Way) -> Wire {
        match way.transport {
            Transport::Udp => {
                let socket = UdpSocket::bind((way.ip, 0)).await.expect("a socket");
                Wire::Udp(socket, vec![0; 65_535])
            }
            Transport::Tcp => {
                let listener = TcpListener::bind((way.ip, 0)).await.expect("a port");
                let (sender, events) = mpsc::unbounded_channel();
                Wire::Tcp(Connections {
                    listener,
                    sender,
                    events,
                    open: HashMap::new(),
                })
            }
        }
    }

    pub(crate) fn at(&self) -> SocketAddr {
        let at = match self {
            Wire::Udp(socket, _) => socket.local_addr(),
            Wire::Tcp(connections) => connections.listener.local_addr(),
        };
        at.expect("bound")
    }

    /// Nothing is lost where this is given up for something else.
    pub(crate) async fn next(&mut self) -> Came {
        match self {
            Wire::Udp(socket, buffer) => loop {
                if let Ok((len, from)) = socket.recv_from(buffer).await {
                    return Came::Datagram(from, Bytes::copy_from_slice(&buffer[..len]));
                }
            },
            Wire::Tcp(connections) => connections.next().await,
        }
    }

    pub(crate) async fn send(&self, transmit: Transmit) {
        let Wire::Udp(socket, _) = self else {
            panic!("a datagram of who signals over TCP: {transmit:?}")
        };
        socket.send_to(&transmit.bytes, transmit.to).await.expect("sent");
    }

    pub(crate) fn connections(&mut self) -> &mut Connections {
        match self {
            Wire::Tcp(connections) => connections,
            Wire::Udp(..) => panic!("a connection of who signals over UDP"),
        }
    }
}

/// The connections of one party.
pub(crate) struct Connections {
    listener: TcpListener,
    sender: UnboundedSender<Came>,
    events: UnboundedReceiver<Came>,
    open: HashMap<FlowId, Connection>,
}

struct Connection {
    connected: bool,
    outgoing: UnboundedSender<Bytes>,
    task: JoinHandle<()>,
}

impl Connections {
    async fn next(&mut self) -> Came {
        tokio::select! {
            accepted = self.listener.accept() => {
                let (stream, peer) = accepted.expect("a connection");
                Came::Accepted(stream, peer)
            }
            event = self.events.recv() => {
                let event = event.expect("we hold a sender ourselves");
                if let Came::Connected(flow) = event && let Some(connection) = self.open.get_mut(&flow) {
                    connection.connected = true;
                }
                event
            }
        }
    }

    pub(crate) fn take(&mut self, flow: FlowId, stream: TcpStream) {
        self.carry(flow, true, async { Ok(stream) });
    }

    pub(crate) fn handle(&mut self, stream: Stream) {
        match stream {
            Stream::Connect { flow, to } => self.carry(flow, false, TcpStream::connect(to)),
            Stream::Send { flow, bytes } => {
                // Where the task has ended, `Closed` is on its way.
                let _ = self.open[&flow].outgoing.send(bytes);
            }
            Stream::Close { flow } => drop(self.open.remove(&flow)),
        }
    }

    pub(crate) fn forget(&mut self, flow: FlowId) {
        self.open.remove(&flow);
    }

    /// Drops every connection that is there, with whatever was on its way.
    pub(crate) async fn cut(&mut self) -> Vec<FlowId> {
        let cut: Vec<_> = self.open.extract_if(|_, connection| connection.connected).collect();
        let mut flows = Vec::new();
        for (flow, connection) in cut {
            connection.task.abort();
            // The socket is closed once the task is gone.
            let _ = connection.task.await;
            flows.push(flow);
        }
        flows
    }

    fn carry(
        &mut self,
        flow: FlowId,
        connected: bool,
        stream: impl Future<Output = io::Result<TcpStream>> + Send + 'static,
    ) {
        let (outgoing, mut messages) = mpsc::unbounded_channel::<Bytes>();
        let events = self.sender.clone();
        let tell = move |came| {
            // A test that has ended does not listen.
            let _ = events.send(came);
        };
        let task = tokio::spawn(async move {
            if let Ok(stream) = stream.await {
                if !connected {
                    tell(Came::Connected(flow));
                }
                let (mut incoming, mut outgoing) = stream.into_split();
                let reading = async {
                    let mut buffer = [0; 4096];
                    while let Ok(len @ 1..) = incoming.read(&mut buffer).await {
                        tell(Came::Bytes(flow, Bytes::copy_from_slice(&buffer[..len])));
                    }
                };
                let writing = async {
                    while let Some(bytes) = messages.recv().await {
                        if outgoing.write_all(&bytes).await.is_err() {
                            return;
                        }
                    }
                };
                tokio::select! {
                    () = reading => {}
                    () = writing => {}
                }
            }
            tell(Came::Closed(flow));
        });
        let connection = Connection {
            connected,
            outgoing,
            task,
        };
        self.open.insert(flow, connection);
    }
}
