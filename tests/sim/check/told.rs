//! A caller whose handoff failed is told so within a second, and one who is given back is heard.

use std::time::{Duration, Instant};

use calls::notice::{Step, What};

use crate::check::scene::{Scene, Scenes};
use crate::net::Profile;
use crate::scenario::Also;
use crate::tone::Sound;
use crate::world::{Sent, Who, Wire, World};

/// From the failure to the first packet that tells of it.
const TOLD: Duration = Duration::from_secs(1);
/// How long a key is in a party's packets in place of its voice.
const KEY: Duration = Duration::from_millis(160);

impl World {
    /// What a target's failure leads to.
    pub(super) fn told(&self, scenes: &Scenes, faults: &mut Vec<String>) {
        self.failures_are_seen(scenes, faults);
        let excused = |from: Instant, to: Instant| {
            let spans = self.media_spans(Who::Caller, |media| !media.listens || media.unsettled);
            let gone = self.caller.ended.is_some_and(|ended| ended <= to);
            gone || spans.iter().any(|(since, until)| *since <= to && from <= *until)
        };
        for (n, (at, scene)) in scenes.iter().enumerate() {
            let Scene::Back { peer, said: Some(said) } = *scene else {
                continue;
            };
            let by = *at + TOLD + self.slack(*at);
            let is_another = |scene: &Scene| matches!(scene, Scene::Back { said: Some(other), .. } if *other != said);
            let goes_on =
                |(next, scene): &(Instant, Scene)| *next <= by && (scene.target().is_some() || is_another(scene));
            // The next target is tried, or cannot be, or this is the return itself, of which it was told before.
            if scenes[n + 1..].iter().any(goes_on)
                || n > 0 && matches!(scenes[n - 1].1, Scene::Back { said: Some(before), .. } if before == said)
            {
                continue;
            }
            let told = |sound: Sound| sound == said || sound == Sound::Goodbye;
            let told = self
                .sent
                .iter()
                .any(|s| s.to == Who::Caller && (*at..by).contains(&s.at) && s.sound.is_some_and(told));
            let peer_gone = self.ua(peer).ended.is_some_and(|ended| ended <= by);
            // While the call moves for the next target's port the wish may be taken back: then there is nothing to be told.
            let taken_back = self
                .granted
                .iter()
                .any(|(when, what)| *what == Also::Cancel && (*at..by).contains(when));
            // Where the worker takes no command for long, the AI at once is better than the reason late.
            let stalled = self.stalls().any(|(since, until)| since <= by && *at <= until);
            if !told && !peer_gone && !taken_back && !stalled && !excused(*at, by) && !self.refused_media() {
                let since = *at - self.start;
                faults.push(format!(
                    "the caller was not told {said:?} within {TOLD:?} of the failure at {since:?}"
                ));
            }
        }
    }

    /// A refusal or a BYE of the target that is tried ends the try at once.
    fn failures_are_seen(&self, scenes: &Scenes, faults: &mut Vec<String>) {
        let mut seen = std::collections::BTreeSet::new();
        for wire in self.wire.iter().filter(|wire| !wire.ours) {
            let refusal = wire.answers("INVITE") && wire.status.is_some_and(|status| status >= 300);
            let failure = refusal && self.is_first(wire) || wire.is("BYE");
            if !failure || !matches!(wire.party, Who::Human(_)) || !seen.insert(wire.call_id.clone()) {
                continue;
            }
            let current = scenes.iter().rev().find(|(since, _)| *since < wire.at);
            let target = current.and_then(|(_, scene)| scene.target());
            let tried = target.is_some_and(|target| target == wire.party || self.are_of_the_queue(target, wire.party));
            // We may have let it go just before.
            let let_go = |other: &Wire| {
                other.ours
                    && other.call_id == wire.call_id
                    && (other.is("CANCEL") || other.is("BYE"))
                    && other.at <= wire.at
            };
            // A human who hands on may be tried again: the BYE of the old call is no failure of the new one, which the carrier may have
            // been asked for.
            let asked = |notice: &&calls::notice::Notice| {
                notice.at <= wire.at && matches!(notice.what, What::Handoff(_, Step::Requested { .. }))
            };
            let asked = self.notices.iter().rev().find(asked).map(|notice| notice.at);
            let invite =
                |other: &&Wire| other.ours && other.is("INVITE") && other.party == wire.party && other.at <= wire.at;
            let tried = tried
                && self
                    .wire
                    .iter()
                    .rfind(invite)
                    .is_some_and(|invite| invite.call_id == wire.call_id && Some(invite.at) >= asked);
            if !tried
                || self.wire.iter().any(let_go)
                || self.others_ring(wire)
                || self.another_was_faster(wire)
                || self.caller.ended.is_some_and(|ended| ended <= wire.at)
            {
                continue;
            }
            let failed = |what: &What| {
                matches!(
                    what,
                    What::Handoff(
                        _,
                        Step::TargetFailed { .. } | Step::Joined { .. } | Step::Machine { .. } | Step::Closed { .. }
                    )
                )
            };
            let seen = self
                .notices
                .iter()
                .any(|notice| failed(&notice.what) && notice.at + TOLD >= wire.at && notice.at <= wire.at + TOLD);
            if !seen {
                let at = wire.at - self.start;
                faults.push(format!("{:?} failed at {at:?} and nobody was told", wire.party));
            }
        }
    }

    /// Whether others were called with this one, and have neither answered nor been let go: as long as one rings nobody has failed.
    fn others_ring(&self, refused: &Wire) -> bool {
        let before = |wire: &&Wire| {
            let is_of_it = wire.party == refused.party || self.are_of_the_queue(wire.party, refused.party);
            is_of_it && wire.at <= refused.at
        };
        let invites = self
            .wire
            .iter()
            .filter(before)
            .filter(|wire| wire.ours && wire.is("INVITE"));
        let mut others = invites.filter(|invite| invite.call_id != refused.call_id);
        others.any(|invite| {
            let of_it = |wire: &&Wire| wire.call_id == invite.call_id;
            let over = |wire: &Wire| wire.answers("INVITE") && wire.status >= Some(200) || wire.is("CANCEL");
            !self.wire.iter().filter(before).filter(of_it).any(over)
        })
    }

    /// The worker refused a table: what the caller hears then is what it heard before.
    pub(super) fn refused_media(&self) -> bool {
        self.done.iter().any(|(_, what)| *what == Also::MediaRefuses)
    }

    /// A caller who is given back is heard at once by whom it is given back to.
    pub(super) fn given_back(&self, scenes: &Scenes, faults: &mut Vec<String>) {
        let bound = Duration::from_millis(60);
        if self.scenario.net[1] != Profile::PERFECT || !self.undisturbed() {
            return;
        }
        let returned = |notice: &&calls::notice::Notice| matches!(notice.what, What::Handoff(_, Step::Returned));
        for at in self.notices.iter().filter(returned).map(|notice| notice.at) {
            let scene = scenes.iter().rev().find(|(since, _)| *since <= at);
            let Some(peer) = scene.and_then(|(_, scene)| scene.peer()) else {
                continue;
            };
            // A caller that our 200 has not reached sends nothing.
            let up = |who: Who| {
                let ua = self.ua(who);
                ua.answered.is_some_and(|answered| answered <= at) && ua.ended.is_none_or(|ended| ended > at + bound)
            };
            // A digit is the caller's too.
            let heard = |s: &Sent| s.to == peer && s.sound != Some(Sound::Comfort) && s.at >= at;
            let soon = self.sent.iter().find(|s| heard(s)).is_some_and(|s| s.at <= at + bound);
            // A key of the caller's that is told in INFO is not in its audio: eight packets.
            let tells = match peer {
                Who::Ai => self.scenario.info[1],
                _ => self.scenario.info[2],
            };
            let pressed = tells
                && self
                    .sent
                    .iter()
                    .find(|s| heard(s))
                    .is_some_and(|s| s.at <= at + bound + KEY);
            // Another handoff may have begun meanwhile.
            let again = |notice: &calls::notice::Notice| {
                notice.at >= at
                    && notice.at <= at + bound
                    && matches!(notice.what, What::Handoff(_, Step::Requested { .. }))
            };
            if up(Who::Caller) && up(peer) && !soon && !pressed && !self.notices.iter().any(again) {
                faults.push(format!(
                    "{peer:?} does not hear the caller given back at {:?}",
                    at - self.start
                ));
            }
        }
    }

    /// Nobody holds or is mute, and the worker works.
    pub(super) fn undisturbed(&self) -> bool {
        let disturbs = |what: &Also| {
            matches!(
                what,
                Also::Mute(_)
                    | Also::Reinvite(..)
                    | Also::OfferAgain
                    | Also::Stall(_)
                    | Also::Hush(_)
                    | Also::Full(_)
                    | Also::MediaRefuses
            )
        };
        !self.done.iter().any(|(_, what)| disturbs(what))
    }
}
