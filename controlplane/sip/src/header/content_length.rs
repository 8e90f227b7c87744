use super::{Header, Malformed};

/// Content-Length (RFC 3261 §20.14), bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ContentLength(pub u64);

impl Header for ContentLength {
    const NAME: &'static str = "Content-Length";
    fn parse(value: &str) -> Result<ContentLength, Malformed> {
        let value = value.trim();
        if value.is_empty() || !value.bytes().all(|c| c.is_ascii_digit()) {
            return Err(Malformed);
        }
        value.parse().map(ContentLength).map_err(|_| Malformed)
    }
}
