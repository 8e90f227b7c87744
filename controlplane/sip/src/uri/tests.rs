use super::*;

fn uri(text: &str) -> Uri {
    Uri::parse(text).unwrap_or_else(|_| panic!("{text}"))
}

#[test]
fn a_uri_has_its_parts_and_prints_as_it_came() {
    let text = "SIPS:al%20ice;x=1:se%3Acret@Example.COM:5071;transport=tcp;lr;X=%41?Subject=a%20b&to=c";
    let uri = uri(text);
    assert_eq!(uri.to_string(), text);
    assert_eq!(uri.scheme(), Scheme::Sips);
    assert_eq!((uri.user(), uri.password()), (Some("al%20ice;x=1"), Some("se%3Acret")));
    assert_eq!(uri.user_unescaped().as_deref(), Some("al ice;x=1"));
    assert_eq!((uri.host(), uri.port()), (Some(Host::Name("Example.COM")), Some(5071)));
    assert_eq!(
        uri.params().collect::<Vec<_>>(),
        [("transport", "tcp"), ("lr", ""), ("X", "%41")]
    );
    assert_eq!(
        (uri.param("LR"), uri.param("x"), uri.param("y")),
        (Some(""), Some("%41"), None)
    );
    assert_eq!(uri.headers().collect::<Vec<_>>(), [("Subject", "a%20b"), ("to", "c")]);
    assert_eq!(uri.socket_addr(), None);
}

#[test]
fn addresses_become_socket_addresses() {
    for (text, address) in [
        ("sip:192.0.2.1", "192.0.2.1:5060"),
        ("sips:a@192.0.2.1", "192.0.2.1:5061"),
        ("sip:a@192.0.2.1:5070;lr", "192.0.2.1:5070"),
        ("sip:a@[2001:db8::1]", "[2001:db8::1]:5060"),
        ("sip:[2001:db8::1]:5070?a=b", "[2001:db8::1]:5070"),
        ("sip:[::ffff:192.0.2.1]", "[::ffff:192.0.2.1]:5060"),
    ] {
        assert_eq!(uri(text).socket_addr(), Some(address.parse().unwrap()), "{text}");
    }
}

#[test]
fn other_schemes_are_kept() {
    let tel = uri("tel:+1-201-555-0123;phone-context=example.com");
    assert_eq!(
        (tel.scheme(), tel.user(), tel.host()),
        (Scheme::Tel, Some("+1-201-555-0123"), None)
    );
    assert_eq!(tel.param("phone-context"), Some("example.com"));
    let urn = uri("urn:service:sos");
    assert_eq!((urn.scheme(), urn.user()), (Scheme::Other("urn"), None));
}

#[test]
fn what_is_no_uri_is_refused() {
    for text in [
        "",
        "sip",
        "sip:",
        ":a",
        "1a:b",
        "sip:@h",
        "sip:a@",
        "sip:a@h:",
        "sip:a@h:65536",
        "sip:a@h:-1",
        "sip:a@[::1",
        "sip:[x]",
        "sip:a b@h",
        "sip:a@h\r\n",
        "sip:2001:db8::10",
        "sip:a@h<",
        "sip:a@h:+5",
        "sip:ü@ü",
    ] {
        assert!(Uri::parse(text).is_err(), "{text}");
    }
}

#[test]
fn comparison_is_that_of_rfc_3261() {
    // The examples of §19.1.4.
    for (a, b) in [
        (
            "sip:%61lice@atlanta.com;transport=TCP",
            "sip:alice@AtLanTa.CoM;Transport=tcp",
        ),
        ("sip:carol@chicago.com", "sip:carol@chicago.com;newparam=5"),
        ("sip:carol@chicago.com;security=on", "sip:carol@chicago.com;newparam=5"),
        (
            "sip:biloxi.com;transport=tcp;method=REGISTER?to=sip:bob%40biloxi.com",
            "sip:biloxi.com;method=REGISTER;transport=tcp?to=sip:bob%40biloxi.com",
        ),
        (
            "sip:alice@atlanta.com?subject=project%20x&priority=urgent",
            "sip:alice@atlanta.com?priority=urgent&subject=project%20x",
        ),
    ] {
        assert!(uri(a).equivalent(&uri(b)) && uri(b).equivalent(&uri(a)), "{a} {b}");
    }
    for (a, b) in [
        (
            "SIP:ALICE@AtLanTa.CoM;Transport=udp",
            "sip:alice@AtLanTa.CoM;Transport=UDP",
        ),
        ("sip:bob@biloxi.com", "sip:bob@biloxi.com:5060"),
        ("sip:bob@biloxi.com", "sip:bob@biloxi.com;transport=udp"),
        ("sip:bob@biloxi.com", "sip:bob@biloxi.com:6000;transport=tcp"),
        ("sip:carol@chicago.com", "sip:carol@chicago.com?Subject=next%20meeting"),
        ("sip:bob@phone21.boxesbybob.com", "sip:bob@192.0.2.4"),
        (
            "sip:carol@chicago.com;security=on",
            "sip:carol@chicago.com;security=off",
        ),
        ("sip:a@h", "sips:a@h"),
    ] {
        assert!(!uri(a).equivalent(&uri(b)) && !uri(b).equivalent(&uri(a)), "{a} {b}");
    }
}

proptest::proptest! {
    #[test]
    fn no_text_panics(text in "(sip|sips|tel|x)?:?[a-z@:;?=&%\\[\\]0-9.é ]{0,30}") {
        if let Ok(uri) = Uri::parse(&text) {
            proptest::prop_assert_eq!(uri.as_str(), &text);
            let _ = (uri.user_unescaped(), uri.socket_addr(), uri.params().count(), uri.headers().count());
            proptest::prop_assert!(uri.equivalent(&uri));
        }
    }
}

#[test]
fn headers_are_put_behind_a_uri_and_found_there() {
    let value = "<http://h:80/a?b=c&d=%41>;purpose=\"ü\"";
    let headers = [("User-to-User", "6869;encoding=hex"), ("Call-Info", value)];
    for (text, start) in [
        (
            "sip:a@b;transport=tcp",
            "sip:a@b;transport=tcp?User-to-User=6869%3Bencoding%3Dhex&",
        ),
        ("sips:a@b?", "sips:a@b?User-to-User="),
        ("sip:a@b?Subject=x%20y", "sip:a@b?Subject=x%20y&User-to-User="),
    ] {
        let printed = uri(text).with_headers(headers);
        assert!(printed.starts_with(start), "{printed}");
        let read = uri(&printed);
        for (name, value) in headers {
            assert_eq!(read.header(name).as_deref(), Some(value), "{printed}");
        }
        assert_eq!(read.headers().count(), 2 + uri(text).headers().count());
    }
    assert_eq!(uri("sip:a@b").with_headers([]), "sip:a@b");
    assert_eq!(uri("tel:+49301").with_headers(headers), "tel:+49301");
}
