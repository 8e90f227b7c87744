//! Non-INVITE client transaction (RFC 3261 §17.1.2).

use std::time::{Duration, Instant};

use super::{Act, ClientInput};
use crate::timer::{Timer, Timers, Times};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Trying,
    Proceeding,
    Completed,
    Terminated,
}

/// A BYE or CANCEL of ours.
#[derive(Clone, Debug)]
pub(crate) struct ClientOther {
    state: State,
    interval: Duration,
    pub(crate) timers: Timers,
}

impl ClientOther {
    /// The request has just been sent.
    pub(crate) fn new(now: Instant, times: &Times) -> ClientOther {
        let mut timers = Timers::default();
        if !times.reliable {
            timers.set(Timer::E, now + times.t1);
        }
        timers.set(Timer::F, now + times.timeout());
        ClientOther {
            state: State::Trying,
            interval: times.t1,
            timers,
        }
    }

    /// One step.
    pub(crate) fn handle(&mut self, now: Instant, times: &Times, input: ClientInput) -> Act {
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

    /// No final answer came yet.
    pub(crate) fn is_pending(&self) -> bool {
        matches!(self.state, State::Trying | State::Proceeding)
    }

    /// The request goes as a datagram from now on.
    pub(crate) fn repeat(&mut self, now: Instant, times: &Times) {
        if self.is_pending() {
            self.interval = times.t1;
            self.timers.set(Timer::E, now + times.t1);
        }
    }

    fn trying(&mut self, now: Instant, times: &Times, input: ClientInput) -> Act {
        match input {
            ClientInput::Timer(Timer::E) => {
                // "the timer is reset, but this time with a value of MIN(2*T1, T2)."
                self.interval = (self.interval * 2).min(times.t2);
                self.timers.set(Timer::E, now + self.interval);
                Act::Send
            }
            ClientInput::Status(100..=199) => {
                self.state = State::Proceeding;
                Act::Pass
            }
            input => self.until_final(now, times, input),
        }
    }

    fn proceeding(&mut self, now: Instant, times: &Times, input: ClientInput) -> Act {
        match input {
            ClientInput::Timer(Timer::E) => {
                // "If Timer E fires while in the "Proceeding" state […] Timer E MUST be reset with a value of T2 seconds."
                self.timers.set(Timer::E, now + times.t2);
                Act::Send
            }
            ClientInput::Status(100..=199) => Act::Pass,
            input => self.until_final(now, times, input),
        }
    }

    /// What Trying and Proceeding have in common.
    fn until_final(&mut self, now: Instant, times: &Times, input: ClientInput) -> Act {
        match input {
            ClientInput::Status(_) => {
                self.timers.stop_all();
                self.state = State::Completed;
                self.timers.set(Timer::K, now + times.absorb(times.t4));
                Act::Pass
            }
            ClientInput::Timer(Timer::F) => self.terminate(Act::TimedOut),
            ClientInput::Unreachable | ClientInput::Disconnected => self.terminate(Act::Failed),
            ClientInput::Timer(_) | ClientInput::GiveUp => Act::Nothing,
        }
    }

    fn completed(&mut self, input: ClientInput) -> Act {
        match input {
            ClientInput::Timer(Timer::K) => self.terminate(Act::Nothing),
            ClientInput::Status(_)
            | ClientInput::Timer(_)
            | ClientInput::Unreachable
            | ClientInput::Disconnected
            | ClientInput::GiveUp => Act::Nothing,
        }
    }

    fn terminate(&mut self, act: Act) -> Act {
        self.timers.stop_all();
        self.state = State::Terminated;
        act
    }
}
