//! Descriptions in the manner of what is in the field: written for these tests, in the shapes that each product sends.

use super::*;

/// Who, its offer, and (send payload type, encoding, events, RTP, RTCP).
type Row = (
    &'static str,
    &'static str,
    (u8, Encoding, Option<u8>, &'static str, &'static str),
);

const ROWS: [Row; 9] = [
    (
        "Asterisk",
        "v=0\r\no=- 1497322 3 IN IP4 198.51.100.20\r\ns=Asterisk\r\nc=IN IP4 198.51.100.20\r\nt=0 0\r\n\
         m=audio 18320 RTP/AVP 8 0 9 101\r\na=rtpmap:8 PCMA/8000\r\na=rtpmap:0 PCMU/8000\r\na=rtpmap:9 G722/8000\r\n\
         a=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-16\r\na=ptime:20\r\na=maxptime:140\r\na=sendrecv\r\n",
        (
            8,
            Encoding::Pcma,
            Some(101),
            "198.51.100.20:18320",
            "198.51.100.20:18321",
        ),
    ),
    (
        "FreeSWITCH",
        "v=0\r\no=FreeSWITCH 1700000001 1700000002 IN IP4 198.51.100.21\r\ns=FreeSWITCH\r\n\
         c=IN IP4 198.51.100.21\r\nt=0 0\r\nm=audio 24566 RTP/AVP 102 9 8 103 101\r\n\
         a=rtpmap:102 opus/48000/2\r\na=fmtp:102 useinbandfec=1; maxaveragebitrate=30000; ptime=20\r\n\
         a=rtpmap:9 G722/8000\r\na=rtpmap:8 PCMA/8000\r\na=rtpmap:103 telephone-event/48000\r\na=fmtp:103 0-15\r\n\
         a=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-15\r\na=rtcp-mux\r\na=rtcp:24566 IN IP4 198.51.100.21\r\n\
         a=ptime:20\r\n",
        (
            8,
            Encoding::Pcma,
            Some(101),
            "198.51.100.21:24566",
            "198.51.100.21:24566",
        ),
    ),
    (
        "Cisco: no rtpmap for a static type, its own c= line, no line end behind the last line",
        "v=0\r\no=CiscoSystemsSIP-GW-UserAgent 4521 901 IN IP4 198.51.100.22\r\ns=SIP Call\r\nt=0 0\r\n\
         m=audio 17142 RTP/AVP 0 18 19 101\r\nc=IN IP4 198.51.100.23\r\na=rtpmap:18 G729/8000\r\na=fmtp:18 annexb=no\r\n\
         a=rtpmap:19 CN/8000\r\na=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-15",
        (
            0,
            Encoding::Pcmu,
            Some(101),
            "198.51.100.23:17142",
            "198.51.100.23:17143",
        ),
    ),
    (
        "Twilio",
        "v=0\r\no=root 1583921 1583921 IN IP4 203.0.113.60\r\ns=Media Gateway\r\nc=IN IP4 203.0.113.60\r\nt=0 0\r\n\
         m=audio 12904 RTP/AVP 0 8 101\r\na=maxptime:150\r\na=rtpmap:0 PCMU/8000\r\na=rtpmap:8 PCMA/8000\r\n\
         a=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-16\r\na=sendrecv\r\na=rtcp:12905\r\na=ptime:20\r\n",
        (0, Encoding::Pcmu, Some(101), "203.0.113.60:12904", "203.0.113.60:12905"),
    ),
    (
        "LiveKit",
        "v=0\r\no=- 8241173320 8241173322 IN IP4 203.0.113.61\r\ns=LiveKit\r\nc=IN IP4 203.0.113.61\r\nt=0 0\r\n\
         m=audio 11230 RTP/AVP 9 0 8 101\r\na=rtpmap:9 G722/8000\r\na=rtpmap:0 PCMU/8000\r\na=rtpmap:8 PCMA/8000\r\n\
         a=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-16\r\na=ptime:20\r\na=sendrecv\r\n",
        (0, Encoding::Pcmu, Some(101), "203.0.113.61:11230", "203.0.113.61:11231"),
    ),
    (
        "WebRTC-like on plain AVPF: BUNDLE, candidates, source attributes, events at two clocks",
        "v=0\r\no=mozilla...THIS_IS_SDPARTA 7 0 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\na=group:BUNDLE 0\r\n\
         a=msid-semantic:WMS *\r\nm=audio 43210 RTP/AVPF 109 0 8 101 110\r\nc=IN IP4 203.0.113.62\r\na=mid:0\r\n\
         a=rtpmap:109 opus/48000/2\r\na=rtpmap:0 PCMU/8000\r\na=rtpmap:8 PCMA/8000\r\n\
         a=rtpmap:101 telephone-event/48000\r\na=rtpmap:110 telephone-event/8000\r\n\
         a=candidate:0 1 UDP 2122252543 203.0.113.62 43210 typ host\r\na=ssrc:1 cname:{a-b}\r\na=extmap:1 urn:x\r\n\
         a=rtcp-fb:109 nack\r\na=rtcp-mux\r\na=sendrecv\r\n",
        (0, Encoding::Pcmu, Some(110), "203.0.113.62:43210", "203.0.113.62:43210"),
    ),
    (
        "video phone: bandwidth lines, audio behind video",
        "v=0\r\no=- 2 2 IN IP4 203.0.113.63\r\ns=Polycom\r\nc=IN IP4 203.0.113.63\r\nb=AS:1920\r\nt=0 0\r\n\
         m=video 2226 RTP/AVP 109\r\nb=TIAS:512000\r\na=rtpmap:109 H264/90000\r\na=fmtp:109 profile-level-id=42800d\r\n\
         m=audio 2222 RTP/AVP 8 127\r\nb=TIAS:64000\r\na=rtpmap:127 telephone-event/8000\r\n",
        (8, Encoding::Pcma, Some(127), "203.0.113.63:2222", "203.0.113.63:2223"),
    ),
    (
        "LF only, unknown lines, odd spaces, a name that is not ASCII",
        "v=0\no=J\u{fc}rgen 1 1 IN IP4 203.0.113.64\ns=Gespr\u{e4}ch\nc=IN IP4 203.0.113.64\nt=0 0\n\
         m=audio 4000 RTP/AVP 0  101\na=rtpmap:101 Telephone-Event/8000\na=X-nat:0\n",
        (0, Encoding::Pcmu, Some(101), "203.0.113.64:4000", "203.0.113.64:4001"),
    ),
    (
        "IPv6",
        "v=0\r\no=- 2 2 IN IP6 2001:db8::40\r\ns= \r\nc=IN IP6 2001:db8::40\r\nt=0 0\r\nm=audio 6000 RTP/AVP 0\r\n",
        (0, Encoding::Pcmu, None, "[2001:db8::40]:6000", "[2001:db8::40]:6001"),
    ),
];

#[test]
fn offers_of_the_field_are_answered() {
    for (who, offer, (payload, encoding, events, rtp, rtcp)) in ROWS {
        let mut local = both();
        let (answer, agreed) = local
            .answer(offer.as_bytes())
            .unwrap_or_else(|error| panic!("{who}: {error:?}"));
        assert_eq!((agreed.send, agreed.encoding), (payload, encoding), "{who}");
        assert_eq!(
            agreed.events,
            events.and_then(|events| at_8000(events, events)),
            "{who}"
        );
        assert_eq!(agreed.remote, Some(rtp.parse().unwrap()), "{who}");
        assert_eq!(agreed.remote_rtcp, Some(rtcp.parse().unwrap()), "{who}");
        assert_eq!(agreed.direction, Direction::SendRecv, "{who}");
        let streams = |text: &str| text.lines().filter(|line| line.starts_with("m=")).count();
        assert_eq!(streams(&answer), streams(offer), "{who}");
        // Another reader sees in our answer what we meant.
        let read = Session::parse(answer.as_bytes()).unwrap();
        let audio = read.medias.iter().find(|media| media.port != 0).unwrap();
        assert_eq!((audio.media.as_str(), audio.port), ("audio", 40000), "{who}");
        assert!(audio.fmt.starts_with(&payload.to_string()), "{who}");
    }
}

/// Who, what its audio says, and (send payload type, encoding, events and their clock, packet time) where all is spoken.
type Wide = (&'static str, &'static str, (u8, Encoding, Option<(u8, u32)>, u8));

const WIDE: [Wide; 9] = [
    (
        "Asterisk with Opus, and digits at 8000 alone",
        "m=audio 17030 RTP/AVP 107 0 8 101\r\na=rtpmap:107 opus/48000/2\r\na=fmtp:107 useinbandfec=1\r\n\
         a=rtpmap:0 PCMU/8000\r\na=rtpmap:8 PCMA/8000\r\na=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-16\r\n\
         a=ptime:20\r\na=maxptime:60\r\na=sendrecv\r\n",
        (107, Encoding::Opus, Some((101, 8_000)), 20),
    ),
    (
        "FreeSWITCH that calls out, HD first",
        "m=audio 27014 RTP/AVP 102 9 0 8 103 101\r\na=rtpmap:102 opus/48000/2\r\n\
         a=fmtp:102 useinbandfec=1; maxaveragebitrate=30000; maxplaybackrate=48000; ptime=20; minptime=10; maxptime=40\r\n\
         a=rtpmap:9 G722/8000\r\na=rtpmap:103 telephone-event/48000\r\na=fmtp:103 0-16\r\n\
         a=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-16\r\na=ptime:20\r\n",
        (102, Encoding::Opus, Some((103, 48_000)), 20),
    ),
    (
        "desk phone, HD first, 30 ms",
        "m=audio 11800 RTP/AVP 9 8 0 18 101\r\na=rtpmap:9 G722/8000\r\na=rtpmap:8 PCMA/8000\r\na=rtpmap:0 PCMU/8000\r\n\
         a=rtpmap:18 G729/8000\r\na=fmtp:18 annexb=no\r\na=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-15\r\n\
         a=ptime:30\r\na=sendrecv\r\n",
        (9, Encoding::G722, Some((101, 8_000)), 30),
    ),
    (
        "desk phone that names no static type, and digits first",
        "m=audio 2238 RTP/AVP 101 9 0\r\na=rtpmap:101 telephone-event/8000\r\n",
        (9, Encoding::G722, Some((101, 8_000)), 20),
    ),
    (
        "WebRTC gateway: red, ISAC and comfort noise of other clocks around it",
        "m=audio 60020 RTP/AVPF 111 63 103 104 9 0 8 106 105 13 110 112 113 126\r\na=rtpmap:111 opus/48000/2\r\n\
         a=rtcp-fb:111 transport-cc\r\na=fmtp:111 minptime=10;useinbandfec=1\r\na=rtpmap:63 red/48000/2\r\n\
         a=fmtp:63 111/111\r\na=rtpmap:103 ISAC/16000\r\na=rtpmap:104 ISAC/32000\r\na=rtpmap:9 G722/8000\r\n\
         a=rtpmap:0 PCMU/8000\r\na=rtpmap:8 PCMA/8000\r\na=rtpmap:106 CN/32000\r\na=rtpmap:105 CN/16000\r\n\
         a=rtpmap:13 CN/8000\r\na=rtpmap:110 telephone-event/48000\r\na=rtpmap:112 telephone-event/32000\r\n\
         a=rtpmap:113 telephone-event/16000\r\na=rtpmap:126 telephone-event/8000\r\na=rtcp-mux\r\na=maxptime:60\r\n",
        (111, Encoding::Opus, Some((110, 48_000)), 20),
    ),
    (
        "voice AI: linear PCM",
        "m=audio 30000 RTP/AVP 97 101\r\na=rtpmap:97 L16/16000/1\r\na=rtpmap:101 telephone-event/16000\r\na=ptime:20\r\n",
        (97, Encoding::L16Wide, Some((101, 16_000)), 20),
    ),
    (
        "mobile gateway: AMR first, G.711 behind, two packet times",
        "m=audio 50010 RTP/AVP 96 98 8 0 101 102\r\na=rtpmap:96 AMR-WB/16000/1\r\na=fmtp:96 mode-change-capability=2;octet-align=1\r\n\
         a=rtpmap:98 AMR/8000/1\r\na=rtpmap:101 telephone-event/16000\r\na=rtpmap:102 telephone-event/8000\r\n\
         a=ptime:20\r\na=maxptime:240\r\na=ptime:40\r\n",
        (8, Encoding::Pcma, Some((102, 8_000)), 20),
    ),
    (
        "broken lines: rtpmap without a number, twice, of a number that is not there; fmtp without a value",
        "m=audio 4000 RTP/AVP 96 x 300 97 -1\r\na=rtpmap\r\na=rtpmap:opus/48000/2\r\na=rtpmap:96 opus/48000/2\r\n\
         a=rtpmap:96 PCMU/8000\r\na=rtpmap:111 L16/8000\r\na=fmtp:96\r\na=fmtp\r\na=ptime\r\na=maxptime:\r\n",
        (96, Encoding::Opus, None, 20),
    ),
    (
        "RFC 7587 §7.1, with slow packets",
        "m=audio 54312 RTP/AVP 101\r\na=rtpmap:101 opus/48000/2\r\n\
         a=fmtp:101 maxplaybackrate=16000; sprop-maxcapturerate=16000; maxaveragebitrate=20000; stereo=1; useinbandfec=1; usedtx=0\r\n\
         a=ptime:60\r\na=maxptime:60\r\n",
        (101, Encoding::Opus, None, 60),
    ),
];

#[test]
fn wide_offers_of_the_field_are_answered_and_such_answers_are_taken() {
    for (who, audio, (payload, encoding, events, ptime_ms)) in WIDE {
        let text = format!("v=0\r\no=- 1 1 IN IP4 198.51.100.9\r\ns=-\r\nc=IN IP4 198.51.100.9\r\nt=0 0\r\n{audio}");
        let mut local = Local::new("192.0.2.1".parse().unwrap(), 40000, &Encoding::ALL, 7);
        let offer = local.offer();
        let accepted = local.accept(text.as_bytes()).unwrap();
        assert_eq!((accepted.send, accepted.encoding), (payload, encoding), "{who}");
        let ours = format!("a=rtpmap:{} {}\r\n", accepted.receive, encoding.rtpmap());
        assert!(offer.contains(&ours), "{who}: {ours}");

        let mut local = Local::new("192.0.2.1".parse().unwrap(), 40000, &Encoding::ALL, 7);
        let (answer, agreed) = local.answer(text.as_bytes()).unwrap();
        assert_eq!((agreed.send, agreed.receive), (payload, payload), "{who}");
        assert_eq!((agreed.encoding, agreed.ptime_ms), (encoding, ptime_ms), "{who}");
        let theirs = agreed.events.map(|events| (events.send, events.clock_hz));
        assert_eq!(theirs, events, "{who}");
        assert_eq!(agreed.opus, accepted.opus, "{who}");
        // The answer has the codec, what belongs to it, and nothing else.
        let numbers: Vec<_> = [
            Some(payload),
            agreed.comfort_noise.then_some(13),
            events.map(|(number, _)| number),
        ]
        .into_iter()
        .flatten()
        .map(|number| number.to_string())
        .collect();
        let read = Session::parse(answer.as_bytes()).unwrap();
        assert_eq!(read.medias[0].fmt, numbers.join(" "), "{who}");
    }
}

proptest::proptest! {
    #[test]
    fn garbage_never_panics(row in 0..ROWS.len() + WIDE.len(), cuts in proptest::collection::vec((0usize..900, 0u8..=255), 0..12)) {
        let mut bytes = match ROWS.get(row) {
            Some(row) => row.1.as_bytes().to_vec(),
            None => offer(WIDE[row - ROWS.len()].1),
        };
        for (at, byte) in cuts {
            let at = at % bytes.len();
            bytes[at] = byte;
        }
        let all = || Local::new("192.0.2.1".parse().unwrap(), 40000, &Encoding::ALL, 7);
        if let Ok((answer, _)) = all().answer(&bytes) {
            proptest::prop_assert!(Session::parse(answer.as_bytes()).is_ok());
            proptest::prop_assert!(answer.split("\r\n").all(|line| !line.contains(['\r', '\n'])));
        }
        let _ = all().accept(&bytes);
    }
}
