//! A PBX at one address, which passes what comes for each user to its phone, and back.

use std::net::SocketAddr;

use tokio::net::UdpSocket;
use tokio::sync::mpsc::{self, UnboundedReceiver};
use tokio::time::timeout;

use crate::PATIENCE;
use crate::way::FOUR;

/// Until the test ends.
pub(crate) struct Pbx {
    pub(crate) at: SocketAddr,
    /// Whom a CANCEL was for, and its Reason. A repeated one is told again.
    cancels: UnboundedReceiver<(String, String)>,
}

impl Pbx {
    /// Of these users and their phones.
    pub(crate) async fn of(phones: Vec<(&'static str, SocketAddr)>) -> Pbx {
        let socket = UdpSocket::bind((FOUR, 0)).await.expect("a socket");
        let at = socket.local_addr().expect("bound");
        let (tell, cancels) = mpsc::unbounded_channel();
        tokio::spawn(async move {
            let (mut packet, mut trunk) = ([0; 65_536], None);
            loop {
                let (len, from) = socket.recv_from(&mut packet).await.expect("a datagram");
                let text = String::from_utf8_lossy(&packet[..len]);
                let line = text.lines().next().unwrap_or_default();
                let user = line.split_once(" sip:").and_then(|(_, rest)| rest.split_once('@'));
                let phone = user.and_then(|(user, _)| phones.iter().find(|(name, _)| *name == user));
                if let Some((user, _)) = phone.filter(|_| line.starts_with("CANCEL ")) {
                    let reason = text.lines().find_map(|line| line.strip_prefix("Reason: "));
                    // A test that has ended does not listen.
                    let _ = tell.send(((*user).to_owned(), reason.unwrap_or_default().to_owned()));
                }
                let to = match phone {
                    Some((_, phone)) => {
                        trunk = Some(from);
                        Some(*phone)
                    }
                    None => trunk,
                };
                if let Some(to) = to {
                    socket.send_to(&packet[..len], to).await.expect("sent");
                }
            }
        });
        Pbx { at, cancels }
    }

    /// The next CANCEL: for whom, and why.
    pub(crate) async fn cancelled(&mut self) -> (String, String) {
        let next = timeout(PATIENCE, self.cancels.recv()).await;
        next.expect("a CANCEL came").expect("the PBX runs")
    }

    /// Those that came and were not waited for.
    pub(crate) fn cancels(&mut self) -> Vec<(String, String)> {
        std::iter::from_fn(|| self.cancels.try_recv().ok()).collect()
    }
}
