//! Who is where: ports to legs without a hash, sessions by their id.

use crate::command::{Port, SessionId};
use crate::leg::{Leg, SessionSlot, Slot};
use crate::session::{LEGS_PLACED_MAX, Session};

/// Pairs of ports that there are.
const PAIRS: usize = 1 << 15;

/// Fixed places for legs and sessions. Which place a port has says a table over all ports: a session that comes from another core brings
/// its ports with it.
#[derive(Debug)]
pub(crate) struct Table {
    /// For each pair of ports the place of its leg, or one of the two below.
    places: Box<[u16]>,
    legs: Box<[Option<Leg>]>,
    /// Places of no leg.
    vacant: Vec<u16>,
    sessions: Box<[Option<Session>]>,
    free: Vec<SessionSlot>,
    /// Sessions that are expected from other cores: their places are kept.
    expected: usize,
    /// Sorted by id; asked by commands only.
    by_id: Vec<(SessionId, SessionSlot)>,
}

/// The port is not ours.
const FOREIGN: u16 = u16::MAX;

/// The port is ours, and has no leg. Neither is a place: there are fewer legs than that.
const VACANT: u16 = u16::MAX - 1;

impl Table {
    /// `guests`: legs beside those of its own ports.
    pub(crate) fn new(first_port: Port, pairs: u16, guests: u16, sessions: usize) -> Table {
        let mut places = vec![FOREIGN; PAIRS].into_boxed_slice();
        let first = usize::from(first_port.0 / 2);
        places[first..(first + usize::from(pairs)).min(PAIRS)].fill(VACANT);
        let legs = pairs.saturating_add(guests).min(VACANT);
        Table {
            places,
            legs: (0..legs).map(|_| None).collect(),
            vacant: (0..legs).rev().collect(),
            sessions: (0..sessions).map(|_| None).collect(),
            free: (0..sessions as u32).rev().map(SessionSlot).collect(),
            expected: 0,
            by_id: Vec::with_capacity(sessions),
        }
    }

    /// The place of a port, RTP or RTCP; `None` where it is not ours.
    pub(crate) fn slot(&self, port: Port) -> Option<Slot> {
        let slot = Slot(port.0 / 2);
        (self.places[usize::from(slot.0)] != FOREIGN).then_some(slot)
    }

    /// Which of the places of legs this one's leg has.
    pub(crate) fn place(&self, slot: Slot) -> Option<usize> {
        let place = usize::from(self.places[usize::from(slot.0)]);
        (place < self.legs.len()).then_some(place)
    }

    /// Whose place that is.
    pub(crate) fn at(&self, place: usize) -> Option<Slot> {
        self.legs.get(place)?.as_ref().map(|leg| leg.slot)
    }

    pub(crate) fn leg(&self, slot: Slot) -> Option<&Leg> {
        let place = usize::from(self.places[usize::from(slot.0)]);
        self.legs.get(place)?.as_ref()
    }

    pub(crate) fn leg_mut(&mut self, slot: Slot) -> Option<&mut Leg> {
        let place = usize::from(self.places[usize::from(slot.0)]);
        self.legs.get_mut(place)?.as_mut()
    }

    /// Gives a leg a place; there must be one ([`Table::has_places`]), and none at its port.
    pub(crate) fn put_leg(&mut self, slot: Slot, leg: Leg) {
        debug_assert_eq!(self.places[usize::from(slot.0)], VACANT);
        if let Some(place) = self.vacant.pop() {
            self.places[usize::from(slot.0)] = place;
            self.legs[usize::from(place)] = Some(leg);
        }
    }

    /// The leg, and the place that it had.
    pub(crate) fn take_leg(&mut self, slot: Slot) -> Option<(usize, Leg)> {
        let place = self.place(slot)?;
        let leg = self.legs[place].take()?;
        self.places[usize::from(slot.0)] = VACANT;
        self.vacant.push(place as u16);
        Some((place, leg))
    }

    /// Whether so many legs more have places.
    pub(crate) fn has_places(&self, legs: usize) -> bool {
        self.vacant.len() >= legs + self.expected * LEGS_PLACED_MAX
    }

    /// The port is ours from now on, or is no longer. It has no leg.
    pub(crate) fn own(&mut self, slot: Slot, ours: bool) {
        debug_assert!(self.place(slot).is_none());
        self.places[usize::from(slot.0)] = if ours { VACANT } else { FOREIGN };
    }

    /// Keeps places for a session that will come from another core; `false` where there are none.
    pub(crate) fn expect(&mut self) -> bool {
        self.expected += 1;
        let room = self.free.len() >= self.expected && self.has_places(0);
        self.expected -= usize::from(!room);
        room
    }

    /// It comes now, or not at all.
    pub(crate) fn expect_no_more(&mut self) {
        debug_assert!(self.expected > 0);
        self.expected -= 1;
    }

    pub(crate) fn legs(&self) -> usize {
        self.legs.len() - self.vacant.len()
    }

    pub(crate) fn find(&self, id: SessionId) -> Option<SessionSlot> {
        let at = self.by_id.binary_search_by_key(&id, |&(id, _)| id).ok()?;
        Some(self.by_id[at].1)
    }

    pub(crate) fn session(&self, slot: SessionSlot) -> Option<&Session> {
        self.sessions[slot.0 as usize].as_ref()
    }

    pub(crate) fn session_mut(&mut self, slot: SessionSlot) -> Option<&mut Session> {
        self.sessions[slot.0 as usize].as_mut()
    }

    pub(crate) fn has_room(&self) -> bool {
        self.free.len() > self.expected
    }

    /// A place for a new session; `None` where all are taken.
    pub(crate) fn put_session(&mut self, session: Session) -> Option<SessionSlot> {
        let at = self.by_id.binary_search_by_key(&session.id, |&(id, _)| id).err()?;
        let slot = self.free.pop()?;
        self.by_id.insert(at, (session.id, slot));
        self.sessions[slot.0 as usize] = Some(session);
        Some(slot)
    }

    /// The id is forgotten; the place stays until its last event is out.
    pub(crate) fn forget(&mut self, id: SessionId) {
        if let Ok(at) = self.by_id.binary_search_by_key(&id, |&(id, _)| id) {
            self.by_id.remove(at);
        }
    }

    /// The place is free again.
    pub(crate) fn free_session(&mut self, slot: SessionSlot) -> Option<Session> {
        let session = self.sessions[slot.0 as usize].take()?;
        self.free.push(slot);
        Some(session)
    }

    /// Places that are taken.
    pub(crate) fn sessions(&self) -> usize {
        self.sessions.len() - self.free.len()
    }
}
