//! Addresses and ports: whether they are ours to have.

use std::collections::BTreeSet;
use std::fs;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};

use super::{Finding, Level};
use crate::config::Config;

/// The ports that sockets of this host have, whatever their address.
#[derive(Clone, Debug, Default)]
struct Taken {
    udp: BTreeSet<u16>,
    tcp: BTreeSet<u16>,
}

/// `running`: a Baton answers at `http.listen`.
pub(super) fn findings(config: &Config, running: bool) -> Vec<Finding> {
    let read = |name: &str| fs::read_to_string(format!("/proc/net/{name}")).unwrap_or_default();
    let taken = Taken {
        udp: ports(&read("udp"), false).chain(ports(&read("udp6"), false)).collect(),
        tcp: ports(&read("tcp"), true).chain(ports(&read("tcp6"), true)).collect(),
    };
    let media = &config.media;
    let ranges: Vec<_> = [Some(media.first_port), media.other_first_port]
        .into_iter()
        .flatten()
        .map(|first| (first, media.workers * media.ports_per_worker * 2))
        .collect();
    let range = fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range").unwrap_or_default();
    let mut findings = vec![
        sip(&config.sip.listen, config.sip.tcp, &taken, running),
        http(config.http.listen, &taken, running),
        rtp(&ranges, &taken, running),
        ephemeral(&ranges, &range),
    ];
    let sip = config.sip.listen.iter().map(|address| ("sip.listen", address.ip()));
    let listened = sip.chain([("media.listen", media.listen), ("http.listen", config.http.listen.ip())]);
    findings.extend(listened.map(|(key, address)| {
        let ours = UdpSocket::bind(SocketAddr::new(address, 0)).is_ok();
        listens(key, address, ours)
    }));
    let (first, second) = media.advertise;
    let sip_told = config
        .sip
        .advertise
        .iter()
        .map(|address| ("sip.advertise", address.ip()));
    let media_told = [Some(first), second]
        .into_iter()
        .flatten()
        .map(|address| ("media.advertise", address));
    let trunks: Vec<_> = config
        .trunks
        .iter()
        .flat_map(|trunk| trunk.addresses.iter().copied())
        .collect();
    findings.extend(
        sip_told
            .chain(media_told)
            .filter_map(|(key, address)| told(key, address, &trunks)),
    );
    findings
}

/// The local ports of proc_net_udp(5) and its like; of TCP only those that listen (state 0A).
fn ports(table: &str, listening: bool) -> impl Iterator<Item = u16> {
    table.lines().skip(1).filter_map(move |line| {
        let mut words = line.split_whitespace().skip(1);
        let (_, port) = words.next()?.rsplit_once(':')?;
        let state = words.nth(1)?;
        (!listening || state == "0A").then(|| u16::from_str_radix(port, 16).ok())?
    })
}

fn taken_by(what: &str, found: String, running: bool, key: &str) -> Finding {
    match running {
        true => Finding::ok(
            what,
            format!("{found}: by the Baton that runs here; a new version can take over from it (--take-over)"),
        ),
        false => Finding::new(
            Level::Error,
            what,
            found,
            format!("`ss -ulpn` and `ss -tlpn` say by whom: stop that, or change {key}"),
        ),
    }
}

fn sip(listen: &[SocketAddr], tcp: bool, taken: &Taken, running: bool) -> Finding {
    let what = "SIP ports";
    let busy: Vec<_> = listen
        .iter()
        .filter(|address| taken.udp.contains(&address.port()) || (tcp && taken.tcp.contains(&address.port())))
        .map(SocketAddr::to_string)
        .collect();
    match busy.is_empty() {
        true => Finding::ok(what, "free"),
        false => taken_by(what, format!("{} is taken", busy.join(", ")), running, "sip.listen"),
    }
}

fn http(listen: SocketAddr, taken: &Taken, running: bool) -> Finding {
    match taken.tcp.contains(&listen.port()) {
        false => Finding::ok("HTTP port", "free"),
        true => taken_by("HTTP port", format!("{listen} is taken"), running, "http.listen"),
    }
}

/// Each range has a first port and a length; the second is for a version that takes over.
fn rtp(ranges: &[(u16, u16)], taken: &Taken, running: bool) -> Finding {
    let what = "RTP ports";
    let busy = |(first, length): (u16, u16)| {
        let last = u32::from(first) + u32::from(length);
        taken
            .udp
            .range(first..)
            .take_while(move |port| u32::from(**port) < last)
            .copied()
            .collect::<Vec<_>>()
    };
    let of_each: Vec<_> = ranges.iter().map(|range| busy(*range)).collect();
    match &of_each[..] {
        [first, ..] if !first.is_empty() => {
            let found = format!("{} of the range are taken, the first is {}", first.len(), first[0]);
            taken_by(what, found, running, "media.first_port")
        }
        [_, second, ..] if !second.is_empty() && !running => Finding::new(
            Level::Warning,
            what,
            format!(
                "{} of the second range are taken, the first is {}",
                second.len(),
                second[0]
            ),
            "free them, or set media.other_first_port: a new version takes over only where it has ports of its own",
        ),
        [_] => Finding::new(
            Level::Warning,
            what,
            "free, but there is no room for a second range",
            "set media.other_first_port, or a lower media.first_port: without it no new version can take over while calls run",
        ),
        _ => Finding::ok(what, "free, and so is the second range"),
    }
}

/// ip(7): other programs are given ports of this range for their own connections.
fn ephemeral(ranges: &[(u16, u16)], range: &str) -> Finding {
    let what = "net.ipv4.ip_local_port_range";
    let mut bounds = range.split_whitespace().filter_map(|bound| bound.parse::<u32>().ok());
    let (Some(low), Some(high)) = (bounds.next(), bounds.next()) else {
        return Finding::new(Level::Unknown, what, "cannot be read", "mount /proc");
    };
    let inside =
        |(first, length): &(u16, u16)| u32::from(*first) <= high && low < u32::from(*first) + u32::from(*length);
    let found = format!("{low} to {high}");
    match ranges.iter().any(inside) {
        false => Finding::ok(what, found),
        true => Finding::new(
            Level::Warning,
            what,
            found,
            "RTP ports lie in it, and any program may be given one before the start: keep them below, or reserve them by \
             net.ipv4.ip_local_reserved_ports",
        ),
    }
}

fn listens(key: &str, address: IpAddr, ours: bool) -> Finding {
    match ours {
        true => Finding::ok(key, format!("{address} is ours")),
        false => Finding::new(
            Level::Error,
            key,
            format!("{address} is not an address of this host"),
            format!("`ip address` lists them: change {key}"),
        ),
    }
}

/// Whether an address is one that others cannot reach: of this host, or of a private network.
fn reach(address: IpAddr) -> u8 {
    match address.to_canonical() {
        address if address.is_loopback() => 0,
        IpAddr::V4(v4) if v4.is_private() || v4.is_link_local() || shared(v4) => 1,
        IpAddr::V6(v6) if v6.is_unique_local() || v6.is_unicast_link_local() => 1,
        _ => 2,
    }
}

/// RFC 6598.
fn shared(address: Ipv4Addr) -> bool {
    let [first, second, ..] = address.octets();
    first == 100 && (64..128).contains(&second)
}

/// An address that peers are told. `None`: there is nothing to be said about it.
fn told(key: &str, address: IpAddr, trunks: &[IpAddr]) -> Option<Finding> {
    let further = trunks
        .iter()
        .filter(|trunk| trunk.is_ipv4() == address.is_ipv4())
        .find(|trunk| reach(**trunk) > reach(address))?;
    Some(Finding::new(
        Level::Warning,
        key,
        format!("{address}, and a trunk is at {further}, from where it can hardly be reached"),
        format!("set {key} to the address that the trunk reaches (the public one of the NAT, where there is one)"),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    const UDP: &str = "   sl  local_address rem_address   st tx_queue rx_queue\n\
                       10: 0100007F:13C4 00000000:0000 07 00000000:00000000\n 11: 00000000:4E21 00000000:0000 07 0:0\n";
    const TCP: &str = "  sl  local_address rem_address   st\n 0: 0100007F:1F90 00000000:0000 0A 0\n 1: 0100007F:C350 0100007F:1F90 01 0\n";

    fn taken() -> Taken {
        Taken {
            udp: ports(UDP, false).collect(),
            tcp: ports(TCP, true).collect(),
        }
    }

    #[test]
    fn who_listens_has_its_port_and_who_is_connected_does_not() {
        let taken = taken();
        assert_eq!(taken.udp.iter().copied().collect::<Vec<_>>(), [5060, 20_001]);
        assert_eq!(taken.tcp.iter().copied().collect::<Vec<_>>(), [8080]);
    }

    #[test]
    fn a_taken_port_is_an_error_but_where_a_baton_has_it() {
        let listen = ["127.0.0.1:5060".parse().expect("an address")];
        for (running, level) in [(false, Level::Error), (true, Level::Ok)] {
            assert_eq!(sip(&listen, true, &taken(), running).level, level);
            assert_eq!(
                http("127.0.0.1:8080".parse().expect("an address"), &taken(), running).level,
                level
            );
            assert_eq!(rtp(&[(20_000, 100), (30_000, 100)], &taken(), running).level, level);
        }
        let free = ["127.0.0.1:5062".parse().expect("an address")];
        assert_eq!(sip(&free, true, &taken(), false), Finding::ok("SIP ports", "free"));
        assert_eq!(rtp(&[(20_002, 100), (30_000, 100)], &taken(), false).level, Level::Ok);
        assert_eq!(
            rtp(&[(30_000, 100), (20_000, 100)], &taken(), false).level,
            Level::Warning
        );
        assert_eq!(rtp(&[(65_000, 500)], &taken(), false).level, Level::Warning);
    }

    #[test]
    fn ports_that_anybody_may_be_given_are_named() {
        let range = "32768\t60999\n";
        assert_eq!(ephemeral(&[(20_000, 1000)], range).level, Level::Ok);
        assert_eq!(ephemeral(&[(32_000, 1000)], range).level, Level::Warning);
        assert_eq!(ephemeral(&[(20_000, 1000)], "").level, Level::Unknown);
    }

    #[test]
    fn an_address_that_a_trunk_cannot_reach_is_named() {
        let ip = |text: &str| text.parse::<IpAddr>().expect("an address");
        let public = [ip("198.51.100.1")];
        assert!(told("media.advertise", ip("127.0.0.1"), &public).is_some());
        assert!(told("media.advertise", ip("10.0.0.1"), &public).is_some());
        assert!(told("media.advertise", ip("100.64.0.1"), &public).is_some());
        assert_eq!(told("media.advertise", ip("203.0.113.1"), &public), None);
        assert_eq!(told("media.advertise", ip("10.0.0.1"), &[ip("192.168.0.1")]), None);
        assert_eq!(told("media.advertise", ip("::1"), &public), None);
        assert!(told("sip.advertise", ip("fe80::1"), &[ip("2001:db8::1")]).is_some());
        assert_eq!(listens("sip.listen", ip("192.0.2.1"), false).level, Level::Error);
    }
}
