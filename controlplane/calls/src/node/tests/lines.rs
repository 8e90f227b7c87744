//! Callers of a queue: who is called, and what is heard in line.

use playbook::ColdHears;
use playbook::routing::{Need, Presence, Profile, Seat, Strategy};

use super::*;
use crate::config::{Estimate, Place, Queue};
use crate::request::{AgentView, QueueView};

const HOLD: u64 = 1;
const NUMBER_ONE: [u64; 2] = [16, 17];
const NUMBER_TWO: [u64; 2] = [16, 18];

pub(super) fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// Sales is a queue, whose agents are called at its next hop, and support is none.
pub(super) fn queued() -> Config {
    let mut config = config();
    config.targets[0].queue = Some(Queue {
        skills: vec![("billing".to_owned(), 3)],
        strategy: Strategy::InOrder,
        at_once: 1,
        max_wait: seconds(120),
        wrap_up: seconds(10),
        set_aside: seconds(300),
    });
    config.prompts.estimate = Some(Estimate {
        every: seconds(30),
        soon: PromptId(7),
        intro: PromptId(8),
        minutes: vec![(1, PromptId(9)), (2, PromptId(10)), (5, PromptId(11))],
    });
    config.prompts.place = Some(Place {
        every: seconds(30),
        intro: PromptId(16),
        numbers: vec![(1, PromptId(17)), (2, PromptId(18))],
    });
    config
}

pub(super) fn agent(id: &str, order: u16) -> Profile {
    Profile {
        id: id.to_owned(),
        name: String::new(),
        uri: format!("sip:+4930{order}@{}", address(SALES)),
        skills: [("billing".to_owned(), 5)].into(),
        languages: Default::default(),
        presence: Presence::Available,
        calls: 1,
        order,
    }
}

/// A queue with these agents, and a caller who talks with the AI.
pub(super) fn world(config: Config, ids: &[&str]) -> World {
    let mut world = World::new(config);
    for (id, order) in ids.iter().zip(1..) {
        world
            .request(Request::PutAgent(agent(id, order)))
            .expect("it is allowed");
    }
    world.talk();
    world
}

fn need(queue: &str, priority: u8) -> Need {
    Need {
        queue: queue.to_owned(),
        skills: vec![],
        strategy: Strategy::InOrder,
        priority,
        wrap_up: Duration::ZERO,
        set_aside: Duration::ZERO,
    }
}

impl World {
    /// Another caller has an agent.
    pub(super) fn occupy(&mut self) -> Seat {
        let ticket = self.node.pool.enter(self.now, need("sales", 0));
        let seat = self.node.pool.call(self.now, ticket).expect("somebody is free");
        self.node.pool.answered(self.now, seat);
        self.node.pool.leave(self.now, ticket);
        seat
    }

    /// … and does not want it any more.
    fn free(&mut self, seat: Seat) {
        self.node.pool.over(self.now, seat);
        // As where the other caller's call is put back.
        self.node.offer(self.now);
        self.settle();
    }

    pub(super) fn doing(&mut self, id: &str) -> &'static str {
        match self.request(Request::Agent(id.to_owned())) {
            Ok(Response::Agent(agent)) => agent.state,
            other => panic!("{other:?}"),
        }
    }

    fn agents(&mut self) -> Vec<AgentView> {
        match self.request(Request::Agents {
            after: String::new(),
            most: 10,
        }) {
            Ok(Response::Agents(agents)) => agents,
            other => panic!("{other:?}"),
        }
    }

    /// What the caller's row plays, in order.
    fn caller_queue(&self) -> Vec<u64> {
        let play = self.leg(0).and_then(|row| row.hears.play.as_ref());
        play.map(|play| play.queue.iter().map(|prompt| u64::from(prompt.0)).collect())
            .unwrap_or_default()
    }

    /// Everything is said that comes before the hold audio.
    fn listen(&mut self) {
        let items = self.caller_queue().len() - 1;
        (0..items).for_each(|item| self.played(0, item as u8));
        assert_eq!(self.hears("caller"), "play(hold)");
    }

    /// Whom the last INVITE to a host was for.
    pub(super) fn called(&self, host: usize) -> String {
        let request = self.peers[host].request.as_ref().expect("an INVITE");
        let line = String::from_utf8_lossy(&request.to_bytes()).into_owned();
        line.split(' ').nth(1).unwrap_or_default().to_owned()
    }

    /// Places in line, as they were told.
    fn places(&self) -> Vec<usize> {
        let places = self.notices.iter().filter_map(|what| match what {
            What::Handoff(_, Step::Queued { place, .. }) => Some(*place),
            _ => None,
        });
        places.collect()
    }

    pub(super) fn invited(&self) -> Vec<(String, Option<String>)> {
        let invited = self.notices.iter().filter_map(|what| match what {
            What::Handoff(_, Step::Invited { target, agent, .. }) => Some((target.clone(), agent.clone())),
            _ => None,
        });
        invited.collect()
    }
}

pub(super) fn sales(agent: &str) -> (String, Option<String>) {
    ("sales".to_owned(), Some(agent.to_owned()))
}

#[test]
fn who_is_free_is_called_at_its_own_uri_and_left_alone_after_the_talk() {
    let mut world = world(queued(), &["ann", "bob"]);
    world.ask(Mode::Warm);
    assert_eq!(world.called(SALES), agent("ann", 1).uri);
    assert_eq!(world.invited(), [sales("ann")]);
    assert_eq!(world.places(), [0; 0], "nobody waited");
    assert_eq!((world.doing("ann"), world.doing("bob")), ("ringing", "available"));
    world.answer(SALES);
    assert_eq!(world.doing("ann"), "talking");
    world.played(2, 0);
    assert_eq!(world.hears("caller"), "relay(human)");
    world.pass(seconds(20));
    world.hang_up(CALLER);
    assert_eq!(world.doing("ann"), "wrap_up");
    world.pass(seconds(10));
    assert_eq!(world.doing("ann"), "available");
    assert_eq!(world.agents()[0].handle_s, Some(30), "the talk and its wrap-up");
    world.conserve();
}

#[test]
fn who_waits_is_told_the_place_and_gets_who_is_freed_first() {
    let mut world = world(queued(), &["ann", "bob"]);
    let (_, bob) = (world.occupy(), world.occupy());
    world.ask(Mode::Warm);
    assert_eq!(world.peers[SALES].log, [""; 0]);
    assert_eq!(world.places(), [1]);
    assert_eq!(world.caller_queue(), [0, HOLD], "the announcement first");
    world.played(0, 0);
    assert_eq!(world.caller_queue(), [&NUMBER_ONE[..], &[HOLD]].concat());
    world.listen();
    world.pass(seconds(31));
    assert_eq!(world.caller_queue(), [&NUMBER_ONE[..], &[HOLD]].concat(), "and again");
    world.free(bob);
    assert_eq!(world.called(SALES), agent("bob", 2).uri);
    assert_eq!(world.invited(), [sales("bob")]);
    world.answer(SALES);
    world.played(2, 0);
    assert_eq!(world.hears("caller"), "relay(human)");
    world.hang_up(SALES);
    assert_eq!(world.doing("ann"), "talking");
}

#[test]
fn others_who_came_before_are_before_unless_the_decision_says_otherwise() {
    for (priority, place, told) in [(0, 2, NUMBER_TWO), (5, 1, NUMBER_ONE)] {
        let mut config = queued();
        config.playbook.usual.priority = priority;
        let mut world = world(config, &["ann"]);
        let ann = world.occupy();
        let other = world.node.pool.enter(world.now, need("sales", 1));
        assert_eq!(world.node.pool.call(world.now, other), None);
        world.ask(Mode::Warm);
        assert_eq!(world.places(), [place]);
        world.played(0, 0);
        assert_eq!(world.caller_queue(), [&told[..], &[HOLD]].concat());
        let queue = |world: &World| {
            let QueueView {
                waiting,
                longest_wait_s,
                ..
            } = world.node.queues(world.now).remove(0);
            (waiting, longest_wait_s)
        };
        world.pass(seconds(7));
        assert_eq!(queue(&world), (2, 7));
        if priority == 0 {
            world.node.pool.leave(world.now, other);
        }
        world.free(ann);
        assert_eq!(world.invited(), [sales("ann")]);
    }
}

#[test]
fn who_does_not_answer_is_set_aside_and_the_next_agent_is_called() {
    let mut world = world(queued(), &["ann", "bob"]);
    world.ask(Mode::Warm);
    world.pass(seconds(21));
    assert_eq!((world.doing("ann"), world.doing("bob")), ("set_aside", "ringing"));
    assert_eq!(world.called(SALES), agent("bob", 2).uri);
    assert_eq!(world.failed(), Some((Reason::Unreachable, None)));
    // An agent who says no is there, and called for others.
    world.answer(SALES);
    assert!(
        world
            .request(Request::Decline(HandoffId(
                world.spec.watch.expect("a window").window.0
            )))
            .is_ok()
    );
    assert_eq!(world.doing("bob"), "available");
    // Nobody is left who could take it: the next target, with a word in between.
    assert_eq!(world.peers[SUPPORT].log, ["invite"]);
    world.hang_up(CALLER);
    world.pass(seconds(301));
    assert_eq!(world.doing("ann"), "available");
    world.conserve();
}

#[test]
fn a_wait_that_is_too_long_ends_at_the_next_target() {
    let mut world = world(queued(), &["ann"]);
    let ann = world.occupy();
    world.ask(Mode::Cold);
    world.pass(seconds(119));
    assert_eq!(world.peers[SUPPORT].log, [""; 0]);
    world.pass(seconds(2));
    assert_eq!(world.failed(), Some((Reason::Busy, None)));
    assert_eq!(world.peers[SUPPORT].log, ["invite"]);
    // Who is freed now is nobody's.
    world.free(ann);
    assert_eq!(world.peers[SALES].log, [""; 0]);
    assert_eq!(world.doing("ann"), "available");
    world.answer(SUPPORT);
    assert_eq!(world.hears("caller"), "relay(human)");
    world.hang_up(CALLER);
    world.conserve();
}

#[test]
fn an_agent_whose_phone_rings_when_the_wait_is_over_may_still_take_it_and_is_the_last() {
    for takes_it in [true, false] {
        let mut world = world(queued(), &["ann", "bob"]);
        let (ann, bob) = (world.occupy(), world.occupy());
        world.ask(Mode::Cold);
        world.pass(seconds(110));
        world.free(ann);
        assert_eq!(world.invited(), [sales("ann")]);
        world.pass(seconds(11));
        world.free(bob);
        match takes_it {
            true => world.answer(SALES),
            false => world.reject(SALES, 486),
        }
        let support = usize::from(!takes_it);
        assert_eq!(world.peers[SUPPORT].log.len(), support);
        assert_eq!(
            world.hears("caller"),
            if takes_it { "relay(human)" } else { "play(announcement)" }
        );
        world.hang_up(CALLER);
        // Until nobody is set aside any more.
        world.pass(seconds(300));
        world.conserve();
    }
}

#[test]
fn a_line_that_nobody_serves_is_no_line() {
    let mut config = queued();
    config.playbook.usual.targets = vec!["sales".to_owned()];
    for absent in [&[][..], &["ann"]] {
        let mut world = world(config.clone(), absent);
        if !absent.is_empty() {
            let away = Profile {
                presence: Presence::Away,
                ..agent("ann", 1)
            };
            assert!(world.request(Request::PutAgent(away)).is_ok());
        }
        world.ask(Mode::Warm);
        assert_eq!(world.places(), [0; 0]);
        assert_eq!(world.hears("caller"), "play(no_answer)");
        assert_eq!(
            world.closed(),
            Some((End::Failed, Outcome::ReturnedToAi, Some(Reason::NoAnswer)))
        );
        world.hang_up(CALLER);
        world.conserve();
    }
}

#[test]
fn who_leaves_the_line_is_in_nobody_s_way() {
    for how in ["caller", "ai", "cancel", "api"] {
        let mut world = world(queued(), &["ann"]);
        let ann = world.occupy();
        let id = world.ask(Mode::Warm);
        assert_eq!(world.node.queues(world.now)[0].waiting, 1);
        match how {
            "caller" => world.hang_up(CALLER),
            // An AI that leaves does not take the caller with it.
            "ai" => world.hang_up(AI),
            "cancel" => assert!(world.request(Request::Cancel(id)).is_ok()),
            _ => assert!(world.request(Request::HangUp(world.id())).is_ok()),
        }
        let waiting = usize::from(how == "ai");
        assert_eq!(world.node.queues(world.now)[0].waiting, waiting, "{how}");
        world.free(ann);
        assert_eq!(world.peers[SALES].log.len(), waiting, "{how}");
        if how == "ai" {
            world.hang_up(CALLER);
        } else if how == "cancel" {
            assert_eq!(world.hears("caller"), "relay(ai)");
            world.hang_up(CALLER);
        }
        world.conserve();
    }
}

#[test]
fn an_ai_that_talks_on_talks_on_in_line() {
    let mut config = queued();
    config.playbook.cold_hears = ColdHears::Ai;
    let mut world = world(config, &["ann"]);
    let ann = world.occupy();
    world.ask(Mode::Cold);
    world.pass(seconds(70));
    assert_eq!(world.hears("caller"), "relay(ai)");
    world.free(ann);
    world.answer(SALES);
    assert_eq!(world.hears("caller"), "relay(human)");
    world.hang_up(CALLER);
    world.conserve();
}

#[test]
fn a_carrier_is_not_asked_to_connect_with_a_queue() {
    let mut config = queued();
    config.trunks[0].refer = true;
    let mut world = world(config, &["ann"]);
    world.ask(Mode::Cold);
    assert!(!world.peers[CALLER].log.contains(&"refer"));
    assert_eq!(world.invited(), [sales("ann")]);
}

#[test]
fn agents_are_those_whom_a_queue_may_call() {
    let mut world = world(queued(), &["ann"]);
    let foreign = Profile {
        uri: "sip:+88216@satellite.example".to_owned(),
        ..agent("eve", 2)
    };
    let Err(RequestError::Invalid(why)) = world.request(Request::PutAgent(foreign)) else {
        panic!("it is taken");
    };
    assert!(why.contains("patterns"), "{why}");
    assert_eq!(world.agents()[0].queues, ["sales"]);
    // The queue may call others from now on; who is in no queue is known, and called by none.
    let mut config = queued();
    config.targets[0].patterns.clear();
    world.node.reload(world.now, load::peers(&config));
    assert_eq!(world.agents()[0].queues, [""; 0]);
    world.ask(Mode::Warm);
    assert_eq!(world.peers[SALES].log, [""; 0]);
    world.node.reload(world.now, load::peers(&queued()));
    assert_eq!(world.agents()[0].queues, ["sales"]);
    assert!(world.request(Request::RemoveAgent("ann".to_owned())).is_ok());
    assert_eq!(
        world.request(Request::RemoveAgent("ann".to_owned())).unwrap_err(),
        RequestError::NoAgent
    );
    for wrong in [
        Profile {
            calls: 0,
            ..agent("a", 1)
        },
        Profile {
            skills: [("billing".to_owned(), 11)].into(),
            ..agent("a", 1)
        },
        Profile {
            name: "n".repeat(257),
            ..agent("a", 1)
        },
        agent("", 1),
    ] {
        let answer = world.request(Request::PutAgent(wrong));
        assert!(matches!(answer, Err(RequestError::Invalid(_))), "{answer:?}");
    }
}

#[test]
fn a_supervisor_is_no_queue() {
    let mut world = world(queued(), &["ann"]);
    let id = world.id();
    let whom = crate::request::Whom::Target("sales".to_owned());
    let answer = world.request(Request::Supervise(id, whom, String::new()));
    assert!(matches!(answer, Err(RequestError::Invalid(_))), "{answer:?}");
}
