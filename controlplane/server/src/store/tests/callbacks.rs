//! Callers who were promised to be called back.

use serde_json::json;

use super::*;
use crate::store::callbacks::{Attempted, CallbackPage, CallbackRow, CallbackState, Kind, Shared, Taken};
use crate::store::prune;

on_both! {
    of_many_who_want_one_slot_at_one_time_as_many_get_it_as_there_is_room_for
    who_has_one_that_waits_gets_that_one_again_with_what_is_known_now
    one_is_moved_cancelled_and_confirmed_only_while_it_waits
    of_two_servers_one_calls_and_not_while_the_caller_is_on_the_phone
    who_rings_again_is_not_called_meanwhile_nor_twice_at_a_time
    of_two_promises_to_one_caller_two_servers_do_not_call_both_at_a_time
    behind_a_number_that_is_shared_each_has_its_own_and_another_call_is_not_in_its_way
    those_of_one_kind_do_not_keep_others_waiting
    a_cancel_is_told_once_and_is_one_also_where_its_answer_was_lost
    what_is_for_a_newer_call_is_not_ended_by_what_became_of_the_older
    it_may_be_for_any_number_of_humans
    what_was_over_before_its_time_has_left_its_room
    a_promise_of_an_older_version_is_of_its_target
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
        humans: [target]
            .into_iter()
            .filter(|name| !name.is_empty())
            .map(str::to_owned)
            .collect(),
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
    let booked = database.book_callback(row, Shared::No, MOST, two_each).await;
    booked.expect("the store answers").expect("a slot")
}

/// Those that could be called, of whatever kind.
async fn due(database: &Database, now_ms: i64) -> Vec<CallbackRow> {
    let mut due = Vec::new();
    for kind in database.callback_kinds(now_ms).await.expect("read") {
        due.extend(
            database
                .callbacks_due(&kind, now_ms, 10, Shared::No)
                .await
                .expect("read"),
        );
    }
    due
}

/// Whether it is this server's to call.
async fn claimed(database: &Database, id: &str, instance: &str, now_ms: i64) -> bool {
    database
        .claim_callback(id, instance, now_ms, Shared::No)
        .await
        .expect("written")
}

fn attempted(state: CallbackState, closed_ms: Option<i64>) -> Attempted {
    Attempted {
        state,
        attempts: 1,
        due_ms: 5000,
        calls: json!([{ "call": null }]),
        cause: Some("not_reached"),
        closed_ms,
        event: None,
    }
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
    let none = databases[0]
        .book_callback(&row(30, ""), Shared::No, MOST, |_| None)
        .await;
    assert_eq!(none.expect("the store answers"), None);
    assert_eq!(databases[1].open_callbacks().await.expect("read"), 20);
}

async fn who_has_one_that_waits_gets_that_one_again_with_what_is_known_now(home: Home) {
    let database = home.open().await;
    let first = booked(&database, &row(1, "sales")).await;
    let again = CallbackRow {
        number: first.number.clone(),
        context: json!({ "brief": "new" }).to_string(),
        ..row(2, "sales")
    };
    let second = booked(&database, &again).await;
    assert_eq!((&second.id, second.from_ms), (&first.id, first.from_ms));
    let kept = read(&database, &first.id).await;
    assert_eq!((&*kept.call, &kept.context), ("call_2", &again.context));
    assert_eq!(kept.confirmed_ms, None);
    // For somebody else it is another one; and so it is once its slot is over.
    let other = CallbackRow {
        number: first.number.clone(),
        ..row(3, "billing")
    };
    let other = booked(&database, &other).await;
    assert_ne!(other.id, first.id);
    let late = CallbackRow {
        number: first.number.clone(),
        booked_ms: first.until_ms,
        ..row(4, "sales")
    };
    assert_eq!(booked(&database, &late).await.id, late.id);
    // What was said yes to once is so for the new call as well.
    assert!(database.confirm_callback(&other.id, 7, MOST).await.expect("written"));
    let again = CallbackRow {
        number: first.number.clone(),
        ..row(5, "billing")
    };
    booked(&database, &again).await;
    let kept = read(&database, &other.id).await;
    assert_eq!((&*kept.call, kept.confirmed_ms), ("call_5", Some(7)));
    let mut waiting = database.callbacks_of(&first.number).await.expect("read");
    waiting.sort_by(|one, other| one.id.cmp(&other.id));
    let ids: Vec<_> = waiting.iter().map(|row| &row.id).collect();
    assert_eq!(ids, [&first.id, &other.id, &late.id]);
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
    assert!(database.cancel_callback(&id, 9, MOST, None).await.expect("written"));
    assert!(!database.cancel_callback(&id, 10, MOST, None).await.expect("written"));
    assert!(!database.confirm_callback(&id, 10, MOST).await.expect("written"));
    let gone = read(&database, &id).await;
    assert_eq!((&*gone.state, gone.closed_ms), ("cancelled", Some(9)));
    // Its slot is free again: the other one could have it.
    let free = database.move_callback(&other.id, 5, MOST, |_, taken| {
        assert_eq!(taken, []);
        None
    });
    assert_eq!(free.await.expect("the store answers"), None);
    assert!(
        !database
            .claim_callback(&id, "ins_1", 9000, Shared::No)
            .await
            .expect("written")
    );
}

async fn of_two_servers_one_calls_and_not_while_the_caller_is_on_the_phone(home: Home) {
    let (store, _task) = home.store(100).await;
    let database = store.read();
    database.enter("ins_1", "node", "", 0).await.expect("written");
    let id = booked(database, &row(1, "")).await.id;
    let claim = |instance, now_ms| claimed(database, &id, instance, now_ms);
    store.write(Write::Call(CallRow {
        id: "call_1".to_owned(),
        number: String::new(),
        body: "{}".to_owned(),
    }));
    settle(&store).await;
    assert_eq!(due(database, 1000).await, [], "on the phone");
    assert!(!claim("ins_1", 1000).await, "on the phone");
    store.write(Write::CallOver("call_1".to_owned()));
    settle(&store).await;
    assert_eq!(due(database, 999).await, []);
    let looked_at = due(database, 1000).await.remove(0);
    assert_eq!((&looked_at.id, &*looked_at.context), (&id, ""), "without its context");
    assert!(!claim("ins_1", 999).await, "too early");
    // Its slot ended at 1100.
    let (one, other) = tokio::join!(claim("ins_1", 1150), claim("ins_2", 1150));
    assert!(one ^ other, "one of them");
    let ours = if one { "ins_1" } else { "ins_2" };
    let row = read(database, &id).await;
    assert_eq!((&*row.state, row.attempts, row.late_ms), ("calling", 1, 50));
    assert_eq!(due(database, 2000).await, []);
    let cancel = database.cancel_callback(&id, 9, MOST, None);
    assert!(!cancel.await.expect("written"), "too late");
    // Its caller may have said yes a moment before.
    assert!(database.confirm_callback(&id, 7, MOST).await.expect("written"));
    let attempted = attempted(CallbackState::Scheduled, None);
    let told = |before, instance| {
        let told = database.callback_attempted(&looked_at, before, instance, &attempted);
        async move { told.await.expect("written") }
    };
    // Whoever does not have it has nothing to say, nor who thinks that it waits.
    assert!(!told(CallbackState::Calling, if one { "ins_2" } else { "ins_1" }).await);
    assert!(!told(CallbackState::Scheduled, ours).await);
    assert_eq!(read(database, &id).await.state, "calling");
    let called = json!([{ "call": "call_9" }]);
    database.callback_called(&id, ours, &called).await.expect("written");
    assert_eq!(read(database, &id).await.calls, called);
    let held = database.callbacks_held(ours).await.expect("read");
    assert_eq!(held.into_iter().map(|row| row.id).collect::<Vec<_>>(), [&*id]);
    assert!(told(CallbackState::Calling, ours).await);
    assert!(told(CallbackState::Calling, ours).await, "so it is");
    let row = read(database, &id).await;
    assert_eq!(
        (&*row.state, row.due_ms, &row.calls),
        ("scheduled", 5000, &attempted.calls)
    );
    assert_eq!(row.cause.as_deref(), Some("not_reached"));
    assert!(!claim("ins_1", 4999).await, "the next attempt has its time");
    assert!(claim("ins_1", 5000).await);
    assert_eq!(read(database, &id).await.late_ms, 50, "of the first attempt");
}

async fn who_rings_again_is_not_called_meanwhile_nor_twice_at_a_time(home: Home) {
    let (store, _task) = home.store(100).await;
    let database = store.read();
    database.enter("ins_1", "node", "", 0).await.expect("written");
    let first = booked(database, &row(1, "billing")).await;
    let other = CallbackRow {
        number: first.number.clone(),
        ..row(2, "sales")
    };
    let other = booked(database, &other).await;
    let stranger = booked(database, &row(3, "")).await;
    let call = |id: &str, number: &str| {
        Write::Call(CallRow {
            id: id.to_owned(),
            number: number.to_owned(),
            body: "{}".to_owned(),
        })
    };
    let ids = |due: Vec<CallbackRow>| {
        let mut ids: Vec<_> = due.into_iter().map(|row| row.id).collect();
        ids.sort();
        ids
    };
    store.write(call("call_7", &first.number));
    settle(&store).await;
    assert_eq!(ids(due(database, 2000).await), [&*stranger.id]);
    assert!(!claimed(database, &first.id, "ins_1", 2000).await);
    // Of a server that is no more it is no call.
    database.run("UPDATE calls SET instance = 'ins_gone'").await;
    assert_eq!(due(database, 2000).await.len(), 3);
    database.run("UPDATE calls SET instance = 'ins_1'").await;
    store.write(Write::CallOver("call_7".to_owned()));
    // Nobody knows who that is.
    store.write(call("call_8", ""));
    settle(&store).await;
    assert_eq!(ids(due(database, 2000).await), [&*first.id, &*other.id, &*stranger.id]);
    assert!(claimed(database, &first.id, "ins_1", 2000).await);
    assert_eq!(ids(due(database, 2000).await), [&*stranger.id]);
    assert!(!claimed(database, &other.id, "ins_2", 2000).await);
    let done = attempted(CallbackState::Done, Some(2500));
    let done = database.callback_attempted(&first, CallbackState::Calling, "ins_1", &done);
    assert!(done.await.expect("written"));
    assert!(claimed(database, &other.id, "ins_2", 2500).await);
}

/// Each of two servers begins with another promise.
async fn of_two_promises_to_one_caller_two_servers_do_not_call_both_at_a_time(home: Home) {
    let databases = [home.open().await, home.open().await];
    for number in (1..=20).step_by(2) {
        let first = booked(&databases[0], &row(number, "billing")).await;
        let other = CallbackRow {
            number: first.number.clone(),
            ..row(number + 1, "sales")
        };
        let other = booked(&databases[0], &other).await;
        let (one, two) = tokio::join!(
            claimed(&databases[0], &first.id, "ins_1", 9000),
            claimed(&databases[1], &other.id, "ins_2", 9000)
        );
        assert!(one ^ two, "{number}");
    }
}

async fn behind_a_number_that_is_shared_each_has_its_own_and_another_call_is_not_in_its_way(home: Home) {
    let (store, _task) = home.store(100).await;
    let database = store.read();
    database.enter("ins_1", "node", "", 0).await.expect("written");
    let book = |row: CallbackRow| async move {
        let booked = database.book_callback(&row, Shared::Yes, MOST, two_each).await;
        booked.expect("the store answers").expect("a slot")
    };
    let first = book(row(1, "billing")).await;
    let of_it = |number: u8, call: &str| CallbackRow {
        number: first.number.clone(),
        call: call.to_owned(),
        ..row(number, "billing")
    };
    assert_eq!(book(of_it(2, &first.call)).await.id, first.id, "of the same call");
    let other = book(of_it(3, "call_3")).await;
    assert_ne!(other.id, first.id);
    for (id, number) in [("call_7", &*first.number), (&*other.call, "")] {
        store.write(Write::Call(CallRow {
            id: id.to_owned(),
            number: number.to_owned(),
            body: "{}".to_owned(),
        }));
    }
    settle(&store).await;
    let kinds = database.callback_kinds(2000).await.expect("read");
    let due = database
        .callbacks_due(&kinds[0], 2000, 10, Shared::Yes)
        .await
        .expect("read");
    let due: Vec<_> = due.into_iter().map(|row| row.id).collect();
    assert_eq!(due, [&*first.id], "the other one is on the phone");
    let claim = |id: String| async move {
        let claim = database.claim_callback(&id, "ins_1", 2000, Shared::Yes);
        claim.await.expect("written")
    };
    assert!(!claim(other.id.clone()).await);
    assert!(claim(first.id.clone()).await);
    store.write(Write::CallOver(other.call.clone()));
    settle(&store).await;
    assert!(claim(other.id).await, "both at a time");
}

async fn those_of_one_kind_do_not_keep_others_waiting(home: Home) {
    let database = home.open().await;
    for number in 1..=20 {
        booked(&database, &row(number, "closed")).await;
    }
    booked(&database, &row(21, "open")).await;
    let human = |kind: &Kind| kind.humans.join(" ");
    let mut kinds = database.callback_kinds(3000).await.expect("read");
    kinds.sort_by_key(human);
    assert_eq!(kinds.iter().map(human).collect::<Vec<_>>(), ["closed", "open"]);
    let due = |kind, limit| {
        let due = database.callbacks_due(kind, 3000, limit, Shared::No);
        async move {
            due.await
                .expect("read")
                .into_iter()
                .map(|row| row.until_ms)
                .collect::<Vec<_>>()
        }
    };
    assert_eq!(due(&kinds[0], 3).await, [1100, 1100, 1200], "whose slot ends first");
    assert_eq!(due(&kinds[1], 3).await, [2100]);
    assert_eq!(database.callback_kinds(999).await.expect("read"), []);
}

async fn a_cancel_is_told_once_and_is_one_also_where_its_answer_was_lost(home: Home) {
    let database = home.open().await;
    let id = booked(&database, &row(1, "")).await.id;
    let teller = Teller::new("test", vec![Endpoint::of("crm", &[])]);
    let at = jiff::Timestamp::UNIX_EPOCH;
    let event = teller.event("baton.callback.cancelled", &id, "ai", 1, at, &json!({}));
    let cancel = |now_ms| database.cancel_callback(&id, now_ms, MOST, Some((&event, "ins_1")));
    assert!(cancel(9).await.expect("written"));
    assert!(cancel(9).await.expect("written"), "the same once more");
    assert!(!cancel(10).await.expect("written"), "another one");
    let due = database.due("ins_1", "crm", i64::MAX, 10).await.expect("read");
    let subjects: Vec<_> = due.into_iter().map(|due| due.subject).collect();
    assert_eq!(subjects, [&*id]);
}

/// What was read before its caller got it again is of the older call.
async fn what_is_for_a_newer_call_is_not_ended_by_what_became_of_the_older(home: Home) {
    let database = home.open().await;
    let older = booked(&database, &row(1, "sales")).await;
    let newer = CallbackRow {
        number: older.number.clone(),
        ..row(2, "sales")
    };
    assert_eq!(booked(&database, &newer).await.id, older.id);
    let done = attempted(CallbackState::Done, Some(9));
    let ended = database.callback_attempted(&older, CallbackState::Scheduled, "ins_1", &done);
    assert!(!ended.await.expect("written"));
    assert_eq!(read(&database, &older.id).await.state, "scheduled");
}

/// Longer than what an index takes.
async fn it_may_be_for_any_number_of_humans(home: Home) {
    let database = home.open().await;
    let humans = |last: &str| {
        (0..500)
            .map(|human| format!("a human of whom there are many {human}"))
            .chain([last.to_owned()])
            .collect()
    };
    for (number, last) in [(1, "one"), (2, "other")] {
        let humans = humans(last);
        booked(
            &database,
            &CallbackRow {
                humans,
                ..row(number, "")
            },
        )
        .await;
    }
    let mut lasts: Vec<_> = due(&database, 2000)
        .await
        .into_iter()
        .filter_map(|mut row| row.humans.pop())
        .collect();
    lasts.sort();
    assert_eq!(lasts, ["one", "other"]);
}

async fn what_was_over_before_its_time_has_left_its_room(home: Home) {
    let database = home.open().await;
    let mut rows = Vec::new();
    for number in 1..=4 {
        rows.push(booked(&database, &row(number, "")).await);
    }
    // In the slots 1000 and 1100.
    let over = |row: usize, closed_ms| {
        let done = attempted(CallbackState::Done, Some(closed_ms));
        let (database, row) = (database.clone(), rows[row].clone());
        async move {
            let done = database.callback_attempted(&row, CallbackState::Scheduled, "ins_1", &done);
            assert!(done.await.expect("written"));
        }
    };
    over(0, 999).await;
    over(2, 1100).await;
    assert_eq!(booked(&database, &row(5, "")).await.from_ms, 1000);
    assert_eq!(booked(&database, &row(6, "")).await.from_ms, 1200);
}

async fn a_promise_of_an_older_version_is_of_its_target(home: Home) {
    let database = home.open().await;
    let of_one = booked(&database, &row(1, "billing")).await;
    let of_any = CallbackRow {
        humans: vec!["sales".to_owned()],
        ..row(2, "")
    };
    let of_any = booked(&database, &of_any).await;
    database.run("UPDATE callbacks SET humans = '[]', team = ''").await;
    assert_eq!(read(&database, &of_one.id).await.humans, ["billing"]);
    assert!(read(&database, &of_any.id).await.humans.is_empty());
    let mut humans: Vec<_> = due(&database, 2000).await.into_iter().map(|row| row.humans).collect();
    humans.sort();
    assert_eq!(humans, [Vec::new(), vec!["billing".to_owned()]]);
    // It may be anybody's: its caller has one already.
    let again = CallbackRow {
        number: of_any.number.clone(),
        ..row(3, "sales")
    };
    assert_eq!(booked(&database, &again).await.id, of_any.id);
    assert_eq!(read(&database, &of_any.id).await.humans, ["sales"]);
}

async fn what_a_dead_server_was_calling_waits_again(home: Home) {
    let database = home.open().await;
    for number in [1, 2, 3] {
        booked(&database, &row(number, "")).await;
    }
    let id = |number: u8| row(number, "").id;
    assert!(
        database
            .claim_callback(&id(1), "ins_dead", 2000, Shared::No)
            .await
            .expect("written")
    );
    assert!(
        database
            .claim_callback(&id(2), "ins_alive", 2000, Shared::No)
            .await
            .expect("written")
    );
    database.inherit("ins_dead", "ins_1", &[]).await.expect("written");
    let mut states = Vec::new();
    for number in [1, 2, 3] {
        states.push(read(&database, &id(number)).await.state);
    }
    assert_eq!(states, ["scheduled", "calling", "scheduled"]);
    assert!(
        database
            .claim_callback(&id(1), "ins_1", 2001, Shared::No)
            .await
            .expect("written")
    );
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
    assert!(
        database
            .cancel_callback(&id(2), 500, MOST, None)
            .await
            .expect("written")
    );
    assert!(
        database
            .cancel_callback(&id(4), 1500, MOST, None)
            .await
            .expect("written")
    );
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
