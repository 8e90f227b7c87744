//! Carries out the actions of a call.

use std::sync::Arc;
use std::time::Instant;

use media::command::{Command, LegId, SessionSpec, WindowId};
use sip::endpoint::{Invite, Refer, Transport};
use sip::sdp::Encoding;
use sip::uri::Uri;

use crate::action::cause;
use crate::call::{Action, Input, Scene, State};
use crate::codecs;
use crate::config::{Config, Keys, Machine, Target};
use crate::hold;
use crate::leg::{Leg, LegState};
use crate::node::{Live, Node, Output, RETRY_AFTER, estimate, lines};
use crate::notice::{CallId, HandoffId, Notice, Outcome, Party, Step, Supervised, What};
use crate::offer;
use crate::ports::Taken;
use crate::request::RequestError;
use crate::spare::Spare;
use crate::spec::{spec, take_keys};
use crate::timer::Timer;

/// No address of ours can be reached from there: as where the transport fails (RFC 3261 §8.1.3.1).
const NO_WAY: u16 = 503;

/// RFC 3326: what a supervisor's phone may show.
const OVER: &str = "SIP;cause=200;text=\"Call over\"";

/// Why nobody was called.
pub(super) enum Uncalled {
    /// We have no address of its family.
    NoWay,
    /// There are no coder states for what it may speak.
    NoCoders,
}

/// Whether an agent of a queue whose call ends for this reason looks as if it were not there.
pub(super) fn is_absent(reason: &str) -> bool {
    [cause::NO_ANSWER, cause::SILENT].contains(&reason)
}

/// Who is called, of which call.
pub(super) struct Callee<'a> {
    pub(super) config: &'a Config,
    pub(super) call: CallId,
    /// Of the leg that this becomes.
    pub(super) id: LegId,
    pub(super) party: Party,
    pub(super) name: String,
    pub(super) keys: Keys,
    /// What we may speak with it; `None`: all that we speak.
    pub(super) ours: Option<Vec<Encoding>>,
    /// What the caller speaks, where it is another one.
    pub(super) caller: Option<Encoding>,
}

impl Node {
    /// Carries out one action. Returns what it leads to at once, if anything.
    ///
    /// A command that the endpoint refuses crossed an event that is still to come: the event says what is to be done.
    pub(super) fn act(&mut self, now: Instant, live: &mut Live, action: Action) -> Option<Input> {
        match action {
            Action::RingCaller => {
                if !std::mem::replace(&mut live.rang, true) {
                    let _ = self.endpoint.ring(now, live.legs.caller.dialog, 180, None);
                }
            }
            Action::AnswerCaller => self.answer_caller(now, live),
            Action::Start => self.start(now, live),
            Action::RejectCaller(status) => {
                let headers = if status == 503 {
                    vec![("Retry-After".to_owned(), RETRY_AFTER.to_string())]
                } else {
                    vec![]
                };
                let _ = self.endpoint.reject(now, live.legs.caller.dialog, status, &headers);
                self.registry.unbind(live.legs.caller.dialog);
            }
            Action::EndCaller(reason) => {
                let _ = self.endpoint.end(now, live.legs.caller.dialog, Some(reason));
                self.registry.unbind(live.legs.caller.dialog);
            }
            Action::InviteAi(agent) => return self.invite_ai(now, live, agent),
            Action::EndPeer(reason) => {
                if let Some(leg) = self.drop_peer(now, live) {
                    let _ = self.endpoint.end(now, leg.dialog, Some(reason));
                }
            }
            Action::AskRoute => self.ask_route(now, live),
            Action::LineUp => return self.line_up(now, live),
            Action::Estimate => return Some(Input::Estimate(self.can_be_said(now, live))),
            Action::InviteTarget => return self.invite_target(now, live, None),
            Action::EndTarget(reason) => {
                live.awaits_port = false;
                self.end_forks(now, live, reason);
                if let Some(leg) = self.drop_target(now, live, is_absent(reason)) {
                    let _ = self.endpoint.end(now, leg.dialog, Some(reason));
                }
            }
            Action::Refer => return self.refer_caller(now, live),
            Action::ForgetRefer => self.forget_refer(now, live),
            Action::Promote => {
                live.legs.peer = live.legs.target.take();
                if let Some(human) = &mut live.legs.peer {
                    // What it needs has been lent.
                    human.promise = None;
                }
                self.spare_by_caller(now, live);
            }
            Action::Show(scene, window) => self.show(now, live, scene, window),
            Action::Say(scene, window) => {
                (live.scene, live.window) = (scene, window);
                self.refresh(now, live);
            }
            Action::Unwatch => {
                live.window = None;
                self.refresh(now, live);
            }
            Action::EndMedia => {
                self.dismiss(now, live, Supervised::Dismissed, Some(OVER));
                self.rows_over(live, RequestError::NoCall);
                let command = live.desired.end();
                self.command(now, live, command);
            }
            Action::Arm(timer) => {
                let deadlines = live.config.deadlines;
                let wait = match timer {
                    Timer::AiAnswer => deadlines.ai_answer,
                    Timer::CallerAnswer => deadlines.caller_answer,
                    Timer::Ring => self.ring_time(live),
                    Timer::Reach => deadlines.reach,
                    Timer::Accept => deadlines.accept,
                    Timer::Media => deadlines.applied,
                    Timer::Probe => deadlines.silence_probe,
                    Timer::Evidence => deadlines.evidence,
                    Timer::Goodbye => deadlines.goodbye,
                    Timer::Refer => deadlines.refer,
                    // Armed where it is invited: each target has its own time.
                    Timer::Supervisor => self.ring_time(live),
                    Timer::Estimate => estimate::every(&live.config.prompts)?,
                    Timer::Queue => lines::queue_of(live)?.max_wait,
                    Timer::Route => live.config.router?,
                    Timer::Required => live.manner.required_wait,
                    Timer::Acknowledge => live.manner.acknowledge,
                    Timer::AiStays => live.manner.ai_stays,
                    // Armed where the rules are asked.
                    Timer::Playbook => return None,
                };
                live.timers.arm(timer, now + wait);
            }
            Action::Disarm(timer) => live.timers.disarm(timer),
            Action::Tell(handoff, mut step) => {
                if live.untold.as_ref().is_some_and(|(other, _)| *other != handoff) {
                    self.tell_untold(now, live);
                }
                let machine = live.machine_of(handoff);
                let mut led_to = None;
                match (&mut step, machine) {
                    // It has a voice, and is nobody.
                    (Step::FirstHumanWord, Some(_)) => return None,
                    (Step::Closed { result, .. }, Some(machine)) if *result == Outcome::Joined => {
                        *result = machine.outcome();
                        if machine == Machine::Callback {
                            live.untold = Some((handoff, step));
                            return None;
                        }
                        self.registry.close(handoff);
                    }
                    (Step::Answered { agent }, _) => {
                        let seat = live.legs.target.as_ref().and_then(|target| target.seat);
                        *agent = seat.and_then(|seat| self.pool.who(seat)).map(|who| who.id.clone());
                    }
                    (Step::Closed { .. }, _) => self.registry.close(handoff),
                    (Step::Disclosed, _) => led_to = self.disclosed(now, live),
                    _ => {}
                }
                self.tell(now, live, What::Handoff(handoff, step));
                return led_to;
            }
            Action::TellJoined(handoff) => {
                live.joined = Some(handoff);
                let codecs = live.spoken();
                let step = match live.target_machine() {
                    Some(machine) => {
                        let call = &live.call;
                        live.machines.retain(|(with, _)| call.knows(*with));
                        live.machines.push((handoff, machine));
                        Step::Machine { machine, codecs }
                    }
                    None => {
                        self.learn_from(live);
                        Step::Joined { codecs }
                    }
                };
                self.tell(now, live, What::Handoff(handoff, step));
            }
            Action::TellNotReached(status) => self.tell(now, live, What::NotReached { status }),
            Action::TellEnded(by) => {
                self.tell_untold(now, live);
                if live.call.started() {
                    let machine = live.joined.and_then(|handoff| live.machine_of(handoff));
                    let by = match machine {
                        Some(machine) if by == "human" => machine.name(),
                        _ => by,
                    };
                    self.tell(now, live, What::CallEnded { by: by.to_owned() });
                }
            }
        }
        None
    }

    /// What became of a caller who was with the machine that calls back.
    fn tell_untold(&mut self, now: Instant, live: &mut Live) {
        if let Some((handoff, step)) = live.untold.take() {
            self.registry.close(handoff);
            self.tell(now, live, What::Handoff(handoff, step));
        }
    }

    pub(crate) fn tell(&mut self, now: Instant, live: &Live, what: What) {
        if let What::Handoff(handoff, step) = &what
            && let Some((refer, status, last)) = self.refers.hear(*handoff, step)
        {
            // The transferor may have ended its subscription.
            let _ = self.endpoint.notify(now, refer, status, last);
        }
        self.outputs.push_back(Output::Notice(Notice {
            call: live.id,
            at: live.at,
            what,
        }));
    }

    /// Another scene.
    fn show(&mut self, now: Instant, live: &mut Live, scene: Scene, window: Option<WindowId>) {
        if live.call.handoff().is_some() {
            self.rows_over(live, RequestError::WrongState("a handoff has begun".to_owned()));
        }
        (live.scene, live.window) = (scene, window);
        self.set(now, live, true);
    }

    /// The same scene, with a leg's new address or codec, or without its window.
    pub(crate) fn refresh(&mut self, now: Instant, live: &mut Live) {
        if !live.desired.ending() {
            self.set(now, live, false);
        }
    }

    pub(super) fn set(&mut self, now: Instant, live: &mut Live, scene: bool) {
        if scene || live.desired.awaits_scene() {
            live.legs.iter_mut().for_each(|leg| leg.resumes = false);
        }
        let spec = self.spec(live);
        let command = live.desired.set(now, spec, scene);
        self.command(now, live, command);
    }

    /// Gives a command to the worker, which is to answer within `applied`: that it waits is an answer, too.
    pub(super) fn command(&mut self, now: Instant, live: &mut Live, command: Command) {
        if let Some(command) = Node::unless_it_moves(live, command) {
            let worker = live.worker;
            self.outputs.push_back(Output::Media { worker, command });
        }
        live.timers.arm(Timer::Media, now + live.config.deadlines.applied);
    }

    /// The table of the present scene.
    pub(super) fn spec(&self, live: &Live) -> SessionSpec {
        let mut spec = spec(live.scene, live.window, &live.legs, &live.config);
        if matches!(live.call.state(), State::Talking) {
            live.rows.lay_over(&mut spec, &live.legs, &live.played);
        }
        hold::stand_in(
            &mut spec,
            live.desired.spec(),
            &live.legs,
            live.config.prompts.hold,
            &live.played,
        );
        take_keys(&mut spec, &live.legs);
        spec
    }

    fn answer_caller(&mut self, now: Instant, live: &mut Live) {
        let caller = &mut live.legs.caller;
        caller.state = LegState::Up;
        let body = match live.answer.take() {
            Some(answer) => answer,
            None => {
                // The INVITE had no offer: ours goes with the 200, the answer comes with the ACK (RFC 3261 §13.2.1).
                caller.offered = true;
                let ai = live.legs.peer.as_ref().and_then(Leg::encoding);
                let plan = codecs::plan(live.config.prefer, &caller.local.encodings, ai);
                caller.local.encodings = plan.encodings;
                caller.local.offer()
            }
        };
        let headers = [(offer::CALL.to_owned(), live.id.to_string())];
        let _ = self.endpoint.answer(now, caller.dialog, body.into(), &headers);
        self.start(now, live);
        self.begin_judging(now, live);
    }

    /// The caller is there: the call has started.
    fn start(&mut self, now: Instant, live: &mut Live) {
        live.began = Some(now);
        self.ports.begin(now, live.worker);
        let ai_agent = live
            .agents
            .get(live.agent)
            .and_then(|agent| live.config.ai_agents.get(*agent));
        let what = What::CallStarted {
            trunk: live.trunk.clone(),
            ai_agent: ai_agent.map(|agent| agent.name.clone()).unwrap_or_default(),
            caller: live.caller.clone(),
        };
        self.tell(now, live, what);
    }

    fn invite_ai(&mut self, now: Instant, live: &mut Live, agent: usize) -> Option<Input> {
        live.agent = agent;
        let chosen = live
            .agents
            .get(agent)
            .and_then(|agent| live.config.ai_agents.get(*agent));
        let (Some(chosen), Some(taken)) = (chosen.cloned(), self.ports.take(live.worker)) else {
            return Some(Input::PeerFailed(503));
        };
        let invite = Invite {
            to: chosen.uri,
            from: live.from.clone(),
            next_hop: Some(chosen.next_hop),
            transport: chosen.transport,
            headers: vec![(offer::CALL.to_owned(), live.id.to_string())],
            offer: None,
            credentials: chosen.auth.into_iter().collect(),
        };
        match self.invite(
            now,
            live,
            (Party::Ai, chosen.name, chosen.dtmf),
            chosen.codecs,
            taken,
            invite,
        ) {
            Ok(leg) => {
                live.legs.peer = Some(leg);
                None
            }
            Err(Uncalled::NoWay | Uncalled::NoCoders) => Some(Input::PeerFailed(NO_WAY)),
        }
    }

    /// INVITE to the target, from this port or from any of the session's worker.
    pub(super) fn invite_target(&mut self, now: Instant, live: &mut Live, port: Option<Taken>) -> Option<Input> {
        // Where a port had to be found first, it is later than what led to this.
        live.at = now;
        let handoff = live.call.handoff()?;
        let (id, choice) = (handoff.id(), handoff.target());
        let agent = live.seat.and_then(|seat| self.pool.who(seat)).cloned();
        let (agent, uri) = match agent {
            Some(agent) => (Some(agent.id), Some(agent.uri)),
            None => (None, choice.uri.clone()),
        };
        let chosen = live.config.targets.get(choice.target).cloned();
        let Some(chosen) = chosen else {
            return Some(Input::NoCapacity);
        };
        // A port of the worker that the session is leaving would be of no use.
        let own = |node: &mut Node| live.way.is_none().then(|| node.ports.take(live.worker)).flatten();
        let Some(taken) = port.or_else(|| own(self)) else {
            return self.look_for_a_port(now, live);
        };
        // A URI of a pattern asks for nothing; it goes the target's way.
        let asked = Uri::parse(&chosen.uri).ok().and_then(|uri| Transport::of(&uri));
        let token = self.random.token();
        let mut headers = offer::context_headers(live.id, id, &live.config.public_url, &token);
        headers.extend(self.refers.by(id).map(|by| ("Referred-By".to_owned(), by)));
        let invite = Invite {
            to: uri.unwrap_or_else(|| chosen.uri.clone()),
            from: live.from.clone(),
            next_hop: Some(chosen.next_hop),
            transport: chosen.transport.or(asked),
            headers,
            offer: None,
            credentials: chosen.auth.iter().cloned().collect(),
        };
        match self.invite_human(now, live, &chosen, taken, invite.clone()) {
            Ok(leg) => {
                let seat = live.seat.take();
                live.legs.target = Some(Leg { seat, ..leg });
            }
            Err(Uncalled::NoWay) => return Some(Input::TargetFailed(NO_WAY)),
            Err(Uncalled::NoCoders) => return Some(Input::NoCapacity),
        }
        self.fork(now, live, &chosen, &invite);
        // Of several, who answers is told then.
        let agent = agent.filter(|_| live.legs.forks.is_empty());
        self.tell_invited(now, live, id, (chosen.name, agent), token);
        None
    }

    pub(super) fn invite_human(
        &mut self,
        now: Instant,
        live: &mut Live,
        target: &Target,
        taken: Taken,
        invite: Invite,
    ) -> Result<Leg, Uncalled> {
        let human = (Party::Human, target.name.clone(), target.dtmf);
        let leg = self.invite(now, live, human, target.codecs.clone(), taken, invite)?;
        Ok(Leg {
            reinvites: target.reinvite,
            ..leg
        })
    }

    /// Asks the caller's carrier to call the target. Where it cannot even be asked, something has crossed: we do it.
    fn refer_caller(&mut self, now: Instant, live: &mut Live) -> Option<Input> {
        let handoff = live.call.handoff()?;
        let (id, choice) = (handoff.id(), handoff.target().clone());
        let own = live.config.targets.get(choice.target).map(|target| target.uri.clone());
        let token = self.random.token();
        let references = offer::context_headers(live.id, id, &live.config.public_url, &token);
        let refer = Refer {
            to: offer::refer_to(&choice.uri.or(own).unwrap_or_default(), &references),
            by: None,
            headers: offer::ids(references),
        };
        match self.endpoint.refer(now, live.legs.caller.dialog, refer) {
            Ok(refer) => {
                self.registry.refers(refer, live.id);
                live.referral = Some(refer);
                self.tell_invited(now, live, id, (choice.name, None), token);
                None
            }
            Err(_) => Some(Input::ReferFailed(491)),
        }
    }

    /// The human is invited, by us or by who was asked to: now the context goes out.
    fn tell_invited(
        &mut self,
        now: Instant,
        live: &Live,
        id: HandoffId,
        (target, agent): (String, Option<String>),
        token: String,
    ) {
        let package = Box::new(live.package());
        let step = Step::Invited {
            target,
            agent,
            package,
            token,
        };
        self.tell(now, live, What::Handoff(id, step));
    }

    pub(super) fn forget_refer(&mut self, now: Instant, live: &mut Live) {
        if let Some(refer) = live.referral.take() {
            self.registry.refers_no_more(refer);
            // It may have ended by itself.
            let _ = self.endpoint.forget_refer(now, refer);
        }
    }

    /// INVITE to another party of a call, with an offer of these codecs (`None`: all).
    pub(super) fn invite(
        &mut self,
        now: Instant,
        live: &mut Live,
        (party, name, keys): (Party, String, Keys),
        ours: Option<Vec<Encoding>>,
        taken: Taken,
        invite: Invite,
    ) -> Result<Leg, Uncalled> {
        let callee = Callee {
            config: &live.config,
            call: live.id,
            id: live.next_leg(),
            party,
            name,
            keys,
            ours,
            caller: live.legs.caller.encoding(),
        };
        let leg = self.dial(now, callee, taken, invite)?;
        live.parties.push(party);
        Ok(leg)
    }

    /// INVITE with an offer of ours, in the order that goes with what the caller speaks. The offer names our address of the next hop's
    /// family. After an error nothing is sent, and the port is free again.
    pub(super) fn dial(
        &mut self,
        now: Instant,
        callee: Callee<'_>,
        taken: Taken,
        invite: Invite,
    ) -> Result<Leg, Uncalled> {
        let Callee {
            call,
            id,
            party,
            name,
            keys,
            caller,
            ..
        } = callee;
        let mut plan = codecs::plan_of(callee.config, callee.ours.as_deref(), caller);
        let promise = self.coders.promise(caller, &mut plan.encodings);
        if plan.encodings.is_empty() {
            self.ports.release(now, taken);
            return Err(Uncalled::NoCoders);
        }
        let session = offer::session(&mut self.random);
        let mut local = self.local(taken.port, plan, session);
        if invite.next_hop.is_some_and(|hop| local.face(hop.ip()).is_err()) {
            self.ports.release(now, taken);
            return Err(Uncalled::NoWay);
        }
        let offer = Some(local.offer().into());
        let dialog = self.endpoint.invite(now, Invite { offer, ..invite });
        self.registry.bind(dialog, call, id);
        let call_id = self.endpoint.call_id(dialog).unwrap_or_default().to_owned();
        let state = LegState::Inviting;
        Ok(Leg {
            id,
            party,
            name,
            keys,
            dialog,
            call_id,
            taken,
            local,
            agreed: None,
            exchange: 0,
            offered: false,
            reoffers: false,
            pressed: Default::default(),
            reinvites: false,
            spare: Spare::Untried,
            resumes: false,
            quiet: None,
            probed: None,
            promise: Some(Arc::new(promise)),
            invited: now,
            seat: None,
            state,
        })
    }

    fn ring_time(&self, live: &Live) -> std::time::Duration {
        let target = live
            .call
            .handoff()
            .and_then(|handoff| live.config.targets.get(handoff.target().target));
        target.map_or(live.config.deadlines.reach, |target| target.ring)
    }

    /// The peer is no part of the call any more.
    pub(super) fn drop_peer(&mut self, now: Instant, live: &mut Live) -> Option<Leg> {
        let leg = live.legs.peer.take()?;
        self.dropped(now, live, &leg);
        if let Some(seat) = leg.seat {
            self.pool.over(now, seat);
        }
        Some(leg)
    }

    /// Nor the target. `absent`: of a queue's agent it looks as if nobody were there.
    pub(super) fn drop_target(&mut self, now: Instant, live: &mut Live, absent: bool) -> Option<Leg> {
        let leg = live.legs.target.take()?;
        self.dropped(now, live, &leg);
        if let Some(seat) = leg.seat {
            self.pool.missed(now, seat, absent);
        }
        Some(leg)
    }

    pub(super) fn dropped(&mut self, now: Instant, live: &mut Live, leg: &Leg) {
        self.registry.unbind(leg.dialog);
        match leg.state {
            // The data plane has it until the next table is in force.
            LegState::Up => live.retiring.push((live.desired.next(), leg.taken)),
            LegState::Inviting | LegState::Ringing => self.ports.release(now, leg.taken),
        }
    }
}
