//! The guard: what stands between the network and everything that keeps state.
//!
//! A datagram becomes a message, a ready answer, or nothing, at a cost that is linear in its length and bounded by
//! [`Limits`]. Nothing is remembered.

use std::net::SocketAddr;

use bytes::Bytes;

use crate::message::{Limits, Message};
use crate::method::Method;

/// What became of a datagram.
#[derive(Clone, Debug)]
pub enum Guarded {
    /// A message that passed [`Message::check`]. A request's topmost Via has `received` and `rport` (RFC 3581).
    Message(Box<Message>),
    /// A request that cannot be served; this response is to be sent to where it came from.
    Answer(Bytes),
    /// Nothing to do.
    Drop(DropReason),
}

/// Why a datagram was dropped without an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DropReason {
    /// Empty, or line ends only.
    KeepAlive,
    /// No SIP at all (STUN, noise).
    NotSip,
    /// A response that cannot be read.
    BadResponse,
    /// An ACK that cannot be read: an ACK is never answered.
    BadAck,
    /// A request to be refused that has no Via: nobody could relate an answer to it.
    NoVia,
}

/// Reads and checks a datagram that came from `from`. Methods that are not in `allowed` get 405 with an Allow field.
pub fn guard(datagram: Bytes, from: SocketAddr, limits: &Limits, allowed: &[Method]) -> Guarded {
    if datagram
        .iter()
        .take(limits.message)
        .all(|c| matches!(c, b'\r' | b'\n' | b' ' | 0))
    {
        return Guarded::Drop(DropReason::KeepAlive);
    }
    let ack = datagram.trim_ascii_start().starts_with(b"ACK ");
    let response = datagram
        .trim_ascii_start()
        .get(..4)
        .is_some_and(|name| name.eq_ignore_ascii_case(b"SIP/"));
    let mut message = match Message::parse_within(datagram, limits) {
        Ok(message) => message,
        Err(rejection) => {
            return match rejection.request {
                Some(request) => refuse(*request, from, rejection.status, rejection.reason, allowed),
                None if ack => Guarded::Drop(DropReason::BadAck),
                None if response => Guarded::Drop(DropReason::BadResponse),
                None => Guarded::Drop(DropReason::NotSip),
            };
        }
    };
    if let Err((status, reason)) = message.check() {
        return match message.method() {
            None => Guarded::Drop(DropReason::BadResponse),
            Some(Method::Ack) => Guarded::Drop(DropReason::BadAck),
            Some(_) => refuse(message, from, status, reason, allowed),
        };
    }
    if let Some(method) = message.method() {
        if !allowed.contains(method) && *method != Method::Ack {
            return refuse(message, from, 405, "Method Not Allowed", allowed);
        }
        message.stamp_source(from);
    }
    Guarded::Message(Box::new(message))
}

/// What is answered to the head of a message whose body cannot be taken (RFC 3261 §18.3).
pub fn refuse_head(head: Bytes, from: SocketAddr, limits: &Limits, status: u16, reason: &str) -> Guarded {
    let request = match Message::parse_within(head, limits) {
        Ok(message) => Some(Box::new(message)),
        Err(rejection) => rejection.request,
    };
    match request {
        Some(request) if request.method().is_some_and(|method| *method != Method::Ack) => {
            refuse(*request, from, status, reason, &[])
        }
        Some(_) => Guarded::Drop(DropReason::BadResponse),
        None => Guarded::Drop(DropReason::NotSip),
    }
}

/// A stateless answer: the same request always gets the same one, To tag included (RFC 3261 §8.2.7).
fn refuse(mut request: Message, from: SocketAddr, status: u16, reason: &str, allowed: &[Method]) -> Guarded {
    if request.header_bytes("Via").is_none() {
        return Guarded::Drop(DropReason::NoVia);
    }
    request.stamp_source(from);
    let mut response = Message::response(&request, status, reason);
    response.set_to_tag(&stateless_tag(&request));
    if status == 405 {
        let allowed: Vec<_> = allowed.iter().map(Method::as_str).collect();
        response.set("Allow", &allowed.join(", "));
    }
    Guarded::Answer(response.to_bytes())
}

/// FNV-1a over what names the request.
fn stateless_tag(request: &Message) -> String {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    for name in ["Via", "From", "Call-ID", "CSeq"] {
        for c in request.header_bytes(name).unwrap_or_default().iter() {
            hash = (hash ^ u64::from(*c)).wrapping_mul(0x100_0000_01b3);
        }
    }
    format!("{hash:016x}")
}

#[cfg(test)]
mod tests;
