//! A flood of strangers.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use tokio::net::UdpSocket;
use tokio::time::timeout;

use crate::PATIENCE;
use crate::party::{Manner, Signal, Voice, Wish};
use crate::world::World;

/// As many datagrams as the socket takes, from addresses of no trunk: messages of our own writing, each with a few bytes changed.
fn strangers(to: SocketAddr, count: usize) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fuzz/corpus/sip");
    let mut messages: Vec<_> = std::fs::read_dir(folder)
        .expect("a corpus")
        .map(|entry| std::fs::read(entry.expect("an entry").path()).expect("a message"))
        .collect();
    messages.sort();
    let sockets: Vec<_> = (2..10)
        .map(|host| std::net::UdpSocket::bind(SocketAddr::from(([127, 0, 0, host], 0))).expect("a socket"))
        .collect();
    let mut random = 1u32;
    for number in 0..count {
        let mut message = messages[number % messages.len()].clone();
        for _ in 0..number % 4 {
            random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let at = (random >> 8) as usize % message.len();
            message[at] = (random >> 24) as u8;
        }
        // A full buffer is what a flood is about.
        let _ = sockets[number % sockets.len()].send_to(&message, to);
    }
}

/// Asks, and asks again as RFC 3261 §17.1.2.2 says, until the answer comes.
async fn options(socket: &UdpSocket, to: SocketAddr, number: usize) {
    let at = socket.local_addr().expect("bound");
    let ask = format!(
        "OPTIONS sip:baton@{to} SIP/2.0\r\nVia: SIP/2.0/UDP {at};branch=z9hG4bKping{number};rport\r\nMax-Forwards: 70\r\n\
         From: <sip:ping@{at}>;tag=p\r\nTo: <sip:baton@{to}>\r\nCall-ID: ping{number}\r\nCSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n"
    );
    let id = format!("\r\nCall-ID: ping{number}\r\n");
    let mut buffer = vec![0; 65_535];
    let answered = async {
        loop {
            socket.send_to(ask.as_bytes(), to).await.expect("sent");
            if let Ok(Ok((len, _))) = timeout(Duration::from_millis(500), socket.recv_from(&mut buffer)).await {
                let text = String::from_utf8_lossy(&buffer[..len]);
                if text.contains(&id) {
                    assert!(text.starts_with("SIP/2.0 200 "), "{text}");
                    return;
                }
            }
        }
    };
    timeout(PATIENCE, answered).await.expect("an answer");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_strangers_disturbs_neither_a_call_nor_who_asks() {
    let mut world = World::start(Manner::IsBusy).await;
    let to = world.sip;
    let flood = tokio::task::spawn_blocking(move || strangers(to, 20_000));
    let socket = UdpSocket::bind("127.0.0.20:0").await.expect("a socket");
    let mut asked = 0;
    while asked < 20 || !flood.is_finished() {
        options(&socket, to, asked).await;
        asked += 1;
    }
    flood.await.expect("sent");
    world.caller.hears(Voice::Ai).await;
    world.ai.hears(Voice::Caller).await;
    let alive = world.server().alive().await;
    assert_eq!((alive.calls, alive.sip.dialogs), (1, 2), "strangers leave nothing");

    world.caller.wish(Wish::HangUp);
    world.caller.until(&Signal::Over).await;
    world.ai.until(&Signal::Bye).await;
    world.nothing_is_left().await;
}
