//! A carrier that wants to know who asks it to transfer (RFC 3261 §22, RFC 7616): it checks by hashes of its own.

use std::collections::BTreeMap;
use std::fmt::Write;

use md5::{Digest, Md5};
use sha2::Sha256;
use sip::message::Message;

/// The user that it knows, and the password.
pub const USER: [&str; 2] = ["baton", "open sesame"];

/// What a REFER shows of who sends it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Shown {
    #[default]
    Nothing,
    Wrong,
    /// Right, but for a nonce that is used up.
    Stale,
    Right,
}

/// What it says with a 401, with a qop, or in a 407, in the form of RFC 2069, whose first nonce is good for nothing.
/// `asked`: how many REFERs have come, of which this is the last.
pub(super) fn challenge(status: u16, asked: usize, last: Shown) -> String {
    let stale = if last == Shown::Stale { ", stale=true" } else { "" };
    match status {
        401 => format!(
            "WWW-Authenticate: Digest realm=\"carrier\", nonce=\"n{asked}\", qop=\"auth\", algorithm=SHA-256{stale}"
        ),
        _ => format!("Proxy-Authenticate: Digest realm=\"carrier\", nonce=\"n{asked}\", algorithm=MD5{stale}"),
    }
}

/// What the request shows to one who has asked so often.
pub(super) fn shown(request: &Message, status: u16, asked: usize) -> Shown {
    let name = if status == 401 {
        "Authorization"
    } else {
        "Proxy-Authorization"
    };
    let Some(value) = request.header(name) else {
        return Shown::Nothing;
    };
    let Some(value) = value.trim().strip_prefix("Digest ") else {
        return Shown::Wrong;
    };
    let params: BTreeMap<&str, &str> = value
        .split(',')
        .filter_map(|param| param.trim().split_once('='))
        .map(|(name, value)| (name, value.trim_matches('"')))
        .collect();
    let param = |name: &str| params.get(name).copied().unwrap_or_default();
    let [user, password] = USER;
    let uri = param("uri");
    let nonce = param("nonce");
    let known = (1..=asked).any(|n| nonce == format!("n{n}"));
    let hash = |text: String| match status {
        401 => hex(&Sha256::digest(text)),
        _ => hex(&Md5::digest(text)),
    };
    let secret = hash(format!("{user}:carrier:{password}"));
    let asked_for = hash(format!("REFER:{uri}"));
    let right = match status {
        401 => hash(format!(
            "{secret}:{nonce}:{}:{}:auth:{asked_for}",
            param("nc"),
            param("cnonce")
        )),
        _ => hash(format!("{secret}:{nonce}:{asked_for}")),
    };
    let names = param("username") == user && param("realm") == "carrier";
    match known && names && param("response") == right {
        false => Shown::Wrong,
        true if status == 407 && nonce == "n1" => Shown::Stale,
        true => Shown::Right,
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a String cannot fail.
        _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn refer(name: &str, value: &str) -> Message {
        let text = format!(
            "REFER sip:bob@biloxi.example SIP/2.0\r\nVia: SIP/2.0/UDP a.example;branch=z9hG4bK1\r\nFrom: <sip:a@b>;tag=1\r\n\
             To: <sip:b@b>;tag=2\r\nCall-ID: c\r\nCSeq: 2 REFER\r\nMax-Forwards: 70\r\n{name}: {value}\r\nContent-Length: 0\r\n\r\n"
        );
        Message::parse(Bytes::from(text)).expect("a REFER")
    }

    /// The hashes are of another program's (Python's hashlib).
    #[test]
    fn right_credentials_are_told_from_wrong_and_from_stale_ones() {
        let sha = |response: &str| {
            format!(
                "Digest username=\"baton\", realm=\"carrier\", nonce=\"n1\", uri=\"sip:bob@biloxi.example\", \
                 response=\"{response}\", algorithm=SHA-256, qop=auth, nc=00000001, cnonce=\"c\""
            )
        };
        let right = sha("587de480cba8c2a65047856c2794eda23b682b42d9915be16aa08021c06b2fc2");
        assert_eq!(shown(&refer("Authorization", &right), 401, 2), Shown::Right);
        assert_eq!(
            shown(&refer("Authorization", &right), 401, 0),
            Shown::Wrong,
            "no such nonce"
        );
        assert_eq!(shown(&refer("Authorization", &sha("00")), 401, 2), Shown::Wrong);
        assert_eq!(shown(&refer("Authorization", &right), 407, 2), Shown::Nothing);

        let old = |nonce: &str, response: &str| {
            format!(
                "Digest username=\"baton\", realm=\"carrier\", nonce=\"{nonce}\", uri=\"sip:bob@biloxi.example\", \
                 response=\"{response}\", algorithm=MD5"
            )
        };
        let stale = refer("Proxy-Authorization", &old("n1", "bfe85ae9f46428a90a5c18e0191adc8e"));
        assert_eq!(shown(&stale, 407, 2), Shown::Stale);
        let fresh = refer("Proxy-Authorization", &old("n2", "361c3706be1854a7d541c806f346b045"));
        assert_eq!(shown(&fresh, 407, 2), Shown::Right);
    }
}
