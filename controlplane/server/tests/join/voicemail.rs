//! Nobody is there, and the caller leaves a message: what is in the file is what it said.

use std::path::Path;

use media::codec::g711::Law;
use reqwest::StatusCode;
use rustix::process::{Pid, kill_process};
use serde_json::{Value, json};

use crate::party::{Party, Signal, Voice, Wish};
use crate::way::{FOUR, Way};
use crate::world::{OWN, Plan, World};

const BOX: &str = "[[targets]]\nname = \"the box\"\nvoicemail = true\n[voicemail]\nmax_s = 5\n";

/// Of the machine's line, where it says nothing.
const SILENCE: [u8; 160] = [0xff; 160];

fn plan(more: &'static str) -> Plan {
    let mut plan = Plan::all(Way::udp(FOUR));
    plan.more = more;
    plan
}

/// Warm, with the usual acceptance by the API: the machine is joined at its answer all the same.
fn wish() -> Value {
    json!({ "mode": "warm", "target": "the box", "reason": "nobody is there" })
}

/// The caller hears the greeting that comes with the program, to its end, and then the tone.
async fn is_greeted(caller: &mut Party) {
    let greeting = Path::new(env!("CARGO_MANIFEST_DIR")).join("prompts/voicemail.wav");
    let mut wav = hound::WavReader::open(greeting).expect("the greeting");
    let samples: Vec<i16> = wav.samples().collect::<Result<_, _>>().expect("samples");
    for packet in samples.chunks_exact(160).step_by(10) {
        let mut codes = [0; 160];
        Law::Mu.encode(packet, &mut codes);
        caller.hears_codes(&codes, 1).await;
    }
    caller.hears_a_tone(440.0).await;
}

/// Every sample of it is the caller's voice. How long it is, seconds.
fn is_the_caller(wav: &[u8]) -> f64 {
    let mut wav = hound::WavReader::new(wav).expect("a WAV file");
    let spec = wav.spec();
    assert_eq!((spec.sample_rate, spec.channels, spec.bits_per_sample), (8_000, 1, 16));
    let samples: Vec<i16> = wav.samples().collect::<Result<_, _>>().expect("samples");
    let mut voice = [0; 160];
    Law::Mu.decode(&Voice::Caller.payload(), &mut voice);
    for (at, packet) in samples.chunks(160).enumerate() {
        assert_eq!(packet, &voice[..packet.len()], "packet {at}");
    }
    samples.len() as f64 / 8_000.0
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_is_greeted_leaves_a_message_and_the_file_has_what_it_said() {
    let mut world = World::with_program(plan(BOX)).await;
    let handoff = world.ask_for_a_human(wish()).await;
    is_greeted(&mut world.caller).await;
    // After max_s it ends by itself.
    world.caller.until(&Signal::Bye).await;
    let types = world.events(&handoff, "baton.handoff.voicemail_left").await;
    assert!(!types.iter().any(|kind| kind == "baton.handoff.joined"), "{types:?}");
    let left = world.data["voicemail"].clone();
    let id = left["id"].as_str().expect("an id").to_owned();
    assert_eq!(id, format!("{}-{handoff}", world.call));
    assert_eq!(left["file"], format!("{id}.wav"));
    // Four hours of a house that never closes.
    let time = |at: &Value| {
        at.as_str()
            .expect("a time")
            .parse::<jiff::Timestamp>()
            .expect("RFC 3339")
    };
    let list = world.document("/v1/voicemails").await;
    let [message] = &list["voicemails"].as_array().expect("a list")[..] else {
        panic!("one message: {list}")
    };
    assert_eq!((&message["id"], &message["target"]), (&json!(id), &json!("the box")));
    assert_eq!(
        (&message["seconds"], &message["respond_by"]),
        (&left["seconds"], &left["respond_by"])
    );
    let window = time(&left["respond_by"]).duration_since(time(&message["began"]));
    assert_eq!(window.as_secs(), 4 * 3_600);

    let path = format!("/v1/voicemails/{id}");
    let url = format!("http://{}{path}", world.http);
    let answer = world
        .client
        .get(&url)
        .bearer_auth(crate::world::ADMIN)
        .send()
        .await
        .expect("an answer");
    assert_eq!(answer.headers()["content-type"], "audio/wav");
    let seconds = is_the_caller(&answer.bytes().await.expect("a body"));
    assert!((4.9..=5.0).contains(&seconds), "{seconds} s");
    assert_eq!(left["seconds"], seconds);
    let refused = world.client.get(&url).bearer_auth(OWN).send().await.expect("an answer");
    assert_eq!(refused.status(), StatusCode::FORBIDDEN, "an AI's key");
    assert_eq!(world.without_a_key(&path).await.status(), StatusCode::UNAUTHORIZED);

    world.events(&world.call.clone(), "baton.call.ended").await;
    assert_eq!(world.data["by"], "voicemail");
    let record = world.record(&handoff).await;
    assert_eq!(
        (&record["state"], &record["result"], &record["reason"]),
        (&json!("completed"), &json!("voicemail"), &Value::Null)
    );
    let timeline = &record["timeline"];
    assert_eq!(
        (&timeline["joined"], &timeline["first_human_word"]),
        (&Value::Null, &Value::Null)
    );
    assert_eq!(record["voicemail"], left);
    world.metrics_say(&["baton_voicemails_total{result=\"left\"} 1"]).await;
    let kpi = world.document("/v1/kpi").await;
    assert_eq!(kpi["total"]["joined"], 0, "nobody was reached: {kpi}");
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_said_until_the_server_was_killed_can_be_heard() {
    let mut world = World::with_program(plan("[[targets]]\nname = \"the box\"\nvoicemail = true\n")).await;
    let handoff = world.ask_for_a_human(wish()).await;
    is_greeted(&mut world.caller).await;
    world.caller.hears_codes(&SILENCE, 100).await;
    let call = world.call.clone();
    let (program, folder) = world.program();
    let id = i32::try_from(program.id())
        .ok()
        .and_then(Pid::from_raw)
        .expect("a process");
    kill_process(id, rustix::process::Signal::KILL).expect("killed");
    assert!(!program.wait(crate::PATIENCE).success());
    let file = folder.join("voicemail").join(format!("{call}-{handoff}.wav"));
    let seconds = is_the_caller(&std::fs::read(file).expect("the file"));
    assert!(seconds > 1.5, "{seconds} s");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_says_next_to_nothing_leaves_no_message() {
    let mut world = World::with_program(plan(BOX)).await;
    let handoff = world.ask_for_a_human(wish()).await;
    is_greeted(&mut world.caller).await;
    world.caller.wish(Wish::HangUp);
    world.caller.until(&Signal::Over).await;
    world.events(&world.call.clone(), "baton.call.ended").await;
    let told = async {
        loop {
            let record = world.record(&handoff).await;
            if !record["voicemail"].is_null() {
                return record;
            }
        }
    };
    let record = tokio::time::timeout(crate::PATIENCE, told).await.expect("told");
    assert_eq!(
        (&record["voicemail"]["id"], &record["voicemail"]["respond_by"]),
        (&Value::Null, &Value::Null)
    );
    assert_eq!(record["result"], "voicemail");
    assert_eq!(world.document("/v1/voicemails").await["voicemails"], json!([]));
    world
        .metrics_say(&["baton_voicemails_total{result=\"too_short\"} 1"])
        .await;
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn where_no_file_can_be_made_nobody_speaks_into_nothing_and_the_next_target_is_called() {
    // A folder below a file.
    let more = "[[targets]]\nname = \"the box\"\nvoicemail = true\n[voicemail]\nfolder = \"/dev/null/box\"\n\
                [[playbook.decisions]]\nname = \"first the box\"\ntargets = [\"the box\", \"support\"]\n";
    let mut world = World::with(plan(more)).await;
    let handoff = world
        .ask_for_a_human(json!({ "mode": "warm", "reason": "nobody is there" }))
        .await;
    world.is_briefed(&handoff).await;
    let record = world.record(&handoff).await;
    let failed = json!([{ "target": "the box", "agent": null, "reason": "no_answer", "status": 480 }]);
    assert_eq!(
        (&record["failed_targets"], &record["target"]),
        (&failed, &json!("support"))
    );
    world
        .metrics_say(&["baton_voicemails_total{result=\"refused\"} 1"])
        .await;
    world.accept(&handoff).await;
    world.is_joined().await;
    world.end().await;
}
