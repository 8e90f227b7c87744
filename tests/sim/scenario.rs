//! What happens in one simulated call.

use std::time::Duration;

use playbook::routing::Presence;
use playbook::{Accept, AiGone, ColdHears, Mode};
use sip::sdp::{Direction, Encoding};

use calls::config::Machine;
use calls::supervisor::Mode as Supervision;

use crate::net::Profile;
use crate::ua::{Afterwards, Answering, Referred};
use crate::world::{PAIRS, Who};

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

/// When something happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    /// This long after the start.
    At(Duration),
    /// This long after a step of a handoff first came, by the step's name (`answered`): zero is the same instant.
    After(&'static str, Duration),
}

impl From<Duration> for When {
    fn from(at: Duration) -> When {
        When::At(at)
    }
}

/// Something that happens besides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Also {
    /// A party sends a re-INVITE.
    Reinvite(Who, Offer),
    /// Baton offers every party its description again, by re-INVITEs.
    OfferAgain,
    /// A party goes on without sending media.
    Mute(Who),
    /// It sends again.
    Unmute(Who),
    /// A human who was on the line without a word speaks.
    Speak(usize),
    /// A party sends a REFER.
    Refer(Who, Aim, Afterwards),
    /// It sends another stream: new SSRC, numbers and timestamps, as after a transfer inside its network.
    NewStream(Who),
    /// It is gone without a word: it neither sends nor answers.
    Vanish(Who),
    /// A party presses a key.
    Press(Who, char),
    /// A party presses a key, and says so in INFO.
    PressInfo(Who, char),
    /// A party hangs up.
    HangUp(Who),
    /// Another handoff is asked for.
    Handoff,
    /// The human accepts by API.
    Accept,
    /// The human declines by API.
    Decline,
    /// The request is taken back by API.
    Cancel,
    /// The AI tells what the playbook requires of the context.
    Summary,
    /// Who was asked where the caller goes answers.
    Route,
    /// A desk says by API that it has the context.
    Acknowledge,
    /// An agent of the queue comes, goes, or does something else.
    Presence(usize, Presence),
    /// The supervisor is invited by API.
    Supervise,
    /// It is wished to do this.
    Supervision(Supervision),
    /// It is to leave.
    Dismiss,
    /// The call is ended by API.
    EndCall,
    /// The node takes no new calls.
    Drain,
    /// The worker takes no command for this long.
    Stall(Duration),
    /// What the worker says reaches nobody for this long, and then in order.
    Hush(Duration),
    /// There is no room for what the worker has to say for this long: it keeps what counts (its mailbox).
    Full(Duration),
    /// The worker's evidence never comes from now on.
    LoseEvidence,
    /// The worker refuses the next table.
    MediaRefuses,
    /// This worker is measured to be busier than it may be, and the other has nothing to do.
    Busy(usize),
}

/// What a party does that is offered one codec alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asked {
    /// It changes to it, if it speaks it, in the moment of its answer.
    Changes,
    /// It refuses.
    Refuses(u16),
    /// It takes the re-INVITE and never answers it.
    Ponders,
}

/// Whom a REFER names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Aim {
    /// The n-th target, by the URI that the configuration has.
    Target(usize),
    /// A number that nobody configured: toll fraud.
    Stranger,
    /// A host that is a target's, and a user that is not.
    StrangeUser,
}

/// What the configuration has for a carrier that asks who we are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trust {
    /// No credentials.
    Nothing,
    /// Those that the carrier knows.
    Right,
    /// Another password.
    Wrong,
}

/// What a party's re-INVITE says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Offer {
    /// This direction (RFC 3264 §8.4), all else as it was.
    Direction(Direction),
    /// `c=IN IP4 0.0.0.0`: hold as RFC 2543 had it.
    NoAddress,
    /// No offer: the other side makes it, and the answer goes with the ACK.
    Late,
    /// Only this codec from now on.
    Codec(Encoding),
    /// Both at once.
    Both(Direction, Encoding),
    /// Another port.
    Moved,
}

/// What SIP to and from a party goes by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Carriage {
    /// UDP; it takes no connections.
    Udp,
    /// UDP, and what is too long for a datagram by TCP.
    Both,
    /// TCP.
    Tcp,
    /// TCP, says the configuration, and nobody takes connections there.
    Refused,
}

/// TCP in a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Carriages {
    /// Of the caller, who opens its connection itself; of the AI; of the humans.
    pub of: [Carriage; 3],
    /// Connections that break, in thousandths.
    pub breaks: u32,
    /// The caller has a name so long that an INVITE with it is too long for a datagram.
    pub long: bool,
}

impl Carriages {
    /// UDP alone.
    pub const UDP: Carriages = Carriages {
        of: [Carriage::Udp; 3],
        breaks: 0,
        long: false,
    };
    /// TCP alone.
    pub const TCP: Carriages = Carriages {
        of: [Carriage::Tcp; 3],
        ..Carriages::UDP
    };
}

/// A target that is a queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// Which of the targets.
    pub target: usize,
    /// Its agents, and whether they are there at the start.
    pub agents: Vec<Presence>,
    /// How all but the first of them behave, each at a phone of its own; of those that are left the phone is that of the target, as it is of
    /// the first.
    pub phones: Vec<Behaviour>,
    /// How many of them are called at a time.
    pub at_once: usize,
    /// How long a caller waits in line.
    pub max_wait: Duration,
    /// How long an agent is left alone after a talk.
    pub wrap_up: Duration,
    /// … and called for nobody after no answer.
    pub set_aside: Duration,
}

/// Who is asked where the caller goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Router {
    /// How long that may take.
    pub bound: Duration,
    /// After so long an answer comes.
    pub after: Duration,
    /// The targets in the other order, in place of nothing of use.
    pub turns: bool,
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
    /// What becomes of a caller whose AI is gone.
    pub ai_gone: AiGone,
    /// What the caller hears meanwhile where it is cold.
    pub cold_hears: ColdHears,
    /// What the caller speaks, best first; then the AI, then every human.
    pub encodings: [Vec<Encoding>; 3],
    /// The humans answer with all that they speak, in their own order, and speak the first of it.
    pub list_all: bool,
    /// What every party does with a re-INVITE of Baton's that asks it to change its codec.
    pub asked: Asked,
    /// Whether the caller is told keys in INFO; the AI; the humans.
    pub info: [bool; 3],
    /// The targets in order.
    pub humans: Vec<Behaviour>,
    /// Which of them are no humans but machines of our own.
    pub machines: [Option<Machine>; 3],
    /// The last of them is no target of the playbook, but a supervisor who is invited by API.
    pub supervised: bool,
    /// How the AI answers.
    pub ai: Answering,
    /// There is something that the caller is to be told before it is with a human; where a join waits for the context, for this, too.
    pub discloses: bool,
    /// The caller is called back, and answers so; there is no AI then.
    pub called_back: Option<Answering>,
    /// The trunk takes REFER.
    pub refer: bool,
    /// What the caller's carrier does with a REFER.
    pub carrier: Referred,
    /// Whom we say to be where it asks.
    pub trust: Trust,
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
    /// How often who waits is told how long it will take, if at all.
    pub estimate: Option<Duration>,
    /// What handoffs to the first target took before.
    pub took: Vec<Duration>,
    /// The target that is a queue, if one is.
    pub line: Option<Line>,
    /// Somebody is asked where the caller goes.
    pub router: Option<Router>,
    /// How long a human who answered may take to accept.
    pub accept_within: Duration,
    /// How long a human who accepted waits for what is required of the context, and for who acknowledges it; zero: not at all.
    pub gates: [Duration; 2],
    /// How long the AI stays after the join of a warm handoff.
    pub ai_stays: Duration,
    /// How long all targets together may take.
    pub reach: Duration,
    /// How long the carrier may take over a REFER, the evidence over coming, and a goodbye.
    pub waits: [Duration; 3],
    /// Pairs of media ports that Baton's first worker has, [`PAIRS`] at the most.
    pub pairs: u16,
    /// The same of a second one; 0: there is none.
    pub second: u16,
    /// Rows that each worker can mix at a time.
    pub mixers: usize,
    /// The network for SIP and for media.
    pub net: [Profile; 2],
    /// What SIP goes by.
    pub carriages: Carriages,
    /// Longest delay of a command to the core and of an event back.
    pub hop: Duration,
    /// The humans are on the line and say nothing: no first word closes the window of evidence.
    pub quiet_humans: bool,
    /// The caller presses these keys, one after the other, while talking with the AI.
    pub caller_keys: Vec<(Duration, char)>,
    /// What happens besides.
    pub also: Vec<(When, Also)>,
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
            cold_hears: ColdHears::Hold,
            ai_gone: AiGone::End,
            encodings: [vec![Encoding::Pcmu], vec![Encoding::Pcmu], vec![Encoding::Pcmu]],
            list_all: false,
            asked: Asked::Changes,
            info: [false; 3],
            humans: vec![Behaviour::GOOD],
            machines: [None; 3],
            supervised: false,
            ai: Answering::After(Duration::from_millis(50)),
            discloses: false,
            called_back: None,
            refer: false,
            carrier: Referred::Refuses(405),
            trust: Trust::Nothing,
            handoff_at: Some(Duration::from_secs(3)),
            caller_hangs_up: None,
            ai_hangs_up: None,
            cancel_at: None,
            ring: Duration::from_secs(8),
            estimate: None,
            took: Vec::new(),
            line: None,
            router: None,
            accept_within: Duration::from_secs(10),
            gates: [Duration::ZERO; 2],
            ai_stays: Duration::ZERO,
            reach: Duration::from_secs(60),
            waits: [30, 15, 30].map(Duration::from_secs),
            pairs: PAIRS,
            second: 0,
            mixers: 0,
            net: [Profile::PERFECT, Profile::PERFECT],
            carriages: Carriages::UDP,
            hop: Duration::from_micros(500),
            quiet_humans: false,
            caller_keys: Vec::new(),
            also: Vec::new(),
            spray: None,
            end: Duration::from_secs(25),
        }
    }

    /// How many of the humans can be handed to.
    pub fn targets(&self) -> usize {
        self.humans.len() - usize::from(self.supervised)
    }

    /// Which of our own machines a party is, where it is one.
    pub fn machine(&self, who: Who) -> Option<Machine> {
        match who {
            Who::Human(n) => self.machines.get(n).copied().flatten(),
            Who::Caller | Who::Ai => None,
        }
    }

    /// The phones of the queue's agents beside that of the target.
    pub fn phones(&self) -> &[Behaviour] {
        self.line.as_ref().map_or(&[], |line| &line.phones)
    }

    /// The phone of the n-th agent of the queue.
    pub fn phone(&self, agent: usize) -> Option<Who> {
        let line = self.line.as_ref()?;
        let own = (1..=line.phones.len()).contains(&agent);
        Some(Who::Human(match own {
            true => self.humans.len() + agent - 1,
            false => line.target,
        }))
    }

    /// How the n-th human behaves: a target, or an agent at a phone of its own.
    pub fn behaviour(&mut self, n: usize) -> Option<&mut Behaviour> {
        let phones = self.line.as_mut().map(|line| line.phones.iter_mut());
        self.humans.iter_mut().chain(phones.into_iter().flatten()).nth(n)
    }

    /// Who supervises.
    pub fn supervisor(&self) -> Option<Who> {
        self.supervised.then(|| Who::Human(self.targets()))
    }

    /// Whether no message is lost on its way.
    pub fn loses_no_sip(&self) -> bool {
        self.net[0] == Profile::PERFECT && self.carriages.breaks == 0
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
