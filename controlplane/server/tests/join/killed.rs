//! `kill -9` of the whole server, as a program of its own; and several of them on one store.

use std::collections::HashSet;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::{Path as Segment, State};
use axum::http::HeaderMap;
use axum::routing::post;
use reqwest::{Client, StatusCode};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::process::{Child, Command};
use tokio::sync::mpsc::{self, UnboundedReceiver, UnboundedSender};
use tokio::time::{sleep, timeout};

use crate::party::{Carrier, Manner, Party, Signal, Voice, Wish};
use crate::ports::Ports;
use crate::way::{FOUR, Way};
use crate::{PATIENCE, folder, postgres};

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

/// A server as a program, and where it is reached.
struct Program {
    child: Child,
    client: Client,
    http: SocketAddr,
}

impl Program {
    /// Until it is ready. Where a port of one that was just killed is not free yet, it is started again.
    async fn start(plan: &Plan<'_>) -> Program {
        let started = async {
            loop {
                if let Some(program) = Program::try_start(plan).await {
                    return program;
                }
            }
        };
        timeout(PATIENCE, started).await.expect("it is ready")
    }

    /// `None`: it has ended by itself.
    async fn try_start(plan: &Plan<'_>) -> Option<Program> {
        let (file, http) = (plan.write(), plan.http());
        let client = Client::builder().no_proxy().build().expect("a client");
        let mut child = Command::new(env!("CARGO_BIN_EXE_baton"))
            .args(["serve", "--config"])
            .arg(&file)
            .env("RUST_LOG", "error")
            .stdin(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .expect("it starts");
        while child.try_wait().expect("a child").is_none() {
            let answer = client.get(format!("http://{http}/readyz")).send().await;
            if answer.is_ok_and(|answer| answer.status() == StatusCode::OK) {
                return Some(Program { child, client, http });
            }
            sleep(Duration::from_millis(20)).await;
        }
        None
    }

    /// SIGKILL.
    async fn kill(mut self) {
        self.child.kill().await.expect("killed");
    }

    async fn signal(&self, name: &str) {
        let id = self.child.id().expect("it runs").to_string();
        let status = Command::new("kill").args([name, &id]).status().await;
        assert!(status.is_ok_and(|status| status.success()), "kill {name}");
    }

    async fn get(&self, path: &str) -> String {
        let answer = self.client.get(format!("http://{}{path}", self.http)).send().await;
        let answer = answer.expect("an answer");
        assert_eq!(answer.status(), StatusCode::OK, "{path}");
        answer.text().await.expect("a body")
    }

    async fn json(&self, path: &str) -> Value {
        serde_json::from_str(&self.get(path).await).expect("JSON")
    }

    /// All that it has done is on the disk.
    async fn settle(&self) {
        self.get("/v1/handoffs").await;
    }

    async fn ask_for_a_human(&self, call: &str) -> String {
        let answer = self
            .client
            .post(format!("http://{}/v1/calls/{call}/handoffs", self.http))
            .header("content-type", "application/json")
            .body(json!({ "mode": "warm", "reason": "asked for a human" }).to_string())
            .send()
            .await
            .expect("an answer");
        assert_eq!(answer.status(), StatusCode::ACCEPTED);
        let body: Value = serde_json::from_str(&answer.text().await.expect("a body")).expect("JSON");
        body["id"].as_str().expect("an id").to_owned()
    }

    /// A figure of its metrics; 0 where it does not stand there.
    async fn figure(&self, name: &str) -> f64 {
        let text = self.get("/metrics").await;
        let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        value.map_or(0.0, |value| value.parse().expect("a number"))
    }
}

const BYES: &str = "baton_takeover_byes_total";
const HANDOFFS: &str = "baton_handoffs_total{result=\"failed\",reason=\"node_restarted\"}";
const CALLS: &str = "baton_calls_ended_total{by=\"node_restarted\"}";

/// What these have closed and ended of others: BYEs, handoffs, calls.
async fn taken_over(programs: &[&Program]) -> [f64; 3] {
    let mut sums = [0.0; 3];
    for program in programs {
        for (sum, name) in sums.iter_mut().zip([BYES, HANDOFFS, CALLS]) {
            *sum += program.figure(name).await;
        }
    }
    sums
}

/// Waits until these have done so much, and no more.
async fn have_taken_over(programs: &[&Program], wanted: [f64; 3]) {
    let done = async {
        while taken_over(programs)
            .await
            .iter()
            .zip(wanted)
            .any(|(sum, wanted)| *sum < wanted)
        {
            sleep(Duration::from_millis(20)).await;
        }
    };
    let _ = timeout(PATIENCE, done).await;
    assert_eq!(taken_over(programs).await, wanted);
}

/// What a server is made of. Its name is that of its node, and where its events go.
struct Plan<'a> {
    name: &'a str,
    sip: u16,
    http: u16,
    media: u16,
    store: &'a str,
    folder: PathBuf,
    ai: SocketAddr,
    human: SocketAddr,
    way: Way,
    hook: SocketAddr,
}

impl Plan<'_> {
    fn sip(&self) -> SocketAddr {
        SocketAddr::new(FOUR, self.sip)
    }

    fn http(&self) -> SocketAddr {
        SocketAddr::new(FOUR, self.http)
    }

    fn write(&self) -> PathBuf {
        let parameter = self.way.parameter();
        let text = format!(
            "[node]\nname = \"{name}\"\n[sip]\nlisten = \"{sip}\"\nt1_ms = 100\nt4_ms = 500\n\
             [media]\nfirst_port = {media}\nports_per_worker = 8\n[http]\nlisten = \"{http}\"\n[store]\nurl = \"{store}\"\n\
             [[trunks]]\nname = \"carrier\"\naddresses = [\"127.0.0.1\"]\n\
             [[ai_agents]]\nname = \"assistant\"\nuri = \"sip:ai@{ai}{parameter}\"\n\
             [[targets]]\nname = \"support\"\nuri = \"sip:human@{human}{parameter}\"\nring_s = 60\n\
             [playbook]\naccept = \"api\"\nreach_s = 120\n\
             [[webhooks]]\nname = \"crm\"\nurl = \"http://{hook}/{name}\"\nallow_private = true\nsecrets = [\"{SECRET}\"]\n\
             retry_ms = 100\nretry_max_ms = 200\n",
            name = self.name,
            sip = self.sip(),
            media = self.media,
            http = self.http(),
            store = self.store,
            ai = self.ai,
            human = self.human,
            hook = self.hook,
        );
        let file = self.folder.join(format!("{}.toml", self.name));
        std::fs::write(&file, text).expect("a file");
        file
    }
}

/// What came to the webhook: by which server, and what.
type Came = (String, Value);

/// An endpoint that refuses events of one type for as long as it is told to.
#[derive(Clone)]
struct Hook {
    at: SocketAddr,
    refused: Arc<Mutex<&'static str>>,
}

impl Hook {
    async fn start() -> (Hook, UnboundedReceiver<Came>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let hook = Hook {
            at: listener.local_addr().expect("bound"),
            refused: Arc::default(),
        };
        let (sender, came) = mpsc::unbounded_channel();
        let state = (hook.clone(), sender);
        let router = axum::Router::new().route("/{server}", post(take)).with_state(state);
        tokio::spawn(async move { axum::serve(listener, router).await });
        (hook, came)
    }

    fn refuse(&self, kind: &'static str) {
        *self.refused.lock().expect("a lock") = kind;
    }
}

async fn take(
    State((hook, sender)): State<(Hook, UnboundedSender<Came>)>,
    Segment(server): Segment<String>,
    headers: HeaderMap,
    body: Bytes,
) -> StatusCode {
    let verifier = standardwebhooks::Webhook::new(SECRET).expect("a secret");
    let event: Value = serde_json::from_slice(&body).expect("JSON");
    if verifier.verify(&body, &headers).is_err() || event["type"] == *hook.refused.lock().expect("a lock") {
        return StatusCode::SERVICE_UNAVAILABLE;
    }
    let _ = sender.send((server, event));
    StatusCode::NO_CONTENT
}

/// The next event that was taken about this, of this type; all that came before it about others is left out.
async fn told(came: &mut UnboundedReceiver<Came>, subject: &str, kind: &str) -> (String, Value) {
    let wanted = async {
        loop {
            let (server, event) = came.recv().await.expect("the hook runs");
            if event["subject"] == subject && event["type"] == kind {
                return (server, event);
            }
        }
    };
    timeout(PATIENCE, wanted).await.unwrap_or_else(|_| panic!("no {kind}"))
}

/// Caller and AI talk; the call's id.
async fn talk(plan: &Plan<'_>, caller: &mut Party, ai: &mut Party) -> String {
    caller.wish(Wish::Call(plan.sip(), Carrier::Refuses));
    let Signal::Invited(Some(call), None) = ai.next().await else {
        panic!("the AI is not invited to a call")
    };
    ai.until(&Signal::Up).await;
    caller.until(&Signal::Up).await;
    caller.hears(Voice::Ai).await;
    ai.hears(Voice::Caller).await;
    call
}

fn sqlite(folder: &Path) -> String {
    format!("sqlite:{}", folder.join("baton.db").display())
}

async fn killed_while_the_human_is_briefed(way: Way) {
    let mut ports = Ports::claim();
    let (hook, mut came) = Hook::start().await;
    let mut caller = Party::start(Voice::Caller, Manner::IsBusy, way).await;
    let mut ai = Party::start(Voice::Ai, Manner::Answers, way).await;
    let mut human = Party::start(Voice::Human, Manner::Answers, way).await;
    let (sip, http, media) = (ports.take(1), ports.take(1), ports.take(16));
    let folder = folder::of(media);
    let store = sqlite(&folder);
    let plan = Plan {
        name: "a",
        sip,
        http,
        media,
        store: &store,
        folder,
        ai: ai.at,
        human: human.at,
        way,
        hook: hook.at,
    };
    let program = Program::start(&plan).await;
    let call = talk(&plan, &mut caller, &mut ai).await;
    let handoff = program.ask_for_a_human(&call).await;
    human.until(&Signal::Up).await;
    human.hears_a_prompt().await;
    told(&mut came, &handoff, "baton.handoff.answered").await;
    program.settle().await;
    program.kill().await;

    let program = Program::start(&plan).await;
    for party in [&mut caller, &mut ai, &mut human] {
        party.until(&Signal::Bye).await;
    }
    let mut left = HashSet::from(["baton.handoff.failed", "baton.call.ended"]);
    while !left.is_empty() {
        let (_, event) = timeout(PATIENCE, came.recv())
            .await
            .expect("an event")
            .expect("the hook");
        match event["type"].as_str() {
            Some("baton.handoff.failed") => {
                assert_eq!(event["subject"], handoff);
                assert_eq!(event["data"]["reason"], "node_restarted");
                left.remove("baton.handoff.failed");
            }
            Some("baton.call.ended") => {
                assert_eq!(event["subject"], call);
                assert_eq!(event["data"]["by"], "node_restarted");
                left.remove("baton.call.ended");
            }
            other => assert!(other.is_some_and(|kind| kind != "baton.handoff.completed"), "{event}"),
        }
    }
    let record = program.json(&format!("/v1/handoffs/{handoff}")).await;
    assert_eq!(
        (&record["state"], &record["result"], &record["reason"]),
        (&json!("failed"), &json!("failed"), &json!("node_restarted"))
    );
    have_taken_over(&[&program], [3.0, 1.0, 1.0]).await;
    assert_eq!(program.json("/v1/calls").await["calls"], json!([]));
}

#[tokio::test(flavor = "multi_thread")]
async fn kill_9_ends_every_leg_over_udp_and_says_so() {
    killed_while_the_human_is_briefed(Way::udp(FOUR)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn kill_9_ends_every_leg_over_tcp_and_says_so() {
    killed_while_the_human_is_briefed(Way::tcp(FOUR)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn servers_on_one_sqlite_leave_each_others_calls_alone_until_one_is_dead() {
    let ports = Ports::claim();
    several(ports, sqlite).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn servers_on_one_postgres_leave_each_others_calls_alone_until_one_is_dead() {
    let ports = Ports::claim();
    several(ports, |_| match postgres::database() {
        baton_server::store::Place::Postgres(url) => url,
        place => panic!("{place:?}"),
    })
    .await;
}

async fn several(mut ports: Ports, store: fn(&Path) -> String) {
    let way = Way::udp(FOUR);
    let (hook, mut came) = Hook::start().await;
    let mut caller = Party::start(Voice::Caller, Manner::IsBusy, way).await;
    let mut ai = Party::start(Voice::Ai, Manner::Answers, way).await;
    let mut human = Party::start(Voice::Human, Manner::Rings, way).await;
    let mut other_caller = Party::start(Voice::Caller, Manner::IsBusy, way).await;
    let mut other_ai = Party::start(Voice::Ai, Manner::Answers, way).await;
    let media = [(); 4].map(|()| ports.take(16));
    let folder = folder::of(media[0]);
    let store = store(&folder);
    let mut plan = |name, media, ai| Plan {
        name,
        sip: ports.take(1),
        http: ports.take(1),
        media,
        store: &store,
        folder: folder.clone(),
        ai,
        human: human.at,
        way,
        hook: hook.at,
    };
    let [plan_a, plan_b, plan_c, plan_d] = [
        plan("a", media[0], ai.at),
        plan("b", media[1], other_ai.at),
        plan("c", media[2], ai.at),
        plan("d", media[3], ai.at),
    ];
    let a = Program::start(&plan_a).await;
    let call = talk(&plan_a, &mut caller, &mut ai).await;
    // What A is still to tell when it is stopped.
    hook.refuse("baton.handoff.ringing");
    let handoff = a.ask_for_a_human(&call).await;
    assert!(matches!(human.next().await, Signal::Invited(..)));
    told(&mut came, &handoff, "baton.handoff.requested").await;
    // One that comes up while A says nothing, and looks at the store; it has a call and an event of its own.
    let both = async {
        loop {
            a.settle().await;
            a.signal("-STOP").await;
            match Program::try_start(&plan_b).await {
                Some(b) => return b,
                // A was stopped as it wrote: nobody else can write into its SQLite until it goes on.
                None => a.signal("-CONT").await,
            }
        }
    };
    let b = timeout(PATIENCE, both).await.expect("it is ready");
    hook.refuse("");
    let other_call = talk(&plan_b, &mut other_caller, &mut other_ai).await;
    let (by, _) = told(&mut came, &other_call, "baton.call.started").await;
    assert_eq!(by, "b");
    let record = b.json(&format!("/v1/handoffs/{handoff}")).await;
    assert_eq!(record["closed_at"], Value::Null, "{record}");
    assert_eq!(taken_over(&[&b]).await, [0.0; 3]);

    // A goes on as if nothing had been: it tells what it had to tell, and its caller hears hold audio.
    a.signal("-CONT").await;
    let (by, _) = told(&mut came, &handoff, "baton.handoff.ringing").await;
    assert_eq!(by, "a", "B has told nothing of A's");
    caller.hears_a_prompt().await;
    hook.refuse("baton.handoff.answered");
    human.wish(Wish::Answer);
    human.until(&Signal::Up).await;
    human.hears_a_prompt().await;
    a.settle().await;
    a.kill().await;

    // Two come up at one time, beside one that is there: one of them takes over.
    hook.refuse("");
    let (c, d) = tokio::join!(Program::start(&plan_c), Program::start(&plan_d));
    for party in [&mut caller, &mut ai, &mut human] {
        party.until(&Signal::Bye).await;
    }
    let (by, _) = told(&mut came, &handoff, "baton.handoff.answered").await;
    let (by_whom, failed) = told(&mut came, &handoff, "baton.handoff.failed").await;
    assert_eq!(by, by_whom, "one has taken all of it over");
    assert_eq!(failed["data"]["reason"], "node_restarted");
    have_taken_over(&[&b, &c, &d], [3.0, 1.0, 1.0]).await;

    // B's own call was nobody's to take.
    other_caller.hears(Voice::Ai).await;
    other_caller.wish(Wish::HangUp);
    other_caller.until(&Signal::Over).await;
    for party in [&mut caller, &mut ai, &mut human] {
        assert!(
            party.signals.try_recv().is_err(),
            "a second BYE would be refused, and is not sent"
        );
    }
}
