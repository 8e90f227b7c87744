//! Re-INVITEs of a party, and of Baton to it.

use std::time::{Duration, Instant};

use bytes::Bytes;
use sip::endpoint::DialogId;
use sip::sdp::{Direction, Local};

use crate::scenario::{Asked, Offer};
use crate::ua::{State, Ua};

/// Stands in place of an offer that is not to be sent: its endpoint always makes one.
const NO_OFFER: &[u8] = b"no offer";

/// What a 491 becomes before its endpoint sees it, which would back off by itself: parties do it on their own, so that a fault in
/// the endpoint's way is not on both sides.
const CROSSED: u16 = 691;

/// How long a re-INVITE that met 491 waits, in milliseconds at least and at the most (RFC 3261 §14.1): of the owner of the Call-ID, and
/// of the other side.
pub const BACK_OFF: [(u64, u64); 2] = [(2100, 4000), (0, 2000)];

/// A re-INVITE of ours that is under way, and the late offer's two halves.
#[derive(Debug, Default)]
pub(super) struct Exchange {
    /// Our last offer had `c=0.0.0.0`.
    pub(super) no_address: bool,
    /// What it offers, and our description before it (and whether that had an address), to go back to where it is refused.
    before: Option<(Offer, Local, bool)>,
    /// What met 491, and when it is offered again.
    pub(super) again: Option<(Instant, Offer)>,
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
        if let Some((_, waits)) = &mut self.exchange.again {
            *waits = offer;
            return;
        }
        let before = self.local.clone();
        let body = match offer {
            Offer::Direction(direction) => {
                self.local.direction = direction;
                self.local.offer()
            }
            Offer::NoAddress => {
                self.local.direction = Direction::SendRecv;
                let offer = self.local.offer();
                self.without_address(&offer)
            }
            Offer::Late => String::from_utf8_lossy(NO_OFFER).into_owned(),
            Offer::Both(direction, encoding) => {
                self.local.direction = direction;
                self.local.encodings = vec![encoding];
                self.local.offer()
            }
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
                let had_none = std::mem::replace(&mut self.exchange.no_address, offer == Offer::NoAddress);
                let (_, before, had_none) = self.exchange.before.take().unwrap_or((offer, before, had_none));
                self.exchange.before = Some((offer, before, had_none));
            }
            Err(_) => self.local = before,
        }
    }

    /// A description of ours as RFC 2543 had it for a hold.
    fn without_address(&self, description: &str) -> String {
        let c = |address: &str| format!("c=IN IP4 {address}\r\n");
        description.replace(&c(&self.sip.ip().to_string()), &c("0.0.0.0"))
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

    /// All is as it was (§14.1); what met 491 is offered again.
    pub(super) fn reinvite_refused(&mut self, now: Instant, status: u16) {
        let Some((offer, before, had_none)) = self.exchange.before.take() else {
            return;
        };
        self.local = before;
        self.exchange.no_address = had_none;
        if status == CROSSED {
            let (least, most) = BACK_OFF[usize::from(!self.owns_call_id)];
            let wait = Duration::from_millis(least + 10 * self.random.below((most - least) / 10 + 1));
            self.exchange.again = Some((now + wait, offer));
        }
    }

    /// What met 491 and has waited.
    pub(super) fn reinvite_timeout(&mut self, now: Instant) {
        if let Some((_, offer)) = self.exchange.again.take_if(|(at, _)| *at <= now) {
            self.reinvite(now, offer);
        }
    }

    pub(super) fn reinvited(&mut self, now: Instant, dialog: DialogId, offer: Option<Bytes>) {
        let spoken = self
            .agreed
            .as_ref()
            .map(|agreed| agreed.encoding.payload_type().to_string());
        let changes = offer
            .as_ref()
            .map(|offer| encodings(offer))
            .is_some_and(|offered| match &offered[..] {
                [one] => Some(one) != spoken.as_ref(),
                _ => false,
            });
        match self.asked {
            Asked::Refuses(status) if changes => {
                let _ = self.endpoint.reject_reinvite(now, dialog, status);
                return;
            }
            Asked::Ponders if changes => return,
            _ => {}
        }
        match offer.map(|offer| self.local.answer(&offer)) {
            Some(Ok((mut answer, agreed))) => {
                self.agreed = Some(agreed);
                if self.exchange.no_address {
                    answer = self.without_address(&answer);
                }
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

/// What a party's endpoint sees of a message that came; it is as long as that.
pub fn as_read(bytes: Vec<u8>) -> Vec<u8> {
    match bytes.starts_with(b"SIP/2.0 491 ") && String::from_utf8_lossy(&bytes).contains(" INVITE\r\n") {
        true => [format!("SIP/2.0 {CROSSED} ").as_bytes(), &bytes[12..]].concat(),
        false => bytes,
    }
}

/// The codecs that a description of G.711 has.
fn encodings(description: &[u8]) -> Vec<String> {
    let text = String::from_utf8_lossy(description);
    let media = text
        .lines()
        .find_map(|line| line.strip_prefix("m=audio "))
        .unwrap_or("");
    let formats = media.split(' ').skip(2).filter(|format| ["0", "8"].contains(format));
    formats.map(str::to_owned).collect()
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
