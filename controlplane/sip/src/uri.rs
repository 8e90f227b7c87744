//! URIs: `sip:`, `sips:` (RFC 3261 §19.1), `tel:` (RFC 3966), and any other scheme as opaque text.
//!
//! A URI keeps the text that it was read from and prints it again byte for byte; its parts are views into that text, with
//! the escapes as they came.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::ops::Range;

use crate::work::looked_at;

/// The text is not a URI, or a `sip:`/`sips:` URI that RFC 3261 §25.1 does not allow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InvalidUri;

/// A URI.
#[derive(Clone, Debug)]
pub struct Uri {
    text: Box<str>,
    scheme: Range<usize>,
    user: Option<Range<usize>>,
    password: Option<Range<usize>>,
    host: Option<Range<usize>>,
    address: Option<IpAddr>,
    port: Option<u16>,
    params: Range<usize>,
    headers: Range<usize>,
}

/// A URI's scheme.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme<'a> {
    /// `sip:`
    Sip,
    /// `sips:`
    Sips,
    /// `tel:`
    Tel,
    /// Anything else, as it was written.
    Other(&'a str),
}

/// Where a `sip:` or `sips:` URI points.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Host<'a> {
    /// An IPv4 address.
    V4(Ipv4Addr),
    /// An IPv6 reference.
    V6(Ipv6Addr),
    /// A name to be looked up.
    Name(&'a str),
}

impl Uri {
    /// Reads a URI.
    pub fn parse(text: &str) -> Result<Uri, InvalidUri> {
        looked_at(text.len());
        let colon = text.find(':').ok_or(InvalidUri)?;
        let scheme = &text[..colon];
        let mut characters = scheme.bytes();
        if !characters.next().is_some_and(|first| first.is_ascii_alphabetic())
            || !characters.all(|c| c.is_ascii_alphanumeric() || matches!(c, b'+' | b'-' | b'.'))
            || colon + 1 == text.len()
            || text
                .bytes()
                .any(|c| c <= b' ' || c == 0x7f || matches!(c, b'<' | b'>' | b'"'))
        {
            return Err(InvalidUri);
        }
        let end = text.len();
        let mut uri = Uri {
            text: text.into(),
            scheme: 0..colon,
            user: None,
            password: None,
            host: None,
            address: None,
            port: None,
            params: end..end,
            headers: end..end,
        };
        match uri.scheme() {
            Scheme::Sip | Scheme::Sips => uri.split_sip(colon + 1)?,
            Scheme::Tel => uri.split_tel(colon + 1),
            Scheme::Other(_) => {}
        }
        Ok(uri)
    }

    /// As it was read.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Its scheme; case does not matter.
    pub fn scheme(&self) -> Scheme<'_> {
        let scheme = &self.text[self.scheme.clone()];
        match scheme {
            s if s.eq_ignore_ascii_case("sip") => Scheme::Sip,
            s if s.eq_ignore_ascii_case("sips") => Scheme::Sips,
            s if s.eq_ignore_ascii_case("tel") => Scheme::Tel,
            other => Scheme::Other(other),
        }
    }

    /// The user with its escapes as they came, its parameters included; the number of a `tel:` URI.
    pub fn user(&self) -> Option<&str> {
        self.user.clone().map(|range| &self.text[range])
    }

    /// The user with its escapes resolved; bytes that are not UTF-8 are replaced.
    pub fn user_unescaped(&self) -> Option<String> {
        self.user()
            .map(|user| String::from_utf8_lossy(&unescape(user)).into_owned())
    }

    /// The password, escapes as they came.
    pub fn password(&self) -> Option<&str> {
        self.password.clone().map(|range| &self.text[range])
    }

    /// The host of a `sip:` or `sips:` URI.
    pub fn host(&self) -> Option<Host<'_>> {
        let range = self.host.clone()?;
        Some(match self.address {
            Some(IpAddr::V4(address)) => Host::V4(address),
            Some(IpAddr::V6(address)) => Host::V6(address),
            None => Host::Name(&self.text[range]),
        })
    }

    /// The port, where one is written.
    pub fn port(&self) -> Option<u16> {
        self.port
    }

    /// Address and port (5060, or 5061 for `sips:`, where none is written). `None` where the host is a name.
    pub fn socket_addr(&self) -> Option<SocketAddr> {
        let default = if self.scheme() == Scheme::Sips { 5061 } else { 5060 };
        self.address
            .map(|address| SocketAddr::new(address, self.port.unwrap_or(default)))
    }

    /// The parameters, in order, escapes as they came; the value of one without `=` is empty.
    pub fn params(&self) -> impl Iterator<Item = (&str, &str)> {
        pairs(&self.text[self.params.clone()], ';')
    }

    /// A parameter's value; empty where it has none. The name's case does not matter.
    pub fn param(&self, name: &str) -> Option<&str> {
        self.params()
            .find(|(key, _)| key.eq_ignore_ascii_case(name))
            .map(|(_, value)| value)
    }

    /// The headers behind `?`, in order, escapes as they came.
    pub fn headers(&self) -> impl Iterator<Item = (&str, &str)> {
        pairs(&self.text[self.headers.clone()], '&')
    }

    /// The first header behind `?` of that name, its escapes resolved once: `Replaces=a%2540b` is `a%40b`. The name's case does not
    /// matter; bytes that are not UTF-8 are replaced.
    pub fn header(&self, name: &str) -> Option<String> {
        self.headers()
            .find(|(key, _)| unescape(key).eq_ignore_ascii_case(name.as_bytes()))
            .map(|(_, value)| String::from_utf8_lossy(&unescape(value)).into_owned())
    }

    /// The URI with these headers behind `?`: whoever is told to call it puts them into its request (RFC 3261 §19.1.1, §19.1.5).
    /// Other schemes than `sip:` and `sips:` have no place for them and stay as they are.
    pub fn with_headers<'a>(&self, headers: impl IntoIterator<Item = (&'a str, &'a str)>) -> String {
        let mut text = self.text.to_string();
        if !matches!(self.scheme(), Scheme::Sip | Scheme::Sips) {
            return text;
        }
        if self.headers.is_empty() && text.ends_with('?') {
            text.pop();
        }
        let mut before = if self.headers.is_empty() { '?' } else { '&' };
        for (name, value) in headers {
            text.push(before);
            escape(name, &mut text);
            text.push('=');
            escape(value, &mut text);
            before = '&';
        }
        text
    }

    /// Comparison by RFC 3261 §19.1.4 for `sip:` and `sips:`; other schemes compare by their text. Header values are compared
    /// unescaped and case-sensitively, not by each header's own rules.
    pub fn equivalent(&self, other: &Uri) -> bool {
        // Also where a parameter stands in it twice, which §19.1.1 does not allow.
        if self.text == other.text {
            return true;
        }
        let (Scheme::Sip | Scheme::Sips) = self.scheme() else {
            return self.text.eq_ignore_ascii_case(&other.text);
        };
        let same = |a: Option<&str>, b: Option<&str>| a.map(unescape) == b.map(unescape);
        let host = match (self.host(), other.host()) {
            (Some(Host::Name(a)), Some(Host::Name(b))) => a.eq_ignore_ascii_case(b),
            (a, b) => a == b,
        };
        self.scheme() == other.scheme()
            && same(self.user(), other.user())
            && same(self.password(), other.password())
            && host
            // "A URI omitting any component with a default value will not match a URI explicitly containing that
            // component with its default value."
            && self.port == other.port
            && params_match(self, other)
            && params_match(other, self)
            && headers_match(self, other)
            && headers_match(other, self)
    }

    fn split_sip(&mut self, start: usize) -> Result<(), InvalidUri> {
        let mut hostport = start;
        // An "@" in a user is escaped, so the first one ends it; "?" and ";" may stand in a user.
        if let Some(at) = self.text[start..].find('@').map(|at| start + at) {
            let user = &self.text[start..at];
            let colon = user.find(':').map(|colon| start + colon);
            self.user = Some(start..colon.unwrap_or(at));
            self.password = colon.map(|colon| colon + 1..at);
            hostport = at + 1;
            if self.user.as_ref().is_some_and(|user| user.is_empty()) {
                return Err(InvalidUri);
            }
        }
        let rest = &self.text[hostport..];
        let question = rest.find('?').map_or(self.text.len(), |at| hostport + at);
        let semicolon = self.text[hostport..question]
            .find(';')
            .map_or(question, |at| hostport + at);
        self.params = (semicolon + 1).min(question)..question;
        self.headers = (question + 1).min(self.text.len())..self.text.len();
        let (host, address, port) = split_host_port(&self.text[hostport..semicolon]).ok_or(InvalidUri)?;
        self.address = address;
        self.port = port;
        self.host = Some(hostport..hostport + host.len());
        Ok(())
    }

    fn split_tel(&mut self, start: usize) {
        let end = self.text.len();
        let semicolon = self.text[start..].find(';').map_or(end, |at| start + at);
        self.user = Some(start..semicolon);
        self.params = (semicolon + 1).min(end)..end;
    }
}

impl fmt::Display for Uri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// Equal text. [`Uri::equivalent`] is the comparison of RFC 3261.
impl PartialEq for Uri {
    fn eq(&self, other: &Uri) -> bool {
        self.text == other.text
    }
}
impl Eq for Uri {}

/// Splits `host[:port]`: the host's text (with brackets), its address where it is one, and the port.
pub(crate) fn split_host_port(text: &str) -> Option<(&str, Option<IpAddr>, Option<u16>)> {
    let (host, rest, address) = if text.starts_with('[') {
        let end = text.find(']')? + 1;
        let (host, rest) = text.split_at(end);
        (host, rest, Some(IpAddr::V6(ipv6(&host[1..end - 1])?)))
    } else {
        // White space around the colon is allowed in Via (RFC 3261 §25.1, COLON).
        let (host, rest) = text.split_at(text.find([':', ' ', '\t']).unwrap_or(text.len()));
        if host.is_empty()
            || !host
                .bytes()
                .all(|c| c.is_ascii_alphanumeric() || matches!(c, b'-' | b'.' | b'_'))
        {
            return None;
        }
        (host, rest, host.parse::<Ipv4Addr>().ok().map(IpAddr::V4))
    };
    let port = match rest.trim().strip_prefix(':') {
        Some(port) => Some(digits(port.trim())?.try_into().ok()?),
        None if rest.trim().is_empty() => None,
        None => return None,
    };
    Some((host, address, port))
}

/// An IPv6 address as it stands in a message. RFC 3261's grammar allows three colons before an IPv4 part by mistake
/// (RFC 5118 §4.10); they are read as two.
pub(crate) fn ipv6(text: &str) -> Option<Ipv6Addr> {
    text.parse().ok().or_else(|| text.replacen(":::", "::", 1).parse().ok())
}

/// A number of digits only, that fits 32 bits.
pub(crate) fn digits(text: &str) -> Option<u32> {
    if text.is_empty() || !text.bytes().all(|c| c.is_ascii_digit()) {
        return None;
    }
    text.parse().ok()
}

fn pairs(text: &str, separator: char) -> impl Iterator<Item = (&str, &str)> {
    text.split(separator)
        .filter(|pair| !pair.is_empty())
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
}

fn params_match(a: &Uri, b: &Uri) -> bool {
    a.params().all(|(name, value)| match b.param(name) {
        Some(other) => unescape(value).eq_ignore_ascii_case(&unescape(other)),
        // "a user, ttl, or method uri-parameter appearing in only one URI never matches", and maddr, and transport
        // (§19.1.4; RFC 5954 leaves this list as it is).
        None => !["user", "ttl", "method", "maddr", "transport"]
            .iter()
            .any(|known| name.eq_ignore_ascii_case(known)),
    })
}

fn headers_match(a: &Uri, b: &Uri) -> bool {
    a.headers().all(|(name, value)| {
        b.headers()
            .any(|(other, text)| name.eq_ignore_ascii_case(other) && unescape(value) == unescape(text))
    })
}

fn unescape(text: &str) -> Vec<u8> {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let hex = |offset: usize| bytes.get(at + offset).and_then(|c| char::from(*c).to_digit(16));
        match (bytes[at], hex(1), hex(2)) {
            (b'%', Some(high), Some(low)) => {
                out.push((high * 16 + low) as u8);
                at += 3;
            }
            (other, ..) => {
                out.push(other);
                at += 1;
            }
        }
    }
    out
}

/// RFC 3261 §25.1, hname and hvalue: what is neither `unreserved` nor `hnv-unreserved` is escaped.
fn escape(text: &str, out: &mut String) {
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'!' | b'~' | b'*' | b'\'' | b'(' | b')' => {
                out.push(char::from(byte));
            }
            b'[' | b']' | b'/' | b'?' | b':' | b'+' | b'$' => out.push(char::from(byte)),
            other => out.extend(['%', hex(other >> 4), hex(other & 15)]),
        }
    }
}

fn hex(digit: u8) -> char {
    char::from(b"0123456789ABCDEF"[usize::from(digit & 15)])
}

#[cfg(test)]
mod tests;
