//! A row of the table in force: what serves a listener now, and how it changes without a hole.
//!
//! What comes from a leg is relayed or transcoded on arrival ([`Leg::deliver`]); prompts and comfort noise are made
//! on the listener's own tick ([`Leg::frame`]).

mod frame;
mod mixing;
mod packet;

pub(crate) use packet::Part;

use crate::clock::Clock;
use crate::codec::opus::Band;
use crate::coders::Lent;
use crate::command::{Play, PlayId};
use crate::dtmf::Event;
use crate::leg::{Inbound, Leg, Origin, SILENT, Slot, Timer};
use crate::line::Epoch;
use crate::mix::Mixer;
use crate::pending::Pending;
use crate::playing::Playing;
use crate::rtp::{Arrival, Header, Seq};
use crate::timers::NEVER;

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
    /// One leg is to be heard through a mixer as well, since its packets are too long for the listener.
    pub(crate) repacks: bool,
    /// What mixes them, or did so until now.
    pub(crate) mixer: Option<Lent<Mixer>>,
    /// The leg that was relayed until now: the mix begins with its next packet.
    pub(crate) joins: Option<Slot>,
    playing: Option<Playing>,
    /// What was interrupted, and the number that is next on the line: with it, it fades out behind what took its place.
    fading: Option<(Playing, Seq)>,
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

/// In what tones and prompts are counted.
const NARROW: Clock = Clock::hz(8_000);

impl Row {
    pub(crate) fn new(now: u64) -> Row {
        Row {
            feed: Feed::Nothing,
            standing_in: false,
            next: None,
            waits_from: now,
            leg: None,
            mixes: false,
            repacks: false,
            mixer: None,
            joins: None,
            playing: None,
            fading: None,
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

    /// Whether a packet that is not relayed is a late one of the leg that fed the row before.
    pub(crate) fn supersedes(&self, from: Slot, header: &Header) -> bool {
        self.previous.is_some_and(|(slot, ssrc, last)| {
            let behind = last.distance_from(header.sequence);
            slot == from && ssrc == header.ssrc && (0..100).contains(&behind)
        })
    }

    /// A source has gone on so far that a number which was on the line before is a new one again.
    fn outlive(&mut self, from: Slot, header: &Header) {
        self.previous = self
            .previous
            .filter(|&(slot, _, last)| slot != from || header.sequence.distance_from(last) < 100);
    }

    /// What is played, and was heard with the last packet.
    fn heard_play(&self) -> Option<&Playing> {
        let playing = self.playing.as_ref().filter(|_| self.feed == Feed::Play)?;
        Some(playing).filter(|playing| !playing.is_done() && self.run == Some(Origin::Play(playing.id)))
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
        let before = self.row.heard_play().cloned();
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
        let now_played = self.row.playing.as_ref().filter(|_| self.row.feed == Feed::Play);
        if let Some(before) = before.filter(|before| now_played.is_none_or(|now| now.id != before.id)) {
            self.row.fading = Some((before, self.line.next_sequence()));
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
        if let Some(mixer) = self.row.mixer.as_mut().filter(|_| self.row.feed == Feed::Mix) {
            mixer.restart();
        }
        self.row.standing_in = false;
        self.row.since = now;
        self.ready.frame = None;
        let sends = self.destination().is_some();
        self.meter.restarted(now, sends);
    }

    /// The leg that was to take over has not come: noise stands in for it.
    pub(crate) fn give_up_waiting(&mut self, now: u64, pending: &mut Pending) {
        if let Some(next) = self.row.next {
            let before = self.row.heard_play().cloned();
            self.switch(now, Feed::Leg(next), pending);
            self.row.fading = before.map(|before| (before, self.line.next_sequence()));
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
}
