//! A peer that sends without end to one port takes nothing from the other calls.

#[expect(dead_code, reason = "this test needs one family only")]
mod common;

use std::net::UdpSocket;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Instant;

use baton_engine::{Backend, Engine, EngineConfig, Snapshot, WorkerConfig};
use common::{HEADER, LOCALHOST, PATIENCE, Peer, free_ports, hears, leg, set};
use media::command::Codec;

/// The worker's figures, once they say so.
fn published(engine: &Engine, done: impl Fn(&Snapshot) -> bool) -> Snapshot {
    let start = Instant::now();
    loop {
        let stats = engine.stats(0);
        if done(&stats) {
            return stats;
        }
        assert!(start.elapsed() < PATIENCE, "{stats:#?}");
        thread::yield_now();
    }
}

/// Sends well-formed packets as fast as it can until it is told to stop. Returns how many.
fn flood(socket: &UdpSocket, to: u16, stop: &AtomicBool) -> u64 {
    let mut packet = [0; HEADER + 160];
    packet[0] = 0x80;
    packet[11] = 3;
    let mut sent = 0;
    while !stop.load(Ordering::Relaxed) {
        packet[2..4].copy_from_slice(&(sent as u16).to_be_bytes());
        packet[4..8].copy_from_slice(&(sent as u32).wrapping_mul(160).to_be_bytes());
        sent += u64::from(socket.send_to(&packet, (LOCALHOST, to)).is_ok());
    }
    sent
}

fn the_others_are_whole(backend: Backend, buffers: u16) {
    let first = free_ports(8);
    let engine = Engine::start(EngineConfig {
        workers: vec![WorkerConfig {
            core: None,
            address: LOCALHOST,
            first_port: first,
            pairs: 4,
        }],
        sessions_per_worker: 4,
        buffers,
        backend,
        ..EngineConfig::default()
    })
    .expect("it starts");
    let (mut caller, mut ai) = (Peer::new(1, Codec::Pcmu), Peer::new(2, Codec::Pcmu));
    let (rude, other) = (Peer::new(3, Codec::Pcmu), Peer::new(4, Codec::Pcmu));
    let quiet = [leg(1, first, &caller, hears(&[2])), leg(2, first + 2, &ai, hears(&[1]))];
    let loud = [
        leg(1, first + 4, &rude, hears(&[2])),
        leg(2, first + 6, &other, hears(&[1])),
    ];
    engine.send(0, set(1, 1, quiet)).expect("there is room");
    engine.send(0, set(2, 1, loud.clone())).expect("there is room");
    published(&engine, |stats| stats.sessions == 2);

    let stop = AtomicBool::new(false);
    let flooded = thread::scope(|scope| {
        let flooding = scope.spawn(|| flood(&rude.socket, first + 4, &stop));
        published(&engine, |stats| stats.received > 1_000);
        let mut heard = [0; 1500];
        let mut numbers = [None; 2];
        // Whatever comes before it has come for nothing: comfort noise of the time before.
        let mut whole = |peer: &Peer, said: u8, line: usize| {
            let mut tries = 0;
            loop {
                let (len, _) = peer.hear(0, &mut heard);
                let number = u16::from_be_bytes([heard[2], heard[3]]);
                let before = numbers[line].replace(number);
                assert!(
                    before.is_none_or(|before: u16| number == before.wrapping_add(1)),
                    "a hole"
                );
                if heard[HEADER..len] == [said; 160] {
                    return;
                }
                tries += 1;
                assert!(tries < 1_000, "it is not there");
            }
        };
        for said in 0..200 {
            caller.say(first, &[said; 160]);
            whole(&ai, said, 0);
            ai.say(first + 2, &[!said; 160]);
            whole(&caller, !said, 1);
        }
        stop.store(true, Ordering::Relaxed);
        flooding.join().expect("it ends")
    });
    // What came of the flood, and what the kernel dropped: each packet is the one or the other. A command about its session has the
    // worker ask the kernel for those that no packet told of.
    let start = Instant::now();
    let stats = loop {
        // It may still be busy with those before.
        let _ = engine.send(0, set(2, 1, loud.clone()));
        while engine.events().try_recv().is_some() {}
        let stats = engine.stats(0);
        if stats.received + stats.kernel_drops >= flooded + 400 {
            break stats;
        }
        assert!(start.elapsed() < PATIENCE, "{flooded}: {stats:#?}");
        thread::yield_now();
    };
    assert_eq!(stats.received + stats.kernel_drops, flooded + 400, "{stats:#?}");
    assert_eq!(stats.lost, stats.kernel_drops + stats.send_errors);
    assert_eq!(stats.receive_rests > 0, backend == Backend::Uring, "{stats:#?}");
    assert_eq!((stats.receive_errors, stats.completion_overflows), (0, 0));
}

#[test]
fn a_flood_at_one_port_takes_nothing_from_another_call() {
    for backend in [Backend::Uring, Backend::Epoll] {
        // Few buffers, which the flood empties, and as many as a node has.
        for buffers in [16, 4096] {
            the_others_are_whole(backend, buffers);
        }
    }
}
