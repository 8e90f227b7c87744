//! How often somebody may ask: pure, on the time that it is given.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::time::{Duration, Instant};

use crate::config::Rate;

/// Wrong keys that one address may show at once, and how soon it may show another one after that.
const WRONG: Rate = Rate {
    per_second: 1,
    burst: 20,
};

/// Addresses of which something is remembered.
const ADDRESSES: usize = 10_000;

/// A token bucket, as the time at which it will be full again (the "theoretical arrival time" of ITU-T I.371's generic cell rate
/// algorithm): one number, and no tokens to count.
#[derive(Clone, Copy, Debug)]
struct Bucket {
    full_at: Instant,
}

impl Bucket {
    /// Takes one, or says how long until there is one.
    fn take(&mut self, rate: Rate, now: Instant) -> Result<(), Duration> {
        let each = Duration::from_secs(1) / rate.per_second.max(1);
        let depth = each * rate.burst.max(1);
        let full_at = self.full_at.max(now) + each;
        match full_at.saturating_duration_since(now).checked_sub(depth) {
            None | Some(Duration::ZERO) => {
                self.full_at = full_at;
                Ok(())
            }
            Some(wait) => Err(wait),
        }
    }

    /// Whether one could be taken.
    fn has_one(self, rate: Rate, now: Instant) -> Result<(), Duration> {
        let mut copy = self;
        copy.take(rate, now)
    }
}

/// Who asked how often.
#[derive(Debug, Default)]
pub(super) struct Rates {
    /// By the key's name: no more than there are keys.
    keys: HashMap<String, Bucket>,
    /// By address.
    guests: HashMap<IpAddr, Guest>,
}

/// What is known of an address.
#[derive(Debug)]
struct Guest {
    wrong: Bucket,
    /// Keys that it has shown and that were right: who has one is not locked out by a neighbour who guesses.
    right: Vec<String>,
}

impl Rates {
    /// A request with this key.
    ///
    /// # Errors
    /// How long until it may be made again.
    pub(super) fn request(&mut self, key: &str, rate: Rate, now: Instant) -> Result<(), Duration> {
        let bucket = match self.keys.get_mut(key) {
            Some(bucket) => bucket,
            None => self.keys.entry(key.to_owned()).or_insert(Bucket { full_at: now }),
        };
        bucket.take(rate, now)
    }

    /// A right key from this address.
    ///
    /// # Errors
    /// Where too many wrong ones came from there, and this one never did: whoever guesses is not told that it has found one.
    pub(super) fn right_key(&mut self, from: IpAddr, key: &str, now: Instant) -> Result<(), Duration> {
        let guest = self.guest(network(from), now);
        if guest.right.iter().any(|known| known == key) {
            return Ok(());
        }
        guest.wrong.has_one(WRONG, now)?;
        guest.right.push(key.to_owned());
        Ok(())
    }

    /// A wrong key from this address.
    ///
    /// # Errors
    /// Where too many came from there.
    pub(super) fn wrong_key(&mut self, from: IpAddr, now: Instant) -> Result<(), Duration> {
        self.guest(network(from), now).wrong.take(WRONG, now)
    }

    fn guest(&mut self, from: IpAddr, now: Instant) -> &mut Guest {
        if self.guests.len() >= ADDRESSES && !self.guests.contains_key(&from) {
            self.make_room(now);
        }
        self.guests.entry(from).or_insert_with(|| Guest {
            wrong: Bucket { full_at: now },
            right: Vec::new(),
        })
    }

    /// Those of whom only good is known are forgotten first; else all, which is no worse than an attacker with as many addresses.
    fn make_room(&mut self, now: Instant) {
        self.guests.retain(|_, guest| guest.wrong.full_at > now);
        if self.guests.len() >= ADDRESSES {
            self.guests.clear();
        }
    }
}

/// What one site has: an IPv4 address, or a network of 64 bits (RFC 6177 §2).
fn network(from: IpAddr) -> IpAddr {
    match from.to_canonical() {
        IpAddr::V6(address) => {
            let network = u128::from(address) & !u128::from(u64::MAX);
            IpAddr::V6(Ipv6Addr::from(network))
        }
        v4 => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RATE: Rate = Rate {
        per_second: 10,
        burst: 5,
    };

    fn after(start: Instant, ms: u64) -> Instant {
        start + Duration::from_millis(ms)
    }

    #[test]
    fn a_burst_is_let_through_and_then_the_rate() {
        let (start, mut rates) = (Instant::now(), Rates::default());
        let mut ask = |ms| rates.request("a", RATE, after(start, ms));
        for _ in 0..5 {
            assert_eq!(ask(0), Ok(()));
        }
        assert_eq!(ask(0), Err(Duration::from_millis(100)));
        assert_eq!(ask(60), Err(Duration::from_millis(40)));
        assert_eq!(ask(100), Ok(()));
        assert_eq!(ask(100), Err(Duration::from_millis(100)));
        // An hour of silence saves up no more than one burst.
        for n in 0..6 {
            assert_eq!(ask(3_600_000).is_ok(), n < 5, "{n}");
        }
    }

    #[test]
    fn over_a_long_time_exactly_the_rate_is_served() {
        let (start, mut rates) = (Instant::now(), Rates::default());
        let served = (0..60_000).filter(|ms| rates.request("a", RATE, after(start, *ms)).is_ok());
        assert_eq!(served.count(), 5 + 599);
    }

    #[test]
    fn the_default_serves_a_platform_of_a_thousand_turns_a_second() {
        let (start, mut rates) = (Instant::now(), Rates::default());
        // Turns at 1,000 a second in gusts of 100, and a context for every fourth.
        for gust in 0..600 {
            for _ in 0..125 {
                assert_eq!(rates.request("a", Rate::DEFAULT, after(start, gust * 100)), Ok(()));
            }
        }
    }

    #[test]
    fn keys_do_not_hinder_each_other() {
        let (now, mut rates) = (Instant::now(), Rates::default());
        while rates.request("a", RATE, now).is_ok() {}
        assert_eq!(rates.request("b", RATE, now), Ok(()));
    }

    #[test]
    fn who_guesses_is_slowed_down_and_learns_nothing() {
        let (start, mut rates) = (Instant::now(), Rates::default());
        let [guesser, other]: [IpAddr; 2] = ["192.0.2.1", "192.0.2.2"].map(|ip| ip.parse().expect("an address"));
        assert_eq!(rates.right_key(guesser, "known", start), Ok(()));
        for _ in 0..WRONG.burst {
            assert_eq!(rates.wrong_key(guesser, start), Ok(()));
        }
        assert!(rates.wrong_key(guesser, start).is_err());
        // Found at last: it looks like all the others. Who was here before is served.
        assert!(rates.right_key(guesser, "found", start).is_err());
        assert_eq!(rates.right_key(guesser, "known", start), Ok(()));
        assert_eq!(rates.right_key(other, "found", start), Ok(()));
        assert_eq!(rates.wrong_key(guesser, after(start, 1_000)), Ok(()));
        assert!(rates.wrong_key(guesser, after(start, 1_000)).is_err());
    }

    #[test]
    fn an_ipv6_network_is_one_guest_and_their_number_is_bounded() {
        let (now, mut rates) = (Instant::now(), Rates::default());
        let of = |network: u64, host: u64| {
            let address = u128::from(network) << 64 | u128::from(host);
            IpAddr::V6(Ipv6Addr::from(address))
        };
        for host in 0..u64::from(WRONG.burst) {
            assert_eq!(rates.wrong_key(of(7, host), now), Ok(()));
        }
        assert!(rates.wrong_key(of(7, 1 << 40), now).is_err());
        for network in 100..100 + 3 * ADDRESSES as u64 {
            assert_eq!(rates.wrong_key(of(network, 1), now), Ok(()));
            assert!(rates.guests.len() <= ADDRESSES);
        }
    }
}
