//! A caller is promised to be called back, and is.

use jiff::Timestamp;
use reqwest::{Method, StatusCode};
use rustix::process::Signal as Kill;
use serde_json::{Value, json};
use tokio::time::{sleep, timeout};

use crate::PATIENCE;
use crate::drain::signal;
use crate::party::{Carrier, Manner, Signal, Voice, Wish};
use crate::way::{FOUR, Way};
use crate::world::{ADMIN, NUMBER, OWN, Plan, World, ready, start_program, warm};

/// The slot that runs counts: its caller is called as soon as it has hung up.
const NOW: &str = "[callback]\nlead_min = 0\nslot_min = 60\nattempts = 1\n";

fn plan(number: Option<Manner>, more: &'static str) -> Plan {
    Plan {
        number,
        more,
        ..Plan::all(Way::udp(FOUR))
    }
}

async fn promise(world: &World, key: &str, wish: Value) -> (StatusCode, Value) {
    world
        .post(key, &format!("/v1/calls/{}/callback", world.call), wish)
        .await
}

async fn promised(world: &World) -> String {
    let (status, body) = promise(world, OWN, json!({ "reason": "a refund" })).await;
    assert_eq!(status, StatusCode::CREATED, "{body}");
    body["id"].as_str().expect("an id").to_owned()
}

/// Until the callback is in this state.
async fn becomes(world: &World, id: &str, state: &str) -> Value {
    let path = format!("/v1/callbacks/{id}");
    let mut callback = Value::Null;
    let waiting = async {
        loop {
            callback = world.document(&path).await;
            if callback["state"] == state {
                return;
            }
            sleep(std::time::Duration::from_millis(50)).await;
        }
    };
    let found = timeout(PATIENCE, waiting).await;
    assert!(found.is_ok(), "never {state}: {callback:#}");
    callback
}

/// The caller of the first call hangs up.
async fn leaves(world: &mut World) {
    world.caller.wish(Wish::HangUp);
    world.caller.until(&Signal::Over).await;
}

/// An INVITE came to the caller, of this call.
async fn is_called(world: &mut World) -> String {
    loop {
        if let Signal::Invited(call, handoff) = world.caller.next().await {
            assert_eq!(handoff, None);
            return call.expect("of a call");
        }
    }
}

/// The caller has answered: the human is briefed, and joined.
async fn has_its_human(world: &mut World) -> String {
    let handoff = loop {
        if let Signal::Invited(_, Some(handoff)) = world.human.next().await {
            break handoff;
        }
    };
    world.is_briefed(&handoff).await;
    world.accept(&handoff).await;
    world.caller.hears(Voice::Human).await;
    world.human.hears(Voice::Caller).await;
    handoff
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_whom_the_ai_has_promised_it_is_called_after_it_has_hung_up_and_a_human_has_it_with_the_context() {
    let mut world = World::with(plan(Some(Manner::Answers), NOW)).await;
    let (status, _) = world
        .post(
            OWN,
            &format!("/v1/calls/{}/turns", world.call),
            json!({ "role": "caller", "text": "my refund" }),
        )
        .await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(
        world.patch(OWN, json!({ "goal": "a refund of order 17" })).await,
        StatusCode::OK
    );
    let id = promised(&world).await;
    let call = world.call.clone();
    world.events(&call, "baton.handoff.callback_scheduled").await;
    assert_eq!(world.data["callback"]["id"], id);
    let callback = world.document(&format!("/v1/callbacks/{id}")).await;
    let time = |member: &str| {
        callback[member]
            .as_str()
            .expect("a time")
            .parse::<Timestamp>()
            .expect("RFC 3339")
    };
    let now = Timestamp::now();
    assert!(time("from") <= now && now < time("until"), "{callback}");
    let told = ["state", "call", "handoff", "target", "time_zone", "reason", "attempts"]
        .map(|member| callback[member].clone());
    let wanted = [
        json!("scheduled"),
        json!(call),
        Value::Null,
        Value::Null,
        json!("UTC"),
        json!("a refund"),
        json!(0),
    ];
    assert_eq!(told, wanted, "{callback}");
    assert_eq!(callback["context"]["fields"]["goal"], "a refund of order 17");
    world
        .metrics_say(&["baton_callbacks_total{result=\"scheduled\"} 1"])
        .await;

    leaves(&mut world).await;
    let back = is_called(&mut world).await;
    assert_ne!(back, call);
    let handoff = has_its_human(&mut world).await;
    let callback = becomes(&world, &id, "done").await;
    let [attempt] = &callback["calls"].as_array().expect("a list")[..] else {
        panic!("one attempt: {callback}")
    };
    assert_eq!(
        (&attempt["call"], &attempt["outcome"]),
        (&json!(back), &json!("joined"))
    );
    assert_eq!(
        (&callback["attempts"], &callback["late_ms"], &callback["cause"]),
        (&json!(1), &Value::Null, &Value::Null)
    );
    let record = world.record(&handoff).await;
    assert_eq!(
        (&record["call"], &record["requested_reason"]),
        (&json!(back), &json!("a refund"))
    );
    let context = &record["context"];
    assert_eq!(context["fields"]["goal"], "a refund of order 17");
    assert_eq!(context["transcript"][0]["text"], "my refund");
    world
        .metrics_say(&[
            "baton_callbacks_total{result=\"done\"} 1",
            "baton_callbacks_late_seconds_total 0",
        ])
        .await;
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_who_rings_again_and_has_its_human_then_is_called_no_more() {
    let mut world = World::with(plan(Some(Manner::Answers), "")).await;
    let id = promised(&world).await;
    let callback = world.document(&format!("/v1/callbacks/{id}")).await;
    assert_eq!(callback["targets"], json!(["support"]), "{callback}");
    leaves(&mut world).await;
    world.ai.until(&Signal::Bye).await;
    world.caller.wish(Wish::Call(world.sip, Carrier::Refuses));
    world.call = loop {
        if let Signal::Invited(Some(call), None) = world.ai.next().await {
            break call;
        }
    };
    world.ai.until(&Signal::Up).await;
    let handoff = world.ask_for_a_human(warm()).await;
    world.is_briefed(&handoff).await;
    world.accept(&handoff).await;
    world.is_joined().await;
    let callback = becomes(&world, &id, "done").await;
    let [attempt] = &callback["calls"].as_array().expect("a list")[..] else {
        panic!("one call: {callback}")
    };
    assert_eq!(
        (&attempt["call"], &attempt["outcome"], &callback["attempts"]),
        (&json!(world.call), &json!("other_call"), &json!(0))
    );
    world.events(&id, "baton.callback.done").await;
    assert_eq!(world.data["calls"], callback["calls"]);
    world.metrics_say(&["baton_callbacks_total{result=\"done\"} 1"]).await;
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_who_is_not_reached_as_often_as_is_tried_is_missed() {
    let mut world = World::with(plan(Some(Manner::IsBusy), NOW)).await;
    let id = promised(&world).await;
    leaves(&mut world).await;
    let callback = becomes(&world, &id, "missed").await;
    let attempt = &callback["calls"][0];
    assert_eq!(
        (&attempt["status"], &attempt["outcome"]),
        (&json!(486), &json!("not_reached"))
    );
    world.events(&id, "baton.callback.missed").await;
    assert_eq!(world.data["cause"], "not_reached");
    assert_eq!(callback["cause"], "not_reached");
    world
        .metrics_say(&["baton_callbacks_missed_total{cause=\"not_reached\"} 1"])
        .await;
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_killed_while_it_calls_somebody_back_does_so_again() {
    let mut world = World::with_program(plan(Some(Manner::Rings), NOW)).await;
    let id = promised(&world).await;
    leaves(&mut world).await;
    let first = is_called(&mut world).await;
    let (client, http) = (world.client.clone(), world.http);
    let (program, folder) = world.program();
    signal(program, Kill::KILL);
    program.wait(PATIENCE);
    let mut new = start_program("again", folder, &[]);
    ready(&client, http, &mut new).await;
    *world.program().0 = new;
    assert_ne!(is_called(&mut world).await, first);
    world.caller.wish(Wish::Answer);
    has_its_human(&mut world).await;
    let callback = becomes(&world, &id, "done").await;
    assert_eq!(callback["attempts"], 2, "{callback}");
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_promise_is_for_who_may_have_one_once_and_can_be_taken_back() {
    let mut world = World::with(plan(Some(Manner::IsBusy), "[callback]\nshare = 0.01\n")).await;
    // Whoever hears the caller say a number has no way to have it called.
    let (status, _) = promise(&world, OWN, json!({ "number": "+491900" })).await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
    for wrong in [
        json!({ "target": "nobody" }),
        json!({ "not_before": "tomorrow" }),
        json!({ "reason": 7 }),
    ] {
        let (status, body) = promise(&world, OWN, wrong).await;
        assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{body}");
    }
    let (status, body) = promise(&world, OWN, json!({ "not_before": "2999-01-01T00:00:00Z" })).await;
    assert_eq!(
        (status, &body["type"]),
        (StatusCode::CONFLICT, &json!("urn:baton:problem:no-slot")),
        "{body}"
    );
    let id = promised(&world).await;
    assert_eq!(promised(&world).await, id, "the same again");
    let list = world.document("/v1/callbacks?state=scheduled").await;
    assert_eq!(list["callbacks"].as_array().map(Vec::len), Some(1), "{list}");
    assert_eq!(world.document("/v1/callbacks?state=done").await["callbacks"], json!([]));
    assert_eq!(
        list["callbacks"][0]["caller"],
        format!("sip:{NUMBER}@{}", world.caller.at)
    );
    let url = format!("http://{}/v1/callbacks/{id}", world.http);
    let cancel = || async {
        let request = world.client.request(Method::DELETE, &url).bearer_auth(ADMIN);
        request.send().await.expect("an answer").status()
    };
    assert_eq!(cancel().await, StatusCode::NO_CONTENT);
    assert_eq!(cancel().await, StatusCode::CONFLICT);
    world.events(&id, "baton.callback.cancelled").await;
    assert_ne!(promised(&world).await, id, "a new one");
    leaves(&mut world).await;
    world.stop().await;

    let world = World::with(plan(None, "")).await;
    let (status, body) = promise(&world, OWN, json!({})).await;
    assert_eq!(
        (status, &body["type"]),
        (StatusCode::CONFLICT, &json!("urn:baton:problem:no-number")),
        "{body}"
    );
    world.stop().await;
}
