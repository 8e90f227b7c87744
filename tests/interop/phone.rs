//! baresip as the human: real speech through a real phone.

use std::time::Instant;

use baton_server::demo::listen::{LEAKED, Listener};
use judge::Verdict;
use sim::Sound::{self, Ai, Announcement, Briefing, Caller, Hold};

use crate::PATIENCE;
use crate::baresip::{Tongue, speech};
use crate::party::sounds;
use crate::world::{Human, Plan, World};

/// Baresip answers at once; caller and human hear each other, and the record says so.
fn joined(tongue: Tongue, mode: &str) -> World {
    let mut world = World::start(Plan {
        human: Human::Baresip(tongue),
        ..Plan::default()
    });
    world.call();
    let handoff = world.hand_off(mode);
    world.ai().sipp.until("bye");
    let record = world.outcome(&handoff);
    assert_eq!(record["result"], "joined");
    hears_its_speech(&mut world);
    world
}

/// Waits until the caller has heard the whole speech from now on: a phone that the host keeps from its work says parts of it late.
fn hears_its_speech(world: &mut World) {
    let speech = speech();
    let party = &world.caller().party;
    let (since, end) = (party.recording().len(), Instant::now() + PATIENCE);
    loop {
        party.hears_audio(speech.len());
        let verdict = best(&party.recording()[since..]);
        if verdict.passes() {
            return;
        }
        assert!(Instant::now() < end, "baresip is not heard: {verdict}");
    }
}

/// Its speech where it is heard best.
fn best(recording: &[i16]) -> Verdict {
    let speech = speech();
    let found = Listener::new(recording).whole(&speech);
    // As it says it again and again, more would be another time of it.
    let around = found.at.saturating_sub(800)..(found.at + speech.len() + 800).min(recording.len());
    judge::judge(
        judge::Sound::new(&speech, 8000),
        judge::Sound::new(&recording[around], 8000),
    )
}

/// Everybody hangs up, and the recordings of both sides are judged.
fn judge(mut world: World, humans_story: &[Sound]) {
    world.caller().sipp.tell("INFO");
    world.caller().sipp.finish();
    world.ai().sipp.finish();
    world.phone().finish();

    let (recording, speech) = (world.caller().party.recording(), speech());
    let is_ours = |packet: &[i16]| [Ai, Announcement, Hold].contains(&Sound::of(packet));
    let join = recording.chunks(160).rposition(is_ours).expect("the AI was heard") * 160;
    let story = sounds(&recording[..join]);
    assert!([Ai, Announcement, Hold].starts_with(&story), "{story:?}");
    let early = Listener::new(&recording[..join]).any_part(&speech);
    assert!(early.peak < LEAKED, "baresip was heard before the join: {early:?}");
    let verdict = best(&recording[join..]);
    assert!(verdict.passes(), "baresip was not heard: {verdict}");

    assert_eq!(sounds(&world.phone().heard()), humans_story);
    assert_eq!(world.ai().party.story(), [Caller]);
    world.assert_lines();
    world.end(&[]);
}

#[test]
fn a_warm_handoff_to_baresip_briefs_it_alone_and_joins_speech_and_tone() {
    judge(joined(Tongue::G711, "warm"), &[Briefing, Caller]);
}

#[test]
fn a_cold_handoff_to_baresip_joins_at_the_answer() {
    judge(joined(Tongue::G711, "cold"), &[Caller]);
}

#[test]
fn a_warm_handoff_to_a_baresip_that_speaks_opus_alone_is_heard_on_both_sides() {
    judge(joined(Tongue::Opus, "warm"), &[Briefing, Caller]);
}

#[test]
fn a_warm_handoff_to_a_baresip_that_speaks_g722_alone_is_heard_on_both_sides() {
    judge(joined(Tongue::G722, "warm"), &[Briefing, Caller]);
}

#[test]
fn a_caller_whom_baresip_puts_on_hold_hears_hold_audio_and_then_its_speech_again() {
    let mut world = joined(Tongue::G711, "cold");
    let since = Instant::now();
    world.phone().command("hold");
    world.caller().party.hears(Hold);
    world.phone().command("resume");
    hears_its_speech(&mut world);
    world.caller().party.excuse_since(since);
    world.caller().sipp.tell("INFO");
    world.caller().sipp.finish();
    world.ai().sipp.finish();
    world.phone().finish();
    world.assert_lines();
    world.end(&[]);
}
