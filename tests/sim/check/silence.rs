//! Nobody who is still there hears silence for more than a second, unless nobody is to be heard.

use std::time::{Duration, Instant};

use crate::check::scene::{Scene, Scenes};
use crate::scenario::Also;
use crate::tone::Sound;
use crate::ua::Media;
use crate::world::{Who, World};

/// From when to when.
pub(super) type Span = (Instant, Instant);

/// The longest silence.
const BOUND: Duration = Duration::from_secs(1);

impl World {
    /// Whoever has something in its row hears it.
    pub(super) fn silence(&self, scenes: &Scenes, faults: &mut Vec<String>) {
        for who in self.everyone() {
            // What was heard in the first of two calls cannot be told from the second's here.
            if self.ua(who).calls > 1 {
                continue;
            }
            let Some((from, to)) = self.present(who) else { continue };
            let mut quiet = self.excuses(who, scenes);
            quiet.sort_unstable();
            let sounds = self
                .sent
                .iter()
                .filter(|s| s.to == who && s.sound.is_some_and(|s| s != Sound::Comfort))
                .map(|sent| sent.at);
            let mut last = from;
            for at in sounds.chain([to]).filter(|at| *at <= to) {
                if let Some((since, until)) =
                    longest((last, at), &quiet).filter(|(since, until)| *until - *since > BOUND)
                {
                    let (since, took) = (since - self.start, until - since);
                    faults.push(format!("{who:?} heard nothing from {since:?} for {took:?}"));
                    break;
                }
                last = last.max(at);
            }
        }
    }

    /// From when on Baton knows that a party is there, until it is gone, Baton has let it go, or the caller is gone.
    fn present(&self, who: Who) -> Option<Span> {
        let ua = self.ua(who);
        let answered = ua.answered?;
        // An answer that the network lost is repeated by the one who answered; nobody knows of it before.
        let known = self.sent.iter().find(|s| s.to == who).map(|s| s.at.max(answered));
        let from = if self.scenario.loses_no_sip() {
            Some(answered)
        } else {
            known
        }?;
        let let_go = |wire: &&crate::world::Wire| wire.party == who && wire.ours && wire.is("BYE");
        let let_go = self.wire.iter().find(let_go).map(|wire| wire.at);
        // Once the caller is gone, nobody can know it before its BYE has come through.
        let over = [ua.ended, self.caller.ended, let_go].into_iter().flatten().min();
        let to = over.unwrap_or(self.now);
        (from < to).then_some((from, to))
    }

    /// When this party may hear nothing: its row is empty, it has told us not to send, the one whom it hears sends nothing
    /// by its own doing, or the worker takes no commands.
    fn excuses(&self, who: Who, scenes: &Scenes) -> Vec<Span> {
        let mut excuses = self.media_spans(who, |media| !media.listens || media.unsettled);
        excuses.extend(self.stalls().map(|(since, until)| (since, until + self.scenario.hop)));
        let refused = |what: &Also| *what == Also::MediaRefuses;
        excuses.extend(
            self.done
                .iter()
                .filter(|(_, what)| refused(what))
                .map(|(at, _)| (*at, self.now)),
        );
        for (n, (since, scene)) in scenes.iter().enumerate() {
            let until = scenes.get(n + 1).map_or(self.now, |(next, _)| *next);
            let within = |span: Span| {
                // In force a packet after the notice, at the latest.
                let (from, to) = (span.0.max(*since), span.1.min(until + self.slack(until)));
                (from < to).then_some((from, to))
            };
            if !scene.is_heard_by(who) {
                excuses.push((*since, until));
            } else if who != Who::Caller && scene.joins(who).is_some() {
                // The join waits for this target's own first packet; its briefing is over, or there was none.
                let mute = self.media_spans(who, |media| !media.sends);
                excuses.extend(mute.into_iter().filter_map(within));
            } else if let Scene::Introduced { human } = *scene {
                for source in [Who::Caller, Who::Ai, human] {
                    let silent = self.media_spans(source, |media| !media.sends || media.holds || media.unsettled);
                    excuses.extend(silent.into_iter().filter_map(within));
                }
            } else if let Some(source) = scene.source(who) {
                if self.scenario.quiet_humans && matches!(source, Who::Human(_)) {
                    excuses.push((*since, until + self.slack(until)));
                }
                // Who is held gets hold audio instead, unless it is an AI.
                let silent = self.media_spans(source, |media| match who {
                    Who::Ai => !media.sends || media.holds || media.unsettled,
                    Who::Caller | Who::Human(_) => media.mute || !media.sends && (!media.holds || media.unsettled),
                });
                excuses.extend(silent.into_iter().filter_map(within));
            }
        }
        excuses
    }

    /// When a party's media was so.
    pub(super) fn media_spans(&self, who: Who, so: impl Fn(&Media) -> bool) -> Vec<Span> {
        let media = &self.ua(who).media;
        let until = |n: usize| media.get(n + 1).map_or(self.now, |(next, _)| *next);
        let spans = media.iter().enumerate().filter(|(_, (_, media))| so(media));
        spans.map(|(n, (since, _))| (*since, until(n))).collect()
    }
}

/// The longest piece of a span that none of these (sorted) cover.
fn longest((from, to): Span, covered: &[Span]) -> Option<Span> {
    let mut pieces = Vec::new();
    let mut at = from;
    for (since, until) in covered {
        if *since > at {
            pieces.push((at, (*since).min(to)));
        }
        at = at.max(*until);
        if at >= to {
            break;
        }
    }
    pieces.push((at, to));
    pieces
        .into_iter()
        .filter(|(from, to)| from < to)
        .max_by_key(|(from, to)| *to - *from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_covered_does_not_count() {
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        assert_eq!(longest((at(0), at(10)), &[]), Some((at(0), at(10))));
        assert_eq!(longest((at(0), at(10)), &[(at(2), at(5))]), Some((at(5), at(10))));
        assert_eq!(
            longest((at(0), at(10)), &[(at(2), at(5)), (at(4), at(9))]),
            Some((at(0), at(2)))
        );
        assert_eq!(longest((at(3), at(10)), &[(at(0), at(1)), (at(2), at(12))]), None);
        assert_eq!(longest((at(3), at(10)), &[(at(20), at(30))]), Some((at(3), at(10))));
    }
}
