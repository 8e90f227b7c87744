//! Who hears whom while nothing is handed off, where somebody wants it otherwise: a supervisor who listens, whispers or barges in, a
//! party that is muted, a voice that is made softer.
//!
//! The wish lies over the table of the scene (`spec`), and only while the call talks: a handoff owns its rows, since the
//! caller must not hear a human before the join, whoever wishes it. The machines know nothing of it.

use std::time::Duration;

use arrayvec::ArrayVec;
use media::command::{GAIN_DB, Heard, Hears, LEGS_MAX, LegId, PlayId, SessionSpec};

use crate::hold;
use crate::leg::LegState;
use crate::notice::Party;
use crate::request::RequestError;
use crate::spec::Legs;

/// What a supervisor does, for people. The supervisor hears both but where it is muted it hears what it heard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// It hears both and is heard by nobody.
    Listen,
    /// Whom the caller talks with hears it, the caller does not.
    Whisper,
    /// Everybody hears everybody.
    Barge,
    /// It is heard by nobody, and hears what it heard.
    Mute,
}

/// A row of the table by names: whom a party hears, and how much louder, dB.
pub type Row = (Party, Vec<(Party, i8)>);

/// What is wished for. A row that is not there stays as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wish {
    /// The supervisor's, before the rows.
    pub mode: Option<Mode>,
    /// Rows.
    pub rows: Vec<Row>,
}

type Sources = ArrayVec<Heard, LEGS_MAX>;

/// Rows that are wished to be otherwise than their scene has them, by listener.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Rows(Vec<(LegId, Sources)>);

/// The legs that there can be while the call talks, as far as they are up.
fn present(legs: &Legs) -> impl Iterator<Item = (Party, LegId)> {
    let peer = legs.peer.as_ref();
    let others = [peer, legs.supervisor.as_ref()].into_iter().flatten();
    let up = [&legs.caller].into_iter().chain(others);
    up.filter(|leg| leg.state == LegState::Up)
        .map(|leg| (leg.party, leg.id))
}

/// What a leg hears where nobody wishes otherwise: the other one; a supervisor both.
fn usual(listener: LegId, legs: &Legs) -> Sources {
    let supervisor = legs.supervisor.as_ref().map(|leg| leg.id);
    let others = present(legs).filter(|(_, id)| *id != listener && Some(*id) != supervisor);
    others.map(|(_, id)| Heard::from(id)).collect()
}

impl Rows {
    /// What a leg hears.
    fn of(&self, listener: LegId, legs: &Legs) -> Sources {
        let wished = self.0.iter().find(|(leg, _)| *leg == listener);
        wished.map_or_else(|| usual(listener, legs), |(_, sources)| sources.clone())
    }

    fn set(&mut self, listener: LegId, sources: Sources, legs: &Legs) {
        self.0.retain(|(leg, _)| *leg != listener);
        if sources != usual(listener, legs) {
            self.0.push((listener, sources));
            self.0.sort_by_key(|(leg, _)| *leg);
        }
    }

    /// Whether every row is as the scene has it.
    pub(crate) fn are_usual(&self) -> bool {
        self.0.is_empty()
    }

    /// A leg has left: rows that named it are as their scene has them.
    pub(crate) fn forget(&mut self, gone: LegId) {
        self.0
            .retain(|(leg, sources)| *leg != gone && sources.iter().all(|heard| heard.leg != gone));
    }

    /// The rows as they are wished to be.
    ///
    /// # Errors
    /// A party that is not there, twice in a row, or in its own; a gain that cannot be.
    pub(crate) fn wished(&self, wish: &Wish, legs: &Legs) -> Result<Rows, RequestError> {
        let invalid = |why: String| Err(RequestError::Invalid(why));
        let find = |party: Party| {
            let found = present(legs).find(|(who, _)| *who == party).map(|(_, id)| id);
            found.ok_or_else(|| RequestError::Invalid(format!("no leg of {} is up", party.name())))
        };
        let mut rows = self.clone();
        if let Some(mode) = wish.mode {
            rows.supervise(mode, find(Party::Supervisor)?, legs);
        }
        for (listener, sources) in &wish.rows {
            let (name, listener) = (listener.name(), find(*listener)?);
            let mut row = Sources::new();
            for &(source, gain_db) in sources {
                let leg = find(source)?;
                if leg == listener {
                    return invalid(format!("{name} cannot hear itself"));
                }
                if row.iter().any(|heard| heard.leg == leg) {
                    return invalid(format!("{} is twice in the row of {name}", source.name()));
                }
                if !GAIN_DB.contains(&gain_db) {
                    let (least, most) = (GAIN_DB.start(), GAIN_DB.end());
                    return invalid(format!("a gain is {least} to {most} dB, not {gain_db}"));
                }
                row.push(Heard { leg, gain_db });
            }
            rows.set(listener, row, legs);
        }
        Ok(rows)
    }

    fn supervise(&mut self, mode: Mode, supervisor: LegId, legs: &Legs) {
        let heard = |party: Party| match mode {
            Mode::Listen | Mode::Mute => false,
            Mode::Whisper => party != Party::Caller,
            Mode::Barge => true,
        };
        for (party, listener) in present(legs).filter(|(_, id)| *id != supervisor) {
            let mut row = self.of(listener, legs);
            let is_heard = row.iter().any(|heard| heard.leg == supervisor);
            match heard(party) {
                true if !is_heard => row.push(supervisor.into()),
                true => {}
                false => row.retain(|heard| heard.leg != supervisor),
            }
            self.set(listener, row, legs);
        }
        if mode != Mode::Mute {
            self.set(supervisor, usual(supervisor, legs), legs);
        }
    }

    /// The table by names.
    pub(crate) fn table(&self, legs: &Legs) -> Vec<Row> {
        let name = |id: LegId| present(legs).find(|(_, leg)| *leg == id).map(|(party, _)| party);
        present(legs)
            .map(|(party, id)| {
                let row = self.of(id, legs).into_iter();
                let row = row.filter_map(|heard| Some((name(heard.leg)?, heard.gain_db)));
                (party, row.collect())
            })
            .collect()
    }

    /// Lays the wish over the table of a call that talks. What is said to a party is said to its end first.
    pub(crate) fn lay_over(&self, spec: &mut SessionSpec, legs: &Legs, played: &[(PlayId, u8)]) {
        let supervisor = legs.supervisor.as_ref().map(|leg| leg.id);
        let up: ArrayVec<LegId, LEGS_MAX> = spec.legs.iter().map(|row| row.leg).collect();
        for row in &mut spec.legs {
            let is_wished = self.0.iter().any(|(leg, _)| *leg == row.leg) || Some(row.leg) == supervisor;
            let is_told = row.hears.play.as_ref().is_some_and(|play| !hold::is_over(play, played));
            if is_wished && !is_told {
                let mut sources = self.of(row.leg, legs);
                sources.retain(|heard| up.contains(&heard.leg));
                row.hears = Hears {
                    legs: sources,
                    play: None,
                    patience: Duration::ZERO,
                };
            }
        }
    }
}
