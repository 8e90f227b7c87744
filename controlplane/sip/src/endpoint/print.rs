//! What the endpoint sends.

use bytes::Bytes;

use super::Config;
use super::received::Request;
use crate::dialog::Dialog;
use crate::header::Via;
use crate::message::Message;
use crate::method::Method;

/// The methods that we serve: everything else gets 405.
pub(super) static ALLOWED: [Method; 8] = [
    Method::Invite,
    Method::Ack,
    Method::Bye,
    Method::Cancel,
    Method::Options,
    Method::Refer,
    Method::Notify,
    Method::Info,
];

/// The type of offers and answers.
pub(super) const SDP: &str = "application/sdp";

/// Allow: what we serve.
const ALLOW: &str = "INVITE, ACK, BYE, CANCEL, OPTIONS, REFER, NOTIFY, INFO";
/// Allow-Events (RFC 6665 §8.2.2): of what we send NOTIFYs.
pub(super) const ALLOW_EVENTS: &str = "refer";
/// Supported: a REFER without a subscription (RFC 4488).
pub(super) const SUPPORTED: &str = "norefersub";

/// A request of ours.
pub(super) struct Outgoing<'a> {
    pub(super) method: Method,
    /// Who talks to whom, and on which way.
    pub(super) dialog: &'a Dialog,
    /// To as it goes out: the dialog's, or an answer's.
    pub(super) to: &'a str,
    pub(super) cseq: u32,
    pub(super) branch: &'a str,
    pub(super) headers: &'a [(String, String)],
    /// Content-Type and body.
    pub(super) body: Option<(&'a str, &'a Bytes)>,
}

impl Outgoing<'_> {
    pub(super) fn print(&self, config: &Config) -> Bytes {
        let (uri, routes) = self.dialog.route();
        let mut message = Message::request(self.method.clone(), &uri);
        message.push("Via", &Via::udp(config.advertise, self.branch).to_string());
        for route in &routes {
            message.push("Route", route);
        }
        message.push("Max-Forwards", "70");
        message.push("From", &self.dialog.local);
        message.push("To", self.to);
        message.push("Call-ID", &self.dialog.call_id);
        message.push("CSeq", &format!("{} {}", self.cseq, self.method));
        // RFC 3515 §2.2 (and its NOTIFYs in §4.1): a REFER and a NOTIFY have one too.
        if matches!(self.method, Method::Invite | Method::Refer | Method::Notify) {
            contact(&mut message, config);
        }
        if self.method == Method::Invite {
            abilities(&mut message);
        }
        message.push("User-Agent", &config.agent);
        finish(message, self.headers, self.body)
    }
}

/// An answer of ours.
pub(super) struct Answer<'a> {
    pub(super) status: u16,
    /// Put into To where the request has none; not in a 100.
    pub(super) tag: Option<&'a str>,
    pub(super) headers: &'a [(String, String)],
    pub(super) body: Option<&'a Bytes>,
}

impl Answer<'_> {
    pub(super) fn print(&self, request: &Request, config: &Config) -> Bytes {
        let mut message = Message::response(&request.message, self.status, reason(self.status));
        if let Some(tag) = self.tag {
            message.set_to_tag(tag);
        }
        // §12.1.1: answers that make a dialog, or refresh its target, carry a Contact.
        let positive = (101..300).contains(&self.status);
        if positive && matches!(request.method, Method::Invite | Method::Refer) {
            contact(&mut message, config);
        }
        if positive && matches!(request.method, Method::Invite | Method::Options) {
            abilities(&mut message);
        }
        message.push("Server", &config.agent);
        if self.status == 405 || request.method == Method::Options {
            message.set("Allow", ALLOW);
        }
        finish(message, self.headers, self.body.map(|body| (SDP, body)))
    }
}

fn contact(message: &mut Message, config: &Config) {
    message.push("Contact", &format!("<sip:{}>", config.advertise));
}

/// What whoever makes a dialog, or asks, is to know (§13.2.1, §13.3.1.4; RFC 6665 §8.2.2).
fn abilities(message: &mut Message) {
    message.push("Allow", ALLOW);
    message.push("Allow-Events", ALLOW_EVENTS);
    message.push("Supported", SUPPORTED);
}

fn finish(mut message: Message, headers: &[(String, String)], body: Option<(&str, &Bytes)>) -> Bytes {
    for (name, value) in headers {
        message.push(name, value);
    }
    if let Some((kind, body)) = body {
        message.set_body(kind, body.clone());
    }
    message.to_bytes()
}

/// Reason phrases (RFC 3261 §21).
pub(super) fn reason(status: u16) -> &'static str {
    match status {
        100 => "Trying",
        180 => "Ringing",
        181 => "Call Is Being Forwarded",
        182 => "Queued",
        183 => "Session Progress",
        202 => "Accepted",
        300 => "Multiple Choices",
        301 => "Moved Permanently",
        302 => "Moved Temporarily",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        406 => "Not Acceptable",
        407 => "Proxy Authentication Required",
        408 => "Request Timeout",
        410 => "Gone",
        413 => "Request Entity Too Large",
        415 => "Unsupported Media Type",
        416 => "Unsupported URI Scheme",
        420 => "Bad Extension",
        469 => "Bad Info Package",
        480 => "Temporarily Unavailable",
        481 => "Call/Transaction Does Not Exist",
        482 => "Loop Detected",
        483 => "Too Many Hops",
        484 => "Address Incomplete",
        486 => "Busy Here",
        487 => "Request Terminated",
        488 => "Not Acceptable Here",
        489 => "Bad Event",
        491 => "Request Pending",
        500 => "Server Internal Error",
        501 => "Not Implemented",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        504 => "Server Time-out",
        505 => "Version Not Supported",
        513 => "Message Too Large",
        600 => "Busy Everywhere",
        603 => "Decline",
        604 => "Does Not Exist Anywhere",
        606 => "Not Acceptable",
        _ if status < 200 => "Progress",
        _ if status < 300 => "OK",
        _ if status < 400 => "Redirected",
        _ => "Refused",
    }
}
