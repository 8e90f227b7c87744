use super::*;

const BOTH: [Encoding; 2] = [Encoding::Pcmu, Encoding::Pcma];

fn local() -> Local {
    Local::new("192.0.2.1".parse().unwrap(), 40000, &BOTH, 7)
}

fn both() -> Local {
    Local {
        also: Some("2001:db8::1".parse().unwrap()),
        ..local()
    }
}

fn at_8000(send: u8, receive: u8) -> Option<Events> {
    Some(Events {
        send,
        receive,
        clock_hz: 8_000,
    })
}

/// An offer with one audio stream of PCMU, PCMA and telephone-event, and more lines.
fn offer(more: &str) -> Vec<u8> {
    format!(
        "v=0\r\no=- 1 1 IN IP4 198.51.100.9\r\ns=-\r\nc=IN IP4 198.51.100.9\r\nt=0 0\r\n\
         m=audio 5004 RTP/AVP 8 0 13 96\r\na=rtpmap:96 telephone-event/8000\r\n{more}"
    )
    .into_bytes()
}

#[test]
fn offer_has_every_line_that_the_leg_stands_on() {
    assert_eq!(
        local().offer(),
        "v=0\r\no=- 7 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\n\
         m=audio 40000 RTP/AVP 0 8 13 101\r\na=rtpmap:0 PCMU/8000\r\na=rtpmap:8 PCMA/8000\r\na=rtpmap:13 CN/8000\r\n\
         a=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-16\r\na=ptime:20\r\na=rtcp:40001\r\na=rtcp-mux\r\n\
         a=sendrecv\r\n"
    );
    let offer = Local::new("2001:db8::1".parse().unwrap(), 40000, &BOTH, 7).offer();
    assert!(
        offer.contains("o=- 7 1 IN IP6 2001:db8::1\r\n") && offer.contains("c=IN IP6 2001:db8::1\r\n"),
        "{offer}"
    );
}

#[test]
fn version_rises_only_when_the_text_changes() {
    let mut local = local();
    let first = local.offer();
    assert_eq!(local.offer(), first);
    assert_eq!(local.version, 1);
    local.direction = Direction::SendOnly;
    assert!(local.offer().contains("o=- 7 2 IN"));
    assert!(local.offer().contains("o=- 7 2 IN"));
    let (answer, _) = local.answer(&offer("")).unwrap();
    assert!(answer.contains("o=- 7 3 IN"));
    let (again, _) = local.answer(&offer("")).unwrap();
    assert_eq!(again, answer);
}

#[test]
fn answer_has_one_codec_of_the_offer_s_preference_and_its_numbers() {
    let (answer, agreed) = local().answer(&offer("a=ptime:30\r\n")).unwrap();
    assert_eq!(
        answer,
        "v=0\r\no=- 7 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\n\
         m=audio 40000 RTP/AVP 8 13 96\r\na=rtpmap:8 PCMA/8000\r\na=rtpmap:13 CN/8000\r\n\
         a=rtpmap:96 telephone-event/8000\r\na=fmtp:96 0-16\r\na=ptime:30\r\na=rtcp:40001\r\na=sendrecv\r\n"
    );
    assert_eq!(
        agreed,
        Agreed {
            remote: Some("198.51.100.9:5004".parse().unwrap()),
            remote_rtcp: Some("198.51.100.9:5005".parse().unwrap()),
            encoding: Encoding::Pcma,
            send: 8,
            receive: 8,
            chosen: Chosen::TheirFirst,
            common: vec![Encoding::Pcma, Encoding::Pcmu],
            opus: None,
            events: at_8000(96, 96),
            comfort_noise: true,
            ptime_ms: 30,
            maxptime_ms: None,
            direction: Direction::SendRecv,
        }
    );
}

#[test]
fn a_pcma_only_reinvite_is_answered_with_pcma() {
    let mut local = local();
    local.answer(&offer("")).unwrap();
    let text = String::from_utf8(offer(""))
        .unwrap()
        .replace("RTP/AVP 8 0 13 96", "RTP/AVP 8 96");
    let (answer, agreed) = local.answer(text.as_bytes()).unwrap();
    assert_eq!(agreed.encoding, Encoding::Pcma);
    assert!(answer.contains("RTP/AVP 8 96\r\n") && !agreed.comfort_noise);
}

#[test]
fn directions_are_turned_round() {
    use Direction::*;
    for (offered, ours, answered) in [
        ("", SendRecv, SendRecv),
        ("a=sendrecv\r\n", SendRecv, SendRecv),
        ("a=sendonly\r\n", SendRecv, RecvOnly),
        ("a=recvonly\r\n", SendRecv, SendOnly),
        ("a=inactive\r\n", SendRecv, Inactive),
        ("a=sendrecv\r\n", SendOnly, SendOnly),
        ("a=sendonly\r\n", SendOnly, Inactive),
        ("a=recvonly\r\n", RecvOnly, Inactive),
    ] {
        let mut local = local();
        local.direction = ours;
        let (answer, agreed) = local.answer(&offer(offered)).unwrap();
        assert_eq!(agreed.direction, answered, "{offered}");
        assert!(answer.ends_with(&format!("a={}\r\n", answered.name())), "{answer}");
    }
}

#[test]
fn a_direction_of_the_session_counts_until_a_stream_has_its_own() {
    let session = |own: &str| {
        String::from_utf8(offer(own))
            .unwrap()
            .replace("t=0 0", "t=0 0\r\na=sendonly")
    };
    assert_eq!(
        local().answer(session("").as_bytes()).unwrap().1.direction,
        Direction::RecvOnly
    );
    assert_eq!(
        local()
            .answer(session("a=sendrecv\r\n").as_bytes())
            .unwrap()
            .1
            .direction,
        Direction::SendRecv
    );
}

#[test]
fn hold_by_a_zero_address_means_that_nothing_is_sent() {
    let text = String::from_utf8(offer(""))
        .unwrap()
        .replace("c=IN IP4 198.51.100.9", "c=IN IP4 0.0.0.0");
    let (answer, agreed) = local().answer(text.as_bytes()).unwrap();
    assert_eq!(
        (agreed.remote, agreed.remote_rtcp, agreed.direction),
        (None, None, Direction::RecvOnly)
    );
    assert!(answer.contains("a=recvonly"));
}

#[test]
fn every_way_to_hold_is_answered_and_resumed_with_a_version_for_each_change() {
    use Direction::*;
    let text = |more: &str, address: &str| {
        let text = String::from_utf8(offer(more)).unwrap();
        text.replace("c=IN IP4 198.51.100.9", address)
    };
    let here = "c=IN IP4 198.51.100.9";
    // Offered direction and address; our direction, and whether there is somewhere to send to.
    let steps = [
        ("", here, SendRecv, true),
        ("a=sendonly\r\n", here, RecvOnly, true),
        ("a=sendonly\r\n", here, RecvOnly, true),
        ("a=inactive\r\n", here, Inactive, true),
        ("a=recvonly\r\n", here, SendOnly, true),
        ("a=sendrecv\r\n", here, SendRecv, true),
        ("a=sendrecv\r\n", "c=IN IP4 0.0.0.0", RecvOnly, false),
        ("a=inactive\r\n", "c=IN IP4 0.0.0.0", Inactive, false),
        ("a=recvonly\r\n", "c=IN IP4 0.0.0.0", Inactive, false),
        ("a=sendonly\r\n", "c=IN IP6 ::", RecvOnly, false),
        ("", "c=IN IP6 ::", RecvOnly, false),
        ("", "c=IN IP6 2001:db8::9", SendRecv, true),
        // A hold that comes with another codec, and the end of both.
        ("a=sendonly\r\na=pcmu\r\n", here, RecvOnly, true),
        ("", here, SendRecv, true),
    ];
    let mut local = both();
    let mut last: Option<(u64, String)> = None;
    for (more, address, direction, reachable) in steps {
        let mut sdp = text(&more.replace("a=pcmu\r\n", ""), address);
        if more.contains("pcmu") {
            sdp = sdp.replace("RTP/AVP 8 0 13 96", "RTP/AVP 0 13 96");
        }
        let (answer, agreed) = local.answer(sdp.as_bytes()).unwrap();
        let codec = if more.contains("pcmu") {
            Encoding::Pcmu
        } else {
            Encoding::Pcma
        };
        assert_eq!(agreed.encoding, codec);
        assert_eq!(
            (agreed.direction, agreed.remote.is_some()),
            (direction, reachable),
            "{sdp}"
        );
        assert!(answer.ends_with(&format!("a={}\r\n", direction.name())), "{answer}");
        let origin = answer.lines().find(|line| line.starts_with("o=")).unwrap();
        let version: u64 = origin.split(' ').nth(2).unwrap().parse().unwrap();
        let rest = answer.replace(origin, "");
        if let Some((before, text)) = last {
            // RFC 3264 §8: "the version … MUST increment by one" where the description differs, and not where it does not.
            assert_eq!(version, before + u64::from(text != rest), "{answer}");
        }
        last = Some((version, rest));
    }
}

#[test]
fn rtcp_goes_where_the_offer_says() {
    let rtcp = |more: &str| {
        let (answer, agreed) = local().answer(&offer(more)).unwrap();
        (
            agreed.remote_rtcp.unwrap().to_string(),
            answer.contains("a=rtcp-mux\r\n"),
        )
    };
    assert_eq!(rtcp(""), ("198.51.100.9:5005".into(), false));
    assert_eq!(rtcp("a=rtcp:6001\r\n"), ("198.51.100.9:6001".into(), false));
    assert_eq!(
        rtcp("a=rtcp:6001 IN IP4 203.0.113.4\r\n"),
        ("203.0.113.4:6001".into(), false)
    );
    assert_eq!(
        rtcp("a=rtcp:6001\r\na=rtcp-mux\r\n"),
        ("198.51.100.9:5004".into(), true)
    );
}

#[test]
fn a_stream_has_its_own_address() {
    let text = String::from_utf8(offer("")).unwrap();
    let text = text.replace("\r\na=rtpmap:96", "\r\nc=IN IP6 2001:db8::5\r\na=rtpmap:96");
    let (_, agreed) = both().answer(text.as_bytes()).unwrap();
    assert_eq!(agreed.remote, Some("[2001:db8::5]:5004".parse().unwrap()));
}

#[test]
fn every_stream_is_answered_in_order() {
    let text = "v=0\r\no=- 1 1 IN IP4 198.51.100.9\r\ns=-\r\nc=IN IP4 198.51.100.9\r\nt=3034423619 3042462419\r\n\
        m=video 5006 RTP/AVP 96 97\r\na=rtpmap:96 H264/90000\r\n\
        m=audio 5008 RTP/SAVP 0\r\n\
        m=audio 5004 RTP/AVP 0\r\n\
        m=audio 5014 RTP/AVP 0\r\n\
        m=application 9 UDP/BFCP *\r\n";
    let (answer, agreed) = local().answer(text.as_bytes()).unwrap();
    let lines: Vec<_> = answer
        .lines()
        .filter(|line| line.starts_with("m=") || line.starts_with("t="))
        .collect();
    assert_eq!(
        lines,
        [
            "t=3034423619 3042462419",
            "m=video 0 RTP/AVP 96 97",
            "m=audio 0 RTP/SAVP 0",
            "m=audio 40000 RTP/AVP 0",
            "m=audio 0 RTP/AVP 0",
            "m=application 0 UDP/BFCP *"
        ]
    );
    assert_eq!(agreed.remote.unwrap().port(), 5004);
    assert_eq!((agreed.events, agreed.comfort_noise), (None, false));
}

#[test]
fn g711_under_a_dynamic_number_is_found() {
    let text = String::from_utf8(offer("a=rtpmap:98 pcmu/8000/1\r\na=rtpmap:0 L16/44100\r\n"))
        .unwrap()
        .replace("RTP/AVP 8 0 13 96", "RTP/AVP 0 98 96");
    let (answer, agreed) = local().answer(text.as_bytes()).unwrap();
    assert_eq!((agreed.encoding, agreed.send, agreed.receive), (Encoding::Pcmu, 98, 98));
    assert!(answer.contains("m=audio 40000 RTP/AVP 98 96\r\na=rtpmap:98 PCMU/8000\r\n"));
}

#[test]
fn accept_takes_the_peers_numbers_and_order() {
    let mut local = local();
    local.offer();
    let answer = "v=0\r\no=- 1 1 IN IP4 198.51.100.9\r\ns=-\r\nc=IN IP4 198.51.100.9\r\nt=0 0\r\n\
        m=audio 5004 RTP/AVP 8 0 96\r\na=rtpmap:96 telephone-event/8000\r\na=rtcp-mux\r\na=recvonly\r\n";
    let agreed = local.accept(answer.as_bytes()).unwrap();
    assert_eq!((agreed.encoding, agreed.send, agreed.receive), (Encoding::Pcma, 8, 8));
    assert_eq!(agreed.events, at_8000(96, 101));
    assert_eq!(agreed.remote_rtcp, agreed.remote);
    assert_eq!(agreed.direction, Direction::SendOnly);
}

#[test]
fn our_offer_and_our_answer_agree() {
    let mut caller = Local::new("192.0.2.1".parse().unwrap(), 40000, &BOTH, 7);
    let mut callee = Local::new("198.51.100.2".parse().unwrap(), 50000, &[Encoding::Pcma], 8);
    let (answer, theirs) = callee.answer(caller.offer().as_bytes()).unwrap();
    let ours = caller.accept(answer.as_bytes()).unwrap();
    assert_eq!(ours.encoding, Encoding::Pcma);
    assert_eq!(theirs.encoding, Encoding::Pcma);
    assert_eq!(ours.events, at_8000(101, 101));
    assert_eq!(ours.remote, Some("198.51.100.2:50000".parse().unwrap()));
    assert_eq!(ours.remote_rtcp, ours.remote);
    assert_eq!(theirs.remote_rtcp, theirs.remote);
    assert!(ours.comfort_noise && theirs.comfort_noise);
}

#[test]
fn a_later_offer_keeps_the_number_of_the_events() {
    let mut local = local();
    local.answer(&offer("")).unwrap();
    let offer = local.offer();
    assert!(offer.contains("m=audio 40000 RTP/AVP 0 8 13 96\r\n"), "{offer}");
}

#[test]
fn what_cannot_be_used_is_told_apart() {
    let refused = |text: &str| local().answer(text.as_bytes()).map(|_| ()).unwrap_err();
    let base = "v=0\r\no=- 1 1 IN IP4 198.51.100.9\r\ns=-\r\nc=IN IP4 198.51.100.9\r\nt=0 0\r\n";
    assert_eq!(refused("hello"), Incompatible::Malformed);
    assert_eq!(refused(""), Incompatible::Malformed);
    assert_eq!(refused(base), Incompatible::NoAudio);
    assert_eq!(
        refused(&format!("{base}m=audio 9 UDP/TLS/RTP/SAVPF 0\r\n")),
        Incompatible::NoAudio
    );
    assert_eq!(
        refused(&format!("{base}m=audio 5004 RTP/AVP 9 18\r\n")),
        Incompatible::NoCodec
    );
    assert_eq!(
        refused(&format!("{base}m=audio 65536 RTP/AVP 0\r\n")),
        Incompatible::Malformed
    );
    assert_eq!(
        refused(&format!("{base}m=audio 5004 RTP/AVP 0\r\n").replace("c=", "b=")),
        Incompatible::Malformed
    );
    assert_eq!(
        refused(&base.replace("198.51.100.9\r\nt", "224.2.1.1/127\r\nt").to_owned()),
        Incompatible::NoAudio
    );
    // The peer refused our only stream.
    let answer = format!("{base}m=audio 0 RTP/AVP 0\r\n");
    assert_eq!(local().accept(answer.as_bytes()), Err(Incompatible::NoAudio));
}

#[test]
fn an_offered_stream_that_is_switched_off_stays_off() {
    let text = String::from_utf8(offer(""))
        .unwrap()
        .replace("m=audio 5004", "m=audio 0");
    let (answer, agreed) = local().answer(text.as_bytes()).unwrap();
    assert!(answer.contains("m=audio 0 RTP/AVP 8 0 13 96\r\n"));
    assert_eq!((agreed.remote, agreed.direction), (None, Direction::Inactive));
}

#[test]
fn without_a_port_for_rtcp_it_is_exchanged_only_with_peers_that_mux() {
    let mux_only = || Local {
        mux_only: true,
        ..local()
    };
    let offer = mux_only().offer();
    assert!(
        offer.contains("a=rtcp-mux\r\n") && !offer.contains("a=rtcp:"),
        "{offer}"
    );
    for theirs in ["", "a=rtcp:5007\r\n", "a=rtcp-mux\r\n", "a=rtcp:5007\r\na=rtcp-mux\r\n"] {
        let sdp = format!(
            "v=0\r\no=- 1 1 IN IP4 198.51.100.9\r\ns=-\r\nc=IN IP4 198.51.100.9\r\nt=0 0\r\nm=audio 5004 RTP/AVP 0\r\n{theirs}"
        );
        let muxes = theirs.contains("mux");
        let mut ours = mux_only();
        let (answer, agreed) = ours.answer(sdp.as_bytes()).unwrap();
        assert_eq!(
            (answer.contains("a=rtcp-mux"), answer.contains("a=rtcp:")),
            (muxes, false)
        );
        let accepted = ours.accept(sdp.as_bytes()).unwrap();
        for agreed in [agreed, accepted] {
            assert_eq!(agreed.remote, Some("198.51.100.9:5004".parse().unwrap()));
            assert_eq!(agreed.remote_rtcp, agreed.remote.filter(|_| muxes), "{theirs}");
        }
    }
}

mod codecs;
mod families;
mod variants;
