//! A leg: one dialog, one port, one description.

use std::sync::Arc;
use std::time::Instant;

use arrayvec::ArrayVec;
use media::codec::opus::Wishes;
use media::command::{Codec, EventFormat, Format, LegId, PRESSED_MAX, Pressed};
use playbook::routing::Seat;
use sip::endpoint::DialogId;
use sip::sdp::{Agreed, Direction, Encoding, Local};

use crate::coders::Promise;
use crate::config::Keys;
use crate::notice::Party;
use crate::ports::Taken;
use crate::spare::Spare;

/// How far a leg is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LegState {
    /// Invited.
    Inviting,
    /// Its phone rings.
    Ringing,
    /// Answered.
    Up,
}

impl LegState {
    /// As the API shows it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            LegState::Inviting => "inviting",
            LegState::Ringing => "ringing",
            LegState::Up => "up",
        }
    }
}

/// One leg of a call.
#[derive(Clone, Debug)]
pub(crate) struct Leg {
    /// Its id in the data plane.
    pub(crate) id: LegId,
    /// Who is at its end.
    pub(crate) party: Party,
    /// What the configuration calls it: the trunk, the agent or the target.
    pub(crate) name: String,
    /// Its SIP session.
    pub(crate) dialog: DialogId,
    /// Its Call-ID.
    pub(crate) call_id: String,
    /// How it is told keys.
    pub(crate) keys: Keys,
    /// The last keys that the data plane is to tell it.
    pub(crate) pressed: ArrayVec<Pressed, PRESSED_MAX>,
    /// Its port.
    pub(crate) taken: Taken,
    /// Our description.
    pub(crate) local: Local,
    /// What both sides agreed on; `None` before.
    pub(crate) agreed: Option<Agreed>,
    /// Counts offer/answer exchanges: the latch re-opens with each.
    pub(crate) exchange: u32,
    /// Our 2xx carries an offer, and its answer comes with the ACK (RFC 3264 §4, RFC 3261 §13.2.1).
    pub(crate) offered: bool,
    /// A re-INVITE of ours has no final answer, or waits to be sent.
    pub(crate) reoffers: bool,
    /// It may be sent a re-INVITE that spares a transcode.
    pub(crate) reinvites: bool,
    /// What became of that.
    pub(crate) spare: Spare,
    /// It is a queue's agent, kept for this caller until the leg is over.
    pub(crate) seat: Option<Seat>,
    /// When it was: the caller, when it came.
    pub(crate) invited: Instant,
    /// How far it is.
    pub(crate) state: LegState,
    /// Its hold is over, and who hears it may wait for its first packet.
    pub(crate) resumes: bool,
    /// Since when it has sent nothing that it should.
    pub(crate) quiet: Option<Instant>,
    /// When it was last asked whether it is there.
    pub(crate) probed: Option<Instant>,
    /// Coder states that are kept for it until it has them: of the target until the join, of others until the answer.
    pub(crate) promise: Option<Arc<Promise>>,
}

/// What a leg's description says of what comes from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Comes {
    /// The party itself.
    Speech,
    /// It holds us, and may play music: it is `sendonly`, or has no address (`c=0.0.0.0`, RFC 3264 §8.4).
    Music,
    /// It holds us and sends nothing: it is `recvonly` or `inactive`.
    Nothing,
}

impl Leg {
    /// A key for it, that comes not in the audio of whom it hears.
    pub(crate) fn tell_key(&mut self, code: u8) {
        let number = self.pressed.last().map_or(1, |last| last.number + 1);
        if self.pressed.is_full() {
            self.pressed.remove(0);
        }
        self.pressed.push(Pressed { number, code });
    }

    /// A new exchange is complete.
    pub(crate) fn agree(&mut self, agreed: Agreed) {
        let held = self.comes() != Comes::Speech;
        self.agreed = Some(agreed);
        self.resumes = (self.resumes || held) && self.comes() == Comes::Speech;
        self.exchange = self.exchange.wrapping_add(1);
        self.offered = false;
    }

    /// What comes from it; before an agreement it is not said to hold us.
    pub(crate) fn comes(&self) -> Comes {
        match &self.agreed {
            // Without an address nothing can be sent to it, so this is never `sendrecv`.
            Some(agreed) => match agreed.direction {
                Direction::SendRecv => Comes::Speech,
                Direction::RecvOnly => Comes::Music,
                Direction::SendOnly | Direction::Inactive => Comes::Nothing,
            },
            None => Comes::Speech,
        }
    }

    /// Codec and payload types; PCMU before an agreement, when nothing is sent anyway.
    pub(crate) fn format(&self) -> Format {
        let Some(agreed) = &self.agreed else {
            return Format {
                codec: Codec::Pcmu,
                send: 0,
                receive: 0,
                events: None,
                comfort_noise: None,
            };
        };
        Format {
            codec: codec(agreed.encoding),
            send: agreed.send,
            receive: agreed.receive,
            events: agreed.events.map(|events| EventFormat {
                send: events.send,
                receive: events.receive,
                clock_hz: events.clock_hz,
            }),
            comfort_noise: agreed.comfort_noise.then_some(COMFORT_NOISE),
        }
    }

    /// What it wants of our Opus.
    pub(crate) fn opus(&self) -> Wishes {
        let said = self.agreed.as_ref().and_then(|agreed| agreed.opus);
        said.map_or_else(Wishes::default, |opus| Wishes {
            fec: opus.fec,
            dtx: opus.dtx,
            cbr: opus.cbr,
            bitrate_max: opus.bitrate_max,
            playback_hz_max: opus.playback_hz_max,
        })
    }

    /// Whether the peer wants to hear us (RFC 3264 §8.4).
    pub(crate) fn sends(&self) -> bool {
        let direction = self.agreed.as_ref().map(|agreed| agreed.direction);
        self.state == LegState::Up && matches!(direction, Some(Direction::SendRecv | Direction::SendOnly))
    }

    /// Whether the peer is to send to us (RFC 3264 §8.4).
    pub(crate) fn receives(&self) -> bool {
        let direction = self.agreed.as_ref().map(|agreed| agreed.direction);
        self.state == LegState::Up && matches!(direction, Some(Direction::SendRecv | Direction::RecvOnly))
    }

    /// Packet time of what we make ourselves: the peer's wish, as far as a packet of it fits an Ethernet frame.
    pub(crate) fn ptime_ms(&self) -> u8 {
        self.agreed.as_ref().map_or(20, |agreed| match agreed.encoding {
            Encoding::L16Wide => agreed.ptime_ms.min(40),
            _ => agreed.ptime_ms,
        })
    }

    /// What it speaks, once agreed.
    pub(crate) fn encoding(&self) -> Option<Encoding> {
        self.agreed.as_ref().map(|agreed| agreed.encoding)
    }
}

/// Static payload type of comfort noise (RFC 3389).
pub(crate) const COMFORT_NOISE: u8 = 13;

pub(crate) fn codec(encoding: Encoding) -> Codec {
    match encoding {
        Encoding::Pcmu => Codec::Pcmu,
        Encoding::Pcma => Codec::Pcma,
        Encoding::G722 => Codec::G722,
        Encoding::L16 => Codec::L16,
        Encoding::L16Wide => Codec::L16Wide,
        Encoding::Opus => Codec::Opus,
    }
}
