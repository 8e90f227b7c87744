use proptest::prelude::{TestCaseError, any, prop, prop_assert, prop_assert_eq, prop_oneof, proptest};
use proptest::strategy::Strategy as _;

use super::*;

fn profile(id: &str, skills: &[(&str, u8)]) -> Profile {
    Profile {
        id: id.to_owned(),
        name: id.to_owned(),
        uri: format!("sip:{id}@192.0.2.1"),
        skills: skills
            .iter()
            .map(|(name, level)| ((*name).to_owned(), *level))
            .collect(),
        languages: BTreeSet::new(),
        presence: Presence::Available,
        calls: 1,
        order: 0,
    }
}

fn need(skills: &[(&str, u8)]) -> Need {
    Need {
        queue: "support".to_owned(),
        skills: skills
            .iter()
            .map(|(name, level)| ((*name).to_owned(), *level))
            .collect(),
        strategy: Strategy::LongestIdle,
        priority: 0,
        wrap_up: Duration::ZERO,
        set_aside: seconds(60),
    }
}

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// Time, and a pool of these, who came one after the other a second apart.
struct World {
    now: Instant,
    pool: Pool,
}

impl World {
    fn of(profiles: Vec<Profile>) -> World {
        let now = Instant::now();
        let mut world = World {
            now,
            pool: Pool::new(now),
        };
        for profile in profiles {
            world.put(profile);
            world.pass(1);
        }
        world
    }

    fn put(&mut self, profile: Profile) {
        self.pool.put(self.now, profile, &["support"]).expect("there is room");
    }

    fn pass(&mut self, time: u64) {
        self.now += seconds(time);
        self.pool.handle_timeout(self.now);
    }

    fn enter(&mut self, need: Need) -> Ticket {
        self.pool.enter(self.now, need)
    }

    fn call(&mut self, ticket: Ticket) -> Option<(Seat, String)> {
        let seat = self.pool.call(self.now, ticket)?;
        Some((seat, self.name(seat)))
    }

    fn name(&self, seat: Seat) -> String {
        self.pool.who(seat).expect("somebody").id.clone()
    }

    /// Who would be called for this need, and is not.
    fn first(&mut self, need: Need) -> Option<String> {
        let ticket = self.enter(need);
        let found = self.call(ticket);
        if let Some((seat, _)) = &found {
            self.pool.over(self.now, *seat);
        }
        self.pool.leave(self.now, ticket);
        found.map(|(_, name)| name)
    }

    /// A talk of so long, with whoever it is.
    fn talk(&mut self, time: u64) -> String {
        let ticket = self.enter(need(&[]));
        let (seat, name) = self.call(ticket).expect("somebody is free");
        self.pool.answered(self.now, seat);
        self.pool.leave(self.now, ticket);
        self.pass(time);
        self.pool.over(self.now, seat);
        name
    }

    fn offer(&mut self) -> Option<(Ticket, String)> {
        let (ticket, seat) = self.pool.poll_offer()?;
        Some((ticket, self.name(seat)))
    }

    fn doing(&self, id: &str) -> &'static str {
        self.pool.agent(self.now, id).expect("known").doing.name()
    }
}

#[test]
fn each_strategy_has_its_first_and_of_equals_it_is_who_was_idle_longest_and_then_the_first_by_id() {
    let mut profiles = vec![
        profile("dora", &[("billing", 5)]),
        profile("anna", &[("billing", 9)]),
        profile("ben", &[("billing", 9), ("claims", 2)]),
    ];
    (profiles[0].order, profiles[1].order, profiles[2].order) = (3, 2, 2);
    let mut world = World::of(profiles);
    let first = |world: &mut World, strategy, skills| {
        world.first(Need {
            strategy,
            ..need(skills)
        })
    };
    assert_eq!(first(&mut world, Strategy::LongestIdle, &[]).as_deref(), Some("dora"));
    assert_eq!(
        first(&mut world, Strategy::InOrder, &[]).as_deref(),
        Some("anna"),
        "before ben: longer idle"
    );
    assert_eq!(
        first(&mut world, Strategy::BestSkill, &[("billing", 1)]).as_deref(),
        Some("anna")
    );
    assert_eq!(
        first(&mut world, Strategy::BestSkill, &[("billing", 6), ("claims", 1)]).as_deref(),
        Some("ben")
    );
    assert_eq!(first(&mut world, Strategy::LongestIdle, &[("billing", 10)]), None);
    assert_eq!(first(&mut world, Strategy::LongestIdle, &[("sales", 1)]), None);
    assert_eq!(
        first(&mut world, Strategy::LowestHandleTime, &[]).as_deref(),
        Some("dora"),
        "nobody has had a call"
    );
    assert_eq!([300, 100].map(|time| world.talk(time)), ["dora", "anna"]);
    assert_eq!(
        first(&mut world, Strategy::LowestHandleTime, &[]).as_deref(),
        Some("anna")
    );
    assert_eq!(first(&mut world, Strategy::LongestIdle, &[]).as_deref(), Some("ben"));
    for (id, csat) in [("anna", 3.0), ("dora", 4.5), ("dora", 4.0)] {
        world.pool.rated(id, csat);
    }
    assert_eq!(first(&mut world, Strategy::HighestCsat, &[]).as_deref(), Some("dora"));
    // All the same: by id, in whatever order they came.
    let now = Instant::now();
    let mut pool = Pool::new(now);
    for id in ["c", "a", "b"] {
        pool.put(now, profile(id, &[]), &["support"]).expect("room");
    }
    let mut world = World { now, pool };
    assert_eq!(world.first(need(&[])).as_deref(), Some("a"));
}

#[test]
fn only_what_lies_within_the_last_fifteen_counts() {
    let mut world = World::of(vec![profile("anna", &[])]);
    world.talk(1_000);
    (0..15).for_each(|_| {
        world.talk(10);
    });
    let handle = |world: &World| world.pool.agent(world.now, "anna").expect("known").handle;
    assert_eq!(handle(&world), Some(seconds(10)));
}

#[test]
fn who_is_not_available_or_not_of_the_queue_is_not_called() {
    for presence in [Presence::Busy, Presence::Away, Presence::Offline] {
        let mut world = World::of(vec![Profile {
            presence,
            ..profile("anna", &[])
        }]);
        assert_eq!(world.first(need(&[])), None, "{presence:?}");
        let ticket = world.enter(need(&[]));
        assert_eq!(world.call(ticket), None);
        world.put(profile("anna", &[]));
        assert_eq!(world.offer(), Some((ticket, "anna".to_owned())), "she is there now");
    }
    let mut world = World::of(vec![]);
    world
        .pool
        .put(world.now, profile("anna", &[]), &["sales"])
        .expect("room");
    assert_eq!(world.first(need(&[])), None);
    let mut speaks = profile("ben", &[]);
    speaks.languages.insert("de".to_owned());
    world.put(speaks);
    assert_eq!(
        world.first(need(&[("de", 1)])).as_deref(),
        Some("ben"),
        "a language is a skill"
    );
}

#[test]
fn an_agent_is_called_for_as_many_as_it_takes_and_after_its_wrap_up_for_the_next() {
    let mut anna = profile("anna", &[]);
    anna.calls = 2;
    let mut world = World::of(vec![anna]);
    let wants = Need {
        wrap_up: seconds(30),
        ..need(&[])
    };
    let tickets = [0; 4].map(|_| world.enter(wants.clone()));
    let [first, second] = [0, 1].map(|n: usize| world.call(tickets[n]).expect("anna").0);
    assert_eq!(world.call(tickets[2]), None);
    assert_eq!(world.call(tickets[3]), None);
    assert_eq!(world.doing("anna"), "ringing");
    for (seat, ticket) in [(first, tickets[0]), (second, tickets[1])] {
        world.pool.answered(world.now, seat);
        world.pool.leave(world.now, ticket);
    }
    assert_eq!(world.doing("anna"), "talking");
    world.pass(100);
    world.pool.over(world.now, first);
    world.pool.over(world.now, first);
    world.pass(29);
    assert_eq!(world.offer(), None, "she writes it down");
    world.pass(1);
    assert_eq!(world.offer(), Some((tickets[2], "anna".to_owned())));
    world.pool.over(world.now, second);
    assert_eq!(world.offer(), None);
    world.pass(30);
    assert_eq!(world.offer(), Some((tickets[3], "anna".to_owned())));
    assert_eq!(
        world.pool.agent(world.now, "anna").expect("known").handle,
        Some(seconds(145)),
        "130 and 160"
    );
}

#[test]
fn who_did_not_answer_is_not_called_again_for_the_same_caller_and_for_a_while_for_nobody() {
    let mut world = World::of(vec![profile("anna", &[]), profile("ben", &[])]);
    let ticket = world.enter(need(&[]));
    let (seat, name) = world.call(ticket).expect("somebody");
    assert_eq!(name, "anna");
    world.pool.missed(world.now, seat, true);
    assert_eq!(world.doing("anna"), "set_aside");
    let (seat, name) = world.call(ticket).expect("somebody");
    assert_eq!(name, "ben");
    // Who declines is there.
    world.pool.missed(world.now, seat, false);
    assert_eq!(world.doing("ben"), "available");
    assert_eq!(world.call(ticket), None, "both were tried");
    assert_eq!(world.first(need(&[])).as_deref(), Some("ben"));
    let next = world.enter(need(&[]));
    let (of_ben, _) = world.call(next).expect("ben");
    let third = world.enter(need(&[]));
    assert_eq!(world.call(third), None);
    world.pass(59);
    assert_eq!(world.offer(), None);
    world.pass(1);
    assert_eq!(
        world.offer(),
        Some((third, "anna".to_owned())),
        "not the first one: it was tried"
    );
    world.pool.over(world.now, of_ben);
    // Who says that it is there is.
    let last = world.enter(need(&[]));
    let (seat, _) = world.call(last).expect("ben");
    world.pool.missed(world.now, seat, true);
    world.put(profile("ben", &[]));
    assert_eq!(world.doing("ben"), "available");
}

#[test]
fn others_are_called_for_the_same_caller_each_once_and_let_go_without_blame() {
    let two = Profile {
        calls: 2,
        ..profile("a", &[])
    };
    let mut world = World::of(vec![two, profile("b", &[]), profile("c", &[])]);
    let ticket = world.enter(need(&[]));
    assert_eq!(world.pool.another(ticket), None, "who has nobody yet has nobody else");
    let (first, who) = world.call(ticket).expect("somebody");
    assert_eq!(who, "a");
    let others: Vec<Seat> = std::iter::from_fn(|| world.pool.another(ticket)).collect();
    let names: Vec<_> = others.iter().map(|seat| world.name(*seat)).collect();
    assert_eq!(names, ["b", "c"], "nobody twice");
    world.pool.missed(world.now, first, true);
    assert_eq!(world.pool.another(ticket), None, "nor whoever did not take it");
    world.pool.answered(world.now, others[0]);
    world.pool.over(world.now, others[1]);
    world.pool.leave(world.now, ticket);
    let next = world.enter(need(&[]));
    assert_eq!(world.call(next).expect("one who was let go").1, "c");
}

#[test]
fn the_first_in_line_whom_a_free_agent_can_serve_has_it_and_of_those_the_most_urgent() {
    let mut world = World::of(vec![profile("anna", &[("billing", 5)])]);
    let busy = world.enter(need(&[]));
    let (seat, _) = world.call(busy).expect("anna");
    let urgent = Need {
        priority: 1,
        ..need(&[("billing", 5)])
    };
    let needs = [need(&[("claims", 1)]), need(&[("billing", 5)]), urgent];
    let tickets = needs.map(|need| world.enter(need));
    for ticket in tickets {
        assert_eq!(world.call(ticket), None);
    }
    assert_eq!(
        tickets.map(|ticket| world.pool.place(ticket)),
        [Some(2), Some(3), Some(1)]
    );
    world.pass(5);
    assert_eq!(world.pool.waiting("support"), (3, Some(world.now - seconds(5))));
    assert_eq!(world.pool.waiting("sales"), (0, None));
    world.pool.over(world.now, seat);
    assert_eq!(world.offer(), Some((tickets[2], "anna".to_owned())));
    assert_eq!(tickets.map(|ticket| world.pool.place(ticket)), [Some(1), Some(2), None]);
    // The one that was offered an agent leaves before it is called.
    let ticket = world.enter(need(&[]));
    assert_eq!(world.call(ticket), None);
    world.put(profile("ben", &[]));
    world.pool.leave(world.now, ticket);
    assert_eq!(world.first(need(&[])).as_deref(), Some("ben"));
}

#[test]
fn who_waits_is_told_its_place_times_a_talk_over_those_who_are_there_or_nothing() {
    let mut world = World::of(vec![profile("anna", &[]), profile("ben", &[])]);
    let line = |world: &mut World| {
        let seats = [0; 2].map(|_| {
            let ticket = world.enter(need(&[]));
            let (seat, _) = world.call(ticket).expect("somebody");
            world.pool.answered(world.now, seat);
            world.pool.leave(world.now, ticket);
            seat
        });
        let tickets = [0; 3].map(|_| world.enter(need(&[])));
        for ticket in tickets {
            assert_eq!(world.call(ticket), None);
        }
        (seats, tickets)
    };
    let (seats, tickets) = line(&mut world);
    assert_eq!(
        tickets.map(|ticket| world.pool.expected(ticket)),
        [None; 3],
        "nobody knows"
    );
    seats.into_iter().for_each(|seat| world.pool.over(world.now, seat));
    // 100 s and 300 s on the average 200 s, and two of them.
    let mut fresh = World::of(vec![profile("anna", &[]), profile("ben", &[])]);
    assert_eq!([100, 300].map(|time| fresh.talk(time)), ["anna", "ben"]);
    let (_, tickets) = line(&mut fresh);
    let told = tickets.map(|ticket| fresh.pool.expected(ticket));
    assert_eq!(told, [100, 200, 300].map(|time| Some(seconds(time))));
    fresh.put(Profile {
        presence: Presence::Offline,
        ..profile("ben", &[])
    });
    assert_eq!(fresh.pool.expected(tickets[0]), Some(seconds(100)), "anna alone");
}

#[test]
fn an_agent_that_is_taken_out_ends_its_talk_and_is_called_no_more() {
    let mut world = World::of(vec![profile("anna", &[])]);
    let ticket = world.enter(need(&[]));
    let (seat, _) = world.call(ticket).expect("anna");
    world.pool.answered(world.now, seat);
    world.pool.leave(world.now, ticket);
    assert!(world.pool.remove("anna"));
    assert!(!world.pool.remove("anna"));
    assert_eq!(world.pool.agents(world.now).count(), 0);
    world.pool.over(world.now, seat);
    assert_eq!((world.first(need(&[])), world.pool.alive()), (None, (0, 0)));
    world.put(profile("ben", &[]));
    assert_eq!(world.pool.agents.len(), 1, "in her place");
    assert_eq!(world.first(need(&[])).as_deref(), Some("ben"));
}

#[test]
fn a_pool_is_bounded_and_names_that_nobody_has_are_forgotten() {
    let mut world = World::of(vec![]);
    let skills: Vec<_> = (0..NAMES - 1).map(|n| format!("skill {n}")).collect();
    let all: Vec<_> = skills.iter().map(|name| (&**name, 1)).collect();
    world.put(profile("anna", &all));
    assert_eq!(
        world
            .pool
            .put(world.now, profile("ben", &[("one more", 1)]), &["support"]),
        Err(Full::Names)
    );
    world.put(profile("anna", &[]));
    world.put(profile("ben", &[("one more", 1)]));
    assert_eq!(world.first(need(&[("one more", 1)])).as_deref(), Some("ben"));
    for n in 0..AGENTS - 2 {
        world.put(profile(&n.to_string(), &[]));
    }
    assert_eq!(world.pool.put(world.now, profile("z", &[]), &[]), Err(Full::Agents));
    world.put(profile("anna", &[]));
}

/// What may happen.
#[derive(Clone, Debug)]
enum Step {
    Put(u8, u8, u8, bool),
    Remove(u8),
    Enter(u8, u8),
    Answer(u8),
    Miss(u8, bool),
    Over(u8),
    Leave(u8),
    Pass(u8),
}

fn step() -> impl proptest::strategy::Strategy<Value = Step> {
    prop_oneof![
        (0u8..6, 0u8..8, 1u8..3, any::<bool>())
            .prop_map(|(id, skills, calls, there)| Step::Put(id, skills, calls, there)),
        (0u8..6).prop_map(Step::Remove),
        (0u8..8, 0u8..3).prop_map(|(skills, priority)| Step::Enter(skills, priority)),
        (0u8..6).prop_map(Step::Answer),
        (0u8..6, any::<bool>()).prop_map(|(at, absent)| Step::Miss(at, absent)),
        (0u8..6).prop_map(Step::Over),
        (0u8..6).prop_map(Step::Leave),
        (1u8..40).prop_map(Step::Pass),
    ]
}

/// The skills of a number: those of its bits.
fn of_bits(bits: u8) -> Vec<(&'static str, u8)> {
    let names = ["billing", "claims", "de"];
    (0..3)
        .filter(|bit| bits & (1 << bit) != 0)
        .map(|bit| (names[bit], 1))
        .collect()
}

impl World {
    /// Whether this one could be called for that caller now.
    fn could(&self, id: &str, ticket: Ticket) -> bool {
        let slot = self.pool.by_id[id];
        let (agent, caller) = (
            self.pool.agents[slot].as_ref().expect("known"),
            &self.pool.callers[&ticket],
        );
        let has = |(name, level): &(String, u8)| agent.profile.skills.get(name).is_some_and(|has| has >= level);
        let seats = self.pool.seats.values().filter(|kept| kept.agent == slot).count();
        let there = !agent.gone && agent.profile.presence == Presence::Available && agent.aside.is_none();
        there
            && seats < usize::from(agent.profile.calls)
            && caller.need.skills.iter().all(has)
            && !caller.tried.contains(&(slot, agent.number))
    }

    /// What an agent does, by all its seats.
    fn does(&self, slot: usize, agent: &Agent) -> Doing {
        let mine = || self.pool.seats.values().filter(|kept| kept.agent == slot);
        match agent.profile.presence {
            _ if mine().any(|kept| matches!(kept.state, State::Talking(_))) => Doing::Talking,
            _ if mine().any(|kept| kept.state == State::Ringing) => Doing::Ringing,
            _ if mine().next().is_some() => Doing::WrapUp,
            Presence::Available if agent.aside.is_some() => Doing::SetAside,
            presence => Doing::Present(presence),
        }
    }

    fn check(&self) -> Result<(), TestCaseError> {
        let mut told: Vec<_> = self.pool.doings("support").map(Doing::name).collect();
        let mut are: Vec<_> = self.pool.agents(self.now).map(|view| view.doing.name()).collect();
        told.sort_unstable();
        are.sort_unstable();
        prop_assert_eq!(told, are);
        for (id, slot) in &self.pool.by_id {
            let agent = self.pool.agents[*slot].as_ref().expect("known");
            let seats = self.pool.seats.values().filter(|kept| kept.agent == *slot).count();
            prop_assert_eq!(usize::from(agent.seats), seats);
            if let Some(view) = self.pool.agent(self.now, id) {
                prop_assert_eq!(view.doing, self.does(*slot, agent), "{}", id);
            }
            for ticket in self.pool.callers.keys() {
                let waits = self.pool.callers[ticket].waits;
                prop_assert!(!waits || !self.could(id, *ticket), "{} could serve {:?}", id, ticket);
            }
        }
        Ok(())
    }
}

proptest! {
    #[test]
    fn nobody_waits_while_somebody_who_could_serve_is_free_and_nobody_has_more_calls_than_it_takes(
        steps in prop::collection::vec(step(), 1..120),
    ) {
        let mut world = World::of(vec![]);
        let (mut tickets, mut seats): (Vec<Ticket>, Vec<Seat>) = Default::default();
        for step in steps {
            let at = |n: u8, len: usize| (len > 0).then(|| usize::from(n) % len);
            match step {
                Step::Put(id, skills, calls, there) => {
                    let presence = if there { Presence::Available } else { Presence::Away };
                    let profile = profile(&format!("agent {id}"), &of_bits(skills));
                    world.put(Profile { presence, calls, ..profile });
                }
                Step::Remove(id) => {
                    world.pool.remove(&format!("agent {id}"));
                }
                Step::Enter(skills, priority) => {
                    let wrap_up = seconds(u64::from(skills % 2) * 20);
                    let ticket = world.enter(Need { priority, wrap_up, ..need(&of_bits(skills)) });
                    // More calls than it takes: said by its own profile, before it is called for one more.
                    let could: Vec<_> = world.pool.by_id.keys().filter(|id| world.could(id, ticket)).cloned().collect();
                    let found = world.call(ticket);
                    prop_assert_eq!(found.is_some(), !could.is_empty());
                    if let Some((seat, name)) = found {
                        prop_assert!(could.contains(&name));
                        seats.push(seat);
                    }
                    tickets.push(ticket);
                }
                Step::Answer(n) => if let Some(at) = at(n, seats.len()) {
                    world.pool.answered(world.now, seats[at]);
                },
                Step::Miss(n, absent) => if let Some(at) = at(n, seats.len()) {
                    let seat = seats.swap_remove(at);
                    world.pool.missed(world.now, seat, absent);
                },
                Step::Over(n) => if let Some(at) = at(n, seats.len()) {
                    let seat = seats.swap_remove(at);
                    world.pool.over(world.now, seat);
                },
                Step::Leave(n) => if let Some(at) = at(n, tickets.len()) {
                    let ticket = tickets.swap_remove(at);
                    world.pool.leave(world.now, ticket);
                },
                Step::Pass(time) => world.pass(u64::from(time)),
            }
            while let Some((ticket, seat)) = world.pool.poll_offer() {
                prop_assert!(tickets.contains(&ticket), "who left is offered nobody");
                seats.push(seat);
            }
            world.check()?;
        }
        // Everybody's talks end: whoever can be served at all is, in the end.
        for _ in 0..tickets.len() + seats.len() + 1 {
            seats.drain(..).for_each(|seat| world.pool.over(world.now, seat));
            world.pass(100);
            while let Some((_, seat)) = world.pool.poll_offer() {
                seats.push(seat);
            }
            world.check()?;
        }
        prop_assert!(seats.is_empty());
        for ticket in &tickets {
            prop_assert!(!world.pool.by_id.keys().any(|id| world.could(id, *ticket)) || !world.pool.callers[ticket].waits);
        }
        tickets.iter().for_each(|ticket| world.pool.leave(world.now, *ticket));
        prop_assert_eq!(world.pool.alive(), (0, 0));
    }
}
