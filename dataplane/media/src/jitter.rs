//! A jitter buffer: a source's packets come as the network brings them, and are played when it is their time.
//!
//! When that is follows from two measures. The **base** is the least time between a packet's timestamp and its arrival, over the
//! last seconds, so it follows a source whose clock is faster or slower than ours. **Lateness** is what a packet took beyond it. A
//! packet is to be there when the listener takes it, so the time from its base until then is to be as long as all but the latest few
//! take; the listener brings it there by playing a little slower or faster ([`Wish`]). He takes whole packets for frames of his own,
//! so some of a packet may be left for his next one; how long it is from the base until a packet is heard is the buffer's **depth**.

use crate::clock::Clock;
use crate::command::Codec;
use crate::leg::SILENT;
use crate::pending::PACKET_MAX;
use crate::rtp::{HEADER, Seq, Sequence, timestamp_distance};

/// Packets that it holds at the most: 160 ms of the shortest.
const PLACES: usize = 16;

/// The longest payload.
const PAYLOAD_MAX: usize = PACKET_MAX - HEADER;

/// What is made up for at a time where nobody knows how long it will take, ns.
pub(crate) const STEP: u64 = 10_000_000;

/// Depth at the start, ns, where nothing is known of the source yet.
const FIRST_DEPTH: u64 = 20_000_000;

/// Packets of which all but one were in time: the depth is that of the second latest.
const LATENESSES: usize = 64;

/// How long a base counts at the least, ns; at the most twice that.
const BASE_WINDOW: u64 = 2_000_000_000;

/// What is added to the lateness of the second latest, ns.
const MARGIN: u64 = 2_000_000;

/// How far packets may be taken before and after the time that is wanted, ns. After: beside a packet or a frame, since what is left of a
/// packet makes the listener take the next one a whole step earlier or later.
const TOO_LITTLE: i64 = 1_000_000;
const TOO_MUCH: i64 = 2_000_000;

/// What is left of a packet can be left out, where it is more than the longest period of a voice: that takes no packet earlier.
const LEFT_OVER: u64 = 12_500_000;

/// How much earlier than its base a packet may be, ns. One that is earlier still is of another run: its source has jumped in time.
const JUMP: i64 = 1_000_000_000;

/// The shortest time over which drift is told, ns.
const DRIFT_AFTER: u64 = 10_000_000_000;

/// The packets of one source that are still to be played.
pub(crate) struct Jitter {
    places: [Place; PLACES],
    payloads: Box<[[u8; PAYLOAD_MAX]; PLACES]>,
    stream: Option<Stream>,
    /// The most that a packet may wait, ns.
    limit: u64,
}

#[derive(Clone, Copy, Debug, Default)]
struct Place {
    /// `None`: it is free.
    sequence: Option<Seq>,
    codec: Option<Codec>,
    /// Ticks of the source, counted without wrapping.
    at: i64,
    duration: u32,
    /// 0: no sound of the source, but a number of its line.
    len: usize,
}

/// A run of one SSRC in one clock.
#[derive(Clone, Debug)]
struct Stream {
    ssrc: u32,
    clock: Clock,
    /// What is to be played next, and its time where the source leaves nothing out.
    next: Seq,
    at: i64,
    newest: Seq,
    /// A timestamp, and the same without wrapping.
    reference: (u32, i64),
    /// It is being played. Otherwise it waits until it is deep enough.
    playing: bool,
    /// It takes over from a relay, and does not wait.
    at_once: bool,
    /// What was made up for beyond `at`, ns.
    owed: u64,
    /// What it sends is no sound (a key).
    hush: bool,
    /// Nothing of it was played yet.
    new: bool,
    timing: Timing,
}

/// A packet that comes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Incoming<'a> {
    pub(crate) ssrc: u32,
    pub(crate) codec: Codec,
    pub(crate) sequence: Seq,
    pub(crate) timestamp: u32,
    /// Ticks of the codec's clock.
    pub(crate) duration: u32,
    /// Empty: it is no sound.
    pub(crate) payload: &'a [u8],
}

/// What becomes of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Put {
    Kept,
    /// Its time is over, or it came twice.
    Late,
    /// It is of another source than those that were held, which are thrown away: so much, ns.
    Instead(u64),
    /// There is no room for it.
    TooLong,
}

/// What is to be played next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Next<'a> {
    /// A packet. `first`: the first of its source.
    Packet {
        codec: Codec,
        payload: &'a [u8],
        wish: Wish,
        first: bool,
    },
    /// A packet was lost, of so many ns; and what came after it, where that is the next one.
    Lost { ns: u64, after: Option<(Codec, &'a [u8])> },
    /// Nothing has come, and it may be on its way: [`STEP`] is to be made up for.
    Missing,
    /// The source leaves time out: [`STEP`].
    Pause,
    /// Nothing is there to be played.
    Quiet,
}

/// What would bring the depth to where it should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wish {
    Nothing,
    /// Play a little more than there is.
    Longer,
    /// … less.
    Shorter,
    /// … at any price: it is deeper than it may be.
    MuchShorter,
}

/// What is known of the time that packets take.
#[derive(Clone, Debug)]
struct Timing {
    /// The least of this window and of the one before, ns.
    least: [i64; 2],
    window_from: u64,
    /// Of the last packets, in 0.1 ms.
    lateness: [u16; LATENESSES],
    at: usize,
    /// ns.
    wanted: u64,
    /// Base at the end of the first window, and when that was: what drift is told from.
    first: Option<(i64, u64)>,
    depth: u64,
}

impl Jitter {
    pub(crate) fn new() -> Jitter {
        Jitter {
            places: [Place::default(); PLACES],
            payloads: Box::new([[0; PAYLOAD_MAX]; PLACES]),
            stream: None,
            limit: 0,
        }
    }

    /// Forgets all. `limit`: the most that a packet may wait, ns.
    pub(crate) fn begin(&mut self, limit: u64) {
        self.places = [Place::default(); PLACES];
        self.stream = None;
        self.limit = limit;
    }

    /// How long a packet waits now, ns. `None` before the first.
    pub(crate) fn depth(&self) -> Option<u64> {
        let stream = self.stream.as_ref().filter(|stream| stream.playing)?;
        Some(stream.timing.depth)
    }

    /// By how much the source's clock is slower than ours (or, below zero, faster), in millionths.
    pub(crate) fn drift_ppm(&self, now: u64) -> Option<i32> {
        self.stream.as_ref()?.timing.drift_ppm(now)
    }

    /// What is held and not played, ns.
    pub(crate) fn held(&self) -> u64 {
        let clock = self.stream.as_ref().map(|stream| stream.clock);
        let held = self.places.iter().filter(|place| place.sequence.is_some());
        clock.map_or(0, |clock| held.map(|place| clock.ns(place.duration.into())).sum())
    }

    /// A packet comes. `at_once`: were it the first, it would not wait for others.
    pub(crate) fn put(&mut self, now: u64, packet: &Incoming<'_>, at_once: bool) -> Put {
        if packet.payload.len() > PAYLOAD_MAX {
            return Put::TooLong;
        }
        let clock = Clock::of(packet.codec);
        let goes_on =
            |stream: &Stream| stream.ssrc == packet.ssrc && stream.clock == clock && stream.goes_on(now, packet);
        let mut put = Put::Kept;
        if !self.stream.as_ref().is_some_and(goes_on) {
            put = match self.held() {
                0 => Put::Kept,
                held => Put::Instead(held),
            };
            self.places = [Place::default(); PLACES];
            self.stream = Some(Stream::new(now, packet, clock, at_once, self.limit));
        }
        let Some(stream) = &mut self.stream else {
            return Put::TooLong;
        };
        let at = stream.unwrapped(packet.timestamp);
        if self.places[usize::from(packet.sequence.0) % PLACES].sequence == Some(packet.sequence) {
            return Put::Late;
        }
        if !packet.payload.is_empty() {
            let made = signed_ns(clock, at);
            if stream.owed != 0 && stream.timing.waited(now, made) > self.limit as i64 {
                // It was not there when it was wanted: its way is longer now, or it stopped and its clock, too.
                stream.timing.rebase(now);
            }
            stream.timing.measure(now, made, self.limit);
        }
        if packet.sequence.distance_from(stream.next) < 0 {
            // Before anything of it is played, an earlier one may still come first.
            let span = stream.newest.distance_from(packet.sequence);
            if !stream.new || span >= PLACES as i16 {
                return Put::Late;
            }
            stream.next = packet.sequence;
        }
        if packet.sequence.is_after(stream.newest) {
            stream.newest = packet.sequence;
            if !packet.payload.is_empty() {
                stream.reference = (packet.timestamp, at);
            }
        }
        // More than there is room for: what is oldest is over.
        let oldest = stream.newest.plus(1u16.wrapping_sub(PLACES as u16));
        if oldest.is_after(stream.next) {
            let mut skipped = 0;
            while stream.next != oldest {
                let place = &mut self.places[usize::from(stream.next.0) % PLACES];
                if place.sequence == Some(stream.next) {
                    skipped += clock.ns(place.duration.into());
                    *place = Place::default();
                }
                stream.next = stream.next.next();
            }
            stream.owed = u64::MAX;
            // It cannot become deeper than this.
            stream.at_once |= !stream.playing;
            put = Put::Instead(skipped);
        }
        let place = &mut self.places[usize::from(packet.sequence.0) % PLACES];
        *place = Place {
            sequence: Some(packet.sequence),
            codec: Some(packet.codec),
            at,
            duration: packet.duration,
            len: packet.payload.len(),
        };
        self.payloads[usize::from(packet.sequence.0) % PLACES][..packet.payload.len()].copy_from_slice(packet.payload);
        put
    }

    /// What is to be played, where what was taken before lasts for `ahead` ns from now. `frame`: how much is played at a time, ns.
    pub(crate) fn next(&mut self, now: u64, ahead: u64, frame: u64) -> Next<'_> {
        let Some(stream) = &mut self.stream else {
            return Next::Quiet;
        };
        let (by, sequence, place) = loop {
            let Some((by, sequence)) = head(&self.places, stream.next) else {
                return stream.nothing();
            };
            let place = self.places[usize::from(sequence.0) % PLACES];
            if place.len != 0 {
                break (by, sequence, place);
            }
            self.places[usize::from(sequence.0) % PLACES] = Place::default();
            stream.next = sequence.next();
            stream.hush = true;
        };
        let waited = stream.timing.waited(now, signed_ns(stream.clock, place.at));
        let by = if stream.playing {
            by
        } else {
            let all = frame.saturating_sub(stream.clock.ns(place.duration.into()));
            if !stream.at_once && waited < (stream.timing.wanted + all) as i64 {
                return Next::Quiet;
            }
            stream.begin(sequence, place.at);
            0
        };
        let gap = match u64::try_from(place.at - stream.at) {
            Ok(ticks) => stream.clock.ns(ticks),
            Err(_) => 0,
        };
        let lasts = stream.clock.ns(place.duration.into());
        let payload = &self.payloads[usize::from(sequence.0) % PLACES][..place.len];
        let codec = place.codec.unwrap_or(Codec::Pcmu);
        if gap <= stream.owed {
            self.places[usize::from(sequence.0) % PLACES] = Place::default();
            stream.take(sequence, &place);
            stream.timing.depth = u64::try_from(waited + ahead as i64).unwrap_or(0);
            return Next::Packet {
                codec,
                payload,
                wish: stream.timing.wish(waited, ahead + lasts, lasts, frame, self.limit),
                first: std::mem::take(&mut stream.new),
            };
        }
        let rest = gap - stream.owed;
        if by == 0 || stream.hush {
            stream.owed += STEP;
            return Next::Pause;
        }
        let ns = rest.min(lasts);
        stream.owed += ns;
        Next::Lost {
            ns,
            after: (rest <= lasts).then_some((codec, payload)),
        }
    }
}

impl Stream {
    fn new(now: u64, packet: &Incoming<'_>, clock: Clock, at_once: bool, limit: u64) -> Stream {
        Stream {
            ssrc: packet.ssrc,
            clock,
            next: packet.sequence,
            at: 0,
            newest: packet.sequence,
            reference: (packet.timestamp, 0),
            playing: false,
            at_once,
            owed: 0,
            hush: false,
            new: true,
            timing: Timing::new(now, limit),
        }
    }

    /// A timestamp, in ticks without wrapping.
    fn unwrapped(&self, timestamp: u32) -> i64 {
        self.reference.1 + i64::from(timestamp_distance(timestamp, self.reference.0))
    }

    /// Whether a packet is of this run, by its number and, if it is the newest, by its timestamp.
    fn goes_on(&self, now: u64, packet: &Incoming<'_>) -> bool {
        let (late, ahead) = (-(Sequence::MAX_MISORDER as i16), 2 * PLACES as i16);
        let in_time = || {
            let at = self.unwrapped(packet.timestamp);
            at >= self.reference.1 && self.timing.waited(now, signed_ns(self.clock, at)) >= -JUMP
        };
        let newest = packet.sequence.is_after(self.newest);
        (late..ahead).contains(&packet.sequence.distance_from(self.next))
            && (!newest || packet.payload.is_empty() || in_time())
    }

    fn begin(&mut self, sequence: Seq, at: i64) {
        self.playing = true;
        self.at_once = false;
        self.next = sequence;
        self.at = at;
        self.owed = 0;
    }

    fn take(&mut self, sequence: Seq, place: &Place) {
        self.next = sequence.next();
        self.at = place.at + i64::from(place.duration);
        self.owed = 0;
        self.hush = false;
    }

    fn nothing<'a>(&mut self) -> Next<'a> {
        if !self.playing {
            return Next::Quiet;
        }
        self.owed = self.owed.saturating_add(STEP);
        if self.owed > SILENT {
            // It has stopped; when it goes on, it waits again until it is deep enough.
            self.playing = false;
        }
        if self.hush { Next::Pause } else { Next::Missing }
    }
}

impl Timing {
    fn new(now: u64, limit: u64) -> Timing {
        Timing {
            least: [i64::MAX; 2],
            window_from: now,
            lateness: [0; LATENESSES],
            at: 0,
            wanted: FIRST_DEPTH.min(limit),
            first: None,
            depth: 0,
        }
    }

    /// What was known of the way is over; how much packets differ is not.
    fn rebase(&mut self, now: u64) {
        self.least = [i64::MAX; 2];
        self.window_from = now;
        self.first = None;
    }

    fn base(&self) -> i64 {
        self.least[0].min(self.least[1])
    }

    /// A packet that the source made at `made` has come.
    fn measure(&mut self, now: u64, made: i64, limit: u64) {
        let took = now as i64 - made;
        if now >= self.window_from + BASE_WINDOW {
            self.first = self.first.or(Some((self.least[0], self.window_from)));
            self.least = [took, self.least[0]];
            self.window_from = now;
        }
        self.least[0] = self.least[0].min(took);
        let late = (took - self.base()).unsigned_abs();
        self.lateness[self.at] = (late / 100_000).min(u16::MAX.into()) as u16;
        self.at = (self.at + 1) % LATENESSES;
        let (mut latest, mut second) = (0, 0);
        for &late in &self.lateness {
            (latest, second) = (latest.max(late), second.max(late.min(latest)));
        }
        // Up at once, down within ten seconds or so.
        let measured = u64::from(second) * 100_000 + MARGIN;
        self.wanted = measured.max(self.wanted - self.wanted / 512).min(limit);
    }

    /// How long after its base a packet is taken.
    fn waited(&self, now: u64, made: i64) -> i64 {
        (now as i64 - made).saturating_sub(self.base())
    }

    /// `ahead`: what there is to play with this packet, which `lasts` so long.
    fn wish(&self, waited: i64, ahead: u64, lasts: u64, frame: u64, limit: u64) -> Wish {
        if ahead < frame {
            // Another one is taken at once, and may have waited too short.
            return Wish::Nothing;
        }
        let wanted = self.wanted as i64;
        let step = lasts.min(frame) as i64;
        let left_over = ahead % frame.max(1) > LEFT_OVER && waited >= wanted;
        if waited > limit as i64 + step + TOO_MUCH {
            Wish::MuchShorter
        } else if waited > wanted + step + TOO_MUCH || left_over {
            Wish::Shorter
        } else if waited < wanted - TOO_LITTLE {
            Wish::Longer
        } else {
            Wish::Nothing
        }
    }

    fn drift_ppm(&self, now: u64) -> Option<i32> {
        let (base, at) = self.first?;
        let passed = now.saturating_sub(at);
        let drift = i128::from(self.base() - base) * 1_000_000 / i128::from(passed.max(1));
        (passed >= DRIFT_AFTER).then_some(drift as i32)
    }
}

/// The first that is held from `next` on, and how many numbers after it that is.
fn head(places: &[Place; PLACES], next: Seq) -> Option<(usize, Seq)> {
    let sequences = (0..PLACES as u16).map(|by| next.plus(by)).enumerate();
    let mut held =
        sequences.filter(|(_, sequence)| places[usize::from(sequence.0) % PLACES].sequence == Some(*sequence));
    held.next()
}

/// Ticks that may be below zero, in ns.
fn signed_ns(clock: Clock, ticks: i64) -> i64 {
    let ns = clock.ns(ticks.unsigned_abs()) as i64;
    if ticks < 0 { -ns } else { ns }
}

#[cfg(test)]
mod tests;
