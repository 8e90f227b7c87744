//! A row that is mixed: what comes of its legs waits in their buffers, and keys go on the line beside the mix.

use super::Feed;
use super::packet::{Plan, TONE_MAX};
use crate::clock::Clock;
use crate::dtmf::Event;
use crate::jitter::{Incoming, Put};
use crate::leg::{Content, Inbound, Leg, SILENT, Slot, Timer};
use crate::mix::{Ear, FRAME_MAX};
use crate::pending::Pending;
use crate::rtp::Arrival;
use crate::verdict::Reason;

impl Leg {
    /// Whether this leg's packets go into a mix here.
    pub(crate) fn mixes(&self, from: Slot) -> bool {
        self.row.feed == Feed::Mix && self.row.next != Some(from)
    }

    pub(super) fn ear(&mut self, source: Slot) -> Option<&mut Ear> {
        let mixer = self.row.mixer.as_mut().filter(|_| self.row.feed == Feed::Mix)?;
        mixer.ear(source)
    }

    /// A packet of a leg that is mixed: its sound waits until it is time for it, a key goes on the line at once.
    pub(crate) fn listen(
        &mut self,
        now: u64,
        from: Slot,
        inbound: &Inbound,
        payload: &[u8],
        pending: &mut Pending,
    ) -> Result<(), Reason> {
        self.meter.arrived(inbound.arrival);
        if self.destination().is_none() {
            return Err(Reason::NotSending);
        }
        if inbound.arrival == Arrival::Duplicate {
            return Err(Reason::Repeated);
        }
        if self.row.supersedes(from, &inbound.header) {
            self.meter.superseded();
            return Err(Reason::Superseded);
        }
        self.row.outlive(from, &inbound.header);
        if inbound.arrival == Arrival::Wild {
            // Long late, a stray one, or the first of a run that the next one begins.
            self.meter.late();
            return Err(Reason::Late);
        }
        let joins = self.row.joins == Some(from);
        let packet_time = self.packet_time();
        let codec = inbound.format.codec;
        let sounds = inbound.content == Content::Audio;
        let duration = match codec.duration(payload) {
            Some(duration) => duration,
            None if sounds => return Err(Reason::Untranscodable),
            None => 0,
        };
        let incoming = Incoming {
            ssrc: inbound.header.ssrc,
            codec,
            sequence: inbound.header.sequence,
            timestamp: inbound.header.timestamp,
            duration: if sounds { duration } else { 0 },
            payload: if sounds { payload } else { &[] },
        };
        let ear = self.ear(from).ok_or(Reason::Unheard)?;
        let put = ear.put(now, &incoming, joins);
        let begins = joins && ear.held() >= packet_time;
        if begins {
            self.row.joins = None;
            self.arm(now);
        }
        match put {
            Put::Kept => {}
            Put::Late if sounds => {
                self.meter.late();
                return Err(Reason::Late);
            }
            Put::Late => {}
            Put::Instead(skipped) => self.meter.skipped(skipped),
            Put::TooLong => {
                self.meter.lost_within();
                return Err(Reason::Untranscodable);
            }
        }
        match inbound.content {
            Content::Audio | Content::Noise => Ok(()),
            Content::Unmapped => Err(Reason::UnmappedPayload),
            Content::Tone => Err(Reason::Digit),
            Content::Event(_) if !inbound.dtmf.relays() => Err(Reason::Digit),
            Content::Event(event) => self.press(now, from, inbound, event, pending),
        }
    }

    /// A key of a leg that is mixed: as an event, or into the mix as a tone.
    fn press(
        &mut self,
        now: u64,
        from: Slot,
        inbound: &Inbound,
        event: Event,
        pending: &mut Pending,
    ) -> Result<(), Reason> {
        let (ssrc, timestamp) = (inbound.header.ssrc, inbound.header.timestamp);
        if inbound.arrival == Arrival::Late && !event.end {
            return Err(Reason::Superseded);
        }
        let last = self.ear(from).ok_or(Reason::Unheard)?.key;
        if self.format.events.is_none() {
            self.row.tone = last;
            let Plan::Tone { tone, offset, duration } = self.tone(inbound, event, false, TONE_MAX.into()) else {
                return Err(Reason::Digit);
            };
            let ear = self.ear(from).ok_or(Reason::Unheard)?;
            ear.key = Some((ssrc, timestamp, duration));
            ear.sound(tone, offset, duration);
            return Ok(());
        }
        // Segments of a long key have a timestamp each (RFC 4733 §2.5.1.3).
        let same = |of: u32, at: u32| of == ssrc && (at == timestamp || inbound.held != 0);
        let on = self.row.key.filter(|_| self.row.digit.is_some());
        let began = match on.filter(|&(of, at, _)| same(of, at)) {
            Some((_, _, began)) if self.held(inbound) != 0 => began,
            Some((_, at, began)) => {
                let passed = Clock::of(inbound.format.codec).to(self.line.clock, timestamp.wrapping_sub(at));
                began.wrapping_add(passed)
            }
            // It has ended on this line: by its end, by another key, or since nothing came of it for long.
            None if last.is_some_and(|(of, at, _)| same(of, at)) => return Err(Reason::Digit),
            None if inbound.arrival == Arrival::Late => return Err(Reason::Superseded),
            None => {
                self.end_digit(now, pending);
                self.line.begin(now).1
            }
        };
        let begins = self.row.digit.is_none();
        let (event, _) = self.heard_as(inbound, event);
        self.row.key = Some((ssrc, timestamp, began));
        self.row.digit = Some((began, event));
        if let Some(ear) = self.ear(from) {
            ear.key = Some((ssrc, timestamp, 0));
        }
        if event.end {
            // All three at once: once the mix goes on, one of them would take the line back.
            self.end_digit(now, pending);
            return Ok(());
        }
        self.put_event(now, began, event, begins, pending)
            .ok_or(Reason::NoBuffer)
    }

    /// The mix is not sent while a key is: two of them on one line would not be in order. It goes on where the key's end has not come in
    /// time.
    pub(super) fn wait_for_key(&mut self, now: u64, pending: &mut Pending) {
        if let Some(mixer) = &mut self.row.mixer {
            let samples = Clock::hz(mixer.band().hz()).ticks_of_ms(self.ptime_ms.into()) as usize;
            let mut unheard = [0; FRAME_MAX];
            mixer.fill(now, &mut unheard[..samples.min(FRAME_MAX)]);
        }
        if self.line.at().is_none_or(|at| now.saturating_sub(at) >= SILENT) {
            self.end_digit(now, pending);
        }
        *self.timer(Timer::Tick) = now + self.packet_time();
    }
}
