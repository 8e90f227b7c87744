//! A session that moves from worker to worker while its parties talk.

#[expect(dead_code, reason = "this test needs one family only")]
mod common;

use std::net::UdpSocket;
use std::thread;
use std::time::{Duration, Instant};

use baton_engine::{Backend, Engine, EngineConfig, MoveError, Rtcp, WorkerConfig};
use common::{HEADER, LOCALHOST, PATIENCE, Peer, free_ports, hears, leg, set};
use media::command::{Codec, Command, Event, Hears, Play, PlayId, SessionId, Watch, WindowId};
use media::evidence::Evidence;
use media::prompt::Prompts;

const CALL: SessionId = SessionId(1);

/// Packets of one party that may be on their way.
const AHEAD: u16 = 12;

fn start(backend: Backend, first: u16, pairs: u16) -> Engine {
    start_with(backend, Rtcp::Pair, first, pairs)
}

fn start_with(backend: Backend, rtcp: Rtcp, first: u16, pairs: u16) -> Engine {
    let worker = |first_port| WorkerConfig {
        core: None,
        address: LOCALHOST,
        first_port,
        pairs,
    };
    let mut prompts = Prompts::new();
    prompts.add("hold", &[1_000; 8_000]).expect("a prompt of 1 s");
    Engine::start(EngineConfig {
        workers: vec![worker(first), worker(first + 2 * pairs)],
        sessions_per_worker: 4,
        buffers: 64,
        backend,
        rtcp,
        prompts: prompts.into(),
        ..EngineConfig::default()
    })
    .expect("it starts")
}

/// The next event that is wanted; those before it are thrown away.
fn await_event<T>(engine: &Engine, mut wanted: impl FnMut(usize, Event) -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        match engine.events().try_recv() {
            Some((worker, event)) => {
                if let Some(found) = wanted(worker, event) {
                    return found;
                }
            }
            None => {
                assert!(start.elapsed() < PATIENCE, "an event comes in time");
                thread::yield_now();
            }
        }
    }
}

fn moved(engine: &Engine, session: SessionId) -> (usize, bool) {
    await_event(engine, |worker, event| match event {
        Event::Moved { session: of, moved } if of == session => Some((worker, moved)),
        _ => None,
    })
}

fn applied(engine: &Engine) {
    await_event(engine, |_, event| matches!(event, Event::Applied { .. }).then_some(()));
}

fn watched(mut command: Command) -> Command {
    if let Command::Set { spec, .. } = &mut command {
        spec.watch = Some(Watch {
            window: WindowId(3),
            first_word_of: None,
        });
    }
    command
}

/// The listener's next packet: the one that was said then, with the next number on the line.
fn heard(listener: &Peer, said: u16, number: &mut Option<u16>) {
    let mut packet = [0; 1500];
    let (len, _) = listener.hear(0, &mut packet);
    assert_eq!(
        packet[HEADER..len],
        [said as u8; 160],
        "{said}: none is lost, and none overtakes"
    );
    let this = u16::from_be_bytes([packet[2], packet[3]]);
    let before = number.replace(this);
    assert!(
        before.is_none_or(|before| this == before.wrapping_add(1)),
        "{said}: a hole in the line"
    );
}

fn talks_on(backend: Backend, rtcp: Rtcp) {
    const PACKETS: u16 = 1_500;
    let first = free_ports(8);
    let engine = start_with(backend, rtcp, first, 2);
    let (mut caller, mut ai) = (Peer::new(1, Codec::Pcmu), Peer::new(2, Codec::Pcmu));
    let legs = [leg(1, first, &caller, hears(&[2])), leg(2, first + 2, &ai, hears(&[1]))];
    engine.send(0, watched(set(1, 1, legs))).expect("there is room");
    applied(&engine);
    let (mut place, mut on_the_way, mut moves) = (0, false, 0);
    let mut lines = [None; 2];
    for said in 0..PACKETS {
        caller.say(first, &[said as u8; 160]);
        ai.say(first + 2, &[said as u8; 160]);
        if said >= AHEAD {
            heard(&ai, said - AHEAD, &mut lines[0]);
            heard(&caller, said - AHEAD, &mut lines[1]);
        }
        // Without a pause: as soon as it is there it goes back.
        while let Some((worker, event)) = engine.events().try_recv() {
            if let Event::Moved { session, moved } = event {
                assert_eq!((worker, session, moved), (1 - place, CALL, true));
                (place, on_the_way, moves) = (worker, false, moves + 1);
            }
        }
        if !on_the_way {
            engine
                .move_session(CALL, place, 1 - place)
                .expect("there are not too many");
            on_the_way = true;
        }
        // A packet each 50 µs at the most: so that moves take place between packets and not between bursts.
        thread::sleep(Duration::from_micros(50));
    }
    for said in PACKETS - AHEAD..PACKETS {
        heard(&ai, said, &mut lines[0]);
        heard(&caller, said, &mut lines[1]);
    }
    if on_the_way {
        let (worker, there) = moved(&engine, CALL);
        assert!(there);
        (place, moves) = (worker, moves + 1);
    }
    assert!(moves >= 20, "{moves} moves");

    // The window was open through all of it.
    engine
        .send(place, Command::End { session: CALL })
        .expect("there is room");
    let listeners: Vec<(u16, Evidence)> = await_event(&engine, |worker, event| match event {
        Event::Evidence { listeners, .. } => {
            assert_eq!(worker, place);
            Some(listeners.iter().map(|(leg, evidence)| (leg.0, *evidence)).collect())
        }
        _ => None,
    });
    assert_eq!(listeners.len(), 2);
    for (leg, evidence) in listeners {
        // Comfort noise of the time before the first packet, perhaps.
        assert!(evidence.sent >= u64::from(PACKETS), "{leg}: {evidence:?}");
        let bad = [
            evidence.lost,
            evidence.reordered,
            evidence.duplicated,
            evidence.upstream_lost,
        ];
        assert_eq!(bad, [0; 4], "{leg}: {evidence:?}");
        assert_eq!((evidence.sequence_breaks, evidence.timestamp_breaks), (0, 0), "{leg}");
    }
    await_event(&engine, |worker, event| {
        (event == Event::Ended { session: CALL }).then(|| assert_eq!(worker, place))
    });
    let start = Instant::now();
    while [0, 1].map(|worker| engine.stats(worker).sessions) != [0, 0] {
        assert!(start.elapsed() < PATIENCE);
        thread::yield_now();
    }
    let stats = [engine.stats(0), engine.stats(1)];
    let sum = |of: fn(&baton_engine::Snapshot) -> u64| stats.iter().map(of).sum::<u64>();
    assert_eq!(sum(|stats| stats.received), 2 * u64::from(PACKETS));
    assert!(stats.iter().all(|stats| stats.forwarded > 0), "both had a part in it");
    assert_eq!(
        [sum(|s| s.lost), sum(|s| s.receive_errors), sum(|s| s.send_errors)],
        [0; 3]
    );
    // Its ports are there for another one, where it was last.
    let legs = [leg(1, first, &caller, hears(&[2])), leg(2, first + 2, &ai, hears(&[1]))];
    engine.send(place, set(2, 1, legs)).expect("there is room");
    applied(&engine);
    engine.stop();
    for port in first..first + 8 {
        assert!(UdpSocket::bind((LOCALHOST, port)).is_ok(), "{port} is free");
    }
}

#[test]
fn a_stream_through_a_session_that_moves_to_and_fro_is_whole() {
    for backend in [Backend::Uring, Backend::Epoll] {
        talks_on(backend, Rtcp::Pair);
        talks_on(backend, Rtcp::Mux);
    }
}

#[test]
fn a_prompt_plays_on_where_the_session_goes() {
    for backend in [Backend::Uring, Backend::Epoll] {
        let first = free_ports(8);
        let engine = start(backend, first, 2);
        let caller = Peer::new(1, Codec::Pcmu);
        let hold = Hears {
            play: Some(Play {
                id: PlayId(1),
                queue: [media::command::PromptId(0)].into_iter().collect(),
                repeat_last: false,
            }),
            ..Hears::default()
        };
        engine
            .send(0, set(1, 1, [leg(1, first, &caller, hold)]))
            .expect("there is room");
        applied(&engine);
        let mut packet = [0; 1500];
        let mut before: Option<(u16, u32)> = None;
        for frame in 0..40u32 {
            caller.hear(0, &mut packet);
            let number = u16::from_be_bytes([packet[2], packet[3]]);
            let timestamp = u32::from_be_bytes([packet[4], packet[5], packet[6], packet[7]]);
            if let Some((last, time)) = before {
                assert_eq!((number, timestamp), (last.wrapping_add(1), time.wrapping_add(160)));
            }
            before = Some((number, timestamp));
            if frame % 4 == 0 {
                let from = (frame as usize / 4) % 2;
                engine
                    .move_session(CALL, from, 1 - from)
                    .expect("there are not too many");
                assert_eq!(moved(&engine, CALL), (1 - from, true));
            }
        }
        // Told where it is: after ten moves that is where it began.
        let played = await_event(&engine, |worker, event| match event {
            Event::Played { play, item, .. } => Some((worker, play, item)),
            _ => None,
        });
        assert_eq!(played, (0, PlayId(1), 0));
    }
}

#[test]
fn what_cannot_move_stays_as_it_is() {
    for backend in [Backend::Uring, Backend::Epoll] {
        let first = free_ports(16);
        let engine = start(backend, first, 4);
        let (mut caller, ai) = (Peer::new(1, Codec::Pcmu), Peer::new(2, Codec::Pcmu));
        let legs = [leg(1, first, &caller, hears(&[2])), leg(2, first + 2, &ai, hears(&[1]))];
        engine.send(0, set(1, 1, legs)).expect("there is room");
        applied(&engine);
        assert_eq!(engine.move_session(CALL, 0, 0), Err(MoveError::Same));
        // Nobody has it, and the places that were kept are free again.
        for session in (100..120).map(SessionId) {
            engine.move_session(session, 0, 1).expect("one at a time");
            assert_eq!(moved(&engine, session), (1, false));
        }
        // The other one is full.
        for session in 10..14 {
            let port = engine.ports(1)[session as usize - 10];
            let peer = Peer::new(9, Codec::Pcmu);
            engine
                .send(1, set(session, 1, [leg(1, port, &peer, hears(&[]))]))
                .expect("there is room");
            applied(&engine);
        }
        engine.move_session(CALL, 0, 1).expect("nothing else is under way");
        assert_eq!(moved(&engine, CALL), (1, false));
        let mut packet = [0; 1500];
        let mut said = 0;
        while packet[HEADER] != 0x33 {
            assert!(said < 100, "it goes on");
            said += 1;
            caller.say(first, &[0x33; 160]);
            ai.hear(0, &mut packet);
        }
        // With one less there is room.
        let gone = SessionId(10);
        engine.send(1, Command::End { session: gone }).expect("there is room");
        await_event(&engine, |_, event| {
            (event == Event::Ended { session: gone }).then_some(())
        });
        engine.move_session(CALL, 0, 1).expect("nothing else is under way");
        assert_eq!(moved(&engine, CALL), (1, true));
    }
}

/// Nobody should, but whoever ends a session in the middle of its move ends it, or finds it on the other worker; its ports work on.
#[test]
fn a_session_that_is_ended_on_its_way_leaves_ports_that_work() {
    for backend in [Backend::Uring, Backend::Epoll] {
        let first = free_ports(8);
        let engine = start(backend, first, 2);
        let (mut caller, ai) = (Peer::new(1, Codec::Pcmu), Peer::new(2, Codec::Pcmu));
        let mut place = 0;
        let mut packet = [0; 1500];
        for round in 1..=150u8 {
            let session = SessionId(round.into());
            let legs = [leg(1, first, &caller, hears(&[2])), leg(2, first + 2, &ai, hears(&[1]))];
            engine.send(place, set(session.0, 1, legs)).expect("there is room");
            applied(&engine);
            // The ports of the session before receive, whatever became of it.
            let mut tries = 0;
            while packet[HEADER..HEADER + 160] != [round; 160] {
                assert!(tries < 200, "round {round}: the port is deaf");
                tries += 1;
                caller.say(first, &[round; 160]);
                ai.hear(0, &mut packet);
            }
            let to = 1 - place;
            engine
                .move_session(session, place, to)
                .expect("nothing else is under way");
            // At different moments of the move.
            (0..u32::from(round) % 16 * 2_000).for_each(|_| std::hint::spin_loop());
            engine.send(place, Command::End { session }).expect("there is room");
            let (mut ended, mut moved) = (false, None);
            while !ended || moved.is_none() {
                await_event(&engine, |worker, event| match event {
                    Event::Ended { session: of } if of == session => {
                        assert_eq!(worker, place);
                        ended = true;
                        Some(())
                    }
                    Event::Moved {
                        session: of,
                        moved: there,
                    } if of == session => {
                        moved = Some(there);
                        Some(())
                    }
                    _ => None,
                });
            }
            if moved == Some(true) {
                place = to;
                engine.send(place, Command::End { session }).expect("there is room");
                await_event(&engine, |_, event| (event == Event::Ended { session }).then_some(()));
            }
        }
    }
}

/// Waits until so many events of a worker lie there, unread.
fn unread(engine: &Engine, worker: usize, events: u64) {
    let start = Instant::now();
    while engine.stats(worker).events_waiting < events {
        assert!(start.elapsed() < PATIENCE, "worker {worker} says it");
        thread::yield_now();
    }
}

#[test]
fn what_was_said_of_a_session_where_it_was_is_read_before_what_is_said_where_it_is() {
    for backend in [Backend::Uring, Backend::Epoll] {
        let first = free_ports(8);
        let engine = start(backend, first, 2);
        let (caller, ai) = (Peer::new(1, Codec::Pcmu), Peer::new(2, Codec::Pcmu));
        let state = |generation| {
            let legs = [leg(1, first, &caller, hears(&[2])), leg(2, first + 2, &ai, hears(&[1]))];
            set(1, generation, legs)
        };
        // Nobody reads meanwhile: when the first word from where it is now is asked for, there is still much from where it was.
        for generation in 1..=4 {
            engine.send(0, state(generation)).expect("there is room");
            unread(&engine, 0, generation);
        }
        engine.move_session(CALL, 0, 1).expect("nothing else is under way");
        unread(&engine, 1, 1);
        engine.send(1, state(5)).expect("there is room");
        unread(&engine, 1, 2);
        let mut told = Vec::new();
        while told.last() != Some(&5) {
            await_event(&engine, |_, event| match event {
                Event::Applied { generation, .. } => {
                    told.push(generation.0);
                    Some(())
                }
                _ => None,
            });
        }
        assert_eq!(told, [1, 2, 3, 4, 5]);
        engine.stop();
    }
}
