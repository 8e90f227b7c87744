//! Who hears whom, by API: rows, and a supervisor.

use super::*;

/// A call between a caller and an AI, with a supervisor who may be invited; what webhooks are told.
struct Floor {
    server: Server,
    api: Api,
    call: Call,
    path: String,
    supervisor: UdpSocket,
    came: mpsc::UnboundedReceiver<Came>,
}

impl Floor {
    async fn open() -> Floor {
        let (hook, came) = receiver().await;
        let ai = UdpSocket::bind("127.0.0.1:0").await.expect("a socket");
        let supervisor = UdpSocket::bind("127.0.0.1:0").await.expect("a socket");
        let at = supervisor.local_addr().expect("bound");
        let config = with_keys(ai.local_addr().expect("bound"), "");
        let more = format!(
            "[[targets]]\nname = \"floor\"\nuri = \"sip:floor@{at}\"\npatterns = [\"sip:lead-*@{at}\"]\n\
             [playbook]\ntargets = [\"support\"]\n\
             [[webhooks]]\nname = \"crm\"\nurl = \"http://{hook}/\"\nallow_private = true\nsecrets = [\"{SECRET}\"]\n"
        );
        let server = start(&mut Ports::claim(), &(config + &more)).await;
        let (call, id) = Call::new(&server, ai).await;
        let api = Api::of(&server, Some("desk-key"));
        let path = format!("/v1/calls/{id}");
        Floor {
            server,
            api,
            call,
            path,
            supervisor,
            came,
        }
    }

    async fn put(&self, wish: Value) -> Answer {
        let path = format!("{}/hears", self.path);
        self.api.json(Method::PUT, &path, wish).await
    }

    async fn invite(&self, whom: Value) -> Answer {
        let path = format!("{}/supervisors", self.path);
        self.api.json(Method::POST, &path, whom).await
    }

    async fn dismiss(&self) -> Answer {
        let path = format!("{}/supervisors", self.path);
        self.api.send(Method::DELETE, &path, &[], None).await
    }

    /// What a party of the call hears, as the API shows it.
    async fn hears(&self, party: &str) -> String {
        let call = self.api.get(&self.path).await.body;
        let mut legs = call["legs"].as_array().expect("legs").iter();
        let leg = legs.find(|leg| leg["party"] == party).expect("a leg");
        leg["hears"].as_str().expect("text").to_owned()
    }

    /// The next event of this type: its data.
    async fn told(&mut self, kind: &str) -> Value {
        loop {
            let (_, body) = self.came.recv().await.expect("an event");
            let event: Value = serde_json::from_slice(&body).expect("JSON");
            if event["type"] == kind {
                return event["data"].clone();
            }
        }
    }

    async fn close(self) {
        self.call.request(&self.server, "BYE", 2).await;
        self.server.stop().await;
    }
}

/// `[…]` of legs that are heard as they are.
fn row(legs: &[&str]) -> Value {
    legs.iter().map(|leg| json!({ "leg": leg, "gain_db": 0 })).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_that_was_put_is_in_force_when_it_is_answered_and_an_event_says_who_put_it() {
    let mut floor = Floor::open().await;
    let muted = floor.put(json!({ "ai": [] })).await;
    assert_eq!(muted.status, StatusCode::OK, "{}", muted.body);
    let table = json!({ "caller": row(&["ai"]), "ai": [] });
    assert_eq!(muted.body["hears"], table);
    assert_eq!(
        (floor.hears("ai").await, floor.hears("caller").await),
        ("comfort".into(), "relay(ai)".into())
    );
    let told = floor.told("baton.call.hears").await;
    assert_eq!((&told["by"], &told["hears"]), (&json!("desk"), &table));

    let heard = floor.put(json!({ "ai": [{ "leg": "caller" }] })).await;
    assert_eq!(
        heard.body["hears"],
        json!({ "caller": row(&["ai"]), "ai": row(&["caller"]) })
    );
    assert_eq!(floor.hears("ai").await, "relay(caller)");

    for (wish, status) in [
        (json!({}), 422),
        (json!({ "ai": "whisper" }), 422),
        (json!({ "human": [] }), 422),
        (json!({ "caller": [{ "leg": "human" }] }), 422),
        (json!({ "caller": [{ "leg": "caller" }] }), 422),
        (json!({ "caller": [{ "leg": "ai", "gain_db": 13 }] }), 422),
        (json!({ "supervisor": "barge" }), 422),
    ] {
        let answer = floor.put(wish.clone()).await;
        assert_eq!(answer.status.as_u16(), status, "{wish}: {}", answer.body);
    }
    let nobody = floor
        .api
        .json(
            Method::PUT,
            "/v1/calls/call_0000000000000001/hears",
            json!({ "ai": [] }),
        )
        .await;
    assert_eq!(nobody.status, StatusCode::NOT_FOUND);
    assert_eq!(floor.hears("ai").await, "relay(caller)");
    floor.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_says_who_hears_whom_while_a_handoff_does() {
    let floor = Floor::open().await;
    // Nothing answers there.
    let silent = json!({ "mode": "warm", "reason": "asked for a human", "target": "floor" });
    let path = format!("{}/handoffs", floor.path);
    let asked = floor.api.json(Method::POST, &path, silent).await;
    assert_eq!(asked.status, StatusCode::ACCEPTED, "{}", asked.body);
    let answer = floor.put(json!({ "caller": [] })).await;
    assert_eq!(answer.status, StatusCode::CONFLICT);
    assert_eq!(answer.body["type"], "urn:baton:problem:wrong-state");
    floor.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_supervisor_is_invited_and_let_go_and_events_say_by_whom() {
    let mut floor = Floor::open().await;
    for wrong in [
        json!({}),
        json!({ "target": "nobody" }),
        json!({ "uri": "sip:stranger@192.0.2.7" }),
        json!({ "target": "floor", "uri": "sip:floor@192.0.2.7" }),
    ] {
        let answer = floor.invite(wrong.clone()).await;
        assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY, "{wrong}");
    }
    assert_eq!(floor.dismiss().await.status, StatusCode::NOT_FOUND);

    let at = floor.supervisor.local_addr().expect("bound");
    let invited = floor.invite(json!({ "uri": format!("sip:lead-7@{at}") })).await;
    assert_eq!(invited.status, StatusCode::ACCEPTED, "{}", invited.body);
    let (request, from) = expect(&floor.supervisor, "INVITE").await;
    assert!(request.starts_with(&format!("INVITE sip:lead-7@{at}")), "{request}");
    assert_eq!(header(&request, "X-Baton-Role"), "supervisor");
    let told = floor.told("baton.call.supervisor").await;
    let facts = [&told["supervisor"], &told["state"], &told["by"]];
    assert_eq!(facts, [&json!("floor"), &json!("invited"), &json!("desk")]);
    assert_eq!(
        floor.invite(json!({ "target": "floor" })).await.status,
        StatusCode::CONFLICT
    );

    // It rings, and is not wanted any more.
    let ringing = format!(
        "SIP/2.0 180 Ringing\r\nVia: {}\r\nFrom: {}\r\nTo: {};tag=s\r\nCall-ID: {}\r\nCSeq: {}\r\nContent-Length: 0\r\n\r\n",
        header(&request, "Via"),
        header(&request, "From"),
        header(&request, "To"),
        header(&request, "Call-ID"),
        header(&request, "CSeq"),
    );
    floor.supervisor.send_to(ringing.as_bytes(), from).await.expect("sent");
    assert_eq!(floor.dismiss().await.status, StatusCode::NO_CONTENT);
    expect(&floor.supervisor, "CANCEL").await;
    assert_eq!(floor.told("baton.call.supervisor").await["state"], "left");
    assert_eq!(floor.dismiss().await.status, StatusCode::NOT_FOUND);
    assert_eq!(floor.hears("caller").await, "relay(ai)");
    floor.close().await;
}
