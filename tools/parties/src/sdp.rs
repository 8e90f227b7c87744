//! Session descriptions of one audio stream (RFC 8866), offered and answered (RFC 3264).

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use crate::g711::Codec;

/// Our number for telephone-event in an offer.
pub const EVENT_TYPE: u8 = 101;

/// Who may send, as its describer sees it (RFC 3264 §5.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// Both.
    SendRecv,
    /// Its describer alone sends: it holds.
    SendOnly,
    /// Its describer alone receives.
    RecvOnly,
    /// Neither.
    Inactive,
}

impl Direction {
    fn name(self) -> &'static str {
        match self {
            Direction::SendRecv => "sendrecv",
            Direction::SendOnly => "sendonly",
            Direction::RecvOnly => "recvonly",
            Direction::Inactive => "inactive",
        }
    }

    /// RFC 3264 §6.1: what answers an offer of it.
    fn answer(self) -> Direction {
        match self {
            Direction::SendOnly => Direction::RecvOnly,
            Direction::RecvOnly => Direction::SendOnly,
            same => same,
        }
    }

    /// Whether the describer receives.
    pub fn receives(self) -> bool {
        matches!(self, Direction::SendRecv | Direction::RecvOnly)
    }
}

/// What a peer describes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Description {
    /// Where RTP is wanted.
    pub audio: SocketAddr,
    /// In the order of preference.
    pub payload_types: Vec<u8>,
    /// Payload type of telephone-event/8000.
    pub event_type: Option<u8>,
    /// Who may send.
    pub direction: Direction,
}

impl Description {
    /// `None` without an audio stream or address.
    pub fn parse(text: &str) -> Option<Description> {
        let mut address: Option<IpAddr> = None;
        let mut port: Option<u16> = None;
        let mut payload_types = Vec::new();
        let mut event_type = None;
        let mut direction = Direction::SendRecv;
        let mut other_media = false;
        for line in text.lines() {
            let line = line.trim_end();
            let Some((kind, value)) = line.split_once('=') else {
                continue;
            };
            match kind {
                "m" if port.is_none() && value.starts_with("audio ") => {
                    other_media = false;
                    let mut words = value.split(' ').skip(1);
                    port = Some(words.next()?.split('/').next()?.parse().ok()?);
                    payload_types = words.skip(1).filter_map(|word| word.parse().ok()).collect();
                }
                "m" => other_media = true,
                _ if other_media => {}
                // The stream's own address comes after that of the session, and wins.
                "c" => address = value.split(' ').nth(2)?.parse().ok(),
                "a" => match value {
                    "sendrecv" => direction = Direction::SendRecv,
                    "sendonly" => direction = Direction::SendOnly,
                    "recvonly" => direction = Direction::RecvOnly,
                    "inactive" => direction = Direction::Inactive,
                    _ => {
                        if let Some(map) = value.strip_prefix("rtpmap:")
                            && let Some((number, name)) = map.split_once(' ')
                            && name.eq_ignore_ascii_case("telephone-event/8000")
                        {
                            event_type = number.parse().ok();
                        }
                    }
                },
                _ => {}
            }
        }
        Some(Description {
            audio: SocketAddr::new(address?, port?),
            payload_types,
            event_type,
            direction,
        })
    }

    /// Whether the codec is among them.
    pub fn has(&self, codec: Codec) -> bool {
        self.payload_types.contains(&codec.payload_type())
    }
}

/// Our own description.
#[derive(Clone, Copy, Debug)]
pub struct Local {
    /// Where RTP is wanted.
    pub address: Ipv4Addr,
    /// Of RTP.
    pub port: u16,
    /// The only one that is spoken.
    pub codec: Codec,
    /// Identifies the session in `o=`.
    pub session: u32,
    /// Counts the changes of it in `o=`.
    pub version: u32,
}

impl Local {
    /// As an offer, or as the answer to an INVITE without one.
    pub fn offer(self) -> String {
        self.print(Direction::SendRecv, Some(EVENT_TYPE))
    }

    /// As the answer to this offer.
    pub fn answer(self, offer: &Description) -> String {
        self.print(offer.direction.answer(), offer.event_type)
    }

    fn print(self, direction: Direction, event_type: Option<u8>) -> String {
        let Local {
            address,
            port,
            codec,
            session,
            version,
        } = self;
        let (number, name) = (codec.payload_type(), codec.sdp_name());
        let (list, maps) = match event_type {
            Some(event) => (
                format!(" {event}"),
                format!("a=rtpmap:{event} telephone-event/8000\r\na=fmtp:{event} 0-15\r\n"),
            ),
            None => (String::new(), String::new()),
        };
        format!(
            "v=0\r\no=- {session} {version} IN IP4 {address}\r\ns=-\r\nc=IN IP4 {address}\r\nt=0 0\r\n\
             m=audio {port} RTP/AVP {number}{list}\r\na=rtpmap:{number} {name}/8000\r\n{maps}\
             a=ptime:20\r\na={}\r\n",
            direction.name()
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOCAL: Local = Local {
        address: Ipv4Addr::LOCALHOST,
        port: 4000,
        codec: Codec::Pcma,
        session: 5,
        version: 1,
    };

    #[test]
    fn our_offer_as_a_peer_reads_it() {
        let offer = Description::parse(&LOCAL.offer()).unwrap();
        assert_eq!(offer.audio, "127.0.0.1:4000".parse().unwrap());
        assert_eq!(offer.payload_types, [8, 101]);
        assert_eq!(offer.event_type, Some(101));
        assert_eq!(offer.direction, Direction::SendRecv);
        assert!(offer.has(Codec::Pcma) && !offer.has(Codec::Pcmu));
    }

    #[test]
    fn an_answer_takes_over_number_and_turns_the_direction() {
        let offer = "v=0\r\nc=IN IP4 10.0.0.1\r\nm=audio 9000/1 RTP/AVP 8 96\r\nc=IN IP4 10.0.0.2\r\n\
                     a=rtpmap:96 telephone-event/8000\r\na=sendonly\r\nm=video 7000 RTP/AVP 99\r\nc=IN IP4 10.0.0.3\r\na=inactive\r\n";
        let offer = Description::parse(offer).unwrap();
        assert_eq!(offer.audio, "10.0.0.2:9000".parse().unwrap());
        let answer = Description::parse(&LOCAL.answer(&offer)).unwrap();
        assert_eq!((answer.event_type, answer.direction), (Some(96), Direction::RecvOnly));
        assert!(!offer.direction.receives());
    }

    #[test]
    fn no_audio_is_no_description() {
        for text in [
            "",
            "v=0",
            "c=IN IP4 1.2.3.4",
            "m=audio 1 RTP/AVP 0",
            "c=IN IP4 x\r\nm=audio 1 RTP/AVP 0",
            "m=audio",
        ] {
            assert_eq!(Description::parse(text), None);
        }
    }
}
