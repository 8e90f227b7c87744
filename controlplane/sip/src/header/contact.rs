use super::{Header, Malformed, NameAddr, split};

/// Contact (RFC 3261 §20.10).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Contact {
    /// `*`
    Any,
    /// Addresses, at least one.
    Addresses(Vec<NameAddr>),
}

impl Header for Contact {
    const NAME: &'static str = "Contact";
    fn parse(value: &str) -> Result<Contact, Malformed> {
        if value.trim() == "*" {
            return Ok(Contact::Any);
        }
        split(value, b',')?
            .into_iter()
            .map(NameAddr::parse)
            .collect::<Result<_, _>>()
            .map(Contact::Addresses)
    }
}
