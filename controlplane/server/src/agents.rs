//! Human agents: the store keeps them, and the node goes by them.

use std::time::Duration;

use calls::request::{AgentView, Request, RequestError, Response};
use playbook::routing::{Presence, Profile};
use tokio::sync::Mutex;

use crate::run::{NodeHandle, Stopped};
use crate::store::Store;

/// What is known of them, and who changes it.
#[derive(Debug)]
pub(crate) struct Agents {
    pub(crate) node: NodeHandle,
    store: Store,
    /// One change at a time: what the node has last is what the store has.
    changing: Mutex<()>,
}

/// What is said of an agent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Said {
    /// Its presence counts only for one that is new.
    pub(crate) profile: Profile,
    /// `None`: as it was.
    pub(crate) presence: Option<Presence>,
}

/// Why nothing has changed.
#[derive(Debug)]
pub(crate) enum Failed {
    /// The node does not take it.
    Refused(RequestError),
    /// The store does not.
    Store,
    /// The server is stopping.
    Stopping,
}

impl From<Stopped> for Failed {
    fn from(_: Stopped) -> Failed {
        Failed::Stopping
    }
}

impl From<RequestError> for Failed {
    fn from(error: RequestError) -> Failed {
        Failed::Refused(error)
    }
}

impl Agents {
    pub(crate) fn new(node: NodeHandle, store: Store) -> Agents {
        Agents {
            node,
            store,
            changing: Mutex::default(),
        }
    }

    /// A human agent, new or changed; on the disk when this returns, or nothing has changed. The database may be busy for `most`.
    pub(crate) async fn put(&self, said: Said, by: &str, most: Duration) -> Result<AgentView, Failed> {
        let _changing = self.changing.lock().await;
        let Said { mut profile, presence } = said;
        let before = self.profile(&profile.id).await?;
        let is_new = before.is_none();
        let was = before.as_ref().map_or(profile.presence, |before| before.presence);
        profile.presence = presence.unwrap_or(was);
        let back = match before {
            Some(before) => Request::PutAgent(before),
            None => Request::RemoveAgent(profile.id.clone()),
        };
        let view = self.change(Request::PutAgent(profile), back, most).await?;
        let Profile { id, uri, presence, .. } = &view.profile;
        let presence = presence.name();
        tracing::info!(agent = id, by, uri, presence, is_new, "a human agent was put");
        Ok(view)
    }

    /// It is there, or it is not.
    pub(crate) async fn present(
        &self,
        id: &str,
        presence: Presence,
        by: &str,
        most: Duration,
    ) -> Result<AgentView, Failed> {
        let _changing = self.changing.lock().await;
        let before = self.profile(id).await?.ok_or(RequestError::NoAgent)?;
        let to = |presence| Request::Presence(id.to_owned(), presence);
        let view = self.change(to(presence), to(before.presence), most).await?;
        tracing::info!(
            agent = id,
            by,
            presence = presence.name(),
            "a human agent says whether it is there"
        );
        Ok(view)
    }

    /// It is a human agent no more.
    pub(crate) async fn remove(&self, id: &str, by: &str, most: Duration) -> Result<(), Failed> {
        let _changing = self.changing.lock().await;
        self.profile(id).await?.ok_or(RequestError::NoAgent)?;
        let deleted = self.store.read().delete_agent(id, most).await;
        deleted.map_err(|error| not_kept(id, &error))?;
        self.node.request(Request::RemoveAgent(id.to_owned())).await??;
        tracing::info!(agent = id, by, "a human agent was removed");
        Ok(())
    }

    /// Goes by the store anew: another server may have written to it.
    pub(crate) async fn refresh(&self) {
        let _changing = self.changing.lock().await;
        match self.store.read().agents().await {
            Ok(agents) => self.node.know_agents(agents).await,
            Err(error) => tracing::error!(%error, "human agents cannot be read: those that were known stay"),
        }
    }

    async fn profile(&self, id: &str) -> Result<Option<Profile>, Failed> {
        match self.node.request(Request::Agent(id.to_owned())).await? {
            Ok(Response::Agent(view)) => Ok(Some(view.profile)),
            Ok(_) => Ok(None),
            Err(RequestError::NoAgent) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// The node says whether it can be, so it comes first; what the store does not take is taken back.
    async fn change(&self, change: Request, back: Request, most: Duration) -> Result<AgentView, Failed> {
        let Response::Agent(view) = self.node.request(change).await?? else {
            return Err(RequestError::NoAgent.into());
        };
        if let Err(error) = self.store.read().put_agent(&view.profile, most).await {
            let _ = self.node.request(back).await?;
            return Err(not_kept(&view.profile.id, &error));
        }
        Ok(*view)
    }
}

fn not_kept(agent: &str, error: &sqlx::Error) -> Failed {
    tracing::error!(agent, %error, "the store did not take what was said of a human agent");
    Failed::Store
}
