//! Sessions that go to another worker: for a port, or for room.

use super::*;
use crate::config::Budget;

/// So many ports for each worker.
fn with(pairs: &[u16]) -> Config {
    let mut first = 20_000;
    let mut ports = |pairs: &u16| {
        let own = (0..*pairs).map(|n| first + 2 * n).collect();
        first += 2 * pairs;
        own
    };
    Config {
        workers: pairs.iter().map(&mut ports).collect(),
        ..config()
    }
}

/// A call whose worker has no port for a human, beside a worker that has so many.
fn full_beside(pairs: u16) -> World {
    let mut world = World::new(with(&[2, pairs]));
    world.talk();
    assert!(world.workers.iter().all(|worker| *worker == 0));
    world
}

/// One that is on its way to a port: a human is asked for.
fn crowded(mode: Mode) -> World {
    let mut world = full_beside(2);
    world.ask(mode);
    world
}

/// One whose data plane does not answer what it was told when a human was asked for.
fn crowded_and_unanswered() -> World {
    let mut world = full_beside(2);
    world.answers = false;
    world.ask(Mode::Warm);
    world
}

impl World {
    /// The data plane answers the last command, and all that come.
    fn answers_at_last(&mut self) {
        self.answers = true;
        let last = self.last.clone().unwrap();
        self.answer_media(last);
        self.settle();
    }

    /// The call ends, and nothing of it is left.
    fn ends(&mut self) {
        self.hang_up(CALLER);
        self.conserve();
    }

    /// Two workers are so busy; what may go, goes.
    fn busy(&mut self, shares: [f64; 2]) {
        self.measured(&shares.map(Some));
        self.settle();
    }
}

#[test]
fn a_human_is_called_from_where_there_is_a_port() {
    for mode in [Mode::Warm, Mode::Cold] {
        let mut world = crowded(mode);
        let session = SessionId(world.id().0);
        assert_eq!(world.ways, [(session, 0, 1)]);
        assert!(world.peers[SALES].log.is_empty(), "not before it is there");
        let before = world.workers.len();
        world.moved(true);
        assert_eq!(world.peers[SALES].log, ["invite"]);
        world.answer(SALES);
        if mode == Mode::Warm {
            world.played(2, 0);
        }
        assert_eq!(world.leg(2).unwrap().port.0, 20_004);
        assert_eq!(
            (world.hears("caller"), world.hears("human")),
            ("relay(human)".into(), "relay(caller)".into())
        );
        assert!(world.workers[before..].iter().all(|worker| *worker == 1));
        assert_eq!((world.node.moves().moved, world.node.moves().stayed), (1, 0));
        world.ends();
        // Its ports are the other worker's now, the caller's and the AI's as well: the first has none left.
        world.peers[CALLER].log.clear();
        world.talk();
        assert_eq!(world.workers.last(), Some(&1));
        world.ends();
    }
}

#[test]
fn where_the_other_worker_has_no_room_the_handoff_ends_as_without_a_port() {
    let mut world = crowded(Mode::Warm);
    world.moved(false);
    assert!(world.peers[SALES].log.is_empty());
    assert_eq!(
        world.closed(),
        Some((End::Failed, Outcome::ReturnedToAi, Some(Reason::NoCapacity)))
    );
    assert_eq!(world.hears("caller"), "play(failed)");
    assert!(world.workers.iter().all(|worker| *worker == 0));
    assert_eq!((world.node.moves().moved, world.node.moves().stayed), (0, 1));
    world.ends();
}

#[test]
fn nobody_moves_before_the_data_plane_has_answered() {
    let mut world = crowded_and_unanswered();
    assert!(world.ways.is_empty());
    assert_eq!(world.closed(), None);
    world.answers_at_last();
    assert_eq!(world.ways.len(), 1);
    world.moved(true);
    assert_eq!(world.peers[SALES].log, ["invite"]);
    world.ends();
}

#[test]
fn one_that_was_asked_twice_goes_once_no_copy_can_be_under_way() {
    let mut world = crowded_and_unanswered();
    world.pass(Duration::from_millis(600));
    let asked = world.commands.len();
    world.answers_at_last();
    // The worker was asked for the same once more, and has answered that.
    assert_eq!(world.commands.len(), asked + 1);
    assert_eq!(world.ways.len(), 1);
    world.moved(true);
    assert_eq!(world.peers[SALES].log, ["invite"]);
    world.ends();
}

#[test]
fn what_its_worker_is_to_be_told_waits_until_it_is_there() {
    for moved in [true, false] {
        let mut world = crowded(Mode::Warm);
        let (before, sets) = (world.commands.len(), world.sets);
        // The AI hangs up, the caller moves to another port, and it ends.
        let offer = world.peers[CALLER].local.offer();
        world.reinvite(CALLER, offer);
        assert_eq!((world.commands.len(), world.sets), (before, sets));
        let session = SessionId(world.id().0);
        world.hang_up(CALLER);
        // However long that takes.
        world.pass(Duration::from_secs(30));
        assert_eq!(world.commands.len(), before);
        world.moved(moved);
        assert_eq!(
            world.commands[before..],
            [Command::End { session }],
            "the newest says it all"
        );
        assert_eq!(world.workers.last(), Some(&usize::from(moved)));
        assert!(world.peers[SALES].log.is_empty());
        world.conserve();
    }
}

#[test]
fn a_wish_that_is_taken_back_meanwhile_calls_nobody() {
    let mut world = full_beside(1);
    let handoff = world.ask(Mode::Warm);
    world.request(Request::Cancel(handoff)).unwrap();
    world.moved(true);
    assert!(world.peers[SALES].log.is_empty());
    world.pass(Duration::from_secs(5));
    assert_eq!(world.hears("caller"), "relay(ai)");
    // The port that was kept for the human is free again, after its rest: the session is where it is, and stays there.
    world.ask(Mode::Warm);
    assert_eq!(world.peers[SALES].log, ["invite"]);
    assert!(world.ways.is_empty());
    world.ends();
}

#[test]
fn a_worker_that_never_says_what_came_of_it_is_missed_as_without_a_move() {
    let mut world = crowded(Mode::Warm);
    world.pass(Duration::from_secs(125));
    assert!(world.peers[SALES].log.is_empty());
    assert_eq!(world.peers[AI].log.last(), Some(&"bye"));
    assert_eq!(world.peers[CALLER].log.last(), Some(&"bye"));
}

/// A call costs a tenth of a core.
const BUDGET: Budget = Budget {
    core_share: 0.7,
    packet: Duration::from_millis(1),
};

fn balanced() -> World {
    let mut world = World::new(Config {
        budget: BUDGET,
        ..with(&[20, 20])
    });
    for _ in 0..4 {
        world.busy([0.0, 0.6]);
        world.peers[CALLER].log.clear();
        world.talk();
    }
    assert!(world.workers.iter().all(|worker| *worker == 0));
    world.pass(Duration::from_secs(2));
    world
}

#[test]
fn sessions_leave_a_worker_that_is_busier_than_it_may_be() {
    let mut world = balanced();
    world.busy([0.7, 0.1]);
    assert!(world.ways.is_empty(), "it may be as busy");
    world.busy([0.8, 0.3]);
    // Each costs a fifth: one makes it 0.6 and 0.5.
    assert_eq!(world.ways.len(), 1);
    // On its way, and just there, it counts where it goes: nobody follows.
    world.busy([0.8, 0.3]);
    assert_eq!(world.ways.len(), 1);
    world.moved(true);
    world.busy([0.8, 0.3]);
    assert!(world.ways.is_empty());
    assert_eq!(world.node.moves().moved, 1);
    // A measurement that has it all.
    world.pass(Duration::from_secs(2));
    world.busy([0.9, 0.3]);
    assert_eq!(world.ways.len(), 1);
}

#[test]
fn a_human_who_is_wanted_while_the_call_leaves_is_called_from_where_it_is_then() {
    for moved in [true, false] {
        let mut world = balanced();
        world.busy([0.8, 0.3]);
        let (session, ..) = world.ways[0];
        assert_eq!(session.0, world.id().0, "the first call, of which the wish is");
        world.ask(Mode::Cold);
        assert!(
            world.peers[SALES].log.is_empty(),
            "its own worker has ports, and would not have the session"
        );
        world.moved(moved);
        assert_eq!(world.peers[SALES].log, ["invite"]);
        world.answer(SALES);
        let port = world.leg(2).unwrap().port.0;
        assert_eq!(port >= 20_040, moved, "{port}");
    }
}

#[test]
fn nobody_goes_where_it_is_no_better() {
    let mut world = balanced();
    for shares in [[0.9, 0.65], [0.9, 0.9], [0.6, 0.0]] {
        world.busy(shares);
        assert!(world.ways.is_empty(), "{shares:?}");
    }
    // Where it cannot be measured how busy one is, nobody knows where it is better.
    world.measured(&[Some(0.9), None]);
    world.settle();
    assert!(world.ways.is_empty());
}
