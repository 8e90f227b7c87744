//! What outlives the process: handoff records, what was said in their calls, and the outbox of events that webhooks are still
//! to be told.
//!
//! Whoever has something to write puts it into a queue and never waits; one task takes all that is there and writes it in one
//! transaction. Who must know that it is on the disk (an API's 202, a webhook) waits for the *ticket* of what was queued.
//! While the database is away the queue grows up to its bound, and calls go on; then the oldest events are given up and counted.
//!
//! Nothing here waits for the database for ever: not who reads, not who waits for a commit, not the commit itself.

mod agents;
pub(crate) mod callbacks;
mod callers;
mod database;
mod feed;
pub(crate) mod legs;
mod life;
pub mod measure;
mod period;
pub(crate) mod prompts;
pub(crate) mod prune;
mod put;
mod queue;
pub(crate) mod recovery;
mod write;
mod writer;

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinHandle;

pub(crate) use callers::LOOK_BACK_MS;
pub use database::Place;
pub(crate) use database::{Database, Due, Found, Page};
pub(crate) use feed::{Followed, Told};
pub(crate) use life::Life;
pub(crate) use period::{Period, Stored};
pub(crate) use queue::{Condition, Ticket};
pub(crate) use write::{
    AttemptRow, CallRow, ContextRow, DeliveryId, DeliveryRow, EventRow, HandoffRow, Key, TurnsRow, Waits, Write,
};

use queue::Queue;
use writer::Writer;

/// Where a delivery is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DeliveryStatus {
    /// Waiting, or being tried.
    Pending,
    /// Answered with 2xx.
    Delivered,
    /// Given up after its last attempt: a dead letter, which can be replayed.
    Failed,
}

impl DeliveryStatus {
    pub(crate) fn name(self) -> &'static str {
        match self {
            DeliveryStatus::Pending => "pending",
            DeliveryStatus::Delivered => "delivered",
            DeliveryStatus::Failed => "failed",
        }
    }

    pub(crate) fn named(name: &str) -> Option<DeliveryStatus> {
        use DeliveryStatus::{Delivered, Failed, Pending};
        [Pending, Delivered, Failed]
            .into_iter()
            .find(|status| status.name() == name)
    }
}

/// The store, from the side of whoever writes and reads.
#[derive(Clone, Debug)]
pub(crate) struct Store {
    queue: Arc<Queue>,
    database: Database,
    /// This run of the server.
    instance: Arc<str>,
}

/// What was written is not on the disk yet, and the wait is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Late;

impl Store {
    /// Starts the task that writes; it ends when [`Store::close`] was called and all is written. `most`: writes that may wait.
    pub(crate) fn start(database: Database, instance: String, most: usize) -> (Store, JoinHandle<()>) {
        let queue = Arc::new(Queue::new(most));
        let task = tokio::spawn(Writer::new(Arc::clone(&queue), database.clone(), instance.clone()).run());
        let store = Store {
            queue,
            database,
            instance: instance.into(),
        };
        (store, task)
    }

    /// Queues a write. Never waits.
    pub(crate) fn write(&self, write: Write) {
        self.queue.push(write);
    }

    /// Of all that was queued until now.
    pub(crate) fn ticket(&self) -> Ticket {
        self.queue.ticket()
    }

    /// Waits until what has this ticket is on the disk.
    ///
    /// # Errors
    /// [`Late`] where that takes longer. It will be written, as long as there is room for it in the queue.
    pub(crate) async fn committed(&self, ticket: Ticket, within: Duration) -> Result<(), Late> {
        let waiting = self.queue.committed(ticket);
        match tokio::time::timeout(within, waiting).await {
            Ok(true) => Ok(()),
            Ok(false) | Err(_) => Err(Late),
        }
    }

    /// As [`Store::committed`], however long it takes.
    pub(crate) async fn settled(&self, ticket: Ticket) {
        self.queue.committed(ticket).await;
    }

    /// Of all that is on the disk.
    pub(crate) fn last_commit(&self) -> Ticket {
        self.queue.last_commit()
    }

    /// Waits for the next commit after the one that was seen last.
    pub(crate) async fn next_commit(&self, seen: Ticket) -> Ticket {
        self.queue.next_commit(seen).await
    }

    /// How it does.
    pub(crate) fn condition(&self) -> Condition {
        self.queue.condition()
    }

    /// This run of the server.
    pub(crate) fn instance(&self) -> &str {
        &self.instance
    }

    /// The tables, to read in.
    pub(crate) fn read(&self) -> &Database {
        &self.database
    }

    /// Nothing is written any more: the task ends once it has written what waits.
    pub(crate) fn close(&self) {
        self.queue.close();
    }
}

#[cfg(test)]
pub(crate) mod tests;
