//! `[otlp]`.

use super::Secret;
use super::reader::Table;
use super::values::is_http_url;

/// `[otlp]`
#[derive(Clone, Debug)]
pub struct Otlp {
    /// `http://host:4318`; `None`: no traces.
    pub endpoint: Option<String>,
    /// Names and values of headers, as a key that the collector wants.
    pub headers: Vec<(String, Secret)>,
    /// Of a hundred handoffs so many are told of.
    pub percent: u8,
}

pub(super) fn read(table: Table<'_, '_>) -> Otlp {
    let endpoint = table.string("endpoint");
    if let Some(found) = &endpoint
        && !is_http_url(&found.value)
    {
        table.problem(
            found.line,
            "endpoint",
            "must be http://… or https://…, as http://127.0.0.1:4318",
        );
    }
    let mut headers = Vec::new();
    for entry in table.tables("headers") {
        let (name, value) = (entry.required("name"), entry.secret("value"));
        if !entry.has("value") {
            entry.problem(entry.line, "value", "is missing: it has no default");
        }
        if let Some(name) = &name
            && reqwest::header::HeaderName::from_bytes(name.value.as_bytes()).is_err()
        {
            entry.problem(name.line, "name", "must be the name of an HTTP header");
        }
        if let Some(value) = &value
            && reqwest::header::HeaderValue::from_str(value.value.reveal()).is_err()
        {
            entry.problem(value.line, "value", "must be what an HTTP header can hold");
        }
        if let (Some(name), Some(value)) = (name, value) {
            headers.push((name.value, value.value));
        }
        entry.finish();
    }
    let otlp = Otlp {
        endpoint: endpoint.map(|found| found.value),
        headers,
        percent: table.integer("percent", 0..=100).map_or(100, |found| found.value as u8),
    };
    table.finish();
    otlp
}
