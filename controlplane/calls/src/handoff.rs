//! The handoff: one match over (state, input) that returns actions.
//!
//! Make before break: the caller's way back to its peer stays until the data plane has said that the target is heard, and
//! whatever fails before that ends in speech: the peer again with a spoken reason, or a spoken goodbye where it is gone.

use media::command::WindowId;
use media::evidence::Evidence;
use playbook::decisions::Manner;
use playbook::{Accept, Mode};

use crate::action::{Action, Scene, Wait, cause};
use crate::call::{Parties, Peer};
use crate::input::Input;
use crate::notice::{End, Gate, HandoffId, Opened, Outcome, Party, Reason, Step};
use crate::request::RequestError;
use crate::timer::Timer;
use crate::watched::Verdict;

mod failure;
mod gates;
mod line;
mod order;
mod route;
mod state;
mod wait;

use failure::reason;
pub use order::{Choice, Line, Order, Routed, Unrouted};
pub use state::{Next, State};

/// One handoff.
#[derive(Clone, Debug, PartialEq)]
pub struct Handoff {
    order: Box<Order>,
    state: State,
    /// Whose call it was at the trigger; `None`: nobody's, the caller is called back.
    from: Option<Peer>,
    /// Place in `order.targets` of the one that is tried.
    at: usize,
    /// What is heard until the join.
    wait: Wait,
    /// The caller has heard what is to be disclosed to its end.
    disclosed: bool,
    /// … the announcement.
    announced: bool,
    /// Items of it that the caller was told.
    told: u8,
    /// The time to reach anybody is over: no other target is tried.
    late: bool,
    /// Why the last agent of this queue did not take it.
    refused: Option<Reason>,
    /// The time to wait in this line is over: no other agent of it is tried.
    waited: bool,
    /// All is there of the context that is required.
    complete: bool,
    /// Somebody has acknowledged the context of this invitation.
    acknowledged: bool,
    /// Gates that the join does not wait for any more.
    open: Vec<Gate>,
    /// Of a window that closed before the data plane had said that the join is in force.
    evidence: Option<Vec<(Party, Evidence)>>,
}

impl Handoff {
    /// The trigger: the caller is told, and the first target invited.
    pub fn start(order: Order, parties: &mut Parties, out: &mut Vec<Action>) -> (Handoff, Next) {
        let from = (!order.back).then(|| parties.peer.unwrap_or(Peer::Ai));
        let at = order.targets.iter().position(|choice| !choice.closed);
        let target = order.targets.get(at.unwrap_or_default()).map(|choice| choice.target);
        let talks_on = order.talks_on;
        let first = at.and_then(|at| order.targets.get(at));
        // Who is asked may name a human.
        let says_nothing = talks_on || !order.asks && first.is_some_and(|choice| choice.machine);
        let mut handoff = Handoff {
            state: State::Inviting,
            from,
            at: 0,
            wait: Wait {
                play: parties.play(),
                hold_only: says_nothing,
                back: order.back,
                discloses: order.discloses && !says_nothing,
                said: order.said,
                peer: (from == Some(Peer::Human)).then(|| parties.play()),
                target: target.unwrap_or_default(),
                line: order.decision.as_ref().map(|line| line.at),
            },
            disclosed: false,
            announced: false,
            told: 0,
            late: false,
            refused: None,
            waited: false,
            complete: order.complete,
            acknowledged: false,
            open: Vec::new(),
            evidence: None,
            order: Box::new(order),
        };
        if at.is_some() {
            handoff.show_waiting(parties, out);
        }
        handoff.tell(
            Step::Requested {
                mode: handoff.order.manner.mode,
                decision: handoff.order.decision.as_ref().map(|line| line.name.clone()),
                target: handoff.order.targets[at.unwrap_or_default()].name.clone(),
                why: handoff.order.why.clone(),
                trigger: handoff.order.trigger.clone(),
                talks_on,
            },
            out,
        );
        // Who waits for nobody is not told to wait, nor kept waiting.
        let next = match handoff.order.asks && at.is_some() {
            true => {
                handoff.ask(out);
                Next::Same
            }
            false => handoff.set_out(parties, out),
        };
        (handoff, next)
    }

    /// The first target is reached for.
    fn set_out(&mut self, parties: &mut Parties, out: &mut Vec<Action>) -> Next {
        if !self.pass_closed(out) {
            return self.turn_back(Reason::AfterHours, parties, out);
        }
        out.extend([Timer::Reach, Timer::Estimate].map(Action::Arm));
        if self.order.refer {
            self.state = State::Referring {
                accepted: false,
                rang: false,
            };
            out.extend([Action::Refer, Action::Arm(Timer::Refer)]);
        } else {
            self.invite(parties, out);
        }
        Next::Same
    }

    /// Its id.
    pub fn id(&self) -> HandoffId {
        self.order.id
    }

    /// What it is doing.
    pub fn state(&self) -> State {
        self.state
    }

    /// Who ends the call where nobody is left for the caller: whose it was at the trigger.
    pub(crate) fn left_by(&self) -> &'static str {
        self.from.map_or("baton", Peer::name)
    }

    /// How it goes.
    pub fn manner(&self) -> &Manner {
        &self.order.manner
    }

    /// Whether the caller is called back.
    pub(crate) fn is_back(&self) -> bool {
        self.order.back
    }

    /// Whom it tries, in order.
    pub(crate) fn targets(&self) -> impl Iterator<Item = &Choice> {
        self.order.targets.iter()
    }

    /// The target that is tried.
    pub fn target(&self) -> &Choice {
        // `at` only moves to targets that exist, and an order has at least one.
        &self.order.targets[self.at]
    }

    /// Evidence that came before the join was known to be in force.
    pub(crate) fn take_evidence(&mut self) -> Option<Vec<(Party, Evidence)>> {
        self.evidence.take()
    }

    /// Whether a user's wish fits the state.
    pub fn allows(&self, wish: &Input) -> Result<(), RequestError> {
        use State::*;
        match (self.state, wish) {
            (Briefing { .. }, Input::Accept) => Ok(()),
            (Inviting | Ringing | Briefing { .. }, Input::Decline | Input::Cancel) => Ok(()),
            (Routing, Input::Routed(_)) => Ok(()),
            (_, Input::Routed(_)) => Err(RequestError::WrongState("its way is known".to_owned())),
            (Routing | Queued, Input::Cancel) => Ok(()),
            (Routing | Queued, _) => Err(RequestError::WrongState("nobody is called yet".to_owned())),
            (Inviting | Ringing | Briefing { .. } | Gated { .. }, Input::Acknowledged) => Ok(()),
            (Referring { .. } | Gated { .. }, Input::Cancel) => Ok(()),
            (Referring { .. }, _) => Err(RequestError::WrongState("the carrier reaches the human".to_owned())),
            (Inviting | Ringing, _) => Err(RequestError::WrongState("the human has not answered yet".to_owned())),
            (Gated { .. } | Joining | Introducing, _) => {
                Err(RequestError::WrongState("the human has taken the call".to_owned()))
            }
            (_, _) => Err(RequestError::WrongState("the handoff is over".to_owned())),
        }
    }

    /// What an input leads to.
    pub fn handle(&mut self, input: Input, parties: &mut Parties, out: &mut Vec<Action>) -> Next {
        use State::*;
        match (self.state, input) {
            // Whatever else goes on: the announcement ends, the peer leaves, time passes.
            (
                Routing | Referring { .. } | Queued | Inviting | Ringing | Briefing { .. } | Gated { .. } | Joining,
                Input::Played(play, item),
            ) if play == self.wait.play && item < self.wait.spoken() => {
                self.told = item + 1;
                if self.wait.discloses && item == 0 {
                    self.disclosed = true;
                    self.tell(Step::Disclosed, out);
                }
                // What is said later begins with no announcement.
                if item == u8::from(self.wait.discloses) && !self.wait.hold_only && !self.announced {
                    self.announced = true;
                    self.tell(Step::Announced, out);
                    if self.state == Queued {
                        out.push(Action::Estimate);
                    }
                }
            }
            (
                Routing | Referring { .. } | Queued | Inviting | Ringing | Briefing { .. } | Gated { .. } | Joining,
                Input::PeerGone,
            ) => {
                parties.peer = None;
                // Whom the caller heard is gone: hold audio at once, also where a join waits for the human.
                match (self.order.talks_on, self.state) {
                    (true, Gated { hold }) => self.show_gated(hold, parties, out),
                    (true, Joining) => {
                        self.show_waiting(parties, out);
                        self.show_join(out);
                    }
                    (true, _) => self.show_waiting(parties, out),
                    (false, _) => {}
                }
            }
            (Briefing { .. } | Gated { .. } | Joining, Input::Timer(Timer::Reach)) => self.late = true,
            (Gated { .. }, Input::Context { complete: true }) => {
                self.complete = true;
                self.pass(Gate::Elements, Opened::There, out);
            }
            (Gated { .. }, Input::Acknowledged) => {
                self.acknowledged = true;
                self.pass(Gate::Acknowledged, Opened::There, out);
            }
            (_, Input::Context { complete }) => self.complete = complete,
            (_, Input::Acknowledged) => self.acknowledged = true,

            // The carrier is asked. Whatever does not end in its 2xx, we do ourselves.
            (Referring { rang, .. }, Input::ReferAccepted) => {
                self.state = Referring { accepted: true, rang };
                out.push(Action::Arm(Timer::Refer));
            }
            (Referring { rang, .. }, Input::ReferProgress(status)) => {
                let rings = (101..200).contains(&status);
                self.state = Referring {
                    accepted: true,
                    rang: rang || rings,
                };
                out.push(Action::Arm(Timer::Refer));
                if rings && !rang {
                    self.tell(Step::Ringing, out);
                }
            }
            (Referring { .. }, Input::ReferOutcome(200..=299)) => return Next::Transferred,
            (Referring { .. }, Input::ReferFailed(408)) => self.bridge(Reason::ReferTimeout, Some(408), parties, out),
            (Referring { .. }, Input::ReferFailed(status) | Input::ReferOutcome(status)) => {
                self.bridge(Reason::ReferRefused, Some(status), parties, out);
            }
            (Referring { .. }, Input::Timer(Timer::Refer)) => {
                out.push(Action::ForgetRefer);
                self.bridge(Reason::ReferTimeout, None, parties, out);
            }
            (Referring { .. }, Input::Timer(Timer::Reach)) => {
                self.late = true;
                return self.next_target(Reason::ReferTimeout, None, parties, out);
            }

            // Asking where the caller goes.
            (Routing, Input::Routed(routed)) => return self.routed(routed, parties, out),
            (Routing, Input::Timer(Timer::Route)) => return self.unrouted(parties, out),

            // Waiting in line.
            (Queued, Input::AgentFree) => self.call(parties, out),
            (Queued, Input::NobodyThere) => return self.next_line(None, parties, out),
            (Queued, Input::Timer(Timer::Queue)) => return self.next_line(Some(Reason::Busy), parties, out),
            (Queued, Input::InLine { place, said }) => self.in_line(place, said, parties, out),
            (Inviting | Ringing | Briefing { .. } | Gated { .. } | Joining, Input::Timer(Timer::Queue)) => {
                self.waited = true;
            }

            // Reaching a target.
            (Queued | Inviting | Ringing, Input::Estimate(said)) => self.say(said, parties, out),
            (Inviting, Input::TargetRinging) => {
                self.state = Ringing;
                self.tell(Step::Ringing, out);
            }
            (Inviting | Ringing, Input::TargetAnswered) => {
                out.push(Action::Disarm(Timer::Ring));
                self.tell(Step::Answered { agent: None }, out);
                match self.order.manner.mode {
                    Mode::Warm if !self.target().machine => self.brief(parties, out),
                    Mode::Warm | Mode::Cold => self.take(parties, out),
                }
            }
            (Inviting | Ringing, Input::TargetFailed(status)) => {
                parties.target = false;
                return self.next_target(reason(status, self.state == Ringing), Some(status), parties, out);
            }
            (Inviting | Ringing, Input::NoCapacity) => {
                parties.target = false;
                self.late = true;
                return self.next_target(Reason::NoCapacity, None, parties, out);
            }
            (Inviting | Ringing, Input::Timer(timer @ (Timer::Ring | Timer::Reach))) => {
                self.late |= timer == Timer::Reach;
                parties.end_target(cause::NO_ANSWER, out);
                return self.next_target(reason(408, self.state == Ringing), None, parties, out);
            }

            // The human decides.
            (Briefing { play }, Input::Played(over, _)) if play == over && self.by_answer() => self.take(parties, out),
            (Briefing { .. }, Input::Digit('1')) if !self.by_answer() => self.take(parties, out),
            (Briefing { .. }, Input::Accept) => self.take(parties, out),
            (Briefing { .. }, Input::Digit('2')) if !self.by_answer() => {
                return self.decline(parties, out);
            }
            (Inviting | Ringing | Briefing { .. }, Input::Decline) => return self.decline(parties, out),
            (Briefing { .. }, Input::Timer(Timer::Accept)) => {
                parties.end_target(cause::NOT_ACCEPTED, out);
                let reason = match self.order.manner.accept {
                    Accept::Key => Reason::Machine,
                    Accept::Answer | Accept::Api => Reason::NoAnswer,
                };
                return self.next_target(reason, None, parties, out);
            }
            (Briefing { .. } | Gated { .. } | Joining, Input::TargetGone) => {
                parties.target = false;
                return self.next_target(Reason::HumanHangup, None, parties, out);
            }

            // The human has taken it, and waits for what is to be known.
            (Gated { .. }, Input::Timer(Timer::Required)) => self.pass(Gate::Elements, Opened::Bound, out),
            (Gated { .. }, Input::Timer(Timer::Acknowledge)) => self.pass(Gate::Acknowledged, Opened::Bound, out),

            // An answer is no voice: nobody is let go for a human who cannot be heard.
            (Joining, Input::TargetSilent) => {
                parties.end_target(cause::SILENT, out);
                return self.next_target(Reason::Unreachable, None, parties, out);
            }

            // The join: who handed off leaves only now.
            (Joining, Input::Applied) => {
                out.push(Action::TellJoined(self.order.id));
                out.extend([Timer::Reach, Timer::Queue, Timer::Estimate].map(Action::Disarm));
                let stays = !self.order.manner.ai_stays.is_zero() && !self.target().machine;
                if !stays || parties.peer != Some(Peer::Ai) {
                    return self.leave(parties, out);
                }
                self.state = Introducing;
                let scene = Scene::Introduced { wait: self.wait };
                out.extend([Action::Arm(Timer::AiStays), Action::Show(scene, self.open_window())]);
            }

            // The AI introduces the human, and leaves when it likes, or when its time is over. Where the three cannot be mixed, at once:
            // the two hear each other already.
            (Introducing, Input::PeerGone) => {
                parties.peer = None;
                return self.leave(parties, out);
            }
            (Introducing, Input::Timer(Timer::AiStays) | Input::MediaFailed(_)) => return self.leave(parties, out),
            // The caller is not left alone: the AI is still there.
            (Introducing, Input::TargetGone) => {
                parties.target = false;
                out.extend([Action::Disarm(Timer::AiStays), Action::Show(Scene::Conversation, None)]);
                return Next::Talking(JOINED);
            }
            (Introducing, Input::MediaSilent) => return Next::End(JOINED),
            (Introducing, Input::FirstWord(id)) if id == self.order.id => self.tell(Step::FirstHumanWord, out),

            // The human spoke at once: the word went out while the other row of the join was still waited for.
            (Joining, Input::FirstWord(id)) if id == self.order.id && !self.target().machine => {
                self.tell(Step::FirstHumanWord, out)
            }
            (_, Input::Evidence(id, listeners)) if id == self.order.id => self.evidence = Some(listeners),

            // Taken back, or impossible.
            (
                Routing | Referring { .. } | Queued | Inviting | Ringing | Briefing { .. } | Gated { .. },
                Input::Cancel,
            ) => {
                parties.end_target(cause::TAKEN_BACK, out);
                let verdict = Verdict {
                    end: End::Cancelled,
                    result: self.returned(),
                    reason: None,
                };
                return self.give_back(verdict, None, parties, out);
            }
            (
                Routing | Referring { .. } | Queued | Inviting | Ringing | Briefing { .. } | Gated { .. } | Joining,
                Input::MediaFailed(reason),
            ) => {
                return self.fault(reason, parties, out);
            }
            (
                Routing | Referring { .. } | Queued | Inviting | Ringing | Briefing { .. } | Gated { .. } | Joining,
                Input::MediaSilent,
            ) => {
                return self.fault(Reason::Error, parties, out);
            }

            // Back to the peer.
            (Returning { verdict, .. }, Input::Applied) => {
                self.tell(Step::Returned, out);
                out.push(Action::Unwatch);
                return Next::Talking(verdict);
            }
            (Returning { verdict, .. }, Input::PeerGone) => {
                parties.peer = None;
                return Next::Goodbye(self.without_peer(verdict));
            }
            (Returning { verdict, spoken: true }, Input::MediaFailed(_) | Input::MediaSilent) => {
                // The reason cannot be played: the peer at once is better than hold audio for ever.
                self.state = Returning { verdict, spoken: false };
                out.push(Action::Show(Scene::Conversation, Some(self.window())));
            }
            (Returning { verdict, spoken: false }, Input::MediaFailed(_) | Input::MediaSilent) => {
                return Next::End(Verdict {
                    result: Outcome::Failed,
                    ..verdict
                });
            }

            // What crossed a change of state, and is of no interest any more.
            (_, _) => {}
        }
        Next::Same
    }

    /// The window of evidence has the handoff's number.
    pub(crate) fn window(&self) -> WindowId {
        WindowId(self.order.id.0)
    }

    fn tell(&self, step: Step, out: &mut Vec<Action>) {
        out.push(Action::Tell(self.order.id, step));
    }

    fn show_join(&self, out: &mut Vec<Action>) {
        let scene = Scene::Joined { wait: self.wait };
        out.push(Action::Show(scene, Some(self.window())));
    }

    fn invite(&mut self, parties: &mut Parties, out: &mut Vec<Action>) {
        match self.target().queued {
            true => self.line_up(out),
            false => self.call(parties, out),
        }
    }

    fn call(&mut self, parties: &mut Parties, out: &mut Vec<Action>) {
        if self.target().queued {
            // The time in line is no time of a target that does not answer.
            out.push(Action::Arm(Timer::Reach));
        }
        self.state = State::Inviting;
        self.acknowledged = false;
        parties.target = true;
        out.extend([Action::InviteTarget, Action::Arm(Timer::Ring)]);
    }

    fn brief(&mut self, parties: &mut Parties, out: &mut Vec<Action>) {
        let play = parties.play();
        self.state = State::Briefing { play };
        let scene = Scene::Briefing {
            wait: self.wait,
            briefing: play,
            target: self.target().target,
            again: !self.by_answer(),
        };
        out.extend([Action::Show(scene, Some(self.window())), Action::Arm(Timer::Accept)]);
    }

    fn by_answer(&self) -> bool {
        self.order.manner.accept == Accept::Answer
    }

    fn join(&mut self, out: &mut Vec<Action>) {
        self.state = State::Joining;
        self.show_join(out);
    }

    /// Caller and human are joined: who handed off leaves.
    fn leave(&mut self, parties: &mut Parties, out: &mut Vec<Action>) -> Next {
        out.push(Action::Disarm(Timer::AiStays));
        parties.end_peer(cause::HANDED_OFF, out);
        parties.promote(out);
        out.push(Action::Show(Scene::HandedOff, self.open_window()));
        Next::Talking(JOINED)
    }

    /// The window, where its evidence has not come yet.
    fn open_window(&self) -> Option<WindowId> {
        self.evidence.is_none().then(|| self.window())
    }
}

pub(crate) const JOINED: Verdict = Verdict {
    end: End::Completed,
    result: Outcome::Joined,
    reason: None,
};
