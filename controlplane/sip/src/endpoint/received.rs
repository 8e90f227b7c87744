//! What the endpoint needs to know of a message that came, taken out of it once.

use std::net::SocketAddr;

use super::hop::{Hop, Source};
use crate::header::Via;
use crate::message::{Message, Start};
use crate::method::Method;

/// A request that passed the guard.
#[derive(Clone, Debug)]
pub(super) struct Request {
    pub(super) message: Message,
    pub(super) method: Method,
    /// Request-URI as it came.
    pub(super) uri: String,
    /// Sent-by and branch of the top Via.
    pub(super) top_via: String,
    /// Branch of the top Via; empty where there is none (RFC 2543).
    pub(super) branch: String,
    /// Host and port of the top Via in lower case.
    pub(super) sent_by: String,
    /// Empty where there is none (RFC 2543).
    pub(super) from_tag: String,
    pub(super) to_tag: Option<String>,
    pub(super) call_id: String,
    pub(super) cseq: u32,
    /// Where the answer goes.
    pub(super) answer_to: Hop,
}

impl Request {
    /// `None` where the message lacks what the guard has made sure of.
    pub(super) fn new(message: Message, source: Source) -> Option<Request> {
        let via = message.via()?;
        let cseq = message.cseq()?;
        let sent_by = format!("{}:{}", via.host.to_ascii_lowercase(), via.port.unwrap_or(5060));
        // RFC 3261 §18.2.2 and RFC 3581 §4: to the address that it came from; to the port that it came from where the client asks
        // for it, else to the port in Via. A `maddr` is not followed: it would let anyone aim our answers at a third host.
        let said = SocketAddr::new(source.address.ip(), via.port.unwrap_or(5060));
        let answer_to = match (source.flow, via.rport()) {
            // "If the "sent-protocol" is a reliable transport protocol such as TCP […], the response MUST be sent using the existing
            // connection […]. If that connection is no longer open, the server SHOULD open a connection to the IP address in the
            // "received" parameter, if present, using the port in the "sent-by" value".
            (Some(flow), _) => Hop::tcp(said, Some(flow)),
            (None, Some(_)) => Hop::udp(source.address),
            (None, None) => Hop::udp(said),
        };
        let Start::Request { method, uri } = message.start() else {
            return None;
        };
        Some(Request {
            method: method.clone(),
            uri: String::from_utf8_lossy(uri).into_owned(),
            top_via: format!("{sent_by};{}", via.branch().unwrap_or_default()),
            branch: via.branch().unwrap_or_default(),
            sent_by,
            from_tag: message.from()?.tag().unwrap_or_default(),
            to_tag: message.to()?.tag(),
            call_id: message.call_id()?.into_owned(),
            cseq: cseq.number,
            answer_to,
            message,
        })
    }
}

/// Via values of a message, over all its fields.
pub(super) fn vias(message: &Message) -> usize {
    message
        .headers("Via")
        .map(|value| Via::parse_list(&value).map_or(1, |vias| vias.len()))
        .sum()
}

/// Their Contact's URI.
pub(super) fn contact(message: &Message) -> Option<String> {
    message.contact().map(|contact| contact.uri.as_str().to_owned())
}

/// Whether the sender of a request takes SDP in the answer: §20.1, without Accept it does.
pub(super) fn accepts_sdp(message: &Message) -> bool {
    message.headers("Accept").next().is_none()
        || tokens(message, "Accept").iter().any(|range| {
            let kind = range.split(';').next().unwrap_or_default();
            let kind: String = kind.split_whitespace().collect::<String>().to_ascii_lowercase();
            matches!(&*kind, "application/sdp" | "application/*" | "*/*")
        })
}

/// The members of a header that is a list of tokens, over all its fields.
pub(super) fn tokens(message: &Message, name: &str) -> Vec<String> {
    message
        .headers(name)
        .flat_map(|value| {
            value
                .split(',')
                .map(|token| token.trim().to_owned())
                .collect::<Vec<_>>()
        })
        .filter(|token| !token.is_empty())
        .collect()
}
