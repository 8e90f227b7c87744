//! Prompts that are uploaded by the API.

use std::f64::consts::TAU;
use std::io::Cursor;

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::party::{Carrier, Manner, Party, Signal, Voice, Wish};
use crate::upgrade::says;
use crate::way::{FOUR, Way};
use crate::world::{ADMIN, OWN, Plan, World, warm};

/// A tone that goes round without a seam.
pub(crate) fn wav(hz: f64, rate: u32) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    let spec = hound::WavSpec {
        channels: 1,
        sample_rate: rate,
        bits_per_sample: 16,
        sample_format: hound::SampleFormat::Int,
    };
    let mut writer = hound::WavWriter::new(&mut bytes, spec).expect("a writer");
    for at in 0..rate {
        let sample = 8_000.0 * (TAU * hz * f64::from(at) / f64::from(rate)).sin();
        writer.write_sample(sample as i16).expect("a sample");
    }
    writer.finalize().expect("a header");
    bytes.into_inner()
}

/// What the API answers, and how.
async fn ask(
    world: &World,
    method: Method,
    key: &str,
    name: &str,
    wav: Option<(&str, Vec<u8>)>,
) -> (StatusCode, Value) {
    let url = format!("http://{}/v1/prompts{name}", world.http);
    let mut request = world.client.request(method, url).bearer_auth(key);
    if let Some((kind, wav)) = wav {
        request = request.header("content-type", kind).body(wav);
    }
    let answer = request.send().await.expect("an answer");
    let status = answer.status();
    let text = answer.text().await.expect("a body");
    (status, serde_json::from_str(&text).unwrap_or_default())
}

/// What is answered to who says how much is to come: nobody need send that.
async fn too_large(world: &World) -> String {
    let mut connection = TcpStream::connect(world.http).await.expect("a connection");
    let head = format!(
        "PUT /v1/prompts/music HTTP/1.1\r\nhost: {}\r\nauthorization: Bearer {ADMIN}\r\ncontent-type: audio/wav\r\n\
         content-length: {}\r\nconnection: close\r\n\r\n",
        world.http,
        (64 << 20) + 1
    );
    connection.write_all(head.as_bytes()).await.expect("sent");
    let mut answer = String::new();
    connection.read_to_string(&mut answer).await.expect("an answer");
    answer
}

pub(crate) async fn put(world: &World, name: &str, wav: Vec<u8>) -> Value {
    let (status, body) = ask(world, Method::PUT, ADMIN, name, Some(("audio/wav", wav))).await;
    assert_eq!(status, StatusCode::OK, "{body}");
    body
}

/// Another call, and a handoff of this kind.
pub(crate) async fn handing_off(world: &mut World, wish: Value) -> (Party, String) {
    let mut caller = Party::start(Voice::Caller, Manner::IsBusy, Way::udp(FOUR)).await;
    caller.wish(Wish::Call(world.sip, Carrier::Refuses));
    world.call = loop {
        if let Signal::Invited(Some(call), None) = world.ai.next().await {
            break call;
        }
    };
    caller.until(&Signal::Up).await;
    let handoff = world.ask_for_a_human(wish).await;
    (caller, handoff)
}

/// Another call, whose caller waits for a human.
async fn waiting(world: &mut World) -> Party {
    let (caller, handoff) = handing_off(world, warm()).await;
    world.events(&handoff, "baton.handoff.ringing").await;
    caller
}

async fn over(mut caller: Party) {
    caller.wish(Wish::HangUp);
    caller.until(&Signal::Over).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_uploaded_prompt_is_heard_by_who_waits_from_then_on_also_after_a_restart() {
    let plan = Plan {
        manner: Manner::Rings,
        more: "[prompts]\nannouncement = { uploaded = \"greeting\" }\nhold = { uploaded = \"support-hold\" }\n",
        node: "drain_s = 0\nlog = \"info\"",
        ..Plan::all(Way::udp(FOUR))
    };
    let mut world = World::with_program(plan).await;
    says(world.program().0, "this prompt has not been uploaded yet").await;
    put(&world, "/greeting", wav(900.0, 8_000)).await;
    let first = put(&world, "/support-hold", wav(1_700.0, 48_000)).await;
    assert_eq!(first["used_by"], json!(["prompts.hold"]));
    let mut early = waiting(&mut world).await;
    early.hears_a_tone(1_700.0).await;

    // Another one counts for plays that begin after it.
    let second = put(&world, "/support-hold", wav(2_300.0, 16_000)).await;
    assert_ne!(first["sha256"], second["sha256"]);
    early.hears_a_tone(1_700.0).await;
    over(early).await;
    let mut caller = waiting(&mut world).await;
    caller.hears_a_tone(2_300.0).await;
    over(caller).await;

    // What is played cannot be deleted.
    let (status, body) = ask(&world, Method::DELETE, ADMIN, "/support-hold", None).await;
    assert_eq!(
        (status, &body["used_by"]),
        (StatusCode::CONFLICT, &json!(["prompts.hold"])),
        "{body}"
    );
    world.restart().await;
    let list = world.document("/v1/prompts").await;
    assert_eq!(list["prompts"][1]["sha256"], second["sha256"], "{list}");
    assert_eq!(list["prompts"][1]["rate_hz"], 16_000);
    let mut caller = waiting(&mut world).await;
    caller.hears_a_tone(2_300.0).await;
    over(caller).await;
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_prompt_is_refused_and_says_what_is_wanted() {
    let world = World::start(Manner::Rings).await;
    let refused = async |key, name: &str, kind, wav: Vec<u8>| {
        let (status, body) = ask(&world, Method::PUT, key, name, Some((kind, wav))).await;
        (status.as_u16(), body["detail"].as_str().unwrap_or_default().to_owned())
    };
    let (status, detail) = refused(ADMIN, "/music", "audio/mpeg", wav(900.0, 8_000)).await;
    assert!(status == 415 && detail.contains("audio/wav"), "{status} {detail}");
    let (status, detail) = refused(ADMIN, "/music", "audio/wav", b"ID3".to_vec()).await;
    assert!(
        status == 422 && detail.contains("it must be a WAV file"),
        "{status} {detail}"
    );
    let (status, detail) = refused(ADMIN, "/Music", "audio/wav", wav(900.0, 8_000)).await;
    assert!(status == 422 && detail.contains("a-z"), "{status} {detail}");
    let answer = too_large(&world).await;
    assert!(
        answer.starts_with("HTTP/1.1 413 ") && answer.contains("67108864"),
        "{answer}"
    );
    let (status, _) = refused(OWN, "/music", "audio/wav", wav(900.0, 8_000)).await;
    assert_eq!(status, 403);

    // Nobody names this one: it may come and go.
    let put = put(&world, "/music", wav(900.0, 48_000)).await;
    assert_eq!(
        (&put["schema"], &put["length_ms"], &put["used_by"]),
        (&json!("baton.prompt/1"), &json!(1_000), &json!([]))
    );
    let list = world.document("/v1/prompts").await;
    assert_eq!(list["prompts"][0]["name"], "music", "{list}");
    let (status, _) = ask(&world, Method::DELETE, ADMIN, "/music", None).await;
    assert_eq!(status, StatusCode::NO_CONTENT);
    let (status, _) = ask(&world, Method::DELETE, ADMIN, "/music", None).await;
    assert_eq!(status, StatusCode::NOT_FOUND);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn after_three_handoffs_a_caller_is_told_how_long_it_will_take_in_the_operator_s_own_words() {
    let plan = Plan {
        more: "[prompts]\nestimate_every_s = 600\nestimate_soon = { uploaded = \"soon\" }\n",
        // Ports rest for a while: each call has its own. No new version comes that would need the other half.
        pairs: 16,
        ..Plan::all(Way::udp(FOUR))
    };
    let mut world = World::with(plan).await;
    let soon = put(&world, "/soon", wav(2_500.0, 16_000)).await;
    assert_eq!(soon["used_by"], json!(["prompts.estimate_soon"]));
    for _ in 0..3 {
        let cold = json!({ "mode": "cold", "reason": "asked for a human" });
        let (mut caller, handoff) = handing_off(&mut world, cold).await;
        caller.hears(Voice::Human).await;
        world.events(&handoff, "baton.handoff.joined").await;
        over(caller).await;
    }
    let (mut caller, _) = handing_off(&mut world, warm()).await;
    caller.hears_a_tone(2_500.0).await;
    over(caller).await;
    world.stop().await;
}
