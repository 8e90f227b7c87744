//! RFC 4475's messages about lengths on a stream, where the Content-Length says where the next message begins
//! (RFC 3261 §18.3), and all others of the table, to which a stream must make no difference.

use std::time::{Duration, Instant};

use super::outcome::{endpoint, peer};
use super::table::{Outcome, Row, TABLE};
use super::vectors;
use super::*;
use crate::endpoint::{Alive, Endpoint, Event, FlowBounds, FlowId, Stream};

/// What becomes of the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Connection {
    /// It stays, and serves the next message.
    Open,
    /// Behind the last answer it is closed.
    Closed,
    /// The message is waited for; when that takes too long, it is closed.
    Waits,
}

#[derive(Clone, Copy)]
struct OnStream {
    /// The row of [`TABLE`].
    name: &'static str,
    answers: &'static [u16],
    calls: usize,
    connection: Connection,
    why: &'static str,
}

const ON_STREAM: [OnStream; 4] = [
    OnStream {
        name: "dblreq",
        answers: &[405, 100],
        calls: 1,
        connection: Connection::Open,
        why: "two messages with a line end between them: each has its own outcome",
    },
    OnStream {
        name: "clerr",
        answers: &[],
        calls: 0,
        connection: Connection::Waits,
        why: "what is missing may still come, and what comes next belongs to it; it is not waited for without end",
    },
    OnStream {
        name: "ncl",
        answers: &[400],
        calls: 0,
        connection: Connection::Closed,
        why: "nobody knows where the next message begins",
    },
    OnStream {
        name: "mcl01",
        answers: &[400],
        calls: 0,
        connection: Connection::Closed,
        why: "nobody knows which of the two lengths tells where the next message begins",
    },
];

/// What an endpoint has said and done on the one connection that it has.
#[derive(Debug, Default, PartialEq, Eq)]
struct Done {
    answers: Vec<u16>,
    calls: usize,
    closed: bool,
}

struct Connected {
    end: Endpoint,
    flow: FlowId,
    now: Instant,
}

impl Connected {
    fn new() -> Connected {
        let now = Instant::now();
        let mut end = endpoint(Some(FlowBounds::default()));
        let flow = end.accept_flow(now, peer()).expect("room");
        Connected { end, flow, now }
    }

    /// Takes bytes, so many at a time.
    fn take(&mut self, bytes: &[u8], at_a_time: usize) {
        for piece in bytes.chunks(at_a_time) {
            self.end.handle_stream(self.now, self.flow, piece);
        }
    }

    fn done(&mut self) -> Done {
        let mut done = Done::default();
        while let Some(stream) = self.end.poll_stream() {
            match stream {
                Stream::Send { flow, bytes } => {
                    assert_eq!((flow, done.closed), (self.flow, false));
                    let answer = Message::parse(bytes).expect("our own messages can be read");
                    done.answers.push(answer.status().expect("an answer"));
                }
                Stream::Close { flow } => {
                    assert_eq!(flow, self.flow);
                    done.closed = true;
                }
                Stream::Connect { .. } => panic!("{stream:?}"),
            }
        }
        assert!(
            self.end.poll_transmit().is_none(),
            "answers go where requests came from"
        );
        while let Some(event) = self.end.poll_event() {
            assert!(matches!(event, Event::Invite { .. }), "{event:?}");
            done.calls += 1;
        }
        done
    }

    /// Whether another request is served on the connection.
    fn serves(&mut self) -> bool {
        let options = "OPTIONS sip:b@192.0.2.200 SIP/2.0\r\nVia: SIP/2.0/TCP 192.0.2.77:5066;branch=z9hG4bKafter\r\n\
                       From: <sip:a@h>;tag=9\r\nTo: <sip:b@h>\r\nCall-ID: after\r\nCSeq: 1 OPTIONS\r\n\
                       Content-Length: 0\r\n\r\n";
        self.take(options.as_bytes(), options.len());
        self.done().answers == [200]
    }
}

fn check(on_stream: &OnStream, whose: &str, bytes: &[u8]) {
    let what = format!("{} ({whose}: {})", on_stream.name, on_stream.why);
    for at_a_time in [bytes.len(), 1] {
        let mut at = Connected::new();
        at.take(bytes, at_a_time);
        let done = at.done();
        assert_eq!(
            (&*done.answers, done.calls),
            (on_stream.answers, on_stream.calls),
            "{what}"
        );
        assert_eq!(done.closed, on_stream.connection == Connection::Closed, "{what}");
        match on_stream.connection {
            Connection::Open => assert!(at.serves(), "{what}"),
            Connection::Closed => assert!(!at.serves(), "{what}"),
            Connection::Waits => {
                assert!(!at.serves(), "{what}: it is a part of the body");
                at.now += FlowBounds::default().unfinished + Duration::from_millis(1);
                at.end.handle_timeout(at.now);
                let closed = Done {
                    closed: true,
                    ..Done::default()
                };
                assert_eq!(at.done(), closed, "{what}");
            }
        }
        if on_stream.connection != Connection::Open {
            assert_eq!(at.end.alive(), Alive::default(), "{what}: nothing is kept");
        }
    }
}

fn row(name: &str) -> &'static Row {
    TABLE.iter().find(|row| row.name == name).expect("a row of the table")
}

#[test]
fn each_wrong_length_of_ours_has_its_outcome_on_a_stream() {
    for on_stream in &ON_STREAM {
        check(on_stream, "ours", &row(on_stream.name).own());
    }
}

#[test]
fn each_wrong_length_of_the_rfc_has_its_outcome_on_a_stream() {
    let Some(folder) = vectors::folder("rfc4475") else {
        return;
    };
    // The RFC's own INVITE of dblreq has no Contact (RFC 3261 §8.1.1.8).
    let theirs = ON_STREAM.map(|it| match it.name {
        "dblreq" => OnStream {
            answers: &[405, 400],
            calls: 0,
            ..it
        },
        _ => it,
    });
    for on_stream in &theirs {
        check(on_stream, "theirs", &vectors::read(&folder, row(on_stream.name)));
    }
}

/// With the length of its body, which not all of them have.
fn with_length(bytes: &[u8]) -> Option<Vec<u8>> {
    let message = Message::parse(Bytes::copy_from_slice(bytes)).ok()?;
    let length = match message.header("Content-Length") {
        Some(_) => String::new(),
        None => format!("\r\nContent-Length: {}", message.body().len()),
    };
    let head = bytes.windows(4).position(|end| end == b"\r\n\r\n")?;
    let end = head + 4 + message.body().len();
    Some([&bytes[..head], length.as_bytes(), &bytes[head..end]].concat())
}

#[test]
fn a_stream_makes_no_difference_to_all_others() {
    let mut compared = Vec::new();
    for row in TABLE
        .iter()
        .filter(|row| ON_STREAM.iter().all(|it| it.name != row.name))
    {
        let Some(bytes) = with_length(&row.own()) else { continue };
        let mut at = Connected::new();
        at.take(&bytes, bytes.len());
        let expected = match row.outcome {
            Outcome::Call => (vec![100], 1),
            Outcome::Answer(status, _) => (vec![status], 0),
            Outcome::Drop => (vec![], 0),
        };
        let done = at.done();
        assert_eq!((done.answers, done.calls), expected, "{}: {}", row.name, row.why);
        assert!(!done.closed && at.serves(), "{}: its end was known", row.name);
        compared.push(row.name);
    }
    let refused = TABLE.iter().filter(|row| row.parsed.is_err()).count();
    assert!(
        compared.len() + refused >= TABLE.len() - ON_STREAM.len(),
        "{compared:?}"
    );
}
