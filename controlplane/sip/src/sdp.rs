//! Offer and answer (RFC 3264) for one audio stream.

mod encoding;
mod numbers;

use std::fmt::Write;
use std::net::{IpAddr, SocketAddr};

use sdp_types::{Attribute, Media, Session};

pub use encoding::{Encoding, Opus};
pub use numbers::Numbers;

use encoding::Map;
use numbers::Meaning;

/// Direction, from the point of view of whoever's description it stands in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Direction {
    /// Both ways.
    SendRecv,
    /// It only sends.
    SendOnly,
    /// It only receives.
    RecvOnly,
    /// Neither.
    Inactive,
}

/// Our side of one leg: what goes into our offers and answers. The `o=` line belongs to the leg: the version stays while
/// the text is the same and rises by one when it changes (RFC 3264 §8).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Local {
    /// The address that peers send media to, in the `c=` line of what we send next.
    pub address: IpAddr,
    /// Our address of the other family, where we have one. An answer names the one of the offer's family; see
    /// [`Local::face`] for offers.
    pub also: Option<IpAddr>,
    /// The address in `o=`, which stays when `c=` changes its family: "the origin line of the new SDP MUST be identical to that
    /// in the previous SDP, except that the version in the origin field MUST increment" (RFC 3264 §8). `None` before the
    /// first description.
    pub origin: Option<IpAddr>,
    /// RTP port, even; RTCP above it.
    pub port: u16,
    /// There is no port for RTCP above it: RTCP is exchanged only with a peer that sends it to the port of its RTP (RFC 5761).
    pub mux_only: bool,
    /// Encodings, best first in our offers.
    pub encodings: Vec<Encoding>,
    /// Whose order our answers follow.
    pub order: Order,
    /// What our answers take before all else, where it is offered: what the other leg speaks.
    pub wanted: Option<Encoding>,
    /// The sampling rate of whoever hears the peer, Hz, where that is known: a peer whose codec has several need send no more.
    pub heard_hz: Option<u32>,
    /// The RTP clock of the last agreement, Hz. What we offer begins with encodings of it, and what we answer has it where the offer
    /// lets us: a line whose clock changes is broken for its listener (RFC 7160).
    pub clock_hz: Option<u32>,
    /// Our direction.
    pub direction: Direction,
    /// `o=` session id.
    pub session: u64,
    /// `o=` version of the last description sent.
    pub version: u64,
    /// The last description sent, to know whether it changed.
    pub last: Option<String>,
    /// Payload types, which "MUST NOT" be bound to another format later in the session (RFC 3264 §8.3.2).
    pub numbers: Numbers,
}

/// Whose order of codecs an answer follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Order {
    /// The offerer's (RFC 3264 §6.1: "in the same relative order").
    Theirs,
    /// Ours.
    Ours,
}

/// Why an encoding was taken, of those that both sides have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Chosen {
    /// It is the peer's first, in its offer or in its answer.
    TheirFirst,
    /// It is our first ([`Order::Ours`]).
    OurFirst,
    /// It is [`Local::wanted`].
    Wanted,
    /// Another one came first, at another RTP clock than the dialog has.
    SameClock,
}

/// telephone-event (RFC 4733), as agreed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Events {
    /// Payload type in what we send.
    pub send: u8,
    /// Payload type in what we receive.
    pub receive: u8,
    /// The clock of its timestamps and durations, Hz. That of the codec; or 8000, where the peer knows no other.
    pub clock_hz: u32,
}

/// What both sides agreed on, seen from us.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Agreed {
    /// Where the peer receives RTP. `None` with `c=0.0.0.0` (RFC 2543 hold) or port 0.
    pub remote: Option<SocketAddr>,
    /// Where the peer receives RTCP (`a=rtcp`, RFC 3605; rtcp-mux, RFC 5761; else port + 1).
    pub remote_rtcp: Option<SocketAddr>,
    /// The codec.
    pub encoding: Encoding,
    /// Its payload type in what we send (the peer's number).
    pub send: u8,
    /// Its payload type in what we receive (our number).
    pub receive: u8,
    /// Why this one.
    pub chosen: Chosen,
    /// What the peer's description has of our encodings, in its order: to each of these alone it can change later ([`Local::propose`]).
    pub common: Vec<Encoding>,
    /// What the peer says of it, where it is Opus.
    pub opus: Option<Opus>,
    /// telephone-event, where both have it.
    pub events: Option<Events>,
    /// Comfort noise (13) agreed: only beside a codec of its clock, 8000 Hz.
    pub comfort_noise: bool,
    /// The peer's wish, ms: 10, 20, 30, 40, 50 or 60, and 20 where it says nothing or wishes anything else; no more than its
    /// `a=maxptime`, but 10 at least.
    pub ptime_ms: u8,
    /// The longest packets that it takes, ms, where it says: 10 at least, and whole tens.
    pub maxptime_ms: Option<u8>,
    /// Our direction now (already turned round from the peer's).
    pub direction: Direction,
}

/// What a peer may begin to send as soon as it has an offer of one encoding ([`Local::propose`]), by our numbers: an offerer "MUST be
/// prepared to receive media" from then on (RFC 3264 §5.1), and has no answer yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Proposed {
    /// The codec.
    pub encoding: Encoding,
    /// Its payload type.
    pub receive: u8,
    /// telephone-event of its clock: payload type and Hz.
    pub events: Option<(u8, u32)>,
    /// Comfort noise (13) beside it.
    pub comfort_noise: bool,
}

/// Why a description cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Incompatible {
    /// It cannot be read.
    Malformed,
    /// No audio stream on RTP/AVP in it.
    NoAudio,
    /// None of our encodings.
    NoCodec,
    /// Its stream is at an address of a family of which we have none.
    NoAddress,
}

/// Comfort noise, static (RFC 3389).
const COMFORT_NOISE: u8 = 13;
/// The clock of telephone-event that all peers know.
const EVENTS_CLOCK: u32 = 8_000;
/// The digits 0–9, *, #, A–D and flash (RFC 4733 §3.2).
const EVENT_CODES: &str = "0-16";
/// Streams that one description may have. Real ones have three at the most.
const STREAMS_MAX: usize = 32;

impl Direction {
    /// Whether its owner sends.
    pub fn sends(self) -> bool {
        matches!(self, Direction::SendRecv | Direction::SendOnly)
    }

    /// Whether its owner receives.
    pub fn receives(self) -> bool {
        matches!(self, Direction::SendRecv | Direction::RecvOnly)
    }

    /// As an attribute's name.
    pub fn name(self) -> &'static str {
        match self {
            Direction::SendRecv => "sendrecv",
            Direction::SendOnly => "sendonly",
            Direction::RecvOnly => "recvonly",
            Direction::Inactive => "inactive",
        }
    }

    fn of(sends: bool, receives: bool) -> Direction {
        match (sends, receives) {
            (true, true) => Direction::SendRecv,
            (true, false) => Direction::SendOnly,
            (false, true) => Direction::RecvOnly,
            (false, false) => Direction::Inactive,
        }
    }

    /// What we may do where this is our wish and `peer` is what the other side says of itself (RFC 3264 §6.1):
    /// `sendonly` is answered `recvonly`, `inactive` stays `inactive`.
    fn against(self, peer: Direction) -> Direction {
        Direction::of(self.sends() && peer.receives(), self.receives() && peer.sends())
    }
}

impl Local {
    /// A leg of ours: `sendrecv`, with nothing sent yet.
    pub fn new(address: IpAddr, port: u16, encodings: &[Encoding], session: u64) -> Local {
        Local {
            address,
            also: None,
            origin: None,
            port,
            mux_only: false,
            encodings: encodings.to_vec(),
            order: Order::Theirs,
            wanted: None,
            heard_hz: None,
            clock_hz: None,
            direction: Direction::SendRecv,
            session,
            version: 1,
            last: None,
            numbers: Numbers::default(),
        }
    }

    /// Our address that a peer at this one can reach: of the same family.
    pub fn address_towards(&self, peer: IpAddr) -> Option<IpAddr> {
        let family = peer.to_canonical().is_ipv4();
        [Some(self.address), self.also]
            .into_iter()
            .flatten()
            .find(|address| address.is_ipv4() == family)
    }

    /// From now on our descriptions name our address of `peer`'s family.
    ///
    /// # Errors
    /// [`Incompatible::NoAddress`] where we have none; nothing has changed.
    pub fn face(&mut self, peer: IpAddr) -> Result<(), Incompatible> {
        let towards = self.address_towards(peer).ok_or(Incompatible::NoAddress)?;
        if towards != self.address {
            self.also = Some(std::mem::replace(&mut self.address, towards));
        }
        Ok(())
    }

    /// Our offer: the encodings of the dialog's clock first. Dynamic payload types are those that the dialog has, or 96 and on.
    pub fn offer(&mut self) -> String {
        let mut encodings = self.encodings.clone();
        encodings.sort_by_key(|encoding| self.clock_hz.is_some_and(|clock| clock != encoding.clock_hz()));
        self.offer_of(&encodings, &[])
    }

    /// Our offer of one encoding alone, so that the peer changes to it; and what may come as soon as it has the offer. Keys go on at
    /// 8000 Hz for a peer that knows no other clock for them. `None` where no number is left for it.
    pub fn propose(&mut self, encoding: Encoding) -> Option<(String, Proposed)> {
        let offer = self.offer_of(&[encoding], &[EVENTS_CLOCK]);
        let clock = encoding.clock_hz();
        let events = self.numbers.ours(Meaning::Events(clock));
        let proposed = Proposed {
            encoding,
            receive: self.number(encoding)?,
            events: events.map(|number| (number, clock)),
            comfort_noise: has_noise(encoding),
        };
        Some((offer, proposed))
    }

    /// Our last offer was refused: this description, which we had sent before it, is what holds (RFC 3261 §14.1). It is the last one
    /// again, under the next version: the peer has seen that of the refused one.
    pub fn withdraw(&mut self, before: &str) {
        // v=, o=, s= and c= are printed anew.
        if let Some(body) = before.splitn(5, "\r\n").nth(4) {
            self.send(body);
        }
    }

    /// Our number for an encoding that a description of ours has had.
    fn number(&self, encoding: Encoding) -> Option<u8> {
        match encoding.is_static() {
            true => Some(encoding.payload_type()),
            false => self.numbers.ours(Meaning::Audio(encoding)),
        }
    }

    /// … and telephone-event at these clocks besides those of the encodings.
    fn offer_of(&mut self, encodings: &[Encoding], clocks: &[u32]) -> String {
        let mut formats = Vec::new();
        for &encoding in encodings {
            let number = match encoding.is_static() {
                true => Some(encoding.payload_type()),
                false => self.numbers.choose(Meaning::Audio(encoding), encoding.payload_type()),
            };
            formats.extend(number.map(|number| (number, encoding)));
        }
        let mut events: Vec<(u8, u32)> = Vec::new();
        let own = formats.iter().map(|(_, encoding): &(u8, Encoding)| encoding.clock_hz());
        for clock in own.chain(clocks.iter().copied()) {
            if !events.iter().any(|(_, other)| *other == clock) {
                let number = self.numbers.choose(Meaning::Events(clock), events_payload_type(clock));
                events.extend(number.map(|number| (number, clock)));
            }
        }
        let stream = Stream {
            protocol: "RTP/AVP",
            comfort_noise: formats.iter().any(|(_, encoding)| has_noise(*encoding)),
            formats,
            events,
            heard_hz: self.heard_hz,
            ptime_ms: 20,
            direction: self.direction,
            rtcp: !self.mux_only,
            rtcp_mux: true,
        };
        let mut body = String::from("t=0 0\r\n");
        stream.print(&mut body, self.port);
        self.send(&body)
    }

    /// Our answer to an offer, and what both sides agreed on. After an error nothing has changed.
    pub fn answer(&mut self, offer: &[u8]) -> Result<(String, Agreed), Incompatible> {
        let offer = read(offer)?;
        // A stream that is switched off (port 0) is taken only where there is no other.
        let mut chosen = Err(Incompatible::NoAudio);
        for (index, media) in offer.medias.iter().enumerate().filter(|(_, media)| is_audio(media)) {
            match Remote::read(&offer, media).and_then(|remote| {
                let remote = remote.within_reach(self)?;
                let (format, chosen) = self.pick(&remote.formats).ok_or(Incompatible::NoCodec)?;
                Ok((index, remote, format, chosen))
            }) {
                Ok(stream) if media.port != 0 => {
                    chosen = Ok(stream);
                    break;
                }
                Ok(stream) => chosen = chosen.or(Ok(stream)),
                Err(error) => chosen = chosen.or(Err(error)),
            }
        }
        let (chosen, remote, format, why) = chosen?;
        if let Some(rtp) = remote.rtp {
            self.face(rtp.ip())?;
        }

        let events = remote.events(format.encoding);
        for &(number, meaning) in &remote.numbers {
            self.numbers.offered(number, meaning);
        }
        // "that same payload type number SHOULD be used for that codec in the answer" (RFC 3264 §6.1).
        self.numbers.bind(format.number, Meaning::Audio(format.encoding));
        if let Some((number, clock)) = events {
            self.numbers.bind(number, Meaning::Events(clock));
        }
        let agreed = remote.agree(self, format, format.number, events.map(|(number, _)| number), why);
        self.clock_hz = Some(format.encoding.clock_hz());
        let mut body = String::new();
        // "the "t=" line in the answer MUST be equal to the one in the offer" (RFC 3264 §6).
        match offer.times.first() {
            Some(time) => _ = write!(body, "t={} {}\r\n", time.start_time, time.stop_time),
            None => body.push_str("t=0 0\r\n"),
        }
        // "For each "m=" line in the offer, there MUST be a corresponding "m=" line in the answer … in the same order";
        // a refused one has port 0 (RFC 3264 §6).
        for (index, media) in offer.medias.iter().enumerate() {
            if index == chosen && media.port != 0 {
                let stream = Stream {
                    protocol: &media.proto,
                    formats: vec![(format.number, format.encoding)],
                    events: events.into_iter().collect(),
                    comfort_noise: agreed.comfort_noise,
                    heard_hz: self.heard_hz,
                    ptime_ms: agreed.ptime_ms,
                    direction: agreed.direction,
                    rtcp: !remote.rtcp_mux && !self.mux_only,
                    rtcp_mux: remote.rtcp_mux,
                };
                stream.print(&mut body, self.port);
            } else {
                let refused = format!("m={} 0 {} {}", media.media, media.proto, media.fmt);
                body.extend(refused.chars().filter(|c| !c.is_control()));
                body.push_str("\r\n");
            }
        }
        Ok((self.send(&body), agreed))
    }

    /// What the peer's answer to our last offer means. After an error nothing has changed.
    pub fn accept(&mut self, answer: &[u8]) -> Result<Agreed, Incompatible> {
        let answer = read(answer)?;
        let media = answer
            .medias
            .iter()
            .find(|media| is_audio(media) && media.port != 0)
            .ok_or(Incompatible::NoAudio)?;
        let remote = Remote::read(&answer, media)?.within_reach(self)?;
        // The order of the answer is the answerer's preference (RFC 3264 §6.1).
        let mut offered = remote.formats.iter().filter_map(|format| {
            let offered = self.encodings.contains(&format.encoding);
            Some((*format, self.number(format.encoding).filter(|_| offered)?))
        });
        let (format, receive) = offered.next().ok_or(Incompatible::NoCodec)?;
        for &(number, meaning) in &remote.numbers {
            self.numbers.answered(number, meaning);
        }
        let clock = remote.events(format.encoding).map(|(_, clock)| clock);
        let events = clock.and_then(|clock| self.numbers.ours(Meaning::Events(clock)));
        self.clock_hz = Some(format.encoding.clock_hz());
        Ok(remote.agree(self, format, receive, events, Chosen::TheirFirst))
    }

    /// Of the formats of an offer, the one that our answer takes: of the dialog's clock, then the wanted one, then the first of
    /// whose order it is.
    fn pick(&self, formats: &[Format]) -> Option<(Format, Chosen)> {
        let place = |format: &Format| self.encodings.iter().position(|ours| *ours == format.encoding);
        let order = |format: &Format| match self.order {
            Order::Theirs => 0,
            Order::Ours => place(format).unwrap_or(usize::MAX),
        };
        let known = || formats.iter().filter(|format| place(format).is_some()).copied();
        let unwanted = |format: &Format| self.wanted != Some(format.encoding);
        let other_clock = |format: &Format| self.clock_hz.is_some_and(|clock| clock != format.encoding.clock_hz());
        // Of equals the first.
        let first = known().min_by_key(|format| (unwanted(format), order(format)))?;
        let taken = known().min_by_key(|format| (other_clock(format), unwanted(format), order(format)))?;
        let why = match self.order {
            _ if taken != first => Chosen::SameClock,
            _ if !unwanted(&taken) => Chosen::Wanted,
            Order::Theirs => Chosen::TheirFirst,
            Order::Ours => Chosen::OurFirst,
        };
        Some((taken, why))
    }

    /// Puts our session lines before the streams; the version rises where the text is not the last one's.
    fn send(&mut self, body: &str) -> String {
        let origin = *self.origin.get_or_insert(self.address);
        let (session, address) = (self.session, self.address);
        let print = |version: u64| {
            format!(
                "v=0\r\no=- {session} {version} IN {} {origin}\r\ns=-\r\nc=IN {} {address}\r\n{body}",
                family(origin),
                family(address),
            )
        };
        let mut text = print(self.version);
        if self.last.as_ref().is_some_and(|last| *last != text) {
            self.version += 1;
            text = print(self.version);
        }
        self.last = Some(text.clone());
        text
    }
}

/// One stream of ours, as it is printed.
struct Stream<'a> {
    protocol: &'a str,
    formats: Vec<(u8, Encoding)>,
    /// telephone-event: numbers and clocks.
    events: Vec<(u8, u32)>,
    comfort_noise: bool,
    heard_hz: Option<u32>,
    ptime_ms: u8,
    direction: Direction,
    rtcp: bool,
    rtcp_mux: bool,
}

impl Stream<'_> {
    fn print(&self, out: &mut String, port: u16) {
        // Writing to a String cannot fail.
        _ = write!(out, "m=audio {port} {}", self.protocol);
        let noise = self.comfort_noise.then_some(COMFORT_NOISE);
        for payload in self
            .formats
            .iter()
            .map(|(payload, _)| *payload)
            .chain(noise)
            .chain(self.events.iter().map(|(payload, _)| *payload))
        {
            _ = write!(out, " {payload}");
        }
        out.push_str("\r\n");
        for (payload, encoding) in &self.formats {
            _ = write!(out, "a=rtpmap:{payload} {}\r\n", encoding.rtpmap());
            if let Some(parameters) = encoding.fmtp(self.heard_hz) {
                _ = write!(out, "a=fmtp:{payload} {parameters}\r\n");
            }
        }
        if let Some(payload) = noise {
            _ = write!(out, "a=rtpmap:{payload} CN/8000\r\n");
        }
        for (payload, clock) in &self.events {
            _ = write!(
                out,
                "a=rtpmap:{payload} telephone-event/{clock}\r\na=fmtp:{payload} {EVENT_CODES}\r\n"
            );
        }
        _ = write!(out, "a=ptime:{}\r\n", self.ptime_ms);
        if self.rtcp {
            _ = write!(out, "a=rtcp:{}\r\n", port.wrapping_add(1));
        }
        if self.rtcp_mux {
            out.push_str("a=rtcp-mux\r\n");
        }
        _ = write!(out, "a={}\r\n", self.direction.name());
    }
}

/// What a description says of one audio stream.
struct Remote {
    rtp: Option<SocketAddr>,
    rtcp: Option<SocketAddr>,
    rtcp_mux: bool,
    /// What we know of it, in its order.
    formats: Vec<Format>,
    /// telephone-event: numbers and clocks, in its order.
    events: Vec<(u8, u32)>,
    comfort_noise: bool,
    /// Every number of it, known or not.
    numbers: Vec<(u8, Meaning)>,
    ptime_ms: u8,
    maxptime_ms: Option<u8>,
    direction: Direction,
}

/// One of a peer's formats.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Format {
    number: u8,
    encoding: Encoding,
    opus: Option<Opus>,
}

impl Remote {
    fn read(session: &Session, media: &Media) -> Result<Remote, Incompatible> {
        let attribute = |name: &str| find(&media.attributes, name);
        let rtcp_mux = attribute("rtcp-mux").is_some();

        // A stream's own line goes before the session's (RFC 8866 §5.7).
        let connection = media
            .connections
            .first()
            .or(session.connection.as_ref())
            .ok_or(Incompatible::Malformed)?;
        let address = address(&connection.connection_address).ok_or(Incompatible::Malformed)?;
        // RFC 2543 hold: "0.0.0.0" means that neither RTP nor RTCP is to be sent there (RFC 3264 §8.4).
        let reachable = !address.is_unspecified() && media.port != 0;
        let rtp = reachable.then(|| SocketAddr::new(address, media.port));
        let rtcp = match (
            rtp,
            attribute("rtcp").and_then(|value| value.split_once(' ').or(Some((value, "")))),
        ) {
            (None, _) => None,
            (rtp, _) if rtcp_mux => rtp,
            // a=rtcp:53020 IN IP4 126.16.64.4 (RFC 3605 §2.1)
            (Some(_), Some((port, rest))) => {
                let other = rest.split_whitespace().nth(2).and_then(self::address);
                let port = port.parse().ok().filter(|port| *port != 0);
                port.map(|port| SocketAddr::new(other.unwrap_or(address), port))
            }
            (Some(_), None) => media.port.checked_add(1).map(|port| SocketAddr::new(address, port)),
        };

        let stated = direction(&media.attributes).or_else(|| direction(&session.attributes));
        let stated = stated.unwrap_or(Direction::SendRecv);
        let direction = if media.port == 0 {
            Direction::Inactive
        } else {
            Direction::of(stated.sends(), stated.receives() && reachable)
        };

        let (mut formats, mut events, mut comfort_noise) = (Vec::new(), Vec::new(), false);
        let mut numbers: Vec<(u8, Meaning)> = Vec::new();
        let payloads = media
            .fmt
            .split_whitespace()
            .filter_map(|payload| payload.parse::<u8>().ok());
        for number in payloads.filter(|payload| *payload < 128) {
            if numbers.iter().any(|(known, _)| *known == number) {
                continue;
            }
            let map = rtpmap(media, number);
            let encoding = Encoding::of(&map);
            let clock = map.clock.parse::<u32>().ok().filter(|clock| *clock > 0);
            let clock = clock.filter(|_| map.name.eq_ignore_ascii_case("telephone-event"));
            let meaning = match (encoding, clock) {
                (Some(encoding), _) => Meaning::Audio(encoding),
                (None, Some(clock)) => Meaning::Events(clock),
                (None, None) => Meaning::Other,
            };
            numbers.push((number, meaning));
            if let Some(encoding) = encoding {
                let is_opus = encoding == Encoding::Opus;
                let parameters = is_opus.then(|| of_payload(media, "fmtp", number).unwrap_or(""));
                formats.push(Format {
                    number,
                    encoding,
                    opus: parameters.map(Opus::read),
                });
            }
            events.extend(clock.map(|clock| (number, clock)));
            let is_noise = map.name.eq_ignore_ascii_case("CN") && map.clock == "8000";
            comfort_noise |= is_noise && number == COMFORT_NOISE;
        }
        let number = |name: &str| attribute(name).and_then(|value| value.trim().parse::<u32>().ok());
        let wish = number("ptime").filter(|ptime| (10..=60).contains(ptime) && ptime % 10 == 0);
        let most = number("maxptime").map(|most| (most / 10 * 10).clamp(10, 250) as u8);
        let ptime_ms = wish.map_or(20, |wish| wish as u8).min(most.unwrap_or(u8::MAX));
        Ok(Remote {
            rtp,
            rtcp,
            rtcp_mux,
            formats,
            events,
            comfort_noise,
            numbers,
            ptime_ms,
            maxptime_ms: most,
            direction,
        })
    }

    /// What is left of it for us: RTCP to a family of which we have no address is given up, RTP is not to be had.
    fn within_reach(self, local: &Local) -> Result<Remote, Incompatible> {
        let reached = |remote: &SocketAddr| local.address_towards(remote.ip()).is_some();
        if !self.rtp.as_ref().is_none_or(reached) {
            return Err(Incompatible::NoAddress);
        }
        Ok(Remote {
            rtcp: self
                .rtcp
                .filter(|rtcp| reached(rtcp) && (self.rtcp_mux || !local.mux_only)),
            ..self
        })
    }

    /// The telephone-event beside this encoding: that of its clock, for both are one stream (RFC 4733 §2.1); or that of all peers, where
    /// this one has no other (there are many that speak Opus and know it at 8000 alone).
    fn events(&self, encoding: Encoding) -> Option<(u8, u32)> {
        let at = |clock| self.events.iter().find(|(_, theirs)| *theirs == clock).copied();
        at(encoding.clock_hz()).or_else(|| at(EVENTS_CLOCK))
    }

    /// `receive` and `receive_events` are our numbers; the latter counts only where the peer has one too.
    fn agree(&self, local: &Local, format: Format, receive: u8, receive_events: Option<u8>, chosen: Chosen) -> Agreed {
        let events = self.events(format.encoding).zip(receive_events);
        let mut common = Vec::new();
        for encoding in self.formats.iter().map(|format| format.encoding) {
            if local.encodings.contains(&encoding) && !common.contains(&encoding) {
                common.push(encoding);
            }
        }
        Agreed {
            remote: self.rtp,
            remote_rtcp: self.rtcp,
            encoding: format.encoding,
            send: format.number,
            receive,
            chosen,
            common,
            opus: format.opus,
            events: events.map(|((send, clock_hz), receive)| Events {
                send,
                receive,
                clock_hz,
            }),
            comfort_noise: self.comfort_noise && has_noise(format.encoding),
            ptime_ms: self.ptime_ms,
            maxptime_ms: self.maxptime_ms,
            direction: local.direction.against(self.direction),
        }
    }
}

/// Whether comfort noise can stand beside it: the static payload type is for a clock of 8000 Hz (RFC 3389 §4).
fn has_noise(encoding: Encoding) -> bool {
    encoding.clock_hz() == 8_000
}

/// telephone-event of this clock in our first offer.
fn events_payload_type(clock_hz: u32) -> u8 {
    match clock_hz {
        EVENTS_CLOCK => 101,
        48_000 => 102,
        _ => 103,
    }
}

/// Reads a description. Bytes that are not UTF-8 (a Latin-1 session name) spoil nothing else.
fn read(text: &[u8]) -> Result<Session, Incompatible> {
    let text = String::from_utf8_lossy(text);
    let session = Session::parse(text.as_bytes()).map_err(|_| Incompatible::Malformed)?;
    if session.medias.len() > STREAMS_MAX {
        return Err(Incompatible::Malformed);
    }
    Ok(session)
}

/// An audio stream that we can carry: plain RTP, with or without the feedback profile (RFC 4585).
fn is_audio(media: &Media) -> bool {
    media.media.eq_ignore_ascii_case("audio")
        && ["RTP/AVP", "RTP/AVPF"]
            .iter()
            .any(|protocol| media.proto.eq_ignore_ascii_case(protocol))
}

/// The address type of `c=` and `o=` lines (RFC 8866 §5.7).
fn family(address: IpAddr) -> &'static str {
    if address.is_ipv4() { "IP4" } else { "IP6" }
}

/// An address of a `c=` or `a=rtcp` line; a name or a group is none. A v4-mapped one is IPv4: there is no other way to it.
fn address(text: &str) -> Option<IpAddr> {
    let address: Option<IpAddr> = text.trim().parse().ok();
    address
        .map(|address| address.to_canonical())
        .filter(|address: &IpAddr| !address.is_multicast())
}

/// An attribute's value; empty where it has none.
fn find<'a>(attributes: &'a [Attribute], name: &str) -> Option<&'a str> {
    let attribute = attributes
        .iter()
        .find(|attribute| attribute.attribute.eq_ignore_ascii_case(name))?;
    Some(attribute.value.as_deref().unwrap_or(""))
}

fn direction(attributes: &[Attribute]) -> Option<Direction> {
    [
        Direction::SendRecv,
        Direction::SendOnly,
        Direction::RecvOnly,
        Direction::Inactive,
    ]
    .into_iter()
    .find(|direction| find(attributes, direction.name()).is_some())
}

/// What a payload type stands for. Static ones need no line (RFC 3551 §6).
fn rtpmap(media: &Media, payload: u8) -> Map<'_> {
    of_payload(media, "rtpmap", payload).map_or_else(|| Map::of_static(payload), Map::read)
}

/// The value of the first attribute of this name and payload type, without the latter.
fn of_payload<'a>(media: &'a Media, name: &str, payload: u8) -> Option<&'a str> {
    let attributes = media.attributes.iter();
    let mut values = attributes
        .filter(|attribute| attribute.attribute.eq_ignore_ascii_case(name))
        .filter_map(|attribute| attribute.value.as_deref()?.trim().split_once(' '));
    let found = values.find(|(number, _)| number.parse() == Ok(payload));
    found.map(|(_, value)| value)
}

#[cfg(test)]
mod tests;
