//! Bodies of requests: bounded in bytes and in time.

use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, StatusCode, header};
use serde_json::Value;

use super::Shared;
use super::problem::Problem;

impl Shared {
    /// The body as JSON.
    ///
    /// # Errors
    /// 415 where it is called something else, 413 where it is too large, 408 where it does not come, 400 where it is not JSON.
    pub(super) async fn json(&self, headers: &HeaderMap, body: Body) -> Result<Value, Problem> {
        let content_type = headers
            .get(header::CONTENT_TYPE)
            .and_then(|value| value.to_str().ok())
            .unwrap_or("");
        let essence = content_type.split(';').next().unwrap_or("").trim().to_ascii_lowercase();
        if essence != "application/json" && essence != "application/merge-patch+json" {
            let detail = "the body must be JSON, with the Content-Type application/json";
            return Err(Problem::new(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "unsupported-media-type",
                detail,
            ));
        }
        let limit = self.settings().config.body_limit;
        let bytes = self.bytes(headers, body, limit, "http.body_limit, ").await?;
        serde_json::from_slice(&bytes).map_err(|error| Problem::bad_request(format!("the body is not JSON: {error}")))
    }

    /// The body as it is. `what` is put before the limit where it is larger.
    ///
    /// # Errors
    /// 413 where it is too large, 408 where it does not come.
    pub(super) async fn bytes(
        &self,
        headers: &HeaderMap,
        body: Body,
        limit: usize,
        what: &str,
    ) -> Result<Bytes, Problem> {
        let too_large = || {
            let detail = format!("the body is larger than {what}{limit} bytes");
            Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "too-large", detail)
        };
        let length = headers
            .get(header::CONTENT_LENGTH)
            .and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
        if length.is_some_and(|length| length > limit as u64) {
            return Err(too_large());
        }
        match tokio::time::timeout(self.settings().config.request, axum::body::to_bytes(body, limit)).await {
            Err(_) => {
                let detail = "the body did not come within http.request_s";
                Err(Problem::new(StatusCode::REQUEST_TIMEOUT, "timeout", detail))
            }
            Ok(Err(error)) => {
                // The limit is the only error that is not the connection's.
                let source = std::error::Error::source(&error)
                    .map(ToString::to_string)
                    .unwrap_or_default();
                Err(match source.contains("length limit") {
                    true => too_large(),
                    false => Problem::bad_request("the body is cut off"),
                })
            }
            Ok(Ok(bytes)) => Ok(bytes),
        }
    }
}
