//! A whole server in process: SIP over loopback, the API as its users see it, webhooks as they arrive.

mod contract;
mod folder;
mod ports;
mod surface;

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::routing::post;
use baton_server::config::Config;
use baton_server::server::Server;
use ports::Ports;
use reqwest::{Client, Method, StatusCode};
use serde_json::{Value, json};
use tokio::net::{TcpListener, UdpSocket};
use tokio::sync::mpsc;

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

async fn start(ports: &mut Ports, more: &str) -> Server {
    let first_port = ports.take(16);
    start_in(&folder::of(first_port), first_port, more).await
}

/// Starts one that goes on with what is in the folder.
async fn start_in(folder: &Path, first_port: u16, more: &str) -> Server {
    let text =
        format!("[sip]\nlisten = \"127.0.0.1:0\"\n[media]\nfirst_port = {first_port}\nports_per_worker = 8\n{more}");
    let config = Config::from_toml(&text, folder).unwrap_or_else(|problems| panic!("{problems:#?}"));
    Server::start(config).await.expect("started")
}

/// One answer of the API.
struct Answer {
    status: StatusCode,
    content_type: String,
    headers: HeaderMap,
    body: Value,
}

struct Api {
    client: Client,
    base: String,
    key: Option<&'static str>,
}

impl Api {
    fn of(server: &Server, key: Option<&'static str>) -> Api {
        Api {
            client: Client::builder().no_proxy().build().expect("a client"),
            base: format!("http://{}", server.http()),
            key,
        }
    }

    async fn send(&self, method: Method, path: &str, headers: &[(&str, &str)], body: Option<String>) -> Answer {
        let mut request = self.client.request(method.clone(), format!("{}{path}", self.base));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        if let Some(key) = self.key {
            request = request.header("authorization", format!("Bearer {key}"));
        }
        if let Some(body) = body {
            request = request.body(body);
        }
        let answer = request.send().await.expect("an answer");
        let (status, headers) = (answer.status(), answer.headers().clone());
        let text = answer.text().await.expect("a body");
        let content_type = headers
            .get("content-type")
            .map_or("", |value| value.to_str().expect("text"))
            .to_owned();
        contract::check(contract::Seen {
            method: method.as_str(),
            path,
            status: status.as_u16(),
            content_type: &content_type,
            body: &text,
        });
        let body = serde_json::from_str(&text).unwrap_or(Value::Null);
        if content_type.contains("json") {
            assert!(
                body["schema"].is_string() || path.contains("/context") || path == "/openapi.json",
                "{path}: {text}"
            );
        }
        Answer {
            status,
            content_type,
            headers,
            body,
        }
    }

    async fn get(&self, path: &str) -> Answer {
        self.send(Method::GET, path, &[], None).await
    }

    async fn json(&self, method: Method, path: &str, body: Value) -> Answer {
        self.send(
            method,
            path,
            &[("content-type", "application/json")],
            Some(body.to_string()),
        )
        .await
    }
}

fn header<'a>(message: &'a str, name: &str) -> &'a str {
    message
        .lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
        .unwrap_or_else(|| panic!("no {name} in {message}"))
}

fn sdp(port: u16) -> String {
    format!("v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio {port} RTP/AVP 0\r\n")
}

/// Receives until a message starts as wanted.
async fn expect(socket: &UdpSocket, start: &str) -> (String, SocketAddr) {
    let mut buffer = vec![0; 65_535];
    loop {
        let (len, from) = socket.recv_from(&mut buffer).await.expect("a datagram");
        let message = String::from_utf8_lossy(&buffer[..len]).into_owned();
        if message.starts_with(start) {
            return (message, from);
        }
    }
}

/// A caller whose call an AI answered: its sockets, and the AI's; the call's id.
struct Call {
    caller: UdpSocket,
    ai: UdpSocket,
    ok: String,
}

impl Call {
    async fn new(server: &Server, ai: UdpSocket) -> (Call, String) {
        Call::with(server.sip(), ai).await
    }

    async fn with(sip: SocketAddr, ai: UdpSocket) -> (Call, String) {
        let caller = UdpSocket::bind("127.0.0.1:0").await.expect("a socket");
        let me = caller.local_addr().expect("bound");
        let offer = sdp(me.port());
        let invite = format!(
            "INVITE sip:shop@{to} SIP/2.0\r\nVia: SIP/2.0/UDP {me};branch=z9hG4bKone\r\nMax-Forwards: 70\r\n\
             From: <sip:caller@{me}>;tag=c\r\nTo: <sip:shop@{to}>\r\nCall-ID: leg-of-the-caller\r\nCSeq: 1 INVITE\r\n\
             Contact: <sip:caller@{me}>\r\nContent-Type: application/sdp\r\nContent-Length: {}\r\n\r\n{offer}",
            offer.len(),
            to = sip,
        );
        caller.send_to(invite.as_bytes(), sip).await.expect("sent");
        let (request, from) = expect(&ai, "INVITE").await;
        let id = header(&request, "X-Baton-Call").to_owned();
        let here = ai.local_addr().expect("bound");
        let answer = sdp(here.port());
        let reply = format!(
            "SIP/2.0 200 OK\r\nVia: {}\r\nFrom: {}\r\nTo: {};tag=a\r\nCall-ID: {}\r\nCSeq: {}\r\nContact: <sip:ai@{here}>\r\n\
             Content-Type: application/sdp\r\nContent-Length: {}\r\n\r\n{answer}",
            header(&request, "Via"),
            header(&request, "From"),
            header(&request, "To"),
            header(&request, "Call-ID"),
            header(&request, "CSeq"),
            answer.len(),
        );
        ai.send_to(reply.as_bytes(), from).await.expect("sent");
        let (ok, _) = expect(&caller, "SIP/2.0 200").await;
        let call = Call { caller, ai, ok };
        call.send(sip, "ACK", 1).await;
        (call, id)
    }

    async fn request(&self, server: &Server, method: &str, number: u32) {
        self.send(server.sip(), method, number).await;
    }

    async fn send(&self, sip: SocketAddr, method: &str, number: u32) {
        let me = self.caller.local_addr().expect("bound");
        let message = format!(
            "{method} sip:{to} SIP/2.0\r\nVia: SIP/2.0/UDP {me};branch=z9hG4bK{method}\r\nMax-Forwards: 70\r\nFrom: {}\r\n\
             To: {}\r\nCall-ID: leg-of-the-caller\r\nCSeq: {number} {method}\r\nContent-Length: 0\r\n\r\n",
            header(&self.ok, "From"),
            header(&self.ok, "To"),
            to = sip,
        );
        self.caller.send_to(message.as_bytes(), sip).await.expect("sent");
    }
}

type Came = (HeaderMap, Bytes);

async fn receiver() -> (SocketAddr, mpsc::UnboundedReceiver<Came>) {
    receiver_at(SocketAddr::from(([127, 0, 0, 1], 0))).await
}

async fn receiver_at(address: SocketAddr) -> (SocketAddr, mpsc::UnboundedReceiver<Came>) {
    let listener = TcpListener::bind(address).await.expect("a port");
    let address = listener.local_addr().expect("bound");
    let (sender, came) = mpsc::unbounded_channel();
    let take = async |State(sender): State<Arc<mpsc::UnboundedSender<Came>>>, headers: HeaderMap, body: Bytes| {
        let _ = sender.send((headers, body));
    };
    let router = axum::Router::new().route("/", post(take)).with_state(Arc::new(sender));
    tokio::spawn(async move { axum::serve(listener, router).await });
    (address, came)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_handoff_that_reaches_nobody_is_told_by_api_record_and_webhook() {
    let (hook, mut came) = receiver().await;
    let ai = UdpSocket::bind("127.0.0.1:0").await.expect("a socket");
    let ai_at = ai.local_addr().expect("bound");
    let closed = {
        let gone = UdpSocket::bind("127.0.0.1:0").await.expect("a socket");
        gone.local_addr().expect("bound")
    };
    let mut ports = Ports::claim();
    let server = start(
        &mut ports,
        &format!(
            "[http]\nlisten = \"127.0.0.1:0\"\n[[trunks]]\nname = \"carrier\"\n\
         [[ai_agents]]\nname = \"assistant\"\nuri = \"sip:ai@{ai_at}\"\n\
         [[targets]]\nname = \"support\"\nuri = \"sip:human@{closed}\"\n\
         [[webhooks]]\nname = \"crm\"\nurl = \"http://{hook}/\"\nallow_private = true\nsecrets = [\"{SECRET}\"]\n"
        ),
    )
    .await;
    let api = Api::of(&server, None);
    let (call, id) = Call::new(&server, ai).await;

    // `baton.call.started` says that the two are connected.
    let (headers, body) = came.recv().await.expect("an event");
    let verifier = standardwebhooks::Webhook::new(SECRET).expect("a secret");
    verifier.verify(&body, &headers).expect("verified");
    let event: Value = serde_json::from_slice(&body).expect("JSON");
    assert_eq!(
        (&event["type"], &event["subject"]),
        (&json!("baton.call.started"), &json!(id))
    );
    assert_eq!(headers["webhook-id"].to_str().ok(), event["id"].as_str());

    let list = api.get("/v1/calls?sip_call_id=leg-of-the-caller").await;
    assert_eq!(list.body["calls"][0]["id"], json!(id));
    assert_eq!(api.get("/v1/calls?sip_call_id=other").await.body["calls"], json!([]));
    assert_eq!(api.get(&format!("/v1/calls/{id}")).await.body["ai_agent"], "assistant");

    let turn = json!({ "role": "caller", "text": "my order is late" });
    let decided = api.json(Method::POST, &format!("/v1/calls/{id}/turns"), turn).await;
    assert_eq!(
        decided.body,
        json!({ "schema": "baton.decision/1", "decision": "continue" })
    );
    let patch = json!({ "summary": "A late order.", "intent": "order_status" });
    let merged = api.json(Method::PATCH, &format!("/v1/calls/{id}/context"), patch).await;
    assert_eq!(
        (merged.status, &merged.body["context"]["intent"]),
        (StatusCode::OK, &json!("order_status"))
    );

    let path = format!("/v1/calls/{id}/handoffs");
    let wish = json!({ "mode": "warm", "reason": "asked for a human" }).to_string();
    let with_key = [("content-type", "application/json"), ("idempotency-key", "once")];
    let first = api.send(Method::POST, &path, &with_key, Some(wish.clone())).await;
    assert_eq!(first.status, StatusCode::ACCEPTED, "{}", first.body);
    let handoff = first.body["id"].as_str().expect("an id").to_owned();
    assert_eq!(first.headers["location"], format!("/v1/handoffs/{handoff}"));
    let again = api.send(Method::POST, &path, &with_key, Some(wish.clone())).await;
    assert_eq!(
        (again.status, &again.body["id"]),
        (StatusCode::ACCEPTED, &json!(handoff))
    );
    let other = api
        .send(
            Method::POST,
            &path,
            &with_key,
            Some(json!({ "reason": "b" }).to_string()),
        )
        .await;
    assert_eq!(other.status, StatusCode::UNPROCESSABLE_ENTITY);

    let mut types = Vec::new();
    let mut context = Value::Null;
    while types.last().is_none_or(|last| last != "baton.handoff.failed") {
        let (headers, body) = came.recv().await.expect("an event");
        verifier.verify(&body, &headers).expect("verified");
        let event: Value = serde_json::from_slice(&body).expect("JSON");
        if event["subject"] == json!(handoff) {
            assert_eq!(event["sequence"], format!("{:08}", types.len() + 1));
            types.push(event["type"].as_str().expect("a type").to_owned());
            if !event["data"]["context"].is_null() {
                context = event["data"]["context"].clone();
            }
        }
    }
    assert_eq!(
        types,
        [
            "baton.handoff.requested",
            "baton.handoff.returned",
            "baton.handoff.failed"
        ]
    );
    assert_eq!(context["transcript"][0]["text"], "my order is late");

    let record = api.get(&format!("/v1/handoffs/{handoff}")).await.body;
    assert_eq!(
        (&record["state"], &record["result"]),
        (&json!("failed"), &json!("returned_to_ai"))
    );
    assert_eq!(record["reason"], "unreachable");
    assert_eq!(record["context"]["brief"], context["brief"]);
    assert_eq!(record["evidence"]["caller"]["lost"], 0);
    assert_eq!(api.get("/v1/handoffs").await.body["handoffs"][0]["id"], json!(handoff));
    let late = api
        .send(Method::POST, &format!("/v1/handoffs/{handoff}/accept"), &[], None)
        .await;
    assert_eq!(late.status, StatusCode::CONFLICT);

    let gone = api.send(Method::DELETE, &format!("/v1/calls/{id}"), &[], None).await;
    assert_eq!(gone.status, StatusCode::NO_CONTENT);
    expect(&call.ai, "BYE").await;
    expect(&call.caller, "BYE").await;

    // It is over once the data plane has let go of it, too.
    let mut left = api.get(&format!("/v1/calls/{id}")).await;
    while left.status == StatusCode::OK {
        assert_eq!(left.body["state"], "ending");
        left = api.get(&format!("/v1/calls/{id}")).await;
    }
    assert_eq!(left.status, StatusCode::NOT_FOUND);
    // The key is answered as long as it is remembered; without it, or with another one, the call is missed.
    let again = api.send(Method::POST, &path, &with_key, Some(wish.clone())).await;
    assert_eq!(
        (again.status, &again.body["id"]),
        (StatusCode::ACCEPTED, &json!(handoff))
    );
    assert_eq!(again.headers["location"], format!("/v1/handoffs/{handoff}"));
    for late in [&with_key[..1], &[with_key[0], ("idempotency-key", "twice")]] {
        let late = api.send(Method::POST, &path, late, Some(wish.clone())).await;
        assert_eq!(late.status, StatusCode::NOT_FOUND);
    }
    server.stop().await;
}

/// A webhook that nobody takes, a handoff, a restart: everything is there, and told once somebody takes it.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_done_is_known_and_told_after_a_restart() {
    let ai = UdpSocket::bind("127.0.0.1:0").await.expect("a socket");
    let ai_at = ai.local_addr().expect("bound");
    let mut ports = Ports::claim();
    let (first_port, hook) = (ports.take(16), SocketAddr::from(([127, 0, 0, 1], ports.take(1))));
    let folder = folder::of(first_port);
    // Nobody has the port of the target.
    let config = format!(
        "[node]\ndrain_s = 0\n[http]\nlisten = \"127.0.0.1:0\"\n[[trunks]]\nname = \"carrier\"\n\
         [[ai_agents]]\nname = \"assistant\"\nuri = \"sip:ai@{ai_at}\"\n\
         [[targets]]\nname = \"support\"\nuri = \"sip:human@127.0.0.1:{}\"\n\
         [[webhooks]]\nname = \"crm\"\nurl = \"http://{hook}/\"\nallow_private = true\nsecrets = [\"{SECRET}\"]\nretry_ms = 50\nretry_max_ms = 50\n",
        ports.take(1)
    );
    let server = start_in(&folder, first_port, &config).await;
    let api = Api::of(&server, None);
    let (call, id) = Call::new(&server, ai).await;
    let asked = json!({ "mode": "warm", "reason": "asked for a human" });
    let asked = api.json(Method::POST, &format!("/v1/calls/{id}/handoffs"), asked).await;
    assert_eq!(asked.status, StatusCode::ACCEPTED, "{}", asked.body);
    let path = format!("/v1/handoffs/{}", asked.body["id"].as_str().expect("an id"));
    let mut before = api.get(&path).await.body;
    while before["closed_at"].is_null() {
        before = api.get(&path).await.body;
    }
    call.request(&server, "BYE", 2).await;
    expect(&call.ai, "BYE").await;
    server.stop().await;

    let (_, mut came) = receiver_at(hook).await;
    let server = start_in(&folder, first_port, &config).await;
    let api = Api::of(&server, None);
    let mut told = Vec::new();
    while told.last().is_none_or(|last| last != "baton.call.ended") {
        let (_, body) = came.recv().await.expect("an event");
        let event: Value = serde_json::from_slice(&body).expect("JSON");
        told.push(event["type"].as_str().expect("a type").to_owned());
    }
    let expected = [
        "baton.call.started",
        "baton.handoff.requested",
        "baton.handoff.returned",
        "baton.handoff.failed",
        "baton.call.ended",
    ];
    // Subjects do not wait for each other.
    for of in ["baton.call", "baton.handoff"] {
        let of = |kind: &&str| kind.starts_with(of);
        let told: Vec<&str> = told.iter().map(String::as_str).filter(of).collect();
        let expected: Vec<&str> = expected.into_iter().filter(of).collect();
        assert!(expected.starts_with(&told), "{told:?}");
    }
    let after = api.get(&path).await.body;
    for same in [
        "id",
        "state",
        "result",
        "reason",
        "timeline",
        "evidence",
        "context",
        "requested_at",
        "closed_at",
    ] {
        assert_eq!(after[same], before[same], "{same}");
    }
    assert_eq!(after["state"], "failed");
    let list = api.get("/v1/handoffs").await.body;
    assert_eq!(list["handoffs"].as_array().map(Vec::len), Some(1));
    assert_eq!(list["handoffs"][0]["id"], before["id"]);

    // All is told in the end; and what was told can be told again.
    let pending = "/v1/deliveries?status=pending";
    while api.get(pending).await.body["deliveries"] != json!([]) {}
    let all = api.get("/v1/deliveries").await.body;
    let all = all["deliveries"].as_array().expect("a list");
    assert_eq!(all.len(), expected.len());
    assert!(all.iter().all(|one| one["status"] == "delivered"), "{all:?}");
    while came.try_recv().is_ok() {}
    let one = format!("/v1/deliveries/{}", all[0]["id"].as_str().expect("an id"));
    let again = api.send(Method::POST, &format!("{one}/replay"), &[], None).await;
    assert_eq!(again.status, StatusCode::ACCEPTED, "{}", again.body);
    let (headers, _) = came.recv().await.expect("an event");
    assert_eq!(headers["webhook-id"].to_str().ok(), all[0]["event"].as_str());
    assert_eq!(api.get("/v1/deliveries/evt_0:crm").await.status, StatusCode::NOT_FOUND);
    server.stop().await;
}

/// Whoever asked for a handoff may ask again; and the human may still be on the way to what is known of the call.
#[tokio::test(flavor = "multi_thread")]
async fn an_idempotency_key_and_the_contexts_url_outlive_the_server() {
    let ai = UdpSocket::bind("127.0.0.1:0").await.expect("a socket");
    let human = UdpSocket::bind("127.0.0.1:0").await.expect("a socket");
    let (ai_at, human_at) = (ai.local_addr().expect("bound"), human.local_addr().expect("bound"));
    let first_port = Ports::claim().take(16);
    let folder = folder::of(first_port);
    let config = |context_s: u32| {
        format!(
            "[node]\ndrain_s = 0\n[http]\nlisten = \"127.0.0.1:0\"\ncontext_s = {context_s}\n\
             [[trunks]]\nname = \"carrier\"\n[[ai_agents]]\nname = \"assistant\"\nuri = \"sip:ai@{ai_at}\"\n\
             [[targets]]\nname = \"support\"\nuri = \"sip:human@{human_at}\"\n"
        )
    };
    let server = start_in(&folder, first_port, &config(300)).await;
    let api = Api::of(&server, None);
    let (_call, id) = Call::new(&server, ai).await;
    let (turns, handoffs) = (format!("/v1/calls/{id}/turns"), format!("/v1/calls/{id}/handoffs"));
    let say = async |text: &str| {
        let turn = json!({ "role": "caller", "text": text });
        let answer = api.json(Method::POST, &turns, turn).await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
    };
    say("my order is late").await;
    let ask = async |api: &Api, key: &str, reason: &str| {
        let wish = json!({ "mode": "warm", "reason": reason }).to_string();
        let headers = [("content-type", "application/json"), ("idempotency-key", key)];
        api.send(Method::POST, &handoffs, &headers, Some(wish)).await
    };
    let asked = ask(&api, "once", "a").await;
    assert_eq!(asked.status, StatusCode::ACCEPTED, "{}", asked.body);
    let handoff = asked.body["id"].clone();
    let (invite, _) = expect(&human, "INVITE").await;
    let (_, url) = header(&invite, "Call-Info").split_once("/v1/").expect("a URL");
    let url = format!("/v1/{}", url.split('>').next().expect("its end"));
    // What is said meanwhile belongs to it as well.
    say("and it is broken").await;
    let known = api.get(&url).await;
    assert_eq!(known.status, StatusCode::OK, "{}", known.body);
    assert_eq!(known.body["transcript"][1]["text"], "and it is broken");
    server.stop().await;

    let server = start_in(&folder, first_port, &config(300)).await;
    let api = Api::of(&server, None);
    let after = api.get(&url).await;
    assert_eq!((after.status, after.body), (StatusCode::OK, known.body.clone()));
    let wrong = api.get(&format!("{url}0")).await;
    assert_eq!(wrong.status, StatusCode::UNAUTHORIZED);
    let again = ask(&api, "once", "a").await;
    assert_eq!(
        (again.status, &again.body["id"]),
        (StatusCode::ACCEPTED, &handoff),
        "{}",
        again.body
    );
    assert_eq!(again.body["context"], known.body);
    assert_eq!(ask(&api, "once", "b").await.status, StatusCode::UNPROCESSABLE_ENTITY);
    // A key that was never used: the call is over.
    assert_eq!(ask(&api, "twice", "a").await.status, StatusCode::NOT_FOUND);
    server.stop().await;

    let server = start_in(&folder, first_port, &config(0)).await;
    let late = Api::of(&server, None).get(&url).await;
    assert_eq!(late.status, StatusCode::UNAUTHORIZED);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_open_what_their_scope_says_and_no_more() {
    let ai = UdpSocket::bind("127.0.0.1:0").await.expect("a socket");
    let ai_at = ai.local_addr().expect("bound");
    let mut ports = Ports::claim();
    let server = start(
        &mut ports,
        &format!(
            "[http]\nlisten = \"127.0.0.1:0\"\nbody_limit = 2000\n\
         [[http.keys]]\nname = \"own\"\nkey = \"own-key\"\nscope = \"ai\"\nagent = \"assistant\"\n\
         [[http.keys]]\nname = \"other\"\nkey = \"other-key\"\nscope = \"ai\"\nagent = \"second\"\n\
         [[http.keys]]\nname = \"desk\"\nkey = \"desk-key\"\nscope = \"desk\"\n\
         [[ai_agents]]\nname = \"assistant\"\nuri = \"sip:ai@{ai_at}\"\n\
         [[ai_agents]]\nname = \"second\"\nuri = \"sip:ai@127.0.0.1:9\"\n\
         [[trunks]]\nname = \"carrier\"\nai_agent = \"assistant\"\n"
        ),
    )
    .await;
    let (_call, id) = Call::new(&server, ai).await;
    let of = |key| Api::of(&server, key);
    let (own, other, desk) = (of(Some("own-key")), of(Some("other-key")), of(Some("desk-key")));
    let call = format!("/v1/calls/{id}");
    let turns = format!("{call}/turns");

    for (api, status) in [
        (&own, 200),
        (&desk, 200),
        (&other, 404),
        (&of(None), 401),
        (&of(Some("own-kez")), 401),
    ] {
        let answer = api.get(&call).await;
        assert_eq!(answer.status.as_u16(), status);
        if status != 200 {
            assert_eq!(answer.content_type, "application/problem+json");
            assert_eq!(answer.body["status"], status);
        }
    }
    assert_eq!(of(None).get("/v1/calls").await.headers["www-authenticate"], "Bearer");
    assert_eq!(other.get("/v1/calls").await.body["calls"], json!([]));
    assert_eq!(of(None).get("/healthz").await.status, StatusCode::OK);
    assert_eq!(of(None).get("/metrics").await.status, StatusCode::UNAUTHORIZED);
    assert_eq!(own.get("/metrics").await.status, StatusCode::FORBIDDEN);
    assert_eq!(desk.get("/metrics").await.status, StatusCode::OK);

    let turn = json!({ "role": "caller", "text": "hello" });
    assert_eq!(
        desk.json(Method::POST, &turns, turn.clone()).await.status,
        StatusCode::FORBIDDEN
    );
    assert_eq!(
        own.json(Method::POST, &turns, turn.clone()).await.status,
        StatusCode::OK
    );
    let large = json!({ "role": "caller", "text": "x".repeat(2000) });
    let plain = [("content-type", "text/plain")];
    let json_type = [("content-type", "application/json")];
    for (answer, status) in [
        (own.json(Method::POST, &turns, large).await, 413),
        (
            own.send(Method::POST, &turns, &plain, Some(turn.to_string())).await,
            415,
        ),
        (
            own.send(Method::POST, &turns, &json_type, Some("{".to_owned())).await,
            400,
        ),
        (own.json(Method::POST, &turns, json!({ "role": "robot" })).await, 422),
        (
            own.json(Method::PATCH, &format!("{call}/context"), json!([])).await,
            422,
        ),
        (own.json(Method::PUT, &turns, turn).await, 405),
        (own.get("/v1/nothing").await, 404),
        (own.get("/v1/calls/%ff").await, 404),
        (own.get("/v1/calls?limt=3").await, 400),
        (
            own.json(
                Method::POST,
                &format!("{call}/handoffs"),
                json!({ "reason": "a", "target": "nobody" }),
            )
            .await,
            422,
        ),
    ] {
        assert_eq!(answer.status.as_u16(), status, "{}", answer.body);
        assert_eq!(answer.content_type, "application/problem+json", "{status}");
        assert!(answer.body["type"].is_string() && answer.body["title"].is_string());
    }
    own.send(Method::DELETE, &call, &[], None).await;
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_hangs_up_what_is_left_when_its_time_is_over() {
    let ai = UdpSocket::bind("127.0.0.1:0").await.expect("a socket");
    let ai_at = ai.local_addr().expect("bound");
    let mut ports = Ports::claim();
    let server = start(
        &mut ports,
        &format!(
            "[node]\ndrain_s = 0\n[http]\nlisten = \"127.0.0.1:0\"\n[[trunks]]\nname = \"carrier\"\n\
         [[ai_agents]]\nname = \"assistant\"\nuri = \"sip:ai@{ai_at}\"\n"
        ),
    )
    .await;
    let (call, _) = Call::new(&server, ai).await;
    assert_eq!(server.calls().await, 1);
    let (sip, http) = (server.sip(), server.http());
    server.stop().await;
    expect(&call.ai, "BYE").await;
    expect(&call.caller, "BYE").await;
    // Nothing is held any more: both addresses can be had again.
    UdpSocket::bind(sip).await.expect("free");
    TcpListener::bind(http).await.expect("free");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_bound_is_named_with_its_key() {
    let taken = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = taken.local_addr().expect("bound");
    let first_port = Ports::claim().take(16);
    let text = format!(
        "[sip]\nlisten = \"127.0.0.1:0\"\n[media]\nfirst_port = {first_port}\nports_per_worker = 8\n\
         [http]\nlisten = \"{address}\"\n"
    );
    let config = Config::from_toml(&text, &folder::of(first_port)).expect("good");
    let error = Server::start(config).await.expect_err("taken").to_string();
    assert!(
        error.starts_with(&format!("http.listen = {address} cannot be bound")),
        "{error}"
    );
}
