//! Which of our addresses a description names.

use super::*;

const FOUR: &str = "192.0.2.1";
const SIX: &str = "2001:db8::1";

fn only(address: &str) -> Local {
    Local::new(address.parse().unwrap(), 40000, &BOTH, 7)
}

/// An offer whose session and streams have these `c=` lines; an empty one is left out.
fn at(session: &str, streams: &[&str]) -> String {
    let c = |address: &str| match address {
        "" => String::new(),
        six if six.contains(':') => format!("c=IN IP6 {six}\r\n"),
        four => format!("c=IN IP4 {four}\r\n"),
    };
    let mut text = format!("v=0\r\no=- 1 1 IN IP4 198.51.100.9\r\ns=-\r\n{}t=0 0\r\n", c(session));
    for (index, stream) in streams.iter().enumerate() {
        let port = 5004 + 2 * index;
        text.push_str(&format!("m=audio {port} RTP/AVP 0\r\n{}", c(stream)));
    }
    text
}

/// Our `c=` line and where we send.
fn answered(local: &mut Local, offer: &str) -> (String, String) {
    let (answer, agreed) = local.answer(offer.as_bytes()).unwrap();
    let line = answer.lines().find(|line| line.starts_with("c=")).unwrap();
    (
        line.to_owned(),
        agreed.remote.map(|to| to.to_string()).unwrap_or_default(),
    )
}

#[test]
fn an_answer_has_the_family_of_the_stream_s_own_line() {
    let four = ("c=IN IP4 192.0.2.1".to_owned(), "198.51.100.9:5004".to_owned());
    let six = ("c=IN IP6 2001:db8::1".to_owned(), "[2001:db8::9]:5004".to_owned());
    for mut ours in [
        both(),
        Local {
            also: Some(FOUR.parse().unwrap()),
            ..only(SIX)
        },
    ] {
        assert_eq!(answered(&mut ours, &at("198.51.100.9", &[""])), four);
        assert_eq!(answered(&mut ours, &at("2001:db8::9", &[""])), six);
        assert_eq!(answered(&mut ours, &at("198.51.100.9", &["2001:db8::9"])), six);
        assert_eq!(answered(&mut ours, &at("2001:db8::9", &["198.51.100.9"])), four);
        assert_eq!(answered(&mut ours, &at("", &["2001:db8::9"])), six);
        // RFC 4291 §2.5.5.2: an IPv4 node written as IPv6.
        assert_eq!(answered(&mut ours, &at("::ffff:198.51.100.9", &[""])), four);
    }
}

#[test]
fn an_offer_faces_its_next_hop() {
    let mut ours = both();
    ours.face("2001:db8::5".parse().unwrap()).unwrap();
    assert!(ours.offer().contains("\r\nc=IN IP6 2001:db8::1\r\n"));
    ours.face("198.51.100.5".parse().unwrap()).unwrap();
    assert!(ours.offer().contains("\r\nc=IN IP4 192.0.2.1\r\n"));
    let mut ours = local();
    assert_eq!(ours.face("2001:db8::5".parse().unwrap()), Err(Incompatible::NoAddress));
    assert_eq!(ours, local());
}

#[test]
fn the_origin_stays_when_the_family_changes() {
    let mut ours = both();
    let (first, _) = ours.answer(at("198.51.100.9", &[""]).as_bytes()).unwrap();
    assert!(first.contains("o=- 7 1 IN IP4 192.0.2.1\r\n"), "{first}");
    let (second, _) = ours.answer(at("2001:db8::9", &[""]).as_bytes()).unwrap();
    assert!(
        second.contains("o=- 7 2 IN IP4 192.0.2.1\r\n") && second.contains("c=IN IP6 2001:db8::1\r\n"),
        "{second}"
    );
}

#[test]
fn a_family_of_which_we_have_no_address_is_refused_and_changes_nothing() {
    for (ours, theirs) in [
        (FOUR, "2001:db8::9"),
        (SIX, "198.51.100.9"),
        (SIX, "::ffff:198.51.100.9"),
    ] {
        let mut ours = only(ours);
        let before = ours.clone();
        let text = at(theirs, &[""]);
        assert_eq!(ours.answer(text.as_bytes()), Err(Incompatible::NoAddress));
        assert_eq!(ours.accept(text.as_bytes()), Err(Incompatible::NoAddress));
        assert_eq!(ours, before);
    }
    let answer = at("2001:db8::9", &[""]);
    let agreed = both().accept(answer.as_bytes()).unwrap();
    assert_eq!(agreed.remote, Some("[2001:db8::9]:5004".parse().unwrap()));
}

#[test]
fn of_alternatives_the_first_within_reach_is_taken() {
    // RFC 4091 (ANAT): the same stream at two addresses; the other one is refused with port 0.
    let offer = at("", &["2001:db8::9", "198.51.100.9"]);
    let (answer, agreed) = local().answer(offer.as_bytes()).unwrap();
    assert!(
        answer.contains("m=audio 0 RTP/AVP 0\r\nm=audio 40000 RTP/AVP 0\r\n"),
        "{answer}"
    );
    assert_eq!(agreed.remote, Some("198.51.100.9:5006".parse().unwrap()));
    let (answer, agreed) = both().answer(offer.as_bytes()).unwrap();
    assert!(answer.contains("\r\nc=IN IP6 2001:db8::1\r\n"), "{answer}");
    assert!(answer.ends_with("m=audio 0 RTP/AVP 0\r\n"), "{answer}");
    assert_eq!(agreed.remote, Some("[2001:db8::9]:5004".parse().unwrap()));
}

#[test]
fn hold_without_an_address_has_no_family() {
    // RFC 3264 §8.4; in IPv6 it is ::.
    for (mut ours, hold, line) in [
        (only(SIX), "0.0.0.0", "c=IN IP6 2001:db8::1"),
        (only(FOUR), "::", "c=IN IP4 192.0.2.1"),
        (both(), "::", "c=IN IP4 192.0.2.1"),
    ] {
        assert_eq!(answered(&mut ours, &at(hold, &[""])), (line.to_owned(), String::new()));
    }
}

#[test]
fn reports_that_cannot_be_delivered_are_given_up_alone() {
    let offer = at("198.51.100.9", &[""]) + "a=rtcp:5009 IN IP6 2001:db8::9\r\n";
    let (_, agreed) = local().answer(offer.as_bytes()).unwrap();
    assert_eq!(agreed.remote, Some("198.51.100.9:5004".parse().unwrap()));
    assert_eq!(agreed.remote_rtcp, None);
    let (_, agreed) = both().answer(offer.as_bytes()).unwrap();
    assert_eq!(agreed.remote_rtcp, Some("[2001:db8::9]:5009".parse().unwrap()));
}
