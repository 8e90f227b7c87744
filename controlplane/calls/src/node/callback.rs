//! A caller who is called back: by the trunk that it came by, and handed to a human when it answers.
//!
//! Only numbers that have called are called, and only as the trunk's configuration says: whoever may ask for a callback cannot make us call a
//! number of its choice.

use std::sync::Arc;
use std::time::Instant;

use media::command::LegId;
use playbook::context::Context;
use playbook::decisions::{CALLBACK, Decided, PRIORITY_MAX};
use serde_json::json;
use sip::endpoint::Invite;

use crate::call::{Call, Input};
use crate::config::Config;
use crate::handoff::{Choice, Order};
use crate::node::act::{Callee, Uncalled};
use crate::node::users::{Wish, decide, invalid, known};
use crate::node::{Arrival, Live, Node};
use crate::notice::{CallId, Party, Trigger};
use crate::offer;
use crate::ports::NoRoom;
use crate::request::{CallBack, RequestError};

/// A call needs the caller's port and the human's.
const PORTS: usize = 2;

impl Node {
    /// Calls somebody back. What becomes of it is told in notices of that call: its start or `NotReached`.
    pub(super) fn call_back(&mut self, now: Instant, back: Box<CallBack>) -> Result<CallId, RequestError> {
        let config = Arc::clone(&self.config);
        let wrong = |what: String| RequestError::Invalid(what);
        if self.draining {
            return Err(RequestError::WrongState("no new calls are begun".to_owned()));
        }
        let trunk = config.trunks.iter().find(|trunk| trunk.name == back.trunk);
        let trunk = trunk.ok_or_else(|| wrong(format!("there is no trunk {:?}", back.trunk)))?;
        let way = trunk.outbound.as_ref();
        let way = way.ok_or_else(|| wrong(format!("trunk {:?} calls nobody back", back.trunk)))?;
        let to = way.to(&back.caller);
        let to = to.ok_or_else(|| wrong(format!("{:?} has no number that could be called", back.caller)))?;
        if whom(&config, None, &back).is_empty() {
            return Err(wrong("no target is a human".to_owned()));
        }
        let context = Context::restored(&back.context).map_err(invalid)?;

        let worker = self.ports.open(PORTS).map_err(|why| match why {
            NoRoom::Load | NoRoom::Ports => RequestError::NoCapacity,
        })?;
        let Some(taken) = self.ports.take(worker) else {
            self.ports.close(worker, None);
            return Err(RequestError::NoCapacity);
        };
        let id = self.new_call();
        let callee = Callee {
            config: &config,
            call: id,
            id: LegId(0),
            party: Party::Caller,
            name: trunk.name.clone(),
            keys: trunk.dtmf,
            ours: trunk.codecs.clone(),
            caller: None,
        };
        let invite = Invite {
            to,
            from: way.from.clone(),
            next_hop: Some(way.next_hop),
            transport: way.transport,
            headers: vec![(offer::CALL.to_owned(), id.to_string())],
            offer: None,
            credentials: trunk.auth.iter().cloned().collect(),
        };
        let leg = self.dial(now, callee, taken, invite).map_err(|why| {
            self.ports.close(worker, None);
            match why {
                Uncalled::NoWay => wrong("no address of ours leads to the trunk's next hop".to_owned()),
                Uncalled::NoCoders => RequestError::NoCapacity,
            }
        })?;
        let leg = crate::leg::Leg {
            reinvites: trunk.reinvite,
            ..leg
        };
        let arrival = Arrival {
            id,
            worker,
            from: format!("<{}>", back.caller),
            caller: back.caller.clone(),
            verified: None,
            agents: Vec::new(),
            answer: None,
        };
        let (call, actions) = Call::back();
        let mut live = Live::new(now, config, call, leg, arrival);
        live.context = context;
        live.back = Some(back);
        self.carry_out(now, Box::new(live), actions);
        self.refuse_or_not();
        Ok(id)
    }

    /// The caller has answered: who is there, is decided now.
    pub(super) fn called_back(&mut self, now: Instant, live: &mut Live) -> Option<Input> {
        let back = live.back.take()?;
        let mut decided = decide(now, live, &live.context, Some(CALLBACK));
        if decided.at.is_none() {
            // It has waited already.
            decided.manner.priority = PRIORITY_MAX;
        }
        let targets = whom(&live.config, Some(&decided), &back);
        // What the caller of the first call was told was told to nobody in this one, and who has picked up may be another. Where we have no
        // words for it, nobody can tell it now: then that it was, and when, is all that a human can know.
        if live.config.disclosure(decided.at).is_some() {
            let _ = live.context.merge(&json!({ "disclosure": null }));
        }
        let context = live.context.clone();
        let trigger = Trigger {
            rule: CALLBACK.to_owned(),
            because: "the caller was promised a call".to_owned(),
        };
        let wish = Wish {
            mode: None,
            targets,
            why: back.reason,
            open: back.target.is_none(),
        };
        let order = self.new_order(now, live, &context, decided, wish);
        self.registry.open(order.id, live.id);
        live.manner = Arc::clone(&order.manner);
        Some(Input::CallerAnswered(Box::new(Order {
            trigger: Some(trigger),
            back: true,
            // Nobody is there who could talk on, and who has just answered is not sent elsewhere.
            talks_on: false,
            refer: false,
            ..order
        })))
    }

    /// Whom the caller of this call would have if it were called back: who is named for that by the playbook's matrix, else those humans that
    /// its handoff tries, else those of the playbook.
    pub(super) fn humans(&self, now: Instant, id: CallId) -> Result<Vec<String>, RequestError> {
        let live = self.registry.call(id).ok_or(RequestError::NoCall)?;
        let config = &live.config;
        let decided = decide(now, live, &live.context, Some(CALLBACK));
        let named = names_who_calls(config, &decided).then(|| known_of(config, &decided.manner.targets));
        // Of one who was called by a number of its own nobody else there would have the caller.
        let tried = live.call.handoff().map(|handoff| {
            let targets = handoff.targets();
            let own = targets.filter(|choice| choice.uri.is_none() || choice.queued);
            own.cloned().collect()
        });
        let others =
            [&decided.manner.targets, &config.playbook.usual.targets].map(|names| Some(known_of(config, names)));
        let humans = first_humans(config, [named, tried].into_iter().chain(others).flatten());
        Ok(humans.into_iter().map(|choice| choice.name).collect())
    }
}

/// Whom a caller has who is called back: who is wished for, else who is named for callbacks, else whom it was promised, else as the playbook
/// says. Who is no target any more, or a machine, is passed over.
fn whom(config: &Config, decided: Option<&Decided>, back: &CallBack) -> Vec<Choice> {
    let wished = back.target.iter().map(std::slice::from_ref);
    let named = decided.filter(|decided| names_who_calls(config, decided));
    let of = |decided: &Decided| decided.manner.targets.clone();
    let (named, decided) = (named.map(of), decided.map(of));
    let lists = wished
        .chain(named.as_deref())
        .chain([&*back.humans])
        .chain(decided.as_deref())
        .chain([&*config.playbook.usual.targets]);
    first_humans(config, lists.map(|names| known_of(config, names)))
}

/// The humans of the first list that has any.
fn first_humans(config: &Config, lists: impl Iterator<Item = Vec<Choice>>) -> Vec<Choice> {
    let humans = lists.map(|mut list| {
        list.retain(|choice| is_human(config, choice));
        list
    });
    let mut humans = humans.filter(|list| !list.is_empty());
    humans.next().unwrap_or_default()
}

fn is_human(config: &Config, choice: &Choice) -> bool {
    config
        .targets
        .get(choice.target)
        .is_some_and(|target| target.machine.is_none())
}

/// Whether a line of the matrix decided that is about those who are called back, and says who has them.
fn names_who_calls(config: &Config, decided: &Decided) -> bool {
    let line = decided.at.and_then(|at| config.playbook.decisions.get(at));
    line.is_some_and(|line| line.change.targets.is_some() && line.when.rules.iter().any(|rule| rule == CALLBACK))
}

/// Those of them that are targets.
fn known_of(config: &Config, names: &[String]) -> Vec<Choice> {
    names.iter().filter_map(|name| known(config, name)).collect()
}
