//! SIP messages (RFC 3261 §7), as text.

/// The first line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Start {
    Request { method: String, uri: String },
    Response { code: u16, reason: String },
}

/// A message: header names in their long form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Message {
    pub(super) start: Start,
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: String,
}

/// Names that may be written otherwise: short (RFC 3261 §20), or in another case.
const NAMES: &[(&str, &str)] = &[
    ("v", "Via"),
    ("f", "From"),
    ("t", "To"),
    ("i", "Call-ID"),
    ("cseq", "CSeq"),
    ("m", "Contact"),
    ("l", "Content-Length"),
    ("c", "Content-Type"),
];

impl Message {
    pub(super) fn request(method: &str, uri: &str) -> Message {
        Message {
            start: Start::Request {
                method: method.to_owned(),
                uri: uri.to_owned(),
            },
            headers: Vec::new(),
            body: String::new(),
        }
    }

    pub(super) fn response(code: u16, reason: &str) -> Message {
        Message {
            start: Start::Response {
                code,
                reason: reason.to_owned(),
            },
            headers: Vec::new(),
            body: String::new(),
        }
    }

    /// `None` for what lacks a first line or one of the headers that every message has.
    pub(super) fn parse(bytes: &[u8]) -> Option<Message> {
        let text = String::from_utf8_lossy(bytes);
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
        // RFC 3261 §7.3.1: a line that begins with a space goes on.
        let head = head.replace("\r\n ", " ").replace("\r\n\t", " ");
        let mut lines = head.split("\r\n");
        let first = lines.next()?;
        let start = match first.strip_prefix("SIP/2.0 ") {
            Some(status) => Start::Response {
                code: status.get(..3)?.parse().ok()?,
                reason: status.get(4..).unwrap_or_default().to_owned(),
            },
            None => {
                let mut words = first.split(' ');
                let (method, uri, version) = (words.next()?, words.next()?, words.next()?);
                if version != "SIP/2.0" || method.is_empty() {
                    return None;
                }
                Start::Request {
                    method: method.to_owned(),
                    uri: uri.to_owned(),
                }
            }
        };
        let headers = lines
            .filter_map(|line| line.split_once(':'))
            .map(|(name, value)| (long(name.trim()), value.trim().to_owned()))
            .collect();
        let mut message = Message {
            start,
            headers,
            body: String::new(),
        };
        if ["Via", "From", "To", "Call-ID", "CSeq"]
            .iter()
            .any(|name| message.header(name).is_none())
        {
            return None;
        }
        let length = message.header("Content-Length").and_then(|length| length.parse().ok());
        message.body = match length {
            Some(length) => body.get(..length)?.to_owned(),
            None => body.to_owned(),
        };
        Some(message)
    }

    pub(super) fn print(&self) -> Vec<u8> {
        let mut text = format!("{}\r\n", self.first_line());
        for (name, value) in &self.headers {
            text += &format!("{name}: {value}\r\n");
        }
        text += &format!("Content-Length: {}\r\n\r\n{}", self.body.len(), self.body);
        text.into_bytes()
    }

    fn first_line(&self) -> String {
        match &self.start {
            Start::Request { method, uri } => format!("{method} {uri} SIP/2.0"),
            Start::Response { code, reason } => format!("SIP/2.0 {code} {reason}"),
        }
    }

    /// For people: `INVITE`, or `180 Ringing (INVITE)`.
    pub(super) fn title(&self) -> String {
        match &self.start {
            Start::Request { method, .. } => method.clone(),
            Start::Response { code, reason } => format!("{code} {reason} ({})", self.cseq_method()),
        }
    }

    /// The first header of this (long) name.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(known, _)| known.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }

    pub(super) fn add(&mut self, name: &str, value: &str) {
        self.headers.push((name.to_owned(), value.to_owned()));
    }

    pub(super) fn set(&mut self, name: &str, value: &str) {
        self.headers.retain(|(known, _)| known != name);
        self.add(name, value);
    }

    pub(super) fn describe(&mut self, sdp: Option<&str>) {
        if let Some(sdp) = sdp {
            self.add("Content-Type", "application/sdp");
            self.body = sdp.to_owned();
        }
    }

    /// The number of the CSeq; 0 where it has none.
    pub(super) fn cseq(&self) -> u32 {
        let header = self.header("CSeq").unwrap_or_default();
        header
            .split_whitespace()
            .next()
            .and_then(|n| n.parse().ok())
            .unwrap_or(0)
    }

    pub(super) fn cseq_method(&self) -> &str {
        let header = self.header("CSeq").unwrap_or_default();
        header.split_whitespace().nth(1).unwrap_or_default()
    }

    /// Branch and method: what makes a transaction (RFC 3261 §17.1.3, §17.2.3).
    pub(super) fn transaction(&self) -> String {
        let via = self.header("Via").unwrap_or_default();
        let branch = via
            .split(',')
            .next()
            .and_then(|first| first.split(';').find_map(|part| part.trim().strip_prefix("branch=")));
        format!("{} {}", branch.unwrap_or_default(), self.cseq_method())
    }

    /// The URI of the Contact.
    pub(super) fn contact(&self) -> Option<String> {
        self.header("Contact").map(|contact| uri(contact).to_owned())
    }
}

/// The URI in a From, To or Contact.
pub(super) fn uri(header: &str) -> &str {
    match header.split_once('<').and_then(|(_, rest)| rest.split_once('>')) {
        Some((uri, _)) => uri,
        None => header.split(';').next().unwrap_or_default().trim(),
    }
}

/// The tag of a From or To.
pub(super) fn tag(header: &str) -> Option<String> {
    let parameters = header.rsplit_once('>').map_or(header, |(_, rest)| rest);
    parameters
        .split(';')
        .find_map(|part| part.trim().strip_prefix("tag="))
        .map(str::to_owned)
}

fn long(name: &str) -> String {
    NAMES
        .iter()
        .find(|(short, long)| name.eq_ignore_ascii_case(short) || name.eq_ignore_ascii_case(long))
        .map_or_else(|| name.to_owned(), |(_, long)| (*long).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    const INVITE: &str = "INVITE sip:a@h SIP/2.0\r\nv: SIP/2.0/UDP h:1;branch=z9hG4bK1;rport,SIP/2.0/UDP i\r\nf: \"A;tag=no <x>\" <sip:b@i>;tag=7\r\n\
        TO: sip:a@h\r\ni: c\r\nCSEQ: 4 INVITE\r\nm: <sip:b@1.2.3.4:5;x=y>;q=1\r\nSubject: two\r\n lines\r\nl: 3\r\n\r\nabcdef";

    #[test]
    fn a_request_in_other_spellings() {
        let message = Message::parse(INVITE.as_bytes()).unwrap();
        assert_eq!(message.transaction(), "z9hG4bK1 INVITE");
        assert_eq!((message.cseq(), message.cseq_method()), (4, "INVITE"));
        assert_eq!(message.contact().unwrap(), "sip:b@1.2.3.4:5;x=y");
        assert_eq!(tag(message.header("From").unwrap()).unwrap(), "7");
        assert_eq!(tag(message.header("To").unwrap()), None);
        assert_eq!(uri(message.header("To").unwrap()), "sip:a@h");
        assert_eq!(message.header("subject").unwrap(), "two lines");
        assert_eq!(message.body, "abc");
        assert_eq!(message.title(), "INVITE");
    }

    #[test]
    fn printed_and_parsed_again() {
        let mut message = Message::parse(INVITE.as_bytes()).unwrap();
        message.headers.retain(|(name, _)| name != "Content-Length");
        let again = Message::parse(&message.print()).unwrap();
        assert_eq!(again.body, "abc");
        assert_eq!(again.headers.len(), message.headers.len() + 1);
    }

    #[test]
    fn what_is_no_message() {
        for length in 0..INVITE.len() - 150 {
            assert!(Message::parse(&INVITE.as_bytes()[..length]).is_none(), "{length}");
        }
        assert!(Message::parse(b"\r\n\r\n").is_none());
        assert!(Message::parse(INVITE.replace("l: 3", "l: 300").as_bytes()).is_none());
    }
}
