//! `/v1/kpi`: figures over the handoffs of a period, from their records.

use axum::extract::State;
use axum::http::StatusCode;
use jiff::{SignedDuration, Timestamp};

use super::auth::Principal;
use super::guard::Parameters;
use super::handoffs::unreadable;
use super::problem::Problem;
use super::{Answered, Context, document};
use crate::kpi::Span;
use crate::report::{self, Refused};
use crate::store::Period;

/// The default period.
const DEFAULT: SignedDuration = SignedDuration::from_hours(24);

/// The figures.
pub(super) async fn show(State(shared): Context, principal: Principal, parameters: Parameters) -> Answered {
    let time = |name: &str| match parameters.get(name) {
        None => Ok(None),
        Some(text) => {
            let wrong = |_| Problem::bad_request(format!("{name} must be a time of RFC 3339, as 2026-01-31T08:00:00Z"));
            text.parse::<Timestamp>().map(Some).map_err(wrong)
        }
    };
    let until = time("until")?.unwrap_or_else(Timestamp::now);
    let since = match time("since")? {
        Some(since) => since,
        None => until.checked_sub(DEFAULT).unwrap_or(Timestamp::MIN),
    };
    let span = match parameters.get("by") {
        None | Some("hour") => Span::Hour,
        Some("day") => Span::Day,
        Some(_) => return Err(Problem::bad_request("by must be hour or day")),
    };
    let period = Period {
        since_ms: since.as_millisecond(),
        until_ms: until.as_millisecond(),
        agent: principal.agent().map(str::to_owned),
    };
    shared.committed().await?;
    match report::figures(shared.journal.store.read(), &period, span).await {
        Ok((kpi, undelivered)) => Ok(document(StatusCode::OK, &kpi.document(since, until, undelivered))),
        Err(Refused::Asked(why)) => Err(Problem::invalid(why)),
        Err(Refused::Store(error)) => Err(unreadable(&error)),
    }
}
