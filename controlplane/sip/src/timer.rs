//! The timers of transactions and sessions: one enum, one array.

use std::time::{Duration, Instant};

/// A timer of RFC 3261 §17 (table 4), RFC 6026, or of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Timer {
    /// INVITE request retransmission.
    A,
    /// INVITE transaction timeout.
    B,
    /// Wait for response retransmissions to an INVITE.
    D,
    /// Non-INVITE request retransmission.
    E,
    /// Non-INVITE transaction timeout.
    F,
    /// INVITE response retransmission.
    G,
    /// Wait for the ACK.
    H,
    /// Wait for ACK retransmissions.
    I,
    /// Wait for non-INVITE request retransmissions.
    J,
    /// Wait for non-INVITE response retransmissions.
    K,
    /// Wait for retransmissions of an accepted INVITE (RFC 6026 §8.7).
    L,
    /// Wait for retransmissions of a 2xx and for forked ones (RFC 6026 §8.4).
    M,
    /// Of a session: repeat our 2xx (RFC 3261 §13.3.1.4).
    Repeat2xx,
    /// Of a session: our 2xx was never acknowledged (RFC 3261 §13.3.1.4).
    NoAck,
    /// Of a session: repeat our re-INVITE after a 491 (RFC 3261 §14.1).
    Glare,
    /// Of a session: our re-INVITE that nobody needs has had a provisional answer at the most, and is taken back (RFC 3261 §9.1).
    Unanswered,
    /// Of a session: repeat our provisional answer so that no proxy gives up (RFC 3261 §13.3.1.1).
    Ringing,
}

impl Timer {
    const ALL: [Timer; 17] = [
        Timer::A,
        Timer::B,
        Timer::D,
        Timer::E,
        Timer::F,
        Timer::G,
        Timer::H,
        Timer::I,
        Timer::J,
        Timer::K,
        Timer::L,
        Timer::M,
        Timer::Repeat2xx,
        Timer::NoAck,
        Timer::Glare,
        Timer::Unanswered,
        Timer::Ringing,
    ];
}

/// When each timer fires, if it is set.
#[derive(Clone, Debug, Default)]
pub(crate) struct Timers([Option<Instant>; Timer::ALL.len()]);

impl Timers {
    /// Sets, or sets anew.
    pub(crate) fn set(&mut self, timer: Timer, at: Instant) {
        self.0[timer as usize] = Some(at);
    }

    /// Stops one.
    pub(crate) fn stop(&mut self, timer: Timer) {
        self.0[timer as usize] = None;
    }

    /// Stops all.
    pub(crate) fn stop_all(&mut self) {
        *self = Timers::default();
    }

    /// When the first of them fires.
    pub(crate) fn next_timeout(&self) -> Option<Instant> {
        self.0.iter().flatten().min().copied()
    }

    /// The first that has fired by `now`; it is stopped.
    pub(crate) fn expired(&mut self, now: Instant) -> Option<Timer> {
        let at = self.next_timeout().filter(|&at| at <= now)?;
        let timer = Timer::ALL
            .into_iter()
            .find(|&timer| self.0[timer as usize] == Some(at))?;
        self.stop(timer);
        Some(timer)
    }
}

/// The three times that all timers are made of (RFC 3261 table 4), and whether the transport repeats by itself.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Times {
    /// Round-trip estimate.
    pub(crate) t1: Duration,
    /// Longest retransmission interval of a non-INVITE request and of an INVITE response.
    pub(crate) t2: Duration,
    /// Longest that a message stays in the network.
    pub(crate) t4: Duration,
    /// TCP, TLS: no retransmissions, and no waiting for those of the peer.
    pub(crate) reliable: bool,
}

impl Times {
    /// 64·T1: how long a transaction waits for its peer.
    pub(crate) fn timeout(&self) -> Duration {
        self.t1 * 64
    }

    /// A wait that a reliable transport spares: "zero seconds for reliable transports" (timers D, I, J, K).
    pub(crate) fn absorb(&self, wait: Duration) -> Duration {
        if self.reliable { Duration::ZERO } else { wait }
    }
}

#[cfg(test)]
mod tests {
    use super::{Timer, Timers};
    use std::time::{Duration, Instant};

    #[test]
    fn the_earliest_fires_first_and_once() {
        let now = Instant::now();
        let at = |ms| now + Duration::from_millis(ms);
        let mut timers = Timers::default();
        timers.set(Timer::B, at(30));
        timers.set(Timer::A, at(10));
        timers.set(Timer::A, at(20));
        assert_eq!(timers.next_timeout(), Some(at(20)));
        assert_eq!(timers.expired(at(19)), None);
        assert_eq!(timers.expired(at(40)), Some(Timer::A));
        assert_eq!(timers.expired(at(40)), Some(Timer::B));
        assert_eq!(timers.expired(at(40)), None);
        assert_eq!(timers.next_timeout(), None);
    }

    #[test]
    fn every_timer_has_its_own_place() {
        for (place, timer) in Timer::ALL.into_iter().enumerate() {
            assert_eq!(timer as usize, place);
        }
    }
}
