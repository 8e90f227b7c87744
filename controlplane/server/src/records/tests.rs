use playbook::context::Completeness;

use super::*;
use crate::store::DeliveryRow;

fn package(brief: &str) -> Box<Package> {
    Box::new(Package {
        schema: "baton.context/1".to_owned(),
        brief: brief.to_owned(),
        fields: json!({ "intent": "refund" }),
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

/// Notices of one call, dated from a common start.
struct Story {
    start: Instant,
    records: Records,
    /// What the store says of its events.
    deliveries: Vec<DeliveryRow>,
}

impl Story {
    fn new() -> Story {
        let clock = Clock::new();
        let mut story = Story {
            start: Instant::now(),
            records: Records::new(clock),
            deliveries: Vec::new(),
        };
        story.what(
            0,
            What::CallStarted {
                trunk: "carrier".to_owned(),
                ai_agent: "assistant".to_owned(),
                caller: "sip:caller@127.0.0.1".to_owned(),
            },
        );
        story
    }

    fn what(&mut self, ms: u64, what: What) {
        self.records.handle(&Notice {
            call: CallId(7),
            at: self.start + Duration::from_millis(ms),
            what,
        });
    }

    fn step(&mut self, ms: u64, id: u64, step: Step) {
        self.what(ms, What::Handoff(HandoffId(id), step));
    }

    fn request(&mut self, ms: u64, id: u64) {
        let step = Step::Requested {
            mode: Mode::Warm,
            decision: None,
            target: "support".to_owned(),
            why: "asked".to_owned(),
            trigger: None,
            talks_on: false,
        };
        self.step(ms, id, step);
    }

    fn close(&mut self, ms: u64, id: u64) {
        let step = Step::Closed {
            end: End::Failed,
            result: Outcome::ReturnedToAi,
            reason: Some(Reason::Busy),
        };
        self.step(ms, id, step);
    }

    fn invite(&mut self, ms: u64, id: u64, target: &str) {
        let step = Step::Invited {
            target: target.to_owned(),
            agent: None,
            package: package("wants a refund"),
            token: "t0ken".to_owned(),
        };
        self.step(ms, id, step);
    }

    fn view(&self, id: u64) -> Value {
        let record = self.records.get(HandoffId(id)).expect("a record");
        deliveries::with(self.records.body(record), Some(&self.deliveries))
    }
}

/// The caller's row may be in force a packet before the human's, and the word's packet may have come before we knew.
#[test]
fn a_word_that_was_begun_before_the_join_was_over_is_the_first_after_it() {
    let (word, joined) = ((2510, Step::FirstHumanWord), (2520, Step::Joined { codecs: vec![] }));
    for told in [[word.clone(), joined.clone()], [joined, word]] {
        let mut story = Story::new();
        story.request(1000, 1);
        story.invite(1001, 1, "support");
        for (ms, step) in told {
            story.step(ms, 1, step);
        }
        let timeline = &story.view(1)["timeline"];
        assert_eq!(
            (&timeline["joined"], &timeline["first_human_word"]),
            (&json!(1520), &json!(1520))
        );
    }
}

#[test]
fn where_the_ai_talks_on_nothing_is_announced() {
    let mut story = Story::new();
    let step = Step::Requested {
        mode: Mode::Cold,
        decision: None,
        target: "support".to_owned(),
        why: "asked".to_owned(),
        trigger: None,
        talks_on: true,
    };
    story.step(1000, 1, step);
    story.invite(1001, 1, "support");
    assert_eq!(story.view(1)["state"], "consulting");
}

#[test]
fn a_record_says_by_which_rule_and_why_also_in_every_event() {
    let mut story = Story::new();
    story.request(1000, 1);
    assert_eq!(story.view(1)["trigger"], Value::Null);
    let step = Step::Requested {
        mode: Mode::Warm,
        decision: None,
        target: "support".to_owned(),
        why: "rule billing: topic invoice, turn 6".to_owned(),
        trigger: Some(Trigger {
            rule: "billing".to_owned(),
            because: "topic invoice, turn 6".to_owned(),
        }),
        talks_on: false,
    };
    story.step(2000, 2, step);
    let trigger = json!({ "rule": "billing", "because": "topic invoice, turn 6" });
    assert_eq!(story.view(2)["trigger"], trigger);
    let record = story.records.get(HandoffId(2)).expect("a record");
    assert_eq!(story.records.event_view(record)["trigger"], trigger);
}

#[test]
fn a_handoff_from_trigger_to_first_word() {
    let mut story = Story::new();
    story.request(1000, 1);
    assert_eq!(story.view(1)["state"], "requested");
    assert_eq!(story.view(1)["context"], Value::Null);
    story.invite(1001, 1, "support");
    assert_eq!(story.view(1)["state"], "announcing");
    story.step(1500, 1, Step::Announced);
    assert_eq!(story.view(1)["state"], "consulting");
    story.step(1600, 1, Step::Ringing);
    assert_eq!(story.view(1)["state"], "ringing");
    story.step(2000, 1, Step::Answered { agent: None });
    assert_eq!(story.view(1)["state"], "briefing");
    story.step(2500, 1, Step::Accepted);
    assert_eq!(story.view(1)["state"], "accepted");
    let spoken = |party, codec, why| Spoken { party, codec, why };
    let codecs = vec![
        spoken(Party::Human, "PCMA", "the peer's first choice"),
        spoken(Party::Caller, "PCMU", "first of prefer = cost"),
    ];
    story.step(2520, 1, Step::Joined { codecs });
    assert_eq!(story.view(1)["state"], "joined");
    story.step(2900, 1, Step::FirstHumanWord);
    let evidence = Evidence {
        sent: 100,
        longest_gap: Some(Duration::from_micros(20_125)),
        ..Evidence::default()
    };
    story.step(2901, 1, Step::Evidence(vec![(Party::Caller, evidence)]));
    let closed = Step::Closed {
        end: End::Completed,
        result: Outcome::Joined,
        reason: None,
    };
    story.step(2902, 1, closed);
    let view = story.view(1);
    assert_eq!(view["schema"], "baton.handoff/1");
    assert_eq!(view["id"], "ho_0000000000000001");
    assert_eq!(view["call"], "call_0000000000000007");
    assert_eq!(
        (&view["state"], &view["result"], &view["reason"]),
        (&json!("completed"), &json!("joined"), &Value::Null)
    );
    assert_eq!(
        view["timeline"],
        json!({
            "triggered": 0, "disclosed": null, "queued": null, "announced": 500, "ringing": 600, "answered": 1000, "accepted": 1500, "joined": 1520,
            "first_human_word": 1900,
        })
    );
    assert_eq!(view["codecs"], json!({ "caller": "PCMU", "human": "PCMA" }));
    assert_eq!(
        view["codec_reasons"],
        json!({ "caller": "first of prefer = cost", "human": "the peer's first choice" })
    );
    // A re-INVITE was answered late: the record of a handoff that is closed says so, too.
    let codecs = vec![
        spoken(Party::Human, "PCMU", "re-INVITEd to spare a transcode"),
        spoken(Party::Caller, "PCMU", "first of prefer = cost"),
    ];
    let handoff = HandoffId(1);
    story.what(3000, What::Spoken { handoff, codecs });
    let late = story.view(1);
    assert_eq!(late["codecs"], json!({ "caller": "PCMU", "human": "PCMU" }));
    assert_eq!(late["codec_reasons"]["human"], "re-INVITEd to spare a transcode");
    let caller = &view["evidence"]["caller"];
    assert_eq!((&caller["sent"], &caller["lost"]), (&json!(100), &json!(0)));
    assert_eq!(caller["longest_gap_ms"], json!(20.125));
    assert_eq!(caller["dead_air_ms"], Value::Null, "what was not measured is null");
    assert_eq!(view["context"]["brief"], "wants a refund");
    assert_eq!(view["context_delivery"]["status"], "no_webhook");
    assert_eq!(view["ai_agent"], "assistant");
}

#[test]
fn of_several_agents_who_are_called_at_a_time_the_one_who_answers_is_known_then() {
    let mut story = Story::new();
    story.request(0, 1);
    let invited = Step::Invited {
        target: "billing".to_owned(),
        agent: None,
        package: package("wants a refund"),
        token: "t0ken".to_owned(),
    };
    story.step(10, 1, invited);
    assert_eq!(story.view(1)["agent"], Value::Null);
    let agent = Some("berta".to_owned());
    story.step(900, 1, Step::Answered { agent });
    assert_eq!(story.view(1)["agent"], "berta");
}

#[test]
fn who_waited_in_line_has_its_place_and_whoever_of_the_queue_was_called() {
    let mut story = Story::new();
    story.request(0, 1);
    let queued = |place| Step::Queued {
        target: "billing".to_owned(),
        place,
    };
    let invited = |agent: &str| Step::Invited {
        target: "billing".to_owned(),
        agent: Some(agent.to_owned()),
        package: package("wants a refund"),
        token: "t0ken".to_owned(),
    };
    let failed = |reason| Step::TargetFailed {
        target: "billing".to_owned(),
        reason,
        status: None,
    };
    story.step(10, 1, queued(3));
    story.step(500, 1, Step::Announced);
    assert_eq!(story.view(1)["state"], "consulting");
    story.step(9000, 1, invited("anna"));
    assert_eq!(story.view(1)["agent"], "anna");
    story.step(9010, 1, Step::Ringing);
    // She does not answer: in line again, where it was.
    story.step(12_000, 1, failed(Reason::NoAnswer));
    story.step(12_000, 1, queued(1));
    let view = story.view(1);
    assert_eq!((&view["place"], &view["timeline"]["queued"]), (&json!(3), &json!(10)));
    assert_eq!((&view["agent"], &view["state"]), (&Value::Null, &json!("consulting")));
    story.step(13_000, 1, invited("berta"));
    assert_eq!(story.view(1)["timeline"]["queued"], 10);
    story.step(13_500, 1, failed(Reason::Busy));
    story.step(13_500, 1, queued(1));
    story.step(20_000, 1, failed(Reason::Busy));
    story.invite(20_000, 1, "support");
    let view = story.view(1);
    let failed =
        |agent: Value, reason: &str| json!({ "target": "billing", "agent": agent, "reason": reason, "status": null });
    let all = [
        failed("anna".into(), "no_answer"),
        failed("berta".into(), "busy"),
        failed(Value::Null, "busy"),
    ];
    assert_eq!(view["failed_targets"], json!(all));
    assert_eq!(
        (&view["place"], &view["agent"], &view["timeline"]["queued"]),
        (&Value::Null, &Value::Null, &Value::Null),
        "who is no queue has none"
    );
}

#[test]
fn a_later_target_starts_its_own_timeline() {
    let mut story = Story::new();
    story.request(0, 1);
    story.invite(0, 1, "support");
    story.step(10, 1, Step::Announced);
    story.step(20, 1, Step::Ringing);
    let failed = Step::TargetFailed {
        target: "support".to_owned(),
        reason: Reason::Busy,
        status: Some(486),
    };
    story.step(30, 1, failed);
    story.invite(31, 1, "sales");
    let view = story.view(1);
    assert_eq!(
        view["failed_targets"],
        json!([{ "target": "support", "agent": null, "reason": "busy", "status": 486 }])
    );
    assert_eq!(view["target"], "sales");
    assert_eq!(view["timeline"]["ringing"], Value::Null);
    assert_eq!(view["timeline"]["announced"], 10);
    story.close(40, 1);
    let view = story.view(1);
    assert_eq!(
        (&view["state"], &view["result"]),
        (&json!("failed"), &json!("returned_to_ai"))
    );
    assert_eq!(view["reason"], "busy");
}

#[test]
fn the_token_outlives_the_handoff_by_so_long_and_no_longer() {
    let mut story = Story::new();
    story.request(0, 1);
    story.invite(0, 1, "support");
    story.invite(1, 1, "sales");
    let (start, after) = (story.start, Duration::from_secs(300));
    let token = |story: &Story, ms: u64| {
        let record = story.records.get(HandoffId(1)).expect("a record");
        record
            .token(start + Duration::from_millis(ms), after)
            .map(str::to_owned)
    };
    assert_eq!(token(&story, 1_000_000).as_deref(), Some("t0ken"), "as long as it runs");
    story.close(2_000_000, 1);
    assert_eq!(token(&story, 2_299_999).as_deref(), Some("t0ken"));
    assert_eq!(token(&story, 2_300_000), None);
}

/// The store puts the two together again.
#[test]
fn what_is_stored_of_a_record_has_the_number_of_its_turns_and_not_their_words() {
    let mut story = Story::new();
    story.records.remember(
        HandoffId(1),
        Key {
            id: "key".to_owned(),
            request: "request".to_owned(),
        },
    );
    story.request(0, 1);
    let row = story.records.row(HandoffId(1)).expect("a row");
    assert_eq!((row.turns, &*row.token, row.closed_ms), (0, "", None));
    assert_eq!(row.key.expect("its key").id, "key");
    story.invite(0, 1, "support");
    let mut told = package("wants a refund");
    told.transcript = vec![serde_json::from_value(json!({ "role": "caller", "text": "a refund" })).expect("a turn"); 3];
    story.what(3, What::ContextUpdated(told));
    story.close(5, 1);
    let row = story.records.row(HandoffId(1)).expect("a row");
    assert_eq!((row.turns, row.token), (3, ids::digest(["t0ken"])));
    assert!(row.key.is_none(), "it was written with the first form");
    assert_eq!(
        row.closed_ms,
        Some(story.records.clock.ms(story.start + Duration::from_millis(5)))
    );
    let mut body: Value = serde_json::from_str(&row.body).expect("JSON");
    assert_eq!(body["context"]["transcript"], json!([]));
    let record = story.records.get(HandoffId(1)).expect("a record");
    let shown = story.records.body(record);
    assert_eq!(shown["context"]["transcript"].as_array().map(Vec::len), Some(3));
    body["context"]["transcript"] = shown["context"]["transcript"].clone();
    assert_eq!(body.to_string(), shown.to_string());
}

#[test]
fn an_update_reaches_the_running_handoff_only() {
    let mut story = Story::new();
    story.request(0, 1);
    story.close(1, 1);
    story.request(2, 2);
    story.invite(2, 2, "support");
    story.what(3, What::ContextUpdated(package("wants two refunds")));
    assert_eq!(story.view(1)["context"], Value::Null);
    assert_eq!(story.view(2)["context"]["brief"], "wants two refunds");
}

#[test]
fn the_oldest_closed_records_are_dropped_and_running_ones_never() {
    let mut story = Story::new();
    story.request(0, 1);
    let last = 2 + CLOSED as u64;
    for id in 2..=last {
        story.request(id, id);
        story.close(id, id);
    }
    assert_eq!(story.records.len(), CLOSED);
    for (id, kept) in [(1, true), (2, false), (3, false), (4, true), (last, true)] {
        assert_eq!(story.records.get(HandoffId(id)).is_some(), kept, "{id}");
    }
}

fn delivery(webhook: &str, kind: &str, status: &str, finished_ms: Option<i64>) -> DeliveryRow {
    DeliveryRow {
        event: "evt".to_owned(),
        endpoint: webhook.to_owned(),
        kind: kind.to_owned(),
        status: status.to_owned(),
        attempts: 1,
        answer: Some("503".to_owned()),
        queued_ms: 1,
        due_ms: 2,
        finished_ms,
    }
}

#[test]
fn the_context_is_delivered_when_one_webhook_has_it() {
    let mut story = Story::new();
    story.request(0, 1);
    story.invite(5, 1, "support");
    let mut status = |deliveries: Vec<DeliveryRow>| {
        story.deliveries = deliveries;
        let view = story.view(1);
        let context = &view["context_delivery"];
        (context["status"].clone(), context["delivered_at"].clone())
    };
    let updated = delivery("a", "baton.context.updated", "delivered", Some(1000));
    assert_eq!(status(vec![updated]), (json!("no_webhook"), Value::Null));
    let one = |status: &str, at: Option<i64>| delivery("a", REQUESTED, status, at);
    assert_eq!(status(vec![one("pending", None)]), (json!("pending"), Value::Null));
    let some = vec![
        one("failed", Some(500)),
        one("delivered", Some(2000)),
        one("delivered", Some(1500)),
    ];
    assert_eq!(status(some), (json!("delivered"), json!("1970-01-01T00:00:01.500Z")));
    let none = vec![one("failed", Some(500)); 2];
    assert_eq!(status(none), (json!("undelivered"), Value::Null));
}

#[test]
fn a_store_that_does_not_answer_hides_only_what_it_has() {
    let mut story = Story::new();
    story.request(0, 1);
    let record = story.records.get(HandoffId(1)).expect("a record");
    let view = deliveries::with(story.records.body(record), None);
    assert_eq!(
        (&view["state"], &view["deliveries"]),
        (&json!("requested"), &Value::Null)
    );
    assert_eq!(view["context_delivery"]["status"], "unknown");
}

#[test]
fn results_and_reasons_have_the_names_of_the_api() {
    for (outcome, name) in [
        (Outcome::Joined, "joined"),
        (Outcome::Transferred, "transferred"),
        (Outcome::Voicemail, "voicemail"),
        (Outcome::CallbackScheduled, "callback_scheduled"),
        (Outcome::ReturnedToAi, "returned_to_ai"),
        (Outcome::ReturnedToHuman, "returned_to_human"),
        (Outcome::Abandoned, "abandoned"),
        (Outcome::Failed, "failed"),
    ] {
        for (reason, why) in [
            (Reason::ReferRefused, "refer_refused"),
            (Reason::ReferTimeout, "refer_timeout"),
            (Reason::Machine, "machine"),
            (Reason::HumanHangup, "human_hangup"),
        ] {
            let mut story = Story::new();
            story.request(0, 1);
            let closed = Step::Closed {
                end: End::Failed,
                result: outcome,
                reason: Some(reason),
            };
            story.step(1, 1, closed);
            let view = story.view(1);
            assert_eq!((&view["result"], &view["reason"]), (&json!(name), &json!(why)));
        }
    }
}

#[test]
fn what_a_join_waited_for_is_that_of_the_last_invitation_and_what_was_disclosed_stays_so() {
    let mut story = Story::new();
    story.request(0, 1);
    story.invite(0, 1, "support");
    story.step(400, 1, Step::Disclosed);
    let gate = |gate, opened| Step::Gate { gate, opened };
    story.step(1600, 1, gate(Gate::Elements, Opened::There));
    story.step(2000, 1, gate(Gate::Acknowledged, Opened::Bound));
    let gates = json!({ "elements": { "opened": "there", "at_ms": 1600 }, "acknowledged": { "opened": "bound", "at_ms": 2000 } });
    assert_eq!(story.view(1)["gates"], gates);
    story.invite(2500, 1, "sales");
    let view = story.view(1);
    assert_eq!(
        (&view["gates"], &view["timeline"]["disclosed"]),
        (&json!({}), &json!(400))
    );
}
