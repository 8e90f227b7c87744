//! Whole engines on loopback.

use std::net::{IpAddr, Ipv4Addr, UdpSocket};
use std::sync::atomic::{AtomicU16, Ordering};

use super::*;

const LOCALHOST: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// The first of `count` ports that nobody has now. Ranges do not overlap between the tests of one run.
pub(crate) fn free_ports(count: u16) -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let start = 20_000 + (std::process::id() % 2_000) as u16 * 2;
    loop {
        let first = start + NEXT.fetch_add(count.next_multiple_of(2), Ordering::Relaxed) % 8_000;
        let ports = first..first + count;
        if ports.into_iter().all(|port| UdpSocket::bind((LOCALHOST, port)).is_ok()) {
            return first;
        }
    }
}

fn config(workers: &[(u16, u16)]) -> EngineConfig {
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
        ..EngineConfig::default()
    }
}

#[test]
fn every_port_is_bound() {
    let first = free_ports(8);
    let engine = Engine::start(config(&[(first, 3), (first + 6, 1)])).expect("it starts");
    assert_eq!(engine.workers(), 2);
    assert_eq!(engine.ports(0), [first, first + 2, first + 4]);
    assert_eq!(engine.ports(1), [first + 6]);
    for port in first..first + 8 {
        assert!(UdpSocket::bind((LOCALHOST, port)).is_err(), "{port} is ours");
    }
    assert!(engine.is_running(0) && engine.is_running(1));
    assert_eq!(engine.stats(0).buffers_free, 64);
    engine.stop();
    for port in first..first + 8 {
        assert!(UdpSocket::bind((LOCALHOST, port)).is_ok(), "{port} is free again");
    }
}

#[test]
fn it_starts_again_on_the_same_ports_at_once() {
    let first = free_ports(4);
    for _ in 0..10 {
        let engine = Engine::start(config(&[(first, 2)])).expect("it starts");
        let peer = UdpSocket::bind((LOCALHOST, 0)).expect("a port");
        peer.send_to(b"unread", (LOCALHOST, first)).expect("sent");
        engine.stop();
    }
}

#[test]
fn a_taken_port_is_named() {
    let first = free_ports(8);
    let taken = UdpSocket::bind((LOCALHOST, first + 5)).expect("it was free");
    let error = Engine::start(config(&[(first, 4)])).expect_err("one of the ports is taken");
    assert!(matches!(error, StartError::PortTaken { port, .. } if port == first + 5));
    let text = error.to_string();
    assert!(
        text.contains(&format!("UDP port {} of 127.0.0.1 is taken", first + 5)),
        "{text}"
    );
    drop(taken);
    Engine::start(config(&[(first, 4)])).expect("nothing of the failed start is left");
}

#[test]
fn a_foreign_address_is_named() {
    let mut config = config(&[(free_ports(2), 1)]);
    config.workers[0].address = "192.0.2.1".parse().expect("an address");
    let error = Engine::start(config).expect_err("the address is for documentation (RFC 5737)");
    assert!(matches!(error, StartError::Address { .. }), "{error}");
}

#[test]
fn a_core_that_is_not_there_is_named() {
    let mut config = config(&[(free_ports(2), 1)]);
    config.workers[0].core = Some(9_999);
    let error = Engine::start(config).expect_err("no such core");
    let StartError::Core { core: 9_999, available } = error else {
        panic!("another error: {error}");
    };
    assert!(!available.is_empty());
}

#[test]
fn a_worker_is_pinned_and_named() {
    let core = affinity::available()[0];
    let mut config = config(&[(free_ports(2), 1)]);
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

#[test]
fn contradictions_are_refused() {
    let refused = |change: fn(&mut EngineConfig)| {
        let mut config = config(&[(20_000, 4), (20_008, 4)]);
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
    let probe = probe(100);
    assert!(probe.ok(), "{probe:#?}");
    let named: Vec<&str> = probe.findings.iter().map(|finding| finding.what).collect();
    assert!(named.contains(&"multishot receive into provided buffers"), "{named:?}");
}
