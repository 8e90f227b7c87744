//! Guard, parser and printer of SIP.

use std::net::SocketAddr;

use bytes::Bytes;
use sip::guard::{Guarded, guard};
use sip::header::{
    Cseq, Event, From, Header, Reason, RecordRoute, ReferTo, ReferredBy, RetryAfter, Route, SubscriptionState, To, Via,
};
use sip::message::{Limits, Message, Start};
use sip::method::Method;

use crate::headers;

pub(crate) const WORDS: &[&str] = &[
    "Content-Length: 18446744073709551617\r\n",
    "Content-Length : 4294967297\r\n",
    "l: -1\r\n",
    "Via: SIP/2.0/UDP [2001:db8::1]:5060;branch=z9hG4bK;rport;received=[::1]\r\n",
    "v:SIP / 2.0 / TCP a.example : 5060 ;branch=z9hG4bKx, SIP/2.0/UDP b.example\r\n",
    "Route: <sip:a.example;lr>,<sip:b.example>\r\n",
    "Record-Route: <sip:192.0.2.66;lr>\r\n",
    "Contact: *\r\n",
    "Contact: <sip:x@192.0.2.66>, \"a,b\" <sip:y@[::1]:5060;x=\"1\">\r\n",
    "Max-Forwards: 0\r\n",
    "Require: 100rel, replaces\r\n",
    "Refer-To: <sip:support@h?Replaces=a%3Bto-tag%3Db%3Bfrom-tag%3Dc>\r\n",
    "Authorization: Digest username=\"u\", realm=\"r\", nonce=\"n\", response=\"0\"\r\n",
    "WWW-Authenticate: Digest realm=\"r\", nonce=\"n\", algorithm=SHA-256, qop=\"auth,auth-int\", stale=TRUE\r\n",
    "Event: refer;id=1\r\n",
    "Subscription-State: terminated;reason=noresource\r\n",
    "CSeq: 2147483648 INVITE\r\n",
    "CSeq: 1 BYE\r\n",
    "\"\\\"",
    "<sip:a@b>",
    "sips:%00@[::ffff:192.0.2.1]:0;transport=tcp?a=b",
    "tel:+1-201-555-0123;phone-context=x",
    ";tag=",
    ";branch=z9hG4bK",
    ";received=",
    ";rport",
    "SIP/2.0",
    "sip/2.0 ",
    "SIP/7.0",
    "INVITE ",
    "ACK ",
    "CANCEL ",
    "OPTIONS ",
    "REFER ",
    "NOTIFY ",
    "BYE ",
    "SIP/2.0 200 OK\r\n",
    "SIP/2.0 491 \r\n",
];

/// What the guard lets through in the targets.
pub(crate) const ALLOWED: [Method; 5] = [
    Method::Invite,
    Method::Ack,
    Method::Bye,
    Method::Cancel,
    Method::Options,
];

/// What a printed message is read with: it may have become longer by our own header fields.
const WIDE: Limits = Limits {
    message: 1 << 20,
    line: 1 << 17,
    fields: 4096,
};

/// An answer of the guard to a request is at most that much longer: status line, To tag, Allow, `received`, Content-Length.
const ANSWER_MORE: usize = 400;

pub(crate) fn target(data: &[u8]) {
    let datagram = Bytes::copy_from_slice(data);
    let tight = Limits {
        message: 300,
        line: 60,
        fields: 6,
    };
    match Message::parse(datagram.clone()) {
        Ok(message) => {
            inspect(&message);
            round_trip(&message);
            change(message, data);
        }
        Err(rejection) => {
            assert!(matches!(rejection.status, 400 | 505 | 513), "{rejection:?}");
            if let Some(request) = rejection.request {
                inspect(&request);
            }
        }
    }
    guarded(&datagram, &Limits::default());
    guarded(&datagram, &tight);
}

fn guarded(datagram: &Bytes, limits: &Limits) {
    let from: SocketAddr = ([192, 0, 2, 66], 5099).into();
    match guard(datagram.clone(), from, limits, &ALLOWED) {
        Guarded::Message(message) => {
            assert_eq!(message.check(), Ok(()));
            assert!(message.via().is_some() && message.from().is_some() && message.to().is_some());
            assert!(message.cseq().is_some() && message.call_id().is_some());
            let via = message.via().expect("checked");
            if message.method().is_some() && via.rport().is_some() {
                assert_eq!(
                    via.response_target(),
                    Some(from),
                    "an answer goes to where the request came from"
                );
            }
            inspect(&message);
            round_trip(&message);
        }
        Guarded::Answer(bytes) => {
            assert!(
                bytes.len() <= datagram.len() + ANSWER_MORE,
                "{} bytes answer {}",
                bytes.len(),
                datagram.len()
            );
            let answer = well_formed(&bytes);
            assert!(
                answer.header_bytes("Via").is_some(),
                "nobody can relate it to a request"
            );
            assert!(answer.status().is_some_and(|status| (400..600).contains(&status)));
            assert!(answer.body().is_empty());
            assert!(
                !datagram.trim_ascii_start().starts_with(b"ACK "),
                "an ACK is never answered"
            );
        }
        Guarded::Drop(_) => {}
    }
}

/// What we send must at least be a message to ourselves.
pub(crate) fn well_formed(bytes: &Bytes) -> Message {
    let message =
        Message::parse_within(bytes.clone(), &WIDE).unwrap_or_else(|rejection| panic!("we sent {rejection:?}"));
    assert_eq!(
        message.to_bytes(),
        *bytes,
        "a message of ours is printed as it was read"
    );
    message
}

/// Everything that can be asked of a message.
fn inspect(message: &Message) {
    assert_ne!(message.method().is_some(), message.status().is_some());
    assert_eq!(message.uri().is_some(), message.method().is_some());
    if let Some(Ok(uri)) = message.uri() {
        headers::uri(&uri);
    }
    _ = (
        message.reason(),
        message.check(),
        message.max_forwards(),
        message.retry_after(),
    );
    for (name, value) in message.fields() {
        assert!(!name.is_empty());
        assert!(!value.contains('\n'), "a value is unfolded");
        assert!(message.header(&name).is_some() && message.header_bytes(&name).is_some());
    }
    assert!(message.headers("Via").count() <= message.fields().count());
    for via in [message.via(), message.typed::<Via>().and_then(Result::ok)]
        .into_iter()
        .flatten()
    {
        headers::via(&via);
    }
    let addresses = [message.from(), message.to(), message.contact()];
    for address in addresses
        .into_iter()
        .flatten()
        .chain(message.route())
        .chain(message.record_route())
    {
        headers::name_addr(&address);
    }
    if let Some(cseq) = message.cseq() {
        assert_eq!(Cseq::parse(&cseq.to_string()), Ok(cseq));
    }
    if let Some(Ok(reason)) = message.typed::<Reason>() {
        headers::reason(&reason);
    }
    _ = (message.typed::<From>(), message.typed::<To>(), message.typed::<Route>());
    _ = (message.typed::<RecordRoute>(), message.typed::<RetryAfter>());
    _ = (message.content_type(), message.sdp());
    assert!(message.sipfrag().is_none_or(|status| (100..700).contains(&status)));
    if let Some(Ok(ReferTo(address))) = message.typed::<ReferTo>() {
        headers::name_addr(&address);
    }
    if let Some(Ok(ReferredBy(address))) = message.typed::<ReferredBy>() {
        headers::name_addr(&address);
    }
    _ = (message.typed::<Event>(), message.typed::<SubscriptionState>());
    _ = format!("{message}{message:?}");
}

/// What we print is read to the same fields.
fn round_trip(message: &Message) {
    let printed = message.to_bytes();
    let again = well_formed(&printed);
    assert_eq!(message.body(), again.body());
    let same = match (message.start(), again.start()) {
        // Ours say "SIP/2.0" in one way.
        (a @ Start::Request { .. }, b @ Start::Request { .. }) => a == b,
        (a @ Start::Response { .. }, b @ Start::Response { .. }) => a == b,
        _ => false,
    };
    assert!(same, "{:?} became {:?}", message.start(), again.start());
    let fields = |message: &Message| -> Vec<(String, String)> {
        message
            .fields()
            .map(|(name, value)| (name.into_owned(), value.into_owned()))
            .filter(|(name, _)| !name.eq_ignore_ascii_case("Content-Length") && !name.eq_ignore_ascii_case("l"))
            .collect()
    };
    assert_eq!(fields(message), fields(&again));
    assert_eq!(message.check(), again.check());
}

/// Whatever is put into a message, it stays one message.
fn change(mut message: Message, data: &[u8]) {
    let text = String::from_utf8_lossy(&data[..data.len().min(300)]).into_owned();
    let fields = message.fields().count();
    message.push("X-Any", &text);
    message.push(&text, "a name from outside");
    message.push_front("Via", "SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKf");
    message.set("X-Other", &text);
    message.set_to_tag(&text);
    message.set_uri(&text);
    message.stamp_source(([192, 0, 2, 66], 5099).into());
    let printed = message.to_bytes();
    let again = well_formed(&printed);
    assert!(again.fields().count() <= fields + 5);
    assert_eq!(again.body(), message.body());
    message.remove_prefix("X-");
    message.remove("Via");
    assert!(message.header("X-Any").is_none() && message.via().is_none());
    let mut other = Message::response(&again, 486, &text);
    other.copy("X-Any", &again);
    other.set_body("application/sdp", Bytes::copy_from_slice(data));
    assert_eq!(well_formed(&other.to_bytes()).body(), data);
}
