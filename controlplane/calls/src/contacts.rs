//! Who called when: for rules that look at how often somebody calls.

use std::collections::{HashMap, VecDeque};
use std::time::{Duration, Instant};

/// Calls of one caller that are remembered.
const EACH: usize = 16;

/// Calls that are remembered in all: of more the oldest are forgotten. 100 bytes each.
const ALL: usize = 100_000;

/// Calls that began, by who called.
#[derive(Debug, Default)]
pub(crate) struct Contacts {
    /// The oldest first.
    calls: HashMap<String, VecDeque<Instant>>,
    order: VecDeque<String>,
}

impl Contacts {
    /// A call of this caller begins: how long ago its others did, the latest first.
    pub(crate) fn called(&mut self, now: Instant, caller: &str) -> Vec<Duration> {
        let Some(who) = who(caller) else {
            return Vec::new();
        };
        let calls = self.calls.get(who).into_iter().flatten();
        let earlier = calls.rev().take(EACH).map(|at| now.saturating_duration_since(*at));
        let earlier = earlier.collect();
        self.remember(who, now);
        earlier
    }

    /// A call of this caller began then: no earlier than any that is known.
    pub(crate) fn learn(&mut self, caller: &str, at: Instant) {
        if let Some(who) = who(caller) {
            self.remember(who, at);
        }
    }

    fn remember(&mut self, who: &str, at: Instant) {
        if self.order.len() >= ALL {
            self.forget();
        }
        self.calls.entry(who.to_owned()).or_default().push_back(at);
        self.order.push_back(who.to_owned());
    }

    fn forget(&mut self) {
        let Some(oldest) = self.order.pop_front() else {
            return;
        };
        if let Some(calls) = self.calls.get_mut(&oldest) {
            calls.pop_front();
            if calls.is_empty() {
                self.calls.remove(&oldest);
            }
        }
    }
}

/// By what a caller is known: the user of its URI, since the host is its carrier's. Who does not say who it is (RFC 3323 §4.1.1.3) is nobody.
fn who(caller: &str) -> Option<&str> {
    let (_, rest) = caller.split_once(':')?;
    let user = rest.split(['@', ';', '?', '>']).next().unwrap_or_default();
    let named = rest.contains('@') || !caller.starts_with("sip");
    (named && !user.is_empty() && !user.eq_ignore_ascii_case("anonymous")).then_some(user)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_caller_is_known_by_its_number_whatever_its_carrier() {
        let (mut contacts, start) = (Contacts::default(), Instant::now());
        let at = |seconds| start + Duration::from_secs(seconds);
        assert_eq!(contacts.called(at(0), "sip:+4930123@192.0.2.1"), []);
        assert_eq!(contacts.called(at(5), "sip:+4930124@192.0.2.1"), []);
        assert_eq!(
            contacts.called(at(9), "sips:+4930123@[2001:db8::1]:5061;x=y"),
            [Duration::from_secs(9)]
        );
        let again = contacts.called(at(10), "tel:+4930123");
        assert_eq!(again, [Duration::from_secs(1), Duration::from_secs(10)]);
    }

    #[test]
    fn calls_that_began_before_us_count_like_our_own() {
        let (mut contacts, now) = (Contacts::default(), Instant::now());
        let ago = |hours: u64| Duration::from_secs(3600 * hours);
        // Longer ago than this host may have been up.
        contacts.learn("sip:+4930123@192.0.2.1", now - ago(700));
        contacts.learn("sip:anonymous@anonymous.invalid", now - ago(2));
        contacts.learn("sip:+4930123@192.0.2.9", now - ago(1));
        assert_eq!(contacts.called(now, "tel:+4930123"), [ago(1), ago(700)]);
        assert_eq!(contacts.calls.len(), 1);
    }

    #[test]
    fn who_does_not_say_who_it_is_called_never() {
        let (mut contacts, now) = (Contacts::default(), Instant::now());
        for caller in [
            "sip:anonymous@anonymous.invalid",
            "sip:Anonymous@192.0.2.1",
            "sip:192.0.2.1",
            "sip:@192.0.2.1",
            "",
            "tel:",
        ] {
            assert_eq!(contacts.called(now, caller), [], "{caller}");
            assert_eq!(contacts.called(now, caller), [], "{caller}");
        }
        assert!(contacts.calls.is_empty() && contacts.order.is_empty());
    }

    #[test]
    fn the_oldest_calls_are_forgotten_first() {
        let (mut contacts, now) = (Contacts::default(), Instant::now());
        for _ in 0..EACH + 5 {
            contacts.called(now, "tel:1");
        }
        assert_eq!(contacts.called(now, "tel:1").len(), EACH);
        for other in 0..ALL {
            contacts.called(now, &format!("tel:a{other}"));
        }
        assert_eq!((contacts.order.len(), contacts.calls.len()), (ALL, ALL));
        assert_eq!(contacts.called(now, "tel:1"), []);
    }
}
