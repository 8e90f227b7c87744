//! The media of a party: a tone, digits, and what it does with them.

use std::time::{Duration, Instant};

use sip::sdp::{Direction, Encoding};

use crate::net::Datagram;
use crate::rtp::Packet;
use crate::ua::{State, Ua};

/// What a party does with media.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Media {
    /// It sends.
    pub sends: bool,
    /// It has told Baton that it may send to it.
    pub listens: bool,
    /// It holds: its description says that it does not send, or does not want to hear, or has no address.
    pub holds: bool,
    /// It keeps silent without saying so.
    pub mute: bool,
    /// A re-INVITE of its own is not answered yet: Baton may go by the old or by the new description.
    pub unsettled: bool,
}

/// A digit that is being sent: RFC 4733, 100 ms and three end packets.
#[derive(Clone, Copy, Debug)]
pub(super) struct Key {
    event: u8,
    timestamp: u32,
    packets: u16,
}

impl Ua {
    /// Presses a key for 100 ms.
    pub fn press(&mut self, digit: char) {
        let event = match digit {
            '0'..='9' => digit as u8 - b'0',
            '*' => 10,
            _ => 11,
        };
        self.key = Some(Key {
            event,
            timestamp: self.timestamp,
            packets: 0,
        });
    }

    /// Goes on with another stream (RFC 3550 §8.2: another source).
    pub fn new_stream(&mut self) {
        self.ssrc = self.ssrc.wrapping_mul(0x9e37_79b9).wrapping_add(1);
        self.sequence = self.sequence.wrapping_add(20_011);
        self.timestamp = self.timestamp.wrapping_add(0x4000_0000);
        self.marker = true;
    }

    pub(super) fn alaw(&self) -> bool {
        self.agreed
            .as_ref()
            .is_some_and(|agreed| agreed.encoding == Encoding::Pcma)
    }

    /// Keeps what has changed.
    pub(super) fn note_media(&mut self, now: Instant) {
        let up = self.state == State::Up;
        let agreed = self.agreed.as_ref();
        let no_address = self.exchange.no_address;
        let media = Media {
            sends: up && !self.mute && agreed.is_some_and(|it| it.direction.sends() && it.remote.is_some()),
            listens: up && !no_address && agreed.is_some_and(|it| it.direction.receives()),
            holds: up && (no_address || agreed.is_some_and(|it| it.direction != Direction::SendRecv)),
            mute: self.mute,
            unsettled: up && self.reinviting(),
        };
        if self.media.last().is_none_or(|(_, last)| *last != media) {
            self.media.push((now, media));
        }
    }

    pub(super) fn transmit_media(&mut self, now: Instant, out: &mut Vec<Datagram>) {
        while let Some(at) = self.next_packet.filter(|at| *at <= now) {
            self.next_packet = Some(at + Duration::from_millis(20));
            let to = self
                .agreed
                .as_ref()
                .filter(|agreed| agreed.direction.sends())
                .and_then(|agreed| agreed.remote);
            let Some(to) = to.filter(|_| !self.mute) else {
                // Time passes, but a packet that is not sent has no number.
                self.timestamp = self.timestamp.wrapping_add(160);
                self.samples += 160;
                continue;
            };
            let bytes = self.packet().to_bytes();
            out.push(Datagram {
                from: self.rtp,
                to,
                bytes,
            });
        }
    }

    fn packet(&mut self) -> Packet {
        let (sequence, timestamp) = (self.sequence, self.timestamp);
        self.sequence = self.sequence.wrapping_add(1);
        self.timestamp = self.timestamp.wrapping_add(160);
        self.samples += 160;
        let agreed = self.agreed.as_ref();
        if let (Some(key), Some(events)) = (self.key.as_mut(), agreed.and_then(|agreed| agreed.events)) {
            key.packets += 1;
            let (marker, end) = (key.packets == 1, key.packets > 5);
            let duration = key.packets.min(5) * 160;
            let payload = vec![
                key.event,
                u8::from(end) << 7 | 10,
                (duration >> 8) as u8,
                duration as u8,
            ];
            let packet = Packet {
                marker,
                payload_type: events.send,
                sequence,
                timestamp: key.timestamp,
                ssrc: self.ssrc,
                payload,
            };
            if key.packets == 8 {
                self.key = None;
            }
            return packet;
        }
        let marker = std::mem::take(&mut self.marker);
        let payload = self.voice.packet(self.samples, self.alaw());
        let payload_type = self.agreed.as_ref().map_or(0, |agreed| agreed.send);
        Packet {
            marker,
            payload_type,
            sequence,
            timestamp,
            ssrc: self.ssrc,
            payload,
        }
    }
}
