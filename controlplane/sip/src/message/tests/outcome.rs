//! What a running endpoint does with each message of the table: the RFC's own one where it is at hand, and ours.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use super::table::{Outcome, Row, TABLE};
use super::vectors;
use super::*;
use crate::endpoint::{Alive, Config, Endpoint, Event, FlowBounds};

pub(super) fn endpoint(flows: Option<FlowBounds>) -> Endpoint {
    Endpoint::new(Config {
        advertise: "192.0.2.200:5060".parse().unwrap(),
        agent: "Baton".into(),
        t1: Duration::from_millis(500),
        t2: Duration::from_secs(4),
        t4: Duration::from_secs(5),
        seed: 1,
        transactions: 100,
        also: None,
        flows,
    })
}

pub(super) fn peer() -> SocketAddr {
    "192.0.2.77:5066".parse().unwrap()
}

/// The answers, to be read with the endpoint's own parser.
fn answers(end: &mut Endpoint) -> Vec<Message> {
    std::iter::from_fn(|| end.poll_transmit())
        .map(|transmit| {
            assert_eq!(transmit.to.ip(), peer().ip(), "to where it came from");
            Message::parse(transmit.bytes).expect("our own messages can be read")
        })
        .collect()
}

fn check(row: &Row, whose: &str, bytes: Vec<u8>) {
    let what = format!("{} (RFC {}, {whose}: {})", row.name, row.section, row.why);
    let parsed = match Message::parse(Bytes::from(bytes.clone())) {
        Err(rejection) => Err(rejection.status),
        Ok(message) => message
            .check()
            .map(|()| match (message.method(), message.status()) {
                (Some(method), _) => method.to_string(),
                (None, status) => status.unwrap_or_default().to_string(),
            })
            .map_err(|(status, _)| status),
    };
    if whose == "theirs" {
        assert_eq!(parsed.as_deref().map_err(|status| *status), row.parsed, "{what}");
    } else {
        assert_eq!(
            parsed.as_ref().map(|_| ()).map_err(|status| *status),
            row.parsed.map(|_| ()),
            "{what}"
        );
    }

    let mut end = endpoint(None);
    let now = Instant::now();
    end.handle_datagram(now, peer(), Bytes::from(bytes));
    let mut answers = answers(&mut end);
    let event = end.poll_event();
    match row.outcome {
        Outcome::Call => {
            assert!(
                matches!(event, Some(Event::Invite { .. })),
                "{what}: {event:?}, {answers:?}"
            );
            assert_eq!(answers.len(), 1, "{what}");
            assert_eq!(answers[0].status(), Some(100), "{what}");
        }
        Outcome::Answer(status, headers) => {
            assert!(event.is_none(), "{what}: {event:?}");
            assert_eq!(answers.len(), 1, "{what}: {answers:?}");
            let answer = answers.remove(0);
            assert_eq!(answer.status(), Some(status), "{what}");
            for (name, value) in headers {
                assert_eq!(answer.header(name).as_deref(), Some(*value), "{what}");
            }
            for name in ["From", "To", "Call-ID", "CSeq"] {
                assert!(answer.headers(name).count() <= 1, "{what}: {name}");
            }
            assert_eq!(end.alive(), Alive::default(), "{what}: nothing is kept");
        }
        Outcome::Drop => {
            assert!(event.is_none() && answers.is_empty(), "{what}: {event:?}, {answers:?}");
            assert_eq!(end.alive(), Alive::default(), "{what}");
        }
    }
    // And it goes on serving others.
    let options = "OPTIONS sip:b@192.0.2.200 SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.77:5066;branch=z9hG4bKafter\r\n\
                   From: <sip:a@h>;tag=9\r\nTo: <sip:b@h>\r\nCall-ID: after\r\nCSeq: 1 OPTIONS\r\n\r\n";
    end.handle_datagram(now, peer(), Bytes::from_static(options.as_bytes()));
    assert_eq!(
        end.poll_transmit().map(|it| it.bytes.starts_with(b"SIP/2.0 200 ")),
        Some(true),
        "{what}"
    );
}

#[test]
fn each_message_of_ours_has_its_outcome() {
    for row in &TABLE {
        check(row, "ours", row.own());
    }
}

#[test]
fn each_message_of_the_rfcs_has_its_outcome() {
    for rfc in ["4475", "5118"] {
        let Some(folder) = vectors::folder(&format!("rfc{rfc}")) else {
            return;
        };
        for row in TABLE.iter().filter(|row| row.section.starts_with(rfc)) {
            check(row, "theirs", vectors::read(&folder, row));
        }
    }
}

#[test]
fn the_table_has_every_message_once() {
    let count = |rfc: &str| TABLE.iter().filter(|row| row.section.starts_with(rfc)).count();
    assert_eq!((count("4475 "), count("5118 ")), (49, 12));
    let names: std::collections::BTreeSet<_> = TABLE.iter().map(|row| row.name).collect();
    assert_eq!(names.len(), TABLE.len());
    for (at, row) in TABLE.iter().enumerate() {
        let own = row.own();
        assert!(TABLE[..at].iter().all(|other| other.own() != own), "{}", row.name);
        assert!(!String::from_utf8_lossy(&own).contains("$V"), "{}", row.name);
    }
    let Some(folder) = vectors::folder("rfc4475") else {
        return;
    };
    let mut files: Vec<String> = [folder.clone(), folder.with_file_name("rfc5118")]
        .iter()
        .flat_map(|folder| std::fs::read_dir(folder).unwrap())
        .map(|file| file.unwrap().file_name().into_string().unwrap())
        .collect();
    files.retain(|file| !names.contains(file.trim_end_matches(".sip")));
    assert!(files.is_empty(), "not in the table: {files:?}");
}
