//! baresip as the human: real speech through a real phone.

use std::time::Instant;

use baton_server::demo::listen::{LEAKED, Listener, PRESENT};
use sim::Sound::{self, Ai, Announcement, Briefing, Caller, Hold};

use crate::PATIENCE;
use crate::baresip::speech;
use crate::party::sounds;
use crate::world::{Human, Plan, World};

/// Baresip answers at once; caller and human hear each other, and the record says so.
fn joined(mode: &str) -> World {
    let mut world = World::start(Plan {
        human: Human::Baresip,
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
        let found = Listener::new(&party.recording()[since..]).whole(&speech);
        if found.peak >= PRESENT {
            return;
        }
        assert!(Instant::now() < end, "baresip is not heard: {found:?}");
    }
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
    let found = Listener::new(&recording[join..]).whole(&speech);
    assert!(found.peak >= PRESENT, "baresip was not heard: {found:?}");

    assert_eq!(sounds(&world.phone().heard()), humans_story);
    assert_eq!(world.ai().party.story(), [Caller]);
    world.assert_lines();
    world.end(&[]);
}

#[test]
fn a_warm_handoff_to_baresip_briefs_it_alone_and_joins_speech_and_tone() {
    judge(joined("warm"), &[Briefing, Caller]);
}

#[test]
fn a_cold_handoff_to_baresip_joins_at_the_answer() {
    judge(joined("cold"), &[Caller]);
}

#[test]
fn a_caller_whom_baresip_puts_on_hold_hears_hold_audio_and_then_its_speech_again() {
    let mut world = joined("cold");
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
