//! `baton report`, and where figures come from: the records of a period, page by page.

use std::process::ExitCode;

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp, ToSpan as _};
use serde_json::Value;

use crate::cli::ReportArgs;
use crate::config::Config;
use crate::kpi::{Kpi, Span};
use crate::serve::{load, print, say, say_problems};
use crate::store::{Database, Period, Stored};

/// Records that are read for one document: some seconds' work, and less than 100 MB of the database's pages.
const MOST: u64 = 100_000;

/// The longest period, ms: 366 days.
const LONGEST_MS: i64 = 366 * 86_400_000;

/// Why there are no figures.
#[derive(Debug)]
pub(crate) enum Refused {
    /// They were asked for wrongly; what would be right.
    Asked(String),
    /// The store does not answer.
    Store(sqlx::Error),
}

impl From<sqlx::Error> for Refused {
    fn from(error: sqlx::Error) -> Refused {
        Refused::Store(error)
    }
}

/// Figures of a period, and how many of its handoffs have an endpoint that never got the context.
pub(crate) async fn figures(database: &Database, period: &Period, span: Span) -> Result<(Kpi, u64), Refused> {
    if period.since_ms >= period.until_ms {
        return Err(Refused::Asked("since must be before until".to_owned()));
    }
    if period.until_ms.saturating_sub(period.since_ms) > LONGEST_MS {
        return Err(Refused::Asked("the period must not be longer than 366 days".to_owned()));
    }
    let count = database.count(period).await?;
    if count > MOST {
        return Err(Refused::Asked(format!(
            "the period has {count} handoffs, and figures are made of {MOST} at the most: ask for a shorter one"
        )));
    }
    let mut kpi = Kpi::new(span);
    let mut last: Option<Stored> = None;
    loop {
        let page = database.stored(period, last.as_ref()).await?;
        for stored in &page {
            kpi.add(stored.requested_ms, &stored.body, stored.feedback.as_deref());
        }
        match page.into_iter().last() {
            None => break,
            end => last = end,
        }
    }
    Ok((kpi, database.undelivered(period).await?))
}

/// Prints the figures of the configured store.
pub(crate) fn report(args: &ReportArgs) -> ExitCode {
    let config = match load(args.config.as_deref()) {
        Ok(config) => config,
        Err(problems) => {
            say_problems(args.config.as_deref(), &problems);
            return ExitCode::FAILURE;
        }
    };
    let (since, until) = match asked(args, Timestamp::now()) {
        Ok(period) => period,
        Err(why) => {
            say(why);
            return ExitCode::from(crate::cli::EXIT_USAGE);
        }
    };
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            say(&format!("the runtime does not start: {error}"));
            return ExitCode::FAILURE;
        }
    };
    match runtime.block_on(read(&config, since, until)) {
        Ok((document, _)) if args.json => print(&document.to_string()),
        Ok((document, diagnosis)) => text(&document, &diagnosis).iter().for_each(|line| print(line)),
        Err(Refused::Asked(why)) => {
            say(&why);
            return ExitCode::FAILURE;
        }
        Err(Refused::Store(error)) => {
            say(&format!("store.url: it cannot be read ({error})"));
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}

async fn read(config: &Config, since: Timestamp, until: Timestamp) -> Result<(Value, Vec<String>), Refused> {
    let database = Database::open(&config.store.place).await?;
    let period = Period {
        since_ms: since.as_millisecond(),
        until_ms: until.as_millisecond(),
        agent: None,
    };
    let span = match until.duration_since(since) > SignedDuration::from_hours(48) {
        true => Span::Day,
        false => Span::Hour,
    };
    let figures = figures(&database, &period, span).await;
    database.close().await;
    let (kpi, undelivered) = figures?;
    let diagnosis = kpi.diagnosis(undelivered);
    let mut document = kpi.document(since, until, undelivered);
    document["diagnosis"] = diagnosis.clone().into();
    Ok((document, diagnosis))
}

/// From when until when.
fn asked(args: &ReportArgs, now: Timestamp) -> Result<(Timestamp, Timestamp), &'static str> {
    if let Some(text) = &args.month {
        let days = month(text).ok_or("--month must be a month of UTC, as 2026-01")?;
        // Of the running one what there is.
        return Ok((days.0, days.1.min(now)));
    }
    let until = match &args.until {
        None => now,
        Some(text) => text
            .parse()
            .map_err(|_| "--until must be a time of RFC 3339, as 2026-01-31T08:00:00Z")?,
    };
    let since = since(&args.since, until).ok_or(
        "--since must be a time of RFC 3339, as 2026-01-31T08:00:00Z, or a duration before --until, as 90m, 24h or 7d",
    )?;
    Ok((since, until))
}

/// The first moment of a month and of the next, UTC.
fn month(text: &str) -> Option<(Timestamp, Timestamp)> {
    let first: Date = format!("{text}-01").parse().ok().filter(|_| text.len() == 7)?;
    let next = first.checked_add(1.month()).ok()?;
    let midnight = |day: Date| Some(day.to_zoned(TimeZone::UTC).ok()?.timestamp());
    Some((midnight(first)?, midnight(next)?))
}

/// A time, or how long ago.
fn since(text: &str, now: Timestamp) -> Option<Timestamp> {
    if let Ok(time) = text.parse() {
        return Some(time);
    }
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let minutes = match &text[digits.len()..] {
        "m" => 1,
        "h" => 60,
        "d" => 24 * 60,
        _ => return None,
    };
    let ago = digits.parse::<i64>().ok()?.checked_mul(minutes)?;
    now.checked_sub(SignedDuration::from_mins(ago.clamp(0, i64::MAX / 60)))
        .ok()
}

fn text(document: &Value, diagnosis: &[String]) -> Vec<String> {
    let word = |value: &Value| match value {
        Value::Null => "-".to_owned(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    let mut lines = vec![
        format!(
            "handoffs from {} until {}",
            word(&document["since"]),
            word(&document["until"])
        ),
        String::new(),
        format!(
            "{:<32} {:>8} {:>8} {:>9} {:>9} {:>24}",
            "", "handoffs", "joined", "join rate", "abandoned", "joined after ms 50/90/99"
        ),
    ];
    let mut row = |name: String, figures: &Value| {
        let ms = &figures["triggered_to_joined_ms"];
        let waits = [&ms["p50"], &ms["p90"], &ms["p99"]].map(&word).join("/");
        lines.push(format!(
            "{name:<32} {:>8} {:>8} {:>9} {:>9} {waits:>24}",
            word(&figures["handoffs"]),
            word(&figures["joined"]),
            word(&figures["join_rate"]),
            word(&figures["abandoned"]),
        ));
    };
    row("all".to_owned(), &document["total"]);
    for kind in ["intent", "target"] {
        for group in document[format!("by_{kind}")].as_array().into_iter().flatten() {
            let name = match group["others"] == true {
                true => "others".to_owned(),
                false => word(&group[kind]),
            };
            row(format!("{kind} {name}"), group);
        }
    }
    let rules = document["by_rule"].as_array().map(Vec::as_slice).unwrap_or_default();
    if !rules.is_empty() {
        lines.push(String::new());
        lines.push(format!(
            "{:<32} {:>8} {:>8} {:>9} {:>9} {:>8} {:>9}",
            "by rule", "fired", "joined", "right", "wrong", "unrated", "resolved"
        ));
    }
    for rule in rules {
        let name = match (&rule["rule"], rule["others"] == true) {
            (_, true) => "others".to_owned(),
            (Value::String(name), _) => name.clone(),
            _ => "(asked for)".to_owned(),
        };
        let [fired, joined, right, wrong, unrated, resolved] =
            ["fired", "joined", "right", "wrong", "unrated", "resolved"].map(|figure| word(&rule[figure]));
        lines.push(format!(
            "{name:<32} {fired:>8} {joined:>8} {right:>9} {wrong:>9} {unrated:>8} {resolved:>9}"
        ));
    }
    lines.push(String::new());
    match diagnosis.is_empty() {
        true => lines.push("nothing stands out".to_owned()),
        false => lines.extend(diagnosis.iter().map(|finding| format!("! {finding}"))),
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_month_is_utc_s_and_of_the_running_one_there_is_what_has_been() {
        let now: Timestamp = "2026-02-08T12:00:00Z".parse().expect("a time");
        let args = |month: &str| ReportArgs {
            config: None,
            since: "24h".to_owned(),
            until: None,
            month: Some(month.to_owned()),
            json: false,
        };
        for (month, period) in [
            ("2026-01", Some(("2026-01-01T00:00:00Z", "2026-02-01T00:00:00Z"))),
            ("2025-12", Some(("2025-12-01T00:00:00Z", "2026-01-01T00:00:00Z"))),
            ("2026-02", Some(("2026-02-01T00:00:00Z", "2026-02-08T12:00:00Z"))),
            ("2026-13", None),
            ("2026-1", None),
            ("January", None),
        ] {
            let time = |text: &str| -> Timestamp { text.parse().expect("a time") };
            let period = period.map(|(since, until)| (time(since), time(until)));
            assert_eq!(asked(&args(month), now).ok(), period, "{month}");
        }
        let until = ReportArgs {
            until: Some("2026-01-31T00:00:00Z".to_owned()),
            month: None,
            ..args("")
        };
        let day = ("2026-01-30T00:00:00Z", "2026-01-31T00:00:00Z");
        let printed = asked(&until, now).map(|(since, until)| (since.to_string(), until.to_string()));
        assert_eq!(printed, Ok((day.0.to_owned(), day.1.to_owned())));
    }

    #[test]
    fn the_text_has_a_line_for_each_rule() {
        let mut kpi = Kpi::new(Span::Day);
        for rule in ["\"rule\":\"billing\"", ""] {
            let trigger = if rule.is_empty() {
                "null".to_owned()
            } else {
                format!("{{{rule}}}")
            };
            let body = format!("{{\"target\":\"support\",\"result\":\"joined\",\"trigger\":{trigger}}}");
            kpi.add(
                0,
                &body,
                Some("{\"context\":\"complete\",\"right_call\":true,\"resolved\":false}"),
            );
        }
        let document = kpi.document(Timestamp::UNIX_EPOCH, Timestamp::UNIX_EPOCH, 0);
        let lines = text(&document, &[]);
        let line = |name: &str| {
            lines
                .iter()
                .find(|line| line.starts_with(name))
                .unwrap_or_else(|| panic!("{lines:#?}"))
        };
        let figures = |name: &str| -> Vec<String> {
            let rest = line(name).trim_start_matches(name);
            rest.split_whitespace().map(str::to_owned).collect()
        };
        assert_eq!(figures("billing"), ["1", "1", "1", "0", "0", "0"]);
        assert_eq!(figures("(asked for)"), ["1", "1", "1", "0", "0", "0"]);
    }

    #[test]
    fn since_is_a_time_or_a_duration() {
        let now: Timestamp = "2026-01-08T12:00:00Z".parse().expect("a time");
        for (text, expected) in [
            ("2026-01-01T00:00:00Z", Some("2026-01-01T00:00:00Z")),
            ("90m", Some("2026-01-08T10:30:00Z")),
            ("24h", Some("2026-01-07T12:00:00Z")),
            ("7d", Some("2026-01-01T12:00:00Z")),
            ("7", None),
            ("d", None),
            ("7w", None),
            ("99999999999999999999h", None),
            ("9223372036854775807m", None),
        ] {
            let expected = expected.map(|time| time.parse().expect("a time"));
            assert_eq!(since(text, now), expected, "{text}");
        }
    }
}
