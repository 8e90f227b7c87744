//! Callers who are called back where nobody is there: a slot is promised in which there is room, and at its time Baton calls.
//!
//! Who promises is the machine that a caller is joined to where nobody else is there (a target with `callback = true`), or the AI
//! ([`Callbacks::promise`], by the API). A promise is on the disk before anybody is told of it; that no slot is promised twice is
//! the store's business (`store/callbacks.rs`), which slot it is is decided in `playbook::slots`, and who calls is in `caller.rs`.
//!
//! Only the number that a caller called from is called, by the trunk that the call came by: there is no way to have Baton call another
//! one.

mod caller;
mod counters;
mod end;
mod settings;

use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};
use std::time::{Duration, SystemTime};

use calls::notice::{CallId, HandoffId};
use calls::request::{Request, Response};
use jiff::Timestamp;
use playbook::caller::{self as shown, number};
use playbook::context::Context;
use serde_json::Value;
use tokio::runtime::Handle;
use tokio::sync::watch;

use self::end::{over, replaced};
use crate::ids;
use crate::journal::{Journal, lock};
use crate::records::package_value;
use crate::run::{NodeHandle, Stopped};
use crate::store::EventRow;
use crate::store::callbacks::{CallbackRow, CallbackState, Taken};
pub(crate) use caller::{Caller, Joined, Told};
pub(crate) use counters::{CAUSES, Counted, Counters, RESULTS};
pub(crate) use end::{SCHEMA, view};
pub(crate) use settings::Settings;

/// A promise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Booked {
    /// `cb_` and 16 hex digits.
    pub(crate) id: String,
    /// The caller is called from here …
    pub(crate) from: Timestamp,
    /// … until here, which is not in it any more.
    pub(crate) until: Timestamp,
    /// The IANA time zone on whose clock it lies: that of those who are to have the caller.
    pub(crate) zone: String,
}

/// Why nothing is promised.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NoSlot {
    #[error("the caller has shown no number that could be called")]
    NoNumber,
    #[error("the trunk that the call came by has no way out")]
    NoTrunk,
    #[error("no slot has room")]
    Full,
    #[error("there is no such live call")]
    NoCall,
    #[error("no target that is a human has this name")]
    NoTarget,
    #[error("it waits no more, or there is none")]
    Over,
    #[error("the store does not answer")]
    Store,
    #[error("the server is stopping")]
    Stopping,
}

impl From<Stopped> for NoSlot {
    fn from(_: Stopped) -> NoSlot {
        NoSlot::Stopping
    }
}

/// What is to be promised.
#[derive(Clone, Debug)]
pub(crate) struct Wish {
    pub(crate) call: CallId,
    pub(crate) handoff: Option<HandoffId>,
    /// The machine that promises it, by its name.
    pub(crate) machine: Option<String>,
    /// Who is to have the caller, by its name; `None`: as it is configured.
    pub(crate) target: Option<String>,
    pub(crate) reason: String,
    pub(crate) not_before: Option<Timestamp>,
}

/// Who promises. It may be asked from any runtime.
#[derive(Clone, Debug)]
pub(crate) struct Callbacks {
    inner: Arc<Inner>,
    /// The store is of this runtime: what is asked from elsewhere is done there, to its end.
    runtime: Handle,
}

#[derive(Debug)]
struct Inner {
    settings: watch::Receiver<Arc<Settings>>,
    node: NodeHandle,
    journal: Arc<Journal>,
}

/// One that does not keep the node alive, as whoever the node tells of what happens must not.
#[derive(Clone, Debug)]
pub(crate) struct WeakCallbacks(Weak<Inner>, Handle);

impl WeakCallbacks {
    /// `None`: the server is stopping.
    pub(crate) fn upgrade(&self) -> Option<Callbacks> {
        let inner = self.0.upgrade()?;
        let runtime = self.1.clone();
        Some(Callbacks { inner, runtime })
    }
}

impl Callbacks {
    /// To be called in the runtime of the store.
    pub(crate) fn new(settings: watch::Receiver<Arc<Settings>>, node: NodeHandle, journal: Arc<Journal>) -> Callbacks {
        Callbacks {
            inner: Arc::new(Inner {
                settings,
                node,
                journal,
            }),
            runtime: Handle::current(),
        }
    }

    pub(crate) fn downgrade(&self) -> WeakCallbacks {
        WeakCallbacks(Arc::downgrade(&self.inner), self.runtime.clone())
    }

    /// Promises the caller of a running handoff the first slot that is free, by the machine of this name. The slot is the caller's from
    /// now on, also where nothing more is said of it: whoever is cut off in the middle of the sentence is called all the same. Who has
    /// an open one of the same number gets that one again.
    ///
    /// Takes as long as the store, `store.commit_ms` at the most. On an error nothing is promised: the INVITE is refused with 480.
    pub(crate) async fn book(&self, call: CallId, handoff: HandoffId, machine: &str) -> Result<Booked, NoSlot> {
        let why = lock(&self.inner.journal.records)
            .get(handoff)
            .map(|record| record.why().to_owned());
        let wish = Wish {
            call,
            handoff: Some(handoff),
            machine: Some(machine.to_owned()),
            target: None,
            reason: why.unwrap_or_default(),
            not_before: None,
        };
        let inner = Arc::clone(&self.inner);
        self.here(async move { inner.book(wish).await }).await
    }

    /// The same without a machine: the AI has agreed on it with the caller, who is told by nobody else.
    pub(crate) async fn promise(&self, wish: Wish) -> Result<Booked, NoSlot> {
        let (inner, handoff, call) = (Arc::clone(&self.inner), wish.handoff, wish.call);
        self.here(async move {
            let booked = inner.book(wish).await?;
            inner.confirm(&booked.id).await?;
            inner.journal.callback_scheduled(call, handoff, &booked);
            Ok(booked)
        })
        .await
    }

    /// The caller wants a later one: the next slot that is free after that which it has. On an error it keeps that.
    pub(crate) async fn later(&self, id: &str) -> Result<Booked, NoSlot> {
        let (inner, id) = (Arc::clone(&self.inner), id.to_owned());
        self.here(async move { inner.later(&id).await }).await
    }

    /// The caller of this handoff has said yes: webhooks and the handoff's record are told. One who says nothing and hangs up is called all
    /// the same; whether that counts as a yes is for whoever asked to say.
    pub(crate) async fn confirmed(&self, call: CallId, handoff: HandoffId, booked: Booked) -> Result<(), NoSlot> {
        let inner = Arc::clone(&self.inner);
        self.here(async move {
            inner.confirm(&booked.id).await?;
            inner.journal.callback_scheduled(call, Some(handoff), &booked);
            Ok(())
        })
        .await
    }

    /// The caller wants none, or whoever may say so for it: it is cancelled, and its slot is free again. Not one whose caller is being
    /// called already.
    pub(crate) async fn decline(&self, id: &str) -> Result<(), NoSlot> {
        let (inner, id) = (Arc::clone(&self.inner), id.to_owned());
        self.here(async move { inner.cancel(&id).await }).await
    }

    /// In our own runtime, to its end, whoever waits for it.
    async fn here<T: Send + 'static>(
        &self,
        work: impl Future<Output = Result<T, NoSlot>> + Send + 'static,
    ) -> Result<T, NoSlot> {
        self.runtime.spawn(work).await.unwrap_or(Err(NoSlot::Stopping))
    }
}

impl Inner {
    async fn book(&self, wish: Wish) -> Result<Booked, NoSlot> {
        let booked = self.take(wish).await;
        let counters = &self.journal.callbacks;
        match &booked {
            Ok(booked) => tracing::info!(callback = booked.id, from = %booked.from, "a callback is promised"),
            Err(why) => {
                counters.refused.fetch_add(1, Ordering::Relaxed);
                tracing::warn!(%why, "no callback is promised");
            }
        }
        booked
    }

    async fn take(&self, wish: Wish) -> Result<Booked, NoSlot> {
        let settings = Arc::clone(&self.settings.borrow());
        let facts = lock(&self.journal.records).call_mut(wish.call).cloned();
        let facts = facts.ok_or(NoSlot::NoCall)?;
        let number = number(&facts.caller).ok_or(NoSlot::NoNumber)?;
        if !settings.calls_out(&facts.trunk, &facts.caller) {
            return Err(NoSlot::NoTrunk);
        }
        let target = wish.target.or_else(|| settings.rules.target.clone());
        if target.as_ref().is_some_and(|target| !settings.is_human(target)) {
            return Err(NoSlot::NoTarget);
        }
        let humans = match &target {
            Some(target) => vec![target.clone()],
            None => settings.names_of(&self.humans(wish.call).await?),
        };
        let machine = wish.machine.unwrap_or_default();
        let plan = self.plan(&settings, &machine, &humans).await?;
        let now = Timestamp::now();
        let not_before = wish.not_before.unwrap_or(now).into();
        let row = CallbackRow {
            id: ids::callback(ids::random_seed().map_err(|_| NoSlot::Store)?),
            call: ids::call(wish.call),
            handoff: wish.handoff.map(ids::handoff).unwrap_or_default(),
            agent: facts.ai_agent,
            trunk: facts.trunk,
            context: self
                .context(wish.call, wish.handoff, &facts.caller, settings.commit)
                .await?,
            caller: facts.caller,
            number,
            machine,
            target: target.unwrap_or_default(),
            humans,
            reason: wish.reason,
            zone: plan.hours.zone().to_owned(),
            from_ms: 0,
            until_ms: 0,
            state: CallbackState::Scheduled.name().to_owned(),
            confirmed_ms: None,
            attempts: 0,
            due_ms: 0,
            calls: Value::Array(Vec::new()),
            cause: None,
            late_ms: 0,
            booked_ms: now.as_millisecond(),
            closed_ms: None,
        };
        let choose = |taken: &[Taken]| plan.choose(now.into(), not_before, &row.humans, taken);
        let booked = self
            .journal
            .store
            .read()
            .book_callback(&row, settings.shared(), settings.commit, choose)
            .await;
        let row = booked.map_err(|error| unkept(&error))?.ok_or(NoSlot::Full)?;
        self.replace(&row).await;
        booked_of(&row)
    }

    /// Older promises to this caller, of which the time is over, are of no use now. Where the store does not say, they are kept as well.
    async fn replace(&self, new: &CallbackRow) {
        let shared = self.settings.borrow().shared();
        let older = self.journal.store.read().callbacks_of(&new.number).await;
        let is_older =
            |old: &CallbackRow| old.id != new.id && old.until_ms <= new.booked_ms && old.is_for_the_same(new, shared);
        for old in older.unwrap_or_default().into_iter().filter(is_older) {
            let attempted = replaced(&old, new.booked_ms);
            if let Err(unwritten) = self.end(old, CallbackState::Scheduled, attempted).await {
                unwritten.attempted.event.iter().for_each(EventRow::give_up);
            }
        }
    }

    async fn later(&self, id: &str) -> Result<Booked, NoSlot> {
        let settings = Arc::clone(&self.settings.borrow());
        let store = self.journal.store.read();
        let row = store.callback(id).await.map_err(|error| unkept(&error))?;
        let row = row.filter(|row| row.closed_ms.is_none()).ok_or(NoSlot::Over)?;
        let plan = self.plan(&settings, &row.machine, &row.humans).await?;
        let now = Timestamp::now();
        let choose =
            |row: &CallbackRow, taken: &[Taken]| plan.choose(now.into(), time(row.until_ms), &row.humans, taken);
        let moved = store.move_callback(id, now.as_millisecond(), settings.commit, choose);
        let row = moved.await.map_err(|error| unkept(&error))?.ok_or(NoSlot::Full)?;
        booked_of(&row)
    }

    async fn confirm(&self, id: &str) -> Result<(), NoSlot> {
        let most = self.settings.borrow().commit;
        let now_ms = Timestamp::now().as_millisecond();
        let confirmed = self.journal.store.read().confirm_callback(id, now_ms, most).await;
        match confirmed.map_err(|error| unkept(&error))? {
            true => Ok(()),
            false => Err(NoSlot::Over),
        }
    }

    async fn cancel(&self, id: &str) -> Result<(), NoSlot> {
        let (most, store) = (self.settings.borrow().commit, &self.journal.store);
        let now_ms = Timestamp::now().as_millisecond();
        let row = store.read().callback(id).await.map_err(|error| unkept(&error))?;
        let event = row
            .ok_or(NoSlot::Over)
            .map(|row| self.ended(&row, &over(&row, CallbackState::Cancelled, now_ms, None)))?;
        let told = event.as_ref().map(|event| (event, store.instance()));
        let done = store.read().cancel_callback(id, now_ms, most, told).await;
        if !matches!(done, Ok(true)) {
            event.iter().for_each(EventRow::give_up);
        }
        match done.map_err(|error| unkept(&error))? {
            true => {
                self.journal.callbacks.ended(CallbackState::Cancelled, None);
                self.tell(event.is_some());
                tracing::info!(callback = id, "a callback is cancelled");
                Ok(())
            }
            false => Err(NoSlot::Over),
        }
    }

    /// Whom the caller of this call would have, as the node says it; nobody where the call is over.
    async fn humans(&self, call: CallId) -> Result<Vec<String>, NoSlot> {
        Ok(match self.node.request(Request::Humans(call)).await? {
            Ok(Response::Humans(humans)) => humans,
            Ok(_) | Err(_) => Vec::new(),
        })
    }

    /// Who could be there, as the node knows it now.
    async fn plan(&self, settings: &Settings, machine: &str, humans: &[String]) -> Result<settings::Plan, NoSlot> {
        let agents = self.node.agents().await?;
        settings.plan(machine, humans, &agents).ok_or(NoSlot::NoTarget)
    }

    /// What a human will get to know: of a handoff what its record has, else what is known of the call.
    async fn context(
        &self,
        call: CallId,
        handoff: Option<HandoffId>,
        caller: &str,
        most: Duration,
    ) -> Result<String, NoSlot> {
        let known = handoff.and_then(|id| lock(&self.journal.records).get(id)?.context().map(package_value));
        if let Some(known) = known {
            return Ok(known.to_string());
        }
        let store = &self.journal.store;
        store.committed(store.ticket(), most).await.map_err(|_| NoSlot::Store)?;
        let id = ids::call(call);
        let members = store.read().context(&id).await.map_err(|error| unkept(&error))?;
        let turns = store
            .read()
            .transcript(&id, i64::MAX)
            .await
            .map_err(|error| unkept(&error))?;
        let mut context = Context::new();
        // We wrote them: what was taken once is taken again.
        if let Some(members) = members.and_then(|text| serde_json::from_str(&text).ok()) {
            let _ = context.merge(&members);
        }
        let _ = context.append(serde_json::from_value(Value::Array(turns)).unwrap_or_default());
        Ok(package_value(&context.package(&shown::Caller::new(caller), &[])).to_string())
    }
}

fn unkept(error: &sqlx::Error) -> NoSlot {
    tracing::error!(%error, "the store did not take what was said of a callback");
    NoSlot::Store
}

fn time(ms: i64) -> SystemTime {
    Timestamp::from_millisecond(ms).unwrap_or_default().into()
}

fn booked_of(row: &CallbackRow) -> Result<Booked, NoSlot> {
    let at = |ms| Timestamp::from_millisecond(ms).map_err(|_| NoSlot::Store);
    Ok(Booked {
        id: row.id.clone(),
        from: at(row.from_ms)?,
        until: at(row.until_ms)?,
        zone: row.zone.clone(),
    })
}
