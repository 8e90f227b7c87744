//! Who is where: ports to legs without a hash, sessions by their id.

use crate::command::{Port, SessionId};
use crate::leg::{Leg, SessionSlot, Slot};
use crate::session::Session;

/// Fixed places for legs and sessions. A leg's place is its port.
#[derive(Debug)]
pub(crate) struct Table {
    first_port: u16,
    legs: Box<[Option<Leg>]>,
    sessions: Box<[Option<Session>]>,
    free: Vec<SessionSlot>,
    /// Sorted by id; asked by commands only.
    by_id: Vec<(SessionId, SessionSlot)>,
}

impl Table {
    pub(crate) fn new(first_port: Port, pairs: u16, sessions: usize) -> Table {
        Table {
            first_port: first_port.0,
            legs: (0..pairs).map(|_| None).collect(),
            sessions: (0..sessions).map(|_| None).collect(),
            free: (0..sessions as u32).rev().map(SessionSlot).collect(),
            by_id: Vec::with_capacity(sessions),
        }
    }

    /// The place of a port, RTP or RTCP; `None` where it is not ours.
    pub(crate) fn slot(&self, port: Port) -> Option<Slot> {
        let pair = port.0.checked_sub(self.first_port)? / 2;
        (usize::from(pair) < self.legs.len()).then_some(Slot(pair))
    }

    pub(crate) fn leg(&self, slot: Slot) -> Option<&Leg> {
        self.legs[usize::from(slot.0)].as_ref()
    }

    pub(crate) fn leg_mut(&mut self, slot: Slot) -> Option<&mut Leg> {
        self.legs[usize::from(slot.0)].as_mut()
    }

    pub(crate) fn put_leg(&mut self, slot: Slot, leg: Leg) {
        self.legs[usize::from(slot.0)] = Some(leg);
    }

    pub(crate) fn take_leg(&mut self, slot: Slot) -> Option<Leg> {
        self.legs[usize::from(slot.0)].take()
    }

    pub(crate) fn legs(&self) -> usize {
        self.legs.iter().flatten().count()
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
        !self.free.is_empty()
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
    pub(crate) fn free_session(&mut self, slot: SessionSlot) {
        if self.sessions[slot.0 as usize].take().is_some() {
            self.free.push(slot);
        }
    }

    /// Places that are taken.
    pub(crate) fn sessions(&self) -> usize {
        self.sessions.len() - self.free.len()
    }
}
