//! From a scene to the table of who hears whom.
//!
//! | scene | caller hears | AI hears | human hears | digits of the human |
//! |---|---|---|---|---|
//! | setup | – (nothing is sent) | | | |
//! | conversation | AI | caller | | |
//! | waiting | announcement, hold | – | | |
//! | briefing | announcement, hold | – | briefing | taken |
//! | joined | human | – | caller | relayed |
//! | returned | reason, then AI | caller | | |
//! | goodbye | goodbye | | | |
//!
//! A leg is in the table from its answer on and as long as its dialog lives; the caller always.

use arrayvec::ArrayVec;
use media::command::{Dtmf, Hears, LegId, LegSpec, Play, PlayId, Port, PromptId, SessionSpec, Watch, WindowId};
use playbook::Accept;

use crate::call::{Apology, Scene};
use crate::config::{Config, Prompts};
use crate::leg::{Leg, LegState};

/// The legs of a call.
#[derive(Clone, Debug)]
pub(crate) struct Legs {
    /// Who called.
    pub(crate) caller: Leg,
    /// The AI, from its INVITE to the end of its dialog.
    pub(crate) ai: Option<Leg>,
    /// The human, likewise.
    pub(crate) human: Option<Leg>,
}

impl Legs {
    /// All of them.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Leg> {
        [Some(&self.caller), self.ai.as_ref(), self.human.as_ref()]
            .into_iter()
            .flatten()
    }

    /// The one with this id.
    pub(crate) fn find(&mut self, id: LegId) -> Option<&mut Leg> {
        [Some(&mut self.caller), self.ai.as_mut(), self.human.as_mut()]
            .into_iter()
            .flatten()
            .find(|leg| leg.id == id)
    }
}

/// The table of a scene.
pub(crate) fn spec(scene: Scene, window: Option<WindowId>, legs: &Legs, config: &Config) -> SessionSpec {
    let up = |leg: &Option<Leg>| leg.as_ref().filter(|leg| leg.state == LegState::Up).map(|leg| leg.id);
    let (ai, human) = (up(&legs.ai), up(&legs.human));
    let caller = Some(legs.caller.id);
    let prompts = &config.prompts;

    let waiting = |play, hold_only: bool| {
        let announcement = (!hold_only).then_some(prompts.announcement);
        prompt(play, announcement.into_iter().chain([prompts.hold]), true)
    };
    let (caller_row, ai_row, human_row) = match scene {
        Scene::Setup => (Hears::default(), Hears::default(), Hears::default()),
        Scene::Conversation => (leg(ai), leg(caller), Hears::default()),
        Scene::Waiting { play, hold_only } => (waiting(play, hold_only), Hears::default(), Hears::default()),
        Scene::Briefing {
            play,
            hold_only,
            briefing,
            target,
        } => {
            let own = config.targets.get(target).and_then(|target| target.briefing);
            // A human who is to press a key or click hears it again until then: silence would say that nobody is there.
            let again = config.playbook.accept != Accept::Answer;
            let told = prompt(briefing, [own.unwrap_or(prompts.briefing)], again);
            (waiting(play, hold_only), Hears::default(), told)
        }
        Scene::Joined => (leg(human), Hears::default(), leg(caller)),
        Scene::Returned { play, apology } => {
            let said = prompt(play, [apologise(apology, prompts)], false);
            (
                Hears {
                    legs: leg(ai).legs,
                    ..said
                },
                leg(caller),
                Hears::default(),
            )
        }
        Scene::Goodbye { play } => (
            prompt(play, [prompts.goodbye], false),
            Hears::default(),
            Hears::default(),
        ),
    };

    let mut spec = SessionSpec {
        legs: ArrayVec::new(),
        watch: None,
    };
    spec.legs.push(row(&legs.caller, Dtmf::Relay, caller_row, config));
    if let Some(leg) = legs.ai.as_ref().filter(|leg| leg.state == LegState::Up) {
        spec.legs.push(row(leg, Dtmf::Relay, ai_row, config));
    }
    if let Some(leg) = legs.human.as_ref().filter(|leg| leg.state == LegState::Up) {
        let dtmf = if scene == Scene::Joined {
            Dtmf::Relay
        } else {
            Dtmf::Take
        };
        spec.legs.push(row(leg, dtmf, human_row, config));
    }
    spec.watch = window.map(|window| Watch {
        window,
        first_word_of: if scene == Scene::Joined { human } else { None },
    });
    spec
}

fn row(leg: &Leg, dtmf: Dtmf, hears: Hears, config: &Config) -> LegSpec {
    LegSpec {
        leg: leg.id,
        port: Port(leg.taken.port),
        remote: leg.agreed.as_ref().and_then(|agreed| agreed.remote),
        remote_rtcp: leg.agreed.as_ref().and_then(|agreed| agreed.remote_rtcp),
        exchange: leg.exchange,
        format: leg.format(),
        ptime_ms: leg.ptime_ms(),
        latch: config.latch,
        dtmf,
        send: leg.sends(),
        receive: leg.receives(),
        hears,
    }
}

fn leg(id: Option<LegId>) -> Hears {
    Hears {
        legs: id.into_iter().collect(),
        ..Hears::default()
    }
}

fn prompt(id: PlayId, queue: impl IntoIterator<Item = PromptId>, repeat_last: bool) -> Hears {
    let queue = queue.into_iter().collect();
    Hears {
        play: Some(Play { id, queue, repeat_last }),
        ..Hears::default()
    }
}

fn apologise(apology: Apology, prompts: &Prompts) -> PromptId {
    match apology {
        Apology::Busy => prompts.busy,
        Apology::NoAnswer => prompts.no_answer,
        Apology::Failed => prompts.failed,
    }
}

/// A prompt's name in what the API shows.
pub(crate) fn prompt_name(id: PromptId, prompts: &Prompts) -> &'static str {
    let names = [
        (prompts.announcement, "announcement"),
        (prompts.hold, "hold"),
        (prompts.briefing, "briefing"),
        (prompts.busy, "busy"),
        (prompts.no_answer, "no_answer"),
        (prompts.failed, "failed"),
        (prompts.goodbye, "goodbye"),
    ];
    names
        .into_iter()
        .find(|(prompt, _)| *prompt == id)
        .map_or("briefing", |(_, name)| name)
}
