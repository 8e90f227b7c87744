//! From a scene to the table of who hears whom.
//!
//! | scene | caller hears | peer hears | target hears | digits of the target |
//! |---|---|---|---|---|
//! | setup | – (nothing is sent) | | | |
//! | conversation (also while an AI talks on), handed off | peer | caller | | |
//! | waiting | announcement, how long it will take, hold | – (AI), hold (human) | | |
//! | briefing | as waiting | as waiting | briefing | taken |
//! | joined | target | as waiting | caller | relayed |
//! | returned | reason, then peer | caller | | |
//! | goodbye | goodbye | | | |
//!
//! A supervisor hears nothing, and its digits go nowhere: what it hears while the call talks is laid over the scene, as are rows that
//! somebody wishes to be otherwise ([`crate::supervisor`]). Digits of whom a leg hears that is told keys in INFO are taken, too.
//!
//! A leg is in the table from its answer on and as long as its dialog lives; the caller always.

use arrayvec::ArrayVec;
use media::command::{Dtmf, Hears, LegId, LegSpec, Play, PlayId, Port, PromptId, SessionSpec, Watch, WindowId};

use crate::call::{Apology, Scene, Wait};
use crate::config::{Config, Keys, Prompts, Sounds};
use crate::estimate::{Left, Said};
use crate::leg::{Leg, LegState};
use crate::notice::Party;

/// The legs of a call.
#[derive(Clone, Debug)]
pub(crate) struct Legs {
    /// Who called.
    pub(crate) caller: Leg,
    /// Whom the caller talks with, from its INVITE to the end of its dialog: the AI, then the human.
    pub(crate) peer: Option<Leg>,
    /// Whom a handoff reaches for, likewise, until it is the peer.
    pub(crate) target: Option<Leg>,
    /// Others who are called with it, of whom none has answered: who answers first is the target.
    pub(crate) forks: Vec<Leg>,
    /// Who listens in, likewise.
    pub(crate) supervisor: Option<Leg>,
}

/// What a leg is to its call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// Who called.
    Caller,
    /// Whom the caller talks with.
    Peer,
    /// Whom a handoff reaches for.
    Target,
    /// Who listens in.
    Supervisor,
}

impl Legs {
    /// All of them.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Leg> + Clone {
        let others = [&self.peer, &self.target, &self.supervisor];
        [&self.caller]
            .into_iter()
            .chain(others.into_iter().flatten())
            .chain(&self.forks)
    }

    /// All of them, to be changed.
    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Leg> {
        let others = [&mut self.peer, &mut self.target, &mut self.supervisor];
        [&mut self.caller]
            .into_iter()
            .chain(others.into_iter().flatten())
            .chain(&mut self.forks)
    }

    /// The one with this id.
    pub(crate) fn find(&mut self, id: LegId) -> Option<&mut Leg> {
        self.iter_mut().find(|leg| leg.id == id)
    }

    /// Of those who are called at a time, this one is the target, as something has come of its call.
    pub(crate) fn bring_to_front(&mut self, id: LegId) {
        let fork = self.forks.iter_mut().find(|leg| leg.id == id);
        if let (Some(fork), Some(target)) = (fork, &mut self.target) {
            std::mem::swap(fork, target);
        }
    }

    /// What the leg with this id is.
    pub(crate) fn role(&self, id: LegId) -> Option<Role> {
        let is = |leg: &Option<Leg>| leg.as_ref().is_some_and(|leg| leg.id == id);
        match () {
            () if self.caller.id == id => Some(Role::Caller),
            () if is(&self.peer) => Some(Role::Peer),
            () if is(&self.target) => Some(Role::Target),
            () if self.forks.iter().any(|leg| leg.id == id) => Some(Role::Target),
            () if is(&self.supervisor) => Some(Role::Supervisor),
            () => None,
        }
    }
}

/// The table of a scene.
pub(crate) fn spec(scene: Scene, window: Option<WindowId>, legs: &Legs, config: &Config) -> SessionSpec {
    let up = |leg: &Option<Leg>| leg.as_ref().filter(|leg| leg.state == LegState::Up).map(|leg| leg.id);
    let (peer, target) = (up(&legs.peer), up(&legs.target));
    let caller = Some(legs.caller.id);
    let prompts = &config.prompts;

    let nothing = Hears::default;
    let of_line = |wait: Wait| {
        wait.line
            .and_then(|line| config.sounds.get(line))
            .copied()
            .unwrap_or_default()
    };
    let hold = |wait: Wait| {
        let of_target = config.targets.get(wait.target).and_then(|target| target.hold);
        of_line(wait).hold.or(of_target).unwrap_or(prompts.hold)
    };
    let waiting = |wait: Wait| {
        let own = of_line(wait);
        let disclosure = config.disclosure(wait.line).filter(|_| wait.discloses);
        let usual = match wait.back {
            true => prompts.called_back,
            false => prompts.announcement,
        };
        let announcement = (!wait.hold_only).then_some(own.announcement.unwrap_or(usual));
        let said = disclosure
            .into_iter()
            .chain(announcement)
            .chain(tell(prompts, wait.said));
        let queue = said.chain([hold(wait)]);
        prompt(wait.play, queue, true)
    };
    // A human who hands on does not wait in silence. An AI does: it would answer the music.
    let on_hold = |wait: Wait| {
        let hold = wait.peer.map(|play| prompt(play, [hold(wait)], true));
        hold.unwrap_or_default()
    };
    let (caller_row, peer_row, target_row) = match scene {
        Scene::Setup => (nothing(), nothing(), nothing()),
        Scene::Conversation | Scene::HandedOff => (leg(peer), leg(caller), nothing()),
        Scene::Waiting { wait } => (waiting(wait), on_hold(wait), nothing()),
        Scene::Briefing {
            wait,
            briefing,
            target,
            again,
        } => {
            let own = config.targets.get(target).and_then(|target| target.briefing);
            // Until the key or the click: silence would say that nobody is there.
            let told = prompt(briefing, [own.unwrap_or(prompts.briefing)], again);
            (waiting(wait), on_hold(wait), told)
        }
        // Who took the call is told nothing more, but silence would say that the caller is gone.
        Scene::Gated {
            wait,
            hold: play,
            talks_on,
        } => {
            let held = prompt(play, [hold(wait)], true);
            match talks_on {
                true => (leg(peer), leg(caller), held),
                false => (waiting(wait), on_hold(wait), held),
            }
        }
        Scene::Introduced { .. } => {
            let both = |one: Option<LegId>, other: Option<LegId>| Hears::legs(one.into_iter().chain(other));
            (both(target, peer), both(caller, target), both(caller, peer))
        }
        Scene::Joined { wait } => {
            // The join is in force with the human's first packet, not with an answer that nothing follows.
            let human = Hears {
                patience: config.deadlines.first_packet,
                ..leg(target)
            };
            (human, on_hold(wait), leg(caller))
        }
        Scene::Returned { play, apology } => {
            let said = prompt(play, [apologise(apology, prompts)], false);
            (
                Hears {
                    legs: leg(peer).legs,
                    ..said
                },
                leg(caller),
                nothing(),
            )
        }
        Scene::Goodbye { play } => (prompt(play, [prompts.goodbye], false), nothing(), nothing()),
    };

    let mut spec = SessionSpec {
        legs: ArrayVec::new(),
        watch: None,
    };
    let with_ai = scene == Scene::Conversation && legs.peer.as_ref().is_some_and(|peer| peer.party == Party::Ai);
    let dtmf = match with_ai && config.playbook.rules.wants_keys() {
        true => Dtmf::Tell,
        false => Dtmf::Relay,
    };
    spec.legs.push(row(&legs.caller, dtmf, caller_row, config));
    if let Some(leg) = legs.peer.as_ref().filter(|leg| leg.state == LegState::Up) {
        spec.legs.push(row(leg, Dtmf::Relay, peer_row, config));
    }
    if let Some(leg) = legs.target.as_ref().filter(|leg| leg.state == LegState::Up) {
        let dtmf = match scene {
            Scene::Joined { .. } | Scene::Introduced { .. } => Dtmf::Relay,
            _ => Dtmf::Take,
        };
        spec.legs.push(row(leg, dtmf, target_row, config));
    }
    if let Some(leg) = legs.supervisor.as_ref().filter(|leg| leg.state == LegState::Up) {
        spec.legs.push(row(leg, Dtmf::Drop, nothing(), config));
    }
    spec.watch = window.map(|window| Watch {
        window,
        first_word_of: match scene {
            Scene::Joined { .. } | Scene::Introduced { .. } => target,
            Scene::HandedOff => peer,
            _ => None,
        },
    });
    spec
}

/// Who is heard by a leg that wants keys in INFO says them to us.
pub(crate) fn take_keys(spec: &mut SessionSpec, legs: &Legs) {
    let wants = |id: LegId| legs.iter().any(|leg| leg.id == id && leg.keys == Keys::Info);
    let listeners = spec.legs.iter().filter(|row| wants(row.leg));
    let heard: Vec<LegId> = listeners.flat_map(|row| row.hears.sources()).collect();
    let relayed = |row: &&mut LegSpec| row.dtmf.relays() && heard.contains(&row.leg);
    for row in spec.legs.iter_mut().filter(relayed) {
        row.dtmf = Dtmf::Take;
    }
}

fn row(leg: &Leg, dtmf: Dtmf, hears: Hears, config: &Config) -> LegSpec {
    LegSpec {
        leg: leg.id,
        port: Port(leg.taken.port),
        remote: leg.agreed.as_ref().and_then(|agreed| agreed.remote),
        remote_rtcp: leg.agreed.as_ref().and_then(|agreed| agreed.remote_rtcp),
        exchange: leg.exchange,
        format: leg.format(),
        also: leg.also(),
        opus: leg.opus(),
        pressed: leg.pressed.clone(),
        ptime_ms: leg.ptime_ms(),
        maxptime_ms: leg.agreed.as_ref().and_then(|agreed| agreed.maxptime_ms),
        latch: config.latch,
        dtmf,
        send: leg.sends(),
        receive: leg.receives(),
        hears,
    }
}

fn leg(id: Option<LegId>) -> Hears {
    Hears::legs(id)
}

fn prompt(id: PlayId, queue: impl IntoIterator<Item = PromptId>, repeat_last: bool) -> Hears {
    let queue = queue.into_iter().collect();
    Hears {
        play: Some(Play { id, queue, repeat_last }),
        ..Hears::default()
    }
}

/// As many as [`Wait::spoken`] counts.
fn tell(prompts: &Prompts, said: Said) -> ArrayVec<PromptId, 4> {
    let mut told = ArrayVec::new();
    let number = |numbers: &[(u8, PromptId)], wanted: u8| {
        let found = numbers.iter().find(|(number, _)| *number == wanted);
        found.map(|(_, prompt)| *prompt)
    };
    if let Some((place, wanted)) = prompts.place.as_ref().zip(said.place) {
        told.extend([place.intro].into_iter().chain(number(&place.numbers, wanted)));
    }
    match prompts.estimate.as_ref().zip(said.left) {
        Some((estimate, Left::Soon)) => told.push(estimate.soon),
        Some((estimate, Left::Minutes(wanted))) => {
            told.extend([estimate.intro].into_iter().chain(number(&estimate.minutes, wanted)));
        }
        None => {}
    }
    told
}

fn apologise(apology: Apology, prompts: &Prompts) -> PromptId {
    match apology {
        Apology::Busy => prompts.busy,
        Apology::NoAnswer => prompts.no_answer,
        Apology::Failed => prompts.failed,
        Apology::AfterHours => prompts.after_hours,
    }
}

/// A prompt's name in what the API shows.
pub(crate) fn prompt_name(id: PromptId, config: &Config) -> &'static str {
    let prompts = &config.prompts;
    let of_lines = |pick: fn(&Sounds) -> Option<PromptId>| config.sounds.iter().any(|own| pick(own) == Some(id));
    if config.targets.iter().any(|target| target.hold == Some(id)) || of_lines(|own| own.hold) {
        return "hold";
    }
    if prompts.disclosure == Some(id) || of_lines(|own| own.disclosure) {
        return "disclosure";
    }
    if of_lines(|own| own.announcement) {
        return "announcement";
    }
    if let Some(estimate) = &prompts.estimate {
        let named = [(estimate.soon, "estimate_soon"), (estimate.intro, "estimate_intro")];
        let numbers = estimate.minutes.iter().map(|(_, number)| (*number, "estimate_minutes"));
        if let Some((_, name)) = named.into_iter().chain(numbers).find(|(prompt, _)| *prompt == id) {
            return name;
        }
    }
    if let Some(place) = &prompts.place {
        let numbers = place.numbers.iter().map(|(_, number)| (*number, "place_numbers"));
        if let Some((_, name)) = [(place.intro, "place_intro")]
            .into_iter()
            .chain(numbers)
            .find(|(prompt, _)| *prompt == id)
        {
            return name;
        }
    }
    let names = [
        (prompts.announcement, "announcement"),
        (prompts.hold, "hold"),
        (prompts.briefing, "briefing"),
        (prompts.busy, "busy"),
        (prompts.no_answer, "no_answer"),
        (prompts.failed, "failed"),
        (prompts.after_hours, "after_hours"),
        (prompts.goodbye, "goodbye"),
        (prompts.called_back, "called_back"),
    ];
    names
        .into_iter()
        .find(|(prompt, _)| *prompt == id)
        .map_or("briefing", |(_, name)| name)
}
