//! INVITE client transaction (RFC 3261 §17.1.1 with RFC 6026 §7.2).

use std::time::{Duration, Instant};

use super::{Act, ClientInput};
use crate::timer::{Timer, Timers, Times};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Calling,
    Proceeding,
    Completed,
    Accepted,
    Terminated,
}

/// An INVITE of ours.
#[derive(Clone, Debug)]
pub(crate) struct ClientInvite {
    state: State,
    interval: Duration,
    given_up: bool,
    pub(crate) timers: Timers,
}

impl ClientInvite {
    /// The request has just been sent.
    pub(crate) fn new(now: Instant, times: &Times) -> ClientInvite {
        let mut timers = Timers::default();
        // §17.1.1.2: "If an unreliable transport is being used, the client transaction MUST start timer A with a value of T1."
        if !times.reliable {
            timers.set(Timer::A, now + times.t1);
        }
        timers.set(Timer::B, now + times.timeout());
        ClientInvite {
            state: State::Calling,
            interval: times.t1,
            given_up: false,
            timers,
        }
    }

    /// One step.
    pub(crate) fn handle(&mut self, now: Instant, times: &Times, input: ClientInput) -> Act {
        match self.state {
            State::Calling => self.calling(now, times, input),
            State::Proceeding => self.proceeding(now, times, input),
            State::Completed => self.completed(input),
            State::Accepted => self.accepted(input),
            State::Terminated => Act::Nothing,
        }
    }

    pub(crate) fn is_terminated(&self) -> bool {
        self.state == State::Terminated
    }

    /// No final answer came yet.
    pub(crate) fn is_pending(&self) -> bool {
        matches!(self.state, State::Calling | State::Proceeding)
    }

    /// A provisional answer came, and no final one.
    pub(crate) fn is_proceeding(&self) -> bool {
        self.state == State::Proceeding
    }

    /// The same, and nobody wants that any more.
    pub(crate) fn is_given_up(&self) -> bool {
        self.is_proceeding() && self.given_up
    }

    /// Nothing was answered, or the ACK of a refusal is on its way.
    pub(crate) fn fails_undelivered(&self) -> bool {
        matches!(self.state, State::Calling | State::Completed)
    }

    /// The request goes as a datagram from now on.
    pub(crate) fn repeat(&mut self, now: Instant, times: &Times) {
        if self.state == State::Calling {
            self.interval = times.t1;
            self.timers.set(Timer::A, now + times.t1);
        }
    }

    fn calling(&mut self, now: Instant, times: &Times, input: ClientInput) -> Act {
        match input {
            ClientInput::Timer(Timer::A) => {
                // "When timer A fires, the client transaction MUST retransmit the request […] and MUST reset the timer with a
                // value of 2*T1."
                self.interval *= 2;
                self.timers.set(Timer::A, now + self.interval);
                Act::Send
            }
            ClientInput::Timer(Timer::B) => self.terminate(Act::TimedOut),
            ClientInput::Status(100..=199) => {
                self.timers.stop_all();
                self.state = State::Proceeding;
                if self.given_up {
                    self.timers.set(Timer::B, now + times.timeout());
                }
                Act::Pass
            }
            ClientInput::Status(status) => self.final_answer(now, times, status),
            ClientInput::GiveUp => {
                self.given_up = true;
                Act::Nothing
            }
            ClientInput::Unreachable | ClientInput::Disconnected => self.terminate(Act::Failed),
            ClientInput::Timer(_) => Act::Nothing,
        }
    }

    fn proceeding(&mut self, now: Instant, times: &Times, input: ClientInput) -> Act {
        match input {
            ClientInput::Status(100..=199) => Act::Pass,
            ClientInput::Status(status) => self.final_answer(now, times, status),
            ClientInput::GiveUp => {
                // §9.1: "If there is no final response for the original request in 64*T1 seconds […], the client SHOULD then
                // consider the original transaction cancelled and SHOULD destroy the client transaction".
                self.given_up = true;
                self.timers.set(Timer::B, now + times.timeout());
                Act::Nothing
            }
            ClientInput::Timer(Timer::B) => self.terminate(Act::TimedOut),
            ClientInput::Disconnected => self.terminate(Act::Failed),
            // The peer is there: it has answered. An ICMP error now is about something else.
            ClientInput::Timer(_) | ClientInput::Unreachable => Act::Nothing,
        }
    }

    fn final_answer(&mut self, now: Instant, times: &Times, status: u16) -> Act {
        self.timers.stop_all();
        if status < 300 {
            self.state = State::Accepted;
            self.timers.set(Timer::M, now + times.timeout());
            Act::Pass
        } else {
            self.state = State::Completed;
            // Timer D is "at least 32 seconds" at the default T1: 64·T1.
            self.timers.set(Timer::D, now + times.absorb(times.timeout()));
            Act::AckAndPass
        }
    }

    fn completed(&mut self, input: ClientInput) -> Act {
        match input {
            ClientInput::Status(300..=699) => Act::Ack,
            ClientInput::Timer(Timer::D) => self.terminate(Act::Nothing),
            // "The client transaction MUST inform the TU" of a transport error; the TU has its final answer already.
            ClientInput::Unreachable => self.terminate(Act::Nothing),
            ClientInput::Status(_) | ClientInput::Timer(_) | ClientInput::Disconnected | ClientInput::GiveUp => {
                Act::Nothing
            }
        }
    }

    /// RFC 6026 §7.2: "2xx […] MUST be passed to the TU", which acknowledges it.
    fn accepted(&mut self, input: ClientInput) -> Act {
        match input {
            ClientInput::Status(200..=299) => Act::Pass,
            ClientInput::Timer(Timer::M) => self.terminate(Act::Nothing),
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
