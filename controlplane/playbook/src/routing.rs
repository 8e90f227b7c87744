//! Which human a caller is to be connected with, and who waits for whom.
//!
//! A [`Pool`] knows the human agents, what they can do and whether they are free, and the callers who want one of them. A caller
//! *enters* with what it needs and holds a [`Ticket`]; who is chosen for it is *reserved* by a [`Seat`] until it is known that nobody
//! answered, or the talk and its wrap-up are over. As long as nobody leaves it true, nobody waits while somebody who could serve
//! it is free: each time that an agent becomes free, the first in line whom that one can serve is offered it.
//!
//! Among those who are free and can serve, the [`Strategy`] decides; of equals who has been idle longest, then the first by id: the same
//! pool always answers the same. Agents lie in columns, one byte for each skill: one look over all of them is the whole search,
//! whether all fit or nobody does.

mod agent;
mod columns;

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::ops::Bound;
use std::time::{Duration, Instant};

use agent::Agent;
pub use agent::{Doing, Presence, Profile, Strategy, View};
use columns::{Columns, Wanted};

/// Agents that a pool takes.
pub const AGENTS: usize = 10_000;

/// Names of skills, languages and queues that a pool takes: each is a column.
pub const NAMES: usize = 1_024;

/// What a caller needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Need {
    /// Whose agents: those that may be called for this queue.
    pub queue: String,
    /// Skills, each at this level at least.
    pub skills: Vec<(String, u8)>,
    /// Who of those that fit.
    pub strategy: Strategy,
    /// The higher one is served first.
    pub priority: u8,
    /// How long an agent is left alone after a talk.
    pub wrap_up: Duration,
    /// How long an agent who did not answer is called for nobody.
    pub set_aside: Duration,
}

/// A caller who wants an agent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticket(u64);

/// An agent who is kept for a caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Seat(u64);

/// Why an agent cannot be taken into the pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Full {
    /// There are [`AGENTS`].
    Agents,
    /// There are [`NAMES`].
    Names,
}

/// The human agents of a node, and who waits for them.
#[derive(Clone, Debug)]
pub struct Pool {
    /// Times are counted from here.
    start: Instant,
    by_id: BTreeMap<String, usize>,
    agents: Vec<Option<Agent>>,
    columns: Columns,
    callers: HashMap<Ticket, Caller>,
    /// Who waits, the first in line first.
    line: BTreeSet<(Reverse<u8>, Ticket)>,
    seats: BTreeMap<Seat, Kept>,
    /// Waiting callers for whom there is an agent now.
    offers: VecDeque<(Ticket, Seat)>,
    /// When a wrap-up is over, or nobody is set aside any more.
    due: BTreeMap<(Instant, u64), Due>,
    /// Of the next ticket, seat or due.
    next: u64,
}

#[derive(Clone, Debug)]
struct Caller {
    need: Need,
    /// Agents who did not take this caller, each with its number.
    tried: Vec<(usize, u64)>,
    waits: bool,
    since: Instant,
}

#[derive(Clone, Debug)]
struct Kept {
    agent: usize,
    ticket: Ticket,
    wrap_up: Duration,
    set_aside: Duration,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Ringing,
    Talking(Instant),
    WrapUp,
}

#[derive(Clone, Copy, Debug)]
enum Due {
    /// Its wrap-up is over.
    Seat(Seat),
    /// This agent, of this number, is called again.
    Agent(usize, u64),
}

impl Pool {
    /// Without anybody.
    pub fn new(now: Instant) -> Pool {
        Pool {
            start: now,
            by_id: BTreeMap::new(),
            agents: Vec::new(),
            columns: Columns::default(),
            callers: HashMap::new(),
            line: BTreeSet::new(),
            seats: BTreeMap::new(),
            offers: VecDeque::new(),
            due: BTreeMap::new(),
            next: 0,
        }
    }

    /// Takes an agent in, or what is new of one. `queues`: those that may call it. Who says that it is available is set aside no
    /// more.
    ///
    /// # Errors
    /// The pool is full; then all is as it was.
    pub fn put(&mut self, now: Instant, profile: Profile, queues: &[&str]) -> Result<(), Full> {
        let names = profile.names(queues);
        if !self.columns.has_room(names.iter().map(|(name, _)| &**name)) {
            return Err(Full::Names);
        }
        let known = self.by_id.get(&profile.id).copied();
        if known.is_none() && self.by_id.len() >= AGENTS {
            return Err(Full::Agents);
        }
        let slot = known.unwrap_or_else(|| self.slot());
        let number = self.number();
        let idle = self.micros(now);
        let came = profile.presence == Presence::Available;
        match &mut self.agents[slot] {
            Some(agent) => {
                if came {
                    agent.aside = None;
                    if agent.profile.presence != Presence::Available {
                        agent.idle = idle;
                    }
                }
                (agent.profile, agent.gone) = (profile, false);
            }
            empty => {
                self.by_id.insert(profile.id.clone(), slot);
                *empty = Some(Agent::new(profile, number, idle));
            }
        }
        self.columns.describe(slot, &names);
        self.columns.ranked = false;
        self.refresh(slot);
        self.serve(slot);
        Ok(())
    }

    /// Other queues may call an agent than before. Where there is no room for their names, none may.
    pub fn allow(&mut self, id: &str, queues: &[&str]) {
        let Some(slot) = self.by_id.get(id).copied() else {
            return;
        };
        let Some(agent) = &self.agents[slot] else { return };
        let mut names = agent.profile.names(queues);
        if !self.columns.has_room(names.iter().map(|(name, _)| &**name)) {
            names = agent.profile.names(&[]);
        }
        self.columns.describe(slot, &names);
        self.refresh(slot);
        self.serve(slot);
    }

    /// Takes an agent out: it is called no more. Whether it was there.
    pub fn remove(&mut self, id: &str) -> bool {
        let Some(slot) = self.by_id.get(id).copied() else {
            return false;
        };
        let agent = self.agents[slot].as_mut().filter(|agent| !agent.gone);
        let was_there = agent.map(|agent| agent.gone = true).is_some();
        self.refresh(slot);
        self.bury(slot);
        was_there
    }

    /// A caller wants an agent: its place in line is that of this moment.
    pub fn enter(&mut self, now: Instant, need: Need) -> Ticket {
        let ticket = Ticket(self.number());
        let caller = Caller {
            need,
            tried: Vec::new(),
            waits: false,
            since: now,
        };
        self.callers.insert(ticket, caller);
        ticket
    }

    /// An agent for this caller, kept for it; `None`: there is none, and it waits.
    pub fn call(&mut self, now: Instant, ticket: Ticket) -> Option<Seat> {
        // Whoever became free a moment ago is the first one's in line.
        self.handle_timeout(now);
        if let Some(seat) = self.offered(ticket) {
            return Some(seat);
        }
        if self.callers.get(&ticket)?.waits {
            return None;
        }
        match self.choose(ticket) {
            Some(slot) => Some(self.keep(slot, ticket)),
            None => {
                let caller = self.callers.get_mut(&ticket)?;
                caller.waits = true;
                self.line.insert((Reverse(caller.need.priority), ticket));
                None
            }
        }
    }

    /// One more agent for a caller that has one already, kept for it like that one: both are called, and who does not answer first is let
    /// go by [`over`](Pool::over). Nobody is passed over: who is free serves nobody who waits.
    pub fn another(&mut self, ticket: Ticket) -> Option<Seat> {
        let has = self.seats.values().any(|kept| kept.ticket == ticket);
        let slot = self.choose(ticket).filter(|_| has)?;
        Some(self.keep(slot, ticket))
    }

    /// The next waiting caller for whom there is an agent now, kept for it.
    pub fn poll_offer(&mut self) -> Option<(Ticket, Seat)> {
        self.offers.pop_front()
    }

    /// The caller does not want an agent any more. Who was kept for it and has not answered is free.
    pub fn leave(&mut self, now: Instant, ticket: Ticket) {
        if let Some(seat) = self.offered(ticket) {
            self.release(now, seat);
        }
        if let Some(caller) = self.callers.remove(&ticket) {
            self.line.remove(&(Reverse(caller.need.priority), ticket));
        }
    }

    /// The agent has taken the call.
    pub fn answered(&mut self, now: Instant, seat: Seat) {
        if let Some(kept) = self.seats.get_mut(&seat) {
            turn(&mut self.agents[kept.agent], kept, State::Talking(now));
        }
    }

    /// The agent did not take the call: it is not called for this caller again. `absent`: and for a while for nobody, until it says
    /// that it is there.
    pub fn missed(&mut self, now: Instant, seat: Seat, absent: bool) {
        let Some(kept) = self.seats.get(&seat).cloned() else {
            return;
        };
        let Some(agent) = self.agents[kept.agent].as_mut() else {
            return;
        };
        let number = agent.number;
        if absent && !kept.set_aside.is_zero() {
            let until = now + kept.set_aside;
            agent.aside = Some(until);
            let due = (until, self.number());
            self.due.insert(due, Due::Agent(kept.agent, number));
        }
        if let Some(caller) = self.callers.get_mut(&kept.ticket) {
            caller.tried.push((kept.agent, number));
        }
        self.release(now, seat);
    }

    /// The talk, or the call of the agent's phone, is over. After a talk its wrap-up begins.
    pub fn over(&mut self, now: Instant, seat: Seat) {
        let Some(kept) = self.seats.get_mut(&seat) else { return };
        let (slot, wrap_up) = (kept.agent, kept.wrap_up);
        let State::Talking(since) = kept.state else {
            if kept.state == State::Ringing {
                self.release(now, seat);
            }
            return;
        };
        if let Some(agent) = &mut self.agents[slot] {
            agent.figures.handled(now.saturating_duration_since(since) + wrap_up);
        }
        if wrap_up.is_zero() {
            return self.release(now, seat);
        }
        turn(&mut self.agents[slot], kept, State::WrapUp);
        let due = (now + wrap_up, self.number());
        self.due.insert(due, Due::Seat(seat));
        self.refresh(slot);
    }

    /// A caller has said how it was, from 1 to 5.
    pub fn rated(&mut self, id: &str, csat: f32) {
        let slot = self.by_id.get(id).copied();
        if let Some((slot, agent)) = slot.and_then(|slot| Some((slot, self.agents[slot].as_mut()?))) {
            agent.figures.rated(csat);
            self.refresh(slot);
        }
    }

    /// When `handle_timeout` wants to be called next.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.due.keys().next().map(|(at, _)| *at)
    }

    /// Time has passed.
    pub fn handle_timeout(&mut self, now: Instant) {
        while let Some(first) = self.due.first_entry()
            && first.key().0 <= now
        {
            match first.remove() {
                Due::Seat(seat) => self.release(now, seat),
                Due::Agent(slot, number) => {
                    let agent = self.agents.get_mut(slot).and_then(Option::as_mut);
                    let agent = agent.filter(|agent| agent.number == number);
                    if let Some(agent) = agent
                        && agent.aside.is_some_and(|until| until <= now)
                    {
                        agent.aside = None;
                        self.refresh(slot);
                        self.serve(slot);
                    }
                }
            }
        }
    }

    /// The place in line of who waits for the same queue, from 1.
    pub fn place(&self, ticket: Ticket) -> Option<usize> {
        let caller = self.callers.get(&ticket).filter(|caller| caller.waits)?;
        let me = (Reverse(caller.need.priority), ticket);
        let same = |other: &Ticket| {
            self.callers
                .get(other)
                .is_some_and(|other| other.need.queue == caller.need.queue)
        };
        Some(1 + self.line.range(..me).filter(|(_, other)| same(other)).count())
    }

    /// Whether somebody is there, if not free (or busy with something else), who can serve this caller and has not let it down.
    pub fn is_served(&self, ticket: Ticket) -> bool {
        let Some(caller) = self.callers.get(&ticket) else {
            return false;
        };
        let Some(wanted) = self.wanted(&caller.need) else {
            return false;
        };
        self.agents.iter().enumerate().any(|(slot, agent)| {
            let agent = agent.as_ref().filter(|agent| agent.is_at_work());
            agent.is_some_and(|agent| self.columns.fits(slot, &wanted) && !caller.tried.contains(&(slot, agent.number)))
        })
    }

    /// How long who waits will wait, about: its place in line, times how long those who can serve it take for one, over how many
    /// they are. `None` where nobody of them is there, or none has had a call.
    pub fn expected(&self, ticket: Ticket) -> Option<Duration> {
        let place = u32::try_from(self.place(ticket)?).ok()?;
        let wanted = self.wanted(&self.callers.get(&ticket)?.need)?;
        let (mut there, mut times, mut known) = (0_u32, Duration::ZERO, 0_u32);
        for (slot, agent) in self.agents.iter().enumerate() {
            let Some(agent) = agent.as_ref().filter(|agent| agent.is_there()) else {
                continue;
            };
            if !self.columns.fits(slot, &wanted) {
                continue;
            }
            there += u32::from(agent.profile.calls);
            if let Some(handle) = agent.figures.handle() {
                times += handle;
                known += 1;
            }
        }
        Some(times.checked_div(known)? * place / there.max(1))
    }

    /// How many wait for this queue, and since when the one who waits longest.
    pub fn waiting(&self, queue: &str) -> (usize, Option<Instant>) {
        let of_queue = self
            .callers
            .values()
            .filter(|caller| caller.waits && caller.need.queue == queue);
        let since = of_queue.clone().map(|caller| caller.since).min();
        (of_queue.count(), since)
    }

    /// Who is kept by this seat.
    pub fn who(&self, seat: Seat) -> Option<&Profile> {
        let kept = self.seats.get(&seat)?;
        self.agents[kept.agent].as_ref().map(|agent| &agent.profile)
    }

    /// All agents, by id.
    pub fn agents(&self, now: Instant) -> impl Iterator<Item = View<'_>> {
        self.agents_after(now, "")
    }

    /// Those whose ids come after this one.
    pub fn agents_after(&self, now: Instant, id: &str) -> impl Iterator<Item = View<'_>> {
        let after = (Bound::Excluded(id), Bound::Unbounded);
        let slots = self.by_id.range::<str, _>(after);
        slots.filter_map(move |(_, slot)| self.view(now, *slot))
    }

    /// What each agent does that may be called for this queue.
    pub fn doings(&self, queue: &str) -> impl Iterator<Item = Doing> {
        let agents = self.columns.having(agent::queue(queue));
        let there = agents.filter_map(|slot| self.agents[slot].as_ref().filter(|agent| !agent.gone));
        there.map(Agent::doing)
    }

    /// The one with this id.
    pub fn agent(&self, now: Instant, id: &str) -> Option<View<'_>> {
        self.view(now, *self.by_id.get(id)?)
    }

    /// Callers with a ticket, and agents who are kept: none once every call has ended and every wrap-up is over.
    pub fn alive(&self) -> (usize, usize) {
        (self.callers.len(), self.seats.len())
    }

    fn view(&self, now: Instant, slot: usize) -> Option<View<'_>> {
        let agent = self.agents[slot].as_ref().filter(|agent| !agent.gone)?;
        let doing = agent.doing();
        let idle = (doing == Doing::Present(Presence::Available))
            .then(|| now.saturating_duration_since(self.start + Duration::from_micros(agent.idle)));
        Some(View {
            profile: &agent.profile,
            doing,
            idle,
            set_aside: agent.aside.map(|until| until.saturating_duration_since(now)),
            handle: agent.figures.handle(),
            csat: agent.figures.csat(),
        })
    }

    /// The agent for this caller, of those that are free.
    fn choose(&mut self, ticket: Ticket) -> Option<usize> {
        if !self.columns.ranked {
            self.columns.rank(self.by_id.values().copied());
        }
        let caller = self.callers.get(&ticket)?;
        let wanted = self.wanted(&caller.need)?;
        let is_there =
            |(slot, number): &&(usize, u64)| self.agents[*slot].as_ref().is_some_and(|agent| agent.number == *number);
        let tried = caller.tried.iter().filter(is_there).map(|(slot, _)| *slot);
        // Who takes more calls than one is not called twice for the same.
        let called = self.seats.values().filter(|kept| kept.ticket == ticket);
        let not: Vec<_> = tried.chain(called.map(|kept| kept.agent)).collect();
        self.columns.best(&wanted, caller.need.strategy, &not)
    }

    /// What is needed, as columns; `None`: nobody has such a thing.
    fn wanted(&self, need: &Need) -> Option<Wanted> {
        let skills = need.skills.iter().map(|(name, level)| (agent::skill(name), *level));
        self.columns.wanted(agent::queue(&need.queue), skills)
    }

    /// This one may be free: whoever is first in line and can be served by it is offered it.
    fn serve(&mut self, slot: usize) {
        while self.columns.is_free(slot) {
            let number = self.agents[slot].as_ref().map_or(0, |agent| agent.number);
            let first = self.line.iter().find(|(_, ticket)| {
                let Some(caller) = self.callers.get(ticket) else {
                    return false;
                };
                let wanted = self.wanted(&caller.need);
                wanted.is_some_and(|wanted| self.columns.fits(slot, &wanted)) && !caller.tried.contains(&(slot, number))
            });
            let Some(&first) = first else { return };
            self.line.remove(&first);
            if let Some(caller) = self.callers.get_mut(&first.1) {
                caller.waits = false;
            }
            let seat = self.keep(slot, first.1);
            self.offers.push_back((first.1, seat));
        }
    }

    fn keep(&mut self, slot: usize, ticket: Ticket) -> Seat {
        let seat = Seat(self.number());
        let need = self.callers.get(&ticket).map(|caller| &caller.need);
        let (wrap_up, set_aside) = need.map(|need| (need.wrap_up, need.set_aside)).unwrap_or_default();
        let kept = Kept {
            agent: slot,
            ticket,
            wrap_up,
            set_aside,
            state: State::Ringing,
        };
        self.seats.insert(seat, kept);
        if let Some(agent) = &mut self.agents[slot] {
            (agent.seats, agent.ringing) = (agent.seats + 1, agent.ringing + 1);
        }
        self.refresh(slot);
        seat
    }

    /// The agent is kept no more.
    fn release(&mut self, now: Instant, seat: Seat) {
        let Some(kept) = self.seats.remove(&seat) else { return };
        let idle = self.micros(now);
        if let Some(agent) = &mut self.agents[kept.agent] {
            agent.seats = agent.seats.saturating_sub(1);
            count(agent, kept.state, |count| count.saturating_sub(1));
            // Whose phone rang in vain has been idle all the time.
            if agent.seats == 0 && kept.state != State::Ringing {
                agent.idle = idle;
            }
        }
        self.refresh(kept.agent);
        self.serve(kept.agent);
        self.bury(kept.agent);
    }

    /// An offer that was not fetched.
    fn offered(&mut self, ticket: Ticket) -> Option<Seat> {
        let place = self.offers.iter().position(|(other, _)| *other == ticket)?;
        self.offers.remove(place).map(|(_, seat)| seat)
    }

    /// What the search sees of an agent.
    fn refresh(&mut self, slot: usize) {
        if let Some(agent) = &self.agents[slot] {
            self.columns.refresh(slot, agent);
        }
    }

    /// Who was taken out, and has no caller any more.
    fn bury(&mut self, slot: usize) {
        if self.agents[slot]
            .as_ref()
            .is_some_and(|agent| agent.gone && agent.seats == 0)
            && let Some(agent) = self.agents[slot].take()
        {
            self.by_id.remove(&agent.profile.id);
            self.columns.clear(slot);
        }
    }

    fn slot(&mut self) -> usize {
        let empty = match self.by_id.len() < self.agents.len() {
            true => self.agents.iter().position(Option::is_none),
            false => None,
        };
        empty.unwrap_or_else(|| {
            self.agents.push(None);
            self.columns.grow(self.agents.len());
            self.agents.len() - 1
        })
    }

    fn number(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    fn micros(&self, at: Instant) -> u64 {
        u64::try_from(at.saturating_duration_since(self.start).as_micros()).unwrap_or(u64::MAX)
    }
}

/// Who is kept does something else for its caller.
fn turn(agent: &mut Option<Agent>, kept: &mut Kept, state: State) {
    if let Some(agent) = agent {
        count(agent, kept.state, |count| count.saturating_sub(1));
        count(agent, state, |count| count + 1);
    }
    kept.state = state;
}

fn count(agent: &mut Agent, state: State, of: fn(u8) -> u8) {
    match state {
        State::Ringing => agent.ringing = of(agent.ringing),
        State::Talking(_) => agent.talking = of(agent.talking),
        State::WrapUp => {}
    }
}

#[cfg(test)]
mod tests;
