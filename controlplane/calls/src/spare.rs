//! A re-INVITE that spares a transcode: where the human answers with another codec than the caller speaks, one of the two is asked to
//! change.
//!
//! The human first, at its answer: the briefing goes on meanwhile, and nobody hears it yet. The caller where the human's description
//! has nothing that the caller speaks, and only once the join is in force: a handoff that fails has disturbed no line, and needs no
//! coder to go back. Nothing waits for the answer: until it is there, and where it is no, the join is transcoded as was promised. What
//! changes is understood from its first packet on ([`media::command::LegSpec::also`]), so none is lost to a 200 that is late.

use std::time::Instant;

use media::command::{EventFormat, Format};
use sip::sdp::{Agreed, Direction, Encoding, Proposed};

use crate::call::State;
use crate::codecs::work;
use crate::config::Prefer;
use crate::leg::{Leg, LegState, codec};
use crate::node::{Live, Node};
use crate::notice::{Party, Spoken, What};

/// Why a leg has its codec that was asked to change.
pub(crate) const WHY: &str = "re-INVITEd to spare a transcode";

/// What a leg was asked for the sake of a codec.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Spare {
    /// Nothing.
    Untried,
    /// To change to this one.
    Asked {
        /// What it may send from the offer on.
        proposed: Proposed,
        /// What we had described before.
        before: String,
        /// What the peer's descriptions had.
        common: Vec<Encoding>,
    },
    /// It has changed to this one.
    Changed(Encoding),
    /// It refused, did not answer, or said something else: it is not asked again.
    Over,
}

/// Whether a relay is worth a re-INVITE: never where the widest band counts, and where the cost does, not between the laws of G.711, which
/// cost next to nothing.
fn is_worth(prefer: Prefer, one: Encoding, other: Encoding) -> bool {
    let costs = match prefer {
        Prefer::NoTranscode => true,
        Prefer::Cost => work(one) + work(other) > 0,
        Prefer::Quality => false,
    };
    costs && one != other
}

/// To what the human may be asked to change: what the caller speaks, at whatever clock, since nobody hears it yet.
fn for_human(prefer: Prefer, caller: Encoding, human: &Agreed) -> Option<Encoding> {
    let listed = human.common.contains(&caller);
    (listed && is_worth(prefer, caller, human.encoding)).then_some(caller)
}

/// To what the caller may be asked to change: what the human speaks, where the clock of the caller's line stays.
fn for_caller(prefer: Prefer, caller: &Agreed, human: Encoding) -> Option<Encoding> {
    let listed = caller.common.contains(&human) && caller.encoding.clock_hz() == human.clock_hz();
    (listed && is_worth(prefer, caller.encoding, human)).then_some(human)
}

impl Leg {
    /// Its last agreement, where both hear each other.
    fn talks(&self) -> Option<&Agreed> {
        let up = self.state == LegState::Up;
        let agreed = self.agreed.as_ref().filter(|_| up);
        agreed.filter(|agreed| agreed.direction == Direction::SendRecv)
    }

    /// The same, where besides it may be asked to change its codec.
    fn may_change(&self) -> Option<&Agreed> {
        let fresh = matches!(self.spare, Spare::Untried | Spare::Changed(_));
        let free = !self.reoffers && !self.offered;
        self.talks().filter(|_| self.reinvites && fresh && free)
    }

    /// What it may send besides what was agreed.
    pub(crate) fn also(&self) -> Option<Format> {
        let Spare::Asked { proposed, .. } = &self.spare else {
            return None;
        };
        Some(Format {
            codec: codec(proposed.encoding),
            send: proposed.receive,
            receive: proposed.receive,
            events: proposed.events.map(|(number, clock_hz)| EventFormat {
                send: number,
                receive: number,
                clock_hz,
            }),
            comfort_noise: proposed.comfort_noise.then_some(crate::leg::COMFORT_NOISE),
        })
    }
}

impl Node {
    /// The human has answered.
    pub(crate) fn spare_by_human(&mut self, now: Instant, live: &mut Live) {
        let prefer = live.config.prefer;
        let caller = live.legs.caller.talks().map(|agreed| agreed.encoding);
        let (Some(caller), None, Some(human)) = (caller, &live.legs.supervisor, &mut live.legs.target) else {
            return;
        };
        let wanted = human.may_change().and_then(|human| for_human(prefer, caller, human));
        if let Some(encoding) = wanted {
            self.ask_to_change(now, human, encoding);
        }
    }

    /// The join is in force, and the human has not been asked.
    pub(crate) fn spare_by_caller(&mut self, now: Instant, live: &mut Live) {
        let prefer = live.config.prefer;
        let human = live.legs.peer.as_ref().filter(|human| human.spare == Spare::Untried);
        let human = human.and_then(Leg::talks).map(|agreed| agreed.encoding);
        let (Some(human), None, caller) = (human, &live.legs.supervisor, &mut live.legs.caller) else {
            return;
        };
        let wanted = caller.may_change().and_then(|caller| for_caller(prefer, caller, human));
        if let Some(encoding) = wanted {
            self.ask_to_change(now, caller, encoding);
        }
    }

    /// Offers a leg this one alone. What is refused, or waits until the dialog is free, holds nothing up.
    fn ask_to_change(&mut self, now: Instant, leg: &mut Leg, encoding: Encoding) -> bool {
        let (unchanged, before) = (leg.local.clone(), leg.local.last.clone());
        let common = leg.agreed.as_ref().map(|agreed| agreed.common.clone());
        let proposal = leg.local.propose(encoding);
        let (Some((offer, proposed)), Some(before), Some(common)) = (proposal, before, common) else {
            leg.local = unchanged;
            return false;
        };
        let sent = self.endpoint.propose(now, leg.dialog, offer.into()).is_ok();
        if sent {
            leg.reoffers = true;
            leg.spare = Spare::Asked {
                proposed,
                before,
                common,
            };
        } else {
            leg.local = unchanged;
        }
        sent
    }

    /// The peer offered something of its own while ours waited, and that was answered: ours is made anew, or gives way to what was answered.
    pub(crate) fn ask_anew(&mut self, now: Instant, leg: &mut Leg) {
        let Spare::Asked { proposed, .. } = std::mem::replace(&mut leg.spare, Spare::Over) else {
            return;
        };
        let wants =
            |agreed: &&Agreed| agreed.encoding != proposed.encoding && agreed.common.contains(&proposed.encoding);
        let wants = leg.talks().filter(wants).is_some();
        if wants && self.ask_to_change(now, leg, proposed.encoding) {
            return;
        }
        if let Some(last) = leg.local.last.clone() {
            let _ = self.endpoint.propose(now, leg.dialog, last.into());
        }
    }

    /// Tells what all speak now, where the record of a join says otherwise.
    pub(crate) fn tell_spoken(&mut self, now: Instant, live: &mut Live) {
        if let (Some(handoff), State::Talking) = (live.joined, live.call.state()) {
            let codecs = live.spoken();
            live.at = now;
            self.tell(now, live, What::Spoken { handoff, codecs });
        }
    }
}

impl Live {
    /// What each party speaks, and why.
    pub(crate) fn spoken(&self) -> Vec<Spoken> {
        let spoken = |leg| {
            let (codec, why) = self.codec(leg)?;
            let party = Some(leg.party).filter(|party| *party != Party::Supervisor)?;
            Some(Spoken { party, codec, why })
        };
        self.legs.iter().filter_map(spoken).collect()
    }
}

#[cfg(test)]
mod tests {
    use Encoding::*;
    use Prefer::*;
    use sip::sdp::Local;

    use super::*;

    /// A description with these, of which the first is spoken.
    fn agreed(common: &[Encoding]) -> Agreed {
        let host = "192.0.2.9".parse().unwrap();
        let offer = Local::new(host, 5004, common, 1).offer();
        Local::new(host, 40_000, &Encoding::ALL, 2)
            .answer(offer.as_bytes())
            .unwrap()
            .1
    }

    #[test]
    fn one_leg_is_asked_for_what_the_other_speaks_and_it_can_speak_too() {
        // Prefer; what the caller's description had and the human's, the first is spoken; what the human is asked, and the caller.
        type Row = (
            Prefer,
            &'static [Encoding],
            &'static [Encoding],
            Option<Encoding>,
            Option<Encoding>,
        );
        let rows: &[Row] = &[
            (NoTranscode, &[Pcmu, Pcma], &[Pcmu, Pcma], None, None),
            (NoTranscode, &[Pcmu, Pcma], &[Pcma, Pcmu], Some(Pcmu), Some(Pcma)),
            (NoTranscode, &[Pcmu], &[Opus, G722, Pcmu], Some(Pcmu), None),
            (NoTranscode, &[Opus, Pcmu], &[Pcma, Opus], Some(Opus), None),
            (NoTranscode, &[Pcmu, G722], &[G722], None, Some(G722)),
            (NoTranscode, &[G722, L16], &[L16], None, Some(L16)),
            // Another clock than the caller's line has, though the caller has offered it.
            (NoTranscode, &[Pcmu, Opus], &[Opus], None, None),
            (NoTranscode, &[Opus, Pcmu], &[Pcmu], None, None),
            (NoTranscode, &[G722, L16Wide], &[L16Wide], None, None),
            // Neither has it.
            (NoTranscode, &[Pcmu], &[G722], None, None),
            (Cost, &[Pcmu, Pcma], &[Pcma, Pcmu], None, None),
            (Cost, &[Pcmu, G722], &[G722, Pcmu], Some(Pcmu), Some(G722)),
            (Cost, &[Opus], &[Pcmu, Opus], Some(Opus), None),
            (Quality, &[Pcmu, G722], &[G722, Pcmu], None, None),
        ];
        for (prefer, caller, human, of_human, of_caller) in rows {
            let what = format!("{prefer:?} {caller:?} {human:?}");
            let (caller, human) = (agreed(caller), agreed(human));
            assert_eq!(for_human(*prefer, caller.encoding, &human), *of_human, "{what}");
            assert_eq!(for_caller(*prefer, &caller, human.encoding), *of_caller, "{what}");
        }
    }
}
