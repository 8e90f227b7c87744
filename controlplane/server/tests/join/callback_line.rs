//! Nobody is there, and the caller is told when it will be called back: what it hears is what is in the store.

use std::path::Path;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use media::codec::g711::Law;
use serde_json::{Value, json};

use crate::party::{Manner, Party, Signal, Wish};
use crate::way::{FOUR, Way};
use crate::world::{Plan, World};

/// Sales is always busy; then the line that promises, then the box.
const LINE: &str = "[[targets]]\nname = \"the line\"\ncallback = true\n[[targets]]\nname = \"the box\"\nvoicemail = true\n\
                    [[playbook.decisions]]\nname = \"nobody\"\ntargets = [\"sales\", \"the line\", \"the box\"]\n";

async fn world(more: &'static str) -> (World, String) {
    let mut plan = Plan::all(Way::udp(FOUR));
    plan.number = Some(Manner::IsBusy);
    plan.more = more;
    let world = World::with_program(plan).await;
    let handoff = world
        .ask_for_a_human(json!({ "mode": "warm", "reason": "nobody is there" }))
        .await;
    (world, handoff)
}

/// The caller hears these recordings of the program, one right after the other.
async fn hears(caller: &mut Party, names: &[String]) {
    let mut codes = Vec::new();
    for name in names {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("prompts/{name}.wav"));
        let mut wav = hound::WavReader::open(&path).unwrap_or_else(|error| panic!("{name}: {error}"));
        let samples: Vec<i16> = wav.samples().collect::<Result<_, _>>().expect("samples");
        let from = codes.len();
        codes.resize(from + samples.len(), 0);
        Law::Mu.encode(&samples, &mut codes[from..]);
    }
    for packet in codes.chunks_exact(160).step_by(5) {
        caller.hears_codes(packet, 1).await;
    }
}

/// How a slot is said, by UTC.
fn spoken(callback: &Value) -> Vec<String> {
    let time = |key: &str| {
        let at = callback[key].as_str().expect("a time");
        let at: Timestamp = at.parse().expect("RFC 3339");
        at.to_zoned(TimeZone::UTC)
    };
    let (now, from, until) = (Timestamp::now().to_zoned(TimeZone::UTC), time("from"), time("until"));
    let part = |hour: i8| match hour {
        0..5 => "night",
        5..12 => "morning",
        12..18 => "afternoon",
        _ => "evening",
    };
    let clock = |at: &jiff::Zoned| {
        let hour = match at.hour() % 12 {
            0 => 12,
            hour => hour,
        };
        let minute = match at.minute() {
            0 => "callback_oclock".to_owned(),
            minute => format!("number_{minute}"),
        };
        vec![format!("number_{hour}"), minute]
    };
    let day = if from.date() == now.date() { "today" } else { "tomorrow" };
    let mut words = vec![format!("callback_{day}"), "callback_between".to_owned()];
    words.extend(clock(&from));
    if part(from.hour()) != part(until.hour()) {
        words.push(format!("callback_{}", part(from.hour())));
    }
    words.push("callback_and".to_owned());
    words.extend(clock(&until));
    words.push(format!("callback_{}", part(until.hour())));
    words
}

/// The one that is promised, as an operator sees it, and what the caller is to hear.
async fn promised(world: &World, intro: &str) -> (Value, Vec<String>) {
    let list = world.document("/v1/callbacks").await;
    let [callback] = &list["callbacks"].as_array().expect("a list")[..] else {
        panic!("one callback: {list}")
    };
    let mut words = vec![intro.to_owned()];
    words.extend(spoken(callback));
    (callback.clone(), words)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_for_whom_nobody_is_there_hears_when_it_is_called_back_and_agrees() {
    let (mut world, handoff) = world(LINE).await;
    // The line is the human's side: it was promised before it answered.
    world.events(&handoff, "baton.handoff.answered").await;
    let (callback, mut words) = promised(&world, "callback_offer").await;
    words.push("callback_choices".to_owned());
    hears(&mut world.caller, &words).await;
    world.caller.wish(Wish::Press('1'));
    hears(&mut world.caller, &["callback_agreed".to_owned()]).await;
    world.caller.until(&Signal::Bye).await;
    world.events(&handoff, "baton.handoff.callback_scheduled").await;
    let told = &world.data["callback"];
    assert_eq!(
        [&told["id"], &told["from"], &told["until"]],
        [&callback["id"], &callback["from"], &callback["until"]]
    );
    world.events(&world.call.clone(), "baton.call.ended").await;
    assert_eq!(world.data["by"], "callback");
    let record = world.record(&handoff).await;
    assert_eq!(
        (
            &record["state"],
            &record["result"],
            &record["reason"],
            &record["target"]
        ),
        (
            &json!("completed"),
            &json!("callback_scheduled"),
            &Value::Null,
            &json!("the line")
        )
    );
    assert_eq!(record["timeline"]["joined"], Value::Null);
    let (kept, _) = promised(&world, "").await;
    assert_eq!(
        (&kept["state"], &kept["handoff"]),
        (&json!("scheduled"), &json!(handoff))
    );
    assert!(!kept["confirmed_at"].is_null(), "{kept}");
    let kpi = world.document("/v1/kpi").await;
    assert_eq!(kpi["total"]["joined"], 0, "nobody was reached: {kpi}");
    world
        .metrics_say(&["baton_handoffs_total{result=\"callback_scheduled\",reason=\"\"} 1"])
        .await;
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_wants_another_time_hears_a_later_one_and_has_it_by_hanging_up() {
    let (mut world, handoff) = world(LINE).await;
    world.events(&handoff, "baton.handoff.answered").await;
    let (first, words) = promised(&world, "callback_offer").await;
    hears(&mut world.caller, &words).await;
    world.caller.wish(Wish::Press('2'));
    let later = async {
        loop {
            let (now, words) = promised(&world, "callback_instead").await;
            if now["from"] != first["from"] {
                return (now, words);
            }
        }
    };
    let (later, words) = tokio::time::timeout(crate::PATIENCE, later).await.expect("another one");
    assert_eq!(later["id"], first["id"]);
    assert!(
        later["from"].as_str() >= first["until"].as_str(),
        "{later} after {first}"
    );
    hears(&mut world.caller, &words).await;
    world.caller.wish(Wish::HangUp);
    world.caller.until(&Signal::Over).await;
    // Which of the two is told first is nobody's promise.
    let told = async {
        loop {
            let record = world.record(&handoff).await;
            if !record["callback"].is_null() && record["result"] == "callback_scheduled" {
                return record;
            }
        }
    };
    let record = tokio::time::timeout(crate::PATIENCE, told).await.expect("told");
    assert_eq!(
        (&record["callback"]["from"], &record["callback"]["until"]),
        (&later["from"], &later["until"])
    );
    let (kept, _) = promised(&world, "").await;
    assert_eq!((&kept["state"], &kept["from"]), (&json!("scheduled"), &later["from"]));
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_wants_no_call_gets_none_and_the_record_claims_none() {
    let (mut world, handoff) = world(LINE).await;
    world.events(&handoff, "baton.handoff.answered").await;
    let (_, words) = promised(&world, "callback_offer").await;
    hears(&mut world.caller, &words).await;
    world.caller.wish(Wish::Press('3'));
    hears(&mut world.caller, &["callback_declined".to_owned()]).await;
    world.caller.until(&Signal::Bye).await;
    let types = world.events(&handoff, "baton.handoff.failed").await;
    assert!(
        !types.iter().any(|kind| kind.ends_with("callback_scheduled")),
        "{types:?}"
    );
    let record = world.record(&handoff).await;
    assert_eq!(
        (&record["state"], &record["result"], &record["callback"]),
        (&json!("cancelled"), &json!("abandoned"), &Value::Null)
    );
    let (kept, _) = promised(&world, "").await;
    assert_eq!(kept["state"], "cancelled");
    world
        .metrics_say(&["baton_handoffs_total{result=\"abandoned\",reason=\"\"} 1"])
        .await;
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn where_no_slot_is_free_nothing_is_promised_and_the_next_target_has_the_caller() {
    const FULL: &str = "[[targets]]\nname = \"the line\"\ncallback = true\n[[targets]]\nname = \"the box\"\nvoicemail = true\n\
                        [[playbook.decisions]]\nname = \"nobody\"\ntargets = [\"sales\", \"the line\", \"the box\"]\n\
                        [callback]\nlead_min = 1440\ndays_ahead = 1\n";
    let (mut world, handoff) = world(FULL).await;
    hears(&mut world.caller, &["voicemail".to_owned()]).await;
    let record = world.record(&handoff).await;
    let failed = &record["failed_targets"][1];
    assert_eq!(
        (
            &failed["target"],
            &failed["reason"],
            &failed["status"],
            &record["target"]
        ),
        (&json!("the line"), &json!("no_answer"), &json!(480), &json!("the box"))
    );
    assert_eq!(world.document("/v1/callbacks").await["callbacks"], json!([]));
    world.caller.wish(Wish::HangUp);
    world.caller.until(&Signal::Over).await;
    world.stop().await;
}
