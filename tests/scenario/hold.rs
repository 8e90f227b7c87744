//! Hold, in every direction, by every party, in every scene: judged by what each party is sent and gets.

use std::collections::BTreeSet;
use std::time::Duration;

use calls::notice::Party;
use playbook::Accept;
use sim::scenario::{Also, Behaviour, Offer, When};
use sim::ua::State;
use sim::world::Who;
use sim::{Scenario, Sound, World};
use sip::sdp::{Direction, Encoding};

fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

fn human() -> Who {
    Who::Human(0)
}

/// How a party holds.
#[derive(Clone, Copy, Debug, PartialEq)]
enum How {
    SendOnly,
    RecvOnly,
    Inactive,
    /// As RFC 2543 had it, with `sendrecv`.
    NoAddress,
}

const HOWS: [How; 4] = [How::SendOnly, How::RecvOnly, How::Inactive, How::NoAddress];

impl How {
    fn offer(self) -> Offer {
        match self {
            How::SendOnly => Offer::Direction(Direction::SendOnly),
            How::RecvOnly => Offer::Direction(Direction::RecvOnly),
            How::Inactive => Offer::Direction(Direction::Inactive),
            How::NoAddress => Offer::NoAddress,
        }
    }

    /// The holder still listens.
    fn listens(self) -> bool {
        self == How::RecvOnly
    }

    /// The holder still sends.
    fn plays(self) -> bool {
        matches!(self, How::SendOnly | How::NoAddress)
    }
}

const RESUME: Offer = Offer::Direction(Direction::SendRecv);

/// A warm handoff that is joined after 6 s, with these re-INVITEs and more besides.
fn scenario(seed: u64, also: &[(u64, Also)]) -> Scenario {
    Scenario {
        also: also.iter().map(|(at, what)| (When::At(ms(*at)), *what)).collect(),
        ..Scenario::warm(seed)
    }
}

/// What a party is sent in a span of time.
fn hears(world: &World, who: Who, from: u64, to: u64) -> BTreeSet<Sound> {
    let span = world.start + ms(from)..world.start + ms(to);
    let sent = world
        .sent
        .iter()
        .filter(|sent| sent.to == who && span.contains(&sent.at));
    sent.filter_map(|sent| sent.sound)
        .filter(|sound| *sound != Sound::Other)
        .collect()
}

/// What a party gets and can decode.
fn gets(world: &World, who: Who, from: u64, to: u64) -> BTreeSet<Sound> {
    let span = world.start + ms(from)..world.start + ms(to);
    let heard = world.ua(who).heard.iter().filter(|heard| span.contains(&heard.at));
    heard
        .filter_map(|heard| heard.sound)
        .filter(|sound| *sound != Sound::Other)
        .collect()
}

fn set(sounds: &[Sound]) -> BTreeSet<Sound> {
    sounds.iter().copied().collect()
}

/// The line has no hole between two times.
#[track_caller]
fn assert_unbroken(world: &World, who: Who, from: u64, to: u64) {
    let line = world.line(who, ms(from), ms(to));
    assert!(line.longest_gap <= ms(41), "{line:?}");
    assert_eq!(
        (
            line.ssrcs,
            line.sequence_breaks,
            line.timestamp_breaks,
            line.timestamp_jumps,
            line.unmarked
        ),
        (1, 0, 0, 0, 0),
        "{line:?}"
    );
}

/// From the hold (once it is settled) to its end.
struct Span {
    at: u64,
    until: u64,
}

impl Span {
    fn run(&self, seed: u64, holder: Who, how: How) -> World {
        let also = [
            (self.at, Also::Reinvite(holder, how.offer())),
            (self.until, Also::Reinvite(holder, RESUME)),
        ];
        let world = World::run(scenario(seed, &also));
        world.assert_no_faults();
        world
    }

    /// What somebody is sent while the hold lasts.
    fn hears(&self, world: &World, who: Who) -> BTreeSet<Sound> {
        hears(world, who, self.at + 300, self.until - 50)
    }
}

/// A conversation of two: what each of them hears while one holds, and after it.
fn conversation(span: &Span, peer: Who, voice: Sound, seed: u64) {
    for (n, how) in HOWS.into_iter().enumerate() {
        for holder in [Who::Caller, peer] {
            let world = span.run(seed + n as u64, holder, how);
            let what = format!("{holder:?} {how:?}");
            let (held, own) = if holder == peer {
                (Who::Caller, voice)
            } else {
                (peer, Sound::Caller)
            };
            let instead = match (held, how) {
                // Neither our music nor the far side's is for an AI.
                (Who::Ai, _) => Sound::Comfort,
                (_, how) if how.plays() => own,
                _ => Sound::Hold,
            };
            assert_eq!(span.hears(&world, held), set(&[instead]), "{what}: who is held");
            let other = if holder == peer { Sound::Caller } else { voice };
            let heard: &[Sound] = if how.listens() { &[other] } else { &[] };
            assert_eq!(span.hears(&world, holder), set(heard), "{what}: who holds");
            // And then they hear each other again, without a hole for who was held.
            let after = (span.until + 300, span.until + 1_000);
            assert_eq!(gets(&world, held, after.0, after.1), set(&[own]), "{what}: after it");
            assert_eq!(
                gets(&world, holder, after.0, after.1),
                set(&[other]),
                "{what}: after it"
            );
            assert_unbroken(&world, held, span.at - 500, after.1);
        }
    }
}

#[test]
fn caller_and_ai() {
    conversation(
        &Span {
            at: 1_000,
            until: 2_000,
        },
        Who::Ai,
        Sound::Ai,
        500,
    );
}

#[test]
fn caller_and_human() {
    conversation(
        &Span {
            at: 10_000,
            until: 14_000,
        },
        human(),
        Sound::Human(0),
        520,
    );
}

#[test]
fn hold_audio_gives_way_within_a_packet() {
    for how in [How::RecvOnly, How::Inactive] {
        let world = Span {
            at: 10_000,
            until: 14_000,
        }
        .run(540, human(), how);
        let line = world.line(Who::Caller, ms(13_500), ms(15_000));
        assert!(line.longest_cut <= ms(22), "{how:?}: {line:?}");
        let sounds: Vec<_> = hears(&world, Who::Caller, 13_500, 15_000).into_iter().collect();
        assert_eq!(
            set(&sounds),
            set(&[Sound::Hold, Sound::Human(0)]),
            "{how:?}: no noise between"
        );
    }
}

#[test]
fn while_a_target_rings_or_is_briefed() {
    let told = set(&[Sound::Announcement, Sound::Hold]);
    for (n, how) in HOWS.into_iter().enumerate() {
        let seed = 560 + n as u64;
        // Waiting: the phone rings from 3 to 4 s.
        let waiting = Span {
            at: 3_200,
            until: 3_900,
        };
        let world = waiting.run(seed, Who::Caller, how);
        let heard = waiting.hears(&world, Who::Caller);
        assert!(
            heard.is_subset(&told) && heard.is_empty() != how.listens(),
            "{how:?}: {heard:?}"
        );
        // What is not sent is not lost: the announcement goes on where it was.
        assert!(
            hears(&world, Who::Caller, 3_950, 6_000).contains(&Sound::Announcement),
            "{how:?}"
        );
        let world = waiting.run(seed, Who::Ai, how);
        assert!(waiting.hears(&world, Who::Caller).is_subset(&told), "{how:?}");
        assert!(
            waiting.hears(&world, Who::Ai).is_subset(&set(&[Sound::Comfort])),
            "{how:?}"
        );
        // Briefing: from 4 to 6 s.
        let briefing = Span {
            at: 4_300,
            until: 5_600,
        };
        let world = briefing.run(seed, human(), how);
        assert!(briefing.hears(&world, Who::Caller).is_subset(&told), "{how:?}");
        let heard: &[Sound] = if how.listens() { &[Sound::Briefing] } else { &[] };
        assert_eq!(briefing.hears(&world, human()), set(heard), "{how:?}");
        assert!(
            hears(&world, human(), 5_700, 6_000).contains(&Sound::Briefing),
            "{how:?}"
        );
        let world = briefing.run(seed, Who::Caller, how);
        let heard = briefing.hears(&world, Who::Caller);
        assert!(
            heard.is_subset(&told) && heard.is_empty() != how.listens(),
            "{how:?}: {heard:?}"
        );
        assert_eq!(briefing.hears(&world, human()), set(&[Sound::Briefing]), "{how:?}");
    }
}

#[test]
fn a_join_does_not_wait_for_who_holds() {
    for (n, how) in HOWS.into_iter().enumerate() {
        for holder in [Who::Caller, human()] {
            let also = [
                (5_000, Also::Reinvite(holder, how.offer())),
                (6_000, Also::Accept),
                (9_000, Also::Reinvite(holder, RESUME)),
            ];
            let behaviour = Behaviour {
                key: None,
                ..Behaviour::GOOD
            };
            let world = World::run(Scenario {
                accept: Accept::Api,
                humans: vec![behaviour],
                ..scenario(580 + n as u64, &also)
            });
            let what = format!("{holder:?} {how:?}");
            world.assert_no_faults();
            let joined = world.step_at("joined").expect(&what) - world.start;
            assert!(joined <= ms(6_100), "{what}: {joined:?}");
            let (held, own) = match holder {
                Who::Caller => (human(), Sound::Caller),
                _ => (Who::Caller, Sound::Human(0)),
            };
            let instead = if how.plays() { own } else { Sound::Hold };
            assert_eq!(hears(&world, held, 6_300, 8_950), set(&[instead]), "{what}");
            assert_eq!(
                gets(&world, Who::Caller, 9_300, 10_000),
                set(&[Sound::Human(0)]),
                "{what}"
            );
            assert_eq!(gets(&world, human(), 9_300, 10_000), set(&[Sound::Caller]), "{what}");
            // A hold is no dead air of ours, in no line.
            for party in [Party::Caller, Party::Human] {
                let evidence = world.evidence(party).expect(&what);
                assert_eq!(evidence.dead_air, Some(Duration::ZERO), "{what} {party:?}");
                assert_eq!(
                    (evidence.sequence_breaks, evidence.timestamp_breaks, evidence.lost),
                    (0, 0, 0)
                );
            }
        }
    }
}

#[test]
fn both_hold_and_resume_one_after_the_other() {
    for (n, how) in HOWS.into_iter().enumerate() {
        let also = [
            (10_000, Also::Reinvite(human(), How::Inactive.offer())),
            (11_000, Also::Reinvite(Who::Caller, how.offer())),
            (13_000, Also::Reinvite(human(), RESUME)),
            (15_000, Also::Reinvite(Who::Caller, RESUME)),
        ];
        let world = World::run(scenario(600 + n as u64, &also));
        world.assert_no_faults();
        let both: &[Sound] = if how.listens() { &[Sound::Hold] } else { &[] };
        assert_eq!(hears(&world, Who::Caller, 11_300, 12_950), set(both), "{how:?}");
        assert_eq!(hears(&world, human(), 11_300, 12_950), set(&[]), "{how:?}");
        let instead = if how.plays() { Sound::Caller } else { Sound::Hold };
        assert_eq!(hears(&world, human(), 13_300, 14_950), set(&[instead]), "{how:?}");
        assert_eq!(gets(&world, human(), 15_300, 16_000), set(&[Sound::Caller]), "{how:?}");
        assert_eq!(
            gets(&world, Who::Caller, 15_300, 16_000),
            set(&[Sound::Human(0)]),
            "{how:?}"
        );
    }
}

#[test]
fn hold_without_music_gets_ours_until_it_sounds() {
    for how in [How::SendOnly, How::NoAddress] {
        let also = [
            (10_000, Also::Reinvite(human(), how.offer())),
            (11_000, Also::Mute(human())),
            (15_000, Also::Unmute(human())),
            (18_000, Also::Reinvite(human(), RESUME)),
        ];
        let world = World::run(scenario(620, &also));
        world.assert_no_faults();
        let voice = Sound::Human(0);
        assert_eq!(hears(&world, Who::Caller, 10_300, 11_000), set(&[voice]), "{how:?}");
        // A second of silence, then ours.
        assert_eq!(
            hears(&world, Who::Caller, 11_100, 11_950),
            set(&[Sound::Comfort]),
            "{how:?}"
        );
        assert_eq!(
            hears(&world, Who::Caller, 12_100, 15_000),
            set(&[Sound::Hold]),
            "{how:?}"
        );
        assert_eq!(hears(&world, Who::Caller, 15_100, 19_000), set(&[voice]), "{how:?}");
        let line = world.line(Who::Caller, ms(14_500), ms(19_000));
        assert!(line.longest_cut <= ms(22), "{how:?}: {line:?}");
    }
}

/// RFC 2543 hold: the music passes, though its sender has no address any more, and what strangers send does not.
#[test]
fn the_music_of_a_hold_without_an_address_is_heard_and_no_stranger_is() {
    for holder in [human(), Who::Caller] {
        let also = [
            (10_000, Also::Reinvite(holder, How::NoAddress.offer())),
            // Another source plays it.
            (10_500, Also::NewStream(holder)),
            (15_000, Also::Reinvite(holder, RESUME)),
        ];
        let world = World::run(Scenario {
            spray: Some(ms(50)),
            ..scenario(625, &also)
        });
        world.assert_no_faults();
        let (held, music) = match holder {
            Who::Caller => (human(), Sound::Caller),
            _ => (Who::Caller, Sound::Human(0)),
        };
        assert_eq!(gets(&world, held, 10_300, 14_950), set(&[music]), "{holder:?}");
        assert_eq!(gets(&world, holder, 10_300, 14_950), set(&[]), "{holder:?}");
        assert_unbroken(&world, held, 9_000, 16_000);
    }
}

#[test]
fn silence_in_a_conversation_is_silence() {
    for who in [human(), Who::Caller] {
        let also = [(10_000, Also::Mute(who)), (14_000, Also::Unmute(who))];
        let world = World::run(scenario(630, &also));
        world.assert_no_faults();
        let other = if who == human() { Who::Caller } else { human() };
        assert_eq!(hears(&world, other, 10_100, 14_000), set(&[Sound::Comfort]), "{who:?}");
    }
    // An AI that sends nothing between two sentences.
    let also = [(1_000, Also::Mute(Who::Ai)), (2_800, Also::Unmute(Who::Ai))];
    let world = World::run(scenario(631, &also));
    assert_eq!(hears(&world, Who::Caller, 1_100, 2_800), set(&[Sound::Comfort]));
}

#[test]
fn who_says_nothing_after_a_hold_is_not_replaced_by_music() {
    let also = [
        (10_000, Also::Reinvite(human(), How::Inactive.offer())),
        (10_500, Also::Mute(human())),
        (12_000, Also::Reinvite(human(), RESUME)),
        (16_000, Also::Unmute(human())),
    ];
    let world = World::run(scenario(640, &also));
    world.assert_no_faults();
    assert_eq!(hears(&world, Who::Caller, 12_000, 12_900), set(&[Sound::Hold]));
    assert_eq!(hears(&world, Who::Caller, 13_200, 16_000), set(&[Sound::Comfort]));
    assert_eq!(hears(&world, Who::Caller, 16_100, 18_000), set(&[Sound::Human(0)]));
    assert_unbroken(&world, Who::Caller, 9_000, 18_000);
}

/// How often Baton asked a party whether it is there.
fn probes(world: &World, who: Who) -> usize {
    let ours = |wire: &&sim::world::Wire| wire.party == who && wire.ours && wire.is("OPTIONS");
    let numbers = world.wire.iter().filter(ours).map(|wire| wire.number);
    numbers.collect::<BTreeSet<_>>().len()
}

#[test]
fn silence_ends_no_call_and_a_hold_is_not_even_asked_about() {
    let long = |also: &[(u64, Also)]| Scenario {
        end: ms(120_000),
        ..scenario(650, also)
    };
    for who in [Who::Caller, human()] {
        let world = World::run(long(&[(10_000, Also::Mute(who)), (100_000, Also::Unmute(who))]));
        world.assert_no_faults();
        // After 31, 61 … s of silence.
        assert_eq!(probes(&world, who), 2, "{who:?}");
        assert!(world.ua(human()).ended.unwrap() >= world.start + ms(120_000));
        assert_eq!(gets(&world, Who::Caller, 110_000, 115_000), set(&[Sound::Human(0)]));
        let held = World::run(long(&[
            (10_000, Also::Reinvite(who, How::Inactive.offer())),
            (100_000, Also::Reinvite(who, RESUME)),
        ]));
        held.assert_no_faults();
        assert_eq!(probes(&held, who), 0, "{who:?}");
        assert_eq!(gets(&held, Who::Caller, 110_000, 115_000), set(&[Sound::Human(0)]));
    }
}

#[test]
fn who_is_gone_without_a_word_is_missed_by_its_silence() {
    let world = World::run(Scenario {
        end: ms(200_000),
        ..scenario(660, &[(10_000, Also::Vanish(human()))])
    });
    assert_eq!(probes(&world, human()), 1);
    // A second until it is silent, 30 s until it is asked, 32 s (64·T1) until it has not answered.
    let ended = world.caller.ended.expect("the caller is told") - world.start;
    assert_eq!(world.caller.state, State::Gone);
    assert!((ms(72_900)..ms(73_200)).contains(&ended), "{ended:?}");
    assert_eq!(world.node.alive(), calls::node::Alive::default());
}

#[test]
fn a_new_stream_is_followed_at_once_and_the_line_does_not_show_it() {
    // After a transfer in the peer's network: without a re-INVITE, and with one.
    for reinvite in [None, Some(RESUME), Some(Offer::Moved)] {
        for who in [Who::Caller, human()] {
            let mut also = vec![(10_003, Also::NewStream(who))];
            also.extend(reinvite.map(|offer| (10_002, Also::Reinvite(who, offer))));
            let world = World::run(scenario(670, &also));
            world.assert_no_faults();
            let (other, voice) = match who {
                Who::Caller => (human(), Sound::Caller),
                _ => (Who::Caller, Sound::Human(0)),
            };
            assert_eq!(
                gets(&world, other, 9_900, 12_000),
                set(&[voice]),
                "{who:?} {reinvite:?}"
            );
            assert_unbroken(&world, other, 9_000, 12_000);
        }
    }
}

#[test]
fn return_audio_follows_codec_and_address_and_late_offers() {
    let both = vec![Encoding::Pcmu, Encoding::Pcma];
    for offer in [Offer::Codec(Encoding::Pcma), Offer::Moved, Offer::Late] {
        for who in [Who::Caller, human()] {
            let world = World::run(Scenario {
                encodings: [both.clone(), both.clone(), both.clone()],
                ..scenario(680, &[(10_000, Also::Reinvite(who, offer))])
            });
            let what = format!("{who:?} {offer:?}");
            world.assert_no_faults();
            assert_eq!(
                gets(&world, Who::Caller, 10_200, 12_000),
                set(&[Sound::Human(0)]),
                "{what}"
            );
            assert_eq!(gets(&world, human(), 10_200, 12_000), set(&[Sound::Caller]), "{what}");
            for party in [Who::Caller, human()] {
                assert_unbroken(&world, party, 9_000, 12_000);
            }
            let from = world.start + ms(10_200);
            let sent = world.sent.iter().filter(|sent| sent.to == who && sent.at > from);
            let types: BTreeSet<u8> = sent.map(|sent| sent.packet.payload_type).collect();
            let expected = if matches!(offer, Offer::Codec(_)) { 8 } else { 0 };
            assert_eq!(types, BTreeSet::from([expected]), "{what}");
        }
    }
}

/// One re-INVITE that holds and changes the codec: who is held hears what it should, in its own codec, and nobody loses a packet.
#[test]
fn a_hold_that_changes_the_codec_too_is_heard_in_both() {
    let both = vec![Encoding::Pcmu, Encoding::Pcma];
    for direction in [Direction::SendOnly, Direction::RecvOnly, Direction::Inactive] {
        for holder in [Who::Caller, human()] {
            let also = [
                (10_000, Also::Reinvite(holder, Offer::Both(direction, Encoding::Pcma))),
                (14_000, Also::Reinvite(holder, RESUME)),
            ];
            let world = World::run(Scenario {
                encodings: [both.clone(), both.clone(), both.clone()],
                ..scenario(690, &also)
            });
            let what = format!("{holder:?} {direction:?}");
            world.assert_no_faults();
            let (held, own, other) = match holder {
                Who::Caller => (human(), Sound::Caller, Sound::Human(0)),
                _ => (Who::Caller, Sound::Human(0), Sound::Caller),
            };
            let instead = if direction == Direction::SendOnly {
                own
            } else {
                Sound::Hold
            };
            assert_eq!(gets(&world, held, 10_300, 13_950), set(&[instead]), "{what}");
            assert_eq!(gets(&world, held, 14_300, 16_000), set(&[own]), "{what}");
            assert_eq!(gets(&world, holder, 14_300, 16_000), set(&[other]), "{what}");
            assert_unbroken(&world, held, 9_000, 16_000);
            for (who, payload_type) in [(holder, 8), (held, 0)] {
                let from = world.start + ms(14_300);
                let sent = world.sent.iter().filter(|sent| sent.to == who && sent.at > from);
                let types: BTreeSet<u8> = sent.map(|sent| sent.packet.payload_type).collect();
                assert_eq!(types, BTreeSet::from([payload_type]), "{what}");
            }
        }
    }
}
