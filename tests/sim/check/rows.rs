//! Nobody hears what the scene's row does not give them.

use std::time::{Duration, Instant};

use crate::check::scene::{Scene, Scenes};
use crate::scenario::Also;
use crate::tone::Sound;
use crate::world::{Who, World};

/// A row may change this long before the notice that tells of it: the last row of a table waits for its source.
const EARLY: Duration = Duration::from_millis(80);

/// After a refused change it is asked for again within `applied` (0.5 s), and then in force at the leg's next packet.
const ANEW: Duration = Duration::from_secs(1);

impl World {
    pub(super) fn rows(&self, scenes: &Scenes, faults: &mut Vec<String>) {
        let mut first = 0;
        let mut heard: Vec<(Who, Sound)> = Vec::new();
        for sent in &self.sent {
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

    fn is_gone(&self, who: Who, at: Instant) -> bool {
        self.ua(who).ended.is_some_and(|ended| ended <= at)
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
    use Sound::{About, Announcement, Briefing, Busy, Failed, Goodbye, Hold, Minutes, NoAnswer, Soon};
    matches!(
        sound,
        Announcement | Briefing | Busy | Failed | Goodbye | Hold | NoAnswer | Soon | About | Minutes(_)
    )
}
