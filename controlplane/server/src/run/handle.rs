//! The loop, from the side of whoever wants something of it.

use std::os::fd::OwnedFd;
use std::sync::Arc;

use calls::config::Peers;
use calls::load::WorkerLoad;
use calls::node::{Alive, Moves};
use calls::notice::StandingLeg;
use calls::refusal::Refusals;
use calls::request::{AgentView, QueueView, Request, RequestError, Response};
use playbook::routing::Profile;
use tokio::sync::{mpsc, oneshot, watch};

use crate::metrics::turns::Turns;
use crate::sibling::Side;
use crate::sibling::link::Link;
use crate::sibling::wire::Word;
use crate::store::Key;

/// Human agents that are told of in one turn.
const PAGE: usize = 500;

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

    /// All human agents, page by page: calls have their turn in between.
    pub(crate) async fn agents(&self) -> Result<Vec<AgentView>, Stopped> {
        let mut all: Vec<AgentView> = Vec::new();
        loop {
            let after = all.last().map_or_else(String::new, |agent| agent.profile.id.clone());
            let answer = self.request(Request::Agents { after, most: PAGE }).await?;
            let Ok(Response::Agents(page)) = answer else {
                return Ok(all);
            };
            let more = page.len() == PAGE;
            all.extend(page);
            if !more {
                return Ok(all);
            }
        }
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

#[cfg(test)]
impl NodeHandle {
    /// Behind which there is no node, but this.
    pub(crate) fn standing_in(
        mut answers: impl FnMut(Request) -> Result<Response, RequestError> + Send + 'static,
        queues: Vec<QueueView>,
    ) -> NodeHandle {
        let (sender, mut asks) = mpsc::channel(1);
        tokio::spawn(async move {
            while let Some(ask) = asks.recv().await {
                match ask {
                    Ask::Request(request, _, reply) => _ = reply.send(answers(request)),
                    Ask::Queues(reply) => _ = reply.send(queues.clone()),
                    _ => unreachable!("nobody asks that"),
                }
            }
        });
        let (_, side) = watch::channel(Side::Alone);
        NodeHandle {
            asks: sender,
            turns: Arc::new(Turns::new(std::time::Instant::now())),
            side,
        }
    }
}

#[cfg(test)]
mod tests {
    use playbook::routing::Presence;

    use super::*;

    fn view(n: usize) -> AgentView {
        AgentView {
            profile: Profile {
                id: format!("agent-{n:04}"),
                name: String::new(),
                uri: "sip:anna@192.0.2.1".to_owned(),
                skills: Default::default(),
                languages: Default::default(),
                presence: Presence::Offline,
                calls: 1,
                order: 0,
            },
            queues: Vec::new(),
            state: "offline",
            idle_s: None,
            set_aside_s: None,
            handle_s: None,
            csat: None,
        }
    }

    #[tokio::test]
    async fn all_agents_are_told_page_by_page_and_each_once() {
        let (asks, mut asked) = mpsc::channel(1);
        let node = NodeHandle {
            asks,
            turns: Arc::new(Turns::new(std::time::Instant::now())),
            side: watch::channel(Side::Alone).1,
        };
        let all: Vec<_> = (0..2 * PAGE + 1).map(view).collect();
        let known = all.clone();
        let turns = tokio::spawn(async move {
            let mut turns = 0;
            while let Some(Ask::Request(Request::Agents { after, most }, _, reply)) = asked.recv().await {
                assert!(most <= 500, "{most} in one turn");
                let page = known.iter().filter(|agent| agent.profile.id > after).take(most);
                let _ = reply.send(Ok(Response::Agents(page.cloned().collect())));
                turns += 1;
            }
            turns
        });
        assert_eq!(node.agents().await, Ok(all));
        drop(node);
        assert_eq!(turns.await.ok(), Some(3));
    }
}
