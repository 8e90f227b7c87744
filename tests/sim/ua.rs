//! A party: signalling by a SIP endpoint of its own, media by its own few lines.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use bytes::Bytes;
use sip::endpoint::{Config, DialogId, Endpoint, Event, FlowBounds, FlowId, Invite, Stream, Transport};
use sip::sdp::{Agreed, Direction, Encoding, Local, Order};

use crate::net::Datagram;
use crate::random::Random;
use crate::rtp::Packet;
use crate::scenario::{Asked, Carriage};
use crate::tcp::Arrival;
use crate::tone::Sound;

mod challenge;
mod media;
mod refer;
mod reinvite;

pub use challenge::USER;
use media::Key;
pub use media::Media;
use refer::Refers;
pub use refer::{Afterwards, Referred, Told};
pub use reinvite::BACK_OFF;
use reinvite::Exchange;
pub use reinvite::as_read;

/// How a party that is called behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answering {
    /// 180, then 200 after this long.
    After(Duration),
    /// A final refusal at once.
    Refuse(u16),
    /// 180, and nothing more.
    RingOn,
    /// Not a word: every datagram is ignored.
    Dead,
}

/// One RTP packet as a party got it.
#[derive(Clone, Debug)]
pub struct Heard {
    /// Arrival.
    pub at: Instant,
    /// The packet.
    pub packet: Packet,
    /// What it sounds like; `None`: not audio (digits).
    pub sound: Option<Sound>,
}

/// Where a party is in its one call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// No call yet.
    Idle,
    /// Calling, or ringing.
    Early,
    /// Answered.
    Up,
    /// Over.
    Gone,
}

/// A party.
#[derive(Debug)]
pub struct Ua {
    /// Its signalling address.
    pub sip: SocketAddr,
    /// Its media address.
    pub rtp: SocketAddr,
    /// Its voice.
    pub voice: Sound,
    /// All that it heard.
    pub heard: Vec<Heard>,
    /// Where its call is.
    pub state: State,
    /// How many calls it got and did not refuse.
    pub calls: usize,
    /// When it was answered, and when it ended.
    pub answered: Option<Instant>,
    /// The end of its call.
    pub ended: Option<Instant>,
    /// Whether it stops sending media (a party that is there and mute on the wire).
    pub mute: bool,
    /// What it does with a REFER.
    pub on_refer: Referred,
    /// What it does with a re-INVITE that offers one codec alone.
    pub asked: Asked,
    /// Whether the credentials were right, of each REFER that showed some to a carrier that asks for them.
    pub credentials: Vec<bool>,
    /// What it was told of its own REFERs.
    pub told: Vec<Told>,
    /// The keys that it was told in INFO.
    pub keys: String,
    /// What it did with media from when on: every change.
    pub media: Vec<(Instant, Media)>,
    endpoint: Endpoint,
    local: Local,
    /// Ports that it receives media at, or did.
    first_port: u16,
    last_port: u16,
    exchange: Exchange,
    refers: Refers,
    /// It takes and sends nothing.
    deaf: bool,
    answering: Answering,
    answer_at: Option<Instant>,
    dialog: Option<DialogId>,
    agreed: Option<Agreed>,
    next_packet: Option<Instant>,
    phase: Duration,
    sequence: u16,
    timestamp: u32,
    ssrc: u32,
    samples: u64,
    key: Option<Key>,
    marker: bool,
    /// It called.
    owns_call_id: bool,
    carriage: Carriage,
    random: Random,
}

impl Ua {
    /// A party at an address; `phase` is where its packets lie within 20 ms.
    pub fn new(
        host: [u8; 4],
        voice: Sound,
        encodings: &[Encoding],
        answering: Answering,
        phase: Duration,
        carriage: Carriage,
        seed: u64,
    ) -> Ua {
        let (sip, rtp) = (SocketAddr::from((host, 5060)), SocketAddr::from((host, 30_000)));
        let config = Config {
            agent: "party".into(),
            flows: matches!(carriage, Carriage::Both | Carriage::Tcp).then(FlowBounds::default),
            ..Config::new(sip, seed)
        };
        Ua {
            sip,
            rtp,
            voice,
            heard: Vec::new(),
            state: State::Idle,
            calls: 0,
            answered: None,
            ended: None,
            mute: false,
            on_refer: Referred::Refuses(405),
            asked: Asked::Changes,
            credentials: Vec::new(),
            told: Vec::new(),
            keys: String::new(),
            media: Vec::new(),
            endpoint: Endpoint::new(config),
            local: Local::new(rtp.ip(), rtp.port(), encodings, seed >> 33),
            first_port: rtp.port(),
            last_port: rtp.port(),
            exchange: Exchange::default(),
            refers: Refers::default(),
            deaf: answering == Answering::Dead,
            answering,
            answer_at: None,
            dialog: None,
            agreed: None,
            next_packet: None,
            phase,
            sequence: (seed >> 7) as u16,
            timestamp: (seed >> 11) as u32,
            ssrc: (seed >> 17) as u32,
            samples: 0,
            key: None,
            marker: true,
            owns_call_id: false,
            carriage,
            random: Random::new(seed ^ 0x0b0e),
        }
    }

    /// Calls a URI at an address, by this name.
    pub fn call(&mut self, now: Instant, uri: &str, next_hop: SocketAddr, name: &str) {
        let offer = self.local.offer();
        let invite = Invite {
            to: uri.into(),
            from: format!("\"{name}\" <sip:+4930123456@{}>", self.sip.ip()),
            next_hop: Some(next_hop),
            transport: (self.carriage == Carriage::Tcp).then_some(Transport::Tcp),
            headers: vec![("X-Baton-Call".into(), "call_forged".into())],
            offer: Some(Bytes::from(offer)),
            ..Invite::default()
        };
        self.dialog = Some(self.endpoint.invite(now, invite));
        self.owns_call_id = true;
        self.state = State::Early;
    }

    /// From now on its answers follow its own order of codecs, and have all of them.
    pub fn list_all(&mut self) {
        self.local.order = Order::Ours;
    }

    /// Its last description, as its answer to an INVITE. Those that come behind the first codec are static, and need no line.
    fn answer_text(&self) -> String {
        let text = self.local.last.clone().unwrap_or_default();
        let Some(agreed) = self.agreed.as_ref().filter(|_| self.local.order == Order::Ours) else {
            return text;
        };
        let first = format!(" RTP/AVP {}", agreed.send);
        let others = self.local.encodings.iter().filter(|other| **other != agreed.encoding);
        let all = others.fold(first.clone(), |all, other| format!("{all} {}", other.payload_type()));
        text.replacen(&first, &all, 1)
    }

    /// Presses a key, and says so in INFO.
    pub fn press_by_info(&mut self, now: Instant, key: char) {
        if let Some(dialog) = self.dialog {
            let _ = self.endpoint.press(now, dialog, key);
        }
    }

    /// Ends the call, whatever its state.
    pub fn hang_up(&mut self, now: Instant) {
        if let Some(dialog) = self.dialog
            && matches!(self.state, State::Early | State::Up)
        {
            let _ = self.endpoint.end(now, dialog, None);
            self.over(now);
        }
    }

    /// Whether this is an address that it receives media at, or did before it moved.
    pub fn receives_at(&self, to: SocketAddr) -> bool {
        to.ip() == self.rtp.ip() && (self.first_port..=self.last_port).contains(&to.port())
    }

    /// Neither sends nor answers any more.
    pub fn vanish(&mut self) {
        self.mute = true;
        self.deaf = true;
    }

    /// A datagram for one of its addresses.
    pub fn receive(&mut self, now: Instant, datagram: Datagram) {
        if datagram.to == self.sip {
            if !self.deaf {
                let bytes = Bytes::from(as_read(datagram.bytes));
                self.endpoint.handle_datagram(now, datagram.from, bytes);
                self.events(now);
            }
        } else if self.receives_at(datagram.to)
            && self.state != State::Gone
            && let Some(packet) = Packet::parse(&datagram.bytes)
        {
            let audio = self
                .agreed
                .as_ref()
                .is_some_and(|agreed| agreed.receive == packet.payload_type);
            let sound = audio.then(|| Sound::of_packet(&packet.payload, self.alaw()));
            self.heard.push(Heard { at: now, packet, sound });
        }
    }

    /// Somebody opens a connection to it; `None`: it is refused.
    pub fn accept(&mut self, now: Instant, from: SocketAddr) -> Option<FlowId> {
        self.endpoint.accept_flow(now, from)
    }

    /// Something came on one of its connections.
    pub fn receive_stream(&mut self, now: Instant, arrival: &Arrival) {
        if self.deaf {
            return;
        }
        match arrival {
            Arrival::Connect { .. } => {}
            Arrival::Connected(flow) => self.endpoint.handle_connected(now, *flow),
            Arrival::Bytes(flow, bytes, _) => self.endpoint.handle_stream(now, *flow, bytes),
            Arrival::Closed(flow) => self.endpoint.handle_closed(now, *flow),
        }
        self.events(now);
    }

    fn events(&mut self, now: Instant) {
        while let Some(event) = self.endpoint.poll_event() {
            match event {
                // It is gone since the event before, which came in the same piece of a stream.
                _ if self.deaf => {}
                Event::Invite { dialog, request, .. } => self.invited(now, dialog, request.body()),
                Event::Answered { dialog, body } if Some(dialog) == self.dialog => {
                    self.agreed = body.and_then(|body| self.local.accept(&body).ok());
                    self.up(now);
                }
                Event::Acked { .. } => {}
                Event::Key { key, .. } => self.keys.push(key),
                Event::Reinvite { dialog, body } => self.reinvited(now, dialog, body),
                Event::ReinviteAnswered { body, .. } => self.reinvite_answered(body),
                Event::ReinviteRefused { status, .. } => self.reinvite_refused(now, status),
                Event::Cancelled { dialog } | Event::Refused { dialog, .. } | Event::Bye { dialog, .. }
                    if Some(dialog) == self.dialog =>
                {
                    self.over(now);
                }
                other => self.refer_event(now, other),
            }
        }
    }

    fn invited(&mut self, now: Instant, dialog: DialogId, offer: &[u8]) {
        if self.dialog.is_some() && self.state != State::Gone {
            let _ = self.endpoint.reject(now, dialog, 486, &[]);
            return;
        }
        match self.answering {
            Answering::Refuse(status) => {
                let _ = self.endpoint.reject(now, dialog, status, &[]);
                self.state = State::Gone;
            }
            Answering::After(_) | Answering::RingOn | Answering::Dead => {
                self.local.direction = Direction::SendRecv;
                self.exchange = Exchange::default();
                let Ok((_, agreed)) = self.local.answer(offer) else {
                    let _ = self.endpoint.reject(now, dialog, 488, &[]);
                    self.state = State::Gone;
                    return;
                };
                let _ = self.endpoint.ring(now, dialog, 180, None);
                self.calls += 1;
                (self.dialog, self.agreed, self.state) = (Some(dialog), Some(agreed), State::Early);
                if let Answering::After(after) = self.answering {
                    self.answer_at = Some(now + after);
                }
            }
        }
    }

    fn up(&mut self, now: Instant) {
        self.state = State::Up;
        self.answered = Some(now);
        self.next_packet = Some(now + self.phase);
    }

    fn over(&mut self, now: Instant) {
        self.state = State::Gone;
        self.ended = Some(now);
        self.next_packet = None;
        self.answer_at = None;
        self.exchange.again = None;
    }

    /// What it wants to send now, and what it wants of connections.
    pub fn transmit(&mut self, now: Instant, out: &mut Vec<Datagram>, streams: &mut Vec<Stream>) {
        let first = out.len();
        while let Some(transmit) = self.endpoint.poll_transmit() {
            let (from, to) = (self.sip, transmit.to);
            if let Some(bytes) = self.on_the_wire(transmit.bytes.to_vec()) {
                out.push(Datagram { from, to, bytes });
            }
        }
        while let Some(stream) = self.endpoint.poll_stream() {
            match stream {
                Stream::Send { flow, bytes } => {
                    let bytes = self.on_the_wire(bytes.to_vec()).map(Bytes::from);
                    streams.extend(bytes.map(|bytes| Stream::Send { flow, bytes }));
                }
                other if !self.deaf => streams.push(other),
                _ => {}
            }
        }
        // What accepts a REFER goes before the BYE that follows it.
        let accepts = |bytes: &[u8]| bytes.starts_with(b"SIP/2.0 202");
        out[first..].sort_by_key(|datagram| !accepts(&datagram.bytes));
        streams.sort_by_key(|stream| match stream {
            Stream::Connect { .. } => 0,
            Stream::Send { bytes, .. } if accepts(bytes) => 1,
            Stream::Send { .. } | Stream::Close { .. } => 2,
        });
        self.note_media(now);
        self.transmit_media(now, out);
    }

    /// What a message of its endpoint becomes; `None`: it is not sent.
    fn on_the_wire(&mut self, bytes: Vec<u8>) -> Option<Vec<u8>> {
        let bytes = self.exchange.rewrite(bytes);
        self.rewrite_refer(bytes).filter(|_| !self.deaf)
    }

    /// Time has passed.
    pub fn timeout(&mut self, now: Instant) {
        if self.answer_at.is_some_and(|at| at <= now) {
            self.answer_at = None;
            if let (Some(dialog), State::Early) = (self.dialog, self.state) {
                // The answer was made from the offer when it rang; the text is the same.
                let answer = self.answer_text();
                if self.endpoint.answer(now, dialog, Bytes::from(answer), &[]).is_ok() {
                    self.up(now);
                }
            }
        }
        self.refer_timeout(now);
        self.reinvite_timeout(now);
        self.endpoint.handle_timeout(now);
        self.events(now);
    }

    /// When it wants to be woken next.
    pub fn next_at(&self) -> Option<Instant> {
        [
            self.answer_at,
            self.next_packet,
            self.refers.hang_up_at,
            self.exchange.again.map(|(at, _)| at),
            self.refers.report.map(|(at, ..)| at),
            self.endpoint.poll_timeout(),
        ]
        .into_iter()
        .flatten()
        .min()
    }

    /// Whether it takes and sends nothing (any more).
    pub fn is_deaf(&self) -> bool {
        self.deaf
    }

    /// What its endpoint still holds.
    pub fn alive(&self) -> sip::endpoint::Alive {
        self.endpoint.alive()
    }

    /// Connections that it still has.
    pub fn flows(&self) -> usize {
        self.endpoint.flows()
    }
}
