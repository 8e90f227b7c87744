//! Session descriptions of one audio stream (RFC 8866), offered and answered (RFC 3264).

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use crate::codec::Codec;

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
    /// What they stand for, as far as it says so: name, clock and channels, as `opus/48000/2`.
    pub maps: Vec<(u8, String)>,
    /// Who may send.
    pub direction: Direction,
}

impl Description {
    /// `None` without an audio stream or address.
    pub fn parse(text: &str) -> Option<Description> {
        let mut address: Option<IpAddr> = None;
        let mut port: Option<u16> = None;
        let mut payload_types = Vec::new();
        let mut maps = Vec::new();
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
                            && let Ok(number) = number.parse()
                        {
                            maps.push((number, name.trim().to_owned()));
                        }
                    }
                },
                _ => {}
            }
        }
        Some(Description {
            audio: SocketAddr::new(address?, port?),
            payload_types,
            maps,
            direction,
        })
    }

    /// The payload type of a codec: by its name, or where it has none and is static, by its number (RFC 3551 §6).
    pub fn number(&self, codec: Codec) -> Option<u8> {
        let fixed = (codec.payload_type() < 96).then_some(codec.payload_type());
        self.named(&codec.rtpmap())
            .or_else(|| fixed.filter(|fixed| self.payload_types.contains(fixed) && self.map(*fixed).is_none()))
    }

    /// The payload type of telephone-event with the clock of a codec (RFC 4733 §2.1).
    pub fn event_number(&self, codec: Codec) -> Option<u8> {
        self.named(&format!("telephone-event/{}", codec.clock()))
    }

    fn named(&self, wanted: &str) -> Option<u8> {
        // One channel is what is meant where nothing is said (RFC 8866 §6.6).
        let is_wanted = |map: &str| map.strip_suffix("/1").unwrap_or(map).eq_ignore_ascii_case(wanted);
        let mut numbers = self.payload_types.iter().copied();
        numbers.find(|number| self.map(*number).is_some_and(is_wanted))
    }

    fn map(&self, number: u8) -> Option<&str> {
        let map = self.maps.iter().find(|(of, _)| *of == number);
        map.map(|(_, name)| name.as_str())
    }
}

/// Payload types of one line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Numbers {
    /// Of its codec.
    pub audio: u8,
    /// Of telephone-event, where it has that.
    pub event: Option<u8>,
}

impl Numbers {
    /// Those of our offers.
    pub fn offered(codec: Codec) -> Numbers {
        Numbers {
            audio: codec.payload_type(),
            event: Some(EVENT_TYPE),
        }
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
    /// The packet time that we send with and ask for, ms.
    pub ptime_ms: u32,
    /// Identifies the session in `o=`.
    pub session: u32,
    /// Counts the changes of it in `o=`.
    pub version: u32,
}

impl Local {
    /// As an offer, or as the answer to an INVITE without one.
    pub fn offer(self) -> String {
        self.print(Direction::SendRecv, Numbers::offered(self.codec))
    }

    /// As the answer to this offer. `None` where that lacks our codec.
    pub fn answer(self, offer: &Description) -> Option<String> {
        Some(self.print(offer.direction.answer(), self.answered(offer)?))
    }

    /// The payload types that are answered: those of the offer.
    pub fn answered(self, offer: &Description) -> Option<Numbers> {
        Some(Numbers {
            audio: offer.number(self.codec)?,
            event: offer.event_number(self.codec),
        })
    }

    fn print(self, direction: Direction, numbers: Numbers) -> String {
        let Local {
            address,
            port,
            codec,
            ptime_ms,
            session,
            version,
        } = self;
        let (number, map, clock) = (numbers.audio, codec.rtpmap(), codec.clock());
        let (list, maps) = match numbers.event {
            Some(event) => (
                format!(" {event}"),
                format!("a=rtpmap:{event} telephone-event/{clock}\r\na=fmtp:{event} 0-15\r\n"),
            ),
            None => (String::new(), String::new()),
        };
        format!(
            "v=0\r\no=- {session} {version} IN IP4 {address}\r\ns=-\r\nc=IN IP4 {address}\r\nt=0 0\r\n\
             m=audio {port} RTP/AVP {number}{list}\r\na=rtpmap:{number} {map}\r\n{maps}\
             a=ptime:{ptime_ms}\r\na={}\r\n",
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
        ptime_ms: 20,
        session: 5,
        version: 1,
    };

    #[test]
    fn our_offer_as_a_peer_reads_it() {
        let offer = Description::parse(&LOCAL.offer()).unwrap();
        assert_eq!(offer.audio, "127.0.0.1:4000".parse().unwrap());
        assert_eq!(offer.payload_types, [8, 101]);
        assert_eq!(offer.event_number(Codec::Pcma), Some(101));
        assert_eq!(offer.direction, Direction::SendRecv);
        assert_eq!((offer.number(Codec::Pcma), offer.number(Codec::Pcmu)), (Some(8), None));
    }

    #[test]
    fn an_answer_takes_over_number_and_turns_the_direction() {
        let offer = "v=0\r\nc=IN IP4 10.0.0.1\r\nm=audio 9000/1 RTP/AVP 8 96\r\nc=IN IP4 10.0.0.2\r\n\
                     a=rtpmap:96 telephone-event/8000\r\na=sendonly\r\nm=video 7000 RTP/AVP 99\r\nc=IN IP4 10.0.0.3\r\na=inactive\r\n";
        let offer = Description::parse(offer).unwrap();
        assert_eq!(offer.audio, "10.0.0.2:9000".parse().unwrap());
        let answer = Description::parse(&LOCAL.answer(&offer).unwrap()).unwrap();
        assert_eq!(
            (answer.event_number(Codec::Pcma), answer.direction),
            (Some(96), Direction::RecvOnly)
        );
        assert!(!offer.direction.receives());
    }

    #[test]
    fn a_codec_is_taken_by_its_name_with_the_number_of_the_offer() {
        let offer = "c=IN IP4 10.0.0.1\r\nm=audio 9000 RTP/AVP 9 0 96 110 98 100 101\r\na=rtpmap:96 OPUS/48000/2\r\n\
                     a=rtpmap:110 l16/16000/1\r\na=rtpmap:98 L16/8000\r\na=rtpmap:100 telephone-event/48000\r\n\
                     a=rtpmap:101 telephone-event/8000\r\n";
        let offer = Description::parse(offer).unwrap();
        let answered = |codec| {
            let answer = Local { codec, ..LOCAL }.answer(&offer)?;
            let answer = Description::parse(&answer)?;
            Some((
                answer.payload_types.clone(),
                answer.maps[0].1.clone(),
                answer.event_number(codec),
            ))
        };
        assert_eq!(
            answered(Codec::Opus),
            Some((vec![96, 100], "opus/48000/2".to_owned(), Some(100)))
        );
        assert_eq!(
            answered(Codec::G722),
            Some((vec![9, 101], "G722/8000".to_owned(), Some(101)))
        );
        assert_eq!(
            answered(Codec::L16Wide),
            Some((vec![110], "L16/16000".to_owned(), None))
        );
        assert_eq!(
            answered(Codec::L16),
            Some((vec![98, 101], "L16/8000".to_owned(), Some(101)))
        );
        assert_eq!(answered(Codec::Pcma), None);
    }

    #[test]
    fn a_number_of_another_name_is_not_the_codec() {
        let offer =
            "c=IN IP4 10.0.0.1\r\nm=audio 9000 RTP/AVP 9 97\r\na=rtpmap:9 G722/16000\r\na=rtpmap:97 opus/48000\r\n";
        let offer = Description::parse(offer).unwrap();
        for codec in crate::codec::ALL {
            assert_eq!(offer.number(codec), None, "{codec:?}");
        }
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
