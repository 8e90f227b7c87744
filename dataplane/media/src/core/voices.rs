//! Coder states and mixers for the rows of a state: taken before anything is touched, given back once the state is in force.

use arrayvec::ArrayVec;

use super::Core;
use crate::codec::opus::Band;
use crate::coders::Lent;
use crate::command::{Codec, LEGS_MAX, LegId, LegSpec, Refusal, SessionSpec};
use crate::leg::{Leg, SessionSlot, Slot};
use crate::mix::{EARS, Mixer};
use crate::route::Feed;
use crate::session::Session;
use crate::voice::{Needs, Voice};

/// What each line of a spec lacks, in its order.
pub(super) type Voices = ArrayVec<Lacking, LEGS_MAX>;

/// What one line lacks.
#[derive(Debug, Default)]
pub(super) struct Lacking {
    voice: Voice,
    mixer: Option<Lent<Mixer>>,
    /// It is for one leg, whose packets are too long.
    repacks: bool,
    /// For each of those that are mixed.
    ears: ArrayVec<(Slot, Voice), { EARS }>,
}

impl Core {
    /// What the lines of a state lack; why it cannot be had.
    pub(super) fn voices(&self, found: Option<SessionSlot>, spec: &SessionSpec) -> Result<Voices, Refusal> {
        let session = found.and_then(|slot| self.table.session(slot));
        let leg = |id: LegId| self.table.leg(session?.leg(id)?);
        let lacking = |wanted: &LegSpec| {
            let here = leg(wanted.leg);
            let hears = &wanted.hears;
            if hears.is_mixed() {
                return self.lacks_to_mix(spec, wanted, here);
            }
            if self.is_too_long(session, spec, wanted)
                && let Ok(lacking) = self.lacks_to_mix(spec, wanted, here)
            {
                let repacks = true;
                return Ok(Lacking { repacks, ..lacking });
            }
            self.lacks(spec, wanted, here).ok_or(Refusal::Coders)
        };
        spec.legs.iter().map(lacking).collect()
    }

    /// Whether the one leg of a row sends longer packets than its listener takes: as it does now, or as was agreed.
    fn is_too_long(&self, session: Option<&Session>, spec: &SessionSpec, wanted: &LegSpec) -> bool {
        let Some(takes) = wanted.maxptime_ms else {
            return false;
        };
        wanted.hears.sources().any(|id| {
            let sent = session.and_then(|session| self.table.leg(session.leg(id)?)?.source.packet_ms);
            let agreed = spec.legs.iter().find(|leg| leg.leg == id).map(|leg| leg.ptime_ms);
            sent.or(agreed).is_some_and(|ms| ms > takes)
        })
    }

    fn lacks(&self, spec: &SessionSpec, wanted: &LegSpec, here: Option<&Leg>) -> Option<Lacking> {
        let none = Voice::default();
        let has = here.map_or(&none, |leg| &leg.voice);
        let hears = wanted.hears.sources().next().and_then(|id| codec(spec, id));
        let line = wanted.format.codec;
        let needs = Needs::of(line, hears).and(self.needs_now(spec, line, here));
        // It speaks its old codec until it changes. Where there is none to spare for that, what comes until then is lost.
        let heard = wanted.hears.sources().next().and_then(|id| self.before(spec, id));
        let before = heard.map_or_else(Needs::default, |before| Needs::of(line, Some(before)));
        let voice = has.lacking(needs.and(before), self.coders.lines());
        let mut voice = voice.or_else(|| has.lacking(needs, self.coders.lines()))?;
        if spec.watch.is_some() && (line, hears) == (Codec::Opus, Some(Codec::Opus)) {
            voice.listen(has, self.coders.listeners());
        }
        Some(Lacking {
            voice,
            ..Lacking::default()
        })
    }

    /// A mixer, unless it has one; what each source needs to be heard in the band of the line, and what the line needs to be sent that.
    fn lacks_to_mix(&self, spec: &SessionSpec, wanted: &LegSpec, here: Option<&Leg>) -> Result<Lacking, Refusal> {
        let (none, line) = (Voice::default(), wanted.format.codec);
        let has = here.map_or(&none, |leg| &leg.voice);
        let sources = || {
            wanted
                .hears
                .sources()
                .filter_map(|id| spec.legs.iter().find(|leg| leg.leg == id))
        };
        let mixer = here.and_then(|leg| leg.row.mixer.as_ref());
        let slots = || sources().filter_map(|leg| self.table.slot(leg.port));
        if sources().count() > EARS || mixer.is_some_and(|mixer| mixer.lacks(slots())) {
            return Err(Refusal::Mix);
        }
        let narrow = sources().all(|leg| leg.format.codec.band() == Some(Band::Narrow));
        let widest = if narrow { Band::Narrow } else { Band::Wide };
        let band = line.band().or(has.encoder_band()).unwrap_or(widest);
        let needs = Needs::to_say(line, band).and(self.needs_now(spec, line, here));
        let mut lacking = Lacking {
            voice: has.lacking(needs, self.coders.lines()).ok_or(Refusal::Coders)?,
            ..Lacking::default()
        };
        for leg in sources() {
            let slot = self.table.slot(leg.port).ok_or(Refusal::Port)?;
            let has = mixer.and_then(|mixer| mixer.voice(slot)).unwrap_or(&none);
            let needs = Needs::to_hear(leg.format.codec, band);
            let before = self.before(spec, leg.leg);
            let before = before.map_or_else(Needs::default, |before| Needs::to_hear(before, band));
            let voice = has.lacking(needs.and(before), self.coders.listeners());
            let voice = voice.or_else(|| has.lacking(needs, self.coders.listeners()));
            let voice = voice.ok_or(Refusal::Coders)?;
            lacking.ears.push((slot, voice));
        }
        if mixer.is_none() {
            lacking.mixer = Some(self.coders.mixer().ok_or(Refusal::Mix)?);
        }
        Ok(lacking)
    }

    /// What a line hears now it goes on to hear until the new source comes.
    fn needs_now(&self, spec: &SessionSpec, line: Codec, leg: Option<&Leg>) -> Needs {
        let relayed = leg.into_iter().flat_map(|leg| leg.row.relayed());
        let relayed = relayed.filter_map(|source| {
            let source = self.table.leg(source)?;
            Some(codec(spec, source.id).unwrap_or(source.format.codec))
        });
        let mixed = leg.filter(|leg| leg.row.feed == Feed::Mix);
        let mixed = mixed.and_then(|leg| Some(Needs::to_say(line, leg.row.mixer.as_ref()?.band())));
        relayed.fold(mixed.unwrap_or_default(), |needs, source| {
            needs.and(Needs::of(line, Some(source)))
        })
    }

    /// What a leg speaks until its first packet in the codec that it has in the spec.
    fn before(&self, spec: &SessionSpec, id: LegId) -> Option<Codec> {
        let wanted = spec.legs.iter().find(|leg| leg.leg == id)?;
        let leg = self.table.leg(self.table.slot(wanted.port)?)?;
        Some(leg.before(wanted.format.codec)?.codec)
    }

    /// The lines have places now.
    pub(super) fn lend(&mut self, spec: &SessionSpec, voices: Voices) {
        for (wanted, lacking) in spec.legs.iter().zip(voices) {
            let place = self.table.slot(wanted.port);
            let Some(leg) = place.and_then(|place| self.table.leg_mut(place)) else {
                continue;
            };
            leg.voice.take(lacking.voice);
            leg.voice.heed(leg.opus);
            leg.row.repacks = lacking.repacks;
            leg.row.mixer = lacking.mixer.or(leg.row.mixer.take());
            if let Some(mixer) = &mut leg.row.mixer {
                for (source, voice) in lacking.ears {
                    mixer.lend(source, voice);
                }
            }
        }
    }

    /// What the rows do not need goes back, where their state is in force and no other one waits.
    pub(super) fn settle(&mut self, slot: SessionSlot) {
        let settled = |session: &&Session| session.in_force.is_some() && session.waiting.is_none();
        let Some(session) = self.table.session(slot).filter(settled) else {
            return;
        };
        let listens = session.window.is_some();
        for (_, place) in session.legs.clone() {
            let source = self.table.leg(place).and_then(|leg| leg.row.leg);
            let source = source.and_then(|source: Slot| self.table.leg(source));
            let before = source.and_then(|leg| Some(leg.before?.codec));
            let source = source.map(|leg| leg.format.codec);
            let Some(leg) = self.table.leg_mut(place) else {
                continue;
            };
            let line = leg.format.codec;
            let needs = match &mut leg.row.mixer {
                Some(mixer) if leg.row.mixes => {
                    mixer.settle();
                    Needs::to_say(line, mixer.band())
                }
                mixer => {
                    *mixer = None;
                    let before = before.map(|before| Needs::of(line, Some(before)));
                    Needs::of(line, source).and(before.unwrap_or_default())
                }
            };
            leg.voice.settle(needs, listens, self.coders.lines());
            leg.voice.heed(leg.opus);
        }
    }
}

fn codec(spec: &SessionSpec, id: LegId) -> Option<Codec> {
    let leg = spec.legs.iter().find(|leg| leg.leg == id)?;
    Some(leg.format.codec)
}
