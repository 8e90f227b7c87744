//! A session goes from one core to another, as it is: with its legs, lines, rows, windows and what is still to be said.

use std::time::Instant;

use arrayvec::ArrayVec;

use super::Core;
use crate::command::{Port, SessionId};
use crate::leg::{Leg, SessionSlot};
use crate::session::{LEGS_PLACED_MAX, Session};
use crate::timers::NEVER;

/// A session that is on its way from one core to another, or an empty place for one. Who carries it makes and frees it; a core does
/// neither.
#[derive(Debug, Default)]
pub struct Parcel {
    session: Option<Session>,
    legs: ArrayVec<Leg, LEGS_PLACED_MAX>,
    /// The start of the core's time from which it comes.
    start: Option<Instant>,
}

impl Parcel {
    /// Whether there is no session in it.
    pub fn is_empty(&self) -> bool {
        self.session.is_none()
    }

    /// The RTP ports of the legs in it.
    pub fn ports(&self) -> impl Iterator<Item = Port> {
        self.legs.iter().map(|leg| leg.port)
    }

    /// A send from this port, before the session went, has failed after it. `false`: the port is not of this session.
    pub fn lost(&mut self, port: Port) -> bool {
        let leg = self.legs.iter_mut().find(|leg| leg.port.0 == port.0 & !1);
        if let Some(leg) = leg {
            if leg.port == port {
                leg.meter.lost_after(1);
            }
            return true;
        }
        false
    }
}

/// What became of the wish that a session goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Departure {
    /// It is in the parcel, and its ports are this core's no longer.
    Gone,
    /// It has packets to send yet: ask [`Core::poll_transmit`] until it has nothing, then again.
    NotYet,
    /// There is no such session.
    Unknown,
}

impl Core {
    /// Keeps places for a session from another core, until [`Core::arrive`] or [`Core::expect_no_more`]. `false`: there are none.
    pub fn expect(&mut self) -> bool {
        self.table.expect()
    }

    /// The session that was expected does not come.
    pub fn expect_no_more(&mut self) {
        self.table.expect_no_more();
    }

    /// Puts a session into an empty parcel. No packet of its ports may be handed in from then on, to this core.
    pub fn depart(&mut self, id: SessionId, parcel: &mut Parcel) -> Departure {
        debug_assert!(parcel.is_empty());
        let Some(slot) = self.table.find(id) else {
            return Departure::Unknown;
        };
        let legs = self
            .table
            .session(slot)
            .map(|session| session.legs.clone())
            .unwrap_or_default();
        let sends = |leg: &Leg| leg.waiting > 0 || leg.ready.queued;
        if legs.iter().any(|&(_, leg)| self.table.leg(leg).is_some_and(sends)) {
            return Departure::NotYet;
        }
        self.table.forget(id);
        self.timers.set(self.places + slot.0 as usize, NEVER);
        let Some(mut session) = self.table.free_session(slot) else {
            return Departure::Unknown;
        };
        if std::mem::take(&mut session.mailbox.queued) {
            self.mailboxes.retain(|&other| other != slot);
        }
        for (_, place) in legs {
            if let Some((owner, leg)) = self.table.take_leg(place) {
                self.timers.set(owner, NEVER);
                self.table.own(place, false);
                parcel.legs.push(leg);
            }
        }
        self.counters.sessions -= 1;
        parcel.session = Some(session);
        parcel.start = Some(self.start);
        Departure::Gone
    }

    /// Takes the session out of a parcel, into the places that were kept for it: it goes on as if nothing had happened. Its ports are this
    /// core's from now on, even when it has ended.
    ///
    /// # Panics
    /// In a debug build, where the two cores were made with another start of time: one of the engine's does not happen.
    pub fn arrive(&mut self, parcel: &mut Parcel) {
        self.table.expect_no_more();
        let Some(session) = parcel.session.take() else {
            return;
        };
        debug_assert_eq!(
            parcel.start,
            Some(self.start),
            "their times are counted from one moment"
        );
        let tells = !session.mailbox.is_empty();
        let Some(slot) = self.table.put_session(session) else {
            debug_assert!(false, "a session that is here, or no place was kept");
            return;
        };
        self.counters.sessions += 1;
        for mut leg in parcel.legs.drain(..) {
            leg.session = slot;
            let place = leg.slot;
            self.table.own(place, true);
            self.table.put_leg(place, leg);
        }
        self.rearm_all(slot);
        if tells {
            self.tell(slot, |_| true);
        }
    }

    fn rearm_all(&mut self, slot: SessionSlot) {
        let legs = self
            .table
            .session(slot)
            .map(|session| session.legs.clone())
            .unwrap_or_default();
        for (_, leg) in legs {
            self.rearm(leg);
        }
        self.rearm_session(slot);
    }
}
