//! The control plane's loop: how often it turns, how long that takes, what waits for it.

use std::sync::Mutex;
use std::time::{Duration, Instant};

use super::list;
use super::text::Page;
use crate::journal::lock;

/// Half of the time for which the longest turn is remembered, seconds.
const WINDOW_S: u64 = 30;

/// What the loop says of itself. Written by it alone; read at a scrape.
#[derive(Debug)]
pub(crate) struct Turns(Mutex<Totals>);

#[derive(Clone, Copy, Debug)]
struct Totals {
    turns: u64,
    busy: Duration,
    /// The longest turn of this window, and of the one before.
    longest: [Duration; 2],
    since: Instant,
    queued: Queued,
}

/// What waits.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Queued {
    /// Requests of the API for the loop.
    pub(crate) requests: usize,
    /// Bytes, openings and closings of connections for the loop.
    pub(crate) connection_events: usize,
    /// Commands of which a worker had no room for.
    pub(crate) worker_commands: usize,
}

impl Turns {
    pub(crate) fn new(now: Instant) -> Turns {
        Turns(Mutex::new(Totals {
            turns: 0,
            busy: Duration::ZERO,
            longest: [Duration::ZERO; 2],
            since: now,
            queued: Queued::default(),
        }))
    }

    /// A turn that began then is over.
    pub(crate) fn turned(&self, began: Instant, now: Instant, queued: Queued) {
        let took = now.saturating_duration_since(began);
        let mut totals = lock(&self.0);
        totals.roll(now);
        totals.turns += 1;
        totals.busy += took;
        totals.longest[0] = totals.longest[0].max(took);
        totals.queued = queued;
    }

    pub(super) fn write(&self, page: &mut Page, now: Instant) {
        let mut totals = *lock(&self.0);
        totals.roll(now);
        page.one(&list::NODE_TURNS, totals.turns);
        page.one(&list::NODE_BUSY, totals.busy.as_secs_f64());
        let [this, before] = totals.longest;
        page.one(&list::NODE_TURN_MAX, this.max(before).as_secs_f64());
        let Queued {
            requests,
            connection_events,
            worker_commands,
        } = totals.queued;
        let mut queued = page.family(&list::NODE_QUEUED);
        queued.set(&["requests"], requests);
        queued.set(&["connection_events"], connection_events);
        queued.set(&["worker_commands"], worker_commands);
    }
}

impl Totals {
    fn roll(&mut self, now: Instant) {
        match now.saturating_duration_since(self.since).as_secs() {
            age if age >= 2 * WINDOW_S => self.longest = [Duration::ZERO; 2],
            age if age >= WINDOW_S => self.longest = [Duration::ZERO, self.longest[0]],
            _ => return,
        }
        self.since = now;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_turn_is_remembered_for_half_a_minute_to_a_whole_one() {
        let start = Instant::now();
        let turns = Turns::new(start);
        let at = |ms: u64| start + Duration::from_millis(ms);
        turns.turned(at(0), at(70), Queued::default());
        turns.turned(at(70), at(71), Queued::default());
        let longest = |now| {
            let mut page = Page::default();
            turns.write(&mut page, now);
            let text = page.finish();
            let line = text
                .lines()
                .find(|line| line.starts_with("baton_node_turn_seconds_max "));
            line.expect("the figure").to_owned()
        };
        assert_eq!(longest(at(1_000)), "baton_node_turn_seconds_max 0.07");
        assert_eq!(longest(at(31_000)), "baton_node_turn_seconds_max 0.07");
        assert_eq!(longest(at(61_000)), "baton_node_turn_seconds_max 0");
        turns.turned(at(31_000), at(31_002), Queued::default());
        assert_eq!(longest(at(45_000)), "baton_node_turn_seconds_max 0.07");
        assert_eq!(longest(at(62_000)), "baton_node_turn_seconds_max 0.002");
    }
}
