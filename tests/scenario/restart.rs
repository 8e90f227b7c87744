//! The process is killed in the middle of a call, and another one comes up that has nothing but what was told of the legs.

use std::time::Duration;

use calls::notice::Party;
use sim::scenario::Carriages;
use sim::ua::State;
use sim::world::Who;
use sim::{Scenario, World};

/// When it dies in a warm handoff, and whose legs were up then.
const MOMENTS: [(u64, &[Who]); 4] = [
    (2_000, &[Who::Caller, Who::Ai]),
    // The human's phone rings.
    (3_500, &[Who::Caller, Who::Ai]),
    // The human is briefed.
    (5_000, &[Who::Caller, Who::Ai, Who::Human(0)]),
    // Caller and human talk.
    (20_000, &[Who::Caller, Who::Human(0)]),
];

fn party(who: Who) -> Party {
    match who {
        Who::Caller => Party::Caller,
        Who::Ai => Party::Ai,
        Who::Human(_) => Party::Human,
    }
}

#[test]
fn every_leg_that_was_up_gets_a_bye_of_whoever_comes_after() {
    for carriages in [Carriages::UDP, Carriages::TCP] {
        for (seed, (at_ms, up)) in (2_000..).zip(MOMENTS) {
            let mut world = World::new(Scenario {
                carriages,
                ..Scenario::warm(seed)
            });
            world.run_until(Duration::from_millis(at_ms));
            let told: Vec<_> = world.legs.iter().map(|leg| leg.party).collect();
            let wanted: Vec<_> = up.iter().map(|who| party(*who)).collect();
            assert_eq!(told, wanted, "at {at_ms} ms: {:#?}", world.ladder());
            for who in up {
                assert_eq!(world.ua(*who).state, State::Up, "{who:?} at {at_ms} ms");
            }
            let before = world.wire.len();
            world.crash();
            // Long before anybody would have hung up by itself.
            world.run_until(Duration::from_millis(at_ms + 1_000));
            for who in up {
                assert_eq!(
                    world.ua(*who).state,
                    State::Gone,
                    "{who:?} at {at_ms} ms: {:#?}",
                    world.ladder()
                );
            }
            let byes = |who: Who| {
                let after = world.wire[before..].iter();
                after
                    .filter(|wire| wire.ours && wire.party == who && wire.is("BYE"))
                    .count()
            };
            for who in world.everyone() {
                assert_eq!(byes(who), usize::from(up.contains(&who)), "{who:?} at {at_ms} ms");
            }
            world.run_to_the_end();
            assert_eq!(world.node.alive(), Default::default(), "nothing is left of them");
        }
    }
}
