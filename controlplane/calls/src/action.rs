//! What a call wants to be done: the machine's only outputs.

use media::command::{PlayId, WindowId};

use crate::estimate::{Left, Said};
use crate::notice::{HandoffId, Step};
use crate::timer::Timer;

/// What is to be done.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// 180 to the caller.
    RingCaller,
    /// 200 to the caller; the call has started.
    AnswerCaller,
    /// The caller who was called back has answered; the call has started.
    Start,
    /// Final refusal of the caller's INVITE.
    RejectCaller(u16),
    /// BYE to the caller, with a Reason (RFC 3326); CANCEL where it is called back and has not answered.
    EndCaller(&'static str),
    /// INVITE to this agent: an index into the agents of this call.
    InviteAi(usize),
    /// CANCEL or BYE to whom the caller talks with.
    EndPeer(&'static str),
    /// Ask where the caller goes.
    AskRoute,
    /// The caller wants an agent of the queue that the handoff tries.
    LineUp,
    /// What can be said of the wait is wanted now.
    Estimate,
    /// INVITE to the target that the handoff tries; the context goes out.
    InviteTarget,
    /// CANCEL or BYE to the target.
    EndTarget(&'static str),
    /// REFER to the caller's carrier: it is to connect the caller with the target that the handoff tries; the context goes out.
    Refer,
    /// What comes of that REFER is of no interest any more.
    ForgetRefer,
    /// The target is the peer from now on.
    Promote,
    /// Make the table so; with the window of evidence, if one is open.
    Show(Scene, Option<WindowId>),
    /// The same scene, in which something else is said: that it is in force is no news, and where it is impossible all goes on as it is.
    Say(Scene, Option<WindowId>),
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
    /// Tell that the caller who was to be called back was not reached: the status.
    TellNotReached(u16),
    /// Tell the end of the call. Nothing of it is left.
    TellEnded(&'static str),
}

/// Who hears what, by name. `spec.rs` makes the table of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scene {
    /// The AI is invited: nobody hears anything.
    Setup,
    /// Caller and peer hear each other, also until the join where the AI talks on.
    Conversation,
    /// The caller hears what is to be disclosed (if `discloses`), announcement (unless `hold_only`), how long it will take (if that is said) and hold audio, nobody else anything.
    Waiting {
        /// What is heard.
        wait: Wait,
    },
    /// As waiting, and the target hears the briefing.
    Briefing {
        /// What is heard.
        wait: Wait,
        /// The target's.
        briefing: PlayId,
        /// Whose briefing it is: an index into the targets of the configuration.
        target: usize,
        /// It is said again and again: the human is to press a key or to click.
        again: bool,
    },
    /// As waiting, and the target hears hold audio, too.
    Gated {
        /// What is heard.
        wait: Wait,
        /// The target's.
        hold: PlayId,
        /// Caller and peer hear each other meanwhile.
        talks_on: bool,
    },
    /// Caller and target hear each other; the peer, where it is still there, what it heard while waiting, or nothing where it
    /// talked on.
    Joined {
        /// What the peer hears.
        wait: Wait,
    },
    /// Caller, target and peer hear each other; the target's first word is waited for.
    Introduced {
        /// What was heard before.
        wait: Wait,
    },
    /// Caller and peer, who was the target, hear each other; the peer's first word is waited for.
    HandedOff,
    /// The caller hears why it did not work, then the peer; the peer hears the caller at once.
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

/// What is heard while a target is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wait {
    /// The caller's.
    pub play: PlayId,
    /// Without the announcement.
    pub hold_only: bool,
    /// The announcement is that of who is called back.
    pub back: bool,
    /// What is to be disclosed comes first.
    pub discloses: bool,
    /// The place in line, and how long it will take.
    pub said: Said,
    /// Hold audio of the peer that hands off: of a human. An AI hears nothing, so that it does not answer the music.
    pub peer: Option<PlayId>,
    /// Whose hold audio is heard: of the first target that is reached for, also while others are. An index into the targets of the
    /// configuration.
    pub target: usize,
    /// Whose announcement, disclosure and hold audio are heard, where it has some: an index into the lines of the playbook's matrix.
    pub line: Option<usize>,
}

impl Wait {
    /// Items of the caller's queue before the hold audio.
    pub(crate) fn spoken(self) -> u8 {
        // A number comes after what introduces it.
        let left = match self.said.left {
            None => 0,
            Some(Left::Soon) => 1,
            Some(Left::Minutes(_)) => 2,
        };
        let place = 2 * u8::from(self.said.place.is_some());
        place + left + u8::from(self.discloses) + u8::from(!self.hold_only)
    }
}

/// What a caller is told who is given back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Apology {
    /// Everybody is busy.
    Busy,
    /// Nobody answered.
    NoAnswer,
    /// It did not work.
    Failed,
    /// Nobody is there at this time.
    AfterHours,
}

/// Reason header values (RFC 3326).
pub(crate) mod cause {
    pub(crate) const CALLER_GONE: &str = "SIP;cause=487;text=\"Caller hung up\"";
    pub(crate) const PEER_GONE: &str = "SIP;cause=200;text=\"Other party hung up\"";
    pub(crate) const HANDED_OFF: &str = "SIP;cause=200;text=\"Handed off to a human\"";
    pub(crate) const NO_ANSWER: &str = "SIP;cause=480;text=\"No answer in time\"";
    /// RFC 3326 §2: no call that was missed.
    pub(crate) const ELSEWHERE: &str = "SIP;cause=200;text=\"Call completed elsewhere\"";
    pub(crate) const NOT_ACCEPTED: &str = "SIP;cause=480;text=\"Not accepted\"";
    pub(crate) const TAKEN_BACK: &str = "SIP;cause=487;text=\"Request taken back\"";
    pub(crate) const HUNG_UP: &str = "SIP;cause=200;text=\"Ended by the operator\"";
    pub(crate) const SILENT: &str = "SIP;cause=480;text=\"No audio\"";
    pub(crate) const FAULT: &str = "SIP;cause=500;text=\"Media failure\"";
}

impl Scene {
    /// The play of the reason that the caller is told.
    pub(crate) fn reason(self) -> Option<PlayId> {
        match self {
            Scene::Returned { play, .. } => Some(play),
            _ => None,
        }
    }
}
