//! The loop, from the side of whoever wants something of it.

use std::os::fd::OwnedFd;
use std::sync::Arc;

use calls::config::Peers;
use calls::load::WorkerLoad;
use calls::node::{Alive, Moves};
use calls::notice::StandingLeg;
use calls::refusal::Refusals;
use calls::request::{QueueView, Request, RequestError, Response};
use playbook::routing::Profile;
use tokio::sync::{mpsc, oneshot, watch};

use crate::metrics::turns::Turns;
use crate::sibling::Side;
use crate::sibling::link::Link;
use crate::sibling::wire::Word;
use crate::store::Key;

/// The node, from the side of whoever wants something of it.
#[derive(Clone, Debug)]
pub(crate) struct NodeHandle {
    pub(super) asks: mpsc::Sender<Ask>,
    /// What the loop says of itself.
    pub(crate) turns: Arc<Turns>,
    pub(super) side: watch::Receiver<Side>,
}

/// What the node holds at a moment.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Holds {
    pub(crate) alive: Alive,
    /// SIP connections over TCP.
    pub(crate) connections: usize,
    /// How busy each worker is.
    pub(crate) loads: Vec<WorkerLoad>,
    /// Callers that were not taken.
    pub(crate) refusals: Refusals,
    pub(crate) moves: Moves,
}

impl Holds {
    /// Whether every worker is as busy as the budget allows: a new call is refused.
    pub(crate) fn is_full(&self) -> bool {
        !self.loads.is_empty() && self.loads.iter().all(|load| load.full)
    }
}

/// The loop has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stopped;

/// What is wanted of the loop.
pub(super) enum Ask {
    Request(Request, Option<Key>, oneshot::Sender<Result<Response, RequestError>>),
    EndForeign(StandingLeg, oneshot::Sender<bool>),
    Holds(oneshot::Sender<Holds>),
    Queues(oneshot::Sender<Vec<QueueView>>),
    KnowAgents(Vec<Profile>, oneshot::Sender<()>),
    Drain,
    HandOver(Box<Link>),
    Tell(Word, Option<OwnedFd>),
    Reload(Box<Peers>),
}

impl NodeHandle {
    /// Asks the node. What follows from the request is in the records before this returns.
    pub(crate) async fn request(&self, request: Request) -> Result<Result<Response, RequestError>, Stopped> {
        self.request_with(request, None).await
    }

    /// The same; the handoff that follows is stored with the key.
    pub(crate) async fn request_with(
        &self,
        request: Request,
        key: Option<Key>,
    ) -> Result<Result<Response, RequestError>, Stopped> {
        let (reply, answer) = oneshot::channel();
        self.asks
            .send(Ask::Request(request, key, reply))
            .await
            .map_err(|_| Stopped)?;
        answer.await.map_err(|_| Stopped)
    }

    /// What the node holds.
    pub(crate) async fn alive(&self) -> Result<Alive, Stopped> {
        self.holds().await.map(|holds| holds.alive)
    }

    /// The same, and what its calls are not counted for.
    pub(crate) async fn holds(&self) -> Result<Holds, Stopped> {
        let (reply, answer) = oneshot::channel();
        self.asks.send(Ask::Holds(reply)).await.map_err(|_| Stopped)?;
        answer.await.map_err(|_| Stopped)
    }

    /// The queues, as they are now.
    pub(crate) async fn queues(&self) -> Result<Vec<QueueView>, Stopped> {
        let (reply, answer) = oneshot::channel();
        self.asks.send(Ask::Queues(reply)).await.map_err(|_| Stopped)?;
        answer.await.map_err(|_| Stopped)
    }

    /// These are the human agents that there are.
    pub(crate) async fn know_agents(&self, agents: Vec<Profile>) {
        let (reply, answer) = oneshot::channel();
        // Where the loop has ended, nobody is called any more.
        if self.asks.send(Ask::KnowAgents(agents, reply)).await.is_ok() {
            let _ = answer.await;
        }
    }

    /// Sends BYE to a leg of a server that is gone; whether there is one to send.
    pub(crate) async fn end_foreign(&self, leg: StandingLeg) -> Result<bool, Stopped> {
        let (reply, answer) = oneshot::channel();
        self.asks.send(Ask::EndForeign(leg, reply)).await.map_err(|_| Stopped)?;
        answer.await.map_err(|_| Stopped)
    }

    /// No new calls from now on.
    pub(crate) async fn drain(&self) {
        // Where the loop has ended, there are none anyway.
        let _ = self.asks.send(Ask::Drain).await;
    }

    /// All that comes from now on is the new version's, behind this link.
    pub(crate) async fn hand_over(&self, link: Link) {
        let _ = self.asks.send(Ask::HandOver(Box::new(link))).await;
    }

    /// Says something to the other version; nothing happens where there is none.
    pub(crate) async fn tell(&self, word: Word, descriptor: Option<OwnedFd>) {
        let _ = self.asks.send(Ask::Tell(word, descriptor)).await;
    }

    /// Other peers, for the calls that come from now on.
    pub(crate) async fn reload(&self, peers: Peers) {
        let _ = self.asks.send(Ask::Reload(Box::new(peers))).await;
    }

    /// Which of two versions we are.
    pub(crate) fn side(&self) -> watch::Receiver<Side> {
        self.side.clone()
    }
}
