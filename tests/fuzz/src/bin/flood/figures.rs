//! What was measured, and what it says about the bound.

use std::time::Duration;

use crate::options::Options;
use crate::pings::PINGS;

/// The bound: each OPTIONS is answered within.
const WITHIN: Duration = Duration::from_millis(100);

/// A host that sends less than this share of the rate is too slow to measure it.
const REACHED: f64 = 0.95;

/// One run.
#[derive(Clone, Debug)]
pub(crate) struct Figures {
    /// Hostile datagrams that were sent.
    pub(crate) hostile: u64,
    /// OPTIONS that were sent.
    pub(crate) asked: usize,
    /// How long those took that were answered with 200, in order.
    pub(crate) answered: Vec<Duration>,
    /// Of the server.
    pub(crate) processor_ms: u64,
    /// The server ran to the end.
    pub(crate) alive: bool,
}

impl Figures {
    /// Whether the bound holds.
    pub(crate) fn good(&self) -> bool {
        self.alive && self.in_time() == self.asked
    }

    /// Whether there was a flood such as was asked for.
    pub(crate) fn reached(&self, options: &Options) -> bool {
        self.hostile as f64 >= f64::from(options.rate) * f64::from(options.seconds) * REACHED
    }

    /// For people.
    pub(crate) fn text(&self, options: &Options) -> String {
        let Options { rate, seconds, .. } = options;
        format!(
            "measured  OPTIONS, {PINGS} a second for {seconds} s, while {rate} hostile datagrams a second come from {} ({} were sent)\n\
             bound     each is answered with 200 within {} ms\n\
             answered  {} of {}, {} of them in time; p50 {:.2} ms, p99 {:.2} ms, max {:.2} ms\n\
             server    {:.1} µs of processor time a hostile datagram{}\n\
             {}",
            source(options),
            self.hostile,
            WITHIN.as_millis(),
            self.answered.len(),
            self.asked,
            self.in_time(),
            self.at(0.5),
            self.at(0.99),
            self.at(1.0),
            self.processor_us(),
            if self.alive { "" } else { "; it has ended by itself" },
            if self.good() {
                "the bound holds"
            } else {
                "the bound does NOT hold"
            },
        )
    }

    /// For machines: times that there are none of are null.
    pub(crate) fn json(&self, options: &Options) -> serde_json::Value {
        serde_json::json!({
            "schema": "baton.flood/1",
            "ok": self.good(),
            "bound_ms": WITHIN.as_millis() as u64,
            "seconds": options.seconds,
            "hostile": { "from": source(options), "rate": options.rate, "sent": self.hostile, "reached": self.reached(options) },
            "options": {
                "sent": self.asked, "answered": self.answered.len(), "in_time": self.in_time(),
                "p50_ms": self.at(0.5), "p99_ms": self.at(0.99), "max_ms": self.at(1.0),
            },
            "server": { "alive": self.alive, "processor_us_per_datagram": self.processor_us() },
        })
    }

    fn in_time(&self) -> usize {
        self.answered.iter().filter(|time| **time <= WITHIN).count()
    }

    /// This share of those that were answered took no longer, ms.
    fn at(&self, share: f64) -> f64 {
        let place = ((self.answered.len() as f64 * share).ceil() as usize).clamp(1, self.answered.len().max(1)) - 1;
        self.answered
            .get(place)
            .map_or(f64::NAN, |time| (time.as_secs_f64() * 1e6).round() / 1e3)
    }

    fn processor_us(&self) -> f64 {
        (self.processor_ms as f64 * 1e4 / self.hostile as f64).round() / 10.0
    }
}

fn source(options: &Options) -> &'static str {
    if options.trunk { "a trunk" } else { "strangers" }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OPTIONS: Options = Options {
        server: std::path::PathBuf::new(),
        rate: 10_000,
        seconds: 5,
        trunk: false,
        json: false,
    };

    /// 1 ms, 2 ms and so on to 100 ms.
    fn held() -> Figures {
        Figures {
            hostile: 50_000,
            asked: 100,
            answered: (1..=100).map(Duration::from_millis).collect(),
            processor_ms: 500,
            alive: true,
        }
    }

    #[test]
    fn the_bound_holds_where_every_one_is_answered_in_time() {
        let text = held().text(&OPTIONS);
        assert!(
            text.contains("100 of 100, 100 of them in time; p50 50.00 ms, p99 99.00 ms, max 100.00 ms"),
            "{text}"
        );
        assert!(
            text.contains("10.0 µs of processor time") && text.ends_with("\nthe bound holds"),
            "{text}"
        );
        let json = held().json(&OPTIONS);
        assert_eq!(
            (&json["ok"], &json["bound_ms"], &json["options"]["p50_ms"]),
            (&true.into(), &100.into(), &50.0.into())
        );
    }

    #[test]
    fn one_that_is_late_or_lost_or_a_server_that_ends_breaks_it() {
        let mut late = held();
        late.answered[99] = WITHIN + Duration::from_nanos(1);
        let mut lost = held();
        lost.answered.pop();
        let mut ended = held();
        ended.alive = false;
        let mut nothing = held();
        nothing.answered.clear();
        for figures in [late, lost, ended, nothing] {
            assert!(!figures.good(), "{figures:?}");
            assert!(figures.text(&OPTIONS).ends_with("does NOT hold"), "{figures:?}");
            assert_eq!(figures.json(&OPTIONS)["ok"], false);
        }
    }

    #[test]
    fn times_that_there_are_none_of_are_null() {
        let nothing = Figures {
            answered: Vec::new(),
            ..held()
        };
        assert!(nothing.json(&OPTIONS)["options"]["max_ms"].is_null());
    }

    #[test]
    fn less_than_was_asked_for_is_no_measurement() {
        assert!(held().reached(&OPTIONS));
        let slow = Figures {
            hostile: 40_000,
            ..held()
        };
        assert!(!slow.reached(&OPTIONS));
        assert_eq!(slow.json(&OPTIONS)["hostile"]["reached"], false);
    }
}
