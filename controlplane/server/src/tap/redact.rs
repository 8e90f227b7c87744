//! Messages without their secrets, for logs, traces and collectors.

use std::borrow::Cow;

/// The message as text, with the values of its credentials cut out (RFC 3261 §22, §20.44), keys and passwords too. What a peer
/// hides in a malformed line is cut out with the line.
pub(crate) fn redacted(datagram: &[u8]) -> String {
    let text = String::from_utf8_lossy(datagram);
    let mut out = String::with_capacity(text.len());
    let mut secret = false;
    for line in text.split_inclusive('\n') {
        // A line that starts with a blank goes on with the header above (RFC 3261 §7.3.1).
        let folded = line.starts_with([' ', '\t']);
        if !folded {
            let lower = line.to_ascii_lowercase();
            secret = is_secret(&lower);
            if secret {
                out.push_str(lower.split([':', '=']).next().unwrap_or("").trim());
                out.push_str(": (cut out)\r\n");
            }
        }
        if !secret {
            push_without_passwords(&mut out, &without_headers_of_uris(line));
        }
    }
    out
}

/// Whether a line, in small letters, is not to be shown: a header field, one that a URI or a lone CR hides (RFC 3261
/// §19.1.1), a reference that opens a context (RFC 7433), or a key of a description (RFC 8866 §5.12, RFC 4567, 4568, 8839).
fn is_secret(line: &str) -> bool {
    let names_secret = |part: &str| {
        matches!(
            part.split(':').next().unwrap_or("").trim(),
            "www-authenticate"
                | "proxy-authenticate"
                | "authentication-info"
                | "proxy-authentication-info"
                | "call-info"
                | "user-to-user"
                // Words of the conversation.
                | "x-baton-reason"
        )
    };
    line.contains("authorization")
        || line.split('\r').any(names_secret)
        || ["k=", "a=crypto:", "a=ice-pwd:", "a=key-mgmt:"]
            .iter()
            .any(|key| line.starts_with(key))
}

/// Headers that a URI asks for (RFC 3261 §19.1.1), as our Refer-To has them: a token may be among them.
fn without_headers_of_uris(line: &str) -> Cow<'_, str> {
    let lower = line.to_ascii_lowercase();
    if !["call-info", "user-to-user"].iter().any(|name| lower.contains(name)) {
        return Cow::Borrowed(line);
    }
    let Some((before, rest)) = line.split_once('?') else {
        return Cow::Borrowed(line);
    };
    let end = rest.find(['>', '\r', '\n']).unwrap_or(rest.len());
    Cow::Owned(format!("{before}?(cut out){}", &rest[end..]))
}

/// RFC 3261 §19.1.1: the userinfo of a URI may have a password.
fn push_without_passwords(out: &mut String, line: &str) {
    let lower = line.to_ascii_lowercase();
    let mut done = 0;
    for (at, scheme) in lower.match_indices("sip").map(|(at, _)| (at, &lower[at + 3..])) {
        let Some(user) = scheme.strip_prefix("s:").or_else(|| scheme.strip_prefix(':')) else {
            continue;
        };
        let start = lower.len() - user.len();
        let end = user.find(|c: char| c.is_whitespace() || matches!(c, '<' | '>' | '"' | '@'));
        let Some(end) = end.filter(|end| user[*end..].starts_with('@')) else {
            continue;
        };
        if let Some(colon) = user[..end].find(':')
            && at >= done
        {
            out.push_str(&line[done..=start + colon]);
            out.push_str("(cut out)");
            done = start + end;
        }
    }
    out.push_str(&line[done..]);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_are_cut_out_folded_ones_too() {
        let message = b"INVITE sip:a@b SIP/2.0\r\nAuthorization : Digest username=\"u\",\r\n response=\"s3cret\"\r\n\
                        CALL-INFO: <http://x/context?token=s3cret>\r\nTo: <sip:a@b>\r\n\r\nv=0\r\n";
        let text = redacted(message);
        assert!(!text.contains("s3cret") && !text.contains("Digest"), "{text}");
        assert!(text.contains("To: <sip:a@b>\r\n\r\nv=0"), "{text}");
        assert!(text.starts_with("INVITE sip:a@b SIP/2.0\r\nauthorization: (cut out)\r\ncall-info: (cut out)\r\n"));
    }

    #[test]
    fn hidden_credentials_keys_and_passwords_are_cut_out() {
        for (line, left) in [
            (
                "Refer-To: <sip:a@b?Authorization=Digest%20s3cret>",
                "refer-to: (cut out)\r\n",
            ),
            ("X: y\rProxy-Authenticate: s3cret", "x: (cut out)\r\n"),
            ("Proxy-Authorization\r\n : s3cret", "proxy-authorization: (cut out)\r\n"),
            (
                "Authentication-Info: nextnonce=\"s3cret\"",
                "authentication-info: (cut out)\r\n",
            ),
            (
                "Refer-To: <sip:h@d?Call-Info=%3Chttp://x/?token=s3cret%3E&X-Baton-Call=c>;x=y\r\n",
                "Refer-To: <sip:h@d?(cut out)>;x=y\r\n",
            ),
            ("User-to-User: s3cret;encoding=hex", "user-to-user: (cut out)\r\n"),
            ("a=ice-pwd:s3cret", "a: (cut out)\r\n"),
            ("k=clear:s3cret", "k: (cut out)\r\n"),
            ("a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:s3cret", "a: (cut out)\r\n"),
            (
                "To: <SIPS:a:s3cret@b:5061>, sip:c:s3cret@d",
                "To: <SIPS:a:(cut out)@b:5061>, sip:c:(cut out)@d",
            ),
            (
                "To: <sip:b:5061>, \"sip\" <sip:a@b>",
                "To: <sip:b:5061>, \"sip\" <sip:a@b>",
            ),
            ("INVITE sip:a:sip:s3cret@b SIP/2.0", "INVITE sip:a:(cut out)@b SIP/2.0"),
        ] {
            assert_eq!(redacted(line.as_bytes()), left);
        }
    }
}
