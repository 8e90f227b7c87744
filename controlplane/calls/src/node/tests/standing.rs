//! What is told of the legs that are up, and what another node makes of it.

use super::*;
use crate::notice::Party;

impl World {
    /// Whose legs are told to be up, and as whose.
    fn told_up(&self) -> Vec<(Party, &str)> {
        self.legs.iter().map(|leg| (leg.party, &*leg.name)).collect()
    }

    /// The node is gone with its process; another one gets what was told.
    fn crash(&mut self) -> usize {
        let mut config = Config::clone(&self.node.config);
        (config.seed, config.sip.seed) = (config.seed ^ 0x5eed, config.sip.seed ^ 0x5eed);
        self.node = Node::new(config, self.now);
        let legs = std::mem::take(&mut self.legs);
        let sent = legs
            .into_iter()
            .filter(|leg| self.node.end_foreign(self.now, leg.clone()));
        let sent = sent.count();
        self.settle();
        sent
    }
}

const CALLER_AND_AI: [(Party, &str); 2] = [(Party::Caller, "carrier"), (Party::Ai, "anna")];

#[test]
fn the_legs_that_are_up_are_told_as_they_come_and_go() {
    let mut world = World::new(config());
    world.call(CALLER);
    world.ring(AI);
    assert_eq!(world.told_up(), [], "nobody has answered");
    world.answer(AI);
    assert_eq!(world.told_up(), CALLER_AND_AI);
    world.ask(Mode::Warm);
    world.ring(SALES);
    assert_eq!(world.told_up(), CALLER_AND_AI);
    world.answer(SALES);
    let human = (Party::Human, "sales");
    assert_eq!(world.told_up(), [CALLER_AND_AI[0], CALLER_AND_AI[1], human]);
    world.played(2, 0);
    assert_eq!(world.told_up(), [CALLER_AND_AI[0], human], "the AI was let go");
    world.hang_up(CALLER);
    world.conserve();
}

#[test]
fn a_node_that_comes_after_ends_all_that_were_up_and_nobody_else() {
    // Only talking; with a phone that rings; with a human who is briefed; joined.
    for steps in 0..4 {
        let mut world = World::talking();
        if steps > 0 {
            world.ask(Mode::Warm);
            world.ring(SALES);
        }
        if steps > 1 {
            world.answer(SALES);
        }
        if steps > 2 {
            world.played(2, 0);
        }
        let human = steps > 1;
        let ai = steps < 3;
        let before = [CALLER, AI, SALES].map(|host| world.byes(host));
        assert_eq!(world.crash(), 1 + usize::from(ai) + usize::from(human));
        let got = [CALLER, AI, SALES].map(|host| world.byes(host));
        let new: Vec<_> = got.iter().zip(before).map(|(now, before)| now - before).collect();
        assert_eq!(new, [1, usize::from(ai), usize::from(human)], "after {steps} steps");
        assert_eq!(world.node.alive().sip.dialogs, 0, "each is answered");
    }
}

#[test]
fn a_leg_that_is_ours_is_not_ended_as_somebody_elses() {
    let mut world = World::talking();
    for leg in world.legs.clone() {
        assert!(!world.node.end_foreign(world.now, leg));
    }
    world.settle();
    assert_eq!([CALLER, AI].map(|host| world.byes(host)), [0, 0]);
    world.hang_up(CALLER);
    world.conserve();
}

impl World {
    fn byes(&self, host: usize) -> usize {
        self.peers[host].log.iter().filter(|what| **what == "bye").count()
    }
}
