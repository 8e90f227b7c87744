//! Session descriptions, as offers and as answers.

use std::net::IpAddr;

use sip::sdp::{Agreed, Encoding, Local};

pub(crate) const WORDS: &[&str] = &[
    "m=audio 4000 RTP/AVP 0 8 101\r\n",
    "m=audio 0 RTP/AVP 0\r\n",
    "m=audio 65535 RTP/AVP 8\r\n",
    "m=video 9 UDP/TLS/RTP/SAVPF 96\r\n",
    "m=audio 4000/2 RTP/AVP 0\r\n",
    "c=IN IP4 0.0.0.0\r\n",
    "c=IN IP6 2001:db8::1\r\n",
    "c=IN IP4 224.2.1.1/127/3\r\n",
    "a=rtpmap:0 PCMU/8000\r\n",
    "m=audio 4000 RTP/AVP 96 9 97 98 102\r\n",
    "a=rtpmap:96 opus/48000/2\r\n",
    "a=rtpmap:97 L16/16000/1\r\n",
    "a=rtpmap:98 L16/8000\r\n",
    "a=rtpmap:102 telephone-event/48000\r\n",
    "a=fmtp:96 useinbandfec=1; maxaveragebitrate=20000; maxplaybackrate=16000; stereo=1; usedtx=1; cbr=1\r\n",
    "a=maxptime:40\r\n",
    "a=rtpmap:101 telephone-event/8000\r\n",
    "a=fmtp:101 0-16\r\n",
    "a=sendonly\r\n",
    "a=recvonly\r\n",
    "a=inactive\r\n",
    "a=rtcp:53020 IN IP4 192.0.2.4\r\n",
    "a=rtcp-mux\r\n",
    "a=ptime:40\r\n",
    "t=18446744073709551615 1\r\n",
    "o=- 1 1 IN IP4 192.0.2.1\r\n",
    "b=AS:64\r\n",
    "z=0 0\r\n",
];

fn local(port: u16) -> Local {
    let address = IpAddr::from([192, 0, 2, 1]);
    Local::new(address, port, &Encoding::ALL, 7)
}

pub(crate) fn target(data: &[u8]) {
    // As an offer.
    let mut us = local(4000);
    let before = us.clone();
    match us.answer(data) {
        Err(_) => assert_eq!(us, before, "after an error nothing has changed"),
        Ok((answer, agreed)) => {
            agreement(&agreed);
            printed(&answer);
            assert!(
                answer.len() <= 3 * data.len() + 1000,
                "{} for {}",
                answer.len(),
                data.len()
            );
            let (again, same) = us.answer(data).expect("an offer that was good is good again");
            assert_eq!(
                (&again, &same),
                (&answer, &agreed),
                "the same offer gets the same answer, its version too"
            );
            // Whoever offered our codecs can use the answer, unless the stream is switched off.
            let mut other = local(5000);
            other.offer();
            if answer
                .lines()
                .any(|line| line.starts_with("m=audio") && !line.starts_with("m=audio 0 "))
            {
                let theirs = other.accept(answer.as_bytes()).expect("our answer is read");
                agreement(&theirs);
                assert_eq!(theirs.encoding, agreed.encoding);
            }
        }
    }
    // As an answer.
    let mut us = local(4000);
    printed(&us.offer());
    if let Ok(agreed) = us.accept(data) {
        agreement(&agreed);
    }
    // What we say next is still an offer that we could take ourselves.
    let offer = us.offer();
    let (answer, _) = local(5000).answer(offer.as_bytes()).expect("our own offer");
    us.accept(answer.as_bytes()).expect("our own answer");
}

fn agreement(agreed: &Agreed) {
    assert!(agreed.send < 128 && agreed.receive < 128);
    let clock = agreed.encoding.clock_hz();
    assert!(
        agreed.events.is_none_or(|events| events.send < 128
            && events.receive < 128
            && [8_000, clock].contains(&events.clock_hz))
    );
    assert!(!agreed.comfort_noise || clock == 8_000);
    assert_eq!(agreed.opus.is_some(), agreed.encoding == Encoding::Opus);
    assert!(matches!(agreed.ptime_ms, 10 | 20 | 30 | 40 | 50 | 60));
    for remote in [agreed.remote, agreed.remote_rtcp].into_iter().flatten() {
        assert!(
            remote.port() != 0 && !remote.ip().is_unspecified(),
            "nothing is sent to {remote}"
        );
    }
}

fn printed(text: &str) {
    assert!(text.starts_with("v=0\r\no=- 7 "), "{text:?}");
    for line in text.split_terminator("\r\n") {
        assert!(line.as_bytes().get(1) == Some(&b'='), "{text:?}");
        assert!(!line.chars().any(char::is_control), "{text:?}");
    }
}
