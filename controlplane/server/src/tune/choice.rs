//! Which of two ways into the kernel to take, and whether the difference is more than noise.

use super::rates::{End, Rate, Way};

/// The share of a packet's cost that is worth a line in the configuration.
const LEAST: f64 = 0.05;

/// So many rates are compared: the highest ones at which both ways lost nothing. From fewer nobody sees how noisy the host is.
const COMPARED: usize = 3;

/// How the ways compare.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Choice {
    /// The place of the way whose figures count: of the better one, or where neither is better, of the first, which `auto` takes.
    pub(super) way: usize,
    pub(super) verdict: Verdict,
    /// What was compared; `None`: there was too little.
    pub(super) difference: Option<Difference>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// There was only one.
    Alone,
    /// The worker had to share its core with who measured it.
    Shared,
    /// Too few rates were carried by both.
    Few,
    /// The difference is small, or no larger than the noise.
    Noise,
    /// The cheaper one broke at a rate that the other one carried.
    Broke,
    Better,
}

/// What the one saves against the other.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Difference {
    /// The place of the cheaper way.
    pub(super) cheaper: usize,
    /// By which share of the dearer one's cost a packet is cheaper: the median of the rates, 0 to 1.
    pub(super) saving: f64,
    /// By how much that differs from rate to rate, the highest less the lowest.
    pub(super) noise: f64,
    /// The rates, in calls, rising.
    pub(super) calls: Vec<u32>,
}

/// `cores`: that the measurement had.
pub(super) fn choose(ways: &[Way], cores: usize) -> Choice {
    let keep = |verdict, difference| Choice {
        way: 0,
        verdict,
        difference,
    };
    let [first, second] = ways else {
        return keep(Verdict::Alone, None);
    };
    if cores < 2 {
        return keep(Verdict::Shared, None);
    }
    let Some(difference) = difference(first, second) else {
        return keep(Verdict::Few, None);
    };
    if difference.saving < LEAST || difference.saving <= difference.noise {
        return keep(Verdict::Noise, Some(difference));
    }
    let cheaper = difference.cheaper;
    if broke_before(&ways[cheaper], &ways[1 - cheaper]) {
        return keep(Verdict::Broke, Some(difference));
    }
    Choice {
        way: cheaper,
        verdict: Verdict::Better,
        difference: Some(difference),
    }
}

fn difference(first: &Way, second: &Way) -> Option<Difference> {
    let whole = |rate: &&Rate| rate.whole() && rate.us_per_packet > 0.0;
    let mut both: Vec<(u32, f64)> = Vec::new();
    for one in first.rates.iter().filter(whole) {
        let same = |other: &&Rate| other.calls == one.calls;
        if let Some(other) = second.rates.iter().filter(whole).find(same) {
            let (one_costs, other_costs) = (one.us_per_packet, other.us_per_packet);
            // Above 0 the second one is cheaper, by the same share as the first one would be below it.
            both.push((one.calls, (one_costs - other_costs) / one_costs.max(other_costs)));
        }
    }
    let compared = &both[both.len().checked_sub(COMPARED)?..];
    let mut savings: Vec<f64> = compared.iter().map(|(_, saving)| *saving).collect();
    savings.sort_by(f64::total_cmp);
    let median = savings[COMPARED / 2];
    Some(Difference {
        cheaper: usize::from(median > 0.0),
        saving: median.abs(),
        noise: savings[COMPARED - 1] - savings[0],
        calls: compared.iter().map(|(calls, _)| *calls).collect(),
    })
}

/// Whether the worker of the one was at its end where that of the other went on.
fn broke_before(one: &Way, other: &Way) -> bool {
    let carried = |way: &Way| way.kept().map_or(0, |rate| rate.calls);
    matches!(one.end, End::Loss | End::Late) && carried(one) < carried(other)
}

impl Choice {
    /// What `[media] io` should be; `None`: nothing was compared.
    pub(super) fn io(&self, ways: &[Way]) -> Option<&'static str> {
        match self.verdict {
            Verdict::Alone => None,
            Verdict::Better => Some(ways[self.way].io),
            Verdict::Shared | Verdict::Few | Verdict::Noise | Verdict::Broke => Some("auto"),
        }
    }

    /// The section of the configuration, where it should say something else than `auto`.
    pub(super) fn section(&self, ways: &[Way]) -> Option<String> {
        let io = self.io(ways).filter(|io| *io != "auto")?;
        Some(format!("[media]\nio = \"{io}\"\n"))
    }

    /// Why so; `None`: nothing was compared.
    pub(super) fn why(&self, ways: &[Way]) -> Option<String> {
        let found = self.difference.as_ref().map_or(String::new(), |found| {
            let calls: Vec<String> = found.calls.iter().map(u32::to_string).collect();
            format!(
                "{} takes {:.1} % less of the worker for a packet than {}: the median of the rates of {} calls, between \
                 which that differs by {:.1} %.",
                ways[found.cheaper].io,
                found.saving * 100.0,
                ways[1 - found.cheaper].io,
                calls.join(", "),
                found.noise * 100.0
            )
        });
        let least = LEAST * 100.0;
        let why = match self.verdict {
            Verdict::Alone => return None,
            Verdict::Shared => {
                "Without a core of its own neither way shows what it costs: `io` stays \"auto\".".to_owned()
            }
            Verdict::Few => format!(
                "There are no {COMPARED} rates at which both ways lost nothing, so nobody knows what is noise: `io` stays \"auto\"."
            ),
            Verdict::Noise => {
                format!(
                    "{found} Less than {least:.0} %, or not more than that noise, is no reason: `io` stays \"auto\"."
                )
            }
            Verdict::Broke => {
                format!("{found} But it was at its end at a rate that the other one carried: `io` stays \"auto\".")
            }
            Verdict::Better if self.way == 0 => format!(
                "{found} That is {least:.0} % or more, and more than the noise. \"auto\" takes it as well, but where a kernel \
                 forbids it goes on without; the line makes that an error."
            ),
            Verdict::Better => format!("{found} That is {least:.0} % or more, and more than the noise."),
        };
        Some(why)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A way that had these costs at 100, 200, … calls and lost nothing.
    fn way(io: &'static str, costs: &[f64]) -> Way {
        let rate = |(at, cost): (usize, &f64)| Rate {
            calls: 100 * (at as u32 + 1),
            us_per_packet: *cost,
            ..Rate::default()
        };
        Way {
            io,
            hold: 4.0,
            rates: costs.iter().enumerate().map(rate).collect(),
            end: End::Top,
        }
    }

    fn ways(uring: &[f64], epoll: &[f64]) -> [Way; 2] {
        [way("io_uring", uring), way("epoll", epoll)]
    }

    #[test]
    fn the_cheaper_way_is_taken_where_it_is_so_at_each_of_the_highest_rates() {
        // At the lowest rate it was the other way round, which counts for nothing.
        let both = ways(&[5.0, 4.0, 4.0, 4.0], &[9.0, 3.6, 3.5, 3.6]);
        let choice = choose(&both, 2);
        assert_eq!((choice.way, choice.verdict), (1, Verdict::Better));
        let found = choice.difference.clone().expect("compared");
        assert_eq!((found.cheaper, found.calls), (1, vec![200, 300, 400]));
        assert!(
            (found.saving - 0.1).abs() < 1e-9 && (found.noise - 0.025).abs() < 1e-9,
            "{choice:?}"
        );
        assert_eq!(choice.section(&both).as_deref(), Some("[media]\nio = \"epoll\"\n"));
        let why = choice.why(&both).expect("a reason");
        for part in [
            "epoll takes 10.0 % less",
            "than io_uring",
            "200, 300, 400 calls",
            "differs by 2.5 %",
            "5 % or more",
        ] {
            assert!(why.contains(part), "{part} is not in {why}");
        }

        let both = ways(&[3.6, 3.5, 3.6], &[4.0, 4.0, 4.0]);
        let choice = choose(&both, 2);
        assert_eq!((choice.way, choice.verdict), (0, Verdict::Better));
        assert_eq!(choice.section(&both).as_deref(), Some("[media]\nio = \"io_uring\"\n"));
        assert!(choice.why(&both).expect("a reason").contains("an error"));
    }

    #[test]
    fn what_is_small_or_within_the_noise_leaves_auto() {
        for epoll in [
            // 4 %, as good as without noise.
            [3.84, 3.84, 3.85],
            // 10 %, and from rate to rate by 20.
            [3.6, 3.2, 4.0],
            // Nothing.
            [4.0, 4.0, 4.0],
        ] {
            let both = ways(&[4.0; 3], &epoll);
            let choice = choose(&both, 2);
            assert_eq!((choice.way, choice.verdict), (0, Verdict::Noise), "{epoll:?}");
            assert_eq!(
                (choice.io(&both), choice.section(&both)),
                (Some("auto"), None),
                "{epoll:?}"
            );
            assert!(choice.why(&both).expect("a reason").contains("stays \"auto\""));
        }
    }

    #[test]
    fn rates_that_lost_something_are_not_compared() {
        let mut both = ways(&[4.0; 3], &[2.0; 3]);
        assert_eq!(choose(&both, 2).verdict, Verdict::Better);
        both[1].rates[2].missed = 1;
        let choice = choose(&both, 2);
        assert_eq!(
            (choice.way, choice.verdict, choice.difference.is_none()),
            (0, Verdict::Few, true)
        );
        assert_eq!((choice.io(&both), choice.section(&both)), (Some("auto"), None));
    }

    #[test]
    fn who_breaks_first_is_not_taken_for_being_cheap() {
        let mut both = ways(&[4.0; 5], &[3.0; 4]);
        both[1].rates[3].lost = 1;
        both[1].end = End::Loss;
        let choice = choose(&both, 2);
        assert_eq!((choice.way, choice.verdict), (0, Verdict::Broke));
        assert!(choice.why(&both).expect("a reason").contains("at its end"));
        // Where it was the measurement that could not go on, that says nothing of the way.
        both[1].end = End::Own;
        assert_eq!(choose(&both, 2).verdict, Verdict::Better);
        // Nor where the other one broke as soon.
        both[1].end = End::Late;
        both[0].rates.truncate(4);
        both[0].end = End::Loss;
        assert_eq!(choose(&both, 2).verdict, Verdict::Better);
    }

    #[test]
    fn one_way_or_one_core_is_no_comparison() {
        let both = ways(&[4.0; 3], &[2.0; 3]);
        let alone = choose(&both[..1], 2);
        assert_eq!((alone.io(&both), alone.why(&both)), (None, None));
        let shared = choose(&both, 1);
        assert_eq!(
            (shared.way, shared.verdict, shared.io(&both)),
            (0, Verdict::Shared, Some("auto"))
        );
    }
}
