//! Framing: a stream of bytes becomes messages (RFC 3261 §18.3), keep-alives (RFC 5626 §3.5.1) and faults.
//!
//! A connection is given up only where nobody can say where the next message begins: two different Content-Lengths, one
//! that is no number or that is longer than we would ever pass over, none although there is a body, a head that does not
//! end within [`Limits::message`], or as many bytes of noise. A message that is too long is refused and passed over; a
//! line that is no start line where one should be is noise, and the next line has its chance.

use std::time::Instant;

use bytes::{Buf, Bytes, BytesMut};

use crate::header::{ContentLength, Header, same_name};
use crate::message::Limits;
use crate::work::looked_at;

/// The longest body that is passed over, bytes: longer than any that was meant well, short enough to be waited for.
const PASS_OVER_MAX: u64 = 1 << 20;

/// What a stream holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Frame {
    /// A message with its body, as long as its Content-Length says. Nothing else of it was looked at.
    Message(Bytes),
    /// Two line ends where a message could begin: to be answered with one (RFC 5626 §3.5.1).
    Ping,
    /// A message that is not taken. Its end is known, and the stream goes on behind it.
    Refused {
        /// Its head, for the answer.
        head: Bytes,
        /// What is wrong with it.
        fault: Fault,
    },
    /// The last frame: where the next message would begin, nobody knows.
    Lost {
        /// The head of the message that spoilt it, for the answer; empty where there is none.
        head: Bytes,
        /// What is wrong.
        fault: Fault,
    },
}

/// What is wrong with a message on a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Fault {
    /// §18.3: "The Content-Length header field MUST be used with stream oriented transports."
    NoLength,
    /// More than one Content-Length, and they differ.
    TwoLengths,
    /// A Content-Length that is no number of 64 bits.
    BadLength,
    /// The whole is longer than [`Limits::message`].
    TooLong,
    /// The head does not end within [`Limits::message`].
    EndlessHead,
    /// [`Limits::message`] bytes without anything that could be a message.
    Noise,
}

impl Fault {
    /// Status and reason phrase of the answer.
    pub fn answer(self) -> (u16, &'static str) {
        match self {
            Fault::NoLength => (400, "Missing Content-Length"),
            Fault::TwoLengths => (400, "Two Content-Lengths"),
            Fault::BadLength => (400, "Malformed Content-Length"),
            Fault::TooLong | Fault::EndlessHead => (513, "Message Too Large"),
            Fault::Noise => (400, "Bad Request"),
        }
    }
}

/// How far the message is that lies at the beginning of the buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Between two messages. `line_end`: the byte before was the end of an empty line.
    Between { line_end: bool },
    /// Behind its start line; the head's end is not before `scanned`.
    Head { scanned: usize },
    /// The whole has so many bytes.
    Body { total: usize },
    /// So many bytes are still to be passed over.
    PassOver { left: u64 },
    /// Over.
    Lost,
}

/// One direction of a stream. It holds at most [`Limits::message`] bytes and what came with the last ones.
#[derive(Clone, Debug)]
pub struct Framer {
    limits: Limits,
    buffer: BytesMut,
    state: State,
    /// So many bytes at the beginning of the buffer were searched for the end of a line, and have none behind the last that was found.
    searched: usize,
    /// Bytes of noise since the last message.
    noise: usize,
    /// When the last bytes came.
    last: Option<Instant>,
    /// Since when a message waits for its end.
    since: Option<Instant>,
}

impl Framer {
    /// The beginning of a stream.
    pub fn new(limits: Limits) -> Framer {
        Framer {
            limits,
            buffer: BytesMut::new(),
            state: State::Between { line_end: false },
            searched: 0,
            noise: 0,
            last: None,
            since: None,
        }
    }

    /// Bytes that came, to be followed by [`Framer::poll_frame`] until it has nothing more.
    pub fn handle_bytes(&mut self, now: Instant, bytes: &[u8]) {
        if self.state == State::Lost {
            return;
        }
        self.last = Some(now);
        self.buffer.extend_from_slice(bytes);
    }

    /// The next frame. After [`Frame::Lost`] there is none.
    pub fn poll_frame(&mut self) -> Option<Frame> {
        loop {
            let (frame, again) = match self.state {
                State::Between { line_end } => self.between(line_end),
                State::Head { scanned } => self.head(scanned),
                State::Body { total } => self.body(total),
                State::PassOver { left } => self.pass_over(left),
                State::Lost => (None, false),
            };
            if frame.is_some() || !again {
                self.since = match (self.unfinished(), &frame) {
                    (false, _) => None,
                    // What follows a frame began when the last bytes came.
                    (true, Some(_)) => self.last,
                    (true, None) => self.since.or(self.last),
                };
                return frame;
            }
        }
    }

    /// Since when a message has begun and not ended; `None` between two messages. Who sends a message byte by byte does
    /// not move it.
    pub fn unfinished_since(&self) -> Option<Instant> {
        self.since
    }

    fn unfinished(&self) -> bool {
        match self.state {
            State::Between { .. } => !self.buffer.is_empty(),
            State::Head { .. } | State::Body { .. } | State::PassOver { .. } => true,
            State::Lost => false,
        }
    }

    /// §7.5: "Implementations processing SIP messages over stream-oriented transports MUST ignore any CRLF appearing before
    /// the start-line".
    fn between(&mut self, line_end: bool) -> (Option<Frame>, bool) {
        let step = |framer: &mut Framer, bytes: usize, line_end| {
            framer.pass(bytes);
            framer.state = State::Between { line_end };
        };
        match *self.buffer {
            [] | [b'\r'] => (None, false),
            [b'\r', b'\n', ..] => {
                step(self, 2, !line_end);
                (line_end.then_some(Frame::Ping), true)
            }
            [b'\r' | b'\n', ..] => {
                step(self, 1, false);
                (None, true)
            }
            _ => match self.line_end(0) {
                // A longer line would have been given up before its end came.
                Some(feed) if feed <= self.limits.message && starts_message(&self.buffer[..feed]) => {
                    self.state = State::Head { scanned: feed };
                    (None, true)
                }
                Some(feed) => {
                    step(self, feed + 1, false);
                    self.noise += feed + 1;
                    match self.noise > self.limits.message {
                        true => (Some(self.lose(Bytes::new(), Fault::Noise)), false),
                        false => (None, true),
                    }
                }
                None if self.buffer.len() > self.limits.message => (Some(self.lose(Bytes::new(), Fault::Noise)), false),
                None => (None, false),
            },
        }
    }

    /// The head ends with an empty line; line ends may lack their CR, as they may in a datagram.
    fn head(&mut self, scanned: usize) -> (Option<Frame>, bool) {
        let mut feed = scanned;
        let end = loop {
            match self.buffer[feed + 1..] {
                [b'\n', ..] => break Some(feed + 2),
                [b'\r', b'\n', ..] => break Some(feed + 3),
                [] | [b'\r'] => break None,
                _ => match self.line_end(feed + 1) {
                    Some(next) => feed = next,
                    None => break None,
                },
            }
        };
        let Some(end) = end.filter(|end| *end <= self.limits.message) else {
            if self.buffer.len() > self.limits.message {
                let head = self.buffer.split_to(self.limits.message).freeze();
                return (Some(self.lose(head, Fault::EndlessHead)), false);
            }
            self.state = State::Head { scanned: feed };
            return (None, false);
        };
        let length = match body_length(&self.buffer[..end]) {
            Ok(length) => length,
            Err((fault, true)) => {
                let head = self.buffer.split_to(end).freeze();
                return (Some(self.lose(head, fault)), false);
            }
            Err((fault, false)) => {
                let head = self.take(end);
                return (Some(Frame::Refused { head, fault }), true);
            }
        };
        // Both are far below the limits of their types.
        if length <= (self.limits.message - end) as u64 {
            self.state = State::Body {
                total: end + length as usize,
            };
            return (None, true);
        }
        if length > PASS_OVER_MAX {
            let head = self.buffer.split_to(end).freeze();
            return (Some(self.lose(head, Fault::TooLong)), false);
        }
        let head = self.take(end);
        self.state = State::PassOver { left: length };
        let fault = Fault::TooLong;
        (Some(Frame::Refused { head, fault }), true)
    }

    fn body(&mut self, total: usize) -> (Option<Frame>, bool) {
        if self.buffer.len() < total {
            return (None, false);
        }
        (Some(Frame::Message(self.take(total))), true)
    }

    fn pass_over(&mut self, left: u64) -> (Option<Frame>, bool) {
        let here = usize::try_from(left).unwrap_or(usize::MAX).min(self.buffer.len());
        self.pass(here);
        match left - here as u64 {
            0 => self.state = State::Between { line_end: false },
            left => self.state = State::PassOver { left },
        }
        (None, left == here as u64)
    }

    /// Where the first line ends at `from` or behind it. What was searched in vain is not searched again: a line may come byte by byte.
    fn line_end(&mut self, from: usize) -> Option<usize> {
        let from = from.max(self.searched);
        let found = self.buffer[from..].iter().position(|c| *c == b'\n');
        looked_at(found.map_or(self.buffer.len() - from, |at| at + 1));
        if found.is_none() {
            self.searched = self.buffer.len();
        }
        found.map(|at| from + at)
    }

    fn pass(&mut self, bytes: usize) {
        self.buffer.advance(bytes);
        self.searched = 0;
    }

    /// Takes a message; the next one may begin.
    fn take(&mut self, len: usize) -> Bytes {
        self.state = State::Between { line_end: false };
        self.searched = 0;
        self.noise = 0;
        self.buffer.split_to(len).freeze()
    }

    fn lose(&mut self, head: Bytes, fault: Fault) -> Frame {
        self.state = State::Lost;
        self.buffer = BytesMut::new();
        Frame::Lost { head, fault }
    }
}

/// Whether a line could be a message's first: a status line, or a request line of any version.
fn starts_message(line: &[u8]) -> bool {
    let sip = |text: &[u8]| text.get(..4).is_some_and(|name| name.eq_ignore_ascii_case(b"SIP/"));
    let line = line.trim_ascii_end();
    let version = line.iter().rposition(|c| *c == b' ').map(|blank| &line[blank + 1..]);
    sip(line) || version.is_some_and(sip)
}

/// The length of the body that follows a head, or what is wrong, and whether that leaves the body's end unknown.
fn body_length(head: &[u8]) -> Result<u64, (Fault, bool)> {
    looked_at(head.len());
    let mut told = None;
    let mut bodied = false;
    for field in fields(head).skip(1) {
        let Some(colon) = field.iter().position(|c| *c == b':') else {
            continue;
        };
        let name = field[..colon].trim_ascii_end();
        bodied |= same_name(name, b"Content-Type");
        if same_name(name, ContentLength::NAME.as_bytes()) {
            let text = std::str::from_utf8(&field[colon + 1..]).map_err(|_| (Fault::BadLength, true))?;
            let ContentLength(length) = ContentLength::parse(text).map_err(|_| (Fault::BadLength, true))?;
            if told.is_some_and(|told| told != length) {
                return Err((Fault::TwoLengths, true));
            }
            told = Some(length);
        }
    }
    match told {
        Some(length) => Ok(length),
        // §20.15: "The Content-Type header field MUST be present if the body is not empty."
        None if bodied => Err((Fault::NoLength, true)),
        // Nobody can be told what is wrong with an answer or an ACK, and one without a body has its end here all the same.
        None if !refusable(head) => Ok(0),
        None => Err((Fault::NoLength, false)),
    }
}

/// The first line and the header fields, each with its folds: a line that begins with white space goes on with the one
/// before (§7.3.1).
fn fields(head: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = head;
    std::iter::from_fn(move || {
        let feeds = rest
            .iter()
            .enumerate()
            .filter(|(_, c)| **c == b'\n')
            .map(|(at, _)| at + 1);
        let end = feeds
            .into_iter()
            .find(|next| !matches!(rest.get(*next), Some(b' ' | b'\t')))
            .unwrap_or(rest.len());
        let (field, behind) = rest.split_at(end);
        rest = behind;
        (!field.is_empty()).then_some(field)
    })
}

/// Whether a message is one that gets an answer.
fn refusable(head: &[u8]) -> bool {
    !head.starts_with(b"ACK ") && !head.get(..4).is_some_and(|name| name.eq_ignore_ascii_case(b"SIP/"))
}

#[cfg(test)]
mod tests;
