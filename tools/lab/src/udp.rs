//! Ethernet, IPv4 and UDP around a packet.

use std::net::Ipv4Addr;

/// Bytes of the three headers.
pub const HEADERS: usize = 42;

/// One end of a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct End {
    /// Its address on the link.
    pub mac: [u8; 6],
    /// Its address.
    pub ip: Ipv4Addr,
}

/// Writes the headers of a packet with a payload of so many bytes, from one port to the other.
pub fn write(frame: &mut [u8], from: (End, u16), to: (End, u16), payload: usize) {
    let all = HEADERS + payload;
    frame[0..6].copy_from_slice(&to.0.mac);
    frame[6..12].copy_from_slice(&from.0.mac);
    frame[12..14].copy_from_slice(&0x0800_u16.to_be_bytes());
    let ip = &mut frame[14..34];
    // DSCP 46, as voice has (RFC 4594 §4.1).
    ip[0..2].copy_from_slice(&[0x45, 0xb8]);
    ip[2..4].copy_from_slice(&((all - 14) as u16).to_be_bytes());
    // No fragments; 64 hops; UDP; the sum comes last.
    ip[4..12].copy_from_slice(&[0, 0, 0x40, 0, 64, 17, 0, 0]);
    ip[12..16].copy_from_slice(&from.0.ip.octets());
    ip[16..20].copy_from_slice(&to.0.ip.octets());
    let sum = checksum(ip);
    ip[10..12].copy_from_slice(&sum.to_be_bytes());
    frame[34..36].copy_from_slice(&from.1.to_be_bytes());
    frame[36..38].copy_from_slice(&to.1.to_be_bytes());
    frame[38..40].copy_from_slice(&((all - 34) as u16).to_be_bytes());
    // RFC 768: none was made.
    frame[40..42].fill(0);
}

/// RFC 1071.
fn checksum(header: &[u8]) -> u16 {
    let words = header
        .chunks_exact(2)
        .map(|word| u32::from(u16::from_be_bytes([word[0], word[1]])));
    let mut sum: u32 = words.sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !(sum as u16)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_headers_add_up() {
        let end = |last| End {
            mac: [2, 0, 0, 0, 0, last],
            ip: Ipv4Addr::new(10, 0, 0, last),
        };
        let mut frame = [0xff; HEADERS + 172];
        write(&mut frame, (end(1), 20_000), (end(2), 30_000), 172);
        // The sum over a header with its own sum in it is 0.
        assert_eq!(checksum(&frame[14..34]), 0);
        assert_eq!(frame[16..18], 200_u16.to_be_bytes());
        assert_eq!(frame[34..42], [0x4e, 0x20, 0x75, 0x30, 0, 180, 0, 0]);
        assert_eq!((frame[5], frame[11], frame[29], frame[33]), (2, 1, 1, 2));
    }
}
