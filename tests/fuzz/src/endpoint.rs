//! A live endpoint that gets mutated messages of its own dialogs from a peer, and a bystander who must not notice.
//!
//! The input is a row of datagrams, divided by lines of `====`. In them `{A}` is our tag in a confirmed dialog, `{R}` in one that rings,
//! and `{C}`, `{I}` and `{B}` are From tag, Call-ID and branch of our own INVITE, which has no answer yet.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use bytes::Bytes;
use sip::endpoint::{Alive, Config, DialogId, Endpoint, Event, Invite, Transmit};
use sip::message::Message;

use crate::peer::{Names, SDP, bystander, hostile, parts, request, tag_of, us};
use crate::rtp::START;
use crate::sip::well_formed;
use crate::user::User;

/// What one datagram may make us send at once, and keep: its answer, a BYE or an ACK, a re-INVITE of our user's.
const SENT_MAX: usize = 6;

pub(crate) fn target(data: &[u8]) {
    let mut world = World::new();
    for part in parts(data) {
        world.datagram(part);
    }
    world.finish();
}

struct World {
    end: Endpoint,
    now: Instant,
    user: User,
    calm_tag: String,
    names: Names,
    datagrams: usize,
    before: Alive,
}

impl World {
    fn new() -> World {
        let ms = Duration::from_millis;
        let config = Config {
            advertise: us(),
            agent: "fuzz".into(),
            t1: ms(500),
            t2: ms(4000),
            t4: ms(5000),
            seed: 11,
            transactions: 1000,
            also: None,
            flows: None,
        };
        let mut end = Endpoint::new(config);
        let now = *START;
        let (a, a_tag) = connect(&mut end, now, hostile(), "call-a");
        let (calm, calm_tag) = connect(&mut end, now, bystander(), "5b1d0c");
        end.handle_datagram(now, hostile(), request("INVITE", hostile(), "call-r", 1, "", ""));
        let ringing = invited(&mut end);
        end.ring(now, ringing, 180, None).expect("it came");
        let ringing_tag = tag_of(&last_sent(&mut end));
        let invite = Invite {
            to: format!("sip:peer@{}", hostile()),
            from: "<sip:us@192.0.2.1>".into(),
            offer: Some(Bytes::from_static(SDP.as_bytes())),
            ..Invite::default()
        };
        let called = end.invite(now, invite);
        let sent = last_sent(&mut end);
        let names = vec![
            ("{A}", a_tag),
            ("{R}", ringing_tag),
            ("{C}", sent.from().and_then(|from| from.tag()).expect("our tag")),
            ("{I}", sent.call_id().expect("our Call-ID").into_owned()),
            ("{B}", sent.via().and_then(|via| via.branch()).expect("our branch")),
        ];
        World {
            before: end.alive(),
            user: User {
                live: vec![a, ringing, called],
                calm,
            },
            end,
            now,
            calm_tag,
            names: Names(names),
            datagrams: 0,
        }
    }

    fn datagram(&mut self, part: &[u8]) {
        let bytes = self.names.put_into(part);
        self.datagrams += 1;
        // Time and source depend on the datagram alone.
        let hash = bytes
            .iter()
            .fold(7u32, |hash, c| hash.wrapping_mul(31).wrapping_add(u32::from(*c)));
        self.now += Duration::from_millis(u64::from(hash % 700));
        self.end.handle_timeout(self.now);
        self.take(200);
        let from = if hash.is_multiple_of(9) { bystander() } else { hostile() };
        self.end.handle_datagram(self.now, from, bytes);
        self.user.events(&mut self.end, self.now, hash);
        self.take(SENT_MAX);
        let alive = self.end.alive();
        assert!(
            alive.transactions <= self.before.transactions + 3 * self.datagrams
                && alive.dialogs <= self.before.dialogs + self.datagrams,
            "{alive:?} after {} datagrams",
            self.datagrams
        );
    }

    /// Looks at what we send.
    fn take(&mut self, most: usize) -> Vec<Transmit> {
        let sent: Vec<_> = std::iter::from_fn(|| self.end.poll_transmit()).collect();
        assert!(sent.len() <= most, "{} datagrams at once", sent.len());
        for transmit in &sent {
            let message = well_formed(&transmit.bytes);
            // What answers garbage repeats the garbage; a request is all ours.
            if message.method().is_some() {
                assert_eq!(message.check(), Ok(()), "{message}");
            }
        }
        sent
    }

    fn finish(mut self) {
        // The bystander is still there, and its hanging up is told.
        let ask = request("OPTIONS", bystander(), "5b1d0c", 2, &self.calm_tag, "");
        self.end.handle_datagram(self.now, bystander(), ask);
        assert_eq!(self.answer("OPTIONS"), Some(200));
        let bye = request("BYE", bystander(), "5b1d0c", 3, &self.calm_tag, "");
        self.end.handle_datagram(self.now, bystander(), bye);
        assert_eq!(self.answer("BYE"), Some(200));
        let events: Vec<_> = std::iter::from_fn(|| self.end.poll_event()).collect();
        assert!(
            events
                .iter()
                .any(|event| matches!(event, Event::Bye { dialog, .. } if *dialog == self.user.calm)),
            "{events:?}"
        );
        // Whatever the others did, everything ends.
        for dialog in std::mem::take(&mut self.user.live) {
            let _ = self.end.end(self.now, dialog, None);
        }
        let mut steps = 0;
        while let Some(at) = self.end.poll_timeout() {
            steps += 1;
            assert!(steps < 100_000, "timers without end");
            self.now = self.now.max(at);
            self.end.handle_timeout(self.now);
            while let Some(event) = self.end.poll_event() {
                if let Event::Acked { dialog, .. } | Event::Answered { dialog, .. } = event {
                    let _ = self.end.end(self.now, dialog, None);
                }
            }
            self.take(1000);
        }
        assert_eq!(self.end.alive(), Alive::default(), "something is left");
        assert_eq!(self.end.held(), 0, "something is forgotten in a table");
    }

    fn answer(&mut self, method: &str) -> Option<u16> {
        let sent = self.take(1000);
        let answers = sent.iter().filter(|transmit| transmit.to == bystander());
        let mut statuses = answers.filter_map(|transmit| {
            let message = well_formed(&transmit.bytes);
            let ours = message.call_id().as_deref() == Some("5b1d0c") && message.cseq()?.method.as_str() == method;
            if ours { message.status() } else { None }
        });
        statuses.next()
    }
}

fn invited(end: &mut Endpoint) -> DialogId {
    match end.poll_event() {
        Some(Event::Invite { dialog, .. }) => dialog,
        other => panic!("{other:?}"),
    }
}

fn last_sent(end: &mut Endpoint) -> Message {
    let sent = std::iter::from_fn(|| end.poll_transmit())
        .last()
        .expect("something was sent");
    well_formed(&sent.bytes)
}

/// A call that came, was answered and acknowledged.
fn connect(end: &mut Endpoint, now: Instant, peer: SocketAddr, call: &str) -> (DialogId, String) {
    end.handle_datagram(now, peer, request("INVITE", peer, call, 1, "", ""));
    let dialog = invited(end);
    end.answer(now, dialog, Bytes::from_static(SDP.as_bytes()), &[])
        .expect("it came");
    let tag = tag_of(&last_sent(end));
    end.handle_datagram(now, peer, request("ACK", peer, call, 1, &tag, ""));
    assert!(matches!(end.poll_event(), Some(Event::Acked { .. })));
    (dialog, tag)
}
