//! Sessions that come from other workers or go to them ([`crate::moving`]).

use std::sync::Arc;

use arrayvec::ArrayVec;
use media::command::Port;
use media::core::Departure;

use super::Worker;
use crate::channel::{Channel, Said};
use crate::moving::{MOVES_MAX, Move, SOCKETS_MAX, Stage};

/// Moves in this worker's hands.
pub(crate) struct Moves {
    /// All workers, this one too.
    peers: Arc<[Arc<Channel>]>,
    /// Sessions that are about to go.
    leaving: ArrayVec<Box<Move>, MOVES_MAX>,
    /// Those of which the reader of the events is to hear.
    told: ArrayVec<Box<Move>, MOVES_MAX>,
}

impl Moves {
    pub(crate) fn new(peers: Arc<[Arc<Channel>]>) -> Moves {
        Moves {
            peers,
            leaving: ArrayVec::new(),
            told: ArrayVec::new(),
        }
    }

    fn hand_on(&self, to: usize, step: Box<Move>) {
        self.peers[to].hand_on(step);
    }
}

impl Worker {
    pub(super) fn is_leaving(&self) -> bool {
        !self.moves.leaving.is_empty()
    }

    /// Brings every move a step further.
    pub(super) fn moves(&mut self) {
        for step in std::mem::take(&mut self.moves.leaving) {
            self.leave(step);
        }
        for mut step in self.channel.moves() {
            match step.stage {
                Stage::Room => {
                    if self.make_room() {
                        step.stage = Stage::Leave;
                        self.moves.hand_on(step.from, step);
                    } else {
                        self.tell(step, false);
                    }
                }
                Stage::Leave => self.leave(step),
                Stage::Arrive => self.arrive(step),
                Stage::Told(_) => debug_assert!(false, "it is over"),
            }
        }
    }

    fn make_room(&mut self) -> bool {
        if !self.sockets.keep(SOCKETS_MAX) {
            return false;
        }
        let room = self.core.expect();
        if !room {
            self.sockets.keep_no_more(SOCKETS_MAX);
        }
        room
    }

    fn leave(&mut self, mut step: Box<Move>) {
        if !step.state.is_empty() {
            // The kernel was entered since: it has what was queued for sending.
            self.give_sockets(step);
            return;
        }
        if !self.is_quiet(&mut step) {
            self.moves.leaving.push(step);
            return;
        }
        self.ask_drops(step.session);
        match self.core.depart(step.session, &mut step.state) {
            Departure::Gone => {
                step.said = self.channel.said();
                self.moves.leaving.push(step);
            }
            Departure::NotYet => self.moves.leaving.push(step),
            Departure::Unknown => {
                step.stage = Stage::Arrive;
                self.moves.hand_on(step.to, step);
            }
        }
    }

    /// Ends the receives of the session's ports, as they are now. `true` once they have ended.
    fn is_quiet(&mut self, step: &mut Move) -> bool {
        let ports = self.core.ports(step.session);
        for port in &step.quiet {
            // Its leg has gone meanwhile.
            if !ports.contains(port) {
                for (_, socket) in self.sockets.of(*port) {
                    self.net.resume(socket);
                }
            }
        }
        let mut quiet = true;
        for (_, socket) in ports.iter().flat_map(|port| self.sockets.of(*port)) {
            quiet &= self.net.quiesce(socket);
        }
        step.quiet = ports;
        quiet
    }

    fn give_sockets(&mut self, mut step: Box<Move>) {
        for (port, socket) in step.quiet.iter().flat_map(|port| self.sockets.of(*port)) {
            if let Some(socket) = self.net.release(socket) {
                step.sockets.push((port.0, socket));
            }
        }
        for port in &step.quiet {
            self.sockets.remove(port.0);
            self.sockets.remove(port.0 + 1);
        }
        step.stage = Stage::Arrive;
        self.moves.hand_on(step.to, step);
    }

    fn arrive(&mut self, mut step: Box<Move>) {
        let moved = !step.state.is_empty();
        self.sockets.keep_no_more(SOCKETS_MAX);
        for (port, socket) in step.sockets.drain(..) {
            if let Some(index) = self.sockets.add(port) {
                self.net.adopt(index, socket);
            }
        }
        self.core.arrive(&mut step.state);
        self.tell(step, moved);
    }

    fn tell(&mut self, mut step: Box<Move>, moved: bool) {
        step.stage = Stage::Told(moved);
        self.moves.told.push(step);
    }

    /// A send from this port has failed: it may be of a session that is out of the core already.
    pub(super) fn lost_on_the_way(&mut self, port: Port) {
        let _ = self.moves.leaving.iter_mut().any(|step| step.state.lost(port));
    }

    /// Says which sessions have come, before anything that the core says of them. Returns how many events that makes.
    pub(super) fn tell_moves(&mut self) -> usize {
        let mut told = 0;
        while !self.moves.told.is_empty() && self.channel.room_for_event() {
            self.channel.push_event(Said::Moved(self.moves.told.remove(0)));
            told += 1;
        }
        told
    }
}
