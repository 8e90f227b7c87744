use std::fmt;

use super::{Header, Malformed};
use crate::{method::Method, uri::digits};

/// CSeq (RFC 3261 §20.16).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cseq {
    /// Below 2³¹ (RFC 3261 §8.1.1.5).
    pub number: u32,
    /// The request's method.
    pub method: Method,
}

impl Header for Cseq {
    const NAME: &'static str = "CSeq";
    fn parse(value: &str) -> Result<Cseq, Malformed> {
        let (number, method) = value.trim().split_once([' ', '\t']).ok_or(Malformed)?;
        let number = digits(number).filter(|number| *number < 1 << 31).ok_or(Malformed)?;
        let method = Method::parse(method.trim().as_bytes()).ok_or(Malformed)?;
        Ok(Cseq { number, method })
    }
}

impl fmt::Display for Cseq {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.number, self.method)
    }
}
