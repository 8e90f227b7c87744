//! The handoff: one match over (state, input) that returns actions.
//!
//! Make before break: the caller's way back to the AI stays until the data plane has said that the human is heard, and
//! whatever fails before that ends in speech: the AI again with a spoken reason, or a spoken goodbye where the AI is gone.

use media::command::{PlayId, WindowId};
use media::evidence::Evidence;
use playbook::{Accept, Mode};

use crate::call::{Action, Apology, Input, Parties, Scene, cause};
use crate::notice::{End, HandoffId, Outcome, Party, Reason, Step};
use crate::request::RequestError;
use crate::timer::Timer;

/// A handoff that was asked for, with everything resolved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Order {
    /// Its id; the window of evidence has the same number.
    pub id: HandoffId,
    /// Warm or cold.
    pub mode: Mode,
    /// How a human takes a warm call.
    pub accept: Accept,
    /// Whom to try, in order, at least one: index into the configuration, and name.
    pub targets: Vec<(usize, String)>,
    /// Why, in the words of whoever asked.
    pub why: String,
}

/// What a handoff is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// The human is invited, and nothing has come back.
    Inviting,
    /// The human's phone rings.
    Ringing,
    /// The human hears the briefing, or thinks about it.
    Briefing {
        /// The briefing.
        play: PlayId,
    },
    /// The human accepted; the data plane has not said yet that the rows are in force.
    Joining,
    /// Caller and human hear each other; the evidence is being taken.
    Joined,
    /// The caller goes back to the AI; the data plane has not said yet that the rows are in force.
    Returning {
        /// How it ends.
        verdict: Verdict,
        /// The caller hears a reason first.
        spoken: bool,
    },
    /// The caller is with the AI again; the evidence is awaited.
    Returned {
        /// How it ends.
        verdict: Verdict,
    },
    /// The AI is gone: the caller hears goodbye.
    Goodbye {
        /// How it ends.
        verdict: Verdict,
        /// The goodbye.
        play: PlayId,
    },
    /// The call ends; the evidence is awaited.
    CutShort {
        /// How it ends.
        verdict: Verdict,
    },
    /// The last step was told.
    Closed,
}

/// How a handoff ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// The last state.
    pub end: End,
    /// What became of the caller.
    pub result: Outcome,
    /// Why it did not join.
    pub reason: Option<Reason>,
}

/// What becomes of the call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// The handoff goes on.
    Same,
    /// It is closed: caller and AI.
    Talking,
    /// It is closed: caller and human.
    HandedOff,
    /// The call is to be ended: by whom, and the Reason (RFC 3326).
    End(&'static str, &'static str),
}

/// One handoff.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Handoff {
    order: Order,
    state: State,
    /// Place in `order.targets` of the one that is tried.
    at: usize,
    /// The caller's announcement and hold audio.
    waiting: PlayId,
    hold_only: bool,
    announced: bool,
    /// The time to reach anybody is over: no other target is tried.
    late: bool,
}

impl Handoff {
    /// The trigger: the caller is told, and the first human invited.
    pub fn start(order: Order, parties: &mut Parties, out: &mut Vec<Action>) -> Handoff {
        let mut handoff = Handoff {
            order,
            state: State::Inviting,
            at: 0,
            waiting: parties.play(),
            hold_only: false,
            announced: false,
            late: false,
        };
        handoff.show_waiting(out);
        handoff.tell(
            Step::Requested {
                mode: handoff.order.mode,
                target: handoff.target().1.clone(),
                why: handoff.order.why.clone(),
            },
            out,
        );
        out.push(Action::Arm(Timer::Reach));
        handoff.invite(parties, out);
        handoff
    }

    /// Its id.
    pub fn id(&self) -> HandoffId {
        self.order.id
    }

    /// What it is doing.
    pub fn state(&self) -> State {
        self.state
    }

    /// Whether its last step was told.
    pub fn closed(&self) -> bool {
        self.state == State::Closed
    }

    /// The target that is tried: index into the configuration, and name.
    pub fn target(&self) -> &(usize, String) {
        // `at` only moves to targets that exist, and an order has at least one.
        &self.order.targets[self.at]
    }

    /// Whether a user's wish fits the state.
    pub fn allows(&self, wish: &Input) -> Result<(), RequestError> {
        use State::*;
        match (self.state, wish) {
            (Closed, _) => Err(RequestError::NoHandoff),
            (Briefing { .. }, Input::Accept) => Ok(()),
            (Inviting | Ringing | Briefing { .. }, Input::Decline | Input::Cancel) => Ok(()),
            (Inviting | Ringing, _) => Err(RequestError::WrongState("the human has not answered yet".to_owned())),
            (Joining | Joined, _) => Err(RequestError::WrongState("the human has taken the call".to_owned())),
            (_, _) => Err(RequestError::WrongState("the handoff is over".to_owned())),
        }
    }

    /// What an input leads to.
    pub fn handle(&mut self, input: Input, parties: &mut Parties, out: &mut Vec<Action>) -> Next {
        use State::*;
        match (self.state, input) {
            // Whatever else goes on: the announcement ends, the AI leaves, time passes.
            (Inviting | Ringing | Briefing { .. } | Joining, Input::Played(play, 0))
                if play == self.waiting && !self.hold_only && !self.announced =>
            {
                self.announced = true;
                self.tell(Step::Announced, out);
            }
            (Inviting | Ringing | Briefing { .. } | Joining | Joined, Input::AiGone) => parties.ai = false,
            (Briefing { .. } | Joining, Input::Timer(Timer::Reach)) => self.late = true,

            // Reaching a human.
            (Inviting, Input::HumanRinging) => {
                self.state = Ringing;
                self.tell(Step::Ringing, out);
            }
            (Inviting | Ringing, Input::HumanAnswered) => {
                out.push(Action::Disarm(Timer::Ring));
                self.tell(Step::Answered, out);
                match self.order.mode {
                    Mode::Warm => self.brief(parties, out),
                    Mode::Cold => self.join(out),
                }
            }
            (Inviting | Ringing, Input::HumanFailed(status)) => {
                parties.human = false;
                self.next_target(reason(status, self.state == Ringing), parties, out);
            }
            (Inviting | Ringing, Input::NoCapacity) => {
                parties.human = false;
                self.late = true;
                self.next_target(Reason::NoCapacity, parties, out);
            }
            (Inviting | Ringing, Input::Timer(timer @ (Timer::Ring | Timer::Reach))) => {
                self.late |= timer == Timer::Reach;
                parties.end_human(cause::NO_ANSWER, out);
                self.next_target(reason(408, self.state == Ringing), parties, out);
            }

            // The human decides.
            (Briefing { play }, Input::Played(over, _)) if play == over && self.order.accept == Accept::Answer => {
                self.join(out);
            }
            (Briefing { .. }, Input::Digit('1')) if self.order.accept != Accept::Answer => self.join(out),
            (Briefing { .. }, Input::Accept) => self.join(out),
            (Briefing { .. }, Input::Digit('2')) if self.order.accept != Accept::Answer => self.decline(parties, out),
            (Inviting | Ringing | Briefing { .. }, Input::Decline) => self.decline(parties, out),
            (Briefing { .. }, Input::Timer(Timer::Accept)) => {
                parties.end_human(cause::NOT_ACCEPTED, out);
                self.next_target(Reason::NoAnswer, parties, out);
            }
            (Briefing { .. } | Joining, Input::HumanGone) => {
                parties.human = false;
                self.next_target(Reason::HumanHangup, parties, out);
            }

            // The join: the AI leaves only now.
            (Joining, Input::Applied) => {
                self.state = Joined;
                out.extend([Action::TellJoined(self.order.id), Action::Disarm(Timer::Reach)]);
                parties.end_ai(cause::HANDED_OFF, out);
                out.extend([
                    Action::Show(Scene::Joined, Some(self.window())),
                    Action::Arm(Timer::Evidence),
                ]);
            }
            (Joined, Input::FirstWord) => self.tell_first_word(out),
            (Joined, Input::Evidence(listeners)) => {
                self.close(Some(listeners), out);
                return Next::HandedOff;
            }
            (Joined, Input::Timer(Timer::Evidence)) => {
                self.close(None, out);
                return Next::HandedOff;
            }
            (Joined, Input::HumanGone) => {
                parties.human = false;
                self.cut_short(None);
                return Next::End("human", cause::PEER_GONE);
            }

            // Taken back, or impossible.
            (Inviting | Ringing | Briefing { .. }, Input::Cancel) => {
                parties.end_human(cause::TAKEN_BACK, out);
                let verdict = Verdict {
                    end: End::Cancelled,
                    result: Outcome::ReturnedToAi,
                    reason: None,
                };
                self.give_back(verdict, None, parties, out);
            }
            (Inviting | Ringing | Briefing { .. } | Joining, Input::MediaFailed(reason)) => {
                parties.end_human(cause::FAULT, out);
                self.late = true;
                self.next_target(reason, parties, out);
            }

            // Back to the AI.
            (Returning { verdict, .. }, Input::Applied) => {
                self.state = Returned { verdict };
                self.tell(Step::Returned, out);
                out.extend([Action::Unwatch, Action::Arm(Timer::Evidence)]);
            }
            (Returning { verdict, .. }, Input::AiGone) => {
                parties.ai = false;
                self.say_goodbye(without_ai(verdict), Some(self.window()), parties, out);
            }
            (Returning { verdict, spoken: true }, Input::MediaFailed(_)) => {
                // The reason cannot be played: the AI at once is better than hold audio for ever.
                self.state = Returning { verdict, spoken: false };
                out.push(Action::Show(Scene::Conversation, Some(self.window())));
            }
            (Returning { verdict, spoken: false }, Input::MediaFailed(_)) => {
                self.state = CutShort {
                    verdict: Verdict {
                        result: Outcome::Failed,
                        ..verdict
                    },
                };
                return Next::End("error", cause::FAULT);
            }
            (Returned { .. }, Input::Evidence(listeners)) => {
                self.close(Some(listeners), out);
                return Next::Talking;
            }
            (Returned { .. }, Input::Timer(Timer::Evidence)) => {
                self.close(None, out);
                return Next::Talking;
            }
            (Returned { verdict }, Input::AiGone) => {
                parties.ai = false;
                self.say_goodbye(verdict, None, parties, out);
            }

            // Goodbye.
            (Goodbye { .. }, Input::Evidence(listeners)) => self.tell(Step::Evidence(listeners), out),
            (Goodbye { verdict, play }, Input::Played(over, _)) if play == over => {
                self.state = CutShort { verdict };
                return Next::End("ai", cause::PEER_GONE);
            }
            (Goodbye { verdict, .. }, Input::Timer(Timer::Goodbye) | Input::MediaFailed(_)) => {
                self.state = CutShort { verdict };
                return Next::End("ai", cause::PEER_GONE);
            }

            // What crossed a change of state, and is of no interest any more.
            (_, _) => {}
        }
        Next::Same
    }

    /// The call ends now. `reason` is why it did not join; `None` where an operator ended it.
    pub fn cut_short(&mut self, reason: Option<Reason>) {
        use State::*;
        let verdict = match self.state {
            Joined => Verdict {
                end: End::Completed,
                result: Outcome::Joined,
                reason: None,
            },
            Returned { verdict } | CutShort { verdict } => verdict,
            Goodbye { verdict, .. } if verdict.result == Outcome::ReturnedToAi => verdict,
            Closed => return,
            Inviting | Ringing | Briefing { .. } | Joining | Returning { .. } | Goodbye { .. } => Verdict {
                end: if reason.is_some() { End::Failed } else { End::Cancelled },
                result: Outcome::Abandoned,
                reason,
            },
        };
        self.state = CutShort { verdict };
    }

    /// The last steps.
    pub fn close(&mut self, evidence: Option<Vec<(Party, Evidence)>>, out: &mut Vec<Action>) {
        use State::*;
        let verdict = match self.state {
            Closed => return,
            Returned { verdict } | CutShort { verdict } | Returning { verdict, .. } | Goodbye { verdict, .. } => {
                verdict
            }
            Joined => Verdict {
                end: End::Completed,
                result: Outcome::Joined,
                reason: None,
            },
            Inviting | Ringing | Briefing { .. } | Joining => Verdict {
                end: End::Failed,
                result: Outcome::Abandoned,
                reason: Some(Reason::Error),
            },
        };
        self.state = Closed;
        out.push(Action::Disarm(Timer::Evidence));
        if let Some(listeners) = evidence {
            self.tell(Step::Evidence(listeners), out);
        }
        self.tell(
            Step::Closed {
                end: verdict.end,
                result: verdict.result,
                reason: verdict.reason,
            },
            out,
        );
    }

    /// The human's first word went out.
    pub(crate) fn tell_first_word(&self, out: &mut Vec<Action>) {
        self.tell(Step::FirstHumanWord, out);
    }

    fn tell(&self, step: Step, out: &mut Vec<Action>) {
        out.push(Action::Tell(self.order.id, step));
    }

    fn window(&self) -> WindowId {
        WindowId(self.order.id.0)
    }

    fn show_waiting(&self, out: &mut Vec<Action>) {
        let scene = Scene::Waiting {
            play: self.waiting,
            hold_only: self.hold_only,
        };
        out.push(Action::Show(scene, Some(self.window())));
    }

    fn invite(&mut self, parties: &mut Parties, out: &mut Vec<Action>) {
        self.state = State::Inviting;
        parties.human = true;
        out.extend([Action::InviteHuman(self.target().0), Action::Arm(Timer::Ring)]);
    }

    fn brief(&mut self, parties: &mut Parties, out: &mut Vec<Action>) {
        let play = parties.play();
        self.state = State::Briefing { play };
        let scene = Scene::Briefing {
            play: self.waiting,
            hold_only: self.hold_only,
            briefing: play,
            target: self.target().0,
        };
        out.extend([Action::Show(scene, Some(self.window())), Action::Arm(Timer::Accept)]);
    }

    fn join(&mut self, out: &mut Vec<Action>) {
        self.state = State::Joining;
        self.tell(Step::Accepted, out);
        out.extend([
            Action::Disarm(Timer::Accept),
            Action::Show(Scene::Joined, Some(self.window())),
        ]);
    }

    fn decline(&mut self, parties: &mut Parties, out: &mut Vec<Action>) {
        parties.end_human(cause::NOT_ACCEPTED, out);
        self.next_target(Reason::Declined, parties, out);
    }

    /// The human of this target is gone: the next one, or back.
    fn next_target(&mut self, reason: Reason, parties: &mut Parties, out: &mut Vec<Action>) {
        let target = self.target().1.clone();
        self.tell(Step::TargetFailed { target, reason }, out);
        out.extend([Action::Disarm(Timer::Ring), Action::Disarm(Timer::Accept)]);
        if self.late || self.at + 1 >= self.order.targets.len() {
            let verdict = Verdict {
                end: End::Failed,
                result: Outcome::ReturnedToAi,
                reason: Some(reason),
            };
            let apology = match reason {
                Reason::Busy => Apology::Busy,
                Reason::NoAnswer => Apology::NoAnswer,
                _ => Apology::Failed,
            };
            return self.give_back(verdict, Some(apology), parties, out);
        }
        self.at += 1;
        match self.state {
            // The caller may have heard the human for a moment: hold audio from its start, without another announcement.
            State::Joining => {
                self.waiting = parties.play();
                self.hold_only = true;
                self.show_waiting(out);
            }
            State::Briefing { .. } => self.show_waiting(out),
            _ => {}
        }
        self.invite(parties, out);
    }

    fn give_back(&mut self, verdict: Verdict, apology: Option<Apology>, parties: &mut Parties, out: &mut Vec<Action>) {
        out.extend([Timer::Ring, Timer::Reach, Timer::Accept].map(Action::Disarm));
        if !parties.ai {
            return self.say_goodbye(without_ai(verdict), Some(self.window()), parties, out);
        }
        let scene = match apology {
            Some(apology) => Scene::Returned {
                play: parties.play(),
                apology,
            },
            None => Scene::Conversation,
        };
        self.state = State::Returning {
            verdict,
            spoken: apology.is_some(),
        };
        out.push(Action::Show(scene, Some(self.window())));
    }

    fn say_goodbye(
        &mut self,
        verdict: Verdict,
        window: Option<WindowId>,
        parties: &mut Parties,
        out: &mut Vec<Action>,
    ) {
        let play = parties.play();
        self.state = State::Goodbye { verdict, play };
        out.extend([
            Action::Disarm(Timer::Evidence),
            Action::Show(Scene::Goodbye { play }, window),
            Action::Arm(Timer::Goodbye),
        ]);
    }
}

/// Nobody is left whom the caller could be given back to.
fn without_ai(verdict: Verdict) -> Verdict {
    Verdict {
        result: Outcome::Failed,
        reason: Some(Reason::AiGone),
        ..verdict
    }
}

/// What a final status of the human's INVITE means. `rang`: a provisional answer had come.
fn reason(status: u16, rang: bool) -> Reason {
    match status {
        486 | 600 => Reason::Busy,
        408 if !rang => Reason::Unreachable,
        408 | 480 | 487 => Reason::NoAnswer,
        404 | 410 | 604 | 500..=599 => Reason::Unreachable,
        _ => Reason::Rejected,
    }
}
