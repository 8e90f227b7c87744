use std::net::SocketAddr;

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use tokio::net::TcpListener;
use tokio::sync::Notify;

use super::*;
use crate::config::Secret;
use crate::ids::Clock;

const OLD: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const NEW: &str = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";

/// What came to a receiver, and what it answers: `answers` in turn, then 200.
#[derive(Default)]
struct Receiver {
    came: Mutex<Vec<(HeaderMap, Bytes)>>,
    answers: Mutex<VecDeque<Answer>>,
    arrived: Notify,
}

#[derive(Clone, Copy)]
enum Answer {
    Status(u16),
    /// 503 with this Retry-After, in seconds.
    Later(u32),
    Never,
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

async fn receive(State(receiver): State<Arc<Receiver>>, headers: HeaderMap, body: Bytes) -> (StatusCode, HeaderMap) {
    let answer = lock(&receiver.answers).pop_front();
    lock(&receiver.came).push((headers, body));
    receiver.arrived.notify_waiters();
    let mut headers = HeaderMap::new();
    let status = match answer {
        None => 200,
        Some(Answer::Status(status)) => status,
        Some(Answer::Later(seconds)) => {
            headers.insert("retry-after", seconds.into());
            503
        }
        Some(Answer::Never) => std::future::pending().await,
    };
    headers.insert("location", "/elsewhere".parse().expect("a value"));
    (StatusCode::from_u16(status).expect("a status"), headers)
}

fn config(to: SocketAddr) -> config::Webhook {
    config::Webhook {
        name: "test".to_owned(),
        url: format!("http://{to}/"),
        secrets: vec![Secret::new(OLD)],
        types: Vec::new(),
        timeout: Duration::from_secs(10),
        attempts: 5,
        retry: Duration::from_millis(1),
        retry_max: Duration::from_millis(4),
        queue: 100,
    }
}

fn event(subject: &str, number: u32) -> Event {
    Event {
        id: format!("evt_{subject}_{number}"),
        kind: "baton.call.started",
        subject: subject.to_owned(),
        handoff: None,
        body: format!("{{\"number\":{number}}}").into(),
    }
}

fn start(config: config::Webhook) -> (Endpoint, JoinHandle<()>) {
    let records = Arc::new(Mutex::new(Records::new(Clock::new(), 10)));
    Endpoint::start(config, client().expect("a client"), records)
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
    config.secrets.push(Secret::new(NEW));
    let (endpoint, task) = start(config);
    assert!(endpoint.offer(event("a", 1)));
    let came = receiver.wait_for(1).await;
    let (headers, body) = &came[0];
    for secret in [OLD, NEW] {
        let verifier = standardwebhooks::Webhook::new(secret).expect("a secret");
        verifier.verify(body, headers).expect("verified");
    }
    let other = standardwebhooks::Webhook::new("whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA").expect("a secret");
    assert!(other.verify(body, headers).is_err());
    assert_eq!(headers["content-type"], "application/cloudevents+json");
    drop(endpoint);
    task.await.expect("ended");
}

#[tokio::test]
async fn failures_are_retried_with_the_same_id_and_in_order() {
    let failures = [Answer::Status(500), Answer::Status(302), Answer::Status(429)];
    let receiver = Receiver::answering(failures);
    let (endpoint, task) = start(config(receiver.start(loopback().await).await));
    for number in 1..=3 {
        assert!(endpoint.offer(event("a", number)));
    }
    let came = receiver.wait_for(6).await;
    assert_eq!(
        ids(&came),
        ["evt_a_1", "evt_a_1", "evt_a_1", "evt_a_1", "evt_a_2", "evt_a_3"]
    );
    let counters = Arc::clone(&endpoint.counters);
    drop(endpoint);
    task.await.expect("ended");
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
    let (endpoint, task) = start(config);
    assert!(endpoint.offer(event("stuck", 1)));
    receiver.wait_for(1).await;
    assert!(endpoint.offer(event("stuck", 2)));
    assert!(endpoint.offer(event("free", 1)));
    let came = receiver.wait_for(4).await;
    let ids = ids(&came);
    let at = |id: &str| ids.iter().rposition(|other| other == id).expect("it came");
    assert!(at("evt_free_1") < at("evt_stuck_2"), "{ids:?}");
    assert_eq!(ids.iter().filter(|id| *id == "evt_stuck_1").count(), 2);
    drop(endpoint);
    task.await.expect("ended");
}

#[tokio::test]
async fn an_endpoint_that_comes_back_gets_what_waited() {
    let place = loopback().await;
    let address = place.local_addr().expect("bound");
    drop(place);
    let mut config = config(address);
    config.attempts = 1000;
    let (endpoint, task) = start(config);
    for number in 1..=3 {
        assert!(endpoint.offer(event("a", number)));
    }
    while endpoint.counters.attempts.load(Ordering::Relaxed) < 3 {
        tokio::task::yield_now().await;
    }
    let receiver = Receiver::answering([]);
    receiver
        .start(TcpListener::bind(address).await.expect("the port"))
        .await;
    let came = receiver.wait_for(3).await;
    assert_eq!(ids(&came), ["evt_a_1", "evt_a_2", "evt_a_3"]);
    drop(endpoint);
    task.await.expect("ended");
}

#[tokio::test]
async fn what_is_given_up_does_not_stop_what_follows() {
    let receiver = Receiver::answering([Answer::Status(500); 2]);
    let mut config = config(receiver.start(loopback().await).await);
    config.attempts = 2;
    let (endpoint, task) = start(config);
    for number in 1..=2 {
        assert!(endpoint.offer(event("a", number)));
    }
    let came = receiver.wait_for(3).await;
    assert_eq!(ids(&came), ["evt_a_1", "evt_a_1", "evt_a_2"]);
    let counters = Arc::clone(&endpoint.counters);
    drop(endpoint);
    task.await.expect("ended");
    assert_eq!(counters.failed.load(Ordering::Relaxed), 1);
    assert_eq!(counters.delivered.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn a_full_queue_drops_and_counts() {
    let receiver = Receiver::answering([Answer::Never]);
    let mut config = config(receiver.start(loopback().await).await);
    config.queue = 2;
    let (endpoint, task) = start(config);
    assert!(endpoint.offer(event("a", 1)));
    assert!(endpoint.offer(event("b", 1)));
    assert!(!endpoint.offer(event("c", 1)));
    assert_eq!(endpoint.counters.dropped.load(Ordering::Relaxed), 1);
    task.abort();
}

#[test]
fn types_are_filtered() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    runtime.block_on(async {
        let mut config = config(SocketAddr::from(([127, 0, 0, 1], 1)));
        config.types = vec!["baton.call.ended".to_owned()];
        let (endpoint, _task) = start(config);
        assert!(endpoint.wants("baton.call.ended"));
        assert!(!endpoint.wants("baton.call.started"));
    });
}

#[test]
fn pauses_are_half_to_whole_and_not_all_alike() {
    let pause = Duration::from_secs(8);
    let pauses: Vec<_> = (0..20).map(|attempt| jittered(pause, "evt", attempt)).collect();
    assert!(pauses.iter().all(|one| (pause / 2..=pause).contains(one)), "{pauses:?}");
    assert!(pauses.iter().any(|one| *one != pauses[0]));
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

#[tokio::test]
async fn an_endpoint_that_says_when_is_not_asked_before() {
    let receiver = Receiver::answering([Answer::Later(7)]);
    let config = config(receiver.start(loopback().await).await);
    let courier = Courier {
        config,
        client: client().expect("a client"),
        records: Arc::new(Mutex::new(Records::new(Clock::new(), 10))),
        counters: Arc::default(),
        permits: Semaphore::new(1),
    };
    let seven = Some(Duration::from_secs(7));
    assert_eq!(courier.attempt(&event("a", 1)).await, (Err("503".to_owned()), seven));
    assert_eq!(courier.attempt(&event("a", 1)).await, (Ok("200".to_owned()), None));

    let [second, minute, hour] = [1, 60, 3600].map(Duration::from_secs);
    assert_eq!(wait(second, seven, minute), Duration::from_secs(7));
    assert_eq!(wait(second, None, minute), second);
    assert_eq!(
        wait(minute, seven, hour),
        minute,
        "sooner than we would is no reason to hurry"
    );
    assert_eq!(wait(second, Some(hour), minute), minute, "nobody holds events for ever");
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
    config.secrets.push(Secret::new(NEW));
    let (endpoint, task) = start(config);
    assert!(endpoint.offer(event("a", 1)));
    let came = receiver.wait_for(1).await;
    let (headers, body) = &came[0];
    let header = |name: &str| headers[name].to_str().expect("text");
    let (id, timestamp) = (header("webhook-id"), header("webhook-timestamp"));
    assert_eq!(id, "evt_a_1");
    assert!(timestamp.parse::<i64>().is_ok(), "seconds since 1970: {timestamp}");
    let expected = [OLD, NEW].map(|secret| signature(secret, id, timestamp, body));
    assert_eq!(header("webhook-signature"), expected.join(" "));
    drop(endpoint);
    task.await.expect("ended");
}
