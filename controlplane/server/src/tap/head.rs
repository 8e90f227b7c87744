//! What a listener wants to know of a message, found without understanding the rest: it must never refuse what the endpoint takes.

use std::borrow::Cow;

/// How a message begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Start<'m> {
    /// The method.
    Request(&'m str),
    /// The status.
    Response(u16),
}

/// The few fields of a head that tell whose message it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Head<'m> {
    pub(crate) start: Start<'m>,
    pub(crate) call_id: Cow<'m, str>,
    pub(crate) cseq: Cow<'m, str>,
    /// A request without it is outside any dialog (RFC 3261 §12.2.2).
    pub(crate) to_tag: bool,
    /// `X-Baton-Call`, `X-Baton-Handoff` and `X-Baton-Role`: ours only where we have written the message.
    pub(crate) call: Option<&'m str>,
    pub(crate) handoff: Option<&'m str>,
    pub(crate) role: Option<&'m str>,
}

impl<'m> Head<'m> {
    /// `None` where it does not begin as a message does, or has no Call-ID.
    pub(crate) fn scan(message: &'m [u8]) -> Option<Head<'m>> {
        // Line ends before a message are no part of it (RFC 3261 §7.5).
        let message = message.trim_ascii_start();
        let mut lines = message.split(|&byte| byte == b'\n').map(text);
        let start = start(lines.next()?)?;
        let mut head = Head {
            start,
            call_id: Cow::Borrowed(""),
            cseq: Cow::Borrowed(""),
            to_tag: false,
            call: None,
            handoff: None,
            role: None,
        };
        // A value may go on in the next line (§7.3.1); which of ours that was, if any.
        let mut last: Option<Field> = None;
        for line in lines {
            if line.is_empty() {
                break;
            }
            if line.starts_with([' ', '\t']) {
                match last {
                    Some(Field::CallId) => append(&mut head.call_id, line),
                    Some(Field::CSeq) => append(&mut head.cseq, line),
                    Some(Field::To) => head.to_tag |= has_tag(line),
                    Some(Field::Call | Field::Handoff | Field::Role) | None => {}
                }
                continue;
            }
            let Some((name, value)) = line.split_once(':') else {
                last = None;
                continue;
            };
            last = Field::named(name.trim());
            let value = value.trim();
            match last {
                Some(Field::CallId) if head.call_id.is_empty() => head.call_id = Cow::Borrowed(value),
                Some(Field::CSeq) if head.cseq.is_empty() => head.cseq = Cow::Borrowed(value),
                Some(Field::To) => head.to_tag |= has_tag(value),
                Some(Field::Call) => head.call = Some(value),
                Some(Field::Handoff) => head.handoff = Some(value),
                Some(Field::Role) => head.role = Some(value),
                Some(Field::CallId | Field::CSeq) | None => {}
            }
        }
        (!head.call_id.is_empty()).then_some(head)
    }

    /// An INVITE that would make a call.
    pub(crate) fn opens(&self) -> bool {
        self.start == Start::Request("INVITE") && !self.to_tag
    }

    /// What a ladder shows: `INVITE`, `180 INVITE`.
    pub(crate) fn title(&self) -> String {
        match self.start {
            Start::Request(method) => method.to_owned(),
            Start::Response(status) => match self.cseq.split_whitespace().nth(1) {
                Some(method) => format!("{status} {method}"),
                None => status.to_string(),
            },
        }
    }
}

#[derive(Clone, Copy)]
enum Field {
    CallId,
    CSeq,
    To,
    Call,
    Handoff,
    Role,
}

impl Field {
    fn named(name: &str) -> Option<Field> {
        let names = [
            ("call-id", Field::CallId),
            ("i", Field::CallId),
            ("cseq", Field::CSeq),
            ("to", Field::To),
            ("t", Field::To),
            ("x-baton-call", Field::Call),
            ("x-baton-handoff", Field::Handoff),
            ("x-baton-role", Field::Role),
        ];
        let found = names.into_iter().find(|(known, _)| name.eq_ignore_ascii_case(known));
        found.map(|(_, field)| field)
    }
}

/// A line as text; what is none says nothing to us.
fn text(line: &[u8]) -> &str {
    str::from_utf8(line).unwrap_or("?").trim_end_matches('\r')
}

fn start(line: &str) -> Option<Start<'_>> {
    if let Some(rest) = line.strip_prefix("SIP/2.0 ") {
        let status = rest.split(' ').next()?.parse().ok()?;
        return (100..700).contains(&status).then_some(Start::Response(status));
    }
    let (method, rest) = line.split_once(' ')?;
    let (_, version) = rest.trim_end().rsplit_once(' ')?;
    let is_token = !method.is_empty() && method.bytes().all(|byte| byte.is_ascii_graphic());
    (is_token && version.get(..4).is_some_and(|name| name.eq_ignore_ascii_case("SIP/")))
        .then_some(Start::Request(method))
}

fn has_tag(value: &str) -> bool {
    value.to_ascii_lowercase().contains("tag=")
}

fn append(value: &mut Cow<'_, str>, line: &str) {
    let value = value.to_mut();
    value.push(' ');
    value.push_str(line.trim());
    *value = value.trim().to_owned();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn compact_and_folded_fields_are_found() {
        let message = b"\r\nINVITE sip:a@b SIP/2.0\r\nX-BATON-CALL: call_1\r\ni:\r\n  one@two\r\nt: <sip:a@b>\r\nCSeq: 7\r\n\tINVITE\r\n\r\nCall-ID: body";
        let head = Head::scan(message).expect("a head");
        assert_eq!((&*head.call_id, &*head.cseq), ("one@two", "7 INVITE"));
        assert_eq!(
            (head.call, head.opens(), head.title()),
            (Some("call_1"), true, "INVITE".to_owned())
        );
        let message = b"SIP/2.0 180 Ringing\nCall-ID: x\nTo: <sip:a@b>;tag=t\nCSeq: 1 INVITE\n\n";
        let head = Head::scan(message).expect("a head");
        assert_eq!(
            (head.start, head.to_tag, head.title()),
            (Start::Response(180), true, "180 INVITE".to_owned())
        );
    }

    #[test]
    fn what_is_no_message_has_no_head() {
        for message in [
            &b""[..],
            b"\r\n\r\n",
            b"GET / HTTP/1.1\r\nCall-ID: a\r\n",
            b"SIP/2.0 99 x\r\nCall-ID: a\r\n",
            b"INVITE sip:a SIP/2.0\r\n\r\n",
            b"\xff\xfe SIP/2.0",
        ] {
            assert_eq!(Head::scan(message), None, "{message:?}");
        }
    }
}
