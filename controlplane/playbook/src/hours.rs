//! Opening hours, by the clock on the wall of an IANA time zone.
//!
//! The zones come with the program: nothing is read from the host, and two hosts agree. A time that a clock shows twice (the end
//! of summer time) is open both times or neither; one that it skips never comes.

use std::collections::BTreeMap;
use std::fmt;
use std::time::{Duration, SystemTime};

use jiff::civil::{Date, DateTime, Weekday};
use jiff::tz::{TimeZone, TimeZoneDatabase};
use jiff::{SignedDuration, Timestamp, ToSpan};

/// Minutes of a day; as an end also midnight at its end, 24:00.
const DAY: u16 = 24 * 60;

/// Days: how far ahead an opening or a closing is looked for.
pub const AHEAD: i64 = 371;

/// Days that are looked through at once.
const STEP: i64 = 7;

/// When somebody is there.
#[derive(Clone, PartialEq)]
pub struct Calendar {
    zone: TimeZone,
    /// From Monday on.
    week: [Vec<Span>; 7],
    /// What holds on these days in place of the week's; empty: closed.
    holidays: BTreeMap<Date, Vec<Span>>,
}

/// Minutes of a day, the end is not in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Span {
    from: u16,
    until: u16,
}

/// Why a text is no calendar's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NoHours {
    /// No zone has this name.
    Zone(String),
    /// This is no name of a day of the week.
    Day(String),
    /// This is no date.
    Date(String),
    /// This is no span of time.
    Span(String),
    /// A span without a length.
    Empty(String),
    /// Without a span.
    Bare(String),
    /// Hours over midnight, on a date.
    OverMidnight(String),
    /// It is closed on this date, and has hours on it.
    Both(String),
}

impl fmt::Display for NoHours {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            NoHours::Zone(name) => write!(f, "{name:?} is no IANA time zone, as Europe/Berlin"),
            NoHours::Day(name) => write!(f, "{name:?} is no day of the week: Mon, Tue, Wed, Thu, Fri, Sat, Sun"),
            NoHours::Date(date) => write!(f, "{date:?} is no date, as 2026-12-25"),
            NoHours::Span(span) => write!(f, "{span:?} is no span of time, as 09:00-17:30"),
            NoHours::Empty(span) => write!(f, "{span:?} has no length; the whole day is 00:00-24:00"),
            NoHours::Bare(text) => write!(f, "{text:?} has no hours, as \"Mon-Fri 09:00-17:30\""),
            NoHours::OverMidnight(span) => {
                write!(
                    f,
                    "{span:?} goes over midnight: write until 24:00, and the rest on the next date"
                )
            }
            NoHours::Both(date) => write!(f, "{date} is closed, and has hours as well"),
        }
    }
}

impl fmt::Debug for Calendar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Calendar")
            .field("zone", &self.zone.iana_name())
            .field("week", &self.week)
            .field("holidays", &self.holidays)
            .finish()
    }
}

/// The names of all zones.
pub fn zones() -> Vec<String> {
    let names = TimeZoneDatabase::bundled();
    names.available().map(|name| name.as_str().to_owned()).collect()
}

impl Calendar {
    /// Of this zone, and never open.
    ///
    /// # Errors
    /// There is no such zone.
    pub fn new(zone: &str) -> Result<Calendar, NoHours> {
        let found = TimeZoneDatabase::bundled().get(zone);
        Ok(Calendar {
            zone: found.map_err(|_| NoHours::Zone(zone.to_owned()))?,
            week: Default::default(),
            holidays: BTreeMap::new(),
        })
    }

    /// Always open.
    pub fn always() -> Calendar {
        let day = Span { from: 0, until: DAY };
        Calendar {
            zone: TimeZone::UTC,
            week: std::array::from_fn(|_| vec![day]),
            holidays: BTreeMap::new(),
        }
    }

    /// Open in these hours of each week too, as `Mon-Fri 09:00-12:30 13:30-17:00`, `Sat,Sun 10:00-14:00`, `Fri 22:00-06:00` (over
    /// midnight: until six on Saturday).
    ///
    /// # Errors
    /// The text says no such thing.
    pub fn open(&mut self, text: &str) -> Result<(), NoHours> {
        let (days, spans) = halves(text)?;
        for day in days_of(days)? {
            for &(span, over) in &spans {
                self.week[day].push(span);
                if let Some(rest) = over {
                    self.week[(day + 1) % 7].push(rest);
                }
            }
        }
        Ok(())
    }

    /// A date on which the hours of the week do not hold: closed all day, as `2026-12-25`, or with hours of its own, as `2026-12-24
    /// 09:00-12:00`. The part of hours over midnight that lies on the date is the date's.
    ///
    /// # Errors
    /// The text says no such thing, or another one than was said of the same date.
    pub fn holiday(&mut self, text: &str) -> Result<(), NoHours> {
        let text = text.trim();
        let (date, spans) = match text.split_once(char::is_whitespace) {
            Some(_) => halves(text)?,
            None => (text, Vec::new()),
        };
        // As people write it, and nothing else of what ISO 8601 knows.
        let day = Some(date)
            .filter(|date| date.len() == 10)
            .and_then(|date| date.parse::<Date>().ok());
        let day = day.ok_or_else(|| NoHours::Date(date.to_owned()))?;
        if spans.iter().any(|(_, over)| over.is_some()) {
            return Err(NoHours::OverMidnight(text.to_owned()));
        }
        match self.holidays.get_mut(&day) {
            Some(known) if known.is_empty() != spans.is_empty() => return Err(NoHours::Both(date.to_owned())),
            Some(known) => known.extend(spans.into_iter().map(|(span, _)| span)),
            None => {
                self.holidays
                    .insert(day, spans.into_iter().map(|(span, _)| span).collect());
            }
        }
        Ok(())
    }

    /// Open in no hour.
    #[must_use]
    pub fn without_hours(self) -> Calendar {
        Calendar {
            week: Default::default(),
            ..self
        }
    }

    /// The hours of another one's week.
    #[must_use]
    pub fn with_week_of(self, other: &Calendar) -> Calendar {
        Calendar {
            week: other.week.clone(),
            ..self
        }
    }

    /// The holidays of another one.
    #[must_use]
    pub fn with_holidays_of(self, other: &Calendar) -> Calendar {
        Calendar {
            holidays: other.holidays.clone(),
            ..self
        }
    }

    /// The name of its zone.
    pub fn zone(&self) -> &str {
        self.zone.iana_name().unwrap_or("UTC")
    }

    /// Whether it is open. Outside of the years that there are dates for (−9999 to 9999) it is not.
    pub fn is_open(&self, at: SystemTime) -> bool {
        Timestamp::try_from(at).is_ok_and(|at| self.has(at))
    }

    /// When it is open next, `at` itself where it is; `None`: not in the next [`AHEAD`] days.
    pub fn opens(&self, at: SystemTime) -> Option<SystemTime> {
        self.next(at, true)
    }

    /// When it is closed next, `at` itself where it is; `None`: not in the next [`AHEAD`] days.
    pub fn closes(&self, at: SystemTime) -> Option<SystemTime> {
        self.next(at, false)
    }

    /// When it has been open for so long, from a moment on: four hours after Friday, 17:00, may be Monday, 12:00. `None`: it is not, within
    /// [`AHEAD`] days of a closing.
    pub fn after_open(&self, at: SystemTime, mut open: Duration) -> Option<SystemTime> {
        let mut from = self.opens(at)?;
        loop {
            let Some(until) = self.closes(from) else {
                return from.checked_add(open);
            };
            let span = until.duration_since(from).unwrap_or_default();
            if open <= span {
                return from.checked_add(open);
            }
            open -= span;
            from = self.opens(until)?;
        }
    }

    /// Whether it is open from a moment until another one, which is not in it.
    pub(crate) fn is_open_until(&self, from: SystemTime, until: SystemTime) -> bool {
        let (Ok(from), Ok(until)) = (Timestamp::try_from(from), Timestamp::try_from(until)) else {
            return false;
        };
        let mut changes = self.changes(from, until).into_iter();
        self.has(from) && changes.all(|at| at == until || self.has(at))
    }

    /// The next moment, `at` itself where it is one, at which the clock on the wall shows a whole minute that is a multiple of so many in its
    /// hour. A clock that is changed shows other minutes than one thought: then it is looked at again.
    pub(crate) fn next_on_clock(&self, at: SystemTime, minutes: u8) -> Option<SystemTime> {
        let mut at = Timestamp::try_from(at).ok()?;
        let every = i64::from(minutes.max(1)) * 60_000_000_000;
        loop {
            let here = self.zone.to_datetime(at);
            let since = (i64::from(here.minute()) * 60 + i64::from(here.second())) * 1_000_000_000;
            let past = (since + i64::from(here.subsec_nanosecond())) % every;
            if past == 0 {
                return Some(at.into());
            }
            at = at.checked_add(SignedDuration::from_nanos(every - past)).ok()?;
        }
    }

    fn has(&self, at: Timestamp) -> bool {
        let here = self.zone.to_datetime(at);
        let minute = here.hour() as u16 * 60 + here.minute() as u16;
        let holds = |span: &Span| (span.from..span.until).contains(&minute);
        self.spans(here.date()).iter().any(holds)
    }

    fn spans(&self, date: Date) -> &[Span] {
        let week = &self.week[weekday(date.weekday())];
        self.holidays.get(&date).unwrap_or(week)
    }

    /// Between two moments at which something may change nothing does: only these are asked.
    fn next(&self, at: SystemTime, open: bool) -> Option<SystemTime> {
        let at = Timestamp::try_from(at).ok()?;
        if self.has(at) == open {
            return Some(at.into());
        }
        let step = SignedDuration::from_hours(24 * STEP);
        let mut from = at;
        for _ in 0..AHEAD / STEP {
            let until = from.checked_add(step).ok()?;
            let found = self.changes(from, until).into_iter().find(|at| self.has(*at) == open);
            if let Some(found) = found {
                return Some(found.into());
            }
            from = until;
        }
        None
    }

    /// After `from`, until `until`: where hours or days begin or end, and where the clocks are changed. In order.
    fn changes(&self, from: Timestamp, until: Timestamp) -> Vec<Timestamp> {
        let day = |at, days: i64| self.zone.to_datetime(at).date().saturating_add(days.days());
        let (mut date, last) = (day(from, -1), day(until, 1));
        let mut found = Vec::new();
        while date <= last {
            let of_spans = self.spans(date).iter().flat_map(|span| [span.from, span.until]);
            for minute in of_spans.chain([0]) {
                let there = date.saturating_add(i64::from(minute / DAY).days());
                let [hour, minute] = [minute % DAY / 60, minute % 60].map(|number| number as i8);
                let there: DateTime = there.at(hour, minute, 0, 0);
                let there = self.zone.to_ambiguous_timestamp(there);
                found.extend([there.earlier(), there.later()].into_iter().flatten());
            }
            date = match date.tomorrow() {
                Ok(date) => date,
                Err(_) => break,
            };
        }
        let changed = self.zone.following(from).map(|change| change.timestamp());
        found.extend(changed.take_while(|at| *at <= until));
        found.retain(|at| (from < *at) && (*at <= until));
        found.sort_unstable();
        found
    }
}

/// What is in the day itself, and what goes over midnight.
type Spans = (Span, Option<Span>);

/// Days or a date, and the hours.
fn halves(text: &str) -> Result<(&str, Vec<Spans>), NoHours> {
    let bare = || NoHours::Bare(text.to_owned());
    let (day, spans) = text.trim().split_once(char::is_whitespace).ok_or_else(bare)?;
    let spans: Result<Vec<_>, _> = spans.split_whitespace().map(span).collect();
    Ok((day, spans?))
}

/// `09:00-17:30`.
fn span(text: &str) -> Result<Spans, NoHours> {
    let times = text
        .split_once('-')
        .and_then(|(from, until)| Some((minute(from)?, minute(until)?)));
    match times {
        None | Some((DAY, _)) => Err(NoHours::Span(text.to_owned())),
        Some((from, until)) if from == until => Err(NoHours::Empty(text.to_owned())),
        Some((from, until)) if from < until => Ok((Span { from, until }, None)),
        Some((from, 0)) => Ok((Span { from, until: DAY }, None)),
        Some((from, until)) => Ok((Span { from, until: DAY }, Some(Span { from: 0, until }))),
    }
}

/// `09:00`, until `24:00`.
fn minute(text: &str) -> Option<u16> {
    let two = |text: &str| match text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_digit()) {
        true => text.parse::<u16>().ok(),
        false => None,
    };
    let (hours, minutes) = text.split_once(':')?;
    let (hours, minutes) = (two(hours)?, two(minutes)?);
    let minute = hours * 60 + minutes;
    (minutes < 60 && minute <= DAY).then_some(minute)
}

/// `Mon-Fri`, `Sat,Sun`, `Fri-Mon`: places in the week.
fn days_of(text: &str) -> Result<Vec<usize>, NoHours> {
    const NAMES: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];
    let place = |name: &str| {
        let found = NAMES.iter().position(|known| known.eq_ignore_ascii_case(name));
        found.ok_or_else(|| NoHours::Day(name.to_owned()))
    };
    let mut days = Vec::new();
    for part in text.split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last) = (place(first)?, place(last)?);
        days.extend((0..7).map(|day| (first + day) % 7).take((last + 7 - first) % 7 + 1));
    }
    days.sort_unstable();
    days.dedup();
    Ok(days)
}

fn weekday(day: Weekday) -> usize {
    day.to_monday_zero_offset() as usize
}

#[cfg(test)]
mod tests;
