//! HEP version 3, the format in which HOMER and its like take captured messages: after the network protocol specification of
//! sipcapture.org (HEP3, revision 26). Pure: a message in, a datagram out.
//!
//! A packet is `HEP3`, its whole length (16 bits), and chunks: vendor and type (16 bits each), the chunk's length with these six
//! bytes (16 bits), the value. Numbers are in network order; vendor 0 is the specification's own.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use super::Transport;

/// What is told of a message.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Captured<'m> {
    pub(crate) from: SocketAddr,
    pub(crate) to: SocketAddr,
    pub(crate) transport: Transport,
    /// Since 1970.
    pub(crate) at: Duration,
    /// The same for all legs of a call.
    pub(crate) correlation: &'m str,
    pub(crate) message: &'m [u8],
}

/// Who captures.
#[derive(Clone, Debug)]
pub(crate) struct Agent {
    pub(crate) id: u32,
    pub(crate) node: String,
    pub(crate) password: Option<String>,
}

mod chunk {
    pub(super) const FAMILY: u16 = 0x01;
    pub(super) const PROTOCOL: u16 = 0x02;
    pub(super) const SOURCE_4: u16 = 0x03;
    pub(super) const DESTINATION_4: u16 = 0x04;
    pub(super) const SOURCE_6: u16 = 0x05;
    pub(super) const DESTINATION_6: u16 = 0x06;
    pub(super) const SOURCE_PORT: u16 = 0x07;
    pub(super) const DESTINATION_PORT: u16 = 0x08;
    pub(super) const SECONDS: u16 = 0x09;
    pub(super) const MICROSECONDS: u16 = 0x0a;
    pub(super) const KIND: u16 = 0x0b;
    pub(super) const AGENT: u16 = 0x0c;
    pub(super) const KEY: u16 = 0x0e;
    pub(super) const PAYLOAD: u16 = 0x0f;
    pub(super) const CORRELATION: u16 = 0x11;
    pub(super) const NODE: u16 = 0x13;
}

/// AF_INET and AF_INET6, as Linux numbers them.
const FAMILY_4: u8 = 2;
const FAMILY_6: u8 = 10;
/// Of the Internet Protocol.
const TCP: u8 = 6;
const UDP: u8 = 17;
/// What is captured.
const SIP: u8 = 1;

/// `None` where the message does not fit into a packet.
pub(crate) fn encode(agent: &Agent, captured: &Captured<'_>) -> Option<Vec<u8>> {
    let mut packet = b"HEP3\0\0".to_vec();
    let mut push = |kind: u16, value: &[u8]| {
        let len = u16::try_from(value.len() + 6).ok()?;
        packet.extend(0_u16.to_be_bytes());
        packet.extend(kind.to_be_bytes());
        packet.extend(len.to_be_bytes());
        packet.extend(value);
        Some(())
    };
    let (from, to) = (captured.from.ip().to_canonical(), captured.to.ip().to_canonical());
    let (source, destination) = match (from, to) {
        (IpAddr::V4(from), IpAddr::V4(to)) => {
            push(chunk::FAMILY, &[FAMILY_4])?;
            (
                (chunk::SOURCE_4, from.octets().to_vec()),
                (chunk::DESTINATION_4, to.octets().to_vec()),
            )
        }
        // Of two families, which no message has, one is written as the other.
        (from, to) => {
            push(chunk::FAMILY, &[FAMILY_6])?;
            (
                (chunk::SOURCE_6, six(from).to_vec()),
                (chunk::DESTINATION_6, six(to).to_vec()),
            )
        }
    };
    let protocol = match captured.transport {
        Transport::Udp => UDP,
        Transport::Tcp => TCP,
    };
    push(chunk::PROTOCOL, &[protocol])?;
    push(source.0, &source.1)?;
    push(destination.0, &destination.1)?;
    push(chunk::SOURCE_PORT, &captured.from.port().to_be_bytes())?;
    push(chunk::DESTINATION_PORT, &captured.to.port().to_be_bytes())?;
    // 32 bits of seconds: until 2106.
    push(chunk::SECONDS, &(captured.at.as_secs() as u32).to_be_bytes())?;
    push(chunk::MICROSECONDS, &captured.at.subsec_micros().to_be_bytes())?;
    push(chunk::KIND, &[SIP])?;
    push(chunk::AGENT, &agent.id.to_be_bytes())?;
    if let Some(password) = &agent.password {
        push(chunk::KEY, password.as_bytes())?;
    }
    push(chunk::CORRELATION, captured.correlation.as_bytes())?;
    push(chunk::NODE, agent.node.as_bytes())?;
    push(chunk::PAYLOAD, captured.message)?;
    let len = u16::try_from(packet.len()).ok()?;
    packet[4..6].copy_from_slice(&len.to_be_bytes());
    Some(packet)
}

fn six(ip: IpAddr) -> [u8; 16] {
    match ip {
        IpAddr::V4(ip) => ip.to_ipv6_mapped().octets(),
        IpAddr::V6(ip) => ip.octets(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn captured(from: &str, to: &str) -> Captured<'static> {
        Captured {
            from: from.parse().expect("an address"),
            to: to.parse().expect("an address"),
            transport: Transport::Udp,
            at: Duration::new(0x5575_6f13, 979_000),
            correlation: "call_1",
            message: b"BYE",
        }
    }

    #[test]
    fn a_packet_is_written_byte_by_byte_as_the_specification_has_it() {
        let agent = Agent {
            id: 2001,
            node: "a".to_owned(),
            password: Some("pw".to_owned()),
        };
        let packet = encode(&agent, &captured("192.168.100.1:5060", "192.168.1.23:5080")).expect("fits");
        let expected: &[&[u8]] = &[
            b"HEP3\x00\x81",
            b"\x00\x00\x00\x01\x00\x07\x02",
            b"\x00\x00\x00\x02\x00\x07\x11",
            b"\x00\x00\x00\x03\x00\x0a\xc0\xa8\x64\x01",
            b"\x00\x00\x00\x04\x00\x0a\xc0\xa8\x01\x17",
            b"\x00\x00\x00\x07\x00\x08\x13\xc4",
            b"\x00\x00\x00\x08\x00\x08\x13\xd8",
            b"\x00\x00\x00\x09\x00\x0a\x55\x75\x6f\x13",
            b"\x00\x00\x00\x0a\x00\x0a\x00\x00\x03\xd3",
            b"\x00\x00\x00\x0b\x00\x07\x01",
            b"\x00\x00\x00\x0c\x00\x0a\x00\x00\x07\xd1",
            b"\x00\x00\x00\x0e\x00\x08pw",
            b"\x00\x00\x00\x11\x00\x0ccall_1",
            b"\x00\x00\x00\x13\x00\x07a",
            b"\x00\x00\x00\x0f\x00\x09BYE",
        ];
        let expected = expected.concat();
        assert_eq!(packet, expected, "{packet:02x?}");
        assert_eq!(usize::from(u16::from_be_bytes([packet[4], packet[5]])), packet.len());
    }

    #[test]
    fn both_families_and_what_is_too_long() {
        let agent = Agent {
            id: 1,
            node: "a".to_owned(),
            password: None,
        };
        let mut six = captured("[2001:db8::1]:5060", "[2001:db8::2]:5060");
        six.transport = Transport::Tcp;
        let packet = encode(&agent, &six).expect("fits");
        assert_eq!(
            packet[6..20],
            *b"\x00\x00\x00\x01\x00\x07\x0a\x00\x00\x00\x02\x00\x07\x06"
        );
        assert_eq!(packet[20..26], *b"\x00\x00\x00\x05\x00\x16");
        assert!(
            !packet.windows(6).any(|chunk| chunk.starts_with(b"\x00\x00\x00\x0e")),
            "no key"
        );
        let long = vec![b'x'; 65_535];
        assert_eq!(encode(&agent, &Captured { message: &long, ..six }), None);
    }
}
