//! `[media]`.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use ::media::command::Latch;
use ::sip::sdp::Encoding;
use calls::config::Prefer;
use engine::{Backend, Rtcp};

use super::reader::Table;
use super::values::{self, codecs, count, milliseconds, seconds};

/// What we speak where nothing is said of it.
const CODECS: [Encoding; 4] = [Encoding::Pcmu, Encoding::Pcma, Encoding::G722, Encoding::Opus];

/// `[media]`
#[derive(Clone, Debug)]
pub struct Media {
    /// The address of the RTP sockets; `::` serves both families.
    pub listen: IpAddr,
    /// The address in SDP, and the one of the other family.
    pub advertise: (IpAddr, Option<IpAddr>),
    /// Lowest RTP port, even.
    pub first_port: u16,
    /// That of a version which takes over while the older one still has `first_port`; `None`: there is no room.
    pub other_first_port: Option<u16>,
    /// Pairs of ports of each worker.
    pub ports_per_worker: u16,
    /// Threads.
    pub workers: u16,
    /// The core of each worker; empty: none is pinned.
    pub cores: Vec<usize>,
    /// Calls that each worker can hold.
    pub sessions_per_worker: usize,
    /// Packet buffers of each worker.
    pub buffers_per_worker: u16,
    /// The packets' way into the kernel.
    pub io: Backend,
    /// Where RTCP is received.
    pub rtcp: Rtcp,
    /// Who may send to a leg's port.
    pub latch: Latch,
    /// What we speak, best first.
    pub codecs: Vec<Encoding>,
    /// By what a codec is chosen.
    pub prefer: Prefer,
    /// A party that sends nothing for so long is silent.
    pub silence: Duration,
}

/// What `[media]` says of how long calls wait.
pub(super) struct MediaTimes {
    pub(super) applied: Duration,
    pub(super) silence_probe: Duration,
}

impl Media {
    /// Whether a peer at this address can be told where to send to.
    pub(super) fn reaches(&self, peer: IpAddr) -> bool {
        let (first, second) = self.advertise;
        let peer = peer.to_canonical();
        [Some(first), second]
            .into_iter()
            .flatten()
            .any(|ours| ours.is_ipv4() == peer.is_ipv4())
    }
}

/// `listen`, and what SDP says: at most one address of each family, and only of those that are listened to.
fn addresses(table: &Table<'_, '_>) -> (IpAddr, (IpAddr, Option<IpAddr>)) {
    const ADDRESS: &str = "an address, as 192.0.2.1 or 2001:db8::1";
    let found = table.parsed::<IpAddr>("listen", ADDRESS);
    let listen = found
        .as_ref()
        .map_or(IpAddr::V4(Ipv4Addr::LOCALHOST), |found| found.value);
    let both = listen == IpAddr::V6(Ipv6Addr::UNSPECIFIED);
    if let Some(found) = &found
        && let Some(plain) = plain(found.value)
    {
        table.problem(found.line, "listen", plain);
    }
    if table.is_empty_list("advertise") {
        table.problem(
            table.line,
            "advertise",
            "names no address: leave it out for that of listen",
        );
    }
    let mut advertise: Vec<IpAddr> = Vec::new();
    for one in values::addresses::<IpAddr>(table, "advertise", ADDRESS) {
        let address = one.value;
        if let Some(plain) = plain(address) {
            table.problem(one.line, "advertise", plain);
        } else if address.is_unspecified() || address.is_multicast() {
            table.problem(one.line, "advertise", "must be an address that peers can reach");
        } else if !both && address.is_ipv4() != listen.is_ipv4() {
            let message = format!(
                "{address} is of {}, and media.listen = \"{listen}\" receives only {}: listen on \"::\" for both",
                family(address),
                family(listen)
            );
            table.problem(one.line, "advertise", message);
        } else {
            advertise.push(address);
        }
    }
    if let (Some(found), false) = (&found, table.has("advertise"))
        && listen.is_unspecified()
    {
        let message = "names no address that peers could reach: set media.advertise to the one that they reach, \
                       or for \"::\" to one of each family";
        table.problem(found.line, "listen", message);
    }
    let first = advertise.first().copied().unwrap_or(listen);
    (listen, (first, advertise.get(1).copied()))
}

/// What is wrong with a v4-mapped address (RFC 4291 §2.5.5.2): it is IPv4 in the dress of IPv6.
fn plain(address: IpAddr) -> Option<String> {
    let plain = address.to_canonical();
    (plain != address).then(|| format!("is an IPv4 address: write it as {plain}"))
}

pub(super) fn family(address: IpAddr) -> &'static str {
    if address.is_ipv4() { "IPv4" } else { "IPv6" }
}

pub(super) fn read(table: Table<'_, '_>) -> (Media, MediaTimes) {
    let (listen, advertise) = addresses(&table);
    let first_port = table.integer("first_port", 1024..=65_534);
    if let Some(first_port) = &first_port
        && !first_port.value.is_multiple_of(2)
    {
        table.problem(
            first_port.line,
            "first_port",
            "must be even: RTCP is on the odd port above (RFC 3550 §11)",
        );
    }
    let cores = table.integers("cores", 0..=4095);
    let buffers = table.integer("buffers_per_worker", 64..=32_768);
    if let Some(buffers) = &buffers
        && !buffers.value.is_power_of_two()
    {
        table.problem(buffers.line, "buffers_per_worker", "must be a power of two");
    }
    let other = table.integer("other_first_port", 1024..=65_534);
    let mut media = Media {
        listen,
        advertise,
        other_first_port: None,
        first_port: first_port.as_ref().map_or(20_000, |found| found.value as u16),
        ports_per_worker: count(&table, "ports_per_worker", 1..=32_000, 500) as u16,
        workers: count(&table, "workers", 1..=256, 1) as u16,
        cores: cores
            .as_ref()
            .map(|found| found.value.iter().map(|&core| core as usize).collect())
            .unwrap_or_default(),
        sessions_per_worker: count(&table, "sessions_per_worker", 1..=100_000, 1024),
        buffers_per_worker: buffers.map_or(1024, |found| found.value as u16),
        io: table
            .choice(
                "io",
                &[
                    ("auto", Backend::Auto),
                    ("io_uring", Backend::Uring),
                    ("epoll", Backend::Epoll),
                ],
            )
            .unwrap_or_default(),
        rtcp: table
            .choice("rtcp", &[("pair", Rtcp::Pair), ("mux", Rtcp::Mux)])
            .unwrap_or_default(),
        latch: table
            .choice(
                "latch",
                &[
                    ("signalled-ip", Latch::SignalledIp),
                    ("nat", Latch::Nat),
                    ("off", Latch::Off),
                ],
            )
            .unwrap_or(Latch::SignalledIp),
        codecs: codecs(&table, "codecs")
            .filter(|codecs| !codecs.is_empty())
            .map_or(CODECS.to_vec(), |codecs| {
                codecs.into_iter().map(|codec| codec.value).collect()
            }),
        prefer: table
            .choice(
                "prefer",
                &[
                    ("no-transcode", Prefer::NoTranscode),
                    ("quality", Prefer::Quality),
                    ("cost", Prefer::Cost),
                ],
            )
            .unwrap_or_default(),
        silence: milliseconds(&table, "silence_ms", 100..=60_000, 1000),
    };
    if let Some(cores) = cores
        && !media.cores.is_empty()
        && media.cores.len() != usize::from(media.workers)
    {
        let message = format!("must name one core for each of the {} workers, or none", media.workers);
        table.problem(cores.line, "cores", message);
    }
    let last = u32::from(media.first_port) + 2 * u32::from(media.workers) * u32::from(media.ports_per_worker);
    if last > 65_536 {
        let message = format!(
            "{} workers with {} pairs of ports from {} on go beyond port 65535",
            media.workers, media.ports_per_worker, media.first_port
        );
        let line = first_port.map_or(table.line, |found| found.line);
        table.problem(line, "first_port", message);
    }
    let length = last - u32::from(media.first_port);
    if let Some(other) = &other {
        let first = other.value as u32;
        if !first.is_multiple_of(2) || first + length > 65_536 || first.abs_diff(u32::from(media.first_port)) < length {
            let message = format!(
                "must be even, and the {length} ports from it on neither overlap those of first_port nor go beyond 65535"
            );
            table.problem(other.line, "other_first_port", message);
        }
    }
    let above = u16::try_from(last).ok().filter(|_| last + length <= 65_536);
    media.other_first_port = other.map(|found| found.value as u16).or(above);
    let times = MediaTimes {
        applied: milliseconds(&table, "applied_ms", 20..=10_000, 500),
        silence_probe: seconds(&table, "silence_probe_s", 5..=3600, 30),
    };
    table.finish();
    (media, times)
}
