//! Coder states for the rows of a state: taken before anything is touched, given back once the state is in force.

use arrayvec::ArrayVec;

use super::Core;
use crate::command::{Codec, LEGS_MAX, LegId, LegSpec, SessionSpec};
use crate::leg::{Leg, SessionSlot, Slot};
use crate::session::Session;
use crate::voice::{Needs, Voice};

/// What each line of a spec lacks, in its order.
pub(super) type Voices = ArrayVec<Voice, LEGS_MAX>;

impl Core {
    /// What the lines of a state lack. `None` where it is not there.
    pub(super) fn voices(&self, found: Option<SessionSlot>, spec: &SessionSpec) -> Option<Voices> {
        let session = found.and_then(|slot| self.table.session(slot));
        let leg = |id: LegId| self.table.leg(session?.leg(id)?);
        let voice = |wanted: &LegSpec| {
            let here = leg(wanted.leg);
            let none = Voice::default();
            let has = here.map_or(&none, |leg| &leg.voice);
            let mut lacking = has.lacking(self.needs(spec, wanted, here), &self.coders)?;
            let hears = wanted.hears.sources().next().and_then(|id| codec(spec, id));
            if spec.watch.is_some() && (wanted.format.codec, hears) == (Codec::Opus, Some(Codec::Opus)) {
                lacking.listen(has, &self.coders);
            }
            Some(lacking)
        };
        spec.legs.iter().map(voice).collect()
    }

    /// The line hears what is wanted, and until then what it hears now.
    fn needs(&self, spec: &SessionSpec, wanted: &LegSpec, leg: Option<&Leg>) -> Needs {
        let line = wanted.format.codec;
        let hears = wanted.hears.sources().next().and_then(|id| codec(spec, id));
        let now = leg.into_iter().flat_map(|leg| leg.row.sources());
        let now = now.filter_map(|source| {
            let source = self.table.leg(source)?;
            Some(codec(spec, source.id).unwrap_or(source.format.codec))
        });
        now.fold(Needs::of(line, hears), |needs, source| {
            needs.and(Needs::of(line, Some(source)))
        })
    }

    /// The lines have places now.
    pub(super) fn lend(&mut self, spec: &SessionSpec, voices: Voices) {
        for (wanted, voice) in spec.legs.iter().zip(voices) {
            let place = self.table.slot(wanted.port);
            if let Some(leg) = place.and_then(|place| self.table.leg_mut(place)) {
                leg.voice.take(voice);
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
            let source = source.and_then(|source: Slot| Some(self.table.leg(source)?.format.codec));
            if let Some(leg) = self.table.leg_mut(place) {
                leg.voice
                    .settle(Needs::of(leg.format.codec, source), listens, &self.coders);
            }
        }
    }
}

fn codec(spec: &SessionSpec, id: LegId) -> Option<Codec> {
    let leg = spec.legs.iter().find(|leg| leg.leg == id)?;
    Some(leg.format.codec)
}
