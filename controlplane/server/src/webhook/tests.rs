mod killed;

use std::collections::VecDeque;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Mutex;
use std::task;

use axum::Router;
use axum::body::{Body, Bytes, HttpBody};
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use axum::routing::post;
use hyper::body::Frame;
use serde_json::json;
use tokio::net::TcpListener;
use tokio::sync::{Notify, mpsc};

use super::address::PublicOnly;
use super::address::tests::Zone;
use super::couriers::Couriers;
use super::sender::{Outcome, retry_after};
use super::*;
use crate::config::Secret;
use crate::event::Teller;
use crate::journal::lock;
use crate::store::tests::Home;
use crate::store::{EventRow, Waits};

const OLD: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const NEW: &str = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";

/// What came to a receiver, and what it answers: `answers` in turn, then 200.
#[derive(Default)]
struct Receiver {
    came: Mutex<Vec<(HeaderMap, Bytes)>>,
    answers: Mutex<VecDeque<Answer>>,
    arrived: Notify,
    /// Bytes of endless bodies that were written, and that the last one was given up.
    endless: AtomicU64,
    left: Notify,
}

#[derive(Clone, Copy)]
enum Answer {
    Status(u16),
    /// 503 with this Retry-After, in seconds.
    Later(u32),
    Never,
    /// This status, and a body without an end.
    Endless(u16),
}

impl Receiver {
    async fn start(self: &Arc<Receiver>, listener: TcpListener) -> SocketAddr {
        let address = listener.local_addr().expect("bound");
        let router = Router::new().route("/", post(receive)).with_state(Arc::clone(self));
        tokio::spawn(async move { axum::serve(listener, router).await });
        address
    }

    fn answering(answers: impl IntoIterator<Item = Answer>) -> Arc<Receiver> {
        let receiver = Receiver::default();
        lock(&receiver.answers).extend(answers);
        Arc::new(receiver)
    }

    async fn wait_for(&self, count: usize) -> Vec<(HeaderMap, Bytes)> {
        loop {
            let arrived = self.arrived.notified();
            let came = lock(&self.came).clone();
            if came.len() >= count {
                return came;
            }
            arrived.await;
        }
    }
}

async fn receive(State(receiver): State<Arc<Receiver>>, headers: HeaderMap, body: Bytes) -> Response {
    let answer = lock(&receiver.answers).pop_front();
    lock(&receiver.came).push((headers, body));
    receiver.arrived.notify_waiters();
    let answered = Response::builder().header("location", "/elsewhere");
    let answered = match answer {
        None => answered.body(Body::empty()),
        Some(Answer::Status(status)) => answered.status(status).body(Body::empty()),
        Some(Answer::Later(seconds)) => answered.status(503).header("retry-after", seconds).body(Body::empty()),
        Some(Answer::Never) => std::future::pending().await,
        Some(Answer::Endless(status)) => answered.status(status).body(Body::new(Endless(Arc::clone(&receiver)))),
    };
    answered.expect("an answer")
}

/// Bytes for as long as somebody reads them.
struct Endless(Arc<Receiver>);

impl HttpBody for Endless {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut task::Context<'_>,
    ) -> task::Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.0.endless.fetch_add(1024, Ordering::Relaxed);
        task::Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(&[b'x'; 1024])))))
    }
}

impl Drop for Endless {
    fn drop(&mut self) {
        self.0.left.notify_one();
    }
}

fn clients() -> Clients {
    Clients::new().expect("clients")
}

fn address(url: String, allow_private: bool) -> config::Address {
    config::Address {
        url,
        allow_private,
        secrets: vec![Secret::new(OLD)],
    }
}

fn config(to: SocketAddr) -> config::Webhook {
    config::Webhook {
        name: "test".to_owned(),
        to: address(format!("http://{to}/"), true),
        acknowledges: true,
        types: Vec::new(),
        timeout: Duration::from_secs(10),
        retry: Duration::from_millis(1),
        retry_max: Duration::from_millis(4),
        give_up: Duration::from_secs(3600),
    }
}

/// An endpoint with the outbox that it reads.
struct Line {
    _home: Home,
    store: Store,
    counters: Arc<Counters>,
    closing: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl Line {
    async fn start(config: config::Webhook) -> Line {
        let home = Home::sqlite();
        let (store, _) = home.store(100).await;
        Line::over(config, home, store)
    }

    fn over(config: config::Webhook, home: Home, store: Store) -> Line {
        let (closing, closed) = watch::channel(false);
        let (endpoint, task) = Endpoint::start(
            config,
            &clients(),
            store.clone(),
            closed,
            mpsc::unbounded_channel().0,
            Arc::default(),
        );
        Line {
            _home: home,
            store,
            counters: endpoint.counters,
            closing,
            task,
        }
    }

    /// What the journal does with an event.
    fn tell(&self, subject: &str, number: u32) {
        self.counters.waiting.fetch_add(1, Ordering::Relaxed);
        self.store.write(Write::Event(EventRow {
            id: format!("evt_{subject}_{number}"),
            subject: subject.to_owned(),
            sequence: number.into(),
            kind: "baton.call.started",
            at_ms: now_ms(),
            agent: "assistant".to_owned(),
            body: format!("{{\"number\":{number}}}").into(),
            endpoints: vec!["test".to_owned()],
            waits: Waits::default(),
        }));
    }

    /// Waits until the endpoint has nothing to do. As long as the home is there the store can be read.
    async fn end(self) -> (Arc<Counters>, Home) {
        self.store.settled(self.store.ticket()).await;
        self.closing.send(true).expect("it runs");
        self.task.await.expect("ended");
        (self.counters, self._home)
    }
}

async fn loopback() -> TcpListener {
    TcpListener::bind("127.0.0.1:0").await.expect("a port")
}

fn ids(came: &[(HeaderMap, Bytes)]) -> Vec<String> {
    came.iter()
        .map(|(headers, _)| headers["webhook-id"].to_str().expect("text").to_owned())
        .collect()
}

#[tokio::test]
async fn the_stock_library_verifies_with_each_secret_of_a_rotation() {
    let receiver = Receiver::answering([]);
    let mut config = config(receiver.start(loopback().await).await);
    config.to.secrets.push(Secret::new(NEW));
    let line = Line::start(config).await;
    line.tell("a", 1);
    let came = receiver.wait_for(1).await;
    let (headers, body) = &came[0];
    for secret in [OLD, NEW] {
        let verifier = standardwebhooks::Webhook::new(secret).expect("a secret");
        verifier.verify(body, headers).expect("verified");
    }
    let other = standardwebhooks::Webhook::new("whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA").expect("a secret");
    assert!(other.verify(body, headers).is_err());
    assert_eq!(headers["content-type"], "application/cloudevents+json");
    line.end().await;
}

#[tokio::test]
async fn failures_are_retried_with_the_same_id_and_in_order() {
    let failures = [Answer::Status(500), Answer::Status(302), Answer::Status(429)];
    let receiver = Receiver::answering(failures);
    let line = Line::start(config(receiver.start(loopback().await).await)).await;
    for number in 1..=3 {
        line.tell("a", number);
    }
    let came = receiver.wait_for(6).await;
    assert_eq!(
        ids(&came),
        ["evt_a_1", "evt_a_1", "evt_a_1", "evt_a_1", "evt_a_2", "evt_a_3"]
    );
    let (counters, _) = line.end().await;
    assert_eq!(counters.delivered.load(Ordering::Relaxed), 3);
    assert_eq!(counters.attempts.load(Ordering::Relaxed), 6);
    assert_eq!(counters.waiting.load(Ordering::Relaxed), 0);
    assert_eq!(came.len(), 6, "a redirect is not followed");
}

#[tokio::test]
async fn a_receiver_that_hangs_is_retried_and_does_not_hold_up_other_subjects() {
    let receiver = Receiver::answering([Answer::Never]);
    let mut config = config(receiver.start(loopback().await).await);
    config.timeout = Duration::from_millis(200);
    let line = Line::start(config).await;
    line.tell("stuck", 1);
    receiver.wait_for(1).await;
    line.tell("stuck", 2);
    line.tell("free", 1);
    let came = receiver.wait_for(4).await;
    let ids = ids(&came);
    let at = |id: &str| ids.iter().rposition(|other| other == id).expect("it came");
    assert!(at("evt_free_1") < at("evt_stuck_2"), "{ids:?}");
    assert_eq!(ids.iter().filter(|id| *id == "evt_stuck_1").count(), 2);
    line.end().await;
}

#[tokio::test]
async fn an_endpoint_that_comes_back_gets_what_waited() {
    let place = loopback().await;
    let address = place.local_addr().expect("bound");
    drop(place);
    let config = config(address);
    let line = Line::start(config).await;
    for number in 1..=3 {
        line.tell("a", number);
    }
    while line.counters.attempts.load(Ordering::Relaxed) < 3 {
        tokio::task::yield_now().await;
    }
    let receiver = Receiver::answering([]);
    receiver
        .start(TcpListener::bind(address).await.expect("the port"))
        .await;
    let came = receiver.wait_for(3).await;
    assert_eq!(ids(&came), ["evt_a_1", "evt_a_2", "evt_a_3"]);
    line.end().await;
}

#[tokio::test]
async fn what_is_given_up_does_not_stop_what_follows() {
    let receiver = Receiver::answering([Answer::Status(500)]);
    let mut config = config(receiver.start(loopback().await).await);
    config.give_up = Duration::ZERO;
    let line = Line::start(config).await;
    for number in 1..=2 {
        line.tell("a", number);
    }
    let came = receiver.wait_for(2).await;
    assert_eq!(ids(&came), ["evt_a_1", "evt_a_2"]);
    let store = line.store.clone();
    let (counters, _home) = line.end().await;
    assert_eq!(counters.failed.load(Ordering::Relaxed), 1);
    assert_eq!(counters.delivered.load(Ordering::Relaxed), 1);
    let told = store.read().deliveries("a", 10).await.expect("read");
    let told: Vec<_> = told.iter().map(|row| (&*row.status, row.answer.as_deref())).collect();
    assert_eq!(told, [("failed", Some("500")), ("delivered", Some("200"))]);
}

#[tokio::test]
async fn what_was_not_told_is_told_after_the_next_start() {
    let place = loopback().await;
    let address = place.local_addr().expect("bound");
    drop(place);
    let line = Line::start(config(address)).await;
    line.tell("a", 1);
    line.tell("a", 2);
    while line.counters.attempts.load(Ordering::Relaxed) == 0 {
        tokio::task::yield_now().await;
    }
    // As a process that is killed: the task ends wherever it is.
    line.task.abort();
    let receiver = Receiver::answering([]);
    receiver
        .start(TcpListener::bind(address).await.expect("the port"))
        .await;
    let (store, _) = line._home.store(100).await;
    let line = Line::over(config(address), line._home, store);
    let came = receiver.wait_for(2).await;
    assert_eq!(ids(&came), ["evt_a_1", "evt_a_2"]);
    line.end().await;
}

/// Nobody is told of what a crash could undo.
#[tokio::test]
async fn an_event_is_told_after_its_commit() {
    let receiver = Receiver::answering([]);
    let line = Line::start(config(receiver.start(loopback().await).await)).await;
    line.tell("a", 1);
    let came = receiver.wait_for(1).await;
    assert_eq!(ids(&came), ["evt_a_1"]);
    let told = line.store.read().deliveries("a", 10).await.expect("read");
    assert_eq!(told.len(), 1, "it is in the store when it arrives");
    line.end().await;
}

#[test]
fn types_are_filtered() {
    let wants = |types: &[&str], kind: &str| Endpoint::of("test", types).wants(kind);
    assert!(wants(&[], "baton.call.started"));
    assert!(wants(&["baton.call.ended"], "baton.call.ended"));
    assert!(!wants(&["baton.call.ended"], "baton.call.started"));
    assert!(wants(&["baton.call.ended", "baton.handoff.*"], "baton.handoff.joined"));
    assert!(!wants(&["baton.handoff.*"], "baton.call.ended"));
    assert!(wants(&["*"], "baton.call.ended"));
}

#[test]
fn retry_after_is_seconds_or_a_date() {
    let now: Timestamp = "2026-01-02T03:04:05Z".parse().expect("a time");
    let of = |text: &str| {
        let mut headers = HeaderMap::new();
        headers.insert("retry-after", text.parse().expect("a value"));
        retry_after(&headers, now)
    };
    assert_eq!(of("120"), Some(Duration::from_secs(120)));
    assert_eq!(of("Fri, 02 Jan 2026 03:04:35 GMT"), Some(Duration::from_secs(30)));
    for nothing in ["Fri, 02 Jan 2026 03:04:00 GMT", "-1", "soon", "99999999999999999999999"] {
        assert_eq!(of(nothing), None, "{nothing}");
    }
    assert_eq!(retry_after(&HeaderMap::new(), now), None);
}

/// One attempt of this answer's endpoint.
async fn attempt(answer: Answer) -> (Outcome, Arc<Receiver>) {
    let receiver = Receiver::answering([answer]);
    let to = receiver.start(loopback().await).await;
    let outcome = Sender::new(config(to), &clients()).post("evt_a_1", "{}").await;
    (outcome, receiver)
}

#[tokio::test]
async fn what_an_answer_means() {
    let seven = Some(Duration::from_secs(7));
    for (answer, text, means) in [
        (Answer::Status(200), "200", Means::Taken),
        (Answer::Status(204), "204", Means::Taken),
        (Answer::Later(7), "503", Means::Later(seven)),
        (Answer::Status(302), "302", Means::Later(None)),
        (Answer::Status(404), "404", Means::Later(None)),
        (Answer::Status(410), "410", Means::Gone),
    ] {
        let (outcome, _) = attempt(answer).await;
        assert_eq!((&*outcome.answer, outcome.means), (text, means));
    }
}

#[tokio::test]
async fn a_body_without_an_end_is_not_read_to_it() {
    for (status, means) in [(200, Means::Taken), (500, Means::Later(None))] {
        let (outcome, receiver) = attempt(Answer::Endless(status)).await;
        assert_eq!(outcome.means, means);
        // Whoever writes it finds that nobody reads any more.
        receiver.left.notified().await;
        let written = receiver.endless.load(Ordering::Relaxed);
        assert!(
            written < 16 << 20,
            "{written} bytes were taken, or lie in buffers on the way"
        );
    }
}

#[tokio::test]
async fn who_is_gone_gets_nothing_of_that_event_again() {
    let receiver = Receiver::answering([Answer::Status(410)]);
    let line = Line::start(config(receiver.start(loopback().await).await)).await;
    line.tell("a", 1);
    line.tell("a", 2);
    let came = receiver.wait_for(2).await;
    assert_eq!(ids(&came), ["evt_a_1", "evt_a_2"]);
    let store = line.store.clone();
    let (counters, _home) = line.end().await;
    assert_eq!(counters.failed.load(Ordering::Relaxed), 1);
    let told = store.read().deliveries("a", 10).await.expect("read");
    let told: Vec<_> = told.iter().map(|row| (&*row.status, row.answer.as_deref())).collect();
    assert_eq!(told, [("failed", Some("410")), ("delivered", Some("200"))]);
}

/// A name of the DNS that leads to us, whatever the configuration says of the name.
#[tokio::test]
async fn nothing_is_posted_to_a_name_that_leads_to_a_private_address() {
    let receiver = Receiver::answering([]);
    let to = receiver.start(loopback().await).await;
    let here = to.to_string();
    let zone = Zone::answering([&[&*here][..]]);
    let clients = Clients::over(PublicOnly::over(zone)).expect("clients");
    let config = config::Webhook {
        to: address(format!("http://crm.example.org:{}/", to.port()), false),
        ..config(to)
    };
    let outcome = Sender::new(config.clone(), &clients).post("evt_a_1", "{}").await;
    assert_eq!(
        outcome.means,
        Means::Later(None),
        "the name may lead elsewhere tomorrow"
    );
    assert_eq!(
        outcome.answer,
        "refused: crm.example.org is at 127.0.0.1, which is loopback; allow_private takes it"
    );
    // An address in the URL is refused by the configuration, and once more where it would be used.
    let literal = config::Webhook {
        to: address(format!("http://[::ffff:127.0.0.1]:{}/", to.port()), false),
        ..config.clone()
    };
    let outcome = Sender::new(literal, &clients).post("evt_a_1", "{}").await;
    assert_eq!(
        outcome.answer,
        "refused: ::ffff:127.0.0.1 is loopback; allow_private takes it"
    );
    // Where it is allowed, it is the first that comes.
    let allowed = config::Webhook {
        to: address(format!("http://localhost:{}/", to.port()), true),
        acknowledges: true,
        ..config
    };
    let outcome = Sender::new(allowed, &clients).post("evt_a_2", "{}").await;
    assert_eq!(outcome.means, Means::Taken);
    assert_eq!(ids(&receiver.wait_for(1).await), ["evt_a_2"]);
}

/// "base64" of HMAC-SHA256 over "msg_id.timestamp.payload" (Standard Webhooks, "Signature scheme"), by a library that the
/// signer does not use.
fn signature(secret: &str, id: &str, timestamp: &str, body: &[u8]) -> String {
    use aws_lc_rs::hmac;
    use base64::prelude::{BASE64_STANDARD, Engine as _};

    let key = secret.strip_prefix("whsec_").expect("a secret");
    let key = BASE64_STANDARD.decode(key).expect("base64");
    let mut context = hmac::Context::with_key(&hmac::Key::new(hmac::HMAC_SHA256, &key));
    for part in [id.as_bytes(), b".", timestamp.as_bytes(), b".", body] {
        context.update(part);
    }
    format!("v1,{}", BASE64_STANDARD.encode(context.sign()))
}

/// The example that the libraries of Standard Webhooks are tested with.
#[test]
fn the_published_example_has_its_published_signature() {
    let (id, timestamp, body) = (
        "msg_p5jXN8AQM9LWM0D4loKWxJek",
        1_614_265_330,
        br#"{"test": 2432232314}"#,
    );
    let published = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";
    assert_eq!(signature(OLD, id, &timestamp.to_string(), body), published);
    let signer = standardwebhooks::Webhook::new(OLD).expect("a secret");
    assert_eq!(signer.sign(id, timestamp, body).expect("signed"), published);
}

#[tokio::test]
async fn what_arrives_is_signed_as_the_specification_says() {
    let receiver = Receiver::answering([]);
    let mut config = config(receiver.start(loopback().await).await);
    config.to.secrets.push(Secret::new(NEW));
    let line = Line::start(config).await;
    line.tell("a", 1);
    let came = receiver.wait_for(1).await;
    let (headers, body) = &came[0];
    let header = |name: &str| headers[name].to_str().expect("text");
    let (id, timestamp) = (header("webhook-id"), header("webhook-timestamp"));
    assert_eq!(id, "evt_a_1");
    assert!(timestamp.parse::<i64>().is_ok(), "seconds since 1970: {timestamp}");
    let expected = [OLD, NEW].map(|secret| signature(secret, id, timestamp, body));
    assert_eq!(header("webhook-signature"), expected.join(" "));
    line.end().await;
}

#[tokio::test]
async fn who_is_taken_out_and_put_back_is_told_what_waited_and_the_figure_is_right() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let receiver = Receiver::answering([]);
    let to = receiver.start(listener).await;
    let home = Home::sqlite();
    let (store, _task) = home.store(100).await;
    let teller = Teller::new("test", Vec::new());
    let mut couriers = Couriers::new(clients(), store.clone(), mpsc::unbounded_channel().0);
    let silent = Receiver::answering([Answer::Never; 3]);
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let nowhere = config(silent.start(listener).await);
    couriers.set(&[nowhere], &teller).await;
    for number in 1..=3 {
        let event = teller.event(
            "baton.call.started",
            &format!("call_{number}"),
            "a",
            1,
            Timestamp::now(),
            &json!({}),
        );
        store.write(Write::Event(event));
    }
    store.settled(store.ticket()).await;
    let waiting = |teller: &Teller| {
        let endpoint = teller.endpoint("test").expect("it is there");
        endpoint.counters.waiting.load(Ordering::Relaxed)
    };
    assert_eq!(silent.wait_for(3).await.len(), 3);
    assert_eq!(waiting(&teller), 3);
    couriers.set(&[], &teller).await;
    assert!(teller.endpoint("test").is_none());
    couriers.set(&[config(to)], &teller).await;
    assert_eq!(receiver.wait_for(3).await.len(), 3);
    while waiting(&teller) > 0 {
        tokio::task::yield_now().await;
    }
    couriers.end(Duration::from_secs(60)).await;
    assert_eq!(waiting(&teller), 0);
}
