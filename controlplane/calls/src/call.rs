//! The call: one match over (state, input) that returns actions.
//!
//! It knows nothing of SIP, SDP or ports: whoever drives it turns events into [`Input`]s and carries out [`Action`]s, in
//! order and at once. From the trigger of a handoff to its end the [`Handoff`] decides; what ends the call is decided
//! here, in every state.

use media::command::{PlayId, WindowId};
use media::evidence::Evidence;

use crate::handoff::{Handoff, Next, Order};
use crate::notice::{HandoffId, Party, Reason, Step};
use crate::request::RequestError;
use crate::timer::Timer;

/// What happens to a call.
#[derive(Clone, Debug, PartialEq)]
pub enum Input {
    /// The caller hung up, cancelled, or was lost.
    CallerGone,
    /// The AI's phone rings.
    AiRinging,
    /// The AI answered, and its codec fits.
    AiAnswered,
    /// The AI was not reached: its status.
    AiFailed(u16),
    /// The AI hung up.
    AiGone,
    /// The human's phone rings.
    HumanRinging,
    /// The human answered, and the codec fits.
    HumanAnswered,
    /// The human was not reached: the status.
    HumanFailed(u16),
    /// The human cannot be invited: no port is left.
    NoCapacity,
    /// The human hung up after the answer.
    HumanGone,
    /// The human pressed a key.
    Digit(char),
    /// The scene that was last asked for is in force.
    Applied,
    /// The scene that was last asked for is impossible, or the data plane is silent. What was in force stays so.
    MediaFailed(Reason),
    /// This item of this act of playing is over.
    Played(PlayId, u8),
    /// The human's first audible word went to the caller.
    FirstWord,
    /// The window is closed.
    Evidence(Vec<(Party, Evidence)>),
    /// Nothing of the session is left.
    MediaEnded,
    /// A timer fired.
    Timer(Timer),
    /// Hand off.
    Handoff(Order),
    /// The human takes the call, by API.
    Accept,
    /// The human does not, by API.
    Decline,
    /// The request is taken back.
    Cancel,
    /// Hang up, by API.
    HangUp,
}

/// What is to be done.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// 180 to the caller.
    RingCaller,
    /// 200 to the caller; the call has started.
    AnswerCaller,
    /// Final refusal of the caller's INVITE.
    RejectCaller(u16),
    /// BYE to the caller, with a Reason (RFC 3326).
    EndCaller(&'static str),
    /// INVITE to this agent: an index into the agents of this call.
    InviteAi(usize),
    /// CANCEL or BYE to the AI.
    EndAi(&'static str),
    /// INVITE to this target, an index into the targets of the configuration; the context goes out.
    InviteHuman(usize),
    /// CANCEL or BYE to the human.
    EndHuman(&'static str),
    /// Make the table so; with the window of evidence, if one is open.
    Show(Scene, Option<WindowId>),
    /// The scene as it is, with the window closed: its evidence comes.
    Unwatch,
    /// End the session.
    EndMedia,
    /// Start a timer; its length is the driver's.
    Arm(Timer),
    /// Stop a timer.
    Disarm(Timer),
    /// Tell a step of a handoff.
    Tell(HandoffId, Step),
    /// Tell the step `joined`, with the codecs.
    TellJoined(HandoffId),
    /// Tell the end of the call. Nothing of it is left.
    TellEnded(&'static str),
}

/// Who hears what, by name. `spec.rs` makes the table of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scene {
    /// The AI is invited: nobody hears anything.
    Setup,
    /// Caller and AI hear each other.
    Conversation,
    /// The caller hears announcement (unless `hold_only`) and hold audio, nobody else anything.
    Waiting {
        /// The caller's.
        play: PlayId,
        /// Without the announcement.
        hold_only: bool,
    },
    /// As waiting, and the human hears the briefing.
    Briefing {
        /// The caller's.
        play: PlayId,
        /// Without the announcement.
        hold_only: bool,
        /// The human's.
        briefing: PlayId,
        /// Whose briefing it is: an index into the targets of the configuration.
        target: usize,
    },
    /// Caller and human hear each other; the AI, where it is still there, nothing.
    Joined,
    /// The caller hears why it did not work, then the AI; the AI hears the caller at once.
    Returned {
        /// The caller's.
        play: PlayId,
        /// What is said.
        apology: Apology,
    },
    /// The caller hears goodbye.
    Goodbye {
        /// The caller's.
        play: PlayId,
    },
}

/// What a caller is told who goes back to the AI.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Apology {
    /// Everybody is busy.
    Busy,
    /// Nobody answered.
    NoAnswer,
    /// It did not work.
    Failed,
}

/// What a call is doing.
#[derive(Clone, Debug, PartialEq)]
pub enum State {
    /// This agent of the call's agents is invited; the caller has no answer yet.
    Connecting {
        /// Which.
        agent: usize,
    },
    /// Caller and AI.
    Talking,
    /// From the trigger to the last step of the handoff.
    HandingOff(Handoff),
    /// Caller and human.
    HandedOff,
    /// The dialogs are ended, the session is ending.
    Ending {
        /// Who ended it.
        by: &'static str,
        /// The handoff that the end cut short, until its evidence is in.
        handoff: Option<Handoff>,
    },
    /// Nothing is left.
    Over,
}

/// Who is there besides the caller, and what has been played.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Parties {
    /// The AI is invited or there.
    pub ai: bool,
    /// A human is invited or there.
    pub human: bool,
    plays: u64,
}

impl Parties {
    /// A new act of playing.
    pub(crate) fn play(&mut self) -> PlayId {
        self.plays += 1;
        PlayId(self.plays)
    }

    /// CANCEL or BYE to the human, if there is one.
    pub(crate) fn end_human(&mut self, reason: &'static str, out: &mut Vec<Action>) {
        if std::mem::take(&mut self.human) {
            out.push(Action::EndHuman(reason));
        }
    }

    /// CANCEL or BYE to the AI, if it is there.
    pub(crate) fn end_ai(&mut self, reason: &'static str, out: &mut Vec<Action>) {
        if std::mem::take(&mut self.ai) {
            out.push(Action::EndAi(reason));
        }
    }
}

/// Reason header values (RFC 3326).
pub(crate) mod cause {
    pub(crate) const CALLER_GONE: &str = "SIP;cause=487;text=\"Caller hung up\"";
    pub(crate) const PEER_GONE: &str = "SIP;cause=200;text=\"Other party hung up\"";
    pub(crate) const HANDED_OFF: &str = "SIP;cause=200;text=\"Handed off to a human\"";
    pub(crate) const NO_ANSWER: &str = "SIP;cause=480;text=\"No answer in time\"";
    pub(crate) const NOT_ACCEPTED: &str = "SIP;cause=480;text=\"Not accepted\"";
    pub(crate) const TAKEN_BACK: &str = "SIP;cause=487;text=\"Request taken back\"";
    pub(crate) const HUNG_UP: &str = "SIP;cause=200;text=\"Ended by the operator\"";
    pub(crate) const FAULT: &str = "SIP;cause=500;text=\"Media failure\"";
}

/// One call.
#[derive(Clone, Debug, PartialEq)]
pub struct Call {
    state: State,
    parties: Parties,
    /// How many agents can be tried.
    agents: usize,
    started: bool,
}

impl Call {
    /// A caller's INVITE came: its first actions. `agents` is how many AI agents can be tried, at least one.
    pub fn new(agents: usize) -> (Call, Vec<Action>) {
        let parties = Parties {
            ai: true,
            human: false,
            plays: 0,
        };
        let call = Call {
            state: State::Connecting { agent: 0 },
            parties,
            agents,
            started: false,
        };
        (
            call,
            vec![
                Action::Show(Scene::Setup, None),
                Action::InviteAi(0),
                Action::Arm(Timer::AiAnswer),
            ],
        )
    }

    /// What it is doing.
    pub fn state(&self) -> &State {
        &self.state
    }

    /// Whether it has been answered.
    pub fn started(&self) -> bool {
        self.started
    }

    /// The handoff that is not closed yet.
    pub fn handoff(&self) -> Option<&Handoff> {
        match &self.state {
            State::HandingOff(handoff)
            | State::Ending {
                handoff: Some(handoff), ..
            } if !handoff.closed() => Some(handoff),
            _ => None,
        }
    }

    /// The state's name, as the API shows it.
    pub fn name(&self) -> &'static str {
        match &self.state {
            State::Connecting { .. } => "connecting",
            State::Talking => "talking",
            State::HandingOff(_) => "handing_off",
            State::HandedOff => "handed_off",
            State::Ending { .. } | State::Over => "ending",
        }
    }

    /// Whether a user's wish fits the state. [`Call::handle`] does nothing on one that does not.
    pub fn allows(&self, wish: &Input) -> Result<(), RequestError> {
        let wrong = |what: &str| Err(RequestError::WrongState(what.to_owned()));
        match (&self.state, wish) {
            (State::Ending { .. } | State::Over, _) => Err(RequestError::NoCall),
            (_, Input::HangUp) | (State::Talking, Input::Handoff(_)) => Ok(()),
            (State::HandingOff(handoff), Input::Handoff(_)) => Err(RequestError::Running(handoff.id())),
            (State::HandingOff(handoff), wish) => handoff.allows(wish),
            (State::Connecting { .. }, Input::Handoff(_)) => wrong("the AI has not answered yet"),
            (State::HandedOff, Input::Handoff(_)) => wrong("the call is with a human"),
            (_, _) => Err(RequestError::NoHandoff),
        }
    }

    /// What an input leads to.
    pub fn handle(&mut self, input: Input) -> Vec<Action> {
        let mut out = Vec::new();
        let state = std::mem::replace(&mut self.state, State::Over);
        self.state = match (state, input) {
            // Connecting: the caller waits for an AI.
            (state @ State::Connecting { .. }, Input::AiRinging) => {
                out.push(Action::RingCaller);
                state
            }
            (State::Connecting { .. }, Input::AiAnswered) => {
                self.started = true;
                out.extend([
                    Action::Disarm(Timer::AiAnswer),
                    Action::AnswerCaller,
                    Action::Show(Scene::Conversation, None),
                ]);
                State::Talking
            }
            (State::Connecting { agent }, Input::AiFailed(status)) => {
                self.parties.ai = false;
                self.next_agent(agent, status, &mut out)
            }
            (State::Connecting { agent }, Input::Timer(Timer::AiAnswer)) => {
                self.parties.end_ai(cause::NO_ANSWER, &mut out);
                self.next_agent(agent, 480, &mut out)
            }
            (State::Connecting { .. }, Input::CallerGone) => self.end("caller", cause::CALLER_GONE, None, &mut out),
            (State::Connecting { .. }, Input::HangUp) => {
                out.push(Action::RejectCaller(480));
                self.end("api", cause::HUNG_UP, None, &mut out)
            }
            (State::Connecting { .. }, Input::MediaFailed(_)) => {
                out.push(Action::RejectCaller(503));
                self.end("error", cause::FAULT, None, &mut out)
            }

            // Talking to the AI, or handed off: who hangs up ends it for the other.
            (State::Talking, Input::Handoff(order)) => {
                State::HandingOff(Handoff::start(order, &mut self.parties, &mut out))
            }
            (State::Talking | State::HandedOff, Input::CallerGone) => {
                self.end("caller", cause::CALLER_GONE, None, &mut out)
            }
            (State::Talking, Input::AiGone) => {
                self.parties.ai = false;
                out.push(Action::EndCaller(cause::PEER_GONE));
                self.end("ai", cause::PEER_GONE, None, &mut out)
            }
            (State::HandedOff, Input::HumanGone) => {
                self.parties.human = false;
                out.push(Action::EndCaller(cause::PEER_GONE));
                self.end("human", cause::PEER_GONE, None, &mut out)
            }
            (State::Talking | State::HandedOff, Input::HangUp) => {
                out.push(Action::EndCaller(cause::HUNG_UP));
                self.end("api", cause::HUNG_UP, None, &mut out)
            }
            (State::Talking | State::HandedOff, Input::MediaFailed(_)) => {
                out.push(Action::EndCaller(cause::FAULT));
                self.end("error", cause::FAULT, None, &mut out)
            }

            // Handing off: what ends the call is decided here, all else by the handoff.
            (State::HandingOff(mut handoff), Input::CallerGone) => {
                handoff.cut_short(Some(Reason::CallerHangup));
                self.end("caller", cause::CALLER_GONE, Some(handoff), &mut out)
            }
            (State::HandingOff(mut handoff), Input::HangUp) => {
                handoff.cut_short(None);
                out.push(Action::EndCaller(cause::HUNG_UP));
                self.end("api", cause::HUNG_UP, Some(handoff), &mut out)
            }
            (State::HandingOff(mut handoff), input) => match handoff.handle(input, &mut self.parties, &mut out) {
                Next::Same => State::HandingOff(handoff),
                Next::Talking => State::Talking,
                Next::HandedOff => State::HandedOff,
                Next::End(by, reason) => {
                    out.push(Action::EndCaller(reason));
                    self.end(by, reason, Some(handoff), &mut out)
                }
            },

            // Ending: the evidence may come, then the session's end must.
            (
                State::Ending {
                    by,
                    handoff: Some(mut handoff),
                },
                Input::Evidence(listeners),
            ) => {
                handoff.close(Some(listeners), &mut out);
                State::Ending {
                    by,
                    handoff: Some(handoff),
                }
            }
            (
                State::Ending {
                    by,
                    handoff: Some(handoff),
                },
                Input::FirstWord,
            ) => {
                handoff.tell_first_word(&mut out);
                State::Ending {
                    by,
                    handoff: Some(handoff),
                }
            }
            (State::Ending { by, handoff }, Input::MediaEnded) => {
                if let Some(mut handoff) = handoff {
                    handoff.close(None, &mut out);
                }
                out.push(Action::TellEnded(by));
                State::Over
            }

            // What crossed a change of state, and is of no interest any more.
            (state, _) => state,
        };
        out
    }

    fn next_agent(&mut self, agent: usize, status: u16, out: &mut Vec<Action>) -> State {
        if agent + 1 < self.agents {
            self.parties.ai = true;
            out.extend([Action::InviteAi(agent + 1), Action::Arm(Timer::AiAnswer)]);
            return State::Connecting { agent: agent + 1 };
        }
        // RFC 3261 §21.4.18 where somebody is there but does not answer, §21.5.4 where the service is down.
        let unreachable = status == 408 || (500..600).contains(&status);
        out.push(Action::RejectCaller(if unreachable { 503 } else { 480 }));
        self.end("ai", cause::PEER_GONE, None, out)
    }

    /// Ends every leg but the caller's, and the session.
    fn end(
        &mut self,
        by: &'static str,
        reason: &'static str,
        handoff: Option<Handoff>,
        out: &mut Vec<Action>,
    ) -> State {
        self.parties.end_human(reason, out);
        self.parties.end_ai(reason, out);
        out.extend(Timer::ALL.map(Action::Disarm));
        out.push(Action::EndMedia);
        State::Ending { by, handoff }
    }
}

#[cfg(test)]
mod tests;
