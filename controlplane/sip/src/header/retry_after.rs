use super::{Header, Malformed};
use crate::uri::digits;

/// Retry-After (RFC 3261 §20.33), seconds; its comment and parameters are dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetryAfter(pub u32);

impl Header for RetryAfter {
    const NAME: &'static str = "Retry-After";
    fn parse(value: &str) -> Result<RetryAfter, Malformed> {
        let value = value.trim();
        let end = value.find(['(', ';', ' ', '\t']).unwrap_or(value.len());
        digits(&value[..end]).map(RetryAfter).ok_or(Malformed)
    }
}
