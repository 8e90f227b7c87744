//! The API while two versions of the server run: whoever asks the new one for a call or a handoff of the old one gets the old one's
//! answer, and need not know that there are two. Who it is, and what it may, the new one alone decides: it has the newer keys.

use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use axum::Router;
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderName, Method, StatusCode, header, request};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use calls::request::Request as Ask;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::UnixStream;
use tokio::time::timeout;

use super::auth::Principal;
use super::guard::Parameters;
use super::problem::Problem;
use super::{Shared, document};
use crate::ids;
use crate::journal::lock;
use crate::sibling::Side;
use crate::sibling::wire::Word;

/// The list that both have a part of.
const CALLS: &str = "/v1/calls";

/// Who asks, as the new version tells the old one.
const PRINCIPAL: HeaderName = HeaderName::from_static("baton-principal");

/// For the other version: 421 (RFC 9110 §15.5.20) for a call or a handoff that is not ours.
pub(super) fn own_only(router: Router, shared: Arc<Shared>) -> Router {
    router.layer(from_fn_with_state(shared, refuse_others))
}

impl Shared {
    /// Whether a path is that of a call or a handoff, and this process has it. `None`: it is the path of something else.
    async fn has(&self, path: &str) -> Option<bool> {
        let of = |kind: &str| path.strip_prefix(kind)?.split('/').next();
        if let Some(call) = of("/v1/calls/") {
            let id = ids::parse_call(call)?;
            return Some(matches!(self.node.request(Ask::Call(id)).await, Ok(Ok(_))));
        }
        let id = ids::parse_handoff(of("/v1/handoffs/")?)?;
        Some(lock(&self.journal.records).get(id).is_some())
    }

    /// The other version's answer; `None` where there is none.
    async fn ask_sibling(&self, parts: &request::Parts, body: Bytes) -> Option<Response> {
        let answered = timeout(self.settings().config.request, self.exchange(parts, body)).await;
        match answered {
            Ok(Ok(response)) => Some(response),
            Ok(Err(error)) => {
                tracing::warn!(%error, "the old version does not answer");
                None
            }
            Err(_) => {
                tracing::warn!("the old version does not answer in time");
                None
            }
        }
    }

    async fn exchange(
        &self,
        parts: &request::Parts,
        body: Bytes,
    ) -> Result<Response, Box<dyn std::error::Error + Send + Sync>> {
        let (ours, theirs) = UnixStream::pair()?;
        self.node.tell(Word::Http, Some(descriptor(theirs)?)).await;
        let (mut sender, connection) = http1::handshake(TokioIo::new(ours)).await?;
        let connection = tokio::spawn(connection);
        let mut request = Request::builder().method(parts.method.clone()).uri(parts.uri.clone());
        if let Some(headers) = request.headers_mut() {
            headers.clone_from(&parts.headers);
            // The body is here whole.
            headers.remove(header::TRANSFER_ENCODING);
            headers.remove(header::EXPECT);
            headers.insert(header::CONTENT_LENGTH, body.len().into());
            // Whoever asks may have sent one.
            headers.remove(PRINCIPAL);
            if let Some(principal) = parts.extensions.get::<Principal>() {
                headers.remove(header::AUTHORIZATION);
                headers.insert(PRINCIPAL, principal.vouch().ok_or("its name cannot be told")?);
            }
        }
        let (parts, body) = sender.send_request(request.body(Body::from(body))?).await?.into_parts();
        let body = to_bytes(Body::new(body), usize::MAX).await?;
        connection.abort();
        Ok(Response::from_parts(parts, Body::from(body)))
    }
}

fn descriptor(stream: UnixStream) -> io::Result<OwnedFd> {
    Ok(stream.into_std()?.into())
}

async fn refuse_others(State(shared): State<Arc<Shared>>, mut request: Request, next: Next) -> Response {
    if let Some(principal) = request.headers().get(PRINCIPAL).and_then(Principal::vouched) {
        request.extensions_mut().insert(principal);
    }
    match shared.has(request.uri().path()).await {
        Some(false) => {
            let detail = "this call or handoff is not of this process";
            Problem::new(StatusCode::MISDIRECTED_REQUEST, "misdirected", detail).into_response()
        }
        _ => next.run(request).await,
    }
}

/// What is the other version's is asked of it, for a user who was admitted here.
pub(super) async fn pass_on(shared: &Shared, request: Request, next: Next) -> Response {
    if *shared.node.side().borrow() != Side::Front {
        return next.run(request).await;
    }
    if request.uri().path() == CALLS && request.method() == Method::GET {
        let (parts, _) = request.into_parts();
        let limit = parts.extensions.get::<Parameters>().map(Parameters::limit);
        let theirs = shared.ask_sibling(&parts, Bytes::new()).await;
        let ours = next.run(Request::from_parts(parts, Body::empty())).await;
        return match (theirs, limit) {
            (Some(theirs), Some(Ok(limit))) => merged(ours, theirs, limit).await,
            _ => ours,
        };
    }
    if shared.has(request.uri().path()).await != Some(false) {
        return next.run(request).await;
    }
    let (parts, body) = request.into_parts();
    let settings = shared.settings();
    let read = timeout(settings.config.request, to_bytes(body, settings.config.body_limit)).await;
    let body = match read {
        Ok(Ok(body)) => body,
        Ok(Err(_)) => {
            let detail = format!("the body must have at most {} bytes", settings.config.body_limit);
            return Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "too-large", detail).into_response();
        }
        Err(_) => {
            return Problem::new(StatusCode::REQUEST_TIMEOUT, "timeout", "the body did not come in time")
                .into_response();
        }
    };
    match shared.ask_sibling(&parts, body.clone()).await {
        Some(response) if response.status() != StatusCode::MISDIRECTED_REQUEST => response,
        // What nobody has, the records may have.
        _ => next.run(Request::from_parts(parts, Body::from(body))).await,
    }
}

/// One page of two, in the order of its ids. What is an error stays so.
async fn merged(ours: Response, theirs: Response, limit: usize) -> Response {
    if ours.status() != StatusCode::OK || theirs.status() != StatusCode::OK {
        return ours;
    }
    let read = async |response: Response| {
        let body = to_bytes(response.into_body(), usize::MAX).await.unwrap_or_default();
        serde_json::from_slice::<Value>(&body).unwrap_or_default()
    };
    let (ours, theirs) = (read(ours).await, read(theirs).await);
    document(StatusCode::OK, &one_page(ours, theirs, limit))
}

fn one_page(mut ours: Value, mut theirs: Value, limit: usize) -> Value {
    let id = |call: &Value| call["id"].as_str().unwrap_or_default().to_owned();
    // Of each only a page has come: beyond the end of one that goes on, the other's calls wait for the next page.
    let ends: Vec<_> = [&ours, &theirs]
        .iter()
        .filter_map(|list| list["next"].as_str())
        .map(str::to_owned)
        .collect();
    let mut end = ends.into_iter().min();
    if let (Some(calls), Some(more)) = (ours["calls"].as_array_mut(), theirs["calls"].as_array_mut()) {
        calls.append(more);
        calls.sort_by_key(id);
        if let Some(end) = &end {
            calls.retain(|call| id(call) <= *end);
        }
        if calls.len() > limit {
            calls.truncate(limit);
            end = calls.last().map(id);
        }
    }
    ours["next"] = end.into();
    ours
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_pages_of_both_versions_are_pages_of_one_list() {
        let calls = |ids: &[&str]| ids.iter().map(|id| json!({ "id": id })).collect::<Vec<_>>();
        let page = |all: &[&str], after: &str, limit: usize| {
            let later: Vec<_> = all.iter().copied().filter(|id| *id > after).collect();
            let next = later.get(limit).map(|_| later[limit - 1]);
            json!({ "calls": calls(&later[..limit.min(later.len())]), "next": next })
        };
        let (ours, theirs) = (["b", "c", "f", "h"], ["a", "d", "e", "g"]);
        for limit in 1..10 {
            let (mut found, mut after) = (Vec::new(), String::new());
            loop {
                let one = one_page(page(&ours, &after, limit), page(&theirs, &after, limit), limit);
                let some = one["calls"].as_array().expect("a list").clone();
                assert!(
                    some.len() <= limit && (!some.is_empty() || one["next"].is_null()),
                    "{one}"
                );
                found.extend(some);
                match one["next"].as_str() {
                    Some(next) => next.clone_into(&mut after),
                    None => break,
                }
            }
            assert_eq!(found, calls(&["a", "b", "c", "d", "e", "f", "g", "h"]), "by {limit}");
        }
    }
}
