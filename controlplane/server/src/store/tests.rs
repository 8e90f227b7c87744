//! Each on SQLite and on PostgreSQL.

mod plans;
mod postgres;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};

use rustix::fs::Mode;
use rustix::thread::UnshareFlags;
use tokio::net::UdpSocket;
use tokio::sync::watch;

use super::*;
use crate::event::Teller;
use crate::sibling::Side;
use crate::store::prompts::PromptRow;
use crate::store::recovery::{Closed, Recovery};
use crate::webhook::Endpoint;

/// Longer than anything here takes.
const PATIENCE: Duration = Duration::from_secs(60);

/// A place for one test; what it leaves on the disk goes with it.
pub(crate) struct Home {
    pub(crate) place: Place,
    folder: Option<PathBuf>,
}

impl Home {
    pub(crate) fn sqlite() -> Home {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!(
            "baton-store-{}-{}",
            std::process::id(),
            NEXT.fetch_add(1, Ordering::Relaxed)
        );
        let folder = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&folder).expect("a folder");
        Home {
            // Characters that mean something in a URL.
            place: Place::Sqlite(folder.join("a store?#%41.db")),
            folder: Some(folder),
        }
    }

    pub(crate) fn postgres() -> Home {
        Home {
            place: postgres::database(),
            folder: None,
        }
    }

    async fn open(&self) -> Database {
        Database::open(&self.place).await.expect("a database")
    }

    pub(crate) async fn store(&self, most: usize) -> (Store, JoinHandle<()>) {
        Store::start(self.open().await, "ins_1".to_owned(), most)
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        if let Some(folder) = &self.folder {
            let _ = std::fs::remove_dir_all(folder);
        }
    }
}

/// The test on both.
macro_rules! on_both {
    ($($name:ident)*) => {
        mod on_sqlite {
            $(#[tokio::test]
            async fn $name() {
                super::$name(super::Home::sqlite()).await;
            })*
        }
        mod on_postgres {
            $(#[tokio::test]
            async fn $name() {
                super::$name(super::Home::postgres()).await;
            })*
        }
    };
}

mod callbacks;
mod kept;

on_both! {
    a_prompt_that_was_uploaded_comes_back_as_it_came
    what_was_written_is_there_after_the_next_start
    handoffs_come_in_the_order_in_which_they_were_asked_for
    a_closed_handoff_is_not_opened_again_by_another_instance
    an_event_is_due_once_those_before_it_are_done_with
    what_is_written_twice_is_there_once
    of_a_batch_all_is_written_or_nothing
    a_reader_of_events_misses_none_of_several_servers
    events_are_followed_by_agent_and_subject_from_where_a_reader_was
    records_of_a_period_come_page_by_page_with_what_was_thought_of_them
    a_write_that_no_database_takes_harms_no_other
    the_waits_of_a_ticket_end_with_its_commit
    what_a_dead_server_left_is_closed_and_told_once
    a_dead_letter_is_replayed_in_its_place
}

/// What callers said is for the server's user alone, however careless the one who starts it.
#[tokio::test]
#[expect(
    deprecated,
    reason = "its successor is unsafe; no thread has a part of the file descriptors here"
)]
async fn nobody_else_may_read_the_file_of_sqlite_nor_what_lies_beside_it() {
    // Of this thread and those that it starts: other tests keep theirs.
    rustix::thread::unshare(UnshareFlags::FS).expect("a umask of our own");
    for mask in [0, 0o022, 0o777] {
        let mut home = Home::sqlite();
        let folder = home.folder.clone().expect("a folder");
        home.place = Place::Sqlite(folder.join("store.db"));
        rustix::process::umask(Mode::from_raw_mode(mask));
        let (store, task) = home.store(100).await;
        store.write(Write::Handoff(handoff(1, 5)));
        settle(&store).await;
        let mut found = Vec::new();
        for entry in std::fs::read_dir(&folder).expect("a folder") {
            let entry = entry.expect("an entry");
            let mode = entry.metadata().expect("it is there").permissions().mode();
            found.push((entry.file_name().to_string_lossy().into_owned(), mode & 0o777));
        }
        found.sort();
        let names = ["store.db", "store.db-shm", "store.db-wal"];
        assert_eq!(found, names.map(|name| (name.to_owned(), 0o600)), "umask {mask:o}");
        store.close();
        task.await.expect("ended");
    }
}

fn handoff(number: u32, ms: i64) -> HandoffRow {
    HandoffRow {
        id: format!("ho_{number:016x}"),
        call: format!("call_{:016x}", number % 2),
        agent: if number < 3 { "anna" } else { "bert" }.to_owned(),
        requested_ms: ms,
        closed_ms: None,
        token: format!("digest{number}"),
        turns: 0,
        body: format!("{{\"number\":{number},\"text\":\"ÿ 'quoted' \\u0000\"}}"),
        key: None,
        queued: None,
    }
}

fn event(subject: &str, sequence: i64, endpoints: &[&str]) -> EventRow {
    EventRow {
        id: format!("evt_{subject}_{sequence}"),
        subject: subject.to_owned(),
        sequence,
        kind: "baton.call.started",
        at_ms: 1000 + sequence,
        agent: "anna".to_owned(),
        body: format!("{{\"of\":\"{subject}\",\"sequence\":{sequence}}}").into(),
        endpoints: endpoints.iter().map(|&endpoint| endpoint.to_owned()).collect(),
        waits: Waits::default(),
    }
}

fn attempt(event: &str, endpoint: &str, status: DeliveryStatus, due_ms: i64) -> Write {
    Write::Attempt(AttemptRow {
        event: event.to_owned(),
        subject: event[4..5].to_owned(),
        endpoint: endpoint.to_owned(),
        status,
        attempts: 1,
        answer: "503".to_owned(),
        due_ms,
        at_ms: 5000,
    })
}

async fn settle(store: &Store) {
    store.committed(store.ticket(), PATIENCE).await.expect("written");
}

async fn what_was_written_is_there_after_the_next_start(home: Home) {
    let (store, task) = home.store(100).await;
    let row = handoff(1, 5);
    store.write(Write::Handoff(row.clone()));
    store.write(Write::Event(event("a", 1, &["crm"])));
    // Closing waits for what is queued.
    store.close();
    task.await.expect("ended");

    let (store, _task) = home.store(100).await;
    let found = store.read().handoff(&row.id).await.expect("read").expect("there");
    assert_eq!(
        (&*found.agent, found.closed_ms, &*found.token, found.body.to_string()),
        ("anna", None, "digest1", row.body)
    );
    assert!(store.read().handoff("ho_2").await.expect("read").is_none());
    let due = store.read().due("ins_1", "crm", 2000, 10).await.expect("read");
    assert_eq!(due.len(), 1);
    assert_eq!(
        (&*due[0].event, &*due[0].body),
        ("evt_a_1", "{\"of\":\"a\",\"sequence\":1}")
    );
}

async fn handoffs_come_in_the_order_in_which_they_were_asked_for(home: Home) {
    let (store, _task) = home.store(100).await;
    // Two in one millisecond go by their ids.
    for (number, ms) in [(4, 30), (2, 20), (1, 20), (3, 10)] {
        store.write(Write::Handoff(handoff(number, ms)));
    }
    settle(&store).await;
    let numbers = async |page: Page| {
        let bodies = store.read().handoffs(&page).await.expect("read")?;
        let number = |found: &Found| found.body["number"].as_u64().expect("a number");
        Some(bodies.iter().map(number).collect::<Vec<_>>())
    };
    let all = Page {
        limit: 10,
        ..Page::default()
    };
    assert_eq!(numbers(all.clone()).await, Some(vec![3, 1, 2, 4]));
    let first = Page {
        limit: 2,
        ..all.clone()
    };
    assert_eq!(numbers(first).await, Some(vec![3, 1]));
    let after = |number: u32| Some(handoff(number, 0).id);
    let next = Page {
        after: after(1),
        ..all.clone()
    };
    assert_eq!(numbers(next).await, Some(vec![2, 4]));
    let of_call = Page {
        call: Some(handoff(1, 0).call),
        ..all.clone()
    };
    assert_eq!(numbers(of_call).await, Some(vec![3, 1]));
    let of_agent = Page {
        agent: Some("bert".to_owned()),
        after: after(3),
        ..all.clone()
    };
    assert_eq!(numbers(of_agent).await, Some(vec![4]));
    let of_both = Page {
        call: Some(handoff(1, 0).call),
        agent: Some("anna".to_owned()),
        ..all.clone()
    };
    assert_eq!(numbers(of_both).await, Some(vec![1]));
    let unknown = Page { after: after(9), ..all };
    assert_eq!(numbers(unknown).await, None);
}

async fn a_closed_handoff_is_not_opened_again_by_another_instance(home: Home) {
    let database = home.open().await;
    let open = handoff(1, 5);
    let closed = HandoffRow {
        closed_ms: Some(9),
        body: "{\"closed\":true}".to_owned(),
        ..open.clone()
    };
    let put = async |instance: &str, row: &HandoffRow| {
        let write = Write::Handoff(row.clone());
        database.commit(instance, &[write]).await.expect("written");
        let found = database.handoff(&open.id).await.expect("read").expect("there");
        found.body.to_string()
    };
    assert_eq!(put("ins_1", &open).await, open.body);
    assert_eq!(put("ins_2", &closed).await, closed.body);
    // The first one was thought dead, and was not.
    assert_eq!(put("ins_1", &open).await, open.body);
    database
        .commit("ins_1", &[Write::Handoff(closed.clone())])
        .await
        .expect("written");
    assert_eq!(put("ins_2", &open).await, closed.body);
}

async fn an_event_is_due_once_those_before_it_are_done_with(home: Home) {
    let (store, _task) = home.store(100).await;
    for row in [
        event("a", 1, &["crm", "desk"]),
        event("a", 2, &["crm"]),
        event("b", 1, &["crm"]),
    ] {
        store.write(Write::Event(row));
    }
    settle(&store).await;
    let due = async |endpoint: &str, now_ms: i64| {
        settle(&store).await;
        let due = store.read().due("ins_1", endpoint, now_ms, 10).await.expect("read");
        let mut due: Vec<_> = due.into_iter().map(|due| due.event).collect();
        due.sort();
        due
    };
    assert_eq!(due("crm", 1000).await, [""; 0], "their time has not come");
    assert_eq!(due("crm", 1001).await, ["evt_a_1", "evt_b_1"]);
    assert_eq!(due("desk", 1001).await, ["evt_a_1"]);
    // One that failed comes again at its time, and whatever is behind it waits.
    store.write(attempt("evt_a_1", "crm", DeliveryStatus::Pending, 9000));
    store.write(attempt("evt_b_1", "crm", DeliveryStatus::Delivered, 0));
    assert_eq!(due("crm", 8999).await, [""; 0]);
    assert_eq!(
        store.read().next_due("ins_1", "crm", 8999).await.expect("read"),
        Some(9000)
    );
    assert_eq!(store.read().next_due("ins_1", "crm", 9000).await.expect("read"), None);
    assert_eq!(due("crm", 9000).await, ["evt_a_1"]);
    assert_eq!(
        due("desk", 9000).await,
        ["evt_a_1"],
        "another endpoint's failure is not its own"
    );
    // One that was given up holds up nothing any more.
    store.write(attempt("evt_a_1", "crm", DeliveryStatus::Failed, 0));
    assert_eq!(due("crm", 9000).await, ["evt_a_2"]);

    let told = store.read().deliveries("a", 10).await.expect("read");
    let told: Vec<_> = told
        .iter()
        .map(|row| {
            (
                &*row.event,
                &*row.endpoint,
                &*row.status,
                row.attempts,
                row.answer.as_deref(),
                row.finished_ms,
            )
        })
        .collect();
    assert_eq!(
        told,
        [
            ("evt_a_1", "crm", "failed", 1, Some("503"), Some(5000)),
            ("evt_a_1", "desk", "pending", 0, None, None),
            ("evt_a_2", "crm", "pending", 0, None, None),
        ]
    );
}

async fn what_is_written_twice_is_there_once(home: Home) {
    let database = home.open().await;
    let call = CallRow {
        id: "call_1".to_owned(),
        number: String::new(),
        body: "{}".to_owned(),
    };
    let writes = [
        Write::Call(call),
        Write::Handoff(handoff(1, 5)),
        Write::Event(event("a", 1, &["crm"])),
        attempt("evt_a_1", "crm", DeliveryStatus::Delivered, 0),
        Write::CallOver("call_1".to_owned()),
    ];
    for _ in 0..2 {
        database.commit("ins_1", &writes).await.expect("written");
    }
    let told = database.deliveries("a", 10).await.expect("read");
    assert_eq!(told.len(), 1);
    // It was delivered; that it is queued once more does not make it wait again.
    assert_eq!(told[0].status, "delivered");
}

async fn of_a_batch_all_is_written_or_nothing(home: Home) {
    let database = home.open().await;
    let error = database
        .commit("ins_1", &[Write::Handoff(handoff(1, 5)), Write::Impossible])
        .await
        .expect_err("refused");
    assert!(!database::may_pass(&error), "{error}");
    let id = handoff(1, 5).id;
    assert!(database.handoff(&id).await.expect("read").is_none());
}

async fn a_write_that_no_database_takes_harms_no_other(home: Home) {
    let (store, _task) = home.store(100).await;
    store.write(Write::Handoff(handoff(1, 5)));
    store.write(Write::Impossible);
    store.write(Write::Handoff(handoff(2, 6)));
    settle(&store).await;
    for number in [1, 2] {
        let there = store.read().handoff(&handoff(number, 0).id).await.expect("read");
        assert!(there.is_some(), "{number}");
    }
    let condition = store.condition();
    assert_eq!((condition.given_up, condition.waiting), (1, 0));
    assert!(condition.trouble.is_none());
}

async fn the_waits_of_a_ticket_end_with_its_commit(home: Home) {
    let (store, _task) = home.store(100).await;
    let before = store.ticket();
    store
        .committed(before, Duration::ZERO)
        .await
        .expect("nothing is waited for");
    store.write(Write::Handoff(handoff(1, 5)));
    let ticket = store.ticket();
    assert!(ticket > before);
    settle(&store).await;
    assert!(store.next_commit(before).await >= ticket);
    let there = store.read().handoff(&handoff(1, 0).id).await.expect("read");
    assert!(there.is_some());
}

async fn a_dead_letter_is_replayed_in_its_place(home: Home) {
    let (store, _task) = home.store(100).await;
    for sequence in 1..=3 {
        store.write(Write::Event(event("a", sequence, &["crm", "desk"])));
    }
    store.write(attempt("evt_a_1", "crm", DeliveryStatus::Failed, 0));
    settle(&store).await;
    let all = async |after: Option<&DeliveryId>, status: Option<DeliveryStatus>, limit: u32| {
        let rows = store.read().all_deliveries(after, status, limit).await.expect("read")?;
        Some(rows.iter().map(|row| row.id().to_string()).collect::<Vec<_>>())
    };
    let letters = all(None, Some(DeliveryStatus::Failed), 10).await.expect("a page");
    assert_eq!(letters, ["evt_a_1:crm"]);
    assert_eq!(
        all(None, None, 3).await.expect("a page"),
        ["evt_a_1:crm", "evt_a_1:desk", "evt_a_2:crm"]
    );
    let third: DeliveryId = "evt_a_2:crm".parse().expect("an id");
    assert_eq!(
        all(Some(&third), None, 2).await.expect("a page"),
        ["evt_a_2:desk", "evt_a_3:crm"]
    );
    assert_eq!(all(Some(&"evt_a_9:crm".parse().expect("an id")), None, 2).await, None);

    let due = async || {
        settle(&store).await;
        let due = store.read().due("ins_1", "crm", i64::MAX, 10).await.expect("read");
        due.into_iter().map(|due| (due.event, due.attempts)).collect::<Vec<_>>()
    };
    assert_eq!(due().await, [("evt_a_2".to_owned(), 0)]);
    let id: DeliveryId = letters[0].parse().expect("an id");
    let replay = Write::Replay {
        id: id.clone(),
        at_ms: 7000,
    };
    store.write(replay.clone());
    assert_eq!(
        due().await,
        [("evt_a_1".to_owned(), 0)],
        "what comes after it waits for it"
    );
    let row = store.read().delivery(&id).await.expect("read").expect("there");
    assert_eq!((&*row.status, row.queued_ms, row.finished_ms), ("pending", 7000, None));
    // One that waits is not set back.
    store.write(attempt("evt_a_1", "crm", DeliveryStatus::Pending, 8000));
    store.write(replay);
    assert_eq!(due().await, [("evt_a_1".to_owned(), 1)]);
    store.write(attempt("evt_a_1", "crm", DeliveryStatus::Delivered, 0));
    assert_eq!(due().await, [("evt_a_2".to_owned(), 0)]);
}

/// A run of a server, as far as the store knows of it.
struct Run {
    store: Store,
    life: Life,
}

impl Run {
    async fn begin(home: &Home, number: u32) -> Run {
        Run::at(home, number, "").await
    }

    async fn at(home: &Home, number: u32, sip: &str) -> Run {
        let (database, id) = (home.open().await, format!("ins_{number:016x}"));
        let life = Life::begin(&home.place, &id).await.expect("a lock");
        database
            .enter(&id, "test", sip, i64::from(number))
            .await
            .expect("noted");
        let (store, _) = Store::start(database, id, 100);
        Run { store, life }
    }

    /// As a process that is killed.
    fn die(self) {
        match self.life {
            Life::File(file, _) => drop(file),
            Life::Session(task) => task.abort(),
        }
    }
}

async fn what_a_dead_server_left_is_closed_and_told_once(home: Home) {
    let (dead, living, ours) = (
        Run::begin(&home, 1).await,
        Run::begin(&home, 2).await,
        Run::begin(&home, 3).await,
    );
    let (left, over, theirs) = (handoff(1, 5), handoff(2, 6), handoff(4, 7));
    let call = CallRow {
        id: left.call.clone(),
        number: String::new(),
        body: serde_json::json!({ "legs": legs::write(&[legs::tests::caller()]) }).to_string(),
    };
    dead.store.write(Write::Call(call));
    dead.store.write(Write::Handoff(left.clone()));
    dead.store.write(Write::Event(event(&left.id, 1, &["crm"])));
    dead.store.write(Write::Handoff(HandoffRow {
        closed_ms: Some(9),
        ..over.clone()
    }));
    living.store.write(Write::Handoff(theirs.clone()));
    settle(&dead.store).await;
    settle(&living.store).await;

    let teller = Teller::new(
        "test",
        vec![Endpoint::of("crm", &[]), Endpoint::of("desk", &["baton.call.ended"])],
    );
    let side = watch::Sender::new(Side::Alone);
    let recovery = Recovery::new(
        ours.store.clone(),
        home.place.clone(),
        teller.clone(),
        NOWHERE,
        side.subscribe(),
    );
    assert_eq!(recovery.run().await.expect("looked"), Default::default(), "all live");
    dead.die();
    let expected = Closed {
        calls: 1,
        handoffs: 1,
        events: 1,
    };
    loop {
        // PostgreSQL needs a moment to notice that a connection is gone.
        match recovery.run().await.expect("looked") {
            (closed, _) if closed == Closed::default() => tokio::task::yield_now().await,
            (closed, legs) => {
                assert_eq!(closed, expected);
                assert_eq!(legs, [legs::tests::caller()]);
                break;
            }
        }
    }
    assert_eq!(recovery.run().await.expect("looked"), Default::default(), "once");

    let body = async |row: &HandoffRow| {
        ours.store
            .read()
            .handoff(&row.id)
            .await
            .expect("read")
            .expect("there")
            .body
    };
    let closed = body(&left).await;
    assert_eq!(
        [
            &closed["state"],
            &closed["result"],
            &closed["reason"],
            &closed["number"]
        ],
        [
            &"failed".into(),
            &"failed".into(),
            &"node_restarted".into(),
            &serde_json::Value::from(1)
        ]
    );
    assert!(closed["closed_at"].is_string());
    for untouched in [&over, &theirs] {
        assert!(body(untouched).await["reason"].is_null());
    }
    // Each event once, in its order, each endpoint what it asked for; and all of them are ours to tell.
    let mut told = Vec::new();
    for endpoint in ["crm", "crm", "desk"] {
        for due in ours
            .store
            .read()
            .due(ours.store.instance(), endpoint, i64::MAX, 10)
            .await
            .expect("read")
        {
            let event: serde_json::Value = serde_json::from_str(&due.body).expect("JSON");
            let name = event["type"].as_str().unwrap_or("the one that was left").to_owned();
            told.push((endpoint, due.subject.clone(), name));
            ours.store.write(Write::Attempt(AttemptRow {
                event: due.event,
                subject: due.subject,
                endpoint: endpoint.to_owned(),
                status: DeliveryStatus::Delivered,
                attempts: 1,
                answer: "200".to_owned(),
                due_ms: 0,
                at_ms: 0,
            }));
        }
        settle(&ours.store).await;
    }
    told.sort();
    let of = |endpoint, subject: &str, name: &str| (endpoint, subject.to_owned(), name.to_owned());
    assert_eq!(
        told,
        [
            of("crm", &left.call, "baton.call.ended"),
            of("crm", &left.id, "baton.handoff.failed"),
            of("crm", &left.id, "the one that was left"),
            of("desk", &left.call, "baton.call.ended"),
        ]
    );
    let waiting: Vec<_> = teller
        .endpoints()
        .iter()
        .map(|endpoint| endpoint.counters.waiting.load(Ordering::Relaxed))
        .collect();
    assert_eq!(waiting, [3, 1]);
}

/// Where no server is.
const NOWHERE: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

/// A connection that breaks is no death: its lock is free until it is taken again.
#[tokio::test]
async fn on_postgres_a_server_that_lost_its_connection_and_answers_by_sip_is_alive() {
    let home = Home::postgres();
    let sip = UdpSocket::bind("127.0.0.1:0").await.expect("a socket");
    let at = sip.local_addr().expect("bound");
    let (cut_off, ours) = (Run::at(&home, 1, &at.to_string()).await, Run::begin(&home, 2).await);
    let row = handoff(1, 5);
    cut_off.store.write(Write::Handoff(row.clone()));
    settle(&cut_off.store).await;
    let id = cut_off.store.instance().to_owned();
    cut_off.die();
    while life::is_dead(&home.place, &id).await.expect("looked").is_none() {
        tokio::task::yield_now().await;
    }
    let answering = tokio::spawn(async move {
        let mut buffer = [0; 2048];
        loop {
            let (len, from) = sip.recv_from(&mut buffer).await.expect("a datagram");
            assert!(buffer[..len].starts_with(b"OPTIONS sip:127.0.0.1:"));
            sip.send_to(b"SIP/2.0 503 Busy\r\n\r\n", from).await.expect("sent");
        }
    });
    let side = watch::Sender::new(Side::Alone);
    let recovery = Recovery::new(
        ours.store.clone(),
        home.place.clone(),
        Teller::new("test", Vec::new()),
        NOWHERE,
        side.subscribe(),
    );
    assert_eq!(recovery.run().await.expect("looked"), Default::default(), "it answers");
    answering.abort();
    assert!(answering.await.is_err_and(|error| error.is_cancelled()));
    let (closed, _) = recovery.run().await.expect("looked");
    assert_eq!(closed.handoffs, 1, "nobody answers");
}

/// The same with the two versions of one server: both are reached at one address, so that nobody can ask there for the other.
#[tokio::test]
async fn on_postgres_the_other_version_lives_as_long_as_its_link() {
    let home = Home::postgres();
    let (cut_off, ours) = (
        Run::at(&home, 1, &NOWHERE.to_string()).await,
        Run::begin(&home, 2).await,
    );
    cut_off.store.write(Write::Handoff(handoff(1, 5)));
    settle(&cut_off.store).await;
    let id = cut_off.store.instance().to_owned();
    cut_off.die();
    while life::is_dead(&home.place, &id).await.expect("looked").is_none() {
        tokio::task::yield_now().await;
    }
    let side = watch::Sender::new(Side::Front);
    let recovery = Recovery::new(
        ours.store.clone(),
        home.place.clone(),
        Teller::new("test", Vec::new()),
        NOWHERE,
        side.subscribe(),
    );
    for paired in [Side::Front, Side::Back] {
        side.send_replace(paired);
        assert_eq!(recovery.run().await.expect("looked"), Default::default(), "{paired:?}");
    }
    side.send_replace(Side::Alone);
    let (closed, _) = recovery.run().await.expect("looked");
    assert_eq!(closed.handoffs, 1, "its link has ended");
}

/// Two servers write at one time; on PostgreSQL their transactions do overlap.
async fn a_reader_of_events_misses_none_of_several_servers(home: Home) {
    const EVENTS: i64 = 150;
    let database = home.open().await;
    let mut writers = Vec::new();
    for (name, subjects) in [("ins_1", ["a", "b"]), ("ins_2", ["c", "d"])] {
        let (store, task) = Store::start(home.open().await, name.to_owned(), 10_000);
        writers.push(tokio::spawn(async move {
            for sequence in 1..=EVENTS {
                for subject in subjects {
                    store.write(Write::Event(event(subject, sequence, &[])));
                }
                if sequence % 10 == 0 {
                    settle(&store).await;
                }
            }
            store.close();
            task.await.expect("ended");
        }));
    }
    let mut seen: Vec<String> = Vec::new();
    let mut place = 0;
    while seen.len() < 4 * EVENTS as usize {
        let (told, next, _) = database.follow(&Followed::default(), place).await.expect("read");
        assert!(next >= place);
        place = next;
        seen.extend(told.into_iter().map(|told| told.id));
    }
    for writer in writers {
        writer.await.expect("written");
    }
    let (told, _, _) = database.follow(&Followed::default(), place).await.expect("read");
    assert_eq!(told, []);
    for subject in ["a", "b", "c", "d"] {
        let of: Vec<_> = seen
            .iter()
            .filter(|id| id.starts_with(&format!("evt_{subject}_")))
            .collect();
        let expected: Vec<_> = (1..=EVENTS)
            .map(|sequence| format!("evt_{subject}_{sequence}"))
            .collect();
        assert!(of.into_iter().eq(&expected), "{subject}: {seen:?}");
    }
}

async fn events_are_followed_by_agent_and_subject_from_where_a_reader_was(home: Home) {
    let (store, _task) = home.store(10_000).await;
    let database = store.read();
    assert_eq!(database.newest_event().await.expect("read"), None);
    for sequence in 1..=120 {
        store.write(Write::Event(event("a", sequence, &[])));
        store.write(Write::Event(EventRow {
            agent: "bert".to_owned(),
            kind: "baton.call.ended",
            ..event("b", sequence, &[])
        }));
    }
    settle(&store).await;
    let all = async |followed: &Followed, mut place: i64| {
        let mut ids = Vec::new();
        loop {
            let (told, next, more) = database.follow(followed, place).await.expect("read");
            ids.extend(told.into_iter().map(|told| told.id));
            place = next;
            if !more {
                return ids;
            }
        }
    };
    let of = |subject: &str, from: i64| -> Vec<String> {
        (from..=120)
            .map(|sequence| format!("evt_{subject}_{sequence}"))
            .collect()
    };
    let (agent, subject) = (Some("bert".to_owned()), Some("a".to_owned()));
    let by_agent = Followed {
        agent: agent.clone(),
        ..Followed::default()
    };
    assert_eq!(all(&by_agent, 0).await, of("b", 1));
    let by_subject = Followed {
        subject: subject.clone(),
        ..Followed::default()
    };
    assert_eq!(all(&by_subject, 0).await, of("a", 1));
    assert_eq!(
        all(
            &Followed {
                agent,
                subject,
                ..Followed::default()
            },
            0
        )
        .await,
        [""; 0]
    );
    let types = vec!["baton.call.ended".to_owned()];
    assert_eq!(
        all(
            &Followed {
                types,
                ..Followed::default()
            },
            0
        )
        .await,
        of("b", 1)
    );
    let place = database.place_of("evt_a_100").await.expect("read").expect("known");
    assert_eq!(all(&by_subject, place).await, of("a", 101));
    assert_eq!(database.place_of("evt_c_1").await.expect("read"), None);
    let (newest, last) = database.newest_event().await.expect("read").expect("there");
    assert_eq!(newest, "evt_b_120");
    assert_eq!(all(&Followed::default(), last).await, [""; 0]);
}

async fn records_of_a_period_come_page_by_page_with_what_was_thought_of_them(home: Home) {
    let (store, _task) = home.store(10_000).await;
    for number in 0..1200 {
        store.write(Write::Handoff(handoff(number, i64::from(number / 3))));
    }
    let said = |body: &str| Write::Feedback {
        handoff: "ho_0000000000000004".to_owned(),
        body: body.to_owned(),
    };
    store.write(said("1"));
    store.write(said("2"));
    settle(&store).await;
    let database = store.read();
    let mut period = Period {
        since_ms: 1,
        until_ms: 399,
        agent: None,
    };
    let mut found: Vec<Stored> = Vec::new();
    loop {
        let page = database.stored(&period, found.last()).await.expect("read");
        if page.is_empty() {
            break;
        }
        found.extend(page);
    }
    let ids: Vec<_> = found.iter().map(|stored| stored.id.clone()).collect();
    let expected: Vec<_> = (3..1197).map(|number| handoff(number, 0).id).collect();
    assert_eq!(ids, expected);
    assert_eq!(database.count(&period).await.expect("read"), 1194);
    assert_eq!(found[1].feedback.as_deref(), Some("2"));
    assert_eq!(found[2].feedback, None);
    assert_eq!(database.feedback(&ids[1]).await.expect("read").as_deref(), Some("2"));
    // What is written of the handoff itself leaves it alone.
    store.write(Write::Handoff(handoff(4, 1)));
    settle(&store).await;
    assert_eq!(database.feedback(&ids[1]).await.expect("read").as_deref(), Some("2"));
    period.agent = Some("anna".to_owned());
    period.since_ms = 0;
    assert_eq!(database.stored(&period, None).await.expect("read").len(), 3);
    assert_eq!(database.undelivered(&period).await.expect("read"), 0);
}

async fn a_prompt_that_was_uploaded_comes_back_as_it_came(home: Home) {
    let database = home.open().await;
    let row = |name: &str, at_ms| PromptRow {
        name: name.to_owned(),
        at_ms,
        sha256: "ab".repeat(32),
        length_ms: 1_000,
        rate_hz: 16_000,
    };
    let wav: Vec<u8> = (0..100_000_u32).map(|at| (at.wrapping_mul(at) >> 7) as u8).collect();
    for (name, wav) in [("music", &wav[..]), ("greeting", &wav[..3]), ("music", &wav[..77_777])] {
        let put = database.put_prompt(&row(name, 7), wav, PATIENCE).await;
        put.expect("written");
    }
    drop(database);
    let database = home.open().await;
    assert_eq!(
        database.prompts().await.expect("rows"),
        [row("greeting", 7), row("music", 7)]
    );
    let file = database.prompt("music").await.expect("read");
    assert!(file.is_some_and(|file| file == wav[..77_777]));
    assert_eq!(prompts::names(&home.place).await.expect("names").len(), 2);
    assert!(database.delete_prompt("music", PATIENCE).await.expect("deleted"));
    assert!(!database.delete_prompt("music", PATIENCE).await.expect("no error"));
    assert_eq!(database.prompt("music").await.expect("read"), None);
}
