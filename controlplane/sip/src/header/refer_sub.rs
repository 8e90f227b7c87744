use super::{Header, Malformed, Params};

/// Refer-Sub (RFC 4488 §4): whether a REFER makes a subscription.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReferSub(pub bool);

impl Header for ReferSub {
    const NAME: &'static str = "Refer-Sub";
    fn parse(value: &str) -> Result<ReferSub, Malformed> {
        let (wish, params) = value.split_at(value.find(';').unwrap_or(value.len()));
        Params::parse(params)?;
        match wish.trim() {
            wish if wish.eq_ignore_ascii_case("true") => Ok(ReferSub(true)),
            wish if wish.eq_ignore_ascii_case("false") => Ok(ReferSub(false)),
            _ => Err(Malformed),
        }
    }
}
