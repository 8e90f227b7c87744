//! `/v1/prompts`: WAV files that callers and humans hear where the configuration names them.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::IntoResponse as _;
use jiff::Timestamp;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::handoffs::unreadable;
use super::problem::Problem;
use super::{Answered, Context, Named, Settings, document};
use crate::ids;
use crate::prompts;
use crate::store::prompts::PromptRow;
use crate::uploads::{Refused, Upload};

/// The largest file: a little more than 10 minutes of 16 bit at 48 kHz on one channel.
const BYTES_MAX: usize = 64 << 20;

/// What WAV files are called.
const WAV: [&str; 4] = ["audio/wav", "audio/x-wav", "audio/wave", "audio/vnd.wave"];

/// All, by their names.
pub(super) async fn list(State(shared): Context) -> Answered {
    let found = shared.journal.store.read().prompts().await;
    let rows = found.map_err(|error| unreadable(&error))?;
    let settings = shared.settings();
    let prompts: Vec<_> = rows.iter().map(|row| view(row, &settings)).collect();
    let answer = json!({ "schema": "baton.prompts/1", "prompts": prompts });
    Ok(document(StatusCode::OK, &answer))
}

/// Another one, or another sound for one that there is. Answered once it is on the disk, and is played by what begins.
pub(super) async fn put(State(shared): Context, headers: HeaderMap, name: Named, body: Body) -> Answered {
    let name = named(name)?;
    let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    let kind = kind.and_then(|kind| kind.split(';').next()).unwrap_or_default();
    if !WAV.contains(&kind.trim().to_ascii_lowercase().as_str()) {
        let detail = "the body must be a WAV file, with the Content-Type audio/wav";
        let status = StatusCode::UNSUPPORTED_MEDIA_TYPE;
        return Err(Problem::new(status, "unsupported-media-type", detail));
    }
    let wav = shared.bytes(&headers, body, BYTES_MAX, "").await?;
    let (read, file) = (wav.clone(), name.clone());
    let read = tokio::task::spawn_blocking(move || prompts::uploaded(&file, &read)).await;
    let prompt = read
        .map_err(|_| refused(Refused::Stopping))?
        .map_err(Problem::invalid)?;
    let rate_hz = prompt.band.hz();
    let row = PromptRow {
        name,
        at_ms: Timestamp::now().as_millisecond(),
        sha256: Sha256::digest(&wav).iter().map(|byte| format!("{byte:02x}")).collect(),
        length_ms: (prompt.samples.len() as u64 * 1000 / u64::from(rate_hz)) as i64,
        rate_hz: rate_hz.into(),
    };
    let mut answer = view(&row, &shared.settings());
    let wav: Arc<[u8]> = wav.as_ref().into();
    let upload = Upload { row, wav, prompt };
    shared.reloads.put(upload).await.map_err(refused)?;
    answer["schema"] = "baton.prompt/1".into();
    Ok(document(StatusCode::OK, &answer))
}

/// Forgets one that nobody names.
pub(super) async fn remove(State(shared): Context, name: Named) -> Answered {
    shared.reloads.delete(named(name)?).await.map_err(refused)?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

fn named(name: Named) -> Result<String, Problem> {
    let name = name.map(|Path(name)| name).ok().filter(|name| prompts::is_name(name));
    name.ok_or_else(|| {
        Problem::invalid("the name of a prompt has 1 to 64 of a-z, 0-9, \"-\", \"_\" and \".\", the first no sign")
    })
}

fn view(row: &PromptRow, settings: &Settings) -> Value {
    let at = Timestamp::from_millisecond(row.at_ms).unwrap_or_default();
    json!({
        "name": row.name,
        "uploaded": ids::rfc3339(at),
        "sha256": row.sha256,
        "length_ms": row.length_ms,
        "rate_hz": row.rate_hz,
        "used_by": settings.uploads.get(&row.name).cloned().unwrap_or_default(),
    })
}

fn refused(why: Refused) -> Problem {
    let detail = why.to_string();
    match why {
        Refused::NoRoom => Problem::new(StatusCode::CONFLICT, "no-room", detail),
        Refused::Used(keys) => Problem::new(StatusCode::CONFLICT, "in-use", detail).with("used_by", keys),
        Refused::Unknown => Problem::not_found(detail),
        Refused::Store | Refused::Stopping => Problem::unavailable(detail),
    }
}
