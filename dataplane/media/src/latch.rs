//! Who may send to a leg's port, decided by RTP alone (never by RTCP or STUN).
//!
//! What is common to the three modes:
//! - An **exchange** (a new offer/answer) re-opens the latch, but does not throw out whom it holds: as long as the
//!   holder sends, only the address and port of the new SDP can take its place. So a sprayer that waits for a re-INVITE gets nothing.
//! - While the latch is open, a packet from exactly the signalled address and port takes the lock from anybody else who was faster.
//! - A new SSRC from the holder's address and port is followed at once: its network has transferred the call. Only the one
//!   that was just replaced waits until its successor is silent.
//! - A description without an address (`c=0.0.0.0`, hold as RFC 2543 had it) says where we may not send, and nothing about who may:
//!   who could send before it still can, so that the music of such a hold is heard, and nobody else.
//! - A packet of an unmapped payload type changes nothing.

use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use crate::command::Latch;

/// In signalled-ip mode: how long after an offer/answer only the signalled port may lock. Nearly every peer sends from the
/// port that it receives on; a stranger on the same host must not be faster than the peer's first packet.
pub const PORT_WINDOW: Duration = Duration::from_millis(200);

/// In nat mode: how long after an offer/answer the first packet may come.
pub const NAT_WINDOW: Duration = Duration::from_secs(3);

/// In nat mode: how long the holder must have been silent before its network neighbour may take its place.
pub const NAT_SILENCE: Duration = Duration::from_secs(5);

/// After an exchange: how long the holder must have been silent before another may take its place.
/// Also how long a source must have been silent before the SSRC that it replaced may come back: late packets of
/// the old one must not make the line swing to and fro.
pub const HOLDER_SILENCE: Duration = Duration::from_millis(100);

/// The answer to one packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admission {
    /// From the leg's peer.
    Accept,
    /// From an address that may not send here.
    Stranger,
    /// From the right address, with an SSRC that may not be its now.
    StrangeSource,
}

/// The latch of one leg.
#[derive(Clone, Copy, Debug)]
pub struct Latched {
    mode: Latch,
    /// The last address of its descriptions.
    signalled: Option<SocketAddr>,
    /// The last description has one.
    reachable: bool,
    exchange: Option<u32>,
    /// When the exchange was.
    opened: Option<Instant>,
    holder: Option<Holder>,
}

#[derive(Clone, Copy, Debug)]
struct Holder {
    from: SocketAddr,
    ssrc: u32,
    /// The SSRC that the present one replaced.
    replaced: Option<u32>,
    heard: Instant,
    /// Whether it was heard since the last exchange: then the latch is locked, otherwise open.
    confirmed: bool,
}

impl Latched {
    /// Before the peer's SDP: everybody is a stranger.
    pub fn new(mode: Latch) -> Latched {
        Latched {
            mode,
            signalled: None,
            reachable: false,
            exchange: None,
            opened: None,
            holder: None,
        }
    }

    /// What the control plane says; the same again changes nothing. A new `exchange` or mode opens the latch, unless it has no
    /// address.
    pub fn set(&mut self, now: Instant, mode: Latch, signalled: Option<SocketAddr>, exchange: u32) {
        self.reachable = signalled.is_some();
        let Some(signalled) = signalled else {
            return;
        };
        let reopened = self.exchange != Some(exchange) || self.mode != mode;
        self.mode = mode;
        self.signalled = Some(signalled);
        self.exchange = Some(exchange);
        if reopened {
            self.opened = Some(now);
            if let Some(holder) = &mut self.holder {
                holder.confirmed = false;
            }
        }
        // A holder that the new SDP excludes is out at once. In nat mode no SDP excludes anybody.
        let excluded = self.holder.is_some_and(|holder| match mode {
            Latch::SignalledIp => !same_ip(signalled, holder.from),
            Latch::Off => !same(signalled, holder.from),
            Latch::Nat => false,
        });
        if excluded {
            self.holder = None;
        }
    }

    /// Judges one valid RTP packet. `mapped`: its payload type is one of the leg's. Where it is not, `Accept` says only
    /// that the address may send; the packet has changed nothing and must be dropped.
    pub fn accept(&mut self, now: Instant, from: SocketAddr, ssrc: u32, mapped: bool) -> Admission {
        let Some(signalled) = self.signalled else {
            return Admission::Stranger;
        };
        let exact = same(signalled, from);
        if let Some(holder) = &mut self.holder {
            if same(holder.from, from) {
                return if mapped {
                    hold(holder, now, ssrc)
                } else {
                    Admission::Accept
                };
            }
            let silent = now.saturating_duration_since(holder.heard);
            let may_follow = match self.mode {
                Latch::Off => false,
                Latch::SignalledIp => {
                    exact || !holder.confirmed && silent >= HOLDER_SILENCE && same_ip(signalled, from)
                }
                Latch::Nat => {
                    let open = within(self.opened, now, NAT_WINDOW);
                    exact && open
                        || !holder.confirmed && open && silent >= HOLDER_SILENCE
                        || silent >= NAT_SILENCE && same_network(holder.from.ip(), from.ip())
                }
            };
            if !may_follow {
                return Admission::Stranger;
            }
        } else {
            let may_lock = match self.mode {
                Latch::Off => exact,
                Latch::SignalledIp => exact || same_ip(signalled, from) && !within(self.opened, now, PORT_WINDOW),
                // Who starts to speak only after the window must at least be where its SDP says.
                Latch::Nat => exact || within(self.opened, now, NAT_WINDOW),
            };
            if !may_lock {
                return Admission::Stranger;
            }
        }
        if mapped {
            self.holder = Some(Holder {
                from,
                ssrc,
                replaced: None,
                heard: now,
                confirmed: true,
            });
        }
        Admission::Accept
    }

    /// Where to send: in nat mode to the holder, otherwise as signalled. `None` before the peer's SDP, and while that has no
    /// address.
    pub fn destination(&self) -> Option<SocketAddr> {
        let signalled = self.signalled.filter(|_| self.reachable);
        match (self.mode, self.holder) {
            (Latch::Nat, Some(holder)) => signalled.and(Some(holder.from)),
            _ => signalled,
        }
    }

    /// The only address that may send, until [`Latched::set`] is called; `None` where another could take its place without that, or where it has not been
    /// heard. In nat mode one always can: a holder that is silent gives way to its network.
    pub fn sole(&self) -> Option<SocketAddr> {
        let holder = self.holder.filter(|holder| holder.confirmed)?;
        let stays = self.mode != Latch::Nat && self.signalled.is_some_and(|signalled| same(signalled, holder.from));
        stays.then_some(holder.from)
    }

    /// Who holds the latch: address and SSRC.
    pub fn holder(&self) -> Option<(SocketAddr, u32)> {
        self.holder.map(|holder| (holder.from, holder.ssrc))
    }
}

/// A packet from the holder's address and port. A peer that transfers the call inside its network sends another SSRC without
/// any signalling; who could forge its address and port could forge its SSRC as well.
fn hold(holder: &mut Holder, now: Instant, ssrc: u32) -> Admission {
    let silent = now.saturating_duration_since(holder.heard);
    if ssrc != holder.ssrc {
        if holder.replaced == Some(ssrc) && silent < HOLDER_SILENCE {
            return Admission::StrangeSource;
        }
        holder.replaced = Some(holder.ssrc);
        holder.ssrc = ssrc;
    }
    holder.heard = now;
    holder.confirmed = true;
    Admission::Accept
}

fn within(opened: Option<Instant>, now: Instant, window: Duration) -> bool {
    opened.is_some_and(|at| now.saturating_duration_since(at) < window)
}

/// The same address and port. A dual-stack socket writes IPv4 as `::ffff:a.b.c.d`; flow labels and scopes do not count.
fn same(a: SocketAddr, b: SocketAddr) -> bool {
    a.port() == b.port() && same_ip(a, b)
}

fn same_ip(a: SocketAddr, b: SocketAddr) -> bool {
    a.ip().to_canonical() == b.ip().to_canonical()
}

/// The same /24 (IPv4) or /64 (IPv6).
fn same_network(a: IpAddr, b: IpAddr) -> bool {
    match (a.to_canonical(), b.to_canonical()) {
        (IpAddr::V4(a), IpAddr::V4(b)) => a.octets()[..3] == b.octets()[..3],
        (IpAddr::V6(a), IpAddr::V6(b)) => a.octets()[..8] == b.octets()[..8],
        _ => false,
    }
}

#[cfg(test)]
mod tests;
