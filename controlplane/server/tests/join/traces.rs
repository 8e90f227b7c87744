//! What others see of a call: the API's trace, a HEP collector, an OTLP collector.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

use axum::extract::State;
use axum::http::HeaderMap;
use axum::routing::post;
use reqwest::{Client, StatusCode};
use serde_json::{Value, json};
use tokio::net::{TcpListener, UdpSocket};
use tokio::sync::mpsc::{self, UnboundedReceiver, UnboundedSender};
use tokio::time::timeout;

use crate::PATIENCE;
use crate::way::{FOUR, Way};
use crate::world::{ADMIN, OWN, Plan, World, warm};

/// One packet of HEP version 3, read after the specification: chunks by their type.
fn decode(packet: &[u8]) -> BTreeMap<u16, Vec<u8>> {
    let number = |bytes: &[u8]| u16::from_be_bytes([bytes[0], bytes[1]]);
    assert_eq!(&packet[..4], b"HEP3");
    assert_eq!(usize::from(number(&packet[4..])), packet.len());
    let mut chunks = BTreeMap::new();
    let mut rest = &packet[6..];
    while !rest.is_empty() {
        let (vendor, kind, len) = (number(rest), number(&rest[2..]), usize::from(number(&rest[4..])));
        assert_eq!(vendor, 0);
        assert!(
            chunks.insert(kind, rest[6..len].to_vec()).is_none(),
            "chunk {kind} comes twice"
        );
        rest = &rest[len..];
    }
    chunks
}

fn address(chunks: &BTreeMap<u16, Vec<u8>>, ip: u16, port: u16) -> SocketAddr {
    let ip: [u8; 4] = chunks[&ip][..].try_into().expect("IPv4");
    let port: [u8; 2] = chunks[&port][..].try_into().expect("a port");
    (ip, u16::from_be_bytes(port)).into()
}

async fn get(world: &World, key: &str, path: &str, accept: &str) -> (StatusCode, String) {
    let client = Client::builder().no_proxy().build().expect("a client");
    let request = client.get(format!("http://{}{path}", world.server().http()));
    let answer = request
        .bearer_auth(key)
        .header("accept", accept)
        .send()
        .await
        .expect("an answer");
    (answer.status(), answer.text().await.expect("a body"))
}

#[tokio::test(flavor = "multi_thread")]
async fn every_message_of_a_call_is_shown_by_the_api_and_sent_to_the_collector_as_one_call() {
    for way in [Way::udp(FOUR), Way::tcp(FOUR)] {
        let collector = UdpSocket::bind("127.0.0.1:0").await.expect("a socket");
        let at = collector.local_addr().expect("bound");
        let more = format!("[hep]\ncollector = \"{at}\"\ncapture_id = 7\nnode = \"one\"\npassword = \"pw\"\n");
        let more = Box::leak(more.into_boxed_str());
        let mut world = World::with(Plan { more, ..Plan::all(way) }).await;
        let handoff = world.ask_for_a_human(warm()).await;
        world.is_taken(&handoff).await;
        let path = format!("/v1/calls/{}/trace", world.call);
        let live: Value = serde_json::from_str(&world.get(&format!("/v1/calls/{}", world.call)).await).expect("JSON");
        assert_eq!(live["sip_trace"], json!(path));
        assert_eq!(world.record(&handoff).await["sip_trace"], json!(path));
        world.hang_up().await;

        // Until the answer to the last BYE is there: the call is over, its trace is not.
        let wanted = [
            ("caller", "in", "INVITE"),
            ("caller", "out", "100 INVITE"),
            ("ai", "out", "INVITE"),
            ("ai", "in", "200 INVITE"),
            ("ai", "out", "ACK"),
            ("caller", "out", "200 INVITE"),
            ("caller", "in", "ACK"),
            ("human", "out", "INVITE"),
            ("human", "in", "180 INVITE"),
            ("human", "in", "200 INVITE"),
            ("human", "out", "ACK"),
            ("ai", "out", "BYE"),
            ("ai", "in", "200 BYE"),
            ("caller", "in", "BYE"),
            ("caller", "out", "200 BYE"),
            ("human", "out", "BYE"),
            ("human", "in", "200 BYE"),
        ];
        let shown = async {
            loop {
                let trace: Value = serde_json::from_str(&world.get(&path).await).expect("JSON");
                let messages = trace["messages"].as_array().expect("messages").clone();
                let has = |&(party, direction, title): &(&str, &str, &str)| {
                    messages
                        .iter()
                        .any(|one| one["party"] == party && one["direction"] == direction && one["title"] == title)
                };
                if wanted.iter().all(has) {
                    return messages;
                }
                tokio::task::yield_now().await;
            }
        };
        let messages = timeout(PATIENCE, shown).await.expect("every message is shown");
        let times: Vec<_> = messages.iter().map(|one| one["at"].as_str().expect("a time")).collect();
        assert!(times.is_sorted(), "{times:?}");
        let all = serde_json::to_string(&messages).expect("JSON");
        assert!(
            all.contains("X-Baton-Call") && all.contains("call-info: (cut out)"),
            "{all}"
        );
        assert!(!all.contains("token=") && !all.contains("encoding=hex"), "{all}");

        // Every one of them came to the collector, with the call's id, whichever leg it is of.
        let mut captured = Vec::new();
        let mut packet = vec![0; 65_535];
        let ours = world.server().sip();
        for message in &messages {
            let peer: SocketAddr = message["peer"].as_str().expect("a peer").parse().expect("an address");
            let ends = match message["direction"] == "in" {
                true => (peer, ours),
                false => (ours, peer),
            };
            let wanted = (ends, message["message"].as_str().expect("text").as_bytes().to_vec());
            while !captured.contains(&wanted) {
                let len = timeout(PATIENCE, collector.recv(&mut packet)).await;
                let len = len
                    .unwrap_or_else(|_| panic!("not captured: {message}"))
                    .expect("received");
                let chunks = decode(&packet[..len]);
                let protocol = if way == Way::udp(FOUR) { 17 } else { 6 };
                assert_eq!(
                    (&chunks[&1][..], &chunks[&2][..], &chunks[&11][..]),
                    (&[2][..], &[protocol][..], &[1][..])
                );
                assert_eq!((&chunks[&12][..], &chunks[&14][..]), (&[0, 0, 0, 7][..], &b"pw"[..]));
                assert_eq!(&chunks[&19][..], b"one");
                assert_eq!(String::from_utf8_lossy(&chunks[&17]), world.call);
                captured.push(((address(&chunks, 3, 7), address(&chunks, 4, 8)), chunks[&15].clone()));
            }
        }
        let metrics = world.get("/metrics").await;
        assert!(
            metrics.contains("baton_hep_messages_total{status=\"dropped\"} 0\n"),
            "{metrics}"
        );

        // As a ladder, and not for everybody.
        let (status, ladder) = get(&world, ADMIN, &path, "text/plain").await;
        assert_eq!(status, StatusCode::OK);
        assert!(
            ladder.starts_with(&world.call) && ladder.contains("180 INVITE"),
            "{ladder}"
        );
        assert_eq!(get(&world, OWN, &path, "*/*").await.0, StatusCode::FORBIDDEN);
        let other = "/v1/calls/call_0000000000000001/trace";
        assert_eq!(get(&world, ADMIN, other, "*/*").await.0, StatusCode::NOT_FOUND);
        world.nothing_is_left().await;
    }
}

/// A collector: what was posted to it, with its headers.
async fn traces() -> (SocketAddr, UnboundedReceiver<(HeaderMap, Value)>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("bound");
    let (sender, came) = mpsc::unbounded_channel();
    let take = async |State(sender): State<Arc<UnboundedSender<_>>>, headers: HeaderMap, body: String| {
        let _ = sender.send((headers, serde_json::from_str::<Value>(&body).expect("JSON")));
    };
    let router = axum::Router::new()
        .route("/v1/traces", post(take))
        .with_state(Arc::new(sender));
    tokio::spawn(async move { axum::serve(listener, router).await });
    (address, came)
}

fn attributes(span: &Value) -> BTreeMap<&str, &str> {
    let all = span["attributes"].as_array().expect("attributes").iter();
    all.map(|one| {
        let value = &one["value"];
        let value = value["stringValue"].as_str().or(value["intValue"].as_str());
        (one["key"].as_str().expect("a key"), value.expect("a value"))
    })
    .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_handoff_is_a_trace_whose_spans_have_the_times_of_its_record() {
    let (collector, mut came) = traces().await;
    let more = format!(
        "[otlp]\nendpoint = \"http://{collector}/\"\n[[otlp.headers]]\nname = \"x-api-key\"\nvalue = \"open-sesame\"\n"
    );
    let more = Box::leak(more.into_boxed_str());
    let plan = Plan::all(Way::udp(FOUR));
    let mut world = World::with(Plan { more, ..plan }).await;
    let handoff = world.ask_for_a_human(warm()).await;
    world.is_taken(&handoff).await;
    world.events(&handoff, "baton.handoff.completed").await;
    let record = world.record(&handoff).await;

    let (headers, body) = timeout(PATIENCE, came.recv())
        .await
        .expect("in time")
        .expect("a request");
    assert_eq!(headers["x-api-key"], "open-sesame");
    assert_eq!(headers["content-type"], "application/json");
    let resource = &body["resourceSpans"][0];
    assert_eq!(attributes(&resource["resource"])["service.name"], "baton");
    let spans = resource["scopeSpans"][0]["spans"].as_array().expect("spans");
    for span in spans {
        assert_eq!(span["traceId"], record["trace_id"]);
    }
    let named = |name: &str| {
        let found: Vec<_> = spans.iter().filter(|span| span["name"] == name).collect();
        assert_eq!(found.len(), 1, "{name}: {spans:#?}");
        found[0]
    };
    let root = named("handoff");
    assert_eq!(root["parentSpanId"], "");
    let told = attributes(root);
    for (key, value) in [
        ("baton.call", &*world.call),
        ("baton.handoff", &handoff),
        ("baton.mode", "warm"),
        ("baton.target", "support"),
        ("baton.result", "joined"),
        ("baton.state", "completed"),
        ("baton.trunk", "carrier"),
        ("baton.ai_agent", "assistant"),
    ] {
        assert_eq!(told.get(key), Some(&value), "{key} in {told:?}");
    }
    // The tree, and its times: nanoseconds since 1970 here, milliseconds since the trigger there.
    let time = |span: &Value, key: &str| span[key].as_str().expect("a time").parse::<i128>().expect("a number");
    let trigger = time(root, "startTimeUnixNano");
    let since = |nanos: i128| u64::try_from((nanos - trigger) / 1_000_000).expect("after the trigger");
    let recorded = |step: &str| record["timeline"][step].as_u64();
    let leg = named("leg");
    let children = [
        ("leg", root, None, recorded("joined")),
        ("ring", leg, recorded("ringing"), recorded("answered")),
        ("brief", leg, recorded("answered"), recorded("accepted")),
        ("join", leg, recorded("accepted"), recorded("joined")),
        ("evidence", root, recorded("joined"), None),
    ];
    for (name, parent, from, to) in children {
        let span = named(name);
        assert_eq!(span["parentSpanId"], parent["spanId"], "{name}");
        let (start, end) = (time(span, "startTimeUnixNano"), time(span, "endTimeUnixNano"));
        assert!(
            start <= end && start >= trigger && end <= time(root, "endTimeUnixNano"),
            "{span}"
        );
        if let Some(from) = from {
            assert_eq!(since(start), from, "{name} begins, {record}");
        }
        if let Some(to) = to {
            assert_eq!(since(end), to, "{name} ends, {record}");
        }
    }
    let ids: std::collections::BTreeSet<_> = spans.iter().map(|span| span["spanId"].as_str()).collect();
    assert_eq!(ids.len(), spans.len());
    assert_eq!(root["events"][0]["name"], "first_human_word");

    // One that reaches nobody says why.
    world.caller.forget();
    let on = json!({ "mode": "warm", "reason": "a matter of sales", "target": "sales" });
    let second = world.ask_for_a_human(on).await;
    world.events(&second, "baton.handoff.failed").await;
    let (_, body) = timeout(PATIENCE, came.recv())
        .await
        .expect("in time")
        .expect("a request");
    let spans = body["resourceSpans"][0]["scopeSpans"][0]["spans"]
        .as_array()
        .expect("spans");
    assert_eq!(spans[0]["status"]["code"], 2);
    assert_eq!(attributes(&spans[0])["baton.reason"], "busy");
    let leg = spans.iter().find(|span| span["name"] == "leg").expect("a leg");
    let told = attributes(leg);
    assert_eq!(
        (told["baton.target"], told["baton.reason"], told["sip.status"]),
        ("sales", "busy", "486")
    );
    let metrics = world.get("/metrics").await;
    assert!(
        metrics.contains("baton_otlp_spans_total{status=\"dropped\"} 0\n"),
        "{metrics}"
    );
    world.end().await;
}
