//! Human agents by API, of a server that is killed, reads its file anew and is taken over.

use reqwest::{Method, StatusCode};
use rustix::process::Signal as Kill;
use serde_json::{Value, json};

use crate::PATIENCE;
use crate::drain::signal;
use crate::party::{Manner, Party, Signal, Voice, Wish};
use crate::pbx::Pbx;
use crate::prompts::{handing_off, put as upload, wav};
use crate::upgrade::{says, taken_over};
use crate::way::{FOUR, Way};
use crate::world::{ADMIN, Plan, World, ready, start_program};

const QUEUE: &str = "[[targets]]\nname = \"billing\"\nnext_hop = \"127.0.0.1:9\"\npatterns = [\"sip:agent-*@127.0.0.1\"]\n\
                     [targets.queue]\n[[http.keys]]\nname = \"floor\"\nkey = \"desk-key\"\nscope = \"desk\"\n";

async fn ask(world: &World, method: Method, key: &str, path: &str, body: Value) -> (StatusCode, Value) {
    let url = format!("http://{}/v1/agents/{path}", world.http);
    let request = world.client.request(method, url).bearer_auth(key);
    let request = request
        .header("content-type", "application/json")
        .body(body.to_string());
    let answer = request.send().await.expect("an answer");
    let status = answer.status();
    let text = answer.text().await.expect("a body");
    (status, serde_json::from_str(&text).unwrap_or_default())
}

pub(crate) async fn put(world: &World, key: &str, path: &str, body: Value) -> Value {
    let (status, body) = ask(world, Method::PUT, key, path, body).await;
    assert_eq!(status, StatusCode::OK, "{body}");
    body
}

/// SIGKILL at this moment, and another start.
async fn killed(world: &mut World) {
    let (client, http) = (world.client.clone(), world.http);
    let (program, folder) = world.program();
    signal(program, Kill::KILL);
    program.wait(PATIENCE);
    let mut new = start_program("again", folder, &[]);
    ready(&client, http, &mut new).await;
    *world.program().0 = new;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_said_of_an_agent_outlives_a_kill_right_after_the_answer_and_a_take_over() {
    let plan = Plan {
        manner: Manner::Rings,
        more: QUEUE,
        node: "drain_s = 0\nlog = \"info\"",
        ..Plan::all(Way::udp(FOUR))
    };
    let mut world = World::with_program(plan).await;
    let anna = json!({
        "name": "Anna", "uri": "sip:agent-1@127.0.0.1", "skills": { "billing": 5 }, "languages": ["de"],
        "presence": "available", "calls": 2, "order": 7,
    });
    let before = put(&world, ADMIN, "anna", anna).await;
    assert_eq!(
        (&before["state"], &before["queues"]),
        (&json!("available"), &json!(["billing"]))
    );
    // Who has changed what is in the log.
    says(world.program().0, "a human agent was put agent=\"anna\" by=\"admin\"").await;
    killed(&mut world).await;
    let same = |now: &Value, presence: &str| {
        for member in ["name", "uri", "skills", "languages", "calls", "order", "queues"] {
            assert_eq!(now[member], before[member], "{member}");
        }
        assert_eq!(now["presence"], presence, "{now}");
    };
    same(&world.document("/v1/agents/anna").await, "available");

    put(&world, "desk-key", "anna/presence", json!({ "presence": "away" })).await;
    says(world.program().0, "agent=\"anna\" by=\"floor\" presence=\"away\"").await;
    killed(&mut world).await;
    same(&world.document("/v1/agents/anna").await, "away");

    // Of two versions the new one has what the old one was told last.
    put(&world, ADMIN, "berta", json!({ "uri": "sip:agent-2@127.0.0.1" })).await;
    put(&world, ADMIN, "anna/presence", json!({ "presence": "busy" })).await;
    let new = taken_over(&mut world).await;
    let old = std::mem::replace(world.program().0, new);
    let list = world.document("/v1/agents").await;
    same(&list["agents"][0], "busy");
    assert_eq!(list["agents"][1]["id"], "berta");

    let (status, _) = ask(&world, Method::DELETE, ADMIN, "anna", Value::Null).await;
    assert_eq!(status, StatusCode::NO_CONTENT);
    drop(old);
    killed(&mut world).await;
    let list = world.document("/v1/agents").await;
    assert_eq!(list["agents"].as_array().map(Vec::len), Some(1), "{list}");
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whom_no_queue_may_call_any_more_after_a_reload_is_known_and_called_by_nobody() {
    let plan = Plan {
        more: QUEUE,
        ..Plan::all(Way::udp(FOUR))
    };
    let mut world = World::with_program(plan).await;
    let said = json!({ "uri": "sip:agent-1@127.0.0.1", "presence": "available" });
    put(&world, ADMIN, "anna", said.clone()).await;
    let queues = world.document("/v1/queues").await;
    assert_eq!(queues["queues"][0]["agents"], json!({ "available": 1 }));
    let says = [
        "baton_queue_open{queue=\"billing\"} 1",
        "baton_queue_waiting{queue=\"billing\"} 0",
        "baton_queue_longest_wait_seconds{queue=\"billing\"} 0",
        "baton_queue_agents{queue=\"billing\",state=\"available\"} 1",
        "baton_queue_agents{queue=\"billing\",state=\"talking\"} 0",
    ];
    world.metrics_say(&says).await;

    let file = world.program().1.join("baton.toml");
    let text = std::fs::read_to_string(&file).expect("the file");
    std::fs::write(&file, text.replace("sip:agent-*@", "sip:human-*@")).expect("written");
    let (status, done) = world.post(ADMIN, "/v1/reload", Value::Null).await;
    assert_eq!(
        (status, &done["changed"]),
        (StatusCode::OK, &json!(["targets.patterns"]))
    );
    let is_nobodys = async |world: &World, presence: &str| {
        let anna = world.document("/v1/agents/anna").await;
        assert_eq!(
            (&anna["queues"], &anna["presence"]),
            (&json!([]), &json!(presence)),
            "{anna}"
        );
        let queues = world.document("/v1/queues").await;
        assert_eq!(queues["queues"][0]["agents"], json!({}), "{queues}");
    };
    is_nobodys(&world, "available").await;
    // It may still say that it goes; and nobody can put it back as it was.
    put(&world, "desk-key", "anna/presence", json!({ "presence": "offline" })).await;
    is_nobodys(&world, "offline").await;
    let (status, why) = ask(&world, Method::PUT, ADMIN, "anna", said).await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(
        why["detail"]
            .as_str()
            .is_some_and(|why| why.contains("no queue may call")),
        "{why}"
    );
    killed(&mut world).await;
    is_nobodys(&world, "offline").await;
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_callers_get_two_agents_and_the_third_hears_its_place_and_gets_who_is_freed_first() {
    let way = Way::udp(FOUR);
    let anna = Party::start(Voice::Human, Manner::Answers, way).await;
    let berta = Party::start(Voice::Human, Manner::Answers, way).await;
    let carla = Party::start(Voice::Human, Manner::Rings, way).await;
    let phones = vec![("agent-1", anna.at), ("agent-2", berta.at), ("agent-3", carla.at)];
    let more = format!(
        "[[targets]]\nname = \"billing\"\nnext_hop = \"{}\"\npatterns = [\"sip:agent-*@127.0.0.1\"]\nring_s = 2\n\
         [targets.queue]\nwrap_up_s = 1\n\
         [prompts]\nplace_intro = {{ uploaded = \"intro\" }}\nplace_numbers = {{ 1 = {{ uploaded = \"first\" }} }}\n",
        Pbx::of(phones).await.at
    );
    let plan = Plan {
        more: more.leak(),
        pairs: 16,
        ..Plan::all(way)
    };
    let mut world = World::with(plan).await;
    for (name, hz) in [("/intro", 900.0), ("/first", 1_700.0)] {
        upload(&world, name, wav(hz, 8_000)).await;
    }
    for (id, user) in [("anna", "agent-1"), ("berta", "agent-2")] {
        let said = json!({ "uri": format!("sip:{user}@127.0.0.1"), "presence": "available" });
        put(&world, ADMIN, id, said).await;
    }
    let wish = || json!({ "mode": "cold", "target": "billing", "reason": "asked for a human" });

    // Both at once, each at its own URI; who was there first is first.
    let (mut first, one) = handing_off(&mut world, wish()).await;
    world.events(&one, "baton.handoff.joined").await;
    first.hears(Voice::Human).await;
    let (mut second, two) = handing_off(&mut world, wish()).await;
    world.events(&two, "baton.handoff.joined").await;
    second.hears(Voice::Human).await;
    for (handoff, agent) in [(&one, "anna"), (&two, "berta")] {
        let record = world.record(handoff).await;
        assert_eq!(
            (&record["agent"], &record["place"]),
            (&json!(agent), &Value::Null),
            "{record}"
        );
        assert_eq!(record["timeline"]["queued"], Value::Null);
    }

    // Nobody is free: it is told its place, and the desk sees that it waits.
    let (mut third, three) = handing_off(&mut world, wish()).await;
    let types = world.events(&three, "baton.handoff.queued").await;
    assert_eq!(types, ["baton.handoff.queued"]);
    assert_eq!(
        (&world.data["target"], &world.data["place"]),
        (&json!("billing"), &json!(1))
    );
    third.hears_a_tone(900.0).await;
    third.hears_a_tone(1_700.0).await;
    let queue = &world.document("/v1/queues").await["queues"][0];
    assert_eq!(
        (&queue["waiting"], &queue["agents"]),
        (&json!(1), &json!({ "talking": 2 })),
        "{queue}"
    );
    world.metrics_say(&["baton_queue_waiting{queue=\"billing\"} 1"]).await;
    assert_eq!(world.record(&three).await["state"], "consulting");

    // Who is freed is left alone for a moment, and then has the third.
    second.wish(Wish::HangUp);
    second.until(&Signal::Over).await;
    let types = world.events(&three, "baton.handoff.joined").await;
    assert_eq!(
        types[0], "baton.handoff.requested",
        "with its context, as she is called"
    );
    third.hears(Voice::Human).await;
    let record = world.record(&three).await;
    assert_eq!(
        (&record["agent"], &record["place"]),
        (&json!("berta"), &json!(1)),
        "{record}"
    );
    let since = |step: &str| record["timeline"][step].as_u64().expect("a time");
    assert!(since("queued") <= since("answered"), "{record}");
    let says = [
        "baton_queue_waiting{queue=\"billing\"} 0",
        "baton_queue_wait_seconds_count{queue=\"billing\"} 1",
        "baton_queue_left_total{queue=\"billing\",how=\"called\"} 1",
    ];
    world.metrics_say(&says).await;

    // Who does not answer is set aside, and the caller waits on.
    let said = json!({ "uri": "sip:agent-3@127.0.0.1", "presence": "available" });
    put(&world, ADMIN, "carla", said).await;
    let (mut fourth, four) = handing_off(&mut world, wish()).await;
    world.events(&four, "baton.handoff.queued").await;
    let carla = world.document("/v1/agents/carla").await;
    assert_eq!(carla["state"], "set_aside", "{carla}");
    assert!(carla["set_aside_s"].is_u64(), "{carla}");
    let record = world.record(&four).await;
    let failed = json!([{ "target": "billing", "agent": "carla", "reason": "no_answer", "status": null }]);
    assert_eq!(
        (&record["failed_targets"], &record["agent"]),
        (&failed, &Value::Null),
        "{record}"
    );
    for caller in [&mut fourth, &mut third, &mut first] {
        caller.wish(Wish::HangUp);
        caller.until(&Signal::Over).await;
    }
    world.stop().await;
}
