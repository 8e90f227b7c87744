//! So many lines a second that strangers can cause in the log, and one that says how many there were not.

use std::time::Instant;

/// Lines a second.
const LINES: u32 = 100;

/// Counts the lines of a second.
#[derive(Debug)]
pub(super) struct Limit {
    since: Instant,
    lines: u32,
    left_out: u64,
}

/// Whether a line is written, and how many of the second before were not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Verdict {
    pub(super) written: bool,
    pub(super) left_out: u64,
}

impl Limit {
    pub(super) fn new(now: Instant) -> Limit {
        Limit {
            since: now,
            lines: 0,
            left_out: 0,
        }
    }

    pub(super) fn line(&mut self, now: Instant) -> Verdict {
        let mut left_out = 0;
        if now.saturating_duration_since(self.since).as_secs() >= 1 {
            (self.since, self.lines) = (now, 0);
            left_out = std::mem::take(&mut self.left_out);
        }
        let written = self.lines < LINES;
        self.lines = self.lines.saturating_add(1);
        self.left_out += u64::from(!written);
        Verdict { written, left_out }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_flood_writes_so_many_lines_a_second_and_says_what_it_left_out() {
        let start = Instant::now();
        let mut limit = Limit::new(start);
        let written = (0..1000).filter(|_| limit.line(start).written).count();
        assert_eq!(written, 100);
        let next = limit.line(start + Duration::from_secs(1));
        assert_eq!((next.written, next.left_out), (true, 900));
        assert_eq!(limit.line(start + Duration::from_secs(1)).left_out, 0);
    }
}
