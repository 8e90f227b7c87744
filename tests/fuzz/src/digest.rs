//! Digest challenges: the value of WWW-Authenticate, and what we answer.

use sip::digest::{Credentials, Subject, challenges};
use sip::message::Message;
use sip::method::Method;

use crate::sip::well_formed;

pub(crate) const WORDS: &[&str] = &[
    "Digest ",
    "Basic realm=\"x\", ",
    "realm=\"\\\"\"",
    "realm=\"a\"",
    ", nonce=\"84a4cc6f\"",
    ", nonce=\"a\\\"b\"",
    ", opaque=\"5ccc\"",
    ", algorithm=MD5",
    ", algorithm=SHA-256-sess",
    ", algorithm=SHA-512-256",
    ", qop=\"auth,auth-int\"",
    ", qop=auth",
    ", stale=TRUE",
    ", userhash=true",
    ", domain=\"sip:a\"",
    "\\",
    "\"",
];

/// Ours beside what is echoed: names, the user, the response, cnonce, nc.
const ANSWER_MORE: usize = 600;

pub(crate) fn target(data: &[u8]) {
    // A value comes unfolded to its parser.
    let value = String::from_utf8_lossy(data).replace(['\r', '\n'], " ");
    let Ok(found) = challenges(&value) else {
        return;
    };
    let credentials = Credentials {
        realm: None,
        username: "bat\"on\\".into(),
        password: "do not show".into(),
    };
    for challenge in found {
        assert!(challenge.realm().len() <= value.len());
        let subject = Subject {
            method: "INVITE",
            uri: "sip:a@b;x=\"y\"",
            body: data,
        };
        let answer = challenge.answer(&credentials, subject, 1, "0a4f113b");
        assert!(!answer.contains("do not show"), "{answer:?}");
        assert!(
            answer.len() <= value.len() + ANSWER_MORE,
            "{} for {}",
            answer.len(),
            value.len()
        );
        assert_eq!(challenge.answer(&credentials, subject, 1, "0a4f113b"), answer);
        // Whatever was echoed, it is one list of parameters with the same realm in it.
        let again = challenges(&answer).expect("ours can be read");
        assert_eq!(again.len(), 1, "{answer:?}");
        assert_eq!(again[0].realm(), challenge.realm());
        // Put into a request, it is one field of it.
        let mut request = Message::request(Method::Invite, "sip:a@b");
        request.push("Via", "SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKf");
        request.push("Authorization", &answer);
        // Content-Length is written by the printer.
        let names: Vec<_> = well_formed(&request.to_bytes())
            .fields()
            .map(|(name, _)| name.into_owned())
            .collect();
        assert_eq!(names, ["Via", "Authorization", "Content-Length"]);
    }
}
