//! A PBX at one address, which passes what comes for each user to its phone, and back.

use std::net::SocketAddr;

use tokio::net::UdpSocket;

use crate::way::FOUR;

/// Of these users and their phones, until the test ends.
pub(crate) async fn pbx(phones: Vec<(&'static str, SocketAddr)>) -> SocketAddr {
    let socket = UdpSocket::bind((FOUR, 0)).await.expect("a socket");
    let at = socket.local_addr().expect("bound");
    tokio::spawn(async move {
        let (mut packet, mut trunk) = ([0; 65_536], None);
        loop {
            let (len, from) = socket.recv_from(&mut packet).await.expect("a datagram");
            let text = String::from_utf8_lossy(&packet[..len]);
            let line = text.lines().next().unwrap_or_default();
            let user = line.split_once(" sip:").and_then(|(_, rest)| rest.split_once('@'));
            let phone = user.and_then(|(user, _)| phones.iter().find(|(name, _)| *name == user));
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
    at
}
