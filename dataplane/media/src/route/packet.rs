//! What comes from a leg: relayed or transcoded on arrival, in place.

use super::{Feed, NARROW};
use crate::clock::{Clock, TimestampMap};
use crate::codec::mean_square;
use crate::command::EventFormat;
use crate::dtmf::{EVENT, Event, Tone};
use crate::leg::{Content, Inbound, Leg, Origin, Outgoing, SILENT, Slot, Sound, Timer};
use crate::line::{Epoch, Place};
use crate::pending::Pending;
use crate::rtp::{Arrival, HEADER, Header, timestamp_distance};
use crate::verdict::Reason;
use crate::voice::{SAMPLES_MAX, Standing, Untranscodable};

/// What becomes of a received packet on this listener's line.
pub(super) enum Plan {
    /// It goes on, with this payload type.
    Forward { payload_type: u8, sound: Sound },
    /// A stretch of a tone goes instead, from the `offset`th of its samples of 8 kHz to the `duration`th.
    Tone { tone: Tone, offset: u16, duration: u16 },
    /// A part of a key goes instead that did not come in the audio.
    Press,
    /// It is taken out, and the line has no hole for it.
    TakeOut(Reason),
}

/// What stands behind the header of a packet on a listener's line.
pub(crate) struct Part {
    pub(crate) len: usize,
    pub(crate) sound: Sound,
    /// Ticks of the line.
    pub(crate) duration: u32,
    /// Mean square, where it is known already.
    pub(crate) level: Option<u32>,
}

/// The longest that a row waits for a leg that sends, but nothing that can be heard, ns.
const WAIT_MAX: u64 = 1_000_000_000;

/// How much earlier than it is due a stretch of tone may come, ms.
const EARLY_MAX: u32 = 60;

/// The longest stretch of tone in one packet, samples of 8 kHz.
pub(super) const TONE_MAX: u16 = 480;

impl Leg {
    /// A packet of a leg that the row holds, or waits for: rewritten in place for this line, or thrown away.
    pub(crate) fn deliver(
        &mut self,
        now: u64,
        from: Slot,
        inbound: &Inbound,
        buffer: &mut [u8],
        pending: &mut Pending,
    ) -> Result<(usize, Outgoing), Reason> {
        let heard = self.row.feed == Feed::Leg(from);
        if !heard && self.row.next != Some(from) {
            return Err(Reason::Unheard);
        }
        if heard {
            self.meter.arrived(inbound.arrival);
            self.row.upstream(inbound);
        }
        if self.destination().is_none() {
            return Err(Reason::NotSending);
        }
        let Header {
            sequence,
            timestamp,
            ssrc,
            ..
        } = inbound.header;
        let from_clock = Clock::of(inbound.format.codec);
        let position = match inbound.content {
            Content::Event(event) => {
                timestamp.wrapping_add(inbound.event_clock().to(from_clock, event.duration.into()))
            }
            _ => timestamp,
        };
        let place = match &self.row.epoch {
            Some(epoch) if heard && epoch.clock() == from_clock => {
                epoch.place(now, ssrc, sequence, position, inbound.arrival)
            }
            // No beginning: what comes next continues the numbers that are gone already, not this one's.
            _ if matches!(inbound.arrival, Arrival::Late | Arrival::Duplicate | Arrival::Wild) => Place::Superseded,
            _ => Place::Broken,
        };
        if place == Place::Superseded && !heard {
            return Err(Reason::Unheard);
        }
        let late = matches!(place, Place::Behind(_));
        if place == Place::Superseded || late && self.row.standing_in {
            self.meter.superseded();
            return Err(Reason::Superseded);
        }
        let fresh = !heard || self.row.standing_in || place == Place::Broken;
        if inbound.arrival == Arrival::Duplicate && self.remembers(inbound) {
            return Err(Reason::Repeated);
        }
        let mut plan = self.plan(inbound, fresh, buffer.len());
        if let (Content::Event(event), false, true) = (inbound.content, late, inbound.dtmf.relays())
            && self.row.digit.is_none()
            && !self.presses.hears(now, event.code)
        {
            plan = Plan::TakeOut(Reason::Digit);
        }
        if let (Plan::Tone { offset, .. }, Some(epoch), false) = (&plan, &self.row.epoch, fresh || late) {
            let from = epoch.heard_at(timestamp.wrapping_add(NARROW.to(from_clock, (*offset).into())));
            let early = timestamp_distance(from, self.line.timestamp_at(now));
            // A key that goes back in time is none, nor is one that was held for longer than time has passed.
            if timestamp_distance(from, self.line.end()) < 0 || early > self.line.clock.ticks_of_ms(EARLY_MAX) as i32 {
                plan = Plan::TakeOut(Reason::Digit);
            }
        }
        if let Plan::TakeOut(reason) = plan {
            if !heard {
                // It is there, it only has nothing to be heard (the key that accepted the call is still down).
                *self.timer(Timer::Takeover) = now.saturating_add(SILENT).min(self.row.waits_from + WAIT_MAX);
            }
            if let Some(epoch) = &mut self.row.epoch {
                epoch.take_out(now, place, position);
            }
            return Err(reason);
        }
        // Before anything changes: with what cannot be carried a row does not begin.
        let standing = Standing {
            first: !heard || place == Place::Broken,
            lost: if late || fresh { 0 } else { self.row.missing },
        };
        let sounds = matches!(inbound.content, Content::Audio | Content::Noise);
        // Where the line begins anew, a key that has begun ends.
        let free = self.row.digit.is_none() && !late && !(fresh && self.presses.has_begun());
        if sounds && free && matches!(plan, Plan::Forward { .. }) && self.tells_key(now) {
            plan = Plan::Press;
        }
        let carried = match plan {
            Plan::Press => self.pass_over(inbound, standing, buffer),
            _ => self.carry(now, from, inbound, standing, buffer),
        };
        if let Err(why) = carried {
            if why == Untranscodable::Ours && heard {
                self.meter.lost_within();
            }
            if let Some(epoch) = self.row.epoch.as_mut().filter(|_| !fresh) {
                // To the listener it is lost. One that is late was missing already when it was passed over.
                epoch.forward(now, place, sequence, position, timestamp);
                self.row.missing = self.row.missing.saturating_add(u16::from(!late));
            }
            return Err(Reason::Untranscodable);
        }
        let offset = match plan {
            Plan::Tone { offset, .. } => NARROW.to(from_clock, offset.into()),
            _ => 0,
        };
        // In another clock the segments of a long key are one, from where the first began.
        let held = self.held(inbound);
        let heard_from = timestamp.wrapping_add(offset).wrapping_sub(held);
        if fresh {
            self.end_digit(now, pending);
            if !heard && let Some(ear) = self.ear(from) {
                let held = ear.held();
                self.meter.skipped(held);
            }
            if !heard {
                self.switch(now, Feed::Leg(from), pending);
            }
            self.row.standing_in = false;
            self.row.run = None;
            self.row.missing = 0;
            self.row.ticks = None;
            let to = self.line.begin(now);
            let shift = to.0.0.wrapping_sub(sequence.0);
            let timestamps = TimestampMap::new(from_clock, self.line.clock, (heard_from, to.1));
            self.row.epoch = Some(Epoch::new(now, ssrc, sequence, position, shift, timestamps));
        }
        let place = if fresh { Place::Behind(0) } else { place };
        let epoch = self.row.epoch.as_mut().ok_or(Reason::Superseded)?;
        let (sequence, heard_at) = epoch
            .forward(now, place, sequence, position, heard_from)
            .ok_or(Reason::Superseded)?;
        let mut header = Header {
            marker: inbound.header.marker || fresh,
            payload_type: self.format.send,
            sequence,
            timestamp: heard_at,
            ssrc: self.line.ssrc,
        };
        // What is late steps from nothing.
        let since_key = if late { None } else { self.presses.stepped(heard_at) };
        // The line goes on as with the audio in whose place a key is.
        let mut in_place_of = None;
        let Part {
            len,
            sound,
            duration,
            level,
        } = match plan {
            Plan::Press => {
                let lasts = match &carried {
                    Ok(Some(part)) => part.duration,
                    _ => self.line.clock.ticks_of_ms(self.ptime_ms.into()),
                };
                in_place_of = Some(lasts);
                let told = self.tell_key(heard_at, lasts, buffer);
                let told = told.ok_or(Reason::Untranscodable)?;
                (header.payload_type, header.timestamp, header.marker) =
                    (told.payload_type, told.timestamp, told.marker);
                told.part
            }
            Plan::Forward { payload_type, sound } => {
                header.payload_type = payload_type;
                self.go_on(inbound, header.timestamp, late);
                match carried {
                    Ok(Some(part)) => part,
                    _ => self.relay(inbound, sound, buffer),
                }
            }
            Plan::Tone { tone, offset, duration } => {
                header.marker = fresh;
                self.row.tone = Some((ssrc, timestamp, duration));
                self.sound(tone, offset, duration, buffer)
                    .ok_or(Reason::Untranscodable)?
            }
            Plan::TakeOut(reason) => return Err(reason),
        };
        header.write(buffer);
        let past = sequence.distance_from(self.line.next_sequence());
        let event = sound == Sound::Event && in_place_of.is_none();
        let lasts = in_place_of.unwrap_or(duration);
        self.line.put(now, sequence, heard_at, lasts, event, len);
        let mut outgoing = Outgoing {
            ssrc: header.ssrc,
            sequence,
            timestamp: header.timestamp,
            clock: self.line.clock,
            duration,
            sound,
            origin: Origin::Leg(from),
            missing: 0,
            ticks: None,
            rounded: from_clock != self.line.clock,
            arrival: Some(inbound.arrival),
            level,
        };
        // Back where a late one steps back.
        let line_clock = self.line.clock;
        let stepped = |ticks: u32| match ticks as i32 {
            0.. => from_clock.to(line_clock, ticks),
            _ => from_clock.to(line_clock, ticks.wrapping_neg()).wrapping_neg(),
        };
        if !late {
            outgoing.missing = std::mem::take(&mut self.row.missing).saturating_add(self.line.take_unsent());
            // A tone is heard from its offset on.
            let ticks = self.row.ticks.replace(offset.wrapping_neg());
            outgoing.ticks = ticks.map(|ticks| stepped(ticks.wrapping_add(offset)));
        } else if let Ok(missing) = u16::try_from(past) {
            // What it was overtaken by was taken out: on the line it is the newest, and explains what lies before it.
            outgoing.missing = missing;
            outgoing.ticks = self.row.ticks.map(|ticks| stepped(ticks.wrapping_add(inbound.ticks)));
            self.row.missing = self.row.missing.saturating_sub(missing.saturating_add(1));
            self.row.ticks = self.row.ticks.map(|_| inbound.ticks.wrapping_neg());
        }
        outgoing.ticks = since_key.or(outgoing.ticks);
        Ok((HEADER + len, outgoing))
    }

    /// Whether the listener hears it through a codec with a memory.
    fn remembers(&self, inbound: &Inbound) -> bool {
        let (from, to) = (inbound.format.codec, self.format.codec);
        inbound.content == Content::Audio && from != to && (from.law().is_none() || to.law().is_none())
    }

    /// What is to be added to the duration of a key, ticks of the source: nothing where the listener hears its segments as they are.
    pub(super) fn held(&self, inbound: &Inbound) -> u32 {
        let same = |events: EventFormat| Clock::hz(events.clock_hz) == inbound.event_clock();
        match self.format.events {
            Some(events) if !same(events) => inbound.held,
            _ => 0,
        }
    }

    fn plan(&self, inbound: &Inbound, fresh: bool, room: usize) -> Plan {
        match inbound.content {
            Content::Audio => Plan::Forward {
                payload_type: self.format.send,
                sound: Sound::Audio,
            },
            Content::Noise => match self.format.comfort_noise {
                Some(payload_type) => Plan::Forward {
                    payload_type,
                    sound: Sound::Noise,
                },
                None => Plan::TakeOut(Reason::UnmappedPayload),
            },
            Content::Unmapped => Plan::TakeOut(Reason::UnmappedPayload),
            Content::Tone => Plan::TakeOut(Reason::Digit),
            Content::Event(_) if !inbound.dtmf.relays() => Plan::TakeOut(Reason::Digit),
            Content::Event(event) => match self.format.events {
                Some(events) => Plan::Forward {
                    payload_type: events.send,
                    sound: Sound::Event,
                },
                None => match self.format.codec.bytes_a_tick() {
                    Some(bytes) => self.tone(inbound, event, fresh, room.saturating_sub(HEADER) / bytes),
                    None => Plan::TakeOut(Reason::UnmappedPayload),
                },
            },
        }
    }

    /// The stretch of tone between the last packet of a digit and this one, where there is `room` for so many samples of 8 kHz. The
    /// repeated last packet brings none.
    pub(super) fn tone(&self, inbound: &Inbound, event: Event, fresh: bool, room: usize) -> Plan {
        let Some(tone) = Tone::of(event.code) else {
            return Plan::TakeOut(Reason::UnmappedPayload);
        };
        let event = event.counted(inbound.event_clock(), NARROW, 0);
        let done = match self.row.tone {
            Some((ssrc, timestamp, done)) if (ssrc, timestamp) == (inbound.header.ssrc, inbound.header.timestamp) => {
                done
            }
            // Of a digit that began before the switch, what is new.
            _ if fresh => event
                .duration
                .saturating_sub(NARROW.ticks_of_ms(self.ptime_ms.into()) as u16),
            _ => 0,
        };
        let room = room.min(usize::from(TONE_MAX)) as u16;
        let offset = done.max(event.duration.saturating_sub(room));
        if offset >= event.duration {
            return Plan::TakeOut(Reason::Digit);
        }
        Plan::Tone {
            tone,
            offset,
            duration: event.duration,
        }
    }

    /// Writes a stretch of a tone in the listener's codec.
    fn sound(&mut self, tone: Tone, offset: u16, until: u16, buffer: &mut [u8]) -> Option<Part> {
        let (codec, ticks) = (self.format.codec, until - offset);
        let mut samples = [0; 2 * TONE_MAX as usize];
        let band = codec.band()?;
        let samples = &mut samples[..usize::from(ticks) * (band.hz() / 8_000) as usize];
        tone.fill(band, offset.into(), samples);
        Some(Part {
            len: self.voice.encode(codec, samples, &mut buffer[HEADER..])?,
            sound: Sound::Audio,
            duration: NARROW.to(self.line.clock, ticks.into()),
            level: Some(mean_square(samples)),
        })
    }

    /// Moves the payload behind a plain header. Samples are put into the listener's codec; `None` where there are none.
    fn carry(
        &mut self,
        now: u64,
        source: Slot,
        inbound: &Inbound,
        standing: Standing,
        buffer: &mut [u8],
    ) -> Result<Option<Part>, Untranscodable> {
        if inbound.start != HEADER {
            buffer.copy_within(inbound.start..inbound.start + inbound.len, HEADER);
        }
        if inbound.content != Content::Audio {
            return Ok(None);
        }
        let payload = buffer.get_mut(HEADER..).ok_or(Untranscodable::Ours)?;
        let duration = inbound.duration(self.line.clock, &payload[..inbound.len]);
        let mut part = Part {
            len: inbound.len,
            sound: Sound::Audio,
            duration: duration.ok_or(Untranscodable::Theirs)?,
            level: None,
        };
        let (from, to) = (inbound.format.codec, self.format.codec);
        let in_turn = matches!(
            inbound.arrival,
            Arrival::First | Arrival::Ahead { .. } | Arrival::Restart
        );
        let mut listening = self
            .listening
            .as_mut()
            .filter(|listening| in_turn && listening.of == source);
        let listens = listening.is_some();
        let tell = |samples: &[i16], band| {
            if let Some(listening) = &mut listening {
                listening.heard(now, samples, band);
            }
        };
        let passes = from == to || from.law().is_some() && to.law().is_some();
        if !passes {
            let coded = self.voice.transcode(from, to, standing, payload, inbound.len, tell)?;
            (part.len, part.level) = (coded.len, Some(coded.level));
            return Ok(Some(part));
        }
        if listens {
            part.level = self.voice.listen_to(from, &payload[..inbound.len], tell);
        }
        if let (Some(from), Some(to)) = (from.law(), to.law()) {
            from.transcode(to, &mut payload[..inbound.len]);
        }
        Ok(Some(part))
    }

    /// What the listener does not hear, being told a key in its place: what decodes it hears it all the same, and nothing is coded that the far
    /// end would not get.
    #[inline(never)]
    fn pass_over(
        &mut self,
        inbound: &Inbound,
        standing: Standing,
        buffer: &[u8],
    ) -> Result<Option<Part>, Untranscodable> {
        let Content::Audio = inbound.content else {
            return Ok(None);
        };
        let payload = buffer.get(inbound.start..inbound.start + inbound.len);
        let payload = payload.ok_or(Untranscodable::Ours)?;
        let duration = inbound
            .duration(self.line.clock, payload)
            .ok_or(Untranscodable::Theirs)?;
        let (from, to) = (inbound.format.codec, self.format.codec);
        let band = to.band().or(self.voice.encoder_band());
        if let Some(band) = band.filter(|_| self.remembers(inbound)) {
            let mut samples = [0; SAMPLES_MAX];
            // What it cannot decode it does not code either.
            let _ = self.voice.hear(from, standing, payload, band, &mut samples);
        }
        Ok(Some(Part {
            len: inbound.len,
            sound: Sound::Audio,
            duration,
            level: None,
        }))
    }

    /// A key, counted in the listener's clock, or a description of noise.
    fn relay(&self, inbound: &Inbound, sound: Sound, buffer: &mut [u8]) -> Part {
        let duration = match inbound.content {
            Content::Event(event) => {
                let (event, clock) = self.heard_as(inbound, event);
                buffer[HEADER..HEADER + EVENT].copy_from_slice(&event.write());
                clock.to(self.line.clock, event.duration.into())
            }
            _ => self.line.clock.ticks_of_ms(self.ptime_ms.into()),
        };
        Part {
            len: inbound.len,
            sound,
            duration,
            level: None,
        }
    }

    /// A key as the listener counts it, and his clock for that.
    pub(super) fn heard_as(&self, inbound: &Inbound, event: Event) -> (Event, Clock) {
        let clock = self.format.events.map_or(NARROW, |events| Clock::hz(events.clock_hz));
        (event.counted(inbound.event_clock(), clock, self.held(inbound)), clock)
    }

    /// Which digit is on the line now. What is `late` says nothing of it, but for its end.
    fn go_on(&mut self, inbound: &Inbound, timestamp: u32, late: bool) {
        self.row.digit = match inbound.content {
            Content::Event(event) if late => self.row.digit.filter(|&(began, _)| !event.end || began != timestamp),
            Content::Event(event) => {
                let (event, _) = self.heard_as(inbound, event);
                (!event.end).then_some((timestamp, event))
            }
            Content::Audio | Content::Tone | Content::Noise | Content::Unmapped if late => self.row.digit,
            Content::Audio | Content::Tone | Content::Noise | Content::Unmapped => None,
        };
    }
}
