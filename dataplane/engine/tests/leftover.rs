//! A stopped engine leaves nothing behind. Alone in its process, whose descriptors and threads it counts.

#[expect(dead_code, reason = "this test needs one family only")]
mod common;

use std::fs;

use baton_engine::{Backend, Engine, EngineConfig, TaskRun, WorkerConfig};
use common::{LOCALHOST, Peer, free_ports, hears, leg, set};
use media::command::Codec;

fn count(folder: &str) -> usize {
    fs::read_dir(folder).expect("a folder of /proc").count()
}

fn mappings() -> usize {
    let maps = fs::read_to_string("/proc/self/maps").expect("the mappings");
    maps.lines().filter(|line| line.contains("io_uring")).count()
}

#[test]
fn a_stopped_engine_leaves_nothing_behind() {
    let first = free_ports(8);
    let (files, threads) = (count("/proc/self/fd"), count("/proc/self/task"));
    for (backend, mode) in [
        (Backend::Uring, TaskRun::Auto),
        (Backend::Uring, TaskRun::Coop),
        (Backend::Epoll, TaskRun::Auto),
    ] {
        let workers = [first, first + 4].map(|first_port| WorkerConfig {
            core: None,
            address: LOCALHOST,
            first_port,
            pairs: 2,
        });
        let engine = Engine::start(EngineConfig {
            workers: workers.to_vec(),
            sessions_per_worker: 4,
            buffers: 16,
            backend,
            mode,
            ..EngineConfig::default()
        })
        .expect("it starts");
        // 8 sockets, and for each worker its ring or its epoll, and its eventfd; one eventfd for the events.
        assert_eq!(count("/proc/self/fd"), files + 8 + 2 * 2 + 1);
        assert_eq!(count("/proc/self/task"), threads + 2);
        assert_eq!(mappings() > 0, backend == Backend::Uring);
        {
            let (mut caller, mut ai) = (Peer::new(1, Codec::Pcmu), Peer::new(2, Codec::Pcmu));
            let legs = [leg(1, first, &caller, hears(&[2])), leg(2, first + 2, &ai, hears(&[1]))];
            engine.send(0, set(1, 1, legs)).expect("there is room");
            for _ in 0..50 {
                caller.say(first, &[0; 160]);
                ai.say(first + 2, &[0; 160]);
            }
            ai.hear(0, &mut [0; 1500]);
        }
        // With packets under way and a session alive.
        engine.stop();
        assert_eq!(count("/proc/self/fd"), files);
        assert_eq!(count("/proc/self/task"), threads);
        assert_eq!(mappings(), 0);
    }
}
