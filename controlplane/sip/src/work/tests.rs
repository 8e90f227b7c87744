use std::cell::Cell;
use std::time::{Duration, Instant};

use bytes::Bytes;

use crate::digest;
use crate::endpoint::{Config, Endpoint, Event};
use crate::framing::Framer;
use crate::message::{Limits, Message};

thread_local! {
    pub(super) static LOOKED_AT: Cell<usize> = const { Cell::new(0) };
    pub(super) static VISITED: Cell<usize> = const { Cell::new(0) };
}

/// How many entries of its tables an endpoint goes over.
pub(crate) fn visits(work: impl FnOnce()) -> usize {
    VISITED.set(0);
    work();
    VISITED.get()
}

/// Times that each byte of a message may be looked at from the datagram to the answer: lines, fields, then From, To, Via and the
/// rest by those who need them, and the same for what is printed.
const TIMES: usize = 48;

fn looked_at(work: impl FnOnce()) -> usize {
    LOOKED_AT.set(0);
    work();
    LOOKED_AT.get()
}

const PLAIN: &str = "Via: SIP/2.0/UDP 192.0.2.9;branch=z9hG4bKw\r\nFrom: <sip:a@h>;tag=1\r\nTo: <sip:b@h>\r\nCall-ID: w\r\n\
                     CSeq: 1 INVITE\r\nContact: <sip:a@192.0.2.9>\r\nMax-Forwards: 70\r\n";

/// An INVITE whose plain field `name` is replaced by `lines`; they come last where there is no such field.
fn invite(name: &str, lines: &str) -> Bytes {
    let mut text = "INVITE sip:b@h SIP/2.0\r\n".to_owned();
    for line in PLAIN.split_inclusive("\r\n").filter(|line| !line.starts_with(name)) {
        text.push_str(line);
    }
    Bytes::from(format!("{text}{lines}\r\n"))
}

/// The worst of each kind that we know, of about `size` bytes.
fn worst(size: usize) -> Vec<(&'static str, Bytes)> {
    let many = |line: &str| line.repeat(size / line.len());
    // Fields as long as the limit lets them be.
    let fields = |name: &str, item: &str| {
        let field = size.min(Limits::default().line - 200);
        let value = item.repeat((field / item.len()).max(1));
        format!("{name}: {value}\r\n").repeat((size / (value.len() + name.len() + 4)).max(1))
    };
    let one = |name: &str, front: &str, item: &str, back: &str| {
        let value = item.repeat(size.min(Limits::default().line - 200) / item.len());
        format!("{name}: {front}{value}{back}\r\n")
    };
    vec![
        ("tiny fields", invite("X:", &many("a:b\r\n"))),
        ("folds", invite("X:", &fields("Subject", "\r\n x"))),
        (
            "folded Via",
            invite("Via", &one("Via", "SIP/2.0/UDP h;branch=z9hG4bKw", "\r\n ;a", "")),
        ),
        ("commas in Via", invite("Via", &fields("Via", ","))),
        ("commas in Contact", invite("Contact", &fields("Contact", ","))),
        ("commas in Require", invite("X:", &fields("Require", ","))),
        ("options in Require", invite("X:", &fields("Require", "a,"))),
        ("commas in Accept", invite("X:", &fields("Accept", ",a/b"))),
        ("commas in Record-Route", invite("X:", &fields("Record-Route", ","))),
        (
            "routes",
            invite("X:", &fields("Record-Route", "<sip:h;lr>,").replace(",\r\n", "\r\n")),
        ),
        (
            "escapes in a name",
            invite("From", &one("From", "\"", "\\\"", "\" <sip:a@h>;tag=1")),
        ),
        (
            "quotes in a name",
            invite("From", &one("From", "", "\"\"", " <sip:a@h>;tag=1")),
        ),
        (
            "brackets in From",
            invite("From", &one("From", "", "<", "sip:a@h>;tag=1")),
        ),
        (
            "parameters of From",
            invite("From", &one("From", "<sip:a@h>;tag=1", ";a", "")),
        ),
        ("parameters of a URI", invite("To", &one("To", "<sip:b@h", ";a", ">"))),
        ("a long URI", invite("To", &one("To", "<sip:", "%41", "@h>"))),
        (
            "a URI of colons",
            invite("Contact", &one("Contact", "<sip:a@[", ":", "]>")),
        ),
        (
            "Vias",
            invite("Via", &many("Via: SIP/2.0/UDP h;branch=z9hG4bKw;rport\r\n")),
        ),
        (
            "Vias in one field",
            invite(
                "Via",
                &fields("Via", "SIP/2.0/UDP h;branch=z9hG4bKw,").replace(",\r\n", "\r\n"),
            ),
        ),
        (
            "Contacts",
            invite("Contact", &fields("Contact", "<sip:a@h>,").replace(",\r\n", "\r\n")),
        ),
        ("lines of nothing", Bytes::from("\r\n".repeat(size / 2))),
        ("colons", invite("X:", &many(":\r\n"))),
        (
            "no line end",
            Bytes::from(format!("INVITE sip:b@h SIP/2.0\r\n{}", "x".repeat(size))),
        ),
        (
            "blanks",
            Bytes::from(format!("INVITE{}SIP/2.0\r\n\r\n", " ".repeat(size))),
        ),
        ("Content-Lengths", invite("X:", &many("l: 0\r\n"))),
        (
            "a body of commas",
            invite(
                "X:",
                &format!("Content-Type: application/sdp\r\n\r\n{}", ",".repeat(size)),
            ),
        ),
        (
            "challenges",
            Bytes::from(format!(
                "SIP/2.0 401 No\r\n{PLAIN}{}\r\n",
                fields("WWW-Authenticate", "Digest realm=\"r\",nonce=\"n\",")
            )),
        ),
    ]
}

fn receive(bytes: &Bytes) {
    let mut end = Endpoint::new(Config {
        advertise: "192.0.2.1:5060".parse().unwrap(),
        agent: "Baton".into(),
        t1: Duration::from_millis(500),
        t2: Duration::from_secs(4),
        t4: Duration::from_secs(5),
        seed: 1,
        transactions: 100,
        also: None,
        flows: None,
    });
    let now = Instant::now();
    end.handle_datagram(now, "192.0.2.9:5060".parse().unwrap(), bytes.clone());
    if let Some(Event::Invite { dialog, .. }) = end.poll_event() {
        end.answer(now, dialog, Bytes::from_static(b"v=0\r\n"), &[])
            .expect("a call");
        end.end(now, dialog, None).expect("a call");
    }
    while end.poll_transmit().is_some() {}
}

#[test]
fn the_work_of_a_message_is_linear_in_its_length() {
    let limit = Limits::default().message;
    let mut sizes: Vec<_> = [2_000, 4_000, limit / 2 - 1_000, limit - 2_000].map(worst).into();
    // Beyond every limit, as a stream could bring it.
    sizes.push(worst(1 << 20));
    for (what, bytes) in sizes.iter().flatten() {
        let work = looked_at(|| receive(bytes));
        assert!(
            work <= TIMES * (bytes.len() + 100),
            "{what}, {} bytes: {work} bytes looked at",
            bytes.len()
        );
    }
    // Twice the length, twice the work at the most, with a rest that does not grow.
    for ((what, one), (_, two)) in sizes[0].iter().zip(&sizes[1]).chain(sizes[2].iter().zip(&sizes[3])) {
        let (small, large) = (looked_at(|| receive(one)), looked_at(|| receive(two)));
        let growth = two.len() as f64 / one.len() as f64;
        assert!(
            large as f64 <= 1.2 * growth * small as f64 + 4_000.0,
            "{what}: {small} for {} bytes, {large} for {}",
            one.len(),
            two.len()
        );
    }
}

#[test]
fn what_is_beyond_the_limits_is_not_looked_at_twice() {
    for (what, bytes) in worst(1 << 20) {
        let work = looked_at(|| drop(Message::parse(bytes.clone()).map(|message| message.check())));
        let bound = bytes.len() + 4 * Limits::default().message;
        assert!(work <= bound, "{what}: {work} bytes looked at, of {}", bytes.len());
    }
}

#[test]
fn the_work_of_a_stream_is_linear_however_it_is_cut() {
    let limits = Limits::default();
    let line = |size: usize| format!("OPTIONS sip:b@h SIP/2.0\r\nSubject: {}", "x".repeat(size));
    for size in [4_000, 8_000] {
        let mut streams = worst(size);
        streams.push(("a line that does not end", Bytes::from("x".repeat(size))));
        streams.push(("a field that does not end", Bytes::from(line(size))));
        streams.push(("two of them", Bytes::from(line(size / 2) + "\r\n" + &line(size / 2))));
        for (what, bytes) in streams {
            for piece in [1, 7, bytes.len()] {
                let mut framer = Framer::new(limits);
                let work = looked_at(|| {
                    for part in bytes.chunks(piece) {
                        framer.handle_bytes(Instant::now(), part);
                        while framer.poll_frame().is_some() {}
                    }
                });
                assert!(
                    work <= 4 * bytes.len(),
                    "{what}, {piece} bytes at a time: {work} of {}",
                    bytes.len()
                );
            }
        }
    }
}

#[test]
fn the_work_of_challenges_is_linear() {
    for item in [
        "Digest realm=\"r\", nonce=\"n\", ",
        ",",
        "\\",
        "\"\",",
        "a=b,",
        "x ",
        "Digest a=\"\\\"\",",
    ] {
        let work = |count: usize| {
            let value = item.repeat(count);
            looked_at(|| drop(digest::challenges(&value)))
        };
        let (small, large) = (work(1_000), work(2_000));
        assert!(large <= 2 * small + 100, "{item}: {small}, {large}");
        assert!(large <= 4 * 2_000 * item.len(), "{item}: {large}");
    }
}
