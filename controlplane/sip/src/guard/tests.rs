use super::*;

const ALLOWED: [Method; 5] = [
    Method::Invite,
    Method::Ack,
    Method::Bye,
    Method::Cancel,
    Method::Options,
];

fn request(first: &str, cseq: &str, more: &str) -> String {
    format!(
        "{first}\r\nVia: SIP/2.0/UDP 10.0.0.1;branch=z9hG4bKa;rport\r\nFrom: <sip:a@h>;tag=1\r\nTo: <sip:b@h>\r\n\
         Call-ID: c\r\nCSeq: {cseq}\r\n{more}\r\n"
    )
}

fn guarded(text: &str) -> Guarded {
    guard(
        Bytes::copy_from_slice(text.as_bytes()),
        "192.0.2.5:1024".parse().unwrap(),
        &Limits::default(),
        &ALLOWED,
    )
}

fn answered(text: &str) -> (u16, Message) {
    match guarded(text) {
        Guarded::Answer(bytes) => {
            let message = Message::parse(bytes).unwrap();
            assert_eq!(message.check(), Ok(()));
            (message.status().unwrap(), message)
        }
        other => panic!("{other:?}"),
    }
}

fn dropped(text: &str) -> DropReason {
    match guarded(text) {
        Guarded::Drop(reason) => reason,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_good_request_passes_with_its_source_noted() {
    let Guarded::Message(message) = guarded(&request("INVITE sip:b@h SIP/2.0", "1 INVITE", "")) else {
        panic!()
    };
    assert_eq!(
        message.header("Via").unwrap(),
        "SIP/2.0/UDP 10.0.0.1;branch=z9hG4bKa;rport=1024;received=192.0.2.5"
    );
}

#[test]
fn a_good_response_passes_as_it_is() {
    let Guarded::Message(message) = guarded(&request("SIP/2.0 200 OK", "1 INVITE", "")) else {
        panic!()
    };
    assert_eq!(
        message.header("Via").unwrap(),
        "SIP/2.0/UDP 10.0.0.1;branch=z9hG4bKa;rport"
    );
}

#[test]
fn an_unknown_method_gets_405_with_what_is_allowed() {
    let (status, message) = answered(&request("NEWMETHOD sip:b@h SIP/2.0", "1 NEWMETHOD", ""));
    assert_eq!(status, 405);
    assert_eq!(message.header("Allow").unwrap(), "INVITE, ACK, BYE, CANCEL, OPTIONS");
    assert_eq!(
        message.via().unwrap().response_target(),
        Some("192.0.2.5:1024".parse().unwrap())
    );
    assert_eq!(message.cseq().unwrap().method, Method::Other("NEWMETHOD".into()));
}

#[test]
fn a_refusal_repeats_itself_with_the_same_tag() {
    let text = request("REGISTER sip:h SIP/2.0", "1 REGISTER", "");
    let tag = answered(&text).1.to().unwrap().tag().unwrap();
    assert_eq!(answered(&text).1.to().unwrap().tag().unwrap(), tag);
    assert_ne!(
        answered(&text.replace("CSeq: 1", "CSeq: 2"))
            .1
            .to()
            .unwrap()
            .tag()
            .unwrap(),
        tag
    );
}

#[test]
fn what_is_dangerous_is_answered() {
    assert_eq!(answered(&request("INVITE sip:b@h SIP/3.0", "1 INVITE", "")).0, 505);
    assert_eq!(answered(&request("INVITE sip:b@h SIP/2.0", "1 BYE", "")).0, 400);
    assert_eq!(
        answered(&request(
            "INVITE sip:b@h SIP/2.0",
            "1 INVITE",
            "l: 0\r\nContent-Length: 5\r\n"
        ))
        .0,
        400
    );
    assert_eq!(
        answered(&request(
            "INVITE sip:b@h SIP/2.0",
            "1 INVITE",
            "l: 18446744073709551615\r\n"
        ))
        .0,
        400
    );
    assert_eq!(
        answered(&request(
            "INVITE sip:b@h SIP/2.0",
            "1 INVITE",
            &format!("S: {}\r\n", "x".repeat(9000))
        ))
        .0,
        513
    );
}

#[test]
fn thousands_of_tiny_headers_end_at_the_limit() {
    let (status, message) = answered(&request("INVITE sip:b@h SIP/2.0", "1 INVITE", &"a:b\r\n".repeat(7_500)));
    assert_eq!(
        (status, message.reason().unwrap().as_ref()),
        (513, "Too Many Header Fields")
    );
    // Only what the limit let in was looked at: the answer has no more than the five fields it is made of.
    assert_eq!(message.fields().count(), 6);
    assert_eq!(
        dropped(&format!("INVITE sip:b@h SIP/2.0\r\n{}", "a:b\r\n".repeat(7_500))),
        DropReason::NoVia
    );
}

#[test]
fn what_must_not_be_answered_is_dropped() {
    assert_eq!(dropped("\r\n\r\n"), DropReason::KeepAlive);
    assert_eq!(dropped(""), DropReason::KeepAlive);
    assert_eq!(dropped("\u{1}\u{1}\0\0 binding request"), DropReason::NotSip);
    assert_eq!(dropped("GET / HTTP/1.1\r\nHost: h\r\n\r\n"), DropReason::NotSip);
    assert_eq!(
        dropped(&request("ACK sip:b@h SIP/2.0", "1 INVITE", "")),
        DropReason::BadAck
    );
    assert_eq!(
        dropped(&request("ACK sip:b@h SIP/9.0", "1 ACK", "")),
        DropReason::BadAck
    );
    assert_eq!(dropped(&request("SIP/2.0 200 OK", "x", "")), DropReason::BadResponse);
    assert_eq!(
        dropped(&request("SIP/2.0 200 OK", "1 INVITE", "l: 5\r\n")),
        DropReason::BadResponse
    );
    assert_eq!(
        dropped("INVITE sip:b@h SIP/2.0\r\nFrom: <sip:a@h>\r\n\r\n"),
        DropReason::NoVia
    );
}
