//! Messages, as they come and go.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};

use super::list;
use super::text::Page;
use crate::tap::{Direction, Start};

/// How many messages are remembered to know those that are said again: of 32 s at 250 a second.
const REMEMBERED: usize = 8192;

/// Totals of messages.
#[derive(Clone, Debug, Default)]
pub(crate) struct SipTotals {
    requests: BTreeMap<(Direction, &'static str), u64>,
    responses: BTreeMap<(Direction, &'static str), u64>,
    repeated: BTreeMap<Direction, u64>,
    malformed: u64,
    strangers: u64,
    send_errors: u64,
}

impl SipTotals {
    pub(crate) fn message(&mut self, direction: Direction, start: &Start, repeated: bool) {
        let total = match start {
            Start::Request(method) => self.requests.entry((direction, method_label(method))),
            Start::Response(status) => self.responses.entry((direction, class(*status))),
        };
        *total.or_default() += 1;
        if repeated {
            *self.repeated.entry(direction).or_default() += 1;
        }
    }

    pub(crate) fn malformed(&mut self) {
        self.malformed += 1;
    }

    pub(crate) fn stranger(&mut self) {
        self.strangers += 1;
    }

    pub(crate) fn send_error(&mut self) {
        self.send_errors += 1;
    }

    /// What is malformed, and INVITEs of strangers.
    #[cfg(test)]
    pub(crate) fn strange(&self) -> (u64, u64) {
        (self.malformed, self.strangers)
    }

    pub(super) fn write(&self, page: &mut Page) {
        let mut requests = page.family(&list::SIP_REQUESTS);
        for ((direction, method), count) in &self.requests {
            requests.set(&[direction.name(), method], count);
        }
        let mut responses = page.family(&list::SIP_RESPONSES);
        for ((direction, class), count) in &self.responses {
            responses.set(&[direction.name(), class], count);
        }
        let mut repeated = page.family(&list::SIP_REPEATED);
        for direction in [Direction::In, Direction::Out] {
            let count = self.repeated.get(&direction).copied().unwrap_or_default();
            repeated.set(&[direction.name()], count);
        }
        page.one(&list::SIP_MALFORMED, self.malformed);
        page.one(&list::SIP_STRANGERS, self.strangers);
        page.one(&list::SIP_SEND_ERRORS, self.send_errors);
    }
}

fn method_label(method: &str) -> &'static str {
    let known = list::SIP_METHODS.iter().find(|known| **known == method);
    known.copied().unwrap_or("other")
}

fn class(status: u16) -> &'static str {
    let class = usize::from(status / 100).clamp(1, list::SIP_CLASSES.len());
    list::SIP_CLASSES[class - 1]
}

/// Knows messages that are said again. Of two that fall on one place the older is forgotten: now and then one counts as new
/// that is not, and none the other way round but by a collision of 64 bits.
#[derive(Clone, Debug)]
pub(crate) struct Repeats {
    seen: Box<[u64]>,
}

impl Default for Repeats {
    fn default() -> Repeats {
        Repeats {
            seen: vec![0; REMEMBERED].into(),
        }
    }
}

impl Repeats {
    /// Whether the same was said before, to or by the same peer.
    pub(crate) fn again(&mut self, direction: Direction, peer: impl Hash, message: &[u8]) -> bool {
        let mut hasher = DefaultHasher::new();
        (direction, peer, message).hash(&mut hasher);
        let hash = hasher.finish();
        let place = &mut self.seen[hash as usize % REMEMBERED];
        std::mem::replace(place, hash) == hash
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_again_is_known_by_peer_and_direction() {
        let mut repeats = Repeats::default();
        assert!(!repeats.again(Direction::Out, 1, b"INVITE"));
        assert!(repeats.again(Direction::Out, 1, b"INVITE"));
        assert!(!repeats.again(Direction::Out, 2, b"INVITE"));
        assert!(!repeats.again(Direction::In, 1, b"INVITE"));
        assert!(!repeats.again(Direction::Out, 1, b"ACK"));
        assert!(repeats.again(Direction::Out, 1, b"INVITE"));
    }

    #[test]
    fn a_stranger_makes_no_series_of_its_own() {
        assert_eq!(method_label("INVITE"), "INVITE");
        assert_eq!(method_label("X-MY-OWN"), "other");
        assert_eq!((class(100), class(299), class(699)), ("1xx", "2xx", "6xx"));
        assert_eq!((class(0), class(65_535)), ("1xx", "6xx"));
    }
}
