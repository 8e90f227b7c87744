//! What we print, another implementation reads alike.

use rsip::prelude::*;

use super::*;

fn request() -> Message {
    let mut message = Message::request(Method::Invite, "sip:b@192.0.2.7:5070;transport=udp");
    message.push(
        "Via",
        &Via::udp("192.0.2.1:5060".parse().unwrap(), "z9hG4bKabc").to_string(),
    );
    message.push("Max-Forwards", "70");
    let mut from = NameAddr::new(Uri::parse("sip:a%20b@192.0.2.1").unwrap());
    from.display = Some("Alice \"A\"".into());
    from.params.set("tag", Some("f1"));
    message.push("From", &from.to_string());
    message.push("To", &NameAddr::new(Uri::parse("sip:b@192.0.2.7").unwrap()).to_string());
    message.push("Call-ID", "id@192.0.2.1");
    message.push(
        "CSeq",
        &Cseq {
            number: 4711,
            method: Method::Invite,
        }
        .to_string(),
    );
    message.push("Contact", "<sip:baton@192.0.2.1:5060>");
    message.push("Supported", "replaces");
    message.set_body("application/sdp", Bytes::from_static(b"v=0\r\n"));
    message
}

#[test]
fn a_request_is_read_alike() {
    let ours = request();
    let theirs = rsip::Request::try_from(ours.to_bytes().to_vec()).unwrap();
    assert_eq!(theirs.method.to_string(), "INVITE");
    assert_eq!(theirs.uri.to_string(), "sip:b@192.0.2.7:5070;transport=UDP");
    let via = theirs.via_header().unwrap().typed().unwrap();
    assert_eq!(via.branch().unwrap().to_string(), ours.via().unwrap().branch().unwrap());
    assert_eq!(via.uri.host_with_port.to_string(), "192.0.2.1:5060");
    let from = theirs.from_header().unwrap().typed().unwrap();
    assert_eq!(from.tag().unwrap().to_string(), ours.from().unwrap().tag().unwrap());
    assert_eq!(
        theirs.from_header().unwrap().uri().unwrap().to_string(),
        "sip:a%20b@192.0.2.1"
    );
    assert!(theirs.to_header().unwrap().tag().unwrap().is_none());
    assert_eq!(theirs.call_id_header().unwrap().value(), ours.call_id().unwrap());
    assert_eq!(theirs.cseq_header().unwrap().seq().unwrap(), 4711);
    assert_eq!(theirs.cseq_header().unwrap().method().unwrap(), rsip::Method::Invite);
    assert_eq!(theirs.max_forwards_header().unwrap().num().unwrap(), 70);
    assert_eq!(
        theirs.contact_header().unwrap().uri().unwrap().to_string(),
        "sip:baton@192.0.2.1:5060"
    );
    assert_eq!(theirs.body, ours.body().to_vec());
    let names: Vec<_> = theirs.headers.iter().map(|header| header.to_string()).collect();
    let expected: Vec<_> = Message::parse(ours.to_bytes())
        .unwrap()
        .fields()
        .map(|(n, v)| format!("{n}: {v}"))
        .collect();
    assert_eq!(names, expected);
}

#[test]
fn a_response_is_read_alike() {
    let mut ours = Message::response(&request(), 486, "Busy Here");
    ours.set_to_tag("t9");
    ours.push("Retry-After", "30");
    let theirs = rsip::Response::try_from(ours.to_bytes().to_vec()).unwrap();
    assert_eq!(theirs.status_code.code(), 486);
    assert_eq!(theirs.to_header().unwrap().tag().unwrap().unwrap().to_string(), "t9");
    assert_eq!(theirs.from_header().unwrap().tag().unwrap().unwrap().to_string(), "f1");
    assert_eq!(theirs.cseq_header().unwrap().seq().unwrap(), 4711);
    assert_eq!(
        theirs
            .via_header()
            .unwrap()
            .typed()
            .unwrap()
            .branch()
            .unwrap()
            .to_string(),
        "z9hG4bKabc"
    );
    let names: Vec<_> = theirs.headers.iter().map(|header| header.to_string()).collect();
    let expected: Vec<_> = Message::parse(ours.to_bytes())
        .unwrap()
        .fields()
        .map(|(n, v)| format!("{n}: {v}"))
        .collect();
    assert_eq!(names, expected);
    assert_eq!(ours.retry_after(), Some(30));
}
