//! A running worker neither allocates nor frees: counted with an allocator of our own, alone in its process.
#![allow(unsafe_code, reason = "an allocator that counts can only be written with it")]

mod common;

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::fs;
use std::net::Ipv6Addr;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, AtomicU64, Ordering};
use std::time::Instant;

use baton_engine::{Backend, Engine, EngineConfig, WorkerConfig};
use common::{HEADER, LOCALHOST, PATIENCE, Peer, free_ports, has_ipv6, hears, leg, set};
use media::command::{Codec, Command, Event, Hears, Play, PlayId, SessionId};
use media::prompt::Prompts;

struct Counting;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// The thread that is watched; 0: none.
static WATCHED: AtomicI32 = AtomicI32::new(0);
static COUNTED: AtomicU64 = AtomicU64::new(0);

thread_local! {
    /// Constant and without a destructor: reading it does not allocate.
    static SELF: Cell<i32> = const { Cell::new(0) };
}

fn count() {
    let watched = WATCHED.load(Ordering::Relaxed);
    if watched == 0 {
        return;
    }
    let me = SELF.get();
    let me = if me == 0 {
        // SAFETY: it has no arguments and cannot fail.
        let me = unsafe { libc::gettid() };
        SELF.set(me);
        me
    } else {
        me
    };
    if me == watched {
        COUNTED.fetch_add(1, Ordering::Relaxed);
    }
}

// SAFETY: everything is passed on to the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: promised by the caller.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        count();
        // SAFETY: promised by the caller.
        unsafe { System.dealloc(memory, layout) }
    }
}

fn worker_thread() -> i32 {
    let tasks = fs::read_dir("/proc/self/task").expect("tasks");
    let ours = tasks.flatten().find(|task| {
        let name = fs::read_to_string(task.path().join("comm")).unwrap_or_default();
        name.trim() == "baton-media-0"
    });
    let name = ours.expect("the worker runs").file_name();
    name.to_str().and_then(|name| name.parse().ok()).expect("a number")
}

fn await_event(engine: &Engine, wanted: impl Fn(&Event) -> bool) {
    assert!(engine.events().as_fd().try_clone_to_owned().is_ok());
    let start = Instant::now();
    loop {
        match engine.events().try_recv() {
            Some((_, event)) if wanted(&event) => return,
            Some(_) => {}
            None => {
                assert!(start.elapsed() < PATIENCE, "an event comes in time");
                std::thread::yield_now();
            }
        }
    }
}

#[test]
fn a_worker_does_not_allocate() {
    for backend in [Backend::Uring, Backend::Epoll] {
        does_not_allocate(backend);
    }
}

fn does_not_allocate(backend: Backend) {
    let counted = COUNTED.load(Ordering::Relaxed);
    let first = free_ports(8);
    let mut prompts = Prompts::new();
    let hold = prompts.add("hold", &[1_000; 800]).expect("a prompt of 100 ms");
    // With both families the IPv4 addresses are turned round on the way, in both directions.
    let (bound, six) = if has_ipv6() {
        (Ipv6Addr::UNSPECIFIED.into(), Ipv6Addr::LOCALHOST.into())
    } else {
        (LOCALHOST, LOCALHOST)
    };
    let engine = Engine::start(EngineConfig {
        workers: [(first, 3), (first + 6, 1)]
            .map(|(first_port, pairs)| WorkerConfig {
                core: None,
                address: bound,
                first_port,
                pairs,
            })
            .to_vec(),
        sessions_per_worker: 4,
        buffers: 16,
        backend,
        prompts: Arc::new(prompts),
        ..EngineConfig::default()
    })
    .expect("it starts");
    let (mut caller, mut ai) = (Peer::new(1, Codec::Pcmu), Peer::at(six, 2, Codec::Pcma));
    let human = Peer::new(3, Codec::Pcmu);
    let play = |id: u64| Hears {
        play: Some(Play {
            id: PlayId(id),
            queue: [hold].into_iter().collect(),
            repeat_last: true,
        }),
        ..Hears::default()
    };
    let mut packet = [0; 1500];
    let mut round = |generation: u64, packets: usize| {
        // Caller and AI hear each other through a transcoder, the human hears the prompt.
        let command = set(
            generation,
            1,
            [
                leg(1, first, &caller, hears(&[2])),
                leg(2, first + 2, &ai, hears(&[1])),
                leg(3, first + 4, &human, play(generation)),
            ],
        );
        engine.send(0, command).expect("there is room");
        await_event(&engine, |event| matches!(event, Event::Applied { .. }));
        for _ in 0..packets / 2 {
            caller.say(first, &[0x55; 160]);
            assert_eq!(ai.hear(8, &mut packet).0, HEADER + 160);
            ai.say(first + 2, &[0x2a; 160]);
            assert_eq!(caller.hear(0, &mut packet).0, HEADER + 160);
        }
        for _ in 0..12 {
            assert_eq!(human.hear(0, &mut packet).0, HEADER + 160);
        }
        // It goes away and comes back, with packets to send all the time.
        let session = SessionId(generation);
        for (from, to) in [(0, 1), (1, 0)] {
            engine
                .move_session(session, from, to)
                .expect("nothing else is under way");
            let moved = Event::Moved { session, moved: true };
            await_event(&engine, |event| *event == moved);
            assert_eq!(human.hear(0, &mut packet).0, HEADER + 160);
        }
        engine.send(0, Command::End { session }).expect("there is room");
        await_event(&engine, |event| *event == Event::Ended { session });
    };
    round(1, 20);
    WATCHED.store(worker_thread(), Ordering::Relaxed);
    round(2, 1_000);
    WATCHED.store(0, Ordering::Relaxed);
    assert_eq!(COUNTED.load(Ordering::Relaxed), counted);
    let stats = engine.stats(0);
    assert!(
        stats.forwarded >= 1_020 && stats.transcoded >= 1_020 && stats.played >= 24,
        "{stats:?}"
    );
    assert_eq!(stats.lost, 0);

    // The count counts: the worker's end frees its memory.
    WATCHED.store(worker_thread(), Ordering::Relaxed);
    engine.stop();
    WATCHED.store(0, Ordering::Relaxed);
    assert!(COUNTED.load(Ordering::Relaxed) > counted);
}
