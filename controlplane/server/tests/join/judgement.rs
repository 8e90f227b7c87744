//! Handoffs that nobody asks for but the playbook.

use reqwest::StatusCode;
use serde_json::{Value, json};
use tokio::time::timeout;

use crate::PATIENCE;
use crate::party::{Carrier, Manner, Party, Signal, Voice, Wish};
use crate::way::{FOUR, Way};
use crate::world::{ADMIN, OWN, Plan, World, warm};

#[tokio::test(flavor = "multi_thread")]
async fn a_turn_with_a_topic_hands_off_and_answer_record_webhook_and_stream_say_by_which_rule_and_why() {
    let mut plan = Plan::all(Way::udp(FOUR));
    plan.manner = Manner::IsBusy;
    plan.more = "[[playbook.rules]]\nname = \"money\"\ntopics = [\"billing\"]\nif = 'order.value > 500'\n";
    let mut world = World::with(plan).await;
    let turns = format!("/v1/calls/{}/turns", world.call);
    let said = json!([
        { "role": "caller", "text": "it is about my invoice", "topic": "billing" },
        { "role": "ai", "text": "let me see" },
    ]);
    let (status, decided) = world.post(OWN, &turns, said).await;
    assert_eq!((status, &decided["decision"]), (StatusCode::OK, &json!("continue")));
    let order = json!({ "fields": { "order": { "value": 800 } } });
    assert_eq!(world.patch(OWN, order).await, StatusCode::OK);

    let turn = json!({ "role": "caller", "text": "and what about the invoice?", "topic": "Billing" });
    let (status, decided) = world.post(OWN, &turns, turn).await;
    let because = "topic billing and order.value > 500, turn 3";
    assert_eq!(
        (status, &decided["decision"], &decided["rule"], &decided["because"]),
        (StatusCode::OK, &json!("handoff"), &json!("money"), &json!(because))
    );
    let handoff = decided["handoff"].as_str().expect("an id").to_owned();
    assert!(matches!(world.human.next().await, Signal::Invited(Some(_), Some(_))));

    let trigger = json!({ "rule": "money", "because": because });
    world.events(&handoff, "baton.handoff.requested").await;
    assert_eq!(world.data["trigger"], trigger, "the webhook");
    let stream = world.streamed("", "baton.handoff.requested").await;
    assert_eq!(stream["data"]["trigger"], trigger, "the stream");
    world.events(&handoff, "baton.handoff.failed").await;
    let record = world.record(&handoff).await;
    assert_eq!(
        (&record["trigger"], &record["requested_reason"]),
        (&trigger, &Value::from(format!("rule money: {because}")))
    );
    world
        .metrics_say(&[
            "baton_handoffs_requested_total{trigger=\"rule\",mode=\"warm\",target=\"support\"} 1",
            "baton_rule_handoffs_requested_total{rule=\"money\"} 1",
            "baton_rule_handoffs_total{rule=\"money\",joined=\"no\"} 1",
            "baton_calls_handed_off_total 0",
        ])
        .await;
    world.stop().await;
}

/// The rules, the matrix and what is cut out of the example, with the only human that there is.
fn billing() -> &'static str {
    let text = include_str!("../../../playbook/examples/billing.toml");
    let from = text.find("[playbook.redact]").expect("what is cut out");
    let own = text[from..].replace("[\"retention\", \"billing\", \"front-desk\"]", "[\"support\"]");
    own.replace("targets = [\"billing\"]", "targets = [\"support\"]").leak()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_worked_example_of_billing_goes_over_the_api_as_its_conversation_says() {
    let mut plan = Plan::all(Way::udp(FOUR));
    plan.manner = Manner::IsBusy;
    plan.more = billing();
    let mut world = World::with(plan).await;
    let conversations: Value =
        serde_json::from_str(include_str!("../../../playbook/examples/billing.json")).expect("JSON");
    let steps = conversations[0]["steps"].as_array().expect("steps");
    let (last, before) = steps.split_last().expect("a step");
    let turns = format!("/v1/calls/{}/turns", world.call);
    for step in before {
        assert_eq!(step["then"], "nothing");
        match step["turn"].is_object() {
            true => {
                let (status, told) = world.post(OWN, &turns, step["turn"].clone()).await;
                assert_eq!(
                    (status, &told["decision"]),
                    (StatusCode::OK, &json!("continue")),
                    "{step}"
                );
            }
            false => assert_eq!(
                world.patch(OWN, step["context"].clone()).await,
                StatusCode::OK,
                "{step}"
            ),
        }
    }
    assert_eq!(world.patch(OWN, last["context"].clone()).await, StatusCode::OK);
    let Signal::Invited(_, Some(handoff)) = world.human.next().await else {
        panic!("nobody is invited")
    };
    world.events(&handoff, "baton.handoff.failed").await;
    let (record, then) = (world.record(&handoff).await, &last["then"]);
    assert_eq!(
        record["trigger"],
        json!({ "rule": then["rule"], "because": then["because"] })
    );
    for member in ["decision", "mode"] {
        assert_eq!(record[member], then[member], "{member}");
    }
    let package = &record["context"];
    let completeness = &package["completeness"];
    assert_eq!(
        (&completeness["present"], &completeness["missing"]),
        (&then["required"], &then["missing"])
    );
    assert_eq!(package["transcript"][3]["text"], steps[3]["kept"]);
    world.stop().await;
}

/// What is told in this test, however it is written: beginnings of a card's number, a secret, and what a pattern finds.
const HIDDEN: [&str; 6] = [
    "510510510510",
    "5105 1051 0510",
    "5105-1051-0510",
    "5105.1051.0510",
    "tulip-73",
    "KD-99812",
];

#[tokio::test(flavor = "multi_thread")]
async fn a_card_a_secret_and_a_pattern_are_in_no_byte_that_is_kept_or_leaves() {
    let mut plan = Plan::all(Way::udp(FOUR));
    plan.node = "drain_s = 0\nlog = \"debug\"";
    plan.more = "[playbook.redact]\nsecret = [\"authentication.word\"]\nmasked = [\"fields.account\"]\n\
                 [[playbook.redact.patterns]]\nname = \"customer\"\npattern = 'KD-\\d+'\n";
    let mut world = World::with_program(plan).await;
    let turns = format!("/v1/calls/{}/turns", world.call);
    let said = json!([
        { "role": "caller", "text": "my card is 5105 1051 0510 5100, and I am KD-99812", "intent": "pay 5105105105105100" },
        { "role": "ai", "text": "5105-1051-0510-5100, is that right?", "topic": "5105.1051.0510.5100", "flags": ["KD-99812"] },
    ]);
    let (status, body) = world.post(OWN, &turns, said).await;
    assert_eq!(status, StatusCode::OK, "{body}");
    let patch = json!({
        "summary": "Pays with 5105 1051 0510 5100.",
        "fields": { "card": 5_105_105_105_105_100_u64, "account": "DE-4400-5678", "5105105105105100": true },
        "authentication": { "word": "tulip-73", "level": 2 },
    });
    assert_eq!(world.patch(OWN, patch).await, StatusCode::OK);
    let wish = |card: &str| {
        json!({
            "mode": "warm",
            "reason": format!("to pay with {card}"),
            "context": { "goal": format!("pay with {card}"), "authentication": { "word": "tulip-73!" } },
        })
    };
    let path = format!("/v1/calls/{}/handoffs", world.call);
    let (status, body) = world.post_once(OWN, &path, wish("5105105105105100"), "once").await;
    assert_eq!(status, StatusCode::ACCEPTED, "{body}");
    let handoff = body["id"].as_str().expect("an id").to_owned();
    // A digest that told the two apart would tell the first one to who tries all that there are.
    let (status, body) = world.post_once(OWN, &path, wish("4111111111155100"), "once").await;
    assert_eq!(
        (status, body["id"].as_str()),
        (StatusCode::ACCEPTED, Some(&*handoff)),
        "{body}"
    );
    world.is_taken(&handoff).await;
    let (status, body) = world
        .post(
            OWN,
            &turns,
            json!({ "role": "caller", "text": "again: 5105105105105100" }),
        )
        .await;
    assert_eq!(status, StatusCode::OK, "{body}");
    world.events(&handoff, "baton.handoff.completed").await;
    let note = json!({ "context": "complete", "right_call": true, "resolved": true, "note": "KD-99812 paid with 5105105105105100" });
    let (status, body) = world
        .post(ADMIN, &format!("/v1/handoffs/{handoff}/feedback"), note)
        .await;
    assert_eq!(status, StatusCode::OK, "{body}");

    let record = world.record(&handoff).await;
    let (package, fields) = (&record["context"], &record["context"]["fields"]);
    assert_eq!(record["requested_reason"], "to pay with ************5100");
    assert_eq!(
        package["transcript"][0]["text"],
        "my card is **** **** **** 5100, and I am [customer]"
    );
    assert_eq!(
        (&fields["fields"]["account"], &fields["authentication"]["word"]),
        (&json!("**-****-5678"), &json!("[secret]"))
    );
    assert_eq!(record["feedback"]["note"], "[customer] paid with ************5100");
    let mut shown = vec![
        record.to_string(),
        world.get(&format!("/v1/handoffs/{handoff}/vcon")).await,
        world.get(&format!("/v1/calls/{}", world.call)).await,
        world.get(&format!("/v1/calls/{}/trace", world.call)).await,
        world.get("/v1/kpi").await,
        world.get("/metrics").await,
        world.streamed("", "baton.handoff.completed").await.to_string(),
    ];
    shown.extend(
        world
            .bodies
            .iter()
            .map(|body| String::from_utf8_lossy(body).into_owned()),
    );
    for hidden in HIDDEN {
        assert!(
            !shown.iter().any(|text| text.contains(hidden)),
            "{hidden} is in {shown:#?}"
        );
    }
    world.hang_up().await;
    let folder = world.program().1.to_owned();
    world.stop().await;
    let mut read = Vec::new();
    for file in std::fs::read_dir(folder).expect("a folder") {
        let path = file.expect("a file").path();
        let name = path.file_name().expect("a name").to_string_lossy().into_owned();
        let bytes = std::fs::read(&path).unwrap_or_default();
        for hidden in HIDDEN {
            let found = bytes.windows(hidden.len()).any(|window| window == hidden.as_bytes());
            assert!(!found, "{hidden} is in {name}");
        }
        read.push(name);
    }
    // The store and the log were among them.
    assert!(
        read.iter().any(|name| name == "baton.db") && read.iter().any(|name| name == "baton.out"),
        "{read:?}"
    );
}

/// What is shown of a call while it is said: types and data of the blocks without an id, in their order.
struct Shown {
    answer: reqwest::Response,
    text: String,
}

impl Shown {
    async fn of(world: &World, call: &str) -> Shown {
        let url = format!("http://{}/v1/events?call={call}", world.http);
        let answer = world
            .client
            .get(url)
            .bearer_auth(ADMIN)
            .send()
            .await
            .expect("an answer");
        assert_eq!(answer.status(), StatusCode::OK);
        Shown {
            answer,
            text: String::new(),
        }
    }

    async fn next(&mut self) -> (String, Value) {
        loop {
            if let Some((block, rest)) = self.text.split_once("\n\n") {
                let field = |name: &str| {
                    block
                        .lines()
                        .find_map(|line| line.strip_prefix(name))
                        .map(str::to_owned)
                };
                let (id, kind, data) = (field("id: "), field("event: "), field("data: "));
                self.text = rest.to_owned();
                if let (None, Some(kind), Some(data)) = (id, kind, data) {
                    return (kind, serde_json::from_str(&data).expect("JSON"));
                }
                continue;
            }
            let chunk = timeout(PATIENCE, self.answer.chunk()).await.expect("in time");
            let chunk = chunk.expect("whole").expect("more of it");
            self.text.push_str(std::str::from_utf8(&chunk).expect("ASCII here"));
        }
    }
}

/// Not only during a handoff.
#[tokio::test(flavor = "multi_thread")]
async fn a_desk_sees_each_turn_and_the_context_while_the_ai_talks() {
    let world = World::start(Manner::Answers).await;
    let path = format!("/v1/calls/{}/turns", world.call);
    let turn = |text: &str| json!({ "role": "caller", "text": text });
    let (status, _) = world.post(OWN, &path, turn("before anybody looked")).await;
    assert_eq!(status, StatusCode::OK);
    let mut shown = Shown::of(&world, &world.call).await;
    let (status, _) = world
        .post(OWN, &path, json!([turn("my card is 4111 1111 1111 1111"), turn("so")]))
        .await;
    assert_eq!(status, StatusCode::OK);
    let said = ["before anybody looked", "my card is **** **** **** 1111", "so"];
    for (number, text) in said.into_iter().enumerate() {
        let (kind, data) = shown.next().await;
        assert_eq!(
            (&*kind, &data["call"], &data["number"], &data["turn"]["text"]),
            ("baton.call.turn", &json!(world.call), &json!(number), &json!(text))
        );
    }
    let context = json!({ "summary": "A late order.", "disclosure": { "told": true } });
    assert_eq!(world.patch(OWN, context).await, StatusCode::OK);
    let (kind, data) = shown.next().await;
    assert_eq!(
        (&*kind, &data["context"]["summary"]),
        ("baton.call.context", &json!("A late order."))
    );
    assert!(data["context"]["disclosure"]["at"].is_string(), "it was now: {data}");
    // Who comes again has all of it again. Another agent's key opens none of it, nor does what is no id.
    let mut again = Shown::of(&world, &world.call).await;
    assert_eq!(again.next().await.1["turn"]["text"], said[0]);
    for (call, status) in [("call_00000000000000ff", 404), ("ff", 400)] {
        let url = format!("http://{}/v1/events?call={call}", world.http);
        let answer = world.client.get(url).bearer_auth(OWN).send().await.expect("an answer");
        assert_eq!(answer.status(), status, "{call}");
    }
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_called_before_a_restart_has_called_before() {
    let mut plan = Plan::all(Way::udp(FOUR));
    plan.more = "[[playbook.rules]]\nname = \"again\"\ncalls = 1\nwithin_h = 1\n";
    let mut world = World::with_program(plan).await;
    let turn = json!({ "role": "caller", "text": "hello" });
    let path = |world: &World| format!("/v1/calls/{}/turns", world.call);
    let (status, decided) = world.post(OWN, &path(&world), turn.clone()).await;
    assert_eq!((status, &decided["decision"]), (StatusCode::OK, &json!("continue")));
    world.caller.wish(Wish::HangUp);
    world.caller.until(&Signal::Over).await;
    world.restart().await;
    let mut caller = Party::start(Voice::Caller, Manner::IsBusy, Way::udp(FOUR)).await;
    caller.wish(Wish::Call(world.sip, Carrier::Refuses));
    world.call = loop {
        if let Signal::Invited(Some(call), None) = world.ai.next().await {
            break call;
        }
    };
    caller.until(&Signal::Up).await;
    let (status, decided) = world.post(OWN, &path(&world), turn).await;
    assert_eq!(
        (status, &decided["rule"], &decided["because"]),
        (
            StatusCode::OK,
            &json!("again"),
            &json!("called 1 times in the last 60 min, turn 1")
        )
    );
    caller.wish(Wish::HangUp);
    caller.until(&Signal::Over).await;
    world.stop().await;
}

/// How a handoff goes that somebody asks for.
const CAREFUL: &str = "[[playbook.decisions]]\nname = \"careful\"\nrules = [\"asked-for\"]\ncontext = \"acknowledged\"\nacknowledge_s = 60\n";

/// The same, and the webhook, whose keys come before, only keeps a log.
const LOGGED: &str = concat!(
    "acknowledges = false\n",
    "[[playbook.decisions]]\nname = \"careful\"\ncontext = \"acknowledged\"\nacknowledge_s = 60\n"
);

#[tokio::test(flavor = "multi_thread")]
async fn a_join_that_waits_for_the_context_is_opened_by_a_webhook_s_2xx() {
    let mut plan = Plan::all(Way::udp(FOUR));
    plan.more = CAREFUL;
    let mut world = World::with(plan).await;
    let handoff = world.ask_for_a_human(warm()).await;
    world.is_taken(&handoff).await;
    let record = world.record(&handoff).await;
    assert_eq!(
        (&record["decision"], &record["gates"]["acknowledged"]["opened"]),
        (&json!("careful"), &json!("there"))
    );
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_desk_says_that_it_has_the_context_and_until_then_nobody_is_joined() {
    let mut plan = Plan::all(Way::udp(FOUR));
    plan.more = LOGGED;
    let mut world = World::with(plan).await;
    let handoff = world.ask_for_a_human(warm()).await;
    world.is_briefed(&handoff).await;
    world.accept(&handoff).await;
    world.human.forget();
    world.caller.forget();
    world.human.hears_a_prompt().await;
    world.caller.hears_a_prompt().await;
    let record = world.record(&handoff).await;
    assert_eq!((&record["state"], &record["gates"]), (&json!("accepted"), &json!({})));

    let path = format!("/v1/handoffs/{handoff}/acknowledge");
    let answer = world.without_a_key(&format!("{path}?token=wrong")).await;
    assert_eq!(answer.status(), StatusCode::METHOD_NOT_ALLOWED, "it is no GET");
    assert_eq!(world.post_alone(&path).await, StatusCode::NO_CONTENT);
    world.is_joined().await;
    let record = world.record(&handoff).await;
    assert_eq!(record["gates"]["acknowledged"]["opened"], "there");
    assert_eq!(world.post_alone(&path).await, StatusCode::CONFLICT);
    world.end().await;
}
