//! The NG protocol of rtpengine: a cookie and a bencoded dictionary in each datagram; as much of it as a bridged call takes.

use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::time::Duration;

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

/// The ports of rtpengine for one call: where the first party sends to, and the second.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Bridge {
    pub(crate) first: u16,
    pub(crate) second: u16,
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
        let asked = self.exchange(&[("command", "ping")], 1);
        asked.is_ok_and(|answer| value(&answer, "result") == Some("pong"))
    }

    /// Bridges two parties of PCMU at these ports of one address.
    pub(crate) fn bridge(&mut self, call: usize, ip: Ipv4Addr, first: u16, second: u16) -> Result<Bridge, String> {
        let id = format!("load-{call}");
        let offer = [
            ("call-id", id.as_str()),
            ("command", "offer"),
            ("from-tag", "a"),
            ("sdp", &sdp(ip, first)),
        ];
        let to_second = port(&self.ask(&offer)?)?;
        let answer = [
            ("call-id", id.as_str()),
            ("command", "answer"),
            ("from-tag", "a"),
            ("sdp", &sdp(ip, second)),
            ("to-tag", "b"),
        ];
        let to_first = port(&self.ask(&answer)?)?;
        // The SDP that goes to the second party has the port that it sends to, and the other way round.
        Ok(Bridge {
            first: to_first,
            second: to_second,
        })
    }

    /// The SDP of the answer.
    fn ask(&mut self, entries: &[(&str, &str)]) -> Result<String, String> {
        let answer = self.exchange(entries, TRIES)?;
        match value(&answer, "result") {
            Some("ok") => Ok(value(&answer, "sdp").unwrap_or_default().to_owned()),
            _ => Err(format!("rtpengine: {answer}")),
        }
    }

    fn exchange(&mut self, entries: &[(&str, &str)], tries: usize) -> Result<String, String> {
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

fn sdp(ip: Ipv4Addr, port: u16) -> String {
    format!(
        "v=0\r\no=- 1 1 IN IP4 {ip}\r\ns=-\r\nc=IN IP4 {ip}\r\nt=0 0\r\nm=audio {port} RTP/AVP 0\r\na=rtpmap:0 PCMU/8000\r\n"
    )
}

/// Of the first stream.
fn port(sdp: &str) -> Result<u16, String> {
    let media = sdp.lines().find_map(|line| line.strip_prefix("m=audio "));
    let port = media.and_then(|media| media.split(' ').next()?.parse().ok());
    port.ok_or_else(|| format!("rtpengine gave no port: {sdp:?}"))
}

/// Bencoded. The keys must be in order.
fn dictionary(entries: &[(&str, &str)]) -> String {
    let string = |text: &str| format!("{}:{text}", text.len());
    let entries = entries.iter().map(|(key, value)| string(key) + &string(value));
    format!("d{}e", entries.collect::<String>())
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
            dictionary(&[("call-id", "x"), ("command", "offer")]),
            "d7:call-id1:x7:command5:offere"
        );
        let answer = "d6:result2:ok3:sdp11:m=audio 7\r\ne";
        assert_eq!(value(answer, "result"), Some("ok"));
        assert_eq!(value(answer, "sdp"), Some("m=audio 7\r\n"));
        assert_eq!(value(answer, "warning"), None);
        assert_eq!(value("d3:sdp99:shorte", "sdp"), None);
    }

    #[test]
    fn the_port_is_that_of_the_first_stream() {
        let own = sdp(Ipv4Addr::LOCALHOST, 4711);
        assert_eq!(port(&own), Ok(4711));
        assert!(port("v=0\r\n").is_err());
    }
}
