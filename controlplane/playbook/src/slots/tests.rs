use super::*;

/// RFC 3339.
fn at(text: &str) -> SystemTime {
    text.parse::<jiff::Timestamp>().expect("a time").into()
}

fn berlin(open: &[&str]) -> Calendar {
    let mut calendar = Calendar::new("Europe/Berlin").expect("a zone");
    for hours in open {
        calendar.open(hours).expect("hours");
    }
    calendar
}

fn team(hours: &Calendar, members: &[(&str, Option<u64>)]) -> Team {
    let member = |(id, handle): &(&str, Option<u64>)| ((*id).to_owned(), handle.map(Duration::from_secs));
    Team {
        hours: Arc::new(hours.clone()),
        members: members.iter().map(member).collect(),
    }
}

const GRID: Grid = Grid {
    minutes: 15,
    lead: Duration::from_secs(600),
    days: 7,
};

const EFFORT: Effort = Effort {
    handle: Duration::from_secs(300),
    share: 0.5,
};

/// The first slot's beginning for one human with these hours.
fn first(now: &str, open: &[&str], taken: &[Slot]) -> Option<SystemTime> {
    let hours = berlin(open);
    let teams = [team(&hours, &[("anna", None)])];
    let slot = first_free(at(now), at(now), &hours, &teams, &GRID, &EFFORT, taken)?;
    assert_eq!(
        slot.until.duration_since(slot.from).expect("forwards"),
        Duration::from_secs(900)
    );
    Some(slot.from)
}

fn quarter(from: &str) -> Slot {
    Slot {
        from: at(from),
        until: at(from) + Duration::from_secs(900),
    }
}

const WEEKDAYS: [&str; 1] = ["Mon-Fri 09:10-17:00"];

#[test]
fn a_slot_begins_on_the_clock_after_the_lead_and_within_the_hours_from_end_to_end() {
    let early = |now| first(now, &["Mon-Fri 09:00-16:50"], &[]);
    let first = |now| first(now, &WEEKDAYS, &[]);
    // 10:00:01 there: with the lead 10:10:01.
    assert_eq!(first("2026-11-23T09:00:01Z"), Some(at("2026-11-23T09:15:00Z")));
    assert_eq!(first("2026-11-23T09:05:00Z"), Some(at("2026-11-23T09:15:00Z")));
    assert_eq!(first("2026-11-23T09:05:00.001Z"), Some(at("2026-11-23T09:30:00Z")));
    // They open at ten past nine: the first that lies within is a quarter past.
    assert_eq!(first("2026-11-23T04:00:00Z"), Some(at("2026-11-23T08:15:00Z")));
    // The last one of the day ends with the day.
    assert_eq!(first("2026-11-23T15:35:00Z"), Some(at("2026-11-23T15:45:00Z")));
    assert_eq!(first("2026-11-23T15:35:01Z"), Some(at("2026-11-24T08:15:00Z")));
    // From Friday evening to Monday morning.
    assert_eq!(first("2026-11-27T17:00:00Z"), Some(at("2026-11-30T08:15:00Z")));
    // They close ten minutes to five: the quarter before it is the last.
    assert_eq!(early("2026-11-23T15:20:00Z"), Some(at("2026-11-23T15:30:00Z")));
    assert_eq!(early("2026-11-23T15:25:00Z"), Some(at("2026-11-24T08:00:00Z")));
}

#[test]
fn without_a_lead_the_slot_that_runs_is_the_first() {
    let hours = berlin(&WEEKDAYS);
    let teams = [team(&hours, &[("anna", None)])];
    let lead = Duration::ZERO;
    let grid = Grid { lead, ..GRID };
    let first = |now, taken: &[Slot]| {
        let slot = first_free(at(now), at(now), &hours, &teams, &grid, &EFFORT, taken);
        slot.map(|slot| slot.from)
    };
    let runs = at("2026-11-23T09:00:00Z");
    assert_eq!(first("2026-11-23T09:00:00Z", &[]), Some(runs));
    assert_eq!(first("2026-11-23T09:14:59.9Z", &[]), Some(runs));
    let next = at("2026-11-23T09:15:00Z");
    assert_eq!(first("2026-11-23T09:15:00Z", &[]), Some(next));
    assert_eq!(
        first("2026-11-23T09:07:00Z", &[quarter("2026-11-23T09:00:00Z")]),
        Some(next)
    );
    // Who wants none before a moment has none that began before it.
    let after = |now, not_before| first_free(at(now), at(not_before), &hours, &teams, &grid, &EFFORT, &[]);
    let slot = after("2026-11-23T09:01:00Z", "2026-11-23T09:07:00Z").expect("a slot");
    assert_eq!(slot.from, next);
    // At a quarter past nine: what began at nine was not within the hours.
    assert_eq!(first("2026-11-23T08:12:00Z", &[]), Some(at("2026-11-23T08:15:00Z")));
}

#[test]
fn a_clock_that_is_not_whole_hours_from_utc_has_its_own_quarters() {
    let mut kathmandu = Calendar::new("Asia/Kathmandu").expect("a zone");
    kathmandu.open("Mon-Sun 00:00-24:00").expect("hours");
    let grid = Grid { minutes: 60, ..GRID };
    let teams = [team(&kathmandu, &[("a", None)])];
    let now = at("2026-11-23T09:00:00Z");
    let slot = first_free(now, now, &kathmandu, &teams, &grid, &EFFORT, &[]).expect("a slot");
    // UTC+05:45: 15:00 there.
    assert_eq!(slot.from, at("2026-11-23T09:15:00Z"));
}

#[test]
fn what_is_full_is_passed_over_and_after_the_last_day_there_is_none() {
    // A quarter of an hour of one human, five minutes a call, half of it: one.
    let taken = [quarter("2026-11-23T09:15:00Z"), quarter("2026-11-23T09:30:00Z")];
    let now = "2026-11-23T09:00:00Z";
    assert_eq!(first(now, &WEEKDAYS, &taken), Some(at("2026-11-23T09:45:00Z")));
    // One that was committed when slots lay otherwise takes room wherever it reaches.
    let across = [quarter("2026-11-23T09:20:00Z")];
    assert_eq!(first(now, &WEEKDAYS, &across), Some(at("2026-11-23T09:45:00Z")));
    // It begins where the other one ends.
    let before = [quarter("2026-11-23T09:00:00Z")];
    assert_eq!(first(now, &WEEKDAYS, &before), Some(at("2026-11-23T09:15:00Z")));
    let mut all = Vec::new();
    while let Some(from) = first(now, &WEEKDAYS, &all) {
        let until = from + Duration::from_secs(900);
        all.push(Slot { from, until });
        assert!(all.len() <= 160, "it ends");
    }
    // What this Monday has lost by ten o'clock, the next one has until ten.
    assert_eq!(all.last().expect("many").from, at("2026-11-30T09:00:00Z"));
    assert_eq!(all.len(), 31 * 5);
    assert_eq!(first(now, &["Mon 09:00-09:10"], &[]), None, "too short");
    assert_eq!(first(now, &[], &[]), None, "never open");
}

#[test]
fn capacity_is_that_of_those_who_are_there_and_each_counts_once() {
    let day = berlin(&["Mon-Fri 09:00-17:00"]);
    let late = berlin(&["Mon-Fri 12:00-20:00"]);
    let billing = team(&day, &[("a", Some(180)), ("b", Some(420)), ("c", None)]);
    let sales = team(&late, &[("c", None), ("d", None)]);
    let of = |from, teams: &[Team]| capacity(&quarter(from), teams, &EFFORT);
    // Three times fifteen minutes, five on the average, half of it: 4.5.
    assert_eq!(of("2026-11-23T09:00:00Z", std::slice::from_ref(&billing)), 4);
    let both = [billing, sales];
    assert_eq!(of("2026-11-23T09:00:00Z", &both), 4, "sales is not there yet");
    assert_eq!(of("2026-11-23T12:00:00Z", &both), 6, "four people");
    // Without a figure for any of them the configured one counts; one call at least.
    assert_eq!(of("2026-11-23T17:00:00Z", &both), 3);
    let effort = Effort { share: 0.01, ..EFFORT };
    assert_eq!(capacity(&quarter("2026-11-23T17:00:00Z"), &both, &effort), 1);
    assert_eq!(of("2026-11-23T20:00:00Z", &both), 0);
    assert_eq!(of("2026-11-23T09:00:00Z", &[team(&day, &[])]), 0, "a queue of nobody");
    // All of it, exactly: nothing is lost to a rounding.
    let all = Effort { share: 1.0, ..EFFORT };
    assert_eq!(
        capacity(&quarter("2026-11-23T09:00:00Z"), &[team(&day, &[("a", None)])], &all),
        3
    );
}

#[test]
fn callbacks_are_made_when_they_are_to_be_and_somebody_is_there() {
    let house = berlin(&["Mon-Fri 09:00-12:00"]);
    let agents = berlin(&["Mon-Fri 11:00-20:00"]);
    let teams = [team(&agents, &[("a", None)])];
    let first = |now, not_before| {
        let slot = first_free(at(now), at(not_before), &house, &teams, &GRID, &EFFORT, &[]);
        slot.map(|slot| slot.from)
    };
    let now = "2026-11-23T07:00:00Z";
    assert_eq!(first(now, now), Some(at("2026-11-23T10:00:00Z")));
    // Whoever wants it later gets it later.
    assert_eq!(first(now, "2026-11-24T10:20:00Z"), Some(at("2026-11-24T10:30:00Z")));
    assert_eq!(first(now, "2026-11-24T11:00:00Z"), Some(at("2026-11-25T10:00:00Z")));
    assert_eq!(first(now, "2026-12-24T11:00:00Z"), None, "within a week or not at all");
}

#[test]
fn in_the_night_of_the_change_each_slot_has_its_length_and_none_is_lost_or_doubled() {
    let night = ["Sun 01:00-04:00"];
    let walk = |now: &str| {
        let mut taken: Vec<Slot> = Vec::new();
        let morning = at(now) + Duration::from_secs(8 * 3600);
        while let Some(from) = first(now, &night, &taken).filter(|from| *from < morning) {
            let until = from + Duration::from_secs(900);
            taken.push(Slot { from, until });
        }
        taken
    };
    // Summer time ends: the hour from two to three comes twice, and all follow each other without a gap.
    let autumn = walk("2026-10-24T20:00:00Z");
    assert_eq!(autumn.len(), 16);
    assert_eq!(autumn[0].from, at("2026-10-24T23:00:00Z"));
    assert_eq!(autumn[15].until, at("2026-10-25T03:00:00Z"));
    assert!(autumn.windows(2).all(|two| two[0].until == two[1].from));
    // It begins: a quarter to two ends at three.
    let spring = walk("2027-03-27T20:00:00Z");
    assert_eq!(spring.len(), 8);
    assert_eq!(spring[0].from, at("2027-03-28T00:00:00Z"));
    assert_eq!(spring[7].until, at("2027-03-28T02:00:00Z"));
    assert!(spring.windows(2).all(|two| two[0].until == two[1].from));
    // The first of the day after is by the clock of that day.
    assert_eq!(
        first("2026-10-24T20:00:00Z", &WEEKDAYS, &[]),
        Some(at("2026-10-26T08:15:00Z"))
    );
    assert_eq!(
        first("2027-03-27T20:00:00Z", &WEEKDAYS, &[]),
        Some(at("2027-03-29T07:15:00Z"))
    );
}
