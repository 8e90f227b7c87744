//! Where a handoff is, and what becomes of the call.

use media::command::PlayId;

use crate::watched::Verdict;

/// What a handoff is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// The caller's carrier is asked to connect the caller with the target.
    Referring {
        /// It said yes.
        accepted: bool,
        /// It said that the target's phone rings.
        rang: bool,
    },
    /// Somebody was asked where the caller goes.
    Routing,
    /// The caller waits in line for a human agent.
    Queued,
    /// The human is invited, and nothing has come back.
    Inviting,
    /// The human's phone rings.
    Ringing,
    /// The human hears the briefing, or thinks about it.
    Briefing {
        /// The briefing.
        play: PlayId,
    },
    /// The human accepted; the join waits for the context.
    Gated {
        /// The human's hold audio.
        hold: PlayId,
    },
    /// The human accepted; the data plane has not said yet that the rows are in force.
    Joining,
    /// Caller and human are joined, and the AI has stayed with them.
    Introducing,
    /// The caller goes back to its peer; the data plane has not said yet that the rows are in force.
    Returning {
        /// How it ends.
        verdict: Verdict,
        /// The caller hears a reason first.
        spoken: bool,
    },
}

impl State {
    /// Its name, the same for ever.
    pub fn name(self) -> &'static str {
        match self {
            State::Referring { .. } => "referring",
            State::Routing => "routing",
            State::Queued => "queued",
            State::Inviting => "inviting",
            State::Ringing => "ringing",
            State::Briefing { .. } => "briefing",
            State::Gated { .. } => "gated",
            State::Joining => "joining",
            State::Introducing => "introducing",
            State::Returning { .. } => "returning",
        }
    }
}

/// What becomes of the call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// The handoff goes on.
    Same,
    /// Caller and peer, who was the target where it was joined. Only the evidence is awaited.
    Talking(Verdict),
    /// The carrier has connected the caller with the target: the call is to be ended.
    Transferred,
    /// Nobody is left for the caller, who is to be told goodbye.
    Goodbye(Verdict),
    /// The data plane can do nothing: the call is to be ended.
    End(Verdict),
}
