//! Where io_uring is forbidden, as in most containers, the start fails with its remedy and nothing is left bound.
#![allow(unsafe_code, reason = "a filter of system calls can only be set with it")]

#[expect(dead_code, reason = "this test needs only the ports")]
mod common;

use std::net::UdpSocket;
use std::thread;

use baton_engine::{Engine, EngineConfig, StartError, WorkerConfig, probe};
use common::{LOCALHOST, free_ports};

/// From here on io_uring_setup(2) answers `errno` to this thread and to those that it starts.
fn forbid_io_uring(errno: i32) {
    let instruction = |code: u32, jump: (u8, u8), value: u32| libc::sock_filter {
        code: code as u16,
        jt: jump.0,
        jf: jump.1,
        k: value,
    };
    // The number of the call is the first word that the filter sees (seccomp(2)).
    let mut filter = [
        instruction(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, (0, 0), 0),
        instruction(
            libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K,
            (0, 1),
            libc::SYS_io_uring_setup as u32,
        ),
        instruction(
            libc::BPF_RET | libc::BPF_K,
            (0, 0),
            libc::SECCOMP_RET_ERRNO | errno as u32,
        ),
        instruction(libc::BPF_RET | libc::BPF_K, (0, 0), libc::SECCOMP_RET_ALLOW),
    ];
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

fn start_without_io_uring(errno: i32) {
    forbid_io_uring(errno);
    let first_port = free_ports(2);
    let error = Engine::start(EngineConfig {
        workers: vec![WorkerConfig {
            core: None,
            address: LOCALHOST,
            first_port,
            pairs: 1,
        }],
        ..EngineConfig::default()
    })
    .expect_err("io_uring is forbidden");
    assert!(matches!(error, StartError::Forbidden { .. }), "{error:?}");
    assert!(error.to_string().contains("seccomp"), "{error}");
    assert!(UdpSocket::bind((LOCALHOST, first_port)).is_ok());

    let probe = probe(1);
    assert!(!probe.ok());
    let bad: Vec<_> = probe.findings.iter().filter(|finding| !finding.ok).collect();
    assert!(bad.iter().any(|finding| finding.what == "io_uring"), "{bad:?}");
    for finding in bad {
        let remedy = finding.remedy.as_deref().unwrap_or_default();
        assert!(remedy.contains("seccomp"), "{finding:?}");
    }
}

#[test]
fn a_forbidden_io_uring_is_named_with_its_remedy() {
    for errno in [libc::EPERM, libc::ENOSYS] {
        // In a thread of its own: the filter cannot be taken off again.
        let done = thread::spawn(move || start_without_io_uring(errno)).join();
        assert!(done.is_ok());
    }
}
