//! The network: datagrams between addresses, delayed, lost, doubled and reordered as the profile says.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use crate::random::Random;

/// What a network does to datagrams.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Profile {
    /// Shortest one-way delay.
    pub delay: Duration,
    /// Added to it, uniformly: more than the packet spacing reorders.
    pub jitter: Duration,
    /// Lost, in thousandths.
    pub loss: u32,
    /// Doubled, in thousandths.
    pub duplicate: u32,
}

impl Profile {
    /// 1 ms, and nothing else happens.
    pub const PERFECT: Profile = Profile {
        delay: Duration::from_millis(1),
        jitter: Duration::ZERO,
        loss: 0,
        duplicate: 0,
    };
    /// A bad day.
    pub const BAD: Profile = Profile {
        delay: Duration::from_millis(20),
        jitter: Duration::from_millis(30),
        loss: 50,
        duplicate: 20,
    };
}

/// A datagram under way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Datagram {
    /// Sender.
    pub from: SocketAddr,
    /// Receiver.
    pub to: SocketAddr,
    /// Content.
    pub bytes: Vec<u8>,
}

/// The network.
#[derive(Debug)]
pub struct Net {
    random: Random,
    sip: Profile,
    rtp: Profile,
    under_way: BinaryHeap<Reverse<(Instant, u64, usize)>>,
    slots: Vec<Option<Datagram>>,
    free: Vec<usize>,
    count: u64,
}

impl Net {
    /// An empty network with one profile for SIP and one for media.
    pub fn new(seed: u64, sip: Profile, rtp: Profile) -> Net {
        let (under_way, slots, free) = (BinaryHeap::new(), Vec::new(), Vec::new());
        Net {
            random: Random::new(seed),
            sip,
            rtp,
            under_way,
            slots,
            free,
            count: 0,
        }
    }

    /// Sends: SIP is what goes from or to port 5060, the rest is media.
    pub fn send(&mut self, now: Instant, datagram: Datagram) {
        let sip = datagram.from.port() == 5060 || datagram.to.port() == 5060;
        let profile = if sip { self.sip } else { self.rtp };
        if self.random.chance(profile.loss) {
            return;
        }
        let copies = if self.random.chance(profile.duplicate) { 2 } else { 1 };
        for _ in 0..copies {
            let at = now + profile.delay + self.random.between(Duration::ZERO, profile.jitter);
            self.put(at, datagram.clone());
        }
    }

    fn put(&mut self, at: Instant, datagram: Datagram) {
        let slot = self.free.pop().unwrap_or_else(|| {
            self.slots.push(None);
            self.slots.len() - 1
        });
        self.slots[slot] = Some(datagram);
        self.under_way.push(Reverse((at, self.count, slot)));
        self.count += 1;
    }

    /// When the next datagram arrives.
    pub fn next_at(&self) -> Option<Instant> {
        self.under_way.peek().map(|Reverse((at, ..))| *at)
    }

    /// A datagram that has arrived by `now`.
    pub fn arrived(&mut self, now: Instant) -> Option<Datagram> {
        let Reverse((at, _, slot)) = *self.under_way.peek()?;
        if at > now {
            return None;
        }
        self.under_way.pop();
        self.free.push(slot);
        self.slots[slot].take()
    }
}
