use super::{Header, Malformed, Params, is_token};

/// Event (RFC 6665 §8.2.1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// `refer`, `message-summary`, …
    pub package: String,
    /// Which of several subscriptions in a dialog.
    pub id: Option<String>,
}

impl Header for Event {
    const NAME: &'static str = "Event";
    fn parse(value: &str) -> Result<Event, Malformed> {
        let (package, params) = value.split_at(value.find(';').unwrap_or(value.len()));
        let params = Params::parse(params)?;
        let package = package.trim();
        if !is_token(package.as_bytes()) {
            return Err(Malformed);
        }
        Ok(Event {
            package: package.to_owned(),
            id: params.get("id").map(|id| id.into_owned()),
        })
    }
}
