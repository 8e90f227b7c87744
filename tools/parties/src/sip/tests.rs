//! Two user agents against each other, on virtual time, with datagrams lost at will.

use std::net::Ipv4Addr;

use super::*;
use crate::codec::Codec;

const CALLER: &str = "127.0.0.1:1000";
const CALLED: &str = "127.0.0.1:2000";

struct World {
    now: Instant,
    caller: Ua,
    called: Ua,
    /// Datagrams from now on that are lost, as bits: the lowest is the next.
    lost: u64,
    sent: Vec<String>,
}

impl World {
    fn new(called: Codec) -> World {
        let agent = |address: &str, port, codec| {
            let media = Local {
                address: Ipv4Addr::LOCALHOST,
                port,
                codec,
                ptime_ms: 20,
                session: 1,
                version: 1,
            };
            Ua::new(address.parse().unwrap(), "x", media)
        };
        World {
            now: Instant::now(),
            caller: agent(CALLER, 3000, Codec::Pcmu),
            called: agent(CALLED, 4000, called),
            lost: 0,
            sent: Vec::new(),
        }
    }

    /// Carries datagrams until nobody has one.
    fn carry(&mut self) {
        for _ in 0..1000 {
            let (datagram, to_called) = match (self.caller.poll_transmit(), self.called.poll_transmit()) {
                (Some((_, datagram)), other) => {
                    if let Some(other) = other {
                        self.called.out.push_front(other);
                    }
                    (datagram, true)
                }
                (None, Some((_, datagram))) => (datagram, false),
                (None, None) => return,
            };
            self.sent.push(Message::parse(&datagram).unwrap().title());
            let lost = self.lost & 1 == 1;
            self.lost >>= 1;
            if lost {
                continue;
            }
            let (from, agent) = match to_called {
                true => (CALLER, &mut self.called),
                false => (CALLED, &mut self.caller),
            };
            agent.handle(self.now, from.parse().unwrap(), &datagram);
        }
        panic!("the two never stop talking");
    }

    fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        while self.now < end {
            self.now += Duration::from_millis(100);
            self.caller.handle_timeout(self.now);
            self.called.handle_timeout(self.now);
            self.carry();
        }
    }

    fn call(&mut self) {
        self.caller
            .invite(self.now, "sip:y@127.0.0.1:2000", CALLED.parse().unwrap());
        self.carry();
    }

    fn events(&mut self) -> (Vec<Event>, Vec<Event>) {
        (
            self.caller.events.drain(..).collect(),
            self.called.events.drain(..).collect(),
        )
    }

    /// A call that is up.
    fn up() -> World {
        let mut world = World::new(Codec::Pcmu);
        world.call();
        assert!(world.called.accept(world.now));
        world.carry();
        world.events();
        world
    }
}

#[test]
fn a_call_from_ringing_to_bye() {
    let mut world = World::new(Codec::Pcmu);
    world.call();
    world.called.ring(world.now);
    world.carry();
    assert!(world.called.accept(world.now));
    world.carry();
    let (caller, called) = world.events();
    let [Event::Answered(answer)] = &caller[..] else {
        panic!("{caller:?}")
    };
    assert_eq!(answer.audio.port(), 4000);
    let [Event::Invited { offer: Some(offer), .. }, Event::Up(None)] = &called[..] else {
        panic!("{called:?}")
    };
    assert_eq!(offer.audio.port(), 3000);
    world.caller.hang_up(world.now);
    world.carry();
    assert_eq!(world.events(), (vec![Event::Over], vec![Event::Ended]));
    assert!(world.caller.is_quiet() && world.called.is_quiet());
    assert_eq!(
        world.sent,
        [
            "INVITE",
            "180 Ringing (INVITE)",
            "200 OK (INVITE)",
            "ACK",
            "BYE",
            "200 OK (BYE)"
        ]
    );
}

#[test]
fn any_early_datagrams_may_be_lost() {
    // Five in a row at most: a sixth repetition comes after 64 × T1.
    for lost in (0..32).flat_map(|bits| [bits, bits << 3]) {
        let mut world = World::new(Codec::Pcmu);
        world.lost = lost;
        world.call();
        for _ in 0..300 {
            world.pass(Duration::from_millis(100));
            world.called.accept(world.now);
            world.carry();
        }
        assert!(matches!(world.events().0[..], [Event::Answered(_)]), "{lost:b}");
        assert!(world.caller.is_quiet() && world.called.is_quiet(), "{lost:b}");
        world.lost = lost;
        world.called.hang_up(world.now);
        world.pass(GIVE_UP);
        assert_eq!(world.events(), (vec![Event::Ended], vec![Event::Over]), "{lost:b}");
        assert!(world.caller.is_quiet() && world.called.is_quiet(), "{lost:b}");
    }
}

#[test]
fn a_refusal_is_acknowledged() {
    let mut world = World::new(Codec::Pcmu);
    world.call();
    world.called.reject(world.now, 486, "Busy Here");
    world.carry();
    let (caller, called) = world.events();
    assert_eq!(caller, [Event::Refused(486)]);
    assert_eq!(called[1..], [Event::Over]);
    world.pass(GIVE_UP);
    assert_eq!(world.sent, ["INVITE", "486 Busy Here (INVITE)", "ACK"]);
}

#[test]
fn a_cancel_waits_for_a_provisional_answer() {
    let mut world = World::new(Codec::Pcmu);
    world.call();
    world.caller.hang_up(world.now);
    world.carry();
    assert_eq!(world.sent, ["INVITE"]);
    world.called.ring(world.now);
    world.carry();
    let (caller, called) = world.events();
    assert_eq!(caller, [Event::Over]);
    assert_eq!(called[1..], [Event::Ended, Event::Over]);
    assert!(world.sent.contains(&"487 Request Terminated (INVITE)".to_owned()));
    assert!(world.caller.is_quiet() && world.called.is_quiet());
}

#[test]
fn an_answer_that_crosses_the_cancel_is_hung_up() {
    let mut world = World::new(Codec::Pcmu);
    world.call();
    world.called.ring(world.now);
    world.carry();
    world.caller.hang_up(world.now);
    world.called.accept(world.now);
    world.carry();
    assert_eq!(world.events().0, [Event::Over]);
    assert!(world.sent.contains(&"BYE".to_owned()));
    assert!(world.caller.is_quiet() && world.called.is_quiet());
}

#[test]
fn a_reinvite_is_answered_and_moves_the_stream() {
    let mut world = World::up();
    // From the side that was called, as Baton would: sendonly, another port.
    let call = world.called.call.take().unwrap();
    let sdp = Local {
        address: Ipv4Addr::LOCALHOST,
        port: 5000,
        ..world.called.media
    }
    .offer()
    .replace("sendrecv", "sendonly");
    let request = world.called.request(&call, "INVITE", 5, "z9hG4bKre", Some(&sdp));
    world.called.call = Some(call);
    world
        .caller
        .handle(world.now, CALLED.parse().unwrap(), &request.print());
    let [Event::Changed(change)] = &world.events().0[..] else {
        panic!()
    };
    assert_eq!((change.audio.port(), change.direction.receives()), (5000, false));
    let (_, answer) = world.caller.poll_transmit().unwrap();
    let answer = Message::parse(&answer).unwrap();
    assert!(answer.body.contains("a=recvonly") && answer.body.contains("o=- 1 2 "));
    // Until the ACK comes it is repeated.
    world.caller.handle_timeout(world.now + T1);
    assert_eq!(world.caller.out.len(), 1);
    let call = world.called.call.take().unwrap();
    let ack = world.called.request(&call, "ACK", 5, "z9hG4bKack", None);
    world.caller.handle(world.now, CALLED.parse().unwrap(), &ack.print());
    assert!(world.caller.is_quiet());
}

#[test]
fn a_codec_that_we_lack_is_refused() {
    let mut world = World::new(Codec::Pcma);
    world.call();
    assert!(!world.called.accept(world.now));
    world.carry();
    assert_eq!(world.events().0, [Event::Refused(488)]);
}

#[test]
fn requests_without_a_call() {
    let mut world = World::up();
    let call = world.caller.call.take().unwrap();
    for (method, title) in [
        ("OPTIONS", "200 OK (OPTIONS)"),
        ("BYE", "481 Call/Transaction Does Not Exist (BYE)"),
        ("INVITE", "486 Busy Here (INVITE)"),
    ] {
        let branch = world.caller.branch();
        let mut request = world.caller.request(&call, method, 1, &branch, None);
        request.set("Call-ID", "another");
        world
            .called
            .handle(world.now, CALLER.parse().unwrap(), &request.print());
        let (_, answer) = world.called.poll_transmit().unwrap();
        assert_eq!(Message::parse(&answer).unwrap().title(), title);
    }
    for (method, title) in [("OPTIONS", "200 OK (OPTIONS)"), ("INFO", "501 Not Implemented (INFO)")] {
        let branch = world.caller.branch();
        let cseq = if method == "INFO" { 11 } else { 10 };
        let request = world.caller.request(&call, method, cseq, &branch, None);
        world
            .called
            .handle(world.now, CALLER.parse().unwrap(), &request.print());
        let (_, answer) = world.called.poll_transmit().unwrap();
        assert_eq!(Message::parse(&answer).unwrap().title(), title);
    }
    assert!(world.events().1.is_empty());
}

#[test]
fn nobody_there_ends_in_time() {
    let mut world = World::new(Codec::Pcmu);
    world.lost = u64::MAX;
    world.call();
    world.pass(GIVE_UP);
    assert_eq!(world.events().0, [Event::TimedOut]);
    // Timer A doubles: at 0, 0.5, 1.5, 3.5, 7.5, 15.5 and 31.5 s.
    assert_eq!(world.sent.len(), 7);
}

#[test]
fn noise_is_dropped() {
    let mut world = World::up();
    for bytes in [&b""[..], b"\r\n\r\n", &[0xff; 100], b"SIP/2.0 200 OK\r\n\r\n"] {
        world.called.handle(world.now, CALLER.parse().unwrap(), bytes);
    }
    assert!(world.called.poll_transmit().is_none());
    assert_eq!(world.events(), (vec![], vec![]));
}
