//! Prompts that come by the API: kept in the store, and played where the configuration names them.

use std::sync::Arc;

use tokio::sync::oneshot;

use crate::config::Config;
use crate::library::Uploads;
use crate::prompts::{self, Prompt};
use crate::store::Database;
use crate::store::prompts::PromptRow;

/// A prompt that somebody has sent, read and checked.
#[derive(Debug)]
pub(crate) struct Upload {
    pub(crate) row: PromptRow,
    pub(crate) wav: Arc<[u8]>,
    pub(crate) prompt: Prompt,
}

/// Why an upload, or its end, is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refused {
    /// Prompts stay in memory as long as a call may play them.
    #[error(
        "there is no room for it beside the prompts that were loaded before: nothing has changed; a restart or a take-over makes room"
    )]
    NoRoom,
    /// These keys want it.
    #[error("the configuration names it: {}", .0.join(", "))]
    Used(Vec<String>),
    /// There is none of this name.
    #[error("there is no such prompt")]
    Unknown,
    /// The store does not take it.
    #[error("the store does not answer: what was asked for may be done all the same, from the next start on")]
    Store,
    /// The server is stopping.
    #[error("the server is stopping")]
    Stopping,
}

/// What is wanted, and who waits for it.
#[derive(Debug)]
pub(crate) enum Wish {
    Put(Box<Upload>, oneshot::Sender<Result<(), Refused>>),
    Delete(String, oneshot::Sender<Result<(), Refused>>),
}

/// What the configuration names, as the store has it. What is not there is said.
///
/// # Errors
/// Where the store cannot be read.
pub(crate) async fn load(config: &Config, database: &Database) -> Result<Uploads, sqlx::Error> {
    let mut uploads = Uploads::new();
    for (name, keys) in config.uploads() {
        let Some(wav) = database.prompt(&name).await? else {
            tracing::warn!(
                name,
                ?keys,
                "this prompt has not been uploaded yet: what comes with the program is played, a number is left out"
            );
            continue;
        };
        let read = tokio::task::spawn_blocking({
            let name = name.clone();
            move || prompts::uploaded(&name, &wav)
        });
        match read.await {
            Ok(Ok(prompt)) => {
                uploads.insert(name, prompt);
            }
            Ok(Err(why)) => tracing::error!(name, why, "an uploaded prompt cannot be read"),
            Err(_) => {}
        }
    }
    Ok(uploads)
}
