//! Sends captured messages to a collector by UDP, from a task of its own: a message is never held up by it.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::net::UdpSocket;
use tokio::sync::mpsc;

use super::hep::{Agent, Captured, encode};

/// Packets that may wait for the task.
const WAITING: usize = 4096;

/// How long an address of the collector's name is good, and how soon one is looked for again where there is none.
const RESOLVE: Duration = Duration::from_secs(60);

/// Packets, by what became of them.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) sent: AtomicU64,
    pub(crate) dropped: AtomicU64,
}

impl Counters {
    pub(crate) fn read(&self) -> [u64; 2] {
        [&self.sent, &self.dropped].map(|count| count.load(Ordering::Relaxed))
    }
}

/// The collector, from the side of who captures. The task ends when this is dropped.
#[derive(Debug)]
pub(crate) struct Collector {
    agent: Agent,
    packets: mpsc::Sender<Vec<u8>>,
    pub(crate) counters: Arc<Counters>,
}

impl Collector {
    /// `address`: `host:port`.
    pub(crate) fn start(address: String, agent: Agent) -> Collector {
        let (packets, waiting) = mpsc::channel(WAITING);
        let counters = Arc::<Counters>::default();
        tokio::spawn(send_all(address, waiting, Arc::clone(&counters)));
        Collector {
            agent,
            packets,
            counters,
        }
    }

    /// Never waits: what does not fit is dropped, and counted.
    pub(crate) fn take(&self, captured: &Captured<'_>) {
        let taken = encode(&self.agent, captured).is_some_and(|packet| self.packets.try_send(packet).is_ok());
        if !taken {
            self.counters.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }
}

async fn send_all(address: String, mut packets: mpsc::Receiver<Vec<u8>>, counters: Arc<Counters>) {
    // Said once until a packet goes again.
    let mut said = false;
    while let Some(socket) = connect(&address, &mut packets, &counters, &mut said).await {
        let good_until = tokio::time::Instant::now() + RESOLVE;
        loop {
            let packet = tokio::select! {
                packet = packets.recv() => packet,
                () = tokio::time::sleep_until(good_until) => break,
            };
            let Some(packet) = packet else { return };
            match socket.send(&packet).await {
                Ok(_) => {
                    said = false;
                    counters.sent.fetch_add(1, Ordering::Relaxed);
                }
                // Nobody listens there, or the packet is too long for the way: nothing to wait for.
                Err(error) => {
                    counters.dropped.fetch_add(1, Ordering::Relaxed);
                    say(&mut said, &address, &error);
                }
            }
        }
    }
}

/// A socket for the collector's address as it is now. While there is none, what comes is dropped. `None`: nobody captures any more.
async fn connect(
    address: &str,
    packets: &mut mpsc::Receiver<Vec<u8>>,
    counters: &Counters,
    said: &mut bool,
) -> Option<UdpSocket> {
    loop {
        let opened = async {
            let mut found = tokio::net::lookup_host(address).await?;
            let to = found
                .next()
                .ok_or_else(|| std::io::Error::other("the name has no address"))?;
            let any: SocketAddr = match to {
                SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
                SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
            };
            let socket = UdpSocket::bind(any).await?;
            socket.connect(to).await?;
            Ok(socket)
        };
        match opened.await {
            Ok(socket) => return Some(socket),
            Err(error) => say(said, address, &error),
        }
        let again = tokio::time::sleep(RESOLVE);
        tokio::pin!(again);
        loop {
            tokio::select! {
                packet = packets.recv() => {
                    packet?;
                    counters.dropped.fetch_add(1, Ordering::Relaxed);
                }
                () = &mut again => break,
            }
        }
    }
}

fn say(said: &mut bool, collector: &str, error: &std::io::Error) {
    if !std::mem::replace(said, true) {
        tracing::warn!(collector, %error, "messages do not reach the HEP collector; they are dropped and counted until they do");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tap::Transport;

    #[tokio::test]
    async fn what_a_collector_does_not_take_is_dropped_and_counted() {
        let gone = UdpSocket::bind("127.0.0.1:0").await.expect("a socket");
        let address = gone.local_addr().expect("bound").to_string();
        drop(gone);
        let agent = Agent {
            id: 1,
            node: "test".to_owned(),
            password: None,
        };
        let collector = Collector::start(address, agent);
        let end = "127.0.0.1:5060".parse().expect("an address");
        let captured = Captured {
            from: end,
            to: end,
            transport: Transport::Udp,
            at: Duration::ZERO,
            correlation: "call_1",
            message: b"BYE",
        };
        // The kernel says so of the packet before.
        while collector.counters.read()[1] == 0 {
            collector.take(&captured);
            tokio::task::yield_now().await;
        }
        let long = vec![b'x'; 65_535];
        let [_, before] = collector.counters.read();
        collector.take(&Captured {
            message: &long,
            ..captured
        });
        assert!(collector.counters.read()[1] > before);
    }
}
