//! `/v1/events`: what webhooks are told, to whoever listens.

use std::fs::File;
use std::process::{self, Command, Stdio};
use std::time::Duration;

use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpSocket;

use super::*;

/// A wait that is not over by then fails the test; nothing depends on how long it takes.
const PATIENCE: Duration = Duration::from_secs(60);

/// One that listens.
struct Listener {
    answer: reqwest::Response,
    text: String,
}

/// One event as it came.
#[derive(Clone, Debug, PartialEq)]
struct Event {
    id: String,
    kind: String,
    data: Value,
}

impl Listener {
    async fn new(api: &Api, query: &str, last: Option<&str>) -> Result<Listener, StatusCode> {
        let mut request = api.client.get(format!("{}/v1/events{query}", api.base));
        if let Some(key) = api.key {
            request = request.bearer_auth(key);
        }
        if let Some(last) = last {
            request = request.header("last-event-id", last);
        }
        let answer = request.send().await.expect("an answer");
        if answer.status() != StatusCode::OK {
            return Err(answer.status());
        }
        assert_eq!(answer.headers()["content-type"], "text/event-stream");
        Ok(Listener {
            answer,
            text: String::new(),
        })
    }

    /// The next block, as it came; `None` at the end.
    async fn block(&mut self) -> Option<String> {
        loop {
            if let Some((block, rest)) = self.text.split_once("\n\n") {
                let (block, rest) = (block.to_owned(), rest.to_owned());
                self.text = rest;
                return Some(block);
            }
            let chunk = tokio::time::timeout(PATIENCE, self.answer.chunk())
                .await
                .expect("in time");
            // A server that is killed breaks off.
            let chunk = chunk.ok().flatten()?;
            self.text
                .push_str(std::str::from_utf8(&chunk).expect("whole characters: they are ASCII here"));
        }
    }

    /// The next event.
    async fn event(&mut self) -> Option<Event> {
        loop {
            let block = self.block().await?;
            let field = |name: &str| {
                block
                    .lines()
                    .find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
            };
            if let (Some(id), Some(kind), Some(data)) = (field("id"), field("event"), field("data")) {
                return Some(Event {
                    id: id.to_owned(),
                    kind: kind.to_owned(),
                    data: serde_json::from_str(data).expect("JSON"),
                });
            }
        }
    }

    /// All events up to the first of this type.
    async fn until(&mut self, kind: &str) -> Vec<Event> {
        let mut events = Vec::new();
        while events.last().is_none_or(|last: &Event| last.kind != kind) {
            events.push(self.event().await.expect("more events"));
        }
        events
    }
}

fn kinds(events: &[Event]) -> Vec<&str> {
    events.iter().map(|event| event.kind.as_str()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn listeners_hear_what_webhooks_are_told_as_far_as_their_scope_and_filters_go() {
    let (hook, mut came) = receiver().await;
    let ai = UdpSocket::bind("127.0.0.1:0").await.expect("a socket");
    let config = with_keys(ai.local_addr().expect("bound"), "event_readers = 4\nheartbeat_s = 1");
    let config = format!(
        "{config}[[webhooks]]\nname = \"crm\"\nurl = \"http://{hook}/\"\nallow_private = true\nsecrets = [\"{SECRET}\"]\n"
    );
    let server = start(&mut Ports::claim(), &config).await;
    let of = |key| Api::of(&server, Some(key));
    let (own, other, desk) = (of("own-key"), of("other-key"), of("desk-key"));
    let mut all = Listener::new(&desk, "", None).await.expect("a stream");
    let mut mine = Listener::new(&own, "?types=baton.call.started,baton.handoff.failed", None)
        .await
        .expect("a stream");
    let mut theirs = Listener::new(&other, "", None).await.expect("a stream");
    let (_call, call) = Call::new(&server, ai).await;
    let mut of_call = Listener::new(&desk, &format!("?subject={call}"), Some("0"))
        .await
        .expect("a stream");
    // There are as many as there may be.
    assert_eq!(
        Listener::new(&desk, "", None).await.err(),
        Some(StatusCode::SERVICE_UNAVAILABLE)
    );

    let record = closed_handoff(&own, &call).await;
    own.send(Method::DELETE, &format!("/v1/calls/{call}"), &[], None).await;
    let heard = all.until("baton.call.ended").await;
    let mut expected = [
        "baton.call.started",
        "baton.handoff.requested",
        "baton.handoff.returned",
        "baton.handoff.failed",
        "baton.call.ended",
    ];
    assert_eq!(kinds(&heard), expected);
    // The same events as the webhook's, each under its id.
    for event in &heard {
        assert_eq!(event.data["id"], json!(event.id));
    }
    let mut told = Vec::new();
    while told.len() < heard.len() {
        let (_, body) = came.recv().await.expect("an event");
        told.push(serde_json::from_slice::<Value>(&body).expect("JSON"));
    }
    // Subjects do not wait for each other at a webhook.
    told.sort_by_key(|event| heard.iter().position(|heard| heard.data["id"] == event["id"]));
    assert!(heard.iter().map(|event| &event.data).eq(&told));

    assert_eq!(
        kinds(&mine.until("baton.handoff.failed").await),
        ["baton.call.started", "baton.handoff.failed"]
    );
    assert_eq!(
        kinds(&of_call.until("baton.call.ended").await),
        ["baton.call.started", "baton.call.ended"]
    );
    // Another agent's listener hears that we are there, and nothing else.
    let first = theirs.block().await.expect("a block");
    assert!(first.starts_with("retry: "), "{first}");
    assert_eq!(theirs.block().await.as_deref(), Some(": "));
    // Who goes on after an event hears those after it; and one that never was cannot be gone on from.
    drop((all, mine));
    let mut late = loop {
        // The places become free once the server has seen that they are.
        if let Ok(listener) = Listener::new(&desk, "", Some(&heard[2].id)).await {
            break listener;
        }
    };
    assert_eq!(late.until("baton.call.ended").await, heard[3..]);
    drop(late);
    let gone = loop {
        match Listener::new(&desk, "", Some("evt_none_00000001")).await.err() {
            Some(StatusCode::SERVICE_UNAVAILABLE) => {}
            other => break other,
        }
    };
    assert_eq!(gone, Some(StatusCode::GONE));
    expected.reverse();
    assert_eq!(record["state"], "failed");
    // A stop ends the streams, and does not wait for them.
    server.stop().await;
    assert_eq!(theirs.event().await, None);
}

/// A server in a process of its own: it is killed when this is dropped.
pub(super) struct Child {
    process: process::Child,
    http: SocketAddr,
}

impl Child {
    /// With the folder's `baton.toml`; waits until it is ready. The kernel gives the ports of one that was killed back a little later
    /// than it says that the process is gone: then it is started again, as a service manager does.
    pub(super) async fn start(folder: &Path, http: SocketAddr, log: Option<&Path>) -> Child {
        let own = folder.join("start.log");
        let log = log.unwrap_or(&own);
        let start = || Child {
            process: Command::new(env!("CARGO_BIN_EXE_baton"))
                .args(["serve", "--config"])
                .arg(folder.join("baton.toml"))
                .env_remove("RUST_LOG")
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(File::create(log).expect("a file"))
                .spawn()
                .expect("it runs"),
            http,
        };
        let mut child = start();
        let api = child.api();
        let ready = async {
            loop {
                let asked = api.client.get(format!("{}/readyz", api.base)).send().await;
                if asked.is_ok_and(|answer| answer.status() == StatusCode::OK) {
                    return;
                }
                if child.process.try_wait().expect("its status").is_some() {
                    let said = std::fs::read_to_string(log).expect("its log");
                    let taken = said.contains("is taken") || said.contains("cannot be bound");
                    assert!(taken, "it has ended: {said}");
                    child = start();
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(PATIENCE, ready).await.expect("ready");
        child
    }

    pub(super) fn api(&self) -> Api {
        Api {
            client: Client::builder().no_proxy().build().expect("a client"),
            base: format!("http://{}", self.http),
            key: None,
        }
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_listener_goes_on_where_it_was_though_the_server_is_killed_and_hears_nothing_twice() {
    let mut ports = Ports::claim();
    let first_port = ports.take(16);
    let folder = folder::of(first_port);
    let at = |port: u16| SocketAddr::from(([127, 0, 0, 1], port));
    let (sip, http) = (at(ports.take(1)), at(ports.take(1)));
    let ai = UdpSocket::bind("127.0.0.1:0").await.expect("a socket");
    // A phone that never answers: the handoff is open when the server dies.
    let human = UdpSocket::bind("127.0.0.1:0").await.expect("a socket");
    let config = format!(
        "[sip]\nlisten = \"{sip}\"\n[media]\nfirst_port = {first_port}\nports_per_worker = 8\n[http]\nlisten = \"{http}\"\n\
         [[trunks]]\nname = \"carrier\"\n[[ai_agents]]\nname = \"assistant\"\nuri = \"sip:ai@{}\"\n\
         [[targets]]\nname = \"support\"\nuri = \"sip:human@{}\"\n",
        ai.local_addr().expect("bound"),
        human.local_addr().expect("bound"),
    );
    std::fs::write(folder.join("baton.toml"), config).expect("written");
    let server = Child::start(&folder, http, None).await;
    let api = server.api();
    let mut listener = Listener::new(&api, "", None).await.expect("a stream");
    // Before anything happens it knows from where it is to go on.
    let first = listener.block().await.expect("a block");
    assert!(first.lines().any(|line| line == "id: 0"), "{first}");

    let (_call, call) = Call::with(sip, ai).await;
    let asked = json!({ "mode": "warm", "reason": "asked for a human" });
    let asked = api
        .json(Method::POST, &format!("/v1/calls/{call}/handoffs"), asked)
        .await;
    assert_eq!(asked.status, StatusCode::ACCEPTED, "{}", asked.body);
    let mut heard = listener.until("baton.call.started").await;
    drop(server);

    let server = Child::start(&folder, http, None).await;
    let api = server.api();
    let last = heard.last().expect("an event").id.clone();
    let mut listener = Listener::new(&api, "", Some(&last)).await.expect("a stream");
    heard.extend(listener.until("baton.call.ended").await);
    let expected = [
        "baton.call.started",
        "baton.handoff.requested",
        "baton.handoff.failed",
        "baton.call.ended",
    ];
    assert_eq!(kinds(&heard), expected);
    let mut from_the_beginning = Listener::new(&api, "", Some("0")).await.expect("a stream");
    assert_eq!(from_the_beginning.until("baton.call.ended").await, heard);
}

/// More events than both ends of a connection hold, for one who does not read them.
#[tokio::test(flavor = "multi_thread")]
async fn a_listener_that_does_not_read_loses_its_place_and_may_come_back() {
    let ai = UdpSocket::bind("127.0.0.1:0").await.expect("a socket");
    let human = UdpSocket::bind("127.0.0.1:0").await.expect("a socket");
    let config = format!(
        "[node]\ndrain_s = 0\n[http]\nlisten = \"127.0.0.1:0\"\nevent_readers = 1\nrequest_s = 1\n[[trunks]]\nname = \"carrier\"\n\
         [[ai_agents]]\nname = \"assistant\"\nuri = \"sip:ai@{}\"\n[[targets]]\nname = \"support\"\nuri = \"sip:human@{}\"\n",
        ai.local_addr().expect("bound"),
        human.local_addr().expect("bound"),
    );
    let server = start(&mut Ports::claim(), &config).await;
    let api = Api::of(&server, None);
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.set_recv_buffer_size(4096).expect("set");
    let mut deaf = socket.connect(server.http()).await.expect("connected");
    let request = "GET /v1/events HTTP/1.1\r\nHost: localhost\r\n\r\n";
    deaf.write_all(request.as_bytes()).await.expect("sent");
    while Listener::new(&api, "", None).await.is_ok() {}

    let (_call, call) = Call::new(&server, ai).await;
    let asked = json!({ "mode": "warm", "reason": "asked for a human" });
    api.json(Method::POST, &format!("/v1/calls/{call}/handoffs"), asked)
        .await;
    // Each change of a running handoff's context is an event with the whole of it.
    for n in 0..200 {
        let patch = json!({ "fields": { "much": format!("{n:060000}") } });
        let patched = api
            .json(Method::PATCH, &format!("/v1/calls/{call}/context"), patch)
            .await;
        assert_eq!(patched.status, StatusCode::OK);
    }
    let came_back = async {
        loop {
            match Listener::new(&api, "?types=baton.context.updated", Some("0")).await {
                Ok(listener) => return listener,
                Err(status) => assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE),
            }
        }
    };
    let mut listener = tokio::time::timeout(PATIENCE, came_back).await.expect("a place");
    let first = listener.event().await.expect("an event");
    assert!(first.data["data"]["context"]["fields"]["fields"]["much"].is_string());
    drop(deaf);
    server.stop().await;
}
