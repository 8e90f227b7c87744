//! What one way into the kernel did at rising rates, and when that is enough.

/// The bound of a good rate, µs: what waits longer in us is heard.
pub(super) const P99_US: u32 = 2000;

/// A stall of this program itself, µs, above which it does not judge.
const OWN_US: u32 = P99_US / 2;

/// One rate.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Rate {
    pub(super) calls: u32,
    /// Packets a second, as they were really sent.
    pub(super) packets: f64,
    /// Of the worker's thread, for each packet that it forwarded.
    pub(super) us_per_packet: f64,
    pub(super) p50_us: u32,
    pub(super) p99_us: u32,
    pub(super) max_us: u32,
    /// Sent to the worker, and not forwarded.
    pub(super) lost: u64,
    /// Forwarded, and not received here: this program was too slow.
    pub(super) missed: u64,
    /// How late this program itself was, 99 of 100 times at the most.
    pub(super) own_p99_us: u32,
}

impl Rate {
    /// Whether every packet came back.
    pub(super) fn whole(&self) -> bool {
        self.lost + self.missed == 0
    }

    /// How it ends the rising, where it does.
    pub(super) fn ends(&self) -> Option<End> {
        if self.missed > 0 || self.own_p99_us > OWN_US {
            return Some(End::Own);
        }
        if self.lost > 0 {
            return Some(End::Loss);
        }
        (self.p99_us >= P99_US).then_some(End::Late)
    }
}

/// What ended the rising of the rates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// A packet was lost.
    Loss,
    /// One of a hundred took longer than [`P99_US`].
    Late,
    /// This program could not send or receive any faster: the worker could do more.
    Own,
    /// The highest rate was good.
    Top,
}

impl End {
    pub(super) fn name(self) -> &'static str {
        match self {
            End::Loss => "loss",
            End::Late => "p99",
            End::Own => "generator",
            End::Top => "top",
        }
    }

    pub(super) fn sentence(self) -> String {
        match self {
            End::Loss => "The last one lost packets.".to_owned(),
            End::Late => format!(
                "Of the last one, one packet of a hundred took longer than {} ms.",
                P99_US / 1000
            ),
            End::Own => "This program itself could not keep up with the last one: the worker can do more.".to_owned(),
            End::Top => "All of them were good.".to_owned(),
        }
    }
}

/// What one way into the kernel did.
#[derive(Clone, Debug)]
pub(super) struct Way {
    /// As `[media] io` names it.
    pub(super) io: &'static str,
    /// µs for each packet time of a caller on hold.
    pub(super) hold: f64,
    /// Rising.
    pub(super) rates: Vec<Rate>,
    /// Until something ends it: [`End::Top`].
    pub(super) end: End,
}

impl Way {
    /// The highest rate that kept its bounds.
    pub(super) fn kept(&self) -> Option<&Rate> {
        let kept = match self.end {
            End::Top => self.rates.len(),
            End::Loss | End::Late | End::Own => self.rates.len().saturating_sub(1),
        };
        self.rates[..kept].last()
    }

    /// Where a relayed packet's cost is taken from: the rate that is common to all ways, so that they can be compared; else the highest one at
    /// which none was lost. For the fuller a worker is the less one costs, since it is woken for more of them at once.
    pub(super) fn judged(&self, common: Option<u32>) -> Option<&Rate> {
        let mut whole = self.rates.iter().rev().filter(|rate| rate.whole());
        let same = self.rates.iter().find(|rate| Some(rate.calls) == common);
        same.or_else(|| whole.next()).or(self.rates.first())
    }
}

/// The highest rate at which none of the ways lost anything, in calls.
pub(super) fn common(ways: &[Way]) -> Option<u32> {
    let (first, others) = ways.split_first()?;
    let whole = |way: &Way, calls: u32| way.rates.iter().any(|rate| rate.calls == calls && rate.whole());
    let calls = first.rates.iter().rev().map(|rate| rate.calls);
    calls
        .into_iter()
        .find(|calls| whole(first, *calls) && others.iter().all(|way| whole(way, *calls)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_ends_it_for_the_right_reason() {
        let good = Rate {
            p99_us: P99_US - 1,
            own_p99_us: OWN_US,
            ..Rate::default()
        };
        assert_eq!(good.ends(), None);
        let late = Rate {
            p99_us: P99_US,
            ..good.clone()
        };
        assert_eq!(late.ends(), Some(End::Late));
        let lost = Rate {
            lost: 1,
            ..late.clone()
        };
        assert_eq!(lost.ends(), Some(End::Loss));
        // Who is late himself does not blame others.
        let slow = Rate {
            own_p99_us: OWN_US + 1,
            ..lost.clone()
        };
        assert_eq!(slow.ends(), Some(End::Own));
        let missed = Rate { missed: 1, ..lost };
        assert_eq!(missed.ends(), Some(End::Own));
        assert!(late.whole() && !missed.whole());
    }

    #[test]
    fn ways_are_judged_at_the_highest_rate_that_none_lost_anything_at() {
        let way = |lost: [u64; 3]| Way {
            io: "epoll",
            hold: 4.0,
            rates: [100, 200, 400]
                .into_iter()
                .zip(lost)
                .map(|(calls, lost)| Rate {
                    calls,
                    lost,
                    ..Rate::default()
                })
                .collect(),
            end: End::Top,
        };
        let judged = |ways: &[Way]| {
            let common = common(ways);
            let calls = |way: &Way| way.judged(common).map(|rate| rate.calls);
            ways.iter().map(calls).collect::<Vec<_>>()
        };
        assert_eq!(judged(&[way([0, 0, 0])]), [Some(400)]);
        assert_eq!(judged(&[way([0, 0, 0]), way([0, 0, 1])]), [Some(200), Some(200)]);
        assert_eq!(judged(&[way([0, 0, 1]), way([0, 1, 0])]), [Some(100), Some(100)]);
        assert_eq!(judged(&[way([1, 1, 1]), way([0, 0, 1])]), [Some(100), Some(200)]);
    }
}
