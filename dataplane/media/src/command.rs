//! What the control plane says to the core, and what the core says back: plain data of fixed size.
//!
//! A session's desired state is sent **whole**, with a generation. There is no conversation: a smaller
//! generation is ignored, an equal one is answered again, so a command may be sent twice or be lost and
//! repeated without harm.

use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::time::{Duration, Instant};

use arrayvec::ArrayVec;

use crate::codec::opus::Wishes;
use crate::evidence::Evidence;

/// Legs that one session can have at a time: caller, AI, human, and one more human while a transfer moves on.
pub const LEGS_MAX: usize = 4;

/// Prompts that one [`Play`] can queue.
pub const QUEUE_MAX: usize = 8;

/// A call, as the data plane knows it. Chosen by the control plane, never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SessionId(pub u64);

/// A leg of a session. Unique for the session's life: a second human gets another id than the first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LegId(pub u16);

/// The even local port of a leg's RTP; its RTCP is on the odd port above (RFC 3550 §11).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Port(pub u16);

/// Counts the `Set`s of one session, rising.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Generation(pub u64);

/// A prompt of the library that the core was made with: its index there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PromptId(pub u16);

/// One act of playing. The same id in a later `Set` keeps its position.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PlayId(pub u64);

/// One window of evidence: a handoff has one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct WindowId(pub u64);

/// What the control plane asks for.
#[derive(Clone, Debug, PartialEq)]
#[expect(
    clippy::large_enum_variant,
    reason = "a command is copied through a fixed queue; a box would be freed on the worker"
)]
pub enum Command {
    /// Make the session so. The first one creates it.
    Set {
        /// Which session.
        session: SessionId,
        /// Ignored where smaller than the last; answered again where equal.
        generation: Generation,
        /// The whole desired state.
        spec: SessionSpec,
    },
    /// Close the session: its window's evidence comes, RTCP BYE goes out, then [`Event::Ended`].
    End {
        /// Which session. An unknown one is answered with `Ended` too.
        session: SessionId,
    },
}

/// The whole desired state of one session.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct SessionSpec {
    /// Every leg with its row of the table. A leg that is not here any more is released.
    pub legs: ArrayVec<LegSpec, LEGS_MAX>,
    /// The evidence window that is open, if any.
    pub watch: Option<Watch>,
}

/// One leg: where it is, what it speaks, what it hears.
#[derive(Clone, Debug, PartialEq)]
pub struct LegSpec {
    /// Its id.
    pub leg: LegId,
    /// Our port for it, the same for the leg's life. Two legs on one port, or a port that is not ours, is [`Refusal::Port`].
    pub port: Port,
    /// Where the peer says that it receives RTP. `None` before its SDP came, and where that has no address (`c=0.0.0.0`, RFC 3264
    /// §8.4): nothing is sent.
    pub remote: Option<SocketAddr>,
    /// Where the peer receives RTCP; `None`: no RTCP is sent. Equal to `remote` under rtcp-mux (RFC 5761).
    pub remote_rtcp: Option<SocketAddr>,
    /// Counts the offer/answer exchanges of this leg. A new value re-opens the latch, unless `remote` is `None`: then who could send
    /// until now still can, and nobody else.
    pub exchange: u32,
    /// Payload types, both ways.
    pub format: Format,
    /// What it may send besides, where it is offered another codec and has not answered: each of its packets is understood as what its
    /// payload type says, so that none is lost whether it comes before the answer or after it. What is received in that, whoever hears
    /// the leg gets only where no coder state is needed for it. (What it spoke until a change is understood until its first
    /// packet in the new codec without being named here, also by who begins to hear it meanwhile, where there is a coder to spare.)
    pub also: Option<Format>,
    /// What it wants of Opus that we encode for it. What is relayed to it from another Opus goes as it comes, and prompts as they were encoded.
    pub opus: Wishes,
    /// Length of the packets that we make ourselves, ms: 10, 20, 30, 40, 50 or 60; of Opus always 20. Packets that are relayed or
    /// put into another codec keep their own.
    pub ptime_ms: u8,
    /// The longest packets that it takes, ms (`a=maxptime`, RFC 8866 §6.4). A source whose packets are longer when the state begins is heard
    /// through a mixer, in packets of `ptime_ms`; where none is free, as it comes.
    pub maxptime_ms: Option<u8>,
    /// Keys that it is told and that do not come in the audio of whom it hears: each once, by its number, 100 ms long, in place of what it
    /// would hear meanwhile. As telephone-event; as tones where it has none, but not in Opus. One that came in that audio within the last second,
    /// too, is the same key.
    pub pressed: ArrayVec<Pressed, PRESSED_MAX>,
    /// Who may send to this port.
    pub latch: Latch,
    /// What becomes of the digits that this leg sends.
    pub dtmf: Dtmf,
    /// Whether we may send to it now (RFC 3264 §8.4: not while the peer is `sendonly` or `inactive`).
    pub send: bool,
    /// Whether it should send to us now (not before its SDP came, nor while it is `recvonly` or `inactive`): its silence is then
    /// told.
    pub receive: bool,
    /// The row: whom this leg hears.
    pub hears: Hears,
}

/// A key that a leg is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pressed {
    /// From 1, one more for each key of this leg.
    pub number: u32,
    /// Its code (RFC 4733 §3.2), 0 to 15: [`code_of`](crate::dtmf::code_of).
    pub code: u8,
}

/// The last keys of a leg that a state has at the most.
pub const PRESSED_MAX: usize = 4;

/// Codec and payload types of a leg. Numbers may differ by direction (RFC 3264 §5.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Format {
    /// The codec, the same both ways.
    pub codec: Codec,
    /// Payload type of the codec in what we send.
    pub send: u8,
    /// Payload type of the codec in what we receive.
    pub receive: u8,
    /// telephone-event, sent and received, where negotiated.
    pub events: Option<EventFormat>,
    /// Payload type of comfort noise (RFC 3389, 8000 Hz) where negotiated, both ways. None where the codec has another clock.
    pub comfort_noise: Option<u8>,
}

/// telephone-event (RFC 4733) as it was negotiated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EventFormat {
    /// Payload type in what we send.
    pub send: u8,
    /// Payload type in what we receive.
    pub receive: u8,
    /// Hz, of the durations in it: the codec's clock, or 8000 where a peer has no other.
    pub clock_hz: u32,
}

/// A codec that the core can carry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Codec {
    /// ITU-T G.711 µ-law, 8000 Hz.
    Pcmu,
    /// ITU-T G.711 A-law, 8000 Hz.
    Pcma,
    /// ITU-T G.722, 64 kbit/s.
    G722,
    /// Linear samples (RFC 3551) of 8000 Hz, mono.
    L16,
    /// … of 16,000 Hz.
    L16Wide,
    /// Opus (RFC 6716), whatever its band and bit rate.
    Opus,
}

/// Who may send to a leg's port. Never decided by RTCP or STUN.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Latch {
    /// Any port of the address in the peer's SDP; the first valid packet locks the port.
    SignalledIp,
    /// The first valid RTP with a mapped payload type within 3 s of an offer/answer, from any address.
    Nat,
    /// Exactly the address and port of the peer's SDP.
    Off,
}

/// What becomes of a leg's digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Dtmf {
    /// Who hears the leg gets them.
    Relay,
    /// They become [`Event::Digit`]; nobody hears them. Those of a leg without telephone-event are found in its sound, of which the first 40 ms are
    /// heard by who hears the leg.
    Take,
    /// Who hears the leg gets them, and they become [`Event::Digit`].
    Tell,
    /// Nobody hears them and nothing is said.
    Drop,
}

impl Dtmf {
    /// Whether who hears the leg gets them.
    pub fn relays(self) -> bool {
        matches!(self, Dtmf::Relay | Dtmf::Tell)
    }

    /// Whether they become [`Event::Digit`].
    pub fn tells(self) -> bool {
        matches!(self, Dtmf::Take | Dtmf::Tell)
    }
}

/// A row of the table.
///
/// | legs | play | the row is served by |
/// |---|---|---|
/// | one, as it is | – | relay, or transcode where the codecs differ |
/// | – | some | play; comfort noise when the queue is done |
/// | one | some | play; when the queue is done the leg, from its next packet on |
/// | – | – | comfort noise |
/// | several, or one louder or softer | | mix, each through a jitter buffer |
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Hears {
    /// The legs that are heard.
    pub legs: ArrayVec<Heard, LEGS_MAX>,
    /// The prompts that are heard, before the legs.
    pub play: Option<Play>,
    /// How long the state may wait for the first leg of this row, where the row is to be fed by it and is not yet. Zero: as above.
    ///
    /// Then **nothing** of the state but the peers' addresses, codecs and directions is in force before the leg's next packet of
    /// audio or comfort noise; that packet is the first on the listener's line, and [`Event::Applied`] says that it went out.
    /// Where it has not come in time: [`Refusal::Silent`], every row as it was, also those of other listeners. A row whose
    /// listener may not be sent to waits for nobody.
    pub patience: Duration,
}

impl Hears {
    /// A row that hears these legs as they are.
    pub fn legs(legs: impl IntoIterator<Item = LegId>) -> Hears {
        Hears {
            legs: legs.into_iter().map(Heard::from).collect(),
            ..Hears::default()
        }
    }

    /// Whether it is mixed: several legs, or one louder or softer.
    pub fn is_mixed(&self) -> bool {
        self.legs.len() > 1 || self.legs.iter().any(|heard| heard.gain_db != 0)
    }

    /// The legs that are heard.
    pub fn sources(&self) -> impl Iterator<Item = LegId> {
        self.legs.iter().map(|heard| heard.leg)
    }
}

/// A leg in a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Heard {
    /// Which.
    pub leg: LegId,
    /// How much louder, dB, [`GAIN_DB`]; 0: as it is.
    pub gain_db: i8,
}

impl From<LegId> for Heard {
    fn from(leg: LegId) -> Heard {
        Heard { leg, gain_db: 0 }
    }
}

/// How much softer and louder a leg can be made in a row, dB.
pub const GAIN_DB: RangeInclusive<i8> = -40..=12;

/// Prompts in a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Play {
    /// The same id keeps its position, and the queue that it came with, through later `Set`s of the same row.
    pub id: PlayId,
    /// Played in order.
    pub queue: ArrayVec<PromptId, QUEUE_MAX>,
    /// Whether the last prompt of the queue is repeated for ever (hold audio).
    pub repeat_last: bool,
}

/// A window of evidence over all listeners of the session.
///
/// It opens with the first `Set` that carries its id. It closes, and [`Event::Evidence`] comes, at the first word of
/// `first_word_of` (once that is set), 10 s after that was set, at a `Set` with another or no window, or at the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Watch {
    /// Its id.
    pub window: WindowId,
    /// The leg whose first audible word closes the window: the human, from the join on.
    pub first_word_of: Option<LegId>,
}

/// What the core says. Never dropped: each session has a fixed mailbox.
#[derive(Clone, Debug, PartialEq)]
#[expect(
    clippy::large_enum_variant,
    reason = "an event is copied through a fixed queue; a box would be allocated on the worker"
)]
pub enum Event {
    /// Every row of this generation is in force.
    ///
    /// A row that goes from one sounding source to a leg is in force from that leg's next packet on (at most 60 ms
    /// later, then comfort noise stands in), so that the listener's line has no hole; all else at once.
    Applied {
        /// Which session.
        session: SessionId,
        /// Which `Set`.
        generation: Generation,
        /// When the last row changed.
        at: Instant,
    },
    /// The `Set` is taken, and waits for a leg's first packet ([`Hears::patience`]); `Applied` or `Refused` follows. Said at once,
    /// and again whenever the same `Set` comes again: whoever hears nothing at all knows that nobody is there.
    Waiting {
        /// Which session.
        session: SessionId,
        /// Which `Set`.
        generation: Generation,
    },
    /// The `Set` is impossible, or a leg that it waited for was not heard in time. The old rows are untouched.
    Refused {
        /// Which session.
        session: SessionId,
        /// Which `Set`.
        generation: Generation,
        /// Why.
        reason: Refusal,
    },
    /// A prompt was played to its end (of `repeat_last`, the first time only).
    Played {
        /// Which session.
        session: SessionId,
        /// Who heard it.
        leg: LegId,
        /// Which act of playing.
        play: PlayId,
        /// Its place in the queue, from 0.
        item: u8,
        /// When its last packet went out.
        at: Instant,
    },
    /// A leg with [`Dtmf::Take`] or [`Dtmf::Tell`] pressed a key.
    Digit {
        /// Which session.
        session: SessionId,
        /// Who pressed it.
        leg: LegId,
        /// `0`–`9`, `*`, `#`, `A`–`D`.
        digit: char,
        /// When its first packet came; in the sound, when it was known to be one.
        at: Instant,
    },
    /// A leg that should send ([`LegSpec::receive`]) has sent nothing that can be heard, nor a digit, for
    /// [`crate::core::Config::silence`]. Said once, until it sounds. One that sounds and is silent again before this is
    /// fetched has said nothing.
    Silent {
        /// Which session.
        session: SessionId,
        /// Who.
        leg: LegId,
        /// When the time was up.
        at: Instant,
    },
    /// A leg that was told to be [`Event::Silent`] sends again.
    Sounding {
        /// Which session.
        session: SessionId,
        /// Who.
        leg: LegId,
        /// When its packet came.
        at: Instant,
    },
    /// The first audible word of [`Watch::first_word_of`] went out to its listener.
    FirstWord {
        /// Which session.
        session: SessionId,
        /// Which window.
        window: WindowId,
        /// When it began, in what went out: by an ear for speech, 10 to 140 ms before it could say so; where none was free, by the first packet of
        /// 60 ms that were louder than −40 dBm0.
        at: Instant,
    },
    /// The window is closed: what each listener really got.
    Evidence {
        /// Which session.
        session: SessionId,
        /// Which window.
        window: WindowId,
        /// One for each leg that could be sent to during the window: those that left meanwhile, then the others in the
        /// order of the spec. Where these are more than have room, those that left first are not there.
        listeners: ArrayVec<(LegId, Evidence), LEGS_MAX>,
    },
    /// The session was to go to another worker, and is there, where this is `true`; otherwise it is where it was: there is no such session,
    /// or no room for it. Said by the engine.
    Moved {
        /// Which session.
        session: SessionId,
        /// Whether it is there.
        moved: bool,
    },
    /// Nothing of the session is left; its ports may be used again after their quarantine.
    Ended {
        /// Which session.
        session: SessionId,
    },
}

/// Why a `Set` is impossible.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Refusal {
    /// The core has no place for another session, or for its legs beside those that came from other cores.
    NoSession,
    /// A port that is not ours, is odd, belongs to another leg, or is not the one that the leg has.
    Port,
    /// A row names a leg that the spec does not have, or the leg itself.
    UnknownLeg,
    /// A leg stands twice in the spec.
    DoubleLeg,
    /// A row names a prompt that the library does not have.
    UnknownPrompt,
    /// A row needs mixing, and everything that mixes is taken.
    Mix,
    /// A gain that is not in [`GAIN_DB`].
    Gain,
    /// A packet time that we cannot make.
    PacketTime,
    /// A row puts one codec into another, and all coder states for that are taken.
    Coders,
    /// A leg was not heard within [`Hears::patience`].
    Silent,
}

/// The longest that a row waits for its new source before comfort noise stands in.
pub const SILENT_AFTER: Duration = Duration::from_millis(60);
