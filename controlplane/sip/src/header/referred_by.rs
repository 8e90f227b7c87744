use super::{Header, Malformed, NameAddr};

/// Referred-By (RFC 3892 §3): who asked for the request. Nobody has proven it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReferredBy(pub NameAddr);

impl Header for ReferredBy {
    const NAME: &'static str = "Referred-By";
    fn parse(value: &str) -> Result<ReferredBy, Malformed> {
        NameAddr::parse(value).map(ReferredBy)
    }
}
