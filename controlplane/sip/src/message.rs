//! Messages: the bytes as received, and views into them.
//!
//! A message is a start line, header fields and a body. Each is a view into the datagram that it came in, or bytes of our
//! own; what nobody changed is printed byte for byte as it came. Values get a type when somebody asks for it.

use std::borrow::Cow;
use std::fmt;

use bytes::{BufMut, Bytes, BytesMut};

use crate::header::{
    self, Contact, Cseq, Header, Malformed, MaxForwards, NameAddr, ReferTo, ReferredBy, RetryAfter, Via,
};
use crate::method::Method;
use crate::uri::{InvalidUri, Uri};
use crate::work::looked_at;

mod parse;

pub use parse::{Limits, Rejection};

/// A SIP message.
#[derive(Clone, Debug)]
pub struct Message {
    start: Start,
    fields: Vec<Field>,
    body: Bytes,
}

/// A message's first line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Start {
    /// A request.
    Request {
        /// Its method.
        method: Method,
        /// Its Request-URI as it came.
        uri: Bytes,
    },
    /// A response.
    Response {
        /// 100–699.
        status: u16,
        /// The reason phrase as it came.
        reason: Bytes,
    },
}

/// One header field: the whole line (with its folds, without the last line end) and where name and value lie in it.
#[derive(Clone)]
struct Field {
    line: Bytes,
    name_end: usize,
    value_start: usize,
}

impl Field {
    fn new(name: &str, value: &[u8]) -> Field {
        let mut line = BytesMut::with_capacity(name.len() + 2 + value.len());
        line.put_slice(name.as_bytes());
        line.put_slice(b": ");
        line.extend(value.iter().map(|c| harmless(*c)));
        Field {
            line: line.freeze(),
            name_end: name.len(),
            value_start: name.len() + 2,
        }
    }

    fn is(&self, name: &str) -> bool {
        looked_at(self.name_end.min(name.len()));
        header::same_name(&self.line[..self.name_end], name.as_bytes())
    }

    /// The value, unfolded.
    fn value(&self) -> Cow<'_, [u8]> {
        let value = self.line[self.value_start..].trim_ascii();
        looked_at(value.len());
        if !value.contains(&b'\n') {
            return Cow::Borrowed(value);
        }
        // "The SIP header field value folding … is equivalent to a single SP" (RFC 3261 §7.3.1).
        let lines: Vec<_> = value.split(|c| *c == b'\n').map(<[u8]>::trim_ascii).collect();
        Cow::Owned(lines.join(&b' '))
    }

    fn text(&self) -> Cow<'_, str> {
        match self.value() {
            Cow::Borrowed(value) => String::from_utf8_lossy(value),
            Cow::Owned(value) => Cow::Owned(String::from_utf8_lossy(&value).into_owned()),
        }
    }
}

/// Credentials are never shown.
impl fmt::Debug for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = String::from_utf8_lossy(&self.line[..self.name_end]);
        let secret = self.is("Authorization") || self.is("Proxy-Authorization");
        write!(
            f,
            "{name}: {}",
            if secret { Cow::Borrowed("(cut)") } else { self.text() }
        )
    }
}

/// No control character but TAB can be printed by us: a CR or LF in a value from outside would start a new header field.
fn harmless(c: u8) -> u8 {
    if (c < b' ' && c != b'\t') || c == 0x7f { b' ' } else { c }
}

impl Message {
    /// Reads a datagram with the default [`Limits`]. It checks framing, start line and header lines; what a request or a
    /// response must have, [`Message::check`] says.
    pub fn parse(datagram: Bytes) -> Result<Message, Rejection> {
        parse::parse(datagram, &Limits::default())
    }

    /// The same with other limits.
    pub fn parse_within(datagram: Bytes, limits: &Limits) -> Result<Message, Rejection> {
        parse::parse(datagram, limits)
    }

    /// Checks what is dangerous to take on trust: the mandatory header fields (RFC 3261 §8.1.1), each once and readable, CSeq
    /// and method, the branch. The error is a status and its reason phrase.
    pub fn check(&self) -> Result<(), (u16, &'static str)> {
        parse::check(self)
    }

    /// A request with nothing but its first line. Bytes of the URI that would break that line are escaped.
    pub fn request(method: Method, uri: &str) -> Message {
        Message {
            start: Start::Request {
                method,
                uri: line_uri(uri),
            },
            fields: Vec::new(),
            body: Bytes::new(),
        }
    }

    /// A response with the Via, From, To, Call-ID and CSeq of a request (RFC 3261 §8.2.6.2), the Timestamp in a 100, and the
    /// Record-Route in 101–299 (§12.1.1). The To tag is the caller's work: [`Message::set_to_tag`].
    pub fn response(request: &Message, status: u16, reason: &str) -> Message {
        let reason = reason.bytes().map(harmless).collect();
        let mut response = Message {
            start: Start::Response { status, reason },
            fields: Vec::new(),
            body: Bytes::new(),
        };
        response.copy("Via", request);
        if (101..=299).contains(&status) {
            response.copy("Record-Route", request);
        }
        // A request that has them twice is refused, and its answer shall not be as bad (RFC 4475 §3.3.8).
        for name in ["From", "To", "Call-ID", "CSeq"] {
            response.fields.extend(request.field(name).cloned());
        }
        if status == 100 {
            response.copy("Timestamp", request);
        }
        response
    }

    /// The first line.
    pub fn start(&self) -> &Start {
        &self.start
    }

    /// The method of a request.
    pub fn method(&self) -> Option<&Method> {
        match &self.start {
            Start::Request { method, .. } => Some(method),
            Start::Response { .. } => None,
        }
    }

    /// The status of a response.
    pub fn status(&self) -> Option<u16> {
        match &self.start {
            Start::Request { .. } => None,
            Start::Response { status, .. } => Some(*status),
        }
    }

    /// The reason phrase of a response; bytes that are not UTF-8 are replaced.
    pub fn reason(&self) -> Option<Cow<'_, str>> {
        match &self.start {
            Start::Request { .. } => None,
            Start::Response { reason, .. } => Some(String::from_utf8_lossy(reason)),
        }
    }

    /// The Request-URI of a request.
    pub fn uri(&self) -> Option<Result<Uri, InvalidUri>> {
        match &self.start {
            Start::Request { uri, .. } => Some(std::str::from_utf8(uri).map_err(|_| InvalidUri).and_then(Uri::parse)),
            Start::Response { .. } => None,
        }
    }

    /// The first field of that name, unfolded; the name's case and compact form do not matter. Bytes that are not UTF-8 are
    /// replaced: [`Message::header_bytes`] has them.
    pub fn header(&self, name: &str) -> Option<Cow<'_, str>> {
        self.field(name).map(Field::text)
    }

    /// The first field of that name, unfolded, as bytes.
    pub fn header_bytes(&self, name: &str) -> Option<Cow<'_, [u8]>> {
        self.field(name).map(Field::value)
    }

    /// All fields of that name, in order. A list in one field is one item.
    pub fn headers<'a>(&'a self, name: &'a str) -> impl Iterator<Item = Cow<'a, str>> {
        self.fields.iter().filter(move |field| field.is(name)).map(Field::text)
    }

    /// All fields in order: name as written, value unfolded.
    pub fn fields(&self) -> impl Iterator<Item = (Cow<'_, str>, Cow<'_, str>)> {
        self.fields
            .iter()
            .map(|field| (String::from_utf8_lossy(&field.line[..field.name_end]), field.text()))
    }

    /// The first field of a type: `None` where it is absent.
    pub fn typed<H: Header>(&self) -> Option<Result<H, Malformed>> {
        self.field(H::NAME).map(|field| H::parse(&field.text()))
    }

    /// The topmost Via; `None` where it is absent or malformed, as with all that follow. [`Message::check`] has made
    /// sure of via, from, to, call_id and cseq.
    pub fn via(&self) -> Option<Via> {
        self.typed::<Via>()?.ok()
    }

    /// CSeq.
    pub fn cseq(&self) -> Option<Cseq> {
        self.typed::<Cseq>()?.ok()
    }

    /// From.
    pub fn from(&self) -> Option<NameAddr> {
        self.typed::<header::From>()?.ok().map(|from| from.0)
    }

    /// To.
    pub fn to(&self) -> Option<NameAddr> {
        self.typed::<header::To>()?.ok().map(|to| to.0)
    }

    /// Call-ID.
    pub fn call_id(&self) -> Option<Cow<'_, str>> {
        self.header("Call-ID")
    }

    /// The first Contact address.
    pub fn contact(&self) -> Option<NameAddr> {
        match self.typed::<Contact>()?.ok()? {
            Contact::Any => None,
            Contact::Addresses(addresses) => addresses.into_iter().next(),
        }
    }

    /// All Record-Route addresses, topmost first. One that is malformed ends the list.
    pub fn record_route(&self) -> Vec<NameAddr> {
        self.headers("Record-Route")
            .map_while(|value| header::RecordRoute::parse(&value).ok())
            .flat_map(|r| r.0)
            .collect()
    }

    /// All Route addresses, topmost first. One that is malformed ends the list.
    pub fn route(&self) -> Vec<NameAddr> {
        self.headers("Route")
            .map_while(|value| header::Route::parse(&value).ok())
            .flat_map(|r| r.0)
            .collect()
    }

    /// Max-Forwards.
    pub fn max_forwards(&self) -> Option<u8> {
        self.typed::<MaxForwards>()?.ok().map(|hops| hops.0)
    }

    /// Retry-After in seconds.
    pub fn retry_after(&self) -> Option<u32> {
        self.typed::<RetryAfter>()?.ok().map(|seconds| seconds.0)
    }

    /// Refer-To; `None` also where there is more than one (RFC 3515 §2.4.1: exactly one).
    pub fn refer_to(&self) -> Option<NameAddr> {
        match self.headers(ReferTo::NAME).count() {
            1 => self.typed::<ReferTo>()?.ok().map(|refer_to| refer_to.0),
            _ => None,
        }
    }

    /// Referred-By.
    pub fn referred_by(&self) -> Option<NameAddr> {
        self.typed::<ReferredBy>()?.ok().map(|by| by.0)
    }

    /// Content-Type.
    pub fn content_type(&self) -> Option<Cow<'_, str>> {
        self.header("Content-Type")
    }

    /// The body; empty where there is none.
    pub fn body(&self) -> &Bytes {
        &self.body
    }

    /// The body, where it is `application/sdp`.
    pub fn sdp(&self) -> Option<Bytes> {
        let content_type = self.content_type()?;
        let kind = content_type.split(';').next()?.trim();
        (kind.eq_ignore_ascii_case("application/sdp") && !self.body.is_empty()).then(|| self.body.clone())
    }

    /// The status that a `message/sipfrag` body (RFC 3420) begins with, 100–699: how a referred INVITE stands (RFC 3515 §2.4.5).
    pub fn sipfrag(&self) -> Option<u16> {
        let content_type = self.content_type()?;
        let kind = content_type.split(';').next()?.trim();
        if !kind.eq_ignore_ascii_case("message/sipfrag") {
            return None;
        }
        let (version, rest) = self.body.split_at_checked(8)?;
        let (status, rest) = rest.split_at_checked(3)?;
        let ends = rest.first().is_none_or(|c| matches!(c, b' ' | b'\r' | b'\n'));
        let status = crate::uri::digits(std::str::from_utf8(status).ok()?)?.try_into().ok()?;
        (version.eq_ignore_ascii_case(b"SIP/2.0 ") && ends && (100..700).contains(&status)).then_some(status)
    }

    /// Appends a field. Control characters in the value become spaces, so a value from outside can never start another
    /// field; a name that is not a token is ignored with its value.
    pub fn push(&mut self, name: &str, value: &str) {
        if header::is_token(name.as_bytes()) {
            self.fields.push(Field::new(name, value.as_bytes()));
        }
    }

    /// Puts a field before all others, as a Via is.
    pub fn push_front(&mut self, name: &str, value: &str) {
        if header::is_token(name.as_bytes()) {
            self.fields.insert(0, Field::new(name, value.as_bytes()));
        }
    }

    /// Replaces the first field of that name and removes the others; appends it where there is none. As harmless as `push`.
    pub fn set(&mut self, name: &str, value: &str) {
        if !header::is_token(name.as_bytes()) {
            return;
        }
        match self.fields.iter().position(|field| field.is(name)) {
            Some(first) => {
                self.fields[first] = Field::new(name, value.as_bytes());
                let mut at = 0;
                self.fields.retain(|field| {
                    at += 1;
                    at - 1 <= first || !field.is(name)
                });
            }
            None => self.push(name, value),
        }
    }

    /// Removes all fields of that name.
    pub fn remove(&mut self, name: &str) {
        self.fields.retain(|field| !field.is(name));
    }

    /// Removes all fields whose name begins so (`X-Baton-`), case ignored.
    pub fn remove_prefix(&mut self, prefix: &str) {
        self.fields.retain(|field| {
            !field.line[..field.name_end]
                .get(..prefix.len())
                .is_some_and(|p| p.eq_ignore_ascii_case(prefix.as_bytes()))
        });
    }

    /// Appends all fields of that name of another message, byte for byte.
    pub fn copy(&mut self, name: &str, from: &Message) {
        self.fields
            .extend(from.fields.iter().filter(|field| field.is(name)).cloned());
    }

    /// Gives the To field a tag, unless it has one.
    pub fn set_to_tag(&mut self, tag: &str) {
        let Some(field) = self.fields.iter_mut().find(|field| field.is("To")) else {
            return;
        };
        if header::To::parse(&field.text()).is_ok_and(|to| to.0.tag().is_some()) {
            return;
        }
        let mut line = BytesMut::from(field.line.trim_ascii_end());
        line.put_slice(b";tag=");
        line.extend(tag.bytes().map(harmless));
        field.line = line.freeze();
    }

    /// Notes in the topmost Via where the request came from (RFC 3261 §18.2.1, RFC 3581 §4).
    pub fn stamp_source(&mut self, from: std::net::SocketAddr) {
        let Some(field) = self.fields.iter_mut().find(|field| field.is("Via")) else {
            return;
        };
        let Ok(mut vias) = Via::parse_list(&field.text()) else {
            return;
        };
        let Some(top) = vias.first_mut() else { return };
        let wants_port = top.rport().is_some();
        if wants_port {
            top.params.set("rport", Some(&from.port().to_string()));
        }
        // "If the host portion of the sent-by parameter contains a domain name, or if it contains an IP address that
        // differs from the packet source address, the server MUST add a received parameter"; with rport always
        // (RFC 3581 §4).
        let said = crate::uri::split_host_port(&top.host).and_then(|(_, address, _)| address);
        if wants_port || said != Some(from.ip()) {
            top.params.set("received", Some(&from.ip().to_string()));
        } else {
            return;
        }
        let vias: Vec<_> = vias.iter().map(Via::to_string).collect();
        *field = Field::new("Via", vias.join(", ").as_bytes());
    }

    /// Replaces the Request-URI.
    pub fn set_uri(&mut self, text: &str) {
        if let Start::Request { uri, .. } = &mut self.start {
            *uri = line_uri(text);
        }
    }

    /// Gives the message a body.
    pub fn set_body(&mut self, content_type: &str, body: Bytes) {
        self.set("Content-Type", content_type);
        self.body = body;
    }

    /// The message as it goes on the wire, with a true Content-Length.
    pub fn to_bytes(&self) -> Bytes {
        let size = self.fields.iter().map(|field| field.line.len() + 2).sum::<usize>();
        let mut out = BytesMut::with_capacity(size + self.body.len() + 256);
        match &self.start {
            Start::Request { method, uri } => {
                out.put_slice(method.as_str().as_bytes());
                out.put_u8(b' ');
                out.put_slice(uri);
                out.put_slice(b" SIP/2.0\r\n");
            }
            Start::Response { status, reason } => {
                out.put_slice(format!("SIP/2.0 {status:03} ").as_bytes());
                out.put_slice(reason);
                out.put_slice(b"\r\n");
            }
        }
        let length = self.body.len() as u64;
        looked_at(size);
        let mut told = false;
        for field in &self.fields {
            if field.is("Content-Length") {
                if header::ContentLength::parse(&field.text()) != Ok(header::ContentLength(length)) {
                    continue;
                }
                told = true;
            }
            out.put_slice(&field.line);
            out.put_slice(b"\r\n");
        }
        if !told {
            out.put_slice(format!("Content-Length: {length}\r\n").as_bytes());
        }
        out.put_slice(b"\r\n");
        out.put_slice(&self.body);
        out.freeze()
    }

    fn field(&self, name: &str) -> Option<&Field> {
        self.fields.iter().find(|field| field.is(name))
    }
}

/// For logs: the first line and the header fields, unfolded, one a line; credentials are cut out, and of the body only its
/// length is told.
impl fmt::Display for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.start {
            Start::Request { method, uri } => writeln!(f, "{method} {}", String::from_utf8_lossy(uri))?,
            Start::Response { status, reason } => writeln!(f, "{status} {}", String::from_utf8_lossy(reason))?,
        }
        for field in &self.fields {
            writeln!(f, "{field:?}")?;
        }
        write!(f, "({} bytes of body)", self.body.len())
    }
}

/// A Request-URI that stays within its line: "no unescaped spaces or control characters" (RFC 3261 §7.1), and no brackets.
fn line_uri(uri: &str) -> Bytes {
    let mut line = BytesMut::with_capacity(uri.len());
    for c in uri.bytes() {
        if c <= b' ' || c == 0x7f || matches!(c, b'<' | b'>') {
            line.put_slice(format!("%{c:02X}").as_bytes());
        } else {
            line.put_u8(c);
        }
    }
    line.freeze()
}

#[cfg(test)]
mod tests;
