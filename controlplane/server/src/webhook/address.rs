//! Which addresses webhooks may be posted to.
//!
//! Whoever may write a configuration, or a zone of the DNS that one names, shall not reach by us what only we can reach: the
//! host itself, its network, the metadata service of a cloud. So only public addresses are taken unless a webhook says
//! otherwise, and it is the address that is connected to which counts: names are looked up here, and each look-up is checked.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use reqwest::Url;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};

/// IPv4 networks that are not the public Internet (IANA's special-purpose registry, RFC 6890).
const V4: [(Ipv4Addr, u32, &str); 17] = [
    (Ipv4Addr::new(0, 0, 0, 0), 8, "unspecified"),
    (Ipv4Addr::new(10, 0, 0, 0), 8, "private"),
    (Ipv4Addr::new(100, 64, 0, 0), 10, "shared behind a carrier's NAT"),
    (Ipv4Addr::new(127, 0, 0, 0), 8, "loopback"),
    // Not in the registry: there Azure's virtual machines find their host.
    (Ipv4Addr::new(168, 63, 129, 16), 32, "a cloud's own"),
    (Ipv4Addr::new(169, 254, 0, 0), 16, "link-local"),
    (Ipv4Addr::new(172, 16, 0, 0), 12, "private"),
    (Ipv4Addr::new(192, 0, 0, 0), 24, "reserved"),
    (Ipv4Addr::new(192, 0, 2, 0), 24, "for documentation"),
    (Ipv4Addr::new(192, 88, 99, 0), 24, "a relay's"),
    (Ipv4Addr::new(192, 168, 0, 0), 16, "private"),
    (Ipv4Addr::new(198, 18, 0, 0), 15, "for benchmarks"),
    (Ipv4Addr::new(198, 51, 100, 0), 24, "for documentation"),
    (Ipv4Addr::new(203, 0, 113, 0), 24, "for documentation"),
    (Ipv4Addr::new(224, 0, 0, 0), 4, "multicast"),
    (Ipv4Addr::new(255, 255, 255, 255), 32, "broadcast"),
    (Ipv4Addr::new(240, 0, 0, 0), 4, "reserved"),
];

/// IPv6 networks likewise; what is not in `2000::/3` is none either.
const V6: [(Ipv6Addr, u32, &str); 10] = [
    (Ipv6Addr::UNSPECIFIED, 128, "unspecified"),
    (Ipv6Addr::LOCALHOST, 128, "loopback"),
    (Ipv6Addr::new(0xfc00, 0, 0, 0, 0, 0, 0, 0), 7, "unique local"),
    (Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0), 10, "link-local"),
    (Ipv6Addr::new(0xfec0, 0, 0, 0, 0, 0, 0, 0), 10, "site-local"),
    (Ipv6Addr::new(0xff00, 0, 0, 0, 0, 0, 0, 0), 8, "multicast"),
    // Teredo is in it: an IPv4 address behind somebody's NAT.
    (Ipv6Addr::new(0x2001, 0, 0, 0, 0, 0, 0, 0), 23, "reserved"),
    (Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0), 32, "for documentation"),
    (Ipv6Addr::new(0x3fff, 0, 0, 0, 0, 0, 0, 0), 20, "for documentation"),
    (Ipv6Addr::new(0x100, 0, 0, 0, 0, 0, 0, 0), 64, "for discarding"),
];

/// What an address is that is not public.
pub(crate) fn special(ip: IpAddr) -> Option<&'static str> {
    match ip {
        IpAddr::V4(ip) => special_v4(ip),
        IpAddr::V6(ip) => special_v6(ip),
    }
}

fn special_v4(ip: Ipv4Addr) -> Option<&'static str> {
    let within = |network: Ipv4Addr, bits: u32| (ip.to_bits() ^ network.to_bits()) >> (32 - bits) == 0;
    let found = V4.iter().find(|(network, bits, _)| within(*network, *bits));
    found.map(|(.., kind)| *kind)
}

fn special_v6(ip: Ipv6Addr) -> Option<&'static str> {
    if let Some(inner) = inner(ip) {
        return special_v4(inner);
    }
    let within = |network: Ipv6Addr, bits: u32| (ip.to_bits() ^ network.to_bits()) >> (128 - bits) == 0;
    let found = V6.iter().find(|(network, bits, _)| within(*network, *bits));
    match found {
        Some((.., kind)) => Some(kind),
        None if ip.segments()[0] & 0xe000 == 0x2000 => None,
        None => Some("not global"),
    }
}

/// The IPv4 address in an IPv6 one by which it is reached.
fn inner(ip: Ipv6Addr) -> Option<Ipv4Addr> {
    let low = |bits: u32| Ipv4Addr::from_bits((ip.to_bits() >> bits) as u32);
    match ip.segments() {
        // Mapped (RFC 4291 §2.5.5.2), and translated (RFC 2765 §2.1).
        [0, 0, 0, 0, 0, 0xffff, _, _] | [0, 0, 0, 0, 0xffff, 0, _, _] => Some(low(0)),
        // NAT64 (RFC 6052 §2.1); the network of 48 bits beside it is for local use (RFC 8215) and is not global.
        [0x64, 0xff9b, 0, 0, 0, 0, _, _] => Some(low(0)),
        // 6to4 (RFC 3056 §2).
        [0x2002, ..] => Some(low(80)),
        _ => None,
    }
}

/// An address that is not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("refused: {host} is at {address}, which is {kind}; allow_private takes it")]
pub(crate) struct Refused {
    host: String,
    address: IpAddr,
    kind: &'static str,
}

/// What is wrong with the host of a URL before any name is looked up. `None`: nothing.
pub(crate) fn problem(url: &Url) -> Option<String> {
    let host = url.host_str()?;
    // The parser has made four numbers of every form that an IPv4 address can have.
    let literal = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    if let Ok(address) = literal {
        return special(address).map(|kind| format!("{address} is {kind}"));
    }
    let name = host.trim_end_matches('.').to_ascii_lowercase();
    // RFC 6761 §6.3.
    let local = name == "localhost" || name.ends_with(".localhost");
    local.then(|| format!("{host} is loopback"))
}

/// Looks names up, and knows only public addresses.
pub(crate) struct PublicOnly {
    lookup: Arc<dyn Resolve>,
}

impl PublicOnly {
    pub(crate) fn new() -> PublicOnly {
        PublicOnly::over(Arc::new(System))
    }

    /// With another way to look up names.
    pub(super) fn over(lookup: Arc<dyn Resolve>) -> PublicOnly {
        PublicOnly { lookup }
    }
}

impl fmt::Debug for PublicOnly {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PublicOnly")
    }
}

impl Resolve for PublicOnly {
    fn resolve(&self, name: Name) -> Resolving {
        let host = name.as_str().to_owned();
        let found = self.lookup.resolve(name);
        Box::pin(async move {
            let mut refused = None;
            let mut public = Vec::new();
            for address in found.await? {
                match special(address.ip()) {
                    None => public.push(address),
                    Some(kind) => {
                        refused = Some(Refused {
                            host: host.clone(),
                            address: address.ip(),
                            kind,
                        });
                    }
                }
            }
            match (public.is_empty(), refused) {
                (true, Some(refused)) => Err(refused.into()),
                _ => Ok(Box::new(public.into_iter()) as Addrs),
            }
        })
    }
}

/// The system's own look-up.
struct System;

impl Resolve for System {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move {
            let found: Vec<SocketAddr> = tokio::net::lookup_host((name.as_str(), 0)).await?.collect();
            Ok(Box::new(found.into_iter()) as Addrs)
        })
    }
}

#[cfg(test)]
pub(super) mod tests;
