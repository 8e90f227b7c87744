use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::*;
use crate::store::{AttemptRow, CallRow, DeliveryStatus, EventRow, HandoffRow, TurnsRow, Waits};

fn event(number: u64, bytes: usize) -> Write {
    Write::Event(EventRow {
        id: format!("evt_{number}"),
        subject: "s".to_owned(),
        sequence: 1,
        kind: "baton.call.started",
        at_ms: 0,
        agent: String::new(),
        body: "x".repeat(bytes).into(),
        endpoints: Vec::new(),
        waits: Waits::default(),
    })
}

fn turns(call: &str, count: usize) -> Write {
    Write::Turns(TurnsRow {
        call: call.to_owned(),
        first: 0,
        at_ms: 0,
        bodies: vec![String::new(); count],
    })
}

fn handoff(number: u64, closed_ms: Option<i64>) -> Write {
    Write::Handoff(HandoffRow {
        id: format!("ho_{number}"),
        call: String::new(),
        agent: String::new(),
        requested_ms: 0,
        closed_ms,
        token: String::new(),
        turns: 0,
        body: String::new(),
        key: None,
        queued: None,
    })
}

fn name(write: &Write) -> String {
    match write {
        Write::Event(row) => row.id.clone(),
        Write::Turns(row) => row.call.clone(),
        Write::Handoff(row) => format!("{} {}", row.id, row.closed_ms.is_some()),
        Write::Call(row) => row.id.clone(),
        Write::CallOver(id) => format!("{id} over"),
        Write::Attempt(row) => format!("attempt {}", row.event),
        other => panic!("{other:?}"),
    }
}

fn names(batch: &Batch) -> Vec<String> {
    batch.writes.iter().map(name).collect()
}

async fn all(queue: &Queue) -> Vec<String> {
    names(&queue.take().await.expect("something waits"))
}

#[tokio::test]
async fn what_is_queued_comes_in_order_and_of_a_record_the_newest_form_at_the_place_of_the_first() {
    let queue = Queue::new(100);
    queue.push(handoff(1, None));
    queue.push(event(1, 1));
    queue.push(turns("call_1", 2));
    queue.push(Write::Call(CallRow {
        id: "call_1".to_owned(),
        number: String::new(),
        body: String::new(),
    }));
    queue.push(event(2, 1));
    queue.push(handoff(1, Some(1)));
    queue.push(Write::CallOver("call_1".to_owned()));
    assert_eq!(queue.condition().waiting, 5);
    let batch = queue.take().await.expect("a batch");
    assert_eq!(names(&batch), ["ho_1 true", "evt_1", "call_1", "call_1 over", "evt_2"]);
    assert_eq!(queue.condition().waiting, 5, "as long as it is not on the disk");
    queue.done(&batch, Duration::ZERO, Pruned::default());
    assert_eq!(queue.condition().waiting, 0);
    assert_eq!(lock(&queue.state).bytes, 0);
}

#[tokio::test]
async fn a_batch_is_bounded_in_rows_and_its_tickets_are_those_of_what_is_in_it() {
    let queue = Queue::new(10_000);
    queue.push(turns("call_1", BATCH - 1));
    queue.push(turns("call_2", BATCH));
    let second = queue.ticket();
    queue.push(event(1, 1));
    let third = queue.ticket();
    let batch = queue.take().await.expect("a batch");
    assert_eq!(names(&batch), ["call_1", "call_2"]);
    queue.done(&batch, Duration::ZERO, Pruned::default());
    assert_eq!(queue.last_commit(), second);
    assert!(queue.committed(second).await);
    let batch = queue.take().await.expect("a batch");
    queue.done(&batch, Duration::ZERO, Pruned::default());
    assert_eq!(queue.last_commit(), third);
    queue.close();
    assert!(queue.take().await.is_none());
}

#[tokio::test]
async fn without_room_the_oldest_events_and_turns_go_then_what_is_over_and_never_what_is_open() {
    let queue = Queue::new(4);
    queue.push(handoff(1, None));
    queue.push(handoff(2, Some(1)));
    queue.push(turns("call_1", 1));
    queue.push(event(1, 1));
    let lost = queue.ticket();
    queue.push(event(2, 1));
    let kept = queue.ticket();
    assert_eq!(queue.condition().given_up, 1);
    let batch = queue.take().await.expect("a batch");
    assert_eq!(names(&batch), ["ho_1 false", "ho_2 true", "call_1", "evt_2"]);
    queue.done(&batch, Duration::ZERO, Pruned::default());
    assert!(!queue.committed(lost).await, "nobody is told that it is there");
    assert!(queue.committed(kept).await);

    for write in [
        handoff(3, None),
        turns("call_2", 1),
        Write::Attempt(AttemptRow {
            event: "evt_2".to_owned(),
            subject: "s".to_owned(),
            endpoint: "crm".to_owned(),
            status: DeliveryStatus::Delivered,
            attempts: 1,
            answer: String::new(),
            due_ms: 0,
            at_ms: 0,
        }),
        handoff(4, Some(1)),
        handoff(5, None),
        handoff(6, None),
        handoff(7, None),
        handoff(8, None),
    ] {
        queue.push(write);
    }
    assert_eq!(
        all(&queue).await,
        ["ho_3 false", "ho_5 false", "ho_6 false", "ho_7 false", "ho_8 false"]
    );
    assert_eq!(queue.condition().given_up, 4);
    assert_eq!(lock(&queue.state).bytes, 0);
}

#[tokio::test]
async fn bytes_are_bounded_as_well() {
    let queue = Queue::new(1_000_000);
    let large = BYTES / 8;
    for number in 0..10 {
        queue.push(event(number, large));
    }
    let condition = queue.condition();
    assert_eq!((condition.waiting, condition.given_up), (7, 3));
    assert_eq!(all(&queue).await[0], "evt_3");
}

#[tokio::test]
async fn events_and_turns_leave_each_other_half_the_room() {
    let queue = Queue::new(10);
    for number in 0..100 {
        queue.push(turns(&format!("call_{number}"), 1));
        queue.push(turns(&format!("call_{number}"), 1));
        queue.push(event(number, 1));
    }
    let left = all(&queue).await;
    let events: Vec<_> = left.iter().filter(|name| name.starts_with("evt_")).collect();
    assert_eq!(events, ["evt_95", "evt_96", "evt_97", "evt_98", "evt_99"]);
    assert_eq!(left.len(), 10);
}

/// What was logged, a line each.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl std::io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        lock(&self.0).extend(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn trouble_lasts_from_the_first_failure_to_the_next_commit_and_is_logged_once() {
    let log = Log::default();
    let writer = log.clone();
    let logging = tracing_subscriber::fmt().with_writer(move || writer.clone()).finish();
    let _logging = tracing::subscriber::set_default(logging);
    let queue = Queue::new(100);
    queue.push(event(1, 1));
    let batch = queue.take().await.expect("a batch");
    assert!(queue.condition().trouble.is_none());
    queue.failed("the first");
    let (first, _) = queue.condition().trouble.expect("trouble");
    queue.failed("the second");
    let (since, why) = queue.condition().trouble.expect("trouble");
    assert!(since >= first);
    assert_eq!(why, "the second");
    queue.done(&batch, Duration::ZERO, Pruned::default());
    assert!(queue.condition().trouble.is_none());
    queue.push(event(2, 1));
    let batch = queue.take().await.expect("a batch");
    queue.done(&batch, Duration::ZERO, Pruned::default());

    let text = String::from_utf8(lock(&log.0).clone()).expect("text");
    let lines: Vec<_> = text.lines().collect();
    assert_eq!(lines.len(), 2, "{text}");
    assert!(lines[0].contains("ERROR") && lines[0].contains("the first"), "{text}");
    assert!(lines[1].contains("takes writes again"), "{text}");
}

#[test]
fn nobody_waits_for_an_event_that_was_given_up() {
    let waiting = Arc::new(AtomicU64::new(0));
    let told = |number| {
        let Write::Event(mut row) = event(number, 1) else {
            unreachable!("it is one")
        };
        waiting.fetch_add(1, Ordering::Relaxed);
        row.waits = Waits(vec![Arc::clone(&waiting)]);
        Write::Event(row)
    };
    let queue = Queue::new(2);
    for number in 0..5 {
        queue.push(told(number));
    }
    assert_eq!((queue.condition().given_up, waiting.load(Ordering::Relaxed)), (3, 2));
    // One that the database refuses for ever.
    queue.give_up(&told(6));
    assert_eq!((queue.condition().given_up, waiting.load(Ordering::Relaxed)), (4, 2));
}
