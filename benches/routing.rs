//! Whom a caller is connected with, of 5,000 human agents: whoever fits, where all do, few do, and nobody does. And what it takes to
//! tell what 10,000 do, while calls wait for it.
//!
//! `cargo bench -p baton-benches --bench routing`

use std::hint::black_box;
use std::time::{Duration, Instant};

use criterion::{Criterion, criterion_group, criterion_main};
use playbook::routing::{Doing, Need, Pool, Presence, Profile, Strategy};

const AGENTS: usize = 5_000;

/// A full pool, and the queues that share it.
const ALL: usize = 10_000;
const QUEUES: usize = 20;

/// Each speaks two of ten languages and has four of forty skills, and `everything`.
fn pool(now: Instant, agents: usize, queue: impl Fn(usize) -> String) -> Pool {
    let mut pool = Pool::new(now);
    for n in 0..agents {
        let skills = (0..4).map(|skill| (format!("skill {}", (n * 7 + skill * 11) % 40), (n % 10) as u8 + 1));
        let languages = (0..2).map(|language| format!("language {}", (n + language * 3) % 10));
        let profile = Profile {
            id: format!("agent-{:05}", n * 7_919 % agents),
            name: String::new(),
            uri: format!("sip:{n}@192.0.2.1"),
            skills: skills.chain([("everything".to_owned(), 1)]).collect(),
            languages: languages.collect(),
            presence: Presence::Available,
            calls: 1,
            order: (n % 3) as u16,
        };
        pool.put(now, profile, &[&queue(n)]).expect("there is room");
    }
    pool
}

fn need(skills: &[(&str, u8)], strategy: Strategy) -> Need {
    Need {
        queue: "support".to_owned(),
        skills: skills
            .iter()
            .map(|(name, level)| ((*name).to_owned(), *level))
            .collect(),
        strategy,
        priority: 0,
        wrap_up: Duration::ZERO,
        set_aside: Duration::ZERO,
    }
}

/// One decision: the caller enters, somebody is kept for it or it waits, and all is as before.
fn choosing(criterion: &mut Criterion) {
    let now = Instant::now();
    let mut pool = pool(now, AGENTS, |_| "support".to_owned());
    let all: &[(&str, u8)] = &[("everything", 1)];
    let cases = [
        ("all fit, longest idle", all, Strategy::LongestIdle),
        ("all fit, in order", all, Strategy::InOrder),
        ("all fit, lowest handle time", all, Strategy::LowestHandleTime),
        ("all fit, highest csat", all, Strategy::HighestCsat),
        ("all fit, best skill", all, Strategy::BestSkill),
        (
            "few fit, best skill",
            &[("skill 7", 5), ("skill 18", 5), ("language 8", 1)],
            Strategy::BestSkill,
        ),
        ("nobody fits", &[("everything", 2)], Strategy::BestSkill),
    ];
    for (name, skills, strategy) in cases {
        criterion.bench_function(&format!("one of 5,000 agents: {name}"), |bencher| {
            bencher.iter(|| {
                let ticket = pool.enter(now, need(black_box(skills), strategy));
                let seat = pool.call(now, ticket);
                assert_eq!(seat.is_some(), name != "nobody fits");
                if let Some(seat) = seat {
                    pool.over(now, seat);
                }
                pool.leave(now, ticket);
            });
        });
    }
}

/// What all agents do, queue by queue, and a page of who they are: as many talk as here is written.
fn telling(criterion: &mut Criterion) {
    let now = Instant::now();
    let name = |queue: usize| format!("queue {}", queue % QUEUES);
    for talking in [0, 4_000] {
        let mut pool = pool(now, ALL, name);
        for n in 0..talking {
            let ticket = pool.enter(
                now,
                Need {
                    queue: name(n),
                    ..need(&[], Strategy::LongestIdle)
                },
            );
            let seat = pool.call(now, ticket).expect("somebody is free");
            pool.answered(now, seat);
            pool.leave(now, ticket);
        }
        criterion.bench_function(
            &format!("what 10,000 agents of 20 queues do, {talking} talk"),
            |bencher| {
                bencher.iter(|| {
                    let talks = |queue| {
                        pool.doings(&name(queue))
                            .filter(|doing| *doing == Doing::Talking)
                            .count()
                    };
                    assert_eq!((0..QUEUES).map(talks).sum::<usize>(), talking);
                });
            },
        );
        criterion.bench_function(&format!("500 of 10,000 agents, {talking} talk"), |bencher| {
            bencher.iter(|| {
                let page = pool.agents_after(now, black_box("agent-05000")).take(500);
                page.map(|view| view.profile.clone()).collect::<Vec<_>>()
            });
        });
    }
}

criterion_group!(benches, choosing, telling);
criterion_main!(benches);
