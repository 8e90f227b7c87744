//! Re-INVITEs of both sides that cross (RFC 3261 §14.1). Judged by what everybody hears afterwards.

use std::collections::BTreeSet;
use std::time::Duration;

use sim::scenario::{Also, Offer, When};
use sim::world::Who;
use sim::{Scenario, Sound, World};
use sip::sdp::{Direction, Encoding};

const SECOND: Duration = Duration::from_secs(1);
const HUMAN: Who = Who::Human(0);

/// Baton's and the party's offers leave at the same instant, some time after this step.
fn cross(seed: u64, who: Who, step: &'static str, offer: Offer) -> World {
    let at = When::After(step, SECOND);
    let also = vec![(at, Also::OfferAgain), (at, Also::Reinvite(who, offer))];
    World::run(Scenario {
        also,
        end: Duration::from_secs(30),
        ..Scenario::warm(seed)
    })
}

/// What a party got between two times from the start, noise apart.
fn got(world: &World, who: Who, from: Duration, to: Duration) -> BTreeSet<Sound> {
    let within = world.start + from..world.start + to;
    let heard = world.ua(who).heard.iter().filter(|heard| within.contains(&heard.at));
    let sounds = heard.filter_map(|heard| heard.sound);
    sounds.filter(|sound| *sound != Sound::Comfort).collect()
}

#[test]
fn offers_that_cross_both_get_through() {
    let offers = [
        Offer::Direction(Direction::SendRecv),
        Offer::Late,
        Offer::Moved,
        Offer::Codec(Encoding::Pcma),
    ];
    let places = [(Who::Caller, "joined"), (HUMAN, "joined"), (Who::Ai, "started")];
    for (n, (who, step)) in places.into_iter().enumerate() {
        for offer in offers {
            let world = cross(1200 + n as u64, who, step, offer);
            world.assert_no_faults();
            assert_eq!(world.crossings(), [who], "{who:?} {offer:?}");
            for glare in world.glares() {
                // The owner of the Call-ID waits longer: one of the two is always first.
                let owner = glare.ours != (who == Who::Caller);
                let waited = glare.again.expect("it came again") - glare.at;
                let bound = Duration::from_millis(2050);
                assert_eq!(waited > bound, owner, "{who:?} {offer:?}: {glare:?}");
            }
            let (from, to) = match who {
                Who::Ai => (Duration::from_millis(1200), 3 * SECOND),
                _ => (15 * SECOND, 29 * SECOND),
            };
            let other = if who == Who::Caller { HUMAN } else { Who::Caller };
            for (listener, source) in [(who, other), (other, who)] {
                let voice = BTreeSet::from([world.ua(source).voice]);
                assert_eq!(
                    got(&world, listener, from, to),
                    voice,
                    "{who:?} {offer:?}: {listener:?}"
                );
            }
        }
    }
}

/// A hold that crosses is in force when it gets through, and not before; the same of its end.
#[test]
fn a_hold_that_crosses_holds_once_it_is_through() {
    for (who, held) in [(Who::Caller, HUMAN), (HUMAN, Who::Caller)] {
        let at = |wait: u64| When::After("joined", Duration::from_secs(wait));
        let hold = Also::Reinvite(who, Offer::Direction(Direction::Inactive));
        let resume = Also::Reinvite(who, Offer::Direction(Direction::SendRecv));
        let world = World::run(Scenario {
            also: vec![
                (at(1), Also::OfferAgain),
                (at(1), hold),
                (at(8), Also::OfferAgain),
                (at(8), resume),
            ],
            end: Duration::from_secs(30),
            ..Scenario::warm(1210)
        });
        world.assert_no_faults();
        assert_eq!(world.crossings(), [who, who]);
        let joined = world.step_at("joined").expect("joined") - world.start;
        let between = |from: u64, to: u64| {
            let at = |s: u64| joined + Duration::from_secs(s);
            (got(&world, who, at(from), at(to)), got(&world, held, at(from), at(to)))
        };
        let (mine, theirs) = (world.ua(who).voice, world.ua(held).voice);
        let hold = BTreeSet::from([Sound::Hold]);
        assert_eq!(between(6, 8), (BTreeSet::new(), hold), "{who:?} holds");
        assert_eq!(
            between(14, 16),
            (BTreeSet::from([theirs]), BTreeSet::from([mine])),
            "{who:?} is back"
        );
    }
}
