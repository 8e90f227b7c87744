//! The NG protocol of rtpengine: a cookie and a bencoded dictionary in each datagram; as much of it as a bridged call takes.

use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::time::Duration;

use media::codec::opus::Effort;
use media::command::Codec;

use crate::frame::payload_type;

/// How long an answer may take; then it is asked again, which the cookie makes harmless.
const PATIENCE: Duration = Duration::from_millis(500);

/// How often it is asked.
const TRIES: usize = 6;

/// A rtpengine.
#[derive(Debug)]
pub(crate) struct Rtpengine {
    socket: UdpSocket,
    asked: u32,
}

/// One party of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Leg {
    pub(crate) ip: Ipv4Addr,
    pub(crate) port: u16,
    pub(crate) codec: Codec,
}

impl Rtpengine {
    /// `from`: a port that the load leaves to the kernel.
    pub(crate) fn new(from: SocketAddr, to: SocketAddr) -> Result<Rtpengine, String> {
        let socket = UdpSocket::bind(from).and_then(|socket| {
            socket.connect(to)?;
            socket.set_read_timeout(Some(PATIENCE))?;
            Ok(socket)
        });
        let socket = socket.map_err(|error| format!("rtpengine at {to}: {error}"))?;
        Ok(Rtpengine { socket, asked: 0 })
    }

    /// Whether it answers.
    pub(crate) fn is_there(&mut self) -> bool {
        let asked = self.exchange(&[("command", string("ping"))], 1);
        asked.is_ok_and(|answer| value(&answer, "result") == Some("pong"))
    }

    /// Bridges two parties, whose codecs may differ; the ports of rtpengine where they send to. `opus`: what its encoders of Opus are to spend.
    pub(crate) fn bridge(&mut self, call: usize, legs: [Leg; 2], opus: Effort) -> Result<[u16; 2], String> {
        // Who has Opus offers: its payload type is then the offer's, and not one that rtpengine thinks of.
        let offers = usize::from(legs[1].codec == Codec::Opus);
        let (first, second) = (legs[offers], legs[1 - offers]);
        let id = format!("load-{call}");
        let mut offer = vec![("call-id", string(&id)), ("command", string("offer"))];
        if first.codec != second.codec {
            offer.push(("flags", list(&transcode(first.codec, second.codec, opus))));
        }
        offer.extend([("from-tag", string("a")), ("sdp", string(&sdp(first)))]);
        let to_second = port(&self.ask(&offer)?)?;
        let answer = [
            ("call-id", string(&id)),
            ("command", string("answer")),
            ("from-tag", string("a")),
            ("sdp", string(&sdp(second))),
            ("to-tag", string("b")),
        ];
        let to_first = port(&self.ask(&answer)?)?;
        // The SDP that goes to the second party has the port that it sends to, and the other way round.
        let mut ports = [to_second; 2];
        ports[offers] = to_first;
        Ok(ports)
    }

    /// The SDP of the answer.
    fn ask(&mut self, entries: &[(&str, String)]) -> Result<String, String> {
        let answer = self.exchange(entries, TRIES)?;
        match value(&answer, "result") {
            Some("ok") => Ok(value(&answer, "sdp").unwrap_or_default().to_owned()),
            _ => Err(format!("rtpengine: {answer}")),
        }
    }

    fn exchange(&mut self, entries: &[(&str, String)], tries: usize) -> Result<String, String> {
        self.asked += 1;
        let cookie = format!("load{}", self.asked);
        let question = format!("{cookie} {}", dictionary(entries));
        let mut buffer = [0; 65_535];
        for _ in 0..tries {
            // Before it listens the kernel refuses for it.
            if self.socket.send(question.as_bytes()).is_err() {
                continue;
            }
            while let Ok(len) = self.socket.recv(&mut buffer) {
                let text = String::from_utf8_lossy(&buffer[..len]);
                if let Some((theirs, answer)) = text.split_once(' ')
                    && theirs == cookie
                {
                    return Ok(answer.to_owned());
                }
            }
        }
        Err("rtpengine does not answer".to_owned())
    }
}

/// What rtpengine is told of an offer in one codec that is to go on in another one.
fn transcode(from: Codec, to: Codec, opus: Effort) -> Vec<String> {
    let mut flags = vec![
        format!("codec-mask-{}", encoding(from)),
        format!("codec-transcode-{}", encoding(to)),
    ];
    if from == Codec::Opus {
        let Effort { bitrate, complexity } = opus;
        flags.push(format!(
            "codec-set-opus/48000/2/{bitrate}////compression_level={complexity}"
        ));
    }
    flags
}

/// Its name in SDP.
fn encoding(codec: Codec) -> &'static str {
    match codec {
        Codec::Pcmu => "PCMU",
        Codec::Pcma => "PCMA",
        Codec::G722 => "G722",
        Codec::L16 | Codec::L16Wide => "L16",
        Codec::Opus => "opus",
    }
}

fn sdp(leg: Leg) -> String {
    let Leg { ip, port, codec } = leg;
    let (number, name) = (payload_type(codec), encoding(codec));
    let clock = codec.clock_hz();
    // RFC 7587 §7: Opus always has two.
    let channels = if codec == Codec::Opus { "/2" } else { "" };
    format!(
        "v=0\r\no=- 1 1 IN IP4 {ip}\r\ns=-\r\nc=IN IP4 {ip}\r\nt=0 0\r\n\
         m=audio {port} RTP/AVP {number}\r\na=rtpmap:{number} {name}/{clock}{channels}\r\n"
    )
}

/// Of the first stream.
fn port(sdp: &str) -> Result<u16, String> {
    let media = sdp.lines().find_map(|line| line.strip_prefix("m=audio "));
    let port = media.and_then(|media| media.split(' ').next()?.parse().ok());
    port.ok_or_else(|| format!("rtpengine gave no port: {sdp:?}"))
}

/// Bencoded, of values that are. The keys must be in order.
fn dictionary(entries: &[(&str, String)]) -> String {
    let entries = entries.iter().map(|(key, value)| string(key) + value);
    format!("d{}e", entries.collect::<String>())
}

/// Bencoded.
fn string(text: &str) -> String {
    format!("{}:{text}", text.len())
}

/// Bencoded.
fn list(texts: &[String]) -> String {
    format!("l{}e", texts.iter().map(|text| string(text)).collect::<String>())
}

/// The string that a bencoded dictionary has under this key, wherever in it.
fn value<'t>(text: &'t str, key: &str) -> Option<&'t str> {
    let (_, rest) = text.split_once(&format!("{}:{key}", key.len()))?;
    let (len, rest) = rest.split_once(':')?;
    rest.get(..len.parse().ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dictionary_is_bencoded_and_its_answer_read() {
        assert_eq!(
            dictionary(&[
                ("call-id", string("x")),
                ("flags", list(&["one".to_owned(), "three".to_owned()]))
            ]),
            "d7:call-id1:x5:flagsl3:one5:threeee"
        );
        let answer = "d6:result2:ok3:sdp11:m=audio 7\r\ne";
        assert_eq!(value(answer, "result"), Some("ok"));
        assert_eq!(value(answer, "sdp"), Some("m=audio 7\r\n"));
        assert_eq!(value(answer, "warning"), None);
        assert_eq!(value("d3:sdp99:shorte", "sdp"), None);
    }

    #[test]
    fn the_port_is_that_of_the_first_stream() {
        let leg = |codec| Leg {
            ip: Ipv4Addr::LOCALHOST,
            port: 4711,
            codec,
        };
        assert_eq!(port(&sdp(leg(Codec::Pcmu))), Ok(4711));
        assert!(sdp(leg(Codec::G722)).ends_with("RTP/AVP 9\r\na=rtpmap:9 G722/8000\r\n"));
        assert!(sdp(leg(Codec::Opus)).ends_with("RTP/AVP 98\r\na=rtpmap:98 opus/48000/2\r\n"));
        assert!(port("v=0\r\n").is_err());
    }

    #[test]
    fn an_offer_of_opus_says_how_it_is_to_be_encoded() {
        let opus = Effort {
            bitrate: 24_000,
            complexity: 3,
        };
        assert_eq!(
            transcode(Codec::Opus, Codec::Pcmu, opus),
            [
                "codec-mask-opus",
                "codec-transcode-PCMU",
                "codec-set-opus/48000/2/24000////compression_level=3"
            ]
        );
        assert_eq!(
            transcode(Codec::Pcmu, Codec::G722, opus),
            ["codec-mask-PCMU", "codec-transcode-G722"]
        );
    }
}
