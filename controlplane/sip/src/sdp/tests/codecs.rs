//! All encodings: their lines, clocks and numbers.

use Encoding::*;
use proptest::prelude::*;

use super::*;
use crate::sdp::Opus as Parameters;

fn speaks(encodings: &[Encoding]) -> Local {
    Local::new("192.0.2.1".parse().unwrap(), 40000, encodings, 7)
}

fn all() -> Local {
    speaks(&[Pcmu, Pcma, G722, Opus, L16Wide, L16])
}

/// A description whose audio has these numbers and attributes.
fn audio(numbers: &str, attributes: &[&str]) -> String {
    let mut text = format!(
        "v=0\r\no=- 1 1 IN IP4 198.51.100.9\r\ns=-\r\nc=IN IP4 198.51.100.9\r\nt=0 0\r\nm=audio 5004 RTP/AVP {numbers}\r\n"
    );
    for attribute in attributes {
        text.push_str(&format!("a={attribute}\r\n"));
    }
    text
}

/// The lines between `m=` and `a=ptime`, which say what is spoken.
fn spoken(text: &str) -> Vec<&str> {
    let lines = text.lines().skip_while(|line| !line.starts_with("m="));
    lines.take_while(|line| !line.starts_with("a=ptime")).collect()
}

fn events(send: u8, receive: u8, clock_hz: u32) -> Option<Events> {
    Some(Events {
        send,
        receive,
        clock_hz,
    })
}

#[test]
fn a_peer_is_asked_for_no_more_than_its_listener_hears() {
    let parameters = |heard_hz| {
        let mut local = Local { heard_hz, ..all() };
        let fmtp = |text: &str| {
            text.lines()
                .find_map(|line| Some(line.strip_prefix("a=fmtp:96 ")?.to_owned()))
        };
        fmtp(&local.offer()).unwrap()
    };
    let plain = "useinbandfec=1; stereo=0; sprop-stereo=0";
    assert_eq!(parameters(None), plain);
    assert_eq!(parameters(Some(48_000)), plain);
    for hz in [8_000, 16_000] {
        assert_eq!(parameters(Some(hz)), format!("{plain}; maxplaybackrate={hz}"));
    }
    let theirs = Local::new(all().address, 41_000, &[Opus], 5).offer();
    let (answer, _) = Local {
        heard_hz: Some(8_000),
        ..all()
    }
    .answer(theirs.as_bytes())
    .unwrap();
    assert!(answer.contains("maxplaybackrate=8000"), "{answer}");
}

#[test]
fn an_offer_of_everything_has_a_number_for_each_and_digits_for_each_clock() {
    assert_eq!(
        spoken(&all().offer()),
        [
            "m=audio 40000 RTP/AVP 0 8 9 96 97 98 13 101 102 103",
            "a=rtpmap:0 PCMU/8000",
            "a=rtpmap:8 PCMA/8000",
            "a=rtpmap:9 G722/8000",
            "a=rtpmap:96 opus/48000/2",
            "a=fmtp:96 useinbandfec=1; stereo=0; sprop-stereo=0",
            "a=rtpmap:97 L16/16000",
            "a=rtpmap:98 L16/8000",
            "a=rtpmap:13 CN/8000",
            "a=rtpmap:101 telephone-event/8000",
            "a=fmtp:101 0-16",
            "a=rtpmap:102 telephone-event/48000",
            "a=fmtp:102 0-16",
            "a=rtpmap:103 telephone-event/16000",
            "a=fmtp:103 0-16",
        ]
    );
    // Comfort noise is for 8000 Hz.
    assert_eq!(
        spoken(&speaks(&[Opus]).offer()),
        [
            "m=audio 40000 RTP/AVP 96 102",
            "a=rtpmap:96 opus/48000/2",
            "a=fmtp:96 useinbandfec=1; stereo=0; sprop-stereo=0",
            "a=rtpmap:102 telephone-event/48000",
            "a=fmtp:102 0-16",
        ]
    );
}

#[test]
fn each_encoding_is_found_by_name_clock_and_channels() {
    // What the line says, and what it is.
    let rows: [(&str, Option<Encoding>); 24] = [
        ("PCMU/8000", Some(Pcmu)),
        ("pcma/8000/1", Some(Pcma)),
        ("PCMA/8000/2", None),
        ("PCMU/16000", None),
        ("G722/8000", Some(G722)),
        ("g722/8000/1", Some(G722)),
        // Wrong, and nobody could say at which clock it sends.
        ("G722/16000", None),
        ("G7221/16000", None),
        ("G722-64/8000", None),
        ("L16/8000", Some(L16)),
        ("L16/8000/1", Some(L16)),
        ("l16/16000/1", Some(L16Wide)),
        ("L16/16000", Some(L16Wide)),
        ("L16/16000/2", None),
        ("L16/44100", None),
        ("L16/44100/2", None),
        ("opus/48000/2", Some(Opus)),
        ("OPUS/48000/2", Some(Opus)),
        // RFC 7587 §7 wants 2; some forget it.
        ("opus/48000", Some(Opus)),
        ("opus/16000", None),
        ("opus/48000/2 ", Some(Opus)),
        ("opus", None),
        ("", None),
        ("/", None),
    ];
    for (map, encoding) in rows {
        let offer = audio("120 121", &[&format!("rtpmap:120 {map}"), "rtpmap:121 G729/8000"]);
        let agreed = all().answer(offer.as_bytes()).map(|(_, agreed)| agreed.encoding);
        assert_eq!(agreed, encoding.ok_or(Incompatible::NoCodec), "{map:?}");
    }
    // Static ones need no line; 10 and 11 are none of ours (RFC 3551 §6).
    for (number, encoding) in [
        ("0", Some(Pcmu)),
        ("8", Some(Pcma)),
        ("9", Some(G722)),
        ("10", None),
        ("11", None),
        ("18", None),
        ("96", None),
    ] {
        let agreed = all().answer(audio(number, &[]).as_bytes());
        assert_eq!(
            agreed.map(|(_, agreed)| agreed.encoding),
            encoding.ok_or(Incompatible::NoCodec)
        );
    }
}

#[test]
fn an_answer_in_opus_has_the_offer_s_numbers_and_says_what_we_want() {
    let offer = audio(
        "111 0 110 126",
        &[
            "rtpmap:111 opus/48000/2",
            "fmtp:111 minptime=10;useinbandfec=1",
            "rtpmap:110 telephone-event/48000",
            "rtpmap:126 telephone-event/8000",
        ],
    );
    let (answer, agreed) = all().answer(offer.as_bytes()).unwrap();
    assert_eq!(
        spoken(&answer),
        [
            "m=audio 40000 RTP/AVP 111 110",
            "a=rtpmap:111 opus/48000/2",
            "a=fmtp:111 useinbandfec=1; stereo=0; sprop-stereo=0",
            "a=rtpmap:110 telephone-event/48000",
            "a=fmtp:110 0-16",
        ]
    );
    assert_eq!((agreed.encoding, agreed.send, agreed.receive), (Opus, 111, 111));
    assert_eq!(agreed.events, events(110, 110, 48_000));
    let fec = Parameters {
        fec: true,
        ..Parameters::default()
    };
    assert_eq!(agreed.opus, Some(fec));
    assert!(!agreed.comfort_noise);
}

#[test]
fn digits_have_the_codec_s_clock_or_else_8000() {
    let eight = "rtpmap:101 telephone-event/8000";
    let rows: [(&str, &[&str], Encoding, Option<Events>); 7] = [
        (
            "96 101",
            &["rtpmap:96 opus/48000/2", eight],
            Opus,
            events(101, 101, 8_000),
        ),
        (
            "96 101 100",
            &["rtpmap:96 opus/48000/2", eight, "rtpmap:100 telephone-event/48000"],
            Opus,
            events(100, 100, 48_000),
        ),
        ("9 101", &[eight], G722, events(101, 101, 8_000)),
        (
            "97 101 99",
            &["rtpmap:97 L16/16000", eight, "rtpmap:99 telephone-event/16000"],
            L16Wide,
            events(99, 99, 16_000),
        ),
        // No clock of ours.
        ("0 101", &["rtpmap:101 telephone-event/48000"], Pcmu, None),
        ("0 101", &["rtpmap:101 telephone-event/0"], Pcmu, None),
        ("96", &["rtpmap:96 opus/48000/2"], Opus, None),
    ];
    for (numbers, attributes, encoding, wanted) in rows {
        let offer = audio(numbers, attributes);
        let (answer, agreed) = all().answer(offer.as_bytes()).unwrap();
        assert_eq!((agreed.encoding, agreed.events), (encoding, wanted), "{offer}");
        assert_eq!(answer.contains("telephone-event"), wanted.is_some(), "{answer}");
        // As the answer to our offer: what we receive has our number of that clock.
        let mut ours = all();
        ours.offer();
        let theirs = ours.accept(offer.as_bytes()).unwrap();
        let number = |clock| match clock {
            8_000 => 101,
            48_000 => 102,
            _ => 103,
        };
        let wanted = wanted.map(|events| Events {
            receive: number(events.clock_hz),
            ..events
        });
        assert_eq!(theirs.events, wanted, "{offer}");
    }
}

#[test]
fn what_a_peer_says_of_its_opus_is_read_and_garbage_is_not() {
    let plain = Parameters::default();
    let rows: [(&str, Parameters); 9] = [
        ("", plain),
        ("minptime=10;useinbandfec=1", Parameters { fec: true, ..plain }),
        (
            "maxplaybackrate=16000; sprop-maxcapturerate=16000; maxaveragebitrate=20000; stereo=1; useinbandfec=1; usedtx=0",
            Parameters {
                fec: true,
                stereo: true,
                bitrate_max: Some(20_000),
                playback_hz_max: 16_000,
                ..plain
            },
        ),
        (
            " UseDTX = 1 ;cbr=1;;",
            Parameters {
                dtx: true,
                cbr: true,
                ..plain
            },
        ),
        // Out of range is as if left out, or the next that there is.
        ("maxaveragebitrate=5999;maxplaybackrate=7999", plain),
        ("maxaveragebitrate=510001;maxplaybackrate=96000", plain),
        ("maxaveragebitrate=-1;maxplaybackrate=99999999999999999999", plain),
        ("useinbandfec=yes;stereo=2;cbr=;=1;usedtx", plain),
        ("0-15 \u{fffd}=;;;===", plain),
    ];
    for (parameters, wanted) in rows {
        let fmtp = format!("fmtp:96 {parameters}");
        let offer = audio("96", &["rtpmap:96 opus/48000/2", "fmtp:97 cbr=1", &fmtp]);
        let (_, agreed) = all().answer(offer.as_bytes()).unwrap();
        assert_eq!(agreed.opus, Some(wanted), "{parameters}");
        let mut ours = all();
        ours.offer();
        assert_eq!(
            ours.accept(offer.as_bytes()).unwrap().opus,
            Some(wanted),
            "{parameters}"
        );
    }
    // Nor is it said of anything else.
    let (_, agreed) = all().answer(audio("0", &["fmtp:0 cbr=1"]).as_bytes()).unwrap();
    assert_eq!(agreed.opus, None);
}

#[test]
fn packet_times_are_10_to_60_and_no_more_than_the_peer_s_most() {
    for (lines, ms) in [
        (&[][..], 20),
        (&["ptime:10"], 10),
        (&["ptime:30"], 30),
        (&["ptime:40"], 40),
        (&["ptime:50"], 50),
        (&["ptime: 60 "], 60),
        (&["ptime:0"], 20),
        (&["ptime:25"], 20),
        (&["ptime:70"], 20),
        (&["ptime:120"], 20),
        (&["ptime:-20"], 20),
        (&["ptime:x"], 20),
        (&["ptime:4294967316"], 20),
        (&["maxptime:150"], 20),
        (&["maxptime:10"], 10),
        (&["maxptime:19"], 10),
        (&["maxptime:0"], 10),
        (&["maxptime:x"], 20),
        (&["ptime:60", "maxptime:40"], 40),
        (&["maxptime:35", "ptime:60"], 30),
        (&["ptime:10", "maxptime:60"], 10),
    ] {
        let (answer, agreed) = all().answer(audio("0", lines).as_bytes()).unwrap();
        assert_eq!(agreed.ptime_ms, ms, "{lines:?}");
        assert!(answer.contains(&format!("a=ptime:{ms}\r\n")), "{answer}");
        assert_eq!(
            all().accept(audio("0", lines).as_bytes()).unwrap().ptime_ms,
            ms,
            "{lines:?}"
        );
    }
}

#[test]
fn the_longest_packets_that_a_peer_takes() {
    for (line, most) in [
        ("ptime:20", None),
        ("maxptime:20", Some(20)),
        ("maxptime:45", Some(40)),
        ("maxptime:0", Some(10)),
        ("maxptime:4294967295", Some(250)),
        ("maxptime:-1", None),
    ] {
        let (_, agreed) = all().answer(audio("0", &[line]).as_bytes()).unwrap();
        assert_eq!(agreed.maxptime_ms, most, "{line}");
    }
}

/// An offer of these, in this order, at numbers of its own.
fn offer_of(encodings: &[Encoding]) -> String {
    let number = |encoding: &Encoding| match encoding.is_static() {
        true => encoding.payload_type(),
        false => encoding.payload_type() + 20,
    };
    let numbers: Vec<_> = encodings.iter().map(|encoding| number(encoding).to_string()).collect();
    let maps: Vec<_> = encodings
        .iter()
        .map(|encoding| format!("rtpmap:{} {}", number(encoding), encoding.rtpmap()))
        .collect();
    audio(&numbers.join(" "), &maps.iter().map(String::as_str).collect::<Vec<_>>())
}

#[test]
fn an_answer_takes_the_wanted_one_then_the_first_of_whose_order_it_is() {
    use Chosen::*;
    use Order::*;
    // What we have, whose order, what is wanted, the dialog's clock; what is offered; what is taken, and why.
    type Row = (
        &'static [Encoding],
        Order,
        Option<Encoding>,
        Option<u32>,
        &'static [Encoding],
        Option<(Encoding, Chosen)>,
    );
    const OURS: &[Encoding] = &[Opus, G722, Pcmu, Pcma];
    let rows: &[Row] = &[
        (OURS, Theirs, None, None, &[Pcma, Opus], Some((Pcma, TheirFirst))),
        (OURS, Theirs, None, None, &[L16, G722, Opus], Some((G722, TheirFirst))),
        (OURS, Ours, None, None, &[Pcma, Pcmu, G722], Some((G722, OurFirst))),
        (OURS, Ours, None, None, &[Pcma], Some((Pcma, OurFirst))),
        (OURS, Ours, None, None, &[L16, L16Wide], None),
        (
            OURS,
            Theirs,
            Some(Pcma),
            None,
            &[Opus, Pcmu, Pcma],
            Some((Pcma, Wanted)),
        ),
        (OURS, Theirs, Some(Pcma), None, &[Opus, Pcmu], Some((Opus, TheirFirst))),
        (OURS, Ours, Some(Pcma), None, &[Pcmu, Pcma], Some((Pcma, Wanted))),
        // Wanted, but not ours.
        (
            &[Pcmu],
            Theirs,
            Some(Pcma),
            None,
            &[Pcma, Pcmu],
            Some((Pcmu, TheirFirst)),
        ),
        // The clock goes before all.
        (
            OURS,
            Theirs,
            None,
            Some(8_000),
            &[Opus, Pcma, Pcmu],
            Some((Pcma, SameClock)),
        ),
        (
            OURS,
            Ours,
            None,
            Some(8_000),
            &[Pcma, Opus, G722],
            Some((G722, SameClock)),
        ),
        (
            OURS,
            Theirs,
            Some(Opus),
            Some(8_000),
            &[Opus, Pcmu],
            Some((Pcmu, SameClock)),
        ),
        (
            OURS,
            Theirs,
            Some(Pcma),
            Some(8_000),
            &[Pcmu, Pcma],
            Some((Pcma, Wanted)),
        ),
        (
            OURS,
            Theirs,
            None,
            Some(48_000),
            &[Opus, Pcma],
            Some((Opus, TheirFirst)),
        ),
        (OURS, Theirs, None, Some(48_000), &[Pcma, Opus], Some((Opus, SameClock))),
        // The peer changes it.
        (
            OURS,
            Theirs,
            None,
            Some(48_000),
            &[Pcma, Pcmu],
            Some((Pcma, TheirFirst)),
        ),
        (OURS, Ours, None, Some(8_000), &[Opus], Some((Opus, OurFirst))),
    ];
    for (ours, order, wanted, clock, offered, taken) in rows {
        let mut local = Local {
            order: *order,
            wanted: *wanted,
            clock_hz: *clock,
            ..speaks(ours)
        };
        let got = local.answer(offer_of(offered).as_bytes());
        let got = got.map(|(_, agreed)| (agreed.encoding, agreed.chosen));
        assert_eq!(
            got,
            taken.ok_or(Incompatible::NoCodec),
            "{ours:?} {order:?} {wanted:?} {clock:?} {offered:?}"
        );
    }
}

#[test]
fn a_dialog_keeps_its_clock_where_the_peer_lets_it() {
    let mut local = speaks(&[Pcmu, Pcma, G722, Opus]);
    local.answer(offer_of(&[Opus, Pcmu]).as_bytes()).unwrap();
    // What we offer next begins with it, at the number that it has.
    let offer = local.offer();
    assert!(
        offer.contains("m=audio 40000 RTP/AVP 116 0 8 9 13 102 101\r\n"),
        "{offer}"
    );
    let (_, agreed) = local.answer(offer_of(&[Pcma, Opus]).as_bytes()).unwrap();
    assert_eq!(agreed.encoding, Opus);
    // The peer changes it, in an answer and in an offer.
    let agreed = local.accept(offer_of(&[G722, Opus]).as_bytes()).unwrap();
    assert_eq!(agreed.encoding, G722);
    assert!(local.offer().contains("RTP/AVP 0 8 9 116 13 101 102\r\n"));
    let (_, agreed) = local.answer(offer_of(&[Opus, Pcma]).as_bytes()).unwrap();
    assert_eq!(agreed.encoding, Pcma);
    let (_, agreed) = local.answer(offer_of(&[Opus]).as_bytes()).unwrap();
    assert_eq!(agreed.encoding, Opus);
    let (_, agreed) = local.answer(offer_of(&[Pcmu, Opus]).as_bytes()).unwrap();
    assert_eq!((agreed.encoding, agreed.chosen), (Opus, Chosen::SameClock));
}

#[test]
fn a_number_that_a_peer_has_used_is_not_bound_to_something_else() {
    // 96 is something else's, 101 is Opus's; what was only offered keeps its number, too.
    let offer = audio(
        "0 96 101 102",
        &[
            "rtpmap:96 iLBC/8000",
            "rtpmap:101 opus/48000/2",
            "rtpmap:102 telephone-event/8000",
        ],
    );
    let mut local = all();
    local.answer(offer.as_bytes()).unwrap();
    let text = local.offer();
    assert_eq!(spoken(&text)[0], "m=audio 40000 RTP/AVP 0 8 9 98 101 97 13 102 99 103");
    for line in [
        "98 L16/8000",
        "101 opus/48000/2",
        "102 telephone-event/8000",
        "99 telephone-event/48000",
    ] {
        assert!(text.contains(&format!("a=rtpmap:{line}\r\n")), "{text}");
    }
    // A peer that changes its mind is followed: its last word counts.
    let offer = audio("0 101", &["rtpmap:101 telephone-event/8000"]);
    assert_eq!(
        local.answer(offer.as_bytes()).unwrap().1.events,
        events(101, 101, 8_000)
    );
    let text = local.offer();
    for line in ["101 telephone-event/8000", "100 opus/48000/2"] {
        assert!(text.contains(&format!("a=rtpmap:{line}\r\n")), "{text}");
    }
}

#[test]
fn our_numbers_stay_ours_when_the_answer_has_others() {
    let mut local = speaks(&[Opus, Pcmu]);
    assert!(local.offer().contains("RTP/AVP 96 0 13 102 101\r\n"));
    // It receives Opus as 101, and digits as 96.
    let answer = audio(
        "101 96",
        &["rtpmap:101 opus/48000/2", "rtpmap:96 telephone-event/48000"],
    );
    let agreed = local.accept(answer.as_bytes()).unwrap();
    assert_eq!((agreed.send, agreed.receive), (101, 96));
    assert_eq!(agreed.events, events(96, 102, 48_000));
    assert!(local.offer().contains("RTP/AVP 96 0 13 102 101\r\n"));
}

#[test]
fn an_answer_with_what_was_not_offered_is_refused() {
    let mut local = speaks(&[Pcmu, Opus]);
    local.offer();
    let before = local.clone();
    for encodings in [&[G722][..], &[L16], &[L16Wide, Pcma]] {
        assert_eq!(
            local.accept(offer_of(encodings).as_bytes()),
            Err(Incompatible::NoCodec),
            "{encodings:?}"
        );
        assert_eq!(local, before);
    }
}

#[test]
fn a_peer_that_takes_every_number_gets_an_offer_of_what_has_one() {
    let numbers: Vec<_> = (0..128).map(|number| number.to_string()).collect();
    let mut local = all();
    local.answer(audio(&numbers.join(" "), &[]).as_bytes()).unwrap();
    let offer = local.offer();
    assert_eq!(spoken(&offer)[0], "m=audio 40000 RTP/AVP 0 8 9 13");
    let (_, agreed) = all().answer(offer.as_bytes()).unwrap();
    assert_eq!(agreed.encoding, Pcmu);
}

fn encodings() -> impl Strategy<Value = Vec<Encoding>> {
    proptest::sample::subsequence(Encoding::ALL.to_vec(), 1..=Encoding::ALL.len()).prop_shuffle()
}

proptest! {
    /// Two of us understand each other, whatever they speak, over any number of exchanges either way.
    #[test]
    fn both_sides_agree_and_no_number_changes_its_meaning(
        ours in encodings(),
        theirs in encodings(),
        orders in proptest::collection::vec(any::<bool>(), 2),
        ways in proptest::collection::vec(any::<bool>(), 1..6),
    ) {
        let order = |theirs: bool| if theirs { Order::Theirs } else { Order::Ours };
        let mut sides = [
            Local { order: order(orders[0]), ..speaks(&ours) },
            Local { order: order(orders[1]), ..Local::new("198.51.100.2".parse().unwrap(), 50000, &theirs, 8) },
        ];
        let both = ours.iter().any(|encoding| theirs.contains(encoding));
        let mut meanings = std::collections::BTreeMap::<u8, String>::new();
        let mut clock = None;
        for way in ways {
            let (offerer, answerer) = (usize::from(way), usize::from(!way));
            let offer = sides[offerer].offer();
            let answered = sides[answerer].answer(offer.as_bytes());
            prop_assert_eq!(answered.is_ok(), both);
            let mut texts = vec![offer];
            if let Ok((answer, theirs)) = answered {
                let ours = sides[offerer].accept(answer.as_bytes()).unwrap();
                prop_assert_eq!(ours.encoding, theirs.encoding);
                prop_assert_eq!((ours.send, ours.receive), (theirs.receive, theirs.send));
                let (a, b) = (ours.events.unwrap(), theirs.events.unwrap());
                prop_assert_eq!((a.send, a.receive, a.clock_hz), (b.receive, b.send, b.clock_hz));
                prop_assert_eq!(a.clock_hz, ours.encoding.clock_hz());
                prop_assert_eq!(ours.comfort_noise, ours.encoding.clock_hz() == 8_000);
                prop_assert_eq!(ours.comfort_noise, theirs.comfort_noise);
                prop_assert_eq!(ours.opus, theirs.opus);
                // The clock never changes: both have it.
                let now = ours.encoding.clock_hz();
                prop_assert_eq!(*clock.get_or_insert(now), now);
                texts.push(answer);
            }
            for text in texts {
                let mut seen = std::collections::BTreeSet::new();
                for map in text.lines().filter_map(|line| line.strip_prefix("a=rtpmap:")) {
                    let (number, map) = map.split_once(' ').unwrap();
                    let number: u8 = number.parse().unwrap();
                    prop_assert!(seen.insert(number), "{}", text);
                    let meaning = meanings.entry(number).or_insert_with(|| map.to_owned());
                    prop_assert_eq!(&*meaning, map);
                }
            }
        }
    }
}

#[test]
fn one_encoding_alone_is_proposed_with_the_dialog_s_numbers_and_keys_for_every_peer() {
    let offer = audio(
        "0 111 104 101",
        &[
            "rtpmap:111 opus/48000/2",
            "rtpmap:104 L16/16000",
            "rtpmap:101 telephone-event/8000",
        ],
    );
    let mut local = all();
    let (answer, agreed) = local.answer(offer.as_bytes()).unwrap();
    assert_eq!(
        (agreed.encoding, &agreed.common[..]),
        (Pcmu, &[Pcmu, Opus, L16Wide][..])
    );
    let before = local.clone();
    let (proposal, proposed) = local.propose(Opus).unwrap();
    assert_eq!(
        spoken(&proposal),
        [
            "m=audio 40000 RTP/AVP 111 102 101",
            "a=rtpmap:111 opus/48000/2",
            "a=fmtp:111 useinbandfec=1; stereo=0; sprop-stereo=0",
            "a=rtpmap:102 telephone-event/48000",
            "a=fmtp:102 0-16",
            "a=rtpmap:101 telephone-event/8000",
            "a=fmtp:101 0-16",
        ]
    );
    assert_eq!(
        (proposed.receive, proposed.events, proposed.comfort_noise),
        (111, Some((102, 48_000)), false)
    );
    assert_eq!(local.encodings, before.encodings, "it still speaks all");
    // Taken: it is what both speak from then on.
    let taken = audio(
        "111 101",
        &["rtpmap:111 opus/48000/2", "rtpmap:101 telephone-event/8000"],
    );
    let agreed = local.clone().accept(taken.as_bytes()).unwrap();
    assert_eq!((agreed.encoding, agreed.receive), (Opus, 111));
    assert_eq!(agreed.events, events(101, 101, 8_000));
    // Refused: what was said before holds, under a version that the peer has not seen.
    local.withdraw(&answer);
    let last = local.last.clone().unwrap();
    assert!(
        answer.contains("o=- 7 1 ") && proposal.contains("o=- 7 2 "),
        "{proposal}"
    );
    assert_eq!(last, answer.replace("o=- 7 1 ", "o=- 7 3 "));
    let next = local.answer(offer.as_bytes()).unwrap().0;
    assert_eq!(next, last, "the same text has the same version");
}
