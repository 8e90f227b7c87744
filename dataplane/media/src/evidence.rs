//! What each listener really got, measured where the packets pass.

use std::time::Duration;

use crate::codec::g711::{BELOW_30_DBM0, BELOW_40_DBM0, BELOW_50_DBM0};
use crate::leg::{Origin, Outgoing, Sound};
use crate::mix::Mixed;
use crate::rtp::{Arrival, Seq, timestamp_distance};

/// The evidence of one listener over one window. What was not measured is `None`, never 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Evidence {
    /// Packets sent to the listener.
    pub sent: u64,
    /// Packets that reached our socket from a source that the row then held, and were neither sent nor superseded:
    /// kernel drops of our socket and failed sends among them. Must be 0.
    pub lost: u64,
    /// Packets that left in another order than they came in. Must be 0.
    pub reordered: u64,
    /// Packets that left twice though they came once. Must be 0.
    pub duplicated: u64,
    /// Jumps of the outgoing sequence number that no upstream loss explains. Must be 0.
    pub sequence_breaks: u64,
    /// Jumps of the outgoing timestamp that neither passed time nor upstream explains. Must be 0.
    pub timestamp_breaks: u64,
    /// Longest time between two packets sent. The last one before the window counts: the window's first `Set` may be a switch.
    pub longest_gap: Option<Duration>,
    /// At the last change of source: last packet of the old one to first packet of the new one, the longest of the window.
    pub longest_cut: Option<Duration>,
    /// Spans of 300 ms and more below −50 dBm0 in what was sent, from the window's start to the first human word, summed.
    pub dead_air: Option<Duration>,
    /// What was made up: comfort noise that stood in for a source that the row held and that fell silent, and in a mix what of a source
    /// was lost or late.
    pub concealed: Option<Duration>,
    /// Packets that never reached us, by the gaps in the sources' sequence numbers.
    pub upstream_lost: u64,
    /// Packets that reached us out of order and were passed on so.
    pub upstream_reordered: u64,
    /// Packets that reached us twice and were passed on so.
    pub upstream_duplicated: u64,
    /// Packets of an old source that came after the switch, and were dropped for it: late ones, with a number up to the
    /// last that was sent before the switch. What that source sends on afterwards is just not heard.
    pub superseded: u64,
    /// Packets that came too late for the mix, and were dropped for it.
    pub late: u64,
    /// Queued audio that was skipped: when a mix went over to relay, or a source in it was another one. `None`: nothing was mixed.
    pub skipped: Option<Duration>,
    /// How long packets waited in a mix, the longest.
    pub buffered: Option<Duration>,
    /// By how many millionths the clock of a source in a mix was slower than ours (below zero: faster), of the one that differed most.
    /// `None` where none was heard for 10 s.
    pub drift_ppm: Option<i32>,
}

/// A span that is quieter than −50 dBm0 for this long is dead air, ns.
const DEAD: u64 = 300_000_000;
/// A run above −40 dBm0 of this length is a word, ns. Pauses in it are shorter.
const WORD: u64 = 60_000_000;
/// A run above −30 dBm0 of this length is one where an ear has heard no speech in it, ns.
const NO_SPEECH: u64 = 1_000_000_000;
/// By how much a timestamp may differ from the time that passed, ms: our wake-ups are late by less.
const TOLERANCE: u32 = 60;

/// Measures what one listener is really sent, packet by packet, from what is in the packets; it knows nothing of routes.
/// Order and time are followed always, so that the packet before the window counts for the first gap in it; figures only
/// come from the window.
#[derive(Clone, Debug, Default)]
pub(crate) struct Meter {
    /// When it began to measure, ns; `None` while no window is open or the listener cannot be sent to.
    opened: Option<u64>,
    evidence: Evidence,
    last: Option<Last>,
    /// When the last packet was sent, whatever its number.
    sent_at: Option<u64>,
    /// The jump that was counted last, as long as it is not filled: its first number, its length, and what is missing of it.
    hole: Option<(Seq, u16, u16)>,
    /// Bit n: `highest − n` was sent.
    seen: u64,
    /// The last source that was heard, and when. Comfort noise that stands in for it is none.
    heard: Option<(Origin, u64)>,
    /// When the last packet above −50 dBm0 ends.
    loud_until: u64,
    /// Ticks that the line is ahead of time.
    lead: i64,
    /// Since when the source whose first word is waited for has been loud, and until when.
    run: Option<(u64, u64)>,
    /// Packets of the sources that the kernel dropped at our socket, and whose gap was not seen yet: it is not upstream's.
    dropped: u64,
    concealed: u64,
    dead: u64,
    /// There were packets of which nobody knows how loud they are.
    unheard: bool,
}

/// Whether the source is heard in a packet whose first word is waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Word {
    /// It is not.
    Another,
    /// It alone.
    Of,
    /// Among others, with this mean square.
    Among(u32),
}

/// Who finds the word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum By {
    /// Its level.
    Level,
    /// An ear. Its level only where that is as loud as speech for long: who makes a sound that is none is there as well.
    Ear,
}

#[derive(Clone, Copy, Debug)]
struct Last {
    at: u64,
    sequence: Seq,
    timestamp: u32,
    duration: u32,
    sound: Sound,
}

impl Meter {
    /// Begins to measure, unless it does already.
    pub(crate) fn open(&mut self, now: u64) {
        if self.opened.is_none() {
            *self = Meter {
                opened: Some(now),
                loud_until: now,
                last: self.last,
                sent_at: self.sent_at,
                seen: self.seen,
                heard: self.heard,
                lead: self.lead,
                ..Meter::default()
            };
        }
    }

    /// From now on the listener can, or cannot, be sent to. The time between is no gap of ours, and no dead air.
    pub(crate) fn restarted(&mut self, now: u64, sends: bool) {
        self.sent_at = None;
        self.heard = None;
        self.dead += dead_span(self.loud_until, now);
        self.loud_until = if sends { now } else { u64::MAX };
    }

    /// What follows has another SSRC, and numbers of its own.
    pub(crate) fn line_changed(&mut self) {
        self.last = None;
        self.hole = None;
        self.seen = 0;
        self.lead = 0;
    }

    pub(crate) fn is_open(&self) -> bool {
        self.opened.is_some()
    }

    /// Stops, and says what was measured until `quiet_until`, where the watch for dead air ends. `None` where it was not open.
    pub(crate) fn close(&mut self, quiet_until: u64) -> Option<Evidence> {
        self.opened.take()?;
        let mut evidence = self.evidence;
        let dead = self.dead + dead_span(self.loud_until, quiet_until);
        evidence.dead_air = Some(Duration::from_nanos(dead)).filter(|_| !self.unheard);
        evidence.concealed = Some(Duration::from_nanos(self.concealed));
        Some(evidence)
    }

    /// A packet came from the source that the listener hears.
    pub(crate) fn arrived(&mut self, arrival: Arrival) {
        if !self.is_open() {
            return;
        }
        match arrival {
            Arrival::Ahead { missing } => {
                // A drop is told before its gap is seen, or with it.
                let ours = self.dropped.min(u64::from(missing));
                self.dropped -= ours;
                self.evidence.upstream_lost += u64::from(missing) - ours;
            }
            // It was counted as missing when it was passed over.
            Arrival::Late => self.evidence.upstream_lost = self.evidence.upstream_lost.saturating_sub(1),
            Arrival::First | Arrival::Duplicate | Arrival::Wild | Arrival::Restart => {}
        }
    }

    /// A packet of an old source came after the switch.
    pub(crate) fn superseded(&mut self) {
        if self.is_open() {
            self.evidence.superseded += 1;
        }
    }

    /// The kernel dropped packets of the listener's source at our socket.
    pub(crate) fn lost_before(&mut self, count: u32) {
        if self.is_open() {
            self.evidence.lost += u64::from(count);
            self.dropped += u64::from(count);
        }
    }

    /// A packet came too late for the mix.
    pub(crate) fn late(&mut self) {
        if self.is_open() {
            self.evidence.late += 1;
        }
    }

    /// So much of a source was queued, and is not heard, ns.
    pub(crate) fn skipped(&mut self, ns: u64) {
        if self.is_open() {
            let skipped = self.evidence.skipped.unwrap_or_default() + Duration::from_nanos(ns);
            self.evidence.skipped = Some(skipped);
        }
    }

    /// A frame was mixed.
    pub(crate) fn mixed(&mut self, mixed: &Mixed) {
        if self.is_open() {
            let evidence = &mut self.evidence;
            self.concealed += mixed.concealed;
            evidence.skipped = evidence.skipped.or(Some(Duration::ZERO));
            evidence.buffered = evidence.buffered.max(mixed.depth.map(Duration::from_nanos));
            evidence.drift_ppm = mixed.drift_ppm.or(evidence.drift_ppm);
        }
    }

    /// A packet found no buffer.
    pub(crate) fn lost_within(&mut self) {
        if self.is_open() {
            self.evidence.lost += 1;
        }
    }

    /// Sends to the listener failed.
    pub(crate) fn lost_after(&mut self, count: u32) {
        if self.is_open() {
            self.evidence.lost += u64::from(count);
        }
    }

    /// A packet goes out. `mean_square` is asked for its level; `None` where nobody knows: then dead air is not measured, and no word is
    /// found. Returns when the first word began if this packet
    /// makes it a word.
    pub(crate) fn sent(
        &mut self,
        now: u64,
        packet: &Outgoing,
        word: Word,
        by: By,
        mean_square: impl FnOnce() -> Option<u32>,
    ) -> Option<u64> {
        self.order(now, packet);
        self.change(now, packet);
        if !self.is_open() {
            return None;
        }
        self.evidence.sent += 1;
        let level = match packet.sound {
            Sound::Audio => mean_square().unwrap_or_else(|| {
                self.unheard = true;
                BELOW_50_DBM0
            }),
            // A key is heard at the far end; a description of noise is none.
            Sound::Event => u32::MAX,
            Sound::Noise => 0,
        };
        let lasts = packet.clock.ns(packet.duration.into());
        let ends = now + lasts;
        if level >= BELOW_50_DBM0 {
            self.dead += dead_span(self.loud_until, now);
            self.loud_until = self.loud_until.max(ends);
        }
        if packet.origin == Origin::StandIn {
            self.concealed += lasts;
        }
        let level = match word {
            Word::Another => return None,
            Word::Of if packet.sound != Sound::Audio => return None,
            Word::Of => level,
            Word::Among(level) => level,
        };
        let (loud, enough) = match by {
            By::Level => (BELOW_40_DBM0, WORD),
            By::Ear => (BELOW_30_DBM0, NO_SPEECH),
        };
        let run = match self.run {
            _ if level < loud => None,
            Some((began, until)) if now < until + WORD => Some((began, ends)),
            _ => Some((now, ends)),
        };
        self.run = run;
        run.filter(|(began, until)| until - began >= enough)
            .map(|(began, _)| began)
    }

    /// Sequence, timestamp and the gap to the packet before.
    fn order(&mut self, now: u64, packet: &Outgoing) {
        if let Some(at) = self.sent_at.replace(now) {
            let gap = Duration::from_nanos(now.saturating_sub(at));
            self.evidence.longest_gap = self.evidence.longest_gap.max(Some(gap));
        }
        let Some(last) = self.last else {
            self.last = Some(Last::of(now, packet));
            self.seen = 1;
            return;
        };
        let step = packet.sequence.distance_from(last.sequence);
        if step <= 0 {
            self.repeated(step.unsigned_abs(), packet);
            return;
        }
        self.seen = self.seen.checked_shl(u32::from(step.unsigned_abs())).unwrap_or(0) | 1;
        let jump = step.unsigned_abs() - 1;
        if jump != 0 && jump != packet.missing {
            self.evidence.sequence_breaks += 1;
            self.hole = Some((last.sequence.next(), jump, jump));
        }
        self.clock(now, &last, packet);
        self.last = Some(Last::of(now, packet));
    }

    /// A number that is not higher than all before it: upstream did it, or we.
    fn repeated(&mut self, behind: u16, packet: &Outgoing) {
        let bit = 1u64.checked_shl(u32::from(behind)).unwrap_or(0);
        let again = self.seen & bit != 0;
        self.seen |= bit;
        let evidence = &mut self.evidence;
        match (again, packet.arrival) {
            (true, Some(Arrival::Duplicate)) => evidence.upstream_duplicated += 1,
            (false, Some(Arrival::Late | Arrival::Duplicate)) => evidence.upstream_reordered += 1,
            (true, _) => evidence.duplicated += 1,
            (false, _) => {
                evidence.reordered += 1;
                self.fill(packet.sequence);
            }
        }
    }

    /// A jump that is filled later was none: the packets are reordered, and are counted as that.
    fn fill(&mut self, sequence: Seq) {
        if let Some((first, length, missing)) = &mut self.hole
            && sequence.0.wrapping_sub(first.0) < *length
        {
            *missing -= 1;
            if *missing == 0 {
                self.hole = None;
                self.evidence.sequence_breaks = self.evidence.sequence_breaks.saturating_sub(1);
            }
        }
    }

    /// A timestamp may step as the source's did, or as time did.
    fn clock(&mut self, now: u64, last: &Last, packet: &Outgoing) {
        let step = i64::from(timestamp_distance(packet.timestamp, last.timestamp));
        let passed = packet.clock.ticks(now.saturating_sub(last.at)) as i64;
        let duration = i64::from(last.duration);
        let event = last.sound == Sound::Event;
        if event && packet.sound == Sound::Event && step == 0 {
            if packet.arrival.is_none() {
                // A key of ours goes on by itself: its end says how long keys last at least, however soon it comes.
                self.lead += (i64::from(packet.duration) - duration - passed).max(0);
            }
            return;
        }
        if packet
            .ticks
            .is_some_and(|ticks| (i64::from(ticks as i32) - step).abs() <= i64::from(packet.rounded))
        {
            return;
        }
        // An event's timestamp is that of its beginning: time since then is its duration, and what passed since.
        let begun = if event { duration } else { 0 };
        let passed = passed + begun;
        let tolerance = i64::from(packet.clock.ticks_of_ms(TOLERANCE));
        let earliest = duration.max(passed - self.lead - tolerance);
        let latest = duration.max(passed) + tolerance;
        if step < earliest || step > latest {
            self.evidence.timestamp_breaks += 1;
        } else {
            self.lead = (self.lead + step - passed).max(0);
        }
    }

    /// Whether another source is heard from this packet on.
    fn change(&mut self, now: u64, packet: &Outgoing) {
        if packet.origin == Origin::StandIn {
            return;
        }
        if let Some((origin, at)) = self.heard
            && origin != packet.origin
        {
            let cut = Duration::from_nanos(now.saturating_sub(at));
            self.evidence.longest_cut = self.evidence.longest_cut.max(Some(cut));
        }
        self.heard = Some((packet.origin, now));
    }
}

impl Last {
    fn of(now: u64, packet: &Outgoing) -> Last {
        Last {
            at: now,
            sequence: packet.sequence,
            timestamp: packet.timestamp,
            duration: packet.duration,
            sound: packet.sound,
        }
    }
}

/// What a quiet span adds to the dead air.
fn dead_span(from: u64, to: u64) -> u64 {
    Some(to.saturating_sub(from)).filter(|&span| span >= DEAD).unwrap_or(0)
}

#[cfg(test)]
mod tests;
