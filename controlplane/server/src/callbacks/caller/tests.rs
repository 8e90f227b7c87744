mod calling;

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::json;

use super::*;
use crate::callbacks::Settings;
use crate::config::Config;
use crate::store::callbacks::Taken;

/// RFC 3339.
fn at(text: &str) -> SystemTime {
    text.parse::<Timestamp>().expect("a time").into()
}

/// A queue and a human by day, a machine that promises until noon.
fn settings(more: &str) -> Arc<Settings> {
    let text = format!(
        "[hours]\ntime_zone = \"Europe/Berlin\"\nopen = [\"Mon-Fri 09:00-17:00\"]\n\
         [[hours.calendars]]\nname = \"morning\"\nopen = [\"Mon-Fri 09:00-12:00\"]\n\
         [[targets]]\nname = \"billing\"\nnext_hop = \"127.0.0.1:5090\"\npatterns = [\"sip:agent-*@127.0.0.1\"]\n[targets.queue]\n\
         [[targets]]\nname = \"anna\"\nuri = \"sip:anna@127.0.0.1\"\n\
         [[targets]]\nname = \"later\"\ncallback = true\nhours = \"morning\"\n{more}"
    );
    let config = Config::from_toml(&text, Path::new(""));
    Settings::of(&config.unwrap_or_else(|problems| panic!("{problems:#?}")))
}

fn billing(available: usize) -> Vec<QueueView> {
    let agents = [("available", available), ("talking", 3)];
    vec![QueueView {
        name: "billing".to_owned(),
        waiting: 0,
        longest_wait_s: 0,
        agents: BTreeMap::from(agents),
    }]
}

fn humans(names: &str) -> Vec<String> {
    names.split_whitespace().map(str::to_owned).collect()
}

const DAY: &str = "2026-11-23T13:00:00Z";

#[test]
fn who_is_free_for_a_caller_is_counted_where_it_is_there_at_this_time() {
    let settings = settings("");
    let free = |machine, target, queues: &[QueueView], now| settings.free(machine, &humans(target), queues, at(now));
    assert_eq!(free("", "billing", &billing(2), DAY), Some(2));
    assert_eq!(free("", "billing", &billing(0), DAY), Some(0));
    assert_eq!(free("", "anna", &billing(2), DAY), Some(1));
    assert_eq!(free("", "", &billing(2), DAY), Some(3));
    assert_eq!(free("later", "", &billing(2), DAY), None, "it is afternoon");
    assert_eq!(free("later", "", &billing(2), "2026-11-23T09:00:00Z"), Some(3));
    assert_eq!(free("", "", &billing(2), "2026-11-23T20:00:00Z"), None, "at night");
    assert_eq!(free("", "gone", &billing(2), DAY), Some(3), "who is no target any more");
}

#[test]
fn a_slot_is_nearly_over_when_two_thirds_of_it_are() {
    let from = at(DAY);
    let slot = (from, from + Duration::from_secs(900));
    let after = |seconds| is_last(slot, from + Duration::from_secs(seconds));
    assert_eq!([0, 599, 600, 90_000].map(after), [false, false, true, true]);
}

#[test]
fn a_caller_is_tried_again_after_the_pause_until_the_last_attempt() {
    let rules = settings("[callback]\nattempts = 2\nretry_min = 3\n").rules.clone();
    let row = |attempts| CallbackRow {
        attempts,
        due_ms: 7,
        ..row(1, "", [0, 0])
    };
    let after = |attempts, outcome| {
        let attempted = after(&row(attempts), outcome, &rules, 1_000_000);
        (attempted.state, attempted.due_ms, attempted.cause, attempted.closed_ms)
    };
    use CallbackState::{Done, Missed, Scheduled};
    assert_eq!(
        after(1, Outcome::NotReached(486)),
        (Scheduled, 1_180_000, Some("not_reached"), None)
    );
    assert_eq!(
        after(1, Outcome::NoHuman),
        (Scheduled, 1_180_000, Some("no_human"), None)
    );
    assert_eq!(
        after(2, Outcome::NoHuman),
        (Missed, 7, Some("no_human"), Some(1_000_000))
    );
    assert_eq!(
        after(3, Outcome::NotCalled),
        (Missed, 7, Some("not_called"), Some(1_000_000))
    );
    for outcome in [Outcome::Joined, Outcome::OtherCall] {
        assert_eq!(after(1, outcome), (Done, 7, None, Some(1_000_000)));
    }
}

#[test]
fn what_is_promised_of_several_takes_room_of_each_and_the_other_way_round() {
    let settings = settings("[callback]\nshare = 0.01\n");
    let slot = |names: &str, from: &str| Taken {
        humans: humans(names),
        from_ms: Timestamp::try_from(at(from)).expect("in range").as_millisecond(),
        until_ms: Timestamp::try_from(at(from)).expect("in range").as_millisecond() + 900_000,
    };
    let choose = |machine: &str, names: &str, taken: &[Taken]| {
        let plan = settings.plan(machine, &humans(names), &[]).expect("somebody");
        let (from_ms, _) = plan.choose(at(DAY), at(DAY), &humans(names), taken)?;
        Some(time(from_ms))
    };
    let (first, second) = ("2026-11-23T13:15:00Z", "2026-11-23T13:30:00Z");
    assert_eq!(choose("", "anna", &[]), Some(at(first)));
    assert_eq!(choose("", "anna", &[slot("billing", first)]), Some(at(first)));
    assert_eq!(choose("", "anna", &[slot("anna", first)]), Some(at(second)));
    assert_eq!(choose("", "anna", &[slot("billing anna", first)]), Some(at(second)));
    assert_eq!(choose("", "billing anna", &[slot("anna", first)]), Some(at(second)));
    // By an older version, of anybody.
    assert_eq!(choose("", "anna", &[slot("", first)]), Some(at(second)));
    // By the hours of the machine, where one promises: tomorrow morning.
    assert_eq!(choose("later", "", &[]), Some(at("2026-11-24T08:00:00Z")));
    assert_eq!(choose("", "billing", &[]), None, "a queue of nobody");
    assert!(settings.plan("", &humans("gone"), &[]).is_some(), "whoever there is");
    let names = |names: &str| settings.names_of(&humans(names)).join(" ");
    assert_eq!(names("anna later billing"), "anna billing", "as they were named");
    assert_eq!(names("gone"), "billing anna");
}

/// Who rejected the call, or hung up, is not rung again by the next server at once.
#[test]
fn only_what_we_ended_ourselves_is_as_if_it_had_not_been() {
    for (outcome, ours) in [
        (Outcome::Cut, true),
        (Outcome::NotReached(487), true),
        (Outcome::NotReached(503), true),
        (Outcome::NotReached(603), false),
        (Outcome::NotReached(408), false),
        (Outcome::NoHuman, false),
        (Outcome::Joined, false),
        (Outcome::NotCalled, false),
    ] {
        assert_eq!(outcome.is_ours(), ours, "{outcome:?}");
    }
}

/// A promise for a slot, ms.
fn row(number: u8, names: &str, [from_ms, until_ms]: [i64; 2]) -> CallbackRow {
    CallbackRow {
        id: format!("cb_{number:016x}"),
        call: format!("call_{number}"),
        handoff: String::new(),
        agent: "ai".to_owned(),
        trunk: "carrier".to_owned(),
        caller: format!("sip:+49301234{number:03}@127.0.0.1"),
        number: format!("+49301234{number:03}"),
        machine: String::new(),
        target: String::new(),
        humans: humans(names),
        reason: number.to_string(),
        context: "null".to_owned(),
        zone: "UTC".to_owned(),
        from_ms,
        until_ms,
        state: "scheduled".to_owned(),
        confirmed_ms: None,
        attempts: 0,
        due_ms: 0,
        calls: json!([]),
        cause: None,
        late_ms: 0,
        booked_ms: 0,
        closed_ms: None,
    }
}
