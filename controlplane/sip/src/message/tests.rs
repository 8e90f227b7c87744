use super::*;

mod oracle;
mod outcome;
mod stream;
mod table;
mod torture;
mod vectors;

const INVITE: &[u8] = b"INVITE sip:a%20b@example.com;x=%41 SIP/2.0\r\n\
v: SIP/2.0/UDP 192.0.2.1:5070;branch=z9hG4bK1;rport\r\n\
Via:SIP/2.0/UDP 192.0.2.2;branch=z9hG4bK2\r\n\
Record-Route: <sip:192.0.2.7;lr>, \"P;<2\" <sip:192.0.2.8;lr>\r\n\
RECORD-ROUTE: <sip:192.0.2.9>\r\n\
f :  \"Caller, \\\"x\\\"\" <sip:caller@example.org;p=1> ; tag=99\r\n\
To: <sip:a%20b@example.com>\r\n\
Call-ID: one@two\r\n\
CSeq:  7   INVITE\r\n\
Max-Forwards: 70\r\n\
Contact: <sip:caller@192.0.2.1:5070>\r\n\
X-Thing: caf\xe9 and\r\n\tmore\r\n\
Content-Type: application/sdp;charset=x\r\n\
l: 4\r\n\
\r\nv=0\n";

fn invite() -> Message {
    Message::parse(Bytes::from_static(INVITE)).unwrap()
}

#[test]
fn what_came_is_printed_byte_for_byte() {
    assert_eq!(invite().to_bytes(), INVITE);
}

#[test]
fn fields_get_a_type_on_demand() {
    let message = invite();
    assert_eq!(message.check(), Ok(()));
    assert_eq!(message.method(), Some(&Method::Invite));
    assert_eq!(message.uri().unwrap().unwrap().as_str(), "sip:a%20b@example.com;x=%41");
    assert_eq!(message.via().unwrap().branch().as_deref(), Some("z9hG4bK1"));
    let from = message.from().unwrap();
    assert_eq!(
        (from.display.as_deref(), from.tag().as_deref()),
        (Some("Caller, \"x\""), Some("99"))
    );
    assert_eq!(from.uri.as_str(), "sip:caller@example.org;p=1");
    assert_eq!(message.to().unwrap().tag(), None);
    assert_eq!(message.call_id().unwrap(), "one@two");
    assert_eq!(
        message.cseq(),
        Some(Cseq {
            number: 7,
            method: Method::Invite
        })
    );
    assert_eq!(message.max_forwards(), Some(70));
    assert_eq!(message.contact().unwrap().uri.as_str(), "sip:caller@192.0.2.1:5070");
    let routes: Vec<_> = message
        .record_route()
        .iter()
        .map(|route| route.uri.to_string())
        .collect();
    assert_eq!(routes, ["sip:192.0.2.7;lr", "sip:192.0.2.8;lr", "sip:192.0.2.9"]);
    assert_eq!(message.header("x-thing").unwrap(), "caf\u{fffd} and more");
    assert_eq!(&*message.header_bytes("X-THING").unwrap(), b"caf\xe9 and more");
    assert_eq!(message.headers("via").count(), 2);
    assert_eq!(&message.sdp().unwrap()[..], b"v=0\n");
}

#[test]
fn a_response_copies_what_rfc_3261_says() {
    let mut response = Message::response(&invite(), 180, "Ringing");
    response.set_to_tag("t1");
    response.set_to_tag("t2");
    assert_eq!(
        response.to_bytes(),
        &b"SIP/2.0 180 Ringing\r\n\
v: SIP/2.0/UDP 192.0.2.1:5070;branch=z9hG4bK1;rport\r\n\
Via:SIP/2.0/UDP 192.0.2.2;branch=z9hG4bK2\r\n\
Record-Route: <sip:192.0.2.7;lr>, \"P;<2\" <sip:192.0.2.8;lr>\r\n\
RECORD-ROUTE: <sip:192.0.2.9>\r\n\
f :  \"Caller, \\\"x\\\"\" <sip:caller@example.org;p=1> ; tag=99\r\n\
To: <sip:a%20b@example.com>;tag=t1\r\n\
Call-ID: one@two\r\n\
CSeq:  7   INVITE\r\n\
Content-Length: 0\r\n\r\n"[..]
    );
    let refusal = Message::response(&invite(), 486, "Busy Here");
    assert_eq!(refusal.headers("Record-Route").count(), 0);
    let trying = Message::response(&invite(), 100, "Trying");
    assert_eq!(trying.headers("Record-Route").count(), 0);
}

#[test]
fn a_value_from_outside_never_starts_another_field() {
    let evil = "x\r\nX-Evil: 1\r\n\r\nINVITE sip:a SIP/2.0\n\r\0\x7f";
    let mut message = Message::request(Method::Bye, "sip:a\r\nX-Evil: 1 <>@h SIP/2.0\r\n");
    message.push("Reason", evil);
    message.push_front("Via", evil);
    message.set("Reason", evil);
    message.set("Subject", evil);
    message.push("X-Evil: 1\r\nY", "z");
    message.set("X-Evil ", "z");
    message.push_front("", "z");
    message.set_body("text/plain\r\nX-Evil: 1", Bytes::from_static(b"body"));
    message.set_uri("sip:b\nX-Evil: 1");
    let printed = message.to_bytes();
    let head = printed
        .split(|c| *c == b'\n')
        .take_while(|line| line != b"\r")
        .collect::<Vec<_>>();
    assert_eq!(head.len(), 6, "{}", String::from_utf8_lossy(&printed));
    assert!(head.iter().all(|line| !line.starts_with(b"X-Evil")));
    let again = Message::parse(printed).unwrap();
    assert_eq!(again.header("X-Evil"), None);
    assert_eq!(&again.body()[..], b"body");

    let mut request = invite();
    request.set("To", "<sip:b@c>");
    let mut response = Message::response(&request, 486, "Busy\r\nX-Evil: 1");
    response.set_to_tag("t\r\nX-Evil: 1");
    assert_eq!(Message::parse(response.to_bytes()).unwrap().header("X-Evil"), None);
}

#[test]
fn set_push_copy_and_remove_keep_the_order() {
    let mut message = Message::request(Method::Options, "sip:a@b");
    for (name, value) in [
        ("A", "1"),
        ("B", "1"),
        ("a", "2"),
        ("X-Baton-Call", "c"),
        ("x-baton-mode", "m"),
    ] {
        message.push(name, value);
    }
    message.set("A", "3");
    message.set("C", "1");
    message.push_front("Via", "SIP/2.0/UDP h");
    message.remove_prefix("X-Baton-");
    let list = |message: &Message| {
        message
            .fields()
            .map(|(name, value)| format!("{name}={value}"))
            .collect::<Vec<_>>()
    };
    assert_eq!(list(&message), ["Via=SIP/2.0/UDP h", "A=3", "B=1", "C=1"]);
    message.remove("b");
    let mut other = Message::request(Method::Options, "sip:a@b");
    other.copy("C", &message);
    assert_eq!(list(&other), ["C=1"]);
    assert_eq!(list(&message).len(), 3);
}

#[test]
fn content_length_is_always_true() {
    let mut message = invite();
    message.set_body("application/sdp", Bytes::from_static(b"v=0\r\ns=-\r\n"));
    let again = Message::parse(message.to_bytes()).unwrap();
    assert_eq!(again.headers("Content-Length").collect::<Vec<_>>(), ["10"]);
    assert_eq!(again.body(), message.body());
}

#[test]
fn credentials_are_never_shown() {
    let mut message = Message::request(Method::Invite, "sip:a@b");
    message.push("Authorization", "Digest username=\"u\", response=\"secret\"");
    message.push("proxy-authorization", "Digest response=\"secret\"");
    message.push("Subject", "s");
    assert_eq!(
        message.to_string(),
        "INVITE sip:a@b\nAuthorization: (cut)\nproxy-authorization: (cut)\nSubject: s\n(0 bytes of body)"
    );
    assert!(!format!("{message:?}").contains("secret"));
}

#[test]
fn the_source_is_noted_in_the_topmost_via() {
    let stamped = |via: &str, from: &str| {
        let mut message = Message::request(Method::Options, "sip:a@b");
        message.push("Via", via);
        message.stamp_source(from.parse().unwrap());
        let target = message.via().unwrap().response_target().unwrap().to_string();
        (message.header("Via").unwrap().into_owned(), target)
    };
    assert_eq!(
        stamped(
            "SIP/2.0/UDP 10.0.0.1:5070;branch=z9;rport, SIP/2.0/TCP x;branch=y",
            "192.0.2.5:1024"
        ),
        (
            "SIP/2.0/UDP 10.0.0.1:5070;branch=z9;rport=1024;received=192.0.2.5, SIP/2.0/TCP x;branch=y".into(),
            "192.0.2.5:1024".into()
        )
    );
    // Without rport the answer goes to the port of the Via (RFC 3261 §18.2.2).
    assert_eq!(
        stamped("SIP/2.0/UDP name.example;branch=z9", "192.0.2.5:1024"),
        (
            "SIP/2.0/UDP name.example;branch=z9;received=192.0.2.5".into(),
            "192.0.2.5:5060".into()
        )
    );
    assert_eq!(
        stamped("SIP/2.0/UDP [2001:DB8::1]:5070;branch=z9", "[2001:db8::1]:5070"),
        (
            "SIP/2.0/UDP [2001:DB8::1]:5070;branch=z9".into(),
            "[2001:db8::1]:5070".into()
        )
    );
}

/// Start, fields and body: all that a message says. Content-Length apart, which printing may add.
fn said(message: &Message) -> (Start, Vec<(String, String)>, Bytes) {
    let fields = message
        .fields()
        .map(|(name, value)| (name.into_owned(), value.into_owned()));
    let fields = fields
        .filter(|(name, _)| !header::same_name(name.as_bytes(), b"Content-Length"))
        .collect();
    (message.start().clone(), fields, message.body().clone())
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(2_000))]
    #[test]
    fn mutations_never_panic_and_what_is_printed_is_read_alike(
        which in 0..torture::CASES.len(),
        edits in proptest::collection::vec((0usize..4_000, 0u8..4, proptest::prelude::any::<u8>()), 0..10),
    ) {
        let mut bytes = torture::CASES[which].bytes();
        for (at, kind, byte) in edits {
            let at = at % bytes.len().max(1);
            let special = b"\r\n:;,<>\"\\ \t@[]%="[usize::from(byte) % 16];
            match kind {
                0 if !bytes.is_empty() => bytes[at] = byte,
                1 if !bytes.is_empty() => bytes[at] = special,
                2 => bytes.insert(at, special),
                _ if !bytes.is_empty() => _ = bytes.remove(at),
                _ => {}
            }
        }
        let source = "192.0.2.9:5060".parse().unwrap();
        let _ = crate::guard::guard(Bytes::from(bytes.clone()), source, &Limits::default(), &[Method::Invite]);
        if let Ok(message) = Message::parse(Bytes::from(bytes)) {
            let _ = (message.check(), message.contact(), message.route(), message.record_route(), message.retry_after());
            let printed = message.to_bytes();
            let again = Message::parse(printed.clone()).unwrap();
            proptest::prop_assert_eq!(said(&again), said(&message));
            proptest::prop_assert_eq!(again.to_bytes(), printed);
        }
    }
}
