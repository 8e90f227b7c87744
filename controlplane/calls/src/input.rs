//! What happens to a call: the machine's only inputs.

use media::command::PlayId;
use media::evidence::Evidence;

use crate::estimate::Said;
use crate::handoff::{Order, Routed};
use crate::notice::{HandoffId, Party, Reason};
use crate::timer::Timer;

/// What happens to a call.
#[derive(Clone, Debug, PartialEq)]
pub enum Input {
    /// The caller hung up, cancelled, or was lost.
    CallerGone,
    /// The caller who is called back has answered, and the codec fits: how it goes on.
    CallerAnswered(Box<Order>),
    /// The caller who is called back was not reached: the status.
    CallerFailed(u16),
    /// The phone of the AI rings.
    PeerRinging,
    /// The AI answered, and its codec fits.
    PeerAnswered,
    /// The AI was not reached: its status.
    PeerFailed(u16),
    /// Whom the caller talks with hung up: the AI, or the human that it was handed to.
    PeerGone,
    /// The target's phone rings.
    TargetRinging,
    /// The target answered, and the codec fits.
    TargetAnswered,
    /// The target was not reached: the status.
    TargetFailed(u16),
    /// The AI is gone, and the caller is to be handed to a human: none of the agents was reached, or the one who talked is lost.
    AiLost(Box<Order>),
    /// The carrier takes our REFER; its outcome follows.
    ReferAccepted,
    /// The carrier does not take it: its status.
    ReferFailed(u16),
    /// The carrier says how far it is.
    ReferProgress(u16),
    /// The carrier says how it went: 2xx, or why not.
    ReferOutcome(u16),
    /// The target cannot be invited: no port is left.
    NoCapacity,
    /// The target hung up after the answer.
    TargetGone,
    /// The join waited for the target's first packet, and none came: everybody hears what they heard before.
    TargetSilent,
    /// The target pressed a key.
    Digit(char),
    /// The scene that was last asked for is in force.
    Applied,
    /// The scene that was last asked for is impossible. What was in force stays so.
    MediaFailed(Reason),
    /// The data plane does not answer at all.
    MediaSilent,
    /// This item of this act of playing is over.
    Played(PlayId, u8),
    /// The context changed: whether all is there that is required.
    Context {
        /// All of it.
        complete: bool,
    },
    /// Somebody who was sent the context has it.
    Acknowledged,
    /// Who waits can be told how long it will take, and its place in line.
    Estimate(Said),
    /// Who was asked where the caller goes has said so.
    Routed(Routed),
    /// No agent of the queue is free.
    InLine {
        /// The place in line, from 1.
        place: usize,
        /// What can be said of it.
        said: Said,
    },
    /// An agent of the queue is free, and kept for this caller.
    AgentFree,
    /// No agent is there who could take it, not even later.
    NobodyThere,
    /// The human's first audible word went to the caller, in the window of this handoff.
    FirstWord(HandoffId),
    /// The window of this handoff is closed.
    Evidence(HandoffId, Vec<(Party, Evidence)>),
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

impl Input {
    /// Its name, the same for ever: in the table of states and inputs, and in what a node observes.
    pub fn name(&self) -> &'static str {
        match self {
            Input::CallerGone => "caller gone",
            Input::CallerAnswered(_) => "caller answers",
            Input::CallerFailed(_) => "caller failed",
            Input::PeerRinging => "peer rings",
            Input::PeerAnswered => "peer answers",
            Input::PeerFailed(_) => "peer failed",
            Input::PeerGone => "peer gone",
            Input::AiLost(_) => "ai lost",
            Input::TargetRinging => "target rings",
            Input::TargetAnswered => "target answers",
            Input::TargetFailed(_) => "target failed",
            Input::ReferAccepted => "refer accepted",
            Input::ReferFailed(_) => "refer failed",
            Input::ReferProgress(_) => "refer progress",
            Input::ReferOutcome(200..=299) => "refer done",
            Input::ReferOutcome(_) => "refer outcome",
            Input::NoCapacity => "no capacity",
            Input::TargetGone => "target gone",
            Input::TargetSilent => "target silent",
            Input::Digit('1') => "key 1",
            Input::Digit('2') => "key 2",
            Input::Digit(_) => "other key",
            Input::Applied => "applied",
            Input::MediaFailed(_) => "media failed",
            Input::MediaSilent => "media silent",
            Input::Played(..) => "played",
            Input::Context { .. } => "context told",
            Input::Acknowledged => "acknowledged",
            Input::Estimate(_) => "wait estimate",
            Input::Routed(_) => "routed",
            Input::InLine { .. } => "in line",
            Input::AgentFree => "agent free",
            Input::NobodyThere => "nobody there",
            Input::FirstWord(_) => "first word",
            Input::Evidence(..) => "evidence",
            Input::MediaEnded => "media ended",
            Input::Timer(timer) => timer.name(),
            Input::Handoff(_) => "handoff",
            Input::Accept => "accept",
            Input::Decline => "decline",
            Input::Cancel => "cancel",
            Input::HangUp => "hang up",
        }
    }
}
