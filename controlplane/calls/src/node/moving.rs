//! Sessions that go from one worker to another: to where there is a port for the human's leg, or away from a worker that is busier than
//! it may be.

use std::time::Instant;

use media::command::Command;

use crate::call::Input;
use crate::desired::Desired;
use crate::leg::LegState;
use crate::node::{Live, Node, Output};
use crate::notice::Supervised;
use crate::ports::Taken;

/// RFC 3326: what a supervisor's phone may show.
const NO_PORT: &str = "SIP;cause=503;text=\"No capacity\"";

/// A session is on its way.
#[derive(Debug)]
pub(crate) struct Way {
    to: usize,
    /// For the target's leg, of the worker where it goes.
    port: Option<Taken>,
    /// What its worker is to be told, by then: the newest command says all that an older one did.
    command: Option<Command>,
}

impl Way {
    /// The port that is kept for the target.
    pub(crate) fn port(&self) -> Option<Taken> {
        self.port
    }
}

/// What became of sessions that were to go to another worker, since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Moves {
    /// They are there.
    pub moved: u64,
    /// They are where they were: there was no room.
    pub stayed: u64,
}

impl Live {
    /// Whether all of its ports are in use by the data plane, which has answered all that it was asked for: then nothing crosses a move.
    fn may_go(&self) -> bool {
        self.is_up() && self.way.is_none() && self.retiring.is_empty() && self.desired.settled()
    }

    fn is_up(&self) -> bool {
        self.began.is_some() && self.legs.iter().all(|leg| leg.state == LegState::Up)
    }
}

impl Node {
    /// Sessions that were to go to another worker.
    pub fn moves(&self) -> Moves {
        self.moves
    }

    /// There is no port for the target's leg where the session is: it is to go to where there is one, as soon as nothing is unanswered.
    pub(super) fn look_for_a_port(&mut self, now: Instant, live: &mut Live) -> Option<Input> {
        live.awaits_port = true;
        if live.way.is_some() {
            return None;
        }
        // A session goes only where all its legs are up, and nobody waits for a supervisor to answer.
        if live
            .legs
            .supervisor
            .as_ref()
            .is_some_and(|leg| leg.state != LegState::Up)
        {
            self.dismiss(now, live, Supervised::NoPort, Some(NO_PORT));
            if let Some(port) = self.ports.take(live.worker) {
                live.awaits_port = false;
                return self.invite_target(now, live, Some(port));
            }
        }
        let Some(to) = self.ports.elsewhere(live.worker) else {
            live.awaits_port = false;
            return Some(Input::NoCapacity);
        };
        if live.may_go() {
            let port = self.ports.take(to);
            self.go(live, to, port);
        } else if live.is_up() && live.desired.in_force() {
            // Once the worker has answered the next command, no copy of this one can come, and it has no legs that have left.
            self.refresh(now, live);
        }
        None
    }

    /// The data plane has answered something: the target's leg may be waiting for that.
    pub(super) fn settled(&mut self, now: Instant, live: &mut Live) -> Option<Input> {
        let waits = live.way.is_none() && std::mem::take(&mut live.awaits_port);
        waits.then(|| self.invite_target(now, live, None)).flatten()
    }

    fn go(&mut self, live: &mut Live, to: usize, port: Option<Taken>) {
        self.ports.goes(live.worker, to);
        live.way = Some(Way {
            to,
            port,
            command: None,
        });
        self.outputs.push_back(Output::Move {
            session: Desired::session(&live.desired),
            from: live.worker,
            to,
        });
    }

    /// A command for a session that is on its way waits until it is there; `None`: it does.
    pub(super) fn unless_it_moves(live: &mut Live, command: Command) -> Option<Command> {
        match &mut live.way {
            Some(way) => {
                way.command = Some(command);
                None
            }
            None => Some(command),
        }
    }

    /// The session is there, or stays where it was. The other worker has its ports from now on.
    pub(super) fn moved(&mut self, now: Instant, mut live: Box<Live>, moved: bool) {
        let Some(way) = live.way.take() else {
            return self.put_back(now, live);
        };
        if moved {
            self.moves.moved += 1;
            let retiring = live.retiring.iter_mut().map(|(_, taken)| taken);
            for taken in live.legs.iter_mut().map(|leg| &mut leg.taken).chain(retiring) {
                self.ports.follow(taken, way.to);
            }
            self.ports.gone(now, (live.worker, way.to), live.began);
            (live.worker, live.began) = (way.to, Some(now));
        } else {
            self.moves.stayed += 1;
            self.ports.stays(live.worker, way.to);
        }
        if let Some(command) = way.command {
            self.command(now, &mut live, command);
        }
        let invites = std::mem::take(&mut live.awaits_port);
        let kept = way.port.filter(|_| invites && moved);
        if let (Some(port), None) = (way.port, kept) {
            self.ports.release(now, port);
        }
        let input = match (invites, moved) {
            (false, _) => None,
            // It was to go for a port, and cannot.
            (true, false) if way.port.is_some() => Some(Input::NoCapacity),
            (true, _) => self.invite_target(now, &mut live, kept),
        };
        match input {
            Some(input) => self.drive(now, now, live, input),
            None => self.put_back(now, live),
        }
    }

    /// Where a worker is busier than it may be, and another is not, sessions go from the one to the other.
    pub(super) fn balance(&mut self, now: Instant) {
        let Some(imbalance) = self.ports.imbalance() else {
            return;
        };
        let calls = self.registry.calls();
        let chosen: Vec<_> = calls
            .filter(|(_, live)| live.worker == imbalance.from && live.call.handoff().is_none() && live.may_go())
            .map(|(id, _)| id)
            .take(imbalance.sessions)
            .collect();
        for id in chosen {
            let Some(mut live) = self.registry.take(id) else {
                continue;
            };
            self.go(&mut live, imbalance.to, None);
            self.put_back(now, live);
        }
    }
}
