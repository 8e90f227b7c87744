//! INVITE server transaction (RFC 3261 §17.2.1 with RFC 6026 §7.1).

use std::time::{Duration, Instant};

use super::{Act, ServerInput};
use crate::timer::{Timer, Timers, Times};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Proceeding,
    Completed,
    Confirmed,
    Accepted,
    Terminated,
}

/// An INVITE that came.
#[derive(Clone, Debug)]
pub(crate) struct ServerInvite {
    state: State,
    interval: Duration,
    pub(crate) timers: Timers,
}

impl ServerInvite {
    /// The request has just come.
    pub(crate) fn new(times: &Times) -> ServerInvite {
        ServerInvite {
            state: State::Proceeding,
            interval: times.t1,
            timers: Timers::default(),
        }
    }

    /// One step.
    pub(crate) fn handle(&mut self, now: Instant, times: &Times, input: ServerInput) -> Act {
        match self.state {
            State::Proceeding => self.proceeding(now, times, input),
            State::Completed => self.completed(now, times, input),
            State::Confirmed => self.confirmed(input),
            State::Accepted => self.accepted(input),
            State::Terminated => Act::Nothing,
        }
    }

    pub(crate) fn is_terminated(&self) -> bool {
        self.state == State::Terminated
    }

    /// No final answer was given yet.
    pub(crate) fn is_pending(&self) -> bool {
        self.state == State::Proceeding
    }

    /// A refusal waits for its ACK.
    pub(crate) fn is_completed(&self) -> bool {
        self.state == State::Completed
    }

    fn proceeding(&mut self, now: Instant, times: &Times, input: ServerInput) -> Act {
        match input {
            // "If a request retransmission is received while in the "Proceeding" state, the most recent provisional response
            // […] MUST be passed to the transport layer for retransmission."
            ServerInput::Request => Act::Send,
            ServerInput::Respond(100..=199) => Act::Send,
            ServerInput::Respond(200..=299) => {
                self.state = State::Accepted;
                self.timers.set(Timer::L, now + times.timeout());
                Act::Send
            }
            ServerInput::Respond(_) => {
                self.state = State::Completed;
                if !times.reliable {
                    self.timers.set(Timer::G, now + times.t1);
                }
                self.timers.set(Timer::H, now + times.timeout());
                Act::Send
            }
            ServerInput::Ack | ServerInput::Timer(_) => Act::Nothing,
        }
    }

    fn completed(&mut self, now: Instant, times: &Times, input: ServerInput) -> Act {
        match input {
            ServerInput::Request => Act::Send,
            ServerInput::Ack => {
                self.timers.stop_all();
                self.state = State::Confirmed;
                self.timers.set(Timer::I, now + times.absorb(times.t4));
                Act::Pass
            }
            ServerInput::Timer(Timer::G) => {
                // "reset with a value of MIN(2*T1, T2)", and doubled up to T2 from then on.
                self.interval = (self.interval * 2).min(times.t2);
                self.timers.set(Timer::G, now + self.interval);
                Act::Send
            }
            ServerInput::Timer(Timer::H) => {
                self.timers.stop_all();
                self.state = State::Terminated;
                Act::TimedOut
            }
            ServerInput::Timer(_) | ServerInput::Respond(_) => Act::Nothing,
        }
    }

    /// "The purpose of the "Confirmed" state is to absorb any additional ACK messages that arrive".
    fn confirmed(&mut self, input: ServerInput) -> Act {
        if input == ServerInput::Timer(Timer::I) {
            self.timers.stop_all();
            self.state = State::Terminated;
        }
        Act::Nothing
    }

    /// RFC 6026 §7.1: retransmissions of the INVITE are absorbed without an answer, an ACK goes to the TU, and only the TU
    /// repeats the 2xx.
    fn accepted(&mut self, input: ServerInput) -> Act {
        match input {
            ServerInput::Ack => Act::Pass,
            ServerInput::Timer(Timer::L) => {
                self.timers.stop_all();
                self.state = State::Terminated;
                Act::Nothing
            }
            ServerInput::Request | ServerInput::Respond(_) | ServerInput::Timer(_) => Act::Nothing,
        }
    }
}
