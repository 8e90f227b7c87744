//! When somebody can be called back: slots of a few minutes on the clock on the wall, each with room for so many.
//!
//! A slot begins where the minutes of the clock are a multiple of its length, lies within the opening hours from its first moment to
//! its last, and is as long by the watch as it says: on the night when summer time ends there are twice as many of them between
//! two and three, and on that when it begins there are none.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use crate::hours::Calendar;

/// How slots lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Grid {
    /// Of a slot: a divisor of an hour.
    pub minutes: u8,
    /// None begins sooner than so long from now; nothing: also the one that has begun and is not over.
    pub lead: Duration,
    /// … nor later than so many days.
    pub days: u16,
}

/// A time in which somebody is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Slot {
    /// Its first moment.
    pub from: SystemTime,
    /// It is over.
    pub until: SystemTime,
}

/// Who may be there for a caller who is called back: a queue with its agents, or a human.
#[derive(Clone, Debug)]
pub struct Team {
    /// When it is there.
    pub hours: Arc<Calendar>,
    /// Its members by id, each with the time that it takes for a call, where that is known.
    pub members: Vec<(String, Option<Duration>)>,
}

/// How much of it callbacks may have.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Effort {
    /// What a call takes where nobody knows.
    pub handle: Duration,
    /// Of the time that there is, from 0 to 1.
    pub share: f64,
}

impl Slot {
    /// Whether the two have a moment in common.
    pub fn overlaps(&self, other: &Slot) -> bool {
        self.from < other.until && other.from < self.until
    }

    /// Whether somebody with these hours is there all the time.
    fn is_within(&self, hours: &Calendar) -> bool {
        hours.is_open_until(self.from, self.until)
    }
}

/// How many callers can be called back in a slot by those who are there all the time that it takes; who is in several teams counts once.
/// One at least, where anybody is there.
pub fn capacity(slot: &Slot, teams: &[Team], effort: &Effort) -> usize {
    let there = teams.iter().filter(|team| slot.is_within(&team.hours));
    let mut seen = BTreeSet::new();
    let people: Vec<_> = there
        .flat_map(|team| &team.members)
        .filter(|(id, _)| seen.insert(id.as_str()))
        .collect();
    if people.is_empty() {
        return 0;
    }
    let known: Vec<_> = people.iter().filter_map(|(_, handle)| *handle).collect();
    let handle = match u32::try_from(known.len()) {
        Ok(count) if count > 0 => known.iter().sum::<Duration>() / count,
        _ => effort.handle,
    };
    let length = slot.until.duration_since(slot.from).unwrap_or_default();
    let calls = people.len() as f64 * length.as_secs_f64() / handle.as_secs_f64().max(1.0) * effort.share;
    // Some thousand agents: far from what a float cannot count. What a rounding takes from a whole number is not a call less.
    ((calls + 1e-9) as usize).max(1)
}

/// The first slot with room, not before a moment. `hours`: when callbacks are made at all, by whose clock slots lie; `taken`: those that are
/// committed, each for one caller.
pub fn first_free(
    now: SystemTime,
    not_before: SystemTime,
    hours: &Calendar,
    teams: &[Team],
    grid: &Grid,
    effort: &Effort,
    taken: &[Slot],
) -> Option<Slot> {
    let length = Duration::from_secs(u64::from(grid.minutes) * 60);
    let last = now.checked_add(Duration::from_secs(u64::from(grid.days) * 86_400))?;
    let free = |slot: &Slot| {
        let used = taken.iter().filter(|taken| taken.overlaps(slot)).count();
        slot.is_within(hours) && used < capacity(slot, teams, effort)
    };
    let mut at = now.checked_add(grid.lead)?.max(not_before);
    if grid.lead.is_zero() && not_before <= now {
        // Of all that end after this moment the first.
        let from = hours.next_on_clock(at.checked_sub(length)? + Duration::from_nanos(1), grid.minutes)?;
        let until = from.checked_add(length)?;
        if from < at && free(&Slot { from, until }) {
            return Some(Slot { from, until });
        }
    }
    loop {
        // Somebody must be there: nothing of the night is looked at.
        let there = teams.iter().filter_map(|team| team.hours.opens(at)).min()?;
        let opens = hours.opens(at.max(there))?;
        let from = hours.next_on_clock(opens, grid.minutes)?;
        if from > last {
            return None;
        }
        let slot = Slot {
            from,
            until: from.checked_add(length)?,
        };
        if free(&slot) {
            return Some(slot);
        }
        at = slot.until;
    }
}

#[cfg(test)]
mod tests;
