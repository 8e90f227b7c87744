//! Handoffs to a human who is there: a whole server in process, three parties with sockets of their own, real audio.

mod ports;

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::body::Bytes;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::routing::post;
use baton_server::config::Config;
use baton_server::server::Server;
use ports::Ports;
use reqwest::{Client, StatusCode};
use serde_json::{Value, json};
use sip::endpoint::{ByeCause, DialogId, Endpoint, Event, Invite};
use sip::sdp::{Agreed, Encoding, Local};
use tokio::net::{TcpListener, UdpSocket};
use tokio::sync::mpsc::{self, UnboundedReceiver, UnboundedSender};
use tokio::time::{MissedTickBehavior, interval, sleep, sleep_until, timeout};

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

/// A wait that is not over by then fails the test; nothing depends on how long it takes.
const PATIENCE: Duration = Duration::from_secs(60);

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

/// Four µ-law codes, then their negatives: 1000 Hz, at a level that tells the parties apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Voice {
    Caller = 0x10,
    Ai = 0x18,
    Human = 0x20,
}

impl Voice {
    fn payload(self) -> Vec<u8> {
        let code = self as u8;
        [[code; 4], [code | 0x80; 4]].concat().repeat(20)
    }
}

/// What a party does with an INVITE.
#[derive(Clone, Copy, Debug)]
enum Manner {
    Answers,
    IsBusy,
}

/// What the caller's side does with a REFER.
#[derive(Clone, Copy, Debug)]
enum Carrier {
    Connects,
    Refuses,
    SaysNothingMore,
}

enum Wish {
    /// And does this with a REFER.
    Call(SocketAddr, Carrier),
    HangUp,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Signal {
    /// An INVITE came, with these: the call's id, the handoff's id.
    Invited(Option<String>, Option<String>),
    Up,
    /// The other side's BYE.
    Bye,
    Over,
}

/// A party from the test's side.
struct Party {
    at: SocketAddr,
    wishes: UnboundedSender<Wish>,
    signals: UnboundedReceiver<Signal>,
    heard: UnboundedReceiver<Vec<u8>>,
}

impl Party {
    async fn start(voice: Voice, manner: Manner) -> Party {
        let sip = UdpSocket::bind("127.0.0.1:0").await.expect("a socket");
        let rtp = UdpSocket::bind("127.0.0.1:0").await.expect("a socket");
        let at = sip.local_addr().expect("bound");
        let port = rtp.local_addr().expect("bound").port();
        let (wishes, wished) = mpsc::unbounded_channel();
        let (signal, signals) = mpsc::unbounded_channel();
        let (hear, heard) = mpsc::unbounded_channel();
        let phone = Phone {
            endpoint: Endpoint::new(sip::endpoint::Config {
                agent: format!("{voice:?}"),
                ..sip::endpoint::Config::new(at, voice as u64)
            }),
            local: Local::new(at.ip(), port, &[Encoding::Pcmu], voice as u64),
            voice,
            manner,
            carrier: Carrier::Refuses,
            dialog: None,
            agreed: None,
            sent: 0,
            sip,
            rtp,
            signal,
            hear,
        };
        tokio::spawn(phone.run(wished));
        Party {
            at,
            wishes,
            signals,
            heard,
        }
    }

    fn wish(&self, wish: Wish) {
        assert!(self.wishes.send(wish).is_ok(), "the phone has stopped");
    }

    async fn until(&mut self, wanted: &Signal) {
        while self.next().await != *wanted {}
    }

    async fn next(&mut self) -> Signal {
        let next = timeout(PATIENCE, self.signals.recv()).await;
        next.expect("a signal came").expect("the phone runs")
    }

    /// Waits for audio of this voice that has not been received yet.
    async fn hears(&mut self, voice: Voice) {
        while self.heard.try_recv().is_ok() {}
        let heard = async { while self.heard.recv().await.expect("the phone runs") != voice.payload() {} };
        timeout(PATIENCE, heard)
            .await
            .unwrap_or_else(|_| panic!("{voice:?} was not heard"));
    }

    /// Waits for audio that is none of the parties'.
    async fn hears_a_prompt(&mut self) {
        let voices = [Voice::Caller, Voice::Ai, Voice::Human].map(Voice::payload);
        let heard = async { while voices.contains(&self.heard.recv().await.expect("the phone runs")) {} };
        timeout(PATIENCE, heard).await.expect("a prompt was heard");
    }
}

/// A party: a SIP endpoint and an RTP stream that goes on as long as the call.
struct Phone {
    endpoint: Endpoint,
    local: Local,
    voice: Voice,
    manner: Manner,
    carrier: Carrier,
    dialog: Option<DialogId>,
    agreed: Option<Agreed>,
    sent: u32,
    sip: UdpSocket,
    rtp: UdpSocket,
    signal: UnboundedSender<Signal>,
    hear: UnboundedSender<Vec<u8>>,
}

impl Phone {
    /// Until the party is dropped.
    async fn run(mut self, mut wishes: UnboundedReceiver<Wish>) {
        let (mut message, mut packet) = (vec![0; 65_535], vec![0; 2048]);
        let mut tick = interval(Duration::from_millis(20));
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            while let Some(transmit) = self.endpoint.poll_transmit() {
                self.sip.send_to(&transmit.bytes, transmit.to).await.expect("sent");
            }
            let wake = self.endpoint.poll_timeout();
            tokio::select! {
                came = self.sip.recv_from(&mut message) => if let Ok((len, from)) = came {
                    self.endpoint.handle_datagram(Instant::now(), from, Bytes::copy_from_slice(&message[..len]));
                },
                came = self.rtp.recv_from(&mut packet) => if let Ok((len, _)) = came {
                    self.take_rtp(&packet[..len]);
                },
                _ = tick.tick() => self.speak().await,
                wish = wishes.recv() => match wish {
                    None => return,
                    Some(wish) => self.take_wish(wish),
                },
                () = sleep_until(wake.unwrap_or_else(Instant::now).into()), if wake.is_some() => {
                    self.endpoint.handle_timeout(Instant::now());
                }
            }
            while let Some(event) = self.endpoint.poll_event() {
                self.take_event(event);
            }
        }
    }

    fn take_wish(&mut self, wish: Wish) {
        match wish {
            Wish::Call(to, carrier) => {
                self.carrier = carrier;
                let offer = Bytes::from(self.local.offer());
                let invite = Invite {
                    to: format!("sip:shop@{to}"),
                    from: format!("<sip:caller@{}>", self.local.address),
                    next_hop: Some(to),
                    offer: Some(offer),
                    ..Invite::default()
                };
                self.dialog = Some(self.endpoint.invite(Instant::now(), invite));
            }
            Wish::HangUp => {
                let dialog = self.dialog.expect("a call");
                self.agreed = None;
                self.endpoint.end(Instant::now(), dialog, None).expect("a live call");
            }
        }
    }

    fn take_event(&mut self, event: Event) {
        let now = Instant::now();
        match event {
            Event::Invite { dialog, request, .. } => {
                let header = |name: &str| request.header(name).map(|value| value.into_owned());
                self.tell(Signal::Invited(header("X-Baton-Call"), header("X-Baton-Handoff")));
                match self.manner {
                    Manner::IsBusy => self.endpoint.reject(now, dialog, 486, &[]).expect("refused"),
                    Manner::Answers => {
                        let (answer, agreed) = self.local.answer(request.body()).expect("an offer that fits");
                        self.endpoint.ring(now, dialog, 180, None).expect("rings");
                        self.endpoint
                            .answer(now, dialog, Bytes::from(answer), &[])
                            .expect("answered");
                        self.dialog = Some(dialog);
                        self.agreed = Some(agreed);
                    }
                }
            }
            Event::Answered { body, .. } => {
                let answer = body.expect("an answer");
                self.agreed = Some(self.local.accept(&answer).expect("an answer that fits"));
                self.tell(Signal::Up);
            }
            Event::Acked { .. } => self.tell(Signal::Up),
            Event::Reinvite { dialog, body } => {
                let (answer, agreed) = self.local.answer(&body.expect("an offer")).expect("an offer that fits");
                self.agreed = Some(agreed);
                self.endpoint
                    .answer_reinvite(now, dialog, Bytes::from(answer))
                    .expect("answered");
            }
            Event::Bye { cause, .. } => {
                assert_eq!(cause, ByeCause::Peer);
                self.agreed = None;
                self.tell(Signal::Bye);
            }
            Event::Ended { .. } | Event::Refused { .. } | Event::Cancelled { .. } => self.tell(Signal::Over),
            Event::Progress { .. } | Event::ReinviteAnswered { .. } | Event::ReinviteRefused { .. } => {}
            Event::Refer { refer, .. } => match self.carrier {
                Carrier::Refuses => self.endpoint.reject_refer(now, refer, 603).expect("refused"),
                Carrier::SaysNothingMore => self.endpoint.accept_refer(now, refer).expect("accepted"),
                Carrier::Connects => {
                    self.endpoint.accept_refer(now, refer).expect("accepted");
                    self.endpoint.notify(now, refer, 180, false).expect("told");
                    self.endpoint.notify(now, refer, 200, true).expect("told");
                }
            },
            Event::ReferAnswered { .. } | Event::ReferProgress { .. } => {}
        }
    }

    /// A test that has ended does not listen.
    fn tell(&self, signal: Signal) {
        let _ = self.signal.send(signal);
    }

    /// RTP without CSRC or extension; RTCP on the same port is left alone (RFC 5761 §4).
    fn take_rtp(&self, packet: &[u8]) {
        if packet.len() > 12 && packet[0] == 0x80 && packet[1] & 0x7f == 0 {
            let _ = self.hear.send(packet[12..].to_vec());
        }
    }

    async fn speak(&mut self) {
        let Some(to) = self.agreed.as_ref().and_then(|agreed| agreed.remote) else {
            return;
        };
        let mut packet = vec![0x80, 0];
        packet.extend((self.sent as u16).to_be_bytes());
        packet.extend((self.sent * 160).to_be_bytes());
        packet.extend((self.voice as u32).to_be_bytes());
        packet.extend(self.voice.payload());
        self.sent += 1;
        // A port that is closed already says so here.
        let _ = self.rtp.send_to(&packet, to).await;
    }
}

/// A server, the three parties, and what came to the webhook.
struct World {
    server: Server,
    client: Client,
    caller: Party,
    ai: Party,
    human: Party,
    came: UnboundedReceiver<(HeaderMap, Bytes)>,
    /// The data of the last event that was waited for.
    data: Value,
    call: String,
    _busy: Party,
    _ports: Ports,
}

/// The keys of the API: everybody's, and the AI's.
const ADMIN: &str = "admin-key";
const OWN: &str = "own-key";

impl World {
    /// Caller and AI hear each other. The caller's trunk takes no REFER.
    async fn start(manner: Manner) -> World {
        World::with(manner, None).await
    }

    /// Where the trunk takes REFER, what becomes of it. There is another target, `sales`, where it is always busy.
    async fn with(manner: Manner, carrier: Option<Carrier>) -> World {
        let mut ports = Ports::claim();
        let (hook, came) = receiver().await;
        let mut caller = Party::start(Voice::Caller, Manner::IsBusy).await;
        let mut ai = Party::start(Voice::Ai, Manner::Answers).await;
        let human = Party::start(Voice::Human, manner).await;
        let busy = Party::start(Voice::Human, Manner::IsBusy).await;
        // T1 is short only so that the last transaction is forgotten soon.
        let text = format!(
            "[node]\ndrain_s = 0\n[sip]\nlisten = \"127.0.0.1:0\"\nt1_ms = 100\nt4_ms = 500\n\
             [media]\nfirst_port = {}\nports_per_worker = 8\n[http]\nlisten = \"127.0.0.1:0\"\n\
             [[http.keys]]\nname = \"admin\"\nkey = \"{ADMIN}\"\nscope = \"admin\"\n\
             [[http.keys]]\nname = \"own\"\nkey = \"{OWN}\"\nscope = \"ai\"\nagent = \"assistant\"\n\
             [[trunks]]\nname = \"carrier\"\nrefer = {}\n[[ai_agents]]\nname = \"assistant\"\nuri = \"sip:ai@{}\"\n\
             [[targets]]\nname = \"support\"\nuri = \"sip:human@{}\"\n[[targets]]\nname = \"sales\"\nuri = \"sip:human@{}\"\n\
             [playbook]\naccept = \"api\"\ntargets = [\"support\"]\nrefer_s = 1\n\
             [[webhooks]]\nname = \"crm\"\nurl = \"http://{hook}/\"\nsecrets = [\"{SECRET}\"]\n",
            ports.take(16),
            carrier.is_some(),
            ai.at,
            human.at,
            busy.at,
        );
        let config = Config::from_toml(&text, Path::new("")).unwrap_or_else(|problems| panic!("{problems:#?}"));
        let server = Server::start(config).await.expect("started");

        caller.wish(Wish::Call(server.sip(), carrier.unwrap_or(Carrier::Refuses)));
        let Signal::Invited(Some(call), None) = ai.next().await else {
            panic!("the AI is not invited to a call")
        };
        ai.until(&Signal::Up).await;
        caller.until(&Signal::Up).await;
        caller.hears(Voice::Ai).await;
        ai.hears(Voice::Caller).await;
        World {
            server,
            client: Client::builder().no_proxy().build().expect("a client"),
            caller,
            ai,
            human,
            came,
            data: Value::Null,
            call,
            _busy: busy,
            _ports: ports,
        }
    }

    async fn get(&self, path: &str) -> String {
        let request = self.client.get(format!("http://{}{path}", self.server.http()));
        let answer = request.bearer_auth(ADMIN).send().await.expect("an answer");
        assert_eq!(answer.status(), StatusCode::OK, "{path}");
        answer.text().await.expect("a body")
    }

    async fn post(&self, key: &str, path: &str, body: Value) -> (StatusCode, Value) {
        let request = self
            .client
            .post(format!("http://{}{path}", self.server.http()))
            .bearer_auth(key)
            .header("content-type", "application/json")
            .body(body.to_string());
        let answer = request.send().await.expect("an answer");
        let status = answer.status();
        let text = answer.text().await.expect("a body");
        (status, serde_json::from_str(&text).expect("JSON"))
    }

    async fn ask_for_a_human(&self, wish: Value) -> String {
        let path = format!("/v1/calls/{}/handoffs", self.call);
        let (status, body) = self.post(ADMIN, &path, wish).await;
        assert_eq!(status, StatusCode::ACCEPTED, "{body}");
        body["id"].as_str().expect("an id").to_owned()
    }

    /// The types of the handoff's events up to this one, in the order in which they arrived; each is verified.
    async fn events(&mut self, handoff: &str, last: &str) -> Vec<String> {
        let verifier = standardwebhooks::Webhook::new(SECRET).expect("a secret");
        let mut types = Vec::new();
        while types.last().is_none_or(|kind| kind != last) {
            let came = timeout(PATIENCE, self.came.recv()).await;
            let (headers, body) = came
                .unwrap_or_else(|_| panic!("no {last} after {types:?}"))
                .expect("the receiver runs");
            verifier.verify(&body, &headers).expect("verified");
            let event: Value = serde_json::from_slice(&body).expect("JSON");
            if event["subject"] == handoff {
                types.push(event["type"].as_str().expect("a type").to_owned());
                self.data = event["data"].clone();
            }
        }
        types
    }

    async fn record(&self, handoff: &str) -> Value {
        serde_json::from_str(&self.get(&format!("/v1/handoffs/{handoff}")).await).expect("JSON")
    }

    /// Whether each of these lines is in a scrape.
    async fn metrics_say(&self, lines: &[&str]) {
        let text = self.get("/metrics").await;
        for line in lines {
            assert!(text.lines().any(|one| one == *line), "{line} is not in\n{text}");
        }
    }

    /// The human answers, takes the call by the API, and is joined with the caller.
    async fn is_taken(&mut self, handoff: &str) {
        self.human.until(&Signal::Up).await;
        self.events(handoff, "baton.handoff.answered").await;
        let path = format!("/v1/handoffs/{handoff}/accept");
        let (status, body) = self.post(ADMIN, &path, Value::Null).await;
        assert_eq!(status, StatusCode::OK, "{body}");
        self.is_joined().await;
    }

    async fn is_joined(&mut self) {
        self.caller.hears(Voice::Human).await;
        self.human.hears(Voice::Caller).await;
        self.ai.until(&Signal::Bye).await;
    }

    /// The caller hangs up on the human; then nothing of the call may be left.
    async fn end(mut self) {
        self.hang_up().await;
        self.nothing_is_left().await;
    }

    async fn hang_up(&mut self) {
        self.caller.wish(Wish::HangUp);
        self.caller.until(&Signal::Over).await;
        self.human.until(&Signal::Bye).await;
    }

    async fn nothing_is_left(self) {
        let gone = async {
            while self.server.alive().await != calls::node::Alive::default() {
                sleep(Duration::from_millis(50)).await;
            }
        };
        if timeout(PATIENCE, gone).await.is_err() {
            panic!("left over: {:?}", self.server.alive().await);
        }
        self.server.stop().await;
    }
}

fn warm() -> Value {
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

fn assert_evidence(record: &Value, party: &str) {
    let evidence = record["evidence"][party].as_object().expect("evidence");
    for name in EVIDENCE {
        assert!(evidence.contains_key(name), "{party} has no {name}: {evidence:?}");
    }
    for name in ["lost", "reordered", "duplicated", "sequence_breaks", "timestamp_breaks"] {
        assert_eq!(evidence[name], 0, "{party}: {name}");
    }
    assert!(evidence["sent"].as_u64().is_some_and(|sent| sent > 0), "{evidence:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_warm_handoff_joins_caller_and_human_and_the_record_says_how() {
    let mut world = World::start(Manner::Answers).await;
    let handoff = world.ask_for_a_human(warm()).await;
    let invited = world.human.next().await;
    assert_eq!(
        invited,
        Signal::Invited(Some(world.call.clone()), Some(handoff.clone()))
    );
    world.human.until(&Signal::Up).await;
    let mut types = world.events(&handoff, "baton.handoff.answered").await;
    let (status, body) = world
        .post(ADMIN, &format!("/v1/handoffs/{handoff}/accept"), Value::Null)
        .await;
    assert_eq!(status, StatusCode::OK, "{body}");

    world.caller.hears(Voice::Human).await;
    world.human.hears(Voice::Caller).await;
    world.ai.until(&Signal::Bye).await;
    types.extend(world.events(&handoff, "baton.handoff.completed").await);
    assert_eq!(
        types,
        ["requested", "ringing", "answered", "accepted", "joined", "completed"]
            .map(|name| format!("baton.handoff.{name}"))
    );

    let record = world.record(&handoff).await;
    assert_eq!(
        (&record["state"], &record["result"], &record["reason"]),
        (&json!("completed"), &json!("joined"), &Value::Null)
    );
    let timeline = &record["timeline"];
    let times: Vec<f64> = [
        "triggered",
        "ringing",
        "answered",
        "accepted",
        "joined",
        "first_human_word",
    ]
    .map(|step| timeline[step].as_f64().unwrap_or_else(|| panic!("{step}: {timeline}")))
    .into();
    assert!(times.is_sorted(), "{timeline}");
    assert_evidence(&record, "caller");
    assert_evidence(&record, "human");
    assert_eq!(
        (&record["codecs"]["caller"], &record["codecs"]["human"]),
        (&json!("PCMU"), &json!("PCMU"))
    );
    world
        .metrics_say(&[
            "baton_calls 1",
            "baton_calls_started_total 1",
            "baton_handoffs_requested_total 1",
            "baton_handoffs_total{result=\"joined\",reason=\"\"} 1",
            "baton_handoff_step_seconds_count{step=\"joined\"} 1",
        ])
        .await;
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_human_who_is_busy_leaves_the_caller_with_the_ai() {
    let mut world = World::start(Manner::IsBusy).await;
    while world.caller.heard.try_recv().is_ok() {}
    let handoff = world.ask_for_a_human(warm()).await;
    assert!(matches!(world.human.next().await, Signal::Invited(Some(_), Some(_))));
    world.caller.hears_a_prompt().await;
    let types = world.events(&handoff, "baton.handoff.failed").await;
    assert_eq!(
        types,
        ["requested", "returned", "failed"].map(|name| format!("baton.handoff.{name}"))
    );
    let record = world.record(&handoff).await;
    assert_eq!(
        (&record["state"], &record["result"], &record["reason"]),
        (&json!("failed"), &json!("returned_to_ai"), &json!("busy"))
    );
    assert_eq!(
        record["failed_targets"],
        json!([{ "target": "support", "reason": "busy", "status": 486 }])
    );
    world.caller.hears(Voice::Ai).await;
    world.ai.hears(Voice::Caller).await;
    world
        .metrics_say(&["baton_handoffs_total{result=\"returned_to_ai\",reason=\"busy\"} 1"])
        .await;
    world.server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_ai_that_has_left_may_not_hand_off_and_a_human_who_tries_gets_the_caller_back() {
    let mut world = World::start(Manner::Answers).await;
    let handoff = world.ask_for_a_human(warm()).await;
    world.is_taken(&handoff).await;

    let path = format!("/v1/calls/{}/handoffs", world.call);
    let (status, problem) = world.post(OWN, &path, warm()).await;
    assert_eq!(status, StatusCode::CONFLICT, "{problem}");
    assert_eq!(problem["detail"], "the call is with a human");
    // What a caller says asks the AI for a human: it is kept, and begins nothing.
    let turn = json!({ "role": "caller", "text": "I want to speak to a human" });
    let turns = format!("/v1/calls/{}/turns", world.call);
    let (status, decided) = world.post(OWN, &turns, turn).await;
    assert_eq!((status, &decided["decision"]), (StatusCode::OK, &json!("continue")));

    while world.caller.heard.try_recv().is_ok() {}
    let on = json!({ "mode": "warm", "reason": "a matter of sales", "target": "sales" });
    let second = world.ask_for_a_human(on).await;
    world.caller.hears_a_prompt().await;
    world.events(&second, "baton.handoff.returned").await;
    world.events(&second, "baton.handoff.failed").await;
    assert_eq!(
        (&world.data["result"], &world.data["reason"]),
        (&json!("returned_to_human"), &json!("busy"))
    );
    let record = world.record(&second).await;
    assert_eq!(
        (&record["state"], &record["result"], &record["reason"]),
        (&json!("failed"), &json!("returned_to_human"), &json!("busy"))
    );
    assert_eq!(world.record(&handoff).await["result"], "joined");
    world
        .metrics_say(&[
            "baton_handoffs_total{result=\"joined\",reason=\"\"} 1",
            "baton_handoffs_total{result=\"returned_to_human\",reason=\"busy\"} 1",
        ])
        .await;
    world.caller.hears(Voice::Human).await;
    world.human.hears(Voice::Caller).await;
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_carrier_that_connects_the_caller_ends_the_call_as_transferred() {
    let mut world = World::with(Manner::Answers, Some(Carrier::Connects)).await;
    let handoff = world
        .ask_for_a_human(json!({ "mode": "cold", "reason": "asked for a human" }))
        .await;
    world.caller.until(&Signal::Bye).await;
    world.ai.until(&Signal::Bye).await;
    let types = world.events(&handoff, "baton.handoff.completed").await;
    assert!(types.contains(&"baton.handoff.requested".to_owned()), "{types:?}");
    assert!(!types.contains(&"baton.handoff.joined".to_owned()), "{types:?}");
    assert_eq!(world.data["result"], "transferred");
    let record = world.record(&handoff).await;
    assert_eq!(
        (&record["state"], &record["result"], &record["reason"]),
        (&json!("completed"), &json!("transferred"), &Value::Null)
    );
    world
        .metrics_say(&[
            "baton_handoffs_total{result=\"transferred\",reason=\"\"} 1",
            "baton_calls_ended_total{by=\"transfer\"} 1",
        ])
        .await;
    assert!(world.human.signals.try_recv().is_err(), "we call nobody");
    world.nothing_is_left().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn where_the_carrier_does_not_connect_the_caller_we_do_and_the_record_says_why() {
    for (carrier, failed) in [
        (Carrier::Refuses, json!({ "reason": "refer_refused", "status": 603 })),
        (
            Carrier::SaysNothingMore,
            json!({ "reason": "refer_timeout", "status": null }),
        ),
    ] {
        let mut world = World::with(Manner::Answers, Some(carrier)).await;
        let handoff = world
            .ask_for_a_human(json!({ "mode": "cold", "reason": "asked for a human" }))
            .await;
        world.is_joined().await;
        world.events(&handoff, "baton.handoff.completed").await;
        assert_eq!(world.data["result"], "joined");
        let record = world.record(&handoff).await;
        assert_eq!((&record["result"], &record["reason"]), (&json!("joined"), &Value::Null));
        let tried = &record["failed_targets"][0];
        assert_eq!(
            (&tried["target"], &tried["reason"], &tried["status"]),
            (&json!("support"), &failed["reason"], &failed["status"]),
            "{carrier:?}"
        );
        // A REFER of which nothing more is heard is remembered for longer than a test wants to wait.
        world.hang_up().await;
        world.server.stop().await;
    }
}

/// As many datagrams as the socket takes, from addresses of no trunk: messages of our own writing, each with a few bytes changed.
fn strangers(to: SocketAddr, count: usize) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fuzz/corpus/sip");
    let mut messages: Vec<_> = std::fs::read_dir(folder)
        .expect("a corpus")
        .map(|entry| std::fs::read(entry.expect("an entry").path()).expect("a message"))
        .collect();
    messages.sort();
    let sockets: Vec<_> = (2..10)
        .map(|host| std::net::UdpSocket::bind(SocketAddr::from(([127, 0, 0, host], 0))).expect("a socket"))
        .collect();
    let mut random = 1u32;
    for number in 0..count {
        let mut message = messages[number % messages.len()].clone();
        for _ in 0..number % 4 {
            random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let at = (random >> 8) as usize % message.len();
            message[at] = (random >> 24) as u8;
        }
        // A full buffer is what a flood is about.
        let _ = sockets[number % sockets.len()].send_to(&message, to);
    }
}

/// Asks, and asks again as RFC 3261 §17.1.2.2 says, until the answer comes.
async fn options(socket: &UdpSocket, to: SocketAddr, number: usize) {
    let at = socket.local_addr().expect("bound");
    let ask = format!(
        "OPTIONS sip:baton@{to} SIP/2.0\r\nVia: SIP/2.0/UDP {at};branch=z9hG4bKping{number};rport\r\nMax-Forwards: 70\r\n\
         From: <sip:ping@{at}>;tag=p\r\nTo: <sip:baton@{to}>\r\nCall-ID: ping{number}\r\nCSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n"
    );
    let id = format!("\r\nCall-ID: ping{number}\r\n");
    let mut buffer = vec![0; 65_535];
    let answered = async {
        loop {
            socket.send_to(ask.as_bytes(), to).await.expect("sent");
            if let Ok(Ok((len, _))) = timeout(Duration::from_millis(500), socket.recv_from(&mut buffer)).await {
                let text = String::from_utf8_lossy(&buffer[..len]);
                if text.contains(&id) {
                    assert!(text.starts_with("SIP/2.0 200 "), "{text}");
                    return;
                }
            }
        }
    };
    timeout(PATIENCE, answered).await.expect("an answer");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_strangers_disturbs_neither_a_call_nor_who_asks() {
    let mut world = World::start(Manner::IsBusy).await;
    let to = world.server.sip();
    let flood = tokio::task::spawn_blocking(move || strangers(to, 20_000));
    let socket = UdpSocket::bind("127.0.0.20:0").await.expect("a socket");
    let mut asked = 0;
    while asked < 20 || !flood.is_finished() {
        options(&socket, to, asked).await;
        asked += 1;
    }
    flood.await.expect("sent");
    world.caller.hears(Voice::Ai).await;
    world.ai.hears(Voice::Caller).await;
    let alive = world.server.alive().await;
    assert_eq!((alive.calls, alive.sip.dialogs), (1, 2), "strangers leave nothing");

    world.caller.wish(Wish::HangUp);
    world.caller.until(&Signal::Over).await;
    world.ai.until(&Signal::Bye).await;
    let gone = async {
        while world.server.alive().await != calls::node::Alive::default() {
            sleep(Duration::from_millis(50)).await;
        }
    };
    timeout(PATIENCE, gone).await.expect("nothing is left");
    world.server.stop().await;
}
