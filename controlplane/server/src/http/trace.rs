//! `/v1/calls/{call}/trace`: the SIP messages of a call's legs, while it lives and for some time after.

use std::fmt::Write as _;
use std::time::Instant;

use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::IntoResponse;
use calls::notice::{CallId, Party};
use serde_json::json;

use super::problem::Problem;
use super::{Answered, Context, Named, document};
use crate::ids;
use crate::journal::lock;
use crate::records::party_name;
use crate::tap::Direction;
use crate::tap::traces::{Entry, Trace};

/// JSON, or a ladder where the client would rather have text.
pub(super) async fn one(State(shared): Context, headers: HeaderMap, name: Named) -> Answered {
    let missing = || Problem::not_found("there is no trace of such a call, or not any more (sip.trace_keep_s)");
    let Path(name) = name.map_err(|_| missing())?;
    let id = ids::parse_call(&name).ok_or_else(missing)?;
    let trace = lock(&shared.journal.traces).trace(id).ok_or_else(missing)?;
    let clock = shared.journal.clock;
    if wants_text(&headers) {
        let mut response = ladder(id, &trace, |at| clock.print(at)).into_response();
        let headers = response.headers_mut();
        headers.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("text/plain; charset=utf-8"),
        );
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        return Ok(response);
    }
    let messages: Vec<_> = trace
        .entries()
        .map(|entry| {
            json!({
                "at": clock.print(entry.at),
                "direction": entry.direction.name(),
                "party": party_name(entry.party),
                "transport": entry.transport.name(),
                "peer": entry.peer.to_string(),
                "sip_call_id": entry.sip_call_id,
                "title": entry.title,
                "message": entry.text,
            })
        })
        .collect();
    let body = json!({
        "schema": "baton.trace/1",
        "call": ids::call(id),
        "messages": messages,
        "omitted": trace.omitted,
    });
    Ok(document(StatusCode::OK, &body))
}

/// Whether `Accept` names text, and not JSON before it.
fn wants_text(headers: &HeaderMap) -> bool {
    let accept = headers
        .get(header::ACCEPT)
        .and_then(|value| value.to_str().ok())
        .unwrap_or("");
    let mut kinds = accept
        .split(',')
        .map(|kind| kind.split(';').next().unwrap_or("").trim());
    kinds.find(|kind| ["text/plain", "application/json", "*/*"].contains(kind)) == Some("text/plain")
}

/// Columns of the lines of life.
const CALLER: usize = 14;
const BATON: usize = 42;
const AI: usize = 70;
const HUMAN: usize = 98;

/// The messages as arrows between the parties.
fn ladder(call: CallId, trace: &Trace, print: impl Fn(Instant) -> String) -> String {
    let mut text = String::new();
    let Some(first) = trace.entries().next().map(|entry| entry.at) else {
        return format!("{}: no message\n", ids::call(call));
    };
    let _ = writeln!(text, "{}, ms since {}", ids::call(call), print(first));
    let mut head = vec![' '; HUMAN + 3];
    for (column, name) in [(CALLER, "caller"), (BATON, "Baton"), (AI, "ai"), (HUMAN, "human")] {
        put(&mut head, column - name.len() / 2, name);
    }
    let _ = writeln!(text, "{}", line(&head));
    for entry in trace.entries() {
        let _ = writeln!(text, "{}", row(entry, first));
    }
    if trace.omitted > 0 {
        let _ = writeln!(text, "{} messages in the middle were not kept", trace.omitted);
    }
    text
}

fn row(entry: &Entry, first: Instant) -> String {
    let party = match entry.party {
        Party::Caller => CALLER,
        Party::Ai => AI,
        // Few look for both in one ladder.
        Party::Human | Party::Supervisor => HUMAN,
    };
    let mut row = vec![' '; HUMAN + 3];
    put(
        &mut row,
        0,
        &format!("{:>8}", ids::ms(entry.at.saturating_duration_since(first))),
    );
    for column in [CALLER, BATON, AI, HUMAN] {
        row[column] = '|';
    }
    let (left, right) = (party.min(BATON), party.max(BATON));
    row[left + 1..right].fill('-');
    // To the right: from us to the AI or the human, or from the caller to us.
    let to_the_right = (entry.direction == Direction::Out) == (party > BATON);
    match to_the_right {
        true => row[right - 1] = '>',
        false => row[left + 1] = '<',
    }
    let room = right - left - 5;
    let label: String = entry.title.chars().take(room).collect();
    put(&mut row, left + 3 + (room - label.chars().count()) / 2, &label);
    line(&row)
}

fn put(row: &mut [char], at: usize, text: &str) {
    for (place, char) in row.iter_mut().skip(at).zip(text.chars()) {
        *place = char;
    }
}

fn line(row: &[char]) -> String {
    row.iter().collect::<String>().trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::tap::Transport;
    use crate::tap::traces::Traces;

    #[test]
    fn a_ladder_shows_who_says_what_to_whom() {
        let start = Instant::now();
        let mut traces = Traces::new(1 << 20, Duration::from_secs(60));
        let say = [
            (0, Direction::In, Party::Caller, "INVITE"),
            (2, Direction::Out, Party::Ai, "INVITE"),
            (30, Direction::In, Party::Ai, "200 INVITE"),
            (31, Direction::Out, Party::Caller, "200 INVITE"),
            (5000, Direction::Out, Party::Human, "INVITE"),
            (5100, Direction::In, Party::Human, "486 INVITE"),
        ];
        for (ms, direction, party, title) in say {
            let entry = Entry {
                at: start + Duration::from_millis(ms),
                direction,
                transport: Transport::Udp,
                peer: "192.0.2.1:5060".parse().expect("an address"),
                party,
                title: title.to_owned(),
                sip_call_id: String::new(),
                text: "".into(),
            };
            traces.add(start, CallId(1), entry);
        }
        let trace = traces.trace(CallId(1)).expect("kept");
        let text = ladder(CallId(1), &trace, |_| "now".to_owned());
        let rows: Vec<_> = text
            .lines()
            .skip(2)
            .map(|row| row.split_whitespace().collect::<Vec<_>>().join(" "))
            .collect();
        assert_eq!(text.lines().next(), Some("call_0000000000000001, ms since now"));
        for (row, arrow) in rows.iter().zip([">| | |", "| |--", "| |<-", "|<-", "| |--", "| |<-"]) {
            assert!(row.contains(arrow), "{arrow} in\n{text}");
        }
        let ends: Vec<_> = text
            .lines()
            .skip(2)
            .map(|row| (row.contains(">|"), row.contains("|<")))
            .collect();
        let right = (true, false);
        let left = (false, true);
        assert_eq!(ends, [right, right, left, left, right, left], "{text}");
        assert!(rows[5].contains("486 INVITE") && rows[5].starts_with("5100 "), "{text}");
    }
}
