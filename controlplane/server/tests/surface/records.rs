//! What is made of records: feedback, figures, vCons; and whom calls can be handed to.

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn feedback_is_kept_shown_and_counted_over_a_restart() {
    let mut ports = Ports::claim();
    let first_port = ports.take(16);
    let folder = folder::of(first_port);
    let ai = UdpSocket::bind("127.0.0.1:0").await.expect("a socket");
    let config = format!(
        "[node]\ndrain_s = 0\n{}",
        with_keys(ai.local_addr().expect("bound"), "")
    );
    let server = start_in(&folder, first_port, &config).await;
    let (_call, call) = Call::new(&server, ai).await;
    let own = Api::of(&server, Some("own-key"));
    let desk = Api::of(&server, Some("desk-key"));
    let patch = json!({ "summary": "A late order.", "intent": "order_status" });
    let patched = own
        .json(Method::PATCH, &format!("/v1/calls/{call}/context"), patch)
        .await;
    assert_eq!(patched.status, StatusCode::OK);
    let turn = json!({ "role": "caller", "text": "my order is late" });
    own.json(Method::POST, &format!("/v1/calls/{call}/turns"), turn).await;
    let record = closed_handoff(&own, &call).await;
    assert_eq!(record["feedback"], Value::Null);
    // The call is alive, and shows what its listeners got in the window of the handoff.
    let live = own.get(&format!("/v1/calls/{call}")).await.body;
    assert_eq!(live["quality"], record["evidence"]);
    assert!(live["quality"]["caller"].is_object(), "{live}");

    let path = format!("/v1/handoffs/{}", record["id"].as_str().expect("an id"));
    let said = json!({ "context": "partial", "right_call": true, "resolved": false, "csat": 4, "note": "no account" });
    let kept = desk.json(Method::POST, &format!("{path}/feedback"), said.clone()).await;
    assert_eq!(kept.status, StatusCode::OK, "{}", kept.body);
    let wrong = json!({ "context": "partial", "right_call": "yes", "resolved": false });
    let wrong = desk.json(Method::POST, &format!("{path}/feedback"), wrong).await;
    assert_eq!(wrong.status, StatusCode::UNPROCESSABLE_ENTITY);
    let missing = desk
        .json(Method::POST, "/v1/handoffs/ho_0000000000000000/feedback", said.clone())
        .await;
    assert_eq!(missing.status, StatusCode::NOT_FOUND);
    server.stop().await;

    let server = start_in(&folder, first_port, &config).await;
    let own = Api::of(&server, Some("own-key"));
    let shown = own.get(&path).await.body;
    for (name, value) in said.as_object().expect("members") {
        assert_eq!(&shown["feedback"][name], value, "{name}");
    }
    assert_eq!(shown["feedback"]["by"], "desk");
    assert_eq!(
        own.get("/v1/handoffs").await.body["handoffs"][0]["feedback"],
        shown["feedback"]
    );

    let kpi = own.get("/v1/kpi?by=day").await.body;
    let total = &kpi["total"];
    assert_eq!(
        (&total["handoffs"], &total["results"]["returned_to_ai"]),
        (&json!(1), &json!(1))
    );
    assert_eq!(
        (&total["join_rate"], &total["feedback"]["csat"]),
        (&json!(0.0), &json!(4.0))
    );
    assert_eq!(kpi["by_intent"][0]["intent"], "order_status");
    assert_eq!(kpi["by_target"][0]["failures"], json!({ "unreachable": 1 }));
    assert_eq!(kpi["by_period"].as_array().map(Vec::len), Some(1));
    let others = Api::of(&server, Some("other-key")).get("/v1/kpi").await.body;
    assert_eq!(others["total"]["handoffs"], 0);
    let before = own.get("/v1/kpi?until=2026-01-01T00:00:00Z").await.body;
    assert_eq!(before["total"]["handoffs"], 0);

    let vcon = own.get(&format!("{path}/vcon")).await;
    assert_eq!(vcon.content_type, "application/vcon");
    let kinds: Vec<_> = vcon.body["dialog"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|one| &one["type"])
        .collect();
    assert_eq!(kinds, ["text", "incomplete"]);
    assert_eq!(vcon.body["dialog"][0]["body"], "my order is late");
    assert_eq!(vcon.body["attachments"][1]["body"]["note"], "no account");
    assert_eq!(own.get(&format!("{path}/vcon")).await.body["uuid"], vcon.body["uuid"]);
    server.stop().await;

    // The same figures without a server.
    let file = folder.join("baton.toml");
    let report = format!("[sip]\nlisten = \"127.0.0.1:0\"\n{config}");
    std::fs::write(&file, report).expect("written");
    let report = |arguments: &[&str]| {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_baton"));
        command.arg("report").arg("--config").arg(&file).args(arguments);
        command.output().expect("it ran")
    };
    let output = report(&["--since", "1h", "--json"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let document: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(document["total"], *total);
    let diagnosis = document["diagnosis"].to_string();
    assert!(
        diagnosis.contains("contexts were incomplete") || total["context_incomplete"] == 0,
        "{diagnosis}"
    );
    let text = String::from_utf8(report(&[]).stdout).expect("text");
    assert!(text.contains("intent order_status"), "{text}");
    assert_eq!(report(&["--since", "soon"]).status.code(), Some(2));
}

#[tokio::test(flavor = "multi_thread")]
async fn targets_are_named_to_ais_and_shown_whole_to_humans() {
    let ai = UdpSocket::bind("127.0.0.1:0").await.expect("a socket");
    let config = with_keys(ai.local_addr().expect("bound"), "");
    let server = start(&mut Ports::claim(), &config).await;
    let of = async |key| Api::of(&server, Some(key)).get("/v1/targets").await.body["targets"].clone();
    assert_eq!(of("own-key").await, json!([{ "name": "support", "ring_s": 20 }]));
    let shown = json!([{ "name": "support", "ring_s": 20, "uri": "sip:human@127.0.0.1:9", "next_hop": "127.0.0.1:9" }]);
    assert_eq!(of("desk-key").await, shown);
    server.stop().await;
}
