use std::time::Instant;

use calls::notice::{CallId, End, Outcome, Reason};
use playbook::Mode;
use playbook::context::Completeness;

use super::*;
use crate::store::tests::Home;
use crate::store::{AttemptRow, DeliveryStatus};
use crate::webhook::Endpoint;

fn package(brief: &str) -> Box<Package> {
    Box::new(Package {
        schema: "baton.context/1".to_owned(),
        brief: brief.to_owned(),
        fields: json!({}),
        language: None,
        caller_id: Default::default(),
        disclosure: None,
        transcript: Vec::new(),
        completeness: Completeness {
            complete: true,
            present: Vec::new(),
            missing: Vec::new(),
        },
    })
}

fn invited(target: &str, brief: &str) -> Step {
    Step::Invited {
        target: target.to_owned(),
        agent: None,
        package: package(brief),
        token: "t0ken".to_owned(),
    }
}

#[test]
fn an_update_carries_the_newest_turns_and_says_how_many_are_before_them() {
    let mut package = *package("brief");
    for number in 0..NEWEST {
        let turn = json!({ "role": "caller", "text": number.to_string() });
        package.transcript.push(serde_json::from_value(turn).expect("a turn"));
    }
    let whole = news(&package);
    assert_eq!(whole["transcript_skipped"], 0);
    assert_eq!(whole["transcript"], package_value(&package)["transcript"]);
    let turn = json!({ "role": "ai", "text": "the last" });
    package.transcript.push(serde_json::from_value(turn).expect("a turn"));
    let newest = news(&package);
    assert_eq!(newest["transcript_skipped"], 1);
    let turns = newest["transcript"].as_array().expect("a list");
    assert_eq!((turns.len(), &turns[0]["text"]), (NEWEST, &json!("1")));
    assert_eq!(turns[NEWEST - 1]["text"], "the last");
    assert_eq!(
        (&newest["brief"], &newest["schema"]),
        (&json!("brief"), &json!("baton.context/1"))
    );
}

/// Whoever calls callers back must know who is on the phone, and who has a human.
#[tokio::test]
async fn the_number_of_a_live_call_is_in_the_store_and_who_has_its_caller_is_told() {
    let home = Home::sqlite();
    let (store, _task) = home.store(100).await;
    let journal = Journal::new(Teller::new("test", vec![]), Clock::new(), store.clone());
    let (caller, mut told) = mpsc::unbounded_channel();
    journal.caller.set(caller).expect("set once");
    let tell = |what: What| {
        journal.handle(&Notice {
            call: CallId(1),
            at: Instant::now(),
            what,
        });
    };
    let step = |step: Step| What::Handoff(HandoffId(2), step);
    tell(What::CallStarted {
        trunk: "carrier".to_owned(),
        ai_agent: "ai".to_owned(),
        caller: "sip:+49301234567@127.0.0.1".to_owned(),
    });
    tell(What::Legs(vec![]));
    store.settled(store.ticket()).await;
    let live = store.read().open_of("ins_1").await.expect("read").calls;
    let numbers: Vec<_> = live.iter().map(|(call, _)| &*call.number).collect();
    assert_eq!(numbers, ["+49301234567"]);
    tell(step(Step::Requested {
        mode: Mode::Warm,
        decision: None,
        target: "sales".to_owned(),
        why: String::new(),
        trigger: None,
        talks_on: false,
    }));
    tell(step(invited("support", "brief")));
    assert!(told.try_recv().is_err(), "nobody has it yet");
    tell(step(Step::Joined { codecs: vec![] }));
    let Ok(Told::Joined(joined)) = told.try_recv() else {
        panic!("a join is not told")
    };
    assert_eq!(
        (joined.call, &*joined.number, &*joined.target),
        (CallId(1), "+49301234567", "support")
    );
    let closed = |result| Step::Closed {
        end: End::Completed,
        result,
        reason: None,
    };
    tell(step(closed(Outcome::Joined)));
    assert!(told.try_recv().is_err(), "it is known already");
    // The carrier has connected it, and nobody was called by us.
    let step = |step: Step| What::Handoff(HandoffId(3), step);
    tell(step(Step::Requested {
        mode: Mode::Cold,
        decision: None,
        target: "sales".to_owned(),
        why: String::new(),
        trigger: None,
        talks_on: false,
    }));
    tell(step(closed(Outcome::Transferred)));
    assert!(matches!(told.try_recv(), Ok(Told::Joined(joined)) if joined.target == "sales"));
}

#[tokio::test]
async fn the_context_goes_out_with_each_invitation_and_each_change_after_the_first() {
    let home = Home::sqlite();
    let (store, _task) = home.store(100).await;
    let endpoint = Endpoint::of("crm", &[]);
    let journal = Journal::new(Teller::new("test", vec![endpoint]), Clock::new(), store.clone());
    let tell = |what: What| {
        journal.handle(&Notice {
            call: CallId(1),
            at: Instant::now(),
            what,
        });
    };
    let step = |step: Step| What::Handoff(HandoffId(2), step);
    tell(step(Step::Requested {
        mode: Mode::Warm,
        decision: None,
        target: "a".to_owned(),
        why: String::new(),
        trigger: None,
        talks_on: false,
    }));
    // Before anybody is invited there is nothing to update.
    tell(What::ContextUpdated(package("too early")));
    tell(step(invited("a", "first")));
    tell(What::ContextUpdated(package("second")));
    tell(step(Step::TargetFailed {
        target: "a".to_owned(),
        reason: Reason::Busy,
        status: Some(486),
    }));
    tell(step(invited("b", "third")));
    tell(step(Step::Closed {
        end: End::Cancelled,
        result: Outcome::ReturnedToAi,
        reason: None,
    }));
    store.settled(store.ticket()).await;
    let mut events = Vec::new();
    for sequence in 1..=4 {
        let due = store.read().due("ins_1", "crm", i64::MAX, 10).await.expect("read");
        let [due] = &due[..] else {
            panic!("one at a time: {due:?}")
        };
        let event: Value = serde_json::from_str(&due.body).expect("JSON");
        store.write(Write::Attempt(AttemptRow {
            event: due.event.clone(),
            subject: due.subject.clone(),
            endpoint: "crm".to_owned(),
            status: DeliveryStatus::Delivered,
            attempts: 1,
            answer: "200".to_owned(),
            due_ms: 0,
            at_ms: 0,
        }));
        store.settled(store.ticket()).await;
        assert_eq!(event["specversion"], "1.0");
        assert_eq!(event["source"], "/baton/test");
        assert_eq!(event["subject"], "ho_0000000000000002");
        assert_eq!(event["id"], format!("evt_ho_0000000000000002_{sequence:08}"));
        assert_eq!(event["sequence"], format!("{sequence:08}"));
        assert_eq!(event["datacontenttype"], "application/json");
        assert_eq!(event["dataschema"], "urn:baton:event:1");
        assert!(event["time"].as_str().is_some_and(|time| time.ends_with('Z')));
        let text = |value: &Value| value.as_str().unwrap_or("none").to_owned();
        let data = &event["data"];
        events.push((
            text(&event["type"]),
            text(&data["target"]),
            text(&data["context"]["brief"]),
        ));
    }
    let expected = [
        ("baton.handoff.requested", "a", "first"),
        ("baton.context.updated", "a", "second"),
        ("baton.context.updated", "b", "third"),
        ("baton.handoff.failed", "b", "none"),
    ];
    assert_eq!(
        events,
        expected.map(|(kind, target, brief)| (kind.to_owned(), target.to_owned(), brief.to_owned()))
    );
}
