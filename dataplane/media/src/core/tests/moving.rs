//! A session that goes from core to core.

use super::*;
use crate::command::{Watch, WindowId};

/// Caller and human talk, in a window of evidence.
fn talk() -> Rig {
    let mut rig = Rig::with(config());
    rig.talk(CALLER, 0, LOUD);
    rig.talk(HUMAN, 5, LOUD);
    rig.set(SessionSpec {
        legs: [leg(CALLER, hears(HUMAN)), leg(HUMAN, hears(CALLER))]
            .into_iter()
            .collect(),
        watch: Some(Watch {
            window: WindowId(7),
            first_word_of: None,
        }),
    });
    rig
}

#[test]
fn a_line_and_its_evidence_go_on_across_every_move() {
    let mut rig = talk();
    for ms in 0..200 {
        rig.run(ms % 23);
        rig.hop();
    }
    rig.run(100);
    for listener in [CALLER, HUMAN] {
        assert_unbroken(&rig.heard(listener), 25 * MS);
    }
    rig.end();
    let (sent, talked) = (rig.sent.clone(), rig.talked);
    let told = rig.events.iter().find_map(|(_, event)| match event {
        Event::Evidence { window, listeners, .. } => Some((*window, listeners.clone())),
        _ => None,
    });
    let (window, listeners) = told.expect("the window was open through all of it");
    assert_eq!((window, listeners.len()), (WindowId(7), 2));
    let measured: u64 = listeners.iter().map(|(_, evidence)| evidence.sent).sum();
    assert_eq!(measured, sent.len() as u64);
    for (_, evidence) in &listeners {
        assert_eq!(
            (evidence.lost, evidence.sequence_breaks, evidence.timestamp_breaks),
            (0, 0, 0)
        );
    }
    // What either core counts is what went through it.
    let [here, there] = [rig.core.counters(), rig.away.counters()];
    assert_eq!(here.received + there.received, talked);
    assert!(here.received > 0 && there.received > 0);
    assert_conserved(&mut rig);
    assert_eq!(rig.away.alive(), Alive::default());
}

#[test]
fn a_prompt_keeps_its_position() {
    let play = |hops: bool| {
        let mut rig = Rig::with(config());
        rig.set(SessionSpec {
            legs: [leg(CALLER, plays(1, &[BRIEF, HOLD], false))].into_iter().collect(),
            watch: None,
        });
        for _ in 0..100 {
            rig.run(20);
            if hops {
                rig.hop();
            }
        }
        let played: Vec<_> = rig
            .events
            .iter()
            .filter_map(|(at, event)| matches!(event, Event::Played { .. }).then_some(*at))
            .collect();
        // The frames of the prompt: what follows is comfort noise, of which each core has its own.
        let heard: Vec<_> = rig
            .heard(CALLER)
            .into_iter()
            .take(75)
            .map(|sent| (sent.at, sent.bytes))
            .collect();
        (heard, played)
    };
    let (stayed, moved) = (play(false), play(true));
    assert_eq!(stayed.1.len(), 2);
    assert_eq!(stayed, moved);
}

#[test]
fn what_was_not_told_yet_is_told_where_it_is_now() {
    let mut rig = talk();
    rig.run(100);
    rig.events.clear();
    let now = rig.instant();
    let spec = SessionSpec {
        legs: [leg(CALLER, nobody()), leg(HUMAN, nobody())].into_iter().collect(),
        watch: None,
    };
    let command = Command::Set {
        session: CALL,
        generation: Generation(9),
        spec,
    };
    // Nobody fetches what it says.
    rig.core.handle_command(now, command);
    rig.hop();
    assert_eq!(rig.away.poll_event(), None);
    rig.drain();
    let told: Vec<_> = rig.events.iter().map(|(_, event)| event).collect();
    assert!(
        matches!(
            told[..],
            [
                Event::Applied {
                    generation: Generation(9),
                    ..
                },
                Event::Evidence { .. }
            ]
        ),
        "{told:?}"
    );
}

#[test]
fn a_state_that_waits_goes_on_waiting() {
    for comes in [true, false] {
        let mut rig = Rig::with(config());
        rig.talk(CALLER, 0, LOUD);
        rig.set(SessionSpec {
            legs: [leg(CALLER, nobody()), leg(HUMAN, nobody())].into_iter().collect(),
            watch: None,
        });
        let generation = rig.set(SessionSpec {
            legs: [leg(CALLER, awaits(HUMAN, 300)), leg(HUMAN, hears(CALLER))]
                .into_iter()
                .collect(),
            watch: None,
        });
        rig.run(100);
        rig.hop();
        if comes {
            rig.talk(HUMAN, 10, LOUD);
        }
        rig.run(400);
        assert_eq!(rig.applied(generation), comes.then_some(110 * MS));
        assert_eq!(rig.refused_silent(generation), (!comes).then_some(300 * MS));
    }
}

#[test]
fn a_core_without_room_expects_nobody() {
    let mut rig = Rig::with(config());
    let mut full = Core::new(
        Config {
            sessions: 2,
            pairs: 4,
            guests: 15,
            ..config()
        },
        rig.start,
    );
    // Each may bring eight legs.
    assert!(full.expect() && full.expect());
    assert!(!full.expect(), "it holds two sessions");
    full.expect_no_more();
    let now = rig.instant();
    let set = |session: u64| Command::Set {
        session: SessionId(session),
        generation: Generation(1),
        spec: SessionSpec {
            legs: [leg(LegId(session as u16), nobody())].into_iter().collect(),
            watch: None,
        },
    };
    full.handle_command(now, set(1));
    full.handle_command(now, set(2));
    let told: Vec<_> = std::iter::from_fn(|| full.poll_event()).collect();
    assert!(
        told.iter().any(|event| matches!(
            event,
            Event::Refused {
                session: SessionId(2),
                reason: Refusal::NoSession,
                ..
            }
        )),
        "the place is kept: {told:?}"
    );
    full.expect_no_more();
    full.handle_command(now, set(2));
    assert_eq!(full.counters().sessions, 2);
    // Nor where there is no such session.
    let mut parcel = Parcel::default();
    assert_eq!(rig.core.depart(CALL, &mut parcel), Departure::Unknown);
    assert!(parcel.is_empty());
}

#[test]
fn the_ports_go_with_the_session_and_stay_there() {
    let mut rig = talk();
    rig.hop();
    // These were the first core's; now it knows nothing of them.
    let now = rig.instant();
    let spec = SessionSpec {
        legs: [leg(CALLER, nobody())].into_iter().collect(),
        watch: None,
    };
    let again = Command::Set {
        session: SessionId(2),
        generation: Generation(1),
        spec: spec.clone(),
    };
    rig.away.handle_command(now, again.clone());
    assert!(matches!(
        rig.away.poll_event(),
        Some(Event::Refused {
            reason: Refusal::Port,
            ..
        })
    ));
    rig.end();
    rig.core.handle_command(now, again);
    assert!(matches!(rig.core.poll_event(), Some(Event::Applied { .. })));
}

#[test]
fn the_ports_of_a_state_that_waits_are_the_session_s_too() {
    let mut rig = Rig::with(config());
    let legs = |ids: [u16; 4], first: Hears| {
        let mut legs: ArrayVec<_, 4> = ids.into_iter().map(|id| leg(LegId(id), nobody())).collect();
        legs[0].hears = first;
        SessionSpec { legs, watch: None }
    };
    rig.set(legs([0, 1, 2, 3], nobody()));
    rig.set(legs([4, 5, 6, 7], awaits(LegId(5), 100)));
    let ports: Vec<_> = rig.core.ports(CALL).into_iter().collect();
    assert_eq!(ports, (0..8).map(|id| port(LegId(id))).collect::<Vec<_>>());
}
