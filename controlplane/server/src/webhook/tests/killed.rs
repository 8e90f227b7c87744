//! Many events, an endpoint that fails half the time, and a server that is killed three times.
//!
//! The server is this program once more, as a child: journal, store, recovery and endpoint as they are, with notices as
//! input. The parent is the endpoint and the judge, and kills the child. `cargo xtask outbox` plays it with 100,000 events.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{Read as _, Write as _};
use std::process::Stdio;
use std::time::Instant;

use calls::notice::{CallId, End, HandoffId, Notice, Outcome, Step, What};
use playbook::Mode;
use playbook::context::{Completeness, Package};
use serde_json::json;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};

use super::*;
use crate::event::Teller;
use crate::ids::{self, Clock};
use crate::journal::Journal;
use crate::sibling::Side;
use crate::store::recovery::Recovery;
use crate::store::{Database, Life, Page, Place};

/// Events of a call that goes well: two of its own, six of its handoff.
const PER_CALL: u64 = 8;

/// Calls that go on at one time.
const TOGETHER: u64 = 50;

/// Events that may wait for the endpoint before there are more.
const AHEAD_OF_IT: u64 = 1_000;

/// What the child is told, and asks its environment for.
const PLACE: &str = "BATON_OUTBOX_PLACE";
const TO: &str = "BATON_OUTBOX_TO";
const CALLS: &str = "BATON_OUTBOX_CALLS";

/// How many events there are, where it is not as many as a test has time for.
const EVENTS: &str = "BATON_OUTBOX_EVENTS";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sqlite_loses_no_event_and_no_order_by_kill_9() {
    judge("sqlite_loses_no_event_and_no_order_by_kill_9", Home::sqlite, 20_000).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgres_loses_no_event_and_no_order_by_kill_9() {
    judge("postgres_loses_no_event_and_no_order_by_kill_9", Home::postgres, 4_000).await;
}

/// The child's part: calls as they happen, said to be done once that is on the disk; then it tells what is left.
async fn serve(place: Place, to: SocketAddr, calls: u64) {
    // Who started us is the only one who wants us. A thread of its own: nobody waits for it.
    std::thread::spawn(|| {
        let _ = std::io::stdin().read(&mut [0]);
        std::process::exit(1);
    });
    let instance = ids::instance(ids::random_seed().expect("random"));
    let database = Database::open(&place).await.expect("a database");
    let life = Life::begin(&place, &instance).await.expect("a lock");
    database.enter(&instance, "test", "", now_ms()).await.expect("noted");
    let (store, task) = Store::start(database, instance, 1_000_000);
    let (closing, closed) = watch::channel(false);
    let config = config::Webhook {
        retry: Duration::from_millis(2),
        retry_max: Duration::from_millis(20),
        ..config(to)
    };
    let (endpoint, courier) = Endpoint::start(
        config,
        &clients(),
        store.clone(),
        closed,
        mpsc::unbounded_channel().0,
        Arc::default(),
    );
    let counters = Arc::clone(&endpoint.counters);
    let teller = Teller::new("test", vec![endpoint]);
    let (_, side) = watch::channel(Side::Alone);
    let recovery = Recovery::new(store.clone(), place, teller.clone(), to, side);
    recovery.run().await.expect("looked");
    let journal = Journal::new(teller, Clock::new(), store.clone());

    // Ids as random as a node's.
    let first = ids::random_seed().expect("random") & !0xffff_ffff;
    for group in 0..calls.div_ceil(TOGETHER) {
        let ids = || (0..TOGETHER).map(|n| first + group * TOGETHER + n);
        for (done, whats) in steps().enumerate() {
            for id in ids() {
                for what in &whats {
                    journal.handle(&Notice {
                        call: CallId(id),
                        at: Instant::now(),
                        what: what(HandoffId(id)),
                    });
                }
            }
            store.settled(store.ticket()).await;
            let mut said = String::new();
            for id in ids() {
                said += &format!("ack {} {}\n", ids::handoff(HandoffId(id)), SAID[done].0);
                said += &format!("ack {} {}\n", ids::call(CallId(id)), SAID[done].1);
            }
            std::io::stdout().write_all(said.as_bytes()).expect("said");
            // Calls go on while we wait, so that mostly some are open when we die.
            if done == 0 {
                wait_until_no_more_wait_than(AHEAD_OF_IT, &counters, &store).await;
            }
        }
    }
    wait_until_no_more_wait_than(0, &counters, &store).await;
    closing.send(true).expect("it runs");
    courier.await.expect("ended");
    store.close();
    task.await.expect("written");
    life.end();
}

async fn wait_until_no_more_wait_than(most: u64, counters: &Counters, store: &Store) {
    let waiting = async {
        loop {
            let seen = store.last_commit();
            if counters.waiting.load(Ordering::Relaxed) <= most {
                return;
            }
            store.next_commit(seen).await;
        }
    };
    let waited = tokio::time::timeout(Duration::from_secs(300), waiting).await;
    assert!(waited.is_ok(), "{counters:?}");
}

type Making = Box<dyn Fn(HandoffId) -> What>;

/// Events of the handoff, and of the call, that are there after each of [`steps`].
const SAID: [(u64, u64); 3] = [(1, 1), (4, 1), (6, 2)];

/// What happens in a call, up to where somebody is told that it is done.
fn steps() -> impl Iterator<Item = Vec<Making>> {
    fn step(step: Step) -> Making {
        Box::new(move |id| What::Handoff(id, step.clone()))
    }
    let started = What::CallStarted {
        trunk: "carrier".into(),
        ai_agent: "assistant".into(),
        caller: "sip:caller@192.0.2.9".into(),
    };
    let requested = Step::Requested {
        mode: Mode::Warm,
        decision: None,
        target: "support".into(),
        why: "asked for a human".into(),
        trigger: None,
        talks_on: false,
    };
    let invited = Step::Invited {
        target: "support".into(),
        agent: None,
        package: Box::new(Package {
            schema: "baton.context/1".into(),
            brief: "The caller wants a refund. The invoice was found, the amount is disputed.".into(),
            fields: json!({ "invoice": 4711, "amount": "12.50" }),
            language: None,
            caller_id: Default::default(),
            disclosure: None,
            transcript: Vec::new(),
            completeness: Completeness {
                complete: true,
                present: Vec::new(),
                missing: Vec::new(),
            },
        }),
        token: "t0ken".into(),
    };
    let closed = Step::Closed {
        end: End::Completed,
        result: Outcome::Joined,
        reason: None,
    };
    let ended = What::CallEnded { by: "caller".into() };
    [
        vec![
            Box::new(move |_| started.clone()) as Making,
            step(requested),
            step(invited),
        ],
        vec![
            step(Step::Ringing),
            step(Step::Answered { agent: None }),
            step(Step::Accepted),
        ],
        vec![
            step(Step::Joined { codecs: Vec::new() }),
            step(closed),
            Box::new(move |_| ended.clone()),
        ],
    ]
    .into_iter()
}

/// The endpoint: takes every other event, by chance, and watches ids and order.
struct Judge {
    seen: Mutex<Seen>,
    arrived: Notify,
    verifier: standardwebhooks::Webhook,
}

#[derive(Default)]
struct Seen {
    /// Of each event a hash of what it says, and whether it was taken.
    events: HashMap<String, (u64, bool)>,
    /// Of each subject how many were taken, in their order.
    taken: HashMap<String, u64>,
    attempts: u64,
    all_taken: u64,
    faults: Vec<String>,
    random: u64,
}

impl Seen {
    /// Whether this event is taken now.
    fn take(&mut self, id: &str, body: &[u8]) -> bool {
        self.attempts += 1;
        let mut hasher = DefaultHasher::new();
        body.hash(&mut hasher);
        let hash = hasher.finish();
        let known = self.events.get(id).copied();
        if known.is_some_and(|(said, _)| said != hash) {
            self.faults.push(format!("{id} is the id of two events"));
        }
        let Some((subject, sequence)) = id.strip_prefix("evt_").and_then(|rest| {
            let (subject, sequence) = rest.rsplit_once('_')?;
            Some((subject, sequence.parse::<u64>().ok()?))
        }) else {
            self.faults.push(format!("{id} is no id"));
            return true;
        };
        let taken = self.taken.entry(subject.to_owned()).or_default();
        if known.is_none() && sequence != *taken + 1 {
            let fault = format!("{id} came after {taken} of its subject");
            self.faults.push(fault);
        }
        // An xorshift is chance enough.
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        let takes = self.random & 1 == 0;
        let before = known.is_some_and(|(_, taken)| taken);
        if takes && !before {
            *taken = sequence;
            self.all_taken += 1;
        }
        self.events.insert(id.to_owned(), (hash, before || takes));
        takes
    }
}

async fn came(State(judge): State<Arc<Judge>>, headers: HeaderMap, body: Bytes) -> axum::http::StatusCode {
    let id = headers["webhook-id"].to_str().unwrap_or_default();
    let genuine = judge.verifier.verify(&body, &headers).is_ok();
    let mut seen = lock(&judge.seen);
    if !genuine {
        let fault = format!("{id} is not signed");
        seen.faults.push(fault);
    }
    let takes = seen.take(id, &body);
    drop(seen);
    judge.arrived.notify_one();
    match takes {
        true => axum::http::StatusCode::NO_CONTENT,
        false => axum::http::StatusCode::INTERNAL_SERVER_ERROR,
    }
}

/// A child, and what it has said to be done: of each subject how many events are on the disk.
struct Server {
    child: Child,
    acked: JoinHandle<HashMap<String, u64>>,
    _stdin: tokio::process::ChildStdin,
}

impl Server {
    fn start(test: &str, place: &Place, to: SocketAddr, calls: u64) -> Server {
        let place = match place {
            Place::Sqlite(path) => format!("sqlite:{}", path.display()),
            Place::Postgres(url) => url.clone(),
        };
        let name = format!("{}::{test}", module_path!().split_once("::").expect("a crate").1);
        let mut child = Command::new(std::env::current_exe().expect("a program"))
            .args([&name, "--exact", "--nocapture"])
            .env(PLACE, place)
            .env(TO, to.to_string())
            .env(CALLS, calls.to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("it starts");
        let stdin = child.stdin.take().expect("piped");
        let said = BufReader::new(child.stdout.take().expect("piped"));
        let acked = tokio::spawn(async move {
            let (mut acked, mut lines) = (HashMap::new(), said.lines());
            while let Ok(Some(line)) = lines.next_line().await {
                let words: Vec<_> = line.split(' ').collect();
                if let ["ack", subject, count] = words[..]
                    && let Ok(count) = count.parse()
                {
                    acked.insert(subject.to_owned(), count);
                }
            }
            acked
        });
        Server {
            child,
            acked,
            _stdin: stdin,
        }
    }
}

async fn judge(test: &str, home: fn() -> Home, events: u64) {
    if let Ok(place) = std::env::var(PLACE) {
        let place = match place.strip_prefix("sqlite:") {
            Some(path) => Place::Sqlite(path.into()),
            None => Place::Postgres(place),
        };
        let asked = |name: &str| std::env::var(name).expect("the parent says it");
        let (to, calls) = (asked(TO).parse(), asked(CALLS).parse());
        return serve(place, to.expect("an address"), calls.expect("a number")).await;
    }
    let events = std::env::var(EVENTS).map_or(events, |events| events.parse().expect("a number"));
    let home = home();
    let seed = ids::random_seed().expect("random") | 1;
    let judge = Arc::new(Judge {
        seen: Mutex::new(Seen {
            random: seed,
            ..Seen::default()
        }),
        arrived: Notify::new(),
        verifier: standardwebhooks::Webhook::new(OLD).expect("a secret"),
    });
    let listener = loopback().await;
    let to = listener.local_addr().expect("bound");
    let router = Router::new().route("/", post(came)).with_state(Arc::clone(&judge));
    tokio::spawn(async move { axum::serve(listener, router).await });

    let began = Instant::now();
    let missing = |acked: &HashMap<String, u64>| {
        let done: u64 = acked.values().sum();
        events.saturating_sub(done).div_ceil(PER_CALL)
    };
    let mut acked: HashMap<String, u64> = HashMap::new();
    // Somewhere in each third.
    let kills: Vec<_> = (0..3)
        .map(|third| events * (10 * third + 1 + (seed >> (8 * third)) % 8) / 30)
        .collect();
    for at in &kills {
        let mut server = Server::start(test, &home.place, to, missing(&acked));
        while lock(&judge.seen).all_taken < *at {
            tokio::select! {
                () = judge.arrived.notified() => {}
                ended = server.child.wait() => panic!("it ended by itself, with seed {seed}: {ended:?}"),
            }
        }
        // SIGKILL.
        server.child.kill().await.expect("killed");
        acked.extend(server.acked.await.expect("read"));
    }
    let mut server = Server::start(test, &home.place, to, missing(&acked));
    let ended = server.child.wait().await.expect("it ends");
    assert!(ended.success(), "{ended}, with seed {seed}");
    acked.extend(server.acked.await.expect("read"));
    let took = began.elapsed();

    let seen = std::mem::take(&mut *lock(&judge.seen));
    assert_eq!(seen.faults, [""; 0], "with seed {seed}");
    let database = Database::open(&home.place).await.expect("a database");
    // Nothing is lost that anybody was told to be done.
    for (subject, count) in &acked {
        let taken = seen.taken.get(subject).copied().unwrap_or_default();
        assert!(
            taken >= *count,
            "of {subject} {taken} of {count} were taken, with seed {seed}"
        );
    }
    // Nor anything else that is on the disk; each was told until it was taken, and is known to have been.
    let (mut told, mut after) = (0, None);
    loop {
        let page = database.all_deliveries(after.as_ref(), None, 1000).await.expect("read");
        let page = page.expect("a page");
        let Some(last) = page.last() else { break };
        after = Some(last.id());
        told += page.len() as u64;
        for row in page {
            let taken = seen.events.get(&row.event).is_some_and(|(_, taken)| *taken);
            assert!(taken && row.status == "delivered", "{row:?}, with seed {seed}");
        }
    }
    assert_eq!(told, seen.events.len() as u64);
    assert!(told >= events, "{told} events of {events}");
    // The last one has ended as it should, which nobody has noticed yet.
    assert_eq!(
        database.others("").await.expect("read").len(),
        1,
        "the dead are forgotten"
    );
    let (mut open, mut cut_off, mut after) = (0, 0, None);
    loop {
        let page = Page {
            after,
            limit: 1000,
            ..Page::default()
        };
        let page = database.handoffs(&page).await.expect("read").expect("a page");
        let bodies: Vec<_> = page.into_iter().map(|found| found.body).collect();
        let Some(last) = bodies.last() else { break };
        after = last["id"].as_str().map(str::to_owned);
        open += bodies.iter().filter(|body| body["closed_at"].is_null()).count();
        cut_off += bodies.iter().filter(|body| body["reason"] == "node_restarted").count();
    }
    assert_eq!(open, 0, "with seed {seed}");
    // How many handoffs a kill meets is chance: none where all calls have ended, and only their events are left. In `tests/join/killed.rs` it meets one.
    let rate = seen.attempts as f64 / took.as_secs_f64();
    let figures = format!(
        "{told} events, {} attempts in {:.1} s: {rate:.0} a second; killed after {kills:?}; {cut_off} handoffs cut off\n",
        seen.attempts,
        took.as_secs_f64()
    );
    std::io::stdout().write_all(figures.as_bytes()).expect("said");
}
