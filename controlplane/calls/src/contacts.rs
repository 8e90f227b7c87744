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
        if self.order.len() >= ALL {
            self.forget();
        }
        let calls = self.calls.entry(who.to_owned()).or_default();
        let earlier = calls
            .iter()
            .rev()
            .take(EACH)
            .map(|at| now.saturating_duration_since(*at))
            .collect();
        calls.push_back(now);
        self.order.push_back(who.to_owned());
        earlier
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
