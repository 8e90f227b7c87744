//! What we make ourselves, on the listener's own tick: prompts, comfort noise, a mix; and ends of digits.

use super::{Ended, Feed, NARROW, Part};
use crate::clock::Clock;
use crate::codec::mean_square;
use crate::codec::opus::Band;
use crate::comfort::Comfort;
use crate::dtmf::{EVENT, Event};
use crate::leg::{Leg, Origin, Outgoing, SILENT, Sound, Timer};
use crate::mix::{FRAME_MAX, Mixed};
use crate::pending::Pending;
use crate::playing::Playing;
use crate::presses::Told;
use crate::prompt::Prompts;
use crate::rtp::{HEADER, Header, Seq};
use crate::timers::NEVER;
use crate::voice::SAMPLES_MAX;

/// A payload of ours.
struct Made {
    len: usize,
    /// Mean square, where it is known already.
    level: Option<u32>,
    /// Of a mix.
    mixed: Option<Mixed>,
}

impl Leg {
    /// Makes the frame that was due at `at`. `silent`: whether the row's leg is, in case the prompts end here.
    pub(crate) fn frame(
        &mut self,
        now: u64,
        at: u64,
        silent: bool,
        comfort: &Comfort,
        prompts: &Prompts,
        buffer: &mut [u8],
    ) -> (Option<(usize, Outgoing)>, Ended) {
        let mut ended = Ended::default();
        if self.waits_for_silence() || self.destination().is_none() {
            self.arm(now);
            return (None, ended);
        }
        // After a stall of the host the clock goes on from now: prompts pause rather than hurry.
        let stalled = now.saturating_sub(at) > SILENT;
        let at = if stalled { now } else { at };
        let (sequence, timestamp) = self.line.begin(at);
        let tells = self.row.digit.is_none() && self.tells_key(now);
        let made = self.make(
            now,
            (sequence, timestamp),
            tells,
            comfort,
            prompts,
            &mut buffer[HEADER..],
        );
        let Some((Made { len, level, mixed }, items)) = made else {
            // No room, or no state for its codec: neither is ever so.
            self.arm(now);
            return (None, ended);
        };
        let lasts = self.line.clock.ticks_of_ms(self.ptime_ms.into());
        let since_key = self.presses.stepped(timestamp);
        let told = match tells {
            true => self.tell_key(timestamp, lasts, buffer),
            false => None,
        };
        if tells && told.is_none() {
            self.arm(now);
            return (None, ended);
        }
        let origin = match (self.row.feed, &self.row.playing) {
            (Feed::Play, Some(playing)) => {
                ended.items = Some((playing.id, items)).filter(|(_, items)| *items != 0);
                Origin::Play(playing.id)
            }
            (Feed::Mix, _) if mixed.is_some_and(|mixed| mixed.sounds) => Origin::Mix,
            (Feed::Leg(_) | Feed::Mix, _) => Origin::StandIn,
            (Feed::Nothing | Feed::Play, _) => Origin::Nothing,
        };
        if let Some(mixed) = mixed {
            self.meter.mixed(&mixed);
            self.listen_to_mix(now);
        }
        let made = Told {
            payload_type: self.format.send,
            timestamp,
            marker: stalled || self.row.run != Some(origin),
            part: Part {
                len,
                sound: Sound::Audio,
                duration: lasts,
                level,
            },
        };
        let Told {
            payload_type,
            timestamp: heard_from,
            marker,
            part,
        } = told.unwrap_or(made);
        let header = Header {
            marker,
            payload_type,
            sequence,
            timestamp: heard_from,
            ssrc: self.line.ssrc,
        };
        header.write(buffer);
        self.row.run = Some(origin);
        self.line.put(at, sequence, timestamp, lasts, false, part.len);
        if self.row.feed == Feed::Play && self.row.playing.as_ref().is_none_or(Playing::is_done) {
            ended.switched = true;
            self.prompts_end(silent);
        }
        *self.timer(Timer::Tick) = if self.waits_for_silence() {
            self.silent_from()
        } else {
            at + self.packet_time()
        };
        let outgoing = Outgoing {
            ssrc: header.ssrc,
            sequence,
            timestamp: heard_from,
            clock: self.line.clock,
            duration: part.duration,
            sound: part.sound,
            origin,
            missing: self.line.take_unsent(),
            ticks: since_key,
            rounded: false,
            arrival: None,
            level: part.level,
        };
        (Some((HEADER + part.len, outgoing)), ended)
    }

    /// What a frame has of the leg whose first word is waited for.
    fn listen_to_mix(&mut self, now: u64) {
        if let (Some(listening), Some(mixer)) = (&mut self.listening, &self.row.mixer)
            && let Some(samples) = mixer.followed(listening.of)
        {
            listening.heard(now, samples, mixer.band());
        }
    }

    /// A payload of ours: what is played, or noise; of a codec with a memory none where a key is told in its place. And bit n for the nth item that ended with it.
    fn make(
        &mut self,
        now: u64,
        (sequence, timestamp): (Seq, u32),
        tells: bool,
        comfort: &Comfort,
        prompts: &Prompts,
        payload: &mut [u8],
    ) -> Option<(Made, u8)> {
        let codec = self.format.codec;
        let ticks = NARROW.ticks_of_ms(self.ptime_ms.into()) as usize;
        // Packets of Opus are coded already: there it ends where it is.
        let fading = self.row.fading.take().filter(|(_, next)| *next == sequence);
        let mut mixed = None;
        if let (Feed::Mix, Some(mixer)) = (self.row.feed, &mut self.row.mixer) {
            let mut samples = [0; FRAME_MAX];
            let samples = samples.get_mut(..ticks * (mixer.band().hz() / 8_000) as usize)?;
            let made = mixer.fill(now, samples);
            mixed = Some(made);
            if made.sounds {
                if let Some((mut fading, _)) = fading {
                    fading.fade_out(prompts, mixer.band(), samples);
                }
                let level = Some(mean_square(samples));
                // Another band than the line's, where the line has changed for a state that still waits.
                let len = match tells {
                    true => 0,
                    false => self.voice.say(codec, mixer.band(), samples, payload)?,
                };
                return Some((Made { len, level, mixed }, 0));
            }
        }
        // Noise goes on as time does.
        let offset = self.line.clock.to(NARROW, timestamp);
        let playing = self.row.playing.as_mut().filter(|_| self.row.feed == Feed::Play);
        if let Some(law) = codec.law() {
            let payload = payload.get_mut(..ticks)?;
            comfort.fill(law, offset, payload);
            let fill = |id, cue, to: &mut [u8]| prompts.fill(id, law, cue, to);
            let items = playing.map_or(0, |playing| playing.fill(payload, fill));
            if let Some((mut fading, _)) = fading {
                let mut samples = [0; SAMPLES_MAX];
                let samples = samples.get_mut(..ticks)?;
                law.decode(payload, samples);
                fading.fade_out(prompts, Band::Narrow, samples);
                law.encode(samples, payload);
            }
            let len = payload.len();
            let level = None;
            return Some((Made { len, level, mixed }, items));
        }
        let Some(band) = codec.band() else {
            let (frame, items) = playing.map_or((None, 0), |playing| playing.opus(prompts));
            let frame = frame.map(|frame| (frame.packet, frame.level));
            let (packet, level) = frame.or_else(|| Some((comfort.opus(offset)?, 0)))?;
            payload.get_mut(..packet.len())?.copy_from_slice(packet);
            let (len, level) = (packet.len(), Some(level));
            return Some((Made { len, level, mixed }, items));
        };
        let mut samples = [0; SAMPLES_MAX];
        let samples = samples.get_mut(..ticks * (band.hz() / 8_000) as usize)?;
        match band {
            Band::Narrow => comfort.narrow(offset, samples),
            Band::Wide => comfort.wide(offset, samples),
        }
        let fill = |id, cue, to: &mut [i16]| prompts.linear(id, band, cue, to);
        let items = playing.map_or(0, |playing| playing.fill(samples, fill));
        if let Some((mut fading, _)) = fading {
            fading.fade_out(prompts, band, samples);
        }
        let level = Some(mean_square(samples));
        let len = match tells {
            true => 0,
            false => self.voice.encode(codec, samples, payload)?,
        };
        Some((Made { len, level, mixed }, items))
    }

    /// The queue is done: the leg of the row is heard, or nobody.
    fn prompts_end(&mut self, silent: bool) {
        *self.timer(Timer::Takeover) = NEVER;
        if self.row.mixes {
            self.row.switch(Feed::Mix);
            return;
        }
        let leg = self.row.next.or(self.row.leg);
        self.row.switch(leg.map_or(Feed::Nothing, Feed::Leg));
        self.row.standing_in = leg.is_some() && silent;
    }

    /// Ends a digit that is on the line: its last packet three times (RFC 4733 §2.5.1.4).
    pub(super) fn end_digit(&mut self, now: u64, pending: &mut Pending) {
        let cut = self.cut_key();
        let Some((timestamp, event)) = self.row.digit.take().or(cut) else {
            return;
        };
        for _ in 0..3 {
            let ended = Event { end: true, ..event };
            if self.put_event(now, timestamp, ended, false, pending).is_none() {
                return;
            }
        }
    }

    /// A packet of a digit that we make ourselves, behind what waits. `None` where there is no room for it, or nobody who wants it.
    pub(super) fn put_event(
        &mut self,
        now: u64,
        timestamp: u32,
        event: Event,
        marker: bool,
        pending: &mut Pending,
    ) -> Option<()> {
        let (to, events) = (self.destination()?, self.format.events?);
        let origin = match self.row.feed {
            Feed::Leg(slot) => Origin::Leg(slot),
            Feed::Mix => Origin::Mix,
            Feed::Play | Feed::Nothing => Origin::StandIn,
        };
        let packet = pending.claim()?;
        let since_key = self.presses.stepped(timestamp);
        let header = Header {
            marker,
            payload_type: events.send,
            sequence: self.line.next_sequence(),
            timestamp,
            ssrc: self.line.ssrc,
        };
        let clock = Clock::hz(events.clock_hz);
        let duration = clock.to(self.line.clock, event.duration.into());
        header.write(&mut packet.bytes)?[..EVENT].copy_from_slice(&event.write());
        self.line.put(now, header.sequence, timestamp, duration, true, EVENT);
        packet.from = self.port;
        packet.to = to;
        packet.len = HEADER + EVENT;
        packet.on = Some((
            self.slot,
            Outgoing {
                ssrc: header.ssrc,
                sequence: header.sequence,
                timestamp,
                clock: self.line.clock,
                duration,
                sound: Sound::Event,
                origin,
                missing: self.line.take_unsent(),
                ticks: since_key,
                rounded: false,
                arrival: None,
                level: None,
            },
        ));
        pending.commit();
        self.waiting += 1;
        Some(())
    }
}
