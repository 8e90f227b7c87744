//! Callers who were promised to be called back.

use serde_json::json;

use super::*;
use crate::store::callbacks::{Attempted, CallbackPage, CallbackRow, CallbackState, Taken};
use crate::store::prune;

on_both! {
    of_many_who_want_one_slot_at_one_time_as_many_get_it_as_there_is_room_for
    who_has_one_that_waits_gets_that_one_again_with_what_is_known_now
    one_is_moved_cancelled_and_confirmed_only_while_it_waits
    of_two_servers_one_calls_and_not_while_the_caller_is_on_the_phone
    what_a_dead_server_was_calling_waits_again
    they_are_listed_in_order_by_state_and_agent_and_go_when_they_are_old
}

const MOST: Duration = Duration::from_secs(30);

fn row(number: u8, target: &str) -> CallbackRow {
    CallbackRow {
        id: format!("cb_{number:016x}"),
        call: format!("call_{number}"),
        handoff: String::new(),
        agent: "ai".to_owned(),
        trunk: "carrier".to_owned(),
        caller: format!("sip:+49301234{number:03}@127.0.0.1"),
        number: format!("+49301234{number:03}"),
        machine: "machine".to_owned(),
        target: target.to_owned(),
        reason: "asked".to_owned(),
        context: json!({ "brief": "x" }).to_string(),
        zone: "Europe/Berlin".to_owned(),
        from_ms: 0,
        until_ms: 0,
        state: "scheduled".to_owned(),
        confirmed_ms: None,
        attempts: 0,
        due_ms: 0,
        calls: json!([]),
        cause: None,
        late_ms: 0,
        booked_ms: i64::from(number),
        closed_ms: None,
    }
}

/// Slots of 100 ms that take two callers each, from 1000 on.
fn two_each(taken: &[Taken]) -> Option<(i64, i64)> {
    let used = |from: i64| taken.iter().filter(|taken| taken.from_ms == from).count();
    let from = (10..).map(|slot| slot * 100).find(|from| used(*from) < 2)?;
    Some((from, from + 100))
}

async fn booked(database: &Database, row: &CallbackRow) -> CallbackRow {
    let booked = database.book_callback(row, MOST, two_each).await;
    booked.expect("the store answers").expect("a slot")
}

async fn read(database: &Database, id: &str) -> CallbackRow {
    database.callback(id).await.expect("read").expect("there")
}

async fn of_many_who_want_one_slot_at_one_time_as_many_get_it_as_there_is_room_for(home: Home) {
    // Two servers.
    let databases = [home.open().await, home.open().await];
    let wishes = (0..20_u8).map(|number| {
        let database = databases[usize::from(number % 2)].clone();
        tokio::spawn(async move { booked(&database, &row(number, "")).await })
    });
    let mut slots = Vec::new();
    for wish in wishes.collect::<Vec<_>>() {
        slots.push(wish.await.expect("booked").from_ms);
    }
    slots.sort_unstable();
    let two_of_each: Vec<i64> = (10..20).flat_map(|slot| [slot * 100; 2]).collect();
    assert_eq!(slots, two_of_each);
    // Where there is no slot nothing is written.
    let none = databases[0].book_callback(&row(30, ""), MOST, |_| None).await;
    assert_eq!(none.expect("the store answers"), None);
    assert_eq!(databases[1].open_callbacks().await.expect("read"), 20);
}

async fn who_has_one_that_waits_gets_that_one_again_with_what_is_known_now(home: Home) {
    let database = home.open().await;
    let first = booked(&database, &row(1, "")).await;
    let again = CallbackRow {
        number: first.number.clone(),
        context: json!({ "brief": "new" }).to_string(),
        ..row(2, "")
    };
    let second = booked(&database, &again).await;
    assert_eq!((&second.id, second.from_ms), (&first.id, first.from_ms));
    let kept = read(&database, &first.id).await;
    assert_eq!((&*kept.call, &kept.context), ("call_2", &again.context));
    // For somebody else it is another one; and so it is once its slot is over: then the old one is of no use.
    let other = CallbackRow {
        number: first.number.clone(),
        ..row(3, "billing")
    };
    assert_ne!(booked(&database, &other).await.id, first.id);
    let late = CallbackRow {
        number: first.number.clone(),
        booked_ms: first.until_ms,
        ..row(4, "")
    };
    assert_eq!(booked(&database, &late).await.id, late.id);
    assert_eq!(read(&database, &first.id).await.state, "cancelled");
}

async fn one_is_moved_cancelled_and_confirmed_only_while_it_waits(home: Home) {
    let database = home.open().await;
    let id = booked(&database, &row(1, "")).await.id;
    let other = booked(&database, &row(2, "")).await;
    let to = |slot: Option<(i64, i64)>| {
        let (database, id) = (database.clone(), id.clone());
        async move {
            let moved = database.move_callback(&id, 5, MOST, |row, taken| {
                assert_eq!(row.from_ms, 1000);
                // Its own slot is not in its way.
                assert_eq!(taken.iter().map(|taken| taken.from_ms).collect::<Vec<_>>(), [1000]);
                slot
            });
            moved.await.expect("the store answers")
        }
    };
    assert_eq!(to(None).await, None);
    assert_eq!(read(&database, &id).await.from_ms, 1000, "as it was");
    let moved = to(Some((3000, 3100))).await.expect("moved");
    assert_eq!((moved.from_ms, moved.until_ms, moved.due_ms), (3000, 3100, 3000));
    assert_eq!(read(&database, &id).await, moved);
    assert!(database.confirm_callback(&id, 7, MOST).await.expect("written"));
    assert!(database.confirm_callback(&id, 8, MOST).await.expect("written"));
    assert_eq!(read(&database, &id).await.confirmed_ms, Some(7));
    assert!(database.cancel_callback(&id, 9, MOST).await.expect("written"));
    assert!(!database.cancel_callback(&id, 10, MOST).await.expect("written"));
    assert!(!database.confirm_callback(&id, 10, MOST).await.expect("written"));
    let gone = read(&database, &id).await;
    assert_eq!((&*gone.state, gone.closed_ms), ("cancelled", Some(9)));
    // Its slot is free again: the other one could have it.
    let free = database.move_callback(&other.id, 5, MOST, |_, taken| {
        assert_eq!(taken, []);
        None
    });
    assert_eq!(free.await.expect("the store answers"), None);
    assert!(!database.claim_callback(&id, "ins_1", 9000).await.expect("written"));
}

async fn of_two_servers_one_calls_and_not_while_the_caller_is_on_the_phone(home: Home) {
    let (store, _task) = home.store(100).await;
    let database = store.read();
    let id = booked(database, &row(1, "")).await.id;
    store.write(Write::Call(CallRow {
        id: "call_1".to_owned(),
        body: "{}".to_owned(),
    }));
    settle(&store).await;
    let due = |now_ms| async move { database.callbacks_due(now_ms, 10).await.expect("read").len() };
    let claim = |instance: &'static str, now_ms| {
        let id = id.clone();
        async move { database.claim_callback(&id, instance, now_ms).await.expect("written") }
    };
    assert_eq!(due(1000).await, 0, "on the phone");
    assert!(!claim("ins_1", 1000).await, "on the phone");
    store.write(Write::CallOver("call_1".to_owned()));
    settle(&store).await;
    assert_eq!((due(999).await, due(1000).await), (0, 1));
    let looked_at = database.callbacks_due(1000, 10).await.expect("read").remove(0);
    assert_eq!((&looked_at.id, &*looked_at.context), (&id, ""), "without its context");
    assert!(!claim("ins_1", 999).await, "too early");
    // Its slot ended at 1100.
    let (one, other) = tokio::join!(claim("ins_1", 1150), claim("ins_2", 1150));
    assert!(one ^ other, "one of them");
    let ours = if one { "ins_1" } else { "ins_2" };
    let row = read(database, &id).await;
    assert_eq!((&*row.state, row.attempts, row.late_ms), ("calling", 1, 50));
    assert_eq!(due(2000).await, 0);
    assert!(
        !database.cancel_callback(&id, 9, MOST).await.expect("written"),
        "too late"
    );
    let attempted = Attempted {
        state: CallbackState::Scheduled,
        attempts: 1,
        due_ms: 5000,
        calls: json!([{ "call": null }]),
        cause: Some("not_reached"),
        closed_ms: None,
    };
    let told = |instance: &'static str| {
        let (id, attempted) = (id.clone(), attempted.clone());
        async move {
            database
                .callback_attempted(&id, instance, &attempted)
                .await
                .expect("written");
        }
    };
    // Whoever does not have it has nothing to say.
    told(if one { "ins_2" } else { "ins_1" }).await;
    assert_eq!(read(database, &id).await.state, "calling");
    let called = json!([{ "call": "call_9" }]);
    database.callback_called(&id, ours, &called).await.expect("written");
    assert_eq!(read(database, &id).await.calls, called);
    told(ours).await;
    let row = read(database, &id).await;
    assert_eq!(
        (&*row.state, row.due_ms, row.calls),
        ("scheduled", 5000, attempted.calls.clone())
    );
    assert_eq!(row.cause.as_deref(), Some("not_reached"));
    assert!(!claim("ins_1", 4999).await, "the next attempt has its time");
    assert!(claim("ins_1", 5000).await);
    assert_eq!(read(database, &id).await.late_ms, 50, "of the first attempt");
}

async fn what_a_dead_server_was_calling_waits_again(home: Home) {
    let database = home.open().await;
    for number in [1, 2, 3] {
        booked(&database, &row(number, "")).await;
    }
    let id = |number: u8| row(number, "").id;
    assert!(
        database
            .claim_callback(&id(1), "ins_dead", 2000)
            .await
            .expect("written")
    );
    assert!(
        database
            .claim_callback(&id(2), "ins_alive", 2000)
            .await
            .expect("written")
    );
    database.inherit("ins_dead", "ins_1", &[]).await.expect("written");
    let mut states = Vec::new();
    for number in [1, 2, 3] {
        states.push(read(&database, &id(number)).await.state);
    }
    assert_eq!(states, ["scheduled", "calling", "scheduled"]);
    assert!(database.claim_callback(&id(1), "ins_1", 2001).await.expect("written"));
    assert_eq!(read(&database, &id(1)).await.attempts, 2);
}

async fn they_are_listed_in_order_by_state_and_agent_and_go_when_they_are_old(home: Home) {
    let (store, _task) = home.store(100).await;
    let database = store.read();
    for number in [3, 1, 2, 4] {
        let agent = if number == 4 { "other" } else { "ai" };
        let agent = agent.to_owned();
        booked(
            database,
            &CallbackRow {
                agent,
                ..row(number, "")
            },
        )
        .await;
    }
    let id = |number: u8| row(number, "").id;
    assert!(database.cancel_callback(&id(2), 500, MOST).await.expect("written"));
    assert!(database.cancel_callback(&id(4), 1500, MOST).await.expect("written"));
    let list = |after: Option<u8>, state: Option<&str>, agent: Option<&str>, limit| {
        let page = CallbackPage {
            after: after.map(id),
            state: state.map(str::to_owned),
            agent: agent.map(str::to_owned),
            limit,
        };
        async move {
            let rows = database.callbacks(&page).await.expect("read").expect("known");
            rows.into_iter().map(|row| row.id).collect::<Vec<_>>()
        }
    };
    let ids = |numbers: &[u8]| numbers.iter().copied().map(id).collect::<Vec<_>>();
    assert_eq!(list(None, None, None, 3).await, ids(&[1, 2, 3]));
    assert_eq!(list(Some(2), None, None, 3).await, ids(&[3, 4]));
    assert_eq!(list(None, Some("scheduled"), None, 9).await, ids(&[1, 3]));
    assert_eq!(list(None, Some("cancelled"), Some("ai"), 9).await, ids(&[2]));
    let unknown = CallbackPage {
        after: Some("cb_x".to_owned()),
        ..CallbackPage::default()
    };
    assert_eq!(database.callbacks(&unknown).await.expect("read"), None);
    // Kept for a second: what was closed before goes, what is open stays however old it is.
    while prune::step(&store, 2000, Duration::from_secs(1), 1).await {}
    assert_eq!(store.condition().pruned.callbacks, 1);
    assert_eq!(list(None, None, None, 9).await, ids(&[1, 3, 4]));
}
