//! Which URIs a REFER may name: a target's patterns, and what is compared with them.
//!
//! Toll fraud is a Refer-To that means one thing to us and another to the carrier. So what is compared is very little, and
//! what is compared is all that is dialled: `sip:user@host` or `sip:user@host:port`, of plain characters, without a
//! password, an escape, a parameter or a header. Whatever else RFC 3261 §19.1 allows is refused, not understood.

use std::fmt;

/// Characters of a user, and what `*` in a pattern stands for.
fn plain(c: u8) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, b'-' | b'.' | b'_')
}

/// The longest user.
const USER_MAX: usize = 64;
/// The longest host (RFC 1035 §2.3.4).
const HOST_MAX: usize = 253;

/// A URI of which nothing is left to interpret.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Plain<'a> {
    pub(crate) user: &'a str,
    host: &'a str,
    port: Option<u16>,
}

impl<'a> Plain<'a> {
    /// `None` where it is anything else, or more.
    pub(crate) fn parse(uri: &'a str) -> Option<Plain<'a>> {
        let (user, host, port) = split(uri)?;
        let user_is_plain = user.bytes().all(|c| plain(c) || c == b'+');
        user_is_plain.then_some(Plain { user, host, port })
    }

    /// Whether both are the same: the user with its case, the host without (RFC 3261 §19.1.4).
    pub(crate) fn is(&self, other: &Plain<'_>) -> bool {
        self.user == other.user && self.is_at(other.host, other.port)
    }

    /// Whether it is at this host and port. A port that is not written is not 5060 that is.
    pub(crate) fn is_at(&self, host: &str, port: Option<u16>) -> bool {
        self.host.eq_ignore_ascii_case(host) && self.port == port
    }
}

/// User, host and port, each within its bounds, the user not yet looked into.
fn split(uri: &str) -> Option<(&str, &str, Option<u16>)> {
    let (scheme, rest) = uri.split_once(':')?;
    if !scheme.eq_ignore_ascii_case("sip") {
        return None;
    }
    let (user, at) = rest.split_once('@')?;
    let (host, port) = match at.strip_prefix('[') {
        // An IPv6 reference has colons of its own.
        Some(reference) => {
            let (host, after) = reference.split_once(']')?;
            host.parse::<std::net::Ipv6Addr>().ok()?;
            let host = &at[..host.len() + 2];
            match after.strip_prefix(':') {
                Some(port) => (host, Some(port)),
                None if after.is_empty() => (host, None),
                None => return None,
            }
        }
        None => {
            let (host, port) = match at.split_once(':') {
                Some((host, port)) => (host, Some(port)),
                None => (at, None),
            };
            let name = |c: u8| c.is_ascii_alphanumeric() || matches!(c, b'-' | b'.');
            if !host.bytes().all(name) {
                return None;
            }
            (host, port)
        }
    };
    let port = match port {
        Some(digits) if digits.len() <= 5 && digits.bytes().all(|c| c.is_ascii_digit()) => Some(digits.parse().ok()?),
        Some(_) => return None,
        None => None,
    };
    let sound = (1..=USER_MAX).contains(&user.len()) && (1..=HOST_MAX).contains(&host.len()) && port != Some(0);
    sound.then_some((user, host, port))
}

/// `sip:USER@HOST` or `sip:USER@HOST:PORT`. One `*` may stand in the user, for 1 to 32 letters, digits, `-`, `.` or `_`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern {
    before: String,
    /// What follows the `*`; `None` without one.
    after: Option<String>,
    host: String,
    port: Option<u16>,
}

/// The longest that a `*` stands for.
const WILD_MAX: usize = 32;

/// A text that is no pattern.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoPattern;

impl fmt::Display for NoPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            "must be sip:user@host or sip:user@host:port, of letters, digits, \"+\", \"-\", \".\" and \"_\", \
             with at most one * in the user",
        )
    }
}

impl std::error::Error for NoPattern {}

impl Pattern {
    /// Reads a pattern.
    ///
    /// # Errors
    /// Whatever is not of the form above; a `*` in the host among it.
    pub fn parse(text: &str) -> Result<Pattern, NoPattern> {
        let (user, host, port) = split(text).ok_or(NoPattern)?;
        let (before, after) = match user.split_once('*') {
            Some((before, after)) => (before, Some(after)),
            None => (user, None),
        };
        let literal = |part: &str| part.bytes().all(|c| plain(c) || c == b'+');
        if !literal(before) || !after.is_none_or(literal) {
            return Err(NoPattern);
        }
        Ok(Pattern {
            before: before.to_owned(),
            after: after.map(str::to_owned),
            host: host.to_owned(),
            port,
        })
    }

    /// Whether the URI is one of those that the pattern stands for.
    pub fn matches(&self, uri: &str) -> bool {
        Plain::parse(uri).is_some_and(|uri| self.allows(&uri))
    }

    /// The same, of one that is read once for many patterns.
    pub(crate) fn allows(&self, uri: &Plain<'_>) -> bool {
        uri.is_at(&self.host, self.port) && self.has(uri.user)
    }

    fn has(&self, user: &str) -> bool {
        let Some(after) = &self.after else {
            return user == self.before;
        };
        let wild = user
            .strip_prefix(&self.before)
            .and_then(|rest| rest.strip_suffix(after.as_str()));
        wild.is_some_and(|wild| (1..=WILD_MAX).contains(&wild.len()) && wild.bytes().all(plain))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_stands_for_what_it_says_and_for_nothing_else() {
        let pattern = Pattern::parse("sip:+4930*@pbx.example.com").unwrap();
        for yes in [
            "sip:+49301@pbx.example.com",
            "SIP:+4930123456@PBX.example.COM",
            "sip:+4930a.b-c_d@pbx.example.com",
        ] {
            assert!(pattern.matches(yes), "{yes}");
        }
        let long = format!("sip:+4930{}@pbx.example.com", "1".repeat(33));
        for no in [
            "sip:+4930@pbx.example.com",
            "sip:+4931123@pbx.example.com",
            "sip:4930123@pbx.example.com",
            "sip:0+4930123@pbx.example.com",
            // An escape may be a digit, a separator or the end of the user to somebody else.
            "sip:+4930%31@pbx.example.com",
            "sip:%2B4930123@pbx.example.com",
            "sip:+49301%00@pbx.example.com",
            "sip:+49301%40evil.example@pbx.example.com",
            "sip:+49301@evil.example@pbx.example.com",
            "sip:+49301@pbx.example.com@evil.example",
            "sip:+49301@pbx.example.com.evil.example",
            "sip:+49301@evilpbx.example.com",
            "sip:+49301@pbx.example.com.",
            "sip:+49301@pbx.example.com;maddr=198.51.100.1",
            "sip:+49301@pbx.example.com;transport=tcp",
            "sip:+49301@pbx.example.com;user=phone",
            "sip:+49301@pbx.example.com;lr",
            "sip:+49301@pbx.example.com?Replaces=a%3Bto-tag%3Db%3Bfrom-tag%3Dc",
            "sip:+49301@pbx.example.com?Route=%3Csip:evil.example%3Blr%3E",
            "sip:+49301@pbx.example.com?",
            "sip:+49301;phone-context=+1900@pbx.example.com",
            "sip:+49301;ext=1@pbx.example.com",
            "sip:+49301:secret@pbx.example.com",
            "sip:+49301:@pbx.example.com",
            "sip:+49301@pbx.example.com:5060",
            "sip:+49301@pbx.example.com:",
            "sip:+49301@pbx.example.com:99999",
            "sips:+49301@pbx.example.com",
            "tel:+4930123",
            "tel:+4930123;phone-context=pbx.example.com",
            "sip:+49301",
            "sip:pbx.example.com",
            "sip:@pbx.example.com",
            "+49301@pbx.example.com",
            "http://+49301@pbx.example.com",
            "sip://+49301@pbx.example.com",
            " sip:+49301@pbx.example.com",
            "sip:+49301@pbx.example.com ",
            "sip:+4930 1@pbx.example.com",
            "sip:+4930\t1@pbx.example.com",
            "sip:+4930\r\nX: y@pbx.example.com",
            "sip:+4930\0@pbx.example.com",
            "sip:+4930١٢٣@pbx.example.com",
            "sip:+4930１@pbx.example.com",
            "sip:+49301@pbx.exаmple.com",
            "sip:+4930*@pbx.example.com",
            "sip:+4930#1@pbx.example.com",
            "sip:+4930,1@pbx.example.com",
            "sip:+4930+1900@pbx.example.com",
            "",
            &long,
        ] {
            assert!(!pattern.matches(no), "{no}");
        }
    }

    #[test]
    fn without_a_star_only_the_same_user_at_the_same_host_and_port() {
        let pattern = Pattern::parse("sip:Desk.1@192.0.2.7:5070").unwrap();
        assert!(pattern.matches("sip:Desk.1@192.0.2.7:5070"));
        for no in [
            "sip:desk.1@192.0.2.7:5070",
            "sip:Deskx1@192.0.2.7:5070",
            "sip:Desk.1@192.0.2.7",
            "sip:Desk.1@192.0.2.70:5070",
            "sip:Desk.11@192.0.2.7:5070",
        ] {
            assert!(!pattern.matches(no), "{no}");
        }
        let six = Pattern::parse("sip:*@[2001:db8::7]").unwrap();
        assert!(six.matches("sip:anna@[2001:DB8::7]"));
        assert!(!six.matches("sip:anna@[2001:db8::8]") && !six.matches("sip:anna@[2001:db8::7]x"));
    }

    #[test]
    fn what_is_no_pattern_is_said_to_be_none() {
        for no in [
            "",
            "*",
            "sip:*",
            "sip:*@*",
            "sip:a@*.example.com",
            "sip:**@example.com",
            "sip:a*b*@example.com",
            "sip:@example.com",
            "sip:a@",
            "sips:a@example.com",
            "tel:+49*",
            "sip:a%20@example.com",
            "sip:a@example.com;transport=tcp",
            "sip:a@example.com:0",
            "sip:a@[::g]",
            "<sip:a@example.com>",
        ] {
            assert_eq!(Pattern::parse(no), Err(NoPattern), "{no}");
        }
    }
}
