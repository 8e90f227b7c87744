//! What users ask for.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use playbook::context::{Context, ContextError, TEXT_MAX, Turn, TurnDecision};
use playbook::decisions::{AI_GONE, Decided, Manner};
use playbook::rules::{Fired, Occasion};
use playbook::{AiGone, ColdHears, Mode};
use serde_json::{Value, json};

use crate::call::{Input, State};
use crate::config::Config;
use crate::estimate::Said;
use crate::handoff::{Choice, Line, Order};
use crate::node::route::{may_be_the_carriers, takes_refer};
use crate::node::{Live, Node, judge};
use crate::notice::{CallId, HandoffId, Trigger, What};
use crate::request::{HandoffRequest, Request, RequestError, Response};

/// What is asked for of a handoff.
pub(super) struct Wish {
    pub(super) mode: Option<Mode>,
    pub(super) targets: Vec<Choice>,
    pub(super) why: String,
    /// The targets are not wished for: who knows better may be asked.
    pub(super) open: bool,
}

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
            Request::CallBack(back) => self.call_back(now, back).map(Response::Calling),
            Request::Humans(id) => self.humans(now, id).map(Response::Humans),
            Request::Handoff(id, request) => self.handoff(now, id, request, None).map(Response::Handoff),
            Request::Route(id, said) => self.route(now, id, said),
            Request::Acknowledge(id) => self.wish_of(now, id, Input::Acknowledged),
            Request::Accept(id) => self.wish_of(now, id, Input::Accept),
            Request::Decline(id) => self.wish_of(now, id, Input::Decline),
            Request::Cancel(id) => self.wish_of(now, id, Input::Cancel),
            Request::Agents { after, most } => Ok(Response::Agents(self.agents(now, &after, most))),
            Request::Agent(id) => self.agent(now, &id),
            Request::PutAgent(profile) => self.put_agent(now, profile),
            Request::Presence(id, presence) => self.present(now, &id, presence),
            Request::RemoveAgent(id) => self.remove_agent(&id),
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
    pub(super) fn wish_of(&mut self, now: Instant, id: HandoffId, wish: Input) -> Result<Response, RequestError> {
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
        if let Err(error) = live.context.append(kept.clone()) {
            self.put_back(now, live);
            return Err(invalid(error));
        }
        live.at = now;
        self.tell(now, &live, What::Turns { first, turns: kept });
        self.tell_context(now, live);
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
        if let Err(error) = live.context.merge(&patch) {
            self.put_back(now, live);
            return Err(invalid(error));
        }
        live.at = now;
        let value = live.context.value();
        self.tell(now, &live, What::Context(value.clone()));
        self.tell_context(now, live);
        if let Some(live) = self.registry.take(id) {
            self.judge(now, live, Occasion::Context);
        }
        Ok(Response::Context(value))
    }

    /// Whoever got the context at the INVITE gets it again when it changes, and a join may have waited for it.
    fn tell_context(&mut self, now: Instant, live: Box<Live>) {
        match self.told_context(now, &live) {
            Some(input) => self.drive(now, now, live, input),
            None => self.put_back(now, live),
        }
    }

    fn told_context(&mut self, now: Instant, live: &Live) -> Option<Input> {
        live.call.open()?;
        let package = live.package();
        let complete = package.completeness.complete;
        self.tell(now, live, What::ContextUpdated(Box::new(package)));
        live.call.handoff().map(|_| Input::Context { complete })
    }

    /// The caller was told what is to be disclosed: the human is to know, and a join may have waited for it.
    pub(super) fn disclosed(&mut self, now: Instant, live: &mut Live) -> Option<Input> {
        // There is no member that this could make too large: where the context is full, the record says it all the same.
        let told = json!({ "disclosure": { "told": true, "by": "baton" } });
        live.context.merge(&told).ok()?;
        self.tell(now, live, What::Context(live.context.value()));
        self.told_context(now, live)
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
        let mut live = self.registry.take(id).ok_or(RequestError::NoCall)?;
        match self.asked(now, &live, request, trigger) {
            Ok((order, context)) => {
                if let Some(context) = context {
                    (live.at, live.context) = (now, context);
                    self.tell(now, &live, What::Context(live.context.value()));
                }
                Ok(self.begin(now, live, order))
            }
            Err(error) => {
                self.put_back(now, live);
                Err(error)
            }
        }
    }

    /// What a request becomes, and the context with what came with it.
    fn asked(
        &mut self,
        now: Instant,
        live: &Live,
        request: HandoffRequest,
        trigger: Option<Trigger>,
    ) -> Result<(Order, Option<Context>), RequestError> {
        let redact = &live.config.playbook.redact;
        let reason = redact.text(&request.reason).into_owned();
        let patch = request.context.map(|mut patch| {
            redact.members(&mut patch);
            patch
        });
        let mut context = patch.is_some().then(|| live.context.clone());
        let merged = match (&mut context, &patch) {
            (Some(context), Some(patch)) => context.merge(patch).map_err(invalid),
            _ => Ok(()),
        };
        let known = context.as_ref().unwrap_or(&live.context);
        let decided = decide(now, live, known, trigger.as_ref().map(|trigger| trigger.rule.as_str()));
        let choices = choices(&live.config, &decided.manner, request.target.as_deref())?;
        let wish = Wish {
            mode: request.mode,
            targets: choices,
            why: reason,
            open: request.target.is_none(),
        };
        let order = Order {
            trigger,
            ..self.new_order(now, live, known, decided, wish)
        };
        let human = matches!(live.call.state(), State::Talking) && !live.call.with_ai();
        if request.by_ai && human {
            return Err(RequestError::WrongState("the call is with a human".to_owned()));
        }
        live.call.allows(&Input::Handoff(order.clone()))?;
        merged?;
        Ok((order, context))
    }

    /// The handoff that was asked for, and that fits.
    pub(super) fn begin(&mut self, now: Instant, mut live: Box<Live>, order: Order) -> HandoffId {
        let id = order.id;
        self.registry.open(id, live.id);
        live.manner = Arc::clone(&order.manner);
        live.at = now;
        self.drive(now, now, live, Input::Handoff(order));
        id
    }

    /// The handoff of a caller whose AI is gone, where the playbook has one for that.
    pub(super) fn without_ai(&mut self, now: Instant, live: &mut Live, because: &str) -> Option<Order> {
        let talks = matches!(live.call.state(), State::Talking) && live.call.with_ai();
        if live.config.playbook.ai_gone != AiGone::Human || !talks && !live.call.is_last_agent() {
            return None;
        }
        let decided = decide(now, live, &live.context, Some(AI_GONE));
        let trigger = Trigger {
            rule: AI_GONE.to_owned(),
            because: because.to_owned(),
        };
        let wish = Wish {
            mode: None,
            targets: choices(&live.config, &decided.manner, None).ok()?,
            why: format!("rule {AI_GONE}: {because}"),
            open: true,
        };
        let context = live.context.clone();
        let order = self.new_order(now, live, &context, decided, wish);
        self.registry.open(order.id, live.id);
        live.manner = Arc::clone(&order.manner);
        Some(Order {
            trigger: Some(trigger),
            // Nobody is there who could talk on, and who has just been answered is not sent elsewhere.
            talks_on: false,
            refer: false,
            ..order
        })
    }

    /// What a wish becomes in this call.
    pub(super) fn new_order(
        &mut self,
        now: Instant,
        live: &Live,
        context: &Context,
        decided: Decided,
        wish: Wish,
    ) -> Order {
        let Wish {
            mode,
            mut targets,
            why,
            open,
        } = wish;
        let asks = open && live.config.router.is_some();
        self.look_at(now, live, &mut targets);
        let id = loop {
            let id = HandoffId(self.random.draw());
            if self.registry.handoff(id).is_none() {
                break id;
            }
        };
        let Decided { at, mut manner } = decided;
        let mode = mode.unwrap_or(manner.mode);
        manner.mode = mode;
        let config = &live.config;
        let line = at.and_then(|at| Some((at, config.playbook.decisions.get(at)?)));
        let decision = line.map(|(at, line)| Line {
            at,
            name: line.name.clone(),
        });
        let ai_is_heard = config.playbook.cold_hears == ColdHears::Ai && live.call.with_ai();
        let talks_on = mode == Mode::Cold && ai_is_heard;
        let first = targets.iter().find(|target| !target.closed);
        let (queued, machine) = first.map_or((false, false), |first| (first.queued, first.machine));
        let refer = mode == Mode::Cold && takes_refer(live) && may_be_the_carriers(&targets);
        let first = first.filter(|_| !refer && !talks_on && !queued && !machine && !asks);
        let left = first.and_then(|first| self.expected(live, &first.name, Duration::ZERO));
        let discloses = config.disclosure(at).is_some() && !context.disclosed();
        let complete = live.package_of(context, &manner.required).completeness.complete;
        Order {
            id,
            manner: Arc::new(manner),
            decision,
            targets,
            why,
            trigger: None,
            asks,
            back: false,
            refer,
            talks_on,
            said: Said { place: None, left },
            discloses,
            complete,
        }
    }
}

/// How a handoff goes that is begun now, by this rule.
pub(super) fn decide(now: Instant, live: &Live, context: &Context, rule: Option<&str>) -> Decided {
    let scene = judge::scene(now, live, context);
    live.config.playbook.decide(rule, &live.memory, &scene)
}

/// The targets to try: the one that is wished for, or all that were decided for.
pub(super) fn choices(config: &Config, manner: &Manner, wish: Option<&str>) -> Result<Vec<Choice>, RequestError> {
    let names = manner.order(wish);
    let choices: Vec<_> = names.iter().filter_map(|name| known(config, name)).collect();
    match choices.is_empty() {
        true => Err(RequestError::NoTarget(wish.unwrap_or_default().to_owned())),
        false => Ok(choices),
    }
}

/// The target of this name.
pub(super) fn known(config: &Config, name: &str) -> Option<Choice> {
    let target = config.targets.iter().position(|target| target.name == name)?;
    Some(Choice {
        target,
        name: name.to_owned(),
        uri: None,
        queued: config.targets[target].queue.is_some(),
        closed: false,
        machine: false,
    })
}

/// Whether a target is closed. Where nobody has said what time it is, it is not.
pub(super) fn is_closed(config: &Config, target: usize, at: Option<SystemTime>) -> bool {
    let target = config.targets.get(target);
    target.zip(at).is_some_and(|(target, at)| !target.hours.is_open(at))
}

pub(super) fn invalid(error: ContextError) -> RequestError {
    RequestError::Invalid(error.to_string())
}
