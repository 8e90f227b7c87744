//! A row of the table in force: what serves a listener now, and how it changes without a hole.
//!
//! What comes from a leg is relayed or transcoded on arrival ([`Leg::deliver`]); prompts and comfort noise are made
//! on the listener's own tick ([`Leg::frame`]).

mod mixing;

use crate::clock::{Clock, TimestampMap};
use crate::codec::mean_square;
use crate::codec::opus::Band;
use crate::coders::Lent;
use crate::comfort::Comfort;
use crate::command::{Dtmf, EventFormat, Play, PlayId};
use crate::dtmf::{EVENT, Event, Tone};
use crate::leg::{Content, Inbound, Leg, Origin, Outgoing, SILENT, Slot, Sound, Timer};
use crate::line::{Epoch, Place};
use crate::mix::{FRAME_MAX, Mixed, Mixer};
use crate::pending::Pending;
use crate::playing::Playing;
use crate::prompt::Prompts;
use crate::rtp::{Arrival, HEADER, Header, Seq, timestamp_distance};
use crate::timers::NEVER;
use crate::verdict::Reason;
use crate::voice::{SAMPLES_MAX, Standing, Untranscodable};

/// What serves a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Feed {
    /// Nobody: comfort noise.
    Nothing,
    /// The prompts of [`Row::playing`].
    Play,
    /// A leg.
    Leg(Slot),
    /// The legs of [`Row::mixer`].
    Mix,
}

/// A row in force.
#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) feed: Feed,
    /// Comfort noise stands in for the leg that feeds it.
    pub(crate) standing_in: bool,
    /// The leg that feeds it from its next packet on; until then the old source goes on.
    pub(crate) next: Option<Slot>,
    /// Since when it waits for that.
    waits_from: u64,
    /// The leg of the spec's row: heard when the prompts are done.
    pub(crate) leg: Option<Slot>,
    /// Several legs are, or one is louder or softer.
    pub(crate) mixes: bool,
    /// What mixes them, or did so until now.
    pub(crate) mixer: Option<Lent<Mixer>>,
    /// The leg that was relayed until now: the mix begins with its next packet.
    pub(crate) joins: Option<Slot>,
    playing: Option<Playing>,
    epoch: Option<Epoch>,
    /// The leg that fed it before, its SSRC and its last number.
    previous: Option<(Slot, u32, Seq)>,
    /// What we make ourselves and last made; a change of it has the marker.
    run: Option<Origin>,
    /// A digit that is on the line and has not ended: its timestamp there, and its last state.
    digit: Option<(u32, Event)>,
    /// A digit that goes out as a tone: SSRC and timestamp, and how many samples of 8 kHz it has got.
    tone: Option<(u32, u32, u16)>,
    /// A digit on a line that is mixed: SSRC and timestamp at its source, and its timestamp on the line.
    key: Option<(u32, u32, u32)>,
    /// When it began to be sent.
    since: u64,
    /// Numbers that upstream passed over since its last packet on the line, and the step of its timestamp.
    missing: u16,
    ticks: Option<u32>,
}

/// What a spec wants of a row.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Want<'a> {
    pub(crate) play: Option<&'a Play>,
    /// The leg, and whether it is silent now.
    pub(crate) leg: Option<(Slot, bool)>,
    /// The legs with their gains in dB, where they are to be mixed.
    pub(crate) mix: Option<&'a [(Slot, i8)]>,
    /// The most that a packet may wait in a mix, ns.
    pub(crate) added_latency: u64,
    /// Whether the leg that feeds the row now is still in the session, and not silent.
    pub(crate) sounds: bool,
}

/// What a made frame ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Ended {
    /// Bit n: the nth item of this act of playing.
    pub(crate) items: Option<(PlayId, u8)>,
    /// The row's feed is another one now.
    pub(crate) switched: bool,
}

/// What becomes of a received packet on this listener's line.
enum Plan {
    /// It goes on, with this payload type.
    Forward { payload_type: u8, sound: Sound },
    /// A stretch of a tone goes instead, from the `offset`th of its samples of 8 kHz to the `duration`th.
    Tone { tone: Tone, offset: u16, duration: u16 },
    /// It is taken out, and the line has no hole for it.
    TakeOut(Reason),
}

/// What a received packet has become on a listener's line.
struct Part {
    len: usize,
    sound: Sound,
    /// Ticks of the line.
    duration: u32,
    /// Mean square, where it is known already.
    level: Option<u32>,
}

/// A payload of ours.
struct Made {
    len: usize,
    /// Mean square, where it is known already.
    level: Option<u32>,
    /// Of a mix.
    mixed: Option<Mixed>,
}

/// In what tones and prompts are counted.
const NARROW: Clock = Clock::hz(8_000);

/// The longest that a row waits for a leg that sends, but nothing that can be heard, ns.
const WAIT_MAX: u64 = 1_000_000_000;

/// The longest stretch of tone in one packet, samples of 8 kHz.
const TONE_MAX: u16 = 480;

impl Row {
    pub(crate) fn new(now: u64) -> Row {
        Row {
            feed: Feed::Nothing,
            standing_in: false,
            next: None,
            waits_from: now,
            leg: None,
            mixes: false,
            mixer: None,
            joins: None,
            playing: None,
            epoch: None,
            previous: None,
            run: None,
            digit: None,
            tone: None,
            key: None,
            since: now,
            missing: 0,
            ticks: None,
        }
    }

    /// The line begins anew: what was on the old one is no part of it.
    pub(crate) fn line_changed(&mut self) {
        self.epoch = None;
        self.run = None;
        self.digit = None;
        self.tone = None;
        self.missing = 0;
        self.ticks = None;
    }

    /// Whether this play would be what is heard: it is another one, or not at its end.
    pub(crate) fn would_play(&self, play: &Play) -> bool {
        match &self.playing {
            Some(playing) if playing.id == play.id => !playing.is_done(),
            _ => !play.queue.is_empty(),
        }
    }

    /// The leg whose packets feed the row and the one whose packets will.
    pub(crate) fn relayed(&self) -> impl Iterator<Item = Slot> + use<> {
        let now = match self.feed {
            Feed::Leg(slot) => Some(slot),
            Feed::Nothing | Feed::Play | Feed::Mix => None,
        };
        let next = self.next.filter(|next| Some(*next) != now);
        now.into_iter().chain(next)
    }

    /// The legs that feed the row and the one that will, each once.
    pub(crate) fn sources(&self) -> impl Iterator<Item = Slot> {
        let mixed = self.mixed().filter(|source| self.next != Some(*source));
        self.relayed().chain(mixed)
    }

    /// Whether it is fed by this leg.
    pub(crate) fn is_fed_by(&self, leg: Slot) -> bool {
        self.feed == Feed::Leg(leg) || self.mixed().any(|source| source == leg)
    }

    fn mixed(&self) -> impl Iterator<Item = Slot> {
        let mixer = self.mixer.iter().filter(|_| self.feed == Feed::Mix);
        mixer.flat_map(|mixer| mixer.sources())
    }

    /// Whether a packet that nobody hears is a late one of the leg that fed the row before.
    pub(crate) fn supersedes(&self, from: Slot, header: &Header) -> bool {
        self.previous.is_some_and(|(slot, ssrc, last)| {
            let behind = last.distance_from(header.sequence);
            slot == from && ssrc == header.ssrc && (0..100).contains(&behind)
        })
    }

    fn switch(&mut self, feed: Feed) {
        if let (Feed::Leg(slot), Some(epoch)) = (self.feed, self.epoch) {
            self.previous = Some((slot, epoch.ssrc, epoch.highest));
        }
        if let Some(mixer) = &mut self.mixer {
            match feed {
                Feed::Mix => mixer.start(),
                Feed::Nothing | Feed::Play | Feed::Leg(_) => mixer.stop(),
            }
        }
        self.feed = feed;
        self.standing_in = false;
        self.joins = None;
        self.key = None;
        self.next = None;
        self.epoch = None;
        self.tone = None;
        if self.playing.as_ref().is_some_and(|playing| playing.leaving) {
            self.playing = None;
        }
    }

    /// Adds up what upstream did since its last packet on the line.
    fn upstream(&mut self, inbound: &Inbound) {
        match inbound.arrival {
            Arrival::Ahead { missing } => {
                self.missing = self.missing.saturating_add(missing);
                self.ticks = self.ticks.map(|ticks| ticks.wrapping_add(inbound.ticks));
            }
            Arrival::First | Arrival::Restart | Arrival::Wild => self.ticks = None,
            Arrival::Late | Arrival::Duplicate => {}
        }
    }
}

impl Leg {
    /// Makes the row so, at once or, where a sounding source gives way to a leg that sounds, with that leg's next packet.
    pub(crate) fn set_row(&mut self, now: u64, want: Want<'_>, pending: &mut Pending) {
        self.row.leg = want.leg.map(|(slot, _)| slot);
        self.row.mixes = want.mix.is_some();
        let band = self
            .format
            .codec
            .band()
            .or(self.voice.encoder_band())
            .unwrap_or(Band::Wide);
        if let (Some(mixer), Some(row)) = (&mut self.row.mixer, want.mix) {
            mixer.want(row, band, want.added_latency);
        }
        let same_play = match (&mut self.row.playing, want.play) {
            (Some(playing), Some(play)) if playing.id == play.id => {
                playing.leaving = false;
                true
            }
            _ => false,
        };
        let play = want.play.filter(|play| !same_play && !play.queue.is_empty());
        let plays_on = same_play && self.row.playing.as_ref().is_some_and(|playing| !playing.is_done());
        if let Some(play) = play {
            self.switch(now, Feed::Play, pending);
            self.row.playing = Some(Playing::new(play));
        } else if plays_on {
            // Only a leg that was to take over can have changed.
            self.row.next = None;
        } else if let Some(row) = want.mix {
            self.mix(now, row, want.sounds, same_play, pending);
        } else if let Some((leg, silent)) = want.leg {
            self.hear(now, leg, silent, want.sounds, same_play, pending);
        } else {
            self.switch(now, Feed::Nothing, pending);
            if !same_play {
                self.row.playing = None;
            }
        }
        if self.row.next.is_none() {
            *self.timer(Timer::Takeover) = NEVER;
        }
        self.arm(now);
    }

    /// The row is to be fed by a leg.
    fn hear(&mut self, now: u64, leg: Slot, silent: bool, sounds: bool, same_play: bool, pending: &mut Pending) {
        let plays = self.row.feed == Feed::Play;
        if !same_play {
            match &mut self.row.playing {
                Some(playing) if plays => playing.leaving = true,
                playing => *playing = None,
            }
        }
        let sounds = plays || sounds && !self.row.standing_in;
        let waits = sounds && !silent && self.destination().is_some();
        if self.row.feed == Feed::Leg(leg) {
            self.row.next = None;
        } else if !waits {
            // Noise that is on the line goes on until the leg is heard.
            let noise = self.line.at().is_some() && (silent || self.row.standing_in || self.row.feed == Feed::Nothing);
            self.switch(now, Feed::Leg(leg), pending);
            self.row.standing_in = noise;
        } else if self.row.next != Some(leg) {
            self.row.next = Some(leg);
            self.row.waits_from = now;
            *self.timer(Timer::Takeover) = now + SILENT;
        }
    }

    /// The row is to be mixed, at once; where one of its legs is relayed now, with the next packet of that one, so that the listener's line
    /// has no hole and hears no packet twice.
    fn mix(&mut self, now: u64, row: &[(Slot, i8)], sounds: bool, same_play: bool, pending: &mut Pending) {
        if !same_play {
            self.row.playing = None;
        }
        self.row.next = None;
        match self.row.feed {
            Feed::Mix => {
                if let Some(mixer) = &mut self.row.mixer {
                    mixer.start();
                }
            }
            feed => {
                let joins = row.iter().map(|&(leg, _)| leg).find(|&leg| feed == Feed::Leg(leg));
                let joins = joins.filter(|_| sounds && !self.row.standing_in && self.destination().is_some());
                self.switch(now, Feed::Mix, pending);
                self.row.joins = joins;
            }
        }
    }

    /// Whether it can be sent to has changed: what lies between is no part of any epoch.
    pub(crate) fn restart(&mut self, now: u64) {
        self.row.epoch = None;
        self.row.run = None;
        self.row.digit = None;
        self.row.tone = None;
        self.row.key = None;
        self.row.joins = None;
        self.row.standing_in = false;
        self.row.since = now;
        self.ready.frame = None;
        let sends = self.destination().is_some();
        self.meter.restarted(now, sends);
    }

    /// The leg that was to take over has not come: noise stands in for it.
    pub(crate) fn give_up_waiting(&mut self, now: u64, pending: &mut Pending) {
        if let Some(next) = self.row.next {
            self.switch(now, Feed::Leg(next), pending);
            self.row.standing_in = true;
            self.arm(now);
        }
    }

    /// The tick: the source has fallen silent, or a frame is due. False where there is nothing to make.
    pub(crate) fn tick(&mut self, now: u64, pending: &mut Pending) -> bool {
        if self.waits_for_silence() {
            if now < self.silent_from() {
                self.arm(now);
                return false;
            }
            self.end_digit(now, pending);
            // What was to be joined does not come: the others are heard without it.
            self.row.standing_in = self.row.joins.take().is_none();
        }
        if self.row.feed == Feed::Mix && self.row.digit.is_some() {
            self.wait_for_key(now, pending);
            return false;
        }
        let due = std::mem::replace(self.timer(Timer::Tick), NEVER);
        self.ready.frame = Some(due);
        true
    }

    /// Sets the tick after a change of the row.
    pub(crate) fn arm(&mut self, now: u64) {
        let due = if self.destination().is_none() {
            self.ready.frame = None;
            NEVER
        } else if self.ready.frame.is_some() {
            NEVER
        } else if self.waits_for_silence() {
            self.silent_from()
        } else {
            let due = self.line.at().map(|at| at + self.packet_time());
            match self.row.run {
                // A frame that is late is still due when it was: its timestamp says what was made, not when the host had time for it.
                Some(_) => due.unwrap_or(now),
                None => due.unwrap_or(now).max(now),
            }
        };
        *self.timer(Timer::Tick) = due;
    }

    fn waits_for_silence(&self) -> bool {
        matches!(self.row.feed, Feed::Leg(_)) && !self.row.standing_in || self.row.joins.is_some()
    }

    fn silent_from(&self) -> u64 {
        let since = self.line.at().unwrap_or(0).max(self.row.since);
        since.saturating_add(self.comfort_after)
    }

    fn switch(&mut self, now: u64, feed: Feed, pending: &mut Pending) {
        if self.row.feed != feed {
            self.end_digit(now, pending);
        }
        self.row.switch(feed);
        *self.timer(Timer::Takeover) = NEVER;
    }

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
        if let (Plan::Tone { offset, .. }, Some(epoch), false) = (&plan, &self.row.epoch, fresh || late)
            && timestamp_distance(
                epoch.heard_at(timestamp.wrapping_add(NARROW.to(from_clock, (*offset).into()))),
                self.line.end(),
            ) < 0
        {
            // A key that goes back in time is none.
            plan = Plan::TakeOut(Reason::Digit);
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
        let carried = self.carry(inbound, standing, buffer);
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
        let Part {
            len,
            sound,
            duration,
            level,
        } = match plan {
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
        self.line
            .put(now, sequence, header.timestamp, duration, sound == Sound::Event, len);
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
            outgoing.ticks = self.row.ticks.replace(0).map(stepped);
        } else if let Ok(missing) = u16::try_from(past) {
            // What it was overtaken by was taken out: on the line it is the newest, and explains what lies before it.
            outgoing.missing = missing;
            outgoing.ticks = self.row.ticks.map(|ticks| stepped(ticks.wrapping_add(inbound.ticks)));
            self.row.missing = self.row.missing.saturating_sub(missing.saturating_add(1));
            self.row.ticks = self.row.ticks.map(|_| inbound.ticks.wrapping_neg());
        }
        Ok((HEADER + len, outgoing))
    }

    /// Whether the listener hears it through a codec with a memory.
    fn remembers(&self, inbound: &Inbound) -> bool {
        let (from, to) = (inbound.format.codec, self.format.codec);
        inbound.content == Content::Audio && from != to && (from.law().is_none() || to.law().is_none())
    }

    /// What is to be added to the duration of a key, ticks of the source: nothing where the listener hears its segments as they are.
    fn held(&self, inbound: &Inbound) -> u32 {
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
            Content::Event(_) if inbound.dtmf != Dtmf::Relay => Plan::TakeOut(Reason::Digit),
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
    fn tone(&self, inbound: &Inbound, event: Event, fresh: bool, room: usize) -> Plan {
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
        if let (Some(from), Some(to)) = (from.law(), to.law()) {
            from.transcode(to, &mut payload[..inbound.len]);
        } else if from != to {
            let coded = self.voice.transcode(from, to, standing, payload, inbound.len)?;
            (part.len, part.level) = (coded.len, Some(coded.level));
        }
        Ok(Some(part))
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
    fn heard_as(&self, inbound: &Inbound, event: Event) -> (Event, Clock) {
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
            Content::Audio | Content::Noise | Content::Unmapped if late => self.row.digit,
            Content::Audio | Content::Noise | Content::Unmapped => None,
        };
    }

    /// Ends a digit that is on the line: its last packet three times (RFC 4733 §2.5.1.4).
    fn end_digit(&mut self, now: u64, pending: &mut Pending) {
        let Some((timestamp, event)) = self.row.digit.take() else {
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
    fn put_event(&mut self, now: u64, timestamp: u32, event: Event, marker: bool, pending: &mut Pending) -> Option<()> {
        let (to, events) = (self.destination()?, self.format.events?);
        let origin = match self.row.feed {
            Feed::Leg(slot) => Origin::Leg(slot),
            Feed::Mix => Origin::Mix,
            Feed::Play | Feed::Nothing => Origin::StandIn,
        };
        let packet = pending.claim()?;
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
                ticks: None,
                rounded: false,
                arrival: None,
                level: None,
            },
        ));
        pending.commit();
        self.waiting += 1;
        Some(())
    }

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
        let made = self.make(now, timestamp, comfort, prompts, &mut buffer[HEADER..]);
        let Some((Made { len, level, mixed }, items)) = made else {
            // No room, or no state for its codec: neither is ever so.
            self.arm(now);
            return (None, ended);
        };
        let duration = self.line.clock.ticks_of_ms(self.ptime_ms.into());
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
        }
        let header = Header {
            marker: stalled || self.row.run != Some(origin),
            payload_type: self.format.send,
            sequence,
            timestamp,
            ssrc: self.line.ssrc,
        };
        header.write(buffer);
        self.row.run = Some(origin);
        self.line.put(at, sequence, timestamp, duration, false, len);
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
            timestamp,
            clock: self.line.clock,
            duration,
            sound: Sound::Audio,
            origin,
            missing: self.line.take_unsent(),
            ticks: None,
            rounded: false,
            arrival: None,
            level,
        };
        (Some((HEADER + len, outgoing)), ended)
    }

    /// A payload of ours: what is played, or noise. And bit n for the nth item that ended with it.
    fn make(
        &mut self,
        now: u64,
        timestamp: u32,
        comfort: &Comfort,
        prompts: &Prompts,
        payload: &mut [u8],
    ) -> Option<(Made, u8)> {
        let codec = self.format.codec;
        let ticks = NARROW.ticks_of_ms(self.ptime_ms.into()) as usize;
        let mut mixed = None;
        if let (Feed::Mix, Some(mixer)) = (self.row.feed, &mut self.row.mixer) {
            let mut samples = [0; FRAME_MAX];
            let samples = samples.get_mut(..ticks * (mixer.band().hz() / 8_000) as usize)?;
            let made = mixer.fill(now, samples);
            mixed = Some(made);
            if made.sounds {
                let level = Some(mean_square(samples));
                let len = self.voice.encode(codec, samples, payload)?;
                return Some((Made { len, level, mixed }, 0));
            }
        }
        // Noise goes on as time does.
        let offset = self.line.clock.to(NARROW, timestamp);
        let playing = self.row.playing.as_mut().filter(|_| self.row.feed == Feed::Play);
        if let Some(law) = codec.law() {
            let payload = payload.get_mut(..ticks)?;
            comfort.fill(law, offset, payload);
            let fill = |id, offset, repeat, to: &mut [u8]| prompts.fill(id, law, offset, repeat, to);
            let items = playing.map_or(0, |playing| playing.fill(payload, fill));
            let len = payload.len();
            let level = None;
            return Some((Made { len, level, mixed }, items));
        }
        let Some(band) = codec.band() else {
            let (packet, items) = playing.map_or((None, 0), |playing| playing.opus(prompts));
            let (packet, level) = packet.or_else(|| Some((comfort.opus(offset)?, 0)))?;
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
        let fill = |id, offset, repeat, to: &mut [i16]| prompts.linear(id, band, offset, repeat, to);
        let items = playing.map_or(0, |playing| playing.fill(samples, fill));
        let level = Some(mean_square(samples));
        let len = self.voice.encode(codec, samples, payload)?;
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
}
