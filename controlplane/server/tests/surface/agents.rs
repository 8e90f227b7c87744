//! Human agents and queues by API.

use super::*;

const QUEUES: &str = "[[targets]]\nname = \"billing\"\nnext_hop = \"127.0.0.1:9\"\npatterns = [\"sip:agent-*@pbx.example.com\"]\n\
                      [targets.queue]\nskills = { billing = 3 }\n\
                      [[targets]]\nname = \"all\"\nnext_hop = \"127.0.0.1:9\"\npatterns = [\"sip:*@pbx.example.com\"]\n[targets.queue]\n";

struct Floor {
    server: Server,
    admin: Api,
    desk: Api,
}

impl Floor {
    async fn open() -> Floor {
        let ai = UdpSocket::bind("127.0.0.1:0").await.expect("a socket");
        let config = with_keys(ai.local_addr().expect("bound"), "");
        let server = start(&mut Ports::claim(), &(config + QUEUES)).await;
        let [admin, desk] = ["admin-key", "desk-key"].map(|key| Api::of(&server, Some(key)));
        Floor { server, admin, desk }
    }

    async fn put(&self, id: &str, body: Value) -> Answer {
        self.admin.json(Method::PUT, &format!("/v1/agents/{id}"), body).await
    }

    /// Puts one that is taken.
    async fn has(&self, id: &str, body: Value) -> Value {
        let answer = self.put(id, body).await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
        answer.body
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_needs_only_a_uri_and_what_is_put_again_replaces_all_but_its_presence() {
    let floor = Floor::open().await;
    let mut anna = floor
        .has("anna@desk", json!({ "uri": "sip:agent-1@pbx.example.com" }))
        .await;
    assert_eq!(anna["idle_s"].take(), Value::Null, "it is not there yet");
    let wanted = json!({
        "schema": "baton.agent/1", "id": "anna@desk", "name": "anna@desk", "uri": "sip:agent-1@pbx.example.com",
        "skills": {}, "languages": [], "presence": "offline", "calls": 1, "order": 0, "queues": ["billing", "all"],
        "state": "offline", "idle_s": null, "set_aside_s": null, "handle_s": null, "csat": null,
    });
    assert_eq!(anna, wanted);
    let more = json!({
        "name": "Anna", "uri": "sip:anna@pbx.example.com", "skills": { "billing": 5 }, "languages": ["de", "de"],
        "presence": "available", "calls": 3, "order": 2,
    });
    let anna = floor.has("anna@desk", more).await;
    assert_eq!(
        (&anna["queues"], &anna["state"]),
        (&json!(["all"]), &json!("available"))
    );
    assert_eq!(
        (&anna["skills"], &anna["languages"]),
        (&json!({ "billing": 5 }), &json!(["de"]))
    );
    assert!(anna["idle_s"].is_u64());
    let anna = floor
        .has("anna@desk", json!({ "uri": "sip:anna@pbx.example.com" }))
        .await;
    assert_eq!(
        (&anna["skills"], &anna["calls"], &anna["name"]),
        (&json!({}), &json!(1), &json!("anna@desk"))
    );
    assert_eq!(anna["presence"], "available", "which was not named");
    assert_eq!(
        floor.desk.get("/v1/agents/anna@desk").await.body["presence"],
        "available"
    );
    floor.server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_desk_sees_agents_and_queues_and_says_who_is_there_and_nothing_else() {
    let floor = Floor::open().await;
    for (id, user) in [("anna", "agent-1"), ("berta", "agent-2"), ("carl", "carl")] {
        floor
            .has(id, json!({ "uri": format!("sip:{user}@pbx.example.com") }))
            .await;
    }
    let there = floor
        .desk
        .json(
            Method::PUT,
            "/v1/agents/anna/presence",
            json!({ "presence": "available" }),
        )
        .await;
    assert_eq!(
        (there.status, &there.body["state"]),
        (StatusCode::OK, &json!("available"))
    );
    let queues = floor.desk.get("/v1/queues").await.body;
    let wanted = json!([
        { "name": "billing", "waiting": 0, "longest_wait_s": 0, "agents": { "available": 1, "offline": 1 } },
        { "name": "all", "waiting": 0, "longest_wait_s": 0, "agents": { "available": 1, "offline": 2 } },
    ]);
    assert_eq!(queues["queues"], wanted);
    let (first, rest) = (
        floor.desk.get("/v1/agents?limit=2").await.body,
        floor.desk.get("/v1/agents?after=berta").await.body,
    );
    let ids = |page: &Value| {
        let agents = page["agents"].as_array().expect("a list").iter();
        agents
            .map(|agent| agent["id"].as_str().expect("an id").to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(
        (ids(&first), &first["next"]),
        (vec!["anna".to_owned(), "berta".to_owned()], &json!("berta"))
    );
    assert_eq!((ids(&rest), &rest["next"]), (vec!["carl".to_owned()], &Value::Null));

    let uri = json!({ "uri": "sip:agent-3@pbx.example.com" });
    let put = floor.desk.json(Method::PUT, "/v1/agents/anna", uri).await;
    let deleted = floor.desk.send(Method::DELETE, "/v1/agents/anna", &[], None).await;
    assert_eq!([put.status, deleted.status], [StatusCode::FORBIDDEN; 2]);
    let ai = Api::of(&floor.server, Some("own-key"));
    for path in ["/v1/agents", "/v1/agents/anna", "/v1/queues"] {
        assert_eq!(ai.get(path).await.status, StatusCode::FORBIDDEN, "{path}");
    }
    let deleted = floor.admin.send(Method::DELETE, "/v1/agents/anna", &[], None).await;
    assert_eq!(deleted.status, StatusCode::NO_CONTENT);
    for path in ["/v1/agents/anna", "/v1/agents/nobody"] {
        assert_eq!(floor.desk.get(path).await.status, StatusCode::NOT_FOUND, "{path}");
        let deleted = floor.admin.send(Method::DELETE, path, &[], None).await;
        assert_eq!(deleted.status, StatusCode::NOT_FOUND, "{path}");
        let path = format!("{path}/presence");
        let there = floor.desk.json(Method::PUT, &path, json!({ "presence": "busy" })).await;
        assert_eq!(there.status, StatusCode::NOT_FOUND, "{path}");
    }
    floor.server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_agent_is_refused_and_says_why() {
    let floor = Floor::open().await;
    let uri = "sip:agent-1@pbx.example.com";
    for (id, body, why) in [
        ("anna", json!({}), "missing field `uri`"),
        (
            "anna",
            json!({ "uri": "sip:anna@elsewhere.example.com" }),
            "no queue may call",
        ),
        (
            "anna",
            json!({ "uri": "sip:agent-1@pbx.example.com\r\nX: y" }),
            "no queue may call",
        ),
        (
            "anna",
            json!({ "uri": uri, "presents": "busy" }),
            "unknown field `presents`",
        ),
        (
            "anna",
            json!({ "uri": uri, "presence": "asleep" }),
            "unknown variant `asleep`",
        ),
        (
            "anna",
            json!({ "uri": uri, "skills": { "billing": 11 } }),
            "must be from 1 to 10",
        ),
        ("anna", json!({ "uri": uri, "skills": { "": 1 } }), "must have 1 to"),
        ("anna", json!({ "uri": uri, "calls": 0 }), "calls must be at least 1"),
        ("anna", json!({ "uri": uri, "name": "a\nb" }), "control characters"),
        ("an%20na", json!({ "uri": uri }), "the id of an agent has 1 to 128"),
        (
            &"a".repeat(129),
            json!({ "uri": uri }),
            "the id of an agent has 1 to 128",
        ),
    ] {
        let answer = floor.put(id, body).await;
        let detail = answer.body["detail"].as_str().unwrap_or_default();
        assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY, "{detail}");
        assert!(detail.contains(why), "{why:?} is not in {detail:?}");
    }
    let none = floor.desk.get("/v1/agents").await.body;
    assert_eq!(none["agents"], json!([]));
    floor.server.stop().await;
}
