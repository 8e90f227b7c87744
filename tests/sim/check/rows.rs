//! Nobody hears what the scene's row does not give them.

use std::time::{Duration, Instant};

use calls::notice::{Party, Step, What};
use calls::supervisor::Mode;
use playbook::decisions::{AI_GONE, CALLBACK};

use crate::check::scene::{ANEW, Scene, Scenes};
use crate::scenario::Also;
use crate::tone::Sound;
use crate::world::{Sent, Who, World};

/// A row may change this long before the notice that tells of it: the last row of a table waits for its source.
const EARLY: Duration = Duration::from_millis(80);

/// From a wish that is over to its last packet, besides what a table takes.
const AFTER: Duration = Duration::from_millis(600);

/// A voice that is not there is weaker than this part of itself: where a packet is lost, what is made up for it is no whole tone.
const LEAK: f64 = 0.35;

impl World {
    pub(super) fn rows(&self, scenes: &Scenes, faults: &mut Vec<String>) {
        let mut first = 0;
        let mut heard: Vec<(Who, Sound)> = Vec::new();
        let supervisor = self.scenario.supervisor();
        for sent in &self.sent {
            if Some(sent.to) == supervisor {
                continue;
            }
            let before = heard.iter().position(|(who, _)| *who == sent.to);
            let before = before.map(|at| heard.swap_remove(at).1);
            heard.extend(sent.sound.map(|sound| (sent.to, sound)));
            // One that was cut off fades out in one packet, behind whatever comes next.
            if sent.sound == Some(Sound::Other) && before.is_some_and(is_prompt) {
                continue;
            }
            let Some(sound) = sent.sound.filter(|sound| *sound != Sound::Comfort) else {
                continue;
            };
            // Scenes that were over, with all slack, before this packet.
            while let Some((next, _)) = scenes.get(first + 1)
                && *next + self.slack(*next) < sent.at
            {
                first += 1;
            }
            let near = scenes[first..]
                .iter()
                .take_while(|(since, _)| *since <= sent.at + EARLY);
            if supervisor.is_some()
                && self.is_beside(sent.to, sent.at)
                && self.mixes(sent, near.clone().map(|(_, scene)| *scene))
            {
                continue;
            }
            let may = |scene: &Scene| scene.gives(sent.to, sound) || self.stands_in(*scene, sent.to, sound, sent.at);
            if !near.clone().any(|(_, scene)| may(scene)) {
                let scenes: Vec<_> = near.map(|(_, scene)| scene).collect();
                let at = sent.at - self.start;
                faults.push(format!("{:?} heard {sound:?} at {at:?} in {scenes:?}", sent.to));
                return;
            }
        }
    }

    /// What is heard in place of a party that is not there: goodbye where the peer is gone, hold audio where it sends nothing.
    fn stands_in(&self, scene: Scene, who: Who, sound: Sound, at: Instant) -> bool {
        match sound {
            // Of a human who hands on to himself, the first call's end is not kept.
            Sound::Goodbye if matches!(scene, Scene::Waiting { peer, target, .. } if peer == target) => {
                who == Who::Caller
            }
            Sound::Goodbye => who == Who::Caller && scene.peer().is_some_and(|peer| self.is_gone(peer, at)),
            // Who took the call may have to wait for the context.
            Sound::Hold if scene.joining() == Some(who) && self.scenario.gates.iter().any(|gate| !gate.is_zero()) => {
                true
            }
            // An AI would answer the music.
            Sound::Hold if who == Who::Ai => false,
            Sound::Hold => scene.source(who).or(scene.joins(who)).is_some_and(|source| {
                let silent = self.media_spans(source, |media| !media.sends || media.holds || media.unsettled);
                let stands_in = |at: Instant| {
                    let recently = at.checked_sub(Duration::from_millis(500)).unwrap_or(at);
                    let mut silent = silent.iter();
                    silent.any(|(since, until)| *since <= at && recently <= *until + self.slack(*until))
                };
                // What ends it may be in the table that the worker refused: the rows stay as they were until it is asked again.
                let refused = self.refusals_of_media.iter().rev();
                let mut refused =
                    refused.filter(|&&refused| refused <= at && at <= refused + ANEW + self.slack(refused));
                stands_in(at) || refused.any(|refused| stands_in(*refused))
            }),
            _ => false,
        }
    }

    /// Whether a supervisor may be in a party's row beside whom it hears.
    fn is_beside(&self, who: Who, at: Instant) -> bool {
        let party = match who {
            Who::Caller => Party::Caller,
            Who::Ai => Party::Ai,
            Who::Human(_) => Party::Human,
        };
        let heard = |mode: Mode| match mode {
            Mode::Listen | Mode::Mute => false,
            Mode::Whisper => who != Who::Caller,
            Mode::Barge => true,
        };
        // A wish may be in force before it is told; one that the worker refuses ends nothing.
        let wishes = self.granted.iter().filter_map(|(since, what)| match what {
            Also::Supervision(mode) if heard(*mode) => Some((*since, true)),
            _ => None,
        });
        let told = self.notices.iter().filter_map(|notice| match &notice.what {
            What::Hears { rows, .. } => {
                let row = rows.iter().find(|(listener, _)| *listener == party)?;
                Some((notice.at, row.1.iter().any(|(source, _)| *source == Party::Supervisor)))
            }
            What::Handoff(_, Step::Requested { .. }) => Some((notice.at, false)),
            What::Supervisor { how, .. } if matches!(how.name(), "left" | "no_capacity") => Some((notice.at, false)),
            _ => None,
        });
        let mut changes: Vec<_> = wishes.chain(told).filter(|(since, _)| *since <= at).collect();
        changes.sort_by_key(|(since, _)| *since);
        // Of what is over, what the worker has not been told yet.
        changes.iter().enumerate().any(|(n, (_, beside))| {
            let until = changes.get(n + 1).map(|(next, _)| *next + self.slack(*next) + AFTER);
            *beside && until.is_none_or(|until| at <= until)
        })
    }

    /// Whether a packet has the supervisor's voice in it, or whom a scene gives, and of no other human anything.
    fn mixes<'a>(&self, sent: &Sent, scenes: impl Iterator<Item = Scene> + Clone + 'a) -> bool {
        let humans = (0..self.scenario.targets()).map(|n| Sound::Human(n as u8));
        let mut strangers = humans.filter(|voice| !scenes.clone().any(|scene| scene.gives(sent.to, *voice)));
        let alaw = sent.packet.payload_type == 8;
        strangers.all(|voice| voice.level(&sent.packet.payload, alaw) < LEAK)
    }

    fn is_gone(&self, who: Who, at: Instant) -> bool {
        let vanished = |(when, what): &(Instant, Also)| *what == Also::Vanish(who) && *when <= at;
        self.ua(who).ended.is_some_and(|ended| ended <= at)
            || who == Who::Ai && self.ai_is_lost(at)
            || self.done.iter().any(vanished)
    }

    /// Whether a human was called since no AI was there.
    pub(super) fn ai_is_lost(&self, at: Instant) -> bool {
        let lost = |what: &What| match what {
            What::Handoff(_, Step::Requested { trigger, .. }) => trigger
                .as_ref()
                .is_some_and(|by| [AI_GONE, CALLBACK].contains(&&*by.rule)),
            _ => false,
        };
        self.notices.iter().any(|notice| notice.at <= at && lost(&notice.what))
    }

    /// When the worker took no command, or was not heard.
    pub(super) fn stalls(&self) -> impl Iterator<Item = (Instant, Instant)> {
        self.done.iter().filter_map(|(at, what)| match what {
            Also::Stall(time) | Also::Hush(time) | Also::Full(time) => Some((*at, *at + *time)),
            _ => None,
        })
    }
}

fn is_prompt(sound: Sound) -> bool {
    use Sound::{About, Announcement, Briefing, Busy, Disclosure, Failed, Goodbye, Hold, Minutes, NoAnswer, Soon};
    matches!(
        sound,
        Disclosure | Announcement | Briefing | Busy | Failed | Goodbye | Hold | NoAnswer | Soon | About | Minutes(_)
    )
}
