//! What happens in one simulated call.

use std::time::Duration;

use playbook::{Accept, Mode};
use sip::sdp::{Direction, Encoding};

use crate::net::Profile;
use crate::ua::Answering;
use crate::world::Who;

/// How a human behaves once invited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Behaviour {
    /// Until the answer.
    pub answering: Answering,
    /// A key pressed this long after the answer.
    pub key: Option<(Duration, char)>,
    /// Hangs up this long after the answer.
    pub hang_up: Option<Duration>,
}

impl Behaviour {
    /// Answers after a second, presses 1 two seconds later.
    pub const GOOD: Behaviour = Behaviour {
        answering: Answering::After(Duration::from_secs(1)),
        key: Some((Duration::from_secs(2), '1')),
        hang_up: None,
    };

    /// Never answers well, in this way.
    pub const fn not(answering: Answering) -> Behaviour {
        Behaviour {
            answering,
            key: None,
            hang_up: None,
        }
    }
}

/// Something that happens besides, at its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Also {
    /// A party sends a re-INVITE with this direction (the address stays).
    Reinvite(Who, Direction),
    /// A party goes on without sending media.
    Mute(Who),
    /// Another handoff is asked for.
    Handoff,
    /// The human accepts by API.
    Accept,
    /// The human declines by API.
    Decline,
}

/// One simulated call. Times are from the start.
#[derive(Clone, Debug)]
pub struct Scenario {
    /// Of everything that is random.
    pub seed: u64,
    /// How the handoff is asked for; `None`: the playbook's own.
    pub mode: Option<Mode>,
    /// How the human takes it.
    pub accept: Accept,
    /// What the caller speaks, best first; then the AI, then every human.
    pub encodings: [Vec<Encoding>; 3],
    /// The targets in order.
    pub humans: Vec<Behaviour>,
    /// How the AI answers.
    pub ai: Answering,
    /// When the handoff is asked for; `None`: never.
    pub handoff_at: Option<Duration>,
    /// When the caller hangs up; `None`: at `end`.
    pub caller_hangs_up: Option<Duration>,
    /// When the AI hangs up of itself.
    pub ai_hangs_up: Option<Duration>,
    /// When the handoff is cancelled by API.
    pub cancel_at: Option<Duration>,
    /// How long a target may ring.
    pub ring: Duration,
    /// The network for SIP and for media.
    pub net: [Profile; 2],
    /// Longest delay of a command to the core and of an event back.
    pub hop: Duration,
    /// The humans are on the line and say nothing: no first word closes the window of evidence.
    pub quiet_humans: bool,
    /// The caller presses these keys, one after the other, while talking with the AI.
    pub caller_keys: Vec<(Duration, char)>,
    /// What happens besides.
    pub also: Vec<(Duration, Also)>,
    /// Strangers spray valid-looking RTP at every port, this often.
    pub spray: Option<Duration>,
    /// When whoever is still there hangs up.
    pub end: Duration,
}

impl Scenario {
    /// A warm handoff on a perfect network that goes well.
    pub fn warm(seed: u64) -> Scenario {
        Scenario {
            seed,
            mode: Some(Mode::Warm),
            accept: Accept::Key,
            encodings: [vec![Encoding::Pcmu], vec![Encoding::Pcmu], vec![Encoding::Pcmu]],
            humans: vec![Behaviour::GOOD],
            ai: Answering::After(Duration::from_millis(50)),
            handoff_at: Some(Duration::from_secs(3)),
            caller_hangs_up: None,
            ai_hangs_up: None,
            cancel_at: None,
            ring: Duration::from_secs(8),
            net: [Profile::PERFECT, Profile::PERFECT],
            hop: Duration::from_micros(500),
            quiet_humans: false,
            caller_keys: Vec::new(),
            also: Vec::new(),
            spray: None,
            end: Duration::from_secs(25),
        }
    }

    /// A cold one.
    pub fn cold(seed: u64) -> Scenario {
        Scenario {
            mode: Some(Mode::Cold),
            ..Scenario::warm(seed)
        }
    }

    /// A warm one in which the only human behaves so.
    pub fn failing(seed: u64, human: Behaviour) -> Scenario {
        Scenario {
            humans: vec![human],
            end: Duration::from_secs(30),
            ..Scenario::warm(seed)
        }
    }
}
