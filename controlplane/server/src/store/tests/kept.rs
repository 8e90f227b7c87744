//! What was said, keys, and what is kept for how long.

use playbook::routing::{Presence, Profile};
use serde_json::{Value, json};

use super::*;
use crate::store::prune::{self, Pruned};

on_both! {
    what_was_said_in_a_call_comes_back_with_its_records
    a_key_is_there_with_its_handoff_or_not_at_all
    a_record_that_waited_for_the_disk_says_for_how_long
    what_is_old_goes_and_what_is_open_pending_or_alive_stays
    what_waits_for_a_webhook_that_is_gone_is_a_dead_letter_after_a_day
    a_human_agent_is_there_after_the_next_start_until_it_is_removed
    who_called_is_known_as_far_back_as_is_asked_whatever_server_told_it
    the_turns_of_a_call_come_one_after_the_other_from_where_a_reader_was
}

/// Milliseconds.
const DAY: i64 = 86_400_000;

fn turns(call: &str, first: i64, texts: &[&str], at_ms: i64) -> Write {
    Write::Turns(TurnsRow {
        call: call.to_owned(),
        first,
        at_ms,
        bodies: texts
            .iter()
            .map(|text| json!({ "role": "caller", "text": text }).to_string())
            .collect(),
    })
}

fn context(call: &str, body: &str, at_ms: i64) -> Write {
    Write::Context(ContextRow {
        call: call.to_owned(),
        at_ms,
        body: body.to_owned(),
    })
}

fn texts(transcript: &Value) -> Vec<&str> {
    let turns = transcript.as_array().expect("a list");
    turns
        .iter()
        .map(|turn| turn["text"].as_str().expect("a text"))
        .collect()
}

async fn a_human_agent_is_there_after_the_next_start_until_it_is_removed(home: Home) {
    let agent = |id: &str, presence| Profile {
        id: id.to_owned(),
        name: "Änne \"the\" agent".to_owned(),
        uri: "sip:agent-1@pbx.example.com".to_owned(),
        skills: [("billing".to_owned(), 5)].into(),
        languages: ["de".to_owned()].into(),
        presence,
        calls: 2,
        order: 7,
    };
    let database = home.open().await;
    let rows = [
        agent("b", Presence::Available),
        agent("a", Presence::Available),
        agent("b", Presence::Away),
    ];
    for row in &rows {
        database.put_agent(row, PATIENCE).await.expect("written");
    }
    drop(database);
    let database = home.open().await;
    assert_eq!(
        database.agents().await.expect("read"),
        [rows[1].clone(), rows[2].clone()]
    );
    for _ in 0..2 {
        database
            .delete_agent("a", PATIENCE)
            .await
            .expect("removed, or not there");
    }
    assert_eq!(database.agents().await.expect("read"), [rows[2].clone()]);
}

async fn what_was_said_in_a_call_comes_back_with_its_records(home: Home) {
    let (store, task) = home.store(1000).await;
    let numbers: Vec<_> = (0..70).map(|number| format!("{number} \u{0} 'ÿ'")).collect();
    let numbers: Vec<_> = numbers.iter().map(String::as_str).collect();
    // More than one statement takes, in pieces of all sizes; each may come twice.
    let mut first = 0;
    for (size, times) in [(1, 1), (33, 2), (2, 1), (34, 1)] {
        for _ in 0..times {
            store.write(turns("call_a", first, &numbers[first as usize..][..size], 1));
            settle(&store).await;
        }
        first += size as i64;
    }
    store.write(turns("call_b", 0, &["of another call"], 1));
    store.write(context("call_a", "{\"goal\":1}", 1));
    store.write(context("call_a", "{\"goal\":2}", 2));
    for (number, turns) in [(1, 40), (2, 70)] {
        store.write(Write::Handoff(HandoffRow {
            call: "call_a".to_owned(),
            turns,
            body: json!({ "context": { "brief": "b", "transcript": [], "completeness": 1 } }).to_string(),
            ..handoff(number, i64::from(number))
        }));
    }
    let bare = HandoffRow {
        body: json!({ "context": null }).to_string(),
        ..handoff(3, 3)
    };
    store.write(Write::Handoff(bare));
    store.close();
    task.await.expect("ended");

    let database = home.open().await;
    let page = Page {
        limit: 10,
        ..Page::default()
    };
    let found = database.handoffs(&page).await.expect("read").expect("a page");
    assert_eq!(found.len(), 3);
    assert_eq!(texts(&found[0].body["context"]["transcript"]), numbers[..40]);
    assert_eq!(texts(&found[1].body["context"]["transcript"]), numbers);
    assert_eq!(found[2].body["context"], Value::Null);
    let one = database.handoff(&handoff(1, 0).id).await.expect("read").expect("there");
    assert_eq!(one.body, found[0].body);
    let names: Vec<_> = one.body["context"].as_object().expect("an object").keys().collect();
    assert_eq!(names, ["brief", "transcript", "completeness"]);
    assert_eq!(database.transcript("call_b", i64::MAX).await.expect("read").len(), 1);
    let context = database.context("call_a").await.expect("read");
    assert_eq!(context.as_deref(), Some("{\"goal\":2}"));
}

async fn a_key_is_there_with_its_handoff_or_not_at_all(home: Home) {
    let database = home.open().await;
    let with_key = |number: u32, request: &str| {
        Write::Handoff(HandoffRow {
            key: Some(Box::new(Key {
                id: "key".to_owned(),
                request: request.to_owned(),
            })),
            ..handoff(number, 5)
        })
    };
    database
        .commit("ins_1", &[with_key(1, "a"), Write::Impossible])
        .await
        .expect_err("refused");
    assert_eq!(database.recall("key").await.expect("read"), None);
    // The queue keeps the newest form of a record, and the key that came with the first.
    let (store, task) = home.store(100).await;
    store.write(with_key(1, "a"));
    store.write(Write::Handoff(handoff(1, 5)));
    store.close();
    task.await.expect("ended");
    let known = Some(("a".to_owned(), handoff(1, 0).id));
    assert_eq!(database.recall("key").await.expect("read"), known);
    database.commit("ins_1", &[with_key(2, "b")]).await.expect("written");
    assert_eq!(
        database.recall("key").await.expect("read"),
        known,
        "the first one holds"
    );
}

async fn a_record_that_waited_for_the_disk_says_for_how_long(home: Home) {
    let database = home.open().await;
    let id = handoff(1, 0).id;
    let late_ms = async |waited: Duration| {
        let row = HandoffRow {
            queued: std::time::Instant::now().checked_sub(waited),
            ..handoff(1, 5)
        };
        database.commit("ins_1", &[Write::Handoff(row)]).await.expect("written");
        database.lateness(&id).await.expect("read")
    };
    assert_eq!(database.lateness(&id).await.expect("read"), None);
    assert_eq!(late_ms(Duration::ZERO).await, None);
    let first = late_ms(Duration::from_secs(5)).await.expect("late");
    assert!(first >= 5000, "{first}");
    assert_eq!(late_ms(Duration::ZERO).await, Some(first), "once late, it stays said");
    let second = late_ms(Duration::from_secs(500)).await.expect("late");
    assert!(second >= 500_000, "{second}");
    assert_eq!(late_ms(Duration::from_secs(50)).await, Some(second), "the longest");
}

/// A handoff of a call of its own, with a turn, a context, an event that is told to one endpoint, and a key.
fn story(number: u32, closed_ms: Option<i64>, told: Option<(DeliveryStatus, i64)>) -> Vec<Write> {
    let call = format!("call_{number}");
    let row = HandoffRow {
        call: call.clone(),
        closed_ms,
        key: Some(Box::new(Key {
            id: format!("key{number}"),
            request: String::new(),
        })),
        ..handoff(number, 10)
    };
    let told = told.map(|(status, at_ms)| {
        Write::Attempt(AttemptRow {
            event: format!("evt_{}_1", row.id),
            subject: row.id.clone(),
            endpoint: "crm".to_owned(),
            status,
            attempts: 1,
            answer: String::new(),
            due_ms: 0,
            at_ms,
        })
    });
    let mut writes = vec![
        turns(&call, 0, &["hello"], 10),
        context(&call, "{}", 10),
        Write::Event(event(&row.id, 1, &["crm"])),
        Write::Handoff(row),
    ];
    writes.extend(told);
    writes
}

async fn what_is_old_goes_and_what_is_open_pending_or_alive_stays(home: Home) {
    use DeliveryStatus::{Delivered, Failed, Pending};
    let (store, _task) = home.store(1000).await;
    let stories = [
        // Two that go: with what was delivered, and with a dead letter.
        (1, Some(100), Some((Delivered, 100))),
        (2, Some(200), Some((Failed, 200))),
        // Those that stay: open, waiting for the next attempt, not told at all, told or closed not long ago.
        (3, None, Some((Delivered, 100))),
        (4, Some(100), Some((Pending, 100))),
        (5, Some(100), None),
        (6, Some(100), Some((Delivered, 20 * DAY))),
        (7, Some(20 * DAY), Some((Delivered, 100))),
    ];
    for (number, closed_ms, told) in stories {
        for write in story(number, closed_ms, told) {
            store.write(write);
        }
    }
    // Calls without a handoff: one is over, one lives, one was told of late.
    for (call, endpoints) in [("call_over", &[][..]), ("call_alive", &[]), ("call_pending", &["crm"])] {
        store.write(turns(call, 0, &["hello", "again"], 10));
        store.write(context(call, "{}", 10));
        store.write(Write::Event(event(call, 1, endpoints)));
    }
    store.write(Write::Call(CallRow {
        id: "call_alive".to_owned(),
        number: String::new(),
        body: "{}".to_owned(),
    }));
    settle(&store).await;

    let (now, keep) = (30 * DAY, Duration::from_secs(20 * 86_400));
    // Little by little, until nothing is left to do.
    let mut steps = 0;
    while prune::step(&store, now, keep, 1).await {
        steps += 1;
    }
    assert!(steps >= 3, "one turn at a time");
    assert_eq!(
        store.condition().pruned,
        Pruned {
            handoffs: 2,
            turns: 6,
            contexts: 4,
            events: 3,
            deliveries: 2,
            keys: 7,
            callbacks: 0,
        }
    );
    let database = store.read();
    for (number, ..) in stories {
        let row = handoff(number, 0);
        let there = database.handoff(&row.id).await.expect("read").is_some();
        assert_eq!(there, number > 2, "{number}");
        let told = database.deliveries(&row.id, 10).await.expect("read").len();
        assert_eq!(told, usize::from(number > 2), "{number}");
        let call = format!("call_{number}");
        let said = database.transcript(&call, 9).await.expect("read").len();
        assert_eq!(said, usize::from(number > 2), "{number}");
        let known = database.context(&call).await.expect("read").is_some();
        assert_eq!(known, number > 2, "{number}");
    }
    // What waits can still be told: its event is there.
    let due = database.due("ins_1", "crm", i64::MAX, 10).await.expect("read");
    let mut due: Vec<_> = due.into_iter().map(|due| due.subject).collect();
    due.sort();
    assert_eq!(due, ["call_pending".to_owned(), handoff(4, 0).id, handoff(5, 0).id]);
    // The next event of the live call must get another number than this one.
    let open = database.open_of("ins_1").await.expect("read");
    assert_eq!(open.calls.iter().map(|(_, last)| *last).collect::<Vec<_>>(), [1]);
    assert_eq!(database.transcript("call_alive", 9).await.expect("read").len(), 2);
    assert_eq!(
        database.transcript("call_over", 9).await.expect("read"),
        Vec::<Value>::new()
    );

    // A key lives for a day, however long records are kept.
    let young = [(8, now - DAY + 1, true), (9, now - DAY - 1, false)];
    for (number, asked_ms, _) in young {
        let [.., Write::Handoff(row)] = &mut story(number, Some(now), None)[..] else {
            unreachable!("the last one")
        };
        row.requested_ms = asked_ms;
        store.write(Write::Handoff(row.clone()));
    }
    settle(&store).await;
    prune::step(&store, now, keep, 10).await;
    for (number, _, stays) in young {
        let known = database.recall(&format!("key{number}")).await.expect("read");
        assert_eq!(known.is_some(), stays, "{number}");
    }
}

async fn what_waits_for_a_webhook_that_is_gone_is_a_dead_letter_after_a_day(home: Home) {
    let (store, _task) = home.store(100).await;
    let now = 2 * DAY;
    for sequence in 1..=3 {
        store.write(Write::Event(EventRow {
            at_ms: if sequence < 3 { 1 } else { now - DAY + 1 },
            ..event("a", sequence, &["gone", "crm"])
        }));
    }
    store.write(Write::Event(event("b", 1, &["also gone"])));
    settle(&store).await;
    let mut steps = 0;
    while prune::give_up(&store, now, &["crm".to_owned()], 1).await {
        steps += 1;
    }
    assert_eq!(steps, 3, "one at a time");
    let statuses = async |endpoint: &str, subject: &str| {
        let rows = store.read().deliveries(subject, 10).await.expect("read");
        let of_endpoint = rows.into_iter().filter(|row| row.endpoint == endpoint);
        of_endpoint.map(|row| row.status).collect::<Vec<_>>()
    };
    assert_eq!(statuses("gone", "a").await, ["failed", "failed", "pending"]);
    assert_eq!(statuses("also gone", "b").await, ["failed"]);
    assert_eq!(statuses("crm", "a").await, ["pending", "pending", "pending"]);
    // Should it come back, it is told what it still waits for.
    let due = store.read().due("ins_1", "gone", i64::MAX, 10).await.expect("read");
    assert_eq!(due.iter().map(|due| &*due.event).collect::<Vec<_>>(), ["evt_a_3"]);
}

async fn who_called_is_known_as_far_back_as_is_asked_whatever_server_told_it(home: Home) {
    let (store, task) = home.store(1000).await;
    let started = |sequence: i64, caller: &str| EventRow {
        body: json!({ "type": "baton.call.started", "data": { "id": "call_1", "caller": caller } })
            .to_string()
            .into(),
        ..event("a", sequence, &[])
    };
    for (sequence, caller) in [(3, "tel:+3"), (1, "tel:+1"), (2, "tel:+2")] {
        store.write(Write::Event(started(sequence, caller)));
    }
    // Another event, and one that nobody can read.
    store.write(Write::Event(EventRow {
        kind: "baton.call.ended",
        ..started(4, "tel:+4")
    }));
    store.write(Write::Event(event("b", 5, &[])));
    settle(&store).await;
    store.close();
    task.await.expect("ended");

    let (store, _task) = home.store(1000).await;
    let callers = async |after_ms| store.read().callers(after_ms).await.expect("read");
    let all = [(1001, "tel:+1"), (1002, "tel:+2"), (1003, "tel:+3")].map(|(at, caller)| (at, caller.to_owned()));
    assert_eq!(callers(0).await, all);
    assert_eq!(callers(1002).await, all[1..]);
    assert_eq!(callers(1004).await, []);
}

async fn the_turns_of_a_call_come_one_after_the_other_from_where_a_reader_was(home: Home) {
    let (store, _task) = home.store(1000).await;
    let said: Vec<String> = (0..130).map(|number| format!("turn {number}")).collect();
    let said: Vec<&str> = said.iter().map(String::as_str).collect();
    store.write(turns("call_a", 0, &said, 1));
    store.write(turns("call_b", 0, &["of another call"], 1));
    settle(&store).await;
    let (mut next, mut heard) = (0, Vec::new());
    loop {
        let (turns, more) = store.read().said("call_a", next).await.expect("read");
        for (number, turn) in turns {
            assert_eq!(number, next);
            next += 1;
            let turn: Value = serde_json::from_str(&turn).expect("JSON");
            heard.push(turn["text"].as_str().expect("a text").to_owned());
        }
        if !more {
            break;
        }
    }
    assert_eq!(heard, said);
    assert_eq!(
        store.read().said("call_a", 130).await.expect("read"),
        (Vec::new(), false)
    );
}
