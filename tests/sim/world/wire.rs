//! What of SIP passed between Baton and the parties: enough to judge orders and to tell a failure's story.

use std::fmt;
use std::net::IpAddr;
use std::time::Instant;

use calls::notice::{Step, What};

use crate::world::{Who, World};

/// One SIP message as it left Baton or reached it; repetitions too.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wire {
    /// When.
    pub at: Instant,
    /// The party.
    pub party: Who,
    /// Baton sent it.
    pub ours: bool,
    /// It went by TCP.
    pub tcp: bool,
    /// Request-URI of a request.
    pub uri: String,
    /// Status of a response.
    pub status: Option<u16>,
    /// Method of the CSeq: of the request, or of what is answered.
    pub method: String,
    /// Number of the CSeq.
    pub number: u32,
    /// Call-ID.
    pub call_id: String,
    /// Reason (RFC 3326).
    pub reason: Option<String>,
    /// Status line of a sipfrag (RFC 3420): what a NOTIFY reports.
    pub reported: Option<u16>,
    /// `Subscription-State: terminated`.
    pub terminated: bool,
}

impl Wire {
    fn read(at: Instant, party: Who, ours: bool, tcp: bool, bytes: &[u8]) -> Option<Wire> {
        let text = String::from_utf8_lossy(bytes);
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
        let header = |wanted: &str| {
            let of = |line: &'_ str| {
                line.split_once(':')
                    .map(|(name, value)| (name.trim().to_owned(), value.trim().to_owned()))
            };
            let mut found = head.lines().skip(1).filter_map(of);
            found
                .find(|(name, _)| name.eq_ignore_ascii_case(wanted))
                .map(|(_, value)| value)
        };
        let status = |line: &str| line.strip_prefix("SIP/2.0 ")?.get(..3)?.parse().ok();
        let cseq = header("CSeq")?;
        let (number, method) = cseq.split_once(' ')?;
        Some(Wire {
            at,
            party,
            ours,
            tcp,
            uri: head.split(' ').nth(1).unwrap_or_default().into(),
            status: status(head),
            method: method.trim().to_owned(),
            number: number.parse().ok()?,
            call_id: header("Call-ID")?,
            reason: header("Reason"),
            reported: status(body),
            terminated: header("Subscription-State").is_some_and(|value| value.starts_with("terminated")),
        })
    }

    /// Whether it is a request with this method.
    pub fn is(&self, method: &str) -> bool {
        self.status.is_none() && self.method == method
    }

    /// Whether it answers a request with this method.
    pub fn answers(&self, method: &str) -> bool {
        self.status.is_some() && self.method == method
    }
}

impl fmt::Display for Wire {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let arrow = match (self.ours, self.tcp) {
            (true, false) => "->",
            (false, false) => "<-",
            (true, true) => "=>",
            (false, true) => "<=",
        };
        write!(f, "{arrow} {:?} ", self.party)?;
        match self.status {
            Some(status) => write!(f, "{status} to {} {}", self.number, self.method)?,
            None => write!(f, "{} {}", self.method, self.number)?,
        }
        if let Some(reported) = self.reported {
            write!(f, " ({reported}{})", if self.terminated { ", last" } else { "" })?;
        }
        Ok(())
    }
}

impl World {
    /// Whether this INVITE of Baton's, or an answer to it, is of the first of its call, and not of a re-INVITE.
    pub(crate) fn is_first(&self, wire: &Wire) -> bool {
        let invite = |other: &&Wire| other.ours && other.is("INVITE") && other.call_id == wire.call_id;
        let first = self.wire.iter().find(invite);
        // The caller called us.
        wire.party != Who::Caller && first.is_some_and(|first| first.number == wire.number)
    }

    /// Keeps a message from or to the node.
    pub(super) fn log(&mut self, other: IpAddr, ours: bool, tcp: bool, bytes: &[u8]) {
        let phone = ours.then(|| self.phone_at(other, bytes)).flatten();
        let party = self.everyone().into_iter().find(|who| self.ua(*who).sip.ip() == other);
        let Some(party) = phone.map(Who::Human).or(party) else {
            return;
        };
        self.wire.extend(Wire::read(self.now, party, ours, tcp, bytes));
    }

    /// All that happened in this call, a line each, with the milliseconds since the start: SIP, what the node told, what was
    /// done besides, what the parties did with media, and the sounds that each party was sent.
    pub fn ladder(&self) -> Vec<String> {
        let mut lines: Vec<(Instant, String)> = Vec::new();
        lines.extend(self.wire.iter().map(|wire| (wire.at, wire.to_string())));
        lines.extend(self.done.iter().map(|(at, what)| (*at, format!("!  {what:?}"))));
        for notice in &self.notices {
            let text = match &notice.what {
                What::Handoff(_, step) => match step {
                    Step::Invited { target, .. } => format!("invited {target}"),
                    Step::Evidence(_) => "evidence".into(),
                    step => format!("{step:?}"),
                },
                What::CallStarted { .. } => "call started".into(),
                What::NotReached { status } => format!("not reached: {status}"),
                What::CallEnded { by } => format!("call ended by {by}"),
                What::Hears { rows, .. } => format!("who hears whom: {rows:?}"),
                What::Spoken { codecs, .. } => format!("spoken {codecs:?}"),
                What::Supervisor { name, how, .. } => format!("supervisor {name}: {how:?}"),
                What::Turns { .. } | What::Context(_) | What::ContextUpdated(_) | What::Legs(_) => continue,
            };
            lines.push((notice.at, format!("*  {text}")));
        }
        for who in self.everyone() {
            let media = self.ua(who).media.iter();
            lines.extend(media.map(|(at, media)| (*at, format!("%  {who:?} {media:?}"))));
            let mut last = None;
            for sent in self.sent.iter().filter(|sent| sent.to == who) {
                let (sound, sequence) = (sent.sound, sent.packet.sequence);
                let goes_on = last.is_some_and(|(_, before): (_, u16)| before.wrapping_add(1) == sequence);
                if last.map(|(sound, _)| sound) != Some(sound) || !goes_on {
                    lines.push((sent.at, format!("~  {who:?} hears {sound:?} from packet {sequence} on")));
                }
                last = Some((sound, sequence));
            }
        }
        lines.sort_by_key(|(at, _)| *at);
        let line = |(at, text): (Instant, String)| format!("{:>9.3} {text}", (at - self.start).as_secs_f64() * 1000.0);
        lines.into_iter().map(line).collect()
    }
}
