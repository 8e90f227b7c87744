use std::time::{Duration, Instant};

use bytes::Bytes;
use proptest::prelude::*;

use super::{Fault, Frame, Framer};
use crate::message::Limits;

/// Everything that a stream holds, given in these pieces.
fn frames<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Vec<Frame> {
    let mut framer = Framer::new(Limits::default());
    let now = Instant::now();
    let mut frames = Vec::new();
    for piece in pieces {
        framer.handle_bytes(now, piece);
        frames.extend(std::iter::from_fn(|| framer.poll_frame()));
    }
    frames
}

fn message(text: &str) -> Frame {
    Frame::Message(Bytes::copy_from_slice(text.as_bytes()))
}

fn head(text: &str) -> Bytes {
    Bytes::copy_from_slice(text.as_bytes())
}

const EMPTY: &str = "OPTIONS sip:a@b SIP/2.0\r\nContent-Length: 0\r\n\r\n";
const BODY: &str = "MESSAGE sip:a@b SIP/2.0\r\nContent-Type: text/plain\r\nl: 5\r\n\r\nhello";
const ANSWER: &str = "SIP/2.0 200 OK\r\nContent-Length: 0\r\n\r\n";

#[test]
fn several_messages_in_one_segment() {
    let stream = format!("{EMPTY}{BODY}{ANSWER}");
    let expected = [message(EMPTY), message(BODY), message(ANSWER)];
    assert_eq!(frames([stream.as_bytes()]), expected);
    let bytes = stream.as_bytes();
    assert_eq!(frames(bytes.chunks(1)), expected, "byte by byte");
    for at in 0..bytes.len() {
        assert_eq!(frames([&bytes[..at], &bytes[at..]]), expected, "split at {at}");
    }
}

#[test]
fn a_body_ends_where_its_length_says_whatever_it_looks_like() {
    let body = "\r\n\r\nINVITE sip:x@y SIP/2.0\r\n\r\n";
    let bodied = format!(
        "INFO sip:a@b SIP/2.0\r\nContent-Type: message/sip\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    let stream = format!("{bodied}{EMPTY}");
    assert_eq!(frames([stream.as_bytes()]), [message(&bodied), message(EMPTY)]);
}

#[test]
fn every_way_to_write_a_content_length() {
    for field in [
        "Content-Length: 5",
        "Content-Length : 5",
        "Content-Length\t:5",
        "content-length:5",
        "l: 5",
        "L : 0005",
        "Content-Length:\r\n 5",
        "Content-Length\r\n : 5",
        "l:5\r\nContent-Length: 5",
    ] {
        let one = format!("INFO sip:a@b SIP/2.0\r\nContent-Type: x/y\r\n{field}\r\nTo: <sip:a@b>\r\n\r\nhello");
        let stream = format!("{one}{EMPTY}");
        assert_eq!(frames([stream.as_bytes()]), [message(&one), message(EMPTY)], "{field}");
    }
}

#[test]
fn line_ends_without_cr_are_taken_as_in_a_datagram() {
    let (lf, mixed) = (
        "OPTIONS sip:a@b SIP/2.0\nl: 0\n\n",
        "OPTIONS sip:a@b SIP/2.0\nl: 0\r\n\n",
    );
    let stream = format!("{lf}{mixed}{EMPTY}");
    assert_eq!(
        frames([stream.as_bytes()]),
        [message(lf), message(mixed), message(EMPTY)]
    );
}

#[test]
fn keep_alives_between_messages() {
    assert_eq!(frames([b"\r\n\r\n".as_slice()]), [Frame::Ping]);
    assert_eq!(frames([b"\r\n".as_slice(), b"\r\n"]), [Frame::Ping]);
    assert_eq!(frames([b"\r\n\r\n\r\n\r\n\r\n".as_slice()]), [Frame::Ping, Frame::Ping]);
    let stream = format!("\r\n{EMPTY}\r\n\r\n\n{BODY}\r\n");
    let expected = [message(EMPTY), Frame::Ping, message(BODY)];
    assert_eq!(frames([stream.as_bytes()]), expected);
    assert_eq!(frames(stream.as_bytes().chunks(1)), expected);
}

#[test]
fn a_head_that_leaves_the_end_unknown_loses_the_stream() {
    for (fields, fault) in [
        ("Content-Length: 5\r\nl: 6\r\n", Fault::TwoLengths),
        ("Content-Length: x\r\n", Fault::BadLength),
        ("Content-Length: -1\r\n", Fault::BadLength),
        ("Content-Length:\r\n", Fault::BadLength),
        ("Content-Length: 5, 5\r\n", Fault::BadLength),
        ("Content-Length: 5 5\r\n", Fault::BadLength),
        ("Content-Length: 5\r\n 5\r\n", Fault::BadLength),
        ("Content-Length: 18446744073709551616\r\n", Fault::BadLength),
        ("Content-Length: 18446744073709551615\r\n", Fault::TooLong),
        ("Content-Length: 1048577\r\n", Fault::TooLong),
        ("Content-Type: application/sdp\r\n", Fault::NoLength),
        ("c: application/sdp\r\n", Fault::NoLength),
    ] {
        let text = format!("INVITE sip:a@b SIP/2.0\r\n{fields}\r\n");
        let stream = format!("{text}{EMPTY}");
        let lost = Frame::Lost {
            head: head(&text),
            fault,
        };
        assert_eq!(frames([stream.as_bytes()]), [lost], "{fields}");
    }
}

#[test]
fn without_a_body_a_missing_length_loses_one_request_only() {
    let bare = "OPTIONS sip:a@b SIP/2.0\r\nTo: <sip:a@b>\r\n\r\n";
    let stream = format!("{bare}{EMPTY}");
    let refused = Frame::Refused {
        head: head(bare),
        fault: Fault::NoLength,
    };
    assert_eq!(frames([stream.as_bytes()]), [refused, message(EMPTY)]);
    // Nobody can be told about an answer or an ACK.
    for bare in [
        "SIP/2.0 200 OK\r\nTo: <sip:a@b>\r\n\r\n",
        "ACK sip:a@b SIP/2.0\r\nTo: <sip:a@b>\r\n\r\n",
    ] {
        let stream = format!("{bare}{EMPTY}");
        assert_eq!(frames([stream.as_bytes()]), [message(bare), message(EMPTY)]);
    }
}

#[test]
fn a_message_that_is_too_long_is_passed_over() {
    let long = "INFO sip:a@b SIP/2.0\r\nContent-Type: x/y\r\nContent-Length: 100000\r\n\r\n";
    let mut stream = long.as_bytes().to_vec();
    stream.extend(b"INVITE sip:a@b SIP/2.0\r\n\r\n".iter().cycle().take(100_000));
    stream.extend(EMPTY.as_bytes());
    let refused = Frame::Refused {
        head: head(long),
        fault: Fault::TooLong,
    };
    let expected = [refused, message(EMPTY)];
    assert_eq!(frames([stream.as_slice()]), expected);
    assert_eq!(frames(stream.chunks(1000)), expected);
}

#[test]
fn the_longest_message_is_taken_and_one_byte_more_is_not() {
    let limit = Limits::default().message;
    let text = "INFO sip:a@b SIP/2.0\r\nl: 65000\r\nX: ";
    let pad = "x".repeat(limit - 65_000 - text.len() - 4);
    let exact = format!("{text}{pad}\r\n\r\n{}", "b".repeat(65_000));
    assert_eq!(frames([exact.as_bytes()]), [message(&exact)]);
    let more = format!("{text}x{pad}\r\n\r\n{}", "b".repeat(65_000));
    assert!(matches!(
        frames([more.as_bytes()])[..],
        [Frame::Refused {
            fault: Fault::TooLong,
            ..
        }]
    ));
}

#[test]
fn noise_is_dropped_line_by_line() {
    let stream = format!("GET / HTTP/1.1\r\nHost: x\r\n\r\nsecond\r\n\0\u{1}\r\r\n{EMPTY}");
    assert_eq!(frames([stream.as_bytes()]), [message(EMPTY)]);
    assert_eq!(frames(stream.as_bytes().chunks(1)), [message(EMPTY)]);
    // A request of another version is no noise: it has its answer.
    let future = "OPTIONS sip:a@b SIP/7.0\r\nl: 0\r\n\r\n";
    assert_eq!(frames([future.as_bytes()]), [message(future)]);
}

#[test]
fn noise_without_end_loses_the_stream() {
    let lost = |fault| {
        [Frame::Lost {
            head: Bytes::new(),
            fault,
        }]
    };
    let limit = Limits::default().message;
    let lines = "noise\r\n".repeat(limit / 7 + 1);
    assert_eq!(frames(lines.as_bytes().chunks(999)), lost(Fault::Noise));
    let line = "x".repeat(limit + 1);
    assert_eq!(frames(line.as_bytes().chunks(999)), lost(Fault::Noise));
}

#[test]
fn a_head_without_end_loses_the_stream() {
    let stream = format!("INVITE sip:a@b SIP/2.0\r\n{}", "X: y\r\n".repeat(20_000));
    let seen = frames(stream.as_bytes().chunks(999));
    let [Frame::Lost { head, fault }] = &seen[..] else {
        panic!("{seen:?}")
    };
    assert_eq!((head.len(), *fault), (Limits::default().message, Fault::EndlessHead));
}

#[test]
fn the_time_of_an_unfinished_message_is_that_of_its_first_byte() {
    let mut framer = Framer::new(Limits::default());
    let start = Instant::now();
    let at = |s| start + Duration::from_secs(s);
    let feed = |framer: &mut Framer, s, bytes: &[u8]| {
        framer.handle_bytes(at(s), bytes);
        while framer.poll_frame().is_some() {}
        framer.unfinished_since()
    };
    assert_eq!(feed(&mut framer, 0, b"\r\n"), None, "a keep-alive is complete");
    assert_eq!(feed(&mut framer, 1, b"O"), Some(at(1)));
    assert_eq!(feed(&mut framer, 2, &EMPTY.as_bytes()[1..40]), Some(at(1)));
    assert_eq!(feed(&mut framer, 3, &EMPTY.as_bytes()[40..]), None);
    // The next message begins in the segment that ends the one before.
    assert_eq!(feed(&mut framer, 4, &BODY.as_bytes()[..60]), Some(at(4)));
    let mut rest = BODY.as_bytes()[60..].to_vec();
    rest.extend(b"INV");
    assert_eq!(feed(&mut framer, 5, &rest), Some(at(5)));
    let mut framer = Framer::new(Limits::default());
    let long = b"INFO sip:a@b SIP/2.0\r\nl: 100000\r\n\r\n";
    assert_eq!(
        feed(&mut framer, 0, long),
        Some(at(0)),
        "what is passed over is awaited, too"
    );
    assert_eq!(feed(&mut framer, 1, &[b'x'; 99_999]), Some(at(0)));
    assert_eq!(feed(&mut framer, 2, b"x"), None);
}

/// Pieces of which streams are made: messages, keep-alives, noise, faults.
fn piece() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        8 => prop::sample::select(vec![
            EMPTY, BODY, ANSWER, "\r\n", "\r\n\r\n", "\r", "\n", "noise\r\n",
            "OPTIONS sip:a@b SIP/2.0\r\nTo: x\r\n\r\n", "INFO sip:a@b SIP/2.0\r\nl: 70000\r\n\r\n",
            "INFO sip:a@b SIP/2.0\r\nContent-Length\r\n :\r\n\t3\r\n\r\nabc", "SIP/2.0 100 Trying\r\n\r\n",
        ]).prop_map(|text| text.as_bytes().to_vec()),
        1 => prop::collection::vec(any::<u8>(), 0..80),
        1 => prop::sample::select(vec!["l: 1\r\nl: 2\r\n", "INFO sip:a@b SIP/2.0\r\nl: 1\r\nl: 2\r\n\r\n"])
            .prop_map(|text| text.as_bytes().to_vec()),
    ]
}

proptest! {
    /// However a stream is cut, it holds the same frames.
    #[test]
    fn any_split_gives_the_same_frames(
        pieces in prop::collection::vec(piece(), 0..12),
        mut cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..30),
    ) {
        let stream = pieces.concat();
        let whole = frames([stream.as_slice()]);
        let mut places: Vec<_> = cuts.drain(..).map(|cut| cut.index(stream.len() + 1)).collect();
        places.sort_unstable();
        let mut parts = Vec::new();
        let mut from = 0;
        for place in places {
            parts.push(&stream[from..place]);
            from = place;
        }
        parts.push(&stream[from..]);
        prop_assert_eq!(&frames(parts), &whole);
        prop_assert_eq!(&frames(stream.chunks(1)), &whole);
    }
}
