use std::time::{Duration, SystemTime};

use proptest::prelude::*;

use super::*;

fn calendar(zone: &str, open: &[&str], holidays: &[&str]) -> Calendar {
    let mut calendar = Calendar::new(zone).expect("a zone");
    open.iter().for_each(|text| calendar.open(text).expect("hours"));
    holidays.iter().for_each(|text| calendar.holiday(text).expect("a date"));
    calendar
}

/// RFC 3339, with the offset.
fn at(text: &str) -> SystemTime {
    text.parse::<Timestamp>().expect("a time").into()
}

fn told(at: Option<SystemTime>) -> Option<String> {
    at.map(|at| Timestamp::try_from(at).expect("a time").to_string())
}

#[test]
fn office_hours_are_those_of_the_zone_in_summer_and_in_winter() {
    let office = calendar("Europe/Berlin", &["Mon-Fri 09:00-17:30"], &[]);
    for (time, open) in [
        ("2026-07-15T08:59:59.999+02:00", false),
        ("2026-07-15T09:00:00+02:00", true),
        ("2026-07-15T17:29:59.999+02:00", true),
        ("2026-07-15T17:30:00+02:00", false),
        ("2026-01-14T08:59:59+01:00", false),
        ("2026-01-14T09:00:00+01:00", true),
        ("2026-01-17T12:00:00+01:00", false),
    ] {
        assert_eq!(office.is_open(at(time)), open, "{time}");
    }
    let friday = at("2026-03-27T18:00:00+01:00");
    assert_eq!(
        told(office.opens(friday)).as_deref(),
        Some("2026-03-30T07:00:00Z"),
        "summer began"
    );
    assert_eq!(told(office.closes(friday)), told(Some(friday)), "it is closed now");
    let monday = at("2026-03-30T10:00:00+02:00");
    assert_eq!(told(office.opens(monday)), told(Some(monday)), "it is open now");
    assert_eq!(told(office.closes(monday)).as_deref(), Some("2026-03-30T15:30:00Z"));
}

#[test]
fn hours_over_midnight_end_on_the_next_day_and_those_of_sunday_on_monday() {
    let night = calendar("Asia/Kolkata", &["Fri,Sun 22:00-06:00"], &[]);
    for (time, open) in [
        ("2026-11-27T21:59:00+05:30", false),
        ("2026-11-27T22:00:00+05:30", true),
        ("2026-11-28T00:00:00+05:30", true),
        ("2026-11-28T05:59:00+05:30", true),
        ("2026-11-28T06:00:00+05:30", false),
        ("2026-11-28T22:00:00+05:30", false),
        ("2026-11-30T05:59:00+05:30", true),
        ("2026-11-27T05:00:00+05:30", false),
    ] {
        assert_eq!(night.is_open(at(time)), open, "{time}");
    }
    let found = night.closes(at("2026-11-27T23:00:00+05:30"));
    assert_eq!(
        told(found).as_deref(),
        Some("2026-11-28T00:30:00Z"),
        "midnight is no end"
    );
}

#[test]
fn midnight_at_the_end_of_a_day_is_24_00_and_00_00_and_a_day_that_never_ends_never_closes() {
    for until in ["24:00", "00:00"] {
        let evening = calendar("UTC", &[&format!("Mon 18:00-{until}")], &[]);
        assert!(evening.is_open(at("2026-11-23T23:59:59Z")));
        assert!(!evening.is_open(at("2026-11-24T00:00:00Z")));
    }
    let always = calendar("America/New_York", &["Mon-Sun 00:00-24:00"], &[]);
    assert_eq!(always.closes(at("2026-03-01T00:00:00Z")), None);
    assert_eq!(calendar("UTC", &[], &[]).opens(at("2026-03-01T00:00:00Z")), None);
}

#[test]
fn opening_time_is_counted_over_nights_weekends_and_holidays() {
    let office = calendar("Europe/Berlin", &["Mon-Fri 09:00-17:00"], &["2026-11-30"]);
    let after = |from: &str, hours: u64| told(office.after_open(at(from), Duration::from_secs(hours * 3_600)));
    let is = |text: &str| told(Some(at(text)));
    // Friday, two hours before the end; Monday is a holiday.
    assert_eq!(after("2026-11-27T14:00:00Z", 1), is("2026-11-27T15:00:00Z"));
    assert_eq!(after("2026-11-27T14:00:00Z", 2), is("2026-11-27T16:00:00Z"));
    assert_eq!(after("2026-11-27T14:00:00Z", 4), is("2026-12-01T10:00:00Z"));
    assert_eq!(after("2026-11-28T03:00:00Z", 9), is("2026-12-02T09:00:00Z"));
    assert_eq!(
        told(Calendar::always().after_open(at("2026-11-28T03:00:00Z"), Duration::from_secs(3_600))),
        is("2026-11-28T04:00:00Z")
    );
    let never = Calendar::new("UTC").expect("a zone");
    assert_eq!(never.after_open(at("2026-11-28T03:00:00Z"), Duration::ZERO), None);
}

#[test]
fn a_holiday_is_closed_or_has_its_own_hours_and_takes_the_end_of_the_night_before() {
    let dates = ["2026-12-25", "2026-12-24 09:00-12:00", "2026-12-24 13:00-14:00"];
    let house = calendar("Europe/Berlin", &["Mon-Sun 08:00-20:00", "Thu 22:00-02:00"], &dates);
    for (time, open) in [
        ("2026-12-24T08:30:00+01:00", false),
        ("2026-12-24T09:00:00+01:00", true),
        ("2026-12-24T12:30:00+01:00", false),
        ("2026-12-24T13:59:00+01:00", true),
        ("2026-12-24T22:30:00+01:00", false),
        ("2026-12-25T01:00:00+01:00", false),
        ("2026-12-25T12:00:00+01:00", false),
        ("2026-12-26T12:00:00+01:00", true),
        ("2027-12-25T12:00:00+01:00", true),
    ] {
        assert_eq!(house.is_open(at(time)), open, "{time}");
    }
    let found = house.opens(at("2026-12-24T14:00:00+01:00"));
    assert_eq!(told(found).as_deref(), Some("2026-12-26T07:00:00Z"));
    let named = calendar("Asia/Kolkata", &["Mon-Sun 08:00-20:00"], &[]).with_holidays_of(&house);
    assert!(!named.is_open(at("2026-12-25T12:00:00+05:30")));
}

/// Where the clocks go forward that time never comes, and where they go back it comes twice.
#[test]
fn the_hour_that_is_skipped_never_comes_and_the_one_that_comes_twice_is_open_twice() {
    // Berlin: 2026-03-29 02:00 becomes 03:00, 2026-10-25 03:00 becomes 02:00.
    let berlin = calendar("Europe/Berlin", &["Sun 02:15-02:45"], &[]);
    let found = berlin.opens(at("2026-03-29T00:00:00+01:00"));
    assert_eq!(told(found).as_deref(), Some("2026-04-05T00:15:00Z"), "not on the 29th");
    let autumn = at("2026-10-25T00:00:00+02:00");
    let first = berlin.opens(autumn);
    assert_eq!(told(first).as_deref(), Some("2026-10-25T00:15:00Z"));
    let between = berlin.closes(first.expect("some"));
    assert_eq!(told(between).as_deref(), Some("2026-10-25T00:45:00Z"));
    let second = berlin.opens(between.expect("some"));
    assert_eq!(told(second).as_deref(), Some("2026-10-25T01:15:00Z"));
    // Until a time that is skipped: until the clocks go forward.
    let until = calendar("Europe/Berlin", &["Sun 00:00-02:30"], &[]);
    let found = until.closes(at("2026-03-29T00:00:00+01:00"));
    assert_eq!(told(found).as_deref(), Some("2026-03-29T01:00:00Z"));

    // New York: 2026-03-08 02:00 becomes 03:00, 2026-11-01 02:00 becomes 01:00.
    let york = calendar("America/New_York", &["Sun 01:30-09:00"], &[]);
    let spring = york.opens(at("2026-03-08T00:00:00-05:00")).expect("some");
    let hours = |from: SystemTime| {
        york.closes(from)
            .expect("some")
            .duration_since(from)
            .expect("later")
            .as_secs() as f64
            / 3_600.0
    };
    assert_eq!(hours(spring), 6.5);
    let autumn = york.opens(at("2026-11-01T00:00:00-04:00")).expect("some");
    assert_eq!(hours(autumn), 0.5, "and again from half past one");
    let again = york.opens(autumn + Duration::from_secs(1_800)).expect("some");
    assert_eq!(
        (told(Some(again)).as_deref(), hours(again)),
        (Some("2026-11-01T06:30:00Z"), 7.5)
    );

    // Lord Howe goes by half an hour: 2026-10-04 02:00 becomes 02:30, 2026-04-05 02:00 becomes 01:30.
    let howe = calendar("Australia/Lord_Howe", &["Sun 01:40-02:20"], &[]);
    let found = howe.closes(at("2026-10-04T01:40:00+10:30"));
    assert_eq!(
        told(found).as_deref(),
        Some("2026-10-03T15:30:00Z"),
        "02:00 became 02:30"
    );
    let found = howe.opens(at("2026-04-05T01:30:00+11:00"));
    assert_eq!(told(found).as_deref(), Some("2026-04-04T14:40:00Z"));
    let found = howe.closes(at("2026-04-05T01:40:00+11:00"));
    assert_eq!(
        told(found).as_deref(),
        Some("2026-04-04T15:00:00Z"),
        "02:00 became 01:30"
    );
    let found = howe.opens(at("2026-04-05T01:30:00+10:30"));
    assert_eq!(told(found).as_deref(), Some("2026-04-04T15:10:00Z"));
}

#[test]
fn what_is_no_calendar_is_named() {
    let mut calendar = Calendar::new("UTC").expect("a zone");
    let wrong = |text: &str| NoHours::Span(text.to_owned());
    for (text, why) in [
        ("Mon-Fri", NoHours::Bare("Mon-Fri".to_owned())),
        ("", NoHours::Bare(String::new())),
        ("Mo-Fr 09:00-17:00", NoHours::Day("Mo".to_owned())),
        ("Mon-Fri 9:00-17:00", wrong("9:00-17:00")),
        ("Mon 09:00-24:01", wrong("09:00-24:01")),
        ("Mon 09:00-17:60", wrong("09:00-17:60")),
        ("Mon 24:00-06:00", wrong("24:00-06:00")),
        ("Mon 0900-1700", wrong("0900-1700")),
        ("Mon 09:00", wrong("09:00")),
        ("Mon +9:00-17:00", wrong("+9:00-17:00")),
        ("Mon 09:00-09:00", NoHours::Empty("09:00-09:00".to_owned())),
    ] {
        assert_eq!(calendar.open(text), Err(why), "{text:?}");
    }
    for (text, why) in [
        ("25.12.2026", NoHours::Date("25.12.2026".to_owned())),
        ("2026-02-29", NoHours::Date("2026-02-29".to_owned())),
        ("20261225", NoHours::Date("20261225".to_owned())),
        (
            "2026-12-31 22:00-02:00",
            NoHours::OverMidnight("2026-12-31 22:00-02:00".to_owned()),
        ),
        ("2026-12-31 22:00", wrong("22:00")),
    ] {
        assert_eq!(calendar.holiday(text), Err(why), "{text:?}");
    }
    calendar.holiday("2026-12-24").expect("a date");
    assert_eq!(
        calendar.holiday("2026-12-24 09:00-12:00"),
        Err(NoHours::Both("2026-12-24".to_owned()))
    );
    assert_eq!(
        Calendar::new("Europe/Berln"),
        Err(NoHours::Zone("Europe/Berln".to_owned()))
    );
    assert!(zones().iter().any(|name| name == "Europe/Berlin"));
}

/// Days in which zones do something that others do not: clocks that change, by half an hour, at midnight; a day that is skipped.
const PLACES: [(&str, &str); 9] = [
    ("Europe/Berlin", "2026-03-27T00:00:00Z"),
    ("Europe/Berlin", "2026-10-23T00:00:00Z"),
    ("America/New_York", "2026-03-06T00:00:00Z"),
    ("America/New_York", "2026-10-30T00:00:00Z"),
    ("Asia/Kolkata", "2026-05-01T00:00:00Z"),
    ("Australia/Lord_Howe", "2026-04-03T00:00:00Z"),
    ("Australia/Lord_Howe", "2026-10-02T00:00:00Z"),
    ("America/Havana", "2026-10-30T00:00:00Z"),
    ("Pacific/Apia", "2011-12-28T00:00:00Z"),
];

/// What is open, said once more in another way: minute by minute, by a text of the local time.
fn oracle(zone: &TimeZone, open: &[(u8, u16, u16)], holidays: &[String], at: Timestamp) -> bool {
    let here = zone.to_datetime(at);
    let (date, minute) = (here.date(), here.hour() as u16 * 60 + here.minute() as u16);
    if holidays.contains(&date.to_string()) {
        return false;
    }
    let is = |date: Date, day: u8| date.weekday().to_monday_zero_offset() as u8 == day;
    let before = date.yesterday().expect("a date");
    open.iter().any(|&(day, from, until)| match from < until {
        true => is(date, day) && from <= minute && minute < until,
        false => (is(date, day) && from <= minute) || (is(before, day) && minute < until),
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn whatever_is_written_it_is_open_as_minute_by_minute(
        place in 0..PLACES.len(),
        open in prop::collection::vec((0u8..7, 0u16..1_440, 0u16..1_440), 0..5),
        closed in prop::collection::vec(0i64..8, 0..3),
        start in 0u64..3 * 1_440 * 60,
    ) {
        let (zone, begin) = PLACES[place];
        let begin: Timestamp = begin.parse().expect("a time");
        let mut calendar = Calendar::new(zone).expect("a zone");
        let open: Vec<_> = open.into_iter().filter(|(_, from, until)| from != until).collect();
        const NAMES: [&str; 7] = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];
        for &(day, from, until) in &open {
            let time = |minute: u16| format!("{:02}:{:02}", minute / 60, minute % 60);
            calendar.open(&format!("{} {}-{}", NAMES[usize::from(day)], time(from), time(until))).expect("hours");
        }
        let zone = calendar.zone.clone();
        let date = |days: i64| zone.to_datetime(begin).date().saturating_add(days.days()).to_string();
        let holidays: Vec<_> = closed.into_iter().map(date).collect();
        for date in &holidays {
            calendar.holiday(date).expect("a date");
        }
        let start = begin + Duration::from_secs(start);
        let minutes = 6 * 1_440;
        // To the minute, but for the start.
        let each = |minute: i64| match minute {
            0 => start,
            _ => Timestamp::from_second((start.as_second() / 60 + minute) * 60).expect("a time"),
        };
        let naive = |minute| oracle(&zone, &open, &holidays, each(minute));
        for wanted in [true, false] {
            let expected = (0..minutes).find(|minute| naive(*minute) == wanted).map(each);
            let found = calendar.next(start.into(), wanted).map(|at| Timestamp::try_from(at).expect("a time"));
            let near = found.filter(|at| *at < each(minutes));
            prop_assert_eq!(near, expected, "{} from {}", wanted, start);
        }
        for minute in (0..minutes).step_by(7) {
            prop_assert_eq!(calendar.is_open(each(minute).into()), naive(minute), "{}", each(minute));
        }
    }
}
