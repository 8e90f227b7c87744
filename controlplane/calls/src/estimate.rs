//! How long a caller who waits will wait: what the last handoffs to the target took, from its INVITE to the join.
//!
//! Only those that joined count: who was not reached says nothing of who will be. The median does not follow one human who was
//! slow. What cannot be said truly is not said: nothing before three handoffs, nothing once the time is over, nothing above the
//! longest time that there is a prompt for.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

/// Handoffs of a target that count, the last ones.
const KEPT: usize = 15;

/// Handoffs before which nothing is said.
const ENOUGH: usize = 3;

/// In seconds.
const MINUTE: u64 = 60;

/// Seconds. Less than a minute is a promise: a quarter of it is to spare. What is between is about one.
const SOON: u64 = 45;

/// What a caller who waits is told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Said {
    /// Its place in line, of which there is a prompt.
    pub place: Option<u8>,
    /// How long it will take.
    pub left: Option<Left>,
}

/// How long it will take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Left {
    /// Less than a minute.
    Soon,
    /// About so many minutes, of which there is a prompt.
    Minutes(u8),
}

/// What the last handoffs took, by the target's name: a reload keeps it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Estimates(BTreeMap<String, VecDeque<Duration>>);

impl Estimates {
    /// A handoff to this target was joined.
    pub(crate) fn learn(&mut self, target: &str, took: Duration) {
        if !self.0.contains_key(target) {
            self.0.insert(target.to_owned(), VecDeque::with_capacity(KEPT));
        }
        if let Some(last) = self.0.get_mut(target) {
            if last.len() == KEPT {
                last.pop_front();
            }
            last.push_back(took);
        }
    }

    /// Only these targets are there now.
    pub(crate) fn retain<'n>(&mut self, names: impl Iterator<Item = &'n str> + Clone) {
        self.0.retain(|name, _| names.clone().any(|known| known == name));
    }

    /// What is said to who has waited so long for this target. `numbers`: the minutes that can be said, ascending.
    pub(crate) fn said(&self, target: &str, waited: Duration, numbers: impl Iterator<Item = u8>) -> Option<Left> {
        let left = self
            .median(target)?
            .checked_sub(waited)
            .filter(|left| !left.is_zero())?;
        self::left(left, numbers)
    }

    /// Of an even number the longer one of the middle: a caller is rather connected early than late.
    fn median(&self, target: &str) -> Option<Duration> {
        let mut last: Vec<_> = self.0.get(target)?.iter().copied().collect();
        last.sort_unstable();
        let middle = last.get(last.len() / 2)?;
        (last.len() >= ENOUGH).then_some(*middle)
    }
}

/// A time, rounded up to what can be said.
pub(crate) fn left(left: Duration, mut numbers: impl Iterator<Item = u8>) -> Option<Left> {
    let [soon, minute] = [SOON, MINUTE].map(Duration::from_secs);
    let number = numbers.find(|number| minute * u32::from(*number) >= left);
    match number {
        _ if left < soon => Some(Left::Soon),
        Some(number) if number == 1 || left >= minute => Some(Left::Minutes(number)),
        // Without a prompt for one minute.
        _ => (left < minute).then_some(Left::Soon),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NUMBERS: [u8; 4] = [1, 2, 5, 10];

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn of(took: &[u64]) -> Estimates {
        let mut estimates = Estimates::default();
        took.iter().for_each(|took| estimates.learn("sales", seconds(*took)));
        estimates
    }

    fn first(estimates: &Estimates) -> Option<Left> {
        estimates.said("sales", Duration::ZERO, NUMBERS.into_iter())
    }

    #[test]
    fn nothing_is_said_before_three_handoffs_or_of_another_target() {
        assert_eq!(first(&of(&[])), None);
        assert_eq!(first(&of(&[100, 100])), None);
        assert_eq!(first(&of(&[100, 100, 100])), Some(Left::Minutes(2)));
        let estimates = of(&[100, 100, 100]);
        assert_eq!(estimates.said("support", Duration::ZERO, NUMBERS.into_iter()), None);
    }

    #[test]
    fn the_median_counts_and_of_two_in_the_middle_the_longer_one() {
        assert_eq!(first(&of(&[599, 20, 110])), Some(Left::Minutes(2)), "one was slow");
        assert_eq!(first(&of(&[20, 110, 20, 599])), Some(Left::Minutes(2)));
        assert_eq!(first(&of(&[20, 20, 20, 599])), Some(Left::Soon));
    }

    #[test]
    fn only_the_last_fifteen_count() {
        let mut took = vec![600; 8];
        took.extend([30; 8]);
        assert_eq!(first(&of(&took[..15])), Some(Left::Minutes(10)));
        assert_eq!(first(&of(&took)), Some(Left::Soon), "the oldest is forgotten");
    }

    #[test]
    fn a_time_is_rounded_up_to_the_next_number_that_can_be_said() {
        let said = |minutes: u64, ms: u64| left(seconds(minutes) + Duration::from_millis(ms), NUMBERS.into_iter());
        assert_eq!(said(44, 999), Some(Left::Soon));
        assert_eq!(said(45, 0), Some(Left::Minutes(1)));
        assert_eq!(said(59, 999), Some(Left::Minutes(1)));
        assert_eq!(said(60, 0), Some(Left::Minutes(1)));
        assert_eq!(said(60, 1), Some(Left::Minutes(2)));
        assert_eq!(said(120, 0), Some(Left::Minutes(2)));
        assert_eq!(said(121, 0), Some(Left::Minutes(5)), "there is no three");
        assert_eq!(said(600, 0), Some(Left::Minutes(10)));
        assert_eq!(said(600, 1), None, "there is nothing longer");
        let without = |minutes| left(seconds(minutes), [2].into_iter());
        assert_eq!(
            [44, 59].map(without),
            [Some(Left::Soon); 2],
            "about two would be too much"
        );
        assert_eq!(without(60), Some(Left::Minutes(2)));
        assert_eq!(left(seconds(59), std::iter::empty()), Some(Left::Soon));
        assert_eq!(left(seconds(61), std::iter::empty()), None);
    }

    #[test]
    fn it_runs_down_and_when_it_is_over_nothing_is_said() {
        let estimates = of(&[150, 150, 150]);
        let said = |waited: u64| estimates.said("sales", seconds(waited), NUMBERS.into_iter());
        assert_eq!(said(0), Some(Left::Minutes(5)));
        assert_eq!(said(30), Some(Left::Minutes(2)));
        assert_eq!(said(90), Some(Left::Minutes(1)));
        assert_eq!(said(105), Some(Left::Minutes(1)));
        assert_eq!(said(106), Some(Left::Soon));
        assert_eq!(said(149), Some(Left::Soon));
        assert_eq!(said(150), None);
        assert_eq!(said(500), None);
    }

    #[test]
    fn targets_that_are_gone_are_forgotten() {
        let mut estimates = of(&[100, 100, 100]);
        estimates.retain(["support", "sales"].into_iter());
        assert_eq!(first(&estimates), Some(Left::Minutes(2)));
        estimates.retain(["support"].into_iter());
        assert_eq!(first(&estimates), None);
    }
}
