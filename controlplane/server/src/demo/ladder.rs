//! The ladder of a run: who said what to whom, as it happens.

use std::collections::VecDeque;
use std::io::{IsTerminal as _, Write as _};

use serde_json::Value;

use super::children::Who;
use super::receiver::Delivery;

/// Columns of the four lines of life.
const CALLER: usize = 12;
const BATON: usize = 38;
const AI: usize = 64;
const HUMAN: usize = 90;

/// Width of a row.
const WIDTH: usize = 112;

/// A row waits so long for an earlier one of another process.
const HOLD_BACK_MS: f64 = 80.0;

/// What a row is, for its colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Sip,
    Speech,
    Key,
    Http,
    Webhook,
    Note,
}

/// The rows in order of their time.
pub(super) struct Ladder {
    waiting: VecDeque<(f64, Kind, String)>,
    shown: bool,
    colour: bool,
}

impl Ladder {
    /// `shown`: it goes to standard output, in colour where that is a terminal.
    pub(super) fn new(shown: bool) -> Ladder {
        let ladder = Ladder {
            waiting: VecDeque::new(),
            shown,
            colour: std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none(),
        };
        if shown {
            let mut head = vec![' '; WIDTH];
            for (at, name) in [(CALLER, "caller"), (BATON, "Baton"), (AI, "ai"), (HUMAN, "human")] {
                put(&mut head, at + 1 - name.len().div_ceil(2), name);
            }
            put(&mut head, 5, "ms");
            print("--- SIP   === DTMF   ... HTTP   * webhook   \"...\" begins to say\n");
            print(head.iter().collect::<String>().trim_end());
        }
        ladder
    }

    /// A party said that something happened.
    pub(super) fn party(&mut self, who: Who, event: &Value) {
        let at = event["t_ms"].as_f64().unwrap_or_default();
        let text = |name: &str| event[name].as_str().unwrap_or_default().to_owned();
        match event["event"].as_str().unwrap_or_default() {
            "sip" => match event["out"].as_str() {
                Some(title) => self.row(at, Kind::Sip, arrow(column(who), BATON, '-', short(title))),
                None => self.row(at, Kind::Sip, arrow(BATON, column(who), '-', short(&text("in")))),
            },
            "speaking" => self.row(at, Kind::Speech, note(column(who), &format!("\"{}\"", text("prompt")))),
            "pressing" => {
                let label = format!("key {}", text("digit"));
                self.row(at, Kind::Key, arrow(column(who), BATON, '=', &label));
            }
            "http" => {
                let what = text("path").rsplit('/').next().unwrap_or_default().to_owned();
                let label = format!("{} {what} {}", text("method"), event["status"]);
                self.row(at, Kind::Http, arrow(column(who), BATON, '.', &label));
            }
            "rtp_first" => self.row(at, Kind::Note, note(column(who), "first RTP")),
            "ssrc_change" => self.row(at, Kind::Note, note(column(who), "NEW SSRC")),
            _ => {}
        }
    }

    /// A webhook came.
    pub(super) fn webhook(&mut self, delivery: &Delivery) {
        let label = format!("* {}", delivery.kind());
        self.row(delivery.t_ms, Kind::Webhook, note(BATON, &label));
    }

    /// Something else happened.
    pub(super) fn note(&mut self, at_ms: f64, text: &str) {
        self.row(at_ms, Kind::Note, note(BATON, text));
    }

    /// Time has passed: prints what no earlier row can come before any more.
    pub(super) fn advance(&mut self, now_ms: f64) {
        while self.waiting.front().is_some_and(|(at, ..)| now_ms - at >= HOLD_BACK_MS) {
            let Some((at, kind, row)) = self.waiting.pop_front() else {
                return;
            };
            if !self.shown {
                continue;
            }
            let (on, off) = match (self.colour, kind) {
                (false, _) => ("", ""),
                (true, Kind::Sip) => ("\x1b[0m", "\x1b[0m"),
                (true, Kind::Speech) => ("\x1b[36m", "\x1b[0m"),
                (true, Kind::Key) => ("\x1b[33m", "\x1b[0m"),
                (true, Kind::Http) => ("\x1b[34m", "\x1b[0m"),
                (true, Kind::Webhook) => ("\x1b[35m", "\x1b[0m"),
                (true, Kind::Note) => ("\x1b[2m", "\x1b[0m"),
            };
            print(&format!(
                "{on}{at:>7.0} {}{off}",
                row.get(8..).unwrap_or_default().trim_end()
            ));
        }
    }

    fn row(&mut self, at: f64, kind: Kind, row: String) {
        let place = self.waiting.partition_point(|(earlier, ..)| *earlier <= at);
        self.waiting.insert(place, (at, kind, row));
    }
}

fn column(who: Who) -> usize {
    match who {
        Who::Caller => CALLER,
        Who::Ai => AI,
        Who::Human => HUMAN,
    }
}

/// A message without the method that it answers: the request stands a few rows above.
fn short(title: &str) -> &str {
    title.split_once(" (").map_or(title, |(short, _)| short)
}

/// A row with the four lines of life. ASCII only, so that columns are bytes.
fn lines() -> Vec<char> {
    let mut row = vec![' '; WIDTH];
    for at in [CALLER, BATON, AI, HUMAN] {
        row[at] = '|';
    }
    row
}

fn put(row: &mut [char], at: usize, text: &str) {
    for (place, character) in row.iter_mut().skip(at).zip(text.chars()) {
        *place = if character.is_ascii() && !character.is_ascii_control() {
            character
        } else {
            '?'
        };
    }
}

fn arrow(from: usize, to: usize, shaft: char, label: &str) -> String {
    let mut row = lines();
    let (left, right) = (from.min(to), from.max(to));
    row[left + 1..right].fill(shaft);
    if to > from {
        row[right - 1] = '>';
    } else {
        row[left + 1] = '<';
    }
    // The label keeps three characters of the shaft at each end; beside Baton, so that a long arrow is read there.
    let room = AI - BATON - 7;
    let label: String = label.chars().take(room).collect();
    let start = if left < BATON { left } else { BATON } + 1;
    let at = start + (AI - BATON - 1 - label.len()) / 2;
    put(&mut row, at, &label);
    row.into_iter().collect()
}

fn note(at: usize, text: &str) -> String {
    let mut row = lines();
    put(&mut row, at + 2, text);
    row.into_iter().collect()
}

fn print(line: &str) {
    let mut out = std::io::stdout().lock();
    let _ = writeln!(out, "{line}");
    let _ = out.flush();
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn arrows_end_at_their_lines() {
        let row = arrow(BATON, HUMAN, '-', "INVITE");
        assert_eq!(row.chars().nth(BATON), Some('|'));
        assert_eq!(&row[HUMAN - 2..=HUMAN], "->|");
        assert!(row.contains("-INVITE-"));
        let row = arrow(AI, BATON, '.', "POST turns 200");
        assert_eq!(&row[BATON..BATON + 3], "|<.");
        assert_eq!(row.chars().nth(AI), Some('|'));
        let long = arrow(CALLER, BATON, '-', &"x".repeat(100));
        assert_eq!(&long[BATON - 2..=BATON], "->|");
    }

    #[test]
    fn rows_are_in_order_of_time() {
        let mut ladder = Ladder::new(false);
        ladder.party(Who::Ai, &json!({ "t_ms": 50.0, "event": "sip", "in": "INVITE" }));
        ladder.party(Who::Caller, &json!({ "t_ms": 40.0, "event": "sip", "out": "INVITE" }));
        ladder.party(Who::Caller, &json!({ "t_ms": 45.0, "event": "not known" }));
        assert_eq!(
            ladder.waiting.iter().map(|(at, ..)| *at).collect::<Vec<_>>(),
            [40.0, 50.0]
        );
        ladder.advance(125.0);
        assert_eq!(ladder.waiting.len(), 1);
    }
}
