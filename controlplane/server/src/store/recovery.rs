//! What runs of servers left open that have died: their handoffs are closed, their calls are over, and their events are told.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use calls::notice::StandingLeg;
use jiff::Timestamp;
use serde_json::{Value, json};
use tokio::sync::watch;

use super::database::{Open, Place};
use super::life::{self, LifeError};
use super::write::{CallRow, HandoffRow, Write};
use super::{Store, legs};
use crate::event::Teller;
use crate::ids::rfc3339;
use crate::journal::{Journal, lock};
use crate::run::{NodeHandle, Stopped};
use crate::sibling::Side;

/// Why a handoff did not join, in its record.
pub(crate) const NODE_RESTARTED: &str = "node_restarted";

/// What was closed in the name of a run that has died.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Closed {
    pub(crate) calls: usize,
    pub(crate) handoffs: usize,
    /// That it had not told.
    pub(crate) events: u64,
}

/// How often it is looked whether another server has died; and how soon after the start, and after the other version has gone:
/// PostgreSQL may not have noticed yet that a connection is gone.
const SWEEP: Duration = Duration::from_secs(30);
const SOON: Duration = Duration::from_secs(2);

/// BYEs that are sent at once, and the pause after them.
const BYES: usize = 100;
const PACE: Duration = Duration::from_millis(100);

/// Who closes what the dead left.
#[derive(Clone, Debug)]
pub(crate) struct Recovery {
    store: Store,
    place: Place,
    teller: Teller,
    /// Where our own SIP is; and whether the other version of this server is there, too.
    sip: SocketAddr,
    side: watch::Receiver<Side>,
}

impl Recovery {
    pub(crate) fn new(
        store: Store,
        place: Place,
        teller: Teller,
        sip: SocketAddr,
        side: watch::Receiver<Side>,
    ) -> Recovery {
        Recovery {
            store,
            place,
            teller,
            sip,
            side,
        }
    }

    /// Closes what the dead left until now; also, which legs of theirs may still be up. Two servers that do so at one time do not
    /// do it twice.
    pub(crate) async fn run(&self) -> Result<(Closed, Vec<StandingLeg>), LifeError> {
        let others = self.store.read().others(self.store.instance()).await?;
        let (mut closed, mut legs) = (Closed::default(), Vec::new());
        for (other, sip) in others {
            match self.take_over(&other, &sip).await {
                Ok(None) => {}
                Ok(Some((some, some_legs))) => {
                    closed.calls += some.calls;
                    closed.handoffs += some.handoffs;
                    closed.events += some.events;
                    legs.extend(some_legs);
                }
                Err(error) if closed == Closed::default() => return Err(error),
                Err(error) => {
                    // What was closed before is ours now, and must not be forgotten.
                    tracing::error!(%error, "what another server left cannot be looked for");
                    break;
                }
            }
        }
        if closed != Closed::default() {
            self.store.write(Write::Nothing);
        }
        Ok((closed, legs))
    }

    /// Closes what one other left, where it is dead.
    async fn take_over(&self, other: &str, sip: &str) -> Result<Option<(Closed, Vec<StandingLeg>)>, LifeError> {
        let (database, instance) = (self.store.read(), self.store.instance());
        let Some(dead) = life::is_dead(&self.place, other).await? else {
            return Ok(None);
        };
        // A lock in PostgreSQL goes with its connection, which may break while its holder has calls.
        if matches!(self.place, Place::Postgres(_)) && self.is_reached(sip).await {
            tracing::warn!(instance = other, %sip, "a server has lost its connection to the store, and lives: nothing is taken over");
            return Ok(None);
        }
        let open = database.open_of(other).await?;
        let mut waiting = Vec::new();
        let endpoints = self.teller.endpoints();
        for endpoint in &*endpoints {
            waiting.push(database.waiting(other, &endpoint.name).await?);
        }
        tracing::warn!(
            instance = other,
            calls = open.calls.len(),
            handoffs = open.handoffs.len(),
            "a server has ended; what it left is taken over"
        );
        let writes = close(&open, &self.teller, Timestamp::now());
        database.inherit(other, instance, &writes).await?;
        dead.bury().await;
        for (endpoint, waiting) in endpoints.iter().zip(&waiting) {
            endpoint.counters.waiting.fetch_add(*waiting, Ordering::Relaxed);
        }
        let closed = Closed {
            calls: open.calls.len(),
            handoffs: open.handoffs.len(),
            events: waiting.iter().sum(),
        };
        let legs = open.calls.iter().flat_map(|(call, _)| legs_of(call));
        Ok(Some((closed, legs.collect())))
    }

    /// Whether the server whose SIP is there is alive. Who has our own address is the other version of us, for as long as its link says
    /// so: whatever answers there, we may be it.
    async fn is_reached(&self, sip: &str) -> bool {
        match sip.parse() {
            Ok(sip) if sip == self.sip => *self.side.borrow() != Side::Alone,
            Ok(sip) => life::answers(sip).await,
            Err(_) => false,
        }
    }

    /// Ends what the first look has found, and goes on looking: sooner where the other version has gone, for if it died, its callers hear
    /// nothing any more.
    pub(crate) async fn repeat(mut self, first: (Closed, Vec<StandingLeg>), node: NodeHandle, journal: Arc<Journal>) {
        let (mut found, mut pause) = (first, SOON);
        loop {
            let (closed, legs) = found;
            lock(&journal.metrics).took_over(&closed);
            if end(&node, &journal, legs).await.is_err() {
                return;
            }
            found = loop {
                tokio::select! {
                    () = tokio::time::sleep(pause) => pause = SWEEP,
                    changed = self.side.changed() => match changed {
                        Ok(()) => {
                            pause = SOON;
                            continue;
                        }
                        Err(_) => return,
                    },
                }
                match self.run().await {
                    Ok(found) => break found,
                    Err(error) => tracing::error!(%error, "what other servers left cannot be looked for"),
                }
            };
        }
    }
}

/// Sends BYE to legs that nobody has any more, so many at a time that neither we nor a trunk chokes on them.
async fn end(node: &NodeHandle, journal: &Journal, legs: Vec<StandingLeg>) -> Result<(), Stopped> {
    let count = legs.len();
    let mut sent = 0_u64;
    for some in legs.chunks(BYES) {
        for leg in some {
            if node.end_foreign(leg.clone()).await? {
                lock(&journal.metrics).ended_foreign();
                sent += 1;
            }
        }
        tokio::time::sleep(PACE).await;
    }
    if count > 0 {
        tracing::warn!(sent, "BYE to the legs that a server which has ended had left");
    }
    Ok(())
}

fn legs_of(call: &CallRow) -> Vec<StandingLeg> {
    let body: Value = serde_json::from_str(&call.body).unwrap_or_default();
    legs::read(&body["legs"])
}

/// What is written for all of it.
fn close(open: &Open, teller: &Teller, now: Timestamp) -> Vec<Write> {
    let mut writes = Vec::new();
    for (handoff, last) in &open.handoffs {
        let mut body: Value = serde_json::from_str(&handoff.body).unwrap_or_else(|_| json!({ "id": handoff.id }));
        body["state"] = "failed".into();
        body["result"] = "failed".into();
        body["reason"] = NODE_RESTARTED.into();
        body["closed_at"] = rfc3339(now).into();
        writes.push(Write::Handoff(HandoffRow {
            closed_ms: Some(now.as_millisecond()),
            body: body.to_string(),
            ..handoff.clone()
        }));
        if let Value::Object(map) = &mut body {
            map.remove("context");
            map.remove("context_delivery");
        }
        writes.push(Write::Event(teller.event(
            "baton.handoff.failed",
            &handoff.id,
            &handoff.agent,
            last + 1,
            now,
            &body,
        )));
    }
    for (call, last) in &open.calls {
        let data = json!({ "schema": "baton.call/1", "id": call.id, "by": NODE_RESTARTED });
        let known: Value = serde_json::from_str(&call.body).unwrap_or_default();
        writes.push(Write::Event(teller.event(
            "baton.call.ended",
            &call.id,
            known["ai_agent"].as_str().unwrap_or_default(),
            last + 1,
            now,
            &data,
        )));
        writes.push(Write::CallOver(call.id.clone()));
    }
    writes
}
