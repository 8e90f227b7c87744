//! Views of RTP and RTCP packets.

use std::time::{Duration, Instant};

use media::dtmf::Event;
use media::rtcp::{Compound, Ntp, Packet as Report, Reception};
use media::rtp::{Kind, Packet, Seq, Sequence, demux};

pub(crate) fn target(data: &[u8]) {
    let kind = demux(data);
    let mut buffer = data.to_vec();
    if let Ok(mut packet) = Packet::parse(&mut buffer) {
        assert!(kind != Kind::Rtcp || data.get(1).is_some_and(|c| (192..=223).contains(c)));
        let header = packet.header();
        let range = packet.payload_range();
        assert!(range.start >= 12 && range.end <= data.len());
        assert_eq!(packet.payload(), &data[range]);
        if let Some(event) = Event::parse(packet.payload()) {
            assert_eq!(Event::parse(&event.write()), Some(event));
            _ = event.digit();
        }
        let payload = packet.payload().to_vec();
        packet.set_marker(!header.marker);
        packet.set_payload_type(header.payload_type ^ 0x7f);
        packet.set_sequence(header.sequence.plus(1));
        packet.set_timestamp(!header.timestamp);
        packet.set_ssrc(!header.ssrc);
        let (marker, sequence) = (packet.marker(), packet.sequence());
        assert_eq!((marker, sequence), (!header.marker, header.sequence.next()));
        assert_eq!(packet.payload_type(), header.payload_type ^ 0x7f);
        assert_eq!((packet.timestamp(), packet.ssrc()), (!header.timestamp, !header.ssrc));
        assert_eq!(packet.payload(), payload, "header fields are not payload");
        let length = packet.strip();
        let mut plain = buffer[..length].to_vec();
        let again = Packet::parse(&mut plain).expect("a stripped packet");
        assert!(again.is_plain());
        assert_eq!(again.payload(), payload);
    }
    if let Ok(compound) = Compound::parse(data) {
        let now = *START;
        let mut reception = Reception::new(8000);
        let mut packets = 0;
        for report in compound.packets() {
            packets += 1;
            match report {
                Report::SenderReport { info, blocks, .. } => {
                    reception.sender_report(now, &info);
                    for block in blocks.iter() {
                        _ = (block.round_trip(Ntp(1 << 40)), blocks.about(block.ssrc));
                    }
                }
                Report::ReceiverReport { blocks, .. } => assert!(blocks.iter().count() <= 31),
                Report::Bye { sources } => assert!(sources.iter().count() <= 31),
                other => _ = format!("{other:?}"),
            }
        }
        assert!(packets * 4 <= data.len());
        _ = reception.report(now + Duration::from_millis(1), 1);
    }
    // Every two bytes a sequence number, every one after that a step of time.
    let mut sequence = Sequence::new();
    let mut reception = Reception::new(8000);
    let mut at = *START;
    for number in data.chunks_exact(2).take(64) {
        let seq = Seq(u16::from_be_bytes([number[0], number[1]]));
        sequence.receive(seq);
        at += Duration::from_millis(u64::from(number[1]));
        reception.receive(
            at,
            seq,
            u32::from_be_bytes([number[0], number[1], number[1], number[0]]),
        );
    }
    assert!(sequence.highest() >= sequence.base());
    if let Some(block) = reception.report(at, 1) {
        assert_eq!(block.ssrc, 1);
    }
    _ = (
        reception.lost(),
        reception.expected(),
        reception.received(),
        reception.jitter(),
    );
}

/// Only differences count.
pub(crate) static START: std::sync::LazyLock<Instant> = std::sync::LazyLock::new(Instant::now);
