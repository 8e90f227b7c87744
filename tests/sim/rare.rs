//! Calls that are written for pairs of state and input that chance seldom brings: each needs several things at once, as a
//! worker that is late in the next handoff.

use std::time::Duration;

use calls::node::Pair;
use playbook::routing::Presence;
use playbook::{Accept, AiGone, Mode};

use crate::World;
use crate::scenario::{Aim, Also, Behaviour, Line, Router, Scenario, When};
use crate::ua::{Afterwards, Answering, Referred};
use crate::world::Who;

/// A call, and the pairs that it is written for.
#[derive(Clone, Debug)]
pub struct Rare {
    /// The call.
    pub call: Scenario,
    /// What must come up in it.
    pub pairs: Vec<Pair>,
}

/// Plays a call to its end: what was wrong with it, and the pairs that came up.
pub fn play(call: Scenario) -> (Vec<String>, Vec<Pair>) {
    let mut world = World::new(call);
    world.node.observe();
    world.run_to_the_end();
    (world.faults(), world.node.observed())
}

const fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// This long after the first join.
const fn joined(after: u64) -> When {
    When::After("joined", ms(after))
}

/// The call is with a human who at once hands on to another, by REFER; the other one behaves so, and accepts by API.
/// Further things happen, by the time since the first join.
fn handed_on(seed: u64, other: Answering, evidence: Duration, happens: &[(u64, Also)]) -> Scenario {
    let refer = Also::Refer(Who::Human(0), Aim::Target(1), Afterwards::Stays);
    let happens = happens.iter().map(|(after, what)| (joined(*after), *what));
    Scenario {
        // The handoff that is asked for; a REFER that says nothing of it is warm.
        mode: Some(Mode::Cold),
        accept: Accept::Api,
        humans: vec![Behaviour::not(Answering::After(ms(1000))), Behaviour::not(other)],
        waits: [ms(2000), evidence, ms(30_000)],
        also: [(joined(20), refer)].into_iter().chain(happens).collect(),
        ..Scenario::warm(seed)
    }
}

/// The same on a trunk whose carrier answers no REFER; the next handoff is asked for by API.
fn referred_on(seed: u64, evidence: Duration, happens: &[(u64, Also)]) -> Scenario {
    let mut call = handed_on(seed, Answering::After(ms(100)), evidence, happens);
    (call.refer, call.carrier) = (true, Referred::Ignores);
    call.also[0] = (joined(20), Also::Handoff);
    call
}

/// The evidence of the first handoff is waited for in vain, and its wait is over in the second.
fn lose(mut call: Scenario) -> Scenario {
    call.also.push((When::At(Duration::ZERO), Also::LoseEvidence));
    call
}

/// The first human's first word is under way to the node while the second handoff goes on.
fn hush(mut call: Scenario) -> Scenario {
    call.quiet_humans = true;
    let hush = [Also::Hush(ms(600)), Also::Speak(0)].map(|what| (joined(0), what));
    // The next handoff closes the window.
    call.also[0].0 = joined(100);
    call.also.extend(hush);
    call
}

/// Each join waits a second for what is never told.
fn gated(mut call: Scenario) -> Scenario {
    call.gates[0] = ms(1000);
    call
}

/// The second handoff is asked for by API, and to nobody in particular.
fn again(mut call: Scenario) -> Scenario {
    call.also[0].1 = Also::Handoff;
    call
}

/// Somebody is asked where the caller goes, and says nothing for long.
fn asking(mut call: Scenario) -> Scenario {
    call.router = Some(Router {
        bound: ms(5000),
        after: ms(9000),
        turns: true,
    });
    call
}

/// This target is a queue, whose only agent is there or not.
fn lined(mut call: Scenario, target: usize, agent: Presence, max_wait: u64) -> Scenario {
    call.line = Some(Line {
        target,
        agents: vec![agent],
        phones: Vec::new(),
        at_once: 1,
        max_wait: ms(max_wait),
        wrap_up: ms(0),
        set_aside: ms(0),
    });
    call
}

/// All of them.
pub fn calls() -> Vec<Rare> {
    let soon = Answering::After(ms(100));
    let late = Answering::After(ms(2000));
    let lost = |seed, other, happens: &[(u64, Also)]| lose(handed_on(seed, other, ms(1000), happens));
    let hushed = |seed, other, happens: &[(u64, Also)]| hush(handed_on(seed, other, ms(15_000), happens));
    // It is said again every 10 s.
    let told = |seed, human| Scenario {
        estimate: Some(ms(10_000)),
        took: vec![ms(100_000); 3],
        ring: ms(25_000),
        end: ms(45_000),
        ..Scenario::failing(seed, Behaviour::not(human))
    };
    let rare = |call, pairs: &[Pair]| Rare {
        call,
        pairs: pairs.to_vec(),
    };
    vec![
        rare(lost(1, Answering::Dead, &[]), &[("inviting", "evidence over")]),
        rare(lost(2, soon, &[(2000, Also::Accept)]), &[("briefing", "evidence over")]),
        rare(
            lost(3, soon, &[(650, Also::Stall(ms(800))), (700, Also::Accept)]),
            &[("joining", "evidence over")],
        ),
        rare(
            lost(4, soon, &[(650, Also::Stall(ms(800))), (700, Also::Decline)]),
            &[("returning", "evidence over")],
        ),
        rare(
            lose(referred_on(5, ms(1000), &[(1500, Also::Cancel)])),
            &[("referring", "evidence over")],
        ),
        rare(hushed(6, late, &[(3000, Also::Accept)]), &[("ringing", "first word")]),
        rare(hushed(7, soon, &[(1500, Also::Accept)]), &[("briefing", "first word")]),
        rare(
            hushed(8, soon, &[(400, Also::Accept)]),
            &[("joining", "first word"), ("joining", "evidence")],
        ),
        rare(
            hushed(9, Answering::Refuse(486), &[(130, Also::HangUp(Who::Human(0)))]),
            &[("goodbye", "first word")],
        ),
        rare(
            hush(referred_on(10, ms(15_000), &[(1500, Also::Cancel)])),
            &[("referring", "first word")],
        ),
        // The first handoff is the AI's REFER, which is warm: the carrier is asked in the second only.
        rare(
            {
                let mut call = hush(referred_on(11, ms(15_000), &[(300, Also::HangUp(Who::Caller))]));
                let refer = Also::Refer(Who::Ai, Aim::Target(0), Afterwards::Stays);
                call.handoff_at = None;
                call.also.push((When::At(ms(3000)), refer));
                call.also.push((When::After("answered", ms(500)), Also::Accept));
                call
            },
            &[("referred", "first word")],
        ),
        // The announcement is over while the node does not hear of it, and then the caller is gone.
        rare(
            Scenario {
                mode: Some(Mode::Cold),
                refer: true,
                carrier: Referred::Ignores,
                waits: [5000, 15_000, 30_000].map(ms),
                also: vec![
                    (When::After("requested", ms(1900)), Also::Hush(ms(600))),
                    (When::After("requested", ms(2200)), Also::HangUp(Who::Caller)),
                ],
                ..Scenario::warm(12)
            },
            &[("referred", "played")],
        ),
        rare(
            lost(
                13,
                Answering::RingOn,
                &[(500, Also::HangUp(Who::Human(0))), (550, Also::Decline)],
            ),
            &[("goodbye", "evidence over")],
        ),
        // The human speaks at once, and the table of the join without the AI is refused late.
        rare(
            Scenario {
                also: vec![(joined(0), Also::Stall(ms(200))), (joined(0), Also::MediaRefuses)],
                ..Scenario::warm(14)
            },
            &[("handed_off", "media failed")],
        ),
        // The worker takes no command any more.
        rare(
            Scenario {
                quiet_humans: true,
                also: vec![(joined(0), Also::Stall(ms(3000)))],
                ..Scenario::warm(15)
            },
            &[("joined", "media silent")],
        ),
        rare(
            Scenario {
                humans: vec![Behaviour::not(Answering::RingOn)],
                ring: ms(2000),
                also: vec![
                    (When::After("ringing", ms(1000)), Also::HangUp(Who::Ai)),
                    (When::After("target_failed", Duration::ZERO), Also::Stall(ms(3000))),
                ],
                ..Scenario::warm(16)
            },
            &[("goodbye", "media silent")],
        ),
        // The human is heard, and gone before the node hears of it: the return is told first.
        rare(
            Scenario {
                humans: vec![Behaviour {
                    hang_up: Some(ms(300)),
                    ..Behaviour::not(Answering::After(ms(1000)))
                }],
                also: vec![(When::After("accepted", Duration::ZERO), Also::Full(ms(450)))],
                ..Scenario::cold(17)
            },
            &[("returned", "first word")],
        ),
        rare(
            Scenario {
                also: vec![(When::After("accepted", Duration::ZERO), Also::Stall(ms(30_000)))],
                end: ms(60_000),
                ..Scenario::warm(20)
            },
            &[("joining", "media silent")],
        ),
        rare(
            hushed(21, Answering::RingOn, &[(300, Also::HangUp(Who::Caller))]),
            &[("ending", "first word")],
        ),
        // A human who answers, accepts and sends nothing.
        rare(
            Scenario {
                accept: Accept::Api,
                also: vec![
                    (When::After("answered", Duration::ZERO), Also::Mute(Who::Human(0))),
                    (When::After("answered", ms(500)), Also::Accept),
                ],
                ..Scenario::warm(22)
            },
            &[("joining", "target silent")],
        ),
        // A human who presses more keys than one, before the join is in force.
        rare(
            Scenario {
                also: vec![
                    (When::After("accepted", Duration::ZERO), Also::Stall(ms(1400))),
                    (When::After("accepted", ms(300)), Also::Press(Who::Human(0), '1')),
                    (When::After("accepted", ms(800)), Also::Press(Who::Human(0), '7')),
                ],
                ..Scenario::warm(18)
            },
            &[("joining", "key 1"), ("joining", "other key")],
        ),
        rare(
            Scenario {
                reach: ms(1300),
                also: vec![(When::After("accepted", Duration::ZERO), Also::Stall(ms(700)))],
                ..Scenario::cold(19)
            },
            &[("joining", "reach over")],
        ),
        // The second join waits for the context while the first one's word and evidence are waited for.
        rare(
            gated(lost(25, soon, &[(400, Also::Accept)])),
            &[("gated", "evidence over")],
        ),
        rare(
            gated(hushed(26, soon, &[(400, Also::Accept)])),
            &[("gated", "first word"), ("gated", "evidence")],
        ),
        // A handoff that was taken back, and another one after whose join the AI stays.
        rare(
            lose(Scenario {
                humans: vec![Behaviour {
                    key: Some((ms(500), '1')),
                    ..Behaviour::not(Answering::After(ms(1000)))
                }],
                waits: [ms(30_000), ms(4000), ms(30_000)],
                ai_stays: ms(5000),
                mixers: 4,
                also: vec![
                    (When::After("ringing", ms(100)), Also::Cancel),
                    (When::After("returned", ms(100)), Also::Handoff),
                ],
                ..Scenario::warm(27)
            }),
            &[("introducing", "evidence over")],
        ),
        // The second handoff waits in line.
        rare(
            lined(lost(28, soon, &[]), 1, Presence::Busy, 5000),
            &[("queued", "evidence over")],
        ),
        rare(
            lined(hushed(29, soon, &[]), 1, Presence::Busy, 5000),
            &[("queued", "first word"), ("queued", "evidence")],
        ),
        rare(
            lined(
                Scenario {
                    also: vec![(When::After("queued", Duration::ZERO), Also::Stall(ms(30_000)))],
                    ..Scenario::warm(30)
                },
                0,
                Presence::Busy,
                20_000,
            ),
            &[("queued", "media silent")],
        ),
        rare(
            lined(
                Scenario {
                    also: vec![(When::After("queued", Duration::ZERO), Also::MediaRefuses)],
                    ..Scenario::warm(31)
                },
                0,
                Presence::Busy,
                20_000,
            ),
            &[("queued", "media failed")],
        ),
        rare(
            lined(
                Scenario {
                    also: vec![(When::After("accepted", Duration::ZERO), Also::Stall(ms(700)))],
                    ..Scenario::cold(32)
                },
                0,
                Presence::Available,
                1300,
            ),
            &[("joining", "max_wait over")],
        ),
        rare(
            gated(lined(Scenario::warm(33), 0, Presence::Available, 3500)),
            &[("gated", "max_wait over")],
        ),
        // The AI to whom the caller was given back is lost, which takes longer than evidence does.
        rare(
            lose(Scenario {
                ai_gone: AiGone::Human,
                humans: vec![Behaviour::not(Answering::Refuse(486))],
                waits: [ms(30_000), ms(90_000), ms(30_000)],
                also: vec![(When::After("returned", ms(100)), Also::Vanish(Who::Ai))],
                end: ms(110_000),
                ..Scenario::warm(34)
            }),
            &[("returned", "ai lost")],
        ),
        // Somebody is asked where the caller of the second handoff goes.
        rare(asking(again(lost(39, soon, &[]))), &[("routing", "evidence over")]),
        rare(
            asking(again(hushed(40, soon, &[]))),
            &[("routing", "first word"), ("routing", "evidence")],
        ),
        rare(
            asking(Scenario {
                also: vec![(When::After("asked", Duration::ZERO), Also::Stall(ms(30_000)))],
                ..Scenario::warm(41)
            }),
            &[("routing", "media silent")],
        ),
        rare(
            asking(Scenario {
                also: vec![(When::After("asked", Duration::ZERO), Also::MediaRefuses)],
                ..Scenario::warm(42)
            }),
            &[("routing", "media failed")],
        ),
        // A caller who is called back: what may go wrong before it answers.
        rare(
            Scenario {
                called_back: Some(Answering::RingOn),
                ..Scenario::warm(35)
            },
            &[("calling", "caller_answer over")],
        ),
        rare(
            Scenario {
                called_back: Some(Answering::RingOn),
                also: vec![(When::At(ms(2000)), Also::EndCall)],
                ..Scenario::warm(36)
            },
            &[("calling", "hang up")],
        ),
        rare(
            Scenario {
                called_back: Some(late),
                also: vec![(When::At(Duration::ZERO), Also::MediaRefuses)],
                ..Scenario::warm(37)
            },
            &[("calling", "media failed")],
        ),
        rare(
            Scenario {
                called_back: Some(Answering::After(ms(9000))),
                also: vec![(When::At(Duration::ZERO), Also::Stall(ms(30_000)))],
                end: ms(40_000),
                ..Scenario::warm(38)
            },
            &[("calling", "media silent")],
        ),
        rare(told(23, Answering::Dead), &[("inviting", "wait estimate")]),
        rare(told(24, Answering::RingOn), &[("ringing", "wait estimate")]),
    ]
}
