//! Who calls, with a store and without a node.

use std::sync::Mutex;

use calls::request::RequestError;
use tokio::sync::watch;

use super::*;
use crate::callbacks::view;
use crate::event::Teller;
use crate::ids::Clock;
use crate::journal::{Journal, lock};
use crate::run::NodeHandle;
use crate::store::Store;
use crate::store::tests::Home;
use crate::webhook::Endpoint;

const MOST: Duration = Duration::from_secs(30);
const MINUTE: i64 = 60_000;

/// A slot that began a minute ago, and one that ended five minutes ago, ms from now.
const EARLY: [i64; 2] = [-MINUTE, 14 * MINUTE];
const LATE: [i64; 2] = [-20 * MINUTE, -5 * MINUTE];

struct World {
    caller: Caller,
    store: Store,
    journal: Arc<Journal>,
    /// What the node was asked for, by the reasons.
    called: Arc<Mutex<Vec<String>>>,
    /// The node has a port.
    ports: Arc<AtomicBool>,
    _home: Home,
}

impl World {
    /// So many are free in the queue.
    async fn new(free: usize) -> World {
        World::with(free, "").await
    }

    /// And with these keys of `[callback]`.
    async fn with(free: usize, more: &str) -> World {
        let home = Home::sqlite();
        let (store, _) = home.store(100).await;
        let teller = Teller::new("test", vec![Endpoint::of("crm", &[])]);
        let journal = Arc::new(Journal::new(teller, Clock::new(), store.clone()));
        let (called, ports) = (Arc::new(Mutex::new(Vec::new())), Arc::new(AtomicBool::new(true)));
        let (calls, has_port) = (Arc::clone(&called), Arc::clone(&ports));
        let mut last = 0;
        let answers = move |request| match request {
            Request::CallBack(_) if !has_port.load(Ordering::Relaxed) => Err(RequestError::NoCapacity),
            Request::CallBack(back) => {
                last += 1;
                lock(&calls).push(back.reason);
                Ok(Response::Calling(CallId(last)))
            }
            other => unreachable!("{other:?}"),
        };
        let node = NodeHandle::standing_in(answers, billing(free));
        // One day that is not today.
        let day = Timestamp::now()
            .to_zoned(jiff::tz::TimeZone::UTC)
            .strftime("%A")
            .to_string();
        let closed = if day == "Monday" { "Wed" } else { "Mon" };
        let config = format!(
            "[callback]\nattempts = 2\n{more}[[hours.calendars]]\nname = \"another day\"\nopen = [\"{closed} 09:00-10:00\"]\n\
             [[targets]]\nname = \"billing\"\nnext_hop = \"127.0.0.1:5090\"\npatterns = [\"sip:agent-*@127.0.0.1\"]\n[targets.queue]\n\
             [[targets]]\nname = \"anna\"\nuri = \"sip:anna@127.0.0.1\"\n\
             [[targets]]\nname = \"closed\"\nuri = \"sip:closed@127.0.0.1\"\nhours = \"another day\"\n"
        );
        let config = Config::from_toml(&config, Path::new(""));
        let config = config.unwrap_or_else(|problems| panic!("{problems:#?}"));
        let (_, settings) = watch::channel(Settings::of(&config));
        let callbacks = Callbacks::new(settings, node, Arc::clone(&journal));
        let (_, told) = mpsc::unbounded_channel();
        World {
            caller: Caller::new(&callbacks, told, Arc::default()),
            store,
            journal,
            called,
            ports,
            _home: home,
        }
    }

    /// A promise, of which the reason is its number; its id.
    async fn promise(&self, number: u8, names: &str, slot: [i64; 2]) -> String {
        let now_ms = Timestamp::now().as_millisecond();
        let row = CallbackRow {
            booked_ms: now_ms - 60 * MINUTE + i64::from(number),
            ..row(number, names, slot.map(|ms| now_ms + ms))
        };
        self.book(row).await
    }

    async fn book(&self, row: CallbackRow) -> String {
        let slot = (row.from_ms, row.until_ms);
        let booked = self
            .store
            .read()
            .book_callback(&row, Shared::No, MOST, |_| Some(slot))
            .await;
        booked.expect("the store answers").expect("a slot").id
    }

    async fn read(&self, id: &str) -> CallbackRow {
        self.store.read().callback(id).await.expect("read").expect("there")
    }

    /// Who was called since this was asked last.
    fn called(&self) -> Vec<String> {
        std::mem::take(&mut lock(&self.called))
    }

    /// What webhooks are to be told, by the subject.
    async fn told(&self) -> Vec<(String, Value)> {
        let due = self.store.read().due("ins_1", "crm", i64::MAX, 100).await;
        let told = due.expect("read").into_iter().map(|due| {
            let event: Value = serde_json::from_str(&due.body).expect("JSON");
            (due.subject, event)
        });
        told.collect()
    }

    async fn sql(&self, text: &'static str) {
        self.store.read().run(text).await;
    }
}

/// Billing has this caller of that number in another call.
fn has(number: u8, call: u64) -> Told {
    Told::Joined(Joined {
        call: CallId(call),
        number: row(number, "", [0, 0]).number,
        target: "billing".to_owned(),
        at: Timestamp::now(),
    })
}

#[tokio::test]
async fn of_those_whose_time_is_over_five_are_called_at_a_look_the_oldest_of_all_first() {
    let mut world = World::new(0).await;
    for number in 1..=6 {
        world.promise(number, "billing", LATE).await;
    }
    let older = LATE.map(|ms| ms - MINUTE);
    world.promise(7, "anna", older).await;
    world.caller.look().await;
    let called = world.called();
    assert_eq!((called.len(), &*called[0]), (AT_ONCE, "7"));
    world.caller.look().await;
    assert_eq!(world.called().len(), 2);
    world.caller.look().await;
    assert_eq!(world.called(), [""; 0]);
}

#[tokio::test]
async fn whose_slot_has_begun_is_called_as_soon_as_somebody_is_free_for_it() {
    let mut world = World::new(2).await;
    for number in 1..=4 {
        world.promise(number, "billing", EARLY).await;
    }
    world.promise(5, "billing", [MINUTE, 16 * MINUTE]).await;
    world.caller.look().await;
    assert_eq!(world.called().len(), 2);
    world.caller.look().await;
    assert_eq!(world.called(), [""; 0], "they will have others");
    world.caller.hear(Told::NotReached(CallId(1), 486)).await;
    world.caller.look().await;
    assert_eq!(world.called().len(), 1);
}

/// More than are looked at in one go, of those that nobody is there for and of those whose callers have called already.
#[tokio::test]
async fn many_of_a_team_that_is_closed_keep_nobody_waiting() {
    let mut world = World::new(1).await;
    for number in 1..=30 {
        world.promise(number, "closed", LATE).await;
    }
    world.promise(31, "billing", EARLY).await;
    world.promise(32, "anna", LATE).await;
    world.caller.look().await;
    assert_eq!(world.called(), ["32", "31"]);
}

#[tokio::test]
async fn where_there_is_no_port_it_is_no_attempt_and_comes_again_after_a_breath() {
    let mut world = World::new(1).await;
    let id = world.promise(1, "billing", EARLY).await;
    world.ports.store(false, Ordering::Relaxed);
    let breath_ms = i64::try_from(BREATH.as_millis()).expect("short");
    let before = Timestamp::now().as_millisecond() + breath_ms;
    world.caller.look().await;
    let after = Timestamp::now().as_millisecond() + breath_ms;
    let row = world.read(&id).await;
    assert_eq!((&*row.state, row.attempts, &row.calls), ("scheduled", 0, &json!([])));
    assert!((before..=after).contains(&row.due_ms), "{}", row.due_ms - before);
    assert_eq!(row.late_ms, 0);
}

#[tokio::test]
async fn a_claim_of_which_nobody_knows_is_given_back_before_it_is_called() {
    let mut world = World::new(1).await;
    let id = world.promise(1, "billing", EARLY).await;
    world
        .sql("CREATE TRIGGER away BEFORE UPDATE ON callbacks BEGIN SELECT RAISE(ABORT, 'away'); END")
        .await;
    world.caller.look().await;
    assert_eq!(world.called(), [""; 0]);
    // It was done all the same.
    world.sql("DROP TRIGGER away").await;
    let now_ms = Timestamp::now().as_millisecond();
    assert!(
        world
            .store
            .read()
            .claim_callback(&id, "ins_1", now_ms, Shared::No)
            .await
            .expect("written")
    );
    world.caller.look().await;
    assert_eq!(world.called(), ["1"]);
    let row = world.read(&id).await;
    assert_eq!((&*row.state, row.attempts), ("calling", 1));
}

#[tokio::test]
async fn what_became_of_a_call_is_written_when_the_store_is_there_again_and_told_once() {
    let mut world = World::new(1).await;
    let id = world.promise(1, "billing", LATE).await;
    world.caller.look().await;
    // Its caller has said yes a moment after it was called.
    let confirmed = world.store.read().confirm_callback(&id, 7, MOST).await;
    assert!(confirmed.expect("written"));
    world.sql("ALTER TABLE callbacks RENAME TO away").await;
    world.caller.hear(has(9, 1)).await;
    world.caller.look().await;
    assert_eq!(world.told().await, []);
    world.sql("ALTER TABLE away RENAME TO callbacks").await;
    assert_eq!(world.read(&id).await.state, "calling");
    // As long as it is so, it is called by nobody, whatever the store says.
    let now = Timestamp::now();
    world.sql("UPDATE callbacks SET state = 'scheduled'").await;
    let kinds = world
        .store
        .read()
        .callback_kinds(now.as_millisecond())
        .await
        .expect("read");
    assert!(world.caller.due(&kinds[0], now, 9).await.is_empty());
    world.sql("UPDATE callbacks SET state = 'calling'").await;
    world.caller.look().await;
    world.caller.look().await;
    let row = world.read(&id).await;
    assert_eq!((&*row.state, &row.calls[0]["outcome"]), ("done", &json!("joined")));
    let told = world.told().await;
    let [(subject, event)] = &told[..] else {
        panic!("one event: {told:?}")
    };
    assert_eq!((subject, &event["type"]), (&id, &json!("baton.callback.done")));
    // What the API shows, but for the context.
    let mut shown = view(&row);
    shown["schema"] = json!("baton.callback/1");
    let (mut data, confirmed) = (event["data"].clone(), shown["confirmed_at"].take());
    // While the store was away nobody could read that.
    assert!(data["confirmed_at"].take().is_null() && !confirmed.is_null());
    assert_eq!(data, shown);
    assert!(
        shown["late_ms"].as_i64().is_some_and(|late| late >= 5 * MINUTE),
        "{shown}"
    );
    assert_eq!(world.journal.callbacks.read().results[3], 1);
}

#[tokio::test]
async fn who_is_missed_is_told_with_the_last_attempt() {
    let mut world = World::new(1).await;
    let id = world.promise(1, "billing", EARLY).await;
    for call in [1, 2] {
        world.sql("UPDATE callbacks SET due_ms = 0").await;
        world.caller.look().await;
        assert_eq!(world.called(), ["1"]);
        assert_eq!(world.told().await, []);
        world.caller.hear(Told::NotReached(CallId(call), 480)).await;
    }
    let told = world.told().await;
    let [(subject, event)] = &told[..] else {
        panic!("one event: {told:?}")
    };
    assert_eq!((subject, &event["type"]), (&id, &json!("baton.callback.missed")));
    assert_eq!(event["data"]["cause"], "not_reached");
    assert_eq!(event["data"]["calls"][1]["status"], 480);
}

#[tokio::test]
async fn a_caller_whom_that_human_has_in_another_call_is_called_no_more() {
    let mut world = World::new(9).await;
    let [late, first, other, anna, strange] = [
        world.promise(1, "billing", [MINUTE, 16 * MINUTE]).await,
        world.promise(2, "anna billing", EARLY).await,
        world.promise(3, "billing", EARLY).await,
        world.promise(4, "anna", [MINUTE, 16 * MINUTE]).await,
        world.promise(5, "billing", [MINUTE, 16 * MINUTE]).await,
    ];
    // How many there are is known by the first look; two are called.
    world.caller.look().await;
    world.called();
    for number in [1, 4] {
        world.caller.hear(has(number, 70)).await;
    }
    world.caller.hear(Told::Ended(CallId(70))).await;
    let row = world.read(&late).await;
    assert_eq!((&*row.state, row.cause, row.attempts), ("done", None, 0));
    assert_eq!(row.calls[0]["outcome"], "other_call");
    assert_eq!(row.calls[0]["call"], ids::call(CallId(70)));
    assert_eq!(world.read(&anna).await.state, "scheduled", "it is for somebody else");
    assert_eq!(world.read(&strange).await.state, "scheduled");
    // Both are called at this moment: one in vain, as its caller talks; the other one was called by somebody else's human.
    let running: HashMap<_, _> = world
        .caller
        .running
        .iter()
        .map(|(call, row)| (row.id.clone(), *call))
        .collect();
    world.caller.hear(has(2, 71)).await;
    assert_eq!(world.read(&first).await.state, "calling");
    for id in [&first, &other] {
        world.caller.hear(Told::NotReached(running[id], 486)).await;
    }
    let row = world.read(&first).await;
    let outcomes = [0, 1].map(|call| row.calls[call]["outcome"].clone());
    assert_eq!(
        (&*row.state, outcomes),
        ("done", [json!("not_reached"), json!("other_call")])
    );
    assert_eq!(world.read(&other).await.state, "scheduled", "it is tried again");
    let told: Vec<_> = world.told().await.into_iter().map(|(subject, _)| subject).collect();
    assert_eq!(told.len(), 2);
    assert!(told.contains(&late) && told.contains(&first));
}

/// Else somebody would be forgotten whom nobody has had.
#[tokio::test]
async fn behind_a_number_that_is_shared_who_has_a_human_need_not_be_who_was_promised_one() {
    let mut world = World::with(0, "shared_numbers = true\n").await;
    let id = world.promise(1, "billing", EARLY).await;
    world.caller.look().await;
    world.caller.hear(has(1, 70)).await;
    assert_eq!(world.read(&id).await.state, "scheduled");
}

#[tokio::test]
async fn a_join_that_the_store_could_not_be_asked_about_is_asked_about_again() {
    let mut world = World::new(0).await;
    let before = world.promise(1, "billing", EARLY).await;
    world.caller.look().await;
    world.sql("ALTER TABLE callbacks RENAME TO away").await;
    world.caller.hear(has(1, 70)).await;
    world.sql("ALTER TABLE away RENAME TO callbacks").await;
    // What is promised after it is another matter.
    let now_ms = Timestamp::now().as_millisecond();
    let after = CallbackRow {
        booked_ms: now_ms + 1,
        number: row(1, "", [0, 0]).number,
        ..row(2, "billing anna", [now_ms + MINUTE, now_ms + 16 * MINUTE])
    };
    let after = world.book(after).await;
    world.caller.look().await;
    assert_eq!(world.read(&before).await.state, "done");
    assert_eq!(world.read(&after).await.state, "scheduled");
}

/// Also where there is no other attempt: nobody is missed who has another promise.
#[tokio::test]
async fn who_is_promised_another_one_after_its_slot_is_called_by_that_one() {
    for shared in [false, true] {
        let world = World::with(1, if shared { "shared_numbers = true\n" } else { "" }).await;
        let older = world.promise(1, "billing", LATE).await;
        let other = world.promise(3, "billing", LATE).await;
        let now_ms = Timestamp::now().as_millisecond();
        let newer = CallbackRow {
            number: row(1, "", [0, 0]).number,
            booked_ms: now_ms,
            ..row(2, "billing", [now_ms + MINUTE, now_ms + 16 * MINUTE])
        };
        let newer = world.book(newer).await;
        let newer = world.read(&newer).await;
        world.caller.inner.replace(&newer).await;
        let row = world.read(&older).await;
        match shared {
            false => assert_eq!((&*row.state, row.cause.as_deref()), ("cancelled", Some("replaced"))),
            true => assert_eq!(row.state, "scheduled", "it may be somebody else's"),
        }
        assert_eq!(world.read(&newer.id).await.state, "scheduled");
        assert_eq!(world.read(&other).await.state, "scheduled");
        assert_eq!(world.told().await, [], "nobody was told of it");
    }
}

#[tokio::test]
async fn who_was_promised_another_one_while_it_was_called_is_called_by_that_one() {
    let mut world = World::new(1).await;
    let first = world.promise(1, "billing", EARLY).await;
    let now_ms = Timestamp::now().as_millisecond();
    let confirmed = world.store.read().confirm_callback(&first, now_ms, MOST).await;
    assert!(confirmed.expect("written"));
    // It is the last attempt.
    world.sql("UPDATE callbacks SET attempts = 1").await;
    world.caller.look().await;
    let newer = CallbackRow {
        number: row(1, "", [0, 0]).number,
        booked_ms: now_ms,
        ..row(2, "billing", [now_ms + MINUTE, now_ms + 16 * MINUTE])
    };
    let newer = world.book(newer).await;
    assert_ne!(newer, first);
    world.caller.hear(Told::NotReached(CallId(1), 486)).await;
    let row = world.read(&first).await;
    assert_eq!((&*row.state, row.cause.as_deref()), ("cancelled", Some("replaced")));
    assert_eq!(world.read(&newer).await.state, "scheduled");
    let told = world.told().await;
    assert_eq!(told.len(), 1);
    assert_eq!(
        (&told[0].0, &told[0].1["type"]),
        (&first, &json!("baton.callback.cancelled"))
    );
}
