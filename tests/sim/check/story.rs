//! The story that the notices tell: whole, and true.

use std::time::{Duration, Instant};

use calls::notice::{End, Outcome, Reason, Step, What};

use crate::check::scene::{Scene, Scenes};
use crate::tone::Sound;
use crate::world::{Sent, Who, World};

impl World {
    /// The steps of the handoff, by name.
    pub fn steps(&self) -> Vec<&'static str> {
        self.notices
            .iter()
            .filter_map(|notice| match &notice.what {
                What::Handoff(_, step) => Some(step.name()),
                _ => None,
            })
            .collect()
    }

    /// When a step first came.
    pub fn step_at(&self, wanted: &str) -> Option<Instant> {
        self.notices.iter().find_map(|notice| match &notice.what {
            What::Handoff(_, step) if step.name() == wanted => Some(notice.at),
            _ => None,
        })
    }

    /// How the (last) handoff closed.
    pub fn closed(&self) -> Option<(End, Outcome, Option<Reason>)> {
        self.notices.iter().rev().find_map(|notice| match &notice.what {
            What::Handoff(_, Step::Closed { end, result, reason }) => Some((*end, *result, *reason)),
            _ => None,
        })
    }

    /// A handoff that began was closed, once, and truthfully.
    pub(super) fn story(&self, scenes: &Scenes, faults: &mut Vec<String>) {
        let steps = self.steps();
        let count = |wanted: &str| steps.iter().filter(|step| **step == wanted).count();
        if count("requested") != count("closed") {
            faults.push(format!(
                "requested {} times, closed {} times",
                count("requested"),
                count("closed")
            ));
        }
        if steps.last().is_some_and(|last| *last != "closed") {
            faults.push(format!("the last step is {:?}", steps.last()));
        }
        self.joined_means_heard(scenes, faults);
    }

    /// Joined means that both hear each other, if both stay for a while, speak and listen.
    fn joined_means_heard(&self, scenes: &Scenes, faults: &mut Vec<String>) {
        let joined = |pair: &[(Instant, Scene)]| match (pair[0], pair[1]) {
            ((since, before), (at, Scene::Talking { peer: human } | Scene::Introduced { human }))
                if before.joining() == Some(human) =>
            {
                Some((since, at, human))
            }
            _ => None,
        };
        for (since, at, human) in scenes.windows(2).filter_map(joined) {
            // The next handoff may begin at once.
            let next = scenes.iter().map(|(next, _)| *next).find(|next| *next > at);
            let until = next.unwrap_or(self.now).min(at + Duration::from_secs(1));
            if until < at + Duration::from_millis(200) {
                continue;
            }
            for (listener, source) in [(Who::Caller, human), (human, Who::Caller)] {
                let disturbed = |span: &(Instant, Instant)| span.0 <= until && since <= span.1;
                let deaf = self.media_spans(listener, |media| !media.listens || media.unsettled);
                // A human who could send and does not is not joined: the join waits for the first packet.
                let mute = self.media_spans(source, |media| match source {
                    Who::Human(_) => media.unsettled || !media.sends && (!media.mute || media.holds),
                    _ => media.unsettled || !media.sends,
                });
                let answered = self.ua(source).answered.map_or(since, |at| at.max(since));
                // Our 200 has not reached the caller yet: it was answered as no AI was there.
                if until < answered + Duration::from_millis(200) {
                    continue;
                }
                let mute = mute
                    .into_iter()
                    .map(|(from, to)| (from.max(answered), to))
                    .filter(|(from, to)| from < to);
                if deaf
                    .into_iter()
                    .filter(|(_, to)| *to > answered)
                    .chain(mute)
                    .chain(self.stalls())
                    .any(|span| disturbed(&span))
                {
                    continue;
                }
                let voice = self.ua(source).voice;
                let heard = |s: &Sent| s.to == listener && is_heard(s, voice) && (since..=until).contains(&s.at);
                if !self.sent.iter().any(heard) {
                    let at = at - self.start;
                    faults.push(format!("joined at {at:?}, but {listener:?} did not hear {source:?}"));
                }
            }
        }
    }
}

/// By itself, or beside a supervisor.
fn is_heard(sent: &Sent, voice: Sound) -> bool {
    let alaw = sent.packet.payload_type == 8;
    sent.sound == Some(voice) || sent.sound == Some(Sound::Other) && voice.level(&sent.packet.payload, alaw) > 0.3
}
