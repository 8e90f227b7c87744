//! A store that takes nothing while a call is running and is handed off: nobody who is on the phone hears of it, everybody else is
//! told, and when it is back it has everything.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use reqwest::StatusCode;
use serde_json::{Value, json};
use sqlx::{AnyConnection, Connection as _, Executor as _};
use tokio::time::{sleep, timeout};

use crate::party::{Manner, Signal, Voice, Wish};
use crate::ports::Ports;
use crate::postgres::Cluster;
use crate::store::Place;
use crate::way::{FOUR, Way};
use crate::world::{ADMIN, OWN, Plan, World, assert_evidence, warm};
use crate::{PATIENCE, folder};

/// A call, on a store of this URL.
async fn a_call_with(url: &str) -> World {
    a_call_to(Manner::Answers, url, "commit_ms = 1000").await
}

async fn a_call_to(manner: Manner, url: &str, more: &str) -> World {
    let store = format!("[store]\nurl = {url:?}\n{more}\n");
    World::with(Plan {
        manner,
        // A test has few of them.
        more: Box::leak(store.into_boxed_str()),
        ..Plan::all(Way::udp(FOUR))
    })
    .await
}

async fn says(world: &World, text: &str) -> (StatusCode, Value) {
    let path = format!("/v1/calls/{}/turns", world.call);
    let turn = json!({ "role": "caller", "text": text });
    world.post(OWN, &path, turn).await
}

/// Until `/readyz` says so; the document.
async fn until_ready_is(world: &World, status: StatusCode) -> Value {
    let asked = async {
        loop {
            let answer = world.without_a_key("/readyz").await;
            if answer.status() == status {
                let text = answer.text().await.expect("a body");
                return serde_json::from_str(&text).expect("JSON");
            }
            sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(PATIENCE, asked)
        .await
        .unwrap_or_else(|_| panic!("/readyz never said {status}"))
}

async fn figure(world: &World, name: &str) -> f64 {
    let text = world.get("/metrics").await;
    let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    value.expect("a figure").parse().expect("a number")
}

/// The store is away: a call and a whole handoff go on, and who asks is told. The handoff.
async fn goes_on(world: &mut World, why: &str) -> String {
    let (status, problem) = says(world, "while nothing can be kept").await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE, "{problem}");
    assert_eq!(problem["type"], "urn:baton:problem:unavailable");
    assert_eq!(
        problem["decision"], "continue",
        "what the AI is to do is said all the same"
    );
    let not_ready = until_ready_is(world, StatusCode::SERVICE_UNAVAILABLE).await;
    let detail = not_ready["detail"].as_str().expect("a text");
    assert!(detail.contains("the store") && detail.contains(why), "{detail}");
    assert!(figure(world, "baton_store_trouble_seconds").await > 0.0);
    assert!(figure(world, "baton_store_waiting").await > 0.0);
    world.caller.hears(Voice::Ai).await;
    world.ai.hears(Voice::Caller).await;

    // It is begun; that it is not kept yet is said, and asked once more it is the same one.
    let path = format!("/v1/calls/{}/handoffs", world.call);
    let (status, problem) = world.post_once(ADMIN, &path, warm(), "once").await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE, "{problem}");
    assert!(
        problem["detail"]
            .as_str()
            .is_some_and(|detail| detail.contains("do not ask again"))
    );
    let handoff = problem["handoff"].as_str().expect("which one").to_owned();
    let (status, again) = world.post_once(ADMIN, &path, warm(), "once").await;
    assert_eq!(
        (status, &again["handoff"]),
        (StatusCode::SERVICE_UNAVAILABLE, &problem["handoff"])
    );
    let invited = Signal::Invited(Some(world.call.clone()), Some(handoff.clone()));
    assert_eq!(world.human.next().await, invited);
    world.human.until(&Signal::Up).await;
    world.human.hears_a_prompt().await;
    world.caller.forget();
    world.caller.hears_a_prompt().await;
    world.accept(&handoff).await;
    world.is_joined().await;
    let record = world.record(&handoff).await;
    assert!(record["timeline"]["joined"].is_number(), "{record}");
    handoff
}

/// The store is back: it has everything, once and in order, and the record says that it was late.
async fn is_caught_up(mut world: World, handoff: String) {
    let types = world.events(&handoff, "baton.handoff.completed").await;
    assert_eq!(
        types,
        ["requested", "ringing", "answered", "accepted", "joined", "completed"]
            .map(|name| format!("baton.handoff.{name}"))
    );
    until_ready_is(&world, StatusCode::OK).await;
    let (status, kept) = says(&world, "and afterwards").await;
    assert_eq!(status, StatusCode::OK, "{kept}");
    let record = told(&world, &handoff).await;
    assert_eq!(
        (&record["state"], &record["result"]),
        (&json!("completed"), &json!("joined"))
    );
    assert!(
        record["stored_late_ms"].as_u64().is_some_and(|late| late >= 1000),
        "{record}"
    );
    assert_eq!(record["context"]["transcript"][1]["text"], "while nothing can be kept");
    assert_evidence(&record, "caller");
    assert_evidence(&record, "human");
    let events: Vec<_> = record["deliveries"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|delivery| {
            (
                delivery["type"].as_str().expect("a type"),
                delivery["attempts"].as_u64(),
            )
        })
        .collect();
    let expected: Vec<_> = types.iter().map(|kind| (&**kind, Some(1))).collect();
    assert_eq!(events, expected);
    let all: Value = serde_json::from_str(&world.get("/v1/handoffs").await).expect("JSON");
    assert_eq!(all["handoffs"].as_array().map(Vec::len), Some(1), "{all}");
    let path = format!("/v1/calls/{}/handoffs", world.call);
    let (status, again) = world.post_once(ADMIN, &path, warm(), "once").await;
    assert_eq!((status, &again["id"]), (StatusCode::ACCEPTED, &json!(handoff)));
    assert_eq!(figure(&world, "baton_store_trouble_seconds").await, 0.0);
    assert_eq!(figure(&world, "baton_store_given_up_total").await, 0.0);
    world.caller.hears(Voice::Human).await;
    world.human.hears(Voice::Caller).await;
    world.end().await;
}

/// The record, once the store knows that its events are told.
async fn told(world: &World, handoff: &str) -> Value {
    let all = async {
        loop {
            let record = world.record(handoff).await;
            let deliveries = record["deliveries"].as_array().cloned().unwrap_or_default();
            if !deliveries.is_empty() && deliveries.iter().all(|delivery| delivery["status"] == "delivered") {
                return record;
            }
            sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(PATIENCE, all).await.expect("all are told")
}

/// Somebody else's transaction.
struct Locked(AnyConnection);

impl Locked {
    async fn at(url: &str) -> Locked {
        let mut connection = AnyConnection::connect(url).await.expect("a connection");
        connection.execute("BEGIN IMMEDIATE").await.expect("locked");
        Locked(connection)
    }

    async fn end(mut self) {
        self.0.execute("ROLLBACK").await.expect("unlocked");
    }
}

fn sqlite(folder: &Path) -> String {
    format!("sqlite:{}", folder.join("baton.db").display())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_is_handed_off_while_somebody_else_writes_to_the_same_file_and_does_not_end() {
    let mut ports = Ports::claim();
    let url = sqlite(&folder::of(ports.take(1)));
    let mut world = a_call_with(&url).await;
    assert_eq!(says(&world, "before").await.0, StatusCode::OK);
    let locked = Locked::at(&url).await;
    let handoff = goes_on(&mut world, "database is locked").await;
    locked.end().await;
    is_caught_up(world, handoff).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn above_its_bound_the_queue_gives_up_the_oldest_events_and_counts_them() {
    let mut ports = Ports::claim();
    let url = sqlite(&folder::of(ports.take(1)));
    let mut world = a_call_to(Manner::Rings, &url, "commit_ms = 10\nqueue = 100").await;
    let locked = Locked::at(&url).await;
    let path = format!("/v1/calls/{}/handoffs", world.call);
    let (_, problem) = world.post(ADMIN, &path, warm()).await;
    let handoff = problem["handoff"].as_str().expect("which one").to_owned();
    assert!(matches!(world.human.next().await, Signal::Invited(Some(_), Some(_))));
    // While it rings each turn is kept, and told as an update of the context: three times what there is room for.
    for number in 0..150 {
        let (status, _) = says(&world, &number.to_string()).await;
        assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
    }
    assert!(figure(&world, "baton_store_given_up_total").await > 100.0);
    // Beside those few that the store was at when it stopped.
    assert!(figure(&world, "baton_store_waiting").await <= 120.0);
    world.human.wish(Wish::Answer);
    world.human.until(&Signal::Up).await;
    world.human.hears_a_prompt().await;
    world.accept(&handoff).await;
    world.is_joined().await;
    let given_up = figure(&world, "baton_store_given_up_total").await;
    locked.end().await;

    // The newest are there, in their order, and so is the record.
    let types = world.events(&handoff, "baton.handoff.completed").await;
    let last = ["answered", "accepted", "joined", "completed"].map(|name| format!("baton.handoff.{name}"));
    assert!(types.ends_with(&last), "{types:?}");
    let updates = types.iter().filter(|kind| *kind == "baton.context.updated").count();
    assert!((20..120).contains(&updates), "{types:?}");
    until_ready_is(&world, StatusCode::OK).await;
    let record = told(&world, &handoff).await;
    assert_eq!(
        (&record["state"], &record["result"]),
        (&json!("completed"), &json!("joined"))
    );
    assert_eq!(record["deliveries"].as_array().map(Vec::len), Some(types.len()));
    // No more than what came between that reading and the end of the lock.
    let in_the_end = figure(&world, "baton_store_given_up_total").await;
    assert!(
        (given_up..=given_up + 10.0).contains(&in_the_end),
        "{given_up}, {in_the_end}"
    );
    world.caller.hears(Voice::Human).await;
    world.human.hears(Voice::Caller).await;
    world.end().await;
}

fn postgres() -> (Cluster, String) {
    let cluster = Cluster::start();
    let Place::Postgres(url) = cluster.database() else {
        unreachable!("it is one")
    };
    (cluster, url)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_is_handed_off_while_postgresql_does_not_answer() {
    let (cluster, url) = postgres();
    let mut world = a_call_with(&url).await;
    assert_eq!(says(&world, "before").await.0, StatusCode::OK);
    cluster.signal("-STOP");
    let handoff = goes_on(&mut world, "does not answer").await;
    cluster.signal("-CONT");
    is_caught_up(world, handoff).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_is_handed_off_while_postgresql_is_dead() {
    let (cluster, url) = postgres();
    let mut world = a_call_with(&url).await;
    assert_eq!(says(&world, "before").await.0, StatusCode::OK);
    cluster.kill();
    let handoff = goes_on(&mut world, "").await;
    cluster.run();
    is_caught_up(world, handoff).await;
}

/// A file that leaves no room for others.
struct Filler(PathBuf);

impl Filler {
    fn fill(folder: &Path) -> Filler {
        use std::io::Write as _;
        let path = folder.join("filler");
        let mut file = std::fs::File::create(&path).expect("a file");
        for size in [64 << 10, 4096, 1] {
            while file.write_all(&vec![0; size]).is_ok() {}
        }
        Filler(path)
    }

    fn remove(self) {
        std::fs::remove_file(self.0).expect("removed");
    }
}

const INSIDE: &str = "BATON_TEST_INSIDE";

/// In a namespace of its own, where a disk can be mounted that is small.
#[tokio::test(flavor = "multi_thread")]
async fn a_call_is_handed_off_while_the_disk_is_full() {
    if std::env::var_os(INSIDE).is_none() {
        let unshare = |program: &Path| {
            let mut command = Command::new("unshare");
            command.args(["--map-root-user", "--mount", "--"]).arg(program);
            command
        };
        if !unshare(Path::new("true")).status().is_ok_and(|status| status.success()) {
            // As without IPv6: there is nothing to try it on.
            return;
        }
        let mut again = unshare(&std::env::current_exe().expect("a program"));
        again.args([
            "--exact",
            "--nocapture",
            "stalled::a_call_is_handed_off_while_the_disk_is_full",
        ]);
        let status = tokio::task::spawn_blocking(move || again.env(INSIDE, "1").status()).await;
        assert!(status.expect("it ran").is_ok_and(|status| status.success()));
        return;
    }
    let mut ports = Ports::claim();
    let disk = folder::of(ports.take(1));
    let mounted = Command::new("mount")
        .args(["-t", "tmpfs", "-o", "size=4m", "none"])
        .arg(&disk)
        .status();
    assert!(mounted.is_ok_and(|status| status.success()), "no disk");
    let mut world = a_call_with(&sqlite(&disk)).await;
    assert_eq!(says(&world, "before").await.0, StatusCode::OK);
    let filler = Filler::fill(&disk);
    let handoff = goes_on(&mut world, "disk").await;
    filler.remove();
    is_caught_up(world, handoff).await;
}
