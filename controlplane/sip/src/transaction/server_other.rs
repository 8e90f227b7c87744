//! Non-INVITE server transaction (RFC 3261 §17.2.2).

use std::time::Instant;

use super::{Act, ServerInput};
use crate::timer::{Timer, Timers, Times};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Trying,
    Proceeding,
    Completed,
    Terminated,
}

/// A BYE that came.
#[derive(Clone, Debug)]
pub(crate) struct ServerOther {
    state: State,
    pub(crate) timers: Timers,
}

impl ServerOther {
    /// The request has just come.
    pub(crate) fn new() -> ServerOther {
        ServerOther {
            state: State::Trying,
            timers: Timers::default(),
        }
    }

    /// One step.
    pub(crate) fn handle(&mut self, now: Instant, times: &Times, input: ServerInput) -> Act {
        match self.state {
            State::Trying => self.trying(now, times, input),
            State::Proceeding => self.proceeding(now, times, input),
            State::Completed => self.completed(input),
            State::Terminated => Act::Nothing,
        }
    }

    pub(crate) fn is_terminated(&self) -> bool {
        self.state == State::Terminated
    }

    /// "any further request retransmissions that match the transaction are discarded" while nothing was answered.
    fn trying(&mut self, now: Instant, times: &Times, input: ServerInput) -> Act {
        match input {
            ServerInput::Respond(100..=199) => {
                self.state = State::Proceeding;
                Act::Send
            }
            ServerInput::Respond(_) => self.final_answer(now, times),
            ServerInput::Request | ServerInput::Ack | ServerInput::Timer(_) => Act::Nothing,
        }
    }

    fn proceeding(&mut self, now: Instant, times: &Times, input: ServerInput) -> Act {
        match input {
            ServerInput::Request | ServerInput::Respond(100..=199) => Act::Send,
            ServerInput::Respond(_) => self.final_answer(now, times),
            ServerInput::Ack | ServerInput::Timer(_) => Act::Nothing,
        }
    }

    fn final_answer(&mut self, now: Instant, times: &Times) -> Act {
        self.state = State::Completed;
        self.timers.set(Timer::J, now + times.absorb(times.timeout()));
        Act::Send
    }

    fn completed(&mut self, input: ServerInput) -> Act {
        match input {
            ServerInput::Request => Act::Send,
            ServerInput::Timer(Timer::J) => {
                self.timers.stop_all();
                self.state = State::Terminated;
                Act::Nothing
            }
            // "Any other final responses passed by the TU to the server transaction MUST be discarded".
            ServerInput::Respond(_) | ServerInput::Ack | ServerInput::Timer(_) => Act::Nothing,
        }
    }
}
