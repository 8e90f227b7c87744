use super::{Header, Malformed, NameAddr, split};

/// Refer-To (RFC 3515 §2.1): one address. Its URI may carry headers for the INVITE to come (`?Replaces=…`): [`crate::uri::Uri::header`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReferTo(pub NameAddr);

impl Header for ReferTo {
    const NAME: &'static str = "Refer-To";
    fn parse(value: &str) -> Result<ReferTo, Malformed> {
        match split(value, b',')?[..] {
            [one] => NameAddr::parse(one).map(ReferTo),
            _ => Err(Malformed),
        }
    }
}
