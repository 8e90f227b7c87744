//! What the store costs, for its bench: the same queue, task and statements as in a server, without the server.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use serde_json::json;
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval};

use super::{
    AttemptRow, ContextRow, Database, DeliveryStatus, EventRow, HandoffRow, Life, Place, Store, Ticket, TurnsRow,
    Waits, Write,
};

/// What went wrong: the database's word.
pub type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Room for all that a measurement queues.
const ROOM: usize = 10_000_000;

/// The steps of a handoff that are told.
const STEPS: [&str; 6] = ["requested", "ringing", "answered", "accepted", "joined", "completed"];

/// From queueing a write to knowing that it is on the disk.
#[derive(Clone, Debug)]
pub struct Latencies {
    /// Each, the shortest first.
    sorted: Vec<Duration>,
    /// Transactions.
    pub commits: u64,
}

impl Latencies {
    /// So many of a hundred were not longer.
    pub fn percentile(&self, percent: f64) -> Duration {
        let last = self.sorted.len().saturating_sub(1);
        let at = (last as f64 * percent / 100.0).round() as usize;
        self.sorted.get(at).copied().unwrap_or_default()
    }

    /// How many were measured.
    pub fn count(&self) -> usize {
        self.sorted.len()
    }
}

/// Stores so many closed handoffs, each of a call of its own with ten turns, and with its events delivered to one endpoint.
///
/// # Errors
/// Where the database cannot be used.
pub async fn fill(place: &Place, handoffs: u32) -> Result<(), Failure> {
    let (store, task) = start(place).await?;
    for number in 0..handoffs {
        let stories = Story::new(u64::from(number));
        store.write(stories.turns(0, 10));
        store.write(stories.context());
        for step in 0..STEPS.len() {
            stories.step(step).into_iter().for_each(|write| store.write(write));
            store.write(stories.delivered(step));
        }
    }
    store.close();
    task.await?;
    Ok(())
}

/// So many turns a second go into the store when as many as it takes are queued.
///
/// # Errors
/// Where the database cannot be used.
pub async fn turns_per_second(place: &Place, turns: u32) -> Result<f64, Failure> {
    let (store, task) = start(place).await?;
    let base = base();
    let began = Instant::now();
    for number in 0..turns {
        store.write(Story::new(base + u64::from(number / 100)).turns(i64::from(number % 100), 1));
    }
    store.close();
    task.await?;
    Ok(f64::from(turns) / began.elapsed().as_secs_f64())
}

/// How long a turn waits for the disk at so many turns and handoffs a second.
///
/// # Errors
/// Where the database cannot be used.
pub async fn latencies(
    place: &Place,
    turns_per_second: u32,
    handoffs_per_second: u32,
    length: Duration,
) -> Result<Latencies, Failure> {
    let (store, task) = start(place).await?;
    let base = base();
    let end = Instant::now() + length;
    let handing_off = tokio::spawn({
        let store = store.clone();
        async move {
            let mut tick = interval(Duration::from_secs(1) / handoffs_per_second);
            // One in each of its steps at any time.
            let mut running: BTreeMap<u64, usize> = BTreeMap::new();
            let mut number = base + (1 << 16);
            while Instant::now() < end {
                tick.tick().await;
                number += 1;
                running.insert(number, 0);
                running.retain(|number, step| {
                    Story::new(*number)
                        .step(*step)
                        .into_iter()
                        .for_each(|write| store.write(write));
                    *step += 1;
                    *step < STEPS.len()
                });
            }
        }
    });
    let mut tick = interval(Duration::from_secs(1) / turns_per_second);
    tick.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let mut waits = JoinSet::new();
    let mut number = 0;
    while Instant::now() < end {
        tick.tick().await;
        store.write(Story::new(base + number % 1000).turns((number / 1000).cast_signed(), 1));
        number += 1;
        waits.spawn(settled(store.clone(), store.ticket()));
    }
    handing_off.await?;
    let mut sorted = waits.join_all().await;
    sorted.sort();
    let commits = store.condition().commits;
    store.close();
    task.await?;
    Ok(Latencies { sorted, commits })
}

/// Numbers that no other measurement has used.
fn base() -> u64 {
    jiff::Timestamp::now().as_millisecond().unsigned_abs() << 20
}

async fn settled(store: Store, ticket: Ticket) -> Duration {
    let began = Instant::now();
    store.settled(ticket).await;
    began.elapsed()
}

async fn start(place: &Place) -> Result<(Store, tokio::task::JoinHandle<()>), Failure> {
    let database = Database::open(place).await?;
    // Nobody who looks thinks that we are dead.
    let life = Life::begin(place, INSTANCE).await?;
    let (store, task) = Store::start(database, INSTANCE.to_owned(), ROOM);
    let task = tokio::spawn(async move {
        let _ = task.await;
        life.end();
    });
    Ok((store, task))
}

const INSTANCE: &str = "ins_0000000000000001";

/// One call and its handoff, as large as they usually are.
struct Story {
    handoff: String,
    call: String,
    at_ms: i64,
}

impl Story {
    fn new(number: u64) -> Story {
        Story {
            handoff: format!("ho_{number:016x}"),
            call: format!("call_{number:016x}"),
            at_ms: jiff::Timestamp::now().as_millisecond(),
        }
    }

    fn turns(&self, first: i64, count: usize) -> Write {
        let turn = json!({
            "role": "caller",
            "text": "I ordered a bicycle three weeks ago, and it has not come yet. Can you look where it is?",
            "at": "2026-01-02T03:04:05.678Z",
            "confidence": 0.93,
            "intent": "order_status",
            "sentiment": { "label": "negative", "score": -0.4 },
        });
        Write::Turns(TurnsRow {
            call: self.call.clone(),
            first,
            at_ms: self.at_ms,
            bodies: vec![turn.to_string(); count],
        })
    }

    fn context(&self) -> Write {
        Write::Context(ContextRow {
            call: self.call.clone(),
            at_ms: self.at_ms,
            body: self.body(),
        })
    }

    /// About what a record and an event have.
    fn body(&self) -> String {
        json!({ "id": self.handoff, "call": self.call, "text": "x".repeat(1500) }).to_string()
    }

    fn step(&self, step: usize) -> [Write; 2] {
        let event = Write::Event(EventRow {
            id: self.event(step),
            subject: self.handoff.clone(),
            sequence: step as i64,
            kind: "baton.handoff.requested",
            at_ms: self.at_ms,
            agent: "assistant".to_owned(),
            body: self.body().into(),
            endpoints: vec!["crm".to_owned()],
            waits: Waits::default(),
        });
        let record = Write::Handoff(HandoffRow {
            id: self.handoff.clone(),
            call: self.call.clone(),
            agent: "assistant".to_owned(),
            requested_ms: self.at_ms,
            closed_ms: (step + 1 == STEPS.len()).then_some(self.at_ms),
            token: "0".repeat(64),
            turns: 10,
            body: self.body(),
            key: None,
            queued: None,
        });
        [event, record]
    }

    fn delivered(&self, step: usize) -> Write {
        Write::Attempt(AttemptRow {
            event: self.event(step),
            subject: self.handoff.clone(),
            endpoint: "crm".to_owned(),
            status: DeliveryStatus::Delivered,
            attempts: 1,
            answer: "200".to_owned(),
            due_ms: self.at_ms,
            at_ms: self.at_ms,
        })
    }

    fn event(&self, step: usize) -> String {
        format!("evt_{}_{step:08}", self.handoff)
    }
}
