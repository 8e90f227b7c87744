//! Whole engines on loopback.

use std::net::{IpAddr, UdpSocket};
use std::os::fd::{AsFd, AsRawFd};
use std::sync::atomic::Ordering;
use std::time::Instant;

use media::command::{Codec, Event, Generation, SessionId};

use super::*;
use crate::common::{HEADER, LOCALHOST, PATIENCE, Peer, free_ports, hears, leg, set};

/// The ways into the kernel; what a worker promises it promises on each.
const BOTH: [Backend; 2] = [Backend::Uring, Backend::Epoll];

fn config(backend: Backend, workers: &[(u16, u16)]) -> EngineConfig {
    EngineConfig {
        workers: workers
            .iter()
            .map(|&(first_port, pairs)| WorkerConfig {
                core: None,
                address: LOCALHOST,
                first_port,
                pairs,
            })
            .collect(),
        sessions_per_worker: 8,
        buffers: 64,
        backend,
        ..EngineConfig::default()
    }
}

#[test]
fn every_port_is_bound() {
    for backend in BOTH {
        let first = free_ports(8);
        let engine = Engine::start(config(backend, &[(first, 3), (first + 6, 1)])).expect("it starts");
        assert_eq!(engine.workers(), 2);
        assert_eq!(engine.ports(0), [first, first + 2, first + 4]);
        assert_eq!(engine.ports(1), [first + 6]);
        for port in first..first + 8 {
            assert!(UdpSocket::bind((LOCALHOST, port)).is_err(), "{port} is ours");
        }
        assert!(engine.is_running(0) && engine.is_running(1));
        assert_eq!([engine.backend(0), engine.backend(1)], [backend; 2]);
        let buffers = if backend == Backend::Epoll { 256 } else { 64 };
        assert_eq!(engine.stats(0).buffers_free, buffers);
        engine.stop();
        for port in first..first + 8 {
            assert!(UdpSocket::bind((LOCALHOST, port)).is_ok(), "{port} is free again");
        }
    }
}

#[test]
fn a_worker_hurries_and_nobody_else_does() {
    let first = free_ports(2);
    let engine = Engine::start(config(Backend::Epoll, &[(first, 1)])).expect("it starts");
    let slice = |thread: &str| {
        let thread: i32 = thread.parse().expect("a number");
        priority::attributes(thread).map_or(0, |found| found.sched_runtime)
    };
    let own = slice("0");
    let tasks = std::fs::read_dir("/proc/self/task").expect("ours").flatten();
    let workers = tasks.filter(|task| {
        std::fs::read_to_string(task.path().join("comm")).is_ok_and(|name| name.starts_with("baton-media"))
    });
    let slices: Vec<u64> = workers.map(|task| slice(&task.file_name().to_string_lossy())).collect();
    // Before Linux 6.12 nobody has a slice of his own.
    let expected = if own == 0 { 0 } else { 100_000 };
    assert!(slices.contains(&expected) && own != 100_000, "{slices:?}, ours {own}");
    engine.stop();
}

#[test]
fn with_rtcp_on_the_port_of_rtp_a_leg_has_one_socket_and_only_who_muxes_has_rtcp() {
    for backend in BOTH {
        let first = free_ports(4);
        let mut config = config(backend, &[(first, 2)]);
        config.rtcp = Rtcp::Mux;
        let engine = Engine::start(config).expect("it starts");
        assert_eq!(engine.ports(0), [first, first + 2]);
        for port in [first + 1, first + 3] {
            assert!(UdpSocket::bind((LOCALHOST, port)).is_ok(), "{port} is nobody's");
        }
        let (mut caller, mut ai) = (Peer::new(1, Codec::Pcmu), Peer::new(2, Codec::Pcmu));
        let mut legs = [leg(1, first, &caller, hears(&[2])), leg(2, first + 2, &ai, hears(&[1]))];
        legs[0].remote_rtcp = legs[0].remote;
        // Whoever asks for RTCP from a port that is not there: no packet, and no harm.
        let elsewhere = UdpSocket::bind((LOCALHOST, 0)).expect("a port");
        legs[1].remote_rtcp = elsewhere.local_addr().ok();
        engine.send(0, set(1, 1, legs)).expect("there is room");
        published(&engine, 0, |stats| stats.sessions == 1);
        let mut heard = [0; 1500];
        // Before it there may be comfort noise.
        let mut hears = |peer: &Peer, said: u8| {
            let start = Instant::now();
            let mut is = false;
            while !is {
                assert!(start.elapsed() < PATIENCE, "{said} is heard");
                let (len, _) = peer.hear(0, &mut heard);
                is = heard[HEADER..len] == [said; 160];
            }
        };
        for said in 0..10 {
            caller.say(first, &[said; 160]);
            hears(&ai, said);
            ai.say(first + 2, &[said; 160]);
            hears(&caller, said);
        }
        engine
            .send(0, Command::End { session: SessionId(1) })
            .expect("there is room");
        // The goodbye (RFC 3550 §6.6): a report first, 200 or 201.
        let start = Instant::now();
        let bye = loop {
            assert!(start.elapsed() < PATIENCE, "it comes");
            let (len, from) = caller.socket.recv_from(&mut heard).expect("a goodbye in time");
            assert_eq!(from.port(), first);
            if (200..=204).contains(&heard[1]) {
                break &heard[..len];
            }
        };
        assert!(matches!(bye[1], 200 | 201), "{bye:?}");
        let stats = published(&engine, 0, |stats| stats.sessions == 0);
        assert_eq!((stats.send_errors, stats.lost), (0, 0));
        elsewhere.set_nonblocking(true).expect("an option");
        assert!(elsewhere.recv_from(&mut heard).is_err(), "nothing");
    }
}

#[test]
fn it_starts_again_on_the_same_ports_at_once() {
    for backend in BOTH {
        let first = free_ports(4);
        for _ in 0..10 {
            let engine = Engine::start(config(backend, &[(first, 2)])).expect("it starts");
            let peer = UdpSocket::bind((LOCALHOST, 0)).expect("a port");
            peer.send_to(b"unread", (LOCALHOST, first)).expect("sent");
            engine.stop();
        }
    }
}

#[test]
fn thousands_of_ports_are_free_again_at_once() {
    // An address of its own: no other test has ports there.
    let address = IpAddr::from([127, 9, 9, 9]);
    for backend in BOTH {
        for _ in 0..2 {
            let mut config = config(backend, &[(10_000, 2_900)]);
            config.workers[0].address = address;
            Engine::start(config).expect("the ports are free").stop();
        }
    }
}

#[test]
fn a_taken_port_is_named() {
    for backend in BOTH {
        let first = free_ports(8);
        let taken = UdpSocket::bind((LOCALHOST, first + 5)).expect("it was free");
        let error = Engine::start(config(backend, &[(first, 4)])).expect_err("one of the ports is taken");
        assert!(matches!(error, StartError::PortTaken { port, .. } if port == first + 5));
        let text = error.to_string();
        assert!(
            text.contains(&format!("UDP port {} of 127.0.0.1 is taken", first + 5)),
            "{text}"
        );
        drop(taken);
        Engine::start(config(backend, &[(first, 4)])).expect("nothing of the failed start is left");
    }
}

#[test]
fn a_port_that_is_given_back_a_moment_later_is_waited_for() {
    let first = free_ports(8);
    let taken = UdpSocket::bind((LOCALHOST, first + 5)).expect("it was free");
    let other = UdpSocket::bind((LOCALHOST, first + 6)).expect("it was free");
    let patient = EngineConfig {
        port_patience: PATIENCE,
        ..config(Backend::Auto, &[(first, 4)])
    };
    let leaving = thread::spawn(move || {
        // Long after the start has met it.
        thread::sleep(Duration::from_millis(200));
        drop((taken, other));
    });
    Engine::start(patient).expect("it is free in time").stop();
    leaving.join().expect("it has left");
}

#[test]
fn a_foreign_address_is_named() {
    let mut config = config(Backend::Auto, &[(free_ports(2), 1)]);
    config.workers[0].address = "192.0.2.1".parse().expect("an address");
    let error = Engine::start(config).expect_err("the address is for documentation (RFC 5737)");
    assert!(matches!(error, StartError::Address { .. }), "{error}");
}

#[test]
fn a_core_that_is_not_there_is_named() {
    let mut config = config(Backend::Auto, &[(free_ports(2), 1)]);
    config.workers[0].core = Some(9_999);
    let error = Engine::start(config).expect_err("no such core");
    let StartError::Core { core: 9_999, available } = error else {
        panic!("another error: {error}");
    };
    assert!(!available.is_empty());
}

#[test]
fn a_worker_is_pinned_and_named() {
    for backend in BOTH {
        let core = affinity::available()[0];
        let mut config = config(backend, &[(free_ports(2), 1)]);
        config.workers[0].core = Some(core);
        let _engine = Engine::start(config).expect("it starts");
        let tasks = std::fs::read_dir("/proc/self/task").expect("tasks");
        let pinned = tasks.flatten().any(|task| {
            let read = |file: &str| std::fs::read_to_string(task.path().join(file)).unwrap_or_default();
            let status = read("status");
            let allowed = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:"));
            read("comm").trim() == "baton-media-0" && allowed.is_some_and(|list| list.trim() == core.to_string())
        });
        assert!(pinned);
    }
}

#[test]
fn contradictions_are_refused() {
    let refused = |change: fn(&mut EngineConfig)| {
        let mut config = config(Backend::Auto, &[(20_000, 4), (20_008, 4)]);
        change(&mut config);
        match Engine::start(config) {
            Err(StartError::Config(why)) => why,
            other => panic!("not refused: {other:?}"),
        }
    };
    assert!(refused(|config| config.workers.clear()).contains("no worker"));
    assert!(refused(|config| config.workers[1].first_port = 20_006).contains("overlap"));
    assert!(refused(|config| config.workers[0].first_port = 20_001).contains("even"));
    assert!(refused(|config| config.workers[0].first_port = 0).contains("even"));
    assert!(refused(|config| config.workers[0].pairs = 0).contains("no ports"));
    assert!(refused(|config| config.workers[1].first_port = 65_534).contains("65535"));
    assert!(refused(|config| config.buffers = 100).contains("power of two"));
    assert!(refused(|config| config.commands = 0).contains("at least 1"));
}

#[test]
fn this_host_can_run_it() {
    for (backend, way) in [
        (Backend::Auto, "io_uring"),
        (Backend::Uring, "io_uring"),
        (Backend::Epoll, "epoll, as is wished"),
    ] {
        let probe = probe(100, Rtcp::Pair, backend);
        assert!(probe.ok(), "{probe:#?}");
        let named: Vec<&str> = probe.findings.iter().map(|finding| finding.what).collect();
        let tried = named.contains(&"multishot receive into provided buffers");
        assert_eq!(tried, backend != Backend::Epoll, "{named:?}");
        let found = probe.findings.iter().find(|finding| finding.what == "way of packets");
        assert_eq!(found.map(|found| found.found.as_str()), Some(way));
    }
}

/// The worker's figures, once they say so: they are published at the end of a turn, after its events.
fn published(engine: &Engine, worker: usize, done: impl Fn(&Snapshot) -> bool) -> Snapshot {
    let start = Instant::now();
    loop {
        let stats = engine.stats(worker);
        if done(&stats) {
            return stats;
        }
        assert!(start.elapsed() < PATIENCE, "{stats:#?}");
        thread::yield_now();
    }
}

/// The next event, waited for as the control plane does it.
fn event(engine: &Engine) -> (usize, Event) {
    loop {
        if let Some(event) = engine.events().try_recv() {
            return event;
        }
        let mut poll = libc::pollfd {
            fd: engine.events().as_fd().as_raw_fd(),
            events: libc::POLLIN,
            revents: 0,
        };
        // SAFETY: one writable `pollfd` for the length of the call.
        let ready = unsafe { libc::poll(&mut poll, 1, PATIENCE.as_millis() as i32) };
        assert_eq!(ready, 1, "an event comes in time");
        engine.events().clear();
    }
}

#[test]
fn a_call_is_relayed_both_ways_on_our_lines() {
    for backend in BOTH {
        let first = free_ports(8);
        let engine = Engine::start(config(backend, &[(first, 2), (first + 4, 2)])).expect("it starts");
        for worker in 0..2 {
            let ports = engine.ports(worker);
            let (mut caller, mut ai) = (Peer::new(0x11, Codec::Pcmu), Peer::new(0x22, Codec::Pcmu));
            let legs = [
                leg(1, ports[0], &caller, hears(&[2])),
                leg(2, ports[1], &ai, hears(&[1])),
            ];
            engine.send(worker, set(5, 1, legs)).expect("there is room");
            let (from, applied) = event(&engine);
            assert_eq!(from, worker);
            assert!(
                matches!(
                    applied,
                    Event::Applied {
                        session: SessionId(5),
                        generation: Generation(1),
                        ..
                    }
                ),
                "{applied:?}"
            );
            let mut packet = [0; 1500];
            let mut lines = [None; 2];
            for round in 0..50u8 {
                caller.say(ports[0], &[round; 160]);
                let (len, from) = ai.hear(0, &mut packet);
                assert_eq!(packet[HEADER..len], [round; 160]);
                assert_eq!(from.port(), ports[1], "from the port that the AI sends to");
                let ssrc: [u8; 4] = packet[8..12].try_into().expect("four bytes");
                assert_ne!(ssrc, 0x11u32.to_be_bytes(), "our line, not the caller's");
                assert_eq!(*lines[0].get_or_insert(ssrc), ssrc, "one line");

                ai.say(ports[1], &[!round; 160]);
                let (len, from) = caller.hear(0, &mut packet);
                assert_eq!(packet[HEADER..len], [!round; 160]);
                assert_eq!(from.port(), ports[0]);
                let ssrc: [u8; 4] = packet[8..12].try_into().expect("four bytes");
                assert_ne!(ssrc, 0x22u32.to_be_bytes());
                assert_eq!(*lines[1].get_or_insert(ssrc), ssrc);
            }
            assert_ne!(lines[0], lines[1]);
            engine
                .send(worker, Command::End { session: SessionId(5) })
                .expect("there is room");
            assert_eq!(event(&engine), (worker, Event::Ended { session: SessionId(5) }));
            let stats = published(&engine, worker, |stats| stats.forwarded >= 100);
            assert_eq!(stats.forwarded, 100);
            assert_eq!(stats.lost, 0);
            assert!(stats.sent >= 99, "{stats:?}");
            assert!(stats.loops > 0 && stats.enters > 0 && stats.completions > 0);
        }
    }
}

#[test]
fn events_that_find_no_room_come_later() {
    for backend in BOTH {
        let mut config = config(backend, &[(free_ports(2), 1)]);
        config.events = 2;
        config.commands = 64;
        let engine = Engine::start(config).expect("it starts");
        for session in 0..30 {
            let session = SessionId(session);
            engine.send(0, Command::End { session }).expect("there is room");
        }
        let start = clock::now();
        while engine.stats(0).event_waits == 0 {
            assert!(start.elapsed() < PATIENCE, "{:?}", engine.stats(0));
            thread::yield_now();
        }
        for session in 0..30 {
            let session = SessionId(session);
            assert_eq!(event(&engine), (0, Event::Ended { session }));
        }
        assert_eq!(engine.events().try_recv(), None);
    }
}

#[test]
fn a_worker_says_how_long_packets_and_turns_took_and_what_waits() {
    for backend in BOTH {
        let first = free_ports(4);
        let engine = Engine::start(config(backend, &[(first, 2)])).expect("it starts");
        let (mut caller, mut ai) = (Peer::new(0x11, Codec::Pcmu), Peer::new(0x22, Codec::Pcmu));
        let legs = [leg(1, first, &caller, hears(&[2])), leg(2, first + 2, &ai, hears(&[1]))];
        let before = clock::wall();
        engine.send(0, set(5, 1, legs)).expect("there is room");
        event(&engine);
        let mut packet = [0; 1500];
        for _ in 0..50 {
            caller.say(first, &[1; 160]);
            ai.hear(0, &mut packet);
            ai.say(first + 2, &[2; 160]);
            caller.hear(0, &mut packet);
        }
        // Of the two ports the first one is measured.
        let stats = published(&engine, 0, |stats| {
            stats.latency.counts.iter().sum::<u64>() == 50 && stats.forwarded == 100
        });
        assert!(
            stats.latency.sum > 0 && stats.latency.sum / 50 < clock::wall() - before,
            "{stats:?}"
        );
        let total = |counts: &[u64]| counts.iter().sum::<u64>();
        assert_eq!((stats.batch.sum, stats.forwarded), (100, 100));
        assert!((1..=100).contains(&total(&stats.batch.counts)));
        // The page is written in the middle of the two.
        assert!(total(&stats.loop_time.counts).abs_diff(stats.loops) <= 1, "{stats:?}");
        assert!(stats.loop_time.sum > 0);
        assert!(stats.cpu_ns > 0);
        assert_eq!(stats.events_waiting, 0);
        for session in [1, 2, 3].map(SessionId) {
            engine.send(0, Command::End { session }).expect("there is room");
        }
        let stats = published(&engine, 0, |stats| stats.events_waiting == 3);
        assert_eq!(stats.commands_waiting, 0);
        engine.stop();
    }
}

#[test]
fn a_worker_that_panics_is_told_and_takes_nobody_with_it() {
    for backend in BOTH {
        let (first, second) = (free_ports(2), free_ports(2));
        let engine = Engine::start(config(backend, &[(first, 1), (second, 1)])).expect("it starts");
        engine.workers[0].channel.fails.store(true, Ordering::Relaxed);
        // Wakes it.
        let nobody = Command::End { session: SessionId(1) };
        assert!(engine.send(0, nobody.clone()).is_ok());
        // Whoever is woken by the end sees it: no event comes after it.
        let start = Instant::now();
        while engine.is_running(0) {
            assert!(start.elapsed() < PATIENCE, "the worker ends");
            let mut poll = libc::pollfd {
                fd: engine.events().as_fd().as_raw_fd(),
                events: libc::POLLIN,
                revents: 0,
            };
            // SAFETY: one writable `pollfd` for the length of the call.
            let readable = unsafe { libc::poll(&raw mut poll, 1, 10_000) };
            if readable == 1 {
                engine.events().clear();
                while engine.events().try_recv().is_some() {}
            }
        }
        // It may have answered before it saw that it is to fail.
        while engine.events().try_recv().is_some() {}
        assert!(UdpSocket::bind((LOCALHOST, first)).is_ok(), "its sockets are closed");
        assert!(engine.is_running(1));
        assert!(engine.send(1, nobody).is_ok());
        assert_eq!(event(&engine), (1, Event::Ended { session: SessionId(1) }));
        engine.stop();
        assert!(UdpSocket::bind((LOCALHOST, second)).is_ok());
    }
}

#[test]
fn an_idle_worker_counts_its_loop_on_where_it_is_nudged() {
    for backend in BOTH {
        let engine = Engine::start(config(backend, &[(free_ports(2), 1)])).expect("it starts");
        // Often enough to find it in the middle of a turn, too.
        for _ in 0..2_000 {
            let (before, start) = (engine.stats(0).loops, Instant::now());
            engine.nudge(0);
            while engine.stats(0).loops == before {
                assert!(start.elapsed() < PATIENCE, "it sleeps on");
                thread::yield_now();
            }
        }
        engine.stop();
    }
}

mod families;
