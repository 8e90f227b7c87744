use super::{Header, Malformed};
use crate::uri::digits;

/// Max-Forwards (RFC 3261 §20.22), 0–255.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MaxForwards(pub u8);

impl Header for MaxForwards {
    const NAME: &'static str = "Max-Forwards";
    fn parse(value: &str) -> Result<MaxForwards, Malformed> {
        digits(value.trim())
            .and_then(|hops| hops.try_into().ok())
            .map(MaxForwards)
            .ok_or(Malformed)
    }
}
