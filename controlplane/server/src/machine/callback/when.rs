//! When a caller is called back, in words: on the clock of those who call.

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

use crate::prompts::words::Word;

/// The day, and between which times. A day of the next week or later has its date, too: the weekday alone would be taken for a nearer one.
pub(super) fn when(now: Timestamp, from: Timestamp, until: Timestamp, zone: &TimeZone) -> Vec<Word> {
    let [today, from, until] = [now, from, until].map(|at| at.to_zoned(zone.clone()).datetime());
    let days = (from.date() - today.date()).get_days();
    let weekday = Word::Weekday(from.weekday().to_monday_zero_offset().cast_unsigned());
    let mut words = match days {
        ..=0 => vec![Word::Today],
        1 => vec![Word::Tomorrow],
        2..=6 => vec![weekday],
        _ => vec![weekday, Word::Date(from.day().cast_unsigned())],
    };
    words.push(Word::Between);
    clock(from, &mut words);
    // "Between nine fifteen and nine thirty in the morning."
    if part(from) != part(until) {
        words.push(part(from));
    }
    words.push(Word::And);
    clock(until, &mut words);
    words.push(part(until));
    words
}

/// Twelve hours, as a person says them: "nine o'clock", "nine oh five", "nine thirty".
fn clock(at: DateTime, words: &mut Vec<Word>) {
    let (hour, minute) = (at.hour().cast_unsigned(), at.minute().cast_unsigned());
    words.push(Word::Number((hour + 11) % 12 + 1));
    match minute {
        0 => words.push(Word::Oclock),
        1..=9 => words.extend([Word::Oh, Word::Number(minute)]),
        _ => words.push(Word::Number(minute)),
    }
}

fn part(at: DateTime) -> Word {
    match at.hour() {
        ..=4 => Word::Night,
        5..=11 => Word::Morning,
        12..=17 => Word::Afternoon,
        _ => Word::Evening,
    }
}

#[cfg(test)]
mod tests {
    use super::Word::*;
    use super::*;

    /// What is said at a time of a slot, each as in `2026-03-28T09:15+01`.
    fn said(now: &str, from: &str, until: &str) -> Vec<Word> {
        let zone = TimeZone::get("Europe/Berlin").expect("a zone");
        let [now, from, until] = [now, from, until].map(|at| at.parse().expect("a time"));
        when(now, from, until, &zone)
    }

    #[test]
    fn a_time_is_said_as_a_person_says_it() {
        let at = |from: &str, until: &str| {
            let [from, until] = [from, until].map(|time| format!("2026-11-23T{time}+01"));
            said("2026-11-23T00:00+01", &from, &until)
        };
        assert_eq!(
            at("09:15", "09:30"),
            [
                Today,
                Between,
                Number(9),
                Number(15),
                And,
                Number(9),
                Number(30),
                Morning
            ]
        );
        assert_eq!(
            at("11:45", "12:00"),
            [
                Today,
                Between,
                Number(11),
                Number(45),
                Morning,
                And,
                Number(12),
                Oclock,
                Afternoon
            ]
        );
        assert_eq!(
            at("17:05", "17:06"),
            [
                Today,
                Between,
                Number(5),
                Oh,
                Number(5),
                And,
                Number(5),
                Oh,
                Number(6),
                Afternoon
            ]
        );
        assert_eq!(
            at("00:00", "05:00"),
            [
                Today,
                Between,
                Number(12),
                Oclock,
                Night,
                And,
                Number(5),
                Oclock,
                Morning
            ]
        );
        assert_eq!(
            at("17:30", "18:00"),
            [
                Today,
                Between,
                Number(5),
                Number(30),
                Afternoon,
                And,
                Number(6),
                Oclock,
                Evening
            ]
        );
    }

    #[test]
    fn a_day_is_said_by_the_clock_of_those_who_call_also_where_its_night_has_23_hours() {
        let day = |now: &str, from: &str| said(now, from, "2026-12-31T12:00+01")[..2].to_vec();
        // 23:30 UTC is the next day in Berlin.
        assert_eq!(day("2026-11-23T23:30Z", "2026-11-24T09:00+01"), [Today, Between]);
        assert_eq!(day("2026-11-23T22:30Z", "2026-11-24T09:00+01"), [Tomorrow, Between]);
        // In the night to 29 March clocks go forward: 23 hours are a day, and 24 are one and an hour.
        assert_eq!(day("2026-03-28T23:45+01", "2026-03-29T23:30+02"), [Tomorrow, Between]);
        assert_eq!(day("2026-03-28T00:15+01", "2026-03-30T00:00+02"), [Weekday(0), Between]);
        // … and back in the night to 25 October: 24 hours later it is still the same day.
        assert_eq!(day("2026-10-25T00:00+02", "2026-10-25T23:00+01"), [Today, Between]);
        assert_eq!(day("2026-11-23T12:00+01", "2026-11-29T12:00+01"), [Weekday(6), Between]);
        assert_eq!(
            day("2026-11-23T12:00+01", "2026-11-30T12:00+01"),
            [Weekday(0), Date(30)]
        );
        assert_eq!(day("2026-11-23T12:00+01", "2026-12-07T12:00+01"), [Weekday(0), Date(7)]);
    }
}
