use super::*;

#[test]
fn names_have_compact_forms() {
    for (a, b) in [
        ("v", "Via"),
        ("V", "via"),
        ("l", "CONTENT-LENGTH"),
        ("i", "Call-ID"),
        ("m", "Contact"),
        ("x", "x"),
    ] {
        assert!(same_name(a.as_bytes(), b.as_bytes()), "{a} {b}");
    }
    assert!(!same_name(b"v", b"To"));
}

#[test]
fn addresses_are_read_and_printed() {
    for (text, display, uri, tag, printed) in [
        ("<sip:a@h>", None, "sip:a@h", None, "<sip:a@h>"),
        ("sip:a@h;tag=1;x", None, "sip:a@h", Some("1"), "<sip:a@h>;tag=1;x"),
        (
            "<sip:a@h;tag=2>;TAG=1",
            None,
            "sip:a@h;tag=2",
            Some("1"),
            "<sip:a@h;tag=2>;TAG=1",
        ),
        (
            "Bob Smith <sip:a@h> ;tag = 1",
            Some("Bob Smith"),
            "sip:a@h",
            Some("1"),
            "\"Bob Smith\" <sip:a@h>;tag=1",
        ),
        (
            "\"a;<b>, \\\"c\\\\\"<sip:a,b;c?d@h>;tag=\"q;,\"",
            Some("a;<b>, \"c\\"),
            "sip:a,b;c?d@h",
            Some("q;,"),
            "\"a;<b>, \\\"c\\\\\" <sip:a,b;c?d@h>;tag=\"q;,\"",
        ),
        ("<sip:a@h>;tag=", None, "sip:a@h", None, "<sip:a@h>;tag="),
        ("<sip:a@h>;tag", None, "sip:a@h", None, "<sip:a@h>;tag"),
    ] {
        let address = NameAddr::parse(text).unwrap_or_else(|_| panic!("{text}"));
        assert_eq!(address.display.as_deref(), display, "{text}");
        assert_eq!(address.uri.as_str(), uri, "{text}");
        assert_eq!(address.tag().as_deref(), tag, "{text}");
        assert_eq!(address.to_string(), printed, "{text}");
        assert_eq!(NameAddr::parse(printed).unwrap(), address, "{text}");
    }
    for text in [
        "",
        "<>",
        "<sip:a@h",
        "\"a <sip:a@h>",
        "\"a\" sip:a@h",
        "<sip:a@h> x",
        "<sip:a@h>;;",
        "<sip:a@h>;a b=1",
        "a",
    ] {
        assert!(NameAddr::parse(text).is_err(), "{text}");
    }
}

#[test]
fn contact_is_a_list_or_a_star() {
    assert_eq!(Contact::parse(" * "), Ok(Contact::Any));
    let Ok(Contact::Addresses(list)) = Contact::parse("\"a,b\" <sip:a,c@h>;q=0.5, <sip:d@h>") else {
        panic!()
    };
    assert_eq!(list.len(), 2);
    assert_eq!(list[0].params.get("Q").as_deref(), Some("0.5"));
    assert!(Contact::parse("<sip:a@h>,").is_err());
}

#[test]
fn cseq_is_a_number_below_2_to_the_31_and_a_method() {
    assert_eq!(
        Cseq::parse("2147483647\t INVITE").unwrap().to_string(),
        "2147483647 INVITE"
    );
    for text in [
        "2147483648 INVITE",
        "-1 INVITE",
        "+1 INVITE",
        "1",
        "INVITE",
        "1 IN VITE",
        "",
    ] {
        assert!(Cseq::parse(text).is_err(), "{text}");
    }
}

#[test]
fn reason_is_read_and_printed() {
    let reason = Reason {
        protocol: "SIP".into(),
        cause: Some(200),
        text: Some("Call \"completed\"".into()),
    };
    assert_eq!(reason.to_string(), "SIP;cause=200;text=\"Call \\\"completed\\\"\"");
    assert_eq!(Reason::parse(&reason.to_string()), Ok(reason));
    let first = Reason::parse("Q.850 ; cause = 16, SIP;cause=600").unwrap();
    assert_eq!(
        first,
        Reason {
            protocol: "Q.850".into(),
            cause: Some(16),
            text: None
        }
    );
    assert!(Reason::parse(";cause=1").is_err());
}

#[test]
fn retry_after_is_seconds() {
    assert_eq!(RetryAfter::parse("18000;duration=3600"), Ok(RetryAfter(18000)));
    assert_eq!(RetryAfter::parse("120 (I'm in a meeting)"), Ok(RetryAfter(120)));
    assert!(RetryAfter::parse("949302838503028349304023988").is_err());
}

#[test]
fn via_is_printed_as_a_client_sends_it() {
    let via = Via::udp("[2001:db8::1]:5060".parse().unwrap(), "z9hG4bKx");
    assert_eq!(via.to_string(), "SIP/2.0/UDP [2001:db8::1]:5060;branch=z9hG4bKx;rport");
    assert_eq!(Via::parse(&via.to_string()).unwrap(), via);
    assert_eq!((via.rport(), via.received()), (Some(None), None));
    for text in [
        "SIP/2.0/UDP",
        "SIP/3.0/UDP h",
        "HTTP/2.0/UDP h",
        "SIP/2.0/UDP h:x",
        "SIP/2.0/UDP h h",
        "SIP/2.0/UDP h,;",
    ] {
        assert!(Via::parse_list(text).is_err(), "{text}");
    }
}
