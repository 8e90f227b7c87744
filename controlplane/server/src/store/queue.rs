//! What waits to be written: bounded, in order, and whoever queues never waits.

use std::collections::{HashMap, VecDeque};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use tokio::sync::{Notify, watch};

use super::write::{HandoffRow, Write};
use crate::journal::lock;

/// Writes of one transaction at the most: a reader of SQLite's log should not wait for long, nor a retry repeat much.
const BATCH: usize = 1000;

/// The number of the newest write that somebody has queued or committed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Ticket(u64);

/// How the store does.
#[derive(Clone, Debug, Default)]
pub(crate) struct Condition {
    /// Writes that wait.
    pub(crate) waiting: usize,
    /// Writes that were given up since the start, for want of room or because the database will never take them.
    pub(crate) given_up: u64,
    /// Transactions since the start, and how long all of them took.
    pub(crate) commits: u64,
    pub(crate) committing: Duration,
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

#[derive(Debug, Default)]
struct State {
    writes: VecDeque<Entry>,
    /// Of each handoff that waits only the newest form is kept, at the place of the first.
    handoffs: HashMap<String, HandoffRow>,
    last: Ticket,
    closed: bool,
    given_up: u64,
    commits: u64,
    committing: Duration,
    trouble: Option<(Instant, String)>,
}

#[derive(Debug)]
enum Entry {
    Handoff(String, Ticket),
    Other(Write, Ticket),
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
        state.last.0 += 1;
        let ticket = state.last;
        match write {
            Write::Handoff(row) => {
                let id = row.id.clone();
                if state.handoffs.insert(id.clone(), row).is_none() {
                    state.writes.push_back(Entry::Handoff(id, ticket));
                }
            }
            write => state.writes.push_back(Entry::Other(write, ticket)),
        }
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
                if !state.writes.is_empty() {
                    return Some(state.take());
                }
                if state.closed {
                    return None;
                }
            }
            self.wake.notified().await;
        }
    }

    pub(super) fn done(&self, batch: &Batch, took: Duration) {
        let mut state = lock(&self.state);
        state.commits += 1;
        state.committing += took;
        if let Some((since, _)) = state.trouble.take() {
            tracing::info!(after = ?since.elapsed(), "the store takes writes again");
        }
        drop(state);
        self.committed.send_replace(batch.until);
    }

    pub(super) fn failed(&self, now: Instant, why: &str) {
        let mut state = lock(&self.state);
        match &mut state.trouble {
            Some((_, text)) => why.clone_into(text),
            None => {
                tracing::error!(
                    error = why,
                    "the store takes no writes; calls go on, and what happens is kept until it does"
                );
                state.trouble = Some((now, why.to_owned()));
            }
        }
    }

    pub(super) fn give_up(&self, count: u64) {
        lock(&self.state).given_up += count;
    }

    pub(super) async fn committed(&self, ticket: Ticket) {
        // The sender is ours and lives as long as we do.
        let _ = self
            .committed
            .subscribe()
            .wait_for(|committed| *committed >= ticket)
            .await;
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

    pub(super) fn condition(&self, now: Instant) -> Condition {
        let state = lock(&self.state);
        Condition {
            waiting: state.writes.len(),
            given_up: state.given_up,
            commits: state.commits,
            committing: state.committing,
            trouble: state
                .trouble
                .as_ref()
                .map(|(since, why)| (now.saturating_duration_since(*since), why.clone())),
        }
    }

    pub(super) fn close(&self) {
        lock(&self.state).closed = true;
        self.wake.notify_one();
    }
}

impl State {
    /// Where there is no room, the oldest that is no handoff's record goes: of those there are no more than handoffs.
    fn trim(&mut self, most: usize) {
        while self.writes.len() > most {
            let Some(at) = self.writes.iter().position(|entry| matches!(entry, Entry::Other(..))) else {
                return;
            };
            self.writes.remove(at);
            if self.given_up == 0 {
                tracing::error!(most, "the store's queue is full: its oldest events are given up");
            }
            self.given_up += 1;
        }
    }

    fn take(&mut self) -> Batch {
        let count = self.writes.len().min(BATCH);
        let mut until = self.last;
        if let Some(Entry::Handoff(_, first) | Entry::Other(_, first)) = self.writes.get(count) {
            until = Ticket(first.0 - 1);
        }
        let writes = self
            .writes
            .drain(..count)
            .filter_map(|entry| match entry {
                Entry::Handoff(id, _) => self.handoffs.remove(&id).map(Write::Handoff),
                Entry::Other(write, _) => Some(write),
            })
            .collect();
        Batch { writes, until }
    }
}
