//! Which scene a call was in, from moment to moment: told by its notices alone, not by what the node asked of the core.

use std::time::{Duration, Instant};

use calls::notice::{Reason, Step, What};
use playbook::Mode;

use crate::scenario::Also;
use crate::tone::Sound;
use crate::world::{Who, Wire, World};

/// Who hears what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scene {
    /// Nobody is connected.
    Setup,
    /// Caller and peer hear each other.
    Talking { peer: Who },
    /// The caller waits; the target hears nothing, or the briefing.
    Waiting { peer: Who, target: Who, briefing: bool },
    /// The target is reached, and maybe has answered: until it is heard, caller and AI talk on.
    TalkingOn { peer: Who, target: Who, answered: bool },
    /// The target has taken the call: from one packet to the next they hear each other. Until then it may have to wait for the context.
    Joining { peer: Who, target: Who },
    /// Joined, and the AI has stayed: all three hear each other.
    Introduced { human: Who },
    /// It did not work: the caller hears why, and the peer hears the caller.
    Back { peer: Who, said: Option<Sound> },
}

/// A scene and when it began.
pub(super) type Scenes = Vec<(Instant, Scene)>;

/// How long the reason is spoken.
const SPOKEN: Duration = Duration::from_millis(1200);

/// After a refused change it is asked for again within `applied` (0.5 s), and then in force at the leg's next packet.
pub(super) const ANEW: Duration = Duration::from_secs(1);

/// A refused command's way to the worker and back, and the next one's.
const REFUSED: Duration = Duration::from_millis(100);

/// By a caller.
fn is_heard_waiting(sound: Sound) -> bool {
    use Sound::{About, Announcement, Disclosure, Hold, Minutes, Other, Soon};
    matches!(
        sound,
        Disclosure | Announcement | Soon | About | Minutes(_) | Hold | Other
    )
}

impl Scene {
    /// Whether this sound is in the party's row.
    pub(super) fn gives(self, who: Who, sound: Sound) -> bool {
        use Sound::{Briefing, Caller, Hold, Other};
        let voice = |of: Who| match of {
            Who::Caller => Caller,
            Who::Ai => Sound::Ai,
            Who::Human(n) => Sound::Human(n as u8),
        };
        match (self, who) {
            (Scene::Setup, _) => false,
            (Scene::Talking { peer }, Who::Caller) => sound == voice(peer),
            (Scene::Talking { peer }, who) => who == peer && sound == Caller,
            (Scene::Waiting { .. }, Who::Caller) => is_heard_waiting(sound),
            (Scene::TalkingOn { peer, target, answered }, Who::Caller) => {
                sound == voice(peer) || answered && sound == voice(target)
            }
            (Scene::TalkingOn { peer, target, answered }, who) => {
                (who == peer || answered && who == target) && sound == Caller
            }
            // A human who hands on does not wait in silence; an AI would answer the music.
            (Scene::Waiting { peer, .. } | Scene::Joining { peer, .. }, Who::Human(_))
                if who == peer && sound == Hold =>
            {
                true
            }
            (Scene::Waiting { target, briefing, .. }, who) => {
                who == target && briefing && matches!(sound, Briefing | Other)
            }
            (Scene::Joining { target, .. }, Who::Caller) => is_heard_waiting(sound) || sound == voice(target),
            (Scene::Joining { target, .. }, who) => who == target && matches!(sound, Briefing | Other | Caller),
            (Scene::Introduced { human }, who) => {
                let three = [Who::Caller, Who::Ai, human];
                let others = three.into_iter().filter(|other| *other != who);
                three.contains(&who) && (sound == Other || others.map(voice).any(|voice| voice == sound))
            }
            (Scene::Back { peer, said }, Who::Caller) => {
                sound == voice(peer) || said == Some(sound) || (said.is_some() && sound == Other)
            }
            (Scene::Back { peer, .. }, who) => who == peer && sound == Caller,
        }
    }

    /// Who talks with the caller, or did before the handoff.
    pub(super) fn peer(self) -> Option<Who> {
        match self {
            Scene::Setup => None,
            Scene::Talking { peer }
            | Scene::Waiting { peer, .. }
            | Scene::TalkingOn { peer, .. }
            | Scene::Joining { peer, .. }
            | Scene::Back { peer, .. } => Some(peer),
            Scene::Introduced { human } => Some(human),
        }
    }

    /// The only party that this one hears, if its row is another leg alone.
    pub(super) fn source(self, who: Who) -> Option<Who> {
        match (self, who) {
            (Scene::Talking { peer } | Scene::TalkingOn { peer, .. } | Scene::Back { peer, .. }, Who::Caller) => {
                Some(peer)
            }
            (Scene::Talking { peer } | Scene::TalkingOn { peer, .. } | Scene::Back { peer, .. }, who)
                if who == peer =>
            {
                Some(Who::Caller)
            }
            _ => None,
        }
    }

    /// The party that this one will hear by itself from one packet to the next.
    pub(super) fn joins(self, who: Who) -> Option<Who> {
        match (self.joining()?, who) {
            (target, Who::Caller) => Some(target),
            (target, who) if who == target => Some(Who::Caller),
            _ => None,
        }
    }

    /// The target that has taken the call and is not heard yet.
    pub(super) fn joining(self) -> Option<Who> {
        match self {
            Scene::Joining { target, .. }
            | Scene::TalkingOn {
                target, answered: true, ..
            } => Some(target),
            _ => None,
        }
    }

    /// The target that is reached for.
    pub(super) fn target(self) -> Option<Who> {
        match self {
            Scene::Waiting { target, .. } | Scene::TalkingOn { target, .. } | Scene::Joining { target, .. } => {
                Some(target)
            }
            _ => None,
        }
    }

    /// The same once the peer has hung up: the caller has hold audio instead of it.
    fn without_peer(self) -> Scene {
        match self {
            Scene::TalkingOn { peer, target, answered } if answered => Scene::Joining { peer, target },
            Scene::TalkingOn { peer, target, .. } => Scene::Waiting {
                peer,
                target,
                briefing: false,
            },
            other => other,
        }
    }

    /// Whether this party's row has anything in it.
    pub(super) fn is_heard_by(self, who: Who) -> bool {
        match (self, who) {
            (Scene::Setup, _) => false,
            (_, Who::Caller) => true,
            (Scene::Talking { peer } | Scene::Back { peer, .. }, who) => who == peer,
            (Scene::Waiting { peer, .. } | Scene::Joining { peer, .. }, who @ Who::Human(_)) if who == peer => true,
            (Scene::Waiting { target, briefing, .. }, who) => who == target && briefing,
            (Scene::TalkingOn { peer, target, answered }, who) => who == peer || answered && who == target,
            (Scene::Joining { target, .. }, who) => who == target,
            (Scene::Introduced { human }, who) => who == human || who == Who::Ai,
        }
    }
}

/// What the caller is told where a handoff ends for this reason.
fn spoken(reason: Reason) -> Sound {
    match reason {
        Reason::Busy => Sound::Busy,
        Reason::NoAnswer | Reason::Machine => Sound::NoAnswer,
        _ => Sound::Failed,
    }
}

impl World {
    /// The scenes of this call in order.
    pub(super) fn scenes(&self) -> Scenes {
        let mut scenes = vec![(self.start, Scene::Setup)];
        let mut peer = Who::Ai;
        let (mut target, mut cold, mut said, mut ai_is_heard) = (Who::Human(0), false, None, false);
        let reached = |peer, target, ai_is_heard| match ai_is_heard {
            true => Scene::TalkingOn {
                peer,
                target,
                answered: false,
            },
            false => Scene::Waiting {
                peer,
                target,
                briefing: false,
            },
        };
        let stays = !self.scenario.ai_stays.is_zero();
        for (n, notice) in self.notices.iter().enumerate() {
            let scene = match &notice.what {
                // A human is called at once.
                What::CallStarted { .. } if self.scenario.called_back.is_some() => continue,
                What::CallStarted { .. } => Scene::Talking { peer },
                What::Handoff(_, step) => match step {
                    Step::Requested {
                        mode,
                        target: name,
                        talks_on,
                        ..
                    } => {
                        (cold, ai_is_heard) = (*mode == Mode::Cold, *talks_on);
                        if let Some((since, Scene::Introduced { human })) = scenes.last()
                            && let Some((_, left)) = self.goes_first(*since, *human)
                        {
                            peer = left;
                        }
                        target = human(name);
                        reached(peer, target, ai_is_heard)
                    }
                    Step::Invited {
                        target: name, agent, ..
                    } => {
                        (target, said) = (self.phone_of(agent.as_deref()).unwrap_or(human(name)), None);
                        reached(peer, target, ai_is_heard)
                    }
                    Step::Answered { agent } => {
                        target = self.phone_of(agent.as_deref()).unwrap_or(target);
                        match () {
                            () if ai_is_heard => Scene::TalkingOn {
                                peer,
                                target,
                                answered: true,
                            },
                            () if cold || self.scenario.machine(target).is_some() => Scene::Joining { peer, target },
                            () => Scene::Waiting {
                                peer,
                                target,
                                briefing: true,
                            },
                        }
                    }
                    Step::Accepted if ai_is_heard => continue,
                    Step::Accepted => Scene::Joining { peer, target },
                    Step::Joined { .. } if stays && peer == Who::Ai && !cold && !self.ai_is_lost(notice.at) => {
                        peer = target;
                        Scene::Introduced { human: target }
                    }
                    Step::Joined { .. } | Step::Machine { .. } => {
                        peer = target;
                        Scene::Talking { peer }
                    }
                    // The call has to move for the next target's port: until then nobody hears anything else.
                    Step::TargetFailed { .. } if let Some(name) = self.invited_next(n) => {
                        (target, said) = (human(name), None);
                        reached(peer, target, ai_is_heard)
                    }
                    Step::TargetFailed { reason, .. } => {
                        said = Some(spoken(*reason));
                        Scene::Back { peer, said }
                    }
                    Step::Returned => Scene::Back {
                        peer,
                        said: said.take(),
                    },
                    _ => continue,
                },
                _ => continue,
            };
            // The one before ended at this very moment: the next target is tried.
            let at = notice.at.max(scenes.last().map_or(self.start, |(at, _)| *at));
            scenes.push((at, scene));
        }
        self.introduced(&mut scenes);
        self.left_by_the_ai(&mut scenes);
        self.cancelled(&mut scenes);
        self.without_reasons(scenes)
    }

    /// The phone of the agent of this name.
    fn phone_of(&self, agent: Option<&str>) -> Option<Who> {
        let number = agent?.strip_prefix("agent-")?.parse().ok()?;
        self.scenario.phone(number)
    }

    /// The first of AI and human who goes leaves the caller to the other. Where the AI was gone before the join, there were never three.
    fn introduced(&self, scenes: &mut Scenes) {
        let mut at = 0;
        while let Some((since, scene)) = scenes.get(at).copied() {
            at += 1;
            let Scene::Introduced { human } = scene else { continue };
            let Some((gone, peer)) = self.goes_first(since, human) else {
                continue;
            };
            if gone <= since {
                scenes[at - 1].1 = Scene::Talking { peer };
            } else if scenes.get(at).is_none_or(|(next, _)| *next > gone) {
                scenes.insert(at, (gone, Scene::Talking { peer }));
            }
        }
    }

    /// When the first of the AI and this human went, and who of them is left.
    fn goes_first(&self, since: Instant, human: Who) -> Option<(Instant, Who)> {
        let goes = |wire: &&Wire| {
            // Of a human who was tried before, another call's.
            let is_of_join = wire.party == Who::Ai || wire.party == human && wire.at >= since;
            is_of_join && wire.is("BYE")
        };
        let gone = self.wire.iter().find(goes)?;
        Some((gone.at, if gone.party == Who::Ai { human } else { Who::Ai }))
    }

    /// An AI that talks on and hangs up leaves the caller to hold audio from that moment on.
    fn left_by_the_ai(&self, scenes: &mut Scenes) {
        let bye = |wire: &&Wire| !wire.ours && wire.party == Who::Ai && wire.is("BYE");
        let Some(left) = self.wire.iter().find(bye).map(|wire| wire.at) else {
            return;
        };
        let next = scenes.partition_point(|(since, _)| *since <= left);
        scenes[next..]
            .iter_mut()
            .for_each(|(_, scene)| *scene = scene.without_peer());
        if let Some((_, scene @ Scene::TalkingOn { .. })) = scenes.get(next.wrapping_sub(1)) {
            let scene = scene.without_peer();
            scenes.insert(next, (left, scene));
        }
    }

    /// A request that is taken back sends the caller back at once; the notice comes when the table is in force, if the call
    /// lives to see it.
    fn cancelled(&self, scenes: &mut Scenes) {
        for (at, what) in &self.granted {
            let next = scenes.partition_point(|(since, _)| since <= at);
            if let (Also::Cancel, Some((_, Scene::Waiting { peer, .. } | Scene::TalkingOn { peer, .. }))) =
                (what, scenes.get(next.wrapping_sub(1)))
            {
                let (peer, said) = (*peer, None);
                scenes.insert(next, (*at, Scene::Back { peer, said }));
            }
        }
    }

    /// Who is invited after this failure.
    fn invited_next(&self, failure: usize) -> Option<&str> {
        let next = self.notices[failure + 1..]
            .iter()
            .find_map(|notice| match &notice.what {
                What::Handoff(
                    _,
                    step @ (Step::Queued { .. } | Step::Invited { .. } | Step::TargetFailed { .. } | Step::Returned),
                ) => Some(step),
                _ => None,
            });
        match next? {
            Step::Queued { target, .. } | Step::Invited { target, .. } => Some(target),
            _ => None,
        }
    }

    /// After its reason has been spoken, a caller who is back talks. To one who holds us it is spoken later.
    fn without_reasons(&self, scenes: Scenes) -> Scenes {
        let holds = self.media_spans(Who::Caller, |media| !media.listens || media.unsettled);
        let mut whole = Scenes::with_capacity(scenes.len());
        for (n, (at, scene)) in scenes.iter().enumerate() {
            whole.push((*at, *scene));
            if let Scene::Back { peer, said: Some(_) } = *scene
                && scenes
                    .get(n + 1)
                    .is_none_or(|(next, _)| *next > *at + SPOKEN + self.slack(*at))
                && self.returned_at(*at)
                && !holds
                    .iter()
                    .any(|(since, until)| *since <= *at + SPOKEN && *at <= *until)
            {
                whole.push((*at + SPOKEN, Scene::Talking { peer }));
            }
        }
        whole
    }

    fn returned_at(&self, at: Instant) -> bool {
        let returned = |what: &What| matches!(what, What::Handoff(_, Step::Returned));
        self.notices
            .iter()
            .any(|notice| notice.at == at && returned(&notice.what))
    }

    /// How long after a notice the old scene may still be heard: the command's way, one packet, and what the worker stalled.
    ///
    /// After a table that the worker refused, the old one stays until the next.
    pub(super) fn slack(&self, at: Instant) -> Duration {
        let mut until = at;
        for (since, end) in self.stalls() {
            if since <= until + self.scenario.hop && until <= end {
                until = end;
            }
        }
        let refused = self
            .refusals_of_media
            .iter()
            .any(|refused| *refused >= at && *refused <= until + REFUSED);
        // Where the AI was to leave, the table without it is asked for again.
        let refused = match (refused, self.scenario.ai_stays.is_zero()) {
            (false, _) => Duration::ZERO,
            (true, true) => REFUSED,
            (true, false) => ANEW,
        };
        // What three said before one of them left may have to be said to its end.
        let mixed = if self.scenario.ai_stays.is_zero() { 0 } else { 40 };
        until - at + refused + self.scenario.hop + Duration::from_millis(80 + mixed)
    }
}

/// `human-2` is the third.
fn human(target: &str) -> Who {
    let number = target.strip_prefix("human-").and_then(|n| n.parse().ok());
    Who::Human(number.unwrap_or(usize::MAX))
}
