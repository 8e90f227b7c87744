//! The task that writes.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::database::{Database, may_pass};
use super::queue::Queue;
use super::write::Write;

/// The pause after the first commit that failed; doubled each time up to the longest.
const RETRY: Duration = Duration::from_millis(50);
const RETRY_MAX: Duration = Duration::from_secs(2);

/// Writes what is queued, as long as there is a queue.
pub(super) async fn write_all(queue: Arc<Queue>, database: Database, instance: String) {
    let mut pause = RETRY;
    while let Some(batch) = queue.take().await {
        loop {
            let began = Instant::now();
            match database.commit(&instance, &batch.writes).await {
                Ok(()) => {
                    queue.done(&batch, began.elapsed());
                    pause = RETRY;
                    break;
                }
                Err(error) if may_pass(&error) => {
                    queue.failed(Instant::now(), &error.to_string());
                    tokio::time::sleep(pause).await;
                    pause = (pause * 2).min(RETRY_MAX);
                }
                Err(error) => {
                    // A bug of ours. Of what was to be written with it, nothing else shall be lost.
                    tracing::error!(%error, "the store refuses a write; each is tried alone");
                    one_by_one(&queue, &database, &instance, &batch.writes).await;
                    queue.done(&batch, began.elapsed());
                    break;
                }
            }
        }
    }
    database.close().await;
}

async fn one_by_one(queue: &Queue, database: &Database, instance: &str, writes: &[Write]) {
    let mut pause = RETRY;
    for write in writes {
        while let Err(error) = database.commit(instance, std::slice::from_ref(write)).await {
            if !may_pass(&error) {
                tracing::error!(%error, ?write, "a write is given up");
                queue.give_up(1);
                break;
            }
            queue.failed(Instant::now(), &error.to_string());
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(RETRY_MAX);
        }
    }
}
