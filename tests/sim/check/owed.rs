//! What a caller is to be told before it is with a human it is told, also where a machine was tried before.

use std::time::Instant;

use calls::notice::{Gate, Opened, Step, What};

use crate::check::scene::{Scene, Scenes};
use crate::tone::Sound;
use crate::world::{Sent, Who, World};

/// Packets of a disclosure of 1 s that was heard whole: the first and the last may have something else in them.
const WHOLE: usize = 46;

impl World {
    pub(super) fn owed(&self, scenes: &Scenes, faults: &mut Vec<String>) {
        self.hold_audio_comes_last(scenes, faults);
        self.disclosed_is_told(faults);
    }

    /// Who waits for a human hears hold audio only behind the announcement, and that behind what is to be disclosed.
    fn hold_audio_comes_last(&self, scenes: &Scenes, faults: &mut Vec<String>) {
        // The rows of a refused table are those of the one before.
        if self.refused_media() {
            return;
        }
        for (n, (since, scene)) in scenes.iter().enumerate() {
            let Scene::Waiting { target, .. } = *scene else {
                continue;
            };
            let until = scenes.get(n + 1).map_or(self.now, |(next, _)| *next);
            let Some((asked, talks_on)) = self.asked_at(*since) else {
                continue;
            };
            let from = *since + self.slack(*since);
            if talks_on || self.scenario.machine(target).is_some() {
                continue;
            }
            let waits =
                |s: &&Sent| s.to == Who::Caller && s.sound == Some(Sound::Hold) && (from..until).contains(&s.at);
            let Some(holds) = self.sent.iter().find(waits) else {
                continue;
            };
            let heard = |sound: Sound| {
                let said = |s: &&Sent| s.to == Who::Caller && s.sound == Some(sound);
                let told = self.sent.iter().filter(said);
                told.filter(|s| (asked..holds.at).contains(&s.at)).count()
            };
            let at = holds.at - self.start;
            if heard(Sound::Announcement) == 0 {
                faults.push(format!(
                    "the caller waits for {target:?} at {at:?}, and was not told what it waits for"
                ));
                return;
            }
            let before = |at: Instant| at <= asked;
            let is_known = self.step_at("disclosed").is_some_and(before);
            if self.scenario.discloses && !is_known && heard(Sound::Disclosure) < WHOLE {
                faults.push(format!(
                    "the caller waits for {target:?} at {at:?}, and was not told what is to be disclosed"
                ));
                return;
            }
        }
    }

    /// When the handoff was asked for that this moment is of, and whether the AI talks on in it.
    fn asked_at(&self, at: Instant) -> Option<(Instant, bool)> {
        let mut before = self.notices.iter().rev().filter(|notice| notice.at <= at);
        before.find_map(|notice| match notice.what {
            What::Handoff(_, Step::Requested { talks_on, .. }) => Some((notice.at, talks_on)),
            _ => None,
        })
    }

    /// A join that waits for it waits until it is told, or until its bound.
    fn disclosed_is_told(&self, faults: &mut Vec<String>) {
        if !self.scenario.discloses {
            return;
        }
        let mut is_told = false;
        for notice in &self.notices {
            match &notice.what {
                What::Handoff(_, Step::Disclosed) => is_told = true,
                What::Handoff(_, Step::Gate { gate, opened })
                    if (*gate, *opened) == (Gate::Elements, Opened::There) && !is_told =>
                {
                    let at = notice.at - self.start;
                    faults.push(format!("the join went on at {at:?}, and nothing was disclosed"));
                }
                _ => {}
            }
        }
    }
}
