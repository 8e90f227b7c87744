//! A running server reads its file anew: what can change does so for the next call, and what cannot is named.

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::sync::{mpsc, oneshot, watch};

use crate::config::{Config, Difference, Problem};
use crate::event::Teller;
use crate::http;
use crate::library::Library;
use crate::run::NodeHandle;
use crate::server::{Times, peers};
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

/// Who asks for reloads.
#[derive(Clone, Debug)]
pub(crate) struct Reloads(mpsc::Sender<Answer>);

impl Reloads {
    /// Who asks, and who answers by [`Reload::run`].
    pub(crate) fn new() -> (Reloads, mpsc::Receiver<Answer>) {
        let (sender, receiver) = mpsc::channel(WAITING);
        (Reloads(sender), receiver)
    }

    /// Reads the file anew.
    pub(crate) async fn ask(&self) -> Result<Reloaded, ReloadError> {
        let (answer, answered) = oneshot::channel();
        self.0.send(answer).await.map_err(|_| ReloadError::Stopping)?;
        answered.await.map_err(|_| ReloadError::Stopping)?
    }
}

/// What a reload changes.
#[derive(Debug)]
pub(crate) struct Reload {
    /// What the server goes by.
    pub(crate) config: Config,
    pub(crate) http: SocketAddr,
    pub(crate) node: NodeHandle,
    pub(crate) library: Library,
    pub(crate) times: watch::Sender<Times>,
    pub(crate) couriers: Couriers,
    pub(crate) teller: Teller,
    pub(crate) api: watch::Sender<Arc<http::Settings>>,
}

impl Reload {
    /// Does one after the other, until `on` says that there are no more. Who tells events may still have some.
    pub(crate) async fn run(mut self, mut asked: mpsc::Receiver<Answer>, mut on: watch::Receiver<bool>) -> Couriers {
        loop {
            let answer = tokio::select! {
                _ = on.wait_for(|on| !on) => return self.couriers,
                answer = asked.recv() => match answer {
                    Some(answer) => answer,
                    None => return self.couriers,
                },
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
        let (mut library, named) = (self.library.clone(), config.clone());
        let coded = tokio::task::spawn_blocking(move || library.ids(&named).map(|ids| (library, ids))).await;
        let (library, ids) = coded.map_err(|_| ReloadError::Stopping)?.map_err(ReloadError::NoRoom)?;
        self.library = library;
        // From here on nothing fails.
        if config.node.log != self.config.node.log
            && let Err(why) = crate::serve::set_log(&config.node.log)
        {
            changed.retain(|key| key != "node.log");
            needs_restart.push(("node.log".to_owned(), why));
        }
        self.times.send_replace(Times::of(&config));
        self.api.send_replace(http::Settings::of(&config));
        self.couriers.set(&config.webhooks, &self.teller).await;
        self.node.reload(peers(&config, self.http, ids)).await;
        self.config = config;
        Ok(Reloaded { changed, needs_restart })
    }
}
