//! What those get who may not call: as little as possible, and nothing that is kept.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::time::{Duration, Instant};

/// Refusals that strangers get in one second, all together, and that they may get at once.
const REFUSALS: u32 = 100;

/// Answers to their OPTIONS, in the same way: whoever watches us need not be somebody who calls.
const OPTIONS: u32 = 1000;

/// Who may call, and how much the others may still be told.
#[derive(Debug)]
pub(super) struct Strangers {
    /// `None`: everybody may call.
    admitted: Option<BTreeSet<IpAddr>>,
    refusals: Allowance,
    options: Allowance,
}

/// So many a second. One count for all of them: a count for each would grow with the addresses that somebody can write on a datagram.
#[derive(Debug)]
struct Allowance {
    each_second: u32,
    left: u32,
    /// Up to when they have been counted.
    refilled: Option<Instant>,
}

impl Default for Strangers {
    fn default() -> Strangers {
        Strangers {
            admitted: None,
            refusals: Allowance::new(REFUSALS),
            options: Allowance::new(OPTIONS),
        }
    }
}

impl Strangers {
    pub(super) fn admit(&mut self, callers: impl IntoIterator<Item = IpAddr>) {
        self.admitted = Some(callers.into_iter().collect());
    }

    pub(super) fn may_call(&self, from: IpAddr) -> bool {
        self.admitted.as_ref().is_none_or(|admitted| admitted.contains(&from))
    }

    /// Whether a refusal may be sent there; it is counted.
    pub(super) fn may_refuse(&mut self, to: IpAddr) -> bool {
        self.may_call(to) || self.refusals.take()
    }

    /// Whether an OPTIONS that came from there may be answered; it is counted.
    pub(super) fn may_ask(&mut self, from: IpAddr) -> bool {
        self.may_call(from) || self.options.take()
    }

    /// Time has passed.
    pub(super) fn refill(&mut self, now: Instant) {
        self.refusals.refill(now);
        self.options.refill(now);
    }
}

impl Allowance {
    fn new(each_second: u32) -> Allowance {
        Allowance {
            each_second,
            left: each_second,
            refilled: None,
        }
    }

    fn take(&mut self) -> bool {
        let left = self.left > 0;
        self.left = self.left.saturating_sub(1);
        left
    }

    fn refill(&mut self, now: Instant) {
        let each = Duration::from_secs(1) / self.each_second;
        let Some(refilled) = self.refilled else {
            self.refilled = Some(now);
            return;
        };
        let earned = now.saturating_duration_since(refilled).as_nanos() / each.as_nanos();
        if u128::from(self.left) + earned >= u128::from(self.each_second) {
            (self.left, self.refilled) = (self.each_second, Some(now));
        } else {
            // Below `each_second`, so it fits.
            self.left += earned as u32;
            self.refilled = Some(refilled + each * earned as u32);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strangers_share_so_many_refusals_a_second() {
        let known: IpAddr = [192, 0, 2, 1].into();
        let start = Instant::now();
        let mut strangers = Strangers::default();
        strangers.refill(start);
        strangers.admit([known]);
        let mut refused = 0;
        // 10,000 a second for ten seconds, each from an address of its own.
        for number in 0..100_000u32 {
            strangers.refill(start + Duration::from_micros(100) * number);
            refused += u32::from(strangers.may_refuse(IpAddr::from(number.to_be_bytes())));
            assert!(strangers.may_refuse(known));
        }
        assert_eq!(refused, REFUSALS + 999, "100 at once, then 100 a second");
        strangers.refill(start + Duration::from_secs(3600));
        let burst = (0..1000)
            .filter(|_| strangers.may_refuse([198, 51, 100, 1].into()))
            .count();
        assert_eq!(burst, REFUSALS as usize, "what was not used is not saved up");
    }
}
