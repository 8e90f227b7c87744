//! How ids and times are printed and read.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use calls::notice::{CallId, HandoffId, Party};
use calls::supervisor::Row;
use jiff::Timestamp;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

/// `call_` and 16 hex digits.
pub(crate) fn call(id: CallId) -> String {
    format!("call_{:016x}", id.0)
}

/// Where the API shows the SIP messages of a call.
pub(crate) fn trace_path(id: CallId) -> String {
    format!("/v1/calls/{}/trace", call(id))
}

/// `ho_` and 16 hex digits.
pub(crate) fn handoff(id: HandoffId) -> String {
    format!("ho_{:016x}", id.0)
}

/// `cb_` and 16 hex digits: a callback.
pub(crate) fn callback(random: u64) -> String {
    format!("cb_{random:016x}")
}

/// `ins_` and 16 hex digits: one run of a server.
pub(crate) fn instance(random: u64) -> String {
    format!("ins_{random:016x}")
}

/// The reverse of [`call`]; nothing else is taken.
pub(crate) fn parse_call(text: &str) -> Option<CallId> {
    hex(text.strip_prefix("call_")?).map(CallId)
}

/// The reverse of [`handoff`]; nothing else is taken.
pub(crate) fn parse_handoff(text: &str) -> Option<HandoffId> {
    hex(text.strip_prefix("ho_")?).map(HandoffId)
}

fn hex(text: &str) -> Option<u64> {
    let digits = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    (text.len() == 16 && text.bytes().all(digits)).then(|| u64::from_str_radix(text, 16).ok())?
}

/// Wall-clock times of what the pure parts date with [`Instant`].
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    instant: Instant,
    time: Timestamp,
}

impl Clock {
    pub(crate) fn new() -> Clock {
        Clock {
            instant: Instant::now(),
            time: Timestamp::now(),
        }
    }

    /// RFC 3339 with milliseconds, in UTC.
    pub(crate) fn print(&self, at: Instant) -> String {
        rfc3339(self.time(at))
    }

    /// Milliseconds since 1970.
    pub(crate) fn ms(&self, at: Instant) -> i64 {
        self.time(at).as_millisecond()
    }

    /// The wall clock's.
    pub(crate) fn time(&self, at: Instant) -> Timestamp {
        let time = match at.checked_duration_since(self.instant) {
            Some(later) => self.time.checked_add(later),
            None => self.time.checked_sub(self.instant.duration_since(at)),
        };
        time.unwrap_or(self.time)
    }
}

/// RFC 3339 with milliseconds, in UTC.
pub(crate) fn rfc3339(time: Timestamp) -> String {
    format!("{time:.3}")
}

/// Whole milliseconds.
pub(crate) fn ms(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// SHA-256 of all parts, each with its length, so that none runs into the next; in hexadecimal.
pub(crate) fn digest<T: AsRef<[u8]>>(parts: impl IntoIterator<Item = T>) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        let part = part.as_ref();
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    let mut text = String::with_capacity(64);
    for byte in hash.finalize() {
        // A String takes all that is written.
        let _ = write!(text, "{byte:02x}");
    }
    text
}

/// 64 bits that nobody can guess.
///
/// # Errors
/// Where the system gives none.
pub(crate) fn random_seed() -> std::io::Result<u64> {
    use std::io::Read;
    let mut bytes = [0; 8];
    std::fs::File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    Ok(u64::from_ne_bytes(bytes))
}

/// A table of who hears whom, as the API shows it.
pub(crate) fn hears(rows: &[Row]) -> Value {
    let row = |heard: &[(Party, i8)]| -> Value {
        let entry = |(party, gain_db): &(Party, i8)| json!({ "leg": party.name(), "gain_db": gain_db });
        heard.iter().map(entry).collect()
    };
    let rows = rows.iter().map(|(party, heard)| (party.name().to_owned(), row(heard)));
    Value::Object(rows.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_read_as_they_are_printed_and_not_otherwise() {
        assert_eq!(call(CallId(0xab)), "call_00000000000000ab");
        assert_eq!(parse_call("call_00000000000000ab"), Some(CallId(0xab)));
        assert_eq!(parse_handoff(&handoff(HandoffId(u64::MAX))), Some(HandoffId(u64::MAX)));
        for wrong in [
            "call_",
            "call_ab",
            "call_00000000000000AB",
            "call_+0000000000000ab",
            "ho_00000000000000ab",
            "",
        ] {
            assert_eq!(parse_call(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_digest_is_that_of_its_parts_and_not_of_what_they_make_together() {
        // `printf '\0\0\0\0\0\0\0\003abc' | sha256sum`
        let known = "c3494ca1a2cf8eeb8a11ded316fb55b83c3bbbedb6313cd50415251e5d09e12f";
        assert_eq!(digest(["abc"]), known);
        assert_ne!(digest(["ab", "c"]), digest(["a", "bc"]));
    }

    #[test]
    fn times_have_milliseconds_before_and_after_the_start() {
        let start = Instant::now();
        let clock = Clock {
            instant: start,
            time: Timestamp::from_second(1_700_000_000).expect("in range"),
        };
        assert_eq!(clock.print(start), "2023-11-14T22:13:20.000Z");
        assert_eq!(
            clock.print(start + Duration::from_micros(1_234_567)),
            "2023-11-14T22:13:21.234Z"
        );
        assert_eq!(
            clock.print(start - Duration::from_millis(1)),
            "2023-11-14T22:13:19.999Z"
        );
    }
}
