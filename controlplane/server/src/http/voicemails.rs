//! `/v1/voicemails`: what callers left with the answering machine.

use std::path::Path as Folder;

use axum::body::Body;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, State};
use axum::http::{StatusCode, header};
use axum::response::Response;
use serde::Deserialize;
use serde_json::{Value, json};

use super::problem::Problem;
use super::{Answered, Context, Named, document};
use crate::machine::voicemail;

/// Messages of a page, where nothing else is asked for.
const PAGE: usize = 100;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Page {
    after: Option<String>,
    limit: Option<usize>,
}

/// A page of them, in the order of their ids.
pub(super) async fn list(State(shared): Context, page: Result<Query<Page>, QueryRejection>) -> Answered {
    let Query(page) = page.map_err(|error| Problem::invalid(error.body_text()))?;
    let folder = shared.settings().voicemails.clone();
    let limit = page.limit.unwrap_or(PAGE).clamp(1, 500);
    let (messages, next) = read(move || page_of(&folder, page.after.as_deref(), limit)).await??;
    let mut answer = json!({ "schema": "baton.voicemails/1", "voicemails": messages });
    answer["next"] = next.into();
    Ok(document(StatusCode::OK, &answer))
}

fn page_of(folder: &Folder, after: Option<&str>, limit: usize) -> Result<(Vec<Value>, Option<String>), Problem> {
    let ids = voicemail::all(folder).map_err(|error| {
        tracing::error!(%error, "the folder of voicemails cannot be read");
        Problem::unavailable("the folder of voicemails cannot be read")
    })?;
    let mut left = ids.iter().filter(|id| after.is_none_or(|after| id.as_str() > after));
    let mut last = None;
    let mut messages = Vec::new();
    for id in left.by_ref() {
        // One may be deleted meanwhile.
        messages.extend(voicemail::about(folder, id));
        last = Some(id.clone());
        if messages.len() == limit {
            break;
        }
    }
    let next = last.filter(|_| left.next().is_some());
    Ok((messages, next))
}

/// The sound of one.
pub(super) async fn play(State(shared): Context, id: Named) -> Answered {
    let unknown = || Problem::not_found("there is no such voicemail");
    let id = id
        .map(|Path(id)| id)
        .ok()
        .filter(|id| voicemail::is_id(id))
        .ok_or_else(unknown)?;
    let path = shared.settings().voicemails.join(format!("{id}.wav"));
    let wav = read(move || std::fs::read(path)).await?.map_err(|_| unknown())?;
    let answer = Response::builder()
        .header(header::CONTENT_TYPE, "audio/wav")
        .body(Body::from(wav));
    answer.map_err(|_| unknown())
}

async fn read<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, Problem> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|_| Problem::unavailable("the server is stopping"))
}
