use std::fmt;

use super::{Header, Malformed, Params, quote, split};
use crate::uri::digits;

/// Reason (RFC 3326): why a request was sent. The first value of the list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reason {
    /// `SIP` or `Q.850`.
    pub protocol: String,
    /// A status of SIP or a cause of Q.850.
    pub cause: Option<u16>,
    /// In words.
    pub text: Option<String>,
}

impl Header for Reason {
    const NAME: &'static str = "Reason";
    fn parse(value: &str) -> Result<Reason, Malformed> {
        let first = split(value, b',')?[0];
        let (protocol, params) = first.split_at(first.find(';').unwrap_or(first.len()));
        let params = Params::parse(params)?;
        let protocol = protocol.trim();
        if !super::is_token(protocol.as_bytes()) {
            return Err(Malformed);
        }
        Ok(Reason {
            protocol: protocol.to_owned(),
            cause: params.get("cause").and_then(|cause| digits(&cause)?.try_into().ok()),
            text: params.get("text").map(|text| text.into_owned()),
        })
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.protocol)?;
        if let Some(cause) = self.cause {
            write!(f, ";cause={cause}")?;
        }
        if let Some(text) = &self.text {
            write!(f, ";text={}", quote(text))?;
        }
        Ok(())
    }
}
