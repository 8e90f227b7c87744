use std::fmt;

use super::{Malformed, Params, quote, unquote};
use crate::uri::Uri;
use crate::work::looked_at;

/// `"Display name" <uri>;params`, the form of From, To, Contact, Route, Refer-To (RFC 3261 §20.10).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NameAddr {
    /// The display name without its quotes.
    pub display: Option<String>,
    /// The URI.
    pub uri: Uri,
    /// The header's parameters, not the URI's.
    pub params: Params,
}

impl NameAddr {
    /// An address without a name or parameters.
    pub fn new(uri: Uri) -> NameAddr {
        NameAddr {
            display: None,
            uri,
            params: Params::default(),
        }
    }

    /// Reads one address.
    pub fn parse(text: &str) -> Result<NameAddr, Malformed> {
        let text = text.trim();
        let (display, rest) = if text.starts_with('"') {
            let end = quoted_end(text).ok_or(Malformed)?;
            let rest = text[end..].trim_start();
            if !rest.starts_with('<') {
                return Err(Malformed);
            }
            (Some(unquote(&text[..end]).into_owned()), rest)
        } else if let Some(angle) = text.find('<') {
            let display = text[..angle].trim();
            ((!display.is_empty()).then(|| display.to_owned()), &text[angle..])
        } else {
            // Without angle brackets "any URI parameters are regarded as header parameters" (RFC 3261 §20.10).
            let end = text.find(';').unwrap_or(text.len());
            let uri = Uri::parse(text[..end].trim()).map_err(|_| Malformed)?;
            return Ok(NameAddr {
                display: None,
                uri,
                params: Params::parse(&text[end..])?,
            });
        };
        let (uri, params) = rest[1..].split_once('>').ok_or(Malformed)?;
        let uri = Uri::parse(uri.trim()).map_err(|_| Malformed)?;
        Ok(NameAddr {
            display,
            uri,
            params: Params::parse(params)?,
        })
    }

    /// The tag (From, To), where it is not empty.
    pub fn tag(&self) -> Option<String> {
        self.params
            .get("tag")
            .filter(|tag| !tag.is_empty())
            .map(|tag| tag.into_owned())
    }
}

impl fmt::Display for NameAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(display) = &self.display {
            write!(f, "{} ", quote(display))?;
        }
        write!(f, "<{}>{}", self.uri, self.params)
    }
}

/// The index behind the closing quote.
fn quoted_end(text: &str) -> Option<usize> {
    looked_at(text.len());
    let mut escaped = false;
    for (at, c) in text.bytes().enumerate().skip(1) {
        match c {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => return Some(at + 1),
            _ => {}
        }
    }
    None
}
