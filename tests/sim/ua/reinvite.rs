//! Re-INVITEs of a party, and of Baton to it.

use std::time::Instant;

use bytes::Bytes;
use sip::endpoint::DialogId;
use sip::sdp::{Direction, Local};

use crate::scenario::Offer;
use crate::ua::{State, Ua};

/// Stands in place of an offer that is not to be sent: its endpoint always makes one.
const NO_OFFER: &[u8] = b"no offer";

/// A re-INVITE of ours that is under way, and the late offer's two halves.
#[derive(Debug, Default)]
pub(super) struct Exchange {
    /// Our last offer had `c=0.0.0.0`.
    pub(super) no_address: bool,
    /// Our description before it, to go back to where it is refused.
    before: Option<Local>,
    /// The CSeq of the re-INVITE without an offer, and the answer to the offer that came with its 2xx.
    late: Option<(u32, Option<String>)>,
}

impl Exchange {
    /// What a datagram of the endpoint is on the wire: an INVITE that brings no offer loses its stand-in, and the ACK of
    /// its 2xx gets the answer.
    pub(super) fn rewrite(&mut self, bytes: Vec<u8>) -> Vec<u8> {
        if bytes.ends_with(NO_OFFER)
            && let Some(number) = cseq(&bytes)
        {
            if self.late.as_ref().is_none_or(|(last, _)| *last != number) {
                self.late = Some((number, None));
            }
            return with_body(&bytes, "");
        }
        if let Some((number, Some(answer))) = &self.late
            && bytes.starts_with(b"ACK ")
            && cseq(&bytes) == Some(*number)
        {
            return with_body(&bytes, answer);
        }
        bytes
    }
}

impl Ua {
    /// Sends a re-INVITE, if its call is up and no other one is under way.
    pub fn reinvite(&mut self, now: Instant, offer: Offer) {
        let (Some(dialog), State::Up) = (self.dialog, self.state) else {
            return;
        };
        let before = self.local.clone();
        let body = match offer {
            Offer::Direction(direction) => {
                self.local.direction = direction;
                self.local.offer()
            }
            Offer::NoAddress => {
                self.local.direction = Direction::SendRecv;
                let c = |address: &str| format!("c=IN IP4 {address}\r\n");
                self.local
                    .offer()
                    .replace(&c(&self.sip.ip().to_string()), &c("0.0.0.0"))
            }
            Offer::Late => String::from_utf8_lossy(NO_OFFER).into_owned(),
            Offer::Codec(encoding) => {
                self.local.encodings = vec![encoding];
                self.local.offer()
            }
            Offer::Moved => {
                self.local.port += 2;
                self.local.offer()
            }
        };
        match self.endpoint.reinvite(now, dialog, Bytes::from(body)) {
            Ok(()) => {
                // Nothing is under way any more that the 2xx could belong to.
                if matches!(self.exchange.late, Some((_, None))) {
                    self.exchange.late = None;
                }
                self.last_port = self.last_port.max(self.local.port);
                self.exchange.no_address = offer == Offer::NoAddress;
                self.exchange.before.get_or_insert(before);
            }
            Err(_) => self.local = before,
        }
    }

    /// Whether a re-INVITE of its own has no answer yet.
    pub(super) fn reinviting(&self) -> bool {
        self.exchange.before.is_some()
    }

    pub(super) fn reinvite_answered(&mut self, body: Option<Bytes>) {
        self.exchange.before = None;
        // One that moves sends from the new port once the other side knows it (RFC 3264 §8.3.1).
        self.rtp.set_port(self.local.port);
        let body = body.unwrap_or_default();
        if let Some((_, answer @ None)) = &mut self.exchange.late {
            if let Ok((text, agreed)) = self.local.answer(&body) {
                *answer = Some(text);
                self.agreed = Some(agreed);
            }
        } else if let Ok(agreed) = self.local.accept(&body) {
            self.agreed = Some(agreed);
        }
    }

    pub(super) fn reinvite_refused(&mut self) {
        if let Some(before) = self.exchange.before.take() {
            self.local = before;
        }
    }

    pub(super) fn reinvited(&mut self, now: Instant, dialog: DialogId, offer: Option<Bytes>) {
        match offer.map(|offer| self.local.answer(&offer)) {
            Some(Ok((answer, agreed))) => {
                self.agreed = Some(agreed);
                let _ = self.endpoint.answer_reinvite(now, dialog, Bytes::from(answer));
            }
            Some(Err(_)) => drop(self.endpoint.reject_reinvite(now, dialog, 488)),
            None => {
                let offer = self.local.offer();
                let _ = self.endpoint.answer_reinvite(now, dialog, Bytes::from(offer));
            }
        }
    }
}

fn cseq(bytes: &[u8]) -> Option<u32> {
    let text = std::str::from_utf8(bytes).ok()?;
    let value = text.lines().find_map(|line| line.strip_prefix("CSeq:"))?;
    value.split_whitespace().next()?.parse().ok()
}

/// The message with another body, or with none.
fn with_body(bytes: &[u8], body: &str) -> Vec<u8> {
    let text = String::from_utf8_lossy(bytes);
    let (head, _) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
    let kept = head
        .lines()
        .filter(|line| !line.starts_with("Content-Length:") && !line.starts_with("Content-Type:"));
    let mut message: String = kept.flat_map(|line| [line, "\r\n"]).collect();
    if !body.is_empty() {
        message.push_str("Content-Type: application/sdp\r\n");
    }
    message.push_str(&format!("Content-Length: {}\r\n\r\n{body}", body.len()));
    message.into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_late_offer_is_an_invite_without_a_body_and_an_ack_with_one() {
        let mut exchange = Exchange::default();
        let message = |start: &str, body: &str| {
            format!(
                "{start}\r\nCSeq: 7 {start}\r\nContent-Length: {}\r\n\r\n{body}",
                body.len()
            )
            .into_bytes()
        };
        let sent = exchange.rewrite(message("INVITE ", "no offer"));
        assert_eq!(sent, b"INVITE \r\nCSeq: 7 INVITE \r\nContent-Length: 0\r\n\r\n");
        let ack = message("ACK ", "");
        assert_eq!(exchange.rewrite(ack.clone()), ack, "there is no answer yet");
        exchange.late = Some((7, Some("v=0".into())));
        let sent = exchange.rewrite(ack);
        assert!(sent.ends_with(b"Content-Type: application/sdp\r\nContent-Length: 3\r\n\r\nv=0"));
        exchange.late = Some((8, Some("v=0".into())));
        assert_eq!(
            exchange.rewrite(message("ACK ", "")),
            message("ACK ", ""),
            "of another INVITE"
        );
    }
}
