//! The ways in which shipping systems are known to break a transfer, one test for each that is not another file's
//! subject: judged by what every party heard. The whole list, with the names of all its tests: `controlplane/README.md`.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use calls::notice::{End, Outcome, Reason};
use calls::request::Request;
use playbook::Accept;
use playbook::context::{Role, Turn};
use sim::net::Profile;
use sim::scenario::{Aim, Also, Behaviour, Offer, When};
use sim::ua::{Afterwards, Answering, Referred, State};
use sim::world::{Sent, Who};
use sim::{Scenario, Sound, World};
use sip::sdp::{Direction, Encoding};

const SECOND: Duration = Duration::from_secs(1);
const HUMAN: Who = Who::Human(0);
const JOINED: Option<(End, Outcome, Option<Reason>)> = Some((End::Completed, Outcome::Joined, None));

fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

/// A human who answers after a second and presses nothing.
fn undecided() -> Behaviour {
    Behaviour {
        key: None,
        ..Behaviour::GOOD
    }
}

fn sent_to(world: &World, who: Who) -> Vec<&Sent> {
    world.sent.iter().filter(|sent| sent.to == who).collect()
}

/// When a party was first sent this.
#[track_caller]
fn first(world: &World, who: Who, sound: Sound) -> Instant {
    let sent = sent_to(world, who);
    let found = sent.iter().find(|sent| sent.sound == Some(sound));
    found.unwrap_or_else(|| panic!("{who:?} never heard {sound:?}")).at
}

/// All that a party was ever sent.
fn sounds(world: &World, who: Who) -> BTreeSet<Sound> {
    sent_to(world, who).iter().filter_map(|sent| sent.sound).collect()
}

/// The keys that reached a party, each once, by the events' timestamps.
fn keys(world: &World, who: Who) -> Vec<u8> {
    let digits = sent_to(world, who).into_iter().filter(|sent| sent.sound.is_none());
    let mut keys: Vec<(u32, u8)> = digits
        .map(|sent| (sent.packet.timestamp, sent.packet.payload[0]))
        .collect();
    keys.dedup();
    keys.into_iter().map(|(_, event)| event).collect()
}

/// The AI sends REFER after three seconds.
fn by_refer(seed: u64, afterwards: Afterwards) -> Scenario {
    Scenario {
        handoff_at: None,
        also: vec![(When::At(3 * SECOND), Also::Refer(Who::Ai, Aim::Target(0), afterwards))],
        ..Scenario::warm(seed)
    }
}

// --- The caller leaves ---

#[test]
fn the_phone_stops_ringing_when_the_caller_hangs_up() {
    let world = World::run(Scenario {
        humans: vec![Behaviour::not(Answering::RingOn)],
        caller_hangs_up: Some(5 * SECOND),
        ..Scenario::warm(700)
    });
    world.assert_no_faults();
    let (caller, human) = (world.caller.ended.unwrap(), world.humans[0].ended.unwrap());
    assert!(human - caller <= ms(3), "it rang for {:?}", human - caller);
    assert_eq!(sounds(&world, HUMAN), BTreeSet::new());
}

/// A millisecond apart, around the answer and around the key: the human is let go at once, and is not talked to any more.
#[test]
fn nobody_is_briefed_for_or_joined_to_an_empty_room() {
    for mode in [Scenario::warm, Scenario::cold] {
        let whole = World::run(mode(701));
        for step in ["answered", "accepted"] {
            let Some(at) = whole.step_at(step).map(|at| at - whole.start) else {
                continue;
            };
            for leaves in (0..12).map(|n| at + ms(n) - ms(6)).chain([at + ms(700)]) {
                let world = World::run(Scenario {
                    caller_hangs_up: Some(leaves),
                    ..mode(701)
                });
                world.assert_no_faults();
                let (caller, human) = (world.caller.ended.unwrap(), world.humans[0].ended.unwrap());
                let stays = human.saturating_duration_since(caller);
                assert!(
                    stays <= ms(5),
                    "the human was kept for {stays:?} around {step}, at {leaves:?}"
                );
                let last = sent_to(&world, HUMAN).last().map_or(caller, |sent| sent.at);
                assert!(
                    last <= caller + ms(3),
                    "the human was talked to until {:?} after",
                    last - caller
                );
            }
        }
    }
}

// --- Who says yes ---

/// In a briefing the caller presses the human's keys and says the words; nobody takes that for an answer.
#[test]
fn the_held_callers_words_and_keys_are_not_the_humans_yes() {
    let press = |at, key| (When::At(ms(at)), Also::Press(Who::Caller, key));
    let mut world = World::new(Scenario {
        also: vec![
            press(3_500, '1'),
            press(4_500, '1'),
            press(5_000, '2'),
            press(6_000, '1'),
        ],
        ..Scenario::failing(702, undecided())
    });
    world.run_until(ms(5_500));
    let turn = Turn::new(Role::Caller, "Yes, put me through. One!");
    let call = world.call.expect("a call");
    assert!(world.request(Request::Turns(call, vec![turn])).is_some());
    world.run_to_the_end();
    world.assert_no_faults();
    assert!(!world.steps().contains(&"accepted"), "{:?}", world.steps());
    // Nor for a refusal: the human's time ran out.
    let closed = Some((End::Failed, Outcome::ReturnedToAi, Some(Reason::Machine)));
    assert_eq!(world.closed(), closed);
    assert!(!sounds(&world, HUMAN).contains(&Sound::Caller));
    assert!(!sounds(&world, Who::Caller).contains(&Sound::Human(0)));
    assert_eq!(
        keys(&world, HUMAN),
        [0; 0],
        "the human heard keys of somebody who is on hold"
    );
}

/// Nor are the keys of a human who hands on those of the human who is asked.
#[test]
fn the_key_of_who_hands_on_is_not_the_next_humans_yes() {
    let press = |after| {
        let when = When::After("joined", after);
        (when, Also::Press(HUMAN, '1'))
    };
    let refer = Also::Refer(HUMAN, Aim::Target(1), Afterwards::Stays);
    let world = World::run(Scenario {
        humans: vec![Behaviour::GOOD, undecided()],
        also: vec![
            (When::After("joined", 3 * SECOND), refer),
            press(ms(3_500)),
            press(5 * SECOND),
        ],
        end: 40 * SECOND,
        ..Scenario::warm(703)
    });
    world.assert_no_faults();
    assert_eq!(world.steps().iter().filter(|step| **step == "accepted").count(), 1);
    let closed = Some((End::Failed, Outcome::ReturnedToHuman, Some(Reason::Machine)));
    assert_eq!(world.closed(), closed);
    assert!(!sounds(&world, Who::Caller).contains(&Sound::Human(1)));
    assert_eq!(keys(&world, Who::Human(1)), [0; 0]);
}

/// A machine answers at once and talks: it presses no key, so it never gets the caller, nor the caller its greeting.
#[test]
fn a_voicemail_is_not_heard_by_the_caller() {
    let machine = Behaviour {
        answering: Answering::After(ms(100)),
        key: None,
        hang_up: None,
    };
    for hang_up in [None, Some(6 * SECOND)] {
        let world = World::run(Scenario::failing(704, Behaviour { hang_up, ..machine }));
        world.assert_no_faults();
        assert!(!sounds(&world, Who::Caller).contains(&Sound::Human(0)));
        assert!(!sounds(&world, HUMAN).contains(&Sound::Caller));
        assert!(matches!(world.closed(), Some((End::Failed, Outcome::ReturnedToAi, _))));
    }
}

/// Keys of the consultation are heard by nobody, and both sides have their keys again after the join.
#[test]
fn keys_are_kept_from_the_caller_in_the_briefing_and_reach_both_after_the_join() {
    for codecs in [[Encoding::Pcmu; 3], [Encoding::Pcma, Encoding::Pcmu, Encoding::Pcmu]] {
        let at = |at, who, key| (When::At(ms(at)), Also::Press(who, key));
        let world = World::run(Scenario {
            encodings: codecs.map(|codec| vec![codec]),
            also: vec![
                at(4_300, HUMAN, '5'),
                at(4_800, HUMAN, '#'),
                at(5_000, Who::Caller, '4'),
                at(9_000, Who::Caller, '7'),
                at(9_500, HUMAN, '9'),
                at(10_000, Who::Caller, '8'),
            ],
            ..Scenario::warm(705)
        });
        world.assert_no_faults();
        assert_eq!(world.closed(), JOINED);
        assert_eq!(keys(&world, Who::Caller), [9]);
        assert_eq!(keys(&world, HUMAN), [7, 8]);
        assert_eq!(keys(&world, Who::Ai), [0; 0]);
    }
}

/// The same where caller and human are told keys in INFO, and press them in their audio or in INFO; the AI has its own in the audio.
#[test]
fn keys_in_info_are_kept_from_the_caller_in_the_briefing_and_reach_both_after_the_join() {
    for lossy in [false, true] {
        let rtp = |at, who, key| (When::At(ms(at)), Also::Press(who, key));
        let info = |at, who, key| (When::At(ms(at)), Also::PressInfo(who, key));
        let scenario = Scenario {
            info: [true, false, true],
            humans: vec![undecided()],
            also: vec![
                rtp(2_000, Who::Ai, '2'),
                rtp(4_300, HUMAN, '5'),
                info(4_800, HUMAN, '#'),
                info(5_000, Who::Caller, '4'),
                info(6_000, HUMAN, '1'),
                rtp(9_000, Who::Caller, '7'),
                rtp(9_500, HUMAN, '9'),
                info(10_000, Who::Caller, '8'),
                info(10_200, HUMAN, '*'),
            ],
            ..Scenario::warm(705)
        };
        let net = [if lossy { Profile::BAD } else { Profile::PERFECT }, Profile::PERFECT];
        let world = World::run(Scenario { net, ..scenario });
        world.assert_no_faults();
        assert_eq!(world.closed(), JOINED);
        assert_eq!(
            [Who::Caller, HUMAN].map(|who| world.ua(who).keys.clone()),
            ["29*", "78"]
        );
        for who in [Who::Caller, HUMAN, Who::Ai] {
            assert_eq!(keys(&world, who), [0; 0], "{who:?}");
        }
    }
}

/// Who hears them has telephone-event.
#[test]
fn keys_in_info_go_on_as_telephone_event_and_those_of_the_consultation_to_nobody() {
    let info = |at, who, key| (When::At(ms(at)), Also::PressInfo(who, key));
    let world = World::run(Scenario {
        humans: vec![undecided()],
        also: vec![
            info(1_000, Who::Caller, '3'),
            info(2_000, Who::Ai, '2'),
            info(4_800, HUMAN, '#'),
            info(5_000, Who::Caller, '4'),
            info(6_000, HUMAN, '1'),
            info(10_000, Who::Caller, '8'),
            info(10_200, HUMAN, '*'),
        ],
        ..Scenario::warm(707)
    });
    world.assert_no_faults();
    assert_eq!(world.closed(), JOINED);
    for (who, expected) in [(Who::Caller, &[2, 10][..]), (HUMAN, &[8]), (Who::Ai, &[3])] {
        assert_eq!(keys(&world, who), expected, "{who:?}");
    }
}

// --- What is heard until a human is there ---

/// From the first word of the announcement to the human's, on every way to a human: speech or hold audio, without a hole.
#[test]
fn the_caller_hears_speech_or_hold_audio_until_the_human_is_there() {
    let late = |mut scenario: Scenario| {
        scenario.humans[0].answering = Answering::After(6 * SECOND);
        scenario.end = 60 * SECOND;
        scenario
    };
    let by_carrier = |carrier| Scenario {
        refer: true,
        carrier,
        ..Scenario::cold(706)
    };
    for scenario in [
        Scenario::warm(706),
        Scenario::cold(706),
        by_refer(706, Afterwards::Stays),
        by_refer(706, Afterwards::HangsUp),
        by_refer(706, Afterwards::Vanishes),
        by_carrier(Referred::Refuses(405)),
        by_carrier(Referred::SaysNothing),
    ] {
        let world = World::run(late(scenario));
        world.assert_no_faults();
        let from = first(&world, Who::Caller, Sound::Announcement);
        let to = first(&world, Who::Caller, Sound::Human(0));
        assert!(to - from > 5 * SECOND);
        let sent = sent_to(&world, Who::Caller);
        let waiting: Vec<_> = sent.iter().filter(|sent| (from..to).contains(&sent.at)).collect();
        for sent in &waiting {
            // `Other` is the packet in which one prompt ends and the next begins.
            let fills = matches!(sent.sound, Some(Sound::Announcement | Sound::Hold | Sound::Other));
            assert!(fills, "{:?} at {:?}", sent.sound, sent.at - world.start);
        }
        let other = waiting.iter().filter(|sent| sent.sound == Some(Sound::Other));
        assert!(other.count() <= 1, "one seam, between announcement and hold audio");
        let line = world.line(Who::Caller, from - world.start, to - world.start + ms(1));
        assert!(line.longest_gap <= ms(22), "{line:?}");
    }
}

/// An AI that heard hold audio, a prompt or the human would answer.
#[test]
fn the_ai_hears_nobody_but_the_caller() {
    let hold = |offer| (When::At(SECOND), Also::Reinvite(Who::Caller, offer));
    let cancelled = Scenario {
        cancel_at: Some(ms(5_000)),
        ..Scenario::failing(707, undecided())
    };
    let held = Scenario {
        also: vec![hold(Offer::Direction(Direction::Inactive)), hold(Offer::NoAddress)],
        ..Scenario::warm(707)
    };
    for scenario in [
        Scenario::warm(707),
        Scenario::cold(707),
        by_refer(707, Afterwards::Stays),
        by_refer(707, Afterwards::FallsSilent),
        Scenario::failing(707, Behaviour::not(Answering::Refuse(486))),
        Scenario::failing(707, Behaviour::not(Answering::RingOn)),
        Scenario::failing(707, undecided()),
        cancelled,
        held,
    ] {
        let world = World::run(scenario);
        world.assert_no_faults();
        let mut heard = sounds(&world, Who::Ai);
        heard.remove(&Sound::Comfort);
        assert_eq!(heard, BTreeSet::from([Sound::Caller]), "{}", world.ladder().join("\n"));
    }
}

/// CANCEL at the end of the target's time, the reason at once, and the AI one packet after its last.
#[test]
fn a_phone_that_rings_out_is_cancelled_in_time_and_the_caller_has_the_ai_again() {
    for answering in [Answering::RingOn, Answering::After(9 * SECOND)] {
        let human = Behaviour {
            answering,
            ..undecided()
        };
        let world = World::run(Scenario::failing(708, human));
        world.assert_no_faults();
        let due = world.step_at("invited").unwrap() + world.scenario.ring;
        let ended = world.humans[0].ended.expect("the phone is quiet");
        assert!(ended.abs_diff(due) <= ms(2), "{:?}", ended.abs_diff(due));
        let told = first(&world, Who::Caller, Sound::NoAnswer);
        assert!(told.abs_diff(due) <= ms(60), "told after {:?}", told.abs_diff(due));
        let sent = sent_to(&world, Who::Caller);
        let last = sent
            .iter()
            .rposition(|sent| sent.sound == Some(Sound::NoAnswer))
            .unwrap();
        let (reason, next) = (sent[last], sent[last + 1]);
        assert_eq!(next.sound, Some(Sound::Ai));
        assert!(next.at - reason.at <= ms(22), "{:?}", next.at - reason.at);
    }
}

trait AbsDiff {
    fn abs_diff(self, other: Self) -> Duration;
}

impl AbsDiff for Instant {
    fn abs_diff(self, other: Instant) -> Duration {
        self.saturating_duration_since(other) + other.saturating_duration_since(self)
    }
}

// --- The join ---

/// Whatever the one does who hands the caller on: early, late, silent, gone.
#[test]
fn the_human_is_heard_at_the_same_moment_whatever_the_transferor_does() {
    let silent_and_gone = |seconds: u32| {
        let mut scenario = by_refer(709, Afterwards::FallsSilent);
        let leaves = (When::At(seconds * SECOND), Also::HangUp(Who::Ai));
        scenario.also.push(leaves);
        scenario
    };
    let mut moments = Vec::new();
    for scenario in [
        by_refer(709, Afterwards::Stays),
        by_refer(709, Afterwards::HangsUp),
        by_refer(709, Afterwards::HangsUpAfter(ms(1))),
        by_refer(709, Afterwards::HangsUpAfter(2 * SECOND)),
        by_refer(709, Afterwards::FallsSilent),
        by_refer(709, Afterwards::Vanishes),
        silent_and_gone(4),
        silent_and_gone(6),
    ] {
        let world = World::run(Scenario {
            end: 60 * SECOND,
            ..scenario
        });
        world.assert_no_faults();
        assert_eq!(world.closed(), JOINED);
        moments.push(first(&world, Who::Caller, Sound::Human(0)) - world.start);
        let line = world.line(Who::Caller, 3 * SECOND, 10 * SECOND);
        assert!(line.longest_cut <= ms(22) && line.longest_gap <= ms(40), "{line:?}");
    }
    let (least, most) = (moments.iter().min().unwrap(), moments.iter().max().unwrap());
    assert!(*most - *least <= ms(1), "{moments:?}");
}

/// The very first packet that the human sends is heard by the caller, and each one after it.
#[test]
fn no_packet_of_the_humans_first_word_is_clipped() {
    for seed in 710..730 {
        let world = World::run(Scenario {
            hop: Duration::ZERO,
            humans: vec![undecided()],
            ..Scenario::cold(seed)
        });
        world.assert_no_faults();
        let answered = world.humans[0].answered.unwrap();
        let human: Vec<_> = sent_to(&world, Who::Caller)
            .into_iter()
            .filter(|sent| sent.sound == Some(Sound::Human(0)))
            .collect();
        // A packet every 20 ms from the answer on, a millisecond on its way.
        let late = human[0].at - answered;
        assert!(
            late < ms(21),
            "seed {seed}: the first one came {late:?} after the answer"
        );
        let lasts = human.last().unwrap().at - human[0].at;
        assert_eq!(human.len() as u128, lasts.as_millis() / 20 + 1, "seed {seed}");
    }
}

#[test]
fn a_human_with_only_pcma_hears_and_is_heard() {
    let world = World::run(Scenario {
        encodings: [vec![Encoding::Pcmu], vec![Encoding::Pcmu], vec![Encoding::Pcma]],
        ..Scenario::warm(730)
    });
    world.assert_no_faults();
    assert_eq!(world.closed(), JOINED);
    let got = |who| -> BTreeSet<Sound> { world.ua(who).heard.iter().filter_map(|heard| heard.sound).collect() };
    assert!(got(HUMAN).is_superset(&BTreeSet::from([Sound::Briefing, Sound::Caller])));
    assert!(got(Who::Caller).contains(&Sound::Human(0)));
}

/// Re-INVITEs cross the answer, the acceptance and the join, from every side and at once.
#[test]
fn reinvites_from_every_side_around_the_join_do_not_disturb_it() {
    let offers = [Offer::Direction(Direction::SendRecv), Offer::Late, Offer::Moved];
    for (n, offer) in offers.into_iter().enumerate() {
        for step in ["answered", "accepted", "joined"] {
            let all = [Who::Caller, HUMAN, Who::Ai];
            let wait = |who: usize| Duration::from_micros(500 * who as u64);
            let also = all.into_iter().enumerate();
            let also = also.map(|(who, party)| (When::After(step, wait(who)), Also::Reinvite(party, offer)));
            let world = World::run(Scenario {
                also: also.collect(),
                ..Scenario::warm(731 + n as u64)
            });
            world.assert_no_faults();
            assert_eq!(world.closed(), JOINED, "{offer:?} {step}");
            let after = world.step_at("joined").unwrap() + ms(300);
            for (who, voice) in [(Who::Caller, Sound::Human(0)), (HUMAN, Sound::Caller)] {
                let heard = world.ua(who).heard.iter().filter(|heard| heard.at > after);
                let heard: BTreeSet<Sound> = heard.filter_map(|heard| heard.sound).collect();
                assert_eq!(heard, BTreeSet::from([voice]), "{offer:?} {step} {who:?}");
            }
        }
    }
}

/// Whoever sends the REFER leaves, and the caller stays, whichever party that is.
#[test]
fn the_transfer_moves_the_caller_to_the_human_and_lets_the_transferor_go() {
    let world = World::run(by_refer(740, Afterwards::Stays));
    world.assert_no_faults();
    let (caller, ai, human) = (world.caller.ended, world.ai.ended, world.humans[0].ended);
    assert!(ai < caller && human >= caller);
    assert!(!sounds(&world, Who::Ai).contains(&Sound::Human(0)));
    assert!(!sounds(&world, HUMAN).contains(&Sound::Ai));

    let refer = Also::Refer(HUMAN, Aim::Target(1), Afterwards::Stays);
    let world = World::run(Scenario {
        humans: vec![Behaviour::GOOD; 2],
        also: vec![(When::After("joined", 2 * SECOND), refer)],
        end: 40 * SECOND,
        ..Scenario::warm(741)
    });
    world.assert_no_faults();
    let (caller, from, to) = (world.caller.ended, world.humans[0].ended, world.humans[1].ended);
    assert!(from < caller && to >= caller);
    assert!(!sounds(&world, HUMAN).contains(&Sound::Human(1)));
    assert!(!sounds(&world, Who::Human(1)).contains(&Sound::Human(0)));

    // Where the carrier is asked, it is asked in the caller's own call.
    let world = World::run(Scenario {
        refer: true,
        carrier: Referred::Reports(200, SECOND),
        ..Scenario::cold(742)
    });
    world.assert_no_faults();
    let of_caller = |wire: &&sim::world::Wire| wire.party == Who::Caller && wire.is("INVITE") && !wire.ours;
    let call = &world.wire.iter().find(of_caller).expect("INVITE").call_id;
    let refers: BTreeSet<_> = (world.wire.iter().filter(|wire| wire.ours && wire.is("REFER")))
        .map(|wire| (wire.party, &wire.call_id))
        .collect();
    assert_eq!(refers, BTreeSet::from([(Who::Caller, call)]));
    assert_eq!(world.humans[0].state, State::Idle);
}

/// Connected is who is heard: a human's phone that answers and sends nothing is no success, to nobody.
#[test]
fn a_human_of_whom_nothing_is_heard_is_not_joined_and_not_reported() {
    let mut scenario = by_refer(743, Afterwards::Stays);
    scenario.also.push((When::At(Duration::ZERO), Also::Mute(HUMAN)));
    scenario.also.push((When::After("answered", SECOND), Also::Accept));
    let world = World::run(Scenario {
        humans: vec![undecided()],
        accept: Accept::Api,
        end: 40 * SECOND,
        ..scenario
    });
    world.assert_no_faults();
    let reported: Vec<_> = world.wire.iter().filter_map(|wire| wire.reported).collect();
    assert!(!reported.contains(&200), "{reported:?}");
    let closed = Some((End::Failed, Outcome::ReturnedToAi, Some(Reason::Unreachable)));
    assert_eq!(world.closed(), closed);
    assert_eq!(
        world.ai.ended.max(world.caller.ended),
        world.ai.ended,
        "the AI has the caller again"
    );
    assert!(sounds(&world, Who::Caller).contains(&Sound::Failed));
}
