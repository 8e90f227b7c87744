//! The task that writes.

use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use sqlx::{AnyConnection, Connection as _};
use tokio::time::{sleep, timeout};

use super::database::{Database, may_pass};
use super::prune::Pruned;
use super::put::put_all;
use super::queue::{Batch, Queue};
use super::write::Write;

/// The pause after the first commit that failed; doubled each time up to the longest.
const RETRY: Duration = Duration::from_millis(50);
const RETRY_MAX: Duration = Duration::from_secs(2);

/// A commit that takes longer is trouble, and is said to be.
const SLOW: Duration = Duration::from_secs(2);

/// One that then still does not come back is given up with its connection, and tried again on another.
const STUCK: Duration = Duration::from_secs(30);

/// Writes what is queued, on a connection of its own.
pub(super) struct Writer {
    queue: Arc<Queue>,
    database: Database,
    instance: String,
    connection: Option<AnyConnection>,
}

impl Writer {
    pub(super) fn new(queue: Arc<Queue>, database: Database, instance: String) -> Writer {
        Writer {
            queue,
            database,
            instance,
            connection: None,
        }
    }

    /// Until the queue is closed and empty.
    pub(super) async fn run(mut self) {
        while let Some(batch) = self.queue.take().await {
            self.write(&batch).await;
        }
        if let Some(connection) = self.connection.take() {
            // All is on the disk already.
            let _ = connection.close().await;
        }
        self.database.close().await;
    }

    async fn write(&mut self, batch: &Batch) {
        let began = Instant::now();
        let pruned = match self.insist(&batch.writes).await {
            Ok(pruned) => pruned,
            Err(error) => {
                // A bug of ours. Of what was to be written with it, nothing else shall be lost.
                tracing::error!(%error, "the store refuses a write; each is tried alone");
                self.one_by_one(&batch.writes).await
            }
        };
        self.queue.done(batch, began.elapsed(), pruned);
    }

    async fn one_by_one(&mut self, writes: &[Write]) -> Pruned {
        let mut pruned = Pruned::default();
        for write in writes {
            match self.insist(std::slice::from_ref(write)).await {
                Ok(more) => pruned.add(more),
                Err(error) => {
                    let (what, id) = write.about();
                    tracing::error!(%error, what, id, "a write is given up");
                    self.queue.give_up(write);
                }
            }
        }
        pruned
    }

    /// Commits, however long the database is away.
    ///
    /// # Errors
    /// Where it will never take it.
    async fn insist(&mut self, writes: &[Write]) -> Result<Pruned, sqlx::Error> {
        let mut pause = RETRY;
        loop {
            match self.attempt(writes).await {
                Err(error) if may_pass(&error) => {
                    self.queue.failed(&error.to_string());
                    sleep(pause).await;
                    pause = (pause * 2).min(RETRY_MAX);
                }
                done => return done,
            }
        }
    }

    /// One that hangs is waited for: what it was asked is not undone by asking again. But not for ever.
    async fn attempt(&mut self, writes: &[Write]) -> Result<Pruned, sqlx::Error> {
        let queue = Arc::clone(&self.queue);
        let mut commit = pin!(self.commit(writes));
        match timeout(SLOW, &mut commit).await {
            Ok(done) => done,
            Err(_) => {
                queue.failed("it does not answer");
                timeout(STUCK, commit).await.unwrap_or(Err(sqlx::Error::PoolTimedOut))
            }
        }
    }

    async fn commit(&mut self, writes: &[Write]) -> Result<Pruned, sqlx::Error> {
        // Out of its place: where this fails or is given up, the connection goes, in whatever state it is.
        let mut connection = match self.connection.take() {
            Some(connection) => connection,
            None => self.database.connect().await?,
        };
        let pruned = put_all(&mut connection, &self.instance, writes).await?;
        self.connection = Some(connection);
        Ok(pruned)
    }
}
