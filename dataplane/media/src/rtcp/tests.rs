use proptest::prelude::*;

use super::*;

const INFO: SenderInfo = SenderInfo {
    ntp: Ntp(0x0102_0304_0506_0708),
    rtp_timestamp: 160,
    packets: 2,
    octets: 320,
};

const BLOCK_OF_7: ReportBlock = ReportBlock {
    ssrc: 7,
    fraction_lost: 64,
    cumulative_lost: -3,
    highest_sequence: 0x0001_0002,
    jitter: 9,
    last_sr: 0x0304_0506,
    delay_since_last_sr: 65_536,
};

fn written(report: &Report<'_>) -> Vec<u8> {
    let mut buffer = [0xee; 1500];
    let length = report.write(&mut buffer).unwrap();
    buffer[..length].to_vec()
}

#[test]
fn the_wire_format_is_that_of_rfc_3550() {
    let report = Report {
        ssrc: 0xcafe_0001,
        sender: Some(INFO),
        blocks: &[BLOCK_OF_7],
        cname: "ab",
        bye: true,
    };
    #[rustfmt::skip]
    let expected = [
        0x81, 200, 0, 12, 0xca, 0xfe, 0, 1,
        1, 2, 3, 4, 5, 6, 7, 8, 0, 0, 0, 160, 0, 0, 0, 2, 0, 0, 1, 64,
        0, 0, 0, 7, 64, 0xff, 0xff, 0xfd, 0, 1, 0, 2, 0, 0, 0, 9, 3, 4, 5, 6, 0, 1, 0, 0,
        0x81, 202, 0, 3, 0xca, 0xfe, 0, 1, 1, 2, b'a', b'b', 0, 0, 0, 0,
        0x81, 203, 0, 1, 0xca, 0xfe, 0, 1,
    ];
    assert_eq!(written(&report), expected);
}

#[test]
fn reads_each_packet_of_a_compound() {
    let bytes = written(&Report {
        ssrc: 1,
        sender: Some(INFO),
        blocks: &[BLOCK_OF_7],
        cname: "baton",
        bye: true,
    });
    let compound = Compound::parse(&bytes).unwrap();
    let mut packets = compound.packets();
    let Some(Packet::SenderReport { ssrc: 1, info, blocks }) = packets.next() else {
        panic!("no SR")
    };
    assert_eq!(info, INFO);
    assert_eq!(blocks.about(7), Some(BLOCK_OF_7));
    assert_eq!(blocks.about(8), None);
    let Some(Packet::SourceDescription { cname }) = packets.next() else {
        panic!("no SDES")
    };
    assert_eq!(cname, Some((1, &b"baton"[..])));
    let Some(Packet::Bye { sources }) = packets.next() else {
        panic!("no BYE")
    };
    assert_eq!(sources.iter().collect::<Vec<_>>(), [1]);
    assert!(packets.next().is_none());
}

#[test]
fn passes_over_types_that_it_does_not_know() {
    // RR, then an application packet (204) with padding, which only the last packet may have.
    let bytes = [
        0x80, 201, 0, 1, 0, 0, 0, 5, 0xa0, 204, 0, 3, 0, 0, 0, 5, b'n', b'a', b'm', b'e', 0, 0, 0, 4,
    ];
    let compound = Compound::parse(&bytes).unwrap();
    assert!(matches!(
        compound.packets().last(),
        Some(Packet::Other { packet_type: 204 })
    ));
}

#[test]
fn refuses_what_rfc_3550_a_2_refuses() {
    let rr = [0x80, 201, 0, 1, 0, 0, 0, 5];
    let with = |tail: &[u8]| [&rr[..], tail].concat();
    let cases: [(&str, Vec<u8>); 13] = [
        ("empty", vec![]),
        ("half a header", rr[..3].to_vec()),
        ("a source description first", vec![0x80, 202, 0, 0]),
        (
            "padding in the first packet",
            vec![0xa0, 201, 0, 2, 0, 0, 0, 5, 0, 0, 0, 4],
        ),
        ("version 1", vec![0x40, 201, 0, 1, 0, 0, 0, 5]),
        ("version 1 later", with(&[0x40, 203, 0, 0])),
        ("a length past the end", vec![0x80, 201, 0, 2, 0, 0, 0, 5]),
        ("a tail that is no packet", with(&[0x80])),
        (
            "padding that is not last",
            with(&[0xa0, 204, 0, 1, 0, 0, 0, 4, 0x80, 203, 0, 0]),
        ),
        ("padding of no multiple of four", with(&[0xa0, 204, 0, 1, 0, 0, 0, 3])),
        ("more blocks than bytes", vec![0x81, 201, 0, 1, 0, 0, 0, 5]),
        ("more goodbyes than bytes", with(&[0x82, 203, 0, 1, 0, 0, 0, 5])),
        (
            "a name past the end",
            with(&[0x81, 202, 0, 2, 0, 0, 0, 5, 1, 9, b'a', b'b']),
        ),
    ];
    for (name, bytes) in cases {
        assert_eq!(Compound::parse(&bytes).err(), Some(Malformed), "{name}");
    }
}

#[test]
fn bounds_hold() {
    let blocks = [BLOCK_OF_7; 40];
    let name = "ü".repeat(200);
    let report = Report {
        ssrc: 1,
        sender: None,
        blocks: &blocks,
        cname: &name,
        bye: false,
    };
    let bytes = written(&report);
    let compound = Compound::parse(&bytes).unwrap();
    let mut packets = compound.packets();
    let Some(Packet::ReceiverReport { blocks, .. }) = packets.next() else {
        panic!("no RR")
    };
    assert_eq!(blocks.iter().count(), BLOCKS_MAX);
    let Some(Packet::SourceDescription {
        cname: Some((1, cname)),
    }) = packets.next()
    else {
        panic!("no CNAME")
    };
    // A whole number of characters.
    assert_eq!(std::str::from_utf8(cname), Ok(&name[..254]));
    for short in 0..bytes.len() {
        assert_eq!(report.write(&mut vec![0; short]), None);
    }
}

fn after(start: Instant, ms: u64) -> Instant {
    start + Duration::from_millis(ms)
}

#[test]
fn counts_loss_by_rfc_3550_a_3() {
    let start = Instant::now();
    let mut reception = Reception::new(8000);
    assert_eq!(reception.report(start, 7), None);
    // 65,530 to 65,533, then every fourth is lost, over the wrap.
    for n in 0..40u16 {
        if n % 4 != 3 {
            reception.receive(after(start, u64::from(n) * 20), Seq(65_530).plus(n), u32::from(n) * 160);
        }
    }
    let block = reception.report(after(start, 800), 7).unwrap();
    assert_eq!((block.ssrc, block.cumulative_lost), (7, 9));
    assert_eq!((reception.expected(), reception.received()), (39, 30));
    assert_eq!(block.fraction_lost, (9 * 256 / 39) as u8);
    assert_eq!(block.highest_sequence as u16, 65_530u16.wrapping_add(38));
    assert_eq!((block.jitter, block.last_sr, block.delay_since_last_sr), (0, 0, 0));

    // The next fraction counts from here: the last one was lost, then all come, one twice.
    for n in [40, 41, 41, 42, 43] {
        reception.receive(after(start, n * 20), Seq(65_530).plus(n as u16), n as u32 * 160);
    }
    let block = reception.report(after(start, 900), 7).unwrap();
    assert_eq!((block.fraction_lost, block.cumulative_lost), (0, 9));
}

#[test]
fn doubled_packets_make_the_loss_negative_and_the_fraction_zero() {
    let start = Instant::now();
    let mut reception = Reception::new(8000);
    for n in [0, 0, 1, 1] {
        reception.receive(start, Seq(n), u32::from(n) * 160);
    }
    let block = reception.report(start, 7).unwrap();
    assert_eq!((block.fraction_lost, block.cumulative_lost), (0, -2));
}

#[test]
fn a_restart_counts_anew_and_a_wild_packet_not_at_all() {
    let start = Instant::now();
    let mut reception = Reception::new(8000);
    for (at, seq) in [100, 101, 40_000, 40_001, 40_002].into_iter().enumerate() {
        reception.receive(after(start, at as u64 * 20), Seq(seq), at as u32 * 160);
    }
    assert_eq!(
        (reception.expected(), reception.received(), reception.lost()),
        (2, 2, 0)
    );
}

#[test]
fn jitter_follows_rfc_3550_a_8() {
    let start = Instant::now();
    let mut reception = Reception::new(8000);
    // Every second packet is 10 ms late: |D| is 80 units from the second on. The estimate of §6.4.1 in floating point beside it.
    let mut expected = 0.0;
    let mut timestamp = u32::MAX - 1000;
    for n in 0..400u64 {
        reception.receive(after(start, n * 20 + n % 2 * 10), Seq(n as u16), timestamp);
        timestamp = timestamp.wrapping_add(160);
        if n > 0 {
            expected += (80.0 - expected) / 16.0;
        }
        assert!((f64::from(reception.jitter()) - expected).abs() < 1.6, "packet {n}");
    }
    assert!((79..=80).contains(&reception.jitter()));
}

#[test]
fn reports_when_the_last_sender_report_came() {
    let start = Instant::now();
    let mut reception = Reception::new(8000);
    reception.receive(start, Seq(1), 0);
    reception.sender_report(after(start, 100), &INFO);
    let block = reception.report(after(start, 1600), 7).unwrap();
    assert_eq!(block.last_sr, 0x0304_0506);
    assert_eq!(block.delay_since_last_sr, 65_536 * 3 / 2);
}

#[test]
fn round_trip_is_arrival_less_delay_less_last_report() {
    // The example of RFC 3550 §6.4.1: 6.125 s.
    let block = ReportBlock {
        last_sr: 0xb705_2000,
        delay_since_last_sr: 0x0005_4000,
        ..ReportBlock::default()
    };
    let arrived = Ntp(0xb710_8000 << 16);
    assert_eq!(block.round_trip(arrived), Some(Duration::from_millis(6125)));
    // A peer whose delay is longer than the time that passed.
    let liar = ReportBlock {
        delay_since_last_sr: 0x0fff_0000,
        ..block
    };
    assert_eq!(liar.round_trip(arrived), None);
    assert_eq!(ReportBlock::default().round_trip(arrived), None);
}

#[test]
fn ntp_counts_from_1900_in_fixed_point() {
    assert_eq!(Ntp::from_unix(Duration::ZERO), Ntp(2_208_988_800 << 32));
    let half = Ntp::from_unix(Duration::from_millis(1500));
    assert_eq!(half, Ntp((2_208_988_801 << 32) | 1 << 31));
    assert_eq!(Ntp::from_unix(Duration::ZERO).plus(Duration::from_millis(1500)), half);
    assert_eq!(half.middle(), (2_208_988_801u64 as u32) << 16 | 0x8000);
    // 2036-02-07T06:28:16Z, when the seconds wrap.
    assert_eq!(Ntp::from_unix(Duration::from_secs(2_085_978_496)), Ntp(0));
}

#[test]
fn intervals_lie_between_half_and_one_and_a_half() {
    assert_eq!(randomised(INTERVAL, 0), Duration::from_millis(2500));
    assert_eq!(randomised(INTERVAL, 1 << 31), Duration::from_secs(5));
    let longest = randomised(INTERVAL, u32::MAX);
    assert!(longest < Duration::from_millis(7500) && longest > Duration::from_millis(7499));
}

prop_compose! {
    fn block()(
        ssrc: u32, fraction_lost: u8, cumulative_lost in -0x80_0000..=0x7f_ffff, highest_sequence: u32,
        jitter: u32, last_sr: u32, delay_since_last_sr: u32,
    ) -> ReportBlock {
        ReportBlock { ssrc, fraction_lost, cumulative_lost, highest_sequence, jitter, last_sr, delay_since_last_sr }
    }
}

proptest! {
    #[test]
    fn never_panics(mut bytes in proptest::collection::vec(any::<u8>(), 0..200), types in proptest::collection::vec(200u8..205, 8)) {
        // Makes lengths and types likely enough that the insides are reached.
        let mut at = 0;
        for kind in types {
            if at + 4 > bytes.len() { break; }
            bytes[at] = 0x80 | bytes[at] & 0x03;
            bytes[at + 1] = if at == 0 { 200 + kind % 2 } else { kind };
            let words = (bytes[at + 3] % 16).min(((bytes.len() - at) / 4 - 1) as u8);
            bytes[at + 2] = 0;
            bytes[at + 3] = words;
            at += 4 + 4 * usize::from(words);
        }
        bytes.truncate(at);
        if let Ok(compound) = Compound::parse(&bytes) {
            prop_assert!(compound.packets().count() <= bytes.len() / 4);
            for packet in compound.packets() {
                if let Packet::SenderReport { blocks, .. } | Packet::ReceiverReport { blocks, .. } = packet {
                    prop_assert!(blocks.iter().count() <= BLOCKS_MAX);
                }
            }
        }
    }

    #[test]
    fn never_panics_on_noise(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        if let Ok(compound) = Compound::parse(&bytes) {
            prop_assert!(compound.packets().count() > 0);
        }
    }

    #[test]
    fn reads_what_it_writes(
        ssrc: u32, sends: bool, ntp: u64, rtp_timestamp: u32, packets: u32, octets: u32,
        blocks in proptest::collection::vec(block(), 0..32), cname in "[a-z0-9@.]{0,40}", bye: bool,
    ) {
        let info = SenderInfo { ntp: Ntp(ntp), rtp_timestamp, packets, octets };
        let bytes = written(&Report { ssrc, sender: sends.then_some(info), blocks: &blocks, cname: &cname, bye });
        prop_assert_eq!(bytes.len() % 4, 0);
        let mut read = Compound::parse(&bytes).unwrap().packets();
        let of = match read.next() {
            Some(Packet::SenderReport { ssrc: from, info: said, blocks }) => {
                prop_assert!(sends && from == ssrc && said == info);
                blocks
            }
            Some(Packet::ReceiverReport { ssrc: from, blocks }) => {
                prop_assert!(!sends && from == ssrc);
                blocks
            }
            other => return Err(TestCaseError::fail(format!("{other:?}"))),
        };
        prop_assert_eq!(of.iter().collect::<Vec<_>>(), &blocks[..blocks.len().min(BLOCKS_MAX)]);
        let Some(Packet::SourceDescription { cname: Some((from, name)) }) = read.next() else {
            return Err(TestCaseError::fail("no CNAME"));
        };
        prop_assert_eq!((from, name), (ssrc, cname.as_bytes()));
        prop_assert_eq!(matches!(read.next(), Some(Packet::Bye { .. })), bye);
    }

    #[test]
    fn any_reception_is_counted(packets in proptest::collection::vec((any::<u16>(), any::<u32>(), 0u64..10_000_000), 0..100)) {
        let start = Instant::now();
        let mut reception = Reception::new(48_000);
        for (seq, timestamp, ms) in packets {
            reception.receive(after(start, ms), Seq(seq), timestamp);
            let block = reception.report(after(start, ms), 1);
            prop_assert!(block.is_some());
        }
    }
}
