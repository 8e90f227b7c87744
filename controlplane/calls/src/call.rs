//! The call: one match over (state, input) that returns actions.
//!
//! The caller talks with a *peer*: the AI, later the human that it was handed to. A handoff reaches a *target*, who becomes
//! the peer when the join is in force. So a human who hands on to another human is the same machine.
//!
//! It knows nothing of SIP, SDP or ports: whoever drives it turns events into [`Input`]s and carries out [`Action`]s, in
//! order and at once. From the trigger of a handoff to the join or the return the [`Handoff`] decides; what ends the call
//! is decided here, in every state.

use media::command::PlayId;

use crate::action::cause;
pub use crate::action::{Action, Apology, Scene, Wait};
use crate::handoff::{self, Handoff, JOINED, Next, Order};
pub use crate::input::Input;
use crate::notice::{HandoffId, Outcome, Reason};
use crate::request::RequestError;
use crate::timer::Timer;
use crate::watched::{TRANSFERRED, cut_short};
pub use crate::watched::{Verdict, Watched};

/// What a call is doing.
#[derive(Clone, Debug, PartialEq)]
pub enum State {
    /// This agent of the call's agents is invited; the caller has no answer yet.
    Connecting {
        /// Which.
        agent: usize,
    },
    /// The caller is called back, and has not answered.
    Calling,
    /// Caller and peer.
    Talking,
    /// From the trigger to the join or the return.
    HandingOff(Handoff),
    /// Nobody is left for the caller, who hears goodbye.
    Goodbye {
        /// The goodbye.
        play: PlayId,
        /// Whose leaving ends the call.
        by: &'static str,
    },
    /// The caller left while its carrier was asked to transfer it, which may be how the transfer looks from here: every
    /// dialog is ended, and the carrier's word on the outcome is awaited.
    Referred {
        /// The handoff.
        id: HandoffId,
        /// The carrier said yes.
        accepted: bool,
        /// Nothing of the session is left.
        media_ended: bool,
    },
    /// The dialogs are ended, the session is ending.
    Ending {
        /// Who ended it.
        by: &'static str,
    },
    /// Nothing is left.
    Over,
}

/// Whom the caller talks with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Peer {
    /// The voice AI.
    Ai,
    /// The human that the call was handed to.
    Human,
}

impl Peer {
    /// As the end of a call is told.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Peer::Ai => "ai",
            Peer::Human => "human",
        }
    }
}

/// Who is there besides the caller, and what has been played.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Parties {
    /// Invited or there.
    pub peer: Option<Peer>,
    /// A target is invited or there.
    pub target: bool,
    plays: u64,
}

impl Parties {
    /// A new act of playing.
    pub(crate) fn play(&mut self) -> PlayId {
        self.plays += 1;
        PlayId(self.plays)
    }

    /// CANCEL or BYE to the target, if there is one.
    pub(crate) fn end_target(&mut self, reason: &'static str, out: &mut Vec<Action>) {
        if std::mem::take(&mut self.target) {
            out.push(Action::EndTarget(reason));
        }
    }

    /// CANCEL or BYE to the peer, if it is there.
    pub(crate) fn end_peer(&mut self, reason: &'static str, out: &mut Vec<Action>) {
        if self.peer.take().is_some() {
            out.push(Action::EndPeer(reason));
        }
    }

    /// The target is the peer.
    pub(crate) fn promote(&mut self, out: &mut Vec<Action>) {
        self.target = false;
        self.peer = Some(Peer::Human);
        out.push(Action::Promote);
    }
}

/// One call.
#[derive(Clone, Debug, PartialEq)]
pub struct Call {
    state: State,
    parties: Parties,
    /// Handoffs whose evidence is awaited, the oldest first: two at the most.
    watched: Vec<Watched>,
    /// How many agents can be tried.
    agents: usize,
    started: bool,
}

impl Call {
    /// A caller's INVITE came: its first actions. `agents` is how many AI agents can be tried, at least one.
    pub fn new(agents: usize) -> (Call, Vec<Action>) {
        let parties = Parties {
            peer: Some(Peer::Ai),
            target: false,
            plays: 0,
        };
        let call = Call {
            state: State::Connecting { agent: 0 },
            parties,
            watched: Vec::new(),
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

    /// A caller is called back: the first actions, its INVITE being under way.
    pub fn back() -> (Call, Vec<Action>) {
        let parties = Parties {
            peer: None,
            target: false,
            plays: 0,
        };
        let call = Call {
            state: State::Calling,
            parties,
            watched: Vec::new(),
            agents: 0,
            started: false,
        };
        (
            call,
            vec![Action::Show(Scene::Setup, None), Action::Arm(Timer::CallerAnswer)],
        )
    }

    /// What it is doing.
    pub fn state(&self) -> &State {
        &self.state
    }

    /// Whether no other AI agent can be tried after the one that is called.
    pub(crate) fn is_last_agent(&self) -> bool {
        matches!(self.state, State::Connecting { agent } if agent + 1 >= self.agents)
    }

    /// Whether it has been answered.
    pub fn started(&self) -> bool {
        self.started
    }

    /// Whether the caller talks with the AI, or will again if the handoff fails.
    pub fn with_ai(&self) -> bool {
        self.parties.peer == Some(Peer::Ai)
    }

    /// The handoff that reaches for a target, joins or returns.
    pub fn handoff(&self) -> Option<&Handoff> {
        match &self.state {
            State::HandingOff(handoff) => Some(handoff),
            _ => None,
        }
    }

    /// Whether caller, human and AI hear each other.
    pub(crate) fn introduces(&self) -> bool {
        self.handoff()
            .is_some_and(|handoff| handoff.state() == handoff::State::Introducing)
    }

    /// Handoffs whose evidence is awaited, the oldest first.
    pub fn watched(&self) -> &[Watched] {
        &self.watched
    }

    /// The newest handoff that is not closed.
    pub fn open(&self) -> Option<HandoffId> {
        let watched = self.watched.last().map(|watched| watched.id);
        self.handoff().map(Handoff::id).or(watched)
    }

    /// Whether this handoff is not closed.
    pub fn knows(&self, id: HandoffId) -> bool {
        let referred = matches!(&self.state, State::Referred { id: open, .. } if *open == id);
        referred || self.handoff().is_some_and(|handoff| handoff.id() == id) || self.stands_aside(id)
    }

    /// The state's name, as the API shows it.
    pub fn name(&self) -> &'static str {
        match &self.state {
            State::Connecting { .. } => "connecting",
            State::Calling => "calling",
            State::Talking if self.parties.peer == Some(Peer::Human) => "handed_off",
            State::Talking => "talking",
            State::HandingOff(_) if self.introduces() => "handed_off",
            State::HandingOff(_) | State::Goodbye { .. } => "handing_off",
            State::Referred { .. } | State::Ending { .. } | State::Over => "ending",
        }
    }

    /// The state's name in full, the same for ever: in the table of states and inputs, and in what a node observes.
    pub fn state_name(&self) -> &'static str {
        let joined = self
            .watched
            .last()
            .map(|watched| watched.verdict.result == Outcome::Joined);
        match (&self.state, joined) {
            (State::Connecting { .. }, _) => "connecting",
            (State::Calling, _) => "calling",
            (State::Talking, Some(true)) => "joined",
            (State::Talking, Some(false)) => "returned",
            (State::Talking, None) => self.name(),
            (State::HandingOff(handoff), _) => handoff.state().name(),
            (State::Goodbye { .. }, _) => "goodbye",
            (State::Referred { .. }, _) => "referred",
            (State::Ending { .. }, _) => "ending",
            (State::Over, _) => "over",
        }
    }

    /// Whether a user's wish fits the state. [`Call::handle`] does nothing on one that does not.
    pub fn allows(&self, wish: &Input) -> Result<(), RequestError> {
        let wrong = |what: &str| Err(RequestError::WrongState(what.to_owned()));
        match (&self.state, wish) {
            (State::Referred { .. } | State::Ending { .. } | State::Over, _) => Err(RequestError::NoCall),
            (_, Input::HangUp) => Ok(()),
            (State::Talking, Input::Handoff(_)) => Ok(()),
            (State::HandingOff(handoff), Input::Handoff(_)) => Err(RequestError::Running(handoff.id())),
            (State::HandingOff(handoff), wish) => handoff.allows(wish),
            (State::Connecting { .. }, Input::Handoff(_)) => wrong("the AI has not answered yet"),
            (State::Calling, Input::Handoff(_)) => wrong("the caller has not answered yet"),
            (State::Goodbye { .. }, Input::Handoff(_)) => wrong("the caller is told goodbye"),
            (_, _) => Err(RequestError::NoHandoff),
        }
    }

    /// Whether a wish that is about this handoff fits the state.
    pub fn allows_for(&self, id: HandoffId, wish: &Input) -> Result<(), RequestError> {
        let wrong = |what: &str| Err(RequestError::WrongState(what.to_owned()));
        match self.watched.iter().find(|watched| watched.id == id) {
            _ if self.name() == "ending" => Err(RequestError::NoCall),
            Some(watched) if watched.verdict.result == Outcome::Joined => wrong("the human has taken the call"),
            Some(_) => wrong("the handoff is over"),
            None => self.allows(wish),
        }
    }

    /// What an input leads to.
    pub fn handle(&mut self, input: Input) -> Vec<Action> {
        let mut out = Vec::new();
        let out = &mut out;
        let state = std::mem::replace(&mut self.state, State::Over);
        self.state = match (state, input) {
            // Evidence of a handoff that stands aside, in any state.
            (state, Input::Evidence(id, listeners)) if self.stands_aside(id) => {
                let (closed, open) = self.watched.drain(..).partition(|watched| watched.id == id);
                self.watched = open;
                let closed: Vec<Watched> = closed;
                closed
                    .into_iter()
                    .for_each(|watched| watched.close(Some(listeners.clone()), out));
                if self.watched.is_empty() && !matches!(state, State::Ending { .. }) {
                    out.push(Action::Disarm(Timer::Evidence));
                }
                state
            }
            (state, Input::FirstWord(id)) if self.stands_aside(id) => {
                out.push(Action::Tell(id, crate::notice::Step::FirstHumanWord));
                state
            }
            (state, Input::Timer(Timer::Evidence)) => {
                self.close_all(out);
                state
            }

            // Connecting: the caller waits for an AI.
            (state @ State::Connecting { .. }, Input::PeerRinging) => {
                out.push(Action::RingCaller);
                state
            }
            (State::Connecting { .. }, Input::PeerAnswered) => {
                self.started = true;
                out.extend([
                    Action::Disarm(Timer::AiAnswer),
                    Action::AnswerCaller,
                    Action::Show(Scene::Conversation, None),
                ]);
                State::Talking
            }
            (State::Connecting { agent }, Input::PeerFailed(status)) => {
                self.parties.peer = None;
                self.next_agent(agent, status, out)
            }
            (State::Connecting { agent }, Input::Timer(Timer::AiAnswer)) => {
                self.parties.end_peer(cause::NO_ANSWER, out);
                self.next_agent(agent, 480, out)
            }
            // Nobody is left of the agents, but the caller is answered for a human.
            (State::Connecting { .. }, Input::AiLost(order)) => {
                self.started = true;
                out.push(Action::Disarm(Timer::AiAnswer));
                self.parties.end_peer(cause::NO_ANSWER, out);
                out.push(Action::AnswerCaller);
                self.hand_off(*order, out)
            }
            (State::Connecting { .. }, Input::CallerGone) => self.end("caller", cause::CALLER_GONE, out),
            (State::Connecting { .. }, Input::HangUp) => {
                out.push(Action::RejectCaller(480));
                self.end("api", cause::HUNG_UP, out)
            }
            (State::Connecting { .. }, Input::MediaFailed(_) | Input::MediaSilent) => {
                out.push(Action::RejectCaller(503));
                self.end("error", cause::FAULT, out)
            }

            // Calling back: the caller's phone rings, and nobody else's.
            (State::Calling, Input::CallerAnswered(order)) => {
                self.started = true;
                out.extend([Action::Disarm(Timer::CallerAnswer), Action::Start]);
                self.hand_off(*order, out)
            }
            (State::Calling, Input::CallerFailed(status)) => self.not_reached(status, "caller", out),
            (State::Calling, Input::Timer(Timer::CallerAnswer)) => {
                out.push(Action::EndCaller(cause::NO_ANSWER));
                self.not_reached(408, "caller", out)
            }
            (State::Calling, Input::HangUp) => {
                out.push(Action::EndCaller(cause::HUNG_UP));
                self.not_reached(487, "api", out)
            }
            (State::Calling, Input::MediaFailed(_) | Input::MediaSilent) => {
                out.push(Action::EndCaller(cause::FAULT));
                self.not_reached(503, "error", out)
            }

            // Talking, to the AI or to the human: who hangs up ends it for the other.
            (State::Talking, Input::Handoff(order)) => self.hand_off(order, out),
            (State::Talking, Input::AiLost(order)) => {
                self.parties.peer = None;
                self.hand_off(*order, out)
            }
            (State::Talking, Input::CallerGone) => self.end("caller", cause::CALLER_GONE, out),
            (State::Talking, Input::PeerGone) => self.peer_gone(out),
            (State::Talking, Input::HangUp) => {
                out.push(Action::EndCaller(cause::HUNG_UP));
                self.end("api", cause::HUNG_UP, out)
            }
            // After a join or a return the rows in force are already the ones that are wanted: only the window, or the
            // leg of whom was let go, was to leave the table.
            (State::Talking, Input::MediaFailed(_)) if !self.watched.is_empty() || !self.with_ai() => State::Talking,
            (State::Talking, Input::MediaFailed(_) | Input::MediaSilent) => {
                out.push(Action::EndCaller(cause::FAULT));
                self.end("error", cause::FAULT, out)
            }

            // Handing off: what ends the call is decided here, all else by the handoff.
            (State::HandingOff(mut handoff), Input::CallerGone) => match handoff.state() {
                handoff::State::Referring { accepted, .. } => {
                    self.end("caller", cause::CALLER_GONE, out);
                    out.push(Action::Arm(Timer::Refer));
                    State::Referred {
                        id: handoff.id(),
                        accepted,
                        media_ended: false,
                    }
                }
                handoff::State::Introducing => {
                    self.decided(&mut handoff, JOINED, out);
                    self.end("caller", cause::CALLER_GONE, out)
                }
                _ => {
                    self.decided(&mut handoff, cut_short(Some(Reason::CallerHangup)), out);
                    self.end("caller", cause::CALLER_GONE, out)
                }
            },
            (State::HandingOff(mut handoff), Input::HangUp) => {
                if matches!(handoff.state(), handoff::State::Referring { .. }) {
                    out.push(Action::ForgetRefer);
                }
                let verdict = match handoff.state() {
                    handoff::State::Introducing => JOINED,
                    _ => cut_short(None),
                };
                self.decided(&mut handoff, verdict, out);
                out.push(Action::EndCaller(cause::HUNG_UP));
                self.end("api", cause::HUNG_UP, out)
            }
            (State::HandingOff(mut handoff), input) => {
                let next = handoff.handle(input, &mut self.parties, out);
                self.went_on(handoff, next, out)
            }

            // Goodbye: the caller is to hear it to its end.
            (State::Goodbye { play, by }, Input::Played(over, _)) if play == over => self.goodbye_over(by, out),
            (State::Goodbye { by, .. }, Input::Timer(Timer::Goodbye) | Input::MediaFailed(_) | Input::MediaSilent) => {
                self.goodbye_over(by, out)
            }
            (State::Goodbye { .. }, Input::CallerGone) => {
                self.watched
                    .iter_mut()
                    .for_each(|watched| watched.cut_short(Some(Reason::CallerHangup)));
                self.end("caller", cause::CALLER_GONE, out)
            }
            (State::Goodbye { .. }, Input::HangUp) => {
                self.watched.iter_mut().for_each(|watched| watched.cut_short(None));
                out.push(Action::EndCaller(cause::HUNG_UP));
                self.end("api", cause::HUNG_UP, out)
            }

            // Referred: only the carrier can say whether the caller was transferred or hung up.
            (State::Referred { id, media_ended, .. }, Input::ReferAccepted | Input::ReferProgress(_)) => {
                State::Referred {
                    id,
                    accepted: true,
                    media_ended,
                }
            }
            (State::Referred { id, media_ended, .. }, Input::ReferOutcome(200..=299)) => self.referred(
                Watched {
                    id,
                    verdict: TRANSFERRED,
                },
                "transfer",
                media_ended,
                out,
            ),
            (
                State::Referred {
                    id,
                    accepted,
                    media_ended,
                },
                input @ (Input::ReferFailed(_) | Input::ReferOutcome(_) | Input::Timer(Timer::Refer)),
            ) => {
                if matches!(input, Input::Timer(_)) {
                    out.push(Action::ForgetRefer);
                }
                let reason = match input {
                    Input::ReferOutcome(_) => Reason::ReferRefused,
                    Input::Timer(_) if accepted => Reason::ReferTimeout,
                    _ => Reason::CallerHangup,
                };
                let verdict = cut_short(Some(reason));
                self.referred(Watched { id, verdict }, "caller", media_ended, out)
            }
            (state @ State::Referred { .. }, Input::Evidence(id, listeners)) if matches!(state, State::Referred { id: open, .. } if open == id) =>
            {
                out.push(Action::Tell(id, crate::notice::Step::Evidence(listeners)));
                state
            }
            (State::Referred { id, accepted, .. }, Input::MediaEnded | Input::MediaSilent) => State::Referred {
                id,
                accepted,
                media_ended: true,
            },

            // Ending: the evidence may come, then the session's end must.
            (State::Ending { by }, Input::MediaEnded | Input::MediaSilent) => {
                self.watched.drain(..).for_each(|watched| watched.close(None, out));
                out.push(Action::TellEnded(by));
                State::Over
            }

            // What crossed a change of state, and is of no interest any more.
            (state, _) => state,
        };
        std::mem::take(out)
    }

    fn stands_aside(&self, id: HandoffId) -> bool {
        self.watched.iter().any(|watched| watched.id == id)
    }

    /// A handoff's outcome is decided. Of those that await their evidence only the newest two are kept: the window of the
    /// third was closed two handoffs ago.
    fn stand_aside(&mut self, watched: Watched, out: &mut Vec<Action>) {
        if self.watched.len() > 1 {
            self.watched.remove(0).close(None, out);
        }
        self.watched.push(watched);
    }

    /// A handoff's outcome is decided. Where its evidence has come already, it is closed.
    fn decided(&mut self, handoff: &mut Handoff, verdict: Verdict, out: &mut Vec<Action>) {
        let id = handoff.id();
        match handoff.take_evidence() {
            Some(evidence) => Watched { id, verdict }.close(Some(evidence), out),
            None => self.stand_aside(Watched { id, verdict }, out),
        }
    }

    fn close_all(&mut self, out: &mut Vec<Action>) {
        self.watched.drain(..).for_each(|watched| watched.close(None, out));
    }

    /// The outcome of a transfer whose caller has left is known, or is not to be known.
    fn referred(&mut self, watched: Watched, by: &'static str, media_ended: bool, out: &mut Vec<Action>) -> State {
        out.push(Action::Disarm(Timer::Refer));
        self.stand_aside(watched, out);
        if !media_ended {
            return State::Ending { by };
        }
        self.close_all(out);
        out.push(Action::TellEnded(by));
        State::Over
    }

    fn next_agent(&mut self, agent: usize, status: u16, out: &mut Vec<Action>) -> State {
        if agent + 1 < self.agents {
            self.parties.peer = Some(Peer::Ai);
            out.extend([Action::InviteAi(agent + 1), Action::Arm(Timer::AiAnswer)]);
            return State::Connecting { agent: agent + 1 };
        }
        // RFC 3261 §21.4.18 where somebody is there but does not answer, §21.5.4 where the service is down.
        let unreachable = status == 408 || (500..600).contains(&status);
        out.push(Action::RejectCaller(if unreachable { 503 } else { 480 }));
        self.end("ai", cause::PEER_GONE, out)
    }

    /// Who was to be called back did not answer.
    fn not_reached(&mut self, status: u16, by: &'static str, out: &mut Vec<Action>) -> State {
        out.push(Action::TellNotReached(status));
        self.end(by, cause::CALLER_GONE, out)
    }

    fn hand_off(&mut self, order: Order, out: &mut Vec<Action>) -> State {
        let (handoff, next) = Handoff::start(order, &mut self.parties, out);
        self.went_on(handoff, next, out)
    }

    /// What becomes of the call after a step of the handoff.
    fn went_on(&mut self, mut handoff: Handoff, next: Next, out: &mut Vec<Action>) -> State {
        match next {
            Next::Same => State::HandingOff(handoff),
            Next::Talking(verdict) => {
                self.decided(&mut handoff, verdict, out);
                if !self.watched.is_empty() {
                    out.push(Action::Arm(Timer::Evidence));
                }
                State::Talking
            }
            Next::Transferred => {
                self.decided(&mut handoff, TRANSFERRED, out);
                out.push(Action::EndCaller(cause::HANDED_OFF));
                self.end("transfer", cause::HANDED_OFF, out)
            }
            Next::Goodbye(verdict) => {
                let window = Some(handoff.window());
                let by = handoff.left_by();
                self.decided(&mut handoff, verdict, out);
                self.say_goodbye(by, window, out)
            }
            Next::End(verdict) => {
                self.decided(&mut handoff, verdict, out);
                out.push(Action::EndCaller(cause::FAULT));
                self.end("error", cause::FAULT, out)
            }
        }
    }

    /// The peer of a conversation hung up. Who was given back to it a moment ago is told goodbye.
    fn peer_gone(&mut self, out: &mut Vec<Action>) -> State {
        let by = self.parties.peer.take().map_or("error", Peer::name);
        let joined = |watched: &Watched| watched.verdict.result == Outcome::Joined;
        if self.watched.last().is_some_and(|last| !joined(last)) {
            return self.say_goodbye(by, None, out);
        }
        out.push(Action::EndCaller(cause::PEER_GONE));
        self.end(by, cause::PEER_GONE, out)
    }

    fn say_goodbye(
        &mut self,
        by: &'static str,
        window: Option<media::command::WindowId>,
        out: &mut Vec<Action>,
    ) -> State {
        let play = self.parties.play();
        out.extend([
            Action::Show(Scene::Goodbye { play }, window),
            Action::Arm(Timer::Goodbye),
        ]);
        State::Goodbye { play, by }
    }

    fn goodbye_over(&mut self, by: &'static str, out: &mut Vec<Action>) -> State {
        out.push(Action::EndCaller(cause::PEER_GONE));
        self.end(by, cause::PEER_GONE, out)
    }

    /// Ends every leg but the caller's, and the session.
    fn end(&mut self, by: &'static str, reason: &'static str, out: &mut Vec<Action>) -> State {
        self.parties.end_target(reason, out);
        self.parties.end_peer(reason, out);
        out.extend(Timer::ALL.map(Action::Disarm));
        out.push(Action::EndMedia);
        State::Ending { by }
    }
}

#[cfg(test)]
mod tests;
