//! The peers of a live endpoint: what they say, and how an input names what the endpoint has drawn.

use std::net::SocketAddr;

use bytes::Bytes;
use sip::message::Message;

/// Between the messages of an input.
const DIVIDER: &str = "====";

/// Messages of one input.
const MESSAGES_MAX: usize = 40;

pub(crate) const SDP: &str =
    "v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\n";

pub(crate) fn us() -> SocketAddr {
    ([192, 0, 2, 1], 5060).into()
}

pub(crate) fn hostile() -> SocketAddr {
    ([192, 0, 2, 66], 5060).into()
}

pub(crate) fn bystander() -> SocketAddr {
    ([192, 0, 2, 7], 5060).into()
}

/// The messages of an input.
pub(crate) fn parts(data: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = Some(data);
    std::iter::from_fn(move || {
        let data = rest?;
        let found = data
            .windows(DIVIDER.len())
            .position(|window| window == DIVIDER.as_bytes());
        rest = found.map(|at| &data[at + DIVIDER.len()..]);
        let part = &data[..found.unwrap_or(data.len())];
        Some(part.trim_ascii_start())
    })
    .take(MESSAGES_MAX)
}

pub(crate) fn messages(data: &[u8]) -> u64 {
    parts(data).count() as u64
}

/// Names in braces, and what an input gets for them.
pub(crate) struct Names(pub(crate) Vec<(&'static str, String)>);

impl Names {
    pub(crate) fn put_into(&self, part: &[u8]) -> Bytes {
        let mut out = Vec::with_capacity(part.len() + 32);
        let mut rest = part;
        while let Some(at) = rest.iter().position(|c| *c == b'{') {
            out.extend_from_slice(&rest[..at]);
            rest = &rest[at..];
            let known = self.0.iter().find(|(name, _)| rest.starts_with(name.as_bytes()));
            let length = match known {
                Some((name, value)) => {
                    out.extend_from_slice(value.as_bytes());
                    name.len()
                }
                None => {
                    out.push(b'{');
                    1
                }
            };
            rest = &rest[length..];
        }
        out.extend_from_slice(rest);
        Bytes::from(out)
    }
}

/// A request of a peer, with more header fields in `more`.
pub(crate) fn request(method: &str, peer: SocketAddr, call: &str, cseq: u32, tag: &str, more: &str) -> Bytes {
    let tag = if tag.is_empty() {
        String::new()
    } else {
        format!(";tag={tag}")
    };
    let body = if method == "INVITE" { SDP } else { "" };
    Bytes::from(format!(
        "{method} sip:us@192.0.2.1 SIP/2.0\r\nVia: SIP/2.0/UDP {peer};branch=z9hG4bK{call}{method}{cseq}\r\nFrom: <sip:peer@{peer}>;tag=pt\r\n\
         To: <sip:us@192.0.2.1>{tag}\r\nCall-ID: {call}\r\nCSeq: {cseq} {method}\r\nMax-Forwards: 70\r\nContact: <sip:peer@{peer}>\r\n{more}\
         Content-Type: application/sdp\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    ))
}

pub(crate) fn tag_of(answer: &Message) -> String {
    answer.to().and_then(|to| to.tag()).expect("a tag")
}
