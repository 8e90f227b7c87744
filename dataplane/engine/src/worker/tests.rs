//! A worker that is turned by hand, with a real core.

use std::net::SocketAddr;

use media::command::{Codec, Command, Event, Latch, LegId, SessionId, Watch, WindowId};
use media::core::Config;

use super::*;
use crate::channel::{self, Events, Wake};
use crate::common::{HEADER, LOCALHOST, PATIENCE, Peer, free_ports, hears, leg, set};
use crate::config::{Backend, Rtcp, TaskRun};
use crate::net::Traced;
use crate::socket::{Queues, Setup};

const BOTH: [Backend; 2] = [Backend::Uring, Backend::Epoll];

/// A session of caller and AI on a worker of two pairs of ports.
struct Rig {
    worker: Worker,
    caller: Peer,
    ai: Peer,
    first: u16,
    events: Events,
}

impl Rig {
    fn new(backend: Backend, buffers: u16, receive_queue: usize) -> Rig {
        let first = free_ports(4);
        let wake = Arc::new(Wake::new(false).expect("an eventfd"));
        let (side, reader) = channel::channel(4, 4, wake.clone()).expect("an eventfd");
        let channel = side.shared();
        let events = Events::new(vec![reader], wake);
        let setup = Setup {
            address: LOCALHOST,
            first_port: first,
            pairs: 2,
            rtcp: Rtcp::Pair,
            queues: Queues {
                receive: receive_queue,
                send: 256 * 1024,
            },
        };
        let sockets = setup.bind(Instant::now()).expect("the ports are free");
        let net = Net::new(sockets, 4, backend, buffers, TaskRun::Auto, channel.clone()).expect("a way");
        let core = Config {
            first_port: Port(first),
            pairs: 2,
            guests: 0,
            sessions: 2,
            pending: 16,
            prompts: Arc::default(),
            cname: "test".to_owned(),
            seed: 7,
            coders: Arc::default(),
            silence: media::core::SILENCE,
            added_latency: media::core::ADDED_LATENCY,
        };
        // A machine that stands still for a moment must not make a peer hear noise.
        let core = Core::new(core, clock::now()).with_comfort_after(Duration::from_secs(600));
        let page = Arc::new(Page::default());
        let mut rig = Rig {
            worker: Worker::new(
                core,
                net,
                side,
                page,
                Sockets::new(setup.ports().collect(), 0),
                Moves::new([channel.clone()].into()),
            ),
            caller: Peer::new(0x11, Codec::Pcmu),
            ai: Peer::new(0x22, Codec::Pcmu),
            first,
            events,
        };
        let legs = [
            leg(1, first, &rig.caller, hears(&[2])),
            leg(2, first + 2, &rig.ai, hears(&[1])),
        ];
        assert!(channel.send(set(1, 1, legs)).is_ok());
        let mut applied = false;
        while !applied {
            rig.turn();
            while let Some((_, event)) = rig.events.try_recv() {
                applied |= matches!(event, Event::Applied { .. });
            }
        }
        rig
    }

    /// One turn that does not wait.
    fn turn(&mut self) {
        self.worker.untold = true;
        self.worker.turn().expect("the kernel works");
    }

    /// Turns until this is so; what comes has been sent to the sockets before.
    fn until(&mut self, done: impl Fn(&Snapshot) -> bool) {
        let start = clock::now();
        while !done(&self.worker.snapshot) {
            assert!(start.elapsed() < PATIENCE, "{:#?}", self.worker.snapshot);
            self.turn();
        }
    }

    /// Nothing comes any more, and all buffers are where they were at the start.
    fn assert_at_rest(&mut self, buffers: u64) {
        let buffers = match self.worker.net.backend() {
            Backend::Epoll => 256,
            _ => buffers,
        };
        let start = clock::now();
        loop {
            let before = self.worker.snapshot.completions;
            self.turn();
            let now = &self.worker.snapshot;
            let free = (now.buffers_free, now.transmit_buffers_free) == (buffers, 256);
            if free && now.completions == before {
                return;
            }
            assert!(start.elapsed() < PATIENCE, "{now:#?}");
        }
    }
}

#[test]
fn a_relayed_packet_leaves_in_the_buffer_that_it_came_in() {
    for backend in BOTH {
        let mut rig = Rig::new(backend, 8, 256 * 1024);
        rig.worker.net.trace().clear();
        let mut heard = [0; 1500];
        for packet in 0..40u8 {
            rig.caller.say(rig.first, &[packet; 160]);
            rig.until(|snapshot| snapshot.forwarded > u64::from(packet));
            rig.turn();
            let (len, _) = rig.ai.hear(0, &mut heard);
            assert_eq!(heard[HEADER..len], [packet; 160]);
        }
        let trace = std::mem::take(rig.worker.net.trace());
        let receives: Vec<_> = trace.iter().filter(|entry| entry.0 == Traced::Received).collect();
        assert_eq!(receives.len(), 40);
        for (_, id, place) in receives {
            assert!(
                trace.contains(&(Traced::Sent, *id, *place)),
                "the same bytes of the same buffer"
            );
        }
        for pair in trace.windows(2) {
            if pair[0].0 == Traced::Received {
                assert_eq!((pair[1].0, pair[1].1, pair[1].2), (Traced::Sent, pair[0].1, pair[0].2));
            }
        }
        rig.assert_at_rest(8);
    }
}

#[test]
fn after_a_flood_every_buffer_is_free() {
    for backend in BOTH {
        let mut rig = Rig::new(backend, 8, 256 * 1024);
        let mut heard = [0; 1500];
        for round in 0..50u64 {
            for packet in 0..20u8 {
                rig.caller.say(rig.first, &[packet; 160]);
                rig.ai.say(rig.first + 2, &[packet; 160]);
                // No RTP: thrown away.
                rig.ai
                    .socket
                    .send_to(b"noise", (LOCALHOST, rig.first + 2))
                    .expect("sent");
            }
            rig.until(|snapshot| snapshot.received >= 60 * (round + 1));
            rig.assert_at_rest(8);
            for packet in 0..20u8 {
                let (len, _) = rig.ai.hear(0, &mut heard);
                assert_eq!(heard[HEADER..len], [packet; 160]);
                let (len, _) = rig.caller.hear(0, &mut heard);
                assert_eq!(heard[HEADER..len], [packet; 160]);
            }
        }
        let snapshot = rig.worker.snapshot;
        assert_eq!(snapshot.forwarded, 2_000);
        assert_eq!(snapshot.dropped.iter().sum::<u64>(), 1_000);
        assert_eq!((snapshot.lost, snapshot.send_errors, snapshot.kernel_drops), (0, 0, 0));
        if backend == Backend::Uring {
            assert!(snapshot.receive_rearms > 0, "eight buffers ran dry");
        }
        assert_eq!(snapshot.receive_errors, 0);
        assert_eq!(snapshot.completion_overflows, 0);
    }
}

#[test]
fn a_leg_s_socket_follows_its_latch() {
    for backend in BOTH {
        let mut rig = Rig::new(backend, 8, 256 * 1024);
        let (caller, ai) = (rig.caller.address(), rig.ai.address());
        let mut said = 0;
        let mut talk = |rig: &mut Rig, rounds: u8| {
            let mut heard = [0; 1500];
            for round in 0..rounds {
                rig.caller.say(rig.first, &[round; 160]);
                rig.ai.say(rig.first + 2, &[round; 160]);
                said += 2;
                rig.until(|snapshot| snapshot.forwarded == said);
                rig.turn();
                for peer in [&rig.caller, &rig.ai] {
                    let (len, _) = peer.hear(0, &mut heard);
                    assert_eq!(heard[HEADER..len], [round; 160]);
                }
            }
        };
        let peers = |rig: &Rig| [0, 2].map(|socket| rig.worker.net.peer(socket));
        let again = |rig: &mut Rig, generation: u64, exchange: u32, latch: Latch| {
            let mut ai = leg(2, rig.first + 2, &rig.ai, hears(&[1]));
            (ai.exchange, ai.latch) = (exchange, latch);
            let legs = [leg(1, rig.first, &rig.caller, hears(&[2])), ai];
            assert!(rig.worker.channel.send(set(1, generation, legs)).is_ok());
            // What is to be handed over, and what comes of it.
            (0..4).for_each(|_| rig.turn());
        };
        assert_eq!(peers(&rig), [None, None], "nobody has spoken");
        talk(&mut rig, 5);
        assert_eq!(peers(&rig), [Some(caller), Some(ai)]);

        // The AI moves by a re-INVITE: it is heard from there with its first packet.
        rig.ai = Peer::new(0x33, Codec::Pcmu);
        again(&mut rig, 2, 2, Latch::SignalledIp);
        assert_eq!(peers(&rig), [Some(caller), None]);
        talk(&mut rig, 5);
        assert_eq!(peers(&rig), [Some(caller), Some(rig.ai.address())]);

        // The same again changes nothing; in nat mode anybody may be the next.
        again(&mut rig, 3, 2, Latch::SignalledIp);
        assert_eq!(peers(&rig), [Some(caller), Some(rig.ai.address())]);
        again(&mut rig, 4, 2, Latch::Nat);
        assert_eq!(peers(&rig), [Some(caller), None]);
        talk(&mut rig, 5);
        assert_eq!(peers(&rig), [Some(caller), None]);

        // A port without a leg is open to whom it has next.
        assert!(rig.worker.channel.send(Command::End { session: SessionId(1) }).is_ok());
        (0..4).for_each(|_| rig.turn());
        assert_eq!(peers(&rig), [None, None]);
        let snapshot = rig.worker.snapshot;
        assert_eq!(
            (snapshot.lost, snapshot.send_errors, snapshot.receive_errors),
            (0, 0, 0)
        );
    }
}

#[test]
fn a_refused_send_is_counted_as_lost_and_ends_nothing() {
    for backend in BOTH {
        let mut rig = Rig::new(backend, 8, 256 * 1024);
        let legs = |rig: &Rig, remote: SocketAddr| {
            let mut ai = leg(2, rig.first + 2, &rig.ai, hears(&[1]));
            ai.remote = Some(remote);
            [leg(1, rig.first, &rig.caller, hears(&[2])), ai]
        };
        // Our sockets are IPv4: the kernel cannot send there.
        let nowhere = legs(&rig, "[::1]:9".parse().expect("an address"));
        assert!(rig.worker.channel.send(set(1, 2, nowhere)).is_ok());
        rig.turn();
        for _ in 0..10 {
            rig.caller.say(rig.first, &[1; 160]);
        }
        rig.until(|snapshot| snapshot.send_errors == 10);
        rig.turn();
        rig.assert_at_rest(8);
        assert_eq!(rig.worker.snapshot.lost, 10);

        let there = legs(&rig, rig.ai.address());
        assert!(rig.worker.channel.send(set(1, 3, there)).is_ok());
        rig.turn();
        rig.caller.say(rig.first, &[2; 160]);
        rig.until(|snapshot| snapshot.forwarded == 11);
        rig.turn();
        let mut heard = [0; 1500];
        let (len, _) = rig.ai.hear(0, &mut heard);
        assert_eq!(heard[HEADER..len], [2; 160]);
        assert_eq!(rig.worker.snapshot.lost, 10);
    }
}

#[test]
fn what_the_kernel_drops_is_counted_as_lost() {
    for backend in BOTH {
        let mut rig = Rig::new(backend, 8, 1);
        let mut heard = [0; 1500];
        rig.caller.say(rig.first, &[1; 160]);
        rig.until(|snapshot| snapshot.forwarded == 1);
        // The worker does not turn: its socket's queue overflows.
        for _ in 0..200 {
            rig.caller.say(rig.first, &[2; 160]);
        }
        rig.turn();
        rig.assert_at_rest(8);
        // The kernel tells with the first packet that it queues after the drops.
        let before = rig.worker.snapshot.received;
        rig.caller.say(rig.first, &[3; 160]);
        rig.until(|snapshot| snapshot.received > before);
        rig.assert_at_rest(8);
        let snapshot = rig.worker.snapshot;
        assert!(snapshot.lost > 0, "200 packets fitted into the smallest queue");
        assert_eq!(snapshot.lost + snapshot.forwarded, 202);
        assert_eq!(snapshot.kernel_drops, snapshot.lost);
        while heard[HEADER] != 3 {
            rig.ai.hear(0, &mut heard);
        }
    }
}

#[test]
fn what_the_kernel_dropped_at_the_end_of_a_burst_is_in_the_evidence() {
    for backend in BOTH {
        for ends in [false, true] {
            let mut rig = Rig::new(backend, 8, 1);
            let legs = |rig: &Rig| {
                [
                    leg(1, rig.first, &rig.caller, hears(&[2])),
                    leg(2, rig.first + 2, &rig.ai, hears(&[1])),
                ]
            };
            let mut watched = set(1, 2, legs(&rig));
            if let Command::Set { spec, .. } = &mut watched {
                spec.watch = Some(Watch {
                    window: WindowId(5),
                    first_word_of: None,
                });
            }
            assert!(rig.worker.channel.send(watched).is_ok());
            rig.turn();
            for _ in 0..200 {
                rig.caller.say(rig.first, &[2; 160]);
            }
            rig.turn();
            rig.assert_at_rest(8);
            if backend == Backend::Uring {
                assert_eq!(rig.worker.snapshot.lost, 0, "no packet came to tell of it");
            }
            let closes = if ends {
                Command::End { session: SessionId(1) }
            } else {
                set(1, 3, legs(&rig))
            };
            assert!(rig.worker.channel.send(closes).is_ok());
            let mut evidence = None;
            while evidence.is_none() {
                rig.turn();
                while let Some((_, event)) = rig.events.try_recv() {
                    if let Event::Evidence { listeners, .. } = event {
                        evidence = listeners.iter().find(|(id, _)| *id == LegId(2)).map(|(_, ai)| *ai);
                    }
                }
            }
            let snapshot = rig.worker.snapshot;
            let ai = evidence.expect("the AI was listening");
            assert!(ai.lost > 0, "200 packets fitted into the smallest queue");
            assert_eq!((ai.sent + ai.lost, ai.upstream_lost), (200, 0));
            assert_eq!((snapshot.lost, snapshot.kernel_drops), (ai.lost, ai.lost));
            // The next packet tells the same count: nothing is lost twice.
            rig.caller.say(rig.first, &[3; 160]);
            rig.until(|now| now.received > snapshot.received);
            assert_eq!(rig.worker.snapshot.lost, ai.lost);
        }
    }
}

#[test]
fn a_full_queue_of_commands_holds_up_no_packet() {
    for backend in BOTH {
        let mut rig = Rig::new(backend, 8, 256 * 1024);
        let end = |session| Command::End {
            session: SessionId(session),
        };
        let mut heard = [0; 1500];
        for round in 0..20u8 {
            let full = (100..).find(|&session| rig.worker.channel.send(end(session)).is_err());
            assert_eq!(full, Some(104), "it holds four");
            rig.caller.say(rig.first, &[round; 160]);
            rig.until(|snapshot| snapshot.forwarded > u64::from(round));
            let mut ended = Vec::new();
            while ended.len() < 4 {
                rig.turn();
                while let Some((_, event)) = rig.events.try_recv() {
                    if let Event::Ended { session } = event {
                        ended.push(session.0);
                    }
                }
            }
            assert_eq!(ended, [100, 101, 102, 103], "each that was taken is answered");
            let (len, _) = rig.ai.hear(0, &mut heard);
            assert_eq!(heard[HEADER..len], [round; 160]);
        }
    }
}

#[test]
fn a_reader_of_events_that_stands_still_holds_up_no_packet() {
    for backend in BOTH {
        let mut rig = Rig::new(backend, 8, 256 * 1024);
        let mut heard = [0; 1500];
        for session in 100..140 {
            let session = SessionId(session);
            assert!(rig.worker.channel.send(Command::End { session }).is_ok());
            let said = session.0 as u8;
            rig.caller.say(rig.first, &[said; 160]);
            rig.until(|snapshot| snapshot.forwarded > session.0 - 100);
            rig.turn();
            let (len, _) = rig.ai.hear(0, &mut heard);
            assert_eq!(heard[HEADER..len], [said; 160]);
        }
        assert!(rig.worker.snapshot.event_waits > 0, "the queue holds four");
        assert_eq!(rig.worker.snapshot.lost, 0);
        let mut ended = Vec::new();
        let start = clock::now();
        while ended.len() < 40 {
            assert!(start.elapsed() < PATIENCE, "{ended:?}");
            rig.turn();
            while let Some((_, event)) = rig.events.try_recv() {
                ended.extend(matches!(event, Event::Ended { .. }).then_some(event));
            }
        }
        let wanted = (100..140).map(|session| Event::Ended {
            session: SessionId(session),
        });
        assert!(ended.into_iter().eq(wanted), "all, and in their order");
    }
}
