use proptest::prelude::*;

use super::*;

fn packet(first: u8, rest: &[u8]) -> Vec<u8> {
    let mut bytes = vec![first, 0x80 | 8, 0x12, 0x34, 0, 0, 0, 160, 0xca, 0xfe, 0, 1];
    bytes.extend_from_slice(rest);
    bytes
}

#[test]
fn demultiplexes_by_first_byte_and_payload_type() {
    // RFC 7983 §7: STUN 0 to 3, ZRTP 16 to 19, DTLS 20 to 63, TURN channels 64 to 79.
    for first in (0..128).chain(192..=255) {
        assert_eq!(demux(&[first, 200, 0, 0]), Kind::Other, "{first}");
    }
    for first in 128..192 {
        for second in 0..=255 {
            let rtcp = (192..=223).contains(&second);
            assert_eq!(demux(&[first, second]), if rtcp { Kind::Rtcp } else { Kind::Rtp });
        }
    }
    assert_eq!(demux(&[]), Kind::Other);
    assert_eq!(demux(&[128]), Kind::Other);
}

#[test]
fn reads_sources_extension_and_padding() {
    // Two contributing sources, an extension of one word, three bytes of payload, two of padding.
    let rest = [1, 1, 1, 1, 2, 2, 2, 2, 0xbe, 0xde, 0, 1, 9, 9, 9, 9, 7, 8, 9, 0, 2];
    let mut bytes = packet(0x80 | 0x20 | 0x10 | 2, &rest);
    let view = Packet::parse(&mut bytes).unwrap();
    assert_eq!(view.payload(), [7, 8, 9]);
    assert_eq!(view.payload_range(), 28..31);
    assert_eq!(
        view.header(),
        Header {
            marker: true,
            payload_type: 8,
            sequence: Seq(0x1234),
            timestamp: 160,
            ssrc: 0xcafe_0001
        }
    );
}

#[test]
fn strip_leaves_header_and_payload() {
    let rest = [1, 1, 1, 1, 0xbe, 0xde, 0, 1, 9, 9, 9, 9, 7, 8, 9, 0, 2];
    let mut bytes = packet(0x80 | 0x20 | 0x10 | 1, &rest);
    let mut view = Packet::parse(&mut bytes).unwrap();
    assert!(!view.is_plain());
    let length = view.strip();
    assert_eq!(view.payload(), [7, 8, 9]);
    assert_eq!(bytes[..length], packet(0x80, &[7, 8, 9]));
}

#[test]
fn refuses_what_does_not_fit() {
    let cases: [(&str, Vec<u8>); 8] = [
        ("empty", vec![]),
        ("a byte short", packet(0x80, &[])[..11].to_vec()),
        ("version 1", packet(0x40, &[1, 2, 3, 4])),
        ("sources past the end", packet(0x82, &[1, 2, 3, 4, 5, 6, 7])),
        ("extension head past the end", packet(0x90, &[0, 0, 0])),
        ("extension past the end", packet(0x90, &[0, 0, 0, 2, 1, 1, 1, 1])),
        ("padding of 0", packet(0xa0, &[1, 2, 0])),
        ("padding longer than the payload", packet(0xb0, &[0, 0, 0, 0, 1, 3])),
    ];
    for (name, mut bytes) in cases {
        assert_eq!(Packet::parse(&mut bytes).err(), Some(Malformed), "{name}");
    }
}

#[test]
fn writes_every_field_in_its_place() {
    let mut bytes = packet(0x80, &[1, 2]);
    let mut view = Packet::parse(&mut bytes).unwrap();
    view.set_marker(false);
    view.set_payload_type(0xff);
    view.set_sequence(Seq(0xabcd));
    view.set_timestamp(0x0102_0304);
    view.set_ssrc(0x0506_0708);
    view.payload_mut()[0] = 0xee;
    assert_eq!(bytes, [0x80, 127, 0xab, 0xcd, 1, 2, 3, 4, 5, 6, 7, 8, 0xee, 2]);
}

#[test]
fn sequence_numbers_compare_across_the_wrap() {
    assert_eq!(Seq(2).distance_from(Seq(0xfffe)), 4);
    assert_eq!(Seq(0xfffe).distance_from(Seq(2)), -4);
    assert!(Seq(0).is_after(Seq(0xffff)));
    assert!(!Seq(7).is_after(Seq(7)));
    assert_eq!(Seq(0xffff).next(), Seq(0));
    assert_eq!(timestamp_distance(100, u32::MAX - 59), 160);
    assert_eq!(timestamp_distance(u32::MAX - 59, 100), -160);
}

#[test]
fn follows_a_source_over_two_wraps() {
    let mut sequence = Sequence::new();
    assert_eq!(sequence.highest(), None);
    assert_eq!(sequence.receive(Seq(65_000)), Arrival::First);
    let mut seq = Seq(65_000);
    for _ in 0..131_072 {
        seq = seq.next();
        assert_eq!(sequence.receive(seq), Arrival::Ahead { missing: 0 });
    }
    assert_eq!(sequence.highest().unwrap() - sequence.base().unwrap(), 131_072);
}

#[test]
fn tells_late_from_doubled() {
    let mut sequence = Sequence::new();
    sequence.receive(Seq(65_534));
    assert_eq!(sequence.receive(Seq(1)), Arrival::Ahead { missing: 2 });
    assert_eq!(sequence.receive(Seq(65_535)), Arrival::Late);
    assert_eq!(sequence.receive(Seq(65_535)), Arrival::Duplicate);
    assert_eq!(sequence.receive(Seq(1)), Arrival::Duplicate);
    assert_eq!(sequence.receive(Seq(65_534)), Arrival::Duplicate);
    assert_eq!(sequence.receive(Seq(0)), Arrival::Late);
    // Before the first packet, and further back than is remembered bit by bit.
    assert_eq!(sequence.receive(Seq(65_500)), Arrival::Late);
    assert_eq!(sequence.receive(Seq(200)), Arrival::Ahead { missing: 198 });
    assert_eq!(sequence.receive(Seq(136)), Arrival::Late);
}

#[test]
fn one_wild_packet_is_ignored_and_two_are_a_restart() {
    let mut sequence = Sequence::new();
    sequence.receive(Seq(1000));
    assert_eq!(sequence.receive(Seq(30_000)), Arrival::Wild);
    assert_eq!(sequence.receive(Seq(1001)), Arrival::Ahead { missing: 0 });
    // A good packet between them has made the first wild one forgotten.
    assert_eq!(sequence.receive(Seq(30_001)), Arrival::Wild);
    assert_eq!(sequence.receive(Seq(30_002)), Arrival::Restart);
    assert_eq!(sequence.receive(Seq(30_003)), Arrival::Ahead { missing: 0 });
    assert_eq!(sequence.highest().unwrap() - sequence.base().unwrap(), 1);
}

#[test]
fn extends_to_the_nearest_number() {
    let mut sequence = Sequence::new();
    assert_eq!(sequence.extend(Seq(1)), None);
    sequence.receive(Seq(65_530));
    sequence.receive(Seq(3));
    let highest = sequence.highest().unwrap();
    assert_eq!(sequence.extend(Seq(3)), Some(highest));
    assert_eq!(sequence.extend(Seq(65_535)), Some(highest - 4));
    assert_eq!(sequence.extend(Seq(10)), Some(highest + 7));
}

proptest! {
    #[test]
    fn never_panics_and_stays_inside(mut bytes in proptest::collection::vec(any::<u8>(), 0..80), first in 0x80u8..0xc0) {
        if let Some(byte) = bytes.first_mut() {
            *byte = first;
        }
        let length = bytes.len();
        demux(&bytes);
        if let Ok(mut view) = Packet::parse(&mut bytes) {
            let payload = view.payload().to_vec();
            prop_assert!(view.payload_range().end <= length);
            let header = view.header();
            let stripped = view.strip();
            prop_assert_eq!(view.payload(), &payload[..]);
            prop_assert_eq!(view.header(), header);
            // What is left is a whole packet of its own.
            let again = Packet::parse(&mut bytes[..stripped]).unwrap();
            prop_assert_eq!(again.payload(), &payload[..]);
            prop_assert_eq!(again.header(), header);
        }
    }

    #[test]
    fn reads_what_it_writes(
        marker: bool, payload_type in 0u8..128, sequence: u16, timestamp: u32, ssrc: u32,
        payload in proptest::collection::vec(any::<u8>(), 0..200),
    ) {
        let header = Header { marker, payload_type, sequence: Seq(sequence), timestamp, ssrc };
        let mut bytes = vec![0xff; HEADER + payload.len()];
        header.write(&mut bytes).unwrap().copy_from_slice(&payload);
        let view = Packet::parse(&mut bytes).unwrap();
        prop_assert_eq!(view.header(), header);
        prop_assert_eq!(view.payload(), &payload[..]);
        prop_assert!(header.write(&mut bytes[..HEADER - 1]).is_none());
    }

    #[test]
    fn any_run_of_numbers_is_followed(numbers in proptest::collection::vec(any::<u16>(), 0..200)) {
        let mut sequence = Sequence::new();
        for number in numbers {
            sequence.receive(Seq(number));
            prop_assert!(sequence.highest() >= sequence.base());
        }
    }
}
