//! Commands: from one whole state of a session to the next.

use std::time::Instant;

use arrayvec::ArrayVec;

use super::voices::Voices;
use super::{Core, STRAYS_MAX};
use crate::command::{
    Dtmf, Event, GAIN_DB, Generation, Heard, LEGS_MAX, LegId, LegSpec, Play, Refusal, SessionId, SessionSpec, Watch,
};
use crate::events::{Listeners, Mailbox};
use crate::evidence::By;
use crate::keys::Keys;
use crate::leg::{Leg, Origin, SessionSlot, Slot, Timer};
use crate::listening::Listening;
use crate::route::{Feed, Want};
use crate::rtcp::{INTERVAL, randomised};
use crate::session::{Answer, Session, WINDOW, Waiting, Window};
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
            _ => self
                .refusal(found, spec)
                .or_else(|| (!self.has_places(found, spec)).then_some(Refusal::NoSession)),
        };
        let voices = match refusal {
            Some(reason) => Err(reason),
            None => self.voices(found, spec),
        };
        match (voices, found) {
            (Ok(voices), _) => self.accept(now, found, id, generation, spec, voices),
            (Err(reason), Some(slot)) => {
                if let Some(session) = self.table.session_mut(slot) {
                    session.answer = Answer::Refused(reason);
                }
                self.tell(slot, |mailbox| {
                    mailbox.refused(generation, reason);
                    true
                });
            }
            (Err(reason), None) => self.stray(Event::Refused {
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
        self.close_window(slot, self.ns(now));
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
            session.waiting = None;
            session.ended = true;
        }
        self.rearm_session(slot);
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
            if !matches!(leg.ptime_ms, 10 | 20 | 30 | 40 | 50 | 60) {
                return Some(Refusal::PacketTime);
            }
            let heard = &leg.hears.legs;
            let known = |id: LegId| id != leg.leg && spec.legs.iter().any(|other| other.leg == id);
            if !leg.hears.sources().all(known) {
                return Some(Refusal::UnknownLeg);
            }
            if !heard.iter().all(|heard| GAIN_DB.contains(&heard.gain_db)) {
                return Some(Refusal::Gain);
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

    /// Whether there are places for the legs that are new.
    fn has_places(&self, found: Option<SessionSlot>, spec: &SessionSpec) -> bool {
        let session = found.and_then(|slot| self.table.session(slot));
        let is_new = |leg: &&LegSpec| session.is_none_or(|session| session.leg(leg.leg).is_none());
        self.table.has_places(spec.legs.iter().filter(is_new).count())
    }

    fn answer_again(&mut self, slot: SessionSlot) {
        let Some(session) = self.table.session_mut(slot) else {
            return;
        };
        let generation = session.generation;
        let waits = session.waiting.is_some();
        match (session.answer, session.in_force) {
            (Answer::Refused(reason), _) => self.tell(slot, |mailbox| {
                mailbox.refused(generation, reason);
                true
            }),
            (Answer::Taken, Some(at)) if !waits => self.tell(slot, |mailbox| {
                mailbox.applied(generation, at);
                true
            }),
            (Answer::Taken, _) if waits => self.tell_waiting(slot, generation),
            // It will be answered.
            (Answer::Taken, _) => {}
        }
    }

    fn accept(
        &mut self,
        now: Instant,
        found: Option<SessionSlot>,
        id: SessionId,
        generation: Generation,
        spec: &SessionSpec,
        voices: Voices,
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
        if let Some(session) = self.table.session_mut(slot) {
            session.answer = Answer::Taken;
        }
        match self.waits_for(now, slot, generation, spec) {
            Some(waiting) => self.wait(now, slot, waiting, voices),
            None => self.carry_out(now, slot, generation, spec, voices),
        }
    }

    /// Makes everything so.
    fn carry_out(
        &mut self,
        now: Instant,
        slot: SessionSlot,
        generation: Generation,
        spec: &SessionSpec,
        voices: Voices,
    ) {
        self.forget_waiting(slot);
        if let Some(session) = self.table.session_mut(slot) {
            session.wanted = Some(generation);
            session.in_force = None;
        }
        self.watch(now, slot, spec.watch);
        self.release_others(now, slot, |id, _| spec.legs.iter().any(|wanted| wanted.leg == id));
        self.place_legs(now, slot, spec);
        self.lend(spec, voices);
        // In the order of the spec.
        let place = |leg: &LegSpec| Some((leg.leg, self.table.slot(leg.port)?));
        let legs = spec.legs.iter().filter_map(place).collect();
        if let Some(session) = self.table.session_mut(slot) {
            session.legs = legs;
        }
        self.set_rows(now, slot, spec);
        self.measure_listeners(now, slot);
        self.listen_for_word(slot, spec);
        self.listen_for_keys(slot);
        self.relist(slot);
        self.rearm_session(slot);
        self.check_applied(now, slot);
    }

    /// Where rows of the state have patience for legs that feed them not yet: what it waits for. A leg that the state before
    /// waited for, too, is waited for no longer than from then on, and has come where it has come meanwhile.
    fn waits_for(
        &self,
        now: Instant,
        slot: SessionSlot,
        generation: Generation,
        spec: &SessionSpec,
    ) -> Option<Waiting> {
        let at = self.ns(now);
        let before = self.table.session(slot).and_then(|session| session.waiting.as_ref());
        let mut legs = ArrayVec::new();
        let mut patience = NEVER;
        for wanted in &spec.legs {
            if let Some(source) = self.awaits(spec, wanted) {
                patience = patience.min(wanted.hears.patience.as_nanos() as u64);
                if !legs.contains(&source) {
                    legs.push(source);
                }
            }
        }
        let known = |source: &Slot| before.is_some_and(|before| before.legs.contains(source));
        let has_come = |source: &Slot| known(source) && self.table.leg(*source).is_some_and(|leg| !leg.source.awaited);
        if legs.iter().all(has_come) {
            return None;
        }
        let since = before
            .filter(|_| legs.iter().any(known))
            .map_or(at, |before| before.since);
        Some(Waiting {
            generation,
            spec: spec.clone(),
            legs,
            since,
            until: since.saturating_add(patience),
        })
    }

    /// The leg that this row waits for.
    fn awaits(&self, spec: &SessionSpec, wanted: &LegSpec) -> Option<Slot> {
        let row = &wanted.hears;
        let source = row.sources().next()?;
        let source = spec.legs.iter().find(|leg| leg.leg == source)?;
        let source = self.table.slot(source.port)?;
        let sent_to = wanted.send && wanted.remote.is_some();
        let listener = self.table.slot(wanted.port).and_then(|place| self.table.leg(place));
        let feeds = listener.is_some_and(|leg| leg.row.is_fed_by(source));
        let plays = row.play.as_ref().is_some_and(|play| match listener {
            Some(leg) => leg.row.would_play(play),
            None => !play.queue.is_empty(),
        });
        (!row.patience.is_zero() && sent_to && !feeds && !plays).then_some(source)
    }

    /// Keeps the state until the legs that it waits for are heard. What it says about peers is a fact, and in force at once;
    /// legs that are new have a place, so that they can be heard, and nobody hears them.
    fn wait(&mut self, now: Instant, slot: SessionSlot, waiting: Waiting, voices: Voices) {
        let at = self.ns(now);
        let Waiting { spec, legs, .. } = &waiting;
        let come: ArrayVec<Slot, LEGS_MAX> = match self.table.session(slot).and_then(|session| session.waiting.as_ref())
        {
            Some(before) => before.legs.iter().copied().filter(|leg| !self.awaited(*leg)).collect(),
            None => ArrayVec::new(),
        };
        self.forget_waiting(slot);
        self.release_others(now, slot, |id, in_force| {
            in_force || spec.legs.iter().any(|wanted| wanted.leg == id)
        });
        self.place_legs(now, slot, spec);
        self.lend(spec, voices);
        for wanted in &spec.legs {
            let Some(place) = self.table.slot(wanted.port) else {
                continue;
            };
            if let Some(session) = self.table.session_mut(slot)
                && session.leg(wanted.leg).is_none()
            {
                let _ = session.legs.try_push((wanted.leg, place));
            }
            if let Some(leg) = self.table.leg_mut(place) {
                leg.source.awaited = legs.contains(&place) && !come.contains(&place);
                leg.arm(at);
            }
            self.rearm(place);
        }
        self.tell_waiting(slot, waiting.generation);
        if let Some(session) = self.table.session_mut(slot) {
            session.waiting = Some(waiting);
        }
        self.measure_listeners(now, slot);
        self.rearm_session(slot);
    }

    fn tell_waiting(&mut self, slot: SessionSlot, generation: Generation) {
        self.tell(slot, |mailbox| {
            mailbox.waiting(generation);
            true
        });
    }

    fn awaited(&self, leg: Slot) -> bool {
        self.table.leg(leg).is_some_and(|leg| leg.source.awaited)
    }

    /// The packet that is in hand is the first of a leg that a state waits for. With that of the last such leg it is carried
    /// out, before the packet goes to who hears it.
    pub(super) fn has_come(&mut self, now: Instant, place: Slot) {
        let Some(leg) = self.table.leg_mut(place) else {
            return;
        };
        leg.source.awaited = false;
        let slot = leg.session;
        let waiting = self.table.session(slot).and_then(|session| session.waiting.as_ref());
        if waiting.is_none_or(|waiting| waiting.legs.iter().any(|&leg| self.awaited(leg))) {
            return;
        }
        let waiting = self.table.session_mut(slot).and_then(|session| session.waiting.take());
        if let Some(waiting) = waiting {
            // What it lacked was lent when it came.
            self.carry_out(now, slot, waiting.generation, &waiting.spec, Voices::new());
        }
    }

    /// A leg was not heard in time: what was in force stays so.
    pub(super) fn lose_patience(&mut self, slot: SessionSlot) {
        let waiting = self.forget_waiting(slot);
        self.settle(slot);
        let (Some(generation), Some(session)) = (waiting, self.table.session_mut(slot)) else {
            return;
        };
        if generation == session.generation {
            session.answer = Answer::Refused(Refusal::Silent);
        }
        self.tell(slot, |mailbox| {
            mailbox.refused(generation, Refusal::Silent);
            true
        });
    }

    /// Nothing is waited for any more.
    fn forget_waiting(&mut self, slot: SessionSlot) -> Option<Generation> {
        let waiting = self.table.session_mut(slot)?.waiting.take()?;
        for leg in waiting.legs {
            if let Some(leg) = self.table.leg_mut(leg) {
                leg.source.awaited = false;
            }
        }
        Some(waiting.generation)
    }

    /// Releases the legs that are not to stay; it is said of each whether it belongs to the state in force.
    fn release_others(&mut self, now: Instant, slot: SessionSlot, stays: impl Fn(LegId, bool) -> bool) {
        let legs = self
            .table
            .session(slot)
            .map(|session| session.legs.clone())
            .unwrap_or_default();
        for (id, place) in legs {
            let in_force = self.table.leg(place).is_some_and(|leg| leg.in_force);
            if !stays(id, in_force) {
                self.release(now, slot, place);
                if let Some(session) = self.table.session_mut(slot) {
                    session.legs.retain(|(leg, _)| *leg != id);
                }
            }
        }
    }

    /// Makes the legs that are new, and tells all about their peers.
    fn place_legs(&mut self, now: Instant, slot: SessionSlot, spec: &SessionSpec) {
        let at = self.ns(now);
        for wanted in &spec.legs {
            let Some(place) = self.table.slot(wanted.port) else {
                continue;
            };
            if self.table.leg(place).is_none() {
                let leg = Leg::new(wanted, place, slot, at, self.comfort_after, &mut self.seed);
                self.table.put_leg(place, leg);
            }
            let random = (self.seed.next() >> 32) as u32;
            let Some(leg) = self.table.leg_mut(place) else {
                continue;
            };
            let sent = leg.destination().is_some();
            leg.update(now, wanted, &mut self.seed);
            if sent != leg.destination().is_some() {
                leg.restart(at);
            }
            *leg.timer(Timer::Silence) = leg.source.expect(at, wanted.receive, self.silence);
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
            let heard = wanted.hears.sources().next();
            let heard = heard.and_then(|id| self.table.session(slot)?.leg(id));
            let silent = |source: Slot| self.table.leg(source).is_none_or(|leg| leg.source.is_silent(at));
            let feed = self.table.leg(place).map(|leg| leg.row.feed);
            let sounds = match feed {
                Some(Feed::Leg(source)) => self.belongs(source, slot) && !silent(source),
                Some(Feed::Mix) => true,
                _ => false,
            };
            let session = self.table.session(slot);
            let heard_so = |heard: &Heard| Some((session?.leg(heard.leg)?, heard.gain_db));
            let mix: ArrayVec<_, LEGS_MAX> = wanted.hears.legs.iter().filter_map(heard_so).collect();
            let play: Option<&Play> = wanted.hears.play.as_ref();
            let repacks = self.table.leg(place).is_some_and(|leg| leg.row.repacks);
            let mixed = wanted.hears.is_mixed() || repacks;
            let want = Want {
                play,
                leg: heard.map(|leg| (leg, silent(leg))),
                mix: mixed.then_some(&mix[..]),
                added_latency: self.added_latency,
                sounds,
            };
            if let Some(leg) = self.table.leg_mut(place) {
                leg.in_force = true;
                leg.dtmf = wanted.dtmf;
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
            let sources: ArrayVec<Slot, LEGS_MAX> = leg.row.sources().collect();
            for source in sources {
                if let Some(source) = self.table.leg_mut(source) {
                    let _ = source.source.listeners.try_push(listener);
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
        self.settle(slot);
        self.tell(slot, |mailbox| {
            mailbox.applied(generation, at);
            true
        });
    }

    /// A leg's end: its evidence is kept, its peer gets a BYE, its port is free.
    fn release(&mut self, now: Instant, slot: SessionSlot, place: Slot) {
        let at = self.ns(now);
        let ntp = self.ntp(now);
        let Some((owner, mut leg)) = self.table.take_leg(place) else {
            return;
        };
        if let Some(session) = self.table.session_mut(slot) {
            session.mailbox.leaves(leg.id);
            if let Some(window) = &mut session.window
                && let Some(evidence) = leg.meter.close(at)
            {
                window.leaves(leg.id, evidence);
            }
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
        self.timers.set(owner, NEVER);
    }

    /// Opens, keeps or closes the window.
    fn watch(&mut self, now: Instant, slot: SessionSlot, watch: Option<Watch>) {
        let at = self.ns(now);
        if self.table.session(slot).is_some_and(|session| !session.watches(watch)) {
            self.close_window(slot, at);
        }
        let Some(watch) = watch else {
            return;
        };
        let Some(session) = self.table.session_mut(slot) else {
            return;
        };
        if session.closed == Some(watch.window) {
            return;
        }
        let window = session.window.get_or_insert_with(|| Window::new(watch.window));
        if window.word_of.is_none() && watch.first_word_of.is_some() {
            session.window_until = at + WINDOW;
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
                && leg.in_force
                && leg.destination().is_some()
            {
                leg.meter.open(at);
            }
        }
    }

    /// While the window waits for a first word, an ear listens to what the first listener of the spec is sent of that leg. Where there is none
    /// to spare, the word is found by its level.
    fn listen_for_word(&mut self, slot: SessionSlot, spec: &SessionSpec) {
        let Some(session) = self.table.session(slot) else {
            return;
        };
        let word_of = match session.word_of() {
            Some(Origin::Leg(of)) => session.window.as_ref().and_then(|window| Some((window.word_of?, of))),
            _ => None,
        };
        let sent_to = |leg: &&LegSpec| leg.send && leg.remote.is_some();
        let listener = word_of.and_then(|(id, of)| {
            let hears = |leg: &&LegSpec| leg.hears.sources().any(|source| source == id);
            let leg = spec.legs.iter().filter(sent_to).find(hears)?;
            Some((leg.leg, of))
        });
        let mut by_ear = false;
        for (id, place) in session.legs.clone() {
            let Some(leg) = self.table.leg_mut(place) else {
                continue;
            };
            let of = listener.filter(|&(listener, _)| listener == id).map(|(_, of)| of);
            leg.listening.take_if(|listening| Some(listening.of) != of);
            let Some(of) = of else {
                continue;
            };
            if leg.listening.is_none() {
                leg.listening = self.coders.ear().map(|ear| Listening::new(of, ear));
            }
            by_ear |= leg.listening.is_some();
            if let Some(mixer) = &mut leg.row.mixer {
                mixer.follow(of);
            }
        }
        if let Some(window) = self.table.session_mut(slot).and_then(|session| session.window.as_mut()) {
            window.by_ear = by_ear;
        }
    }

    /// Legs without telephone-event whose keys are not for others to hear get what finds them in their sound, where there is some to spare. What was
    /// pressed before a state and is still down is nobody's to hear in that state either.
    fn listen_for_keys(&mut self, slot: SessionSlot) {
        let legs = self.table.session(slot).map(|session| session.legs.clone());
        for (_, place) in legs.unwrap_or_default() {
            let Some(leg) = self.table.leg_mut(place) else {
                continue;
            };
            let codec = leg.format.codec;
            leg.keys.take_if(|keys| keys.codec() != codec);
            if leg.format.events.is_some() || leg.dtmf == Dtmf::Relay {
                leg.keys.take_if(|keys| !keys.mutes());
            } else if leg.keys.is_none() {
                leg.keys = Keys::lend(codec, &self.coders);
            }
        }
    }

    /// The first word went out: it closes the window.
    pub(super) fn first_word(&mut self, slot: SessionSlot, began: u64) {
        let window = self.table.session(slot).and_then(|session| session.window.as_ref());
        let Some(id) = window.map(|window| window.id) else {
            return;
        };
        self.tell(slot, |mailbox| mailbox.first_word(id, began));
        self.close_window(slot, began);
        self.rearm_session(slot);
    }

    /// The session's deadlines are to be armed again.
    pub(super) fn close_window(&mut self, slot: SessionSlot, quiet_until: u64) {
        let Some(session) = self.table.session_mut(slot) else {
            return;
        };
        session.window_until = NEVER;
        let Some(window) = session.window.take() else {
            return;
        };
        session.closed = Some(window.id);
        let mut here = Listeners::new();
        for (id, place) in session.legs.clone() {
            let Some(leg) = self.table.leg_mut(place) else {
                continue;
            };
            leg.listening = None;
            if let Some(evidence) = leg.meter.close(quiet_until) {
                here.push((id, evidence));
            }
        }
        // Who is still there comes before who is gone, and who went last before who went first.
        let mut listeners = window.gone;
        let surplus = (listeners.len() + here.len()).saturating_sub(LEGS_MAX);
        listeners.drain(..surplus);
        listeners.extend(here);
        self.settle(slot);
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
    /// Who finds that word.
    pub(super) fn word_by(&self) -> By {
        let by_ear = self.window.as_ref().is_some_and(|window| window.by_ear);
        if by_ear { By::Ear } else { By::Level }
    }

    /// Whose first word is waited for.
    pub(super) fn word_of(&self) -> Option<Origin> {
        let id = self.window.as_ref()?.word_of?;
        self.leg(id).map(Origin::Leg)
    }
}
