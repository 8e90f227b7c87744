//! What time brings: frames of prompts and comfort noise, reports, the end of waiting.

use std::time::Instant;

use super::Core;
use crate::events::Audible;
use crate::leg::{Origin, SessionSlot, Slot, Timer};
use crate::rtcp::{INTERVAL, randomised};
use crate::rtp::HEADER;
use crate::session::Session;
use crate::timers::NEVER;
use crate::verdict::Transmit;

/// Deadlines in one call: packets come first again after so many.
const FIRE_MAX: usize = 64;

impl Core {
    pub(super) fn fire(&mut self, now: Instant) {
        let at = self.ns(now);
        for _ in 0..FIRE_MAX {
            match self.timers.next() {
                Some((due, owner)) if due <= at => match owner.checked_sub(self.places) {
                    Some(session) => self.fire_session(now, SessionSlot(session as u32)),
                    None => self.fire_leg(now, owner),
                },
                _ => return,
            }
        }
    }

    fn fire_session(&mut self, now: Instant, slot: SessionSlot) {
        let at = self.ns(now);
        let Some(session) = self.table.session(slot) else {
            self.rearm_session(slot);
            return;
        };
        let window = session.window_until <= at;
        let patience = session.waiting.as_ref().is_some_and(|waiting| waiting.until <= at);
        if window {
            self.close_window(slot, at);
        }
        if patience {
            self.lose_patience(slot);
        }
        self.rearm_session(slot);
    }

    fn fire_leg(&mut self, now: Instant, place: usize) {
        let at = self.ns(now);
        let Some(slot) = self.table.at(place) else {
            self.timers.set(place, NEVER);
            return;
        };
        let Some(leg) = self.table.leg_mut(slot) else {
            return;
        };
        let mut changed = false;
        if *leg.timer(Timer::Takeover) <= at {
            *leg.timer(Timer::Takeover) = NEVER;
            leg.give_up_waiting(at, &mut self.pending);
            changed = true;
        }
        if *leg.timer(Timer::Report) <= at {
            leg.ready.report = true;
            *leg.timer(Timer::Report) = at + randomised(INTERVAL, (self.seed.next() >> 32) as u32).as_nanos() as u64;
        }
        if *leg.timer(Timer::Tick) <= at {
            leg.tick(at, &mut self.pending);
        }
        let mut silent = None;
        if *leg.timer(Timer::Silence) <= at {
            if leg.source.silence_due(self.silence) <= at {
                leg.source.told_silent = true;
                silent = Some((leg.session, leg.id));
            }
            *leg.timer(Timer::Silence) = leg.source.silence_due(self.silence);
        }
        self.rearm(slot);
        if let Some((session, id)) = silent {
            self.tell(session, |mailbox| mailbox.audible(id, Audible::Silent, at));
        }
        if changed {
            self.rows_changed(now, slot);
        }
    }

    /// The heap follows the session's two deadlines.
    pub(super) fn rearm_session(&mut self, slot: SessionSlot) {
        let due = self.table.session(slot).map_or(NEVER, Session::due);
        self.timers.set(self.places + slot.0 as usize, due);
    }

    /// The heap follows the leg's timers, and the queue what it has ready.
    pub(super) fn rearm(&mut self, slot: Slot) {
        let Some(place) = self.table.place(slot) else {
            return;
        };
        let Some(leg) = self.table.leg_mut(slot) else {
            return;
        };
        self.timers.set(place, leg.due());
        if !leg.ready.queued && (leg.ready.report || leg.ready.frame.is_some()) {
            leg.ready.queued = true;
            self.ready.push_back(slot);
        }
    }

    pub(super) fn transmit(&mut self, now: Instant, buffer: &mut [u8]) -> Option<Transmit> {
        if let Some(transmit) = self.transmit_pending(now, buffer) {
            return Some(transmit);
        }
        while let Some(&slot) = self.ready.front() {
            let made = self.transmit_ready(now, slot, buffer);
            // A goodbye's or a digit's end may have been queued meanwhile; what is ready stays in turn.
            let done = self
                .table
                .leg(slot)
                .is_none_or(|leg| !leg.ready.report && leg.ready.frame.is_none());
            if done {
                self.ready.pop_front();
                if let Some(leg) = self.table.leg_mut(slot) {
                    leg.ready.queued = false;
                }
            }
            if made.is_some() {
                return made;
            }
        }
        None
    }

    fn transmit_pending(&mut self, now: Instant, buffer: &mut [u8]) -> Option<Transmit> {
        let packet = self.pending.pop()?;
        let len = packet.len.min(buffer.len());
        buffer[..len].copy_from_slice(&packet.bytes[..len]);
        let transmit = Transmit {
            from: packet.from,
            to: packet.to,
            len,
        };
        if let Some((slot, outgoing)) = packet.on
            && let Some(leg) = self.table.leg_mut(slot)
            && leg.line.ssrc == outgoing.ssrc
        {
            leg.waiting = leg.waiting.saturating_sub(1);
            self.measure(now, slot, &outgoing, &buffer[..len]);
        }
        Some(transmit)
    }

    fn transmit_ready(&mut self, now: Instant, slot: Slot, buffer: &mut [u8]) -> Option<Transmit> {
        let at = self.ns(now);
        let ntp = self.ntp(now);
        let leg = self.table.leg_mut(slot)?;
        if std::mem::take(&mut leg.ready.report)
            && let Some((from, to)) = leg.rtcp()
            && let Some(len) = leg.report(now, at, ntp, &self.cname, false, buffer)
        {
            self.counters.rtcp += 1;
            return Some(Transmit { from, to, len });
        }
        let leg = self.table.leg_mut(slot)?;
        let due = leg.ready.frame.take()?;
        let to = leg.destination();
        let silent = leg.row.next.or(leg.row.leg).and_then(|source| self.table.leg(source));
        let silent = silent.is_none_or(|source| source.source.is_silent(at));
        let leg = self.table.leg_mut(slot)?;
        let (frame, ended) = leg.frame(at, due, silent, &self.comfort, &self.prompts, buffer);
        let (id, session, from) = (leg.id, leg.session, leg.port);
        let due = leg.due();
        if let Some(place) = self.table.place(slot) {
            self.timers.set(place, due);
        }
        if let Some((len, outgoing)) = frame {
            match outgoing.origin {
                Origin::Play(_) => self.counters.played += 1,
                Origin::Mix => self.counters.mixed += 1,
                _ => self.counters.comfort += 1,
            }
            self.measure(now, slot, &outgoing, &buffer[..len.max(HEADER)]);
        }
        if let Some((play, items)) = ended.items {
            for item in (0..8).filter(|item| items & 1 << item != 0) {
                self.tell(session, |mailbox| mailbox.played(id, play, item, at));
            }
        }
        if ended.switched {
            self.rows_changed(now, slot);
        }
        let (len, _) = frame?;
        Some(Transmit { from, to: to?, len })
    }
}
