//! What waits to be written: bounded, in order, and whoever queues never waits.

use std::collections::{HashMap, VecDeque};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use tokio::sync::{Notify, watch};

use super::prune::Pruned;
use super::write::Write;
use crate::journal::lock;

/// Rows of one transaction at the most: a reader of SQLite's log should not wait for long, nor a retry repeat much.
const BATCH: usize = 1000;

/// Bytes that may wait, beside the bound in writes: an event with a long transcript is large.
const BYTES: usize = 256 << 20;

/// The number of the newest write that somebody has queued or committed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Ticket(u64);

/// How the store does.
#[derive(Clone, Debug, Default)]
pub(crate) struct Condition {
    /// Writes that are not on the disk yet.
    pub(crate) waiting: usize,
    /// Writes that were given up since the start, for want of room or because the database will never take them.
    pub(crate) given_up: u64,
    /// Transactions since the start, and how long all of them took.
    pub(crate) commits: u64,
    pub(crate) committing: Duration,
    /// What was kept long enough and went, since the start.
    pub(crate) pruned: Pruned,
    /// Since when the database takes nothing, and what it says.
    pub(crate) trouble: Option<(Duration, String)>,
}

/// What one transaction writes.
pub(super) struct Batch {
    pub(super) writes: Vec<Write>,
    until: Ticket,
}

#[derive(Debug)]
pub(super) struct Queue {
    state: Mutex<State>,
    most: usize,
    wake: Notify,
    committed: watch::Sender<Ticket>,
}

/// What may be given up where there is no room, and what not. Each lane is in order, and all are written in order.
#[derive(Clone, Copy, Debug)]
enum Lane {
    /// What is to be told, and what came of it.
    Told,
    /// What was said in calls.
    Said,
    /// What there is: no more than calls and handoffs, of each the newest form.
    Kept,
}

#[derive(Debug, Default)]
struct State {
    lanes: [VecDeque<Entry>; 3],
    /// Of what has forms only the newest one is kept, at the place of the first.
    newest: HashMap<Subject, Write>,
    bytes: usize,
    /// Writes that are being written.
    taken: usize,
    last: Ticket,
    /// The newest that was given up for want of room.
    lost: Option<Ticket>,
    /// How many since the queue was last empty.
    losing: u64,
    closed: bool,
    given_up: u64,
    commits: u64,
    committing: Duration,
    pruned: Pruned,
    trouble: Option<(Instant, String)>,
}

#[derive(Debug)]
enum Entry {
    Newest(Subject, Ticket),
    Each(Write, Ticket),
}

/// What has forms of which the newest says all.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Subject {
    Call(String),
    Context(String),
    Handoff(String),
}

impl Queue {
    pub(super) fn new(most: usize) -> Queue {
        Queue {
            state: Mutex::default(),
            most,
            wake: Notify::new(),
            committed: watch::Sender::new(Ticket(0)),
        }
    }

    pub(super) fn push(&self, write: Write) {
        let mut state = lock(&self.state);
        state.push(write);
        state.trim(self.most);
        drop(state);
        self.wake.notify_one();
    }

    pub(super) fn ticket(&self) -> Ticket {
        lock(&self.state).last
    }

    /// The next batch; `None` once the queue is closed and empty.
    pub(super) async fn take(&self) -> Option<Batch> {
        loop {
            {
                let mut state = lock(&self.state);
                if state.len() > 0 {
                    return Some(state.take());
                }
                if state.closed {
                    return None;
                }
            }
            self.wake.notified().await;
        }
    }

    pub(super) fn done(&self, batch: &Batch, took: Duration, pruned: Pruned) {
        let mut state = lock(&self.state);
        state.commits += 1;
        state.taken = 0;
        state.committing += took;
        state.pruned.add(pruned);
        if let Some((since, _)) = state.trouble.take() {
            tracing::info!(after = ?since.elapsed(), waiting = state.len(), "the store takes writes again");
        }
        if state.losing > 0 && state.len() == 0 {
            tracing::error!(
                count = state.losing,
                "the store is up to date but for what was given up"
            );
            state.losing = 0;
        }
        drop(state);
        self.committed.send_replace(batch.until);
    }

    /// Said once, however often it is tried again.
    pub(super) fn failed(&self, why: &str) {
        let mut state = lock(&self.state);
        match &mut state.trouble {
            Some((_, text)) => why.clone_into(text),
            None => {
                tracing::error!(
                    error = why,
                    "the store takes no writes; calls go on, and what happens is kept until it does"
                );
                state.trouble = Some((Instant::now(), why.to_owned()));
            }
        }
    }

    pub(super) fn give_up(&self, write: &Write) {
        write.give_up();
        lock(&self.state).given_up += 1;
    }

    /// Whether it is there: what was given up with it, or after it, may have been it.
    pub(super) async fn committed(&self, ticket: Ticket) -> bool {
        // The sender is ours and lives as long as we do.
        let _ = self
            .committed
            .subscribe()
            .wait_for(|committed| *committed >= ticket)
            .await;
        lock(&self.state).lost.is_none_or(|lost| lost < ticket)
    }

    pub(super) fn last_commit(&self) -> Ticket {
        *self.committed.borrow()
    }

    pub(super) async fn next_commit(&self, seen: Ticket) -> Ticket {
        let mut committed = self.committed.subscribe();
        match committed.wait_for(|committed| *committed > seen).await {
            Ok(ticket) => *ticket,
            Err(_) => seen,
        }
    }

    pub(super) fn condition(&self) -> Condition {
        let state = lock(&self.state);
        Condition {
            waiting: state.len() + state.taken,
            given_up: state.given_up,
            commits: state.commits,
            committing: state.committing,
            pruned: state.pruned,
            trouble: state
                .trouble
                .as_ref()
                .map(|(since, why)| (since.elapsed(), why.clone())),
        }
    }

    pub(super) fn close(&self) {
        lock(&self.state).closed = true;
        self.wake.notify_one();
    }
}

impl State {
    fn len(&self) -> usize {
        self.lanes.iter().map(VecDeque::len).sum()
    }

    fn push(&mut self, mut write: Write) {
        self.last.0 += 1;
        if let Write::Handoff(row) = &mut write {
            row.queued.get_or_insert_with(Instant::now);
        }
        let lane = lane(&write) as usize;
        let entry = match subject(&write) {
            None => {
                self.bytes += size(&write);
                Some(Entry::Each(write, self.last))
            }
            Some(subject) => self
                .renew(subject.clone(), write)
                .then_some(Entry::Newest(subject, self.last)),
        };
        self.lanes[lane].extend(entry);
    }

    /// Whether it is the first form that waits.
    fn renew(&mut self, subject: Subject, mut write: Write) -> bool {
        let older = self.newest.remove(&subject);
        if let (Write::Handoff(row), Some(Write::Handoff(older))) = (&mut write, &older) {
            row.queued = older.queued;
            row.key = row.key.take().or_else(|| older.key.clone());
        }
        self.bytes += size(&write);
        self.bytes -= older.as_ref().map_or(0, size);
        self.newest.insert(subject, write);
        older.is_none()
    }

    /// Where there is no room the oldest goes, and what is still going on never.
    fn trim(&mut self, most: usize) {
        while self.len() > most || self.bytes > BYTES {
            let Some(entry) = self.oldest() else { return };
            let (Entry::Newest(_, ticket) | Entry::Each(_, ticket)) = entry;
            self.lost = self.lost.max(Some(ticket));
            if let Some(write) = self.write_of(entry) {
                write.give_up();
            }
            self.given_up += 1;
            self.losing += 1;
            if self.losing == 1 {
                tracing::error!(most, "the store's queue is full: its oldest events are given up");
            }
        }
    }

    /// The first that may be given up.
    fn oldest(&mut self) -> Option<Entry> {
        // Of the two that grow with time the longer one: neither takes all the room.
        let [told, said, _] = &mut self.lanes;
        let longer = if said.len() > told.len() { said } else { told };
        if let Some(entry) = longer.pop_front() {
            return Some(entry);
        }
        let newest = &self.newest;
        let is_over = |entry: &Entry| match entry {
            Entry::Each(..) => true,
            Entry::Newest(subject, _) => match newest.get(subject) {
                Some(Write::Handoff(row)) => row.closed_ms.is_some(),
                Some(Write::Call(_)) => false,
                _ => true,
            },
        };
        let kept = &mut self.lanes[Lane::Kept as usize];
        let at = kept.iter().position(is_over)?;
        kept.remove(at)
    }

    fn write_of(&mut self, entry: Entry) -> Option<Write> {
        let write = match entry {
            Entry::Newest(subject, _) => self.newest.remove(&subject),
            Entry::Each(write, _) => Some(write),
        };
        self.bytes -= write.as_ref().map_or(0, size);
        write
    }

    fn take(&mut self) -> Batch {
        let mut writes = Vec::new();
        let mut rows = 0;
        let until = loop {
            match self.first() {
                None => break self.last,
                Some((_, Ticket(next))) if rows >= BATCH => break Ticket(next - 1),
                Some((lane, _)) => {
                    let write = self.lanes[lane].pop_front().and_then(|entry| self.write_of(entry));
                    rows += write.as_ref().map_or(0, rows_of);
                    writes.extend(write);
                }
            }
        };
        self.taken = writes.len();
        Batch { writes, until }
    }

    /// The lane of the first one of all, and its ticket.
    fn first(&self) -> Option<(usize, Ticket)> {
        let ticket = |entry: &Entry| match entry {
            Entry::Newest(_, ticket) | Entry::Each(_, ticket) => *ticket,
        };
        let firsts = self.lanes.iter().enumerate();
        firsts
            .filter_map(|(lane, entries)| Some((lane, ticket(entries.front()?))))
            .min_by_key(|(_, ticket)| *ticket)
    }
}

fn lane(write: &Write) -> Lane {
    match write {
        Write::Call(_) | Write::CallOver(_) | Write::Handoff(_) => Lane::Kept,
        Write::Turns(_) | Write::Context(_) => Lane::Said,
        _ => Lane::Told,
    }
}

fn subject(write: &Write) -> Option<Subject> {
    match write {
        Write::Call(row) => Some(Subject::Call(row.id.clone())),
        Write::CallOver(id) => Some(Subject::Call(id.clone())),
        Write::Context(row) => Some(Subject::Context(row.call.clone())),
        Write::Handoff(row) => Some(Subject::Handoff(row.id.clone())),
        _ => None,
    }
}

fn rows_of(write: &Write) -> usize {
    match write {
        Write::Turns(row) => row.bodies.len(),
        Write::Prune(prune) => prune.most as usize,
        _ => 1,
    }
}

/// Bytes that it holds, about.
fn size(write: &Write) -> usize {
    const ROW: usize = 256;
    ROW + match write {
        Write::Call(row) => row.body.len(),
        Write::Turns(row) => row.bodies.iter().map(|body| ROW + body.len()).sum(),
        Write::Context(row) => row.body.len(),
        Write::Handoff(row) => row.body.len(),
        Write::Event(row) => row.body.len(),
        Write::Attempt(row) => row.answer.len(),
        _ => 0,
    }
}

#[cfg(test)]
mod tests;
