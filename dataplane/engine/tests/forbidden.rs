//! Where io_uring is forbidden, as in most containers, packets go by epoll; who insists on io_uring gets the remedy.
#![allow(unsafe_code, reason = "a filter of system calls can only be set with it")]

#[expect(dead_code, reason = "this test needs one family only")]
mod common;

use std::net::UdpSocket;
use std::sync::Arc;
use std::thread;

use baton_engine::{Backend, Engine, EngineConfig, Rtcp, WorkerConfig, probe};
use common::{HEADER, LOCALHOST, Peer, free_ports, hears, leg, set};
use media::command::{Codec, Hears, Play, PlayId, PromptId};
use media::prompt::Prompts;

/// From here on this system call (with this second argument, where one is given) answers `errno` to this thread and to those that
/// it starts.
fn forbid(call: libc::c_long, argument: Option<u32>, errno: i32) {
    let instruction = |code: u32, jump: (u8, u8), value: u32| libc::sock_filter {
        code: code as u16,
        jt: jump.0,
        jf: jump.1,
        k: value,
    };
    let load = |offset| instruction(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, (0, 0), offset);
    let unless = |value, skip| instruction(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, (0, skip), value);
    let answer = |value| instruction(libc::BPF_RET | libc::BPF_K, (0, 0), value);
    // What the filter sees (seccomp(2)): the number of the call is the first word, the arguments are from byte 16 on, eight
    // each, the lower half first.
    let mut filter = vec![load(0)];
    match argument {
        None => filter.push(unless(call as u32, 1)),
        Some(argument) => filter.extend([unless(call as u32, 3), load(24), unless(argument, 1)]),
    }
    filter.extend([
        answer(libc::SECCOMP_RET_ERRNO | errno as u32),
        answer(libc::SECCOMP_RET_ALLOW),
    ]);
    let program = libc::sock_fprog {
        len: filter.len() as u16,
        filter: filter.as_mut_ptr(),
    };
    // SAFETY: the arguments are numbers; it lets this thread set a filter without privileges.
    let result = unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) };
    assert_eq!(result, 0, "no new privileges");
    // SAFETY: `program` and `filter` are readable for the length of the call; the kernel copies both.
    let result = unsafe { libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &raw const program) };
    assert_eq!(result, 0, "the filter is set");
}

fn config(backend: Backend, first_port: u16) -> EngineConfig {
    let mut prompts = Prompts::new();
    prompts.add("hold", &[1_000; 800]).expect("a prompt of 100 ms");
    EngineConfig {
        workers: vec![WorkerConfig {
            core: None,
            address: LOCALHOST,
            first_port,
            pairs: 2,
        }],
        prompts: Arc::new(prompts),
        backend,
        ..EngineConfig::default()
    }
}

fn refuses(remedy: &str) {
    let first_port = free_ports(4);
    let error = Engine::start(config(Backend::Uring, first_port)).expect_err("io_uring is forbidden");
    assert!(error.to_string().contains(remedy), "{error}");
    assert!(UdpSocket::bind((LOCALHOST, first_port)).is_ok());
}

/// A relayed packet, and frames of a prompt.
fn carries_a_call_on_epoll() {
    let first = free_ports(4);
    let engine = Engine::start(config(Backend::Auto, first)).expect("it starts without io_uring");
    assert_eq!(engine.backend(0), Backend::Epoll);
    let (mut caller, human) = (Peer::new(1, Codec::Pcmu), Peer::new(2, Codec::Pcma));
    let hold = Hears {
        play: Some(Play {
            id: PlayId(1),
            queue: [PromptId(0)].into_iter().collect(),
            repeat_last: true,
        }),
        ..Hears::default()
    };
    let legs = [leg(1, first, &caller, hold), leg(2, first + 2, &human, hears(&[1]))];
    engine.send(0, set(1, 1, legs)).expect("there is room");
    let mut packet = [0; 1500];
    for _ in 0..5 {
        assert_eq!(caller.hear(0, &mut packet).0, HEADER + 160);
    }
    caller.say(first, &[0x55; 160]);
    // Comfort noise was there until now.
    while engine.stats(0).transcoded == 0 {
        human.hear(8, &mut packet);
    }
    let stats = engine.stats(0);
    assert!(stats.enters > stats.sent, "each costs a call: {stats:?}");
    assert_eq!(stats.lost, 0);
}

fn without_io_uring(errno: i32) {
    forbid(libc::SYS_io_uring_setup, None, errno);
    // ENOMEM is no prohibition, and has a remedy of its own.
    let remedy = if errno == libc::ENOMEM {
        "RLIMIT_MEMLOCK"
    } else {
        "seccomp"
    };
    refuses(remedy);
    carries_a_call_on_epoll();

    let must = probe(1, Rtcp::Pair, Backend::Uring);
    assert!(!must.ok());
    let bad: Vec<_> = must.findings.iter().filter(|finding| !finding.ok).collect();
    assert!(bad.iter().any(|finding| finding.what == "io_uring"), "{bad:?}");
    let may = probe(1, Rtcp::Pair, Backend::Auto);
    assert!(may.ok(), "{may:?}");
    let io_uring: Vec<_> = may
        .findings
        .iter()
        .filter(|finding| finding.what == "io_uring")
        .collect();
    assert_eq!(io_uring.len(), 1, "{may:?}");
    for finding in io_uring {
        let told = finding.remedy.as_deref().unwrap_or_default();
        assert!(told.contains(remedy), "{finding:?}");
    }
    let way = may.findings.iter().find(|finding| finding.what == "way of packets");
    assert!(way.is_some_and(|way| way.found.starts_with("epoll")), "{may:?}");
}

/// The filter cannot be taken off again: in a thread of its own.
fn aside(test: impl FnOnce() + Send + 'static) {
    assert!(thread::spawn(test).join().is_ok());
}

#[test]
fn where_io_uring_is_forbidden_packets_go_by_epoll() {
    for errno in [libc::EPERM, libc::ENOSYS, libc::ENOMEM] {
        aside(move || without_io_uring(errno));
    }
}

#[test]
fn a_ring_that_cannot_be_made_as_a_worker_needs_it_is_no_io_uring() {
    /// IORING_REGISTER_PBUF_RING.
    const BUFFERS: u32 = 22;
    for errno in [libc::EINVAL, libc::ENOMEM] {
        aside(move || {
            forbid(libc::SYS_io_uring_register, Some(BUFFERS), errno);
            carries_a_call_on_epoll();
        });
    }
}

#[test]
fn epoll_needs_no_exact_time_outs() {
    for errno in [libc::EPERM, libc::ENOSYS] {
        aside(move || {
            forbid(libc::SYS_epoll_pwait2, None, errno);
            forbid(libc::SYS_io_uring_setup, None, errno);
            carries_a_call_on_epoll();
        });
    }
}
