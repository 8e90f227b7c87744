//! A running server reads its file anew: what can change does so for the next call, and what cannot is named.

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::sync::{mpsc, oneshot, watch};

use crate::agents::Agents;
use crate::callbacks;
use crate::config::{Config, Difference, Problem};
use crate::event::Teller;
use crate::http;
use crate::library::{Ids, Library, Uploads};
use crate::machine;
use crate::prompts::Prompt;
use crate::router;
use crate::run::NodeHandle;
use crate::server::{Times, peers};
use crate::store::Store;
use crate::store::prompts::PromptRow;
use crate::uploads::{self, Refused, Upload, Wish};
use crate::webhook::Clients;
use crate::webhook::couriers::Couriers;

/// Reloads that may wait for the one that is being done.
const WAITING: usize = 8;

/// Why nothing has changed.
#[derive(Clone, Debug, thiserror::Error)]
pub enum ReloadError {
    /// There is no file.
    #[error("the server was started without a file: there is nothing to be read anew")]
    NoFile,
    /// The file has mistakes: all of them, in its order.
    #[error("the file has {} mistakes: nothing has changed", .0.len())]
    Problems(Vec<Problem>),
    /// Prompts stay in memory as long as a call may play them.
    #[error(
        "there is no room for the prompt {0} beside those that were loaded before: nothing has changed; a restart or a take-over makes room"
    )]
    NoRoom(String),
    /// The server is stopping.
    #[error("the server is stopping")]
    Stopping,
}

/// What has become of the keys that differ from what the server goes by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reloaded {
    /// They count from now on.
    pub changed: Vec<String>,
    /// They do not, and why.
    pub needs_restart: Vec<(String, &'static str)>,
}

type Answer = oneshot::Sender<Result<Reloaded, ReloadError>>;

/// What is asked for.
#[derive(Debug)]
pub(crate) enum Asked {
    /// That the file be read anew.
    Reload(Answer),
    /// Another prompt.
    Prompt(Wish),
}

/// Who asks for reloads.
#[derive(Clone, Debug)]
pub(crate) struct Reloads(mpsc::Sender<Asked>);

impl Reloads {
    /// Who asks, and who answers by [`Reload::run`].
    pub(crate) fn new() -> (Reloads, mpsc::Receiver<Asked>) {
        let (sender, receiver) = mpsc::channel(WAITING);
        (Reloads(sender), receiver)
    }

    /// Reads the file anew.
    pub(crate) async fn ask(&self) -> Result<Reloaded, ReloadError> {
        let (answer, answered) = oneshot::channel();
        let asked = self.0.send(Asked::Reload(answer)).await;
        asked.map_err(|_| ReloadError::Stopping)?;
        answered.await.map_err(|_| ReloadError::Stopping)?
    }

    /// Keeps a prompt, and has it played by what begins from now on.
    pub(crate) async fn put(&self, upload: Upload) -> Result<(), Refused> {
        let upload = Box::new(upload);
        self.wish(|answer| Wish::Put(upload, answer)).await
    }

    /// Forgets one that the configuration does not name.
    pub(crate) async fn delete(&self, name: String) -> Result<(), Refused> {
        self.wish(|answer| Wish::Delete(name, answer)).await
    }

    async fn wish(&self, wish: impl FnOnce(oneshot::Sender<Result<(), Refused>>) -> Wish) -> Result<(), Refused> {
        let (answer, answered) = oneshot::channel();
        let asked = self.0.send(Asked::Prompt(wish(answer))).await;
        asked.map_err(|_| Refused::Stopping)?;
        answered.await.map_err(|_| Refused::Stopping)?
    }
}

/// What a reload changes.
#[derive(Debug)]
pub(crate) struct Reload {
    /// What the server goes by.
    pub(crate) config: Config,
    pub(crate) http: SocketAddr,
    /// Where the answering machine is.
    pub(crate) machine: SocketAddr,
    pub(crate) machines: watch::Sender<Arc<machine::Settings>>,
    pub(crate) callbacks: watch::Sender<Arc<callbacks::Settings>>,
    pub(crate) routes: watch::Sender<router::Settings>,
    pub(crate) clients: Clients,
    pub(crate) node: NodeHandle,
    pub(crate) library: Library,
    pub(crate) uploads: Uploads,
    pub(crate) agents: Arc<Agents>,
    pub(crate) store: Store,
    pub(crate) times: watch::Sender<Times>,
    pub(crate) couriers: Couriers,
    pub(crate) teller: Teller,
    pub(crate) api: watch::Sender<Arc<http::Settings>>,
}

impl Reload {
    /// Does one after the other, until `on` says that there are no more. Who tells events may still have some.
    pub(crate) async fn run(mut self, mut asked: mpsc::Receiver<Asked>, mut on: watch::Receiver<bool>) -> Couriers {
        loop {
            let asked = tokio::select! {
                _ = on.wait_for(|on| !on) => return self.couriers,
                asked = asked.recv() => asked,
            };
            let answer = match asked {
                Some(Asked::Reload(answer)) => answer,
                Some(Asked::Prompt(wish)) => {
                    self.prompt(wish).await;
                    continue;
                }
                None => return self.couriers,
            };
            let outcome = self.reload().await;
            match &outcome {
                Ok(done) => {
                    let keys: Vec<_> = done.needs_restart.iter().map(|(key, _)| key.as_str()).collect();
                    tracing::info!(changed = ?done.changed, needs_restart = ?keys, "the configuration was read anew");
                }
                Err(ReloadError::Problems(problems)) => {
                    for problem in problems {
                        tracing::error!(%problem, "the configuration has a mistake");
                    }
                    tracing::error!("the configuration was not taken: nothing has changed");
                }
                Err(error) => tracing::error!(%error, "the configuration was not taken"),
            }
            // Whoever asked may have gone: it is done all the same.
            let _ = answer.send(outcome);
        }
    }

    async fn reload(&mut self) -> Result<Reloaded, ReloadError> {
        let file = self.config.file.clone().ok_or(ReloadError::NoFile)?;
        let read = tokio::task::spawn_blocking(move || Config::from_file(&file)).await;
        let new = read
            .map_err(|_| ReloadError::Stopping)?
            .map_err(ReloadError::Problems)?;
        let Difference {
            mut changed,
            mut needs_restart,
        } = Difference::of(&self.config, &new);
        let config = self.config.reloaded(new);
        // New prompts are coded: of a minute that takes half a second, in which calls go on.
        let uploads = match uploads::load(&config, self.store.read()).await {
            Ok(uploads) => uploads,
            Err(error) => {
                tracing::error!(%error, "the uploaded prompts cannot be read anew: what was there stays");
                self.uploads.clone()
            }
        };
        let (library, ids) = self.code(&config, &uploads).await?;
        (self.library, self.uploads) = (library, uploads);
        // From here on nothing fails.
        if config.node.log != self.config.node.log
            && let Err(why) = crate::serve::set_log(&config.node.log)
        {
            changed.retain(|key| key != "node.log");
            needs_restart.push(("node.log".to_owned(), why));
        }
        self.times.send_replace(Times::of(&config));
        self.api.send_replace(http::Settings::of(&config));
        self.machines.send_replace(machine::Settings::of(&config));
        self.callbacks.send_replace(callbacks::Settings::of(&config));
        self.routes
            .send_replace(router::Settings::of(config.router.as_ref(), &self.clients));
        self.couriers.set(&config.webhooks, &self.teller).await;
        self.node.reload(peers(&config, self.http, self.machine, ids)).await;
        self.agents.refresh().await;
        self.config = config;
        Ok(Reloaded { changed, needs_restart })
    }

    async fn code(&self, config: &Config, uploads: &Uploads) -> Result<(Library, Ids), ReloadError> {
        let (mut library, config, uploads) = (self.library.clone(), config.clone(), uploads.clone());
        let coded = tokio::task::spawn_blocking(move || library.ids(&config, &uploads).map(|ids| (library, ids)));
        coded
            .await
            .map_err(|_| ReloadError::Stopping)?
            .map_err(ReloadError::NoRoom)
    }

    async fn prompt(&mut self, wish: Wish) {
        match wish {
            Wish::Put(upload, answer) => {
                let Upload { row, wav, prompt } = *upload;
                let (name, sha256) = (row.name.clone(), row.sha256.clone());
                let outcome = self.put(row, &wav, prompt).await;
                match &outcome {
                    Ok(()) => tracing::info!(name, sha256, "a prompt was uploaded"),
                    Err(error) => tracing::error!(name, sha256, %error, "an uploaded prompt was not taken"),
                }
                // Whoever asked may have gone: it is done all the same.
                let _ = answer.send(outcome);
            }
            Wish::Delete(name, answer) => {
                let outcome = self.delete(&name).await;
                if outcome.is_ok() {
                    tracing::info!(name, "an uploaded prompt was deleted");
                }
                let _ = answer.send(outcome);
            }
        }
    }

    /// What cannot fail comes last: a prompt that is in the store is played.
    async fn put(&mut self, row: PromptRow, wav: &[u8], prompt: Prompt) -> Result<(), Refused> {
        let mut uploads = self.uploads.clone();
        let coded = match self.config.uploads().contains_key(&row.name) {
            false => None,
            true => {
                uploads.insert(row.name.clone(), prompt);
                let coded = self.code(&self.config, &uploads).await;
                Some(coded.map_err(|error| match error {
                    ReloadError::NoRoom(_) => Refused::NoRoom,
                    _ => Refused::Stopping,
                })?)
            }
        };
        let written = self.store.read().put_prompt(&row, wav, self.config.store.commit).await;
        written.map_err(|error| {
            tracing::error!(%error, "the store did not take a prompt");
            Refused::Store
        })?;
        if let Some((library, ids)) = coded {
            (self.library, self.uploads) = (library, uploads);
            self.node
                .reload(peers(&self.config, self.http, self.machine, ids))
                .await;
        }
        Ok(())
    }

    async fn delete(&mut self, name: &str) -> Result<(), Refused> {
        if let Some(keys) = self.config.uploads().remove(name) {
            return Err(Refused::Used(keys));
        }
        let deleted = self.store.read().delete_prompt(name, self.config.store.commit).await;
        let deleted = deleted.map_err(|error| {
            tracing::error!(%error, "the store did not let a prompt go");
            Refused::Store
        })?;
        if deleted { Ok(()) } else { Err(Refused::Unknown) }
    }
}
