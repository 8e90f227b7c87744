//! `POST /v1/reload`.

use axum::extract::State;
use axum::http::StatusCode;
use serde_json::{Value, json};

use super::problem::Problem;
use super::{Answered, Context, document};
use crate::reload::ReloadError;

/// Reads the file anew; says what counts from now on, and what does not.
pub(super) async fn reload(State(shared): Context) -> Answered {
    match shared.reloads.ask().await {
        Ok(done) => {
            let needs_restart = done.needs_restart.iter();
            let needs_restart: Vec<_> = needs_restart
                .map(|(key, why)| json!({ "key": key, "why": why }))
                .collect();
            let answer = json!({ "schema": "baton.reload/1", "changed": done.changed, "needs_restart": needs_restart });
            Ok(document(StatusCode::OK, &answer))
        }
        Err(error @ ReloadError::NoFile) => Err(Problem::new(StatusCode::CONFLICT, "no-file", error.to_string())),
        Err(error @ ReloadError::Stopping) => Err(Problem::unavailable(error.to_string())),
        Err(error) => {
            let problems: Vec<Value> = match &error {
                ReloadError::Problems(problems) => problems
                    .iter()
                    .map(|problem| json!({ "line": problem.line, "key": problem.key, "message": problem.message }))
                    .collect(),
                _ => Vec::new(),
            };
            Err(Problem::invalid(error.to_string()).with("problems", problems))
        }
    }
}
