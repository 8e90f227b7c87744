//! The sockets that SIP datagrams come and go by.

pub(crate) mod udp;

/// The message as text, with the values of its credentials cut out (RFC 3261 §22, §20.44).
pub(crate) fn redacted(datagram: &[u8]) -> String {
    let text = String::from_utf8_lossy(datagram);
    let mut out = String::with_capacity(text.len());
    let mut secret = false;
    for line in text.split_inclusive('\n') {
        // A line that starts with a blank goes on with the header above (RFC 3261 §7.3.1).
        let folded = line.starts_with([' ', '\t']);
        if !folded {
            let name = line.split(':').next().unwrap_or("").trim().to_ascii_lowercase();
            secret = line.contains(':')
                && matches!(
                    &*name,
                    "authorization" | "proxy-authorization" | "www-authenticate" | "proxy-authenticate" | "call-info"
                );
            if secret {
                out.push_str(&name);
                out.push_str(": (cut out)\r\n");
            }
        }
        if !secret {
            out.push_str(line);
        }
    }
    out
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
}
