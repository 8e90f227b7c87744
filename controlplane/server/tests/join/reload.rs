//! The file is read anew while a call runs.

use reqwest::StatusCode;
use rustix::process::Signal as Kill;
use serde_json::{Value, json};

use crate::PATIENCE;
use crate::drain::{ends, signal};
use crate::party::{Carrier, Manner, Party, Signal, Voice, Wish};
use crate::upgrade::{says, taken_over};
use crate::way::{FOUR, Way};
use crate::world::{ADMIN, OWN, Plan, World, warm};

/// The file with other text in place of some.
fn write(world: &mut World, changes: &[(&str, &str)]) {
    let file = world.program().1.join("baton.toml");
    let mut text = std::fs::read_to_string(&file).expect("the file");
    for (old, new) in changes {
        assert!(text.contains(old), "{old}");
        text = text.replacen(old, new, 1);
    }
    std::fs::write(file, text).expect("written");
}

fn keys(list: &Value) -> Vec<&str> {
    list.as_array()
        .expect("a list")
        .iter()
        .filter_map(Value::as_str)
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_keeps_what_it_began_with_and_the_next_one_goes_by_the_new_file() {
    let plan = Plan::all(Way::udp(FOUR));
    let manner = Manner::Rings;
    let mut world = World::with_program(Plan { manner, ..plan }).await;
    let handoff = world.ask_for_a_human(warm()).await;
    world.events(&handoff, "baton.handoff.ringing").await;
    world.caller.forget();
    world.caller.hears_a_prompt().await;

    let prompts = concat!(env!("CARGO_MANIFEST_DIR"), "/prompts");
    let hold = format!("[prompts]\nhold = \"{prompts}/busy.wav\"\n[playbook]");
    write(
        &mut world,
        &[
            ("accept = \"api\"", "accept = \"answer\""),
            ("[playbook]", &hold),
            ("drain_s = 0", "drain_s = 3600"),
            ("t1_ms = 100", "t1_ms = 200"),
            ("name = \"crm\"", "name = \"new crm\""),
            ("ports_per_worker = 8", "ports_per_worker = 4"),
        ],
    );
    let (status, done) = world.post(OWN, "/v1/reload", Value::Null).await;
    assert_eq!(status, StatusCode::FORBIDDEN, "{done}");
    let (status, done) = world.post(ADMIN, "/v1/reload", Value::Null).await;
    assert_eq!(
        (status, &done["schema"]),
        (StatusCode::OK, &json!("baton.reload/1")),
        "{done}"
    );
    assert_eq!(
        keys(&done["changed"]),
        ["node.drain_s", "playbook.accept", "prompts.hold", "webhooks.name"]
    );
    let fixed: Vec<_> = done["needs_restart"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|it| &it["key"])
        .collect();
    assert_eq!(fixed, [&json!("media.ports_per_worker"), &json!("sip.t1_ms")]);
    assert!(done["needs_restart"][1]["why"].is_string());

    // From now on another endpoint tells the events, to the same place.
    // The human still has to take this call by the API.
    world.caller.hears_a_prompt().await;
    world.human.wish(Wish::Answer);
    world.is_taken(&handoff).await;
    world.events(&handoff, "baton.handoff.completed").await;
    assert_eq!(world.record(&handoff).await["result"], "joined");
    world.hang_up().await;

    // The next one is joined when its human has answered.
    let mut second = Party::start(Voice::Caller, Manner::IsBusy, Way::udp(FOUR)).await;
    second.wish(Wish::Call(world.sip, Carrier::Refuses));
    let call = loop {
        if let Signal::Invited(Some(call), None) = world.ai.next().await {
            break call;
        }
    };
    world.call = call;
    second.until(&Signal::Up).await;
    second.hears(Voice::Ai).await;
    let handoff = world.ask_for_a_human(warm()).await;
    while !matches!(world.human.next().await, Signal::Invited(..)) {}
    world.human.wish(Wish::Answer);
    world.events(&handoff, "baton.handoff.joined").await;
    second.hears(Voice::Human).await;
    world.human.hears(Voice::Caller).await;
    second.wish(Wish::HangUp);
    world.human.until(&Signal::Bye).await;
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_with_a_mistake_changes_nothing() {
    let plan = Plan::all(Way::udp(FOUR));
    let mut world = World::with_program(Plan {
        node: "drain_s = 0\nlog = \"info\"",
        ..plan
    })
    .await;
    write(
        &mut world,
        &[
            ("accept = \"api\"", "accept = \"answer\"\nrech_s = 3"),
            ("log = \"info\"", "log = \"debug\"\nnme = \"x\""),
        ],
    );
    let (status, problem) = world.post(ADMIN, "/v1/reload", Value::Null).await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{problem}");
    assert_eq!(problem["schema"], "baton.problem/1");
    let named: Vec<_> = problem["problems"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|it| &it["key"])
        .collect();
    assert_eq!(named, [&json!("node.nme"), &json!("playbook.rech_s")]);
    assert!(problem["problems"][1]["line"].is_u64());
    signal(world.program().0, Kill::HUP);
    says(world.program().0, "the configuration was not taken").await;

    // Still by the API, as before.
    let handoff = world.ask_for_a_human(warm()).await;
    world.is_taken(&handoff).await;
    assert!(!world.program().0.said().contains("DEBUG"));

    write(&mut world, &[("rech_s = 3", ""), ("nme = \"x\"", "")]);
    signal(world.program().0, Kill::HUP);
    says(world.program().0, "the configuration was read anew").await;
    world.hang_up().await;
    says(world.program().0, "DEBUG").await;
    let (status, done) = world.post(ADMIN, "/v1/reload", Value::Null).await;
    assert_eq!((status, &done["changed"]), (StatusCode::OK, &json!([])), "{done}");
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_api_s_keys_and_targets_are_those_of_the_new_file() {
    let mut world = World::with_program(Plan::all(Way::udp(FOUR))).await;
    let url = format!("http://{}/v1/events", world.http);
    let reader = world.client.get(url).bearer_auth(OWN).send().await.expect("an answer");
    assert_eq!(reader.status(), StatusCode::OK);

    write(
        &mut world,
        &[
            (&format!("key = \"{OWN}\""), "key = \"another-own-key\""),
            ("name = \"sales\"", "name = \"billing\""),
        ],
    );
    let (status, done) = world.post(ADMIN, "/v1/reload", Value::Null).await;
    assert_eq!(status, StatusCode::OK, "{done}");
    assert_eq!(keys(&done["changed"]), ["http.keys.key", "targets.name"]);

    // Whoever had the old key hears nothing more.
    let read = tokio::time::timeout(PATIENCE, reader.bytes()).await;
    read.expect("its end").expect("a whole answer");
    let turns = format!("/v1/calls/{}/turns", world.call);
    let turn = json!({ "role": "caller", "text": "hello" });
    let (status, problem) = world.post(OWN, &turns, turn.clone()).await;
    assert_eq!(status, StatusCode::UNAUTHORIZED, "{problem}");
    let (status, decided) = world.post("another-own-key", &turns, turn).await;
    assert_eq!(status, StatusCode::OK, "{decided}");
    let targets = world.document("/v1/targets").await;
    let names: Vec<_> = targets["targets"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|it| &it["name"])
        .collect();
    assert_eq!(names, [&json!("support"), &json!("billing")]);
    world.caller.wish(Wish::HangUp);
    world.ai.until(&Signal::Bye).await;
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_take_over_the_new_version_s_keys_count_for_the_old_one_s_calls_too() {
    let node = "drain_s = 3600";
    let mut world = World::with_program(Plan {
        node,
        ..Plan::all(Way::udp(FOUR))
    })
    .await;
    let mut new = taken_over(&mut world).await;
    write(
        &mut world,
        &[(&format!("key = \"{OWN}\""), "key = \"another-own-key\"")],
    );
    let (status, done) = world.post(ADMIN, "/v1/reload", Value::Null).await;
    assert_eq!(status, StatusCode::OK, "{done}");
    let turns = format!("/v1/calls/{}/turns", world.call);
    let turn = json!({ "role": "caller", "text": "hello" });
    let (status, problem) = world.post(OWN, &turns, turn.clone()).await;
    assert_eq!(status, StatusCode::UNAUTHORIZED, "{problem}");
    let (status, decided) = world.post("another-own-key", &turns, turn).await;
    assert_eq!(status, StatusCode::OK, "{decided}");
    // It is no key to what only an administrator may.
    let accept = format!("/v1/handoffs/{}/accept", world.ask_for_a_human(warm()).await);
    let (status, problem) = world.post("another-own-key", &accept, Value::Null).await;
    assert_eq!(status, StatusCode::FORBIDDEN, "{problem}");
    world.human.until(&Signal::Up).await;
    world.hang_up().await;
    ends(world.program().0);
    new.terminate();
    ends(&mut new);
}
