//! `[hours]`: when humans may be called.

use std::collections::BTreeMap;
use std::sync::Arc;

use ::playbook::hours::{Calendar, NoHours, zones};

use super::reader::{self, At, Table};
use super::values::{reference, unique};

/// `[hours]`
#[derive(Clone, Debug)]
pub struct Hours {
    /// Of who names none.
    pub(super) house: Arc<Calendar>,
    /// `[[hours.calendars]]`, by their names.
    pub(super) calendars: BTreeMap<String, Arc<Calendar>>,
}

impl Hours {
    /// `hours` of a target.
    pub(super) fn named(&self, entry: &Table<'_, '_>) -> Arc<Calendar> {
        let Some(name) = entry.string("hours") else {
            return Arc::clone(&self.house);
        };
        let names = self.calendars.keys().map(String::as_str);
        reference(entry, "hours", &name, "hours.calendars", names);
        Arc::clone(self.calendars.get(&name.value).unwrap_or(&self.house))
    }
}

pub(super) fn read(table: Table<'_, '_>) -> Hours {
    let house = calendar(&table, None);
    let (mut names, mut calendars) = (BTreeMap::new(), BTreeMap::new());
    for entry in table.tables("calendars") {
        let name = unique(&entry, "name", &mut names);
        let calendar = calendar(&entry, Some(&house));
        if let Some(name) = name {
            calendars.insert(name, Arc::new(calendar));
        }
        entry.finish();
    }
    table.finish();
    Hours {
        house: Arc::new(house),
        calendars,
    }
}

/// What a table says; what it does not say is as in the house, which is always open.
fn calendar(table: &Table<'_, '_>, house: Option<&Calendar>) -> Calendar {
    let always = Calendar::always();
    let house = house.unwrap_or(&always);
    let zone = table.string("time_zone");
    let empty = |zone: &str| Calendar::new(zone).ok();
    let found = zone.as_ref().map(|zone| (zone, empty(&zone.value)));
    if let Some((zone, None)) = &found {
        let zones = zones();
        let hint = reader::nearest(&zone.value, zones.iter().map(String::as_str));
        let message = format!("{:?} is no IANA time zone, as \"Europe/Berlin\"{hint}", zone.value);
        table.problem(zone.line, "time_zone", message);
    }
    let zone = found.and_then(|(_, found)| found).or_else(|| empty(house.zone()));
    let mut calendar = zone.unwrap_or_else(|| Calendar::always().without_hours());
    match table.strings("open") {
        Some(open) => take(table, "open", open, &mut calendar, Calendar::open),
        None => calendar = calendar.with_week_of(house),
    }
    match table.strings("holidays") {
        Some(dates) => take(table, "holidays", dates, &mut calendar, Calendar::holiday),
        None => calendar = calendar.with_holidays_of(house),
    }
    calendar
}

fn take(
    table: &Table<'_, '_>,
    key: &str,
    list: At<Vec<At<String>>>,
    calendar: &mut Calendar,
    take: fn(&mut Calendar, &str) -> Result<(), NoHours>,
) {
    for item in list.value {
        if let Err(why) = take(calendar, &item.value) {
            table.problem(item.line, key, why.to_string());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::time::SystemTime;

    use super::super::Config;
    use super::super::tests::problems;
    use super::*;

    /// RFC 3339.
    fn at(text: &str) -> SystemTime {
        text.parse::<jiff::Timestamp>().expect("a time").into()
    }

    #[test]
    fn a_target_has_the_hours_that_it_names_else_those_of_the_house_and_without_any_it_is_always_open() {
        let config = |text: &str| Config::from_toml(text, Path::new("")).expect("right");
        let targets = "[[targets]]\nname = \"a\"\nuri = \"sip:a@127.0.0.1\"\n[[targets]]\nname = \"b\"\nuri = \"sip:b@127.0.0.1\"\n";
        let night = at("2026-12-24T03:00:00Z");
        let usual = config(targets);
        assert!(usual.targets.iter().all(|target| target.hours.is_open(night)));
        let text = format!(
            "[hours]\ntime_zone = \"Europe/Berlin\"\nopen = [\"Mon-Fri 09:00-17:30\"]\nholidays = [\"2026-12-25\"]\n\
             [[hours.calendars]]\nname = \"night\"\nopen = [\"Mon-Sun 22:00-06:00\"]\n\
             [[hours.calendars]]\nname = \"york\"\ntime_zone = \"America/New_York\"\nholidays = []\n{targets}hours = \"night\"\n"
        );
        let config = config(&text);
        let [house, named] = [0, 1].map(|at| Arc::clone(&config.targets[at].hours));
        assert_eq!((house.is_open(night), named.is_open(night)), (false, true));
        let day = at("2026-12-24T12:00:00Z");
        assert_eq!((house.is_open(day), named.is_open(day)), (true, false));
        let holiday = at("2026-12-25T01:00:00Z");
        assert!(!named.is_open(holiday), "its own hours, the holidays of the house");
        let york = &config.hours.calendars["york"];
        assert!(york.is_open(at("2026-12-25T22:00:00Z")), "17:00 there, and no holiday");
        assert!(!york.is_open(at("2026-12-25T13:00:00Z")));
    }

    #[test]
    fn what_is_wrong_with_hours_is_named_where_it_stands() {
        let found = problems(
            "[hours]\ntime_zone = \"Europe/Berln\"\nopen = [\n  \"Mon-Fri 09:00-17:30\",\n  \"Mo 09:00-12:00\",\n]\n\
             holidays = [\"25.12.2026\"]\n[[hours.calendars]]\nname = \"a\"\n[[hours.calendars]]\nname = \"a\"\n\
             [[targets]]\nname = \"x\"\nuri = \"sip:x@127.0.0.1\"\nhours = \"b\"\n",
        );
        let wanted = [
            "line 2: hours.time_zone: \"Europe/Berln\" is no IANA time zone, as \"Europe/Berlin\"; did you mean \"Europe/Berlin\"?",
            "line 5: hours.open: \"Mo\" is no day of the week: Mon, Tue, Wed, Thu, Fri, Sat, Sun",
            "line 7: hours.holidays: \"25.12.2026\" is no date, as 2026-12-25",
            "line 11: hours.calendars[1].name: \"a\" is already the name in line 9",
            "line 15: targets[0].hours: no entry of [[hours.calendars]] has the name \"b\"",
        ];
        assert_eq!(found.len(), wanted.len(), "{found:#?}");
        for (found, wanted) in found.iter().zip(wanted) {
            assert!(found.starts_with(wanted), "{found}");
        }
    }
}
