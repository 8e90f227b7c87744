//! Re-INVITEs that cross: each side refuses the other's, waits as RFC 3261 §14.1 says, and gets through in the end.

use std::time::{Duration, Instant};

use crate::scenario::Asked;
use crate::ua::BACK_OFF;
use crate::world::{Who, Wire, World};

/// A re-INVITE that met 491.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Glare {
    /// With whom.
    pub party: Who,
    /// It was Baton's.
    pub ours: bool,
    /// When Baton got the 491, or sent it.
    pub at: Instant,
    /// When the next one left Baton, or reached it.
    pub again: Option<Instant>,
    /// One that came after it had another final answer.
    pub through: bool,
    call_id: String,
}

impl World {
    /// Every re-INVITE that met 491, of either side, in the order of the 491s.
    pub fn glares(&self) -> Vec<Glare> {
        let mut glares = Vec::new();
        for (place, wire) in self.wire.iter().enumerate() {
            let same = |other: &&Wire| other.call_id == wire.call_id && other.ours == wire.ours;
            let refused = |other: &Wire| other.answers("INVITE") && other.status == Some(491);
            let repeats = |other: &Wire| refused(other) && other.number == wire.number;
            if !refused(wire) || self.wire[..place].iter().filter(same).any(repeats) {
                continue;
            }
            let later = |other: &&Wire| other.call_id == wire.call_id && other.number > wire.number;
            let mut later_ones = self.wire[place..].iter().filter(later);
            let through = self.wire[place..].iter().filter(later).any(|other| {
                other.ours == wire.ours && other.answers("INVITE") && !matches!(other.status, Some(..200 | 491))
            });
            glares.push(Glare {
                party: wire.party,
                ours: !wire.ours,
                at: wire.at,
                again: (later_ones.find(|other| other.ours != wire.ours && other.is("INVITE"))).map(|other| other.at),
                through,
                call_id: wire.call_id.clone(),
            });
        }
        glares
    }

    /// With whom both sides' re-INVITEs crossed, and both got through.
    pub fn crossings(&self) -> Vec<Who> {
        let (ours, theirs): (Vec<Glare>, Vec<Glare>) = self.glares().into_iter().partition(|glare| glare.ours);
        let crossed = |ours: &&Glare| {
            let with = |theirs: &&Glare| theirs.call_id == ours.call_id && apart(theirs.at, ours.at) < BOUND;
            ours.through && theirs.iter().filter(with).any(|theirs| theirs.through)
        };
        ours.iter().filter(crossed).map(|glare| glare.party).collect()
    }

    pub(super) fn glare(&self, faults: &mut Vec<String>) {
        for glare in self.glares() {
            let (who, at) = (glare.party, glare.at - self.start);
            let whose = if glare.ours { "Baton's" } else { "its" };
            // A caller that called made its Call-ID, and Baton those of all others.
            let called = who == Who::Caller && self.scenario.called_back.is_none();
            let owns = glare.ours != called;
            let (least, most) = BACK_OFF[usize::from(!owns)];
            let waited = glare.again.map(|again| again - glare.at);
            if waited.is_some_and(|waited| waited < Duration::from_millis(least)) {
                faults.push(format!(
                    "{who:?}: {whose} re-INVITE that met 491 at {at:?} came again too soon"
                ));
            }
            if glare.ours && waited.is_some_and(|waited| waited > Duration::from_millis(most)) && !self.was_busy(&glare)
            {
                faults.push(format!(
                    "{who:?}: {whose} re-INVITE that met 491 at {at:?} came again too late"
                ));
            }
            // Who never answers ours keeps its own waiting, too.
            let ponders = self.scenario.asked == Asked::Ponders;
            if !glare.through && !ponders && !self.ended_soon(&glare) {
                faults.push(format!(
                    "{who:?}: {whose} re-INVITE that met 491 at {at:?} never got through"
                ));
            }
        }
    }

    /// Whether it waited for the end of an exchange of the party's: it left in the moment in which something came.
    fn was_busy(&self, glare: &Glare) -> bool {
        let frees = |wire: &&Wire| wire.call_id == glare.call_id && !wire.ours && Some(wire.at) == glare.again;
        self.wire.iter().any(|wire| frees(&wire))
    }

    /// Whether the dialog, or the party, was gone before it had to be through.
    fn ended_soon(&self, glare: &Glare) -> bool {
        let time = if self.scenario.loses_no_sip() { BOUND } else { 3 * BOUND };
        let byes = |wire: &&Wire| wire.call_id == glare.call_id && wire.is("BYE");
        let bye = self.wire.iter().find(byes).map(|wire| wire.at);
        let ua = self.ua(glare.party);
        let ended = [bye, ua.ended].into_iter().flatten().min();
        ua.is_deaf() || ended.is_some_and(|ended| ended < glare.at + time)
    }
}

/// Both back-offs, and a second crossing.
const BOUND: Duration = Duration::from_secs(10);

fn apart(one: Instant, other: Instant) -> Duration {
    one.max(other) - one.min(other)
}
