//! Commands: from one whole state of a session to the next.

use std::time::Instant;

use super::{Core, STRAYS_MAX};
use crate::command::{Event, Generation, LEGS_MAX, LegId, LegSpec, Play, Refusal, SessionId, SessionSpec, Watch};
use crate::events::{Listeners, Mailbox};
use crate::leg::{Leg, Origin, SessionSlot, Slot, Timer};
use crate::route::{Feed, Want};
use crate::rtcp::{INTERVAL, randomised};
use crate::session::{Answer, Session, WINDOW, Window};
use crate::timers::NEVER;

impl Core {
    pub(super) fn set(&mut self, now: Instant, id: SessionId, generation: Generation, spec: &SessionSpec) {
        let found = self.table.find(id);
        if let Some(slot) = found
            && let Some(session) = self.table.session_mut(slot)
        {
            if generation < session.generation {
                return;
            }
            if generation == session.generation {
                self.answer_again(slot);
                return;
            }
            session.generation = generation;
        }
        let refusal = match found {
            None if !self.table.has_room() => Some(Refusal::NoSession),
            _ => self.refusal(found, spec),
        };
        match (refusal, found) {
            (None, _) => self.accept(now, found, id, generation, spec),
            (Some(reason), Some(slot)) => {
                if let Some(session) = self.table.session_mut(slot) {
                    session.answer = Answer::Refused(reason);
                }
                self.tell(slot, |mailbox| {
                    mailbox.refused(generation, reason);
                    true
                });
            }
            (Some(reason), None) => self.stray(Event::Refused {
                session: id,
                generation,
                reason,
            }),
        }
    }

    pub(super) fn end(&mut self, now: Instant, id: SessionId) {
        let Some(slot) = self.table.find(id) else {
            self.stray(Event::Ended { session: id });
            return;
        };
        self.close_window(now, slot, self.ns(now));
        let legs = self
            .table
            .session(slot)
            .map(|session| session.legs.clone())
            .unwrap_or_default();
        for (_, leg) in legs {
            self.release(now, slot, leg);
        }
        self.table.forget(id);
        if let Some(session) = self.table.session_mut(slot) {
            session.legs.clear();
            session.ended = true;
        }
        self.counters.sessions -= 1;
        self.tell(slot, |mailbox| {
            mailbox.ended();
            true
        });
    }

    /// What makes the state impossible, before anything is touched.
    fn refusal(&self, found: Option<SessionSlot>, spec: &SessionSpec) -> Option<Refusal> {
        spec.legs.iter().enumerate().find_map(|(n, leg)| {
            let earlier = &spec.legs[..n];
            if earlier.iter().any(|other| other.leg == leg.leg) {
                return Some(Refusal::DoubleLeg);
            }
            if earlier.iter().any(|other| other.port == leg.port) || !self.may_have(found, leg) {
                return Some(Refusal::Port);
            }
            if !matches!(leg.ptime_ms, 10 | 20 | 30 | 40) {
                return Some(Refusal::PacketTime);
            }
            let heard = &leg.hears.legs;
            let known = |id: &LegId| *id != leg.leg && spec.legs.iter().any(|other| other.leg == *id);
            if !heard.iter().all(known) {
                return Some(Refusal::UnknownLeg);
            }
            if heard.len() > 1 {
                return Some(Refusal::Mix);
            }
            let mut prompts = leg.hears.play.iter().flat_map(|play| &play.queue);
            if prompts.any(|&prompt| self.prompts.duration(prompt).is_none()) {
                return Some(Refusal::UnknownPrompt);
            }
            None
        })
    }

    /// Whether the port is even, ours and free, or the leg's already. A leg keeps its port for life.
    fn may_have(&self, found: Option<SessionSlot>, leg: &LegSpec) -> bool {
        let Some(slot) = self.table.slot(leg.port).filter(|_| leg.port.0.is_multiple_of(2)) else {
            return false;
        };
        let has = found.and_then(|session| self.table.session(session)?.leg(leg.leg));
        match has {
            Some(has) => has == slot,
            None => self.table.leg(slot).is_none(),
        }
    }

    fn answer_again(&mut self, slot: SessionSlot) {
        let Some(session) = self.table.session_mut(slot) else {
            return;
        };
        let generation = session.generation;
        match (session.answer, session.in_force) {
            (Answer::Refused(reason), _) => self.tell(slot, |mailbox| {
                mailbox.refused(generation, reason);
                true
            }),
            (Answer::Taken, Some(at)) => self.tell(slot, |mailbox| {
                mailbox.applied(generation, at);
                true
            }),
            // It will be answered.
            (Answer::Taken, None) => {}
        }
    }

    fn accept(
        &mut self,
        now: Instant,
        found: Option<SessionSlot>,
        id: SessionId,
        generation: Generation,
        spec: &SessionSpec,
    ) {
        let slot = match found {
            Some(slot) => slot,
            None => {
                let Some(slot) = self.table.put_session(Session::new(id, generation)) else {
                    return;
                };
                self.counters.sessions += 1;
                slot
            }
        };
        self.watch(now, slot, spec.watch);
        self.place_legs(now, slot, spec);
        self.set_rows(now, slot, spec);
        if let Some(session) = self.table.session_mut(slot) {
            session.answer = Answer::Taken;
            session.wanted = Some(generation);
            session.in_force = None;
        }
        self.measure_listeners(now, slot);
        self.relist(slot);
        self.check_applied(now, slot);
    }

    /// Releases the legs that the spec does not have, makes the new ones, and tells all about their peers.
    fn place_legs(&mut self, now: Instant, slot: SessionSlot, spec: &SessionSpec) {
        let at = self.ns(now);
        let before = self
            .table
            .session(slot)
            .map(|session| session.legs.clone())
            .unwrap_or_default();
        for (id, leg) in before {
            if spec.legs.iter().all(|wanted| wanted.leg != id) {
                self.release(now, slot, leg);
            }
        }
        let mut legs = spec
            .legs
            .iter()
            .filter_map(|leg| Some((leg.leg, self.table.slot(leg.port)?)));
        let legs = legs.by_ref().collect();
        if let Some(session) = self.table.session_mut(slot) {
            session.legs = legs;
        }
        for wanted in &spec.legs {
            let Some(place) = self.table.slot(wanted.port) else {
                continue;
            };
            if self.table.leg(place).is_none() {
                let leg = Leg::new(wanted, place, slot, at, &mut self.seed);
                self.table.put_leg(place, leg);
            }
            let random = (self.seed.next() >> 32) as u32;
            let Some(leg) = self.table.leg_mut(place) else {
                continue;
            };
            let sent = leg.destination().is_some();
            leg.update(now, wanted);
            if sent != leg.destination().is_some() {
                leg.restart(at);
            }
            let report = leg.timer(Timer::Report);
            if wanted.remote_rtcp.is_none() {
                *report = NEVER;
            } else if *report == NEVER {
                // RFC 3550 §6.2: half the interval before the first report.
                *report = at + randomised(INTERVAL / 2, random).as_nanos() as u64;
            }
        }
    }

    fn set_rows(&mut self, now: Instant, slot: SessionSlot, spec: &SessionSpec) {
        let at = self.ns(now);
        for wanted in &spec.legs {
            let Some(place) = self.table.slot(wanted.port) else {
                continue;
            };
            let heard = wanted
                .hears
                .legs
                .first()
                .and_then(|&id| self.table.session(slot)?.leg(id));
            let silent = |source: Slot| self.table.leg(source).is_none_or(|leg| leg.source.is_silent(at));
            let feed = self.table.leg(place).map(|leg| leg.row.feed);
            let sounds = match feed {
                Some(Feed::Leg(source)) => self.belongs(source, slot) && !silent(source),
                _ => false,
            };
            let play: Option<&Play> = wanted.hears.play.as_ref();
            let want = Want {
                play,
                leg: heard.map(|leg| (leg, silent(leg))),
                sounds,
            };
            if let Some(leg) = self.table.leg_mut(place) {
                leg.set_row(at, want, &mut self.pending);
            }
            self.rearm(place);
        }
    }

    fn belongs(&self, leg: Slot, session: SessionSlot) -> bool {
        self.table.leg(leg).is_some_and(|leg| leg.session == session)
    }

    /// A row is served by another source now.
    pub(super) fn rows_changed(&mut self, now: Instant, listener: Slot) {
        self.rearm(listener);
        if let Some(slot) = self.table.leg(listener).map(|leg| leg.session) {
            self.relist(slot);
            self.check_applied(now, slot);
        }
    }

    /// Who is heard by whom, from the rows.
    fn relist(&mut self, slot: SessionSlot) {
        let legs = self
            .table
            .session(slot)
            .map(|session| session.legs.clone())
            .unwrap_or_default();
        for &(_, source) in &legs {
            if let Some(leg) = self.table.leg_mut(source) {
                leg.source.listeners.clear();
            }
        }
        for &(_, listener) in &legs {
            let Some(leg) = self.table.leg(listener) else {
                continue;
            };
            for source in leg.row.sources() {
                if let Some(source) = self.table.leg_mut(source) {
                    source.source.listeners.push(listener);
                }
            }
        }
    }

    fn check_applied(&mut self, now: Instant, slot: SessionSlot) {
        let at = self.ns(now);
        let Some(session) = self.table.session(slot) else {
            return;
        };
        let waits = |&(_, leg): &(LegId, Slot)| self.table.leg(leg).is_some_and(|leg| leg.row.next.is_some());
        let Some(generation) = session.wanted.filter(|_| session.in_force.is_none()) else {
            return;
        };
        if session.legs.iter().any(waits) {
            return;
        }
        if let Some(session) = self.table.session_mut(slot) {
            session.in_force = Some(at);
        }
        self.tell(slot, |mailbox| {
            mailbox.applied(generation, at);
            true
        });
    }

    /// A leg's end: its evidence is kept, its peer gets a BYE, its port is free.
    fn release(&mut self, now: Instant, slot: SessionSlot, place: Slot) {
        let at = self.ns(now);
        let ntp = self.ntp(now);
        let Some(mut leg) = self.table.take_leg(place) else {
            return;
        };
        if let Some(session) = self.table.session_mut(slot)
            && let Some(window) = &mut session.window
            && let Some(evidence) = leg.meter.close(at)
        {
            window.leaves(leg.id, evidence);
        }
        if let Some((from, to)) = leg.rtcp()
            && let Some(packet) = self.pending.claim()
            && let Some(len) = leg.report(now, at, ntp, &self.cname, true, &mut packet.bytes)
        {
            (packet.from, packet.to, packet.len, packet.on) = (from, to, len, None);
            self.pending.commit();
            self.counters.rtcp += 1;
        }
        if leg.ready.queued {
            self.ready.retain(|&ready| ready != place);
        }
        self.timers.set(usize::from(place.0), NEVER);
    }

    /// Opens, keeps or closes the window.
    fn watch(&mut self, now: Instant, slot: SessionSlot, watch: Option<Watch>) {
        let at = self.ns(now);
        if self.table.session(slot).is_some_and(|session| !session.watches(watch)) {
            self.close_window(now, slot, at);
        }
        let Some(watch) = watch else {
            return;
        };
        let timer = self.pairs + slot.0 as usize;
        let Some(session) = self.table.session_mut(slot) else {
            return;
        };
        if session.closed == Some(watch.window) {
            return;
        }
        let window = session.window.get_or_insert_with(|| Window::new(watch.window));
        if window.word_of.is_none() && watch.first_word_of.is_some() {
            self.timers.set(timer, at + WINDOW);
        }
        window.word_of = watch.first_word_of;
    }

    /// While a window is open, everybody who can be sent to is measured.
    fn measure_listeners(&mut self, now: Instant, slot: SessionSlot) {
        let at = self.ns(now);
        let Some(session) = self.table.session(slot).filter(|session| session.window.is_some()) else {
            return;
        };
        for (_, place) in session.legs.clone() {
            if let Some(leg) = self.table.leg_mut(place)
                && leg.destination().is_some()
            {
                leg.meter.open(at);
            }
        }
    }

    pub(super) fn window_ends(&mut self, now: Instant, slot: SessionSlot) {
        self.close_window(now, slot, self.ns(now));
    }

    /// The first word went out: it closes the window.
    pub(super) fn first_word(&mut self, now: Instant, slot: SessionSlot, began: u64) {
        let window = self.table.session(slot).and_then(|session| session.window.as_ref());
        let Some(id) = window.map(|window| window.id) else {
            return;
        };
        self.tell(slot, |mailbox| mailbox.first_word(id, began));
        self.close_window(now, slot, began);
    }

    fn close_window(&mut self, _now: Instant, slot: SessionSlot, quiet_until: u64) {
        self.timers.set(self.pairs + slot.0 as usize, NEVER);
        let Some(session) = self.table.session_mut(slot) else {
            return;
        };
        let Some(window) = session.window.take() else {
            return;
        };
        session.closed = Some(window.id);
        let mut here = Listeners::new();
        for (id, place) in session.legs.clone() {
            if let Some(leg) = self.table.leg_mut(place)
                && let Some(evidence) = leg.meter.close(quiet_until)
            {
                here.push((id, evidence));
            }
        }
        // Who is still there comes before who is gone, and who went last before who went first.
        let mut listeners = window.gone;
        let surplus = (listeners.len() + here.len()).saturating_sub(LEGS_MAX);
        listeners.drain(..surplus);
        listeners.extend(here);
        self.tell(slot, |mailbox| mailbox.evidence(window.id, listeners));
    }

    /// Puts something into a session's mailbox. What has no room is counted.
    pub(super) fn tell(&mut self, slot: SessionSlot, say: impl FnOnce(&mut Mailbox) -> bool) {
        let Some(session) = self.table.session_mut(slot) else {
            return;
        };
        if !say(&mut session.mailbox) {
            self.counters.overflowed += 1;
        }
        if !session.mailbox.queued && !session.mailbox.is_empty() {
            session.mailbox.queued = true;
            self.mailboxes.push_back(slot);
        }
    }

    fn stray(&mut self, event: Event) {
        if self.strays.len() == STRAYS_MAX {
            self.strays.pop_at(0);
            self.counters.overflowed += 1;
        }
        self.strays.push(event);
    }
}

impl Session {
    /// Whose first word is waited for.
    pub(super) fn word_of(&self) -> Option<Origin> {
        let id = self.window.as_ref()?.word_of?;
        self.leg(id).map(Origin::Leg)
    }
}
