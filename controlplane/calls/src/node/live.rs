//! One call with everything that its machine does not know: legs, ports, context, timers.

use std::sync::Arc;
use std::time::{Duration, Instant};

use media::command::{Generation, LEGS_MAX, LegId, PlayId, SessionId, WindowId};
use media::evidence::Evidence;
use playbook::caller::Caller;
use playbook::context::{Context, Package};
use playbook::decisions::Manner;
use playbook::memory::Memory;
use playbook::routing::{Seat, Ticket};
use sip::endpoint::ReferId;

use crate::call::{Call, Input, Scene};
use crate::codecs;
use crate::config::{Config, Machine};
use crate::desired::Desired;
use crate::handoff::{Handoff, State};
use crate::leg::{Leg, LegState};
use crate::node::{Asked, Way};
use crate::notice::{CallId, HandoffId, Party, StandingLeg, Step};
use crate::ports::Taken;
use crate::request::CallBack;
use crate::spare::{self, Spare};
use crate::spec::{Legs, Role};
use crate::supervisor::Rows;
use crate::timer::Timers;

#[derive(Debug)]
pub(crate) struct Live {
    pub(crate) id: CallId,
    /// What it began with, whatever is changed meanwhile.
    pub(crate) config: Arc<Config>,
    pub(crate) call: Call,
    pub(crate) legs: Legs,
    pub(crate) worker: usize,
    /// Since when its worker has packets of it.
    pub(crate) began: Option<Instant>,
    /// The trunk's name.
    pub(crate) trunk: String,
    /// Indices of the agents to try.
    pub(crate) agents: Vec<usize>,
    /// Place in `agents` of the one that is tried, or talks.
    pub(crate) agent: usize,
    /// The caller's From, without its tag.
    pub(crate) from: String,
    /// The caller's From URI.
    pub(crate) caller: String,
    /// Whether the carrier vouches for its number, where the trunk's word counts for that.
    pub(crate) verified: Option<bool>,
    pub(crate) context: Context,
    /// What the rules of the playbook remember.
    pub(crate) memory: Memory,
    /// How long before this call others of the same caller began, where a rule looks at that.
    pub(crate) earlier: Vec<Duration>,
    /// How the last handoff goes, or the next one if nothing is decided.
    pub(crate) manner: Arc<Manner>,
    pub(crate) desired: Desired,
    pub(crate) scene: Scene,
    pub(crate) window: Option<WindowId>,
    pub(crate) timers: Timers,
    /// Under which deadline the registry has the call.
    pub(crate) scheduled: Option<Instant>,
    /// When the input happened that is being carried out.
    pub(crate) at: Instant,
    /// Who each leg is or was, by its id.
    pub(crate) parties: Vec<Party>,
    /// Ports of legs that leave the table with a generation.
    pub(crate) retiring: Vec<(Generation, Taken)>,
    /// Its session is on its way to another worker.
    pub(crate) way: Option<Way>,
    /// The line that it waits in, or whose agent is reached for: its place in the order, and its own in line.
    pub(crate) lined: Option<(usize, Ticket)>,
    /// The queue's agent who is to be called.
    pub(crate) seat: Option<Seat>,
    /// The target's leg has no port yet.
    pub(crate) awaits_port: bool,
    /// Our answer to the caller's offer, for the 200.
    pub(crate) answer: Option<String>,
    /// The caller was told that it rings.
    pub(crate) rang: bool,
    /// The REFER that we sent to the caller's carrier, as long as its outcome is awaited.
    pub(crate) referral: Option<ReferId>,
    /// The legs that were last told to be up.
    pub(crate) told: Vec<StandingLeg>,
    /// Rows that are wished to be otherwise than their scene has them.
    pub(crate) rows: Rows,
    /// … of which is not known whether they are in force.
    pub(crate) asked: Option<Asked>,
    /// Who wished for the supervisor, or for its end.
    pub(crate) supervised_by: String,
    /// Items that were played, of the plays of the present spec.
    pub(crate) played: Vec<(PlayId, u8)>,
    /// The last handoff that joined.
    pub(crate) joined: Option<HandoffId>,
    /// It is called back, and has not answered.
    pub(crate) back: Option<Box<CallBack>>,
    /// Those that joined machines of our own, and which: of the handoffs that are not closed, and the last one.
    pub(crate) machines: Vec<(HandoffId, Machine)>,
    /// How that one ended, where it is told only when the call is over.
    pub(crate) untold: Option<(HandoffId, Step)>,
}

/// What is known of a call when it begins, besides its first leg.
#[derive(Debug)]
pub(crate) struct Arrival {
    pub(crate) id: CallId,
    pub(crate) worker: usize,
    /// The caller's From, without its tag.
    pub(crate) from: String,
    /// The caller's From URI.
    pub(crate) caller: String,
    /// Whether the carrier vouches for its number.
    pub(crate) verified: Option<bool>,
    /// Indices of the agents to try.
    pub(crate) agents: Vec<usize>,
    /// Our answer to its offer.
    pub(crate) answer: Option<String>,
}

impl Live {
    /// One that has nothing but its caller yet.
    pub(crate) fn new(now: Instant, config: Arc<Config>, call: Call, caller: Leg, arrival: Arrival) -> Live {
        let trunk = caller.name.clone();
        let manner = Arc::new(config.playbook.usual.clone());
        Live {
            id: arrival.id,
            config,
            call,
            legs: Legs {
                caller,
                peer: None,
                target: None,
                forks: Vec::new(),
                supervisor: None,
            },
            worker: arrival.worker,
            began: None,
            trunk,
            agents: arrival.agents,
            agent: 0,
            from: arrival.from,
            caller: arrival.caller,
            verified: arrival.verified,
            context: Context::new(),
            memory: Memory::default(),
            earlier: Vec::new(),
            manner,
            desired: Desired::new(SessionId(arrival.id.0)),
            scene: Scene::Setup,
            window: None,
            timers: Timers::default(),
            scheduled: None,
            at: now,
            parties: vec![Party::Caller],
            retiring: Vec::new(),
            way: None,
            lined: None,
            seat: None,
            awaits_port: false,
            answer: arrival.answer,
            rang: false,
            referral: None,
            told: Vec::new(),
            rows: Rows::default(),
            asked: None,
            supervised_by: String::new(),
            played: Vec::new(),
            joined: None,
            back: None,
            machines: Vec::new(),
            untold: None,
        }
    }

    /// What the human gets to know.
    pub(crate) fn package(&self) -> Package {
        self.package_of(&self.context, &self.manner.required)
    }

    /// The same of a context that is not this call's yet.
    pub(crate) fn package_of(&self, context: &Context, required: &[String]) -> Package {
        let playbook = &self.config.playbook;
        let caller = Caller {
            uri: &self.caller,
            verified: self.verified,
            on_file: playbook.caller_id_field.as_deref(),
        };
        context.package(&caller, required)
    }

    /// Which of our own machines this handoff has joined, where it has.
    pub(crate) fn machine_of(&self, handoff: HandoffId) -> Option<Machine> {
        let mut joined = self.machines.iter();
        joined.find(|(with, _)| *with == handoff).map(|(_, machine)| *machine)
    }

    /// Which of our own machines the target is, where it is one.
    pub(crate) fn target_machine(&self) -> Option<Machine> {
        let name = &self.legs.target.as_ref()?.name;
        self.config.targets.iter().find(|target| target.name == *name)?.machine
    }

    /// The id of the next leg.
    pub(crate) fn next_leg(&self) -> LegId {
        LegId(u16::try_from(self.parties.len()).unwrap_or(u16::MAX))
    }

    /// Ports whose legs are not in the table any more, now that this generation is in force.
    pub(crate) fn retired(&mut self, generation: Generation) -> Vec<Taken> {
        let (gone, stay): (Vec<_>, Vec<_>) = self.retiring.drain(..).partition(|(since, _)| *since <= generation);
        self.retiring = stay;
        gone.into_iter().map(|(_, taken)| taken).collect()
    }

    /// All ports that the call still has.
    pub(crate) fn ports(&self) -> Vec<Taken> {
        let legs = self.legs.iter().map(|leg| leg.taken);
        let kept = self.way.as_ref().and_then(Way::port);
        legs.chain(self.retiring.iter().map(|(_, taken)| *taken))
            .chain(kept)
            .collect()
    }

    /// Names for legs. Of several humans of one window only the last one is of interest.
    pub(crate) fn name(&self, listeners: &[(LegId, Evidence)]) -> Vec<(Party, Evidence)> {
        let mut named: Vec<(Party, Evidence)> = Vec::with_capacity(LEGS_MAX);
        for (leg, evidence) in listeners {
            let Some(party) = self.parties.get(usize::from(leg.0)).copied() else {
                continue;
            };
            // It has no part in a handoff.
            if party == Party::Supervisor {
                continue;
            }
            named.retain(|(earlier, _)| *earlier != party);
            named.push((party, *evidence));
        }
        named
    }

    /// An item was played.
    pub(crate) fn progress(&mut self, play: PlayId, item: u8) {
        self.played.retain(|(other, _)| *other != play);
        self.played.push((play, item));
        let spec = self.desired.spec();
        // One that hold audio stands in for when it is over must not begin again.
        let own = self.scene.reason();
        self.played.retain(|(play, _)| {
            own == Some(*play)
                || spec
                    .legs
                    .iter()
                    .any(|leg| leg.hears.play.as_ref().is_some_and(|row| row.id == *play))
        });
    }

    /// What a leg speaks, and why; `None` before that is agreed.
    pub(crate) fn codec(&self, leg: &Leg) -> Option<(&'static str, &'static str)> {
        let agreed = leg.agreed.as_ref()?;
        let caller = self.legs.caller.encoding().filter(|_| leg.party != Party::Caller);
        let first = leg.local.encodings.first().copied();
        let why = match leg.spare {
            Spare::Changed(encoding) if encoding == agreed.encoding => spare::WHY,
            _ => codecs::why(self.config.prefer, agreed, first, caller),
        };
        Some((codecs::name(agreed.encoding), why))
    }

    /// A provisional answer came.
    pub(crate) fn rings(&mut self, leg: LegId, role: Role) -> Option<Input> {
        let leg = self.legs.find(leg)?;
        if leg.state != LegState::Inviting {
            return None;
        }
        leg.state = LegState::Ringing;
        match role {
            Role::Caller | Role::Supervisor => None,
            Role::Peer => Some(Input::PeerRinging),
            // Another's phone may ring already.
            Role::Target => {
                let is_first = self.call.handoff().map(Handoff::state) == Some(State::Inviting);
                is_first.then_some(Input::TargetRinging)
            }
        }
    }
}
