//! RTCP (RFC 3550 §6): compounds in and out, and the statistics of what we receive.

use std::time::{Duration, Instant};

use crate::rtp::{Arrival, Malformed, Seq, Sequence};

/// Sender report.
pub const SR: u8 = 200;
/// Receiver report.
pub const RR: u8 = 201;
/// Source description.
pub const SDES: u8 = 202;
/// Goodbye.
pub const BYE: u8 = 203;

/// Report blocks in one report at the most: the count has five bits.
pub const BLOCKS_MAX: usize = 31;

/// The least interval between two reports (RFC 3550 §6.2).
pub const INTERVAL: Duration = Duration::from_secs(5);

/// A checked compound packet: every length in it fits.
#[derive(Clone, Copy, Debug)]
pub struct Compound<'a> {
    bytes: &'a [u8],
}

impl<'a> Compound<'a> {
    /// Checks a whole datagram as RFC 3550 A.2 says: version 2 throughout, a report without padding first, padding only in the
    /// last packet, and the lengths add up to the datagram's. Beyond A.2, counted contents must fit their packet.
    pub fn parse(datagram: &'a [u8]) -> Result<Compound<'a>, Malformed> {
        match datagram {
            [first, SR | RR, ..] if first & 0x20 == 0 => {}
            _ => return Err(Malformed),
        }
        let mut rest = datagram;
        while !rest.is_empty() {
            let (packet, following) = split(rest).ok_or(Malformed)?;
            if packet.padded && !following.is_empty() {
                return Err(Malformed);
            }
            read(packet).ok_or(Malformed)?;
            rest = following;
        }
        Ok(Compound { bytes: datagram })
    }

    /// The packets, in order.
    pub fn packets(&self) -> impl Iterator<Item = Packet<'a>> + use<'a> {
        let mut rest = self.bytes;
        std::iter::from_fn(move || {
            let (packet, following) = split(rest)?;
            rest = following;
            read(packet)
        })
    }
}

/// One packet of a compound.
#[derive(Clone, Copy, Debug)]
pub enum Packet<'a> {
    /// What a sender sent, and what it received.
    SenderReport {
        /// The sender.
        ssrc: u32,
        /// What it sent.
        info: SenderInfo,
        /// What it received.
        blocks: Blocks<'a>,
    },
    /// What somebody who does not send received.
    ReceiverReport {
        /// Who reports.
        ssrc: u32,
        /// What was received.
        blocks: Blocks<'a>,
    },
    /// The canonical name of the first source that has one; other items are not looked at.
    SourceDescription {
        /// Source and name; the name's bytes should be UTF-8.
        cname: Option<(u32, &'a [u8])>,
    },
    /// Sources that leave.
    Bye {
        /// The sources.
        sources: Sources<'a>,
    },
    /// A type that we do not read.
    Other {
        /// Its packet type.
        packet_type: u8,
    },
}

/// The sender's part of a sender report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct SenderInfo {
    /// When the report was sent.
    pub ntp: Ntp,
    /// The same moment on the stream's RTP clock.
    pub rtp_timestamp: u32,
    /// RTP packets sent so far.
    pub packets: u32,
    /// Payload bytes sent so far, without headers and padding.
    pub octets: u32,
}

/// What was received of one source.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct ReportBlock {
    /// The source.
    pub ssrc: u32,
    /// Lost since the last report, in 256ths.
    pub fraction_lost: u8,
    /// Lost since the beginning; negative where packets came twice. 24 bits on the wire.
    pub cumulative_lost: i32,
    /// The highest extended sequence number.
    pub highest_sequence: u32,
    /// Interarrival jitter, in timestamp units.
    pub jitter: u32,
    /// Middle 32 bits of the NTP time of the last sender report; 0 for none.
    pub last_sr: u32,
    /// Time since that report came, in 65,536ths of a second.
    pub delay_since_last_sr: u32,
}

/// Length of a report block.
const BLOCK: usize = 24;

impl ReportBlock {
    fn read(bytes: &[u8; BLOCK]) -> ReportBlock {
        ReportBlock {
            ssrc: word(bytes, 0),
            fraction_lost: bytes[4],
            // Sign-extends the 24 bits.
            cumulative_lost: (word(bytes, 4) << 8) as i32 >> 8,
            highest_sequence: word(bytes, 8),
            jitter: word(bytes, 12),
            last_sr: word(bytes, 16),
            delay_since_last_sr: word(bytes, 20),
        }
    }

    fn write(&self, out: &mut Writer<'_>) -> Option<()> {
        // RFC 3550 A.3: clamped to what 24 bits can say.
        let lost = self.cumulative_lost.clamp(-0x80_0000, 0x7f_ffff) as u32 & 0xff_ffff;
        out.word(self.ssrc)?;
        out.word(u32::from(self.fraction_lost) << 24 | lost)?;
        out.word(self.highest_sequence)?;
        out.word(self.jitter)?;
        out.word(self.last_sr)?;
        out.word(self.delay_since_last_sr)
    }

    /// The round trip to whoever reported on us, at the moment its report arrived (RFC 3550 §6.4.1, LSR). `None` without
    /// a sender report of ours, or where the arithmetic says less than nothing.
    pub fn round_trip(&self, arrived: Ntp) -> Option<Duration> {
        if self.last_sr == 0 {
            return None;
        }
        let trip = arrived
            .middle()
            .wrapping_sub(self.last_sr)
            .wrapping_sub(self.delay_since_last_sr);
        (trip < 1 << 31).then(|| Duration::from_nanos((u64::from(trip) * 1_000_000_000) >> 16))
    }
}

/// Report blocks in a checked packet.
#[derive(Clone, Copy, Debug)]
pub struct Blocks<'a>(&'a [u8]);

impl Blocks<'_> {
    /// The blocks, in order.
    pub fn iter(&self) -> impl Iterator<Item = ReportBlock> {
        self.0.as_chunks::<BLOCK>().0.iter().map(ReportBlock::read)
    }

    /// The block about one source.
    pub fn about(&self, ssrc: u32) -> Option<ReportBlock> {
        self.iter().find(|block| block.ssrc == ssrc)
    }
}

/// Sources in a checked packet.
#[derive(Clone, Copy, Debug)]
pub struct Sources<'a>(&'a [u8]);

impl Sources<'_> {
    /// The sources, in order.
    pub fn iter(&self) -> impl Iterator<Item = u32> {
        self.0.as_chunks::<4>().0.iter().map(|&bytes| u32::from_be_bytes(bytes))
    }
}

/// A compound that we send: a report, our canonical name, and a goodbye with the last one.
#[derive(Clone, Copy, Debug)]
pub struct Report<'a> {
    /// Our source on this leg.
    pub ssrc: u32,
    /// What we sent since the last report, if anything: it makes the report an SR, otherwise it is an RR.
    pub sender: Option<SenderInfo>,
    /// What we received. Of more than [`BLOCKS_MAX`] the first are sent.
    pub blocks: &'a [ReportBlock],
    /// Our canonical name. Of more than 255 bytes the first are sent.
    pub cname: &'a str,
    /// Whether the source leaves.
    pub bye: bool,
}

impl Report<'_> {
    /// Writes the compound and returns its length; `None` where the buffer is too short.
    pub fn write(&self, buffer: &mut [u8]) -> Option<usize> {
        let mut out = Writer { bytes: buffer, at: 0 };
        let blocks = &self.blocks[..self.blocks.len().min(BLOCKS_MAX)];
        let report = out.begin(blocks.len() as u8, if self.sender.is_some() { SR } else { RR })?;
        out.word(self.ssrc)?;
        if let Some(info) = self.sender {
            out.word((info.ntp.0 >> 32) as u32)?;
            out.word(info.ntp.0 as u32)?;
            out.word(info.rtp_timestamp)?;
            out.word(info.packets)?;
            out.word(info.octets)?;
        }
        for block in blocks {
            block.write(&mut out)?;
        }
        out.end(report);

        // RFC 3550 §6.1: every compound carries an SDES with the CNAME.
        let name = &self.cname.as_bytes()[..self.cname.floor_char_boundary(255)];
        let description = out.begin(1, SDES)?;
        out.word(self.ssrc)?;
        out.put(&[1, name.len() as u8])?;
        out.put(name)?;
        // RFC 3550 §6.5: one or more null octets end the items, up to the next 32-bit boundary.
        out.put(&[0; 4][..4 - (2 + name.len()) % 4])?;
        out.end(description);

        if self.bye {
            let bye = out.begin(1, BYE)?;
            out.word(self.ssrc)?;
            out.end(bye);
        }
        Some(out.at)
    }
}

/// What we received of one source: feeds our report blocks.
#[derive(Clone, Copy, Debug)]
pub struct Reception {
    clock_hz: u32,
    sequence: Sequence,
    received: u64,
    /// At the last report.
    expected_prior: u64,
    received_prior: u64,
    /// Arrival and timestamp of the first packet of the run: transit times are relative to them.
    origin: Option<(Instant, u32)>,
    transit: i32,
    /// In 16ths of a timestamp unit (RFC 3550 A.8).
    jitter: u32,
    last_sr: Option<(u32, Instant)>,
}

impl Reception {
    /// Before the first packet of a source whose RTP clock is `clock_hz`.
    pub const fn new(clock_hz: u32) -> Reception {
        Reception {
            clock_hz,
            sequence: Sequence::new(),
            received: 0,
            expected_prior: 0,
            received_prior: 0,
            origin: None,
            transit: 0,
            jitter: 0,
            last_sr: None,
        }
    }

    /// Takes note of an RTP packet and says what its sequence number says.
    pub fn receive(&mut self, now: Instant, seq: Seq, timestamp: u32) -> Arrival {
        let arrival = self.sequence.receive(seq);
        match arrival {
            // RFC 3550 A.1: such a packet is not counted as valid.
            Arrival::Wild => return arrival,
            Arrival::First | Arrival::Restart => {
                *self = Reception {
                    sequence: self.sequence,
                    last_sr: self.last_sr,
                    ..Reception::new(self.clock_hz)
                };
            }
            Arrival::Ahead { .. } | Arrival::Late | Arrival::Duplicate => {}
        }
        self.received += 1;
        let Some((then, first)) = self.origin else {
            self.origin = Some((now, timestamp));
            return arrival;
        };
        // RFC 3550 A.8. Both clocks wrap alike, and only differences count.
        let passed = now.saturating_duration_since(then);
        let clock = u64::from(self.clock_hz);
        let ticks = passed.as_secs().wrapping_mul(clock) + u64::from(passed.subsec_nanos()) * clock / 1_000_000_000;
        let transit = (ticks as u32).wrapping_sub(timestamp.wrapping_sub(first)) as i32;
        let d = transit.wrapping_sub(self.transit).unsigned_abs();
        self.transit = transit;
        self.jitter = self
            .jitter
            .saturating_add(d)
            .wrapping_sub(self.jitter.saturating_add(8) >> 4);
        arrival
    }

    /// Takes note of the source's sender report.
    pub fn sender_report(&mut self, now: Instant, info: &SenderInfo) {
        self.last_sr = Some((info.ntp.middle(), now));
    }

    /// The block about the source, for the report that is sent now; the next one's fraction counts from here.
    /// `None` where nothing was ever received.
    pub fn report(&mut self, now: Instant, ssrc: u32) -> Option<ReportBlock> {
        let highest = self.sequence.highest()?;
        let expected = self.expected();
        // RFC 3550 A.3.
        let expected_interval = expected - self.expected_prior;
        let received_interval = self.received - self.received_prior;
        self.expected_prior = expected;
        self.received_prior = self.received;
        let fraction_lost = match expected_interval.checked_sub(received_interval) {
            Some(lost) if lost > 0 => (lost * 256 / expected_interval).min(255) as u8,
            _ => 0,
        };
        let (last_sr, delay_since_last_sr) = match self.last_sr {
            Some((sr, at)) => (sr, short(now.saturating_duration_since(at))),
            None => (0, 0),
        };
        Some(ReportBlock {
            ssrc,
            fraction_lost,
            cumulative_lost: self.lost().clamp(-0x80_0000, 0x7f_ffff) as i32,
            highest_sequence: highest as u32,
            jitter: self.jitter(),
            last_sr,
            delay_since_last_sr,
        })
    }

    /// Packets that the source sent since its start, by its sequence numbers.
    pub fn expected(&self) -> u64 {
        match (self.sequence.highest(), self.sequence.base()) {
            (Some(highest), Some(base)) => highest - base + 1,
            _ => 0,
        }
    }

    /// Packets received, doubled ones counted twice.
    pub fn received(&self) -> u64 {
        self.received
    }

    /// Expected less received; negative where packets came twice.
    pub fn lost(&self) -> i64 {
        self.expected() as i64 - self.received as i64
    }

    /// Interarrival jitter, in timestamp units.
    pub fn jitter(&self) -> u32 {
        self.jitter >> 4
    }

    /// The sequence numbers.
    pub fn sequence(&self) -> &Sequence {
        &self.sequence
    }
}

/// NTP time: seconds since 1900 in 32.32 fixed point. It wraps in 2036, and only differences of its middle are used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Ntp(pub u64);

impl Ntp {
    /// From the time since 1970-01-01T00:00:00Z. Where that is not known, the time since any start will do: RFC 3550 §4 allows
    /// a clock of the system's own.
    pub fn from_unix(since_1970: Duration) -> Ntp {
        /// From 1900 to 1970: 70 years with 17 leap days.
        const OFFSET: u64 = 2_208_988_800;
        let seconds = since_1970.as_secs().wrapping_add(OFFSET) << 32;
        Ntp(seconds | fraction(since_1970))
    }

    /// This much later.
    pub fn plus(self, passed: Duration) -> Ntp {
        Ntp(self.0.wrapping_add((passed.as_secs() << 32) | fraction(passed)))
    }

    /// The middle 32 bits, as LSR has them: 16.16 fixed point.
    pub fn middle(self) -> u32 {
        (self.0 >> 16) as u32
    }
}

/// The time to the next report: 0.5 to 1.5 times `interval`, so that reports of many legs do not fall together
/// (RFC 3550 §6.2). `random` is uniform over all its values.
pub fn randomised(interval: Duration, random: u32) -> Duration {
    let nanos = interval.as_nanos();
    Duration::from_nanos((nanos / 2 + ((nanos * u128::from(random)) >> 32)) as u64)
}

/// In 65,536ths of a second; what is longer than 18 hours wraps as the field does.
fn short(passed: Duration) -> u32 {
    (((passed.as_secs() << 32) | fraction(passed)) >> 16) as u32
}

/// The part of a second, in 2³²nds.
fn fraction(time: Duration) -> u64 {
    (u64::from(time.subsec_nanos()) << 32) / 1_000_000_000
}

/// One packet of a compound, its length known to be right, its contents not yet read.
struct Raw<'a> {
    count: u8,
    padded: bool,
    packet_type: u8,
    /// After the header, without padding.
    body: &'a [u8],
}

fn split(bytes: &[u8]) -> Option<(Raw<'_>, &[u8])> {
    let (&[first, packet_type, high, low], after) = bytes.split_first_chunk::<4>()?;
    if first >> 6 != 2 {
        return None;
    }
    let (mut body, following) = after.split_at_checked(4 * usize::from(u16::from_be_bytes([high, low])))?;
    let padded = first & 0x20 != 0;
    if padded {
        // RFC 3550 §6.4.1: a multiple of four, itself included.
        let padding = usize::from(*body.last()?);
        if padding == 0 || padding % 4 != 0 {
            return None;
        }
        body = &body[..body.len().checked_sub(padding)?];
    }
    Some((
        Raw {
            count: first & 0x1f,
            padded,
            packet_type,
            body,
        },
        following,
    ))
}

fn read(packet: Raw<'_>) -> Option<Packet<'_>> {
    let blocks = BLOCK * usize::from(packet.count);
    Some(match packet.packet_type {
        SR => {
            let (head, rest) = packet.body.split_first_chunk::<24>()?;
            Packet::SenderReport {
                ssrc: word(head, 0),
                info: SenderInfo {
                    ntp: Ntp(u64::from(word(head, 4)) << 32 | u64::from(word(head, 8))),
                    rtp_timestamp: word(head, 12),
                    packets: word(head, 16),
                    octets: word(head, 20),
                },
                blocks: Blocks(rest.get(..blocks)?),
            }
        }
        RR => {
            let (head, rest) = packet.body.split_first_chunk::<4>()?;
            Packet::ReceiverReport {
                ssrc: word(head, 0),
                blocks: Blocks(rest.get(..blocks)?),
            }
        }
        SDES => Packet::SourceDescription {
            cname: cname(packet.count, packet.body)?,
        },
        BYE => Packet::Bye {
            sources: Sources(packet.body.get(..4 * usize::from(packet.count))?),
        },
        packet_type => Packet::Other { packet_type },
    })
}

/// The first CNAME of `count` chunks; the outer `None` where the chunks do not fit.
fn cname(count: u8, body: &[u8]) -> Option<Option<(u32, &[u8])>> {
    let mut found = None;
    let mut rest = body;
    for _ in 0..count {
        let (ssrc, items) = rest.split_first_chunk::<4>()?;
        let mut at = 0;
        loop {
            let kind = *items.get(at)?;
            if kind == 0 {
                // The null octets run to the next 32-bit boundary.
                at = (at / 4 + 1) * 4;
                break;
            }
            let length = usize::from(*items.get(at + 1)?);
            let text = items.get(at + 2..at + 2 + length)?;
            if kind == 1 && found.is_none() {
                found = Some((u32::from_be_bytes(*ssrc), text));
            }
            at += 2 + length;
        }
        rest = items.get(at..)?;
    }
    Some(found)
}

fn word<const N: usize>(bytes: &[u8; N], at: usize) -> u32 {
    u32::from_be_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

struct Writer<'a> {
    bytes: &'a mut [u8],
    at: usize,
}

impl Writer<'_> {
    fn put(&mut self, bytes: &[u8]) -> Option<()> {
        self.bytes
            .get_mut(self.at..self.at + bytes.len())?
            .copy_from_slice(bytes);
        self.at += bytes.len();
        Some(())
    }

    fn word(&mut self, word: u32) -> Option<()> {
        self.put(&word.to_be_bytes())
    }

    /// Starts a packet; its length is filled in by [`Writer::end`].
    fn begin(&mut self, count: u8, packet_type: u8) -> Option<usize> {
        let at = self.at;
        self.put(&[0x80 | count, packet_type, 0, 0])?;
        Some(at)
    }

    fn end(&mut self, begun: usize) {
        let words = ((self.at - begun) / 4 - 1) as u16;
        self.bytes[begun + 2..begun + 4].copy_from_slice(&words.to_be_bytes());
    }
}

#[cfg(test)]
mod tests;
