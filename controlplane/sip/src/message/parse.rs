use bytes::Bytes;

use super::{Field, Message, Start};
use crate::header::{self, Contact, ContentLength, Cseq, Header, Malformed, MaxForwards, Via};
use crate::method::Method;
use crate::uri::{Scheme, Uri};
use crate::work::looked_at;

/// Bounds on what a peer may make us look at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Longest message, bytes.
    pub message: usize,
    /// Longest header field with its folds, and longest first line, bytes.
    pub line: usize,
    /// Most header fields.
    pub fields: usize,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            message: 65_535,
            line: 8_192,
            fields: 256,
        }
    }
}

/// Why a datagram is not a message, and what may be answered.
#[derive(Clone, Debug)]
pub struct Rejection {
    /// 400, 505 or 513.
    pub status: u16,
    /// What is wrong, as a reason phrase.
    pub reason: &'static str,
    /// What could be read of a request, for the answer; `None` where nothing may be answered: a response, an ACK, or no
    /// SIP at all.
    pub request: Option<Box<Message>>,
}

type Fault = (u16, &'static str);

const TOO_LARGE: u16 = 513;

pub(super) fn parse(datagram: Bytes, limits: &Limits) -> Result<Message, Rejection> {
    // "Implementations processing SIP messages over stream-oriented transports MUST ignore any CRLF appearing before the
    // start-line" (RFC 3261 §7.5); they are keep-alives on UDP too.
    let lead = datagram.iter().take_while(|c| matches!(c, b'\r' | b'\n')).count();
    let mut data = datagram.slice(lead..);
    let too_long = data.len() > limits.message;
    // What the answer needs stands at the front.
    data.truncate(limits.message);

    let Some((line, mut at)) = next_line(&data, 0, data.len()) else {
        return Err(Rejection {
            status: 400,
            reason: "Bad Request",
            request: None,
        });
    };
    let (start, mut fault) = match start_line(&data, line.0, line.1) {
        Ok(start) => (Some(start), None),
        Err((start, fault)) => (start, Some(fault)),
    };
    let Some(start) = start else {
        return Err(Rejection {
            status: 400,
            reason: "Bad Request",
            request: None,
        });
    };
    if line.1 > limits.line {
        fault = Some((TOO_LARGE, "First Line Too Long"));
    }
    if too_long {
        fault = Some((TOO_LARGE, "Message Too Large"));
    }

    let mut message = Message {
        start,
        fields: Vec::with_capacity(24),
        body: Bytes::new(),
    };
    loop {
        let (first, mut end, next) = match next_line(&data, at, limits.line) {
            Some(((first, end), next)) => (first, end, next),
            None if data.len() - at > limits.line => {
                fault = fault.or(Some((TOO_LARGE, "Header Line Too Long")));
                break;
            }
            None => {
                fault = fault.or(Some((400, "Header Not Terminated")));
                break;
            }
        };
        at = next;
        if first == end {
            break;
        }
        // A line that begins with white space goes on with the one before (RFC 3261 §7.3.1).
        let mut unterminated = false;
        while matches!(data.get(at), Some(b' ' | b'\t')) && end - first <= limits.line {
            match next_line(&data, at, limits.line) {
                Some(((_, fold_end), next)) => (end, at) = (fold_end, next),
                None => {
                    unterminated = true;
                    break;
                }
            }
        }
        if end - first > limits.line || (unterminated && data.len() - at > limits.line) {
            fault = fault.or(Some((TOO_LARGE, "Header Line Too Long")));
            break;
        }
        if unterminated {
            fault = fault.or(Some((400, "Header Not Terminated")));
            break;
        }
        if message.fields.len() == limits.fields {
            fault = fault.or(Some((TOO_LARGE, "Too Many Header Fields")));
            break;
        }
        match field(data.slice(first..end)) {
            Some(field) => message.fields.push(field),
            None => fault = fault.or(Some((400, "Malformed Header Field"))),
        }
    }

    if fault.is_none() {
        match body_length(&message, data.len() - at) {
            // "If there are additional bytes in the transport packet beyond the end of the body, they MUST be discarded."
            // (RFC 3261 §18.3)
            Ok(length) => message.body = data.slice(at..at + length),
            Err(error) => fault = Some(error),
        }
    }
    match fault {
        None => Ok(message),
        Some((status, reason)) => {
            let answerable = message.method().is_some_and(|method| *method != Method::Ack);
            Err(Rejection {
                status,
                reason,
                request: answerable.then(|| Box::new(message)),
            })
        }
    }
}

/// One line from `at`: its bounds without the line end, and where the next begins. It looks at `limit` bytes and their line
/// end at the most.
fn next_line(data: &[u8], at: usize, limit: usize) -> Option<((usize, usize), usize)> {
    let window = &data[at..data.len().min(at + limit + 2)];
    let length = window.iter().position(|c| *c == b'\n');
    looked_at(length.unwrap_or(window.len()));
    let feed = at + length?;
    let end = if feed > at && data[feed - 1] == b'\r' {
        feed - 1
    } else {
        feed
    };
    Some(((at, end), feed + 1))
}

/// Reads the first line. An error has what can be said of the start all the same: `None` where this is no SIP.
fn start_line(data: &Bytes, first: usize, end: usize) -> Result<Start, (Option<Start>, Fault)> {
    let line = data.slice(first..end);
    if line.get(..4).is_some_and(|name| name.eq_ignore_ascii_case(b"SIP/")) {
        return status_line(&line).ok_or((None, (400, "Bad Request")));
    }
    // White space behind the version does not make it ambiguous (RFC 4475 §3.1.2.10).
    let line = line.slice_ref(line.trim_ascii_end());
    let (Some(method_end), Some(uri_end)) = (
        line.iter().position(|c| *c == b' '),
        line.iter().rposition(|c| *c == b' '),
    ) else {
        return Err((None, (400, "Bad Request")));
    };
    let version = &line[uri_end + 1..];
    let Some(method) = Method::parse(&line[..method_end]) else {
        return Err((None, (400, "Bad Request")));
    };
    if !version.get(..4).is_some_and(|name| name.eq_ignore_ascii_case(b"SIP/")) {
        return Err((None, (400, "Bad Request")));
    }
    let uri = line.slice((method_end + 1).min(uri_end)..uri_end);
    let strange = uri.is_empty() || uri.iter().any(|c| *c <= b' ' || *c == 0x7f || matches!(c, b'<' | b'>'));
    let start = Start::Request { method, uri };
    if !version.eq_ignore_ascii_case(b"SIP/2.0") {
        return Err((Some(start), (505, "Version Not Supported")));
    }
    if strange {
        return Err((Some(start), (400, "Malformed Request-URI")));
    }
    Ok(start)
}

fn status_line(line: &Bytes) -> Option<Start> {
    let rest = line
        .get(..8)
        .filter(|version| version.eq_ignore_ascii_case(b"SIP/2.0 "))
        .map(|_| line.slice(8..))?;
    let code = rest.get(..3)?;
    // The space before an empty reason phrase is sometimes missing.
    let reason = match rest.get(3) {
        None => Bytes::new(),
        Some(b' ') => rest.slice(4..),
        Some(_) => return None,
    };
    let status = std::str::from_utf8(code).ok().and_then(crate::uri::digits)?;
    let status = u16::try_from(status)
        .ok()
        .filter(|status| (100..=699).contains(status))?;
    (!reason.contains(&b'\r')).then_some(Start::Response { status, reason })
}

fn field(line: Bytes) -> Option<Field> {
    looked_at(line.len());
    let colon = line.iter().position(|c| *c == b':')?;
    // "The formal grammar … allows white space on either side of the colon" (RFC 3261 §7.3.1).
    let name_end = line[..colon].trim_ascii_end().len();
    if !header::is_token(&line[..name_end]) {
        return None;
    }
    // Some take a lone CR for a line end: passed on, it could hide a header field from us that they see.
    let lone = line
        .iter()
        .enumerate()
        .any(|(at, c)| *c == b'\r' && line.get(at + 1) != Some(&b'\n'));
    (!lone).then_some(Field {
        line,
        name_end,
        value_start: colon + 1,
    })
}

fn body_length(message: &Message, rest: usize) -> Result<usize, Fault> {
    let mut length = None;
    for value in message.headers(ContentLength::NAME) {
        let ContentLength(told) = ContentLength::parse(&value).map_err(|_| (400, "Malformed Content-Length"))?;
        if length.is_some_and(|length| length != told) {
            return Err((400, "Two Content-Lengths"));
        }
        length = Some(told);
    }
    match length {
        // "If no Content-Length is present, the body is assumed to end at the end of the transport packet." (§18.3)
        None => Ok(rest),
        Some(told) => match usize::try_from(told) {
            Ok(told) if told <= rest => Ok(told),
            // "If the transport packet ends before the end of the message body, this is considered an error." (§18.3)
            _ => Err((400, "Body Shorter Than Content-Length")),
        },
    }
}

pub(super) fn check(message: &Message) -> Result<(), Fault> {
    for (name, missing, twice) in [
        ("Via", "Missing Via", ""),
        ("From", "Missing From", "Two From Fields"),
        ("To", "Missing To", "Two To Fields"),
        ("Call-ID", "Missing Call-ID", "Two Call-IDs"),
        ("CSeq", "Missing CSeq", "Two CSeq Fields"),
    ] {
        match message.headers(name).take(2).count() {
            0 => return Err((400, missing)),
            2 if !twice.is_empty() => return Err((400, twice)),
            _ => {}
        }
    }
    for value in message.headers("Via") {
        Via::parse_list(&value).map_err(|_| (400, "Malformed Via"))?;
    }
    let via = message.via().ok_or((400, "Malformed Via"))?;
    // The magic cookie alone makes every request of that client the same transaction (RFC 4475 §3.2.1).
    // Control characters are nothing: they do not outlive our printing.
    if via.branch().is_some_and(|branch| {
        let branch = branch.trim_matches(|c: char| c.is_control() || c.is_whitespace());
        branch.is_empty() || branch.eq_ignore_ascii_case("z9hG4bK")
    }) {
        return Err((400, "Empty Branch"));
    }
    message.from().ok_or((400, "Malformed From"))?;
    message.to().ok_or((400, "Malformed To"))?;
    if message.call_id().is_none_or(|call_id| call_id.is_empty()) {
        return Err((400, "Empty Call-ID"));
    }
    let cseq = message
        .typed::<Cseq>()
        .and_then(Result::ok)
        .ok_or((400, "Malformed CSeq"))?;
    if matches!(message.typed::<Contact>(), Some(Err(Malformed))) {
        return Err((400, "Malformed Contact"));
    }
    let Start::Request { method, uri } = &message.start else {
        return Ok(());
    };
    if cseq.method != *method {
        return Err((400, "CSeq And Method Differ"));
    }
    if matches!(message.typed::<MaxForwards>(), Some(Err(Malformed)))
        || message.headers(MaxForwards::NAME).take(2).count() == 2
    {
        return Err((400, "Malformed Max-Forwards"));
    }
    let uri = std::str::from_utf8(uri).map_err(|_| (400, "Malformed Request-URI"))?;
    match Uri::parse(uri) {
        Ok(uri) if matches!(uri.scheme(), Scheme::Tel) && uri.user().is_none_or(str::is_empty) => {
            Err((400, "Malformed Request-URI"))
        }
        Ok(_) => Ok(()),
        Err(_) => Err((400, "Malformed Request-URI")),
    }
}
