//! Header fields, typed on demand: one small file each, all alike.

use std::borrow::Cow;
use std::fmt;

use crate::work::looked_at;

mod contact;
mod content_length;
mod cseq;
mod event;
mod from_to;
mod max_forwards;
mod name_addr;
mod reason;
mod refer_sub;
mod refer_to;
mod referred_by;
mod retry_after;
mod route;
mod subscription_state;
mod via;

pub use contact::Contact;
pub use content_length::ContentLength;
pub use cseq::Cseq;
pub use event::Event;
pub use from_to::{From, To};
pub use max_forwards::MaxForwards;
pub use name_addr::NameAddr;
pub use reason::Reason;
pub use refer_sub::ReferSub;
pub use refer_to::ReferTo;
pub use referred_by::ReferredBy;
pub use retry_after::RetryAfter;
pub use route::{RecordRoute, Route};
pub use subscription_state::SubscriptionState;
pub use via::Via;

/// A header field whose value does not follow its grammar.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Malformed;

/// A header field with a type of its own.
pub trait Header: Sized {
    /// Its long name.
    const NAME: &'static str;
    /// Reads one field's value (unfolded). Lists give all their members.
    fn parse(value: &str) -> Result<Self, Malformed>;
}

/// The parameters behind a value: `;name=value;flag`. Values are kept as written, quotes included.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Params(Vec<(String, Option<String>)>);

impl Params {
    /// Reads what follows the value: empty, or `;` and a parameter, and so on.
    pub fn parse(text: &str) -> Result<Params, Malformed> {
        let text = text.trim();
        if text.is_empty() {
            return Ok(Params::default());
        }
        let text = text.strip_prefix(';').ok_or(Malformed)?;
        let mut params = Vec::new();
        for param in split(text, b';')? {
            let (name, value) = match param.split_once('=') {
                Some((name, value)) => (name.trim(), Some(value.trim().to_owned())),
                None => (param.trim(), None),
            };
            if !is_token(name.as_bytes()) {
                return Err(Malformed);
            }
            params.push((name.to_owned(), value));
        }
        Ok(Params(params))
    }

    /// A parameter's value, without its quotes; empty where it has none. The name's case does not matter.
    pub fn get(&self, name: &str) -> Option<Cow<'_, str>> {
        looked_at(self.0.len());
        let (_, value) = self.0.iter().find(|(key, _)| key.eq_ignore_ascii_case(name))?;
        Some(unquote(value.as_deref().unwrap_or("")))
    }

    /// Sets a parameter; the value goes in as it is.
    pub fn set(&mut self, name: &str, value: Option<&str>) {
        let value = value.map(str::to_owned);
        match self.0.iter_mut().find(|(key, _)| key.eq_ignore_ascii_case(name)) {
            Some((_, old)) => *old = value,
            None => self.0.push((name.to_owned(), value)),
        }
    }

    /// All of them, in order, values as written.
    pub fn iter(&self) -> impl Iterator<Item = (&str, Option<&str>)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_deref()))
    }
}

impl fmt::Display for Params {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, value) in &self.0 {
            match value {
                Some(value) => write!(f, ";{name}={value}")?,
                None => write!(f, ";{name}")?,
            }
        }
        Ok(())
    }
}

/// Whether the text is a token (RFC 3261 §25.1).
pub(crate) fn is_token(text: &[u8]) -> bool {
    !text.is_empty()
        && text
            .iter()
            .all(|c| c.is_ascii_alphanumeric() || b"-.!%*_+`'~".contains(c))
}

/// Whether two header names are the same: case does not matter, compact forms (RFC 3261 §7.3.3) are their long ones.
pub(crate) fn same_name(a: &[u8], b: &[u8]) -> bool {
    long_name(a).eq_ignore_ascii_case(long_name(b))
}

fn long_name(name: &[u8]) -> &[u8] {
    let [letter] = name else { return name };
    match letter.to_ascii_lowercase() {
        b'a' => b"Accept-Contact",
        b'b' => b"Referred-By",
        b'c' => b"Content-Type",
        b'e' => b"Content-Encoding",
        b'f' => b"From",
        b'i' => b"Call-ID",
        b'k' => b"Supported",
        b'l' => b"Content-Length",
        b'm' => b"Contact",
        b'o' => b"Event",
        b'r' => b"Refer-To",
        b's' => b"Subject",
        b't' => b"To",
        b'u' => b"Allow-Events",
        b'v' => b"Via",
        b'x' => b"Session-Expires",
        _ => name,
    }
}

/// Splits at a separator that stands outside quoted strings and `<>`. An open quote is malformed.
pub(crate) fn split(text: &str, separator: u8) -> Result<Vec<&str>, Malformed> {
    looked_at(text.len());
    let mut parts = Vec::new();
    let (mut start, mut quoted, mut escaped, mut angle) = (0, false, false, false);
    for (at, c) in text.bytes().enumerate() {
        match c {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' if !angle => quoted = !quoted,
            _ if quoted => {}
            b'<' => angle = true,
            b'>' => angle = false,
            _ if c == separator && !angle => {
                parts.push(&text[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    if quoted {
        return Err(Malformed);
    }
    parts.push(&text[start..]);
    Ok(parts)
}

/// Takes the quotes from a quoted string and resolves its escapes; other text stays.
pub(crate) fn unquote(text: &str) -> Cow<'_, str> {
    let Some(inner) = text.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) else {
        return Cow::Borrowed(text);
    };
    if !inner.contains('\\') {
        return Cow::Borrowed(inner);
    }
    let mut out = String::with_capacity(inner.len());
    let mut characters = inner.chars();
    while let Some(c) = characters.next() {
        out.extend(if c == '\\' { characters.next() } else { Some(c) });
    }
    Cow::Owned(out)
}

/// Writes text as a quoted string.
pub(crate) fn quote(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        if matches!(c, '"' | '\\') {
            out.push('\\');
        }
        out.push(c);
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests;
