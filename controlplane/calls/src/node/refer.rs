//! REFERs that peers send: they become handoffs, and the steps of these become NOTIFYs.
//!
//! This listens to what the call tells, like a record or a webhook: no machine knows of a REFER that came.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::time::Instant;

use playbook::Mode;
use playbook::context::TEXT_MAX;
use sip::endpoint::ReferId;
use sip::header::{Header as _, ReferTo, ReferredBy};
use sip::message::Message;

use crate::call::State;
use crate::config::Target;
use crate::handoff::Choice;
use crate::node::{Live, Node, users};
use crate::notice::{HandoffId, Outcome, Reason, Step};
use crate::pattern::Plain;
use crate::spec::Role;

/// The longest Referred-By that is handed on.
const BY_MAX: usize = 512;

/// REFERs whose handoffs are not decided yet.
#[derive(Debug, Default)]
pub(crate) struct Refers(BTreeMap<HandoffId, Referral>);

#[derive(Debug)]
struct Referral {
    refer: ReferId,
    /// Referred-By of the REFER.
    by: Option<String>,
    /// How the last target failed.
    failed: Option<u16>,
}

impl Refers {
    /// Who is said to have asked for this handoff (RFC 3892).
    pub(crate) fn by(&self, handoff: HandoffId) -> Option<String> {
        self.0.get(&handoff)?.by.clone()
    }

    /// What a step has to be told to the transferor: which REFER, status, and whether nothing follows.
    ///
    /// 200 with the join: the human's ACK is out and the human's sound goes to the caller. A failure with the return, not
    /// with the target: another one may come.
    pub(crate) fn hear(&mut self, handoff: HandoffId, step: &Step) -> Option<(ReferId, u16, bool)> {
        let referral = self.0.get_mut(&handoff)?;
        let refer = referral.refer;
        let last = match step {
            Step::Ringing => return Some((refer, 180, false)),
            Step::TargetFailed { reason, status, .. } => {
                let status = status.filter(|status| *status >= 300);
                referral.failed = Some(status.unwrap_or_else(|| stands_for(*reason)));
                return None;
            }
            Step::Joined { .. } | Step::Machine { .. } => 200,
            Step::Returned => referral.failed.unwrap_or(487),
            Step::Closed { result, reason, .. } => match (result, reason) {
                (Outcome::Joined | Outcome::Transferred, _) => 200,
                (_, Some(Reason::CallerHangup)) => 487,
                _ => referral.failed.unwrap_or(487),
            },
            _ => return None,
        };
        self.0.remove(&handoff);
        Some((refer, last, true))
    }
}

/// The status for a failure that no SIP answer said.
fn stands_for(reason: Reason) -> u16 {
    match reason {
        Reason::Busy => 486,
        Reason::NoAnswer | Reason::AfterHours | Reason::Machine | Reason::HumanHangup | Reason::AiGone => 480,
        Reason::Rejected | Reason::Declined | Reason::ReferRefused => 603,
        Reason::Unreachable | Reason::ReferTimeout => 408,
        Reason::CallerHangup => 487,
        Reason::NoCapacity => 503,
        Reason::Error => 500,
    }
}

/// What a REFER asks for.
struct Asked {
    mode: Option<Mode>,
    why: String,
    choice: Choice,
    by: Option<String>,
}

impl Node {
    /// A peer asks to be replaced by somebody else.
    pub(super) fn refer_came(&mut self, now: Instant, live: Box<Live>, role: Role, refer: ReferId, request: &Message) {
        match self.read_refer(&live, role, request) {
            Ok(asked) => {
                if self.endpoint.accept_refer(now, refer).is_ok() {
                    let decided = users::decide(now, &live, &live.context, None);
                    let wish = users::Wish {
                        open: false,
                        mode: asked.mode,
                        targets: vec![asked.choice],
                        why: asked.why,
                    };
                    let order = self.new_order(now, &live, &live.context, decided, wish);
                    let (by, failed) = (asked.by, None);
                    self.refers.0.insert(order.id, Referral { refer, by, failed });
                    self.begin(now, live, order);
                    return;
                }
            }
            Err(status) => {
                let _ = self.endpoint.reject_refer(now, refer, status);
            }
        }
        self.put_back(now, live);
    }

    /// Our SIP addresses.
    pub(super) fn here(&self) -> Vec<SocketAddr> {
        let sip = &self.config.sip;
        [Some(sip.advertise), sip.also].into_iter().flatten().collect()
    }

    fn read_refer(&self, live: &Live, role: Role, request: &Message) -> Result<Asked, u16> {
        if matches!(role, Role::Caller | Role::Supervisor) {
            return Err(403);
        }
        match live.call.state() {
            State::Talking => {}
            State::HandingOff(_) => return Err(491),
            _ => return Err(481),
        }
        let text = request.header(ReferTo::NAME).ok_or(400_u16)?;
        let choice = resolve(&text, &live.config.targets, &self.here())?;
        let mode = match request.header("X-Baton-Mode") {
            None => None,
            Some(mode) if mode.eq_ignore_ascii_case("warm") => Some(Mode::Warm),
            Some(mode) if mode.eq_ignore_ascii_case("cold") => Some(Mode::Cold),
            Some(mode) if mode.eq_ignore_ascii_case("auto") => None,
            Some(_) => return Err(400),
        };
        let why = request.header("X-Baton-Reason").unwrap_or_default();
        let mut why = live.config.playbook.redact.text(&why).into_owned();
        why.truncate(why.floor_char_boundary(TEXT_MAX));
        // Handed on as it is, but only where it is an address; nothing in it can start another header.
        let by = request.header(ReferredBy::NAME).map(|by| by.into_owned());
        let by = by.filter(|by| by.len() <= BY_MAX && by.is_ascii() && ReferredBy::parse(by).is_ok());
        Ok(Asked { mode, why, choice, by })
    }
}

/// Whom a Refer-To names: a target by its name or its URI, or one of whose patterns the URI is. Nobody else is dialled.
///
/// A name stands as the whole value, as `sip:name`, or as the user of a URI at an address of ours (`here`).
pub(super) fn resolve(value: &str, targets: &[Target], here: &[SocketAddr]) -> Result<Choice, u16> {
    let chosen = |(target, found): (usize, &Target), uri: Option<String>| Choice {
        target,
        name: found.name.clone(),
        queued: found.queue.is_some() && uri.is_none(),
        uri,
        closed: false,
        machine: false,
    };
    let named = |name: &str| targets.iter().enumerate().find(|(_, target)| target.name == name);
    if let Some(found) = named(value.trim()) {
        return Ok(chosen(found, None));
    }
    let Ok(ReferTo(address)) = ReferTo::parse(value) else {
        return Err(400);
    };
    let uri = address.uri.as_str();
    if address.uri.header("Replaces").is_some() {
        // RFC 3891 in a Refer-To is not built.
        return Err(501);
    }
    if let Some(found) = uri
        .split_once(':')
        .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("sip"))
        .and_then(|(_, name)| named(name))
    {
        return Ok(chosen(found, None));
    }
    let plain = Plain::parse(uri).ok_or(403_u16)?;
    let ours = |address: &SocketAddr| {
        let host = match address.ip() {
            IpAddr::V4(ip) => ip.to_string(),
            IpAddr::V6(ip) => format!("[{ip}]"),
        };
        plain.is_at(&host, Some(address.port())) || plain.is_at(&host, None)
    };
    if here.iter().any(ours) {
        return named(plain.user).map(|found| chosen(found, None)).ok_or(403);
    }
    // What its URI asks of the way there (`;transport=tcp`) is ours to know.
    let own = |target: &Target| {
        let uri = target.uri.split(';').next().unwrap_or_default();
        Plain::parse(uri).is_some_and(|own| own.is(&plain))
    };
    if let Some(found) = targets.iter().enumerate().find(|(_, target)| own(target)) {
        return Ok(chosen(found, None));
    }
    let allowed = |target: &Target| target.patterns.iter().any(|pattern| pattern.matches(uri));
    let found = targets.iter().enumerate().find(|(_, target)| allowed(target));
    found.map(|found| chosen(found, Some(uri.to_owned()))).ok_or(403)
}

#[cfg(test)]
mod tests;
