use super::{Header, Malformed, NameAddr};

/// From (RFC 3261 §20.20).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct From(pub NameAddr);

/// To (RFC 3261 §20.39).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct To(pub NameAddr);

impl Header for From {
    const NAME: &'static str = "From";
    fn parse(value: &str) -> Result<From, Malformed> {
        NameAddr::parse(value).map(From)
    }
}

impl Header for To {
    const NAME: &'static str = "To";
    fn parse(value: &str) -> Result<To, Malformed> {
        NameAddr::parse(value).map(To)
    }
}
