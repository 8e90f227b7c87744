//! A leg that was asked to change its codec: it may do so before we know that it will, or some time after it has said so.

use super::coders::assert_line;
use super::mixing::rig;
use super::*;
use crate::voice::tests::{heard, tone};

/// Goes on in another codec, as a peer does after an offer: the same stream, its timestamps in the other's clock.
fn change(rig: &mut Rig, leg: LegId, codec: Codec) {
    let at = rig.talkers.iter().position(|talker| talker.leg == leg).unwrap();
    let old = rig.talkers.remove(at);
    rig.talk_in(leg, 0, codec);
    let new = rig.talker(leg);
    new.next = old.next;
    new.header = Header {
        payload_type: number(codec),
        ..old.header
    };
}

/// Every packet goes on, whatever comes first: the first in the new codec, or the word that it is the new codec.
#[test]
fn a_leg_that_changes_its_codec_loses_no_packet_whether_we_know_before_or_after() {
    for (from, to) in Codec::ALL.into_iter().flat_map(|from| Codec::ALL.map(|to| (from, to))) {
        // By how many ms its first packet in the new codec comes before the word of it, or after.
        for ahead in [-70, -10, 10, 70i64] {
            let mut rig = rig();
            let full = rig.core.coders.free();
            let caller = leg_in(CALLER, to, hears(HUMAN));
            let human = |codec, also: Option<Codec>| LegSpec {
                also: also.map(|also| leg_in(HUMAN, also, nobody()).format),
                ..leg_in(HUMAN, codec, hears(CALLER))
            };
            rig.set(spec(&[caller.clone(), human(from, None)]));
            rig.talk_in(HUMAN, 3, from);
            rig.talk_in(CALLER, 9, to);
            rig.run(200);
            rig.set(spec(&[caller.clone(), human(from, Some(to))]));
            rig.run(100);
            let know = |rig: &mut Rig| rig.set(spec(&[caller.clone(), human(to, None)]));
            if ahead > 0 {
                change(&mut rig, HUMAN, to);
                rig.run(ahead as u64);
                know(&mut rig);
            } else {
                know(&mut rig);
                rig.run(ahead.unsigned_abs());
                change(&mut rig, HUMAN, to);
            }
            rig.run(200);
            let what = format!("{from:?} to {to:?}, {ahead} ms");
            let (heard, spoken) = (
                rig.heard(CALLER),
                rig.verdicts.iter().filter(|(_, leg, _)| *leg == HUMAN),
            );
            assert_eq!(heard.len(), spoken.count(), "{what}");
            assert_eq!(rig.core.counters().forwarded, rig.talked, "{what}");
            assert_line(&heard, to);
            assert_eq!(rig.core.counters().dropped, [0; Reason::ALL.len()], "{what}");
            let lone = rig.core.coders.free();
            assert_eq!(
                lone.opus_narrow + lone.opus_wide,
                full.opus_narrow + full.opus_wide,
                "{what}"
            );
            // G.722 needs one for each line by itself, for prompts and noise.
            let lines = if to == Codec::G722 { 2 } else { 0 };
            assert_eq!(lone.wide, full.wide - lines, "{what}");
            assert_conserved(&mut rig);
        }
    }
}

/// Who begins to hear it only then, in the codec that it will speak, hears it as well.
fn assert_heard_from_the_first_packet(row: &Hears) {
    for (from, to) in Codec::ALL.into_iter().flat_map(|from| Codec::ALL.map(|to| (from, to))) {
        if from == to {
            continue;
        }
        let mut rig = rig();
        let full = rig.core.coders.free();
        let caller = |hears| leg_in(CALLER, to, hears);
        let human = |codec| leg_in(HUMAN, codec, nobody());
        let ai = leg_in(AI, to, nobody());
        rig.set(spec(&[caller(hears(AI)), ai.clone(), human(from)]));
        rig.talk_in(AI, 11, to);
        rig.talk_in(HUMAN, 3, from);
        rig.run(100);
        rig.set(spec(&[caller(row.clone()), ai, human(to)]));
        let since = rig.sent.len();
        rig.run(350);
        let said: Vec<&[u8]> = rig.sent[since..].iter().map(Sent::payload).collect();
        let (_, level) = tone(&heard(to, said[3..].iter().copied()));
        // Silence and noise are below 5.
        assert!(level > 50.0, "{from:?} to {to:?}: {level}");
        assert_eq!(rig.dropped(Reason::Untranscodable), 0, "{from:?} to {to:?}");
        change(&mut rig, HUMAN, to);
        rig.run(100);
        assert_eq!(rig.dropped(Reason::Untranscodable), 0, "{from:?} to {to:?}");
        assert_conserved(&mut rig);
        assert_eq!(rig.core.coders.free(), full, "{from:?} to {to:?}");
    }
}

#[test]
fn a_leg_that_has_not_changed_yet_is_heard_by_who_begins_to_hear_it() {
    assert_heard_from_the_first_packet(&hears(HUMAN));
}

#[test]
fn a_leg_that_has_not_changed_yet_is_heard_in_a_mix_that_begins() {
    let mut row = hears(HUMAN);
    row.legs[0].gain_db = -1;
    assert_heard_from_the_first_packet(&row);
}

/// What it was offered is understood only as long as that is so; what it spoke until then, only until it has changed.
#[test]
fn what_a_leg_may_not_send_any_more_is_not_understood() {
    let mut rig = rig();
    let caller = leg(CALLER, hears(HUMAN));
    let human = |also: Option<Codec>| LegSpec {
        also: also.map(|also| leg_in(HUMAN, also, nobody()).format),
        ..leg(HUMAN, nobody())
    };
    rig.set(spec(&[caller.clone(), human(None)]));
    rig.talk_in(HUMAN, 0, Codec::Pcma);
    rig.run(100);
    assert_eq!(rig.dropped(Reason::UnmappedPayload), 5);
    rig.set(spec(&[caller.clone(), human(Some(Codec::Pcma))]));
    rig.run(100);
    let counters = rig.core.counters();
    assert_eq!((rig.dropped(Reason::UnmappedPayload), counters.forwarded), (5, 5));
    rig.set(spec(&[caller.clone(), human(None)]));
    rig.run(100);
    assert_eq!(rig.dropped(Reason::UnmappedPayload), 10, "it was refused");
    // It changes, and what comes late of the old one is none of its packets.
    change(&mut rig, HUMAN, Codec::Pcmu);
    rig.run(100);
    rig.set(spec(&[caller, leg_in(HUMAN, Codec::Pcma, nobody())]));
    rig.run(100);
    change(&mut rig, HUMAN, Codec::Pcma);
    rig.run(100);
    assert_eq!(rig.dropped(Reason::UnmappedPayload), 10);
    change(&mut rig, HUMAN, Codec::Pcmu);
    rig.run(100);
    assert_eq!(rig.dropped(Reason::UnmappedPayload), 15);
    assert_conserved(&mut rig);
}
