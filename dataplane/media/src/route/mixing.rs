//! A row that is mixed: what comes of its legs waits in their buffers, and keys go on the line beside the mix.

use super::Feed;
use super::packet::{Plan, TONE_MAX};
use crate::clock::Clock;
use crate::command::Dtmf;
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
            Content::Event(_) if inbound.dtmf != Dtmf::Relay => Err(Reason::Digit),
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
        if self.format.events.is_none() {
            let Plan::Tone { tone, offset, duration } = self.tone(inbound, event, false, TONE_MAX.into()) else {
                return Err(Reason::Digit);
            };
            self.row.tone = Some((ssrc, timestamp, duration));
            let ear = self.ear(from).ok_or(Reason::Unheard)?;
            ear.sound(tone, offset, duration);
            return Ok(());
        }
        let known = self.row.key.filter(|&(of, at, _)| (of, at) == (ssrc, timestamp));
        let began = match known {
            Some((_, _, began)) => began,
            None if matches!(inbound.arrival, Arrival::Late | Arrival::Wild) => return Err(Reason::Superseded),
            None => {
                self.end_digit(now, pending);
                self.line.begin(now).1
            }
        };
        let (event, _) = self.heard_as(inbound, event);
        self.put_event(now, began, event, known.is_none(), pending)
            .ok_or(Reason::NoBuffer)?;
        self.row.key = Some((ssrc, timestamp, began));
        self.row.digit = (!event.end).then_some((began, event));
        Ok(())
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
