//! A supervisor on a call, and rows that are wished to be otherwise. Neither is part of the call's machine: whatever becomes of them,
//! the call goes on.

use std::time::Instant;

use media::command::Refusal;
use sip::endpoint::{Invite, Transport};
use sip::uri::Uri;

use crate::call::State;
use crate::leg::LegState;
use crate::node::{Live, Node, Output};
use crate::notice::{CallId, Party, Supervised, What};
use crate::request::{RequestError, Response, Ticket, Whom};
use crate::supervisor::{Rows, Wish};
use crate::timer::Timer;
use crate::{config::Keys, node::refer, offer};

/// RFC 3326: what a supervisor's phone may show.
const NOBODY: &str = "SIP;cause=480;text=\"No answer in time\"";
const DISMISSED: &str = "SIP;cause=200;text=\"Ended by the operator\"";
const NO_ROOM: &str = "SIP;cause=503;text=\"No capacity\"";

/// Rows that were asked for, and of which is not known whether they are in force.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    ticket: Ticket,
    by: String,
    /// What was in force.
    before: Rows,
}

impl Node {
    /// Another table, if the call talks. The answer comes with the data plane's.
    pub(super) fn hears_wished(
        &mut self,
        now: Instant,
        id: CallId,
        wish: &Wish,
        by: String,
    ) -> Result<Response, RequestError> {
        let live = self.registry.call(id).ok_or(RequestError::NoCall)?;
        let wrong = |why: &str| Err(RequestError::WrongState(why.to_owned()));
        match live.call.state() {
            State::Talking if live.asked.is_some() => return wrong("the last change is not in force yet"),
            State::Talking => {}
            State::HandingOff(_) => return wrong("a handoff says who hears whom until it is over"),
            State::Connecting { .. } => return wrong("the AI has not answered yet"),
            State::Calling => return wrong("the caller has not answered yet"),
            State::Goodbye { .. } => return wrong("the caller is told goodbye"),
            State::Referred { .. } | State::Ending { .. } | State::Over => return Err(RequestError::NoCall),
        }
        let rows = live.rows.wished(wish, &live.legs)?;
        let table = rows.table(&live.legs);
        let mut live = self.registry.take(id).ok_or(RequestError::NoCall)?;
        live.at = now;
        self.tickets += 1;
        let ticket = Ticket(self.tickets);
        let before = std::mem::replace(&mut live.rows, rows);
        let asked = Asked { ticket, by, before };
        let answer = if self.spec(&live) == *live.desired.spec() && live.desired.in_force() {
            // As it is already, or as soon as what is said to a party is over.
            self.tell_rows(now, &live, &asked.by);
            Response::Hears(table)
        } else {
            live.asked = Some(asked);
            self.refresh(now, &mut live);
            Response::Later(ticket)
        };
        self.put_back(now, live);
        Ok(answer)
    }

    fn tell_rows(&mut self, now: Instant, live: &Live, by: &str) {
        let rows = live.rows.table(&live.legs);
        let by = by.to_owned();
        self.tell(now, live, What::Hears { by, rows });
    }

    /// What was asked of the data plane is in force.
    pub(super) fn rows_in_force(&mut self, now: Instant, live: &mut Live) {
        if let Some(asked) = live.asked.take() {
            live.at = now;
            self.tell_rows(now, live, &asked.by);
            let table = live.rows.table(&live.legs);
            self.reply(asked.ticket, Ok(Response::Hears(table)));
        }
    }

    /// The data plane cannot do it. Whether rows that were wished may be why: then it is asked for the state without them.
    pub(super) fn rows_refused(&mut self, now: Instant, live: &mut Live, why: Refusal, scene: bool) -> bool {
        if why == Refusal::Silent || !matches!(live.call.state(), State::Talking) {
            return false;
        }
        if let Some(asked) = live.asked.take() {
            live.rows = asked.before;
            self.reply(asked.ticket, Err(RequestError::Refused(why)));
        } else if !live.rows.are_usual() {
            live.at = now;
            live.rows = Rows::default();
            self.tell_rows(now, live, "baton");
        } else if live
            .legs
            .supervisor
            .as_ref()
            .is_some_and(|leg| leg.state == LegState::Up)
        {
            // One that can hear nothing is of no use, and must be in nobody's way.
            self.dismiss(now, live, Supervised::Refused(why), Some(NO_ROOM));
        } else {
            return false;
        }
        self.set(now, live, scene);
        true
    }

    /// A handoff has begun: its rows are the only ones.
    pub(super) fn rows_over(&mut self, live: &mut Live, why: RequestError) {
        live.rows = Rows::default();
        if let Some(asked) = live.asked.take() {
            self.reply(asked.ticket, Err(why));
        }
    }

    fn reply(&mut self, ticket: Ticket, answer: Result<Response, RequestError>) {
        self.outputs.push_back(Output::Answer(ticket, answer));
    }

    /// Invites a supervisor: one of the targets, or whom their patterns allow.
    pub(super) fn supervise(
        &mut self,
        now: Instant,
        id: CallId,
        whom: &Whom,
        by: String,
    ) -> Result<Response, RequestError> {
        let live = self.registry.call(id).ok_or(RequestError::NoCall)?;
        let wrong = |why: &str| Err(RequestError::WrongState(why.to_owned()));
        match live.call.state() {
            State::Talking | State::HandingOff(_) => {}
            State::Connecting { .. } => return wrong("the AI has not answered yet"),
            State::Calling => return wrong("the caller has not answered yet"),
            State::Goodbye { .. } => return wrong("the caller is told goodbye"),
            State::Referred { .. } | State::Ending { .. } | State::Over => return Err(RequestError::NoCall),
        }
        if live.legs.supervisor.is_some() {
            return wrong("there is a supervisor already");
        }
        let config = &live.config;
        let choice = match whom {
            Whom::Target(name) => {
                let index = config.targets.iter().position(|target| target.name == *name);
                (index.ok_or_else(|| RequestError::NoTarget(name.clone()))?, None)
            }
            Whom::Uri(uri) => {
                let none = |_| RequestError::Invalid(format!("no target's uri or pattern allows {uri:?}"));
                let choice = refer::resolve(uri, &config.targets, &self.here()).map_err(none)?;
                (choice.target, choice.uri)
            }
        };
        let Some(target) = config.targets.get(choice.0).cloned() else {
            return Err(RequestError::NoTarget(String::new()));
        };
        if target.queue.is_some() && choice.1.is_none() {
            let why = format!("{} is a queue: name the agent, by its URI", target.name);
            return Err(RequestError::Invalid(why));
        }
        let mut live = self.registry.take(id).ok_or(RequestError::NoCall)?;
        // While the session is on its way to another worker, nobody knows whose ports count.
        let taken = live.way.is_none().then(|| self.ports.take(live.worker)).flatten();
        let Some(taken) = taken else {
            self.put_back(now, live);
            return Err(RequestError::NoCapacity);
        };
        let asked = Uri::parse(&target.uri).ok().and_then(|uri| Transport::of(&uri));
        let invite = Invite {
            to: choice.1.unwrap_or(target.uri),
            from: live.from.clone(),
            next_hop: Some(target.next_hop),
            transport: target.transport.or(asked),
            headers: offer::supervisor_headers(live.id),
            offer: None,
            credentials: target.auth.into_iter().collect(),
        };
        // Keys go on in the audio of who has them there.
        let party = (Party::Supervisor, target.name.clone(), Keys::Rtp);
        let invited = self.invite(now, &mut live, party, target.codecs, taken, invite);
        let answer = match invited {
            Ok(leg) => {
                live.legs.supervisor = Some(leg);
                live.timers.arm(Timer::Supervisor, now + target.ring);
                live.at = now;
                live.supervised_by = by;
                self.tell_supervisor(now, &live, target.name, Supervised::Invited);
                Ok(Response::Done)
            }
            Err(_) => Err(RequestError::NoCapacity),
        };
        self.put_back(now, live);
        answer
    }

    /// The supervisor is to leave.
    pub(super) fn dismissed(&mut self, now: Instant, id: CallId, by: String) -> Result<Response, RequestError> {
        let live = self.registry.call(id).ok_or(RequestError::NoCall)?;
        if live.legs.supervisor.is_none() {
            return Err(RequestError::NoSupervisor);
        }
        let mut live = self.registry.take(id).ok_or(RequestError::NoCall)?;
        (live.at, live.supervised_by) = (now, by);
        self.dismiss(now, &mut live, Supervised::Dismissed, Some(DISMISSED));
        self.stand_in(now, &mut live);
        self.put_back(now, live);
        Ok(Response::Done)
    }

    /// Nobody answered in time.
    pub(super) fn supervisor_rang_out(&mut self, now: Instant, mut live: Box<Live>) {
        if live
            .legs
            .supervisor
            .as_ref()
            .is_some_and(|leg| leg.state != LegState::Up)
        {
            live.at = now;
            self.dismiss(now, &mut live, Supervised::Unreached(408), Some(NOBODY));
        }
        self.put_back(now, live);
    }

    /// It has answered, and listens.
    pub(super) fn supervisor_is_up(&mut self, now: Instant, live: &mut Live) {
        let Some(leg) = &live.legs.supervisor else { return };
        let name = leg.name.clone();
        live.timers.disarm(Timer::Supervisor);
        live.at = now;
        self.tell_supervisor(now, live, name, Supervised::Joined);
        self.refresh(now, live);
    }

    /// Its dialog has ended, or was never there.
    pub(super) fn supervisor_gone(&mut self, now: Instant, live: &mut Live, how: Supervised) {
        live.at = now;
        self.dismiss(now, live, how, None);
        self.stand_in(now, live);
    }

    /// It leaves; with a reason, by our BYE or CANCEL. What its rows were is as their scene has them with the next table.
    pub(super) fn dismiss(&mut self, now: Instant, live: &mut Live, how: Supervised, reason: Option<&str>) {
        live.timers.disarm(Timer::Supervisor);
        let Some(leg) = live.legs.supervisor.take() else { return };
        self.dropped(now, live, &leg);
        live.rows.forget(leg.id);
        if let Some(asked) = live.asked.take() {
            let why = RequestError::WrongState("the supervisor has left".to_owned());
            self.reply(asked.ticket, Err(why));
        }
        if let Some(reason) = reason {
            let _ = self.endpoint.end(now, leg.dialog, Some(reason));
        }
        self.tell_supervisor(now, live, leg.name, how);
    }

    fn tell_supervisor(&mut self, now: Instant, live: &Live, name: String, how: Supervised) {
        let by = live.supervised_by.clone();
        self.tell(now, live, What::Supervisor { name, by, how });
    }
}
