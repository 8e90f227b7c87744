//! One test's world: a server and its parties.

use std::ffi::OsStr;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::routing::post;
use baton_server::config::Config;
use baton_server::server::Server;
use reqwest::{Client, Response, StatusCode};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::mpsc::{self, UnboundedReceiver, UnboundedSender};
use tokio::time::{sleep, timeout};

use crate::PATIENCE;
use crate::child::Program;
use crate::folder;
use crate::party::{Carrier, Manner, Party, Signal, Voice, Wish};
use crate::ports::Ports;
use crate::way::{FOUR, SIX, Way};

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

/// What a contract's reader finds in each listener's evidence.
const EVIDENCE: [&str; 10] = [
    "sent",
    "lost",
    "reordered",
    "duplicated",
    "sequence_breaks",
    "timestamp_breaks",
    "longest_gap_ms",
    "dead_air_ms",
    "concealed_ms",
    "upstream_lost",
];

/// A server, the three parties, and what came to the webhook.
pub(crate) struct World {
    host: Host,
    pub(crate) sip: SocketAddr,
    pub(crate) http: SocketAddr,
    pub(crate) client: Client,
    pub(crate) caller: Party,
    pub(crate) ai: Party,
    pub(crate) human: Party,
    came: UnboundedReceiver<(HeaderMap, Bytes)>,
    /// The data of the last event that was waited for.
    pub(crate) data: Value,
    /// The bodies of all events that were waited for, and of those before them.
    pub(crate) bodies: Vec<Bytes>,
    pub(crate) call: String,
    _busy: Party,
    _ports: Ports,
}

/// Where the server runs.
enum Host {
    /// In the test's process.
    Inside(Box<Server>),
    /// In one of its own, with its files in a folder.
    Program(Program, PathBuf),
}

/// The keys of the API: everybody's, and the AI's.
pub(crate) const ADMIN: &str = "admin-key";
pub(crate) const OWN: &str = "own-key";

/// The number of a caller who has one.
pub(crate) const NUMBER: &str = "+49301234567";

/// What a world is made of.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan {
    /// What the human does with an INVITE.
    pub(crate) manner: Manner,
    /// Where the trunk takes REFER, what becomes of it.
    pub(crate) carrier: Option<Carrier>,
    /// The caller has a number that can be called back by its trunk: what it does with that INVITE.
    pub(crate) number: Option<Manner>,
    /// At the end of the configuration.
    pub(crate) more: &'static str,
    /// Keys of `[node]`.
    pub(crate) node: &'static str,
    /// Keys of `[media]`.
    pub(crate) media: &'static str,
    /// Pairs of media ports of each worker.
    pub(crate) pairs: u16,
    /// A service manager of this name in the program's folder, which wants signs of life.
    pub(crate) manager: Option<&'static str>,
    pub(crate) caller: Way,
    pub(crate) ai: Way,
    pub(crate) human: Way,
}

impl Plan {
    /// All go the same way; the trunk takes no REFER.
    pub(crate) fn all(way: Way) -> Plan {
        Plan {
            manner: Manner::Answers,
            carrier: None,
            number: None,
            more: "",
            node: "drain_s = 0",
            media: "",
            pairs: 8,
            manager: None,
            caller: way,
            ai: way,
            human: way,
        }
    }
}

impl World {
    /// Caller and AI hear each other, over UDP and IPv4.
    pub(crate) async fn start(manner: Manner) -> World {
        let plan = Plan::all(Way::udp(FOUR));
        World::with(Plan { manner, ..plan }).await
    }

    /// Caller and AI hear each other. There is another target, `sales`, where it is always busy.
    pub(crate) async fn with(plan: Plan) -> World {
        World::begin(plan, false).await
    }

    /// The same with the real program.
    pub(crate) async fn with_program(plan: Plan) -> World {
        World::begin(plan, true).await
    }

    async fn begin(plan: Plan, program: bool) -> World {
        let mut ports = Ports::claim();
        let (hook, came) = receiver().await;
        let mut caller = Party::start(Voice::Caller, plan.number.unwrap_or(Manner::IsBusy), plan.caller).await;
        let mut ai = Party::start(Voice::Ai, Manner::Answers, plan.ai).await;
        let human = Party::start(Voice::Human, plan.manner, plan.human).await;
        let busy = Party::start(Voice::Human, Manner::IsBusy, plan.human).await;
        // Addresses of the families that somebody has.
        let ways = [plan.caller, plan.ai, plan.human];
        let ours = [FOUR, SIX]
            .into_iter()
            .filter(|ip| ways.iter().any(|way| way.ip == *ip));
        let ours: Vec<_> = ours.collect();
        // Two ranges of the data plane: a new version uses the other one.
        let (sip_port, media_port) = (ports.take(1), ports.take(32));
        let http = SocketAddr::from(([127, 0, 0, 1], if program { ports.take(1) } else { 0 }));
        let listen: Vec<_> = ours
            .iter()
            .map(|ip| SocketAddr::new(*ip, sip_port).to_string())
            .collect();
        let advertise: Vec<_> = ours.iter().map(IpAddr::to_string).collect();
        let bound = if ours.len() > 1 { "::" } else { &advertise[0] };
        let refer_s = if matches!(plan.carrier, Some(Carrier::Waits)) {
            60
        } else {
            1
        };
        let outbound = plan.number.map_or_else(String::new, |_| {
            let (to, at) = ("sip:{number}@carrier.example", caller.at);
            format!(
                "[trunks.outbound]\nuri = \"{to}\"\nfrom = \"sip:+4930111@baton.example\"\nnext_hop = \"{at}{}\"\n",
                plan.caller.parameter()
            )
        });
        // T1 is short only so that the last transaction is forgotten soon.
        let text = format!(
            "[node]\n{}\n[sip]\nlisten = {listen:?}\nt1_ms = 100\nt4_ms = 500\n\
             [media]\nlisten = {bound:?}\nadvertise = {advertise:?}\nfirst_port = {media_port}\nports_per_worker = {}\n{}\n\
             [http]\nlisten = \"{http}\"\n\
             [[http.keys]]\nname = \"admin\"\nkey = \"{ADMIN}\"\nscope = \"admin\"\n\
             [[http.keys]]\nname = \"own\"\nkey = \"{OWN}\"\nscope = \"ai\"\nagent = \"assistant\"\n\
             [[trunks]]\nname = \"carrier\"\naddresses = [\"127.0.0.1\", \"::1\"]\nrefer = {}\n{outbound}\
             [[ai_agents]]\nname = \"assistant\"\nuri = \"sip:ai@{}{}\"\n\
             [[targets]]\nname = \"support\"\nuri = \"sip:human@{}{}\"\n\
             [[targets]]\nname = \"sales\"\nuri = \"sip:human@{}{}\"\n\
             [playbook]\naccept = \"api\"\ntargets = [\"support\"]\nrefer_s = {refer_s}\n\
             [[webhooks]]\nname = \"crm\"\nurl = \"http://{hook}/\"\nallow_private = true\nsecrets = [\"{SECRET}\"]\n{}",
            plan.node,
            plan.pairs,
            plan.media,
            plan.carrier.is_some(),
            ai.at,
            plan.ai.parameter(),
            human.at,
            plan.human.parameter(),
            busy.at,
            plan.human.parameter(),
            plan.more,
        );
        let folder = folder::of(media_port);
        let client = Client::builder().no_proxy().build().expect("a client");
        let (host, http) = if program {
            std::fs::write(folder.join("baton.toml"), &text).expect("a file");
            let manager = plan.manager.map(|name| folder.join(name));
            let variables: Vec<_> = manager.iter().flat_map(|path| manager_at(path)).collect();
            let mut program = Program::start_in(
                "baton",
                env!("CARGO_BIN_EXE_baton"),
                arguments(&[]),
                &folder,
                &variables,
            );
            ready(&client, http, &mut program).await;
            (Host::Program(program, folder), http)
        } else {
            let config = Config::from_toml(&text, &folder).unwrap_or_else(|problems| panic!("{problems:#?}"));
            let server = Server::start(config).await.expect("started");
            let http = server.http();
            (Host::Inside(Box::new(server)), http)
        };

        let sip = SocketAddr::new(plan.caller.ip, sip_port);
        let to = sip;
        if plan.number.is_some() {
            caller.wish(Wish::Number(NUMBER));
        }
        caller.wish(Wish::Call(to, plan.carrier.unwrap_or(Carrier::Refuses)));
        let Signal::Invited(Some(call), None) = ai.next().await else {
            panic!("the AI is not invited to a call")
        };
        ai.until(&Signal::Up).await;
        caller.until(&Signal::Up).await;
        caller.hears(Voice::Ai).await;
        ai.hears(Voice::Caller).await;
        World {
            host,
            sip,
            http,
            client,
            caller,
            ai,
            human,
            came,
            data: Value::Null,
            bodies: Vec::new(),
            call,
            _busy: busy,
            _ports: ports,
        }
    }

    pub(crate) async fn get(&self, path: &str) -> String {
        let request = self.client.get(format!("http://{}{path}", self.http));
        let answer = request.bearer_auth(ADMIN).send().await.expect("an answer");
        assert_eq!(answer.status(), StatusCode::OK, "{path}");
        answer.text().await.expect("a body")
    }

    pub(crate) async fn without_a_key(&self, path: &str) -> Response {
        let request = self.client.get(format!("http://{}{path}", self.http));
        request.send().await.expect("an answer")
    }

    pub(crate) async fn post(&self, key: &str, path: &str, body: Value) -> (StatusCode, Value) {
        self.post_once(key, path, body, "").await
    }

    /// With an `Idempotency-Key`, unless it is empty.
    pub(crate) async fn post_once(&self, key: &str, path: &str, body: Value, once: &str) -> (StatusCode, Value) {
        let mut request = self
            .client
            .post(format!("http://{}{path}", self.http))
            .bearer_auth(key)
            .header("content-type", "application/json")
            .body(body.to_string());
        if !once.is_empty() {
            request = request.header("idempotency-key", once);
        }
        let answer = request.send().await.expect("an answer");
        let status = answer.status();
        let text = answer.text().await.expect("a body");
        (status, serde_json::from_str(&text).expect("JSON"))
    }

    /// Without a body.
    pub(crate) async fn post_alone(&self, path: &str) -> StatusCode {
        let request = self.client.post(format!("http://{}{path}", self.http));
        request.bearer_auth(ADMIN).send().await.expect("an answer").status()
    }

    /// Merges into the call's context.
    pub(crate) async fn patch(&self, key: &str, patch: Value) -> StatusCode {
        let url = format!("http://{}/v1/calls/{}/context", self.http, self.call);
        let request = self.client.patch(url).bearer_auth(key);
        let request = request
            .header("content-type", "application/json")
            .body(patch.to_string());
        request.send().await.expect("an answer").status()
    }

    /// The first event of this type in `/v1/events`, told from its beginning.
    pub(crate) async fn streamed(&self, query: &str, kind: &str) -> Value {
        let url = format!("http://{}/v1/events{query}", self.http);
        let request = self.client.get(url).bearer_auth(ADMIN).header("last-event-id", "0");
        let mut answer = request.send().await.expect("an answer");
        let mut text = String::new();
        loop {
            let chunk = timeout(PATIENCE, answer.chunk()).await.expect("in time");
            text.push_str(&String::from_utf8_lossy(&chunk.expect("whole").expect("more events")));
            // The last line may be a part of one.
            let whole = text.rsplit_once('\n').map_or("", |(whole, _)| whole);
            let mut events = whole.lines().filter_map(|line| line.strip_prefix("data: "));
            let event = events.find_map(|data| {
                let event: Value = serde_json::from_str(data).expect("JSON");
                (event["type"] == kind).then_some(event)
            });
            if let Some(event) = event {
                return event;
            }
        }
    }

    pub(crate) async fn ask_for_a_human(&self, wish: Value) -> String {
        let path = format!("/v1/calls/{}/handoffs", self.call);
        let (status, body) = self.post(ADMIN, &path, wish).await;
        assert_eq!(status, StatusCode::ACCEPTED, "{body}");
        body["id"].as_str().expect("an id").to_owned()
    }

    /// The types of the handoff's events up to this one, in the order in which they arrived; each is verified.
    pub(crate) async fn events(&mut self, handoff: &str, last: &str) -> Vec<String> {
        let verifier = standardwebhooks::Webhook::new(SECRET).expect("a secret");
        let mut types = Vec::new();
        while types.last().is_none_or(|kind| kind != last) {
            let came = timeout(PATIENCE, self.came.recv()).await;
            let (headers, body) = came
                .unwrap_or_else(|_| panic!("no {last} after {types:?}"))
                .expect("the receiver runs");
            verifier.verify(&body, &headers).expect("verified");
            let event: Value = serde_json::from_slice(&body).expect("JSON");
            self.bodies.push(body);
            if event["subject"] == handoff {
                types.push(event["type"].as_str().expect("a type").to_owned());
                self.data = event["data"].clone();
            }
        }
        types
    }

    pub(crate) async fn record(&self, handoff: &str) -> Value {
        self.document(&format!("/v1/handoffs/{handoff}")).await
    }

    pub(crate) async fn document(&self, path: &str) -> Value {
        serde_json::from_str(&self.get(path).await).expect("JSON")
    }

    /// Whether each of these lines is in a scrape.
    pub(crate) async fn metrics_say(&self, lines: &[&str]) {
        let text = self.get("/metrics").await;
        for line in lines {
            assert!(text.lines().any(|one| one == *line), "{line} is not in\n{text}");
        }
    }

    /// The human answers, is briefed while the caller waits, takes the call by the API, and is joined with the caller.
    pub(crate) async fn is_taken(&mut self, handoff: &str) {
        self.is_briefed(handoff).await;
        self.accept(handoff).await;
        self.is_joined().await;
    }

    pub(crate) async fn is_briefed(&mut self, handoff: &str) {
        self.human.until(&Signal::Up).await;
        self.events(handoff, "baton.handoff.answered").await;
        self.human.hears_a_prompt().await;
        self.caller.forget();
        self.caller.hears_a_prompt().await;
    }

    /// Takes the call for the human.
    pub(crate) async fn accept(&self, handoff: &str) {
        let path = format!("/v1/handoffs/{handoff}/accept");
        let (status, body) = self.post(ADMIN, &path, Value::Null).await;
        assert_eq!(status, StatusCode::OK, "{body}");
    }

    /// The operator hangs up.
    pub(crate) async fn hang_up_by_the_api(&self) {
        let url = format!("http://{}/v1/calls/{}", self.http, self.call);
        let answer = self.client.delete(url).bearer_auth(ADMIN).send().await;
        assert_eq!(answer.expect("an answer").status(), StatusCode::NO_CONTENT);
    }

    pub(crate) async fn is_joined(&mut self) {
        self.caller.hears(Voice::Human).await;
        self.human.hears(Voice::Caller).await;
        self.ai.until(&Signal::Bye).await;
    }

    /// The caller hangs up on the human; then nothing of the call may be left.
    pub(crate) async fn end(mut self) {
        self.hang_up().await;
        self.nothing_is_left().await;
    }

    pub(crate) async fn hang_up(&mut self) {
        self.caller.wish(Wish::HangUp);
        self.caller.until(&Signal::Over).await;
        self.human.until(&Signal::Bye).await;
    }

    pub(crate) async fn nothing_is_left(self) {
        let gone = async {
            while self.server().alive().await != calls::node::Alive::default() {
                sleep(Duration::from_millis(50)).await;
            }
        };
        if timeout(PATIENCE, gone).await.is_err() {
            panic!("left over: {:?}", self.server().alive().await);
        }
        self.stop().await;
    }

    /// The server, which runs in this process.
    pub(crate) fn server(&self) -> &Server {
        match &self.host {
            Host::Inside(server) => server,
            Host::Program(..) => panic!("the server is a program of its own"),
        }
    }

    /// The program, and the folder that it runs in.
    pub(crate) fn program(&mut self) -> (&mut Program, &Path) {
        match &mut self.host {
            Host::Inside(_) => panic!("the server is in this process"),
            Host::Program(program, folder) => (program, folder),
        }
    }

    /// Ends the program and starts it again.
    pub(crate) async fn restart(&mut self) {
        let (client, http) = (self.client.clone(), self.http);
        let (program, folder) = self.program();
        program.terminate();
        assert!(program.wait(PATIENCE).success());
        let mut new = start_program("again", folder, &[]);
        ready(&client, http, &mut new).await;
        *self.program().0 = new;
    }

    /// Stops the server.
    pub(crate) async fn stop(self) {
        match self.host {
            Host::Inside(server) => server.stop().await,
            Host::Program(mut program, _) => {
                program.terminate();
                let status = program.wait(PATIENCE);
                let said = program.said();
                assert!(status.success() && !said.contains("broken off"), "{status}: {said}");
            }
        }
    }
}

/// Starts the program with what it is told in the folder.
pub(crate) fn start_program(name: &str, folder: &Path, more: &[&str]) -> Program {
    Program::start(name, env!("CARGO_BIN_EXE_baton"), arguments(more), folder)
}

fn arguments(more: &[&str]) -> Vec<String> {
    let arguments = ["serve", "--config", "baton.toml"].iter().chain(more);
    arguments.map(|argument| (*argument).to_owned()).collect()
}

/// What a service manager tells a program that it starts.
fn manager_at(path: &Path) -> [(&'static str, &OsStr); 2] {
    [
        ("NOTIFY_SOCKET", path.as_os_str()),
        ("WATCHDOG_USEC", OsStr::new("400000")),
    ]
}

/// Waits until it takes calls.
pub(crate) async fn ready(client: &Client, http: SocketAddr, program: &mut Program) {
    let ready = async {
        loop {
            let answer = client.get(format!("http://{http}/readyz")).send().await;
            if answer.is_ok_and(|answer| answer.status() == StatusCode::OK) {
                return;
            }
            program.assert_running();
            sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(PATIENCE, ready).await.expect("it is ready");
}

pub(crate) fn warm() -> Value {
    json!({ "mode": "warm", "reason": "asked for a human" })
}

async fn receiver() -> (SocketAddr, UnboundedReceiver<(HeaderMap, Bytes)>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("bound");
    let (sender, came) = mpsc::unbounded_channel();
    let take = async |State(sender): State<Arc<UnboundedSender<_>>>, headers: HeaderMap, body: Bytes| {
        let _ = sender.send((headers, body));
    };
    let router = axum::Router::new().route("/", post(take)).with_state(Arc::new(sender));
    tokio::spawn(async move { axum::serve(listener, router).await });
    (address, came)
}

pub(crate) fn assert_evidence(record: &Value, party: &str) {
    let evidence = record["evidence"][party].as_object().expect("evidence");
    for name in EVIDENCE {
        assert!(evidence.contains_key(name), "{party} has no {name}: {evidence:?}");
    }
    for name in ["lost", "reordered", "duplicated", "sequence_breaks", "timestamp_breaks"] {
        assert_eq!(evidence[name], 0, "{party}: {name}");
    }
    assert!(evidence["sent"].as_u64().is_some_and(|sent| sent > 0), "{evidence:?}");
}
