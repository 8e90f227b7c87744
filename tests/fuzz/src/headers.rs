//! Values of header fields, straight into their parsers.

use sip::header::{
    Contact, ContentLength, Cseq, From, Header, MaxForwards, NameAddr, Params, Reason, RecordRoute, RetryAfter, Route,
    To, Via,
};
use sip::method::Method;
use sip::uri::Uri;

pub(crate) fn target(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    // A value comes unfolded to its parser.
    let text = text.replace(['\r', '\n'], " ");
    if let Ok(read) = Uri::parse(&text) {
        uri(&read);
    }
    if let Ok(read) = NameAddr::parse(&text) {
        name_addr(&read);
    }
    if let Ok(read) = Via::parse(&text) {
        via(&read);
    }
    for read in Via::parse_list(&text).into_iter().flatten() {
        via(&read);
    }
    if let Ok(read) = Reason::parse(&text) {
        reason(&read);
    }
    if let Ok(read) = Params::parse(&text) {
        let printed = read.to_string();
        assert_eq!(Params::parse(&printed), Ok(read), "{printed:?}");
    }
    if let Ok(Contact::Addresses(addresses)) = Contact::parse(&text) {
        assert!(!addresses.is_empty());
        addresses.iter().for_each(name_addr);
    }
    for addresses in [
        Route::parse(&text).map(|route| route.0),
        RecordRoute::parse(&text).map(|route| route.0),
    ] {
        addresses.iter().flatten().for_each(name_addr);
    }
    if let Ok(cseq) = Cseq::parse(&text) {
        assert!(cseq.number < 1 << 31);
    }
    _ = (
        From::parse(&text),
        To::parse(&text),
        RetryAfter::parse(&text),
        MaxForwards::parse(&text),
    );
    if let Ok(ContentLength(length)) = ContentLength::parse(&text) {
        assert_eq!(text.trim().trim_start_matches('0').parse().unwrap_or(0), length);
    }
    if let Some(method) = Method::parse(text.as_bytes()) {
        assert_eq!(method.as_str(), text);
    }
}

/// A URI is printed as it came, and its parts lie in it.
pub(crate) fn uri(uri: &Uri) {
    let text = uri.to_string();
    let again = Uri::parse(&text).expect("a URI is read again");
    assert_eq!(again, *uri);
    assert!(uri.equivalent(&again), "{text:?} is itself");
    assert_eq!(uri.user_unescaped().is_some(), uri.user().is_some());
    assert_eq!(
        (uri.user(), uri.password(), uri.host()),
        (again.user(), again.password(), again.host())
    );
    assert_eq!((uri.port(), uri.socket_addr()), (again.port(), again.socket_addr()));
    assert_eq!(uri.scheme(), again.scheme());
    for (name, _) in uri.params() {
        assert!(uri.param(name).is_some());
    }
    assert!(
        uri.headers()
            .all(|(name, value)| text.contains(name) && text.contains(value))
    );
}

pub(crate) fn name_addr(address: &NameAddr) {
    uri(&address.uri);
    let printed = address.to_string();
    let again = NameAddr::parse(&printed).unwrap_or_else(|_| panic!("{printed:?} is not read again"));
    assert_eq!(again, *address, "{printed:?}");
    _ = (address.tag(), again.params.get("q"));
}

pub(crate) fn via(via: &Via) {
    let printed = via.to_string();
    assert_eq!(Via::parse(&printed).as_ref(), Ok(via), "{printed:?}");
    _ = (via.branch(), via.received(), via.rport(), via.response_target());
}

pub(crate) fn reason(reason: &Reason) {
    let printed = reason.to_string();
    assert_eq!(Reason::parse(&printed).as_ref(), Ok(reason), "{printed:?}");
}
