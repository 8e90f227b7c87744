use std::sync::Arc;
use std::time::Duration;

use playbook::hours::Calendar;

use super::*;
use crate::config::{Keys, Pattern};

fn targets() -> Vec<Target> {
    let target = |name: &str, uri: &str, patterns: &[&str]| Target {
        name: name.to_owned(),
        uri: uri.to_owned(),
        next_hop: ([192, 0, 2, 7], 5060).into(),
        transport: None,
        ring: Duration::from_secs(20),
        hours: Arc::new(Calendar::always()),
        patterns: patterns.iter().map(|text| Pattern::parse(text).unwrap()).collect(),
        briefing: None,
        hold: None,
        codecs: None,
        auth: None,
        dtmf: Keys::Rtp,
        reinvite: true,
        queue: None,
        machine: None,
    };
    vec![
        target("sales", "sip:sales@192.0.2.7:5080", &[]),
        target(
            "desk.berlin",
            "sip:+4930500@pbx.example.com",
            &["sip:+4930*@pbx.example.com"],
        ),
        target("evil.example", "sip:decoy@192.0.2.9", &[]),
        target("over.tcp", "sip:tom@192.0.2.10;transport=tcp", &[]),
    ]
}

fn named(value: &str) -> Result<(String, Option<String>), u16> {
    let here = ["192.0.2.1:5060", "[2001:db8::1]:5060"].map(|address| address.parse().unwrap());
    resolve(value, &targets(), &here).map(|choice| (choice.name, choice.uri))
}

#[test]
fn a_target_is_named_by_its_name_its_uri_or_its_patterns() {
    let desk = Some("sip:+4930123@pbx.example.com");
    for (value, name, dialled) in [
        ("sales", "sales", None),
        ("<sip:sales>", "sales", None),
        ("sip:sales", "sales", None),
        ("desk.berlin", "desk.berlin", None),
        ("<sip:desk.berlin>", "desk.berlin", None),
        ("\"The desk\" <sip:sales@192.0.2.1>", "sales", None),
        ("<SIP:sales@192.0.2.1:5060>", "sales", None),
        ("<sip:sales@[2001:DB8::1]>", "sales", None),
        ("<sip:sales@[2001:db8::1]:5060>", "sales", None),
        ("<sip:sales@192.0.2.7:5080>", "sales", None),
        ("<sip:tom@192.0.2.10>", "over.tcp", None),
        ("<sip:+4930500@PBX.example.com>", "desk.berlin", None),
        ("<sip:+4930123@pbx.example.com>", "desk.berlin", desk),
        // Without angle brackets what follows the semicolon is the header's (RFC 3261 §20.10), and not dialled.
        ("sip:+4930123@pbx.example.com;maddr=198.51.100.1", "desk.berlin", desk),
    ] {
        let expected = (name.to_owned(), dialled.map(str::to_owned));
        assert_eq!(named(value), Ok(expected), "{value}");
    }
}

#[test]
fn nobody_else_is_dialled() {
    let long = format!("<sip:+4930{}@pbx.example.com>", "1".repeat(100));
    for (value, status) in [
        ("<sip:mallory@evil.example>", 403),
        ("<sip:+19005550123@pbx.example.com>", 403),
        ("<sip:+4930123@evil.example>", 403),
        ("<sip:+4930123@pbx.example.com;maddr=198.51.100.1>", 403),
        ("<sip:+4930123@pbx.example.com;transport=udp>", 403),
        ("<sip:+4930123@pbx.example.com;user=phone>", 403),
        ("<sip:+4930123;phone-context=+1900@pbx.example.com>", 403),
        ("<sip:+4930123:secret@pbx.example.com>", 403),
        ("<sip:+4930%31@pbx.example.com>", 403),
        ("<sip:%73ales@192.0.2.7:5080>", 403),
        ("<sip:sales@192.0.2.7>", 403),
        ("<sip:SALES@192.0.2.7:5080>", 403),
        ("<sip:sales@192.0.2.7:5080;lr>", 403),
        ("<sip:Sales@192.0.2.1>", 403),
        ("<sip:+4930123@192.0.2.1>", 403),
        ("<sip:sales@192.0.2.1:5061>", 403),
        ("<sip:sales@evil.example>", 403),
        ("<sip:Sales>", 403),
        ("<sips:sales@192.0.2.7:5080>", 403),
        ("<sips:sales>", 403),
        ("<tel:+4930123>", 403),
        ("<tel:sales>", 403),
        ("<mailto:sales>", 403),
        ("<sip:+4930123@pbx.example.com?Route=%3Csip:evil.example%3E>", 403),
        ("<sip:sales?Route=%3Csip:evil.example%3E>", 403),
        (
            "<sip:+4930123@pbx.example.com?Replaces=a%3Bto-tag%3Db%3Bfrom-tag%3Dc>",
            501,
        ),
        (
            "<sip:sales@192.0.2.7:5080?replaces=a%3Bto-tag%3Db&Require=replaces>",
            501,
        ),
        ("<sip:säles@192.0.2.7:5080>", 403),
        // A Cyrillic a.
        ("<sip:s\u{430}les>", 400),
        ("<sip:sales@192.0.2.7:5080>, <sip:mallory@evil.example>", 400),
        ("<sip:sales@192.0.2.7:5080", 400),
        ("<>", 400),
        ("", 400),
        (&long, 403),
    ] {
        assert_eq!(named(value), Err(status), "{value}");
    }
}
