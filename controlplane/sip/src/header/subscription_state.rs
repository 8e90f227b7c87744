use super::{Header, Malformed, Params, is_token};
use crate::uri::digits;

/// Subscription-State (RFC 6665 §8.2.3).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SubscriptionState {
    /// `active`, `pending`, `terminated`, or a word that we do not know.
    pub state: String,
    /// For how many seconds it goes on.
    pub expires: Option<u32>,
    /// Why it is terminated.
    pub reason: Option<String>,
}

impl SubscriptionState {
    /// Whether no further NOTIFY comes.
    pub fn is_terminated(&self) -> bool {
        self.state.eq_ignore_ascii_case("terminated")
    }
}

impl Header for SubscriptionState {
    const NAME: &'static str = "Subscription-State";
    fn parse(value: &str) -> Result<SubscriptionState, Malformed> {
        let (state, params) = value.split_at(value.find(';').unwrap_or(value.len()));
        let params = Params::parse(params)?;
        let state = state.trim();
        if !is_token(state.as_bytes()) {
            return Err(Malformed);
        }
        Ok(SubscriptionState {
            state: state.to_owned(),
            expires: params.get("expires").and_then(|expires| digits(&expires)),
            reason: params.get("reason").map(|reason| reason.into_owned()),
        })
    }
}
