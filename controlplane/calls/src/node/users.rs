//! What users ask for.

use std::time::{Duration, Instant};

use playbook::context::{ContextError, TEXT_MAX, Turn, TurnDecision};
use playbook::rules::{Fired, Occasion};
use playbook::{ColdHears, Mode};
use serde_json::Value;

use crate::call::{Input, State};
use crate::config::Config;
use crate::handoff::{Choice, Order};
use crate::node::{Live, Node};
use crate::notice::{CallId, HandoffId, Trigger, What};
use crate::request::{HandoffRequest, Request, RequestError, Response};

impl Node {
    pub(super) fn request(&mut self, now: Instant, request: Request) -> Result<Response, RequestError> {
        match request {
            Request::Calls => Ok(Response::Calls(
                self.registry.calls().map(|(_, live)| self.view(live)).collect(),
            )),
            Request::Call(id) => {
                let live = self.registry.call(id).ok_or(RequestError::NoCall)?;
                Ok(Response::Call(Box::new(self.view(live))))
            }
            Request::FindCall(call_id) => {
                let mut calls = self.registry.calls();
                let found = calls.find(|(_, live)| live.legs.iter().any(|leg| leg.call_id == call_id));
                let (_, live) = found.ok_or(RequestError::NoCall)?;
                Ok(Response::Call(Box::new(self.view(live))))
            }
            Request::HangUp(id) => self.wish(now, id, Input::HangUp).map(|()| Response::Done),
            Request::Hears(id, wish, by) => self.hears_wished(now, id, &wish, by),
            Request::Supervise(id, whom, by) => self.supervise(now, id, &whom, by),
            Request::Dismiss(id, by) => self.dismissed(now, id, by),
            Request::Turns(id, turns) => self.turns(now, id, turns),
            Request::Context(id, patch) => self.context(now, id, patch),
            Request::Handoff(id, request) => self.handoff(now, id, request, None).map(Response::Handoff),
            Request::Accept(id) => self.wish_of(now, id, Input::Accept),
            Request::Decline(id) => self.wish_of(now, id, Input::Decline),
            Request::Cancel(id) => self.wish_of(now, id, Input::Cancel),
        }
    }

    /// Gives a wish to a call, where it fits.
    fn wish(&mut self, now: Instant, id: CallId, wish: Input) -> Result<(), RequestError> {
        self.registry.call(id).ok_or(RequestError::NoCall)?.call.allows(&wish)?;
        let live = self.registry.take(id).ok_or(RequestError::NoCall)?;
        self.drive(now, now, live, wish);
        Ok(())
    }

    /// The same with a handoff's id.
    fn wish_of(&mut self, now: Instant, id: HandoffId, wish: Input) -> Result<Response, RequestError> {
        let call = self.registry.handoff(id).ok_or(RequestError::NoHandoff)?;
        let live = self.registry.call(call).ok_or(RequestError::NoCall)?;
        live.call.allows_for(id, &wish)?;
        self.wish(now, call, wish)?;
        Ok(Response::Handoff(id))
    }

    /// Rules judge what was said, all else gets what is kept of it: a phrase may be a part of what is cut out, and who asks for a human in
    /// the same breath as he tells a number must be heard. What was said is gone when this returns.
    fn turns(&mut self, now: Instant, id: CallId, turns: Vec<Turn>) -> Result<Response, RequestError> {
        if turns.is_empty() {
            return Err(RequestError::Invalid("no turn".to_owned()));
        }
        turns.iter().try_for_each(Turn::check).map_err(invalid)?;
        let mut live = self.registry.take(id).ok_or(RequestError::NoCall)?;
        let first = live.context.turns().len();
        let mut kept = turns.clone();
        let redact = &live.config.playbook.redact;
        kept.iter_mut().for_each(|turn| redact.turn(turn));
        let appended = live.context.append(kept.clone()).map_err(invalid);
        if appended.is_ok() {
            live.at = now;
            self.tell(now, &live, What::Turns { first, turns: kept });
            self.tell_context(now, &live);
        }
        self.put_back(now, live);
        appended?;
        Ok(match self.judge_turns(now, id, &turns) {
            Some((Fired { rule, because, .. }, handoff)) => {
                Response::Turns(TurnDecision::Handoff { rule, because }, Some(handoff))
            }
            None => Response::Turns(TurnDecision::Continue, None),
        })
    }

    /// A context stays as long as the call: it is judged as it is kept, and nothing else of it is anywhere.
    fn context(&mut self, now: Instant, id: CallId, mut patch: Value) -> Result<Response, RequestError> {
        let mut live = self.registry.take(id).ok_or(RequestError::NoCall)?;
        live.config.playbook.redact.members(&mut patch);
        let merged = live.context.merge(&patch).map_err(invalid);
        let value = live.context.value();
        if merged.is_ok() {
            live.at = now;
            self.tell(now, &live, What::Context(value.clone()));
            self.tell_context(now, &live);
            self.judge(now, live, Occasion::Context);
        } else {
            self.put_back(now, live);
        }
        merged.map(|()| Response::Context(value))
    }

    /// Whoever got the context at the INVITE gets it again when it changes.
    fn tell_context(&mut self, now: Instant, live: &Live) {
        if live.call.open().is_some() {
            let package = live.package();
            self.tell(now, live, What::ContextUpdated(Box::new(package)));
        }
    }

    /// `trigger`: the rule that asks, where one does.
    pub(super) fn handoff(
        &mut self,
        now: Instant,
        id: CallId,
        request: HandoffRequest,
        trigger: Option<Trigger>,
    ) -> Result<HandoffId, RequestError> {
        if request.reason.len() > TEXT_MAX {
            return Err(RequestError::Invalid(format!("the reason can have {TEXT_MAX} bytes")));
        }
        let live = self.registry.call(id).ok_or(RequestError::NoCall)?;
        let choices = choices(&live.config, request.target.as_deref())?;
        let mut live = self.registry.take(id).ok_or(RequestError::NoCall)?;
        let redact = &live.config.playbook.redact;
        let reason = redact.text(&request.reason).into_owned();
        let patch = request.context.map(|mut patch| {
            redact.members(&mut patch);
            patch
        });
        let order = Order {
            trigger,
            ..self.new_order(&live, request.mode, choices, reason)
        };
        let handoff = order.id;
        let wish = Input::Handoff(order);
        let human = matches!(live.call.state(), State::Talking) && !live.call.with_ai();
        let fits = match request.by_ai && human {
            true => Err(RequestError::WrongState("the call is with a human".to_owned())),
            false => live.call.allows(&wish),
        };
        if let Err(error) = fits {
            self.put_back(now, live);
            return Err(error);
        }
        if let Some(patch) = patch {
            if let Err(error) = live.context.merge(&patch) {
                self.put_back(now, live);
                return Err(invalid(error));
            }
            live.at = now;
            self.tell(now, &live, What::Context(live.context.value()));
        }
        self.registry.open(handoff, id);
        self.drive(now, now, live, wish);
        Ok(handoff)
    }

    /// What a wish becomes in this call.
    pub(super) fn new_order(&mut self, live: &Live, mode: Option<Mode>, targets: Vec<Choice>, why: String) -> Order {
        let id = loop {
            let id = HandoffId(self.random.draw());
            if self.registry.handoff(id).is_none() {
                break id;
            }
        };
        let mode = live.config.playbook.resolve(mode);
        let trunk = live.config.trunks.iter().find(|trunk| trunk.name == live.trunk);
        let refer = mode == Mode::Cold && trunk.is_some_and(|trunk| trunk.refer);
        let ai_is_heard = live.config.playbook.cold_hears == ColdHears::Ai && live.call.with_ai();
        let talks_on = mode == Mode::Cold && ai_is_heard;
        let first = targets.first().filter(|_| !refer && !talks_on);
        let said = first.and_then(|first| self.expected(live, &first.name, Duration::ZERO));
        Order {
            id,
            mode,
            accept: live.config.playbook.accept,
            targets,
            why,
            trigger: None,
            refer,
            talks_on,
            said,
        }
    }
}

/// The targets to try: the one that is wished for, or all of the playbook's.
fn choices(config: &Config, wish: Option<&str>) -> Result<Vec<Choice>, RequestError> {
    let known = |name: &str| config.targets.iter().position(|target| target.name == name);
    let names = config.playbook.order(wish);
    let choices: Vec<_> = names
        .iter()
        .filter_map(|name| {
            Some(Choice {
                target: known(name)?,
                name: (*name).to_owned(),
                uri: None,
            })
        })
        .collect();
    match choices.is_empty() {
        true => Err(RequestError::NoTarget(wish.unwrap_or_default().to_owned())),
        false => Ok(choices),
    }
}

fn invalid(error: ContextError) -> RequestError {
    RequestError::Invalid(error.to_string())
}
